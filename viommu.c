// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMUs, and the vDEVICEs and hardware queues on them.
 *
 * A vDEVICE ties the lifetime of two strangers together: user space owns it,
 * but it goes with its device, which a driver owns. While it exists it is
 * iommufd_device.vdev, which iommufd_group.lock protects, and it holds the
 * device by iommufd_object.users and wait_cnt.
 *
 * To get rid of a device, iommufd_vdevice_revoke() first forbids new vDEVICEs
 * and destroys the one there is. If user space is destroying it at that moment,
 * there is nothing to do: the wait_cnt that the vDEVICE holds on the device, for
 * which the device's destruction waits next, ends when user space is through.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "../iommu-priv.h"
#include "access.h"
#include "device.h"
#include "hw_pagetable.h"
#include "viommu.h"

/* ---- vIOMMU ---- */

/**
 * iommufd_viommu_destroy() - destroy operation of a vIOMMU
 * @obj: the vIOMMU, possibly with nothing but memory
 */
void iommufd_viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu =
		container_of(obj, struct iommufd_viommu, obj);

	if (!viommu->hwpt)
		return;
	if (viommu->ops && viommu->ops->destroy)
		viommu->ops->destroy(viommu);
	refcount_dec(&viommu->hwpt->common.obj.users);
	xa_destroy(&viommu->vdevs);
	module_put(viommu->iommu_dev->ops->owner);
}

/* Everything that the driver may rely on in its viommu_init */
static void viommu_init(struct iommufd_viommu *viommu, struct iommufd_ctx *ictx,
			struct iommufd_device *idev,
			struct iommufd_hwpt_paging *hwpt,
			enum iommu_viommu_type type)
{
	xa_init(&viommu->vdevs);
	INIT_LIST_HEAD(&viommu->veventqs);
	init_rwsem(&viommu->veventqs_rwsem);
	viommu->type = type;
	viommu->ictx = ictx;
	refcount_inc(&hwpt->common.obj.users);
	viommu->hwpt = hwpt;
	/*
	 * The vIOMMU outlives the device, whose binding is what keeps the IOMMU
	 * driver. IOMMUs themselves are assumed not to disappear.
	 */
	viommu->iommu_dev = idev->dev->iommu->iommu_dev;
	__module_get(viommu->iommu_dev->ops->owner);
}

/* Returns the size of the driver's structure, or 0 if there is no support */
static size_t viommu_size(struct iommufd_device *idev,
			  enum iommu_viommu_type type)
{
	const struct iommu_ops *ops;
	size_t size;

	if (idev->noiommu)
		return 0;
	ops = dev_iommu_ops(idev->dev);
	if (!ops->get_viommu_size || !ops->viommu_init)
		return 0;
	size = ops->get_viommu_size(idev->dev, type);
	if (WARN_ON_ONCE(size && size < sizeof(struct iommufd_viommu)))
		return 0;
	return size;
}

static struct iommufd_viommu *viommu_create(struct iommufd_ucmd *ucmd,
					    struct iommufd_device *idev,
					    struct iommufd_hwpt_paging *hwpt,
					    size_t size)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_object *obj;

	/* A driver would take another driver's domain for one of its own */
	if (!hwpt->nest_parent ||
	    hwpt->common.domain->owner != dev_iommu_ops(idev->dev))
		return ERR_PTR(-EINVAL);

	obj = _iommufd_object_alloc_ucmd(ucmd, size, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	viommu = container_of(obj, struct iommufd_viommu, obj);
	viommu_init(viommu, ucmd->ictx, idev, hwpt, cmd->type);
	return viommu;
}

/* Returns a vIOMMU that its driver has not seen yet */
static struct iommufd_viommu *viommu_create_for(struct iommufd_ucmd *ucmd,
						struct iommufd_device *idev)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_viommu *viommu;
	size_t size;

	size = viommu_size(idev, cmd->type);
	if (!size)
		return ERR_PTR(-EOPNOTSUPP);

	hwpt = iommufd_get_hwpt_paging(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return ERR_CAST(hwpt);
	viommu = viommu_create(ucmd, idev, hwpt, size);
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	return viommu;
}

