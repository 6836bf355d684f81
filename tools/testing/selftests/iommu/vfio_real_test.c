// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that really does DMA, behind a real (or emulated) IOMMU: QEMU's
 * "edu", which copies between its 4 KiB buffer and memory. Needs root, VFIO
 * with the device cdev, and "-device edu". The device is given to vfio-pci.
 */
#include "kselftest_harness.h"
#include "edu.h"
#include "test_modules/vfio_emulated.h"

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
	ASSERT_LT(1, num);
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
	switch (cmd.out_data_type) {
	case IOMMU_HW_INFO_TYPE_INTEL_VTD:
		EXPECT_EQ(sizeof(struct iommu_hw_info_vtd), cmd.data_len);
		EXPECT_NE(0, ((struct iommu_hw_info_vtd *)data)->cap_reg);
		break;
	case IOMMU_HW_INFO_TYPE_ARM_SMMUV3:
		EXPECT_EQ(sizeof(struct iommu_hw_info_arm_smmuv3),
			  cmd.data_len);
		EXPECT_NE(0, ((struct iommu_hw_info_arm_smmuv3 *)data)->idr[0]);
		break;
	case IOMMU_HW_INFO_TYPE_AMD:
		EXPECT_EQ(sizeof(struct iommu_hw_info_amd), cmd.data_len);
		EXPECT_NE(0, ((struct iommu_hw_info_amd *)data)->efr);
		break;
	default:
		/* A driver without that operation */
		EXPECT_EQ(IOMMU_HW_INFO_TYPE_NONE, cmd.out_data_type);
		EXPECT_EQ(0, cmd.data_len);
	}
	/* A buffer that is larger is cleared, a smaller one is filled */
	EXPECT_EQ(0, data[sizeof(data) - 1]);
	cmd.data_len = 4;
	memset(data, 0xff, sizeof(data));
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(0xff, data[4]);
	/* A type that no driver has; without the operation any will do */
	cmd.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	cmd.in_data_type = 0x7fff;
	EXPECT_EQ(cmd.data_len ? EOPNOTSUPP : 0,
		  iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, BAD_ID));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->devid));
}

/* Does the hardware have two stages, as far as the driver tells? */
static bool has_two_stages(const struct iommu_hw_info *info)
{
	const void *data = (const void *)(uintptr_t)info->data_uptr;

	switch (info->out_data_type) {
	case IOMMU_HW_INFO_TYPE_INTEL_VTD:
		/* ECAP.NEST */
		return ((const struct iommu_hw_info_vtd *)data)->ecap_reg >>
			       26 & 1;
	case IOMMU_HW_INFO_TYPE_ARM_SMMUV3:
		return (((const struct iommu_hw_info_arm_smmuv3 *)data)->idr[0] &
			3) == 3;
	case IOMMU_HW_INFO_TYPE_AMD:
		/* EFR.GTSup and GIOSup */
		return (((const struct iommu_hw_info_amd *)data)->efr >> 4 & 1) &&
		       (((const struct iommu_hw_info_amd *)data)->efr >> 48 & 1);
	default:
		return false;
	}
}

/* Whatever the hardware reports it can is to be had, and nothing else */
TEST_F(real, features)
{
	__u8 data[64] = {};
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = self->devid,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};
	bool dirty, pasid, nested;
	__u32 hwpt, id;

	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &info));
	dirty = info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
	nested = has_two_stages(&info);
	EXPECT_EQ(dirty ? 0 : EOPNOTSUPP,
		  hwpt_alloc(self->fd, self->devid, self->ioas,
			     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	EXPECT_EQ(nested ? 0 : EOPNOTSUPP,
		  hwpt_alloc(self->fd, self->devid, self->ioas,
			     IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt));
	/* This depends on the IOMMU, not on whether the device has any */
	pasid = !hwpt_alloc(self->fd, self->devid, self->ioas,
			    IOMMU_HWPT_ALLOC_PASID, &id);
	TH_LOG("dirty tracking: %d, two stages: %d, PASIDs: %d", dirty, nested,
	       pasid);
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc(self->fd, self->devid, self->ioas,
					 1U << 31, &id));

	/* What the driver has of a vIOMMU, nesting_test says */
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid, self->ioas, 0, &id));
	EXPECT_EQ(EOPNOTSUPP, hwpt_set_dirty(self->fd, id, true));
	EXPECT_EQ(EOPNOTSUPP, viommu_alloc(self->fd, self->devid, id,
					   IOMMU_VIOMMU_TYPE_DEFAULT, NULL, 0,
					   NULL));
	/* Not on this HWPT, whatever types there are */
	EXPECT_NE(0, viommu_alloc(self->fd, self->devid, id,
				  IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0,
				  NULL));
	/* The device has no PASID capability, whatever the IOMMU can */
	if (pasid) {
		struct vfio_device_attach_iommufd_pt attach = {
			.argsz = sizeof(attach),
			.flags = VFIO_DEVICE_ATTACH_PASID,
			.pasid = 1,
			.pt_id = id,
		};

		EXPECT_NE(0, iommu_cmd(self->edu.dev,
				       VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	}
}

/* Where the IOMMU can force snooping it does, and tells */
TEST_F(real, cache_coherency)
{
	int cc, snoops = can_snoop(self->fd, self->devid);

	ASSERT_EQ(0, container_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &self->ioas));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
	cc = ioctl(self->fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU);
	TH_LOG("snooping is %s", cc ? "enforced" : "not enforced");
	if (snoops >= 0)
		EXPECT_EQ(snoops, cc);
}

#define VTD_DEBUG "/sys/kernel/debug/iommu/intel"

/* The entry of VT-d's page table for an IOVA, or 0 if that cannot be seen */
static __u64 vtd_entry(const char *bdf, __u64 iova)
{
	unsigned long long pfn, entry, found = 0;
	char path[400], line[300];
	FILE *f;

	snprintf(path, sizeof(path), VTD_DEBUG "/%s/domain_translation_struct",
		 bdf);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "0x%llx |", &pfn) == 1 && pfn == iova / 4096 &&
		    sscanf(strrchr(line, 'x') + 1, "%llx", &entry) == 1)
			found = entry;
	}
	if (f)
		fclose(f);
	return found;
}

/* VT-d's second stage page tables, those without ECAP.SMTS, say so by entry */
TEST_F(real, snooping_by_entry)
{
	__u64 data[8] = {};
	struct iommu_hw_info_vtd *vtd = (void *)data;
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = self->devid,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};

	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &info));
	if (info.out_data_type != IOMMU_HW_INFO_TYPE_INTEL_VTD ||
	    vtd->ecap_reg >> 43 & 1)
		return;
	if (access(VTD_DEBUG, F_OK))
		SKIP(return, "kernel without CONFIG_INTEL_IOMMU_DEBUGFS");

	/* One mapping before the attachment, one after */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, IOVA));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				 IOVA + PAGE));
	EXPECT_EQ(3, vtd_entry(self->edu.bdf, IOVA) & 3);
	for (__u64 iova = IOVA; iova <= IOVA + PAGE; iova += PAGE)
		EXPECT_EQ(can_snoop(self->fd, self->devid),
			  vtd_entry(self->edu.bdf, iova) >> 11 & 1);
}

