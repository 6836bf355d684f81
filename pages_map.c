// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping what a backing has in a domain.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "pages.h"
#include "pages_map.h"
#include "pages_walk.h"
#include "test_hooks.h"

/* Pages that are mapped without a look at signals; a test may want small steps */
static unsigned long pages_between_looks(void)
{
	return iommufd_test_memory_limit() < SZ_64K ? 8 : SZ_1G >> PAGE_SHIFT;
}

/* Whether there is a reason to stop; lets others run */
static int look(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Page by page; maps nothing when it fails */
static noinline int map_small(const struct pages_window *window,
			      unsigned long iova, phys_addr_t phys,
			      unsigned long length)
{
	const unsigned long step = pages_between_looks() * PAGE_SIZE;
	unsigned long done;
	int rc = 0;

	for (done = 0; done != length; done += PAGE_SIZE) {
		if (done && IS_ALIGNED(done, step))
			rc = look();
		if (!rc)
			rc = iommu_map(window->domain, iova + done, phys + done,
				       PAGE_SIZE, window->prot, window->gfp);
		if (rc) {
			if (done)
				iommu_unmap(window->domain, iova, done);
			return rc;
		}
	}
	return 0;
}

static __always_inline int map_range(const struct pages_window *window,
				     unsigned long iova, phys_addr_t phys,
				     unsigned long length)
{
	if (!window->large)
		return map_small(window, iova, phys, length);
	return iommu_map(window->domain, iova, phys, length, window->prot,
			 window->gfp);
}

/**
 * struct map_rest - what is still to be read of a part of a backing
 * @pages: the backing
 * @index: the first page
 * @last: the last one, before @index once nothing is left
 */
struct map_rest {
	struct iopt_pages *pages;
	unsigned long index;
	unsigned long last;
};

/*
 * Read page frames, so many as may be without another look. Kept apart, because
 * this is rare and would take registers from the loop around it.
 */
static noinline int walk_part(struct pages_walk *walk, struct map_rest *rest)
{
	unsigned long first = rest->index;
	unsigned long end = min(rest->last,
				first + (pages_between_looks() - 1));
	int rc = look();

	if (rc)
		return rc;
	iopt_pages_walk_start(walk, rest->pages, first, end);
	rest->index = end + 1;
	return 0;
}

static noinline int map_runs(struct iopt_pages *pages,
			     const struct pages_window *window,
			     unsigned long index, unsigned long last)
{
	struct map_rest rest = { pages, index, last };
	unsigned long skip = offset_in_page(window->offset);
	unsigned long iova = window->iova;
	struct pages_walk walk __uninitialized;
	unsigned long pfn, nr, length;
	phys_addr_t phys, next;
	int rc;

	rc = walk_part(&walk, &rest);
	if (rc)
		return rc;
	nr = iopt_pages_walk_next(&walk, &pfn);
	if (WARN_ON_ONCE(!nr))
		return -EINVAL;
	phys = PFN_PHYS(pfn) + skip;
	length = nr * PAGE_SIZE - skip;
	for (;;) {
		nr = iopt_pages_walk_next(&walk, &pfn);
		if (!nr) {
			if (rest.index > rest.last)
				break;
			rc = walk_part(&walk, &rest);
			if (rc)
				goto err_unmap;
			continue;
		}
		next = PFN_PHYS(pfn);
		nr *= PAGE_SIZE;
		if (next == phys + length) {
			length += nr;
			continue;
		}
		rc = map_range(window, iova, phys, length);
		if (rc)
			goto err_unmap;
		iova += length;
		phys = next;
		length = nr;
		cond_resched();
	}

	/* It may end inside the last page */
	length = min(length, window->length - (iova - window->iova));
	rc = map_range(window, iova, phys, length);
	if (!rc)
		return 0;
err_unmap:
	if (iova != window->iova)
		iommu_unmap(window->domain, window->iova, iova - window->iova);
	return rc;
}

/**
 * iopt_pages_map() - map a part of a backing in a domain
 * @pages: the backing, with its page frames there to be read: acquired, under
 *	iopt_pages.mutex, or of a revocable source that is frozen
 * @window: the part, where nothing is mapped yet
 *
 * What is contiguous goes in one call, so that large IOPTEs can form.
 *
 * Return: 0, or with nothing mapped -EINTR when the caller is killed, and errors
 * of iommu_map().
 */
int iopt_pages_map(struct iopt_pages *pages, const struct pages_window *window)
{
	unsigned long index = window->offset >> PAGE_SHIFT;
	unsigned long last = (window->offset + (window->length - 1)) >>
			     PAGE_SHIFT;
	unsigned long pfn;
	int rc;

	if (!iopt_pages_one_run(pages, index, last, &pfn))
		return map_runs(pages, window, index, last);
	rc = look();
	if (rc)
		return rc;
	return map_range(window, window->iova,
			 PFN_PHYS(pfn) + offset_in_page(window->offset),
			 window->length);
}
