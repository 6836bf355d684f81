/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An area: one interval of IOVA, mapped to a part of a backing, and how it is
 * mirrored in domains and pinned by accesses.
 */
#ifndef __IOMMUFD_AREA_H
#define __IOMMUFD_AREA_H

#include <linux/atomic.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/wait_bit.h>

#include "io_pagetable.h"
#include "iova_space.h"
#include "pages.h"

struct iova_bitmap;

/**
 * enum iopt_area_state - what may be done with an area
 * @AREA_BUILDING: takes its IOVA up, but is not there yet for anybody
 * @AREA_LIVE: mapped
 * @AREA_LEAVING: being unmapped; domains still mirror it, but no access may
 *	start to use it
 */
enum iopt_area_state {
	AREA_BUILDING,
	AREA_LIVE,
	AREA_LEAVING,
};

/**
 * enum iopt_area_vaddr - can the memory of an area be found by its address
 * @AREA_VADDR_VALID: yes, or it is not needed
 * @AREA_VADDR_INVALID: no; see iopt_invalidate_vaddr()
 * @AREA_VADDR_CHANGING: no, but iopt_update_vaddr() is at it
 */
enum iopt_area_vaddr {
	AREA_VADDR_VALID,
	AREA_VADDR_INVALID,
	AREA_VADDR_CHANGING,
};

/**
 * struct iopt_area - a mapping
 * @node: its IOVA, in io_pagetable.space
 * @iopt: the IOVA space
 * @pages: the backing, referenced
 * @offset: bytes from the start of @pages to the first byte
 * @prot: IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE or IOMMU_MMIO
 * @state: under io_pagetable.iova_mutex, but AREA_BUILDING ends without it: see
 *	area_set_live()
 * @pinned: its pages are acquired on behalf of the domains of @iopt; under
 *	io_pagetable.domains_rwsem
 * @large: a domain may have large IOPTEs of it, or was given more than a page of
 *	it at once; as @pinned
 * @container: a VFIO container mapped it; constant
 * @joined: it was mapped in one go with the area right before it; constant
 * @vaddr: enum iopt_area_vaddr; under io_pagetable.iova_mutex
 * @busy: operations that use it without a lock; raised under
 *	io_pagetable.iova_mutex, and for all but an unpin only in AREA_LIVE
 * @pins: pins of accesses, from when one begins until its pages are released;
 *	raised together with @busy, and dropped while that is held
 * @locks: holders that refuse an unmap; raised together with @busy
 * @all_dirty: enum log_latch; unless 0 all of it counts as dirty the next time
 *	the dirty log is read
 * @access_pins: struct area_pin, under iopt_pages.mutex
 * @item: on a private list of whoever builds or unmaps it
 * @maps: of a revocable source: what is mapped where, under its lock
 */
struct iopt_area {
	struct iova_node node;
	struct io_pagetable *iopt;
	struct iopt_pages *pages;
	unsigned long offset;
	int prot;
	enum iopt_area_state state;
	bool pinned;
	bool large;
	bool container;
	bool joined;
	u8 vaddr;
	atomic_t busy;
	atomic_t pins;
	atomic_t locks;
	atomic_t all_dirty;
	struct rb_root access_pins;
	struct list_head item;
	struct list_head maps;
};

/**
 * struct iopt_mapping - a backing and the first area that uses it
 * @pages: the backing; the memory of both goes with it
 * @area: not in use any more when only other areas are left
 *
 * So a mapping that is never shared is a single allocation.
 */
struct iopt_mapping {
	struct iopt_pages pages;
	struct iopt_area area;
};

static inline struct iopt_area *to_area(struct iova_node *node)
{
	return node ? container_of(node, struct iopt_area, node) : NULL;
}

static inline unsigned long area_length(const struct iopt_area *area)
{
	return area->node.last - area->node.iova + 1;
}

/* Bytes from the start of the backing to what an IOVA of the area maps */
static inline unsigned long area_offset(const struct iopt_area *area,
					unsigned long iova)
{
	return area->offset + (iova - area->node.iova);
}

/* Index in the backing of the page that an IOVA of the area maps */
static inline unsigned long area_index(const struct iopt_area *area,
				       unsigned long iova)
{
	return area_offset(area, iova) >> PAGE_SHIFT;
}

/**
 * area_set_live() - an area is there for everybody
 * @area: an area that the caller was building; others may unmap and free it now
 *
 * Nobody else touches the state of an area that is being built. So this takes no
 * lock, which all who map and unmap would contend for. Who finds it live sees all
 * that was done to it before.
 */
static inline void area_set_live(struct iopt_area *area)
{
	/* Pairs with area_is_live() */
	smp_store_release(&area->state, AREA_LIVE);
}

/* With io_pagetable.iova_mutex held; it may become so meanwhile */
static inline bool area_is_live(struct iopt_area *area)
{
	/* Pairs with area_set_live() */
	return smp_load_acquire(&area->state) == AREA_LIVE;
}

