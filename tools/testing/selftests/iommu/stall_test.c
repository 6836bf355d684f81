// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory that takes forever to read or write must stop its own caller and
 * nobody else. A userfaultfd makes such memory. Whoever waits here where nobody
 * should wait does so until the harness' timeout.
 */
#include <linux/vfio.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"
#include "stall.h"

#define TYPE IOMMU_VIOMMU_TYPE_SELFTEST
#define VEVENT IOMMU_VEVENTQ_TYPE_SELFTEST
#define REC sizeof(struct iommu_hwpt_pgfault)
#define RESP sizeof(struct iommu_hwpt_page_response)
#define ROUNDS 100
#define BASE ((__u64)MOCK_APERTURE_START)
#define ENTRY_LIMIT "/sys/module/iommufd/parameters/dma_entry_limit"

FIXTURE(stall)
{
	int fd;
	__u32 ioas, parent, viommu, nested;
	struct mock_dev dev;
	struct stall stall;
	struct call call;
};

FIXTURE_SETUP(stall)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  NULL, 0, &self->viommu));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, self->viommu,
				       0, 0, IOMMU_TEST_IOTLB_DEFAULT,
				       &self->nested));
}

FIXTURE_TEARDOWN(stall)
{
	EXPECT_EQ(0, close(self->fd));
}

#define STALL_OR_SKIP(wp, content, len)                                        \
	do {                                                                   \
		int __rc = stall_init(&self->stall, wp, content, len);         \
		if (__rc)                                                      \
			SKIP(return, "no userfaultfd: %s", strerror(__rc));    \
	} while (0)

#define REPLACE(id) \
	mock_replace(self->fd, self->dev.stdev, &(__u32){ id })

static int respond(int q, __u32 cookie)
{
	struct iommu_hwpt_page_response r = {
		.cookie = cookie,
		.code = IOMMUFD_PAGE_RESP_SUCCESS,
	};

	return write(q, &r, sizeof(r)) == sizeof(r) ? 0 : errno;
}

/* Attach the device to a HWPT with a fault queue, and have it fault */
static int fault_setup(int fd, struct mock_dev *dev, __u32 parent, int *q)
{
	__u32 fault, hwpt;
	int rc;

	rc = fault_alloc(fd, &fault, q);
	if (!rc)
		rc = hwpt_alloc_nested(fd, dev->idev, parent,
				       IOMMU_HWPT_FAULT_ID_VALID, fault, 0,
				       &hwpt);
	if (!rc)
		rc = mock_replace(fd, dev->stdev, &hwpt);
	if (!rc)
		rc = mock_iopf(fd, dev->idev, 0, 1, IOMMU_PGFAULT_PERM_READ,
			       0x1000);
	return rc;
}

#define FAULT_OR_SKIP(q)                                                       \
	do {                                                                   \
		int __rc = fault_setup(self->fd, &self->dev, self->parent, q); \
		if (__rc == ENODEV)                                            \
			SKIP(return, "kernel without CONFIG_IOMMU_IOPF");      \
		ASSERT_EQ(0, __rc);                                            \
	} while (0)

/* The group that is being read ends with its attachment */
TEST_F(stall, fault_read)
{
	struct iommu_hwpt_pgfault *f;
	int q;

	STALL_OR_SKIP(true, "", 1);
	FAULT_OR_SKIP(&q);
	f = self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_read, q, (long)f, REC));
	ASSERT_EQ(0, stall_wait(&self->stall));

	EXPECT_EQ(0, REPLACE(self->ioas));
	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	EXPECT_EQ(REC, self->call.ret);
	EXPECT_EQ(self->dev.idev, f->dev_id);
	EXPECT_EQ(EINVAL, respond(q, f->cookie));
	EXPECT_EQ(0, close(q));
}

/* A group whose attachment stays can be answered, however late */
TEST_F(stall, fault_read_late)
{
	struct iommu_hwpt_pgfault *f;
	int q;

	STALL_OR_SKIP(true, "", 1);
	FAULT_OR_SKIP(&q);
	f = self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_read, q, (long)f, REC));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, mock_iopf(self->fd, self->dev.idev, 0, 2,
			       IOMMU_PGFAULT_PERM_READ, 0x2000));
	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	EXPECT_EQ(REC, self->call.ret);
	EXPECT_EQ(1, f->grpid);
	EXPECT_EQ(0, respond(q, f->cookie));
	EXPECT_EQ(REC, read(q, f, REC));
	EXPECT_EQ(2, f->grpid);
	EXPECT_EQ(0, respond(q, f->cookie));
	EXPECT_EQ(0, close(q));
}

TEST_F(stall, fault_write)
{
	struct iommu_hwpt_page_response r = {};
	struct iommu_hwpt_pgfault f;
	int q;

	STALL_OR_SKIP(false, NULL, 0);
	FAULT_OR_SKIP(&q);
	ASSERT_EQ(REC, read(q, &f, REC));
	ASSERT_EQ(0, call_start(&self->call, __NR_write, q,
				(long)self->stall.page, RESP));
	ASSERT_EQ(0, stall_wait(&self->stall));

	EXPECT_EQ(0, REPLACE(self->ioas));
	r.cookie = f.cookie;
	EXPECT_EQ(0, stall_release(&self->stall, &r, sizeof(r)));
	call_join(&self->call);
	EXPECT_EQ(-1, self->call.ret);
	EXPECT_EQ(EINVAL, self->call.err);
	EXPECT_EQ(0, close(q));
}

/* A driver's interrupt thread does not wait for the owner of the queue */
TEST_F(stall, veventq_alloc)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu,
		.type = VEVENT,
		.veventq_depth = 2,
	}, *reply;
	struct {
		struct iommufd_vevent_header header;
		struct iommu_viommu_event_selftest event;
	} record;
	__u32 vdev;

	STALL_OR_SKIP(true, &cmd, sizeof(cmd));
	reply = self->stall.page;
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 0x99,
				   &vdev));
	ASSERT_EQ(0, REPLACE(self->nested));
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_VEVENTQ_ALLOC, (long)reply));
	ASSERT_EQ(0, stall_wait(&self->stall));

	EXPECT_EQ(0, mock_vevent(self->fd, self->dev.idev));
	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);
	EXPECT_EQ(sizeof(record), read(reply->out_veventq_fd, &record,
				       sizeof(record)));
	EXPECT_EQ(0x99, record.event.virt_id);
	EXPECT_EQ(0, close(reply->out_veventq_fd));
}

