/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Removing mappings from an IOVA space.
 */
#ifndef __IOMMUFD_IOPT_UNMAP_H
#define __IOMMUFD_IOPT_UNMAP_H

#include "io_pagetable.h"

int iopt_unmap(struct io_pagetable *iopt, unsigned long iova,
	       unsigned long length, unsigned long *unmapped);
int iopt_unmap_report(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, u64 __user *data,
		      unsigned long *unmapped);
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped);
void iopt_unmap_container(struct io_pagetable *iopt);
int iopt_cut(struct io_pagetable *iopt, const unsigned long *iovas,
	     unsigned int num_iovas);

void iopt_destroy(struct io_pagetable *iopt);

#endif