static inline bool area_is_aligned(const struct iopt_area *area,
				   unsigned long alignment)
{
	return !((area->node.iova | area_length(area) | area->offset) &
		 (alignment - 1));
}

#define iopt_for_each_area(iopt, area, iova, last)                           \
	for (area = to_area(iova_space_first(&(iopt)->space, iova, last));   \
	     area; area = to_area(iova_space_next(&area->node, last)))

/**
 * iopt_area_init() - describe a mapping that is not there yet
 * @area: the area, with any content; the caller sets its @node and @item
 * @iopt: the IOVA space it will be in
 * @pages: its backing; takes over a reference
 * @offset: bytes from the start of @pages
 * @prot: IOMMU_READ, IOMMU_WRITE
 */
static inline void iopt_area_init(struct iopt_area *area,
				  struct io_pagetable *iopt,
				  struct iopt_pages *pages,
				  unsigned long offset, int prot)
{
	area->iopt = iopt;
	area->pages = pages;
	area->offset = offset;
	area->prot = prot | pages->ops->prot;
	area->state = AREA_BUILDING;
	area->pinned = false;
	area->large = false;
	area->container = false;
	area->joined = false;
	area->vaddr = AREA_VADDR_VALID;
	atomic_set(&area->busy, 0);
	atomic_set(&area->pins, 0);
	atomic_set(&area->locks, 0);
	atomic_set(&area->all_dirty, 0);
	area->access_pins = RB_ROOT;
	INIT_LIST_HEAD(&area->maps);
}

struct iopt_area *iopt_area_alloc(struct io_pagetable *iopt,
				  struct iopt_pages *pages,
				  unsigned long offset, int prot);
void iopt_area_free(struct iopt_area *area);

static inline void area_end(struct iopt_area *area)
{
	if (atomic_dec_and_test(&area->busy))
		wake_up_var(&area->busy);
}

/* A pin failed, or its pages are released; area_end() is still to come */
static inline void area_drop_pin(struct iopt_area *area)
{
	atomic_dec_return_release(&area->pins);
}

/**
 * area_is_idle() - nobody works on an area, and no access has pages of it
 * @area: an area that is leaving, or io_pagetable.iova_mutex held
 *
 * Then that remains so, and what they did has happened. No pin begins any more,
 * and an unpin needs one; so without pins @busy only falls.
 *
 * Return: whether it is so.
 */
static inline bool area_is_idle(struct iopt_area *area)
{
	return !atomic_read_acquire(&area->pins) &&
	       !atomic_read_acquire(&area->busy);
}

/* Mirroring in domains, under io_pagetable.domains_rwsem */
int iopt_area_map(struct iopt_area *area, struct iommu_domain *domain);

/**
 * iopt_area_unmap() - take an area out of a domain
 * @area: an area that is mapped there
 * @domain: the domain
 * @gather: collects what to flush
 *
 * The pages may be reached by devices until iommu_iotlb_sync() of @gather.
 */
static inline void iopt_area_unmap(struct iopt_area *area,
				   struct iommu_domain *domain,
				   struct iommu_iotlb_gather *gather)
{
	struct iopt_pages *pages = area->pages;
	size_t length = area_length(area);

	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (unlikely(pages->ops->unmap))
		pages->ops->unmap(pages, domain, &area->maps);
	else
		WARN_ON_ONCE(iommu_unmap_fast(domain, area->node.iova, length,
					      gather) != length);
}

/**
 * iopt_area_unpin() - give up what was pinned for domains
 * @area: an area that is in no domain any more, IOTLBs flushed
 *
 * Cannot fail.
 */
static inline void iopt_area_unpin(struct iopt_area *area)
{
	unsigned long first, last;

	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (!area->pinned)
		return;
	first = area_index(area, area->node.iova);
	last = area_index(area, area->node.last);
	guard(mutex)(&area->pages->mutex);
	area->pinned = false;
	atomic_long_sub(last - first + 1, &area->iopt->domain_pins);
	iopt_pages_release(area->pages, first, last);
}

int iopt_area_block_across(struct iopt_area *area, struct iommu_domain *domain,
			   unsigned long iova, unsigned long *first,
			   unsigned long *last);
int iopt_area_split_at(struct iopt_area *area, struct iommu_domain *domain,
		       unsigned long from, unsigned long iova,
		       unsigned long *first, unsigned long *last);

/* Pins of accesses, which keep the area busy and have raised its pins */
int iopt_area_pin_pages(struct iopt_area *area, unsigned long iova,
			unsigned long last, struct page **out_pages);
void iopt_area_unpin_pages(struct iopt_area *area, unsigned long iova,
			   unsigned long last);

int iopt_area_report_pins(struct iopt_area *area, struct iova_bitmap *bitmap);

#endif
