// SPDX-License-Identifier: GPL-2.0-only
/*
 * A second consumer of iommufd beside VFIO: vDPA disks, one that does DMA behind an
 * IOMMU and one that a simulator reads and writes by itself, in one IOAS with a VFIO
 * device. Needs root, test_modules/vdpa_iommufd.ko and vp_vdpa_iommufd.ko, the
 * options of "config", "vdpa_sim.batch_mapping=0" and in QEMU "-device edu" and the
 * disk of tools/vm/run --vdpa.
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "edu.h"
#include "vdpa_utils.h"

#define DRIVER	"vp-vdpa-iommufd"
#define SIM	"sim"

/* What is mapped for the device. Short enough for the "edu", and for one request. */
#define RING	EDU_IOVA
#define DATA	(EDU_IOVA + (1ULL << 20))
#define DATA_LEN (64ULL << 10)
#define OTHER	(EDU_IOVA + (2ULL << 20))
/* In all the disk, and in one request */
#define SECTORS	2048
#define STEP	(DATA_LEN / SECTOR)

FIXTURE(vdpa)
{
	int fd;
	struct disk disk;
	struct edu edu;
	char bdf[256];
	bool unsafe;
	__u32 ioas;
	__u8 *ring, *data, *other;
};

FIXTURE_VARIANT(vdpa)
{
	bool software;
};

FIXTURE_VARIANT_ADD(vdpa, hardware)
{
};

FIXTURE_VARIANT_ADD(vdpa, software)
{
	.software = true,
};

static bool device_exists(const char *name)
{
	char path[100];

	snprintf(path, sizeof(path), "/sys/bus/vdpa/devices/%s", name);
	return !access(path, F_OK);
}

/*
 * The device is made once, and stays for all tests, but those that remove it. It is
 * not tried twice: vp_vdpa keeps a pointer to a device that it could not register.
 */
static int add_device(FIXTURE_DATA(vdpa) *self, const char *driver)
{
	int rc;

	if (!driver)
		return device_exists(SIM) ? 0 :
		       vdpa_add(SIM, NULL, "vdpasim_blk");
	rc = pci_bind(self->bdf, driver);
	if (rc || device_exists(driver))
		return rc;
	return vdpa_add(driver, "pci", self->bdf);
}

static int bind_disk(FIXTURE_DATA(vdpa) *self)
{
	int rc = disk_bind(&self->disk, self->fd);

	if (rc != EPERM || write_text(UNSAFE_MSI, "Y"))
		return rc;
	self->unsafe = true;
	return disk_bind(&self->disk, self->fd);
}

static int map_memory(FIXTURE_DATA(vdpa) *self)
{
	return ioas_map_at(self->fd, self->ioas, self->ring, PAGE, RING) ?:
	       ioas_map_at(self->fd, self->ioas, self->data, DATA_LEN, DATA);
}

static int reach_memory(FIXTURE_DATA(vdpa) *self)
{
	return disk_reach(&self->disk, RING, PAGE) ?:
	       disk_reach(&self->disk, DATA, DATA_LEN);
}

static void setup(struct __test_metadata *_metadata, FIXTURE_DATA(vdpa) *self,
		  bool software)
{
	__u8 *mem;

	self->disk.fd = -1;
	self->disk.call = -1;
	self->edu.dev = -1;
	OPEN_OR_SKIP(self->fd);
	if (access("/sys/bus/vdpa/drivers/vdpa-iommufd", F_OK))
		SKIP(return, "no test_modules/vdpa_iommufd.ko");
	if (!software && !pci_find(0x1af4, 0x1042, 0, self->bdf,
				   sizeof(self->bdf)))
		SKIP(return, "no virtio disk");
	ASSERT_EQ(0, add_device(self, software ? NULL : DRIVER));
	self->disk.fd = vdpa_open(software ? SIM : DRIVER);
	ASSERT_LE(0, self->disk.fd);
	self->disk.call = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, self->disk.call);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	mem = buf_alloc(PAGE + 2 * DATA_LEN);
	ASSERT_NE(NULL, mem);
	self->ring = mem;
	self->data = mem + PAGE;
	self->other = self->data + DATA_LEN;
	self->disk.ring = (void *)self->ring;
	self->disk.ring_iova = RING;
}

