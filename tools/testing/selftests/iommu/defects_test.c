// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where iommufd is meant to do better than it once did. Each test says what
 * the former behaviour was; all of them assert the better one.
 *
 * Other defects of that kind are met where the rest of the matter is tested:
 *
 *   abi      32-bit tasks had ENOTTY for everything.
 *   copy     The inner pieces of a copy did not have to be aligned.
 *   dirty    Errors of drivers and an unwritable bitmap were no errors, the
 *            latter lost what was dirty; a unit that is no power of two was
 *            rounded; bits were set past the end of the bitmap.
 *   lifetime An unbind that timed out left its device to user space.
 *   limits   Going over the limit was noticed after the device could see it.
 *   stall    A stalled user of memory stalled everybody else.
 *   vfio_compat  The dirty log was missing; an unmap that failed cut mappings and
 *            wrote a size back; a map without permissions was accepted.
 *
 * What is as it was is listed under "Limits" in the user documentation.
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

/*
 * A structure larger than a page was refused, whatever was in it. If it is zero
 * where the kernel does not know it, it means what one of the known size means.
 */
TEST_F(defects, large_structure)
{
	const size_t length = 1 << 20;
	struct iommu_destroy *cmd;
	__u8 *byte;
	__u32 id;

	byte = mmap(NULL, length + PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, byte);
	ASSERT_EQ(0, munmap(byte + length, PAGE));
	cmd = (void *)byte;
	for (size_t size = PAGE - 1; size <= length; size += size / 2 + 1) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &id));
		cmd->size = size;
		cmd->id = id;
		EXPECT_EQ(0, iommu_cmd(self->fd, IOMMU_DESTROY, cmd));
		EXPECT_EQ(ENOENT, iommu_cmd(self->fd, IOMMU_DESTROY, cmd));
		/* Every byte counts, the last as well as the first unknown */
		byte[size - 1] = 1;
		EXPECT_EQ(E2BIG, iommu_cmd(self->fd, IOMMU_DESTROY, cmd));
		byte[size - 1] = 0;
		byte[sizeof(*cmd)] = 1;
		EXPECT_EQ(E2BIG, iommu_cmd(self->fd, IOMMU_DESTROY, cmd));
		byte[sizeof(*cmd)] = 0;
	}
	/* It has to be there, too */
	cmd->size = length + 1;
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, IOMMU_DESTROY, cmd));
	cmd->size = UINT32_MAX;
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, IOMMU_DESTROY, cmd));
	munmap(byte, length);
}

/* What is written back is what the kernel knows, however much was given */
TEST_F(defects, large_structure_reply)
{
	struct iommu_ioas_alloc *cmd;
	__u8 *byte;

	byte = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, byte);
	cmd = (void *)byte;
	cmd->size = 3 * PAGE;
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_IOAS_ALLOC, cmd));
	EXPECT_EQ(3 * PAGE, cmd->size);
	EXPECT_EQ(0, iommu_destroy(self->fd, cmd->out_ioas_id));
	for (size_t i = sizeof(*cmd); i < 4 * PAGE; i++)
		ASSERT_EQ(0, byte[i]);
	munmap(byte, 4 * PAGE);
}

/* An access read the address, where there was something else by then */
TEST_F(defects, access_reads_what_devices_read)
{
	__u8 *priv = buf_alloc_private(2 * PAGE), got[2] = {}, put = 3;
	int file;

	ASSERT_NE(NULL, priv);
	memset(priv, 1, 2 * PAGE);
	ATTACH();
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, priv, 2 * PAGE, BASE));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &file));
	ASSERT_EQ(0, madvise(priv, PAGE, MADV_DONTNEED));
	memset(priv, 2, PAGE);
	/* Across a page that was replaced and one that was not */
	ASSERT_EQ(0, access_rw(self->fd, file, BASE + PAGE - 1, got, 2, 0));
	EXPECT_EQ(1, got[0]);
	EXPECT_EQ(1, got[1]);
	ASSERT_EQ(0, access_rw(self->fd, file, BASE, &put, 1,
			       MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(2, priv[0]);
	ASSERT_EQ(0, munmap(priv, 2 * PAGE));
	ASSERT_EQ(0, access_rw(self->fd, file, BASE, got, 2, 0));
	EXPECT_EQ(3, got[0]);
	EXPECT_EQ(1, got[1]);
	close(file);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
}

/* A large IOPTE that begins before the range was cleared without a word */
TEST_F(defects, dirty_from_before_the_range)
{
	const __u64 entry = MOCK_HUGE_PAGE_SIZE;
	__u8 one = 1, bits[64] = {};
	__u32 ioas, hwpt;
	void *huge;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	huge = buf_alloc_hugetlb(huge_size);
	if (!huge)
		SKIP(return, "1 huge page needed: %s", strerror(errno));
	ATTACH();
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, self->dev.idev, ioas,
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, huge, huge_size, BASE));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	ASSERT_EQ(0, mock_dirty(self->fd, hwpt, BASE, PAGE, PAGE, &one, NULL));
	/* Half of the entry, and as much behind it */
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0, BASE + entry / 2, entry,
				    entry / 256, bits));
	for (int i = 0; i < 256; i++) {
		ASSERT_EQ(i < 128, bit_get(bits, i))
			TH_LOG("bit %d", i);
	}
	ASSERT_EQ(0, ioas_unmap_all(self->fd, ioas, NULL));
	munmap(huge, huge_size);
}

TEST_HARNESS_MAIN
