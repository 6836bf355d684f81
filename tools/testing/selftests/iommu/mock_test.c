// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test ioctl itself: other programs than these rely on every size, errno,
 * order and side effect of it, and on the names that the mock IOMMU has in
 * sysfs and debugfs.
 */
#include <dirent.h>
#include <linux/memfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 16
#define BASE ((__u64)MOCK_APERTURE_START)
#define PINS MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES
#define SYZ MOCK_FLAGS_ACCESS_SYZ
#define MAX_ACCESS (16ULL << 20)
/* An address nobody has to map; a multiple of every page size */
#define VA ((void *)0x7f0000000000UL)

FIXTURE(selftest)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	/* One page, and behind it one that faults */
	__u8 *page;
};

FIXTURE_SETUP(selftest)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	self->page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->page);
	ASSERT_EQ(0, mprotect(self->page + PAGE, PAGE, PROT_NONE));
}

FIXTURE_TEARDOWN(selftest)
{
	EXPECT_EQ(0, mock_memory_limit(self->fd, 65536));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, NR * PAGE));
	EXPECT_EQ(0, vm_pin(0));
	munmap(self->page, 2 * PAGE);
}

/* The raw call, as 0 or errno */
static int call(int fd, __u32 op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return iommu_cmd(fd, IOMMU_TEST_CMD, cmd);
}

/* A call whose structure is in memory that cannot be written */
static int call_ro(int fd, __u32 op, const struct iommu_test_cmd *cmd,
		   void *page)
{
	int rc;

	memcpy(page, cmd, sizeof(*cmd));
	((struct iommu_test_cmd *)page)->size = sizeof(*cmd);
	((struct iommu_test_cmd *)page)->op = op;
	if (mprotect(page, page_size, PROT_READ))
		return -1;
	rc = iommu_cmd(fd, IOMMU_TEST_CMD, page);
	mprotect(page, page_size, PROT_READ | PROT_WRITE);
	return rc;
}

#define CALL(nr, ...)                                                          \
	({                                                                     \
		struct iommu_test_cmd __cmd = { __VA_ARGS__ };                 \
		call(self->fd, IOMMU_TEST_OP_##nr, &__cmd);                    \
	})
#define CALL_RO(nr, ...)                                                       \
	({                                                                     \
		struct iommu_test_cmd __cmd = { __VA_ARGS__ };                 \
		call_ro(self->fd, IOMMU_TEST_OP_##nr, &__cmd, self->page);     \
	})

TEST_F(selftest, sizes)
{
	struct iommu_test_cmd *cmd = (void *)self->page;
	const __u32 min = offsetof(struct iommu_test_cmd, last) +
			  sizeof(cmd->last);

	ASSERT_EQ(68, min);
	ASSERT_EQ(72, sizeof(*cmd));
	EXPECT_EQ(0x3ba0, IOMMU_TEST_CMD);

	memset(self->page, 0, PAGE);
	cmd->op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT;
	cmd->memory_limit.limit = 65536;
	for (__u32 size = 0; size < 80; size++) {
		cmd->size = size;
		EXPECT_EQ(size < min ? EINVAL : 0,
			  iommu_cmd(self->fd, IOMMU_TEST_CMD, cmd))
			TH_LOG("size %u", size);
	}
	self->page[72] = 1;
	cmd->size = 72;
	EXPECT_EQ(0, iommu_cmd(self->fd, IOMMU_TEST_CMD, cmd));
	cmd->size = 73;
	EXPECT_EQ(E2BIG, iommu_cmd(self->fd, IOMMU_TEST_CMD, cmd));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, IOMMU_TEST_CMD, NULL));
	/* What is never looked at */
	cmd->size = 72;
	cmd->__reserved = ~0;
	cmd->last = ~0;
	cmd->id = ~0;
	EXPECT_EQ(0, iommu_cmd(self->fd, IOMMU_TEST_CMD, cmd));
}

TEST_F(selftest, unknown_operations)
{
	static const __u32 ops[] = { 0, 24, 25, 63, 1U << 31, ~0U };

	for (unsigned int i = 0; i < ARRAY_LEN(ops); i++) {
		struct iommu_test_cmd cmd = {};

		EXPECT_EQ(EOPNOTSUPP, call(self->fd, ops[i], &cmd));
	}
}

/* As much of the structure as the caller has, and nothing else */
TEST_F(selftest, reply_size)
{
	struct iommu_test_cmd *cmd = (void *)self->page;
	__u8 untouched[128 - 68];

	memset(untouched, 0x5a, sizeof(untouched));
	memset(self->page, 0x5a, PAGE);
	memset(cmd, 0, 68);
	cmd->size = 68;
	cmd->op = IOMMU_TEST_OP_CREATE_ACCESS;
	cmd->id = self->ioas;
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_TEST_CMD, cmd));
	EXPECT_EQ(68, cmd->size);
	EXPECT_EQ(0, memcmp(self->page + 68, untouched, sizeof(untouched)));
	close(cmd->create_access.out_access_fd);

	memset(self->page, 0, PAGE);
	cmd->size = 100;
	cmd->op = IOMMU_TEST_OP_CREATE_ACCESS;
	cmd->id = self->ioas;
	cmd->last = 77;
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_TEST_CMD, cmd));
	EXPECT_EQ(100, cmd->size);
	EXPECT_EQ(77, cmd->last);
	close(cmd->create_access.out_access_fd);
}

