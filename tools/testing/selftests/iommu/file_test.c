// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOAS_MAP_FILE: memfd, hugetlb memfd, files that will not do, and dma-bufs
 * with their revocation.
 */
#include <linux/fs.h>
#include <linux/memfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "fail_nth.h"

#define NR 16
#define BASE ((__u64)MOCK_APERTURE_START)

FIXTURE(file)
{
	int fd;
	__u32 ioas;
	int file;
	__u8 *view;	/* of the whole file */
	size_t len;
	struct mock_dev dev;
};

FIXTURE_VARIANT(file)
{
	bool domain;
	unsigned int limit;
};

FIXTURE_VARIANT_ADD(file, no_domain) {};
FIXTURE_VARIANT_ADD(file, domain) { .domain = true };
FIXTURE_VARIANT_ADD(file, domain_limit) { .domain = true, .limit = 16 };

FIXTURE_SETUP(file)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	if (variant->domain)
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	if (variant->limit)
		ASSERT_EQ(0, mock_memory_limit(self->fd, variant->limit));
	self->len = NR * PAGE;
	self->file = memfd_of(self->len, 0);
	ASSERT_LE(0, self->file);
	self->view = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_SHARED,
			  self->file, 0);
	ASSERT_NE(MAP_FAILED, self->view);
}

FIXTURE_TEARDOWN(file)
{
	struct stat st;

	EXPECT_EQ(0, mock_memory_limit(self->fd, 65536));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, fstat(self->file, &st));
	EXPECT_EQ(0, check_unpinned(self->view, st.st_size));
	EXPECT_EQ(0, vm_pin(0));
}

/* Where pages are pinned as soon as they are mapped */
FIXTURE_LIKE(file_pinned, file)

FIXTURE_VARIANT_ADD(file_pinned, domain) { .domain = true };
FIXTURE_VARIANT_ADD(file_pinned, domain_limit) { .domain = true, .limit = 16 };

#define PINS (variant->domain ? 1 : 0)

#define EXPECT_MAPPED(want, iova, va, len)                                     \
	do {                                                                   \
		if (variant->domain)                                           \
			EXPECT_EQ(want, mock_check_map(self->fd,               \
						       self->dev.hwpt, iova,   \
						       va, len));              \
	} while (0)

TEST_F(file, errno_order)
{
	const __u64 all = UINT64_MAX;
	struct {
		__u32 flags, ioas;
		int file;
		__u64 start, length, iova;
		int rc;
	} t[] = {
		{ 8, BAD_ID, -1, all, all, all, EOPNOTSUPP },
		{ 0, BAD_ID, -1, all, 0, all, EOVERFLOW },
		{ 0, BAD_ID, -1, all, all, 0, EOVERFLOW },
		{ MAP_FIX, BAD_ID, -1, all, 0, 0, EINVAL },
		{ MAP_FIX_RW, BAD_ID, -1, all, 0, 0, ENOENT },
		{ MAP_FIX_RW, self->ioas, -1, all, 0, 0, EINVAL },
		{ MAP_FIX_RW, self->ioas, -1, all, 2, 0, EOVERFLOW },
		{ MAP_FIX_RW, self->ioas, -1, 0, PAGE, BASE, EBADF },
		{ MAP_FIX_RW, self->ioas, 9999, 0, PAGE, BASE, EBADF },
		{ MAP_RW, self->ioas, -1, 0, all - 1, 0, EBADF },
		{ MAP_RW, self->ioas, self->file, 0, all - 1, 0, EINVAL },
		{ MAP_RW, self->ioas, self->file, 0, 1ULL << 63, 0,
		  EOVERFLOW },
		{ MAP_FIX_RW, self->ioas, self->file, 0, 2 * PAGE,
		  all - PAGE + 1, EOVERFLOW },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		struct iommu_ioas_map_file cmd = {
			.size = sizeof(cmd),
			.flags = t[i].flags,
			.ioas_id = t[i].ioas,
			.fd = t[i].file,
			.start = t[i].start,
			.length = t[i].length,
			.iova = t[i].iova,
		};

		EXPECT_EQ(t[i].rc, iommu_cmd(self->fd, IOMMU_IOAS_MAP_FILE,
					     &cmd))
			TH_LOG("entry %u", i);
	}
}

