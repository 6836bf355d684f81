// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of a backing: what is pinned, by whom, and what it reads and
 * writes. Each runs on memory of a process and on a file.
 */
#include <linux/completion.h>
#include <linux/iommufd.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/workqueue.h>

#include "../file_memory.h"
#include "../pages.h"
#include "../pages_rw.h"
#include "../pages_walk.h"
#include "../pinning.h"
#include "../user_memory.h"
#include "user_memory.h"

#define NPAGES 48UL
#define NBYTES (NPAGES * PAGE_SIZE)
#define MAX_HELD 24
/* The ends of the interval given up last may be apart for no other reason */
#define APART 2

unsigned long iommufd_kunit_seed;
module_param_named(kunit_seed, iommufd_kunit_seed, ulong, 0444);
MODULE_PARM_DESC(kunit_seed, "Seed of the random KUnit tests (default: any)");

/* Pages that were acquired, to be released together */
struct held {
	unsigned long first;
	unsigned long last;
	bool used;
};

struct pages_ctx {
	struct file *file;
	struct iopt_pages *pages;
	unsigned long uaddr;
	struct held held[MAX_HELD];
	struct pages_store *seen[8 * MAX_HELD];
	struct rnd_state rnd;
	u8 *shadow;
	u8 *buf;
};

enum pages_kind { PAGES_USER, PAGES_FILE };

static const enum pages_kind pages_kinds[] = { PAGES_USER, PAGES_FILE };

