// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables: making them, keeping them coherent with what user space
 * changes in its own tables, and dirty tracking.
 */
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "../iommu-priv.h"
#include "dirty.h"
#include "fault.h"
#include "group.h"
#include "hw_pagetable.h"
#include "iopt_domains.h"
#include "noiommu.h"
#include "viommu.h"

/* The largest entry_num of IOMMU_HWPT_INVALIDATE */
#define HWPT_INVALIDATE_MAX_ENTRIES SZ_512K

/*
 * What both kinds share
 */

static void hwpt_init(struct iommufd_hw_pagetable *hwpt,
		      struct iommufd_device *idev, u32 flags)
{
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	/*
	 * The binding of the device is what keeps its IOMMU driver, and the
	 * domain may survive it.
	 */
	hwpt->dev = get_device(idev->dev);
	if (!idev->noiommu) {
		hwpt->owner = dev_iommu_ops(idev->dev)->owner;
		__module_get(hwpt->owner);
	}
}

static void hwpt_set_domain(struct iommufd_hw_pagetable *hwpt,
			    struct iommu_domain *domain,
			    const struct iommu_ops *ops)
{
	hwpt->domain = domain;
	domain->owner = ops;
	domain->iommufd_hwpt = hwpt;
	domain->cookie_type = IOMMU_COOKIE_IOMMUFD;
}

/* The creation of the HWPT may have failed half way */
static void hwpt_fini(struct iommufd_hw_pagetable *hwpt)
{
	if (hwpt->domain)
		iommu_domain_free(hwpt->domain);
	if (hwpt->fault)
		refcount_dec(&hwpt->fault->common.obj.users);
	module_put(hwpt->owner);
	put_device(hwpt->dev);
}

static bool hwpt_is_auto(struct iommufd_hw_pagetable *hwpt)
{
	return hwpt_is_paging(hwpt) && to_hwpt_paging(hwpt)->auto_domain;
}

/**
 * iommufd_hwpt_get() - a HWPT gets an attachment
 * @hwpt: HWPT; if it is automatic, iommufd_ioas.mutex is held and it is not
 *	going
 */
void iommufd_hwpt_get(struct iommufd_hw_pagetable *hwpt)
{
	refcount_inc(&hwpt->obj.users);
	if (hwpt_is_auto(hwpt)) {
		struct iommufd_hwpt_paging *hwpt_paging = to_hwpt_paging(hwpt);

		lockdep_assert_held(&hwpt_paging->ioas->mutex);
		hwpt_paging->attached++;
	}
}

/*
 * Drop an attachment of an automatic HWPT, and its user unless it was the last
 * one, after which nothing is attached any more. Returns true for the last one.
 */
static bool hwpt_put_auto(struct iommufd_hwpt_paging *hwpt_paging)
{
	guard(mutex)(&hwpt_paging->ioas->mutex);
	if (--hwpt_paging->attached) {
		refcount_dec(&hwpt_paging->common.obj.users);
		return false;
	}
	list_del_init(&hwpt_paging->hwpt_item);
	return true;
}

/**
 * iommufd_hwpt_put() - a HWPT has lost an attachment
 * @ictx: context
 * @hwpt: HWPT; an automatic one goes with the last
 *
 * Called without any lock. Waits for ioctls that look at a HWPT which goes, as
 * it would stay otherwise.
 */
void iommufd_hwpt_put(struct iommufd_ctx *ictx,
		      struct iommufd_hw_pagetable *hwpt)
{
	struct mutex *mutex = &hwpt_stage2(hwpt)->ioas->mutex;

	lockdep_assert_not_held(mutex);
	might_lock(mutex);

	if (!hwpt_is_auto(hwpt))
		refcount_dec(&hwpt->obj.users);
	else if (hwpt_put_auto(to_hwpt_paging(hwpt)))
		iommufd_object_destroy_user(ictx, &hwpt->obj);
}

/*
 * Paging HWPTs
 */

