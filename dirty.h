/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty tracking: reading what devices wrote to, for the ioctls of a HWPT and
 * for the dirty log alike.
 */
#ifndef __IOMMUFD_DIRTY_H
#define __IOMMUFD_DIRTY_H

#include <linux/types.h>

#include "io_pagetable.h"

struct iova_bitmap;

/**
 * struct dirty_query - a bitmap of user space that is to be filled
 * @iova: first byte, what the first bit stands for
 * @last: last byte
 * @page_size: bytes that one bit stands for, a power of two
 * @data: the bitmap, gets bits set
 * @read: reports what is dirty from @iova to @last. Called without locks, for
 *	ascending parts that make up the whole; nothing that it reports in its
 *	part faults. Its errno ends the query.
 */
struct dirty_query {
	unsigned long iova;
	unsigned long last;
	unsigned long page_size;
	u64 __user *data;
	int (*read)(struct dirty_query *query, struct iova_bitmap *bitmap,
		    unsigned long iova, unsigned long last);
};

int dirty_query_run(struct dirty_query *query);

/* One domain, for the ioctls of its HWPT */
int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iopt_domain *idom, bool enable);
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iopt_domain *idom, unsigned long flags,
			      unsigned long iova, unsigned long length,
			      unsigned long page_size, u64 __user *data);

/* One domain, under io_pagetable.domains_rwsem, mostly held for writing */
int dirty_read_domain(struct io_pagetable *iopt, struct iopt_domain *idom,
		      enum iopt_dirty_user user, struct iova_bitmap *bitmap,
		      unsigned long iova, unsigned long last,
		      unsigned long flags);
void dirty_lose(struct io_pagetable *iopt, struct iopt_domain *idom,
		unsigned long iova, unsigned long last);
int dirty_track(struct iopt_domain *idom, enum iopt_dirty_user user);
int dirty_untrack(struct iopt_domain *idom, enum iopt_dirty_user user);

#endif
