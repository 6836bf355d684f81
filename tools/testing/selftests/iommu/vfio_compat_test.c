// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VFIO container ioctls, on an IOAS named with IOMMU_VFIO_IOAS and with the
 * mock as devices: every errno in its order, what GET_INFO tells, and how type 1
 * differs from type 1 v2.
 */
#include <linux/capability.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define NR 16
#define BASE ((__u64)MOCK_APERTURE_START)
#define TOP ((__u64)MOCK_APERTURE_LAST)
#define DMA_R VFIO_DMA_MAP_FLAG_READ
#define DMA_W VFIO_DMA_MAP_FLAG_WRITE
#define DMA_RW (DMA_R | DMA_W)
#define DMA_ALL VFIO_DMA_UNMAP_FLAG_ALL

#define INFO_SIZE sizeof(struct vfio_iommu_type1_info)
#define ENTRY_LIMIT "/sys/module/iommufd/parameters/dma_entry_limit"

static int vfio_cmd(int fd, unsigned int cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? errno : 0;
}

static int check_extension(int fd, unsigned long type)
{
	return ioctl(fd, VFIO_CHECK_EXTENSION, type);
}

static int set_iommu(int fd, unsigned long type)
{
	return ioctl(fd, VFIO_SET_IOMMU, type) < 0 ? errno : 0;
}

static int dma_map_flags(int fd, __u64 va, __u64 iova, __u64 size, __u32 flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = va,
		.iova = iova,
		.size = size,
	};

	return vfio_cmd(fd, VFIO_IOMMU_MAP_DMA, &map);
}

static int dma_map(int fd, const void *va, __u64 iova, __u64 size)
{
	return dma_map_flags(fd, (uintptr_t)va, iova, size, DMA_RW);
}

/* @unmapped tells what the structure says afterwards, also after a failure */
static int dma_unmap_flags(int fd, __u64 iova, __u64 size, __u32 flags,
			   __u64 *unmapped)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = iova,
		.size = size,
	};
	int rc = vfio_cmd(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

	if (unmapped)
		*unmapped = unmap.size;
	return rc;
}

static int dma_unmap(int fd, __u64 iova, __u64 size, __u64 *unmapped)
{
	return dma_unmap_flags(fd, iova, size, 0, unmapped);
}

static int vfio_ioas(int fd, __u16 op, __u16 reserved, __u32 *id)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = *id,
		.op = op,
		.__reserved = reserved,
	};
	int rc = iommu_cmd(fd, IOMMU_VFIO_IOAS, &cmd);

	*id = cmd.ioas_id;
	return rc;
}

static int vfio_ioas_set(int fd, __u32 id)
{
	return vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, 0, &id);
}

static int vfio_ioas_get(int fd, __u32 *id)
{
	*id = 0xdead;
	return vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, 0, id);
}

static int vfio_ioas_clear(int fd)
{
	__u32 id = BAD_ID;

	return vfio_ioas(fd, IOMMU_VFIO_IOAS_CLEAR, 0, &id);
}

static int dirty_pages(int fd, __u32 flags)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = flags,
	};

	return vfio_cmd(fd, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

static int dirty_start(int fd)
{
	return dirty_pages(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
}

static int dirty_stop(int fd)
{
	return dirty_pages(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
}

static int dirty_get_arg(int fd, __u32 argsz, __u64 iova, __u64 size,
			 __u64 pgsize, __u64 bitmap_size, void *bitmap)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.dirty.argsz = argsz,
		.dirty.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		.get.iova = iova,
		.get.size = size,
		.get.bitmap.pgsize = pgsize,
		.get.bitmap.size = bitmap_size,
		.get.bitmap.data = bitmap,
	};

	return vfio_cmd(fd, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

/* For up to 64 pages */
static int dirty_get(int fd, __u64 iova, __u64 size, void *bitmap)
{
	return dirty_get_arg(fd, 48, iova, size, PAGE, 8, bitmap);
}

static int dma_unmap_dirty(int fd, __u32 argsz, __u64 iova, __u64 *size,
			   __u64 pgsize, __u64 bitmap_size, void *bitmap)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} cmd = {
		.unmap.argsz = argsz,
		.unmap.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		.unmap.iova = iova,
		.unmap.size = *size,
		.bitmap.pgsize = pgsize,
		.bitmap.size = bitmap_size,
		.bitmap.data = bitmap,
	};
	int rc = vfio_cmd(fd, VFIO_IOMMU_UNMAP_DMA, &cmd);

	*size = cmd.unmap.size;
	return rc;
}

/* An inaccessible page behind an accessible one; the end of the latter */
static void *guarded_end(void)
{
	__u8 *va = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (va == MAP_FAILED || mprotect(va + PAGE, PAGE, PROT_NONE))
		return NULL;
	return va + PAGE;
}

/*
 * Without an IOAS
 */

FIXTURE(fresh)
{
	int fd;
};

FIXTURE_SETUP(fresh)
{
	OPEN_MOCK_OR_SKIP(self->fd);
}

FIXTURE_TEARDOWN(fresh)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(fresh, extensions)
{
	EXPECT_EQ(VFIO_API_VERSION, ioctl(self->fd, VFIO_GET_API_VERSION));
	EXPECT_EQ(1, check_extension(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, check_extension(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, check_extension(self->fd, VFIO_UNMAP_ALL));
	EXPECT_EQ(0, check_extension(self->fd, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(0, check_extension(self->fd, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(0, check_extension(self->fd, VFIO_EEH));
	EXPECT_EQ(0, check_extension(self->fd, 6));
	EXPECT_EQ(0, check_extension(self->fd, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_EQ(0, check_extension(self->fd, VFIO_UPDATE_VADDR));
	EXPECT_EQ(0, check_extension(self->fd, 0));
	EXPECT_EQ(0, check_extension(self->fd, 1000));
	EXPECT_EQ(0, check_extension(self->fd, -1UL));
}

TEST_F(fresh, foreign_ioctls)
{
	const unsigned int cmds[] = {
		VFIO_IOMMU_ENABLE,
		VFIO_IOMMU_DISABLE,
		VFIO_GROUP_GET_STATUS,
		VFIO_GROUP_SET_CONTAINER,
		VFIO_DEVICE_GET_INFO,
		_IO(VFIO_TYPE, VFIO_BASE + 21),
		_IO(VFIO_TYPE, 0),
		/* The right number, but not the right command */
		_IO('x', VFIO_BASE),
		_IOW(VFIO_TYPE, VFIO_BASE + 13,
		     struct vfio_iommu_type1_dma_map),
	};

	for (unsigned int i = 0; i < ARRAY_LEN(cmds); i++) {
		EXPECT_EQ(ENOTTY, vfio_cmd(self->fd, cmds[i], NULL))
			TH_LOG("command %u", i);
	}
}

TEST_F(fresh, set_iommu)
{
	EXPECT_EQ(ENODEV, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(ENODEV, set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(EINVAL, set_iommu(self->fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(EINVAL, set_iommu(self->fd, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(EINVAL, set_iommu(self->fd, 0));
	EXPECT_EQ(EINVAL, set_iommu(self->fd, VFIO_UNMAP_ALL));
}

/* What the structure says wrong is found before that there is no IOAS */
TEST_F(fresh, arguments_then_enodev)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = DMA_RW,
		.vaddr = 0,
		.iova = 1,
		.size = 0,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.size = 7,
	};

	EXPECT_EQ(ENODEV, vfio_cmd(self->fd, VFIO_IOMMU_GET_INFO, &info));
	info.argsz = 16;
	EXPECT_EQ(ENODEV, vfio_cmd(self->fd, VFIO_IOMMU_GET_INFO, &info));
	info.argsz = 15;
	EXPECT_EQ(EINVAL, vfio_cmd(self->fd, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQ(15, info.argsz);
	EXPECT_EQ(EFAULT, vfio_cmd(self->fd, VFIO_IOMMU_GET_INFO, NULL));

	EXPECT_EQ(ENODEV, vfio_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	map.argsz = 1000;
	EXPECT_EQ(ENODEV, vfio_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	map.argsz = sizeof(map) - 1;
	EXPECT_EQ(EINVAL, vfio_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	map.argsz = sizeof(map);
	map.flags = DMA_RW | 8;
	EXPECT_EQ(EINVAL, vfio_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	map.flags = DMA_RW | VFIO_DMA_MAP_FLAG_VADDR;
	EXPECT_EQ(ENODEV, vfio_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_EQ(EFAULT, vfio_cmd(self->fd, VFIO_IOMMU_MAP_DMA, NULL));

	EXPECT_EQ(ENODEV, vfio_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	unmap.flags = DMA_ALL;
	EXPECT_EQ(ENODEV, vfio_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	unmap.flags = 8;
	EXPECT_EQ(EINVAL, vfio_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	unmap.flags = VFIO_DMA_UNMAP_FLAG_VADDR;
	EXPECT_EQ(ENODEV, vfio_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	unmap.flags |= VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	EXPECT_EQ(EINVAL, vfio_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	unmap.flags = 0;
	unmap.argsz = sizeof(unmap) - 1;
	EXPECT_EQ(EINVAL, vfio_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQ(EFAULT, vfio_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, NULL));
	EXPECT_EQ(7, unmap.size);

	EXPECT_EQ(ENODEV, dirty_start(self->fd));
	EXPECT_EQ(ENODEV, dirty_stop(self->fd));
	EXPECT_EQ(ENODEV, dirty_get_arg(self->fd, 8, 0, 0, 0, 0, NULL));
	EXPECT_EQ(EINVAL, dirty_get_arg(self->fd, 7, 0, 0, 0, 0, NULL));
	EXPECT_EQ(EINVAL, dirty_pages(self->fd, 0));
	EXPECT_EQ(EINVAL, dirty_pages(self->fd, 3));
	EXPECT_EQ(EINVAL, dirty_pages(self->fd, 8));
	EXPECT_EQ(EFAULT, vfio_cmd(self->fd, VFIO_IOMMU_DIRTY_PAGES, NULL));
}

/* Each structure is read as far as it has to be, and no further */
TEST_F(fresh, reads_no_further)
{
	__u8 *end = guarded_end();
	const struct {
		unsigned int cmd;
		__u32 size;
	} t[] = {
		{ VFIO_IOMMU_GET_INFO, 16 },
		{ VFIO_IOMMU_MAP_DMA, 32 },
		{ VFIO_IOMMU_UNMAP_DMA, 24 },
		{ VFIO_IOMMU_DIRTY_PAGES, 8 },
	};

	ASSERT_NE(NULL, end);
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		__u32 *argsz = (void *)(end - t[i].size);

		memset(argsz, 0, t[i].size);
		argsz[0] = t[i].size;
		if (t[i].cmd == VFIO_IOMMU_DIRTY_PAGES)
			argsz[1] = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
		EXPECT_EQ(ENODEV, vfio_cmd(self->fd, t[i].cmd, argsz));
		EXPECT_EQ(EFAULT, vfio_cmd(self->fd, t[i].cmd, argsz + 1));
	}
}

/*
 * The compat IOAS
 */

TEST_F(fresh, vfio_ioas)
{
	__u32 ioas, other, id;
	struct mock_dev dev;

	EXPECT_EQ(ENODEV, vfio_ioas_get(self->fd, &id));
	EXPECT_EQ(0xdead, id);
	EXPECT_EQ(ENOENT, vfio_ioas_set(self->fd, 0));
	EXPECT_EQ(ENOENT, vfio_ioas_set(self->fd, BAD_ID));
	EXPECT_EQ(0, vfio_ioas_clear(self->fd));

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	EXPECT_EQ(ENODEV, vfio_ioas_get(self->fd, &id));
	EXPECT_EQ(0, vfio_ioas_set(self->fd, ioas));
	EXPECT_EQ(0, vfio_ioas_get(self->fd, &id));
	EXPECT_EQ(ioas, id);

	/* A failure leaves it, whatever exists replaces it */
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, mock_attach(self->fd, other, 0, &dev));
	EXPECT_EQ(ENOENT, vfio_ioas_set(self->fd, dev.hwpt));
	EXPECT_EQ(ENOENT, vfio_ioas_set(self->fd, dev.idev));
	EXPECT_EQ(0, vfio_ioas_get(self->fd, &id));
	EXPECT_EQ(ioas, id);
	EXPECT_EQ(0, vfio_ioas_set(self->fd, other));
	EXPECT_EQ(0, vfio_ioas_get(self->fd, &id));
	EXPECT_EQ(other, id);

	/* To be designated does not make it busy, and ends with it */
	ASSERT_EQ(0, vfio_ioas_set(self->fd, ioas));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas));
	EXPECT_EQ(ENODEV, vfio_ioas_get(self->fd, &id));
	EXPECT_EQ(ENODEV, set_iommu(self->fd, VFIO_TYPE1_IOMMU));

	EXPECT_EQ(0, vfio_ioas_set(self->fd, other));
	EXPECT_EQ(0, vfio_ioas_clear(self->fd));
	EXPECT_EQ(ENODEV, vfio_ioas_get(self->fd, &id));
	EXPECT_EQ(0, vfio_ioas_clear(self->fd));
}

TEST_F(fresh, vfio_ioas_arguments)
{
	__u32 ioas, id = BAD_ID;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	for (__u16 op = 0; op < 4; op++) {
		EXPECT_EQ(EOPNOTSUPP, vfio_ioas(self->fd, op, 1, &id));
		EXPECT_EQ(EOPNOTSUPP, vfio_ioas(self->fd, op, 0x8000, &ioas));
	}
	EXPECT_EQ(EOPNOTSUPP, vfio_ioas(self->fd, 3, 0, &ioas));
	EXPECT_EQ(EOPNOTSUPP, vfio_ioas(self->fd, 0xffff, 0, &ioas));
	EXPECT_EQ(ENODEV, vfio_ioas_get(self->fd, &id));
}

/* Mappings belong to the IOAS, not to the container */
TEST_F(fresh, redesignate)
{
	__u32 ioas[2];
	__u64 size;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &ioas[i]));
		ASSERT_EQ(0, vfio_ioas_set(self->fd, ioas[i]));
		ASSERT_EQ(0, dma_map(self->fd, (void *)PAGE, BASE,
				     (i + 1) * PAGE));
	}
	ASSERT_EQ(0, vfio_ioas_set(self->fd, ioas[0]));
	EXPECT_EQ(0, dma_unmap_flags(self->fd, 0, 0, DMA_ALL, &size));
	EXPECT_EQ(PAGE, size);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, ioas[1], &size));
	EXPECT_EQ(2 * PAGE, size);
}

/* The other node, if this kernel has it */
TEST(vfio_node)
{
	__u32 ioas, id;
	__u64 val;
	int fd;

	fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "cannot open /dev/vfio/vfio: %s", strerror(errno));
	if (option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val)) {
		close(fd);
		SKIP(return, "/dev/vfio/vfio is VFIO's");
	}
	/* Memory counts as type 1 has it count, by process */
	EXPECT_EQ(1, val);
	EXPECT_EQ(1, check_extension(fd, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, vfio_ioas_set(fd, ioas));
	EXPECT_EQ(0, vfio_ioas_get(fd, &id));
	EXPECT_EQ(ioas, id);
	EXPECT_EQ(0, dma_map(fd, (void *)PAGE, 0, PAGE));
	EXPECT_EQ(0, close(fd));
}

/*
 * Who pays for what a container maps: the process, whatever node it came by and
 * whatever it may. That of the native ioctls is another matter.
 */

#define LIMIT 8
#define TEST_UID 60218

FIXTURE(charge)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	struct mock_dev dev;
};

FIXTURE_VARIANT(charge)
{
	const char *node;
	bool privileged;
};

FIXTURE_VARIANT_ADD(charge, iommu)
{
	.node = "/dev/iommu",
};

FIXTURE_VARIANT_ADD(charge, iommu_privileged)
{
	.node = "/dev/iommu", .privileged = true,
};

FIXTURE_VARIANT_ADD(charge, vfio)
{
	.node = "/dev/vfio/vfio",
};

FIXTURE_VARIANT_ADD(charge, vfio_privileged)
{
	.node = "/dev/vfio/vfio", .privileged = true,
};

FIXTURE_SETUP(charge)
{
	if (geteuid())
		SKIP(return, "has to start as root to change what it may");
	self->fd = open(variant->node, O_RDWR | O_CLOEXEC);
	if (self->fd < 0 || !has_mock(self->fd))
		SKIP(return, "%s is not ours, or has no mock", variant->node);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, vfio_ioas_set(self->fd, self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	self->buf = buf_alloc(2 * LIMIT * PAGE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 1, 2 * LIMIT * PAGE);
	ASSERT_EQ(0, memlock_limit_set(LIMIT * PAGE));
	if (!variant->privileged)
		ASSERT_EQ(0, setresuid(TEST_UID, TEST_UID, TEST_UID));
	ASSERT_EQ(variant->privileged, cap_have(CAP_IPC_LOCK));
}

FIXTURE_TEARDOWN(charge)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, vm_lck(0));
}

TEST_F(charge, process)
{
	__u64 len = LIMIT * PAGE;

	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, len));
	EXPECT_EQ(LIMIT, vm_lck(0));
	EXPECT_EQ(LIMIT, vm_pin(0));
	/* The capability lifts the limit, and no more */
	EXPECT_EQ(variant->privileged ? 0 : ENOMEM,
		  dma_map(self->fd, self->buf + len, BASE + len, PAGE));
	EXPECT_EQ(LIMIT + variant->privileged, vm_lck(0));
	EXPECT_EQ(0, dma_unmap(self->fd, BASE, len, NULL));
	EXPECT_EQ(variant->privileged, vm_lck(0));
	EXPECT_EQ(variant->privileged, vm_pin(0));
}

TEST_F(charge, native_ioctls)
{
	bool process = !variant->privileged && strstr(variant->node, "vfio");

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 BASE));
	EXPECT_EQ(2, vm_pin(0));
	EXPECT_EQ(process ? 2 : 0, vm_lck(0));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 2 * PAGE, PAGE));
	EXPECT_EQ(3, vm_pin(0));
	EXPECT_EQ(process ? 3 : 1, vm_lck(0));
	/* Either ioctl gives back what was charged, and where */
	EXPECT_EQ(0, dma_unmap(self->fd, BASE, 2 * PAGE, NULL));
	EXPECT_EQ(1, vm_lck(0));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, vm_lck(0));
}

/* What was mapped with the capability counts against a limit without it */
TEST_F(charge, capability_lost_later)
{
	__u64 len = LIMIT * PAGE;

	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, len));
	ASSERT_EQ(0, cap_drop(CAP_IPC_LOCK));
	EXPECT_EQ(ENOMEM, dma_map(self->fd, self->buf, BASE + len, PAGE));
	EXPECT_EQ(LIMIT, vm_lck(0));
	EXPECT_EQ(0, dma_unmap(self->fd, BASE, len, NULL));
	EXPECT_EQ(0, dma_map(self->fd, self->buf, BASE + len, PAGE));
	EXPECT_EQ(1, vm_lck(0));
}

/*
 * With one, by type and number of domains
 */

FIXTURE(compat)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	size_t len;
	struct mock_dev dev;
	__u32 hwpt[2];
};

FIXTURE_VARIANT(compat)
{
	unsigned int type;
	unsigned int domains;
};

FIXTURE_VARIANT_ADD(compat, v1)
{
	.type = VFIO_TYPE1_IOMMU,
};

FIXTURE_VARIANT_ADD(compat, v1_domain)
{
	.type = VFIO_TYPE1_IOMMU, .domains = 1,
};

FIXTURE_VARIANT_ADD(compat, v1_two_domains)
{
	.type = VFIO_TYPE1_IOMMU, .domains = 2,
};

FIXTURE_VARIANT_ADD(compat, v2)
{
	.type = VFIO_TYPE1v2_IOMMU,
};

FIXTURE_VARIANT_ADD(compat, v2_domain)
{
	.type = VFIO_TYPE1v2_IOMMU, .domains = 1,
};

FIXTURE_VARIANT_ADD(compat, v2_two_domains)
{
	.type = VFIO_TYPE1v2_IOMMU, .domains = 2,
};

FIXTURE_SETUP(compat)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, vfio_ioas_set(self->fd, self->ioas));
	ASSERT_EQ(0, set_iommu(self->fd, variant->type));
	if (variant->domains >= 1) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
		self->hwpt[0] = self->dev.hwpt;
	}
	if (variant->domains >= 2)
		ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
					&self->hwpt[1]));
	self->len = NR * PAGE;
	self->buf = buf_alloc(self->len);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(compat)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, self->len));
	EXPECT_EQ(0, vm_pin(0));
}

