// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOVA space itself: reserved and allowed ranges, its alignment, and where
 * automatic IOVA go. Nothing here looks at memory, so most addresses are made
 * up: an IOAS without a domain takes any.
 */
#include "kselftest_harness.h"
#include "iommu_utils.h"

#define RANGE(a, b) { .start = (a), .last = (b) }

/* An address nobody has to map; a multiple of every page size */
#define VA ((void *)0x7f0000000000UL)
/* The most allowed ranges, as documented */
#define ALLOW_MAX 65536
#define APERTURE_LEN (MOCK_APERTURE_LAST - MOCK_APERTURE_START + 1)

FIXTURE(ioas)
{
	int fd;
	__u32 ioas;
};

FIXTURE_SETUP(ioas)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
}

FIXTURE_TEARDOWN(ioas)
{
	EXPECT_EQ(0, close(self->fd));
}

/* The space is exactly that: a count of ranges, then the ranges */
#define EXPECT_RANGES(...)                                                     \
	do {                                                                   \
		struct iommu_iova_range __want[] = { __VA_ARGS__ };            \
		struct iommu_iova_range __got[8] = {};                         \
		__u32 __num = ARRAY_LEN(__got);                                \
		EXPECT_EQ(0, ioas_ranges(self->fd, self->ioas, __got, &__num,  \
					 NULL));                               \
		ASSERT_EQ(ARRAY_LEN(__want), __num);                           \
		for (unsigned int __i = 0; __i < __num; __i++) {               \
			EXPECT_EQ(__want[__i].start, __got[__i].start);        \
			EXPECT_EQ(__want[__i].last, __got[__i].last);          \
		}                                                              \
	} while (0)

#define EXPECT_ALIGNMENT(want)                                                 \
	do {                                                                   \
		__u32 __num = 0;                                               \
		__u64 __align = 0;                                             \
		ioas_ranges(self->fd, self->ioas, NULL, &__num, &__align);     \
		EXPECT_EQ(want, __align);                                      \
	} while (0)

TEST_F(ioas, fresh)
{
	__u64 val, unmapped = 1;

	EXPECT_RANGES(RANGE(0, ULONG_MAX));
	EXPECT_ALIGNMENT(1);
	EXPECT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				&val));
	EXPECT_EQ(1, val);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(0, unmapped);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

TEST_F(ioas, ranges_merge)
{
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, PAGE, PAGE));
	EXPECT_RANGES(RANGE(0, PAGE - 1), RANGE(2 * PAGE, ULONG_MAX));
	/* Overlapping, repeated and touching reservations are one hole */
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, PAGE, PAGE));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, PAGE + 1, PAGE));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 2 * PAGE + 1, 7));
	EXPECT_RANGES(RANGE(0, PAGE - 1), RANGE(2 * PAGE + 8, ULONG_MAX));
	/* The edges of the space */
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 0, 1));
	EXPECT_RANGES(RANGE(1, PAGE - 1), RANGE(2 * PAGE + 8, ULONG_MAX));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, ULONG_MAX, 1));
	EXPECT_RANGES(RANGE(1, PAGE - 1), RANGE(2 * PAGE + 8, ULONG_MAX - 1));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 0, PAGE));
	EXPECT_RANGES(RANGE(2 * PAGE + 8, ULONG_MAX - 1));
	/* Mappings and the allowed list make no difference */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, PAGE, 8 * PAGE));
	EXPECT_RANGES(RANGE(2 * PAGE + 8, ULONG_MAX - 1));
}

TEST_F(ioas, ranges_all_reserved)
{
	__u32 num = 4;

	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 0, 1ULL << 63));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 1ULL << 63,
				  1ULL << 63));
	EXPECT_EQ(0, ioas_ranges(self->fd, self->ioas, NULL, &num, NULL));
	EXPECT_EQ(0, num);
	num = 0;
	EXPECT_EQ(0, ioas_ranges(self->fd, self->ioas, NULL, &num, NULL));
	EXPECT_EQ(0, num);
}

