/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens in iommufd. Documentation/userspace-api/iommufd.rst explains the
 * fields. Memory is in bytes, and no field has an address of the kernel.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommufd

#if !defined(_TRACE_IOMMUFD_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_IOMMUFD_H

#include <linux/device.h>
#include <linux/tracepoint.h>

/* enum iommufd_account_mode, which is not for users */
#define show_iommufd_account(mode)                                     \
	__print_symbolic(mode, { 0, "none" }, { 1, "user" },           \
			 { 2, "process" }, { 3, "type1" })

TRACE_EVENT(iommufd_map,
	TP_PROTO(u64 context, u32 ioas, u64 iova, u64 length, int prot, int rc),
	TP_ARGS(context, ioas, iova, length, prot, rc),
	TP_STRUCT__entry(
		__field(u64, context)
		__field(u32, ioas)
		__field(u64, iova)
		__field(u64, length)
		__field(int, prot)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->context = context;
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->length = length;
		__entry->prot = prot;
		__entry->rc = rc;
	),
	TP_printk("context=%llu ioas=%u iova=0x%llx length=%llu prot=%d rc=%d",
		  __entry->context, __entry->ioas, __entry->iova,
		  __entry->length, __entry->prot, __entry->rc)
);

TRACE_EVENT(iommufd_unmap,
	TP_PROTO(u64 context, u32 ioas, u64 iova, u64 length, u64 unmapped,
		 int rc),
	TP_ARGS(context, ioas, iova, length, unmapped, rc),
	TP_STRUCT__entry(
		__field(u64, context)
		__field(u32, ioas)
		__field(u64, iova)
		__field(u64, length)
		__field(u64, unmapped)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->context = context;
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->length = length;
		__entry->unmapped = unmapped;
		__entry->rc = rc;
	),
	TP_printk("context=%llu ioas=%u iova=0x%llx length=%llu unmapped=%llu rc=%d",
		  __entry->context, __entry->ioas, __entry->iova,
		  __entry->length, __entry->unmapped, __entry->rc)
);

TRACE_EVENT(iommufd_pin,
	TP_PROTO(pid_t payer, u64 start, u64 length, bool file, int rc),
	TP_ARGS(payer, start, length, file, rc),
	TP_STRUCT__entry(
		__field(pid_t, payer)
		__field(u64, start)
		__field(u64, length)
		__field(bool, file)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->payer = payer;
		__entry->start = start;
		__entry->length = length;
		__entry->file = file;
		__entry->rc = rc;
	),
	TP_printk("payer=%d start=0x%llx length=%llu file=%d rc=%d",
		  __entry->payer, __entry->start, __entry->length,
		  __entry->file, __entry->rc)
);

DECLARE_EVENT_CLASS(iommufd_attachment,
	TP_PROTO(u64 context, u32 id, struct device *dev, u32 pasid, u32 pt,
		 u32 hwpt, int rc),
	TP_ARGS(context, id, dev, pasid, pt, hwpt, rc),
	TP_STRUCT__entry(
		__field(u64, context)
		__field(u32, id)
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, pt)
		__field(u32, hwpt)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->context = context;
		__entry->id = id;
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->pt = pt;
		__entry->hwpt = hwpt;
		__entry->rc = rc;
	),
	TP_printk("context=%llu id=%u dev=%s pasid=%u pt=%u hwpt=%u rc=%d",
		  __entry->context, __entry->id, __get_str(dev),
		  __entry->pasid, __entry->pt, __entry->hwpt, __entry->rc)
);

DEFINE_EVENT(iommufd_attachment, iommufd_attach,
	TP_PROTO(u64 context, u32 id, struct device *dev, u32 pasid, u32 pt,
		 u32 hwpt, int rc),
	TP_ARGS(context, id, dev, pasid, pt, hwpt, rc)
);

DEFINE_EVENT(iommufd_attachment, iommufd_replace,
	TP_PROTO(u64 context, u32 id, struct device *dev, u32 pasid, u32 pt,
		 u32 hwpt, int rc),
	TP_ARGS(context, id, dev, pasid, pt, hwpt, rc)
);

TRACE_EVENT(iommufd_detach,
	TP_PROTO(u64 context, u32 id, struct device *dev, u32 pasid, u32 hwpt),
	TP_ARGS(context, id, dev, pasid, hwpt),
	TP_STRUCT__entry(
		__field(u64, context)
		__field(u32, id)
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, hwpt)
	),
	TP_fast_assign(
		__entry->context = context;
		__entry->id = id;
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->hwpt = hwpt;
	),
	TP_printk("context=%llu id=%u dev=%s pasid=%u hwpt=%u",
		  __entry->context, __entry->id, __get_str(dev),
		  __entry->pasid, __entry->hwpt)
);

