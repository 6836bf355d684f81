// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware queues of a vIOMMU: in guest memory, which the hardware reads at its
 * physical address, so they are pinned and have to be contiguous there.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "access.h"
#include "hw_pagetable.h"
#include "hw_queue.h"
#include "viommu.h"

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

/* The queue is complete, or as far as its creation came */
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

	/* The length in whole pages has to be a size_t */
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

/* IOMMU_HW_QUEUE_ALLOC */
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	size_t size;
	u64 last;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (check_add_overflow(cmd->nesting_parent_iova, cmd->length - 1,
			       &last) ||
	    last > ULONG_MAX)
		return -EOVERFLOW;

	struct iommufd_viommu *viommu __free(iommufd_put_object) =
		iommufd_get_viommu(ucmd->ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	size = hw_queue_size(viommu, cmd->type);
	return size ? hw_queue_alloc(ucmd, viommu, size) : -EOPNOTSUPP;
}