/* The kernel's list of what is reserved for a group: the next line */
static bool next_region(FILE *f, __u64 *start, __u64 *last, char type[32])
{
	unsigned long long s, l;

	do {
		if (fscanf(f, "%llx %llx %31s", &s, &l, type) != 3)
			return false;
	} while (!strcmp(type, "direct-relaxable"));
	*start = s;
	*last = l;
	return true;
}

/* What a device keeps for itself collides with what is there, or is kept out */
TEST_F(real, reserved_regions_collide)
{
	struct iommu_iova_range range;
	__u32 ioas2, pt, used;
	char path[100], type[32];
	unsigned int num = 0;
	__u64 start = 0, last;
	FILE *f;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, IOVA));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, self->buf, PAGE, IOVA));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	used = pt;
	snprintf(path, sizeof(path),
		 "/sys/kernel/iommu_groups/%d/reserved_regions",
		 self->edu.group);
	f = fopen(path, "re");
	ASSERT_NE(NULL, f);
	for (; next_region(f, &start, &last, type); num++) {
		start &= -PAGE;
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE, start));
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE, last & -PAGE));
		/* A failed replacement leaves all as it was, also in between */
		ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, self->buf, PAGE,
					 start));
		pt = ioas2;
		EXPECT_EQ(EADDRINUSE, vfio_attach(self->edu.dev, &pt))
			TH_LOG("%s at %#llx", type, start);
		EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
					      PAGE, start));
		EXPECT_TRUE(edu_dma(&self->edu, IOVA, LEN, false));
		EXPECT_EQ(0, ioas_unmap(self->fd, ioas2, start, PAGE, NULL));
		/* So does a promise to keep it free */
		range.start = start;
		range.last = start + PAGE - 1;
		ASSERT_EQ(0, ioas_allow(self->fd, ioas2, &range, 1));
		pt = ioas2;
		EXPECT_EQ(EADDRINUSE, vfio_attach(self->edu.dev, &pt));
		ASSERT_EQ(0, ioas_allow(self->fd, ioas2, NULL, 0));
	}
	fclose(f);
	TH_LOG("%u regions", num);
	EXPECT_LT(0, num);
	pt = ioas2;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_NE(used, pt);
	/* They have moved along */
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, ioas2, self->buf, PAGE, start));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, start));
	pt = self->ioas;
	EXPECT_EQ(EADDRINUSE, vfio_attach(self->edu.dev, &pt));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(EADDRINUSE, vfio_attach(self->edu.dev, &pt));
	EXPECT_EQ(0, ioas_map_at(self->fd, ioas2, self->buf, PAGE, start));
}

/* Somebody else's device */
TEST_F(real, one_owner)
{
	__u32 id, pt = self->ioas;
	int fd, dev;

	EXPECT_EQ(EINVAL, vfio_bind(self->edu.dev, self->fd, &id));
	fd = iommu_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(self->edu.dev));
	dev = self->edu.dev;
	EXPECT_EQ(EBADF, vfio_attach(dev, &pt));
	/* The registers are still mapped, which keeps VFIO's file */
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->devid));
	munmap(self->edu.bar, self->edu.bar_len);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, self->devid));
	self->edu = (struct edu){ .dev = -1, .unsafe = self->edu.unsafe };
	EXPECT_EQ(0, close(fd));
}

/* Interrupts that devices can forge are refused, until somebody decides */
TEST_F(real, unsafe_interrupts)
{
	bool unsafe = self->edu.unsafe;

	edu_close(&self->edu);
	ASSERT_EQ(0, edu_open(&self->edu, 0));
	EXPECT_EQ(unsafe ? EPERM : 0,
		  vfio_bind(self->edu.dev, self->fd, &self->devid));
	/* The log has the remedy */
	EXPECT_EQ(unsafe, kmsg_has("does not isolate interrupts",
				   "iommufd.allow_unsafe_interrupts=1"));
	if (unsafe)
		EXPECT_EQ(0, edu_bind(&self->edu, self->fd, &self->devid));
	EXPECT_EQ(unsafe, self->edu.unsafe);
	ASSERT_EQ(0, edu_start(&self->edu));
	EXPECT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
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
	/* Another HWPT of the same IOAS */
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
	/* Messages have a place everywhere, so that there was one at least */
	ASSERT_LT(0, holes);
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

/* The mock's devices are behind an IOMMU of another driver */
TEST_F(real, other_iommu)
{
	const __u64 iova = MOCK_APERTURE_START;
	struct mock_dev mock;
	__u32 own, pt;

	if (!has_mock(self->fd))
		SKIP(return, "kernel without CONFIG_IOMMUFD_TEST");
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 iova));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &mock));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid, self->ioas, 0, &own));

	/* Neither takes that of the other: to begin with, or in place of its own */
	EXPECT_EQ(EINVAL, vfio_attach(self->edu.dev, &(__u32){ mock.hwpt }));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ own }));
	EXPECT_EQ(EINVAL, vfio_attach(self->edu.dev, &(__u32){ mock.hwpt }));
	EXPECT_EQ(EINVAL, mock_replace(self->fd, mock.stdev,
				       &(__u32){ own }));
	EXPECT_EQ(0, mock_pasid_check(self->fd, mock.stdev, 0, mock.hwpt));

	/* The device goes on with its own */
	memset(self->buf, 0x5a, PAGE);
	ASSERT_TRUE(edu_dma(&self->edu, iova, LEN, false));
	ASSERT_TRUE(edu_dma(&self->edu, iova + PAGE, LEN, true));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + PAGE, LEN));

	/* The IOAS has an automatic one for each of the two */
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	EXPECT_NE(mock.hwpt, pt);
	EXPECT_NE(own, pt);
	memset(self->buf + PAGE, 0, PAGE);
	ASSERT_TRUE(edu_dma(&self->edu, iova + PAGE, LEN, true));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + PAGE, LEN));
	EXPECT_EQ(2, vm_pin(0));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
}

/*
 * Two devices that nothing keeps from reaching each other, or that the IOMMU
 * cannot even tell apart.
 */
FIXTURE(group)
{
	int fd;
	struct edu edu[2];
	__u32 devid[2], ioas, ioas2;
	__u8 *buf;
};

FIXTURE_VARIANT(group)
{
	const char *qemu;
	/* The two are functions of one device */
	bool functions;
};

FIXTURE_VARIANT_ADD(group, functions)
{
	.qemu = "-device edu,addr=1e.0,multifunction=on -device edu,addr=1e.1",
	.functions = true,
};

/* Both have the ID of the bridge; not every IOMMU driver can do that */
FIXTURE_VARIANT_ADD(group, bridge)
{
	.qemu = "-device pcie-pci-bridge,id=b -device edu,bus=b,addr=1 -device edu,bus=b,addr=2",
};

