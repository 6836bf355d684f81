// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying between kernel memory and a backing.
 *
 * What is pinned is read and written through its page frames, so that the
 * result agrees with what devices see, and works when the owner is gone. The
 * rest goes through the owner's address space, or is pinned for the copy.
 */
#include <linux/highmem.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "pages.h"
#include "pages_rw.h"
#include "pages_walk.h"
#include "test_hooks.h"

/* Pages pinned at a time for a copy */
#define RW_BATCH 16

static void copy_advance(struct pages_copy *copy, unsigned long length)
{
	copy->start += length;
	copy->data += length;
	copy->length -= length;
}

/* As much as there is of one page */
static void copy_one_page(struct pages_copy *copy, struct page *page)
{
	unsigned long offset = offset_in_page(copy->start);
	unsigned long length = min(copy->length, PAGE_SIZE - offset);

	if (copy->flags & IOMMUFD_ACCESS_RW_WRITE)
		memcpy_to_page(page, offset, copy->data, length);
	else
		memcpy_from_page(copy->data, page, offset, length);
	copy_advance(copy, length);
}

/* Copies what is pinned at the start, and tells the length of what then is not */
static void copy_pinned(struct pages_copy *copy, unsigned long *unpinned)
{
	unsigned long index = copy->start >> PAGE_SHIFT;
	unsigned long last = (copy->start + copy->length - 1) >> PAGE_SHIFT;
	struct pages_extent *extent;
	struct pages_walk walk;
	unsigned long pfn, nr;

	lockdep_assert_held(&copy->pages->mutex);

	if (iopt_pages_one_run(copy->pages, index, last, &pfn)) {
		while (copy->length)
			copy_one_page(copy, pfn_to_page(pfn++));
		*unpinned = 0;
		return;
	}
	while (copy->length) {
		extent = iopt_pages_extent(copy->pages, index, last);
		if (!extent)
			break;
		if (extent->node.start > index) {
			*unpinned = (extent->node.start << PAGE_SHIFT) -
				    copy->start;
			return;
		}

		/* They are dirtied when they are unpinned */
		iopt_pages_walk_start(&walk, copy->pages, index,
				      min(extent->node.last, last));
		while ((nr = iopt_pages_walk_next(&walk, &pfn))) {
			for (; nr; nr--, pfn++)
				copy_one_page(copy, pfn_to_page(pfn));
		}
		index = extent->node.last + 1;
	}
	*unpinned = copy->length;
}

/**
 * pages_copy_by_pin() - copy by pinning a few pages at a time
 * @copy: the copy, of what is not pinned
 * @pin: pins up to so many pages from an index on, and at least one; returns
 *	how many, or an errno
 *
 * Return: 0, -EINTR when the caller is killed, -EINVAL by fault injection, and
 * errors of @pin; a part may be copied then.
 */
int pages_copy_by_pin(struct pages_copy *copy,
		      long (*pin)(struct iopt_pages *pages, unsigned long index,
				  unsigned long npages, bool write,
				  struct page **array))
{
	bool write = copy->flags & IOMMUFD_ACCESS_RW_WRITE;
	struct page *array[RW_BATCH];
	unsigned long npages;
	long i, nr;

	while (copy->length) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (iommufd_should_fail())
			return -EINVAL;
		npages = DIV_ROUND_UP(offset_in_page(copy->start) +
					      copy->length, PAGE_SIZE);
		nr = pin(copy->pages, copy->start >> PAGE_SHIFT,
			 min(npages, RW_BATCH), write, array);
		if (nr <= 0)
			return nr ?: -EFAULT;
		for (i = 0; i != nr; i++)
			copy_one_page(copy, array[i]);
		unpin_user_pages_dirty_lock(array, nr, write);
		cond_resched();
	}
	return 0;
}

/**
 * iopt_pages_rw() - copy between kernel memory and a backing
 * @pages: the backing, which is memory
 * @start: bytes from its start
 * @data: kernel memory
 * @length: bytes, more than 0
 * @flags: IOMMUFD_ACCESS_RW_*
 *
 * May sleep, and may take the owner's mmap_lock, unless pages are pinned.
 *
 * Return: 0, -EFAULT for memory that cannot be had, -EINTR when the caller is
 * killed, and errors of pinning; a part may be copied then.
 */
int iopt_pages_rw(struct iopt_pages *pages, unsigned long start, void *data,
		  unsigned long length, unsigned int flags)
{
	struct pages_copy copy = {
		.pages = pages,
		.start = start,
		.data = data,
		.length = length,
		.flags = flags,
	};
	struct pages_copy part;
	int rc;

	for (;;) {
		if (mutex_lock_killable(&pages->mutex))
			return -EINTR;
		copy_pinned(&copy, &length);
		mutex_unlock(&pages->mutex);
		if (!length)
			return 0;
		part = copy;
		part.length = length;
		rc = pages->ops->copy(&part);
		if (rc)
			return rc;
		copy_advance(&copy, length);
	}
}
