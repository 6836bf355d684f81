// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo tells of a context is what the test made, also while
 * somebody is stopped in the middle of pinning memory: whoever waits there where
 * nobody should does so until the harness' timeout.
 */
#include <ctype.h>
#include <linux/capability.h>
#include <linux/vfio.h>
#include <sched.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"
#include "stall.h"

#define NR 32
#define BASE ((__u64)MOCK_APERTURE_START)
#define TEST_UID 60218
#define LIMIT 64
#define ROUNDS 300
#define PIDS "/sys/kernel/slab/pid"

FIXTURE(fdinfo)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
};

FIXTURE_SETUP(fdinfo)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 1, NR * PAGE);
}

FIXTURE_TEARDOWN(fdinfo)
{
	EXPECT_EQ(0, close(self->fd));
}

#define EXPECT_NUMBER(want, ...) \
	EXPECT_EQ((__u64)(want), fdinfo_number(self->fd, __VA_ARGS__))

#define EXPECT_TEXT(want, ...)                                                 \
	do {                                                                   \
		char __val[64] = "";                                           \
		EXPECT_EQ(0, fdinfo_get(self->fd, __val, sizeof(__val),        \
					__VA_ARGS__));                         \
		EXPECT_STREQ(want, __val);                                     \
	} while (0)

#define EXPECT_NO_KEY(...)                                                     \
	do {                                                                   \
		char __val[64];                                                \
		EXPECT_EQ(ENOENT, fdinfo_get(self->fd, __val, sizeof(__val),   \
					     __VA_ARGS__));                    \
	} while (0)

TEST_F(fdinfo, mapped_and_pinned)
{
	__u64 iova = BASE + NR * PAGE;
	struct mock_dev dev, other;
	__u32 second;

	EXPECT_NUMBER(0, "iommufd-ioas-%u-mapped", self->ioas);
	EXPECT_NUMBER(0, "iommufd-ioas-%u-areas", self->ioas);
	EXPECT_NO_KEY("iommufd-ioas-%u-accounting", self->ioas);

	/* Without a domain nothing is pinned */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	EXPECT_NUMBER(NR * PAGE, "iommufd-ioas-%u-mapped", self->ioas);
	EXPECT_NUMBER(1, "iommufd-ioas-%u-areas", self->ioas);
	EXPECT_NUMBER(0, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(0, "iommufd-ioas-%u-domains", self->ioas);
	EXPECT_NUMBER(0, "iommufd-pinned");

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_NUMBER(1, "iommufd-ioas-%u-domains", self->ioas);
	EXPECT_NUMBER(NR * PAGE, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(NR * PAGE, "iommufd-pinned");
	EXPECT_EQ(NR, vm_pin(0));

	/* A part of it again, in both: the context counts each page once */
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas, self->ioas, BASE,
			       4 * PAGE, MAP_FIX_RW, &iova));
	ASSERT_EQ(0, ioas_alloc(self->fd, &second));
	ASSERT_EQ(0, ioas_copy(self->fd, second, self->ioas, BASE, NR * PAGE,
			       MAP_FIX_RW, &(__u64){ BASE }));
	ASSERT_EQ(0, mock_attach(self->fd, second, 0, &other));
	EXPECT_NUMBER((NR + 4) * PAGE, "iommufd-ioas-%u-mapped", self->ioas);
	EXPECT_NUMBER(2, "iommufd-ioas-%u-areas", self->ioas);
	EXPECT_NUMBER((NR + 4) * PAGE, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(NR * PAGE, "iommufd-ioas-%u-pinned", second);
	EXPECT_NUMBER(NR * PAGE, "iommufd-pinned");

	/* The other one keeps the pages */
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_NUMBER(0, "iommufd-ioas-%u-mapped", self->ioas);
	EXPECT_NUMBER(0, "iommufd-ioas-%u-areas", self->ioas);
	EXPECT_NUMBER(0, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(NR * PAGE, "iommufd-pinned");

	/* With its last domain they go */
	ASSERT_EQ(0, iommu_destroy(self->fd, other.stdev));
	EXPECT_NUMBER(NR * PAGE, "iommufd-ioas-%u-mapped", second);
	EXPECT_NUMBER(0, "iommufd-ioas-%u-domains", second);
	EXPECT_NUMBER(0, "iommufd-ioas-%u-pinned", second);
	EXPECT_NUMBER(0, "iommufd-pinned");
	EXPECT_EQ(0, vm_pin(0));
}

/* A part of a page counts as a page of what is pinned, as it does for VmPin */
TEST_F(fdinfo, failed_map_counts_nothing)
{
	struct mock_dev dev;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 2048, 2048,
				 BASE));
	EXPECT_NUMBER(2048, "iommufd-ioas-%u-mapped", self->ioas);
	EXPECT_NUMBER(PAGE, "iommufd-ioas-%u-pinned", self->ioas);
	ASSERT_EQ(0, munmap(self->buf + 8 * PAGE, PAGE));
	EXPECT_EQ(EFAULT, ioas_map_at(self->fd, self->ioas, self->buf,
				      NR * PAGE, BASE + PAGE));
	EXPECT_NUMBER(2048, "iommufd-ioas-%u-mapped", self->ioas);
	EXPECT_NUMBER(1, "iommufd-ioas-%u-areas", self->ioas);
	EXPECT_NUMBER(PAGE, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(PAGE, "iommufd-pinned");
}

TEST_F(fdinfo, accesses)
{
	__u32 id, item;
	int access;

	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &access));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	ASSERT_EQ(0, access_pin(self->fd, access, BASE, 3 * PAGE, self->buf, 0,
				&item));
	EXPECT_NUMBER(0, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(3 * PAGE, "iommufd-ioas-%u-access-pinned", self->ioas);
	EXPECT_NUMBER(3 * PAGE, "iommufd-pinned");
	ASSERT_EQ(0, access_unpin(self->fd, access, item));
	EXPECT_NUMBER(0, "iommufd-ioas-%u-access-pinned", self->ioas);
	EXPECT_NUMBER(0, "iommufd-pinned");

	/* It got the ID after that of the IOAS */
	id = self->ioas + 1;
	EXPECT_NUMBER(self->ioas, "iommufd-access-%u-ioas", id);
	EXPECT_EQ(0, close(access));
	EXPECT_NO_KEY("iommufd-access-%u-ioas", id);
}