static void pages_kind_desc(const enum pages_kind *kind, char *desc)
{
	strscpy(desc, *kind == PAGES_USER ? "user" : "file",
		KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(pages_kind, pages_kinds, pages_kind_desc);

static int pages_test_init(struct kunit *test)
{
	struct pages_ctx *ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	const enum pages_kind *kind = test->param_value;
	struct iopt_pages *pages;
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	test->priv = ctx;
	ctx->shadow = kunit_kzalloc(test, NBYTES, GFP_KERNEL);
	ctx->buf = kunit_kzalloc(test, NBYTES, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ctx->shadow);
	KUNIT_ASSERT_NOT_NULL(test, ctx->buf);

	ctx->file = shmem_file_setup("iommufd_kunit", NBYTES, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ctx->file);
	ctx->uaddr = test_user_memory(test, ctx->file, NBYTES);
	pages = kmalloc_obj(*pages);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	/* Whatever there is, they begin anew */
	memset(pages, 0x5a, sizeof(*pages));
	if (*kind == PAGES_USER)
		rc = iopt_user_memory_init(pages, IOMMUFD_ACCOUNT_USER,
					   ctx->uaddr, NBYTES, true);
	else
		rc = iopt_file_memory_init(pages, IOMMUFD_ACCOUNT_USER,
					   ctx->file, 0, NBYTES, true);
	if (rc)
		kfree(pages);
	else
		ctx->pages = pages;
	KUNIT_ASSERT_EQ(test, rc, 0);
	test_seed(test, &ctx->rnd);
	return 0;
}

static void release(struct pages_ctx *ctx, struct held *held)
{
	guard(mutex)(&ctx->pages->mutex);
	iopt_pages_release(ctx->pages, held->first, held->last);
	held->used = false;
}

static void pages_test_exit(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	unsigned int i;

	if (!ctx)
		return;
	if (ctx->pages) {
		for (i = 0; i != MAX_HELD; i++)
			if (ctx->held[i].used)
				release(ctx, &ctx->held[i]);
		iopt_pages_put(ctx->pages);
	}
	if (!IS_ERR_OR_NULL(ctx->file))
		fput(ctx->file);
}

static void acquire(struct kunit *test, struct held *held, unsigned long first,
		    unsigned long last)
{
	struct pages_ctx *ctx = test->priv;
	int rc;

	/* A failure must not leave the lock behind */
	scoped_guard(mutex, &ctx->pages->mutex)
		rc = iopt_pages_acquire(ctx->pages, first, last);
	KUNIT_ASSERT_EQ(test, rc, 0);
	*held = (struct held){ .first = first, .last = last, .used = true };
}

static bool is_held(struct pages_ctx *ctx, unsigned long index)
{
	unsigned int i;

	for (i = 0; i != MAX_HELD; i++)
		if (ctx->held[i].used && ctx->held[i].first <= index &&
		    ctx->held[i].last >= index)
			return true;
	return false;
}

/* A page is pinned once if anybody holds it, and counted once */
static void expect_pinned(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	unsigned long i, pinned, total = 0;
	struct page *page;
	bool held;

	for (i = 0; i != NPAGES; i++) {
		held = is_held(ctx, i);
		total += held;
		page = test_page_at(test, ctx->uaddr + i * PAGE_SIZE);
		KUNIT_ASSERT_TRUE_MSG(test, test_page_has_pins(page, held),
				      "page %lu", i);
	}
	KUNIT_ASSERT_EQ(test, test_pinned_vm(), total);
	scoped_guard(mutex, &ctx->pages->mutex)
		pinned = iopt_pages_pinned(ctx->pages);
	KUNIT_ASSERT_EQ(test, pinned, total);
}

/* Reading back a part of what is held gives the frames of the memory */
static void expect_walk(struct kunit *test, unsigned long first,
			unsigned long last)
{
	struct pages_ctx *ctx = test->priv;
	unsigned long frames[NPAGES] = {};
	unsigned long pfn, nr, i, n = 0;
	struct pages_walk walk;
	struct page *page;

	scoped_guard(mutex, &ctx->pages->mutex) {
		iopt_pages_walk_start(&walk, ctx->pages, first, last);
		while ((nr = iopt_pages_walk_next(&walk, &pfn))) {
			for (; nr && n != NPAGES; nr--)
				frames[n++] = pfn++;
		}
	}
	KUNIT_ASSERT_EQ(test, n, last - first + 1);
	for (i = 0; i != n; i++) {
		page = test_page_at(test, ctx->uaddr + (first + i) * PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, frames[i], page_to_pfn(page));
	}
}

/**
 * struct kept - what a backing remembers of what is pinned
 * @extents: intervals
 * @stores: what they refer to
 * @runs: sequences of consecutive frames
 * @changes: extents that follow another one, and have another store
 * @bytes: memory of all that
 */
struct kept {
	unsigned int extents;
	unsigned int stores;
	unsigned int runs;
	unsigned int changes;
	size_t bytes;
};

static struct pages_extent *extent_at(struct pages_ctx *ctx,
				      unsigned long first)
{
	return iopt_pages_extent(ctx->pages, first, ULONG_MAX);
}

static void keep_extent(struct kept *kept, struct pages_extent *extent,
			struct pages_extent *prev)
{
	kept->extents++;
	kept->bytes += sizeof(*extent);
	if (prev && prev->node.last + 1 == extent->node.start &&
	    prev->store != extent->store)
		kept->changes++;
}

static void keep_store(struct kept *kept, struct pages_store *store,
		       struct pages_store **seen)
{
	unsigned int i;

	for (i = 0; i != kept->stores; i++)
		if (seen[i] == store)
			return;
	seen[kept->stores++] = store;
	kept->bytes += sizeof(*store) + pfn_runs_memory(&store->runs);
}

static struct kept look_kept(struct pages_ctx *ctx)
{
	struct pages_extent *extent, *prev = NULL;
	unsigned long pfn, nr;
	struct pages_walk walk;
	struct kept kept = {};

	guard(mutex)(&ctx->pages->mutex);
	for (extent = extent_at(ctx, 0); extent;
	     extent = extent_at(ctx, extent->node.last + 1)) {
		keep_extent(&kept, extent, prev);
		keep_store(&kept, extent->store, ctx->seen);
		iopt_pages_walk_start(&walk, ctx->pages, extent->node.start,
				      extent->node.last);
		while ((nr = iopt_pages_walk_next(&walk, &pfn)))
			kept.runs++;
		prev = extent;
	}
	return kept;
}

static void expect_kept(struct kunit *test, unsigned int extents,
			unsigned int stores)
{
	struct kept kept = look_kept(test->priv);

	KUNIT_ASSERT_GE(test, kept.extents, extents);
	KUNIT_ASSERT_LE(test, kept.extents, extents + APART);
	KUNIT_ASSERT_EQ(test, kept.stores, stores);
}

/* Does an interval begin or end between a page and the one before it */
static bool is_bound(struct pages_ctx *ctx, unsigned long index)
{
	unsigned int i;

	for (i = 0; i != MAX_HELD; i++)
		if (ctx->held[i].used && (ctx->held[i].first == index ||
					  ctx->held[i].last + 1 == index))
			return true;
	return false;
}

/* Changes of the store inside an interval */
static unsigned int count_changes(struct pages_ctx *ctx,
				  const struct held *held)
{
	struct pages_extent *extent, *next;
	unsigned int changes = 0;

	guard(mutex)(&ctx->pages->mutex);
	for (extent = extent_at(ctx, held->first);
	     extent && extent->node.last < held->last; extent = next) {
		next = extent_at(ctx, extent->node.last + 1);
		changes += next && next->store != extent->store;
	}
	return changes;
}

/*
 * After any history there is no more than the intervals need: what lies between
 * two of their ends is a single extent, unless its pages were pinned at
 * different times, which an interval has two places for at most.
 */
static void expect_merged(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	unsigned int extents = 0, held = 0, i;
	struct kept kept = look_kept(ctx);

	for (i = 0; i != NPAGES; i++) {
		if (!is_held(ctx, i))
			continue;
		extents += !i || !is_held(ctx, i - 1) || is_bound(ctx, i);
	}
	KUNIT_ASSERT_GE(test, kept.extents, extents);
	KUNIT_ASSERT_LE(test, kept.extents, extents + kept.changes + APART);
	for (i = 0; i != MAX_HELD; i++) {
		if (!ctx->held[i].used)
			continue;
		held++;
		KUNIT_ASSERT_LE(test, count_changes(ctx, &ctx->held[i]), 2);
	}
	KUNIT_ASSERT_LE(test, kept.bytes, 8 * kept.runs + SZ_1K * held);
}

/* Intervals that share, nest, and touch, let go in another order */
static void pages_overlaps(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct held *h = ctx->held;

	expect_pinned(test);
	acquire(test, &h[0], 10, 29);
	acquire(test, &h[1], 20, 39);
	acquire(test, &h[2], 0, NPAGES - 1);
	acquire(test, &h[3], 15, 15);
	acquire(test, &h[4], 40, 47);
	expect_pinned(test);
	expect_merged(test);
	expect_walk(test, 0, NPAGES - 1);
	expect_walk(test, 15, 15);
	expect_walk(test, 29, 30);
	release(ctx, &h[2]);
	expect_pinned(test);
	release(ctx, &h[0]);
	expect_pinned(test);
	expect_walk(test, 20, 47);
	release(ctx, &h[1]);
	release(ctx, &h[4]);
	expect_pinned(test);
	expect_walk(test, 15, 15);
	expect_merged(test);
	release(ctx, &h[3]);
	expect_pinned(test);
}

/* Single pages come and go in what somebody holds all the time */
static void pages_merge(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct held *h = ctx->held;
	unsigned int i, step;

	acquire(test, &h[0], 0, NPAGES - 1);
	for (i = 0; i != NPAGES; i++) {
		acquire(test, &h[1], i, i);
		expect_merged(test);
		release(ctx, &h[1]);
		expect_kept(test, 1, 1);
	}
	for (step = 0; step != 200; step++) {
		i = 1 + test_pick(&ctx->rnd, MAX_HELD - 1);
		if (h[i].used)
			release(ctx, &h[i]);
		else
			acquire(test, &h[i], 2 * i, 2 * i);
		expect_merged(test);
	}
	for (i = 1; i != MAX_HELD; i++)
		if (h[i].used)
			release(ctx, &h[i]);
	expect_kept(test, 1, 1);
	expect_walk(test, 0, NPAGES - 1);
	expect_pinned(test);
}

/* The same, but the single pages were there first */
static void pages_gather(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct held *h = ctx->held;
	unsigned int i;

	for (i = 1; i != MAX_HELD; i++)
		acquire(test, &h[i], 2 * i, 2 * i);
	acquire(test, &h[0], 0, NPAGES - 1);
	expect_merged(test);
	expect_walk(test, 0, NPAGES - 1);
	for (i = 1; i != MAX_HELD; i++)
		release(ctx, &h[i]);
	expect_kept(test, 1, 1);
	expect_walk(test, 0, NPAGES - 1);
	expect_pinned(test);
}

/* Intervals that meet stay apart, whoever else holds all of both */
static void pages_meet(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct held *h = ctx->held;

	acquire(test, &h[0], 0, 19);
	acquire(test, &h[1], 0, 9);
	acquire(test, &h[2], 10, 19);
	release(ctx, &h[0]);
	expect_kept(test, 2, 1);
	acquire(test, &h[3], 9, 10);
	release(ctx, &h[3]);
	expect_kept(test, 2, 1);
	release(ctx, &h[1]);
	expect_pinned(test);
	expect_walk(test, 10, 19);
	release(ctx, &h[2]);
	expect_pinned(test);
}

static void split_at(struct kunit *test, unsigned long index)
{
	struct pages_ctx *ctx = test->priv;

	guard(mutex)(&ctx->pages->mutex);
	KUNIT_EXPECT_EQ(test, iopt_pages_split(ctx->pages, index), 0);
}

/* A split changes nothing, and lets the parts go by themselves */
static void pages_splits(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct held *h = ctx->held;
	unsigned long i;

	acquire(test, &h[0], 4, 43);
	acquire(test, &h[2], 20, 30);
	split_at(test, 20);
	h[1] = (struct held){ .first = 20, .last = 43, .used = true };
	h[0].last = 19;
	release(ctx, &h[2]);
	expect_pinned(test);
	expect_walk(test, 4, 43);
	for (i = 4; i != 43; i++) {
		acquire(test, &h[2], i, i + 1);
		release(ctx, &h[2]);
		expect_kept(test, 2, 1);
	}
	release(ctx, &h[0]);
	expect_pinned(test);
	expect_walk(test, 20, 43);
	split_at(test, 30);
	h[3] = (struct held){ .first = 30, .last = 43, .used = true };
	h[1].last = 29;
	release(ctx, &h[3]);
	expect_pinned(test);
	release(ctx, &h[1]);
	expect_pinned(test);
}

/* A split that is undone leaves nothing, and may be made again */
static void pages_unsplits(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct held *h = ctx->held;
	int i;

	acquire(test, &h[0], 4, 43);
	for (i = 0; i != 3; i++) {
		split_at(test, 20);
		expect_kept(test, 2, 1);
		scoped_guard(mutex, &ctx->pages->mutex)
			iopt_pages_unsplit(ctx->pages, 20);
		expect_kept(test, 1, 1);
	}
	expect_walk(test, 4, 43);
	release(ctx, &h[0]);
	expect_pinned(test);
}

/* What cannot be pinned leaves what is pinned as it was */
static void pages_fail(struct kunit *test)
{
	const enum pages_kind *kind = test->param_value;
	struct pages_ctx *ctx = test->priv;

	acquire(test, &ctx->held[0], 8, 11);
	acquire(test, &ctx->held[1], 30, 30);
	expect_kept(test, 2, 2);
	if (*kind == PAGES_FILE)
		vfs_truncate(&ctx->file->f_path, 40 * PAGE_SIZE);
	else
		KUNIT_ASSERT_EQ(test, vm_munmap(ctx->uaddr + 40 * PAGE_SIZE,
						PAGE_SIZE), 0);
	scoped_guard(mutex, &ctx->pages->mutex) {
		KUNIT_EXPECT_EQ(test, iopt_pages_acquire(ctx->pages, 0, 40),
				*kind == PAGES_FILE ? -EINVAL : -EFAULT);
		KUNIT_EXPECT_EQ(test, iopt_pages_pinned(ctx->pages), 5);
	}
	KUNIT_EXPECT_EQ(test, test_pinned_vm(), 5);
	expect_walk(test, 8, 11);
	scoped_guard(mutex, &ctx->pages->mutex)
		KUNIT_EXPECT_EQ(test, iopt_pages_acquire(ctx->pages, 10, 40),
				*kind == PAGES_FILE ? -EINVAL : -EFAULT);
	expect_kept(test, 2, 2);
	expect_walk(test, 8, 11);
	acquire(test, &ctx->held[2], 0, 39);
	KUNIT_EXPECT_EQ(test, test_pinned_vm(), 40);
}

static void random_walk(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct held *h = &ctx->held[test_pick(&ctx->rnd, MAX_HELD)];
	unsigned long first, n;

	if (!h->used)
		return;
	n = h->last - h->first + 1;
	first = h->first + test_pick(&ctx->rnd, n);
	expect_walk(test, first,
		    first + test_pick(&ctx->rnd, h->last - first + 1));
}

static void pages_random(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	unsigned long first;
	struct held *h;
	int step;

	for (step = 0; step != 400; step++) {
		h = &ctx->held[test_pick(&ctx->rnd, MAX_HELD)];
		if (h->used) {
			release(ctx, h);
		} else {
			first = test_pick(&ctx->rnd, NPAGES);
			acquire(test, h, first,
				first + test_pick(&ctx->rnd, NPAGES - first));
		}
		random_walk(test);
		expect_merged(test);
		if (step % 8 == 0)
			expect_pinned(test);
	}
}

/* Bytes, through whatever way they are reached */
static void pages_copies(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	static const unsigned int flags[] = { 0, __IOMMUFD_ACCESS_RW_SLOW_PATH,
					      IOMMUFD_ACCESS_RW_KTHREAD };
	unsigned long at, length;
	unsigned int f;
	int step;

	for (step = 0; step != 200; step++) {
		if (step % 20 == 0) {
			struct held *h = &ctx->held[step / 20];

			at = test_pick(&ctx->rnd, NPAGES);
			acquire(test, h, at,
				at + test_pick(&ctx->rnd, NPAGES - at));
		}
		at = test_pick(&ctx->rnd, NBYTES);
		length = 1 + test_pick(&ctx->rnd,
				       min(NBYTES - at, 6 * PAGE_SIZE));
		f = flags[test_pick(&ctx->rnd, ARRAY_SIZE(flags))];
		if (test_pick(&ctx->rnd, 2)) {
			prandom_bytes_state(&ctx->rnd, ctx->shadow + at,
					    length);
			KUNIT_ASSERT_EQ(test,
					iopt_pages_rw(ctx->pages, at,
						      ctx->shadow + at, length,
						      f | IOMMUFD_ACCESS_RW_WRITE),
					0);
		} else {
			KUNIT_ASSERT_EQ(test,
					iopt_pages_rw(ctx->pages, at, ctx->buf,
						      length, f), 0);
			KUNIT_ASSERT_MEMEQ(test, ctx->buf, ctx->shadow + at,
					   length);
		}
	}
	expect_pinned(test);
	KUNIT_ASSERT_EQ(test, copy_from_user(ctx->buf,
					     (void __user *)ctx->uaddr, NBYTES),
			0);
	KUNIT_EXPECT_MEMEQ(test, ctx->buf, ctx->shadow, NBYTES);
}

/* A kernel thread without an address space of its own copies by the owner's */
static void pages_copy_kthread(struct kunit *test)
{
	const unsigned long at = PAGE_SIZE - 10, length = PAGE_SIZE + 20;
	struct pages_ctx *ctx = test->priv;
	struct mm_struct *mm = current->mm;
	int wrote, read;

	prandom_bytes_state(&ctx->rnd, ctx->shadow + at, length);
	kthread_unuse_mm(mm);
	wrote = iopt_pages_rw(ctx->pages, at, ctx->shadow + at, length,
			      IOMMUFD_ACCESS_RW_KTHREAD |
			      IOMMUFD_ACCESS_RW_WRITE);
	read = iopt_pages_rw(ctx->pages, at, ctx->buf, length,
			     IOMMUFD_ACCESS_RW_KTHREAD);
	KUNIT_EXPECT_PTR_EQ(test, current->mm, NULL);
	kthread_use_mm(mm);

	KUNIT_EXPECT_EQ(test, wrote, 0);
	KUNIT_EXPECT_EQ(test, read, 0);
	KUNIT_EXPECT_MEMEQ(test, ctx->buf, ctx->shadow + at, length);
	KUNIT_ASSERT_EQ(test, copy_from_user(ctx->buf,
					     (void __user *)ctx->uaddr, NBYTES),
			0);
	KUNIT_EXPECT_MEMEQ(test, ctx->buf, ctx->shadow, NBYTES);
	/* Nothing was pinned for it */
	expect_pinned(test);
}

/* No more users of a page than can be counted */
static void pages_many_users(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct pages_extent *extent;
	int rc;

	acquire(test, &ctx->held[0], 0, 9);
	scoped_guard(mutex, &ctx->pages->mutex) {
		extent = extent_at(ctx, 0);
		extent->users = U32_MAX;
		rc = iopt_pages_acquire(ctx->pages, 0, 9);
		extent->users = 1;
	}
	KUNIT_EXPECT_EQ(test, rc, -EOVERFLOW);
	expect_kept(test, 1, 1);
}

/**
 * struct mmap_holder - keeps an mmap_lock
 * @work: does so
 * @mm: whose
 * @held: it does
 * @release: it is to let go
 * @waited: it was not told for so long that it let go on its own
 */
struct mmap_holder {
	struct work_struct work;
	struct mm_struct *mm;
	struct completion held;
	struct completion release;
	bool waited;
};

static void hold_mmap_lock(struct work_struct *work)
{
	struct mmap_holder *holder = container_of(work, struct mmap_holder,
						  work);

	mmap_read_lock(holder->mm);
	complete(&holder->held);
	if (!wait_for_completion_timeout(&holder->release, 20 * HZ))
		holder->waited = true;
	mmap_read_unlock(holder->mm);
}

/* Who is killed does not wait for the owner's lock to be charged */
static void pages_charge_killed(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct mmap_holder holder = { .mm = ctx->pages->owner.mm };
	int rc;

	init_completion(&holder.held);
	init_completion(&holder.release);
	INIT_WORK_ONSTACK(&holder.work, hold_mmap_lock);
	ctx->pages->owner.mode = IOMMUFD_ACCOUNT_MM;
	queue_work(system_dfl_wq, &holder.work);
	wait_for_completion(&holder.held);

	test_kill();
	scoped_guard(mutex, &ctx->pages->mutex)
		rc = iopt_pages_acquire(ctx->pages, 0, 9);
	test_revive();
	complete(&holder.release);
	flush_work(&holder.work);
	destroy_work_on_stack(&holder.work);

	KUNIT_EXPECT_EQ(test, rc, -EINTR);
	KUNIT_EXPECT_FALSE(test, holder.waited);
	expect_pinned(test);
	acquire(test, &ctx->held[0], 0, 9);
	expect_pinned(test);
}

/* Who is killed pins no more, not even what is there and needs no fault */
static void pages_pin_killed(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	unsigned long i;
	int rc;

	for (i = 0; i != NPAGES; i++)
		test_page_at(test, ctx->uaddr + i * PAGE_SIZE);
	test_kill();
	scoped_guard(mutex, &ctx->pages->mutex)
		rc = iopt_pages_acquire(ctx->pages, 0, NPAGES - 1);
	test_revive();
	KUNIT_EXPECT_EQ(test, rc, -EINTR);
	ctx->held[0] = (struct held){ .last = NPAGES - 1, .used = !rc };
	expect_pinned(test);
	if (!rc)
		release(ctx, &ctx->held[0]);

	acquire(test, &ctx->held[0], 0, NPAGES - 1);
	expect_pinned(test);
}

static struct kunit_case pages_cases[] = {
	KUNIT_CASE_PARAM(pages_overlaps, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_merge, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_gather, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_meet, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_splits, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_unsplits, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_fail, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_random, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_copies, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_copy_kthread, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_many_users, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_charge_killed, pages_kind_gen_params),
	KUNIT_CASE_PARAM(pages_pin_killed, pages_kind_gen_params),
	{}
};

static struct kunit_suite pages_suite = {
	.name = "iommufd_pages",
	.init = pages_test_init,
	.exit = pages_test_exit,
	.test_cases = pages_cases,
};

/*
 * How much is kept of a backing with more runs than fit in a few chunks. There is no
 * memory of that size, nor with runs of that length: all runs are of one folio.
 */
#define FRAMES 6000UL
#define FRAMES_ORDER 6

/**
 * struct frames - where the pages of such a backing come from
 * @folio: all of them; pinned
 * @run: pages in a row, at most an eighth of the folio
 */
static struct frames {
	struct folio *folio;
	unsigned long run;
} frames;

static const unsigned long frames_runs[] = { 1, 2, 7 };

static void frames_desc(const unsigned long *run, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%lu in a row", *run);
}

KUNIT_ARRAY_PARAM(frames, frames_runs, frames_desc);

/* Every second run is elsewhere in the folio */
static int frames_pin(struct pages_pin *pin, unsigned long first,
		      unsigned long npages)
{
	unsigned long at = first % frames.run;
	unsigned long place = first / frames.run % 2 * 3 * frames.run + at;

	npages = min(npages, frames.run - at);
	if (folio_add_pins(frames.folio, npages))
		return -ENOMEM;
	return pfn_runs_append(pin->runs, folio_pfn(frames.folio) + place,
			       npages);
}

static const struct iopt_pages_ops frames_ops = {
	.pin = frames_pin,
};

static int frames_test_init(struct kunit *test)
{
	struct pages_ctx *ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	const unsigned long *run = test->param_value;
	struct iopt_pages *pages;

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	test->priv = ctx;
	/* Who pays is an address space */
	ctx->uaddr = test_user_memory(test, NULL, PAGE_SIZE);
	frames.run = *run;
	frames.folio = folio_alloc(GFP_KERNEL, FRAMES_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, frames.folio);
	folio_ref_inc(frames.folio);
	atomic_inc(&frames.folio->_pincount);

	pages = kzalloc_obj(*pages);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_EQ(test,
			iopt_pages_init(pages, &frames_ops,
					IOMMUFD_ACCOUNT_USER, 0,
					FRAMES * PAGE_SIZE, false), 0);
	ctx->pages = pages;
	test_seed(test, &ctx->rnd);
	return 0;
}

static void frames_test_exit(struct kunit *test)
{
	pages_test_exit(test);
	if (!frames.folio)
		return;
	/* The first pin is the last one */
	KUNIT_EXPECT_EQ(test, atomic_read(&frames.folio->_pincount), 1);
	unpin_user_folio(frames.folio, 1);
	folio_put(frames.folio);
	frames.folio = NULL;
}

/* At most 8 bytes for each run and 1 KiB for each interval */
static void expect_bound(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct kept kept = look_kept(ctx);
	unsigned int held = 0, i;

	for (i = 0; i != MAX_HELD; i++)
		held += ctx->held[i].used;
	KUNIT_ASSERT_LE(test, kept.bytes, 8 * kept.runs + SZ_1K * held);
}

static void frames_step(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	struct held *h = &ctx->held[test_pick(&ctx->rnd, MAX_HELD)];
	unsigned long first, n;

	if (h->used) {
		release(ctx, h);
		return;
	}
	/* Small ones, as those of accesses, and ones of any size */
	first = test_pick(&ctx->rnd, FRAMES);
	n = FRAMES - first;
	if (test_pick(&ctx->rnd, 4))
		n = min(n, 20);
	acquire(test, h, first, first + test_pick(&ctx->rnd, n));
}

/* Whatever came and went, and in which order */
static void frames_bound(struct kunit *test)
{
	struct pages_ctx *ctx = test->priv;
	unsigned int step, i;

	for (step = 0; step != 200; step++) {
		/* From time to time, an area of all of it for the domains */
		if (step % 50 == 25 && !ctx->held[0].used)
			acquire(test, &ctx->held[0], 0, FRAMES - 1);
		frames_step(test);
		expect_bound(test);
	}
	/* What is left is one area, with what was pinned at different times in it */
	if (ctx->held[0].used)
		release(ctx, &ctx->held[0]);
	acquire(test, &ctx->held[0], 0, FRAMES - 1);
	for (i = 1; i != MAX_HELD; i++) {
		if (ctx->held[i].used)
			release(ctx, &ctx->held[i]);
		expect_bound(test);
	}
}

static struct kunit_case frames_cases[] = {
	KUNIT_CASE_PARAM(frames_bound, frames_gen_params),
	{}
};

static struct kunit_suite frames_suite = {
	.name = "iommufd_pages_kept",
	.init = frames_test_init,
	.exit = frames_test_exit,
	.test_cases = frames_cases,
};

kunit_test_suites(&pages_suite, &frames_suite);
