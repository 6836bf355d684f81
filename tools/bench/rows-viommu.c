// SPDX-License-Identifier: GPL-2.0-only
/*
 * What QEMU does for a guest whose IOMMU it emulates, with a device that it has
 * from VFIO: each page that the guest maps is a call for 4 KiB of the guest's
 * memory. What the guest unmaps is a call for each of its invalidations, which may
 * be about many pages. "make check STAGE=viommu" lists such calls.
 */
#include "rows.h"
#include "clock.h"
#include "mapper.h"
#include "memory.h"
#include "report.h"

#include <string.h>

/* The guest's memory */
#define GUEST_BYTES (64 * MIB)
#define GUEST_PAGES (GUEST_BYTES / BENCH_PAGE)
/* Coprime to it: no page is where the one before is, and each is somewhere else */
#define STRIDE 7919
/* What the driver of a device keeps mapped, such as its queues */
#define KEPT 256
#define CALLS 2048

/**
 * struct pattern - how a guest maps and unmaps
 * @name: of the row
 * @pages: so many are mapped, and then unmapped
 * @unmapped: so many with a call
 */
struct pattern {
	const char *name;
	unsigned int pages;
	unsigned int unmapped;
};

static const struct pattern patterns[] = {
	/* A driver's request of 256 KiB, with strict invalidation */
	{ "requests of 64 pages", 64, 1 },
	/* A buffer of a program that has VFIO in the guest */
	{ "512 pages, one unmap", 512, 512 },
};

/**
 * struct guest - what a guest has mapped
 * @mapper: who does it for the guest
 * @memory: the guest's memory
 * @pages: pages that were mapped so far
 */
struct guest {
	const struct mapper *mapper;
	const struct memory *memory;
	unsigned long pages;
};

static int guest_map(struct guest *guest, uint64_t iova, unsigned int pages)
{
	unsigned int i;
	size_t page;
	int rc = 0;

	for (i = 0; !rc && i != pages; i++) {
		page = guest->pages++ * STRIDE % GUEST_PAGES;
		rc = guest->mapper->map(guest->mapper->subject,
					iova + i * BENCH_PAGE,
					guest->memory->start +
						page * BENCH_PAGE);
	}
	return rc;
}

static int guest_unmap(struct guest *guest, uint64_t iova, unsigned int pages,
		       unsigned int at_once)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i != pages; i += at_once)
		rc = guest->mapper->unmap(guest->mapper->subject,
					  iova + i * BENCH_PAGE,
					  at_once * BENCH_PAGE);
	return rc;
}

static int measure(struct guest *guest, const struct pattern *pattern,
		   struct sample *map, struct sample *unmap)
{
	uint64_t start, middle, mapping = 0, unmapping = 0;
	const uint64_t iova = BENCH_IOVA + KEPT * BENCH_PAGE;
	unsigned int pages;
	int rc = 0;

	for (pages = 0; !rc && pages != CALLS; pages += pattern->pages) {
		start = ticks();
		rc = guest_map(guest, iova, pattern->pages);
		middle = ticks();
		if (!rc)
			rc = guest_unmap(guest, iova, pattern->pages,
					 pattern->unmapped);
		mapping += middle - start;
		unmapping += ticks() - middle;
	}
	if (!rc) {
		sample_add(map, mapping);
		sample_add(unmap, unmapping);
	}
	return rc;
}

static void row(const char *who, const struct mapper *mapper,
		const struct memory *memory, const struct pattern *pattern)
{
	struct guest guest = { .mapper = mapper, .memory = memory };
	struct sample map = {}, unmap = {};
	int rc, i;

	rc = guest_map(&guest, BENCH_IOVA, KEPT);
	for (i = 0; !rc && i != BENCH_REPEAT; i++)
		rc = measure(&guest, pattern, &map, &unmap);
	if (!rc)
		rc = guest_unmap(&guest, BENCH_IOVA, KEPT, KEPT);
	report_insns("viommu", pattern->name, who, "map", &map, CALLS,
		     "insn/page");
	report_insns("viommu", pattern->name, who, "unmap", &unmap, CALLS,
		     "insn/page");
	if (rc)
		report_missing("viommu", pattern->name, who, "%s",
			       strerror(rc));
}

void rows_viommu(struct subjects *subjects)
{
	const struct mapper type1 = mapper_type1(&subjects->type1);
	const struct mapper iommufd = mapper_iommufd(&subjects->space);
	struct memory memory;
	const char *error;
	size_t i;

	/* QEMU asks for huge pages */
	error = memory_alloc(&memory, MEMORY_THP, GUEST_BYTES, 0);
	if (error) {
		report_missing("viommu", "-", "all", "%s", error);
		return;
	}
	for (i = 0; i != ARRAY_SIZE(patterns); i++) {
		if (subjects->have_type1)
			row("native", &type1, &memory, &patterns[i]);
		if (subjects->have_iommufd)
			row("iommufd", &iommufd, &memory, &patterns[i]);
	}
	memory_free(&memory);
}
