// SPDX-License-Identifier: GPL-2.0-only
/*
 * How what a call costs grows with the number of devices, of which the mock has
 * more than any emulator: each in a group of its own, in one IOAS, with one HWPT.
 */
#include "rows.h"
#include "clock.h"
#include "growth.h"
#include "iommu_utils.h"
#include "memory.h"
#include "report.h"

#define MAX_DEVICES 256

/* One more device moves to the IOAS of the others, and back to one of its own */
static void measure_moves(const struct point *point, int fd, __u32 stdev,
			  __u32 to, __u32 from)
{
	struct sample come = {}, go = {};
	unsigned int i, turn;
	int rc = 0;

	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		uint64_t came = 0, gone = 0;

		for (turn = 0; !rc && turn != CALLS; turn++) {
			uint64_t start = ticks(), middle;

			rc = mock_replace(fd, stdev, &(__u32){ to });
			middle = ticks();
			rc = rc ?: mock_replace(fd, stdev, &(__u32){ from });
			gone += ticks() - middle;
			came += middle - start;
		}
		sample_add(&come, came);
		sample_add(&go, gone);
	}
	report_rc(point, "replace", rc);
	if (rc)
		return;
	report_point(point, "join the others", &come, CALLS, "insn/call");
	report_point(point, "leave them", &go, CALLS, "insn/call");
}

/* A place of its own for each turn */
static uint64_t mock_iova(const struct point *point, unsigned int turn)
{
	(void)point;
	return MOCK_APERTURE_START + turn * 2 * BENCH_PAGE;
}

static int add_devices(int fd, __u32 ioas, unsigned int *nr,
		       unsigned int number)
{
	struct mock_dev dev;
	int rc = 0;

	for (; !rc && *nr != number; ++*nr)
		rc = mock_attach(fd, ioas, 0, &dev);
	return rc;
}

/* The devices go with the iommufd */
void rows_mock(struct subjects *subjects)
{
	static const unsigned int numbers[] = { 1, 4, 16, 64, MAX_DEVICES };
	struct iommufd_space space = { .iommu = iommufd_open() };
	struct memory memory;
	struct mock_dev one;
	unsigned int nr = 0;
	__u32 own;
	size_t i;
	int rc;

	(void)subjects;
	rc = ioas_alloc(space.iommu, &space.ioas_id) ?:
	     ioas_alloc(space.iommu, &own) ?:
	     mock_attach(space.iommu, own, 0, &one);
	if (!rc && memory_alloc(&memory, MEMORY_ANON, BENCH_PAGE, 0))
		rc = ENOMEM;
	for (i = 0; i != ARRAY_SIZE(numbers); i++) {
		struct point point = { "mock-devices", numbers[i] };

		rc = rc ?: add_devices(space.iommu, space.ioas_id, &nr,
				       numbers[i]);
		report_rc(&point, "set up", rc);
		if (rc)
			return;
		measure_moves(&point, space.iommu, one.stdev, space.ioas_id,
			      own);
		measure_page(&point, &space, memory.start, mock_iova);
	}
	memory_free(&memory);
}
