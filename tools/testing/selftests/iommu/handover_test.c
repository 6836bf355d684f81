// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors that go from one process to another over a UNIX socket, as from a
 * privileged helper to a VMM: whose memory a device gets then, whose limit counts,
 * who is charged, and what is left when one of them has exited. Needs root and QEMU's
 * "-device edu".
 *
 * The processes are the opener, which stays root, the mapper and the heir. They do
 * what the test tells them, and have the same memory at the same address, each its
 * own copy.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "edu.h"

#define LIMIT	8
#define NR	16
#define TEST_UID 60219
#define HEIR_UID 60220

/* What a process has, each for itself */
static struct {
	int iommufd;	/* or container */
	int group;	/* or another descriptor of that */
	bool container;
	__u32 ioas;
	__u32 devid;
	struct edu edu;
	int memfd;
	__u8 *buf;
} w;

/* One that was handed over; with it come the iommufd, the device and the group */
struct handover {
	bool container;
	__u32 ioas;
	__u32 devid;
};

/* The socket between any two processes */
static int between[2];

/* ------------------------------------------------ what processes can be told */

static long be(long uid, long limit)
{
	struct rlimit lim = { limit * PAGE, limit * PAGE };

	if (setrlimit(RLIMIT_MEMLOCK, &lim))
		return errno;
	return uid && setresuid(uid, uid, uid) ? errno : 0;
}

static long open_iommufd(long process_mode, long unused)
{
	int rc;

	(void)unused;
	w.iommufd = iommu_open();
	if (w.iommufd < 0)
		return errno;
	w.group = dup(w.iommufd);
	rc = option_set(w.iommufd, IOMMU_OPTION_RLIMIT_MODE, 0, process_mode);
	if (!rc)
		rc = edu_open(&w.edu, 0);
	if (!rc)
		rc = edu_bind(&w.edu, w.iommufd, &w.devid);
	return rc ?: ioas_alloc(w.iommufd, &w.ioas);
}

static int open_device_of_group(void)
{
	struct iommu_vfio_ioas get = {
		.size = sizeof(get),
		.op = IOMMU_VFIO_IOAS_GET,
	};
	int rc;

	rc = iommu_cmd(w.group, VFIO_GROUP_SET_CONTAINER, &w.iommufd);
	if (rc)
		return rc;
	if (ioctl(w.iommufd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return errno;
	w.edu.dev = ioctl(w.group, VFIO_GROUP_GET_DEVICE_FD, w.edu.bdf);
	if (w.edu.dev < 0)
		return errno;
	rc = iommu_cmd(w.iommufd, IOMMU_VFIO_IOAS, &get);
	w.ioas = get.ioas_id;
	return rc;
}

static long open_container(long a, long b)
{
	char path[64];
	int rc;

	(void)a;
	(void)b;
	w.container = true;
	w.iommufd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (w.iommufd < 0)
		return errno;
	/* All that is wanted of this is that the device has vfio-pci */
	rc = edu_open(&w.edu, 0);
	if (rc)
		return rc;
	close(w.edu.dev);
	snprintf(path, sizeof(path), "/dev/vfio/%d", w.edu.group);
	w.group = open(path, O_RDWR | O_CLOEXEC);
	return w.group < 0 ? errno : open_device_of_group();
}

union fd_control {
	struct cmsghdr align;
	char space[CMSG_SPACE(3 * sizeof(int))];
};

static long give(long a, long b)
{
	const int fds[3] = { w.iommufd, w.edu.dev, w.group };
	struct handover what = { w.container, w.ioas, w.devid };
	struct iovec iov = { &what, sizeof(what) };
	union fd_control control = {};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	(void)a;
	(void)b;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	return sendmsg(between[0], &msg, 0) == sizeof(what) ? 0 : errno;
}

static long take(long a, long b)
{
	int fds[3];
	struct handover what;
	struct iovec iov = { &what, sizeof(what) };
	union fd_control control = {};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *cmsg;

	(void)a;
	(void)b;
	if (recvmsg(between[1], &msg, MSG_CMSG_CLOEXEC) != sizeof(what))
		return EIO;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_len != CMSG_LEN(sizeof(fds)))
		return EBADF;
	memcpy(fds, CMSG_DATA(cmsg), sizeof(fds));
	w.iommufd = fds[0];
	w.edu.dev = fds[1];
	w.group = fds[2];
	w.container = what.container;
	w.ioas = what.ioas;
	w.devid = what.devid;
	return edu_start(&w.edu);
}

static long attach(long a, long b)
{
	(void)a;
	(void)b;
	return vfio_attach(w.edu.dev, &(__u32){ w.ioas });
}

static long detach(long a, long b)
{
	(void)a;
	(void)b;
	return vfio_detach(w.edu.dev);
}

static __u64 iova_of(long page)
{
	return EDU_IOVA + page * PAGE;
}

/* The first pages of its memory, in the way that the descriptor is for */
static long map(long page, long pages)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)w.buf,
		.iova = iova_of(page),
		.size = pages * PAGE,
	};

	if (w.container)
		return iommu_cmd(w.iommufd, VFIO_IOMMU_MAP_DMA, &cmd);
	return ioas_map_at(w.iommufd, w.ioas, w.buf, pages * PAGE,
			   iova_of(page));
}

