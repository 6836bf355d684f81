// SPDX-License-Identifier: GPL-2.0-only
/*
 * UPDATE_VADDR of a VFIO container: mappings lose their address and get another
 * one, maybe of another process, while devices (of the mock) go on to reach what is
 * pinned. vfio_real_test does it with DMA.
 */
#include <linux/capability.h>
#include <pthread.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"
#include "vfio_utils.h"

#define NR 16
#define BASE ((__u64)MOCK_APERTURE_START)
#define DMA_VADDR VFIO_DMA_MAP_FLAG_VADDR
#define DROP_VADDR VFIO_DMA_UNMAP_FLAG_VADDR
#define DMA_ALL VFIO_DMA_UNMAP_FLAG_ALL

static int invalidate(int fd, __u64 iova, __u64 *len)
{
	return container_unmap_flags(fd, iova, len, DROP_VADDR);
}

static int update(int fd, const void *va, __u64 iova, __u64 len)
{
	return container_map(fd, va, iova, len, DMA_VADDR);
}

#define MAP(va, iova, len) container_map(self->fd, va, iova, len, DMA_RW)
#define UPDATE(va, iova, len) update(self->fd, va, iova, len)
#define UPDATE_VADDR() ioctl(self->fd, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR)

/* @want: what the size is afterwards */
#define EXPECT_DROP(rc, iova, length, flags, want)                             \
	do {                                                                   \
		__u64 __len = length;                                          \
		EXPECT_EQ(rc, container_unmap_flags(self->fd, iova, &__len,    \
						    DROP_VADDR | (flags)));    \
		EXPECT_EQ(want, __len);                                        \
	} while (0)

/* All of a mapping, or several */
#define DROP(iova, len) EXPECT_DROP(0, iova, len, 0, len)

#define EXPECT_UNMAP(rc, iova, length, want)                                   \
	do {                                                                   \
		__u64 __len = length;                                          \
		EXPECT_EQ(rc, container_unmap(self->fd, iova, &__len));        \
		EXPECT_EQ(want, __len);                                        \
	} while (0)

/* The same shared memory at another address, or NULL */
static void *alias_of(void *va, size_t len)
{
	void *alias = mremap(va, 0, len, MREMAP_MAYMOVE);

	return alias == MAP_FAILED ? NULL : alias;
}

static void *map_memfd(int file, size_t len)
{
	void *va = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	return va == MAP_FAILED ? NULL : va;
}

FIXTURE(vaddr)
{
	int fd;
	__u32 ioas, other;
	__u8 *buf;
	size_t len;
	struct mock_dev dev;
	__u32 hwpt[3];
};

FIXTURE_VARIANT(vaddr)
{
	unsigned int type;
	unsigned int domains;
};

FIXTURE_VARIANT_ADD(vaddr, v1_domain)
{
	.type = VFIO_TYPE1_IOMMU, .domains = 1,
};

FIXTURE_VARIANT_ADD(vaddr, v2)
{
	.type = VFIO_TYPE1v2_IOMMU,
};

FIXTURE_VARIANT_ADD(vaddr, v2_domain)
{
	.type = VFIO_TYPE1v2_IOMMU, .domains = 1,
};

FIXTURE_VARIANT_ADD(vaddr, v2_two_domains)
{
	.type = VFIO_TYPE1v2_IOMMU, .domains = 2,
};

FIXTURE_SETUP(vaddr)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, container_ioas(self->fd, IOMMU_VFIO_IOAS_SET,
				    &self->ioas));
	ASSERT_EQ(0, ioctl(self->fd, VFIO_SET_IOMMU, variant->type));
	ASSERT_EQ(0, mock_attach(self->fd, self->other, 0, &self->dev));
	for (unsigned int i = 0; i < variant->domains; i++)
		ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
					&self->hwpt[i]));
	self->len = NR * PAGE;
	self->buf = buf_alloc(self->len);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(vaddr)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, self->len));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, vm_lck(0));
}

/* Type 1 only, which cuts mappings, and is made of whole pages */
FIXTURE_LIKE(cut_vaddr, vaddr)

FIXTURE_VARIANT_ADD(cut_vaddr, domain)
{
	.type = VFIO_TYPE1_IOMMU, .domains = 1,
};

/* Type 1 v2 only */
FIXTURE_LIKE(whole_vaddr, vaddr)

FIXTURE_VARIANT_ADD(whole_vaddr, domain)
{
	.type = VFIO_TYPE1v2_IOMMU, .domains = 1,
};

#define EXPECT_REACHES(va, iova, len)                                          \
	do {                                                                   \
		for (unsigned int __d = 0; __d < variant->domains; __d++)      \
			EXPECT_EQ(0, mock_check_map(self->fd, self->hwpt[__d], \
						    iova, va, len));           \
	} while (0)

