// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU: one instance without hardware, on a bus of its own, and the
 * devices behind it.
 */
#include <linux/completion.h>
#include <linux/idr.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "../../iommu-priv.h"
#include "mock.h"

#define MOCK_IOMMU_NAME "iommufd_selftest_iommu"

/**
 * struct mock_iommu - the IOMMU instance, shared by all contexts
 * @iommu_dev: what the iommu core knows of it
 * @pdev: parent of its device in sysfs
 * @nb: memory that the registration for one bus needs
 * @iopf_queue: for page faults of all devices; NULL without CONFIG_IOMMU_IOPF
 * @users: the module and each vIOMMU
 * @unused: completed with the last user
 */
static struct mock_iommu {
	struct iommu_device iommu_dev;
	struct platform_device *pdev;
	struct notifier_block nb;
	struct iopf_queue *iopf_queue;
	refcount_t users;
	struct completion unused;
} mock_iommu;

static const struct bus_type mock_bus_type = {
	.name = "iommufd_mock",
};

static DEFINE_IDA(mock_dev_ids);

/**
 * mock_iommu_get() - keep the instance until mock_iommu_put()
 */
void mock_iommu_get(void)
{
	refcount_inc(&mock_iommu.users);
}

/**
 * mock_iommu_put() - undo mock_iommu_get()
 */
void mock_iommu_put(void)
{
	if (refcount_dec_and_test(&mock_iommu.users))
		complete(&mock_iommu.unused);
}

/* Page faults of a device go to the queue while a domain wants them */
static int mock_iopf_on(struct mock_dev *mdev, ioasid_t pasid)
{
	bool first = xa_empty(&mdev->iopf_pasids);
	int rc;

	if (!mock_iommu.iopf_queue)
		return -ENODEV;
	rc = xa_err(xa_store(&mdev->iopf_pasids, pasid, xa_mk_value(0),
			     GFP_KERNEL_ACCOUNT));
	if (rc || !first)
		return rc;
	rc = iopf_queue_add_device(mock_iommu.iopf_queue, &mdev->dev);
	if (rc)
		xa_erase(&mdev->iopf_pasids, pasid);
	return rc;
}

static void mock_iopf_off(struct mock_dev *mdev, ioasid_t pasid)
{
	if (xa_erase(&mdev->iopf_pasids, pasid) &&
	    xa_empty(&mdev->iopf_pasids))
		iopf_queue_remove_device(mock_iommu.iopf_queue, &mdev->dev);
}

/*
 * The domain of a PASID changes. A device that joins a group does not get the
 * PASIDs of the others, but loses them with them.
 */
static int mock_iopf_change(struct mock_dev *mdev, ioasid_t pasid,
			    struct iommu_domain *domain)
{
	if (domain->iopf_handler)
		return mock_iopf_on(mdev, pasid);
	mock_iopf_off(mdev, pasid);
	return 0;
}

static struct mock_viommu *mock_domain_viommu(struct iommu_domain *domain)
{
	if (domain->type != IOMMU_DOMAIN_NESTED)
		return NULL;
	return to_mock_nested(domain)->viommu;
}

/**
 * mock_attach_dev() - attach_dev of all mock domains
 * @domain: to attach the RID of @dev to
 * @dev: a mock device
 * @old: what it is attached to, or NULL
 *
 * Context: the group mutex of the iommu core is held, and attach_rwsem of the
 * group of @dev for reading unless no operation can reach @dev.
 *
 * Return: 0, -EINVAL when the domain does what @dev cannot have, -ENOENT when
 * the domain's vIOMMU has no vDEVICE for it, -ENODEV when the domain takes page
 * faults and the kernel cannot, -ENOMEM.
 */
int mock_attach_dev(struct iommu_domain *domain, struct device *dev,
		    struct iommu_domain *old)
{
	struct mock_viommu *viommu = mock_domain_viommu(domain);
	struct mock_dev *mdev = to_mock_dev(dev);
	unsigned long vdev_id = 0;
	int rc;

