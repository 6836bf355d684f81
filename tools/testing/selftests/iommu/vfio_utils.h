/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices of VFIO. Other programs than tests use this as well. A function returns
 * 0 or a positive errno unless it says otherwise.
 */
#ifndef __VFIO_UTILS_H
#define __VFIO_UTILS_H

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

#endif