TEST_F(fdinfo, options)
{
	struct mock_dev dev;
	__u32 hwpt;

	EXPECT_TEXT("on", "iommufd-ioas-%u-huge-pages", self->ioas);
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	EXPECT_TEXT("off", "iommufd-ioas-%u-huge-pages", self->ioas);
	EXPECT_TEXT("off", "iommufd-ioas-%u-dirty-log", self->ioas);

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_TEXT("on", "iommufd-hwpt-%u-auto", dev.hwpt);
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	EXPECT_TEXT("off", "iommufd-hwpt-%u-auto", hwpt);
	EXPECT_TEXT("off", "iommufd-hwpt-%u-dirty-tracking", hwpt);
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	EXPECT_TEXT("on", "iommufd-hwpt-%u-dirty-tracking", hwpt);
	EXPECT_NUMBER(2, "iommufd-ioas-%u-domains", self->ioas);
}

TEST_F(fdinfo, dirty_log)
{
	struct vfio_iommu_type1_dirty_bitmap log = {
		.argsz = sizeof(log),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
	};
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = self->ioas,
		.op = IOMMU_VFIO_IOAS_SET,
	};
	int rc;

	EXPECT_TEXT("none", "iommufd-container");
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_VFIO_IOAS, &set));
	EXPECT_NUMBER(self->ioas, "iommufd-container");
	rc = ioctl(self->fd, VFIO_IOMMU_DIRTY_PAGES, &log);
	if (rc && errno == ENOTTY)
		SKIP(return, "kernel without CONFIG_IOMMUFD_VFIO_CONTAINER");
	ASSERT_EQ(0, rc);
	EXPECT_TEXT("on", "iommufd-ioas-%u-dirty-log", self->ioas);
	log.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
	ASSERT_EQ(0, ioctl(self->fd, VFIO_IOMMU_DIRTY_PAGES, &log));
	EXPECT_TEXT("off", "iommufd-ioas-%u-dirty-log", self->ioas);
}