/* What the reply did not come through for is not there, and in nobody's way */
TEST_F(stall, vdevice_alloc)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu,
		.dev_id = self->dev.idev,
		.virt_id = 0x99,
	}, *reply;
	__u32 vdev;

	STALL_OR_SKIP(true, &cmd, sizeof(cmd));
	reply = self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_VDEVICE_ALLOC, (long)reply));
	ASSERT_EQ(0, stall_wait(&self->stall));

	EXPECT_EQ(ENOENT, REPLACE(self->nested));
	EXPECT_EQ(0, REPLACE(self->parent));
	EXPECT_EQ(0, REPLACE(self->ioas));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x99, &vdev));
	EXPECT_EQ(0, iommu_destroy(self->fd, vdev));

	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);
	EXPECT_EQ(0, REPLACE(self->nested));
	EXPECT_EQ(0, iommu_destroy(self->fd, reply->out_vdevice_id));
}

/* The virt_id is taken while the call is stalled */
TEST_F(stall, vdevice_alloc_taken)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu,
		.dev_id = self->dev.idev,
		.virt_id = 0x99,
	}, *reply;
	struct mock_dev other;

	STALL_OR_SKIP(true, &cmd, sizeof(cmd));
	reply = self->stall.page;
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &other));
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_VDEVICE_ALLOC, (long)reply));
	ASSERT_EQ(0, stall_wait(&self->stall));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, other.idev, 0x99,
				   NULL));
	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	EXPECT_EQ(-1, self->call.ret);
	EXPECT_EQ(EEXIST, self->call.err);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, reply->out_vdevice_id));
	/* The device is free, if not for that virt_id */
	EXPECT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x98, NULL));
}

/* The device goes while its vDEVICE is being made: then there is none */
TEST_F(stall, vdevice_alloc_unbind)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu,
		.dev_id = self->dev.idev,
		.virt_id = 0x99,
	}, *reply;

	STALL_OR_SKIP(true, &cmd, sizeof(cmd));
	reply = self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_VDEVICE_ALLOC, (long)reply));
	ASSERT_EQ(0, stall_wait(&self->stall));
	/* It waits for nobody */
	EXPECT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	EXPECT_EQ(ENOENT, self->call.err);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, reply->out_vdevice_id));

	/* Not even a tombstone: the ID and the virt_id are free */
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	EXPECT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   0x99, NULL));
}

/* Somebody who changes the attachment of a group, again and again */
struct changer {
	pthread_t thread;
	int fd;
	__u32 stdev, hwpt[2];
	bool stop;
};

static void *changer_run(void *arg)
{
	struct changer *c = arg;
	uintptr_t failed = 0;

	for (int i = 0; !__atomic_load_n(&c->stop, __ATOMIC_RELAXED); i ^= 1)
		failed += !!mock_replace(c->fd, c->stdev,
					 &(__u32){ c->hwpt[i] });
	return (void *)failed;
}

/* In one of 10 to 50 the device is looked up, and the lock comes too late */
#define UNBINDS 100

/* Somebody who makes vDEVICEs for as long as there is a device */
struct maker {
	pthread_t thread;
	int fd;
	__u32 viommu, idev, vdev;
	bool last;	/* do not destroy any more what you make */
};

static void *maker_run(void *arg)
{
	struct maker *m = arg;
	int rc;

	do {
		rc = vdevice_alloc(m->fd, m->viommu, m->idev, 0x99, &m->vdev);
		if (!rc && __atomic_load_n(&m->last, __ATOMIC_RELAXED))
			break;
		/* The ID may be that of something else from now on */
		if (!rc)
			iommu_destroy(m->fd, m->vdev);
		m->vdev = 0;
	} while (rc != ENOENT);
	return NULL;
}

/* Unbind waits for no vDEVICE that comes too late to be told to go */
TEST_F(stall, vdevice_while_unbind)
{
	struct mock_config config = { .sibling = self->dev.stdev };
	struct changer changer = {
		.fd = self->fd,
		.stdev = self->dev.stdev,
		.hwpt = { self->parent, self->ioas },
	};
	struct mock_dev dev;
	__u64 seed = 1;
	void *failed;

	/* The lock of the group is hard to get */
	ASSERT_EQ(0, pthread_create(&changer.thread, NULL, changer_run,
				    &changer));
	for (int i = 0; i < UNBINDS; i++) {
		struct maker maker = { .fd = self->fd, .viommu = self->viommu };

		ASSERT_EQ(0, mock_device(self->fd, 0, &config, &dev));
		maker.idev = dev.idev;
		ASSERT_EQ(0, pthread_create(&maker.thread, NULL, maker_run,
					    &maker));
		usleep(rnd(&seed) % 5000);
		__atomic_store_n(&maker.last, true, __ATOMIC_RELAXED);
		EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
		pthread_join(maker.thread, NULL);
		EXPECT_EQ(ENOENT, iommu_destroy(self->fd, maker.vdev));
	}
	__atomic_store_n(&changer.stop, true, __ATOMIC_RELAXED);
	pthread_join(changer.thread, &failed);
	EXPECT_EQ(NULL, failed);
}

/* Unbind wakes up when a vDEVICE is gone that somebody else destroys */
TEST_F(stall, vdevice_destroy_unbind)
{
	struct iommu_destroy stdev = { .size = sizeof(stdev) };
	struct iommu_destroy vdev = { .size = sizeof(vdev) };
	struct call unbind;

	for (int i = 0; i < ROUNDS; i++) {
		if (i)
			ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0,
						 &self->dev));
		ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu,
					   self->dev.idev, 0x99, &vdev.id));
		stdev.id = self->dev.stdev;
		ASSERT_EQ(0, call_start(&unbind, __NR_ioctl, self->fd,
					IOMMU_DESTROY, (long)&stdev));
		ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
					IOMMU_DESTROY, (long)&vdev));
		call_join(&self->call);
		call_join(&unbind);
		EXPECT_EQ(0, unbind.ret);
		/* Unbind may have been first, or just on it */
		if (self->call.ret)
			EXPECT_TRUE(self->call.err == ENOENT ||
				    self->call.err == EBUSY);
		EXPECT_EQ(ENOENT, iommu_destroy(self->fd, vdev.id));
	}
}

/* An automatic HWPT goes with its device also when somebody looks at it */
TEST_F(stall, automatic_hwpt)
{
	struct iommu_test_cmd check = {
		.size = sizeof(check),
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.check_map = { .iova = MOCK_APERTURE_START, .length = PAGE },
	};
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	struct mock_dev dev;
	struct call detach;
	__u32 ioas;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, 0, &dev));
	STALL_OR_SKIP(false, NULL, 0);
	check.id = dev.hwpt;
	check.check_map.uptr = (uintptr_t)self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&check));
	ASSERT_EQ(0, stall_wait(&self->stall));
	destroy.id = dev.stdev;
	ASSERT_EQ(0, call_start(&detach, __NR_ioctl, self->fd, IOMMU_DESTROY,
				(long)&destroy));
	/* It is out of reach at once, and waited for */
	for (int i = 0; i < 2000; i++) {
		if (iommu_destroy(self->fd, dev.hwpt) == ENOENT)
			break;
		usleep(1000);
	}
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, dev.hwpt));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, ioas));
	/* A device that comes now gets another one */
	EXPECT_EQ(0, REPLACE(ioas));

	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	call_join(&detach);
	EXPECT_EQ(0, detach.ret);
	EXPECT_EQ(0, REPLACE(self->parent));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas));
}

