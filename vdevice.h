/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vDEVICEs. The structure is in include/linux/iommufd.h, IOMMU drivers extend
 * it.
 */
#ifndef __IOMMUFD_VDEVICE_H
#define __IOMMUFD_VDEVICE_H

struct iommufd_device;
struct iommufd_object;
struct iommufd_ucmd;

void iommufd_vdevice_destroy(struct iommufd_object *obj);
void iommufd_vdevice_revoke(struct iommufd_device *idev);
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd);

#endif
