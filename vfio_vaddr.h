/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * UPDATE_VADDR of a VFIO type1 container.
 */
#ifndef __IOMMUFD_VFIO_VADDR_H
#define __IOMMUFD_VFIO_VADDR_H

#include <linux/vfio.h>

struct iommufd_ioas;

int iommufd_vfio_has_update_vaddr(struct iommufd_ioas *ioas);
int iommufd_vfio_invalidate_vaddr(struct iommufd_ioas *ioas,
				  const struct vfio_iommu_type1_dma_unmap *unmap,
				  unsigned long *length);
int iommufd_vfio_update_vaddr(struct iommufd_ioas *ioas,
			      const struct vfio_iommu_type1_dma_map *map);

#endif