/* A type 1 container is unmapped in part while an access is at work there */
TEST_F(stall, unmap_part)
{
	const __u64 base = MOCK_APERTURE_START;
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = base + PAGE, .size = PAGE,
	};
	struct iommu_vfio_ioas set = {
		.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET,
	};
	struct iommu_test_cmd rw = {
		.size = sizeof(rw),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.access_rw = {
			.iova = base,
			.length = 8,
			.flags = MOCK_ACCESS_RW_SLOW_PATH,
		},
	};
	struct call part;
	__u8 bytes[8];
	int access;

	ASSERT_EQ(0, ioas_alloc(self->fd, &set.ioas_id));
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_VFIO_IOAS, &set));
	ASSERT_EQ(0, ioctl(self->fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, ioas_map_at(self->fd, set.ioas_id, self->stall.page,
				 2 * PAGE, base));
	ASSERT_EQ(0, access_create(self->fd, set.ioas_id, 0, &access));
	rw.id = access;
	rw.access_rw.uptr = (uintptr_t)bytes;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&rw));
	ASSERT_EQ(0, stall_wait(&self->stall));
	ASSERT_EQ(0, call_start(&part, __NR_ioctl, self->fd,
				VFIO_IOMMU_UNMAP_DMA, (long)&unmap));
	usleep(50000);
	EXPECT_EQ(0, stall_release(&self->stall, "content", 8));
	call_join(&self->call);
	call_join(&part);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_STREQ("content", (char *)bytes);
	EXPECT_EQ(0, part.ret);
	EXPECT_EQ(PAGE, unmap.size);
	EXPECT_EQ(0, access_rw(self->fd, access, base, bytes, 8, 0));
	EXPECT_EQ(ENOENT, access_rw(self->fd, access, base + PAGE, bytes, 8,
				    0));
	close(access);
}

/*
 * The dirty log of a container is being reported to memory that whoever stalls it
 * provides only after it has mapped something, and unmapped it
 */
struct dirty_get {
	struct vfio_iommu_type1_dirty_bitmap dirty;
	struct vfio_iommu_type1_dirty_bitmap_get get;
};

struct dirty_unmap {
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_bitmap bitmap;
};

static int dirty_pages(int fd, __u32 flag)
{
	struct vfio_iommu_type1_dirty_bitmap cmd = {
		.argsz = sizeof(cmd), .flags = flag,
	};

	return ioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &cmd) ? errno : 0;
}

/* Two pages of the log */
static int log_get(int fd, __u64 iova, __u64 *bits)
{
	struct dirty_get cmd = {
		.dirty.argsz = sizeof(cmd),
		.dirty.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		.get = {
			.iova = iova,
			.size = 2 * PAGE,
			.bitmap = { .pgsize = PAGE, .size = 8, .data = bits },
		},
	};

	return ioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &cmd) ? errno : 0;
}

static int log_setup(int fd, __u32 ioas, const void *va, __u64 iova)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set), .ioas_id = ioas, .op = IOMMU_VFIO_IOAS_SET,
	};
	__u8 byte = 1;
	int access, rc;

	rc = iommu_cmd(fd, IOMMU_VFIO_IOAS, &set);
	if (!rc)
		rc = ioas_map_at(fd, ioas, va, 4 * PAGE, iova);
	if (!rc)
		rc = dirty_pages(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	if (!rc)
		rc = access_create(fd, ioas, 0, &access);
	if (!rc) {
		rc = access_rw(fd, access, iova + PAGE, &byte, 1,
			       MOCK_ACCESS_RW_WRITE);
		close(access);
	}
	return rc;
}

/* What the one who provides the memory does before */
static int log_handler(int fd, __u32 ioas, const void *va, __u64 iova)
{
	int rc = ioas_map_at(fd, ioas, va, PAGE, iova);

	return rc ?: ioas_unmap(fd, ioas, iova, PAGE, NULL);
}

TEST_F(stall, dirty_log_read)
{
	const __u64 base = MOCK_APERTURE_START;
	struct dirty_get cmd = {
		.dirty.argsz = sizeof(cmd),
		.dirty.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		.get = {
			.iova = base,
			.size = 4 * PAGE,
			.bitmap = { .pgsize = PAGE, .size = 8 },
		},
	};
	__u8 *buf = buf_alloc(4 * PAGE);
	__u32 ioas;

	ASSERT_NE(NULL, buf);
	STALL_OR_SKIP(false, NULL, 0);
	/* Without a domain that takes everything to be dirty */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, log_setup(self->fd, ioas, buf, base));
	cmd.get.bitmap.data = self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				VFIO_IOMMU_DIRTY_PAGES, (long)&cmd));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, log_handler(self->fd, ioas, buf, base + 16 * PAGE));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(2, *(__u64 *)self->stall.page);
}

/* One mapping, and a bitmap whose start is not all that is filled at a time */
TEST_F(stall, dirty_log_read_large)
{
	const __u64 pages = 18 << 20, dirty = 17 << 20;
	struct dirty_get cmd = {
		.dirty.argsz = sizeof(cmd),
		.dirty.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		.get = {
			.size = pages * PAGE,
			.bitmap = { .pgsize = PAGE, .size = pages / 8 },
		},
	};
	__u8 *buf = buf_alloc(4 * PAGE), *va, *bitmap, byte = 1;
	__u32 ioas;
	int access;

	ASSERT_NE(NULL, buf);
	va = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, va);
	bitmap = mmap(NULL, pages / 8, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, bitmap);
	ASSERT_EQ(0, madvise(bitmap, pages / 8, MADV_NOHUGEPAGE));
	self->stall.page = bitmap + dirty / 8;
	STALL_OR_SKIP(false, NULL, 0);

	/* Of another IOAS, which has no domain that would pin all that */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, va, pages * PAGE, 0));
	ASSERT_EQ(0, log_setup(self->fd, ioas, buf, pages * PAGE));
	ASSERT_EQ(0, access_create(self->fd, ioas, 0, &access));
	ASSERT_EQ(0, access_rw(self->fd, access, dirty * PAGE, &byte, 1,
			       MOCK_ACCESS_RW_WRITE));
	close(access);
	cmd.get.bitmap.data = (void *)bitmap;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				VFIO_IOMMU_DIRTY_PAGES, (long)&cmd));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, log_handler(self->fd, ioas, buf, 2 * pages * PAGE));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_TRUE(bit_get(bitmap, dirty));
	EXPECT_FALSE(bit_get(bitmap, dirty - 1));
	EXPECT_FALSE(bit_get(bitmap, dirty + 1));
	munmap(va, pages * PAGE);
}

