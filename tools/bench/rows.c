// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping and unmapping: native VFIO, iommufd, and the floors of both.
 */
#include "rows.h"
#include "clock.h"
#include "floor-client.h"
#include "mapper.h"
#include "memory.h"
#include "report.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

static const struct {
	enum memory_kind kind;
	size_t bytes;
} maps[] = {
	{ MEMORY_ANON, 64 * MIB },
	{ MEMORY_THP, 512 * MIB },
	{ MEMORY_HUGETLB, 512 * MIB },
	{ MEMORY_MEMFD, 64 * MIB },
	{ MEMORY_MEMFD_HUGETLB, 512 * MIB },
};

/**
 * struct pair - a mapping and its unmapping
 * @map: ticks of the one
 * @unmap: ticks of the other
 */
struct pair {
	struct sample map;
	struct sample unmap;
};

static void report_pair(const char *row, const char *kind, const char *who,
			const struct pair *pair, double per, const char *unit)
{
	report_insns(row, kind, who, "map", &pair->map, per, unit);
	report_insns(row, kind, who, "unmap", &pair->unmap, per, unit);
}

static int measure_type1(struct type1 *type1, const struct memory *memory,
			 struct pair *pair)
{
	uint64_t start, mapped;
	int rc;

	start = ticks();
	rc = type1_map(type1, BENCH_IOVA, memory->start, memory->bytes);
	mapped = ticks() - start;
	if (rc)
		return rc;

	start = ticks();
	rc = type1_unmap(type1, BENCH_IOVA, memory->bytes);
	sample_add(&pair->unmap, ticks() - start);
	sample_add(&pair->map, mapped);
	return rc;
}

static int measure_iommufd(struct iommufd_space *space,
			   const struct memory *memory, struct pair *pair)
{
	uint64_t start, mapped;
	int rc;

	start = ticks();
	rc = iommufd_map(space, BENCH_IOVA, memory);
	mapped = ticks() - start;
	if (rc)
		return rc;

	start = ticks();
	rc = iommufd_unmap(space, BENCH_IOVA, memory->bytes);
	sample_add(&pair->unmap, ticks() - start);
	sample_add(&pair->map, mapped);
	return rc;
}

/**
 * struct floors - the parts of a mapping, each alone
 * @pin: pinning
 * @map: iommu_map()
 * @unmap: iommu_unmap()
 * @unpin: unpinning
 * @runs: runs of consecutive page frames
 */
struct floors {
	struct sample pin;
	struct sample map;
	struct sample unmap;
	struct sample unpin;
	unsigned long runs;
};

static int measure_floors(int fd, const struct memory *memory, size_t bytes,
			  unsigned int repeat, struct floors *floors)
{
	struct bench_floor floor;
	int rc;

	rc = floor_memory(fd, memory, bytes, repeat, &floor);
	if (rc)
		return rc;
	sample_add(&floors->pin, floor.pin_ticks);
	sample_add(&floors->map, floor.map_ticks);
	sample_add(&floors->unmap, floor.unmap_ticks);
	sample_add(&floors->unpin, floor.unpin_ticks);
	floors->runs = floor.nr_runs;
	return 0;
}

static void report_floors(const char *row, const char *kind,
			  const struct floors *floors, double per,
			  const char *unit)
{
	report_insns(row, kind, "floor", "pin", &floors->pin, per, unit);
	report_insns(row, kind, "floor", "iommu_map", &floors->map, per, unit);
	report_insns(row, kind, "floor", "iommu_unmap", &floors->unmap, per,
		     unit);
	report_insns(row, kind, "floor", "unpin", &floors->unpin, per, unit);
}

/* The rows of one kind of memory */
static void row_map(struct subjects *subjects, enum memory_kind kind,
		    size_t bytes)
{
	int rc_type1 = 0, rc_iommufd = 0, rc_floor = 0;
	struct pair type1 = {}, iommufd = {};
	const char *name = memory_name(kind);
	double npages = bytes / BENCH_PAGE;
	struct floors floors = {};
	struct memory memory;
	const char *error;
	unsigned int i;
	bool native;

	error = memory_alloc(&memory, kind, bytes, 0);
	if (error) {
		report_missing("map", name, "all", "%s", error);
		return;
	}
	/* The container knows no files */
	native = subjects->have_type1 && memory.fd < 0;
	for (i = 0; i != BENCH_REPEAT; i++) {
		if (native && !rc_type1)
			rc_type1 = measure_type1(&subjects->type1, &memory,
						 &type1);
		if (subjects->have_floor && !rc_floor)
			rc_floor = measure_floors(subjects->floor, &memory,
						  bytes, 1, &floors);
		if (subjects->have_iommufd && !rc_iommufd)
			rc_iommufd = measure_iommufd(&subjects->space, &memory,
						     &iommufd);
	}
	memory_free(&memory);

	report_pair("map", name, "native", &type1, npages, "insn/page");
	report_floors("map", name, &floors, npages, "insn/page");
	if (subjects->have_floor && !rc_floor)
		report_value("map", name, "floor", "runs", floors.runs,
			     floors.runs, "runs");
	report_pair("map", name, "iommufd", &iommufd, npages, "insn/page");
	if (rc_type1)
		report_missing("map", name, "native", "%s", strerror(rc_type1));
	if (rc_floor)
		report_missing("map", name, "floor", "%s", strerror(rc_floor));
	if (rc_iommufd)
		report_missing("map", name, "iommufd", "%s",
			       strerror(rc_iommufd));
}

void rows_map(struct subjects *subjects)
{
	size_t i;

	for (i = 0; i != ARRAY_SIZE(maps); i++)
		row_map(subjects, maps[i].kind, maps[i].bytes);
}

