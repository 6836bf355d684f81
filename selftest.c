// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_TEST_CMD: the ioctl behind the self tests, and those of its operations
 * that need no mock device.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>

#include "ioas.h"
#include "mock/mock.h"
#include "selftest.h"
#include "test_hooks.h"

static int iommufd_test_add_reserved(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long length = cmd->add_reserved.length;
	unsigned long start = cmd->add_reserved.start;
	unsigned long last;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		iommufd_get_ioas(ucmd->ictx, cmd->id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	/* Without an owner it stays until the IOAS is destroyed */
	return iopt_reserve(&ioas->iopt, start, last, NULL);
}

/* How often a page is pinned, as far as its reference count tells */
static int check_page_pins(unsigned long uptr, unsigned int pins)
{
	struct page *page;
	int rc;

	rc = get_user_pages_fast(uptr, 1, 0, &page);
	if (rc < 0)
		return rc;
	if (!rc)
		return -EFAULT;

	/* The pins of a compound page are not told apart from references */
	rc = 0;
	if (!PageCompound(page) &&
	    page_ref_count(page) / GUP_PIN_COUNTING_BIAS != pins)
		rc = -EIO;
	put_page(page);
	return rc;
}

static int iommufd_test_md_check_refs(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long uptr = cmd->check_refs.uptr;
	unsigned long end;
	int rc;

	if (check_add_overflow(cmd->check_refs.uptr, cmd->check_refs.length,
			       &end) ||
	    !PAGE_ALIGNED(uptr) || !PAGE_ALIGNED(end))
		return -EINVAL;

	for (; uptr != end; uptr += PAGE_SIZE) {
		if (fatal_signal_pending(current))
			return -EINTR;
		rc = check_page_pins(uptr, cmd->check_refs.refs);
		if (rc)
			return rc;
		cond_resched();
	}
	return 0;
}

static int iommufd_test_set_temp_memory_limit(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	/* The smallest scratch array has one element of a page frame batch */
	if (cmd->memory_limit.limit < sizeof(unsigned long) + sizeof(u32))
		return -EINVAL;
	WRITE_ONCE(iommufd_test_memory_max, cmd->memory_limit.limit);
	return 0;
}

static int (*const iommufd_test_ops[])(struct iommufd_ucmd *ucmd) = {
	[IOMMU_TEST_OP_ADD_RESERVED] = iommufd_test_add_reserved,
	[IOMMU_TEST_OP_MOCK_DOMAIN] = iommufd_test_mock_domain,
	[IOMMU_TEST_OP_MD_CHECK_MAP] = iommufd_test_md_check_map,
	[IOMMU_TEST_OP_MD_CHECK_REFS] = iommufd_test_md_check_refs,
	[IOMMU_TEST_OP_CREATE_ACCESS] = iommufd_test_create_access,
	[IOMMU_TEST_OP_DESTROY_ACCESS_PAGES] =
		iommufd_test_destroy_access_pages,
	[IOMMU_TEST_OP_ACCESS_PAGES] = iommufd_test_access_pages,
	[IOMMU_TEST_OP_ACCESS_RW] = iommufd_test_access_rw,
	[IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT] =
		iommufd_test_set_temp_memory_limit,
	[IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE] = iommufd_test_mock_domain_replace,
	[IOMMU_TEST_OP_ACCESS_REPLACE_IOAS] = iommufd_test_access_replace_ioas,
	[IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS] = iommufd_test_mock_domain_flags,
	[IOMMU_TEST_OP_DIRTY] = iommufd_test_dirty,
	[IOMMU_TEST_OP_MD_CHECK_IOTLB] = iommufd_test_md_check_iotlb,
	[IOMMU_TEST_OP_TRIGGER_IOPF] = iommufd_test_trigger_iopf,
	[IOMMU_TEST_OP_DEV_CHECK_CACHE] = iommufd_test_dev_check_cache,
	[IOMMU_TEST_OP_TRIGGER_VEVENT] = iommufd_test_trigger_vevent,
	[IOMMU_TEST_OP_PASID_ATTACH] = iommufd_test_pasid_attach,
	[IOMMU_TEST_OP_PASID_REPLACE] = iommufd_test_pasid_replace,
	[IOMMU_TEST_OP_PASID_DETACH] = iommufd_test_pasid_detach,
	[IOMMU_TEST_OP_PASID_CHECK_HWPT] = iommufd_test_pasid_check_hwpt,
	[IOMMU_TEST_OP_DMABUF_GET] = iommufd_test_dmabuf_get,
	[IOMMU_TEST_OP_DMABUF_REVOKE] = iommufd_test_dmabuf_revoke,
	[IOMMU_TEST_OP_MOCK_DEVICE] = iommufd_test_mock_device,
	[IOMMU_TEST_OP_BIND_AGAIN] = iommufd_test_bind_again,
};

/**
 * iommufd_test() - IOMMU_TEST_CMD
 * @ucmd: the call
 *
 * Return: a negative errno, or 0, or for IOMMU_TEST_OP_DMABUF_GET the new file
 * descriptor.
 */
int iommufd_test(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 op = cmd->op;

	if (op >= ARRAY_SIZE(iommufd_test_ops))
		return -EOPNOTSUPP;
	op = array_index_nospec(op, ARRAY_SIZE(iommufd_test_ops));
	if (!iommufd_test_ops[op])
		return -EOPNOTSUPP;
	return iommufd_test_ops[op](ucmd);
}

static const struct iommufd_test_ops iommufd_mock_ops = {
	.is_mock_dev = mock_is_dev,
	.dmabuf_phys = mock_dmabuf_phys,
};

/**
 * iommufd_test_init() - the last step of module init
 *
 * Return: 0 or a negative errno, with nothing left behind.
 */
int __init iommufd_test_init(void)
{
	int rc;

	iommufd_test_hooks_init(&iommufd_mock_ops);
	rc = mock_iommu_init();
	if (rc)
		iommufd_test_hooks_exit();
	return rc;
}

/**
 * iommufd_test_exit() - undo iommufd_test_init()
 */
void iommufd_test_exit(void)
{
	mock_iommu_exit();
	iommufd_test_hooks_exit();
}
