// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log of an IOVA space.
 *
 * A domain that can track what devices write to is logged: the log reads and
 * clears its tracking. While there is a domain that cannot, every page is taken
 * to be dirty all the time. What accesses have pinned is dirty as long as it is
 * pinned; what they wrote to and let go of is remembered page by page, in
 * io_pagetable.log_written.
 *
 * It may say dirty of what is clean, never the reverse. Where something cannot
 * be found out or remembered, the whole area is latched dirty for the next time
 * somebody asks, in iopt_area.all_dirty.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/iova_bitmap.h>

#include "area.h"
#include "dirty.h"
#include "dirty_log.h"
#include "io_pagetable.h"

/* Most pages of one area that VFIO's interface can deal with */
#define LOG_AREA_PAGES_MAX	((unsigned long)INT_MAX)

/**
 * enum log_latch - iopt_area.all_dirty
 * @LATCH_OPEN: what is dirty is known page by page
 * @LATCH_DIRTY: all of it is dirty
 * @LATCH_READING: all of it is dirty, and a query that clears has got to the
 *	start of the area; it opens the latch at the end of the area, unless
 *	somebody has set it again in between
 *
 * A query reads a large area in parts, and locks nothing between them.
 */
enum log_latch {
	LATCH_OPEN,
	LATCH_DIRTY,
	LATCH_READING,
};

/* Nobody writes to what is only readable, and a dma-buf is not memory */
static bool area_is_logged(const struct iopt_area *area)
{
	return iopt_pages_is_memory(area->pages) &&
	       (area->prot & IOMMU_WRITE);
}

static void log_latch(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last)
{
	struct iopt_area *area;

	iopt_for_each_area(iopt, area, iova, last)
		atomic_set(&area->all_dirty, LATCH_DIRTY);
}

static void log_read_domain(struct io_pagetable *iopt,
			    struct iopt_domain *idom,
			    struct iova_bitmap *bitmap, unsigned long iova,
			    unsigned long last, unsigned long flags)
{
	if (dirty_read_domain(iopt, idom, IOPT_DIRTY_LOG, bitmap, iova, last,
			      flags))
		log_latch(iopt, iova, last);
}

/* iopt_dirty_state.on tells whether that worked */
static void log_track_domain(struct iopt_domain *idom)
{
	if (idom->domain->dirty_ops)
		dirty_track(idom, IOPT_DIRTY_LOG);
}

/**
 * iopt_log_start() - start the log
 * @iopt: the space
 *
 * Everything is clean then. Nothing happens when it runs already.
 *
 * Return: 0, -EINVAL when an area is too large, or -EINTR when the caller is
 * killed while it waits.
 */
int iopt_log_start(struct io_pagetable *iopt)
{
	struct iopt_domain *idom;
	struct iopt_area *area;
	int rc;

	ACQUIRE(rwsem_write_kill, lock)(&iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &lock);
	if (rc)
		return rc;
	if (iopt->log_on)
		return 0;
	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		if ((area_length(area) - 1) >> PAGE_SHIFT >= LOG_AREA_PAGES_MAX)
			return -EINVAL;
	}

	/* From here on accesses report what they write to */
	WRITE_ONCE(iopt->log_on, true);
	/*
	 * Orders that before the caller's look at memory; pairs with the
	 * barrier of area_log_write().
	 */
	smp_mb();
	list_for_each_entry(idom, &iopt->domains, item) {
		if (idom->domain->dirty_ops)
			log_read_domain(iopt, idom, NULL, 0, ULONG_MAX, 0);
		log_track_domain(idom);
	}
	return 0;
}

