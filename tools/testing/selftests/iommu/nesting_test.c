// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two stages of translation in real (or emulated) hardware: this program is the
 * VMM and the guest at once, with an SMMUv3. Its memory is the guest's: it is
 * mapped in the parent HWPT at intermediate physical addresses (IPA), and holds
 * the context descriptor and the stage 1 page table that the IOMMU walks for
 * QEMU's "edu" device. Needs root, VFIO with the device cdev, "-device edu", and
 * an SMMUv3 with both stages that offers vIOMMUs.
 */
#include <endian.h>

#include "kselftest_harness.h"
#include "edu.h"

#define IOVA EDU_IOVA
#define LEN EDU_LEN
/* Guest memory is one buffer, somewhere below 4 GiB */
#define IPA 0x40000000ULL
/* What the guest calls the device */
#define VSID 0x1234u
#define ASID 7u

/* The pages of guest memory */
enum {
	CD_PAGE,		/* context descriptor */
	L1_PAGE, L2_PAGE, L3_PAGE,
	OTHER_L1_PAGE, OTHER_L2_PAGE, OTHER_L3_PAGE,
	DATA_PAGE,		/* what the device reads */
	A_PAGE, B_PAGE,		/* where it writes to */
	NR_PAGES,
};

#define STE_V 1ULL
#define STE_CFG(cfg) ((__u64)(cfg) << 1)
#define STE_ABORT (STE_V | STE_CFG(0))
#define STE_BYPASS (STE_V | STE_CFG(4))
#define STE_S1 (STE_V | STE_CFG(5))
#define STE_S2 (STE_V | STE_CFG(6))
#define STE1_EATS(eats) ((__u64)(eats) << 28)

/* 39 bits of IOVA in 4 KiB pages from the low table only, cacheable walks */
#define CD_TCR (25ULL | 1 << 8 | 1 << 10 | 3 << 12 | 1ULL << 30)
#define CD_V (1ULL << 31)
#define CD_AA64 (1ULL << 41)
/* Report faults, and abort what faulted */
#define CD_RECORD (3ULL << 45)
#define CD_ASET (1ULL << 47)
#define CD_ASID(asid) ((__u64)(asid) << 48)

#define PTE_TABLE 3ULL
/* Not global, accessed, shareable, for unprivileged access */
#define PTE_ATTR (1ULL << 11 | 1ULL << 10 | 3ULL << 8 | 1ULL << 6)
#define PTE_PAGE (PTE_ATTR | 3ULL)
#define PTE_BLOCK (PTE_ATTR | 1ULL)
#define PTE_RDONLY (1ULL << 7)

#define CFGI_STE 0x03
#define CFGI_CD 0x05
#define CFGI_CD_ALL 0x06
#define TLBI_NH_ALL 0x10
#define TLBI_NH_ASID 0x11
#define TLBI_NH_VA 0x12
#define TLBI_NH_VAA 0x13
#define TLBI_NSNH_ALL 0x30

#define EVT_ID(e) (le64toh((e).evt[0]) & 0xff)
#define EVT_SID(e) (le64toh((e).evt[0]) >> 32)
#define EVT_READ(e) (le64toh((e).evt[1]) >> 35 & 1)
#define EVT_ADDR(e) le64toh((e).evt[2])
#define C_BAD_CD 0x0a
#define F_TRANSLATION 0x10
#define F_PERMISSION 0x13

/* SMMU_IDR0 */
#define IDR0_BOTH_STAGES 3u

/* Where software MSIs are, for the SMMU drivers of Linux */
#define MSI_IOVA 0x8000000ULL

FIXTURE(nesting)
{
	int fd;
	struct edu edu;
	__u32 devid, ioas, parent, viommu, vdev;
	__u8 *mem;	/* the guest's */
	__u32 nested;	/* with the guest's stage 1 */
};

static __u64 ipa_of(unsigned int page)
{
	return IPA + page * PAGE;
}

static void write64(__u8 *mem, unsigned int page, unsigned int index,
		    __u64 val)
{
	((volatile __u64 *)(mem + page * PAGE))[index] = htole64(val);
	__sync_synchronize();
}

static void write_cd(__u8 *mem, unsigned int l1_page, unsigned int asid)
{
	write64(mem, CD_PAGE, 1, ipa_of(l1_page));
	write64(mem, CD_PAGE, 0, CD_TCR | CD_V | CD_AA64 | CD_RECORD | CD_ASET |
				 CD_ASID(asid));
}