/* One more domain reaches this, or does not come to be */
#define EXPECT_MORE(rc, va, iova, len)                                         \
	do {                                                                   \
		__u32 __hwpt;                                                  \
		int __rc = hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0, \
				      &__hwpt);                                \
		EXPECT_EQ(rc, __rc);                                           \
		if (!__rc) {                                                   \
			EXPECT_EQ(0, mock_check_map(self->fd, __hwpt, iova,    \
						    va, len));                 \
			EXPECT_EQ(0, iommu_destroy(self->fd, __hwpt));         \
		}                                                              \
	} while (0)

TEST_F(vaddr, extension)
{
	__u32 nowhere = 0;
	int file;

	EXPECT_EQ(1, UPDATE_VADDR());
	ASSERT_EQ(0, MAP(self->buf, BASE, PAGE));
	/* A kernel user comes and goes. It counts before all that is wrong. */
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &file));
	EXPECT_EQ(0, UPDATE_VADDR());
	EXPECT_DROP(EBUSY, BASE, PAGE, 0, PAGE);
	EXPECT_DROP(EBUSY, BASE + 1, 0, 0, 0);
	EXPECT_DROP(EBUSY, 0, 0, DMA_ALL, 0);
	EXPECT_EQ(EINVAL, UPDATE(self->buf, BASE, PAGE));
	EXPECT_EQ(0, close(file));
	EXPECT_EQ(1, UPDATE_VADDR());
	DROP(BASE, PAGE);
	/* It is not there in a container without a group */
	ASSERT_EQ(0, container_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &nowhere));
	EXPECT_EQ(0, UPDATE_VADDR());
	EXPECT_DROP(ENODEV, BASE, PAGE, 0, PAGE);
	EXPECT_EQ(ENODEV, UPDATE(self->buf, BASE, PAGE));
}

TEST_F(vaddr, errnos_of_unmap)
{
	const __u64 all = UINT64_MAX, part = 4 * PAGE;
	const struct {
		__u64 iova, size;
		__u32 flags;
		int rc;
	} t[] = {
		{ BASE, 0, 0, EINVAL },
		{ BASE, PAGE + 1, 0, EINVAL },
		{ BASE + 1, PAGE, 0, EINVAL },
		/* Alignment, before it wraps */
		{ all - PAGE + 1, PAGE + 1, 0, EINVAL },
		{ all - PAGE + 1, 2 * PAGE, 0, EOVERFLOW },
		{ BASE, part, DMA_ALL, EINVAL },
		{ 0, part, DMA_ALL, EINVAL },
		{ BASE, part, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, EINVAL },
		{ BASE, part, 8, EINVAL },
		/* Parts of a mapping, of whichever type */
		{ BASE, PAGE, 0, EINVAL },
		{ BASE + PAGE, PAGE, 0, EINVAL },
		{ BASE + PAGE, 2 * part - PAGE, 0, EINVAL },
		{ BASE, part + PAGE, 0, EINVAL },
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap) - 1,
		.flags = DROP_VADDR,
	};

	EXPECT_EQ(EINVAL, iommu_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, NULL));
	ASSERT_EQ(0, MAP(self->buf, BASE, part));
	ASSERT_EQ(0, MAP(self->buf + part, BASE + part, part));
	ASSERT_EQ(0, MAP(self->buf + 2 * part, BASE + 4 * part, part));
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		__u64 len = t[i].size;

		EXPECT_EQ(t[i].rc,
			  container_unmap_flags(self->fd, t[i].iova, &len,
						DROP_VADDR | t[i].flags))
			TH_LOG("entry %u", i);
		EXPECT_EQ(t[i].size, len);
	}
	/* Nothing there */
	EXPECT_DROP(0, BASE + 2 * part, part, 0, 0);
	EXPECT_DROP(0, BASE + part, part, 0, part);
	/* All or nothing, when one is so already */
	EXPECT_DROP(EINVAL, BASE + part, part, 0, part);
	EXPECT_DROP(EINVAL, BASE, 8 * part, 0, 8 * part);
	EXPECT_DROP(EINVAL, 0, 0, DMA_ALL, 0);
	EXPECT_EQ(EINVAL, UPDATE(self->buf, BASE, part));
	EXPECT_DROP(0, BASE, part, 0, part);
	EXPECT_DROP(0, BASE + 2 * part, 6 * part, 0, part);
	EXPECT_DROP(EINVAL, 0, 0, DMA_ALL, 0);
}

