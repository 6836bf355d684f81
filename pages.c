// SPDX-License-Identifier: GPL-2.0-only
/*
 * A backing: pinning, and what was pinned.
 */
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/iommu.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dmabuf.h"
#include "pages.h"
#include "selftest.h"

/* Page pointers kept on the stack; enough for a map of a few pages */
#define PAGES_ON_STACK 16

/*
 * Pages of a file that are pinned without a look at signals, whatever their size
 * is: allocating and zeroing them takes a fraction of a second.
 */
#define FILE_STEP_PAGES (SZ_256M >> PAGE_SHIFT)

static struct iopt_pages *pages_alloc(struct iommufd_ctx *ictx,
				      unsigned long start, unsigned long length,
				      bool writable, size_t size)
{
	unsigned long offset = offset_in_page(start);
	struct iopt_pages *pages;
	unsigned long bytes;

	/* The interval trees and run lengths count pages, up to ULONG_MAX - 1 */
	if (check_add_overflow(length, offset, &bytes) ||
	    bytes > ULONG_MAX - (PAGE_SIZE - 1))
		return ERR_PTR(-EOVERFLOW);

	pages = kzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!pages)
		return ERR_PTR(-ENOMEM);

	refcount_set(&pages->ref, 1);
	mutex_init(&pages->mutex);
	pages->npages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	pages->start = start & PAGE_MASK;
	pages->writable = writable;
	pages->extents = RB_ROOT_CACHED;
	pages->account_mode = capable(CAP_IPC_LOCK) ? IOMMUFD_ACCOUNT_NONE :
						      ictx->account_mode;
	pages_owner_init(pages);
	return pages;
}

/**
 * pages_alloc_user() - a backing from the caller's address space
 * @ictx: context, for its accounting mode
 * @uaddr: address of the first byte; does not have to be mapped yet
 * @length: bytes, more than 0; @uaddr + @length does not wrap
 * @writable: whether it may ever be written through a mapping
 * @size: bytes to allocate, of a structure that the backing is the start of
 *
 * Returns the backing with one reference, or ERR_PTR of -EOVERFLOW or -ENOMEM.
 */
struct iopt_pages *pages_alloc_user(struct iommufd_ctx *ictx,
				    unsigned long uaddr, unsigned long length,
				    bool writable, size_t size)
{
	struct iopt_pages *pages = pages_alloc(ictx, uaddr, length, writable,
					       size);

	if (IS_ERR(pages))
		return pages;
	pages->kind = PAGES_USER;
	return pages;
}

/**
 * pages_alloc_file() - a backing from the page cache of a memfd
 * @ictx: context, for its accounting mode
 * @file: the file; a reference is taken
 * @start: offset in the file of the first byte
 * @length: bytes, more than 0; @start + @length does not wrap
 * @writable: whether it may ever be written through a mapping
 * @size: bytes to allocate, of a structure that the backing is the start of
 *
 * The mapping counts as a writable one of the file, like a shared mmap does: a
 * file sealed against writing is refused, and sealing it later as well.
 *
 * Returns the backing with one reference, or ERR_PTR of -EOVERFLOW, -ENOMEM, or
 * -EPERM for a file sealed against writing.
 */
struct iopt_pages *pages_alloc_file(struct iommufd_ctx *ictx, struct file *file,
				    unsigned long start, unsigned long length,
				    bool writable, size_t size)
{
	struct iopt_pages *pages;
	int rc;

	if (writable) {
		rc = mapping_map_writable(file->f_mapping);
		if (rc)
			return ERR_PTR(rc);
	}
	pages = pages_alloc(ictx, start, length, writable, size);
	if (IS_ERR(pages)) {
		if (writable)
			mapping_unmap_writable(file->f_mapping);
		return pages;
	}
	pages->kind = PAGES_FILE;
	pages->file = get_file(file);
	return pages;
}

/**
 * pages_alloc_dmabuf() - a backing from a dma-buf
 * @ictx: context
 * @dmabuf: the buffer; a reference is taken
 * @start: offset in the buffer of the first byte
 * @length: bytes, more than 0
 * @writable: whether it may ever be written through a mapping
 * @size: bytes to allocate, of a structure that the backing is the start of
 *
 * Returns the backing with one reference, or ERR_PTR of an errno of
 * pages_dmabuf_import().
 */
