/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hardware queues of a vIOMMU. The structure is in include/linux/iommufd.h,
 * IOMMU drivers extend it.
 */
#ifndef __IOMMUFD_HW_QUEUE_H
#define __IOMMUFD_HW_QUEUE_H

struct iommufd_object;
struct iommufd_ucmd;

void iommufd_hw_queue_destroy(struct iommufd_object *obj);
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd);

#endif
