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

static int nth_fd = -1;

static inline int write_file(const char *path, const char *val)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno;
	n = write(fd, val, strlen(val));
	close(fd);
	return n < 0 ? errno : 0;
}

/* The attributes let everything of this task fail, and say nothing */
static inline const char *injection_setup(void)
{
	static const char dbg[] = "/sys/kernel/debug";
	char path[512];
	struct dirent *e;
	DIR *d;

	if (access("/sys/kernel/debug/failslab", F_OK))
		mount("debugfs", dbg, "debugfs", 0, NULL);
	if (access("/sys/kernel/debug/failslab", F_OK))
		return "no /sys/kernel/debug/failslab";
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem",
		   "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	d = opendir(dbg);
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, "fail", 4))
			continue;
		snprintf(path, sizeof(path), "%s/%s/verbose", dbg, e->d_name);
		write_file(path, "0");
	}
	if (d)
		closedir(d);
	snprintf(path, sizeof(path), "/proc/self/task/%ld/fail-nth",
		 syscall(SYS_gettid));
	nth_fd = open(path, O_RDWR | O_CLOEXEC);
	return nth_fd < 0 ? "no /proc/self/task/TID/fail-nth" : NULL;
}

static inline void arm(unsigned int n)
{
	char val[16];
	int len = snprintf(val, sizeof(val), "%u", n);

	if (pwrite(nth_fd, val, len, 0) != len)
		abort();
}

/* True if the failure happened */
static inline bool disarm(void)
{
	char val[16] = {};

	if (pread(nth_fd, val, sizeof(val) - 1, 0) < 0)
		abort();
	if (pwrite(nth_fd, "0", 1, 0) != 1)
		abort();
	return !strtoul(val, NULL, 10);
}

#endif