TEST_F(vaddr, errnos_of_map)
{
	const __u64 all = UINT64_MAX, part = 4 * PAGE;
	const __u64 va = (uintptr_t)self->buf;
	const struct {
		__u64 va, iova, size;
		__u32 flags;
		int rc;
	} t[] = {
		/* The size; then what wraps; then rights and alignment */
		{ va, all, 0, 0, EINVAL },
		{ va, all - PAGE + 1, part, DMA_RW, EOVERFLOW },
		{ all - PAGE + 1, BASE, part, DMA_RW, EOVERFLOW },
		{ va, BASE, part, DMA_RW, EINVAL },
		{ va, BASE, part, VFIO_DMA_MAP_FLAG_READ, EINVAL },
		{ va, BASE, part, 8, EINVAL },
		{ va + 1, BASE, part, 0, EINVAL },
		{ va, BASE + 2 * part + 1, part, 0, EINVAL },
		{ va, BASE + 2 * part, part + 1, 0, EINVAL },
		/* Nothing, and not exactly that */
		{ va, BASE + 2 * part, part, 0, ENOENT },
		{ va, BASE, part - PAGE, 0, EINVAL },
		{ va, BASE, part + PAGE, 0, EINVAL },
		{ va, BASE + PAGE, part - PAGE, 0, EINVAL },
		{ va, BASE - PAGE, part + PAGE, 0, EINVAL },
		{ va, BASE + part, 2 * part, 0, EINVAL },
		/* Two mappings are not one */
		{ va, BASE, 2 * part, 0, EINVAL },
	};

	ASSERT_EQ(0, MAP(self->buf, BASE, part));
	ASSERT_EQ(0, MAP(self->buf + part, BASE + part, part));
	/* Valid still */
	EXPECT_EQ(EINVAL, UPDATE(self->buf, BASE, part));
	EXPECT_DROP(0, 0, 0, DMA_ALL, 2 * part);
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		struct vfio_iommu_type1_dma_map map = {
			.argsz = sizeof(map),
			.flags = DMA_VADDR | t[i].flags,
			.vaddr = t[i].va,
			.iova = t[i].iova,
			.size = t[i].size,
		};

		EXPECT_EQ(t[i].rc,
			  iommu_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &map))
			TH_LOG("entry %u", i);
	}
	EXPECT_EQ(EEXIST, MAP(self->buf, BASE, part));
	EXPECT_EQ(0, UPDATE(self->buf, BASE, part));
	EXPECT_EQ(EINVAL, UPDATE(self->buf, BASE, part));
	EXPECT_EQ(0, UPDATE(self->buf + part, BASE + part, part));
	EXPECT_REACHES(self->buf, BASE, 2 * part);
	EXPECT_MORE(0, self->buf, BASE, 2 * part);
}

/* Devices reach the same pages throughout, and then also by the new address */
TEST_F(vaddr, moves)
{
	const __u64 part = 4 * PAGE;
	void *alias = alias_of(self->buf, self->len);

	ASSERT_NE(NULL, alias);
	ASSERT_EQ(0, MAP(self->buf, BASE, part));
	ASSERT_EQ(0, MAP(self->buf + part, BASE + part, part));
	DROP(BASE, 2 * part);
	ASSERT_EQ(0, munmap(self->buf, self->len));
	self->buf = alias;
	EXPECT_REACHES(alias, BASE, 2 * part);
	EXPECT_EQ(variant->domains ? 8 : 0, vm_pin(0));
	ASSERT_EQ(0, UPDATE(alias, BASE, part));
	EXPECT_MORE(EBUSY, alias, BASE, part);
	ASSERT_EQ(0, UPDATE(alias + part, BASE + part, part));
	EXPECT_EQ(variant->domains ? 8 : 0, vm_pin(0));
	EXPECT_EQ(variant->domains ? 8 : 0, vm_lck(0));
	EXPECT_REACHES(alias, BASE, 2 * part);
	EXPECT_EQ(0, mock_check_pins(self->fd, alias, 2 * part,
				     variant->domains ? 1 : 0));
	/* Pinned by the new address, as soon as nothing is any more */
	for (unsigned int i = 0; i < variant->domains; i++)
		ASSERT_EQ(0, iommu_destroy(self->fd, self->hwpt[i]));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_MORE(0, alias, BASE, 2 * part);
	EXPECT_UNMAP(0, BASE, 2 * part, 2 * part);
}

