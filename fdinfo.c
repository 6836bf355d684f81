// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo/FD tells about a context. The keys and values are part of
 * the user ABI, Documentation/userspace-api/iommufd.rst has them.
 *
 * Whoever looks is in nobody's way, and does not wait. Somebody may have stopped
 * in the middle of pinning memory, for ever; so of the locks that are held
 * meanwhile none is taken here, but tried, and where that fails the value is
 * "busy". Most values are kept by those who change them, so that it does not
 * matter how many mappings there are.
 */
#include <linux/pid.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/string_choices.h>
#include <linux/user_namespace.h>

#include "access.h"
#include "attach.h"
#include "ctx.h"
#include "fault.h"
#include "fdinfo.h"
#include "group.h"
#include "hw_pagetable.h"
#include "ioas.h"
#include "pages.h"

static const char *mode_name(enum iommufd_account_mode mode)
{
	switch (mode) {
	case IOMMUFD_ACCOUNT_USER:
		return "user";
	case IOMMUFD_ACCOUNT_MM:
		return "process";
	case IOMMUFD_ACCOUNT_TYPE1:
		return "type1";
	case IOMMUFD_ACCOUNT_NONE:
		break;
	}
	return "none";
}

/*
 * The context
 */

/*
 * What all IOASes have pinned, less what they share. That is rare, so it is counted
 * apart, and those who map and unmap need not count anything for this.
 */
static unsigned long ctx_pinned(struct iommufd_ctx *ictx)
{
	struct iommufd_object *obj;
	struct iommufd_ioas *ioas;
	long npages = 0;
	unsigned long id;

	for (id = 1; (obj = iommufd_object_look(ictx, id));) {
		id = obj->id + 1UL;
		ioas = container_of(obj, struct iommufd_ioas, obj);
		if (obj->type == IOMMUFD_OBJ_IOAS)
			npages += iopt_count_pinned(&ioas->iopt);
		iommufd_object_look_away(obj);
		cond_resched();
	}
	npages -= atomic_long_read(&ictx->shared_pins);
	/* The sum may be wrong by what changes while it is made */
	return (unsigned long)max(npages, 0L) << PAGE_SHIFT;
}

static void show_container(struct seq_file *m, struct iommufd_ctx *ictx)
{
	bool no_iommu;
	u32 id = 0;

	scoped_guard(spinlock, &ictx->objects.xa_lock) {
		no_iommu = ictx->no_iommu_mode;
		if (ictx->vfio_ioas)
			id = ictx->vfio_ioas->obj.id;
	}
	if (id)
		seq_printf(m, "iommufd-container:\t%u\n", id);
	else
		seq_printf(m, "iommufd-container:\t%s\n",
			   no_iommu ? "no-iommu" : "none");
}

static void show_ctx(struct seq_file *m, struct iommufd_ctx *ictx)
{
	seq_printf(m, "iommufd-context:\t%llu\n", ictx->serial);
	seq_printf(m, "iommufd-accounting:\t%s\n",
		   mode_name(READ_ONCE(ictx->map_policy.account_mode)));
	seq_printf(m, "iommufd-pinned:\t%lu\n", ctx_pinned(ictx));
	show_container(m, ictx);
}

/*
 * Objects
 */

static void show_bill(struct seq_file *m, u32 id, struct pages_bill *bill)
{
	struct pid_namespace *ns = proc_pid_ns(file_inode(m->file)->i_sb);

	seq_printf(m, "iommufd-ioas-%u-payer-pid:\t%d\n", id,
		   pid_nr_ns(bill->pid, ns));
	if (bill->mode == IOMMUFD_ACCOUNT_NONE)
		return;
	if (bill->mode == IOMMUFD_ACCOUNT_USER)
		seq_printf(m, "iommufd-ioas-%u-payer-uid:\t%u\n", id,
			   from_kuid_munged(seq_user_ns(m), bill->uid));
	seq_printf(m, "iommufd-ioas-%u-charged:\t%lu\n", id,
		   bill->charged << PAGE_SHIFT);
	if (bill->limit == RLIM_INFINITY)
		seq_printf(m, "iommufd-ioas-%u-limit:\tunlimited\n", id);
	else
		seq_printf(m, "iommufd-ioas-%u-limit:\t%lu\n", id, bill->limit);
}

static void show_payer(struct seq_file *m, struct iommufd_ioas *ioas)
{
	struct pages_bill bill;
	u32 id = ioas->obj.id;

	switch (iopt_report_payer(&ioas->iopt, &bill)) {
	case 0:
		seq_printf(m, "iommufd-ioas-%u-accounting:\t%s\n", id,
			   mode_name(bill.mode));
		show_bill(m, id, &bill);
		put_pid(bill.pid);
		break;
	case -EBUSY:
		seq_printf(m, "iommufd-ioas-%u-accounting:\tbusy\n", id);
		break;
	}
}

static void show_ioas(struct seq_file *m, struct iommufd_ioas *ioas)
{
	struct iopt_report report;
	u32 id = ioas->obj.id;

	iopt_report(&ioas->iopt, &report);
	seq_printf(m, "iommufd-ioas-%u-mapped:\t%lu\n", id, report.mapped);
	seq_printf(m, "iommufd-ioas-%u-areas:\t%lu\n", id, report.areas);
	seq_printf(m, "iommufd-ioas-%u-pinned:\t%lu\n", id, report.pinned);
	seq_printf(m, "iommufd-ioas-%u-access-pinned:\t%lu\n", id,
		   report.access_pinned);
	seq_printf(m, "iommufd-ioas-%u-domains:\t%u\n", id, report.domains);
	seq_printf(m, "iommufd-ioas-%u-huge-pages:\t%s\n", id,
		   str_on_off(report.large_pages));
	seq_printf(m, "iommufd-ioas-%u-dirty-log:\t%s\n", id,
		   str_on_off(report.log_on));
	show_payer(m, ioas);
}