FIXTURE_SETUP(group)
{
	unsigned int nr = 0;
	struct edu *a = &self->edu[0], *b = &self->edu[1];

	OPEN_OR_SKIP(self->fd);
	/* Beside each other in the order of addresses */
	for (;; nr++) {
		EDU_OPEN_OR_SKIP(a, nr);
		if (edu_open(b, nr + 1))
			SKIP(return, "no two in a group (%s)", variant->qemu);
		/* The address without the function */
		if (a->group == b->group &&
		    !strncmp(a->bdf, b->bdf, strlen(a->bdf) - 1) ==
			    variant->functions)
			break;
		edu_close(a);
		edu_close(b);
	}
	for (unsigned int i = 0; i < 2; i++)
		ASSERT_EQ(0, edu_bind(&self->edu[i], self->fd,
				      &self->devid[i]));
	for (unsigned int i = 0; i < 2; i++)
		ASSERT_EQ(0, edu_start(&self->edu[i]));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas2));
	self->buf = buf_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->buf);
	/* Pages 0 and 1 here, 2 and 3 there */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 IOVA));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas2, self->buf + 2 * PAGE,
				 2 * PAGE, IOVA));
}

FIXTURE_TEARDOWN(group)
{
	/* The second one has found the option set */
	edu_close(&self->edu[1]);
	edu_close(&self->edu[0]);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

/* Through which IOAS does the device read and write? 0 for neither. */
static int ioas_in_use(struct edu *edu, __u8 *buf)
{
	static __u8 round;
	int used = 0;

	round++;
	for (unsigned int i = 0; i < 4; i++)
		memset(buf + i * PAGE, (i + 1) << 5 | (round & 31), PAGE);
	if (!edu_copy(edu, IOVA, IOVA + PAGE, LEN))
		return -1;
	for (unsigned int i = 1; i < 4; i += 2) {
		const __u8 *src = buf + (i - 1) * PAGE, *dst = buf + i * PAGE;

		if (!memcmp(src, dst, LEN))
			used = used ? -1 : (i + 1) / 2;
		else if (dst[0] == src[0] || dst[LEN - 1] == src[0])
			return -1;
	}
	return used;
}

#define IOAS_IN_USE(i) ioas_in_use(&self->edu[i], self->buf)
#define GROUP_ATTACH(i, pt) vfio_attach(self->edu[i].dev, &(__u32){ pt })
#define GROUP_DETACH(i) vfio_detach(self->edu[i].dev)

/* The second one joins the first, and the last one to leave ends it */
TEST_F(group, joins_and_leaves)
{
	for (unsigned int last = 0; last < 2; last++) {
		__u32 first = !last, pt = self->ioas, pt2 = self->ioas;

		ASSERT_EQ(0, vfio_attach(self->edu[0].dev, &pt));
		EXPECT_EQ(2, vm_pin(0));
		EXPECT_EQ(EINVAL, GROUP_ATTACH(1, self->ioas2));
		ASSERT_EQ(0, vfio_attach(self->edu[1].dev, &pt2));
		EXPECT_EQ(pt, pt2);
		EXPECT_EQ(2, vm_pin(0));
		EXPECT_EQ(1, IOAS_IN_USE(0));
		EXPECT_EQ(1, IOAS_IN_USE(1));

		ASSERT_EQ(0, GROUP_DETACH(first));
		/* One DMA cannot be told from the other */
		EXPECT_EQ(1, IOAS_IN_USE(last));
		EXPECT_EQ(1, IOAS_IN_USE(first));
		EXPECT_EQ(EBUSY, iommu_destroy(self->fd, pt));
		EXPECT_EQ(2, vm_pin(0));
		/* Not attached, so there is nothing to replace */
		EXPECT_EQ(EINVAL, GROUP_ATTACH(first, self->ioas2));
		EXPECT_EQ(1, IOAS_IN_USE(last));

		ASSERT_EQ(0, GROUP_DETACH(last));
		EXPECT_EQ(0, IOAS_IN_USE(0));
		EXPECT_EQ(0, IOAS_IN_USE(1));
		EXPECT_EQ(ENOENT, iommu_destroy(self->fd, pt));
		EXPECT_EQ(0, vm_pin(0));
	}
}

/* A replacement moves them all, whoever asks for it */
TEST_F(group, replace_moves_both)
{
	__u32 hwpt;

	ASSERT_EQ(0, GROUP_ATTACH(0, self->ioas));
	ASSERT_EQ(0, GROUP_ATTACH(1, self->ioas));
	ASSERT_EQ(0, GROUP_ATTACH(1, self->ioas2));
	EXPECT_EQ(2, IOAS_IN_USE(0));
	EXPECT_EQ(2, IOAS_IN_USE(1));
	ASSERT_EQ(0, GROUP_ATTACH(0, self->ioas));
	EXPECT_EQ(1, IOAS_IN_USE(0));
	EXPECT_EQ(1, IOAS_IN_USE(1));
	/* Alone in between */
	ASSERT_EQ(0, GROUP_DETACH(0));
	ASSERT_EQ(0, GROUP_ATTACH(1, self->ioas2));
	EXPECT_EQ(EINVAL, GROUP_ATTACH(0, self->ioas));
	ASSERT_EQ(0, GROUP_ATTACH(0, self->ioas2));
	EXPECT_EQ(2, IOAS_IN_USE(0));
	/* With one that was made by hand, which has to be named */
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid[1], self->ioas, 0,
				&hwpt));
	ASSERT_EQ(0, GROUP_ATTACH(0, hwpt));
	EXPECT_EQ(1, IOAS_IN_USE(0));
	EXPECT_EQ(1, IOAS_IN_USE(1));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas2));
	ASSERT_EQ(0, GROUP_DETACH(1));
	EXPECT_EQ(EINVAL, GROUP_ATTACH(1, self->ioas));
	ASSERT_EQ(0, GROUP_ATTACH(1, hwpt));
	ASSERT_EQ(0, GROUP_DETACH(0));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, hwpt));
	EXPECT_EQ(1, IOAS_IN_USE(1));
	ASSERT_EQ(0, GROUP_DETACH(1));
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt));
}

/* When a group cannot move, neither device does */
TEST_F(group, failed_replace)
{
	struct iommu_iova_range r[64];
	__u32 num = ARRAY_LEN(r);
	__u64 align, hole;

	ASSERT_EQ(0, GROUP_ATTACH(0, self->ioas));
	ASSERT_EQ(0, GROUP_ATTACH(1, self->ioas));
	ASSERT_EQ(0, ioas_ranges(self->fd, self->ioas, r, &num, &align));
	if (num < 2)
		SKIP(return, "nothing is reserved here");
	hole = r[0].last + 1;
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas2, self->buf, PAGE, hole));
	EXPECT_EQ(EADDRINUSE, GROUP_ATTACH(0, self->ioas2));
	EXPECT_EQ(EADDRINUSE, GROUP_ATTACH(1, self->ioas2));
	EXPECT_EQ(1, IOAS_IN_USE(0));
	EXPECT_EQ(1, IOAS_IN_USE(1));
	/* Reserved as before, while either is there */
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      hole));
	ASSERT_EQ(0, GROUP_DETACH(0));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      hole));
	ASSERT_EQ(0, GROUP_DETACH(1));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, hole));
	EXPECT_EQ(EADDRINUSE, GROUP_ATTACH(1, self->ioas));
}

