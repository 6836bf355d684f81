// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach, replace and detach: what the DMA of a device, or of one PASID of it,
 * is translated by. Which HWPT that is has been chosen, see auto_hwpt.c.
 *
 * The hardware knows groups only, so there is one HWPT for each PASID of a
 * group. The first device programs the hardware, the last one takes it back to
 * blocked, those between merely join in; a replacement moves all of them.
 *
 * A device that is attached without PASID has its reserved regions kept out of
 * the IOVA space, from before the hardware uses the domain until it has stopped.
 * So a replacement has them in both spaces for a while, and inside one IOAS does
 * not touch them; whatever fails takes back only what it did itself.
 */
#include <linux/list.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "attach.h"
#include "fault.h"
#include "group.h"
#include "hw_pagetable.h"
#include "refusal.h"
#include "sw_msi.h"
#include "test_hooks.h"

/**
 * struct iommufd_attach - an attached PASID of a group
 * @hwpt: where to; a user of it
 * @handle: what the iommu core has for it; unused without an IOMMU
 * @devices: struct iommufd_device by object ID
 *
 * In iommufd_group.attachments and protected by iommufd_group.lock.
 */
struct iommufd_attach {
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_attach_handle *handle;
	struct xarray devices;
};

static bool attach_has_device(struct iommufd_attach *attach,
			      struct iommufd_device *idev)
{
	return attach && xa_load(&attach->devices, idev->obj.id);
}

/**
 * iommufd_attach_peek() - find out what is attached
 * @idev: a device
 * @pasid: its PASID
 * @hwpt: receives what the group of the device is attached to, or NULL; only to
 *	be compared with
 *
 * Return: whether the device takes part in that.
 */
bool iommufd_attach_peek(struct iommufd_device *idev, ioasid_t pasid,
			 struct iommufd_hw_pagetable **hwpt)
{
	struct iommufd_attach *attach;

	guard(mutex)(&idev->igroup->lock);
	attach = xa_load(&idev->igroup->attachments, pasid);
	*hwpt = attach ? attach->hwpt : NULL;
	return attach_has_device(attach, idev);
}

/**
 * iommufd_attach_try_each() - look at what a device is attached to
 * @idev: the device
 * @fn: called for each PASID in ascending order, IOMMU_NO_PASID first; must not
 *	sleep for long
 * @data: passed on to @fn
 *
 * Return: false when somebody changes it just now; does not wait.
 */
bool iommufd_attach_try_each(struct iommufd_device *idev,
			     iommufd_attach_fn_t fn, void *data)
{
	struct iommufd_attach *attach;
	unsigned long pasid;

	if (!mutex_trylock(&idev->igroup->lock))
		return false;
	xa_for_each(&idev->igroup->attachments, pasid, attach) {
		if (attach_has_device(attach, idev))
			fn(data, pasid, attach->hwpt);
	}
	mutex_unlock(&idev->igroup->lock);
	return true;
}

/*
 * Reserved regions
 */

static int reserve_region(struct io_pagetable *iopt,
			  struct iommufd_device *idev,
			  struct iommu_resv_region *resv)
{
	u64 last = (u64)resv->start + resv->length - 1;
	int rc;

	/* Devices may go beyond what a 32-bit kernel can map anyway */
	if (resv->type == IOMMU_RESV_DIRECT_RELAXABLE || !resv->length ||
	    resv->start > ULONG_MAX)
		return 0;
	rc = iopt_reserve(iopt, resv->start, min_t(u64, last, ULONG_MAX), idev);
	if (rc == -EADDRINUSE)
		iommufd_refuse_at(rc, REFUSED_RESERVED_IN_USE,
				  &(struct iommufd_place){
					  idev->dev, resv->start, last });
	return rc;
}

/**
 * struct msi_window - where the doorbells of a device go
 * @start: first byte
 * @size: bytes, 0 when its IOMMU driver asks for no software MSI
 */
struct msi_window {
	phys_addr_t start;
	phys_addr_t size;
};

/*
 * Find the window for software MSI in a device's regions. Returns -EINVAL when
 * the IOMMU driver contradicts itself.
 */
static int find_sw_msi(struct list_head *regions, struct msi_window *window)
{
	struct iommu_resv_region *resv;
	bool hw_msi = false;

	*window = (struct msi_window){};
	list_for_each_entry(resv, regions, list) {
		if (resv->type == IOMMU_RESV_MSI)
			hw_msi = true;
		if (resv->type != IOMMU_RESV_SW_MSI)
			continue;
		if (WARN_ON_ONCE(window->size))
			return -EINVAL;
		window->start = resv->start;
		window->size = resv->length;
	}
	if (WARN_ON_ONCE(window->size && hw_msi))
		return -EINVAL;
	return 0;
}

