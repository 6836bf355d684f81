// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only iommufd can do, and how it grows.
 */
#include "rows.h"
#include "clock.h"
#include "floor-client.h"
#include "kernel-memory.h"
#include "memory.h"
#include "report.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/**
 * struct amount - so much memory of a kind
 * @kind: the kind
 * @bytes: how much
 */
struct amount {
	enum memory_kind kind;
	size_t bytes;
};

/* Maps memory for a row; says so and returns false if it cannot */
static bool set_up(struct subjects *subjects, const char *row,
		   enum memory_kind kind, size_t bytes, struct memory *memory)
{
	const char *error;
	int rc;

	if (!subjects->have_iommufd)
		return false;
	error = memory_alloc(memory, kind, bytes, 0);
	if (error) {
		report_missing(row, memory_name(kind), "iommufd", "%s", error);
		return false;
	}
	rc = iommufd_map(&subjects->space, BENCH_IOVA, memory);
	if (rc) {
		report_missing(row, memory_name(kind), "iommufd", "map: %s",
			       strerror(rc));
		memory_free(memory);
	}
	return !rc;
}

static void tear_down(struct subjects *subjects, const char *row,
		      struct memory *memory)
{
	int rc = iommufd_unmap(&subjects->space, BENCH_IOVA, memory->bytes);

	if (rc)
		report_missing(row, memory_name(memory->kind), "iommufd",
			       "unmap: %s", strerror(rc));
	memory_free(memory);
}

/*
 * A second I/O page table of a populated space, and a copy to another space
 */

static int measure_second(struct iommufd_space *space, struct sample *fill,
			  struct sample *empty)
{
	uint64_t start;
	uint32_t id;
	int rc;

	start = ticks();
	rc = iommufd_hwpt_alloc(space, 0, &id);
	if (rc)
		return rc;
	sample_add(fill, ticks() - start);

	start = ticks();
	rc = iommufd_destroy(space, id);
	sample_add(empty, ticks() - start);
	return rc;
}

static int measure_copy(struct subjects *subjects, size_t bytes,
			struct sample *copy, struct sample *unmap)
{
	uint64_t start;
	int rc;

	start = ticks();
	rc = iommufd_copy(&subjects->other, &subjects->space, BENCH_IOVA,
			  bytes);
	if (rc)
		return rc;
	sample_add(copy, ticks() - start);

	start = ticks();
	rc = iommufd_unmap(&subjects->other, BENCH_IOVA, bytes);
	sample_add(unmap, ticks() - start);
	return rc;
}

static void second_floor(struct subjects *subjects,
			 const struct memory *memory)
{
	const char *name = memory_name(memory->kind);
	double npages = memory->bytes / BENCH_PAGE;
	struct sample map = {}, unmap = {};
	struct bench_floor floor;
	int i;

	if (!subjects->have_floor)
		return;
	for (i = 0; i != BENCH_REPEAT; i++) {
		if (floor_memory(subjects->floor, memory, memory->bytes, 1,
				 &floor))
			return;
		sample_add(&map, floor.map_ticks);
		sample_add(&unmap, floor.unmap_ticks);
	}
	report_value("second", name, "floor", "runs", floor.nr_runs,
		     floor.nr_runs, "runs");
	report_insns("second", name, "floor", "iommu_map", &map, npages,
		     "insn/page");
	report_insns("second", name, "floor", "iommu_unmap", &unmap, npages,
		     "insn/page");
}

static void row_second(struct subjects *subjects, enum memory_kind kind,
		       size_t bytes)
{
	struct sample fill = {}, empty = {}, copy = {}, unmap = {}, map = {};
	const char *name = memory_name(kind);
	double npages = bytes / BENCH_PAGE;
	struct memory memory;
	uint64_t start;
	int i, rc;

	if (!set_up(subjects, "second", kind, bytes, &memory))
		return;
	second_floor(subjects, &memory);
	for (i = 0, rc = 0; !rc && i != BENCH_REPEAT; i++) {
		/* The same memory, which the second one is compared with */
		iommufd_unmap(&subjects->space, BENCH_IOVA, bytes);
		start = ticks();
		rc = iommufd_map(&subjects->space, BENCH_IOVA, &memory);
		sample_add(&map, ticks() - start);
		if (!rc)
			rc = measure_second(&subjects->space, &fill, &empty);
	}
	report_insns("second", name, "iommufd", "map", &map, npages,
		     "insn/page");
	report_insns("second", name, "iommufd", "attach", &fill, npages,
		     "insn/page");
	report_insns("second", name, "iommufd", "destroy", &empty, npages,
		     "insn/page");
	if (rc)
		report_missing("second", name, "iommufd", "%s", strerror(rc));

	for (i = 0, rc = 0; !rc && i != BENCH_REPEAT; i++)
		rc = measure_copy(subjects, bytes, &copy, &unmap);
	report_insns("copy", name, "iommufd", "copy", &copy, npages,
		     "insn/page");
	report_insns("copy", name, "iommufd", "unmap", &unmap, npages,
		     "insn/page");
	if (rc)
		report_missing("copy", name, "iommufd", "%s", strerror(rc));
	tear_down(subjects, "second", &memory);
}