TEST_F(file, translates)
{
	__u64 iova = 0, unmapped;

	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0,
				   self->len, MAP_RW, &iova));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, self->len, PINS));
	EXPECT_EQ(PINS * NR, vm_pin(0));
	EXPECT_MAPPED(0, iova, self->view, self->len);
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, iova, self->len,
				&unmapped));
	EXPECT_EQ(self->len, unmapped);
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, self->len, 0));
	EXPECT_EQ(0, vm_pin(0));
}

TEST_F(file, any_part)
{
	const __u64 u = MOCK_PAGE_SIZE;

	for (unsigned int s = 0; s < 6; s++) {
		for (unsigned int e = s + 1; e < 8; e++) {
			__u64 iova = BASE + (e % 2) * u;
			size_t first = s * u / PAGE * PAGE;
			size_t end = (e * u + PAGE - 1) / PAGE * PAGE;

			ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas,
						   self->file, s * u,
						   (e - s) * u, MAP_FIX_RW,
						   &iova));
			EXPECT_MAPPED(0, iova, self->view + s * u,
				      (e - s) * u);
			EXPECT_MAPPED(EINVAL, iova + (e - s) * u,
				      self->view + e * u, u);
			EXPECT_EQ(0, mock_check_pins(self->fd,
						     self->view + first,
						     end - first, PINS));
			EXPECT_EQ(0, mock_check_pins(self->fd,
						     self->view + end,
						     self->len - end, 0));
			ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, iova,
						(e - s) * u, NULL));
		}
	}
}

/* The size counts when pages are pinned: now, or when the first domain comes */
/* Of what is refused nothing stays in the way of a seal */
TEST_F(file, too_long)
{
	int file = memfd_of(PAGE, MFD_ALLOW_SEALING);
	__u64 iova;

	ASSERT_LE(0, file);
	EXPECT_EQ(EOVERFLOW, ioas_map_file(self->fd, self->ioas, file, 100,
					   UINT64_MAX - PAGE, MAP_RW, &iova));
	EXPECT_EQ(0, fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
	close(file);
}

TEST_F(file, too_short)
{
	__u64 iova = BASE;
	struct mock_dev dev;

	ASSERT_EQ(0, ftruncate(self->file, self->len - PAGE));
	if (variant->domain) {
		EXPECT_EQ(EINVAL, ioas_map_file(self->fd, self->ioas,
						self->file, 0, self->len,
						MAP_FIX_RW, &iova));
		EXPECT_EQ(EINVAL, ioas_map_file(self->fd, self->ioas,
						self->file, self->len - PAGE,
						PAGE, MAP_FIX_RW, &iova));
		EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE,
					     self->len, NULL));
	} else {
		ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0,
					   self->len, MAP_FIX_RW, &iova));
		EXPECT_EQ(EINVAL, mock_attach(self->fd, self->ioas, 0, &dev));
	}
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, self->len - PAGE,
				     0));
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, ftruncate(self->file, self->len));
	if (variant->domain) {
		EXPECT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0,
					   self->len, MAP_FIX_RW, &iova));
	} else {
		EXPECT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	}
	EXPECT_MAPPED(0, BASE, self->view, self->len);
}

TEST_F(file, holes_get_filled)
{
	__u64 iova = BASE;
	struct stat st;

	ASSERT_EQ(0, fstat(self->file, &st));
	ASSERT_EQ(0, st.st_blocks);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0,
				   self->len, MAP_FIX_RW, &iova));
	ASSERT_EQ(0, fstat(self->file, &st));
	EXPECT_EQ(PINS * self->len / 512, st.st_blocks);
}

