// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOAS_MAP and IOAS_UNMAP of user memory: every errno in its order, what the
 * domains translate, when pages are pinned and how often.
 */
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 16
#define BASE ((__u64)MOCK_APERTURE_START)

FIXTURE(map)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	size_t len;
	struct mock_dev dev[2];
	__u32 hwpt[2];
};

FIXTURE_VARIANT(map)
{
	unsigned int domains;
	unsigned int limit;	/* of scratch memory, to see many batches */
};

FIXTURE_VARIANT_ADD(map, no_domain) {};
FIXTURE_VARIANT_ADD(map, domain) { .domains = 1 };
FIXTURE_VARIANT_ADD(map, two_domains) { .domains = 2 };
FIXTURE_VARIANT_ADD(map, domain_limit) { .domains = 1, .limit = 16 };

FIXTURE_SETUP(map)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	if (variant->domains >= 1) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0,
					 &self->dev[0]));
		self->hwpt[0] = self->dev[0].hwpt;
	}
	if (variant->domains >= 2) {
		/* Devices would share the automatic one */
		ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev,
					self->ioas, 0, &self->hwpt[1]));
	}
	if (variant->limit)
		ASSERT_EQ(0, mock_memory_limit(self->fd, variant->limit));
	self->len = NR * PAGE;
	self->buf = buf_alloc(self->len);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(map)
{
	EXPECT_EQ(0, mock_memory_limit(self->fd, 65536));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, self->len));
	EXPECT_EQ(0, vm_pin(0));
}

/* Where memory is pinned as soon as it is mapped */
FIXTURE_LIKE(map_pinned, map)

FIXTURE_VARIANT_ADD(map_pinned, domain) { .domains = 1 };
FIXTURE_VARIANT_ADD(map_pinned, two_domains) { .domains = 2 };
FIXTURE_VARIANT_ADD(map_pinned, domain_limit) { .domains = 1, .limit = 16 };

/* Where nobody looks at it before the first domain comes */
FIXTURE_LIKE(map_lazy, map)

FIXTURE_VARIANT_ADD(map_lazy, no_domain) {};

/* Each domain agrees: @want 0 for mapped so, EINVAL for not */
#define EXPECT_MAPPED(want, iova, va, len)                                     \
	do {                                                                   \
		for (unsigned int __d = 0; __d < variant->domains; __d++) {    \
			EXPECT_EQ(want, mock_check_map(self->fd,               \
						       self->hwpt[__d], iova,  \
						       va, len))               \
				TH_LOG("domain %u", __d);                      \
		}                                                              \
	} while (0)

#define EXPECT_PINS(pins, va, len) \
	EXPECT_EQ(0, mock_check_pins(self->fd, va, len, pins))

/* A page is pinned once by a mapping if there is any domain */
#define PINS (variant->domains ? 1 : 0)

