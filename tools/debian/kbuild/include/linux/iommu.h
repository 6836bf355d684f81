/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's header of this name, and what a kernel that was built without iommufd
 * cannot do, so that the files of ours need not know of such kernels.
 */
#ifndef __IOMMUFD_DEBIAN_IOMMU_H
#define __IOMMUFD_DEBIAN_IOMMU_H

#include_next <linux/iommu.h>

/*
 * IOMMU drivers that were compiled without CONFIG_IOMMUFD_DRIVER record no page
 * as dirty. They would say of any device that it has written nothing, and a VM
 * that is migrated would lose data: no device can track what it writes.
 */
static inline bool stock_iommu_capable(struct device *dev, enum iommu_cap cap)
{
	return cap != IOMMU_CAP_DIRTY_TRACKING &&
	       device_iommu_capable(dev, cap);
}

#define device_iommu_capable stock_iommu_capable

/*
 * Only iommufd knows where in an IOAS the interrupt controller is, where the IOMMU
 * asks for that, and such a kernel does not ask it: it refuses to set up an MSI of
 * the device. DMA is not concerned, and drivers that poll do without interrupts.
 */
static inline void stock_get_resv_regions(struct device *dev,
					  struct list_head *list)
{
	struct iommu_resv_region *region;

	iommu_get_resv_regions(dev, list);
	list_for_each_entry(region, list, list)
		if (region->type == IOMMU_RESV_SW_MSI)
			dev_notice_once(dev, "MSIs are not to be had behind this IOMMU, as the kernel was built without CONFIG_IOMMUFD\n");
}

#define iommu_get_resv_regions stock_get_resv_regions

#endif
