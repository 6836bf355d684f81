/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's "edu", a PCI device that copies between its 4 KiB buffer and memory
 * and raises an interrupt on request. It drives real DMA through whatever IOMMU
 * it is behind. As elsewhere a function returns 0 or a positive errno unless it
 * says otherwise.
 */
#ifndef __EDU_H
#define __EDU_H

#include <poll.h>
#include <sys/eventfd.h>

#include "iommu_utils.h"
#include "vfio_utils.h"

/* It has 28 bits of address and drops the others */
#define EDU_IOVA 0x1000000ULL
/* Some versions refuse to fill the whole of the buffer */
#define EDU_LEN 2048

/* Major and minor version, then this */
#define EDU_ID 0xedu
#define EDU_IRQ_RAISE 0x60
#define EDU_IRQ_ACK 0x64
#define EDU_SRC 0x80
#define EDU_DST 0x88
#define EDU_COUNT 0x90
#define EDU_CMD 0x98
#define EDU_CMD_RUN 1
#define EDU_CMD_TO_RAM 2
#define EDU_BUF 0x40000

/* Only "edu-pcie" has these, the device of tools/qemu. A transfer with that PASID: */
#define EDU_PASID 0xa0
#define EDU_CMD_PASID 8
/* By ATS; pages that are not there are asked for */
#define EDU_CMD_ATS 0x10
/* How the last transfer ended */
#define EDU_RESULT 0xa8
#define EDU_DONE 0
#define EDU_BLOCKED 1
#define EDU_REFUSED 2

struct edu {
	int dev;	/* the VFIO cdev, or -1 */
	void *bar;	/* its registers once started, or NULL */
	size_t bar_len;
	unsigned int nr;	/* which one of them, as of find_edu() */
	char bdf[256];
	int group;	/* number of its IOMMU group */
	bool unsafe;	/* allow_unsafe_interrupts had to be set */
};

/* The device number @nr of this kind: opened as a cdev, with vfio-pci for it */
static inline int edu_open(struct edu *edu, unsigned int nr)
{
	*edu = (struct edu){ .dev = -1, .nr = nr };
	if (!find_edu(nr, edu->bdf, sizeof(edu->bdf)))
		return ENODEV;
	edu->group = pci_group(edu->bdf);
	edu->dev = open_pci_cdev(edu->bdf);
	return edu->dev < 0 ? ENXIO : 0;
}

/* Skips in FIXTURE_SETUP() what edu_open() does not find */
#define EDU_OPEN_OR_SKIP(edu, nr)                                              \
	do {                                                                   \
		int __rc = edu_open(edu, nr);                                  \
									       \
		if (__rc == ENODEV)                                            \
			SKIP(return, "no PCI device 1234:11e8 (qemu -device edu)"); \
		if (__rc)                                                      \
			SKIP(return, "no VFIO cdev: no IOMMU or no vfio-pci?"); \
	} while (0)

/* Where MSIs are not isolated, the device is bound still: it is a toy */
static inline int edu_bind(struct edu *edu, int iommufd, __u32 *devid)
{
	int rc = vfio_bind(edu->dev, iommufd, devid);

	if (rc != EPERM || write_text(UNSAFE_MSI, "Y"))
		return rc;
	edu->unsafe = true;
	return vfio_bind(edu->dev, iommufd, devid);
}

/* After bind: out of reset, with its registers mapped */
static inline int edu_start(struct edu *edu)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	__u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	void *bar;
	int rc;

	/* Not every device can; a transfer may still be under way */
	iommu_cmd(edu->dev, VFIO_DEVICE_RESET, NULL);
	info.index = VFIO_PCI_CONFIG_REGION_INDEX;
	rc = iommu_cmd(edu->dev, VFIO_DEVICE_GET_REGION_INFO, &info);
	if (rc)
		return rc;
	if (pwrite(edu->dev, &command, 2, info.offset + PCI_COMMAND) != 2)
		return EIO;
	info = (struct vfio_region_info){ .argsz = sizeof(info) };
	info.index = VFIO_PCI_BAR0_REGION_INDEX;
	rc = iommu_cmd(edu->dev, VFIO_DEVICE_GET_REGION_INFO, &info);
	if (rc)
		return rc;
	bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   edu->dev, info.offset);
	if (bar == MAP_FAILED)
		return errno;
	edu->bar = bar;
	edu->bar_len = info.size;
	return (*(volatile __u32 *)bar & 0xff) == EDU_ID ? 0 : ENODEV;
}