static void teardown(struct __test_metadata *_metadata,
		     FIXTURE_DATA(vdpa) *self)
{
	edu_close(&self->edu);
	if (self->disk.fd >= 0)
		EXPECT_EQ(0, close(self->disk.fd));
	if (self->unsafe)
		write_text(UNSAFE_MSI, "N");
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

FIXTURE_SETUP(vdpa)
{
	setup(_metadata, self, variant->software);
}

FIXTURE_TEARDOWN(vdpa)
{
	teardown(_metadata, self);
}

/* The disk of tools/vm/run --vdpa: each of its words says where it is */
static __u64 disk_word(__u64 nr)
{
	return (nr + 1) * 0x9e3779b97f4a7c15ULL;
}

static void make_content(void *data, __u64 sector, size_t len)
{
	__u64 *words = data, nr = sector * SECTOR / sizeof(*words);

	for (size_t i = 0; i < len / sizeof(*words); i++)
		words[i] = disk_word(nr + i);
}

static bool is_content(const void *data, __u64 sector, size_t len)
{
	const __u64 *words = data, nr = sector * SECTOR / sizeof(*words);

	for (size_t i = 0; i < len / sizeof(*words); i++)
		if (words[i] != disk_word(nr + i))
			return false;
	return true;
}

static bool all_are(const __u8 *data, __u8 byte, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != byte)
			return false;
	return true;
}

/* Attached to the IOAS, with the ring and the data mapped, and started */
#define START()                                                                \
	do {                                                                   \
		__u32 __pt = self->ioas;                                       \
									       \
		ASSERT_EQ(0, bind_disk(self));                                 \
		ASSERT_EQ(0, map_memory(self));                                \
		ASSERT_EQ(0, disk_attach(&self->disk, &__pt));                 \
		ASSERT_EQ(0, reach_memory(self));                              \
		ASSERT_EQ(0, disk_start(&self->disk));                         \
	} while (0)

/* The simulator has the content of a new disk; the first sectors are made then */
#define START_WITH_CONTENT()                                                   \
	do {                                                                   \
		START();                                                       \
		if (self->disk.software) {                                     \
			make_content(self->data, 0, DATA_LEN);                 \
			ASSERT_EQ(VIRTIO_BLK_S_OK,                             \
				  disk_rw(&self->disk, true, 0, DATA,          \
					  DATA_LEN));                          \
			memset(self->data, 0, DATA_LEN);                       \
		}                                                              \
	} while (0)

/* The VFIO device, in the same IOAS; what it is attached to */
#define START_EDU(pt)                                                          \
	do {                                                                   \
		__u32 __id;                                                    \
									       \
		*(pt) = self->ioas;                                            \
		ASSERT_EQ(0, edu_open(&self->edu, 0));                         \
		ASSERT_EQ(0, edu_bind(&self->edu, self->fd, &__id));           \
		ASSERT_EQ(0, edu_start(&self->edu));                           \
		ASSERT_EQ(0, vfio_attach(self->edu.dev, pt));                  \
	} while (0)

/* All of it, byte by byte; each piece comes with an interrupt */
TEST_F(vdpa, reads_a_disk)
{
	struct {
		struct vhost_vdpa_config config;
		__u64 capacity;
	} get = { .config.len = sizeof(get.capacity) };
	__u64 sector;

	START();
	ASSERT_EQ(0, iommu_cmd(self->disk.fd, VHOST_VDPA_GET_CONFIG, &get));
	ASSERT_LE(SECTORS, get.capacity);
	EXPECT_EQ(variant->software, get.capacity != SECTORS);
	for (sector = 0; variant->software && sector < SECTORS;
	     sector += STEP) {
		make_content(self->data, sector, DATA_LEN);
		ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, true, sector,
						   DATA, DATA_LEN));
	}
	for (sector = 0; sector < SECTORS; sector += STEP) {
		memset(self->data, 0, DATA_LEN);
		ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, sector,
						   DATA, DATA_LEN));
		EXPECT_TRUE(is_content(self->data, sector, DATA_LEN))
			TH_LOG("sector %llu", (unsigned long long)sector);
	}
}