/*
 * Reserve all regions of a device in an IOVA space, or on failure none. With
 * @window, tell which of them is for software MSI.
 */
static int reserve_regions(struct iommufd_device *idev,
			   struct io_pagetable *iopt, struct msi_window *window)
{
	struct iommu_resv_region *resv;
	LIST_HEAD(regions);
	int rc = 0;

	if (iommufd_should_fail())
		return -EINVAL;

	iommu_get_resv_regions(idev->dev, &regions);
	list_for_each_entry(resv, &regions, list) {
		rc = reserve_region(iopt, idev, resv);
		if (rc)
			goto out;
	}
	if (window)
		rc = find_sw_msi(&regions, window);
out:
	if (rc)
		iopt_unreserve(iopt, idev);
	iommu_put_resv_regions(idev->dev, &regions);
	return rc;
}

/*
 * Does an attachment translate DMA without PASID, which names only the requester
 * (RID)? The regions that devices reserve are about such DMA, and interrupts are
 * written by it. Without an IOMMU nothing is translated.
 */
static bool attach_translates_rid(struct iommufd_device *idev, ioasid_t pasid)
{
	return pasid == IOMMU_NO_PASID && !idev->noiommu;
}

static struct io_pagetable *hwpt_iopt(struct iommufd_hw_pagetable *hwpt)
{
	return &hwpt_stage2(hwpt)->ioas->iopt;
}

/*
 * Checks
 */

/* What must hold of each device of an attachment */
static int check_device(struct iommufd_device *idev, ioasid_t pasid,
			struct iommufd_hw_pagetable *hwpt)
{
	struct device *dev = idev->dev;

	if (idev->noiommu)
		return 0;
	/*
	 * A VF shares the page request interface of its PF. Requests would come
	 * with the PF as their source, if it was enabled at all.
	 */
	if (hwpt->fault && dev_is_pci(dev) && to_pci_dev(dev)->is_virtfn &&
	    pci_pri_supported(to_pci_dev(dev)))
		return iommufd_refuse(-EINVAL, REFUSED_VF_PAGE_REQUESTS, dev);
	/* The core does not look at members of the group that have no PASIDs */
	if (pasid != IOMMU_NO_PASID && !dev->iommu->max_pasids)
		return iommufd_refuse(hwpt->domain->ops->set_dev_pasid ?
					      -EINVAL : -EOPNOTSUPP,
				      REFUSED_DEVICE_NO_PASID, dev);
	return 0;
}

/*
 * A domain that is not PASID compatible may be installed in a way that leaves
 * no room for PASIDs beside it.
 */
static int check_pasid(struct iommufd_device *idev, ioasid_t pasid,
		       struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attach *attach;
	unsigned long index = 1;

	lockdep_assert_held(&igroup->lock);

	if (pasid == IOMMU_NO_PASID) {
		if (hwpt->pasid_compat ||
		    !xa_find(&igroup->attachments, &index, ULONG_MAX,
			     XA_PRESENT))
			return 0;
	} else if (hwpt->pasid_compat) {
		attach = xa_load(&igroup->attachments, IOMMU_NO_PASID);
		if (!attach || attach->hwpt->pasid_compat)
			return 0;
	}
	return iommufd_refuse(-EINVAL, REFUSED_HWPT_NO_PASID, idev->dev);
}

/*
 * Hardware
 */

static struct iommufd_attach_handle *handle_alloc(struct iommufd_group *igroup)
{
	struct iommufd_attach_handle *handle;

	handle = kzalloc_obj(*handle, GFP_KERNEL_ACCOUNT);
	if (!handle)
		return NULL;
	handle->sw_msi.group = &igroup->sw_msi;
	handle->igroup = igroup;
	return handle;
}

static int hw_attach(struct iommufd_device *idev, ioasid_t pasid,
		     struct iommufd_hw_pagetable *hwpt,
		     struct iommufd_attach_handle *handle)
{
	if (idev->noiommu)
		return 0;
	if (pasid == IOMMU_NO_PASID)
		return iommu_attach_group_handle(hwpt->domain,
						 idev->igroup->group,
						 &handle->sw_msi.handle);
	return iommu_attach_device_pasid(hwpt->domain, idev->dev, pasid,
					 &handle->sw_msi.handle);
}