TEST_F(fdinfo, devices)
{
	__u32 second, parent, nested, pasid_hwpt, pt;
	char name[64] = "";
	struct mock_dev dev;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &dev));
	EXPECT_EQ(0, fdinfo_get(self->fd, name, sizeof(name),
				"iommufd-device-%u-name", dev.idev));
	EXPECT_EQ(0, strncmp(name, "iommufd_mock", 12));
	EXPECT_NE(~0ULL, fdinfo_number(self->fd, "iommufd-device-%u-group",
				       dev.idev));
	EXPECT_NUMBER(dev.hwpt, "iommufd-device-%u-hwpt", dev.idev);
	EXPECT_NUMBER(self->ioas, "iommufd-device-%u-ioas", dev.idev);
	EXPECT_NUMBER(0, "iommufd-device-%u-pasids", dev.idev);
	EXPECT_TEXT("paging", "iommufd-hwpt-%u-type", dev.hwpt);
	EXPECT_NUMBER(self->ioas, "iommufd-hwpt-%u-ioas", dev.hwpt);

	/* A nested HWPT on another IOAS, and a PASID beside it */
	ASSERT_EQ(0, ioas_alloc(self->fd, &second));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, second,
				IOMMU_HWPT_ALLOC_NEST_PARENT |
				IOMMU_HWPT_ALLOC_PASID, &parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, dev.idev, parent,
				       IOMMU_HWPT_ALLOC_PASID, 0,
				       IOMMU_TEST_IOTLB_DEFAULT, &nested));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &pasid_hwpt));
	pt = nested;
	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &pt));
	pt = pasid_hwpt;
	ASSERT_EQ(0, mock_pasid_attach(self->fd, dev.stdev, 7, &pt));
	EXPECT_TEXT("nested", "iommufd-hwpt-%u-type", nested);
	EXPECT_NUMBER(parent, "iommufd-hwpt-%u-parent", nested);
	EXPECT_NUMBER(nested, "iommufd-device-%u-hwpt", dev.idev);
	EXPECT_NUMBER(second, "iommufd-device-%u-ioas", dev.idev);
	EXPECT_NUMBER(1, "iommufd-device-%u-pasids", dev.idev);
	EXPECT_NUMBER(pasid_hwpt, "iommufd-device-%u-pasid-7-hwpt", dev.idev);
	EXPECT_NUMBER(self->ioas, "iommufd-device-%u-pasid-7-ioas", dev.idev);
	ASSERT_EQ(0, mock_pasid_detach(self->fd, dev.stdev, 7));
	EXPECT_NO_KEY("iommufd-device-%u-pasid-7-hwpt", dev.idev);

	/* Bound and not attached, and then gone */
	ASSERT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_NO_KEY("iommufd-device-%u-name", dev.idev);
	ASSERT_EQ(0, mock_device(self->fd, 0, &(struct mock_config){}, &dev));
	EXPECT_TEXT("none", "iommufd-device-%u-hwpt", dev.idev);
}

TEST_F(fdinfo, page_faults)
{
	const __u32 flags = IOMMU_HWPT_FAULT_ID_VALID;
	struct mock_dev dev;
	__u32 fault, hwpt;
	int queue;

	ASSERT_EQ(0, fault_alloc(self->fd, &fault, &queue));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, hwpt_alloc_data(self->fd, dev.idev, self->ioas, flags,
				     fault, IOMMU_HWPT_DATA_NONE, NULL, 0,
				     &hwpt));
	EXPECT_NUMBER(fault, "iommufd-hwpt-%u-fault", hwpt);
	EXPECT_NO_KEY("iommufd-hwpt-%u-fault", dev.hwpt);
	EXPECT_EQ(0, close(queue));
}

TEST_F(fdinfo, no_iommu)
{
	const struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_NOIOMMU,
	};
	struct mock_dev dev;
	int rc;

	rc = mock_device(self->fd, self->ioas, &config, &dev);
	if (rc == EINVAL)
		SKIP(return, "kernel without CONFIG_IOMMUFD_NOIOMMU");
	ASSERT_EQ(0, rc);
	EXPECT_TEXT("none", "iommufd-device-%u-group", dev.idev);
	EXPECT_NUMBER(dev.hwpt, "iommufd-device-%u-hwpt", dev.idev);
	EXPECT_NUMBER(self->ioas, "iommufd-device-%u-ioas", dev.idev);
}

/* The same file has the same number, whoever has it and however often */
TEST_F(fdinfo, contexts)
{
	__u64 number = fdinfo_number(self->fd, "iommufd-context");
	int copy = dup(self->fd), other = iommu_open();

	ASSERT_NE(~0ULL, number);
	ASSERT_LE(0, copy);
	ASSERT_LE(0, other);
	EXPECT_EQ(number, fdinfo_number(copy, "iommufd-context"));
	EXPECT_NE(number, fdinfo_number(other, "iommufd-context"));
	EXPECT_NE(~0ULL, fdinfo_number(other, "iommufd-context"));
	EXPECT_EQ(0, close(copy));
	EXPECT_EQ(0, close(other));
}

