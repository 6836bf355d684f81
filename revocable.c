// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backings whose source can take them back.
 */
#include <linux/iommu.h>
#include <linux/slab.h>

#include "pages_map.h"
#include "revocable.h"

/**
 * struct revocable_map - where a part of a revocable source is mapped
 * @item: on iopt_revocable.maps
 * @list_item: on the list of whoever had it mapped
 * @window: what is mapped where; not while the addresses are taken back
 */
struct revocable_map {
	struct list_head item;
	struct list_head list_item;
	struct pages_window window;
};

/**
 * iopt_revocable_init() - a source without addresses
 * @revocable: the source
 * @pages: its backing
 */
void iopt_revocable_init(struct iopt_revocable *revocable,
			 struct iopt_pages *pages)
{
	revocable->pages = pages;
	pages->revocable = revocable;
	pfn_runs_init(&revocable->runs);
	INIT_LIST_HEAD(&revocable->maps);
}

/**
 * iopt_revocable_add() - tell where the next pages of a source are
 * @revocable: the source, which has nothing mapped yet
 * @pfn: page frame number of the first one
 * @npages: how many; contiguous
 *
 * Return: 0, or an errno of pfn_runs_append().
 */
int iopt_revocable_add(struct iopt_revocable *revocable, unsigned long pfn,
		       unsigned long npages)
{
	unsigned long part;
	int rc;

	for (; npages; npages -= part, pfn += part) {
		part = min(npages, PFN_RUN_MAX_PAGES);
		rc = pfn_runs_append(&revocable->runs, pfn, part);
		if (rc)
			return rc;
	}
	revocable->pages->frames = &revocable->runs;
	return 0;
}

/**
 * iopt_revocable_free() - the reverse of iopt_revocable_init()
 * @revocable: the source, mapped nowhere
 */
void iopt_revocable_free(struct iopt_revocable *revocable)
{
	WARN_ON(!list_empty(&revocable->maps));
	pfn_runs_free(&revocable->runs);
}

static void revocable_take_out(struct pages_window *window)
{
	WARN_ON(iommu_unmap(window->domain, window->iova, window->length) !=
		window->length);
}

/**
 * iopt_revocable_revoke() - the source takes its addresses back
 * @revocable: the source, frozen
 *
 * No device reaches them any more when this returns. What was mapped can still
 * be unmapped, and mapping more succeeds, without any effect.
 */
void iopt_revocable_revoke(struct iopt_revocable *revocable)
{
	struct revocable_map *map;

	if (!revocable->pages->frames)
		return;
	list_for_each_entry(map, &revocable->maps, item)
		revocable_take_out(&map->window);
	revocable->pages->frames = NULL;
}

/**
 * iopt_revocable_map() - iopt_pages_ops.map of a revocable source
 * @pages: the backing
 * @window: what to map where
 * @list: gets what is mapped; under the lock of the source
 *
 * Return: 0, -ENOMEM, -EINTR when the caller is killed, and errors of
 * iommu_map().
 */
int iopt_revocable_map(struct iopt_pages *pages,
		       const struct pages_window *window,
		       struct list_head *list)
{
	struct revocable_map *map;
	int rc = 0;

	map = kzalloc_obj(*map, GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	map->window = *window;

	iopt_pages_freeze(pages);
	if (pages->frames)
		rc = iopt_pages_map(pages, window);
	if (!rc) {
		list_add(&map->item, &pages->revocable->maps);
		list_add(&map->list_item, list);
	}
	iopt_pages_thaw(pages);
	if (rc)
		kfree(map);
	return rc;
}

/**
 * iopt_revocable_unmap() - iopt_pages_ops.unmap of a revocable source
 * @pages: the backing
 * @domain: the domain
 * @list: as of iopt_revocable_map()
 */
void iopt_revocable_unmap(struct iopt_pages *pages, struct iommu_domain *domain,
			  struct list_head *list)
{
	struct revocable_map *map, *next;

	iopt_pages_freeze(pages);
	list_for_each_entry_safe(map, next, list, list_item) {
		if (map->window.domain != domain)
			continue;
		if (pages->frames)
			revocable_take_out(&map->window);
		list_del(&map->item);
		list_del(&map->list_item);
		kfree(map);
	}
	iopt_pages_thaw(pages);
}