static void log_stop(struct io_pagetable *iopt)
{
	struct iopt_domain *idom;
	struct iopt_area *area;

	lockdep_assert_held_write(&iopt->domains_rwsem);

	if (!iopt->log_on)
		return;
	list_for_each_entry(idom, &iopt->domains, item) {
		if (idom->dirty[IOPT_DIRTY_LOG].on)
			dirty_untrack(idom, IOPT_DIRTY_LOG);
	}

	/* The lock keeps accesses from reporting after that */
	scoped_guard(mutex, &iopt->iova_mutex)
		WRITE_ONCE(iopt->log_on, false);
	iopt_for_each_area(iopt, area, 0, ULONG_MAX)
		atomic_set(&area->all_dirty, LATCH_OPEN);
	xa_destroy(&iopt->log_written);
}

/**
 * iopt_log_stop() - stop the log
 * @iopt: the space
 *
 * What it has collected is dropped. Nothing happens when it does not run.
 *
 * Return: 0, or -EINTR when the caller is killed while it waits.
 */
int iopt_log_stop(struct io_pagetable *iopt)
{
	int rc;

	ACQUIRE(rwsem_write_kill, lock)(&iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &lock);
	if (!rc)
		log_stop(iopt);
	return rc;
}

/**
 * iopt_log_end() - iopt_log_stop() for those who must not fail
 * @iopt: the space
 */
void iopt_log_end(struct io_pagetable *iopt)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	log_stop(iopt);
}

/**
 * iopt_log_add_domain() - a domain is going to mirror the space
 * @iopt: the space
 * @idom: the link, with its domain empty
 */
void iopt_log_add_domain(struct io_pagetable *iopt, struct iopt_domain *idom)
{
	lockdep_assert_held_write(&iopt->domains_rwsem);
	if (iopt->log_on)
		log_track_domain(idom);
}

/**
 * iopt_log_forget() - a domain stops to mirror the space
 * @iopt: the space
 *
 * What it has tracked, or would have, is lost.
 */
void iopt_log_forget(struct io_pagetable *iopt)
{
	lockdep_assert_held_write(&iopt->domains_rwsem);
	if (iopt->log_on)
		log_latch(iopt, 0, ULONG_MAX);
}

/**
 * area_log_written() - area_log_write() while the log runs, or may have stopped
 * @area: the area, which is busy
 * @iova: first byte
 * @last: last byte
 */
void area_log_written(struct iopt_area *area, unsigned long iova,
		      unsigned long last)
{
	struct io_pagetable *iopt = area->iopt;
	unsigned long index;

	guard(mutex)(&iopt->iova_mutex);
	/* The log may be started without this lock, but not be stopped */
	if (!READ_ONCE(iopt->log_on))
		return;
	for (index = iova >> PAGE_SHIFT; index <= last >> PAGE_SHIFT; index++) {
		if (xa_is_err(xa_store(&iopt->log_written, index,
				       xa_mk_value(0), GFP_KERNEL_ACCOUNT))) {
			atomic_set(&area->all_dirty, LATCH_DIRTY);
			return;
		}
	}
}

/**
 * iopt_log_drop() - an area is about to go, and nobody works on it any more
 * @iopt: the space, with its domains_rwsem held
 * @area: the area, still in the space
 *
 * What is mapped there next starts clean. A page that the area shares with
 * another one remains dirty.
 */
void iopt_log_drop(struct io_pagetable *iopt, struct iopt_area *area)
{
	unsigned long first = (area->node.iova >> PAGE_SHIFT) +
			      !PAGE_ALIGNED(area->node.iova);
	unsigned long end = (area->node.last >> PAGE_SHIFT) +
			    PAGE_ALIGNED(area->node.last + 1);
	unsigned long index;
	void *entry;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (first >= end)
		return;
	xa_for_each_range(&iopt->log_written, index, entry, first, end - 1)
		xa_erase(&iopt->log_written, index);
}

/**
 * struct log_query - a query of the log
 * @query: what user space wants to know
 * @iopt: the space
 * @flags: IOMMU_DIRTY_NO_CLEAR
 * @begun: a part was read
 * @then: called after the last part, before mappings may change again; or NULL
 * @opaque: passed to @then
 */