static long map_file(long page, long pages)
{
	__u64 iova = iova_of(page);

	w.memfd = memfd_of(NR * PAGE, 0);
	return ioas_map_file(w.iommufd, w.ioas, w.memfd, 0, pages * PAGE,
			     MAP_FIX_RW, &iova);
}

static long unmap(long page, long pages)
{
	return ioas_unmap(w.iommufd, w.ioas, iova_of(page), pages * PAGE, NULL);
}

/* By the device */
static long copy(long from, long to)
{
	return edu_copy(&w.edu, iova_of(from), iova_of(to), EDU_LEN) ? 0 : EIO;
}

static long fill(long page, long byte)
{
	memset(w.buf + page * PAGE, byte, PAGE);
	return 0;
}

static long peek(long page, long unused)
{
	(void)unused;
	return w.buf[page * PAGE + EDU_LEN - 1];
}

static long change_process(long a, long b)
{
	(void)a;
	(void)b;
	return ioas_change_process(w.iommufd);
}

static long set_mode(long process_mode, long unused)
{
	(void)unused;
	return option_set(w.iommufd, IOMMU_OPTION_RLIMIT_MODE, 0, process_mode);
}

static long set_soft_limit(long pages, long unused)
{
	struct rlimit lim;

	(void)unused;
	if (getrlimit(RLIMIT_MEMLOCK, &lim))
		return errno;
	lim.rlim_cur = pages * PAGE;
	return setrlimit(RLIMIT_MEMLOCK, &lim) ? errno : 0;
}

/* Its copies of the descriptors of the device */
static long close_device(long a, long b)
{
	(void)a;
	(void)b;
	edu_close(&w.edu);
	return 0;
}

static long destroy_device(long a, long b)
{
	(void)a;
	(void)b;
	return iommu_destroy(w.iommufd, w.devid);
}

static long leave(long a, long b)
{
	(void)a;
	(void)b;
	_exit(0);
}

/* ------------------------------------------------------------- telling them */

struct process {
	pid_t pid;
	int sock;
};

/* They are all the same program, with its functions in the same place */
struct order {
	long (*what)(long a, long b);
	long a, b;
};

static void serve(int sock)
{
	struct order order;
	long result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(sock, &order, sizeof(order)) == sizeof(order)) {
		result = order.what(order.a, order.b);
		if (write(sock, &result, sizeof(result)) != sizeof(result))
			break;
	}
	_exit(1);
}

static int process_start(struct process *process)
{
	int sock[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock))
		return errno;
	process->pid = fork();
	if (process->pid < 0)
		return errno;
	if (!process->pid)
		serve(sock[1]);
	close(sock[1]);
	process->sock = sock[0];
	return 0;
}

/* What comes of it, or -1 */
static long tell(const struct process *process,
		 long (*what)(long a, long b), long a, long b)
{
	struct order order = { what, a, b };
	long result;

	if (write(process->sock, &order, sizeof(order)) != sizeof(order) ||
	    read(process->sock, &result, sizeof(result)) != sizeof(result))
		return -1;
	return result;
}

static int process_end(struct process *process)
{
	int status = -1;

	if (!process->pid)
		return 0;
	tell(process, leave, 0, 0);
	if (waitpid(process->pid, &status, 0) != process->pid)
		status = -1;
	close(process->sock);
	process->pid = 0;
	return status;
}

static int hand_over(const struct process *from, const struct process *to)
{
	return tell(from, give, 0, 0) ?: tell(to, take, 0, 0);
}

/* ---------------------------------------------------------------- the tests */

FIXTURE(handover)
{
	struct process opener, mapper, heir;
};

FIXTURE_VARIANT(handover)
{
	bool capable;	/* the mapper has CAP_IPC_LOCK */
	bool process;	/* the opener chose the process mode */
	bool container;
};