/* The mapping holds the file; the descriptor and the VMA may go */
TEST_F(file, descriptor_closed)
{
	int file = memfd_of(self->len, 0);
	__u64 iova = BASE;
	struct mock_dev dev;
	__u32 word = 0;
	int access;

	ASSERT_LE(0, file);
	ASSERT_EQ(4, pwrite(file, "data", 4, 3 * PAGE));
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, self->len,
				   MAP_FIX_RW, &iova));
	ASSERT_EQ(0, close(file));
	if (!variant->domain)
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(NR, vm_pin(0));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &access));
	EXPECT_EQ(0, access_rw(self->fd, access, BASE + 3 * PAGE, &word, 4,
			       0));
	EXPECT_EQ(0, memcmp(&word, "data", 4));
	close(access);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
}

/* Truncation and punched holes leave the pinned pages to the device */
TEST_F(file_pinned, truncated_while_pinned)
{
	__u64 iova = BASE;
	__u8 got[4] = {};
	int access;

	memset(self->view, 0x5a, self->len);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0,
				   self->len, MAP_FIX_RW, &iova));
	ASSERT_EQ(0, ftruncate(self->file, 0));
	EXPECT_EQ(NR, vm_pin(0));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &access));
	EXPECT_EQ(0, access_rw(self->fd, access, BASE + 9 * PAGE, got, 4, 0));
	EXPECT_EQ(0x5a, got[0]);
	close(access);
	/* Pages that come in their place are others */
	ASSERT_EQ(0, ftruncate(self->file, self->len));
	EXPECT_EQ(EINVAL, mock_check_map(self->fd, self->dev.hwpt, BASE,
					 self->view, PAGE));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, vm_pin(0));
}

/* A file needs no living process to be pinned */
TEST_F(file, owner_exits)
{
	struct mock_dev dev;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		__u64 iova = BASE;

		_exit(ioas_map_file(self->fd, self->ioas, self->file, 0,
				    self->len, MAP_FIX_RW, &iova));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	if (!variant->domain) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
		EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE,
					    self->view, self->len));
	}
	EXPECT_MAPPED(0, BASE, self->view, self->len);
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, self->len, 1));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, self->len, 0));
}

/* No page cache to pin: refused no later than a domain needs it */
TEST_F(file, other_files)
{
	static const char *const paths[] = {
		"/proc/self/status", "/dev/null", "/sys/kernel/mm", "/dev/iommu"
	};

	for (unsigned int i = 0; i < ARRAY_LEN(paths); i++) {
		int file = open(paths[i], O_RDONLY | O_CLOEXEC);
		__u64 iova = BASE;
		int rc;

		ASSERT_LE(0, file)
			TH_LOG("%s: %s", paths[i], strerror(errno));
		rc = ioas_map_file(self->fd, self->ioas, file, 0, PAGE,
				   MAP_FIX | MAP_R, &iova);
		if (!variant->domain && !rc) {
			EXPECT_EQ(EINVAL, mock_attach(self->fd, self->ioas, 0,
						      NULL));
			ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas,
						    NULL));
		} else {
			EXPECT_EQ(EINVAL, rc)
				TH_LOG("%s", paths[i]);
		}
		close(file);
	}
}

/* What is open here as well, in another mode; -1 if that cannot be */
static int reopen(int file, int mode)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return open(path, mode | O_CLOEXEC);
}

/* A device reads through any mapping, so the caller must be allowed to */
TEST_F(file, opened_write_only)
{
	int file = reopen(self->file, O_WRONLY);
	__u64 iova = BASE;
	struct mock_dev dev;

	ASSERT_LE(0, file);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, file, 0));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(EACCES, ioas_map_file(self->fd, self->ioas, file, 0, PAGE,
					MAP_FIX_RW, &iova));
	EXPECT_EQ(EACCES, ioas_map_file(self->fd, self->ioas, file, 0, PAGE,
					MAP_FIX | MAP_W, &iova));
	EXPECT_EQ(EACCES, ioas_map_file(self->fd, self->ioas, file, 0, PAGE,
					MAP_FIX | MAP_R, &iova));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, PAGE, 0));
	if (!variant->domain)
		EXPECT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	close(file);
}