/* What the HWPT refers to stays for as long as it does */
static void show_hwpt(struct seq_file *m, struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_hwpt_paging *stage2 = hwpt_stage2(hwpt);
	const struct iopt_dirty_state *dirty =
		&stage2->iopt_domain.dirty[IOPT_DIRTY_HWPT];
	u32 id = hwpt->obj.id;
	const char *type = "paging";

	if (!hwpt_is_paging(hwpt))
		type = "nested";
	else if (hwpt_is_noiommu(hwpt))
		type = "noiommu";
	seq_printf(m, "iommufd-hwpt-%u-type:\t%s\n", id, type);
	seq_printf(m, "iommufd-hwpt-%u-ioas:\t%u\n", id, stage2->ioas->obj.id);
	if (!hwpt_is_paging(hwpt)) {
		seq_printf(m, "iommufd-hwpt-%u-parent:\t%u\n", id,
			   stage2->common.obj.id);
	} else {
		seq_printf(m, "iommufd-hwpt-%u-auto:\t%s\n", id,
			   str_on_off(stage2->auto_domain));
		seq_printf(m, "iommufd-hwpt-%u-dirty-tracking:\t%s\n", id,
			   str_on_off(READ_ONCE(dirty->on)));
	}
	if (hwpt->fault)
		seq_printf(m, "iommufd-hwpt-%u-fault:\t%u\n", id,
			   hwpt->fault->common.obj.id);
}

/**
 * struct device_show - a device that is being shown
 * @m: where to
 * @id: of the device
 * @attached: DMA without PASID is
 * @pasids: how many others are
 */
struct device_show {
	struct seq_file *m;
	u32 id;
	bool attached;
	unsigned int pasids;
};

static void show_attachment(void *data, ioasid_t pasid,
			    struct iommufd_hw_pagetable *hwpt)
{
	u32 ioas_id = hwpt_stage2(hwpt)->ioas->obj.id;
	struct device_show *show = data;

	if (pasid == IOMMU_NO_PASID) {
		show->attached = true;
		seq_printf(show->m, "iommufd-device-%u-hwpt:\t%u\n", show->id,
			   hwpt->obj.id);
		seq_printf(show->m, "iommufd-device-%u-ioas:\t%u\n", show->id,
			   ioas_id);
		return;
	}
	show->pasids++;
	seq_printf(show->m, "iommufd-device-%u-pasid-%u-hwpt:\t%u\n", show->id,
		   pasid, hwpt->obj.id);
	seq_printf(show->m, "iommufd-device-%u-pasid-%u-ioas:\t%u\n", show->id,
		   pasid, ioas_id);
}

static void show_device(struct seq_file *m, struct iommufd_device *idev)
{
	struct device_show show = { .m = m, .id = idev->obj.id };

	seq_printf(m, "iommufd-device-%u-name:\t%s\n", show.id,
		   dev_name(idev->dev));
	if (idev->noiommu)
		seq_printf(m, "iommufd-device-%u-group:\tnone\n", show.id);
	else
		seq_printf(m, "iommufd-device-%u-group:\t%d\n", show.id,
			   iommu_group_id(idev->igroup->group));
	if (!iommufd_attach_try_each(idev, show_attachment, &show)) {
		seq_printf(m, "iommufd-device-%u-hwpt:\tbusy\n", show.id);
		return;
	}
	if (!show.attached)
		seq_printf(m, "iommufd-device-%u-hwpt:\tnone\n", show.id);
	seq_printf(m, "iommufd-device-%u-pasids:\t%u\n", show.id, show.pasids);
}

static void show_access(struct seq_file *m, struct iommufd_access *access)
{
	u32 id = access->obj.id;

	if (!down_read_trylock(&access->lock)) {
		seq_printf(m, "iommufd-access-%u-ioas:\tbusy\n", id);
		return;
	}
	if (access->ioas)
		seq_printf(m, "iommufd-access-%u-ioas:\t%u\n", id,
			   access->ioas->obj.id);
	else
		seq_printf(m, "iommufd-access-%u-ioas:\tnone\n", id);
	up_read(&access->lock);
}

static void show_object(struct seq_file *m, struct iommufd_object *obj)
{
	switch (obj->type) {
	case IOMMUFD_OBJ_IOAS:
		show_ioas(m, container_of(obj, struct iommufd_ioas, obj));
		break;
	case IOMMUFD_OBJ_HWPT_PAGING:
	case IOMMUFD_OBJ_HWPT_NESTED:
		show_hwpt(m, container_of(obj, struct iommufd_hw_pagetable,
					  obj));
		break;
	case IOMMUFD_OBJ_DEVICE:
		show_device(m, container_of(obj, struct iommufd_device, obj));
		break;
	case IOMMUFD_OBJ_ACCESS:
		show_access(m, container_of(obj, struct iommufd_access, obj));
		break;
	default:
		break;
	}
}

/**
 * iommufd_fdinfo_show() - the show_fdinfo operation
 * @m: where to
 * @filp: the file of a context
 */
void iommufd_fdinfo_show(struct seq_file *m, struct file *filp)
{
	struct iommufd_ctx *ictx = filp->private_data;
	struct iommufd_object *obj;
	unsigned long id;

	show_ctx(m, ictx);
	for (id = 1; (obj = iommufd_object_look(ictx, id));) {
		id = obj->id + 1UL;
		show_object(m, obj);
		iommufd_object_look_away(obj);
		if (seq_has_overflowed(m))
			return;
		cond_resched();
	}
}
