/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who uses the memory of an IOVA space from within the kernel.
 */
#ifndef __IOMMUFD_IOPT_USER_H
#define __IOMMUFD_IOPT_USER_H

#include "io_pagetable.h"

struct page;

int iopt_add_user(struct io_pagetable *iopt, struct iopt_user *user, u32 *id);
void iopt_remove_user(struct io_pagetable *iopt, struct iopt_user *user,
		      u32 id);
void iopt_drop_pins(struct io_pagetable *iopt, struct iopt_user *user, u32 id);
int iopt_notify_unmap(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length);

int iopt_pin_pages(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long length, struct page **out_pages, bool write,
		   bool lock_area);
void iopt_unpin_pages(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, bool unlock_area);
int iopt_rw(struct io_pagetable *iopt, unsigned long iova, void *data,
	    size_t length, unsigned int flags);

#endif