/* Devices do not append, so they write nowhere in such a file */
TEST_F(file, append_only)
{
	int flags, none = 0, reader;
	__u64 iova = BASE;

	if (ioctl(self->file, FS_IOC_GETFLAGS, &flags))
		SKIP(return, "memfd without flags: %s", strerror(errno));
	flags |= FS_APPEND_FL;
	if (ioctl(self->file, FS_IOC_SETFLAGS, &flags))
		SKIP(return, "cannot set a flag: %s", strerror(errno));
	reader = reopen(self->file, O_RDONLY);
	EXPECT_LE(0, reader);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED, self->file, 0));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(EACCES, ioas_map_file(self->fd, self->ioas, self->file, 0,
					PAGE, MAP_FIX_RW, &iova));
	EXPECT_EQ(EACCES, ioas_map_file(self->fd, self->ioas, self->file, 0,
					PAGE, MAP_FIX | MAP_W, &iova));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, PAGE, 0));
	EXPECT_EQ(0, ioas_map_file(self->fd, self->ioas, reader, 0, PAGE,
				   MAP_FIX | MAP_R, &iova));
	EXPECT_MAPPED(0, BASE, self->view, PAGE);
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(0, ioctl(self->file, FS_IOC_SETFLAGS, &none));
	EXPECT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0, PAGE,
				   MAP_FIX_RW, &iova));
	close(reader);
}

TEST_F(file, same_part_twice)
{
	__u64 iova = 0;

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, self->file, 0,
					   self->len, MAP_RW, &iova));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, self->len,
				     2 * PINS));
	EXPECT_EQ(2 * PINS * NR, vm_pin(0));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, iova, self->len, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->view, self->len, PINS));
}

/* Huge pages of a file, and every kind of edge */
static void huge_file(struct __test_metadata *_metadata,
		      FIXTURE_DATA(file) *self,
		      const FIXTURE_VARIANT(file) *variant, int file, __u8 *va)
{
	struct {
		__u64 start, length, shift;
	} t[] = {
		{ 0, 2 * huge_size, 0 },
		{ PAGE, 2 * huge_size - 2 * PAGE, 0 },
		{ MOCK_PAGE_SIZE, huge_size, PAGE },
		{ huge_size - PAGE, 2 * PAGE, MOCK_PAGE_SIZE },
		{ huge_size + huge_size / 2, huge_size / 2, 0 },
	};

	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		__u64 iova = BASE + t[i].shift, unmapped = 0;
		__u64 pages = (t[i].start + t[i].length + PAGE - 1) / PAGE -
			      t[i].start / PAGE;

		ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file,
					   t[i].start, t[i].length, MAP_FIX_RW,
					   &iova));
		EXPECT_MAPPED(0, iova, va + t[i].start, t[i].length);
		EXPECT_EQ(PINS * pages, vm_pin(0));
		EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, iova,
					t[i].length, &unmapped));
		EXPECT_EQ(t[i].length, unmapped);
		EXPECT_EQ(0, vm_pin(0));
	}
}