/* Operations without outputs do not write */
TEST_F(selftest, no_reply)
{
	struct mock_dev dev;
	__u32 nested, parent, item;
	int access, buf;
	__u8 byte = 0;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, dev.idev, parent, 0, 0, 5,
				       &nested));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, PINS, &access));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, access_pin(self->fd, access, BASE, PAGE, NULL, 0, &item));
	buf = mock_dmabuf_get(self->fd, PAGE);
	ASSERT_LE(0, buf);

	EXPECT_EQ(0, CALL_RO(ADD_RESERVED, .id = self->ioas,
			     .add_reserved = { 0, 1 }));
	EXPECT_EQ(0, CALL_RO(MD_CHECK_MAP, .id = dev.hwpt,
			     .check_map = { BASE, PAGE,
					    (uintptr_t)self->buf }));
	EXPECT_EQ(0, CALL_RO(MD_CHECK_REFS,
			     .check_refs = { PAGE, (uintptr_t)self->buf, 1 }));
	EXPECT_EQ(0, CALL_RO(ACCESS_RW, .id = access,
			     .access_rw = { BASE, 1, (uintptr_t)&byte }));
	EXPECT_EQ(0, CALL_RO(DESTROY_ACCESS_PAGES, .id = access,
			     .destroy_access_pages = { item }));
	EXPECT_EQ(0, CALL_RO(SET_TEMP_MEMORY_LIMIT,
			     .memory_limit = { 65536 }));
	EXPECT_EQ(0, CALL_RO(ACCESS_REPLACE_IOAS, .id = access,
			     .access_replace_ioas = { self->ioas }));
	EXPECT_EQ(0, CALL_RO(MD_CHECK_IOTLB, .id = nested,
			     .check_iotlb = { 3, 5 }));
	EXPECT_EQ(0, CALL_RO(TRIGGER_IOPF, .trigger_iopf = { dev.idev }));
	EXPECT_EQ(0, CALL_RO(DEV_CHECK_CACHE, .id = dev.idev,
			     .check_dev_cache = {
				     3, IOMMU_TEST_DEV_CACHE_DEFAULT }));
	EXPECT_EQ(ENOENT, CALL_RO(TRIGGER_VEVENT,
				  .trigger_vevent = { dev.idev }));
	EXPECT_EQ(0, CALL_RO(PASID_DETACH, .id = dev.stdev,
			     .pasid_detach = { 100 }));
	EXPECT_EQ(0, CALL_RO(PASID_CHECK_HWPT, .id = dev.stdev,
			     .pasid_check = { 0, dev.hwpt }));
	EXPECT_EQ(0, CALL_RO(DMABUF_REVOKE, .dmabuf_revoke = { buf, 1 }));
	close(buf);
	close(access);
}

/* An answer that cannot be given: undone, but for a replacement */
TEST_F(selftest, reply_unwritable)
{
	__u32 a, b, id, item, item2;
	struct mock_dev dev;
	int access, low;
	__u8 one = 1;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &a));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID |
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &b));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, PINS, &access));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	low = dup(0);
	close(low);

	/* IDs 1 to 4, a, b and the access are taken */
	EXPECT_EQ(EFAULT, CALL_RO(MOCK_DOMAIN, .id = self->ioas));
	EXPECT_EQ(EFAULT, CALL_RO(MOCK_DOMAIN_FLAGS, .id = self->ioas));
	EXPECT_EQ(EFAULT, CALL_RO(CREATE_ACCESS, .id = self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(8, id);
	EXPECT_EQ(low, dup(0));
	close(low);

	ASSERT_EQ(0, access_pin(self->fd, access, BASE, PAGE, NULL, 0, &item));
	ASSERT_EQ(0, access_unpin(self->fd, access, item));
	EXPECT_EQ(EFAULT, CALL_RO(ACCESS_PAGES, .id = access,
				  .access_pages = { .iova = BASE,
						    .length = PAGE }));
	ASSERT_EQ(0, access_pin(self->fd, access, BASE, PAGE, NULL, 0,
				&item2));
	EXPECT_EQ(item + 1, item2);
	ASSERT_EQ(0, access_unpin(self->fd, access, item2));
	EXPECT_EQ(ENOENT, access_unpin(self->fd, access, item2 + 1));

	EXPECT_EQ(EFAULT, CALL_RO(MOCK_DOMAIN_REPLACE, .id = dev.stdev,
				  .mock_domain_replace = { a }));
	EXPECT_EQ(0, mock_pasid_check(self->fd, dev.stdev, 0, a));
	EXPECT_EQ(EFAULT, CALL_RO(PASID_ATTACH, .id = dev.stdev,
				  .pasid_attach = { 100, a }));
	EXPECT_EQ(0, mock_pasid_check(self->fd, dev.stdev, 100, 0));
	id = a;
	ASSERT_EQ(0, mock_pasid_attach(self->fd, dev.stdev, 100, &id));
	EXPECT_EQ(EFAULT, CALL_RO(PASID_REPLACE, .id = dev.stdev,
				  .pasid_replace = { 100, b }));
	EXPECT_EQ(0, mock_pasid_check(self->fd, dev.stdev, 100, b));
	EXPECT_EQ(0, mock_pasid_detach(self->fd, dev.stdev, 100));

	ASSERT_EQ(0, hwpt_set_dirty(self->fd, b, true));
	EXPECT_EQ(EFAULT, CALL_RO(DIRTY, .id = b,
				  .dirty = { .iova = BASE, .length = PAGE,
					     .page_size = PAGE,
					     .uptr = (uintptr_t)&one }));
	close(access);
}

/* Names that scripts and other programs look for */
static unsigned int count_devices(void)
{
	DIR *d = opendir("/sys/bus/iommufd_mock/devices");
	unsigned int n = 0, nr;
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += sscanf(e->d_name, "iommufd_mock%u", &nr) == 1;
	if (d)
		closedir(d);
	return n;
}

TEST_F(selftest, sysfs)
{
	static const char *const paths[] = {
		"/sys/bus/platform/devices/iommufd_selftest_iommu.0",
		"/sys/class/iommu/iommufd_selftest_iommu.0",
		"/sys/bus/iommufd_mock/devices",
	};
	unsigned int n = count_devices();
	char path[600], link[300] = {};
	struct dirent *e, *found = NULL;
	struct mock_dev dev;
	DIR *d;

	if (access("/sys/bus/platform", F_OK))
		SKIP(return, "no sysfs");
	for (unsigned int i = 0; i < ARRAY_LEN(paths); i++) {
		EXPECT_EQ(0, access(paths[i], F_OK))
			TH_LOG("%s", paths[i]);
	}
	/* Child of the platform device */
	ASSERT_LT(0, readlink(paths[1], link, sizeof(link) - 1));
	EXPECT_NE(NULL, strstr(link, "/iommufd_selftest_iommu.0/iommu/"))
		TH_LOG("%s", link);

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(n + 1, count_devices());
	d = opendir("/sys/bus/iommufd_mock/devices");
	ASSERT_NE(NULL, d);
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "iommufd_mock", 12))
			found = e;
	ASSERT_NE(NULL, found);
	snprintf(path, sizeof(path),
		 "/sys/bus/iommufd_mock/devices/%s/iommu_group/devices/%s",
		 found->d_name, found->d_name);
	EXPECT_EQ(0, access(path, F_OK));
	snprintf(path, sizeof(path), "/sys/bus/iommufd_mock/devices/%s/driver",
		 found->d_name);
	EXPECT_NE(0, access(path, F_OK));
	closedir(d);
	ASSERT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_EQ(n, count_devices());
}

#define FAIL_IOMMUFD "/sys/kernel/debug/fail_iommufd/"