static int viommu_driver_init(struct iommufd_viommu *viommu,
			      struct iommu_viommu_alloc *cmd)
{
	const struct iommu_user_data user_data = {
		.type = cmd->type,
		.uptr = u64_to_user_ptr(cmd->data_uptr),
		.len = cmd->data_len,
	};
	int rc;

	rc = viommu->iommu_dev->ops->viommu_init(viommu,
						 viommu->hwpt->common.domain,
						 cmd->data_len ? &user_data :
								 NULL);
	if (rc)
		return rc;
	return WARN_ON_ONCE(!viommu->ops) ? -EOPNOTSUPP : 0;
}

/**
 * iommufd_viommu_alloc_ioctl() - IOMMU_VIOMMU_ALLOC
 * @ucmd: the call
 */
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;

	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	viommu = viommu_create_for(ucmd, idev);
	/*
	 * The vIOMMU outlives the device, which may go from here on: the driver
	 * and the reply wait for user memory.
	 */
	iommufd_put_object(ucmd->ictx, &idev->obj);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	rc = viommu_driver_init(viommu, cmd);
	if (rc)
		return rc;
	cmd->out_viommu_id = viommu->obj.id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* ---- vDEVICE ---- */

/* The driver's lookups find it from here on */
static void vdevice_show(struct iommufd_vdevice *vdev)
{
	/* The index was reserved, so this needs no memory */
	xa_store(&vdev->viommu->vdevs, vdev->virt_id, vdev, GFP_KERNEL);
}

/* The driver's lookups fail from here on, but virt_id is not free yet */
static void vdevice_hide(struct iommufd_vdevice *vdev)
{
	xa_store(&vdev->viommu->vdevs, vdev->virt_id, XA_ZERO_ENTRY,
		 GFP_KERNEL);
}

/**
 * iommufd_vdevice_destroy() - destroy operation of a vDEVICE
 * @obj: the vDEVICE, possibly with nothing but memory
 *
 * The device may be freed before this returns, when it is being unbound.
 */
void iommufd_vdevice_destroy(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev =
		container_of(obj, struct iommufd_vdevice, obj);
	struct iommufd_viommu *viommu = vdev->viommu;
	struct iommufd_device *idev = vdev->idev;

	if (!viommu)
		return;
	scoped_guard(mutex, &idev->igroup->lock) {
		vdevice_hide(vdev);
		if (vdev->destroy)
			vdev->destroy(vdev);
		xa_erase(&viommu->vdevs, vdev->virt_id);
		idev->vdev = NULL;
	}
	iommufd_put_object(viommu->ictx, &idev->obj);
	refcount_dec(&viommu->obj.users);
}

/**
 * iommufd_vdevice_revoke() - a device is going, and its vDEVICE with it
 * @idev: the device; the caller waits for its wait_cnt afterwards
 *
 * For the pre_destroy operation of devices. The ID of the vDEVICE is not used
 * again: user space did not ask for its destruction and may still use it.
 */
void iommufd_vdevice_revoke(struct iommufd_device *idev)
{
	struct iommufd_vdevice *vdev;

	scoped_guard(mutex, &idev->igroup->lock) {
		idev->destroying = true;
		vdev = idev->vdev;
		if (!vdev || !refcount_inc_not_zero(&vdev->obj.users))
			return;
	}
	iommufd_object_tombstone_user(idev->ictx, &vdev->obj);
}

static size_t vdevice_size(const struct iommufd_viommu_ops *ops)
{
	if (!ops->vdevice_size)
		return sizeof(struct iommufd_vdevice);
	if (WARN_ON_ONCE(ops->vdevice_size < sizeof(struct iommufd_vdevice) ||
			 !ops->vdevice_init))
		return 0;
	return ops->vdevice_size;
}

