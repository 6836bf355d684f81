// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device and an IOMMU must both be able to do: DMA with a PASID, page
 * requests, and dirty bits of DMA. Needs root and two devices "edu-pcie" behind a VT-d
 * with all of that, which are in a QEMU that tools/qemu has made.
 */
#include <poll.h>

#include "kselftest_harness.h"
#include "edu.h"

#define IOVA EDU_IOVA
#define LEN EDU_LEN
#define NR 32
#define REC sizeof(struct iommu_hwpt_pgfault)

/* An address space: memory of one kind of bytes, mapped where the others are, too */
struct space {
	__u32 ioas, hwpt;
	__u8 *buf;
	__u8 byte;
};

FIXTURE(real)
{
	int fd;
	struct edu edu;
	__u32 id;
	struct space a, b, c;
};

/* @flags of the HWPT; nothing is mapped yet */
static int space_make(int fd, __u32 dev, struct space *s, __u8 byte,
		      __u32 flags, __u32 fault)
{
	int rc;

	s->byte = byte;
	s->buf = buf_alloc(NR * PAGE);
	if (!s->buf)
		return ENOMEM;
	memset(s->buf, byte, NR * PAGE);
	rc = ioas_alloc(fd, &s->ioas);
	/* Entries of one page each, so that a page is what gets dirty */
	if (!rc)
		rc = option_set(fd, IOMMU_OPTION_HUGE_PAGES, s->ioas, 0);
	return rc ?: hwpt_alloc_data(fd, dev, s->ioas, flags, fault, 0, NULL, 0,
				     &s->hwpt);
}

/* Page by page, so that any can be unmapped */
static int space_map(int fd, struct space *s, unsigned int page,
		     unsigned int nr)
{
	int rc = 0;

	for (unsigned int i = page; i < page + nr && !rc; i++)
		rc = ioas_map_at(fd, s->ioas, s->buf + i * PAGE, PAGE,
				 IOVA + i * PAGE);
	return rc;
}

/* Nobody has written to these pages */
static bool space_is_clean(const struct space *s, unsigned int page,
			   unsigned int nr)
{
	for (size_t i = page * PAGE; i < (page + nr) * PAGE; i++) {
		if (s->buf[i] != s->byte)
			return false;
	}
	return true;
}

/* The first bytes of a page are what the device had */
static bool space_has(const struct space *s, unsigned int page, __u8 byte)
{
	for (size_t i = 0; i < LEN; i++) {
		if (s->buf[page * PAGE + i] != byte)
			return false;
	}
	return true;
}

/* For a FIXTURE_SETUP() */
#define SETUP_OR_SKIP(self)                                                    \
	do {                                                                   \
		(self)->edu.dev = -1;                                          \
		OPEN_OR_SKIP((self)->fd);                                      \
		EDU_OPEN_OR_SKIP(&(self)->edu, 0);                             \
		ASSERT_EQ(0, edu_bind(&(self)->edu, (self)->fd, &(self)->id)); \
		ASSERT_EQ(0, edu_start(&(self)->edu));                         \
		if (edu_read(&(self)->edu, EDU_PASID) == ~0ULL)                \
			SKIP(return, "an edu without PASIDs");                 \
	} while (0)

FIXTURE_SETUP(real)
{
	SETUP_OR_SKIP(self);
}

FIXTURE_TEARDOWN(real)
{
	edu_close(&self->edu);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

/* One transfer of LEN bytes, and how it has to end */
#define EXPECT_DMA(want, page, to_ram, how)                                    \
	do {                                                                   \
		edu_dma_start_by(&self->edu, IOVA + (page) * PAGE, LEN,        \
				 to_ram, how);                                 \
		ASSERT_TRUE(edu_dma_wait(&self->edu));                         \
		EXPECT_EQ(want, edu_read(&self->edu, EDU_RESULT));             \
	} while (0)
#define FETCH false
#define STORE true
#define BY_PASID(pasid)                                                        \
	({                                                                     \
		edu_reg(&self->edu, EDU_PASID, pasid);                         \
		EDU_CMD_PASID;                                                 \
	})

TEST_F(real, hardware_info)
{
	struct iommu_hw_info info = { .size = sizeof(info) };

	info.dev_id = self->id;
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_INTEL_VTD, info.out_data_type);
	EXPECT_EQ(IOMMU_HW_CAP_DIRTY_TRACKING, info.out_capabilities);
	EXPECT_EQ(10, info.out_max_pasid_log2);
}

