// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel users of an IOAS: the access object that drivers see.
 */
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "access.h"
#include "iopt_user.h"

static void access_unmap(struct iopt_user *user, unsigned long iova,
			 unsigned long length)
{
	struct iommufd_access *access =
		container_of(user, struct iommufd_access, user);

	lockdep_assert_not_held(&access->lock);

	access->ops->unmap(access->data, iova, length);
}

static const struct iopt_user_ops access_user_ops = {
	.unmap = access_unmap,
};

static int access_join(struct iommufd_access *access, struct iommufd_ioas *ioas,
		       u32 *id)
{
	int rc = iopt_add_user(&ioas->iopt, &access->user, id);

	if (!rc)
		refcount_inc(&ioas->obj.users);
	return rc;
}

static void access_leave(struct iommufd_access *access,
			 struct iommufd_ioas *ioas, u32 id)
{
	iopt_remove_user(&ioas->iopt, &access->user, id);
	refcount_dec(&ioas->obj.users);
}

/*
 * Leave an IOAS. Nothing can be pinned meanwhile, and unpins still go to the
 * IOAS that is left. The lock is dropped for the driver's callback.
 */
static void access_drain(struct iommufd_access *access)
{
	struct iommufd_ioas *ioas = access->ioas;
	u32 id = access->ioas_link;

	lockdep_assert_held_write(&access->lock);

	access->ioas = NULL;
	access->changing = true;
	if (access->user.ops) {
		up_write(&access->lock);
		iopt_drop_pins(&ioas->iopt, &access->user, id);
		down_write(&access->lock);
	}
	access_leave(access, ioas, id);
	access->ioas_unpin = NULL;
	access->changing = false;
}

static void access_enter(struct iommufd_access *access,
			 struct iommufd_ioas *ioas, u32 id)
{
	lockdep_assert_held_write(&access->lock);

	access->ioas = ioas;
	access->ioas_unpin = ioas;
	access->ioas_link = id;
}

static void access_init(struct iommufd_access *access, struct iommufd_ctx *ictx)
{
	access->ictx = ictx;
	access->user.alignment = 1;
	init_rwsem(&access->lock);
}

struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data, u32 *id)
{
	struct iommufd_access *access;

	access = iommufd_object_alloc(ictx, access, IOMMUFD_OBJ_ACCESS, obj);
	if (IS_ERR(access))
		return access;
	access_init(access, ictx);
	access->ops = ops;
	access->data = data;
	if (ops->unmap)
		access->user.ops = &access_user_ops;
	if (ops->needs_pin_pages)
		access->user.alignment = PAGE_SIZE;

	iommufd_ctx_get(ictx);
	/* The driver is a user, so user space cannot destroy the access */
	refcount_inc(&access->obj.users);
	*id = access->obj.id;
	iommufd_object_finalize(ictx, &access->obj);
	return access;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_create, "IOMMUFD");

/* The driver's callback is not called after this */
void iommufd_access_disown(struct iommufd_object *obj)
{
	struct iommufd_access *access =
		container_of(obj, struct iommufd_access, obj);

	down_write(&access->lock);
	if (access->ioas)
		access_drain(access);
	up_write(&access->lock);
}

void iommufd_access_destroy_object(struct iommufd_object *obj)
{
	struct iommufd_access *access =
		container_of(obj, struct iommufd_access, obj);

	iommufd_ctx_put(access->ictx);
}

void iommufd_access_destroy(struct iommufd_access *access)
{
	iommufd_object_destroy_user(access->ictx, &access->obj);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_destroy, "IOMMUFD");

int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	struct iommufd_ioas *ioas;
	u32 id;
	int rc;

	ACQUIRE(rwsem_write_kill, lock)(&access->lock);
	rc = ACQUIRE_ERR(rwsem_write_kill, &lock);
	if (rc)
		return rc;
	if (WARN_ON_ONCE(access->ioas || access->ioas_unpin))
		return -EINVAL;

	ioas = iommufd_get_ioas(access->ictx, ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = access_join(access, ioas, &id);
	if (!rc)
		access_enter(access, ioas, id);
	iommufd_put_object(&ioas->obj);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_attach, "IOMMUFD");

