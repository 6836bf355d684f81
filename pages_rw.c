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
#include <linux/kthread.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "pages.h"
#include "selftest.h"

/* Pages pinned at a time for a copy */
#define RW_BATCH 16

/**
 * struct pages_copy - a copy under way
 * @pages: the backing
 * @start: bytes from its start
 * @data: kernel memory
 * @length: bytes left
 * @flags: IOMMUFD_ACCESS_RW_*
 */
struct pages_copy {
	struct iopt_pages *pages;
	unsigned long start;
	void *data;
	unsigned long length;
	unsigned int flags;
};

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
static int copy_pinned(struct pages_copy *copy, unsigned long *unpinned)
{
	unsigned long index = copy->start >> PAGE_SHIFT;
	unsigned long last = (copy->start + copy->length - 1) >> PAGE_SHIFT;
	struct interval_tree_node *node;
	struct pages_walk walk;
	unsigned long pfn, nr;
	int rc;

	ACQUIRE(mutex_kill, lock)(&copy->pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	while (copy->length) {
		node = interval_tree_iter_first(&copy->pages->extents, index,
						last);
		if (!node)
			break;
		if (node->start > index) {
			*unpinned = (node->start << PAGE_SHIFT) - copy->start;
			return 0;
		}

		/* They are dirtied when they are unpinned */
		pages_walk_start(&walk, copy->pages, index,
				 min(node->last, last));
		while ((nr = pages_walk_next(&walk, &pfn))) {
			for (; nr; nr--, pfn++)
				copy_one_page(copy, pfn_to_page(pfn));
		}
		index = node->last + 1;
	}
	*unpinned = copy->length;
	return 0;
}

/* Through the address space that is current */
static int copy_user(struct pages_copy *copy, unsigned long length)
{
	void __user *uptr = (void __user *)(copy->pages->start + copy->start);
	unsigned long left;

	if (copy->flags & IOMMUFD_ACCESS_RW_WRITE)
		left = copy_to_user(uptr, copy->data, length);
	else
		left = copy_from_user(copy->data, uptr, length);
	if (left)
		return -EFAULT;
	copy_advance(copy, length);
	return 0;
}

static int copy_kthread(struct pages_copy *copy, unsigned long length)
{
	int rc;

	if (!mmget_not_zero(copy->pages->mm))
		return -EFAULT;
	kthread_use_mm(copy->pages->mm);
	rc = copy_user(copy, length);
	kthread_unuse_mm(copy->pages->mm);
	mmput(copy->pages->mm);
	return rc;
}

static long pin_remote(struct pages_copy *copy, struct page **array,
		       unsigned long npages)
{
	struct mm_struct *mm = copy->pages->mm;
	bool write = copy->flags & IOMMUFD_ACCESS_RW_WRITE;
	int locked = 1;
	long nr;

	if (iommufd_should_fail())
		return -EINVAL;
	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (mmap_read_lock_killable(mm)) {
		mmput(mm);
		return -EINTR;
	}
	nr = pin_user_pages_remote(mm,
				   copy->pages->start +
					   (copy->start & PAGE_MASK),
				   npages, write ? FOLL_WRITE : 0, array,
				   &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	return nr ?: -EFAULT;
}

static long pin_file(struct pages_copy *copy, struct page **array,
		     unsigned long npages)
{
	loff_t start = (loff_t)copy->pages->start + (copy->start & PAGE_MASK);
	struct folio *folio;
	pgoff_t offset;
	long nr;

	if (iommufd_should_fail())
		return -EINVAL;
	/* One page is enough, and the same folio for the rest of a huge one */
	nr = memfd_pin_folios(copy->pages->file, start, start + PAGE_SIZE - 1,
			      &folio, 1, &offset);
	if (nr <= 0)
		return nr ?: -EINVAL;
	array[0] = folio_page(folio, offset >> PAGE_SHIFT);
	return 1;
}

/* By pinning a few pages at a time */
static int copy_by_pin(struct pages_copy *copy, unsigned long length)
{
	bool write = copy->flags & IOMMUFD_ACCESS_RW_WRITE;
	unsigned long end = copy->length - length;
	struct page *array[RW_BATCH];
	unsigned long npages;
	long i, nr;

	while (copy->length != end) {
		if (fatal_signal_pending(current))
			return -EINTR;
		npages = DIV_ROUND_UP(offset_in_page(copy->start) +
					      (copy->length - end), PAGE_SIZE);
		npages = min(npages, RW_BATCH);
		if (copy->pages->kind == PAGES_FILE)
			nr = pin_file(copy, array, npages);
		else
			nr = pin_remote(copy, array, npages);
		if (nr < 0)
			return nr;

		for (i = 0; i != nr; i++) {
			unsigned long rest = copy->length - end;
			unsigned long over = copy->length - rest;

			copy->length = rest;
			copy_one_page(copy, array[i]);
			copy->length += over;
		}
		unpin_user_pages_dirty_lock(array, nr, write);
		cond_resched();
	}
	return 0;
}

/**
 * pages_rw() - copy between kernel memory and a backing
 * @pages: the backing, not a dma-buf
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
int pages_rw(struct iopt_pages *pages, unsigned long start, void *data,
	     unsigned long length, unsigned int flags)
{
	struct pages_copy copy = {
		.pages = pages,
		.start = start,
		.data = data,
		.length = length,
		.flags = flags,
	};
	unsigned long unpinned;
	int rc;

	for (;;) {
		rc = copy_pinned(&copy, &unpinned);
		if (rc || !unpinned)
			return rc;
		if (pages->kind == PAGES_FILE ||
		    (flags & __IOMMUFD_ACCESS_RW_SLOW_PATH))
			rc = copy_by_pin(&copy, unpinned);
		else if (current->mm == pages->mm)
			rc = copy_user(&copy, unpinned);
		else if ((flags & IOMMUFD_ACCESS_RW_KTHREAD) &&
			 (current->flags & PF_KTHREAD) && !current->mm)
			rc = copy_kthread(&copy, unpinned);
		else
			rc = copy_by_pin(&copy, unpinned);
		if (rc)
			return rc;
	}
}
