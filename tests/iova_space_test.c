// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the IOVA space.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/random.h>

#include "../iova_space.h"

struct iova_space_ctx {
	struct iova_space space;
	struct iova_node nodes[256];
	unsigned int nr;
};

static int iova_space_test_init(struct kunit *test)
{
	struct iova_space_ctx *ctx = kunit_kzalloc(test, sizeof(*ctx),
						   GFP_KERNEL);

	if (!ctx)
		return -ENOMEM;
	iova_space_init(&ctx->space);
	test->priv = ctx;
	return 0;
}

static void iova_space_test_exit(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;

	iova_space_unreserve(&ctx->space, NULL);
	iova_space_unreserve(&ctx->space, ctx);
	iova_allowed_free(&ctx->space.allowed);
}

static struct iova_node *take(struct kunit *test, unsigned long iova,
			      unsigned long last)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_node *node = &ctx->nodes[ctx->nr++];

	KUNIT_ASSERT_LE(test, ctx->nr, ARRAY_SIZE(ctx->nodes));
	KUNIT_ASSERT_EQ(test, iova_space_check(&ctx->space, iova, last), 0);
	node->iova = iova;
	node->last = last;
	iova_space_insert(&ctx->space, node);
	return node;
}

static void expect_find(struct kunit *test, unsigned long length,
			unsigned long align, unsigned long offset,
			unsigned long expected)
{
	struct iova_space_ctx *ctx = test->priv;
	unsigned long iova = 0;

	KUNIT_EXPECT_EQ(test, iova_space_find(&ctx->space, length, align,
					      offset, &iova), 0);
	KUNIT_EXPECT_EQ(test, iova, expected);
}

static void expect_full(struct kunit *test, unsigned long length,
			unsigned long align)
{
	struct iova_space_ctx *ctx = test->priv;
	unsigned long iova;

	KUNIT_EXPECT_EQ(test, iova_space_find(&ctx->space, length, align, 0,
					      &iova), -ENOSPC);
}

/* Both ends of the space can be taken, and meet nothing beyond */
static void iova_space_edges(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_space *space = &ctx->space;
	struct iova_node *low, *high;

	low = take(test, 0, 0);
	high = take(test, ULONG_MAX, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, iova_space_check(space, 0, 5), -EEXIST);
	KUNIT_EXPECT_EQ(test, iova_space_check(space, 1, ULONG_MAX), -EEXIST);
	KUNIT_EXPECT_EQ(test, iova_space_check(space, 1, ULONG_MAX - 1), 0);
	KUNIT_EXPECT_PTR_EQ(test, iova_space_first(space, 0, ULONG_MAX), low);
	KUNIT_EXPECT_PTR_EQ(test, iova_space_first(space, 1, ULONG_MAX), high);
	KUNIT_EXPECT_NULL(test, iova_space_first(space, 1, ULONG_MAX - 1));
	KUNIT_EXPECT_PTR_EQ(test, iova_space_next(low, ULONG_MAX), high);
	KUNIT_EXPECT_NULL(test, iova_space_next(low, ULONG_MAX - 1));
	KUNIT_EXPECT_NULL(test, iova_space_next(high, ULONG_MAX));

	/* Neither end is ever chosen */
	expect_find(test, 1, 1, 0, PAGE_SIZE);
	iova_space_erase(space, low);
	expect_find(test, 1, 1, 0, PAGE_SIZE);
	take(test, 0, ULONG_MAX - PAGE_SIZE - 1);
	expect_find(test, 1, 1, 0, ULONG_MAX - PAGE_SIZE);
	expect_full(test, 2, 1);
}

/* One area over everything */
static void iova_space_whole(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_node *node = take(test, 0, ULONG_MAX);

	expect_full(test, 1, 1);
	KUNIT_EXPECT_EQ(test, iova_space_check(&ctx->space, 5, 5), -EEXIST);
	iova_space_erase(&ctx->space, node);
	expect_find(test, 1, 1, 0, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, iova_space_reserve(&ctx->space, 0, ULONG_MAX,
						 ctx), 0);
	expect_full(test, 1, 1);
	KUNIT_EXPECT_EQ(test, iova_space_check(&ctx->space, 5, 5), -EINVAL);
}

