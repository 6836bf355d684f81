// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving mappings to another address, and another process: a program replaces
 * itself by exec, and devices go on with DMA meanwhile.
 *
 * While the address of a mapping is invalid nobody may come who could need it: no
 * domain is added, no kernel user, no copy, and nothing is cut. So what is pinned
 * stays as it is, or goes, but nothing more is pinned.
 *
 * What devices reach is what is pinned, before and after. The new address counts
 * the next time that something is pinned, which is when a domain is added after
 * the last one was removed; then with the rights that the new process has there.
 * So who lies about what is at the new address gets at nothing that is not his,
 * and at nothing that is pinned no more.
 *
 * Memory of a device is another matter. It is mapped for as long as a process has
 * it mapped. The old process takes it away when it goes, and the new address
 * brings it back.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "area.h"
#include "iopt_vaddr.h"
#include "pages.h"
#include "pfnmap.h"
#include "user_memory.h"

static int vaddr_check_invalidate(struct iopt_area *area, unsigned long iova,
				  unsigned long last)
{
	const struct iopt_pages *pages = area->pages;

	if (!area_is_live(area))
		return -EBUSY;
	if (area->node.iova < iova || area->node.last > last ||
	    area->vaddr != AREA_VADDR_VALID ||
	    !area_is_aligned(area, PAGE_SIZE))
		return -EINVAL;
	/* The others would move with it */
	if (refcount_read(&pages->ref) != 1)
		return -EBUSY;
	/* A source is exchanged as a whole */
	if (pages->ops->exchange &&
	    area_length(area) >> PAGE_SHIFT != pages->npages)
		return -EINVAL;
	return 0;
}

/**
 * iopt_invalidate_vaddr() - mappings are about to get another address
 * @iopt: the space
 * @iova: first byte
 * @last: last byte
 * @length: gets how many bytes are mapped there
 *
 * All or nothing. It ends with iopt_update_vaddr(), or when they are unmapped.
 *
 * Return: 0, also when there is nothing; -EBUSY when a kernel user of the space
 * might need addresses, a mapping comes or goes, or shares its backing with
 * another; -EINVAL when only a part of one is in there, or one is invalid already,
 * or is not made of whole pages; -EINTR when the caller is killed.
 */
int iopt_invalidate_vaddr(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, unsigned long *length)
{
	struct iopt_area *area;
	int rc;

	*length = 0;
	/* No domain is being filled, and no area under construction or cut */
	ACQUIRE(rwsem_write_kill, domains)(&iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &domains);
	if (rc)
		return rc;
	guard(mutex)(&iopt->iova_mutex);
	if (!xa_empty(&iopt->accesses))
		return -EBUSY;
	iopt_for_each_area(iopt, area, iova, last) {
		rc = vaddr_check_invalidate(area, iova, last);
		if (rc)
			return rc;
	}
	iopt_for_each_area(iopt, area, iova, last) {
		area->vaddr = AREA_VADDR_INVALID;
		WRITE_ONCE(iopt->invalid_vaddrs, iopt->invalid_vaddrs + 1);
		*length += area_length(area);
	}
	return 0;
}

/**
 * struct vaddr_change - an area on its way to another address
 * @item: on a list of all that are mapped in one go, in ascending order
 * @area: the area, which is kept busy and so stays
 * @fresh: a backing at the new address that nobody uses. What it has is exchanged
 *	for what the area has, and then it goes.
 * @npages: pages that are charged to the owner of @fresh: before the exchange to
 *	the new one, and afterwards to the old one
 */
struct vaddr_change {
	struct list_head item;
	struct iopt_area *area;
	struct iopt_pages *fresh;
	unsigned long npages;
};

/* The area that comes next has to begin at an IOVA */
static int vaddr_check_update(struct iopt_area *area, unsigned long iova,
			      unsigned long last, bool first)
{
	if (!area_is_live(area) || area->vaddr == AREA_VADDR_CHANGING)
		return -EBUSY;
	if (area->vaddr != AREA_VADDR_INVALID || area->node.iova != iova ||
	    area->node.last > last || (!first && !area->joined))
		return -EINVAL;
	return 0;
}

/* Find what is in an interval, and keep others from it. Undone by vaddr_end(). */
static int vaddr_begin(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long last, struct list_head *changes)
{
	struct vaddr_change *change;
	struct iopt_area *area;
	int rc;

	guard(mutex)(&iopt->iova_mutex);
	iopt_for_each_area(iopt, area, iova, last) {
		rc = vaddr_check_update(area, iova, last, list_empty(changes));
		if (rc)
			return rc;
		change = kzalloc_obj(*change, GFP_KERNEL_ACCOUNT);
		if (!change)
			return -ENOMEM;
		change->area = area;
		list_add_tail(&change->item, changes);
		area->vaddr = AREA_VADDR_CHANGING;
		atomic_inc(&area->busy);
		iova = area->node.last + 1;
	}
	if (list_empty(changes))
		return -ENOENT;
	return iova == last + 1 ? 0 : -EINVAL;
}