static int hw_replace(struct iommufd_device *idev, ioasid_t pasid,
		      struct iommufd_hw_pagetable *hwpt,
		      struct iommufd_attach_handle *handle)
{
	if (idev->noiommu)
		return 0;
	if (pasid != IOMMU_NO_PASID)
		return iommu_replace_device_pasid(hwpt->domain, idev->dev,
						  pasid,
						  &handle->sw_msi.handle);
	/* For the other calls the core checks the owner, and not for this one */
	if (hwpt->domain->owner != dev_iommu_ops(idev->dev))
		return iommufd_refuse(-EINVAL, REFUSED_OTHER_IOMMU, idev->dev);
	return iommu_replace_group_handle(idev->igroup->group, hwpt->domain,
					  &handle->sw_msi.handle);
}

static void hw_detach(struct iommufd_device *idev, ioasid_t pasid,
		      struct iommufd_hw_pagetable *hwpt)
{
	if (idev->noiommu)
		return;
	if (pasid == IOMMU_NO_PASID)
		iommu_detach_group_handle(hwpt->domain, idev->igroup->group);
	else
		iommu_detach_device_pasid(hwpt->domain, idev->dev, pasid);
}

/*
 * Attach
 */

static void attach_free(struct iommufd_attach *attach)
{
	xa_destroy(&attach->devices);
	kfree(attach->handle);
	kfree(attach);
}

static struct iommufd_attach *attach_alloc(struct iommufd_device *idev,
					   struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_attach *attach;

	attach = kzalloc_obj(*attach, GFP_KERNEL_ACCOUNT);
	if (!attach)
		return NULL;
	attach->hwpt = hwpt;
	xa_init_flags(&attach->devices, XA_FLAGS_ACCOUNT);
	attach->handle = handle_alloc(idev->igroup);
	if (!attach->handle) {
		attach_free(attach);
		return NULL;
	}
	return attach;
}