FIXTURE_VARIANT_ADD(handover, none)
{
	.capable = true,
};

FIXTURE_VARIANT_ADD(handover, user)
{
};

FIXTURE_VARIANT_ADD(handover, process)
{
	.process = true,
};

FIXTURE_VARIANT_ADD(handover, container)
{
	.container = true,
};

FIXTURE_VARIANT_ADD(handover, container_none)
{
	.capable = true,
	.container = true,
};

FIXTURE_SETUP(handover)
{
	char bdf[256];

	if (access("/dev/iommu", F_OK) || geteuid())
		SKIP(return, "needs /dev/iommu, and root to become others");
	if (!find_edu(0, bdf, sizeof(bdf)))
		SKIP(return, "no PCI device 1234:11e8 (qemu -device edu)");
	if (variant->container && access("/dev/vfio/vfio", F_OK))
		SKIP(return, "no /dev/vfio/vfio");
	w.iommufd = -1;
	w.edu.dev = -1;
	w.buf = buf_alloc_private(NR * PAGE);
	ASSERT_NE(NULL, w.buf);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				between));
	ASSERT_EQ(0, process_start(&self->opener));
	ASSERT_EQ(0, process_start(&self->mapper));
	ASSERT_EQ(0, process_start(&self->heir));
	ASSERT_EQ(0, tell(&self->mapper, be, variant->capable ? 0 : TEST_UID,
			  LIMIT));
	/* What the opener may is not to matter */
	ASSERT_EQ(0, tell(&self->opener, be, 0, 0));
	ASSERT_EQ(0, tell(&self->opener, variant->container ? open_container :
							       open_iommufd,
			  variant->process, 0));
	ASSERT_EQ(0, hand_over(&self->opener, &self->mapper));
}

FIXTURE_TEARDOWN(handover)
{
	EXPECT_EQ(0, process_end(&self->opener));
	EXPECT_EQ(0, process_end(&self->mapper));
	EXPECT_EQ(0, process_end(&self->heir));
}

/* Devices of a container are attached as long as they are open */
FIXTURE_LIKE(handover_native, handover)

FIXTURE_VARIANT_ADD(handover_native, none)
{
	.capable = true,
};

FIXTURE_VARIANT_ADD(handover_native, user)
{
};

FIXTURE_VARIANT_ADD(handover_native, process)
{
	.process = true,
};

#define TELL(who, ...) tell(&self->who, __VA_ARGS__)
#define ATTACH(who) (variant->container ? 0 : TELL(who, attach, 0, 0))
/* Of a mapping by VFIO_IOMMU_MAP_DMA, or by the native ioctl in its place */
#define EXPECT_CHARGE(who, n)                                                  \
	do {                                                                   \
		bool __lck = variant->container ||                             \
			     (variant->process && !variant->capable);          \
									       \
		EXPECT_EQ(n, vm_pin(self->who.pid));                           \
		EXPECT_EQ(__lck ? (n) : 0, vm_lck(self->who.pid));             \
	} while (0)
#define OVER_LIMIT (variant->capable ? 0 : ENOMEM)

/* It is all about the one who maps, and not about the one who opened */
TEST_F(handover, mapper)
{
	TELL(mapper, fill, 0, 0x11);
	TELL(opener, fill, 0, 0x22);
	ASSERT_EQ(0, ATTACH(mapper));
	ASSERT_EQ(0, TELL(mapper, map, 0, LIMIT));
	EXPECT_CHARGE(mapper, LIMIT);
	EXPECT_CHARGE(opener, 0);
	EXPECT_EQ(OVER_LIMIT, TELL(mapper, map, NR, 1));
	if (!OVER_LIMIT)
		ASSERT_EQ(0, TELL(mapper, unmap, NR, 1));
	/* The way of counting has come with the descriptor */
	EXPECT_EQ(variant->capable ? EBUSY : EPERM,
		  TELL(mapper, set_mode, !variant->process, 0));

	ASSERT_EQ(0, TELL(mapper, copy, 0, 1));
	EXPECT_EQ(0x11, TELL(mapper, peek, 1, 0));
	EXPECT_EQ(0, TELL(opener, peek, 1, 0));

	/* The opener maps in its turn, from its memory, with its privilege */
	ASSERT_EQ(0, TELL(opener, map, NR, 1));
	EXPECT_EQ(1, vm_pin(self->opener.pid));
	EXPECT_EQ(variant->container ? 1 : 0, vm_lck(self->opener.pid));
	EXPECT_CHARGE(mapper, LIMIT);
	ASSERT_EQ(0, TELL(mapper, copy, NR, 2));
	EXPECT_EQ(0x22, TELL(mapper, peek, 2, 0));

	/* It exits, and the mapper does not notice */
	ASSERT_EQ(0, process_end(&self->opener));
	EXPECT_CHARGE(mapper, LIMIT);
	ASSERT_EQ(0, TELL(mapper, copy, NR, 3));
	EXPECT_EQ(0x22, TELL(mapper, peek, 3, 0));
	ASSERT_EQ(0, TELL(mapper, unmap, NR, 1));
	EXPECT_CHARGE(mapper, LIMIT);
	EXPECT_EQ(OVER_LIMIT, TELL(mapper, map, NR, 1));
	if (!OVER_LIMIT)
		ASSERT_EQ(0, TELL(mapper, unmap, NR, 1));
	ASSERT_EQ(0, TELL(mapper, unmap, 0, LIMIT));
	EXPECT_CHARGE(mapper, 0);
	EXPECT_EQ(0, TELL(mapper, map, 0, LIMIT));
}

