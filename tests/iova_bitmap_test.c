// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty bitmaps in user memory, against a model that sets one bit at a time.
 */
#include <kunit/test.h>
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/uaccess.h>

/* User memory of a test, around the bitmap too */
#define MEM_SIZE	(4 * PAGE_SIZE)
#define RANDOM_ROUNDS	400
/* Bitmap bytes that take several windows, of 512 pages each */
#define LARGE_SIZE	(1280 * PAGE_SIZE)

/**
 * struct set_op - a call of iova_bitmap_set()
 * @iova: its argument
 * @length: its argument
 */
struct set_op {
	unsigned long iova;
	size_t length;
};

/**
 * struct fixture - a bitmap and what the callback saw
 * @test: the test
 * @user: start of the user memory
 * @bitmap: the bitmap under test
 * @ops: for set_ops(): what to report
 * @num_ops: number of @ops
 * @calls: times the callback was called
 * @next: IOVA at which the next call has to start
 * @ret: what the callback returns
 */
struct fixture {
	struct kunit *test;
	unsigned long user;
	struct iova_bitmap *bitmap;
	const struct set_op *ops;
	unsigned int num_ops;
	unsigned int calls;
	unsigned long next;
	int ret;
};

static struct fixture *fixture_alloc(struct kunit *test, size_t size, int prot)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
	f->user = kunit_vm_mmap(test, NULL, 0, size, prot,
				MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, f->user, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(f->user));
	return f;
}

static void free_bitmap(void *bitmap)
{
	iova_bitmap_free(bitmap);
}

static void fixture_bitmap(struct fixture *f, unsigned long iova, size_t length,
			   unsigned long page_size, unsigned long data)
{
	f->bitmap = iova_bitmap_alloc(iova, length, page_size,
				      (u64 __user *)data);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(f->test, f->bitmap);
	f->next = iova;
	f->calls = 0;
	KUNIT_ASSERT_EQ(f->test, 0,
			kunit_add_action_or_reset(f->test, free_bitmap,
						  f->bitmap));
}

/* Drop the bitmap before the end of the test */
static void fixture_free_bitmap(struct fixture *f)
{
	kunit_release_action(f->test, free_bitmap, f->bitmap);
	f->bitmap = NULL;
}

static void expect_range(struct fixture *f, unsigned long iova, size_t length)
{
	KUNIT_EXPECT_EQ(f->test, iova, f->next);
	f->next = iova + length;
	f->calls++;
}

static int set_nothing(struct iova_bitmap *bitmap, unsigned long iova,
		       size_t length, void *opaque)
{
	struct fixture *f = opaque;

	expect_range(f, iova, length);
	return f->ret;
}

static int set_all(struct iova_bitmap *bitmap, unsigned long iova,
		   size_t length, void *opaque)
{
	expect_range(opaque, iova, length);
	iova_bitmap_set(bitmap, iova, length);
	return 0;
}

/* All reports in the first call, wherever they go */
static int set_ops(struct iova_bitmap *bitmap, unsigned long iova,
		   size_t length, void *opaque)
{
	struct fixture *f = opaque;
	unsigned int i;

	for (i = 0; !f->calls && i != f->num_ops; i++)
		iova_bitmap_set(bitmap, f->ops[i].iova, f->ops[i].length);
	expect_range(f, iova, length);
	return 0;
}

/* Set the bit of one IOVA in a copy of the bitmap that starts at data */
static void model_set(u8 *data, unsigned long base, unsigned int shift,
		      unsigned long iova)
{
	unsigned long bit = (iova - base) >> shift;
	u64 word;

	memcpy(&word, data + bit / 64 * sizeof(word), sizeof(word));
	word |= 1ULL << (bit % 64);
	memcpy(data + bit / 64 * sizeof(word), &word, sizeof(word));
}

static void expect_memory(struct fixture *f, const u8 *model, size_t size)
{
	u8 *actual = kunit_kmalloc(f->test, size, GFP_KERNEL);
	size_t i;

	KUNIT_ASSERT_NOT_NULL(f->test, actual);
	KUNIT_ASSERT_EQ(f->test, 0,
			copy_from_user(actual, (void __user *)f->user, size));
	for (i = 0; i != size && actual[i] == model[i];)
		i++;
	if (i != size)
		KUNIT_FAIL(f->test, "byte %zu is %#x, expected %#x", i,
			   actual[i], model[i]);
	kunit_kfree(f->test, actual);
}

/* A range around the bitmap's, as wide as it or as narrow as a byte */
static struct set_op random_op(struct rnd_state *rnd, unsigned long iova,
			       size_t length)
{
	unsigned int cut = prandom_u32_state(rnd) % 24;
	size_t span = max_t(size_t, length >> cut, 1);

	return (struct set_op){
		.iova = iova - length / 4 +
			prandom_u32_state(rnd) % (length + length / 2),
		.length = 1 + prandom_u32_state(rnd) % span,
	};
}

