// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page table that outlives the device it was made for. Two devices of different
 * groups share the one that the kernel made for the first; that goes, in all the ways
 * there are, while the second one works on; then a third one joins. Needs root and two
 * of QEMU's "-device edu" in different groups; and a PCIe port called "plug" with
 * nothing on it, and a virtio port that leads to QEMU's monitor, which plugs one in.
 */
#include <poll.h>
#include <pthread.h>

#include "kselftest_harness.h"
#include "edu.h"

#define IOVA EDU_IOVA
#define LEN EDU_LEN
#define NR 64

FIXTURE(unplug)
{
	int fd;
	struct edu first, second;
	__u32 first_id, second_id, ioas, hwpt;
	__u8 *buf;
};

/* How the first one goes */
enum way { CLOSE, UNBIND, REMOVE, REMOVE_OPEN, UNPLUG, UNPLUG_OPEN };

FIXTURE_VARIANT(unplug)
{
	enum way way;
};

FIXTURE_VARIANT_ADD(unplug, closed)
{
	.way = CLOSE,
};

FIXTURE_VARIANT_ADD(unplug, unbound)
{
	.way = UNBIND,
};

FIXTURE_VARIANT_ADD(unplug, removed)
{
	.way = REMOVE,
};

FIXTURE_VARIANT_ADD(unplug, removed_while_open)
{
	.way = REMOVE_OPEN,
};

FIXTURE_VARIANT_ADD(unplug, unplugged)
{
	.way = UNPLUG,
};

FIXTURE_VARIANT_ADD(unplug, unplugged_while_open)
{
	.way = UNPLUG_OPEN,
};

#define PORTS "/sys/class/virtio-ports"

/* Is the virtio port of that name the one that leads to QEMU's monitor? */
static bool is_monitor(const char *port)
{
	char path[300], name[16] = {};
	FILE *f;

	snprintf(path, sizeof(path), PORTS "/%s/name", port);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = 0;
	fclose(f);
	return !strcmp(name, "monitor\n");
}

/* A file of that port, or -1 */
static int monitor_open(void)
{
	DIR *dir = opendir(PORTS);
	struct dirent *entry;
	char path[300];
	int fd = -1;

	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir))) {
		if (!is_monitor(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	closedir(dir);
	return fd;
}

/* A command for it. EBUSY if it had something to say against that. */
static int monitor_do(const char *command)
{
	int fd = monitor_open();
	char answer = 0;
	bool sent;

	if (fd < 0)
		return ENODEV;
	sent = dprintf(fd, "%s\n", command) > 0 && read(fd, &answer, 1) == 1;
	close(fd);
	if (!sent)
		return EIO;
	return answer == '\n' ? 0 : EBUSY;
}

/* Is it behind one of QEMU's PCIe ports? */
static bool on_port(const struct edu *edu)
{
	char port[300];

	snprintf(port, sizeof(port), "%s/..", edu->bdf);
	return pci_number(port, "vendor") == 0x1b36 &&
	       pci_number(port, "device") == 0xc;
}

/* The first one from number @nr on that is on a port, or not */
static int open_on_port(struct edu *edu, unsigned int nr, bool port)
{
	int rc;

	while (!(rc = edu_open(edu, nr++)) && on_port(edu) != port)
		edu_close(edu);
	return rc;
}

/* How often something is tried that an emulator as slow as can be does in a minute */
#define TRIES 600
#define TRY_USEC 100000

/*
 * Has one plugged in, and opens it. The emulator refuses as long as the port is busy
 * with the one before; and the kernel needs a while to find it and to let a driver
 * have it.
 */
static int plug_in(struct edu *edu)
{
	int rc = EBUSY;
	int i;

	for (i = 0; i < TRIES && rc == EBUSY; i++) {
		rc = monitor_do("device_add edu,bus=plug,id=plugged");
		if (rc)
			usleep(TRY_USEC);
	}
	if (rc)
		return rc;
	for (i = 0; i < TRIES; i++) {
		rc = open_on_port(edu, 0, true);
		if (!rc)
			break;
		usleep(TRY_USEC);
	}
	return rc;
}

/* One that can be unplugged. There may be one, from the test before. */
static int open_plugged(struct edu *edu)
{
	int rc = open_on_port(edu, 0, true);

	return rc == ENODEV ? plug_in(edu) : rc;
}

/* The first one that can go in that way, and another one, of another group */
static int open_both(struct edu *first, struct edu *second, enum way way)
{
	int rc = way >= UNPLUG ? open_plugged(first) :
				 open_on_port(first, 0, false);

	for (unsigned int nr = 0; !rc; nr++) {
		rc = open_on_port(second, nr, false);
		if (rc || second->group != first->group)
			return rc;
		nr = second->nr;
		edu_close(second);
	}
	return rc;
}

FIXTURE_SETUP(unplug)
{
	__u32 pt;

	self->first.dev = -1;
	self->second.dev = -1;
	OPEN_OR_SKIP(self->fd);
	if (open_both(&self->first, &self->second, variant->way))
		SKIP(return, "no two such edu devices in different groups");
	ASSERT_EQ(0, edu_bind(&self->first, self->fd, &self->first_id));
	ASSERT_EQ(0, edu_bind(&self->second, self->fd, &self->second_id));
	ASSERT_EQ(0, edu_start(&self->first));
	ASSERT_EQ(0, edu_start(&self->second));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 IOVA));
	self->hwpt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->first.dev, &self->hwpt));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_attach(self->second.dev, &pt));
	ASSERT_EQ(self->hwpt, pt);
}

