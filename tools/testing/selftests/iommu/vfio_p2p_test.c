// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peer-to-peer: a device that does DMA ("edu") reads and writes the memory of
 * another one, the controller memory buffer of QEMU's NVMe, through its IOVA. That
 * memory is mapped by the address where the test has it mapped, or as a dma-buf.
 * Needs root, VFIO with device cdevs, "-device edu", and
 * "-device nvme,serial=p2p,cmb_size_mb=2".
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "edu.h"

#define RAM	EDU_IOVA
#define PEER	(EDU_IOVA + (1ull << 20))
#define LEN	EDU_LEN
#define CMB	VFIO_PCI_BAR2_REGION_INDEX

FIXTURE(p2p)
{
	int fd;
	struct edu edu;
	char bdf[256];
	int peer;
	__u32 devid, peer_id, ioas;
	__u64 config;		/* offset of the peer's configuration space */
	__u64 cmb_at;		/* that of its memory */
	size_t cmb_len;
	volatile __u8 *cmb;
	__u8 *ram;
};

FIXTURE_VARIANT(p2p)
{
	bool dmabuf;
};

FIXTURE_VARIANT_ADD(p2p, address)
{
};

FIXTURE_VARIANT_ADD(p2p, dmabuf)
{
	.dmabuf = true,
};

static int set_command(FIXTURE_DATA(p2p) *self, __u16 command)
{
	return pwrite(self->peer, &command, 2, self->config + PCI_COMMAND) ==
			       2 ? 0 : EIO;
}

static int set_decode(FIXTURE_DATA(p2p) *self, bool on)
{
	return set_command(self, on ? PCI_COMMAND_MEMORY : 0);
}

static int map_cmb(FIXTURE_DATA(p2p) *self)
{
	void *va = mmap(NULL, self->cmb_len, PROT_READ | PROT_WRITE,
			MAP_SHARED, self->peer, self->cmb_at);

	self->cmb = va == MAP_FAILED ? NULL : va;
	return self->cmb ? 0 : errno;
}

/* A descriptor, or -1 */
static int export_cmb(FIXTURE_DATA(p2p) *self)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf buf;
		struct vfio_region_dma_range range;
	} __attribute__((packed)) cmd = {
		.feature.argsz = sizeof(cmd),
		.feature.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
		.buf.region_index = CMB,
		.buf.open_flags = O_RDWR | O_CLOEXEC,
		.buf.nr_ranges = 1,
		.range.length = self->cmb_len,
	};

	return ioctl(self->peer, VFIO_DEVICE_FEATURE, &cmd);
}

static int map_peer(FIXTURE_DATA(p2p) *self,
		    const FIXTURE_VARIANT(p2p) *variant)
{
	__u64 iova = PEER;
	int buf, rc;

	if (!variant->dmabuf)
		return ioas_map_at(self->fd, self->ioas, (void *)self->cmb,
				   self->cmb_len, PEER);
	buf = export_cmb(self);
	if (buf < 0)
		return errno;
	rc = ioas_map_file(self->fd, self->ioas, buf, 0, self->cmb_len,
			   MAP_FIX | MAP_RW, &iova);
	close(buf);
	return rc;
}

static int open_peer(FIXTURE_DATA(p2p) *self)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	int rc;

	self->peer = open_pci_cdev(self->bdf);
	if (self->peer < 0)
		return ENXIO;
	rc = vfio_bind(self->peer, self->fd, &self->peer_id);
	if (rc)
		return rc;
	info.index = VFIO_PCI_CONFIG_REGION_INDEX;
	if (ioctl(self->peer, VFIO_DEVICE_GET_REGION_INFO, &info))
		return errno;
	self->config = info.offset;
	info = (struct vfio_region_info){ .argsz = sizeof(info), .index = CMB };
	if (ioctl(self->peer, VFIO_DEVICE_GET_REGION_INFO, &info))
		return errno;
	self->cmb_at = info.offset;
	self->cmb_len = info.size;
	return info.size ? set_decode(self, true) ?: map_cmb(self) : ENODEV;
}

static void close_peer(FIXTURE_DATA(p2p) *self)
{
	if (self->cmb)
		munmap((void *)self->cmb, self->cmb_len);
	if (self->peer >= 0)
		close(self->peer);
	self->cmb = NULL;
	self->peer = -1;
}

FIXTURE_SETUP(p2p)
{
	__u32 pt;

	self->peer = -1;
	OPEN_OR_SKIP(self->fd);
	EDU_OPEN_OR_SKIP(&self->edu, 0);
	/* QEMU's NVMe with a controller memory buffer */
	if (!pci_find(0x1b36, 0x0010, 0, self->bdf, sizeof(self->bdf)))
		SKIP(return, "no NVMe with a controller memory buffer");
	ASSERT_EQ(0, edu_bind(&self->edu, self->fd, &self->devid));
	ASSERT_EQ(0, edu_start(&self->edu));
	ASSERT_EQ(0, open_peer(self));
	self->ram = buf_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->ram);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &pt));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->ram, 4 * PAGE,
				 RAM));
	ASSERT_EQ(0, map_peer(self, variant));
}

