/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices of VFIO, for the tests that need more than the mock. As elsewhere a
 * function returns 0 or a positive errno unless it says otherwise.
 */
#ifndef __VFIO_UTILS_H
#define __VFIO_UTILS_H

#include <dirent.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "iommu_utils.h"

#define PCI "/sys/bus/pci"
#define UNSAFE_MSI "/sys/module/iommufd/parameters/allow_unsafe_interrupts"
#define NOIOMMU_MODE "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static inline long sysfs_num(const char *bdf, const char *name)
{
	char path[600], text[64] = {};
	FILE *f;

	snprintf(path, sizeof(path), PCI "/devices/%s/%s", bdf, name);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	return strtol(text, NULL, 16);
}

/* Name of the PCI device number @nr of QEMU's "edu" devices, by address */
static inline bool find_edu(unsigned int nr, char *bdf, size_t len)
{
	struct dirent **e;
	bool found = false;
	int num;

	num = scandir(PCI "/devices", &e, NULL, alphasort);
	for (int i = 0; i < num; i++) {
		if (!found && e[i]->d_name[0] != '.' &&
		    sysfs_num(e[i]->d_name, "vendor") == 0x1234 &&
		    sysfs_num(e[i]->d_name, "device") == 0x11e8 && !nr--) {
			snprintf(bdf, len, "%s", e[i]->d_name);
			found = true;
		}
		free(e[i]);
	}
	if (num >= 0)
		free(e);
	return found;
}

/* Number of a device's IOMMU group, or -1 */
static inline int iommu_group_of(const char *bdf)
{
	char path[600], target[600];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "/devices/%s/iommu_group", bdf);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -1;
	target[len] = 0;
	return atoi(strrchr(target, '/') + 1);
}

/* A descriptor of the cdev below a device's directory in sysfs, or -1 */
static inline int open_cdev_of(const char *device)
{
	char path[700], dev[600];
	struct dirent *e;
	int fd = -1;
	DIR *d;

	snprintf(path, sizeof(path), "%s/vfio-dev", device);
	d = opendir(path);
	while (d && fd < 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(dev, sizeof(dev), "/dev/vfio/devices/%s", e->d_name);
		fd = open(dev, O_RDWR | O_CLOEXEC);
	}
	if (d)
		closedir(d);
	return fd;
}

/* The same of a PCI device that vfio-pci gets for it */
static inline int open_pci_cdev(const char *bdf)
{
	char path[600];

	snprintf(path, sizeof(path), PCI "/devices/%s/driver_override", bdf);
	write_text(path, "vfio-pci");
	write_text(PCI "/drivers_probe", bdf);
	snprintf(path, sizeof(path), PCI "/devices/%s", bdf);
	return open_cdev_of(path);
}

static inline int vfio_bind(int dev, int iommufd, __u32 *devid)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = iommufd,
	};
	int rc = iommu_cmd(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (!rc)
		*devid = cmd.out_devid;
	return rc;
}

/* @pt is an input, and what the device is attached to afterwards */
static inline int vfio_attach(int dev, __u32 *pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = *pt,
	};
	int rc = iommu_cmd(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	if (!rc)
		*pt = cmd.pt_id;
	return rc;
}

static inline int vfio_detach(int dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return iommu_cmd(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

#endif
