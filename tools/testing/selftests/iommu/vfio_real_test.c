// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that really does DMA, behind a real (or emulated) IOMMU: QEMU's
 * "edu", which copies between its 4 KiB buffer and memory. Needs root, VFIO
 * with the device cdev, and "-device edu". The device is given to vfio-pci.
 */
#include "kselftest_harness.h"
#include "edu.h"

#define IOVA EDU_IOVA
#define LEN EDU_LEN

FIXTURE(real)
{
	int fd;
	struct edu edu;
	__u32 devid, ioas;
	__u8 *buf;
};

FIXTURE_SETUP(real)
{
	OPEN_OR_SKIP(self->fd);
	EDU_OPEN_OR_SKIP(&self->edu, 0);
	ASSERT_EQ(0, edu_bind(&self->edu, self->fd, &self->devid));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, edu_start(&self->edu));
	self->buf = buf_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(real)
{
	edu_close(&self->edu);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

TEST_F(real, copies_through_the_iommu)
{
	__u32 pt = self->ioas;

	for (unsigned int i = 0; i < PAGE; i++)
		self->buf[i] = i * 3 + 1;
	/* One mapping before the attachment, one after */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, IOVA));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_NE(self->ioas, pt);
	EXPECT_EQ(1, vm_pin(0));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 2 * PAGE,
				 PAGE, IOVA + 16 * PAGE));
	ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + 16 * PAGE, LEN));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + 2 * PAGE, LEN));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

/* Not a byte goes where the device may not write */
TEST_F(real, blocked)
{
	__u64 ro = IOVA + 16 * PAGE;
	__u32 pt = self->ioas;

	memset(self->buf, 0xaa, PAGE);
	memset(self->buf + PAGE, 0x11, 2 * PAGE);
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, IOVA));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf + PAGE, PAGE,
			      MAP_FIX | MAP_R, &ro));
	ASSERT_TRUE(edu_dma(&self->edu, IOVA, LEN, false));
	/* Read-only */
	ASSERT_TRUE(edu_dma(&self->edu, ro, LEN, true));
	EXPECT_EQ(0x11, self->buf[PAGE]);
	EXPECT_EQ(0x11, self->buf[PAGE + LEN - 1]);
	/* Unmapped, with the translation used before */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 2 * PAGE,
				 PAGE, IOVA + 32 * PAGE));
	ASSERT_TRUE(edu_dma(&self->edu, IOVA + 32 * PAGE, LEN / 2, true));
	EXPECT_EQ(0xaa, self->buf[2 * PAGE]);
	EXPECT_EQ(0x11, self->buf[2 * PAGE + LEN / 2]);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, IOVA + 32 * PAGE, PAGE,
				NULL));
	ASSERT_TRUE(edu_dma(&self->edu, IOVA + 32 * PAGE, LEN, true));
	EXPECT_EQ(0x11, self->buf[2 * PAGE + LEN / 2]);
	/* Detached */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 2 * PAGE,
				 PAGE, IOVA + 32 * PAGE));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	ASSERT_TRUE(edu_dma(&self->edu, IOVA + 32 * PAGE, LEN, true));
	EXPECT_EQ(0x11, self->buf[2 * PAGE + LEN / 2]);
}

/* The same IOVA in two spaces, and the device moved between them */
TEST_F(real, replace)
{
	__u32 ioas2, pt = self->ioas;

	memset(self->buf, 0x5a, PAGE);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, IOVA));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, self->buf + PAGE, PAGE,
				 IOVA));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	ASSERT_TRUE(edu_dma(&self->edu, IOVA, LEN, false));
	pt = ioas2;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_EQ(1, vm_pin(0));
	ASSERT_TRUE(edu_dma(&self->edu, IOVA, LEN, true));
	EXPECT_EQ(0x5a, self->buf[PAGE]);
	EXPECT_EQ(0x5a, self->buf[PAGE + LEN - 1]);
	memset(self->buf, 0x33, PAGE);
	ASSERT_TRUE(edu_dma(&self->edu, IOVA, LEN, true));
	EXPECT_EQ(0x33, self->buf[0]);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, vfio_detach(self->edu.dev));
}

/* Two devices' worth of page tables over the same memory, pinned once */
TEST_F(real, second_page_table)
{
	__u32 hwpt, pt = self->ioas;

	memset(self->buf, 0x77, PAGE);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 IOVA));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid, self->ioas, 0, &hwpt));
	EXPECT_EQ(4, vm_pin(0));
	pt = hwpt;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_EQ(hwpt, pt);
	EXPECT_EQ(4, vm_pin(0));
	ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + 3 * PAGE, LEN));
	EXPECT_EQ(0x77, self->buf[3 * PAGE]);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, hwpt));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt));
	EXPECT_EQ(0, vm_pin(0));
}

/* What the hardware keeps for itself is not to be mapped */
TEST_F(real, reserved_regions)
{
	struct iommu_iova_range r[64];
	__u32 pt = self->ioas, num = ARRAY_LEN(r);
	__u64 align, iova;

	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	ASSERT_EQ(0, ioas_ranges(self->fd, self->ioas, r, &num, &align));
	ASSERT_LT(0, num);
	EXPECT_EQ(0, align & (align - 1));
	for (__u32 i = 0; i + 1 < num; i++) {
		EXPECT_LT(r[i].last + 1, r[i + 1].start);
		iova = r[i].last + 1;
		iova = (iova + align - 1) / align * align;
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE, iova))
			TH_LOG("%#llx", iova);
	}
#ifdef __x86_64__
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      0xfee00000));
#endif
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	num = ARRAY_LEN(r);
	ASSERT_EQ(0, ioas_ranges(self->fd, self->ioas, r, &num, &align));
	EXPECT_EQ(1, num);
	EXPECT_EQ(1, align);
}

