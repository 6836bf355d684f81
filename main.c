// SPDX-License-Identifier: GPL-2.0-only
/*
 * The front door: dispatch of ioctls, the operations of objects by type, and
 * the module.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/unroll.h>

#include "access.h"
#include "ctx.h"
#include "device.h"
#include "fault.h"
#include "fdinfo.h"
#include "hw_pagetable.h"
#include "hw_queue.h"
#include "ioas.h"
#include "object.h"
#include "pfnmap.h"
#include "selftest.h"
#include "vdevice.h"
#include "veventq.h"
#include "vfio_compat.h"
#include "viommu.h"

#ifdef CONFIG_IOMMUFD_TEST
#include "iommufd_test.h"
#endif

static const struct iommufd_object_ops iommufd_object_ops[IOMMUFD_OBJ_MAX] = {
	[IOMMUFD_OBJ_DEVICE] = {
		.pre_destroy = iommufd_device_pre_destroy,
		.disown = iommufd_device_disown,
		.destroy = iommufd_device_destroy,
	},
	[IOMMUFD_OBJ_HWPT_PAGING] = {
		.destroy = iommufd_hwpt_paging_destroy,
	},
	[IOMMUFD_OBJ_HWPT_NESTED] = {
		.destroy = iommufd_hwpt_nested_destroy,
	},
	[IOMMUFD_OBJ_IOAS] = {
		.destroy = iommufd_ioas_destroy,
	},
	[IOMMUFD_OBJ_ACCESS] = {
		.disown = iommufd_access_disown,
		.destroy = iommufd_access_destroy_object,
	},
	[IOMMUFD_OBJ_FAULT] = {
		.destroy = iommufd_fault_destroy,
	},
	[IOMMUFD_OBJ_VIOMMU] = {
		.destroy = iommufd_viommu_destroy,
	},
	[IOMMUFD_OBJ_VDEVICE] = {
		.destroy = iommufd_vdevice_destroy,
	},
	[IOMMUFD_OBJ_VEVENTQ] = {
		.destroy = iommufd_veventq_destroy,
	},
	[IOMMUFD_OBJ_HW_QUEUE] = {
		.destroy = iommufd_hw_queue_destroy,
	},
#ifdef CONFIG_IOMMUFD_TEST
	[IOMMUFD_OBJ_SELFTEST] = {
		.destroy = iommufd_selftest_destroy,
	},
#endif
};

static int iommufd_destroy(struct iommufd_ucmd *ucmd)
{
	struct iommu_destroy *cmd = ucmd->cmd;

	return iommufd_object_destroy_id(ucmd->ictx, cmd->id);
}

/* Room for any command; what a handler gets as iommufd_ucmd.cmd */
union iommufd_ucmd_buffer {
	struct iommu_destroy destroy;
	struct iommu_fault_alloc fault;
	struct iommu_hw_info info;
	struct iommu_hw_queue_alloc hw_queue;
	struct iommu_hwpt_alloc hwpt;
	struct iommu_hwpt_get_dirty_bitmap get_dirty_bitmap;
	struct iommu_hwpt_invalidate cache;
	struct iommu_hwpt_set_dirty_tracking set_dirty_tracking;
	struct iommu_ioas_alloc alloc;
	struct iommu_ioas_allow_iovas allow_iovas;
	struct iommu_ioas_change_process change_process;
	struct iommu_ioas_copy ioas_copy;
	struct iommu_ioas_iova_ranges iova_ranges;
	struct iommu_ioas_map map;
	struct iommu_ioas_map_file map_file;
	struct iommu_ioas_noiommu_get_pa get_pa;
	struct iommu_ioas_unmap unmap;
	struct iommu_option option;
	struct iommu_vdevice_alloc vdev;
	struct iommu_veventq_alloc veventq;
	struct iommu_vfio_ioas vfio_ioas;
	struct iommu_viommu_alloc viommu;
#ifdef CONFIG_IOMMUFD_TEST
	struct iommu_test_cmd test;
#endif
};

/**
 * struct iommufd_ioctl_op - a row of the dispatch table
 * @cmd: complete command number
 * @size: bytes of the structure this kernel knows
 * @min_size: bytes that the oldest caller has
 * @execute: the handler
 */
struct iommufd_ioctl_op {
	unsigned int cmd;
	u16 size;
	u16 min_size;
	int (*execute)(struct iommufd_ucmd *ucmd);
};

#define IOCTL_OP(_cmd, _fn, _struct, _last)                                    \
	[_IOC_NR(_cmd) - IOMMUFD_CMD_BASE] = {                                 \
		.cmd = _cmd,                                                   \
		.size = sizeof(_struct) +                                      \
			BUILD_BUG_ON_ZERO(sizeof(union iommufd_ucmd_buffer) <  \
					  sizeof(_struct)),                    \
		.min_size = offsetofend(_struct, _last),                       \
		.execute = _fn,                                                \
	}
