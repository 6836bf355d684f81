/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queues of page faults that user space answers.
 */
#ifndef __IOMMUFD_FAULT_H
#define __IOMMUFD_FAULT_H

#include <linux/iommu.h>

#include "eventq.h"

struct iommufd_attach_handle;
struct iommufd_hw_pagetable;

/**
 * struct iommufd_fault - IOMMUFD_OBJ_FAULT, page faults of its HWPTs
 * @common: shared part, at offset 0; @common.deliver has iopf_group.node
 * @mutex: protects all below, and removal from @common.deliver. A group is
 *	answered under it, so whoever holds it knows that no answer is under
 *	way.
 * @response: cookie to the struct iopf_group that user space has to answer
 * @next_cookie: where the search for a free cookie starts, so that a number is
 *	reissued as late as possible
 */
struct iommufd_fault {
	struct iommufd_eventq common;
	struct mutex mutex; /* response */
	struct xarray response;
	u32 next_cookie;
};

static inline struct iommufd_fault *iommufd_get_fault(struct iommufd_ctx *ictx,
						      u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_FAULT);

	return container_of_const(obj, struct iommufd_fault, common.obj);
}

int iommufd_fault_alloc(struct iommufd_ucmd *ucmd);
void iommufd_fault_destroy(struct iommufd_object *obj);
int iommufd_fault_iopf_handler(struct iopf_group *group);
void iommufd_fault_flush(struct iommufd_hw_pagetable *hwpt,
			 struct iommufd_attach_handle *handle,
			 struct device *dev);

#endif
