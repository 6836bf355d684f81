/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ID table, and the one scheme of reference counting for everything in it.
 *
 * An object has two counts, both of which start at 1 for the table itself:
 *
 *  users     Who makes the object busy. Another object, a driver, a file or a
 *            VMA that depends on it holds one for as long as it does, a
 *            running ioctl holds one while it runs. IOMMU_DESTROY only
 *            succeeds when the table's is the last.
 *
 *  wait_cnt  Who has to let go soon. Held by running ioctls, and by holders
 *            that can be told to let go (a vDEVICE of its device), and by
 *            fdinfo, which has to be in nobody's way. A driver that removes
 *            its own object sleeps until these are gone, but not longer than a
 *            minute.
 *
 * A user count therefore never blocks anybody, and a wait count never makes an
 * operation fail. An ioctl lets go of a device, and of whatever else a driver
 * may remove, before it waits for user memory. Drivers of IOMMUs that are given
 * a device together with user data leave no choice.
 *
 * An object that is waited for in vain becomes an orphan: it stays hidden, and
 * whoever drops the last wait count has a work item finish its destruction. It
 * holds the context until then.
 *
 * Lookup runs under RCU only. An object becomes visible when
 * iommufd_object_finalize() stores it in the slot that was reserved when it was
 * allocated, and disappears when destruction erases the slot after it brought
 * users to zero. Memory is freed after a grace period.
 */
#ifndef __IOMMUFD_OBJECT_H
#define __IOMMUFD_OBJECT_H

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/xarray.h>

#include "ctx.h"
#include "test_hooks.h"

/**
 * struct iommufd_object_ops - how the table takes an object of some type down
 * @pre_destroy: optional; tells holders of a wait count to let go. Called
 *	before a kernel initiated destruction waits. May sleep.
 * @disown: optional, for objects that only their driver removes; undoes all that
 *	takes the driver or what it drives. Called when nobody can find the
 *	object any more, before @destroy. Usually nobody holds a wait count
 *	either; if somebody does, it may be long until @destroy. May sleep.
 * @destroy: undo everything else; the memory is freed by the caller. Called when no
 *	reference exists, also for an object that never became visible and may
 *	be incomplete, then under the locks its creator holds. May sleep.
 */
struct iommufd_object_ops {
	void (*pre_destroy)(struct iommufd_object *obj);
	void (*disown)(struct iommufd_object *obj);
	void (*destroy)(struct iommufd_object *obj);
};

struct iommufd_object *_iommufd_object_alloc(struct iommufd_ctx *ictx,
					     size_t size,
					     enum iommufd_object_type type);
struct iommufd_object *
_iommufd_object_alloc_ucmd(struct iommufd_ucmd *ucmd, size_t size,
			   enum iommufd_object_type type);

/*
 * The object, to which elm is the path, is at offset 0, so that one pointer is
 * both and can be freed as either.
 */
#define __iommufd_object_typed(expr, ptr, elm)                                 \
	({                                                                     \
		static_assert(offsetof(typeof(*(ptr)), elm) == 0);             \
		static_assert(__same_type((ptr)->elm, struct iommufd_object)); \
		(typeof(ptr))(expr);                                           \
	})

/**
 * iommufd_object_alloc() - allocate an object and reserve an ID for it
 * @ictx: context
 * @ptr: a pointer of the type wanted; only its type is used
 * @type: enum iommufd_object_type
 * @elm: member path to its struct iommufd_object, which must be at offset 0
 *
 * The memory is zeroed and charged to the caller's memory cgroup. The ID looks
 * up as -ENOENT until iommufd_object_finalize().
 *
 * Return: the object, or ERR_PTR of -ENOMEM, or -EBUSY when IDs ran out.
 */
#define iommufd_object_alloc(ictx, ptr, type, elm)                             \
	__iommufd_object_typed(                                                \
		_iommufd_object_alloc(ictx, sizeof(*(ptr)), type), ptr, elm)

/**
 * iommufd_object_alloc_ucmd() - iommufd_object_alloc() for an ioctl's result
 * @ucmd: the call; one object at most
 * @ptr: as of iommufd_object_alloc()
 * @type: as of iommufd_object_alloc()
 * @elm: as of iommufd_object_alloc()
 *
 * The dispatcher publishes the object when the handler returns 0 and takes it
 * down with its ops otherwise, so the handler has no error path for it.
 */
