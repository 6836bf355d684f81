// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software MSI: what attachment changes do about it, and what happens when an
 * interrupt is set up. Both meet under iommufd_ctx.sw_msi_lock, so no doorbell
 * page can slip between a change of attachment and an interrupt that is set up
 * at the same time.
 *
 * The IOMMU core calls this, so it is built in even when iommufd is a module.
 */
#include <linux/export.h>
#include <linux/msi.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "sw_msi.h"

/* ---- Doorbell pages in a domain ---- */

static unsigned long sw_msi_iova(const struct iommufd_sw_msi_map *map)
{
	return map->sw_msi_start + (phys_addr_t)map->pgoff * PAGE_SIZE;
}

/**
 * iommufd_sw_msi_in_window() - may a group see a doorbell page at its IOVA
 * @igroup: the group, with its context's sw_msi_lock held
 * @map: the page, which may have got its IOVA from a larger window that starts
 *	at the same address
 *
 * Return: false when the page is beyond what is reserved for the group, which
 * user space may map; and for a group without a window.
 */
static bool iommufd_sw_msi_in_window(struct iommufd_group *igroup,
				     const struct iommufd_sw_msi_map *map)
{
	lockdep_assert_held(&igroup->ictx->sw_msi_lock);

	return map->sw_msi_start == igroup->sw_msi_start &&
	       map->pgoff < igroup->sw_msi_size >> PAGE_SHIFT;
}

/**
 * iommufd_sw_msi_install() - have a HWPT map a doorbell page
 * @ictx: context, with its sw_msi_lock held
 * @hwpt_paging: the HWPT
 * @msi_map: the page
 *
 * Counts how often it is called, so that the page stays until each caller has
 * called iommufd_sw_msi_uninstall().
 *
 * Returns an errno of mapping.
 */
static int iommufd_sw_msi_install(struct iommufd_ctx *ictx,
				  struct iommufd_hwpt_paging *hwpt_paging,
				  struct iommufd_sw_msi_map *msi_map)
{
	unsigned int *users = &hwpt_paging->sw_msi_users[msi_map->id];
	int rc;

	lockdep_assert_held(&ictx->sw_msi_lock);

	if (!*users) {
		rc = iommu_map(hwpt_paging->common.domain, sw_msi_iova(msi_map),
			       msi_map->msi_addr, PAGE_SIZE,
			       IOMMU_WRITE | IOMMU_READ | IOMMU_MMIO,
			       GFP_KERNEL_ACCOUNT);
		if (rc)
			return rc;
	}
	++*users;
	return 0;
}

/**
 * iommufd_sw_msi_uninstall() - the reverse of one iommufd_sw_msi_install()
 * @ictx: context, with its sw_msi_lock held
 * @hwpt_paging: HWPT that has the page
 * @msi_map: the page
 */
static void iommufd_sw_msi_uninstall(struct iommufd_ctx *ictx,
				     struct iommufd_hwpt_paging *hwpt_paging,
				     struct iommufd_sw_msi_map *msi_map)
{
	lockdep_assert_held(&ictx->sw_msi_lock);

	if (!--hwpt_paging->sw_msi_users[msi_map->id])
		iommu_unmap(hwpt_paging->common.domain, sw_msi_iova(msi_map),
			    PAGE_SIZE);
}

/* Up to @end on the list, or all of it */
static void sw_msi_unmap_required(struct iommufd_group *igroup,
				  struct iommufd_hwpt_paging *hwpt_paging,
				  struct iommufd_sw_msi_map *end)
{
	struct iommufd_sw_msi_map *map;

	list_for_each_entry(map, &igroup->ictx->sw_msi_list, sw_msi_item) {
		if (map == end)
			break;
		if (iommufd_sw_msi_in_window(igroup, map) &&
		    test_bit(map->id, igroup->required_sw_msi.bitmap))
			iommufd_sw_msi_uninstall(igroup->ictx, hwpt_paging,
						 map);
	}
}

