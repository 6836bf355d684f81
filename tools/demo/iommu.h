/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/iommu, one wrapper per ioctl. Every wrapper fills in the structure
 * that the kernel wants, and on failure ends the program with an explanation
 * of the errno: a reader of the demo sees only what happens when all is well.
 */
#ifndef DEMO_IOMMU_H
#define DEMO_IOMMU_H

#include <stddef.h>
#include <stdint.h>

/* The kinds of IOMMU that the demo knows by name. */
enum iommu_kind {
	IOMMU_KIND_UNKNOWN,
	IOMMU_KIND_VTD,
	IOMMU_KIND_AMD,
	IOMMU_KIND_SMMUV3,
	IOMMU_KIND_VIRTIO,
	IOMMU_KIND_RISCV,
};

/* What IOMMU_GET_HW_INFO and sysfs say about the IOMMU of a device. */
struct iommu_description {
	enum iommu_kind kind;
	const char *name;	/* "Intel VT-d" */
	char instance[64];	/* its name in /sys/class/iommu, or "" */
	char registers[160];	/* what its ID registers tell, or "" */
	uint64_t capabilities;	/* IOMMU_HW_CAP_* */
};

/* Inclusive on both ends, as in struct iommu_iova_range. */
struct iova_range {
	uint64_t start, last;
};

#define IOMMU_MAX_RANGES 32

struct iova_ranges {
	unsigned int count;
	uint64_t alignment;	/* of every IOVA and length in this IOAS */
	struct iova_range range[IOMMU_MAX_RANGES];
};

/* What the device may do with a mapping. */
#define DMA_READ	1	/* the device reads memory */
#define DMA_WRITE	2	/* the device writes memory */

#define IOVA_ANY	UINT64_MAX	/* let the kernel choose one */

/* Opens /dev/iommu: a new, empty context. Returns the file descriptor. */
int iommu_open(void);

/* Makes an I/O address space and returns its ID. */
uint32_t iommu_ioas_alloc(int iommu);

/* Destroys any object that no other object uses. */
void iommu_destroy(int iommu, uint32_t id, const char *what);

/* Which IOVAs all devices attached to the IOAS can use. */
void iommu_iova_ranges(int iommu, uint32_t ioas, struct iova_ranges *out);

/*
 * Maps @len bytes of this process at @va to @iova, or to an address of the
 * kernel's choice for IOVA_ANY. @access is a sum of DMA_READ and DMA_WRITE.
 * Returns the IOVA.
 */
uint64_t iommu_map(int iommu, uint32_t ioas, void *va, size_t len,
		   uint64_t iova, unsigned int access);

/*
 * Takes every mapping inside [@iova, @iova + @len) away. When this returns,
 * no device can reach that memory. Returns the number of bytes unmapped.
 */
uint64_t iommu_unmap(int iommu, uint32_t ioas, uint64_t iova, size_t len);

/* Describes the IOMMU in front of device @dev_id, PCI address @bdf. */
void iommu_describe(int iommu, uint32_t dev_id, const char *bdf,
		    struct iommu_description *out);

#endif
