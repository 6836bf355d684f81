// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software MSI: what attachment changes do about it, and what happens when an
 * interrupt is set up. Both meet under sw_msi_ctx.lock, so no doorbell page can
 * slip between a change of attachment and an interrupt that is set up at the
 * same time.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/msi.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "sw_msi.h"

/**
 * struct sw_msi_page - one doorbell page known to a context
 * @item: on sw_msi_ctx.pages, under its lock
 * @window_start: first byte of the window that @pgoff counts from
 * @msi_addr: physical address of the page
 * @pgoff: pages from @window_start to the IOVA of the page
 * @id: index of the page in sw_msi_group.required and sw_msi_domain.users
 *
 * Lives as long as its context; immutable once on the list.
 */
struct sw_msi_page {
	struct list_head item;
	phys_addr_t window_start;
	phys_addr_t msi_addr;
	unsigned int pgoff;
	unsigned int id;
};

/**
 * iommufd_sw_msi_ctx_fini() - forget all doorbell pages
 * @ctx: the context, without groups
 */
void iommufd_sw_msi_ctx_fini(struct sw_msi_ctx *ctx)
{
	struct sw_msi_page *page, *next;

	list_for_each_entry_safe(page, next, &ctx->pages, item)
		kfree(page);
	mutex_destroy(&ctx->lock);
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_ctx_fini, "IOMMUFD_INTERNAL");

/*
 * Doorbell pages in a domain
 */

static unsigned long page_iova(const struct sw_msi_page *page)
{
	return page->window_start + (phys_addr_t)page->pgoff * PAGE_SIZE;
}

/*
 * Have a domain map a page. It stays until each caller has uninstalled it.
 * Returns an errno of mapping.
 */
static int page_install(struct sw_msi_page *page, struct sw_msi_domain *domain)
{
	unsigned int *users = &domain->users[page->id];
	int rc;

	if (!*users) {
		rc = iommu_map(domain->domain, page_iova(page), page->msi_addr,
			       PAGE_SIZE,
			       IOMMU_WRITE | IOMMU_READ | IOMMU_MMIO,
			       GFP_KERNEL_ACCOUNT);
		if (rc)
			return rc;
	}
	++*users;
	return 0;
}

static void page_uninstall(struct sw_msi_page *page,
			   struct sw_msi_domain *domain)
{
	if (!--domain->users[page->id])
		iommu_unmap(domain->domain, page_iova(page), PAGE_SIZE);
}

/*
 * What a group needs
 */

/*
 * May the group see the page at its IOVA? A larger window that starts at the
 * same address may have given the page an IOVA beyond what is reserved for this
 * group, where user space may map. A group without a window sees no page.
 */
static bool group_may_see(struct sw_msi_group *group,
			  const struct sw_msi_page *page)
{
	lockdep_assert_held(&group->ctx->lock);

	return page->window_start == group->start &&
	       page->pgoff < group->size >> PAGE_SHIFT;
}

static bool group_needs(struct sw_msi_group *group,
			const struct sw_msi_page *page)
{
	return group_may_see(group, page) &&
	       test_bit(page->id, group->required);
}

/* Uninstalls the pages before @end on the list, or all for NULL */
static void group_uninstall(struct sw_msi_group *group,
			    struct sw_msi_domain *domain,
			    struct sw_msi_page *end)
{
	struct sw_msi_page *page;

	list_for_each_entry(page, &group->ctx->pages, item) {
		if (page == end)
			break;
		if (group_needs(group, page))
			page_uninstall(page, domain);
	}
}

static int group_install(struct sw_msi_group *group,
			 struct sw_msi_domain *domain)
{
	struct sw_msi_page *page;
	int rc;

	list_for_each_entry(page, &group->ctx->pages, item) {
		if (!group_needs(group, page))
			continue;
		rc = page_install(page, domain);
		if (rc) {
			group_uninstall(group, domain, page);
			return rc;
		}
	}
	return 0;
}

/*
 * Changes of attachment
 */

/**
 * iommufd_sw_msi_set_window() - a device of the group came with a window
 * @group: the group; the caller serialises all changes of its attachment
 * @start: first byte
 * @size: bytes
 *
 * There is one window for a group, since its interrupts cannot be told apart.
 *
 * Return: 0, -EINVAL when the group has another one, or an errno of mapping the
 * pages that it needs.
 */
int iommufd_sw_msi_set_window(struct sw_msi_group *group, phys_addr_t start,
			      phys_addr_t size)
{
	int rc = 0;

	guard(mutex)(&group->ctx->lock);
	if (group->size)
		return group->start == start && group->size == size ? 0 :
								      -EINVAL;

	group->start = start;
	group->size = size;
	/* The group may be attached already, through a device without window */
	if (group->domains[0])
		rc = group_install(group, group->domains[0]);
	if (rc)
		group->size = 0;
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_set_window, "IOMMUFD_INTERNAL");

/**
 * iommufd_sw_msi_clear_window() - the group is not attached any more
 * @group: the group, in no domain; the caller serialises all changes of its
 *	attachment
 */