#define iommufd_object_alloc_ucmd(ucmd, ptr, type, elm)                        \
	__iommufd_object_typed(                                                \
		_iommufd_object_alloc_ucmd(ucmd, sizeof(*(ptr)), type), ptr,   \
		elm)

void iommufd_object_finalize(struct iommufd_ctx *ictx,
			     struct iommufd_object *obj);
void iommufd_object_finalize_ucmd(struct iommufd_ucmd *ucmd);
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx,
				      struct iommufd_object *obj);

void iommufd_object_last_put(struct iommufd_object *obj);

/**
 * iommufd_put_object() - end of iommufd_get_object() or iommufd_lock_obj()
 * @obj: the object; others may free it at once
 */
static inline void iommufd_put_object(struct iommufd_object *obj)
{
	/* Whoever sees wait_cnt at zero relies on nobody touching users */
	refcount_dec(&obj->users);
	if (refcount_dec_and_test(&obj->wait_cnt))
		iommufd_object_last_put(obj);
}

static inline void __iommufd_put_object(struct iommufd_object *obj)
{
	if (!IS_ERR_OR_NULL(obj))
		iommufd_put_object(obj);
}

/*
 * For a pointer to an object, or to a structure that begins with one. NULL and
 * an ERR_PTR() are fine.
 */
DEFINE_FREE(iommufd_put_object, struct iommufd_object *,
	    __iommufd_put_object(_T))

/**
 * iommufd_lock_obj() - take the references of a running operation
 * @obj: an object whose memory stays, by RCU or a lock
 *
 * Return: false when it is being destroyed, otherwise true: there will be an
 * iommufd_put_object().
 */
static inline bool iommufd_lock_obj(struct iommufd_object *obj)
{
	if (!refcount_inc_not_zero(&obj->wait_cnt))
		return false;
	if (refcount_inc_not_zero(&obj->users))
		return true;
	if (refcount_dec_and_test(&obj->wait_cnt))
		iommufd_object_last_put(obj);
	return false;
}

/* Under RCU; NULL when no object with that ID can be found */
static inline struct iommufd_object *
iommufd_object_load(struct iommufd_ctx *ictx, u32 id)
{
	if (id >= IOMMUFD_LOW_OBJECTS)
		return xa_load(&ictx->objects, id);
	id = array_index_nospec(id, IOMMUFD_LOW_OBJECTS);
	return rcu_dereference(ictx->low_objects[id]);
}

/**
 * iommufd_get_object_inline() - iommufd_get_object() for calls that come by the
 *	million
 * @ictx: context
 * @id: what user space calls it
 * @type: type it must have, IOMMUFD_OBJ_ANY for any
 *
 * Return: as of iommufd_get_object().
 */
static __always_inline struct iommufd_object *
iommufd_get_object_inline(struct iommufd_ctx *ictx, u32 id,
			  enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	if (iommufd_should_fail())
		return ERR_PTR(-ENOENT);

	guard(rcu)();
	obj = iommufd_object_load(ictx, id);
	if (!obj || (type != IOMMUFD_OBJ_ANY && obj->type != type) ||
	    !iommufd_lock_obj(obj))
		return ERR_PTR(-ENOENT);
	return obj;
}

/**
 * iommufd_get_object() - look an object up for the duration of an operation
 * @ictx: context
 * @id: what user space calls it
 * @type: type it must have, IOMMUFD_OBJ_ANY for any
 *
 * Return: the object, which iommufd_put_object() gives back, or
 * ERR_PTR(-ENOENT).
 */
struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type);

struct iommufd_object *iommufd_object_look(struct iommufd_ctx *ictx,
					   unsigned long id);

/**
 * iommufd_object_look_away() - end of iommufd_object_look()
 * @obj: the object; others may free it at once
 */
static inline void iommufd_object_look_away(struct iommufd_object *obj)
{
	if (refcount_dec_and_test(&obj->wait_cnt))
		iommufd_object_last_put(obj);
}

int iommufd_object_destroy_id(struct iommufd_ctx *ictx, u32 id);
void iommufd_object_destroy_user(struct iommufd_ctx *ictx,
				 struct iommufd_object *obj);
void iommufd_object_tombstone_user(struct iommufd_ctx *ictx,
				   struct iommufd_object *obj);
void iommufd_object_destroy_all(struct iommufd_ctx *ictx);

int iommufd_object_init(void);
void iommufd_object_exit(void);

#endif
