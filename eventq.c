// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event queues that user space reads: page faults of devices, and what a
 * vIOMMU has to tell its guest.
 *
 * User memory can take forever to be copied. It is copied with nothing held
 * but iommufd_eventq.io_mutex, which only users of the same file wait for.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "device.h"
#include "eventq.h"
#include "hw_pagetable.h"
#include "viommu.h"

/* Most events that a vEVENTQ can be asked to hold */
#define IOMMUFD_VEVENTQ_MAX_DEPTH 524288

static void eventq_init(struct iommufd_eventq *eventq, struct iommufd_ctx *ictx)
{
	eventq->ictx = ictx;
	mutex_init(&eventq->io_mutex);
	spin_lock_init(&eventq->lock);
	INIT_LIST_HEAD(&eventq->deliver);
	init_waitqueue_head(&eventq->wait_queue);
}

/*
 * Reply with a new file for the queue. It starts to work when nothing can fail
 * any more, until then its release is none of the queue's business.
 */
static int eventq_respond(struct iommufd_ucmd *ucmd,
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
	iommufd_ctx_get(eventq->ictx);
	fd_prepare_file(fdf)->private_data = eventq;
	fd_publish(fdf);
	return 0;
}

static int eventq_fops_release(struct inode *inode, struct file *file)
{
	struct iommufd_eventq *eventq = file->private_data;
	struct iommufd_ctx *ictx;

	if (!eventq)
		return 0;
	ictx = eventq->ictx;
	refcount_dec(&eventq->obj.users);
	iommufd_ctx_put(ictx);
	return 0;
}

static __poll_t eventq_fops_poll(struct file *file, poll_table *wait)
{
	struct iommufd_eventq *eventq = file->private_data;

	poll_wait(file, &eventq->wait_queue, wait);
	guard(spinlock)(&eventq->lock);
	return list_empty(&eventq->deliver) ? 0 : EPOLLIN | EPOLLRDNORM;
}

/* ---- Page faults ---- */

static struct iommufd_fault *file_fault(struct file *file)
{
	return container_of_const((struct iommufd_eventq *)file->private_data,
				  struct iommufd_fault, common);
}

static void fault_answer(struct iopf_group *group,
			 enum iommu_page_response_code code)
{
	iopf_group_response(group, code);
	iopf_free_group(group);
}

static void fault_dequeue(struct iommufd_fault *fault, struct iopf_group *group)
{
	guard(spinlock)(&fault->common.lock);
	list_del(&group->node);
}

static u32 fault_dev_id(struct iopf_group *group)
{
	struct iommufd_attach_handle *handle =
		to_iommufd_handle(group->attach_handle);

	return iommufd_group_faulting_id(handle->igroup,
					 group->fault_param->dev);
}

/*
 * The first group of the queue that user space can be told about, and the ID of
 * its device. A device that is being unbound has no ID any more and waits for
 * @fault->mutex to have its faults answered, so those are answered right here.
 */
static struct iopf_group *fault_first(struct iommufd_fault *fault, u32 *dev_id)
{
	struct iopf_group *group;

	lockdep_assert_held(&fault->mutex);

	for (;;) {
		scoped_guard(spinlock, &fault->common.lock)
			group = list_first_entry_or_null(&fault->common.deliver,
							 struct iopf_group,
							 node);
		if (!group)
			return NULL;
		*dev_id = fault_dev_id(group);
		if (*dev_id)
			return group;
		fault_dequeue(fault, group);
		fault_answer(group, IOMMU_PAGE_RESP_INVALID);
	}
}

/* The core has flags of its own among these */
static u32 fault_flags(u32 flags)
{
	u32 ret = 0;

	if (flags & IOMMU_FAULT_PAGE_REQUEST_PASID_VALID)
		ret |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
	if (flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE)
		ret |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	return ret;
}

static void fault_fill_records(struct iopf_group *group, u32 dev_id,
			       struct iommu_hwpt_pgfault *records)
{
	struct iopf_fault *iopf;

