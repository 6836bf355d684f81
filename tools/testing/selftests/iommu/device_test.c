// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bound devices: attach, replace and detach for the RID and for PASIDs, the
 * automatic page tables that come and go with it, and GET_HW_INFO.
 */
#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 8
#define BASE ((__u64)MOCK_APERTURE_START)

FIXTURE(device)
{
	int fd;
	__u32 ioas, ioas2;
	__u8 *buf;
	struct mock_dev dev;
};

FIXTURE_SETUP(device)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas2));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &self->dev));
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, NR * PAGE));
	EXPECT_EQ(0, vm_pin(0));
}

#define EXPECT_ATTACHED(pasid, hwpt) \
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->dev.stdev, pasid, hwpt))
#define EXPECT_PINS(want) \
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE, want))

TEST_F(device, attach_errors)
{
	__u32 id;

	EXPECT_EQ(ENOENT, mock_attach(self->fd, BAD_ID, 0, NULL));
	EXPECT_EQ(ENOENT, mock_attach(self->fd, 0, 0, NULL));
	EXPECT_EQ(EINVAL, mock_attach(self->fd, self->dev.idev, 0, NULL));
	EXPECT_EQ(EINVAL, mock_attach(self->fd, self->ioas, 2, NULL));
	EXPECT_EQ(EINVAL, mock_attach(self->fd, self->ioas, 8, NULL));
	/* No ID was used up: ioas 1, ioas2 2, dev 3 to 5 */
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(6, id);
}

/* Devices on an IOAS share a page table that they take with them */
TEST_F(device, automatic_hwpt)
{
	struct mock_dev a, b;
	__u32 manual;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &a));
	EXPECT_EQ(self->dev.hwpt, a.hwpt);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, a.hwpt));
	/* One made by hand is never chosen */
	ASSERT_EQ(0, hwpt_alloc(self->fd, a.idev, self->ioas, 0, &manual));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &b));
	EXPECT_EQ(a.hwpt, b.hwpt);
	EXPECT_NE(manual, b.hwpt);
	EXPECT_EQ(0, iommu_destroy(self->fd, a.stdev));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
	EXPECT_EQ(0, mock_check_map(self->fd, b.hwpt, BASE, self->buf,
				    NR * PAGE));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, b.hwpt));
	EXPECT_EQ(0, iommu_destroy(self->fd, b.stdev));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, b.hwpt));
	/* That one stays, and keeps the memory */
	EXPECT_EQ(0, mock_check_map(self->fd, manual, BASE, self->buf,
				    NR * PAGE));
	EXPECT_PINS(1);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, iommu_destroy(self->fd, manual));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

/* The ID of an automatic page table is as good as any */
TEST_F(device, attach_to_automatic_hwpt)
{
	struct mock_dev a;

	ASSERT_EQ(0, mock_attach(self->fd, self->dev.hwpt, 0, &a));
	EXPECT_EQ(self->dev.hwpt, a.hwpt);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
	EXPECT_EQ(0, mock_check_map(self->fd, a.hwpt, BASE, self->buf,
				    NR * PAGE));
	EXPECT_EQ(0, iommu_destroy(self->fd, a.stdev));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, a.hwpt));
	EXPECT_PINS(0);
}

/* One that a device cannot use is passed over */
TEST_F(device, incompatible_hwpt)
{
	struct mock_dev plain;
	__u32 dirty;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty));
	EXPECT_EQ(EINVAL, mock_attach(self->fd, dirty,
				      MOCK_FLAGS_DEVICE_NO_DIRTY, NULL));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas,
				 MOCK_FLAGS_DEVICE_NO_DIRTY, &plain));
	EXPECT_EQ(self->dev.hwpt, plain.hwpt);
	EXPECT_EQ(EINVAL, mock_replace(self->fd, plain.stdev, &dirty));
	EXPECT_EQ(0, mock_pasid_check(self->fd, plain.stdev, 0, plain.hwpt));
}