/* Type 1 only, which cuts mappings */
FIXTURE_LIKE(type1, compat)

FIXTURE_VARIANT_ADD(type1, no_domain)
{
	.type = VFIO_TYPE1_IOMMU,
};

FIXTURE_VARIANT_ADD(type1, domain)
{
	.type = VFIO_TYPE1_IOMMU, .domains = 1,
};

FIXTURE_VARIANT_ADD(type1, two_domains)
{
	.type = VFIO_TYPE1_IOMMU, .domains = 2,
};

/* Type 1 v2 only, which does not */
FIXTURE_LIKE(type1v2, compat)

FIXTURE_VARIANT_ADD(type1v2, no_domain)
{
	.type = VFIO_TYPE1v2_IOMMU,
};

FIXTURE_VARIANT_ADD(type1v2, domain)
{
	.type = VFIO_TYPE1v2_IOMMU, .domains = 1,
};

FIXTURE_VARIANT_ADD(type1v2, two_domains)
{
	.type = VFIO_TYPE1v2_IOMMU, .domains = 2,
};

/* And with mappings of any alignment, for want of a domain */
FIXTURE_LIKE(type1v2_odd, compat)

FIXTURE_VARIANT_ADD(type1v2_odd, no_domain)
{
	.type = VFIO_TYPE1v2_IOMMU,
};

#define IS_V1 (variant->type == VFIO_TYPE1_IOMMU)

/* Each domain agrees: @want 0 for mapped so, EINVAL for not */
#define EXPECT_MAPPED(want, iova, va, len)                                     \
	do {                                                                   \
		for (unsigned int __d = 0; __d < variant->domains; __d++) {    \
			EXPECT_EQ(want, mock_check_map(self->fd,               \
						       self->hwpt[__d], iova,  \
						       va, len))               \
				TH_LOG("domain %u", __d);                      \
		}                                                              \
	} while (0)

#define EXPECT_PINS(pins, va, len)                                             \
	EXPECT_EQ(0, mock_check_pins(self->fd, va, len,                        \
				     variant->domains ? (pins) : 0))

#define EXPECT_UNMAP(rc, iova, len, want)                                      \
	do {                                                                   \
		__u64 __size;                                                  \
		EXPECT_EQ(rc, dma_unmap(self->fd, iova, len, &__size));        \
		EXPECT_EQ(want, __size);                                       \
	} while (0)

TEST_F(compat, type)
{
	__u64 val;

	/* Any number of times; the small pages of type 1 stay */
	EXPECT_EQ(0, set_iommu(self->fd, variant->type));
	EXPECT_EQ(0, set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				&val));
	EXPECT_EQ(!IS_V1, val);
	EXPECT_EQ(EINVAL, set_iommu(self->fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(EINVAL, set_iommu(self->fd, VFIO_SPAPR_TCE_v2_IOMMU));

	/* Large IOPTEs that may exist cannot be cut later */
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, PAGE));
	EXPECT_EQ(0, set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(!IS_V1 && variant->domains ? EINVAL : 0,
		  set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				&val));
	EXPECT_EQ(!IS_V1 && variant->domains, val);
}

TEST_F(type1v2_odd, type1_needs_whole_pages)
{
	__u64 iova = BASE;

	/* Of an odd length that only the native ioctl lets pass */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->buf, 17, MAP_FIX_RW,
			      &iova));
	EXPECT_EQ(EADDRINUSE, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, dma_unmap(self->fd, BASE, PAGE, NULL));
	EXPECT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
}

