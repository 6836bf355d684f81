// SPDX-License-Identifier: GPL-2.0-only
/*
 * HWPT_ALLOC with every combination of flags and data, nested page tables and
 * the invalidation of their caches.
 */
#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 8
#define BASE ((__u64)MOCK_APERTURE_START)
#define NEST IOMMU_HWPT_ALLOC_NEST_PARENT
#define DIRTY IOMMU_HWPT_ALLOC_DIRTY_TRACKING
#define FAULT IOMMU_HWPT_FAULT_ID_VALID
#define PASID IOMMU_HWPT_ALLOC_PASID

FIXTURE(hwpt)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	struct mock_dev dev;
	__u32 fault;
	int fault_fd;
};

FIXTURE_SETUP(hwpt)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	ASSERT_EQ(0, fault_alloc(self->fd, &self->fault, &self->fault_fd));
}

FIXTURE_TEARDOWN(hwpt)
{
	EXPECT_EQ(0, close(self->fault_fd));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, NR * PAGE));
	EXPECT_EQ(0, vm_pin(0));
}

/* IDs in use by the fixture are 1 to 5; failures must not take the next */
#define EXPECT_NEXT_ID(want)                                                   \
	do {                                                                   \
		__u32 __id;                                                    \
		ASSERT_EQ(0, ioas_alloc(self->fd, &__id));                     \
		EXPECT_EQ(want, __id);                                         \
		ASSERT_EQ(0, iommu_destroy(self->fd, __id));                   \
	} while (0)

TEST_F(hwpt, flags_on_an_ioas)
{
	struct mock_dev plain;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas,
				 MOCK_FLAGS_DEVICE_NO_DIRTY, &plain));
	for (__u32 flags = 0; flags < 32; flags++) {
		for (int no_dirty = 0; no_dirty < 2; no_dirty++) {
			__u32 idev = no_dirty ? plain.idev : self->dev.idev;
			int want = 0;
			__u32 id;

			if (flags >= 16 || (no_dirty && flags & DIRTY) ||
			    (flags & FAULT && flags & NEST))
				want = EOPNOTSUPP;
			EXPECT_EQ(want, hwpt_alloc_data(self->fd, idev,
							self->ioas, flags,
							self->fault, 0, NULL, 0,
							&id))
				TH_LOG("flags %#x device %d", flags, no_dirty);
			if (!want)
				EXPECT_EQ(0, iommu_destroy(self->fd, id));
			/* A fault queue that is none */
			if (flags & FAULT && !want)
				EXPECT_EQ(ENOENT,
					  hwpt_alloc_data(self->fd, idev,
							  self->ioas, flags,
							  self->ioas, 0, NULL,
							  0, &id));
		}
	}
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
					 1U << 31, NULL));
	/* Without the flag the queue's ID does not count */
	EXPECT_EQ(0, hwpt_alloc_data(self->fd, self->dev.idev, self->ioas, 0,
				     BAD_ID, 0, NULL, 0, NULL));
}

TEST_F(hwpt, lookups)
{
	__u32 nested, parent, auto_hwpt = self->dev.hwpt;

	EXPECT_EQ(ENOENT, hwpt_alloc(self->fd, BAD_ID, self->ioas, 0, NULL));
	EXPECT_EQ(ENOENT, hwpt_alloc(self->fd, self->ioas, self->ioas, 0,
				     NULL));
	EXPECT_EQ(EINVAL, hwpt_alloc(self->fd, self->dev.idev, BAD_ID, 0,
				     NULL));
	EXPECT_EQ(EINVAL, hwpt_alloc(self->fd, self->dev.idev, self->dev.idev,
				     0, NULL));
	EXPECT_EQ(EINVAL, hwpt_alloc(self->fd, self->dev.idev, self->fault, 0,
				     NULL));
	/* Parents that are none */
	EXPECT_EQ(EINVAL, hwpt_alloc_nested(self->fd, self->dev.idev,
					    auto_hwpt, 0, 0, 0, NULL));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, DIRTY,
				&parent));
	EXPECT_EQ(EINVAL, hwpt_alloc_nested(self->fd, self->dev.idev, parent,
					    0, 0, 0, NULL));
	EXPECT_EQ(0, iommu_destroy(self->fd, parent));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, NEST,
				&parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, parent, 0, 0,
				       0, &nested));
	/* One level only */
	EXPECT_EQ(EINVAL, hwpt_alloc_nested(self->fd, self->dev.idev, nested,
					    0, 0, 0, NULL));
	EXPECT_NEXT_ID(nested + 1);
}