/* Three levels, of which the first has 1 GiB and the second 2 MiB an entry */
static void write_tables(__u8 *mem, unsigned int l1, unsigned int l2,
			 unsigned int l3)
{
	write64(mem, l1, 0, ipa_of(l2) | PTE_TABLE);
	write64(mem, l2, IOVA >> 21, ipa_of(l3) | PTE_TABLE);
}

/* Entry @index of a last level: IOVA + index pages */
static void write_pte(__u8 *mem, unsigned int l3, unsigned int index,
		      __u64 ipa, __u64 attr)
{
	write64(mem, l3, index, ipa | attr);
}

static int nested_alloc(int fd, __u32 devid, __u32 pt, __u64 ste0, __u64 ste1,
			__u32 *hwpt)
{
	struct iommu_hwpt_arm_smmuv3 data = {
		.ste = { htole64(ste0), htole64(ste1) },
	};

	return hwpt_alloc_data(fd, devid, pt, 0, 0, IOMMU_HWPT_DATA_ARM_SMMUV3,
			       &data, sizeof(data), hwpt);
}

static int smmu_cmd(int fd, __u32 viommu, __u64 cmd0, __u64 cmd1)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmd = {
		.cmd = { htole64(cmd0), htole64(cmd1) },
	};
	__u32 num = 1;
	int rc = hwpt_invalidate(fd, viommu,
				 IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, &cmd,
				 sizeof(cmd), &num);

	/* The one entry took effect, or none did */
	return num == !rc ? rc : ERANGE;
}

static __u64 cmd_sid(unsigned int op, __u32 sid)
{
	return op | (__u64)sid << 32;
}

static __u64 cmd_asid(unsigned int op, __u32 asid)
{
	return op | (__u64)asid << 48;
}

#define NESTED_ALLOC(ste0, ste1, hwpt) \
	nested_alloc(self->fd, self->devid, self->viommu, ste0, ste1, hwpt)
#define SMMU_CMD(cmd0, cmd1) smmu_cmd(self->fd, self->viommu, cmd0, cmd1)
#define ATTACH(pt) vfio_attach(self->edu.dev, &(__u32){ pt })
#define PAGE_AT(page) (self->mem + (page) * PAGE)

FIXTURE_SETUP(nesting)
{
	struct iommu_hw_info_arm_smmuv3 smmu = {};
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.data_len = sizeof(smmu),
		.data_uptr = (uintptr_t)&smmu,
	};
	int rc;

	OPEN_OR_SKIP(self->fd);
	EDU_OPEN_OR_SKIP(&self->edu, 0);
	ASSERT_EQ(0, edu_bind(&self->edu, self->fd, &self->devid));
	info.dev_id = self->devid;
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &info));
	if (info.out_data_type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		SKIP(return, "no SMMUv3");
	ASSERT_EQ(sizeof(smmu), info.data_len);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	rc = hwpt_alloc(self->fd, self->devid, self->ioas,
			IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent);
	if ((smmu.idr[0] & IDR0_BOTH_STAGES) != IDR0_BOTH_STAGES) {
		ASSERT_EQ(EOPNOTSUPP, rc);
		SKIP(return, "an SMMUv3 with one stage only");
	}
	ASSERT_EQ(0, rc);
	rc = viommu_alloc(self->fd, self->devid, self->parent,
			  IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0, &self->viommu);
	if (rc == EOPNOTSUPP)
		SKIP(return, "no vIOMMU: the SMMU cannot enforce coherency");
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->devid, VSID,
				   &self->vdev));
	ASSERT_EQ(0, edu_start(&self->edu));

	self->mem = buf_alloc(NR_PAGES * PAGE);
	ASSERT_NE(NULL, self->mem);
	ASSERT_EQ(4096, PAGE);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem,
				 NR_PAGES * PAGE, IPA));
	write_cd(self->mem, L1_PAGE, ASID);
	write_tables(self->mem, L1_PAGE, L2_PAGE, L3_PAGE);
	write_tables(self->mem, OTHER_L1_PAGE, OTHER_L2_PAGE, OTHER_L3_PAGE);
	write_pte(self->mem, L3_PAGE, 0, ipa_of(DATA_PAGE), PTE_PAGE);
	write_pte(self->mem, L3_PAGE, 1, ipa_of(A_PAGE), PTE_PAGE);
	for (unsigned int i = 0; i < PAGE; i++)
		PAGE_AT(DATA_PAGE)[i] = i * 7 + 3;
	memset(PAGE_AT(A_PAGE), 0xaa, PAGE);
	memset(PAGE_AT(B_PAGE), 0xbb, PAGE);
	ASSERT_EQ(0, NESTED_ALLOC(STE_S1 | ipa_of(CD_PAGE), 0, &self->nested));
}