/* The end of edu_open(), and of whatever came then */
static inline void edu_close(struct edu *edu)
{
	if (edu->bar)
		munmap(edu->bar, edu->bar_len);
	if (edu->dev >= 0)
		close(edu->dev);
	if (edu->unsafe)
		write_text(UNSAFE_MSI, "N");
	*edu = (struct edu){ .dev = -1 };
}

static inline void edu_reg(struct edu *edu, unsigned int reg, __u64 val)
{
	*(volatile __u64 *)(edu->bar + reg) = val;
}

static inline __u64 edu_read(const struct edu *edu, unsigned int reg)
{
	return *(volatile __u64 *)(edu->bar + reg);
}

/*
 * Starts a transfer in a certain way, EDU_CMD_PASID and EDU_CMD_ATS. It ends by
 * itself, after a tenth of a second in QEMU.
 */
static inline void edu_dma_start_by(struct edu *edu, __u64 iova, __u64 len,
				    bool to_ram, __u64 how)
{
	edu_reg(edu, EDU_SRC, to_ram ? EDU_BUF : iova);
	edu_reg(edu, EDU_DST, to_ram ? iova : EDU_BUF);
	edu_reg(edu, EDU_COUNT, len);
	edu_reg(edu, EDU_CMD,
		EDU_CMD_RUN | (to_ram ? EDU_CMD_TO_RAM : 0) | how);
}

static inline void edu_dma_start(struct edu *edu, __u64 iova, __u64 len,
				 bool to_ram)
{
	edu_dma_start_by(edu, iova, len, to_ram, 0);
}

static inline bool edu_dma_runs(const struct edu *edu)
{
	return edu_read(edu, EDU_CMD) & EDU_CMD_RUN;
}

/* False if the transfer never ends */
static inline bool edu_dma_wait(struct edu *edu)
{
	for (int i = 0; i < 3000; i++) {
		if (!edu_dma_runs(edu))
			return true;
		usleep(10000);
	}
	return false;
}

/* One transfer. False if it never ends. */
static inline bool edu_dma(struct edu *edu, __u64 iova, __u64 len, bool to_ram)
{
	edu_dma_start(edu, iova, len, to_ram);
	return edu_dma_wait(edu);
}

/* Has the device fetch from one place and store to another */
static inline bool edu_copy(struct edu *edu, __u64 from, __u64 to, __u64 len)
{
	return edu_dma(edu, from, len, false) && edu_dma(edu, to, len, true);
}

/* An eventfd for the device's MSI, or -1 */
static inline int edu_irq_setup(struct edu *edu)
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
			.index = VFIO_PCI_MSI_IRQ_INDEX,
			.count = 1,
		},
		.fd = fd,
	};

	if (fd >= 0 && iommu_cmd(edu->dev, VFIO_DEVICE_SET_IRQS, &cmd)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Has the device write its message. True if an interrupt arrives. */
static inline bool edu_irq_works(struct edu *edu, int irq)
{
	struct pollfd pfd = { .fd = irq, .events = POLLIN };
	__u64 count;

	*(volatile __u32 *)(edu->bar + EDU_IRQ_RAISE) = 1;
	*(volatile __u32 *)(edu->bar + EDU_IRQ_ACK) = 1;
	return poll(&pfd, 1, 3000) == 1 &&
	       read(irq, &count, sizeof(count)) == sizeof(count);
}

#endif
