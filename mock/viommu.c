// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMUs of the mock IOMMU: pages to mmap, device caches, events and hardware
 * queues.
 */
#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/slab.h>

#include "mock.h"

/* What user space may mmap of a vIOMMU, an order 1 allocation */
#define MOCK_MMAP_ORDER 1
#define MOCK_MMAP_LENGTH (PAGE_SIZE << MOCK_MMAP_ORDER)

/**
 * struct mock_hw_queue - a queue in guest memory that nobody reads
 * @core: at offset 0
 * @mock: vIOMMU it is on
 * @prev: queue in the slot below, kept alive by this one, or NULL
 * @index: slot of @mock it is in
 */
struct mock_hw_queue {
	struct iommufd_hw_queue core;
	struct mock_viommu *mock;
	struct mock_hw_queue *prev;
	u32 index;
};

/**
 * struct mock_viommu - a vIOMMU
 * @core: at offset 0
 * @parent: stage 2 domain, kept alive by @core
 * @queue_lock: protects @queues
 * @queues: filled from 0 up and emptied from the end
 * @mmap_pages: MOCK_MMAP_LENGTH bytes that user space may mmap, or NULL
 * @mmap_offset: where in the context's file they are, if any
 */
struct mock_viommu {
	struct iommufd_viommu core;
	struct iommu_domain *parent;
	struct mutex queue_lock; /* @queues */
	struct mock_hw_queue *queues[IOMMU_TEST_HW_QUEUE_MAX];
	u32 *mmap_pages;
	unsigned long mmap_offset;
};

/**
 * to_mock_viommu() - from the core's part of a vIOMMU to the mock's
 * @viommu: a vIOMMU made by the mock IOMMU
 *
 * Return: the structure around it.
 */
struct mock_viommu *to_mock_viommu(struct iommufd_viommu *viommu)
{
	return container_of(viommu, struct mock_viommu, core);
}

/**
 * mock_viommu_get_vdev_id() - the virtual ID of a device
 * @viommu: vIOMMU
 * @dev: a mock device
 * @vdev_id: set to its ID
 *
 * Return: 0, or -ENOENT when the vIOMMU has no vDEVICE for it.
 */
int mock_viommu_get_vdev_id(struct mock_viommu *viommu, struct device *dev,
			    unsigned long *vdev_id)
{
	return iommufd_viommu_get_vdev_id(&viommu->core, dev, vdev_id);
}

/**
 * mock_viommu_report_event() - report an event to the guest
 * @viommu: vIOMMU
 * @virt_id: virtual ID of the device it happened to
 *
 * Return: 0, also when the queue is full and the event counted as lost,
 * -EOPNOTSUPP when there is no queue, -ENOMEM.
 */
int mock_viommu_report_event(struct mock_viommu *viommu, u32 virt_id)
{
	struct iommu_viommu_event_selftest event = { .virt_id = virt_id };

	return iommufd_viommu_report_event(&viommu->core,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, &event,
					   sizeof(event));
}

static void mock_dev_invalidate(struct mock_dev *mdev,
				const struct iommu_viommu_invalidate_selftest *inv)
{
	int i;

	if (inv->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL) {
		for (i = 0; i < MOCK_DEV_CACHE_NUM; i++)
			WRITE_ONCE(mdev->cache[i], 0);
	} else {
		WRITE_ONCE(mdev->cache[inv->cache_id], 0);
	}
}

