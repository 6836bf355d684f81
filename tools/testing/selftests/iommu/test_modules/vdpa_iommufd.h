/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs have a vDPA device with the ioctls of vhost-vdpa, as far as vdpa_front.c
 * has them, but for its messages about memory: in place of those stand the ones
 * here. The addresses of a virtqueue are IOVAs. The file is
 * /dev/vdpa-iommufd-NAME; poll() of it says POLLHUP once the device is gone.
 */
#ifndef __VDPA_IOMMUFD_H
#define __VDPA_IOMMUFD_H

#include <linux/types.h>
#include <linux/vhost.h>

#define VDPA_IOMMUFD_NODE "/dev/vdpa-iommufd-"

struct vdpa_iommufd_bind {
	__s32 iommufd;
	__u32 out_id;		/* of the device, or access, in the iommufd */
	__u32 out_flags;
};

/* It has no DMA that an IOMMU could translate, and is to be told what to use */
#define VDPA_IOMMUFD_SOFTWARE (1 << 0)

/*
 * The IOVAs of all that the device gets to see, whole pages. An unmap that touches
 * a range takes the whole of it back, and so does leaving the IOAS.
 */
struct vdpa_iommufd_pin {
	__u64 iova;
	__u64 length;
	__u32 flags;
	__u32 __reserved;
};

#define VDPA_IOMMUFD_PIN_WRITEABLE (1 << 0)

/* Before anything else */
#define VDPA_IOMMUFD_BIND _IOWR(VHOST_VIRTIO, 0xc0, struct vdpa_iommufd_bind)
/* An IOAS or HWPT to use, or to use from now on; and what is used, the HWPT */
#define VDPA_IOMMUFD_ATTACH _IOWR(VHOST_VIRTIO, 0xc1, __u32)
#define VDPA_IOMMUFD_DETACH _IO(VHOST_VIRTIO, 0xc2)
/* For a software device only */
#define VDPA_IOMMUFD_PIN _IOW(VHOST_VIRTIO, 0xc3, struct vdpa_iommufd_pin)
/* There is work in this virtqueue */
#define VDPA_IOMMUFD_KICK _IOW(VHOST_VIRTIO, 0xc4, __u32)

#endif
