/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Groups, the devices in them that are bound, and what the iommu core remembers
 * of an attachment. Callers (VFIO) serialise the calls for one device.
 */
#ifndef __IOMMUFD_GROUP_H
#define __IOMMUFD_GROUP_H

#include <linux/iommu.h>

#include "object.h"
#include "sw_msi.h"

struct iommufd_group;
struct iommufd_vdevice;

/**
 * struct iommufd_device - IOMMUFD_OBJ_DEVICE, a device bound to a context
 * @obj: in the ID table; its driver, each attachment and its vDEVICE use it
 * @ictx: the context, referenced unless @dev is a mock device
 * @igroup: the device's group, referenced
 * @dev: the device, referenced: a HWPT or a fault may outlive the driver
 * @group_item: on iommufd_group.devices, under its devices_lock
 * @vdev: its vDEVICE or NULL, under iommufd_group.lock
 * @destroying: no new vDEVICE, under iommufd_group.lock
 * @noiommu: there was no IOMMU when it was bound; constant
 * @enforce_cache_coherency: it was IOMMU_CAP_ENFORCE_CACHE_COHERENCY then;
 *	constant
 */
struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommufd_group *igroup;
	struct device *dev;
	struct list_head group_item;
	struct iommufd_vdevice *vdev;
	bool destroying;
	bool noiommu;
	bool enforce_cache_coherency;
};

/**
 * struct iommufd_group - the bound devices of one iommu_group in one context
 * @ref: each bound device holds one, under xa_lock of iommufd_ctx.groups
 * @key: index in iommufd_ctx.groups: the number of @group, or the address of
 *	the only device
 * @ictx: the context
 * @group: referenced; NULL for a device without an IOMMU
 * @lock: serialises attachment changes of the group, and protects what the
 *	fields here and in struct iommufd_device say it protects
 * @attachments: PASID to struct iommufd_attach, under @lock
 * @devices_lock: protects @devices
 * @devices: struct iommufd_device.group_item of the bound devices
 * @sw_msi: MSI doorbell pages the group's interrupts need; changed by
 *	attachment changes, under @lock, and by interrupts; own lock
 */
struct iommufd_group {
	unsigned int ref;
	unsigned long key;
	struct iommufd_ctx *ictx;
	struct iommu_group *group;
	struct mutex lock; /* attachments */
	struct xarray attachments;
	spinlock_t devices_lock; /* devices */
	struct list_head devices;
	struct sw_msi_group sw_msi;
};

/**
 * struct iommufd_attach_handle - what the iommu core remembers of an attachment
 * @sw_msi: the core's part, and what the core's interrupts need of us
 * @igroup: the group attached; the attachment keeps it alive
 *
 * It names no device: the one that was attached first may go while others of
 * its group stay attached.
 */
struct iommufd_attach_handle {
	struct sw_msi_handle sw_msi;
	struct iommufd_group *igroup;
};

static inline struct iommufd_attach_handle *
to_iommufd_handle(struct iommu_attach_handle *handle)
{
	return container_of(handle, struct iommufd_attach_handle,
			    sw_msi.handle);
}

static inline struct iommufd_device *iommufd_get_device(struct iommufd_ctx *ictx,
							u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_DEVICE);

	return container_of_const(obj, struct iommufd_device, obj);
}

struct iommufd_group *iommufd_group_get(struct iommufd_ctx *ictx,
					struct device *dev, bool noiommu);
void iommufd_group_put(struct iommufd_group *igroup);
int iommufd_group_add_device(struct iommufd_group *igroup,
			     struct iommufd_device *idev);
void iommufd_group_remove_device(struct iommufd_group *igroup,
				 struct iommufd_device *idev);
struct iommufd_device *iommufd_group_find_device(struct iommufd_group *igroup,
						 struct device *dev);
u32 iommufd_group_faulting_id(struct iommufd_group *igroup, struct device *dev);

#endif