/* Nobody comes who could need the address, and nothing is changed by that */
TEST_F(vaddr, nobody_comes_meanwhile)
{
	const bool v1 = variant->type == VFIO_TYPE1_IOMMU;
	const __u64 part = 4 * PAGE;
	__u64 copy = BASE + 8 * part;
	struct mock_dev dev;
	__u32 pt;
	int file;

	ASSERT_EQ(0, MAP(self->buf, BASE, part));
	DROP(BASE, part);
	EXPECT_EQ(EBUSY, mock_attach(self->fd, self->ioas, 0, &dev));
	pt = self->ioas;
	EXPECT_EQ(EBUSY, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_MORE(EBUSY, self->buf, BASE, part);
	EXPECT_EQ(EBUSY, access_create(self->fd, self->ioas, 0, &file));
	EXPECT_EQ(EBUSY, ioas_copy(self->fd, self->ioas, self->ioas, BASE, PAGE,
				   MAP_FIX_RW, &copy));
	EXPECT_EQ(EBUSY, ioas_copy(self->fd, self->other, self->ioas, BASE,
				   PAGE, MAP_FIX_RW, &copy));
	EXPECT_UNMAP(v1 ? EBUSY : ENOENT, BASE, PAGE, PAGE);
	EXPECT_EQ(1, UPDATE_VADDR());
	EXPECT_REACHES(self->buf, BASE, part);

	/* Others come and go */
	ASSERT_EQ(0, MAP(self->buf + part, BASE + part, part));
	EXPECT_MORE(EBUSY, self->buf, BASE, part);
	EXPECT_UNMAP(0, BASE + part, part, part);
	/* It ends also when it is unmapped, by whom ever */
	EXPECT_UNMAP(0, BASE, part, part);
	ASSERT_EQ(0, MAP(self->buf, BASE, part));
	ASSERT_EQ(0, MAP(self->buf + part, BASE + part, part));
	EXPECT_MORE(0, self->buf, BASE, 2 * part);
	DROP(BASE, 2 * part);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, part, NULL));
	EXPECT_MORE(EBUSY, self->buf, BASE, part);
	ASSERT_EQ(0, UPDATE(self->buf + part, BASE + part, part));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE + part,
				    self->buf + part, part));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &file));
	EXPECT_EQ(0, close(file));
}

/* The devices leave while there is no address. What returns is the new memory. */
TEST_F(vaddr, domains_go_meanwhile)
{
	__u8 *old = self->buf, *fresh = buf_alloc(self->len);

	ASSERT_NE(NULL, fresh);
	ASSERT_EQ(0, MAP(old, BASE, self->len));
	DROP(BASE, self->len);
	for (unsigned int i = 0; i < variant->domains; i++)
		ASSERT_EQ(0, iommu_destroy(self->fd, self->hwpt[i]));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, vm_lck(0));
	EXPECT_MORE(EBUSY, old, BASE, self->len);
	ASSERT_EQ(0, UPDATE(fresh, BASE, self->len));
	EXPECT_MORE(0, fresh, BASE, self->len);
	ASSERT_EQ(0, munmap(fresh, self->len));
	EXPECT_MORE(EFAULT, fresh, BASE, self->len);
}

/* Who lies about the memory gets at nothing that is not his, nor unpinned */
TEST_F(vaddr, other_memory)
{
	const size_t len = self->len;
	__u8 *other = buf_alloc(len);
	bool pinned = variant->domains;

	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, MAP(self->buf, BASE, len));
	DROP(BASE, len);
	ASSERT_EQ(0, UPDATE(other, BASE, len));
	/* All devices agree that it is the old one as long as one has it */
	EXPECT_REACHES(self->buf, BASE, len);
	EXPECT_MORE(0, pinned ? self->buf : other, BASE, len);
	EXPECT_EQ(0, mock_check_pins(self->fd, other, len, 0));
	/* Nothing is there, which shows when somebody looks */
	DROP(BASE, len);
	ASSERT_EQ(0, UPDATE((void *)PAGE, BASE, len));
	EXPECT_REACHES(self->buf, BASE, len);
	EXPECT_MORE(pinned ? 0 : EFAULT, self->buf, BASE, len);
	/* Nor is a right to write gained */
	DROP(BASE, len);
	ASSERT_EQ(0, mprotect(other, len, PROT_READ));
	ASSERT_EQ(0, UPDATE(other, BASE, len));
	EXPECT_MORE(pinned ? 0 : EFAULT, self->buf, BASE, len);
	for (unsigned int i = 0; i < variant->domains; i++)
		ASSERT_EQ(0, iommu_destroy(self->fd, self->hwpt[i]));
	EXPECT_MORE(EFAULT, other, BASE, len);
	EXPECT_UNMAP(0, BASE, len, len);
	EXPECT_EQ(0, check_unpinned(self->buf, len));
	munmap(other, len);
}

/* What shares memory with another mapping would take that along */
TEST_F(vaddr, shared)
{
	const __u64 part = 4 * PAGE;
	__u64 copy = BASE;

	ASSERT_EQ(0, MAP(self->buf, BASE, part));
	ASSERT_EQ(0, MAP(self->buf + part, BASE + part, part));
	ASSERT_EQ(0, ioas_copy(self->fd, self->other, self->ioas, BASE + PAGE,
			       PAGE, MAP_FIX_RW, &copy));
	EXPECT_DROP(EBUSY, BASE, part, 0, part);
	EXPECT_DROP(EBUSY, 0, 0, DMA_ALL, 0);
	EXPECT_DROP(0, BASE + part, part, 0, part);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->other, copy, PAGE, NULL));
	EXPECT_DROP(0, BASE, part, 0, part);
}