TEST_F(hwpt, user_data)
{
	struct iommu_hwpt_selftest huge = {
		.pagetable_type = MOCK_IOMMUPT_HUGE,
	}, bad = { .pagetable_type = 7 };
	struct {
		__u32 type;
		const void *data;
		__u32 len;
		int rc;
	} t[] = {
		{ IOMMU_HWPT_DATA_NONE, &huge, 8, EINVAL },
		{ IOMMU_HWPT_DATA_NONE, NULL, 8, EINVAL },
		{ IOMMU_HWPT_DATA_SELFTEST, &huge, 0, EINVAL },
		{ IOMMU_HWPT_DATA_SELFTEST, &huge, 3, EINVAL },
		{ IOMMU_HWPT_DATA_SELFTEST, &huge, 4, 0 },
		{ IOMMU_HWPT_DATA_SELFTEST, &huge, 8, 0 },
		{ IOMMU_HWPT_DATA_SELFTEST, NULL, 8, EFAULT },
		{ IOMMU_HWPT_DATA_SELFTEST, &bad, 8, EOPNOTSUPP },
		{ IOMMU_HWPT_DATA_VTD_S1, &huge, 8, EOPNOTSUPP },
		{ IOMMU_HWPT_DATA_NONE, &huge, 0, 0 },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		__u32 id;

		EXPECT_EQ(t[i].rc, hwpt_alloc_data(self->fd, self->dev.idev,
						   self->ioas, 0, 0, t[i].type,
						   t[i].data, t[i].len, &id))
			TH_LOG("entry %u", i);
		if (!t[i].rc)
			EXPECT_EQ(0, iommu_destroy(self->fd, id));
	}
	EXPECT_NEXT_ID(6);
}

/* The structure as it was first published ends before the data */
TEST_F(hwpt, smallest_structure)
{
	struct iommu_hwpt_alloc cmd = {
		.size = 24,
		.dev_id = self->dev.idev,
		.pt_id = self->ioas,
		/* Not part of it */
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.fault_id = BAD_ID,
	};

	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_EQ(6, cmd.out_hwpt_id);
	cmd.__reserved = 1;
	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_HWPT_ALLOC, &cmd));
}

TEST_F(hwpt, reply_unwritable)
{
	struct iommu_hwpt_alloc *cmd;

	cmd = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	*cmd = (struct iommu_hwpt_alloc){
		.size = sizeof(*cmd),
		.flags = FAULT,
		.dev_id = self->dev.idev,
		.pt_id = self->ioas,
		.fault_id = self->fault,
	};
	ASSERT_EQ(0, mprotect(cmd, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, IOMMU_HWPT_ALLOC, cmd));
	EXPECT_NEXT_ID(6);
	/* The fault queue was let go as well */
	close(self->fault_fd);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->fault));
	self->fault_fd = dup(0);
	munmap(cmd, PAGE);
}

/* Made on an IOAS with mappings it has them, without any device */
TEST_F(hwpt, loads_the_ioas)
{
	__u32 ioas, hwpt;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, NR * PAGE, BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, ioas, 0, &hwpt));
	EXPECT_EQ(0, mock_check_map(self->fd, hwpt, BASE, self->buf,
				    NR * PAGE));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE, 1));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, PAGE,
				 BASE + NR * PAGE));
	EXPECT_EQ(0, mock_check_map(self->fd, hwpt, BASE + NR * PAGE,
				    self->buf, PAGE));
	ASSERT_EQ(0, iommu_destroy(self->fd, hwpt));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE, 0));
	/* Conflicts, and no trace of them */
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, PAGE, 0));
	EXPECT_EQ(EADDRINUSE, hwpt_alloc(self->fd, self->dev.idev, ioas, 0,
					 &hwpt));
	ASSERT_EQ(0, ioas_unmap(self->fd, ioas, 0, PAGE, NULL));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, NULL, PAGE,
				 BASE + 2 * NR * PAGE));
	EXPECT_EQ(EFAULT, hwpt_alloc(self->fd, self->dev.idev, ioas, 0,
				     &hwpt));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE, 0));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas));
}

/* The other kind of page table: wide, and no smaller than pages */
TEST_F(hwpt, huge_page_table)
{
	struct iommu_iova_range r[2];
	__u32 ioas, hwpt, num = 2;
	__u64 align;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, MOCK_PAGE_SIZE,
				 0));
	EXPECT_EQ(EADDRINUSE, hwpt_alloc_huge(self->fd, self->dev.idev, ioas,
					      0, &hwpt));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, ioas, NULL));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, NR * PAGE, 0));
	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, self->dev.idev, ioas, 0,
				     &hwpt));
	EXPECT_EQ(0, mock_check_map(self->fd, hwpt, 0, self->buf, NR * PAGE));
	ASSERT_EQ(0, ioas_ranges(self->fd, ioas, r, &num, &align));
	EXPECT_EQ(1, num);
	EXPECT_EQ(0, r[0].start);
	EXPECT_EQ((1ULL << 38) - 1, r[0].last);
	EXPECT_EQ(PAGE, align);
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, ioas, self->buf,
				      MOCK_PAGE_SIZE, BASE));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, ioas, self->buf, PAGE,
				      1ULL << 38));
	EXPECT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, PAGE,
				 (1ULL << 38) - PAGE));
	/* The two kinds side by side */
	EXPECT_EQ(EADDRINUSE, hwpt_alloc(self->fd, self->dev.idev, ioas, 0,
					 NULL));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, ioas, NULL));
	EXPECT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, ioas, 0, NULL));
}