TEST_F(device, replace)
{
	__u32 pt = self->ioas2, old = self->dev.hwpt, manual;

	/* To another IOAS: the old page table goes, its memory is let go */
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_NE(self->ioas2, pt);
	EXPECT_ATTACHED(0, pt);
	EXPECT_EQ(pt == old ? EBUSY : ENOENT, iommu_destroy(self->fd, old));
	EXPECT_PINS(0);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));

	/* Replacing by the same, by either name, does nothing */
	old = pt;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_EQ(old, pt);
	pt = self->ioas2;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_EQ(old, pt);

	/* To a page table by hand and back */
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas2, 0,
				&manual));
	pt = manual;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_EQ(manual, pt);
	EXPECT_ATTACHED(0, manual);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, old));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, manual));
	pt = self->ioas2;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	EXPECT_NE(manual, pt);
	EXPECT_EQ(0, iommu_destroy(self->fd, manual));
}

TEST_F(device, replace_errors)
{
	__u32 pt = BAD_ID, num = 4;
	struct iommu_iova_range r[4];

	EXPECT_EQ(ENOENT, mock_replace(self->fd, self->dev.stdev, &pt));
	pt = self->dev.idev;
	EXPECT_EQ(EINVAL, mock_replace(self->fd, self->dev.stdev, &pt));
	pt = self->ioas;
	EXPECT_EQ(ENOENT, mock_replace(self->fd, BAD_ID, &pt));
	EXPECT_EQ(ENOENT, mock_replace(self->fd, self->dev.idev, &pt));

	/* An IOAS that cannot be: mappings outside the aperture */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas2, self->buf, PAGE, 0));
	pt = self->ioas2;
	EXPECT_EQ(EADDRINUSE, mock_replace(self->fd, self->dev.stdev, &pt));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas2, NULL));
	/* or memory that is not there */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas2, NULL, PAGE, BASE));
	pt = self->ioas2;
	EXPECT_EQ(EFAULT, mock_replace(self->fd, self->dev.stdev, &pt));

	/* All is as it was */
	EXPECT_ATTACHED(0, self->dev.hwpt);
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE, self->buf,
				    NR * PAGE));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	ASSERT_EQ(0, ioas_ranges(self->fd, self->ioas, r, &num, NULL));
	EXPECT_EQ(1, num);
	EXPECT_EQ(BASE, r[0].start);
	EXPECT_EQ(MOCK_APERTURE_LAST, r[0].last);
	num = 4;
	ASSERT_EQ(0, ioas_ranges(self->fd, self->ioas2, r, &num, NULL));
	EXPECT_EQ(1, num);
	EXPECT_EQ(0, r[0].start);
	EXPECT_EQ(ULONG_MAX, r[0].last);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas2));
}

/* Attach that fails half way leaves neither device nor page table */
TEST_F(device, attach_fails)
{
	struct mock_dev dev;
	__u32 id;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas2, self->buf, PAGE, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas2, NULL, PAGE,
				 BASE + PAGE));
	EXPECT_EQ(EFAULT, mock_attach(self->fd, self->ioas2, 0, &dev));
	EXPECT_PINS(1);
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(6, id);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas2, BASE + PAGE, PAGE,
				NULL));
	EXPECT_EQ(0, mock_attach(self->fd, self->ioas2, 0, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->buf,
				    PAGE));
}

/* Everything left attached when the descriptor is closed */
TEST_F(device, close_in_any_state)
{
	__u32 pt, parent, nested;
	struct mock_dev dev;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, parent, 0, 0,
				       0, &nested));
	ASSERT_EQ(0, mock_attach(self->fd, nested, 0, &dev));
	pt = nested;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &pt));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas2, 0, &dev));
	ASSERT_EQ(0, mock_attach(self->fd, parent, 0, &dev));
	EXPECT_PINS(1);
}

static int hw_info(int fd, struct iommu_hw_info *cmd)
{
	cmd->size = sizeof(*cmd);
	return iommu_cmd(fd, IOMMU_GET_HW_INFO, cmd);
}

