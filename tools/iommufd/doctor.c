// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is this machine ready for iommufd, and what is to be done if not. Looks at /sys
 * and /proc, and at what device nodes there are; opens none of them.
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "doctor.h"
#include "json.h"
#include "show.h"

enum verdict { OK, NOTE, BAD };

static const char * const verdicts[] = { "ok", "note", "bad" };

static bool as_json, ready;

/* One finding; a remedy only where there is something to be done */
__attribute__((format(printf, 4, 5)))
static void say(const char *check, enum verdict verdict, const char *remedy,
		const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ready &= verdict != BAD;
	if (!as_json) {
		printf("[%-4s] %s: %s\n", verdicts[verdict], check, text);
		if (remedy)
			printf("       %s\n", remedy);
		return;
	}
	json_open(NULL, '{');
	json_text("check", check);
	json_text("verdict", verdicts[verdict]);
	json_text("found", text);
	if (remedy)
		json_text("remedy", remedy);
	json_close('}');
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

static unsigned int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int count = 0;
	struct dirent *e;

	if (!dir)
		return 0;
	while ((e = readdir(dir)))
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* PCI devices of a driver; a link to the module is there, too */
static unsigned int count_devices(const char *driver)
{
	unsigned int count = 0;
	struct dirent *e;
	char path[128];
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((e = readdir(dir)))
		count += !!strchr(e->d_name, ':');
	closedir(dir);
	return count;
}

static bool read_first_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	if (!fgets(line, size, f))
		*line = 0;
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	return true;
}

static void check_iommufd(void)
{
	if (!exists("/sys/class/misc/iommu"))
		say("iommufd", BAD,
		    "modprobe iommufd; the kernel needs CONFIG_IOMMUFD",
		    "not in this kernel, or its module is not loaded");
	else if (!exists("/dev/iommu"))
		say("iommufd", BAD, "see what udev or devtmpfs makes of it",
		    "the kernel has it, and there is no /dev/iommu");
	else if (access("/dev/iommu", R_OK | W_OK))
		say("iommufd", NOTE,
		    "be root, or of the group of /dev/iommu (udev)",
		    "/dev/iommu is there, and may not be opened");
	else
		say("iommufd", OK, NULL, "/dev/iommu is there");
}

static void check_iommu(void)
{
	unsigned int iommus = count_entries("/sys/class/iommu");
	unsigned int groups = count_entries("/sys/kernel/iommu_groups");

	if (!iommus)
		say("iommu", BAD,
		    "switch it on in the firmware (VT-d, AMD-Vi, SMMU), and for Intel boot with intel_iommu=on",
		    "the kernel uses none");
	else
		say("iommu", OK, NULL, "%u in use", iommus);
	if (groups)
		say("groups", OK, NULL, "%u IOMMU groups", groups);
	else
		say("groups", BAD,
		    iommus ? "no device is behind the IOMMU" :
			     "they come with an IOMMU",
		    "no device is in an IOMMU group");
}

/* The driver of a member of a group, or "" */
static void driver_of(const char *group, const char *device, char *name,
		      size_t size)
{
	char path[PATH_MAX], to[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path),
		 "/sys/kernel/iommu_groups/%s/devices/%s/driver", group,
		 device);
	len = readlink(path, to, sizeof(to) - 1);
	to[len < 0 ? 0 : len] = 0;
	snprintf(name, size, "%s", strrchr(to, '/') ? strrchr(to, '/') + 1 : "");
}

static bool is_vfio(const char *driver)
{
	return strstr(driver, "vfio");
}

/* These need not let go of their devices, or do no DMA */
static bool is_harmless(const char *driver)
{
	return !*driver || is_vfio(driver) || !strcmp(driver, "pcieport") ||
	       !strcmp(driver, "pci-stub");
}

