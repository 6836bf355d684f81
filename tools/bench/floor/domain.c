// SPDX-License-Identifier: GPL-2.0-only
/*
 * The I/O page table alone.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "floor.h"

/* Away from what the platform reserves for interrupts */
#define FLOOR_IOVA ((unsigned long)SZ_4G)

static int map_runs(struct iommu_domain *domain, struct floor_runs *runs)
{
	unsigned long iova = FLOOR_IOVA, i;
	int rc;

	for (i = 0; i != runs->nr; i++) {
		struct floor_run *run = &runs->runs[i];

		rc = iommu_map(domain, iova, PFN_PHYS(run->pfn),
			       run->npages * PAGE_SIZE,
			       IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE,
			       GFP_KERNEL_ACCOUNT);
		if (rc) {
			iommu_unmap(domain, FLOOR_IOVA, iova - FLOOR_IOVA);
			return rc;
		}
		iova += run->npages * PAGE_SIZE;
	}
	return 0;
}

static int map_and_unmap(struct iommu_domain *domain, struct floor_runs *runs,
			 struct bench_floor *floor)
{
	size_t bytes = runs->npages * PAGE_SIZE;
	u64 start = floor_ticks();
	size_t done;
	int rc;

	rc = map_runs(domain, runs);
	if (rc)
		return rc;
	floor->map_ticks += floor_ticks() - start;

	start = floor_ticks();
	done = iommu_unmap(domain, FLOOR_IOVA, bytes);
	floor->unmap_ticks += floor_ticks() - start;
	return done == bytes ? 0 : -EIO;
}

/**
 * floor_map() - map pinned memory into a domain of its own, and unmap it
 * @dev: the device to attach the domain to, so that caches are flushed
 * @runs: what to map
 * @floor: receives the ticks
 *
 * Returns 0 or an errno.
 */
int floor_map(struct device *dev, struct floor_runs *runs,
	      struct bench_floor *floor)
{
	struct iommu_domain *domain;
	unsigned long i;
	int rc;

	domain = iommu_paging_domain_alloc(dev);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	rc = iommu_attach_device(domain, dev);
	if (rc)
		goto out_free;
	for (i = 0; !rc && i != floor->repeat; i++)
		rc = map_and_unmap(domain, runs, floor);
	iommu_detach_device(domain, dev);
out_free:
	iommu_domain_free(domain);
	return rc;
}
