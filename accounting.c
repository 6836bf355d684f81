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