/* With everything still in place: the files are closed in either order */
FIXTURE_TEARDOWN(nesting)
{
	edu_close(&self->edu);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

/* Has the device copy from DATA to IOVA + 1 page. Where did it arrive? */
static char copied_to(struct edu *edu, __u8 *mem)
{
	const __u8 *data = mem + DATA_PAGE * PAGE;
	bool a, b;

	memset(mem + A_PAGE * PAGE, 0xaa, PAGE);
	memset(mem + B_PAGE * PAGE, 0xbb, PAGE);
	if (!edu_copy(edu, IOVA, IOVA + PAGE, LEN))
		return '?';
	a = !memcmp(data, mem + A_PAGE * PAGE, LEN);
	b = !memcmp(data, mem + B_PAGE * PAGE, LEN);
	/* To one of them only, and not a byte to the other */
	if (a && !b && mem[B_PAGE * PAGE] == 0xbb)
		return 'A';
	if (b && !a && mem[A_PAGE * PAGE] == 0xaa)
		return 'B';
	return a || b ? '?' : '-';
}

#define COPIED_TO() copied_to(&self->edu, self->mem)

TEST_F(nesting, translates_twice)
{
	ASSERT_EQ(0, ATTACH(self->nested));
	EXPECT_EQ('A', COPIED_TO());
	/* Nothing beyond what was copied */
	EXPECT_EQ(0xaa, PAGE_AT(A_PAGE)[LEN]);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->nested));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->viommu));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->parent));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));

	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ('-', COPIED_TO());
	EXPECT_EQ(0, iommu_destroy(self->fd, self->nested));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->vdev));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->parent));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

/* A changed entry is used once it was invalidated, by whichever command */
TEST_F(nesting, invalidates_stage_1)
{
	const struct {
		const char *name;
		__u64 cmd[2];
	} cmds[] = {
		{ "TLBI_NH_VA", { cmd_asid(TLBI_NH_VA, ASID), IOVA + PAGE } },
		{ "TLBI_NH_VAA", { TLBI_NH_VAA, (IOVA + PAGE) | 1 } },
		{ "TLBI_NH_ASID", { cmd_asid(TLBI_NH_ASID, ASID), 0 } },
		{ "TLBI_NH_ALL", { TLBI_NH_ALL, 0 } },
		{ "TLBI_NSNH_ALL", { TLBI_NSNH_ALL, 0 } },
	};
	char now = 'A';

	ASSERT_EQ(0, ATTACH(self->nested));
	ASSERT_EQ('A', COPIED_TO());
	for (size_t i = 0; i < ARRAY_LEN(cmds); i++) {
		char before = now, stale;

		now = before == 'A' ? 'B' : 'A';
		write_pte(self->mem, L3_PAGE, 1,
			  ipa_of(now == 'A' ? A_PAGE : B_PAGE), PTE_PAGE);
		/* Until then either may be used, but nothing else */
		stale = COPIED_TO();
		EXPECT_TRUE(stale == 'A' || stale == 'B');
		ASSERT_EQ(0, SMMU_CMD(cmds[i].cmd[0], cmds[i].cmd[1]));
		EXPECT_EQ(now, COPIED_TO()) TH_LOG("%s", cmds[i].name);
		TH_LOG("%s: the %s entry was used before", cmds[i].name,
		       stale == now ? "new" : "old");
	}
	/* One that is gone */
	write_pte(self->mem, L3_PAGE, 1, 0, 0);
	ASSERT_EQ(0, SMMU_CMD(cmds[0].cmd[0], cmds[0].cmd[1]));
	EXPECT_EQ('-', COPIED_TO());
}

/* The guest switches to another page table */
TEST_F(nesting, invalidates_the_context)
{
	write_pte(self->mem, OTHER_L3_PAGE, 0, ipa_of(DATA_PAGE), PTE_PAGE);
	write_pte(self->mem, OTHER_L3_PAGE, 1, ipa_of(B_PAGE), PTE_PAGE);
	ASSERT_EQ(0, ATTACH(self->nested));
	ASSERT_EQ('A', COPIED_TO());
	write_cd(self->mem, OTHER_L1_PAGE, ASID + 1);
	ASSERT_EQ(0, SMMU_CMD(cmd_sid(CFGI_CD, VSID), 1));
	EXPECT_EQ('B', COPIED_TO());
	write_cd(self->mem, L1_PAGE, ASID + 2);
	ASSERT_EQ(0, SMMU_CMD(cmd_sid(CFGI_CD_ALL, VSID), 0));
	EXPECT_EQ('A', COPIED_TO());
}