/* ---- dirty bits ---- */

/* Bits of pages */
static int dirty_pages(int fd, __u32 hwpt, __u32 flags, __u64 *pages)
{
	*pages = 0;
	return hwpt_get_dirty(fd, hwpt, flags, IOVA, NR * PAGE, PAGE, pages);
}

#define EXPECT_DIRTY(want, space, flags)                                       \
	do {                                                                   \
		__u64 __pages;                                                 \
									       \
		EXPECT_EQ(0, dirty_pages(self->fd, (space)->hwpt, flags,       \
					 &__pages));                           \
		EXPECT_EQ(want, __pages);                                      \
	} while (0)
#define LOOK(want, space)                                                      \
	EXPECT_DIRTY(want, space, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR)
#define TAKE(want, space) EXPECT_DIRTY(want, space, 0)

TEST_F(real, dirty)
{
	struct space *s = &self->a;

	ASSERT_EQ(0, space_make(self->fd, self->id, s, 0x0a,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0));
	ASSERT_EQ(0, space_map(self->fd, s, 0, NR));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &s->hwpt));
	/* What is written now is not counted */
	EXPECT_DMA(EDU_DONE, 1, FETCH, 0);
	EXPECT_DMA(EDU_DONE, 2, STORE, 0);
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, s->hwpt, true));
	TAKE(0, s);

	/* The CPU and reads leave no mark */
	memset(s->buf, 0x1a, NR * PAGE);
	EXPECT_DMA(EDU_DONE, 3, FETCH, 0);
	TAKE(0, s);
	/* But a write does, also where the IOMMU knows the way already */
	EXPECT_DMA(EDU_DONE, 3, STORE, 0);
	EXPECT_DMA(EDU_DONE, 5, STORE, 0);
	edu_dma_start(&self->edu, IOVA + 10 * PAGE - LEN / 2, LEN, STORE);
	ASSERT_TRUE(edu_dma_wait(&self->edu));
	LOOK(1 << 3 | 1 << 5 | 1 << 9 | 1 << 10, s);
	TAKE(1 << 3 | 1 << 5 | 1 << 9 | 1 << 10, s);
	TAKE(0, s);
	EXPECT_DMA(EDU_DONE, 3, FETCH, 0);
	EXPECT_DMA(EDU_DONE, 5, STORE, 0);
	TAKE(1 << 5, s);
	TAKE(0, s);

	/* Pages that come and go */
	ASSERT_EQ(0, ioas_unmap(self->fd, s->ioas, IOVA + 8 * PAGE, 4 * PAGE,
				NULL));
	EXPECT_DMA(EDU_BLOCKED, 8, STORE, 0);
	TAKE(0, s);
	ASSERT_EQ(0, space_map(self->fd, s, 8, 4));
	TAKE(0, s);
	EXPECT_DMA(EDU_DONE, 8, STORE, 0);
	TAKE(1 << 8, s);

	/* Switched off and on again, it begins anew */
	EXPECT_DMA(EDU_DONE, 4, STORE, 0);
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, s->hwpt, false));
	EXPECT_DMA(EDU_DONE, 6, STORE, 0);
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, s->hwpt, true));
	TAKE(0, s);
	EXPECT_DMA(EDU_DONE, 6, STORE, 0);
	TAKE(1 << 6, s);
}

/* An address space has one set of bits, whichever way the device gets to it */
TEST_F(real, dirty_with_pasid)
{
	const __u32 flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			    IOMMU_HWPT_ALLOC_PASID;

	ASSERT_EQ(0, space_make(self->fd, self->id, &self->a, 0x0a, flags, 0));
	ASSERT_EQ(0, space_make(self->fd, self->id, &self->b, 0x0b, flags, 0));
	ASSERT_EQ(0, space_map(self->fd, &self->a, 0, NR));
	ASSERT_EQ(0, space_map(self->fd, &self->b, 0, NR));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->a.hwpt, true));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &self->a.hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(self->edu.dev, 5, self->b.hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(self->edu.dev, 6, self->a.hwpt));
	/* This one is attached already */
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->b.hwpt, true));

	EXPECT_DMA(EDU_DONE, 1, STORE, 0);
	EXPECT_DMA(EDU_DONE, 2, STORE, BY_PASID(5));
	EXPECT_DMA(EDU_DONE, 3, STORE, BY_PASID(6));
	EXPECT_DMA(EDU_DONE, 4, STORE, EDU_CMD_ATS);
	EXPECT_DMA(EDU_DONE, 5, FETCH, EDU_CMD_ATS);
	TAKE(1 << 1 | 1 << 3 | 1 << 4, &self->a);
	TAKE(1 << 2, &self->b);
	TAKE(0, &self->a);
	TAKE(0, &self->b);
	EXPECT_DMA(EDU_DONE, 2, STORE, BY_PASID(6));
	EXPECT_DMA(EDU_DONE, 2, STORE, BY_PASID(5) | EDU_CMD_ATS);
	TAKE(1 << 2, &self->a);
	TAKE(1 << 2, &self->b);
}

