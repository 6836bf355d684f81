// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that uses an IOAS without DMA.
 */
#include <linux/cleanup.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/module.h>
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
