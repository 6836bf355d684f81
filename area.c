// SPDX-License-Identifier: GPL-2.0-only
/*
 * An area: how it is mirrored in domains and pinned by accesses.
 */
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "area.h"
#include "pages_map.h"
#include "pages_walk.h"

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

/**
 * iopt_area_alloc() - allocate another area of a backing
 * @iopt: the IOVA space it will be in
 * @pages: its backing; takes a reference
 * @offset: bytes from the start of @pages
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * Return: NULL without memory.
 */
struct iopt_area *iopt_area_alloc(struct io_pagetable *iopt,
				  struct iopt_pages *pages,
				  unsigned long offset, int prot)
{
	struct iopt_area *area = kmalloc_obj(*area, GFP_KERNEL_ACCOUNT);

	if (!area)
		return NULL;
	iopt_pages_get(pages);
	iopt_area_init(area, iopt, pages, offset, prot);
	return area;
}

/**
 * iopt_area_free() - free an area that is in no IOVA space and no domain
 * @area: the area
 */
void iopt_area_free(struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	WARN_ON_ONCE(area->pinned || atomic_read(&area->pins) ||
		     !list_empty(&area->maps));
	if (area != own_area(pages))
		kfree(area);
	iopt_pages_put(pages);
}

/*
 * Mirroring in domains
 */

static void area_window(const struct iopt_area *area,
			struct iommu_domain *domain,
			struct pages_window *window)
{
	*window = (struct pages_window){
		.domain = domain,
		.iova = area->node.iova,
		.offset = area->offset,
		.length = area_length(area),
		.prot = area->prot,
		.large = area->iopt->large_pages,
		.gfp = GFP_KERNEL_ACCOUNT,
	};
}

static noinline int area_map_source(struct iopt_area *area,
				    struct iommu_domain *domain)
{
	struct iopt_pages *pages = area->pages;
	struct pages_window window;

	area_window(area, domain, &window);
	return pages->ops->map(pages, &window, &area->maps);
}

static noinline int area_map_runs(struct iopt_area *area,
				  struct iommu_domain *domain)
{
	struct pages_window window;

	area_window(area, domain, &window);
	return iopt_pages_map(area->pages, &window);
}

static __always_inline int area_map_memory(struct iopt_area *area,
					   struct iommu_domain *domain)
{
	unsigned long first = area_index(area, area->node.iova);
	unsigned long last = area_index(area, area->node.last);
	struct iopt_pages *pages = area->pages;
	unsigned long pfn;
	int rc;

	/* Not ACQUIRE(), which costs more than the lock */
	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	if (!area->pinned) {
		rc = iopt_pages_acquire(pages, first, last);
		if (rc)
			goto out_unlock;
		area->pinned = true;
		atomic_long_add(last - first + 1, &area->iopt->domain_pins);
	}
	/* A small area mostly is one run, which takes no more than this */
	if (area->iopt->large_pages && !fatal_signal_pending(current) &&
	    iopt_pages_one_run(pages, first, last, &pfn))
		rc = iommu_map(domain, area->node.iova,
			       PFN_PHYS(pfn) + offset_in_page(area->offset),
			       area_length(area), area->prot,
			       GFP_KERNEL_ACCOUNT);
	else
		rc = area_map_runs(area, domain);
out_unlock:
	mutex_unlock(&pages->mutex);
	return rc;
}

/**
 * iopt_area_map() - mirror an area in a domain
 * @area: the area
 * @domain: the domain, not necessarily on the list of the space
 *
 * Return: 0, or an errno with the area not in this domain: -EINTR when the caller
 * is killed, errors of iopt_pages_acquire() and iommu_map(). Its pages may stay
 * acquired; iopt_area_unpin() gives them up when there is no other domain.
 */
int iopt_area_map(struct iopt_area *area, struct iommu_domain *domain)
{
	lockdep_assert_held(&area->iopt->domains_rwsem);

	area->large |= area->iopt->large_pages;
	if (unlikely(area->pages->ops->map))
		return area_map_source(area, domain);
	return area_map_memory(area, domain);
}

/* Is an interval in physical memory that is as contiguous and aligned as it? */
static int area_is_block(struct iopt_area *area, unsigned long iova,
			 unsigned long size, u64 *phys)
{
	u64 length = size;
	int rc;

	rc = iopt_pages_phys(area->pages, area_offset(area, iova), &length,
			     phys);
	/* What the source took back is in no domain */
	if (rc == -EINVAL)
		return false;
	return rc ?: length == size && IS_ALIGNED(*phys, size);
}