TEST_F(hwpt, nested)
{
	struct iommu_hwpt_selftest data = { .iotlb = 5 };
	__u32 parent, a, b, fault_hwpt, pt;
	__u64 unmapped;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, NEST,
				&parent));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	EXPECT_EQ(0, mock_check_map(self->fd, parent, BASE, self->buf, PAGE));

	/* Flags, then data */
	for (__u32 flags = 0; flags < 32; flags++) {
		int want = flags & ~(FAULT | PASID) ? EOPNOTSUPP : 0;

		EXPECT_EQ(want, hwpt_alloc_nested(self->fd, self->dev.idev,
						  parent, flags, self->fault,
						  0, &a))
			TH_LOG("flags %#x", flags);
		if (!want)
			EXPECT_EQ(0, iommu_destroy(self->fd, a));
	}
	EXPECT_EQ(ENOENT, hwpt_alloc_nested(self->fd, self->dev.idev, parent,
					    FAULT, BAD_ID, 0, NULL));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc(self->fd, self->dev.idev, parent, 0,
					 NULL));
	EXPECT_EQ(EINVAL, hwpt_alloc_data(self->fd, self->dev.idev, parent, 0,
					  0, IOMMU_HWPT_DATA_NONE, &data, 8,
					  NULL));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc_data(self->fd, self->dev.idev, parent,
					      0, 0, IOMMU_HWPT_DATA_VTD_S1,
					      &data, 8, NULL));
	EXPECT_EQ(EINVAL, hwpt_alloc_data(self->fd, self->dev.idev, parent, 0,
					  0, IOMMU_HWPT_DATA_SELFTEST, &data,
					  3, NULL));
	EXPECT_EQ(EFAULT, hwpt_alloc_data(self->fd, self->dev.idev, parent, 0,
					  0, IOMMU_HWPT_DATA_SELFTEST, NULL, 8,
					  NULL));

	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, parent, 0, 0,
				       0xa, &a));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, parent, 0, 0,
				       0xb, &b));
	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, a, 0xa));
	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, b, 0xb));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, parent));

	/* Attached, it is busy; the others are not */
	pt = a;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->dev.stdev, 0, a));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, a));
	pt = b;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, b));
	EXPECT_EQ(0, iommu_destroy(self->fd, a));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, parent, FAULT,
				       self->fault, 0, &fault_hwpt));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->fault));
	pt = fault_hwpt;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_EQ(0, iommu_destroy(self->fd, b));
	/* Memory stays reachable for stage 2 as before */
	EXPECT_EQ(0, mock_check_map(self->fd, parent, BASE, self->buf, PAGE));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	pt = parent;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_EQ(0, iommu_destroy(self->fd, fault_hwpt));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, parent));
	pt = self->ioas;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_EQ(0, iommu_destroy(self->fd, parent));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(PAGE, unmapped);
}

/*
 * HWPT_INVALIDATE on a nested page table: what is done, and the count of it.
 */
FIXTURE(inv)
{
	int fd;
	__u32 ioas, parent, nested;
	struct mock_dev dev;
};

FIXTURE_SETUP(inv)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, NEST,
				&self->parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, self->parent,
				       0, 0, IOMMU_TEST_IOTLB_DEFAULT,
				       &self->nested));
}

FIXTURE_TEARDOWN(inv)
{
	EXPECT_EQ(0, close(self->fd));
}

#define TYPE IOMMU_HWPT_INVALIDATE_DATA_SELFTEST
#define ENTRY sizeof(struct iommu_hwpt_invalidate_selftest)
#define EXPECT_INV(want, want_num, id, type, ptr, len, n)                      \
	do {                                                                   \
		__u32 __n = (n);                                               \
		EXPECT_EQ(want, hwpt_invalidate(self->fd, id, type, ptr, len,  \
						&__n));                        \
		EXPECT_EQ(want_num, __n);                                      \
	} while (0)

