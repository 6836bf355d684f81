// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removing mappings from an IOVA space, or cutting them, which VFIO type 1 does
 * to remove a part.
 */
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>
#include <trace/events/iommufd.h>

#include "area.h"
#include "dirty.h"
#include "dirty_log.h"
#include "iopt_domains.h"
#include "iopt_unmap.h"
#include "iopt_user.h"

/* An unmap gives accesses this many chances to drop their pins */
#define UNMAP_MAX_ROUNDS 100

/*
 * An unmap mostly is one of a single small area, and they come by the million:
 * what each of them goes through is one function in the end.
 */

/*
 * Mark everything in an interval as leaving, or nothing of it. Also tells whether
 * somebody is at work there, so that iopt_unmap_drain() is needed.
 */
static __always_inline int
iopt_unmap_begin(struct io_pagetable *iopt, unsigned long iova,
		 unsigned long last, struct list_head *areas, bool *busy)
{
	struct iopt_area *area;
	int rc = 0;

	*busy = false;

	guard(mutex)(&iopt->iova_mutex);
	for (area = to_area(iova_space_first(&iopt->space, iova, last)); area;
	     area = to_area(iova_space_next(&area->node, last))) {
		if (!area_is_live(area) || atomic_read(&area->locks))
			rc = -EBUSY;
		else if (area->node.iova < iova || area->node.last > last)
			rc = -ENOENT;
		if (rc)
			break;
		area->state = AREA_LEAVING;
		list_add_tail(&area->item, areas);
		if (unlikely(!area_is_idle(area)))
			*busy = true;
		/* Usually the first area is the only one */
		if (area->node.last == last)
			break;
	}
	if (rc) {
		list_for_each_entry(area, areas, item)
			area->state = AREA_LIVE;
	}
	return rc;
}

static noinline int iopt_unmap_wait(struct io_pagetable *iopt,
				    struct iopt_area *area)
{
	unsigned int rounds = 0;
	int rc;

	do {
		if (wait_var_event_killable(&area->busy,
					    !atomic_read_acquire(&area->busy)))
			return -EINTR;
		if (!atomic_read(&area->pins))
			continue;
		if (WARN_ON_ONCE(rounds++ == UNMAP_MAX_ROUNDS))
			return -EDEADLOCK;
		rc = iopt_notify_unmap(iopt, area->node.iova,
				       area_length(area));
		if (rc)
			return rc;
		if (rounds > 1)
			usleep_range(10, 100);
	} while (!area_is_idle(area));
	return 0;
}

/*
 * Wait for those who work on the areas, and have accesses drop their pins.
 * Nothing starts any more, except to unpin.
 */
static noinline int iopt_unmap_drain(struct io_pagetable *iopt,
				     struct list_head *areas)
{
	struct iopt_area *area;
	int rc;

	list_for_each_entry(area, areas, item) {
		if (area_is_idle(area))
			continue;
		rc = iopt_unmap_wait(iopt, area);
		if (rc)
			return rc;
	}
	return 0;
}

/* Make areas that do not leave usable again */
static noinline void iopt_unmap_abort(struct io_pagetable *iopt,
				      struct list_head *areas)
{
	struct iopt_area *area;

	guard(mutex)(&iopt->iova_mutex);
	list_for_each_entry(area, areas, item)
		area->state = AREA_LIVE;
}

/* Of areas that are gone; nobody works on them */
static noinline void iopt_forget_vaddrs(struct io_pagetable *iopt,
					struct list_head *areas)
{
	struct iopt_area *area;

	list_for_each_entry(area, areas, item) {
		if (area->vaddr != AREA_VADDR_VALID)
			WRITE_ONCE(iopt->invalid_vaddrs,
				   iopt->invalid_vaddrs - 1);
	}
}

static __always_inline void iopt_unmap_remove(struct io_pagetable *iopt,
					      struct list_head *areas)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->domains_rwsem);

	iopt_unfill(iopt, areas);
	if (unlikely(iopt->log_on)) {
		list_for_each_entry(area, areas, item)
			iopt_log_drop(iopt, area);
	}
	mutex_lock(&iopt->iova_mutex);
	list_for_each_entry(area, areas, item)
		iova_space_erase(&iopt->space, &area->node);
	if (unlikely(iopt->invalid_vaddrs))
		iopt_forget_vaddrs(iopt, areas);
	mutex_unlock(&iopt->iova_mutex);
}

