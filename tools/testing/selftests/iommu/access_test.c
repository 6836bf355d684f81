// SPDX-License-Identifier: GPL-2.0-only
/*
 * In-kernel users of an IOAS, through the mock's access files: pinning,
 * reading and writing, and being told to let go.
 */
#include <linux/vfio.h>
#include <pthread.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 16
#define BASE ((__u64)MOCK_APERTURE_START)
#define WRITE MOCK_FLAGS_ACCESS_WRITE
#define SLOW MOCK_ACCESS_RW_SLOW_PATH

FIXTURE(access)
{
	int fd;
	__u32 ioas;
	int pinner;	/* needs pages, so the alignment is PAGE */
	__u8 *buf;
	size_t len;
	struct mock_dev dev;
};

FIXTURE_VARIANT(access)
{
	bool domain;
	unsigned int limit;
};

FIXTURE_VARIANT_ADD(access, no_domain) {};
FIXTURE_VARIANT_ADD(access, domain) { .domain = true };
FIXTURE_VARIANT_ADD(access, no_domain_limit) { .limit = 16 };

FIXTURE_SETUP(access)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	if (variant->domain)
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	if (variant->limit)
		ASSERT_EQ(0, mock_memory_limit(self->fd, variant->limit));
	self->len = NR * PAGE;
	self->buf = buf_alloc(self->len);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &self->pinner));
}

FIXTURE_TEARDOWN(access)
{
	EXPECT_EQ(0, mock_memory_limit(self->fd, 65536));
	if (self->pinner >= 0)
		EXPECT_EQ(0, close(self->pinner));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, self->len));
	EXPECT_EQ(0, vm_pin(0));
}

/* Where only accesses pin, as long as no domain comes */
FIXTURE_LIKE(access_alone, access)

FIXTURE_VARIANT_ADD(access_alone, no_domain) {};
FIXTURE_VARIANT_ADD(access_alone, no_domain_limit) { .limit = 16 };

#define DOM (variant->domain ? 1 : 0)
#define EXPECT_PINS(want, va, len) \
	EXPECT_EQ(0, mock_check_pins(self->fd, va, len, want))
#define PIN(iova, len, va, flags, item) \
	access_pin(self->fd, self->pinner, iova, len, va, flags, item)
#define MAP_BUF() \
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len, \
				 BASE))

TEST_F(access, bad_files)
{
	__u8 byte = 0;
	int plain;

	EXPECT_EQ(EOPNOTSUPP, access_create(self->fd, self->ioas, 2, &plain));
	EXPECT_EQ(ENOENT, access_create(self->fd, BAD_ID, 0, &plain));
	EXPECT_EQ(EBADFD, access_pin(self->fd, -1, BASE, PAGE, NULL, 0, NULL));
	EXPECT_EQ(EBADFD, access_pin(self->fd, self->fd, BASE, PAGE, NULL, 0,
				     NULL));
	EXPECT_EQ(EBADFD, access_rw(self->fd, 0, BASE, &byte, 1, 0));
	EXPECT_EQ(EBADFD, access_replace(self->fd, self->fd, self->ioas));
	EXPECT_EQ(ENOENT, access_unpin(self->fd, self->pinner, 0));
	EXPECT_EQ(EOPNOTSUPP, PIN(BASE, PAGE, NULL, 2, NULL));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &plain));
	MAP_BUF();
	EXPECT_EQ(EOPNOTSUPP, access_pin(self->fd, plain, BASE, PAGE, NULL, 0,
					 NULL));
	close(plain);
}

TEST_F(access, pin_errors)
{
	MAP_BUF();
	EXPECT_EQ(EINVAL, PIN(BASE, 0, NULL, 0, NULL));
	EXPECT_EQ(EOVERFLOW, PIN(ULONG_MAX, 2, NULL, 0, NULL));
	EXPECT_EQ(EOVERFLOW, PIN(ULONG_MAX - PAGE + 1, 2 * PAGE, NULL, 0,
				 NULL));
	EXPECT_EQ(ENOENT, PIN(BASE - PAGE, PAGE, NULL, 0, NULL));
	EXPECT_EQ(ENOENT, PIN(BASE - PAGE, 2 * PAGE, NULL, 0, NULL));
	EXPECT_EQ(ENOENT, PIN(BASE, self->len + 1, NULL, 0, NULL));
	EXPECT_EQ(ENOENT, PIN(BASE + self->len, 1, NULL, 0, NULL));
	/* Not at the start of a page of memory */
	EXPECT_EQ(EINVAL, PIN(BASE + 1, PAGE, NULL, 0, NULL));
	EXPECT_EQ(EINVAL, PIN(BASE + PAGE / 2, PAGE / 2, NULL, 0, NULL));
	EXPECT_PINS(DOM, self->buf, self->len);
	EXPECT_EQ(DOM * NR, vm_pin(0));
}