/* One memory, pinned once, for a device of VFIO and one of vDPA */
TEST_F(vdpa, shares_an_ioas)
{
	long pages = 1 + DATA_LEN / PAGE;
	__u32 edu_pt, pt = self->ioas;

	START_WITH_CONTENT();
	EXPECT_EQ(pages, vm_pin(0));
	ASSERT_EQ(0, disk_attach(&self->disk, &pt));
	START_EDU(&edu_pt);
	/* The page table, too, if the device of vDPA has one */
	EXPECT_EQ(variant->software ? self->ioas : edu_pt, pt);
	EXPECT_EQ(pages, vm_pin(0));

	/* What the one has read the other one writes elsewhere, and back */
	ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   4 * SECTOR));
	ASSERT_TRUE(edu_copy(&self->edu, DATA, DATA + DATA_LEN - EDU_LEN,
			     EDU_LEN));
	EXPECT_TRUE(is_content(self->data + DATA_LEN - EDU_LEN, 0, EDU_LEN));
	memset(self->data, 0x5a, EDU_LEN);
	ASSERT_TRUE(edu_copy(&self->edu, DATA, DATA + EDU_LEN, EDU_LEN));
	ASSERT_EQ(VIRTIO_BLK_S_OK,
		  disk_rw(&self->disk, true, STEP - EDU_LEN / SECTOR,
			  DATA + EDU_LEN, EDU_LEN));
	ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   DATA_LEN));
	EXPECT_TRUE(is_content(self->data, 0, DATA_LEN - EDU_LEN));
	EXPECT_TRUE(all_are(self->data + DATA_LEN - EDU_LEN, 0x5a, EDU_LEN));
	/* As it was */
	make_content(self->data, 0, DATA_LEN);
	ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, true, 0, DATA,
					   DATA_LEN));

	/* Each leaves without the other */
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(pages, vm_pin(0));
	ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   DATA_LEN));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &(__u32){ self->ioas }));
	ASSERT_EQ(0, disk_detach(&self->disk));
	EXPECT_EQ(pages, vm_pin(0));
	ASSERT_TRUE(edu_copy(&self->edu, DATA, DATA + EDU_LEN, EDU_LEN));
	EXPECT_EQ(0, memcmp(self->data, self->data + EDU_LEN, EDU_LEN));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

/* A device that runs, in turns in two spaces that have other data at one IOVA */
TEST_F(vdpa, replaced_while_running)
{
	__u32 ioas[2] = { self->ioas }, pt, used = 0;

	START_WITH_CONTENT();
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas[1]));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas[1], self->ring, PAGE, RING));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas[1], self->other, DATA_LEN,
				 DATA));
	for (unsigned int i = 1; i < 8; i++) {
		__u8 *now = i % 2 ? self->other : self->data;
		__u8 *then = i % 2 ? self->data : self->other;

		pt = ioas[i % 2];
		ASSERT_EQ(0, disk_attach(&self->disk, &pt));
		EXPECT_NE(used, pt);
		used = pt;
		ASSERT_EQ(0, reach_memory(self));
		EXPECT_EQ(1 + DATA_LEN / PAGE, vm_pin(0));
		memset(now, 0x11, DATA_LEN);
		memset(then, 0x22, DATA_LEN);
		ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
						   DATA_LEN));
		EXPECT_TRUE(is_content(now, 0, DATA_LEN));
		EXPECT_TRUE(all_are(then, 0x22, DATA_LEN));
	}
	/* To where it cannot be it does not go, and works on */
	pt = BAD_ID;
	EXPECT_EQ(ENOENT, disk_attach(&self->disk, &pt));
	EXPECT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   DATA_LEN));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas[0]));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, ioas[1]));
}