	static_assert((int)IOMMU_PGFAULT_PERM_READ ==
		      (int)IOMMU_FAULT_PERM_READ);
	static_assert((int)IOMMU_PGFAULT_PERM_WRITE ==
		      (int)IOMMU_FAULT_PERM_WRITE);
	static_assert((int)IOMMU_PGFAULT_PERM_EXEC ==
		      (int)IOMMU_FAULT_PERM_EXEC);
	static_assert((int)IOMMU_PGFAULT_PERM_PRIV ==
		      (int)IOMMU_FAULT_PERM_PRIV);

	list_for_each_entry(iopf, &group->faults, list) {
		const struct iommu_fault_page_request *prm = &iopf->fault.prm;

		*records++ = (struct iommu_hwpt_pgfault){
			.flags = fault_flags(prm->flags),
			.dev_id = dev_id,
			.pasid = prm->pasid,
			.grpid = prm->grpid,
			.perm = prm->perm,
			.addr = prm->addr,
			.cookie = group->cookie,
		};
	}
}

/*
 * Move the first group from the queue to those that wait for an answer.
 * Returns the bytes of its records, which are to be freed, or -ENODATA when
 * there is none.
 */
static ssize_t fault_take(struct iommufd_fault *fault, size_t room,
			  struct iommu_hwpt_pgfault **records)
{
	struct iopf_group *group;
	u32 dev_id;
	int rc;

	guard(mutex)(&fault->mutex);
	group = fault_first(fault, &dev_id);
	if (!group)
		return -ENODATA;
	if (group->fault_count > room / sizeof(**records))
		return -EINVAL;

	*records = kvzalloc_objs(**records, group->fault_count,
				 GFP_KERNEL_ACCOUNT);
	if (!*records)
		return -ENOMEM;
	rc = xa_alloc_cyclic(&fault->response, &group->cookie, group,
			     XA_LIMIT(1, U32_MAX), &fault->next_cookie,
			     GFP_KERNEL_ACCOUNT);
	if (rc < 0) {
		kvfree(*records);
		return rc;
	}

	fault_fill_records(group, dev_id, *records);
	fault_dequeue(fault, group);
	return group->fault_count * sizeof(**records);
}

/* The reader could not be told about the group; a flush may have ended it */
static void fault_untake(struct iommufd_fault *fault, u32 cookie)
{
	struct iopf_group *group;

	guard(mutex)(&fault->mutex);
	group = xa_erase(&fault->response, cookie);
	if (!group)
		return;
	scoped_guard(spinlock, &fault->common.lock)
		list_add(&group->node, &fault->common.deliver);
	wake_up_interruptible(&fault->common.wait_queue);
}

/* Returns the bytes of the group that was copied, or a negative errno */
static ssize_t fault_read_group(struct iommufd_fault *fault, char __user *buf,
				size_t room)
{
	struct iommu_hwpt_pgfault *records;
	ssize_t size;

	size = fault_take(fault, room, &records);
	if (size < 0)
		return size;
	if (copy_to_user(buf, records, size)) {
		fault_untake(fault, records->cookie);
		size = -EFAULT;
	}
	kvfree(records);
	return size;
}