/* The first hole that is large enough for length and alignment */
static void iova_space_first_fit(struct kunit *test)
{
	take(test, 0, SZ_64K - 1);
	take(test, SZ_64K + 2 * SZ_4K, SZ_128K - 1);
	take(test, SZ_128K + SZ_8K, SZ_1M - 1);

	expect_find(test, SZ_4K, SZ_4K, 0, SZ_64K);
	expect_find(test, SZ_8K, SZ_4K, 0, SZ_64K);
	/* The holes have 8 KiB */
	expect_find(test, SZ_8K + 1, SZ_4K, 0, SZ_1M);
	expect_find(test, SZ_4K, SZ_128K, 0, SZ_128K);
	expect_find(test, SZ_4K, SZ_2M, 0, SZ_2M);
	/* An offset in the page is kept, and needs room as well */
	expect_find(test, SZ_4K, 0x100, 0x100, SZ_64K + 0x100);
	expect_find(test, SZ_8K, 0x100, 0x100, SZ_1M + 0x100);
}

static void iova_space_reserved(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_space *space = &ctx->space;

	take(test, SZ_1M, SZ_2M - 1);
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, SZ_2M - 1, SZ_4M, ctx),
			-EADDRINUSE);
	/* They may overlap, and go with their owner */
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, 0, SZ_64K - 1, ctx), 0);
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, SZ_4K, SZ_128K - 1,
						 NULL), 0);
	KUNIT_EXPECT_EQ(test, iova_space_check(space, SZ_128K - 1, SZ_128K),
			-EINVAL);
	/* Reserved is said before taken */
	KUNIT_EXPECT_EQ(test, iova_space_check(space, SZ_64K, SZ_1M), -EINVAL);
	expect_find(test, SZ_4K, SZ_4K, 0, SZ_128K);
	iova_space_unreserve(space, NULL);
	expect_find(test, SZ_4K, SZ_4K, 0, SZ_64K);
	iova_space_unreserve(space, ctx);
	expect_find(test, SZ_4K, SZ_4K, 0, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test,
			  RB_EMPTY_ROOT(&space->reserved.rb_root));
}

/* Owners of reservations; NULL is one, too */
static void *some_owner(struct iova_space_ctx *ctx, unsigned int i)
{
	return i ? ctx->nodes + i : NULL;
}

#define OWNERS 8

/* What is reserved is known at once, whatever was asked before */
static void iova_space_reserved_random(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	unsigned long reserved[OWNERS] = {};
	u64 seed = get_random_u64();
	unsigned int step, owner, first, nr, i;
	struct rnd_state rnd;
	unsigned long all;

	kunit_info(test, "seed 0x%llx", seed);
	prandom_seed_state(&rnd, seed);
	for (step = 0; step != 5000; step++) {
		owner = prandom_u32_state(&rnd) % OWNERS;
		first = prandom_u32_state(&rnd) % BITS_PER_LONG;
		nr = 1 + prandom_u32_state(&rnd) % min(BITS_PER_LONG - first, 4);
		if (prandom_u32_state(&rnd) % 4) {
			for (all = 0, i = 0; i != OWNERS; i++)
				all |= reserved[i];
			all &= GENMASK(first + nr - 1, first);
			KUNIT_ASSERT_EQ(test,
					iova_space_check(&ctx->space,
							 first * PAGE_SIZE,
							 (first + nr) *
								 PAGE_SIZE - 1),
					all ? -EINVAL : 0);
		} else if (reserved[owner] && step % 2) {
			iova_space_unreserve(&ctx->space,
					     some_owner(ctx, owner));
			reserved[owner] = 0;
		} else {
			KUNIT_ASSERT_EQ(test,
					iova_space_reserve(&ctx->space,
							   first * PAGE_SIZE,
							   (first + nr) *
								   PAGE_SIZE - 1,
							   some_owner(ctx, owner)),
					0);
			reserved[owner] |= GENMASK(first + nr - 1, first);
		}
	}
	for (i = 0; i != OWNERS; i++)
		iova_space_unreserve(&ctx->space, some_owner(ctx, i));
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&ctx->space.reserved.rb_root));
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&ctx->space.owners));
}

static void set_allowed(struct kunit *test, unsigned long start,
			unsigned long last, int expected)
{
	struct iova_space_ctx *ctx = test->priv;
	struct rb_root_cached allowed = RB_ROOT_CACHED;

	KUNIT_EXPECT_EQ(test, iova_allowed_add(&allowed, start, last), 0);
	KUNIT_EXPECT_EQ(test, iova_space_set_allowed(&ctx->space, &allowed),
			expected);
	iova_allowed_free(&allowed);
}

