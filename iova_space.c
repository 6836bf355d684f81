// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which IOVA is taken, reserved, or set aside for automatic allocation.
 */
#include <linux/errno.h>
#include <linux/interval_tree.h>
#include <linux/limits.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/rbtree_augmented.h>
#include <linux/slab.h>

#include "iova_space.h"

static struct iova_node *to_node(const struct rb_node *rb)
{
	return rb_entry_safe(rb, struct iova_node, rb);
}

static unsigned long node_gap(struct iova_node *node)
{
	return node->gap;
}

RB_DECLARE_CALLBACKS_MAX(static, iova_gap_callbacks, struct iova_node, rb,
			 unsigned long, max_gap, node_gap)

/* The lowest range of a tree that intersects an interval */
static struct interval_tree_node *
first_range(const struct rb_root_cached *tree, unsigned long start,
	    unsigned long last)
{
	return interval_tree_iter_first((struct rb_root_cached *)tree, start,
					last);
}

/**
 * iova_space_init() - make an empty space
 * @space: the space
 */
void iova_space_init(struct iova_space *space)
{
	space->nodes = RB_ROOT;
	space->lowest = NULL;
	space->highest = NULL;
	space->nr_nodes = 0;
	space->taken = 0;
	space->reserved = RB_ROOT_CACHED;
	space->owners = RB_ROOT;
	space->clear = IOVA_RANGE_EMPTY;
	space->allowed = RB_ROOT_CACHED;
}

/**
 * iova_space_search() - iova_space_first() when the lowest node does not tell
 * @space: the space
 * @iova: first byte of the interval
 * @last: last byte of the interval
 *
 * Return: the node, or NULL when none intersects the interval.
 */
struct iova_node *iova_space_search(const struct iova_space *space,
				    unsigned long iova, unsigned long last)
{
	struct rb_node *rb = space->nodes.rb_node;
	struct iova_node *found = NULL;

	while (rb) {
		struct iova_node *node = to_node(rb);

		if (node->last < iova) {
			rb = rb->rb_right;
		} else {
			found = node;
			if (node->iova <= iova)
				break;
			rb = rb->rb_left;
		}
	}
	return found && found->iova <= last ? found : NULL;
}

/**
 * iova_space_next() - the node after, if it begins in the interval
 * @node: a node of iova_space_first() or this function
 * @last: last byte of the interval
 *
 * Return: the node, or NULL when there is none.
 */
struct iova_node *iova_space_next(const struct iova_node *node,
				  unsigned long last)
{
	struct iova_node *next = to_node(rb_next(&node->rb));

	return next && next->iova <= last ? next : NULL;
}

/*
 * Where an interval would go that begins at an address. IOVA is often handed out
 * in order, and then there is no need to look at the tree.
 */
static void find_slot(const struct iova_space *space, unsigned long iova,
		      struct iova_slot *slot)
{
	struct iova_node *prev = NULL, *next = NULL, *parent = NULL;
	struct rb_node *rb = space->nodes.rb_node;

	if (space->highest && iova > space->highest->last) {
		prev = space->highest;
		parent = prev;
		rb = NULL;
	}
	while (rb) {
		parent = to_node(rb);
		if (iova < parent->iova) {
			next = parent;
			rb = rb->rb_left;
		} else {
			prev = parent;
			rb = rb->rb_right;
		}
	}
	slot->parent = parent;
	slot->prev = prev;
	slot->next = next;
}

/* A gap has grown: so may have the largest one of the subtrees it is in */
static void raise_max_gap(struct rb_node *rb, unsigned long gap)
{
	for (; rb && to_node(rb)->max_gap < gap; rb = rb_parent(rb))
		to_node(rb)->max_gap = gap;
}

/* With a subtree below the node that is right already */
static void set_gap(struct iova_node *node, unsigned long gap)
{
	unsigned long old = node->gap;

	node->gap = gap;
	if (gap > old)
		raise_max_gap(&node->rb, gap);
	else if (gap < old)
		iova_gap_callbacks.propagate(&node->rb, NULL);
}

static noinline bool look_reserved(struct iova_space *space,
				   unsigned long iova, unsigned long last)
{
	struct interval_tree_node *node;

	node = first_range(&space->reserved, iova, ULONG_MAX);
	if (node && node->start <= last)
		return true;
	space->clear.last = node ? node->start - 1 : ULONG_MAX;
	space->clear.start = iova;
	if (iova && !first_range(&space->reserved, 0, iova - 1))
		space->clear.start = 0;
	return false;
}

