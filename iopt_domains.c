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
#include "refusal.h"

static int iopt_reserve_outside(struct io_pagetable *iopt,
				struct iopt_domain *idom, unsigned long start,
				unsigned long last)
{
	int rc = iova_space_reserve(&iopt->space, start, last, idom);

	if (rc == -EADDRINUSE)
		iommufd_refuse_iova(rc, REFUSED_APERTURE_IN_USE, start, last);
	return rc;
}

static int iopt_reserve_aperture(struct io_pagetable *iopt,
				 struct iopt_domain *idom)
{
	const struct iommu_domain_geometry *geometry = &idom->domain->geometry;
	int rc;

	if (geometry->aperture_start) {
		rc = iopt_reserve_outside(iopt, idom, 0,
					  geometry->aperture_start - 1);
		if (rc)
			return rc;
	}
	if (geometry->aperture_end < ULONG_MAX)
		return iopt_reserve_outside(iopt, idom,
					    geometry->aperture_end + 1,
					    ULONG_MAX);
	return 0;
}

/*
 * The next one of the areas on a list, or of all of the space. What all of these
 * functions do is decided when they are compiled.
 */
static __always_inline struct iopt_area *
iopt_next_area(struct io_pagetable *iopt, struct list_head *areas,
	       const bool all, struct iopt_area *area)
{
	struct list_head *next;

	if (all)
		return to_area(area ? iova_space_next(&area->node, ULONG_MAX) :
				      iova_space_first(&iopt->space, 0,
						       ULONG_MAX));
	next = area ? area->item.next : areas->next;
	return next == areas ? NULL : list_entry(next, struct iopt_area, item);
}

#define iopt_for_each_of(iopt, areas, all, area)                             \
	for (area = iopt_next_area(iopt, areas, all, NULL); area;            \
	     area = iopt_next_area(iopt, areas, all, area))

/* Take areas out of a domain, those before @end, and flush */
static __always_inline void
iopt_unfill_domain(struct io_pagetable *iopt, struct iopt_domain *idom,
		   struct list_head *areas, const bool all,
		   struct iopt_area *end)
{
	struct iommu_iotlb_gather gather __uninitialized;
	struct iopt_area *area;

	iommu_iotlb_gather_init(&gather);
	iopt_for_each_of(iopt, areas, all, area) {
		if (area == end)
			break;
		iopt_area_unmap(area, idom->domain, &gather);
		cond_resched();
	}
	iommu_iotlb_sync(idom->domain, &gather);
}

static __always_inline int
iopt_fill_domain(struct io_pagetable *iopt, struct iopt_domain *idom,
		 struct list_head *areas, const bool all)
{
	struct iopt_area *area;
	int rc;

	iopt_for_each_of(iopt, areas, all, area) {
		rc = iopt_area_map(area, idom->domain);
		if (rc) {
			iopt_unfill_domain(iopt, idom, areas, all, area);
			return rc;
		}
	}
	return 0;
}

static __always_inline void iopt_unpin_areas(struct io_pagetable *iopt,
					     struct list_head *areas,
					     const bool all)
{
	struct iopt_area *area;

	iopt_for_each_of(iopt, areas, all, area)
		iopt_area_unpin(area);
}

/**
 * iopt_fill() - mirror new areas in all domains
 * @iopt: the space
 * @areas: struct iopt_area.item
 *
 * Context: io_pagetable.domains_rwsem held.
 *
 * Return: 0, or an errno of iopt_area_map() with the areas in no domain and
 * nothing pinned for them.
 */
int iopt_fill(struct io_pagetable *iopt, struct list_head *areas)
{
	struct iopt_domain *idom;
	int rc;

	list_for_each_entry(idom, &iopt->domains, item) {
		rc = iopt_fill_domain(iopt, idom, areas, false);
		if (rc)
			goto err_unfill;
	}
	return 0;

err_unfill:
	list_for_each_entry_continue_reverse(idom, &iopt->domains, item)
		iopt_unfill_domain(iopt, idom, areas, false, NULL);
	iopt_unpin_areas(iopt, areas, false);
	return rc;
}

/**
 * iopt_unfill() - take areas out of all domains, flush, and only then unpin
 * @iopt: the space
 * @areas: struct iopt_area.item; none of them is used by an access
 *
 * Context: io_pagetable.domains_rwsem held.
 */
void iopt_unfill(struct io_pagetable *iopt, struct list_head *areas)
{
	struct iopt_domain *idom;

	list_for_each_entry(idom, &iopt->domains, item)
		iopt_unfill_domain(iopt, idom, areas, false, NULL);
	iopt_unpin_areas(iopt, areas, false);
}

/**
 * iopt_add_domain() - have a domain mirror the space
 * @iopt: the space
 * @idom: the link, with @idom->domain empty
 *
 * The set of areas stands still meanwhile, but lookups go on.
 *
 * Return: an errno with the domain empty again: -EINVAL when its pages are
 * larger than the kernel's, -EBUSY while an area has no valid address to pin it
 * by, -EADDRINUSE when areas do not fit its aperture or page size, -EINTR when
 * the caller is killed, and errors of pinning and mapping.
 */
int iopt_add_domain(struct io_pagetable *iopt, struct iopt_domain *idom)
{
	unsigned long alignment = iopt_domain_alignment(idom);
	int rc;

	if (WARN_ON_ONCE(!idom->domain->pgsize_bitmap) || alignment > PAGE_SIZE)
		return iommufd_refuse(-EINVAL, REFUSED_PAGE_SIZE, NULL);

	ACQUIRE(rwsem_write_kill, domains)(&iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &domains);
	if (rc)
		return rc;
	scoped_guard(mutex, &iopt->iova_mutex) {
		if (iopt->invalid_vaddrs)
			return -EBUSY;
		rc = iopt_check_alignment(iopt, alignment);
		if (!rc)
			rc = iopt_reserve_aperture(iopt, idom);
		if (rc) {
			iova_space_unreserve(&iopt->space, idom);
			return rc;
		}
		WRITE_ONCE(iopt->iova_alignment,
			   max(iopt->iova_alignment, alignment));
	}

	iopt_log_add_domain(iopt, idom);
	rc = iopt_fill_domain(iopt, idom, NULL, true);
	if (!rc) {
		list_add_tail(&idom->item, &iopt->domains);
		WRITE_ONCE(iopt->nr_domains, iopt->nr_domains + 1);
		return 0;
	}

	/* The other domains still need the pages */
	if (list_empty(&iopt->domains))
		iopt_unpin_areas(iopt, NULL, true);
	guard(mutex)(&iopt->iova_mutex);
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
	WRITE_ONCE(iopt->nr_domains, iopt->nr_domains - 1);
	iopt_unfill_domain(iopt, idom, NULL, true, NULL);
	if (list_empty(&iopt->domains))
		iopt_unpin_areas(iopt, NULL, true);

	guard(mutex)(&iopt->iova_mutex);
	iova_space_unreserve(&iopt->space, idom);
	iopt_update_alignment(iopt);
}
