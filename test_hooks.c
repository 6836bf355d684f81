// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the self test may interfere.
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/moduleparam.h>

#include "test_hooks.h"

size_t iommufd_test_memory_max = SZ_64K;

unsigned int iommufd_test_destroy_timeout = 60000;
module_param_named(test_destroy_timeout_ms, iommufd_test_destroy_timeout, uint,
		   0600);
MODULE_PARM_DESC(test_destroy_timeout_ms,
		 "For tests: how long a driver that unbinds its device waits for running ioctls");

static DECLARE_FAULT_ATTR(fail_iommufd);
static struct dentry *fail_iommufd_dir;

/* NULL until the mock driver is there, and once it is gone */
static const struct iommufd_test_ops *test_ops;

/**
 * iommufd_should_fail() - a place where a test may have an operation fail
 *
 * Put one in front of every step that can fail other than by lack of memory,
 * which the allocators' own injection covers.
 *
 * Return: true when this call has to fail.
 */
bool iommufd_should_fail(void)
{
	return should_fail(&fail_iommufd, 1);
}

/**
 * iommufd_test_is_mock_dev() - tell mock devices from all others
 * @dev: any device
 *
 * Return: true for a mock device.
 */
bool iommufd_test_is_mock_dev(struct device *dev)
{
	return test_ops && test_ops->is_mock_dev(dev);
}

/**
 * iommufd_test_dmabuf_phys() - the memory behind a test dma-buf
 * @attachment: iommufd's attachment to any dma-buf
 * @phys: where to put the one range of physical memory
 *
 * Context: the dma-buf's reservation lock must be held, and until it is
 * released the result is valid.
 *
 * Return: 0, -EOPNOTSUPP for the dma-buf of another exporter, -ENODEV for one
 * that is revoked.
 */
int iommufd_test_dmabuf_phys(struct dma_buf_attachment *attachment,
			     struct phys_vec *phys)
{
	return test_ops ? test_ops->dmabuf_phys(attachment, phys) : -EOPNOTSUPP;
}

/**
 * iommufd_test_hooks_init() - let the self test interfere
 * @ops: what the mock driver knows
 */
void iommufd_test_hooks_init(const struct iommufd_test_ops *ops)
{
	/* Tests without fault injection do not need debugfs */
	fail_iommufd_dir =
		fault_create_debugfs_attr("fail_iommufd", NULL, &fail_iommufd);
	test_ops = ops;
}

/**
 * iommufd_test_hooks_exit() - undo iommufd_test_hooks_init()
 */
void iommufd_test_hooks_exit(void)
{
	test_ops = NULL;
	debugfs_remove_recursive(fail_iommufd_dir);
}
