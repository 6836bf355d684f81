/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What backings share that are not memory but addresses, which their source can
 * take back at any time: where they are, and what is mapped of them.
 *
 * Each source has a lock, that it may hold while it takes addresses back. It is
 * the one that iopt_pages_ops.freeze takes, and protects everything here.
 */
#ifndef __IOMMUFD_REVOCABLE_H
#define __IOMMUFD_REVOCABLE_H

#include <linux/list.h>

#include "pages.h"

/**
 * struct iopt_revocable - a revocable source; others embed it
 * @pages: the backing
 * @restore: optional: see whether the source has its addresses back, and if so
 *	call iopt_revocable_arm(); frozen
 * @gfp: how page tables are allocated while the source is frozen
 * @runs: the page frames, all that the backing has
 * @maps: struct revocable_map.item
 */
struct iopt_revocable {
	struct iopt_pages *pages;
	int (*restore)(struct iopt_revocable *revocable);
	gfp_t gfp;
	struct pfn_runs runs;
	struct list_head maps;
};

void iopt_revocable_init(struct iopt_revocable *revocable,
			 struct iopt_pages *pages,
			 int (*restore)(struct iopt_revocable *revocable),
			 gfp_t gfp);
int iopt_revocable_arm(struct iopt_revocable *revocable, struct pfn_runs *runs);
void iopt_revocable_free(struct iopt_revocable *revocable);
int iopt_revocable_exchange(struct iopt_pages *pages,
			    struct iopt_pages *fresh);
bool iopt_revocable_revoke(struct iopt_revocable *revocable);

/* Operations of a backing */
int iopt_revocable_map(struct iopt_pages *pages,
		       const struct pages_window *window,
		       struct list_head *list);
void iopt_revocable_unmap(struct iopt_pages *pages, struct iommu_domain *domain,
			  struct list_head *list);

#endif