TEST_F(stall, dirty_log_unmap)
{
	const __u64 base = MOCK_APERTURE_START;
	struct dirty_unmap cmd = {
		.unmap = {
			.argsz = sizeof(cmd),
			.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
			.iova = base,
			.size = 4 * PAGE,
		},
		.bitmap = { .pgsize = PAGE, .size = 8 },
	};
	__u8 *buf = buf_alloc(4 * PAGE);
	__u32 ioas;

	ASSERT_NE(NULL, buf);
	STALL_OR_SKIP(false, NULL, 0);
	/* Without a domain that takes everything to be dirty */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, log_setup(self->fd, ioas, buf, base));
	cmd.bitmap.data = self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				VFIO_IOMMU_UNMAP_DMA, (long)&cmd));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, log_handler(self->fd, ioas, buf, base + 16 * PAGE));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(4 * PAGE, cmd.unmap.size);
	EXPECT_EQ(2, *(__u64 *)self->stall.page);
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, ioas, base, 4 * PAGE, NULL));
}

/*
 * Calls of other processes, which a signal must be able to end
 */

/**
 * struct place - what such a call works on
 * @fd: context
 * @ioas: address space with the stall at BASE, and two pages of @buf at OTHER
 * @idev: device
 * @hwpt: a HWPT of @ioas, if a test has one
 * @buf: ordinary memory
 * @access: an access to @ioas, if a test has one
 * @bitmap: memory that is shared with the test, if it has some
 */
struct place {
	int fd;
	__u32 ioas;
	__u32 idev;
	__u32 hwpt;
	__u8 *buf;
	int access;
	void *bitmap;
};

#define OTHER (BASE + 16 * PAGE)
#define FREE (BASE + 32 * PAGE)

static int op_map(const struct place *p)
{
	return ioas_map_at(p->fd, p->ioas, p->buf, PAGE, FREE);
}

static int op_copy(const struct place *p)
{
	__u64 iova = FREE;

	return ioas_copy(p->fd, p->ioas, p->ioas, OTHER, PAGE, MAP_FIX_RW,
			 &iova);
}

static int op_unmap(const struct place *p)
{
	return ioas_unmap(p->fd, p->ioas, OTHER, 2 * PAGE, NULL);
}

static int op_unmap_all(const struct place *p)
{
	return ioas_unmap_all(p->fd, p->ioas, NULL);
}

static int op_unmap_stall(const struct place *p)
{
	return ioas_unmap(p->fd, p->ioas, BASE, 4 * PAGE, NULL);
}

static int dma_unmap(int fd, __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = iova, .size = size,
	};

	return ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap) ? errno : 0;
}

static int op_cut(const struct place *p)
{
	return dma_unmap(p->fd, OTHER + PAGE, PAGE);
}

static int op_invalidate_vaddr(const struct place *p)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = VFIO_DMA_UNMAP_FLAG_VADDR,
		.iova = OTHER,
		.size = 2 * PAGE,
	};

	return ioctl(p->fd, VFIO_IOMMU_UNMAP_DMA, &unmap) ? errno : 0;
}

static int op_huge_pages(const struct place *p)
{
	return option_set(p->fd, IOMMU_OPTION_HUGE_PAGES, p->ioas, 0);
}

static int op_hwpt(const struct place *p)
{
	return hwpt_alloc(p->fd, p->idev, p->ioas, 0, NULL);
}

static int op_access(const struct place *p)
{
	int access;

	return access_create(p->fd, p->ioas, 0, &access);
}

static int op_attach(const struct place *p)
{
	return mock_attach(p->fd, p->ioas, 0, NULL);
}

static pid_t op_start(int (*op)(const struct place *p), const struct place *p)
{
	pid_t pid = fork();

	if (!pid)
		_exit(op(p));
	return pid;
}

/* As in its stat file, or 0 */
static char process_state(pid_t pid)
{
	char path[32], line[128], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f))
		sscanf(strrchr(line, ')') ?: "", ") %c", &state);
	fclose(f);
	return state;
}

/* Wait until it waits, and not just for a moment; 0 or an errno */
static int op_wait_asleep(pid_t pid)
{
	unsigned int asleep = 0;

	for (int i = 0; i < 2000; i++) {
		asleep = process_state(pid) == 'D' ? asleep + 1 : 0;
		if (asleep == 20)
			return 0;
		usleep(5000);
	}
	return ETIMEDOUT;
}

/* Kill it while it waits; 0 when it is gone, or an errno */
static int op_kill(pid_t pid)
{
	int rc = op_wait_asleep(pid);
	int status;

	kill(pid, SIGKILL);
	for (int i = 0; i < 1000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return rc ?: WIFSIGNALED(status) ? 0 : EPROTO;
		usleep(10000);
	}
	return ETIMEDOUT;
}

/* The errno it ends with */
static int op_join(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return EPROTO;
	return WEXITSTATUS(status);
}

static int place_init_type(struct place *p, int fd, __u32 idev, struct stall *s,
			   unsigned long type)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET,
	};
	int rc;

	p->fd = fd;
	p->idev = idev;
	p->buf = buf_alloc_private(2 * PAGE);
	if (!p->buf)
		return ENOMEM;
	rc = ioas_alloc(fd, &p->ioas);
	set.ioas_id = p->ioas;
	if (!rc)
		rc = iommu_cmd(fd, IOMMU_VFIO_IOAS, &set);
	if (!rc && ioctl(fd, VFIO_SET_IOMMU, type))
		rc = errno;
	if (!rc)
		rc = ioas_map_at(fd, p->ioas, p->buf, 2 * PAGE, OTHER);
	if (!rc && s)
		rc = ioas_map_at(fd, p->ioas, s->page, 4 * PAGE, BASE);
	return rc;
}

/* The IOAS is a type 1 container */
static int place_init(struct place *p, int fd, __u32 idev, struct stall *s)
{
	return place_init_type(p, fd, idev, s, VFIO_TYPE1_IOMMU);
}

struct op {
	const char *name;
	int (*run)(const struct place *p);
};

/* How many of them cannot be killed while they wait */
static int ops_kill(const struct op *ops, unsigned int num,
		    const struct place *p)
{
	int failed = 0;

	for (unsigned int i = 0; i < num; i++) {
		int rc = op_kill(op_start(ops[i].run, p));

		if (rc)
			printf("# %s: %s\n", ops[i].name, strerror(rc));
		failed += !!rc;
	}
	return failed;
}

