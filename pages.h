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

#include <linux/interval_tree.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "pfn_runs.h"
#include "selftest.h"

struct device;
struct dma_buf;
struct file;
struct iommu_domain;
struct pages_dmabuf;

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
 * enum iommufd_account_mode - whose RLIMIT_MEMLOCK pinned memory counts against
 * @IOMMUFD_ACCOUNT_NONE: nobody's, only mm->pinned_vm is kept
 * @IOMMUFD_ACCOUNT_USER: the user's, shared with io_uring and friends
 * @IOMMUFD_ACCOUNT_MM: the process', as VFIO type1 does
 */
enum iommufd_account_mode {
	IOMMUFD_ACCOUNT_NONE,
	IOMMUFD_ACCOUNT_USER,
	IOMMUFD_ACCOUNT_MM,
};

/**
 * enum pages_kind - where the pages come from
 * @PAGES_USER: the address space of a process
 * @PAGES_FILE: the page cache of a memfd
 * @PAGES_DMABUF: a dma-buf, which is one physical range and is not pinned here
 */
enum pages_kind {
	PAGES_USER,
	PAGES_FILE,
	PAGES_DMABUF,
};

/**
 * struct iopt_pages - a backing
 * @ref: areas that use it
 * @mutex: protects @extents, everything they refer to, and the owner (@mm,
 *	@task and @user). Inside io_pagetable.domains_rwsem, outside mmap_lock.
 * @kind: where the pages come from
 * @account_mode: where pinned pages are counted
 * @writable: pages are pinned for writing, and dirty when unpinned
 * @npages: size in pages
 * @start: address, or offset in the file or dma-buf, of page 0; page aligned
 * @file: PAGES_FILE: the file, referenced
 * @dmabuf: PAGES_DMABUF: its import
 * @mm: owner's address space, grabbed; its users count is not held
 * @task: owner's thread group leader, whose limit counts; referenced
 * @user: IOMMUFD_ACCOUNT_USER: owner's user, referenced
 * @extents: struct pages_extent.node
 * @first_extent: used for the first acquisition of an idle backing, so that a
 *	mapping that is never shared needs no other allocation
 * @first_store: likewise
 * @apart_first: first page of the interval given up last, of those that others
 *	cover: extents may be apart there and behind @apart_last for no other
 *	reason. Any other number does no harm.
 * @apart_last: its last page
 */
struct iopt_pages {
	refcount_t ref;
	struct mutex mutex; /* extents and owner */
	enum pages_kind kind;
	u8 account_mode;
	bool writable;
	unsigned long npages;
	unsigned long start;
	union {
		struct file *file;
		struct pages_dmabuf *dmabuf;
	};

	struct mm_struct *mm;
	struct task_struct *task;
	struct user_struct *user;

	struct rb_root_cached extents;
	struct pages_extent first_extent;
	struct pages_store first_store;
	unsigned long apart_first;
	unsigned long apart_last;
};

struct iopt_pages *pages_alloc_user(enum iommufd_account_mode mode,
				    unsigned long uaddr, unsigned long length,
				    bool writable, size_t size);
struct iopt_pages *pages_alloc_file(enum iommufd_account_mode mode,
				    struct file *file,
				    unsigned long start, unsigned long length,
				    bool writable, size_t size);
struct iopt_pages *pages_alloc_dmabuf(struct device *importer,
				      struct dma_buf *dmabuf,
				      unsigned long start, unsigned long length,
				      bool writable, size_t size);
void pages_free(struct iopt_pages *pages);

static inline void pages_get(struct iopt_pages *pages)
{
	refcount_inc(&pages->ref);
}

static inline void pages_put(struct iopt_pages *pages)
{
	if (refcount_dec_and_test(&pages->ref))
		pages_free(pages);
}

/* All under iopt_pages.mutex; not for a dma-buf */
int pages_acquire(struct iopt_pages *pages, unsigned long first,
		  unsigned long last);
void pages_release(struct iopt_pages *pages, unsigned long first,
		   unsigned long last);
int pages_split(struct iopt_pages *pages, unsigned long index);
void pages_unsplit(struct iopt_pages *pages, unsigned long index);

/**
 * struct pages_walk - reads the page frames of an acquired interval
 * @cursor: position in the store of @extent
 * @extent: where the walk is
 * @last: last page
 */
struct pages_walk {
	struct pfn_cursor cursor;
	struct pages_extent *extent;
	unsigned long last;
};

void pages_walk_start(struct pages_walk *walk, struct iopt_pages *pages,
		      unsigned long first, unsigned long last);
/* For pages_walk_next() only */
unsigned long pages_walk_next_extent(struct pages_walk *walk,
				     unsigned long *pfn);

/**
 * pages_walk_next() - read consecutive page frames
 * @walk: the walk
 * @pfn: the first frame
 *
 * Return: how many there are, 0 at the end.
 */
static inline unsigned long pages_walk_next(struct pages_walk *walk,
					    unsigned long *pfn)
{
	return pfn_cursor_next(&walk->cursor, pfn) ?:
	       pages_walk_next_extent(walk, pfn);
}

/*
 * Filling a domain
 */

/**
 * pages_between_looks() - how much is mapped between two calls of pages_look()
 *
 * Return: pages; fewer than usual when a test wants small steps.
 */
static inline unsigned long pages_between_looks(void)
{
	return iommufd_test_memory_limit < SZ_64K ? 8 : SZ_1G >> PAGE_SHIFT;
}

/**
 * pages_look() - look whether there is a reason to stop
 *
 * Context: may sleep, to let others run.
 *
 * Return: 0, or -EINTR when the caller is killed.
 */
static inline int pages_look(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

int pages_map_small(struct iommu_domain *domain, unsigned long iova,
		    phys_addr_t phys, unsigned long length, int prot);

/* Copying, without iopt_pages.mutex */
int pages_rw(struct iopt_pages *pages, unsigned long start, void *data,
	     unsigned long length, unsigned int flags);

/* Accounting, under iopt_pages.mutex */
void pages_owner_init(struct iopt_pages *pages);
void pages_owner_put(struct iopt_pages *pages);
int pages_charge(struct iopt_pages *pages, unsigned long npages);
void pages_uncharge(struct iopt_pages *pages, unsigned long npages);
unsigned long pages_pinned(struct iopt_pages *pages);

#endif
