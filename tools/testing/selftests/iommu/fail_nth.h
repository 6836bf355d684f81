/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Having the nth possible failure of this task happen, by
 * /proc/self/task/TID/fail-nth.
 */
#ifndef __FAIL_NTH_H
#define __FAIL_NTH_H

#include <dirent.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "iommu_utils.h"

#define DEBUGFS "/sys/kernel/debug"

static int nth_fd = -1, rest_fd = -1;

/* All of a task may fail, whatever it allocates and how. 0 or an errno. */
static inline int injection_unlimited(void)
{
	static const char *const attrs[][2] = {
		{ DEBUGFS "/failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "/failslab/cache-filter", "N" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUGFS "/fail_page_alloc/min-order", "0" },
		/* It has nothing to set but what every attribute has */
		{ DEBUGFS "/fail_iommufd/verbose", "0" },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(attrs); i++) {
		int rc = write_text(attrs[i][0], attrs[i][1]);

		if (rc)
			return rc;
	}
	return 0;
}

/* Without a word in the kernel log. 0 or an errno. */
static inline int injection_quiet(void)
{
	DIR *d = opendir(DEBUGFS);
	struct dirent *e;
	char path[512];
	int rc = 0;

	if (!d)
		return errno;
	while (!rc && (e = readdir(d))) {
		if (strncmp(e->d_name, "fail", 4))
			continue;
		snprintf(path, sizeof(path), DEBUGFS "/%s/verbose", e->d_name);
		rc = write_text(path, "0");
	}
	closedir(d);
	return rc;
}

static inline void arm(unsigned int n);
static inline bool disarm(void);

/* NULL, or what is missing: then no failure would ever be injected */
static inline const char *injection_setup(void)
{
	bool injected;
	char path[64];
	int fd;

	if (access(DEBUGFS "/failslab", F_OK))
		mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	if (injection_unlimited())
		return "no fault injection in " DEBUGFS;
	if (injection_quiet())
		return "fault injection cannot be made quiet";
	snprintf(path, sizeof(path), "/proc/self/task/%ld/fail-nth",
		 syscall(SYS_gettid));
	nth_fd = open(path, O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		return "no /proc/self/task/TID/fail-nth";
	/* Whatever is allocated first by a call that allocates */
	arm(1);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	injected = disarm();
	if (!injected || fd >= 0)
		return "an injected failure does not happen";
	return NULL;
}

static inline void arm(unsigned int n)
{
	char val[16];
	int len = snprintf(val, sizeof(val), "%u", n);

	if (pwrite(nth_fd, val, len, 0) != len)
		abort();
	/* Counts for nothing as long as the nth failure is to come */
	if (rest_fd >= 0 && pwrite(rest_fd, "1", 1, 0) != 1)
		abort();
}

/* True if the failure happened */
static inline bool disarm(void)
{
	char val[16] = {}, *end;
	unsigned long left;

	if (rest_fd >= 0 && pwrite(rest_fd, "0", 1, 0) != 1)
		abort();
	if (pread(nth_fd, val, sizeof(val) - 1, 0) <= 0)
		abort();
	left = strtoul(val, &end, 10);
	if (*end != '\n' || pwrite(nth_fd, "0", 1, 0) != 1)
		abort();
	return !left;
}

/*
 * Whether after the nth failure each allocation of an object fails as well, until
 * it is disarmed: there is no memory left. Many that fail are tried once more, and
 * only then is their failure seen. 0 or an errno.
 */
static inline int injection_of_rest(bool enable)
{
	int rc;

	if (rest_fd >= 0)
		close(rest_fd);
	rest_fd = -1;
	/* The filter stays, without which every task would fail for a moment */
	if (!enable)
		return write_text(DEBUGFS "/failslab/probability", "0");
	rc = write_text(DEBUGFS "/failslab/task-filter", "Y");
	if (!rc)
		rc = write_text(DEBUGFS "/failslab/times", "-1");
	if (!rc)
		rc = write_text(DEBUGFS "/failslab/probability", "100");
	if (rc)
		return rc;
	rest_fd = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	return rest_fd < 0 ? errno : 0;
}

/*
 * Have one of the places in our own code fail, after so many of them that do not.
 * How many allocations fall between them does not matter, which depends on what
 * the allocator has at hand. 0 or an errno.
 */
static inline int arm_own(unsigned int after)
{
	const char *dir = DEBUGFS "/fail_iommufd/";
	char space[16];
	const char *const attrs[][2] = {
		{ "task-filter", "Y" },
		{ "space", space },
		{ "times", "1" },
		{ "probability", "100" },
	};
	char path[64];

	snprintf(space, sizeof(space), "%u", after);
	for (unsigned int i = 0; i < ARRAY_LEN(attrs); i++) {
		int rc;

		snprintf(path, sizeof(path), "%s%s", dir, attrs[i][0]);
		rc = write_text(path, attrs[i][1]);
		if (rc)
			return rc;
	}
	return write_text("/proc/self/make-it-fail", "1");
}

/* True if the failure happened */
static inline bool disarm_own(void)
{
	unsigned long times;

	if (write_text("/proc/self/make-it-fail", "0") ||
	    read_number(DEBUGFS "/fail_iommufd/times", &times) ||
	    write_text(DEBUGFS "/fail_iommufd/probability", "0") ||
	    write_text(DEBUGFS "/fail_iommufd/task-filter", "N"))
		abort();
	return !times;
}

#endif
