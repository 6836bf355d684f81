/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PCI device through its VFIO character device: /dev/iommu decides what it
 * may reach; this is how the process reaches the device.
 */
#ifndef DEMO_VFIO_H
#define DEMO_VFIO_H

#include <stdbool.h>
#include <stdint.h>

struct vfio_device {
	int fd;
	uint64_t config;	/* file offset of PCI configuration space */
	uint64_t bar0;		/* file offset of BAR 0 */
	uint64_t bar0_size;	/* bytes */
	uint32_t *regs;		/* BAR 0 if it could be mapped, or NULL */
};

/* Opens @node. Nothing but a bind is possible before vfio_bind_iommufd(). */
void vfio_open(struct vfio_device *dev, const char *node);

/*
 * Puts the device under the control of an iommufd and returns the device's
 * ID there. From now on all its DMA is blocked, until it gets an IOAS.
 */
uint32_t vfio_bind_iommufd(struct vfio_device *dev, int iommu);

/*
 * Gives the device the address space @ioas. Returns the ID of the hardware
 * page table that the kernel made, or found, for the IOAS.
 */
uint32_t vfio_attach_ioas(struct vfio_device *dev, uint32_t ioas);

/* Takes the address space away: all DMA is blocked again. */
void vfio_detach_ioas(struct vfio_device *dev);

/* Unbinds from the iommufd, too. */
void vfio_close(struct vfio_device *dev);

/* Finds configuration space and BAR 0, and maps BAR 0 if possible. */
void vfio_find_regions(struct vfio_device *dev);

/* Lets the device answer to its BAR (memory) and start DMA (bus master). */
void vfio_enable(struct vfio_device *dev, bool memory, bool bus_master);

/* Registers of BAR 0. They do not order accesses to memory. */
uint32_t vfio_read32(struct vfio_device *dev, uint32_t reg);
void vfio_write32(struct vfio_device *dev, uint32_t reg, uint32_t value);

#endif
