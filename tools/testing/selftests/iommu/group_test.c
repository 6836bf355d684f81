// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU groups of several devices, what each of them reserves for itself,
 * enforced cache coherency, and devices without an IOMMU.
 *
 * With PASID 0 the PASID operations of the mock are about the RID, so a device
 * can be attached and detached while it stays bound.
 */
#include <poll.h>
#include <pthread.h>
#include <linux/capability.h>
#include <linux/vfio.h>

#include <pthread.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 8
#define BASE ((__u64)MOCK_APERTURE_START)
#define RESV (BASE + 64 * PAGE)
#define RESV_LEN (4 * PAGE)
#define REC sizeof(struct iommu_hwpt_pgfault)
#define BURST 200

FIXTURE(group)
{
	int fd;
	__u32 ioas, ioas2;
	__u8 *buf;
	struct mock_dev a, b, c;
};

/* @a is attached, @b and @c are bound; @b needs IOVA of its own */
FIXTURE_SETUP(group)
{
	struct mock_config config = { .flags = MOCK_FLAGS_DEVICE_PASID };

	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas2));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &config, &self->a));
	config.sibling = self->a.stdev;
	ASSERT_EQ(0, mock_device(self->fd, 0, &config, &self->c));
	config.resv = MOCK_RESV_RESERVED;
	config.start = RESV;
	config.length = RESV_LEN;
	ASSERT_EQ(0, mock_device(self->fd, 0, &config, &self->b));
	EXPECT_EQ(0, self->b.hwpt);
}

FIXTURE_TEARDOWN(group)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, NR * PAGE));
	EXPECT_EQ(0, vm_pin(0));
}

#define ATTACH_PASID(dev, pasid, pt) \
	mock_pasid_attach(self->fd, (dev).stdev, pasid, &(__u32){ pt })
#define REPLACE_PASID(dev, pasid, pt) \
	mock_pasid_replace(self->fd, (dev).stdev, pasid, &(__u32){ pt })
#define DETACH_PASID(dev, pasid) \
	ASSERT_EQ(0, mock_pasid_detach(self->fd, (dev).stdev, pasid))
#define ATTACH(dev, pt) ATTACH_PASID(dev, 0, pt)
#define REPLACE(dev, pt) REPLACE_PASID(dev, 0, pt)
#define DETACH(dev) DETACH_PASID(dev, 0)
#define DESTROY(id) iommu_destroy(self->fd, id)
#define HWPT_ALLOC(dev, pt, flags, id) \
	ASSERT_EQ(0, hwpt_alloc(self->fd, (dev).idev, pt, flags, id))
/* What the hardware has; it makes no difference between the devices */
#define EXPECT_GROUP(pasid, hwpt)                                              \
	do {                                                                   \
		EXPECT_EQ(0, mock_pasid_check(self->fd, self->a.stdev, pasid,  \
					      hwpt));                          \
		EXPECT_EQ(0, mock_pasid_check(self->fd, self->b.stdev, pasid,  \
					      hwpt));                          \
	} while (0)

/* Is the region of @b kept out of an IOAS? */
static bool is_reserved(int fd, __u32 ioas)
{
	struct iommu_iova_range r[8];
	__u32 num = 8;

	if (ioas_ranges(fd, ioas, r, &num, NULL))
		abort();
	for (__u32 i = 0; i < num; i++)
		if (r[i].start < RESV + RESV_LEN && r[i].last >= RESV)
			return false;
	return true;
}

#define EXPECT_RESERVED(want, id) \
	EXPECT_EQ(want, is_reserved(self->fd, id))

TEST_F(group, mixed_order)
{
	struct mock_dev *dev[] = { &self->a, &self->b, &self->c };

	/* Whoever came first may go first */
	for (int first = 0; first < 3; first++) {
		for (int second = 0; second < 3; second++) {
			int third = 3 - first - second;
			__u32 hwpt = self->ioas;

			if (first == second)
				continue;
			DETACH(self->a);
			EXPECT_GROUP(0, 0);
			ASSERT_EQ(0, mock_pasid_attach(self->fd,
						       dev[first]->stdev, 0,
						       &hwpt));
			/* By the name of the IOAS and by that of the HWPT */
			EXPECT_EQ(0, ATTACH(*dev[second], self->ioas));
			EXPECT_EQ(0, ATTACH(*dev[third], hwpt));
			EXPECT_GROUP(0, hwpt);
			DETACH(*dev[first]);
			EXPECT_GROUP(0, hwpt);
			EXPECT_EQ(EBUSY, DESTROY(hwpt));
			DETACH(*dev[third]);
			EXPECT_GROUP(0, hwpt);
			EXPECT_EQ(0, mock_check_map(self->fd, hwpt, BASE,
						    self->buf, NR * PAGE));
			DETACH(*dev[second]);
			EXPECT_GROUP(0, 0);
			EXPECT_EQ(ENOENT, DESTROY(hwpt));
			ASSERT_EQ(0, ATTACH(self->a, self->ioas));
		}
	}
}

