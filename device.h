/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that are bound to a context.
 */
#ifndef __IOMMUFD_DEVICE_H
#define __IOMMUFD_DEVICE_H

struct iommufd_object;
struct iommufd_ucmd;

void iommufd_device_pre_destroy(struct iommufd_object *obj);
void iommufd_device_disown(struct iommufd_object *obj);
void iommufd_device_destroy(struct iommufd_object *obj);
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd);

#endif
