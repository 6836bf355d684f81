// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: every page that the device wrote is reported once, nothing
 * else is, and nothing gets lost on the way.
 */
#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 64
#define BASE ((__u64)MOCK_APERTURE_START)
#define UNIT ((__u64)MOCK_PAGE_SIZE)
#define NO_CLEAR IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR

FIXTURE(dirty)
{
	int fd;
	__u32 ioas, hwpt;
	__u8 *buf;
	size_t len;
	struct mock_dev dev;
	__u8 bitmap[256];	/* for len in units of UNIT, of 64 KiB pages */
};

FIXTURE_SETUP(dirty)
{
	__u32 other;

	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	/* Entries of one page each, so that a page is what gets dirty */
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	ASSERT_EQ(0, mock_attach(self->fd, other, 0, &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &self->hwpt));
	self->len = NR * PAGE;
	self->buf = buf_alloc(self->len);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				 BASE));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
}

FIXTURE_TEARDOWN(dirty)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, self->len));
}

/* The device writes to that page */
static int touch(int fd, __u32 hwpt, __u64 page)
{
	__u8 one[8] = { 1 };

	return mock_dirty(fd, hwpt, BASE + page * page_size, page_size,
			  page_size, one, NULL);
}

#define TOUCH(page) ASSERT_EQ(0, touch(self->fd, self->hwpt, page))
#define GET(flags, page, n, unit)                                              \
	({                                                                     \
		memset(self->bitmap, 0, sizeof(self->bitmap));                 \
		hwpt_get_dirty(self->fd, self->hwpt, flags,                    \
			       BASE + (page) * PAGE, (n) * PAGE, unit,         \
			       self->bitmap);                                  \
	})

static unsigned int weight(const void *bitmap, size_t bits)
{
	unsigned int n = 0;

	for (size_t i = 0; i < bits; i++)
		n += bit_get(bitmap, i);
	return n;
}

TEST_F(dirty, set_errors)
{
	__u32 plain, parent, nested;

	EXPECT_EQ(ENOENT, hwpt_set_dirty(self->fd, BAD_ID, true));
	EXPECT_EQ(ENOENT, hwpt_set_dirty(self->fd, self->ioas, true));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&plain));
	EXPECT_EQ(EOPNOTSUPP, hwpt_set_dirty(self->fd, plain, true));
	EXPECT_EQ(EOPNOTSUPP, hwpt_set_dirty(self->fd, plain, false));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, parent, 0, 0,
				       0, &nested));
	EXPECT_EQ(ENOENT, hwpt_set_dirty(self->fd, nested, true));
	/* In any order, as often as one likes */
	EXPECT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
	EXPECT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, false));
	EXPECT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, false));
	EXPECT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
}

TEST_F(dirty, get_errors)
{
	const __u64 all = UINT64_MAX;
	struct {
		__u32 hwpt, flags;
		__u64 iova, length, unit;
		int rc;
	} t[] = {
		{ BAD_ID, 2, BASE, 0, 0, EOPNOTSUPP },
		{ BAD_ID, 0, BASE, 0, 0, ENOENT },
		{ self->ioas, 0, BASE, PAGE, PAGE, ENOENT },
		{ self->hwpt, 0, all, 0, 0, EINVAL },
		{ self->hwpt, 0, all, 2, 0, EOVERFLOW },
		{ self->hwpt, 0, BASE, all, 0, EOVERFLOW },
		{ self->hwpt, 0, BASE + 1, PAGE, PAGE, EINVAL },
		{ self->hwpt, 0, BASE, PAGE + 1, 1, EINVAL },
		{ self->hwpt, 0, BASE, PAGE, 0, EINVAL },
		{ self->hwpt, 0, BASE + PAGE, 2 * PAGE, 2 * PAGE, EINVAL },
		{ self->hwpt, 0, BASE, PAGE, 2 * PAGE, EINVAL },
		/* Not a power of two */
		{ self->hwpt, 0, BASE - BASE % (3 * PAGE) + 3 * PAGE,
		  3 * PAGE, 3 * PAGE, EINVAL },
		{ self->hwpt, 0, 0, 3 * PAGE, 3 * PAGE, EINVAL },
	};
	__u32 plain;

	TOUCH(0);
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		EXPECT_EQ(t[i].rc, hwpt_get_dirty(self->fd, t[i].hwpt,
						  t[i].flags, t[i].iova,
						  t[i].length, t[i].unit,
						  self->bitmap))
			TH_LOG("entry %u", i);
	}
	EXPECT_EQ(0, weight(self->bitmap, 8 * sizeof(self->bitmap)));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&plain));
	EXPECT_EQ(EOPNOTSUPP, hwpt_get_dirty(self->fd, plain, 0, BASE, PAGE,
					     PAGE, self->bitmap));
	/* None of that cost the dirty page */
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	EXPECT_EQ(1, self->bitmap[0]);
}