static int write_file(const char *name, const char *val)
{
	char path[128];
	int fd, rc = 0;

	snprintf(path, sizeof(path), FAIL_IOMMUFD "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, val, strlen(val)) < 0)
		rc = errno;
	close(fd);
	return rc;
}

TEST_F(selftest, debugfs)
{
	static const char *const files[] = {
		"probability", "interval", "times", "space", "verbose",
		"verbose_ratelimit_interval_ms", "verbose_ratelimit_burst",
		"task-filter",
	};
	char path[128];

	if (access("/sys/kernel/debug/failslab", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (access("/sys/kernel/debug/failslab", F_OK))
		SKIP(return, "no /sys/kernel/debug/failslab");
	for (unsigned int i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), FAIL_IOMMUFD "%s", files[i]);
		EXPECT_EQ(0, access(path, R_OK | W_OK))
			TH_LOG("%s", path);
	}
	/* As every attribute of that kind it works without fail-nth, too */
	ASSERT_EQ(0, write_file("verbose", "0"));
	ASSERT_EQ(0, write_file("times", "2"));
	ASSERT_EQ(0, write_file("probability", "100"));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(ENOENT, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, write_file("probability", "0"));
	EXPECT_EQ(0, write_file("times", "1"));
}

TEST_F(selftest, add_reserved)
{
	__u32 num = 4;
	struct iommu_iova_range r[4];

	/* The range before the IOAS */
	EXPECT_EQ(EINVAL, mock_reserve(self->fd, BAD_ID, 0, 0));
	EXPECT_EQ(EOVERFLOW, mock_reserve(self->fd, BAD_ID, ULONG_MAX, 2));
	EXPECT_EQ(EOVERFLOW, mock_reserve(self->fd, BAD_ID, 2, ULONG_MAX));
	EXPECT_EQ(ENOENT, mock_reserve(self->fd, BAD_ID, 1, ULONG_MAX));
	EXPECT_EQ(0, mock_reserve(self->fd, self->ioas, 1, ULONG_MAX));
	EXPECT_EQ(0, mock_reserve(self->fd, self->ioas, ULONG_MAX, 1));
	ASSERT_EQ(0, ioas_ranges(self->fd, self->ioas, r, &num, NULL));
	EXPECT_EQ(1, num);
	EXPECT_EQ(0, r[0].start);
	EXPECT_EQ(0, r[0].last);
	/* They go with the IOAS */
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

/* A hole that is large enough until its start is aligned past the end */
TEST_F(selftest, reserved_to_the_end)
{
	__u64 iova;

	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 6,
				  1 - 8 * (__u64)PAGE));
	EXPECT_EQ(ENOSPC, ioas_map(self->fd, self->ioas, VA, 5 * PAGE, MAP_RW,
				   &iova));
	/* An address that asks for less */
	EXPECT_EQ(0, ioas_map(self->fd, self->ioas, VA + PAGE, 5 * PAGE,
			      MAP_RW, &iova));
	EXPECT_EQ(-7 * (__u64)PAGE, iova);
}

TEST_F(selftest, mock_domain)
{
	__u32 id;

	EXPECT_EQ(ENOENT, CALL(MOCK_DOMAIN, .id = 0));
	EXPECT_EQ(ENOENT, CALL(MOCK_DOMAIN, .id = BAD_ID));
	/* Flags are those of the other operation */
	EXPECT_EQ(0, CALL(MOCK_DOMAIN, .id = self->ioas,
			  .mock_domain_flags.dev_flags = ~0));
	EXPECT_EQ(0, iommu_destroy(self->fd, 2));
	for (int bit = 0; bit < 32; bit++) {
		int want = bit == 0 || bit == 2 ? 0 : EINVAL;

		EXPECT_EQ(want, CALL(MOCK_DOMAIN_FLAGS, .id = self->ioas,
				     .mock_domain_flags.dev_flags = 1U << bit))
			TH_LOG("bit %d", bit);
		if (!want)
			EXPECT_EQ(0, iommu_destroy(self->fd, 2));
	}
	/* Flags come before the ID */
	EXPECT_EQ(EINVAL, CALL(MOCK_DOMAIN_FLAGS, .id = BAD_ID,
			       .mock_domain_flags.dev_flags = 2));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(2, id);
}

TEST_F(selftest, check_map)
{
	const __u64 va = (uintptr_t)self->buf, u = MOCK_PAGE_SIZE;
	__u32 parent, nested, huge, ioas2;
	struct mock_dev dev;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, dev.idev, parent, 0, 0, 0,
				       &nested));
#define MD(id_, iova_, len_, va_) \
	CALL(MD_CHECK_MAP, .id = id_, .check_map = { iova_, len_, va_ })
	EXPECT_EQ(ENOENT, MD(BAD_ID, BASE + 1, 1, va + 1));
	EXPECT_EQ(ENOENT, MD(self->ioas, BASE, PAGE, va));
	EXPECT_EQ(ENOENT, MD(dev.idev, BASE, PAGE, va));
	EXPECT_EQ(ENOENT, MD(nested, BASE, PAGE, va));
	EXPECT_EQ(0, MD(dev.hwpt, BASE, 4 * PAGE, va));
	EXPECT_EQ(0, MD(parent, BASE, 4 * PAGE, va));
	EXPECT_EQ(0, MD(dev.hwpt, BASE + u, u, va + u));
	EXPECT_EQ(EINVAL, MD(dev.hwpt, BASE + u, u, va));
	EXPECT_EQ(EINVAL, MD(dev.hwpt, BASE + 1, u, va + 1));
	EXPECT_EQ(EINVAL, MD(dev.hwpt, BASE, u + 1, va));
	EXPECT_EQ(EINVAL, MD(dev.hwpt, BASE, u, va + 1));
	EXPECT_EQ(EINVAL, MD(dev.hwpt, BASE, u, -u));
	EXPECT_EQ(EINVAL, MD(dev.hwpt, BASE, -u, 2 * u));
	EXPECT_EQ(EINVAL, MD(dev.hwpt, BASE, 5 * PAGE, va));
	EXPECT_EQ(EFAULT, MD(dev.hwpt, BASE, u, (uintptr_t)self->page + PAGE));
	/* The unit is that of the page table */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, self->buf, PAGE, BASE));
	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, dev.idev, ioas2, 0, &huge));
	EXPECT_EQ(0, MD(huge, BASE, PAGE, va));
	EXPECT_EQ(EINVAL, MD(huge, BASE + u, u, va + u));
	EXPECT_EQ(EINVAL, MD(huge, BASE, u, va));
}

