// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vDPA device that does DMA through the IOMMU of the platform, as VFIO's do. Its
 * parent is the device that is bound. The parent's driver must have
 * driver_managed_dma set, or the DMA API owns the group and binding is refused with
 * -EPERM.
 */
#include <linux/slab.h>

#include "vdpa_backend.h"

/**
 * struct hardware - the back end
 * @backend: what the front end knows of it
 * @idev: the parent, bound
 */
struct hardware {
	struct vdpa_backend backend;
	struct iommufd_device *idev;
};

static struct hardware *to_hardware(struct vdpa_backend *backend)
{
	return container_of(backend, struct hardware, backend);
}

static int hardware_attach(struct vdpa_backend *backend, u32 *pt)
{
	struct hardware *hw = to_hardware(backend);

	if (backend->attached)
		return iommufd_device_replace(hw->idev, IOMMU_NO_PASID, pt);
	return iommufd_device_attach(hw->idev, IOMMU_NO_PASID, pt);
}

static void hardware_detach(struct vdpa_backend *backend)
{
	iommufd_device_detach(to_hardware(backend)->idev, IOMMU_NO_PASID);
}

static void hardware_unbind(struct vdpa_backend *backend)
{
	struct hardware *hw = to_hardware(backend);

	iommufd_device_unbind(hw->idev);
	mutex_destroy(&backend->lock);
	kfree(hw);
}

static const struct vdpa_backend_ops hardware_ops = {
	.attach = hardware_attach,
	.detach = hardware_detach,
	.unbind = hardware_unbind,
};

struct vdpa_backend *vdpa_hardware_bind(struct vdpa_device *vdpa,
					struct iommufd_ctx *ictx)
{
	struct device *dma_dev = vdpa_get_map(vdpa).dma_dev;
	struct hardware *hw __free(kfree) = NULL;

	/* Queues with DMA devices of their own would have to be bound one by one */
	if (!dma_dev || vdpa->config->get_vq_map)
		return ERR_PTR(-EOPNOTSUPP);
	hw = kzalloc_obj(*hw, GFP_KERNEL_ACCOUNT);
	if (!hw)
		return ERR_PTR(-ENOMEM);
	hw->idev = iommufd_device_bind(ictx, dma_dev, &hw->backend.id);
	if (IS_ERR(hw->idev))
		return ERR_CAST(hw->idev);
	hw->backend.ops = &hardware_ops;
	hw->backend.vdpa = vdpa;
	mutex_init(&hw->backend.lock);
	return &no_free_ptr(hw)->backend;
}
