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
int iommufd_sw_msi_install(struct iommufd_ctx *ictx,
			   struct iommufd_hwpt_paging *hwpt_paging,
			   struct iommufd_sw_msi_map *msi_map);

static inline unsigned long sw_msi_iova(const struct iommufd_sw_msi_map *map)
{
	return map->sw_msi_start + (phys_addr_t)map->pgoff * PAGE_SIZE;
}

/**
 * iommufd_sw_msi_in_window() - may a group see a doorbell page at its IOVA
 * @igroup: the group, with its context's sw_msi_lock held
 * @map: the page, which may have got its IOVA from a larger window that starts
 *	at the same address
 *
 * Return: false when the page is beyond what is reserved for the group, which
 * user space may map; and for a group without a window.
 */
static inline bool iommufd_sw_msi_in_window(struct iommufd_group *igroup,
					    const struct iommufd_sw_msi_map *map)
{
	lockdep_assert_held(&igroup->ictx->sw_msi_lock);

	return map->sw_msi_start == igroup->sw_msi_start &&
	       map->pgoff < igroup->sw_msi_size >> PAGE_SHIFT;
}

/**
 * iommufd_sw_msi_uninstall() - the reverse of one iommufd_sw_msi_install()
 * @ictx: context, with its sw_msi_lock held
 * @hwpt_paging: HWPT that has the page
 * @msi_map: the page
 */
static inline void
iommufd_sw_msi_uninstall(struct iommufd_ctx *ictx,
			 struct iommufd_hwpt_paging *hwpt_paging,
			 struct iommufd_sw_msi_map *msi_map)
{
	lockdep_assert_held(&ictx->sw_msi_lock);

	if (!--hwpt_paging->sw_msi_users[msi_map->id])
		iommu_unmap(hwpt_paging->common.domain, sw_msi_iova(msi_map),
			    PAGE_SIZE);
}

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