/* An access works on the memory, and the unmap waits for that */
TEST_F(stall, kill_unmap)
{
	struct iommu_test_cmd rw = {
		.size = sizeof(rw),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.access_rw = {
			.iova = BASE,
			.length = 8,
			.flags = MOCK_ACCESS_RW_SLOW_PATH,
		},
	};
	struct place p;
	__u8 bytes[8];
	__u64 length;
	int access;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, &self->stall));
	ASSERT_EQ(0, access_create(self->fd, p.ioas, 0, &access));
	rw.id = access;
	rw.access_rw.uptr = (uintptr_t)bytes;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&rw));
	ASSERT_EQ(0, stall_wait(&self->stall));

	EXPECT_EQ(0, op_kill(op_start(op_unmap_stall, &p)));
	EXPECT_EQ(0, op_kill(op_start(op_unmap_all, &p)));
	/* As before: all is mapped, and can be worked on */
	EXPECT_EQ(0, access_rw(self->fd, access, BASE + PAGE, bytes, 8, 0));
	EXPECT_EQ(0, access_rw(self->fd, access, OTHER, bytes, 8, 0));

	EXPECT_EQ(0, stall_release(&self->stall, "content", 8));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_STREQ("content", (char *)bytes);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, p.ioas, &length));
	EXPECT_EQ(6 * PAGE, length);
	close(access);
}

/* A domain is being filled, and everything that changes mappings waits */
TEST_F(stall, kill_behind_fill)
{
	static const struct op ops[] = {
		{ "map", op_map },
		{ "copy", op_copy },
		{ "unmap", op_unmap },
		{ "unmap all", op_unmap_all },
		{ "unmap what stalls", op_unmap_stall },
		{ "unmap in part", op_cut },
		{ "invalidate an address", op_invalidate_vaddr },
		{ "huge pages", op_huge_pages },
		{ "another HWPT", op_hwpt },
		{ "access", op_access },
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .dev_id = self->dev.idev,
	};
	struct place p;
	__u64 length;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, &self->stall));
	hwpt.pt_id = p.ioas;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_HWPT_ALLOC, (long)&hwpt));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, ops_kill(ops, ARRAY_LEN(ops), &p));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);

	/* Nothing came, went, was cut or lost its address */
	EXPECT_EQ(0, mock_check_map(self->fd, hwpt.out_hwpt_id, BASE,
				    self->stall.page, 4 * PAGE));
	EXPECT_EQ(0, mock_check_map(self->fd, hwpt.out_hwpt_id, OTHER, p.buf,
				    2 * PAGE));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, p.ioas, FREE, PAGE, NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, p.ioas, OTHER, PAGE, NULL));
	EXPECT_EQ(0, access_create(self->fd, p.ioas, 0, &p.access));
	close(p.access);
	EXPECT_EQ(0, op_map(&p));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, p.ioas, &length));
	EXPECT_EQ(7 * PAGE, length);
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt.out_hwpt_id));
	EXPECT_EQ(0, iommu_destroy(self->fd, p.ioas));
}

static int op_log_start(const struct place *p)
{
	return dirty_pages(p->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
}

static int op_log_stop(const struct place *p)
{
	return dirty_pages(p->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
}

static int op_log_get(const struct place *p)
{
	__u64 bits = 0;

	return log_get(p->fd, OTHER, &bits);
}

static int op_type1(const struct place *p)
{
	return ioctl(p->fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) ? errno : 0;
}

/* The dirty log stands still while a domain is being filled */
TEST_F(stall, kill_log_behind_fill)
{
	static const struct op ops[] = {
		{ "start the log", op_log_start },
		{ "read the log", op_log_get },
		{ "stop the log", op_log_stop },
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .dev_id = self->dev.idev,
	};
	__u64 bits = 0;
	__u8 byte = 1;
	struct place p;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init_type(&p, self->fd, self->dev.idev, &self->stall,
				     VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, op_log_start(&p));
	ASSERT_EQ(0, access_create(self->fd, p.ioas, 0, &p.access));
	ASSERT_EQ(0, access_rw(self->fd, p.access, OTHER + PAGE, &byte, 1,
			       MOCK_ACCESS_RW_WRITE));
	hwpt.pt_id = p.ioas;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_HWPT_ALLOC, (long)&hwpt));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, ops_kill(ops, ARRAY_LEN(ops), &p));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt.out_hwpt_id));

	/* The log runs still, and has lost nothing */
	EXPECT_EQ(0, log_get(self->fd, OTHER, &bits));
	EXPECT_EQ(2, bits & 2);
	close(p.access);
}

/* An automatic HWPT is being filled, and the container is to change */
TEST_F(stall, kill_container_behind_attach)
{
	static const struct op ops[] = {
		{ "choose type 1", op_type1 },
		{ "start the log", op_log_start },
	};
	struct iommu_test_cmd attach = {
		.size = sizeof(attach),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
	};
	struct place p;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init_type(&p, self->fd, self->dev.idev, &self->stall,
				     VFIO_TYPE1v2_IOMMU));
	attach.id = p.ioas;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&attach));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, ops_kill(ops, ARRAY_LEN(ops), &p));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);

	/* It is no type 1 container, which would have no log, and none runs */
	EXPECT_EQ(EINVAL, op_log_get(&p));
	EXPECT_EQ(0, op_log_start(&p));
	EXPECT_EQ(0, op_log_get(&p));
	EXPECT_EQ(0, iommu_destroy(self->fd,
				   attach.mock_domain_flags.out_stdev_id));
}

static int op_unmap_dirty(const struct place *p)
{
	struct dirty_unmap cmd = {
		.unmap = {
			.argsz = sizeof(cmd),
			.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
			.iova = BASE,
			.size = 4 * PAGE,
		},
		.bitmap = { .pgsize = PAGE, .size = 8, .data = p->bitmap },
	};

	return ioctl(p->fd, VFIO_IOMMU_UNMAP_DMA, &cmd) ? errno : 0;
}

/* The bitmap that it is to report to goes while it waits for an access */
TEST_F(stall, dirty_log_unmap_unwritable)
{
	struct iommu_test_cmd rw = {
		.size = sizeof(rw),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.access_rw = {
			.iova = BASE,
			.length = 1,
			.flags = MOCK_ACCESS_RW_SLOW_PATH,
		},
	};
	int file = memfd_of(PAGE, 0);
	__u64 bits = 0, length;
	__u8 byte = 1;
	struct place p;
	pid_t pid;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init_type(&p, self->fd, self->dev.idev, &self->stall,
				     VFIO_TYPE1v2_IOMMU));
	p.bitmap = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file,
			0);
	ASSERT_NE(MAP_FAILED, p.bitmap);
	ASSERT_EQ(0, op_log_start(&p));
	ASSERT_EQ(0, access_create(self->fd, p.ioas, 0, &p.access));
	ASSERT_EQ(0, access_rw(self->fd, p.access, BASE + PAGE, &byte, 1,
			       MOCK_ACCESS_RW_WRITE));
	rw.id = p.access;
	rw.access_rw.uptr = (uintptr_t)&byte;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&rw));
	ASSERT_EQ(0, stall_wait(&self->stall));
	pid = op_start(op_unmap_dirty, &p);
	EXPECT_EQ(0, op_wait_asleep(pid));
	EXPECT_EQ(0, ftruncate(file, 0));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(EFAULT, op_join(pid));

	/* All is mapped as before, can be worked on, and is as dirty */
	EXPECT_EQ(0, access_rw(self->fd, p.access, BASE, &byte, 1, 0));
	p.bitmap = &bits;
	EXPECT_EQ(0, op_unmap_dirty(&p));
	EXPECT_EQ(2, bits);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, p.ioas, &length));
	EXPECT_EQ(2 * PAGE, length);
	close(p.access);
	close(file);
}

