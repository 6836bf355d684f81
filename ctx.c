// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contexts: what is behind an open /dev/iommu, how long it lives, and what user
 * space may mmap through it.
 */
#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "ctx.h"
#include "object.h"
#include "pages.h"

/* Set by iommufd_ctx_init(), as are the file operations of both devices */
static const struct iommufd_object_ops *ctx_object_ops __ro_after_init;
static iommufd_ctx_left_t ctx_left __ro_after_init;

static atomic64_t ctx_last_serial;

static struct miscdevice iommu_misc_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "iommu",
	.nodename = "iommu",
	.mode = 0660,
};

static struct miscdevice vfio_misc_dev = {
	.minor = VFIO_MINOR,
	.name = "vfio",
	.nodename = "vfio/vfio",
	.mode = 0666,
};

int iommufd_ctx_fops_open(struct inode *inode, struct file *filp)
{
	struct iommufd_ctx *ictx;

	ictx = kzalloc_obj(*ictx, GFP_KERNEL_ACCOUNT);
	if (!ictx)
		return -ENOMEM;

	ictx->serial = atomic64_inc_return(&ctx_last_serial);
	ictx->map_policy.account_mode = IOMMUFD_ACCOUNT_USER;
	ictx->map_policy.max_areas = ULONG_MAX;
	ictx->map_policy.pfnmaps = 2;
	ictx->map_policy.shared = &ictx->shared_pins;
	ictx->map_policy.dev = iommu_misc_dev.this_device;
	if (IS_ENABLED(CONFIG_IOMMUFD_VFIO_CONTAINER) &&
	    filp->private_data == &vfio_misc_dev) {
		ictx->map_policy.account_mode = IOMMUFD_ACCOUNT_MM;
		pr_info_once("providing /dev/vfio/vfio in place of VFIO\n");
	}

	init_rwsem(&ictx->ioas_creation_lock);
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init(&ictx->groups);
	iommufd_sw_msi_ctx_init(&ictx->sw_msi);
	mt_init_flags(&ictx->mt_mmap, MT_FLAGS_ALLOC_RANGE);
	ictx->file = filp;
	ictx->object_ops = ctx_object_ops;
	filp->private_data = ictx;
	return 0;
}

int iommufd_ctx_fops_release(struct inode *inode, struct file *filp)
{
	struct iommufd_ctx *ictx = filp->private_data;

	iommufd_object_destroy_all(ictx);
	WARN_ON_ONCE(!xa_empty(&ictx->groups));
	WARN_ON_ONCE(!mtree_empty(&ictx->mt_mmap));

	iommufd_sw_msi_ctx_fini(&ictx->sw_msi);
	kfree(ictx);
	return 0;
}

static void iommufd_fops_vma_open(struct vm_area_struct *vma)
{
	struct iommufd_mmap *immap = vma->vm_private_data;

	refcount_inc(&immap->owner->users);
}

static void iommufd_fops_vma_close(struct vm_area_struct *vma)
{
	struct iommufd_mmap *immap = vma->vm_private_data;

	refcount_dec(&immap->owner->users);
}

static const struct vm_operations_struct iommufd_vma_ops = {
	.open = iommufd_fops_vma_open,
	.close = iommufd_fops_vma_close,
};

/* Returns the region with a user count on its owner, or NULL */
static struct iommufd_mmap *iommufd_get_mmap(struct iommufd_ctx *ictx,
					     unsigned long pgoff, size_t length)
{
	MA_STATE(mas, &ictx->mt_mmap, pgoff, pgoff);
	struct iommufd_mmap *immap;

	mtree_lock(&ictx->mt_mmap);
	immap = mas_walk(&mas);
	/*
	 * A region exists from before its owner is published, when the driver
	 * may still change its mind.
	 */
	if (immap && (immap->vm_pgoff != pgoff || immap->length != length ||
		      xa_load(&ictx->objects, immap->owner->id) !=
			      immap->owner ||
		      !refcount_inc_not_zero(&immap->owner->users)))
		immap = NULL;
	mtree_unlock(&ictx->mt_mmap);
	return immap;
}

/**
 * iommufd_ctx_fops_mmap() - mmap operation: a range that some object offers
 * @filp: the file
 * @vma: has the offset that the object got with _iommufd_alloc_mmap()
 *
 * Return: 0, -EINVAL for a private mapping, -EPERM for an executable one,
 * -ENXIO when no object offers just this range, or -ENOMEM.
 */
int iommufd_ctx_fops_mmap(struct file *filp, struct vm_area_struct *vma)
{
	size_t length = vma->vm_end - vma->vm_start;
	struct iommufd_mmap *immap;
	int rc;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;

	immap = iommufd_get_mmap(filp->private_data, vma->vm_pgoff, length);
	if (!immap)
		return -ENXIO;

	vma->vm_pgoff = 0;
	vma->vm_private_data = immap;
	vma->vm_ops = &iommufd_vma_ops;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vm_flags_mod(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_IO,
		     VM_MAYEXEC);

	/* The VMA of an mmap() that fails is not closed */
	rc = io_remap_pfn_range(vma, vma->vm_start,
				immap->mmio_addr >> PAGE_SHIFT, length,
				vma->vm_page_prot);
	if (rc)
		refcount_dec(&immap->owner->users);
	return rc;
}

void iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	atomic_inc(&ictx->holders);
	get_file(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_get, "IOMMUFD");

struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	struct iommufd_ctx *ictx;

	if (file->f_op != iommu_misc_dev.fops)
		return ERR_PTR(-EBADFD);
	ictx = file->private_data;
	iommufd_ctx_get(ictx);
	return ictx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_from_file, "IOMMUFD");

struct iommufd_ctx *iommufd_ctx_from_fd(int fd)
{
	struct file *file = fget(fd);
	struct iommufd_ctx *ictx;

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op != iommu_misc_dev.fops) {
		fput(file);
		return ERR_PTR(-EBADFD);
	}
	/* The reference of fget() is the one that the caller gets */
	ictx = file->private_data;
	atomic_inc(&ictx->holders);
	return ictx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_from_fd, "IOMMUFD");

void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	/* A full barrier: what a holder did was before */
	if (atomic_dec_and_test(&ictx->holders))
		ctx_left(ictx);
	fput(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_put, "IOMMUFD");

/**
 * iommufd_ctx_init() - register the devices
 * @fops: what a file of them does; with the functions above
 * @object_ops: how to take an object down, by its type
 * @left: called when the last driver drops its reference to a context
 *
 * Return: 0 or an errno of misc_register().
 */
int __init iommufd_ctx_init(const struct file_operations *fops,
			    const struct iommufd_object_ops *object_ops,
			    iommufd_ctx_left_t left)
{
	int rc;

	ctx_object_ops = object_ops;
	ctx_left = left;
	iommu_misc_dev.fops = fops;
	vfio_misc_dev.fops = fops;
	rc = misc_register(&iommu_misc_dev);
	if (rc || !IS_ENABLED(CONFIG_IOMMUFD_VFIO_CONTAINER))
		return rc;
	rc = misc_register(&vfio_misc_dev);
	if (rc)
		misc_deregister(&iommu_misc_dev);
	return rc;
}

void iommufd_ctx_exit(void)
{
	if (IS_ENABLED(CONFIG_IOMMUFD_VFIO_CONTAINER))
		misc_deregister(&vfio_misc_dev);
	misc_deregister(&iommu_misc_dev);
}