static void iova_space_allowed(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	struct iova_space *space = &ctx->space;

	set_allowed(test, SZ_1M, SZ_2M - 1, 0);
	expect_find(test, SZ_4K, SZ_4K, 0, SZ_1M);
	expect_find(test, SZ_1M, SZ_4K, 0, SZ_1M);
	expect_full(test, SZ_1M + 1, SZ_4K);
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, 0, SZ_1M, ctx),
			-EADDRINUSE);
	/* It does not forbid to take anything by address */
	take(test, SZ_4M, SZ_8M - 1);

	/* A list that meets a reserved range changes nothing */
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, 0, PAGE_SIZE - 1, ctx),
			0);
	set_allowed(test, PAGE_SIZE - 1, 2 * PAGE_SIZE, -EADDRINUSE);
	expect_find(test, SZ_4K, SZ_4K, 0, SZ_1M);

	/* Ranges that touch are one, ranges that overlap are refused */
	KUNIT_EXPECT_EQ(test, iova_allowed_add(&allowed, 2 * PAGE_SIZE,
					       4 * PAGE_SIZE - 1), 0);
	KUNIT_EXPECT_EQ(test, iova_allowed_add(&allowed, 4 * PAGE_SIZE,
					       8 * PAGE_SIZE - 1), 0);
	KUNIT_EXPECT_EQ(test, iova_allowed_add(&allowed, 8 * PAGE_SIZE - 1,
					       16 * PAGE_SIZE), -EINVAL);
	KUNIT_EXPECT_EQ(test, iova_space_set_allowed(space, &allowed), 0);
	iova_allowed_free(&allowed);
	expect_find(test, 4 * PAGE_SIZE, SZ_4K, 0, 2 * PAGE_SIZE);

	/* None at all means all is allowed, but for the first page */
	KUNIT_EXPECT_EQ(test, iova_space_set_allowed(space, &allowed), 0);
	iova_allowed_free(&allowed);
	expect_find(test, SZ_1M, SZ_4K, 0, PAGE_SIZE);
}

/* Of many allowed ranges, any can meet any reserved one, by a single byte */
static void iova_space_allowed_against_reserved(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	unsigned long i;

	for (i = 0; i != 64; i++)
		KUNIT_ASSERT_EQ(test, iova_allowed_add(&allowed, i * SZ_64K,
						       i * SZ_64K + SZ_4K), 0);
	for (i = 0; i != 63; i++) {
		/* What is between them does no harm */
		KUNIT_ASSERT_EQ(test,
				iova_space_reserve(&ctx->space,
						   i * SZ_64K + SZ_4K + 1,
						   (i + 1) * SZ_64K - 1, ctx),
				0);
		KUNIT_ASSERT_EQ(test,
				iova_space_reserve(&ctx->space,
						   i * SZ_64K + SZ_4K,
						   i * SZ_64K + SZ_8K, NULL),
				0);
		KUNIT_EXPECT_EQ(test, iova_space_set_allowed(&ctx->space,
							     &allowed),
				-EADDRINUSE);
		iova_space_unreserve(&ctx->space, NULL);
	}
	KUNIT_EXPECT_EQ(test, iova_space_set_allowed(&ctx->space, &allowed), 0);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&allowed.rb_root));
}

static void iova_space_usable(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_space *space = &ctx->space;
	struct iova_range range;
	unsigned int nr = 0;

	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, 0, 9, ctx), 0);
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, 5, 19, ctx), 0);
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, 30, ULONG_MAX - 1, ctx),
			0);
	take(test, 21, 22);

	iova_space_for_each_usable(space, &range) {
		KUNIT_EXPECT_EQ(test, range.start, nr ? ULONG_MAX : 20);
		KUNIT_EXPECT_EQ(test, range.last, nr ? ULONG_MAX : 29);
		nr++;
	}
	KUNIT_EXPECT_EQ(test, nr, 2);
}

static void iova_space_usable_extremes(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_space *space = &ctx->space;
	struct iova_range range;
	unsigned int nr = 0;

	iova_space_for_each_usable(space, &range) {
		KUNIT_EXPECT_EQ(test, range.start, 0);
		KUNIT_EXPECT_EQ(test, range.last, ULONG_MAX);
		nr++;
	}
	KUNIT_EXPECT_EQ(test, nr, 1);

	/* Two that touch leave nothing between them */
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, 0, 9, ctx), 0);
	KUNIT_EXPECT_EQ(test, iova_space_reserve(space, 10, ULONG_MAX, ctx), 0);
	iova_space_for_each_usable(space, &range)
		KUNIT_FAIL(test, "nothing is usable");
}