static int mock_viommu_invalidate(struct iommufd_viommu *viommu,
				  const struct iommu_viommu_invalidate_selftest *inv)
{
	struct device *dev;

	if (inv->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;

	/* The device stays behind the vIOMMU for as long as this is held */
	xa_lock(&viommu->vdevs);
	dev = iommufd_viommu_find_dev(viommu, inv->vdev_id);
	if (dev)
		mock_dev_invalidate(to_mock_dev(dev), inv);
	xa_unlock(&viommu->vdevs);
	return dev ? 0 : -EINVAL;
}

static int mock_copy_invalidations(struct iommu_viommu_invalidate_selftest *invs,
				   struct iommu_user_data_array *array)
{
	const u32 type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST;

	return iommu_copy_struct_from_full_user_array(invs, sizeof(*invs),
						      array, type);
}

static int mock_viommu_cache_invalidate(struct iommufd_viommu *viommu,
					struct iommu_user_data_array *array)
{
	struct iommu_viommu_invalidate_selftest *invs __free(kvfree) = NULL;
	u32 num = array->entry_num;
	int rc;

	/* An empty array asks whether the type is known */
	if (!num && array->type == IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST)
		return 0;

	invs = kvmalloc_array(num, sizeof(*invs), GFP_KERNEL_ACCOUNT);
	rc = invs ? mock_copy_invalidations(invs, array) : -ENOMEM;

	array->entry_num = 0;
	while (!rc && array->entry_num != num) {
		rc = mock_viommu_invalidate(viommu, &invs[array->entry_num]);
		if (!rc)
			array->entry_num++;
	}
	return rc;
}

static size_t mock_get_hw_queue_size(struct iommufd_viommu *viommu,
				     enum iommu_hw_queue_type type)
{
	if (type != IOMMU_HW_QUEUE_TYPE_SELFTEST)
		return 0;
	return HW_QUEUE_STRUCT_SIZE(struct mock_hw_queue, core);
}

static void mock_hw_queue_destroy(struct iommufd_hw_queue *core)
{
	struct mock_hw_queue *queue =
		container_of(core, struct mock_hw_queue, core);

	guard(mutex)(&queue->mock->queue_lock);
	queue->mock->queues[queue->index] = NULL;
	if (queue->prev)
		iommufd_hw_queue_undepend(queue, queue->prev, core);
}

static int mock_hw_queue_init(struct iommufd_hw_queue *core, u32 index,
			      phys_addr_t base_addr_pa)
{
	struct mock_hw_queue *queue =
		container_of(core, struct mock_hw_queue, core);
	struct mock_viommu *mock = to_mock_viommu(core->viommu);
	int rc;

	if (index >= IOMMU_TEST_HW_QUEUE_MAX)
		return -EINVAL;

	guard(mutex)(&mock->queue_lock);
	if (mock->queues[index])
		return -EEXIST;
	if (index && !mock->queues[index - 1])
		return -EIO;
	/* Did iommufd look up what the guest meant? */
	if (iommu_iova_to_phys(mock->parent, core->base_addr) != base_addr_pa)
		return -EFAULT;

	if (index) {
		queue->prev = mock->queues[index - 1];
		rc = iommufd_hw_queue_depend(queue, queue->prev, core);
		if (rc)
			return rc;
	}
	queue->mock = mock;
	queue->index = index;
	core->destroy = mock_hw_queue_destroy;
	mock->queues[index] = queue;
	return 0;
}

static void mock_viommu_free_mmap(struct mock_viommu *mock)
{
	if (!mock->mmap_pages)
		return;
	iommufd_viommu_destroy_mmap(&mock->core, mock->mmap_offset);
	free_pages((unsigned long)mock->mmap_pages, MOCK_MMAP_ORDER);
}

static int mock_viommu_alloc_mmap(struct mock_viommu *mock, u32 content)
{
	u32 *pages;
	int rc;

	pages = (u32 *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO,
					MOCK_MMAP_ORDER);
	if (!pages)
		return -ENOMEM;

	rc = iommufd_viommu_alloc_mmap(&mock->core, virt_to_phys(pages),
				       MOCK_MMAP_LENGTH, &mock->mmap_offset);
	if (rc) {
		free_pages((unsigned long)pages, MOCK_MMAP_ORDER);
		return rc;
	}
	*pages = content;
	mock->mmap_pages = pages;
	return 0;
}

static int mock_viommu_init_data(struct mock_viommu *mock,
				 const struct iommu_user_data *user_data)
{
	const u32 type = IOMMU_VIOMMU_TYPE_SELFTEST;
	struct iommu_viommu_selftest data;
	int rc;

	rc = iommu_copy_struct_from_user(&data, user_data, type, out_data);
	if (rc)
		return rc;

	rc = mock_viommu_alloc_mmap(mock, data.in_data);
	if (rc)
		return rc;

	data.out_data = data.in_data;
	data.out_mmap_offset = mock->mmap_offset;
	data.out_mmap_length = MOCK_MMAP_LENGTH;
	rc = iommu_copy_struct_to_user(user_data, &data, type, out_data);
	if (rc)
		mock_viommu_free_mmap(mock);
	return rc;
}

static void mock_viommu_destroy(struct iommufd_viommu *viommu)
{
	mock_viommu_free_mmap(to_mock_viommu(viommu));
	mock_iommu_put();
}

static const struct iommufd_viommu_ops mock_viommu_ops = {
	.destroy = mock_viommu_destroy,
	.alloc_domain_nested = mock_viommu_alloc_nested,
	.cache_invalidate = mock_viommu_cache_invalidate,
	.get_hw_queue_size = mock_get_hw_queue_size,
	.hw_queue_init_phys = mock_hw_queue_init,
};

/**
 * mock_get_viommu_size() - get_viommu_size of the mock IOMMU
 * @dev: a mock device
 * @type: kind of vIOMMU wanted
 *
 * Return: size of the mock's structure, 0 for other types.
 */
size_t mock_get_viommu_size(struct device *dev, enum iommu_viommu_type type)
{
	if (type != IOMMU_VIOMMU_TYPE_SELFTEST)
		return 0;
	return VIOMMU_STRUCT_SIZE(struct mock_viommu, core);
}

/**
 * mock_viommu_init() - viommu_init of the mock IOMMU
 * @viommu: core's part of a struct mock_viommu
 * @parent_domain: stage 2
 * @user_data: struct iommu_viommu_selftest, in which results are returned, or
 *	NULL for a vIOMMU without anything to mmap
 *
 * Return: 0, -EINVAL or -EFAULT for bad @user_data, -ENOMEM.
 */
int mock_viommu_init(struct iommufd_viommu *viommu,
		     struct iommu_domain *parent_domain,
		     const struct iommu_user_data *user_data)
{
	struct mock_viommu *mock = to_mock_viommu(viommu);
	int rc;

	mutex_init(&mock->queue_lock);
	mock->parent = parent_domain;
	if (user_data) {
		rc = mock_viommu_init_data(mock, user_data);
		if (rc)
			return rc;
	}
	mock_iommu_get();
	viommu->ops = &mock_viommu_ops;
	return 0;
}