#define SHMEM_HUGE "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* A memfd of two huge pages, if the kernel has any to give; else -1 */
static int huge_shmem_file(__u8 **va)
{
	int file = memfd_of(2 * thp_size, 0);
	__u8 *area = mmap(NULL, 3 * thp_size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (file < 0 || area == MAP_FAILED)
		return -1;
	area += thp_size - (uintptr_t)area % thp_size;
	*va = mmap(area, 2 * thp_size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, file, 0);
	if (*va != area || madvise(area, 2 * thp_size, MADV_HUGEPAGE))
		return -1;
	memset(area, 1, 2 * thp_size);
	return huge_mapped(area) == 2 * thp_size ? file : -1;
}

TEST_F(file, huge_shmem)
{
	char mode[100];
	__u8 *va;
	int file;

	SKIP_WITHOUT_THP();
	if (!read_choice(SHMEM_HUGE, mode, sizeof(mode)) ||
	    write_text(SHMEM_HUGE, "advise"))
		SKIP(return, "no " SHMEM_HUGE " to write to");
	file = huge_shmem_file(&va);
	ASSERT_EQ(0, write_text(SHMEM_HUGE, mode));
	if (file < 0)
		SKIP(return, "no huge pages of shmem to be had");
	huge_file(_metadata, self, variant, file, va);
	munmap(va, 2 * thp_size);
	close(file);
}

TEST_F(file, hugetlb)
{
	__u64 iova = BASE;
	int file;
	void *va;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	file = memfd_of(2 * huge_size, MFD_HUGETLB);
	if (file < 0)
		SKIP(return, "no hugetlb memfd: %s", strerror(errno));
	va = mmap(NULL, 2 * huge_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		  file, 0);
	if (va == MAP_FAILED)
		SKIP(return, "2 huge pages of %zu KiB needed: %s",
		     huge_size / 1024, strerror(errno));
	huge_file(_metadata, self, variant, file, va);
	if (variant->domain) {
		EXPECT_EQ(EINVAL, ioas_map_file(self->fd, self->ioas, file,
						huge_size, huge_size + PAGE,
						MAP_FIX_RW, &iova));
	}
	munmap(va, 2 * huge_size);
	close(file);
}

static int set_huge_pages(unsigned long nr)
{
	char val[24];

	snprintf(val, sizeof(val), "%lu", nr);
	return write_text("/proc/sys/vm/nr_hugepages", val);
}

#define STEP_MAX (256UL << 20)

/*
 * However large its pages are, a file is pinned a part at a time, because it is
 * between parts that a signal to die is seen. Each part can be made to fail.
 */
TEST(file_in_steps)
{
	size_t len = STEP_MAX + 4 * huge_size;
	unsigned long before, now = 0;
	unsigned int after, steps = 0;
	bool failed = true;
	int fd, file, rc;
	struct mock_dev dev;
	__u32 ioas, hwpt;
	const char *why;

	OPEN_MOCK_OR_SKIP(fd);
	why = injection_setup();
	if (why)
		SKIP(return, "%s", why);
	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	/* Whoever was here before may have left steps that are smaller */
	ASSERT_EQ(0, mock_memory_limit(fd, 65536));
	ASSERT_EQ(0, read_number("/proc/sys/vm/nr_hugepages", &before));
	ASSERT_EQ(0, set_huge_pages(before + len / huge_size));
	file = memfd_of(len, MFD_HUGETLB);
	if (file < 0 || fallocate(file, 0, 0, len)) {
		set_huge_pages(before);
		SKIP(return, "%zu huge pages needed: %s", len / huge_size,
		     strerror(errno));
	}
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, mock_attach(fd, ioas, 0, &dev));
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, hwpt_alloc_huge(fd, dev.idev, ioas, 0, &hwpt));
	for (after = 0; failed && after < 100; after++) {
		__u64 iova = BASE;

		ASSERT_EQ(0, arm_own(after));
		rc = ioas_map_file(fd, ioas, file, 0, len, MAP_FIX_RW, &iova);
		failed = disarm_own();
		EXPECT_EQ(rc ? 0 : len / PAGE, vm_pin(0));
		if (!rc)
			EXPECT_EQ(0, ioas_unmap_all(fd, ioas, NULL));
		/* Said of a part that cannot be pinned, and of nothing else */
		steps += rc == EFAULT;
	}
	EXPECT_FALSE(failed);
	EXPECT_EQ(0, rc);
	EXPECT_EQ(2, steps);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, vm_pin(0));
	close(file);
	EXPECT_EQ(0, set_huge_pages(before));
	EXPECT_EQ(0, read_number("/proc/sys/vm/nr_hugepages", &now));
	EXPECT_EQ(before, now);
}

