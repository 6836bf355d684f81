// SPDX-License-Identifier: GPL-2.0-only
/*
 * What IOMMU drivers and the IOMMU core call. Always built in, even when
 * iommufd is a module, and therefore free of references to the module: all it
 * shares is the layout of structures.
 */
#include <linux/export.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "ctx.h"
#include "group.h"
#include "veventq.h"

/*
 * Dependencies between objects of a driver
 */

/* Returns false if an object cannot depend on another */
static bool object_may_depend(const struct iommufd_object *dependent,
			      const struct iommufd_object *depended)
{
	return dependent != depended && dependent->type == depended->type;
}

int _iommufd_object_depend(struct iommufd_object *obj_dependent,
			   struct iommufd_object *obj_depended)
{
	if (!object_may_depend(obj_dependent, obj_depended))
		return -EINVAL;
	/*
	 * A driver can find an object until its destroy operation for it runs,
	 * which is after the last user was gone and the ID with it.
	 */
	if (!refcount_inc_not_zero(&obj_depended->users))
		return -ENOENT;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(_iommufd_object_depend, "IOMMUFD");

void _iommufd_object_undepend(struct iommufd_object *obj_dependent,
			      struct iommufd_object *obj_depended)
{
	if (WARN_ON_ONCE(!object_may_depend(obj_dependent, obj_depended)))
		return;
	refcount_dec(&obj_depended->users);
}
EXPORT_SYMBOL_NS_GPL(_iommufd_object_undepend, "IOMMUFD");

/*
 * mmap regions
 */

int _iommufd_alloc_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
			phys_addr_t mmio_addr, size_t length,
			unsigned long *offset)
{
	struct iommufd_mmap *immap __free(kfree) = NULL;
	unsigned long pgoff;
	int rc;

	if (!length || !PAGE_ALIGNED(length) || !PAGE_ALIGNED(mmio_addr))
		return -EINVAL;

	immap = kzalloc_obj(*immap, GFP_KERNEL_ACCOUNT);
	if (!immap)
		return -ENOMEM;
	immap->owner = owner;
	immap->mmio_addr = mmio_addr;
	immap->length = length;

	/* From 1: an offset of 0 is what a driver reports for "none" */
	rc = mtree_alloc_range(&ictx->mt_mmap, &pgoff, immap,
			       length >> PAGE_SHIFT, 1, ULONG_MAX >> PAGE_SHIFT,
			       GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc;

	/* mmap() ignores the region until its owner is published */
	immap->vm_pgoff = pgoff;
	retain_and_null_ptr(immap);
	*offset = pgoff << PAGE_SHIFT;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(_iommufd_alloc_mmap, "IOMMUFD");

void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
			   struct iommufd_object *owner, unsigned long offset)
{
	unsigned long pgoff = offset >> PAGE_SHIFT;
	struct iommufd_mmap *immap = mtree_load(&ictx->mt_mmap, pgoff);

	if (WARN_ON_ONCE(!immap || immap->owner != owner ||
			 immap->vm_pgoff != pgoff))
		return;
	mtree_erase(&ictx->mt_mmap, pgoff);
	kfree(immap);
}
EXPORT_SYMBOL_NS_GPL(_iommufd_destroy_mmap, "IOMMUFD");

/*
 * vDEVICEs
 */

struct device *iommufd_vdevice_to_device(struct iommufd_vdevice *vdev)
{
	return vdev->idev->dev;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vdevice_to_device, "IOMMUFD");

struct device *iommufd_viommu_find_dev(struct iommufd_viommu *viommu,
				       unsigned long vdev_id)
{
	struct iommufd_vdevice *vdev;

	lockdep_assert_held(&viommu->vdevs.xa_lock);

	vdev = xa_load(&viommu->vdevs, vdev_id);
	return vdev ? iommufd_vdevice_to_device(vdev) : NULL;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_find_dev, "IOMMUFD");

int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
			       struct device *dev, unsigned long *vdev_id)
{
	struct iommufd_vdevice *vdev;
	unsigned long index;
	int rc = -ENOENT;

