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

static struct iopt_pages *pages_alloc(enum iommufd_account_mode mode,
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
						      mode;
	pages_owner_init(pages);
	return pages;
}

/**
 * pages_alloc_user() - a backing from the caller's address space
 * @mode: where its pages are counted, unless the caller has CAP_IPC_LOCK
 * @uaddr: address of the first byte; does not have to be mapped yet
 * @length: bytes, more than 0; @uaddr + @length does not wrap
 * @writable: whether it may ever be written through a mapping
 * @size: bytes to allocate, of a structure that the backing is the start of
 *
 * Return: the backing with one reference, or ERR_PTR of -EOVERFLOW or -ENOMEM.
 */
struct iopt_pages *pages_alloc_user(enum iommufd_account_mode mode,
				    unsigned long uaddr, unsigned long length,
				    bool writable, size_t size)
{
	struct iopt_pages *pages = pages_alloc(mode, uaddr, length, writable,
					       size);

	if (IS_ERR(pages))
		return pages;
	pages->kind = PAGES_USER;
	return pages;
}

/**
 * pages_alloc_file() - a backing from the page cache of a memfd
 * @mode: where its pages are counted, unless the caller has CAP_IPC_LOCK
 * @file: the file; a reference is taken
 * @start: offset in the file of the first byte
 * @length: bytes, more than 0; @start + @length does not wrap
 * @writable: whether it may ever be written through a mapping
 * @size: bytes to allocate, of a structure that the backing is the start of
 *
 * The mapping counts as a writable one of the file, like a shared mmap does: a
 * file sealed against writing is refused, and sealing it later as well.
 *
 * Return: the backing with one reference, or ERR_PTR of -EOVERFLOW, -ENOMEM, or
 * -EPERM for a file sealed against writing.
 */
