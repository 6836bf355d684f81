/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the PASIDs of a group are attached to.
 */
#ifndef __IOMMUFD_ATTACH_H
#define __IOMMUFD_ATTACH_H

#include <linux/iommu.h>

struct iommufd_device;
struct iommufd_hw_pagetable;

bool iommufd_attach_peek(struct iommufd_device *idev, ioasid_t pasid,
			 struct iommufd_hw_pagetable **hwpt);
/* Tells a PASID, and what it is attached to */
typedef void (*iommufd_attach_fn_t)(void *data, ioasid_t pasid,
				    struct iommufd_hw_pagetable *hwpt);
bool iommufd_attach_try_each(struct iommufd_device *idev,
			     iommufd_attach_fn_t fn, void *data);
int iommufd_attach_hwpt(struct iommufd_device *idev, ioasid_t pasid,
			struct iommufd_hw_pagetable *hwpt);
int iommufd_replace_hwpt(struct iommufd_device *idev, ioasid_t pasid,
			 struct iommufd_hw_pagetable *hwpt,
			 struct iommufd_hw_pagetable **stale);
struct iommufd_hw_pagetable *iommufd_detach_hwpt(struct iommufd_device *idev,
						 ioasid_t pasid);
void iommufd_attach_flush_faults(struct iommufd_device *idev);

#endif