/* What the mapper leaves behind is there until somebody unmaps it */
TEST_F(handover, mapper_exits)
{
	bool shared = !variant->capable && !variant->process &&
		      !variant->container;

	/* Of the same user, which is who is charged where users are */
	ASSERT_EQ(0, TELL(heir, be, variant->capable ? 0 : TEST_UID, LIMIT));
	ASSERT_EQ(0, hand_over(&self->mapper, &self->heir));
	ASSERT_EQ(0, process_end(&self->opener));
	TELL(mapper, fill, 0, 0x33);
	ASSERT_EQ(0, ATTACH(mapper));
	ASSERT_EQ(0, TELL(mapper, map, 0, LIMIT - 1));
	EXPECT_CHARGE(heir, 0);
	ASSERT_EQ(0, process_end(&self->mapper));

	ASSERT_EQ(0, TELL(heir, map, NR, 1));
	EXPECT_CHARGE(heir, 1);
	EXPECT_EQ(shared ? ENOMEM : 0, TELL(heir, map, NR + 1, 1));
	if (!shared)
		ASSERT_EQ(0, TELL(heir, unmap, NR + 1, 1));
	/* The device still has the memory of the dead */
	ASSERT_EQ(0, TELL(heir, copy, 0, NR));
	EXPECT_EQ(0x33, TELL(heir, peek, 0, 0));
	ASSERT_EQ(0, TELL(heir, unmap, 0, LIMIT - 1));
	EXPECT_CHARGE(heir, 1);
	EXPECT_EQ(0, TELL(heir, map, 0, LIMIT - 1));
	EXPECT_CHARGE(heir, LIMIT);
	EXPECT_EQ(OVER_LIMIT, TELL(heir, map, NR + 1, 1));
}

/* But what was not pinned has gone with the mapper */
TEST_F(handover_native, mapper_exits_unpinned)
{
	ASSERT_EQ(0, TELL(heir, be, variant->capable ? 0 : TEST_UID, LIMIT));
	ASSERT_EQ(0, hand_over(&self->mapper, &self->heir));
	ASSERT_EQ(0, TELL(mapper, map, 0, 2));
	ASSERT_EQ(0, TELL(heir, map, NR, 1));
	EXPECT_CHARGE(mapper, 0);
	/* Who attaches does not pay for what others have mapped */
	ASSERT_EQ(0, TELL(heir, attach, 0, 0));
	EXPECT_CHARGE(mapper, 2);
	EXPECT_CHARGE(heir, 1);
	ASSERT_EQ(0, TELL(heir, detach, 0, 0));
	EXPECT_CHARGE(mapper, 0);
	ASSERT_EQ(0, process_end(&self->mapper));
	EXPECT_EQ(EFAULT, TELL(heir, attach, 0, 0));
	EXPECT_CHARGE(heir, 0);
	ASSERT_EQ(0, TELL(heir, unmap, 0, 2));
	ASSERT_EQ(0, TELL(heir, attach, 0, 0));
	EXPECT_CHARGE(heir, 1);
}