/* ---- PASIDs ---- */

TEST_F(real, pasid_errors)
{
	const int dev = self->edu.dev;
	__u32 plain, pt;

	ASSERT_EQ(0, space_make(self->fd, self->id, &self->a, 0x0a,
				IOMMU_HWPT_ALLOC_PASID, 0));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->id, self->a.ioas, 0, &plain));
	EXPECT_EQ(EINVAL, vfio_attach_pasid(dev, 5, self->a.ioas));
	EXPECT_EQ(EINVAL, vfio_attach_pasid(dev, 5, plain));
	EXPECT_EQ(ENOENT, vfio_attach_pasid(dev, 5, BAD_ID));
	EXPECT_EQ(EINVAL, vfio_attach_pasid(dev, 1 << 10, self->a.hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(dev, (1 << 10) - 1, self->a.hwpt));
	/* Then the device as such needs one of that kind, too */
	pt = plain;
	EXPECT_EQ(EINVAL, vfio_attach(dev, &pt));
	pt = self->a.hwpt;
	EXPECT_EQ(0, vfio_attach(dev, &pt));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->a.hwpt));
	EXPECT_EQ(0, vfio_detach(dev));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->a.hwpt));
	EXPECT_EQ(0, vfio_detach_pasid(dev, (1 << 10) - 1));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->a.hwpt));
}

/* Fills the device's buffer with bytes that only this address space has */
#define LOAD(space_, how)                                                      \
	do {                                                                   \
		memset((space_)->buf + (NR - 1) * PAGE, (space_)->byte | 0x80, \
		       PAGE);                                                  \
		EXPECT_DMA(EDU_DONE, NR - 1, FETCH, how);                      \
	} while (0)

static int make_three(int fd, __u32 dev, struct space *a, struct space *b,
		      struct space *c)
{
	struct space *all[] = { a, b, c };
	int rc = 0;

	for (unsigned int i = 0; i < ARRAY_LEN(all) && !rc; i++) {
		rc = space_make(fd, dev, all[i], 0x0a + i,
				IOMMU_HWPT_ALLOC_PASID, 0);
		if (!rc)
			rc = space_map(fd, all[i], 0, NR);
	}
	return rc;
}