/* Without locks, as faults of a device's memory may take long */
static int vaddr_prepare(struct vaddr_change *change, unsigned long uaddr,
			 enum iommufd_account_mode mode)
{
	struct iopt_pages *pages = change->area->pages;
	unsigned long length = area_length(change->area);
	struct iopt_pages *fresh;
	int rc;

	fresh = kmalloc_obj(*fresh, GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	if (pages->ops->exchange)
		rc = iopt_pfnmap_init(fresh, uaddr, length, pages->writable);
	else
		rc = iopt_user_memory_init(fresh, mode, uaddr, length,
					   pages->writable);
	if (rc) {
		kfree(fresh);
		return rc;
	}
	change->fresh = fresh;
	/* Of another kind, or not as cacheable: not the same memory */
	if (pages->ops->exchange && fresh->ops != pages->ops)
		return -EFAULT;
	return 0;
}

/* Like type1, a process that paid already goes on as it began */
static int vaddr_charge(struct vaddr_change *change)
{
	struct iopt_pages *pages = change->area->pages;
	struct pages_owner *owner = &change->fresh->owner;
	unsigned long npages;
	int rc;

	if (!iopt_pages_is_memory(pages) || pages->owner.mm == owner->mm)
		return 0;
	ACQUIRE(mutex_kill, lock)(&pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	npages = iopt_pages_pinned(pages);
	rc = pages_owner_charge(owner, npages);
	if (!rc)
		change->npages = npages;
	return rc;
}

static void vaddr_commit(struct vaddr_change *change)
{
	struct iopt_pages *pages = change->area->pages;
	struct iopt_pages *fresh = change->fresh;

	if (pages->ops->exchange) {
		pages->ops->exchange(pages, fresh);
		return;
	}
	/* A dma-buf has no address, and nobody pays for it */
	if (!iopt_pages_is_memory(pages))
		return;
	guard(mutex)(&pages->mutex);
	if (!pages->ops->any_owner)
		pages->start = fresh->start - change->area->offset;
	if (pages->owner.mm != fresh->owner.mm)
		swap(pages->owner, fresh->owner);
}

/* All areas move, or none */
static int vaddr_move(struct io_pagetable *iopt, struct list_head *changes)
{
	struct vaddr_change *change;
	int rc;

	/* What is pinned does not change, and no source is frozen */
	ACQUIRE(rwsem_write_kill, domains)(&iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &domains);
	if (rc)
		return rc;
	list_for_each_entry(change, changes, item) {
		rc = vaddr_charge(change);
		if (rc)
			break;
	}
	if (!rc) {
		list_for_each_entry(change, changes, item)
			vaddr_commit(change);
	}
	/* Whoever does not have the areas is let off */
	list_for_each_entry(change, changes, item) {
		if (change->npages)
			pages_owner_uncharge(&change->fresh->owner,
					     change->npages);
	}
	return rc;
}

static void vaddr_end(struct io_pagetable *iopt, struct list_head *changes,
		      bool moved)
{
	struct vaddr_change *change, *next;

	scoped_guard(mutex, &iopt->iova_mutex) {
		list_for_each_entry(change, changes, item) {
			struct iopt_area *area = change->area;

			area->vaddr = moved ? AREA_VADDR_VALID :
					      AREA_VADDR_INVALID;
			if (moved)
				WRITE_ONCE(iopt->invalid_vaddrs,
					   iopt->invalid_vaddrs - 1);
			area_end(area);
		}
	}
	list_for_each_entry_safe(change, next, changes, item) {
		if (change->fresh)
			iopt_pages_put(change->fresh);
		kfree(change);
	}
}

/**
 * iopt_update_vaddr() - a mapping has an address again, of the caller
 * @iopt: the space
 * @iova: its first byte
 * @last: its last byte. What was mapped in one go, and is of several kinds, is one
 *	mapping here.
 * @uaddr: where the same memory is in the caller's address space, page aligned;
 *	the end does not wrap. It does not matter for files and dma-bufs.
 * @mode: how the caller pays for what is pinned if the mapping was another
 *	process', see pages_owner_init()
 *
 * The memory itself is not looked at. That of a device has to be mapped there, as
 * for iopt_map_user(), and is not reached by other devices for a moment.
 *
 * Return: 0, or an errno with the address as invalid as before: -ENOENT where
 * nothing is mapped; -EINVAL when that is not exactly one mapping, or its address
 * is not invalid; -EBUSY when it comes or goes, or somebody else does the same;
 * -ENOMEM also when the caller's limit would be exceeded; -EINTR when the caller
 * is killed; and errors of iopt_pfnmap_init().
 */
int iopt_update_vaddr(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last, unsigned long uaddr,
		      enum iommufd_account_mode mode)
{
	struct vaddr_change *change;
	LIST_HEAD(changes);
	int rc;

	rc = vaddr_begin(iopt, iova, last, &changes);
	if (!rc) {
		list_for_each_entry(change, &changes, item) {
			rc = vaddr_prepare(change,
					   uaddr + (change->area->node.iova -
						    iova), mode);
			if (rc)
				break;
		}
	}
	if (!rc)
		rc = vaddr_move(iopt, &changes);
	vaddr_end(iopt, &changes, !rc);
	return rc;
}
