// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software MSI, what attachment changes do about it. driver.c has the other
 * half, which runs when an interrupt is set up. Both meet under
 * iommufd_ctx.sw_msi_lock, so no doorbell page can slip between a change of
 * attachment and an interrupt that is set up at the same time.
 */
#include "sw_msi.h"

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
