// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "pci.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCI_DEVICES "/sys/bus/pci/devices"
#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8

static long read_number(const char *device, const char *attribute)
{
	char path[256], text[32];
	FILE *file;
	long number = -1;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", device, attribute);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fgets(text, sizeof(text), file))
		number = strtol(text, NULL, 0);
	fclose(file);
	return number;
}

static const char *write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	const char *error = NULL;

	if (fd < 0)
		return strerror(errno);
	if (write(fd, text, strlen(text)) < 0)
		error = strerror(errno);
	close(fd);
	return error;
}

static int is_edu(const struct dirent *entry)
{
	return strlen(entry->d_name) < PCI_NAME &&
	       read_number(entry->d_name, "vendor") == EDU_VENDOR &&
	       read_number(entry->d_name, "device") == EDU_DEVICE;
}

const char *pci_find(unsigned int number, char name[PCI_NAME])
{
	int i, nr = -1;
	struct dirent **list;

	nr = scandir(PCI_DEVICES, &list, is_edu, alphasort);
	if (nr < 0)
		return strerror(errno);
	for (i = 0; i != nr; i++) {
		if ((unsigned int)i == number)
			snprintf(name, PCI_NAME, "%.12s", list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return number < (unsigned int)nr ? NULL : "no such device";
}

const char *pci_bind(const char *name, const char *driver)
{
	char path[256], link[256];
	const char *error;
	ssize_t nr;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override", name);
	error = write_text(path, driver);
	if (error)
		return error;
	error = write_text("/sys/bus/pci/drivers_probe", name);
	if (error)
		return error;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", name);
	nr = readlink(path, link, sizeof(link) - 1);
	if (nr < 0)
		return "no driver took it";
	link[nr] = 0;
	return strcmp(strrchr(link, '/') + 1, driver) ? "another driver has it" :
							NULL;
}

int pci_group(const char *name)
{
	char path[256], link[256];
	ssize_t nr;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", name);
	nr = readlink(path, link, sizeof(link) - 1);
	if (nr < 0)
		return -1;
	link[nr] = 0;
	return atoi(strrchr(link, '/') + 1);
}

const char *pci_vfio_node(const char *name, char *path, size_t size)
{
	const char *error = "it has no VFIO character device";
	char directory[256];
	struct dirent *entry;
	DIR *dir;

	snprintf(directory, sizeof(directory), PCI_DEVICES "/%s/vfio-dev",
		 name);
	dir = opendir(directory);
	if (!dir)
		return error;
	while (error && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, size, "/dev/vfio/devices/%s", entry->d_name);
		error = NULL;
	}
	closedir(dir);
	return error;
}