static int sw_msi_map_required(struct iommufd_group *igroup,
			       struct iommufd_hwpt_paging *hwpt_paging)
{
	struct iommufd_sw_msi_map *map;
	int rc;

	lockdep_assert_held(&igroup->ictx->sw_msi_lock);

	list_for_each_entry(map, &igroup->ictx->sw_msi_list, sw_msi_item) {
		if (!iommufd_sw_msi_in_window(igroup, map) ||
		    !test_bit(map->id, igroup->required_sw_msi.bitmap))
			continue;
		rc = iommufd_sw_msi_install(igroup->ictx, hwpt_paging, map);
		if (rc) {
			sw_msi_unmap_required(igroup, hwpt_paging, map);
			return rc;
		}
	}
	return 0;
}

/* ---- Changes of attachment ---- */

/**
 * iommufd_sw_msi_set_window() - a device of the group came with a window
 * @igroup: the group, locked
 * @start: first byte
 * @size: bytes
 *
 * There is one window for a group, since its interrupts cannot be told apart.
 *
 * Returns -EINVAL when the group has another one, or an errno of mapping the
 * pages that it needs.
 */
int iommufd_sw_msi_set_window(struct iommufd_group *igroup, phys_addr_t start,
			      phys_addr_t size)
{
	int rc = 0;

	lockdep_assert_held(&igroup->lock);

	guard(mutex)(&igroup->ictx->sw_msi_lock);
	if (igroup->sw_msi_size)
		return igroup->sw_msi_start == start &&
				       igroup->sw_msi_size == size ?
			       0 :
			       -EINVAL;

	igroup->sw_msi_start = start;
	igroup->sw_msi_size = size;
	/* The group may be attached already, through a device without window */
	if (igroup->sw_msi_hwpts[0])
		rc = sw_msi_map_required(igroup, igroup->sw_msi_hwpts[0]);
	if (rc)
		igroup->sw_msi_size = 0;
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_set_window, "IOMMUFD_INTERNAL");

/**
 * iommufd_sw_msi_clear_window() - the group is not attached any more
 * @igroup: the group, locked, in no HWPT
 */
void iommufd_sw_msi_clear_window(struct iommufd_group *igroup)
{
	lockdep_assert_held(&igroup->lock);

	guard(mutex)(&igroup->ictx->sw_msi_lock);
	igroup->sw_msi_size = 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_clear_window, "IOMMUFD_INTERNAL");

/**
 * iommufd_sw_msi_enter() - get a HWPT ready to be attached to a group
 * @igroup: the group, locked
 * @hwpt_paging: HWPT; from now on gets each page that the group needs
 *
 * Returns an errno of mapping, with nothing changed.
 */
int iommufd_sw_msi_enter(struct iommufd_group *igroup,
			 struct iommufd_hwpt_paging *hwpt_paging)
{
	unsigned int slot;
	int rc;

	lockdep_assert_held(&igroup->lock);

	guard(mutex)(&igroup->ictx->sw_msi_lock);
	rc = sw_msi_map_required(igroup, hwpt_paging);
	if (rc)
		return rc;
	slot = igroup->sw_msi_hwpts[0] ? 1 : 0;
	igroup->sw_msi_hwpts[slot] = hwpt_paging;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_enter, "IOMMUFD_INTERNAL");

/**
 * iommufd_sw_msi_leave() - the reverse of iommufd_sw_msi_enter()
 * @igroup: the group, locked
 * @hwpt_paging: HWPT, not used by the hardware for this group any more
 *
 * Unmaps the pages that no other group needs there, so that nothing is left in
 * a HWPT at an IOVA which may become free.
 */
void iommufd_sw_msi_leave(struct iommufd_group *igroup,
			  struct iommufd_hwpt_paging *hwpt_paging)
{
	lockdep_assert_held(&igroup->lock);

	guard(mutex)(&igroup->ictx->sw_msi_lock);
	sw_msi_unmap_required(igroup, hwpt_paging, NULL);
	if (igroup->sw_msi_hwpts[0] == hwpt_paging)
		igroup->sw_msi_hwpts[0] = igroup->sw_msi_hwpts[1];
	igroup->sw_msi_hwpts[1] = NULL;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi_leave, "IOMMUFD_INTERNAL");

