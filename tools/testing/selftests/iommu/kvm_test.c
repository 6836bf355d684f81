// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's VFIO device, to which a VMM gives the devices of its guest, with devices
 * of an iommufd. Needs what vfio_real_test needs, KVM, and two "edu". What KVM
 * thinks of a device's DMA is seen by a probe in the kernel, as it tells no program.
 */
#include <linux/kvm.h>

#include "kselftest_harness.h"
#include "edu.h"
#include "tracefs.h"

#define PROBES TRACE_INSTANCE "/events/kvm_test"

FIXTURE(kvm)
{
	int fd, kvm, vm, dev;
	struct edu edu, other;
	__u32 devid, ioas;
	__u8 *buf;
	char *vm_dir;
};

/* The names are those that older headers have too, and do for files of any kind */
static int kvm_file(int dev, __u64 attr, int fd)
{
	__s32 arg = fd;
	struct kvm_device_attr cmd = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attr,
		.addr = (uintptr_t)&arg,
	};

	return iommu_cmd(dev, KVM_SET_DEVICE_ATTR, &cmd);
}

static int file_add(int dev, int fd)
{
	return kvm_file(dev, KVM_DEV_VFIO_GROUP_ADD, fd);
}

static int file_del(int dev, int fd)
{
	return kvm_file(dev, KVM_DEV_VFIO_GROUP_DEL, fd);
}

/* Add a probe, or remove one; those of others stay */
static int probe(const char *what)
{
	int fd = open(TRACEFS "/kprobe_events",
		      O_WRONLY | O_CLOEXEC | O_APPEND);
	int rc;

	if (fd < 0)
		return errno;
	rc = write(fd, what, strlen(what)) < 0 ? errno : 0;
	close(fd);
	return rc;
}

/* See when KVM begins to reckon with DMA that bypasses caches, and when it ends */
static int probes_start(void)
{
	return trace_start() ?:
	       probe("p:kvm_test/bypass kvm_arch_register_noncoherent_dma\n") ?:
	       probe("p:kvm_test/no_bypass kvm_arch_unregister_noncoherent_dma\n") ?:
	       trace_write(PROBES "/enable", "1");
}

static int probes_stop(void)
{
	return trace_write(PROBES "/enable", "0") ?:
	       trace_stop() ?:
	       probe("-:kvm_test/bypass\n") ?: probe("-:kvm_test/no_bypass\n");
}

static int seen(const char *event)
{
	char line[256];

	return trace_find(event, NULL, line, sizeof(line));
}

FIXTURE_SETUP(kvm)
{
	struct kvm_create_device cmd = { .type = KVM_DEV_TYPE_VFIO };

	self->other.dev = -1;
	OPEN_OR_SKIP(self->fd);
	EDU_OPEN_OR_SKIP(&self->edu, 0);
	self->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (self->kvm < 0)
		SKIP(return, "no /dev/kvm: %s", strerror(errno));
	ASSERT_EQ(0, probes_start());
	self->vm = ioctl(self->kvm, KVM_CREATE_VM, 0);
	ASSERT_LE(0, self->vm);
	ASSERT_LT(0, asprintf(&self->vm_dir, "/sys/kernel/debug/kvm/%d-%d",
			      getpid(), self->vm));
	ASSERT_EQ(0, access(self->vm_dir, F_OK));
	ASSERT_EQ(0, iommu_cmd(self->vm, KVM_CREATE_DEVICE, &cmd));
	self->dev = cmd.fd;
	self->buf = buf_alloc(2 * PAGE);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(kvm)
{
	edu_close(&self->edu);
	edu_close(&self->other);
	close(self->dev);
	close(self->vm);
	close(self->kvm);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
	/* Nobody holds the VM, and what it began has ended */
	EXPECT_NE(0, access(self->vm_dir, F_OK));
	EXPECT_EQ(seen("bypass"), seen("no_bypass"));
	EXPECT_EQ(0, probes_stop());
	free(self->vm_dir);
}

/* An attached device, which can copy one page to another */
static void start(struct __test_metadata *_metadata,
		  FIXTURE_DATA(kvm) *self)
{
	ASSERT_EQ(0, edu_bind(&self->edu, self->fd, &self->devid));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, edu_start(&self->edu));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 EDU_IOVA));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
}

static void copies(struct __test_metadata *_metadata, FIXTURE_DATA(kvm) *self,
		   int value)
{
	memset(self->buf, value, PAGE);
	ASSERT_TRUE(edu_copy(&self->edu, EDU_IOVA, EDU_IOVA + PAGE, EDU_LEN));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + PAGE, EDU_LEN));
}

/* As QEMU does it: KVM knows the device before it is bound, and until it closes */
TEST_F(kvm, device_joins_first)
{
	ASSERT_EQ(0, file_add(self->dev, self->edu.dev));
	EXPECT_EQ(EEXIST, file_add(self->dev, self->edu.dev));
	start(_metadata, self);
	copies(_metadata, self, 0x21);
	ASSERT_EQ(0, file_del(self->dev, self->edu.dev));
	EXPECT_EQ(ENOENT, file_del(self->dev, self->edu.dev));
	/* DMA is nobody's business but the IOMMU's */
	copies(_metadata, self, 0x42);
}

