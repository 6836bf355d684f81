/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving mappings to another address, and another process.
 */
#ifndef __IOMMUFD_IOPT_VADDR_H
#define __IOMMUFD_IOPT_VADDR_H

#include "accounting.h"
#include "io_pagetable.h"

int iopt_invalidate_vaddr(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, unsigned long *length);
int iopt_update_vaddr(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last, unsigned long uaddr,
		      enum iommufd_account_mode mode);

#endif
