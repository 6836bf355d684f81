// SPDX-License-Identifier: GPL-2.0-only
#include "type1.h"
#include "vfio_utils.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

const char *type1_open(struct type1 *type1, const char *device)
{
	int rc = pci_bind(device, "vfio-pci");
	char path[64];

	if (rc)
		return strerror(rc);
	snprintf(path, sizeof(path), "/dev/vfio/%d", pci_group(device));

	type1->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (type1->container < 0)
		return "there is no /dev/vfio/vfio";
	if (!ioctl(type1->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU))
		return "the container has no type1 IOMMU";
	type1->group = open(path, O_RDWR | O_CLOEXEC);
	if (type1->group < 0)
		return "the VFIO group cannot be opened";
	if (ioctl(type1->group, VFIO_GROUP_SET_CONTAINER, &type1->container) ||
	    ioctl(type1->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return strerror(errno);
	type1->device = ioctl(type1->group, VFIO_GROUP_GET_DEVICE_FD, device);
	return type1->device < 0 ? strerror(errno) : NULL;
}

int type1_map(struct type1 *type1, uint64_t iova, void *start, size_t bytes)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)start,
		.iova = iova,
		.size = bytes,
	};

	return ioctl(type1->container, VFIO_IOMMU_MAP_DMA, &cmd) ? errno : 0;
}

int type1_unmap(struct type1 *type1, uint64_t iova, size_t bytes)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.iova = iova,
		.size = bytes,
	};

	if (ioctl(type1->container, VFIO_IOMMU_UNMAP_DMA, &cmd))
		return errno;
	return cmd.size == bytes ? 0 : ENXIO;
}
