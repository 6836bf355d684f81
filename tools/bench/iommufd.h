/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/iommu. Functions return 0 or an errno, unless they say otherwise.
 */
#ifndef BENCH_IOMMUFD_H
#define BENCH_IOMMUFD_H

#include <stddef.h>
#include <stdint.h>

struct memory;

/**
 * struct iommufd_space - a device and its I/O address space
 * @iommu: file descriptor of /dev/iommu, shared by all spaces
 * @device: file descriptor of the VFIO device
 * @device_id: the device's object
 * @ioas_id: the space
 */
struct iommufd_space {
	int iommu;
	int device;
	uint32_t device_id;
	uint32_t ioas_id;
};

/* Returns a file descriptor, or -1 with errno set */
int iommufd_open(void);
/* Returns NULL, or why it cannot be had */
const char *iommufd_attach(struct iommufd_space *space, int iommu,
			   const char *device);

/* From the user address, or from the memfd if the memory has one */
int iommufd_map(struct iommufd_space *space, uint64_t iova,
		const struct memory *memory);
int iommufd_map_user(struct iommufd_space *space, uint64_t iova, void *start,
		     size_t bytes);
int iommufd_unmap(struct iommufd_space *space, uint64_t iova, size_t bytes);
int iommufd_copy(struct iommufd_space *to, struct iommufd_space *from,
		 uint64_t iova, size_t bytes);

/* One more I/O page table of the space, filled with all that is mapped */
int iommufd_hwpt_alloc(struct iommufd_space *space, uint32_t flags,
		       uint32_t *id);
int iommufd_destroy(struct iommufd_space *space, uint32_t id);

int iommufd_dirty_enable(struct iommufd_space *space, uint32_t hwpt_id);
int iommufd_dirty_read(struct iommufd_space *space, uint32_t hwpt_id,
		       uint64_t iova, size_t bytes, void *bitmap);

#endif
