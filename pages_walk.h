/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the pages are that a backing has pinned, or that a revocable source has:
 * for those who map, copy, or translate.
 */
#ifndef __IOMMUFD_PAGES_WALK_H
#define __IOMMUFD_PAGES_WALK_H

#include <linux/types.h>

#include "pages.h"
#include "pfn_runs.h"

int iopt_pages_phys(struct iopt_pages *pages, unsigned long offset, u64 *length,
		    u64 *phys);

/**
 * iopt_pages_one_run() - look whether an interval is one run of page frames
 * @pages: the backing, as for iopt_pages_walk_start()
 * @first: first page of an acquired interval
 * @last: its last page
 * @pfn: gets the first page frame
 *
 * Looks at nothing but what is there in a mapping that is not shared.
 *
 * Return: false when it takes a walk to tell.
 */
static inline bool iopt_pages_one_run(const struct iopt_pages *pages,
				      unsigned long first, unsigned long last,
				      unsigned long *pfn)
{
	const struct pages_extent *extent = &pages->first_extent;
	const struct pages_store *store = &pages->first_store;

	if (extent->store != store || !pfn_runs_is_one(&store->runs) ||
	    first < extent->node.start || last > extent->node.last)
		return false;
	*pfn = store->runs.tail_pfn + (first - store->first);
	return true;
}

/**
 * struct pages_walk - reads the page frames of an interval
 * @cursor: position in the store of @extent
 * @extent: where the walk is; NULL at the end, and in a revocable source
 * @last: last page
 */
struct pages_walk {
	struct pfn_cursor cursor;
	struct pages_extent *extent;
	unsigned long last;
};

void iopt_pages_walk_start(struct pages_walk *walk, struct iopt_pages *pages,
			   unsigned long first, unsigned long last);
/* For iopt_pages_walk_next() only */
unsigned long iopt_pages_walk_next_extent(struct pages_walk *walk,
					  unsigned long *pfn);

/**
 * iopt_pages_walk_next() - read consecutive page frames
 * @walk: the walk
 * @pfn: the first frame
 *
 * Return: how many there are, 0 at the end.
 */
static inline unsigned long iopt_pages_walk_next(struct pages_walk *walk,
						 unsigned long *pfn)
{
	/* The address of @pfn goes nowhere, so the caller can have it in a register */
	unsigned long first __uninitialized, npages;

	npages = pfn_cursor_next(&walk->cursor, pfn);
	if (unlikely(!npages)) {
		npages = iopt_pages_walk_next_extent(walk, &first);
		if (npages)
			*pfn = first;
	}
	return npages;
}

#endif