static unsigned long iopt_unmap_free(struct list_head *areas)
{
	unsigned long unmapped = 0;
	struct iopt_area *area, *next;

	list_for_each_entry_safe(area, next, areas, item) {
		unmapped += area_length(area);
		iopt_area_free(area);
	}
	return unmapped;
}

static __always_inline int
iopt_unmap_range(struct io_pagetable *iopt, unsigned long iova,
		 unsigned long last, unsigned long *unmapped)
{
	LIST_HEAD(areas);
	bool busy;
	int rc;

	*unmapped = 0;
	rc = iopt_unmap_begin(iopt, iova, last, &areas, &busy);
	if (rc || list_empty(&areas))
		return rc;

	if (unlikely(busy))
		rc = iopt_unmap_drain(iopt, &areas);
	if (!rc)
		rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		goto err_abort;
	iopt_unmap_remove(iopt, &areas);
	up_read(&iopt->domains_rwsem);
	*unmapped = iopt_unmap_free(&areas);
	return 0;

err_abort:
	iopt_unmap_abort(iopt, &areas);
	return rc;
}

/**
 * iopt_unmap() - remove the mappings in an interval
 * @iopt: the space
 * @iova: first byte
 * @length: bytes
 * @unmapped: bytes that were mapped there and are no more
 *
 * All or nothing. When this succeeds, no device and no access reaches the pages.
 *
 * Return: -ENOENT when there is nothing or a mapping is not wholly inside,
 * -EBUSY when one is under construction or locked, -EINVAL, -EOVERFLOW,
 * -EDEADLOCK when pins remain, or -EINTR when the caller is killed while it
 * waits.
 */
int iopt_unmap(struct io_pagetable *iopt, unsigned long iova,
	       unsigned long length, unsigned long *unmapped)
{
	unsigned long last;
	int rc;

	*unmapped = 0;
	if (!length)
		return -EINVAL;
	last = iova + (length - 1);
	if (last < iova)
		return -EOVERFLOW;
	rc = iopt_unmap_range(iopt, iova, last, unmapped);
	if (!rc && !*unmapped)
		rc = -ENOENT;
	trace_iommufd_unmap(iopt->context, iopt->id, iova, length, *unmapped,
			    rc);
	return rc;
}

static void iopt_unmap_reported(struct io_pagetable *iopt, void *areas)
{
	iopt_unmap_remove(iopt, areas);
}

/**
 * iopt_unmap_report() - iopt_unmap() that tells what is dirty
 * @iopt: the space
 * @iova: first byte, page aligned
 * @length: bytes, page aligned, more than 0, without overflow
 * @data: bitmap of user space as of iopt_log_report()
 * @unmapped: bytes that were mapped there and are no more
 *
 * All or nothing. Accesses are through with the mappings before the log is read.
 * They are not disturbed by a call that is bound to fail, but what goes wrong
 * later (somebody takes the bitmap away, or stops the log) finds their pins gone.
 *
 * Return: as of iopt_unmap() and iopt_log_read(), but 0 when there is nothing.
 */
int iopt_unmap_report(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, u64 __user *data,
		      unsigned long *unmapped)
{
	LIST_HEAD(areas);
	bool busy;
	int rc;

	*unmapped = 0;
	rc = iopt_log_check(iopt, iova, length, data);
	if (rc)
		return rc;
	rc = iopt_unmap_begin(iopt, iova, iova + (length - 1), &areas, &busy);
	if (rc)
		return rc;
	if (busy)
		rc = iopt_unmap_drain(iopt, &areas);
	if (!rc)
		rc = iopt_log_report(iopt, iova, length, data,
				     iopt_unmap_reported, &areas);
	if (rc)
		goto err_abort;
	*unmapped = iopt_unmap_free(&areas);
	goto out_trace;

err_abort:
	iopt_unmap_abort(iopt, &areas);
out_trace:
	trace_iommufd_unmap(iopt->context, iopt->id, iova, length, *unmapped,
			    rc);
	return rc;
}

