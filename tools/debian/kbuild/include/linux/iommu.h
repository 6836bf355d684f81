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

#endif