struct iopt_pages *pages_alloc_dmabuf(struct iommufd_ctx *ictx,
				      struct dma_buf *dmabuf,
				      unsigned long start, unsigned long length,
				      bool writable, size_t size)
{
	struct iopt_pages *pages = pages_alloc(ictx, start, length, writable,
					       size);
	struct pages_dmabuf *import;

	if (IS_ERR(pages))
		return pages;
	pages->kind = PAGES_DMABUF;
	pages->account_mode = IOMMUFD_ACCOUNT_NONE;
	import = pages_dmabuf_import(dmabuf, start & PAGE_MASK, pages->npages);
	if (IS_ERR(import)) {
		pages_put(pages);
		return ERR_CAST(import);
	}
	pages->dmabuf = import;
	return pages;
}

/**
 * pages_free() - free a backing, for pages_put()
 * @pages: the backing, with nothing acquired
 */
void pages_free(struct iopt_pages *pages)
{
	WARN_ON(!RB_EMPTY_ROOT(&pages->extents.rb_root));

	if (pages->kind == PAGES_FILE) {
		if (pages->writable)
			mapping_unmap_writable(pages->file->f_mapping);
		fput(pages->file);
	} else if (pages->kind == PAGES_DMABUF && pages->dmabuf) {
		pages_dmabuf_free(pages->dmabuf);
	}
	pages_owner_put(pages);
	mutex_destroy(&pages->mutex);
	kfree(pages);
}

/*
 * Pinning
 */

/*
 * Memory that is contiguous has struct pages that are, unless each section of
 * memory has an array of its own. Such arrays may also follow each other when
 * their sections do not.
 */
static bool page_follows(struct page *page, unsigned long nr, struct page *next)
{
	if (IS_ENABLED(CONFIG_SPARSEMEM) &&
	    !IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP))
		return page_to_pfn(next) == page_to_pfn(page) + nr;
	return next == page + nr;
}

static void unpin_run(unsigned long pfn, unsigned long nr, bool dirty)
{
	struct page *page = pfn_to_page(pfn);

	if (page_range_contiguous(page, nr)) {
		unpin_user_page_range_dirty_lock(page, nr, dirty);
		return;
	}
	for (; nr; nr--, pfn++)
		unpin_user_page_range_dirty_lock(pfn_to_page(pfn), 1, dirty);
}

/* Give back a part of a sequence. It was never used, or is dirty */
static void unpin_runs(struct pfn_runs *runs, unsigned long first,
		       unsigned long npages, bool dirty)
{
	struct pfn_cursor cur __uninitialized;
	unsigned long pfn, nr;

	pfn_cursor_seek(&cur, runs, first, npages);
	while ((nr = pfn_cursor_next(&cur, &pfn))) {
		unpin_run(pfn, nr, dirty);
		cond_resched();
	}
}

/* How long an array of pointers may be; less when a test wants small steps */
static unsigned long scratch_max(unsigned long entries)
{
	size_t bytes = min_t(size_t, SZ_64K, iommufd_test_memory_limit);

	return clamp(bytes / sizeof(void *), 1, entries);
}

/**
 * struct pin_user - pinning from an address space
 * @mm: the address space
 * @remote: it is not the caller's own
 * @locked: @remote and mmap_lock is held for reading
 * @hugetlb: the last page pinned was part of hugetlbfs
 * @gup_flags: FOLL_*
 * @array: room for page pointers
 * @max: entries in @array
 */
struct pin_user {
	struct mm_struct *mm;
	bool remote;
	int locked;
	bool hugetlb;
	unsigned int gup_flags;
	struct page **array;
	unsigned long max;
};

static int pin_user_start(struct pin_user *pin, struct iopt_pages *pages,
			  unsigned int gup_flags)
{
	pin->mm = pages->mm;
	pin->remote = pages->mm != current->mm;
	pin->locked = 0;
	pin->hugetlb = true;
	pin->gup_flags = gup_flags | (pages->writable ? FOLL_WRITE : 0);
	if (pin->remote && !mmget_not_zero(pin->mm))
		return -EFAULT;
	return 0;
}

static void pin_user_end(struct pin_user *pin)
{
	if (pin->locked)
		mmap_read_unlock(pin->mm);
	if (pin->remote)
		mmput(pin->mm);
}