/*
 * dma-bufs. What a domain translates shows in dirty bits, as there is no
 * memory of the process to compare with.
 */
FIXTURE(dmabuf)
{
	int fd;
	__u32 ioas, hwpt;
	int buf;
	size_t len;
	struct mock_dev dev;
};

static int map_buf(int fd, __u32 ioas, int buf, __u64 start, __u64 len,
		   __u64 iova)
{
	return ioas_map_file(fd, ioas, buf, start, len, MAP_FIX_RW, &iova);
}

FIXTURE_SETUP(dmabuf)
{
	__u32 other;

	OPEN_MOCK_OR_SKIP(self->fd);
	/* The device sits elsewhere, our IOAS has just the HWPT */
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, other, 0, &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &self->hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
	self->len = 4 * PAGE;
	self->buf = mock_dmabuf_get(self->fd, self->len);
	/* 0 is what stdin has: the call forgot to return the descriptor */
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(dmabuf)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(self->buf));
	EXPECT_EQ(0, vm_pin(0));
}

/* In every unit that is mapped, and in no other: the rest relies on that */
TEST_F(dmabuf, translation_shows)
{
	const __u64 at = BASE + PAGE, mapped = 2 * PAGE;

	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, PAGE, mapped,
			     at));
	EXPECT_UNITS(mapped, self->hwpt, BASE, self->len);
	for (__u64 iova = BASE; iova < BASE + self->len;
	     iova += MOCK_PAGE_SIZE) {
		bool in = iova >= at && iova < at + mapped;

		EXPECT_UNITS(in ? MOCK_PAGE_SIZE : 0, self->hwpt, iova,
			     MOCK_PAGE_SIZE);
	}
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
}

TEST_F(dmabuf, errors)
{
	EXPECT_EQ(EINVAL, map_buf(self->fd, self->ioas, self->buf, 0, 0,
				  BASE));
	EXPECT_EQ(EINVAL, map_buf(self->fd, self->ioas, self->buf, self->len,
				  PAGE, BASE));
	EXPECT_EQ(EINVAL, map_buf(self->fd, self->ioas, self->buf, 0,
				  self->len + 1, BASE));
	EXPECT_EQ(EINVAL, map_buf(self->fd, self->ioas, self->buf, PAGE,
				  self->len, BASE));
	EXPECT_EQ(EOVERFLOW, map_buf(self->fd, self->ioas, self->buf,
				     UINT64_MAX - 1, 4, BASE));
	/* The alignment applies to the offset in the buffer */
	EXPECT_EQ(EINVAL, map_buf(self->fd, self->ioas, self->buf, 1, PAGE,
				  BASE));
	EXPECT_EQ(EINVAL, map_buf(self->fd, self->ioas, self->buf, 0, PAGE,
				  0));
	EXPECT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, PAGE, BASE));
	EXPECT_EQ(EEXIST, map_buf(self->fd, self->ioas, self->buf, 0, PAGE,
				  BASE));
}

TEST_F(dmabuf, map)
{
	__u64 unmapped, iova = 0;

	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, self->buf, 0,
				   self->len, MAP_RW, &iova));
	EXPECT_EQ(BASE, iova);
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
	/* No charge, it is the exporter's memory */
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len,
				&unmapped));
	EXPECT_EQ(self->len, unmapped);
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	/* A part, at half a page */
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf,
			     PAGE + MOCK_PAGE_SIZE, PAGE, BASE));
	EXPECT_UNITS(PAGE, self->hwpt, BASE, self->len);
}

