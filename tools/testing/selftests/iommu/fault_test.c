// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault queues: records, groups and responses, and what becomes of them when
 * the attachment changes.
 */
#include <poll.h>
#include <pthread.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define REC sizeof(struct iommu_hwpt_pgfault)
#define RESP sizeof(struct iommu_hwpt_page_response)

FIXTURE(fault)
{
	int fd;
	__u32 ioas, parent, hwpt;
	struct mock_dev dev;
	__u32 id;
	int q;
};

FIXTURE_SETUP(fault)
{
	int rc;

	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &self->dev));
	ASSERT_EQ(0, fault_alloc(self->fd, &self->id, &self->q));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT |
				IOMMU_HWPT_ALLOC_PASID, &self->parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, self->dev.idev, self->parent,
				       IOMMU_HWPT_FAULT_ID_VALID |
				       IOMMU_HWPT_ALLOC_PASID, self->id, 0,
				       &self->hwpt));
	rc = mock_replace(self->fd, self->dev.stdev, &(__u32){ self->hwpt });
	if (rc == ENODEV)
		SKIP(return, "kernel without CONFIG_IOMMU_IOPF");
	ASSERT_EQ(0, rc);
}

FIXTURE_TEARDOWN(fault)
{
	mock_pasid_detach(self->fd, self->dev.stdev, 7);
	if (self->q >= 0)
		EXPECT_EQ(0, close(self->q));
	EXPECT_EQ(0, close(self->fd));
}

#define FAULT(grpid) \
	ASSERT_EQ(0, mock_iopf(self->fd, self->dev.idev, 0, grpid, \
			       IOMMU_PGFAULT_PERM_READ, 0x1000 * (grpid)))

static ssize_t respond(int q, __u32 cookie, __u32 code)
{
	struct iommu_hwpt_page_response r = { .cookie = cookie, .code = code };

	return write(q, &r, sizeof(r));
}

static short ready(int q)
{
	struct pollfd p = { .fd = q, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

TEST_F(fault, file)
{
	int flags = fcntl(self->q, F_GETFD);
	char link[64] = {}, path[64];

	EXPECT_EQ(FD_CLOEXEC, flags & FD_CLOEXEC);
	EXPECT_EQ(O_RDWR, fcntl(self->q, F_GETFL) & O_ACCMODE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->q);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_STREQ("anon_inode:[iommufd-pgfault]", link);
	EXPECT_EQ(-1, lseek(self->q, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pread(self->q, path, REC, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, ioctl(self->q, IOMMU_IOAS_ALLOC, path));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->q,
				   0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(fault, record)
{
	struct iommu_hwpt_pgfault f;

	EXPECT_EQ(0, read(self->q, &f, REC));
	EXPECT_EQ(POLLOUT, ready(self->q));
	ASSERT_EQ(0, mock_iopf(self->fd, self->dev.idev, 0, 0x123,
			       IOMMU_PGFAULT_PERM_WRITE |
			       IOMMU_PGFAULT_PERM_PRIV, 0xabc000));
	EXPECT_EQ(POLLIN | POLLOUT, ready(self->q));
	memset(&f, 0xee, sizeof(f));
	ASSERT_EQ(REC, read(self->q, &f, REC));
	EXPECT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE, f.flags);
	EXPECT_EQ(self->dev.idev, f.dev_id);
	EXPECT_EQ(0x123, f.grpid);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_WRITE | IOMMU_PGFAULT_PERM_PRIV, f.perm);
	EXPECT_EQ(0xabc000, f.addr);
	EXPECT_EQ(0, f.length);
	EXPECT_EQ(0, f.__reserved);
	EXPECT_NE(0, f.cookie);
	EXPECT_EQ(POLLOUT, ready(self->q));
	EXPECT_EQ(RESP, respond(self->q, f.cookie,
				IOMMUFD_PAGE_RESP_SUCCESS));
	/* A cookie is good for one answer */
	EXPECT_EQ(-1, respond(self->q, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(EINVAL, errno);
}

/* A PASID nobody attached belongs to the guest behind the RID */
TEST_F(fault, guest_pasid)
{
	struct iommu_hwpt_pgfault f;

	ASSERT_EQ(0, mock_iopf(self->fd, self->dev.idev, 77, 1,
			       IOMMU_PGFAULT_PERM_READ, 0x1000));
	ASSERT_EQ(REC, read(self->q, &f, REC));
	EXPECT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE |
		  IOMMU_PGFAULT_FLAGS_PASID_VALID, f.flags);
	EXPECT_EQ(77, f.pasid);
	EXPECT_EQ(RESP, respond(self->q, f.cookie,
				IOMMUFD_PAGE_RESP_INVALID));
}

/* An attached PASID has its own queue */
TEST_F(fault, attached_pasid)
{
	struct iommu_hwpt_pgfault f;
	__u32 id2, hwpt2, plain;
	int q2;

	ASSERT_EQ(0, fault_alloc(self->fd, &id2, &q2));
	ASSERT_EQ(0, hwpt_alloc_data(self->fd, self->dev.idev, self->ioas,
				     IOMMU_HWPT_FAULT_ID_VALID |
				     IOMMU_HWPT_ALLOC_PASID, id2, 0, NULL, 0,
				     &hwpt2));
	ASSERT_EQ(0, mock_pasid_attach(self->fd, self->dev.stdev, 7,
				       &(__u32){ hwpt2 }));
	ASSERT_EQ(0, mock_iopf(self->fd, self->dev.idev, 7, 1,
			       IOMMU_PGFAULT_PERM_READ, 0x1000));
	FAULT(2);
	ASSERT_EQ(REC, read(q2, &f, REC));
	EXPECT_EQ(7, f.pasid);
	EXPECT_EQ(0, read(q2, &f, REC));
	ASSERT_EQ(REC, read(self->q, &f, REC));
	EXPECT_EQ(2, f.grpid);
	EXPECT_EQ(0, read(self->q, &f, REC));
	EXPECT_EQ(RESP, respond(self->q, f.cookie, 0));
	/* Replaced by one without a queue: the waiting group is answered */
	ASSERT_EQ(0, mock_iopf(self->fd, self->dev.idev, 7, 3,
			       IOMMU_PGFAULT_PERM_READ, 0x1000));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &plain));
	ASSERT_EQ(0, mock_pasid_replace(self->fd, self->dev.stdev, 7,
					&(__u32){ plain }));
	EXPECT_EQ(0, read(q2, &f, REC));
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt2));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id2));
	close(q2);
	EXPECT_EQ(0, iommu_destroy(self->fd, id2));
	EXPECT_EQ(0, mock_pasid_detach(self->fd, self->dev.stdev, 7));
}