TEST_F(map, errno_order)
{
	const __u64 all = UINT64_MAX;
	const __u64 va = (uintptr_t)self->buf;
	struct {
		__u32 flags, ioas, reserved;
		__u64 va, length, iova;
		int rc;
	} t[] = {
		/* Flags and the reserved field come before all else */
		{ 8, BAD_ID, 0, all, all, all, EOPNOTSUPP },
		{ 0, BAD_ID, 1, all, all, all, EOPNOTSUPP },
		/* Then all-ones, also where the IOVA does not count */
		{ 0, BAD_ID, 0, all, 0, all, EOVERFLOW },
		{ 0, BAD_ID, 0, all, all, 0, EOVERFLOW },
		{ MAP_RW, self->ioas, 0, va, PAGE, all, EOVERFLOW },
		/* No permission comes before the IOAS */
		{ MAP_FIX, BAD_ID, 0, all, 0, 0, EINVAL },
		/* The IOAS comes before address and length */
		{ MAP_FIX_RW, BAD_ID, 0, all, 0, 0, ENOENT },
		{ MAP_FIX_RW, 0, 0, all, PAGE, 0, ENOENT },
		/* The address wraps, or ends at exactly 2^64 */
		{ MAP_FIX_RW, self->ioas, 0, all - PAGE + 1, PAGE, 0,
		  EOVERFLOW },
		{ MAP_FIX_RW, self->ioas, 0, all, 2, 0, EOVERFLOW },
		{ MAP_RW, self->ioas, 0, PAGE, all - 1, 0, EOVERFLOW },
		/* The length comes before the place */
		{ MAP_FIX_RW, self->ioas, 0, va, 0, 1, EINVAL },
		{ MAP_RW, self->ioas, 0, va, 0, 0, EINVAL },
		{ MAP_FIX_RW, self->ioas, 0, 0, all - 1, 0, EINVAL },
		{ MAP_FIX_RW, self->ioas, 0, 0, all - PAGE + 1, 0, EINVAL },
		/* Too long to fit anywhere, aligned or not */
		{ MAP_RW, self->ioas, 0, 0, all - 2 * PAGE, 0, EOVERFLOW },
		{ MAP_RW, self->ioas, 0, 0, (1ULL << 63) - 1, 0, EOVERFLOW },
		{ MAP_RW, self->ioas, 0, 0, 1ULL << 63, 0, EOVERFLOW },
		/* The IOVA wraps */
		{ MAP_FIX_RW, self->ioas, 0, va, 2 * PAGE, all - PAGE + 1,
		  EOVERFLOW },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		struct iommu_ioas_map cmd = {
			.size = sizeof(cmd),
			.flags = t[i].flags,
			.ioas_id = t[i].ioas,
			.__reserved = t[i].reserved,
			.user_va = t[i].va,
			.length = t[i].length,
			.iova = t[i].iova,
		};

		EXPECT_EQ(t[i].rc, iommu_cmd(self->fd, IOMMU_IOAS_MAP, &cmd))
			TH_LOG("entry %u", i);
		EXPECT_EQ(t[i].iova, cmd.iova);
		EXPECT_EQ(t[i].length, cmd.length);
	}
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, 0, all - 1, NULL));
	EXPECT_PINS(0, self->buf, self->len);
}

TEST_F(map, errno_of_the_space)
{
	if (variant->domains) {
		/* Alignment comes before the place */
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE + 1, BASE));
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE, BASE + 1));
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      MOCK_PAGE_SIZE / 2, BASE));
		/* Reserved: outside the aperture, by a byte too */
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE, 0));
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      2 * PAGE, BASE - PAGE));
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE, MOCK_APERTURE_LAST + 1ULL));
		EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
					 MOCK_APERTURE_LAST - PAGE + 1));
		/* The offset in the page comes after the place */
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas,
					      self->buf + 1, PAGE, BASE));
		EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas,
					      self->buf + 1, PAGE,
					      MOCK_APERTURE_LAST - PAGE + 1));
	} else {
		ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, BASE, 1));
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE, BASE));
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      2, BASE - 1));
		EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 1,
					 BASE + 1));
		EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas, self->buf,
					      2, BASE + 1));
	}
}

TEST_F(map, overlap)
{
	const __u64 at = BASE + 8 * PAGE;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 at));
	for (__u64 iova = at - 6 * PAGE; iova <= at + 6 * PAGE; iova += PAGE) {
		for (__u64 len = PAGE; len <= 12 * PAGE; len += PAGE) {
			bool hit = iova < at + 4 * PAGE && iova + len > at;

			ASSERT_EQ(hit ? EEXIST : 0,
				  ioas_map_at(self->fd, self->ioas, self->buf,
					      len, iova));
			if (!hit)
				ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas,
							iova, len, NULL));
		}
	}
	EXPECT_MAPPED(0, at, self->buf, 4 * PAGE);
	EXPECT_PINS(PINS, self->buf, 4 * PAGE);
}

TEST_F(map, translates)
{
	__u64 iova, unmapped;

	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, self->len,
			      MAP_RW, &iova));
	EXPECT_MAPPED(0, iova, self->buf, self->len);
	EXPECT_PINS(PINS, self->buf, self->len);
	/* Not anything a page further */
	EXPECT_MAPPED(EINVAL, iova, self->buf + PAGE, PAGE);
	EXPECT_MAPPED(EINVAL, iova + self->len, self->buf, PAGE);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, iova, self->len,
				&unmapped));
	EXPECT_EQ(self->len, unmapped);
	EXPECT_MAPPED(EINVAL, iova, self->buf, PAGE);
	EXPECT_MAPPED(EINVAL, iova + self->len - PAGE,
		      self->buf + self->len - PAGE, PAGE);
	EXPECT_PINS(0, self->buf, self->len);
}

