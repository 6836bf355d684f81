/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the iommufd tests share: one thin function per ioctl and per operation
 * of the mock, and ways to look at the process' memory accounting.
 *
 * Unless said otherwise a function returns 0 or a positive errno, so that a
 * success and an expected failure read alike:
 *
 *	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
 *	EXPECT_EQ(ENOENT, iommu_destroy(fd, 0));
 *
 * Nothing here asserts or prints. IDs, sizes and counts are those of the
 * ioctls; a pointer to an output may be NULL.
 */
#ifndef __IOMMU_UTILS_H
#define __IOMMU_UTILS_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include "iommufd_test.h"
#include "sysfs.h"

#define MAP_R	IOMMU_IOAS_MAP_READABLE
#define MAP_W	IOMMU_IOAS_MAP_WRITEABLE
#define MAP_FIX	IOMMU_IOAS_MAP_FIXED_IOVA
#define MAP_RW	(MAP_R | MAP_W)
#define MAP_FIX_RW (MAP_RW | MAP_FIX)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* An ID nobody has: tests make a few hundred objects at most */
#define BAD_ID	0x7ffffff0u

/* Nothing is ever mapped there, and no compiler knows */
void *bad_ptr(void);
#define BAD_PTR bad_ptr()

/* Bytes, of this machine */
extern size_t page_size;
/* Bytes, size of a page of hugetlb by default; 0 when the kernel has none */
extern size_t huge_size;
/* Bytes, size of a transparent huge page; 0 when the kernel has none */
extern size_t thp_size;
/* With pages of 64 KiB they are of 512 MiB, which a VM has none of */
#define SKIP_WITHOUT_THP()                                                     \
	do {                                                                   \
		if (!thp_size)                                                 \
			SKIP(return, "kernel without transparent huge pages"); \
		if (thp_size > 32 << 20)                                       \
			SKIP(return, "transparent huge pages are of %zu MiB",  \
			     thp_size >> 20);                                  \
	} while (0)

#define PAGE page_size

/* A descriptor, or -1 with errno set */
int iommu_open(void);
/* True if the descriptor takes IOMMU_TEST_CMD */
bool has_mock(int fd);

/*
 * To be used in a test or FIXTURE_SETUP(): leave a descriptor in @fd, or skip
 * and say why.
 */
#define OPEN_OR_SKIP(fd)                                                       \
	do {                                                                   \
		(fd) = iommu_open();                                           \
		if ((fd) < 0 && (errno == ENOENT || errno == ENXIO ||          \
				 errno == EACCES))                             \
			SKIP(return, "cannot open /dev/iommu: %s",             \
			     strerror(errno));                                 \
		ASSERT_LE(0, fd);                                              \
	} while (0)

#define OPEN_MOCK_OR_SKIP(fd)                                                  \
	do {                                                                   \
		OPEN_OR_SKIP(fd);                                              \
		if (!has_mock(fd))                                             \
			SKIP(return, "kernel without CONFIG_IOMMUFD_TEST");    \
	} while (0)

/*
 * A fixture with the data, the setup and the teardown of @base, for tests that
 * not every variant of @base can have. Add the variants that can.
 */