FIXTURE(payer)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
};

FIXTURE_VARIANT(payer)
{
	const char *node, *accounting;
	bool privileged, type1, user, process;
};

FIXTURE_VARIANT_ADD(payer, none)
{
	.node = "/dev/iommu", .accounting = "none", .privileged = true,
};

FIXTURE_VARIANT_ADD(payer, user)
{
	.node = "/dev/iommu", .accounting = "user", .user = true,
};

FIXTURE_VARIANT_ADD(payer, process)
{
	.node = "/dev/vfio/vfio", .accounting = "process", .process = true,
};

FIXTURE_VARIANT_ADD(payer, type1)
{
	.node = "/dev/vfio/vfio", .accounting = "type1", .privileged = true,
	.type1 = true, .process = true,
};

FIXTURE_SETUP(payer)
{
	struct iommu_vfio_ioas set = { .size = sizeof(set) };

	if (geteuid())
		SKIP(return, "has to start as root to change what it may");
	self->fd = open(variant->node, O_RDWR | O_CLOEXEC);
	if (self->fd < 0 || !has_mock(self->fd))
		SKIP(return, "%s is not ours, or has no mock", variant->node);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	set.ioas_id = self->ioas;
	set.op = IOMMU_VFIO_IOAS_SET;
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_VFIO_IOAS, &set));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 1, NR * PAGE);
	ASSERT_EQ(0, memlock_limit_set(LIMIT * PAGE));
	if (!variant->privileged)
		ASSERT_EQ(0, setresuid(TEST_UID, TEST_UID, TEST_UID));
}

FIXTURE_TEARDOWN(payer)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(payer, charged)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)self->buf,
		.iova = BASE,
		.size = NR * PAGE,
	};

	EXPECT_TEXT(strstr(variant->node, "vfio") ? "process" : "user",
		    "iommufd-accounting");
	if (variant->type1) {
		ASSERT_EQ(0, ioctl(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	} else {
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
					 NR * PAGE, BASE));
	}
	EXPECT_TEXT(variant->accounting, "iommufd-ioas-%u-accounting",
		    self->ioas);
	EXPECT_NUMBER(getpid(), "iommufd-ioas-%u-payer-pid", self->ioas);
	if (variant->user) {
		EXPECT_NUMBER(TEST_UID, "iommufd-ioas-%u-payer-uid",
			      self->ioas);
	} else {
		EXPECT_NO_KEY("iommufd-ioas-%u-payer-uid", self->ioas);
	}
	if (!variant->user && !variant->process) {
		EXPECT_NO_KEY("iommufd-ioas-%u-charged", self->ioas);
		EXPECT_NO_KEY("iommufd-ioas-%u-limit", self->ioas);
		return;
	}
	EXPECT_NUMBER(NR * PAGE, "iommufd-ioas-%u-charged", self->ioas);
	if (variant->type1) {
		EXPECT_TEXT("unlimited", "iommufd-ioas-%u-limit", self->ioas);
	} else {
		EXPECT_NUMBER(LIMIT * PAGE, "iommufd-ioas-%u-limit",
			      self->ioas);
	}
}

/* Whatever is in it can be read by a program, and is no address */
TEST_F(fdinfo, syntax)
{
	char text[1 << 14], *rest = text, *line;
	const char *seen[256];
	struct mock_dev dev;
	int ours = 0;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	ASSERT_EQ(0, fdinfo_read(self->fd, text, sizeof(text)));
	while ((line = strsep(&rest, "\n")) && *line) {
		char *colon = strchr(line, ':');

		ASSERT_NE(NULL, colon);
		*colon = 0;
		if (strncmp(line, "iommufd-", 8))
			continue;
		for (char *c = line; *c; c++)
			EXPECT_TRUE(islower(*c) || isdigit(*c) || *c == '-');
		EXPECT_EQ('\t', colon[1]);
		EXPECT_NE(0, colon[2]);
		for (char *c = colon + 2; *c; c++)
			EXPECT_TRUE(islower(*c) || isdigit(*c) ||
				    strchr("-_:.", *c));
		EXPECT_EQ(NULL, strstr(colon + 2, "0x"));
		EXPECT_EQ(NULL, strstr(colon + 2, "ffff"));
		for (int i = 0; i < ours; i++)
			EXPECT_STRNE(seen[i], line);
		ASSERT_GT(ARRAY_LEN(seen), ours);
		seen[ours++] = line;
	}
	EXPECT_LE(20, ours);
}