/* The HWPT is complete, or as far as its creation came */
void iommufd_hwpt_paging_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt_paging =
		container_of(obj, struct iommufd_hwpt_paging, common.obj);
	struct iommufd_ioas *ioas = hwpt_paging->ioas;

	if (!ioas)
		return;
	might_lock(&ioas->iopt.domains_rwsem);
	if (hwpt_paging->linked)
		iopt_remove_domain(&ioas->iopt, &hwpt_paging->iopt_domain);
	hwpt_fini(&hwpt_paging->common);
	refcount_dec(&ioas->obj.users);
}

static int paging_check_flags(struct iommufd_device *idev, u32 flags,
			      const struct iommu_user_data *user_data)
{
	const u32 valid = IOMMU_HWPT_ALLOC_NEST_PARENT |
			  IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	if (idev->noiommu)
		return flags & ~IOMMU_HWPT_FAULT_ID_VALID || user_data ?
			       -EOPNOTSUPP :
			       0;
	if ((flags || user_data) &&
	    !dev_iommu_ops(idev->dev)->domain_alloc_paging_flags)
		return -EOPNOTSUPP;
	if (flags & ~valid)
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING &&
	    !device_iommu_capable(idev->dev, IOMMU_CAP_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	/* The faults of stage 2 are not what a guest could handle */
	if (flags & IOMMU_HWPT_FAULT_ID_VALID &&
	    flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return -EOPNOTSUPP;
	return 0;
}

/*
 * The device may lose its IOMMU while a driver reads user data, after which
 * dev_iommu_ops() finds nothing; see iommufd_device_disown(). So callers pass the
 * ops that they got before.
 */
static struct iommu_domain *
paging_domain_alloc(struct iommufd_device *idev, const struct iommu_ops *ops,
		    u32 flags, const struct iommu_user_data *user_data)
{
	if (idev->noiommu)
		return iommufd_noiommu_domain_alloc();
	if (!ops->domain_alloc_paging_flags)
		return iommu_paging_domain_alloc(idev->dev);
	return ops->domain_alloc_paging_flags(idev->dev,
					      flags & ~IOMMU_HWPT_FAULT_ID_VALID,
					      user_data);
}

static int paging_make_domain(struct iommufd_hwpt_paging *hwpt_paging,
			      struct iommufd_device *idev, u32 flags,
			      const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops =
		idev->noiommu ? NULL : dev_iommu_ops(idev->dev);
	struct iommu_domain *domain;

	domain = paging_domain_alloc(idev, ops, flags, user_data);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	hwpt_set_domain(&hwpt_paging->common, domain, ops);
	hwpt_paging->sw_msi.domain = domain;
	hwpt_paging->iopt_domain.domain = domain;
	hwpt_paging->iopt_domain.noiommu = idev->noiommu;

	/* This changes IOPTEs, so it comes before anything is mapped */
	if (idev->enforce_cache_coherency) {
		if (WARN_ON_ONCE(!domain->ops->enforce_cache_coherency ||
				 !domain->ops->enforce_cache_coherency(domain)))
			return -EINVAL;
		hwpt_paging->iopt_domain.coherent = true;
	}
	return 0;
}

/**
 * iommufd_hwpt_paging_init() - make a new object a paging HWPT
 * @hwpt_paging: the object, zeroed; nobody else sees it yet
 * @ioas: what it is going to mirror
 * @idev: device whose IOMMU makes it
 * @flags: IOMMU_HWPT_*; the caller sets the fault queue
 * @user_data: for the driver, or NULL
 *
 * Nothing is mapped yet, for which there is iommufd_hwpt_paging_link().
 *
 * Return: 0; -ENODEV when the device has lost its IOMMU, -EOPNOTSUPP, and errors
 * of the driver, with an object that can be destroyed.
 */
int iommufd_hwpt_paging_init(struct iommufd_hwpt_paging *hwpt_paging,
			     struct iommufd_ioas *ioas,
			     struct iommufd_device *idev, u32 flags,
			     const struct iommu_user_data *user_data)
{
	int rc;

	if (!idev->noiommu && !idev->dev->iommu)
		return -ENODEV;
	rc = paging_check_flags(idev, flags, user_data);
	if (rc)
		return rc;

	refcount_inc(&ioas->obj.users);
	hwpt_paging->ioas = ioas;
	INIT_LIST_HEAD(&hwpt_paging->hwpt_item);
	hwpt_paging->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt_init(&hwpt_paging->common, idev, flags);
	return paging_make_domain(hwpt_paging, idev, flags, user_data);
}

/**
 * iommufd_hwpt_paging_link() - load a new HWPT with what its IOAS maps
 * @hwpt_paging: the HWPT; follows the IOAS from now on
 *
 * Return: 0, or an errno of iopt_add_domain() with the HWPT empty.
 */
int iommufd_hwpt_paging_link(struct iommufd_hwpt_paging *hwpt_paging)
{
	int rc = iopt_add_domain(&hwpt_paging->ioas->iopt,
				 &hwpt_paging->iopt_domain);

	if (!rc)
		hwpt_paging->linked = true;
	return rc;
}

static struct iommufd_hw_pagetable *
paging_alloc(struct iommufd_ucmd *ucmd, struct iommufd_device *idev,
	     struct iommufd_ioas *ioas, u32 flags,
	     const struct iommu_user_data *user_data)
{
	struct iommufd_hwpt_paging *hwpt_paging;
	int rc;

	hwpt_paging = iommufd_object_alloc_ucmd(ucmd, hwpt_paging,
						IOMMUFD_OBJ_HWPT_PAGING,
						common.obj);
	if (IS_ERR(hwpt_paging))
		return ERR_CAST(hwpt_paging);
	rc = iommufd_hwpt_paging_init(hwpt_paging, ioas, idev, flags,
				      user_data);
	return rc ? ERR_PTR(rc) : &hwpt_paging->common;
}

/*
 * Nested HWPTs
 */

/* The HWPT is complete, or lacks its domain */
void iommufd_hwpt_nested_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_nested *hwpt_nested =
		container_of(obj, struct iommufd_hwpt_nested, common.obj);

	/* The domain goes before what it was made on */
	hwpt_fini(&hwpt_nested->common);
	if (hwpt_nested->viommu)
		refcount_dec(&hwpt_nested->viommu->obj.users);
	else
		refcount_dec(&hwpt_nested->parent->common.obj.users);
}

static bool nested_flags_valid(u32 flags)
{
	return !(flags & ~(IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID));
}

/* Made on a vIOMMU or, without one, on the parent */
static struct iommu_domain *
nested_domain_alloc(struct iommufd_hwpt_nested *hwpt_nested,
		    struct iommufd_device *idev, const struct iommu_ops *ops,
		    u32 flags, const struct iommu_user_data *user_data)
{
	struct iommufd_viommu *viommu = hwpt_nested->viommu;
	struct iommu_domain *parent;

	/* Drivers are not told where faults go */
	flags &= ~IOMMU_HWPT_FAULT_ID_VALID;
	if (viommu)
		return viommu->ops->alloc_domain_nested(viommu, flags,
							user_data);
	parent = hwpt_nested->parent->common.domain;
	return ops->domain_alloc_nested(idev->dev, parent, flags, user_data);
}

static struct iommufd_hw_pagetable *
nested_alloc(struct iommufd_ucmd *ucmd, struct iommufd_device *idev,
	     struct iommufd_hwpt_paging *parent, struct iommufd_viommu *viommu,
	     u32 flags, const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops = dev_iommu_ops(idev->dev);
	struct iommufd_hwpt_nested *hwpt_nested;
	struct iommu_domain *domain;

	hwpt_nested = iommufd_object_alloc_ucmd(ucmd, hwpt_nested,
						IOMMUFD_OBJ_HWPT_NESTED,
						common.obj);
	if (IS_ERR(hwpt_nested))
		return ERR_CAST(hwpt_nested);
	hwpt_nested->parent = parent;
	hwpt_nested->viommu = viommu;
	refcount_inc(viommu ? &viommu->obj.users : &parent->common.obj.users);
	hwpt_init(&hwpt_nested->common, idev, flags);

	domain = nested_domain_alloc(hwpt_nested, idev, ops, flags, user_data);
	if (IS_ERR(domain))
		return ERR_CAST(domain);
	hwpt_set_domain(&hwpt_nested->common, domain, ops);
	if (WARN_ON_ONCE(domain->type != IOMMU_DOMAIN_NESTED))
		return ERR_PTR(-EOPNOTSUPP);
	return &hwpt_nested->common;
}

static struct iommufd_hw_pagetable *
nested_alloc_on_parent(struct iommufd_ucmd *ucmd, struct iommufd_device *idev,
		       struct iommufd_hwpt_paging *parent, u32 flags,
		       const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops;

	if (idev->noiommu || !idev->dev->iommu)
		return ERR_PTR(-EOPNOTSUPP);
	ops = dev_iommu_ops(idev->dev);
	if (!nested_flags_valid(flags) || !user_data ||
	    !ops->domain_alloc_nested)
		return ERR_PTR(-EOPNOTSUPP);
	if (parent->auto_domain || !parent->nest_parent ||
	    parent->common.domain->owner != ops)
		return ERR_PTR(-EINVAL);
	return nested_alloc(ucmd, idev, parent, NULL, flags, user_data);
}

static struct iommufd_hw_pagetable *
nested_alloc_on_viommu(struct iommufd_ucmd *ucmd, struct iommufd_device *idev,
		       struct iommufd_viommu *viommu, u32 flags,
		       const struct iommu_user_data *user_data)
{
	if (idev->noiommu || !idev->dev->iommu ||
	    idev->dev->iommu->iommu_dev != viommu->iommu_dev)
		return ERR_PTR(-EINVAL);
	if (!nested_flags_valid(flags) || !user_data ||
	    !viommu->ops->alloc_domain_nested)
		return ERR_PTR(-EOPNOTSUPP);
	return nested_alloc(ucmd, idev, NULL, viommu, flags, user_data);
}

/*
 * IOMMU_HWPT_ALLOC
 */

/* Comes before the first attach, when drivers look at what a domain can do */
static int hwpt_set_fault(struct iommufd_ctx *ictx,
			  struct iommufd_hw_pagetable *hwpt, u32 fault_id)
{
	struct iommufd_fault *fault = iommufd_get_fault(ictx, fault_id);

	if (IS_ERR(fault))
		return PTR_ERR(fault);
	hwpt->fault = fault;
	hwpt->domain->iopf_handler = iommufd_fault_iopf_handler;
	refcount_inc(&fault->common.obj.users);
	iommufd_put_object(&fault->common.obj);
	return 0;
}

/* Returns a HWPT that lacks its fault queue, and what its IOAS maps */
static struct iommufd_hw_pagetable *
hwpt_alloc_on(struct iommufd_ucmd *ucmd, struct iommufd_device *idev,
	      struct iommufd_object *pt_obj, u32 flags,
	      const struct iommu_user_data *user_data)
{
	struct iommufd_hwpt_paging *parent;
	struct iommufd_viommu *viommu;
	struct iommufd_ioas *ioas;

	switch (pt_obj->type) {
	case IOMMUFD_OBJ_IOAS:
		ioas = container_of(pt_obj, struct iommufd_ioas, obj);
		return paging_alloc(ucmd, idev, ioas, flags, user_data);
	case IOMMUFD_OBJ_HWPT_PAGING:
		parent = container_of(pt_obj, struct iommufd_hwpt_paging,
				      common.obj);
		return nested_alloc_on_parent(ucmd, idev, parent, flags,
					      user_data);
	case IOMMUFD_OBJ_VIOMMU:
		viommu = container_of(pt_obj, struct iommufd_viommu, obj);
		return nested_alloc_on_viommu(ucmd, idev, viommu, flags,
					      user_data);
	default:
		return ERR_PTR(-EINVAL);
	}
}

/* Everything that needs the device, which is not held when this returns */
static struct iommufd_hw_pagetable *hwpt_create(struct iommufd_ucmd *ucmd)
{
	const struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	const struct iommu_user_data user_data = {
		.type = cmd->data_type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.len = cmd->data_len,
	};

	struct iommufd_device *idev __free(iommufd_put_object) =
		iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return ERR_CAST(idev);
	struct iommufd_object *pt_obj __free(iommufd_put_object) =
		iommufd_get_object(ucmd->ictx, cmd->pt_id, IOMMUFD_OBJ_ANY);
	/* It is -ENOENT elsewhere, but user space relies on -EINVAL here */
	if (IS_ERR(pt_obj))
		return ERR_PTR(-EINVAL);
	return hwpt_alloc_on(ucmd, idev, pt_obj, cmd->flags,
			     cmd->data_len ? &user_data : NULL);
}

/* Filling and the reply may take long, for they wait for user memory */
static int hwpt_complete(struct iommufd_ucmd *ucmd,
			 struct iommufd_hw_pagetable *hwpt)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	int rc = 0;

	if (cmd->flags & IOMMU_HWPT_FAULT_ID_VALID)
		rc = hwpt_set_fault(ucmd->ictx, hwpt, cmd->fault_id);
	if (!rc && hwpt_is_paging(hwpt))
		rc = iommufd_hwpt_paging_link(to_hwpt_paging(hwpt));
	if (rc)
		return rc;
	cmd->out_hwpt_id = hwpt->obj.id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* IOMMU_HWPT_ALLOC */
int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hw_pagetable *hwpt;
	bool no_type;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	/* Data and its type come together or not at all */
	no_type = cmd->data_type == IOMMU_HWPT_DATA_NONE;
	if (!cmd->data_len != no_type)
		return -EINVAL;

	hwpt = hwpt_create(ucmd);
	return IS_ERR(hwpt) ? PTR_ERR(hwpt) : hwpt_complete(ucmd, hwpt);
}

