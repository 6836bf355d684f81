// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOAS_COPY: a second address for memory that is pinned and charged once.
 */
#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 16
#define BASE ((__u64)MOCK_APERTURE_START)
#define TO (BASE + 0x100000)

FIXTURE(copy)
{
	int fd;
	__u32 src, dst;
	__u8 *buf;
	size_t len;
	struct mock_dev src_dev, dst_dev;
};

FIXTURE_VARIANT(copy)
{
	bool src_domain, dst_domain, same;
	unsigned int limit;
};

FIXTURE_VARIANT_ADD(copy, no_domain) {};
FIXTURE_VARIANT_ADD(copy, src_domain) { .src_domain = true };
FIXTURE_VARIANT_ADD(copy, dst_domain) { .dst_domain = true };
FIXTURE_VARIANT_ADD(copy, both_domains) {
	.src_domain = true, .dst_domain = true
};

FIXTURE_VARIANT_ADD(copy, same_ioas) {
	.src_domain = true, .dst_domain = true, .same = true, .limit = 16
};

FIXTURE_SETUP(copy)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->src));
	self->dst = self->src;
	if (!variant->same)
		ASSERT_EQ(0, ioas_alloc(self->fd, &self->dst));
	if (variant->src_domain)
		ASSERT_EQ(0, mock_attach(self->fd, self->src, 0,
					 &self->src_dev));
	self->dst_dev = self->src_dev;
	if (variant->dst_domain && !variant->same)
		ASSERT_EQ(0, mock_attach(self->fd, self->dst, 0,
					 &self->dst_dev));
	if (variant->limit)
		ASSERT_EQ(0, mock_memory_limit(self->fd, variant->limit));
	self->len = NR * PAGE;
	self->buf = buf_alloc(self->len);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(copy)
{
	EXPECT_EQ(0, mock_memory_limit(self->fd, 65536));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, self->len));
	EXPECT_EQ(0, vm_pin(0));
}

/* Between two IOAS */
FIXTURE_LIKE(copy_apart, copy)

FIXTURE_VARIANT_ADD(copy_apart, no_domain) {};
FIXTURE_VARIANT_ADD(copy_apart, src_domain) { .src_domain = true };
FIXTURE_VARIANT_ADD(copy_apart, dst_domain) { .dst_domain = true };
FIXTURE_VARIANT_ADD(copy_apart, both_domains) {
	.src_domain = true, .dst_domain = true
};

/* From one that takes mappings of any alignment */
FIXTURE_LIKE(copy_odd, copy)

FIXTURE_VARIANT_ADD(copy_odd, no_domain) {};
FIXTURE_VARIANT_ADD(copy_odd, dst_domain) { .dst_domain = true };

/* Where it is the copy that gets memory pinned */
FIXTURE_LIKE(copy_pins, copy)

FIXTURE_VARIANT_ADD(copy_pins, dst_domain) { .dst_domain = true };

#define EXPECT_DST(want, iova, va, len)                                        \
	do {                                                                   \
		if (variant->dst_domain)                                       \
			EXPECT_EQ(want, mock_check_map(self->fd,               \
						       self->dst_dev.hwpt,     \
						       iova, va, len));        \
	} while (0)
#define EXPECT_PINS(want, va, len) \
	EXPECT_EQ(0, mock_check_pins(self->fd, va, len, want))
#define SRC_PINS (variant->src_domain ? 1 : 0)
#define DST_PINS (variant->dst_domain ? 1 : 0)
#define ANY_PINS (SRC_PINS | DST_PINS)

#define COPY(src_iova, length, flags, dst_iova)                                \
	({                                                                     \
		__u64 __at = dst_iova;                                         \
		ioas_copy(self->fd, self->dst, self->src, src_iova, length,    \
			  flags, &__at);                                       \
	})

