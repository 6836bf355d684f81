// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMU, vDEVICE, vEVENTQ and HW_QUEUE objects, and the memory a vIOMMU
 * offers to mmap.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 8
#define BASE ((__u64)MOCK_APERTURE_START)
#define TYPE IOMMU_VIOMMU_TYPE_SELFTEST
#define VEVENT IOMMU_VEVENTQ_TYPE_SELFTEST
#define HWQ IOMMU_HW_QUEUE_TYPE_SELFTEST

FIXTURE(viommu)
{
	int fd;
	__u32 ioas, parent, viommu, nested;
	struct mock_dev dev;
	__u8 *buf;
};

FIXTURE_SETUP(viommu)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  NULL, 0, &self->viommu));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, self->viommu,
				       0, 0, IOMMU_TEST_IOTLB_DEFAULT,
				       &self->nested));
}

FIXTURE_TEARDOWN(viommu)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, NR * PAGE));
	EXPECT_EQ(0, vm_pin(0));
}

#define REPLACE(id) \
	mock_replace(self->fd, self->dev.stdev, &(__u32){ id })

TEST_F(viommu, alloc_errors)
{
	__u32 plain, id;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&plain));
	EXPECT_EQ(EOPNOTSUPP, viommu_alloc(self->fd, BAD_ID, BAD_ID, 0, NULL,
					   0, NULL));
	EXPECT_EQ(ENOENT, viommu_alloc(self->fd, BAD_ID, self->parent, TYPE,
				       NULL, 0, NULL));
	EXPECT_EQ(ENOENT, viommu_alloc(self->fd, self->ioas, self->parent,
				       TYPE, NULL, 0, NULL));
	EXPECT_EQ(EOPNOTSUPP, viommu_alloc(self->fd, self->dev.idev, BAD_ID,
					   0xdead, NULL, 0, NULL));
	EXPECT_EQ(ENOENT, viommu_alloc(self->fd, self->dev.idev, BAD_ID, TYPE,
				       NULL, 0, NULL));
	EXPECT_EQ(ENOENT, viommu_alloc(self->fd, self->dev.idev, self->nested,
				       TYPE, NULL, 0, NULL));
	EXPECT_EQ(EINVAL, viommu_alloc(self->fd, self->dev.idev, plain, TYPE,
				       NULL, 0, NULL));
	EXPECT_EQ(EINVAL, viommu_alloc(self->fd, self->dev.idev,
				       self->dev.hwpt, TYPE, NULL, 0, NULL));
	/* The driver's data: too short, too long, unreadable */
	EXPECT_EQ(EINVAL, viommu_alloc(self->fd, self->dev.idev, self->parent,
				       TYPE, self->buf, 7, NULL));
	EXPECT_EQ(EINVAL, viommu_alloc(self->fd, self->dev.idev, self->parent,
				       TYPE, self->buf, 25, NULL));
	EXPECT_EQ(EFAULT, viommu_alloc(self->fd, self->dev.idev, self->parent,
				       TYPE, NULL, 24, NULL));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(plain + 1, id);
}

TEST_F(viommu, users)
{
	__u32 second;

	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->parent));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->viommu));
	/* Several on one parent */
	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  NULL, 0, &second));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->nested));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->viommu));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->parent));
	/* It does not need the device any more */
	EXPECT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
	EXPECT_EQ(0, iommu_destroy(self->fd, second));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->parent));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

TEST_F(viommu, nested)
{
	struct iommu_hwpt_selftest data = {};
	__u32 vdev;

	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, self->nested,
					  IOMMU_TEST_IOTLB_DEFAULT));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc_nested(self->fd, self->dev.idev,
						self->viommu,
						IOMMU_HWPT_ALLOC_NEST_PARENT,
						0, 0, NULL));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc_nested(self->fd, self->dev.idev,
						self->viommu,
						IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
						0, 0, NULL));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc_nested(self->fd, self->dev.idev,
						self->viommu, 1U << 31, 0, 0,
						NULL));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc(self->fd, self->dev.idev,
					 self->viommu, 0, NULL));
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc_data(self->fd, self->dev.idev,
					      self->viommu, 0, 0,
					      IOMMU_HWPT_DATA_VTD_S1, &data, 8,
					      NULL));
	EXPECT_EQ(ENOENT, hwpt_alloc_nested(self->fd, self->dev.idev,
					    self->viommu,
					    IOMMU_HWPT_FAULT_ID_VALID, BAD_ID,
					    0, NULL));
	/* The mock wants to know the device by its virtual ID */
	EXPECT_EQ(ENOENT, REPLACE(self->nested));
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->dev.stdev, 0,
				      self->dev.hwpt));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x99, &vdev));
	EXPECT_EQ(0, REPLACE(self->nested));
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->dev.stdev, 0,
				      self->nested));
}