static const struct iommufd_ioctl_op iommufd_ioctl_ops[] = {
	IOCTL_OP(IOMMU_DESTROY, iommufd_destroy, struct iommu_destroy, id),
	IOCTL_OP(IOMMU_FAULT_QUEUE_ALLOC, iommufd_fault_alloc,
		 struct iommu_fault_alloc, out_fault_fd),
	IOCTL_OP(IOMMU_GET_HW_INFO, iommufd_get_hw_info, struct iommu_hw_info,
		 __reserved),
	IOCTL_OP(IOMMU_HWPT_ALLOC, iommufd_hwpt_alloc, struct iommu_hwpt_alloc,
		 __reserved),
	IOCTL_OP(IOMMU_HWPT_GET_DIRTY_BITMAP, iommufd_hwpt_get_dirty_bitmap,
		 struct iommu_hwpt_get_dirty_bitmap, data),
	IOCTL_OP(IOMMU_HWPT_INVALIDATE, iommufd_hwpt_invalidate,
		 struct iommu_hwpt_invalidate, __reserved),
	IOCTL_OP(IOMMU_HWPT_SET_DIRTY_TRACKING, iommufd_hwpt_set_dirty_tracking,
		 struct iommu_hwpt_set_dirty_tracking, __reserved),
	IOCTL_OP(IOMMU_HW_QUEUE_ALLOC, iommufd_hw_queue_alloc_ioctl,
		 struct iommu_hw_queue_alloc, length),
	IOCTL_OP(IOMMU_IOAS_ALLOC, iommufd_ioas_alloc_ioctl,
		 struct iommu_ioas_alloc, out_ioas_id),
	IOCTL_OP(IOMMU_IOAS_ALLOW_IOVAS, iommufd_ioas_allow_iovas,
		 struct iommu_ioas_allow_iovas, allowed_iovas),
	IOCTL_OP(IOMMU_IOAS_CHANGE_PROCESS, iommufd_ioas_change_process,
		 struct iommu_ioas_change_process, __reserved),
	IOCTL_OP(IOMMU_IOAS_COPY, iommufd_test_ioas_copy,
		 struct iommu_ioas_copy, src_iova),
	IOCTL_OP(IOMMU_IOAS_IOVA_RANGES, iommufd_ioas_iova_ranges,
		 struct iommu_ioas_iova_ranges, out_iova_alignment),
	IOCTL_OP(IOMMU_IOAS_MAP, iommufd_ioas_map, struct iommu_ioas_map, iova),
	IOCTL_OP(IOMMU_IOAS_MAP_FILE, iommufd_ioas_map_file,
		 struct iommu_ioas_map_file, iova),
	IOCTL_OP(IOMMU_IOAS_NOIOMMU_GET_PA, iommufd_ioas_noiommu_get_pa,
		 struct iommu_ioas_noiommu_get_pa, out_phys),
	IOCTL_OP(IOMMU_IOAS_UNMAP, iommufd_ioas_unmap, struct iommu_ioas_unmap,
		 length),
	IOCTL_OP(IOMMU_OPTION, iommufd_option, struct iommu_option, val64),
	IOCTL_OP(IOMMU_VDEVICE_ALLOC, iommufd_vdevice_alloc_ioctl,
		 struct iommu_vdevice_alloc, virt_id),
	IOCTL_OP(IOMMU_VEVENTQ_ALLOC, iommufd_veventq_alloc,
		 struct iommu_veventq_alloc, out_veventq_fd),
	IOCTL_OP(IOMMU_VFIO_IOAS, iommufd_vfio_ioas, struct iommu_vfio_ioas,
		 __reserved),
	IOCTL_OP(IOMMU_VIOMMU_ALLOC, iommufd_viommu_alloc_ioctl,
		 struct iommu_viommu_alloc, out_viommu_id),
#ifdef CONFIG_IOMMUFD_TEST
	IOCTL_OP(IOMMU_TEST_CMD, iommufd_test, struct iommu_test_cmd, last),
#endif
};

/*
 * Check the bytes of a structure that this kernel does not know, of which there
 * may be gigabytes: in pieces, so that the caller can be killed.
 */