/*
 * IOMMU_HWPT_INVALIDATE
 */

static int hwpt_invalidate_object(struct iommufd_object *obj,
				  struct iommu_user_data_array *array)
{
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_viommu *viommu;

	switch (obj->type) {
	case IOMMUFD_OBJ_HWPT_NESTED:
		hwpt = container_of(obj, struct iommufd_hw_pagetable, obj);
		if (!hwpt->domain->ops->cache_invalidate_user)
			return -EOPNOTSUPP;
		return hwpt->domain->ops->cache_invalidate_user(hwpt->domain,
								array);
	case IOMMUFD_OBJ_VIOMMU:
		viommu = container_of(obj, struct iommufd_viommu, obj);
		if (!viommu->ops->cache_invalidate)
			return -EOPNOTSUPP;
		return viommu->ops->cache_invalidate(viommu, array);
	default:
		return -EINVAL;
	}
}

/*
 * A driver may check entries in batches, and count those of a batch that it did
 * not get around to doing, because a later one is wrong. Twice does no harm, so
 * have them done for sure. Returns how many were.
 */
static u32 hwpt_invalidate_again(struct iommufd_object *obj,
				 struct iommu_user_data_array array)
{
	return hwpt_invalidate_object(obj, &array) ? 0 : array.entry_num;
}

