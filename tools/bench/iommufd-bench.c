// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures what mapping memory for a device costs. Made to run in the VM of
 * tools/bench/run; report.h says what it prints.
 *
 *	iommufd-bench counted [ROW...]	instructions, in a VM run with -icount
 *					shift=0; default: all rows
 *	iommufd-bench growth		the same, in a VM with many devices
 *	iommufd-bench mock		the same, on a kernel with mock devices
 *	iommufd-bench threads		wall time, in a VM with two CPUs
 *	iommufd-bench profile		for profile-plugin.c, which does the rest
 */
#include "floor-client.h"
#include "report.h"
#include "rows.h"
#include "sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A name such as 0000:00:03.0, as long as any in a directory */
#define PCI_NAME 256

/* Which of the edu devices, each in an IOMMU group of its own, is whose */
enum {
	DEVICE_TYPE1,
	DEVICE_SPACE,
	DEVICE_OTHER,
	DEVICE_FLOOR,
	NR_DEVICES
};

static bool usable(const char *who, const char *error)
{
	if (error)
		report_missing("setup", "-", who, "%s", error);
	return !error;
}

static const char *open_iommufd(struct subjects *subjects,
				char devices[][PCI_NAME])
{
	const char *error;
	int iommu = iommufd_open();

	if (iommu < 0)
		return strerror(errno);
	error = iommufd_attach(&subjects->space, iommu, devices[DEVICE_SPACE]);
	if (!error)
		error = iommufd_attach(&subjects->other, iommu,
				       devices[DEVICE_OTHER]);
	return error;
}

static void set_up(struct subjects *subjects)
{
	char devices[NR_DEVICES][PCI_NAME];
	unsigned int i;

	for (i = 0; i != NR_DEVICES; i++) {
		bool found = find_edu(i, devices[i], PCI_NAME);

		if (!usable("all", found ? NULL : "no such device"))
			return;
	}
	subjects->have_type1 =
		usable("native",
		       type1_open(&subjects->type1, devices[DEVICE_TYPE1]));
	subjects->have_iommufd =
		usable("iommufd", open_iommufd(subjects, devices));
	subjects->have_floor =
		usable("floor",
		       floor_open(&subjects->floor, devices[DEVICE_FLOOR]));
}

/**
 * struct rows - something to measure
 * @name: what it is called on the command line
 * @measure: does it
 * @alone: it needs no subjects
 */
struct rows {
	const char *name;
	void (*measure)(struct subjects *subjects);
	bool alone;
};

static const struct rows counted[] = {
	{ "map", rows_map },	   { "small", rows_small },
	{ "second", rows_second }, { "access", rows_access },
	{ "dirty", rows_dirty },   { "memory", rows_memory },
	{ "scale", rows_scale },   { "viommu", rows_viommu },
};

/* Each in a VM of its own */
static const struct rows parts[] = {
	{ "growth", rows_growth },
	{ "mock", rows_mock, .alone = true },
	{ "threads", rows_threads },
	{ "profile", rows_profile },
};

static bool is_wanted(const char *name, char **wanted)
{
	if (!*wanted)
		return true;
	for (; *wanted; wanted++) {
		if (!strcmp(*wanted, name))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool is_counted = !strcmp(what, "counted");
	struct subjects subjects = {};
	size_t i;

	for (i = 0; i != ARRAY_SIZE(parts) && strcmp(what, parts[i].name); i++)
		;
	if (!is_counted && (i == ARRAY_SIZE(parts) || argc > 2)) {
		fprintf(stderr,
			"usage: %s counted [ROW...]|growth|mock|threads|profile\n",
			argv[0]);
		return 2;
	}
	if (is_counted || !parts[i].alone)
		set_up(&subjects);
	if (!is_counted)
		parts[i].measure(&subjects);
	for (i = 0; is_counted && i != ARRAY_SIZE(counted); i++) {
		if (is_wanted(counted[i].name, argv + 2))
			counted[i].measure(&subjects);
	}
	return report_failures() ? 1 : 0;
}