/* One is closed: the other one does not notice */
TEST_F(group, closes_one)
{
	for (unsigned int i = 0; i < 2; i++)
		ASSERT_EQ(0, GROUP_ATTACH(i, self->ioas));
	edu_close(&self->edu[0]);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, self->devid[0]));
	EXPECT_EQ(1, IOAS_IN_USE(1));
	ASSERT_EQ(0, GROUP_ATTACH(1, self->ioas2));
	EXPECT_EQ(2, IOAS_IN_USE(1));
	ASSERT_EQ(0, GROUP_DETACH(1));
	EXPECT_EQ(0, IOAS_IN_USE(1));
}

/* All of a group has one owner */
TEST_F(group, two_contexts)
{
	unsigned int nr = self->edu[1].nr;
	__u32 id;
	int fd;

	edu_close(&self->edu[1]);
	ASSERT_EQ(0, edu_open(&self->edu[1], nr));
	fd = iommu_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(EPERM, vfio_bind(self->edu[1].dev, fd, &id));
	ASSERT_EQ(0, vfio_bind(self->edu[1].dev, self->fd, &id));
	EXPECT_EQ(0, close(fd));
}

struct reset_info {
	struct vfio_pci_hot_reset_info info;
	struct vfio_pci_dependent_device devices[8];
};

/* Who is reset along, by ID. Returns an errno. */
static int reset_info(struct edu *edu, struct reset_info *reset)
{
	memset(reset, 0, sizeof(*reset));
	reset->info.argsz = sizeof(*reset);
	return iommu_cmd(edu->dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
			 &reset->info);
}

/* Allowed to whoever owns all that it affects, bound or of the same group */
TEST_F(group, hot_reset)
{
	struct vfio_pci_hot_reset all = { .argsz = sizeof(all) };
	struct edu *edu = &self->edu[0];
	struct reset_info reset;
	__u32 owned = VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
		      VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;

	if (variant->functions) {
		/* There is no bridge to do it */
		EXPECT_EQ(ENODEV, reset_info(edu, &reset));
		return;
	}
	ASSERT_EQ(0, GROUP_ATTACH(0, self->ioas));
	ASSERT_EQ(0, reset_info(edu, &reset));
	EXPECT_EQ(owned, reset.info.flags);
	ASSERT_EQ(2, reset.info.count);
	EXPECT_EQ(self->devid[0], reset.devices[0].devid);
	EXPECT_EQ(self->devid[1], reset.devices[1].devid);
	/* Not bound to anything, and nobody else can have it */
	edu_close(&self->edu[1]);
	ASSERT_EQ(0, reset_info(edu, &reset));
	EXPECT_EQ(owned, reset.info.flags);
	ASSERT_EQ(2, reset.info.count);
	EXPECT_EQ(self->devid[0], reset.devices[0].devid);
	EXPECT_EQ(VFIO_PCI_DEVID_OWNED, reset.devices[1].devid);

	ASSERT_EQ(0, iommu_cmd(edu->dev, VFIO_DEVICE_PCI_HOT_RESET, &all));
	EXPECT_EQ(1, IOAS_IN_USE(0));
}

TEST_F(group, interrupts)
{
	int irq[2];

	for (unsigned int i = 0; i < 2; i++)
		ASSERT_EQ(0, GROUP_ATTACH(i, self->ioas));
	for (unsigned int i = 0; i < 2; i++) {
		irq[i] = edu_irq_setup(&self->edu[i]);
		ASSERT_LE(0, irq[i]);
	}
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_TRUE(edu_irq_works(&self->edu[i], irq[i]));
	ASSERT_EQ(0, GROUP_ATTACH(1, self->ioas2));
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_TRUE(edu_irq_works(&self->edu[i], irq[i]));
	ASSERT_EQ(0, GROUP_DETACH(0));
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_TRUE(edu_irq_works(&self->edu[i], irq[i]));
	ASSERT_EQ(0, GROUP_DETACH(1));
	ASSERT_EQ(0, GROUP_ATTACH(0, self->ioas));
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_TRUE(edu_irq_works(&self->edu[i], irq[i]));
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_EQ(0, close(irq[i]));
}

/*
 * A mediated device: the sample "mtty", which is attached to an IOAS but never
 * looks into it.
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
	if (access(MDEV, F_OK) && write_text(MTTY, MDEV_UUID))
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
	EXPECT_EQ(0, write_text(MDEV "/remove", "1"));
	EXPECT_EQ(0, vm_pin(0));
}

TEST_F(mdev, attach_replace_detach)
{
	__u32 ioas2, pt = self->devid, num = 0;
	__u64 align = 0;

	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->devid));
	/* No page table to attach to, only an IOAS */
	EXPECT_EQ(ENOENT, vfio_attach(self->dev, &pt));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->dev, &pt));
	EXPECT_EQ(self->ioas, pt);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(EMSGSIZE, ioas_ranges(self->fd, self->ioas, NULL, &num,
					&align));
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

/*
 * An emulated device that does use the IOAS, together with the one that does
 * DMA. Needs test_modules/vfio_emulated.ko.
 */
FIXTURE(emulated)
{
	int fd, dev;
	struct edu edu;
	__u32 devid, edu_id, ioas;
	__u8 *buf;
};

FIXTURE_SETUP(emulated)
{
	OPEN_OR_SKIP(self->fd);
	self->dev = open_cdev_of(EMULATED_DEVICE);
	if (self->dev < 0)
		SKIP(return, "no test_modules/vfio_emulated.ko");
	EDU_OPEN_OR_SKIP(&self->edu, 0);
	ASSERT_EQ(0, vfio_bind(self->dev, self->fd, &self->devid));
	ASSERT_EQ(0, edu_bind(&self->edu, self->fd, &self->edu_id));
	EXPECT_NE(self->devid, self->edu_id);
	ASSERT_EQ(0, edu_start(&self->edu));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, vfio_attach(self->dev, &(__u32){ self->ioas }));
	self->buf = buf_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 IOVA));
}