static ssize_t fault_fops_read(struct file *file, char __user *buf,
			       size_t count, loff_t *ppos)
{
	struct iommufd_fault *fault = file_fault(file);
	size_t done = 0;
	ssize_t rc;

	if (count % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;

	rc = mutex_lock_killable(&fault->common.io_mutex);
	if (rc)
		return rc;
	do {
		rc = fault_read_group(fault, buf + done, count - done);
		if (rc > 0)
			done += rc;
	} while (rc > 0);
	mutex_unlock(&fault->common.io_mutex);

	if (done || rc == -ENODATA)
		return done;
	return rc;
}

static int fault_write_response(struct iommufd_fault *fault,
				const struct iommu_hwpt_page_response *resp)
{
	struct iopf_group *group;

	static_assert((int)IOMMUFD_PAGE_RESP_SUCCESS ==
		      (int)IOMMU_PAGE_RESP_SUCCESS);
	static_assert((int)IOMMUFD_PAGE_RESP_INVALID ==
		      (int)IOMMU_PAGE_RESP_INVALID);

	if (resp->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    resp->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;

	guard(mutex)(&fault->mutex);
	group = xa_erase(&fault->response, resp->cookie);
	if (!group)
		return -EINVAL;
	fault_answer(group, resp->code);
	return 0;
}

static ssize_t fault_fops_write(struct file *file, const char __user *buf,
				size_t count, loff_t *ppos)
{
	struct iommufd_fault *fault = file_fault(file);
	struct iommu_hwpt_page_response resp;
	size_t done;
	int rc;

	if (count % sizeof(resp))
		return -ESPIPE;

	rc = mutex_lock_killable(&fault->common.io_mutex);
	if (rc)
		return rc;
	for (done = 0; done != count; done += sizeof(resp)) {
		rc = -EFAULT;
		if (copy_from_user(&resp, buf + done, sizeof(resp)))
			break;
		rc = fault_write_response(fault, &resp);
		if (rc)
			break;
	}
	mutex_unlock(&fault->common.io_mutex);
	return done ?: rc;
}

static __poll_t fault_fops_poll(struct file *file, poll_table *wait)
{
	return eventq_fops_poll(file, wait) | EPOLLOUT;
}

static const struct file_operations fault_fops = {
	.owner = THIS_MODULE,
	.read = fault_fops_read,
	.write = fault_fops_write,
	.poll = fault_fops_poll,
	.release = eventq_fops_release,
};

/*
 * Only devices that are bound are certain to be there when the answer comes,
 * see iommufd_attach_flush_faults(). Returns false for others.
 */
static bool fault_queue_group(struct iommufd_fault *fault,
			      struct iopf_group *group)
{
	struct iommufd_group *igroup =
		to_iommufd_handle(group->attach_handle)->igroup;

	guard(spinlock)(&igroup->devices_lock);
	if (!iommufd_group_find_device(igroup, group->fault_param->dev))
		return false;
	guard(spinlock)(&fault->common.lock);
	list_add_tail(&group->node, &fault->common.deliver);
	return true;
}

/**
 * iommufd_fault_iopf_handler() - take a complete group of page faults
 * @group: the group; its domain belongs to a HWPT with a fault queue
 *
 * The iopf_handler of such domains.
 *
 * Returns 0, it cannot fail.
 */
int iommufd_fault_iopf_handler(struct iopf_group *group)
{
	struct iommufd_fault *fault =
		group->attach_handle->domain->iommufd_hwpt->fault;

	/* The answer is ours from now on, not the core's */
	iopf_group_dequeue(group);
	if (fault_queue_group(fault, group))
		wake_up_interruptible(&fault->common.wait_queue);
	else
		fault_answer(group, IOMMU_PAGE_RESP_INVALID);
	return 0;
}

static bool fault_is_of(struct iopf_group *group,
			struct iommufd_attach_handle *handle,
			struct device *dev)
{
	return group->attach_handle == &handle->sw_msi.handle &&
	       (!dev || group->fault_param->dev == dev);
}

/**
 * iommufd_fault_flush() - nobody is going to answer faults of an attachment
 * @hwpt: what @handle was attached to, with a fault queue or without
 * @handle: the attachment; the hardware does not use it any more and the IOMMU
 *	driver has delivered all of its faults; or @dev is not bound any more
 * @dev: only faults of this device of the group, or NULL for all
 *
 * Answers those that wait to be read or to be answered. No answer is under way
 * any more when this returns. Does not wait for user space.
 */
void iommufd_fault_flush(struct iommufd_hw_pagetable *hwpt,
			 struct iommufd_attach_handle *handle,
			 struct device *dev)
{
	struct iommufd_fault *fault = hwpt->fault;
	struct iopf_group *group, *next;
	unsigned long cookie;
	LIST_HEAD(mine);

	if (!fault)
		return;

	guard(mutex)(&fault->mutex);
	scoped_guard(spinlock, &fault->common.lock)
		list_for_each_entry_safe(group, next, &fault->common.deliver,
					 node)
			if (fault_is_of(group, handle, dev))
				list_move_tail(&group->node, &mine);

	xa_for_each(&fault->response, cookie, group) {
		if (fault_is_of(group, handle, dev)) {
			xa_erase(&fault->response, cookie);
			list_add_tail(&group->node, &mine);
		}
	}

	list_for_each_entry_safe(group, next, &mine, node)
		fault_answer(group, IOMMU_PAGE_RESP_INVALID);
}

/**
 * iommufd_fault_destroy() - destroy operation of a fault queue
 * @obj: the queue, without file and HWPT
 */
void iommufd_fault_destroy(struct iommufd_object *obj)
{
	struct iommufd_fault *fault =
		container_of(obj, struct iommufd_fault, common.obj);
	struct iopf_group *group, *next;
	unsigned long cookie;

	/* Without attachments there should be none */
	list_for_each_entry_safe(group, next, &fault->common.deliver, node)
		fault_answer(group, IOMMU_PAGE_RESP_INVALID);
	xa_for_each(&fault->response, cookie, group)
		fault_answer(group, IOMMU_PAGE_RESP_INVALID);
	xa_destroy(&fault->response);
	mutex_destroy(&fault->mutex);
	mutex_destroy(&fault->common.io_mutex);
}

/**
 * iommufd_fault_alloc() - IOMMU_FAULT_QUEUE_ALLOC
 * @ucmd: the call
 */
int iommufd_fault_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_fault *fault;

	if (cmd->flags)
		return -EOPNOTSUPP;

	fault = iommufd_object_alloc_ucmd(ucmd, fault, IOMMUFD_OBJ_FAULT,
					  common.obj);
	if (IS_ERR(fault))
		return PTR_ERR(fault);
	eventq_init(&fault->common, ucmd->ictx);
	mutex_init(&fault->mutex);
	xa_init_flags(&fault->response, XA_FLAGS_ALLOC1);
	fault->next_cookie = 1;

	cmd->out_fault_id = fault->common.obj.id;
	return eventq_respond(ucmd, &fault->common, "[iommufd-pgfault]",
			      &fault_fops, &cmd->out_fault_fd, sizeof(*cmd));
}

/* ---- Events of a vIOMMU ---- */

static struct iommufd_veventq *file_veventq(struct file *file)
{
	return container_of_const((struct iommufd_eventq *)file->private_data,
				  struct iommufd_veventq, common);
}

/*
 * The first record and its header, which for the marker of lost events may
 * change as soon as this returns.
 */
static struct iommufd_vevent *
veventq_first(struct iommufd_veventq *veventq,
	      struct iommufd_vevent_header *header)
{
	struct iommufd_vevent *vevent;

	guard(spinlock)(&veventq->common.lock);
	vevent = list_first_entry_or_null(&veventq->common.deliver,
					  struct iommufd_vevent, node);
	if (vevent)
		*header = vevent->header;
	return vevent;
}

/* The reader got the first record, as @header describes it */
static void veventq_consume(struct iommufd_veventq *veventq,
			    struct iommufd_vevent *vevent,
			    const struct iommufd_vevent_header *header)
{
	if (vevent == &veventq->lost_events) {
		guard(spinlock)(&veventq->common.lock);
		/* More may have been lost while the reader looked */
		if (vevent->header.sequence == header->sequence)
			list_del_init(&vevent->node);
		return;
	}

	scoped_guard(spinlock, &veventq->common.lock) {
		list_del(&vevent->node);
		veventq->num_events--;
	}
	kfree(vevent);
}

/* Returns the bytes of the record that was copied, or a negative errno */
static ssize_t veventq_read_one(struct iommufd_veventq *veventq,
				char __user *buf, size_t room)
{
	struct iommufd_vevent_header header;
	struct iommufd_vevent *vevent;
	size_t data_len;

	vevent = veventq_first(veventq, &header);
	if (!vevent)
		return -ENODATA;
	data_len = vevent->data_len;
	if (room < sizeof(header) || room - sizeof(header) < data_len)
		return -EINVAL;
	if (copy_to_user(buf, &header, sizeof(header)) ||
	    copy_to_user(buf + sizeof(header), vevent->data, data_len))
		return -EFAULT;
	veventq_consume(veventq, vevent, &header);
	return sizeof(header) + data_len;
}

static ssize_t veventq_fops_read(struct file *file, char __user *buf,
				 size_t count, loff_t *ppos)
{
	struct iommufd_veventq *veventq = file_veventq(file);
	size_t done = 0;
	ssize_t rc;

	if (count < sizeof(struct iommufd_vevent_header))
		return -EINVAL;

	rc = mutex_lock_killable(&veventq->common.io_mutex);
	if (rc)
		return rc;
	do {
		rc = veventq_read_one(veventq, buf + done, count - done);
		if (rc > 0)
			done += rc;
	} while (rc > 0);
	mutex_unlock(&veventq->common.io_mutex);

	if (done || rc == -ENODATA)
		return done;
	return rc;
}

static const struct file_operations veventq_fops = {
	.owner = THIS_MODULE,
	.read = veventq_fops_read,
	.poll = eventq_fops_poll,
	.release = eventq_fops_release,
};

/**
 * iommufd_veventq_destroy() - destroy operation of a vEVENTQ
 * @obj: the queue, without file, possibly never linked to its vIOMMU
 */
void iommufd_veventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_veventq *veventq =
		container_of(obj, struct iommufd_veventq, common.obj);
	struct iommufd_viommu *viommu = veventq->viommu;
	struct iommufd_vevent *vevent, *next;

	if (viommu) {
		scoped_guard(rwsem_write, &viommu->veventqs_rwsem)
			list_del(&veventq->node);
		refcount_dec(&viommu->obj.users);
	}

	/* Nobody adds to it now */
	list_for_each_entry_safe(vevent, next, &veventq->common.deliver, node)
		if (vevent != &veventq->lost_events)
			kfree(vevent);
	mem_cgroup_put(veventq->memcg);
	mutex_destroy(&veventq->common.io_mutex);
}

