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

/*
 * There is one way left to hold a device as long as one likes: a driver of an
 * IOMMU that is told the device reads user memory. The device goes all the
 * same, after some time.
 */

#define NESTED(cmd, data)                                               \
	struct iommu_hwpt_alloc cmd = {                                 \
		.size = sizeof(cmd),                                    \
		.dev_id = self->idle.idev,                              \
		.pt_id = self->parent,                                  \
		.data_type = IOMMU_HWPT_DATA_SELFTEST,                  \
		.data_len = sizeof(data),                               \
		.data_uptr = (uintptr_t)self->stall.page,               \
	}

TEST_F(lifetime, unbind_times_out)
{
	const struct iommu_hwpt_selftest data = { .iotlb = 0x5678 };
	struct mock_dev dev;
	__u32 id;

	ASSERT_EQ(0, timeout_set(TIMEOUT_SHORT));
	STALL_OR_SKIP(false, NULL, 0);
	NESTED(cmd, data);
	START(IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	/* It is gone for everybody, and its ID is nobody else's */
	EXPECT_GONE(self->idle);
	EXPECT_EQ(ENOENT, hwpt_alloc(self->fd, self->idle.idev, self->ioas, 0,
				     &id));
	EXPECT_EQ(ENOENT, vdevice_alloc(self->fd, self->viommu,
					self->idle.idev, 1, NULL));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &id));
		EXPECT_NE(self->idle.idev, id);
	}
	/* Others come and go */
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));

	EXPECT_EQ(0, stall_release(&self->stall, &data, sizeof(data)));
	call_join(&self->call);
	ASSERT_EQ(0, self->call.ret);
	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, cmd.out_hwpt_id, 0x5678));
	EXPECT_EQ(0, iommu_destroy(self->fd, cmd.out_hwpt_id));
	EXPECT_EQ(ENOENT, hw_info(self->fd, self->idle.idev));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->parent));
}

/* The vDEVICE goes with its device and at the same time */
TEST_F(lifetime, unbind_times_out_vdevice)
{
	const struct iommu_hwpt_selftest data = {};
	struct mock_dev dev;
	__u32 vdev;

	ASSERT_EQ(0, timeout_set(TIMEOUT_SHORT));
	STALL_OR_SKIP(false, NULL, 0);
	NESTED(cmd, data);
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->idle.idev,
				   0x99, &vdev));
	START(IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	EXPECT_GONE(self->idle);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, vdev));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, vdevice_alloc(self->fd, self->viommu, dev.idev, 0x99,
				   NULL));
	EXPECT_EQ(0, stall_refuse(&self->stall));
	call_join(&self->call);
}

/* The other device of the group keeps its translation */
TEST_F(lifetime, unbind_times_out_sibling)
{
	const struct mock_config config = { .sibling = self->dev.stdev };
	const struct iommu_hwpt_selftest data = {};
	struct mock_dev again;

	ASSERT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	ASSERT_EQ(0, mock_device(self->fd, self->dev.hwpt, &config,
				 &self->idle));
	ASSERT_EQ(0, timeout_set(TIMEOUT_SHORT));
	STALL_OR_SKIP(false, NULL, 0);
	NESTED(cmd, data);
	START(IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_EQ(0, iommu_destroy(self->fd, self->idle.stdev));
	EXPECT_GONE(self->idle);
	EXPECT_EQ(0, mock_pasid_check(self->fd, self->dev.stdev, 0,
				      self->dev.hwpt));
	ASSERT_EQ(0, mock_device(self->fd, self->dev.hwpt, &config, &again));
	EXPECT_EQ(0, iommu_destroy(self->fd, again.stdev));
	/* The kernel complains if somebody claimed the DMA of the group still */
	EXPECT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
	EXPECT_EQ(0, stall_release(&self->stall, &data, sizeof(data)));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
}

/* An automatic HWPT that is looked at is gone, and the IOAS follows later */
TEST_F(lifetime, detach_times_out)
{
	struct iommu_test_cmd check = {
		.size = sizeof(check),
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.check_map = { .iova = BASE, .length = PAGE },
	};
	struct mock_dev dev;
	__u32 ioas;

	ASSERT_EQ(0, timeout_set(TIMEOUT_SHORT));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, 0, &dev));
	STALL_OR_SKIP(false, NULL, 0);
	check.id = dev.hwpt;
	check.check_map.uptr = (uintptr_t)self->stall.page;
	START(IOMMU_TEST_CMD, &check);
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, dev.hwpt));
	EXPECT_EQ(ENOENT, mock_attach(self->fd, dev.hwpt, 0, NULL));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, ioas));

	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, EVENTUALLY(iommu_destroy(self->fd, ioas)));
}

/* Runs in a child: a device that goes and a call that never ends */
static int stalled_for_good(void *buf, int ready)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(struct iommu_hwpt_selftest),
	};
	struct stall stall = {};
	struct mock_dev dev;
	struct call call;
	int fd = iommu_open();
	__u32 ioas;

	if (fd < 0 || ioas_alloc(fd, &ioas) ||
	    ioas_map_at(fd, ioas, buf, PAGE, BASE) ||
	    mock_attach(fd, ioas, 0, &dev) ||
	    hwpt_alloc(fd, dev.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
		       &cmd.pt_id) ||
	    stall_init(&stall, false, NULL, 0))
		return 1;
	cmd.dev_id = dev.idev;
	cmd.data_uptr = (uintptr_t)stall.page;
	if (call_start(&call, __NR_ioctl, fd, IOMMU_HWPT_ALLOC, (long)&cmd) ||
	    stall_wait(&stall) || iommu_destroy(fd, dev.stdev) ||
	    write(ready, "", 1) != 1)
		return 1;
	pause();
	return 1;
}

/* The context goes when its process is killed, with everything it had pinned */
TEST_F(lifetime, unbind_times_out_killed)
{
	int ready[2];
	pid_t pid;
	char c;

	STALL_OR_SKIP(false, NULL, 0);
	ASSERT_EQ(0, timeout_set(TIMEOUT_SHORT));
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(ready[0]);
		_exit(stalled_for_good(self->buf + PAGE, ready[1]));
	}
	close(ready[1]);
	EXPECT_EQ(1, read(ready[0], &c, 1));
	close(ready[0]);
	EXPECT_EQ(EIO, mock_check_pins(self->fd, self->buf + PAGE, PAGE, 0));
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, EVENTUALLY(mock_check_pins(self->fd, self->buf + PAGE,
						PAGE, 0)));
}

TEST_HARNESS_MAIN