FIXTURE_TEARDOWN(emulated)
{
	edu_close(&self->edu);
	if (self->dev >= 0)
		EXPECT_EQ(0, close(self->dev));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

/* The emulated device's ways to the IOAS. Each returns 0 or an errno. */
static int emulated_rw(int dev, __u64 iova, void *data, size_t len, bool write)
{
	ssize_t done = write ? pwrite(dev, data, len, iova) :
			       pread(dev, data, len, iova);

	return done < 0 ? errno : done == len ? 0 : EIO;
}

static int emulated_pin(int dev, __u64 iova, __u32 npages, bool writable)
{
	struct emulated_pin pin = {
		.iova = iova, .npages = npages, .writable = writable,
	};

	return iommu_cmd(dev, EMULATED_PIN, &pin);
}

static int emulated_fill(int dev, int byte)
{
	return ioctl(dev, EMULATED_FILL, (unsigned long)byte) ? errno : 0;
}

static int emulated_unpin(int dev)
{
	return iommu_cmd(dev, EMULATED_UNPIN, NULL);
}

/* One memory, pinned once, seen by the process and both devices */
TEST_F(emulated, shares_memory)
{
	__u8 data[64];

	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, emulated_pin(self->dev, IOVA + PAGE, 2, true));
	EXPECT_EQ(2, vm_pin(0));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
	EXPECT_EQ(4, vm_pin(0));
	EXPECT_EQ(EBUSY, emulated_pin(self->dev, IOVA, 1, true));

	/* From the process by DMA to another page, and into the kernel */
	memset(self->buf, 0x42, PAGE);
	ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + PAGE, LEN));
	ASSERT_EQ(0, emulated_rw(self->dev, IOVA + PAGE + LEN - 32, data, 64,
				 false));
	EXPECT_EQ(0x42, data[0]);
	EXPECT_EQ(0x42, data[31]);
	EXPECT_EQ(0, data[32]);
	/* From the kernel, across pages, and by DMA */
	memset(data, 0x99, sizeof(data));
	ASSERT_EQ(0, emulated_rw(self->dev, IOVA + PAGE - 32, data, 64, true));
	EXPECT_EQ(0x42, self->buf[PAGE - 33]);
	EXPECT_EQ(0x99, self->buf[PAGE - 32]);
	EXPECT_EQ(0x99, self->buf[PAGE + 31]);
	EXPECT_EQ(0x42, self->buf[PAGE + 32]);
	ASSERT_TRUE(edu_copy(&self->edu, IOVA + PAGE, IOVA + 3 * PAGE, LEN));
	EXPECT_EQ(0x99, self->buf[3 * PAGE]);
	EXPECT_EQ(0x42, self->buf[3 * PAGE + 32]);
	/* And through the pinned pages */
	ASSERT_EQ(0, emulated_fill(self->dev, 0x17));
	EXPECT_EQ(0x42, self->buf[0]);
	EXPECT_EQ(0x17, self->buf[PAGE]);
	EXPECT_EQ(0x17, self->buf[3 * PAGE - 1]);
	EXPECT_EQ(0x99, self->buf[3 * PAGE]);
	ASSERT_TRUE(edu_copy(&self->edu, IOVA + 2 * PAGE, IOVA, LEN));
	EXPECT_EQ(0x17, self->buf[0]);

	/* Either leaves without the other */
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(2, vm_pin(0));
	ASSERT_EQ(0, emulated_fill(self->dev, 0x18));
	EXPECT_EQ(0x18, self->buf[PAGE]);
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
	ASSERT_EQ(0, emulated_unpin(self->dev));
	EXPECT_EQ(4, vm_pin(0));
	ASSERT_EQ(0, vfio_detach(self->dev));
	ASSERT_TRUE(edu_copy(&self->edu, IOVA + PAGE, IOVA, LEN));
	EXPECT_EQ(0x18, self->buf[0]);
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

/* An unmap asks for the pins, and takes the memory from both */
TEST_F(emulated, gives_up_its_pins)
{
	struct emulated_unmaps unmaps;

	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
	ASSERT_EQ(0, emulated_pin(self->dev, IOVA, 3, true));
	ASSERT_EQ(0, iommu_cmd(self->dev, EMULATED_UNMAPS, &unmaps));
	EXPECT_EQ(0, unmaps.count);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, IOVA, 4 * PAGE, NULL));
	ASSERT_EQ(0, iommu_cmd(self->dev, EMULATED_UNMAPS, &unmaps));
	EXPECT_LT(0, unmaps.count);
	EXPECT_EQ(IOVA, unmaps.iova);
	EXPECT_EQ(4 * PAGE, unmaps.length);
	EXPECT_EQ(0, vm_pin(0));
	memset(self->buf, 0x55, PAGE);
	EXPECT_EQ(0, emulated_fill(self->dev, 0x66));
	EXPECT_EQ(0x55, self->buf[0]);
	ASSERT_TRUE(edu_dma(&self->edu, IOVA, LEN, true));
	EXPECT_EQ(0x55, self->buf[0]);
	EXPECT_EQ(ENOENT, emulated_pin(self->dev, IOVA, 1, false));
	EXPECT_EQ(ENOENT, emulated_rw(self->dev, IOVA, self->buf, 8, false));
}

TEST_F(emulated, honours_permissions)
{
	__u64 ro = IOVA + 16 * PAGE;
	__u8 data[8] = { 1 };

	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, 2 * PAGE,
			      MAP_FIX | MAP_R, &ro));
	EXPECT_EQ(EPERM, emulated_pin(self->dev, ro, 1, true));
	EXPECT_EQ(EPERM, emulated_rw(self->dev, ro, data, 8, true));
	EXPECT_EQ(0, self->buf[0]);
	EXPECT_EQ(0, emulated_rw(self->dev, ro, data, 8, false));
	EXPECT_EQ(0, data[0]);
	EXPECT_EQ(0, emulated_pin(self->dev, ro, 2, false));
	EXPECT_EQ(2, vm_pin(0));
	EXPECT_EQ(0, emulated_unpin(self->dev));
	/* Beyond the end there is nothing, and then nothing is pinned */
	EXPECT_EQ(ENOENT, emulated_pin(self->dev, ro + PAGE, 2, false));
	EXPECT_EQ(0, vm_pin(0));
}

/* Moved to another IOAS, it has nothing of the old one */
TEST_F(emulated, replaced_with_pins)
{
	__u32 ioas2;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, self->buf + 3 * PAGE, PAGE,
				 IOVA));
	ASSERT_EQ(0, emulated_pin(self->dev, IOVA, 3, true));
	ASSERT_EQ(0, vfio_attach(self->dev, &(__u32){ ioas2 }));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
	ASSERT_EQ(0, emulated_pin(self->dev, IOVA, 1, true));
	ASSERT_EQ(0, emulated_fill(self->dev, 0x77));
	EXPECT_EQ(0, self->buf[0]);
	EXPECT_EQ(0x77, self->buf[3 * PAGE]);
	ASSERT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas2));
}

/* The owner goes while both use its memory */
TEST_F(emulated, closed_with_pins)
{
	ASSERT_EQ(0, emulated_pin(self->dev, IOVA, 4, true));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
	edu_dma_start(&self->edu, IOVA, LEN, true);
}

/*
 * The way of programs that know nothing of iommufd: a container, a group, and
 * the device of the group.
 */
FIXTURE(container)
{
	int container, group;
	struct edu edu;
	__u8 *buf;
};

