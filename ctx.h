/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The context behind one open /dev/iommu, and the frame of an ioctl call.
 */
#ifndef __IOMMUFD_CTX_H
#define __IOMMUFD_CTX_H

#include <linux/iommufd.h>
#include <linux/maple_tree.h>
#include <linux/rwsem.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "sw_msi.h"

struct file;
struct file_operations;
struct inode;
struct iommufd_ioas;
struct iommufd_object_ops;
struct vm_area_struct;

/**
 * enum iommufd_account_mode - whose RLIMIT_MEMLOCK pinned memory counts against
 * @IOMMUFD_ACCOUNT_NONE: nobody's, only mm->pinned_vm is kept
 * @IOMMUFD_ACCOUNT_USER: the user's, shared with io_uring and friends
 * @IOMMUFD_ACCOUNT_MM: the process', as VFIO type1 does
 */
enum iommufd_account_mode {
	IOMMUFD_ACCOUNT_NONE,
	IOMMUFD_ACCOUNT_USER,
	IOMMUFD_ACCOUNT_MM,
};

/**
 * struct iommufd_ctx - everything reached from one open file
 * @file: the file; its reference count is the context's
 * @object_ops: how to take an object down, by its type; constant
 * @objects: ID to object; see object.h for its rules
 * @groups: iommufd_group.key to struct iommufd_group; own lock, see group.c
 * @ioas_creation_lock: write side excludes IOAS creation, for operations over
 *	every IOAS of the context
 * @sw_msi: MSI doorbell pages of its groups; own lock
 * @mt_mmap: byte offset >> PAGE_SHIFT to struct iommufd_mmap; own lock
 * @account_mode: mode new mappings get unless the caller has CAP_IPC_LOCK
 * @no_iommu_mode: VFIO no-IOMMU compatibility; excludes @vfio_ioas; under
 *	xa_lock of @objects
 * @vfio_ioas: target of the VFIO compatibility ioctls, not a reference;
 *	under xa_lock of @objects
 */
struct iommufd_ctx {
	struct file *file;
	const struct iommufd_object_ops *object_ops;
	struct xarray objects;
	struct xarray groups;
	struct rw_semaphore ioas_creation_lock;
	struct sw_msi_ctx sw_msi;
	struct maple_tree mt_mmap;
	u8 account_mode;
	u8 no_iommu_mode;
	struct iommufd_ioas *vfio_ioas;
};

/**
 * struct iommufd_mmap - a physical range that user space may mmap
 * @owner: busy while any VMA maps the range
 * @vm_pgoff: where in the file the range starts, in pages; the index in
 *	iommufd_ctx.mt_mmap
 * @mmio_addr: physical start, page aligned
 * @length: bytes, a multiple of PAGE_SIZE
 */
struct iommufd_mmap {
	struct iommufd_object *owner;
	unsigned long vm_pgoff;
	phys_addr_t mmio_addr;
	size_t length;
};

/**
 * struct iommufd_ucmd - one ioctl call while its handler runs
 * @ictx: the context
 * @ubuffer: the caller's structure
 * @user_size: the size the caller gave it, in bytes
 * @cmd: kernel copy of the structure, zero-extended to the known size
 * @new_obj: object that the dispatcher publishes on success and destroys on
 *	failure; set by iommufd_object_alloc_ucmd()
 */
struct iommufd_ucmd {
	struct iommufd_ctx *ictx;
	void __user *ubuffer;
	u32 user_size;
	void *cmd;
	struct iommufd_object *new_obj;
};

/**
 * iommufd_ucmd_respond() - write the command structure back to the caller
 * @ucmd: the call
 * @cmd_len: the structure's known size
 *
 * Returns 0 or -EFAULT.
 */
static inline int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd,
				       size_t cmd_len)
{
	if (copy_to_user(ucmd->ubuffer, ucmd->cmd,
			 min_t(size_t, ucmd->user_size, cmd_len)))
		return -EFAULT;
	return 0;
}

int iommufd_ctx_fops_open(struct inode *inode, struct file *filp);
int iommufd_ctx_fops_release(struct inode *inode, struct file *filp);
int iommufd_ctx_fops_mmap(struct file *filp, struct vm_area_struct *vma);

struct device *iommufd_misc_device(void);

int iommufd_ctx_init(const struct file_operations *fops,
		     const struct iommufd_object_ops *object_ops);
void iommufd_ctx_exit(void);

#endif
