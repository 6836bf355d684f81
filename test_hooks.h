/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the self test may interfere: places that fail when it says so, limits
 * that it lowers, and what only the mock driver can tell. All of it is nothing
 * without CONFIG_IOMMUFD_TEST.
 */
#ifndef __IOMMUFD_TEST_HOOKS_H
#define __IOMMUFD_TEST_HOOKS_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct device;
struct dma_buf_attachment;
struct phys_vec;

#ifdef CONFIG_IOMMUFD_TEST
/**
 * struct iommufd_test_ops - what the mock driver is asked
 * @is_mock_dev: tell a mock device from all others
 * @dmabuf_phys: where the memory of a test dma-buf is. Called with the
 *	dma-buf's reservation lock held, and valid until that is released.
 *	Returns 0, -EOPNOTSUPP for the dma-buf of another exporter, -ENODEV for
 *	one that is revoked.
 */
struct iommufd_test_ops {
	bool (*is_mock_dev)(struct device *dev);
	int (*dmabuf_phys)(struct dma_buf_attachment *attachment,
			   struct phys_vec *phys);
};

extern size_t iommufd_test_memory_max;
extern unsigned int iommufd_test_destroy_timeout;

/*
 * Cap on each scratch allocation in bytes, at least sizeof(unsigned long) +
 * sizeof(u32). A test may change it at any time, also between two calls.
 */
static inline size_t iommufd_test_memory_limit(void)
{
	return READ_ONCE(iommufd_test_memory_max);
}

/*
 * How long a kernel initiated destruction waits for running ioctls, in
 * milliseconds. A parameter of the module, for tests that let it time out.
 */
static inline unsigned int iommufd_test_destroy_timeout_ms(void)
{
	return READ_ONCE(iommufd_test_destroy_timeout);
}

bool iommufd_should_fail(void);
bool iommufd_test_is_mock_dev(struct device *dev);
int iommufd_test_dmabuf_phys(struct dma_buf_attachment *attachment,
			     struct phys_vec *phys);

void iommufd_test_hooks_init(const struct iommufd_test_ops *ops);
void iommufd_test_hooks_exit(void);
#else
static inline size_t iommufd_test_memory_limit(void)
{
	return SZ_64K;
}

static inline unsigned int iommufd_test_destroy_timeout_ms(void)
{
	return 60000;
}

static inline bool iommufd_should_fail(void)
{
	return false;
}

static inline bool iommufd_test_is_mock_dev(struct device *dev)
{
	return false;
}

static inline int
iommufd_test_dmabuf_phys(struct dma_buf_attachment *attachment,
			 struct phys_vec *phys)
{
	return -EOPNOTSUPP;
}
#endif
#endif
