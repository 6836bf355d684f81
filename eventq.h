/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What event queues share. User space reads them through a file of their own.
 */
#ifndef __IOMMUFD_EVENTQ_H
#define __IOMMUFD_EVENTQ_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "object.h"

/**
 * struct iommufd_eventq - what both kinds of queue share
 * @obj: in the ID table; the open file is a user
 * @ictx: the context, referenced by the open file
 * @io_mutex: serialises read and write of the file, which alone may take it:
 *	user memory is copied with it held
 * @lock: protects @deliver
 * @deliver: records that wait for a reader
 * @wait_queue: woken when @deliver gets a record
 */
struct iommufd_eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct mutex io_mutex; /* readers and writers */
	spinlock_t lock; /* deliver */
	struct list_head deliver;
	wait_queue_head_t wait_queue;
};

void iommufd_eventq_init(struct iommufd_eventq *eventq,
			 struct iommufd_ctx *ictx);
int iommufd_eventq_respond(struct iommufd_ucmd *ucmd,
			   struct iommufd_eventq *eventq, const char *name,
			   const struct file_operations *fops, u32 *out_fd,
			   size_t cmd_len);
int iommufd_eventq_fops_release(struct inode *inode, struct file *file);
__poll_t iommufd_eventq_fops_poll(struct file *file, poll_table *wait);

#endif