/* Every start, end and shift in units of half a page */
TEST_F(map, sub_page)
{
	const __u64 u = MOCK_PAGE_SIZE;

	for (unsigned int s = 0; s < 5; s++) {
		for (unsigned int e = s + 1; e <= 7; e++) {
			for (unsigned int shift = 0; shift < 2; shift++) {
				__u64 iova = BASE + PAGE + shift * u;
				size_t first = s * u / PAGE * PAGE;
				size_t end = (e * u + PAGE - 1) / PAGE * PAGE;

				ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
							 self->buf + s * u,
							 (e - s) * u, iova));
				EXPECT_MAPPED(0, iova, self->buf + s * u,
					      (e - s) * u);
				/* Exactly that interval */
				EXPECT_MAPPED(EINVAL, iova + (e - s) * u,
					      self->buf + e * u, u);
				if (s)
					EXPECT_MAPPED(EINVAL, iova - u,
						      self->buf + (s - 1) * u,
						      u);
				/* The whole page at each end */
				EXPECT_PINS(PINS, self->buf + first,
					    end - first);
				EXPECT_EQ(PINS * (end - first) / PAGE,
					  vm_pin(0));
				EXPECT_PINS(0, self->buf + end,
					    self->len - end);
				ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas,
							iova, (e - s) * u,
							NULL));
				EXPECT_PINS(0, self->buf, self->len);
			}
		}
	}
}

TEST_F(map_lazy, any_byte)
{
	for (unsigned int off = 0; off < 70; off += 3) {
		__u64 unmapped = 0;

		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->buf + off, off + 1, 1000 * off));
		ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, 1000 * off,
					off + 1, &unmapped));
		EXPECT_EQ(off + 1, unmapped);
	}
}

/* Each mapping is a backing, with pins of its own */
TEST_F(map, same_memory_twice)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				 BASE + self->len));
	EXPECT_PINS(2 * PINS, self->buf, self->len);
	EXPECT_EQ(2 * PINS * NR, vm_pin(0));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len, NULL));
	EXPECT_PINS(PINS, self->buf, self->len);
	EXPECT_EQ(PINS * NR, vm_pin(0));
	EXPECT_MAPPED(0, BASE + self->len, self->buf, self->len);
	EXPECT_MAPPED(EINVAL, BASE, self->buf, PAGE);
}

/* Memory is touched when the first domain comes and let go with the last */
TEST_F(map_lazy, pinning)
{
	struct mock_dev dev;
	__u64 unmapped;
	__u32 hwpt;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				 BASE));
	EXPECT_PINS(0, self->buf, self->len);
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_PINS(1, self->buf, self->len);
	EXPECT_EQ(NR, vm_pin(0));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->buf,
				    self->len));
	/* A further domain gets the same pages for nothing */
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas, 0, &hwpt));
	EXPECT_EQ(0, mock_check_map(self->fd, hwpt, BASE, self->buf,
				    self->len));
	EXPECT_PINS(1, self->buf, self->len);
	EXPECT_EQ(NR, vm_pin(0));
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_PINS(1, self->buf, self->len);
	EXPECT_EQ(0, mock_check_map(self->fd, hwpt, BASE, self->buf,
				    self->len));
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt));
	EXPECT_PINS(0, self->buf, self->len);
	EXPECT_EQ(0, vm_pin(0));
	/* The mapping stays and works again */
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->buf,
				    self->len));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len,
				&unmapped));
	EXPECT_EQ(self->len, unmapped);
}

/* What is at the address when it gets pinned counts */
TEST_F(map_lazy, follows_the_address)
{
	struct mock_dev dev;
	void *hole = self->buf + 4 * PAGE, *again;

	memset(self->buf, 1, self->len);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				 BASE));
	ASSERT_EQ(0, munmap(hole, PAGE));
	EXPECT_EQ(EFAULT, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_PINS(0, self->buf, 4 * PAGE);
	EXPECT_PINS(0, hole + PAGE, self->len - 5 * PAGE);
	EXPECT_EQ(0, vm_pin(0));
	again = mmap(hole, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ(hole, again);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->buf,
				    self->len));
	EXPECT_PINS(1, self->buf, self->len);
}