TEST_F(copy, errno_order)
{
	const __u64 all = UINT64_MAX;
	struct {
		__u32 flags, dst, src;
		__u64 length, src_iova, dst_iova;
		int rc;
	} t[] = {
		{ 8, BAD_ID, BAD_ID, all, all, all, EOPNOTSUPP },
		{ 0, BAD_ID, BAD_ID, all, 0, 0, EOVERFLOW },
		{ 0, BAD_ID, BAD_ID, 0, all, 0, EOVERFLOW },
		{ 0, BAD_ID, BAD_ID, 0, 0, all, EOVERFLOW },
		{ MAP_RW, self->dst, self->src, PAGE, BASE, all, EOVERFLOW },
		{ MAP_FIX, BAD_ID, BAD_ID, 0, 0, 0, EINVAL },
		{ MAP_FIX_RW, BAD_ID, BAD_ID, 0, 0, 0, ENOENT },
		{ MAP_FIX_RW, BAD_ID, self->src, 0, 0, 0, EINVAL },
		{ MAP_FIX_RW, BAD_ID, self->src, 3, all - 1, 0, EOVERFLOW },
		{ MAP_FIX_RW, BAD_ID, self->src, PAGE, 0, 0, ENOENT },
		{ MAP_FIX_RW, self->dst, self->src, PAGE, BASE - 1, TO,
		  ENOENT },
		{ MAP_FIX_RW, self->dst, self->src, 1, BASE + self->len, TO,
		  ENOENT },
		{ MAP_FIX_RW, self->dst, self->src, self->len + 1, BASE, TO,
		  ENOENT },
		/* The source is fine, now the destination */
		{ MAP_FIX_RW, BAD_ID, self->src, PAGE, BASE, TO, ENOENT },
		{ MAP_FIX_RW, self->dst, self->src, 2 * PAGE, BASE,
		  all - PAGE + 1, EOVERFLOW },
	};

	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, self->len,
				 BASE));
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		struct iommu_ioas_copy cmd = {
			.size = sizeof(cmd),
			.flags = t[i].flags,
			.dst_ioas_id = t[i].dst,
			.src_ioas_id = t[i].src,
			.length = t[i].length,
			.dst_iova = t[i].dst_iova,
			.src_iova = t[i].src_iova,
		};

		EXPECT_EQ(t[i].rc, iommu_cmd(self->fd, IOMMU_IOAS_COPY, &cmd))
			TH_LOG("entry %u", i);
	}
}

TEST_F(copy, destination_rules)
{
	__u64 iova = TO;

	ASSERT_EQ(0, ioas_map(self->fd, self->src, self->buf, self->len,
			      MAP_FIX | MAP_R, (__u64[]){ BASE }));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->dst, self->buf, PAGE, iova));
	EXPECT_EQ(EEXIST, COPY(BASE, PAGE, MAP_FIX | MAP_R, TO));
	EXPECT_EQ(EEXIST, COPY(BASE, 2 * PAGE, MAP_FIX | MAP_R, TO - PAGE));
	/* The place comes before the permission */
	EXPECT_EQ(EEXIST, COPY(BASE, PAGE, MAP_FIX_RW, TO));
	EXPECT_EQ(EPERM, COPY(BASE, PAGE, MAP_FIX_RW, TO + PAGE));
	EXPECT_EQ(EPERM, COPY(BASE, PAGE, MAP_FIX | MAP_W, TO + PAGE));
	EXPECT_EQ(0, COPY(BASE, PAGE, MAP_FIX | MAP_R, TO + PAGE));
	if (variant->dst_domain) {
		EXPECT_EQ(EINVAL, COPY(BASE, PAGE, MAP_FIX | MAP_R, 0));
		EXPECT_EQ(EINVAL, COPY(BASE, PAGE + 1, MAP_FIX | MAP_R,
				       TO + 2 * PAGE));
		EXPECT_EQ(EINVAL, COPY(BASE, PAGE, MAP_FIX | MAP_R,
				       TO + 2 * PAGE + 1));
		EXPECT_EQ(EINVAL, COPY(BASE + 1, PAGE, MAP_FIX | MAP_R,
				       TO + 2 * PAGE));
	} else {
		/* Nothing but bytes */
		EXPECT_EQ(0, COPY(BASE + 1, 3, MAP_FIX | MAP_R,
				  TO + 2 * PAGE + 1));
	}
}

/* What limits is the backing, not the mapping copied from */
TEST_F(copy, permission_of_the_backing)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, self->len,
				 BASE));
	ASSERT_EQ(0, COPY(BASE, PAGE, MAP_FIX | MAP_R, TO));
	/* From the read-only copy back to writable */
	EXPECT_EQ(0, ioas_copy(self->fd, self->dst, self->dst, TO, PAGE,
			       MAP_FIX_RW, (__u64[]){ TO + PAGE }));
	EXPECT_DST(0, TO, self->buf, PAGE);
	EXPECT_DST(0, TO + PAGE, self->buf, PAGE);
}