/* There may be more than the first buffer of the file has room for */
TEST_F(fdinfo, many)
{
	__u32 last = 0;

	for (int i = 0; i < 100; i++)
		ASSERT_EQ(0, ioas_alloc(self->fd, &last));
	ASSERT_EQ(0, ioas_map_at(self->fd, last, self->buf, PAGE, BASE));
	EXPECT_NUMBER(PAGE, "iommufd-ioas-%u-mapped", last);
}

/*
 * The numbers of processes that the kernel keeps, or -1 if it does not tell. What KASAN
 * holds back of the freed ones goes when the slab cache shrinks.
 */
static long pids_in_use(void)
{
	FILE *f;
	long nr;

	if (write_text(PIDS "/shrink", "1"))
		return -1;
	f = fopen(PIDS "/objects", "re");
	if (!f || fscanf(f, "%ld", &nr) != 1)
		nr = -1;
	if (f)
		fclose(f);
	return nr;
}

/* Some processes map memory, see that they pay for it, and are gone */
static bool payers_come_and_go(int fd, __u32 ioas, __u8 *buf, int nr)
{
	bool good = true;

	while (nr--) {
		pid_t child = fork();
		int status;

		if (!child)
			_exit(ioas_map_at(fd, ioas, buf, PAGE, BASE) ||
			      fdinfo_number(fd, "iommufd-ioas-%u-payer-pid",
					    ioas) != (__u64)getpid());
		good &= waitpid(child, &status, 0) == child && !status &&
			!ioas_unmap(fd, ioas, BASE, PAGE, NULL);
	}
	return good;
}

/* Whoever was looked at can be forgotten once he is gone */
TEST_F(fdinfo, payers_are_forgotten)
{
	long before = pids_in_use(), after;

	if (before < 0)
		SKIP(return, "no " PIDS);
	ASSERT_TRUE(payers_come_and_go(self->fd, self->ioas, self->buf, 200));
	/* The last ones go a little later */
	for (int i = 0; i < 20; i++) {
		after = pids_in_use();
		if (after < before + 100)
			break;
		usleep(500000);
	}
	EXPECT_GT(before + 100, after);
}

/* Looking is in nobody's way */
TEST_F(fdinfo, destroy_meanwhile)
{
	char text[1 << 14];
	__u32 id;
	pid_t child;
	int status;

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		for (;;)
			if (fdinfo_read(self->fd, text, sizeof(text)))
				_exit(1);
	}
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &id));
		EXPECT_EQ(0, iommu_destroy(self->fd, id));
	}
	EXPECT_EQ(0, waitpid(child, &status, WNOHANG));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(child, waitpid(child, &status, 0));
}

/* While a device goes from one HWPT to another, it is told to be busy */
TEST_F(fdinfo, replace_meanwhile)
{
	struct mock_dev dev;
	char text[64] = "";
	__u32 pt[2];
	pid_t child;
	int status;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas, 0,
					&pt[i]));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		for (int i = 0;; i ^= 1)
			if (mock_replace(self->fd, dev.stdev, &(__u32){ pt[i] }))
				_exit(1);
	}
	for (int i = 0; i < 100 * ROUNDS && strcmp(text, "busy"); i++) {
		fdinfo_get(self->fd, text, sizeof(text),
			   "iommufd-device-%u-hwpt", dev.idev);
		sched_yield();
	}
	EXPECT_STREQ("busy", text);
	EXPECT_EQ(0, waitpid(child, &status, WNOHANG));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(child, waitpid(child, &status, 0));

	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &(__u32){ pt[1] }));
	EXPECT_NUMBER(pt[1], "iommufd-device-%u-hwpt", dev.idev);
}

FIXTURE(fdinfo_stall)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	struct stall stall;
	struct call call;
	struct mock_dev dev;
};

FIXTURE_SETUP(fdinfo_stall)
{
	int rc;

	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	rc = stall_init(&self->stall, false, NULL, 0);
	if (rc)
		SKIP(return, "no userfaultfd: %s", strerror(rc));
}