	if (!mock_domain_suits(domain, mdev))
		return -EINVAL;
	if (viommu) {
		rc = mock_viommu_get_vdev_id(viommu, dev, &vdev_id);
		if (rc)
			return rc;
	}
	rc = mock_iopf_change(mdev, IOMMU_NO_PASID, domain);
	if (rc)
		return rc;

	/* Nothing fails from here on, so the old domain stays in place above */
	mdev->viommu = viommu;
	mdev->vdev_id = vdev_id;
	return 0;
}

/*
 * One PASID makes every second attachment fail, which shows whether a failed
 * replace leaves the old domain where it was.
 */
static int mock_fail_reserved_pasid(struct mock_dev *mdev,
				    struct iommu_domain *domain)
{
	if (mdev->pasid_fail_next) {
		mdev->pasid_fail_next = false;
		return domain->type == IOMMU_DOMAIN_BLOCKED ? 0 : -ENOMEM;
	}
	mdev->pasid_fail_next = domain->type != IOMMU_DOMAIN_BLOCKED;
	return 0;
}

/**
 * mock_set_dev_pasid() - set_dev_pasid of all mock domains
 * @domain: to attach @pasid to
 * @dev: a mock device
 * @pasid: PASID other than IOMMU_NO_PASID
 * @old: what it is attached to, or NULL
 *
 * Context: as for mock_attach_dev().
 *
 * Return: 0, -ENOMEM also as told by a test, -ENODEV as for mock_attach_dev().
 */
int mock_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
		       ioasid_t pasid, struct iommu_domain *old)
{
	struct mock_dev *mdev = to_mock_dev(dev);
	int rc;

	if (pasid == IOMMU_TEST_PASID_RESERVED) {
		rc = mock_fail_reserved_pasid(mdev, domain);
		if (rc)
			return rc;
	}
	return mock_iopf_change(mdev, pasid, domain);
}

static const struct iommu_domain_ops mock_blocked_ops = {
	.attach_dev = mock_attach_dev,
	.set_dev_pasid = mock_set_dev_pasid,
};

static struct iommu_domain mock_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &mock_blocked_ops,
};

static void *mock_hw_info(struct device *dev, u32 *length,
			  enum iommu_hw_info_type *type)
{
	struct iommu_test_hw_info *info;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    *type != IOMMU_HW_INFO_TYPE_SELFTEST)
		return ERR_PTR(-EOPNOTSUPP);

	info = kzalloc_obj(*info);
	if (!info)
		return ERR_PTR(-ENOMEM);
	info->test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL;
	*length = sizeof(*info);
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	return info;
}

static bool mock_capable(struct device *dev, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return !(to_mock_dev(dev)->flags &
			 MOCK_FLAGS_DEVICE_NONCOHERENT);
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return to_mock_dev(dev)->flags & MOCK_FLAGS_DEVICE_ENFORCE;
	case IOMMU_CAP_DIRTY_TRACKING:
		return !(to_mock_dev(dev)->flags & MOCK_FLAGS_DEVICE_NO_DIRTY);
	default:
		return false;
	}
}

static struct iommu_device *mock_probe_device(struct device *dev)
{
	if (dev->bus != &mock_bus_type)
		return ERR_PTR(-ENODEV);
	return &mock_iommu.iommu_dev;
}

/* The core has attached the RID to the blocked domain, but knows no PASIDs */
static void mock_release_device(struct device *dev)
{
	struct mock_dev *mdev = to_mock_dev(dev);

	if (!xa_empty(&mdev->iopf_pasids))
		iopf_queue_remove_device(mock_iommu.iopf_queue, dev);
	xa_destroy(&mdev->iopf_pasids);
}

static struct iommu_group *mock_device_group(struct device *dev)
{
	struct mock_dev *sibling = to_mock_dev(dev)->sibling;

	if (sibling)
		return iommu_group_ref_get(sibling->dev.iommu_group);
	return generic_device_group(dev);
}