/* The rest of a mapping that was cut, at an address below what was cut off */
TEST_F(cut_vaddr, rest_of_a_cut)
{
	const __u64 len = 64 * PAGE, cut = 56 * PAGE;
	__u8 *big, *low;

	munmap(self->buf, self->len);
	big = buf_alloc(len);
	ASSERT_NE(NULL, big);
	self->buf = big;
	ASSERT_EQ(0, MAP(big, BASE, len));
	EXPECT_UNMAP(0, BASE + 3 * PAGE, PAGE, PAGE);
	EXPECT_DROP(EBUSY, 0, 0, DMA_ALL, 0);
	EXPECT_UNMAP(0, BASE, cut, cut - PAGE);
	EXPECT_DROP(0, BASE + cut, len - cut, 0, len - cut);
	low = mremap(big + cut, 0, len - cut, MREMAP_MAYMOVE | MREMAP_FIXED,
		     (void *)(16 * PAGE));
	ASSERT_EQ((void *)(16 * PAGE), low);
	ASSERT_EQ(0, UPDATE(low, BASE + cut, len - cut));
	EXPECT_REACHES(low, BASE + cut, len - cut);
	ASSERT_EQ(0, iommu_destroy(self->fd, self->hwpt[0]));
	ASSERT_EQ(0, munmap(big + cut, len - cut));
	EXPECT_MORE(0, low, BASE + cut, len - cut);
	EXPECT_UNMAP(0, BASE, len, len - cut);
	EXPECT_EQ(0, check_unpinned(low, len - cut));
	munmap(low, len - cut);
	self->len = PAGE;
}

/* What native ioctls mapped, as long as its pages are whole */
TEST_F(vaddr, native)
{
	void *alias = alias_of(self->buf, self->len);
	int file = memfd_of(4 * PAGE, 0), buf;
	__u64 iova = BASE;

	ASSERT_NE(NULL, alias);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 BASE));
	iova += 2 * PAGE;
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, 4 * PAGE,
				   MAP_FIX_RW, &iova));
	buf = mock_dmabuf_get(self->fd, 4 * PAGE);
	ASSERT_LE(0, buf);
	iova += 4 * PAGE;
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, buf, 0, 4 * PAGE,
				   MAP_FIX_RW, &iova));
	EXPECT_DROP(0, 0, 0, DMA_ALL, 10 * PAGE);
	ASSERT_EQ(0, UPDATE(alias, BASE, 2 * PAGE));
	EXPECT_MORE(EBUSY, alias, BASE, 2 * PAGE);
	/* These have no address, so any will do */
	ASSERT_EQ(0, UPDATE(NULL, BASE + 2 * PAGE, 4 * PAGE));
	EXPECT_MORE(EBUSY, alias, BASE, 2 * PAGE);
	ASSERT_EQ(0, UPDATE(NULL, BASE + 6 * PAGE, 4 * PAGE));
	EXPECT_MORE(0, alias, BASE, 2 * PAGE);
	EXPECT_REACHES(alias, BASE, 2 * PAGE);
	munmap(alias, self->len);
	close(buf);
	close(file);
}

TEST_F(whole_vaddr, odd_pages)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 2048, PAGE,
				 BASE + PAGE));
	EXPECT_DROP(EINVAL, 0, 0, DMA_ALL, 0);
	EXPECT_DROP(0, BASE, PAGE, 0, PAGE);
}

/* Several threads at once, with domains that come and go */

#define ROUNDS 300

struct racer {
	int fd;
	__u32 ioas, idev;
	__u8 *buf;
	unsigned int done;
	int bad;	/* an errno that was not expected */
};

static void note(struct racer *r, int rc)
{
	if (!rc)
		r->done++;
	else if (rc != EBUSY && rc != EINVAL && rc != ENOENT && rc != EEXIST)
		r->bad = rc;
}

/* On a busy machine the others may refuse it all of its rounds, until they end */
static bool goes_on(const struct racer *r, unsigned int round)
{
	return round < ROUNDS || (!r->done && round < 1000 * ROUNDS);
}

static void *race_vaddr(void *arg)
{
	struct racer *r = arg;

	for (unsigned int i = 0; goes_on(r, i); i++) {
		__u64 len = 4 * PAGE;

		note(r, invalidate(r->fd, BASE, &len));
		note(r, update(r->fd, r->buf, BASE, 4 * PAGE));
	}
	return NULL;
}

static void *race_map(void *arg)
{
	struct racer *r = arg;

	for (unsigned int i = 0; goes_on(r, i); i++) {
		__u64 len = 4 * PAGE;

		note(r, container_unmap(r->fd, BASE, &len));
		note(r, container_map(r->fd, r->buf, BASE, 4 * PAGE, DMA_RW));
	}
	return NULL;
}

static void *race_domain(void *arg)
{
	struct racer *r = arg;
	__u32 hwpt;

	for (unsigned int i = 0; goes_on(r, i); i++) {
		int rc = hwpt_alloc(r->fd, r->idev, r->ioas, 0, &hwpt);

		note(r, rc ?: iommu_destroy(r->fd, hwpt));
	}
	return NULL;
}

