// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMUs: the share of a physical IOMMU that a VM gets.
 */
#include <linux/module.h>

#include "../iommu-priv.h"
#include "group.h"
#include "hw_pagetable.h"
#include "viommu.h"

/* The vIOMMU is complete, or as far as its creation came */
void iommufd_viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu =
		container_of(obj, struct iommufd_viommu, obj);

	if (!viommu->hwpt)
		return;
	if (viommu->ops && viommu->ops->destroy)
		viommu->ops->destroy(viommu);
	refcount_dec(&viommu->hwpt->common.obj.users);
	xa_destroy(&viommu->vdevs);
	module_put(viommu->iommu_dev->ops->owner);
}

/* Everything that the driver may rely on in its viommu_init */
static void viommu_init(struct iommufd_viommu *viommu, struct iommufd_ctx *ictx,
			struct iommufd_device *idev,
			struct iommufd_hwpt_paging *hwpt,
			enum iommu_viommu_type type)
{
	xa_init(&viommu->vdevs);
	INIT_LIST_HEAD(&viommu->veventqs);
	init_rwsem(&viommu->veventqs_rwsem);
	viommu->type = type;
	viommu->ictx = ictx;
	refcount_inc(&hwpt->common.obj.users);
	viommu->hwpt = hwpt;
	/*
	 * The vIOMMU outlives the device, whose binding is what keeps the IOMMU
	 * driver. IOMMUs themselves are assumed not to disappear.
	 */
	viommu->iommu_dev = idev->dev->iommu->iommu_dev;
	__module_get(viommu->iommu_dev->ops->owner);
}

/* Returns the size of the driver's structure, or 0 if there is no support */
static size_t viommu_size(struct iommufd_device *idev,
			  enum iommu_viommu_type type)
{
	const struct iommu_ops *ops;
	size_t size;

	if (idev->noiommu)
		return 0;
	ops = dev_iommu_ops(idev->dev);
	if (!ops->get_viommu_size || !ops->viommu_init)
		return 0;
	size = ops->get_viommu_size(idev->dev, type);
	if (WARN_ON_ONCE(size && size < sizeof(struct iommufd_viommu)))
		return 0;
	return size;
}

static struct iommufd_viommu *viommu_create(struct iommufd_ucmd *ucmd,
					    struct iommufd_device *idev,
					    struct iommufd_hwpt_paging *hwpt,
					    size_t size)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_object *obj;

	/* A driver would take another driver's domain for one of its own */
	if (!hwpt->nest_parent ||
	    hwpt->common.domain->owner != dev_iommu_ops(idev->dev))
		return ERR_PTR(-EINVAL);

	obj = _iommufd_object_alloc_ucmd(ucmd, size, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	viommu = container_of(obj, struct iommufd_viommu, obj);
	viommu_init(viommu, ucmd->ictx, idev, hwpt, cmd->type);
	return viommu;
}

/* Returns a vIOMMU that its driver has not seen yet */
static struct iommufd_viommu *viommu_create_for(struct iommufd_ucmd *ucmd,
						struct iommufd_device *idev)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	size_t size = viommu_size(idev, cmd->type);

	if (!size)
		return ERR_PTR(-EOPNOTSUPP);

	struct iommufd_hwpt_paging *hwpt __free(iommufd_put_object) =
		iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return ERR_CAST(hwpt);
	return viommu_create(ucmd, idev, hwpt, size);
}

static int viommu_driver_init(struct iommufd_viommu *viommu,
			      struct iommu_viommu_alloc *cmd)
{
	const struct iommu_user_data user_data = {
		.type = cmd->type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.len = cmd->data_len,
	};
	int rc;

	rc = viommu->iommu_dev->ops->viommu_init(viommu,
						 viommu->hwpt->common.domain,
						 cmd->data_len ? &user_data :
								 NULL);
	if (rc)
		return rc;
	return WARN_ON_ONCE(!viommu->ops) ? -EOPNOTSUPP : 0;
}

/* IOMMU_VIOMMU_ALLOC */
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;

	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	viommu = viommu_create_for(ucmd, idev);
	/*
	 * The vIOMMU outlives the device, which may go from here on: the driver
	 * and the reply wait for user memory.
	 */
	iommufd_put_object(&idev->obj);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	rc = viommu_driver_init(viommu, cmd);
	if (rc)
		return rc;
	cmd->out_viommu_id = viommu->obj.id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
