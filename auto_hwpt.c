// SPDX-License-Identifier: GPL-2.0-only
/*
 * What drivers call to attach, replace and detach, and the choice of a HWPT for
 * a device that is attached to an IOAS.
 *
 * Such a HWPT is automatic: it is made by the first attachment that needs it,
 * shared by those that it suits, and goes with the last one. Attachments to an
 * automatic HWPT come and are dropped under iommufd_ioas.mutex, so that the last
 * one is known for certain. The HWPT is then destroyed without any lock, since
 * that waits for ioctls.
 */
#include <linux/list.h>
#include <linux/module.h>
#include <trace/events/iommufd.h>

#include "attach.h"
#include "group.h"
#include "hw_pagetable.h"
#include "refusal.h"

/**
 * struct iommufd_change - one call of attach or replace
 * @idev: device
 * @pasid: its PASID
 * @replace: it is a replace
 * @stale: HWPT that was replaced, to be put without a lock, or NULL
 */
struct iommufd_change {
	struct iommufd_device *idev;
	ioasid_t pasid;
	bool replace;
	struct iommufd_hw_pagetable *stale;
};

static int change_hwpt(struct iommufd_change *change,
		       struct iommufd_hw_pagetable *hwpt)
{
	if (change->replace)
		return iommufd_replace_hwpt(change->idev, change->pasid, hwpt,
					    &change->stale);
	return iommufd_attach_hwpt(change->idev, change->pasid, hwpt);
}

/*
 * Automatic HWPTs
 */

/*
 * Find out what can be known before a whole domain is filled for nothing. On
 * success, *current_hwpt is what the group is attached to, or NULL; only to be
 * compared with.
 */
static int check_auto(struct iommufd_change *change,
		      struct iommufd_hw_pagetable **current_hwpt)
{
	bool attached = iommufd_attach_peek(change->idev, change->pasid,
					    current_hwpt);
	struct device *dev = change->idev->dev;

	if (attached && !change->replace)
		return iommufd_refuse(-EBUSY, REFUSED_ATTACHED_ALREADY, dev);
	if (!attached && change->replace)
		return iommufd_refuse(-EINVAL, REFUSED_NOT_ATTACHED, dev);
	/* Automatic HWPTs are not PASID compatible */
	if (change->pasid != IOMMU_NO_PASID)
		return iommufd_refuse(-EINVAL, REFUSED_HWPT_NO_PASID, dev);
	return 0;
}

/*
 * An existing domain is never upgraded, so a device which is said to have its
 * no-snoop overridden needs one that does, unless its group is attached to the
 * domain already.
 */
static bool auto_hwpt_suits(struct iommufd_hwpt_paging *hwpt_paging,
			    struct iommufd_device *idev,
			    struct iommufd_hw_pagetable *current_hwpt)
{
	if (hwpt_is_noiommu(&hwpt_paging->common) != idev->noiommu)
		return false;
	return &hwpt_paging->common == current_hwpt ||
	       hwpt_paging->iopt_domain.coherent ||
	       !idev->enforce_cache_coherency;
}

/* Returns -EINVAL when no existing automatic HWPT is compatible */
static int change_find_auto(struct iommufd_change *change,
			    struct iommufd_ioas *ioas,
			    struct iommufd_hw_pagetable *current_hwpt,
			    u32 *hwpt_id)
{
	struct iommufd_hwpt_paging *hwpt_paging;
	int rc = -EINVAL;

	lockdep_assert_held(&ioas->mutex);

	list_for_each_entry(hwpt_paging, &ioas->hwpt_list, hwpt_item) {
		struct iommufd_hw_pagetable *hwpt = &hwpt_paging->common;

		if (!auto_hwpt_suits(hwpt_paging, change->idev, current_hwpt))
			continue;
		/* HWPTs stay on the list for as long as the lock is held */
		rc = change_hwpt(change, hwpt);
		if (!rc)
			*hwpt_id = hwpt->obj.id;
		if (rc != -EINVAL)
			break;
	}
	return rc;
}

/*
 * Some drivers complete a domain only when it is attached to a device, so an
 * attach comes before anything is mapped. On replace nothing may be missing for
 * a moment.
 */
static int change_and_link(struct iommufd_change *change,
			   struct iommufd_hwpt_paging *hwpt_paging)
{
	int rc;

	if (change->replace) {
		rc = iommufd_hwpt_paging_link(hwpt_paging);
		if (rc)
			return rc;
		return change_hwpt(change, &hwpt_paging->common);
	}

	rc = change_hwpt(change, &hwpt_paging->common);
	if (rc)
		return rc;
	rc = iommufd_hwpt_paging_link(hwpt_paging);
	/* Nobody else has seen the HWPT, so the caller aborts it */
	if (rc && !WARN_ON_ONCE(!iommufd_detach_hwpt(change->idev, change->pasid)))
		refcount_dec(&hwpt_paging->common.obj.users);
	return rc;
}

/*
 * The dirty log of a VFIO container is of use only with domains that track, and
 * its user has no way to ask for them.
 */
static u32 auto_flags(struct iommufd_device *idev, struct iommufd_ioas *ioas)
{
	if (READ_ONCE(idev->ictx->vfio_ioas) != ioas ||
	    READ_ONCE(ioas->vfio_type1) ||
	    !device_iommu_capable(idev->dev, IOMMU_CAP_DIRTY_TRACKING))
		return 0;
	return IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
}

static int change_make_auto(struct iommufd_change *change,
			    struct iommufd_ioas *ioas, u32 flags, u32 *hwpt_id)
{
	struct iommufd_ctx *ictx = change->idev->ictx;
	struct iommufd_hwpt_paging *hwpt_paging;
	int rc;

