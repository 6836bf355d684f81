// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where one errno has many causes, the trace tells which; and what only an
 * administrator can change is in the kernel's log.
 */
#include <linux/vfio.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"
#include "tracefs.h"

#define NR 8
#define BASE ((__u64)MOCK_APERTURE_START)
#define TEST_UID 60220
#define LIMIT 4
#define ENTRY_LIMIT "/sys/module/iommufd/parameters/dma_entry_limit"

FIXTURE(refusal)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
};

FIXTURE_SETUP(refusal)
{
	int rc;

	OPEN_MOCK_OR_SKIP(self->fd);
	rc = trace_start();
	if (rc == ENOENT || rc == ENODEV || rc == EPERM)
		SKIP(return, "cannot trace: %s", strerror(rc));
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 1, NR * PAGE);
}

FIXTURE_TEARDOWN(refusal)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, trace_stop());
}

/* That was the last refusal, and the only one since the last look */
#define EXPECT_CAUSE(word, err)                                                \
	do {                                                                   \
		char __line[512], __want[128];                                 \
		EXPECT_EQ(1, trace_find("iommufd_refused", NULL, __line,       \
					sizeof(__line)));                      \
		snprintf(__want, sizeof(__want), "cause=%s rc=%d ", word,      \
			 -(err));                                              \
		EXPECT_EQ(0, strncmp(__want, __line, strlen(__want))) {        \
			TH_LOG("%s, not %s", __line, __want);                  \
		}                                                              \
		EXPECT_EQ(0, trace_clear());                                   \
	} while (0)

#define EXPECT_PLACE(word, err, start, end)                                    \
	do {                                                                   \
		EXPECT_TRACED("iommufd_refused", "first=0x%llx last=0x%llx",   \
			      (unsigned long long)(start),                     \
			      (unsigned long long)(end));                      \
		EXPECT_CAUSE(word, err);                                       \
	} while (0)

TEST_F(refusal, bind)
{
	struct mock_config coherent = { .flags = MOCK_FLAGS_DEVICE_NONCOHERENT };
	struct mock_dev dev;
	char line[512];

	EXPECT_EQ(EINVAL, mock_device(self->fd, self->ioas, &coherent, &dev));
	EXPECT_TRACED("iommufd_refused", "dev=iommufd_mock");
	EXPECT_CAUSE("no-cache-coherency", EINVAL);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, trace_find("iommufd_refused", NULL, line, sizeof(line)));
	EXPECT_EQ(EBUSY, mock_bind_again(self->fd, dev.stdev));
	EXPECT_CAUSE("bound-already", EBUSY);
}

TEST_F(refusal, attach)
{
	struct mock_config bound = {}, sibling = {};
	struct mock_dev dev, other;
	__u32 second;

	ASSERT_EQ(0, ioas_alloc(self->fd, &second));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(EINVAL, mock_replace(self->fd, dev.stdev,
				       &(__u32){ dev.idev }));
	EXPECT_CAUSE("no-page-table", EINVAL);

	sibling.sibling = dev.stdev;
	EXPECT_EQ(EINVAL, mock_device(self->fd, second, &sibling, &other));
	EXPECT_CAUSE("group-on-other-hwpt", EINVAL);

	ASSERT_EQ(0, mock_device(self->fd, 0, &bound, &other));
	EXPECT_EQ(EINVAL, mock_replace(self->fd, other.stdev,
				       &(__u32){ self->ioas }));
	EXPECT_CAUSE("not-attached", EINVAL);
}

TEST_F(refusal, pasids)
{
	__u32 plain, with, pt;
	struct mock_dev dev, none;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &dev));
	pt = self->ioas;
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, dev.stdev, 7, &pt));
	EXPECT_CAUSE("hwpt-not-for-pasids", EINVAL);
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas, 0, &plain));
	pt = plain;
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, dev.stdev, 7, &pt));
	EXPECT_CAUSE("hwpt-not-for-pasids", EINVAL);
	/* What DMA without PASID is translated by was not made for it either */
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &with));
	pt = with;
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, dev.stdev, 7, &pt));
	EXPECT_CAUSE("hwpt-not-for-pasids", EINVAL);

	/* One is too few; the core of the IOMMU drivers sees that */
	ASSERT_EQ(0, mock_attach(self->fd, with, 0, &none));
	pt = with;
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, none.stdev, 7, &pt));
	EXPECT_CAUSE("iommu-driver", EINVAL);
}

TEST_F(refusal, iommu_driver)
{
	struct mock_dev dev, plain;
	__u32 hwpt;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	EXPECT_EQ(EINVAL, mock_attach(self->fd, hwpt, MOCK_FLAGS_DEVICE_NO_DIRTY,
				      &plain));
	EXPECT_CAUSE("iommu-driver", EINVAL);
}