/**
 * iopt_unmap_all() - remove all mappings
 * @iopt: the space
 * @unmapped: bytes that were mapped
 *
 * Return: an errno as iopt_unmap(), and 0 when there was nothing.
 */
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped)
{
	int rc = iopt_unmap_range(iopt, 0, ULONG_MAX, unmapped);

	trace_iommufd_unmap(iopt->context, iopt->id, 0, ULONG_MAX, *unmapped,
			    rc);
	return rc;
}

/**
 * iopt_unmap_container() - remove what a VFIO container mapped and left behind
 * @iopt: the space
 *
 * A mapping that comes or goes just now, or that refuses, is as if it came later.
 * Whoever is killed does not wait for others to be done with one.
 */
void iopt_unmap_container(struct io_pagetable *iopt)
{
	struct iopt_area *area, *next;
	unsigned long unmapped;
	LIST_HEAD(areas);
	LIST_HEAD(kept);

	scoped_guard(mutex, &iopt->iova_mutex) {
		iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
			if (!area->container || !area_is_live(area) ||
			    atomic_read(&area->locks))
				continue;
			area->state = AREA_LEAVING;
			list_add_tail(&area->item, &areas);
		}
	}
	list_for_each_entry_safe(area, next, &areas, item) {
		if (!area_is_idle(area) && iopt_unmap_wait(iopt, area))
			list_move_tail(&area->item, &kept);
	}
	iopt_unmap_abort(iopt, &kept);
	if (list_empty(&areas))
		return;
	down_read(&iopt->domains_rwsem);
	iopt_unmap_remove(iopt, &areas);
	up_read(&iopt->domains_rwsem);
	unmapped = iopt_unmap_free(&areas);
	trace_iommufd_unmap(iopt->context, iopt->id, 0, ULONG_MAX, unmapped, 0);
}

/**
 * iopt_destroy() - free what is left in a space nobody uses
 * @iopt: the space
 *
 * Nobody is left to be waited for, so that a dying process can do it.
 */
void iopt_destroy(struct io_pagetable *iopt)
{
	unsigned long unmapped;
	LIST_HEAD(areas);
	bool busy;

	WARN_ON_ONCE(!xa_empty(&iopt->accesses));
	if (!WARN_ON_ONCE(iopt_unmap_begin(iopt, 0, ULONG_MAX, &areas,
					   &busy))) {
		down_read(&iopt->domains_rwsem);
		iopt_unmap_remove(iopt, &areas);
		up_read(&iopt->domains_rwsem);
		unmapped = iopt_unmap_free(&areas);
		if (unmapped)
			trace_iommufd_unmap(iopt->context, iopt->id, 0,
					    ULONG_MAX, unmapped, 0);
	}
	WARN_ON_ONCE(!list_empty(&iopt->domains));
	/* Reservations of the self test have no owner */
	iova_space_unreserve(&iopt->space, NULL);
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&iopt->space.reserved.rb_root));
	iova_allowed_free(&iopt->space.allowed);
	mutex_destroy(&iopt->iova_mutex);
	xa_destroy(&iopt->accesses);
	xa_destroy(&iopt->log_written);
}

/*
 * Cutting, for VFIO type 1
 */

/* Most places that one call cuts at */
#define IOPT_CUTS_MAX 2

/**
 * struct iopt_cut - a cut under way
 * @iova: where a mapping begins afterwards
 * @area: the area to cut, which is kept busy and so stays; NULL when there is
 *	nothing to do
 * @right: new area for what is right of @iova
 * @split: the backing is ready for both areas
 */
struct iopt_cut {
	unsigned long iova;
	struct iopt_area *area;
	struct iopt_area *right;
	bool split;
};

/* The area that an address is inside of, and not the first byte of, or NULL */
static struct iopt_area *iopt_cut_find(struct io_pagetable *iopt,
				       unsigned long iova)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->iova_mutex);

	area = to_area(iova_space_first(&iopt->space, iova, iova));
	return area && area->node.iova != iova ? area : NULL;
}

