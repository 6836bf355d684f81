// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ID table of a context. object.h has the rules.
 */
#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "object.h"
#include "test_hooks.h"

struct iommufd_object *_iommufd_object_alloc(struct iommufd_ctx *ictx,
					     size_t size,
					     enum iommufd_object_type type)
{
	struct iommufd_object *obj;
	int rc;

	obj = kzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->type = type;
	refcount_set(&obj->wait_cnt, 1);
	refcount_set(&obj->users, 1);

	/* A zero entry reserves the ID and looks up as nothing */
	rc = xa_alloc(&ictx->objects, &obj->id, XA_ZERO_ENTRY, xa_limit_31b,
		      GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(obj);
		return ERR_PTR(rc);
	}
	return obj;
}

struct iommufd_object *
_iommufd_object_alloc_ucmd(struct iommufd_ucmd *ucmd, size_t size,
			   enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	if (WARN_ON_ONCE(ucmd->new_obj))
		return ERR_PTR(-EINVAL);

	obj = _iommufd_object_alloc(ucmd->ictx, size, type);
	if (!IS_ERR(obj))
		ucmd->new_obj = obj;
	return obj;
}

static const struct iommufd_object_ops *
iommufd_object_get_ops(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	return &ictx->object_ops[obj->type];
}

static void iommufd_object_free(struct iommufd_object *obj)
{
	/* Lookups look at the counts under RCU only */
	kfree_rcu_mightsleep(obj);
}

/**
 * iommufd_object_finalize() - make a new object visible
 * @ictx: its context
 * @obj: the object; may be used and destroyed by others at once
 *
 * Cannot fail, the slot exists.
 */
void iommufd_object_finalize(struct iommufd_ctx *ictx,
			     struct iommufd_object *obj)
{
	XA_STATE(xas, &ictx->objects, obj->id);
	void *old;

	xa_lock(&ictx->objects);
	old = xas_store(&xas, obj);
	if (obj->id < IOMMUFD_LOW_OBJECTS)
		rcu_assign_pointer(ictx->low_objects[obj->id], obj);
	xa_unlock(&ictx->objects);
	WARN_ON_ONCE(!xa_is_zero(old));
}

/**
 * iommufd_object_finalize_ucmd() - make the object of an ioctl visible early
 * @ucmd: the call, which cannot fail any more
 *
 * For a handler that has to do so under a lock. Others leave it to the
 * dispatcher.
 */
void iommufd_object_finalize_ucmd(struct iommufd_ucmd *ucmd)
{
	iommufd_object_finalize(ucmd->ictx, ucmd->new_obj);
	ucmd->new_obj = NULL;
}

/**
 * iommufd_object_abort() - free an object that never became visible
 * @ictx: its context
 * @obj: the object, with nothing left to undo
 */
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	void *old = xa_erase(&ictx->objects, obj->id);

	WARN_ON_ONCE(old);
	kfree(obj);
}

/**
 * iommufd_object_abort_and_destroy() - undo an object that never became visible
 * @ictx: its context
 * @obj: the object
 *
 * Runs its destroy operation, under whatever locks the caller holds. From here
 * on no object of the same driver can come to depend on it. When one does
 * already, the driver has shown it to others and then failed, which is a bug:
 * the object is leaked, and its ID with it, since somebody uses its memory.
 */
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx,
				      struct iommufd_object *obj)
{
	if (WARN_ON_ONCE(!refcount_dec_if_one(&obj->users)))
		return;
	iommufd_object_get_ops(ictx, obj)->destroy(obj);
	iommufd_object_abort(ictx, obj);
}

struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type)
{
	return iommufd_get_object_inline(ictx, id, type);
}

/**
 * iommufd_object_look() - look at an object without making it busy
 * @ictx: context
 * @id: the first ID to look for; 0 is none
 *
 * It may be destroyed meanwhile, and that waits. So whoever looks has to be quick,
 * and wait for nothing that the destroyer may hold.
 *
 * Return: the first object from this ID on, which is complete until
 * iommufd_object_look_away(); NULL when there is none.
 */
struct iommufd_object *iommufd_object_look(struct iommufd_ctx *ictx,
					   unsigned long id)
{
	struct iommufd_object *obj;

	guard(rcu)();
	xa_for_each_start(&ictx->objects, id, obj, id) {
		if (refcount_inc_not_zero(&obj->wait_cnt))
			return obj;
	}
	return NULL;
}

static void iommufd_object_set_slot(struct iommufd_ctx *ictx,
				    struct iommufd_object *obj, void *entry)
{
	XA_STATE(xas, &ictx->objects, obj->id);

	lockdep_assert_held(&ictx->objects.xa_lock);

