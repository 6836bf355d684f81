/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dirty log of a VFIO type1 container.
 */
#ifndef __IOMMUFD_VFIO_DIRTY_H
#define __IOMMUFD_VFIO_DIRTY_H

#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/vfio.h>

struct iommufd_ioas;

/* Most bytes of a dirty bitmap, as in type1 */
#define VFIO_BITMAP_SIZE_MAX	SZ_256M

bool iommufd_vfio_has_dirty_log(void);
int iommufd_vfio_bitmap_check(const struct vfio_bitmap *bitmap, u64 iova,
			      u64 size);
int
iommufd_vfio_dirty_pages(struct iommufd_ioas *ioas,
			 struct vfio_iommu_type1_dirty_bitmap __user *udirty);

#endif
