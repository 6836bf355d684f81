// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long objects live: what a call made is there for others only when the
 * call cannot fail any more, and a driver gets rid of its device whatever user
 * space does meanwhile.
 */
#include <linux/vfio.h>
#include <signal.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"
#include "stall.h"

#define TYPE IOMMU_VIOMMU_TYPE_SELFTEST
#define HWQ IOMMU_HW_QUEUE_TYPE_SELFTEST
#define BASE ((__u64)MOCK_APERTURE_START)
#define ROUNDS 3000

/* Milliseconds that an unbind waits for ioctls, and what it is otherwise */
#define TIMEOUT_PARAM "/sys/module/iommufd/parameters/test_destroy_timeout_ms"
#define TIMEOUT_SHORT "200"
#define TIMEOUT_USUAL "60000"

static int timeout_set(const char *ms)
{
	int file = open(TIMEOUT_PARAM, O_WRONLY);
	ssize_t rc;

	if (file < 0)
		return errno;
	rc = write(file, ms, strlen(ms));
	close(file);
	return rc == (ssize_t)strlen(ms) ? 0 : EIO;
}

/* Repeat what becomes possible when a work item has run; the last errno */
#define EVENTUALLY(expr)                             \
	({                                           \
		int __tries = 2000, __rc;            \
		while ((__rc = (expr)) && --__tries) \
			usleep(5000);                \
		__rc;                                \
	})

FIXTURE(lifetime)
{
	int fd;
	__u32 ioas, parent, viommu;
	__u8 *buf;
	struct mock_dev dev;	/* attached to the IOAS */
	struct mock_dev idle;	/* bound, attached to nothing */
	struct stall stall;
	struct call call;
};

FIXTURE_SETUP(lifetime)
{
	const struct mock_config config = {};

	OPEN_MOCK_OR_SKIP(self->fd);
	self->buf = buf_alloc(2 * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	ASSERT_EQ(0, mock_device(self->fd, 0, &config, &self->idle));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, viommu_alloc(self->fd, self->dev.idev, self->parent, TYPE,
				  NULL, 0, &self->viommu));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
}

FIXTURE_TEARDOWN(lifetime)
{
	timeout_set(TIMEOUT_USUAL);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, EVENTUALLY(check_unpinned(self->buf, PAGE)));
}

#define STALL_OR_SKIP(wp, content, len)                                        \
	do {                                                                   \
		int __rc = stall_init(&self->stall, wp, content, len);         \
		if (__rc)                                                      \
			SKIP(return, "no userfaultfd: %s", strerror(__rc));    \
	} while (0)

#define QUEUE(index, id)                                                \
	hw_queue_alloc(self->fd, self->viommu, HWQ, index, BASE, PAGE, id)

/* Have an ioctl stall, in a thread of its own */
#define START(cmd, arg)                                                  \
	do {                                                             \
		ASSERT_EQ(0, call_start(&self->call, __NR_ioctl,         \
					self->fd, cmd, (long)(arg)));    \
		ASSERT_EQ(0, stall_wait(&self->stall));                  \
	} while (0)

/* A queue may still be undone before its reply is out, so nobody builds on it */
TEST_F(lifetime, hw_queue_reply)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu,
		.type = HWQ,
		.nesting_parent_iova = BASE,
		.length = PAGE,
	};
	__u32 q0, q1;
	int rc;

	STALL_OR_SKIP(true, &cmd, sizeof(cmd));
	START(IOMMU_HW_QUEUE_ALLOC, self->stall.page);
	rc = QUEUE(1, &q1);
	EXPECT_EQ(EIO, rc);
	EXPECT_EQ(0, stall_refuse(&self->stall));
	call_join(&self->call);
	EXPECT_EQ(EFAULT, self->call.err);
	if (!rc)
		iommu_destroy(self->fd, q1);

	/* It is as if it had never been */
	EXPECT_EQ(EIO, QUEUE(1, &q1));
	ASSERT_EQ(0, QUEUE(0, &q0));
	ASSERT_EQ(0, QUEUE(1, &q1));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, q0));
	EXPECT_EQ(0, iommu_destroy(self->fd, q1));
	EXPECT_EQ(0, iommu_destroy(self->fd, q0));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->viommu));
}

/* A thread that allocates one queue and destroys it, over and over */
struct queue_loop {
	pthread_t thread;
	int fd, index;
	__u32 viommu;
	int rc;		/* an errno that makes no sense */
};

static int queue_destroy(int fd, __u32 id)
{
	int rc;

	/* Until the queue that depends on it goes */
	do {
		rc = iommu_destroy(fd, id);
	} while (rc == EBUSY);
	return rc;
}

static void *queue_loop_run(void *arg)
{
	struct queue_loop *loop = arg;
	__u32 id;
	int rc;

	for (int i = 0; i < ROUNDS && !loop->rc; i++) {
		rc = hw_queue_alloc(loop->fd, loop->viommu, HWQ, loop->index,
				    BASE, PAGE, &id);
		/* The one before it is not there, or just on its way out */
		if (loop->index && (rc == EIO || rc == ENOENT))
			continue;
		loop->rc = rc ?: queue_destroy(loop->fd, id);
	}
	return NULL;
}

