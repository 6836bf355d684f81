// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of devices, which user space reads and answers.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <trace/events/iommufd.h>

#include "fault.h"
#include "group.h"
#include "hw_pagetable.h"

static struct iommufd_fault *file_fault(struct file *file)
{
	return container_of_const((struct iommufd_eventq *)file->private_data,
				  struct iommufd_fault, common);
}

static void fault_answer(struct iopf_group *group,
			 enum iommu_page_response_code code)
{
	const struct iommu_fault_page_request *prm =
		&group->last_fault.fault.prm;

	trace_iommufd_fault_response(group->fault_param->dev, prm->pasid,
				     prm->grpid, group->cookie, code);
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

/* The core uses flags of its own beside these */
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
	return iommufd_eventq_fops_poll(file, wait) | EPOLLOUT;
}

static const struct file_operations fault_fops = {
	.owner = THIS_MODULE,
	.read = fault_fops_read,
	.write = fault_fops_write,
	.poll = fault_fops_poll,
	.release = iommufd_eventq_fops_release,
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
 * Return: 0, it cannot fail.
 */
int iommufd_fault_iopf_handler(struct iopf_group *group)
{
	struct iommufd_fault *fault =
		group->attach_handle->domain->iommufd_hwpt->fault;
	const struct iommu_fault_page_request *prm =
		&group->last_fault.fault.prm;

	trace_iommufd_fault(fault->common.obj.id, group->fault_param->dev,
			    prm->pasid, prm->grpid, prm->perm, prm->addr,
			    group->fault_count);
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

/* Neither a file nor a HWPT is left */
void iommufd_fault_destroy(struct iommufd_object *obj)
{
	struct iommufd_fault *fault =
		container_of(obj, struct iommufd_fault, common.obj);
	struct iopf_group *group, *next;
	unsigned long cookie;

	/* There should be none without an attachment */
	list_for_each_entry_safe(group, next, &fault->common.deliver, node)
		fault_answer(group, IOMMU_PAGE_RESP_INVALID);
	xa_for_each(&fault->response, cookie, group)
		fault_answer(group, IOMMU_PAGE_RESP_INVALID);
	xa_destroy(&fault->response);
	mutex_destroy(&fault->mutex);
	mutex_destroy(&fault->common.io_mutex);
}

/* IOMMU_FAULT_QUEUE_ALLOC */
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
	iommufd_eventq_init(&fault->common, ucmd->ictx);
	mutex_init(&fault->mutex);
	xa_init_flags(&fault->response, XA_FLAGS_ALLOC1);
	fault->next_cookie = 1;

	cmd->out_fault_id = fault->common.obj.id;
	return iommufd_eventq_respond(ucmd, &fault->common, "[iommufd-pgfault]",
				      &fault_fops, &cmd->out_fault_fd,
				      sizeof(*cmd));
}
