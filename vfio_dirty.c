// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log of a VFIO type1 container.
 */
#include <linux/bitops.h>
#include <linux/compat.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include "dirty_log.h"
#include "ioas.h"
#include "vfio_dirty.h"

/**
 * iommufd_vfio_has_dirty_log() - whether the caller can see the dirty log
 *
 * A 32-bit process would see other layouts of the structures that belong to it,
 * so it does not see the log at all.
 *
 * Return: whether it can.
 */
bool iommufd_vfio_has_dirty_log(void)
{
	return !in_compat_syscall();
}

/**
 * iommufd_vfio_bitmap_check() - can a bitmap take the pages of an interval
 * @bitmap: the bitmap, as the caller describes it
 * @iova: first byte
 * @size: bytes
 *
 * Return: 0, -EOVERFLOW when the interval wraps, or -EINVAL.
 */
int iommufd_vfio_bitmap_check(const struct vfio_bitmap *bitmap, u64 iova,
			      u64 size)
{
	u64 last, words;

	if (!size)
		return -EINVAL;
	if (check_add_overflow(iova, size - 1, &last) || last > ULONG_MAX)
		return -EOVERFLOW;
	words = ((size - 1) >> PAGE_SHIFT) / BITS_PER_LONG_LONG + 1;
	if (bitmap->size > VFIO_BITMAP_SIZE_MAX ||
	    bitmap->size / sizeof(u64) < words ||
	    !access_ok(bitmap->data, bitmap->size))
		return -EINVAL;
	if (bitmap->pgsize != PAGE_SIZE || !IS_ALIGNED(iova | size, PAGE_SIZE))
		return -EINVAL;
	return 0;
}

static int vfio_dirty_start(struct iommufd_ioas *ioas)
{
	int rc;

	/* Type 1 must not be chosen between the check and the start */
	ACQUIRE(mutex_kill, lock)(&ioas->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	if (ioas->vfio_type1)
		return -EACCES;
	return iopt_log_start(&ioas->iopt);
}

static int
vfio_dirty_get(struct iommufd_ioas *ioas,
	       struct vfio_iommu_type1_dirty_bitmap __user *udirty, u32 argsz)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	int rc;

	if (argsz < sizeof(*udirty) + sizeof(get))
		return -EINVAL;
	if (copy_from_user(&get, udirty->data, sizeof(get)))
		return -EFAULT;
	rc = iommufd_vfio_bitmap_check(&get.bitmap, get.iova, get.size);
	if (rc)
		return rc;
	rc = iopt_log_read(&ioas->iopt, get.iova, get.size, get.bitmap.data);
	/* Only part of a mapping is in the range */
	return rc == -ENOENT ? -EINVAL : rc;
}

/**
 * iommufd_vfio_dirty_pages() - VFIO_IOMMU_DIRTY_PAGES
 * @ioas: the compat IOAS, or an ERR_PTR(), which counts only after the argument
 *	is looked at
 * @udirty: the caller's structure
 *
 * Return: 0 or an errno of the ioctl.
 */
int
iommufd_vfio_dirty_pages(struct iommufd_ioas *ioas,
			 struct vfio_iommu_type1_dirty_bitmap __user *udirty)
{
	struct vfio_iommu_type1_dirty_bitmap dirty;

	if (copy_from_user(&dirty, udirty, sizeof(dirty)))
		return -EFAULT;
	if (dirty.argsz < sizeof(dirty) || hweight32(dirty.flags) != 1 ||
	    dirty.flags > VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP)
		return -EINVAL;
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	switch (dirty.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		return vfio_dirty_start(ioas);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		return iopt_log_stop(&ioas->iopt);
	default:
		return vfio_dirty_get(ioas, udirty, dirty.argsz);
	}
}
