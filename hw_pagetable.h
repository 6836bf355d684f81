/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hardware page tables: the objects that devices are attached to.
 */
#ifndef __IOMMUFD_HW_PAGETABLE_H
#define __IOMMUFD_HW_PAGETABLE_H

#include <linux/iommu.h>

#include "ioas.h"
#include "object.h"
#include "sw_msi.h"

struct iommufd_device;
struct iommufd_fault;

/**
 * struct iommufd_hw_pagetable - what paging and nested HWPTs share
 * @obj: in the ID table; each attachment, a PASID of a group, is a user
 * @domain: owned; its iommufd_hwpt points back here
 * @fault: where page faults of attached devices go, or NULL; a user of it
 * @dev: the device @domain was made for, which its driver may remember;
 *	referenced, not necessarily bound any more
 * @owner: the module of the driver that made @domain, referenced, or NULL
 * @pasid_compat: allocated with IOMMU_HWPT_ALLOC_PASID
 *
 * Everything is constant once the object is published.
 */
struct iommufd_hw_pagetable {
	struct iommufd_object obj;
	struct iommu_domain *domain;
	struct iommufd_fault *fault;
	struct device *dev;
	struct module *owner;
	bool pasid_compat;
};

/**
 * struct iommufd_hwpt_paging - IOMMUFD_OBJ_HWPT_PAGING, mirrors an IOAS
 * @common: shared part, at offset 0
 * @ioas: the IOAS mirrored; a user of it
 * @iopt_domain: the link into @ioas' IOVA space
 * @hwpt_item: on iommufd_ioas.hwpt_list if @auto_domain, or on none, under
 *	iommufd_ioas.mutex
 * @attached: number of attachments if @auto_domain, under iommufd_ioas.mutex;
 *	0 of a published one is final: it is going
 * @auto_domain: made by an attach to an IOAS; goes with its last attachment
 * @nest_parent: allocated with IOMMU_HWPT_ALLOC_NEST_PARENT
 * @linked: @iopt_domain is in @ioas' IOVA space
 * @sw_msi: MSI doorbell pages in the domain, beside what @ioas maps
 */
struct iommufd_hwpt_paging {
	struct iommufd_hw_pagetable common;
	struct iommufd_ioas *ioas;
	struct iopt_domain iopt_domain;
	struct list_head hwpt_item;
	unsigned int attached;
	bool auto_domain : 1;
	bool nest_parent : 1;
	bool linked : 1;
	struct sw_msi_domain sw_msi;
};

/**
 * struct iommufd_hwpt_nested - IOMMUFD_OBJ_HWPT_NESTED, a guest's stage 1
 * @common: shared part, at offset 0
 * @parent: stage 2 it was made on, a user of it; NULL when made on @viommu
 * @viommu: vIOMMU it was made on, a user of it; NULL when made on @parent
 */
struct iommufd_hwpt_nested {
	struct iommufd_hw_pagetable common;
	struct iommufd_hwpt_paging *parent;
	struct iommufd_viommu *viommu;
};

static inline bool hwpt_is_paging(const struct iommufd_hw_pagetable *hwpt)
{
	return hwpt->obj.type == IOMMUFD_OBJ_HWPT_PAGING;
}

static inline struct iommufd_hwpt_paging *
to_hwpt_paging(struct iommufd_hw_pagetable *hwpt)
{
	return container_of(hwpt, struct iommufd_hwpt_paging, common);
}

static inline struct iommufd_hwpt_nested *
to_hwpt_nested(struct iommufd_hw_pagetable *hwpt)
{
	return container_of(hwpt, struct iommufd_hwpt_nested, common);
}

/**
 * hwpt_stage2() - the paging HWPT that translates to physical addresses
 * @hwpt: any HWPT
 *
 * Return: @hwpt itself, or what it is nested on.
 */
static inline struct iommufd_hwpt_paging *
hwpt_stage2(struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_hwpt_nested *nested;

	if (hwpt_is_paging(hwpt))
		return to_hwpt_paging(hwpt);
	nested = to_hwpt_nested(hwpt);
	return nested->viommu ? nested->viommu->hwpt : nested->parent;
}

/**
 * hwpt_is_noiommu() - a page table that no hardware walks
 * @hwpt: any HWPT
 *
 * Return: true for one that devices without an IOMMU can be attached to; false
 * for one that the others can.
 */
static inline bool hwpt_is_noiommu(struct iommufd_hw_pagetable *hwpt)
{
	return hwpt_stage2(hwpt)->iopt_domain.noiommu;
}

static inline struct iommufd_hwpt_paging *
iommufd_get_hwpt_paging(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_HWPT_PAGING);

	return container_of_const(obj, struct iommufd_hwpt_paging, common.obj);
}

static inline struct iommufd_hwpt_nested *
iommufd_get_hwpt_nested(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_HWPT_NESTED);

	return container_of_const(obj, struct iommufd_hwpt_nested, common.obj);
}

int iommufd_hwpt_paging_init(struct iommufd_hwpt_paging *hwpt_paging,
			     struct iommufd_ioas *ioas,
			     struct iommufd_device *idev, u32 flags,
			     const struct iommu_user_data *user_data);
int iommufd_hwpt_paging_link(struct iommufd_hwpt_paging *hwpt_paging);
void iommufd_hwpt_paging_destroy(struct iommufd_object *obj);
void iommufd_hwpt_nested_destroy(struct iommufd_object *obj);
void iommufd_hwpt_get(struct iommufd_hw_pagetable *hwpt);
void iommufd_hwpt_put(struct iommufd_ctx *ictx,
		      struct iommufd_hw_pagetable *hwpt);

int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd);

#endif