/* One dirty page as seen in units smaller and larger than it */
TEST_F(dirty, units)
{
	for (__u64 page = 0; page < NR; page += 7) {
		for (__u64 unit = UNIT; unit <= self->len; unit *= 2) {
			size_t bits = self->len / unit;
			size_t first = page * PAGE / unit;
			size_t n = unit < PAGE ? PAGE / unit : 1;

			TOUCH(page);
			ASSERT_EQ(0, GET(0, 0, NR, unit));
			EXPECT_EQ(n, weight(self->bitmap,
					    8 * sizeof(self->bitmap)));
			for (size_t i = first; i < first + n && i < bits; i++)
				EXPECT_TRUE(bit_get(self->bitmap, i));
			/* And then it is clean */
			ASSERT_EQ(0, GET(0, 0, NR, unit));
			EXPECT_EQ(0, weight(self->bitmap, bits));
		}
	}
}

/* Units of which half a dozen are the whole address space */
TEST_F(dirty, huge_units)
{
	const __u64 unit = 1ULL << 41;

	TOUCH(NR - 1);
	for (int round = 0; round < 2; round++) {
		memset(self->bitmap, 0, sizeof(self->bitmap));
		ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, 0,
					    6 * unit, unit, self->bitmap));
		EXPECT_EQ(!round, self->bitmap[0]);
		EXPECT_EQ(!round, weight(self->bitmap,
					 8 * sizeof(self->bitmap)));
	}
}

TEST_F(dirty, no_clear)
{
	TOUCH(3);
	TOUCH(40);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, GET(NO_CLEAR, 0, NR, PAGE));
		EXPECT_EQ(2, weight(self->bitmap, NR));
		EXPECT_TRUE(bit_get(self->bitmap, 3));
		EXPECT_TRUE(bit_get(self->bitmap, 40));
	}
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	EXPECT_EQ(2, weight(self->bitmap, NR));
	ASSERT_EQ(0, GET(NO_CLEAR, 0, NR, PAGE));
	EXPECT_EQ(0, weight(self->bitmap, NR));
}

/* Part of the range: that part is reported and cleared, the rest waits */
TEST_F(dirty, part_of_the_range)
{
	for (int page = 0; page < NR; page++)
		TOUCH(page);
	ASSERT_EQ(0, GET(0, 10, 9, PAGE));
	EXPECT_EQ(9, weight(self->bitmap, 8 * sizeof(self->bitmap)));
	EXPECT_EQ(0xff, self->bitmap[0]);
	EXPECT_EQ(0x01, self->bitmap[1]);
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	for (int page = 0; page < NR; page++)
		EXPECT_EQ(page < 10 || page >= 19,
			  bit_get(self->bitmap, page));
}

/* Bits are added to what the caller has */
TEST_F(dirty, bits_are_added)
{
	memset(self->bitmap, 0xa0, sizeof(self->bitmap));
	TOUCH(0);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE, self->len,
				    PAGE, self->bitmap));
	EXPECT_EQ(0xa1, self->bitmap[0]);
	for (int i = 1; i < NR / 8; i++)
		EXPECT_EQ(0xa0, self->bitmap[i]);
}