TEST_F(ioas, ranges_small_buffer)
{
	struct iommu_iova_range *r, canary = RANGE(0x1234, 0x5678);
	__u8 *map;
	__u64 align = 0;
	__u32 num = 0;

	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, PAGE, PAGE));
	EXPECT_EQ(EMSGSIZE, ioas_ranges(self->fd, self->ioas, NULL, &num,
					&align));
	EXPECT_EQ(2, num);
	EXPECT_EQ(1, align);

	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	r = (void *)map;
	r[0] = canary;
	r[1] = canary;
	num = 1;
	EXPECT_EQ(EMSGSIZE, ioas_ranges(self->fd, self->ioas, r, &num, NULL));
	EXPECT_EQ(2, num);
	EXPECT_EQ(0, r[0].start);
	EXPECT_EQ(PAGE - 1, r[0].last);
	EXPECT_EQ(0, memcmp(&r[1], &canary, sizeof(canary)));

	/* Only entries below the count are written */
	ASSERT_EQ(0, mprotect(map + PAGE, PAGE, PROT_NONE));
	r = (void *)(map + PAGE) - sizeof(*r);
	num = 1;
	EXPECT_EQ(EMSGSIZE, ioas_ranges(self->fd, self->ioas, r, &num, NULL));
	EXPECT_EQ(2, num);
	num = 2;
	EXPECT_EQ(EFAULT, ioas_ranges(self->fd, self->ioas, r, &num, NULL));
	EXPECT_EQ(2, num);
	/* A larger count than there are ranges needs no memory for the rest */
	r = (void *)(map + PAGE) - 2 * sizeof(*r);
	num = 100;
	EXPECT_EQ(0, ioas_ranges(self->fd, self->ioas, r, &num, NULL));
	EXPECT_EQ(2, num);
	EXPECT_EQ(2 * PAGE, r[1].start);
	munmap(map, 2 * PAGE);
}

TEST_F(ioas, ranges_of_a_domain)
{
	struct mock_dev dev, dev2;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_RANGES(RANGE(MOCK_APERTURE_START, MOCK_APERTURE_LAST));
	EXPECT_ALIGNMENT(MOCK_PAGE_SIZE);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev2));
	EXPECT_RANGES(RANGE(MOCK_APERTURE_START, MOCK_APERTURE_LAST));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, MOCK_APERTURE_START,
				  PAGE));
	EXPECT_RANGES(RANGE(MOCK_APERTURE_START + PAGE, MOCK_APERTURE_LAST));
	/* The aperture goes with its domain, the rest stays */
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_RANGES(RANGE(MOCK_APERTURE_START + PAGE, MOCK_APERTURE_LAST));
	EXPECT_EQ(0, iommu_destroy(self->fd, dev2.stdev));
	EXPECT_RANGES(RANGE(0, MOCK_APERTURE_START - 1),
		      RANGE(MOCK_APERTURE_START + PAGE, ULONG_MAX));
	EXPECT_ALIGNMENT(1);
}

TEST_F(ioas, allow_errors)
{
	struct iommu_iova_range *r;
	struct iommu_iova_range ok = RANGE(16 * PAGE, 17 * PAGE - 1);
	struct iommu_iova_range bad[] = {
		RANGE(8 * PAGE, 9 * PAGE - 1), RANGE(9 * PAGE - 1, 10 * PAGE),
	};
	__u64 iova;
	__u8 *map;

	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &ok, 1));

	EXPECT_EQ(ENOENT, ioas_allow(self->fd, BAD_ID, &ok, 1));
	EXPECT_EQ(EFAULT, ioas_allow(self->fd, self->ioas, NULL, 1));
	/* Overlap by one byte, in either order, or twice the same */
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, bad, 2));
	r = (struct iommu_iova_range[]){ bad[1], bad[0] };
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, r, 2));
	r = (struct iommu_iova_range[]){ bad[0], bad[0] };
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, r, 2));
	/* One byte, and backwards */
	r = (struct iommu_iova_range[]){ RANGE(PAGE, PAGE) };
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, r, 1));
	r = (struct iommu_iova_range[]){ RANGE(2 * PAGE, PAGE) };
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, r, 1));
	r = (struct iommu_iova_range[]){ RANGE(ULONG_MAX, 0) };
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, r, 1));

	/* In array order: a bad entry before the unreadable one decides */
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, mprotect(map + PAGE, PAGE, PROT_NONE));
	r = (void *)(map + PAGE) - sizeof(*r);
	*r = bad[0];
	EXPECT_EQ(EFAULT, ioas_allow(self->fd, self->ioas, r, 2));
	r->last = 0;
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, r, 2));
	munmap(map, 2 * PAGE);

	/* Against reservations, after everything else */
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, PAGE, PAGE));
	r = (struct iommu_iova_range[]){ RANGE(4 * PAGE, 5 * PAGE),
					 RANGE(2 * PAGE - 1, 3 * PAGE) };
	EXPECT_EQ(EADDRINUSE, ioas_allow(self->fd, self->ioas, r, 2));
	r[1].last = 4 * PAGE;
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, r, 2));

	/* Through all of that the first list was in force */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW, &iova));
	EXPECT_EQ(ok.start, iova);
	EXPECT_EQ(ENOSPC, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW,
				   &iova));
	/* Clearing it */
	EXPECT_EQ(0, ioas_allow(self->fd, self->ioas, NULL, 0));
	EXPECT_EQ(0, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW, &iova));
	EXPECT_EQ(2 * PAGE, iova);
}

