// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains of the mock IOMMU, and the operations that look into them in the way
 * the hardware would.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../../iommu-pages.h"
#include "../hw_pagetable.h"
#include "mock.h"

/* Limit of IOMMU_TEST_OP_DIRTY, a bitmap of 16 MiB */
#define MOCK_DIRTY_MAX_BITS (SZ_16M * BITS_PER_BYTE)

static struct mock_paging_domain *to_mock_paging(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_paging_domain, domain);
}

static phys_addr_t mock_iova_to_phys(struct iommu_domain *domain,
				     dma_addr_t iova)
{
	guard(read_lock)(&to_mock_paging(domain)->walk_lock);
	return pt_iommu_amdv1_mock_iova_to_phys(domain, iova);
}

static void mock_iotlb_sync(struct iommu_domain *domain,
			    struct iommu_iotlb_gather *gather)
{
	struct mock_paging_domain *mock = to_mock_paging(domain);

	WRITE_ONCE(mock->dirty_cached, false);
	if (iommu_pages_list_empty(&gather->freelist))
		return;
	/* What is on the list was unlinked, only earlier walks can be in it */
	write_lock(&mock->walk_lock);
	write_unlock(&mock->walk_lock);
	iommu_put_pages_list(&gather->freelist);
}

static void mock_paging_free(struct iommu_domain *domain)
{
	struct mock_paging_domain *mock = to_mock_paging(domain);

	pt_iommu_deinit(&mock->iommu);
	kfree(mock);
}

static bool mock_enforce_cache_coherency(struct iommu_domain *domain)
{
	to_mock_paging(domain)->enforced = true;
	return true;
}

static const struct iommu_domain_ops mock_paging_ops = {
	.iova_to_phys = mock_iova_to_phys,
	.iotlb_sync = mock_iotlb_sync,
	.attach_dev = mock_attach_dev,
	.set_dev_pasid = mock_set_dev_pasid,
	.enforce_cache_coherency = mock_enforce_cache_coherency,
	.free = mock_paging_free,
};

/**
 * mock_domain_suits() - can a device be attached to a domain
 * @domain: any mock domain
 * @mdev: the device
 *
 * Return: false when @domain does what the IOMMU of @mdev cannot.
 */
bool mock_domain_suits(struct iommu_domain *domain, struct mock_dev *mdev)
{
	if (domain->dirty_ops && mdev->flags & MOCK_FLAGS_DEVICE_NO_DIRTY)
		return false;
	return domain->ops != &mock_paging_ops ||
	       !to_mock_paging(domain)->enforced ||
	       mdev->flags & MOCK_FLAGS_DEVICE_ENFORCE;
}

static int mock_set_dirty_tracking(struct iommu_domain *domain, bool enable)
{
	WRITE_ONCE(to_mock_paging(domain)->track_dirty, enable);
	return 0;
}

static int mock_read_and_clear_dirty(struct iommu_domain *domain,
				     unsigned long iova, size_t size,
				     unsigned long flags,
				     struct iommu_dirty_bitmap *dirty)
{
	int rc = pt_iommu_amdv1_mock_read_and_clear_dirty(domain, iova, size,
							  flags, dirty);

	if (dirty->gather->start <= dirty->gather->end)
		WRITE_ONCE(to_mock_paging(domain)->dirty_cached, true);
	return rc;
}

static const struct iommu_dirty_ops mock_dirty_ops = {
	.read_and_clear_dirty = mock_read_and_clear_dirty,
	.set_dirty_tracking = mock_set_dirty_tracking,
};

