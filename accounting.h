/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who pays for memory that is pinned.
 */
#ifndef __IOMMUFD_ACCOUNTING_H
#define __IOMMUFD_ACCOUNTING_H

#include <linux/types.h>

struct mm_struct;
struct task_struct;
struct user_struct;

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
 * @mode: what account_mode_of_caller() made of an enum iommufd_account_mode
 */
struct pages_owner {
	struct mm_struct *mm;
	struct task_struct *task;
	struct user_struct *user;
	u8 mode;
};

enum iommufd_account_mode
account_mode_of_caller(enum iommufd_account_mode mode);
void pages_owner_init(struct pages_owner *owner,
		      enum iommufd_account_mode mode);
void pages_owner_put(struct pages_owner *owner);
int pages_owner_charge(struct pages_owner *owner, unsigned long npages);
void pages_owner_uncharge(struct pages_owner *owner, unsigned long npages);

#endif