void rows_second(struct subjects *subjects)
{
	static const struct amount amounts[] = {
		{ MEMORY_ANON, 64 * MIB },
		{ MEMORY_THP, 512 * MIB },
		{ MEMORY_HUGETLB, 512 * MIB },
	};
	size_t i;

	for (i = 0; i != ARRAY_SIZE(amounts); i++)
		row_second(subjects, amounts[i].kind, amounts[i].bytes);
}

/*
 * In-kernel access, measured by the module
 */

static void row_access(struct subjects *subjects, enum memory_kind kind,
		       unsigned long npages)
{
	struct sample pin = {}, unpin = {}, read = {}, write = {};
	const char *name = memory_name(kind);
	char row[32];
	struct bench_access access = {
		.iommufd = subjects->space.iommu,
		.ioas_id = subjects->space.ioas_id,
		.iova = BENCH_IOVA,
		.npages = npages,
	};
	struct memory memory;
	int i, rc = 0;

	snprintf(row, sizeof(row), "access-%lu", npages);
	if (!set_up(subjects, row, kind, 64 * MIB, &memory))
		return;
	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		if (ioctl(subjects->floor, BENCH_ACCESS, &access)) {
			rc = errno;
			break;
		}
		sample_add(&pin, access.pin_ticks);
		sample_add(&unpin, access.unpin_ticks);
		sample_add(&read, access.read_ticks);
		sample_add(&write, access.write_ticks);
	}
	report_insns(row, name, "iommufd", "pin", &pin, npages, "insn/page");
	report_insns(row, name, "iommufd", "unpin", &unpin, npages,
		     "insn/page");
	report_insns(row, name, "iommufd", "read", &read, npages, "insn/page");
	report_insns(row, name, "iommufd", "write", &write, npages,
		     "insn/page");
	if (rc)
		report_missing(row, name, "iommufd", "%s", strerror(rc));
	tear_down(subjects, row, &memory);
}

void rows_access(struct subjects *subjects)
{
	if (!subjects->have_iommufd)
		return;
	if (!subjects->have_floor) {
		report_missing("access", "anon-4k", "iommufd",
			       "needs the module bench_floor");
		return;
	}
	row_access(subjects, MEMORY_ANON, 1);
	row_access(subjects, MEMORY_ANON, BENCH_ACCESS_MAX_PAGES);
	row_access(subjects, MEMORY_HUGETLB, BENCH_ACCESS_MAX_PAGES);
}

/*
 * Dirty tracking
 */

static int measure_dirty(struct iommufd_space *space, uint32_t hwpt_id,
			 size_t bytes, struct sample *sample)
{
	uint8_t *bitmap = calloc(bytes / BENCH_PAGE / 8, 1);
	uint64_t start;
	int i, rc;

	if (!bitmap)
		return ENOMEM;
	/* So that its page tables are there as well */
	memset(bitmap, 0xff, bytes / BENCH_PAGE / 8);
	memset(bitmap, 0, bytes / BENCH_PAGE / 8);
	rc = iommufd_dirty_enable(space, hwpt_id);
	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		start = ticks();
		rc = iommufd_dirty_read(space, hwpt_id, BENCH_IOVA, bytes,
					bitmap);
		sample_add(sample, ticks() - start);
	}
	free(bitmap);
	return rc;
}

static void row_dirty(struct subjects *subjects, enum memory_kind kind,
		      size_t bytes)
{
	const char *name = memory_name(kind);
	struct sample sample = {};
	struct memory memory;
	uint32_t id;
	int rc;

	if (!set_up(subjects, "dirty", kind, bytes, &memory))
		return;
	rc = iommufd_hwpt_alloc(&subjects->space,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &id);
	if (rc == EOPNOTSUPP) {
		report_note("dirty", name, "iommufd",
			    "QEMU's IOMMU does not track dirty pages");
	} else if (rc) {
		report_missing("dirty", name, "iommufd", "%s", strerror(rc));
	} else {
		rc = measure_dirty(&subjects->space, id, bytes, &sample);
		if (rc)
			report_missing("dirty", name, "iommufd", "%s",
				       strerror(rc));
		else
			report_insns("dirty", name, "iommufd", "read", &sample,
				     bytes / BENCH_PAGE, "insn/page");
		iommufd_destroy(&subjects->space, id);
	}
	tear_down(subjects, "dirty", &memory);
}

void rows_dirty(struct subjects *subjects)
{
	row_dirty(subjects, MEMORY_ANON, 64 * MIB);
	row_dirty(subjects, MEMORY_HUGETLB, 512 * MIB);
}

/*
 * Growth: the cost of a page, and the memory it takes, by the size of the range
 */