TEST_F(group, one_hwpt)
{
	__u32 manual;

	HWPT_ALLOC(self->a, self->ioas, 0, &manual);
	EXPECT_EQ(EINVAL, ATTACH(self->b, manual));
	EXPECT_EQ(EINVAL, ATTACH(self->b, self->ioas2));
	EXPECT_EQ(EBUSY, ATTACH(self->a, self->ioas));
	EXPECT_EQ(EBUSY, ATTACH(self->a, manual));
	EXPECT_EQ(EBUSY, ATTACH(self->a, self->ioas2));
	/* Not attached, so nothing to replace, although its DMA goes there */
	EXPECT_EQ(EINVAL, REPLACE(self->b, manual));
	EXPECT_EQ(EINVAL, REPLACE(self->b, self->a.hwpt));
	EXPECT_EQ(EINVAL, REPLACE(self->b, self->ioas));
	EXPECT_GROUP(0, self->a.hwpt);
	EXPECT_EQ(0, DESTROY(self->ioas2));
	/* A group on a manual one has to be met there by name */
	ASSERT_EQ(0, REPLACE(self->a, manual));
	EXPECT_EQ(EINVAL, ATTACH(self->b, self->ioas));
	EXPECT_EQ(0, ATTACH(self->b, manual));
	DETACH(self->a);
	EXPECT_EQ(EINVAL, ATTACH(self->a, self->ioas));
	EXPECT_EQ(0, ATTACH(self->a, manual));
	EXPECT_EQ(EBUSY, DESTROY(manual));
	DETACH(self->a);
	DETACH(self->b);
	EXPECT_EQ(0, DESTROY(manual));
}

/* A device that is not attached has nothing to give up */
TEST_F(group, detach_of_nothing)
{
	for (int i = 0; i < 3; i++)
		DETACH(self->b);
	EXPECT_GROUP(0, self->a.hwpt);
	EXPECT_EQ(EBUSY, DESTROY(self->a.hwpt));
	ASSERT_EQ(0, DESTROY(self->b.stdev));
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->a.stdev, 0,
				      self->a.hwpt));
	DETACH(self->a);
	DETACH(self->a);
	EXPECT_EQ(ENOENT, DESTROY(self->a.hwpt));
}

TEST_F(group, replace_moves_all)
{
	__u32 hwpt = self->ioas2, manual;

	ASSERT_EQ(0, ATTACH(self->b, self->ioas));
	ASSERT_EQ(0, ATTACH(self->c, self->ioas));
	EXPECT_RESERVED(true, self->ioas);
	EXPECT_RESERVED(false, self->ioas2);
	ASSERT_EQ(0, mock_replace(self->fd, self->c.stdev, &hwpt));
	EXPECT_GROUP(0, hwpt);
	EXPECT_RESERVED(false, self->ioas);
	EXPECT_RESERVED(true, self->ioas2);
	EXPECT_EQ(hwpt == self->a.hwpt ? EBUSY : ENOENT,
		  DESTROY(self->a.hwpt));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE, 0));
	EXPECT_EQ(0, DESTROY(self->ioas));
	/* Each of them is a user of the new one */
	HWPT_ALLOC(self->a, self->ioas2, 0, &manual);
	ASSERT_EQ(0, REPLACE(self->a, manual));
	EXPECT_EQ(ENOENT, DESTROY(hwpt));
	EXPECT_RESERVED(true, self->ioas2);
	DETACH(self->c);
	DETACH(self->a);
	EXPECT_EQ(EBUSY, DESTROY(manual));
	EXPECT_EQ(EINVAL, REPLACE(self->a, self->ioas2));
	DETACH(self->b);
	EXPECT_EQ(0, DESTROY(manual));
	EXPECT_RESERVED(false, self->ioas2);
}

/* A region counts for as long as its device is attached */
TEST_F(group, reserved_region)
{
	struct iommu_iova_range allowed = { RESV, RESV + PAGE - 1 };
	__u64 iova = RESV;

	EXPECT_RESERVED(false, self->ioas);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				 RESV + RESV_LEN - PAGE));
	EXPECT_EQ(EADDRINUSE, ATTACH(self->b, self->ioas));
	EXPECT_RESERVED(false, self->ioas);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, RESV + RESV_LEN - PAGE,
				PAGE, NULL));
	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &allowed, 1));
	EXPECT_EQ(EADDRINUSE, ATTACH(self->b, self->ioas));
	EXPECT_RESERVED(false, self->ioas);
	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, NULL, 0));

	ASSERT_EQ(0, ATTACH(self->b, self->ioas));
	EXPECT_RESERVED(true, self->ioas);
	EXPECT_EQ(EADDRINUSE, ioas_allow(self->fd, self->ioas, &allowed, 1));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      RESV));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      RESV + RESV_LEN - PAGE));
	EXPECT_EQ(EINVAL, ioas_copy(self->fd, self->ioas, self->ioas, BASE,
				    PAGE, MAP_FIX_RW, &iova));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				 RESV - PAGE));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				 RESV + RESV_LEN));
	/* Of another device's going it takes no notice */
	DETACH(self->a);
	EXPECT_RESERVED(true, self->ioas);
	DETACH(self->b);
	EXPECT_RESERVED(false, self->ioas);
	/* The first of the group, too, takes all back when it fails */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, RESV));
	EXPECT_EQ(EADDRINUSE, ATTACH(self->b, self->ioas));
	EXPECT_RESERVED(false, self->ioas);
	EXPECT_GROUP(0, 0);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, DESTROY(self->ioas));
}