	lockdep_assert_held(&ioas->mutex);

	hwpt_paging = iommufd_object_alloc(ictx, hwpt_paging,
					   IOMMUFD_OBJ_HWPT_PAGING, common.obj);
	if (IS_ERR(hwpt_paging))
		return PTR_ERR(hwpt_paging);
	rc = iommufd_hwpt_paging_init(hwpt_paging, ioas, change->idev, flags,
				      NULL);
	if (rc)
		goto err_abort;
	hwpt_paging->auto_domain = true;
	rc = change_and_link(change, hwpt_paging);
	if (rc)
		goto err_abort;
	*hwpt_id = hwpt_paging->common.obj.id;
	list_add_tail(&hwpt_paging->hwpt_item, &ioas->hwpt_list);
	iommufd_object_finalize(ictx, &hwpt_paging->common.obj);
	return 0;

err_abort:
	iommufd_object_abort_and_destroy(ictx, &hwpt_paging->common.obj);
	return rc;
}

static int change_ioas(struct iommufd_change *change, struct iommufd_ioas *ioas,
		       u32 *hwpt_id)
{
	struct iommufd_hw_pagetable *current_hwpt;
	u32 flags;
	int rc;

	/* Somebody may fill a HWPT under the lock, for as long as that takes */
	ACQUIRE(mutex_kill, lock)(&ioas->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	rc = check_auto(change, &current_hwpt);
	if (rc)
		return rc;
	/* As in a type1 container, it does not depend on what would be pinned */
	if (!current_hwpt && READ_ONCE(ioas->iopt.invalid_vaddrs))
		return -EBUSY;
	rc = change_find_auto(change, ioas, current_hwpt, hwpt_id);
	if (rc != -EINVAL)
		return rc;
	/* A sibling is attached, and not to the HWPT that would be made */
	if (current_hwpt && !change->replace)
		return iommufd_refuse(-EINVAL, REFUSED_OTHER_HWPT,
				      change->idev->dev);
	flags = auto_flags(change->idev, ioas);
	if (flags) {
		rc = change_make_auto(change, ioas, flags, hwpt_id);
		/* The driver, or another device of the group, may refuse */
		if (rc != -EOPNOTSUPP && rc != -EINVAL)
			return rc;
	}
	return change_make_auto(change, ioas, 0, hwpt_id);
}

/*
 * Entry points
 */

static int change_paging(struct iommufd_change *change,
			 struct iommufd_hwpt_paging *hwpt_paging)
{
	int rc;

	might_lock(&hwpt_paging->ioas->mutex);
	if (!hwpt_paging->auto_domain)
		return change_hwpt(change, &hwpt_paging->common);

	ACQUIRE(mutex_kill, lock)(&hwpt_paging->ioas->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	/* The last attachment of the HWPT went since it was looked up */
	if (!hwpt_paging->attached)
		return -ENOENT;
	return change_hwpt(change, &hwpt_paging->common);
}

static int change_object(struct iommufd_change *change,
			 struct iommufd_object *obj, u32 *pt_id)
{
	switch (obj->type) {
	case IOMMUFD_OBJ_HWPT_NESTED:
		return change_hwpt(change,
				   container_of(obj,
						struct iommufd_hw_pagetable,
						obj));
	case IOMMUFD_OBJ_HWPT_PAGING:
		return change_paging(change,
				     container_of(obj,
						  struct iommufd_hwpt_paging,
						  common.obj));
	case IOMMUFD_OBJ_IOAS:
		return change_ioas(change,
				   container_of(obj, struct iommufd_ioas, obj),
				   pt_id);
	default:
		return iommufd_refuse(-EINVAL, REFUSED_NO_PAGE_TABLE,
				      change->idev->dev);
	}
}

static int device_change(struct iommufd_change *change, u32 *pt_id)
{
	struct iommufd_ctx *ictx = change->idev->ictx;
	struct iommufd_object *obj;
	int rc;

	obj = iommufd_get_object(ictx, *pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	rc = change_object(change, obj, pt_id);
	iommufd_put_object(obj);
	if (change->stale)
		iommufd_hwpt_put(ictx, change->stale);
	return rc;
}

/* The ID of the HWPT that took effect, for a tracepoint */
static u32 changed_to(u32 hwpt, int rc)
{
	return rc ? 0 : hwpt;
}

int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid,
			  u32 *pt_id)
{
	struct iommufd_change change = {
		.idev = idev,
		.pasid = pasid,
	};
	u32 pt = *pt_id;
	int rc = device_change(&change, pt_id);

	trace_iommufd_attach(idev->ictx->serial, idev->obj.id, idev->dev, pasid,
			     pt, changed_to(*pt_id, rc), rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_attach, "IOMMUFD");

int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid,
			   u32 *pt_id)
{
	struct iommufd_change change = {
		.idev = idev,
		.pasid = pasid,
		.replace = true,
	};
	u32 pt = *pt_id;
	int rc = device_change(&change, pt_id);

	trace_iommufd_replace(idev->ictx->serial, idev->obj.id, idev->dev,
			      pasid, pt, changed_to(*pt_id, rc), rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_replace, "IOMMUFD");

void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_hw_pagetable *hwpt = iommufd_detach_hwpt(idev, pasid);

	trace_iommufd_detach(idev->ictx->serial, idev->obj.id, idev->dev, pasid,
			     hwpt ? hwpt->obj.id : 0);
	if (hwpt)
		iommufd_hwpt_put(idev->ictx, hwpt);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_detach, "IOMMUFD");
