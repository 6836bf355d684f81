/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rest of iommufd calls in the self test, and the one thing the self
 * test needs of the IOVA space; nothing without CONFIG_IOMMUFD_TEST.
 */
#ifndef __IOMMUFD_SELFTEST_H
#define __IOMMUFD_SELFTEST_H

#include <linux/errno.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct device;
struct dma_buf_attachment;
struct io_pagetable;
struct iommufd_object;
struct iommufd_ucmd;
struct phys_vec;

#ifdef CONFIG_IOMMUFD_TEST
/*
 * Cap on each scratch allocation in bytes, at least sizeof(unsigned long) +
 * sizeof(u32). A test may change it at any time, so read it once.
 */
extern size_t iommufd_test_memory_limit;
/*
 * How long a kernel initiated destruction waits for running ioctls, in
 * milliseconds. A parameter of the module, for tests that let it time out.
 */
extern unsigned int iommufd_test_destroy_timeout_ms;

bool iommufd_should_fail(void);
bool iommufd_selftest_is_mock_dev(struct device *dev);
void iommufd_test_syz_conv_iova_id(struct iommufd_ucmd *ucmd,
				   unsigned int ioas_id, u64 *iova,
				   u32 *flags);
int iommufd_test_dma_buf_iommufd_map(struct dma_buf_attachment *attachment,
				     struct phys_vec *phys);
int iommufd_test_init(void);
void iommufd_test_exit(void);
int iommufd_test(struct iommufd_ucmd *ucmd);
void iommufd_selftest_destroy(struct iommufd_object *obj);

/* In io_pagetable.c: start of the nth area by IOVA, false if there is none */
bool iopt_nth_area_iova(struct io_pagetable *iopt, unsigned int nth,
			unsigned long *iova);
#else
static inline bool iommufd_should_fail(void)
{
	return false;
}

static inline bool iommufd_selftest_is_mock_dev(struct device *dev)
{
	return false;
}

#define iommufd_test_memory_limit ((size_t)SZ_64K)
#define iommufd_test_destroy_timeout_ms 60000

static inline void iommufd_test_syz_conv_iova_id(struct iommufd_ucmd *ucmd,
						 unsigned int ioas_id,
						 u64 *iova, u32 *flags)
{
}

static inline int
iommufd_test_dma_buf_iommufd_map(struct dma_buf_attachment *attachment,
				 struct phys_vec *phys)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_test_init(void)
{
	return 0;
}

static inline void iommufd_test_exit(void)
{
}
#endif
#endif