FIXTURE_SETUP(container)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];

	self->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (self->container < 0)
		SKIP(return, "no /dev/vfio/vfio");
	EDU_OPEN_OR_SKIP(&self->edu, 0);
	/* It has vfio-pci now, which is all that was wanted */
	close(self->edu.dev);
	self->edu.dev = -1;
	snprintf(path, sizeof(path), "/dev/vfio/%d", self->edu.group);
	self->group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->group) TH_LOG("%s", path);
	ASSERT_EQ(0, iommu_cmd(self->group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_TRUE(status.flags & VFIO_GROUP_FLAGS_VIABLE);
	ASSERT_EQ(0, iommu_cmd(self->group, VFIO_GROUP_SET_CONTAINER,
			       &self->container));
	ASSERT_EQ(0, ioctl(self->container, VFIO_SET_IOMMU,
			   VFIO_TYPE1v2_IOMMU));
	self->edu.dev = ioctl(self->group, VFIO_GROUP_GET_DEVICE_FD,
			      self->edu.bdf);
	if (self->edu.dev < 0 && errno == EPERM) {
		ASSERT_EQ(0, write_text(UNSAFE_MSI, "Y"));
		self->edu.unsafe = true;
		self->edu.dev = ioctl(self->group, VFIO_GROUP_GET_DEVICE_FD,
				      self->edu.bdf);
	}
	ASSERT_LE(0, self->edu.dev);
	ASSERT_EQ(0, edu_start(&self->edu));
	self->buf = buf_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(container)
{
	edu_close(&self->edu);
	EXPECT_EQ(0, close(self->group));
	EXPECT_EQ(0, close(self->container));
	EXPECT_EQ(0, vm_pin(0));
}

#define MAP_DMA(va, iova, len, flags) \
	container_map(self->container, va, iova, len, flags)

TEST_F(container, copies)
{
	__u64 len = PAGE;

	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, MAP_DMA(self->buf, IOVA, 2 * PAGE, DMA_RW));
	ASSERT_EQ(0, MAP_DMA(self->buf + 2 * PAGE, IOVA + 4 * PAGE, PAGE,
			     VFIO_DMA_MAP_FLAG_READ));
	EXPECT_EQ(EEXIST, MAP_DMA(self->buf, IOVA + PAGE, PAGE, DMA_RW));
	EXPECT_EQ(3, vm_pin(0));
	memset(self->buf, 0x31, PAGE);
	ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + PAGE, LEN));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + PAGE, LEN));
	EXPECT_EQ(0, self->buf[PAGE + LEN]);
	/* Not to be written */
	ASSERT_TRUE(edu_dma(&self->edu, IOVA + 4 * PAGE, LEN, true));
	EXPECT_EQ(0, self->buf[2 * PAGE]);
	ASSERT_EQ(0, container_unmap(self->container, IOVA + 4 * PAGE, &len));
	EXPECT_EQ(PAGE, len);
	/* Not in parts; and not there any more */
	len = PAGE;
	EXPECT_EQ(ENOENT, container_unmap(self->container, IOVA, &len));
	len = 2 * PAGE;
	ASSERT_EQ(0, container_unmap(self->container, IOVA, &len));
	EXPECT_EQ(2 * PAGE, len);
	EXPECT_EQ(0, vm_pin(0));
	memset(self->buf + PAGE, 0x32, PAGE);
	ASSERT_TRUE(edu_dma(&self->edu, IOVA + PAGE, LEN, true));
	EXPECT_EQ(0x32, self->buf[PAGE]);
	EXPECT_EQ(0x32, self->buf[PAGE + LEN - 1]);
}

TEST_F(container, interrupts)
{
	int irq = edu_irq_setup(&self->edu);

	ASSERT_LE(0, irq);
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	EXPECT_EQ(0, close(irq));
}

/* An open device keeps the container's memory, also when the group leaves */
TEST_F(container, left_while_open)
{
	ASSERT_EQ(0, MAP_DMA(self->buf, IOVA, 2 * PAGE, DMA_RW));
	ASSERT_EQ(0, iommu_cmd(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(EINVAL, iommu_cmd(self->group, VFIO_GROUP_UNSET_CONTAINER,
				    NULL));
	memset(self->buf, 0x33, PAGE);
	ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + PAGE, LEN));
	EXPECT_EQ(0x33, self->buf[PAGE]);
}

/*
 * A huge page loses a few of its pages, and is what it was but for them. At an odd
 * IOVA it is no large IOPTE, and yet an IOMMU may have been given it as a whole.
 */
static void cut_huge_page(struct __test_metadata *_metadata,
			  FIXTURE_DATA(container) *self, __u8 *huge, __u64 iova)
{
	__u64 len = 3 * PAGE;

	ASSERT_EQ(0, MAP_DMA(huge, iova, huge_size, DMA_RW));
	memset(huge, 0x51, LEN);
	ASSERT_TRUE(edu_copy(&self->edu, iova, iova + 6 * PAGE, LEN));
	EXPECT_EQ(0x51, huge[6 * PAGE]);

	ASSERT_EQ(0, container_unmap(self->container, iova + 5 * PAGE, &len));
	EXPECT_EQ(3 * PAGE, len);
	EXPECT_EQ((long)(huge_size / PAGE) - 3, vm_pin(0));
	memset(huge + 6 * PAGE, 0x52, LEN);
	ASSERT_TRUE(edu_copy(&self->edu, iova, iova + 6 * PAGE, LEN));
	EXPECT_EQ(0x52, huge[6 * PAGE]);
	ASSERT_TRUE(edu_copy(&self->edu, iova, iova + 4 * PAGE, LEN));
	EXPECT_EQ(0x51, huge[4 * PAGE]);
	ASSERT_TRUE(edu_copy(&self->edu, iova, iova + 8 * PAGE, LEN));
	EXPECT_EQ(0x51, huge[8 * PAGE]);
	ASSERT_TRUE(edu_copy(&self->edu, iova + 8 * PAGE,
			     iova + huge_size - PAGE, LEN));
	EXPECT_EQ(0x51, huge[huge_size - PAGE]);

	len = huge_size;
	ASSERT_EQ(0, container_unmap(self->container, iova, &len));
	EXPECT_EQ(huge_size - 3 * PAGE, len);
	EXPECT_EQ(0, vm_pin(0));
	memset(huge, 0, huge_size);
}