/* What stands against a vDEVICE, other than what its driver says */
static int vdevice_check(struct iommufd_viommu *viommu,
			 struct iommufd_device *idev, unsigned long virt_id)
{
	lockdep_assert_held(&idev->igroup->lock);

	if (idev->noiommu || idev->dev->iommu->iommu_dev != viommu->iommu_dev)
		return -EINVAL;
	if (idev->destroying)
		return -ENOENT;
	if (idev->vdev)
		return -EEXIST;
	if (!vdevice_size(viommu->ops))
		return -EOPNOTSUPP;
	return xa_load(&viommu->vdevs, virt_id) ? -EEXIST : 0;
}

/* Have the driver set the vDEVICE up, under a virt_id that is reserved */
static int vdevice_driver_init(struct iommufd_vdevice *vdev,
			       struct iommufd_viommu *viommu,
			       struct iommufd_device *idev)
{
	int rc;

	vdev->viommu = viommu;
	vdev->idev = idev;
	if (!viommu->ops->vdevice_init)
		return 0;
	rc = viommu->ops->vdevice_init(vdev);
	if (!rc)
		return 0;

	if (vdev->destroy)
		vdev->destroy(vdev);
	vdev->viommu = NULL;
	vdev->idev = NULL;
	return rc;
}

/* Returns with the vDEVICE published, or with nothing to undo but its memory */
static int vdevice_create(struct iommufd_ucmd *ucmd,
			  struct iommufd_vdevice *vdev,
			  struct iommufd_viommu *viommu,
			  struct iommufd_device *idev)
{
	int rc;

	guard(mutex)(&idev->igroup->lock);

	rc = vdevice_check(viommu, idev, vdev->virt_id);
	if (rc)
		return rc;
	rc = xa_insert(&viommu->vdevs, vdev->virt_id, XA_ZERO_ENTRY,
		       GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc == -EBUSY ? -EEXIST : rc;
	rc = vdevice_driver_init(vdev, viommu, idev);
	if (rc) {
		xa_erase(&viommu->vdevs, vdev->virt_id);
		return rc;
	}

	/* Cannot fail, this call holds a reference already */
	WARN_ON(!iommufd_lock_obj(ucmd->ictx, &idev->obj));
	refcount_inc(&viommu->obj.users);
	idev->vdev = vdev;
	vdevice_show(vdev);
	/* Who destroys it now, user space or the device, waits for the lock */
	iommufd_object_finalize_ucmd(ucmd);
	return 0;
}

/* Returns a vDEVICE that is nothing but an ID, which the caller has got */
static struct iommufd_vdevice *vdevice_respond(struct iommufd_ucmd *ucmd,
					       struct iommufd_viommu *viommu)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_vdevice *vdev;
	struct iommufd_object *obj;
	int rc;

	obj = _iommufd_object_alloc_ucmd(ucmd, vdevice_size(viommu->ops),
					 IOMMUFD_OBJ_VDEVICE);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	vdev = container_of(obj, struct iommufd_vdevice, obj);
	vdev->virt_id = cmd->virt_id;
	cmd->out_vdevice_id = obj->id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	return rc ? ERR_PTR(rc) : vdev;
}

static int vdevice_check_id(struct iommufd_ctx *ictx,
			    struct iommufd_viommu *viommu,
			    const struct iommu_vdevice_alloc *cmd)
{
	struct iommufd_device *idev = iommufd_get_device(ictx, cmd->dev_id);
	int rc;

	if (IS_ERR(idev))
		return PTR_ERR(idev);
	scoped_guard(mutex, &idev->igroup->lock)
		rc = vdevice_check(viommu, idev, cmd->virt_id);
	iommufd_put_object(ictx, &idev->obj);
	return rc;
}

