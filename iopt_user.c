// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who uses the memory of an IOVA space from within the kernel: pins, copies, and
 * giving pins back when the memory is unmapped.
 */
#include <linux/iommufd.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>
#include <linux/wait_bit.h>

#include "area.h"
#include "dirty_log.h"
#include "iopt_user.h"
#include "pages_rw.h"

/*
 * Mark in io_pagetable.accesses: the user is being told to drop all of its
 * pins, and leaves the space then. An unmap waits for that, instead of telling
 * it the same a second time.
 */
#define USER_LEAVING XA_MARK_1

/**
 * iopt_add_user() - have somebody use the memory of the space
 * @iopt: the space
 * @user: who
 * @id: what to call iopt_remove_user() with
 *
 * Return: -EADDRINUSE when areas do not have the alignment it needs, -EBUSY
 * when there are too many, or while an area has no valid address, -ENOMEM, -EINTR
 * when the caller is killed while a domain is filled.
 */
int iopt_add_user(struct io_pagetable *iopt, struct iopt_user *user, u32 *id)
{
	int rc;

	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		return rc;
	scoped_guard(mutex, &iopt->iova_mutex) {
		rc = iopt->invalid_vaddrs ? -EBUSY : 0;
		if (!rc)
			rc = iopt_check_alignment(iopt, user->alignment);
		if (!rc)
			rc = xa_alloc(&iopt->accesses, id, user, xa_limit_16b,
				      GFP_KERNEL_ACCOUNT);
		if (!rc)
			WRITE_ONCE(iopt->iova_alignment,
				   max(iopt->iova_alignment, user->alignment));
	}
	up_read(&iopt->domains_rwsem);
	return rc;
}

/**
 * iopt_remove_user() - the reverse of iopt_add_user()
 * @iopt: the space
 * @user: who; without pins there
 * @id: from iopt_add_user()
 */
void iopt_remove_user(struct io_pagetable *iopt, struct iopt_user *user, u32 id)
{
	guard(rwsem_read)(&iopt->domains_rwsem);
	guard(mutex)(&iopt->iova_mutex);
	WARN_ON_ONCE(xa_erase(&iopt->accesses, id) != user);
	/* Who needs none leaves it as it is, whoever else there is */
	if (user->alignment > 1)
		iopt_update_alignment(iopt);
	/*
	 * Pairs with the barrier of prepare_to_wait_event(): either the waiter
	 * sees that the user is gone, or wake_up_var() sees the waiter.
	 */
	smp_mb();
	wake_up_var(&iopt->accesses);
}

/* What a user wants to do with an area */
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

	lockdep_assert_held(&iopt->iova_mutex);

	area = to_area(iova_space_first(&iopt->space, iova, iova));
	if (!area)
		return ERR_PTR(-ENOENT);
	if (!area_is_live(area))
		return ERR_PTR(READ_ONCE(area->state) == AREA_LEAVING ?
				       -EINVAL : -ENOENT);
	if (!(area->prot &
	      (use == AREA_USE_WRITE ? IOMMU_WRITE : IOMMU_READ)))
		return ERR_PTR(-EPERM);
	if (use == AREA_USE_WRITE && !area->pages->writable)
		return ERR_PTR(-EPERM);

	atomic_inc(&area->busy);
	return area;
}

/* Get at an area for a copy, which ends with area_end() */
static struct iopt_area *area_begin(struct io_pagetable *iopt,
				    unsigned long iova, enum area_use use)
{
	guard(mutex)(&iopt->iova_mutex);
	return area_get(iopt, iova, use);
}

/*
 * Get at an area for a pin. The work on it ends with area_end(), and the pin with
 * iopt_unpin_pages() or area_cancel_pin().
 */
