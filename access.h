/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In-kernel users of an IOAS, for drivers that do no DMA of their own.
 */
#ifndef __IOMMUFD_ACCESS_H
#define __IOMMUFD_ACCESS_H

#include "ioas.h"
#include "object.h"

/**
 * struct iommufd_access - IOMMUFD_OBJ_ACCESS
 * @obj: in the ID table; its driver is a user
 * @iopt_access: the link into the attached IOVA space
 * @ictx: the context, referenced unless @internal
 * @ioas: attached IOAS; pins and rw go there; under @lock
 * @ioas_unpin: where unpin goes: @ioas, and still the former one while the
 *	driver is told to drop its pins; under @lock
 * @lock: protects the two
 * @changing: an attach, replace or detach is under way; under @lock
 * @ops: of the driver
 * @data: of the driver, passed back to @ops
 * @internal: made by iommufd itself for a hardware queue: its pins refuse an
 *	unmap rather than being revoked
 */
struct iommufd_access {
	struct iommufd_object obj;
	struct iopt_access iopt_access;
	struct iommufd_ctx *ictx;
	struct iommufd_ioas *ioas;
	struct iommufd_ioas *ioas_unpin;
	struct rw_semaphore lock;
	bool changing;
	const struct iommufd_access_ops *ops;
	void *data;
	bool internal;
};

void iommufd_access_destroy_object(struct iommufd_object *obj);

/* For hardware queues: pins that hold against IOMMU_IOAS_UNMAP */
struct iommufd_access *iommufd_access_create_internal(struct iommufd_ctx *ictx);
void iommufd_access_destroy_internal(struct iommufd_ctx *ictx,
				     struct iommufd_access *access);
int iommufd_access_attach_internal(struct iommufd_access *access,
				   struct iommufd_ioas *ioas);

#endif