/* Have a device join an attachment, in all but the hardware */
static int attach_add_device(struct iommufd_attach *attach,
			     struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_hw_pagetable *hwpt = attach->hwpt;
	bool regions = attach_translates_rid(idev, pasid);
	struct msi_window window = {};
	int rc;

	lockdep_assert_held(&idev->igroup->lock);
	might_lock(&hwpt_iopt(hwpt)->iova_mutex);
	might_lock(&idev->igroup->sw_msi.ctx->lock);

	rc = xa_insert(&attach->devices, idev->obj.id, idev,
		       GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc;
	if (regions) {
		rc = reserve_regions(idev, hwpt_iopt(hwpt), &window);
		if (rc)
			goto err_erase;
	}
	rc = check_device(idev, pasid, hwpt);
	/* Last, as the group keeps its window for as long as it is attached */
	if (!rc && window.size)
		rc = iommufd_sw_msi_set_window(&idev->igroup->sw_msi,
					       window.start, window.size);
	if (rc)
		goto err_unreserve;

	refcount_inc(&idev->obj.users);
	return 0;

err_unreserve:
	if (regions)
		iopt_unreserve(hwpt_iopt(hwpt), idev);
err_erase:
	xa_erase(&attach->devices, idev->obj.id);
	return rc;
}

/* Let go of a device that was erased from an attachment, or goes with it */
static void attach_put_device(struct iommufd_attach *attach,
			      struct iommufd_device *idev, ioasid_t pasid)
{
	lockdep_assert_held(&idev->igroup->lock);

	if (attach_translates_rid(idev, pasid))
		iopt_unreserve(hwpt_iopt(attach->hwpt), idev);
	refcount_dec(&idev->obj.users);
}

static int attach_hw(struct iommufd_attach *attach, struct iommufd_device *idev,
		     ioasid_t pasid)
{
	struct sw_msi_domain *stage2 = &hwpt_stage2(attach->hwpt)->sw_msi;
	struct sw_msi_group *sw_msi = &idev->igroup->sw_msi;
	bool msi = attach_translates_rid(idev, pasid);
	int rc;

	rc = check_pasid(idev, pasid, attach->hwpt);
	if (rc)
		return rc;
	/* The doorbells come first, lest an interrupt is lost */
	if (msi) {
		rc = iommufd_sw_msi_enter(sw_msi, stage2);
		if (rc)
			return rc;
	}
	rc = hw_attach(idev, pasid, attach->hwpt, attach->handle);
	if (rc && msi)
		iommufd_sw_msi_leave(sw_msi, stage2);
	if (rc)
		iommufd_refuse(rc, REFUSED_IOMMU_DRIVER, idev->dev);
	return rc;
}

static int attach_first(struct iommufd_device *idev, ioasid_t pasid,
			struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attach *attach;
	int rc;

	attach = attach_alloc(idev, hwpt);
	if (!attach)
		return -ENOMEM;
	rc = xa_insert(&igroup->attachments, pasid, attach, GFP_KERNEL_ACCOUNT);
	if (rc)
		goto err_free;
	rc = attach_add_device(attach, idev, pasid);
	if (rc)
		goto err_erase;
	rc = attach_hw(attach, idev, pasid);
	if (rc)
		goto err_remove;
	iommufd_hwpt_get(hwpt);
	return 0;

err_remove:
	attach_put_device(attach, idev, pasid);
err_erase:
	xa_erase(&igroup->attachments, pasid);
	if (pasid == IOMMU_NO_PASID)
		iommufd_sw_msi_clear_window(&igroup->sw_msi);
err_free:
	attach_free(attach);
	return rc;
}

/**
 * iommufd_attach_hwpt() - attach a device to a HWPT
 * @idev: the device
 * @pasid: its PASID
 * @hwpt: the HWPT; if it is automatic, with iommufd_ioas.mutex held
 *
 * Return: an errno of iommufd_device_attach().
 */
int iommufd_attach_hwpt(struct iommufd_device *idev, ioasid_t pasid,
			struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attach *attach;

	guard(mutex)(&igroup->lock);
	attach = xa_load(&igroup->attachments, pasid);
	if (attach_has_device(attach, idev))
		return iommufd_refuse(-EBUSY, REFUSED_ATTACHED_ALREADY,
				      idev->dev);
	if (hwpt_is_noiommu(hwpt) != idev->noiommu)
		return iommufd_refuse(-EINVAL, REFUSED_NOIOMMU, idev->dev);
	if (!attach)
		return attach_first(idev, pasid, hwpt);
	if (attach->hwpt != hwpt)
		return iommufd_refuse(-EINVAL, REFUSED_OTHER_HWPT, idev->dev);
	return attach_add_device(attach, idev, pasid);
}

/*
 * Replace
 */

static void unreserve_all(struct iommufd_attach *attach,
			  struct io_pagetable *iopt)
{
	struct iommufd_device *idev;
	unsigned long id;

	xa_for_each(&attach->devices, id, idev)
		iopt_unreserve(iopt, idev);
}

static int reserve_all(struct iommufd_attach *attach, struct io_pagetable *iopt)
{
	struct iommufd_device *idev;
	unsigned long id;
	int rc;

	xa_for_each(&attach->devices, id, idev) {
		rc = reserve_regions(idev, iopt, NULL);
		if (rc) {
			unreserve_all(attach, iopt);
			return rc;
		}
	}
	return 0;
}

static int check_all(struct iommufd_attach *attach, struct iommufd_device *idev,
		     ioasid_t pasid, struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_device *each;
	unsigned long id;
	int rc;

	xa_for_each(&attach->devices, id, each) {
		rc = check_device(each, pasid, hwpt);
		if (rc)
			return rc;
	}
	return check_pasid(idev, pasid, hwpt);
}

/* Switch the hardware, with all that the group needs ready in both places */
static int replace_hw(struct iommufd_attach *attach,
		      struct iommufd_device *idev, ioasid_t pasid,
		      struct iommufd_hw_pagetable *hwpt,
		      struct iommufd_attach_handle *handle)
{
	struct sw_msi_domain *old = &hwpt_stage2(attach->hwpt)->sw_msi;
	struct sw_msi_domain *next = &hwpt_stage2(hwpt)->sw_msi;
	struct iommufd_group *igroup = idev->igroup;
	bool msi = attach_translates_rid(idev, pasid);
	int rc;

	if (msi) {
		rc = iommufd_sw_msi_enter(&igroup->sw_msi, next);
		if (rc)
			return rc;
	}
	rc = check_all(attach, idev, pasid, hwpt);
	if (!rc) {
		rc = hw_replace(idev, pasid, hwpt, handle);
		if (rc)
			iommufd_refuse(rc, REFUSED_IOMMU_DRIVER, idev->dev);
	}
	if (msi)
		iommufd_sw_msi_leave(&igroup->sw_msi, rc ? next : old);
	return rc;
}

static int replace_attach(struct iommufd_attach *attach,
			  struct iommufd_device *idev, ioasid_t pasid,
			  struct iommufd_hw_pagetable *hwpt)
{
	struct io_pagetable *old_iopt = hwpt_iopt(attach->hwpt);
	struct io_pagetable *new_iopt = hwpt_iopt(hwpt);
	struct iommufd_attach_handle *handle;
	bool regions;
	int rc;

	lockdep_assert_held(&idev->igroup->lock);
	might_lock(&new_iopt->iova_mutex);

	/* Inside one IOAS the regions are reserved already, and stay so */
	regions = attach_translates_rid(idev, pasid) && new_iopt != old_iopt;

	handle = handle_alloc(idev->igroup);
	if (!handle)
		return -ENOMEM;
	if (regions) {
		rc = reserve_all(attach, new_iopt);
		if (rc)
			goto err_free;
	}
	rc = replace_hw(attach, idev, pasid, hwpt, handle);
	if (rc)
		goto err_unreserve;

	iommufd_fault_flush(attach->hwpt, attach->handle, NULL);
	if (regions)
		unreserve_all(attach, old_iopt);
	iommufd_hwpt_get(hwpt);
	attach->hwpt = hwpt;
	swap(attach->handle, handle);
	kfree(handle);
	return 0;

err_unreserve:
	if (regions)
		unreserve_all(attach, new_iopt);
err_free:
	kfree(handle);
	return rc;
}

/**
 * iommufd_replace_hwpt() - move a device, and its group, to another HWPT
 * @idev: the device
 * @pasid: its PASID
 * @hwpt: the HWPT; if it is automatic, with iommufd_ioas.mutex held
 * @stale: receives the HWPT that the caller puts, or NULL
 *
 * Return: an errno of iommufd_device_replace().
 */
int iommufd_replace_hwpt(struct iommufd_device *idev, ioasid_t pasid,
			 struct iommufd_hw_pagetable *hwpt,
			 struct iommufd_hw_pagetable **stale)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hw_pagetable *old;
	struct iommufd_attach *attach;
	int rc;

	*stale = NULL;
	guard(mutex)(&igroup->lock);
	attach = xa_load(&igroup->attachments, pasid);
	if (!attach_has_device(attach, idev))
		return iommufd_refuse(-EINVAL, REFUSED_NOT_ATTACHED, idev->dev);
	old = attach->hwpt;
	if (old == hwpt)
		return 0;
	if (hwpt_is_noiommu(hwpt) != idev->noiommu)
		return iommufd_refuse(-EINVAL, REFUSED_NOIOMMU, idev->dev);
	rc = replace_attach(attach, idev, pasid, hwpt);
	if (rc)
		return rc;
	*stale = old;
	return 0;
}