/* @holds: how many cuts keep the area busy */
static int iopt_cut_check(struct io_pagetable *iopt, struct iopt_area *area,
			  unsigned long iova, int holds)
{
	if (!area_is_live(area) || atomic_read(&area->locks) ||
	    area->vaddr != AREA_VADDR_VALID)
		return -EBUSY;
	if (!iopt_pages_is_memory(area->pages) || !iopt->can_cut)
		return -EOPNOTSUPP;
	if ((iova | area_offset(area, iova)) & (iopt->iova_alignment - 1))
		return -EINVAL;
	/* Somebody who works on the area may be about to unpin it */
	if (atomic_read_acquire(&area->pins))
		return atomic_read(&area->busy) != holds ? -EAGAIN : -EINVAL;
	return atomic_read_acquire(&area->busy) != holds ? -EAGAIN : 0;
}

static int iopt_cut_holds(const struct iopt_cut *cuts, unsigned int num,
			  const struct iopt_area *area)
{
	unsigned int i;
	int holds = 0;

	for (i = 0; i != num; i++)
		holds += cuts[i].area == area;
	return holds;
}

/* Find the areas, and keep them from going */
static int iopt_cut_begin(struct io_pagetable *iopt, struct iopt_cut *cuts,
			  unsigned int num)
{
	struct iopt_area *area;
	unsigned int i;
	int rc;

	guard(mutex)(&iopt->iova_mutex);
	for (i = 0; i != num; i++) {
		area = iopt_cut_find(iopt, cuts[i].iova);
		if (!area)
			continue;
		rc = iopt_cut_check(iopt, area, cuts[i].iova,
				    iopt_cut_holds(cuts, i, area));
		if (rc)
			return rc;
		atomic_inc(&area->busy);
		cuts[i].area = area;
	}
	return 0;
}

/*
 * Get all that may fail. The areas on both sides are to release what they have
 * acquired by themselves. The mutex may be held for as long as somebody pins
 * other parts of the backing.
 */