/* A PASID reserves nothing */
TEST_F(group, reserved_region_of_pasid)
{
	__u32 hwpt;

	HWPT_ALLOC(self->a, self->ioas2, IOMMU_HWPT_ALLOC_PASID, &hwpt);
	DETACH(self->a);
	ASSERT_EQ(0, ATTACH_PASID(self->b, 100, hwpt));
	EXPECT_RESERVED(false, self->ioas2);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas2, self->buf, PAGE,
				 RESV));
	EXPECT_EQ(EADDRINUSE, ATTACH(self->b, hwpt));
	EXPECT_GROUP(0, 0);
	EXPECT_GROUP(100, hwpt);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas2, NULL));
	ASSERT_EQ(0, ATTACH(self->b, hwpt));
	/* Nor does its end free anything */
	DETACH_PASID(self->b, 100);
	EXPECT_RESERVED(true, self->ioas2);
}

/* Whatever fails, both address spaces keep what they had */
TEST_F(group, failing_replace)
{
	struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_PASID | MOCK_FLAGS_DEVICE_NO_DIRTY,
		.sibling = self->a.stdev,
	};
	__u32 dirty, dirty2;
	struct mock_dev d;

	ASSERT_EQ(0, ATTACH(self->b, self->ioas));
	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &config, &d));
	HWPT_ALLOC(self->a, self->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		   &dirty);
	HWPT_ALLOC(self->a, self->ioas2, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		   &dirty2);
	/* One member cannot, so none goes. Inside the IOAS and to another */
	EXPECT_EQ(EINVAL, REPLACE(self->a, dirty));
	EXPECT_GROUP(0, self->a.hwpt);
	EXPECT_RESERVED(true, self->ioas);
	EXPECT_EQ(EINVAL, REPLACE(self->b, dirty2));
	EXPECT_GROUP(0, self->a.hwpt);
	EXPECT_RESERVED(true, self->ioas);
	EXPECT_RESERVED(false, self->ioas2);
	EXPECT_EQ(0, DESTROY(dirty));
	/* There is something mapped already where b may not do DMA */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas2, self->buf, PAGE,
				 RESV));
	EXPECT_EQ(EADDRINUSE, REPLACE(self->a, dirty2));
	EXPECT_EQ(EADDRINUSE, REPLACE(self->a, self->ioas2));
	EXPECT_GROUP(0, self->a.hwpt);
	EXPECT_RESERVED(true, self->ioas);
	EXPECT_RESERVED(false, self->ioas2);
	EXPECT_EQ(0, DESTROY(dirty2));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas2, NULL));
	EXPECT_EQ(0, DESTROY(self->ioas2));
	EXPECT_EQ(0, mock_check_map(self->fd, self->a.hwpt, BASE, self->buf,
				    NR * PAGE));
}

/* An automatic HWPT that is passed over costs nobody a region */
TEST_F(group, passed_over)
{
	struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_ENFORCE,
	};
	__u32 manual, hwpt = self->ioas;
	struct mock_dev d;

	ASSERT_EQ(0, ATTACH(self->b, self->ioas));
	HWPT_ALLOC(self->a, self->ioas, 0, &manual);
	ASSERT_EQ(0, REPLACE(self->a, manual));
	/* Now the oldest automatic one is of no use for the group */
	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &config, &d));
	ASSERT_EQ(0, mock_replace(self->fd, self->a.stdev, &hwpt));
	EXPECT_NE(d.hwpt, hwpt);
	EXPECT_GROUP(0, hwpt);
	EXPECT_RESERVED(true, self->ioas);
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      RESV));
}

/* What kind of region makes no difference, but for the one that may be used */
TEST_F(group, kinds_of_regions)
{
	static const __u32 kinds[] = {
		MOCK_RESV_RESERVED, MOCK_RESV_MSI, MOCK_RESV_SW_MSI,
		MOCK_RESV_DIRECT_RELAXABLE,
	};

	for (unsigned int i = 0; i < ARRAY_LEN(kinds); i++) {
		struct mock_config config = {
			.resv = kinds[i], .start = RESV, .length = RESV_LEN,
		};
		struct mock_dev d;

		ASSERT_EQ(0, mock_device(self->fd, self->ioas2, &config, &d));
		EXPECT_RESERVED(kinds[i] != MOCK_RESV_DIRECT_RELAXABLE,
				self->ioas2);
		ASSERT_EQ(0, DESTROY(d.stdev));
		EXPECT_RESERVED(false, self->ioas2);
	}
}