static int veventq_link(struct iommufd_veventq *veventq,
			struct iommufd_viommu *viommu)
{
	struct iommufd_veventq *other;

	guard(rwsem_write)(&viommu->veventqs_rwsem);
	list_for_each_entry(other, &viommu->veventqs, node)
		if (other->type == veventq->type)
			return -EEXIST;
	list_add_tail(&veventq->node, &viommu->veventqs);
	refcount_inc(&viommu->obj.users);
	veventq->viommu = viommu;
	return 0;
}

/**
 * iommufd_veventq_alloc() - IOMMU_VEVENTQ_ALLOC
 * @ucmd: the call
 */
int iommufd_veventq_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_veventq *veventq;
	struct iommufd_viommu *viommu;
	int rc;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth ||
	    cmd->veventq_depth > IOMMUFD_VEVENTQ_MAX_DEPTH)
		return -EINVAL;

	viommu = iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	veventq = iommufd_object_alloc_ucmd(ucmd, veventq, IOMMUFD_OBJ_VEVENTQ,
					    common.obj);
	if (IS_ERR(veventq)) {
		rc = PTR_ERR(veventq);
		goto out_put;
	}
	eventq_init(&veventq->common, ucmd->ictx);
	veventq->memcg = get_mem_cgroup_from_mm(current->mm);
	veventq->type = cmd->type;
	veventq->depth = cmd->veventq_depth;
	INIT_LIST_HEAD(&veventq->lost_events.node);
	veventq->lost_events.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;

	rc = veventq_link(veventq, viommu);
	if (rc)
		goto out_put;

	cmd->out_veventq_id = veventq->common.obj.id;
	rc = eventq_respond(ucmd, &veventq->common, "[iommufd-viommu-event]",
			    &veventq_fops, &cmd->out_veventq_fd, sizeof(*cmd));
out_put:
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return rc;
}
