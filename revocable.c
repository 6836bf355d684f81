// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backings whose source can take them back.
 */
#include <linux/iommu.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <trace/events/iommufd.h>

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
 * @restore: iopt_revocable.restore
 * @gfp: iopt_revocable.gfp
 */
void iopt_revocable_init(struct iopt_revocable *revocable,
			 struct iopt_pages *pages,
			 int (*restore)(struct iopt_revocable *revocable),
			 gfp_t gfp)
{
	revocable->pages = pages;
	revocable->restore = restore;
	revocable->gfp = gfp;
	pages->revocable = revocable;
	pfn_runs_init(&revocable->runs);
	INIT_LIST_HEAD(&revocable->maps);
}

/**
 * iopt_revocable_free() - the reverse of iopt_revocable_init()
 * @revocable: the source, mapped nowhere
 */
void iopt_revocable_free(struct iopt_revocable *revocable)
{
	WARN_ON_ONCE(!list_empty(&revocable->maps));
	pfn_runs_free(&revocable->runs);
}

static void revocable_take_out(struct pages_window *window)
{
	WARN_ON_ONCE(iommu_unmap(window->domain, window->iova,
				 window->length) != window->length);
}

/* Take out what is mapped, the maps before @end */
static void revocable_take_all_out(struct iopt_revocable *revocable,
				   struct list_head *end)
{
	struct revocable_map *map;

	list_for_each_entry(map, &revocable->maps, item) {
		if (&map->item == end)
			break;
		revocable_take_out(&map->window);
	}
}

static int revocable_map_all(struct iopt_revocable *revocable,
			     struct pfn_runs *runs)
{
	struct iopt_pages *pages = revocable->pages;
	struct revocable_map *map;
	int rc;

	pages->frames = runs;
	list_for_each_entry(map, &revocable->maps, item) {
		rc = iopt_pages_map(pages, &map->window);
		if (rc) {
			revocable_take_all_out(revocable, &map->item);
			pages->frames = NULL;
			return rc;
		}
	}
	return 0;
}

/**
 * iopt_revocable_arm() - the source has addresses, for the first time or again
 * @revocable: the source, frozen and without addresses
 * @runs: the page frames, all that the backing has; taken over
 *
 * What was mapped before they were taken back is mapped again.
 *
 * Return: 0, or with nothing mapped an errno of iopt_pages_map(), and @runs still
 * the caller's.
 */
int iopt_revocable_arm(struct iopt_revocable *revocable, struct pfn_runs *runs)
{
	struct iopt_pages *pages = revocable->pages;
	int rc = revocable_map_all(revocable, runs);

	trace_iommufd_rearm(pages->owner.task->tgid, pages->start,
			    (u64)pages->npages << PAGE_SHIFT, rc);
	if (rc)
		return rc;
	pfn_runs_free(&revocable->runs);
	revocable->runs = *runs;
	pages->frames = &revocable->runs;
	return 0;
}

/**
 * iopt_revocable_revoke() - the source takes its addresses back
 * @revocable: the source, frozen
 *
 * No device reaches them any more when this returns. What was mapped is
 * remembered for iopt_revocable_arm(), until it is unmapped.
 *
 * Return: false if that was so already.
 */
bool iopt_revocable_revoke(struct iopt_revocable *revocable)
{
	struct iopt_pages *pages = revocable->pages;

	if (!pages->frames)
		return false;
	revocable_take_all_out(revocable, &revocable->maps);
	pages->frames = NULL;
	trace_iommufd_revoke(pages->owner.task->tgid, pages->start,
			     (u64)pages->npages << PAGE_SHIFT);
	return true;
}

/**
 * iopt_revocable_exchange() - two backings exchange their sources
 * @pages: a backing, frozen
 * @fresh: another one, frozen and mapped nowhere
 *
 * Return: 0, -EAGAIN when what @pages has now is without addresses, or an errno of
 * iopt_revocable_arm(); then nothing is mapped until the source is armed.
 */
int iopt_revocable_exchange(struct iopt_pages *pages, struct iopt_pages *fresh)
{
	struct iopt_revocable *old = pages->revocable;
	struct iopt_revocable *new = fresh->revocable;
	bool armed = fresh->frames;
	struct pfn_runs runs;
	int rc;

	iopt_revocable_revoke(old);
	list_splice_init(&old->maps, &new->maps);
	fresh->frames = NULL;
	swap(pages->revocable, fresh->revocable);
	new->pages = pages;
	old->pages = fresh;
	if (!armed)
		return -EAGAIN;

	runs = new->runs;
	pfn_runs_init(&new->runs);
	rc = iopt_revocable_arm(new, &runs);
	if (rc)
		pfn_runs_free(&runs);
	return rc;
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
	struct iopt_revocable *revocable = pages->revocable;
	struct revocable_map *map;
	int rc = 0;

	map = kzalloc_obj(*map, GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	map->window = *window;
	map->window.gfp = revocable->gfp;

	iopt_pages_freeze(pages);
	/* It does no harm if this fails: then nothing can be mapped yet */
	if (!pages->frames && revocable->restore)
		revocable->restore(revocable);
	if (pages->frames)
		rc = iopt_pages_map(pages, &map->window);
	if (!rc) {
		list_add(&map->item, &revocable->maps);
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