TEST_F(kvm, device_joins_when_attached)
{
	__u32 ioas;

	start(_metadata, self);
	ASSERT_EQ(0, file_add(self->dev, self->edu.dev));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, 2 * PAGE,
				 EDU_IOVA));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ ioas }));
	ASSERT_EQ(0, iommu_destroy(self->fd, self->ioas));
	copies(_metadata, self, 0x17);
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	ASSERT_EQ(0, file_del(self->dev, self->edu.dev));
}

/* KVM and the container are of one opinion, which is that of the hardware */
TEST_F(kvm, coherency)
{
	bool bypasses;
	int snoops, cc;

	ASSERT_EQ(0, file_add(self->dev, self->edu.dev));
	/* Before anything is attached: KVM asks what the IOMMU can do */
	bypasses = seen("bypass");
	start(_metadata, self);
	ASSERT_EQ(0, container_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &self->ioas));
	cc = ioctl(self->fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU);
	snoops = can_snoop(self->fd, self->devid);
	TH_LOG("KVM reckons %s DMA that bypasses caches",
	       bypasses ? "with" : "without");
	EXPECT_EQ(!bypasses, cc);
	if (snoops >= 0)
		EXPECT_EQ(!bypasses, snoops);
	EXPECT_EQ(bypasses, seen("bypass"));
	EXPECT_EQ(0, seen("no_bypass"));
	ASSERT_EQ(0, file_del(self->dev, self->edu.dev));
	EXPECT_EQ(bypasses, seen("no_bypass"));
}

/* A second device changes nothing, until both are gone */
TEST_F(kvm, second_device)
{
	int bypass;

	ASSERT_EQ(0, edu_open(&self->other, 1));
	ASSERT_EQ(0, file_add(self->dev, self->edu.dev));
	bypass = seen("bypass");
	start(_metadata, self);
	ASSERT_EQ(0, file_add(self->dev, self->other.dev));
	copies(_metadata, self, 0x61);
	ASSERT_EQ(0, file_del(self->dev, self->edu.dev));
	EXPECT_EQ(bypass, seen("bypass"));
	EXPECT_EQ(0, seen("no_bypass"));
	copies(_metadata, self, 0x62);
	ASSERT_EQ(0, file_add(self->dev, self->edu.dev));
	ASSERT_EQ(0, file_del(self->dev, self->other.dev));
	ASSERT_EQ(0, file_del(self->dev, self->edu.dev));
	EXPECT_EQ(bypass, seen("no_bypass"));
}

/*
 * The program lets go of the VM before the device. A device that was bound when it
 * knew the VM holds it, as its driver may use it; for the others there is no reason.
 */
TEST_F(kvm, vm_goes_first)
{
	ASSERT_EQ(0, file_add(self->dev, self->edu.dev));
	start(_metadata, self);
	ASSERT_EQ(0, close(self->dev));
	ASSERT_EQ(0, close(self->vm));
	self->vm = -1;
	self->dev = -1;
	EXPECT_EQ(0, access(self->vm_dir, F_OK));
	copies(_metadata, self, 0x33);
	edu_close(&self->edu);
	EXPECT_NE(0, access(self->vm_dir, F_OK));
}

TEST_F(kvm, vm_of_bound_device_goes_first)
{
	start(_metadata, self);
	ASSERT_EQ(0, file_add(self->dev, self->edu.dev));
	ASSERT_EQ(0, close(self->dev));
	ASSERT_EQ(0, close(self->vm));
	self->vm = -1;
	self->dev = -1;
	EXPECT_NE(0, access(self->vm_dir, F_OK));
	copies(_metadata, self, 0x34);
}

/* KVM holds the file of a device that its user closed, and so the device itself */
TEST_F(kvm, device_goes_first)
{
	start(_metadata, self);
	ASSERT_EQ(0, file_add(self->dev, self->edu.dev));
	copies(_metadata, self, 0x55);
	edu_close(&self->edu);
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->devid));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(2, vm_pin(0));
	ASSERT_EQ(0, close(self->dev));
	self->dev = -1;
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, self->devid));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, vm_pin(0));
}

TEST_F(kvm, refuses_others)
{
	int closed = dup(self->fd);

	ASSERT_LE(0, closed);
	ASSERT_EQ(0, close(closed));
	/* An iommufd is not a device, nor is the VM */
	EXPECT_EQ(EINVAL, file_add(self->dev, self->fd));
	EXPECT_EQ(EINVAL, file_add(self->dev, self->vm));
	EXPECT_EQ(EBADF, file_add(self->dev, closed));
	EXPECT_EQ(EBADF, file_add(self->dev, -1));
	EXPECT_EQ(EBADF, file_del(self->dev, closed));
	EXPECT_EQ(ENOENT, file_del(self->dev, self->edu.dev));
	EXPECT_EQ(ENXIO, kvm_file(self->dev, 99, self->edu.dev));
	EXPECT_EQ(0, seen("bypass"));
}

TEST_HARNESS_MAIN
