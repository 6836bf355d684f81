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

#include "iopt_map.h"
#include "sw_msi.h"

/**
 * DOC: Locks
 *
 * All locks of iommufd but those of the mock driver. While one is held, only
 * those that come after it in this list are taken. Two that are never held
 * together stand where readers look for them; where that matters the entry says
 * so. Lockdep knows the order from the places that take two locks, and from
 * might_lock() where the second is taken in rare cases only.
 *
 * The first part is for process context, and its holders sleep. Drivers such as
 * VFIO call iommufd with locks of their own, which are outside all of ours. With
 * one of ours held nobody calls the unmap operation of an access, or waits for
 * an object that is being destroyed.
 *
 * Pinning waits for user memory, and that may take for ever. Some locks are held
 * meanwhile: access.lock, ioas.mutex, domains_rwsem, iopt_pages.mutex, and
 * ioas_creation_lock by who waits for these. Ioctls take them so that they can
 * be killed, with nothing changed. What must not fail waits: to detach, to
 * destroy, to unpin.
 *
 * iommufd_eventq.io_mutex
 *	Serialises read and write of the file of a queue. User memory is copied
 *	with it held, however long that takes, so nothing else takes it. Of what
 *	follows only mmap_lock, iommufd_fault.mutex and iommufd_eventq.lock are
 *	taken inside.
 * iommufd_ctx.ioas_creation_lock
 *	Read: an IOAS appears, or becomes the compat IOAS. Write: no other does;
 *	for operations on all of them.
 * iommufd_access.lock
 *	Read: an access uses its IOAS. Write: it gets another one. Memory is
 *	pinned with it held.
 * iommufd_ioas.mutex
 *	The automatic HWPTs of an IOAS, and what a VFIO container made of it. Such
 *	a HWPT is attached and filled with it held. It is put without.
 * io_pagetable.domains_rwsem
 *	Read: mappings come and go, in all domains alike, from when they take
 *	their IOVA up until all domains agree. Write: the set of domains, their
 *	dirty tracking, or the address that mappings have changes, and no area is
 *	under construction. Domains are filled and memory is pinned with it held.
 *	CHANGE_PROCESS has that of each IOAS of a context, under the write side of
 *	ioas_creation_lock.
 * iommufd_group.lock
 *	Attachments and vDEVICEs of the devices of a group. Never together with
 *	the former.
 * io_pagetable.iova_mutex
 *	What IOVA is taken, and the state of areas. Most who take it change
 *	something, and a mutex costs them less than half of what a rwsem does; so
 *	those who only look take turns, too. Held for moments, and never
 *	together with a lock of memory or of an iommu; only iopt_report_payer()
 *	tries one. Who works on the content of an area does not hold it, but keeps
 *	the area in place by iopt_area.busy.
 * iopt_pages.mutex, or the reservation lock of a dma-buf
 *	What of a backing is pinned, and whose it is. Held while memory is pinned
 *	and mapped. CHANGE_PROCESS has many, under the write side of
 *	ioas_creation_lock. An exporter holds the reservation lock when it revokes
 *	a dma-buf, so nothing else is taken inside that one.
 * mmap_lock of the owner of memory
 *	Taken to pin or to charge, and by copies to and from user memory. Those
 *	are made with io_mutex held, or iommufd_access.lock, or none.
 * iopt_pfnmap.lock
 *	Where the memory of a device is that a process has mapped, and what is
 *	mapped of it. An MMU notifier takes it, below the mmap_lock, locks of
 *	the device's driver, and reclaim. So whoever holds it takes none of
 *	those, nor the locks above, and allocates without waiting for reclaim.
 *	Two are held where one source replaces another, that of the new one
 *	inside the other.
 * iommufd_fault.mutex
 *	What waits for an answer. Answers are given with it held, so whoever else
 *	holds it knows that none is under way. Never together with mmap_lock or
 *	the mutex of an iommu group.
 * mutex of an iommu group
 *	The core's. It is held when the core calls iommufd_sw_msi().
 * sw_msi_ctx.lock
 *	MSI doorbell pages, and where they are mapped.
 * iommufd_viommu.veventqs_rwsem
 *	Read: a driver reports an event, from the thread of an interrupt. Write:
 *	a queue comes or goes.
 *
 * The second part are spinlocks, in process context, which includes work items
 * and threads of interrupts:
 *
 * ma_lock of iommufd_ctx.mt_mmap
 *	What can be mmapped. Taken inside mmap_lock by mmap().
 * xa_lock of iommufd_ctx.objects
 *	IDs, and what iommufd_ctx knows of VFIO.
 * xa_lock of iommufd_ctx.groups
 *	iommufd_group.ref
 * xa_lock of iommufd_viommu.vdevs
 *	IDs of vDEVICEs. Drivers take it, too.
 * iommufd_group.devices_lock
 *	The bound devices of a group.
 * iommufd_eventq.lock
 *	What waits for a reader.
 * xa_lock of io_pagetable.accesses, io_pagetable.log_written, and others
 *	The array itself, and iommufd_access.callbacks. The other arrays are
 *	protected by a lock above.
 * noiommu_domain.top_lock
 *	The root of a software page table, for generic code that maps.
 * iommufd_orphans_lock
 *	Objects that were not destroyed in time.
 */