TEST_F(selftest, check_refs)
{
	const __u64 va = (uintptr_t)self->buf;

#define REFS(len_, va_, refs_) \
	CALL(MD_CHECK_REFS, .check_refs = { len_, va_, refs_ })
	EXPECT_EQ(EINVAL, REFS(PAGE, va + MOCK_PAGE_SIZE, 0));
	EXPECT_EQ(EINVAL, REFS(PAGE / 2, va, 0));
	EXPECT_EQ(EINVAL, REFS(2 * PAGE, -PAGE, 0));
	EXPECT_EQ(EFAULT, REFS(PAGE, (uintptr_t)self->page + PAGE, 0));
	EXPECT_EQ(EFAULT, REFS(2 * PAGE, (uintptr_t)self->page, 0));
	EXPECT_EQ(0, REFS(NR * PAGE, va, 0));
	EXPECT_EQ(EIO, REFS(NR * PAGE, va, 1));
	EXPECT_EQ(0, REFS(0, va, 7));
}

/* Pins of huge pages are not told apart from references */
TEST_F(selftest, check_refs_of_huge)
{
	__u8 *huge;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	huge = buf_alloc_hugetlb(huge_size);
	if (!huge)
		SKIP(return, "1 huge page needed: %s", strerror(errno));
	EXPECT_EQ(0, REFS(huge_size, (uintptr_t)huge, 77));
	munmap(huge, huge_size);
}

TEST_F(selftest, access_file)
{
	char link[64] = {}, path[64], c = 0;
	struct rlimit lim, low;
	int file, other;

	for (int bit = 1; bit < 32; bit++) {
		__u32 flag = 1U << bit;

		if (flag != MOCK_FLAGS_ACCESS_CREATE_SLOW_UNMAP)
			EXPECT_EQ(EOPNOTSUPP, access_create(self->fd, BAD_ID,
							    flag, &file));
	}
	EXPECT_EQ(ENOENT, access_create(self->fd, BAD_ID, 0, &file));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &file));
	EXPECT_EQ(FD_CLOEXEC, fcntl(file, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(O_RDWR, fcntl(file, F_GETFL) & O_ACCMODE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_STREQ("anon_inode:[iommufd_test_staccess]", link);
	EXPECT_EQ(-1, read(file, &c, 1));
	EXPECT_EQ(-1, write(file, &c, 1));

	/* No descriptor is no memory */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &lim));
	low = lim;
	low.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &low));
	EXPECT_EQ(ENOMEM, access_create(self->fd, self->ioas, 0, &other));
	EXPECT_EQ(ENOMEM, access_create(self->fd, BAD_ID, 0, &other));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lim));
	close(file);
}

/* The file keeps the context, whoever closes first */
TEST_F(selftest, access_file_keeps_context)
{
	__u32 ioas;
	int fd = iommu_open(), file;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(fd, ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, access_create(fd, ioas, PINS, &file));
	ASSERT_EQ(0, access_pin(fd, file, BASE, PAGE, self->buf, 0, NULL));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, PAGE, 1));
	/* It is found by the descriptor, in whatever context one asks */
	EXPECT_EQ(0, access_pin(self->fd, file, BASE, PAGE, self->buf, 0,
				NULL));
	ASSERT_EQ(0, close(file));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, PAGE, 0));
}

TEST_F(selftest, access_items)
{
	__u32 item[3], again;
	int file, other;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, PINS, &file));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, PINS, &other));
	for (__u32 i = 0; i < 3; i++) {
		ASSERT_EQ(0, access_pin(self->fd, file, BASE + i * PAGE, PAGE,
					NULL, 0, &item[i]));
		EXPECT_EQ(i, item[i]);
	}
	/* Each file counts for itself, failures do not count */
	ASSERT_EQ(0, access_pin(self->fd, other, BASE, PAGE, NULL, 0, &again));
	EXPECT_EQ(0, again);
	EXPECT_EQ(0, access_unpin(self->fd, file, 1));
	EXPECT_EQ(ENOENT, access_unpin(self->fd, file, 1));
	EXPECT_EQ(ENOENT, access_pin(self->fd, file, 0, PAGE, NULL, 0,
				     &again));
	ASSERT_EQ(0, access_pin(self->fd, file, BASE, PAGE, NULL, 0, &again));
	EXPECT_EQ(3, again);
	close(other);
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, PAGE, 1));
	close(file);
}

TEST_F(selftest, access_pages_order)
{
	int file, plain;

	ASSERT_EQ(0, access_create(self->fd, self->ioas, PINS, &file));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &plain));
	EXPECT_EQ(ENOMEM, access_pin(self->fd, -1, 0, MAX_ACCESS + 1, NULL,
				     ~0, NULL));
	EXPECT_EQ(EOPNOTSUPP, access_pin(self->fd, -1, 0, MAX_ACCESS, NULL, 2,
					 NULL));
	EXPECT_EQ(EOPNOTSUPP, access_pin(self->fd, -1, 0, PAGE, NULL, 1 << 17,
					 NULL));
	EXPECT_EQ(EBADFD, access_pin(self->fd, -1, 0, 0, NULL, 0, NULL));
	EXPECT_EQ(EOPNOTSUPP, access_pin(self->fd, plain, 0, 0, NULL, 0,
					 NULL));
	EXPECT_EQ(EINVAL, access_pin(self->fd, file, 0, 0, NULL, 0, NULL));
	EXPECT_EQ(ENOENT, access_pin(self->fd, file, 0, MAX_ACCESS, NULL, 0,
				     NULL));
	EXPECT_EQ(EBADFD, access_unpin(self->fd, -1, 0));
	EXPECT_EQ(EBADFD, access_replace(self->fd, -1, BAD_ID));
	EXPECT_EQ(ENOENT, access_replace(self->fd, plain, BAD_ID));
	close(file);
	close(plain);
}

/* The pages are compared with those of the caller */
TEST_F(selftest, access_pages_compared)
{
	int file;

	ASSERT_EQ(0, access_create(self->fd, self->ioas, PINS, &file));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 BASE));
	EXPECT_EQ(EBADE, access_pin(self->fd, file, BASE, 2 * PAGE,
				    self->buf + PAGE, 0, NULL));
	EXPECT_EQ(EFAULT, access_pin(self->fd, file, BASE, 2 * PAGE,
				     self->page + PAGE, 0, NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, 4 * PAGE, 0));
	EXPECT_EQ(0, vm_pin(0));
	/* Also when the end is in the middle of a page */
	EXPECT_EQ(0, access_pin(self->fd, file, BASE, PAGE + 1, self->buf, 0,
				NULL));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, 2 * PAGE, 1));
	close(file);
}