/* Whoever asks for more than the kernel keeps gets nothing of it */
TEST_F_TIMEOUT(ioas, allow_limit, 120)
{
	struct iommu_iova_range ok = RANGE(16 * PAGE, 17 * PAGE - 1);
	struct iommu_iova_range *r;
	__u64 iova;

	r = calloc(ALLOW_MAX + 1, sizeof(*r));
	ASSERT_NE(NULL, r);
	for (__u64 i = 0; i != ALLOW_MAX + 1; i++) {
		r[i].start = (2 * i + 32) * PAGE;
		r[i].last = r[i].start + PAGE - 1;
	}
	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &ok, 1));
	EXPECT_EQ(ENOMEM, ioas_allow(self->fd, self->ioas, r, ALLOW_MAX + 1));
	/* What is wrong with an earlier entry comes first */
	r[1] = r[0];
	EXPECT_EQ(EINVAL, ioas_allow(self->fd, self->ioas, r, ALLOW_MAX + 1));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW, &iova));
	EXPECT_EQ(ok.start, iova);

	r[1].start = 34 * PAGE;
	r[1].last = 35 * PAGE - 1;
	EXPECT_EQ(0, ioas_allow(self->fd, self->ioas, r, ALLOW_MAX));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW, &iova));
	EXPECT_EQ(32 * PAGE, iova);
	/* All of them count: a reservation in the last is refused */
	EXPECT_EQ(EADDRINUSE, mock_reserve(self->fd, self->ioas,
					   r[ALLOW_MAX - 1].last, 1));
	EXPECT_EQ(0, mock_reserve(self->fd, self->ioas, r[ALLOW_MAX].start,
				  PAGE));
	free(r);
}

TEST_F(ioas, allow_any_order_and_touching)
{
	struct iommu_iova_range r[] = {
		RANGE(64 * PAGE, 65 * PAGE - 1),
		RANGE(8 * PAGE, 9 * PAGE - 1),
		RANGE(65 * PAGE, 66 * PAGE - 1),
		RANGE(ULONG_MAX - 2 * PAGE + 1, ULONG_MAX),
	};
	__u64 iova;

	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, r, ARRAY_LEN(r)));
	/* Touching entries merge to room for two pages */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA, 2 * PAGE, MAP_RW,
			      &iova));
	EXPECT_EQ(64 * PAGE, iova);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW, &iova));
	EXPECT_EQ(8 * PAGE, iova);
	/* The last page of the space is never given out, only taken */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW, &iova));
	EXPECT_EQ(ULONG_MAX - 2 * PAGE + 1, iova);
	EXPECT_EQ(ENOSPC, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW,
				   &iova));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, PAGE,
				 ULONG_MAX - PAGE + 1));
	/* Fixed addresses and copies to them are not confined */
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, PAGE, 0));
	iova = 1024 * PAGE;
	EXPECT_EQ(0, ioas_copy(self->fd, self->ioas, self->ioas, 0, PAGE,
			       MAP_FIX_RW, &iova));
	/* Nor is the list by mappings that exist */
	EXPECT_EQ(0, ioas_allow(self->fd, self->ioas, r, ARRAY_LEN(r)));
}

TEST_F(ioas, allow_vetoes_reservations)
{
	struct iommu_iova_range below = RANGE(0, MOCK_APERTURE_START);
	struct iommu_iova_range inside = RANGE(MOCK_APERTURE_START,
					       MOCK_APERTURE_LAST);

	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &below, 1));
	EXPECT_EQ(EADDRINUSE, mock_reserve(self->fd, self->ioas,
					   MOCK_APERTURE_START, 1));
	EXPECT_EQ(EADDRINUSE, mock_attach(self->fd, self->ioas, 0, NULL));
	/* The failed attach left nothing */
	EXPECT_RANGES(RANGE(0, ULONG_MAX));
	EXPECT_ALIGNMENT(1);
	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &inside, 1));
	EXPECT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	EXPECT_EQ(EADDRINUSE, ioas_allow(self->fd, self->ioas, &below, 1));
}