static void mock_get_resv_regions(struct device *dev, struct list_head *head)
{
	const struct mock_resv *resv = &to_mock_dev(dev)->resv;
	struct iommu_resv_region *region;

	if (!resv->length)
		return;
	region = iommu_alloc_resv_region(resv->start, resv->length,
					 IOMMU_READ | IOMMU_WRITE, resv->type,
					 GFP_KERNEL_ACCOUNT);
	if (region)
		list_add_tail(&region->list, head);
}

static void mock_page_response(struct device *dev, struct iopf_fault *evt,
			       struct iommu_page_response *msg)
{
	/* No hardware waits for the answer */
}

static const struct iommu_ops mock_iommu_ops = {
	.owner = THIS_MODULE,
	/* Mock devices have no DMA API, so there is no need for another one */
	.default_domain = &mock_blocked_domain,
	.blocked_domain = &mock_blocked_domain,
	.release_domain = &mock_blocked_domain,
	.hw_info = mock_hw_info,
	.capable = mock_capable,
	.probe_device = mock_probe_device,
	.release_device = mock_release_device,
	.device_group = mock_device_group,
	.get_resv_regions = mock_get_resv_regions,
	.page_response = mock_page_response,
	.user_pasid_table = true,
	.domain_alloc_paging_flags = mock_domain_alloc_paging,
	.domain_alloc_nested = mock_domain_alloc_nested,
	.get_viommu_size = mock_get_viommu_size,
	.viommu_init = mock_viommu_init,
};

/* The allocation is complete, whatever else is missing when this runs */
static void mock_dev_release(struct device *dev)
{
	struct mock_dev *mdev = to_mock_dev(dev);

	if (refcount_dec_and_test(&mdev->group->users))
		kfree(mdev->group);
	fwnode_remove_software_node(mdev->fwnode);
	ida_free(&mock_dev_ids, mdev->id);
	kfree(mdev);
}

/**
 * mock_is_dev() - tell mock devices from all others
 * @dev: any device
 *
 * Return: true for a mock device.
 */
bool mock_is_dev(struct device *dev)
{
	return dev->release == mock_dev_release;
}

static struct mock_group *mock_group_get(struct mock_dev *sibling)
{
	struct mock_group *group;

	if (sibling) {
		refcount_inc(&sibling->group->users);
		return sibling->group;
	}
	group = kzalloc_obj(*group, GFP_KERNEL_ACCOUNT);
	if (group) {
		refcount_set(&group->users, 1);
		init_rwsem(&group->attach_rwsem);
	}
	return group;
}

static struct mock_dev *mock_dev_alloc(u32 flags, struct mock_dev *sibling)
{
	struct mock_dev *mdev;
	int id, i;

	mdev = kzalloc_obj(*mdev, GFP_KERNEL_ACCOUNT);
	if (!mdev)
		return ERR_PTR(-ENOMEM);
	id = ida_alloc(&mock_dev_ids, GFP_KERNEL);
	if (id < 0) {
		kfree(mdev);
		return ERR_PTR(id);
	}
	mdev->group = mock_group_get(sibling);
	if (!mdev->group) {
		ida_free(&mock_dev_ids, id);
		kfree(mdev);
		return ERR_PTR(-ENOMEM);
	}

