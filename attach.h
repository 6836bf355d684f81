/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the PASIDs of a group are attached to.
 */
#ifndef __IOMMUFD_ATTACH_H
#define __IOMMUFD_ATTACH_H

struct iommufd_device;

void iommufd_attach_flush_faults(struct iommufd_device *idev);

#endif
