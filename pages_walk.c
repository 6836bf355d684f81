// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the pages are that a backing has pinned, or that a revocable source has.
 */
#include <linux/mm.h>

#include "pages.h"
#include "pages_walk.h"

static void walk_extent(struct pages_walk *walk, struct pages_extent *extent,
			unsigned long first)
{
	walk->extent = extent;
	if (extent)
		pfn_cursor_seek(&walk->cursor, &extent->store->runs,
				first - extent->store->first,
				min(walk->last, extent->node.last) - first + 1);
	else
		walk->cursor.left = 0;
}

/**
 * iopt_pages_walk_start() - begin to read page frames
 * @walk: the walk; valid as long as iopt_pages.mutex is held, or the revocable
 *	source is frozen
 * @pages: the backing
 * @first: first page of an acquired interval, or part of one
 * @last: its last page
 */
void iopt_pages_walk_start(struct pages_walk *walk, struct iopt_pages *pages,
			   unsigned long first, unsigned long last)
{
	walk->last = last;
	if (unlikely(pages->frames)) {
		walk->extent = NULL;
		pfn_cursor_seek(&walk->cursor, pages->frames, first,
				last - first + 1);
		return;
	}
	lockdep_assert_held(&pages->mutex);
	walk_extent(walk, iopt_pages_extent(pages, first, first), first);
}

/**
 * iopt_pages_walk_next_extent() - iopt_pages_walk_next() at the end of an extent
 * @walk: the walk
 * @pfn: the first frame
 *
 * Return: how many there are, 0 at the end.
 */
unsigned long iopt_pages_walk_next_extent(struct pages_walk *walk,
					  unsigned long *pfn)
{
	struct pages_extent *extent = walk->extent;
	unsigned long first;

	if (!extent || extent->node.last >= walk->last)
		return 0;
	first = extent->node.last + 1;
	walk_extent(walk, pages_extent_next(extent, first, first), first);
	return pfn_cursor_next(&walk->cursor, pfn);
}

static void pages_phys(struct iopt_pages *pages, unsigned long offset,
		       u64 *length, u64 *phys)
{
	unsigned long pfn, next, nr, npages = 0;
	struct pages_walk walk;

	iopt_pages_walk_start(&walk, pages, offset >> PAGE_SHIFT,
			      (offset + *length - 1) >> PAGE_SHIFT);
	while ((nr = iopt_pages_walk_next(&walk, &next))) {
		if (!npages)
			pfn = next;
		else if (next != pfn + npages)
			break;
		npages += nr;
	}
	if (WARN_ON_ONCE(!npages)) {
		*length = 0;
		return;
	}
	*phys = PFN_PHYS(pfn) + offset_in_page(offset);
	*length = min(*length, (u64)npages * PAGE_SIZE - offset_in_page(offset));
}

/**
 * iopt_pages_phys() - where bytes of a backing are
 * @pages: the backing, acquired there if it is memory, and frozen
 * @offset: first byte, from the start of the backing
 * @length: most bytes to tell about; then how many are contiguous
 * @phys: the physical address of the first one
 *
 * Return: 0, -EINVAL when the source took its addresses back, -EINTR when the
 * caller is killed while somebody pins pages.
 */
int iopt_pages_phys(struct iopt_pages *pages, unsigned long offset, u64 *length,
		    u64 *phys)
{
	if (iopt_pages_revoked(pages))
		return -EINVAL;
	if (!iopt_pages_is_memory(pages)) {
		pages_phys(pages, offset, length, phys);
		return 0;
	}
	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	pages_phys(pages, offset, length, phys);
	mutex_unlock(&pages->mutex);
	return 0;
}
