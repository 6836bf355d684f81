// SPDX-License-Identifier: GPL-2.0-only
/*
 * An area: how it is mirrored in domains and pinned by accesses.
 */
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "area.h"
#include "dmabuf.h"

/**
 * struct area_pin - pages pinned by accesses
 * @rb: in iopt_area.access_pins, by @first, then @last
 * @first: index in the backing of the first page
 * @last: index of the last page
 * @users: pins of exactly this interval
 */
struct area_pin {
	struct rb_node rb;
	unsigned long first;
	unsigned long last;
	unsigned long users;
};

static struct iopt_area *own_area(struct iopt_pages *pages)
{
	return &container_of(pages, struct iopt_mapping, pages)->area;
}

static void area_init(struct iopt_area *area, struct io_pagetable *iopt,
		      struct iopt_pages *pages, unsigned long offset, int prot)
{
	area->iopt = iopt;
	area->pages = pages;
	area->offset = offset;
	area->prot = prot |
		     (pages->kind == PAGES_DMABUF ? IOMMU_MMIO : IOMMU_CACHE);
	area->access_pins = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&area->dmabuf_maps);
}

/**
 * area_first() - make the first area of a backing
 * @iopt: the IOVA space it will be in
 * @pages: its backing, new, and part of a struct iopt_mapping; the area takes
 *	over the caller's reference
 * @offset: bytes from the start of @pages
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * Return: the area, which always exists.
 */
struct iopt_area *area_first(struct io_pagetable *iopt,
			     struct iopt_pages *pages, unsigned long offset,
			     int prot)
{
	struct iopt_area *area = own_area(pages);

	area_init(area, iopt, pages, offset, prot);
	return area;
}

/**
 * area_alloc() - allocate another area
 * @iopt: the IOVA space it will be in
 * @pages: its backing; takes a reference
 * @offset: bytes from the start of @pages
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * Return: NULL without memory.
 */
struct iopt_area *area_alloc(struct io_pagetable *iopt,
			     struct iopt_pages *pages, unsigned long offset,
			     int prot)
{
	struct iopt_area *area = kzalloc_obj(*area, GFP_KERNEL_ACCOUNT);

	if (!area)
		return NULL;
	pages_get(pages);
	area_init(area, iopt, pages, offset, prot);
	return area;
}

/**
 * area_free() - free an area that is in no IOVA space and no domain
 * @area: the area
 */
void area_free(struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	WARN_ON(area->pinned || atomic_read(&area->pins) ||
		!list_empty(&area->dmabuf_maps));
	if (area != own_area(pages))
		kfree(area);
	pages_put(pages);
}

/*
 * Mirroring in domains
 */

static int area_map_range(struct iopt_area *area, struct iommu_domain *domain,
			  unsigned long iova, phys_addr_t phys,
			  unsigned long length)
{
	if (area->iopt->disable_large_pages)
		return pages_map_small(domain, iova, phys, length, area->prot);
	return iommu_map(domain, iova, phys, length, area->prot,
			 GFP_KERNEL_ACCOUNT);
}

/* Read page frames from @index on, so many as may be without another look */
static int area_walk_part(struct iopt_area *area, struct pages_walk *walk,
			  unsigned long *index, unsigned long last)
{
	unsigned long end = min(last, *index + (pages_between_looks() - 1));
	int rc = pages_look();

	if (rc)
		return rc;
	pages_walk_start(walk, area->pages, *index, end);
	*index = end + 1;
	return 0;
}

/*
 * With iopt_pages.mutex held and the pages acquired. What is contiguous goes in
 * one call, so that large IOPTEs can form.
 */
