/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A backing: memory that was mapped once, and may be shared by several areas.
 *
 * Nothing of it is pinned until somebody needs the pages. Then they are pinned
 * once, and what was pinned is remembered as PFN runs until the last one that
 * needs them is gone:
 *
 *   pages ---> extents ---> store ---> PFN runs
 *
 * An extent is an interval of page indexes that has the same users throughout.
 * Extents never intersect. Taking an interval that begins or ends inside an
 * extent splits it first, at a time when failing is allowed; giving one up then
 * always finds whole extents, so it neither fails nor allocates. Extents that
 * nobody needs apart any more become one again. Splitting and joining copy
 * nothing, because extents of the same store are next to each other there, too.
 *
 * A store is what one acquisition pinned. What no extent refers to any more is
 * dropped from it. So that extents can be joined, an acquisition that meets more
 * than a few stores moves what they have of its interval to one of its own: an
 * interval never is in more than three of them. What is kept is then of the order
 * of the intervals that are acquired, whatever came and went before.
 */
#ifndef __IOMMUFD_PAGES_H
#define __IOMMUFD_PAGES_H

#include <linux/atomic.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/types.h>

#include "accounting.h"
#include "pfn_runs.h"

struct file;
struct iommu_domain;
struct iopt_pages;
struct iopt_revocable;
struct pages_copy;
struct pages_pin;

/**
 * struct pages_store - what one acquisition pinned
 * @first: index in the backing of the first page of @runs
 * @extents: extents that refer to it
 * @runs: the page frames
 */
struct pages_store {
	unsigned long first;
	unsigned int extents;
	struct pfn_runs runs;
};

/**
 * struct pages_extent - an interval of pinned pages
 * @node: page indexes in the backing, in iopt_pages.extents
 * @store: where its page frames are; NULL if this is iopt_pages.first_extent
 *	and not used
 * @users: intervals acquired that cover it
 * @ends: those of them that end with it
 */
struct pages_extent {
	struct interval_tree_node node;
	struct pages_store *store;
	u32 users;
	u32 ends;
};

/**
 * struct pages_window - a part of a backing in a domain
 * @domain: the domain
 * @iova: first byte there
 * @offset: the same byte, from the start of the backing
 * @length: bytes
 * @prot: IOMMU_*
 * @large: large IOPTEs are allowed
 * @gfp: how page tables are allocated
 */
struct pages_window {
	struct iommu_domain *domain;
	unsigned long iova;
	unsigned long offset;
	unsigned long length;
	int prot;
	bool large;
	gfp_t gfp;
};

/**
 * struct iopt_pages_ops - where the pages of a backing come from
 * @prot: IOMMU_CACHE for memory, IOMMU_MMIO for a device's
 * @any_owner: the memory is of no address space, so that any process can be
 *	made its owner
 * @free: optional: let go of the source; nothing of it is pinned or mapped
 * @pin: memory: pin pages from index @first on, at most @npages of them, and add
 *	at least one to pages_pin.runs. Called with iopt_pages.mutex held, as
 *	often as it takes.
 * @refused: memory, optional: an interval cannot be charged; returns -EFAULT
 *	when it cannot be pinned either, -EINTR when the caller is killed
 *	meanwhile, and otherwise -ENOMEM
 * @copy: memory: copy what is not pinned, all that pages_copy.length says
 * @map: revocable source: have a part appear in a domain, now or when the source
 *	has it back, and keep that on a list of the caller's
 * @unmap: revocable source: take what a list has out of a domain, flush, and
 *	forget it
 * @freeze: revocable source: keep @frames, and what is mapped, as it is
 * @thaw: undo @freeze
 * @exchange: revocable source, optional: let another backing, which nobody uses
 *	and which has the same operations and size, have the source, and take
 *	that one's. What is mapped now is mapped from there, at once or soon. Nobody
 *	freezes the source meanwhile.
 *
 * Memory has struct pages, is pinned, and stays. A revocable source has only
 * addresses, and can take them back at any time.
 */
struct iopt_pages_ops {
	int prot;
	bool any_owner;
	void (*free)(struct iopt_pages *pages);

	int (*pin)(struct pages_pin *pin, unsigned long first,
		   unsigned long npages);
	int (*refused)(struct iopt_pages *pages, unsigned long first,
		       unsigned long npages);
	int (*copy)(struct pages_copy *copy);