#define MODEL_SLOTS 512

/* The lowest free place by looking at each, in units of pages */
static long model_find(const bool *taken, unsigned int length,
		       unsigned int align)
{
	unsigned int start, i;

	for (start = align; start + length <= MODEL_SLOTS; start += align) {
		for (i = 0; i != length && !taken[start + i]; i++)
			;
		if (i == length)
			return start;
	}
	return -1;
}

/* Random operations against a plain array */
static void iova_space_random(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_space *space = &ctx->space;
	u64 seed = get_random_u64();
	unsigned int step, length, align, live = 0, i;
	struct iova_node *node;
	struct rnd_state rnd;
	unsigned long iova;
	bool *taken;
	long slot;
	int rc;

	kunit_info(test, "seed 0x%llx", seed);
	prandom_seed_state(&rnd, seed);
	taken = kunit_kzalloc(test, MODEL_SLOTS, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, taken);
	KUNIT_ASSERT_EQ(test, iova_space_reserve(space, MODEL_SLOTS * PAGE_SIZE,
						 ULONG_MAX, ctx), 0);
	for (i = 100; i != 110; i++)
		taken[i] = true;
	KUNIT_ASSERT_EQ(test, iova_space_reserve(space, 100 * PAGE_SIZE,
						 110 * PAGE_SIZE - 1, ctx), 0);

	for (step = 0; step != 5000; step++) {
		node = &ctx->nodes[prandom_u32_state(&rnd) %
				   ARRAY_SIZE(ctx->nodes)];
		if (node->last) {
			iova_space_erase(space, node);
			for (i = node->iova / PAGE_SIZE;
			     i <= node->last / PAGE_SIZE; i++)
				taken[i] = false;
			node->last = 0;
			live--;
			continue;
		}

		length = 1 + prandom_u32_state(&rnd) % 9;
		align = 1 << prandom_u32_state(&rnd) % 4;
		slot = model_find(taken, length, align);
		rc = iova_space_find(space, length * PAGE_SIZE,
				     align * PAGE_SIZE, 0, &iova);
		KUNIT_ASSERT_EQ(test, rc, slot < 0 ? -ENOSPC : 0);
		if (rc)
			continue;
		KUNIT_ASSERT_EQ(test, iova, slot * PAGE_SIZE);
		node->iova = iova;
		node->last = iova + length * PAGE_SIZE - 1;
		KUNIT_ASSERT_EQ(test, iova_space_check(space, node->iova,
						       node->last), 0);
		iova_space_insert(space, node);
		for (i = 0; i != length; i++)
			taken[slot + i] = true;
		KUNIT_ASSERT_EQ(test, space->nr_nodes, ++live);
	}
}

/* Whether what is kept in the tree is what one sees by walking it */
static bool gaps_are_right(const struct iova_space *space)
{
	struct rb_node *rb = rb_first(&space->nodes);
	struct iova_node *prev = NULL;
	unsigned int nr = 0;

	if (rb && space->lowest != rb_entry(rb, struct iova_node, rb))
		return false;
	for (; rb; rb = rb_next(rb)) {
		struct iova_node *node = rb_entry(rb, struct iova_node, rb);
		unsigned long max_gap = node->gap;

		if (node->gap != (prev ? node->iova - prev->last - 1 : 0))
			return false;
		if (rb->rb_left)
			max_gap = max(max_gap, rb_entry(rb->rb_left,
							struct iova_node,
							rb)->max_gap);
		if (rb->rb_right)
			max_gap = max(max_gap, rb_entry(rb->rb_right,
							struct iova_node,
							rb)->max_gap);
		if (node->max_gap != max_gap)
			return false;
		prev = node;
		nr++;
	}
	return space->highest == prev && space->nr_nodes == nr;
}

/* Which node has a slot of the model, as said by looking at each of them */
static struct iova_node *model_first(struct iova_space_ctx *ctx,
				     unsigned long iova, unsigned long last)
{
	struct iova_node *found = NULL;
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(ctx->nodes); i++) {
		struct iova_node *node = &ctx->nodes[i];

		if (node->last && node->iova <= last && node->last >= iova &&
		    (!found || node->iova < found->iova))
			found = node;
	}
	return found;
}