TEST_F(map_pinned, hole_in_memory)
{
	for (unsigned int hole = 0; hole < NR; hole += 5) {
		__u8 *at = self->buf + hole * PAGE;

		ASSERT_EQ(0, munmap(at, PAGE));
		EXPECT_EQ(EFAULT, ioas_map_at(self->fd, self->ioas, self->buf,
					      self->len, BASE));
		/* Nothing of it remains: pins, charge, IOVA, translation */
		EXPECT_PINS(0, self->buf, hole * PAGE);
		EXPECT_PINS(0, at + PAGE, self->len - (hole + 1) * PAGE);
		EXPECT_EQ(0, vm_pin(0));
		if (hole)
			EXPECT_MAPPED(EINVAL, BASE, self->buf, PAGE);
		EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE,
					     self->len, NULL));
		ASSERT_EQ(at, mmap(at, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
				   0));
		EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
					 self->len, BASE));
		EXPECT_MAPPED(0, BASE, self->buf, self->len);
		EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len,
					NULL));
	}
}

TEST_F(map_pinned, protection)
{
	__u64 iova;

	ASSERT_EQ(0, mprotect(self->buf, self->len, PROT_READ));
	EXPECT_EQ(EFAULT, ioas_map(self->fd, self->ioas, self->buf, PAGE,
				   MAP_RW, &iova));
	EXPECT_EQ(EFAULT, ioas_map(self->fd, self->ioas, self->buf, PAGE,
				   MAP_W, &iova));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, PAGE, MAP_R,
			      &iova));
	EXPECT_MAPPED(0, iova, self->buf, PAGE);
	EXPECT_PINS(1, self->buf, PAGE);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(0, mprotect(self->buf, self->len, PROT_NONE));
	EXPECT_EQ(EFAULT, ioas_map(self->fd, self->ioas, self->buf, PAGE,
				   MAP_R, &iova));
	ASSERT_EQ(0, mprotect(self->buf, self->len, PROT_READ | PROT_WRITE));
	/* The device may write and not read */
	EXPECT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, PAGE, MAP_W,
			      &iova));
	/* What is pinned does not care for protections that come later */
	ASSERT_EQ(0, mprotect(self->buf, self->len, PROT_READ));
	EXPECT_MAPPED(0, iova, self->buf, PAGE);
	ASSERT_EQ(0, mprotect(self->buf, self->len, PROT_READ | PROT_WRITE));
}

/* A device that only reads still reads what the process writes afterwards */
TEST_F(map_pinned, read_only_private)
{
	int file = memfd_of(NR * PAGE, 0);
	__u8 *priv;
	__u64 iova;

	ASSERT_LE(0, file);
	for (int kind = 0; kind < 2; kind++) {
		priv = kind ? mmap(NULL, self->len, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, file, 0) :
			      buf_alloc_private(self->len);
		ASSERT_NE(MAP_FAILED, priv);
		/* One page read, and so the zero page or the file's */
		ASSERT_EQ(0, priv[PAGE]);
		ASSERT_EQ(0, ioas_map(self->fd, self->ioas, priv, self->len,
				      MAP_R, &iova));
		for (unsigned int i = 0; i < NR; i++)
			priv[i * PAGE] = i + 1;
		EXPECT_MAPPED(0, iova, priv, self->len);
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
		EXPECT_EQ(0, check_unpinned(priv, self->len));
		munmap(priv, self->len);
	}
	close(file);
}

TEST_F(map_pinned, memory_that_cannot_be_pinned)
{
	__u64 iova;

	/* The kernel's half, and nothing at all */
	EXPECT_EQ(EFAULT, ioas_map(self->fd, self->ioas,
				   (void *)0xffff800000000000UL, PAGE, MAP_RW,
				   &iova));
	EXPECT_EQ(EFAULT, ioas_map(self->fd, self->ioas, NULL, PAGE, MAP_RW,
				   &iova));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(0, vm_pin(0));
}

TEST_F(map_pinned, secret_memory)
{
	int file = syscall(SYS_memfd_secret, O_CLOEXEC);
	void *va;

	if (file < 0)
		SKIP(return, "no memfd_secret(): %s", strerror(errno));
	ASSERT_EQ(0, ftruncate(file, PAGE));
	va = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, va);
	memset(va, 1, PAGE);
	EXPECT_EQ(EFAULT, ioas_map_at(self->fd, self->ioas, va, PAGE, BASE));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(0, vm_pin(0));
	munmap(va, PAGE);
	close(file);
}

