// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel users of an IOVA space: the access object that drivers see, and what it
 * does to the space.
 */
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "access.h"
#include "area.h"
#include "dirty_log.h"
#include "io_pagetable.h"
#include "pages.h"

/*
 * Mark in io_pagetable.accesses: the driver is being told to drop all pins of
 * the access, which leaves the space then. An unmap waits for that, instead of
 * telling the driver the same a second time.
 */
#define ACCESS_LEAVING XA_MARK_1

/*
 * The IOVA space
 */

/**
 * iopt_add_access() - have an access use the space
 * @iopt: the space
 * @access: the access
 * @id: what to call iopt_remove_access() with
 *
 * Returns -EADDRINUSE when areas do not have the alignment it needs, -EBUSY
 * when there are too many, -ENOMEM, -EINTR when the caller is killed while a
 * domain is filled.
 */
int iopt_add_access(struct io_pagetable *iopt, struct iommufd_access *access,
		    u32 *id)
{
	int rc;

	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		return rc;
	scoped_guard(rwsem_write, &iopt->iova_rwsem) {
		rc = iopt_check_alignment(iopt, access->alignment);
		if (!rc)
			rc = xa_alloc(&iopt->accesses, id, access, xa_limit_16b,
				      GFP_KERNEL_ACCOUNT);
		if (!rc)
			iopt_update_alignment(iopt);
	}
	up_read(&iopt->domains_rwsem);
	return rc;
}

/**
 * iopt_remove_access() - the reverse of iopt_add_access()
 * @iopt: the space
 * @access: the access, without pins there
 * @id: from iopt_add_access()
 */
void iopt_remove_access(struct io_pagetable *iopt,
			struct iommufd_access *access, u32 id)
{
	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);
	WARN_ON(xa_erase(&iopt->accesses, id) != access);
	iopt_update_alignment(iopt);
	/* Who does not see it gone is seen waiting here */
	smp_mb();
	wake_up_var(&iopt->accesses);
}

/* What an access wants to do with an area */
enum area_use {
	AREA_USE_READ,
	AREA_USE_WRITE,
};

/*
 * Get at the area of an IOVA, so that it stays. ERR_PTR: -ENOENT when there is
 * none, -EINVAL when it is leaving, -EPERM when it does not allow the use.
 */
static struct iopt_area *area_get(struct io_pagetable *iopt, unsigned long iova,
				  enum area_use use)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->iova_rwsem);

	area = to_area(iova_space_first(&iopt->space, iova, iova));
	if (!area || area->state == AREA_BUILDING)
		return ERR_PTR(-ENOENT);
	if (area->state == AREA_LEAVING)
		return ERR_PTR(-EINVAL);
	if (!(area->prot &
	      (use == AREA_USE_WRITE ? IOMMU_WRITE : IOMMU_READ)))
		return ERR_PTR(-EPERM);
	if (use == AREA_USE_WRITE && !area->pages->writable)
		return ERR_PTR(-EPERM);

	atomic_inc(&area->busy);
	return area;
}

/* area_get() for a copy, which ends with area_end() */
static struct iopt_area *area_begin(struct io_pagetable *iopt,
				    unsigned long iova, enum area_use use)
{
	guard(rwsem_read)(&iopt->iova_rwsem);
	return area_get(iopt, iova, use);
}

/* The same for a pin, which outlasts it, unless area_cancel_pin() is called */
static struct iopt_area *area_begin_pin(struct io_pagetable *iopt,
					unsigned long iova, enum area_use use,
					bool lock_area)
{
	struct iopt_area *area;

	guard(rwsem_read)(&iopt->iova_rwsem);
	area = area_get(iopt, iova, use);
	if (IS_ERR(area))
		return area;
	atomic_inc(&area->pins);
	if (lock_area)
		atomic_inc(&area->locks);
	return area;
}

static void area_cancel_pin(struct iopt_area *area, bool lock_area)
{
	if (lock_area)
		atomic_dec(&area->locks);
	area_drop_pin(area);
}

/* Pages are what is pinned, so pieces have to meet at page boundaries */
static int check_pin_piece(const struct iopt_area *area, unsigned long iova,
			   unsigned long end, bool is_last)
{
	if (offset_in_page(area_offset(area, iova)))
		return -EINVAL;
	if (!is_last && offset_in_page(area_offset(area, end) + 1))
		return -EINVAL;
	return 0;
}

/**
 * iopt_pin_pages() - pin the pages of an interval for an access
 * @iopt: the space
 * @iova: first byte
 * @length: bytes
 * @out_pages: gets one page for each that is touched, in order of IOVA
 * @write: they will be written
 * @lock_area: refuse to unmap the areas until iopt_unpin_pages()
 *
 * Returns 0 with all pages pinned, or an errno with none: -EINVAL, -EOVERFLOW,
 * -ENOENT where nothing is mapped, -EPERM, and errors of pinning.
 */