	int (*map)(struct iopt_pages *pages, const struct pages_window *window,
		   struct list_head *list);
	void (*unmap)(struct iopt_pages *pages, struct iommu_domain *domain,
		      struct list_head *list);
	void (*freeze)(struct iopt_pages *pages);
	void (*thaw)(struct iopt_pages *pages);
	void (*exchange)(struct iopt_pages *pages, struct iopt_pages *fresh);
};

/**
 * struct iopt_pages - a backing
 * @ops: where the pages come from
 * @ref: areas that use it
 * @writable: pages are pinned for writing, and dirty when unpinned
 * @mutex: protects @owner, @extents and everything they refer to. Inside
 *	io_pagetable.domains_rwsem, outside mmap_lock.
 * @npages: size in pages
 * @start: address, or offset in the file or dma-buf, of page 0; page aligned
 * @file: file memory: the file, referenced
 * @revocable: revocable source: what it shares with others of the kind
 * @frames: revocable source: all its page frames; NULL while they are taken
 *	back, and for memory. Under iopt_pages_ops.freeze.
 * @owner: who pays for what is pinned
 * @shared: what intervals that are acquired have in common: the pages of all of
 *	them, less what is pinned. A sum over all backings of the context; NULL
 *	when nobody asks
 * @extents: struct pages_extent.node
 * @first_extent: used for the first acquisition of an idle backing, so that a
 *	mapping that is never shared needs no other allocation. As long as that is
 *	all, and nothing looks for pinned pages, it is not in @extents.
 * @first_store: likewise
 * @apart_first: first page of the interval given up last, of those that others
 *	cover: extents may be apart there and behind @apart_last for no other
 *	reason. Any other number does no harm.
 * @apart_last: its last page
 */
struct iopt_pages {
	const struct iopt_pages_ops *ops;
	refcount_t ref;
	bool writable;
	struct mutex mutex; /* extents and owner */
	unsigned long npages;
	unsigned long start;
	union {
		struct file *file;
		struct iopt_revocable *revocable;
	};
	const struct pfn_runs *frames;

	struct pages_owner owner;
	atomic_long_t *shared;

	struct rb_root_cached extents;
	struct pages_extent first_extent;
	struct pages_store first_store;
	unsigned long apart_first;
	unsigned long apart_last;
};

int iopt_pages_init(struct iopt_pages *pages, const struct iopt_pages_ops *ops,
		    enum iommufd_account_mode mode, unsigned long start,
		    unsigned long length, bool writable);
void iopt_pages_free(struct iopt_pages *pages);

static inline void iopt_pages_get(struct iopt_pages *pages)
{
	refcount_inc(&pages->ref);
}

static inline void iopt_pages_put(struct iopt_pages *pages)
{
	if (refcount_dec_and_test(&pages->ref))
		iopt_pages_free(pages);
}

/* Memory, as opposed to a revocable source */
static inline bool iopt_pages_is_memory(const struct iopt_pages *pages)
{
	return pages->ops->pin;
}

/* These six under iopt_pages.mutex */
int iopt_pages_acquire(struct iopt_pages *pages, unsigned long first,
		       unsigned long last);
void iopt_pages_release(struct iopt_pages *pages, unsigned long first,
			unsigned long last);
int iopt_pages_split(struct iopt_pages *pages, unsigned long index);
void iopt_pages_unsplit(struct iopt_pages *pages, unsigned long index);
unsigned long iopt_pages_pinned(struct iopt_pages *pages);
struct pages_extent *iopt_pages_extent(struct iopt_pages *pages,
				       unsigned long first, unsigned long last);

/* The one after iopt_pages_extent() */
static inline struct pages_extent *
pages_extent_next(struct pages_extent *extent, unsigned long first,
		  unsigned long last)
{
	struct interval_tree_node *node =
		interval_tree_iter_next(&extent->node, first, last);

	return node ? container_of(node, struct pages_extent, node) : NULL;
}

/* A revocable source is kept as it is between these two, and memory is anyway */
static inline void iopt_pages_freeze(struct iopt_pages *pages)
{
	if (pages->ops->freeze)
		pages->ops->freeze(pages);
}

static inline void iopt_pages_thaw(struct iopt_pages *pages)
{
	if (pages->ops->thaw)
		pages->ops->thaw(pages);
}

/* Whether a revocable source, which is frozen, has its addresses back */
static inline bool iopt_pages_revoked(const struct iopt_pages *pages)
{
	return !iopt_pages_is_memory(pages) && !pages->frames;
}

#endif
