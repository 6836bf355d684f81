// SPDX-License-Identifier: GPL-2.0-only
#include "pci.h"
#include "say.h"
#include "vfio_utils.h"

bool pci_has_class(const char *bdf, unsigned int class)
{
	return pci_number(bdf, "class") == class;
}

bool pci_find_free(unsigned int class, char bdf[PCI_BDF_SIZE],
		   char busy[PCI_BDF_SIZE])
{
	DIR *dir = opendir(PCI "/devices");
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
		pci_link(name, "driver", driver, sizeof(driver));
		found = !driver[0] || !strcmp(driver, "vfio-pci");
		memcpy(found ? bdf : busy, name, strlen(name) + 1);
	}
	closedir(dir);
	return found;
}

void pci_bind_vfio(const char *bdf)
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
		{ ENXIO,
		  "Another driver took it. Is CONFIG_VFIO_PCI set, or the module loaded?" },
		{ EBUSY,
		  "The device is in use." },
		{ 0 }
	};

	errno = pci_bind(bdf, "vfio-pci");
	if (errno)
		die_errno(notes, "make vfio-pci the driver of %s", bdf);
}

void pci_vfio_node(const char *bdf, char *out, int size)
{
	char path[256];

	snprintf(path, sizeof(path), PCI "/devices/%s", bdf);
	if (!vfio_node(path, out, size))
		die("vfio-pci made no character device for %s.\n"
		    "The kernel needs CONFIG_VFIO_DEVICE_CDEV.", bdf);
}