TEST_F(ioas, mappings_veto_reservations)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, PAGE, PAGE));
	EXPECT_EQ(EADDRINUSE, mock_reserve(self->fd, self->ioas, 0, PAGE + 1));
	EXPECT_EQ(EADDRINUSE, mock_reserve(self->fd, self->ioas, 2 * PAGE - 1,
					   1));
	EXPECT_EQ(0, mock_reserve(self->fd, self->ioas, 2 * PAGE, 1));
	EXPECT_EQ(EADDRINUSE, mock_attach(self->fd, self->ioas, 0, NULL));
	EXPECT_EQ(EINVAL, mock_reserve(self->fd, self->ioas, 0, 0));
	EXPECT_EQ(EOVERFLOW, mock_reserve(self->fd, self->ioas, ULONG_MAX, 2));
	EXPECT_EQ(ENOENT, mock_reserve(self->fd, BAD_ID, 0, 1));
}

/* What align the rules ask for; 0 stands for no limit by the address */
static __u64 want_align(__u64 addr, __u64 length)
{
	__u64 cap = huge_size ? huge_size : PAGE;
	__u64 align = 1;

	while (align < length && align < cap)
		align <<= 1;
	while (addr && align > 1 && addr & (align - 1))
		align >>= 1;
	return align < cap ? align : cap;
}

TEST_F(ioas, auto_alignment)
{
	struct {
		__u64 va, length, iova;
	} t[] = {
		/* The first hole starts at a page, as IOVA 0 is never used */
		{ 0x7f0000000000, PAGE, PAGE },
		{ 0x7f0000000000, PAGE, 2 * PAGE },
		/* A power of two at least the length */
		{ 0x7f0000000000, 3 * PAGE, 4 * PAGE },
		{ 0x7f0000000000, 5 * PAGE, 8 * PAGE },
		/* No more than the address has */
		{ 0x7f0000000000 + 2 * PAGE, 4 * PAGE, 14 * PAGE },
		/* Back to the first hole that fits */
		{ 0x7f0000000000, PAGE, 3 * PAGE },
		{ 0x7f0000000000 + PAGE, PAGE, 7 * PAGE },
		{ 0x7f0000000000, PAGE, 13 * PAGE },
		/* The offset inside the page comes along */
		{ 0x7f0000000804, PAGE, 18 * PAGE + 0x804 },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		__u64 iova;

		ASSERT_EQ(0, ioas_map(self->fd, self->ioas, (void *)t[i].va,
				      t[i].length, MAP_RW, &iova));
		EXPECT_EQ(t[i].iova, iova)
			TH_LOG("entry %u", i);
	}
}

TEST_F(ioas, auto_huge_alignment)
{
	__u64 iova;

	if (!thp_size)
		SKIP(return, "kernel without transparent huge pages");
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA, thp_size, MAP_RW,
			      &iova));
	EXPECT_EQ(thp_size, iova);
	/* More than a huge page is aligned to one, no more */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA, 4 * thp_size, MAP_RW,
			      &iova));
	EXPECT_EQ(2 * thp_size, iova);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, VA + PAGE, thp_size,
			      MAP_RW, &iova));
	EXPECT_EQ(6 * thp_size, iova);
}

/* The offset of a file, 0 included, takes the place of the address */
TEST_F(ioas, auto_of_a_file)
{
	int file = memfd_of(64 * PAGE, 0);
	__u64 iova;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, 8 * PAGE,
				   MAP_RW, &iova));
	EXPECT_EQ(8 * PAGE, iova);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, PAGE, 8 * PAGE,
				   MAP_RW, &iova));
	EXPECT_EQ(16 * PAGE, iova);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, PAGE + 4,
				   2 * PAGE, MAP_RW, &iova));
	EXPECT_EQ(PAGE + 4, iova);
	close(file);
}

