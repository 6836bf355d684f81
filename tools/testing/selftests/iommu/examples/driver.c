// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver in user space, from nothing to a device that does DMA:
 *
 *   driver /dev/vfio/devices/vfio0
 *
 * The device is QEMU's "edu", which copies between memory and a buffer of its own. It
 * is bound to vfio-pci already.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define EDU_BUFFER 0x40000
#define EDU_LENGTH 2048

static void call(int fd, unsigned long request, void *arg, const char *what)
{
	if (ioctl(fd, request, arg))
		err(1, "%s", what);
}

/* The registers, with DMA switched on */
static volatile uint64_t *start(int device)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct vfio_region_info config = {
		.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	struct vfio_region_info bar = {
		.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	void *registers;

	call(device, VFIO_DEVICE_GET_REGION_INFO, &config, "config space");
	if (pwrite(device, &command, sizeof(command),
		   config.offset + PCI_COMMAND) != sizeof(command))
		err(1, "PCI command register");
	call(device, VFIO_DEVICE_GET_REGION_INFO, &bar, "BAR 0");
	registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 device, bar.offset);
	if (registers == MAP_FAILED)
		err(1, "mmap of BAR 0");
	return registers;
}

/* Source, destination, length, and the command; bit 0 of that is set until it is done */
static void transfer(volatile uint64_t *registers, uint64_t from, uint64_t to,
		     unsigned int command)
{
	registers[0x80 / 8] = from;
	registers[0x88 / 8] = to;
	registers[0x90 / 8] = EDU_LENGTH;
	registers[0x98 / 8] = command | 1;
	while (registers[0x98 / 8] & 1)
		usleep(1000);
}

int main(int argc, char **argv)
{
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	int device = open(argc > 1 ? argv[1] : "/dev/vfio/devices/vfio0",
			  O_RDWR | O_CLOEXEC);
	size_t length = 2 << 20;
	volatile uint64_t *registers;
	char *memory;

	if (iommufd < 0)
		err(1, "/dev/iommu");
	if (device < 0)
		err(1, "the device");

	/* From here on the device can do no DMA until it is attached */
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	call(device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "bind");

	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	call(iommufd, IOMMU_IOAS_ALLOC, &alloc, "IOAS");

	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = alloc.out_ioas_id,
	};
	call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, "attach");
	/* attach.pt_id is now the HWPT that was found or made */

	memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "memory");

	/* Without IOMMU_IOAS_MAP_FIXED_IOVA the kernel chooses the IOVA */
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = alloc.out_ioas_id,
		.user_va = (uintptr_t)memory,
		.length = length,
	};
	call(iommufd, IOMMU_IOAS_MAP, &map, "map");

	strcpy(memory, "There and back again");
	registers = start(device);
	transfer(registers, map.iova, EDU_BUFFER, 0);
	transfer(registers, EDU_BUFFER, map.iova + length / 2, 2);
	printf("%s\n", memory + length / 2);

	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = alloc.out_ioas_id,
		.iova = map.iova,
		.length = length,
	};
	call(iommufd, IOMMU_IOAS_UNMAP, &unmap, "unmap");
	/* The device cannot reach the memory any more */
	munmap(memory, length);
	return 0;
}