FIXTURE_TEARDOWN(fdinfo_stall)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(fdinfo_stall, map)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = MAP_FIX_RW,
		.ioas_id = self->ioas,
		.user_va = (uintptr_t)self->stall.page,
		.length = 4 * PAGE,
		.iova = BASE,
	};

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE + 4 * PAGE));
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_IOAS_MAP, (long)&map));
	ASSERT_EQ(0, stall_wait(&self->stall));

	/* What takes IOVA up is told, and not that it is pinned */
	EXPECT_NUMBER((NR + 4) * PAGE, "iommufd-ioas-%u-mapped", self->ioas);
	EXPECT_NUMBER(2, "iommufd-ioas-%u-areas", self->ioas);
	EXPECT_NUMBER(NR * PAGE, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(NR * PAGE, "iommufd-pinned");
	EXPECT_TEXT("busy", "iommufd-ioas-%u-accounting", self->ioas);
	EXPECT_NO_KEY("iommufd-ioas-%u-payer-pid", self->ioas);
	EXPECT_NUMBER(self->dev.hwpt, "iommufd-device-%u-hwpt", self->dev.idev);

	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_NUMBER((NR + 4) * PAGE, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(getpid(), "iommufd-ioas-%u-payer-pid", self->ioas);
}

/* An attach fills a domain under the locks that keep mappings from changing */
TEST_F(fdinfo_stall, attach)
{
	struct iommu_test_cmd attach = {
		.size = sizeof(attach),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
		.id = self->ioas,
	};

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->stall.page,
				 4 * PAGE, BASE + NR * PAGE));
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&attach));
	ASSERT_EQ(0, stall_wait(&self->stall));

	/* The domain is not complete yet, and a part of its memory is there */
	EXPECT_NUMBER((NR + 4) * PAGE, "iommufd-ioas-%u-mapped", self->ioas);
	EXPECT_NUMBER(0, "iommufd-ioas-%u-domains", self->ioas);
	EXPECT_NUMBER(NR * PAGE, "iommufd-ioas-%u-pinned", self->ioas);
	EXPECT_NUMBER(NR * PAGE, "iommufd-pinned");
	EXPECT_NUMBER(getpid(), "iommufd-ioas-%u-payer-pid", self->ioas);

	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	EXPECT_NUMBER(1, "iommufd-ioas-%u-domains", self->ioas);
	EXPECT_NUMBER((NR + 4) * PAGE, "iommufd-ioas-%u-pinned", self->ioas);
}

/* The driver of an access is stopped while it pins, with the access locked */
TEST_F(fdinfo_stall, access)
{
	struct iommu_test_cmd pin = {
		.size = sizeof(pin),
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.access_pages = {
			.iova = BASE,
			.length = PAGE,
			.uptr = (uintptr_t)self->stall.page,
		},
	};
	struct iommu_test_cmd replace = {
		.size = sizeof(replace),
		.op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
	};
	__u32 second, id;
	struct call change;
	char text[64];
	int access;

	ASSERT_EQ(0, ioas_alloc(self->fd, &second));
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &access));
	id = second + 1;
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->stall.page,
				 4 * PAGE, BASE));
	pin.id = access;
	ASSERT_EQ(0, call_start(&self->call, __NR_ioctl, self->fd,
				IOMMU_TEST_CMD, (long)&pin));
	ASSERT_EQ(0, stall_wait(&self->stall));
	EXPECT_NUMBER(0, "iommufd-ioas-%u-access-pinned", self->ioas);
	EXPECT_TEXT("busy", "iommufd-ioas-%u-accounting", self->ioas);
	EXPECT_NUMBER(self->ioas, "iommufd-access-%u-ioas", id);

	/* Who waits to change it keeps others out from then on */
	replace.id = access;
	replace.access_replace_ioas.ioas_id = second;
	ASSERT_EQ(0, call_start(&change, __NR_ioctl, self->fd, IOMMU_TEST_CMD,
				(long)&replace));
	for (int i = 0; i < 2000; i++) {
		ASSERT_EQ(0, fdinfo_get(self->fd, text, sizeof(text),
					"iommufd-access-%u-ioas", id));
		if (!strcmp(text, "busy"))
			break;
		usleep(1000);
	}
	EXPECT_STREQ("busy", text);

	EXPECT_EQ(0, stall_release(&self->stall, "", 1));
	call_join(&self->call);
	EXPECT_EQ(0, self->call.ret);
	call_join(&change);
	EXPECT_EQ(0, change.ret);
	EXPECT_NUMBER(second, "iommufd-access-%u-ioas", id);
	EXPECT_NUMBER(0, "iommufd-pinned");
	EXPECT_EQ(0, close(access));
}

TEST_HARNESS_MAIN