/* The kernel's log from now on */
static int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* Does an IOMMU driver say that this address was refused? */
static bool kmsg_has_fault(int kmsg, __u64 iova)
{
	static const char *const drivers[] = {
		"DMAR: ", "arm-smmu-v3 ", "virtio_iommu ",
	};
	char record[2048], address[20];

	snprintf(address, sizeof(address), "%#llx", (unsigned long long)iova);
	for (int i = 0; i < 1000; i++) {
		ssize_t len = read(kmsg, record, sizeof(record) - 1);

		if (len < 0 && errno == EAGAIN)
			usleep(20000);
		if (len < 0)
			continue;
		record[len] = 0;
		for (size_t j = 0; j < ARRAY_LEN(drivers); j++)
			if (strstr(record, drivers[j]) &&
			    strstr(record, address))
				return true;
	}
	return false;
}

/* QEMU's AMD-Vi refuses what it should, and does not report it */
static bool iommu_reports(void)
{
	return access("/sys/class/iommu/ivhd0", F_OK);
}

static bool disk_breaks(struct disk *disk)
{
	for (int i = 0; i < 1000; i++) {
		int status = disk_status(disk);

		if (status < 0 || status & VIRTIO_CONFIG_S_NEEDS_RESET)
			return status >= 0;
		usleep(20000);
	}
	return false;
}

/* Not a byte gets to what was unmapped, and the IOMMU says who tried */
TEST_F(vdpa, unmap_stops_it)
{
	int kmsg = kmsg_open();

	ASSERT_LE(0, kmsg);
	START_WITH_CONTENT();
	ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   DATA_LEN));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, DATA, DATA_LEN, NULL));
	EXPECT_EQ(1, vm_pin(0));
	memset(self->data, 0x33, DATA_LEN);
	if (variant->software) {
		EXPECT_EQ(ENOENT, disk_reach(&self->disk, DATA, DATA_LEN));
		EXPECT_EQ(VIRTIO_BLK_S_IOERR,
			  disk_rw(&self->disk, false, 0, DATA, DATA_LEN));
	} else {
		/* Drivers report ten faults in five seconds, also of others */
		sleep(6);
		ASSERT_EQ(0, disk_submit(&self->disk, false, 0, DATA,
					 DATA_LEN));
		EXPECT_TRUE(disk_breaks(&self->disk));
		if (iommu_reports())
			EXPECT_TRUE(kmsg_has_fault(kmsg, DATA));
	}
	EXPECT_TRUE(all_are(self->data, 0x33, DATA_LEN));
	/* It works as ever once there is something again, and it was reset */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->data, DATA_LEN,
				 DATA));
	ASSERT_EQ(0, disk_reach(&self->disk, DATA, DATA_LEN));
	ASSERT_EQ(0, disk_start(&self->disk));
	ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   DATA_LEN));
	EXPECT_TRUE(is_content(self->data, 0, DATA_LEN));
	close(kmsg);
}

/* The file is closed with all still mapped and a request on its way */
TEST_F(vdpa, closed_while_busy)
{
	__u32 id;

	START_WITH_CONTENT();
	id = self->disk.id;
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	ASSERT_EQ(0, disk_submit(&self->disk, false, 0, DATA, DATA_LEN));
	ASSERT_EQ(0, close(self->disk.fd));
	self->disk.fd = -1;
	memset(self->data, 0x44, DATA_LEN);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, id));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));

	/* And once more, with the iommufd gone first */
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->disk.fd = vdpa_open(variant->software ? SIM : DRIVER);
	ASSERT_LE(0, self->disk.fd);
	START();
	ASSERT_EQ(0, close(self->fd));
	EXPECT_EQ(1 + DATA_LEN / PAGE, vm_pin(0));
	ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   DATA_LEN));
	EXPECT_TRUE(is_content(self->data, 0, DATA_LEN));
	ASSERT_EQ(0, close(self->disk.fd));
	self->disk.fd = -1;
	EXPECT_EQ(0, vm_pin(0));
	self->fd = iommu_open();
}