/* Mappings mostly are where others are, so one answer does for many of them */
static bool is_reserved(struct iova_space *space, unsigned long iova,
			unsigned long last)
{
	if (likely(iova >= space->clear.start && last <= space->clear.last))
		return false;
	return look_reserved(space, iova, last);
}

/**
 * iova_space_find_slot() - find the place for an interval that can be taken
 * @space: the space
 * @iova: first byte
 * @last: last byte
 * @slot: gets the place for iova_space_insert_at()
 *
 * Return: -EINVAL when it meets a reserved range, -EEXIST when it meets a node,
 * in this order, or 0.
 */
int iova_space_find_slot(struct iova_space *space, unsigned long iova,
			 unsigned long last, struct iova_slot *slot)
{
	if (is_reserved(space, iova, last))
		return -EINVAL;
	find_slot(space, iova, slot);
	if ((slot->prev && slot->prev->last >= iova) ||
	    (slot->next && slot->next->iova <= last))
		return -EEXIST;
	return 0;
}

/**
 * iova_space_insert_at() - take an interval whose place is known
 * @space: the space
 * @slot: of iova_space_find_slot() for this interval, with nothing changed since
 * @node: has @iova and @last set
 */
void iova_space_insert_at(struct iova_space *space,
			  const struct iova_slot *slot, struct iova_node *node)
{
	struct iova_node *prev = slot->prev, *next = slot->next;
	struct rb_node **link = &space->nodes.rb_node;
	struct rb_node *parent = NULL;

	if (slot->parent) {
		parent = &slot->parent->rb;
		link = slot->parent == prev ? &parent->rb_right :
					      &parent->rb_left;
	}
	node->gap = prev ? node->iova - (prev->last + 1) : 0;
	node->max_gap = node->gap;
	rb_link_node(&node->rb, parent, link);
	raise_max_gap(parent, node->gap);
	if (next)
		set_gap(next, next->iova - (node->last + 1));
	else
		space->highest = node;
	if (!prev)
		space->lowest = node;
	rb_insert_augmented(&node->rb, &space->nodes, &iova_gap_callbacks);
	space->nr_nodes++;
	space->taken += node->last - node->iova + 1;
}

/**
 * iova_space_insert() - take an interval
 * @space: the space
 * @node: has @iova and @last set; intersects no other node
 */
void iova_space_insert(struct iova_space *space, struct iova_node *node)
{
	struct iova_slot slot;

	find_slot(space, node->iova, &slot);
	iova_space_insert_at(space, &slot, node);
}

/**
 * iova_space_erase() - free an interval
 * @space: the space
 * @node: a node in it
 */
void iova_space_erase(struct iova_space *space, struct iova_node *node)
{
	struct iova_node *next = NULL;

	if (node != space->highest)
		next = to_node(rb_next(&node->rb));
	else if (node == space->lowest)
		space->highest = NULL;
	else
		space->highest = to_node(rb_prev(&node->rb));

	/*
	 * The gap that it leaves is larger than those it was between. Whoever
	 * has that below already need not be told that the others are gone.
	 */
	if (node == space->lowest) {
		space->lowest = next;
		if (next)
			set_gap(next, 0);
	} else if (next) {
		set_gap(next, next->gap + node->gap +
			      (node->last - node->iova) + 1);
	}
	rb_erase_augmented(&node->rb, &space->nodes, &iova_gap_callbacks);
	space->nr_nodes--;
	space->taken -= node->last - node->iova + 1;
}

/* The leftmost node of a subtree that is known to have one with that gap */
static struct iova_node *leftmost_gap(struct rb_node *rb, unsigned long length)
{
	for (;;) {
		struct iova_node *left = to_node(rb->rb_left);

		if (left && left->max_gap >= length) {
			rb = rb->rb_left;
			continue;
		}
		if (to_node(rb)->gap >= length)
			return to_node(rb);
		rb = rb->rb_right;
	}
}

/* The next node in ascending order that has at least that gap before it */
static struct iova_node *next_gap(struct iova_node *node, unsigned long length)
{
	struct rb_node *rb = &node->rb;
	struct rb_node *parent;

	if (rb->rb_right && to_node(rb->rb_right)->max_gap >= length)
		return leftmost_gap(rb->rb_right, length);

	while ((parent = rb_parent(rb))) {
		if (rb == parent->rb_left) {
			if (to_node(parent)->gap >= length)
				return to_node(parent);
			if (parent->rb_right &&
			    to_node(parent->rb_right)->max_gap >= length)
				return leftmost_gap(parent->rb_right, length);
		}
		rb = parent;
	}
	return NULL;
}

/**
 * struct iova_fit - what is looked for
 * @length: bytes
 * @align: alignment in bytes, a power of two
 * @offset: bits of the address below a page that the result should have
 */