TEST_F(device, hw_info)
{
	struct iommu_test_hw_info info = {};
	struct iommu_hw_info cmd = {
		.dev_id = self->dev.idev,
		.data_len = sizeof(info),
		.data_uptr = (uintptr_t)&info,
		.out_capabilities = 0xff00,
	};
	struct mock_dev plain;

	ASSERT_EQ(0, hw_info(self->fd, &cmd));
	EXPECT_EQ(sizeof(info), cmd.data_len);
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, cmd.out_data_type);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(IOMMU_HW_INFO_SELFTEST_REGVAL, info.test_reg);
	EXPECT_EQ(MOCK_PASID_WIDTH, cmd.out_max_pasid_log2);
	EXPECT_EQ(IOMMU_HW_CAP_DIRTY_TRACKING |
		  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, cmd.out_capabilities);

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas,
				 MOCK_FLAGS_DEVICE_NO_DIRTY, &plain));
	cmd.dev_id = plain.idev;
	ASSERT_EQ(0, hw_info(self->fd, &cmd));
	EXPECT_EQ(0, cmd.out_max_pasid_log2);
	EXPECT_EQ(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, cmd.out_capabilities);
}

TEST_F(device, hw_info_buffers)
{
	struct iommu_hw_info cmd = { .dev_id = self->dev.idev };
	__u8 buf[24];
	__u32 reg = IOMMU_HW_INFO_SELFTEST_REGVAL;

	ASSERT_EQ(0, hw_info(self->fd, &cmd));
	EXPECT_EQ(sizeof(struct iommu_test_hw_info), cmd.data_len);
	/* Larger: the tail is zeroed, up to what was given */
	memset(buf, 0xee, sizeof(buf));
	cmd = (struct iommu_hw_info){
		.dev_id = self->dev.idev, .data_len = 17,
		.data_uptr = (uintptr_t)buf,
	};
	ASSERT_EQ(0, hw_info(self->fd, &cmd));
	EXPECT_EQ(8, cmd.data_len);
	EXPECT_EQ(0, memcmp(buf + 4, &reg, 4));
	for (int i = 8; i < 17; i++)
		EXPECT_EQ(0, buf[i]);
	EXPECT_EQ(0xee, buf[17]);
	/* Shorter: what fits */
	memset(buf, 0xee, sizeof(buf));
	cmd = (struct iommu_hw_info){
		.dev_id = self->dev.idev, .data_len = 5,
		.data_uptr = (uintptr_t)buf,
	};
	ASSERT_EQ(0, hw_info(self->fd, &cmd));
	EXPECT_EQ(8, cmd.data_len);
	EXPECT_EQ(reg & 0xff, buf[4]);
	EXPECT_EQ(0xee, buf[5]);
	/* The first published structure has no capabilities */
	cmd.out_capabilities = 0x1234;
	cmd.size = 32;
	cmd.data_len = 0;
	cmd.out_data_type = 0;
	cmd.out_max_pasid_log2 = 0;
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(0x1234, cmd.out_capabilities);
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, cmd.out_data_type);
}

TEST_F(device, hw_info_errors)
{
	struct iommu_hw_info cmd = { .dev_id = self->ioas };
	const __u32 want[] = { IOMMU_HW_INFO_TYPE_SELFTEST,
			       IOMMU_HW_INFO_TYPE_DEFAULT };

	EXPECT_EQ(ENOENT, hw_info(self->fd, &cmd));
	cmd.dev_id = BAD_ID;
	EXPECT_EQ(ENOENT, hw_info(self->fd, &cmd));
	cmd.dev_id = self->dev.idev;
	cmd.data_len = 8;
	EXPECT_EQ(EFAULT, hw_info(self->fd, &cmd));
	cmd.data_len = 0;
	for (int i = 0; i < 2; i++) {
		cmd.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
		cmd.in_data_type = want[i];
		ASSERT_EQ(0, hw_info(self->fd, &cmd));
		EXPECT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, cmd.out_data_type);
		memset(cmd.__reserved, 0, sizeof(cmd.__reserved));
		cmd.data_len = 0;
	}
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_SELFTEST + 1;
	EXPECT_EQ(EOPNOTSUPP, hw_info(self->fd, &cmd));
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	EXPECT_EQ(EOPNOTSUPP, hw_info(self->fd, &cmd));
	/* Without the flag the field says nothing */
	cmd.flags = 0;
	EXPECT_EQ(0, hw_info(self->fd, &cmd));
}

/*
 * PASIDs, of a device whose RID is on an automatic page table. It has to move
 * to one that may be shared with PASIDs first.
 */
FIXTURE(pasid)
{
	int fd;
	__u32 ioas;
	__u32 plain, parent, rid, a, b, nested;
	struct mock_dev dev;
};