static int remove_parent(FIXTURE_DATA(vdpa) *self)
{
	return self->disk.software ?
	       vdpa_del(SIM) :
	       write_text(PCI "/drivers/" DRIVER "/unbind", self->bdf);
}

/* Uses the file until it cannot; the errno */
static void *kick_on(void *arg)
{
	struct disk *disk = arg;
	long rc;

	do
		rc = disk_kick(disk);
	while (!rc);
	return (void *)rc;
}

/* The driver of the parent does not ask whether a process has the device open */
TEST_F(vdpa, parent_goes)
{
	struct pollfd pfd = { .fd = self->disk.fd };
	__u32 edu_pt, id;
	pthread_t thread;
	void *rc;

	START_WITH_CONTENT();
	START_EDU(&edu_pt);
	id = self->disk.id;
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	ASSERT_EQ(0, disk_submit(&self->disk, false, 0, DATA, DATA_LEN));
	ASSERT_EQ(0, pthread_create(&thread, NULL, kick_on, &self->disk));
	ASSERT_EQ(0, remove_parent(self));
	memset(self->data, 0x55, DATA_LEN);
	ASSERT_EQ(0, pthread_join(thread, &rc));
	EXPECT_EQ(ENODEV, (long)rc);
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_TRUE(pfd.revents & POLLHUP);
	EXPECT_EQ(ENODEV, disk_attach(&self->disk, &(__u32){ self->ioas }));
	EXPECT_EQ(ENODEV, disk_detach(&self->disk));
	EXPECT_EQ(ENODEV, disk_bind(&self->disk, self->fd));
	EXPECT_EQ(-1, disk_status(&self->disk));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, id));
	/* The other device has what it had */
	EXPECT_EQ(1 + DATA_LEN / PAGE, vm_pin(0));
	ASSERT_TRUE(edu_copy(&self->edu, DATA, DATA + DATA_LEN - EDU_LEN,
			     EDU_LEN));
	EXPECT_TRUE(all_are(self->data, 0x55, DATA_LEN));
	ASSERT_EQ(0, vfio_detach(self->edu.dev));
	EXPECT_EQ(0, vm_pin(0));

	/* It comes back as another one; the old file is still about the old one */
	ASSERT_EQ(0, add_device(self, variant->software ? NULL : DRIVER));
	EXPECT_EQ(-1, disk_status(&self->disk));
	ASSERT_EQ(0, close(self->disk.fd));
	self->disk.fd = vdpa_open(variant->software ? SIM : DRIVER);
	ASSERT_LE(0, self->disk.fd);
	ASSERT_EQ(0, bind_disk(self));
	ASSERT_EQ(0, disk_attach(&self->disk, &(__u32){ self->ioas }));
	ASSERT_EQ(0, reach_memory(self));
	ASSERT_EQ(0, disk_start(&self->disk));
	EXPECT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   DATA_LEN));
}