/* For every interval: the right pages, pinned once more, and again not */
TEST_F(access, pin_and_unpin)
{
	MAP_BUF();
	for (unsigned int s = 0; s < NR; s++) {
		for (unsigned int n = 1; n + s <= NR; n += 3) {
			__u32 item;

			ASSERT_EQ(0, PIN(BASE + s * PAGE, n * PAGE,
					 self->buf + s * PAGE, WRITE, &item));
			EXPECT_PINS(1, self->buf + s * PAGE, n * PAGE);
			if (s)
				EXPECT_PINS(DOM, self->buf, s * PAGE);
			EXPECT_EQ(DOM ? NR : n, vm_pin(0));
			ASSERT_EQ(0, access_unpin(self->fd, self->pinner,
						  item));
			EXPECT_PINS(DOM, self->buf, self->len);
			EXPECT_EQ(DOM * NR, vm_pin(0));
		}
	}
	EXPECT_EQ(ENOENT, access_unpin(self->fd, self->pinner, 0));
}

/* The last page may be touched in part; it counts in full */
TEST_F(access, pin_partial_end)
{
	__u32 item;

	MAP_BUF();
	ASSERT_EQ(0, PIN(BASE + PAGE, PAGE + 1, self->buf + PAGE, 0, &item));
	EXPECT_PINS(1, self->buf + PAGE, 2 * PAGE);
	EXPECT_PINS(DOM, self->buf + 3 * PAGE, PAGE);
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item));
	ASSERT_EQ(0, PIN(BASE + 5 * PAGE, 1, self->buf + 5 * PAGE, 0, &item));
	EXPECT_PINS(1, self->buf + 5 * PAGE, PAGE);
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item));
	EXPECT_PINS(DOM, self->buf, self->len);
}

TEST_F(access, pin_permission)
{
	__u64 ro = BASE + 0x100000, wo = BASE + 0x200000;

	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, PAGE,
			      MAP_FIX | MAP_R, &ro));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, PAGE,
			      MAP_FIX | MAP_W, &wo));
	EXPECT_EQ(EPERM, PIN(ro, PAGE, NULL, WRITE, NULL));
	EXPECT_EQ(EPERM, PIN(wo, PAGE, NULL, 0, NULL));
	EXPECT_EQ(0, PIN(ro, PAGE, self->buf, 0, NULL));
	EXPECT_EQ(0, PIN(wo, PAGE, self->buf, WRITE, NULL));
	EXPECT_PINS(2, self->buf, PAGE);
}

/* Across mappings, if their memory meets at a page */
TEST_F(access, pin_several_mappings)
{
	__u32 item;

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->buf + i * 4 * PAGE, 4 * PAGE,
					 BASE + i * 4 * PAGE));
	ASSERT_EQ(0, PIN(BASE + PAGE, 14 * PAGE, self->buf + PAGE, WRITE,
			 &item));
	EXPECT_PINS(1, self->buf + PAGE, 14 * PAGE);
	EXPECT_PINS(DOM, self->buf, PAGE);
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item));
	EXPECT_PINS(DOM, self->buf, self->len);
	/* A page missing in the third takes the pins of the first back */
	if (!variant->domain) {
		ASSERT_EQ(0, munmap(self->buf + 9 * PAGE, PAGE));
		EXPECT_EQ(EFAULT, PIN(BASE, self->len, NULL, WRITE, NULL));
		EXPECT_PINS(0, self->buf, 9 * PAGE);
		EXPECT_PINS(0, self->buf + 10 * PAGE, 6 * PAGE);
		EXPECT_EQ(0, vm_pin(0));
		ASSERT_EQ(self->buf + 9 * PAGE,
			  mmap(self->buf + 9 * PAGE, PAGE,
			       PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	}
}

/* Stacked pins are one pin of the page and go with the last */
TEST_F(access, pins_stack)
{
	__u32 item[4];
	int second;

	MAP_BUF();
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &second));
	ASSERT_EQ(0, PIN(BASE, 4 * PAGE, self->buf, WRITE, &item[0]));
	ASSERT_EQ(0, PIN(BASE, 4 * PAGE, self->buf, WRITE, &item[1]));
	ASSERT_EQ(0, PIN(BASE + 2 * PAGE, 4 * PAGE, self->buf + 2 * PAGE, 0,
			 &item[2]));
	ASSERT_EQ(0, access_pin(self->fd, second, BASE + 3 * PAGE, 8 * PAGE,
				self->buf + 3 * PAGE, 0, &item[3]));
	EXPECT_PINS(1, self->buf, 11 * PAGE);
	EXPECT_EQ(DOM ? NR : 11, vm_pin(0));
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item[0]));
	EXPECT_PINS(1, self->buf, 11 * PAGE);
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item[1]));
	EXPECT_PINS(DOM, self->buf, 2 * PAGE);
	EXPECT_PINS(1, self->buf + 2 * PAGE, 9 * PAGE);
	EXPECT_EQ(0, access_unpin(self->fd, second, item[3]));
	EXPECT_PINS(1, self->buf + 2 * PAGE, 4 * PAGE);
	EXPECT_PINS(DOM, self->buf + 6 * PAGE, 5 * PAGE);
	EXPECT_EQ(DOM ? NR : 4, vm_pin(0));
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item[2]));
	EXPECT_PINS(DOM, self->buf, self->len);
	EXPECT_EQ(DOM * NR, vm_pin(0));
	close(second);
}

