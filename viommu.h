/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vIOMMUs, and the vDEVICEs and hardware queues on them. The structures are in
 * include/linux/iommufd.h, IOMMU drivers extend them.
 */
#ifndef __IOMMUFD_VIOMMU_H
#define __IOMMUFD_VIOMMU_H

#include "object.h"

struct iommufd_device;

static inline struct iommufd_viommu *iommufd_get_viommu(struct iommufd_ctx *ictx,
							u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_VIOMMU);

	return container_of_const(obj, struct iommufd_viommu, obj);
}

void iommufd_viommu_destroy(struct iommufd_object *obj);
void iommufd_vdevice_destroy(struct iommufd_object *obj);
void iommufd_vdevice_revoke(struct iommufd_device *idev);
void iommufd_hw_queue_destroy(struct iommufd_object *obj);

int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd);

#endif