TEST_F(vaddr, races)
{
	void *(*const what[])(void *) = {
		race_vaddr, race_vaddr, race_map, race_domain,
	};
	struct racer racers[ARRAY_LEN(what)];
	pthread_t threads[ARRAY_LEN(what)];
	__u64 len = 4 * PAGE;

	ASSERT_EQ(0, MAP(self->buf, BASE, 4 * PAGE));
	for (unsigned int i = 0; i < ARRAY_LEN(what); i++) {
		racers[i] = (struct racer){
			.fd = self->fd, .ioas = self->ioas,
			.idev = self->dev.idev, .buf = self->buf,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, what[i],
					    &racers[i]));
	}
	for (unsigned int i = 0; i < ARRAY_LEN(what); i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, racers[i].bad);
		EXPECT_LT(0, racers[i].done);
	}
	/* Whatever is there now, it adds up */
	container_unmap(self->fd, BASE, &len);
	ASSERT_EQ(0, MAP(self->buf, BASE, 4 * PAGE));
	EXPECT_MORE(0, self->buf, BASE, 4 * PAGE);
	EXPECT_REACHES(self->buf, BASE, 4 * PAGE);
	EXPECT_EQ(variant->domains ? 4 : 0, vm_pin(0));
}

/*
 * Another process, which has a limit or not
 */

#define LIMIT 8
#define TEST_UID 60218

FIXTURE(process)
{
	int fd, file;
	__u32 ioas;
	struct mock_dev dev;
	__u8 *buf;
};

FIXTURE_VARIANT(process)
{
	const char *node;
	bool privileged;
};

FIXTURE_VARIANT_ADD(process, iommu)
{
	.node = "/dev/iommu",
};

FIXTURE_VARIANT_ADD(process, iommu_privileged)
{
	.node = "/dev/iommu", .privileged = true,
};

FIXTURE_VARIANT_ADD(process, vfio)
{
	.node = "/dev/vfio/vfio",
};

FIXTURE_VARIANT_ADD(process, vfio_privileged)
{
	.node = "/dev/vfio/vfio", .privileged = true,
};

FIXTURE_SETUP(process)
{
	if (geteuid())
		SKIP(return, "has to start as root to change what it may");
	/* For exec */
	self->fd = open(variant->node, O_RDWR);
	if (self->fd < 0 || !has_mock(self->fd))
		SKIP(return, "%s is not ours, or has no mock", variant->node);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, container_ioas(self->fd, IOMMU_VFIO_IOAS_SET,
				    &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	self->file = memfd_of(2 * LIMIT * PAGE, 0);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, fcntl(self->file, F_SETFD, 0));
	self->buf = map_memfd(self->file, 2 * LIMIT * PAGE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 1, 2 * LIMIT * PAGE);
	ASSERT_EQ(0, memlock_limit_set(LIMIT * PAGE));
	if (!variant->privileged)
		ASSERT_EQ(0, setresuid(TEST_UID, TEST_UID, TEST_UID));
}

FIXTURE_TEARDOWN(process)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, LIMIT * PAGE));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, vm_lck(0));
}

#define EXPECT_CHARGE(pages)                                                   \
	do {                                                                   \
		EXPECT_EQ(pages, vm_lck(0));                                   \
		EXPECT_EQ(pages, vm_pin(0));                                   \
	} while (0)

/* The line at which a child ends, or 0. The descriptors are shared. */
#define IN_CHILD(...)                                                          \
	({                                                                     \
		int __status = -1;                                             \
		pid_t __pid = fork();                                          \
									       \
		if (!__pid) {                                                  \
			__VA_ARGS__;                                           \
			_exit(0);                                              \
		}                                                              \
		waitpid(__pid, &__status, 0);                                  \
		__status;                                                      \
	})

#define OR_DIE(want)                                                           \
	do {                                                                   \
		if (!(want))                                                   \
			_exit(__LINE__ % 250 + 1);                             \
	} while (0)

TEST_F(process, charge_moves)
{
	const __u64 len = LIMIT * PAGE;

	ASSERT_EQ(0, MAP(self->buf, BASE, len));
	EXPECT_CHARGE(LIMIT);
	DROP(BASE, len);
	/* The old process pays until another one does */
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(0, IN_CHILD(
		OR_DIE(!vm_lck(0) && !vm_pin(0));
		OR_DIE(!UPDATE(self->buf, BASE, len));
		OR_DIE(vm_lck(0) == LIMIT && vm_pin(0) == LIMIT)));
	EXPECT_CHARGE(0);
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE, self->buf,
				    len));
	/* From a process that is no more; and then from oneself */
	for (unsigned int i = 0; i < 2; i++) {
		DROP(BASE, len);
		ASSERT_EQ(0, UPDATE(self->buf, BASE, len));
		EXPECT_CHARGE(LIMIT);
	}
	EXPECT_UNMAP(0, BASE, len, len);
	EXPECT_CHARGE(0);
}

