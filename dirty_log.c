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
#include "dirty_log.h"
#include "io_pagetable.h"

/* Most pages of one area that VFIO's interface can deal with */
#define LOG_AREA_PAGES_MAX	((unsigned long)INT_MAX)

/* A dma-buf is no memory; and nobody writes to what is only readable */
static bool area_is_logged(const struct iopt_area *area)
{
	return area->pages->kind != PAGES_DMABUF && (area->prot & IOMMU_WRITE);
}

static void log_latch(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last)
{
	struct iopt_area *area;

	iopt_for_each_area(iopt, area, iova, last)
		atomic_set(&area->all_dirty, 1);
}

/*
 * Only the areas that begin in the interval are read, and each as a whole: an
 * IOPTE that begins before what is read would be cleared without a report.
 */
static void log_read_domain(struct io_pagetable *iopt,
			    struct iommu_domain *domain,
			    struct iova_bitmap *bitmap, unsigned long iova,
			    unsigned long last, unsigned long flags)
{
	const struct iommu_dirty_ops *ops = domain->dirty_ops;
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	struct iopt_area *area;
	int rc;

	iommu_dirty_bitmap_init(&dirty, bitmap, &gather);
	iopt_for_each_area(iopt, area, iova, last) {
		if (area->node.iova < iova || !area_is_logged(area))
			continue;
		rc = ops->read_and_clear_dirty(domain, area->node.iova,
					       area_length(area), flags,
					       &dirty);
		if (rc)
			atomic_set(&area->all_dirty, 1);
		cond_resched();
	}
	if (!(flags & IOMMU_DIRTY_NO_CLEAR))
		iommu_iotlb_sync(domain, &gather);
}

static void log_track_domain(struct iopt_domain *idom)
{
	const struct iommu_dirty_ops *ops = idom->domain->dirty_ops;

	idom->logged = ops && !ops->set_dirty_tracking(idom->domain, true);
}

static void log_untrack_domain(struct iopt_domain *idom)
{
	const struct iommu_dirty_ops *ops = idom->domain->dirty_ops;

	if (idom->logged && !idom->tracked)
		ops->set_dirty_tracking(idom->domain, false);
	idom->logged = false;
}

/**
 * iopt_log_start() - start the log
 * @iopt: the space
 *
 * Everything is clean then. Nothing happens when it runs already.
 *
 * Returns -EINVAL when an area is too large.
 */
int iopt_log_start(struct io_pagetable *iopt)
{
	struct iopt_domain *idom;
	struct iopt_area *area;

	guard(rwsem_write)(&iopt->domains_rwsem);
	if (iopt->log_on)
		return 0;
	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		if ((area_length(area) - 1) >> PAGE_SHIFT >= LOG_AREA_PAGES_MAX)
			return -EINVAL;
	}

	/* From here on accesses report what they write to */
	WRITE_ONCE(iopt->log_on, true);
	list_for_each_entry(idom, &iopt->domains, item) {
		/* Without a bitmap it only clears */
		if (idom->domain->dirty_ops)
			log_read_domain(iopt, idom->domain, NULL, 0, ULONG_MAX,
					0);
		log_track_domain(idom);
	}
	return 0;
}

/**
 * iopt_log_stop() - stop the log
 * @iopt: the space
 *
 * What it has collected is dropped. Nothing happens when it does not run.
 */