/* Domains come and go around pinned pages */
TEST_F(access_alone, pins_and_domains)
{
	struct mock_dev dev;
	__u32 item;

	MAP_BUF();
	ASSERT_EQ(0, PIN(BASE + 4 * PAGE, 8 * PAGE, self->buf + 4 * PAGE,
			 WRITE, &item));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
		EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE,
					    self->buf, self->len));
		EXPECT_PINS(1, self->buf, self->len);
		EXPECT_EQ(NR, vm_pin(0));
		ASSERT_EQ(0, iommu_destroy(self->fd, dev.stdev));
		EXPECT_PINS(0, self->buf, 4 * PAGE);
		EXPECT_PINS(1, self->buf + 4 * PAGE, 8 * PAGE);
		EXPECT_PINS(0, self->buf + 12 * PAGE, 4 * PAGE);
		EXPECT_EQ(8, vm_pin(0));
	}
	/* With the domain there when the pin goes */
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item));
	EXPECT_PINS(1, self->buf, self->len);
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->buf,
				    self->len));
}

/* The same page while it stays pinned, whatever the process does */
TEST_F(access_alone, pinned_page_is_kept)
{
	__u8 *priv = buf_alloc_private(PAGE);
	struct mock_dev dev;
	__u32 item;

	ASSERT_NE(NULL, priv);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, priv, PAGE, BASE));
	ASSERT_EQ(0, PIN(BASE, PAGE, priv, WRITE, &item));
	ASSERT_EQ(0, madvise(priv, PAGE, MADV_DONTNEED));
	priv[0] = 1;
	/* The domain gets what is pinned, and not what is there now */
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(EINVAL, mock_check_map(self->fd, dev.hwpt, BASE, priv,
					 PAGE));
	EXPECT_PINS(0, priv, PAGE);
	EXPECT_EQ(1, vm_pin(0));
	/* Fully let go, the next pin finds the new page */
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item));
	ASSERT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	ASSERT_EQ(0, PIN(BASE, PAGE, priv, WRITE, &item));
	EXPECT_PINS(1, priv, PAGE);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(priv, PAGE);
}

static bool is_full_of(const __u8 *va, size_t length, __u8 byte)
{
	for (size_t i = 0; i < length; i++)
		if (va[i] != byte)
			return false;
	return true;
}

/* A copy has what is pinned from there, and the rest from where it is now */
TEST_F(access_alone, copy_around_pins)
{
	__u8 *priv = buf_alloc_private(3 * PAGE);
	__u8 *copy = buf_alloc_private(3 * PAGE);
	__u32 item;

	ASSERT_NE(NULL, priv);
	ASSERT_NE(NULL, copy);
	memset(priv, 1, 3 * PAGE);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, priv, 3 * PAGE, BASE));
	ASSERT_EQ(0, PIN(BASE + PAGE, PAGE, priv + PAGE, WRITE, &item));
	ASSERT_EQ(0, madvise(priv, 3 * PAGE, MADV_DONTNEED));
	memset(priv, 2, 3 * PAGE);
	ASSERT_EQ(0, access_rw(self->fd, self->pinner, BASE, copy, 3 * PAGE,
			       0));
	EXPECT_TRUE(is_full_of(copy, PAGE, 2));
	EXPECT_TRUE(is_full_of(copy + PAGE, PAGE, 1));
	EXPECT_TRUE(is_full_of(copy + 2 * PAGE, PAGE, 2));

	memset(copy, 3, 3 * PAGE);
	ASSERT_EQ(0, access_rw(self->fd, self->pinner, BASE, copy, 3 * PAGE,
			       MOCK_ACCESS_RW_WRITE));
	EXPECT_TRUE(is_full_of(priv, PAGE, 3));
	EXPECT_TRUE(is_full_of(priv + PAGE, PAGE, 2));
	EXPECT_TRUE(is_full_of(priv + 2 * PAGE, PAGE, 3));
	memset(copy, 4, PAGE);
	ASSERT_EQ(0, access_rw(self->fd, self->pinner, BASE + PAGE, copy, PAGE,
			       0));
	EXPECT_TRUE(is_full_of(copy, PAGE, 3));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(copy, 3 * PAGE);
	munmap(priv, 3 * PAGE);
}

