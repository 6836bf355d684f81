// SPDX-License-Identifier: GPL-2.0-only
/*
 * A backing: what is pinned of it, and for whom.
 */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <trace/events/iommufd.h>

#include "pages.h"
#include "pinning.h"

/**
 * iopt_pages_init() - make a backing, for those who know where it comes from
 * @pages: the backing, with any content
 * @ops: where that is
 * @mode: where its pages are counted, see pages_owner_init()
 * @start: address or offset of the first byte
 * @length: bytes, more than 0
 * @writable: whether it may ever be written through a mapping
 *
 * Return: 0 with one reference, or -EOVERFLOW.
 */
int iopt_pages_init(struct iopt_pages *pages, const struct iopt_pages_ops *ops,
		    enum iommufd_account_mode mode, unsigned long start,
		    unsigned long length, bool writable)
{
	unsigned long bytes;

	/* The interval trees and run lengths count pages, up to ULONG_MAX - 1 */
	if (check_add_overflow(length, offset_in_page(start), &bytes) ||
	    bytes > ULONG_MAX - (PAGE_SIZE - 1))
		return -EOVERFLOW;

	pages->ops = ops;
	refcount_set(&pages->ref, 1);
	mutex_init(&pages->mutex);
	pages->npages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	pages->start = start & PAGE_MASK;
	pages->writable = writable;
	pages->frames = NULL;
	pages->shared = NULL;
	pages->extents = RB_ROOT_CACHED;
	/* Not in use; whoever uses them sets the rest */
	pages->first_extent.store = NULL;
	pages->first_store.extents = 0;
	pages->apart_first = 0;
	pages->apart_last = 0;
	pages_owner_init(&pages->owner, mode);
	return 0;
}

/**
 * iopt_pages_free() - free a backing, for iopt_pages_put()
 * @pages: the backing, with nothing acquired, at the start of what was allocated
 */
void iopt_pages_free(struct iopt_pages *pages)
{
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&pages->extents.rb_root) ||
		     pages->first_extent.store);

	if (pages->ops->free)
		pages->ops->free(pages);
	pages_owner_put(&pages->owner);
	mutex_destroy(&pages->mutex);
	kfree(pages);
}

/*
 * Extents
 */

/* Is there one extent, which nothing has looked for so far */
static bool extent_is_alone(const struct iopt_pages *pages)
{
	return RB_EMPTY_ROOT(&pages->extents.rb_root) &&
	       pages->first_extent.store;
}

/**
 * iopt_pages_extent() - find pinned pages
 * @pages: the backing
 * @first: first page of an interval
 * @last: its last page
 *
 * Return: the lowest extent that intersects it, or NULL.
 */