TEST_F(vdpa, refuses)
{
	__u64 features = VDPA_FEATURES & ~(1ULL << VIRTIO_F_ACCESS_PLATFORM);
	int fd;

	/* Nothing before it is bound */
	EXPECT_EQ(EINVAL, disk_attach(&self->disk, &(__u32){ self->ioas }));
	EXPECT_EQ(EINVAL, disk_detach(&self->disk));
	EXPECT_EQ(EINVAL, disk_kick(&self->disk));
	EXPECT_EQ(EINVAL, disk_set_status(&self->disk, 0));
	EXPECT_EQ(-1, disk_status(&self->disk));
	EXPECT_EQ(EBADF, disk_bind(&self->disk, -1));
	EXPECT_EQ(EBADFD, disk_bind(&self->disk, self->disk.call));
	fd = vdpa_open(variant->software ? SIM : DRIVER);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EBUSY, errno);

	ASSERT_EQ(0, bind_disk(self));
	EXPECT_EQ(variant->software, self->disk.software);
	EXPECT_EQ(EINVAL, disk_bind(&self->disk, self->fd));
	EXPECT_EQ(ENOENT, disk_attach(&self->disk, &(__u32){ BAD_ID }));
	EXPECT_EQ(ENOENT, disk_attach(&self->disk, &(__u32){ self->disk.id }));
	EXPECT_EQ(0, disk_detach(&self->disk));
	/* It starts no earlier than it has a page table */
	EXPECT_EQ(0, disk_set_status(&self->disk, VIRTIO_CONFIG_S_ACKNOWLEDGE |
						  VIRTIO_CONFIG_S_DRIVER));
	EXPECT_EQ(EINVAL, iommu_cmd(self->disk.fd, VHOST_SET_FEATURES,
				    &features));
	EXPECT_EQ(EINVAL, disk_set_status(&self->disk, VDPA_STARTED));
	EXPECT_EQ(EINVAL, disk_set_status(&self->disk,
					  VIRTIO_CONFIG_S_DRIVER));
	EXPECT_EQ(variant->software ? ENOENT : EOPNOTSUPP,
		  disk_pin(&self->disk, DATA, DATA_LEN, 0));
	EXPECT_EQ(EOPNOTSUPP, disk_pin(&self->disk, DATA, DATA_LEN, 2));
	ASSERT_EQ(0, disk_attach(&self->disk, &(__u32){ self->ioas }));
	EXPECT_EQ(variant->software ? ENOENT : EOPNOTSUPP,
		  disk_pin(&self->disk, DATA, DATA_LEN, 0));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, disk_detach(&self->disk));
	EXPECT_EQ(0, iommu_destroy(self->fd, self->ioas));
}

/* What only a device with DMA has */
FIXTURE(hardware)
{
	FIXTURE_DATA(vdpa);
};

FIXTURE_SETUP(hardware)
{
	setup(_metadata, (void *)self, false);
}

FIXTURE_TEARDOWN(hardware)
{
	teardown(_metadata, (void *)self);
}

/* As the kernel has it, the driver takes the device for the DMA API */
TEST_F(hardware, unmanaged_dma)
{
	FIXTURE_DATA(vdpa) *vdpa = (void *)self;

	ASSERT_EQ(0, close(self->disk.fd));
	ASSERT_EQ(0, add_device(vdpa, "vp-vdpa"));
	self->disk.fd = vdpa_open("vp-vdpa");
	ASSERT_LE(0, self->disk.fd);
	/* Not for the interrupts, which are another reason */
	ASSERT_EQ(0, write_text(UNSAFE_MSI, "Y"));
	self->unsafe = true;
	EXPECT_EQ(EPERM, disk_bind(&self->disk, self->fd));
	/* Nor is anything of the device there for the user */
	EXPECT_EQ(EINVAL, disk_set_status(&self->disk, 0));
}

/* The device becomes one of VFIO, in the same iommufd, with its old file open */
TEST_F(hardware, moves_to_vfio)
{
	FIXTURE_DATA(vdpa) *vdpa = (void *)self;
	__u32 id = 0;

	ASSERT_EQ(0, bind_disk(vdpa));
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, self->disk.id));
	self->edu.dev = open_pci_cdev(self->bdf);
	ASSERT_LE(0, self->edu.dev);
	ASSERT_EQ(0, vfio_bind(self->edu.dev, self->fd, &id));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, id));
	EXPECT_EQ(ENODEV, disk_bind(&self->disk, self->fd));
}

TEST_F(hardware, attached_by_hwpt)
{
	FIXTURE_DATA(vdpa) *vdpa = (void *)self;
	__u32 hwpt[2], pt;

	ASSERT_EQ(0, bind_disk(vdpa));
	ASSERT_EQ(0, map_memory(vdpa));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, hwpt_alloc(self->fd, self->disk.id, self->ioas, 0,
					&hwpt[i]));
		pt = hwpt[i];
		ASSERT_EQ(0, disk_attach(&self->disk, &pt));
		EXPECT_EQ(hwpt[i], pt);
		if (!i)
			ASSERT_EQ(0, disk_start(&self->disk));
		EXPECT_EQ(1 + DATA_LEN / PAGE, vm_pin(0));
		memset(self->data, 0, DATA_LEN);
		ASSERT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
						   DATA_LEN));
		EXPECT_TRUE(is_content(self->data, 0, DATA_LEN));
	}
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt[0]));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, hwpt[1]));
	ASSERT_EQ(0, disk_detach(&self->disk));
	EXPECT_EQ(0, iommu_destroy(self->fd, hwpt[1]));
	EXPECT_EQ(0, vm_pin(0));
}

