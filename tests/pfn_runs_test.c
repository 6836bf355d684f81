// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the store of page frames.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/random.h>

#include "../pfn_runs.h"

/* Reads the sequence from an index on, and compares it with a plain array */
static void expect_reads(struct kunit *test, struct pfn_runs *runs,
			 const unsigned long *model, unsigned long npages,
			 unsigned long index, unsigned long max_pages)
{
	unsigned long pfn, nr, i;
	struct pfn_cursor cur;

	pfn_cursor_seek(&cur, runs, index);
	while ((nr = pfn_cursor_next(&cur, max_pages, &pfn))) {
		KUNIT_ASSERT_LE(test, nr, max_pages);
		KUNIT_ASSERT_LE(test, index + nr, npages);
		for (i = 0; i != nr; i++)
			KUNIT_ASSERT_EQ(test, pfn + i, model[index + i]);
		index += nr;
	}
	KUNIT_EXPECT_EQ(test, index, npages);
}

static void pfn_runs_empty(struct kunit *test)
{
	struct pfn_runs runs;
	struct pfn_cursor cur;
	unsigned long pfn;

	pfn_runs_init(&runs);
	pfn_cursor_seek(&cur, &runs, 0);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, 1, &pfn), 0);
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

	pfn_cursor_seek(&cur, &runs, 0);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, ULONG_MAX, &pfn), 100000);
	KUNIT_EXPECT_EQ(test, pfn, 1000);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, ULONG_MAX, &pfn), 0);

	pfn_cursor_seek(&cur, &runs, 99999);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, ULONG_MAX, &pfn), 1);
	KUNIT_EXPECT_EQ(test, pfn, 100999);
	pfn_runs_free(&runs);
}

/* A run that is longer than a word can say continues in the next */
static void pfn_runs_long(struct kunit *test)
{
	const unsigned long max = PFN_RUN_MAX_PAGES;
	struct pfn_runs runs;
	struct pfn_cursor cur;
	unsigned long pfn;

	pfn_runs_init(&runs);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 7, max - 1), 0);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 7 + max - 1, max), 0);
	KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 7 + 2 * max - 1, 3), 0);
	KUNIT_EXPECT_EQ(test, runs.npages, 2 * max + 2);

	pfn_cursor_seek(&cur, &runs, max + 1);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, ULONG_MAX, &pfn), max - 1);
	KUNIT_EXPECT_EQ(test, pfn, 7 + max + 1);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, ULONG_MAX, &pfn), 2);
	KUNIT_EXPECT_EQ(test, pfn, 7 + 2 * max);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, ULONG_MAX, &pfn), 0);
	pfn_runs_free(&runs);
}

static void pfn_runs_range(struct kunit *test)
{
	const u64 last_pfn = BIT_ULL(PFN_RUN_PFN_BITS) - 1;
	struct pfn_runs runs;
	struct pfn_cursor cur;
	unsigned long pfn;

	if (last_pfn > ULONG_MAX)
		kunit_skip(test, "no such frame numbers on this machine");

	pfn_runs_init(&runs);
	KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, last_pfn, 2), -ERANGE);
	KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, 0, PFN_RUN_MAX_PAGES + 1),
			-ERANGE);
	KUNIT_EXPECT_EQ(test, runs.npages, 0);
	KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, last_pfn, 1), 0);
	pfn_cursor_seek(&cur, &runs, 0);
	KUNIT_EXPECT_EQ(test, pfn_cursor_next(&cur, 1, &pfn), 1);
	KUNIT_EXPECT_EQ(test, pfn, last_pfn);
	pfn_runs_free(&runs);
}

/* The promise of DESIGN: 8 bytes for each run, and little more */
static void pfn_runs_cost(struct kunit *test)
{
	const unsigned long nr = 100000;
	struct pfn_runs runs;
	unsigned long i;

	pfn_runs_init(&runs);
	for (i = 0; i != nr; i++)
		KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 2 * i, 1), 0);
	KUNIT_EXPECT_LE(test, pfn_runs_memory(&runs),
			nr * 8 + nr / 10 + 2 * PAGE_SIZE);
	pfn_runs_free(&runs);

	/* 1 GiB of separate 2 MiB pages */
	for (i = 0; i != 512; i++)
		KUNIT_ASSERT_EQ(test, pfn_runs_append(&runs, 1024 * i, 512), 0);
	KUNIT_EXPECT_LT(test, pfn_runs_memory(&runs), 8192);
	pfn_runs_free(&runs);
}

/* Random pieces against a plain array */
static void pfn_runs_random(struct kunit *test)
{
	const unsigned long max_pages = 20000;
	unsigned long npages = 0, pfn = 0, nr, i;
	u64 seed = get_random_u64();
	struct rnd_state rnd;
	struct pfn_runs runs;
	unsigned long *model;

	kunit_info(test, "seed 0x%llx", seed);
	prandom_seed_state(&rnd, seed);
	model = kvcalloc(max_pages, sizeof(*model), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, model);

	pfn_runs_init(&runs);
	while (npages != max_pages) {
		nr = 1;
		if (!(prandom_u32_state(&rnd) % 4))
			nr += prandom_u32_state(&rnd) % 600;
		nr = min(nr, max_pages - npages);
		/* Often where the last piece ended */
		if (prandom_u32_state(&rnd) % 3)
			pfn = prandom_u32_state(&rnd);
		KUNIT_EXPECT_EQ(test, pfn_runs_append(&runs, pfn, nr), 0);
		for (i = 0; i != nr; i++)
			model[npages++] = pfn++;
	}
	KUNIT_EXPECT_EQ(test, runs.npages, max_pages);

	expect_reads(test, &runs, model, max_pages, 0, ULONG_MAX);
	for (i = 0; i != 200; i++)
		expect_reads(test, &runs, model, max_pages,
			     prandom_u32_state(&rnd) % (max_pages + 1),
			     1 + prandom_u32_state(&rnd) % 700);
	pfn_runs_free(&runs);
	kvfree(model);
}

static struct kunit_case pfn_runs_cases[] = {
	KUNIT_CASE(pfn_runs_empty),
	KUNIT_CASE(pfn_runs_merge),
	KUNIT_CASE(pfn_runs_long),
	KUNIT_CASE(pfn_runs_range),
	KUNIT_CASE(pfn_runs_cost),
	KUNIT_CASE(pfn_runs_random),
	{}
};

static struct kunit_suite pfn_runs_suite = {
	.name = "iommufd_pfn_runs",
	.test_cases = pfn_runs_cases,
};

kunit_test_suite(pfn_runs_suite);