TEST_F(copy, pinned_once)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, self->len,
				 BASE));
	EXPECT_PINS(SRC_PINS, self->buf, self->len);
	ASSERT_EQ(0, COPY(BASE + 4 * PAGE, 8 * PAGE, MAP_FIX_RW, TO));
	EXPECT_DST(0, TO, self->buf + 4 * PAGE, 8 * PAGE);
	EXPECT_DST(EINVAL, TO + 8 * PAGE, self->buf + 12 * PAGE, PAGE);
	EXPECT_PINS(SRC_PINS, self->buf, 4 * PAGE);
	EXPECT_PINS(ANY_PINS, self->buf + 4 * PAGE, 8 * PAGE);
	EXPECT_PINS(SRC_PINS, self->buf + 12 * PAGE, 4 * PAGE);
	EXPECT_EQ(SRC_PINS ? NR : DST_PINS * 8, vm_pin(0));
	/* Again, overlapping the first */
	ASSERT_EQ(0, COPY(BASE + 8 * PAGE, 8 * PAGE, MAP_FIX_RW,
			  TO + 0x100000));
	EXPECT_PINS(ANY_PINS, self->buf + 4 * PAGE, 12 * PAGE);
	EXPECT_EQ(SRC_PINS ? NR : DST_PINS * 12, vm_pin(0));
	/* Each goes alone */
	ASSERT_EQ(0, ioas_unmap(self->fd, self->dst, TO, 8 * PAGE, NULL));
	EXPECT_PINS(SRC_PINS, self->buf, 8 * PAGE);
	EXPECT_PINS(ANY_PINS, self->buf + 8 * PAGE, 8 * PAGE);
	EXPECT_DST(0, TO + 0x100000, self->buf + 8 * PAGE, 8 * PAGE);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->src, BASE, self->len, NULL));
	EXPECT_PINS(0, self->buf, 8 * PAGE);
	EXPECT_PINS(DST_PINS, self->buf + 8 * PAGE, 8 * PAGE);
	EXPECT_EQ(DST_PINS * 8, vm_pin(0));
	EXPECT_DST(0, TO + 0x100000, self->buf + 8 * PAGE, 8 * PAGE);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->dst, NULL));
	EXPECT_PINS(0, self->buf, self->len);
}

TEST_F(copy_apart, survives_source_ioas)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, self->len,
				 BASE));
	ASSERT_EQ(0, COPY(BASE, self->len, MAP_FIX_RW, TO));
	if (variant->src_domain)
		ASSERT_EQ(0, iommu_destroy(self->fd, self->src_dev.stdev));
	EXPECT_PINS(DST_PINS, self->buf, self->len);
	ASSERT_EQ(0, iommu_destroy(self->fd, self->src));
	EXPECT_PINS(DST_PINS, self->buf, self->len);
	EXPECT_DST(0, TO, self->buf, self->len);
	if (!variant->dst_domain) {
		ASSERT_EQ(0, mock_attach(self->fd, self->dst, 0,
					 &self->dst_dev));
		EXPECT_EQ(0, mock_check_map(self->fd, self->dst_dev.hwpt, TO,
					    self->buf, self->len));
		EXPECT_PINS(1, self->buf, self->len);
	}
}

/* Each mapping crossed is a mapping of its own on the other side */
TEST_F(copy, several_pieces)
{
	__u64 unmapped;

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->src,
					 self->buf + (3 - i) * 4 * PAGE,
					 4 * PAGE, BASE + i * 4 * PAGE));
	ASSERT_EQ(0, COPY(BASE + 2 * PAGE, 12 * PAGE, MAP_FIX_RW, TO));
	EXPECT_DST(0, TO, self->buf + 14 * PAGE, 2 * PAGE);
	EXPECT_DST(0, TO + 2 * PAGE, self->buf + 8 * PAGE, 4 * PAGE);
	EXPECT_DST(0, TO + 6 * PAGE, self->buf + 4 * PAGE, 4 * PAGE);
	EXPECT_DST(0, TO + 10 * PAGE, self->buf, 2 * PAGE);
	EXPECT_EQ(0, ioas_unmap(self->fd, self->dst, TO + 2 * PAGE, 4 * PAGE,
				&unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
	EXPECT_DST(EINVAL, TO + 2 * PAGE, self->buf + 8 * PAGE, PAGE);
	EXPECT_DST(0, TO + 6 * PAGE, self->buf + 4 * PAGE, 4 * PAGE);
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->dst, TO, PAGE, NULL));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->dst, TO, 12 * PAGE,
				&unmapped));
	EXPECT_EQ(8 * PAGE, unmapped);
	EXPECT_PINS(SRC_PINS, self->buf, self->len);
}