/* What only a device that translates by itself has */
FIXTURE(software)
{
	FIXTURE_DATA(vdpa);
};

FIXTURE_SETUP(software)
{
	setup(_metadata, (void *)self, true);
}

FIXTURE_TEARDOWN(software)
{
	teardown(_metadata, (void *)self);
}

/* The physical address of what is mapped there, or 0 */
static __u64 physical(const void *va)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	__u64 entry = 0;

	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (uintptr_t)va / PAGE * sizeof(entry)) !=
			      sizeof(entry))
		entry = 0;
	close(fd);
	return (entry & ((1ULL << 55) - 1)) * PAGE;
}

/*
 * The simulator is made with all memory mapped one to one. Whoever has it knows the
 * way into the kernel, unless that has been taken away before it starts.
 */
TEST_F(software, no_identity_map)
{
	FIXTURE_DATA(vdpa) *vdpa = (void *)self;
	struct pollfd pfd = { .fd = self->disk.call, .events = POLLIN };

	ASSERT_EQ(0, bind_disk(vdpa));
	ASSERT_EQ(0, disk_attach(&self->disk, &(__u32){ self->ioas }));
	/* Memory that nobody has touched has no address yet */
	memset(self->ring, 0, PAGE);
	memset(self->data, 0x66, DATA_LEN);
	self->disk.ring_iova = physical(self->ring);
	ASSERT_NE(0, self->disk.ring_iova);
	ASSERT_NE(0, physical(self->data));
	ASSERT_EQ(0, disk_start(&self->disk));
	ASSERT_EQ(0, disk_submit(&self->disk, false, 0, physical(self->data),
				 SECTOR));
	EXPECT_EQ(0, poll(&pfd, 1, 500));
	EXPECT_EQ(0, self->disk.ring->used.idx);
	EXPECT_TRUE(all_are(self->data, 0x66, DATA_LEN));

	/* It was not for anything else */
	self->disk.ring_iova = RING;
	ASSERT_EQ(0, map_memory(vdpa));
	ASSERT_EQ(0, reach_memory(vdpa));
	ASSERT_EQ(0, disk_start(&self->disk));
	EXPECT_EQ(VIRTIO_BLK_S_OK, disk_rw(&self->disk, false, 0, DATA,
					   SECTOR));
}

/* The IOAS of the only access, as /proc/self/fdinfo has it */
static int access_ioas(int fd, char *val, size_t len)
{
	int rc = ENOENT;

	for (__u32 id = 1; rc == ENOENT && id < 64; id++)
		rc = fdinfo_get(fd, val, len, "iommufd-access-%u-ioas", id);
	return rc;
}