TEST_F(selftest, access_rw_order)
{
	static const __u32 bad[] = { 2, 8, 1 << 15, 1 << 17, 1U << 31 };
	__u8 *huge = mmap(NULL, MAX_ACCESS, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int file;

	ASSERT_NE(MAP_FAILED, huge);
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &file));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	EXPECT_EQ(ENOMEM, access_rw(self->fd, -1, 0, NULL, MAX_ACCESS + 1,
				    ~0));
	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_EQ(EOPNOTSUPP, access_rw(self->fd, -1, 0, NULL, 1,
						bad[i]));
	}
	EXPECT_EQ(EBADFD, access_rw(self->fd, -1, 0, NULL, 1, 0));
	EXPECT_EQ(EINVAL, access_rw(self->fd, file, BASE, NULL, 0, 0));
	/* A write reads the caller first, a read writes it last */
	EXPECT_EQ(EFAULT, access_rw(self->fd, file, 0, NULL, 1,
				    MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(ENOENT, access_rw(self->fd, file, 0, NULL, 1, 0));
	EXPECT_EQ(EFAULT, access_rw(self->fd, file, BASE, NULL, 1, 0));
	/* As long as it may be */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, huge, MAX_ACCESS,
				 BASE + PAGE));
	EXPECT_EQ(0, access_rw(self->fd, file, BASE + PAGE, huge, MAX_ACCESS,
			       MOCK_ACCESS_RW_WRITE));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	close(file);
	munmap(huge, MAX_ACCESS);
}

/* IOVA by number of the mapping, as a fuzzer knows it */
TEST_F(selftest, syzkaller_form)
{
	const __u64 second = 1 | (__u64)PAGE << 32, none = 2 | 4ULL << 32;
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = MAP_FIX_RW | SYZ,
		.dst_ioas_id = self->ioas,
		.src_ioas_id = self->ioas,
		.length = PAGE,
		.dst_iova = BASE + 64 * PAGE,
		.src_iova = second,
	};
	struct iommu_test_cmd cmd = {
		.access_pages = {
			.flags = SYZ,
			.iova = second,
			.length = PAGE,
			.uptr = (uintptr_t)self->buf + 5 * PAGE,
		},
	};
	__u8 byte = 0;
	int file;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + 4 * PAGE,
				 4 * PAGE, BASE + 8 * PAGE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 BASE));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, PINS, &file));
	cmd.id = file;
	ASSERT_EQ(0, call(self->fd, IOMMU_TEST_OP_ACCESS_PAGES, &cmd));
	EXPECT_EQ(second, cmd.access_pages.iova);
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf + 5 * PAGE, PAGE, 1));
	/* No such mapping is IOVA 0 */
	EXPECT_EQ(ENOENT, access_rw(self->fd, file, none, &byte, 1, SYZ));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, 0));
	EXPECT_EQ(0, access_rw(self->fd, file, 3 | 4ULL << 32, &byte, 1, SYZ));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, 0, PAGE, NULL));

	/* Copy takes it as well, and tells what it made of it */
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_IOAS_COPY, &copy));
	EXPECT_EQ(MAP_FIX_RW, copy.flags);
	EXPECT_EQ(BASE + 9 * PAGE, copy.src_iova);
	ASSERT_EQ(0, access_rw(self->fd, file, BASE + 64 * PAGE, &byte, 1, 0));
	copy.flags |= SYZ;
	copy.src_ioas_id = BAD_ID;
	EXPECT_EQ(ENOENT, iommu_cmd(self->fd, IOMMU_IOAS_COPY, &copy));
	/* Before any check of flags, and no other bit */
	copy.flags |= 8;
	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_IOAS_COPY, &copy));
	/* A flag of COPY alone */
	EXPECT_EQ(EOPNOTSUPP, ioas_map(self->fd, self->ioas, self->buf, PAGE,
				       MAP_RW | SYZ, NULL));
	close(file);
}

TEST_F(selftest, memory_limit)
{
	const __u32 least = sizeof(unsigned long) + sizeof(__u32);

	EXPECT_EQ(EINVAL, mock_memory_limit(self->fd, 0));
	EXPECT_EQ(EINVAL, mock_memory_limit(self->fd, least - 1));
	EXPECT_EQ(0, mock_memory_limit(self->fd, least));
	/* Works as well, in the smallest steps there are */
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE, 1));
	EXPECT_EQ(0, mock_memory_limit(self->fd, ~0));
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE + NR * PAGE));
}

TEST_F(selftest, dirty)
{
	__u32 hwpt, plain, ioas2;
	struct mock_dev dev;
	__u8 bits[8] = { 0x81, 0xff, 0, 0, 0, 0, 0, 0x80 };
	__u8 got[8] = {};
	__u64 nr;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, mock_attach(self->fd, ioas2, 0, &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas, 0, &plain));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));

#define DIRTY(id_, iova_, len_, unit_, ptr_) \
	mock_dirty(self->fd, id_, iova_, len_, unit_, ptr_, &nr)
	/* The numbers come before the page table */
	EXPECT_EQ(EINVAL, DIRTY(BAD_ID, BASE, PAGE, 0, bits));
	EXPECT_EQ(EINVAL, DIRTY(BAD_ID, BASE, 0, PAGE, bits));
	EXPECT_EQ(EINVAL, DIRTY(BAD_ID, BASE, PAGE, PAGE, NULL));
	EXPECT_EQ(EINVAL, DIRTY(BAD_ID, BASE + 1, PAGE, PAGE, bits));
	EXPECT_EQ(EINVAL, DIRTY(BAD_ID, BASE, PAGE + 1, PAGE, bits));
	EXPECT_EQ(EOVERFLOW, DIRTY(BAD_ID, 0, (1 << 27) + 1, 1, bits));
	EXPECT_EQ(ENOENT, DIRTY(BAD_ID, 0, 1 << 27, 1, bits));
	EXPECT_EQ(ENOENT, DIRTY(self->ioas, BASE, PAGE, PAGE, bits));
	EXPECT_EQ(EINVAL, DIRTY(plain, BASE, PAGE, PAGE, bits));
	EXPECT_EQ(EINVAL, DIRTY(hwpt, BASE, PAGE, PAGE, bits));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	EXPECT_EQ(EFAULT, DIRTY(hwpt, BASE, PAGE, PAGE, BAD_PTR));

	/* Bits are counted wherever they point; those outside do not count */
	ASSERT_EQ(0, DIRTY(hwpt, BASE, 64 * PAGE, PAGE, bits));
	EXPECT_EQ(11, nr);
	ASSERT_EQ(0, DIRTY(hwpt, BASE, 8 * PAGE, PAGE, bits));
	EXPECT_EQ(2, nr);
	ASSERT_EQ(0, DIRTY(hwpt, BASE, PAGE, PAGE, bits));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(0, CALL(DIRTY, .id = hwpt,
			  .dirty = { .flags = ~0, .iova = BASE,
				     .length = PAGE, .page_size = PAGE,
				     .uptr = (uintptr_t)bits }));
	/* Half of a stored page is all of it */
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, hwpt, 0, BASE, PAGE,
				    MOCK_PAGE_SIZE, got));
	for (unsigned int i = 0; i < 8 * sizeof(got); i++)
		EXPECT_EQ(i < PAGE / MOCK_PAGE_SIZE, bit_get(got, i));
}