void iopt_log_stop(struct io_pagetable *iopt)
{
	struct iopt_domain *idom;
	struct iopt_area *area;

	guard(rwsem_write)(&iopt->domains_rwsem);
	if (!iopt->log_on)
		return;
	list_for_each_entry(idom, &iopt->domains, item)
		log_untrack_domain(idom);

	/* The lock keeps accesses from reporting after that */
	scoped_guard(rwsem_write, &iopt->iova_rwsem)
		WRITE_ONCE(iopt->log_on, false);
	iopt_for_each_area(iopt, area, 0, ULONG_MAX)
		atomic_set(&area->all_dirty, 0);
	xa_destroy(&iopt->log_written);
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
 * iopt_log_forget() - a domain stops to mirror the space, or is cleaned
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
 * area_log_write() - the CPU may have written to a part of an area
 * @area: the area, kept in place by the caller
 * @iova: first byte
 * @last: last byte
 */
void area_log_write(struct iopt_area *area, unsigned long iova,
		    unsigned long last)
{
	struct io_pagetable *iopt = area->iopt;
	unsigned long index;

	if (!READ_ONCE(iopt->log_on))
		return;
	guard(rwsem_read)(&iopt->iova_rwsem);
	if (!iopt->log_on)
		return;
	for (index = iova >> PAGE_SHIFT; index <= last >> PAGE_SHIFT; index++) {
		if (xa_is_err(xa_store(&iopt->log_written, index,
				       xa_mk_value(0), GFP_KERNEL_ACCOUNT))) {
			atomic_set(&area->all_dirty, 1);
			return;
		}
	}
}

/**
 * struct log_read - a query under way
 * @iopt: the space
 * @flags: IOMMU_DIRTY_NO_CLEAR
 */
struct log_read {
	struct io_pagetable *iopt;
	unsigned long flags;
};

static bool log_area_all_dirty(struct log_read *read, struct iopt_area *area)
{
	if (read->flags & IOMMU_DIRTY_NO_CLEAR)
		return atomic_read(&area->all_dirty);
	return atomic_xchg(&area->all_dirty, 0);
}

/* Report first, then forget: what is written meanwhile is reported by either */
static void log_read_written(struct log_read *read, struct iova_bitmap *bitmap,
			     struct iopt_area *area)
{
	struct xarray *written = &read->iopt->log_written;
	unsigned long index;
	void *entry;

	xa_for_each_range(written, index, entry, area->node.iova >> PAGE_SHIFT,
			  area->node.last >> PAGE_SHIFT) {
		iova_bitmap_set(bitmap, index << PAGE_SHIFT, PAGE_SIZE);
		if (!(read->flags & IOMMU_DIRTY_NO_CLEAR))
			xa_erase(written, index);
	}
}

static int log_read_range(struct iova_bitmap *bitmap, unsigned long iova,
			  size_t length, void *opaque)
{
	unsigned long last = iova + (length - 1);
	struct log_read *read = opaque;
	struct io_pagetable *iopt = read->iopt;
	struct iopt_domain *idom;
	struct iopt_area *area;
	bool all = false;

	list_for_each_entry(idom, &iopt->domains, item) {
		if (idom->logged)
			log_read_domain(iopt, idom->domain, bitmap, iova, last,
					read->flags);
		else
			all = true;
	}
	iopt_for_each_area(iopt, area, iova, last) {
		if (area->node.iova < iova || !area_is_logged(area))
			continue;
		if (log_area_all_dirty(read, area) || all)
			iova_bitmap_set(bitmap, area->node.iova,
					area_length(area));
		/* In this order: an unpin does it in the other */
		area_report_pins(area, bitmap);
		log_read_written(read, bitmap, area);
		cond_resched();
	}
	return 0;
}

static int log_check_range(struct io_pagetable *iopt, unsigned long iova,
			   unsigned long last)
{
	struct iova_node *node;

	if (!iopt->log_on)
		return -EINVAL;
	node = iova_space_first(&iopt->space, iova, iova);
	if (node && node->iova < iova)
		return -ENOENT;
	node = iova_space_first(&iopt->space, last, last);
	if (node && node->last > last)
		return -ENOENT;
	return 0;
}

static int log_read(struct log_read *read, struct iova_bitmap *bitmap,
		    unsigned long iova, unsigned long last)
{
	struct io_pagetable *iopt = read->iopt;
	int rc;

	lockdep_assert_held_write(&iopt->domains_rwsem);
	rc = log_check_range(iopt, iova, last);
	if (rc)
		return rc;
	rc = iova_bitmap_for_each(bitmap, read, log_read_range);
	/* Part of it was forgotten, and may not have reached the user */
	if (rc && !(read->flags & IOMMU_DIRTY_NO_CLEAR))
		log_latch(iopt, iova, last);
	return rc;
}

/**
 * iopt_log_report() - tell user space what is dirty
 * @iopt: the space, with its domains_rwsem held for writing
 * @iova: first byte, page aligned
 * @length: bytes, page aligned, more than 0, without overflow
 * @flags: IOMMU_DIRTY_NO_CLEAR to only look
 * @data: bitmap of user space with a bit for each page, gets bits set
 *
 * Returns -EINVAL when the log does not run, -ENOENT when a mapping is not
 * wholly inside or outside, -EFAULT when the bitmap cannot be written, -ENOMEM.
 */
int iopt_log_report(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, unsigned long flags,
		    u64 __user *data)
{
	struct log_read read = {
		.iopt = iopt,
		.flags = flags,
	};
	struct iova_bitmap *bitmap;
	int rc;

	bitmap = iova_bitmap_alloc(iova, length, PAGE_SIZE, data);
	if (!bitmap)
		return -EOPNOTSUPP;
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	rc = log_read(&read, bitmap, iova, iova + (length - 1));
	iova_bitmap_free(bitmap);
	return rc;
}

/**
 * iopt_log_read() - the same, while mappings stand still
 * @iopt: as there
 * @iova: as there
 * @length: as there
 * @flags: as there
 * @data: as there
 *
 * Returns as there.
 */
int iopt_log_read(struct io_pagetable *iopt, unsigned long iova,
		  unsigned long length, unsigned long flags, u64 __user *data)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	return iopt_log_report(iopt, iova, length, flags, data);
}