/*
 * Nobody can undo a vDEVICE that the driver has shown to others, so the reply
 * comes first; and not with the device held, as it waits for user memory. That
 * is why everything is checked a second time. The first time gives the errors
 * that are more telling than that of the reply.
 */
static int vdevice_alloc(struct iommufd_ucmd *ucmd,
			 struct iommufd_viommu *viommu)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_vdevice *vdev;
	struct iommufd_device *idev;
	int rc;

	rc = vdevice_check_id(ucmd->ictx, viommu, cmd);
	if (rc)
		return rc;
	vdev = vdevice_respond(ucmd, viommu);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);

	idev = iommufd_get_device(ucmd->ictx, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	rc = vdevice_create(ucmd, vdev, viommu, idev);
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}

/**
 * iommufd_vdevice_alloc_ioctl() - IOMMU_VDEVICE_ALLOC
 * @ucmd: the call
 */
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	int rc;

	/* An index of an xarray, and what drivers look it up with */
	if (cmd->virt_id > ULONG_MAX)
		return -EINVAL;

	viommu = iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	rc = vdevice_alloc(ucmd, viommu);
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return rc;
}

/* ---- Hardware queue ---- */

/*
 * The pages of a queue are pinned in steps, each of which comes with the
 * contiguity of its pages checked. Unpinning takes the same steps.
 */
#define HW_QUEUE_STEP_PAGES (PAGE_SIZE / sizeof(struct page *))
#define HW_QUEUE_STEP	    (HW_QUEUE_STEP_PAGES * PAGE_SIZE)

/* The part of the IOAS that a queue pins, in whole pages */
static unsigned long hw_queue_start(const struct iommufd_hw_queue *hw_queue)
{
	return hw_queue->base_addr & PAGE_MASK;
}

static size_t hw_queue_pinned_size(const struct iommufd_hw_queue *hw_queue)
{
	return PAGE_ALIGN(offset_in_page(hw_queue->base_addr) +
			  hw_queue->length);
}

static void hw_queue_unpin(struct iommufd_hw_queue *hw_queue, size_t size)
{
	unsigned long iova = hw_queue_start(hw_queue);
	size_t done, step;

	for (done = 0; done != size; done += step) {
		step = min_t(size_t, size - done, HW_QUEUE_STEP);
		iommufd_access_unpin_pages(hw_queue->access, iova + done, step);
	}
}

static bool pages_follow(struct page **pages, unsigned long num,
			 unsigned long pfn)
{
	unsigned long i;

	for (i = 0; i != num; i++)
		if (page_to_pfn(pages[i]) != pfn + i)
			return false;
	return true;
}

