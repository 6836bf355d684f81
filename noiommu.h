/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables for devices without an IOMMU: they only remember what is mapped.
 */
#ifndef __IOMMUFD_NOIOMMU_H
#define __IOMMUFD_NOIOMMU_H

#include <linux/err.h>

struct iommu_domain;

#ifdef CONFIG_IOMMUFD_NOIOMMU
struct iommu_domain *iommufd_noiommu_domain_alloc(void);
#else
static inline struct iommu_domain *iommufd_noiommu_domain_alloc(void)
{
	return ERR_PTR(-ENODEV);
}
#endif
#endif
