// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a virtual machine monitor (VMM) does with the memory of its guest:
 *
 *   vmm /dev/vfio/devices/vfio0...
 *
 * The devices see memory where the guest does. Two DIMMs are there from the start, and
 * the guest gives one of them back.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define NDIMMS 2

/* Where the guest has memory, and where in the file that is */
static const struct dimm {
	uint64_t address, length, offset;
} dimms[NDIMMS] = {
	{ 0, 16 << 20, 0 },
	{ 4ULL << 30, 32 << 20, 16 << 20 },
};

static void call(int fd, unsigned long request, void *arg, const char *what)
{
	if (ioctl(fd, request, arg))
		err(1, "%s", what);
}

static void add_device(int iommufd, uint32_t ioas, const char *path)
{
	int device = open(path, O_RDWR | O_CLOEXEC);

	if (device < 0)
		err(1, "%s", path);

	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	call(device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "bind");

	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = ioas,
	};
	call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, "attach");
}

/* The IOVAs that all devices and their IOMMUs can use; the caller frees them */
static struct iommu_iova_range *usable(int iommufd, uint32_t ioas, uint32_t *n)
{
	struct iommu_ioas_iova_ranges get = {
		.size = sizeof(get),
		.ioas_id = ioas,
	};
	struct iommu_iova_range *ranges;

	/* With no room for any, this fails with EMSGSIZE and says how many there are */
	if (!ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &get) || errno != EMSGSIZE)
		errx(1, "the devices leave no IOVA");
	ranges = calloc(get.num_iovas, sizeof(*ranges));
	if (!ranges)
		err(1, "ranges");
	get.allowed_iovas = (uintptr_t)ranges;
	call(iommufd, IOMMU_IOAS_IOVA_RANGES, &get, "ranges");
	*n = get.num_iovas;
	return ranges;
}

static bool is_within(const struct dimm *dimm,
		      const struct iommu_iova_range *ranges, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (ranges[i].start <= dimm->address &&
		    dimm->address + dimm->length - 1 <= ranges[i].last)
			return true;
	return false;
}

/*
 * A device that is added while the guest runs must leave it its memory: if it cannot,
 * it is refused.
 */
static void promise_layout(int iommufd, uint32_t ioas)
{
	struct iommu_iova_range wanted[NDIMMS];

	for (unsigned int i = 0; i < NDIMMS; i++) {
		wanted[i].start = dimms[i].address;
		wanted[i].last = dimms[i].address + dimms[i].length - 1;
	}

	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = ioas,
		.num_iovas = NDIMMS,
		.allowed_iovas = (uintptr_t)wanted,
	};
	call(iommufd, IOMMU_IOAS_ALLOW_IOVAS, &allow, "allow");
}

static void plug(int iommufd, uint32_t ioas, int memfd, const struct dimm *dimm)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = memfd,
		.start = dimm->offset,
		.length = dimm->length,
		.iova = dimm->address,
	};
	call(iommufd, IOMMU_IOAS_MAP_FILE, &map, "map");
}

static uint64_t unplug(int iommufd, uint32_t ioas, const struct dimm *dimm)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = dimm->address,
		.length = dimm->length,
	};
	call(iommufd, IOMMU_IOAS_UNMAP, &unmap, "unmap");
	return unmap.length;
}

int main(int argc, char **argv)
{
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	int memfd = memfd_create("guest", MFD_CLOEXEC);
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_iova_range *ranges;
	uint32_t n;

	if (iommufd < 0)
		err(1, "/dev/iommu");
	if (memfd < 0 || ftruncate(memfd, 48 << 20))
		err(1, "guest memory");
	call(iommufd, IOMMU_IOAS_ALLOC, &alloc, "IOAS");
	for (int i = 1; i < argc; i++)
		add_device(iommufd, alloc.out_ioas_id, argv[i]);

	/* Only with the devices attached is it known what they need for themselves */
	ranges = usable(iommufd, alloc.out_ioas_id, &n);
	for (unsigned int i = 0; i < NDIMMS; i++)
		if (!is_within(&dimms[i], ranges, n))
			errx(1, "guest memory cannot be at %#llx",
			     (unsigned long long)dimms[i].address);
	free(ranges);
	promise_layout(iommufd, alloc.out_ioas_id);
	for (unsigned int i = 0; i < NDIMMS; i++)
		plug(iommufd, alloc.out_ioas_id, memfd, &dimms[i]);

	/* Here the guest runs, with the file mapped as its memory */

	printf("%llu bytes unplugged\n", (unsigned long long)
	       unplug(iommufd, alloc.out_ioas_id, &dimms[1]));
	return 0;
}
