// SPDX-License-Identifier: GPL-2.0-only
#include "vfio.h"
#include "say.h"
#include "vfio_utils.h"

#include <sys/mman.h>

void vfio_open(struct vfio_device *dev, const char *node)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "The node is missing: devtmpfs must be mounted on /dev." },
		{ EACCES,
		  "Only root, or whoever owns the node, may open it." },
		{ ENODEV,
		  "vfio-pci has just let go of the device." },
		{ EBUSY,
		  "The device's VFIO group is in use." },
		{ EPERM,
		  "A device without an IOMMU needs CAP_SYS_RAWIO." },
		{ 0 }
	};

	memset(dev, 0, sizeof(*dev));
	dev->fd = open(node, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		die_errno(notes, "open(\"%s\")", node);
}

uint32_t vfio_bind_iommufd(struct vfio_device *dev, int iommu)
{
	static const struct errno_note notes[] = {
		{ ENOTTY,
		  "This kernel's VFIO knows no iommufd: CONFIG_VFIO_DEVICE_CDEV." },
		{ EBADF,
		  "The file descriptor is not open." },
		{ EBADFD,
		  "The file descriptor is not an iommufd." },
		{ EINVAL,
		  "The device is bound already, or its DMA is not cache coherent,\n"
		  "or its firmware demands memory regions of its own (RMRR)." },
		{ ENODEV,
		  "The device has no IOMMU: switch it on in the firmware and on the\n"
		  "kernel's command line (intel_iommu=on)." },
		{ EPERM,
		  "Another owner has the device's IOMMU group: a driver of the host holds\n"
		  "one of its devices, or another iommufd does.\n"
		  "Or interrupts are not remapped here, so that the device could forge any:\n"
		  "the module parameter iommufd.allow_unsafe_interrupts=1 accepts that\n"
		  "(on x86, virtio-iommu needs it)." },
		{ EBUSY,
		  "The IOMMU group is in use in another way." },
		{ ENOMEM,
		  "No memory for the new object." },
		{ 0 }
	};
	uint32_t id = 0;

	if (vfio_bind(dev->fd, iommu, &id))
		die_errno(notes, "VFIO_DEVICE_BIND_IOMMUFD");
	return id;
}

uint32_t vfio_attach_ioas(struct vfio_device *dev, uint32_t ioas)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "No object has this ID." },
		{ EINVAL,
		  "The ID is neither an IOAS nor a hardware page table, or the page table does\n"
		  "not fit this device's IOMMU." },
		{ EADDRINUSE,
		  "A reserved region of the device meets memory mapped in the IOAS, or its\n"
		  "IOMMU cannot express the alignment of a mapping." },
		{ EBUSY,
		  "The device is being reset." },
		{ EFAULT,
		  "Memory mapped in the IOAS is gone: it gets pinned now." },
		{ ENOMEM,
		  "Pinning the memory of the IOAS would exceed RLIMIT_MEMLOCK,\n"
		  "or there is no memory for the page tables." },
		{ 0 }
	};
	uint32_t pt = ioas;

	if (vfio_attach(dev->fd, &pt))
		die_errno(notes, "VFIO_DEVICE_ATTACH_IOMMUFD_PT(IOAS %u)",
			  ioas);
	return pt;
}

void vfio_detach_ioas(struct vfio_device *dev)
{
	if (vfio_detach(dev->fd))
		die_errno(NULL, "VFIO_DEVICE_DETACH_IOMMUFD_PT");
}

void vfio_close(struct vfio_device *dev)
{
	if (dev->regs)
		munmap(dev->regs, dev->bar0_size);
	close(dev->fd);
}

static struct vfio_region_info region_info(struct vfio_device *dev,
					   uint32_t index)
{
	static const struct errno_note notes[] = {
		{ EINVAL,
		  "The device has no such region, or is not bound to an iommufd." },
		{ 0 }
	};
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = index,
	};

	if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		die_errno(notes, "VFIO_DEVICE_GET_REGION_INFO(%u)", index);
	if (!info.size)
		die("the device's region %u is empty", index);
	return info;
}

void vfio_find_regions(struct vfio_device *dev)
{
	struct vfio_region_info info;
	void *map;

	info = region_info(dev, VFIO_PCI_CONFIG_REGION_INDEX);
	dev->config = info.offset;

	info = region_info(dev, VFIO_PCI_BAR0_REGION_INDEX);
	dev->bar0 = info.offset;
	dev->bar0_size = info.size;

	/*
	 * A BAR smaller than a page of a 16 or 64 KiB kernel may share its
	 * page with another device and then cannot be mapped; read() and
	 * write() at the region's offset always work, only slower.
	 */
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return;
	map = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   dev->fd, info.offset);
	if (map != MAP_FAILED)
		dev->regs = map;
}

/* Configuration space is little-endian, and so are x86-64 and arm64 here. */
void vfio_enable(struct vfio_device *dev, bool memory, bool bus_master)
{
	off_t at = dev->config + PCI_COMMAND;
	uint16_t command;

	if (pread(dev->fd, &command, sizeof(command), at) != sizeof(command))
		die_errno(NULL, "read the PCI command register");
	command &= ~(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (memory)
		command |= PCI_COMMAND_MEMORY;
	if (bus_master)
		command |= PCI_COMMAND_MASTER;
	if (pwrite(dev->fd, &command, sizeof(command), at) != sizeof(command))
		die_errno(NULL, "write the PCI command register");
}

/* Atomic, so that each access is exactly one of 32 bits on the bus. */
uint32_t vfio_read32(struct vfio_device *dev, uint32_t reg)
{
	uint32_t value;

	if (dev->regs)
		return __atomic_load_n(dev->regs + reg / 4, __ATOMIC_RELAXED);
	if (pread(dev->fd, &value, sizeof(value), dev->bar0 + reg) !=
	    sizeof(value))
		die_errno(NULL, "read register 0x%x", reg);
	return value;
}

void vfio_write32(struct vfio_device *dev, uint32_t reg, uint32_t value)
{
	if (dev->regs)
		__atomic_store_n(dev->regs + reg / 4, value, __ATOMIC_RELAXED);
	else if (pwrite(dev->fd, &value, sizeof(value), dev->bar0 + reg) !=
		 sizeof(value))
		die_errno(NULL, "write register 0x%x", reg);
}