TEST_F(selftest, check_words)
{
	__u32 parent, nested;
	struct mock_dev dev;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, dev.idev, parent, 0, 0, 5,
				       &nested));
	EXPECT_EQ(ENOENT, mock_check_iotlb(self->fd, BAD_ID, 9, 5));
	EXPECT_EQ(ENOENT, mock_check_iotlb(self->fd, parent, 0, 5));
	EXPECT_EQ(EINVAL, mock_check_iotlb(self->fd, nested, 4, 5));
	EXPECT_EQ(EINVAL, mock_check_iotlb(self->fd, nested, ~0, 5));
	EXPECT_EQ(EINVAL, mock_check_iotlb(self->fd, nested, 0, 6));
	EXPECT_EQ(0, mock_check_iotlb_all(self->fd, nested, 5));

	EXPECT_EQ(ENOENT, mock_check_cache(self->fd, BAD_ID, 9, 5));
	EXPECT_EQ(ENOENT, mock_check_cache(self->fd, dev.stdev, 0,
					   IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_EQ(EINVAL, mock_check_cache(self->fd, dev.idev, 4,
					   IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_EQ(EINVAL, mock_check_cache(self->fd, dev.idev, 0, 0));
	EXPECT_EQ(0, mock_check_cache_all(self->fd, dev.idev,
					  IOMMU_TEST_DEV_CACHE_DEFAULT));
}

TEST_F(selftest, triggers)
{
	__u32 parent, viommu, nested, vdev, pt, id;
	struct mock_dev dev;
	int q, rc = 0;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(ENOENT, mock_iopf(self->fd, BAD_ID, 0, 0, 0, 0));
	EXPECT_EQ(ENOENT, mock_iopf(self->fd, dev.stdev, 0, 0, 0, 0));
	/* Nobody there to take it */
	EXPECT_EQ(0, mock_iopf(self->fd, dev.idev, 0, 0, 0, 0));
	EXPECT_EQ(0, mock_iopf(self->fd, dev.idev, 77, 0, 0, 0));

	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, viommu_alloc(self->fd, dev.idev, parent,
				  IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0,
				  &viommu));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, dev.idev, viommu, 0, 0, 0,
				       &nested));
	ASSERT_EQ(0, veventq_alloc(self->fd, viommu,
				   IOMMU_VEVENTQ_TYPE_SELFTEST, 2, &id, &q));
	EXPECT_EQ(ENOENT, mock_vevent(self->fd, BAD_ID));
	EXPECT_EQ(ENOENT, mock_vevent(self->fd, dev.stdev));
	EXPECT_EQ(ENOENT, mock_vevent(self->fd, dev.idev));
	/* Virtual ID 0 stands for none */
	ASSERT_EQ(0, vdevice_alloc(self->fd, viommu, dev.idev, 0, &vdev));
	EXPECT_EQ(ENOENT, mock_vevent(self->fd, dev.idev));
	pt = nested;
	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &pt));
	EXPECT_EQ(ENOENT, mock_vevent(self->fd, dev.idev));
	pt = self->ioas;
	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &pt));
	ASSERT_EQ(0, iommu_destroy(self->fd, vdev));
	ASSERT_EQ(0, vdevice_alloc(self->fd, viommu, dev.idev, 5, &vdev));
	pt = nested;
	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &pt));
	/* A full queue is a lost event, no error */
	for (int i = 0; i < 4 && !rc; i++)
		rc = mock_vevent(self->fd, dev.idev);
	EXPECT_EQ(0, rc);
	pt = self->ioas;
	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &pt));
	EXPECT_EQ(ENOENT, mock_vevent(self->fd, dev.idev));
	close(q);
}

TEST_F(selftest, pasid_operations)
{
	const __u32 odd = IOMMU_TEST_PASID_RESERVED;
	__u32 a, b, parent, nested, pt;
	struct mock_dev dev, none;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, MOCK_FLAGS_DEVICE_PASID,
				 &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &a));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &b));
	pt = a;
	EXPECT_EQ(ENOENT, mock_pasid_attach(self->fd, BAD_ID, 1, &pt));
	EXPECT_EQ(ENOENT, mock_pasid_attach(self->fd, dev.idev, 1, &pt));
	EXPECT_EQ(ENOENT, mock_pasid_replace(self->fd, dev.idev, 1, &pt));
	EXPECT_EQ(ENOENT, mock_pasid_detach(self->fd, dev.idev, 1));
	EXPECT_EQ(ENOENT, mock_pasid_check(self->fd, dev.idev, 1, a));
	EXPECT_EQ(0, mock_pasid_detach(self->fd, dev.stdev, 1));
	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &pt));

	EXPECT_EQ(0, mock_pasid_check(self->fd, dev.stdev, 0, a));
	EXPECT_EQ(EINVAL, mock_pasid_check(self->fd, dev.stdev, 0, 0));
	EXPECT_EQ(EINVAL, mock_pasid_check(self->fd, dev.stdev, 0, b));
	EXPECT_EQ(ENOENT, mock_pasid_check(self->fd, dev.stdev, 0, BAD_ID));
	EXPECT_EQ(EINVAL, mock_pasid_check(self->fd, dev.stdev, 0,
					   self->ioas));
	EXPECT_EQ(EINVAL, mock_pasid_check(self->fd, dev.stdev, 0,
					   dev.idev));
	EXPECT_EQ(0, mock_pasid_check(self->fd, dev.stdev, 1, 0));
	EXPECT_EQ(EINVAL, mock_pasid_check(self->fd, dev.stdev, 1, a));

	/* A device without PASIDs may share the page tables of those that have */
	ASSERT_EQ(0, mock_attach(self->fd, a, 0, &none));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID |
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, none.idev, parent,
				       IOMMU_HWPT_ALLOC_PASID, 0, 0, &nested));
	pt = nested;
	EXPECT_EQ(0, mock_replace(self->fd, none.stdev, &pt));
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, none.stdev, 1, &pt));
	pt = b;
	EXPECT_EQ(EINVAL, mock_pasid_attach(self->fd, none.stdev, 1, &pt));
	/* PASIDs that are left attached go with their device */
	pt = nested;
	ASSERT_EQ(0, mock_pasid_attach(self->fd, dev.stdev, 1, &pt));

	/* Every second change of this one fails, and a detach begins anew */
	pt = a;
	ASSERT_EQ(0, mock_pasid_attach(self->fd, dev.stdev, odd, &pt));
	pt = b;
	EXPECT_EQ(ENOMEM, mock_pasid_replace(self->fd, dev.stdev, odd, &pt));
	EXPECT_EQ(0, mock_pasid_check(self->fd, dev.stdev, odd, a));
	EXPECT_EQ(0, mock_pasid_replace(self->fd, dev.stdev, odd, &pt));
	EXPECT_EQ(0, mock_pasid_check(self->fd, dev.stdev, odd, b));
	EXPECT_EQ(0, mock_pasid_detach(self->fd, dev.stdev, odd));
	EXPECT_EQ(0, mock_pasid_attach(self->fd, dev.stdev, odd, &pt));
	EXPECT_EQ(0, mock_pasid_detach(self->fd, dev.stdev, odd));
}