/* A group that VFIO has a part of, and another driver the rest, is not viable */
static bool check_group(const char *group)
{
	char path[PATH_MAX], driver[64], other[64] = "", device[64] = "";
	bool vfio = false;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices",
		 group);
	dir = opendir(path);
	if (!dir)
		return true;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		driver_of(group, e->d_name, driver, sizeof(driver));
		vfio |= is_vfio(driver);
		if (is_harmless(driver))
			continue;
		snprintf(other, sizeof(other), "%s", driver);
		snprintf(device, sizeof(device), "%.63s", e->d_name);
	}
	closedir(dir);
	if (!vfio || !*other)
		return true;
	say("group", BAD,
	    "give all devices of the group to vfio-pci, or unbind their drivers",
	    "group %s is shared: VFIO has a device, and %s has %s", group,
	    other, device);
	return false;
}

static void check_groups(void)
{
	DIR *dir = opendir("/sys/kernel/iommu_groups");
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			check_group(e->d_name);
	closedir(dir);
}

static void check_vfio(void)
{
	unsigned int devices = count_devices("vfio-pci");
	unsigned int nodes = count_entries("/dev/vfio/devices");

	if (!exists("/sys/bus/pci/drivers/vfio-pci"))
		say("vfio", BAD, "modprobe vfio-pci",
		    "the driver vfio-pci is not there");
	else if (!devices)
		say("vfio", NOTE,
		    "echo vfio-pci > /sys/bus/pci/devices/ADDRESS/driver_override, unbind its driver, and write ADDRESS to /sys/bus/pci/drivers_probe",
		    "no PCI device is given to vfio-pci");
	else if (!nodes)
		say("vfio", NOTE,
		    "the kernel needs CONFIG_VFIO_DEVICE_CDEV; until then programs can use groups only",
		    "vfio-pci has %u devices, and there is nothing in /dev/vfio/devices",
		    devices);
	else
		say("vfio", OK, NULL, "vfio-pci has %u devices", devices);
}

/* Whose /dev/vfio/vfio is: native type 1 has a module, and iommufd a parameter */
static void check_container(void)
{
	if (!exists("/dev/vfio/vfio"))
		say("container", NOTE,
		    "only programs that know nothing of iommufd need it: CONFIG_IOMMUFD_VFIO_CONTAINER",
		    "there is no /dev/vfio/vfio");
	else if (exists("/sys/module/vfio_iommu_type1"))
		say("container", OK, NULL, "/dev/vfio/vfio is VFIO's own");
	else
		say("container", OK, NULL,
		    "/dev/vfio/vfio is iommufd's, or nobody's");
}

static void check_interrupts(void)
{
	static const char path[] =
		"/sys/module/iommufd/parameters/allow_unsafe_interrupts";
	char value[8];

	if (!read_first_line(path, value, sizeof(value)))
		return;
	if (*value == 'Y')
		say("interrupts", NOTE,
		    "unless you trust whoever controls a device: echo N > /sys/module/iommufd/parameters/allow_unsafe_interrupts",
		    "allow_unsafe_interrupts is set: where interrupts are not remapped, a device can attack the host");
	else
		say("interrupts", OK, NULL,
		    "devices whose interrupts are not isolated are refused");
}

/* What a VM of some size needs is known only to its user */
static void check_limit(void)
{
	struct rlimit limit;
	char buf[32];

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	if (!geteuid())
		say("memlock", OK, NULL,
		    "root may lock all memory; other users see their own limit");
	else if (limit.rlim_cur == RLIM_INFINITY)
		say("memlock", OK, NULL, "locked memory is not limited");
	else
		say("memlock", limit.rlim_cur < 1ULL << 30 ? BAD : NOTE,
		    "all memory of a guest is locked: ulimit -l, /etc/security/limits.conf, LimitMEMLOCK= of systemd",
		    "%s of locked memory are allowed here",
		    amount(limit.rlim_cur, buf, sizeof(buf)));
}

bool doctor(bool json)
{
	as_json = json;
	ready = true;
	if (json) {
		json_open(NULL, '{');
		json_open("checks", '[');
	}
	check_iommufd();
	check_iommu();
	check_groups();
	check_vfio();
	check_container();
	check_interrupts();
	check_limit();
	if (json) {
		json_close(']');
		json_text("ready", ready ? "yes" : "no");
		json_close('}');
	}
	return ready;
}