/* Any place in memory, and not a byte beyond */
TEST_F(dirty, bitmap_placement)
{
	__u8 *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, map);
	for (int off = -20; off <= 9; off++) {
		/* Nine pages: a byte and a bit */
		__u8 *at = map + PAGE + off;

		memset(map, 0, 2 * PAGE);
		for (int page = 4; page < 13; page++)
			TOUCH(page);
		TOUCH(3);
		TOUCH(13);
		ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0,
					    BASE + 4 * PAGE, 9 * PAGE, PAGE,
					    at));
		EXPECT_EQ(0xff, at[0]);
		EXPECT_EQ(0x01, at[1]);
		EXPECT_EQ(0, at[-1]);
		EXPECT_EQ(9, weight(map, 2 * PAGE * 8));
		ASSERT_EQ(0, GET(0, 0, NR, PAGE));
		EXPECT_EQ(2, weight(self->bitmap, NR));
	}
	/* The bitmap ends where memory does */
	ASSERT_EQ(0, munmap(map + PAGE, PAGE));
	TOUCH(0);
	TOUCH(NR - 1);
	memset(map, 0, PAGE);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE, self->len,
				    PAGE, map + PAGE - NR / 8));
	EXPECT_EQ(0x01, map[PAGE - NR / 8]);
	EXPECT_EQ(0x80, map[PAGE - 1]);
	EXPECT_EQ(2, weight(map, PAGE * 8));
	munmap(map, PAGE);
}

/* A bitmap that cannot be written is an error, and costs no dirty page */
TEST_F(dirty, bitmap_unwritable)
{
	__u8 *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u8 *at;

	ASSERT_NE(MAP_FAILED, map);
	for (int page = 0; page < NR; page += 5)
		TOUCH(page);
	ASSERT_EQ(0, mprotect(map, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE,
					 self->len, PAGE, map));
	EXPECT_EQ(EFAULT, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE,
					 self->len, PAGE, NULL));
	EXPECT_EQ(EFAULT, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE,
					 self->len, PAGE,
					 (void *)0xffff800000000000));
	ASSERT_EQ(0, GET(NO_CLEAR, 0, NR, PAGE));
	for (int page = 0; page < NR; page++)
		EXPECT_EQ(page % 5 == 0, bit_get(self->bitmap, page));

	/* Half of it: each page is in this answer or in the next */
	ASSERT_EQ(0, mprotect(map, PAGE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, mprotect(map + PAGE, PAGE, PROT_NONE));
	at = map + PAGE - 4;
	memset(at, 0, 4);
	EXPECT_EQ(EFAULT, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE,
					 self->len, PAGE, at));
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	for (int page = 0; page < NR; page++) {
		bool got = bit_get(self->bitmap, page);

		if (page < 32)
			got |= bit_get(at, page);
		EXPECT_EQ(page % 5 == 0, got);
	}
	munmap(map, 2 * PAGE);
}

/* Tracking starts clean, of old writes and of new mappings */
TEST_F(dirty, enable_clears)
{
	TOUCH(1);
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, false));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	EXPECT_EQ(0, weight(self->bitmap, NR));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				 BASE + self->len));
	memset(self->bitmap, 0, sizeof(self->bitmap));
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE + self->len,
				    PAGE, PAGE, self->bitmap));
	EXPECT_EQ(0, self->bitmap[0]);
}

/* The memory of the bitmap is pinned for as long as it is written */
TEST_F(dirty, bitmap_is_unpinned)
{
	__u8 *bitmap = buf_alloc(PAGE);

	ASSERT_NE(NULL, bitmap);
	TOUCH(1);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE, self->len,
				    PAGE, bitmap));
	EXPECT_EQ(2, bitmap[0]);
	EXPECT_EQ(0, mock_check_pins(self->fd, bitmap, PAGE, 0));
}

/* Once more is not a start: what nobody has read yet would be lost */
TEST_F(dirty, enable_again)
{
	TOUCH(1);
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	EXPECT_EQ(2, self->bitmap[0]);
}

/* Not enabled: it answers, with whatever there is */
TEST_F(dirty, disabled)
{
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, false));
	EXPECT_EQ(EINVAL, touch(self->fd, self->hwpt, 0));
	EXPECT_EQ(0, GET(0, 0, NR, PAGE));
}