/* Device memory that a driver lets user space map has no pages to pin */
TEST_F(map_pinned, pfn_map)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };
	__u32 hwpt, viommu;
	__u64 iova;
	void *va;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev[0].idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt));
	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev[0].idev, hwpt,
				  IOMMU_VIOMMU_TYPE_SELFTEST, &data,
				  sizeof(data), &viommu));
	va = mmap(NULL, data.out_mmap_length, PROT_READ | PROT_WRITE,
		  MAP_SHARED, self->fd, data.out_mmap_offset);
	ASSERT_NE(MAP_FAILED, va);
	EXPECT_EQ(EFAULT, ioas_map(self->fd, self->ioas, va, PAGE, MAP_RW,
				   &iova));
	EXPECT_EQ(0, vm_pin(0));
	munmap(va, data.out_mmap_length);
}

TEST_F(map, unmap_errors)
{
	const __u64 all = UINT64_MAX;

	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, BAD_ID, 0, all, NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, BAD_ID, all, 0, NULL));
	EXPECT_EQ(EOVERFLOW, ioas_unmap(self->fd, self->ioas, all, 0, NULL));
	EXPECT_EQ(EOVERFLOW, ioas_unmap(self->fd, self->ioas, 1, all, NULL));
	EXPECT_EQ(EINVAL, ioas_unmap(self->fd, self->ioas, BASE, 0, NULL));
	EXPECT_EQ(EOVERFLOW, ioas_unmap(self->fd, self->ioas, 3, all - 1,
					NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, 1, all - 1, NULL));
}

TEST_F(map, unmap_whole_mappings)
{
	__u64 at[] = { BASE + 4 * PAGE, BASE + 8 * PAGE, BASE + 20 * PAGE };
	__u64 unmapped = 0;

	for (unsigned int i = 0; i < 3; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
					 4 * PAGE, at[i]));
	/* A part, at either end and in the middle */
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, at[0], PAGE, NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, at[0] + PAGE, PAGE,
				     NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, at[0] + 1,
				     4 * PAGE - 1, NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, at[0] - PAGE,
				     2 * PAGE, NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, at[0] + PAGE,
				     40 * PAGE, NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, at[1] + 4 * PAGE,
				     4 * PAGE, NULL));
	EXPECT_MAPPED(0, at[0], self->buf, 4 * PAGE);
	EXPECT_MAPPED(0, at[2], self->buf, 4 * PAGE);
	EXPECT_PINS(3 * PINS, self->buf, 4 * PAGE);
	/* Two that touch are still two, gaps and odd bytes do not matter */
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, at[0] - 3,
				     4 * PAGE + 5, NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, at[1],
				     14 * PAGE + 1, NULL));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	for (unsigned int i = 0; i < 3; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
					 4 * PAGE, at[i]));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, at[0] - 3,
				24 * PAGE + 7, &unmapped));
	EXPECT_EQ(12 * PAGE, unmapped);
	EXPECT_PINS(0, self->buf, self->len);
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_MAPPED(EINVAL, at[i], self->buf, PAGE);
}

TEST_F(map, unmap_all)
{
	__u64 unmapped = 1, iova;

	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(0, unmapped);
	for (unsigned int i = 0; i < 300; i++)
		ASSERT_EQ(0, ioas_map(self->fd, self->ioas,
				      self->buf + i % NR * PAGE, PAGE, MAP_RW,
				      &iova));
	EXPECT_EQ(300 * PINS, vm_pin(0));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(300 * PAGE, unmapped);
	EXPECT_PINS(0, self->buf, self->len);
	EXPECT_EQ(0, vm_pin(0));
}

TEST_F(map, destroy_with_mappings)
{
	__u64 iova;

	for (unsigned int i = 0; i < NR; i++)
		ASSERT_EQ(0, ioas_map(self->fd, self->ioas,
				      self->buf + i * PAGE, PAGE, MAP_RW,
				      &iova));
	for (unsigned int d = 0; d < variant->domains; d++) {
		EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
		EXPECT_EQ(0, iommu_destroy(self->fd, d ? self->hwpt[d] :
						     self->dev[0].stdev));
	}
	EXPECT_PINS(0, self->buf, self->len);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, vm_pin(0));
}

/* Pinned pages are not the VMA's any more */
TEST_F(map, memory_goes_away)
{
	int file = memfd_of(self->len, 0);
	void *va, *view;

	ASSERT_LE(0, file);
	va = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	view = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_SHARED, file,
		    0);
	ASSERT_NE(MAP_FAILED, va);
	ASSERT_NE(MAP_FAILED, view);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, va, self->len, BASE));
	ASSERT_EQ(0, munmap(va, self->len));
	EXPECT_MAPPED(0, BASE, view, self->len);
	EXPECT_PINS(PINS, view, self->len);
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len, NULL));
	EXPECT_PINS(0, view, self->len);
	munmap(view, self->len);
	close(file);
}

