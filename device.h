/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bound devices, their groups, and what each PASID of a group is attached to.
 */
#ifndef __IOMMUFD_DEVICE_H
#define __IOMMUFD_DEVICE_H

#include <linux/iommu.h>

#include "object.h"

struct iommufd_group;
struct iommufd_hw_pagetable;

/**
 * struct iommufd_device - IOMMUFD_OBJ_DEVICE, a device bound to a context
 * @obj: in the ID table; its driver, each attachment and its vDEVICE use it
 * @ictx: the context, referenced unless @dev is a mock device
 * @igroup: the device's group, referenced
 * @dev: the device; a reference is held
 * @vdev: its vDEVICE or NULL, under iommufd_group.lock
 * @destroying: no new vDEVICE, under iommufd_group.lock
 * @noiommu: there was no IOMMU when it was bound
 * @enforce_cache_coherency: it was IOMMU_CAP_ENFORCE_CACHE_COHERENCY then
 */
struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommufd_group *igroup;
	struct device *dev;
	struct iommufd_vdevice *vdev;
	bool destroying : 1;
	bool noiommu : 1;
	bool enforce_cache_coherency : 1;
};

/**
 * struct iommufd_group - the bound devices of one iommu_group in one context
 * @ref: each bound device holds one
 * @lock: serialises attachment changes of the group, and protects what the
 *	fields here and in struct iommufd_device say it protects. Inside
 *	iommufd_ioas.mutex, outside the locks of struct io_pagetable and of the
 *	iommu core.
 * @ictx: the context
 * @group: referenced; NULL for a device without an IOMMU
 * @attachments: PASID to struct iommufd_attach, under @lock
 * @required_sw_msi: MSI doorbell pages the group's interrupts need, under
 *	iommufd_ctx.sw_msi_lock
 * @sw_msi_start: base of the software MSI window, PHYS_ADDR_MAX when none;
 *	under @lock, read by the MSI hook with the iommu group mutex held
 */
struct iommufd_group {
	struct kref ref;
	struct mutex lock;
	struct iommufd_ctx *ictx;
	struct iommu_group *group;
	struct xarray attachments;
	struct iommufd_sw_msi_maps required_sw_msi;
	phys_addr_t sw_msi_start;
};

/**
 * struct iommufd_attach_handle - what the iommu core remembers of an attachment
 * @handle: the core's part, found with iommu_attach_handle_get()
 * @igroup: the group attached; the attachment keeps it alive
 */
struct iommufd_attach_handle {
	struct iommu_attach_handle handle;
	struct iommufd_group *igroup;
};

static inline struct iommufd_attach_handle *
to_iommufd_handle(struct iommu_attach_handle *handle)
{
	return container_of(handle, struct iommufd_attach_handle, handle);
}

static inline struct iommufd_device *iommufd_get_device(struct iommufd_ctx *ictx,
							u32 id)
{
	return container_of_const(
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_DEVICE),
		struct iommufd_device, obj);
}

u32 iommufd_group_faulting_id(struct iommufd_group *igroup, struct device *dev);

void iommufd_device_pre_destroy(struct iommufd_object *obj);
void iommufd_device_destroy(struct iommufd_object *obj);
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd);

int iommufd_sw_msi_install(struct iommufd_ctx *ictx,
			   struct iommufd_hwpt_paging *hwpt_paging,
			   struct iommufd_sw_msi_map *msi_map);

#endif