static int op_get_dirty(const struct place *p)
{
	__u64 bits = 0;

	return hwpt_get_dirty(p->fd, p->hwpt, 0, OTHER, 2 * PAGE, PAGE, &bits);
}

static int op_attach_hwpt(const struct place *p)
{
	return mock_attach(p->fd, p->hwpt, 0, NULL);
}

static int op_attach_enforcing(const struct place *p)
{
	static const struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_ENFORCE,
	};
	struct mock_dev dev;

	return mock_device(p->fd, p->ioas, &config, &dev);
}

/* A mapping is being made, and what domains have tracked is asked for */
TEST_F(stall, kill_dirty_behind_map)
{
	static const struct op op = { "read what is dirty", op_get_dirty };
	struct iommu_ioas_map map = {
		.size = sizeof(map), .flags = MAP_FIX_RW, .length = PAGE,
		.iova = BASE,
	};
	__u64 bits = 1;
	struct place p;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, NULL));
	ASSERT_EQ(0, hwpt_alloc(self->fd, p.idev, p.ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &p.hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, p.hwpt, true));
	ASSERT_EQ(0, mock_dirty(self->fd, p.hwpt, OTHER + PAGE, PAGE, PAGE,
				&bits, NULL));
	map.ioas_id = p.ioas;
	map.user_va = (uintptr_t)self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_IOAS_MAP, (long)&map));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, ops_kill(&op, 1, &p));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);

	/* Nobody was told. An IOPTE may map both pages, if they are contiguous. */
	bits = 0;
	EXPECT_EQ(0, hwpt_get_dirty(self->fd, p.hwpt, 0, OTHER, 2 * PAGE, PAGE,
				    &bits));
	EXPECT_EQ(2, bits & 2);
	EXPECT_EQ(0, iommu_destroy(self->fd, p.hwpt));
}

/*
 * A mapping is being made, a device that needs an automatic HWPT of its own waits
 * for that, and another one for the first device
 */
TEST_F(stall, kill_attach_behind_map)
{
	static const struct op op = { "attach to a HWPT", op_attach_hwpt };
	struct iommu_ioas_map map = {
		.size = sizeof(map), .flags = MAP_FIX_RW, .length = PAGE,
		.iova = BASE,
	};
	struct mock_dev dev;
	struct place p;
	pid_t pid;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, NULL));
	ASSERT_EQ(0, mock_attach(self->fd, p.ioas, 0, &dev));
	p.hwpt = dev.hwpt;
	map.ioas_id = p.ioas;
	map.user_va = (uintptr_t)self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_IOAS_MAP, (long)&map));
	ASSERT_EQ(0, stall_wait(&self->stall));
	pid = op_start(op_attach_enforcing, &p);
	EXPECT_EQ(0, op_wait_asleep(pid));
	EXPECT_EQ(0, ops_kill(&op, 1, &p));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(0, op_join(pid));

	/* Who was killed is not attached: the HWPT goes with its only device */
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, dev.hwpt));
}

static int op_change_process(const struct place *p)
{
	return ioas_change_process(p->fd);
}

static int op_set_ioas(const struct place *p)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = p->ioas,
		.op = IOMMU_VFIO_IOAS_SET,
	};

	return iommu_cmd(p->fd, IOMMU_VFIO_IOAS, &set);
}

static int op_ioas_alloc(const struct place *p)
{
	__u32 ioas;

	return ioas_alloc(p->fd, &ioas);
}

/* Somebody has all IOASes, and waits for one that is being filled */
TEST_F(stall, kill_behind_change_process)
{
	static const struct op ops[] = {
		{ "name the container's IOAS", op_set_ioas },
		{ "make an IOAS", op_ioas_alloc },
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .dev_id = self->dev.idev,
	};
	struct iommu_vfio_ioas get = {
		.size = sizeof(get), .op = IOMMU_VFIO_IOAS_GET,
	};
	struct place p;
	pid_t pid;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, &self->stall));
	hwpt.pt_id = p.ioas;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_HWPT_ALLOC, (long)&hwpt));
	ASSERT_EQ(0, stall_wait(&self->stall));
	pid = op_start(op_change_process, &p);
	EXPECT_EQ(0, op_wait_asleep(pid));
	p.ioas = self->ioas;
	EXPECT_EQ(0, ops_kill(ops, ARRAY_LEN(ops), &p));
	p.ioas = hwpt.pt_id;
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);
	/* Not all that is mapped is of files */
	EXPECT_EQ(EINVAL, op_join(pid));

	EXPECT_EQ(0, iommu_cmd(self->fd, IOMMU_VFIO_IOAS, &get));
	EXPECT_EQ(p.ioas, get.ioas_id);
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt.out_hwpt_id));
}

static int op_access_replace(const struct place *p)
{
	return access_replace(p->fd, p->access, p->ioas);
}

static int op_access_rw(const struct place *p)
{
	__u8 byte;

	return access_rw(p->fd, p->access, OTHER, &byte, 1, 0);
}

/*
 * An access pins what stalls. Who gives it another IOAS meanwhile waits for that,
 * and who would use it then waits behind them.
 */
TEST_F(stall, kill_behind_access)
{
	static const struct op rw = { "read through the access", op_access_rw };
	struct iommu_test_cmd pin = {
		.size = sizeof(pin),
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.access_pages = { .iova = BASE, .length = PAGE },
	};
	struct place p;
	pid_t pid;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, &self->stall));
	ASSERT_EQ(0, access_create(self->fd, p.ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &p.access));
	pin.id = p.access;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&pin));
	ASSERT_EQ(0, stall_wait(&self->stall));
	p.ioas = self->ioas;
	pid = op_start(op_access_replace, &p);
	EXPECT_EQ(0, op_wait_asleep(pid));
	EXPECT_EQ(0, ops_kill(&rw, 1, &p));
	EXPECT_EQ(0, op_kill(pid));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);

	/* The pin is still there, and the access has not moved */
	EXPECT_EQ(0, mock_check_pins(self->fd, self->stall.page, PAGE, 1));
	EXPECT_EQ(0, op_access_rw(&p));
	EXPECT_EQ(0, access_unpin(self->fd, p.access,
				  pin.access_pages.out_access_pages_id));
	close(p.access);
}