/* Returns how many pages were pinned, at least 1, or an errno */
static long pin_user_batch(struct pin_user *pin, unsigned long uaddr,
			   unsigned long npages)
{
	long nr;

	if (iommufd_should_fail())
		return -EFAULT;

	/* The fast way of pinning does not look */
	if (fatal_signal_pending(current))
		return -EINTR;

	npages = min(npages, pin->max);
	if (!pin->remote) {
		nr = pin_user_pages_fast(uaddr, npages, pin->gup_flags,
					 pin->array);
	} else {
		if (!pin->locked) {
			if (mmap_read_lock_killable(pin->mm))
				return -EINTR;
			pin->locked = 1;
		}
		nr = pin_user_pages_remote(pin->mm, uaddr, npages,
					   pin->gup_flags, pin->array,
					   &pin->locked);
	}
	return nr ?: -EFAULT;
}

/* How many of the pages follow each other */
static unsigned long count_contiguous(struct page **array, unsigned long nr)
{
	struct page *page = array[0];
	unsigned long i;

	for (i = 1; i != nr; i++) {
		if (!page_follows(page, i, array[i]))
			break;
	}
	return i;
}

static int append_pages(struct pfn_runs *runs, struct page **array,
			unsigned long nr)
{
	unsigned long part;
	int rc;

	for (; nr; nr -= part, array += part) {
		part = count_contiguous(array, nr);
		rc = pfn_runs_append(runs, page_to_pfn(*array), part);
		if (rc) {
			unpin_user_pages(array, nr);
			return rc;
		}
	}
	return 0;
}

/*
 * hugetlbfs maps whole huge pages only, so one pinned page tells where the rest
 * of its huge page is, and one step pins that.
 */
static int append_hugetlb(struct pfn_runs *runs, struct page *page,
			  unsigned long max_pages)
{
	struct folio *folio = page_folio(page);
	unsigned long nr = min(max_pages, folio_nr_pages(folio) -
					  folio_page_idx(folio, page));
	int rc;

	if (nr > 1) {
		rc = folio_add_pins(folio, nr - 1);
		if (rc) {
			unpin_user_folio(folio, 1);
			return rc;
		}
	}
	rc = pfn_runs_append(runs, page_to_pfn(page), nr);
	if (rc)
		unpin_user_folio(folio, nr);
	return rc;
}

static int pin_user_step(struct pin_user *pin, struct pfn_runs *runs,
			 unsigned long uaddr, unsigned long npages)
{
	long nr;

	/* In hugetlbfs, or before the first page, look at one page at a time */
	nr = pin_user_batch(pin, uaddr, pin->hugetlb ? 1 : npages);
	if (nr < 0)
		return nr;

	if (pin->hugetlb && folio_test_hugetlb(page_folio(pin->array[0])))
		return append_hugetlb(runs, pin->array[0], npages);

	pin->hugetlb = folio_test_hugetlb(page_folio(pin->array[nr - 1]));
	return append_pages(runs, pin->array, nr);
}

static int pin_user_runs(struct iopt_pages *pages, struct pfn_runs *runs,
			 unsigned long first, unsigned long npages)
{
	struct page *on_stack[PAGES_ON_STACK] __uninitialized;
	struct pin_user pin = {
		.array = on_stack,
		.max = scratch_max(ARRAY_SIZE(on_stack)),
	};
	int rc;

	if (npages > ARRAY_SIZE(on_stack)) {
		if (iommufd_should_fail())
			return -ENOMEM;
		pin.max = scratch_max(npages);
		pin.array = kvmalloc_array(pin.max, sizeof(*pin.array),
					   GFP_KERNEL);
		if (!pin.array)
			return -ENOMEM;
	}

	rc = pin_user_start(&pin, pages, FOLL_LONGTERM);
	if (rc)
		goto out_free;
	/* Not worth a look ahead when it all fits in one call */
	if (npages <= ARRAY_SIZE(on_stack))
		pin.hugetlb = false;
	while (!rc && runs->npages != npages) {
		rc = pin_user_step(&pin, runs,
				   pages->start +
					   (first + runs->npages) * PAGE_SIZE,
				   npages - runs->npages);
		cond_resched();
	}
	pin_user_end(&pin);
out_free:
	if (pin.array != on_stack)
		kvfree(pin.array);
	return rc;
}

/* Of a folio, whose first pin is the caller's */
static int append_folio(struct pfn_runs *runs, struct folio *folio,
			unsigned long offset, unsigned long npages)
{
	int rc = 0;

	if (npages > 1)
		rc = folio_add_pins(folio, npages - 1);
	if (rc) {
		unpin_user_folio(folio, 1);
		return rc;
	}
	rc = pfn_runs_append(runs, folio_pfn(folio) + offset, npages);
	if (rc)
		unpin_user_folio(folio, npages);
	return rc;
}