FIXTURE_SETUP(pasid)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&self->plain));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &self->a));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &self->b));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID |
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, self->parent,
				       IOMMU_HWPT_ALLOC_PASID, 0, 0,
				       &self->nested));
	self->rid = self->a;
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev, &self->rid));
}

FIXTURE_TEARDOWN(pasid)
{
	/* Destruction of the device expects its PASIDs to be detached */
	for (int i = 0; i < 2; i++) {
		mock_pasid_detach(self->fd, self->dev.stdev, 100 + 100 * i);
		mock_pasid_detach(self->fd, self->dev.stdev,
				  IOMMU_TEST_PASID_RESERVED + i);
	}
	EXPECT_EQ(0, close(self->fd));
}

#define PATTACH(pasid, id)                                                     \
	({                                                                     \
		__u32 __pt = (id);                                             \
		mock_pasid_attach(self->fd, self->dev.stdev, pasid, &__pt);    \
	})
#define PREPLACE(pasid, id)                                                    \
	({                                                                     \
		__u32 __pt = (id);                                             \
		mock_pasid_replace(self->fd, self->dev.stdev, pasid, &__pt);   \
	})
#define REPLACE(id)                                                            \
	({                                                                     \
		__u32 __pt = (id);                                             \
		mock_replace(self->fd, self->dev.stdev, &__pt);                \
	})
#define PDETACH(pasid) mock_pasid_detach(self->fd, self->dev.stdev, pasid)

TEST_F(pasid, attach_replace_detach)
{
	EXPECT_EQ(0, PDETACH(100));
	EXPECT_EQ(EINVAL, PREPLACE(100, self->b));
	EXPECT_ATTACHED(100, 0);
	ASSERT_EQ(0, PATTACH(100, self->b));
	EXPECT_ATTACHED(100, self->b);
	EXPECT_ATTACHED(200, 0);
	EXPECT_ATTACHED(0, self->a);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->b));
	/* A second attach fails also when it is to the same HWPT */
	EXPECT_EQ(EBUSY, PATTACH(100, self->b));
	EXPECT_EQ(EBUSY, PATTACH(100, self->nested));
	ASSERT_EQ(0, PATTACH(200, self->b));
	ASSERT_EQ(0, PREPLACE(100, self->nested));
	EXPECT_ATTACHED(100, self->nested);
	EXPECT_ATTACHED(200, self->b);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->nested));
	EXPECT_EQ(0, PREPLACE(100, self->nested));
	EXPECT_EQ(0, PDETACH(200));
	EXPECT_ATTACHED(200, 0);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->b));
	EXPECT_EQ(0, PDETACH(100));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->nested));
}

TEST_F(pasid, compatible)
{
	/* Only what was made for it, and so never an IOAS */
	EXPECT_EQ(EINVAL, PATTACH(100, self->plain));
	EXPECT_EQ(EINVAL, PATTACH(100, self->ioas));
	EXPECT_EQ(ENOENT, PATTACH(100, BAD_ID));
	EXPECT_EQ(EINVAL, PATTACH(100, self->dev.idev));
	EXPECT_ATTACHED(100, 0);
	ASSERT_EQ(0, PATTACH(100, self->b));
	EXPECT_EQ(EINVAL, PREPLACE(100, self->ioas));
	EXPECT_EQ(EINVAL, PREPLACE(100, self->plain));
	EXPECT_ATTACHED(100, self->b);
	/* The RID may not leave as long as a PASID is there */
	EXPECT_EQ(EINVAL, REPLACE(self->plain));
	EXPECT_EQ(EINVAL, REPLACE(self->ioas));
	EXPECT_ATTACHED(0, self->a);
	EXPECT_EQ(0, REPLACE(self->nested));
	EXPECT_ATTACHED(0, self->nested);
	EXPECT_EQ(0, PDETACH(100));
	/* And a PASID may not come while the RID is elsewhere */
	ASSERT_EQ(0, REPLACE(self->plain));
	EXPECT_EQ(EINVAL, PATTACH(100, self->b));
	ASSERT_EQ(0, REPLACE(self->ioas));
	EXPECT_EQ(EINVAL, PATTACH(100, self->b));
	EXPECT_ATTACHED(100, 0);
}