#define FIXTURE_LIKE(name, base)                                               \
	FIXTURE(name)                                                          \
	{                                                                      \
		FIXTURE_DATA(base);                                            \
	};                                                                     \
	FIXTURE_VARIANT(name)                                                  \
	{                                                                      \
		FIXTURE_VARIANT(base);                                         \
	};                                                                     \
	/* A pointer to one is a pointer to the other, too */                  \
	static_assert(sizeof(FIXTURE_DATA(name)) ==                            \
		      sizeof(FIXTURE_DATA(base)), #name);                      \
	FIXTURE_SETUP(name)                                                    \
	{                                                                      \
		base##_setup(_metadata, (void *)self, (void *)variant);        \
	}                                                                      \
	FIXTURE_TEARDOWN(name)                                                 \
	{                                                                      \
		base##_teardown(_metadata, (void *)self, (void *)variant);     \
	}

/* The core ioctls */
int iommu_cmd(int fd, unsigned int cmd, void *arg);
int iommu_destroy(int fd, __u32 id);
int ioas_alloc(int fd, __u32 *id);
int ioas_map(int fd, __u32 ioas, const void *va, __u64 length, __u32 flags,
	     __u64 *iova);
int ioas_map_at(int fd, __u32 ioas, const void *va, __u64 length, __u64 iova);
int ioas_map_file(int fd, __u32 ioas, int file, __u64 start, __u64 length,
		  __u32 flags, __u64 *iova);
int ioas_copy(int fd, __u32 dst_ioas, __u32 src_ioas, __u64 src_iova,
	      __u64 length, __u32 flags, __u64 *dst_iova);
int ioas_unmap(int fd, __u32 ioas, __u64 iova, __u64 length, __u64 *unmapped);
int ioas_unmap_all(int fd, __u32 ioas, __u64 *unmapped);
int ioas_ranges(int fd, __u32 ioas, struct iommu_iova_range *ranges,
		__u32 *num, __u64 *alignment);
int ioas_allow(int fd, __u32 ioas, const struct iommu_iova_range *ranges,
	       __u32 num);
int ioas_change_process(int fd);
int option_get(int fd, __u32 option, __u32 object, __u64 *val);
int option_set(int fd, __u32 option, __u32 object, __u64 val);
int hwpt_alloc(int fd, __u32 dev, __u32 pt, __u32 flags, __u32 *hwpt);
int hwpt_alloc_data(int fd, __u32 dev, __u32 pt, __u32 flags, __u32 fault,
		    __u32 data_type, const void *data, __u32 data_len,
		    __u32 *hwpt);
/* With the mock's data: IOTLB word @iotlb; @fault counts if the flag is set */
int hwpt_alloc_nested(int fd, __u32 dev, __u32 pt, __u32 flags, __u32 fault,
		      __u32 iotlb, __u32 *hwpt);
/* A paging HWPT with the mock's page table of huge entries */
int hwpt_alloc_huge(int fd, __u32 dev, __u32 pt, __u32 flags, __u32 *hwpt);
int hwpt_invalidate(int fd, __u32 id, __u32 type, const void *entries,
		    __u32 entry_len, __u32 *entry_num);
int hwpt_set_dirty(int fd, __u32 hwpt, bool enable);
int hwpt_get_dirty(int fd, __u32 hwpt, __u32 flags, __u64 iova, __u64 length,
		   __u64 unit, void *bitmap);
int fault_alloc(int fd, __u32 *id, int *file);
int viommu_alloc(int fd, __u32 dev, __u32 hwpt, __u32 type, void *data,
		 __u32 data_len, __u32 *id);
int vdevice_alloc(int fd, __u32 viommu, __u32 dev, __u64 virt_id, __u32 *id);
int veventq_alloc(int fd, __u32 viommu, __u32 type, __u32 depth, __u32 *id,
		  int *file);
int hw_queue_alloc(int fd, __u32 viommu, __u32 type, __u32 index, __u64 iova,
		   __u64 length, __u32 *id);

/* The mock's operations */
struct mock_dev {
	__u32 stdev;	/* owner of the device; destroy this one */
	__u32 hwpt;	/* what it was attached to */
	__u32 idev;	/* the bound device */
};

/* What MOCK_DEVICE makes; a reserved region if the type says so */
struct mock_config {
	__u32 flags;	/* MOCK_FLAGS_DEVICE_* */
	__u32 sibling;	/* stdev of the same group, or 0 */
	__u32 resv;	/* MOCK_RESV_* */
	__u64 start, length;
};

int mock_attach(int fd, __u32 pt, __u32 dev_flags, struct mock_dev *dev);
/* @pt 0 leaves it bound and not attached */
int mock_device(int fd, __u32 pt, const struct mock_config *config,
		struct mock_dev *dev);
int mock_bind_again(int fd, __u32 stdev);
/* @pt is an input, and the HWPT in use afterwards */
int mock_replace(int fd, __u32 stdev, __u32 *pt);
int mock_pasid_attach(int fd, __u32 stdev, __u32 pasid, __u32 *pt);
int mock_pasid_replace(int fd, __u32 stdev, __u32 pasid, __u32 *pt);
int mock_pasid_detach(int fd, __u32 stdev, __u32 pasid);
/* 0 if that HWPT, or for hwpt 0 nothing, is what the PASID translates by */
int mock_pasid_check(int fd, __u32 stdev, __u32 pasid, __u32 hwpt);
int mock_reserve(int fd, __u32 ioas, __u64 start, __u64 length);
/* 0 if the HWPT translates the range to the pages at @va; EINVAL if not */
int mock_check_map(int fd, __u32 hwpt, __u64 iova, const void *va,
		   __u64 length);
/* 0 if each page is pinned @pins times; EIO if not. Skips huge pages. */
int mock_check_pins(int fd, const void *va, __u64 length, __u32 pins);
int mock_memory_limit(int fd, __u32 limit);
int mock_check_iotlb(int fd, __u32 hwpt, __u32 index, __u32 val);
int mock_check_iotlb_all(int fd, __u32 hwpt, __u32 val);
int mock_check_cache(int fd, __u32 idev, __u32 index, __u32 val);
int mock_check_cache_all(int fd, __u32 idev, __u32 val);
int mock_dirty(int fd, __u32 hwpt, __u64 iova, __u64 length, __u64 unit,
	       const void *bitmap, __u64 *nr);
/* How many mapped units the range has; only for a HWPT with dirty tracking on */
int mock_count_mapped(int fd, __u32 hwpt, __u64 iova, __u64 length,
		      unsigned int *units);
int mock_iopf(int fd, __u32 idev, __u32 pasid, __u32 grpid, __u32 perm,
	      __u64 addr);
int mock_vevent(int fd, __u32 idev);
int mock_dmabuf_revoke(int fd, int dmabuf, bool revoked);
/* A descriptor, or -1 with errno set */
int mock_dmabuf_get(int fd, __u32 length);

int access_create(int fd, __u32 ioas, __u32 flags, int *file);
int access_pin(int fd, int access, __u64 iova, __u64 length, const void *va,
	       __u32 flags, __u32 *item);
int access_unpin(int fd, int access, __u32 item);
int access_rw(int fd, int access, __u64 iova, void *va, __u64 length,
	      __u32 flags);
int access_replace(int fd, int access, __u32 ioas);

/*
 * Zeroed memory of small pages, whose pins mock_check_pins() can count and
 * which a forked child shares. NULL on failure.
 */
void *buf_alloc(size_t length);
/* Private memory of small pages */
void *buf_alloc_private(size_t length);
/* One page over and over, so that no two neighbours are physically contiguous */
void *buf_alloc_scattered(size_t length);
/* Memory of PMD huge pages from hugetlbfs, or NULL when none are reserved */
void *buf_alloc_hugetlb(size_t length);
/* Whether the kernel knows, beside what page tables say, that it was written to */
int page_is_dirty(const void *va, bool *dirty);
/* Bytes that huge page table entries map, of the VMA at that address */
size_t huge_mapped(const void *va);
/* The file in sysfs of a memory BAR of at least that many bytes, or -1 */
int bar_open(size_t length);
/* A memfd of that size, or -1. @flags as of memfd_create() */
int memfd_of(size_t length, unsigned int flags);

/* Pages of VmPin and VmLck of a process; 0 for oneself. -1 on failure. */
long vm_pin(int pid);
long vm_lck(int pid);
/* Drop a capability (CAP_IPC_LOCK, ...) for good from the calling thread */
int cap_drop(int cap);
bool cap_have(int cap);
int memlock_limit_set(__u64 bytes);

/*
 * What /proc/self/fdinfo has for a descriptor. The value of a key is ENOENT when
 * it is not there; the name of the key is a format with its arguments.
 */
int fdinfo_read(int fd, char *buf, size_t len);
int fdinfo_get(int fd, char *val, size_t len, const char *key, ...)
	__attribute__((format(printf, 4, 5)));
/* The same for a number; ~0 if it is not one */
__u64 fdinfo_number(int fd, const char *key, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether the kernel's log, as far as it is kept, has a line with both in it */
bool kmsg_has(const char *text, const char *more);

/* The number that a file of sysfs or debugfs has */
int read_number(const char *path, unsigned long *val);
/* What /proc/vmstat has; counts of the whole machine */
int vmstat_read(const char *name, unsigned long *val);
/*
 * How many more page tables the machine has after 4 MiB have been mapped in small
 * pages, and unmapped, so many times
 */
int tables_left(int fd, __u32 ioas, __u64 iova, unsigned int rounds, long *left);
/* The choice in brackets, of all that its line offers. False if there is none. */
bool read_choice(const char *path, char *choice, size_t len);

/* A fresh context says: no page there is pinned. */
int check_unpinned(const void *va, size_t length);

/* The repeatable generator of the random tests */
static inline __u64 rnd(__u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * That many bytes of the range are translated. In a fixture with the descriptor fd
 * in it; the HWPT has dirty tracking on.
 */
#define EXPECT_UNITS(want, hwpt, iova, len)                                    \
	do {                                                                   \
		unsigned int __n = 0;                                          \
		EXPECT_EQ(0, mock_count_mapped(self->fd, hwpt, iova, len,      \
					       &__n));                         \
		EXPECT_EQ((want) / MOCK_PAGE_SIZE, __n);                       \
	} while (0)

/* The kernel gets to it by itself, within a few seconds at most */
#define EXPECT_UNITS_SOON(want, hwpt, iova, len)                               \
	do {                                                                   \
		unsigned int __soon = 0;                                       \
		for (int __try = 0; __try < 1000; __try++) {                   \
			ASSERT_EQ(0, mock_count_mapped(self->fd, hwpt, iova,   \
						       len, &__soon));         \
			if (__soon == (want) / MOCK_PAGE_SIZE)                 \
				break;                                         \
			usleep(10000);                                         \
		}                                                              \
		EXPECT_EQ((want) / MOCK_PAGE_SIZE, __soon);                    \
	} while (0)

/* From TEST_SEED, or the clock; never 0. Print it. */
__u64 rnd_seed(void);

static inline bool bit_get(const void *bitmap, size_t i)
{
	return ((const __u8 *)bitmap)[i / 8] >> (i % 8) & 1;
}

static inline void bit_set(void *bitmap, size_t i)
{
	((__u8 *)bitmap)[i / 8] |= 1 << (i % 8);
}

#endif
