/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page cache of a memfd as a backing.
 */
#ifndef __IOMMUFD_FILE_MEMORY_H
#define __IOMMUFD_FILE_MEMORY_H

#include "pages.h"

struct file;

int iopt_file_memory_init(struct iopt_pages *pages,
			  enum iommufd_account_mode mode, struct file *file,
			  unsigned long start, unsigned long length,
			  bool writable);

#endif