/* Several at once, more than the driver takes in one go */
TEST_F(nesting, invalidates_many)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmds[200];
	__u32 type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, num;

	ASSERT_EQ(0, ATTACH(self->nested));
	ASSERT_EQ('A', COPIED_TO());
	for (size_t i = 0; i < ARRAY_LEN(cmds); i++) {
		cmds[i].cmd[0] = htole64(cmd_asid(TLBI_NH_VA, ASID));
		cmds[i].cmd[1] = htole64(IOVA + i * PAGE);
	}
	write_pte(self->mem, L3_PAGE, 1, ipa_of(B_PAGE), PTE_PAGE);
	num = ARRAY_LEN(cmds);
	ASSERT_EQ(0, hwpt_invalidate(self->fd, self->viommu, type, cmds,
				     sizeof(cmds[0]), &num));
	EXPECT_EQ(ARRAY_LEN(cmds), num);
	EXPECT_EQ('B', COPIED_TO());

	/* A bad one stops it, and is the one that the count tells */
	write_pte(self->mem, L3_PAGE, 1, ipa_of(A_PAGE), PTE_PAGE);
	cmds[150].cmd[0] = htole64(CFGI_STE);
	num = ARRAY_LEN(cmds);
	EXPECT_EQ(EIO, hwpt_invalidate(self->fd, self->viommu, type, cmds,
				       sizeof(cmds[0]), &num));
	EXPECT_EQ(150, num);
	/* Those before it took effect */
	EXPECT_EQ('A', COPIED_TO());
	/* Also in its own batch, of which the driver does none */
	write_pte(self->mem, L3_PAGE, 1, ipa_of(B_PAGE), PTE_PAGE);
	cmds[2].cmd[0] = htole64(CFGI_STE);
	num = 3;
	EXPECT_EQ(EIO, hwpt_invalidate(self->fd, self->viommu, type, cmds,
				       sizeof(cmds[0]), &num));
	EXPECT_EQ(2, num);
	EXPECT_EQ('B', COPIED_TO());
}

TEST_F(nesting, refuses_commands)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmd = {
		.cmd = { htole64(TLBI_NH_ALL) },
	};
	__u8 longer[sizeof(cmd) + 8] = { TLBI_NH_ALL };
	__u32 type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, num = 1;

	/* Not the guest's to give, or with what hardware does not know */
	EXPECT_EQ(EIO, SMMU_CMD(cmd_sid(CFGI_STE, VSID), 0));
	EXPECT_EQ(EIO, SMMU_CMD(0xff, 0));
	EXPECT_EQ(EIO, SMMU_CMD(TLBI_NH_ALL, 1));
	EXPECT_EQ(EIO, SMMU_CMD(TLBI_NH_ALL | 1 << 10, 0));
	/* Stream IDs are those of vDEVICEs */
	EXPECT_EQ(EIO, SMMU_CMD(cmd_sid(CFGI_CD, VSID + 1), 0));
	EXPECT_EQ(0, SMMU_CMD(cmd_sid(CFGI_CD, VSID), 0));

	num = 1;
	EXPECT_EQ(EINVAL, hwpt_invalidate(self->fd, self->viommu,
					  IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
					  &cmd, sizeof(cmd), &num));
	EXPECT_EQ(0, num);
	/* Shorter and longer ones are taken for older and newer ones */
	num = 1;
	EXPECT_EQ(0, hwpt_invalidate(self->fd, self->viommu, type, &cmd,
				     sizeof(cmd) - 8, &num));
	EXPECT_EQ(1, num);
	EXPECT_EQ(0, hwpt_invalidate(self->fd, self->viommu, type, longer,
				     sizeof(longer), &num));
	EXPECT_EQ(1, num);
	longer[sizeof(cmd)] = 1;
	EXPECT_EQ(E2BIG, hwpt_invalidate(self->fd, self->viommu, type, longer,
					 sizeof(longer), &num));
	EXPECT_EQ(0, num);
	num = 1;
	EXPECT_EQ(EFAULT, hwpt_invalidate(self->fd, self->viommu, type, BAD_PTR,
					  sizeof(cmd), &num));
	EXPECT_EQ(0, num);
	/* It is the vIOMMU that takes them */
	num = 1;
	EXPECT_EQ(EOPNOTSUPP, hwpt_invalidate(self->fd, self->nested, type,
					      &cmd, sizeof(cmd), &num));
	EXPECT_EQ(EINVAL, hwpt_invalidate(self->fd, self->parent, type, &cmd,
					  sizeof(cmd), &num));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->vdev));
	EXPECT_EQ(EIO, SMMU_CMD(cmd_sid(CFGI_CD, VSID), 0));
	EXPECT_EQ(0, SMMU_CMD(TLBI_NH_ALL, 0));
}