/* ---- Interrupts ---- */

/*
 * The context's entry for a doorbell page in a window. Every group with the
 * same window sees the page at the same IOVA, whatever it is attached to.
 */
static struct iommufd_sw_msi_map *sw_msi_get_map(struct iommufd_group *igroup,
						 phys_addr_t msi_addr)
{
	const unsigned int max_id = BITS_PER_TYPE(struct iommufd_sw_msi_maps);
	struct iommufd_ctx *ictx = igroup->ictx;
	struct iommufd_sw_msi_map *map;
	unsigned int pgoff = 0;

	lockdep_assert_held(&ictx->sw_msi_lock);

	list_for_each_entry(map, &ictx->sw_msi_list, sw_msi_item) {
		if (map->sw_msi_start != igroup->sw_msi_start)
			continue;
		if (map->msi_addr == msi_addr)
			return iommufd_sw_msi_in_window(igroup, map) ?
				       map :
				       ERR_PTR(-EOVERFLOW);
		pgoff = max(pgoff, map->pgoff + 1);
	}

	if (ictx->sw_msi_id >= max_id ||
	    pgoff >= igroup->sw_msi_size >> PAGE_SHIFT)
		return ERR_PTR(-EOVERFLOW);

	map = kzalloc_obj(*map, GFP_KERNEL_ACCOUNT);
	if (!map)
		return ERR_PTR(-ENOMEM);
	map->sw_msi_start = igroup->sw_msi_start;
	map->msi_addr = msi_addr;
	map->pgoff = pgoff;
	map->id = ictx->sw_msi_id++;
	list_add_tail(&map->sw_msi_item, &ictx->sw_msi_list);
	return map;
}

/* Have the group need a page, and install it wherever the group is */
static int sw_msi_require(struct iommufd_group *igroup,
			  struct iommufd_sw_msi_map *map)
{
	struct iommufd_hwpt_paging **hwpts = igroup->sw_msi_hwpts;
	unsigned int i;
	int rc;

	if (test_bit(map->id, igroup->required_sw_msi.bitmap))
		return 0;

	for (i = 0; i != ARRAY_SIZE(igroup->sw_msi_hwpts) && hwpts[i]; i++) {
		rc = iommufd_sw_msi_install(igroup->ictx, hwpts[i], map);
		if (rc)
			goto err_uninstall;
	}
	__set_bit(map->id, igroup->required_sw_msi.bitmap);
	return 0;

err_uninstall:
	while (i--)
		iommufd_sw_msi_uninstall(igroup->ictx, hwpts[i], map);
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
 * Returns 0 with @desc untouched when the group needs no translation of its
 * doorbells; -EOVERFLOW when the window or the context is full, -ENOMEM, and
 * errors of mapping.
 */
int iommufd_sw_msi(struct iommu_domain *domain, struct msi_desc *desc,
		   phys_addr_t msi_addr)
{
	struct device *dev = msi_desc_to_dev(desc);
	struct iommu_attach_handle *handle;
	struct iommufd_sw_msi_map *map;
	struct iommufd_group *igroup;
	int rc;

	iommu_group_mutex_assert(dev);

	handle = iommu_attach_handle_get(dev->iommu_group, IOMMU_NO_PASID, 0);
	if (IS_ERR(handle))
		return 0;
	igroup = to_iommufd_handle(handle)->igroup;

	guard(mutex)(&igroup->ictx->sw_msi_lock);
	if (!igroup->sw_msi_size)
		return 0;
	map = sw_msi_get_map(igroup, msi_addr & PAGE_MASK);
	if (IS_ERR(map))
		return PTR_ERR(map);
	rc = sw_msi_require(igroup, map);
	if (rc)
		return rc;
	msi_desc_set_iommu_msi_iova(desc, sw_msi_iova(map), PAGE_SHIFT);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi, "IOMMUFD");