static void random_round(struct fixture *f, struct rnd_state *rnd, u8 *model)
{
	unsigned int shift = prandom_u32_state(rnd) % 13;
	unsigned long page_size = 1UL << shift;
	/* The first and the last elements stay within the memory */
	unsigned long offset = prandom_u32_state(rnd) % PAGE_SIZE;
	unsigned long bits = 1 + prandom_u32_state(rnd) %
			     (2 * PAGE_SIZE * BITS_PER_BYTE);
	size_t length = bits * page_size - prandom_u32_state(rnd) % page_size;
	unsigned long iova = SZ_1G + prandom_u32_state(rnd) % SZ_1G;
	struct set_op ops[8];
	unsigned long at, i;

	prandom_bytes_state(rnd, model, MEM_SIZE);
	/* Mostly clear, or nothing would be seen to change */
	for (i = 0; i != MEM_SIZE; i++)
		model[i] &= model[(i + 1) % MEM_SIZE] &
			    model[(i + 2) % MEM_SIZE];
	KUNIT_ASSERT_EQ(f->test, 0,
			copy_to_user((void __user *)f->user, model, MEM_SIZE));

	for (i = 0; i != ARRAY_SIZE(ops); i++)
		ops[i] = random_op(rnd, iova, length);
	f->ops = ops;
	f->num_ops = ARRAY_SIZE(ops);
	fixture_bitmap(f, iova, length, page_size, f->user + offset);
	KUNIT_EXPECT_EQ(f->test, 0,
			iova_bitmap_for_each(f->bitmap, f, set_ops));
	KUNIT_EXPECT_EQ(f->test, f->next, iova + length);
	fixture_free_bitmap(f);

	for (i = 0; i != ARRAY_SIZE(ops); i++) {
		unsigned long last = ops[i].iova + ops[i].length - 1;

		for (at = max(ops[i].iova, iova);
		     at <= min(last, iova + length - 1);
		     at = iova + round_down(at - iova, page_size) + page_size)
			model_set(model + offset, iova, shift, at);
	}
	expect_memory(f, model, MEM_SIZE);
}

static void iova_bitmap_test_random(struct kunit *test)
{
	struct fixture *f = fixture_alloc(test, MEM_SIZE,
					  PROT_READ | PROT_WRITE);
	u8 *model = kunit_kmalloc(test, MEM_SIZE, GFP_KERNEL);
	u32 seed = get_random_u32();
	struct rnd_state rnd;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, model);
	kunit_info(test, "seed %#x\n", seed);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i != RANDOM_ROUNDS && test->status != KUNIT_FAILURE; i++)
		random_round(f, &rnd, model);
}

static void expect_filled(struct fixture *f, unsigned long start,
			  unsigned long end, u8 value)
{
	u8 *actual = kunit_kmalloc(f->test, PAGE_SIZE, GFP_KERNEL);
	unsigned long n;
	u8 *bad;

	KUNIT_ASSERT_NOT_NULL(f->test, actual);
	for (; start != end; start += n) {
		n = min(end - start, PAGE_SIZE);
		KUNIT_ASSERT_EQ(f->test, 0,
				copy_from_user(actual,
					       (void __user *)f->user + start,
					       n));
		bad = memchr_inv(actual, value, n);
		if (bad) {
			KUNIT_FAIL(f->test, "byte %lu is %#x, expected %#x",
				   start + (bad - actual), *bad, value);
			break;
		}
	}
	kunit_kfree(f->test, actual);
}

/* Every bit of the bitmap and no other, in several windows */
static void check_large(struct fixture *f, unsigned long iova,
			unsigned long offset)
{
	const size_t bits = LARGE_SIZE * BITS_PER_BYTE - 8 * 32 - 3;
	unsigned long end = offset + bits / 8;

	fixture_bitmap(f, iova, bits, 1, f->user + offset);
	KUNIT_EXPECT_EQ(f->test, 0,
			iova_bitmap_for_each(f->bitmap, f, set_all));
	KUNIT_EXPECT_EQ(f->test, f->next, iova + bits);
	KUNIT_EXPECT_GT(f->test, f->calls, 1);

	expect_filled(f, 0, offset, 0);
	expect_filled(f, offset, end, 0xff);
	expect_filled(f, end, end + 1, 0xff >> (8 - bits % 8));
	expect_filled(f, end + 1, LARGE_SIZE + 2 * PAGE_SIZE, 0);
	fixture_free_bitmap(f);
}