TEST_F(copy, gap_in_the_source)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, 4 * PAGE,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, 4 * PAGE,
				 BASE + 5 * PAGE));
	EXPECT_EQ(ENOENT, COPY(BASE, 9 * PAGE, MAP_FIX_RW, TO));
	EXPECT_EQ(ENOENT, COPY(BASE + 3 * PAGE, 2 * PAGE, MAP_FIX_RW, TO));
	EXPECT_EQ(ENOENT, COPY(BASE + 4 * PAGE, PAGE, MAP_FIX_RW, TO));
	EXPECT_EQ(0, COPY(BASE + 5 * PAGE, 4 * PAGE, MAP_FIX_RW, TO));
}

/* An unreadable page in a later piece takes the earlier ones back */
TEST_F(copy_pins, all_or_nothing)
{
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->src,
					 self->buf + i * 4 * PAGE, 4 * PAGE,
					 BASE + i * 4 * PAGE));
	ASSERT_EQ(0, munmap(self->buf + 10 * PAGE, PAGE));
	EXPECT_EQ(EFAULT, COPY(BASE, self->len, MAP_FIX_RW, TO));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->dst, TO, self->len,
				     NULL));
	EXPECT_DST(EINVAL, TO, self->buf, PAGE);
	EXPECT_PINS(0, self->buf, 10 * PAGE);
	EXPECT_PINS(0, self->buf + 11 * PAGE, 5 * PAGE);
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(self->buf + 10 * PAGE,
		  mmap(self->buf + 10 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, COPY(BASE, self->len, MAP_FIX_RW, TO));
	EXPECT_DST(0, TO, self->buf, self->len);
}

TEST_F(copy, automatic_address)
{
	__u64 iova = 0;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, self->len,
				 BASE));
	ASSERT_EQ(0, ioas_copy(self->fd, self->dst, self->src,
			       BASE + PAGE + MOCK_PAGE_SIZE, PAGE, MAP_RW,
			       &iova));
	/* The offset in the page of the first byte comes along */
	EXPECT_EQ(MOCK_PAGE_SIZE, iova % PAGE);
	EXPECT_DST(0, iova, self->buf + PAGE + MOCK_PAGE_SIZE, PAGE);
}

/*
 * Pieces that begin where the destination cannot have a mapping begin are
 * refused at once, domain or not.
 */
TEST_F(copy_odd, misaligned_inner_piece)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, PAGE + 512,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf + 4 * PAGE,
				 3 * PAGE - 512, BASE + PAGE + 512));
	if (!variant->dst_domain)
		ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
					self->dst, 0));
	EXPECT_EQ(EINVAL, COPY(BASE, 4 * PAGE, MAP_FIX_RW, TO));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->dst, TO, 4 * PAGE, NULL));
	EXPECT_PINS(0, self->buf, self->len);
	EXPECT_EQ(0, COPY(BASE, PAGE, MAP_FIX_RW, TO));
}

/* Many parts of one mapping, overlapping at random */
TEST_F(copy, random_parts)
{
	struct {
		__u64 from, len, to;
	} c[24] = {};
	__u64 seed = rnd_seed();

	TH_LOG("TEST_SEED=%llu", seed);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->src, self->buf, self->len,
				 BASE));
	for (int step = 0; step < 150; step++) {
		unsigned int i = rnd(&seed) % ARRAY_LEN(c);
		__u8 pins[NR] = {};
		long total = 0;

		if (c[i].len) {
			ASSERT_EQ(0, ioas_unmap(self->fd, self->dst, c[i].to,
						c[i].len, NULL));
			c[i].len = 0;
		} else {
			__u64 u = MOCK_PAGE_SIZE, n = self->len / u;

			c[i].from = rnd(&seed) % n * u;
			c[i].len = (1 + rnd(&seed) % (n - c[i].from / u)) * u;
			c[i].to = TO + i * 0x100000;
			ASSERT_EQ(0, COPY(BASE + c[i].from, c[i].len,
					  MAP_FIX_RW, c[i].to));
			EXPECT_DST(0, c[i].to, self->buf + c[i].from,
				   c[i].len);
		}
		for (i = 0; i < ARRAY_LEN(c); i++)
			for (__u64 p = 0; c[i].len && p < NR; p++)
				if (p * PAGE < c[i].from + c[i].len &&
				    (p + 1) * PAGE > c[i].from)
					pins[p] = DST_PINS;
		for (int p = 0; p < NR; p++) {
			pins[p] |= SRC_PINS;
			total += pins[p];
			EXPECT_PINS(pins[p], self->buf + p * PAGE, PAGE);
		}
		ASSERT_EQ(total, vm_pin(0))
			TH_LOG("step %d", step);
	}
}

TEST_HARNESS_MAIN