FIXTURE_TEARDOWN(p2p)
{
	close_peer(self);
	edu_close(&self->edu);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

/* The device writes a pattern into its peer. Whether it arrives is another matter */
static bool write_peer(FIXTURE_DATA(p2p) *self, __u8 pattern)
{
	memset(self->ram, pattern, LEN);
	return edu_copy(&self->edu, RAM, PEER, LEN);
}

/* What the device reads there; the CPU does not touch it, and so faults nothing in */
static int read_peer(FIXTURE_DATA(p2p) *self)
{
	memset(self->ram + PAGE, 0xee, LEN);
	/* A read that is stopped leaves what the buffer had before */
	if (!edu_dma(&self->edu, RAM + PAGE, LEN, false) ||
	    !edu_copy(&self->edu, PEER, RAM + 2 * PAGE, LEN))
		return -1;
	return self->ram[2 * PAGE] == self->ram[2 * PAGE + LEN - 1] ?
		       self->ram[2 * PAGE] : -1;
}

static void set_cmb(FIXTURE_DATA(p2p) *self, __u8 pattern)
{
	for (unsigned int i = 0; i < LEN; i++)
		self->cmb[i] = pattern;
}

static bool cmb_has(FIXTURE_DATA(p2p) *self, __u8 pattern)
{
	for (unsigned int i = 0; i < LEN; i++) {
		if (self->cmb[i] != pattern)
			return false;
	}
	return true;
}

/* The memory is reached again within seconds, by the kernel's own efforts */
static bool returns(FIXTURE_DATA(p2p) *self, __u8 pattern)
{
	for (unsigned int i = 0; i < 50; i++) {
		if (write_peer(self, pattern) && read_peer(self) == pattern)
			return true;
	}
	return false;
}

TEST_F(p2p, reads_and_writes)
{
	ASSERT_TRUE(write_peer(self, 0x5a));
	EXPECT_TRUE(cmb_has(self, 0x5a));
	set_cmb(self, 0xa5);
	EXPECT_EQ(0xa5, read_peer(self));
	/* None of that is memory that is pinned */
	EXPECT_EQ(4, vm_pin(0));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, PEER, self->cmb_len,
				NULL));
	ASSERT_TRUE(write_peer(self, 0x11));
	EXPECT_TRUE(cmb_has(self, 0xa5));
}

TEST_F(p2p, decode_off_and_on)
{
	for (__u8 i = 1; i < 4; i++) {
		ASSERT_TRUE(write_peer(self, i));
		ASSERT_EQ(0, set_decode(self, false));
		ASSERT_TRUE(write_peer(self, 0x77));
		ASSERT_EQ(0, set_decode(self, true));
		EXPECT_TRUE(returns(self, 0x40 + i));
		EXPECT_TRUE(cmb_has(self, 0x40 + i));
	}
}

TEST_F(p2p, reset)
{
	ASSERT_TRUE(write_peer(self, 0x21));
	ASSERT_EQ(0, iommu_cmd(self->peer, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(0, set_decode(self, true));
	EXPECT_TRUE(returns(self, 0x22));
	EXPECT_TRUE(cmb_has(self, 0x22));
}

/* A mapping that is made while the memory is away, and a second domain */
TEST_F(p2p, mapped_meanwhile)
{
	__u64 iova = PEER + (8ull << 20);
	__u32 hwpt;

	ASSERT_EQ(0, set_decode(self, false));
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas, self->ioas, PEER,
			       self->cmb_len, MAP_FIX | MAP_RW, &iova));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->devid, self->ioas, 0, &hwpt));
	ASSERT_EQ(0, vfio_attach(self->edu.dev, &hwpt));
	ASSERT_EQ(0, set_decode(self, true));
	EXPECT_TRUE(returns(self, 0x31));
	memset(self->ram, 0x32, LEN);
	ASSERT_TRUE(edu_copy(&self->edu, RAM, iova + PAGE, LEN));
	EXPECT_EQ(0x32, self->cmb[PAGE]);
	EXPECT_EQ(0x32, self->cmb[PAGE + LEN - 1]);
}

