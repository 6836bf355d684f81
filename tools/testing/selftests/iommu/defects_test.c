// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where iommufd is meant to do better than it once did. Each test says what
 * the former behaviour was; all of them assert the better one.
 */
#include <linux/capability.h>
#include <linux/memfd.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define BASE ((__u64)MOCK_APERTURE_START)

FIXTURE(defects)
{
	int fd;
	__u32 ioas;
	struct mock_dev dev;
	__u8 *buf;
};

FIXTURE_SETUP(defects)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(16 * PAGE);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(defects)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, 16 * PAGE));
	EXPECT_EQ(0, vm_pin(0));
}

#define ATTACH() ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev))

/* Devices could write to a file that was opened for reading only */
TEST_F(defects, file_opened_read_only)
{
	int file = memfd_of(PAGE, 0), ro;
	__u64 iova = BASE;
	char path[64];

	ASSERT_LE(0, file);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, ro);
	ATTACH();
	EXPECT_EQ(EACCES, ioas_map_file(self->fd, self->ioas, ro, 0, PAGE,
					MAP_FIX_RW, &iova));
	EXPECT_EQ(EACCES, ioas_map_file(self->fd, self->ioas, ro, 0, PAGE,
					MAP_FIX | MAP_W, &iova));
	EXPECT_EQ(0, ioas_map_file(self->fd, self->ioas, ro, 0, PAGE,
				   MAP_FIX | MAP_R, &iova));
	/* And not by way of a copy */
	iova += PAGE;
	EXPECT_EQ(EPERM, ioas_copy(self->fd, self->ioas, self->ioas, BASE,
				   PAGE, MAP_FIX_RW, &iova));
	close(ro);
	close(file);
}

/* or that is sealed against writing */
TEST_F(defects, file_sealed)
{
	static const int seals[] = { F_SEAL_WRITE, F_SEAL_FUTURE_WRITE };

	ATTACH();
	for (unsigned int i = 0; i < ARRAY_LEN(seals); i++) {
		int file = memfd_of(PAGE, MFD_ALLOW_SEALING);
		__u64 iova = BASE + i * PAGE;

		ASSERT_LE(0, file);
		ASSERT_EQ(0, fcntl(file, F_ADD_SEALS, seals[i]));
		EXPECT_EQ(EPERM, ioas_map_file(self->fd, self->ioas, file, 0,
					       PAGE, MAP_FIX_RW, &iova));
		EXPECT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, PAGE,
					   MAP_FIX | MAP_R, &iova));
		close(file);
	}
}

/* Sealing against writes while a device may write */
TEST_F(defects, seal_while_mapped)
{
	int file = memfd_of(PAGE, MFD_ALLOW_SEALING);
	__u64 iova = BASE;

	ASSERT_LE(0, file);
	ATTACH();
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, PAGE,
				   MAP_FIX_RW, &iova));
	EXPECT_EQ(-1, fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
	close(file);
}

/* A mapping cut by the end of the interval: those before were gone */
TEST_F(defects, unmap_is_atomic)
{
	__u64 unmapped;

	ATTACH();
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->buf + i * 2 * PAGE, 2 * PAGE,
					 BASE + i * 2 * PAGE));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE, 5 * PAGE,
				     NULL));
	EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt, BASE, self->buf,
				    6 * PAGE));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, 6 * PAGE,
				&unmapped));
	EXPECT_EQ(6 * PAGE, unmapped);
}

/* The page count wrapped, with a kernel warning */
TEST_F(defects, length_near_the_end)
{
	const __u64 len = UINT64_MAX - PAGE;

	EXPECT_EQ(EOVERFLOW, ioas_map_at(self->fd, self->ioas,
					 (void *)(PAGE - 1), len, 0));
	EXPECT_EQ(EOVERFLOW, ioas_map_at(self->fd, self->ioas,
					 (void *)(PAGE / 2), len, 0));
}

/* A byte at the very end of a hole was not found */
TEST_F(defects, automatic_last_byte)
{
	struct iommu_iova_range r[] = { { 2 * PAGE, 2 * PAGE + 1 } };
	__u64 iova;

	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, r, 1));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, 1, MAP_RW,
			      &iova));
	EXPECT_EQ(2 * PAGE, iova);
	/* The offset of the address in its page is 0, so not the next byte */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf + 1, 1, MAP_RW,
			      &iova));
	EXPECT_EQ(2 * PAGE + 1, iova);
}

/* In mode "none" the owner moved and its count of pinned pages did not */
TEST_F(defects, change_process_unlimited)
{
	int file = memfd_of(4 * PAGE, 0), status;
	__u64 iova = BASE;
	pid_t pid;

	if (!cap_have(CAP_IPC_LOCK))
		SKIP(return, "needs CAP_IPC_LOCK");
	ASSERT_LE(0, file);
	ATTACH();
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, 4 * PAGE,
				   MAP_FIX_RW, &iova));
	EXPECT_EQ(4, vm_pin(0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ioas_change_process(self->fd))
			_exit(1);
		if (vm_pin(0) != 4)
			_exit(2);
		if (ioas_unmap_all(self->fd, self->ioas, NULL))
			_exit(3);
		_exit(vm_pin(0) ? 4 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, vm_pin(0));
	close(file);
}

/*
 * In process mode with the former owner gone, as after a live update: a
 * warning, EINVAL, and the owner had changed nevertheless
 */
TEST_F(defects, change_process_after_the_owner)
{
	int file = memfd_of(4 * PAGE, 0), status;
	__u64 iova = BASE;
	pid_t pid;

	ASSERT_EQ(0, iommu_destroy(self->fd, self->ioas));
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ATTACH();
	ASSERT_LE(0, file);
	ASSERT_EQ(0, cap_drop(CAP_IPC_LOCK));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(ioas_map_file(self->fd, self->ioas, file, 0, 4 * PAGE,
				    MAP_FIX_RW, &iova));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, ioas_change_process(self->fd));
	EXPECT_EQ(4, vm_pin(0));
	EXPECT_EQ(4, vm_lck(0));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, vm_lck(0));
	close(file);
}

TEST_HARNESS_MAIN