/* What the VMM unmaps is gone, whatever stage 1 and the caches say */
TEST_F(nesting, stage_2_decides)
{
	__u64 b = ipa_of(NR_PAGES);
	__u8 event[64];
	int evtq;
	__u32 id;

	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu,
				   IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 16, &id,
				   &evtq));
	/* A page of its own, as parts of a mapping cannot go */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, PAGE_AT(B_PAGE), PAGE,
				 b));
	write_pte(self->mem, L3_PAGE, 1, b, PTE_PAGE);
	ASSERT_EQ(0, ATTACH(self->nested));
	ASSERT_EQ('B', COPIED_TO());
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, b, PAGE, NULL));
	EXPECT_EQ('-', COPIED_TO());
	/* A fault of stage 2 is not told to the guest */
	EXPECT_EQ(0, read(evtq, event, sizeof(event)));
	/* Read-only here, writable there */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, PAGE_AT(B_PAGE), PAGE,
			      MAP_FIX | MAP_R, &b));
	EXPECT_EQ('-', COPIED_TO());
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, b, PAGE, NULL));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, PAGE_AT(A_PAGE), PAGE,
				 b));
	EXPECT_EQ('A', COPIED_TO());
	EXPECT_EQ(0, close(evtq));
}

struct record {
	struct iommufd_vevent_header header;
	struct iommu_vevent_arm_smmuv3 event;
};

/* Bytes of the next record once there is one, or what read() says */
static ssize_t next_event(int evtq, struct record *record)
{
	struct pollfd pfd = { .fd = evtq, .events = POLLIN };

	if (poll(&pfd, 1, 3000) != 1)
		return 0;
	return read(evtq, record, sizeof(*record));
}

/* Faults of stage 1 go to the guest, in its own words */
TEST_F(nesting, reports_faults)
{
	struct record r = {};
	__u32 id, seq = 0;
	int evtq;

	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu,
				   IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 16, &id,
				   &evtq));
	write_pte(self->mem, L3_PAGE, 1, ipa_of(A_PAGE), PTE_PAGE | PTE_RDONLY);
	ASSERT_EQ(0, ATTACH(self->nested));
	ASSERT_EQ(0, read(evtq, &r, sizeof(r)));

	ASSERT_TRUE(edu_dma(&self->edu, IOVA + 2 * PAGE, 4, true));
	ASSERT_EQ(sizeof(r), next_event(evtq, &r));
	EXPECT_EQ(0, r.header.flags);
	EXPECT_EQ(seq++, r.header.sequence);
	EXPECT_EQ(F_TRANSLATION, EVT_ID(r.event));
	EXPECT_EQ(VSID, EVT_SID(r.event));
	EXPECT_EQ(IOVA + 2 * PAGE, EVT_ADDR(r.event));
	EXPECT_EQ(0, EVT_READ(r.event));

	ASSERT_TRUE(edu_dma(&self->edu, IOVA + 3 * PAGE + 8, 4, false));
	ASSERT_EQ(sizeof(r), next_event(evtq, &r));
	EXPECT_EQ(seq++, r.header.sequence);
	EXPECT_EQ(F_TRANSLATION, EVT_ID(r.event));
	EXPECT_EQ(IOVA + 3 * PAGE + 8, EVT_ADDR(r.event));

	ASSERT_TRUE(edu_dma(&self->edu, IOVA + PAGE, 4, true));
	ASSERT_EQ(sizeof(r), next_event(evtq, &r));
	EXPECT_EQ(seq++, r.header.sequence);
	EXPECT_EQ(F_PERMISSION, EVT_ID(r.event));
	EXPECT_EQ(VSID, EVT_SID(r.event));
	EXPECT_EQ(IOVA + PAGE, EVT_ADDR(r.event));
	EXPECT_EQ(0xaa, PAGE_AT(A_PAGE)[0]);

	/* The guest breaks its context descriptor */
	write64(self->mem, CD_PAGE, 0, 0);
	ASSERT_EQ(0, SMMU_CMD(cmd_sid(CFGI_CD, VSID), 0));
	ASSERT_TRUE(edu_dma(&self->edu, IOVA, 4, false));
	ASSERT_EQ(sizeof(r), next_event(evtq, &r));
	EXPECT_EQ(seq++, r.header.sequence);
	EXPECT_EQ(C_BAD_CD, EVT_ID(r.event));
	EXPECT_EQ(VSID, EVT_SID(r.event));
	EXPECT_EQ(0, read(evtq, &r, sizeof(r)));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	EXPECT_EQ(0, close(evtq));
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
}