/* What is pinned for a copy only is known to have been written to */
TEST_F(access_alone, copied_is_dirty)
{
	__u8 *buf = buf_alloc_private(PAGE);
	__u8 byte;
	bool dirty;

	ASSERT_NE(NULL, buf);
	*buf = 1;
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf, PAGE, BASE));
	ASSERT_EQ(0, access_rw(self->fd, self->pinner, BASE, &byte, 1, SLOW));
	ASSERT_EQ(0, page_is_dirty(buf, &dirty));
	EXPECT_FALSE(dirty);
	byte = 2;
	ASSERT_EQ(0, access_rw(self->fd, self->pinner, BASE, &byte, 1,
			       SLOW | MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(2, *buf);
	ASSERT_EQ(0, page_is_dirty(buf, &dirty));
	EXPECT_TRUE(dirty);
}

/* Unmapping takes pins away through the callback */
TEST_F(access, unmap_callback)
{
	__u64 unmapped;
	__u32 item[3];

	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->buf + i * 4 * PAGE, 4 * PAGE,
					 BASE + i * 4 * PAGE));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, PIN(BASE + i * 4 * PAGE, 4 * PAGE,
				 self->buf + i * 4 * PAGE, WRITE, &item[i]));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + 4 * PAGE,
				4 * PAGE, &unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
	EXPECT_PINS(0, self->buf + 4 * PAGE, 4 * PAGE);
	EXPECT_EQ(ENOENT, access_unpin(self->fd, self->pinner, item[1]));
	/* Others are left alone */
	EXPECT_PINS(1, self->buf, 4 * PAGE);
	EXPECT_PINS(1, self->buf + 8 * PAGE, 4 * PAGE);
	EXPECT_EQ(0, access_unpin(self->fd, self->pinner, item[0]));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(8 * PAGE, unmapped);
	EXPECT_EQ(ENOENT, access_unpin(self->fd, self->pinner, item[2]));
	EXPECT_PINS(0, self->buf, self->len);
	EXPECT_EQ(0, vm_pin(0));
}

/* A pin over two mappings goes with either of them */
TEST_F(access, unmap_part_of_a_pin)
{
	__u32 item;

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->buf + i * 4 * PAGE, 4 * PAGE,
					 BASE + i * 4 * PAGE));
	ASSERT_EQ(0, PIN(BASE, 8 * PAGE, self->buf, WRITE, &item));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + 4 * PAGE,
				4 * PAGE, NULL));
	EXPECT_PINS(DOM, self->buf, 4 * PAGE);
	EXPECT_PINS(0, self->buf + 4 * PAGE, 4 * PAGE);
	EXPECT_EQ(ENOENT, access_unpin(self->fd, self->pinner, item));
}

/* Pins through a copy in another IOAS stay when this one unmaps */
TEST_F(access, unmap_leaves_copies)
{
	__u64 iova = BASE;
	__u32 ioas2, item;
	int other;

	MAP_BUF();
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_copy(self->fd, ioas2, self->ioas, BASE, self->len,
			       MAP_FIX_RW, &iova));
	ASSERT_EQ(0, access_create(self->fd, ioas2,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &other));
	ASSERT_EQ(0, access_pin(self->fd, other, BASE, self->len, self->buf,
				WRITE, &item));
	EXPECT_PINS(1, self->buf, self->len);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_PINS(1, self->buf, self->len);
	EXPECT_EQ(0, access_unpin(self->fd, other, item));
	EXPECT_PINS(0, self->buf, self->len);
	close(other);
}

TEST_F(access, move_to_another_ioas)
{
	__u32 ioas2, item;
	__u64 iova = BASE;

	MAP_BUF();
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, PIN(BASE, 4 * PAGE, self->buf, WRITE, &item));
	EXPECT_EQ(ENOENT, access_replace(self->fd, self->pinner, BAD_ID));
	/* Replacing by the same IOAS does nothing */
	EXPECT_EQ(0, access_replace(self->fd, self->pinner, self->ioas));
	EXPECT_PINS(1, self->buf, 4 * PAGE);
	/* One that it cannot live with leaves it where it is */
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, self->buf, 1, 1));
	EXPECT_EQ(EADDRINUSE, access_replace(self->fd, self->pinner, ioas2));
	EXPECT_PINS(1, self->buf, 4 * PAGE);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas2));

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_copy(self->fd, ioas2, self->ioas, BASE, self->len,
			       MAP_FIX_RW, &iova));
	ASSERT_EQ(0, access_replace(self->fd, self->pinner, ioas2));
	EXPECT_PINS(DOM, self->buf, self->len);
	EXPECT_EQ(ENOENT, access_unpin(self->fd, self->pinner, item));
	if (!variant->domain)
		EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, ioas2));
	ASSERT_EQ(0, PIN(BASE, 4 * PAGE, self->buf, WRITE, &item));
	EXPECT_PINS(1, self->buf, 4 * PAGE);
}