TEST_F(compat, coherency)
{
	/* True of no domain; the mock does not override no-snoop */
	EXPECT_EQ(!variant->domains,
		  check_extension(self->fd, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(1, check_extension(self->fd, VFIO_TYPE1_IOMMU));
}

/*
 * VFIO_IOMMU_GET_INFO
 */

/* The capability in a complete reply, or NULL */
static void *info_cap(void *reply, __u16 id)
{
	struct vfio_iommu_type1_info *info = reply;
	__u32 offset = info->cap_offset;

	while (offset && offset % 8 == 0 &&
	       offset + sizeof(struct vfio_info_cap_header) <= info->argsz) {
		struct vfio_info_cap_header *cap = reply + offset;

		if (cap->id == id && cap->version == 1)
			return cap;
		if (cap->next && cap->next <= offset)
			return NULL;
		offset = cap->next;
	}
	return NULL;
}

static int get_info(int fd, void *reply, __u32 argsz)
{
	((struct vfio_iommu_type1_info *)reply)->argsz = argsz;
	return vfio_cmd(fd, VFIO_IOMMU_GET_INFO, reply);
}

/* -1 if it is not told */
static __s64 dma_avail(int fd)
{
	struct vfio_iommu_type1_info_dma_avail *avail;
	__u64 reply[64] = {};

	if (get_info(fd, reply, sizeof(reply)))
		return -1;
	avail = info_cap(reply, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	return avail ? avail->avail : -1;
}

TEST_F(compat, info)
{
	struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	__u64 reply[64] = {}, sizes = -(__u64)PAGE;
	struct vfio_iommu_type1_info *info = (void *)reply;

	ASSERT_EQ(0, get_info(self->fd, reply, sizeof(reply)));
	EXPECT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, info->flags);
	EXPECT_EQ(INFO_SIZE, info->cap_offset);
	EXPECT_GE(sizeof(reply), info->argsz);
	EXPECT_EQ(0, reply[2] >> 32);
	/* All with no domain, or some, but always that of the CPU */
	EXPECT_EQ(PAGE, info->iova_pgsizes & -info->iova_pgsizes);
	EXPECT_EQ(info->iova_pgsizes, info->iova_pgsizes & sizes);
	if (!variant->domains)
		EXPECT_EQ(sizes, info->iova_pgsizes);

	migration = info_cap(reply, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	ASSERT_NE(NULL, migration);
	EXPECT_EQ(0, migration->flags);
	EXPECT_EQ(PAGE, migration->pgsize_bitmap);
	EXPECT_EQ(1U << 28, migration->max_dirty_bitmap_size);
	EXPECT_NE(NULL, info_cap(reply, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL));
	ranges = info_cap(reply, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	ASSERT_NE(NULL, ranges);
	ASSERT_EQ(1, ranges->nr_iovas);
	EXPECT_EQ(0, ranges->reserved);
	if (variant->domains) {
		EXPECT_EQ(BASE, ranges->iova_ranges[0].start);
		EXPECT_EQ(TOP, ranges->iova_ranges[0].end);
	} else {
		/* Clients add 1 to the end */
		EXPECT_EQ(0, ranges->iova_ranges[0].start);
		EXPECT_EQ(ULONG_MAX - PAGE, ranges->iova_ranges[0].end);
	}
	EXPECT_EQ(info->argsz, (__u8 *)&ranges->iova_ranges[1] -
			       (__u8 *)reply);
}

/* With any size of buffer, nothing is written behind it */
static __u64 page_sizes(int fd)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	return vfio_cmd(fd, VFIO_IOMMU_GET_INFO, &info) ? 0 :
							  info.iova_pgsizes;
}

/* What user space makes by hand counts like what an attach makes */
TEST_F(fresh, hand_made_hwpts)
{
	const struct mock_config enforce = {
		.flags = MOCK_FLAGS_DEVICE_ENFORCE,
	};
	const struct mock_config lax = {};
	const __u64 all = -(__u64)PAGE;
	const __u64 few = MOCK_HUGE_PAGE_SIZE | PAGE;
	struct mock_dev a, b;
	__u32 ioas, strict, huge;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, vfio_ioas_set(self->fd, ioas));
	ASSERT_EQ(0, mock_device(self->fd, 0, &enforce, &a));
	ASSERT_EQ(0, mock_device(self->fd, 0, &lax, &b));
	EXPECT_EQ(1, check_extension(self->fd, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(all, page_sizes(self->fd));

	ASSERT_EQ(0, hwpt_alloc(self->fd, a.idev, ioas, 0, &strict));
	ASSERT_EQ(0, mock_pasid_attach(self->fd, a.stdev, 0,
				       &(__u32){ strict }));
	EXPECT_EQ(1, check_extension(self->fd, VFIO_DMA_CC_IOMMU));
	EXPECT_NE(few, page_sizes(self->fd));

	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, b.idev, ioas, 0, &huge));
	ASSERT_EQ(0, mock_pasid_attach(self->fd, b.stdev, 0,
				       &(__u32){ huge }));
	EXPECT_EQ(0, check_extension(self->fd, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(few, page_sizes(self->fd));

	/* It makes no difference to a device that comes by another way */
	ASSERT_EQ(0, mock_device(self->fd, ioas, &enforce, NULL));
	EXPECT_EQ(0, check_extension(self->fd, VFIO_DMA_CC_IOMMU));

	ASSERT_EQ(0, iommu_destroy(self->fd, b.stdev));
	ASSERT_EQ(0, iommu_destroy(self->fd, huge));
	EXPECT_EQ(1, check_extension(self->fd, VFIO_DMA_CC_IOMMU));
	EXPECT_NE(few, page_sizes(self->fd));
}

TEST_F(compat, info_small_buffer)
{
	struct vfio_iommu_type1_info *info;
	__u64 want[64] = {}, reply[64];
	__u32 full;

	ASSERT_EQ(0, get_info(self->fd, want, sizeof(want)));
	info = (void *)want;
	full = info->argsz;
	info = (void *)reply;
	for (__u32 argsz = 16; argsz <= full + 9; argsz++) {
		__u8 *bytes = (void *)reply;
		__u32 written = argsz;

		memset(reply, 0xa5, sizeof(reply));
		ASSERT_EQ(0, get_info(self->fd, reply, argsz));
		if (argsz >= full)
			written = full;
		else if (written > INFO_SIZE)
			written = INFO_SIZE;
		EXPECT_EQ(full, info->argsz);
		EXPECT_EQ(3, info->flags);
		EXPECT_EQ(0, memcmp(want, reply, argsz < full ? 16 : full));
		if (argsz >= 20 && argsz < full)
			EXPECT_EQ(0, info->cap_offset);
		for (__u32 i = written; i < sizeof(reply); i++) {
			ASSERT_EQ(0xa5, bytes[i])
				TH_LOG("argsz %u wrote byte %u", argsz, i);
		}
	}
	EXPECT_EQ(EINVAL, get_info(self->fd, reply, 15));
	EXPECT_EQ(15, info->argsz);
}

TEST_F(compat, info_faults)
{
	__u8 *end = guarded_end();
	__u64 want[64] = {};
	__u32 full;

	ASSERT_NE(NULL, end);
	ASSERT_EQ(0, get_info(self->fd, want, sizeof(want)));
	full = ((struct vfio_iommu_type1_info *)want)->argsz;
	EXPECT_EQ(0, get_info(self->fd, end - full, full));
	EXPECT_EQ(0, get_info(self->fd, end - full, 2 * full));
	EXPECT_EQ(0, get_info(self->fd, end - INFO_SIZE, full - 1));
	EXPECT_EQ(EFAULT, get_info(self->fd, end - INFO_SIZE, full));
	EXPECT_EQ(EFAULT, get_info(self->fd, end - 16, 24));
	EXPECT_EQ(0, get_info(self->fd, end - 16, 16));
}

TEST_F(compat, info_ranges)
{
	const struct vfio_iova_range want[] = {
		{ BASE, BASE + PAGE - 1 },
		{ BASE + 3 * PAGE, BASE + 4 * PAGE - 1 },
		{ BASE + 5 * PAGE, TOP },
	};
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct iommu_iova_range allowed = {
		.start = BASE + 8 * PAGE, .last = BASE + 9 * PAGE,
	};
	__u64 reply[64] = {};

	if (!variant->domains) {
		ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 0, BASE));
		ASSERT_EQ(0, mock_reserve(self->fd, self->ioas,
					  TOP + 1, -(TOP + 1)));
	}
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, BASE + PAGE, PAGE));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, BASE + 2 * PAGE, PAGE));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, BASE + 4 * PAGE, PAGE));
	/* Neither of these counts */
	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &allowed, 1));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 8 * PAGE, PAGE));

	ASSERT_EQ(0, get_info(self->fd, reply, sizeof(reply)));
	ranges = info_cap(reply, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	ASSERT_NE(NULL, ranges);
	ASSERT_EQ(ARRAY_LEN(want), ranges->nr_iovas);
	EXPECT_EQ(0, memcmp(want, ranges->iova_ranges, sizeof(want)));
	EXPECT_EQ(EINVAL, dma_map(self->fd, self->buf, BASE + PAGE, PAGE));
}

TEST_F(compat, info_no_range)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	__u64 reply[64] = {};

	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 0, 1ULL << 63));
	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, 1ULL << 63,
				  1ULL << 63));
	ASSERT_EQ(0, get_info(self->fd, reply, sizeof(reply)));
	ranges = info_cap(reply, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	ASSERT_NE(NULL, ranges);
	EXPECT_EQ(0, ranges->nr_iovas);
}

/*
 * VFIO_IOMMU_MAP_DMA
 */

TEST_F(compat, map)
{
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, self->len));
	EXPECT_MAPPED(0, BASE, self->buf, self->len);
	EXPECT_PINS(1, self->buf, self->len);
	EXPECT_EQ(EEXIST, dma_map(self->fd, self->buf, BASE, self->len));
	EXPECT_EQ(EEXIST, dma_map(self->fd, self->buf, BASE + PAGE, PAGE));
	EXPECT_EQ(0, dma_map(self->fd, self->buf, BASE + self->len, self->len));
	EXPECT_PINS(2, self->buf, self->len);
	EXPECT_UNMAP(0, BASE, self->len, self->len);
	EXPECT_MAPPED(EINVAL, BASE, self->buf, PAGE);
	EXPECT_PINS(1, self->buf, self->len);
	/* The last page there is, or may be */
	EXPECT_EQ(0, dma_map(self->fd, self->buf, TOP + 1 - PAGE, PAGE));
	EXPECT_EQ(variant->domains ? EINVAL : 0,
		  dma_map(self->fd, self->buf, -(__u64)PAGE, PAGE));
	EXPECT_EQ(variant->domains ? EINVAL : 0,
		  dma_map(self->fd, self->buf, 0, PAGE));
}

TEST_F(compat, map_errno_order)
{
	const __u64 all = UINT64_MAX, va = (uintptr_t)self->buf;
	const __u64 rsvd = BASE + 32 * PAGE, old = BASE + 64 * PAGE;
	const struct {
		__u32 flags;
		__u64 va, iova, size;
		int rc;
	} t[] = {
		/* No permission */
		{ 0, va, BASE, PAGE, EINVAL },
		{ 0, all, BASE, PAGE, EINVAL },
		/* The address wraps */
		{ DMA_RW, all - PAGE + 1, BASE + 1, PAGE, EOVERFLOW },
		{ DMA_RW, all, BASE, 2, EOVERFLOW },
		{ DMA_R, PAGE, all - PAGE + 1, all - PAGE + 1, EOVERFLOW },
		/* The size */
		{ DMA_RW, va, BASE, 0, EINVAL },
		{ DMA_RW, va, BASE + 1, 0, EINVAL },
		/* Alignment of size and IOVA, before it wraps */
		{ DMA_RW, va, BASE, PAGE - 1, EINVAL },
		{ DMA_RW, va, BASE, PAGE + MOCK_PAGE_SIZE, EINVAL },
		{ DMA_RW, va, BASE + MOCK_PAGE_SIZE, PAGE, EINVAL },
		{ DMA_RW, va, BASE + 1, PAGE, EINVAL },
		{ DMA_RW, va, all, 2 * PAGE, EINVAL },
		{ DMA_RW, va, all - PAGE + 1, PAGE + 1, EINVAL },
		/* The IOVA wraps */
		{ DMA_RW, va, all - PAGE + 1, 2 * PAGE, EOVERFLOW },
		{ DMA_RW, va + 1, all - PAGE + 1, 2 * PAGE, EOVERFLOW },
		/* Reserved, before that it is taken */
		{ DMA_RW, va, rsvd, PAGE, EINVAL },
		{ DMA_RW, va, rsvd, old - rsvd + PAGE, EINVAL },
		/* Taken, before that the address is not aligned */
		{ DMA_RW, va, old, PAGE, EEXIST },
		{ DMA_RW, va + 1, old, PAGE, EEXIST },
		{ DMA_W, va, old - PAGE, 3 * PAGE, EEXIST },
		/* Alignment of the address */
		{ DMA_RW, va + 1, BASE, PAGE, EINVAL },
		{ DMA_RW, va + MOCK_PAGE_SIZE, BASE, PAGE, EINVAL },
	};

	ASSERT_EQ(0, mock_reserve(self->fd, self->ioas, rsvd, PAGE));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, old, PAGE));
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		EXPECT_EQ(t[i].rc, dma_map_flags(self->fd, t[i].va, t[i].iova,
						 t[i].size, t[i].flags))
			TH_LOG("entry %u", i);
	}
	EXPECT_UNMAP(0, BASE, 128 * PAGE, PAGE);
	EXPECT_PINS(0, self->buf, self->len);
}

