/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copying between kernel memory and a backing.
 */
#ifndef __IOMMUFD_PAGES_RW_H
#define __IOMMUFD_PAGES_RW_H

struct iopt_pages;
struct page;

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

int iopt_pages_rw(struct iopt_pages *pages, unsigned long start, void *data,
		  unsigned long length, unsigned int flags);

/* For iopt_pages_ops.copy. The function pins up to npages, and at least one */
int pages_copy_by_pin(struct pages_copy *copy,
		      long (*pin)(struct iopt_pages *pages, unsigned long index,
				  unsigned long npages, bool write,
				  struct page **array));

#endif
