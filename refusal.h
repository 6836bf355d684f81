/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why something was refused, where the errno alone does not tell.
 */
#ifndef __IOMMUFD_REFUSAL_H
#define __IOMMUFD_REFUSAL_H

#include <linux/types.h>

struct device;

/**
 * enum iommufd_cause - why something was refused
 * @REFUSED_NO_CACHE_COHERENCY: the IOMMU does no cache coherent DMA for a device
 * @REFUSED_UNSAFE_INTERRUPTS: a device could forge interrupts of others
 * @REFUSED_GROUP_OWNED: somebody else uses the IOMMU group of a device
 * @REFUSED_BOUND_ALREADY: a device is bound to the context already
 * @REFUSED_NO_PAGE_TABLE: a device was to be attached to an object of a kind that
 *	has no page table
 * @REFUSED_ATTACHED_ALREADY: the device has an attachment for this PASID
 * @REFUSED_NOT_ATTACHED: there is none that could be replaced
 * @REFUSED_OTHER_HWPT: a device of the same group is attached to another HWPT
 * @REFUSED_NOIOMMU: only one of device and HWPT is without an IOMMU
 * @REFUSED_HWPT_NO_PASID: a HWPT that was not made for PASIDs, and a PASID is to
 *	be attached to it, or beside it
 * @REFUSED_DEVICE_NO_PASID: a device has no PASIDs
 * @REFUSED_VF_PAGE_REQUESTS: page requests of a VF come from its PF
 * @REFUSED_IOMMU_DRIVER: the IOMMU core or driver did not want the domain for a
 *	device
 * @REFUSED_OTHER_IOMMU: the domain was made by the driver of another IOMMU
 * @REFUSED_PAGE_SIZE: the pages of a domain are larger than the kernel's
 * @REFUSED_RESERVED_IN_USE: a region that a device reserves is mapped or allowed
 * @REFUSED_APERTURE_IN_USE: so is what a domain cannot translate
 * @REFUSED_ALIGNMENT_IN_USE: a mapping does not fit the page size of a domain or
 *	of an access
 * @REFUSED_IOVA_RESERVED: an IOVA is reserved by a device or its IOMMU
 * @REFUSED_IOVA_TAKEN: an IOVA is mapped already
 * @REFUSED_IOVA_NO_ROOM: there is no room for a mapping where it is allowed
 * @REFUSED_IOVA_ALIGNMENT: IOVA, length or memory is less aligned than it has to
 *	be
 * @REFUSED_AREA_LIMIT: a container has as many mappings as dma_entry_limit allows
 * @REFUSED_READ_ONLY: memory was not mapped writeable, and a copy is to be
 * @REFUSED_MEMLOCK_LIMIT: a limit on locked memory is in the way
 * @REFUSED_CAUSES: how many there are
 */
enum iommufd_cause {
	REFUSED_NO_CACHE_COHERENCY,
	REFUSED_UNSAFE_INTERRUPTS,
	REFUSED_GROUP_OWNED,
	REFUSED_BOUND_ALREADY,
	REFUSED_NO_PAGE_TABLE,
	REFUSED_ATTACHED_ALREADY,
	REFUSED_NOT_ATTACHED,
	REFUSED_OTHER_HWPT,
	REFUSED_NOIOMMU,
	REFUSED_HWPT_NO_PASID,
	REFUSED_DEVICE_NO_PASID,
	REFUSED_VF_PAGE_REQUESTS,
	REFUSED_IOMMU_DRIVER,
	REFUSED_OTHER_IOMMU,
	REFUSED_PAGE_SIZE,
	REFUSED_RESERVED_IN_USE,
	REFUSED_APERTURE_IN_USE,
	REFUSED_ALIGNMENT_IN_USE,
	REFUSED_IOVA_RESERVED,
	REFUSED_IOVA_TAKEN,
	REFUSED_IOVA_NO_ROOM,
	REFUSED_IOVA_ALIGNMENT,
	REFUSED_AREA_LIMIT,
	REFUSED_READ_ONLY,
	REFUSED_MEMLOCK_LIMIT,
	REFUSED_CAUSES,
};

/**
 * struct iommufd_place - what was refused
 * @dev: the device, or NULL
 * @first: first IOVA it is about
 * @last: last IOVA; less than @first when it is about none
 */
struct iommufd_place {
	struct device *dev;
	u64 first;
	u64 last;
};

int iommufd_refuse_at(int rc, enum iommufd_cause cause,
		      const struct iommufd_place *place);

/* About a device, or about nothing that has a name */
static inline int iommufd_refuse(int rc, enum iommufd_cause cause,
				 struct device *dev)
{
	const struct iommufd_place place = { .dev = dev, .first = 1 };

	return iommufd_refuse_at(rc, cause, &place);
}

/* About an interval of IOVA */
static inline int iommufd_refuse_iova(int rc, enum iommufd_cause cause,
				      u64 first, u64 last)
{
	const struct iommufd_place place = { .first = first, .last = last };

	return iommufd_refuse_at(rc, cause, &place);
}

/**
 * struct iommufd_debtor - who is at a limit on locked memory
 * @pid: the process, as the first PID namespace has it
 * @uid: its user, likewise
 * @comm: its name
 * @mode: enum iommufd_account_mode
 * @charged: bytes that count against @limit
 * @length: bytes that were wanted
 * @limit: bytes
 */
struct iommufd_debtor {
	pid_t pid;
	uid_t uid;
	const char *comm;
	int mode;
	u64 charged;
	u64 length;
	u64 limit;
};

void iommufd_refuse_memory(const struct iommufd_debtor *debtor);

#endif