/* All PASIDs and the RID have to get along, whichever device has them */
TEST_F(group, pasids)
{
	struct mock_config config = { .sibling = self->a.stdev };
	__u32 plain, p, q, nested;
	struct mock_dev d;

	HWPT_ALLOC(self->a, self->ioas, 0, &plain);
	HWPT_ALLOC(self->a, self->ioas, IOMMU_HWPT_ALLOC_PASID |
		   IOMMU_HWPT_ALLOC_NEST_PARENT, &p);
	HWPT_ALLOC(self->a, self->ioas, IOMMU_HWPT_ALLOC_PASID, &q);
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->a.idev, p,
				       IOMMU_HWPT_ALLOC_PASID, 0, 0,
				       &nested));
	/* The automatic HWPT of a's RID stands in the way of b's PASID */
	EXPECT_EQ(EINVAL, ATTACH_PASID(self->b, 100, p));
	ASSERT_EQ(0, REPLACE(self->a, p));
	ASSERT_EQ(0, ATTACH_PASID(self->b, 100, q));
	EXPECT_GROUP(100, q);
	/* and b's PASID in that of a's RID */
	EXPECT_EQ(EINVAL, REPLACE(self->a, plain));
	EXPECT_EQ(EINVAL, REPLACE(self->a, self->ioas));
	DETACH(self->a);
	EXPECT_EQ(EINVAL, ATTACH(self->c, plain));
	EXPECT_EQ(EINVAL, ATTACH(self->c, self->ioas));
	EXPECT_GROUP(0, 0);
	ASSERT_EQ(0, ATTACH(self->a, p));
	/* One HWPT for each PASID, as for the RID */
	EXPECT_EQ(EINVAL, ATTACH_PASID(self->a, 100, nested));
	ASSERT_EQ(0, ATTACH_PASID(self->a, 100, q));
	EXPECT_EQ(EBUSY, ATTACH_PASID(self->a, 100, q));
	EXPECT_EQ(EINVAL, REPLACE_PASID(self->c, 100, nested));
	ASSERT_EQ(0, REPLACE_PASID(self->a, 100, nested));
	EXPECT_GROUP(100, nested);
	EXPECT_EQ(0, DESTROY(q));
	DETACH_PASID(self->a, 100);
	EXPECT_GROUP(100, nested);
	EXPECT_EQ(EBUSY, DESTROY(nested));
	DETACH_PASID(self->c, 100);
	DETACH_PASID(self->b, 100);
	EXPECT_GROUP(100, 0);
	EXPECT_EQ(0, DESTROY(nested));
	/* The group has PASIDs, this device has none */
	ASSERT_EQ(0, mock_device(self->fd, p, &config, &d));
	EXPECT_NE(0, ATTACH_PASID(d, 100, p));
	EXPECT_EQ(0, mock_pasid_check(self->fd, d.stdev, 100, 0));
}

/* The translation of a guest's ID is each device's own */
TEST_F(group, vdevices)
{
	__u32 parent, viommu, nested, vdev[3];

	HWPT_ALLOC(self->a, self->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent);
	ASSERT_EQ(0, viommu_alloc(self->fd, self->b.idev, parent,
				  IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0,
				  &viommu));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->c.idev, viommu, 0, 0, 0,
				       &nested));
	ASSERT_EQ(0, vdevice_alloc(self->fd, viommu, self->a.idev, 1,
				   &vdev[0]));
	ASSERT_EQ(0, vdevice_alloc(self->fd, viommu, self->b.idev, 2,
				   &vdev[1]));
	/* The third member is unknown, so all stay */
	EXPECT_EQ(ENOENT, REPLACE(self->a, nested));
	EXPECT_GROUP(0, self->a.hwpt);
	ASSERT_EQ(0, vdevice_alloc(self->fd, viommu, self->c.idev, 3,
				   &vdev[2]));
	ASSERT_EQ(0, REPLACE(self->a, nested));
	EXPECT_GROUP(0, nested);
	/* Reserved in the address space behind all that */
	ASSERT_EQ(0, ATTACH(self->b, nested));
	EXPECT_RESERVED(true, self->ioas);
	ASSERT_EQ(0, DESTROY(self->a.stdev));
	EXPECT_EQ(ENOENT, DESTROY(vdev[0]));
	EXPECT_EQ(0, DESTROY(vdev[1]));
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->b.stdev, 0, nested));
	DETACH(self->b);
	EXPECT_RESERVED(false, self->ioas);
	EXPECT_EQ(0, DESTROY(nested));
}

/*
 * Page faults of a group
 */
static ssize_t respond(int q, __u32 cookie)
{
	struct iommu_hwpt_page_response r = { .cookie = cookie };

	return write(q, &r, sizeof(r));
}

#define FAULT(dev, grpid) \
	ASSERT_EQ(0, mock_iopf(self->fd, (dev).idev, 0, grpid, \
			       IOMMU_PGFAULT_PERM_READ, 0x1000))

FIXTURE(group_fault)
{
	int fd, q;
	__u32 ioas, fault, hwpt, plain;
	struct mock_dev a, b;
};

