// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_IOAS_CHANGE_PROCESS: all mappings of a context get another owner, whose
 * limit counts from then on.
 */
#include <linux/cred.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "area.h"
#include "change_process.h"
#include "ioas.h"
#include "pages.h"

/**
 * struct owner_change - a backing on its way to another owner
 * @pages: the backing, locked
 * @npages: pages charged to @owner
 * @owner: the new owner; once that is settled, the one that is let off
 */
struct owner_change {
	struct iopt_pages *pages;
	unsigned long npages;
	struct pages_owner owner;
};

static bool owner_is_current(const struct pages_owner *owner)
{
	if (owner->mm != current->mm)
		return false;
	return !owner->user || uid_eq(owner->user->uid, current_uid());
}

/*
 * Charge the caller for a backing, unless it is its own or done already. The
 * backing stays locked, so that nothing more is pinned until it has changed
 * hands; nobody else takes two of these locks at a time.
 */
static int owner_change_add(struct iommufd_ctx *ictx, struct xarray *changes,
			    struct iopt_pages *pages)
{
	struct owner_change *change;
	int rc;

	if (owner_is_current(&pages->owner) || xa_load(changes, (unsigned long)pages))
		return 0;

	change = kzalloc_obj(*change, GFP_KERNEL_ACCOUNT);
	if (!change)
		return -ENOMEM;
	change->pages = pages;
	pages_owner_succeed(&change->owner, &pages->owner);
	/* The same user pays as before, and only the counters of the mm move */
	if (pages->owner.user &&
	    uid_eq(pages->owner.user->uid, change->owner.user->uid))
		change->owner.mode = IOMMUFD_ACCOUNT_NONE;

	rc = mutex_lock_killable_nest_lock(&pages->mutex,
					   &ictx->ioas_creation_lock);
	if (rc)
		goto err_free;
	change->npages = iopt_pages_pinned(pages);
	rc = pages_owner_charge(&change->owner, change->npages);
	if (rc)
		goto err_unlock;
	rc = xa_err(xa_store(changes, (unsigned long)pages, change,
			     GFP_KERNEL_ACCOUNT));
	if (rc)
		goto err_uncharge;
	return 0;

err_uncharge:
	pages_owner_uncharge(&change->owner, change->npages);
err_unlock:
	mutex_unlock(&pages->mutex);
err_free:
	pages_owner_put(&change->owner);
	kfree(change);
	return rc;
}

/* Commit: the former owner is let off. Otherwise the new one is. */
static void owner_change_end(struct owner_change *change, bool commit)
{
	struct iopt_pages *pages = change->pages;

	if (commit) {
		swap(pages->owner, change->owner);
		/* Each is charged the way that it was */
		swap(pages->owner.mode, change->owner.mode);
	}
	pages_owner_uncharge(&change->owner, change->npages);
	mutex_unlock(&pages->mutex);
	pages_owner_put(&change->owner);
	kfree(change);
}

static int change_process_ioas(struct iommufd_ctx *ictx,
			       struct xarray *changes,
			       struct io_pagetable *iopt)
{
	struct iopt_area *area;
	int rc;

	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		rc = owner_change_add(ictx, changes, area->pages);
		if (rc)
			return rc;
	}
	return 0;
}

static int change_process_check(struct io_pagetable *iopt)
{
	struct iopt_area *area;

	/* Memory of another address space cannot become the caller's */
	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		if (!area->pages->ops->any_owner)
			return -EINVAL;
	}
	return 0;
}

/* The first IOAS from an ID on, with the references of an ioctl, or NULL */
static struct iommufd_ioas *next_ioas(struct iommufd_ctx *ictx,
				      unsigned long id)
{
	struct iommufd_object *obj;

	guard(rcu)();
	xa_for_each_start(&ictx->objects, id, obj, id) {
		if (obj->type == IOMMUFD_OBJ_IOAS && iommufd_lock_obj(obj))
			return container_of(obj, struct iommufd_ioas, obj);
	}
	return NULL;
}

/**
 * iommufd_change_process() - make the caller the owner of all mappings
 * @ictx: the context
 *
 * Nothing else of any of its IOASes changes meanwhile.
 *
 * Return: 0, or with nothing changed -EINVAL when a mapping is not of a memfd,
 * -ENOMEM also when the caller's limit would be exceeded, -EINTR when the caller
 * is killed.
 */
int iommufd_change_process(struct iommufd_ctx *ictx)
{
	struct owner_change *change;
	struct iommufd_ioas *ioas, *next;
	struct xarray changes;
	LIST_HEAD(locked);
	unsigned long id;
	int rc = 0;

	if (down_write_killable(&ictx->ioas_creation_lock))
		return -EINTR;
	xa_init(&changes);
	/* With this no area is under construction, and none comes or goes */
	for (id = 0; (ioas = next_ioas(ictx, id)); id = ioas->obj.id + 1) {
		down_write_nest_lock(&ioas->iopt.domains_rwsem,
				     &ictx->ioas_creation_lock);
		list_add(&ioas->change_item, &locked);
	}

	list_for_each_entry(ioas, &locked, change_item) {
		rc = change_process_check(&ioas->iopt);
		if (rc)
			goto out_unlock;
	}
	list_for_each_entry(ioas, &locked, change_item) {
		rc = change_process_ioas(ictx, &changes, &ioas->iopt);
		if (rc)
			goto out_unlock;
	}

out_unlock:
	xa_for_each(&changes, id, change)
		owner_change_end(change, !rc);
	xa_destroy(&changes);
	list_for_each_entry_safe(ioas, next, &locked, change_item) {
		up_write(&ioas->iopt.domains_rwsem);
		iommufd_put_object(&ioas->obj);
	}
	up_write(&ictx->ioas_creation_lock);
	return rc;
}
