// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: binding them to a context, their groups, and what their IOMMU is.
 * attach.c has what a bound device is attached to.
 *
 * Lock order, outermost first. Callers (VFIO) serialise the calls for one
 * device by a lock of their own, which is outside all of these:
 *
 *   iommufd_ioas.mutex               choice of an automatic HWPT
 *     io_pagetable.domains_rwsem     an automatic HWPT is filled
 *     iommufd_group.lock             attachments of a group
 *       io_pagetable.iova_rwsem      reserved regions come and go
 *       iommufd_fault.mutex          faults of a former attachment
 *       iommu core: group mutex      the hardware changes; MSI are set up
 *         sw_msi_ctx.lock    doorbell pages
 *       xa_lock of iommufd_ctx.groups
 *         iommufd_group.devices_lock
 *
 * Attachments to an automatic HWPT come and are dropped under iommufd_ioas.mutex,
 * so that the last one is known for certain. The HWPT is then destroyed without
 * any lock, since that waits for ioctls.
 */
#include <linux/device.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "device.h"
#include "selftest.h"
#include "vdevice.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Allow devices on platforms where a device can forge the interrupts of another one. Whoever controls the device can then attack the host.");

/* ---- Groups ---- */

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
	/* Addresses are beyond any number, so the two do not meet */
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
	WARN_ON(!xa_empty(&igroup->attachments));
	WARN_ON(!list_empty(&igroup->devices));
	xa_destroy(&igroup->attachments);
	mutex_destroy(&igroup->lock);
	iommu_group_put(igroup->group);
	kfree(igroup);
}

static void group_put(struct iommufd_group *igroup)
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

/* Find the context's group or make @new it. Returns NULL without memory. */
static struct iommufd_group *group_insert(struct iommufd_group *new)
{
	struct xarray *groups = &new->ictx->groups;
	struct iommufd_group *igroup;

	/* What is in the table has a reference and so keeps the key */
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

static struct iommufd_group *group_get(struct iommufd_ctx *ictx,
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
 * Returns NULL when it is not bound, which it need not be to share the fate of
 * its group.
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

static int group_add_device(struct iommufd_group *igroup,
			    struct iommufd_device *idev)
{
	guard(spinlock)(&igroup->devices_lock);
	/* Two bindings would not know of each other's attachments */
	if (iommufd_group_find_device(igroup, idev->dev))
		return -EBUSY;
	list_add_tail(&idev->group_item, &igroup->devices);
	return 0;
}

static void group_remove_device(struct iommufd_group *igroup,
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
 * Returns the ID of the DEVICE object, or 0 when the device is not bound.
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

/* ---- Bind and unbind ---- */

static int device_check_msi(struct device *dev, struct iommu_group *group)
{
	if (iommufd_selftest_is_mock_dev(dev) ||
	    iommu_group_has_isolated_msi(group))
		return 0;
	if (!READ_ONCE(allow_unsafe_interrupts))
		return -EPERM;
	dev_warn(dev,
		 "MSI interrupts are not secure, they cannot be isolated by the platform. Check that platform features like interrupt remapping are enabled. Use the \"allow_unsafe_interrupts\" module parameter to override\n");
	return 0;
}

static int device_claim(struct iommufd_device *idev)
{
	struct device *dev = idev->dev;
	int rc;

	/* Every mapping is made with IOMMU_CACHE */
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return -EINVAL;

	idev->igroup = group_get(idev->ictx, dev, false);
	if (IS_ERR(idev->igroup))
		return PTR_ERR(idev->igroup);

	rc = device_check_msi(dev, idev->igroup->group);
	if (rc)
		goto err_put_group;

	rc = iommu_device_claim_dma_owner(dev, idev->ictx);
	if (rc)
		goto err_put_group;

	rc = group_add_device(idev->igroup, idev);
	if (rc)
		goto err_release;

	idev->enforce_cache_coherency =
		device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	return 0;

err_release:
	iommu_device_release_dma_owner(dev);
err_put_group:
	group_put(idev->igroup);
	return rc;
}

/* Nothing isolates the device from others, so it is a group of its own */
static int device_claim_noiommu(struct iommufd_device *idev)
{
	int rc;

	idev->noiommu = true;
	idev->igroup = group_get(idev->ictx, idev->dev, true);
	if (IS_ERR(idev->igroup))
		return PTR_ERR(idev->igroup);
	rc = group_add_device(idev->igroup, idev);
	if (rc)
		group_put(idev->igroup);
	return rc;
}

/* Mock devices are objects of the context, which would never go away */
static bool device_holds_ctx(struct iommufd_device *idev)
{
	return !iommufd_selftest_is_mock_dev(idev->dev);
}

struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id)
{
	struct iommufd_device *idev;
	int rc;

	idev = iommufd_object_alloc(ictx, idev, IOMMUFD_OBJ_DEVICE, obj);
	if (IS_ERR(idev))
		return idev;
	idev->ictx = ictx;
	idev->dev = get_device(dev);

	if (IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU) && !dev->iommu)
		rc = device_claim_noiommu(idev);
	else
		rc = device_claim(idev);
	if (rc) {
		put_device(dev);
		iommufd_object_abort(ictx, &idev->obj);
		return ERR_PTR(rc);
	}

	if (device_holds_ctx(idev))
		iommufd_ctx_get(ictx);
	/* The caller is a user, so that only it can destroy the object */
	refcount_inc(&idev->obj.users);
	*id = idev->obj.id;
	iommufd_object_finalize(ictx, &idev->obj);
	return idev;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_bind, "IOMMUFD");

void iommufd_device_unbind(struct iommufd_device *idev)
{
	iommufd_object_destroy_user(idev->ictx, &idev->obj);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_unbind, "IOMMUFD");

/**
 * iommufd_device_pre_destroy() - pre_destroy operation of a device
 * @obj: the device
 */
void iommufd_device_pre_destroy(struct iommufd_object *obj)
{
	iommufd_vdevice_revoke(container_of(obj, struct iommufd_device, obj));
}

/**
 * iommufd_device_disown() - disown operation of a device
 * @obj: the device, attached to nothing
 *
 * The device may be removed from the machine when this returns. What still uses
 * the binding then finds its struct device, but no IOMMU.
 */
void iommufd_device_disown(struct iommufd_object *obj)
{
	struct iommufd_device *idev =
		container_of(obj, struct iommufd_device, obj);

	group_remove_device(idev->igroup, idev);
	/* Its driver may go with it, which the answers would call */
	iommufd_attach_flush_faults(idev);
	if (!idev->noiommu)
		iommu_device_release_dma_owner(idev->dev);
}

/**
 * iommufd_device_destroy() - destroy operation of a device
 * @obj: the device
 */
void iommufd_device_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev =
		container_of(obj, struct iommufd_device, obj);
	bool holds_ctx = device_holds_ctx(idev);