FIXTURE_SETUP(group_fault)
{
	struct mock_config config = { .flags = MOCK_FLAGS_DEVICE_PASID };
	int rc;

	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, fault_alloc(self->fd, &self->fault, &self->q));
	ASSERT_EQ(0, mock_device(self->fd, 0, &config, &self->a));
	config.sibling = self->a.stdev;
	ASSERT_EQ(0, mock_device(self->fd, 0, &config, &self->b));
	HWPT_ALLOC(self->a, self->ioas, 0, &self->plain);
	ASSERT_EQ(0, hwpt_alloc_data(self->fd, self->a.idev, self->ioas,
				     IOMMU_HWPT_FAULT_ID_VALID |
				     IOMMU_HWPT_ALLOC_PASID, self->fault, 0,
				     NULL, 0, &self->hwpt));
	rc = ATTACH(self->a, self->hwpt);
	if (rc == ENODEV)
		SKIP(return, "kernel without CONFIG_IOMMU_IOPF");
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, ATTACH(self->b, self->hwpt));
}

FIXTURE_TEARDOWN(group_fault)
{
	EXPECT_EQ(0, close(self->q));
	EXPECT_EQ(0, close(self->fd));
}

/* The device that faults is told, not the one that came first */
TEST_F(group_fault, device)
{
	struct iommu_hwpt_pgfault f[2];

	FAULT(self->a, 1);
	FAULT(self->b, 2);
	ASSERT_EQ(2 * REC, read(self->q, f, 2 * REC));
	EXPECT_EQ(self->a.idev, f[0].dev_id);
	EXPECT_EQ(self->b.idev, f[1].dev_id);
	/* Detached, it shares the fate of the group all the same */
	DETACH(self->a);
	EXPECT_EQ(8, respond(self->q, f[1].cookie));
	EXPECT_EQ(8, respond(self->q, f[0].cookie));
	FAULT(self->a, 3);
	ASSERT_EQ(REC, read(self->q, f, REC));
	EXPECT_EQ(self->a.idev, f[0].dev_id);
	/* The last one goes, and its answer with it */
	DETACH(self->b);
	EXPECT_EQ(-1, respond(self->q, f[0].cookie));
	EXPECT_EQ(EINVAL, errno);
}

/* Detach of one leaves what the others wait for; a replacement does not */
TEST_F(group_fault, replace)
{
	struct iommu_hwpt_pgfault f[2];

	FAULT(self->a, 1);
	FAULT(self->b, 2);
	ASSERT_EQ(REC, read(self->q, f, REC));
	DETACH(self->a);
	ASSERT_EQ(REC, read(self->q, &f[1], REC));
	EXPECT_EQ(8, respond(self->q, f[0].cookie));
	FAULT(self->b, 3);
	ASSERT_EQ(0, REPLACE(self->b, self->plain));
	EXPECT_EQ(0, read(self->q, f, REC));
	EXPECT_EQ(-1, respond(self->q, f[1].cookie));
	EXPECT_EQ(0, DESTROY(self->hwpt));
}

/*
 * A device is gone for good while others of its group stay attached: its
 * driver is not to be called any more, so nobody can answer it.
 */
TEST_F(group_fault, unbind)
{
	struct iommu_hwpt_pgfault f[3];

	FAULT(self->a, 1);
	FAULT(self->b, 2);
	ASSERT_EQ(2 * REC, read(self->q, f, 2 * REC));
	FAULT(self->a, 3);
	FAULT(self->b, 4);
	FAULT(self->a, 5);
	ASSERT_EQ(0, DESTROY(self->a.stdev));
	EXPECT_EQ(-1, respond(self->q, f[0].cookie));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(8, respond(self->q, f[1].cookie));
	ASSERT_EQ(REC, read(self->q, f, 3 * REC));
	EXPECT_EQ(4, f[0].grpid);
	EXPECT_EQ(self->b.idev, f[0].dev_id);
	EXPECT_EQ(8, respond(self->q, f[0].cookie));
	FAULT(self->b, 6);
	ASSERT_EQ(REC, read(self->q, f, REC));
	EXPECT_EQ(6, f[0].grpid);
}

struct reader {
	int q;
	volatile bool stop;
	unsigned int unnamed, records;
};

/* Whether another one unbinds or not, each record names a device */
static void *read_faults(void *arg)
{
	struct iommu_hwpt_pgfault f[BURST];
	struct reader *r = arg;
	bool stop;

	do {
		ssize_t size;

		stop = r->stop;
		size = read(r->q, f, sizeof(f));
		for (ssize_t i = 0; i < size / (ssize_t)REC; i++) {
			r->records++;
			if (!f[i].dev_id)
				r->unnamed++;
			respond(r->q, f[i].cookie);
		}
	} while (!stop);
	return NULL;
}

/* A reader is at work while a device goes */
TEST_F_TIMEOUT(group_fault, unbind_while_read, 60)
{
	struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_PASID,
		.sibling = self->b.stdev,
	};
	struct reader r = { .q = self->q };
	struct mock_dev dev;
	pthread_t thread;

	for (int round = 0; round < 30; round++) {
		ASSERT_EQ(0, mock_device(self->fd, self->hwpt, &config, &dev));
		for (int i = 0; i < BURST; i++)
			FAULT(dev, i);
		r.stop = false;
		ASSERT_EQ(0, pthread_create(&thread, NULL, read_faults, &r));
		EXPECT_EQ(0, DESTROY(dev.stdev));
		r.stop = true;
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(0, r.unnamed)
			TH_LOG("round %d, record %u", round, r.records);
	}
	/* What the others wait for is delivered as before */
	r.records = 0;
	FAULT(self->b, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_faults, &r));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(1, r.records);
	EXPECT_EQ(0, r.unnamed);
}