TEST_F(viommu, nested_faults)
{
	struct iommu_hwpt_pgfault f;
	__u32 fault, id, vdev;
	int q, rc;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x99, &vdev));
	ASSERT_EQ(0, fault_alloc(self->fd, &fault, &q));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, self->viommu,
				       IOMMU_HWPT_FAULT_ID_VALID, fault, 0,
				       &id));
	rc = REPLACE(id);
	if (rc == ENODEV)
		SKIP(return, "kernel without CONFIG_IOMMU_IOPF");
	ASSERT_EQ(0, rc);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	EXPECT_EQ(0, mock_iopf(self->fd, self->dev.idev, 0, 5,
			       IOMMU_PGFAULT_PERM_READ, 0x1000));
	EXPECT_EQ(sizeof(f), read(q, &f, sizeof(f)));
	EXPECT_EQ(5, f.grpid);
	EXPECT_EQ(0, REPLACE(self->nested));
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
	close(q);
	EXPECT_EQ(0, iommu_destroy(self->fd, fault));
}

static void *map_region(int fd, struct iommu_viommu_selftest *data, int prot)
{
	return mmap(NULL, data->out_mmap_length, prot, MAP_SHARED, fd,
		    data->out_mmap_offset);
}

TEST_F(viommu, mmap)
{
	struct iommu_viommu_selftest data = { .in_data = 0xbeef }, data2 = {};
	__u64 len, off;
	__u32 id, id2;
	__u32 *mem;

	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  &data, sizeof(data), &id));
	EXPECT_EQ(0xbeef, data.out_data);
	EXPECT_EQ(2 * PAGE, data.out_mmap_length);
	EXPECT_NE(0, data.out_mmap_offset);
	EXPECT_EQ(0, data.out_mmap_offset % PAGE);
	len = data.out_mmap_length;
	off = data.out_mmap_offset;
	/* Exactly the region, shared and without code */
	struct {
		__u64 len, off;
		int prot, flags, rc;
	} t[] = {
		{ len, off + PAGE, PROT_READ, MAP_SHARED, ENXIO },
		{ len, off + len, PROT_READ, MAP_SHARED, ENXIO },
		{ len, 0, PROT_READ, MAP_SHARED, ENXIO },
		{ len / 2, off, PROT_READ, MAP_SHARED, ENXIO },
		{ 2 * len, off, PROT_READ, MAP_SHARED, ENXIO },
		{ len / 2, off + PAGE, PROT_READ, MAP_SHARED, ENXIO },
		{ len, off, PROT_READ, MAP_PRIVATE, EINVAL },
		{ len, off, PROT_READ | PROT_EXEC, MAP_SHARED, EPERM },
	};
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		errno = 0;
		EXPECT_EQ(MAP_FAILED, mmap(NULL, t[i].len, t[i].prot,
					   t[i].flags, self->fd, t[i].off))
			TH_LOG("entry %u", i);
		EXPECT_EQ(t[i].rc, errno)
			TH_LOG("entry %u", i);
	}
	mem = map_region(self->fd, &data, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(0xbeef, mem[0]);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	/* Each part of a split mapping holds it */
	ASSERT_EQ(0, munmap(mem, PAGE));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	ASSERT_EQ(0, munmap((void *)mem + PAGE, PAGE));
	/* A second region elsewhere; a second look at the first */
	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  &data2, sizeof(data2), &id2));
	EXPECT_LE(2 * PAGE, data2.out_mmap_offset > off ?
		  data2.out_mmap_offset - off : off - data2.out_mmap_offset);
	mem = map_region(self->fd, &data, PROT_READ);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(0xbeef, mem[0]);
	ASSERT_EQ(0, munmap(mem, len));
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
	EXPECT_EQ(MAP_FAILED, map_region(self->fd, &data, PROT_READ));
	EXPECT_EQ(ENXIO, errno);
	/* The range is free again */
	data.in_data = 1;
	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  &data, sizeof(data), &id));
	EXPECT_EQ(off, data.out_mmap_offset);
}