TEST_F(real, pasid_reaches_its_ioas)
{
	struct space *a = &self->a, *b = &self->b, *c = &self->c;
	const int dev = self->edu.dev;

	ASSERT_EQ(0, make_three(self->fd, self->id, a, b, c));
	ASSERT_EQ(0, vfio_attach(dev, &a->hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(dev, 5, b->hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(dev, 900, c->hwpt));

	/* Reads: from c to a; writes: from a to b */
	LOAD(c, BY_PASID(900));
	EXPECT_DMA(EDU_DONE, 0, STORE, 0);
	EXPECT_TRUE(space_has(a, 0, 0x8c));
	EXPECT_TRUE(space_is_clean(b, 0, NR - 1));
	EXPECT_TRUE(space_is_clean(c, 0, NR - 1));
	LOAD(a, 0);
	EXPECT_DMA(EDU_DONE, 1, STORE, BY_PASID(5));
	EXPECT_TRUE(space_has(b, 1, 0x8a));
	EXPECT_TRUE(space_is_clean(a, 1, NR - 2));
	EXPECT_TRUE(space_is_clean(c, 0, NR - 1));
	LOAD(b, BY_PASID(5) | EDU_CMD_ATS);
	EXPECT_DMA(EDU_DONE, 2, STORE, BY_PASID(900) | EDU_CMD_ATS);
	EXPECT_TRUE(space_has(c, 2, 0x8b));
	EXPECT_TRUE(space_is_clean(a, 1, NR - 2));
	EXPECT_TRUE(space_is_clean(b, 2, NR - 3));

	/* What is only mapped for the others is not mapped */
	ASSERT_EQ(0, ioas_unmap(self->fd, b->ioas, IOVA + 4 * PAGE, PAGE,
				NULL));
	EXPECT_DMA(EDU_BLOCKED, 4, STORE, BY_PASID(5));
	EXPECT_DMA(EDU_BLOCKED, 4, FETCH, BY_PASID(5));
	/* And what nobody attached is nothing */
	EXPECT_DMA(EDU_BLOCKED, 4, STORE, BY_PASID(6));
	EXPECT_TRUE(space_is_clean(a, 1, NR - 2));
	EXPECT_TRUE(space_is_clean(b, 2, NR - 3));
	EXPECT_TRUE(space_is_clean(c, 3, NR - 4));
	LOAD(b, BY_PASID(5));
	EXPECT_DMA(EDU_DONE, 4, STORE, BY_PASID(900));
	EXPECT_TRUE(space_has(c, 4, 0x8b));
	EXPECT_EQ(3 * NR - 1, vm_pin(0));
}

TEST_F(real, pasid_replace_and_detach)
{
	struct space *a = &self->a, *b = &self->b, *c = &self->c;
	const int dev = self->edu.dev;

	ASSERT_EQ(0, make_three(self->fd, self->id, a, b, c));
	ASSERT_EQ(0, vfio_attach(dev, &a->hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(dev, 5, b->hwpt));
	LOAD(a, 0);
	EXPECT_DMA(EDU_DONE, 0, STORE, BY_PASID(5));
	EXPECT_TRUE(space_has(b, 0, 0x8a));

	/* Another one takes its place; the device as such stays */
	ASSERT_EQ(0, vfio_attach_pasid(dev, 5, c->hwpt));
	EXPECT_DMA(EDU_DONE, 1, STORE, BY_PASID(5));
	EXPECT_TRUE(space_has(c, 1, 0x8a));
	EXPECT_TRUE(space_is_clean(b, 1, NR - 1));
	EXPECT_DMA(EDU_DONE, 1, STORE, 0);
	EXPECT_TRUE(space_has(a, 1, 0x8a));
	EXPECT_EQ(0, iommu_destroy(self->fd, b->hwpt));
	/* A replacement that fails leaves it there */
	EXPECT_EQ(EINVAL, vfio_attach_pasid(dev, 5, a->ioas));
	EXPECT_DMA(EDU_DONE, 2, STORE, BY_PASID(5));
	EXPECT_TRUE(space_has(c, 2, 0x8a));

	/* Without the device as such, it works, and without the PASID it ends */
	ASSERT_EQ(0, vfio_detach(dev));
	EXPECT_DMA(EDU_BLOCKED, 3, STORE, 0);
	EXPECT_DMA(EDU_DONE, 3, STORE, BY_PASID(5));
	EXPECT_TRUE(space_has(c, 3, 0x8a));
	ASSERT_EQ(0, vfio_detach_pasid(dev, 5));
	EXPECT_DMA(EDU_BLOCKED, 4, STORE, BY_PASID(5));
	/* That way it asks for the page, and the kernel says no */
	EXPECT_DMA(EDU_REFUSED, 4, STORE, BY_PASID(5) | EDU_CMD_ATS);
	EXPECT_TRUE(space_is_clean(c, 4, NR - 4));
	EXPECT_EQ(0, iommu_destroy(self->fd, c->hwpt));

	/* The number is free for the next */
	ASSERT_EQ(0, vfio_attach_pasid(dev, 5, a->hwpt));
	EXPECT_DMA(EDU_DONE, 4, STORE, BY_PASID(5));
	EXPECT_TRUE(space_has(a, 4, 0x8a));
	/* What is still attached goes with the device */
	edu_close(&self->edu);
	EXPECT_EQ(0, iommu_destroy(self->fd, a->hwpt));
}

/* Two devices, one PASID, two address spaces */
TEST_F(real, pasid_of_two_devices)
{
	struct edu other;
	__u32 id;

	ASSERT_EQ(0, edu_open(&other, 1));
	ASSERT_EQ(0, edu_bind(&other, self->fd, &id));
	ASSERT_EQ(0, edu_start(&other));
	ASSERT_EQ(0, make_three(self->fd, self->id, &self->a, &self->b,
				&self->c));
	ASSERT_EQ(0, vfio_attach_pasid(self->edu.dev, 5, self->a.hwpt));
	ASSERT_EQ(0, vfio_attach_pasid(other.dev, 5, self->b.hwpt));
	LOAD(&self->a, BY_PASID(5));
	edu_reg(&other, EDU_PASID, 5);
	edu_dma_start_by(&other, IOVA + (NR - 1) * PAGE, LEN, FETCH,
			 EDU_CMD_PASID);
	ASSERT_TRUE(edu_dma_wait(&other));
	edu_dma_start_by(&other, IOVA, LEN, STORE, EDU_CMD_PASID);
	EXPECT_DMA(EDU_DONE, 0, STORE, BY_PASID(5));
	ASSERT_TRUE(edu_dma_wait(&other));
	EXPECT_EQ(EDU_DONE, edu_read(&other, EDU_RESULT));
	EXPECT_TRUE(space_has(&self->a, 0, 0x8a));
	EXPECT_TRUE(space_has(&self->b, 0, 0x0b));

	/* And one address space of both, in different ways */
	ASSERT_EQ(0, vfio_detach_pasid(other.dev, 5));
	ASSERT_EQ(0, vfio_attach_pasid(other.dev, 7, self->a.hwpt));
	edu_reg(&other, EDU_PASID, 7);
	edu_dma_start_by(&other, IOVA + PAGE, LEN, STORE, EDU_CMD_PASID);
	ASSERT_TRUE(edu_dma_wait(&other));
	EXPECT_TRUE(space_has(&self->a, 1, 0x0b));
	ASSERT_EQ(0, vfio_detach_pasid(self->edu.dev, 5));
	edu_dma_start_by(&other, IOVA + 2 * PAGE, LEN, STORE, EDU_CMD_PASID);
	ASSERT_TRUE(edu_dma_wait(&other));
	EXPECT_EQ(EDU_DONE, edu_read(&other, EDU_RESULT));
	EXPECT_DMA(EDU_BLOCKED, 3, STORE, BY_PASID(5));
	edu_close(&other);
}

/* ---- page requests ---- */

FIXTURE(fault)
{
	FIXTURE_DATA(real);
	__u32 fault;
	int q;
};

/* As such, or with a PASID */
FIXTURE_VARIANT(fault)
{
	__u32 pasid;
};

FIXTURE_VARIANT_ADD(fault, device)
{
	.pasid = 0,
};

FIXTURE_VARIANT_ADD(fault, pasid)
{
	.pasid = 5,
};

static int attach(int dev, __u32 pasid, __u32 pt)
{
	return pasid ? vfio_attach_pasid(dev, pasid, pt) : vfio_attach(dev, &pt);
}

static int detach(int dev, __u32 pasid)
{
	return pasid ? vfio_detach_pasid(dev, pasid) : vfio_detach(dev);
}

FIXTURE_SETUP(fault)
{
	const __u32 flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	SETUP_OR_SKIP(self);
	ASSERT_EQ(0, fault_alloc(self->fd, &self->fault, &self->q));
	ASSERT_EQ(0, space_make(self->fd, self->id, &self->a, 0x0a, flags,
				self->fault));
	ASSERT_EQ(0, space_map(self->fd, &self->a, NR - 1, 1));
	ASSERT_EQ(0, attach(self->edu.dev, variant->pasid, self->a.hwpt));
}

FIXTURE_TEARDOWN(fault)
{
	close(self->q);
	real_teardown(_metadata, (void *)self, NULL);
}

static __u64 translated(struct edu *edu, __u32 pasid)
{
	edu_reg(edu, EDU_PASID, pasid);
	return pasid ? EDU_CMD_ATS | EDU_CMD_PASID : EDU_CMD_ATS;
}

#define BY_ATS translated(&self->edu, variant->pasid)

/* The next fault; false if none comes */
static bool next_fault(int q, struct iommu_hwpt_pgfault *f)
{
	struct pollfd pfd = { .fd = q, .events = POLLIN };

	memset(f, 0, sizeof(*f));
	return poll(&pfd, 1, 30000) == 1 && read(q, f, REC) == REC;
}

/* There is none, now that the device has ended */
static bool no_fault(int q)
{
	struct iommu_hwpt_pgfault f;

	return !read(q, &f, REC);
}

static int respond(int q, __u32 cookie, __u32 code)
{
	struct iommu_hwpt_page_response r = { .cookie = cookie, .code = code };

	return write(q, &r, sizeof(r)) == sizeof(r) ? 0 : errno;
}

/* The device wants a page that is not there, and the fault says so */
#define EXPECT_FAULT(f, page, to_ram)                                          \
	do {                                                                   \
		edu_dma_start_by(&self->edu, IOVA + (page) * PAGE, LEN,        \
				 to_ram, BY_ATS);                              \
		EXPECT_NEXT_FAULT(f, page, to_ram);                            \
	} while (0)
#define EXPECT_NEXT_FAULT(f, page, to_ram)                                     \
	do {                                                                   \
		ASSERT_TRUE(next_fault(self->q, f));                           \
		EXPECT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE |                      \
			  (variant->pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID :  \
			   0), (f)->flags);                                    \
		EXPECT_EQ(self->id, (f)->dev_id);                              \
		EXPECT_EQ(variant->pasid, (f)->pasid);                         \
		EXPECT_EQ((to_ram) ? IOMMU_PGFAULT_PERM_WRITE :                \
			  IOMMU_PGFAULT_PERM_READ, (f)->perm);                 \
		EXPECT_EQ(IOVA + (page) * PAGE, (f)->addr);                    \
		EXPECT_TRUE(edu_dma_runs(&self->edu));                         \
	} while (0)
#define EXPECT_END(want)                                                       \
	do {                                                                   \
		ASSERT_TRUE(edu_dma_wait(&self->edu));                         \
		EXPECT_EQ(want, edu_read(&self->edu, EDU_RESULT));             \
	} while (0)

/* Mapped once the device asks for it, as a user of faults would do */
TEST_F(fault, answered)
{
	struct iommu_hwpt_pgfault f;
	struct space *s = &self->a;

	LOAD(s, BY_ATS);
	EXPECT_EQ(1, vm_pin(0));
	EXPECT_FAULT(&f, 0, STORE);
	ASSERT_EQ(0, space_map(self->fd, s, 0, 1));
	EXPECT_TRUE(space_is_clean(s, 0, 1));
	ASSERT_EQ(0, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_END(EDU_DONE);
	EXPECT_TRUE(space_has(s, 0, 0x8a));
	EXPECT_EQ(2, vm_pin(0));
	EXPECT_TRUE(no_fault(self->q));

	/* It is there now; a read of another page is a fault of its own */
	EXPECT_DMA(EDU_DONE, 0, STORE, BY_ATS);
	EXPECT_TRUE(no_fault(self->q));
	EXPECT_FAULT(&f, 1, FETCH);
	memset(s->buf + PAGE, 0x11, PAGE);
	ASSERT_EQ(0, space_map(self->fd, s, 1, 1));
	ASSERT_EQ(0, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_END(EDU_DONE);
	EXPECT_DMA(EDU_DONE, 0, STORE, BY_ATS);
	EXPECT_TRUE(space_has(s, 0, 0x11));

	/* Taken away, it faults again */
	ASSERT_EQ(0, ioas_unmap(self->fd, s->ioas, IOVA, PAGE, NULL));
	EXPECT_FAULT(&f, 0, STORE);
	ASSERT_EQ(0, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_INVALID));
	EXPECT_END(EDU_REFUSED);
}

TEST_F(fault, refused)
{
	struct iommu_hwpt_pgfault f;

	LOAD(&self->a, BY_ATS);
	EXPECT_FAULT(&f, 0, STORE);
	/* A wrong answer is none */
	EXPECT_EQ(EINVAL, respond(self->q, f.cookie, 2));
	EXPECT_EQ(EINVAL, respond(self->q, f.cookie + 1,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_TRUE(edu_dma_runs(&self->edu));
	ASSERT_EQ(0, space_map(self->fd, &self->a, 0, 1));
	ASSERT_EQ(0, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_INVALID));
	EXPECT_END(EDU_REFUSED);
	EXPECT_TRUE(space_is_clean(&self->a, 0, 1));
	EXPECT_TRUE(no_fault(self->q));
}

/* The device looks for itself whether the page is there */
TEST_F(fault, asks_again)
{
	struct iommu_hwpt_pgfault f;

	LOAD(&self->a, BY_ATS);
	EXPECT_FAULT(&f, 0, STORE);
	ASSERT_EQ(0, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_NEXT_FAULT(&f, 0, STORE);
	ASSERT_EQ(0, space_map(self->fd, &self->a, 0, 1));
	ASSERT_EQ(0, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_END(EDU_DONE);
	EXPECT_TRUE(space_has(&self->a, 0, 0x8a));
}

/* A transfer across two pages needs two answers, and keeps what it has */
TEST_F(fault, two_pages)
{
	struct iommu_hwpt_pgfault f;
	struct space *s = &self->a;

	LOAD(s, BY_ATS);
	edu_dma_start_by(&self->edu, IOVA + PAGE - LEN / 2, LEN, STORE, BY_ATS);
	EXPECT_NEXT_FAULT(&f, 0, STORE);
	ASSERT_EQ(0, space_map(self->fd, s, 0, 1));
	ASSERT_EQ(0, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_NEXT_FAULT(&f, 1, STORE);
	EXPECT_EQ(0x8a, s->buf[PAGE - 1]);
	EXPECT_EQ(s->byte, s->buf[PAGE - LEN / 2 - 1]);
	ASSERT_EQ(0, space_map(self->fd, s, 1, 1));
	ASSERT_EQ(0, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_END(EDU_DONE);
	EXPECT_EQ(0x8a, s->buf[PAGE + LEN / 2 - 1]);
	EXPECT_EQ(s->byte, s->buf[PAGE + LEN / 2]);
}

/* Whoever detaches the device answers for those who were to do so */
TEST_F(fault, detached)
{
	struct iommu_hwpt_pgfault f;

	/* Read by user space, and not answered */
	EXPECT_FAULT(&f, 0, STORE);
	ASSERT_EQ(0, detach(self->edu.dev, variant->pasid));
	EXPECT_END(EDU_REFUSED);
	EXPECT_EQ(EINVAL, respond(self->q, f.cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));

	/* Or not even read */
	ASSERT_EQ(0, attach(self->edu.dev, variant->pasid, self->a.hwpt));
	edu_dma_start_by(&self->edu, IOVA, LEN, STORE, BY_ATS);
	ASSERT_EQ(1, poll(&(struct pollfd){ .fd = self->q, .events = POLLIN },
			  1, 30000));
	ASSERT_EQ(0, detach(self->edu.dev, variant->pasid));
	EXPECT_END(EDU_REFUSED);
	EXPECT_TRUE(no_fault(self->q));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->a.hwpt));
}

/* The next one has another queue, and then one has none */
TEST_F(fault, replaced)
{
	struct iommu_hwpt_pgfault f;
	__u32 id, plain;
	int q;

	ASSERT_EQ(0, fault_alloc(self->fd, &id, &q));
	ASSERT_EQ(0, space_make(self->fd, self->id, &self->b, 0x0b,
				IOMMU_HWPT_FAULT_ID_VALID |
				IOMMU_HWPT_ALLOC_PASID, id));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->id, self->b.ioas,
				IOMMU_HWPT_ALLOC_PASID, &plain));
	LOAD(&self->a, BY_ATS);
	EXPECT_FAULT(&f, 0, STORE);
	ASSERT_EQ(0, attach(self->edu.dev, variant->pasid, self->b.hwpt));
	EXPECT_END(EDU_REFUSED);
	edu_dma_start_by(&self->edu, IOVA, LEN, STORE, BY_ATS);
	ASSERT_TRUE(next_fault(q, &f));
	EXPECT_TRUE(no_fault(self->q));
	ASSERT_EQ(0, space_map(self->fd, &self->b, 0, 1));
	ASSERT_EQ(0, respond(q, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_END(EDU_DONE);
	EXPECT_TRUE(space_has(&self->b, 0, 0x8a));

	ASSERT_EQ(0, attach(self->edu.dev, variant->pasid, plain));
	EXPECT_DMA(EDU_DONE, 0, STORE, BY_ATS);
	EXPECT_DMA(EDU_REFUSED, 1, STORE, BY_ATS);
	EXPECT_TRUE(no_fault(q));
	EXPECT_EQ(0, close(q));
}

TEST_HARNESS_MAIN
