/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Software MSI: doorbell pages of interrupt controllers that have to be mapped
 * in the domain of a device, at an IOVA of our choice within a window that the
 * IOMMU driver reserved for that.
 *
 * A group is "in" the paging HWPT that translates its DMA without PASID, and
 * during a replacement also in the next one. Whatever HWPT a group is in has
 * every doorbell page that the group's interrupts need.
 */
#ifndef __IOMMUFD_SW_MSI_H
#define __IOMMUFD_SW_MSI_H

#include "device.h"
#include "hw_pagetable.h"

#if IS_ENABLED(CONFIG_IRQ_MSI_IOMMU)
int iommufd_sw_msi_set_window(struct iommufd_group *igroup, phys_addr_t start,
			      phys_addr_t size);
void iommufd_sw_msi_clear_window(struct iommufd_group *igroup);
int iommufd_sw_msi_enter(struct iommufd_group *igroup,
			 struct iommufd_hwpt_paging *hwpt_paging);
void iommufd_sw_msi_leave(struct iommufd_group *igroup,
			  struct iommufd_hwpt_paging *hwpt_paging);
#else
static inline int iommufd_sw_msi_set_window(struct iommufd_group *igroup,
					    phys_addr_t start, phys_addr_t size)
{
	return 0;
}

static inline void iommufd_sw_msi_clear_window(struct iommufd_group *igroup)
{
}

static inline int iommufd_sw_msi_enter(struct iommufd_group *igroup,
				       struct iommufd_hwpt_paging *hwpt_paging)
{
	return 0;
}

static inline void iommufd_sw_msi_leave(struct iommufd_group *igroup,
					struct iommufd_hwpt_paging *hwpt_paging)
{
}
#endif
#endif