/* The peer goes. What is left of it is an empty mapping. */
TEST_F(p2p, unbind)
{
	__u64 unmapped;

	close_peer(self);
	ASSERT_EQ(0, write_text(PCI "/drivers/vfio-pci/unbind", self->bdf));
	ASSERT_TRUE(write_peer(self, 0x44));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, PEER, self->cmb_len,
				&unmapped));
	EXPECT_EQ(self->cmb_len, unmapped);
	ASSERT_EQ(0, open_peer(self));
	EXPECT_FALSE(cmb_has(self, 0x44));
	ASSERT_EQ(0, map_peer(self, variant));
	EXPECT_TRUE(returns(self, 0x45));
}

struct toggler {
	FIXTURE_DATA(p2p) *self;
	bool stop;
	unsigned int rounds;
};

static void *toggle(void *arg)
{
	struct toggler *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		set_decode(t->self, false);
		if (t->rounds++ % 8 == 7)
			ioctl(t->self->peer, VFIO_DEVICE_RESET);
		set_decode(t->self, true);
		/* Long enough for a map at times, which faults in every page */
		usleep(t->rounds % 4 ? 500 : 300000);
	}
	return NULL;
}

/* DMA goes on throughout */
TEST_F(p2p, resets_under_dma)
{
	struct toggler t = { .self = self };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, toggle, &t));
	for (unsigned int i = 0; i < 20; i++)
		EXPECT_TRUE(write_peer(self, 0x50 + i));
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(4, t.rounds);
	EXPECT_TRUE(returns(self, 0x70));
	EXPECT_TRUE(cmb_has(self, 0x70));
}

#define MAPS 200

/* Maps come and go against resets. EFAULT, or ENODEV: it is not there right now */
TEST_F_TIMEOUT(p2p, maps_against_resets, 200)
{
	const int away = variant->dmabuf ? ENODEV : EFAULT;
	struct toggler t = { .self = self };
	unsigned int mapped = 0;
	pthread_t thread;
	int rc;

	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, PEER, self->cmb_len,
				NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, toggle, &t));
	for (unsigned int i = 0; i < MAPS; i++) {
		rc = map_peer(self, variant);
		if (rc) {
			ASSERT_EQ(away, rc);
			continue;
		}
		mapped++;
		ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, PEER,
					self->cmb_len, NULL));
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TH_LOG("%u of %u maps, %u times away", mapped, MAPS, t.rounds);
	EXPECT_LT(0, mapped);
	ASSERT_EQ(0, map_peer(self, variant));
	EXPECT_TRUE(returns(self, 0x71));
}

FIXTURE_LIKE(p2p_address, p2p)

FIXTURE_VARIANT_ADD(p2p_address, address)
{
};

/* As far as the process may, and not a byte further */
TEST_F(p2p_address, follows_the_process)
{
	FIXTURE_DATA(p2p) *p2p = (void *)self;

	set_cmb(p2p, 0x10);
	ASSERT_EQ(0, mprotect((void *)self->cmb, PAGE, PROT_READ));
	ASSERT_TRUE(write_peer(p2p, 0x11));
	EXPECT_TRUE(cmb_has(p2p, 0x10));
	ASSERT_EQ(0, mprotect((void *)self->cmb, PAGE,
			      PROT_READ | PROT_WRITE));
	EXPECT_TRUE(returns(p2p, 0x12));
	ASSERT_EQ(0, munmap((void *)self->cmb, self->cmb_len));
	ASSERT_TRUE(write_peer(p2p, 0x13));
	ASSERT_EQ(0, map_cmb(p2p));
	EXPECT_TRUE(cmb_has(p2p, 0x12));
	ASSERT_TRUE(write_peer(p2p, 0x14));
	EXPECT_TRUE(cmb_has(p2p, 0x12));
}

/* VFIO_UPDATE_VADDR brings it back at another address */
TEST_F(p2p_address, moves)
{
	FIXTURE_DATA(p2p) *p2p = (void *)self;
	__u64 len = self->cmb_len;

	ASSERT_EQ(0, container_ioas(self->fd, IOMMU_VFIO_IOAS_SET,
				    &self->ioas));
	ASSERT_EQ(0, container_unmap_flags(self->fd, PEER, &len,
					   VFIO_DMA_UNMAP_FLAG_VADDR));
	ASSERT_TRUE(write_peer(p2p, 0x20));
	EXPECT_TRUE(cmb_has(p2p, 0x20));
	ASSERT_EQ(0, munmap((void *)self->cmb, self->cmb_len));
	ASSERT_TRUE(write_peer(p2p, 0x21));
	ASSERT_EQ(0, map_cmb(p2p));
	EXPECT_TRUE(cmb_has(p2p, 0x20));
	ASSERT_EQ(0, container_map(self->fd, (void *)self->cmb, PEER,
				   self->cmb_len, VFIO_DMA_MAP_FLAG_VADDR));
	EXPECT_TRUE(returns(p2p, 0x22));
	EXPECT_TRUE(cmb_has(p2p, 0x22));
}

TEST_HARNESS_MAIN