TEST_F(access, close_with_pins)
{
	MAP_BUF();
	ASSERT_EQ(0, PIN(BASE, 4 * PAGE, self->buf, WRITE, NULL));
	ASSERT_EQ(0, PIN(BASE + PAGE, PAGE, self->buf + PAGE, 0, NULL));
	ASSERT_EQ(0, close(self->pinner));
	self->pinner = -1;
	EXPECT_PINS(DOM, self->buf, self->len);
	EXPECT_EQ(DOM * NR, vm_pin(0));
}

/* Something that a slow driver keeps another thread at */
struct slow {
	int fd, access;
	__u32 ioas;
	__u64 unmapped;
	int rc;
};

static void *slow_close(void *arg)
{
	struct slow *s = arg;

	s->rc = close(s->access) ? errno : 0;
	return NULL;
}

static void *slow_replace(void *arg)
{
	struct slow *s = arg;

	s->rc = access_replace(s->fd, s->access, s->ioas);
	return NULL;
}

static void *slow_unmap(void *arg)
{
	struct slow *s = arg;

	s->rc = ioas_unmap_all(s->fd, s->ioas, &s->unmapped);
	return NULL;
}

#define SLOW_ACCESS(file)                                                     \
	ASSERT_EQ(0, access_create(self->fd, self->ioas,                      \
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES | \
				   MOCK_FLAGS_ACCESS_CREATE_SLOW_UNMAP,       \
				   file))

/* Enough for the other thread to get to the callback, too little to leave it */
static void wait_for_callback(void)
{
	usleep(100000);
}

/*
 * An access is destroyed, and its driver takes its time to drop the pins: the
 * unmap waits for that. What others pinned is taken from them as ever.
 */
TEST_F(access, unmap_while_destroyed)
{
	struct slow s = { .fd = self->fd };
	pthread_t thread;
	__u64 unmapped;

	MAP_BUF();
	SLOW_ACCESS(&s.access);
	ASSERT_EQ(0, access_pin(self->fd, s.access, BASE, 4 * PAGE, self->buf,
				WRITE, NULL));
	ASSERT_EQ(0, PIN(BASE + 8 * PAGE, PAGE, self->buf + 8 * PAGE, WRITE,
			 NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, slow_close, &s));
	wait_for_callback();
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(self->len, unmapped);
	EXPECT_PINS(0, self->buf, self->len);
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.rc);
	/* Nothing is left of either */
	MAP_BUF();
	EXPECT_PINS(DOM, self->buf, self->len);
}

/* An unmap and a replace of the access at the same time */
TEST_F(access, unmap_while_replaced)
{
	struct slow s = { .fd = self->fd };
	pthread_t thread;
	__u64 unmapped;

	MAP_BUF();
	SLOW_ACCESS(&s.access);
	ASSERT_EQ(0, access_pin(self->fd, s.access, BASE, 4 * PAGE, self->buf,
				WRITE, NULL));
	ASSERT_EQ(0, ioas_alloc(self->fd, &s.ioas));
	ASSERT_EQ(0, pthread_create(&thread, NULL, slow_replace, &s));
	wait_for_callback();
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(self->len, unmapped);
	EXPECT_PINS(0, self->buf, self->len);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.rc);
	EXPECT_EQ(0, close(s.access));
}

/* No callback about the former IOAS takes pins of the new one */
TEST_F(access, replaced_while_unmapped)
{
	struct slow s = { .fd = self->fd, .ioas = self->ioas };
	__u64 iova = BASE;
	pthread_t thread;
	__u32 ioas2, item;

	MAP_BUF();
	SLOW_ACCESS(&s.access);
	ASSERT_EQ(0, access_pin(self->fd, s.access, BASE, 4 * PAGE, self->buf,
				WRITE, NULL));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_copy(self->fd, ioas2, self->ioas, BASE, self->len,
			       MAP_FIX_RW, &iova));
	ASSERT_EQ(0, pthread_create(&thread, NULL, slow_unmap, &s));
	wait_for_callback();
	ASSERT_EQ(0, access_replace(self->fd, s.access, ioas2));
	ASSERT_EQ(0, access_pin(self->fd, s.access, BASE, 4 * PAGE, self->buf,
				WRITE, &item));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.rc);
	EXPECT_EQ(self->len, s.unmapped);
	EXPECT_PINS(1, self->buf, 4 * PAGE);
	EXPECT_EQ(0, access_unpin(self->fd, s.access, item));
	EXPECT_PINS(0, self->buf, self->len);
	EXPECT_EQ(0, close(s.access));
}

