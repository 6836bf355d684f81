/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mock IOMMU driver: devices without hardware, domains whose page table
 * nobody walks but the test itself, and vIOMMUs on top. The files of mock/ and
 * selftest.c share this header; no other file of iommufd may include it.
 *
 * The ioctl handlers here are rows of the table in selftest.c; each implements
 * the operation that its name ends in, on a struct iommu_test_cmd.
 */
#ifndef __IOMMUFD_MOCK_H
#define __IOMMUFD_MOCK_H

#include <linux/device.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>

#include "../iommufd_test.h"
#include "../object.h"

struct dma_buf_attachment;
struct mock_viommu;
struct phys_vec;

/**
 * struct mock_group - an IOMMU group of mock devices
 * @users: its devices
 * @attach_rwsem: held for reading around every change of attachment, outside
 *	all locks of iommufd and the iommu core, so that changes of several
 *	devices can meet. Who holds it for writing may play the hardware: what
 *	is attached stays, with its attach handles and fault queue.
 */
struct mock_group {
	refcount_t users;
	struct rw_semaphore attach_rwsem;
};

/**
 * struct mock_resv - a reserved region
 * @start: first IOVA
 * @length: bytes
 * @type: what it is
 */
struct mock_resv {
	u64 start;
	u64 length;
	enum iommu_resv_type type;
};

/**
 * struct mock_dev - a device behind the mock IOMMU
 * @dev: on the bus iommufd_mock, without a driver
 * @fwnode: software node with the properties of @dev
 * @id: the number in its name
 * @flags: MOCK_FLAGS_DEVICE_*
 * @cache: stands for a device TLB; written under xa_lock of the vdevs of the
 *	vIOMMU it is behind
 * @group: shared by the devices of its IOMMU group
 * @sibling: device whose group it joins, only while it is made
 * @resv: its reserved region, if the length is not 0
 * @op_lock: serialises what a driver has to serialise, outside all locks but
 *	that of its group
 * @viommu: vIOMMU of the nested domain attached to the RID, or NULL; set by
 *	the domain's attach_dev, kept alive by that domain
 * @vdev_id: virtual ID on @viommu at the time of the attachment
 * @iopf_pasids: PASIDs, and 0 for the RID, whose domain handles page faults;
 *	under the group mutex of the iommu core
 * @pasid_fail_next: the next attachment to IOMMU_TEST_PASID_RESERVED fails;
 *	under the group mutex of the iommu core
 */
struct mock_dev {
	struct device dev;
	struct fwnode_handle *fwnode;
	unsigned int id;
	u32 flags;
	u32 cache[MOCK_DEV_CACHE_NUM];

	struct mock_group *group;
	struct mock_dev *sibling;
	struct mock_resv resv;
	struct mutex op_lock; /* calls about this device */
	struct mock_viommu *viommu;
	unsigned long vdev_id;
	struct xarray iopf_pasids;
	bool pasid_fail_next;
};

static inline struct mock_dev *to_mock_dev(struct device *dev)
{
	return container_of(dev, struct mock_dev, dev);
}

/**
 * struct mock_paging_domain - a domain with a page table
 * @domain: alias of the one inside @amdv1
 * @iommu: alias of the one inside @amdv1
 * @amdv1: the page table
 * @walk_lock: held for reading by a walk that does not hold the IOVA range
 *	lock which the page table library asks for; page table memory that a
 *	walk may still see is freed after a pass through it for writing
 * @track_dirty: dirty tracking is on
 * @dirty_cached: IOTLBs have an IOPTE as dirty that was cleaned since; what is
 *	written then does not make an IOPTE dirty
 * @enforced: no-snoop is overridden, which not every device can have
 */
struct mock_paging_domain {
	union {
		struct iommu_domain domain;
		struct pt_iommu iommu;
		struct pt_iommu_amdv1_mock amdv1;
	};
	rwlock_t walk_lock;
	bool track_dirty;
	bool dirty_cached;
	bool enforced;
};

PT_IOMMU_CHECK_DOMAIN(struct mock_paging_domain, iommu, domain);
PT_IOMMU_CHECK_DOMAIN(struct mock_paging_domain, amdv1.iommu, domain);

