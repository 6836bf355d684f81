// SPDX-License-Identifier: GPL-2.0-only
#include "iommufd.h"
#include "memory.h"
#include "vfio_utils.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <string.h>
#include <sys/ioctl.h>

#define MAP_FLAGS                                              \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | \
	 IOMMU_IOAS_MAP_READABLE)

int iommufd_open(void)
{
	return open("/dev/iommu", O_RDWR | O_CLOEXEC);
}

const char *iommufd_attach(struct iommufd_space *space, int iommu,
			   const char *device)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int rc;

	space->iommu = iommu;
	space->device = open_pci_cdev(device);
	if (space->device < 0)
		return "vfio-pci does not take it";
	rc = vfio_bind(space->device, iommu, &space->device_id);
	if (!rc && ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc))
		rc = errno;
	space->ioas_id = alloc.out_ioas_id;
	if (!rc)
		rc = vfio_attach(space->device, &alloc.out_ioas_id);
	return rc ? strerror(rc) : NULL;
}

int iommufd_map_user(struct iommufd_space *space, uint64_t iova, void *start,
		     size_t bytes)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = MAP_FLAGS,
		.ioas_id = space->ioas_id,
		.user_va = (uintptr_t)start,
		.length = bytes,
		.iova = iova,
	};

	return ioctl(space->iommu, IOMMU_IOAS_MAP, &cmd) ? errno : 0;
}

static int map_file(struct iommufd_space *space, uint64_t iova, int fd,
		    size_t bytes)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = MAP_FLAGS,
		.ioas_id = space->ioas_id,
		.fd = fd,
		.length = bytes,
		.iova = iova,
	};

	return ioctl(space->iommu, IOMMU_IOAS_MAP_FILE, &cmd) ? errno : 0;
}

int iommufd_map(struct iommufd_space *space, uint64_t iova,
		const struct memory *memory)
{
	if (memory->fd >= 0 && memory->kind != MEMORY_ALIASED)
		return map_file(space, iova, memory->fd, memory->bytes);
	return iommufd_map_user(space, iova, memory->start, memory->bytes);
}

int iommufd_unmap(struct iommufd_space *space, uint64_t iova, size_t bytes)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = space->ioas_id,
		.iova = iova,
		.length = bytes,
	};

	return ioctl(space->iommu, IOMMU_IOAS_UNMAP, &cmd) ? errno : 0;
}

int iommufd_copy(struct iommufd_space *to, struct iommufd_space *from,
		 uint64_t iova, size_t bytes)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = MAP_FLAGS,
		.dst_ioas_id = to->ioas_id,
		.src_ioas_id = from->ioas_id,
		.length = bytes,
		.dst_iova = iova,
		.src_iova = iova,
	};

	return ioctl(to->iommu, IOMMU_IOAS_COPY, &cmd) ? errno : 0;
}

int iommufd_hwpt_alloc(struct iommufd_space *space, uint32_t flags,
		       uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = space->device_id,
		.pt_id = space->ioas_id,
	};

	if (ioctl(space->iommu, IOMMU_HWPT_ALLOC, &cmd))
		return errno;
	*id = cmd.out_hwpt_id;
	return 0;
}

int iommufd_destroy(struct iommufd_space *space, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return ioctl(space->iommu, IOMMU_DESTROY, &cmd) ? errno : 0;
}

int iommufd_dirty_enable(struct iommufd_space *space, uint32_t hwpt_id)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
		.hwpt_id = hwpt_id,
	};

	return ioctl(space->iommu, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd) ?
		       errno : 0;
}

int iommufd_dirty_read(struct iommufd_space *space, uint32_t hwpt_id,
		       uint64_t iova, size_t bytes, void *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt_id,
		.iova = iova,
		.length = bytes,
		.page_size = BENCH_PAGE,
		.data = (uintptr_t)bitmap,
	};

	return ioctl(space->iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd) ?
		       errno : 0;
}