struct log_query {
	struct dirty_query query;
	struct io_pagetable *iopt;
	unsigned long flags;
	bool begun;
	iopt_log_then_t then;
	void *opaque;
};

static bool log_read_latch(struct log_query *log, struct iopt_area *area,
			   unsigned long iova, unsigned long last)
{
	if (atomic_read(&area->all_dirty) == LATCH_OPEN)
		return false;
	if (log->flags & IOMMU_DIRTY_NO_CLEAR)
		return true;
	if (iova == area->node.iova)
		atomic_set(&area->all_dirty, LATCH_READING);
	if (last == area->node.last)
		atomic_cmpxchg(&area->all_dirty, LATCH_READING, LATCH_OPEN);
	return true;
}

/* Reports before it forgets, so that no write in between is lost */
static void log_read_written(struct log_query *log, struct iova_bitmap *bitmap,
			     unsigned long iova, unsigned long last)
{
	struct xarray *written = &log->iopt->log_written;
	unsigned long index;
	void *entry;

	xa_for_each_range(written, index, entry, iova >> PAGE_SHIFT,
			  last >> PAGE_SHIFT) {
		iova_bitmap_set(bitmap, index << PAGE_SHIFT, PAGE_SIZE);
		if (!(log->flags & IOMMU_DIRTY_NO_CLEAR))
			xa_erase(written, index);
	}
}

/* Returns whether all of the domains can tell */
static bool log_read_domains(struct log_query *log, struct iova_bitmap *bitmap,
			     unsigned long iova, unsigned long last)
{
	struct iopt_domain *idom;
	bool known = true;

	lockdep_assert_held_write(&log->iopt->domains_rwsem);

	list_for_each_entry(idom, &log->iopt->domains, item) {
		if (idom->dirty[IOPT_DIRTY_LOG].on)
			log_read_domain(log->iopt, idom, bitmap, iova, last,
					log->flags);
		else
			known = false;
	}
	return known;
}

static int log_read_areas(struct log_query *log, struct iova_bitmap *bitmap,
			  unsigned long iova, unsigned long last, bool known)
{
	struct iopt_area *area;
	int rc;

	lockdep_assert_held_write(&log->iopt->domains_rwsem);

	iopt_for_each_area(log->iopt, area, iova, last) {
		unsigned long area_iova = max(iova, area->node.iova);
		unsigned long area_last = min(last, area->node.last);

		if (!area_is_logged(area))
			continue;
		if (log_read_latch(log, area, area_iova, area_last) || !known)
			iova_bitmap_set(bitmap, area_iova,
					area_last - area_iova + 1);
		/* An unpin goes the other way round, so one of the two sees it */
		rc = iopt_area_report_pins(area, bitmap);
		if (rc)
			return rc;
		log_read_written(log, bitmap, area_iova, area_last);
		cond_resched();
	}
	return 0;
}

static int log_read_part(struct dirty_query *query, struct iova_bitmap *bitmap,
			 unsigned long iova, unsigned long last)
{
	struct log_query *log = container_of(query, struct log_query, query);
	bool known;
	int rc;

	ACQUIRE(rwsem_write_kill, lock)(&log->iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &lock);
	if (rc)
		return rc;
	if (!log->iopt->log_on)
		return -EINVAL;
	log->begun = true;
	/* Domains first, since what they fail to tell is latched */
	known = log_read_domains(log, bitmap, iova, last);
	rc = log_read_areas(log, bitmap, iova, last, known);
	if (rc)
		return rc;
	if (log->then && last == query->last)
		log->then(log->iopt, log->opaque);
	return 0;
}

static int log_check_range(struct io_pagetable *iopt, unsigned long iova,
			   unsigned long last)
{
	struct iova_node *node;

	guard(mutex)(&iopt->iova_mutex);
	if (!READ_ONCE(iopt->log_on))
		return -EINVAL;
	node = iova_space_first(&iopt->space, iova, iova);
	if (node && node->iova < iova)
		return -ENOENT;
	node = iova_space_first(&iopt->space, last, last);
	if (node && node->last > last)
		return -ENOENT;
	return 0;
}