static void iova_bitmap_test_windows(struct kunit *test)
{
	static const unsigned long offsets[] = { 0, 1, 9, 2048, 4095 };
	struct fixture *f;
	size_t i;

	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		kunit_skip(test, "expects little endian");

	for (i = 0; i != ARRAY_SIZE(offsets); i++) {
		f = fixture_alloc(test, LARGE_SIZE + 2 * PAGE_SIZE,
				  PROT_READ | PROT_WRITE);
		check_large(f, SZ_1G + i * 64, offsets[i]);
	}
}

/* Windows of a range that starts anywhere meet where huge pages do */
static int check_boundary(struct iova_bitmap *bitmap, unsigned long iova,
			  size_t length, void *opaque)
{
	struct fixture *f = opaque;

	if (f->calls)
		KUNIT_EXPECT_TRUE_MSG(f->test, IS_ALIGNED(iova, SZ_1M),
				      "call %u starts at %#lx", f->calls, iova);
	expect_range(f, iova, length);
	return 0;
}

static void iova_bitmap_test_boundaries(struct kunit *test)
{
	struct fixture *f = fixture_alloc(test, LARGE_SIZE + PAGE_SIZE,
					  PROT_READ | PROT_WRITE);

	fixture_bitmap(f, SZ_1G + 64 * 77, LARGE_SIZE * 8, 1, f->user + 3);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(f->bitmap, f, check_boundary));
	KUNIT_EXPECT_GT(test, f->calls, 1);
}

/* What lies in another window than that of the call is not lost */
static int set_elsewhere(struct iova_bitmap *bitmap, unsigned long iova,
			 size_t length, void *opaque)
{
	struct fixture *f = opaque;
	unsigned int i;

	/* A huge page across the end of the window */
	if (!f->calls)
		iova_bitmap_set(bitmap, iova + length - 100, 1000);
	/* and one long before it */
	else if (f->next < SZ_1G + LARGE_SIZE * 8UL)
		for (i = 0; i != f->num_ops; i++)
			iova_bitmap_set(bitmap, f->ops[i].iova,
					f->ops[i].length);
	expect_range(f, iova, length);
	if (f->calls == 1)
		f->ret = length;
	return 0;
}

static void expect_bits(struct fixture *f, unsigned long first,
			unsigned long num)
{
	unsigned long i;
	u8 byte;

	for (i = first - 1; i != first + num + 1; i++) {
		bool expect = i >= first && i < first + num;

		KUNIT_ASSERT_EQ(f->test, 0,
				get_user(byte, (u8 __user *)f->user + i / 8));
		KUNIT_EXPECT_EQ_MSG(f->test, !!(byte & BIT(i % 8)), expect,
				    "bit %lu", i);
	}
}

static void iova_bitmap_test_outside_window(struct kunit *test)
{
	struct fixture *f = fixture_alloc(test, LARGE_SIZE,
					  PROT_READ | PROT_WRITE);
	static const struct set_op op = { SZ_1G + 77, 3000 };

	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		kunit_skip(test, "expects little endian");

	f->ops = &op;
	f->num_ops = 1;
	fixture_bitmap(f, SZ_1G, LARGE_SIZE * 8, 1, f->user);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(f->bitmap, f, set_elsewhere));
	KUNIT_EXPECT_GT(test, f->calls, 1);
	expect_bits(f, 77, 3000);
	expect_bits(f, f->ret - 100, 1000);

	/* Nor is what is reported without a window */
	iova_bitmap_set(f->bitmap, SZ_1G + 10000, 517);
	expect_bits(f, 10000, 517);
}

static void iova_bitmap_test_read_only(struct kunit *test)
{
	struct fixture *f = fixture_alloc(test, MEM_SIZE, PROT_READ);

	/* The callback would make the hardware forget: must not be called */
	fixture_bitmap(f, 0, SZ_1M, SZ_4K, f->user);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(f->bitmap, f, set_nothing));
	KUNIT_EXPECT_EQ(test, 0, f->calls);
}

static void iova_bitmap_test_bad_address(struct kunit *test)
{
	struct fixture *f = fixture_alloc(test, MEM_SIZE, PROT_READ);

	fixture_bitmap(f, 0, SZ_1M, SZ_4K, 0);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(f->bitmap, f, set_nothing));

	/* The kernel's, and one that wraps */
	fixture_bitmap(f, 0, SZ_1M, SZ_4K, (unsigned long)f);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(f->bitmap, f, set_nothing));
	fixture_bitmap(f, 0, SZ_1M, SZ_4K, ULONG_MAX - 3);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(f->bitmap, f, set_nothing));

	/* No user address space has room for this */
	fixture_bitmap(f, 0, ULONG_MAX, 1, f->user);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(f->bitmap, f, set_nothing));
	KUNIT_EXPECT_EQ(test, 0, f->calls);
}

