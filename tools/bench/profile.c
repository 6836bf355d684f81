// SPDX-License-Identifier: GPL-2.0-only
/*
 * The small rows again, with marks for profile-plugin.c. A round that does not
 * count keeps out what is done only once, such as to fault the stack in.
 */
#include "rows.h"
#include "memory.h"
#include "profile-marks.h"
#include "report.h"

#include <stdbool.h>
#include <string.h>

static int profile_small(struct iommufd_space *space,
			 const struct memory *memory)
{
	int i, rc = 0;

	for (i = 0; !rc && i != PROFILE_SMALL_CALLS; i++) {
		profile_mark(PROFILE_SMALL_MAP);
		rc = iommufd_map_user(space, BENCH_IOVA, memory->start,
				      BENCH_PAGE);
		profile_mark(PROFILE_SMALL_UNMAP);
		if (!rc)
			rc = iommufd_unmap(space, BENCH_IOVA, BENCH_PAGE);
		profile_mark(PROFILE_NOTHING);
	}
	return rc;
}

static int profile_many(struct iommufd_space *space,
			const struct memory *memory, bool counted)
{
	size_t offset;
	int rc = 0;

	if (counted)
		profile_mark(PROFILE_MANY_MAP);
	for (offset = 0; !rc && offset != memory->bytes; offset += BENCH_PAGE)
		rc = iommufd_map_user(space, BENCH_IOVA + offset,
				      memory->start + offset, BENCH_PAGE);
	if (counted)
		profile_mark(PROFILE_MANY_UNMAP);
	for (offset = 0; !rc && offset != memory->bytes; offset += BENCH_PAGE)
		rc = iommufd_unmap(space, BENCH_IOVA + offset, BENCH_PAGE);
	profile_mark(PROFILE_NOTHING);
	return rc;
}

void rows_profile(struct subjects *subjects)
{
	struct memory memory;
	const char *error;
	int rc;

	if (!subjects->have_iommufd)
		return;
	error = memory_alloc(&memory, MEMORY_ANON,
			     PROFILE_MANY_CALLS * BENCH_PAGE, 0);
	if (error) {
		report_missing("profile", "small", "iommufd", "%s", error);
		return;
	}
	rc = profile_many(&subjects->space, &memory, false);
	if (!rc)
		rc = profile_small(&subjects->space, &memory);
	if (!rc)
		rc = profile_many(&subjects->space, &memory, true);
	if (rc)
		report_missing("profile", "small", "iommufd", "%s",
			       strerror(rc));
	memory_free(&memory);
}