/* Pin the queue's memory and find out where it is in physical memory */
static int hw_queue_pin(struct iommufd_hw_queue *hw_queue, phys_addr_t *base_pa)
{
	struct page **pages __free(kfree) = NULL;
	unsigned long iova = hw_queue_start(hw_queue);
	size_t size = hw_queue_pinned_size(hw_queue);
	unsigned long pfn = 0;
	size_t done, step;
	int rc;

	pages = kmalloc_objs(*pages, min(size / PAGE_SIZE, HW_QUEUE_STEP_PAGES),
			     GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;

	for (done = 0; done != size; done += step) {
		step = min_t(size_t, size - done, HW_QUEUE_STEP);
		rc = iommufd_access_pin_pages(hw_queue->access, iova + done,
					      step, pages,
					      IOMMUFD_ACCESS_RW_READ);
		if (rc)
			goto err_unpin;
		if (!done)
			pfn = page_to_pfn(pages[0]);
		if (!pages_follow(pages, step / PAGE_SIZE,
				  pfn + done / PAGE_SIZE)) {
			done += step;
			rc = -EFAULT;
			goto err_unpin;
		}
	}
	*base_pa = PFN_PHYS(pfn) + offset_in_page(hw_queue->base_addr);
	return 0;

err_unpin:
	hw_queue_unpin(hw_queue, done);
	return rc;
}

/* Pin through an access of its own, which user space cannot see */
static int hw_queue_access_init(struct iommufd_hw_queue *hw_queue,
				phys_addr_t *base_pa)
{
	struct iommufd_viommu *viommu = hw_queue->viommu;
	struct iommufd_access *access;
	int rc;

	access = iommufd_access_create_internal(viommu->hwpt->ioas,
						viommu->ictx);
	if (IS_ERR(access))
		return PTR_ERR(access);

	hw_queue->access = access;
	rc = hw_queue_pin(hw_queue, base_pa);
	if (rc) {
		hw_queue->access = NULL;
		iommufd_access_destroy_internal(access);
	}
	return rc;
}

/**
 * iommufd_hw_queue_destroy() - destroy operation of a hardware queue
 * @obj: the queue, possibly with nothing but memory, or without pages
 */
void iommufd_hw_queue_destroy(struct iommufd_object *obj)
{
	struct iommufd_hw_queue *hw_queue =
		container_of(obj, struct iommufd_hw_queue, obj);
	struct iommufd_viommu *viommu = hw_queue->viommu;

	if (!viommu)
		return;
	if (hw_queue->destroy)
		hw_queue->destroy(hw_queue);
	if (hw_queue->access) {
		hw_queue_unpin(hw_queue, hw_queue_pinned_size(hw_queue));
		iommufd_access_destroy_internal(hw_queue->access);
	}
	refcount_dec(&viommu->obj.users);
}

/* Returns the size of the driver's structure, or 0 if there is no support */
static size_t hw_queue_size(struct iommufd_viommu *viommu,
			    enum iommu_hw_queue_type type)
{
	const struct iommufd_viommu_ops *ops = viommu->ops;
	size_t size;

	if (!ops->get_hw_queue_size || !ops->hw_queue_init_phys)
		return 0;
	size = ops->get_hw_queue_size(viommu, type);
	if (WARN_ON_ONCE(size && size < sizeof(struct iommufd_hw_queue)))
		return 0;
	return size;
}

static int hw_queue_alloc(struct iommufd_ucmd *ucmd,
			  struct iommufd_viommu *viommu, size_t struct_size)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_hw_queue *hw_queue;
	struct iommufd_object *obj;
	phys_addr_t base_pa;
	int rc;

	obj = _iommufd_object_alloc_ucmd(ucmd, struct_size,
					 IOMMUFD_OBJ_HW_QUEUE);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	hw_queue = container_of(obj, struct iommufd_hw_queue, obj);

	/* Rounded to pages it has to be a size_t */
	if (cmd->length > (SIZE_MAX & PAGE_MASK) -
				  offset_in_page(cmd->nesting_parent_iova))
		return -ERANGE;

	refcount_inc(&viommu->obj.users);
	hw_queue->viommu = viommu;
	hw_queue->type = cmd->type;
	hw_queue->base_addr = cmd->nesting_parent_iova;
	hw_queue->length = cmd->length;

	rc = hw_queue_access_init(hw_queue, &base_pa);
	if (rc)
		return rc;

	/*
	 * Once the driver has accepted the queue it may let others depend on it,
	 * and then the queue cannot be undone. So nothing may fail afterwards.
	 */
	cmd->out_hw_queue_id = obj->id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		return rc;
	return viommu->ops->hw_queue_init_phys(hw_queue, cmd->index, base_pa);
}

/**
 * iommufd_hw_queue_alloc_ioctl() - IOMMU_HW_QUEUE_ALLOC
 * @ucmd: the call
 */
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	size_t size;
	u64 last;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (check_add_overflow(cmd->nesting_parent_iova, cmd->length - 1,
			       &last) ||
	    last > ULONG_MAX)
		return -EOVERFLOW;

	viommu = iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	size = hw_queue_size(viommu, cmd->type);
	rc = size ? hw_queue_alloc(ucmd, viommu, size) : -EOPNOTSUPP;
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return rc;
}