TEST_F(compat, map_bad_memory)
{
	__u8 *hole = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u8 *ro = mmap(NULL, PAGE, PROT_READ,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int want = variant->domains ? EFAULT : 0;

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_NE(MAP_FAILED, ro);
	ASSERT_EQ(0, munmap(hole + 2 * PAGE, PAGE));
	EXPECT_EQ(want, dma_map(self->fd, hole, BASE, 4 * PAGE));
	EXPECT_EQ(want, dma_map(self->fd, ro, BASE + 8 * PAGE, PAGE));
	EXPECT_EQ(0, dma_map_flags(self->fd, (uintptr_t)ro, BASE + 16 * PAGE,
				   PAGE, DMA_R));
	/* A failure takes no IOVA up */
	EXPECT_UNMAP(0, BASE, 16 * PAGE, want ? 0 : 5 * PAGE);
	EXPECT_PINS(0, hole, 2 * PAGE);
	munmap(hole, 4 * PAGE);
	munmap(ro, PAGE);
}

/* And the address comes before the limit */
TEST_F(compat, map_bad_memory_over_limit)
{
	__u8 *hole = buf_alloc_private(self->len);
	int bad = variant->domains ? EFAULT : 0;
	int over = variant->domains ? ENOMEM : 0;

	ASSERT_NE(NULL, hole);
	ASSERT_EQ(0, munmap(hole + 5 * PAGE, PAGE));
	ASSERT_EQ(0, memlock_limit_set(4 * PAGE));
	ASSERT_EQ(0, cap_drop(CAP_IPC_LOCK));
	EXPECT_EQ(bad, dma_map(self->fd, hole, BASE, 8 * PAGE));
	EXPECT_UNMAP(0, BASE, 8 * PAGE, bad ? 0 : 8 * PAGE);
	EXPECT_EQ(over, dma_map(self->fd, self->buf, BASE, 8 * PAGE));
	EXPECT_UNMAP(0, BASE, 8 * PAGE, over ? 0 : 8 * PAGE);
	EXPECT_EQ(0, dma_map(self->fd, hole, BASE, 4 * PAGE));
	EXPECT_UNMAP(0, BASE, 4 * PAGE, 4 * PAGE);
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, self->len, 0));
	munmap(hole, self->len);
}

/* A device can be attached whatever was mapped without one */
TEST_F(compat, map_then_attach)
{
	struct mock_dev dev;

	EXPECT_EQ(EINVAL, dma_map(self->fd, self->buf, BASE, 1));
	EXPECT_EQ(EINVAL, dma_map(self->fd, self->buf, BASE, 17));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, PAGE));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	EXPECT_EQ(0, mock_check_map(self->fd, dev.hwpt, BASE, self->buf, PAGE));
}

/*
 * VFIO_IOMMU_UNMAP_DMA
 */

TEST_F(compat, unmap)
{
	/* Nothing there */
	EXPECT_UNMAP(0, BASE, PAGE, 0);
	EXPECT_UNMAP(0, 0, ULONG_MAX, 0);
	EXPECT_UNMAP(0, -(__u64)PAGE, PAGE, 0);

	/* Several mappings, holes between and around them */
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + PAGE, PAGE));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 2 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 8 * PAGE, 4 * PAGE));
	EXPECT_UNMAP(0, BASE, 2 * PAGE, PAGE);
	EXPECT_UNMAP(0, BASE, 16 * PAGE, 6 * PAGE);
	EXPECT_UNMAP(0, BASE, 16 * PAGE, 0);
	EXPECT_PINS(0, self->buf, self->len);
}

TEST_F(compat, unmap_all)
{
	__u64 size;

	EXPECT_EQ(0, dma_unmap_flags(self->fd, 0, 0, DMA_ALL, &size));
	EXPECT_EQ(0, size);
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, PAGE));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 2 * PAGE, 3 * PAGE));
	EXPECT_EQ(EINVAL, dma_unmap_flags(self->fd, 1, 0, DMA_ALL, &size));
	EXPECT_EQ(EINVAL, dma_unmap_flags(self->fd, 0, 1, DMA_ALL, &size));
	EXPECT_EQ(1, size);
	EXPECT_EQ(EINVAL, dma_unmap_flags(self->fd, 0, UINT64_MAX, DMA_ALL,
					  &size));
	EXPECT_EQ(UINT64_MAX, size);
	EXPECT_EQ(EINVAL, dma_unmap_flags(self->fd, 0, 0, DMA_ALL | 8, &size));
	EXPECT_EQ(0, dma_unmap_flags(self->fd, 0, 0, DMA_ALL, &size));
	EXPECT_EQ(4 * PAGE, size);
	EXPECT_PINS(0, self->buf, self->len);
}

/* Wrong in itself: nothing happens, nothing is written, nothing is cut */
TEST_F(compat, unmap_errors)
{
	__u64 iova = BASE + PAGE;

	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, 4 * PAGE));
	EXPECT_UNMAP(EINVAL, iova, 0, 0);
	EXPECT_UNMAP(EINVAL, UINT64_MAX, 0, 0);
	EXPECT_UNMAP(EOVERFLOW, iova, -iova + 1, -iova + 1);
	EXPECT_UNMAP(EOVERFLOW, iova, UINT64_MAX, UINT64_MAX);
	EXPECT_UNMAP(EOVERFLOW, UINT64_MAX, 2, 2);

	/* The native ioctl cuts nothing, so it would notice */
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, iova, 3 * PAGE,
				     NULL));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_MAPPED(0, BASE, self->buf, 4 * PAGE);
	EXPECT_PINS(1, self->buf, 4 * PAGE);
	EXPECT_UNMAP(0, BASE, 4 * PAGE, 4 * PAGE);
}

TEST_F(compat, unmap_unaligned)
{
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + PAGE, PAGE));
	/* Around a mapping, but not through it */
	EXPECT_UNMAP(0, BASE + 1, PAGE - 1, 0);
	EXPECT_UNMAP(IS_V1 ? EINVAL : ENOENT, BASE + PAGE + 1, PAGE, PAGE);
	EXPECT_UNMAP(IS_V1 ? EINVAL : ENOENT, BASE, PAGE + 1, PAGE + 1);
	EXPECT_MAPPED(0, BASE + PAGE, self->buf, PAGE);
	EXPECT_UNMAP(0, BASE + 1, 2 * PAGE, PAGE);
}

/* Only whole mappings, and all or none of them */
TEST_F(type1v2, bisect)
{
	__u64 len = 4 * PAGE;

	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, len));
	ASSERT_EQ(0, dma_map(self->fd, self->buf + len, BASE + len, len));
	EXPECT_UNMAP(ENOENT, BASE, PAGE, PAGE);
	EXPECT_UNMAP(ENOENT, BASE + PAGE, PAGE, PAGE);
	EXPECT_UNMAP(ENOENT, BASE + 3 * PAGE, PAGE, PAGE);
	EXPECT_UNMAP(ENOENT, BASE, len - 1, len - 1);
	EXPECT_UNMAP(ENOENT, BASE, len + PAGE, len + PAGE);
	EXPECT_UNMAP(ENOENT, BASE + PAGE, 2 * len, 2 * len);
	EXPECT_UNMAP(ENOENT, BASE - PAGE, 2 * PAGE, 2 * PAGE);
	EXPECT_MAPPED(0, BASE, self->buf, 2 * len);
	EXPECT_PINS(1, self->buf, 2 * len);
	EXPECT_UNMAP(0, BASE, 2 * len, 2 * len);
}

/* What is left stays mapped and pinned as it was */
TEST_F(type1, bisect)
{
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, self->len));
	EXPECT_UNMAP(0, BASE, PAGE, PAGE);
	EXPECT_UNMAP(0, BASE + 15 * PAGE, PAGE, PAGE);
	EXPECT_UNMAP(0, BASE + 4 * PAGE, 2 * PAGE, 2 * PAGE);
	EXPECT_MAPPED(EINVAL, BASE, self->buf, PAGE);
	EXPECT_MAPPED(0, BASE + PAGE, self->buf + PAGE, 3 * PAGE);
	EXPECT_MAPPED(EINVAL, BASE + 4 * PAGE, self->buf + 4 * PAGE, PAGE);
	EXPECT_MAPPED(0, BASE + 6 * PAGE, self->buf + 6 * PAGE, 9 * PAGE);
	EXPECT_PINS(0, self->buf + 4 * PAGE, 2 * PAGE);
	EXPECT_PINS(1, self->buf + 6 * PAGE, 9 * PAGE);

	/* Over several, from the midst of one into the midst of another */
	EXPECT_UNMAP(0, BASE + 3 * PAGE, 5 * PAGE, 3 * PAGE);
	EXPECT_EQ(0, dma_map(self->fd, self->buf, BASE + 3 * PAGE, 5 * PAGE));
	EXPECT_PINS(2, self->buf + PAGE, 2 * PAGE);

	/* The native ioctl does not, but it accepts the pieces */
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE + 8 * PAGE,
				     PAGE, NULL));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + 3 * PAGE,
				5 * PAGE, NULL));
	EXPECT_UNMAP(0, 0, UINT64_MAX, 9 * PAGE);
	EXPECT_PINS(0, self->buf, self->len);
}

/* Page by page, in random order */
TEST_F(type1, random)
{
	unsigned int order[NR];
	__u64 seed = rnd_seed();
	__u64 state = seed;

	TH_LOG("TEST_SEED=%llu", (unsigned long long)seed);
	for (unsigned int i = 0; i < NR; i++)
		order[i] = i;
	for (unsigned int i = NR - 1; i; i--) {
		unsigned int j = rnd(&state) % (i + 1), tmp = order[i];

		order[i] = order[j];
		order[j] = tmp;
	}

	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, self->len));
	for (unsigned int i = 0; i < NR; i++) {
		EXPECT_UNMAP(0, BASE + order[i] * PAGE, PAGE, PAGE);
		for (unsigned int j = 0; j < NR; j++)
			EXPECT_MAPPED(j <= i ? EINVAL : 0,
				      BASE + order[j] * PAGE,
				      self->buf + order[j] * PAGE, PAGE);
	}
	EXPECT_UNMAP(0, BASE, self->len, 0);
}

TEST_F(type1, hugetlb)
{
	unsigned int nr, step = 32;
	__u8 *huge;

	huge = huge_size ? buf_alloc_hugetlb(huge_size) : NULL;
	if (!huge)
		SKIP(return, "no huge page: write to nr_hugepages");
	memset(huge, 1, huge_size);
	nr = huge_size / PAGE;
	ASSERT_EQ(0, dma_map(self->fd, huge, BASE, huge_size));
	EXPECT_MAPPED(0, BASE, huge, huge_size);
	for (unsigned int i = 0; i < nr; i += step) {
		EXPECT_UNMAP(0, BASE + (i + step / 2) * PAGE, PAGE, PAGE);
		EXPECT_MAPPED(0, BASE + i * PAGE, huge + i * PAGE,
			      step / 2 * PAGE);
		EXPECT_MAPPED(EINVAL, BASE + (i + step / 2) * PAGE,
			      huge + (i + step / 2) * PAGE, PAGE);
	}
	EXPECT_UNMAP(0, BASE, huge_size, (nr - nr / step) * PAGE);
	munmap(huge, huge_size);
}

/*
 * How many pages the IOPTE has that maps an IOVA of two huge pages at BASE, or 0.
 * A device that writes to it makes just these dirty.
 */
static unsigned int iopte_pages(int fd, __u32 hwpt, __u64 iova, __u64 *bitmap)
{
	size_t pages = 2 * MOCK_HUGE_PAGE_SIZE / PAGE;
	unsigned int found = 0;
	__u64 one = 1;

	memset(bitmap, 0, pages / 8);
	if (hwpt_set_dirty(fd, hwpt, true) ||
	    mock_dirty(fd, hwpt, iova, PAGE, PAGE, &one, NULL) ||
	    hwpt_get_dirty(fd, hwpt, 0, BASE, pages * PAGE, PAGE, bitmap) ||
	    hwpt_set_dirty(fd, hwpt, false))
		return 0;
	for (size_t i = 0; i < pages; i++)
		found += bit_get(bitmap, i);
	return found;
}

