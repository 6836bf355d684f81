/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices of VFIO. Other programs than tests use this as well. A function returns
 * 0 or a positive errno unless it says otherwise.
 */
#ifndef __VFIO_UTILS_H
#define __VFIO_UTILS_H

#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include "sysfs.h"

#define UNSAFE_MSI "/sys/module/iommufd/parameters/allow_unsafe_interrupts"
#define NOIOMMU_MODE "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

/* The path of the cdev below a device's directory in sysfs. False without one. */
static inline bool vfio_node(const char *device, char *node, size_t size)
{
	char path[700];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/vfio-dev", device);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		found = e->d_name[0] != '.';
		snprintf(node, size, "/dev/vfio/devices/%s", e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/* A descriptor of that, or -1 */
static inline int open_cdev_of(const char *device)
{
	char node[600];

	return vfio_node(device, node, sizeof(node)) ?
	       open(node, O_RDWR | O_CLOEXEC) : -1;
}

/* The same of a PCI device that vfio-pci gets for it */
static inline int open_pci_cdev(const char *bdf)
{
	char path[600];

	if (pci_bind(bdf, "vfio-pci"))
		return -1;
	snprintf(path, sizeof(path), PCI "/devices/%s", bdf);
	return open_cdev_of(path);
}

static inline int vfio_bind(int dev, int iommufd, __u32 *devid)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = iommufd,
	};

	if (ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd))
		return errno;
	*devid = cmd.out_devid;
	return 0;
}

/* @pt is an input, and what the device is attached to afterwards */
static inline int vfio_attach(int dev, __u32 *pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = *pt,
	};

	if (ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd))
		return errno;
	*pt = cmd.pt_id;
	return 0;
}

static inline int vfio_detach(int dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd) ? errno : 0;
}

/* The same for what the device does with a PASID */
static inline int vfio_attach_pasid(int dev, __u32 pasid, __u32 pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pt_id = pt,
		.pasid = pasid,
	};

	return ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd) ? errno : 0;
}

static inline int vfio_detach_pasid(int dev, __u32 pasid)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_DETACH_PASID,
		.pasid = pasid,
	};

	return ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd) ? errno : 0;
}

/* Can the IOMMU keep a device from bypassing caches? 1, 0, or -1 if untold */
static inline int can_snoop(int iommufd, __u32 devid)
{
	__u64 data[8] = {};	/* the kinds that are known fit in */
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = devid,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};

	if (ioctl(iommufd, IOMMU_GET_HW_INFO, &info))
		return -1;
	switch (info.out_data_type) {
	case IOMMU_HW_INFO_TYPE_INTEL_VTD:
		/* ECAP.SC */
		return ((struct iommu_hw_info_vtd *)data)->ecap_reg >> 7 & 1;
	case IOMMU_HW_INFO_TYPE_AMD:
		return 1;
	default:
		return -1;
	}
}

/*
 * A VFIO container. @len is an input, and afterwards what the call says that it was
 * about.
 */

#define DMA_RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

static inline int container_map(int container, const void *va, __u64 iova,
				__u64 len, __u32 flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = len,
	};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &map) ? errno : 0;
}

static inline int container_unmap_flags(int container, __u64 iova, __u64 *len,
					__u32 flags)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = iova,
		.size = *len,
	};
	int rc = ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) ? errno : 0;

	*len = unmap.size;
	return rc;
}

static inline int container_unmap(int container, __u64 iova, __u64 *len)
{
	return container_unmap_flags(container, iova, len, 0);
}

/* IOMMU_VFIO_IOAS: the IOAS that the container's ioctls act on */
static inline int container_ioas(int container, __u16 op, __u32 *id)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = *id,
		.op = op,
	};
	int rc = ioctl(container, IOMMU_VFIO_IOAS, &cmd) ? errno : 0;

	*id = cmd.ioas_id;
	return rc;
}

#endif