TEST_F(map_pinned, memory_is_replaced)
{
	__u8 *priv = buf_alloc_private(self->len);

	ASSERT_NE(NULL, priv);
	memset(priv, 1, self->len);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, priv, self->len, BASE));
	EXPECT_MAPPED(0, BASE, priv, self->len);
	ASSERT_EQ(0, madvise(priv, self->len, MADV_DONTNEED));
	/* The process has new pages, the device keeps the old */
	memset(priv, 2, self->len);
	EXPECT_MAPPED(EINVAL, BASE, priv, PAGE);
	EXPECT_PINS(0, priv, self->len);
	EXPECT_EQ(NR, vm_pin(0));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, vm_pin(0));
	munmap(priv, self->len);
}

/* A fork leaves the parent its pinned pages, whoever writes first */
TEST_F(map_pinned, fork_keeps_pages)
{
	__u8 *priv = buf_alloc_private(self->len);
	int status;
	pid_t pid;

	ASSERT_NE(NULL, priv);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, priv, self->len, BASE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		memset(priv, 0xcc, self->len);
		_exit(mock_check_map(self->fd, self->hwpt[0], BASE, priv,
				     PAGE) == EINVAL ? 0 : 1);
	}
	memset(priv, 0xdd, self->len);
	EXPECT_MAPPED(0, BASE, priv, self->len);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_MAPPED(0, BASE, priv, self->len);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(priv, self->len);
}

/* A mapping outlives the process that made it */
TEST_F(map, owner_exits)
{
	struct mock_dev dev;
	__u64 unmapped;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				  BASE));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_PINS(PINS, self->buf, self->len);
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_MAPPED(0, BASE, self->buf, self->len);
	if (variant->domains) {
		__u32 hwpt;

		/* Pinned once, it can be given to any further domain */
		EXPECT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
		ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas, 0,
					&hwpt));
		EXPECT_EQ(0, mock_check_map(self->fd, hwpt, BASE, self->buf,
					    self->len));
	} else {
		EXPECT_EQ(EFAULT, mock_attach(self->fd, self->ioas, 0, &dev));
	}
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len,
				&unmapped));
	EXPECT_EQ(self->len, unmapped);
	EXPECT_PINS(0, self->buf, self->len);
}

/* While it lives its memory can be pinned from outside */
TEST_F(map_lazy, owner_elsewhere)
{
	struct mock_dev dev;
	int go[2], done[2], status;
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(done));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				 BASE + self->len));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int rc = ioas_map_at(self->fd, self->ioas, self->buf,
				     self->len, BASE);

		if (rc || write(go[1], &c, 1) != 1)
			_exit(1);
		close(done[1]);
		_exit(read(done[0], &c, 1) == 1 && !vm_pin(0) ? 0 : 2);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->buf,
				    self->len));
	EXPECT_PINS(2, self->buf, PAGE);
	EXPECT_PINS(1, self->buf + PAGE, self->len - PAGE);
	/* Charged to the one who mapped */
	EXPECT_EQ(1, vm_pin(0));
	EXPECT_EQ(NR, vm_pin(pid));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len, NULL));
	ASSERT_EQ(1, write(done[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* And it is gone when it ends: nothing keeps what it has mapped */
TEST_F(map_lazy, owner_is_let_go)
{
	int file = memfd_of(PAGE, MFD_ALLOW_SEALING);
	int go[2], done[2], status;
	struct mock_dev dev;
	char c = 0;
	pid_t pid;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(done));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		void *va = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				file, 0);

		if (va == MAP_FAILED ||
		    ioas_map_at(self->fd, self->ioas, va, PAGE, BASE) ||
		    write(go[1], &c, 1) != 1)
			_exit(1);
		close(done[1]);
		_exit(read(done[0], &c, 1) != 1);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(1, write(done[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	/* Refused as long as somebody could write through a mapping */
	EXPECT_EQ(0, fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
}

TEST_F(map_pinned, small_io_pages)
{
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
				      PAGE / 2, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				 BASE));
	EXPECT_MAPPED(0, BASE, self->buf, self->len);
	EXPECT_PINS(1, self->buf, self->len);
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len, NULL));
	EXPECT_MAPPED(EINVAL, BASE, self->buf, PAGE);
}

/* Huge pages: all of them, and mappings that begin and end inside */
#define CHECK_HUGE(va, size)                                                   \
	do {                                                                   \
		struct {                                                       \
			__u64 from, len, at;                                   \
		} __t[] = {                                                    \
			{ 0, size, 0 },                                        \
			{ PAGE, (size) - 2 * PAGE, 0 },                        \
			{ MOCK_PAGE_SIZE, (size) / 2, PAGE },                  \
			{ (size) / 2 - PAGE, 2 * PAGE, MOCK_PAGE_SIZE },       \
		};                                                             \
		for (unsigned int __i = 0; __i < ARRAY_LEN(__t); __i++) {      \
			__u64 __iova = BASE + __t[__i].at;                     \
			const __u8 *__va = (va) + __t[__i].from;               \
			__u64 __len = __t[__i].len;                            \
			ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, __va,   \
						 __len, __iova));              \
			EXPECT_MAPPED(0, __iova, __va, __len);                 \
			EXPECT_MAPPED(EINVAL, __iova + __len, __va + __len,    \
				      MOCK_PAGE_SIZE);                         \
			EXPECT_EQ(((__t[__i].from + __len + PAGE - 1) / PAGE - \
				   __t[__i].from / PAGE) * PINS, vm_pin(0));   \
			ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, __iova,  \
						__len, NULL));                 \
			EXPECT_MAPPED(EINVAL, __iova, __va, MOCK_PAGE_SIZE);   \
			EXPECT_EQ(0, vm_pin(0));                               \
		}                                                              \
	} while (0)