static struct iopt_area *area_begin_pin(struct io_pagetable *iopt,
					unsigned long iova, enum area_use use,
					bool lock_area)
{
	struct iopt_area *area;

	guard(mutex)(&iopt->iova_mutex);
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
 * iopt_pin_pages() - pin the pages of an interval for a user
 * @iopt: the space
 * @iova: first byte
 * @length: bytes
 * @out_pages: gets one page for each that is touched, in order of IOVA
 * @write: they will be written
 * @lock_area: refuse to unmap the areas until iopt_unpin_pages()
 *
 * Return: 0 with all pages pinned, or an errno with none: -EINVAL, -EOVERFLOW,
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
			rc = iopt_area_pin_pages(area, iova, end, out_pages);
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
 * @iova: as of iopt_pin_pages()
 * @length: as of iopt_pin_pages()
 * @unlock_area: @lock_area of iopt_pin_pages()
 */
void iopt_unpin_pages(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, bool unlock_area)
{
	unsigned long last = iova + (length - 1);
	struct iopt_area *area;
	unsigned long end;

	for (;;) {
		/* Pins keep the area in place, and the last one is about to go */
		mutex_lock(&iopt->iova_mutex);
		area = to_area(iova_space_first(&iopt->space, iova, iova));
		if (area)
			atomic_inc(&area->busy);
		mutex_unlock(&iopt->iova_mutex);
		if (WARN_ON_ONCE(!area))
			return;

		end = min(last, area->node.last);
		if (unlock_area)
			atomic_dec(&area->locks);
		/* The log reports what is pinned, and from now on what was written */
		area_log_write(area, iova, end);
		iopt_area_unpin_pages(area, iova, end);
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
 * Return: an errno as iopt_pin_pages(); a part may be copied then.
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
		if (!iopt_pages_is_memory(area->pages))
			rc = -EINVAL;
		else
			rc = iopt_pages_rw(area->pages, area_offset(area, iova),
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

/* Returns -EINTR when the caller is killed meanwhile */
static int user_wait_left(struct io_pagetable *iopt, unsigned long index)
{
	int rc = wait_var_event_killable(&iopt->accesses,
					 !xa_get_mark(&iopt->accesses, index,
						      USER_LEAVING));

	return rc ? -EINTR : 0;
}

/* Ends what raised user->callbacks; the user may be gone then */
static void user_call_unmap(struct iopt_user *user, unsigned long iova,
			    unsigned long length)
{
	user->ops->unmap(user, iova, length);
	if (atomic_dec_and_test(&user->callbacks))
		wake_up_var(&user->callbacks);
}

/**
 * iopt_notify_unmap() - have users drop their pins
 * @iopt: the space
 * @iova: first byte
 * @length: bytes
 *
 * When it succeeds, each user has been told to, and each that was on its way out
 * of the space has left it.
 *
 * Context: May sleep, for as long as users take, and users take locks of their
 * own. Called without locks. Several may run at a time.
 *
 * Return: 0, or -EINTR when the caller is killed while a user leaves.
 */
int iopt_notify_unmap(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length)
{
	struct iopt_user *user;
	unsigned long index;
	bool leaving;
	int rc = 0;

	lockdep_assert_not_held(&iopt->domains_rwsem);
	lockdep_assert_not_held(&iopt->iova_mutex);

	xa_lock(&iopt->accesses);
	xa_for_each(&iopt->accesses, index, user) {
		if (!user->ops)
			continue;
		leaving = xa_get_mark(&iopt->accesses, index, USER_LEAVING);
		if (!leaving)
			atomic_inc(&user->callbacks);
		xa_unlock(&iopt->accesses);

		if (leaving)
			rc = user_wait_left(iopt, index);
		else
			user_call_unmap(user, iova, length);

		xa_lock(&iopt->accesses);
		if (rc)
			break;
	}
	xa_unlock(&iopt->accesses);
	return rc;
}

/**
 * iopt_drop_pins() - have a user drop all of its pins
 * @iopt: the space, which it leaves
 * @user: who; with operations, and unable to pin any more
 * @id: from iopt_add_user()
 *
 * It is told when nobody else talks to it about them. Until iopt_remove_user()
 * nobody does so again.
 *
 * Context: May sleep, for as long as the user takes. Called without locks.
 */
void iopt_drop_pins(struct io_pagetable *iopt, struct iopt_user *user, u32 id)
{
	lockdep_assert_not_held(&iopt->domains_rwsem);
	lockdep_assert_not_held(&iopt->iova_mutex);

	xa_set_mark(&iopt->accesses, id, USER_LEAVING);
	wait_var_event(&user->callbacks,
		       !atomic_read_acquire(&user->callbacks));
	user->ops->unmap(user, 0, ULONG_MAX);
}
