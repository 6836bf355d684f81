// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: which pages devices wrote to through one domain.
 *
 * A domain forgets what it was asked about, and there may be two who ask: user
 * space about the HWPT, and the dirty log about the whole IOVA space. What one of
 * them makes the domain forget is remembered for the other, as one interval that
 * all of it lies in.
 */
#include <linux/iommu.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "area.h"
#include "dirty.h"

/*
 * Most bits of one part of a query: 32 GiB of 4 KiB pages. Their bytes, wherever
 * in memory they begin, can be pinned at once.
 */
#define PART_BITS	(8UL * 1024 * 1024)

/* Bits of an element of the bitmap */
#define WORD_BITS	BITS_PER_TYPE(u64)

/*
 * Bitmaps
 */

/**
 * struct dirty_part - a part of a query
 * @query: the query
 * @iova: first byte of the part
 * @last: last byte
 */
struct dirty_part {
	struct dirty_query *query;
	unsigned long iova;
	unsigned long last;
};

/* The bits that a part of the bitmap has besides those of the part do no harm */
static int dirty_part_read(struct iova_bitmap *bitmap, unsigned long iova,
			   size_t length, void *opaque)
{
	struct dirty_part *part = opaque;

	iova = max(iova, part->iova);
	return part->query->read(part->query, bitmap, iova,
				 min(iova + (length - 1), part->last));
}

/*
 * A bitmap of its own, so that a large IOPTE that reaches beyond the part is not
 * reported to memory that is not pinned. It consists of whole elements.
 */
static int dirty_part_run(struct dirty_part *part)
{
	struct dirty_query *query = part->query;
	unsigned int shift = ilog2(query->page_size);
	unsigned long first_bit = (part->iova - query->iova) >> shift;
	unsigned long last_bit = (part->last - query->iova) >> shift;
	unsigned long iova, last = query->last;
	struct iova_bitmap *bitmap;
	int rc;

	first_bit = round_down(first_bit, WORD_BITS);
	last_bit |= WORD_BITS - 1;
	iova = query->iova + (first_bit << shift);
	if (last_bit < (query->last - query->iova) >> shift)
		last = query->iova + ((last_bit + 1) << shift) - 1;

	bitmap = iova_bitmap_alloc(iova, last - iova + 1, query->page_size,
				   query->data + first_bit / WORD_BITS);
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	rc = iova_bitmap_for_each(bitmap, part, dirty_part_read);
	iova_bitmap_free(bitmap);
	return rc;
}

/* Parts meet where IOPTEs do, at multiples of their largest size */
static unsigned long dirty_part_last(const struct dirty_query *query,
				     unsigned long iova)
{
	unsigned int shift = ilog2(query->page_size);

	if (shift + ilog2(PART_BITS) >= BITS_PER_LONG)
		return query->last;
	return min(query->last, iova | ((PART_BITS << shift) - 1));
}

/**
 * dirty_query_run() - fill a bitmap of user space
 * @query: the query
 *
 * The memory of each part is pinned before it is read, which may wait for
 * whoever provides the memory. Hence no lock may be held here, and none is
 * between parts.
 *
 * Return: 0, -EFAULT when the bitmap cannot be written, -EINTR when the caller is
 * killed, -ENOMEM, or what dirty_query.read returns. Parts may be read then.
 */
int dirty_query_run(struct dirty_query *query)
{
	struct dirty_part part = {
		.query = query,
		.iova = query->iova,
	};
	unsigned long last_bit = (query->last - query->iova) >>
				 ilog2(query->page_size);
	int rc;

	if (!access_ok(query->data, last_bit / BITS_PER_BYTE + 1))
		return -EFAULT;
	for (;;) {
		part.last = dirty_part_last(query, part.iova);
		rc = dirty_part_run(&part);
		if (rc || part.last == query->last)
			return rc;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		part.iova = part.last + 1;
	}
}

/*
 * Domains
 */

/**
 * struct dirty_read - reading a domain
 * @domain: the domain
 * @flags: IOMMU_DIRTY_NO_CLEAR
 * @dirty: where it reports to
 */
struct dirty_read {
	struct iommu_domain *domain;
	unsigned long flags;
	struct iommu_dirty_bitmap dirty;
};

static int dirty_read_part(struct dirty_read *read, unsigned long iova,
			   unsigned long last, unsigned long flags)
{
	const struct iommu_dirty_ops *ops = read->domain->dirty_ops;

	return ops->read_and_clear_dirty(read->domain, iova, last - iova + 1,
					 read->flags | flags, &read->dirty);
}

/*
 * An IOPTE is clean or dirty as a whole. One that only a part is asked of stays
 * dirty, or the rest of it would count as clean and have never been reported.
 */