/* Faults of a PASID of a device that is gone for good */
TEST_F(group_fault, unbind_pasid)
{
	struct iommu_hwpt_pgfault f;

	ASSERT_EQ(0, ATTACH_PASID(self->a, 7, self->hwpt));
	ASSERT_EQ(0, ATTACH_PASID(self->b, 7, self->hwpt));
	ASSERT_EQ(0, mock_iopf(self->fd, self->a.idev, 7, 1,
			       IOMMU_PGFAULT_PERM_READ, 0x1000));
	ASSERT_EQ(0, DESTROY(self->a.stdev));
	EXPECT_EQ(0, read(self->q, &f, REC));
	ASSERT_EQ(0, mock_iopf(self->fd, self->b.idev, 7, 2,
			       IOMMU_PGFAULT_PERM_READ, 0x1000));
	ASSERT_EQ(REC, read(self->q, &f, REC));
	EXPECT_EQ(7, f.pasid);
	DETACH_PASID(self->b, 7);
	EXPECT_EQ(-1, respond(self->q, f.cookie));
}

/* The PASIDs of a group are not those of a device that comes later */
TEST_F(group_fault, newcomer)
{
	struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_PASID,
		.sibling = self->a.stdev,
	};
	struct iommu_hwpt_pgfault f;
	struct mock_dev dev;

	DETACH(self->a);
	DETACH(self->b);
	ASSERT_EQ(0, ATTACH_PASID(self->a, 7, self->hwpt));
	ASSERT_EQ(0, mock_device(self->fd, 0, &config, &dev));
	ASSERT_EQ(0, mock_iopf(self->fd, dev.idev, 7, 1,
			       IOMMU_PGFAULT_PERM_READ, 0x1000));
	EXPECT_EQ(0, read(self->q, &f, REC));
	DETACH_PASID(self->a, 7);
}

/*
 * Cache coherency
 */
FIXTURE(coherency)
{
	int fd;
	__u32 ioas;
};

FIXTURE_SETUP(coherency)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
}

FIXTURE_TEARDOWN(coherency)
{
	EXPECT_EQ(0, close(self->fd));
}

static const struct mock_config enforce = {
	.flags = MOCK_FLAGS_DEVICE_ENFORCE,
};

static const struct mock_config plain = {};

/* VFIO says so to KVM, on behalf of the whole address space */
static int dma_cc(int fd, __u32 ioas)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_VFIO_IOAS_SET,
		.ioas_id = ioas,
	};

	if (iommu_cmd(fd, IOMMU_VFIO_IOAS, &cmd))
		return -1;
	return ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU);
}

TEST_F(coherency, enforcing_first)
{
	struct mock_dev a, b, c;

	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &enforce, &a));
	EXPECT_EQ(1, dma_cc(self->fd, self->ioas));
	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &enforce, &b));
	EXPECT_EQ(a.hwpt, b.hwpt);
	/* One that cannot, cannot be there */
	EXPECT_EQ(EINVAL, mock_device(self->fd, a.hwpt, &plain, &c));
	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &plain, &c));
	EXPECT_NE(a.hwpt, c.hwpt);
	EXPECT_EQ(0, dma_cc(self->fd, self->ioas));
	ASSERT_EQ(0, DESTROY(c.stdev));
	EXPECT_EQ(1, dma_cc(self->fd, self->ioas));
}

/* KVM was told that it is enforced for a device, so it has to be */
TEST_F(coherency, plain_first)
{
	struct mock_dev a, b, c;

	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &plain, &a));
	EXPECT_EQ(0, dma_cc(self->fd, self->ioas));
	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &enforce, &b));
	EXPECT_NE(a.hwpt, b.hwpt);
	/* By name the user may choose, and the table is not upgraded */
	ASSERT_EQ(0, mock_device(self->fd, a.hwpt, &enforce, &c));
	EXPECT_EQ(a.hwpt, c.hwpt);
	ASSERT_EQ(0, mock_device(self->fd, a.hwpt, &plain, NULL));
	/* Once there, the IOAS is a name for the same place */
	EXPECT_EQ(0, mock_replace(self->fd, c.stdev, &(__u32){ self->ioas }));
}