void iommufd_sw_msi_clear_window(struct sw_msi_group *group)
{
	guard(mutex)(&group->ctx->lock);
	group->size = 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_clear_window, "IOMMUFD_INTERNAL");

/**
 * iommufd_sw_msi_enter() - get a domain ready to be attached to a group
 * @group: the group; the caller serialises all changes of its attachment
 * @domain: from now on gets each page that the group needs
 *
 * Return: 0, or an errno of mapping with nothing changed.
 */
int iommufd_sw_msi_enter(struct sw_msi_group *group,
			 struct sw_msi_domain *domain)
{
	unsigned int slot;
	int rc;

	guard(mutex)(&group->ctx->lock);
	rc = group_install(group, domain);
	if (rc)
		return rc;
	slot = group->domains[0] ? 1 : 0;
	group->domains[slot] = domain;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_enter, "IOMMUFD_INTERNAL");

/**
 * iommufd_sw_msi_leave() - the reverse of iommufd_sw_msi_enter()
 * @group: the group; the caller serialises all changes of its attachment
 * @domain: not used by the hardware for this group any more
 *
 * Unmaps the pages that no other group needs there, so that nothing is left in
 * a domain at an IOVA which may become free.
 */
void iommufd_sw_msi_leave(struct sw_msi_group *group,
			  struct sw_msi_domain *domain)
{
	guard(mutex)(&group->ctx->lock);
	group_uninstall(group, domain, NULL);
	if (group->domains[0] == domain)
		group->domains[0] = group->domains[1];
	group->domains[1] = NULL;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_leave, "IOMMUFD_INTERNAL");

/*
 * Interrupts
 */

/*
 * The context's entry for a doorbell page in the group's window. Every group
 * with the same window sees the page at the same IOVA, whatever it is attached
 * to. Returns ERR_PTR of -EOVERFLOW when the window or the context is full, or
 * -ENOMEM.
 */
static struct sw_msi_page *group_find_page(struct sw_msi_group *group,
					   phys_addr_t msi_addr)
{
	struct sw_msi_ctx *ctx = group->ctx;
	struct sw_msi_page *page;
	unsigned int pgoff = 0;

	lockdep_assert_held(&ctx->lock);

	list_for_each_entry(page, &ctx->pages, item) {
		if (page->window_start != group->start)
			continue;
		if (page->msi_addr == msi_addr)
			return group_may_see(group, page) ?
				       page :
				       ERR_PTR(-EOVERFLOW);
		pgoff = max(pgoff, page->pgoff + 1);
	}

	if (ctx->next_id >= SW_MSI_MAX_PAGES ||
	    pgoff >= group->size >> PAGE_SHIFT)
		return ERR_PTR(-EOVERFLOW);

	page = kzalloc_obj(*page, GFP_KERNEL_ACCOUNT);
	if (!page)
		return ERR_PTR(-ENOMEM);
	page->window_start = group->start;
	page->msi_addr = msi_addr;
	page->pgoff = pgoff;
	page->id = ctx->next_id++;
	list_add_tail(&page->item, &ctx->pages);
	return page;
}

/* Have the group need a page, and install it wherever the group is */
static int group_require(struct sw_msi_group *group, struct sw_msi_page *page)
{
	struct sw_msi_domain **domains = group->domains;
	unsigned int i;
	int rc;

	if (test_bit(page->id, group->required))
		return 0;

	for (i = 0; i != ARRAY_SIZE(group->domains) && domains[i]; i++) {
		rc = page_install(page, domains[i]);
		if (rc)
			goto err_uninstall;
	}
	__set_bit(page->id, group->required);
	return 0;

err_uninstall:
	while (i--)
		page_uninstall(page, domains[i]);
	return rc;
}

/**
 * iommufd_sw_msi() - map an MSI doorbell for a device
 * @domain: what the device's group is attached to
 * @desc: the interrupt, gets the IOVA of the doorbell's page
 * @msi_addr: physical address of the doorbell
 *
 * The IOMMU core calls this with the group's mutex held, which keeps the
 * attachment.
 *
 * Return: 0, with @desc untouched when the group needs no translation of its
 * doorbells; -EOVERFLOW when the window or the context is full, -ENOMEM, and
 * errors of mapping.
 */
int iommufd_sw_msi(struct iommu_domain *domain, struct msi_desc *desc,
		   phys_addr_t msi_addr)
{
	struct device *dev = msi_desc_to_dev(desc);
	struct iommu_attach_handle *handle;
	struct sw_msi_group *group;
	struct sw_msi_page *page;
	int rc;

	iommu_group_mutex_assert(dev);

	handle = iommu_attach_handle_get(dev->iommu_group, IOMMU_NO_PASID, 0);
	if (IS_ERR(handle))
		return 0;
	group = container_of(handle, struct sw_msi_handle, handle)->group;

	guard(mutex)(&group->ctx->lock);
	if (!group->size)
		return 0;
	page = group_find_page(group, msi_addr & PAGE_MASK);
	if (IS_ERR(page))
		return PTR_ERR(page);
	rc = group_require(group, page);
	if (rc)
		return rc;
	msi_desc_set_iommu_msi_iova(desc, page_iova(page), PAGE_SHIFT);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi, "IOMMUFD");
