// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device without an IOMMU: its page table is software that tells where the
 * pinned memory is. Needs root, CONFIG_IOMMUFD_NOIOMMU, a machine without an
 * IOMMU and QEMU's "-device edu".
 */
#include <linux/capability.h>

#include "kselftest_harness.h"
#include "edu.h"

#define NR 16
#define IOVA EDU_IOVA
/* The device drops the bits above */
#define EDU_LIMIT (1ULL << 28)

FIXTURE(noiommu)
{
	int fd, dev;
	__u32 devid, ioas, hwpt;
	__u8 *buf;
};

FIXTURE_SETUP(noiommu)
{
	char bdf[256], path[600];

	self->dev = -1;
	OPEN_OR_SKIP(self->fd);
	if (!find_edu(0, bdf, sizeof(bdf)))
		SKIP(return, "no PCI device 1234:11e8 (qemu -device edu)");
	snprintf(path, sizeof(path), PCI "/devices/%s/iommu", bdf);
	if (!access(path, F_OK))
		SKIP(return, "%s is behind an IOMMU", bdf);
	if (write_text(NOIOMMU_MODE, "Y"))
		SKIP(return, "kernel without CONFIG_VFIO_NOIOMMU");
	self->dev = open_pci_cdev(bdf);
	if (self->dev < 0)
		SKIP(return, "%s has no cdev: CONFIG_IOMMUFD_NOIOMMU?", bdf);
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, vfio_bind(self->dev, self->fd, &self->devid));
	self->hwpt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->dev, &self->hwpt));
}

FIXTURE_TEARDOWN(noiommu)
{
	EXPECT_EQ(0, close(self->dev));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, write_text(NOIOMMU_MODE, "N"));
}

static int get_pa(int fd, __u32 ioas, __u64 iova, __u64 *length, __u64 *phys)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = *length,
	};
	int rc = iommu_cmd(fd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd);

	if (!rc) {
		*length = cmd.length;
		*phys = cmd.out_phys;
	}
	return rc;
}

/* What /proc says about a page of ours */
static __u64 phys_of(const void *va)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	__u64 entry = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, 8, (uintptr_t)va / page_size * 8) != 8)
		entry = 0;
	close(fd);
	return (entry & ((1ULL << 55) - 1)) * page_size +
	       (uintptr_t)va % page_size;
}

#define PA(iova, len, phys) get_pa(self->fd, self->ioas, iova, len, phys)

TEST_F(noiommu, addresses)
{
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 IOVA));
	EXPECT_EQ(NR, vm_pin(0));
	for (size_t at = 0; at < NR * PAGE; at += PAGE / 2 + 1) {
		__u64 len = UINT64_MAX, phys = 0, run = PAGE - at % PAGE;
		__u64 want = phys_of(self->buf + at);

		/* As far as the pages follow each other */
		while (at + run < NR * PAGE &&
		       phys_of(self->buf + at + run) == want + run)
			run += PAGE;
		ASSERT_EQ(0, PA(IOVA + at, &len, &phys));
		EXPECT_EQ(want, phys);
		EXPECT_EQ(run, len);
		/* No more than was asked for */
		len = 3;
		ASSERT_EQ(0, PA(IOVA + at, &len, &phys));
		EXPECT_EQ(want, phys);
		EXPECT_EQ(run < 3 ? run : 3, len);
	}
}

/* Neighbours are told apart, whatever their memory */
TEST_F(noiommu, one_mapping)
{
	__u64 len = 4 * PAGE, phys;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, IOVA));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + PAGE, PAGE,
				 IOVA + PAGE));
	ASSERT_EQ(0, PA(IOVA + 16, &len, &phys));
	EXPECT_EQ(PAGE - 16, len);
	EXPECT_EQ(phys_of(self->buf) + 16, phys);
}

TEST_F(noiommu, errors)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd), .flags = 1,
	};
	__u64 len = PAGE, phys;
	__u32 other;

	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_IOAS_NOIOMMU_GET_PA,
					&cmd));
	cmd.flags = 0;
	cmd.__reserved = 1;
	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_IOAS_NOIOMMU_GET_PA,
					&cmd));
	len = 0;
	EXPECT_EQ(EINVAL, get_pa(self->fd, BAD_ID, 0, &len, &phys));
	len = 1;
	EXPECT_EQ(EOVERFLOW, get_pa(self->fd, BAD_ID, UINT64_MAX, &len,
				    &phys));
	EXPECT_EQ(ENOENT, get_pa(self->fd, BAD_ID, IOVA, &len, &phys));
	EXPECT_EQ(ENOENT, PA(IOVA, &len, &phys));
	/* Mapped where no such page table is */
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_map_at(self->fd, other, self->buf, PAGE, IOVA));
	EXPECT_EQ(EOPNOTSUPP, get_pa(self->fd, other, IOVA, &len, &phys));
	/* Known, and not any longer */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, IOVA));
	EXPECT_EQ(0, PA(IOVA, &len, &phys));
	EXPECT_EQ(ENOENT, PA(IOVA + PAGE, &len, &phys));
	ASSERT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(EOPNOTSUPP, PA(IOVA, &len, &phys));
	EXPECT_EQ(0, vm_pin(0));

	ASSERT_EQ(0, cap_drop(CAP_SYS_RAWIO));
	cmd.flags = 1;
	EXPECT_EQ(EPERM, iommu_cmd(self->fd, IOMMU_IOAS_NOIOMMU_GET_PA,
				   &cmd));
}