struct iova_fit {
	unsigned long length;
	unsigned long align;
	unsigned long offset;
};

/* Find a place in an interval without node or reserved range */
static bool fit_hole(const struct iova_fit *fit, unsigned long start,
		     unsigned long last, unsigned long *iova)
{
	unsigned long candidate;

	if (start > ULONG_MAX - (fit->align - 1))
		return false;
	candidate = ALIGN(start, fit->align) | fit->offset;
	if (candidate > last || last - candidate < fit->length - 1)
		return false;
	*iova = candidate;
	return true;
}

/* Where to go on in an interval after a part of it, if anything is left */
static bool go_on(const struct iova_range *part, unsigned long last,
		  unsigned long *start)
{
	if (part->start > part->last)
		return true;
	*start = part->last + 1;
	return part->last < last;
}

/*
 * The next part of an interval that no range of a tree covers: the one after
 * @hole, or the first when that is empty. The kernel's iterator for this is not
 * there in a kernel that was built without iommufd.
 */
static bool next_hole(const struct rb_root_cached *tree, unsigned long start,
		      unsigned long last, struct iova_range *hole)
{
	struct interval_tree_node *node;

	if (!go_on(hole, last, &start))
		return false;
	while ((node = first_range(tree, start, start))) {
		if (node->last >= last)
			return false;
		start = node->last + 1;
	}
	node = first_range(tree, start, last);
	hole->start = start;
	hole->last = node ? node->start - 1 : last;
	return true;
}

/*
 * The next part of an interval that ranges of a tree cover, adjacent ones as
 * one: the one after @part, or the first when that is empty.
 */
static bool next_covered(const struct rb_root_cached *tree, unsigned long start,
			 unsigned long last, struct iova_range *part)
{
	struct interval_tree_node *node;

	if (!go_on(part, last, &start))
		return false;
	node = first_range(tree, start, last);
	if (!node)
		return false;
	part->start = max(start, node->start);
	do {
		part->last = min(last, node->last);
		if (part->last == last)
			break;
		node = first_range(tree, part->last + 1, part->last + 1);
	} while (node);
	return true;
}

/**
 * iova_space_next_usable() - find what is not reserved
 * @space: the space
 * @range: the one before, or empty for the first; gets the range
 *
 * Return: false when there is no further one.
 */
bool iova_space_next_usable(const struct iova_space *space,
			    struct iova_range *range)
{
	return next_hole(&space->reserved, 0, ULONG_MAX, range);
}

/* Find a place in an interval without node */
static bool fit_gap(const struct iova_space *space, const struct iova_fit *fit,
		    unsigned long start, unsigned long last,
		    unsigned long *iova)
{
	struct iova_range hole = IOVA_RANGE_EMPTY;

	while (next_hole(&space->reserved, start, last, &hole)) {
		if (fit_hole(fit, hole.start, hole.last, iova))
			return true;
	}
	return false;
}

/* Where the gap before a node begins */
static unsigned long gap_start(const struct iova_space *space,
			       const struct iova_node *node)
{
	return node == space->lowest ? 0 : node->iova - node->gap;
}

/* Find a place in an interval */
static bool fit_range(struct iova_space *space, const struct iova_fit *fit,
		      unsigned long start, unsigned long last,
		      unsigned long *iova)
{
	struct iova_node *node = iova_space_first(space, start, ULONG_MAX);
	unsigned long from;

	/* Only nodes with room before them are looked at, except the first */
	for (; node; node = next_gap(node, fit->length)) {
		from = max(start, gap_start(space, node));
		if (from > last)
			return false;
		if (node->iova > from &&
		    fit_gap(space, fit, from, min(last, node->iova - 1), iova))
			return true;
	}

	node = space->highest;
	if (node && node->last >= start) {
		if (node->last >= last)
			return false;
		start = node->last + 1;
	}
	return fit_gap(space, fit, start, last, iova);
}

/**
 * iova_space_find() - find the lowest free interval
 * @space: the space
 * @length: bytes, more than 0
 * @align: alignment of the result in bytes, a power of two
 * @offset: offset in a page the result should have, a multiple of @align; it
 *	has it whenever the free hole starts at a page boundary
 * @iova: result
 *
 * Stays in the allowed ranges, and clear of the first and last page of the
 * space, so that 0 is never a result. Adjacent allowed ranges count as one.
 *
 * Return: 0 or -ENOSPC.
 */