struct pages_extent *iopt_pages_extent(struct iopt_pages *pages,
				       unsigned long first, unsigned long last)
{
	struct interval_tree_node *node;

	lockdep_assert_held(&pages->mutex);

	if (extent_is_alone(pages))
		interval_tree_insert(&pages->first_extent.node,
				     &pages->extents);
	node = interval_tree_iter_first(&pages->extents, first, last);
	return node ? container_of(node, struct pages_extent, node) : NULL;
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

/* More intervals cover pages that another one covers, or fewer */
static void pages_count_shared(struct iopt_pages *pages, long npages)
{
	if (pages->shared)
		atomic_long_add(npages, pages->shared);
}

static void extent_free(struct iopt_pages *pages, struct pages_extent *extent)
{
	if (extent == &pages->first_extent)
		extent->store = NULL;
	else
		kfree(extent);
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
static __always_inline void extent_leave(struct iopt_pages *pages,
					 struct pages_extent *extent)
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

/* Charge for pages that nobody has pinned yet, and pin them for one extent */
static __always_inline int store_pin(struct iopt_pages *pages,
				     struct pages_store *store,
				     unsigned long first, unsigned long npages)
{
	int rc;

	/* Before any page is pinned, so that going over the limit is cheap */
	rc = pages_owner_charge(&pages->owner, npages);
	if (rc == -ENOMEM && pages->ops->refused)
		rc = pages->ops->refused(pages, first, npages);
	if (rc)
		return rc;
	rc = pages_pin(pages, &store->runs, first, npages);
	trace_iommufd_pin(pages->owner.task->tgid,
			  pages->start + ((u64)first << PAGE_SHIFT),
			  (u64)npages << PAGE_SHIFT, pages->ops->any_owner, rc);
	if (rc) {
		pages_owner_uncharge(&pages->owner, npages);
		return rc;
	}
	store->first = first;
	store->extents = 1;
	return 0;
}

/* An extent with one user, whose interval ends there or not */
static __always_inline void extent_init(struct pages_extent *extent,
					struct pages_store *store,
					unsigned long first, unsigned long last,
					u32 ends)
{
	extent->store = store;
	extent->users = 1;
	extent->ends = ends;
	extent->node.start = first;
	extent->node.last = last;
}

/* Pages that nobody has pinned yet, next to others that somebody has */
static struct pages_extent *extent_pin(struct iopt_pages *pages,
				       unsigned long first, unsigned long last)
{
	struct pages_extent *extent;
	struct pages_store *store;
	int rc = -ENOMEM;

	extent = pages->first_extent.store ?
			 kmalloc_obj(*extent, GFP_KERNEL_ACCOUNT) :
			 &pages->first_extent;
	store = store_alloc(pages);
	if (extent && store)
		rc = store_pin(pages, store, first, last - first + 1);
	if (rc)
		goto err_free;
	extent_init(extent, store, first, last, 0);
	interval_tree_insert(&extent->node, &pages->extents);
	return extent;

err_free:
	store_free(pages, store);
	if (extent != &pages->first_extent)
		kfree(extent);
	return ERR_PTR(rc);
}

/*
 * Pages of an idle backing. Until somebody looks for them, which for most never
 * happens, the extent is not put into the tree.
 */
static __always_inline int extent_pin_alone(struct iopt_pages *pages,
					    unsigned long first,
					    unsigned long last)
{
	int rc = store_pin(pages, &pages->first_store, first, last - first + 1);

	if (!rc)
		extent_init(&pages->first_extent, &pages->first_store, first,
			    last, 1);
	return rc;
}

/*
 * Nothing has looked for the extent since it was pinned, so one acquisition is
 * all there was
 */
static __always_inline void extent_unpin_alone(struct iopt_pages *pages)
{
	struct pfn_runs *runs = &pages->first_store.runs;
	unsigned long npages = runs->npages;

	pages_unpin(runs, 0, npages, pages->writable);
	pfn_runs_free(runs);
	pages->first_store.extents = 0;
	pages->first_extent.store = NULL;
	pages_owner_uncharge(&pages->owner, npages);
}

/* Returns how many pages there were; they stay charged */
static unsigned long extent_unpin(struct iopt_pages *pages,
				  struct pages_extent *extent)
{
	unsigned long npages = extent_npages(extent);

	interval_tree_remove(&extent->node, &pages->extents);
	pages_unpin(&extent->store->runs,
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

	left = iopt_pages_extent(pages, index, index);
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

	right = iopt_pages_extent(pages, index, index);
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
 * iopt_pages_split() - make two acquired intervals of one
 * @pages: the backing
 * @index: first page of the second one, not of the interval
 *
 * Changes nothing that is pinned.
 *
 * Return: 0 or -ENOMEM.
 */
int iopt_pages_split(struct iopt_pages *pages, unsigned long index)
{
	int rc;

	lockdep_assert_held(&pages->mutex);

	rc = extent_split(pages, index);
	if (!rc)
		iopt_pages_extent(pages, index - 1, index - 1)->ends++;
	return rc;
}

/**
 * iopt_pages_unsplit() - undo iopt_pages_split()
 * @pages: the backing
 * @index: first page of the second interval; neither was given up meanwhile
 */
void iopt_pages_unsplit(struct iopt_pages *pages, unsigned long index)
{
	lockdep_assert_held(&pages->mutex);

	iopt_pages_extent(pages, index - 1, index - 1)->ends--;
	extent_join(pages, index);
}

/* Add what is in an extent to the end of another store than its own */
static int store_append(struct pages_store *store,
			const struct pages_extent *extent)
{
	struct pfn_cursor cursor;
	unsigned long pfn, nr;
	int rc;

	pfn_cursor_seek(&cursor, &extent->store->runs,
			extent->node.start - extent->store->first,
			extent_npages(extent));
	while ((nr = pfn_cursor_next(&cursor, &pfn))) {
		rc = pfn_runs_append(&store->runs, pfn, nr);
		if (rc)
			return rc;
		cond_resched();
	}
	return 0;
}

/* A store of what is in some neighbouring extents, left to right */
static struct pages_store *store_copy(struct iopt_pages *pages,
				      struct pages_extent *left,
				      struct pages_extent *right)
{
	struct pages_store *store = store_alloc(pages);
	struct pages_extent *extent = left;
	int rc;

	if (!store)
		return ERR_PTR(-ENOMEM);
	store->first = left->node.start;
	store->extents = 0;
	pfn_runs_init(&store->runs);
	for (;;) {
		rc = store_append(store, extent);
		if (rc || extent == right)
			break;
		extent = extent_after(extent);
	}
	if (rc) {
		pfn_runs_free(&store->runs);
		store_free(pages, store);
		return ERR_PTR(rc);
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
 * The outer ones go on beyond the interval: to move a part of them would only move
 * the place where the store changes into an interval of somebody else.
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

/* Pages that somebody has pinned */
static struct pages_extent *extent_share(struct iopt_pages *pages,
					 struct pages_extent *extent)
{
	if (extent->users == U32_MAX)
		return ERR_PTR(-EOVERFLOW);
	extent->users++;
	pages_count_shared(pages, extent_npages(extent));
	return extent;
}

/* With extents that begin and end where the interval does */
static int extents_pin(struct iopt_pages *pages, unsigned long first,
		       unsigned long last)
{
	struct pages_extent *extent = iopt_pages_extent(pages, first, last);
	struct pages_extent *left = NULL, *right = NULL;
	unsigned long index = first;
	int rc = 0;

	for (;;) {
		if (!extent || extent->node.start != index)
			extent = extent_pin(pages, index,
					    extent ? extent->node.start - 1 :
						     last);
		else
			extent = extent_share(pages, extent);
		if (IS_ERR(extent)) {
			rc = PTR_ERR(extent);
			break;
		}
		left = left ?: extent;
		right = extent;
		if (extent->node.last == last)
			break;
		index = extent->node.last + 1;
		extent = pages_extent_next(extent, index, last);
	}
	if (!right)
		return rc;

	/* Possibly less of it, to be given up again */
	right->ends++;
	index = right->node.last;
	if (!rc && left != right)
		rc = extents_gather(pages, left, right);
	if (rc)
		iopt_pages_release(pages, first, index);
	return rc;
}

static noinline int extents_acquire(struct iopt_pages *pages,
				    unsigned long first, unsigned long last)
{
	int rc;

	rc = extent_split(pages, first);
	if (!rc)
		rc = extent_split(pages, last + 1);
	if (!rc)
		rc = extents_pin(pages, first, last);
	if (rc) {
		extent_join(pages, first);
		extent_join(pages, last + 1);
	}
	return rc;
}

/**
 * iopt_pages_acquire() - have an interval pinned
 * @pages: the backing
 * @first: first page
 * @last: last page
 *
 * Pins what is not pinned yet, and keeps it so until iopt_pages_release() with the
 * same interval.
 *
 * Return: 0, or an errno with everything as before: -ENOMEM also for the
 * owner's limit, -EOVERFLOW for too many users, -EFAULT, -EINTR, and others of
 * the pinning functions.
 */
int iopt_pages_acquire(struct iopt_pages *pages, unsigned long first,
		       unsigned long last)
{
	lockdep_assert_held(&pages->mutex);

	if (likely(RB_EMPTY_ROOT(&pages->extents.rb_root) &&
		   !pages->first_extent.store))
		return extent_pin_alone(pages, first, last);
	return extents_acquire(pages, first, last);
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

static noinline void extents_release(struct iopt_pages *pages,
				     unsigned long first, unsigned long last)
{
	struct pages_extent *extent, *next;
	unsigned long unpinned = 0;
	bool kept = false;

	for (extent = iopt_pages_extent(pages, first, last); extent;
	     extent = next) {
		next = NULL;
		if (extent->node.last == last)
			extent->ends--;
		else
			next = pages_extent_next(extent, first, last);
		if (WARN_ON_ONCE(extent->node.start < first ||
				 extent->node.last > last))
			continue;
		if (--extent->users) {
			pages_count_shared(pages, -extent_npages(extent));
			kept = true;
		} else {
			unpinned += extent_unpin(pages, extent);
		}
	}

	if (kept)
		extents_settle(pages, first, last);
	if (unpinned)
		pages_owner_uncharge(&pages->owner, unpinned);
}

/**
 * iopt_pages_release() - give up an interval
 * @pages: the backing
 * @first: first page of what was acquired
 * @last: last page of what was acquired
 *
 * Unpins what nobody else has acquired. Cannot fail, and allocates nothing.
 */
void iopt_pages_release(struct iopt_pages *pages, unsigned long first,
			unsigned long last)
{
	lockdep_assert_held(&pages->mutex);

	/* A mapping that nobody shares */
	if (likely(extent_is_alone(pages)))
		extent_unpin_alone(pages);
	else
		extents_release(pages, first, last);
}

/**
 * iopt_pages_pinned() - how much is pinned
 * @pages: the backing
 *
 * Return: pages, which is also how many are charged.
 */
unsigned long iopt_pages_pinned(struct iopt_pages *pages)
{
	struct pages_extent *extent;
	unsigned long npages = 0;

	lockdep_assert_held(&pages->mutex);

	for (extent = iopt_pages_extent(pages, 0, ULONG_MAX); extent;
	     extent = pages_extent_next(extent, 0, ULONG_MAX))
		npages += extent->node.last - extent->node.start + 1;
	return npages;
}