TEST_F(real, hw_info)
{
	__u8 data[64] = {};
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = self->devid,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};

	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &cmd));
	TH_LOG("type %u length %u capabilities %#llx", cmd.out_data_type,
	       cmd.data_len, (unsigned long long)cmd.out_capabilities);
	if (cmd.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD) {
		struct iommu_hw_info_vtd *vtd = (void *)data;

		EXPECT_EQ(sizeof(*vtd), cmd.data_len);
		EXPECT_NE(0, vtd->cap_reg);
	}
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, BAD_ID));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->devid));
}

/* Where a message is DMA like any other, every page table lets it through */
TEST_F(real, interrupts)
{
	__u32 ioas2, hwpt, pt = self->ioas;
	int irq;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	irq = edu_irq_setup(&self->edu);
	ASSERT_LE(0, irq);
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));

	pt = ioas2;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	/* Of the same IOAS */
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid, ioas2, 0, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	/* One that was used before */
	pt = hwpt;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));

	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(0, close(irq));
}

/*
 * What was reserved for the device's messages is free when it has left, also in
 * a page table that stays.
 */
TEST_F(real, interrupts_leave_nothing)
{
	struct iommu_iova_range r[64];
	__u32 hwpt, pt, num = ARRAY_LEN(r);
	unsigned int holes = 0;
	__u64 align;
	int irq;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid, self->ioas, 0, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	irq = edu_irq_setup(&self->edu);
	ASSERT_LE(0, irq);
	ASSERT_TRUE(edu_irq_works(&self->edu, irq));
	ASSERT_EQ(0, ioas_ranges(self->fd, self->ioas, r, &num, &align));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));

	for (__u32 i = 0; i + 1 < num; i++, holes++) {
		EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
					 r[i].last + 1))
			TH_LOG("%#llx", r[i].last + 1);
	}
	if (holes)
		EXPECT_EQ(EADDRINUSE, vfio_attach(self->edu.dev, &pt));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	/* A failed attempt did not leave anything, either */
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(0, close(irq));
}

/* The owner dies with the device attached and a transfer under way */
TEST_F(real, closed_while_busy)
{
	__u32 pt = self->ioas;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 IOVA));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	edu_dma_start(&self->edu, IOVA, LEN, true);
}

/*
 * An emulated device beside it: the mdev sample "mtty", which uses the IOAS
 * from inside the kernel.
 */
#define MTTY "/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1/create"
#define MDEV "/sys/bus/mdev/devices/" MDEV_UUID
#define MDEV_UUID "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

FIXTURE(mdev)
{
	int fd, dev;
	__u32 devid, ioas;
	__u8 *buf;
};

FIXTURE_SETUP(mdev)
{
	OPEN_OR_SKIP(self->fd);
	if (access(MDEV, F_OK) && sysfs_write(MTTY, MDEV_UUID))
		SKIP(return, "no mtty (CONFIG_SAMPLE_VFIO_MDEV_MTTY): %s",
		     strerror(errno));
	self->dev = open_cdev_of(MDEV);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, vfio_bind(self->dev, self->fd, &self->devid));
	self->buf = buf_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(mdev)
{
	if (self->dev >= 0)
		EXPECT_EQ(0, close(self->dev));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, sysfs_write(MDEV "/remove", "1"));
	EXPECT_EQ(0, vm_pin(0));
}

TEST_F(mdev, attach_replace_detach)
{
	__u32 ioas2, pt = self->devid, num = 0;
	__u64 align;

	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->devid));
	/* No page table to attach to, only an IOAS */
	EXPECT_EQ(ENOENT, vfio_attach(self->dev, &pt));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->dev, &pt));
	EXPECT_EQ(self->ioas, pt);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	ioas_ranges(self->fd, self->ioas, NULL, &num, &align);
	EXPECT_EQ(PAGE, align);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, 0));
	/* It has not pinned anything yet */
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	pt = ioas2;
	ASSERT_EQ(0, vfio_attach(self->dev, &pt));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, ioas2));
	ASSERT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas2));
}

TEST_F(mdev, refuses_parts_of_pages)
{
	__u32 pt = self->ioas;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 1, 1));
	EXPECT_EQ(EADDRINUSE, vfio_attach(self->dev, &pt));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->dev, &pt));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, 1, 1));
}

/* With the other one in the same IOAS, and in the same context */
TEST_F(mdev, shares_with_pci)
{
	__u32 pt = self->ioas, pci_id;
	char bdf[256];
	int pci, rc;

	if (!find_edu(0, bdf, sizeof(bdf)))
		SKIP(return, "no PCI device 1234:11e8 (qemu -device edu)");
	pci = open_pci_cdev(bdf);
	if (pci < 0)
		SKIP(return, "%s has no VFIO cdev", bdf);
	rc = vfio_bind(pci, self->fd, &pci_id);
	if (rc == EPERM)
		SKIP(return, "%s has no isolated MSIs", bdf);
	ASSERT_EQ(0, rc);
	EXPECT_NE(self->devid, pci_id);
	ASSERT_EQ(0, vfio_attach(self->dev, &pt));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 IOVA));
	EXPECT_EQ(0, vm_pin(0));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(pci, &pt));
	EXPECT_EQ(4, vm_pin(0));
	/* Either leaves without the other */
	ASSERT_EQ(0, close(self->dev));
	self->dev = -1;
	EXPECT_EQ(4, vm_pin(0));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, IOVA, 4 * PAGE, NULL));
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, close(pci));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

TEST_HARNESS_MAIN