/* Each page table has a state of its own */
TEST_F(dirty, two_page_tables)
{
	__u32 second;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &second));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, second, true));
	TOUCH(1);
	ASSERT_EQ(0, touch(self->fd, second, 2));
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	EXPECT_EQ(0x02, self->bitmap[0]);
	memset(self->bitmap, 0, sizeof(self->bitmap));
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, second, 0, BASE, self->len, PAGE,
				    self->bitmap));
	EXPECT_EQ(0x04, self->bitmap[0]);
}

/* Pages of neighbouring mappings are one range */
TEST_F(dirty, several_mappings)
{
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	for (int i = 0; i < NR; i += 3)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->buf + i * PAGE,
					 (i + 3 < NR ? 3 : NR - i) * PAGE,
					 BASE + i * PAGE));
	for (int page = 0; page < NR; page += 2)
		TOUCH(page);
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	for (int i = 0; i < NR / 8; i++)
		EXPECT_EQ(0x55, self->bitmap[i]);
	ASSERT_EQ(0, GET(0, 0, NR, PAGE));
	EXPECT_EQ(0, weight(self->bitmap, NR));
}

/* A hole is nothing dirty and no error */
TEST_F(dirty, hole)
{
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 8 * PAGE,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 8 * PAGE,
				 BASE + 16 * PAGE));
	for (int page = 0; page < 24; page++)
		if (page < 8 || page >= 16)
			TOUCH(page);
	EXPECT_EQ(0, GET(0, 0, 24, PAGE));
	EXPECT_EQ(0xff, self->bitmap[0]);
	EXPECT_EQ(0x00, self->bitmap[1]);
	EXPECT_EQ(0xff, self->bitmap[2]);
	/* All hole */
	EXPECT_EQ(0, GET(0, 32, 8, PAGE));
	EXPECT_EQ(0, weight(self->bitmap, 8 * sizeof(self->bitmap)));
}

TEST_F_TIMEOUT(dirty, random, 60)
{
	__u64 seed = rnd_seed();
	bool model[NR] = {};

	TH_LOG("TEST_SEED=%llu", seed);
	for (int step = 0; step < 400; step++) {
		unsigned int lg = rnd(&seed) % 5, n = 1 << lg;
		unsigned int from = rnd(&seed) % (NR / n) * n;
		unsigned int count = (1 + rnd(&seed) % (NR / n - from / n)) * n;
		bool clear = rnd(&seed) % 2;

		for (int k = rnd(&seed) % 8; k; k--) {
			unsigned int page = rnd(&seed) % NR;

			TOUCH(page);
			model[page] = true;
		}
		ASSERT_EQ(0, GET(clear ? 0 : NO_CLEAR, from, count, n * PAGE));
		for (unsigned int i = 0; i < count / n; i++) {
			bool want = false;

			for (unsigned int k = 0; k < n; k++) {
				want |= model[from + i * n + k];
				if (clear)
					model[from + i * n + k] = false;
			}
			ASSERT_EQ(want, bit_get(self->bitmap, i))
				TH_LOG("step %d bit %u", step, i);
		}
		for (unsigned int i = count / n;
		     i < 8 * sizeof(self->bitmap); i++)
			ASSERT_EQ(0, bit_get(self->bitmap, i));
	}
}

/* A bitmap of several pages, at an odd address */
TEST_F_TIMEOUT(dirty, large_bitmap, 120)
{
	const __u64 chunk = 512 * PAGE;
	const __u64 nchunks = (80ULL << 20) / chunk, len = nchunks * chunk;
	size_t bytes = len / UNIT / 8;
	__u8 *buf = buf_alloc(chunk), *bitmap;
	__u64 nr = 0;

	ASSERT_NE(NULL, buf);
	bitmap = calloc(1, bytes + 2 * PAGE);
	ASSERT_NE(NULL, bitmap);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	for (__u64 i = 0; i < nchunks; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf, chunk,
					 BASE + i * chunk));
	/* Every 61st page */
	for (__u64 page = 0; page < len / PAGE; page += 61, nr++)
		bit_set(bitmap, page);
	ASSERT_EQ(0, mock_dirty(self->fd, self->hwpt, BASE, len, PAGE, bitmap,
				NULL));
	memset(bitmap, 0, bytes + 2 * PAGE);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE, len, UNIT,
				    bitmap + 13));
	EXPECT_EQ(nr * (PAGE / UNIT), weight(bitmap, 8 * (bytes + 2 * PAGE)));
	for (__u64 page = 0; page < len / PAGE; page += 61)
		ASSERT_TRUE(bit_get(bitmap + 13, page * (PAGE / UNIT)));
	memset(bitmap, 0, bytes + 2 * PAGE);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE, len, UNIT,
				    bitmap));
	EXPECT_EQ(0, weight(bitmap, 8 * (bytes + 2 * PAGE)));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(buf, chunk);
	free(bitmap);
}

