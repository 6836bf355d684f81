// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mock devices in a context: the object that stands for the driver of one, and
 * the operations in which the device or its driver acts.
 */
#include "../../iommu-priv.h"
#include "../group.h"
#include "../hw_pagetable.h"
#include "../selftest.h"
#include "mock.h"

/**
 * struct selftest_dev - IOMMUFD_OBJ_SELFTEST, what a driver like VFIO would be
 * @obj: in the ID table, at offset 0
 * @mdev: the device, NULL until there is one
 * @idev: its binding to the context, NULL until there is one
 */
struct selftest_dev {
	struct iommufd_object obj;
	struct mock_dev *mdev;
	struct iommufd_device *idev;
};

static struct selftest_dev *get_selftest_dev(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;

	obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_SELFTEST);
	return IS_ERR(obj) ? ERR_CAST(obj) :
			     container_of(obj, struct selftest_dev, obj);
}

/* Returns -ENOENT for no DEVICE, -EINVAL for one not behind the mock IOMMU */
static struct iommufd_device *get_mock_idev(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_device *idev = iommufd_get_device(ictx, id);

	if (IS_ERR(idev) ||
	    (mock_is_dev(idev->dev) && !idev->noiommu))
		return idev;
	iommufd_put_object(&idev->obj);
	return ERR_PTR(-EINVAL);
}

static int selftest_dev_attach(struct selftest_dev *sdev, ioasid_t pasid,
			       u32 *pt_id)
{
	guard(rwsem_read)(&sdev->mdev->group->attach_rwsem);
	guard(mutex)(&sdev->mdev->op_lock);
	return iommufd_device_attach(sdev->idev, pasid, pt_id);
}

static int selftest_dev_replace(struct selftest_dev *sdev, ioasid_t pasid,
				u32 *pt_id)
{
	guard(rwsem_read)(&sdev->mdev->group->attach_rwsem);
	guard(mutex)(&sdev->mdev->op_lock);
	return iommufd_device_replace(sdev->idev, pasid, pt_id);
}

static void selftest_dev_detach(struct selftest_dev *sdev, ioasid_t pasid)
{
	guard(rwsem_read)(&sdev->mdev->group->attach_rwsem);
	guard(mutex)(&sdev->mdev->op_lock);
	iommufd_device_detach(sdev->idev, pasid);
}

/* A PASID may be attached only while the RID is, so that one is last */
static void selftest_dev_detach_all(struct selftest_dev *sdev)
{
	struct xarray *attachments = &sdev->idev->igroup->attachments;
	unsigned long pasid;
	void *attach;

	xa_for_each_start(attachments, pasid, attach, IOMMU_NO_PASID + 1)
		selftest_dev_detach(sdev, pasid);
	selftest_dev_detach(sdev, IOMMU_NO_PASID);
}

/**
 * iommufd_selftest_destroy() - take a mock device down
 * @obj: IOMMUFD_OBJ_SELFTEST, complete or as far as its creation came
 */
void iommufd_selftest_destroy(struct iommufd_object *obj)
{
	struct selftest_dev *sdev = container_of(obj, struct selftest_dev, obj);

	if (sdev->idev) {
		selftest_dev_detach_all(sdev);
		iommufd_device_unbind(sdev->idev);
	}
	if (sdev->mdev)
		device_unregister(&sdev->mdev->dev);
}

/*
 * The new object stays invisible until the caller has its ID, and undoes what
 * was done when this fails.
 */