/* Random places: in order, in reverse, in any order, in turns */
static void iova_space_random_places(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_space *space = &ctx->space;
	u64 seed = get_random_u64();
	unsigned int step, place = 0, i;
	unsigned long iova, last;
	struct iova_node *node;
	struct rnd_state rnd;
	int rc;

	kunit_info(test, "seed 0x%llx", seed);
	prandom_seed_state(&rnd, seed);
	for (step = 0; step != 5000; step++) {
		i = prandom_u32_state(&rnd);
		switch (step / 500 % 3) {
		case 0:
			place = (place + 1) % MODEL_SLOTS;
			break;
		case 1:
			place = (place ?: MODEL_SLOTS) - 1;
			break;
		default:
			place = i / 256 % MODEL_SLOTS;
			break;
		}
		iova = place * PAGE_SIZE;
		last = iova + (1 + i / 128 % 4) * (PAGE_SIZE / 2) - 1;
		node = model_first(ctx, iova, last);
		KUNIT_ASSERT_PTR_EQ(test, iova_space_first(space, iova, last),
				    node);
		rc = iova_space_check(space, iova, last);
		KUNIT_ASSERT_EQ(test, rc, node ? -EEXIST : 0);
		if (node) {
			iova_space_erase(space, node);
			node->last = 0;
		} else {
			node = &ctx->nodes[i % ARRAY_SIZE(ctx->nodes)];
			if (node->last)
				continue;
			node->iova = iova;
			node->last = last;
			iova_space_insert(space, node);
		}
		KUNIT_ASSERT_TRUE(test, gaps_are_right(space));
	}
	for (i = 0; i != ARRAY_SIZE(ctx->nodes); i++) {
		if (!ctx->nodes[i].last)
			continue;
		iova_space_erase(space, &ctx->nodes[i]);
		KUNIT_ASSERT_TRUE(test, gaps_are_right(space));
	}
	KUNIT_EXPECT_NULL(test, space->lowest);
	KUNIT_EXPECT_NULL(test, space->highest);
}

/* What goes at either end is not searched for, and is refused all the same */
static void iova_space_ends(struct kunit *test)
{
	struct iova_space_ctx *ctx = test->priv;
	struct iova_space *space = &ctx->space;
	struct iova_node *low, *high;

	high = take(test, 64 * PAGE_SIZE, 128 * PAGE_SIZE - 1);
	low = take(test, 16 * PAGE_SIZE, 32 * PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, iova_space_check(space, 128 * PAGE_SIZE - 1,
					       256 * PAGE_SIZE), -EEXIST);
	KUNIT_EXPECT_EQ(test, iova_space_check(space, 0, 16 * PAGE_SIZE),
			-EEXIST);
	KUNIT_EXPECT_EQ(test, iova_space_check(space, 0, 256 * PAGE_SIZE),
			-EEXIST);
	KUNIT_EXPECT_PTR_EQ(test, iova_space_first(space, 0, 16 * PAGE_SIZE),
			    low);
	KUNIT_EXPECT_NULL(test, iova_space_first(space, 0,
						 16 * PAGE_SIZE - 1));

	/* The room before the first node is found, and after the last one */
	expect_find(test, 8 * PAGE_SIZE, 8 * PAGE_SIZE, 0, 8 * PAGE_SIZE);
	expect_find(test, 64 * PAGE_SIZE, SZ_4K, 0, 128 * PAGE_SIZE);
	iova_space_erase(space, low);
	expect_find(test, 32 * PAGE_SIZE, SZ_4K, 0, PAGE_SIZE);
	expect_find(test, 64 * PAGE_SIZE, SZ_4K, 0, 128 * PAGE_SIZE);
	iova_space_erase(space, high);
	expect_find(test, 64 * PAGE_SIZE, SZ_4K, 0, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, gaps_are_right(space));
}

static struct kunit_case iova_space_cases[] = {
	KUNIT_CASE(iova_space_edges),
	KUNIT_CASE(iova_space_whole),
	KUNIT_CASE(iova_space_first_fit),
	KUNIT_CASE(iova_space_reserved),
	KUNIT_CASE(iova_space_reserved_random),
	KUNIT_CASE(iova_space_allowed),
	KUNIT_CASE(iova_space_allowed_against_reserved),
	KUNIT_CASE(iova_space_usable),
	KUNIT_CASE(iova_space_usable_extremes),
	KUNIT_CASE(iova_space_random),
	KUNIT_CASE(iova_space_random_places),
	KUNIT_CASE(iova_space_ends),
	{}
};

static struct kunit_suite iova_space_suite = {
	.name = "iommufd_iova_space",
	.init = iova_space_test_init,
	.exit = iova_space_test_exit,
	.test_cases = iova_space_cases,
};

kunit_test_suite(iova_space_suite);
