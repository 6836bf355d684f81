/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pinning memory, wherever it comes from, and unpinning it.
 */
#ifndef __IOMMUFD_PINNING_H
#define __IOMMUFD_PINNING_H

#include <linux/mm.h>
#include <linux/types.h>

#include "pfn_runs.h"

struct iopt_pages;

/**
 * struct pages_pin - memory that is being pinned
 * @pages: the backing
 * @runs: the page frames that are pinned already
 * @array: room for pointers to pages or folios
 * @max: how many there is room for
 * @hugetlb: user memory: the next page may be part of hugetlbfs
 */
struct pages_pin {
	struct iopt_pages *pages;
	struct pfn_runs *runs;
	void **array;
	unsigned long max;
	bool hugetlb;
};

int pages_pin(struct iopt_pages *pages, struct pfn_runs *runs,
	      unsigned long first, unsigned long npages);
/* Both for pages_unpin() only */
void pages_unpin_apart(unsigned long pfn, unsigned long nr, bool dirty);
void pages_unpin_runs(struct pfn_runs *runs, unsigned long first,
		      unsigned long npages, bool dirty);

/**
 * pages_unpin_run() - give back consecutive page frames
 * @pfn: the first one
 * @nr: how many
 * @dirty: devices may have written to them
 */
static inline void pages_unpin_run(unsigned long pfn, unsigned long nr,
				   bool dirty)
{
	struct page *page = pfn_to_page(pfn);

	if (likely(page_range_contiguous(page, nr)))
		unpin_user_page_range_dirty_lock(page, nr, dirty);
	else
		pages_unpin_apart(pfn, nr, dirty);
}

/**
 * pages_unpin() - give back a part of what is pinned
 * @runs: the page frames
 * @first: index in @runs of the first one
 * @npages: how many
 * @dirty: devices may have written to them
 */
static inline void pages_unpin(struct pfn_runs *runs, unsigned long first,
			       unsigned long npages, bool dirty)
{
	if (likely(npages && pfn_runs_is_one(runs)))
		pages_unpin_run(runs->tail_pfn + first, npages, dirty);
	else
		pages_unpin_runs(runs, first, npages, dirty);
}

/* What follows is for iopt_pages_ops.pin; this one for pages_pin_append() only */
int pages_pin_append_many(struct pages_pin *pin, struct page **array,
			  unsigned long nr);

/**
 * pages_pin_append() - note pages that are pinned
 * @pin: memory that is being pinned
 * @array: the pages
 * @nr: how many
 *
 * Return: 0, or an errno of pfn_runs_append() with those that were not noted
 * unpinned.
 */
static inline int pages_pin_append(struct pages_pin *pin, struct page **array,
				   unsigned long nr)
{
	/* What goes wrong does so again there, and is undone */
	if (nr == 1 && !pfn_runs_append(pin->runs, page_to_pfn(*array), 1))
		return 0;
	return pages_pin_append_many(pin, array, nr);
}

/**
 * pages_pin_append_folio() - pin a part of a folio and note that
 * @pin: memory that is being pinned
 * @folio: the folio, which the caller has pinned once; that pin is taken over
 * @index: index in @folio of the first page
 * @npages: how many, of one and the same folio
 *
 * Return: 0, or an errno of folio_add_pins() or pfn_runs_append() with nothing of
 * it pinned.
 */
static inline int pages_pin_append_folio(struct pages_pin *pin,
					 struct folio *folio,
					 unsigned long index,
					 unsigned long npages)
{
	unsigned long pfn = folio_pfn(folio) + index;
	int rc;

	if (npages != 1) {
		rc = folio_add_pins(folio, npages - 1);
		if (rc) {
			unpin_user_folio(folio, 1);
			return rc;
		}
	}
	rc = pfn_runs_append(pin->runs, pfn, npages);
	if (rc)
		unpin_user_folio(folio, npages);
	return rc;
}

#endif