/*
 * Detach
 */

static void detach_hw(struct iommufd_attach *attach,
		      struct iommufd_device *idev, ioasid_t pasid)
{
	struct sw_msi_group *sw_msi = &idev->igroup->sw_msi;

	lockdep_assert_held(&idev->igroup->lock);

	hw_detach(idev, pasid, attach->hwpt);
	iommufd_fault_flush(attach->hwpt, attach->handle, NULL);
	if (attach_translates_rid(idev, pasid)) {
		iommufd_sw_msi_leave(sw_msi, &hwpt_stage2(attach->hwpt)->sw_msi);
		iommufd_sw_msi_clear_window(sw_msi);
	}
}

/**
 * iommufd_detach_hwpt() - detach a device from what it is attached to
 * @idev: the device
 * @pasid: its PASID
 *
 * Return: the HWPT that the caller puts, or NULL when nothing was attached, or
 * others of the group stay attached.
 */
struct iommufd_hw_pagetable *iommufd_detach_hwpt(struct iommufd_device *idev,
						 ioasid_t pasid)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hw_pagetable *hwpt = NULL;
	struct iommufd_attach *attach;
	unsigned long id = 0;
	bool last;

	guard(mutex)(&igroup->lock);
	attach = xa_load(&igroup->attachments, pasid);
	/* An attachment of siblings only is not for this device to end */
	if (!attach_has_device(attach, idev))
		return NULL;

	xa_erase(&attach->devices, idev->obj.id);
	last = !xa_find(&attach->devices, &id, ULONG_MAX, XA_PRESENT);
	if (last)
		detach_hw(attach, idev, pasid);
	/* Regions stay reserved for as long as the hardware translates */
	attach_put_device(attach, idev, pasid);
	if (last) {
		hwpt = attach->hwpt;
		xa_erase(&igroup->attachments, pasid);
		attach_free(attach);
	}
	return hwpt;
}

/**
 * iommufd_attach_flush_faults() - a device goes, others of its group may stay
 * @idev: the device, not bound any more, so that no fault of it is queued
 *
 * Answers all page faults of the device that wait in queues.
 */
void iommufd_attach_flush_faults(struct iommufd_device *idev)
{
	struct iommufd_attach *attach;
	unsigned long pasid;

	guard(mutex)(&idev->igroup->lock);
	xa_for_each(&idev->igroup->attachments, pasid, attach)
		iommufd_fault_flush(attach->hwpt, attach->handle, idev->dev);
}
