// SPDX-License-Identifier: GPL-2.0-only
/*
 * vDEVICEs: devices as the guest of a vIOMMU names them.
 *
 * A vDEVICE ties the lifetime of two strangers together: user space owns it,
 * but it goes with its device, which a driver owns. While it exists it is
 * iommufd_device.vdev, which iommufd_group.lock protects, and it holds the
 * device by iommufd_object.users and wait_cnt.
 *
 * To get rid of a device, iommufd_vdevice_revoke() first forbids new vDEVICEs
 * and destroys the one there is. If user space is destroying it at that moment,
 * there is nothing to do: the wait_cnt that the vDEVICE holds on the device, for
 * which the device's destruction waits next, ends when user space is through.
 */
#include <linux/slab.h>

#include "group.h"
#include "vdevice.h"
#include "viommu.h"

/* The driver's lookups find it from here on */
static void vdevice_reveal(struct iommufd_vdevice *vdev)
{
	/* The index was reserved, so this needs no memory */
	xa_store(&vdev->viommu->vdevs, vdev->virt_id, vdev, GFP_KERNEL);
}

/* The driver's lookups fail from here on, but virt_id is not free yet */
static void vdevice_hide(struct iommufd_vdevice *vdev)
{
	xa_store(&vdev->viommu->vdevs, vdev->virt_id, XA_ZERO_ENTRY,
		 GFP_KERNEL);
}

/* When the device is being unbound, it may be freed before this returns */
void iommufd_vdevice_destroy(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev =
		container_of(obj, struct iommufd_vdevice, obj);
	struct iommufd_viommu *viommu = vdev->viommu;
	struct iommufd_device *idev = vdev->idev;

	if (!viommu)
		return;
	scoped_guard(mutex, &idev->igroup->lock) {
		vdevice_hide(vdev);
		if (vdev->destroy)
			vdev->destroy(vdev);
		xa_erase(&viommu->vdevs, vdev->virt_id);
		idev->vdev = NULL;
	}
	iommufd_put_object(&idev->obj);
	refcount_dec(&viommu->obj.users);
}

/**
 * iommufd_vdevice_revoke() - a device is going, and its vDEVICE with it
 * @idev: the device; the caller waits for its wait_cnt afterwards
 *
 * For the pre_destroy operation of devices. The ID of the vDEVICE is not used
 * again: user space did not ask for its destruction and may still use it.
 */
void iommufd_vdevice_revoke(struct iommufd_device *idev)
{
	struct iommufd_vdevice *vdev;

	scoped_guard(mutex, &idev->igroup->lock) {
		idev->destroying = true;
		vdev = idev->vdev;
		if (!vdev || !refcount_inc_not_zero(&vdev->obj.users))
			return;
	}
	iommufd_object_tombstone_user(idev->ictx, &vdev->obj);
}

static size_t vdevice_size(const struct iommufd_viommu_ops *ops)
{
	if (!ops->vdevice_size)
		return sizeof(struct iommufd_vdevice);
	if (WARN_ON_ONCE(ops->vdevice_size < sizeof(struct iommufd_vdevice) ||
			 !ops->vdevice_init))
		return 0;
	return ops->vdevice_size;
}

/* What stands against a vDEVICE, other than what its driver says */
static int vdevice_check(struct iommufd_viommu *viommu,
			 struct iommufd_device *idev, unsigned long virt_id)
{
	lockdep_assert_held(&idev->igroup->lock);

	if (idev->noiommu || idev->dev->iommu->iommu_dev != viommu->iommu_dev)
		return -EINVAL;
	if (idev->destroying)
		return -ENOENT;
	if (idev->vdev)
		return -EEXIST;
	if (!vdevice_size(viommu->ops))
		return -EOPNOTSUPP;
	return xa_load(&viommu->vdevs, virt_id) ? -EEXIST : 0;
}