static int create_selftest_dev(struct iommufd_ucmd *ucmd, u32 dev_flags,
			       struct mock_dev *sibling,
			       const struct mock_resv *resv)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 pt_id = cmd->id;
	struct iommufd_device *idev;
	struct selftest_dev *sdev;
	struct mock_dev *mdev;
	u32 idev_id;
	int rc = 0;

	sdev = iommufd_object_alloc_ucmd(ucmd, sdev, IOMMUFD_OBJ_SELFTEST, obj);
	if (IS_ERR(sdev))
		return PTR_ERR(sdev);

	mdev = mock_dev_create(dev_flags, sibling, resv);
	if (IS_ERR(mdev))
		return PTR_ERR(mdev);
	sdev->mdev = mdev;

	idev = iommufd_device_bind(ucmd->ictx, &mdev->dev, &idev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	sdev->idev = idev;

	if (pt_id || cmd->op != IOMMU_TEST_OP_MOCK_DEVICE)
		rc = selftest_dev_attach(sdev, IOMMU_NO_PASID, &pt_id);
	if (rc)
		return rc;

	/* The outputs of all these operations are in the same places */
	cmd->mock_domain.out_stdev_id = sdev->obj.id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = idev_id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_test_mock_domain(struct iommufd_ucmd *ucmd)
{
	return create_selftest_dev(ucmd, 0, NULL, NULL);
}

int iommufd_test_mock_domain_flags(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 flags = cmd->mock_domain_flags.dev_flags;

	if (flags & ~(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID))
		return -EINVAL;
	return create_selftest_dev(ucmd, flags, NULL, NULL);
}

static int create_sibling(struct iommufd_ucmd *ucmd, u32 dev_flags,
			  const struct mock_resv *resv)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct selftest_dev *sdev;
	int rc = -EINVAL;

	sdev = get_selftest_dev(ucmd->ictx, cmd->mock_device.sibling_id);
	if (IS_ERR(sdev))
		return PTR_ERR(sdev);
	/* Without an IOMMU there are no groups */
	if (sdev->mdev->dev.iommu_group &&
	    !(dev_flags & MOCK_FLAGS_DEVICE_NOIOMMU))
		rc = create_selftest_dev(ucmd, dev_flags, sdev->mdev, resv);
	iommufd_put_object(&sdev->obj);
	return rc;
}

int iommufd_test_mock_device(struct iommufd_ucmd *ucmd)
{
	const u32 known = MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID |
			  MOCK_FLAGS_DEVICE_ENFORCE |
			  MOCK_FLAGS_DEVICE_NONCOHERENT |
			  MOCK_FLAGS_DEVICE_NOIOMMU;
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 flags = cmd->mock_device.dev_flags;
	struct mock_resv resv = {};

	static_assert(IOMMU_RESV_DIRECT + 1 == MOCK_RESV_DIRECT);
	static_assert(IOMMU_RESV_SW_MSI + 1 == MOCK_RESV_SW_MSI);

	if (flags & ~known || cmd->mock_device.resv_type > MOCK_RESV_SW_MSI)
		return -EINVAL;
	if (cmd->mock_device.resv_type != MOCK_RESV_NONE) {
		resv.start = cmd->mock_device.resv_start;
		resv.length = cmd->mock_device.resv_length;
		resv.type = cmd->mock_device.resv_type - 1;
	}
	if (cmd->mock_device.sibling_id)
		return create_sibling(ucmd, flags, &resv);
	return create_selftest_dev(ucmd, flags, NULL, &resv);
}

int iommufd_test_bind_again(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_device *idev;
	struct selftest_dev *sdev;
	u32 id;

	sdev = get_selftest_dev(ucmd->ictx, cmd->id);
	if (IS_ERR(sdev))
		return PTR_ERR(sdev);
	idev = iommufd_device_bind(ucmd->ictx, &sdev->mdev->dev, &id);
	if (!IS_ERR(idev))
		iommufd_device_unbind(idev);
	iommufd_put_object(&sdev->obj);
	return PTR_ERR_OR_ZERO(idev);
}