/* The next page at an address that the device has, or -1 */
static int next_low_page(int fd, __u32 ioas, int page, int num, __u64 *phys)
{
	for (; page < num; page++) {
		__u64 len = PAGE;

		if (!get_pa(fd, ioas, IOVA + page * PAGE, &len, phys) &&
		    *phys + PAGE <= EDU_LIMIT)
			return page;
	}
	return -1;
}

/* The address is where the device finds the memory */
TEST_F(noiommu, dma)
{
	const int num = 8192;
	struct edu edu = { .dev = self->dev };
	__u64 from_phys = 0, to_phys = 0;
	int from, to;
	__u8 *buf;

	ASSERT_EQ(0, edu_start(&edu));
	buf = buf_alloc(num * PAGE);
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf, num * PAGE, IOVA));
	from = next_low_page(self->fd, self->ioas, 0, num, &from_phys);
	to = next_low_page(self->fd, self->ioas, from + 1, num, &to_phys);
	if (from < 0 || to < 0)
		SKIP(munmap(edu.bar, edu.bar_len); return,
		     "no memory below 256 MiB: give the machine less");
	memset(buf + from * PAGE, 0x3c, PAGE);
	ASSERT_TRUE(edu_copy(&edu, from_phys, to_phys, EDU_LEN));
	EXPECT_EQ(0, memcmp(buf + from * PAGE, buf + to * PAGE, EDU_LEN));
	EXPECT_EQ(0, buf[to * PAGE + EDU_LEN]);
	munmap(edu.bar, edu.bar_len);
}

/* A container that had such a group is as good for others once that left */
TEST_F(noiommu, container_is_reusable)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET,
	};
	char bdf[256], path[64];
	int group, i;

	ASSERT_TRUE(find_edu(0, bdf, sizeof(bdf)));
	/* A group is not opened while its device is bound by other means */
	ASSERT_EQ(0, close(self->dev));
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d",
		 pci_group(bdf));
	group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, group) TH_LOG("%s", path);
	set.ioas_id = self->ioas;
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, ioctl(self->fd, VFIO_CHECK_EXTENSION,
				   VFIO_TYPE1_IOMMU));
		ASSERT_EQ(0, iommu_cmd(group, VFIO_GROUP_SET_CONTAINER,
				       &self->fd));
		EXPECT_EQ(0, ioctl(self->fd, VFIO_CHECK_EXTENSION,
				   VFIO_TYPE1_IOMMU));
		EXPECT_EQ(EINVAL, iommu_cmd(self->fd, IOMMU_VFIO_IOAS, &set));
		EXPECT_EQ(0, ioctl(self->fd, VFIO_SET_IOMMU,
				   VFIO_NOIOMMU_IOMMU));
		ASSERT_EQ(0, iommu_cmd(group, VFIO_GROUP_UNSET_CONTAINER,
				       NULL));
	}
	EXPECT_EQ(1, ioctl(self->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, iommu_cmd(self->fd, IOMMU_VFIO_IOAS, &set));
	EXPECT_EQ(0, close(group));
	self->dev = dup(self->fd);
}

/* What a page table of software cannot do */
TEST_F(noiommu, unsupported)
{
	struct iommu_hw_info info = {
		.size = sizeof(info), .dev_id = self->devid,
	};
	__u32 id;

	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc(self->fd, self->devid, self->ioas,
					 IOMMU_HWPT_ALLOC_NEST_PARENT, &id));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc(self->fd, self->devid, self->ioas,
					 IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					 &id));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc(self->fd, self->devid, self->ioas,
					 IOMMU_HWPT_ALLOC_PASID, &id));
	EXPECT_EQ(EOPNOTSUPP, viommu_alloc(self->fd, self->devid, self->hwpt,
					   1, NULL, 0, &id));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid, self->ioas, 0, &id));
	EXPECT_EQ(0, vfio_attach(self->dev, &(__u32){ id }));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	/* No IOMMU, no aperture: every address can be had */
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, 0));
}

TEST_HARNESS_MAIN