/* Random overlapping pins of two accesses against counters */
TEST_F_TIMEOUT(access, random_pins, 60)
{
	struct {
		unsigned int from, n;
		__u32 item;
		int file;
	} p[12] = {};
	__u64 seed = rnd_seed();
	int files[2] = { self->pinner, -1 };

	TH_LOG("TEST_SEED=%llu", seed);
	MAP_BUF();
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &files[1]));
	for (int step = 0; step < 150; step++) {
		unsigned int i = rnd(&seed) % ARRAY_LEN(p), total = 0;
		__u8 pins[NR];

		if (p[i].n) {
			ASSERT_EQ(0, access_unpin(self->fd, p[i].file,
						  p[i].item));
			p[i].n = 0;
		} else {
			p[i].from = rnd(&seed) % NR;
			p[i].n = 1 + rnd(&seed) % (NR - p[i].from);
			p[i].file = files[rnd(&seed) % 2];
			ASSERT_EQ(0, access_pin(self->fd, p[i].file,
						BASE + p[i].from * PAGE,
						p[i].n * PAGE,
						self->buf + p[i].from * PAGE,
						rnd(&seed) % 2 ? WRITE : 0,
						&p[i].item));
		}
		memset(pins, DOM, sizeof(pins));
		for (i = 0; i < ARRAY_LEN(p); i++)
			memset(pins + p[i].from, 1, p[i].n);
		for (i = 0; i < NR; i++) {
			EXPECT_PINS(pins[i], self->buf + i * PAGE, PAGE);
			total += pins[i];
		}
		ASSERT_EQ(total, vm_pin(0))
			TH_LOG("step %d", step);
	}
	close(files[1]);
}

/*
 * Reading and writing. There is a plain access too, and mappings with any
 * alignment, for bytes do not need pages.
 */
FIXTURE(access_rw)
{
	int fd;
	__u32 ioas;
	int access;
	__u8 *buf, *tmp;
	size_t len;
};

FIXTURE_VARIANT(access_rw)
{
	bool domain;
	__u32 flags;
	unsigned int limit;
};

FIXTURE_VARIANT_ADD(access_rw, no_domain) {};
FIXTURE_VARIANT_ADD(access_rw, no_domain_slow) { .flags = SLOW };
FIXTURE_VARIANT_ADD(access_rw, domain) { .domain = true };
FIXTURE_VARIANT_ADD(access_rw, domain_slow) {
	.domain = true, .flags = SLOW, .limit = 16
};

FIXTURE_SETUP(access_rw)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	if (variant->domain)
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	if (variant->limit)
		ASSERT_EQ(0, mock_memory_limit(self->fd, variant->limit));
	self->len = NR * PAGE;
	self->buf = buf_alloc(self->len);
	self->tmp = malloc(self->len);
	ASSERT_NE(NULL, self->buf);
	ASSERT_NE(NULL, self->tmp);
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &self->access));
	for (size_t i = 0; i < self->len; i++)
		self->buf[i] = i * 7 + i / PAGE;
}

FIXTURE_TEARDOWN(access_rw)
{
	EXPECT_EQ(0, mock_memory_limit(self->fd, 65536));
	EXPECT_EQ(0, close(self->access));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, self->len));
	EXPECT_EQ(0, vm_pin(0));
	free(self->tmp);
}

/* Where nothing is pinned meanwhile, and no domain needs whole pages of its */
FIXTURE_LIKE(access_rw_alone, access_rw)

FIXTURE_VARIANT_ADD(access_rw_alone, no_domain) {};
FIXTURE_VARIANT_ADD(access_rw_alone, no_domain_slow) { .flags = SLOW };

#define RW(iova, len, dir) \
	access_rw(self->fd, self->access, iova, self->tmp, len, \
		  (dir) | variant->flags)