/* On return, @done is the number of leading entries that took effect */
static int hwpt_invalidate(struct iommufd_ucmd *ucmd, u32 *done)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	struct iommu_user_data_array array = {
		.type = cmd->data_type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.entry_len = cmd->entry_len,
		.entry_num = cmd->entry_num,
	};
	int rc;

	*done = 0;
	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_num &&
	    (!cmd->data_uptr || !cmd->entry_len || cmd->entry_len > PAGE_SIZE ||
	     cmd->entry_num > HWPT_INVALIDATE_MAX_ENTRIES))
		return -EINVAL;

	struct iommufd_object *obj __free(iommufd_put_object) =
		iommufd_get_object(ucmd->ictx, cmd->hwpt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	rc = hwpt_invalidate_object(obj, &array);
	/*
	 * A driver that fails before it looks at the array may leave it alone.
	 * It cannot have failed and done everything.
	 */
	if (!rc)
		*done = min(array.entry_num, cmd->entry_num);
	else if (array.entry_num && array.entry_num < cmd->entry_num)
		*done = hwpt_invalidate_again(obj, array);
	return rc;
}

/* IOMMU_HWPT_INVALIDATE */
int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	u32 done;
	int rc;

	rc = hwpt_invalidate(ucmd, &done);
	cmd->entry_num = done;
	/* In every case the caller has to know how far it came */
	if (iommufd_ucmd_respond(ucmd, sizeof(*cmd)))
		return -EFAULT;
	return rc;
}

