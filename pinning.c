// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning memory, wherever it comes from, and unpinning it.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "pages.h"
#include "pinning.h"
#include "test_hooks.h"

/* Pointers kept on the stack; enough for a map of a few pages */
#define PIN_ON_STACK 16

/* How many pointers there may be; fewer when a test wants small steps */
static unsigned long pin_max(unsigned long entries)
{
	size_t bytes = min_t(size_t, SZ_64K, iommufd_test_memory_limit());

	return clamp(bytes / sizeof(void *), 1, entries);
}

/* One batch, at least a page */
static __always_inline int pin_batch(struct pages_pin *pin, unsigned long first,
				     unsigned long npages)
{
	if (iommufd_should_fail())
		return -EFAULT;
	/* The fast way of pinning does not look */
	if (fatal_signal_pending(current))
		return -EINTR;
	return pin->pages->ops->pin(pin, first, npages);
}

static __always_inline int pin_all(struct pages_pin *pin, unsigned long first,
				   unsigned long npages)
{
	struct pfn_runs *runs = pin->runs;
	int rc;

	do {
		rc = pin_batch(pin, first + runs->npages,
			       npages - runs->npages);
		cond_resched();
	} while (!rc && runs->npages != npages);
	if (unlikely(rc)) {
		pages_unpin(runs, 0, runs->npages, false);
		pfn_runs_free(runs);
	}
	return rc;
}

static noinline int pages_pin_many(struct iopt_pages *pages,
				   struct pfn_runs *runs, unsigned long first,
				   unsigned long npages)
{
	struct pages_pin pin = {
		.pages = pages,
		.runs = runs,
		.max = pin_max(npages),
		/* Which a look ahead tells */
		.hugetlb = true,
	};
	int rc;

	if (iommufd_should_fail())
		return -ENOMEM;
	pin.array = kvmalloc_array(pin.max, sizeof(*pin.array), GFP_KERNEL);
	if (!pin.array)
		return -ENOMEM;
	rc = pin_all(&pin, first, npages);
	kvfree(pin.array);
	return rc;
}

/**
 * pages_pin() - pin an interval of a backing
 * @pages: the backing, which is memory
 * @runs: gets the page frames
 * @first: first page
 * @npages: how many, more than 0
 *
 * Return: 0, or with nothing pinned -ENOMEM, -EFAULT, -EINTR when the caller is
 * killed, and other errors of iopt_pages_ops.pin.
 */
int pages_pin(struct iopt_pages *pages, struct pfn_runs *runs,
	      unsigned long first, unsigned long npages)
{
	void *on_stack[PIN_ON_STACK] __uninitialized;
	struct pages_pin pin = {
		.pages = pages,
		.runs = runs,
		.array = on_stack,
		.max = pin_max(ARRAY_SIZE(on_stack)),
	};

	pfn_runs_init(runs);
	/* A look ahead is not worth it when it all fits in one call */
	if (npages > ARRAY_SIZE(on_stack))
		return pages_pin_many(pages, runs, first, npages);
	return pin_all(&pin, first, npages);
}

/**
 * pages_unpin_apart() - pages_unpin_run() of page structures that do not follow
 *	each other
 * @pfn: the first page frame
 * @nr: how many
 * @dirty: devices may have written to them
 */
void pages_unpin_apart(unsigned long pfn, unsigned long nr, bool dirty)
{
	for (; nr; nr--, pfn++)
		unpin_user_page_range_dirty_lock(pfn_to_page(pfn), 1, dirty);
}

/**
 * pages_unpin_runs() - pages_unpin() of any number of runs
 * @runs: the page frames
 * @first: index in @runs of the first one
 * @npages: how many
 * @dirty: devices may have written to them
 */
void pages_unpin_runs(struct pfn_runs *runs, unsigned long first,
		      unsigned long npages, bool dirty)
{
	struct pfn_cursor cur __uninitialized;
	unsigned long pfn, nr;

	pfn_cursor_seek(&cur, runs, first, npages);
	while ((nr = pfn_cursor_next(&cur, &pfn))) {
		pages_unpin_run(pfn, nr, dirty);
		cond_resched();
	}
}

/*
 * Memory that is contiguous has struct pages that are, unless each section of
 * memory has an array of its own. Such arrays may also follow each other when
 * their sections do not.
 */
static bool page_follows(struct page *page, unsigned long nr, struct page *next)
{
	if (IS_ENABLED(CONFIG_SPARSEMEM) &&
	    !IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP))
		return page_to_pfn(next) == page_to_pfn(page) + nr;
	return next == page + nr;
}

/* How many of the pages follow each other */
static unsigned long count_contiguous(struct page **array, unsigned long nr)
{
	struct page *page = array[0];
	unsigned long i;

	for (i = 1; i != nr; i++) {
		if (!page_follows(page, i, array[i]))
			break;
	}
	return i;
}

/**
 * pages_pin_append_many() - pages_pin_append() of any number
 * @pin: memory that is being pinned
 * @array: the pages
 * @nr: how many
 *
 * Return: 0, or an errno of pfn_runs_append() with those that were not noted
 * unpinned.
 */
int pages_pin_append_many(struct pages_pin *pin, struct page **array,
			  unsigned long nr)
{
	unsigned long part;
	int rc;

	for (; nr; nr -= part, array += part) {
		part = count_contiguous(array, nr);
		rc = pfn_runs_append(pin->runs, page_to_pfn(*array), part);
		if (rc) {
			unpin_user_pages(array, nr);
			return rc;
		}
	}
	return 0;
}
