/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls of a VFIO type1 container, on an IOAS.
 */
#ifndef __IOMMUFD_VFIO_COMPAT_H
#define __IOMMUFD_VFIO_COMPAT_H

#include "ctx.h"

int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		       unsigned long arg);
int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd);
void iommufd_vfio_left(struct iommufd_ctx *ictx);

#endif
