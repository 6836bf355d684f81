// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that uses an IOAS without DMA.
 */
#include <linux/cleanup.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "floor.h"

MODULE_IMPORT_NS("IOMMUFD");

/* Nobody unmaps meanwhile: user space waits in the ioctl */
static void access_unmap(void *data, unsigned long iova, unsigned long length)
{
}

static const struct iommufd_access_ops access_ops = {
	.needs_pin_pages = 1,
	.unmap = access_unmap,
};

static int measure_pin(struct iommufd_access *user, struct bench_access *access)
{
	size_t bytes = access->npages * PAGE_SIZE;
	struct page **pages __free(kvfree) = NULL;
	u64 start;
	int rc;

	pages = kvmalloc_array(access->npages, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;

	start = floor_ticks();
	rc = iommufd_access_pin_pages(user, access->iova, bytes, pages,
				      IOMMUFD_ACCESS_RW_WRITE);
	access->pin_ticks = floor_ticks() - start;
	if (rc)
		return rc;

	start = floor_ticks();
	iommufd_access_unpin_pages(user, access->iova, bytes);
	access->unpin_ticks = floor_ticks() - start;
	return 0;
}

static int measure_rw(struct iommufd_access *user, struct bench_access *access)
{
	size_t bytes = access->npages * PAGE_SIZE;
	u64 start;
	int rc;

	void *buffer __free(kvfree) = kvzalloc(bytes, GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;

	start = floor_ticks();
	rc = iommufd_access_rw(user, access->iova, buffer, bytes,
			       IOMMUFD_ACCESS_RW_READ);
	access->read_ticks = floor_ticks() - start;
	if (rc)
		return rc;

	start = floor_ticks();
	rc = iommufd_access_rw(user, access->iova, buffer, bytes,
			       IOMMUFD_ACCESS_RW_WRITE);
	access->write_ticks = floor_ticks() - start;
	return rc;
}

/**
 * floor_access() - pin, unpin, read and write a part of an IOAS
 * @access: what user space asked for; receives the ticks
 *
 * Returns 0 or an errno.
 */
int floor_access(struct bench_access *access)
{
	struct iommufd_access *user;
	struct iommufd_ctx *ictx;
	u32 id;
	int rc;

	if (!access->npages || access->npages > BENCH_ACCESS_MAX_PAGES)
		return -EINVAL;

	ictx = iommufd_ctx_from_fd(access->iommufd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	user = iommufd_access_create(ictx, &access_ops, NULL, &id);
	if (IS_ERR(user)) {
		rc = PTR_ERR(user);
		goto out_put;
	}
	rc = iommufd_access_attach(user, access->ioas_id);
	if (!rc)
		rc = measure_pin(user, access);
	if (!rc)
		rc = measure_rw(user, access);
	iommufd_access_destroy(user);
out_put:
	iommufd_ctx_put(ictx);
	return rc;
}

/*
 * Many drivers at a time
 */

/**
 * struct floor_user - a driver that is attached to an IOAS
 * @access: how
 * @iova: the page it has pinned
 * @pinned: there is one
 */
struct floor_user {
	struct iommufd_access *access;
	unsigned long iova;
	bool pinned;
};

/* Both under the lock; a page is unpinned without it, as its user waits for that */
static DEFINE_MUTEX(floor_users_lock);
static struct floor_user floor_all_users[BENCH_MAX_USERS];
static unsigned int floor_nr_users;

static void user_unmap(void *data, unsigned long iova, unsigned long length)
{
	struct floor_user *user = data;

	if (user->pinned && user->iova - iova < length) {
		user->pinned = false;
		iommufd_access_unpin_pages(user->access, user->iova, PAGE_SIZE);
	}
}

static const struct iommufd_access_ops user_ops = {
	.needs_pin_pages = 1,
	.unmap = user_unmap,
};

static int user_attach(struct floor_user *user, struct iommufd_ctx *ictx,
		       u32 ioas_id)
{
	u32 id;
	int rc;

	user->pinned = false;
	user->access = iommufd_access_create(ictx, &user_ops, user, &id);
	if (IS_ERR(user->access))
		return PTR_ERR(user->access);
	rc = iommufd_access_attach(user->access, ioas_id);
	if (rc)
		iommufd_access_destroy(user->access);
	return rc;
}

/**
 * floor_users() - have so many drivers attached
 * @users: what user space asked for; receives the ticks
 *
 * Returns 0 or an errno.
 */
int floor_users(struct bench_users *users)
{
	struct iommufd_ctx *ictx = NULL;
	u64 start;
	int rc = 0;

	if (users->number > BENCH_MAX_USERS)
		return -EINVAL;
	if (users->number) {
		ictx = iommufd_ctx_from_fd(users->iommufd);
		if (IS_ERR(ictx))
			return PTR_ERR(ictx);
	}
	mutex_lock(&floor_users_lock);
	start = floor_ticks();
	while (!rc && floor_nr_users < users->number) {
		rc = user_attach(&floor_all_users[floor_nr_users], ictx,
				 users->ioas_id);
		if (!rc)
			floor_nr_users++;
	}
	while (floor_nr_users > users->number)
		iommufd_access_destroy(floor_all_users[--floor_nr_users].access);
	users->ticks = floor_ticks() - start;
	mutex_unlock(&floor_users_lock);
	if (ictx)
		iommufd_ctx_put(ictx);
	return rc;
}

/**
 * floor_user_pin() - the first driver pins a page
 * @pin: what user space asked for; receives the ticks
 *
 * Returns 0 or an errno.
 */
int floor_user_pin(struct bench_user_pin *pin)
{
	struct floor_user *user = floor_all_users;
	struct page *page;
	u64 start;
	int rc;

	guard(mutex)(&floor_users_lock);
	if (!floor_nr_users || user->pinned)
		return -EBUSY;
	start = floor_ticks();
	rc = iommufd_access_pin_pages(user->access, pin->iova, PAGE_SIZE, &page,
				      0);
	pin->ticks = floor_ticks() - start;
	if (rc)
		return rc;
	user->iova = pin->iova;
	user->pinned = true;
	return 0;
}
