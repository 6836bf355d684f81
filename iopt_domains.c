// SPDX-License-Identifier: GPL-2.0-only
/*
 * The domains that mirror an IOVA space: one is filled with all that is mapped
 * when it is added, and emptied when it is removed.
 */
#include <linux/iommu.h>
#include <linux/sched/signal.h>

#include "area.h"
#include "dirty_log.h"
#include "iopt_domains.h"

static int iopt_reserve_aperture(struct io_pagetable *iopt,
				 struct iopt_domain *idom)
{
	const struct iommu_domain_geometry *geometry = &idom->domain->geometry;
	int rc;

	if (geometry->aperture_start) {
		rc = iova_space_reserve(&iopt->space, 0,
					geometry->aperture_start - 1, idom);
		if (rc)
			return rc;
	}
	if (geometry->aperture_end < ULONG_MAX)
		return iova_space_reserve(&iopt->space,
					  geometry->aperture_end + 1, ULONG_MAX,
					  idom);
	return 0;
}

static void iopt_unfill_domain(struct io_pagetable *iopt,
			       struct iopt_domain *idom, struct iopt_area *end)
{
	struct iommu_iotlb_gather gather;
	struct iopt_area *area;

	iommu_iotlb_gather_init(&gather);
	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		if (area == end)
			break;
		area_unmap_domain(area, idom->domain, &gather);
		cond_resched();
	}
	iommu_iotlb_sync(idom->domain, &gather);

	/* The other domains still need the pages */
	if (!list_empty(&iopt->domains))
		return;
	iopt_for_each_area(iopt, area, 0, ULONG_MAX)
		area_unpin(area);
}

static int iopt_fill_domain(struct io_pagetable *iopt, struct iopt_domain *idom)
{
	struct iopt_area *area;
	int rc;

	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		rc = fatal_signal_pending(current) ? -EINTR :
			     area_fill_domain(area, idom->domain);
		if (rc) {
			iopt_unfill_domain(iopt, idom, area);
			return rc;
		}
	}
	return 0;
}

/**
 * iopt_add_domain() - have a domain mirror the space
 * @iopt: the space
 * @idom: the link, with @idom->domain empty
 *
 * The set of areas stands still meanwhile, but lookups go on.
 *
 * Return: an errno with the domain empty again: -EINVAL when its pages are
 * larger than the kernel's, -EADDRINUSE when areas do not fit its aperture or
 * page size, -EINTR when the caller is killed, and errors of pinning and mapping.
 */
int iopt_add_domain(struct io_pagetable *iopt, struct iopt_domain *idom)
{
	unsigned long alignment = iopt_domain_alignment(idom);
	int rc;

	if (WARN_ON(!idom->domain->pgsize_bitmap) || alignment > PAGE_SIZE)
		return -EINVAL;

	ACQUIRE(rwsem_write_kill, domains)(&iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &domains);
	if (rc)
		return rc;
	scoped_guard(rwsem_write, &iopt->iova_rwsem) {
		rc = iopt_check_alignment(iopt, alignment);
		if (!rc)
			rc = iopt_reserve_aperture(iopt, idom);
		if (rc) {
			iova_space_unreserve(&iopt->space, idom);
			return rc;
		}
		iopt->iova_alignment = max(iopt->iova_alignment, alignment);
	}

	iopt_log_add_domain(iopt, idom);
	rc = iopt_fill_domain(iopt, idom);
	if (!rc) {
		list_add_tail(&idom->item, &iopt->domains);
		return 0;
	}

	guard(rwsem_write)(&iopt->iova_rwsem);
	iova_space_unreserve(&iopt->space, idom);
	iopt_update_alignment(iopt);
	return rc;
}

/**
 * iopt_remove_domain() - the reverse of iopt_add_domain()
 * @iopt: the space
 * @idom: the link; its domain is empty afterwards
 *
 * Cannot fail.
 */
void iopt_remove_domain(struct io_pagetable *iopt, struct iopt_domain *idom)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	iopt_log_forget(iopt);
	list_del(&idom->item);
	iopt_unfill_domain(iopt, idom, NULL);

	guard(rwsem_write)(&iopt->iova_rwsem);
	iova_space_unreserve(&iopt->space, idom);
	iopt_update_alignment(iopt);
}