struct iopt_pages *pages_alloc_file(enum iommufd_account_mode mode,
				    struct file *file,
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
	pages = pages_alloc(mode, start, length, writable, size);
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
 * @importer: the device that imports it
 * @dmabuf: the buffer; a reference is taken
 * @start: offset in the buffer of the first byte
 * @length: bytes, more than 0
 * @writable: whether it may ever be written through a mapping
 * @size: bytes to allocate, of a structure that the backing is the start of
 *
 * Return: the backing with one reference, or ERR_PTR of an errno of
 * pages_dmabuf_import().
 */
struct iopt_pages *pages_alloc_dmabuf(struct device *importer,
				      struct dma_buf *dmabuf,
				      unsigned long start, unsigned long length,
				      bool writable, size_t size)
{
	struct iopt_pages *pages = pages_alloc(IOMMUFD_ACCOUNT_NONE, start,
					       length, writable, size);
	struct pages_dmabuf *import;

	if (IS_ERR(pages))
		return pages;
	pages->kind = PAGES_DMABUF;
	import = pages_dmabuf_import(importer, dmabuf, start & PAGE_MASK,
				     pages->npages);
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

/* The neighbours of an extent, or NULL if the page next to it is not pinned */
static struct pages_extent *extent_before(struct pages_extent *extent)
{
	struct rb_node *rb = rb_prev(&extent->node.rb);
	struct pages_extent *before;

	if (!rb)
		return NULL;
	before = rb_entry(rb, struct pages_extent, node.rb);
	return before->node.last + 1 == extent->node.start ? before : NULL;
}

static struct pages_extent *extent_after(struct pages_extent *extent)
{
	struct rb_node *rb = rb_next(&extent->node.rb);
	struct pages_extent *after;

	if (!rb)
		return NULL;
	after = rb_entry(rb, struct pages_extent, node.rb);
	return extent->node.last + 1 == after->node.start ? after : NULL;
}

static unsigned long extent_npages(const struct pages_extent *extent)
{
	return extent->node.last - extent->node.start + 1;
}

static void extent_free(struct iopt_pages *pages, struct pages_extent *extent)
{
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

static struct pages_store *store_alloc(struct iopt_pages *pages)
{
	return pages->first_store.extents ?
		       kmalloc_obj(struct pages_store, GFP_KERNEL_ACCOUNT) :
		       &pages->first_store;
}

static void store_free(struct iopt_pages *pages, struct pages_store *store)
{
	if (store != &pages->first_store)
		kfree(store);
}

/* What an extent has in its store is not needed there any more */
static void extent_leave(struct iopt_pages *pages, struct pages_extent *extent)
{
	struct pages_store *store = extent->store;

	if (--store->extents) {
		pfn_runs_drop(&store->runs, extent->node.start - store->first,
			      extent_npages(extent));
		return;
	}
	pfn_runs_free(&store->runs);
	store_free(pages, store);
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
	store = store_alloc(pages);
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
	extent->ends = 0;
	extent->node.start = first;
	extent->node.last = last;
	interval_tree_insert(&extent->node, &pages->extents);
	return extent;

err_uncharge:
	pages_uncharge(pages, npages);
err_free:
	store_free(pages, store);
	if (extent != &pages->first_extent)
		kfree(extent);
	return ERR_PTR(rc);
}

/* Returns how many pages there were; they stay charged */
static unsigned long extent_unpin(struct iopt_pages *pages,
				  struct pages_extent *extent)
{
	unsigned long npages = extent_npages(extent);

	interval_tree_remove(&extent->node, &pages->extents);
	unpin_runs(&extent->store->runs,
		   extent->node.start - extent->store->first, npages,
		   pages->writable);
	extent_leave(pages, extent);
	extent_free(pages, extent);
	return npages;
}

/* Make an extent begin at an index, if one covers it */
static int extent_split(struct iopt_pages *pages, unsigned long index)
{
	struct pages_extent *left, *right;

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
	right->ends = left->ends;
	right->node.start = index;
	right->node.last = left->node.last;
	left->ends = 0;
	left->node.last = index - 1;
	interval_tree_insert(&left->node, &pages->extents);
	interval_tree_insert(&right->node, &pages->extents);
	return 0;
}

/*
 * Undo extent_split() if no interval begins or ends there any more: none ends
 * with the left extent, and none more covers the right one. Otherwise whoever
 * acquired it would not find whole extents when giving it up.
 */
static void extent_join(struct iopt_pages *pages, unsigned long index)
{
	struct pages_extent *left, *right;

	right = extent_first(pages, index, index);
	if (!right || right->node.start != index)
		return;
	left = extent_before(right);
	if (!left || left->ends || left->users != right->users ||
	    left->store != right->store)
		return;

	interval_tree_remove(&left->node, &pages->extents);
	interval_tree_remove(&right->node, &pages->extents);
	left->node.last = right->node.last;
	left->ends = right->ends;
	left->store->extents--;
	extent_free(pages, right);
	interval_tree_insert(&left->node, &pages->extents);
}

/**
 * pages_split() - make two acquired intervals of one
 * @pages: the backing
 * @index: first page of the second one, not of the interval
 *
 * Changes nothing that is pinned.
 *
 * Return: 0 or -ENOMEM.
 */
int pages_split(struct iopt_pages *pages, unsigned long index)
{
	int rc;

	lockdep_assert_held(&pages->mutex);

	rc = extent_split(pages, index);
	if (!rc)
		extent_first(pages, index - 1, index - 1)->ends++;
	return rc;
}

/**
 * pages_unsplit() - undo pages_split()
 * @pages: the backing
 * @index: as there; neither interval was given up meanwhile
 */
void pages_unsplit(struct iopt_pages *pages, unsigned long index)
{
	lockdep_assert_held(&pages->mutex);

	extent_first(pages, index - 1, index - 1)->ends--;
	extent_join(pages, index);
}

/* A store of what is in some neighbouring extents, left to right */
static struct pages_store *store_copy(struct iopt_pages *pages,
				      struct pages_extent *left,
				      struct pages_extent *right)
{
	struct pages_store *store = store_alloc(pages);
	struct pages_walk walk;
	unsigned long pfn, nr;
	int rc;

	if (!store)
		return ERR_PTR(-ENOMEM);
	store->first = left->node.start;
	store->extents = 0;
	pfn_runs_init(&store->runs);
	pages_walk_start(&walk, pages, left->node.start, right->node.last);
	while ((nr = pages_walk_next(&walk, &pfn))) {
		rc = pfn_runs_append(&store->runs, pfn, nr);
		if (rc) {
			pfn_runs_free(&store->runs);
			store_free(pages, store);
			return ERR_PTR(rc);
		}
		cond_resched();
	}
	return store;
}

static bool extents_share_store(struct pages_extent *left,
				struct pages_extent *right)
{
	for (; left != right; left = extent_after(left)) {
		if (left->store != right->store)
			return false;
	}
	return true;
}

/*
 * Move what is in neighbouring extents, left to right, to a store of their own,
 * unless they have one in common.
 */
static int extents_move(struct iopt_pages *pages, struct pages_extent *left,
			struct pages_extent *right)
{
	unsigned long last = right->node.last;
	struct pages_extent *extent, *next;
	struct pages_store *store;

	if (extents_share_store(left, right))
		return 0;
	store = store_copy(pages, left, right);
	if (IS_ERR(store))
		return PTR_ERR(store);

	for (extent = left; extent; extent = next) {
		next = extent->node.last == last ? NULL : extent_after(extent);
		extent_leave(pages, extent);
		extent->store = store;
		store->extents++;
		extent_join(pages, extent->node.start);
	}
	return 0;
}

/*
 * Have an acquired interval, the extents left to right, in three stores at most.
 * The outer ones go on beyond
 * the interval: to move a part of them would only move the place where the store
 * changes into an interval of somebody else.
 */
static int extents_gather(struct iopt_pages *pages, struct pages_extent *left,
			  struct pages_extent *right)
{
	struct pages_extent *before = extent_before(left);
	struct pages_extent *after = extent_after(right);

	if (before) {
		for (; left->store == before->store; left = extent_after(left))
			if (left == right)
				return 0;
	}
	if (after) {
		for (; right->store == after->store;
		     right = extent_before(right))
			if (left == right)
				return 0;
	}
	return extents_move(pages, left, right);
}

/* With extents that begin and end where the interval does */
static int extents_acquire(struct iopt_pages *pages, unsigned long first,
			   unsigned long last)
{
	struct pages_extent *extent = extent_first(pages, first, last);
	struct pages_extent *left = NULL, *right = NULL;
	unsigned long index = first;
	int rc = 0;

	for (;;) {
		if (!extent || extent->node.start != index)
			extent = extent_pin(pages, index,
					    extent ? extent->node.start - 1 :
						     last);
		else if (extent->users == U32_MAX)
			extent = ERR_PTR(-EOVERFLOW);
		else
			extent->users++;
		if (IS_ERR(extent)) {
			rc = PTR_ERR(extent);
			break;
		}
		left = left ?: extent;
		right = extent;
		if (extent->node.last == last)
			break;
		index = extent->node.last + 1;
		extent = extent_next(extent, index, last);
	}
	if (!right)
		return rc;

	/* Possibly less of it, to be given up again */
	right->ends++;
	index = right->node.last;
	if (!rc && left != right)
		rc = extents_gather(pages, left, right);
	if (rc)
		pages_release(pages, first, index);
	return rc;
}

/**
 * pages_acquire() - have an interval pinned
 * @pages: the backing
 * @first: first page
 * @last: last page
 *
 * Pins what is not pinned yet, and keeps it so until pages_release() with the
 * same interval.
 *
 * Return: 0, or an errno with everything as before: -ENOMEM also for the
 * owner's limit, -EOVERFLOW for too many users, -EFAULT, -EINTR, and others of
 * the pinning functions.
 */
int pages_acquire(struct iopt_pages *pages, unsigned long first,
		  unsigned long last)
{
	struct pages_extent *extent;
	int rc;

	lockdep_assert_held(&pages->mutex);

	if (RB_EMPTY_ROOT(&pages->extents.rb_root)) {
		extent = extent_pin(pages, first, last);
		if (IS_ERR(extent))
			return PTR_ERR(extent);
		extent->ends = 1;
		return 0;
	}

	rc = extent_split(pages, first);
	if (!rc)
		rc = extent_split(pages, last + 1);
	if (!rc)
		rc = extents_acquire(pages, first, last);
	if (rc) {
		extent_join(pages, first);
		extent_join(pages, last + 1);
	}
	return rc;
}

/*
 * An interval was given up that others go on to cover. Where it began and ended
 * is joined only when it is the turn of the next one, because the same pages are
 * often acquired again soon.
 */
static void extents_settle(struct iopt_pages *pages, unsigned long first,
			   unsigned long last)
{
	if (pages->apart_first == first && pages->apart_last == last)
		return;
	extent_join(pages, pages->apart_first);
	extent_join(pages, pages->apart_last + 1);
	pages->apart_first = first;
	pages->apart_last = last;
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
	unsigned long unpinned = 0;
	bool kept = false;

	lockdep_assert_held(&pages->mutex);

	for (extent = extent_first(pages, first, last); extent; extent = next) {
		next = NULL;
		if (extent->node.last == last)
			extent->ends--;
		else
			next = extent_next(extent, first, last);
		if (WARN_ON(extent->node.start < first ||
			    extent->node.last > last))
			continue;
		if (--extent->users)
			kept = true;
		else
			unpinned += extent_unpin(pages, extent);
	}

	if (kept)
		extents_settle(pages, first, last);
	if (unpinned)
		pages_uncharge(pages, unpinned);
}

/**
 * pages_pinned() - how much is pinned
 * @pages: the backing
 *
 * Return: pages, which is also how many are charged.
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
 * Return: how many there are, 0 at the end.
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
 * Return: 0, or with nothing mapped -EINTR when the caller is killed, and
 * errors of iommu_map().
 */
int pages_map_small(struct iommu_domain *domain, unsigned long iova,
		    phys_addr_t phys, unsigned long length, int prot)
{
	const unsigned long step = pages_between_looks() * PAGE_SIZE;
	unsigned long done;
	int rc = 0;

	for (done = 0; done != length; done += PAGE_SIZE) {
		if (done && IS_ALIGNED(done, step))
			rc = pages_look();
		if (!rc)
			rc = iommu_map(domain, iova + done, phys + done,
				       PAGE_SIZE, prot, GFP_KERNEL_ACCOUNT);
		if (rc) {
			if (done)
				iommu_unmap(domain, iova, done);
			return rc;
		}
	}
	return 0;
}
