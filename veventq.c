// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of a vIOMMU, for the guest. driver.c has the side of the producer.
 */
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/slab.h>

#include "veventq.h"
#include "viommu.h"

/* Most events that a vEVENTQ can be asked to hold */
#define IOMMUFD_VEVENTQ_MAX_DEPTH 524288

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
	.poll = iommufd_eventq_fops_poll,
	.release = iommufd_eventq_fops_release,
};

/* No file is left; a queue whose creation failed may not be on its vIOMMU */
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

	/* The queue is not on its vIOMMU, so nothing is added */
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

/* IOMMU_VEVENTQ_ALLOC */
int iommufd_veventq_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_veventq *veventq;
	int rc;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth ||
	    cmd->veventq_depth > IOMMUFD_VEVENTQ_MAX_DEPTH)
		return -EINVAL;

	struct iommufd_viommu *viommu __free(iommufd_put_object) =
		iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	veventq = iommufd_object_alloc_ucmd(ucmd, veventq, IOMMUFD_OBJ_VEVENTQ,
					    common.obj);
	if (IS_ERR(veventq))
		return PTR_ERR(veventq);
	iommufd_eventq_init(&veventq->common, ucmd->ictx);
	veventq->memcg = get_mem_cgroup_from_mm(current->mm);
	veventq->type = cmd->type;
	veventq->depth = cmd->veventq_depth;
	INIT_LIST_HEAD(&veventq->lost_events.node);
	veventq->lost_events.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;

	rc = veventq_link(veventq, viommu);
	if (rc)
		return rc;

	cmd->out_veventq_id = veventq->common.obj.id;
	return iommufd_eventq_respond(ucmd, &veventq->common,
				      "[iommufd-viommu-event]", &veventq_fops,
				      &cmd->out_veventq_fd, sizeof(*cmd));
}