static int access_replace(struct iommufd_access *access,
			  struct iommufd_ioas *ioas)
{
	u32 id;
	int rc;

	/* Somebody may be pinning through the access, for as long as that takes */
	ACQUIRE(rwsem_write_kill, lock)(&access->lock);
	rc = ACQUIRE_ERR(rwsem_write_kill, &lock);
	if (rc)
		return rc;
	if (access->changing)
		return -EBUSY;
	if (!access->ioas)
		return -ENOENT;
	if (ioas == access->ioas)
		return 0;

	rc = access_join(access, ioas, &id);
	if (rc)
		return rc;
	access_drain(access);
	access_enter(access, ioas, id);
	return 0;
}

int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id)
{
	struct iommufd_ioas *ioas;
	int rc;

	ioas = iommufd_get_ioas(access->ictx, ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = access_replace(access, ioas);
	iommufd_put_object(&ioas->obj);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_replace, "IOMMUFD");

void iommufd_access_detach(struct iommufd_access *access)
{
	guard(rwsem_write)(&access->lock);
	if (WARN_ON_ONCE(!access->ioas || access->changing))
		return;
	access_drain(access);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_detach, "IOMMUFD");

int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags)
{
	int rc;

	/* Such a driver has no areas aligned to pages, or cannot be told to unpin */
	if (WARN_ON_ONCE(!access->internal && (!access->ops->needs_pin_pages ||
					       !access->ops->unmap)))
		return -EINVAL;

	rc = down_read_killable(&access->lock);
	if (rc)
		return rc;
	if (access->ioas)
		rc = iopt_pin_pages(&access->ioas->iopt, iova, length,
				    out_pages, flags & IOMMUFD_ACCESS_RW_WRITE,
				    access->internal);
	else
		rc = -ENOENT;
	up_read(&access->lock);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_pin_pages, "IOMMUFD");

void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length)
{
	unsigned long last;

	if (WARN_ON_ONCE(!length || check_add_overflow(iova, length - 1, &last)))
		return;

	guard(rwsem_read)(&access->lock);
	if (WARN_ON_ONCE(!access->ioas_unpin))
		return;
	iopt_unpin_pages(&access->ioas_unpin->iopt, iova, length,
			 access->internal);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_unpin_pages, "IOMMUFD");

int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t length, unsigned int flags)
{
	int rc;

	rc = down_read_killable(&access->lock);
	if (rc)
		return rc;
	if (access->ioas)
		rc = iopt_rw(&access->ioas->iopt, iova, data, length, flags);
	else
		rc = -ENOENT;
	up_read(&access->lock);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_rw, "IOMMUFD");

/*
 * Accesses of hardware queues
 */

/**
 * iommufd_access_create_internal() - an access whose pins refuse to be unmapped
 * @ioas: the IOAS, which the caller holds
 * @ictx: its context
 *
 * It has no ID, and no callback.
 *
 * Return: the access, or ERR_PTR of an errno of iommufd_access_attach().
 */
struct iommufd_access *iommufd_access_create_internal(struct iommufd_ioas *ioas,
						      struct iommufd_ctx *ictx)
{
	struct iommufd_access *access;
	u32 id;
	int rc;

	access = kzalloc_obj(*access, GFP_KERNEL_ACCOUNT);
	if (!access)
		return ERR_PTR(-ENOMEM);
	access_init(access, ictx);
	access->internal = true;
	access->user.alignment = PAGE_SIZE;

	rc = access_join(access, ioas, &id);
	if (rc) {
		kfree(access);
		return ERR_PTR(rc);
	}
	scoped_guard(rwsem_write, &access->lock)
		access_enter(access, ioas, id);
	return access;
}

/**
 * iommufd_access_destroy_internal() - undo iommufd_access_create_internal()
 * @access: the access, without pins
 */
void iommufd_access_destroy_internal(struct iommufd_access *access)
{
	down_write(&access->lock);
	access_drain(access);
	up_write(&access->lock);
	kfree(access);
}