TEST_F(nesting, counts_lost_faults)
{
	struct record r = {};
	__u32 id;
	int evtq;

	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu,
				   IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1, &id,
				   &evtq));
	ASSERT_EQ(0, ATTACH(self->nested));
	for (unsigned int i = 0; i < 3; i++)
		ASSERT_TRUE(edu_dma(&self->edu, IOVA + (4 + i) * PAGE, 4,
				    true));
	usleep(100000);
	ASSERT_EQ(sizeof(r), next_event(evtq, &r));
	EXPECT_EQ(0, r.header.flags);
	EXPECT_EQ(0, r.header.sequence);
	EXPECT_EQ(IOVA + 4 * PAGE, EVT_ADDR(r.event));
	ASSERT_EQ(sizeof(r.header), next_event(evtq, &r));
	EXPECT_EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, r.header.flags);
	EXPECT_EQ(2, r.header.sequence);
	EXPECT_EQ(0, read(evtq, &r, sizeof(r)));
	EXPECT_EQ(0, close(evtq));
}

/* Stream table entries without a stage 1 */
TEST_F(nesting, bypass_and_abort)
{
	__u32 bypass, abort, invalid;

	ASSERT_EQ(0, NESTED_ALLOC(STE_BYPASS, 0, &bypass));
	ASSERT_EQ(0, NESTED_ALLOC(STE_ABORT, 0, &abort));
	ASSERT_EQ(0, NESTED_ALLOC(0, 0, &invalid));
	/* By IPA then, at which the memory is also here */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, PAGE_AT(DATA_PAGE), PAGE,
				 IOVA));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, PAGE_AT(B_PAGE), PAGE,
				 IOVA + PAGE));
	ASSERT_EQ(0, ATTACH(bypass));
	EXPECT_EQ('B', COPIED_TO());
	ASSERT_EQ(0, ATTACH(abort));
	EXPECT_EQ('-', COPIED_TO());
	ASSERT_EQ(0, ATTACH(self->nested));
	EXPECT_EQ('A', COPIED_TO());
	ASSERT_EQ(0, ATTACH(invalid));
	EXPECT_EQ('-', COPIED_TO());
	/* Stage 2 alone, without the guest having a say */
	ASSERT_EQ(0, ATTACH(self->parent));
	EXPECT_EQ('B', COPIED_TO());
	ASSERT_EQ(0, ATTACH(self->nested));
	EXPECT_EQ('A', COPIED_TO());
	/* To another IOAS and back */
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	ASSERT_EQ(0, ATTACH(bypass));
	EXPECT_EQ('B', COPIED_TO());
}

TEST_F(nesting, moves_to_another_ioas)
{
	__u32 ioas2;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, PAGE_AT(DATA_PAGE), PAGE,
				 IOVA));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, PAGE_AT(B_PAGE), PAGE,
				 IOVA + PAGE));
	ASSERT_EQ(0, ATTACH(self->nested));
	EXPECT_EQ('A', COPIED_TO());
	/* As when the guest turns its vIOMMU off: one stage, of another IOAS */
	ASSERT_EQ(0, ATTACH(ioas2));
	EXPECT_EQ('B', COPIED_TO());
	ASSERT_EQ(0, ATTACH(self->nested));
	EXPECT_EQ('A', COPIED_TO());
	/* A mapping where messages go: nothing has changed */
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, self->mem, PAGE, MSI_IOVA));
	EXPECT_EQ(EADDRINUSE, ATTACH(ioas2));
	EXPECT_EQ('A', COPIED_TO());
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->mem, PAGE,
				      MSI_IOVA));
}

/* Their addresses go through stage 1 as well, where the guest has to map them */
TEST_F(nesting, interrupts)
{
	int irq;

	write64(self->mem, L2_PAGE, MSI_IOVA >> 21, MSI_IOVA | PTE_BLOCK);
	ASSERT_EQ(0, ATTACH(self->nested));
	irq = edu_irq_setup(&self->edu);
	ASSERT_LE(0, irq);
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	/* The doorbell is in stage 2 only */
	write64(self->mem, L2_PAGE, MSI_IOVA >> 21, 0);
	ASSERT_EQ(0, SMMU_CMD(TLBI_NH_ALL, 0));
	EXPECT_FALSE(edu_irq_works(&self->edu, irq));
	ASSERT_EQ(0, ATTACH(self->parent));
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	ASSERT_EQ(0, ATTACH(self->ioas));
	EXPECT_TRUE(edu_irq_works(&self->edu, irq));
	EXPECT_EQ(0, close(irq));
}