int iopt_pin_pages(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long length, struct page **out_pages, bool write,
		   bool lock_area)
{
	unsigned long start = iova;
	struct iopt_area *area;
	unsigned long last, end;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	for (;;) {
		area = area_begin_pin(iopt, iova,
				      write ? AREA_USE_WRITE : AREA_USE_READ,
				      lock_area);
		if (IS_ERR(area)) {
			rc = PTR_ERR(area);
			break;
		}
		end = min(last, area->node.last);
		rc = check_pin_piece(area, iova, end, end == last);
		if (!rc)
			rc = area_pin_pages(area, iova, end, out_pages);
		if (rc)
			area_cancel_pin(area, lock_area);
		else
			out_pages += area_index(area, end) -
				     area_index(area, iova) + 1;
		area_end(area);
		if (rc)
			break;
		if (end == last)
			return 0;
		iova = end + 1;
	}

	if (iova != start)
		iopt_unpin_pages(iopt, start, iova - start, lock_area);
	return rc;
}

/**
 * iopt_unpin_pages() - undo one iopt_pin_pages()
 * @iopt: the space
 * @iova: the same
 * @length: the same
 * @unlock_area: the same
 */
void iopt_unpin_pages(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, bool unlock_area)
{
	unsigned long last = iova + (length - 1);
	struct iopt_area *area;
	unsigned long end;

	for (;;) {
		/* Pins keep the area in place, but the last one is dropped */
		down_read(&iopt->iova_rwsem);
		area = to_area(iova_space_first(&iopt->space, iova, iova));
		if (area)
			atomic_inc(&area->busy);
		up_read(&iopt->iova_rwsem);
		if (WARN_ON(!area))
			return;

		end = min(last, area->node.last);
		if (unlock_area)
			atomic_dec(&area->locks);
		/* As long as it is pinned the dirty log reports it by itself */
		area_log_write(area, iova, end);
		area_unpin_pages(area, iova, end);
		area_end(area);
		if (end == last)
			return;
		iova = end + 1;
	}
}

/**
 * iopt_rw() - copy between kernel memory and an interval
 * @iopt: the space
 * @iova: first byte
 * @data: kernel memory
 * @length: bytes
 * @flags: IOMMUFD_ACCESS_RW_*
 *
 * Returns an errno as iopt_pin_pages(); a part may be copied then.
 */
int iopt_rw(struct io_pagetable *iopt, unsigned long iova, void *data,
	    size_t length, unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	struct iopt_area *area;
	unsigned long last, end;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	for (;;) {
		area = area_begin(iopt, iova,
				  write ? AREA_USE_WRITE : AREA_USE_READ);
		if (IS_ERR(area))
			return PTR_ERR(area);
		end = min(last, area->node.last);
		if (area->pages->kind == PAGES_DMABUF)
			rc = -EINVAL;
		else
			rc = pages_rw(area->pages, area_offset(area, iova),
				      data, end - iova + 1, flags);
		if (write)
			area_log_write(area, iova, end);
		area_end(area);
		if (rc || end == last)
			return rc;
		data += end - iova + 1;
		iova = end + 1;
	}
}

static bool access_has_unmap(const struct iommufd_access *access)
{
	return access->ops && access->ops->unmap;
}

/* Returns -EINTR when the caller is killed meanwhile */
static int access_wait_left(struct io_pagetable *iopt, unsigned long index)
{
	int rc = wait_var_event_killable(&iopt->accesses,
					 !xa_get_mark(&iopt->accesses, index,
						      ACCESS_LEAVING));

	return rc ? -EINTR : 0;
}

/* Ends what raised access->callbacks; the access may be gone then */
static void access_call_unmap(struct iommufd_access *access, unsigned long iova,
			      unsigned long length)
{
	access->ops->unmap(access->data, iova, length);
	if (atomic_dec_and_test(&access->callbacks))
		wake_up_var(&access->callbacks);
}

/**
 * iommufd_access_notify_unmap() - have accesses drop their pins
 * @iopt: the space
 * @iova: first byte
 * @length: bytes
 *
 * When it succeeds, each driver has been told to, and each access that was on
 * its way out of the space has left it.
 *
 * Context: May sleep, for as long as drivers take. Called without locks. Several
 * may run at a time.
 *
 * Return: 0, or -EINTR when the caller is killed while an access leaves.
 */
int iommufd_access_notify_unmap(struct io_pagetable *iopt, unsigned long iova,
				unsigned long length)
{
	struct iommufd_access *access;
	unsigned long index;
	bool leaving;
	int rc = 0;

	xa_lock(&iopt->accesses);
	xa_for_each(&iopt->accesses, index, access) {
		if (!access_has_unmap(access))
			continue;
		leaving = xa_get_mark(&iopt->accesses, index, ACCESS_LEAVING);
		if (!leaving)
			atomic_inc(&access->callbacks);
		xa_unlock(&iopt->accesses);

		if (leaving)
			rc = access_wait_left(iopt, index);
		else
			access_call_unmap(access, iova, length);

		xa_lock(&iopt->accesses);
		if (rc)
			break;
	}
	xa_unlock(&iopt->accesses);
	return rc;
}

