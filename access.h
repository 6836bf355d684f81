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
 * @obj: in the ID table; its driver is a user. Unused when @internal.
 * @ictx: the context, referenced unless @internal
 * @lock: read: for operations on the attached IOAS; write: to change that
 * @ioas: attached IOAS, which pins and rw go to; a user of it; under @lock
 * @ioas_unpin: where unpin goes: @ioas, or the former one while the driver is
 *	told to drop its pins; under @lock
 * @ioas_link: from iopt_add_user() for @ioas_unpin, under @lock
 * @changing: it is on its way out of @ioas_unpin; under @lock
 * @user: its part in the IOVA space; with operations when @ops can be told to
 *	unpin
 * @ops: of the driver, NULL when @internal
 * @data: of the driver, passed back to @ops
 * @internal: made by iommufd itself for a hardware queue: its pins refuse an
 *	unmap rather than being revoked
 */
struct iommufd_access {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct rw_semaphore lock;
	struct iommufd_ioas *ioas;
	struct iommufd_ioas *ioas_unpin;
	u32 ioas_link;
	bool changing;
	struct iopt_user user;
	const struct iommufd_access_ops *ops;
	void *data;
	bool internal;
};

void iommufd_access_disown(struct iommufd_object *obj);
void iommufd_access_destroy_object(struct iommufd_object *obj);

struct iommufd_access *iommufd_access_create_internal(struct iommufd_ioas *ioas,
						      struct iommufd_ctx *ictx);
void iommufd_access_destroy_internal(struct iommufd_access *access);

#endif