/* What was refused cannot be had later; a child's mapping counts as well */
TEST_F(viommu, mmap_later)
{
	struct iommu_viommu_selftest data = { .in_data = 0x5a };
	int status, go[2];
	__u32 id, *mem;
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  &data, sizeof(data), &id));
	mem = map_region(self->fd, &data, PROT_READ);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(-1, mprotect(mem, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, mprotect(mem, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(MAP_FAILED, mremap(mem, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		_exit(mem[0] == 0x5a ? 0 : 2);
	}
	ASSERT_EQ(0, munmap(mem, data.out_mmap_length));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	ASSERT_EQ(1, write(go[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
}

/* A mapping keeps the context, closed or not */
TEST_F(viommu, mmap_outlives_descriptor)
{
	struct iommu_viommu_selftest data = { .in_data = 0x77 };
	__u32 *mem;

	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  &data, sizeof(data), NULL));
	mem = map_region(self->fd, &data, PROT_READ);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, close(self->fd));
	EXPECT_EQ(0x77, mem[0]);
	ASSERT_EQ(0, munmap(mem, data.out_mmap_length));
	self->fd = dup(0);
}

TEST_F(viommu, vdevice)
{
	struct mock_dev dev2;
	__u32 a, b, viommu2;

	EXPECT_EQ(ENOENT, vdevice_alloc(self->fd, BAD_ID, self->dev.idev, 1,
					NULL));
	EXPECT_EQ(ENOENT, vdevice_alloc(self->fd, self->viommu, self->ioas, 1,
					NULL));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 1,
				   &a));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->viommu));
	/* One per device, one per virtual ID */
	EXPECT_EQ(EEXIST, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
					2, NULL));
	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  NULL, 0, &viommu2));
	EXPECT_EQ(EEXIST, vdevice_alloc(self->fd, viommu2, self->dev.idev, 2,
					NULL));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev2));
	EXPECT_EQ(EEXIST, vdevice_alloc(self->fd, self->viommu, dev2.idev, 1,
					NULL));
	/* The failure left that device free */
	ASSERT_EQ(0, vdevice_alloc(self->fd, viommu2, dev2.idev, 1, &b));
	EXPECT_EQ(0, iommu_destroy(self->fd, b));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, dev2.idev, ~0ULL,
				   &b));
	/* Gone, device and virtual ID are free; 0 is an ID as well */
	EXPECT_EQ(0, iommu_destroy(self->fd, a));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 0,
				   &a));
	EXPECT_EQ(0, iommu_destroy(self->fd, b));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, dev2.idev, 1, &b));
}

/* Destroyable while its device is attached */
TEST_F(viommu, vdevice_of_an_attached_device)
{
	__u32 vdev;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 5,
				   &vdev));
	ASSERT_EQ(0, REPLACE(self->nested));
	EXPECT_EQ(0, iommu_destroy(self->fd, vdev));
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->dev.stdev, 0,
				      self->nested));
}

/* The device goes: the vDEVICE's number is never seen again */
TEST_F(viommu, tombstone)
{
	__u32 vdev, id;
	__u64 val;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 5,
				   &vdev));
	ASSERT_EQ(0, REPLACE(self->nested));
	ASSERT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, vdev));
	for (int i = 0; i < 8; i++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &id));
		EXPECT_NE(vdev, id);
	}
	/* The rest is there and works without it */
	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, self->nested,
					  IOMMU_TEST_IOTLB_DEFAULT));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->nested));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->parent));
	EXPECT_EQ(0, option_get(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
}

/* Still an object when it comes to options of the context */
TEST_F(viommu, tombstone_counts)
{
	__u32 vdev;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 5,
				   &vdev));
	ASSERT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
	ASSERT_EQ(0, iommu_destroy(self->fd, self->nested));
	ASSERT_EQ(0, iommu_destroy(self->fd, self->viommu));
	ASSERT_EQ(0, iommu_destroy(self->fd, self->parent));
	ASSERT_EQ(0, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(EBUSY, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
}

/* Destroyed by hand it leaves none */
TEST_F(viommu, no_tombstone)
{
	__u32 vdev, id;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 5,
				   &vdev));
	ASSERT_EQ(0, iommu_destroy(self->fd, vdev));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(vdev, id);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
}

#define INV IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST
#define ENTRY sizeof(struct iommu_viommu_invalidate_selftest)
#define EXPECT_INV(want, want_num, type, ptr, len, n)                          \
	do {                                                                   \
		__u32 __n = (n);                                               \
		EXPECT_EQ(want, hwpt_invalidate(self->fd, self->viommu, type,  \
						ptr, len, &__n));              \
		EXPECT_EQ(want_num, __n);                                      \
	} while (0)

