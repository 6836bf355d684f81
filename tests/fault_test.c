// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of which page faults wait for user space. A driver may report one
 * of a device while that is being unbound, which takes a race to happen.
 */
#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "../fault.h"
#include "../group.h"
#include "../hw_pagetable.h"

/**
 * struct fault_fixture - a group that is attached, and a device of it
 * @device: the device
 * @iommu: what the core knows of @device
 * @iommu_dev: its IOMMU
 * @param: what the core has for its faults
 * @idev: its binding
 * @igroup: its group
 * @handle: the attachment of @igroup
 * @domain: what it is attached to
 * @hwpt: of @domain, with @fault
 * @fault: the queue
 * @answers: how many answers the driver got
 * @code: the last one
 */
struct fault_fixture {
	struct device device;
	struct dev_iommu iommu;
	struct iommu_device iommu_dev;
	struct iommu_fault_param param;
	struct iommufd_device idev;
	struct iommufd_group igroup;
	struct iommufd_attach_handle handle;
	struct iommu_domain domain;
	struct iommufd_hw_pagetable hwpt;
	struct iommufd_fault fault;
	unsigned int answers;
	u32 code;
};

static void fake_page_response(struct device *dev, struct iopf_fault *event,
			       struct iommu_page_response *response)
{
	struct fault_fixture *fix = container_of(dev, struct fault_fixture,
						 device);

	fix->answers++;
	fix->code = response->code;
}

static const struct iommu_ops fake_ops = {
	.page_response = fake_page_response,
};

/* Only as far as a fault and its answer look at it */
static void init_device(struct fault_fixture *fix)
{
	fix->device.init_name = "iommufd-kunit";
	fix->device.iommu = &fix->iommu;
	fix->iommu.iommu_dev = &fix->iommu_dev;
	fix->iommu_dev.ops = &fake_ops;
	mutex_init(&fix->param.lock);
	/* One for each fault, and one that is left */
	refcount_set(&fix->param.users, 1);
	fix->param.dev = &fix->device;
	fix->idev.dev = &fix->device;
}

static void init_queue(struct fault_fixture *fix)
{
	spin_lock_init(&fix->fault.common.lock);
	INIT_LIST_HEAD(&fix->fault.common.deliver);
	init_waitqueue_head(&fix->fault.common.wait_queue);
	mutex_init(&fix->fault.mutex);
	xa_init_flags(&fix->fault.response, XA_FLAGS_ALLOC1);
	fix->hwpt.fault = &fix->fault;
	fix->domain.iommufd_hwpt = &fix->hwpt;
}

static int fault_test_init(struct kunit *test)
{
	struct fault_fixture *fix;

	if (!IS_ENABLED(CONFIG_IOMMU_IOPF))
		kunit_skip(test, "needs CONFIG_IOMMU_IOPF");
	fix = kunit_kzalloc(test, sizeof(*fix), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fix);
	test->priv = fix;
	init_device(fix);
	init_queue(fix);
	spin_lock_init(&fix->igroup.devices_lock);
	INIT_LIST_HEAD(&fix->igroup.devices);
	fix->handle.igroup = &fix->igroup;
	fix->handle.sw_msi.handle.domain = &fix->domain;
	return 0;
}

/* The driver reports a fault, which the core passes on */
static void report(struct kunit *test)
{
	struct fault_fixture *fix = test->priv;
	struct iopf_group *group = kzalloc_obj(*group);

	KUNIT_ASSERT_NOT_NULL(test, group);
	INIT_LIST_HEAD(&group->faults);
	INIT_LIST_HEAD(&group->pending_node);
	INIT_LIST_HEAD(&group->node);
	group->last_fault.fault.prm.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	list_add(&group->last_fault.list, &group->faults);
	group->fault_count = 1;
	group->attach_handle = &fix->handle.sw_msi.handle;
	group->fault_param = &fix->param;
	refcount_inc(&fix->param.users);
	KUNIT_EXPECT_EQ(test, iommufd_fault_iopf_handler(group), 0);
}

static size_t waiting(struct fault_fixture *fix)
{
	return list_count_nodes(&fix->fault.common.deliver);
}

/* Of a device that is bound it waits, and is answered when the device goes */
static void fault_of_bound(struct kunit *test)
{
	struct fault_fixture *fix = test->priv;
	struct device other = {};

	list_add(&fix->idev.group_item, &fix->igroup.devices);
	report(test);
	KUNIT_EXPECT_EQ(test, waiting(fix), 1);
	KUNIT_EXPECT_EQ(test, fix->answers, 0);
	iommufd_fault_flush(&fix->hwpt, &fix->handle, &other);
	KUNIT_EXPECT_EQ(test, waiting(fix), 1);
	iommufd_fault_flush(&fix->hwpt, &fix->handle, &fix->device);
	KUNIT_EXPECT_EQ(test, waiting(fix), 0);
	KUNIT_EXPECT_EQ(test, fix->answers, 1);
	KUNIT_EXPECT_EQ(test, fix->code, IOMMU_PAGE_RESP_INVALID);
}

/* Nobody would answer it when the device is gone, so it is answered at once */
static void fault_of_unbound(struct kunit *test)
{
	struct fault_fixture *fix = test->priv;

	report(test);
	KUNIT_EXPECT_EQ(test, waiting(fix), 0);
	KUNIT_EXPECT_EQ(test, fix->answers, 1);
	KUNIT_EXPECT_EQ(test, fix->code, IOMMU_PAGE_RESP_INVALID);
	/* A fault that does wait must not outlive the test */
	iommufd_fault_flush(&fix->hwpt, &fix->handle, NULL);
}

static struct kunit_case fault_cases[] = {
	KUNIT_CASE(fault_of_bound),
	KUNIT_CASE(fault_of_unbound),
	{}
};

static struct kunit_suite fault_suite = {
	.name = "iommufd_fault",
	.init = fault_test_init,
	.test_cases = fault_cases,
};

kunit_test_suite(fault_suite);