static void row_scale(struct subjects *subjects, enum memory_kind kind,
		      size_t bytes, size_t real)
{
	struct sample map = {}, unmap = {};
	double npages = bytes / BENCH_PAGE;
	struct memory memory;
	const char *error;
	uint64_t start;
	char name[64];
	int i, rc = 0;

	snprintf(name, sizeof(name), "%s %lu MiB", memory_name(kind),
		 bytes / MIB);
	error = memory_alloc(&memory, kind, bytes, real);
	if (error) {
		report_missing("scale", name, "iommufd", "%s", error);
		return;
	}
	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		start = ticks();
		rc = iommufd_map(&subjects->space, BENCH_IOVA, &memory);
		if (rc)
			break;
		sample_add(&map, ticks() - start);
		start = ticks();
		rc = iommufd_unmap(&subjects->space, BENCH_IOVA, bytes);
		sample_add(&unmap, ticks() - start);
	}
	report_insns("scale", name, "iommufd", "map", &map, npages,
		     "insn/page");
	report_insns("scale", name, "iommufd", "unmap", &unmap, npages,
		     "insn/page");
	if (rc)
		report_missing("scale", name, "iommufd", "%s", strerror(rc));
	memory_free(&memory);
}

/*
 * The extremes: nothing contiguous, all contiguous. What is between depends on
 * what the page allocator happens to give.
 *
 * Beyond the memory there is, the same huge pages are in the range several
 * times. Each place is pinned and mapped for itself, so the work is the same.
 */
void rows_scale(struct subjects *subjects)
{
	static const size_t small[] = { 64 * MIB, 256 * MIB, GIB };
	static const size_t large[] = { 64 * MIB, GIB, 4 * GIB, 16 * GIB,
					64 * GIB };
	size_t real = memory_hugetlb_free() & -GIB, i;

	if (!subjects->have_iommufd)
		return;
	for (i = 0; i != ARRAY_SIZE(small); i++)
		row_scale(subjects, MEMORY_SCATTERED, small[i], 0);
	for (i = 0; i != ARRAY_SIZE(large); i++) {
		if (large[i] <= memory_hugetlb_free())
			row_scale(subjects, MEMORY_HUGETLB, large[i], 0);
		else if (real)
			row_scale(subjects, MEMORY_ALIASED, large[i], real);
		else
			report_missing("scale", "hugetlb", "iommufd",
				       "less than 1 GiB of huge pages");
	}
}

/*
 * What is mapped costs the kernel little, and it allocates whole slabs: so the
 * memory is mapped several times, side by side.
 */
#define MEMORY_TIMES 8

static int unmap_times(struct iommufd_space *space, size_t bytes,
		       unsigned int times)
{
	int rc = 0;

	while (!rc && times--)
		rc = iommufd_unmap(space, BENCH_IOVA + times * bytes, bytes);
	return rc;
}

static int map_times(struct iommufd_space *space, const struct memory *memory)
{
	unsigned int i;
	int rc;

	for (i = 0; i != MEMORY_TIMES; i++) {
		rc = iommufd_map(space, BENCH_IOVA + i * memory->bytes, memory);
		if (rc) {
			unmap_times(space, memory->bytes, i);
			return rc;
		}
	}
	return 0;
}

static void row_memory(struct subjects *subjects, enum memory_kind kind,
		       size_t bytes)
{
	double gib = (double)bytes * MEMORY_TIMES / GIB;
	struct kernel_memory before, after;
	const char *name = memory_name(kind);
	struct bench_floor floor = {};
	double objects, tables, runs;
	struct memory memory;
	const char *error;
	int rc;

	error = memory_alloc(&memory, kind, bytes, 0);
	if (error) {
		report_missing("memory", name, "iommufd", "%s", error);
		return;
	}
	kernel_memory_read(&before);
	rc = map_times(&subjects->space, &memory);
	kernel_memory_read(&after);
	if (!rc)
		rc = unmap_times(&subjects->space, bytes, MEMORY_TIMES);
	if (rc) {
		report_missing("memory", name, "iommufd", "%s", strerror(rc));
		goto out;
	}

	objects = after.objects - before.objects;
	tables = after.tables - before.tables;
	report_value("memory", name, "iommufd", "objects", objects / gib / KIB,
		     objects / gib / KIB, "KiB/GiB");
	report_value("memory", name, "iommufd", "I/O page tables",
		     tables / gib / KIB, tables / gib / KIB, "KiB/GiB");
	if (!subjects->have_floor ||
	    floor_memory(subjects->floor, &memory, bytes, 1, &floor))
		goto out;
	runs = (double)floor.nr_runs * MEMORY_TIMES;
	report_value("memory", name, "floor", "runs", runs / gib, runs / gib,
		     "runs/GiB");
	/* With few runs it is the mapping itself that takes the memory */
	if (kind == MEMORY_SCATTERED)
		report_value("memory", name, "iommufd", "objects per run",
			     objects / runs, objects / runs, "bytes/run");
out:
	memory_free(&memory);
}

void rows_memory(struct subjects *subjects)
{
	static const struct amount amounts[] = {
		{ MEMORY_HUGETLB, GIB },
		{ MEMORY_THP, 512 * MIB },
		{ MEMORY_ANON, 256 * MIB },
		{ MEMORY_SCATTERED, 256 * MIB },
	};
	size_t i;

	if (!subjects->have_iommufd)
		return;
	for (i = 0; i != ARRAY_SIZE(amounts); i++)
		row_memory(subjects, amounts[i].kind, amounts[i].bytes);
}
