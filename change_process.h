/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Another owner for all mappings of a context.
 */
#ifndef __IOMMUFD_CHANGE_PROCESS_H
#define __IOMMUFD_CHANGE_PROCESS_H

struct iommufd_ctx;

int iommufd_change_process(struct iommufd_ctx *ictx);

#endif