TEST_F(nesting, vdevice)
{
	__u32 bypass, other;

	EXPECT_EQ(EEXIST, vdevice_alloc(self->fd, self->viommu, self->devid,
					VSID + 1, &other));
	/* Without one the guest could not invalidate, so only what needs none */
	ASSERT_EQ(0, iommu_destroy(self->fd, self->vdev));
	EXPECT_EQ(ENOENT, ATTACH(self->nested));
	ASSERT_EQ(0, NESTED_ALLOC(STE_BYPASS, 0, &bypass));
	ASSERT_EQ(0, ATTACH(bypass));
	EXPECT_EQ(ENOENT, ATTACH(self->nested));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->devid, VSID,
				   &self->vdev));
	ASSERT_EQ(0, ATTACH(self->nested));
	EXPECT_EQ('A', COPIED_TO());
	/* It may go meanwhile */
	ASSERT_EQ(0, iommu_destroy(self->fd, self->vdev));
	EXPECT_EQ('A', COPIED_TO());
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->devid, VSID,
				   &self->vdev));
	/* With the device it goes for good */
	edu_close(&self->edu);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, self->vdev));
	EXPECT_EQ(0, SMMU_CMD(TLBI_NH_ALL, 0));
	EXPECT_EQ(EIO, SMMU_CMD(cmd_sid(CFGI_CD, VSID), 0));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->nested));
	EXPECT_EQ(0, iommu_destroy(self->fd, bypass));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->parent));
}

/* What the driver or iommufd does not take, and how it says so */
TEST_F(nesting, refuses_tables)
{
	struct iommu_hwpt_arm_smmuv3 ste = { .ste = { htole64(STE_BYPASS) } };
	__u32 type = IOMMU_HWPT_DATA_ARM_SMMUV3, plain, id;
	__u8 longer[sizeof(ste) + 8] = {};

	EXPECT_EQ(EIO, NESTED_ALLOC(STE_S2, 0, &id));
	/* Reserved fields, and ATS checked by stage 1 */
	EXPECT_EQ(EIO, NESTED_ALLOC(STE_S1 | 1ULL << 52, 0, &id));
	EXPECT_EQ(EIO, NESTED_ALLOC(STE_S1, 1ULL << 30, &id));
	EXPECT_EQ(EIO, NESTED_ALLOC(STE_S1, STE1_EATS(2), &id));

#define ALLOC(pt, flags, type, data, len)                                      \
	hwpt_alloc_data(self->fd, self->devid, pt, flags, 0, type, data, len,  \
			&id)
	EXPECT_EQ(EINVAL, ALLOC(self->viommu, 0, IOMMU_HWPT_DATA_VTD_S1, &ste,
				sizeof(ste)));
	EXPECT_EQ(EINVAL, ALLOC(self->viommu, 0, type, &ste, 8));
	EXPECT_EQ(EFAULT, ALLOC(self->viommu, 0, type, BAD_PTR, sizeof(ste)));
	memcpy(longer, &ste, sizeof(ste));
	EXPECT_EQ(EINVAL, ALLOC(self->viommu, 0, type, longer, sizeof(longer)));
	EXPECT_EQ(EOPNOTSUPP, ALLOC(self->viommu, 0, IOMMU_HWPT_DATA_NONE, NULL,
				    0));
	EXPECT_EQ(EINVAL, ALLOC(self->viommu, 0, IOMMU_HWPT_DATA_NONE, &ste,
				sizeof(ste)));
	EXPECT_EQ(EOPNOTSUPP, ALLOC(self->viommu, IOMMU_HWPT_ALLOC_PASID, type,
				    &ste, sizeof(ste)));
	EXPECT_EQ(EOPNOTSUPP, ALLOC(self->viommu, IOMMU_HWPT_ALLOC_NEST_PARENT,
				    type, &ste, sizeof(ste)));
	/* On the vIOMMU only; and a parent takes no data */
	EXPECT_EQ(EOPNOTSUPP, ALLOC(self->parent, 0, type, &ste, sizeof(ste)));
	EXPECT_EQ(EINVAL, ALLOC(self->nested, 0, type, &ste, sizeof(ste)));
	EXPECT_EQ(EOPNOTSUPP, ALLOC(self->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
				    type, &ste, sizeof(ste)));
#undef ALLOC

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid, self->ioas, 0, &plain));
	EXPECT_EQ(EINVAL, viommu_alloc(self->fd, self->devid, plain,
				       IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0,
				       &id));
	EXPECT_EQ(ENOENT, viommu_alloc(self->fd, self->devid, self->nested,
				       IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0,
				       &id));
	EXPECT_EQ(EOPNOTSUPP, viommu_alloc(self->fd, self->devid, self->parent,
					   IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
					   NULL, 0, &id));
	EXPECT_EQ(EOPNOTSUPP, hw_queue_alloc(self->fd, self->viommu,
					     IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
					     0, IPA, PAGE, &id));
	/* Several vIOMMUs over one parent are fine */
	EXPECT_EQ(0, viommu_alloc(self->fd, self->devid, self->parent,
				  IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0, &id));
	EXPECT_EQ(EEXIST, vdevice_alloc(self->fd, id, self->devid, VSID, &id));
}

