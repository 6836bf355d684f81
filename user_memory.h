/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of a process as a backing.
 */
#ifndef __IOMMUFD_USER_MEMORY_H
#define __IOMMUFD_USER_MEMORY_H

#include "pages.h"

int iopt_user_memory_init(struct iopt_pages *pages,
			  enum iommufd_account_mode mode, unsigned long uaddr,
			  unsigned long length, bool writable);

#endif