TEST_F(map, transparent_huge)
{
	__u8 *area, *va;

	SKIP_WITHOUT_THP();
	area = mmap(NULL, 4 * thp_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	va = area + thp_size - (uintptr_t)area % thp_size;
	if (madvise(va, 2 * thp_size, MADV_HUGEPAGE))
		SKIP(return, "no MADV_HUGEPAGE: %s", strerror(errno));
	memset(va, 1, 2 * thp_size);
	if (huge_mapped(va) < 2 * thp_size)
		SKIP(return, "no huge pages to be had");
	/* The byte behind what gets mapped has to exist for the check */
	va[2 * thp_size] = 1;
	CHECK_HUGE(va, 2 * thp_size);
	munmap(area, 4 * thp_size);
}

TEST_F(map, hugetlb)
{
	__u8 *va;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	va = buf_alloc_hugetlb(3 * huge_size);
	if (!va)
		SKIP(return, "3 huge pages of %zu KiB needed: %s",
		     huge_size / 1024, strerror(errno));
	memset(va, 1, 3 * huge_size);
	CHECK_HUGE(va, 2 * huge_size);
	munmap(va, 3 * huge_size);
}

/* What devices may have written to is not thrown away as if it was clean */
TEST_F(map_pinned, unpinned_is_dirty)
{
	__u8 *buf = buf_alloc_private(2 * PAGE);
	bool dirty;

	ASSERT_NE(NULL, buf);
	memset(buf, 1, 2 * PAGE);
	for (int i = 0; i < 2; i++) {
		__u64 iova = BASE + i * PAGE;

		ASSERT_EQ(0, page_is_dirty(buf + i * PAGE, &dirty));
		ASSERT_FALSE(dirty);
		ASSERT_EQ(0, ioas_map(self->fd, self->ioas, buf + i * PAGE, PAGE,
				      (i ? MAP_R : MAP_RW) | MAP_FIX, &iova));
	}
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(0, page_is_dirty(buf, &dirty));
	EXPECT_TRUE(dirty);
	ASSERT_EQ(0, page_is_dirty(buf + PAGE, &dirty));
	EXPECT_FALSE(dirty);
}

/*
 * Page tables that an unmap leaves empty are freed when IOTLBs are flushed. Others
 * may have a few more than before, but not one for each time.
 */
TEST_F(map_pinned, tables_are_freed)
{
	const unsigned int rounds = 64;
	long left;

	ASSERT_EQ(0, tables_left(self->fd, self->ioas, BASE + (4 << 20), rounds,
				 &left));
	EXPECT_GT(rounds / 2, left);
}

TEST_HARNESS_MAIN
