// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the store of page frames.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sizes.h>

#include "../pfn_runs.h"

/* Reads a part of the sequence, and compares it with a plain array */
static void expect_reads(struct kunit *test, struct pfn_runs *runs,
			 const unsigned long *model, unsigned long index,
			 unsigned long npages)
{
	unsigned long pfn, nr, i;
	struct pfn_cursor cur;

	pfn_cursor_seek(&cur, runs, index, npages);
	while ((nr = pfn_cursor_next(&cur, &pfn))) {
		KUNIT_ASSERT_LE(test, nr, npages);
		for (i = 0; i != nr; i++)
			KUNIT_ASSERT_EQ(test, pfn + i, model[index + i]);
		index += nr;
		npages -= nr;
	}
	KUNIT_EXPECT_EQ(test, npages, 0);
}

static void pfn_runs_empty(struct kunit *test)
{
	struct pfn_runs runs;
	struct pfn_cursor cur;
	unsigned long pfn;

	pfn_runs_init(&runs);
	pfn_cursor_seek(&cur, &runs, 0, 0);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn_runs_memory(&runs), 0);
	pfn_runs_free(&runs);
}

/* What is contiguous becomes one run, whatever pieces it came in */
static void pfn_runs_merge(struct kunit *test)
{
	struct pfn_runs runs;
	struct pfn_cursor cur;
	unsigned long pfn, i;

	pfn_runs_init(&runs);
	for (i = 0; i != 100000; i += 5)
		KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 1000 + i, 5), 0);
	KUNIT_EXPECT_EQ(test, runs.npages, 100000);
	KUNIT_EXPECT_EQ(test, pfn_runs_memory(&runs), 0);

	pfn_cursor_seek(&cur, &runs, 0, 100000);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 100000);
	KUNIT_EXPECT_EQ(test, pfn, 1000);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 0);

	pfn_cursor_seek(&cur, &runs, 99990, 5);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 5);
	KUNIT_EXPECT_EQ(test, pfn, 100990);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 0);
	pfn_runs_free(&runs);
}

/* A run that is longer than an entry can say continues in the next */
static void pfn_runs_long(struct kunit *test)
{
	const unsigned long max = PFN_RUN_MAX_PAGES;
	unsigned long index = max + 1, pfn, nr;
	struct pfn_runs runs;
	struct pfn_cursor cur;

	pfn_runs_init(&runs);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 7, max - 1), 0);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 7 + max - 1, max), 0);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 7 + 2 * max - 1, 3), 0);
	KUNIT_EXPECT_EQ(test, runs.npages, 2 * max + 2);

	pfn_cursor_seek(&cur, &runs, index, max + 1);
	while ((nr = pfn_cursor_next(&cur, &pfn))) {
		KUNIT_EXPECT_EQ(test, pfn, 7 + index);
		index += nr;
	}
	KUNIT_EXPECT_EQ(test, index, 2 * max + 2);
	pfn_runs_free(&runs);
}

static void pfn_runs_range(struct kunit *test)
{
	const unsigned long last_pfn =
		(unsigned long)(BIT_ULL(PFN_RUN_PFN_BITS) - 1);
	struct pfn_runs runs;
	struct pfn_cursor cur;
	unsigned long pfn;

	if (BITS_PER_LONG <= PFN_RUN_PFN_BITS)
		kunit_skip(test, "no such frame numbers on this machine");

	pfn_runs_init(&runs);
	KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, last_pfn, 2), -ERANGE);
	KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, 0, PFN_RUN_MAX_PAGES + 1),
			-ERANGE);
	KUNIT_EXPECT_EQ(test, runs.npages, 0);
	/* In a chunk, and as the last run */
	KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, last_pfn, 1), 0);
	KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, last_pfn + 1, 1), -ERANGE);
	KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, last_pfn - 2, 2), 0);
	pfn_cursor_seek(&cur, &runs, 0, 3);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 1);
	KUNIT_EXPECT_EQ(test, pfn, last_pfn);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 2);
	KUNIT_EXPECT_EQ(test, pfn, last_pfn - 2);
	pfn_runs_free(&runs);
}