static int log_read_nothing(struct dirty_query *query,
			    struct iova_bitmap *bitmap, unsigned long iova,
			    unsigned long last)
{
	return 0;
}

/**
 * iopt_log_check() - is iopt_log_read() or iopt_log_report() going to succeed
 * @iopt: the space
 * @iova: first byte, page aligned
 * @length: bytes, page aligned, more than 0, without overflow
 * @data: bitmap of user space with a bit for each page, of which none gets set
 *
 * Nobody is kept from changing that afterwards.
 *
 * Return: 0 or an errno of iopt_log_read().
 */
int iopt_log_check(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long length, u64 __user *data)
{
	struct dirty_query query = {
		.iova = iova,
		.last = iova + (length - 1),
		.page_size = PAGE_SIZE,
		.data = data,
		.read = log_read_nothing,
	};

	return log_check_range(iopt, iova, query.last) ?:
	       dirty_query_run(&query);
}

static void log_query_init(struct log_query *log, struct io_pagetable *iopt,
			   unsigned long iova, unsigned long length,
			   u64 __user *data)
{
	*log = (struct log_query){
		.query = {
			.iova = iova,
			.last = iova + (length - 1),
			.page_size = PAGE_SIZE,
			.data = data,
			.read = log_read_part,
		},
		.iopt = iopt,
	};
}

/**
 * iopt_log_read() - tell user space what is dirty, which then counts as clean
 * @iopt: the space
 * @iova: first byte, page aligned
 * @length: bytes, page aligned, more than 0, without overflow
 * @data: bitmap of user space with a bit for each page, gets bits set
 *
 * Mappings stand still while a part of the bitmap is filled, mostly all of it.
 *
 * Return: 0, -EINVAL when the log does not run, -ENOENT when a mapping is not
 * wholly inside or outside, -EFAULT when the bitmap cannot be written, -EINTR,
 * -ENOMEM. Nothing is lost then.
 */
int iopt_log_read(struct io_pagetable *iopt, unsigned long iova,
		  unsigned long length, u64 __user *data)
{
	struct log_query log;
	int rc;

	log_query_init(&log, iopt, iova, length, data);
	rc = log_check_range(iopt, iova, log.query.last);
	if (rc)
		return rc;
	rc = dirty_query_run(&log.query);
	/* What was read is forgotten, and the caller will not look at it */
	if (rc && log.begun) {
		guard(mutex)(&iopt->iova_mutex);
		if (READ_ONCE(iopt->log_on))
			log_latch(iopt, iova, log.query.last);
	}
	return rc;
}

/**
 * iopt_log_report() - tell user space what is dirty where mappings go
 * @iopt: the space
 * @iova: first byte, page aligned
 * @length: bytes, page aligned, more than 0, without overflow
 * @data: bitmap of user space with a bit for each page, gets bits set
 * @then: removes the mappings; called with io_pagetable.domains_rwsem held for
 *	writing. Not called when this fails.
 * @opaque: passed to @then
 *
 * Everything stays as dirty as it is. Nobody else reads the log between the last
 * part of the report and @then, and nearly all bitmaps have only one part. With
 * more of them the lock is dropped in between, or memory would be faulted with
 * it held. That loses nothing but what a device writes while the call runs, and
 * devices, which no lock stops, may do so between report and removal anyway.
 *
 * Return: 0 or an errno as iopt_log_read(), but for -ENOENT: the caller has the
 * mappings stay.
 */
int iopt_log_report(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, u64 __user *data,
		    iopt_log_then_t then, void *opaque)
{
	struct log_query log;

	log_query_init(&log, iopt, iova, length, data);
	/* A call that fails loses nothing of the log then */
	log.flags = IOMMU_DIRTY_NO_CLEAR;
	log.then = then;
	log.opaque = opaque;
	return dirty_query_run(&log.query);
}