TEST_F(selftest, dmabuf)
{
	struct iommu_test_cmd cmd = { .dmabuf_get = { 1, O_CLOEXEC } };
	int buf = mock_dmabuf_get(self->fd, 1), zero, file;
	__u64 iova = 0;

	/* The result of the call, and rounded up to a page */
	ASSERT_LE(0, buf);
	EXPECT_EQ(FD_CLOEXEC, fcntl(buf, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(0, ioas_map_file(self->fd, self->ioas, buf, 0, PAGE, MAP_RW,
				   &iova));
	EXPECT_EQ(EINVAL, ioas_map_file(self->fd, self->ioas, buf, 0, PAGE + 1,
					MAP_RW, &iova));
	ASSERT_EQ(0, close(buf));

	EXPECT_EQ(EINVAL, CALL(DMABUF_GET, .dmabuf_get = { 0, 0 }));
	EXPECT_EQ(EINVAL, CALL(DMABUF_GET,
			       .dmabuf_get = { 512 * PAGE + 1, 0 }));
	EXPECT_EQ(EINVAL, CALL(DMABUF_GET, .dmabuf_get = { ~0, 0 }));
	buf = mock_dmabuf_get(self->fd, 512 * PAGE);
	ASSERT_LE(0, buf);
	close(buf);
	/* Flags are those of the file and of the descriptor */
	cmd.size = sizeof(cmd);
	cmd.op = IOMMU_TEST_OP_DMABUF_GET;
	cmd.dmabuf_get.open_flags = O_RDWR | O_NONBLOCK;
	buf = ioctl(self->fd, IOMMU_TEST_CMD, &cmd);
	ASSERT_LE(0, buf);
	EXPECT_EQ(0, fcntl(buf, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(O_RDWR | O_NONBLOCK,
		  fcntl(buf, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	/* No memory to be had from it by itself */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, buf, 0));
	close(buf);

	/* Descriptor 0 is a result as well */
	zero = dup(0);
	close(0);
	EXPECT_EQ(0, mock_dmabuf_get(self->fd, PAGE));
	close(0);
	if (zero >= 0) {
		dup2(zero, 0);
		close(zero);
	}

	file = memfd_of(PAGE, 0);
	ASSERT_LE(0, file);
	EXPECT_EQ(EBADF, mock_dmabuf_revoke(self->fd, -1, true));
	EXPECT_EQ(EINVAL, mock_dmabuf_revoke(self->fd, file, true));
	close(file);
}

/* A buffer of somebody else has nothing to be revoked or mapped here */
struct udmabuf_create {
	__u32 memfd;
	__u32 flags;
	__u64 offset;
	__u64 size;
};

TEST_F(selftest, dmabuf_of_another_exporter)
{
	struct udmabuf_create create = { .size = PAGE };
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), buf;
	__u64 iova;

	if (dev < 0)
		SKIP(return, "no /dev/udmabuf: %s", strerror(errno));
	create.memfd = memfd_of(PAGE, MFD_ALLOW_SEALING);
	ASSERT_EQ(0, fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	buf = ioctl(dev, _IOW('u', 0x42, struct udmabuf_create), &create);
	ASSERT_LE(0, buf);
	EXPECT_EQ(EOPNOTSUPP, mock_dmabuf_revoke(self->fd, buf, true));
	EXPECT_EQ(EOPNOTSUPP, ioas_map_file(self->fd, self->ioas, buf, 0, PAGE,
					    MAP_RW, &iova));
	close(buf);
	close(create.memfd);
	close(dev);
}

/*
 * Things that programs for this interface do, and that need more than one room
 * of iommufd to agree.
 */

/* Every length; those that a domain cannot have are refused */
TEST_F(selftest, any_length)
{
	__u64 iova;

	for (__u64 length = 1; length < 2 * PAGE; length += 7) {
		ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, length,
				      MAP_R, &iova));
		ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, iova, length,
					NULL));
	}
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	for (__u64 length = 1; length < 2 * PAGE; length++) {
		int want = length % MOCK_PAGE_SIZE ? EINVAL : 0;

		ASSERT_EQ(want, ioas_map(self->fd, self->ioas, self->buf,
					 length, MAP_R, &iova));
	}
}

/* A part of anything mapped can be copied, from any byte on */
TEST_F(selftest, copy_from_any_byte)
{
	const __u64 u = MOCK_PAGE_SIZE, end = BASE + NR * PAGE;
	__u64 gap = BASE + 8 * PAGE;
	__u32 dst;

	ASSERT_EQ(0, ioas_alloc(self->fd, &dst));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 8 * PAGE,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 4 * PAGE,
				 gap + 4 * PAGE));
	for (__u64 at = BASE - 2 * PAGE; at < end + PAGE; at += 511) {
		bool mapped = (at >= BASE && at + u <= gap) ||
			      (at >= gap + 4 * PAGE && at + u <= end);
		__u64 iova = BASE;

		ASSERT_EQ(mapped ? 0 : ENOENT,
			  ioas_copy(self->fd, dst, self->ioas, at, u,
				    MAP_FIX | MAP_W, &iova))
			TH_LOG("from %#llx", at);
		if (mapped)
			ASSERT_EQ(0, ioas_unmap(self->fd, dst, BASE, u, NULL));
	}
}