static int ioctl_check_tail(const void __user *uptr, size_t len)
{
	while (len) {
		size_t chunk = min_t(size_t, len, PAGE_SIZE);
		int rc = check_zeroed_user(uptr, chunk);

		if (rc < 0)
			return rc;
		if (!rc)
			return -E2BIG;
		uptr += chunk;
		len -= chunk;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Read the structure of a call, whatever its size; checks the command, too */
static noinline int ioctl_read_any(const struct iommufd_ioctl_op *op,
				   unsigned int cmd, struct iommufd_ucmd *ucmd)
{
	int rc;

	/* Every structure starts with its size as the caller knows it */
	if (get_user(ucmd->user_size, (u32 __user *)ucmd->ubuffer))
		return -EFAULT;
	if (op->cmd != cmd)
		return -ENOIOCTLCMD;
	if (ucmd->user_size < op->min_size)
		return -EINVAL;
	if (ucmd->user_size > PAGE_SIZE) {
		rc = ioctl_check_tail(ucmd->ubuffer + op->size,
				      ucmd->user_size - op->size);
		if (rc)
			return rc;
		/* The rest is zero: the caller means what this kernel knows */
		ucmd->user_size = op->size;
	}
	return copy_struct_from_user(ucmd->cmd, op->size, ucmd->ubuffer,
				     ucmd->user_size);
}

/* Read a structure of a size that the compiler knows, a multiple of 8 bytes */
static __always_inline bool ioctl_read_words(struct iommufd_ucmd *ucmd,
					     const u32 size)
{
	const void __user *from = ucmd->ubuffer;
	unsigned long *to = ucmd->cmd;
	u32 i;

	scoped_user_read_access_size(from, size, efault) {
		const unsigned long __user *words = from;

		unrolled_count(8)
		for (i = 0; i != size / sizeof(*to); i++)
			unsafe_get_user(to[i], words + i, efault);
	}
	ucmd->user_size = *(u32 *)to;
	if (likely(ucmd->user_size == size))
		return true;
efault:
	return false;
}

/*
 * Read a structure that is as large as this kernel's. Others and what goes wrong
 * are left to ioctl_read_any(), and so are other sizes than those of the calls
 * that map, unmap and invalidate. They come by the million, and to copy a few
 * words one by one costs least.
 */
static __always_inline bool ioctl_read(const struct iommufd_ioctl_op *op,
				       struct iommufd_ucmd *ucmd)
{
	const u32 map = sizeof(struct iommu_ioas_map);
	const u32 unmap = sizeof(struct iommu_ioas_unmap);
	const u32 invalidate = sizeof(struct iommu_hwpt_invalidate);

	if (op->size == map)
		return ioctl_read_words(ucmd, map);
	if (op->size == unmap)
		return ioctl_read_words(ucmd, unmap);
	return op->size == invalidate && ioctl_read_words(ucmd, invalidate);
}

static long iommufd_fops_ioctl(struct file *filp, unsigned int cmd,
			       unsigned long arg)
{
	struct iommufd_ctx *ictx = filp->private_data;
	const struct iommufd_ioctl_op *op;
	/* What a handler looks at is filled below; the rest is not cleared */
	union iommufd_ucmd_buffer buf __uninitialized;
	struct iommufd_ucmd ucmd = {
		.ictx = ictx,
		.ubuffer = (void __user *)arg,
		.cmd = &buf,
	};
	unsigned int nr = _IOC_NR(cmd) - IOMMUFD_CMD_BASE;
	int ret;

	/* Numbers below the base wrap */
	if (nr >= ARRAY_SIZE(iommufd_ioctl_ops))
		return iommufd_vfio_ioctl(ictx, cmd, arg);
	nr = array_index_nospec(nr, ARRAY_SIZE(iommufd_ioctl_ops));

	op = &iommufd_ioctl_ops[nr];
	if (op->cmd != cmd || !ioctl_read(op, &ucmd)) {
		ret = ioctl_read_any(op, cmd, &ucmd);
		if (ret)
			return ret;
	}

	ret = op->execute(&ucmd);
	if (ucmd.new_obj) {
		if (ret < 0)
			iommufd_object_abort_and_destroy(ictx, ucmd.new_obj);
		else
			iommufd_object_finalize(ictx, ucmd.new_obj);
	}
	return ret;
}

static const struct file_operations iommufd_fops = {
	.owner = THIS_MODULE,
	.open = iommufd_ctx_fops_open,
	.release = iommufd_ctx_fops_release,
	.unlocked_ioctl = iommufd_fops_ioctl,
	/* Every structure has one layout for 32 and 64 bits */
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = iommufd_ctx_fops_mmap,
#ifdef CONFIG_PROC_FS
	.show_fdinfo = iommufd_fdinfo_show,
#endif
};

static int __init iommufd_init(void)
{
	int ret;

	ret = iommufd_object_init();
	if (ret)
		return ret;

	ret = iopt_pfnmap_setup();
	if (ret)
		goto err_object;
	ret = iommufd_ctx_init(&iommufd_fops, iommufd_object_ops,
			       iommufd_vfio_left);
	if (ret)
		goto err_pfnmap;
	ret = iommufd_test_init();
	if (ret)
		goto err_ctx;
	return 0;

err_ctx:
	iommufd_ctx_exit();
err_pfnmap:
	iopt_pfnmap_cleanup();
err_object:
	iommufd_object_exit();
	return ret;
}

static void __exit iommufd_exit(void)
{
	iommufd_test_exit();
	iommufd_ctx_exit();
	iopt_pfnmap_cleanup();
	iommufd_object_exit();
}

module_init(iommufd_init);
module_exit(iommufd_exit);

#if IS_ENABLED(CONFIG_IOMMUFD_VFIO_CONTAINER)
MODULE_ALIAS_MISCDEV(VFIO_MINOR);
MODULE_ALIAS("devname:vfio/vfio");
#endif
MODULE_IMPORT_NS("IOMMUFD_INTERNAL");
MODULE_IMPORT_NS("IOMMUFD");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("GENERIC_PT_IOMMU");
MODULE_DESCRIPTION("I/O address spaces for user space, behind /dev/iommu");
MODULE_LICENSE("GPL");
