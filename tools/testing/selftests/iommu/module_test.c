// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommufd as a module: not to be unloaded while anything of it is in use, and
 * gone without a trace otherwise. Unloads and loads what uses it, too. Needs
 * root, nobody else who uses them, their files in /modules, and for some of it
 * QEMU's "-device edu".
 */
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "edu.h"

#define DIRECTORY "/modules"
#define IOVA EDU_IOVA

/* Each one needs some of those before it; not all of them have to be there */
static const char *const modules[] = {
	"iommufd", "vfio", "vfio-pci-core", "vfio-pci", "mdev", "mtty",
	"vfio_emulated", "vdpa_iommufd",
};

enum { IOMMUFD, VFIO, VFIO_PCI_CORE, VFIO_PCI };

static int load(const char *module)
{
	char path[100];
	int fd, rc = 0;

	snprintf(path, sizeof(path), DIRECTORY "/%s.ko", module);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (syscall(SYS_finit_module, fd, "", 0))
		rc = errno;
	close(fd);
	return rc;
}

static int unload(unsigned int module)
{
	char name[32];

	snprintf(name, sizeof(name), "%s", modules[module]);
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? errno : 0;
}

/* Down to @module, which stays */
static int unload_above(unsigned int module)
{
	int rc;

	for (unsigned int i = ARRAY_LEN(modules) - 1; i > module; i--) {
		rc = unload(i);
		if (rc && rc != ENOENT)
			return rc;
	}
	return 0;
}

static int load_all(void)
{
	int rc;

	for (unsigned int i = 0; i < ARRAY_LEN(modules); i++) {
		rc = load(modules[i]);
		if (rc && rc != ENOENT && rc != EEXIST)
			return rc;
	}
	return 0;
}

FIXTURE(module)
{
	struct edu edu;
};

FIXTURE_SETUP(module)
{
	self->edu.dev = -1;
	if (access("/sys/module/iommufd/refcnt", F_OK))
		SKIP(return, "iommufd is built in, or not there");
	if (access(DIRECTORY "/iommufd.ko", F_OK))
		SKIP(return, "no " DIRECTORY " to load it from again");
}

FIXTURE_TEARDOWN(module)
{
	edu_close(&self->edu);
	EXPECT_EQ(0, load_all());
}

TEST_F(module, unloads)
{
	__u32 ioas;
	void *buf;
	int fd;

	buf = buf_alloc(PAGE);
	ASSERT_NE(NULL, buf);
	for (unsigned int i = 0; i < 10; i++) {
		/* VFIO needs it, also idle */
		EXPECT_EQ(EWOULDBLOCK, unload(IOMMUFD));
		ASSERT_EQ(0, unload_above(IOMMUFD));
		ASSERT_EQ(0, unload(IOMMUFD));
		EXPECT_EQ(-1, iommu_open());
		EXPECT_EQ(-1, access("/dev/iommu", F_OK));
		EXPECT_EQ(-1, access("/dev/vfio/vfio", F_OK));
		ASSERT_EQ(0, load_all());
		fd = iommu_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, ioas_alloc(fd, &ioas));
		ASSERT_EQ(0, ioas_map_at(fd, ioas, buf, PAGE, IOVA));
		ASSERT_EQ(0, close(fd));
	}
}

TEST_F(module, stays_while_open)
{
	int fd;

	ASSERT_EQ(0, unload_above(IOMMUFD));
	fd = iommu_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(EWOULDBLOCK, unload(IOMMUFD));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(0, unload(IOMMUFD));
}

/* Its other kind of file is what stays open */
TEST_F(module, stays_for_a_queue)
{
	int fd, queue;
	__u32 id;

	ASSERT_EQ(0, unload_above(IOMMUFD));
	fd = iommu_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fault_alloc(fd, &id, &queue));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(EWOULDBLOCK, unload(IOMMUFD));
	ASSERT_EQ(0, close(queue));
	EXPECT_EQ(0, unload(IOMMUFD));
}

TEST_F(module, stays_for_the_container)
{
	int fd;

	ASSERT_EQ(0, unload_above(IOMMUFD));
	fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "the container is not iommufd's");
	EXPECT_EQ(EWOULDBLOCK, unload(IOMMUFD));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(0, unload(IOMMUFD));
}

/* With a device that does DMA, before and after */
TEST_F(module, stays_for_a_device)
{
	__u8 *buf = buf_alloc(2 * PAGE);

	ASSERT_NE(NULL, buf);
	for (unsigned int i = 0; i < 2; i++) {
		__u32 devid, ioas;
		int fd;

		fd = iommu_open();
		ASSERT_LE(0, fd);
		EDU_OPEN_OR_SKIP(&self->edu, 0);
		ASSERT_EQ(0, edu_bind(&self->edu, fd, &devid));
		ASSERT_EQ(0, edu_start(&self->edu));
		ASSERT_EQ(0, ioas_alloc(fd, &ioas));
		ASSERT_EQ(0, ioas_map_at(fd, ioas, buf, 2 * PAGE, IOVA));
		ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ ioas }));
		ASSERT_EQ(0, close(fd));
		EXPECT_EQ(EWOULDBLOCK, unload_above(VFIO_PCI_CORE));
		EXPECT_EQ(EWOULDBLOCK, unload(VFIO));
		EXPECT_EQ(EWOULDBLOCK, unload(IOMMUFD));
		memset(buf, 0x21 + i, PAGE);
		ASSERT_TRUE(edu_copy(&self->edu, IOVA, IOVA + PAGE, EDU_LEN));
		EXPECT_EQ(0, memcmp(buf, buf + PAGE, EDU_LEN));
		edu_close(&self->edu);
		ASSERT_EQ(0, unload_above(IOMMUFD));
		ASSERT_EQ(0, unload(IOMMUFD));
		EXPECT_EQ(0, vm_pin(0));
		ASSERT_EQ(0, load_all());
	}
}

TEST_HARNESS_MAIN
