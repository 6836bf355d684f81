/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who pays for memory that is pinned.
 */
#ifndef __IOMMUFD_ACCOUNTING_H
#define __IOMMUFD_ACCOUNTING_H

#include <linux/mm_types.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/types.h>
#include <linux/uidgid_types.h>

#include "test_hooks.h"

struct pid;

/**
 * enum iommufd_account_mode - whose RLIMIT_MEMLOCK pinned memory counts against
 * @IOMMUFD_ACCOUNT_NONE: nobody's, only mm->pinned_vm is kept
 * @IOMMUFD_ACCOUNT_USER: the user's, shared with io_uring and friends
 * @IOMMUFD_ACCOUNT_MM: the process'
 * @IOMMUFD_ACCOUNT_TYPE1: the process', as VFIO type1 does: with CAP_IPC_LOCK
 *	there is no limit, and yet it is counted
 */
enum iommufd_account_mode {
	IOMMUFD_ACCOUNT_NONE,
	IOMMUFD_ACCOUNT_USER,
	IOMMUFD_ACCOUNT_MM,
	IOMMUFD_ACCOUNT_TYPE1,
};

/**
 * struct pages_owner - the process that pays
 * @mm: its address space, grabbed; its users count is not held
 * @task: its thread group leader, whose limit counts; referenced
 * @user: IOMMUFD_ACCOUNT_USER: its user, referenced; else NULL
 * @mode: enum iommufd_account_mode, see pages_owner_init()
 */
struct pages_owner {
	struct mm_struct *mm;
	struct task_struct *task;
	struct user_struct *user;
	u8 mode;
};

/**
 * struct pages_bill - how an owner stands, for people to look at
 * @mode: what @charged and @limit are about; without a meaning for
 *	IOMMUFD_ACCOUNT_NONE
 * @pid: the process, referenced; NULL when it is no more
 * @uid: its user, for IOMMUFD_ACCOUNT_USER
 * @charged: pages that count against the limit, also of other subsystems
 * @limit: bytes, RLIM_INFINITY when there is none
 */
struct pages_bill {
	enum iommufd_account_mode mode;
	struct pid *pid;
	kuid_t uid;
	unsigned long charged;
	unsigned long limit;
};

void pages_owner_init(struct pages_owner *owner,
		      enum iommufd_account_mode mode);
void pages_owner_succeed(struct pages_owner *owner,
			 const struct pages_owner *former);
void pages_owner_bill(const struct pages_owner *owner, struct pages_bill *bill);

/**
 * pages_owner_put() - the reverse of pages_owner_init()
 * @owner: the owner, of nothing that is charged
 */
static inline void pages_owner_put(struct pages_owner *owner)
{
	mmdrop(owner->mm);
	put_task_struct(owner->task);
	if (owner->user)
		free_uid(owner->user);
}

/* For pages_owner_charge() and pages_owner_uncharge() only */
int pages_owner_charge_limit(struct pages_owner *owner, unsigned long npages);
void pages_owner_uncharge_limit(struct pages_owner *owner,
				unsigned long npages);

/**
 * pages_owner_charge() - account for pages about to be pinned
 * @owner: who pays
 * @npages: how many
 *
 * Return: 0, -ENOMEM when the owner's RLIMIT_MEMLOCK would be exceeded, or -EINTR
 * when the caller is killed while somebody else works on the owner's memory.
 */
static inline int pages_owner_charge(struct pages_owner *owner,
				     unsigned long npages)
{
	int rc = 0;

	if (iommufd_should_fail())
		return -ENOMEM;
	if (owner->mode != IOMMUFD_ACCOUNT_NONE)
		rc = pages_owner_charge_limit(owner, npages);
	if (!rc)
		atomic64_add(npages, &owner->mm->pinned_vm);
	return rc;
}

/**
 * pages_owner_uncharge() - the reverse of pages_owner_charge()
 * @owner: who paid
 * @npages: how many
 */
static inline void pages_owner_uncharge(struct pages_owner *owner,
					unsigned long npages)
{
	if (owner->mode != IOMMUFD_ACCOUNT_NONE)
		pages_owner_uncharge_limit(owner, npages);
	atomic64_sub(npages, &owner->mm->pinned_vm);
}

#endif