/**
 * struct run_shape - what runs may look like
 * @pfn: the first frame of the first one
 * @npages: length
 */
struct run_shape {
	u64 pfn;
	unsigned long npages;
};

/* At the ends of what fits in two, three and four words */
static const struct run_shape run_shapes[] = {
	{ 0, 1 }, { 0, 2 }, { 0, 3 }, { 0, 512 }, { 0, 4095 }, { 0, 4096 },
	{ 0, 4097 }, { BIT_ULL(30), 1 }, { BIT_ULL(31) - 1, 1 },
	{ BIT_ULL(31), 1 }, { BIT_ULL(31), 4096 }, { BIT_ULL(33), 1 },
	{ BIT_ULL(33), 4096 }, { BIT_ULL(34) - 1, 1 }, { BIT_ULL(34), 1 },
	{ BIT_ULL(39), 1 }, { BIT_ULL(39), 4096 }, { 0, PFN_RUN_MAX_PAGES },
	{ BIT_ULL(39), PFN_RUN_MAX_PAGES },
};

static void run_shape_desc(const struct run_shape *shape, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%lu pages at %llx",
		 shape->npages, shape->pfn);
}

KUNIT_ARRAY_PARAM(run_shape, run_shapes, run_shape_desc);

static u64 shape_end(const struct run_shape *shape, unsigned long nr)
{
	return shape->pfn + (u64)nr * 2 * shape->npages;
}

static unsigned long entry_pfn(const void *entry)
{
	return (unsigned long)entry;
}

/* How many of some frames pfn_runs_append_apart() takes */
static unsigned long append_apart(struct pfn_runs *runs, unsigned long *pfns,
				  unsigned long nr)
{
	return pfn_runs_append_apart(runs, entry_pfn, (void **)pfns, nr);
}

static void pfn_runs_apart(struct kunit *test)
{
	unsigned long pfns[] = { 30, 10, 20, 21, 40 };
	unsigned long none[] = { ULONG_MAX }, wide[] = { PFN_RUN_LONG };
	static const struct {
		unsigned long pfn, npages;
	} expected[] = {
		{ 50, 1 }, { 60, 1 }, { 30, 1 }, { 10, 1 }, { 20, 2 }, { 40, 1 },
	};
	struct pfn_cursor cur;
	struct pfn_runs runs;
	unsigned long pfn, i;

	pfn_runs_init(&runs);
	/* There is no last run yet, and then no chunk */
	KUNIT_EXPECT_EQ(test, append_apart(&runs, pfns, 5), 0);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 50, 1), 0);
	KUNIT_EXPECT_EQ(test, append_apart(&runs, pfns, 5), 0);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 60, 1), 0);

	/* The fourth one makes the last run longer */
	KUNIT_EXPECT_EQ(test, append_apart(&runs, pfns, 5), 3);
	KUNIT_EXPECT_EQ(test, append_apart(&runs, pfns + 3, 2), 0);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 21, 1), 0);
	KUNIT_EXPECT_EQ(test, append_apart(&runs, pfns + 4, 1), 0);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 40, 1), 0);
	KUNIT_EXPECT_EQ(test, append_apart(&runs, none, 1), 0);
	KUNIT_EXPECT_EQ(test, append_apart(&runs, wide, 1), 0);
	KUNIT_EXPECT_EQ(test, runs.npages, 7);

	pfn_cursor_seek(&cur, &runs, 0, 7);
	for (i = 0; i != ARRAY_SIZE(expected); i++) {
		KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn),
				expected[i].npages);
		KUNIT_EXPECT_EQ(test, pfn, expected[i].pfn);
	}
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 0);
	pfn_runs_free(&runs);
}

/* A single frame in one of two ways, which lead to the same */
static int append(struct pfn_runs *runs, u64 pfn, unsigned long npages)
{
	unsigned long entry = pfn;

	if (npages == 1 && (pfn & 2) && append_apart(runs, &entry, 1))
		return 0;
	return pfn_runs_append(runs, pfn, npages);
}