/* It is the device given that decides about a HWPT */
TEST_F(coherency, manual)
{
	struct mock_dev a, b;
	__u32 strict, lax;

	ASSERT_EQ(0, mock_device(self->fd, 0, &enforce, &a));
	ASSERT_EQ(0, mock_device(self->fd, 0, &plain, &b));
	ASSERT_EQ(0, hwpt_alloc(self->fd, a.idev, self->ioas, 0, &strict));
	ASSERT_EQ(0, hwpt_alloc(self->fd, b.idev, self->ioas, 0, &lax));
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, b.stdev, 0,
					    &(__u32){ strict }));
	EXPECT_EQ(0, mock_pasid_attach(self->fd, b.stdev, 0,
				       &(__u32){ lax }));
	EXPECT_EQ(0, mock_pasid_attach(self->fd, a.stdev, 0,
				       &(__u32){ lax }));
	EXPECT_EQ(0, mock_replace(self->fd, a.stdev, &(__u32){ strict }));
	EXPECT_EQ(EINVAL, mock_replace(self->fd, b.stdev,
				       &(__u32){ strict }));
	EXPECT_EQ(0, mock_pasid_check(self->fd, b.stdev, 0, lax));
}

/* Every mapping is made with IOMMU_CACHE */
TEST_F(coherency, noncoherent)
{
	const struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_NONCOHERENT,
	};
	__u32 id;

	EXPECT_EQ(EINVAL, mock_device(self->fd, 0, &config, NULL));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(self->ioas + 1, id);
}

/* Two bindings would not know of each other's regions */
TEST_F(coherency, bound_twice)
{
	struct mock_dev a;
	__u32 id;

	ASSERT_EQ(0, mock_device(self->fd, self->ioas, &plain, &a));
	EXPECT_EQ(EBUSY, mock_bind_again(self->fd, a.stdev));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(a.hwpt + 1, id);
	EXPECT_EQ(0, mock_pasid_check(self->fd, a.stdev, 0, a.hwpt));
	EXPECT_EQ(0, DESTROY(a.stdev));
}

/*
 * Devices without an IOMMU
 */
FIXTURE(software)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	struct mock_dev dev, real;
};

FIXTURE_SETUP(software)
{
	const struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_NOIOMMU,
	};
	int rc;

	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	rc = mock_device(self->fd, self->ioas, &config, &self->dev);
	if (rc == EINVAL)
		SKIP(return, "kernel without CONFIG_IOMMUFD_NOIOMMU");
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->real));
}

FIXTURE_TEARDOWN(software)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, NR * PAGE));
	EXPECT_EQ(0, vm_pin(0));
}

static int get_phys(int fd, __u32 ioas, __u64 iova, __u64 *phys)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = 1,
	};
	int rc = iommu_cmd(fd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd);

	*phys = cmd.out_phys;
	return rc;
}

static int get_pa(int fd, __u32 ioas, __u64 iova)
{
	__u64 phys;

	return get_phys(fd, ioas, iova, &phys);
}

/* The two kinds do not share page tables, whoever comes first */
TEST_F(software, kinds_are_kept_apart)
{
	__u32 hard, soft, pt;

	EXPECT_NE(self->real.hwpt, self->dev.hwpt);
	EXPECT_EQ(EINVAL, mock_replace(self->fd, self->real.stdev,
				       &(__u32){ self->dev.hwpt }));
	EXPECT_EQ(EINVAL, mock_replace(self->fd, self->dev.stdev,
				       &(__u32){ self->real.hwpt }));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->real.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &hard));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&soft));
	EXPECT_EQ(EINVAL, mock_replace(self->fd, self->dev.stdev,
				       &(__u32){ hard }));
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, self->dev.stdev, 1,
					    &(__u32){ hard }));
	EXPECT_EQ(EINVAL, mock_replace(self->fd, self->real.stdev,
				       &(__u32){ soft }));
	/* From a manual one back by the name of the IOAS, past the other kind */
	ASSERT_EQ(0, mock_replace(self->fd, self->real.stdev,
				  &(__u32){ hard }));
	pt = self->ioas;
	ASSERT_EQ(0, mock_replace(self->fd, self->real.stdev, &pt));
	EXPECT_NE(self->dev.hwpt, pt);
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->real.stdev, 0, pt));
	EXPECT_EQ(0, mock_check_map(self->fd, pt, BASE, self->buf, NR * PAGE));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE, 1));
}

TEST_F(software, addresses)
{
	EXPECT_EQ(0, get_pa(self->fd, self->ioas, BASE));
	ASSERT_EQ(0, mock_pasid_detach(self->fd, self->dev.stdev, 0));
	/* Pinned, but not for a device that is driven by address */
	EXPECT_EQ(EOPNOTSUPP, get_pa(self->fd, self->ioas, BASE));
	EXPECT_EQ(ENOENT, DESTROY(self->dev.hwpt));
	ASSERT_EQ(0, mock_pasid_attach(self->fd, self->dev.stdev, 0,
				       &(__u32){ self->ioas }));
	EXPECT_EQ(0, get_pa(self->fd, self->ioas, BASE));
	EXPECT_EQ(ENOENT, get_pa(self->fd, self->ioas, BASE - 1));
	/* They are not for everybody */
	ASSERT_EQ(0, cap_drop(CAP_SYS_RAWIO));
	EXPECT_EQ(EPERM, get_pa(self->fd, self->ioas, BASE));
}