static int dirty_read_interval(struct dirty_read *read, struct iopt_area *area,
			       unsigned long iova, unsigned long last)
{
	unsigned long first_across, last_across;
	int across = 0;
	int rc;

	if (iova != area->node.iova)
		across = iopt_area_block_across(area, read->domain, iova,
						&first_across, &last_across);
	if (across < 0)
		return across;
	if (across) {
		last_across = min(last_across, last);
		rc = dirty_read_part(read, iova, last_across,
				     IOMMU_DIRTY_NO_CLEAR);
		if (rc || last_across == last)
			return rc;
		iova = last_across + 1;
	}
	across = 0;
	if (last != area->node.last)
		across = iopt_area_block_across(area, read->domain, last + 1,
						&first_across, &last_across);
	if (across < 0)
		return across;
	if (across) {
		rc = dirty_read_part(read, first_across, last,
				     IOMMU_DIRTY_NO_CLEAR);
		if (rc || first_across == iova)
			return rc;
		last = first_across - 1;
	}
	return dirty_read_part(read, iova, last, 0);
}

static void dirty_report_missed(const struct iopt_dirty_state *state,
				struct iova_bitmap *bitmap, unsigned long iova,
				unsigned long last)
{
	if (!state->missed || !bitmap)
		return;
	iova = max(iova, state->first);
	last = min(last, state->last);
	if (iova <= last)
		iova_bitmap_set(bitmap, iova, last - iova + 1);
}

/* All of an interval was reported. One interval has to hold what is left */
static void dirty_forget_missed(struct iopt_dirty_state *state,
				unsigned long iova, unsigned long last)
{
	if (!state->missed || iova > state->last || last < state->first)
		return;
	if (iova <= state->first && last >= state->last)
		state->missed = false;
	else if (iova <= state->first)
		state->first = last + 1;
	else if (last >= state->last)
		state->last = iova - 1;
}

static void dirty_miss(struct iopt_dirty_state *state, unsigned long iova,
		       unsigned long last)
{
	if (state->missed) {
		iova = min(iova, state->first);
		last = max(last, state->last);
	}
	state->missed = true;
	state->first = iova;
	state->last = last;
}

/* What has to be flushed from IOTLBs is what was dirty and is not any more */
static void dirty_tell_others(struct iopt_domain *idom,
			      enum iopt_dirty_user user,
			      const struct iommu_iotlb_gather *cleared)
{
	enum iopt_dirty_user other;

	if (cleared->start > cleared->end)
		return;
	for (other = 0; other != IOPT_DIRTY_USERS; other++) {
		if (other != user && idom->dirty[other].on)
			dirty_miss(&idom->dirty[other], cleared->start,
				   cleared->end);
	}
}

/**
 * dirty_read_domain() - report what devices wrote to through a domain
 * @iopt: the space, with its domains_rwsem held for writing
 * @idom: a domain that mirrors it, or is about to, and has dirty_ops
 * @user: who asks; the log leaves dma-bufs out, which are no memory
 * @bitmap: where to report to; NULL to only clear
 * @iova: first byte; what is not mapped is clean
 * @last: last byte
 * @flags: IOMMU_DIRTY_NO_CLEAR to only look
 *
 * Return: 0 or an errno of the driver. A part may be cleared then.
 */
int dirty_read_domain(struct io_pagetable *iopt, struct iopt_domain *idom,
		      enum iopt_dirty_user user, struct iova_bitmap *bitmap,
		      unsigned long iova, unsigned long last,
		      unsigned long flags)
{
	struct iopt_dirty_state *state = &idom->dirty[user];
	struct dirty_read read = {
		.domain = idom->domain,
		.flags = flags,
	};
	struct iommu_iotlb_gather gather;
	struct iopt_area *area;
	int rc = 0;

	lockdep_assert_held_write(&iopt->domains_rwsem);

	iommu_dirty_bitmap_init(&read.dirty, bitmap, &gather);
	iopt_for_each_area(iopt, area, iova, last) {
		unsigned long area_iova = max(iova, area->node.iova);
		unsigned long area_last = min(last, area->node.last);

		if (user == IOPT_DIRTY_LOG &&
		    !iopt_pages_is_memory(area->pages))
			continue;
		dirty_report_missed(state, bitmap, area_iova, area_last);
		iopt_pages_freeze(area->pages);
		rc = dirty_read_interval(&read, area, area_iova, area_last);
		iopt_pages_thaw(area->pages);
		if (rc)
			break;
		cond_resched();
	}
	if (!(flags & IOMMU_DIRTY_NO_CLEAR)) {
		if (!rc)
			dirty_forget_missed(state, iova, last);
		dirty_tell_others(idom, user, &gather);
		iommu_iotlb_sync(idom->domain, &gather);
	}
	return rc;
}

static bool dirty_is_tracked(const struct iopt_domain *idom)
{
	return idom->dirty[IOPT_DIRTY_HWPT].on ||
	       idom->dirty[IOPT_DIRTY_LOG].on;
}