TEST_F(inv, errors)
{
	struct iommu_hwpt_invalidate_selftest e[2] = {};
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = self->nested,
		.data_type = TYPE,
		.__reserved = 1,
	};

	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_HWPT_INVALIDATE,
					&cmd));
	EXPECT_INV(ENOENT, 0, BAD_ID, TYPE, e, ENTRY, 1);
	EXPECT_INV(EINVAL, 0, self->parent, TYPE, e, ENTRY, 1);
	EXPECT_INV(EINVAL, 0, self->ioas, TYPE, e, ENTRY, 1);
	EXPECT_INV(EINVAL, 0, self->nested, TYPE, NULL, ENTRY, 1);
	EXPECT_INV(EINVAL, 0, self->nested, TYPE, e, 0, 1);
	EXPECT_INV(EINVAL, 0, self->nested, TYPE, e, PAGE + 1, 1);
	EXPECT_INV(EINVAL, 0, self->nested, TYPE, e, ENTRY, (1 << 19) + 1);
	EXPECT_INV(EINVAL, 0, self->nested, TYPE, e, ENTRY + 1, 1);
	EXPECT_INV(EINVAL, 0, self->nested, TYPE, e, 1, 1);
	EXPECT_INV(EINVAL, 0, self->nested,
		   IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID, e, ENTRY, 1);
	EXPECT_INV(EFAULT, 0, self->nested, TYPE, (void *)8, ENTRY, 1);
	/* Is the type known? No entries, nothing to look at */
	EXPECT_INV(0, 0, self->nested, TYPE, NULL, 0, 0);
	EXPECT_INV(0, 0, self->nested, TYPE, NULL, PAGE + 1, 0);
	EXPECT_INV(EINVAL, 0, self->nested,
		   IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID, NULL, 0, 0);
	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, self->nested,
					  IOMMU_TEST_IOTLB_DEFAULT));
}

TEST_F(inv, partial_completion)
{
	struct iommu_hwpt_invalidate_selftest e[4] = {
		{ .iotlb_id = 0 }, { .iotlb_id = 2 },
		{ .flags = 4, .iotlb_id = 1 }, { .iotlb_id = 3 },
	};
	__u8 *map;

	EXPECT_INV(EOPNOTSUPP, 2, self->nested, TYPE, e, ENTRY, 4);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, mock_check_iotlb(self->fd, self->nested, i,
					      i == 0 || i == 2 ? 0 :
					      IOMMU_TEST_IOTLB_DEFAULT));
	/* The caller goes on behind the bad one */
	EXPECT_INV(0, 1, self->nested, TYPE, &e[3], ENTRY, 1);
	EXPECT_EQ(0, mock_check_iotlb(self->fd, self->nested, 3, 0));
	EXPECT_EQ(0, mock_check_iotlb(self->fd, self->nested, 1,
				      IOMMU_TEST_IOTLB_DEFAULT));
	/* A bad first entry, also where ALL would make it unnecessary */
	e[0] = (struct iommu_hwpt_invalidate_selftest){
		.flags = IOMMU_TEST_INVALIDATE_FLAG_ALL, .iotlb_id = 4,
	};
	EXPECT_INV(EINVAL, 0, self->nested, TYPE, e, ENTRY, 2);
	EXPECT_EQ(0, mock_check_iotlb(self->fd, self->nested, 1,
				      IOMMU_TEST_IOTLB_DEFAULT));
	/* An unreadable second entry */
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + PAGE, PAGE));
	e[0] = (struct iommu_hwpt_invalidate_selftest){ .iotlb_id = 1 };
	memcpy(map + PAGE - ENTRY, &e[0], ENTRY);
	EXPECT_INV(EFAULT, 1, self->nested, TYPE, map + PAGE - ENTRY, ENTRY,
		   2);
	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, self->nested, 0));
	munmap(map, PAGE);
}

TEST_F(inv, all)
{
	struct iommu_hwpt_invalidate_selftest e = {
		.flags = IOMMU_TEST_INVALIDATE_FLAG_ALL,
	};

	EXPECT_INV(0, 1, self->nested, TYPE, &e, ENTRY, 1);
	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, self->nested, 0));
}

/* The count is part of the answer; one that cannot be written is no answer */
TEST_F(inv, reply_unwritable)
{
	struct iommu_hwpt_invalidate_selftest e = { .iotlb_id = 0 };
	struct iommu_hwpt_invalidate *cmd;

	cmd = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	*cmd = (struct iommu_hwpt_invalidate){
		.size = sizeof(*cmd),
		.hwpt_id = self->nested,
		.data_uptr = (uintptr_t)&e,
		.data_type = TYPE,
		.entry_len = ENTRY,
		.entry_num = 1,
	};
	ASSERT_EQ(0, mprotect(cmd, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, IOMMU_HWPT_INVALIDATE, cmd));
	munmap(cmd, PAGE);
}

TEST_HARNESS_MAIN