TEST_F(ioas, auto_errors)
{
	__u64 iova;

	EXPECT_EQ(EOVERFLOW, ioas_map(self->fd, self->ioas, NULL,
				      ULONG_MAX / 2, MAP_RW, &iova));
	EXPECT_EQ(EOVERFLOW, ioas_map(self->fd, self->ioas, NULL,
				      ULONG_MAX / 2 + 1, MAP_RW, &iova));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 64 * PAGE,
				  ULONG_MAX - 65 * PAGE));
	EXPECT_EQ(ENOSPC, ioas_map(self->fd, self->ioas, VA, 64 * PAGE,
				   MAP_RW, &iova));
	EXPECT_EQ(0, ioas_map(self->fd, self->ioas, VA, 32 * PAGE, MAP_RW,
			      &iova));
	EXPECT_EQ(32 * PAGE, iova);
	/* Room for it, but not aligned */
	EXPECT_EQ(ENOSPC, ioas_map(self->fd, self->ioas, VA, 31 * PAGE, MAP_RW,
				   &iova));
	EXPECT_EQ(0, ioas_map(self->fd, self->ioas, VA + PAGE, 31 * PAGE,
			      MAP_RW, &iova));
	EXPECT_EQ(PAGE, iova);
	EXPECT_EQ(ENOSPC, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW,
				   &iova));
}

TEST_F(ioas, auto_below_alignment)
{
	__u64 iova;

	/* A of PAGE_SIZE without a domain, so that no memory is looked at */
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	EXPECT_ALIGNMENT(PAGE);
	EXPECT_EQ(EINVAL, ioas_map(self->fd, self->ioas, VA, PAGE / 2, MAP_RW,
				   &iova));
	EXPECT_EQ(EINVAL, ioas_map(self->fd, self->ioas, VA + PAGE / 2, PAGE,
				   MAP_RW, &iova));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, VA, PAGE,
				      PAGE / 2));
	EXPECT_EQ(0, ioas_map(self->fd, self->ioas, VA, PAGE, MAP_RW, &iova));
}

TEST_F(ioas, huge_pages_option)
{
	struct mock_dev dev;
	__u64 val;

	EXPECT_EQ(ENOENT, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, 0,
				     &val));
	EXPECT_EQ(EINVAL, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
				     self->ioas, 2));
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				1));
	/* Off: a mapping that does not conform is in the way */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, PAGE / 2, PAGE));
	EXPECT_EQ(EADDRINUSE, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
					 self->ioas, 0));
	EXPECT_ALIGNMENT(1);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, PAGE, PAGE));
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	EXPECT_ALIGNMENT(PAGE);
	EXPECT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				&val));
	EXPECT_EQ(0, val);
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				1));
	EXPECT_ALIGNMENT(1);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));

	/* Not once a domain and a mapping are there; back on always works */
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	EXPECT_ALIGNMENT(PAGE);
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				1));
	EXPECT_ALIGNMENT(MOCK_PAGE_SIZE);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf_alloc(PAGE), PAGE,
				 MOCK_APERTURE_START));
	EXPECT_EQ(EINVAL, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
				     self->ioas, 0));
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				1));
	EXPECT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				&val));
	EXPECT_EQ(1, val);
}

TEST_F(ioas, alignment_of_users)
{
	struct mock_dev dev;
	int access, plain;

	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &plain));
	EXPECT_ALIGNMENT(1);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_ALIGNMENT(MOCK_PAGE_SIZE);
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &access));
	EXPECT_ALIGNMENT(PAGE);
	close(access);
	EXPECT_ALIGNMENT(MOCK_PAGE_SIZE);
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_ALIGNMENT(1);
	close(plain);
}

/* Those who go do not take along what a user that stays needs */
TEST_F(ioas, alignment_of_user_stays)
{
	int access, other;
	struct mock_dev dev;

	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &access));
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &other));
	close(other);
	EXPECT_ALIGNMENT(PAGE);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_ALIGNMENT(PAGE);
	close(access);
	EXPECT_ALIGNMENT(1);
}