/**
 * dirty_lose() - IOPTEs were replaced, and what they were is not known any more
 * @iopt: the space, with its domains_rwsem held, for reading at least
 * @idom: a domain that mirrors it
 * @iova: first byte
 * @last: last byte
 *
 * Whoever asks next is told that all of it is dirty.
 */
void dirty_lose(struct io_pagetable *iopt, struct iopt_domain *idom,
		unsigned long iova, unsigned long last)
{
	enum iopt_dirty_user user;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (!dirty_is_tracked(idom))
		return;
	guard(mutex)(&iopt->iova_mutex);
	for (user = 0; user != IOPT_DIRTY_USERS; user++) {
		if (idom->dirty[user].on)
			dirty_miss(&idom->dirty[user], iova, last);
	}
}

/**
 * dirty_track() - have a domain track what devices write to
 * @idom: a domain that has dirty_ops
 * @user: on whose behalf
 *
 * Return: 0 or an errno of the driver.
 */
int dirty_track(struct iopt_domain *idom, enum iopt_dirty_user user)
{
	struct iommu_domain *domain = idom->domain;
	int rc;

	if (!dirty_is_tracked(idom)) {
		rc = domain->dirty_ops->set_dirty_tracking(domain, true);
		if (rc)
			return rc;
	}
	idom->dirty[user] = (struct iopt_dirty_state){ .on = true };
	return 0;
}

/**
 * dirty_untrack() - the reverse of dirty_track()
 * @idom: a domain that has dirty_ops
 * @user: on whose behalf
 *
 * Return: 0, or an errno of the driver, with tracking still on.
 */
int dirty_untrack(struct iopt_domain *idom, enum iopt_dirty_user user)
{
	struct iommu_domain *domain = idom->domain;
	int rc;

	idom->dirty[user].on = false;
	if (dirty_is_tracked(idom))
		return 0;
	rc = domain->dirty_ops->set_dirty_tracking(domain, false);
	if (rc)
		idom->dirty[user].on = true;
	return rc;
}

/*
 * The ioctls of a HWPT
 */

/**
 * struct hwpt_query - IOMMU_HWPT_GET_DIRTY_BITMAP
 * @query: what user space wants to know
 * @iopt: the space
 * @idom: the domain asked
 * @flags: IOMMU_DIRTY_NO_CLEAR
 */
struct hwpt_query {
	struct dirty_query query;
	struct io_pagetable *iopt;
	struct iopt_domain *idom;
	unsigned long flags;
};

static int hwpt_read_part(struct dirty_query *query, struct iova_bitmap *bitmap,
			  unsigned long iova, unsigned long last)
{
	struct hwpt_query *hwpt = container_of(query, struct hwpt_query, query);
	int rc;

	ACQUIRE(rwsem_write_kill, lock)(&hwpt->iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &lock);
	if (rc)
		return rc;
	return dirty_read_domain(hwpt->iopt, hwpt->idom, IOPT_DIRTY_HWPT,
				 bitmap, iova, last, hwpt->flags);
}

/**
 * iopt_read_and_clear_dirty() - tell user space what devices wrote to
 * @iopt: the space
 * @idom: a domain that mirrors it and has dirty_ops
 * @flags: IOMMU_DIRTY_NO_CLEAR to only look
 * @iova: first byte
 * @length: bytes, more than 0, without overflow
 * @page_size: bytes that one bit stands for, a power of two
 * @data: bitmap of user space, gets bits set
 *
 * Mappings stand still while a part of the bitmap is filled, mostly all of it.
 *
 * Return: 0, -EFAULT when the bitmap cannot be written, -EINTR, -ENOMEM, and
 * errors of the driver.
 */
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iopt_domain *idom, unsigned long flags,
			      unsigned long iova, unsigned long length,
			      unsigned long page_size, u64 __user *data)
{
	struct hwpt_query hwpt = {
		.query = {
			.iova = iova,
			.last = iova + (length - 1),
			.page_size = page_size,
			.data = data,
			.read = hwpt_read_part,
		},
		.iopt = iopt,
		.idom = idom,
		.flags = flags,
	};

	return dirty_query_run(&hwpt.query);
}

/**
 * iopt_set_dirty_tracking() - switch dirty tracking of a domain
 * @iopt: the space
 * @idom: a domain that mirrors it and has dirty_ops
 * @enable: on; everything counts as clean then, unless it was on already
 *
 * Return: 0 or an errno of the driver.
 */
int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iopt_domain *idom, bool enable)
{
	int rc;

	guard(rwsem_write)(&iopt->domains_rwsem);
	if (idom->dirty[IOPT_DIRTY_HWPT].on == enable)
		return 0;
	if (!enable)
		return dirty_untrack(idom, IOPT_DIRTY_HWPT);
	rc = dirty_read_domain(iopt, idom, IOPT_DIRTY_HWPT, NULL, 0, ULONG_MAX,
			       0);
	return rc ?: dirty_track(idom, IOPT_DIRTY_HWPT);
}
