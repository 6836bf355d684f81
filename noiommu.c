// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables for devices without an IOMMU. No hardware walks them: they only
 * remember what is mapped where, for IOMMU_IOAS_NOIOMMU_GET_PA, and so they are
 * in a format that has every page size.
 */
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "../iommu-pages.h"
#include "noiommu.h"

/**
 * struct noiommu_domain - a software page table
 * @domain: what others know of it
 * @iommu: the same, for generic code
 * @amdv1: the same, with its format
 * @top_lock: taken by generic code while the table gets a new top
 */
struct noiommu_domain {
	union {
		struct iommu_domain domain;
		struct pt_iommu iommu;
		struct pt_iommu_amdv1 amdv1;
	};
	spinlock_t top_lock; /* of the page table */
};

PT_IOMMU_CHECK_DOMAIN(struct noiommu_domain, iommu, domain);
PT_IOMMU_CHECK_DOMAIN(struct noiommu_domain, amdv1.iommu, domain);

/* Nobody holds a copy of the top that would have to follow */
static void noiommu_change_top(struct pt_iommu *iommu_table,
			       phys_addr_t top_paddr, unsigned int top_level)
{
}

static spinlock_t *noiommu_get_top_lock(struct pt_iommu *iommu_table)
{
	return &container_of(iommu_table, struct noiommu_domain, iommu)->top_lock;
}

static const struct pt_iommu_driver_ops noiommu_driver_ops = {
	.change_top = noiommu_change_top,
	.get_top_lock = noiommu_get_top_lock,
};

/* Generic code leaves the freeing of removed tables to this */
static void noiommu_iotlb_sync(struct iommu_domain *domain,
			       struct iommu_iotlb_gather *gather)
{
	iommu_put_pages_list(&gather->freelist);
}

static void noiommu_domain_free(struct iommu_domain *domain)
{
	struct noiommu_domain *noiommu =
		container_of(domain, struct noiommu_domain, domain);

	pt_iommu_deinit(&noiommu->iommu);
	kfree(noiommu);
}

static const struct iommu_domain_ops noiommu_domain_ops = {
	IOMMU_PT_DOMAIN_OPS(amdv1),
	.iotlb_sync = noiommu_iotlb_sync,
	.free = noiommu_domain_free,
};

/**
 * iommufd_noiommu_domain_alloc() - make a page table without hardware
 *
 * It takes any IOVA, starts small and grows with what is mapped.
 *
 * Return: a paging domain or ERR_PTR(-ENOMEM).
 */
struct iommu_domain *iommufd_noiommu_domain_alloc(void)
{
	static const struct pt_iommu_amdv1_cfg cfg = {
		/* The format is only built with all of these */
		.common.features = BIT(PT_FEAT_DYNAMIC_TOP) |
				   BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) |
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE),
		.common.hw_max_vasz_lg2 = 64,
		.common.hw_max_oasz_lg2 = 52,
		.starting_level = 2,
	};
	struct noiommu_domain *noiommu;
	int rc;

	noiommu = kzalloc_obj(*noiommu, GFP_KERNEL_ACCOUNT);
	if (!noiommu)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&noiommu->top_lock);
	noiommu->iommu.driver_ops = &noiommu_driver_ops;
	noiommu->iommu.nid = NUMA_NO_NODE;
	rc = pt_iommu_amdv1_init(&noiommu->amdv1, &cfg, GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(noiommu);
		return ERR_PTR(rc);
	}
	noiommu->domain.ops = &noiommu_domain_ops;
	return &noiommu->domain;
}