struct file;
struct file_operations;
struct inode;
struct iommufd_ioas;
struct iommufd_object;
struct iommufd_object_ops;
struct vm_area_struct;

/* IDs are given out from the lowest on; most contexts need no more than these */
#define IOMMUFD_LOW_OBJECTS 64

/**
 * struct iommufd_ctx - everything reached from one open file
 * @file: the file; its reference count is the context's
 * @serial: a number that no other context since the module was loaded has
 * @holders: how many of those references drivers have, for a group, a device or
 *	an access. User space has the others.
 * @object_ops: how to take an object down, by its type; constant
 * @objects: ID to object; see object.h for its rules
 * @low_objects: those of them with the lowest IDs, which are found without a walk
 *	through @objects; changes with it, under its xa_lock
 * @groups: iommufd_group.key to struct iommufd_group; own lock, see group.c
 * @ioas_creation_lock: write side excludes IOAS creation, for operations over
 *	every IOAS of the context
 * @sw_msi: MSI doorbell pages of its groups; own lock
 * @mt_mmap: byte offset >> PAGE_SHIFT to struct iommufd_mmap; own lock
 * @shared_pins: pages that intervals of a backing cover beside another one, for
 *	whoever looks
 * @map_policy: for new mappings; @map_policy.account_mode changes while there is
 *	no object, under xa_lock of @objects
 * @no_iommu_mode: VFIO no-IOMMU compatibility; excludes @vfio_ioas; under
 *	xa_lock of @objects
 * @vfio_ioas: target of the VFIO compatibility ioctls, not a reference;
 *	under xa_lock of @objects
 * @vfio_auto: @vfio_ioas was made for a VFIO group, and user space did not choose
 *	it; under xa_lock of @objects
 * @vfio_joined: a VFIO group was added since @holders was 0; under xa_lock of
 *	@objects
 */
struct iommufd_ctx {
	struct file *file;
	u64 serial;
	atomic_t holders;
	const struct iommufd_object_ops *object_ops;
	struct xarray objects;
	struct iommufd_object __rcu *low_objects[IOMMUFD_LOW_OBJECTS];
	struct xarray groups;
	struct rw_semaphore ioas_creation_lock;
	struct sw_msi_ctx sw_msi;
	struct maple_tree mt_mmap;
	atomic_long_t shared_pins;
	struct iopt_map_policy map_policy;
	u8 no_iommu_mode;
	struct iommufd_ioas *vfio_ioas;
	bool vfio_auto;
	bool vfio_joined;
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
 * Return: 0 or -EFAULT.
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

/* Called without locks of ours when iommufd_ctx.holders has become 0 */
typedef void (*iommufd_ctx_left_t)(struct iommufd_ctx *ictx);

int iommufd_ctx_init(const struct file_operations *fops,
		     const struct iommufd_object_ops *object_ops,
		     iommufd_ctx_left_t left);
void iommufd_ctx_exit(void);

#endif