/* One answer to a page fault takes long, and so does who wants to give another */
TEST_F(stall, kill_behind_answer)
{
	struct iommu_hwpt_page_response r = {};
	struct iommu_hwpt_pgfault f;
	pid_t pid;
	int q;

	STALL_OR_SKIP(false, NULL, 0);
	FAULT_OR_SKIP(&q);
	ASSERT_EQ(REC, read(q, &f, REC));
	ASSERT_EQ(0, call_start(&self->call, __NR_write, q,
				(long)self->stall.page, RESP));
	ASSERT_EQ(0, stall_wait(&self->stall));
	pid = fork();
	if (!pid)
		_exit(respond(q, f.cookie));
	EXPECT_EQ(0, op_kill(pid));
	r.cookie = f.cookie;
	EXPECT_EQ(0, stall_release(&self->stall, &r, sizeof(r)));
	call_join(&self->call);
	/* Who was killed has not answered it */
	EXPECT_EQ(RESP, self->call.ret);
	EXPECT_EQ(0, close(q));
}

/* The automatic HWPT that the second device would share is being filled */
TEST_F(stall, kill_attach)
{
	struct iommu_test_cmd attach = {
		.size = sizeof(attach),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
	};
	struct mock_dev dev;
	struct place p;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, &self->stall));
	attach.id = p.ioas;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&attach));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_EQ(0, op_kill(op_start(op_attach, &p)));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);

	EXPECT_EQ(0, mock_attach(self->fd, p.ioas, 0, &dev));
	EXPECT_EQ(attach.mock_domain_flags.out_hwpt_id, dev.hwpt);
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->stall.page,
				    4 * PAGE));
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_EQ(0, iommu_destroy(self->fd,
				   attach.mock_domain_flags.out_stdev_id));
	EXPECT_EQ(0, iommu_destroy(self->fd, p.ioas));
}

/*
 * An access pins a page of the backing through another IOAS, and that page
 * stalls. The part of it that is mapped and pinned in the container is the three
 * others.
 */
static int cut_setup(struct place *p, struct stall *s, struct call *pin,
		     struct iommu_test_cmd *cmd, int *access)
{
	__u64 iova = BASE + PAGE;
	__u32 lazy;
	int rc;

	rc = ioas_alloc(p->fd, &lazy);
	if (!rc)
		rc = ioas_map_at(p->fd, lazy, s->page, 4 * PAGE, BASE);
	if (!rc)
		rc = mock_attach(p->fd, p->ioas, 0, NULL);
	if (!rc)
		rc = ioas_copy(p->fd, p->ioas, lazy, BASE + PAGE, 3 * PAGE,
			       MAP_FIX_RW, &iova);
	if (!rc)
		rc = access_create(p->fd, lazy,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   access);
	if (rc)
		return rc;
	*cmd = (struct iommu_test_cmd){
		.size = sizeof(*cmd),
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = *access,
		.access_pages = {
			.iova = BASE,
			.length = PAGE,
			.uptr = (uintptr_t)s->page,
		},
	};
	return call_start(pin, __NR_ioctl, p->fd, IOMMU_TEST_CMD, (long)cmd) ?:
	       stall_wait(s);
}

static int op_cut_copy(const struct place *p)
{
	return dma_unmap(p->fd, BASE + 2 * PAGE, 2 * PAGE);
}

/* Who unmaps a part of it waits, and nobody else in the container does */
TEST_F(stall, cut_behind_pin)
{
	struct iommu_iova_range ranges[4];
	__u32 num = ARRAY_LEN(ranges);
	struct iommu_test_cmd cmd;
	struct place p;
	__u64 length;
	int access;
	pid_t pid;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, NULL));
	ASSERT_EQ(0, cut_setup(&p, &self->stall, &self->call, &cmd, &access));
	pid = op_start(op_cut_copy, &p);
	EXPECT_EQ(0, op_wait_asleep(pid));

	EXPECT_EQ(0, op_map(&p));
	EXPECT_EQ(0, ioas_ranges(self->fd, p.ioas, ranges, &num, NULL));
	EXPECT_EQ(0, op_cut(&p));
	EXPECT_EQ(0, ioas_unmap(self->fd, p.ioas, FREE, PAGE, &length));
	EXPECT_EQ(PAGE, length);

	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(0, op_join(pid));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, p.ioas, &length));
	EXPECT_EQ(2 * PAGE, length);
	EXPECT_EQ(0, mock_check_pins(self->fd, self->stall.page, PAGE, 1));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->stall.page + PAGE,
				     3 * PAGE, 0));
	close(access);
}

/* Killed, it leaves the mapping in one piece */
TEST_F(stall, kill_cut)
{
	struct iommu_test_cmd cmd;
	struct place p;
	__u64 length;
	int access;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, NULL));
	ASSERT_EQ(0, cut_setup(&p, &self->stall, &self->call, &cmd, &access));
	EXPECT_EQ(0, op_kill(op_start(op_cut_copy, &p)));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, p.ioas, BASE + 2 * PAGE,
				     2 * PAGE, NULL));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(0, ioas_unmap(self->fd, p.ioas, BASE + PAGE, 3 * PAGE,
				&length));
	EXPECT_EQ(3 * PAGE, length);
	EXPECT_EQ(0, mock_check_pins(self->fd, self->stall.page, PAGE, 1));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->stall.page + PAGE,
				     3 * PAGE, 0));
	close(access);
}

static int op_get_dirty_end(const struct place *p)
{
	__u64 bits = 0;

	return hwpt_get_dirty(p->fd, p->hwpt, 0, BASE + 3 * PAGE, PAGE, PAGE,
			      &bits);
}

static int op_get_dirty_start(const struct place *p)
{
	__u64 bits = 0;

	return hwpt_get_dirty(p->fd, p->hwpt, 0, BASE + PAGE, 2 * PAGE, PAGE,
			      &bits);
}

/*
 * What is dirty of a part of a mapping depends on whether its pages are contiguous,
 * which has to be looked up
 */
TEST_F(stall, kill_dirty_of_part)
{
	static const struct op ops[] = {
		{ "read the end", op_get_dirty_end },
		{ "read the start", op_get_dirty_start },
	};
	struct iommu_test_cmd cmd;
	__u64 bits = 7;
	struct place p;
	int access;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init_type(&p, self->fd, self->dev.idev, NULL,
				     VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, hwpt_alloc(self->fd, p.idev, p.ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &p.hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, p.hwpt, true));
	ASSERT_EQ(0, cut_setup(&p, &self->stall, &self->call, &cmd, &access));
	ASSERT_EQ(0, mock_dirty(self->fd, p.hwpt, BASE + PAGE, 3 * PAGE, PAGE,
				&bits, NULL));
	EXPECT_EQ(0, ops_kill(ops, ARRAY_LEN(ops), &p));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);

	/* It is as dirty as before */
	bits = 0;
	EXPECT_EQ(0, hwpt_get_dirty(self->fd, p.hwpt, 0, BASE + PAGE, 3 * PAGE,
				    PAGE, &bits));
	EXPECT_EQ(7, bits);
	EXPECT_EQ(0, iommu_destroy(self->fd, p.hwpt));
	close(access);
}