FIXTURE_TEARDOWN(unplug)
{
	/* The first one bound has changed the option, if anyone */
	edu_close(&self->second);
	edu_close(&self->first);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
}

/* Something that is written to a file of the first device, or has it unplugged */
struct action {
	char path[600], text[300];
	bool unplug;
	int rc;
};

static int wait_until_gone(const char *path)
{
	for (int i = 0; i < TRIES; i++) {
		if (access(path, F_OK))
			return 0;
		usleep(TRY_USEC);
	}
	return ETIMEDOUT;
}

static void *do_action(void *arg)
{
	struct action *action = arg;

	if (!action->unplug) {
		action->rc = write_text(action->path, action->text);
		return NULL;
	}
	action->rc = monitor_do("device_del plugged");
	if (!action->rc)
		action->rc = wait_until_gone(action->path);
	return NULL;
}

/* Where the kernel says that it wants the device back */
static int request_eventfd(int dev)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct {
		struct vfio_irq_set set;
		__s32 fd;
	} cmd = {
		.set = {
			.argsz = sizeof(cmd),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1,
		},
		.fd = fd,
	};

	if (fd >= 0 && iommu_cmd(dev, VFIO_DEVICE_SET_IRQS, &cmd)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The kernel asks for the device, waits until it gets it, and takes it away */
static int remove_open(struct edu *edu, struct action *remove)
{
	struct pollfd request = {
		.fd = request_eventfd(edu->dev),
		.events = POLLIN,
	};
	pthread_t thread;

	if (request.fd < 0 ||
	    pthread_create(&thread, NULL, do_action, remove))
		return ENOMEM;
	if (poll(&request, 1, 20000) != 1)
		remove->rc = ETIMEDOUT;
	edu_close(edu);
	if (pthread_join(thread, NULL))
		return EINVAL;
	close(request.fd);
	return remove->rc;
}

static int take_away(struct edu *edu, enum way way)
{
	struct action action = { .unplug = way >= UNPLUG };
	bool unsafe = edu->unsafe;
	int rc = 0;

	/* The option stays for the other one */
	edu->unsafe = false;
	if (way == UNBIND) {
		snprintf(action.path, sizeof(action.path),
			 PCI "/devices/%s/driver/unbind", edu->bdf);
		snprintf(action.text, sizeof(action.text), "%s", edu->bdf);
	} else if (way >= UNPLUG) {
		snprintf(action.path, sizeof(action.path),
			 PCI "/devices/%s", edu->bdf);
	} else {
		snprintf(action.path, sizeof(action.path),
			 PCI "/devices/%s/remove", edu->bdf);
		snprintf(action.text, sizeof(action.text), "1");
	}
	if (way == REMOVE_OPEN || way == UNPLUG_OPEN) {
		rc = remove_open(edu, &action);
	} else {
		edu_close(edu);
		if (way != CLOSE)
			do_action(&action);
		rc = action.rc;
	}
	edu->unsafe = unsafe;
	return rc;
}

/* A device in that place again, as a new one */
static int bring_back(struct edu *edu, enum way way)
{
	bool unsafe = edu->unsafe;
	int rc = 0;

	if (way == REMOVE || way == REMOVE_OPEN)
		rc = write_text(PCI "/rescan", "1");
	if (!rc)
		rc = way >= UNPLUG ? plug_in(edu) :
				     open_on_port(edu, 0, false);
	edu->unsafe = unsafe;
	return rc;
}

/* DMA with what is mapped there, from one page to the next */
#define EXPECT_COPIES(edu, page, byte)                                         \
	do {                                                                   \
		__u8 *__src = self->buf + (page) * PAGE;                       \
									       \
		memset(__src, byte, PAGE);                                     \
		memset(__src + PAGE, 0, PAGE);                                 \
		EXPECT_TRUE(edu_copy(edu, IOVA + (page) * PAGE,                \
				     IOVA + ((page) + 1) * PAGE, LEN));        \
		EXPECT_EQ(0, memcmp(__src, __src + PAGE, LEN));                \
	} while (0)

/* A PCIe port lets five seconds pass before a device comes or goes */
TEST_F_TIMEOUT(unplug, domain_outlives_its_device, 300)
{
	__u32 hwpt, third, pt = self->ioas;
	char path[600];

	EXPECT_COPIES(&self->first, 0, 0x11);
	EXPECT_COPIES(&self->second, 0, 0x12);
	/* It does not notice */
	edu_dma_start(&self->second, IOVA, LEN, false);
	snprintf(path, sizeof(path), PCI "/devices/%s", self->first.bdf);
	ASSERT_EQ(0, take_away(&self->first, variant->way));
	EXPECT_EQ(variant->way >= REMOVE ? -1 : 0, access(path, F_OK));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, self->first_id));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, self->hwpt));
	EXPECT_COPIES(&self->second, 0, 0x13);

	/* All that has to do with the page table, and a device that is gone */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
				 self->buf + 2 * PAGE, (NR - 2) * PAGE,
				 IOVA + 2 * PAGE));
	EXPECT_EQ(NR, vm_pin(0));
	EXPECT_COPIES(&self->second, 2, 0x14);
	EXPECT_COPIES(&self->second, NR - 2, 0x15);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, IOVA, 2 * PAGE, NULL));
	memset(self->buf, 0x16, PAGE);
	ASSERT_TRUE(edu_dma(&self->second, IOVA, LEN, true));
	EXPECT_EQ(0x16, self->buf[0]);
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->second_id, self->ioas, 0,
				&hwpt));
	EXPECT_EQ(NR - 2, vm_pin(0));
	EXPECT_EQ(ENOENT, hwpt_alloc(self->fd, self->first_id, self->ioas, 0,
				     &third));
	ASSERT_EQ(0, iommu_destroy(self->fd, hwpt));

	/* Another one joins, and that the page table stays the same */
	ASSERT_EQ(0, bring_back(&self->first, variant->way));
	ASSERT_EQ(0, edu_bind(&self->first, self->fd, &third));
	ASSERT_EQ(0, edu_start(&self->first));
	ASSERT_EQ(0, vfio_attach(self->first.dev, &pt));
	EXPECT_EQ(self->hwpt, pt);
	EXPECT_EQ(NR - 2, vm_pin(0));
	EXPECT_COPIES(&self->first, 4, 0x17);
	EXPECT_COPIES(&self->second, 4, 0x18);
	/* Now it is that one that it goes on for */
	ASSERT_EQ(0, vfio_detach(self->second.dev));
	ASSERT_TRUE(edu_dma(&self->second, IOVA + 4 * PAGE, LEN, true));
	EXPECT_EQ(0x18, self->buf[4 * PAGE]);
	EXPECT_COPIES(&self->first, 6, 0x19);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 IOVA));
	EXPECT_COPIES(&self->first, 0, 0x1a);
	ASSERT_EQ(0, vfio_detach(self->first.dev));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, self->hwpt));
}

TEST_HARNESS_MAIN
