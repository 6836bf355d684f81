// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: which pages devices wrote to through one domain.
 */
#include <linux/iommu.h>
#include <linux/iova_bitmap.h>

#include "area.h"
#include "dirty_log.h"
#include "dmabuf.h"
#include "io_pagetable.h"

/**
 * struct dirty_read - a query under way
 * @iopt: the space
 * @domain: the domain asked
 * @flags: IOMMU_DIRTY_NO_CLEAR
 * @dirty: where the domain reports to
 */
struct dirty_read {
	struct io_pagetable *iopt;
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
	int rc;

	if (iova != area->node.iova &&
	    area_block_across(area, read->domain, iova, &first_across,
			      &last_across)) {
		last_across = min(last_across, last);
		rc = dirty_read_part(read, iova, last_across,
				     IOMMU_DIRTY_NO_CLEAR);
		if (rc || last_across == last)
			return rc;
		iova = last_across + 1;
	}
	if (last != area->node.last &&
	    area_block_across(area, read->domain, last + 1, &first_across,
			      &last_across)) {
		rc = dirty_read_part(read, first_across, last,
				     IOMMU_DIRTY_NO_CLEAR);
		if (rc || first_across == iova)
			return rc;
		last = first_across - 1;
	}
	return dirty_read_part(read, iova, last, 0);
}

/* A revoked dma-buf must not leave the page table while that is being read */
static int dirty_read_area(struct dirty_read *read, struct iopt_area *area,
			   unsigned long iova, unsigned long last)
{
	struct iopt_pages *pages = area->pages;
	int rc;

	if (pages->kind == PAGES_DMABUF)
		pages_dmabuf_lock(pages->dmabuf);
	rc = dirty_read_interval(read, area, iova, last);
	if (pages->kind == PAGES_DMABUF)
		pages_dmabuf_unlock(pages->dmabuf);
	return rc;
}

static int dirty_read_areas(struct dirty_read *read, unsigned long iova,
			    unsigned long last)
{
	struct iopt_area *area;
	int rc;

	/* What is not mapped is clean */
	iopt_for_each_area(read->iopt, area, iova, last) {
		rc = dirty_read_area(read, area, max(iova, area->node.iova),
				     min(last, area->node.last));
		if (rc)
			return rc;
		cond_resched();
	}
	return 0;
}

/*
 * Not locked any longer than a call of this: pinning the next part of the
 * bitmap may wait for whoever provides the user's memory.
 */
static int dirty_read_range(struct iova_bitmap *bitmap, unsigned long iova,
			    size_t length, void *opaque)
{
	struct dirty_read *read = opaque;
	struct iommu_iotlb_gather gather;
	int rc;

	iommu_dirty_bitmap_init(&read->dirty, bitmap, &gather);
	guard(rwsem_write)(&read->iopt->domains_rwsem);
	rc = dirty_read_areas(read, iova, iova + (length - 1));
	if (!(read->flags & IOMMU_DIRTY_NO_CLEAR))
		iommu_iotlb_sync(read->domain, &gather);
	return rc;
}

/**
 * iopt_read_and_clear_dirty() - tell user space what devices wrote to
 * @iopt: the space
 * @domain: a domain that mirrors it and has dirty_ops
 * @flags: IOMMU_DIRTY_NO_CLEAR to only look
 * @iova: first byte
 * @length: bytes
 * @page_size: bytes that one bit stands for, a power of two
 * @data: bitmap of user space, gets bits set
 *
 * Mappings stand still while a part of the bitmap is filled, mostly all of it.
 *
 * Returns -EFAULT when the bitmap cannot be written, -ENOMEM, and errors of the
 * driver.
 */
int iopt_read_and_clear_dirty(struct io_pagetable *iopt,
			      struct iommu_domain *domain, unsigned long flags,
			      unsigned long iova, unsigned long length,
			      unsigned long page_size, u64 __user *data)
{
	struct dirty_read read = {
		.iopt = iopt,
		.domain = domain,
		.flags = flags,
	};
	struct iova_bitmap *bitmap;
	int rc;

	bitmap = iova_bitmap_alloc(iova, length, page_size, data);
	if (!bitmap)
		return -EOPNOTSUPP;
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);

	rc = iova_bitmap_for_each(bitmap, &read, dirty_read_range);
	iova_bitmap_free(bitmap);
	return rc;
}

/**
 * iopt_set_dirty_tracking() - switch dirty tracking of a domain
 * @iopt: the space
 * @idom: a domain that mirrors it and has dirty_ops
 * @enable: on; everything counts as clean then, unless it was on already
 *
 * Returns errors of the driver.
 */
int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iopt_domain *idom, bool enable)
{
	struct dirty_read read = {
		.iopt = iopt,
		.domain = idom->domain,
	};
	struct iommu_iotlb_gather gather;
	int rc;

	guard(rwsem_write)(&iopt->domains_rwsem);
	if (idom->tracked == enable)
		return 0;
	if (enable) {
		/* Without a bitmap it only clears */
		iommu_dirty_bitmap_init(&read.dirty, NULL, &gather);
		rc = dirty_read_areas(&read, 0, ULONG_MAX);
		iommu_iotlb_sync(idom->domain, &gather);
		if (idom->logged)
			iopt_log_forget(iopt);
		if (rc)
			return rc;
	}
	/* The dirty log needs it, too */
	if (!idom->logged) {
		rc = idom->domain->dirty_ops->set_dirty_tracking(idom->domain,
								 enable);
		if (rc)
			return rc;
	}
	idom->tracked = enable;
	return 0;
}
