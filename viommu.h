/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vIOMMUs. The structure is in include/linux/iommufd.h, IOMMU drivers extend it.
 */
#ifndef __IOMMUFD_VIOMMU_H
#define __IOMMUFD_VIOMMU_H

#include "object.h"

static inline struct iommufd_viommu *iommufd_get_viommu(struct iommufd_ctx *ictx,
							u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_VIOMMU);

	return container_of_const(obj, struct iommufd_viommu, obj);
}

void iommufd_viommu_destroy(struct iommufd_object *obj);
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd);

#endif