TEST_F(refusal, attach_in_use)
{
	struct mock_config config = {
		.resv = MOCK_RESV_RESERVED,
		.start = BASE + 4 * PAGE,
		.length = 4 * PAGE,
	};
	struct mock_dev dev;

	/* A region that the device reserves */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	EXPECT_EQ(EADDRINUSE, mock_device(self->fd, self->ioas, &config, &dev));
	EXPECT_TRACED("iommufd_refused", "dev=iommufd_mock");
	EXPECT_PLACE("reserved-region-in-use", EADDRINUSE, BASE + 4 * PAGE,
		     BASE + 8 * PAGE - 1);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));

	/* What the domain cannot translate */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, PAGE));
	EXPECT_EQ(EADDRINUSE, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_PLACE("aperture-in-use", EADDRINUSE, 0, BASE - 1);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));

	/* Less than a page of the domain */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 16, BASE));
	EXPECT_EQ(EADDRINUSE, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_PLACE("alignment-in-use", EADDRINUSE, BASE, BASE + 15);
}

TEST_F(refusal, map)
{
	struct iommu_iova_range range = { BASE, BASE + PAGE - 1 };
	__u64 iova = BASE + 4 * PAGE;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      PAGE));
	EXPECT_PLACE("iova-reserved", EINVAL, PAGE, 2 * PAGE - 1);
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      BASE + 1));
	EXPECT_PLACE("iova-alignment", EINVAL, BASE + 1, BASE + PAGE);
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf, 3, BASE));
	EXPECT_CAUSE("iova-alignment", EINVAL);
	EXPECT_EQ(EINVAL, ioas_map_at(self->fd, self->ioas, self->buf + 1, PAGE,
				      BASE));
	EXPECT_CAUSE("iova-alignment", EINVAL);

	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, PAGE,
			      MAP_FIX | MAP_R, &(__u64){ BASE }));
	EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      BASE));
	EXPECT_PLACE("iova-taken", EEXIST, BASE, BASE + PAGE - 1);
	EXPECT_EQ(EPERM, ioas_copy(self->fd, self->ioas, self->ioas, BASE, PAGE,
				   MAP_FIX_RW, &iova));
	EXPECT_PLACE("read-only", EPERM, BASE + 4 * PAGE, BASE + 5 * PAGE - 1);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));

	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &range, 1));
	EXPECT_EQ(ENOSPC, ioas_map(self->fd, self->ioas, self->buf, 2 * PAGE,
				   MAP_RW, &iova));
	EXPECT_CAUSE("iova-no-room", ENOSPC);
}

TEST_F(refusal, entry_limit)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)self->buf,
		.iova = BASE,
		.size = PAGE,
	};
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = self->ioas,
		.op = IOMMU_VFIO_IOAS_SET,
	};
	unsigned long limit;
	char text[32];
	int rc;

	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_VFIO_IOAS, &set));
	if (read_number(ENTRY_LIMIT, &limit))
		SKIP(return, "kernel without CONFIG_IOMMUFD_VFIO_CONTAINER");
	ASSERT_EQ(0, ioctl(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	ASSERT_EQ(0, trace_write(ENTRY_LIMIT, "1"));
	map.iova += PAGE;
	rc = ioctl(self->fd, VFIO_IOMMU_MAP_DMA, &map) ? errno : 0;
	snprintf(text, sizeof(text), "%lu", limit);
	EXPECT_EQ(0, trace_write(ENTRY_LIMIT, text));
	EXPECT_EQ(ENOSPC, rc);
	EXPECT_PLACE("dma-entry-limit", ENOSPC, BASE + PAGE,
		     BASE + 2 * PAGE - 1);
}

/* A process with a name, a user and a limit of its own maps more than it may */
static int over_the_limit(int fd, __u32 ioas, __u8 *buf)
{
	if (memlock_limit_set(LIMIT * PAGE) ||
	    setresuid(TEST_UID, TEST_UID, TEST_UID))
		return 101;
	return ioas_map_at(fd, ioas, buf, NR * PAGE, BASE);
}

TEST_F(refusal, memlock_limit)
{
	char line[512];
	pid_t child;
	int status;

	if (geteuid())
		SKIP(return, "has to start as root to change what it may");
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(over_the_limit(self->fd, self->ioas, self->buf));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(ENOMEM, WEXITSTATUS(status));
	EXPECT_CAUSE("memlock-limit", ENOMEM);
	EXPECT_EQ(0, trace_find("iommufd_account_failed", NULL, line,
				sizeof(line)));
	/*
	 * There is one such line a minute at most, so that this or another
	 * process, of this program or of the one before, is in it.
	 */
	EXPECT_TRUE(kmsg_has("iommufd: RLIMIT_MEMLOCK (", ") exceeded: "));
	EXPECT_TRUE(kmsg_has("iommufd: RLIMIT_MEMLOCK (", "LimitMEMLOCK="));
}

/* Whoever tries for ever does not fill the log */
TEST_F(refusal, log_is_limited)
{
	char line[4096];
	int fd, lines = 0;
	pid_t child;
	int status;

	if (geteuid())
		SKIP(return, "has to start as root to change what it may");
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, lseek(fd, 0, SEEK_END));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int rc = over_the_limit(self->fd, self->ioas, self->buf);

		for (int i = 0; rc == ENOMEM && i < 50; i++)
			rc = ioas_map_at(self->fd, self->ioas, self->buf,
					 NR * PAGE, BASE);
		_exit(rc);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(ENOMEM, WEXITSTATUS(status));
	while (read(fd, line, sizeof(line)) > 0)
		lines += !!strstr(line, "RLIMIT_MEMLOCK");
	EXPECT_GE(2, lines);
	EXPECT_EQ(0, close(fd));
}

TEST_HARNESS_MAIN