	mdev->id = id;
	mdev->flags = flags;
	mutex_init(&mdev->op_lock);
	xa_init(&mdev->iopf_pasids);
	for (i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		mdev->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;

	device_initialize(&mdev->dev);
	mdev->dev.release = mock_dev_release;
	/* The iommu core looks at devices of a bus */
	if (!(flags & MOCK_FLAGS_DEVICE_NOIOMMU))
		mdev->dev.bus = &mock_bus_type;
	return mdev;
}

static int mock_dev_add(struct mock_dev *mdev)
{
	const struct property_entry props[] = {
		PROPERTY_ENTRY_U32("pasid-num-bits",
				   mdev->flags & MOCK_FLAGS_DEVICE_PASID ?
				   MOCK_PASID_WIDTH : 0),
		{}
	};
	struct fwnode_handle *fwnode;
	int rc;

	rc = dev_set_name(&mdev->dev, "iommufd_mock%u", mdev->id);
	if (rc)
		return rc;

	fwnode = fwnode_create_software_node(props, NULL);
	if (IS_ERR(fwnode))
		return PTR_ERR(fwnode);
	mdev->fwnode = fwnode;
	device_set_node(&mdev->dev, fwnode);

	if (mdev->flags & MOCK_FLAGS_DEVICE_NOIOMMU)
		return device_add(&mdev->dev);

	rc = iommu_mock_device_add(&mdev->dev, &mock_iommu.iommu_dev);
	if (rc) {
		/* The core does not free this when it runs out of memory */
		kfree(mdev->dev.iommu);
		mdev->dev.iommu = NULL;
		return rc;
	}

	/* A failure of the iommu core's probe does not fail device_add() */
	if (!device_iommu_mapped(&mdev->dev)) {
		device_del(&mdev->dev);
		return -ENODEV;
	}
	return 0;
}

/**
 * mock_dev_create() - add a device to the mock bus
 * @flags: MOCK_FLAGS_DEVICE_*
 * @sibling: device whose IOMMU group it joins, NULL for one of its own
 * @resv: its reserved region, or NULL
 *
 * Return: the device, attached to what its group is attached to, at first the
 * blocked domain; or an ERR_PTR: -ENODEV when the iommu core could not take it,
 * -ENOMEM. Undo with device_unregister().
 */
struct mock_dev *mock_dev_create(u32 flags, struct mock_dev *sibling,
				 const struct mock_resv *resv)
{
	struct mock_dev *mdev;
	int rc;

	mdev = mock_dev_alloc(flags, sibling);
	if (IS_ERR(mdev))
		return mdev;
	if (resv)
		mdev->resv = *resv;
	mdev->sibling = sibling;
	rc = mock_dev_add(mdev);
	mdev->sibling = NULL;
	if (rc) {
		put_device(&mdev->dev);
		return ERR_PTR(rc);
	}
	return mdev;
}

/**
 * mock_iommu_init() - bring up the mock IOMMU
 *
 * Return: 0 or a negative errno.
 */
int __init mock_iommu_init(void)
{
	struct iommu_device *iommu_dev = &mock_iommu.iommu_dev;
	int rc;

	refcount_set(&mock_iommu.users, 1);
	init_completion(&mock_iommu.unused);
	iommu_dev->max_pasids = 1 << MOCK_PASID_WIDTH;

	mock_iommu.pdev =
		platform_device_register_simple(MOCK_IOMMU_NAME, 0, NULL, 0);
	if (IS_ERR(mock_iommu.pdev))
		return PTR_ERR(mock_iommu.pdev);

	rc = bus_register(&mock_bus_type);
	if (rc)
		goto err_pdev;

	rc = iommu_device_sysfs_add(iommu_dev, &mock_iommu.pdev->dev, NULL,
				    "%s", dev_name(&mock_iommu.pdev->dev));
	if (rc)
		goto err_bus;

	rc = iommu_device_register_bus(iommu_dev, &mock_iommu_ops,
				       &mock_bus_type, &mock_iommu.nb);
	if (rc)
		goto err_sysfs;

	/* Without it, domains that take page faults cannot be attached */
	mock_iommu.iopf_queue = iopf_queue_alloc("mock-iopfq");
	return 0;

err_sysfs:
	iommu_device_sysfs_remove(iommu_dev);
err_bus:
	bus_unregister(&mock_bus_type);
err_pdev:
	platform_device_unregister(mock_iommu.pdev);
	return rc;
}

/**
 * mock_iommu_exit() - undo mock_iommu_init()
 */
void mock_iommu_exit(void)
{
	iopf_queue_free(mock_iommu.iopf_queue);

	mock_iommu_put();
	WARN_ON(!wait_for_completion_timeout(&mock_iommu.unused, 10 * HZ));

	iommu_device_unregister_bus(&mock_iommu.iommu_dev, &mock_bus_type,
				    &mock_iommu.nb);
	iommu_device_sysfs_remove(&mock_iommu.iommu_dev);
	bus_unregister(&mock_bus_type);
	platform_device_unregister(mock_iommu.pdev);
}