/* Whoever needs more than a mapping keeps is turned away, and changes nothing */
TEST_F(ioas, alignment_conflict)
{
	struct {
		__u64 va, length, iova;
		int domain, access;
	} t[] = {
		{ 0, PAGE, 1, EADDRINUSE, EADDRINUSE },
		{ 0, PAGE + 1, 0, EADDRINUSE, EADDRINUSE },
		{ 1, PAGE, 0, EADDRINUSE, EADDRINUSE },
		{ 0, PAGE, MOCK_PAGE_SIZE, 0, EADDRINUSE },
		{ 0, MOCK_PAGE_SIZE, 0, 0, EADDRINUSE },
		{ MOCK_PAGE_SIZE, PAGE, 0, 0, EADDRINUSE },
		{ 0, PAGE, 0, 0, 0 },
	};
	void *buf = buf_alloc(4 * PAGE);

	ASSERT_NE(NULL, buf);
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		struct mock_dev dev;
		int access;

		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf + t[i].va,
					 t[i].length,
					 MOCK_APERTURE_START + t[i].iova));
		EXPECT_EQ(t[i].access,
			  access_create(self->fd, self->ioas,
					MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
					&access))
			TH_LOG("entry %u", i);
		if (!t[i].access)
			close(access);
		EXPECT_EQ(t[i].domain, mock_attach(self->fd, self->ioas, 0,
						   &dev))
			TH_LOG("entry %u", i);
		if (!t[i].domain)
			EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
		EXPECT_ALIGNMENT(1);
		EXPECT_RANGES(RANGE(0, ULONG_MAX));
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	}
}

/*
 * Random mappings, unmappings, reservations and allowed lists against a model
 * of the rules that keeps plain arrays.
 */
#define MODEL_MAX 128

struct model {
	struct iommu_iova_range used[MODEL_MAX];
	unsigned int nused;
	unsigned int nreserved;	/* the first of used[] */
	struct iommu_iova_range allowed[8];
	unsigned int nallowed;
};

static bool model_free(const struct model *m, __u64 start, __u64 last,
		       __u64 *next)
{
	for (unsigned int i = 0; i < m->nused; i++)
		if (m->used[i].start <= last && m->used[i].last >= start) {
			*next = m->used[i].last + 1;
			return false;
		}
	return true;
}

/* Lowest candidate in [lo, hi] that fits, or 0 */
static __u64 model_fit(const struct model *m, __u64 lo, __u64 hi, __u64 align,
		       __u64 length)
{
	__u64 at = lo, next;

	for (;;) {
		__u64 c = (at + align - 1) / align * align;

		if (c < at || c > hi || length - 1 > hi - c)
			return 0;
		if (model_free(m, c, c + length - 1, &next))
			return c;
		if (next <= at)
			return 0;
		at = next;
	}
}

