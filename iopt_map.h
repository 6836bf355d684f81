/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapping memory into an IOVA space.
 */
#ifndef __IOMMUFD_IOPT_MAP_H
#define __IOMMUFD_IOPT_MAP_H

#include <linux/atomic.h>

#include "io_pagetable.h"

struct device;

/**
 * struct iopt_map_policy - what a caller imposes on what it maps
 * @account_mode: enum iommufd_account_mode; where pinned pages are counted, see
 *	pages_owner_init()
 * @container: a VFIO container maps it, see iopt_unmap_container()
 * @max_areas: how many areas the space may have, with the new one
 * @dev: the device that imports dma-bufs
 * @shared: as of struct iopt_pages; or NULL
 * @pfnmaps: module parameter pfnmap_maps has to be so large for memory of a
 *	device to be mapped by its address
 */
struct iopt_map_policy {
	u8 account_mode;
	bool container;
	unsigned long max_areas;
	struct device *dev;
	atomic_long_t *shared;
	unsigned int pfnmaps;
};

/*
 * prot is IOMMU_READ, IOMMU_WRITE; *iova is chosen unless fixed.
 * Errors as of the ioctls.
 */
int iopt_map_user(struct io_pagetable *iopt, unsigned long *iova,
		  void __user *uptr, unsigned long length, int prot, bool fixed,
		  const struct iopt_map_policy *policy);
int iopt_map_file(struct io_pagetable *iopt, unsigned long *iova, int fd,
		  unsigned long start, unsigned long length, int prot,
		  bool fixed, const struct iopt_map_policy *policy);
int iopt_copy(struct io_pagetable *dst, unsigned long *dst_iova,
	      struct io_pagetable *src, unsigned long src_iova,
	      unsigned long length, int prot, bool fixed);

#endif