/* From inside a page on, memory is contiguous up to the end of that page */
TEST_F(software, address_inside_page)
{
	void *buf = buf_alloc_scattered(2 * PAGE);
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd),
		.ioas_id = self->ioas,
		.iova = BASE + NR * PAGE + 8,
		.length = 2 * PAGE,
	};

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf, 2 * PAGE,
				 BASE + NR * PAGE));
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	EXPECT_EQ(PAGE - 8, cmd.length);
	EXPECT_EQ(8, cmd.out_phys % PAGE);
}

/*
 * Page tables that an unmap leaves empty are freed, though no IOTLB is flushed.
 * Others may have a few more than before, but not one for each time.
 */
TEST_F(software, tables_are_freed)
{
	const unsigned int rounds = 64;
	long left;

	ASSERT_EQ(0, tables_left(self->fd, self->ioas, BASE + (4 << 20), rounds,
				 &left));
	EXPECT_GT(rounds / 2, left);
}

/* The page table gets more levels, and what it has already stays */
TEST_F(software, any_iova)
{
	const struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_NOIOMMU,
	};
	static const unsigned int bits[] = { 30, 40, 50, 62 };
	__u64 low, high;
	__u32 ioas;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_device(self->fd, ioas, &config, &self->dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, get_phys(self->fd, ioas, BASE, &low));
	for (unsigned int i = 0; i < ARRAY_LEN(bits); i++) {
		__u64 iova = 1ULL << bits[i];

		ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, PAGE,
					 iova));
		EXPECT_EQ(0, get_phys(self->fd, ioas, iova, &high));
		EXPECT_EQ(low, high);
		EXPECT_EQ(0, get_phys(self->fd, ioas, BASE, &high));
		EXPECT_EQ(low, high);
	}
}

struct get_pa_loop {
	int fd;
	__u32 ioas;
	bool stop;
	unsigned int found;
	int rc;		/* an errno that it may not have */
};

static void *get_pa_run(void *arg)
{
	struct get_pa_loop *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED) && !l->rc) {
		int rc = get_pa(l->fd, l->ioas, BASE);

		l->found += !rc;
		if (rc != ENOENT)
			l->rc = rc;
	}
	return NULL;
}

/* A mapping that is looked at does not go */
TEST_F(software, get_pa_against_unmap)
{
	struct get_pa_loop l = { .fd = self->fd, .ioas = self->ioas };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, get_pa_run, &l));
	for (int i = 0; i < 1000; i++) {
		ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, NR * PAGE,
					NULL));
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
					 NR * PAGE, BASE));
	}
	__atomic_store_n(&l.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, l.rc);
	EXPECT_NE(0, l.found);
}

TEST_F(software, unsupported)
{
	struct iommu_hw_info info = {
		.size = sizeof(info), .dev_id = self->dev.idev,
	};
	static const __u32 flags[] = {
		IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		IOMMU_HWPT_ALLOC_PASID, 16,
	};
	struct iommu_hwpt_selftest data = {};
	__u32 parent, viommu, fault, hwpt;
	int q;

	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &info));
	for (unsigned int i = 0; i < ARRAY_LEN(flags); i++)
		EXPECT_EQ(EOPNOTSUPP, hwpt_alloc(self->fd, self->dev.idev,
						 self->ioas, flags[i], NULL));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc_data(self->fd, self->dev.idev,
					      self->ioas, 0, 0,
					      IOMMU_HWPT_DATA_SELFTEST, &data,
					      8, NULL));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->real.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc_nested(self->fd, self->dev.idev,
						parent, 0, 0, 0, NULL));
	EXPECT_EQ(EOPNOTSUPP, viommu_alloc(self->fd, self->dev.idev, parent,
					   IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0,
					   NULL));
	ASSERT_EQ(0, viommu_alloc(self->fd, self->real.idev, parent,
				  IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0,
				  &viommu));
	EXPECT_EQ(EINVAL, hwpt_alloc_nested(self->fd, self->dev.idev, viommu,
					    0, 0, 0, NULL));
	EXPECT_EQ(EINVAL, vdevice_alloc(self->fd, viommu, self->dev.idev, 1,
					NULL));
	/* Taken, although no fault will ever come */
	ASSERT_EQ(0, fault_alloc(self->fd, &fault, &q));
	ASSERT_EQ(0, hwpt_alloc_data(self->fd, self->dev.idev, self->ioas,
				     IOMMU_HWPT_FAULT_ID_VALID, fault, 0, NULL,
				     0, &hwpt));
	EXPECT_EQ(0, mock_replace(self->fd, self->dev.stdev,
				  &(__u32){ hwpt }));
	EXPECT_EQ(EINVAL, mock_iopf(self->fd, self->dev.idev, 0, 1, 1, 0));
	EXPECT_EQ(0, mock_replace(self->fd, self->dev.stdev,
				  &(__u32){ self->ioas }));
	EXPECT_EQ(0, DESTROY(hwpt));
	close(q);
	EXPECT_EQ(0, DESTROY(fault));
}

TEST_F(software, bound_twice)
{
	EXPECT_EQ(EBUSY, mock_bind_again(self->fd, self->dev.stdev));
	EXPECT_EQ(0, get_pa(self->fd, self->ioas, BASE));
}

TEST_HARNESS_MAIN