/*
 * Dirty tracking
 */

/* IOMMU_HWPT_SET_DIRTY_TRACKING */
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;
	bool enable;

	if (cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	enable = cmd->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE;

	struct iommufd_hwpt_paging *hwpt_paging __free(iommufd_put_object) =
		iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt_paging))
		return PTR_ERR(hwpt_paging);
	if (!hwpt_paging->common.domain->dirty_ops)
		return -EOPNOTSUPP;
	return iopt_set_dirty_tracking(&hwpt_paging->ioas->iopt,
				       &hwpt_paging->iopt_domain, enable);
}

static int dirty_bitmap_check(struct iommu_hwpt_get_dirty_bitmap *cmd,
			      struct io_pagetable *iopt)
{
	u64 alignment = READ_ONCE(iopt->iova_alignment);
	u64 last;

	if (!cmd->length)
		return -EINVAL;
	if (check_add_overflow(cmd->iova, cmd->length - 1, &last) ||
	    last > ULONG_MAX)
		return -EOVERFLOW;
	if (!IS_ALIGNED(cmd->iova | cmd->length, alignment))
		return -EINVAL;
	/* Otherwise bits of the bitmap would not be what the caller thinks */
	if (!is_power_of_2(cmd->page_size) ||
	    !IS_ALIGNED(cmd->iova | cmd->length, cmd->page_size))
		return -EINVAL;
	return 0;
}

