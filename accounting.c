// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who pays for what is pinned: RLIMIT_MEMLOCK and the VmPin and VmLck counters.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "area.h"
#include "ioas.h"
#include "pages.h"
#include "selftest.h"

/**
 * pages_owner_init() - make the caller the owner of a backing
 * @pages: the backing, with its account_mode set
 */
void pages_owner_init(struct iopt_pages *pages)
{
	mmgrab(current->mm);
	pages->mm = current->mm;
	get_task_struct(current->group_leader);
	pages->task = current->group_leader;
	pages->user = NULL;
	if (pages->account_mode == IOMMUFD_ACCOUNT_USER)
		pages->user = get_uid(current_user());
}

/**
 * pages_owner_put() - the reverse of pages_owner_init()
 * @pages: the backing
 */
void pages_owner_put(struct iopt_pages *pages)
{
	mmdrop(pages->mm);
	put_task_struct(pages->task);
	if (pages->user)
		free_uid(pages->user);
}

static int charge_user(struct iopt_pages *pages, unsigned long npages)
{
	unsigned long limit = task_rlimit(pages->task, RLIMIT_MEMLOCK) >>
			      PAGE_SHIFT;
	unsigned long old = atomic_long_read(&pages->user->locked_vm);

	do {
		if (old > limit || npages > limit - old)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&pages->user->locked_vm, &old,
					  old + npages));
	return 0;
}

static int charge_mm(struct iopt_pages *pages, unsigned long npages)
{
	int rc;

	/* The structure outlives its users, so this works after they exited */
	if (mmap_write_lock_killable(pages->mm))
		return -EINTR;
	rc = __account_locked_vm(pages->mm, npages, true, pages->task, false);
	mmap_write_unlock(pages->mm);
	return rc;
}

static void uncharge_mm(struct iopt_pages *pages, unsigned long npages)
{
	mmap_write_lock(pages->mm);
	__account_locked_vm(pages->mm, npages, false, pages->task, false);
	mmap_write_unlock(pages->mm);
}

/**
 * pages_charge() - account for pages about to be pinned
 * @pages: the backing
 * @npages: how many
 *
 * Return: 0, -ENOMEM when the owner's RLIMIT_MEMLOCK would be exceeded, or -EINTR
 * when the caller is killed while somebody else works on the owner's memory.
 */
int pages_charge(struct iopt_pages *pages, unsigned long npages)
{
	int rc = 0;

	if (iommufd_should_fail())
		return -ENOMEM;

	switch (pages->account_mode) {
	case IOMMUFD_ACCOUNT_USER:
		rc = charge_user(pages, npages);
		break;
	case IOMMUFD_ACCOUNT_MM:
		rc = charge_mm(pages, npages);
		break;
	}
	if (rc)
		return rc;
	atomic64_add(npages, &pages->mm->pinned_vm);
	return 0;
}

/**
 * pages_uncharge() - the reverse of pages_charge()
 * @pages: the backing
 * @npages: how many
 */
void pages_uncharge(struct iopt_pages *pages, unsigned long npages)
{
	switch (pages->account_mode) {
	case IOMMUFD_ACCOUNT_USER:
		atomic_long_sub(npages, &pages->user->locked_vm);
		break;
	case IOMMUFD_ACCOUNT_MM:
		uncharge_mm(pages, npages);
		break;
	}
	atomic64_sub(npages, &pages->mm->pinned_vm);
}

/*
 * IOMMU_IOAS_CHANGE_PROCESS
 */

/**
 * struct owner_change - a backing on its way to another owner
 * @pages: the backing, locked
 * @npages: pages charged to the new owner so far
 * @new: the new owner; only mm, task, user and account_mode are set
 */
struct owner_change {
	struct iopt_pages *pages;
	unsigned long npages;
	struct iopt_pages new;
};

static bool owner_is_current(const struct iopt_pages *pages)
{
	if (pages->mm != current->mm)
		return false;
	return pages->account_mode != IOMMUFD_ACCOUNT_USER ||
	       uid_eq(pages->user->uid, current_uid());
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

	if (owner_is_current(pages) || xa_load(changes, (unsigned long)pages))
		return 0;

	change = kzalloc_obj(*change, GFP_KERNEL_ACCOUNT);
	if (!change)
		return -ENOMEM;
	change->pages = pages;
	change->new.account_mode = pages->account_mode;
	pages_owner_init(&change->new);
	/* The same user pays as before, and only the counters of the mm move */
	if (pages->account_mode == IOMMUFD_ACCOUNT_USER &&
	    uid_eq(pages->user->uid, change->new.user->uid))
		change->new.account_mode = IOMMUFD_ACCOUNT_NONE;

	rc = mutex_lock_killable_nest_lock(&pages->mutex,
					   &ictx->ioas_creation_lock);
	if (rc)
		goto err_free;
	change->npages = pages_pinned(pages);
	rc = pages_charge(&change->new, change->npages);
	if (rc)
		goto err_unlock;
	rc = xa_err(xa_store(changes, (unsigned long)pages, change,
			     GFP_KERNEL_ACCOUNT));
	if (rc)
		goto err_uncharge;
	return 0;

err_uncharge:
	pages_uncharge(&change->new, change->npages);
err_unlock:
	mutex_unlock(&pages->mutex);
err_free:
	pages_owner_put(&change->new);
	kfree(change);
	return rc;
}

/* Commit: the former owner is let off. Otherwise the new one is. */
static void owner_change_end(struct owner_change *change, bool commit)
{
	struct iopt_pages *pages = change->pages;

	if (commit) {
		swap(pages->mm, change->new.mm);
		swap(pages->task, change->new.task);
		swap(pages->user, change->new.user);
	}
	pages_uncharge(&change->new, change->npages);
	mutex_unlock(&pages->mutex);
	pages_owner_put(&change->new);
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
		if (area->pages->kind != PAGES_FILE)
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
 * iopt_change_process() - make the caller the owner of all mappings
 * @ictx: the context
 *
 * Nothing else of any of its IOASes changes meanwhile.
 *
 * Return: 0, or with nothing changed -EINVAL when a mapping is not of a memfd,
 * -ENOMEM also when the caller's limit would be exceeded, -EINTR when the caller
 * is killed.
 */
int iopt_change_process(struct iommufd_ctx *ictx)
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