TEST_F(container, cuts_a_huge_page)
{
	__u8 *huge;

	huge = huge_size ? buf_alloc_hugetlb(huge_size) : NULL;
	if (!huge)
		SKIP(return, "no huge page: write to nr_hugepages");
	memset(huge, 0, huge_size);
	ASSERT_EQ(0, ioctl(self->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	cut_huge_page(_metadata, self, huge, IOVA);
	cut_huge_page(_metadata, self, huge, IOVA + PAGE);
	munmap(huge, huge_size);
}

/* VFIO_UPDATE_VADDR: each errno in its order. On native type1 they are the same. */
TEST_F(container, update_vaddr)
{
	const __u64 all = UINT64_MAX, two = 2 * PAGE;
	const __u64 va = (uintptr_t)self->buf;
	const __u32 drop = VFIO_DMA_UNMAP_FLAG_VADDR;
	const struct {
		__u64 va;	/* of a map; none for an unmap */
		__u64 iova, size;
		__u32 flags;
		int rc;
	} t[] = {
		{ 0, IOVA, 0, drop, EINVAL },
		{ 0, IOVA, PAGE + 1, drop, EINVAL },
		{ 0, IOVA + 1, PAGE, drop, EINVAL },
		{ 0, all - PAGE + 1, PAGE + 1, drop, EINVAL },
		{ 0, all - PAGE + 1, two, drop, EOVERFLOW },
		{ 0, IOVA, two, drop | VFIO_DMA_UNMAP_FLAG_ALL, EINVAL },
		{ 0, 0, two, drop | VFIO_DMA_UNMAP_FLAG_ALL, EINVAL },
		{ 0, IOVA, two, drop | VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		  EINVAL },
		{ 0, IOVA, two, drop | 8, EINVAL },
		{ 0, IOVA, PAGE, drop, EINVAL },
		{ 0, IOVA + PAGE, two + PAGE, drop, EINVAL },
		{ 0, IOVA + 8 * PAGE, two, drop, 0 },
		{ va, IOVA, two, 0, EINVAL },
		{ 0, IOVA, two, drop, 0 },
		{ 0, IOVA, two, drop, EINVAL },
		{ 0, IOVA, 2 * two, drop, EINVAL },
		{ 0, IOVA + two, two, drop, 0 },
		{ 0, 0, 0, drop | VFIO_DMA_UNMAP_FLAG_ALL, EINVAL },
		{ va, all, 0, 0, EINVAL },
		{ va, all - PAGE + 1, two, DMA_RW, EOVERFLOW },
		{ all - PAGE + 1, IOVA, two, DMA_RW, EOVERFLOW },
		{ va, IOVA, two, DMA_RW, EINVAL },
		{ va, IOVA, two, 8, EINVAL },
		{ va + 1, IOVA, two, 0, EINVAL },
		{ va, IOVA + 8 * PAGE + 1, two, 0, EINVAL },
		{ va, IOVA + 8 * PAGE, two + 1, 0, EINVAL },
		{ va, IOVA + 8 * PAGE, two, 0, ENOENT },
		{ va, IOVA, PAGE, 0, EINVAL },
		{ va, IOVA + PAGE, PAGE, 0, EINVAL },
		{ va, IOVA - PAGE, two + PAGE, 0, EINVAL },
		{ va, IOVA, 2 * two, 0, EINVAL },
		{ va, IOVA, two, 0, 0 },
		{ va, IOVA, two, 0, EINVAL },
		{ va + two, IOVA + two, two, 0, 0 },
	};

	EXPECT_EQ(1, ioctl(self->container, VFIO_CHECK_EXTENSION,
			   VFIO_UPDATE_VADDR));
	ASSERT_EQ(0, MAP_DMA(self->buf, IOVA, two, DMA_RW));
	ASSERT_EQ(0, MAP_DMA(self->buf + two, IOVA + two, two, DMA_RW));
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		bool mapped = t[i].iova != IOVA + 8 * PAGE;
		__u64 len = t[i].size;
		int rc;

		if (t[i].va)
			rc = container_map(self->container,
					   (void *)t[i].va, t[i].iova, len,
					   t[i].flags |
					   VFIO_DMA_MAP_FLAG_VADDR);
		else
			rc = container_unmap_flags(self->container, t[i].iova,
						   &len, t[i].flags);
		EXPECT_EQ(t[i].rc, rc)
			TH_LOG("entry %u", i);
		EXPECT_EQ(mapped || rc ? t[i].size : 0, len)
			TH_LOG("entry %u", i);
	}
	memset(self->buf, 0x41, PAGE);
	ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + two, LEN));
	EXPECT_EQ(0x41, self->buf[two + LEN - 1]);
	EXPECT_EQ(4, vm_lck(0));
}

/*
 * VFIO_UPDATE_VADDR: the program that mapped the memory replaces itself, while
 * another one has the device copy from the first page to the second.
 */
enum exec_phase {
	EXEC_STARTS,
	EXEC_MAPPED,
	EXEC_INVALID,
	EXEC_REPLACED,
	EXEC_UPDATED,
	EXEC_ENDS,
	EXEC_PHASES,
};

/* In the third page of the file that is mapped */
struct exec_state {
	enum exec_phase phase;		/* what the program has reached */
	unsigned int copies[EXEC_PHASES]; /* from begin to end in that phase */
	bool stopped;			/* there are no more copies */
};

#define EXEC_PAGES 2
#define EXEC_ENV "IOMMU_TEST_EXEC"

static __u8 *exec_map(int file)
{
	void *va = mmap(NULL, (EXEC_PAGES + 1) * PAGE, PROT_READ | PROT_WRITE,
			MAP_SHARED, file, 0);

	return va == MAP_FAILED ? NULL : va;
}

static struct exec_state *exec_state_of(__u8 *va)
{
	return (void *)(va + EXEC_PAGES * PAGE);
}

static enum exec_phase exec_phase(struct exec_state *s)
{
	return __atomic_load_n(&s->phase, __ATOMIC_ACQUIRE);
}

/* The program is there, and goes on when the device was active meanwhile */
static bool exec_reach(struct exec_state *s, enum exec_phase phase)
{
	__atomic_store_n(&s->phase, phase, __ATOMIC_RELEASE);
	for (int i = 0; i < 6000; i++) {
		if (phase == EXEC_ENDS ?
		    __atomic_load_n(&s->stopped, __ATOMIC_ACQUIRE) :
		    __atomic_load_n(&s->copies[phase], __ATOMIC_ACQUIRE) >= 2)
			return true;
		usleep(10000);
	}
	return false;
}

#define EXEC_OR_DIE(expr)                                                      \
	do {                                                                   \
		if (!(expr))                                                   \
			_exit(__LINE__ % 250 + 1);                             \
	} while (0)

static void exec_before(int container, int file)
{
	char arg[64], *argv[] = { "exec", NULL }, *env[] = { arg, NULL };
	__u8 *va = exec_map(file);
	__u64 len = EXEC_PAGES * PAGE;

	EXEC_OR_DIE(va);
	EXEC_OR_DIE(!container_map(container, va, IOVA, len, DMA_RW));
	EXEC_OR_DIE(vm_lck(0) == EXEC_PAGES);
	EXEC_OR_DIE(exec_reach(exec_state_of(va), EXEC_MAPPED));
	EXEC_OR_DIE(!container_unmap_flags(container, IOVA, &len,
					   VFIO_DMA_UNMAP_FLAG_VADDR));
	EXEC_OR_DIE(len == EXEC_PAGES * PAGE);
	EXEC_OR_DIE(exec_reach(exec_state_of(va), EXEC_INVALID));
	fcntl(container, F_SETFD, 0);
	fcntl(file, F_SETFD, 0);
	snprintf(arg, sizeof(arg), EXEC_ENV "=%d %d", container, file);
	execve("/proc/self/exe", argv, env);
	EXEC_OR_DIE(false);
}