	group_put(idev->igroup);
	put_device(idev->dev);
	if (holds_ctx)
		iommufd_ctx_put(idev->ictx);
}

struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ictx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_ictx, "IOMMUFD");

u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_id, "IOMMUFD");

/* ---- IOMMU_GET_HW_INFO ---- */

/* Long buffers are cleared in pieces, so that the caller can be killed */
static int hw_info_clear_tail(void __user *uptr, size_t len)
{
	while (len) {
		size_t chunk = min_t(size_t, len, SZ_64K);

		if (clear_user(uptr, chunk))
			return -EFAULT;
		uptr += chunk;
		len -= chunk;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int hw_info_copy_data(struct iommu_hw_info *cmd, const void *data,
			     size_t data_len)
{
	void __user *uptr = u64_to_user_ptr(cmd->data_uptr);
	size_t copied = min_t(size_t, cmd->data_len, data_len);

	if (copied && copy_to_user(uptr, data, copied))
		return -EFAULT;
	return hw_info_clear_tail(uptr + copied, cmd->data_len - copied);
}

/* Returns what the driver says, to be freed, or NULL if it says nothing */
static void *hw_info_get_data(struct iommu_hw_info *cmd, struct device *dev,
			      u32 *data_len)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	enum iommu_hw_info_type type = IOMMU_HW_INFO_TYPE_DEFAULT;
	void *data;

	*data_len = 0;
	if (!ops->hw_info) {
		cmd->out_data_type = IOMMU_HW_INFO_TYPE_NONE;
		return NULL;
	}

	if (cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		type = cmd->in_data_type;
	data = ops->hw_info(dev, data_len, &type);
	if (IS_ERR(data))
		return data;
	/* The driver has to say what it gave */
	if (WARN_ON_ONCE(type == IOMMU_HW_INFO_TYPE_NONE)) {
		kfree(data);
		return ERR_PTR(-EOPNOTSUPP);
	}
	cmd->out_data_type = type;
	return data;
}

static u64 hw_info_pasid_caps(struct pci_dev *pdev)
{
	int status = pci_pasid_status(pdev);
	u64 caps = 0;

	if (status < 0)
		return 0;
	if (status & PCI_PASID_CTRL_EXEC)
		caps |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (status & PCI_PASID_CTRL_PRIV)
		caps |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	return caps;
}

static void hw_info_fill_caps(struct iommu_hw_info *cmd, struct device *dev)
{
	u32 max_pasids = dev->iommu->max_pasids;

	cmd->out_capabilities = 0;
	cmd->out_max_pasid_log2 = 0;
	if (device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		cmd->out_capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (max_pasids) {
		cmd->out_max_pasid_log2 = ilog2(max_pasids);
		if (dev_is_pci(dev))
			cmd->out_capabilities |=
				hw_info_pasid_caps(to_pci_dev(dev));
	}
	if (!device_iommu_capable(dev, IOMMU_CAP_PCI_ATS_SUPPORTED))
		cmd->out_capabilities |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
}

/* Everything that needs the device, which is not held when this returns */
static void *hw_info_gather(struct iommufd_ctx *ictx, struct iommu_hw_info *cmd,
			    u32 *data_len)
{
	struct iommufd_device *idev = iommufd_get_device(ictx, cmd->dev_id);
	void *data = ERR_PTR(-EOPNOTSUPP);

	if (IS_ERR(idev))
		return ERR_CAST(idev);
	if (!idev->noiommu) {
		hw_info_fill_caps(cmd, idev->dev);
		data = hw_info_get_data(cmd, idev->dev, data_len);
	}
	iommufd_put_object(ictx, &idev->obj);
	return data;
}

/**
 * iommufd_get_hw_info() - IOMMU_GET_HW_INFO
 * @ucmd: the call
 */
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	u32 data_len;
	int rc;

	if (cmd->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE ||
	    cmd->__reserved[0] || cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;

	void *data __free(kfree) = hw_info_gather(ucmd->ictx, cmd, &data_len);
	if (IS_ERR(data))
		return PTR_ERR(data);

	/* User memory may take long, so nothing is held by now */
	rc = hw_info_copy_data(cmd, data, data_len);
	if (rc)
		return rc;
	cmd->data_len = data_len;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