/* The limit is that of who mapped, too, when another one makes it be pinned */
TEST_F(handover_native, limit_of_the_mapper)
{
	ASSERT_EQ(0, TELL(mapper, map, 0, LIMIT));
	ASSERT_EQ(0, TELL(mapper, set_soft_limit, LIMIT - 1, 0));
	EXPECT_EQ(OVER_LIMIT, TELL(opener, attach, 0, 0));
	EXPECT_CHARGE(mapper, OVER_LIMIT ? 0 : LIMIT);
	ASSERT_EQ(0, TELL(mapper, set_soft_limit, LIMIT, 0));
	if (OVER_LIMIT)
		ASSERT_EQ(0, TELL(opener, attach, 0, 0));
	EXPECT_CHARGE(mapper, LIMIT);
	EXPECT_EQ(0, vm_pin(self->opener.pid));
}

/* A device is bound until the last of its descriptors is closed */
TEST_F(handover_native, device)
{
	TELL(mapper, fill, 0, 0x44);
	ASSERT_EQ(0, TELL(mapper, attach, 0, 0));
	ASSERT_EQ(0, TELL(mapper, map, 0, 2));
	ASSERT_EQ(0, TELL(opener, close_device, 0, 0));
	EXPECT_EQ(EBUSY, TELL(opener, destroy_device, 0, 0));
	ASSERT_EQ(0, TELL(mapper, copy, 0, 1));
	EXPECT_EQ(0x44, TELL(mapper, peek, 1, 0));
	ASSERT_EQ(0, TELL(mapper, close_device, 0, 0));
	EXPECT_EQ(ENOENT, TELL(opener, destroy_device, 0, 0));
	EXPECT_CHARGE(mapper, 0);
}

/* Memory of files changes hands, with the charge, in the way it was counted */
TEST_F(handover, change_process)
{
	bool lck = !variant->capable && (variant->process || variant->container);

	/* Another user; one who has no privilege, whatever the mapper has */
	ASSERT_EQ(0, TELL(heir, be, HEIR_UID, LIMIT));
	ASSERT_EQ(0, hand_over(&self->mapper, &self->heir));
	ASSERT_EQ(0, process_end(&self->opener));
	ASSERT_EQ(0, ATTACH(mapper));
	/* Not the memory of a process */
	ASSERT_EQ(0, TELL(mapper, map, 0, 2));
	EXPECT_EQ(EINVAL, TELL(heir, change_process, 0, 0));
	EXPECT_CHARGE(mapper, 2);
	EXPECT_CHARGE(heir, 0);
	ASSERT_EQ(0, TELL(mapper, unmap, 0, 2));

	ASSERT_EQ(0, TELL(mapper, map_file, 0, LIMIT));
	EXPECT_EQ(LIMIT, vm_pin(self->mapper.pid));
	EXPECT_EQ(lck ? LIMIT : 0, vm_lck(self->mapper.pid));
	/* Not beyond the limit of who takes it, where there was one */
	ASSERT_EQ(0, TELL(heir, set_soft_limit, LIMIT - 1, 0));
	if (!variant->capable) {
		EXPECT_EQ(ENOMEM, TELL(heir, change_process, 0, 0));
		EXPECT_EQ(LIMIT, vm_pin(self->mapper.pid));
		EXPECT_EQ(lck ? LIMIT : 0, vm_lck(self->mapper.pid));
		EXPECT_EQ(0, vm_pin(self->heir.pid));
		EXPECT_EQ(0, vm_lck(self->heir.pid));
		ASSERT_EQ(0, TELL(heir, set_soft_limit, LIMIT, 0));
	}
	ASSERT_EQ(0, TELL(heir, change_process, 0, 0));
	EXPECT_EQ(0, vm_pin(self->mapper.pid));
	EXPECT_EQ(0, vm_lck(self->mapper.pid));
	EXPECT_EQ(LIMIT, vm_pin(self->heir.pid));
	EXPECT_EQ(lck ? LIMIT : 0, vm_lck(self->heir.pid));

	/* The former owner is free, by its user, too */
	ASSERT_EQ(0, TELL(mapper, map, NR, LIMIT));
	EXPECT_CHARGE(mapper, LIMIT);
	/* And DMA goes on, without it as well */
	TELL(mapper, fill, 0, 0x55);
	ASSERT_EQ(0, TELL(mapper, copy, NR, 0));
	ASSERT_EQ(0, process_end(&self->mapper));
	ASSERT_EQ(0, TELL(heir, copy, 0, 1));
	EXPECT_EQ(LIMIT, vm_pin(self->heir.pid));
	ASSERT_EQ(0, TELL(heir, unmap, 0, LIMIT));
	EXPECT_EQ(0, vm_pin(self->heir.pid));
	EXPECT_EQ(0, vm_lck(self->heir.pid));
}

TEST_HARNESS_MAIN