TEST_F(fault, order_and_many)
{
	struct iommu_hwpt_pgfault f[8];
	struct iommu_hwpt_page_response r[4];

	for (__u32 g = 1; g <= 10; g++)
		FAULT(g);
	ASSERT_EQ(4 * REC, read(self->q, f, 4 * REC));
	for (__u32 i = 0; i < 4; i++) {
		EXPECT_EQ(i + 1, f[i].grpid);
		for (__u32 k = 0; k < i; k++)
			EXPECT_NE(f[k].cookie, f[i].cookie);
		/* Answered backwards */
		r[3 - i] = (struct iommu_hwpt_page_response){
			.cookie = f[i].cookie,
		};
	}
	EXPECT_EQ(4 * RESP, write(self->q, r, 4 * RESP));
	ASSERT_EQ(6 * REC, read(self->q, f, 8 * REC));
	EXPECT_EQ(5, f[0].grpid);
	EXPECT_EQ(10, f[5].grpid);
	EXPECT_EQ(0, read(self->q, f, REC));
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(RESP, respond(self->q, f[i].cookie, i % 2));
}

#define FAULT_AT(grpid, more, addr) \
	ASSERT_EQ(0, mock_iopf(self->fd, self->dev.idev, 0, grpid, \
			       IOMMU_PGFAULT_PERM_READ | (more), addr))