static int pin_file_step(struct iopt_pages *pages, struct pfn_runs *runs,
			 struct folio **array, unsigned long max,
			 unsigned long first, unsigned long npages)
{
	loff_t start = (loff_t)pages->start +
		       (loff_t)(first + runs->npages) * PAGE_SIZE;
	pgoff_t offset = 0;
	unsigned long part;
	long i, nr;
	int rc = 0;

	if (iommufd_should_fail())
		return -EFAULT;
	if (fatal_signal_pending(current))
		return -EINTR;

	npages = min(npages, FILE_STEP_PAGES);
	nr = memfd_pin_folios(pages->file, start,
			      start + (loff_t)npages * PAGE_SIZE - 1, array,
			      max, &offset);
	if (nr <= 0)
		return nr ?: -EINVAL;

	offset >>= PAGE_SHIFT;
	for (i = 0; i != nr; i++, offset = 0) {
		part = min(npages, folio_nr_pages(array[i]) - offset);
		rc = append_folio(runs, array[i], offset, part);
		if (rc) {
			unpin_folios(array + i + 1, nr - i - 1);
			break;
		}
		npages -= part;
	}
	return rc;
}

static int pin_file_runs(struct iopt_pages *pages, struct pfn_runs *runs,
			 unsigned long first, unsigned long npages)
{
	struct folio *on_stack[PAGES_ON_STACK] __uninitialized;
	unsigned long max = scratch_max(ARRAY_SIZE(on_stack));
	struct folio **array = on_stack;
	int rc = 0;

	if (npages > ARRAY_SIZE(on_stack)) {
		if (iommufd_should_fail())
			return -ENOMEM;
		max = scratch_max(npages);
		array = kvmalloc_array(max, sizeof(*array), GFP_KERNEL);
		if (!array)
			return -ENOMEM;
	}
	while (!rc && runs->npages != npages) {
		rc = pin_file_step(pages, runs, array, max, first,
				   npages - runs->npages);
		cond_resched();
	}
	if (array != on_stack)
		kvfree(array);
	return rc;
}

static int pin_runs(struct iopt_pages *pages, struct pfn_runs *runs,
		    unsigned long first, unsigned long npages)
{
	int rc;

	pfn_runs_init(runs);
	if (pages->kind == PAGES_USER)
		rc = pin_user_runs(pages, runs, first, npages);
	else
		rc = pin_file_runs(pages, runs, first, npages);
	if (rc) {
		unpin_runs(runs, 0, runs->npages, false);
		pfn_runs_free(runs);
	}
	return rc;
}

/*
 * Extents
 */

static struct pages_extent *to_extent(struct interval_tree_node *node)
{
	return node ? container_of(node, struct pages_extent, node) : NULL;
}

static struct pages_extent *extent_first(struct iopt_pages *pages,
					 unsigned long first,
					 unsigned long last)
{
	return to_extent(interval_tree_iter_first(&pages->extents, first,
						  last));
}

static struct pages_extent *extent_next(struct pages_extent *extent,
					unsigned long first, unsigned long last)
{
	return to_extent(interval_tree_iter_next(&extent->node, first, last));
}

static void extent_free(struct iopt_pages *pages, struct pages_extent *extent)
{
	struct pages_store *store = extent->store;

	if (!--store->extents) {
		pfn_runs_free(&store->runs);
		if (store != &pages->first_store)
			kfree(store);
	}
	if (extent == &pages->first_extent)
		extent->store = NULL;
	else
		kfree(extent);
}

static bool vma_can_be_pinned(const struct vm_area_struct *vma, bool write)
{
	return (vma->vm_flags & (write ? VM_WRITE : VM_READ)) &&
	       !(vma->vm_flags & (VM_IO | VM_PFNMAP));
}

/* With mmap_lock held */
static bool user_range_can_be_pinned(struct iopt_pages *pages,
				     unsigned long first, unsigned long npages)
{
	unsigned long addr = untagged_addr_remote(pages->mm, pages->start) +
			     first * PAGE_SIZE;
	unsigned long last = addr + npages * PAGE_SIZE - 1;
	struct vm_area_struct *vma;
	struct vma_iterator vmi;

	vma_iter_init(&vmi, pages->mm, addr);
	for_each_vma_range(vmi, vma, last + 1) {
		if (vma->vm_start > addr ||
		    !vma_can_be_pinned(vma, pages->writable) ||
		    fatal_signal_pending(current))
			return false;
		if (vma->vm_end > last)
			return true;
		addr = vma->vm_end;
	}
	return false;
}

