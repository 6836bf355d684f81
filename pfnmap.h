/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of a device that a driver has mapped into a process, as a backing.
 */
#ifndef __IOMMUFD_PFNMAP_H
#define __IOMMUFD_PFNMAP_H

#include "pages.h"

int iopt_pfnmap_find(unsigned long uaddr, unsigned long length,
		     unsigned long *part);
int iopt_pfnmap_init(struct iopt_pages *pages, unsigned long uaddr,
		     unsigned long length, bool writable);

/* With the module */
int iopt_pfnmap_setup(void);
void iopt_pfnmap_cleanup(void);

#endif