TRACE_EVENT(iommufd_fault,
	TP_PROTO(u32 queue, struct device *dev, u32 pasid, u32 grpid, u32 perm,
		 u64 addr, u32 count),
	TP_ARGS(queue, dev, pasid, grpid, perm, addr, count),
	TP_STRUCT__entry(
		__field(u32, queue)
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u32, perm)
		__field(u64, addr)
		__field(u32, count)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->grpid = grpid;
		__entry->perm = perm;
		__entry->addr = addr;
		__entry->count = count;
	),
	TP_printk("queue=%u dev=%s pasid=%u grpid=%u perm=0x%x addr=0x%llx count=%u",
		  __entry->queue, __get_str(dev), __entry->pasid,
		  __entry->grpid, __entry->perm, __entry->addr, __entry->count)
);

TRACE_EVENT(iommufd_fault_response,
	TP_PROTO(struct device *dev, u32 pasid, u32 grpid, u32 cookie,
		 u32 code),
	TP_ARGS(dev, pasid, grpid, cookie, code),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u32, cookie)
		__field(u32, code)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->grpid = grpid;
		__entry->cookie = cookie;
		__entry->code = code;
	),
	TP_printk("dev=%s pasid=%u grpid=%u cookie=%u code=%u",
		  __get_str(dev), __entry->pasid, __entry->grpid,
		  __entry->cookie, __entry->code)
);

TRACE_EVENT(iommufd_revoke,
	TP_PROTO(pid_t payer, u64 start, u64 length),
	TP_ARGS(payer, start, length),
	TP_STRUCT__entry(
		__field(pid_t, payer)
		__field(u64, start)
		__field(u64, length)
	),
	TP_fast_assign(
		__entry->payer = payer;
		__entry->start = start;
		__entry->length = length;
	),
	TP_printk("payer=%d start=0x%llx length=%llu", __entry->payer,
		  __entry->start, __entry->length)
);

TRACE_EVENT(iommufd_rearm,
	TP_PROTO(pid_t payer, u64 start, u64 length, int rc),
	TP_ARGS(payer, start, length, rc),
	TP_STRUCT__entry(
		__field(pid_t, payer)
		__field(u64, start)
		__field(u64, length)
		__field(int, rc)
	),
	TP_fast_assign(
		__entry->payer = payer;
		__entry->start = start;
		__entry->length = length;
		__entry->rc = rc;
	),
	TP_printk("payer=%d start=0x%llx length=%llu rc=%d", __entry->payer,
		  __entry->start, __entry->length, __entry->rc)
);

TRACE_EVENT(iommufd_account_failed,
	TP_PROTO(int mode, pid_t payer, const char *comm, uid_t uid,
		 u64 charged, u64 length, u64 limit),
	TP_ARGS(mode, payer, comm, uid, charged, length, limit),
	TP_STRUCT__entry(
		__field(int, mode)
		__field(pid_t, payer)
		__string(comm, comm)
		__field(uid_t, uid)
		__field(u64, charged)
		__field(u64, length)
		__field(u64, limit)
	),
	TP_fast_assign(
		__entry->mode = mode;
		__entry->payer = payer;
		__assign_str(comm);
		__entry->uid = uid;
		__entry->charged = charged;
		__entry->length = length;
		__entry->limit = limit;
	),
	TP_printk("mode=%s payer=%d comm=%s uid=%u charged=%llu length=%llu limit=%llu",
		  show_iommufd_account(__entry->mode), __entry->payer,
		  __get_str(comm), __entry->uid, __entry->charged,
		  __entry->length, __entry->limit)
);

TRACE_EVENT(iommufd_refused,
	TP_PROTO(const char *cause, int rc, struct device *dev, u64 first,
		 u64 last),
	TP_ARGS(cause, rc, dev, first, last),
	TP_STRUCT__entry(
		__string(cause, cause)
		__field(int, rc)
		__string(dev, dev ? dev_name(dev) : "none")
		__field(u64, first)
		__field(u64, last)
	),
	TP_fast_assign(
		__assign_str(cause);
		__entry->rc = rc;
		__assign_str(dev);
		__entry->first = first;
		__entry->last = last;
	),
	TP_printk("cause=%s rc=%d dev=%s first=0x%llx last=0x%llx",
		  __get_str(cause), __entry->rc, __get_str(dev),
		  __entry->first, __entry->last)
);

#endif

#include <trace/define_trace.h>
