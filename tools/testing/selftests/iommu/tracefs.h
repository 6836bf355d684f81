/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's trace, as far as tests read it: an instance of their own, with the
 * events of one subsystem.
 */
#ifndef __TRACEFS_H
#define __TRACEFS_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "iommu_utils.h"

#define TRACEFS "/sys/kernel/tracing"
#define TRACE_INSTANCE TRACEFS "/instances/iommufd_test"
#define TRACE_EVENTS TRACE_INSTANCE "/events/iommufd"

/* The user documentation, in trace_test.c */
extern const char documentation[];

/* 0 or an errno */
static inline int trace_write(const char *path, const char *what)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	int rc = 0;

	if (fd < 0)
		return errno;
	if (write(fd, what, strlen(what)) != (ssize_t)strlen(what))
		rc = errno;
	if (close(fd) && !rc)
		rc = errno;
	return rc;
}

/* Begin to trace, with nothing traced yet; 0 or an errno */
static inline int trace_start(void)
{
	if (access(TRACEFS "/trace", F_OK) &&
	    mount("nodev", TRACEFS, "tracefs", 0, NULL))
		return errno;
	if (mkdir(TRACE_INSTANCE, 0700) && errno != EEXIST)
		return errno;
	return trace_write(TRACE_INSTANCE "/trace", "\n") ?:
	       trace_write(TRACE_EVENTS "/enable", "1");
}

static inline int trace_stop(void)
{
	int rc = trace_write(TRACE_EVENTS "/enable", "0");

	if (rmdir(TRACE_INSTANCE) && !rc)
		rc = errno;
	return rc;
}

static inline int trace_clear(void)
{
	return trace_write(TRACE_INSTANCE "/trace", "\n");
}

/*
 * The last trace of an event in which each of some "field=value" is, or of any if
 * @with is NULL, as "field=value ...". Returns how many there are.
 */
static inline int trace_find(const char *event, const char *with, char *line,
			     size_t len)
{
	char text[1024], name[64];
	int found = 0;
	FILE *f;

	*line = 0;
	snprintf(name, sizeof(name), " %s: ", event);
	f = fopen(TRACE_INSTANCE "/trace", "re");
	if (!f)
		return 0;
	while (fgets(text, sizeof(text), f)) {
		char *fields = strstr(text, name);

		if (!fields)
			continue;
		fields += strlen(name);
		fields[strcspn(fields, "\n")] = 0;
		if (with && !strstr(fields, with))
			continue;
		snprintf(line, len, "%s", fields);
		found++;
	}
	fclose(f);
	return found;
}

/*
 * There is such a trace, and it is complete: in a fixture, with the fields as a
 * format and its arguments
 */
#define EXPECT_TRACED(event, ...)                                              \
	do {                                                                   \
		char __want[512], __line[512];                                 \
		snprintf(__want, sizeof(__want), __VA_ARGS__);                 \
		EXPECT_LE(1, trace_find(event, __want, __line,                 \
					sizeof(__line)));                      \
		if (!*__line) {                                                \
			trace_find(event, NULL, __line, sizeof(__line));       \
			TH_LOG("%s has no \"%s\", but \"%s\"", event, __want,  \
			       __line);                                        \
		}                                                              \
	} while (0)

#endif