/* No room at the new process: the old one goes on to pay, and it can be retried */
TEST_F(process, over_limit)
{
	const __u64 len = LIMIT * PAGE;

	ASSERT_EQ(0, MAP(self->buf, BASE, len));
	DROP(BASE, len);
	EXPECT_EQ(0, IN_CHILD(
		OR_DIE(!memlock_limit_set(len - PAGE));
		OR_DIE(!variant->privileged || !cap_drop(CAP_IPC_LOCK));
		OR_DIE(UPDATE(self->buf, BASE, len) == ENOMEM);
		OR_DIE(!vm_lck(0) && !vm_pin(0))));
	EXPECT_CHARGE(LIMIT);
	/* With the capability it is counted, and there is no limit */
	EXPECT_EQ(0, IN_CHILD(
		OR_DIE(!memlock_limit_set(variant->privileged ? PAGE : len));
		OR_DIE(!UPDATE(self->buf, BASE, len));
		OR_DIE(vm_lck(0) == LIMIT && vm_pin(0) == LIMIT)));
	EXPECT_CHARGE(0);
}

/* The process dies in between. The memory stays, and others can go on. */
TEST_F(process, dies_in_between)
{
	const __u64 len = LIMIT * PAGE;
	struct mock_dev dev;
	__u64 unmapped;

	EXPECT_EQ(0, IN_CHILD(
		unmapped = len;
		OR_DIE(!MAP(self->buf, BASE, len));
		OR_DIE(!invalidate(self->fd, BASE, &unmapped))));
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE, self->buf,
				    len));
	EXPECT_CHARGE(0);
	EXPECT_EQ(EBUSY, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, UPDATE(self->buf, BASE, len));
	EXPECT_CHARGE(LIMIT);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	DROP(BASE, len);
	EXPECT_UNMAP(0, BASE, len, len);
	EXPECT_CHARGE(0);
}

/* A mapping of a file moves its charge, and is then counted as a container does */
TEST_F(process, file)
{
	const __u64 len = LIMIT * PAGE;
	__u64 iova = BASE;

	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0, len,
				   MAP_FIX_RW, &iova));
	EXPECT_EQ(LIMIT, vm_pin(0));
	DROP(BASE, len);
	EXPECT_EQ(0, IN_CHILD(
		OR_DIE(!UPDATE(NULL, BASE, len));
		OR_DIE(vm_lck(0) == LIMIT && vm_pin(0) == LIMIT)));
	EXPECT_CHARGE(0);
	EXPECT_UNMAP(0, BASE, len, len);
	/* No user is left with a charge that nobody has */
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0, len,
				   MAP_FIX_RW, &iova));
}

/*
 * The program that replaces the one that made the mappings. Runs before main().
 */
static void __attribute__((constructor(101))) after_exec(void)
{
	const char *arg = getenv("IOMMU_TEST_EXEC");
	unsigned int hwpt, idev, ioas, again;
	__u64 len = LIMIT * 4096;
	int fd, file;
	void *va;

	if (!arg)
		return;
	OR_DIE(sscanf(arg, "%d %d %u %u %u", &fd, &file, &ioas, &idev, &hwpt) ==
	       5);
	page_size = sysconf(_SC_PAGESIZE);
	len = LIMIT * page_size;
	va = map_memfd(file, len);
	OR_DIE(va);
	OR_DIE(!vm_pin(0) && !vm_lck(0));
	OR_DIE(!mock_check_map(fd, hwpt, BASE, va, len));
	OR_DIE(hwpt_alloc(fd, idev, ioas, 0, &again) == EBUSY);
	OR_DIE(!update(fd, va, BASE, len));
	OR_DIE(vm_pin(0) == LIMIT && vm_lck(0) == LIMIT);
	OR_DIE(!hwpt_alloc(fd, idev, ioas, 0, &again));
	OR_DIE(!mock_check_map(fd, again, BASE, va, len));
	OR_DIE(!container_unmap(fd, BASE, &len) && len == LIMIT * page_size);
	OR_DIE(!vm_pin(0) && !vm_lck(0));
	_exit(0);
}

TEST_F(process, exec)
{
	char arg[100], *argv[] = { "exec", NULL }, *env[] = { arg, NULL };
	const __u64 len = LIMIT * PAGE;
	__u64 left;

	snprintf(arg, sizeof(arg), "IOMMU_TEST_EXEC=%d %d %u %u %u", self->fd,
		 self->file, self->ioas, self->dev.idev, self->dev.hwpt);
	EXPECT_EQ(0, IN_CHILD(
		left = len;
		OR_DIE(!MAP(self->buf, BASE, len));
		OR_DIE(!invalidate(self->fd, BASE, &left) && left == len);
		execve("/proc/self/exe", argv, env);
		OR_DIE(false)));
	EXPECT_EQ(0, check_unpinned(self->buf, len));
}

/*
 * Memory of a device, which is reached for as long as a process has it mapped
 */

FIXTURE(bar)
{
	int fd, bar;
	__u32 ioas, other, hwpt;
	struct mock_dev dev;
	void *va;
	size_t len;
};