/* A group is read whole, when it is complete, and answered once */
TEST_F(fault, groups)
{
	struct iommu_hwpt_pgfault f[5];
	__u32 cookie;
	__u8 *map;

	FAULT_AT(1, MOCK_IOPF_MORE, 0x1000);
	FAULT_AT(1, MOCK_IOPF_MORE, 0x2000);
	EXPECT_EQ(POLLOUT, ready(self->q));
	EXPECT_EQ(0, read(self->q, f, sizeof(f)));
	FAULT_AT(1, 0, 0x3000);
	EXPECT_EQ(POLLIN | POLLOUT, ready(self->q));
	FAULT_AT(2, 0, 0x4000);
	/* Too small for the first costs nothing */
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-1, read(self->q, f, i * REC));
		EXPECT_EQ(EINVAL, errno);
	}
	/* Nor does memory for a part of it */
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + PAGE, PAGE));
	EXPECT_EQ(-1, read(self->q, map + PAGE - 2 * REC, 3 * REC));
	EXPECT_EQ(EFAULT, errno);
	munmap(map, PAGE);
	ASSERT_EQ(4 * REC, read(self->q, f, 5 * REC));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(1, f[i].grpid);
		EXPECT_EQ(0x1000 * (i + 1), f[i].addr);
		EXPECT_EQ(i == 2 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0,
			  f[i].flags);
		EXPECT_EQ(IOMMU_PGFAULT_PERM_READ, f[i].perm);
		EXPECT_EQ(f[0].cookie, f[i].cookie);
	}
	EXPECT_EQ(2, f[3].grpid);
	EXPECT_NE(f[0].cookie, f[3].cookie);
	cookie = f[3].cookie;
	EXPECT_EQ(RESP, respond(self->q, f[0].cookie, 0));
	EXPECT_EQ(-1, respond(self->q, f[0].cookie, 0));

	/* In the order in which they were completed; what fits, whole */
	FAULT_AT(3, MOCK_IOPF_MORE, 0x1000);
	FAULT_AT(4, MOCK_IOPF_MORE, 0x2000);
	FAULT_AT(5, 0, 0x3000);
	FAULT_AT(4, 0, 0x4000);
	FAULT_AT(3, 0, 0x5000);
	ASSERT_EQ(REC, read(self->q, f, 2 * REC));
	EXPECT_EQ(5, f[0].grpid);
	/* A number that was answered is not given out again so soon */
	EXPECT_NE(cookie, f[0].cookie);
	ASSERT_EQ(2 * REC, read(self->q, f, 3 * REC));
	EXPECT_EQ(4, f[0].grpid);
	EXPECT_EQ(0x2000, f[0].addr);
	EXPECT_EQ(4, f[1].grpid);
	ASSERT_EQ(2 * REC, read(self->q, f, 2 * REC));
	EXPECT_EQ(3, f[1].grpid);
	/* All the rest goes with the attachment, incomplete ones too */
	FAULT_AT(6, MOCK_IOPF_MORE, 0x1000);
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev,
				  &(__u32){ self->parent }));
	EXPECT_EQ(-1, respond(self->q, f[0].cookie, 0));
	EXPECT_EQ(0, read(self->q, f, sizeof(f)));
}

/* Answered cookies are not the first to be reissued */
TEST_F(fault, cookies)
{
	struct iommu_hwpt_pgfault f;
	__u32 last = 0;

	for (int i = 1; i <= 8; i++) {
		FAULT(i);
		ASSERT_EQ(REC, read(self->q, &f, REC));
		EXPECT_NE(0, f.cookie);
		EXPECT_NE(last, f.cookie);
		last = f.cookie;
		EXPECT_EQ(RESP, respond(self->q, f.cookie, 0));
	}
}

static void *wait_readable(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	return (void *)(long)(poll(&p, 1, 20000) == 1 && p.revents & POLLIN);
}

/* Whoever waits for a fault is woken by it */
TEST_F(fault, wakes)
{
	struct iommu_hwpt_pgfault f;
	pthread_t thread;
	void *woken;

	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_readable, &self->q));
	usleep(100000);
	FAULT(1);
	ASSERT_EQ(0, pthread_join(thread, &woken));
	EXPECT_NE(NULL, woken);
	ASSERT_EQ(REC, read(self->q, &f, REC));
}

TEST_F(fault, read_errors)
{
	struct iommu_hwpt_pgfault f[2];
	__u8 *map;

	EXPECT_EQ(-1, read(self->q, f, REC - 1));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(0, read(self->q, f, 0));
	FAULT(1);
	FAULT(2);
	EXPECT_EQ(-1, read(self->q, f, REC + 1));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, read(self->q, f, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(self->q, BAD_PTR, REC));
	EXPECT_EQ(EFAULT, errno);
	/* The second does not fit into memory: the first is delivered */
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + PAGE, PAGE));
	ASSERT_EQ(REC, read(self->q, map + PAGE - REC, 2 * REC));
	memcpy(&f[0], map + PAGE - REC, REC);
	EXPECT_EQ(1, f[0].grpid);
	ASSERT_EQ(REC, read(self->q, &f[1], REC));
	EXPECT_EQ(2, f[1].grpid);
	EXPECT_NE(f[0].cookie, f[1].cookie);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(RESP, respond(self->q, f[i].cookie, 0));
	munmap(map, PAGE);
}