/*
 * Whether an address is bad counts before whether the limit is reached. This
 * tells after the fact, from what is mapped with which permission: pinning would
 * tell more, such as that a file ends, but the limit is there to forbid that.
 */
static int charge_error(struct iopt_pages *pages, unsigned long first,
			unsigned long npages)
{
	int rc = -ENOMEM;

	if (pages->kind != PAGES_USER)
		return rc;
	if (!mmget_not_zero(pages->mm))
		return -EFAULT;
	if (mmap_read_lock_killable(pages->mm)) {
		rc = -EINTR;
	} else {
		if (!user_range_can_be_pinned(pages, first, npages))
			rc = -EFAULT;
		mmap_read_unlock(pages->mm);
	}
	mmput(pages->mm);
	return rc;
}

/* Pages that nobody has pinned yet, first to last, with one user */
static struct pages_extent *extent_pin(struct iopt_pages *pages,
				       unsigned long first, unsigned long last)
{
	unsigned long npages = last - first + 1;
	struct pages_extent *extent;
	struct pages_store *store;
	int rc = -ENOMEM;

	extent = pages->first_extent.store ?
			 kmalloc_obj(*extent, GFP_KERNEL_ACCOUNT) :
			 &pages->first_extent;
	store = pages->first_store.extents ?
			kmalloc_obj(*store, GFP_KERNEL_ACCOUNT) :
			&pages->first_store;
	if (!extent || !store)
		goto err_free;

	/* Before any page is pinned, so that going over the limit is cheap */
	rc = pages_charge(pages, npages);
	if (rc == -ENOMEM)
		rc = charge_error(pages, first, npages);
	if (rc)
		goto err_free;
	rc = pin_runs(pages, &store->runs, first, npages);
	if (rc)
		goto err_uncharge;

	store->first = first;
	store->extents = 1;
	extent->store = store;
	extent->users = 1;
	extent->node.start = first;
	extent->node.last = last;
	interval_tree_insert(&extent->node, &pages->extents);
	return extent;

err_uncharge:
	pages_uncharge(pages, npages);
err_free:
	if (store != &pages->first_store)
		kfree(store);
	if (extent != &pages->first_extent)
		kfree(extent);
	return ERR_PTR(rc);
}

static void extent_unpin(struct iopt_pages *pages, struct pages_extent *extent)
{
	unsigned long npages = extent->node.last - extent->node.start + 1;

	interval_tree_remove(&extent->node, &pages->extents);
	unpin_runs(&extent->store->runs,
		   extent->node.start - extent->store->first, npages,
		   pages->writable);
	pages_uncharge(pages, npages);
	extent_free(pages, extent);
}

/**
 * pages_split() - make an extent begin at an index, if one covers it
 * @pages: the backing
 * @index: where to cut
 *
 * Changes nothing that anybody can see. Returns 0 or -ENOMEM.
 */
int pages_split(struct iopt_pages *pages, unsigned long index)
{
	struct pages_extent *left, *right;

	lockdep_assert_held(&pages->mutex);

	left = extent_first(pages, index, index);
	if (!left || left->node.start == index)
		return 0;

	right = kmalloc_obj(*right, GFP_KERNEL_ACCOUNT);
	if (!right)
		return -ENOMEM;

	interval_tree_remove(&left->node, &pages->extents);
	right->store = left->store;
	right->store->extents++;
	right->users = left->users;
	right->node.start = index;
	right->node.last = left->node.last;
	left->node.last = index - 1;
	interval_tree_insert(&left->node, &pages->extents);
	interval_tree_insert(&right->node, &pages->extents);
	return 0;
}

/**
 * pages_acquire() - have an interval pinned
 * @pages: the backing
 * @first: first page
 * @last: last page
 *
 * Pins what is not pinned yet, and keeps it so until pages_release() with the
 * same interval. Returns an errno with everything as before: -ENOMEM also for
 * the owner's limit, -EFAULT, -EINTR, and others of the pinning functions.
 */