/**
 * struct mock_nested_domain - a guest's stage 1, without any translation
 * @domain: the domain
 * @viommu: vIOMMU it was made on, which outlives it; NULL when made on a
 *	paging domain
 * @iotlb: stands for cached translations; what user space invalidates
 */
struct mock_nested_domain {
	struct iommu_domain domain;
	struct mock_viommu *viommu;
	u32 iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

static inline struct mock_nested_domain *
to_mock_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_nested_domain, domain);
}

/* iommu.c: the IOMMU instance and its devices */
int mock_iommu_init(void);
void mock_iommu_exit(void);
bool mock_is_dev(struct device *dev);
void mock_iommu_get(void);
void mock_iommu_put(void);
struct mock_dev *mock_dev_create(u32 flags, struct mock_dev *sibling,
				 const struct mock_resv *resv);
int mock_attach_dev(struct iommu_domain *domain, struct device *dev,
		    struct iommu_domain *old);
int mock_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
		       ioasid_t pasid, struct iommu_domain *old);

/* domain.c: paging and nested domains */
bool mock_domain_suits(struct iommu_domain *domain, struct mock_dev *mdev);
struct iommu_domain *
mock_domain_alloc_paging(struct device *dev, u32 flags,
			 const struct iommu_user_data *user_data);
struct iommu_domain *
mock_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			 u32 flags, const struct iommu_user_data *user_data);
struct iommu_domain *
mock_viommu_alloc_nested(struct iommufd_viommu *viommu, u32 flags,
			 const struct iommu_user_data *user_data);
int iommufd_test_md_check_map(struct iommufd_ucmd *ucmd);
int iommufd_test_md_check_iotlb(struct iommufd_ucmd *ucmd);
int iommufd_test_dirty(struct iommufd_ucmd *ucmd);

/* viommu.c: vIOMMUs */
size_t mock_get_viommu_size(struct device *dev, enum iommu_viommu_type type);
int mock_viommu_init(struct iommufd_viommu *viommu,
		     struct iommu_domain *parent_domain,
		     const struct iommu_user_data *user_data);
struct mock_viommu *to_mock_viommu(struct iommufd_viommu *viommu);
int mock_viommu_get_vdev_id(struct mock_viommu *viommu, struct device *dev,
			    unsigned long *vdev_id);
int mock_viommu_report_event(struct mock_viommu *viommu, u32 virt_id);

/* device.c: IOMMUFD_OBJ_SELFTEST, a mock device in a context */
int iommufd_test_mock_domain(struct iommufd_ucmd *ucmd);
int iommufd_test_mock_domain_flags(struct iommufd_ucmd *ucmd);
int iommufd_test_mock_device(struct iommufd_ucmd *ucmd);
int iommufd_test_bind_again(struct iommufd_ucmd *ucmd);
int iommufd_test_mock_domain_replace(struct iommufd_ucmd *ucmd);
int iommufd_test_pasid_attach(struct iommufd_ucmd *ucmd);
int iommufd_test_pasid_replace(struct iommufd_ucmd *ucmd);
int iommufd_test_pasid_detach(struct iommufd_ucmd *ucmd);
int iommufd_test_pasid_check_hwpt(struct iommufd_ucmd *ucmd);
int iommufd_test_trigger_iopf(struct iommufd_ucmd *ucmd);
int iommufd_test_trigger_vevent(struct iommufd_ucmd *ucmd);
int iommufd_test_dev_check_cache(struct iommufd_ucmd *ucmd);

/* access.c: files that stand for an in-kernel user of an IOAS */
int iommufd_test_create_access(struct iommufd_ucmd *ucmd);
int iommufd_test_access_replace_ioas(struct iommufd_ucmd *ucmd);
int iommufd_test_access_pages(struct iommufd_ucmd *ucmd);
int iommufd_test_destroy_access_pages(struct iommufd_ucmd *ucmd);
int iommufd_test_access_rw(struct iommufd_ucmd *ucmd);

/* dmabuf.c: a dma-buf exporter */
int mock_dmabuf_phys(struct dma_buf_attachment *attachment,
		     struct phys_vec *phys);
int iommufd_test_dmabuf_get(struct iommufd_ucmd *ucmd);
int iommufd_test_dmabuf_revoke(struct iommufd_ucmd *ucmd);

#endif