/* iopt_area_block_across() from some IOVA on, that tells where the memory is */
static int area_block_across(struct iopt_area *area,
			     struct iommu_domain *domain, unsigned long from,
			     unsigned long iova, unsigned long *first,
			     unsigned long *last, u64 *phys)
{
	unsigned long sizes = domain->pgsize_bitmap;
	unsigned long size;
	int rc;

	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (!area->large)
		return 0;
	for (; sizes; sizes &= ~size) {
		size = 1UL << __fls(sizes);
		if (IS_ALIGNED(iova, size))
			break;
		*first = round_down(iova, size);
		*last = *first + (size - 1);
		if (*first < from || *last > area->node.last)
			continue;
		rc = area_is_block(area, *first, size, phys);
		if (rc)
			return rc;
	}
	return 0;
}

/**
 * iopt_area_block_across() - can one IOPTE map what is on both sides of an IOVA
 * @area: the area
 * @domain: a domain that mirrors it
 * @iova: inside the area, and not its first byte
 * @first: gets the first byte of that IOPTE
 * @last: gets the last byte
 *
 * The IOPTEs are as large as memory, alignment and domain permit, or were before
 * iopt_area_split_at(), unless large ones were disabled. The backing is frozen.
 *
 * Return: 1, 0 when an IOPTE begins at @iova, or -EINTR when the caller is killed
 * while somebody pins pages of the backing.
 */
int iopt_area_block_across(struct iopt_area *area, struct iommu_domain *domain,
			   unsigned long iova, unsigned long *first,
			   unsigned long *last)
{
	u64 phys;

	return area_block_across(area, domain, area->node.iova, iova, first,
				 last, &phys);
}

/* Is memory contiguous from one IOVA of an area up to another; where it begins */
static int area_is_contiguous(struct iopt_area *area, unsigned long first,
			      unsigned long iova, u64 *phys)
{
	u64 want = iova - first + 1;
	u64 length = want;
	int rc;

	rc = iopt_pages_phys(area->pages, area_offset(area, first), &length,
			     phys);
	return rc ?: length == want;
}

/*
 * All contiguous memory that is on both sides of an IOVA, from some IOVA on: no
 * iommu_map() was given more at once. Returns 0 when it begins there.
 */
static int area_run_across(struct iopt_area *area, unsigned long from,
			   unsigned long iova, unsigned long *first,
			   unsigned long *last, u64 *phys)
{
	unsigned long least = 0, most = (iova - from) >> PAGE_SHIFT;
	unsigned long npages;
	u64 length;
	int rc;

	if (!area->large)
		return 0;
	while (least != most) {
		npages = most - (most - least) / 2;
		rc = area_is_contiguous(area, iova - npages * PAGE_SIZE, iova,
					phys);
		if (rc < 0)
			return rc;
		if (rc)
			least = npages;
		else
			most = npages - 1;
	}
	if (!least)
		return 0;
	*first = iova - least * PAGE_SIZE;
	length = area->node.last - *first + 1;
	rc = iopt_pages_phys(area->pages, area_offset(area, *first), &length,
			     phys);
	*last = *first + length - 1;
	return rc ?: 1;
}

/* Replace what maps contiguous memory by two that meet at an IOVA */
static int split_map(struct iommu_domain *domain, unsigned long first,
		     unsigned long last, unsigned long iova, u64 phys, int prot)
{
	size_t size = last - first + 1;
	size_t left = iova - first;
	int rc;

	if (WARN_ON_ONCE(iommu_unmap(domain, first, size) != size))
		return -EINVAL;
	rc = iommu_map(domain, first, phys, left, prot, GFP_KERNEL_ACCOUNT);
	if (rc)
		goto err_restore;
	rc = iommu_map(domain, iova, phys + left, size - left, prot,
		       GFP_KERNEL_ACCOUNT);
	if (!rc)
		return 0;
	iommu_unmap(domain, first, left);

err_restore:
	/* A page table still has the tables that this takes */
	WARN_ON_ONCE(iommu_map(domain, first, phys, size, prot,
			       GFP_KERNEL_ACCOUNT | __GFP_NOFAIL));
	return rc;
}

/**
 * iopt_area_split_at() - have what a domain maps begin anew at an IOVA
 * @area: an area of memory, which stays
 * @domain: a domain that mirrors it
 * @from: where the area, or what was split off before, begins
 * @iova: inside the area, and behind @from
 * @first: gets the first byte of what was replaced
 * @last: gets the last byte
 *
 * An IOMMU driver cannot split an IOPTE. So it is taken out, and smaller ones are
 * put in its place. Of generic page tables it is known that they consist of
 * nothing else. Other drivers may not even split what they were given at once, as
 * that of virtio-iommu, so it is done with all that they may have been.
 *
 * Nothing is unpinned, but for that moment a device finds nothing there: a DMA to
 * the memory between @first and @last may fault. Whether it is dirty is lost.
 *
 * Return: 1, 0 when there was nothing to be done, or an errno with everything as
 * before: -ENOMEM, or -EINTR when the caller is killed while somebody pins pages
 * of the backing.
 */
