// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOVA space of an IOAS: alignment, options, queries. ctx.h lists its locks.
 *
 * Operations on the content of an area, such as pinning pages for an access,
 * hold no lock of the space. They mark the area busy, which keeps it where it
 * is: an unmap first makes the area refuse new ones, and then waits.
 */
#include <linux/iommu.h>
#include <linux/mm.h>

#include "area.h"
#include "io_pagetable.h"
#include "pages.h"
#include "pages_walk.h"
#include "refusal.h"

/**
 * iopt_init() - make an empty space
 * @iopt: the space, zeroed
 */
void iopt_init(struct io_pagetable *iopt)
{
	init_rwsem(&iopt->domains_rwsem);
	mutex_init(&iopt->iova_mutex);
	INIT_LIST_HEAD(&iopt->domains);
	iova_space_init(&iopt->space);
	iopt->iova_alignment = 1;
	iopt->large_pages = true;
	xa_init_flags(&iopt->accesses, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	xa_init_flags(&iopt->log_written, XA_FLAGS_ACCOUNT);
}

/*
 * Alignment
 */

/**
 * iopt_check_alignment() - can the alignment be raised
 * @iopt: the space
 * @alignment: bytes
 *
 * Return: -EADDRINUSE when an area contradicts it.
 */
int iopt_check_alignment(struct io_pagetable *iopt, unsigned long alignment)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->iova_mutex);

	if (alignment <= iopt->iova_alignment)
		return 0;
	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		if (!area_is_aligned(area, alignment))
			return iommufd_refuse_iova(-EADDRINUSE,
						   REFUSED_ALIGNMENT_IN_USE,
						   area->node.iova,
						   area->node.last);
	}
	return 0;
}

/**
 * iopt_update_alignment() - have the alignment follow a change of mirrors
 * @iopt: the space
 */
void iopt_update_alignment(struct io_pagetable *iopt)
{
	unsigned long alignment = iopt->can_cut ? PAGE_SIZE : 1;
	struct iopt_domain *idom;
	struct iopt_user *user;
	unsigned long index;

	lockdep_assert_held(&iopt->domains_rwsem);
	lockdep_assert_held(&iopt->iova_mutex);

	list_for_each_entry(idom, &iopt->domains, item)
		alignment = max(alignment, iopt_domain_alignment(idom));
	xa_for_each(&iopt->accesses, index, user) {
		/* There may be many, and nobody needs more than a page */
		if (alignment >= PAGE_SIZE)
			break;
		alignment = max(alignment, user->alignment);
	}
	WRITE_ONCE(iopt->iova_alignment, alignment);
}

/*
 * Reserved and allowed ranges, options
 */

/**
 * iopt_reserve() - keep an interval from being mapped
 * @iopt: the space
 * @start: first byte
 * @last: last byte
 * @owner: what iopt_unreserve() is called with
 *
 * Return: -EADDRINUSE when it is mapped or allowed, or -ENOMEM.
 */
int iopt_reserve(struct io_pagetable *iopt, unsigned long start,
		 unsigned long last, void *owner)
{
	guard(mutex)(&iopt->iova_mutex);
	return iova_space_reserve(&iopt->space, start, last, owner);
}

/**
 * iopt_unreserve() - drop the reservations of an owner
 * @iopt: the space
 * @owner: whose
 */
void iopt_unreserve(struct io_pagetable *iopt, void *owner)
{
	guard(mutex)(&iopt->iova_mutex);
	iova_space_unreserve(&iopt->space, owner);
}

/**
 * iopt_set_allowed() - replace the allowed ranges
 * @iopt: the space
 * @allowed: struct iova_allowed; gets the former ones on success
 *
 * Return: -EADDRINUSE when one meets a reserved range.
 */
int iopt_set_allowed(struct io_pagetable *iopt, struct rb_root_cached *allowed)
{
	guard(mutex)(&iopt->iova_mutex);
	return iova_space_set_allowed(&iopt->space, allowed);
}

/*
 * Settings of the pages that mappings are made of, for iopt_change_pages()
 */

/* From now on mappings are made of whole pages, and can be cut between them */
static int iopt_enable_cuts(struct io_pagetable *iopt)
{
	int rc;

	if (iopt->can_cut)
		return 0;
	if (!list_empty(&iopt->domains) &&
	    iova_space_first(&iopt->space, 0, ULONG_MAX))
		return -EINVAL;
	rc = iopt_check_alignment(iopt, PAGE_SIZE);
	if (rc)
		return rc;
	WRITE_ONCE(iopt->can_cut, true);
	iopt_update_alignment(iopt);
	return 0;
}

static int iopt_disable_large(struct io_pagetable *iopt)
{
	int rc = iopt_enable_cuts(iopt);

	if (!rc)
		WRITE_ONCE(iopt->large_pages, false);
	return rc;
}