TEST_F(viommu, invalidate)
{
	struct iommu_viommu_invalidate_selftest e[3] = {
		{ .vdev_id = 0x99, .cache_id = 1 },
		{ .vdev_id = 0x99, .cache_id = 3 },
		{ .vdev_id = 0x98, .cache_id = 2 },
	};
	__u8 longer[2][16] = {};
	__u32 vdev;

	EXPECT_INV(EINVAL, 0, INV, e, ENTRY, 1);
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x99, &vdev));
	EXPECT_EQ(0, mock_check_cache_all(self->fd, self->dev.idev,
					  IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_INV(0, 0, INV, NULL, 0, 0);
	EXPECT_INV(EINVAL, 0, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID,
		   NULL, 0, 0);
	EXPECT_INV(EINVAL, 0, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID,
		   e, ENTRY, 1);
	EXPECT_INV(EINVAL, 0, INV, NULL, ENTRY, 1);
	EXPECT_INV(EINVAL, 0, INV, e, 0, 1);
	EXPECT_INV(EFAULT, 0, INV, (void *)8, ENTRY, 1);
	/* Two are done, the third is of no device */
	EXPECT_INV(EINVAL, 2, INV, e, ENTRY, 3);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, mock_check_cache(self->fd, self->dev.idev, i,
					      i % 2 ? 0 :
					      IOMMU_TEST_DEV_CACHE_DEFAULT));
	e[0].flags = 2;
	EXPECT_INV(EOPNOTSUPP, 0, INV, e, ENTRY, 1);
	e[0] = (struct iommu_viommu_invalidate_selftest){
		.flags = IOMMU_TEST_INVALIDATE_FLAG_ALL, .vdev_id = 0x99,
		.cache_id = 4,
	};
	EXPECT_INV(EINVAL, 0, INV, e, ENTRY, 1);
	e[0].cache_id = 0;
	/* Longer entries are fine as long as the rest is zero */
	memcpy(longer[0], &e[0], ENTRY);
	longer[0][15] = 1;
	EXPECT_INV(E2BIG, 0, INV, longer, 16, 1);
	longer[0][15] = 0;
	EXPECT_INV(0, 1, INV, longer, 16, 1);
	EXPECT_EQ(0, mock_check_cache_all(self->fd, self->dev.idev, 0));
}

/*
 * Event queues.
 */
struct vevent {
	struct iommufd_vevent_header head;
	__u32 virt_id;
};

#define EV sizeof(struct vevent)
#define HDR sizeof(struct iommufd_vevent_header)
#define LOST IOMMU_VEVENTQ_FLAG_LOST_EVENTS

static short ready(int q)
{
	struct pollfd p = { .fd = q, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

#define EXPECT_EVENT(seq)                                                      \
	do {                                                                   \
		struct vevent __e = {};                                        \
		ASSERT_EQ(EV, read(q, &__e, EV));                              \
		EXPECT_EQ(0, __e.head.flags);                                  \
		EXPECT_EQ(seq, __e.head.sequence);                             \
		EXPECT_EQ(0x99, __e.virt_id);                                  \
	} while (0)
#define EXPECT_LOST(seq)                                                       \
	do {                                                                   \
		struct vevent __e = {};                                        \
		ASSERT_EQ(HDR, read(q, &__e, EV));                             \
		EXPECT_EQ(LOST, __e.head.flags);                               \
		EXPECT_EQ(seq, __e.head.sequence);                             \
	} while (0)
#define EVENT() ASSERT_EQ(0, mock_vevent(self->fd, self->dev.idev))

TEST_F(viommu, veventq_alloc)
{
	__u32 id, id2;
	int q, q2;

	EXPECT_EQ(EOPNOTSUPP, veventq_alloc(self->fd, BAD_ID, 0, 0, &id, &q));
	EXPECT_EQ(EINVAL, veventq_alloc(self->fd, BAD_ID, VEVENT, 0, &id,
					&q));
	EXPECT_EQ(EINVAL, veventq_alloc(self->fd, BAD_ID, VEVENT,
					(1 << 19) + 1, &id, &q));
	EXPECT_EQ(ENOENT, veventq_alloc(self->fd, BAD_ID, VEVENT, 1, &id,
					&q));
	EXPECT_EQ(ENOENT, veventq_alloc(self->fd, self->nested, VEVENT, 1,
					&id, &q));
	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, VEVENT, 1 << 19,
				   &id, &q));
	EXPECT_EQ(EEXIST, veventq_alloc(self->fd, self->viommu, VEVENT, 1,
					&id2, &q2));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	close(q);
	EXPECT_EQ(EEXIST, veventq_alloc(self->fd, self->viommu, VEVENT, 1,
					&id2, &q2));
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, VEVENT, 1, &id,
				   &q));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->viommu));
	close(q);
}

