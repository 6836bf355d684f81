// SPDX-License-Identifier: GPL-2.0-only
#include "pci.h"
#include "say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCI_DEVICES "/sys/bus/pci/devices"

/* Reads a small text file; returns false if there is no such file. */
static bool read_text(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, size - 1);
	close(fd);
	if (n < 0)
		return false;
	out[n] = 0;
	return true;
}

/* sysfs takes a command as one write; its result is that of the write. */
static void write_text(const char *path, const char *text)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "This part of sysfs does not exist. vfio-pci must be built in or loaded\n"
		  "(CONFIG_VFIO_PCI), and sysfs be mounted on /sys." },
		{ EACCES,
		  "Only root may give devices to drivers." },
		{ EINVAL,
		  "The driver refused the device." },
		{ ENODEV,
		  "The device is gone, or has no driver to unbind." },
		{ EBUSY,
		  "The device is in use." },
		{ 0 }
	};
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die_errno(notes, "write \"%s\" to %s", text, path);
	close(fd);
}

/* Last part of the target of the link @name in the device's directory. */
static bool read_link(const char *bdf, const char *name, char *out, int size)
{
	char path[256], target[256];
	const char *last;
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	last = strrchr(target, '/');
	snprintf(out, size, "%s", last ? last + 1 : target);
	return true;
}

unsigned int pci_attribute(const char *bdf, const char *name)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, name);
	if (!read_text(path, text, sizeof(text)))
		return 0;
	return strtoul(text, NULL, 0);
}

bool pci_has_class(const char *bdf, unsigned int class)
{
	return pci_attribute(bdf, "class") == class;
}

void pci_driver(const char *bdf, char *out, int size)
{
	if (!read_link(bdf, "driver", out, size))
		out[0] = 0;
}

int pci_iommu_group(const char *bdf)
{
	char group[16];

	if (!read_link(bdf, "iommu_group", group, sizeof(group)))
		return -1;
	return atoi(group);
}

bool pci_find_free(unsigned int class, char bdf[PCI_BDF_SIZE],
		   char busy[PCI_BDF_SIZE])
{
	DIR *dir = opendir(PCI_DEVICES);
	struct dirent *entry;
	bool found = false;
	char driver[64];

	busy[0] = 0;
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (strlen(name) >= PCI_BDF_SIZE || !pci_has_class(name, class))
			continue;
		pci_driver(name, driver, sizeof(driver));
		found = !driver[0] || !strcmp(driver, "vfio-pci");
		memcpy(found ? bdf : busy, name, strlen(name) + 1);
	}
	closedir(dir);
	return found;
}

bool pci_bind_vfio(const char *bdf)
{
	char path[256], driver[64];

	pci_driver(bdf, driver, sizeof(driver));
	if (!strcmp(driver, "vfio-pci"))
		return false;

	/*
	 * driver_override makes vfio-pci the only driver that matches this
	 * device; then the old driver lets go and the bus looks again.
	 */
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override", bdf);
	write_text(path, "vfio-pci");
	if (driver[0]) {
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver/unbind",
			 bdf);
		write_text(path, bdf);
	}
	write_text("/sys/bus/pci/drivers_probe", bdf);

	pci_driver(bdf, driver, sizeof(driver));
	if (strcmp(driver, "vfio-pci"))
		die("vfio-pci did not take %s. Is CONFIG_VFIO_PCI set, or the module loaded?", bdf);
	return true;
}

void pci_vfio_node(const char *bdf, char *out, int size)
{
	struct dirent *entry;
	char path[256];
	DIR *dir;

	/* vfio-dev/vfioN: the character device is named after it. */
	out[0] = 0;
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/vfio-dev", bdf);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (strstr(entry->d_name, "vfio"))
			snprintf(out, size, "/dev/vfio/devices/%s",
				 entry->d_name);
	if (dir)
		closedir(dir);
	if (!out[0])
		die("%s does not exist: vfio-pci made no character device.\n"
		    "The kernel needs CONFIG_VFIO_DEVICE_CDEV.", path);
}