int iommufd_test_mock_domain_replace(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct selftest_dev *sdev;
	int rc;

	sdev = get_selftest_dev(ucmd->ictx, cmd->id);
	if (IS_ERR(sdev))
		return PTR_ERR(sdev);
	rc = selftest_dev_replace(sdev, IOMMU_NO_PASID,
				  &cmd->mock_domain_replace.pt_id);
	iommufd_put_object(&sdev->obj);
	return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_test_pasid_attach(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 pasid = cmd->pasid_attach.pasid;
	struct selftest_dev *sdev;
	int rc;

	sdev = get_selftest_dev(ucmd->ictx, cmd->id);
	if (IS_ERR(sdev))
		return PTR_ERR(sdev);
	rc = selftest_dev_attach(sdev, pasid, &cmd->pasid_attach.pt_id);
	if (!rc) {
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
		if (rc)
			selftest_dev_detach(sdev, pasid);
	}
	iommufd_put_object(&sdev->obj);
	return rc;
}

int iommufd_test_pasid_replace(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct selftest_dev *sdev;
	int rc;

	sdev = get_selftest_dev(ucmd->ictx, cmd->id);
	if (IS_ERR(sdev))
		return PTR_ERR(sdev);
	rc = selftest_dev_replace(sdev, cmd->pasid_replace.pasid,
				  &cmd->pasid_replace.pt_id);
	iommufd_put_object(&sdev->obj);
	return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

int iommufd_test_pasid_detach(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct selftest_dev *sdev;

	sdev = get_selftest_dev(ucmd->ictx, cmd->id);
	if (IS_ERR(sdev))
		return PTR_ERR(sdev);
	selftest_dev_detach(sdev, cmd->pasid_detach.pasid);
	iommufd_put_object(&sdev->obj);
	return 0;
}

/* What the iommu core has attached, NULL for nothing */
static struct iommu_domain *mock_dev_domain(struct mock_dev *mdev,
					    ioasid_t pasid)
{
	struct iommu_attach_handle *handle;

	lockdep_assert_held_write(&mdev->group->attach_rwsem);
	if (!mdev->dev.iommu_group)
		return NULL;
	handle = iommu_attach_handle_get(mdev->dev.iommu_group, pasid, 0);
	return IS_ERR(handle) ? NULL : handle->domain;
}

static int check_attached(struct iommufd_ctx *ictx, struct mock_dev *mdev,
			  ioasid_t pasid, u32 hwpt_id)
{
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_object *obj;
	int rc = -EINVAL;

	guard(rwsem_write)(&mdev->group->attach_rwsem);
	if (!hwpt_id)
		return mock_dev_domain(mdev, pasid) ? -EINVAL : 0;

	obj = iommufd_get_object(ictx, hwpt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (obj->type == IOMMUFD_OBJ_HWPT_PAGING ||
	    obj->type == IOMMUFD_OBJ_HWPT_NESTED) {
		hwpt = container_of(obj, struct iommufd_hw_pagetable, obj);
		if (mock_dev_domain(mdev, pasid) == hwpt->domain)
			rc = 0;
	}
	iommufd_put_object(obj);
	return rc;
}

int iommufd_test_pasid_check_hwpt(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct selftest_dev *sdev;
	int rc;

	sdev = get_selftest_dev(ucmd->ictx, cmd->id);
	if (IS_ERR(sdev))
		return PTR_ERR(sdev);
	rc = check_attached(ucmd->ictx, sdev->mdev, cmd->pasid_check.pasid,
			    cmd->pasid_check.hwpt_id);
	iommufd_put_object(&sdev->obj);
	return rc;
}

int iommufd_test_trigger_iopf(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iopf_fault event = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm = {
				.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE,
				.pasid = cmd->trigger_iopf.pasid,
				.grpid = cmd->trigger_iopf.grpid,
				.perm = cmd->trigger_iopf.perm &
					~MOCK_IOPF_MORE,
				.addr = cmd->trigger_iopf.addr,
			},
		},
	};
	struct iommufd_device *idev;
	struct mock_dev *mdev;

	if (cmd->trigger_iopf.perm & MOCK_IOPF_MORE)
		event.fault.prm.flags &= ~IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	if (cmd->trigger_iopf.pasid != IOMMU_NO_PASID)
		event.fault.prm.flags |= IOMMU_FAULT_PAGE_REQUEST_PASID_VALID;

	idev = get_mock_idev(ucmd->ictx, cmd->trigger_iopf.dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	mdev = to_mock_dev(idev->dev);
	/* An IOMMU does not care whether anybody takes the fault, either */
	scoped_guard(rwsem_write, &mdev->group->attach_rwsem) {
		if (!xa_empty(&mdev->iopf_pasids))
			iommu_report_device_fault(idev->dev, &event);
	}
	iommufd_put_object(&idev->obj);
	return 0;
}

static int mock_dev_report_event(struct mock_dev *mdev)
{
	guard(rwsem_write)(&mdev->group->attach_rwsem);
	if (!mdev->viommu || !mdev->vdev_id)
		return -ENOENT;
	return mock_viommu_report_event(mdev->viommu, mdev->vdev_id);
}

int iommufd_test_trigger_vevent(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_device *idev;
	int rc;

	idev = get_mock_idev(ucmd->ictx, cmd->trigger_vevent.dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	rc = mock_dev_report_event(to_mock_dev(idev->dev));
	iommufd_put_object(&idev->obj);
	return rc;
}

int iommufd_test_dev_check_cache(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 index = cmd->check_dev_cache.id;
	struct iommufd_device *idev;
	int rc = -EINVAL;

	idev = get_mock_idev(ucmd->ictx, cmd->id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	if (index <= MOCK_DEV_CACHE_ID_MAX &&
	    READ_ONCE(to_mock_dev(idev->dev)->cache[index]) ==
		    cmd->check_dev_cache.cache)
		rc = 0;
	iommufd_put_object(&idev->obj);
	return rc;
}