TEST_F(viommu, veventq_file)
{
	char link[64] = {}, path[64];
	__u32 id;
	int q;

	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, VEVENT, 1, &id,
				   &q));
	EXPECT_EQ(FD_CLOEXEC, fcntl(q, F_GETFD) & FD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", q);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_STREQ("anon_inode:[iommufd-viommu-event]", link);
	EXPECT_EQ(-1, write(q, path, 8));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(q, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, read(q, path, HDR - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(q, path, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, read(q, path, HDR));
	EXPECT_EQ(0, ready(q));
	close(q);
}

TEST_F(viommu, events)
{
	struct vevent e[3];
	__u32 vdev, id;
	int q;

	/* Not for a device that is elsewhere */
	EXPECT_EQ(ENOENT, mock_vevent(self->fd, self->dev.idev));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x99, &vdev));
	ASSERT_EQ(0, REPLACE(self->nested));
	EXPECT_EQ(EOPNOTSUPP, mock_vevent(self->fd, self->dev.idev));
	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, VEVENT, 8, &id,
				   &q));
	EVENT();
	EXPECT_EQ(POLLIN, ready(q));
	/* An event is read whole or not at all */
	EXPECT_EQ(-1, read(q, e, HDR));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(q, e, HDR - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(q, BAD_PTR, EV));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EVENT(0);
	EXPECT_EQ(0, ready(q));
	EXPECT_EQ(0, read(q, e, EV));
	for (int i = 0; i < 3; i++)
		EVENT();
	/* Two and a half fit two */
	ASSERT_EQ(2 * EV, read(q, e, 2 * EV + HDR));
	EXPECT_EQ(1, e[0].head.sequence);
	EXPECT_EQ(2, e[1].head.sequence);
	EXPECT_EVENT(3);
	close(q);
	/* A new queue begins anew */
	EVENT();
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, VEVENT, 8, &id,
				   &q));
	EXPECT_EQ(0, read(q, e, EV));
	EVENT();
	EXPECT_EVENT(0);
	close(q);
}

static void *wait_readable(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	return (void *)(long)(poll(&p, 1, 20000) == 1 && p.revents & POLLIN);
}

/* Whoever waits for an event is woken by it */
TEST_F(viommu, event_wakes)
{
	__u32 vdev, id;
	pthread_t thread;
	void *woken;
	int q;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x99, &vdev));
	ASSERT_EQ(0, REPLACE(self->nested));
	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, VEVENT, 1, &id,
				   &q));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_readable, &q));
	usleep(100000);
	EVENT();
	ASSERT_EQ(0, pthread_join(thread, &woken));
	EXPECT_NE(NULL, woken);
	EXPECT_EVENT(0);
	close(q);
}

TEST_F(viommu, lost_events)
{
	__u32 vdev, id;
	__u8 raw[3 * EV];
	int q;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x99, &vdev));
	ASSERT_EQ(0, REPLACE(self->nested));
	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, VEVENT, 2, &id,
				   &q));
	/* 0 and 1 stored, 2 to 4 lost: one marker with the latest */
	for (int i = 0; i < 5; i++)
		EVENT();
	EXPECT_EVENT(0);
	EXPECT_EVENT(1);
	EXPECT_EQ(POLLIN, ready(q));
	EXPECT_LOST(4);
	EXPECT_EQ(0, ready(q));
	EXPECT_EQ(0, read(q, raw, EV));
	/* Read marker gone; the next loss has one of its own */
	for (int i = 0; i < 3; i++)
		EVENT();
	EXPECT_EVENT(5);
	/* Room again: the marker gives way to a gap */
	EVENT();
	EXPECT_EVENT(6);
	EXPECT_EVENT(8);
	EXPECT_EQ(0, read(q, raw, EV));
	/* Events and marker in one read */
	for (int i = 0; i < 3; i++)
		EVENT();
	ASSERT_EQ(2 * EV + HDR, read(q, raw, sizeof(raw)));
	EXPECT_EQ(LOST, ((struct iommufd_vevent_header *)
			 (raw + 2 * EV))->flags);
	EXPECT_EQ(11, ((struct iommufd_vevent_header *)
		       (raw + 2 * EV))->sequence);
	close(q);
}