static int area_map_domain(struct iopt_area *area, struct iommu_domain *domain)
{
	unsigned long index = area_index(area, area->node.iova);
	unsigned long last = area_index(area, area->node.last);
	unsigned long skip = offset_in_page(area->offset);
	unsigned long iova = area->node.iova;
	struct pages_walk walk __uninitialized;
	unsigned long pfn, nr, length;
	phys_addr_t phys;
	int rc;

	rc = area_walk_part(area, &walk, &index, last);
	if (rc)
		return rc;
	nr = pages_walk_next(&walk, &pfn);
	if (WARN_ON(!nr))
		return -EINVAL;
	phys = PFN_PHYS(pfn) + skip;
	length = nr * PAGE_SIZE - skip;
	for (;;) {
		nr = pages_walk_next(&walk, &pfn);
		if (!nr) {
			if (index > last)
				break;
			rc = area_walk_part(area, &walk, &index, last);
			if (rc)
				goto err_unmap;
			continue;
		}
		if (PFN_PHYS(pfn) == phys + length) {
			length += nr * PAGE_SIZE;
			continue;
		}
		rc = area_map_range(area, domain, iova, phys, length);
		if (rc)
			goto err_unmap;
		iova += length;
		phys = PFN_PHYS(pfn);
		length = nr * PAGE_SIZE;
		cond_resched();
	}

	/* It may end inside the last page */
	length = min(length, area->node.last - iova + 1);
	rc = area_map_range(area, domain, iova, phys, length);
	if (!rc)
		return 0;
err_unmap:
	if (iova != area->node.iova)
		iommu_unmap(domain, area->node.iova, iova - area->node.iova);
	return rc;
}

/**
 * area_unmap_domain() - take an area out of a domain
 * @area: an area that is mapped there
 * @domain: the domain
 * @gather: collects what to flush
 *
 * The pages may be reached by devices until iommu_iotlb_sync() of @gather.
 */
void area_unmap_domain(struct iopt_area *area, struct iommu_domain *domain,
		       struct iommu_iotlb_gather *gather)
{
	size_t length = area_length(area);

	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (area->pages->kind == PAGES_DMABUF)
		pages_dmabuf_unmap(area->pages->dmabuf, &area->dmabuf_maps,
				   domain);
	else
		WARN_ON(iommu_unmap_fast(domain, area->node.iova, length,
					 gather) != length);
}

/* Take it out of the domains of its space that come before end */
static void area_unmap_domains(struct iopt_area *area, struct list_head *end)
{
	struct iommu_iotlb_gather gather;
	struct iopt_domain *idom;

	list_for_each_entry(idom, &area->iopt->domains, item) {
		if (&idom->item == end)
			break;
		iommu_iotlb_gather_init(&gather);
		area_unmap_domain(area, idom->domain, &gather);
		iommu_iotlb_sync(idom->domain, &gather);
	}
}

static int area_acquire(struct iopt_area *area)
{
	int rc;

	lockdep_assert_held(&area->pages->mutex);

	if (area->pinned)
		return 0;
	rc = pages_acquire(area->pages, area_index(area, area->node.iova),
			   area_index(area, area->node.last));
	if (!rc)
		area->pinned = true;
	return rc;
}

static void area_release(struct iopt_area *area)
{
	lockdep_assert_held(&area->pages->mutex);

	area->pinned = false;
	pages_release(area->pages, area_index(area, area->node.iova),
		      area_index(area, area->node.last));
}

static int area_map_dmabuf(struct iopt_area *area, struct iommu_domain *domain)
{
	return pages_dmabuf_map(area->pages->dmabuf, &area->dmabuf_maps, domain,
				area->node.iova, area->offset,
				area_length(area), area->prot,
				area->iopt->disable_large_pages);
}

/**
 * area_fill() - mirror a new area in all domains of its space
 * @area: the area, in no domain yet
 *
 * Return: 0, or an errno with the area in no domain and nothing pinned for it:
 * -EINTR when the caller is killed, errors of pages_acquire() and iommu_map().
 */
