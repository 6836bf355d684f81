/* SPDX-License-Identifier: GPL-2.0-only */
/* What the front end, vdpa_front.c, knows of its two back ends. */
#ifndef __VDPA_BACKEND_H
#define __VDPA_BACKEND_H

#include <linux/iommufd.h>
#include <linux/mutex.h>
#include <linux/vdpa.h>

#include "vdpa_iommufd.h"

struct vdpa_backend;

/**
 * struct vdpa_backend_ops - what differs between the kinds of vDPA devices
 * @attach: use the IOAS or HWPT with the ID *@pt, also in place of another one,
 *	and tell in *@pt what is used. On failure all is as before.
 * @detach: the device gets to no memory any more; there is an attachment
 * @pin: let the device have a range, now; NULL if it has all of the IOAS
 * @unbind: the end of the back end. The device has been reset.
 *
 * All are called with the lock of the front end held, and without the back end's.
 */
struct vdpa_backend_ops {
	int (*attach)(struct vdpa_backend *backend, u32 *pt);
	void (*detach)(struct vdpa_backend *backend);
	int (*pin)(struct vdpa_backend *backend,
		   const struct vdpa_iommufd_pin *range);
	void (*unbind)(struct vdpa_backend *backend);
};

/**
 * struct vdpa_backend - a vDPA device that is bound to an iommufd
 * @ops: of its kind
 * @vdpa: the device
 * @lock: held while the device is started or reset, and while memory is taken from
 *	it, which needs to know whether it runs. The unmap callback takes it: no
 *	function of iommufd that waits for callbacks is called with it held.
 * @id: of the object in the iommufd
 * @attached: there is an attachment; protected by the front end
 */
struct vdpa_backend {
	const struct vdpa_backend_ops *ops;
	struct vdpa_device *vdpa;
	struct mutex lock; /* whether the device runs */
	u32 id;
	bool attached;
};

/*
 * Each binds a device, which has been reset, and returns the back end or an
 * ERR_PTR().
 */
struct vdpa_backend *vdpa_hardware_bind(struct vdpa_device *vdpa,
					struct iommufd_ctx *ictx);
struct vdpa_backend *vdpa_software_bind(struct vdpa_device *vdpa,
					struct iommufd_ctx *ictx);

#endif