static int copy_hwpt_data(struct iommu_hwpt_selftest *data,
			  const struct iommu_user_data *user_data)
{
	if (user_data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	return iommu_copy_struct_from_user(data, user_data,
					   IOMMU_HWPT_DATA_SELFTEST, iotlb);
}

static int mock_paging_init(struct mock_paging_domain *mock,
			    u32 pagetable_type)
{
	static const struct pt_iommu_amdv1_mock_cfg cfg = {
		.common.hw_max_vasz_lg2 = 56,
		.common.hw_max_oasz_lg2 = 51,
		.starting_level = 2,
	};
	struct iommu_domain *domain = &mock->domain;
	int rc;

	rwlock_init(&mock->walk_lock);
	mock->iommu.nid = NUMA_NO_NODE;
	rc = pt_iommu_amdv1_mock_init(&mock->amdv1, &cfg, GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc;

	domain->ops = &mock_paging_ops;
	if (pagetable_type == MOCK_IOMMUPT_HUGE) {
		/* As little choice as possible of how to store a mapping */
		domain->pgsize_bitmap = MOCK_HUGE_PAGE_SIZE | PAGE_SIZE;
	} else {
		/* A space small enough for a test to reach the ends of */
		domain->geometry.aperture_start = MOCK_APERTURE_START;
		domain->geometry.aperture_end = MOCK_APERTURE_LAST;
	}
	return 0;
}

/**
 * mock_domain_alloc_paging() - domain_alloc_paging_flags of the mock IOMMU
 * @dev: a mock device that the domain must fit
 * @flags: IOMMU_HWPT_ALLOC_*
 * @user_data: struct iommu_hwpt_selftest, or NULL for the defaults
 *
 * Return: the domain, or ERR_PTR of -EOPNOTSUPP for what the mock or @dev
 * lacks, -EINVAL or -EFAULT for bad @user_data, -ENOMEM.
 */
struct iommu_domain *
mock_domain_alloc_paging(struct device *dev, u32 flags,
			 const struct iommu_user_data *user_data)
{
	const u32 known = IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID;
	struct iommu_hwpt_selftest data = {
		.pagetable_type = MOCK_IOMMUPT_DEFAULT,
	};
	struct mock_paging_domain *mock;
	int rc;

	if (flags & ~known)
		return ERR_PTR(-EOPNOTSUPP);
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
	    (to_mock_dev(dev)->flags & MOCK_FLAGS_DEVICE_NO_DIRTY))
		return ERR_PTR(-EOPNOTSUPP);
	if (user_data && user_data->type != IOMMU_HWPT_DATA_NONE) {
		rc = copy_hwpt_data(&data, user_data);
		if (rc)
			return ERR_PTR(rc);
	}
	if (data.pagetable_type != MOCK_IOMMUPT_DEFAULT &&
	    data.pagetable_type != MOCK_IOMMUPT_HUGE)
		return ERR_PTR(-EOPNOTSUPP);

	mock = kzalloc_obj(*mock, GFP_KERNEL_ACCOUNT);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	rc = mock_paging_init(mock, data.pagetable_type);
	if (rc) {
		kfree(mock);
		return ERR_PTR(rc);
	}
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		mock->domain.dirty_ops = &mock_dirty_ops;
	return &mock->domain;
}

static int mock_invalidate_iotlb(struct mock_nested_domain *nested,
				 const struct iommu_hwpt_invalidate_selftest *inv)
{
	int i;

	if (inv->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;

	if (inv->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL) {
		for (i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
			WRITE_ONCE(nested->iotlb[i], 0);
	} else {
		WRITE_ONCE(nested->iotlb[inv->iotlb_id], 0);
	}
	return 0;
}

static int mock_cache_invalidate_user(struct iommu_domain *domain,
				      struct iommu_user_data_array *array)
{
	const u32 type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST;
	struct iommu_hwpt_invalidate_selftest inv;
	u32 done = 0;
	int rc = 0;

	if (array->type != type)
		rc = -EINVAL;
	while (!rc && done != array->entry_num) {
		rc = iommu_copy_struct_from_user_array(&inv, array, type, done,
						       iotlb_id);
		if (!rc)
			rc = mock_invalidate_iotlb(to_mock_nested(domain),
						   &inv);
		if (!rc)
			done++;
	}
	array->entry_num = done;
	return rc;
}

static void mock_nested_free(struct iommu_domain *domain)
{
	kfree(to_mock_nested(domain));
}

static const struct iommu_domain_ops mock_nested_ops = {
	.attach_dev = mock_attach_dev,
	.set_dev_pasid = mock_set_dev_pasid,
	.cache_invalidate_user = mock_cache_invalidate_user,
	.free = mock_nested_free,
};

static struct iommu_domain *
mock_nested_alloc(struct mock_viommu *viommu,
		  const struct iommu_user_data *user_data)
{
	struct mock_nested_domain *nested;
	struct iommu_hwpt_selftest data;
	int rc, i;

	rc = copy_hwpt_data(&data, user_data);
	if (rc)
		return ERR_PTR(rc);

	nested = kzalloc_obj(*nested, GFP_KERNEL_ACCOUNT);
	if (!nested)
		return ERR_PTR(-ENOMEM);
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	nested->domain.ops = &mock_nested_ops;
	nested->viommu = viommu;
	for (i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		nested->iotlb[i] = data.iotlb;
	return &nested->domain;
}

/**
 * mock_domain_alloc_nested() - domain_alloc_nested of the mock IOMMU
 * @dev: a mock device
 * @parent: domain to nest on
 * @flags: IOMMU_HWPT_ALLOC_*
 * @user_data: struct iommu_hwpt_selftest
 *
 * Return: the domain, or ERR_PTR of -EOPNOTSUPP for unknown flags or data,
 * -EINVAL for another @parent or bad @user_data, -EFAULT, -ENOMEM.
 */
struct iommu_domain *
mock_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			 u32 flags, const struct iommu_user_data *user_data)
{
	if (flags & ~IOMMU_HWPT_ALLOC_PASID)
		return ERR_PTR(-EOPNOTSUPP);
	if (!parent || !(parent->type & __IOMMU_DOMAIN_PAGING))
		return ERR_PTR(-EINVAL);
	return mock_nested_alloc(NULL, user_data);
}

/**
 * mock_viommu_alloc_nested() - alloc_domain_nested of a mock vIOMMU
 * @viommu: vIOMMU, which the caller makes outlive the domain
 * @flags: IOMMU_HWPT_ALLOC_*
 * @user_data: struct iommu_hwpt_selftest
 *
 * Return: as mock_domain_alloc_nested().
 */
struct iommu_domain *
mock_viommu_alloc_nested(struct iommufd_viommu *viommu, u32 flags,
			 const struct iommu_user_data *user_data)
{
	if (flags & ~IOMMU_HWPT_ALLOC_PASID)
		return ERR_PTR(-EOPNOTSUPP);
	return mock_nested_alloc(to_mock_viommu(viommu), user_data);
}

/* Returns -ENOENT for no paging HWPT, -EINVAL for one of another driver */
static struct iommufd_hwpt_paging *get_mock_paging(struct iommufd_ctx *ictx,
						   u32 id)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_get_hwpt_paging(ictx, id);

	if (IS_ERR(hwpt) || hwpt->common.domain->ops == &mock_paging_ops)
		return hwpt;
	iommufd_put_object(&hwpt->common.obj);
	return ERR_PTR(-EINVAL);
}

/* Does @iova lead to the memory the caller has at @uptr? */
static int check_translation(struct iommu_domain *domain, unsigned long iova,
			     unsigned long uptr)
{
	struct page *page;
	phys_addr_t phys;
	int rc;

	rc = get_user_pages_fast(uptr, 1, 0, &page);
	if (rc < 0)
		return rc;
	if (!rc)
		return -EFAULT;
	phys = page_to_phys(page) + offset_in_page(uptr);
	put_page(page);
	return iommu_iova_to_phys(domain, iova) == phys ? 0 : -EINVAL;
}

static int check_translations(struct iommu_domain *domain, unsigned long iova,
			      unsigned long uptr, unsigned long end)
{
	unsigned long page_size = 1UL << __ffs(domain->pgsize_bitmap);
	int rc;

	if (!IS_ALIGNED(iova | uptr | end, page_size))
		return -EINVAL;

	for (; uptr != end; uptr += page_size, iova += page_size) {
		if (fatal_signal_pending(current))
			return -EINTR;
		rc = check_translation(domain, iova, uptr);
		if (rc)
			return rc;
		cond_resched();
	}
	return 0;
}

int iommufd_test_md_check_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	unsigned long end;
	int rc;

	hwpt = get_mock_paging(ucmd->ictx, cmd->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);

	if (check_add_overflow(cmd->check_map.uptr, cmd->check_map.length,
			       &end))
		rc = -EINVAL;
	else
		rc = check_translations(hwpt->common.domain,
					cmd->check_map.iova,
					cmd->check_map.uptr, end);
	iommufd_put_object(&hwpt->common.obj);
	return rc;
}

int iommufd_test_md_check_iotlb(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 index = cmd->check_iotlb.id;
	struct iommufd_hwpt_nested *hwpt;
	struct iommu_domain *domain;
	int rc = -EINVAL;

	hwpt = iommufd_get_hwpt_nested(ucmd->ictx, cmd->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);

	domain = hwpt->common.domain;
	if (domain->ops == &mock_nested_ops &&
	    index <= MOCK_NESTED_DOMAIN_IOTLB_ID_MAX &&
	    READ_ONCE(to_mock_nested(domain)->iotlb[index]) ==
		    cmd->check_iotlb.iotlb)
		rc = 0;
	iommufd_put_object(&hwpt->common.obj);
	return rc;
}

/* What the hardware does when a device writes; harmless if nothing is mapped */
static void mock_set_dirty(struct mock_paging_domain *mock, unsigned long iova)
{
	int rc;

	if (READ_ONCE(mock->dirty_cached))
		return;
	do {
		guard(read_lock)(&mock->walk_lock);
		/* -EAGAIN: lost against somebody else who changed the entry */
		rc = mock->iommu.ops->set_dirty(&mock->iommu, iova);
	} while (rc == -EAGAIN);
}

static int mock_set_dirty_bits(struct mock_paging_domain *mock,
			       unsigned long iova, unsigned long page_size,
			       const unsigned long *bitmap, unsigned long nbits)
{
	unsigned long bit;

	for_each_set_bit(bit, bitmap, nbits) {
		if (fatal_signal_pending(current))
			return -EINTR;
		mock_set_dirty(mock, iova + bit * page_size);
		cond_resched();
	}
	return 0;
}

static int mock_dirty_from_user(struct mock_paging_domain *mock,
				struct iommu_test_cmd *cmd, unsigned long nbits)
{
	unsigned long *bitmap __free(kvfree) = NULL;

	if (!READ_ONCE(mock->track_dirty))
		return -EINVAL;

	bitmap = kvcalloc(BITS_TO_LONGS(nbits), sizeof(*bitmap),
			  GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return -ENOMEM;
	if (copy_from_user(bitmap, u64_to_user_ptr(cmd->dirty.uptr),
			   BITS_TO_BYTES(nbits)))
		return -EFAULT;

	cmd->dirty.out_nr_dirty = bitmap_weight(bitmap, nbits);
	return mock_set_dirty_bits(mock, cmd->dirty.iova, cmd->dirty.page_size,
				   bitmap, nbits);
}

int iommufd_test_dirty(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long page_size = cmd->dirty.page_size;
	unsigned long length = cmd->dirty.length;
	unsigned long iova = cmd->dirty.iova;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (!page_size || !length || !cmd->dirty.uptr || iova % page_size ||
	    length % page_size)
		return -EINVAL;
	if (length / page_size > MOCK_DIRTY_MAX_BITS)
		return -EOVERFLOW;

	hwpt = get_mock_paging(ucmd->ictx, cmd->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = mock_dirty_from_user(to_mock_paging(hwpt->common.domain), cmd,
				  length / page_size);
	iommufd_put_object(&hwpt->common.obj);
	return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