int pages_acquire(struct iopt_pages *pages, unsigned long first,
		  unsigned long last)
{
	struct pages_extent *extent;
	unsigned long index = first;
	int rc;

	lockdep_assert_held(&pages->mutex);

	if (RB_EMPTY_ROOT(&pages->extents.rb_root))
		return PTR_ERR_OR_ZERO(extent_pin(pages, first, last));

	rc = pages_split(pages, first);
	if (rc)
		return rc;
	if (last != ULONG_MAX) {
		rc = pages_split(pages, last + 1);
		if (rc)
			return rc;
	}

	extent = extent_first(pages, first, last);
	for (;;) {
		if (!extent || extent->node.start != index) {
			extent = extent_pin(pages, index,
					    extent ? extent->node.start - 1 :
						     last);
			if (IS_ERR(extent)) {
				rc = PTR_ERR(extent);
				break;
			}
		} else {
			extent->users++;
		}
		if (extent->node.last == last)
			return 0;
		index = extent->node.last + 1;
		extent = extent_next(extent, index, last);
	}

	if (index != first)
		pages_release(pages, first, index - 1);
	return rc;
}

/**
 * pages_release() - give up an interval
 * @pages: the backing
 * @first: first page of what was acquired
 * @last: last page of what was acquired
 *
 * Unpins what nobody else has acquired. Cannot fail, and allocates nothing.
 */
void pages_release(struct iopt_pages *pages, unsigned long first,
		   unsigned long last)
{
	struct pages_extent *extent, *next;

	lockdep_assert_held(&pages->mutex);

	for (extent = extent_first(pages, first, last); extent; extent = next) {
		next = extent->node.last == last ?
			       NULL : extent_next(extent, first, last);
		if (WARN_ON(extent->node.start < first ||
			    extent->node.last > last))
			continue;
		if (!--extent->users)
			extent_unpin(pages, extent);
	}
}

/**
 * pages_pinned() - how much is pinned
 * @pages: the backing
 *
 * Returns pages, which is also how many are charged.
 */
unsigned long pages_pinned(struct iopt_pages *pages)
{
	struct pages_extent *extent;
	unsigned long npages = 0;

	lockdep_assert_held(&pages->mutex);

	for (extent = extent_first(pages, 0, ULONG_MAX); extent;
	     extent = extent_next(extent, 0, ULONG_MAX))
		npages += extent->node.last - extent->node.start + 1;
	return npages;
}

static void walk_extent(struct pages_walk *walk, struct pages_extent *extent,
			unsigned long first)
{
	walk->extent = extent;
	if (extent)
		pfn_cursor_seek(&walk->cursor, &extent->store->runs,
				first - extent->store->first,
				min(walk->last, extent->node.last) - first + 1);
	else
		walk->cursor.left = 0;
}

/**
 * pages_walk_start() - begin to read page frames
 * @walk: the walk; valid as long as iopt_pages.mutex is held
 * @pages: the backing
 * @first: first page of an acquired interval, or part of one
 * @last: its last page
 */
void pages_walk_start(struct pages_walk *walk, struct iopt_pages *pages,
		      unsigned long first, unsigned long last)
{
	lockdep_assert_held(&pages->mutex);

	walk->last = last;
	walk_extent(walk, extent_first(pages, first, first), first);
}

/**
 * pages_walk_next_extent() - pages_walk_next() at the end of an extent
 * @walk: the walk
 * @pfn: the first frame
 *
 * Returns how many there are, 0 at the end.
 */
unsigned long pages_walk_next_extent(struct pages_walk *walk,
				     unsigned long *pfn)
{
	struct pages_extent *extent = walk->extent;
	unsigned long first;

	if (!extent || extent->node.last >= walk->last)
		return 0;
	first = extent->node.last + 1;
	walk_extent(walk, extent_next(extent, first, first), first);
	return pfn_cursor_next(&walk->cursor, pfn);
}

/*
 * Filling a domain
 */

/**
 * pages_map_small() - map contiguous memory without large IOPTEs
 * @domain: where to
 * @iova: first byte there, page aligned
 * @phys: first byte of memory, page aligned
 * @length: bytes, a multiple of PAGE_SIZE
 * @prot: IOMMU_*
 *
 * Return: 0, or errors of iommu_map() with nothing mapped.
 */
int pages_map_small(struct iommu_domain *domain, unsigned long iova,
		    phys_addr_t phys, unsigned long length, int prot)
{
	unsigned long done;
	int rc;

	for (done = 0; done != length; done += PAGE_SIZE) {
		rc = iommu_map(domain, iova + done, phys + done, PAGE_SIZE,
			       prot, GFP_KERNEL_ACCOUNT);
		if (rc) {
			if (done)
				iommu_unmap(domain, iova, done);
			return rc;
		}
	}
	return 0;
}