static int cmp_range(const void *a, const void *b)
{
	const struct iommu_iova_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static __u64 model_auto(const struct model *m, __u64 va, __u64 length)
{
	struct iommu_iova_range all = RANGE(0, ULONG_MAX), sorted[8];
	unsigned int n = m->nallowed;
	__u64 iova = 0;

	memcpy(sorted, m->allowed, sizeof(sorted));
	qsort(sorted, n, sizeof(sorted[0]), cmp_range);
	if (!n)
		sorted[n++] = all;
	for (unsigned int i = 0; !iova && i < n; i++) {
		__u64 lo = sorted[i].start, hi = sorted[i].last;

		while (i + 1 < n && sorted[i + 1].start == hi + 1)
			hi = sorted[++i].last;
		if (lo < PAGE)
			lo = PAGE;
		if (hi > ULONG_MAX - PAGE)
			hi = ULONG_MAX - PAGE;
		iova = model_fit(m, lo, hi, want_align(va, length), length);
	}
	return iova;
}

static void model_reallow(struct model *m, __u64 *seed)
{
	__u64 at = rnd(seed) % 16 * PAGE;

	m->nallowed = 0;
	for (unsigned int n = rnd(seed) % 5; n; n--) {
		__u64 len = (1 + rnd(seed) % 256) * PAGE;

		m->allowed[m->nallowed++] = (struct iommu_iova_range){
			.start = at, .last = at + len - 1,
		};
		at += len + rnd(seed) % 3 * 8 * PAGE;
	}
}

TEST_F_TIMEOUT(ioas, auto_random, 60)
{
	__u64 seed = rnd_seed();
	struct model m = {};

	TH_LOG("TEST_SEED=%llu", seed);
	for (int i = 0; i < 4000; i++) {
		__u64 next, len = (1 + rnd(&seed) % 24) * PAGE;
		unsigned int op = rnd(&seed) % 16, k;
		struct iommu_iova_range r;

		if (op < 8 && m.nused < MODEL_MAX) {
			__u64 va = (uintptr_t)VA + rnd(&seed) % 64 * PAGE;
			__u64 want = model_auto(&m, va, len), iova = 0;
			int rc = ioas_map(self->fd, self->ioas, (void *)va,
					  len, MAP_RW, &iova);

			ASSERT_EQ(want ? 0 : ENOSPC, rc)
				TH_LOG("step %d", i);
			ASSERT_EQ(want, iova)
				TH_LOG("step %d", i);
			if (want)
				m.used[m.nused++] = (struct iommu_iova_range){
					.start = iova, .last = iova + len - 1,
				};
		} else if (op < 13 && m.nused > m.nreserved) {
			k = m.nreserved + rnd(&seed) % (m.nused - m.nreserved);
			r = m.used[k];
			ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, r.start,
						r.last - r.start + 1, &next));
			ASSERT_EQ(r.last - r.start + 1, next);
			m.used[k] = m.used[--m.nused];
		} else if (op == 13) {
			r.start = rnd(&seed) % 2048 * PAGE;
			r.last = r.start + len - 1;
			if (m.nused == MODEL_MAX ||
			    !model_free(&m, r.start, r.last, &next)) {
				next = r.start;
				k = ioas_map_at(self->fd, self->ioas, VA, len,
						r.start);
				if (!k)
					ioas_unmap(self->fd, self->ioas,
						   r.start, len, NULL);
				ASSERT_TRUE(m.nused == MODEL_MAX ||
					    k == EEXIST || k == EINVAL);
				continue;
			}
			ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, len,
						 r.start));
			m.used[m.nused++] = r;
		} else if (op == 14 && m.nreserved < 12 &&
			   m.nused < MODEL_MAX && !m.nallowed) {
			r.start = rnd(&seed) % 1024 * PAGE;
			r.last = r.start + PAGE - 1;
			if (!model_free(&m, r.start, r.last, &next))
				continue;
			ASSERT_EQ(0, mock_reserve(self->fd, self->ioas,
						  r.start, PAGE));
			m.used[m.nused++] = m.used[m.nreserved];
			m.used[m.nreserved++] = r;
		} else if (op == 15) {
			struct model old = m;
			int rc, want = 0;

			model_reallow(&m, &seed);
			for (unsigned int a = 0; a < m.nallowed; a++)
				for (k = 0; k < m.nreserved; k++)
					if (m.used[k].start <=
						    m.allowed[a].last &&
					    m.used[k].last >=
						    m.allowed[a].start)
						want = EADDRINUSE;
			rc = ioas_allow(self->fd, self->ioas, m.allowed,
					m.nallowed);
			ASSERT_EQ(want, rc)
				TH_LOG("step %d", i);
			if (rc)
				m = old;
		}
	}
}

/* Any byte granularity: the guarantees, not the exact place */
TEST_F(ioas, auto_random_bytes)
{
	__u64 seed = rnd_seed();
	struct model m = {};

	TH_LOG("TEST_SEED=%llu", seed);
	for (int i = 0; i < MODEL_MAX; i++) {
		__u64 va = (uintptr_t)VA + rnd(&seed) % (4 * PAGE);
		__u64 len = 2 + rnd(&seed) % (3 * PAGE), iova = 0, next;

		ASSERT_EQ(0, ioas_map(self->fd, self->ioas, (void *)va, len,
				      MAP_RW, &iova));
		EXPECT_EQ(0, iova % want_align(va, len));
		EXPECT_LE(PAGE, iova);
		EXPECT_TRUE(model_free(&m, iova, iova + len - 1, &next));
		m.used[m.nused++] = (struct iommu_iova_range){
			.start = iova, .last = iova + len - 1,
		};
	}
}

/* Mapped bytes bound everything at both ends of the space */
TEST_F(ioas, space_edges)
{
	__u64 unmapped;

	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, PAGE, 0));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, PAGE,
				 ULONG_MAX - PAGE + 1));
	EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas, VA, 1, 0));
	EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas, VA, 1,
				      ULONG_MAX - 1));
	EXPECT_EQ(EOVERFLOW, ioas_map_at(self->fd, self->ioas, VA, 3,
					 ULONG_MAX - 1));
	EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas, VA, 2,
				      ULONG_MAX - 1));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, ULONG_MAX - PAGE + 1,
				PAGE, &unmapped));
	EXPECT_EQ(PAGE, unmapped);
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, VA, 2, ULONG_MAX - 1));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(PAGE + 2, unmapped);
}

TEST_HARNESS_MAIN