	if (WARN_ON_ONCE(!vdev_id))
		return -EINVAL;

	xa_lock(&viommu->vdevs);
	xa_for_each(&viommu->vdevs, index, vdev) {
		if (iommufd_vdevice_to_device(vdev) == dev) {
			*vdev_id = index;
			rc = 0;
			break;
		}
	}
	xa_unlock(&viommu->vdevs);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_get_vdev_id, "IOMMUFD");

/*
 * Events of a vIOMMU
 */

static struct iommufd_veventq *viommu_find_veventq(struct iommufd_viommu *viommu,
						   enum iommu_veventq_type type)
{
	struct iommufd_veventq *veventq;

	lockdep_assert_held(&viommu->veventqs_rwsem);

	list_for_each_entry(veventq, &viommu->veventqs, node)
		if (veventq->type == type)
			return veventq;
	return NULL;
}

static bool veventq_full(struct iommufd_veventq *veventq)
{
	guard(spinlock)(&veventq->common.lock);
	return veventq->num_events == veventq->depth;
}

/* The driver is in its IRQ thread, which should not wait for reclaim */
static struct iommufd_vevent *vevent_alloc(struct iommufd_veventq *veventq,
					   const void *data, size_t data_len)
{
	struct mem_cgroup *old_memcg = set_active_memcg(veventq->memcg);
	struct iommufd_vevent *vevent;

	vevent = kmalloc_flex(*vevent, data, data_len,
			      GFP_NOWAIT | __GFP_ACCOUNT);
	set_active_memcg(old_memcg);
	if (!vevent)
		return NULL;
	vevent->data_len = data_len;
	memcpy(vevent->data, data, data_len);
	return vevent;
}

/*
 * Queue an event, or without one remember that it is lost. Returns the event
 * when there was no room for it. Either way it takes a sequence number.
 */
static struct iommufd_vevent *veventq_push(struct iommufd_veventq *veventq,
					   struct iommufd_vevent *vevent)
{
	struct iommufd_vevent *lost = &veventq->lost_events;
	struct iommufd_vevent *stored;

	scoped_guard(spinlock, &veventq->common.lock) {
		/* Another producer may have taken the room */
		if (veventq->num_events == veventq->depth)
			stored = NULL;
		else
			stored = vevent;

		/* The marker is the last record, or is not queued */
		list_del_init(&lost->node);
		if (stored) {
			stored->header.flags = 0;
			stored->header.sequence = veventq->sequence;
			list_add_tail(&stored->node, &veventq->common.deliver);
			veventq->num_events++;
		} else {
			lost->header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
			lost->header.sequence = veventq->sequence;
			list_add_tail(&lost->node, &veventq->common.deliver);
		}
		veventq->sequence = (veventq->sequence + 1) & INT_MAX;
	}
	wake_up_interruptible(&veventq->common.wait_queue);
	return stored ? NULL : vevent;
}

int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
				enum iommu_veventq_type type, void *event_data,
				size_t data_len)
{
	struct iommufd_vevent *vevent = NULL;
	struct iommufd_veventq *veventq;
	int rc = 0;

	if (WARN_ON_ONCE(!event_data || !data_len))
		return -EINVAL;

	guard(rwsem_read)(&viommu->veventqs_rwsem);
	veventq = viommu_find_veventq(viommu, type);
	if (!veventq)
		return -EOPNOTSUPP;

	if (!veventq_full(veventq)) {
		vevent = vevent_alloc(veventq, event_data, data_len);
		if (!vevent)
			rc = -ENOMEM;
	}
	kfree(veventq_push(veventq, vevent));
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_report_event, "IOMMUFD");

MODULE_DESCRIPTION("What IOMMU drivers call in iommufd");
MODULE_IMPORT_NS("IOMMUFD_INTERNAL");
MODULE_LICENSE("GPL");