int iova_space_find(struct iova_space *space, unsigned long length,
		    unsigned long align, unsigned long offset,
		    unsigned long *iova)
{
	const struct iova_fit fit = {
		.length = length,
		.align = align,
		.offset = offset,
	};
	struct iova_range part = IOVA_RANGE_EMPTY;

	if (RB_EMPTY_ROOT(&space->allowed.rb_root))
		return fit_range(space, &fit, PAGE_SIZE, ULONG_MAX - PAGE_SIZE,
				 iova) ? 0 : -ENOSPC;

	while (next_covered(&space->allowed, PAGE_SIZE, ULONG_MAX - PAGE_SIZE,
			    &part)) {
		if (fit_range(space, &fit, part.start, part.last, iova))
			return 0;
	}
	return -ENOSPC;
}

static bool reserved_less(struct rb_node *a, const struct rb_node *b)
{
	return (uintptr_t)rb_entry(a, struct iova_reserved, rb)->owner <
	       (uintptr_t)rb_entry(b, struct iova_reserved, rb)->owner;
}

static int reserved_cmp(const void *owner, const struct rb_node *rb)
{
	uintptr_t a = (uintptr_t)owner;
	uintptr_t b = (uintptr_t)rb_entry(rb, struct iova_reserved, rb)->owner;

	return a < b ? -1 : a > b;
}

/**
 * iova_space_reserve() - keep an interval from being mapped
 * @space: the space
 * @start: first byte
 * @last: last byte
 * @owner: what iova_space_unreserve() is called with
 *
 * Return: -EADDRINUSE when it meets a node or an allowed range, or -ENOMEM.
 */
int iova_space_reserve(struct iova_space *space, unsigned long start,
		       unsigned long last, void *owner)
{
	struct iova_reserved *reserved;

	if (iova_space_first(space, start, last) ||
	    first_range(&space->allowed, start, last))
		return -EADDRINUSE;

	reserved = kzalloc_obj(*reserved, GFP_KERNEL_ACCOUNT);
	if (!reserved)
		return -ENOMEM;
	reserved->node.start = start;
	reserved->node.last = last;
	reserved->owner = owner;
	interval_tree_insert(&reserved->node, &space->reserved);
	rb_add(&reserved->rb, &space->owners, reserved_less);
	space->clear = IOVA_RANGE_EMPTY;
	return 0;
}

/**
 * iova_space_unreserve() - drop the reservations of an owner
 * @space: the space
 * @owner: whose
 */
void iova_space_unreserve(struct iova_space *space, void *owner)
{
	struct iova_reserved *reserved;
	struct rb_node *rb;

	/* Of an owner there are few, but there may be many owners */
	while ((rb = rb_find(owner, &space->owners, reserved_cmp))) {
		reserved = rb_entry(rb, struct iova_reserved, rb);
		interval_tree_remove(&reserved->node, &space->reserved);
		rb_erase(&reserved->rb, &space->owners);
		kfree(reserved);
	}
}

/**
 * iova_allowed_add() - add a range to a list of allowed ones
 * @allowed: struct iova_allowed
 * @start: first byte
 * @last: last byte
 *
 * Return: -EINVAL when it meets one that is there already, or -ENOMEM.
 */
int iova_allowed_add(struct rb_root_cached *allowed, unsigned long start,
		     unsigned long last)
{
	struct iova_allowed *elm;

	if (interval_tree_iter_first(allowed, start, last))
		return -EINVAL;

	elm = kzalloc_obj(*elm, GFP_KERNEL_ACCOUNT);
	if (!elm)
		return -ENOMEM;
	elm->node.start = start;
	elm->node.last = last;
	interval_tree_insert(&elm->node, allowed);
	return 0;
}

/**
 * iova_allowed_free() - empty a list of allowed ranges
 * @allowed: struct iova_allowed
 */
void iova_allowed_free(struct rb_root_cached *allowed)
{
	struct interval_tree_node *node;

	while ((node = interval_tree_iter_first(allowed, 0, ULONG_MAX))) {
		interval_tree_remove(node, allowed);
		kfree(container_of(node, struct iova_allowed, node));
	}
}

/**
 * iova_space_set_allowed() - replace the allowed ranges
 * @space: the space
 * @allowed: the new list; gets the former one on success
 *
 * Return: -EADDRINUSE, changing nothing, when one meets a reserved range.
 */
int iova_space_set_allowed(struct iova_space *space,
			   struct rb_root_cached *allowed)
{
	struct interval_tree_node *node;

	/* There may be many allowed ranges, but few are reserved */
	for (node = interval_tree_iter_first(&space->reserved, 0, ULONG_MAX);
	     node; node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		if (interval_tree_iter_first(allowed, node->start, node->last))
			return -EADDRINUSE;
	}
	swap(space->allowed, *allowed);
	return 0;
}
