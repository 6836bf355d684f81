// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who pays for what is pinned: RLIMIT_MEMLOCK and the VmPin and VmLck counters.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "accounting.h"
#include "refusal.h"

/* What a way to count memory means for the caller */
static enum iommufd_account_mode
account_mode_of_caller(enum iommufd_account_mode mode)
{
	if (mode == IOMMUFD_ACCOUNT_TYPE1)
		return capable(CAP_IPC_LOCK) ? mode : IOMMUFD_ACCOUNT_MM;
	return capable(CAP_IPC_LOCK) ? IOMMUFD_ACCOUNT_NONE : mode;
}

static __always_inline void owner_init(struct pages_owner *owner,
				       enum iommufd_account_mode mode)
{
	mmgrab(current->mm);
	owner->mm = current->mm;
	owner->task = get_task_struct(current->group_leader);
	owner->user = mode == IOMMUFD_ACCOUNT_USER ? get_uid(current_user()) :
						     NULL;
	owner->mode = mode;
}

/**
 * pages_owner_init() - make the caller an owner
 * @owner: the owner
 * @mode: where pages are counted, unless the caller is privileged
 *
 * With CAP_IPC_LOCK there is no limit: only IOMMUFD_ACCOUNT_TYPE1 goes on to
 * count, the others become IOMMUFD_ACCOUNT_NONE. Without, IOMMUFD_ACCOUNT_TYPE1
 * becomes IOMMUFD_ACCOUNT_MM. This holds for as long as something is mapped,
 * whatever capability the caller gets or loses.
 */
void pages_owner_init(struct pages_owner *owner,
		      enum iommufd_account_mode mode)
{
	owner_init(owner, account_mode_of_caller(mode));
}

/**
 * pages_owner_succeed() - make the caller the successor of an owner
 * @owner: the new owner
 * @former: whom it takes over from; memory stays counted in the same way
 */
void pages_owner_succeed(struct pages_owner *owner,
			 const struct pages_owner *former)
{
	owner_init(owner, former->mode);
}

/**
 * pages_owner_bill() - tell how an owner stands
 * @owner: the owner, which stays meanwhile
 * @bill: gets it; the caller puts @bill->pid
 *
 * Takes no lock that anybody sleeps with.
 */
void pages_owner_bill(const struct pages_owner *owner, struct pages_bill *bill)
{
	*bill = (struct pages_bill){
		.mode = owner->mode,
		.pid = get_task_pid(owner->task, PIDTYPE_TGID),
		.limit = RLIM_INFINITY,
	};
	if (owner->mode == IOMMUFD_ACCOUNT_USER) {
		bill->uid = owner->user->uid;
		bill->charged = atomic_long_read(&owner->user->locked_vm);
	} else {
		bill->charged = READ_ONCE(owner->mm->locked_vm);
	}
	if (owner->mode == IOMMUFD_ACCOUNT_USER ||
	    owner->mode == IOMMUFD_ACCOUNT_MM)
		bill->limit = task_rlimit(owner->task, RLIMIT_MEMLOCK);
}

static int charge_user(struct pages_owner *owner, unsigned long npages)
{
	unsigned long limit = task_rlimit(owner->task, RLIMIT_MEMLOCK) >>
			      PAGE_SHIFT;
	unsigned long old = atomic_long_read(&owner->user->locked_vm);

	do {
		if (old > limit || npages > limit - old)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&owner->user->locked_vm, &old,
					  old + npages));
	return 0;
}

static int charge_mm(struct pages_owner *owner, unsigned long npages)
{
	bool unlimited = owner->mode == IOMMUFD_ACCOUNT_TYPE1;
	int rc;

	/* The structure outlives its users, so this works after they exited */
	if (mmap_write_lock_killable(owner->mm))
		return -EINTR;
	rc = __account_locked_vm(owner->mm, npages, true, owner->task,
				 unlimited);
	mmap_write_unlock(owner->mm);
	return rc;
}

static void uncharge_mm(struct pages_owner *owner, unsigned long npages)
{
	mmap_write_lock(owner->mm);
	__account_locked_vm(owner->mm, npages, false, owner->task, false);
	mmap_write_unlock(owner->mm);
}

/* Tell whose limit was in the way, and who holds what counts against it */
static noinline void charge_failed(const struct pages_owner *owner,
				   unsigned long npages)
{
	char comm[TASK_COMM_LEN];
	struct pages_bill bill;
	kuid_t uid;

	pages_owner_bill(owner, &bill);
	put_pid(bill.pid);
	uid = owner->user ? bill.uid : task_uid(owner->task);
	get_task_comm(comm, owner->task);
	iommufd_refuse_memory(&(struct iommufd_debtor){
		.pid = owner->task->tgid,
		.uid = from_kuid(&init_user_ns, uid),
		.comm = comm,
		.mode = owner->mode,
		.charged = (u64)bill.charged << PAGE_SHIFT,
		.length = (u64)npages << PAGE_SHIFT,
		.limit = bill.limit,
	});
}

/**
 * pages_owner_charge_limit() - pages_owner_charge() for who has a limit
 * @owner: who pays, not IOMMUFD_ACCOUNT_NONE
 * @npages: how many
 *
 * Return: 0, -ENOMEM when the owner's RLIMIT_MEMLOCK would be exceeded, or -EINTR
 * when the caller is killed while somebody else works on the owner's memory.
 */
int pages_owner_charge_limit(struct pages_owner *owner, unsigned long npages)
{
	int rc;

	if (owner->mode == IOMMUFD_ACCOUNT_USER)
		rc = charge_user(owner, npages);
	else
		rc = charge_mm(owner, npages);
	if (rc == -ENOMEM)
		charge_failed(owner, npages);
	return rc;
}

/**
 * pages_owner_uncharge_limit() - pages_owner_uncharge() for who has a limit
 * @owner: who paid, not IOMMUFD_ACCOUNT_NONE
 * @npages: how many
 */
void pages_owner_uncharge_limit(struct pages_owner *owner,
				unsigned long npages)
{
	if (owner->mode == IOMMUFD_ACCOUNT_USER)
		atomic_long_sub(npages, &owner->user->locked_vm);
	else
		uncharge_mm(owner, npages);
}