/* What is being destroyed cannot be depended on */
TEST_F(lifetime, hw_queue_race)
{
	struct queue_loop loop[2] = {};

	for (int i = 0; i < 2; i++) {
		loop[i].fd = self->fd;
		loop[i].viommu = self->viommu;
		loop[i].index = i;
		ASSERT_EQ(0, pthread_create(&loop[i].thread, NULL,
					    queue_loop_run, &loop[i]));
	}
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(loop[i].thread, NULL));
		EXPECT_EQ(0, loop[i].rc);
	}
	/* Nothing depends on anything any more */
	EXPECT_EQ(0, iommu_destroy(self->fd, self->viommu));
}

/* A vDEVICE whose reply cannot be written never was one */
TEST_F(lifetime, vdevice_reply)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu,
		.dev_id = self->dev.idev,
		.virt_id = 0x99,
	};
	__u32 vdev;

	STALL_OR_SKIP(true, &cmd, sizeof(cmd));
	START(IOMMU_VDEVICE_ALLOC, self->stall.page);
	EXPECT_EQ(0, stall_refuse(&self->stall));
	call_join(&self->call);
	EXPECT_EQ(EFAULT, self->call.err);
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 0x99,
				   &vdev));
	EXPECT_EQ(0, iommu_destroy(self->fd, vdev));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->viommu));
}

/*
 * A device goes at once while a call that named it is stalled. The tests below
 * destroy what stands for its driver, which waits for a minute if it has to.
 */

static int hw_info(int fd, __u32 idev)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd), .dev_id = idev };

	return iommu_cmd(fd, IOMMU_GET_HW_INFO, &cmd);
}

#define EXPECT_GONE(dev)                                                \
	do {                                                            \
		EXPECT_EQ(ENOENT, iommu_destroy(self->fd, (dev).stdev)); \
		EXPECT_EQ(ENOENT, iommu_destroy(self->fd, (dev).idev));  \
		EXPECT_EQ(ENOENT, hw_info(self->fd, (dev).idev));        \
	} while (0)

TEST_F(lifetime, hw_info_data)
{
	struct iommu_test_hw_info *info;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = self->idle.idev,
		.data_len = sizeof(*info),
	};

	STALL_OR_SKIP(true, "", 1);
	info = self->stall.page;
	cmd.data_uptr = (uintptr_t)info;
	START(IOMMU_GET_HW_INFO, &cmd);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	EXPECT_GONE(self->idle);
	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(IOMMU_HW_INFO_SELFTEST_REGVAL, info->test_reg);
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, cmd.out_data_type);
	EXPECT_EQ(IOMMU_HW_CAP_DIRTY_TRACKING |
		  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, cmd.out_capabilities);
}

TEST_F(lifetime, hw_info_reply)
{
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = self->idle.idev,
	}, *reply;

	STALL_OR_SKIP(true, &cmd, sizeof(cmd));
	reply = self->stall.page;
	START(IOMMU_GET_HW_INFO, reply);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	EXPECT_GONE(self->idle);
	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_EQ(sizeof(struct iommu_test_hw_info), reply->data_len);
}

/* What the IOAS maps takes as long to load as it takes to fault in */
TEST_F(lifetime, hwpt_fill)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->idle.idev,
	};
	struct mock_dev dev;

	ASSERT_EQ(0, ioas_alloc(self->fd, &cmd.pt_id));
	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, ioas_map_at(self->fd, cmd.pt_id, self->stall.page, PAGE,
				 BASE));
	START(IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	EXPECT_GONE(self->idle);
	EXPECT_EQ(0, stall_release(&self->stall, "content", 8));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);

	/* Good for another device */
	EXPECT_EQ(0, mock_check_map(self->fd, cmd.out_hwpt_id, BASE,
				    self->stall.page, PAGE));
	ASSERT_EQ(0, mock_attach(self->fd, cmd.out_hwpt_id, 0, &dev));
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_EQ(0, iommu_destroy(self->fd, cmd.out_hwpt_id));
}

TEST_F(lifetime, hwpt_reply)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->idle.idev,
		.pt_id = self->ioas,
	}, *reply;

	STALL_OR_SKIP(true, &cmd, sizeof(cmd));
	reply = self->stall.page;
	START(IOMMU_HWPT_ALLOC, reply);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	EXPECT_GONE(self->idle);
	EXPECT_EQ(0, stall_release(&self->stall, NULL, 0));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);
	EXPECT_EQ(0, mock_check_map(self->fd, reply->out_hwpt_id, BASE,
				    self->buf, PAGE));
	EXPECT_EQ(0, iommu_destroy(self->fd, reply->out_hwpt_id));
}

/* A driver of an IOMMU reads what a vIOMMU of it should be like */
TEST_F(lifetime, viommu_data)
{
	struct iommu_viommu_selftest data = { .in_data = 0x1234 }, *reply;
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = TYPE,
		.dev_id = self->idle.idev,
		.hwpt_id = self->parent,
		.data_len = sizeof(data),
	};

	STALL_OR_SKIP(false, NULL, 0);
	reply = self->stall.page;
	cmd.data_uptr = (uintptr_t)reply;
	START(IOMMU_VIOMMU_ALLOC, &cmd);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	EXPECT_GONE(self->idle);
	EXPECT_EQ(0, stall_release(&self->stall, &data, sizeof(data)));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);
	EXPECT_EQ(0x1234, reply->out_data);
	EXPECT_EQ(0, iommu_destroy(self->fd, cmd.out_viommu_id));
}

TEST_HARNESS_MAIN