	if (ictx->vfio_ioas && (void *)ictx->vfio_ioas == obj)
		WRITE_ONCE(ictx->vfio_ioas, NULL);
	if (obj->id < IOMMUFD_LOW_OBJECTS)
		RCU_INIT_POINTER(ictx->low_objects[obj->id], NULL);
	if (entry)
		xas_store(&xas, entry);
	else
		__xa_erase(&ictx->objects, obj->id);
}

/**
 * struct iommufd_orphan - what could not be destroyed in time
 * @work: finishes the destruction
 * @item: on iommufd_orphans until @work is queued, under iommufd_orphans_lock
 * @ictx: its context, referenced
 * @obj: the object, which nobody can find; whoever drops its last wait count
 *	queues @work
 */
struct iommufd_orphan {
	struct work_struct work;
	struct list_head item;
	struct iommufd_ctx *ictx;
	struct iommufd_object *obj;
};

static struct workqueue_struct *iommufd_orphan_wq;
static DEFINE_SPINLOCK(iommufd_orphans_lock);
static LIST_HEAD(iommufd_orphans);

/* Does nobody hold the object any more? Then its users stay as they are. */
static bool iommufd_object_is_idle(struct iommufd_object *obj)
{
	if (refcount_read(&obj->wait_cnt))
		return false;
	/*
	 * Every holder drops users before wait_cnt, whose decrement is a
	 * release. All decrements of wait_cnt are one release sequence, so that
	 * an acquire of its last value, the zero, sees users without any of
	 * them.
	 */
	smp_acquire__after_ctrl_dep();
	return true;
}

/**
 * iommufd_object_last_put() - the last wait count of an object is gone
 * @obj: the object, of which only the address is good: whoever waits for it
 *	may have freed it
 *
 * For iommufd_put_object() and iommufd_lock_obj().
 */
void iommufd_object_last_put(struct iommufd_object *obj)
{
	struct iommufd_orphan *orphan;

	/*
	 * Dropping a count is no full barrier, and wake_up_var() looks for
	 * waiters without a lock. Orders the count's zero before that look;
	 * pairs with the barrier of prepare_to_wait_event(), which orders the
	 * waiter's entry before its look at the count.
	 */
	smp_mb();
	wake_up_var(&obj->wait_cnt);

	guard(spinlock)(&iommufd_orphans_lock);
	list_for_each_entry(orphan, &iommufd_orphans, item) {
		/* The object may be another one at the same address */
		if (orphan->obj == obj && iommufd_object_is_idle(obj)) {
			list_del(&orphan->item);
			queue_work(iommufd_orphan_wq, &orphan->work);
			return;
		}
	}
}

/*
 * Nobody can get at the object any more, except those that hold wait_cnt. They
 * are ioctls, and should take a moment, not a minute.
 */
static bool iommufd_object_drain(struct iommufd_object *obj)
{
	unsigned int timeout_ms = iommufd_test_destroy_timeout_ms();

	if (refcount_dec_and_test(&obj->wait_cnt) ||
	    wait_var_event_timeout(&obj->wait_cnt, iommufd_object_is_idle(obj),
				   msecs_to_jiffies(timeout_ms)))
		return true;

	pr_crit("timed out waiting for object %u to become free\n", obj->id);
	return false;
}

/* The object is idle, and nobody can find it */
static void iommufd_object_teardown(struct iommufd_ctx *ictx,
				    struct iommufd_object *obj)
{
	/* The table is a user at most; another one is a bug of the driver */
	if (WARN_ON_ONCE(refcount_read(&obj->users) > 1))
		return;
	iommufd_object_get_ops(ictx, obj)->destroy(obj);
	iommufd_object_free(obj);
}

static void iommufd_orphan_finish(struct work_struct *work)
{
	struct iommufd_orphan *orphan =
		container_of(work, struct iommufd_orphan, work);
	struct iommufd_ctx *ictx = orphan->ictx;

	iommufd_object_teardown(ictx, orphan->obj);
	kfree(orphan);
	fput(ictx->file);
}

/*
 * Destruction cannot wait any longer, and the caller goes on as if it had come
 * to its end. The object is out of everybody's sight for good.
 */
static void iommufd_object_orphan(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj)
{
	struct iommufd_orphan *orphan;

	/* There is nobody who could be told of an error */
	orphan = kzalloc_obj(*orphan, GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&orphan->work, iommufd_orphan_finish);
	orphan->obj = obj;
	orphan->ictx = ictx;
	/* iommufd_ctx_get() is of a layer above */
	get_file(ictx->file);

	guard(spinlock)(&iommufd_orphans_lock);
	if (iommufd_object_is_idle(obj))
		queue_work(iommufd_orphan_wq, &orphan->work);
	else
		list_add(&orphan->item, &iommufd_orphans);
}

