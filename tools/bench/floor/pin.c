// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning alone.
 *
 * Only the calls into mm are counted. Keeping track of what they returned is
 * done between them, because how to do that well is the choice of a driver.
 */
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "floor.h"

/* Pointers pinned in one call, a size no driver can do much better with */
#define PIN_BATCH (SZ_64K / sizeof(void *))

static void runs_append(struct floor_runs *runs, unsigned long pfn,
			unsigned long npages)
{
	struct floor_run *tail = runs->nr ? &runs->runs[runs->nr - 1] : NULL;

	if (tail && tail->pfn + tail->npages == pfn)
		tail->npages += npages;
	else
		runs->runs[runs->nr++] = (struct floor_run){ pfn, npages };
	runs->npages += npages;
}

static long pin_user(struct floor_runs *runs, struct bench_floor *floor,
		     void **array)
{
	struct page **pages = (struct page **)array;
	unsigned long done = runs->npages;
	u64 start = floor_ticks();
	long nr, i;

	nr = pin_user_pages_fast(floor->start + done * PAGE_SIZE,
				 min(floor->npages - done, PIN_BATCH),
				 FOLL_LONGTERM | FOLL_WRITE, pages);
	floor->pin_ticks += floor_ticks() - start;

	for (i = 0; i < nr; i++)
		runs_append(runs, page_to_pfn(pages[i]), 1);
	return nr;
}

static long pin_hugetlb(struct floor_runs *runs, struct bench_floor *floor)
{
	unsigned long done = runs->npages, npages;
	u64 start = floor_ticks();
	struct folio *folio;
	struct page *page;
	long nr;

	nr = pin_user_pages_fast(floor->start + done * PAGE_SIZE, 1,
				 FOLL_LONGTERM | FOLL_WRITE, &page);
	if (nr <= 0)
		return nr;
	folio = page_folio(page);
	npages = min(floor->npages - done,
		     folio_nr_pages(folio) - folio_page_idx(folio, page));
	nr = npages == 1 ? 0 : folio_add_pins(folio, npages - 1);
	floor->pin_ticks += floor_ticks() - start;

	if (nr || !folio_test_hugetlb(folio)) {
		unpin_user_folio(folio, nr ? 1 : npages);
		return nr ?: -EINVAL;
	}
	runs_append(runs, page_to_pfn(page), npages);
	return npages;
}

static long pin_file(struct floor_runs *runs, struct bench_floor *floor,
		     struct file *file, void **array)
{
	loff_t first = floor->start + runs->npages * PAGE_SIZE;
	struct folio **folios = (struct folio **)array;
	unsigned long npages;
	pgoff_t offset = 0;
	u64 start;
	long nr, i;
	int rc;

	start = floor_ticks();
	nr = memfd_pin_folios(file, first,
			      floor->start + floor->npages * PAGE_SIZE - 1,
			      folios, PIN_BATCH, &offset);
	floor->pin_ticks += floor_ticks() - start;
	offset >>= PAGE_SHIFT;

	for (i = 0; i < nr; i++, offset = 0) {
		npages = min(floor->npages - runs->npages,
			     folio_nr_pages(folios[i]) - offset);
		if (npages > 1) {
			start = floor_ticks();
			rc = folio_add_pins(folios[i], npages - 1);
			floor->pin_ticks += floor_ticks() - start;
			if (rc) {
				unpin_folios(folios + i, nr - i);
				return rc;
			}
		}
		runs_append(runs, folio_pfn(folios[i]) + offset, npages);
	}
	return nr;
}

/**
 * floor_pin() - pin what user space asked for
 * @runs: what was pinned so far: nothing
 * @floor: what to pin; receives the ticks
 *
 * Returns 0, or an errno with nothing pinned.
 */
int floor_pin(struct floor_runs *runs, struct bench_floor *floor)
{
	struct file *file __free(fput) = NULL;
	void **array __free(kvfree) = NULL;
	struct bench_floor unused = {};
	long nr = 0;

	array = kvmalloc_array(PIN_BATCH, sizeof(*array), GFP_KERNEL);
	if (!array)
		return -ENOMEM;
	if (floor->pin == BENCH_PIN_FILE) {
		file = fget(floor->fd);
		if (!file)
			return -EBADF;
	}

	runs->nr = 0;
	runs->npages = 0;
	while (runs->npages != floor->npages) {
		switch (floor->pin) {
		case BENCH_PIN_USER:
			nr = pin_user(runs, floor, array);
			break;
		case BENCH_PIN_HUGETLB:
			nr = pin_hugetlb(runs, floor);
			break;
		case BENCH_PIN_FILE:
			nr = pin_file(runs, floor, file, array);
			break;
		default:
			nr = -EINVAL;
		}
		if (nr <= 0) {
			floor_unpin(runs, &unused);
			return nr ?: -EFAULT;
		}
		cond_resched();
	}
	return 0;
}

/**
 * floor_unpin() - unpin everything and mark it dirty
 * @runs: what to unpin
 * @floor: receives the ticks
 */
void floor_unpin(struct floor_runs *runs, struct bench_floor *floor)
{
	u64 start = floor_ticks();
	unsigned long i;

	for (i = 0; i != runs->nr; i++)
		unpin_user_page_range_dirty_lock(pfn_to_page(runs->runs[i].pfn),
						 runs->runs[i].npages, true);
	floor->unpin_ticks += floor_ticks() - start;
}
