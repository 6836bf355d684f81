// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: which pages devices wrote to through one domain.
 */
#include <linux/iommu.h>
#include <linux/iova_bitmap.h>

#include "area.h"
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

static int dirty_read_areas(struct dirty_read *read, unsigned long iova,
			    unsigned long last)
{
	struct iopt_area *area;
	int rc;

	/* What is not mapped is clean */
	iopt_for_each_area(read->iopt, area, iova, last) {
		unsigned long start = max(iova, area->node.iova);
		unsigned long end = min(last, area->node.last);

		rc = read->domain->dirty_ops->read_and_clear_dirty(
			read->domain, start, end - start + 1, read->flags,
			&read->dirty);
		if (rc)
			return rc;
		cond_resched();
	}
	return 0;
}

static int dirty_read_range(struct iova_bitmap *bitmap, unsigned long iova,
			    size_t length, void *opaque)
{
	return dirty_read_areas(opaque, iova, iova + (length - 1));
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
 * Mappings stand still meanwhile.
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
	struct iommu_iotlb_gather gather;
	struct iova_bitmap *bitmap;
	int rc;

	bitmap = iova_bitmap_alloc(iova, length, page_size, data);
	if (!bitmap)
		return -EOPNOTSUPP;
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);

	iommu_dirty_bitmap_init(&read.dirty, bitmap, &gather);
	scoped_guard(rwsem_write, &iopt->domains_rwsem) {
		rc = iova_bitmap_for_each(bitmap, &read, dirty_read_range);
		if (!(flags & IOMMU_DIRTY_NO_CLEAR))
			iommu_iotlb_sync(domain, &gather);
	}
	iova_bitmap_free(bitmap);
	return rc;
}

/**
 * iopt_set_dirty_tracking() - switch dirty tracking of a domain
 * @iopt: the space
 * @domain: a domain that mirrors it and has dirty_ops
 * @enable: on; everything counts as clean then
 *
 * Returns errors of the driver.
 */
int iopt_set_dirty_tracking(struct io_pagetable *iopt,
			    struct iommu_domain *domain, bool enable)
{
	struct dirty_read read = {
		.iopt = iopt,
		.domain = domain,
	};
	struct iommu_iotlb_gather gather;
	int rc;

	guard(rwsem_write)(&iopt->domains_rwsem);
	if (enable) {
		/* Without a bitmap it only clears */
		iommu_dirty_bitmap_init(&read.dirty, NULL, &gather);
		rc = dirty_read_areas(&read, 0, ULONG_MAX);
		iommu_iotlb_sync(domain, &gather);
		if (rc)
			return rc;
	}
	return domain->dirty_ops->set_dirty_tracking(domain, enable);
}
