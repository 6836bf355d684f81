// SPDX-License-Identifier: GPL-2.0-only
/*
 * UPDATE_VADDR of a VFIO type1 container: a program replaces itself by exec, and
 * tells where the memory is afterwards that it had mapped before.
 */
#include <linux/mm.h>
#include <linux/overflow.h>

#include "ioas.h"
#include "iopt_vaddr.h"
#include "vfio_vaddr.h"

/**
 * iommufd_vfio_has_update_vaddr() - VFIO_CHECK_EXTENSION of VFIO_UPDATE_VADDR
 * @ioas: the compat IOAS
 *
 * Return: 1 unless kernel users have to find the memory at any time, who are
 * emulated devices and hardware queues; otherwise 0.
 */
int iommufd_vfio_has_update_vaddr(struct iommufd_ioas *ioas)
{
	guard(mutex)(&ioas->iopt.iova_mutex);
	return xa_empty(&ioas->iopt.accesses);
}

/**
 * iommufd_vfio_invalidate_vaddr() - VFIO_DMA_UNMAP_FLAG_VADDR
 * @ioas: the compat IOAS
 * @unmap: the caller's structure
 * @length: gets how many bytes are mapped there
 *
 * Return: 0, or an errno of the ioctl with nothing changed, in type1's order.
 */
int iommufd_vfio_invalidate_vaddr(struct iommufd_ioas *ioas,
				  const struct vfio_iommu_type1_dma_unmap *unmap,
				  unsigned long *length)
{
	unsigned long last;

	*length = 0;
	if (!iommufd_vfio_has_update_vaddr(ioas))
		return -EBUSY;
	if (unmap->iova > ULONG_MAX || unmap->size > ULONG_MAX)
		return -EOVERFLOW;
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (unmap->iova || unmap->size)
			return -EINVAL;
		return iopt_invalidate_vaddr(&ioas->iopt, 0, ULONG_MAX, length);
	}
	if (!unmap->size || !IS_ALIGNED(unmap->iova | unmap->size, PAGE_SIZE))
		return -EINVAL;
	if (check_add_overflow((unsigned long)unmap->iova,
			       (unsigned long)unmap->size - 1, &last))
		return -EOVERFLOW;
	return iopt_invalidate_vaddr(&ioas->iopt, unmap->iova, last, length);
}

/**
 * iommufd_vfio_update_vaddr() - VFIO_DMA_MAP_FLAG_VADDR
 * @ioas: the compat IOAS
 * @map: the caller's structure
 *
 * Return: 0, or an errno of the ioctl with nothing changed, in type1's order.
 */
int iommufd_vfio_update_vaddr(struct iommufd_ioas *ioas,
			      const struct vfio_iommu_type1_dma_map *map)
{
	unsigned long last, end;

	if (map->iova > ULONG_MAX || map->size > ULONG_MAX ||
	    map->vaddr > ULONG_MAX)
		return -EOVERFLOW;
	if (!map->size)
		return -EINVAL;
	if (check_add_overflow((unsigned long)map->iova,
			       (unsigned long)map->size - 1, &last) ||
	    check_add_overflow((unsigned long)map->vaddr,
			       (unsigned long)map->size, &end))
		return -EOVERFLOW;
	if (map->flags != VFIO_DMA_MAP_FLAG_VADDR ||
	    !IS_ALIGNED(map->iova | map->size | map->vaddr, PAGE_SIZE))
		return -EINVAL;
	return iopt_update_vaddr(&ioas->iopt, map->iova, last, map->vaddr,
				 IOMMUFD_ACCOUNT_TYPE1);
}