/*
 * Entries larger than pages: what was written may be reported more coarsely,
 * never less, and inside the bitmap.
 */
TEST_F(dirty, large_entries)
{
	const __u64 entry = MOCK_HUGE_PAGE_SIZE;
	__u32 ioas, hwpt;
	__u8 *buf, *bitmap;
	size_t bits;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	buf = buf_alloc_hugetlb(2 * huge_size);
	if (!buf)
		SKIP(return, "2 huge pages of %zu KiB needed: %s",
		     huge_size / 1024, strerror(errno));
	bits = 2 * huge_size / UNIT;
	bitmap = calloc(1, bits / 8 + 64);
	ASSERT_NE(NULL, bitmap);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, self->dev.idev, ioas,
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, buf, 2 * huge_size, BASE));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	ASSERT_EQ(0, touch(self->fd, hwpt, entry / PAGE + 3));
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, NO_CLEAR, BASE,
				    2 * huge_size, UNIT, bitmap));
	EXPECT_EQ(entry / UNIT, weight(bitmap, bits + 512));
	EXPECT_TRUE(bit_get(bitmap, entry / UNIT));
	EXPECT_FALSE(bit_get(bitmap, entry / UNIT - 1));
	/* All of the first, and a part of it, which stays dirty */
	memset(bitmap, 0, bits / 8 + 64);
	ASSERT_EQ(0, touch(self->fd, hwpt, 0));
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0, BASE, entry + PAGE,
				    UNIT, bitmap));
	EXPECT_EQ((entry + PAGE) / UNIT, weight(bitmap, bits + 512));
	memset(bitmap, 0, bits / 8 + 64);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, NO_CLEAR, BASE,
				    2 * entry, UNIT, bitmap));
	EXPECT_EQ(entry / UNIT, weight(bitmap, bits + 512));
	EXPECT_TRUE(bit_get(bitmap, entry / UNIT));
	/* The bitmap of the first page of it: the bits of that only */
	memset(bitmap, 0, bits / 8 + 64);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, NO_CLEAR, BASE + entry,
				    PAGE, UNIT, bitmap + 1));
	EXPECT_EQ(PAGE / UNIT, weight(bitmap, bits + 512));
	EXPECT_EQ(PAGE / UNIT, weight(bitmap + 1, PAGE / UNIT));
	free(bitmap);
	munmap(buf, 2 * huge_size);
}

/*
 * Part of an entry: that part is reported, and the entry stays dirty until all
 * of it is asked for. Chunks of small entries are not affected by that.
 */
TEST_F(dirty, parts_of_large_entries)
{
	const __u64 half = huge_size / 2, unit = PAGE;
	unsigned int bits = half / unit;
	__u32 ioas, hwpt;
	__u8 *buf, *map;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	buf = buf_alloc_hugetlb(4 * huge_size);
	if (!buf)
		SKIP(return, "4 huge pages of %zu KiB needed: %s",
		     huge_size / 1024, strerror(errno));
	map = calloc(8, bits / 8);
	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	/* Each huge page is an entry, as their memory is in reverse order */
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, ioas,
					 buf + (3 - i) * huge_size, huge_size,
					 BASE + i * huge_size));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, touch(self->fd, hwpt, i * huge_size / PAGE));