static void check_rw(struct __test_metadata *_metadata,
		     FIXTURE_DATA(access_rw) *self,
		     const FIXTURE_VARIANT(access_rw) *variant, __u64 iova,
		     size_t at, size_t len)
{
	__u8 before = at ? self->buf[at - 1] : 0, after = self->buf[at + len];

	memset(self->tmp, 0xee, len + 1);
	ASSERT_EQ(0, RW(iova, len, 0));
	EXPECT_EQ(0, memcmp(self->tmp, self->buf + at, len));
	EXPECT_EQ(0xee, self->tmp[len]);
	for (size_t i = 0; i < len; i++)
		self->tmp[i] = ~self->tmp[i];
	ASSERT_EQ(0, RW(iova, len, MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(0, memcmp(self->tmp, self->buf + at, len));
	EXPECT_EQ(after, self->buf[at + len]);
	if (at)
		EXPECT_EQ(before, self->buf[at - 1]);
}

TEST_F(access_rw, around_pages)
{
	static const size_t lens[] = { 1, 2, 3, 7, 8, 9, 31, 64, 100 };

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				 BASE));
	for (unsigned int l = 0; l < ARRAY_LEN(lens); l++)
		for (size_t at = PAGE - 40; at < PAGE + 40; at += 9)
			check_rw(_metadata, self, variant, BASE + at, at,
				 lens[l]);
	check_rw(_metadata, self, variant, BASE, 0, self->len - 1);
	check_rw(_metadata, self, variant, BASE + PAGE - 1, PAGE - 1,
		 3 * PAGE + 2);
	/* Nothing stays pinned by reading */
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, self->len,
				     variant->domain));
}

/* IOVA and memory disagree about the offset in the page */
TEST_F(access_rw, shifted)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
				 self->buf + MOCK_PAGE_SIZE, 8 * PAGE,
				 BASE));
	check_rw(_metadata, self, variant, BASE + 5, MOCK_PAGE_SIZE + 5,
		 4 * PAGE);
	check_rw(_metadata, self, variant, BASE, MOCK_PAGE_SIZE, 8 * PAGE);
	/* Across two pages of memory */
	check_rw(_metadata, self, variant, BASE + PAGE - MOCK_PAGE_SIZE - 3,
		 PAGE - 3, 6);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 8 * PAGE,
				 BASE + MOCK_PAGE_SIZE));
	check_rw(_metadata, self, variant, BASE + MOCK_PAGE_SIZE + 77, 77,
		 2 * PAGE);
}

TEST_F(access_rw, several_mappings)
{
	/* In memory order 2, 0, 1, 3 */
	static const unsigned int order[] = { 2, 0, 1, 3 };

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->buf + order[i] * 4 * PAGE,
					 4 * PAGE, BASE + i * 4 * PAGE));
	ASSERT_EQ(0, RW(BASE + 100, self->len - 200, 0));
	for (size_t i = 0; i < self->len - 200; i++) {
		size_t iova = i + 100;
		size_t at = order[iova / (4 * PAGE)] * 4 * PAGE +
			    iova % (4 * PAGE);

		ASSERT_EQ(self->buf[at], self->tmp[i]);
	}
}

TEST_F(access_rw, errors)
{
	__u64 ro = BASE + 0x100000, wo = BASE + 0x200000;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 BASE));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, PAGE,
			      MAP_FIX | MAP_R, &ro));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, PAGE,
			      MAP_FIX | MAP_W, &wo));
	EXPECT_EQ(EINVAL, RW(BASE, 0, 0));
	EXPECT_EQ(EOVERFLOW, RW(ULONG_MAX, 2, 0));
	EXPECT_EQ(ENOENT, RW(BASE - 1, 1, 0));
	EXPECT_EQ(ENOENT, RW(BASE - 1, 2, MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(ENOENT, RW(BASE + 4 * PAGE - 1, 2, 0));
	EXPECT_EQ(EPERM, RW(ro, 1, MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(EPERM, RW(wo, 1, 0));
	EXPECT_EQ(0, RW(ro, 1, 0));
	EXPECT_EQ(0, RW(wo, 1, MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(EOPNOTSUPP, RW(BASE, 1, 2));
	EXPECT_EQ(EPERM, RW(BASE + 0x100000, 1, MOCK_ACCESS_RW_WRITE));
}

/* Any byte of a space without further users */
TEST_F(access_rw_alone, odd_mappings)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 13,
				 PAGE + 77, 1));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 3 * PAGE,
				 5, PAGE + 78));
	check_rw(_metadata, (void *)self, (void *)variant, 1, 13, PAGE + 77);
	ASSERT_EQ(0, RW(PAGE + 70, 13, 0));
	EXPECT_EQ(0, memcmp(self->tmp, self->buf + 13 + PAGE + 69, 8));
	EXPECT_EQ(0, memcmp(self->tmp + 8, self->buf + 3 * PAGE, 5));
	EXPECT_EQ(ENOENT, RW(PAGE + 70, 14, 0));
}

/* What is pinned outlives its owner; what is not is gone with it */
TEST_F(access_rw, owner_exits)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				  BASE));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	if (!variant->domain) {
		EXPECT_EQ(EFAULT, RW(BASE, 16, 0));
		EXPECT_EQ(EFAULT, RW(BASE, 2 * PAGE, MOCK_ACCESS_RW_WRITE));
	} else {
		check_rw(_metadata, self, variant, BASE + 3, 3, 5 * PAGE);
	}
}