int iopt_area_split_at(struct iopt_area *area, struct iommu_domain *domain,
		       unsigned long from, unsigned long iova,
		       unsigned long *first, unsigned long *last)
{
	u64 phys;
	int rc;

	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (domain->is_iommupt)
		rc = area_block_across(area, domain, from, iova, first, last,
				       &phys);
	else
		rc = area_run_across(area, from, iova, first, last, &phys);
	if (rc <= 0)
		return rc;
	return split_map(domain, *first, *last, iova, phys, area->prot) ?: 1;
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
	struct rb_node *rb = area->access_pins.rb_node;

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
		pin = kmalloc_obj(*pin, GFP_KERNEL_ACCOUNT);
		if (!pin)
			return -ENOMEM;
		pin->first = first;
		pin->last = last;
		pin->users = 0;
		rb_add(&pin->rb, &area->access_pins, area_pin_less);
	}
	pin->users++;
	return 0;
}

static bool area_del_pin(struct iopt_area *area, unsigned long first,
			 unsigned long last)
{
	struct area_pin *pin = area_find_pin(area, first, last);

	if (WARN_ON_ONCE(!pin))
		return false;
	if (!--pin->users) {
		rb_erase(&pin->rb, &area->access_pins);
		kfree(pin);
	}
	return true;
}

static void area_list_pages(struct iopt_area *area, unsigned long first,
			    unsigned long last, struct page **out_pages)
{
	struct pages_walk walk;
	unsigned long pfn, nr, i;

	if (iopt_pages_one_run(area->pages, first, last, &pfn)) {
		for (nr = last - first + 1; nr; nr--)
			*out_pages++ = pfn_to_page(pfn++);
		return;
	}
	iopt_pages_walk_start(&walk, area->pages, first, last);
	while ((nr = iopt_pages_walk_next(&walk, &pfn))) {
		for (i = 0; i != nr; i++)
			*out_pages++ = pfn_to_page(pfn + i);
	}
}

/**
 * iopt_area_pin_pages() - pin pages for an access
 * @area: the area
 * @iova: first byte
 * @last: last byte, not beyond the area
 * @out_pages: gets one page for each that is touched
 *
 * Return: 0, or an errno with nothing pinned, and iopt_area.pins for the caller
 * to drop: -EINVAL for what is not memory and has no pages to give out, -EINTR
 * when the caller is killed, and errors of iopt_pages_acquire().
 */
int iopt_area_pin_pages(struct iopt_area *area, unsigned long iova,
			unsigned long last, struct page **out_pages)
{
	struct iopt_pages *pages = area->pages;
	unsigned long first_index = area_index(area, iova);
	unsigned long last_index = area_index(area, last);
	int rc;

	if (!iopt_pages_is_memory(pages))
		return -EINVAL;

	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	rc = area_add_pin(area, first_index, last_index);
	if (rc)
		goto out_unlock;
	rc = iopt_pages_acquire(pages, first_index, last_index);
	if (rc) {
		area_del_pin(area, first_index, last_index);
		goto out_unlock;
	}
	atomic_long_add(last_index - first_index + 1,
			&area->iopt->access_pins);
	area_list_pages(area, first_index, last_index, out_pages);
out_unlock:
	mutex_unlock(&pages->mutex);
	return rc;
}

/**
 * iopt_area_unpin_pages() - undo one iopt_area_pin_pages() of the same range
 * @area: the area
 * @iova: first byte
 * @last: last byte
 *
 * Drops iopt_area.pins as well.
 */
void iopt_area_unpin_pages(struct iopt_area *area, unsigned long iova,
			   unsigned long last)
{
	unsigned long first_index = area_index(area, iova);
	unsigned long last_index = area_index(area, last);

	guard(mutex)(&area->pages->mutex);
	if (!area_del_pin(area, first_index, last_index))
		return;
	iopt_pages_release(area->pages, first_index, last_index);
	atomic_long_sub(last_index - first_index + 1,
			&area->iopt->access_pins);
	area_drop_pin(area);
}

/**
 * iopt_area_report_pins() - report what accesses have pinned as dirty
 * @area: the area
 * @bitmap: where to report to
 *
 * Return: 0, or -EINTR when the caller is killed while somebody pins pages of
 * the backing.
 */
int iopt_area_report_pins(struct iopt_area *area, struct iova_bitmap *bitmap)
{
	unsigned long base = area->offset >> PAGE_SHIFT;
	struct area_pin *pin;
	struct rb_node *rb;
	int rc;

	ACQUIRE(mutex_kill, lock)(&area->pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	for (rb = rb_first(&area->access_pins); rb; rb = rb_next(rb)) {
		pin = rb_entry(rb, struct area_pin, rb);
		iova_bitmap_set(bitmap,
				area->node.iova +
					((pin->first - base) << PAGE_SHIFT),
				(pin->last - pin->first + 1) << PAGE_SHIFT);
	}
	return 0;
}
