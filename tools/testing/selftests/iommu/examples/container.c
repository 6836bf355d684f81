// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that was written for VFIO's type1 container, and need not know whether
 * that or iommufd is behind /dev/vfio/vfio:
 *
 *   container /dev/vfio/GROUP DEVICE
 *
 * DEVICE is what VFIO calls it, 0000:01:00.0 for instance.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static void call(int fd, unsigned long request, void *arg, const char *what)
{
	if (ioctl(fd, request, arg))
		err(1, "%s", what);
}

int main(int argc, char **argv)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	size_t length = 2 << 20;
	int group, device;
	void *memory;

	if (argc != 3)
		errx(1, "usage: container /dev/vfio/GROUP DEVICE");
	group = open(argv[1], O_RDWR | O_CLOEXEC);
	if (container < 0)
		err(1, "/dev/vfio/vfio");
	if (group < 0)
		err(1, "%s", argv[1]);

	call(group, VFIO_GROUP_GET_STATUS, &status, "status");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		errx(1, "a device of the group has another driver than VFIO's");
	call(group, VFIO_GROUP_SET_CONTAINER, &container, "container");
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		err(1, "type1 v2");
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
	if (device < 0)
		err(1, "%s", argv[2]);

	call(container, VFIO_IOMMU_GET_INFO, &info, "info");
	printf("pages of 4096 bytes: %s\n",
	       info.iova_pgsizes & 4096 ? "yes" : "no");

	memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "memory");

	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.iova = 0x100000,
		.size = length,
	};
	call(container, VFIO_IOMMU_MAP_DMA, &map, "map");

	/* Here the device, as in driver.c, does DMA from 0x100000 on */

	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = map.iova,
		.size = length,
	};
	call(container, VFIO_IOMMU_UNMAP_DMA, &unmap, "unmap");
	printf("%llu bytes unmapped\n", (unsigned long long)unmap.size);
	munmap(memory, length);
	close(device);
	return 0;
}