/* Two huge pages, mapped in a domain that has IOPTEs of this size and small ones */
FIXTURE(large)
{
	int fd;
	__u32 ioas, plain, hwpt;
	struct mock_dev dev;
	__u8 *buf;
	__u64 *bitmap;
	unsigned int nr;
};

FIXTURE_SETUP(large)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	self->nr = MOCK_HUGE_PAGE_SIZE / PAGE;
	self->buf = buf_alloc_hugetlb(2 * MOCK_HUGE_PAGE_SIZE);
	if (!self->buf)
		SKIP(return, "no huge pages: write to nr_hugepages");
	self->bitmap = calloc(2 * self->nr / 64, 8);
	ASSERT_NE(NULL, self->bitmap);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, vfio_ioas_set(self->fd, self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	/* One has pages of all sizes */
	self->plain = self->dev.hwpt;
	ASSERT_EQ(0, hwpt_alloc_huge(self->fd, self->dev.idev, self->ioas,
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				     &self->hwpt));
}

FIXTURE_TEARDOWN(large)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
	free(self->bitmap);
	if (self->buf)
		munmap(self->buf, 2 * MOCK_HUGE_PAGE_SIZE);
}

#define LARGE_MAP()                                                            \
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, 2 * MOCK_HUGE_PAGE_SIZE))
#define LARGE_IS(want, page, n)                                                \
	do {                                                                   \
		for (__u64 __i = page; __i < (page) + (n); __i++) {            \
			__u64 __o = __i * PAGE;                                \
			EXPECT_EQ(want, mock_check_map(self->fd, self->plain,  \
						       BASE + __o,             \
						       self->buf + __o, PAGE)) \
				TH_LOG("page %llu", (unsigned long long)__i);  \
			EXPECT_EQ(want, mock_check_map(self->fd, self->hwpt,   \
						       BASE + __o,             \
						       self->buf + __o, PAGE)) \
				TH_LOG("page %llu", (unsigned long long)__i);  \
		}                                                              \
	} while (0)
#define IOPTE_PAGES(page)                                                      \
	iopte_pages(self->fd, self->hwpt, BASE + (page) * PAGE, self->bitmap)

/* Type 1 does as type 1 v2, until something is cut; and then no more than that */
TEST_F(large, cut)
{
	unsigned int nr = self->nr;
	__u64 val;

	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	LARGE_MAP();
	EXPECT_EQ(nr, IOPTE_PAGES(0));
	EXPECT_EQ(nr, IOPTE_PAGES(nr));
	/* As ever */
	EXPECT_EQ(0, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				&val));
	EXPECT_EQ(0, val);

	/* Both ends in the same one */
	EXPECT_UNMAP(0, BASE + 5 * PAGE, 3 * PAGE, 3 * PAGE);
	LARGE_IS(0, 0, 5);
	LARGE_IS(EINVAL, 5, 3);
	LARGE_IS(0, 8, 2 * nr - 8);
	EXPECT_EQ(1, IOPTE_PAGES(0));
	EXPECT_EQ(1, IOPTE_PAGES(nr - 1));
	EXPECT_EQ(nr, IOPTE_PAGES(nr));
	EXPECT_EQ(2 * nr - 3, vm_pin(0));

	/* In one that was cut before, and in another one */
	EXPECT_UNMAP(0, BASE + (nr - 1) * PAGE, 2 * PAGE, 2 * PAGE);
	LARGE_IS(0, 8, nr - 9);
	LARGE_IS(EINVAL, nr - 1, 2);
	LARGE_IS(0, nr + 1, nr - 1);
	EXPECT_EQ(1, IOPTE_PAGES(nr + 1));
	EXPECT_UNMAP(0, 0, UINT64_MAX, (2 * nr - 5) * PAGE);
	LARGE_IS(EINVAL, 0, 2 * nr);

	/* Where nothing was unmapped before, it is as large again */
	LARGE_MAP();
	EXPECT_EQ(nr, IOPTE_PAGES(0));
}

/* Between two of them there is nothing to be cut */
TEST_F(large, cut_between)
{
	unsigned int nr = self->nr;

	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	LARGE_MAP();
	EXPECT_UNMAP(0, BASE, MOCK_HUGE_PAGE_SIZE, MOCK_HUGE_PAGE_SIZE);
	LARGE_IS(EINVAL, 0, nr);
	LARGE_IS(0, nr, nr);
	EXPECT_EQ(nr, IOPTE_PAGES(nr));
	EXPECT_EQ(nr, vm_pin(0));
}

/* Whoever forbade large ones has none, before the type is chosen or after */
TEST_F(large, forbidden)
{
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	LARGE_MAP();
	EXPECT_EQ(1, IOPTE_PAGES(0));
	EXPECT_UNMAP(0, BASE + PAGE, PAGE, PAGE);
	LARGE_IS(0, 0, 1);
	LARGE_IS(EINVAL, 1, 1);
	LARGE_IS(0, 2, 2 * self->nr - 2);
}

/* It counts for what is mapped then; what is large already can be cut still */
TEST_F(large, forbidden_later)
{
	unsigned int nr = self->nr;

	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, MOCK_HUGE_PAGE_SIZE));
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	ASSERT_EQ(0, dma_map(self->fd, self->buf + nr * PAGE,
			     BASE + nr * PAGE, MOCK_HUGE_PAGE_SIZE));
	EXPECT_EQ(nr, IOPTE_PAGES(0));
	EXPECT_EQ(1, IOPTE_PAGES(nr));
	EXPECT_UNMAP(0, BASE + PAGE, PAGE, PAGE);
	LARGE_IS(0, 0, 1);
	LARGE_IS(EINVAL, 1, 1);
	LARGE_IS(0, 2, 2 * nr - 2);
}

/* What is dirty is so after a cut */
TEST_F(large, dirty)
{
	__u64 all = 2 * MOCK_HUGE_PAGE_SIZE, one = 1;
	unsigned int nr = self->nr;

	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	LARGE_MAP();
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
	ASSERT_EQ(0, mock_dirty(self->fd, self->hwpt, BASE + nr / 2 * PAGE,
				PAGE, PAGE, &one, NULL));
	EXPECT_UNMAP(0, BASE + 5 * PAGE, 3 * PAGE, 3 * PAGE);
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE, all, PAGE,
				    self->bitmap));
	EXPECT_TRUE(bit_get(self->bitmap, 0));
	EXPECT_FALSE(bit_get(self->bitmap, 5));
	EXPECT_TRUE(bit_get(self->bitmap, nr / 2));
	EXPECT_TRUE(bit_get(self->bitmap, nr - 1));
	EXPECT_FALSE(bit_get(self->bitmap, nr));
	/* And clean once that was told; from now on by the page */
	memset(self->bitmap, 0, 2 * nr / 8);
	ASSERT_EQ(0, mock_dirty(self->fd, self->hwpt, BASE + 9 * PAGE, PAGE,
				PAGE, &one, NULL));
	ASSERT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, 0, BASE, all, PAGE,
				    self->bitmap));
	for (unsigned int i = 0; i < 2 * nr; i++)
		EXPECT_EQ(i == 9, bit_get(self->bitmap, i));
}

/* At any page, in a domain of all sizes */
TEST_F(large, random)
{
	__u64 seed = rnd_seed(), state = seed;
	unsigned int nr = 2 * self->nr, gone = 0;
	bool *is_gone = calloc(nr, 1);

	TH_LOG("TEST_SEED=%llu", (unsigned long long)seed);
	ASSERT_NE(NULL, is_gone);
	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	LARGE_MAP();
	for (unsigned int i = 0; i < 24; i++) {
		unsigned int page = rnd(&state) % nr;
		unsigned int n = 1 + rnd(&state) % (nr - page) % 64;
		unsigned int here = 0;

		for (unsigned int j = page; j < page + n; j++) {
			here += !is_gone[j];
			is_gone[j] = true;
		}
		gone += here;
		EXPECT_UNMAP(0, BASE + page * PAGE, n * PAGE, here * PAGE);
		EXPECT_EQ(nr - gone, vm_pin(0));
	}
	for (unsigned int i = 0; i < nr; i++)
		LARGE_IS(is_gone[i] ? EINVAL : 0, i, 1);
	free(is_gone);
}

struct cutter {
	int fd;
	__u32 hwpt[2];
	__u8 *buf;
	__u64 iova, state;
	unsigned int nr;
	int line;	/* where it went wrong, or 0 */
};

#define CUTTER_TRY(expr)                                                       \
	do {                                                                   \
		if (expr) {                                                    \
			c->line = __LINE__;                                    \
			return NULL;                                           \
		}                                                              \
	} while (0)

/* Maps, cuts in two places, and looks at what is left, all the time */
static void *cutter_run(void *arg)
{
	struct cutter *c = arg;
	__u64 size;

	for (unsigned int round = 0; round < 40; round++) {
		unsigned int page = 1 + rnd(&c->state) % (c->nr - 2);
		unsigned int n = 1 + rnd(&c->state) % (c->nr - page - 1);
		__u64 start = page * PAGE, end = (page + n) * PAGE;

		CUTTER_TRY(dma_map(c->fd, c->buf, c->iova, c->nr * PAGE));
		CUTTER_TRY(dma_unmap(c->fd, c->iova + start, end - start,
				     &size));
		CUTTER_TRY(size != end - start);
		for (unsigned int i = 0; i < 2; i++) {
			CUTTER_TRY(mock_check_map(c->fd, c->hwpt[i], c->iova,
						  c->buf, start));
			CUTTER_TRY(mock_check_map(c->fd, c->hwpt[i],
						  c->iova + end, c->buf + end,
						  c->nr * PAGE - end));
		}
		CUTTER_TRY(dma_unmap(c->fd, c->iova, c->nr * PAGE, &size));
		CUTTER_TRY(size != c->nr * PAGE - (end - start));
	}
	return NULL;
}

/* Two at a time, with neighbours in the same table */
TEST_F(large, threads)
{
	__u64 seed = rnd_seed();
	struct cutter cutters[2];
	pthread_t threads[2];

	TH_LOG("TEST_SEED=%llu", (unsigned long long)seed);
	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	for (unsigned int i = 0; i < 2; i++) {
		cutters[i] = (struct cutter){
			.fd = self->fd,
			.hwpt = { self->plain, self->hwpt },
			.buf = self->buf + i * self->nr * PAGE,
			.iova = BASE + i * self->nr * PAGE,
			.state = seed + i ?: 1,
			.nr = self->nr,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, cutter_run,
					    &cutters[i]));
	}
	for (unsigned int i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, cutters[i].line);
	}
	EXPECT_EQ(0, vm_pin(0));
}

/* Nothing is cut for an unmap that something else refuses */
TEST_F(compat, v1_refused)
{
	__u32 parent, viommu, queue;
	struct mock_dev dev;

	if (!IS_V1 || !variant->domains)
		return;
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, viommu_alloc(self->fd, dev.idev, parent,
				  IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0,
				  &viommu));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, 4 * PAGE));
	ASSERT_EQ(0, dma_map(self->fd, self->buf + 4 * PAGE, BASE + 4 * PAGE,
			     4 * PAGE));
	ASSERT_EQ(0, dma_map(self->fd, self->buf + 8 * PAGE, BASE + 8 * PAGE,
			     4 * PAGE));
	ASSERT_EQ(0, hw_queue_alloc(self->fd, viommu,
				    IOMMU_HW_QUEUE_TYPE_SELFTEST, 0,
				    BASE + 4 * PAGE, PAGE, &queue));
	EXPECT_UNMAP(EBUSY, BASE + 2 * PAGE, 6 * PAGE, 6 * PAGE);
	EXPECT_UNMAP(EBUSY, BASE + 2 * PAGE, 8 * PAGE, 8 * PAGE);
	EXPECT_UNMAP(EBUSY, BASE + 5 * PAGE, PAGE, PAGE);
	EXPECT_EQ(UINT32_MAX - 3, dma_avail(self->fd));
	EXPECT_MAPPED(0, BASE, self->buf, 12 * PAGE);
	ASSERT_EQ(0, iommu_destroy(self->fd, queue));
	EXPECT_UNMAP(0, BASE + 2 * PAGE, 8 * PAGE, 8 * PAGE);
	EXPECT_EQ(UINT32_MAX - 2, dma_avail(self->fd));
	EXPECT_UNMAP(0, BASE, 12 * PAGE, 4 * PAGE);
}