/* From another process than the owner */
TEST_F(access_rw, owner_elsewhere)
{
	__u8 *priv = buf_alloc_private(self->len);
	int status;
	pid_t pid;

	ASSERT_NE(NULL, priv);
	memset(priv, 0x11, self->len);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, priv, self->len, BASE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		memset(priv, 0x22, self->len);
		memset(self->tmp, 0, self->len);
		if (RW(BASE + 5, 2 * PAGE, 0) || self->tmp[0] != 0x11 ||
		    self->tmp[2 * PAGE - 1] != 0x11)
			_exit(1);
		memset(self->tmp, 0x33, self->len);
		_exit(RW(BASE + 5, 2 * PAGE, MOCK_ACCESS_RW_WRITE) ? 2 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0x11, priv[4]);
	EXPECT_EQ(0x33, priv[5]);
	EXPECT_EQ(0x33, priv[5 + 2 * PAGE - 1]);
	EXPECT_EQ(0x11, priv[5 + 2 * PAGE]);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(priv, self->len);
}

TEST_F(access_rw_alone, unmapped_memory)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->len,
				 BASE));
	ASSERT_EQ(0, munmap(self->buf + 2 * PAGE, PAGE));
	EXPECT_EQ(EFAULT, RW(BASE + 2 * PAGE, 1, 0));
	EXPECT_EQ(EFAULT, RW(BASE + PAGE, 2 * PAGE, MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(0, RW(BASE, 2 * PAGE, 0));
	ASSERT_EQ(self->buf + 2 * PAGE,
		  mmap(self->buf + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, RW(BASE + PAGE, 2 * PAGE, 0));
}

/* The nth mapping in address order, plus an offset */
TEST_F(access_rw, syzkaller_address)
{
	__u64 by_area = 1 | 4ULL << 32;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + PAGE, PAGE,
				 BASE + 8 * PAGE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, RW(by_area, 4, MOCK_FLAGS_ACCESS_SYZ));
	EXPECT_EQ(0, memcmp(self->tmp, self->buf + PAGE + 4, 4));
}

/*
 * One thread pins and unpins a mapping, another unmaps half of it, which cuts
 * it in two. Whoever is first wins; nothing is pinned that is not mapped.
 */
#define CUT_ROUNDS 500

struct pinner {
	int fd;
	int file;
	bool stop;
	unsigned int pinned;
	int rc;		/* an errno that no pin or unpin may have */
};

static void *pinner_run(void *arg)
{
	struct pinner *p = arg;
	__u32 item;
	int rc;

	while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED) && !p->rc) {
		rc = access_pin(p->fd, p->file, BASE, 2 * PAGE, NULL, 0, &item);
		/* It is not there, or leaving */
		if (rc == ENOENT || rc == EINVAL)
			continue;
		p->pinned += !rc;
		if (!rc)
			rc = access_unpin(p->fd, p->file, item);
		/* An unmap has dropped it */
		if (rc != ENOENT)
			p->rc = rc;
	}
	return NULL;
}

static int unmap_half(int fd)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = BASE + PAGE, .size = PAGE,
	};
	int rc;

	/* Pins refuse to be cut */
	do {
		rc = ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap) ? errno : 0;
	} while (rc == EINVAL);
	return rc;
}

TEST(pin_against_cut)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET,
	};
	struct pinner p = {};
	pthread_t thread;
	__u8 *buf;

	OPEN_MOCK_OR_SKIP(p.fd);
	ASSERT_EQ(0, ioas_alloc(p.fd, &set.ioas_id));
	ASSERT_EQ(0, iommu_cmd(p.fd, IOMMU_VFIO_IOAS, &set));
	ASSERT_EQ(0, ioctl(p.fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	/* Pins are quick when the memory is pinned already */
	ASSERT_EQ(0, mock_attach(p.fd, set.ioas_id, 0, NULL));
	ASSERT_EQ(0, access_create(p.fd, set.ioas_id,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &p.file));
	buf = buf_alloc(2 * PAGE);
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, pthread_create(&thread, NULL, pinner_run, &p));
	for (int i = 0; i < CUT_ROUNDS; i++) {
		ASSERT_EQ(0, ioas_map_at(p.fd, set.ioas_id, buf, 2 * PAGE,
					 BASE));
		ASSERT_EQ(0, unmap_half(p.fd));
		ASSERT_EQ(0, ioas_unmap(p.fd, set.ioas_id, BASE, PAGE, NULL));
	}
	__atomic_store_n(&p.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, p.rc);
	EXPECT_NE(0, p.pinned);
	EXPECT_EQ(0, mock_check_pins(p.fd, buf, 2 * PAGE, 0));
	EXPECT_EQ(0, close(p.file));
	EXPECT_EQ(0, close(p.fd));
	EXPECT_EQ(0, vm_pin(0));
}

TEST_HARNESS_MAIN