/*
 * One page per call. The counter is read for every call, which costs nothing
 * to speak of, and on arm64 rounds in both directions.
 */
#define SMALL_CALLS 1000

static int small_type1(struct type1 *type1, const struct memory *memory,
		       struct pair *pair)
{
	uint64_t map = 0, unmap = 0, start, middle, end;
	int i, rc = 0;

	for (i = 0; !rc && i != SMALL_CALLS; i++) {
		start = ticks();
		rc = type1_map(type1, BENCH_IOVA, memory->start, BENCH_PAGE);
		middle = ticks();
		if (!rc)
			rc = type1_unmap(type1, BENCH_IOVA, BENCH_PAGE);
		end = ticks();
		map += middle - start;
		unmap += end - middle;
	}
	if (!rc) {
		sample_add(&pair->map, map);
		sample_add(&pair->unmap, unmap);
	}
	return rc;
}

static int small_iommufd(struct iommufd_space *space,
			 const struct memory *memory, struct pair *pair)
{
	uint64_t map = 0, unmap = 0, start, middle, end;
	int i, rc = 0;

	for (i = 0; !rc && i != SMALL_CALLS; i++) {
		start = ticks();
		rc = iommufd_map_user(space, BENCH_IOVA, memory->start,
				      BENCH_PAGE);
		middle = ticks();
		if (!rc)
			rc = iommufd_unmap(space, BENCH_IOVA, BENCH_PAGE);
		end = ticks();
		map += middle - start;
		unmap += end - middle;
	}
	if (!rc) {
		sample_add(&pair->map, map);
		sample_add(&pair->unmap, unmap);
	}
	return rc;
}

static void small_nothing(int fd, struct sample *sample)
{
	uint64_t start = ticks();
	int i;

	for (i = 0; i != SMALL_CALLS; i++)
		ioctl(fd, BENCH_NOTHING);
	sample_add(sample, ticks() - start);
}

static void row_small(struct subjects *subjects)
{
	int rc_type1 = 0, rc_iommufd = 0, rc_floor = 0;
	struct pair type1 = {}, iommufd = {};
	struct sample nothing = {};
	struct floors floors = {};
	struct memory memory;
	const char *error;
	unsigned int i;

	error = memory_alloc(&memory, MEMORY_ANON, 2 * MIB, 0);
	if (error) {
		report_missing("map", "small", "all", "%s", error);
		return;
	}
	for (i = 0; i != BENCH_REPEAT; i++) {
		if (subjects->have_type1 && !rc_type1)
			rc_type1 = small_type1(&subjects->type1, &memory,
					       &type1);
		if (subjects->have_iommufd && !rc_iommufd)
			rc_iommufd = small_iommufd(&subjects->space, &memory,
						   &iommufd);
		if (subjects->have_floor && !rc_floor) {
			small_nothing(subjects->floor, &nothing);
			rc_floor = measure_floors(subjects->floor, &memory,
						  BENCH_PAGE, SMALL_CALLS,
						  &floors);
		}
	}
	memory_free(&memory);

	report_pair("map", "small", "native", &type1, SMALL_CALLS, "insn/call");
	report_floors("map", "small", &floors, SMALL_CALLS, "insn/call");
	report_insns("map", "small", "floor", "ioctl", &nothing, SMALL_CALLS,
		     "insn/call");
	report_pair("map", "small", "iommufd", &iommufd, SMALL_CALLS,
		    "insn/call");
	if (rc_type1)
		report_missing("map", "small", "native", "%s",
			       strerror(rc_type1));
	if (rc_floor)
		report_missing("map", "small", "floor", "%s",
			       strerror(rc_floor));
	if (rc_iommufd)
		report_missing("map", "small", "iommufd", "%s",
			       strerror(rc_iommufd));
}

/*
 * One page per call with many areas: all are mapped, and then unmapped in the
 * same order.
 */
#define MANY_CALLS 2048

static int measure_many(const struct mapper *mapper,
			const struct memory *memory, struct pair *pair)
{
	uint64_t start, middle;
	size_t offset;
	int rc = 0;

	start = ticks();
	for (offset = 0; !rc && offset != memory->bytes; offset += BENCH_PAGE)
		rc = mapper->map(mapper->subject, BENCH_IOVA + offset,
				 memory->start + offset);
	middle = ticks();
	for (offset = 0; !rc && offset != memory->bytes; offset += BENCH_PAGE)
		rc = mapper->unmap(mapper->subject, BENCH_IOVA + offset,
				   BENCH_PAGE);
	if (!rc) {
		sample_add(&pair->map, middle - start);
		sample_add(&pair->unmap, ticks() - middle);
	}
	return rc;
}

static void row_many(const char *who, const struct mapper *mapper,
		     const struct memory *memory)
{
	struct pair pair = {};
	int rc = 0, i;

	for (i = 0; !rc && i != BENCH_REPEAT; i++)
		rc = measure_many(mapper, memory, &pair);
	report_pair("map", "many", who, &pair, MANY_CALLS, "insn/call");
	if (rc)
		report_missing("map", "many", who, "%s", strerror(rc));
}

static void rows_many(struct subjects *subjects)
{
	const struct mapper type1 = mapper_type1(&subjects->type1);
	const struct mapper iommufd = mapper_iommufd(&subjects->space);
	struct memory memory;
	const char *error;

	error = memory_alloc(&memory, MEMORY_ANON, MANY_CALLS * BENCH_PAGE, 0);
	if (error) {
		report_missing("map", "many", "all", "%s", error);
		return;
	}
	if (subjects->have_type1)
		row_many("native", &type1, &memory);
	if (subjects->have_iommufd)
		row_many("iommufd", &iommufd, &memory);
	memory_free(&memory);
}

void rows_small(struct subjects *subjects)
{
	row_small(subjects);
	rows_many(subjects);
}
