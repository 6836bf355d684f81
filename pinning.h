/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pinning memory, wherever it comes from, and unpinning it.
 */
#ifndef __IOMMUFD_PINNING_H
#define __IOMMUFD_PINNING_H

#include <linux/types.h>

struct folio;
struct iopt_pages;
struct page;
struct pfn_runs;

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
void pages_unpin(struct pfn_runs *runs, unsigned long first,
		 unsigned long npages, bool dirty);

/* For iopt_pages_ops.pin */
int pages_pin_append(struct pages_pin *pin, struct page **array,
		     unsigned long nr);
int pages_pin_append_folio(struct pages_pin *pin, struct folio *folio,
			   unsigned long index, unsigned long npages);

#endif