#define GET_HALVES(from, n)                                                    \
	({                                                                     \
		memset(map, 0, bits);                                          \
		ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0,                 \
					    BASE + (from) * half, (n) * half,  \
					    unit, map));                       \
		weight(map, 8 * bits);                                         \
	})
	/* The second half is not lost by asking for the first */
	EXPECT_EQ(bits, GET_HALVES(0, 1));
	EXPECT_EQ(bits, GET_HALVES(1, 1));
	EXPECT_EQ(bits, GET_HALVES(0, 1));
	/* The end of one, all of the next two, the start of the last */
	EXPECT_EQ(6 * bits, GET_HALVES(1, 6));
	EXPECT_EQ(2 * bits, GET_HALVES(1, 6));
	EXPECT_EQ(4 * bits, GET_HALVES(0, 8));
	EXPECT_EQ(0, GET_HALVES(0, 8));
	/* A part of the middle of one */
	ASSERT_EQ(0, touch(self->fd, hwpt, huge_size / PAGE));
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0,
				    BASE + huge_size + half - PAGE, 2 * PAGE,
				    unit, map));
	EXPECT_EQ(2, weight(map, 8 * bits));
	EXPECT_EQ(2 * bits, GET_HALVES(0, 8));
	EXPECT_EQ(0, GET_HALVES(0, 8));
	ASSERT_EQ(0, iommu_destroy(self->fd, hwpt));
	ASSERT_EQ(0, iommu_destroy(self->fd, ioas));
	free(map);
	munmap(buf, 4 * huge_size);
}

/*
 * A query that the kernel answers in two goes, as it crosses a multiple of 8 Mi
 * units, does not cut an entry wherever it begins
 */
TEST_F(dirty, goes_keep_entries_whole)
{
	const __u64 entry = MOCK_HUGE_PAGE_SIZE, unit = 4096;
	const __u64 middle = unit << 23, iova = middle - huge_size - 3 * PAGE;
	const __u64 length = 2 * huge_size + 3 * PAGE, bits = length / unit;
	__u8 *buf, *bitmap, one[8] = { 1 };
	__u32 ioas, hwpt;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	buf = buf_alloc_hugetlb(2 * huge_size);
	if (!buf)
		SKIP(return, "2 huge pages of %zu KiB needed: %s",
		     huge_size / 1024, strerror(errno));
	bitmap = calloc(1, bits / 8 + 8);
	ASSERT_NE(NULL, bitmap);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, self->dev.idev, ioas,
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, buf, 2 * huge_size,
				 middle - huge_size));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	/* The last entry of the first go, and the first of the second */
	ASSERT_EQ(0, mock_dirty(self->fd, hwpt, middle - PAGE, PAGE, PAGE, one,
				NULL));
	ASSERT_EQ(0, mock_dirty(self->fd, hwpt, middle + PAGE, PAGE, PAGE, one,
				NULL));
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0, iova, length,
				    unit, bitmap));
	EXPECT_EQ(2 * entry / unit, weight(bitmap, bits));
	EXPECT_TRUE(bit_get(bitmap, (middle - entry - iova) / unit));
	EXPECT_TRUE(bit_get(bitmap, (middle + entry - PAGE - iova) / unit));
	memset(bitmap, 0, bits / 8 + 8);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0, iova, length,
				    unit, bitmap));
	EXPECT_EQ(0, weight(bitmap, bits));
	ASSERT_EQ(0, iommu_destroy(self->fd, hwpt));
	ASSERT_EQ(0, iommu_destroy(self->fd, ioas));
	free(bitmap);
	munmap(buf, 2 * huge_size);
}

/* Chunks that do not cut entries converge */
TEST_F(dirty, chunks_of_small_entries)
{
	__u8 *buf = buf_alloc_scattered(self->len);
	__u32 ioas, hwpt;

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, buf, self->len, BASE));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	for (int page = 0; page < NR; page++)
		ASSERT_EQ(0, touch(self->fd, hwpt, page));
	for (int round = 0; round < 2; round++) {
		for (int page = 0; page < NR; page += 4) {
			__u64 bits = 0;

			ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0,
						    BASE + page * PAGE,
						    4 * PAGE, PAGE, &bits));
			EXPECT_EQ(round ? 0 : 0xf, bits);
		}
	}
	ASSERT_EQ(0, iommu_destroy(self->fd, hwpt));
	munmap(buf, self->len);
}

TEST_HARNESS_MAIN