/**
 * iommufd_object_destroy_id() - IOMMU_DESTROY
 * @ictx: context
 * @id: what to destroy
 *
 * Return: 0, -ENOENT when there is no such object, -EBUSY when it has a user.
 */
int iommufd_object_destroy_id(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;

	lockdep_assert_not_held(&ictx->ioas_creation_lock);
	might_sleep();

	if (iommufd_should_fail())
		return -ENOENT;

	xa_lock(&ictx->objects);
	obj = xa_load(&ictx->objects, id);
	if (!obj) {
		xa_unlock(&ictx->objects);
		return -ENOENT;
	}
	if (!refcount_dec_if_one(&obj->users)) {
		xa_unlock(&ictx->objects);
		return -EBUSY;
	}
	iommufd_object_set_slot(ictx, obj, NULL);
	xa_unlock(&ictx->objects);

	/* What is left are lookups that lost, and ioctls about to return */
	if (!iommufd_object_drain(obj)) {
		iommufd_object_orphan(ictx, obj);
		return -EBUSY;
	}
	iommufd_object_teardown(ictx, obj);
	return 0;
}

static void iommufd_object_remove(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj, void *final_entry)
{
	const struct iommufd_object_ops *ops =
		iommufd_object_get_ops(ictx, obj);
	bool idle;

	lockdep_assert_not_held(&ictx->ioas_creation_lock);
	might_sleep();

	if (ops->pre_destroy)
		ops->pre_destroy(obj);

	/* Hide it first, or a stream of ioctls could make us wait forever */
	xa_lock(&ictx->objects);
	iommufd_object_set_slot(ictx, obj, XA_ZERO_ENTRY);
	xa_unlock(&ictx->objects);

	/* The caller's user count; the table's is left */
	refcount_dec(&obj->users);
	idle = iommufd_object_drain(obj);
	if (ops->disown)
		ops->disown(obj);
	if (!idle) {
		iommufd_object_orphan(ictx, obj);
		return;
	}

	if (!final_entry) {
		xa_lock(&ictx->objects);
		iommufd_object_set_slot(ictx, obj, NULL);
		xa_unlock(&ictx->objects);
	}
	iommufd_object_teardown(ictx, obj);
}

/**
 * iommufd_object_destroy_user() - destroy an object on behalf of its driver
 * @ictx: its context
 * @obj: the object; the caller's user count is consumed
 *
 * Has revocable holders let go, and sleeps until running ioctls are through
 * with it. When one is not in a minute, which takes user memory that does not
 * arrive, the object is orphaned: its driver is rid of it nevertheless, its ID is
 * not used again, and the rest is done when that ioctl ends.
 *
 * When somebody else is still a user, which is a bug of the driver, the object
 * is leaked.
 */
void iommufd_object_destroy_user(struct iommufd_ctx *ictx,
				 struct iommufd_object *obj)
{
	iommufd_object_remove(ictx, obj, NULL);
}

/**
 * iommufd_object_tombstone_user() - destroy an object, and never reuse its ID
 * @ictx: its context
 * @obj: the object; the caller's user count is consumed
 *
 * Works as iommufd_object_destroy_user(), for objects that user space did not ask
 * to be destroyed: it may still use the ID, and must not hit a stranger with it.
 */
void iommufd_object_tombstone_user(struct iommufd_ctx *ictx,
				   struct iommufd_object *obj)
{
	iommufd_object_remove(ictx, obj, XA_ZERO_ENTRY);
}

int __init iommufd_object_init(void)
{
	iommufd_orphan_wq = alloc_workqueue("iommufd", WQ_UNBOUND, 0);
	return iommufd_orphan_wq ? 0 : -ENOMEM;
}

/*
 * There is no context any more, as orphans hold theirs, but the work that was
 * the last to drop one may still be about to return.
 */
void iommufd_object_exit(void)
{
	destroy_workqueue(iommufd_orphan_wq);
}

/**
 * iommufd_object_destroy_all() - destroy every object, leaf first
 * @ictx: context in final release, with nobody using it
 */
void iommufd_object_destroy_all(struct iommufd_ctx *ictx)
{
	struct iommufd_object *obj;
	unsigned long id;
	bool found, progress;

	/*
	 * Destroying one object may take others along, so only the ID carries
	 * over from one step to the next.
	 */
	do {
		found = false;
		progress = false;
		xa_for_each(&ictx->objects, id, obj) {
			found = true;
			if (!refcount_dec_if_one(&obj->users))
				continue;
			progress = true;
			xa_lock(&ictx->objects);
			iommufd_object_set_slot(ictx, obj, NULL);
			xa_unlock(&ictx->objects);
			iommufd_object_teardown(ictx, obj);
		}
	} while (found && !WARN_ON_ONCE(!progress));

	/* Tombstones */
	xa_destroy(&ictx->objects);
}
