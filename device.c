// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: binding them to a context, and what their IOMMU is. attach.c has
 * what a bound device is attached to.
 */
#include <linux/device.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "attach.h"
#include "device.h"
#include "group.h"
#include "refusal.h"
#include "test_hooks.h"
#include "vdevice.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Allow devices on platforms where a device can forge the interrupts of another one. Whoever controls the device can then attack the host.");

/*
 * Bind and unbind
 */

static int device_check_msi(struct device *dev, struct iommu_group *group)
{
	if (iommufd_test_is_mock_dev(dev) ||
	    iommu_group_has_isolated_msi(group))
		return 0;
	if (!READ_ONCE(allow_unsafe_interrupts))
		return iommufd_refuse(-EPERM, REFUSED_UNSAFE_INTERRUPTS, dev);
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
		return iommufd_refuse(-EINVAL, REFUSED_NO_CACHE_COHERENCY, dev);

	idev->igroup = iommufd_group_get(idev->ictx, dev, false);
	if (IS_ERR(idev->igroup))
		return PTR_ERR(idev->igroup);

	rc = device_check_msi(dev, idev->igroup->group);
	if (rc)
		goto err_put_group;

	rc = iommu_device_claim_dma_owner(dev, idev->ictx);
	if (rc) {
		iommufd_refuse(rc, REFUSED_GROUP_OWNED, dev);
		goto err_put_group;
	}

	rc = iommufd_group_add_device(idev->igroup, idev);
	if (rc) {
		iommufd_refuse(rc, REFUSED_BOUND_ALREADY, dev);
		goto err_release;
	}

	idev->enforce_cache_coherency =
		device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	return 0;

err_release:
	iommu_device_release_dma_owner(dev);
err_put_group:
	iommufd_group_put(idev->igroup);
	return rc;
}

/* Nothing isolates the device from others, so it is a group of its own */
static int device_claim_noiommu(struct iommufd_device *idev)
{
	int rc;

	idev->noiommu = true;
	idev->igroup = iommufd_group_get(idev->ictx, idev->dev, true);
	if (IS_ERR(idev->igroup))
		return PTR_ERR(idev->igroup);
	rc = iommufd_group_add_device(idev->igroup, idev);
	if (rc)
		iommufd_group_put(idev->igroup);
	return rc;
}

/* Mock devices are objects of the context, which would never go away */
static bool device_holds_ctx(struct iommufd_device *idev)
{
	return !iommufd_test_is_mock_dev(idev->dev);
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

void iommufd_device_pre_destroy(struct iommufd_object *obj)
{
	iommufd_vdevice_revoke(container_of(obj, struct iommufd_device, obj));
}

/*
 * The device is attached to nothing, and may be removed from the machine when
 * this returns. What still uses the binding then finds its struct device, but no
 * IOMMU.
 */
void iommufd_device_disown(struct iommufd_object *obj)
{
	struct iommufd_device *idev =
		container_of(obj, struct iommufd_device, obj);

	iommufd_group_remove_device(idev->igroup, idev);
	/* Answers call the IOMMU's driver, which may go with the device */
	iommufd_attach_flush_faults(idev);
	if (!idev->noiommu)
		iommu_device_release_dma_owner(idev->dev);
}

void iommufd_device_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev =
		container_of(obj, struct iommufd_device, obj);
	bool holds_ctx = device_holds_ctx(idev);

	iommufd_group_put(idev->igroup);
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

/*
 * IOMMU_GET_HW_INFO
 */

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
	struct iommufd_device *idev __free(iommufd_put_object) =
		iommufd_get_device(ictx, cmd->dev_id);

	if (IS_ERR(idev))
		return ERR_CAST(idev);
	if (idev->noiommu)
		return ERR_PTR(-EOPNOTSUPP);
	hw_info_fill_caps(cmd, idev->dev);
	return hw_info_get_data(cmd, idev->dev, data_len);
}

/* IOMMU_GET_HW_INFO */
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