/* Many runs of one shape, none of which follows the one before */
static void make_shape(struct kunit *test, struct pfn_runs *runs,
		       const struct run_shape *shape, unsigned long nr)
{
	unsigned long i;

	if (BITS_PER_LONG == 32 && shape_end(shape, nr) >> 32)
		kunit_skip(test, "no such frame numbers on this machine");
	pfn_runs_init(runs);
	for (i = 0; i != nr; i++)
		KUNIT_ASSERT_EQ(test,
				append(runs,
				       shape->pfn + i * 2 * shape->npages,
				       shape->npages),
				0);
}

static void pfn_runs_shapes(struct kunit *test)
{
	const struct run_shape *shape = test->param_value;
	unsigned long pfn, i, nr = 300;
	struct pfn_cursor cur;
	struct pfn_runs runs;

	make_shape(test, &runs, shape, nr);
	pfn_cursor_seek(&cur, &runs, 0, runs.npages);
	for (i = 0; i != nr; i++) {
		KUNIT_ASSERT_EQ(test, pfn_cursor_next(&cur, &pfn),
				shape->npages);
		KUNIT_ASSERT_EQ(test, (u64)pfn,
				shape->pfn + i * 2 * shape->npages);
	}
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 0);
	pfn_runs_free(&runs);
}

/*
 * At most 8 bytes for each run. Those which are longer than 16 MiB, or beyond
 * 64 TiB, take 9 at most.
 */
static void pfn_runs_cost(struct kunit *test)
{
	const struct run_shape *shape = test->param_value;
	const unsigned long nr = 20000;
	bool wide = shape->npages > 4096 || shape_end(shape, nr) > BIT_ULL(34);
	struct pfn_runs runs;

	make_shape(test, &runs, shape, nr);
	KUNIT_EXPECT_LE(test, pfn_runs_memory(&runs),
			nr * (wide ? 9 : 8));
	if (shape->npages == 1 && shape_end(shape, nr) < BIT_ULL(31))
		KUNIT_EXPECT_LE(test, pfn_runs_memory(&runs),
				nr * 4 + nr / 2);
	pfn_runs_free(&runs);
}

#define MAX_PAGES 20000UL

/* Random pieces, and what they are as a plain array, to be freed by the caller */
static unsigned long *random_runs(struct kunit *test, struct pfn_runs *runs,
				  struct rnd_state *rnd)
{
	unsigned long npages = 0, pfn = 0, nr, i;
	u64 seed = get_random_u64();
	unsigned long *model;

	kunit_info(test, "seed 0x%llx", seed);
	prandom_seed_state(rnd, seed);
	model = kvcalloc(MAX_PAGES, sizeof(*model), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, model);

	pfn_runs_init(runs);
	while (npages != MAX_PAGES) {
		nr = 1;
		if (!(prandom_u32_state(rnd) % 16))
			nr += prandom_u32_state(rnd) % 60;
		nr = min(nr, MAX_PAGES - npages);
		/* Often where the last piece ended */
		if (prandom_u32_state(rnd) % 3)
			pfn = prandom_u32_state(rnd);
		KUNIT_EXPECT_EQ(test, append(runs, pfn, nr), 0);
		for (i = 0; i != nr; i++)
			model[npages++] = pfn++;
	}
	KUNIT_EXPECT_EQ(test, runs->npages, MAX_PAGES);
	return model;
}

/* Random pieces against a plain array */
static void pfn_runs_random(struct kunit *test)
{
	struct rnd_state rnd;
	struct pfn_runs runs;
	unsigned long *model = random_runs(test, &runs, &rnd);
	unsigned long nr, i;

	expect_reads(test, &runs, model, 0, MAX_PAGES);
	for (i = 0; i != 500; i++) {
		nr = prandom_u32_state(&rnd) % (MAX_PAGES + 1);
		expect_reads(test, &runs, model, nr,
			     prandom_u32_state(&rnd) % (MAX_PAGES - nr + 1));
	}
	pfn_runs_free(&runs);
	kvfree(model);
}