static int iopt_cut_prepare(struct io_pagetable *iopt, struct iopt_cut *cut)
{
	struct iopt_area *area = cut->area;
	int rc;

	cut->right = iopt_area_alloc(iopt, area->pages,
				     area_offset(area, cut->iova), area->prot);
	if (!cut->right)
		return -ENOMEM;
	/* Without a domain no area has acquired anything, and that stays so */
	if (list_empty(&iopt->domains))
		return 0;

	ACQUIRE(mutex_kill, lock)(&area->pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (!rc)
		rc = iopt_pages_split(area->pages, area_index(area, cut->iova));
	if (!rc)
		cut->split = true;
	return rc;
}

static void iopt_cut_area(struct iopt_area *area, struct iopt_area *right,
			  unsigned long iova)
{
	struct iova_space *space = &area->iopt->space;

	iova_space_erase(space, &area->node);
	right->state = area->state;
	right->pinned = area->pinned;
	right->large = area->large;
	right->container = area->container;
	atomic_set(&right->all_dirty, atomic_read(&area->all_dirty));
	right->node.iova = iova;
	right->node.last = area->node.last;
	area->node.last = iova - 1;
	iova_space_insert(space, &area->node);
	iova_space_insert(space, &right->node);
}

static int iopt_cut_check_all(struct io_pagetable *iopt,
			      struct iopt_cut *cuts, unsigned int num)
{
	unsigned int i;
	int rc;

	for (i = 0; i != num; i++) {
		if (!cuts[i].area)
			continue;
		rc = iopt_cut_check(iopt, cuts[i].area, cuts[i].iova,
				    iopt_cut_holds(cuts, num, cuts[i].area));
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Have what domains map begin anew where areas are going to. Not if it is clear by
 * now that they are not, as devices may notice.
 */
static int iopt_cut_domains(struct io_pagetable *iopt, struct iopt_cut *cuts,
			    unsigned int num)
{
	unsigned long first, last, from = 0;
	struct iopt_domain *idom;
	unsigned int i;
	int rc;

	scoped_guard(mutex, &iopt->iova_mutex)
		rc = iopt_cut_check_all(iopt, cuts, num);
	for (i = 0; !rc && i != num; from = cuts[i++].iova) {
		if (!cuts[i].area)
			continue;
		from = max(from, cuts[i].area->node.iova);
		list_for_each_entry(idom, &iopt->domains, item) {
			rc = iopt_area_split_at(cuts[i].area, idom->domain,
						from, cuts[i].iova, &first,
						&last);
			if (rc < 0)
				return rc;
			if (rc)
				dirty_lose(iopt, idom, first, last);
		}
		rc = 0;
	}
	return rc;
}

/* Make all cuts, or none */
static int iopt_cut_commit(struct io_pagetable *iopt, struct iopt_cut *cuts,
			   unsigned int num)
{
	unsigned int i;
	int rc;

	guard(mutex)(&iopt->iova_mutex);
	rc = iopt_cut_check_all(iopt, cuts, num);
	if (rc)
		return rc;
	for (i = 0; i != num; i++) {
		if (!cuts[i].area)
			continue;
		/* The area may be the right part of another cut */
		iopt_cut_area(iopt_cut_find(iopt, cuts[i].iova), cuts[i].right,
			      cuts[i].iova);
		cuts[i].right = NULL;
	}
	return 0;
}

/* End a cut, whether it was made or not */
static void iopt_cut_end(struct iopt_cut *cut)
{
	struct iopt_pages *pages;

	if (!cut->area)
		return;
	if (cut->right) {
		pages = cut->area->pages;
		/*
		 * Nobody who is killed waits for somebody else's pinning here.
		 * Then the backing merely stays prepared.
		 */
		if (cut->split && !mutex_lock_killable(&pages->mutex)) {
			iopt_pages_unsplit(pages, area_index(cut->area, cut->iova));
			mutex_unlock(&pages->mutex);
		}
		iopt_area_free(cut->right);
	}
	area_end(cut->area);
}

static int iopt_cut_areas(struct io_pagetable *iopt,
			  const unsigned long *iovas, unsigned int num)
{
	struct iopt_cut cuts[IOPT_CUTS_MAX] = {};
	unsigned int i;
	int rc;

	for (i = 0; i != num; i++)
		cuts[i].iova = iovas[i];
	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		return rc;
	rc = iopt_cut_begin(iopt, cuts, num);
	for (i = 0; !rc && i != num; i++)
		if (cuts[i].area)
			rc = iopt_cut_prepare(iopt, &cuts[i]);
	if (!rc)
		rc = iopt_cut_domains(iopt, cuts, num);
	if (!rc)
		rc = iopt_cut_commit(iopt, cuts, num);
	for (i = 0; i != num; i++)
		iopt_cut_end(&cuts[i]);
	up_read(&iopt->domains_rwsem);
	return rc;
}

/**
 * iopt_cut() - make mappings begin at given addresses
 * @iopt: a space that has iopt_allow_cuts(), or huge pages disabled
 * @iovas: where to cut, in ascending order; where nothing is mapped, or a
 *	mapping begins already, there is nothing to do
 * @num_iovas: entries in @iovas, one or two
 *
 * Changes no pins, no charges, and not what domains map. Where a domain has an
 * IOPTE on both sides of a cut, what that maps is gone from it for a moment, see
 * iopt_area_split_at(). Such an IOPTE may stay split when this fails.
 *
 * Return: 0, or an errno with nothing cut: -EBUSY for a mapping that comes or goes
 * or has no valid address, -EOPNOTSUPP for a dma-buf or a space without cuts,
 * -EINVAL where alignment or pins of an access forbid it, -ENOMEM, -EINTR when
 * the caller is killed while somebody works on the mapping.
 */
int iopt_cut(struct io_pagetable *iopt, const unsigned long *iovas,
	     unsigned int num_iovas)
{
	int rc;

	if (WARN_ON_ONCE(num_iovas > IOPT_CUTS_MAX))
		return -EINVAL;
	/* An access, which may need the locks, is done with an area soon */
	while ((rc = iopt_cut_areas(iopt, iovas, num_iovas)) == -EAGAIN) {
		if (fatal_signal_pending(current))
			return -EINTR;
		usleep_range(10, 100);
	}
	return rc;
}
