/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Software MSI: doorbell pages of interrupt controllers that have to be mapped
 * in the domain of a device, at an IOVA of our choice within a window that the
 * IOMMU driver reserved for that.
 *
 * A group is "in" the domain that translates its DMA without PASID to physical
 * addresses, and during a replacement also in the next one. Whatever domain a
 * group is in has every doorbell page that the group's interrupts need.
 *
 * The IOMMU core calls this, so it is built in and knows nothing of iommufd,
 * which embeds the structures here in its own.
 */
#ifndef __IOMMUFD_SW_MSI_H
#define __IOMMUFD_SW_MSI_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

/* Most doorbell pages that a context can know */
#define SW_MSI_MAX_PAGES 64

/**
 * struct sw_msi_ctx - the doorbell pages that a context knows
 * @lock: protects all below, and what struct sw_msi_group and sw_msi_domain of
 *	the context say it protects
 * @pages: struct sw_msi_page, in order of assignment
 * @next_id: next free sw_msi_page.id
 */
struct sw_msi_ctx {
	struct mutex lock; /* software MSI */
	struct list_head pages;
	unsigned int next_id;
};

/**
 * struct sw_msi_domain - the doorbell pages in a domain
 * @domain: the domain, which translates to physical addresses; constant
 * @users: by sw_msi_page.id, how many times groups need that page in @domain,
 *	under sw_msi_ctx.lock
 */
struct sw_msi_domain {
	struct iommu_domain *domain;
	unsigned int users[SW_MSI_MAX_PAGES];
};

/**
 * struct sw_msi_group - the doorbell pages that a group needs
 * @ctx: its context; constant
 * @required: set of sw_msi_page.id that the group's interrupts need
 * @start: first byte of the window
 * @size: bytes of the window, 0 when there is none
 * @domains: where the pages of @required are mapped: what the group is attached
 *	to without PASID, during a replacement also what comes next
 *
 * All but @ctx is under sw_msi_ctx.lock.
 */
struct sw_msi_group {
	struct sw_msi_ctx *ctx;
	DECLARE_BITMAP(required, SW_MSI_MAX_PAGES);
	phys_addr_t start;
	phys_addr_t size;
	struct sw_msi_domain *domains[2];
};

/**
 * struct sw_msi_handle - an attachment, as software MSI needs it
 * @handle: the iommu core's part, found with iommu_attach_handle_get()
 * @group: the group attached
 */
struct sw_msi_handle {
	struct iommu_attach_handle handle;
	struct sw_msi_group *group;
};

static inline void iommufd_sw_msi_ctx_init(struct sw_msi_ctx *ctx)
{
	mutex_init(&ctx->lock);
	INIT_LIST_HEAD(&ctx->pages);
}

#if IS_ENABLED(CONFIG_IRQ_MSI_IOMMU)
void iommufd_sw_msi_ctx_fini(struct sw_msi_ctx *ctx);
int iommufd_sw_msi_set_window(struct sw_msi_group *group, phys_addr_t start,
			      phys_addr_t size);
void iommufd_sw_msi_clear_window(struct sw_msi_group *group);
int iommufd_sw_msi_enter(struct sw_msi_group *group,
			 struct sw_msi_domain *domain);
void iommufd_sw_msi_leave(struct sw_msi_group *group,
			  struct sw_msi_domain *domain);
#else
static inline void iommufd_sw_msi_ctx_fini(struct sw_msi_ctx *ctx)
{
	mutex_destroy(&ctx->lock);
}

static inline int iommufd_sw_msi_set_window(struct sw_msi_group *group,
					    phys_addr_t start, phys_addr_t size)
{
	return 0;
}

static inline void iommufd_sw_msi_clear_window(struct sw_msi_group *group)
{
}

static inline int iommufd_sw_msi_enter(struct sw_msi_group *group,
				       struct sw_msi_domain *domain)
{
	return 0;
}

static inline void iommufd_sw_msi_leave(struct sw_msi_group *group,
					struct sw_msi_domain *domain)
{
}
#endif
#endif