/* What is left of a long sequence costs no more than what it is */
static void pfn_runs_drop_most(struct kunit *test)
{
	const unsigned long nr = 100000, middle = nr / 2;
	struct pfn_runs runs;
	struct pfn_cursor cur;
	unsigned long pfn, i;

	pfn_runs_init(&runs);
	for (i = 0; i != nr; i++)
		KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 2 * i, 1), 0);
	pfn_runs_drop(&runs, 0, middle);
	pfn_runs_drop(&runs, middle + 1, nr - middle - 1);
	KUNIT_EXPECT_LE(test, pfn_runs_memory(&runs), SZ_512);
	pfn_cursor_seek(&cur, &runs, middle, 1);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 1);
	KUNIT_EXPECT_EQ(test, pfn, 2 * middle);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 0);
	pfn_runs_drop(&runs, middle, 1);
	KUNIT_EXPECT_EQ(test, pfn_runs_memory(&runs), 0);
	pfn_runs_free(&runs);

	/* The last run is in no chunk, and stays */
	pfn_runs_init(&runs);
	for (i = 0; i != nr; i++)
		KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 2 * i, 1), 0);
	pfn_runs_drop(&runs, 0, nr - 1);
	KUNIT_EXPECT_EQ(test, pfn_runs_memory(&runs), 0);
	pfn_cursor_seek(&cur, &runs, nr - 1, 1);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, &pfn), 1);
	KUNIT_EXPECT_EQ(test, pfn, 2 * (nr - 1));
	pfn_runs_drop(&runs, nr - 1, 1);
	pfn_runs_free(&runs);
}

/* What was not dropped from a page on; 0 if that page was */
static unsigned long count_left(const bool *dropped, unsigned long index)
{
	unsigned long nr = 0;

	while (index + nr != MAX_PAGES && !dropped[index + nr])
		nr++;
	return nr;
}

/* The order in which parts are dropped does not matter to the others */
static void pfn_runs_drop_random(struct kunit *test)
{
	struct rnd_state rnd;
	struct pfn_runs runs;
	unsigned long *model = random_runs(test, &runs, &rnd);
	unsigned long index, nr, parts, left = MAX_PAGES;
	unsigned int step;
	bool *dropped;

	dropped = kunit_kzalloc(test, MAX_PAGES, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dropped);
	for (step = 0; left; step++) {
		index = prandom_u32_state(&rnd) % MAX_PAGES;
		while (dropped[index])
			index = (index + 1) % MAX_PAGES;
		nr = min(count_left(dropped, index),
			 1 + prandom_u32_state(&rnd) % 400);
		pfn_runs_drop(&runs, index, nr);
		memset(dropped + index, true, nr);
		left -= nr;
		if (step % 16 && left)
			continue;

		parts = 0;
		for (index = 0; index != MAX_PAGES; index += nr ?: 1) {
			nr = count_left(dropped, index);
			if (!nr)
				continue;
			parts++;
			expect_reads(test, &runs, model, index, nr);
		}
		/* Beside runs of 8 bytes a chunk at each end of a part */
		KUNIT_EXPECT_LE(test, pfn_runs_memory(&runs),
				8 * left + parts * SZ_1K);
	}
	KUNIT_EXPECT_EQ(test, pfn_runs_memory(&runs), 0);
	pfn_runs_free(&runs);
	kvfree(model);
}

static struct kunit_case pfn_runs_cases[] = {
	KUNIT_CASE(pfn_runs_empty),
	KUNIT_CASE(pfn_runs_merge),
	KUNIT_CASE(pfn_runs_long),
	KUNIT_CASE(pfn_runs_range),
	KUNIT_CASE(pfn_runs_apart),
	KUNIT_CASE_PARAM(pfn_runs_shapes, run_shape_gen_params),
	KUNIT_CASE_PARAM(pfn_runs_cost, run_shape_gen_params),
	KUNIT_CASE(pfn_runs_random),
	KUNIT_CASE(pfn_runs_drop_most),
	KUNIT_CASE(pfn_runs_drop_random),
	{}
};

static struct kunit_suite pfn_runs_suite = {
	.name = "iommufd_pfn_runs",
	.test_cases = pfn_runs_cases,
};

kunit_test_suite(pfn_runs_suite);