static int get_dirty_bitmap(struct iommu_hwpt_get_dirty_bitmap *cmd,
			    struct iommufd_hwpt_paging *hwpt_paging)
{
	struct iommu_domain *domain = hwpt_paging->common.domain;
	struct io_pagetable *iopt = &hwpt_paging->ioas->iopt;
	unsigned long flags = 0;
	int rc;

	rc = dirty_bitmap_check(cmd, iopt);
	if (rc)
		return rc;
	if (!domain->dirty_ops || !domain->dirty_ops->read_and_clear_dirty)
		return -EOPNOTSUPP;
	if (cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR)
		flags |= IOMMU_DIRTY_NO_CLEAR;
	return iopt_read_and_clear_dirty(iopt, &hwpt_paging->iopt_domain,
					 flags, cmd->iova, cmd->length,
					 cmd->page_size,
					 u64_to_user_ptr(cmd->data));
}

/* IOMMU_HWPT_GET_DIRTY_BITMAP */
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;

	if (cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR ||
	    cmd->__reserved)
		return -EOPNOTSUPP;

	struct iommufd_hwpt_paging *hwpt_paging __free(iommufd_put_object) =
		iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt_paging))
		return PTR_ERR(hwpt_paging);
	return get_dirty_bitmap(cmd, hwpt_paging);
}
