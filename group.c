// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups: which devices of an iommu_group are bound to a context.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "group.h"

/* @group is NULL for a device without an IOMMU */
static struct iommufd_group *group_alloc(struct iommufd_ctx *ictx,
					 struct device *dev,
					 struct iommu_group *group)
{
	struct iommufd_group *igroup;

	igroup = kzalloc_obj(*igroup, GFP_KERNEL_ACCOUNT);
	if (!igroup)
		return NULL;
	igroup->ref = 1;
	/* No group has a number as large as an address, so keys do not clash */
	igroup->key = group ? iommu_group_id(group) : (unsigned long)dev;
	igroup->ictx = ictx;
	igroup->group = group;
	igroup->sw_msi.ctx = &ictx->sw_msi;
	mutex_init(&igroup->lock);
	xa_init(&igroup->attachments);
	spin_lock_init(&igroup->devices_lock);
	INIT_LIST_HEAD(&igroup->devices);
	return igroup;
}

static void group_free(struct iommufd_group *igroup)
{
	WARN_ON_ONCE(!xa_empty(&igroup->attachments));
	WARN_ON_ONCE(!list_empty(&igroup->devices));
	xa_destroy(&igroup->attachments);
	mutex_destroy(&igroup->lock);
	iommu_group_put(igroup->group);
	kfree(igroup);
}

/**
 * iommufd_group_put() - the reverse of iommufd_group_get()
 * @igroup: the group
 */
void iommufd_group_put(struct iommufd_group *igroup)
{
	struct xarray *groups = &igroup->ictx->groups;
	bool last;

	xa_lock(groups);
	last = !--igroup->ref;
	if (last)
		__xa_erase(groups, igroup->key);
	xa_unlock(groups);
	if (last)
		group_free(igroup);
}

/* Returns the group that the context has, or @new, or NULL without memory */
static struct iommufd_group *group_insert(struct iommufd_group *new)
{
	struct xarray *groups = &new->ictx->groups;
	struct iommufd_group *igroup;

	/* A group in the table is referenced, so nobody else gets its key */
	xa_lock(groups);
	igroup = __xa_cmpxchg(groups, new->key, NULL, new, GFP_KERNEL_ACCOUNT);
	if (!igroup)
		igroup = new;
	else if (xa_is_err(igroup))
		igroup = NULL;
	else
		igroup->ref++;
	xa_unlock(groups);
	return igroup;
}

/**
 * iommufd_group_get() - the group of a device in a context
 * @ictx: the context
 * @dev: the device
 * @noiommu: it has no IOMMU, so nothing isolates it from others and it is a
 *	group of its own
 *
 * Return: the group, referenced, or ERR_PTR() of -ENODEV when the device is in
 * no IOMMU group, or -ENOMEM.
 */
struct iommufd_group *iommufd_group_get(struct iommufd_ctx *ictx,
					struct device *dev, bool noiommu)
{
	struct iommufd_group *new, *igroup;
	struct iommu_group *group = NULL;

	if (!noiommu) {
		group = iommu_group_get(dev);
		if (!group)
			return ERR_PTR(-ENODEV);
	}
	new = group_alloc(ictx, dev, group);
	if (!new) {
		iommu_group_put(group);
		return ERR_PTR(-ENOMEM);
	}
	igroup = group_insert(new);
	if (igroup != new)
		group_free(new);
	return igroup ?: ERR_PTR(-ENOMEM);
}

/**
 * iommufd_group_find_device() - the binding of a device
 * @igroup: the group, with its devices_lock held
 * @dev: the device
 *
 * Return: the binding, or NULL when the device is not bound, which it need not
 * be to share the fate of its group.
 */
struct iommufd_device *iommufd_group_find_device(struct iommufd_group *igroup,
						 struct device *dev)
{
	struct iommufd_device *idev;

	lockdep_assert_held(&igroup->devices_lock);

	list_for_each_entry(idev, &igroup->devices, group_item)
		if (idev->dev == dev)
			return idev;
	return NULL;
}

/**
 * iommufd_group_add_device() - a device of a group is bound
 * @igroup: the group
 * @idev: the binding
 *
 * Return: 0, or -EBUSY when the device is bound already.
 */
int iommufd_group_add_device(struct iommufd_group *igroup,
			     struct iommufd_device *idev)
{
	guard(spinlock)(&igroup->devices_lock);
	/* Two bindings would not know of each other's attachments */
	if (iommufd_group_find_device(igroup, idev->dev))
		return -EBUSY;
	list_add_tail(&idev->group_item, &igroup->devices);
	return 0;
}

/**
 * iommufd_group_remove_device() - the reverse of iommufd_group_add_device()
 * @igroup: the group
 * @idev: the binding
 */
void iommufd_group_remove_device(struct iommufd_group *igroup,
				 struct iommufd_device *idev)
{
	guard(spinlock)(&igroup->devices_lock);
	list_del(&idev->group_item);
}

/**
 * iommufd_group_faulting_id() - what user space calls a device of a group
 * @igroup: the group
 * @dev: the device
 *
 * Return: the ID of the DEVICE object, or 0 when the device is not bound.
 */
u32 iommufd_group_faulting_id(struct iommufd_group *igroup, struct device *dev)
{
	struct iommufd_device *idev;

	guard(spinlock)(&igroup->devices_lock);
	idev = iommufd_group_find_device(igroup, dev);
	return idev ? idev->obj.id : 0;
}

bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group)
{
	struct iommufd_group *igroup;
	bool ret = false;

	if (!ictx || !group)
		return false;

	xa_lock(&ictx->groups);
	igroup = xa_load(&ictx->groups, iommu_group_id(group));
	if (igroup && igroup->group == group) {
		guard(spinlock)(&igroup->devices_lock);
		/* A binding that is about to fail has a group, too */
		ret = !list_empty(&igroup->devices);
	}
	xa_unlock(&ictx->groups);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_has_group, "IOMMUFD");