/* Memory pinned by an access first, then shared out to domains, repeatedly */
TEST_F(selftest, copy_of_pinned)
{
	__u32 ioas = self->ioas, dst, next, item;
	struct mock_dev dev;
	__u64 iova = BASE;
	int file;

	ASSERT_EQ(0, ioas_alloc(self->fd, &dst));
	ASSERT_EQ(0, mock_attach(self->fd, dst, 0, &dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, NR * PAGE, BASE));
	ASSERT_EQ(0, access_create(self->fd, ioas, PINS, &file));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, access_pin(self->fd, file, BASE, NR * PAGE,
					self->buf, 0, &item));
		ASSERT_EQ(0, ioas_copy(self->fd, dst, ioas, BASE, NR * PAGE,
				       MAP_FIX_RW, &iova));
		EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE,
					    self->buf, NR * PAGE));
		/* The move drops the pins, and the IOAS has no user left */
		ASSERT_EQ(0, ioas_alloc(self->fd, &next));
		ASSERT_EQ(0, ioas_copy(self->fd, next, dst, BASE, NR * PAGE,
				       MAP_FIX_RW, &iova));
		ASSERT_EQ(0, access_replace(self->fd, file, next));
		EXPECT_EQ(0, iommu_destroy(self->fd, ioas));
		EXPECT_EQ(ENOENT, access_unpin(self->fd, file, item));
		EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE,
					     1));
		ASSERT_EQ(0, ioas_unmap_all(self->fd, dst, NULL));
		EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, NR * PAGE,
					     0));
		ioas = next;
	}
	close(file);
}

/* A page inside of huge ones stays pinned when their only domain goes */
TEST_F(selftest, pin_inside_huge)
{
	struct mock_dev dev;
	__u8 *huge;
	__u32 item;
	int file;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	huge = buf_alloc_hugetlb(2 * huge_size);
	if (!huge)
		SKIP(return, "2 huge pages needed: %s", strerror(errno));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, huge, 2 * huge_size,
				 BASE));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, PINS, &file));
	ASSERT_EQ(0, access_pin(self->fd, file, BASE + PAGE, PAGE, huge + PAGE,
				0, &item));
	ASSERT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_EQ(1, vm_pin(0));
	ASSERT_EQ(0, access_unpin(self->fd, file, item));
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, huge,
				    2 * huge_size));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	close(file);
	munmap(huge, 2 * huge_size);
}

/*
 * What is dirty comes in runs of the size it is stored in: two units of a page,
 * or 512 of a huge one; wherever in its page the bitmap is.
 */
static void dirty_runs(struct __test_metadata *_metadata, int fd, __u32 hwpt,
		       size_t length, unsigned int run)
{
	size_t bits = length / MOCK_PAGE_SIZE, bytes = (bits + 7) / 8;
	static const unsigned int offsets[] = { 0, 2048, 0xff1 };
	__u8 *in, *got;
	__u64 nr;

	in = calloc(1, bytes + 8);
	got = mmap(NULL, bytes + 3 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(NULL, in);
	ASSERT_NE(MAP_FAILED, got);
	for (size_t i = 0; i < bits; i += 2 * run)
		bit_set(in, i);
	for (unsigned int o = 0; o < ARRAY_LEN(offsets); o++) {
		for (unsigned int keep = 0; keep < 2; keep++) {
			__u8 *map = got + offsets[o];

			ASSERT_EQ(0, mock_dirty(fd, hwpt, BASE, length,
						MOCK_PAGE_SIZE, in, &nr));
			ASSERT_EQ(bits / (2 * run), nr);
			memset(got, 0, bytes + 3 * PAGE);
			ASSERT_EQ(0, hwpt_get_dirty(fd, hwpt, keep, BASE,
						    length, MOCK_PAGE_SIZE,
						    map));
			for (size_t i = 0; i < bits; i++) {
				ASSERT_EQ(i % (2 * run) < run, bit_get(map, i))
					TH_LOG("bit %zu", i);
			}
			memset(got, 0, bytes + 3 * PAGE);
			ASSERT_EQ(0, hwpt_get_dirty(fd, hwpt, 0, BASE, length,
						    MOCK_PAGE_SIZE, map));
			for (size_t i = 0; i < bits; i++) {
				ASSERT_EQ(keep && i % (2 * run) < run,
					  bit_get(map, i));
			}
		}
	}
	free(in);
	munmap(got, bytes + 3 * PAGE);
}

static void dirty_runs_small(struct __test_metadata *_metadata, int fd,
			     __u32 ioas, size_t length)
{
	void *buf = buf_alloc(length);
	struct mock_dev dev;
	__u32 other, hwpt;

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, ioas_alloc(fd, &other));
	ASSERT_EQ(0, mock_attach(fd, other, 0, &dev));
	ASSERT_EQ(0, option_set(fd, IOMMU_OPTION_HUGE_PAGES, ioas, 0));
	ASSERT_EQ(0, ioas_map_at(fd, ioas, buf, length, BASE));
	ASSERT_EQ(0, hwpt_alloc(fd, dev.idev, ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(fd, hwpt, true));
	dirty_runs(_metadata, fd, hwpt, length, PAGE / MOCK_PAGE_SIZE);
	ASSERT_EQ(0, ioas_unmap_all(fd, ioas, NULL));
	munmap(buf, length);
}

TEST_F(selftest, dirty_runs)
{
	dirty_runs_small(_metadata, self->fd, self->ioas, 2 * PAGE);
	dirty_runs_small(_metadata, self->fd, self->ioas, 64 * PAGE);
}

/* As large as others do it, who give it 30 seconds for half the rounds */
TEST_F_TIMEOUT(selftest, dirty_runs_large, 120)
{
	dirty_runs_small(_metadata, self->fd, self->ioas, 128 << 20);
}

TEST_F(selftest, dirty_runs_huge)
{
	struct mock_dev dev;
	__u32 other, hwpt;
	__u8 *huge;

	if (!huge_size)
		SKIP(return, "size of huge pages unknown");
	huge = buf_alloc_hugetlb(8 * huge_size);
	if (!huge)
		SKIP(return, "8 huge pages needed: %s", strerror(errno));
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, mock_attach(self->fd, other, 0, &dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, huge, 8 * huge_size,
				 BASE));
	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, dev.idev, self->ioas,
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt, true));
	dirty_runs(_metadata, self->fd, hwpt, 8 * huge_size,
		   MOCK_HUGE_PAGE_SIZE / MOCK_PAGE_SIZE);
	munmap(huge, 8 * huge_size);
}

TEST_HARNESS_MAIN