/* Two devices share a page table, each under a PASID of its own */
TEST_F(pasid, shared_by_devices)
{
	__u8 *buf = buf_alloc(4 * PAGE);
	struct mock_dev other;
	__u32 pt = self->b;

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, mock_attach(self->fd, self->a, MOCK_FLAGS_DEVICE_PASID,
				 &other));
	ASSERT_EQ(0, PATTACH(100, self->b));
	ASSERT_EQ(0, mock_pasid_attach(self->fd, other.stdev, 300, &pt));
	EXPECT_EQ(self->b, pt);
	EXPECT_ATTACHED(100, self->b);
	EXPECT_ATTACHED(300, 0);
	EXPECT_EQ(0, mock_pasid_check(self->fd, other.stdev, 300, self->b));
	EXPECT_EQ(0, mock_pasid_check(self->fd, other.stdev, 100, 0));

	/* What is mapped is pinned once for both */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf, 4 * PAGE, BASE));
	EXPECT_EQ(0, mock_check_map(self->fd, self->b, BASE, buf, 4 * PAGE));
	EXPECT_EQ(4, vm_pin(0));

	/* It stays for one of them when the other goes elsewhere, or for good */
	ASSERT_EQ(0, PREPLACE(100, self->a));
	EXPECT_ATTACHED(100, self->a);
	EXPECT_EQ(0, mock_pasid_check(self->fd, other.stdev, 300, self->b));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->b));
	ASSERT_EQ(0, PREPLACE(100, self->b));
	ASSERT_EQ(0, mock_pasid_detach(self->fd, other.stdev, 300));
	ASSERT_EQ(0, iommu_destroy(self->fd, other.stdev));
	EXPECT_ATTACHED(100, self->b);
	EXPECT_EQ(0, mock_check_map(self->fd, self->b, BASE, buf, 4 * PAGE));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->b));
	ASSERT_EQ(0, PDETACH(100));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->b));
	EXPECT_EQ(4, vm_pin(0));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, vm_pin(0));
	munmap(buf, 4 * PAGE);
}

/* Out of the device's range */
TEST_F(pasid, range)
{
	struct mock_dev none;
	__u32 pt;

	EXPECT_EQ(EINVAL, PATTACH(1 << MOCK_PASID_WIDTH, self->b));
	EXPECT_EQ(0, PATTACH((1 << MOCK_PASID_WIDTH) - 1, self->b));
	EXPECT_EQ(0, PDETACH((1 << MOCK_PASID_WIDTH) - 1));
	ASSERT_EQ(0, mock_attach(self->fd, self->a, 0, &none));
	pt = self->b;
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, none.stdev, 100, &pt));
	pt = self->nested;
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, none.stdev, 100, &pt));
	EXPECT_EQ(0, mock_pasid_check(self->fd, none.stdev, 100, 0));
}

/* The driver refuses the replacement: the old one stays in force */
TEST_F(pasid, failing_replace)
{
	const __u32 pasid = IOMMU_TEST_PASID_RESERVED;

	ASSERT_EQ(0, PATTACH(pasid, self->b));
	EXPECT_EQ(ENOMEM, PREPLACE(pasid, self->nested));
	EXPECT_ATTACHED(pasid, self->b);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->b));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->nested));
	EXPECT_EQ(0, PDETACH(pasid));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->b));
}

/* PASIDs do not need a RID attachment of one's own choice */
TEST_F(pasid, many)
{
	for (__u32 p = 1; p <= 64; p++)
		ASSERT_EQ(0, PATTACH(p, p % 2 ? self->b : self->nested));
	for (__u32 p = 1; p <= 64; p++)
		EXPECT_ATTACHED(p, p % 2 ? self->b : self->nested);
	EXPECT_ATTACHED(65, 0);
	for (__u32 p = 64; p >= 1; p--)
		ASSERT_EQ(0, PDETACH(p));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->nested));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->b));
}

TEST_F(pasid, bad_device)
{
	__u32 pt = self->b;

	EXPECT_EQ(ENOENT, mock_pasid_attach(self->fd, self->dev.idev, 100,
					    &pt));
	EXPECT_EQ(ENOENT, mock_pasid_replace(self->fd, BAD_ID, 100, &pt));
	EXPECT_EQ(ENOENT, mock_pasid_detach(self->fd, self->ioas, 100));
}

TEST_HARNESS_MAIN