/* Splitting goes with small pages, not with the type */
TEST_F(compat, huge_pages_option)
{
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, 4 * PAGE));
	EXPECT_UNMAP(0, BASE + PAGE, PAGE, PAGE);
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				1));
	EXPECT_UNMAP(ENOENT, BASE + 2 * PAGE, PAGE, PAGE);
	EXPECT_UNMAP(0, BASE, 4 * PAGE, 3 * PAGE);
}

/* Version 1 has no dirty log, whatever the argument */
TEST_F(compat, v1_dirty)
{
	__u64 size = PAGE, bits = 0;

	EXPECT_EQ(IS_V1 ? EACCES : EFAULT,
		  vfio_cmd(self->fd, VFIO_IOMMU_DIRTY_PAGES, NULL));
	EXPECT_EQ(IS_V1 ? EACCES : 0, dirty_start(self->fd));
	EXPECT_EQ(IS_V1 ? EACCES : 0, dirty_stop(self->fd));
	EXPECT_EQ(EINVAL, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
					  &bits));
}

/* Nor does version 1 keep the one of version 2, which it could not stop */
TEST_F(compat, v1_after_v2_dirty)
{
	__u64 size = PAGE, bits = 0;

	if (IS_V1)
		return;
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, PAGE));
	ASSERT_EQ(0, dirty_start(self->fd));
	if (variant->domains) {
		/* Too late for another type */
		EXPECT_EQ(EINVAL, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
		EXPECT_EQ(0, dirty_get(self->fd, BASE, PAGE, &bits));
		return;
	}
	EXPECT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(EACCES, dirty_stop(self->fd));
	EXPECT_EQ(EACCES, dirty_start(self->fd));
	EXPECT_EQ(EACCES, dirty_get(self->fd, BASE, PAGE, &bits));
	/* This says whether the log runs */
	EXPECT_EQ(EINVAL, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
					  &bits));
	EXPECT_UNMAP(0, BASE, PAGE, PAGE);
}

/*
 * Emulated devices
 */

TEST_F(compat, pinned)
{
	__u32 item;
	int file;

	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &file));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, 4 * PAGE));
	ASSERT_EQ(0, access_pin(self->fd, file, BASE + PAGE, PAGE,
				self->buf + PAGE, 0, &item));
	/* No cut through a mapping that is pinned anywhere */
	EXPECT_UNMAP(IS_V1 ? EINVAL : ENOENT, BASE + 2 * PAGE, PAGE, PAGE);
	EXPECT_MAPPED(0, BASE, self->buf, 4 * PAGE);
	/* Of all of it, the access is told */
	EXPECT_UNMAP(0, BASE, 4 * PAGE, 4 * PAGE);
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf, 4 * PAGE, 0));
	EXPECT_EQ(0, close(file));
}

#ifdef __x86_64__
/*
 * A 32-bit program. Its structures are as they are here, but for what it is not
 * told of: the bitmap of the dirty log, which it has a shorter pointer to, and the
 * migration capability, where nothing is aligned to 8.
 */

typedef __u64 u64_of_32 __attribute__((aligned(4)));

struct migration_of_32 {
	struct vfio_info_cap_header header;
	__u32 flags;
	u64_of_32 pgsize_bitmap;
	u64_of_32 max_dirty_bitmap_size;
};

struct map_of_32 {
	__u32 argsz, flags;
	u64_of_32 vaddr, iova, size;
};

struct unmap_of_32 {
	__u32 argsz, flags;
	u64_of_32 iova, size;
};

struct info_of_32 {
	__u32 argsz, flags;
	u64_of_32 iova_pgsizes;
	__u32 cap_offset, pad;
};

struct ranges_of_32 {
	struct vfio_info_cap_header header;
	__u32 nr_iovas, reserved;
	struct {
		u64_of_32 start, end;
	} iova_ranges[];
};

#define SAME_LAYOUT(a, b, last)                                              \
	static_assert(sizeof(struct a) == sizeof(struct b) &&                \
		      offsetof(struct a, last) == offsetof(struct b, last), #a)

SAME_LAYOUT(map_of_32, vfio_iommu_type1_dma_map, size);
SAME_LAYOUT(unmap_of_32, vfio_iommu_type1_dma_unmap, size);
SAME_LAYOUT(info_of_32, vfio_iommu_type1_info, cap_offset);
SAME_LAYOUT(ranges_of_32, vfio_iommu_type1_info_cap_iova_range, iova_ranges);
static_assert(sizeof(*((struct ranges_of_32 *)0)->iova_ranges) ==
	      sizeof(struct vfio_iova_range), "ranges");
static_assert(sizeof(struct migration_of_32) !=
	      sizeof(struct vfio_iommu_type1_info_cap_migration), "same now");

/* The result, or a negative errno */
static int ioctl32(int fd, unsigned int cmd, unsigned long arg)
{
	long rc;

	asm volatile("int $0x80"
		     : "=a"(rc)
		     : "0"(54L), "b"((long)fd), "c"((long)cmd), "d"(arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)rc;
}

/* Without CONFIG_IA32_EMULATION that is a fault */
static bool has_ioctl32(void)
{
	int status = 1;
	pid_t pid;

	pid = fork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		ioctl32(-1, 0, 0);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static int dma_unmap32(int fd, struct vfio_iommu_type1_dma_unmap *unmap,
		       __u32 argsz, __u64 iova, __u64 size, __u32 flags)
{
	*unmap = (struct vfio_iommu_type1_dma_unmap){
		.argsz = argsz,
		.flags = flags,
		.iova = iova,
		.size = size,
	};
	return ioctl32(fd, VFIO_IOMMU_UNMAP_DMA, (uintptr_t)unmap);
}

TEST_F(compat, caller_of_32_bits)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_dma_unmap *unmap;
	struct vfio_iommu_type1_dma_map *map;
	struct vfio_iommu_type1_info *info;
	void *low;

	if (!has_ioctl32())
		SKIP(return, "kernel without CONFIG_IA32_EMULATION");
	low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, low);
	info = low;
	map = low;
	unmap = low;

	EXPECT_EQ(VFIO_API_VERSION,
		  ioctl32(self->fd, VFIO_GET_API_VERSION, 0));
	EXPECT_EQ(1, ioctl32(self->fd, VFIO_CHECK_EXTENSION,
			     VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, ioctl32(self->fd, VFIO_SET_IOMMU, variant->type));
	EXPECT_EQ(-EINVAL, ioctl32(self->fd, VFIO_SET_IOMMU,
				   VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(-EFAULT, ioctl32(self->fd, VFIO_IOMMU_MAP_DMA, 0));

	*map = (struct vfio_iommu_type1_dma_map){
		.argsz = sizeof(*map),
		.flags = DMA_RW,
		.vaddr = (uintptr_t)self->buf,
		.iova = BASE,
		.size = 4 * PAGE,
	};
	ASSERT_EQ(0, ioctl32(self->fd, VFIO_IOMMU_MAP_DMA, (uintptr_t)map));
	EXPECT_EQ(-EEXIST, ioctl32(self->fd, VFIO_IOMMU_MAP_DMA,
				   (uintptr_t)map));
	EXPECT_MAPPED(0, BASE, self->buf, 4 * PAGE);
	EXPECT_PINS(1, self->buf, 4 * PAGE);

	/* The chain begins with what it can read */
	*info = (struct vfio_iommu_type1_info){ .argsz = PAGE };
	ASSERT_EQ(0, ioctl32(self->fd, VFIO_IOMMU_GET_INFO, (uintptr_t)info));
	EXPECT_LE(INFO_SIZE, info->cap_offset);
	EXPECT_EQ(NULL, info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION));
	EXPECT_NE(NULL, info_cap(info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL));
	ranges = info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	ASSERT_NE(NULL, ranges);
	EXPECT_EQ(1, ranges->nr_iovas);
	EXPECT_EQ(variant->domains ? TOP : ULONG_MAX - PAGE,
		  ranges->iova_ranges[0].end);

	/* Nothing comes of what it would mean something else with */
	memset(low, 0, PAGE);
	*(__u32 *)low = 64;
	((__u32 *)low)[1] = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	EXPECT_EQ(-ENOTTY, ioctl32(self->fd, VFIO_IOMMU_DIRTY_PAGES,
				   (uintptr_t)low));
	EXPECT_EQ(-EINVAL,
		  dma_unmap32(self->fd, unmap, 64, BASE, 4 * PAGE,
			      VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP));

	EXPECT_EQ(IS_V1 ? 0 : -ENOENT,
		  dma_unmap32(self->fd, unmap, sizeof(*unmap), BASE, PAGE, 0));
	EXPECT_EQ(0, dma_unmap32(self->fd, unmap, sizeof(*unmap), 0, 0,
				 DMA_ALL));
	EXPECT_EQ((IS_V1 ? 3 : 4) * PAGE, unmap->size);
	EXPECT_PINS(0, self->buf, 4 * PAGE);
	munmap(low, PAGE);
}
#endif

/*
 * The dirty log
 */

FIXTURE(dirty)
{
	int fd;
	__u32 ioas;
	__u32 auto_hwpt;
	__u32 hwpt;
	__u8 *buf;
	size_t len;
	struct mock_dev dev;
};

FIXTURE_VARIANT(dirty)
{
	bool tracked;	/* a domain that can */
	bool automatic;	/* and that was made for an attach */
	bool plain;	/* a domain that cannot */
};

FIXTURE_VARIANT_ADD(dirty, no_domain) {};
FIXTURE_VARIANT_ADD(dirty, tracked) { .tracked = true };
FIXTURE_VARIANT_ADD(dirty, automatic) { .tracked = true, .automatic = true };
FIXTURE_VARIANT_ADD(dirty, plain) { .plain = true };
FIXTURE_VARIANT_ADD(dirty, mixed) { .tracked = true, .plain = true };

FIXTURE_SETUP(dirty)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, vfio_ioas_set(self->fd, self->ioas));
	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	if (variant->plain)
		/* One that cannot, even if automatic domains do */
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas,
					 MOCK_FLAGS_DEVICE_NO_DIRTY,
					 &self->dev));
	if (variant->automatic) {
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
		self->hwpt = self->dev.hwpt;
	} else if (variant->tracked) {
		struct mock_dev dev;
		__u32 pt, other;

		/* By way of an IOAS of its own, to have a device to ask for */
		ASSERT_EQ(0, ioas_alloc(self->fd, &other));
		ASSERT_EQ(0, mock_attach(self->fd, other, 0, &dev));
		ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
					IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					&self->hwpt));
		pt = self->hwpt;
		ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &pt));
	}
	self->len = NR * PAGE;
	/* A bit for each page, as no IOPTE can map two of them */
	self->buf = buf_alloc_scattered(self->len);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE, 8 * PAGE));
}

FIXTURE_TEARDOWN(dirty)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, check_unpinned(self->buf, self->len));
}

/* What the log says of 64 pages; @plain instead where a domain cannot tell */
#define EXPECT_DIRTY(want, plain_want)                                         \
	do {                                                                   \
		__u64 __bits = 0;                                              \
		EXPECT_EQ(0, dirty_get(self->fd, BASE, 64 * PAGE, &__bits));   \
		EXPECT_EQ(variant->plain ? (plain_want) : (want), __bits);     \
	} while (0)

/* The device writes to pages from BASE on */
#define WRITE_PAGES(bits)                                                      \
	do {                                                                   \
		__u64 __bits = (bits);                                         \
		if (variant->tracked)                                          \
			ASSERT_EQ(0, mock_dirty(self->fd, self->hwpt, BASE,    \
						64 * PAGE, PAGE, &__bits,      \
						NULL));                        \
	} while (0)

#define TRACKED(bits) (variant->tracked ? (bits) : 0)