static int entry_limit_set(unsigned int limit)
{
	FILE *f = fopen(ENTRY_LIMIT, "we");

	if (!f)
		return errno;
	fprintf(f, "%u\n", limit);
	return fclose(f) ? errno : 0;
}

static int dma_map(int fd, const void *va, __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return ioctl(fd, VFIO_IOMMU_MAP_DMA, &map) ? errno : 0;
}

/* A container whose mappings are limited maps one, which takes long */
TEST_F(stall, entry_limit)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = BASE,
		.size = 4 * PAGE,
	};
	struct place p;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, place_init(&p, self->fd, self->dev.idev, NULL));
	ASSERT_EQ(0, mock_attach(self->fd, p.ioas, 0, NULL));
	if (entry_limit_set(3))
		SKIP(return, "cannot write to " ENTRY_LIMIT);
	map.vaddr = (uintptr_t)self->stall.page;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				VFIO_IOMMU_MAP_DMA, (long)&map));
	ASSERT_EQ(0, stall_wait(&self->stall));

	/* It counts already; and nobody waits for it */
	EXPECT_EQ(0, dma_map(self->fd, p.buf, FREE, PAGE));
	EXPECT_EQ(ENOSPC, dma_map(self->fd, p.buf, FREE + PAGE, PAGE));
	EXPECT_EQ(EEXIST, dma_map(self->fd, p.buf, BASE, PAGE));
	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(ENOSPC, dma_map(self->fd, p.buf, FREE + PAGE, PAGE));

	/* What does not come about does not count */
	EXPECT_EQ(0, dma_unmap(self->fd, FREE, PAGE));
	EXPECT_EQ(EFAULT, dma_map(self->fd, NULL, FREE, PAGE));
	EXPECT_EQ(0, dma_map(self->fd, p.buf, FREE, PAGE));
	EXPECT_EQ(ENOSPC, dma_map(self->fd, p.buf, FREE + PAGE, PAGE));
	EXPECT_EQ(0, entry_limit_set(UINT32_MAX));
}

/* Waits for what is behind a pin that stalls; 0 or an errno */
struct victim {
	int fd;
	__u32 ioas, other;
	int access;
};

static int victim_pin(struct victim *v)
{
	return access_pin(v->fd, v->access, MOCK_APERTURE_START + PAGE, PAGE,
			  NULL, 0, NULL);
}

static int victim_rw(struct victim *v)
{
	__u8 byte = 1;

	return access_rw(v->fd, v->access, MOCK_APERTURE_START + PAGE, &byte, 1,
			 MOCK_ACCESS_RW_WRITE);
}

static int victim_attach(struct victim *v)
{
	struct mock_dev dev;

	return mock_attach(v->fd, v->ioas, 0, &dev);
}

static int victim_copy(struct victim *v)
{
	__u64 iova = MOCK_APERTURE_START;

	return ioas_copy(v->fd, v->other, v->ioas, iova + PAGE, PAGE,
			 MAP_FIX_RW, &iova);
}

/* What accesses have pinned is part of the dirty log */
static int victim_log(struct victim *v)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = v->ioas,
		.op = IOMMU_VFIO_IOAS_SET,
	};
	__u64 bits = 0;
	int rc;

	rc = iommu_cmd(v->fd, IOMMU_VFIO_IOAS, &set);
	if (!rc)
		rc = dirty_pages(v->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	return rc ?: log_get(v->fd, MOCK_APERTURE_START, &bits);
}

FIXTURE(killed)
{
	struct victim victim;
	int access;
	struct stall stall;
	struct call call;
	struct iommu_test_cmd pin;
};

FIXTURE_VARIANT(killed)
{
	int (*op)(struct victim *v);
};

FIXTURE_VARIANT_ADD(killed, pin) { .op = victim_pin };
FIXTURE_VARIANT_ADD(killed, rw) { .op = victim_rw };
FIXTURE_VARIANT_ADD(killed, attach) { .op = victim_attach };
FIXTURE_VARIANT_ADD(killed, copy) { .op = victim_copy };
FIXTURE_VARIANT_ADD(killed, log) { .op = victim_log };

FIXTURE_SETUP(killed)
{
	struct victim *v = &self->victim;
	struct mock_dev dev;
	int rc;

	OPEN_MOCK_OR_SKIP(v->fd);
	rc = stall_init(&self->stall, false, NULL, 0);
	if (rc)
		SKIP(return, "no userfaultfd: %s", strerror(rc));
	/* Only the other one has a domain */
	ASSERT_EQ(0, ioas_alloc(v->fd, &v->ioas));
	ASSERT_EQ(0, ioas_alloc(v->fd, &v->other));
	ASSERT_EQ(0, mock_attach(v->fd, v->other, 0, &dev));
	ASSERT_EQ(0, ioas_map_at(v->fd, v->ioas, self->stall.page, 2 * PAGE,
				 MOCK_APERTURE_START));
	ASSERT_EQ(0, access_create(v->fd, v->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &v->access));
	ASSERT_EQ(0, access_create(v->fd, v->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &self->access));
	self->pin = (struct iommu_test_cmd){
		.size = sizeof(self->pin),
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = self->access,
		.access_pages = {
			.iova = MOCK_APERTURE_START,
			.length = PAGE,
		},
	};
}

FIXTURE_TEARDOWN(killed)
{
	close(self->access);
	close(self->victim.access);
	EXPECT_EQ(0, close(self->victim.fd));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, check_unpinned(self->stall.page, 2 * PAGE));
}

/* Who waits for memory that somebody else is pinning can be killed meanwhile */
TEST_F_TIMEOUT(killed, while_waiting, 120)
{
	struct victim *v = &self->victim;
	pid_t pid;
	int rc;

	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, v->fd, IOMMU_TEST_CMD,
				(long)&self->pin));
	ASSERT_EQ(0, stall_wait(&self->stall));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(variant->op(v));
	rc = op_kill(pid);
	EXPECT_EQ(0, rc);
	EXPECT_EQ(0, stall_release(&self->stall, "content", 8));
	if (rc == ETIMEDOUT)
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));

	/* The pin went on, and the victim has left nothing in the way */
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_STREQ("content", (char *)self->stall.page);
	EXPECT_EQ(1, vm_pin(0));
	EXPECT_EQ(0, variant->op(v));
	EXPECT_EQ(0, access_unpin(v->fd, self->access,
				  self->pin.access_pages.out_access_pages_id));
}

TEST_HARNESS_MAIN