/* Have the driver drop all pins, when nobody else talks to it about them */
static void access_drop_pins(struct iommufd_access *access,
			     struct io_pagetable *iopt, u32 id)
{
	xa_set_mark(&iopt->accesses, id, ACCESS_LEAVING);
	wait_var_event(&access->callbacks,
		       !atomic_read_acquire(&access->callbacks));
	access->ops->unmap(access->data, 0, ULONG_MAX);
}

/*
 * The object
 */

static int access_join(struct iommufd_access *access, struct iommufd_ioas *ioas,
		       u32 *id)
{
	int rc = iopt_add_access(&ioas->iopt, access, id);

	if (!rc)
		refcount_inc(&ioas->obj.users);
	return rc;
}

static void access_leave(struct iommufd_access *access,
			 struct iommufd_ioas *ioas, u32 id)
{
	iopt_remove_access(&ioas->iopt, access, id);
	refcount_dec(&ioas->obj.users);
}

/*
 * Leave an IOAS. Meanwhile nothing can be pinned, and what is unpinned still
 * goes to the old one. Drops and retakes the lock for the driver's callback.
 */
static void access_drain(struct iommufd_access *access)
{
	struct iommufd_ioas *ioas = access->ioas;
	u32 id = access->ioas_link;

	lockdep_assert_held_write(&access->lock);

	access->ioas = NULL;
	access->changing = true;
	if (access_has_unmap(access)) {
		up_write(&access->lock);
		access_drop_pins(access, &ioas->iopt, id);
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
	access->alignment = 1;
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
	if (ops->needs_pin_pages)
		access->alignment = PAGE_SIZE;

	iommufd_ctx_get(ictx);
	/* The driver's; user space cannot destroy it */
	refcount_inc(&access->obj.users);
	*id = access->obj.id;
	iommufd_object_finalize(ictx, &access->obj);
	return access;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_create, "IOMMUFD");

/**
 * iommufd_access_disown() - disown operation of an access
 * @obj: its object
 *
 * After this the driver's callback is not called.
 */
void iommufd_access_disown(struct iommufd_object *obj)
{
	struct iommufd_access *access =
		container_of(obj, struct iommufd_access, obj);

	down_write(&access->lock);
	if (access->ioas)
		access_drain(access);
	up_write(&access->lock);
}

/**
 * iommufd_access_destroy_object() - destroy operation of an access
 * @obj: its object
 */
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

	guard(rwsem_write)(&access->lock);
	if (WARN_ON(access->ioas || access->ioas_unpin))
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

	guard(rwsem_write)(&access->lock);
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
	if (WARN_ON(!access->ioas || access->changing))
		return;
	access_drain(access);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_detach, "IOMMUFD");

int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags)
{
	/* Then nobody keeps areas aligned to pages, or takes pins back */
	if (WARN_ON(!access->internal && (!access->ops->needs_pin_pages ||
					  !access->ops->unmap)))
		return -EINVAL;

	guard(rwsem_read)(&access->lock);
	if (!access->ioas)
		return -ENOENT;
	return iopt_pin_pages(&access->ioas->iopt, iova, length, out_pages,
			      flags & IOMMUFD_ACCESS_RW_WRITE,
			      access->internal);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_pin_pages, "IOMMUFD");

void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length)
{
	unsigned long last;

	if (WARN_ON(!length || check_add_overflow(iova, length - 1, &last)))
		return;

	guard(rwsem_read)(&access->lock);
	if (WARN_ON(!access->ioas_unpin))
		return;
	iopt_unpin_pages(&access->ioas_unpin->iopt, iova, length,
			 access->internal);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_unpin_pages, "IOMMUFD");

int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t length, unsigned int flags)
{
	guard(rwsem_read)(&access->lock);
	if (!access->ioas)
		return -ENOENT;
	return iopt_rw(&access->ioas->iopt, iova, data, length, flags);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_rw, "IOMMUFD");

/*
 * For hardware queues
 */

/**
 * iommufd_access_create_internal() - an access whose pins refuse to be unmapped
 * @ioas: the IOAS, which the caller holds
 * @ictx: its context
 *
 * It has no ID, and no callback.
 *
 * Returns the access, or ERR_PTR of an errno of iommufd_access_attach().
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
	access->alignment = PAGE_SIZE;

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
 * iommufd_access_destroy_internal() - the reverse
 * @access: the access, without pins
 */
void iommufd_access_destroy_internal(struct iommufd_access *access)
{
	down_write(&access->lock);
	access_drain(access);
	up_write(&access->lock);
	kfree(access);
}
