// SPDX-License-Identifier: GPL-2.0-only
/*
 * What event queues share: a file that user space reads, and poll.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>

#include "eventq.h"

/**
 * iommufd_eventq_init() - set up what both kinds of queue share
 * @eventq: the queue, zeroed but for its object
 * @ictx: its context
 */
void iommufd_eventq_init(struct iommufd_eventq *eventq,
			 struct iommufd_ctx *ictx)
{
	eventq->ictx = ictx;
	mutex_init(&eventq->io_mutex);
	spin_lock_init(&eventq->lock);
	INIT_LIST_HEAD(&eventq->deliver);
	init_waitqueue_head(&eventq->wait_queue);
}

/**
 * iommufd_eventq_respond() - reply with a new file for a queue
 * @ucmd: the call
 * @eventq: the queue
 * @name: of the file
 * @fops: its operations, with iommufd_eventq_fops_release()
 * @out_fd: member of the reply that gets the descriptor
 * @cmd_len: the known size of the reply
 *
 * The file starts to work when nothing can fail any more. If it is released
 * before, the queue does not notice.
 *
 * Return: 0, -EFAULT, or an errno of making a file.
 */
int iommufd_eventq_respond(struct iommufd_ucmd *ucmd,
			   struct iommufd_eventq *eventq, const char *name,
			   const struct file_operations *fops, u32 *out_fd,
			   size_t cmd_len)
{
	int rc;

	FD_PREPARE(fdf, O_CLOEXEC,
		   anon_inode_getfile(name, fops, NULL, O_RDWR));
	if (fdf.err)
		return fdf.err;

	*out_fd = fd_prepare_fd(fdf);
	rc = iommufd_ucmd_respond(ucmd, cmd_len);
	if (rc)
		return rc;

	refcount_inc(&eventq->obj.users);
	/* Of user space, not of a driver */
	get_file(eventq->ictx->file);
	fd_prepare_file(fdf)->private_data = eventq;
	fd_publish(fdf);
	return 0;
}

int iommufd_eventq_fops_release(struct inode *inode, struct file *file)
{
	struct iommufd_eventq *eventq = file->private_data;
	struct iommufd_ctx *ictx;

	if (!eventq)
		return 0;
	ictx = eventq->ictx;
	refcount_dec(&eventq->obj.users);
	fput(ictx->file);
	return 0;
}

/* Tells of reading only: whether EPOLLOUT applies is up to the kind of queue */
__poll_t iommufd_eventq_fops_poll(struct file *file, poll_table *wait)
{
	struct iommufd_eventq *eventq = file->private_data;

	poll_wait(file, &eventq->wait_queue, wait);
	guard(spinlock)(&eventq->lock);
	return list_empty(&eventq->deliver) ? 0 : EPOLLIN | EPOLLRDNORM;
}