int area_fill(struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;
	struct iopt_domain *idom;
	int rc = 0;

	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (list_empty(&area->iopt->domains))
		return 0;

	if (pages->kind == PAGES_DMABUF) {
		list_for_each_entry(idom, &area->iopt->domains, item) {
			rc = area_map_dmabuf(area, idom->domain);
			if (rc)
				break;
		}
		if (rc)
			area_unmap_domains(area, &idom->item);
		return rc;
	}

	ACQUIRE(mutex_kill, lock)(&pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (!rc)
		rc = area_acquire(area);
	if (rc)
		return rc;
	list_for_each_entry(idom, &area->iopt->domains, item) {
		rc = area_map_domain(area, idom->domain);
		if (rc) {
			area_unmap_domains(area, &idom->item);
			area_release(area);
			return rc;
		}
	}
	return 0;
}

/**
 * area_fill_domain() - mirror an area in one more domain
 * @area: the area
 * @domain: the domain, not necessarily on the list of the space
 *
 * Return: 0, or an errno as of area_fill() with the area not in this domain. Its
 * pages may stay acquired; area_unpin() gives them up when there is no other
 * domain.
 */
int area_fill_domain(struct iopt_area *area, struct iommu_domain *domain)
{
	struct iopt_pages *pages = area->pages;
	int rc;

	lockdep_assert_held_write(&area->iopt->domains_rwsem);

	if (pages->kind == PAGES_DMABUF)
		return area_map_dmabuf(area, domain);

	ACQUIRE(mutex_kill, lock)(&pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (!rc)
		rc = area_acquire(area);
	if (rc)
		return rc;
	return area_map_domain(area, domain);
}

/**
 * area_unpin() - give up what was pinned for domains
 * @area: an area that is in no domain any more, IOTLBs flushed
 *
 * Cannot fail.
 */
void area_unpin(struct iopt_area *area)
{
	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (!area->pinned)
		return;
	guard(mutex)(&area->pages->mutex);
	area_release(area);
}

/* Is an interval in physical memory that is as contiguous and aligned as it? */
static int area_is_block(struct iopt_area *area, unsigned long iova,
			 unsigned long size)
{
	unsigned long offset = area_offset(area, iova);
	unsigned long pfn, nr, next = 0, left;
	struct pages_walk walk;
	u64 phys;
	int rc;

	if (area->pages->kind == PAGES_DMABUF)
		return !pages_dmabuf_phys(area->pages->dmabuf, offset, &phys) &&
		       IS_ALIGNED(phys, size);

	left = area_index(area, iova + size - 1) - area_index(area, iova) + 1;
	ACQUIRE(mutex_kill, lock)(&area->pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	pages_walk_start(&walk, area->pages, offset >> PAGE_SHIFT,
			 area_index(area, iova + size - 1));
	while ((nr = pages_walk_next(&walk, &pfn))) {
		if (!next && !IS_ALIGNED(PFN_PHYS(pfn) + offset_in_page(offset),
					 size))
			return false;
		if (next && pfn != next)
			return false;
		next = pfn + nr;
		left -= nr;
	}
	return !left;
}

/**
 * area_block_across() - can one IOPTE map what is on both sides of an IOVA
 * @area: the area
 * @domain: a domain that mirrors it
 * @iova: inside the area, and not its first byte
 * @first: gets the first byte of that IOPTE
 * @last: gets the last byte
 *
 * The IOPTEs are as large as memory, alignment and domain permit, unless large
 * ones are disabled. The reservation lock of a dma-buf is held.
 *
 * Return: 1, 0 when an IOPTE begins at @iova, or -EINTR when the caller is killed
 * while somebody pins pages of the backing.
 */
int area_block_across(struct iopt_area *area, struct iommu_domain *domain,
		      unsigned long iova, unsigned long *first,
		      unsigned long *last)
{
	unsigned long sizes = domain->pgsize_bitmap;
	unsigned long size;
	int rc;

	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (area->iopt->disable_large_pages)
		return 0;
	for (; sizes; sizes &= ~size) {
		size = 1UL << __fls(sizes);
		if (IS_ALIGNED(iova, size))
			break;
		*first = round_down(iova, size);
		*last = *first + (size - 1);
		if (*first < area->node.iova || *last > area->node.last)
			continue;
		rc = area_is_block(area, *first, size);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Pins of accesses
 */

static int area_pin_cmp(const struct area_pin *pin, unsigned long first,
			unsigned long last)
{
	if (pin->first != first)
		return pin->first < first ? -1 : 1;
	if (pin->last != last)
		return pin->last < last ? -1 : 1;
	return 0;
}

static struct area_pin *area_find_pin(struct iopt_area *area,
				      unsigned long first, unsigned long last)
{
	struct rb_node *rb = area->access_pins.rb_root.rb_node;

	while (rb) {
		struct area_pin *pin = rb_entry(rb, struct area_pin, rb);
		int cmp = area_pin_cmp(pin, first, last);

		if (!cmp)
			return pin;
		rb = cmp < 0 ? rb->rb_right : rb->rb_left;
	}
	return NULL;
}

static bool area_pin_less(struct rb_node *a, const struct rb_node *b)
{
	const struct area_pin *pin = rb_entry(a, struct area_pin, rb);
	const struct area_pin *than = rb_entry(b, struct area_pin, rb);

	return area_pin_cmp(pin, than->first, than->last) < 0;
}

static int area_add_pin(struct iopt_area *area, unsigned long first,
			unsigned long last)
{
	struct area_pin *pin = area_find_pin(area, first, last);

	if (!pin) {
		pin = kzalloc_obj(*pin, GFP_KERNEL_ACCOUNT);
		if (!pin)
			return -ENOMEM;
		pin->first = first;
		pin->last = last;
		rb_add_cached(&pin->rb, &area->access_pins, area_pin_less);
	}
	pin->users++;
	return 0;
}

static bool area_del_pin(struct iopt_area *area, unsigned long first,
			 unsigned long last)
{
	struct area_pin *pin = area_find_pin(area, first, last);

	if (WARN_ON(!pin))
		return false;
	if (!--pin->users) {
		rb_erase_cached(&pin->rb, &area->access_pins);
		kfree(pin);
	}
	return true;
}

static void area_list_pages(struct iopt_area *area, unsigned long first,
			    unsigned long last, struct page **out_pages)
{
	struct pages_walk walk;
	unsigned long pfn, nr, i;

	pages_walk_start(&walk, area->pages, first, last);
	while ((nr = pages_walk_next(&walk, &pfn))) {
		for (i = 0; i != nr; i++)
			*out_pages++ = pfn_to_page(pfn + i);
	}
}

/**
 * area_pin_pages() - pin pages for an access
 * @area: the area
 * @iova: first byte
 * @last: last byte, not beyond the area
 * @out_pages: gets one page for each that is touched
 *
 * Return: 0, or an errno with nothing pinned, and iopt_area.pins for the caller
 * to drop: -EINVAL for a dma-buf, which has no pages to give out, -EINTR when the
 * caller is killed, and errors of
 * pages_acquire().
 */
int area_pin_pages(struct iopt_area *area, unsigned long iova,
		   unsigned long last, struct page **out_pages)
{
	struct iopt_pages *pages = area->pages;
	unsigned long first_index = area_index(area, iova);
	unsigned long last_index = area_index(area, last);
	int rc;

	if (pages->kind == PAGES_DMABUF)
		return -EINVAL;

	ACQUIRE(mutex_kill, lock)(&pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (!rc)
		rc = area_add_pin(area, first_index, last_index);
	if (rc)
		return rc;
	rc = pages_acquire(pages, first_index, last_index);
	if (rc) {
		area_del_pin(area, first_index, last_index);
		return rc;
	}
	area_list_pages(area, first_index, last_index, out_pages);
	return 0;
}

/**
 * area_unpin_pages() - undo one area_pin_pages() of the same range
 * @area: the area
 * @iova: first byte
 * @last: last byte
 *
 * Drops iopt_area.pins as well.
 */
void area_unpin_pages(struct iopt_area *area, unsigned long iova,
		      unsigned long last)
{
	unsigned long first_index = area_index(area, iova);
	unsigned long last_index = area_index(area, last);

	guard(mutex)(&area->pages->mutex);
	if (!area_del_pin(area, first_index, last_index))
		return;
	pages_release(area->pages, first_index, last_index);
	area_drop_pin(area);
}

/**
 * area_report_pins() - report what accesses have pinned as dirty
 * @area: the area
 * @bitmap: where to report to
 *
 * Return: 0, or -EINTR when the caller is killed while somebody pins pages of
 * the backing.
 */
int area_report_pins(struct iopt_area *area, struct iova_bitmap *bitmap)
{
	unsigned long base = area->offset >> PAGE_SHIFT;
	struct area_pin *pin;
	struct rb_node *rb;
	int rc;

	ACQUIRE(mutex_kill, lock)(&area->pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	for (rb = rb_first_cached(&area->access_pins); rb; rb = rb_next(rb)) {
		pin = rb_entry(rb, struct area_pin, rb);
		iova_bitmap_set(bitmap,
				area->node.iova +
					((pin->first - base) << PAGE_SHIFT),
				(pin->last - pin->first + 1) << PAGE_SHIFT);
	}
	return 0;
}