/* The program that it is replaced by. Runs before main(). */
static void __attribute__((constructor(101))) exec_after(void)
{
	const char *arg = getenv(EXEC_ENV);
	int container, file;
	__u64 len;
	__u8 *va;

	if (!arg)
		return;
	EXEC_OR_DIE(sscanf(arg, "%d %d", &container, &file) == 2);
	page_size = sysconf(_SC_PAGESIZE);
	len = EXEC_PAGES * page_size;
	/* What is mapped first is likely to be where it was before */
	EXEC_OR_DIE(exec_map(file));
	va = exec_map(file);
	EXEC_OR_DIE(va);
	EXEC_OR_DIE(!vm_lck(0));
	EXEC_OR_DIE(exec_reach(exec_state_of(va), EXEC_REPLACED));
	EXEC_OR_DIE(!container_map(container, va, IOVA, len,
				   VFIO_DMA_MAP_FLAG_VADDR));
	EXEC_OR_DIE(vm_lck(0) == EXEC_PAGES);
	EXEC_OR_DIE(exec_reach(exec_state_of(va), EXEC_UPDATED));
	EXEC_OR_DIE(exec_reach(exec_state_of(va), EXEC_ENDS));
	EXEC_OR_DIE(!memcmp(va, va + page_size, LEN));
	EXEC_OR_DIE(!container_unmap(container, IOVA, &len));
	EXEC_OR_DIE(len == EXEC_PAGES * page_size);
	EXEC_OR_DIE(!vm_lck(0));
	_exit(0);
}

/* Data is checked before, during, and after */
TEST_F(container, exec_under_dma)
{
	int file = memfd_of((EXEC_PAGES + 1) * PAGE, 0), status = -1;
	enum exec_phase phase = EXEC_STARTS;
	struct exec_state *s;
	unsigned int round;
	pid_t pid;
	__u8 *va;

	ASSERT_LE(0, file);
	va = exec_map(file);
	ASSERT_NE(NULL, va);
	s = exec_state_of(va);
	EXPECT_EQ(1, ioctl(self->container, VFIO_CHECK_EXTENSION,
			   VFIO_UPDATE_VADDR));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		exec_before(self->container, file);
	for (round = 0; waitpid(pid, &status, WNOHANG) == 0; ) {
		phase = exec_phase(s);
		if (phase == EXEC_STARTS || phase == EXEC_ENDS) {
			s->stopped = phase == EXEC_ENDS;
			usleep(10000);
			continue;
		}
		for (unsigned int i = 0; i < LEN; i++)
			va[i] = i * 7 + round;
		ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + PAGE, LEN));
		ASSERT_EQ(0, memcmp(va, va + PAGE, LEN))
			TH_LOG("round %u, phase %u", round, phase);
		round++;
		if (phase == exec_phase(s))
			__atomic_fetch_add(&s->copies[phase], 1,
					   __ATOMIC_RELEASE);
	}
	EXPECT_EQ(0, status);
	EXPECT_EQ(EXEC_ENDS, phase);
	TH_LOG("%u copies", round);
	close(file);
}

/* The device and the group leave */
#define LEAVE()                                                                \
	do {                                                                   \
		edu_close(&self->edu);                                         \
		ASSERT_EQ(0, iommu_cmd(self->group,                            \
				       VFIO_GROUP_UNSET_CONTAINER, NULL));     \
	} while (0)
#define JOIN()                                                                 \
	ASSERT_EQ(0, iommu_cmd(self->group, VFIO_GROUP_SET_CONTAINER,          \
			       &self->container))

/* The last group takes with it what the container mapped, and nothing else */
TEST_F(container, forgets)
{
	struct vfio_iommu_type1_dirty_bitmap start = {
		.argsz = sizeof(start),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
	};
	__u32 ioas = 0, again = 0;
	int i;

	ASSERT_EQ(0, container_ioas(self->container, IOMMU_VFIO_IOAS_GET,
				    &ioas));
	ASSERT_EQ(0, ioctl(self->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(EACCES, iommu_cmd(self->container, VFIO_IOMMU_DIRTY_PAGES,
				    &start));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, MAP_DMA(self->buf, IOVA, PAGE, DMA_RW));
		/* A piece of a mapping is no less the container's */
		ASSERT_EQ(0, MAP_DMA(self->buf, IOVA + 4 * PAGE, 2 * PAGE,
				     DMA_RW));
		if (!i) {
			ASSERT_EQ(0, container_unmap(self->container,
						     IOVA + 4 * PAGE,
						     &(__u64){ PAGE }));
			ASSERT_EQ(0, ioas_map_at(self->container, ioas,
						 self->buf, PAGE,
						 IOVA + PAGE));
			ASSERT_EQ(0, ioas_copy(self->container, ioas, ioas,
					       IOVA, PAGE, MAP_FIX_RW,
					       &(__u64){ IOVA + 2 * PAGE }));
			LEAVE();
		} else {
			ASSERT_EQ(0, iommu_cmd(self->group,
					       VFIO_GROUP_UNSET_CONTAINER,
					       NULL));
		}
		JOIN();
		ASSERT_EQ(0, container_ioas(self->container,
					    IOMMU_VFIO_IOAS_GET, &again));
		EXPECT_EQ(ioas, again);
		/* Nor does it know its type */
		EXPECT_EQ(0, iommu_cmd(self->container, VFIO_IOMMU_DIRTY_PAGES,
				       &start));
		EXPECT_EQ(EEXIST, MAP_DMA(self->buf, IOVA + PAGE, PAGE,
					  DMA_RW));
		EXPECT_EQ(EEXIST, MAP_DMA(self->buf, IOVA + 2 * PAGE, PAGE,
					  DMA_RW));
	}
	EXPECT_EQ(0, MAP_DMA(self->buf, IOVA + 4 * PAGE, 2 * PAGE, DMA_RW));
}

/* Of several, the last */
TEST_F(container, keeps_until_the_last_leaves)
{
	int other = dup(self->container);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, MAP_DMA(self->buf, IOVA, PAGE, DMA_RW));
	/* The device stays behind */
	ASSERT_EQ(0, iommu_cmd(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(1, vm_pin(0));
	EXPECT_EQ(EEXIST, MAP_DMA(self->buf, IOVA, PAGE, DMA_RW));
	edu_close(&self->edu);
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, MAP_DMA(self->buf, IOVA, PAGE, DMA_RW));
	close(other);
}

/* What user space chose is its own */
TEST_F(container, leaves_a_designated_ioas)
{
	__u32 ioas = 0;

	ASSERT_EQ(0, container_ioas(self->container, IOMMU_VFIO_IOAS_GET,
				    &ioas));
	ASSERT_EQ(0, container_ioas(self->container, IOMMU_VFIO_IOAS_SET,
				    &ioas));
	ASSERT_EQ(0, MAP_DMA(self->buf, IOVA, PAGE, DMA_RW));
	LEAVE();
	JOIN();
	EXPECT_EQ(EEXIST, MAP_DMA(self->buf, IOVA, PAGE, DMA_RW));
}

/* The container is the first to go: a transfer is under way */
TEST_F(container, closed_while_busy)
{
	ASSERT_EQ(0, MAP_DMA(self->buf, IOVA, 2 * PAGE, DMA_RW));
	ASSERT_EQ(0, close(self->container));
	self->container = dup(self->group);
	memset(self->buf, 0x34, PAGE);
	ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + PAGE, LEN));
	EXPECT_EQ(0x34, self->buf[PAGE]);
	edu_dma_start(&self->edu, IOVA, LEN, true);
}

TEST_HARNESS_MAIN