/* The end of the bitmap is not mapped: what comes before it is delivered */
static void iova_bitmap_test_hole(struct kunit *test)
{
	struct fixture *f = fixture_alloc(test, LARGE_SIZE,
					  PROT_READ | PROT_WRITE);
	/* A part of a byte, and many bytes */
	static const struct set_op ops[] = {
		{ SZ_1G + (LARGE_SIZE - 4) * 8UL, 3 },
		{ SZ_1G + (LARGE_SIZE - 900) * 8UL, 4000 },
	};
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap(f->user + LARGE_SIZE - PAGE_SIZE, PAGE_SIZE));

	fixture_bitmap(f, SZ_1G, LARGE_SIZE * 8, 1, f->user);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(f->bitmap, f, set_nothing));
	KUNIT_EXPECT_GT(test, f->calls, 0);
	KUNIT_EXPECT_LT(test, f->next, SZ_1G + LARGE_SIZE * 8UL);

	/* Too late to be prevented, but not to be told */
	for (i = 0; i != ARRAY_SIZE(ops); i++) {
		f->ops = &ops[i];
		f->num_ops = 1;
		fixture_bitmap(f, SZ_1G, LARGE_SIZE * 8, 1, f->user);
		KUNIT_EXPECT_EQ(test, -EFAULT,
				iova_bitmap_for_each(f->bitmap, f, set_ops));
		KUNIT_EXPECT_EQ(test, f->calls, 1);
	}
}

static void iova_bitmap_test_callback_error(struct kunit *test)
{
	struct fixture *f = fixture_alloc(test, LARGE_SIZE,
					  PROT_READ | PROT_WRITE);

	f->ret = -EIO;
	fixture_bitmap(f, SZ_1G, LARGE_SIZE * 8, 1, f->user);
	KUNIT_EXPECT_EQ(test, -EIO,
			iova_bitmap_for_each(f->bitmap, f, set_nothing));
	KUNIT_EXPECT_EQ(test, f->calls, 1);
}

static void iova_bitmap_test_edges(struct kunit *test)
{
	struct fixture *f = fixture_alloc(test, MEM_SIZE,
					  PROT_READ | PROT_WRITE);
	static const struct set_op all = { 0, ULONG_MAX };
	static const struct set_op wrap = { ULONG_MAX - SZ_4K, SZ_8K };
	u8 bytes[3];

	/* The last two pages there are */
	f->ops = &wrap;
	f->num_ops = 1;
	fixture_bitmap(f, ULONG_MAX - SZ_8K + 1, SZ_8K, SZ_4K, f->user + 1);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(f->bitmap, f, set_ops));
	KUNIT_EXPECT_EQ(test, f->calls, 1);
	KUNIT_EXPECT_EQ(test, f->next, 0);
	expect_bits(f, 8, 2);

	/* A report of everything touches the one bit there is */
	f->ops = &all;
	fixture_bitmap(f, SZ_1G, 1, SZ_4K, f->user + 8);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(f->bitmap, f, set_ops));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(bytes,
						(void __user *)f->user + 7, 3));
	KUNIT_EXPECT_EQ(test, bytes[0], 0);
	if (!IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		KUNIT_EXPECT_EQ(test, bytes[1], 1);
	KUNIT_EXPECT_EQ(test, bytes[2], 0);

	/* An empty range has no bits */
	fixture_bitmap(f, SZ_1G, 0, SZ_4K, f->user);
	iova_bitmap_set(f->bitmap, SZ_1G, SZ_4K);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(f->bitmap, f, set_ops));
	KUNIT_EXPECT_EQ(test, f->calls, 1);

	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL),
			    iova_bitmap_alloc(0, SZ_1M, 3 * SZ_4K, NULL));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL),
			    iova_bitmap_alloc(0, SZ_1M, 0, NULL));
}

static struct kunit_case iova_bitmap_test_cases[] = {
	KUNIT_CASE(iova_bitmap_test_random),
	KUNIT_CASE(iova_bitmap_test_windows),
	KUNIT_CASE(iova_bitmap_test_boundaries),
	KUNIT_CASE(iova_bitmap_test_outside_window),
	KUNIT_CASE(iova_bitmap_test_read_only),
	KUNIT_CASE(iova_bitmap_test_bad_address),
	KUNIT_CASE(iova_bitmap_test_hole),
	KUNIT_CASE(iova_bitmap_test_callback_error),
	KUNIT_CASE(iova_bitmap_test_edges),
	{}
};

static struct kunit_suite iova_bitmap_test_suite = {
	.name = "iommufd_iova_bitmap",
	.test_cases = iova_bitmap_test_cases,
};

kunit_test_suite(iova_bitmap_test_suite);
