/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files in sysfs, and PCI devices by means of those. Other programs than tests use
 * this as well. A function returns 0 or a positive errno unless it says otherwise.
 */
#ifndef __SYSFS_H
#define __SYSFS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCI "/sys/bus/pci"

/* By one write(), which is what sysfs takes for a command */
static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;
	ssize_t len = strlen(text), done;

	if (fd < 0)
		return errno;
	done = write(fd, text, len);
	if (done != len)
		rc = done < 0 ? errno : EIO;
	close(fd);
	return rc;
}

/* What an attribute of a device has, or -1 */
static inline long pci_number(const char *bdf, const char *name)
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

/* The name of what a link of a device leads to. False, and "", if there is none. */
static inline bool pci_link(const char *bdf, const char *name, char *out,
			    size_t size)
{
	char path[600], target[600];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "/devices/%s/%s", bdf, name);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = 0;
	snprintf(out, size, "%s", len < 0 ? "" : strrchr(target, '/') + 1);
	return len >= 0;
}

/* Number of a device's IOMMU group, or -1 */
static inline int pci_group(const char *bdf)
{
	char group[16];

	return pci_link(bdf, "iommu_group", group, sizeof(group)) ?
	       atoi(group) : -1;
}

/* Name of the PCI device number @nr with these IDs, by address */
static inline bool pci_find(long vendor, long device, unsigned int nr,
			    char *bdf, size_t len)
{
	struct dirent **e;
	bool found = false;
	int num;

	num = scandir(PCI "/devices", &e, NULL, alphasort);
	for (int i = 0; i < num; i++) {
		if (!found && e[i]->d_name[0] != '.' &&
		    pci_number(e[i]->d_name, "vendor") == vendor &&
		    pci_number(e[i]->d_name, "device") == device && !nr--) {
			snprintf(bdf, len, "%s", e[i]->d_name);
			found = true;
		}
		free(e[i]);
	}
	if (num >= 0)
		free(e);
	return found;
}

/* The same of QEMU's "edu" devices */
static inline bool find_edu(unsigned int nr, char *bdf, size_t len)
{
	return pci_find(0x1234, 0x11e8, nr, bdf, len);
}

/* Makes @driver the only one that matches, has any other let go, and looks again */
static inline int pci_bind(const char *bdf, const char *driver)
{
	char path[600], has[64];
	int rc;

	if (pci_link(bdf, "driver", has, sizeof(has)) && !strcmp(has, driver))
		return 0;
	snprintf(path, sizeof(path), PCI "/devices/%s/driver_override", bdf);
	rc = write_text(path, driver);
	snprintf(path, sizeof(path), PCI "/devices/%s/driver/unbind", bdf);
	if (!rc && has[0])
		rc = write_text(path, bdf);
	if (!rc)
		rc = write_text(PCI "/drivers_probe", bdf);
	if (!rc && (!pci_link(bdf, "driver", has, sizeof(has)) ||
		    strcmp(has, driver)))
		rc = ENXIO;
	return rc;
}

#endif