static int iopt_enable_large(struct io_pagetable *iopt)
{
	WRITE_ONCE(iopt->can_cut, false);
	iopt_update_alignment(iopt);
	WRITE_ONCE(iopt->large_pages, true);
	return 0;
}

static int iopt_change_pages(struct io_pagetable *iopt,
			     int (*change)(struct io_pagetable *iopt))
{
	int rc;

	ACQUIRE(rwsem_write_kill, domains)(&iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &domains);
	if (rc)
		return rc;
	guard(mutex)(&iopt->iova_mutex);
	return change(iopt);
}

/**
 * iopt_set_huge_pages() - allow or forbid large IOPTEs
 * @iopt: the space
 * @enable: new setting; existing IOPTEs stay as they are
 *
 * Where they are forbidden mappings can be cut, and only there or after
 * iopt_allow_cuts().
 *
 * Return: 0, -EINVAL when they are to be forbidden where a domain already has
 * some, -EADDRINUSE when a mapping is not page aligned, -EINTR.
 */
int iopt_set_huge_pages(struct io_pagetable *iopt, bool enable)
{
	return iopt_change_pages(iopt, enable ? iopt_enable_large :
						iopt_disable_large);
}

/**
 * iopt_allow_cuts() - have mappings be cut, and large IOPTEs with them
 * @iopt: the space
 *
 * To user space it is as if large IOPTEs were forbidden, and whether they are
 * does not change.
 *
 * Return: an errno of iopt_set_huge_pages() that forbids them.
 */
int iopt_allow_cuts(struct io_pagetable *iopt)
{
	return iopt_change_pages(iopt, iopt_enable_cuts);
}

/**
 * iopt_forbid_cuts() - undo iopt_allow_cuts()
 * @iopt: the space
 *
 * What iopt_set_huge_pages() was told stays.
 */
void iopt_forbid_cuts(struct io_pagetable *iopt)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(mutex)(&iopt->iova_mutex);
	WRITE_ONCE(iopt->can_cut, !iopt->large_pages);
	iopt_update_alignment(iopt);
}

/*
 * Queries
 */

/**
 * iopt_is_coherent() - can no device be incoherent
 * @iopt: the space
 *
 * Return: 1 when every domain that mirrors the space overrides the no-snoop
 * attribute of devices, also when there is none; otherwise 0; -EINTR when the
 * caller is killed while the domains change.
 */
int iopt_is_coherent(struct io_pagetable *iopt)
{
	struct iopt_domain *idom;
	int ret = 1;

	if (down_read_killable(&iopt->domains_rwsem))
		return -EINTR;
	list_for_each_entry(idom, &iopt->domains, item) {
		if (!idom->coherent)
			ret = 0;
	}
	up_read(&iopt->domains_rwsem);
	return ret;
}

/**
 * iopt_page_sizes() - page sizes that every domain can map
 * @iopt: the space
 * @sizes: gets a bit for each; PAGE_SIZE and all above it when there is no domain
 *
 * A domain with pages smaller than the CPU's has to be used in units of CPU
 * pages all the same.
 *
 * Return: 0, or -EINTR when the caller is killed while the domains change.
 */
int iopt_page_sizes(struct io_pagetable *iopt, u64 *sizes)
{
	struct iopt_domain *idom;

	*sizes = PAGE_MASK;
	if (down_read_killable(&iopt->domains_rwsem))
		return -EINTR;
	list_for_each_entry(idom, &iopt->domains, item) {
		u64 domain = idom->domain->pgsize_bitmap;

		if (domain & ~PAGE_MASK)
			domain |= PAGE_SIZE;
		*sizes &= domain;
	}
	up_read(&iopt->domains_rwsem);
	return 0;
}

static bool iopt_has_noiommu(struct io_pagetable *iopt)
{
	struct iopt_domain *idom;

	lockdep_assert_held(&iopt->domains_rwsem);

	list_for_each_entry(idom, &iopt->domains, item) {
		if (idom->noiommu)
			return true;
	}
	return false;
}

/* Contiguous memory from an IOVA of an area on, at most length bytes */
static int area_noiommu_phys(struct iopt_area *area, unsigned long iova,
			     u64 *length, u64 *phys)
{
	struct iopt_pages *pages = area->pages;
	int rc;

	lockdep_assert_held(&area->iopt->domains_rwsem);

	*length = min(*length, area->node.last - iova + 1);
	iopt_pages_freeze(pages);
	if (iopt_pages_revoked(pages))
		rc = -EINVAL;
	else if (!iopt_has_noiommu(area->iopt))
		rc = -EOPNOTSUPP;
	else
		rc = iopt_pages_phys(pages, area_offset(area, iova), length,
				     phys);
	iopt_pages_thaw(pages);
	return rc;
}