TEST_F(software, pins)
{
	FIXTURE_DATA(vdpa) *vdpa = (void *)self;
	struct disk *disk = &self->disk;
	char attached[16], ioas[16];

	ASSERT_EQ(0, bind_disk(vdpa));
	ASSERT_EQ(0, access_ioas(self->fd, attached, sizeof(attached)));
	EXPECT_STREQ("none", attached);
	ASSERT_EQ(0, map_memory(vdpa));
	ASSERT_EQ(0, disk_attach(disk, &(__u32){ self->ioas }));
	snprintf(ioas, sizeof(ioas), "%u", self->ioas);
	ASSERT_EQ(0, access_ioas(self->fd, attached, sizeof(attached)));
	EXPECT_STREQ(ioas, attached);
	/* An access has nothing pinned by itself */
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(EINVAL, disk_pin(disk, RING, 0, 0));
	EXPECT_EQ(EINVAL, disk_pin(disk, RING + 1, PAGE, 0));
	EXPECT_EQ(EINVAL, disk_pin(disk, RING, PAGE - 1, 0));
	EXPECT_EQ(E2BIG, disk_pin(disk, RING, (1ULL << 30) + PAGE, 0));
	EXPECT_EQ(EOVERFLOW, disk_pin(disk, -PAGE, 2 * PAGE, 0));
	EXPECT_EQ(ENOENT, disk_pin(disk, RING, 2 * PAGE, 0));
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, reach_memory(vdpa));
	EXPECT_EQ(1 + DATA_LEN / PAGE, vm_pin(0));
	EXPECT_EQ(EEXIST, disk_pin(disk, DATA + PAGE, PAGE, 0));
	ASSERT_EQ(0, disk_start(disk));

	/* What it may only read it does not write, whatever the mapping allows */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->other, DATA_LEN,
				 OTHER));
	ASSERT_EQ(0, disk_pin(disk, OTHER, DATA_LEN, 0));
	make_content(self->other, 0, DATA_LEN);
	EXPECT_EQ(VIRTIO_BLK_S_OK, disk_rw(disk, true, 0, OTHER, DATA_LEN));
	memset(self->other, 0x77, DATA_LEN);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, disk_rw(disk, false, 0, OTHER, SECTOR));
	EXPECT_TRUE(all_are(self->other, 0x77, DATA_LEN));
	EXPECT_EQ(VIRTIO_BLK_S_OK, disk_rw(disk, false, 0, DATA, DATA_LEN));
	EXPECT_TRUE(is_content(self->data, 0, DATA_LEN));
	ASSERT_EQ(0, disk_detach(disk));
	EXPECT_EQ(0, vm_pin(0));
}

struct load {
	struct disk *disk;
	bool stop;
	unsigned int done, refused;
};

/* Reads until it is told to stop; false if anything else than the two comes */
static void *read_on(void *arg)
{
	struct load *load = arg;

	while (!__atomic_load_n(&load->stop, __ATOMIC_RELAXED)) {
		__u8 status = disk_rw(load->disk, false, 0, DATA, DATA_LEN);

		if (status == VIRTIO_BLK_S_OK)
			__atomic_add_fetch(&load->done, 1, __ATOMIC_RELAXED);
		else if (status == VIRTIO_BLK_S_IOERR)
			__atomic_add_fetch(&load->refused, 1, __ATOMIC_RELAXED);
		else
			return (void *)1;
	}
	return NULL;
}

/* Is there one more of them, soon? */
static bool counts_on(unsigned int *counter)
{
	unsigned int before = __atomic_load_n(counter, __ATOMIC_RELAXED);

	for (int i = 0; i < 20000; i++) {
		if (__atomic_load_n(counter, __ATOMIC_RELAXED) != before)
			return true;
		usleep(1000);
	}
	return false;
}

/* The unmap waits for a request that is just carried out, and ends its use */
TEST_F(software, unmapped_under_load)
{
	FIXTURE_DATA(vdpa) *vdpa = (void *)self;
	struct load load = { .disk = &self->disk };
	pthread_t thread;
	void *failed;

	ASSERT_EQ(0, bind_disk(vdpa));
	ASSERT_EQ(0, map_memory(vdpa));
	ASSERT_EQ(0, disk_attach(&self->disk, &(__u32){ self->ioas }));
	ASSERT_EQ(0, reach_memory(vdpa));
	ASSERT_EQ(0, disk_start(&self->disk));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_on, &load));
	for (int i = 0; i < 20; i++) {
		EXPECT_TRUE(counts_on(&load.done));
		ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, DATA, DATA_LEN,
					NULL));
		EXPECT_EQ(1, vm_pin(0));
		memset(self->data, 0x88, DATA_LEN);
		EXPECT_TRUE(counts_on(&load.refused));
		EXPECT_TRUE(all_are(self->data, 0x88, DATA_LEN));
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->data,
					 DATA_LEN, DATA));
		ASSERT_EQ(0, disk_reach(&self->disk, DATA, DATA_LEN));
	}
	__atomic_store_n(&load.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, &failed));
	EXPECT_EQ(NULL, failed);
}

TEST_HARNESS_MAIN