/* Queries that begin or end inside of what one IOPTE can map */
TEST_F(dmabuf, part_is_queried)
{
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE));
	EXPECT_UNITS(PAGE, self->hwpt, BASE, PAGE);
	EXPECT_UNITS(PAGE, self->hwpt, BASE + PAGE, PAGE);
	EXPECT_UNITS(PAGE, self->hwpt, BASE + self->len - PAGE, PAGE);
}

/* Without huge pages it is like any memory: each page has its own entry */
TEST_F(dmabuf, small_entries)
{
	const __u64 len = 2 * MOCK_HUGE_PAGE_SIZE, mid = len / 4;
	const unsigned int nbits = len / PAGE;
	__u8 bitmap[64] = {}, one[8] = { 1 };
	__u32 ioas, hwpt;
	int buf;

	ASSERT_GE(8 * sizeof(bitmap), nbits);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, ioas, 0));
	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, self->dev.idev, ioas,
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	buf = mock_dmabuf_get(self->fd, len);
	ASSERT_LT(0, buf);
	ASSERT_EQ(0, map_buf(self->fd, ioas, buf, 0, len, BASE));

	/* A write to one page is reported of this page, and by whoever asks */
	for (int round = 0; round < 2; round++) {
		__u64 page = BASE + mid;

		ASSERT_EQ(0, mock_dirty(self->fd, hwpt, page, PAGE, PAGE, one,
					NULL));
		ASSERT_EQ(0, mock_dirty(self->fd, hwpt, page + 2 * PAGE, PAGE,
					PAGE, one, NULL));
		if (round) {
			memset(bitmap, 0, sizeof(bitmap));
			ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0, page,
						    2 * PAGE, PAGE, bitmap));
			EXPECT_EQ(1, bitmap[0]);
		}
		memset(bitmap, 0, sizeof(bitmap));
		ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0, BASE, len, PAGE,
					    bitmap));
		for (unsigned int i = 0; i < nbits; i++) {
			bool dirty = i == mid / PAGE + 2 ||
				     (i == mid / PAGE && !round);

			EXPECT_EQ(dirty, bit_get(bitmap, i))
				TH_LOG("round %d page %u", round, i);
		}
	}
	ASSERT_EQ(0, ioas_unmap_all(self->fd, ioas, NULL));
	EXPECT_EQ(0, close(buf));
}

TEST_F(dmabuf, descriptor_closed)
{
	int buf = mock_dmabuf_get(self->fd, PAGE);

	ASSERT_LT(0, buf);
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, buf, 0, PAGE, BASE));
	ASSERT_EQ(0, close(buf));
	EXPECT_UNITS(PAGE, self->hwpt, BASE, PAGE);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
}

/* How many there are in the machine, as debugfs has it; -1 if it does not tell */
static long count_dmabufs(void)
{
	FILE *f = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[256];
	long n = -1;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "Total %ld objects", &n);
	if (f)
		fclose(f);
	return n;
}

TEST_F(dmabuf, goes_with_the_mapping)
{
	int buf = mock_dmabuf_get(self->fd, PAGE);
	long n = count_dmabufs();

	ASSERT_LT(0, buf);
	if (n < 0)
		SKIP(return, "kernel without debugfs");
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, buf, 0, PAGE, BASE));
	ASSERT_EQ(0, close(buf));
	EXPECT_EQ(n, count_dmabufs());
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(n - 1, count_dmabufs());
}