TEST_F(fault, write_errors)
{
	struct iommu_hwpt_page_response r[3] = {};
	struct iommu_hwpt_pgfault f[2];

	EXPECT_EQ(-1, write(self->q, r, RESP - 1));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(0, write(self->q, r, 0));
	EXPECT_EQ(-1, write(self->q, BAD_PTR, RESP));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, respond(self->q, 1234, 0));
	EXPECT_EQ(EINVAL, errno);
	FAULT(1);
	FAULT(2);
	ASSERT_EQ(2 * REC, read(self->q, f, 2 * REC));
	/* A bad code leaves the cookie for a better one */
	EXPECT_EQ(-1, respond(self->q, f[0].cookie, 2));
	EXPECT_EQ(EINVAL, errno);
	/* Up to the first bad entry */
	r[0].cookie = f[0].cookie;
	r[1].cookie = f[1].cookie + 1000;
	r[2].cookie = f[1].cookie;
	EXPECT_EQ(RESP, write(self->q, r, 3 * RESP));
	EXPECT_EQ(-1, respond(self->q, f[0].cookie, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(RESP, respond(self->q, f[1].cookie, 0));
}

/* The attachment goes: what waits is answered, what was read expires */
TEST_F(fault, replace_expires)
{
	struct iommu_hwpt_pgfault f;

	FAULT(1);
	FAULT(2);
	ASSERT_EQ(REC, read(self->q, &f, REC));
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev,
				  &(__u32){ self->hwpt }));
	EXPECT_EQ(POLLIN | POLLOUT, ready(self->q));
	/* One that fails changes nothing either */
	EXPECT_EQ(ENOENT, mock_replace(self->fd, self->dev.stdev,
				       &(__u32){ BAD_ID }));
	EXPECT_EQ(POLLIN | POLLOUT, ready(self->q));
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev,
				  &(__u32){ self->parent }));
	EXPECT_EQ(POLLOUT, ready(self->q));
	EXPECT_EQ(-1, respond(self->q, f.cookie, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, read(self->q, &f, REC));
	/* Nobody takes faults now */
	FAULT(3);
	EXPECT_EQ(0, read(self->q, &f, REC));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->hwpt));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->id));
	close(self->q);
	self->q = -1;
	EXPECT_EQ(0, iommu_destroy(self->fd, self->id));
}

/* Two devices on one queue: each keeps to its own */
TEST_F(fault, shared_queue)
{
	struct iommu_hwpt_pgfault f[2];
	struct mock_dev dev2;

	ASSERT_EQ(0, mock_attach(self->fd, self->hwpt, 0, &dev2));
	FAULT(1);
	ASSERT_EQ(0, mock_iopf(self->fd, dev2.idev, 0, 1,
			       IOMMU_PGFAULT_PERM_READ, 0x1000));
	ASSERT_EQ(2 * REC, read(self->q, f, 2 * REC));
	EXPECT_EQ(self->dev.idev, f[0].dev_id);
	EXPECT_EQ(dev2.idev, f[1].dev_id);
	ASSERT_EQ(0, iommu_destroy(self->fd, dev2.stdev));
	EXPECT_EQ(-1, respond(self->q, f[1].cookie, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(RESP, respond(self->q, f[0].cookie, 0));
}

/* The reader is gone; faults pile up until the device lets go */
TEST_F(fault, closed_queue)
{
	FAULT(1);
	close(self->q);
	self->q = -1;
	FAULT(2);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->id));
	ASSERT_EQ(0, mock_replace(self->fd, self->dev.stdev,
				  &(__u32){ self->parent }));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->hwpt));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->id));
}

/* The context closes first: the queue still reads, and stays empty */
TEST_F(fault, context_closed)
{
	struct iommu_hwpt_pgfault f;
	__u32 cookie;

	FAULT(1);
	FAULT(2);
	ASSERT_EQ(REC, read(self->q, &f, REC));
	cookie = f.cookie;
	/* The queue's file keeps the context and all in it */
	close(self->fd);
	self->fd = dup(self->q);
	ASSERT_EQ(REC, read(self->q, &f, REC));
	EXPECT_EQ(2, f.grpid);
	EXPECT_EQ(RESP, respond(self->q, cookie, 0));
}

/* and whoever closes it last, all in it */
TEST_F(fault, last_queue_closed)
{
	void *buf = buf_alloc(PAGE);

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf, PAGE,
				 MOCK_APERTURE_START));
	ASSERT_EQ(0, mock_check_pins(self->fd, buf, PAGE, 1));
	close(self->fd);
	close(self->q);
	self->q = -1;
	self->fd = iommu_open();
	EXPECT_EQ(0, check_unpinned(buf, PAGE));
}

TEST_F(fault, allocation)
{
	__u32 id;
	int q;

	ASSERT_EQ(0, fault_alloc(self->fd, &id, &q));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	close(q);
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
	/* A stage 2 under others takes no faults */
	EXPECT_EQ(EOPNOTSUPP, hwpt_alloc_data(self->fd, self->dev.idev,
					      self->ioas,
					      IOMMU_HWPT_FAULT_ID_VALID |
					      IOMMU_HWPT_ALLOC_NEST_PARENT,
					      self->id, 0, NULL, 0, NULL));
	EXPECT_EQ(ENOENT, mock_iopf(self->fd, self->ioas, 0, 1, 1, 0));
}

TEST_HARNESS_MAIN
