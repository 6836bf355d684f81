/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test ioctl, as main.c needs it, and the one thing the self test needs of
 * the IOVA space.
 */
#ifndef __IOMMUFD_SELFTEST_H
#define __IOMMUFD_SELFTEST_H

#include <linux/types.h>

#include "ioas.h"

struct io_pagetable;
struct iommufd_object;
struct iommufd_ucmd;

#ifdef CONFIG_IOMMUFD_TEST
int iommufd_test_init(void);
void iommufd_test_exit(void);
int iommufd_test(struct iommufd_ucmd *ucmd);
int iommufd_test_ioas_copy(struct iommufd_ucmd *ucmd);
void iommufd_selftest_destroy(struct iommufd_object *obj);
#else
static inline int iommufd_test_init(void)
{
	return 0;
}

static inline void iommufd_test_exit(void)
{
}

static inline int iommufd_test_ioas_copy(struct iommufd_ucmd *ucmd)
{
	return iommufd_ioas_copy(ucmd);
}
#endif
#endif