static void *map_bar(int bar, size_t len)
{
	void *va = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, bar, 0);

	return va == MAP_FAILED ? NULL : va;
}

FIXTURE_SETUP(bar)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	self->len = 4 * PAGE;
	self->bar = bar_open(self->len);
	if (self->bar < 0)
		SKIP(return, "no BAR of %zu bytes that can be mapped",
		     self->len);
	self->va = map_bar(self->bar, self->len);
	ASSERT_NE(NULL, self->va);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, container_ioas(self->fd, IOMMU_VFIO_IOAS_SET,
				    &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->other, 0, &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &self->hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
}

FIXTURE_TEARDOWN(bar)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
	close(self->bar);
}

TEST_F(bar, moves)
{
	void *va = map_bar(self->bar, self->len);
	__u8 *ram = buf_alloc(self->len);

	ASSERT_NE(NULL, va);
	ASSERT_NE(NULL, ram);
	ASSERT_EQ(0, MAP(self->va, BASE, self->len));
	DROP(BASE, self->len);
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
	/* Not the same kind of memory, and nothing: it stays as it is */
	EXPECT_EQ(EFAULT, UPDATE(ram, BASE, self->len));
	EXPECT_EQ(EFAULT, UPDATE((void *)PAGE, BASE, self->len));
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
	EXPECT_EQ(EBUSY, mock_attach(self->fd, self->ioas, 0, &self->dev));
	/* The former address is there still, and does not count any more */
	ASSERT_EQ(0, UPDATE(va, BASE, self->len));
	EXPECT_UNITS_SOON(self->len, self->hwpt, BASE, self->len);
	ASSERT_EQ(0, munmap(self->va, self->len));
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
	DROP(BASE, self->len);
	ASSERT_EQ(0, munmap(va, self->len));
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	va = map_bar(self->bar, self->len);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, UPDATE(va, BASE, self->len));
	EXPECT_UNITS_SOON(self->len, self->hwpt, BASE, self->len);
	EXPECT_UNMAP(0, BASE, self->len, self->len);
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	munmap(ram, self->len);
}

TEST_F(bar, another_process)
{
	int out[2], in[2], status;
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(out));
	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, MAP(self->va, BASE, self->len));
	DROP(BASE, self->len);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		OR_DIE(!UPDATE(map_bar(self->bar, self->len), BASE, self->len));
		OR_DIE(write(out[1], &c, 1) == 1);
		OR_DIE(read(in[0], &c, 1) == 1);
		_exit(0);
	}
	ASSERT_EQ(1, read(out[0], &c, 1));
	ASSERT_EQ(0, munmap(self->va, self->len));
	EXPECT_UNITS_SOON(self->len, self->hwpt, BASE, self->len);
	ASSERT_EQ(1, write(in[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
}

/* A mapping that has both kinds of memory gets one address, all or nothing */
TEST_F(bar, mixed)
{
	const size_t len = 6 * PAGE;
	__u8 *va = buf_alloc(len), *alias;

	ASSERT_NE(NULL, va);
	alias = alias_of(va, len);
	ASSERT_NE(NULL, alias);
	ASSERT_EQ(va + 2 * PAGE,
		  mmap(va + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, self->bar, 0));
	ASSERT_EQ(0, MAP(va, BASE, len));
	ASSERT_EQ(0, MAP(va, BASE + len, PAGE));
	EXPECT_DROP(0, 0, 0, DMA_ALL, len + PAGE);
	/* Only memory, where there was a BAR as well */
	EXPECT_EQ(EFAULT, UPDATE(alias, BASE, len));
	EXPECT_EQ(EINVAL, UPDATE(va, BASE, len + PAGE));
	ASSERT_EQ(alias + 2 * PAGE,
		  mmap(alias + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, self->bar, 0));
	ASSERT_EQ(0, UPDATE(alias, BASE, len));
	ASSERT_EQ(0, munmap(va, len));
	EXPECT_UNITS_SOON(len, self->hwpt, BASE, len);
	EXPECT_EQ(5, vm_pin(0));
	EXPECT_EQ(EBUSY, mock_attach(self->fd, self->ioas, 0, &self->dev));
	ASSERT_EQ(0, UPDATE(alias, BASE + len, PAGE));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE + 4 * PAGE,
				    alias + 4 * PAGE, 2 * PAGE));
}

/* Only a part of what was mapped is left, and that is no source of its own */
TEST_F(bar, part)
{
	__u64 copy = BASE + self->len;

	ASSERT_EQ(0, MAP(self->va, BASE, self->len));
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas, self->ioas, BASE, PAGE,
			       MAP_FIX_RW, &copy));
	EXPECT_DROP(EBUSY, BASE, self->len, 0, self->len);
	EXPECT_UNMAP(0, BASE, self->len, self->len);
	EXPECT_DROP(EINVAL, copy, PAGE, 0, PAGE);
}

TEST_HARNESS_MAIN