/**
 * iopt_noiommu_get_pa() - tell physical addresses to drivers without an IOMMU
 * @iopt: the space
 * @iova: what to look up
 * @length: most bytes to tell about; then how many are contiguous
 * @phys: where they are
 *
 * Return: -ENOENT when it is not mapped, -EOPNOTSUPP when no software domain
 * keeps it pinned, -EINVAL for a dma-buf that was revoked, -EINTR when the
 * caller is killed while it waits.
 */
int iopt_noiommu_get_pa(struct io_pagetable *iopt, unsigned long iova,
			u64 *length, u64 *phys)
{
	struct iopt_area *area;
	int rc;

	/* No domain goes while this is held, and no area while it is busy */
	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		return rc;
	scoped_guard(mutex, &iopt->iova_mutex) {
		area = to_area(iova_space_first(&iopt->space, iova, iova));
		if (area && area_is_live(area))
			atomic_inc(&area->busy);
		else
			area = NULL;
	}
	if (area) {
		rc = area_noiommu_phys(area, iova, length, phys);
		area_end(area);
	} else {
		rc = -ENOENT;
	}
	up_read(&iopt->domains_rwsem);
	return rc;
}

/**
 * iopt_is_bisected() - is there a mapping only a part of which is in an interval
 * @iopt: the space
 * @iova: first byte
 * @last: last byte
 *
 * Return: whether there is one now.
 */
bool iopt_is_bisected(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last)
{
	struct iova_node *node;

	guard(mutex)(&iopt->iova_mutex);
	node = iova_space_first(&iopt->space, iova, iova);
	if (node && node->iova < iova)
		return true;
	node = iova_space_first(&iopt->space, last, last);
	return node && node->last > last;
}

/**
 * iopt_is_busy() - does a mapping in an interval refuse to be unmapped
 * @iopt: the space
 * @iova: first byte
 * @last: last byte
 *
 * Return: whether one does now, also one only a part of which is in there.
 */
bool iopt_is_busy(struct io_pagetable *iopt, unsigned long iova,
		  unsigned long last)
{
	struct iopt_area *area;

	guard(mutex)(&iopt->iova_mutex);
	iopt_for_each_area(iopt, area, iova, last) {
		if (!area_is_live(area) || atomic_read(&area->locks))
			return true;
	}
	return false;
}

/*
 * For people to look at: whatever somebody pins meanwhile, and however long that
 * takes, these do not wait for it.
 */

static unsigned long pinned_bytes(const atomic_long_t *npages)
{
	return (unsigned long)atomic_long_read(npages) << PAGE_SHIFT;
}

/**
 * iopt_count_pinned() - tell what all of a space's areas have pinned
 * @iopt: the space
 *
 * Return: pages, of which those that several of them have count several times.
 */
long iopt_count_pinned(struct io_pagetable *iopt)
{
	return atomic_long_read(&iopt->domain_pins) +
	       atomic_long_read(&iopt->access_pins);
}

/**
 * iopt_report() - tell what a space holds
 * @iopt: the space
 * @report: gets it
 */
void iopt_report(struct io_pagetable *iopt, struct iopt_report *report)
{
	*report = (struct iopt_report){
		.pinned = pinned_bytes(&iopt->domain_pins),
		.access_pinned = pinned_bytes(&iopt->access_pins),
		.domains = READ_ONCE(iopt->nr_domains),
		.log_on = READ_ONCE(iopt->log_on),
	};
	guard(mutex)(&iopt->iova_mutex);
	report->mapped = iopt->space.taken;
	report->areas = iopt->space.nr_nodes;
	report->large_pages = iopt->large_pages;
}

/**
 * iopt_report_payer() - tell who pays for what is pinned
 * @iopt: the space
 * @bill: gets how the owner of the mapping with the lowest IOVA stands; the
 *	caller puts @bill->pid
 *
 * Return: 0, -ENOENT when nothing is mapped, -EBUSY while somebody works on that
 * mapping.
 */
int iopt_report_payer(struct io_pagetable *iopt, struct pages_bill *bill)
{
	struct iopt_pages *pages;
	struct iopt_area *area;

	/* A reference would keep the backing in place, too, but others see it */
	guard(mutex)(&iopt->iova_mutex);
	area = to_area(iova_space_first(&iopt->space, 0, ULONG_MAX));
	if (!area)
		return -ENOENT;
	pages = area->pages;
	if (!mutex_trylock(&pages->mutex))
		return -EBUSY;
	pages_owner_bill(&pages->owner, bill);
	mutex_unlock(&pages->mutex);
	return 0;
}