TEST_F(dmabuf, revoke)
{
	__u64 unmapped;
	__u32 hwpt;

	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE));
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, true));
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	/* The IOVA stay taken, further domains skip it */
	EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas, buf_alloc(PAGE),
				      PAGE, BASE + PAGE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	EXPECT_UNITS(0, hwpt, BASE, self->len);
	EXPECT_EQ(ENODEV, map_buf(self->fd, self->ioas, self->buf, 0,
				  self->len, BASE + self->len));
	/* Given back, it returns to where it was, and to who came meanwhile */
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, false));
	EXPECT_UNITS_SOON(self->len, self->hwpt, BASE, self->len);
	EXPECT_UNITS_SOON(self->len, hwpt, BASE, self->len);
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE + self->len));
	EXPECT_UNITS(2 * self->len, self->hwpt, BASE, 2 * self->len);
	EXPECT_UNITS(2 * self->len, hwpt, BASE, 2 * self->len);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len,
				&unmapped));
	EXPECT_EQ(self->len, unmapped);
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE));
	EXPECT_UNITS(2 * self->len, self->hwpt, BASE, 2 * self->len);
}

TEST_F(dmabuf, revoke_reaches_copies)
{
	__u64 iova = BASE;
	__u32 ioas2, hwpt2;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, ioas2,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt2));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt2, true));
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE));
	ASSERT_EQ(0, ioas_copy(self->fd, ioas2, self->ioas, BASE + PAGE, PAGE,
			       MAP_FIX_RW, &iova));
	EXPECT_UNITS(PAGE, hwpt2, BASE, PAGE);
	/* The copy lives on alone, and is revoked as well */
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_UNITS(PAGE, hwpt2, BASE, PAGE);
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, true));
	EXPECT_UNITS(0, hwpt2, BASE, PAGE);
	/* A copy of what is revoked is as empty */
	iova = BASE + 16 * PAGE;
	EXPECT_EQ(0, ioas_copy(self->fd, self->ioas, ioas2, BASE, PAGE,
			       MAP_FIX_RW, &iova));
	EXPECT_UNITS(0, self->hwpt, iova, PAGE);
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, false));
	EXPECT_UNITS_SOON(PAGE, hwpt2, BASE, PAGE);
	EXPECT_UNITS_SOON(PAGE, self->hwpt, iova, PAGE);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, ioas2, NULL));
}

/* What is unmapped, or in no domain any more, does not come back */
TEST_F(dmabuf, revoked_and_gone)
{
	__u32 hwpt;

	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE));
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE + self->len));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&hwpt));
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, true));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len, NULL));
	ASSERT_EQ(0, iommu_destroy(self->fd, hwpt));
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, false));
	EXPECT_UNITS_SOON(self->len, self->hwpt, BASE + self->len, self->len);
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
}

/* However fast it goes: in the end there is what the last call said */
TEST_F(dmabuf, revoked_again_and_again)
{
	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE));
	for (unsigned int i = 0; i < 200; i++) {
		ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, false));
		ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, true));
		EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	}
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, self->buf, false));
	EXPECT_UNITS_SOON(self->len, self->hwpt, BASE, self->len);
}

TEST_F(dmabuf, not_memory)
{
	__u8 byte;
	int access;

	ASSERT_EQ(0, map_buf(self->fd, self->ioas, self->buf, 0, self->len,
			     BASE));
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &access));
	EXPECT_EQ(EINVAL, access_pin(self->fd, access, BASE, PAGE, NULL, 0,
				     NULL));
	EXPECT_EQ(EINVAL, access_rw(self->fd, access, BASE, &byte, 1, 0));
	EXPECT_EQ(EINVAL, access_rw(self->fd, access, BASE, &byte, 1,
				    MOCK_ACCESS_RW_SLOW_PATH));
	EXPECT_EQ(EINVAL, ioas_change_process(self->fd));
	close(access);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, ioas_change_process(self->fd));
}

TEST_F(dmabuf, revoke_errors)
{
	EXPECT_EQ(EBADF, mock_dmabuf_revoke(self->fd, -1, true));
	EXPECT_EQ(EINVAL, mock_dmabuf_revoke(self->fd, self->fd, true));
	errno = 0;
	EXPECT_EQ(-1, mock_dmabuf_get(self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mock_dmabuf_get(self->fd, 513 * PAGE));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