/* The owner dies with the guest's page table in use and a transfer under way */
TEST_F(nesting, closed_while_busy)
{
	ASSERT_EQ(0, ATTACH(self->nested));
	edu_dma_start(&self->edu, IOVA, LEN, false);
}

/*
 * Two devices on one SMMU, of which only the first one cannot circumvent the
 * caches: "-device pcie-root-port,id=r -device edu,bus=r" beside the other one,
 * and test_modules/smmu_canwbs.ko.
 */
FIXTURE(coherency)
{
	int fd;
	struct edu good, bad;
	__u32 good_id, bad_id, ioas;
	__u8 *buf;
};

FIXTURE_SETUP(coherency)
{
	OPEN_OR_SKIP(self->fd);
	EDU_OPEN_OR_SKIP(&self->good, 0);
	for (unsigned int nr = 1;; nr++) {
		EDU_OPEN_OR_SKIP(&self->bad, nr);
		/* Of another bus */
		if (strncmp(self->good.bdf, self->bad.bdf, 7))
			break;
		edu_close(&self->bad);
	}
	ASSERT_EQ(0, edu_bind(&self->good, self->fd, &self->good_id));
	ASSERT_EQ(0, edu_bind(&self->bad, self->fd, &self->bad_id));
	ASSERT_EQ(0, edu_start(&self->good));
	ASSERT_EQ(0, edu_start(&self->bad));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(2 * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 IOVA));
}

FIXTURE_TEARDOWN(coherency)
{
	edu_close(&self->good);
	edu_close(&self->bad);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

static bool copies(struct edu *edu, __u8 *buf)
{
	memset(buf, 0x66, PAGE);
	memset(buf + PAGE, 0, PAGE);
	return edu_copy(edu, IOVA, IOVA + PAGE, LEN) &&
	       !memcmp(buf, buf + PAGE, LEN);
}

/* A page table that enforces coherency is not for a device that cannot */
TEST_F(coherency, enforced)
{
	__u32 hwpt, good = self->ioas, bad = self->ioas;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->good_id, self->ioas, 0, &hwpt));
	EXPECT_EQ(EINVAL, vfio_attach(self->bad.dev, &(__u32){ hwpt }));
	ASSERT_EQ(0, vfio_attach(self->good.dev, &good));
	/* Of the same IOAS it gets one of its own, */
	ASSERT_EQ(0, vfio_attach(self->bad.dev, &bad));
	EXPECT_NE(good, bad);
	EXPECT_TRUE(copies(&self->good, self->buf));
	EXPECT_TRUE(copies(&self->bad, self->buf));
	EXPECT_EQ(2, vm_pin(0));
	/* which in turn does not do for the other one unless it is named */
	ASSERT_EQ(0, vfio_detach(self->good.dev));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, good));
	good = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->good.dev, &good));
	EXPECT_NE(bad, good);
	EXPECT_EQ(0, vfio_attach(self->good.dev, &(__u32){ bad }));
	EXPECT_TRUE(copies(&self->good, self->buf));
	EXPECT_EQ(EINVAL, vfio_attach(self->bad.dev, &(__u32){ hwpt }));
	EXPECT_TRUE(copies(&self->bad, self->buf));
}

/* Nothing with two stages for that one, since a guest could not be confined */
TEST_F(coherency, no_viommu)
{
	__u32 parent, id;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->bad_id, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	EXPECT_EQ(EOPNOTSUPP, viommu_alloc(self->fd, self->bad_id, parent,
					   IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL,
					   0, &id));
	ASSERT_EQ(0, viommu_alloc(self->fd, self->good_id, parent,
				  IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0, &id));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, parent));
}

TEST_HARNESS_MAIN