/* Have the driver set the vDEVICE up, under a virt_id that is reserved */
static int vdevice_driver_init(struct iommufd_vdevice *vdev,
			       struct iommufd_viommu *viommu,
			       struct iommufd_device *idev)
{
	int rc;

	vdev->viommu = viommu;
	vdev->idev = idev;
	if (!viommu->ops->vdevice_init)
		return 0;
	rc = viommu->ops->vdevice_init(vdev);
	if (rc) {
		vdev->viommu = NULL;
		vdev->idev = NULL;
	}
	return rc;
}

/* Returns with the vDEVICE published, or with nothing to undo but its memory */
static int vdevice_create(struct iommufd_ucmd *ucmd,
			  struct iommufd_vdevice *vdev,
			  struct iommufd_viommu *viommu,
			  struct iommufd_device *idev)
{
	int rc;

	guard(mutex)(&idev->igroup->lock);

	rc = vdevice_check(viommu, idev, vdev->virt_id);
	if (rc)
		return rc;
	rc = xa_insert(&viommu->vdevs, vdev->virt_id, XA_ZERO_ENTRY,
		       GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc == -EBUSY ? -EEXIST : rc;
	rc = vdevice_driver_init(vdev, viommu, idev);
	if (rc) {
		xa_erase(&viommu->vdevs, vdev->virt_id);
		return rc;
	}

	/* Cannot fail, this call holds a reference already */
	WARN_ON_ONCE(!iommufd_lock_obj(&idev->obj));
	refcount_inc(&viommu->obj.users);
	idev->vdev = vdev;
	vdevice_reveal(vdev);
	/* Whoever destroys the vDEVICE from now on waits for the lock */
	iommufd_object_finalize_ucmd(ucmd);
	return 0;
}

/* Returns a vDEVICE that is nothing but an ID, which user space knows */
static struct iommufd_vdevice *vdevice_respond(struct iommufd_ucmd *ucmd,
					       struct iommufd_viommu *viommu)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_vdevice *vdev;
	struct iommufd_object *obj;
	int rc;

	obj = _iommufd_object_alloc_ucmd(ucmd, vdevice_size(viommu->ops),
					 IOMMUFD_OBJ_VDEVICE);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	vdev = container_of(obj, struct iommufd_vdevice, obj);
	vdev->virt_id = cmd->virt_id;
	cmd->out_vdevice_id = obj->id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	return rc ? ERR_PTR(rc) : vdev;
}

static int vdevice_check_id(struct iommufd_ctx *ictx,
			    struct iommufd_viommu *viommu,
			    const struct iommu_vdevice_alloc *cmd)
{
	struct iommufd_device *idev __free(iommufd_put_object) =
		iommufd_get_device(ictx, cmd->dev_id);

	if (IS_ERR(idev))
		return PTR_ERR(idev);
	guard(mutex)(&idev->igroup->lock);
	return vdevice_check(viommu, idev, cmd->virt_id);
}

/*
 * Nobody can undo a vDEVICE that the driver has shown to others, so the reply
 * comes first; and not with the device held, as it waits for user memory. That
 * is why everything is checked a second time. The first time gives the errors
 * that are more telling than that of the reply.
 */
static int vdevice_alloc(struct iommufd_ucmd *ucmd,
			 struct iommufd_viommu *viommu)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_vdevice *vdev;
	int rc;

	rc = vdevice_check_id(ucmd->ictx, viommu, cmd);
	if (rc)
		return rc;
	vdev = vdevice_respond(ucmd, viommu);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);

	struct iommufd_device *idev __free(iommufd_put_object) =
		iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	return vdevice_create(ucmd, vdev, viommu, idev);
}

/* IOMMU_VDEVICE_ALLOC */
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;

	/* It is an index of an xarray, and what drivers look devices up by */
	if (cmd->virt_id > ULONG_MAX)
		return -EINVAL;

	struct iommufd_viommu *viommu __free(iommufd_put_object) =
		iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	return vdevice_alloc(ucmd, viommu);
}