TEST_F(dirty, errno_order)
{
	const __u64 all = UINT64_MAX, top = all - PAGE + 1;
	__u64 bits = 0x5a;
	const struct {
		__u32 argsz;
		__u64 iova, size, pgsize, bitmap_size;
		void *bitmap;
		int rc;
	} t[] = {
		{ 47, top, 2 * PAGE, 0, 0, NULL, EINVAL },
		{ 48, top, 2 * PAGE, 0, 0, NULL, EOVERFLOW },
		{ 48, all, 2, 0, 0, NULL, EOVERFLOW },
		{ 48, BASE, 0, PAGE, 8, &bits, EINVAL },
		{ 48, BASE, PAGE, PAGE, 8, (void *)(uintptr_t)(1ULL << 63),
		  EINVAL },
		{ 48, BASE, PAGE, PAGE, 0, &bits, EINVAL },
		{ 48, BASE, PAGE, PAGE, 7, &bits, EINVAL },
		{ 48, BASE, 65 * PAGE, PAGE, 15, &bits, EINVAL },
		{ 48, BASE, PAGE, PAGE, (1 << 28) + 8, &bits, EINVAL },
		{ 48, BASE, PAGE, 0, 8, &bits, EINVAL },
		{ 48, BASE, PAGE, 2 * PAGE, 8, &bits, EINVAL },
		{ 48, BASE, PAGE, MOCK_PAGE_SIZE, 8, &bits, EINVAL },
		{ 48, BASE + 1, PAGE, PAGE, 8, &bits, EINVAL },
		{ 48, BASE, PAGE + 1, PAGE, 8, &bits, EINVAL },
		/* Through a mapping */
		{ 48, BASE, PAGE, PAGE, 8, &bits, EINVAL },
		{ 48, BASE + 7 * PAGE, PAGE, PAGE, 8, &bits, EINVAL },
		{ 48, BASE + 7 * PAGE, 2 * PAGE, PAGE, 8, &bits, EINVAL },
	};

	/* Not started */
	EXPECT_EQ(0, dirty_stop(self->fd));
	EXPECT_EQ(EINVAL, dirty_get(self->fd, BASE, 8 * PAGE, &bits));
	EXPECT_EQ(0, dirty_start(self->fd));
	EXPECT_EQ(0, dirty_start(self->fd));
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		EXPECT_EQ(t[i].rc, dirty_get_arg(self->fd, t[i].argsz,
						 t[i].iova, t[i].size,
						 t[i].pgsize, t[i].bitmap_size,
						 t[i].bitmap))
			TH_LOG("entry %u", i);
	}
	EXPECT_EQ(0x5a, bits);
	EXPECT_EQ(0, dirty_stop(self->fd));
	EXPECT_EQ(EINVAL, dirty_get(self->fd, BASE, 8 * PAGE, &bits));
	EXPECT_EQ(0x5a, bits);
}

TEST_F(dirty, device_writes)
{
	__u64 bits = 1ULL << 63;

	/* Before the start does not count, and not after the stop */
	ASSERT_EQ(0, dirty_start(self->fd));
	EXPECT_DIRTY(0, 0xff);
	WRITE_PAGES(0x81);
	ASSERT_EQ(0, dirty_start(self->fd));
	EXPECT_DIRTY(TRACKED(0x81), 0xff);
	EXPECT_DIRTY(0, 0xff);

	/* Bits are added to what is there, relative to the range */
	WRITE_PAGES(0x04);
	EXPECT_EQ(0, dirty_get(self->fd, BASE, 9 * PAGE, &bits));
	EXPECT_EQ(1ULL << 63 | (variant->plain ? 0xff : TRACKED(0x04)), bits);

	WRITE_PAGES(0x20);
	ASSERT_EQ(0, dirty_stop(self->fd));
	ASSERT_EQ(0, dirty_start(self->fd));
	EXPECT_DIRTY(0, 0xff);
}

TEST_F(dirty, areas)
{
	/* Mapped later, behind a hole, and where nobody can write */
	ASSERT_EQ(0, dirty_start(self->fd));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 16 * PAGE, 4 * PAGE));
	ASSERT_EQ(0, dma_map_flags(self->fd, (uintptr_t)self->buf,
				   BASE + 24 * PAGE, 4 * PAGE, DMA_R));
	EXPECT_DIRTY(0, 0xf00ff);
	WRITE_PAGES(0x20001);
	EXPECT_DIRTY(TRACKED(0x20001), 0xf00ff);
	EXPECT_DIRTY(0, 0xf00ff);
	/* Only what is asked for becomes clean */
	WRITE_PAGES(0x20001);
	if (!variant->plain) {
		__u64 bits = 0;

		EXPECT_EQ(0, dirty_get(self->fd, BASE + 12 * PAGE, 8 * PAGE,
				       &bits));
		EXPECT_EQ(TRACKED(0x20), bits);
	}
	EXPECT_DIRTY(TRACKED(1), 0xf00ff);
}

/* A device that comes and goes while the log runs */
TEST_F(dirty, domains_change)
{
	struct mock_dev dev;

	ASSERT_EQ(0, dirty_start(self->fd));
	EXPECT_DIRTY(0, 0xff);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas,
				 MOCK_FLAGS_DEVICE_NO_DIRTY, &dev));
	EXPECT_DIRTY(0xff, 0xff);
	EXPECT_DIRTY(0xff, 0xff);
	ASSERT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	/* It may have written until it went */
	EXPECT_DIRTY(0xff, 0xff);
	EXPECT_DIRTY(0, 0xff);
}

TEST_F(dirty, bad_bitmap)
{
	__u8 *end = guarded_end();

	ASSERT_NE(NULL, end);
	ASSERT_EQ(0, dirty_start(self->fd));
	WRITE_PAGES(0x10);
	EXPECT_EQ(EFAULT, dirty_get(self->fd, BASE, 64 * PAGE, end));
	EXPECT_EQ(EFAULT, dirty_get(self->fd, BASE, 64 * PAGE, end - 7));
	EXPECT_EQ(EFAULT, dirty_get(self->fd, BASE, 64 * PAGE, NULL));
	/* Nothing was lost, there may be more */
	for (int i = 0; i < 2; i++) {
		__u64 bits = 0, want = TRACKED(0x10);

		EXPECT_EQ(0, dirty_get(self->fd, BASE, 64 * PAGE, &bits));
		if (variant->plain)
			want = 0xff;
		EXPECT_EQ(want, i ? bits : bits & want);
		WRITE_PAGES(0x10);
	}
}

TEST_F(dirty, unmap)
{
	struct vfio_iommu_type1_dma_unmap *cut = guarded_end();
	const __u64 all = UINT64_MAX, top = all - PAGE + 1;
	__u64 size, bits = 0;
	const struct {
		__u32 argsz;
		__u64 iova, size, pgsize, bitmap_size;
		int rc;
	} t[] = {
		{ 47, top, 2 * PAGE, 0, 0, EINVAL },
		{ 48, top, 2 * PAGE, 0, 0, EOVERFLOW },
		{ 48, BASE, 0, PAGE, 8, EINVAL },
		{ 48, BASE, 8 * PAGE, PAGE, 7, EINVAL },
		{ 48, BASE, 8 * PAGE, PAGE / 2, 8, EINVAL },
		{ 48, BASE + 1, PAGE, PAGE, 8, EINVAL },
		{ 48, BASE, PAGE, PAGE, 8, ENOENT },
		{ 48, BASE + PAGE, 8 * PAGE, PAGE, 8, ENOENT },
	};

	ASSERT_NE(NULL, cut);
	cut--;
	size = 8 * PAGE;
	EXPECT_EQ(EINVAL, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
					  &bits));
	ASSERT_EQ(0, dirty_start(self->fd));
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		size = t[i].size;
		EXPECT_EQ(t[i].rc, dma_unmap_dirty(self->fd, t[i].argsz,
						   t[i].iova, &size,
						   t[i].pgsize,
						   t[i].bitmap_size, &bits))
			TH_LOG("entry %u", i);
		EXPECT_EQ(t[i].size, size);
	}
	EXPECT_EQ(EINVAL, dma_unmap_flags(self->fd, 0, 0, DMA_ALL |
					  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
					  NULL));
	/* What follows the structure is not there */
	*cut = (struct vfio_iommu_type1_dma_unmap){
		.argsz = 48,
		.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		.iova = BASE,
		.size = 8 * PAGE,
	};
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, VFIO_IOMMU_UNMAP_DMA, cut));
	WRITE_PAGES(0x42);
	size = 8 * PAGE;
	EXPECT_EQ(EFAULT, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
					  NULL));
	EXPECT_EQ(0, bits);

	/* One bit is of the page in front of the mapping */
	size = 16 * PAGE;
	EXPECT_EQ(0, dma_unmap_dirty(self->fd, 48, BASE - PAGE, &size, PAGE, 8,
				     &bits));
	EXPECT_EQ(8 * PAGE, size);
	EXPECT_EQ(variant->plain ? 0x1fe : TRACKED(0x84), bits);
	EXPECT_DIRTY(0, 0);

	/* Nothing there */
	bits = 0;
	size = 8 * PAGE;
	EXPECT_EQ(0, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
				     &bits));
	EXPECT_EQ(0, size);
	EXPECT_EQ(0, bits);
}

TEST_F(dirty, access)
{
	__u32 item, item2;
	__u8 byte = 1;
	int file;

	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &file));
	ASSERT_EQ(0, dirty_start(self->fd));
	/* Pinned is dirty, always and once more */
	ASSERT_EQ(0, access_pin(self->fd, file, BASE + PAGE, 2 * PAGE,
				self->buf + PAGE, 0, &item));
	ASSERT_EQ(0, access_pin(self->fd, file, BASE + 5 * PAGE, PAGE,
				self->buf + 5 * PAGE, MOCK_FLAGS_ACCESS_WRITE,
				&item2));
	EXPECT_DIRTY(0x26, 0xff);
	EXPECT_DIRTY(0x26, 0xff);
	ASSERT_EQ(0, access_unpin(self->fd, file, item));
	EXPECT_DIRTY(0x26, 0xff);
	EXPECT_DIRTY(0x20, 0xff);
	ASSERT_EQ(0, access_unpin(self->fd, file, item2));
	EXPECT_DIRTY(0x20, 0xff);
	EXPECT_DIRTY(0, 0xff);

	/* Written to is dirty once, read is not */
	ASSERT_EQ(0, access_rw(self->fd, file, BASE + 3 * PAGE, &byte, 1, 0));
	EXPECT_DIRTY(0, 0xff);
	ASSERT_EQ(0, access_rw(self->fd, file, BASE + 3 * PAGE, &byte, 1,
			       MOCK_ACCESS_RW_WRITE));
	EXPECT_DIRTY(0x08, 0xff);
	EXPECT_DIRTY(0, 0xff);
	EXPECT_EQ(0, close(file));
}

/* A mapping that begins inside of what another one has */
TEST_F(dirty, access_to_a_copy)
{
	__u64 iova = BASE + 16 * PAGE;
	__u32 item;
	int file;

	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas, self->ioas,
			       BASE + 2 * PAGE, 4 * PAGE, MAP_FIX_RW, &iova));
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &file));
	ASSERT_EQ(0, dirty_start(self->fd));
	ASSERT_EQ(0, access_pin(self->fd, file, iova + PAGE, PAGE,
				self->buf + 3 * PAGE, MOCK_FLAGS_ACCESS_WRITE,
				&item));
	EXPECT_DIRTY(0x20000, 0xf00ff);
	ASSERT_EQ(0, access_unpin(self->fd, file, item));
	EXPECT_DIRTY(0x20000, 0xf00ff);
	EXPECT_DIRTY(0, 0xf00ff);
	EXPECT_EQ(0, close(file));
}

/* A call that cannot succeed takes no pin from an access */
TEST_F(dirty, refused_unmap_keeps_pins)
{
	__u8 *end = guarded_end();
	__u64 bits = 0, size;
	__u32 item;
	int file;

	ASSERT_NE(NULL, end);
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &file));
	ASSERT_EQ(0, access_pin(self->fd, file, BASE, PAGE, self->buf, 0,
				&item));
	/* No log, bad memory, part of a mapping */
	size = 8 * PAGE;
	EXPECT_EQ(EINVAL, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
					  &bits));
	ASSERT_EQ(0, dirty_start(self->fd));
	EXPECT_EQ(EFAULT, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
					  NULL));
	EXPECT_EQ(EFAULT, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
					  end));
	size = 4 * PAGE;
	EXPECT_EQ(ENOENT, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
					  &bits));
	EXPECT_DIRTY(1, 0xff);
	EXPECT_EQ(0, access_unpin(self->fd, file, item));

	/* One that succeeds does, and what was pinned is in the bitmap */
	ASSERT_EQ(0, access_pin(self->fd, file, BASE + PAGE, PAGE, self->buf,
				0, &item));
	size = 8 * PAGE;
	EXPECT_EQ(0, dma_unmap_dirty(self->fd, 48, BASE, &size, PAGE, 8,
				     &bits));
	EXPECT_EQ(variant->plain ? 0xff : 3, bits);
	EXPECT_EQ(ENOENT, access_unpin(self->fd, file, item));
	EXPECT_EQ(0, close(file));
}