/*
 * Hardware queues.
 */
#define QUEUE(index, iova, len, id) \
	hw_queue_alloc(self->fd, self->viommu, HWQ, index, iova, len, id)

TEST_F(viommu, hw_queue_errors)
{
	__u32 id;
	void *hole;

	EXPECT_EQ(EOPNOTSUPP, hw_queue_alloc(self->fd, BAD_ID, 0, 0, 0, 0,
					     &id));
	EXPECT_EQ(EINVAL, hw_queue_alloc(self->fd, BAD_ID, HWQ, 0, 0, 0,
					 &id));
	EXPECT_EQ(EOVERFLOW, hw_queue_alloc(self->fd, BAD_ID, HWQ, 0, ~0ULL,
					    PAGE, &id));
	EXPECT_EQ(ENOENT, hw_queue_alloc(self->fd, BAD_ID, HWQ, 0, BASE, PAGE,
					 &id));
	EXPECT_EQ(EOPNOTSUPP, hw_queue_alloc(self->fd, self->viommu, 0x1234, 0,
					     BASE, PAGE, &id));
	EXPECT_EQ(ENOENT, QUEUE(0, BASE, PAGE, &id));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	EXPECT_EQ(EIO, QUEUE(1, BASE, PAGE, &id));
	EXPECT_EQ(EINVAL, QUEUE(2, BASE, PAGE, &id));
	EXPECT_EQ(ENOENT, QUEUE(0, BASE, PAGE + 1, &id));
	/* Not to be read */
	hole = self->buf + PAGE;
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, hole, PAGE,
			      MAP_FIX | MAP_W, (__u64[]){ BASE + 2 * PAGE }));
	EXPECT_EQ(EPERM, QUEUE(0, BASE + 2 * PAGE, PAGE, &id));
	/* A mapping that is not of whole pages, anywhere in the IOAS */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 2 * PAGE,
				 MOCK_PAGE_SIZE, BASE + 8 * PAGE));
	EXPECT_EQ(EADDRINUSE, QUEUE(0, BASE, PAGE, &id));
	/* No attempt left a pin */
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE, 0));
}

TEST_F(viommu, hw_queue)
{
	__u32 q0, q1;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + PAGE, PAGE,
				 BASE + PAGE));
	ASSERT_EQ(0, QUEUE(0, BASE, PAGE, &q0));
	EXPECT_EQ(EEXIST, QUEUE(0, BASE, PAGE, &q1));
	EXPECT_EQ(EBUSY, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(0, mock_check_map(self->fd, self->parent, BASE, self->buf,
				    PAGE));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + PAGE, PAGE,
				NULL));
	/* Pinned by the page table and the queue: once */
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, PAGE, 1));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf,
				      MOCK_PAGE_SIZE, BASE + 4 * PAGE));
	ASSERT_EQ(0, QUEUE(1, BASE + PAGE / 2, PAGE / 2, &q1));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->viommu));
	/* In the order the hardware needs */
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, q0));
	EXPECT_EQ(0, iommu_destroy(self->fd, q1));
	EXPECT_EQ(0, iommu_destroy(self->fd, q0));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, PAGE, 0));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
				 MOCK_PAGE_SIZE, BASE + 4 * PAGE));
}

/* A queue is not asked to give up what an access is asked for */
TEST_F(viommu, hw_queue_and_access)
{
	int access;
	__u32 id;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + PAGE, PAGE,
				 BASE + PAGE));
	ASSERT_EQ(0, QUEUE(0, BASE, PAGE, &id));
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &access));
	ASSERT_EQ(0, access_pin(self->fd, access, BASE + PAGE, PAGE, NULL, 0,
				NULL));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + PAGE, PAGE, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf + PAGE, PAGE, 0));
	EXPECT_EQ(EBUSY, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, PAGE, 1));
	close(access);
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
}

/* Left to the closing of the context, with the dependency */
TEST_F(viommu, hw_queue_left)
{
	__u32 q0, q1;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, QUEUE(0, BASE, PAGE, &q0));
	ASSERT_EQ(0, QUEUE(1, BASE, PAGE, &q1));
}

/* Memory that hardware could not walk */
TEST_F(viommu, hw_queue_scattered)
{
	__u32 id;

	/* The same page twice is never contiguous */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				 BASE + PAGE));
	EXPECT_EQ(EFAULT, QUEUE(0, BASE, 2 * PAGE, &id));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, PAGE, 0));
}

TEST_HARNESS_MAIN
