/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which IOVA is taken, reserved, or set aside for automatic allocation.
 *
 * A pure data structure: it allocates nothing on the way out, knows nothing of
 * what is mapped, and is locked by its owner.
 */
#ifndef __IOMMUFD_IOVA_SPACE_H
#define __IOMMUFD_IOVA_SPACE_H

#include <linux/interval_tree.h>
#include <linux/rbtree.h>

/**
 * struct iova_node - an interval of IOVA that is taken
 * @rb: in iova_space.nodes, in ascending order, no two intersect
 * @iova: first byte
 * @last: last byte
 * @gap: free bytes between the node before and @iova; 0 of the first node, before
 *	which is free all there is, so that it does not change the whole path to
 *	the root when areas go in the order of their IOVA
 * @max_gap: the largest @gap in the subtree of @rb
 */
struct iova_node {
	struct rb_node rb;
	unsigned long iova;
	unsigned long last;
	unsigned long gap;
	unsigned long max_gap;
};

/**
 * struct iova_range - an interval of IOVA that is looked at
 * @start: first byte
 * @last: last byte; an interval that ends before it starts is empty
 */
struct iova_range {
	unsigned long start;
	unsigned long last;
};

#define IOVA_RANGE_EMPTY ((struct iova_range) { .start = 1, .last = 0 })

/**
 * struct iova_space - one IOVA space, 0 to ULONG_MAX
 * @nodes: struct iova_node
 * @lowest: the first of them, or NULL
 * @highest: the last of them, or NULL
 * @nr_nodes: how many
 * @taken: bytes of all of them
 * @reserved: struct iova_reserved; may intersect each other, never a node or
 *	an allowed range
 * @owners: the same, by owner
 * @clear: where nothing is reserved, as far as that was looked at; may be empty
 * @allowed: struct iova_allowed, intersecting nothing but nodes; when there is
 *	none, everything is allowed
 */
struct iova_space {
	struct rb_root nodes;
	struct iova_node *lowest;
	struct iova_node *highest;
	unsigned long nr_nodes;
	unsigned long taken;
	struct rb_root_cached reserved;
	struct rb_root owners;
	struct iova_range clear;
	struct rb_root_cached allowed;
};

/**
 * struct iova_slot - a place for an interval among those that are taken
 * @parent: the node it will be below; one of @prev and @next, or NULL
 * @prev: the node before, or NULL
 * @next: the node after, or NULL
 */
struct iova_slot {
	struct iova_node *parent;
	struct iova_node *prev;
	struct iova_node *next;
};

/**
 * struct iova_reserved - IOVA that must not be mapped
 * @node: the interval
 * @rb: in iova_space.owners, by @owner
 * @owner: who removes it again
 */
struct iova_reserved {
	struct interval_tree_node node;
	struct rb_node rb;
	void *owner;
};

/**
 * struct iova_allowed - IOVA that must not become reserved
 * @node: the interval
 */
struct iova_allowed {
	struct interval_tree_node node;
};

void iova_space_init(struct iova_space *space);

/*
 * Taken intervals. The node belongs to the caller.
 */
struct iova_node *iova_space_search(const struct iova_space *space,
				    unsigned long iova, unsigned long last);

/**
 * iova_space_first() - the lowest node that intersects an interval
 * @space: the space
 * @iova: first byte of the interval
 * @last: last byte of the interval
 *
 * Return: the node, or NULL when none does.
 */
static inline struct iova_node *
iova_space_first(const struct iova_space *space, unsigned long iova,
		 unsigned long last)
{
	struct iova_node *lowest = space->lowest;

	/* What was mapped first is often unmapped first */
	if (lowest && lowest->last >= iova)
		return lowest->iova <= last ? lowest : NULL;
	return iova_space_search(space, iova, last);
}

struct iova_node *iova_space_next(const struct iova_node *node,
				  unsigned long last);
int iova_space_find_slot(struct iova_space *space, unsigned long iova,
			 unsigned long last, struct iova_slot *slot);
void iova_space_insert_at(struct iova_space *space,
			  const struct iova_slot *slot, struct iova_node *node);
void iova_space_insert(struct iova_space *space, struct iova_node *node);
void iova_space_erase(struct iova_space *space, struct iova_node *node);

/**
 * iova_space_check() - can an interval be taken
 * @space: the space
 * @iova: first byte
 * @last: last byte
 *
 * Return: 0 or an errno as of iova_space_find_slot().
 */
static inline int iova_space_check(struct iova_space *space,
				   unsigned long iova, unsigned long last)
{
	struct iova_slot slot;

	return iova_space_find_slot(space, iova, last, &slot);
}

int iova_space_find(struct iova_space *space, unsigned long length,
		    unsigned long align, unsigned long offset,
		    unsigned long *iova);

/*
 * Reserved and allowed ranges.
 */
int iova_space_reserve(struct iova_space *space, unsigned long start,
		       unsigned long last, void *owner);
void iova_space_unreserve(struct iova_space *space, void *owner);
int iova_allowed_add(struct rb_root_cached *allowed, unsigned long start,
		     unsigned long last);
void iova_allowed_free(struct rb_root_cached *allowed);
int iova_space_set_allowed(struct iova_space *space,
			   struct rb_root_cached *allowed);

bool iova_space_next_usable(const struct iova_space *space,
			    struct iova_range *range);

/**
 * iova_space_for_each_usable() - walk the gaps between reserved ranges
 * @space: the space
 * @range: struct iova_range, a gap in the body
 */
#define iova_space_for_each_usable(space, range) \
	for (*(range) = IOVA_RANGE_EMPTY; iova_space_next_usable(space, range);)

#endif