/* What was written by way of a mapping is forgotten with it */
TEST_F(dirty, unmap_forgets_writes)
{
	__u8 byte = 1;
	int file;

	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &file));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 8 * PAGE, PAGE));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 9 * PAGE, PAGE));
	ASSERT_EQ(0, dirty_start(self->fd));
	for (int i = 7; i < 10; i++)
		ASSERT_EQ(0, access_rw(self->fd, file, BASE + i * PAGE, &byte,
				       1, MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(0, dma_unmap(self->fd, BASE + 8 * PAGE, PAGE, NULL));
	ASSERT_EQ(0, dma_map(self->fd, self->buf, BASE + 8 * PAGE, PAGE));
	EXPECT_DIRTY(0x280, 0x3ff);
	EXPECT_DIRTY(0, 0x3ff);
	EXPECT_EQ(0, close(file));
}

/* A page that two mappings share is dirty as long as one of them is there */
TEST_F(dirty, unmap_half_a_page)
{
	const __u64 half = MOCK_PAGE_SIZE, iova = BASE + 16 * PAGE;
	__u8 byte = 1;
	int file;

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->buf + i * half, half,
					 iova + i * half));
	ASSERT_EQ(0, access_create(self->fd, self->ioas, 0, &file));
	ASSERT_EQ(0, dirty_start(self->fd));
	ASSERT_EQ(0, access_rw(self->fd, file, iova, &byte, 1,
			       MOCK_ACCESS_RW_WRITE));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, iova, half, NULL));
	EXPECT_DIRTY(0x10000, 0x100ff);
	EXPECT_DIRTY(0, 0x100ff);
	EXPECT_EQ(0, close(file));
}

/* What user space tracks by itself, of one domain */
#define HWPT_DIRTY(page, n, flags)                                             \
	({                                                                     \
		__u64 __bits = 0;                                              \
		EXPECT_EQ(0, hwpt_get_dirty(self->fd, self->hwpt, flags,       \
					    BASE + (page) * PAGE, (n) * PAGE,  \
					    PAGE, &__bits));                   \
		__bits;                                                        \
	})
#define NO_CLEAR IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR

/* Neither of the two takes anything from the other */
TEST_F(dirty, hwpt_ioctls)
{
	__u64 bits;

	if (!variant->tracked)
		return;
	/* The log runs alone */
	ASSERT_EQ(0, dirty_start(self->fd));
	WRITE_PAGES(0x10);
	EXPECT_EQ(0x10, HWPT_DIRTY(0, 64, 0));
	EXPECT_DIRTY(0x10, 0xff);
	EXPECT_DIRTY(0, 0xff);

	/* The HWPT's starts clean */
	WRITE_PAGES(0x20);
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
	EXPECT_EQ(0, HWPT_DIRTY(0, 64, 0));
	EXPECT_DIRTY(0x20, 0xff);
	EXPECT_DIRTY(0, 0xff);

	/* Both: either may be first */
	WRITE_PAGES(0x04);
	EXPECT_DIRTY(0x04, 0xff);
	EXPECT_DIRTY(0, 0xff);
	EXPECT_EQ(0x04, HWPT_DIRTY(0, 64, NO_CLEAR));
	EXPECT_EQ(0x04, HWPT_DIRTY(0, 64, 0));
	EXPECT_EQ(0, HWPT_DIRTY(0, 64, 0));
	WRITE_PAGES(0x08);
	EXPECT_EQ(0x08, HWPT_DIRTY(0, 64, NO_CLEAR));
	EXPECT_EQ(0x08, HWPT_DIRTY(0, 64, 0));
	EXPECT_EQ(0, HWPT_DIRTY(0, 64, 0));
	EXPECT_DIRTY(0x08, 0xff);
	EXPECT_DIRTY(0, 0xff);

	/* In parts, what lies between two dirty pages may be reported, too */
	WRITE_PAGES(0x42);
	EXPECT_DIRTY(0x42, 0xff);
	bits = HWPT_DIRTY(0, 3, 0);
	EXPECT_EQ(0x02, bits & ~0x04);
	bits = HWPT_DIRTY(3, 5, 0) << 3;
	EXPECT_EQ(0x40, bits & ~0x38);
	EXPECT_EQ(0, HWPT_DIRTY(0, 64, 0));
	EXPECT_DIRTY(0, 0xff);

	/* From the middle on both sides, too */
	WRITE_PAGES(0x81);
	EXPECT_DIRTY(0x81, 0xff);
	HWPT_DIRTY(3, 2, 0);
	bits = HWPT_DIRTY(0, 64, 0);
	EXPECT_EQ(0x81, bits & ~0x7e);
	EXPECT_EQ(0, HWPT_DIRTY(0, 64, 0));

	/* Two that were missed one after the other; the end is asked for first */
	WRITE_PAGES(0x02);
	EXPECT_DIRTY(0x02, 0xff);
	WRITE_PAGES(0x40);
	EXPECT_DIRTY(0x40, 0xff);
	bits = HWPT_DIRTY(3, 5, 0) << 3;
	EXPECT_EQ(0x40, bits & ~0x38);
	bits = HWPT_DIRTY(0, 64, 0);
	EXPECT_EQ(0x02, bits & ~0x04);
	EXPECT_EQ(0, HWPT_DIRTY(0, 64, 0));

	/* The domain tracks until neither wants it */
	ASSERT_EQ(0, dirty_stop(self->fd));
	WRITE_PAGES(0x01);
	EXPECT_EQ(0x01, HWPT_DIRTY(0, 64, 0));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, false));
}

/* A dma-buf is no memory to migrate, but the HWPT tracks what it maps */
TEST_F(dirty, dmabuf)
{
	__u64 iova = BASE + 16 * PAGE;
	int dmabuf;

	if (!variant->tracked)
		return;
	dmabuf = mock_dmabuf_get(self->fd, PAGE);
	ASSERT_LT(0, dmabuf);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, dmabuf, 0, PAGE,
				   MAP_FIX_RW, &iova));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, self->hwpt, true));
	ASSERT_EQ(0, dirty_start(self->fd));
	WRITE_PAGES(0x10001);
	EXPECT_DIRTY(1, 0xff);
	EXPECT_DIRTY(0, 0xff);
	EXPECT_EQ(0x10001, HWPT_DIRTY(0, 64, 0));
	EXPECT_EQ(0, HWPT_DIRTY(0, 64, 0));
	close(dmabuf);
}

static __u64 count_bits(const __u64 *bitmap, size_t words)
{
	__u64 n = 0;

	for (size_t i = 0; i < words; i++)
		n += __builtin_popcountll(bitmap[i]);
	return n;
}

/* A mapping so large that the log is read in several goes */
TEST_F(dirty, large)
{
	const __u64 pages = 10 << 20, len = pages * PAGE;
	/* Goes meet at multiples of 8 Mi pages, here at 3 and that */
	const __u64 iova = (1ULL << 40) - 3 * PAGE, half = (8 << 20) + 3;
	const __u64 dirty[] = { 0, 2, 3, 4, half - 1, half, pages - 1 };
	const size_t words = pages / 64, bytes = words * 8;
	__u64 *bitmap, size = len;
	__u8 *va, byte = 1;
	__u32 item;
	int file;

	if (variant->tracked || variant->plain)
		return;
	va = mmap(NULL, len, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, va);
	bitmap = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, bitmap);
	ASSERT_EQ(0, dma_map(self->fd, va, iova, len));
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &file));
	ASSERT_EQ(0, dirty_start(self->fd));
#define GET_LARGE() \
	dirty_get_arg(self->fd, 48, iova, len, PAGE, bytes, bitmap)
	for (unsigned int i = 0; i < ARRAY_LEN(dirty); i++)
		ASSERT_EQ(0, access_rw(self->fd, file, iova + dirty[i] * PAGE,
				       &byte, 1, MOCK_ACCESS_RW_WRITE));
	ASSERT_EQ(0, access_pin(self->fd, file, iova + (half - 1) * PAGE,
				2 * PAGE, va + (half - 1) * PAGE, 0, &item));
	ASSERT_EQ(0, GET_LARGE());
	EXPECT_EQ(ARRAY_LEN(dirty), count_bits(bitmap, words));
	for (unsigned int i = 0; i < ARRAY_LEN(dirty); i++)
		EXPECT_TRUE(bit_get(bitmap, dirty[i]));
	memset(bitmap, 0, bytes);
	ASSERT_EQ(0, GET_LARGE());
	EXPECT_EQ(2, count_bits(bitmap, words));
	ASSERT_EQ(0, access_unpin(self->fd, file, item));
	ASSERT_EQ(0, GET_LARGE());

	/* The first go reads, the last one fails: nothing is lost */
	ASSERT_EQ(0, access_rw(self->fd, file, iova, &byte, 1,
			       MOCK_ACCESS_RW_WRITE));
	ASSERT_EQ(0, mprotect((__u8 *)bitmap + bytes - PAGE, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, GET_LARGE());
	EXPECT_EQ(EFAULT, dma_unmap_dirty(self->fd, 48, iova, &size, PAGE,
					  bytes, bitmap));
	EXPECT_EQ(len, size);
	ASSERT_EQ(0, mprotect((__u8 *)bitmap + bytes - PAGE, PAGE,
			      PROT_READ | PROT_WRITE));
	memset(bitmap, 0, bytes);
	ASSERT_EQ(0, GET_LARGE());
	EXPECT_TRUE(bit_get(bitmap, 0));
	memset(bitmap, 0, bytes);
	ASSERT_EQ(0, GET_LARGE());
	EXPECT_EQ(0, count_bits(bitmap, words));

	for (unsigned int i = 0; i < ARRAY_LEN(dirty); i++)
		ASSERT_EQ(0, access_rw(self->fd, file, iova + dirty[i] * PAGE,
				       &byte, 1, MOCK_ACCESS_RW_WRITE));
	EXPECT_EQ(0, dma_unmap_dirty(self->fd, 48, iova, &size, PAGE, bytes,
				     bitmap));
	EXPECT_EQ(len, size);
	EXPECT_EQ(ARRAY_LEN(dirty), count_bits(bitmap, words));
	for (unsigned int i = 0; i < ARRAY_LEN(dirty); i++)
		EXPECT_TRUE(bit_get(bitmap, dirty[i]));
	EXPECT_EQ(0, dma_unmap(self->fd, iova, len, &size));
	EXPECT_EQ(0, size);
	munmap(bitmap, bytes);
	munmap(va, len);
	EXPECT_EQ(0, close(file));
}

/*
 * The limit on the number of mappings, which all containers share
 */

static int entry_limit_set(unsigned int limit)
{
	FILE *f = fopen(ENTRY_LIMIT, "we");

	if (!f)
		return errno;
	fprintf(f, "%u\n", limit);
	return fclose(f) ? errno : 0;
}

TEST_F(compat, entry_limit)
{
	__u64 last = BASE + 8 * PAGE;

	if (entry_limit_set(UINT32_MAX))
		SKIP(return, "cannot write to " ENTRY_LIMIT);
	EXPECT_EQ(UINT32_MAX, dma_avail(self->fd));
	ASSERT_EQ(0, entry_limit_set(3));
	EXPECT_EQ(3, dma_avail(self->fd));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, dma_map(self->fd, self->buf, BASE + i * PAGE,
				     PAGE));
	EXPECT_EQ(0, dma_avail(self->fd));
	/* Last of what can be wrong without looking at the memory */
	EXPECT_EQ(ENOSPC, dma_map(self->fd, self->buf, last, PAGE));
	EXPECT_EQ(ENOSPC, dma_map(self->fd, NULL, last, PAGE));
	EXPECT_EQ(EINVAL, dma_map(self->fd, self->buf + 1, last, PAGE));
	EXPECT_EQ(EEXIST, dma_map(self->fd, self->buf, BASE, PAGE));
	/* The native interface has no such limit */
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, last));
	EXPECT_EQ(0, dma_avail(self->fd));
	EXPECT_UNMAP(0, last, PAGE, PAGE);
	EXPECT_UNMAP(0, BASE + PAGE, PAGE, PAGE);
	EXPECT_EQ(1, dma_avail(self->fd));
	EXPECT_EQ(0, dma_map(self->fd, self->buf, last, PAGE));
	EXPECT_EQ(ENOSPC, dma_map(self->fd, self->buf, BASE + PAGE, PAGE));
	EXPECT_EQ(0, entry_limit_set(UINT32_MAX));
	EXPECT_EQ(0, dma_map(self->fd, self->buf, BASE + PAGE, PAGE));
	EXPECT_EQ(UINT32_MAX - 4, dma_avail(self->fd));
}

TEST_HARNESS_MAIN
