/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What iommufd offers to other parts of the kernel: to drivers whose devices
 * user space controls (devices and accesses), and to IOMMU drivers that give a
 * share of their hardware to a VM (vIOMMUs).
 *
 * The guide to it is Documentation/driver-api/iommufd.rst.
 */
#ifndef __LINUX_IOMMUFD_H
#define __LINUX_IOMMUFD_H

#include <linux/bug.h>
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

struct device;
struct file;
struct iommu_group;
struct iommufd_access;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_viommu_ops;
struct page;

/**
 * enum iommufd_object_type - Kinds of objects in the ID space of a context
 * @IOMMUFD_OBJ_NONE: not an object
 * @IOMMUFD_OBJ_ANY: in a lookup: whatever has the ID
 * @IOMMUFD_OBJ_DEVICE: a device bound by its driver
 * @IOMMUFD_OBJ_HWPT_PAGING: a page table that mirrors an IOAS
 * @IOMMUFD_OBJ_HWPT_NESTED: a page table of a guest
 * @IOMMUFD_OBJ_IOAS: an I/O address space
 * @IOMMUFD_OBJ_ACCESS: a driver that uses an IOAS without DMA
 * @IOMMUFD_OBJ_FAULT: a queue of page faults
 * @IOMMUFD_OBJ_VIOMMU: a VM's share of a physical IOMMU
 * @IOMMUFD_OBJ_VDEVICE: how a guest names a device behind a vIOMMU
 * @IOMMUFD_OBJ_VEVENTQ: a queue of events of a vIOMMU
 * @IOMMUFD_OBJ_HW_QUEUE: a queue in guest memory that hardware reads
 * @IOMMUFD_OBJ_SELFTEST: a mock device
 * @IOMMUFD_OBJ_MAX: number of kinds
 */
enum iommufd_object_type {
	IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_ANY = IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_HWPT_NESTED,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_ACCESS,
	IOMMUFD_OBJ_FAULT,
	IOMMUFD_OBJ_VIOMMU,
	IOMMUFD_OBJ_VDEVICE,
	IOMMUFD_OBJ_VEVENTQ,
	IOMMUFD_OBJ_HW_QUEUE,
#ifdef CONFIG_IOMMUFD_TEST
	IOMMUFD_OBJ_SELFTEST,
#endif
	IOMMUFD_OBJ_MAX,
};

/**
 * struct iommufd_object - What all objects with an ID start with
 * @wait_cnt: short-term holds, such as a running ioctl. Destruction waits for
 *            them to go. Starts at 1, for the ID table.
 * @users: long-term holds, by other objects, drivers, files and memory
 *         mappings. Destruction by user space is refused while there are any.
 *         Starts at 1, for the ID table.
 * @type: what the object is; set once
 * @id: what user space calls it, 1 and up; set once
 *
 * All of it belongs to iommufd; drivers leave it alone.
 */
struct iommufd_object {
	refcount_t wait_cnt;
	refcount_t users;
	enum iommufd_object_type type;
	unsigned int id;
};

/*
 * Devices
 */

/**
 * iommufd_device_bind - Give a context control over the DMA of a device
 * @ictx: context
 * @dev: physical device; its driver has driver_managed_dma set and keeps @dev
 *       alive until it is unbound
 * @id: receives the ID of the new DEVICE object
 *
 * On success all DMA of the IOMMU group of @dev is blocked until something is
 * attached. The driver must not touch the device earlier. The context is kept
 * alive until the device is unbound.
 *
 * Devices of one group can be bound to one context, not to several.
 *
 * Context: May sleep. The caller serialises all iommufd_device functions about
 * one device.
 *
 * Return: The bound device, or an ERR_PTR():
 *
 * * -EINVAL: the IOMMU cannot do cache coherent DMA for @dev, or firmware wants
 *   an identity mapping that would be lost.
 * * -ENODEV: @dev is in no IOMMU group.
 * * -EPERM: @dev could send interrupts to others and the module parameter
 *   allow_unsafe_interrupts is not set, or somebody else owns the group.
 * * -EBUSY: @dev is bound to @ictx already, the kernel uses the group, or no ID
 *   is free.
 * * -ENOMEM: no memory.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id);

/**
 * iommufd_device_unbind - Undo iommufd_device_bind()
 * @idev: bound device without any attachment; is freed
 *
 * Destroys the vDEVICE of the device, if user space has left it. Waits for
 * ioctls about the device to finish, but for a minute at most. When the last
 * device of the group goes, the group returns to the kernel.
 *
 * Context: May sleep.
 */
void iommufd_device_unbind(struct iommufd_device *idev);

/**
 * iommufd_device_attach - Connect a device to an address space
 * @idev: bound device
 * @pasid: the PASID to connect, IOMMU_NO_PASID for DMA without PASID
 * @pt_id: in: ID of an IOAS or HWPT; out: ID of the HWPT that is used. An IOAS
 *         stands for a HWPT on it that suits the device, and one is made if
 *         there is none.
 *
 * On success the device can reach all that is mapped there, and what the
 * device has reserved is taken out of the IOAS.
 *
 * All devices of a group use the same HWPT for the same PASID.
 *
 * Context: May sleep, takes the mmap_lock of processes whose memory is mapped.
 *
 * Return: 0, or with nothing changed:
 *
 * * -ENOENT: nothing has the ID *@pt_id.
 * * -EINVAL: *@pt_id is neither an IOAS nor a HWPT; the HWPT does not suit the
 *   device or is not the one its group uses; @pasid is out of range, or the
 *   HWPT was not made for PASIDs (none made from an IOAS is).
 * * -EBUSY: the device is already attached with @pasid, or is being reset, or
 *   user space is about to give a mapping another address.
 * * -EADDRINUSE: what device or IOMMU reserve is mapped or promised to user
 *   space.
 * * -EOPNOTSUPP: the hardware cannot do it.
 * * -EINTR: the caller was killed while it waited.
 * * -EFAULT, -ENOMEM and others from pinning and mapping.
 */
int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid,
			  u32 *pt_id);

/**
 * iommufd_device_replace - Move a device to another address space
 * @idev: bound device, attached with @pasid
 * @pasid: as for iommufd_device_attach()
 * @pt_id: as for iommufd_device_attach()
 *
 * There is no moment at which the device is attached to neither. All devices
 * of the group that are attached with @pasid move together. Page faults that
 * wait for an answer from the old HWPT's user are answered with failure.
 *
 * Context: May sleep, takes the mmap_lock of processes whose memory is mapped.
 *
 * Return: 0, also when nothing is to do, or with nothing changed: -EINVAL also
 * when the device is not attached with @pasid, otherwise as for
 * iommufd_device_attach().
 */
int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid,
			   u32 *pt_id);

/**
 * iommufd_device_detach - Undo iommufd_device_attach()
 * @idev: bound device
 * @pasid: the PASID to disconnect; not being attached is no error
 *
 * The DMA of the group (with this PASID) is blocked once its last device is
 * detached. Page faults that wait for an answer are answered with failure.
 *
 * Context: May sleep.
 */
void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid);

/**
 * iommufd_device_to_ictx - The context of a bound device
 * @idev: bound device
 *
 * Context: Any, while the device is bound.
 *
 * Return: The context; no reference is taken.
 */
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev);

/**
 * iommufd_device_to_id - The ID of a bound device
 * @idev: bound device
 *
 * Context: Any, while the device is bound.
 *
 * Return: The ID of its DEVICE object.
 */
u32 iommufd_device_to_id(struct iommufd_device *idev);

/*
 * Accesses
 */

/**
 * struct iommufd_access_ops - What iommufd asks of the owner of an access
 * @needs_pin_pages: set to be allowed to call iommufd_access_pin_pages(). The
 *                   IOAS then takes mappings aligned to the page size only.
 * @unmap: called when mappings are about to go. On return the owner must have
 *         stopped using, and unpinned, all that overlaps @length bytes at
 *         @iova. Required with @needs_pin_pages.
 *
 * @unmap gets the data given to iommufd_access_create(). It may sleep and may
 * be called from several threads at once, also for a range in which nothing is
 * pinned. It may call iommufd_access_unpin_pages(), but no other function
 * about the access. A @length of ULONG_MAX from 0 on means everything.
 *
 * To miss nothing, an owner that remembers its pins holds one lock over
 * iommufd_access_pin_pages() and its bookkeeping, and takes it in @unmap.
 */
struct iommufd_access_ops {
	u8 needs_pin_pages : 1;
	void (*unmap)(void *data, unsigned long iova, unsigned long length);
};

/*
 * Flags of iommufd_access_pin_pages() and iommufd_access_rw(). The slow path
 * makes rw pin even the caller's own memory, for the self test.
 */
enum {
	IOMMUFD_ACCESS_RW_READ = 0,
	IOMMUFD_ACCESS_RW_WRITE = 1 << 0,
	IOMMUFD_ACCESS_RW_KTHREAD = 1 << 1,
	__IOMMUFD_ACCESS_RW_SLOW_PATH = 1 << 2,
};

/**
 * iommufd_access_create - Make an access, for a driver whose device does no DMA
 * @ictx: context; is kept alive until the access is destroyed
 * @ops: callbacks, must stay valid until the access is destroyed
 * @data: for the callbacks
 * @id: receives the ID of the new ACCESS object
 *
 * Context: May sleep.
 *
 * Return: The access, attached to nothing, or ERR_PTR() of -ENOMEM, or -EBUSY
 * when no ID is free.
 */
struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data,
		      u32 *id);

/**
 * iommufd_access_destroy - Undo iommufd_access_create()
 * @access: access; is freed
 *
 * Detaches the access if needed, which calls the unmap callback. No callback
 * runs after the return.
 *
 * Context: May sleep. The caller holds no lock that the unmap callback takes,
 * and nobody uses the access any more.
 */
void iommufd_access_destroy(struct iommufd_access *access);

/**
 * iommufd_access_attach - Connect an access to an IOAS
 * @access: access, attached to nothing
 * @ioas_id: ID of the IOAS
 *
 * Context: May sleep.
 *
 * Return: 0, or with nothing changed:
 *
 * * -EINVAL: the access is attached already, which also warns.
 * * -ENOENT: no such IOAS.
 * * -EADDRINUSE: pages are to be pinned, and a mapping is not aligned to pages.
 * * -EBUSY: too many accesses, or user space is about to give a mapping another
 *   address.
 * * -ENOMEM: no memory.
 * * -EINTR: the caller was killed while it waited.
 */
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id);

/**
 * iommufd_access_replace - Move an access to another IOAS
 * @access: access, attached
 * @ioas_id: ID of the IOAS
 *
 * What is pinned in the old IOAS is given up through the unmap callback. After
 * the return no callback is about the old IOAS.
 *
 * Context: May sleep. The caller holds no lock that the unmap callback takes.
 *
 * Return: 0, also when nothing is to do, or with nothing changed: -ENOENT also
 * when the access is not attached, -EBUSY also when it is being detached,
 * otherwise as for iommufd_access_attach().
 */
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id);

/**
 * iommufd_access_detach - Undo iommufd_access_attach()
 * @access: access, attached (else this warns)
 *
 * First nothing new can be pinned, then what is pinned is given up through the
 * unmap callback, then the IOAS is left. No callback runs after the return.
 *
 * Context: May sleep. The caller holds no lock that the unmap callback takes.
 */
void iommufd_access_detach(struct iommufd_access *access);

/*
 * Contexts
 */

/**
 * iommufd_ctx_get - Take another reference to a context
 * @ictx: context to which the caller has a reference
 *
 * Context: Any.
 */
void iommufd_ctx_get(struct iommufd_ctx *ictx);

#if IS_ENABLED(CONFIG_IOMMUFD)
/**
 * iommufd_ctx_from_file - The context of an open file
 * @file: file, of which the caller keeps its own reference
 *
 * Context: Any.
 *
 * Return: The context with a reference, for iommufd_ctx_put(), or
 * ERR_PTR(-EBADFD) when @file is of another kind.
 */
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file);

/**
 * iommufd_ctx_from_fd - The context of a file descriptor
 * @fd: descriptor of the calling process
 *
 * Context: Process context.
 *
 * Return: The context with a reference, for iommufd_ctx_put(), or ERR_PTR() of
 * -EBADF when @fd is not open, -EBADFD when it is of another kind.
 */
struct iommufd_ctx *iommufd_ctx_from_fd(int fd);

/**
 * iommufd_ctx_put - Drop a reference to a context
 * @ictx: context
 *
 * Context: May sleep.
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx);

/**
 * iommufd_ctx_has_group - Find out whether a group is in a context
 * @ictx: context, or NULL
 * @group: IOMMU group, or NULL
 *
 * Context: May sleep.
 *
 * Return: true when some device of @group is bound to @ictx.
 */
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group);

/**
 * iommufd_access_pin_pages - Get the pages of an IOVA range, and keep them
 * @access: access with needs_pin_pages, attached
 * @iova: first IOVA of the range
 * @length: bytes in the range
 * @out_pages: receives one page for each page the range touches
 * @flags: IOMMUFD_ACCESS_RW_READ or IOMMUFD_ACCESS_RW_WRITE, for which purpose
 *
 * The range has to be mapped all over, start on the boundary of a page of the
 * memory, and continue on one wherever mappings adjoin. Ranges may overlap and
 * may repeat; each is to be unpinned.
 *
 * Context: May sleep, takes the mmap_lock of the process whose memory is
 * mapped.
 *
 * Return: 0, or with nothing pinned:
 *
 * * -EINVAL: @length is 0; the range is not aligned as described, is being
 *   unmapped, or is not memory.
 * * -EOVERFLOW: the range wraps.
 * * -ENOENT: the access is not attached, or part of the range is not mapped.
 * * -EPERM: the mapping does not permit the purpose.
 * * -EFAULT, -ENOMEM and others from pinning; -EFAULT also when the memory
 *   belongs to a process that is gone.
 * * -EINTR: the caller was killed while it waited.
 */
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags);

/**
 * iommufd_access_unpin_pages - Undo iommufd_access_pin_pages()
 * @access: access
 * @iova: same as when pinned
 * @length: same as when pinned
 *
 * Context: May sleep. May be called from the unmap callback.
 */
void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length);

/**
 * iommufd_access_rw - Copy between kernel memory and an IOVA range
 * @access: access, attached
 * @iova: first IOVA of the range
 * @data: kernel buffer
 * @len: bytes to copy
 * @flags: IOMMUFD_ACCESS_RW_READ (into @data) or IOMMUFD_ACCESS_RW_WRITE (out
 *         of @data), with IOMMUFD_ACCESS_RW_KTHREAD if the caller is a kernel
 *         thread and can borrow an address space
 *
 * Context: May sleep, takes the mmap_lock of the process whose memory is
 * mapped.
 *
 * Return: 0, or the errno as of iommufd_access_pin_pages(), where alignment
 * does not matter. What lies in front of the mapping that failed may have been
 * copied.
 */
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t len, unsigned int flags);

/**
 * iommufd_vfio_compat_ioas_get_id - The IOAS of the VFIO container ioctls
 * @ictx: context
 * @out_ioas_id: receives the ID of the IOAS
 *
 * Context: May sleep.
 *
 * Return: 0, or -ENODEV when there is none.
 */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id);

/**
 * iommufd_vfio_compat_ioas_create - Make sure the VFIO container has an IOAS
 * @ictx: context
 *
 * Context: May sleep.
 *
 * Return: 0, also when there is one; -EINVAL in no-IOMMU mode, -ENOMEM, -EBUSY
 * when no ID is free, or -EINTR when the caller was killed while it waited.
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx);

/**
 * iommufd_vfio_compat_set_no_iommu - Make the VFIO container a no-IOMMU one
 * @ictx: context
 *
 * The container then offers no mapping.
 *
 * Context: May sleep.
 *
 * Return: 0, -EINVAL when there is an IOAS for the container, or -EINTR when the
 * caller was killed while it waited.
 */
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx);
#else /* !CONFIG_IOMMUFD */
static inline struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
}

static inline int iommufd_access_pin_pages(struct iommufd_access *access,
					   unsigned long iova,
					   unsigned long length,
					   struct page **out_pages,
					   unsigned int flags)
{
	return -EOPNOTSUPP;
}

static inline void iommufd_access_unpin_pages(struct iommufd_access *access,
					      unsigned long iova,
					      unsigned long length)
{
}

static inline int iommufd_access_rw(struct iommufd_access *access,
				    unsigned long iova, void *data, size_t len,
				    unsigned int flags)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}
#endif /* CONFIG_IOMMUFD */

/*
 * Virtual IOMMUs
 */

/**
 * struct iommufd_viommu - The part of a vIOMMU that iommufd knows
 * @obj: the object; private to iommufd
 * @ictx: its context
 * @iommu_dev: the physical IOMMU
 * @hwpt: stage 2, a paging HWPT made as nesting parent
 * @ops: set by the driver, as the last step of a viommu_init that succeeds
 * @vdevs: the vDEVICEs, struct iommufd_vdevice at the index of their virt_id.
 *         The driver holds its xa_lock around iommufd_viommu_find_dev().
 * @veventqs: the event queues; private to iommufd
 * @veventqs_rwsem: protects @veventqs; private to iommufd
 * @type: as user space gave it
 *
 * The driver embeds this as the first member of its own structure, which
 * iommufd allocates, zeroed, and frees. All but @ops are set before
 * viommu_init and do not change.
 */
struct iommufd_viommu {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommu_device *iommu_dev;
	struct iommufd_hwpt_paging *hwpt;

	const struct iommufd_viommu_ops *ops;

	struct xarray vdevs;
	struct list_head veventqs;
	struct rw_semaphore veventqs_rwsem;

	enum iommu_viommu_type type;
};

/**
 * struct iommufd_vdevice - The part of a vDEVICE that iommufd knows
 * @obj: the object; private to iommufd
 * @viommu: the vIOMMU the guest sees the device behind
 * @idev: the bound device; see iommufd_vdevice_to_device()
 * @virt_id: what the guest calls it, unique on @viommu
 * @destroy: NULL, or set by a vdevice_init that succeeds, to undo it. Called
 *           once, when the vDEVICE goes.
 *
 * A driver can embed this as the first member of its own structure, which
 * iommufd allocates, zeroed, and frees.
 */
struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	u64 virt_id;
	void (*destroy)(struct iommufd_vdevice *vdev);
};

/**
 * struct iommufd_hw_queue - The part of a hardware queue that iommufd knows
 * @obj: the object; private to iommufd
 * @viommu: the vIOMMU the queue belongs to
 * @access: keeps the memory pinned; private to iommufd
 * @base_addr: guest physical address of the queue
 * @length: size of the queue in bytes
 * @type: as user space gave it
 * @destroy: NULL, or set by a hw_queue_init_phys that succeeds, to undo it:
 *           hardware no longer reads the memory on return. Called once, when
 *           the queue goes.
 *
 * The driver embeds this as the first member of its own structure, which
 * iommufd allocates, zeroed, and frees.
 */
struct iommufd_hw_queue {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_access *access;
	u64 base_addr;
	size_t length;
	enum iommu_hw_queue_type type;
	void (*destroy)(struct iommufd_hw_queue *hw_queue);
};

/**
 * struct iommufd_viommu_ops - What a driver implements for its vIOMMUs
 * @destroy: optional. Undoes viommu_init; nothing made on the vIOMMU is left.
 *           Also called when the allocation fails after viommu_init has set
 *           the ops. iommufd frees the memory.
 * @alloc_domain_nested: optional. Makes a domain of type IOMMU_DOMAIN_NESTED
 *     from what the guest has in its tables. The only possible flag is
 *     IOMMU_HWPT_ALLOC_PASID. Returns the domain, which is freed before the
 *     vIOMMU, or an ERR_PTR().
 * @cache_invalidate: optional. Performs the guest's invalidations, in order up
 *     to the first one that fails. Must leave in the entry_num of the array
 *     how many are complete, whatever it returns. An array without entries is
 *     the question whether its type is supported.
 * @vdevice_size: VDEVICE_STRUCT_SIZE() of the driver's structure, or 0 when it
 *                has none
 * @vdevice_init: required with @vdevice_size. Sets up a new vDEVICE, whose
 *     viommu, idev and virt_id are set. Holds back attachments of the device's
 *     group, so it must not attach or detach.
 * @get_hw_queue_size: needed for hardware queues. HW_QUEUE_STRUCT_SIZE() of
 *     the driver's structure for queues of this type, 0 if there are no such
 *     queues.
 * @hw_queue_init_phys: needed for hardware queues. Lets hardware use the queue
 *     at this physical address, which iommufd has pinned and found
 *     consecutive. Checks the index and the alignment. A queue for which it
 *     fails must not be found by others any more, nor have come to be
 *     depended on meanwhile.
 *
 * All may sleep. Those that return int return 0 or a negative errno.
 */
struct iommufd_viommu_ops {
	void (*destroy)(struct iommufd_viommu *viommu);
	struct iommu_domain *
		(*alloc_domain_nested)(struct iommufd_viommu *viommu, u32 flags,
				       const struct iommu_user_data *user_data);
	int (*cache_invalidate)(struct iommufd_viommu *viommu,
				struct iommu_user_data_array *array);
	const size_t vdevice_size;
	int (*vdevice_init)(struct iommufd_vdevice *vdev);
	size_t (*get_hw_queue_size)(struct iommufd_viommu *viommu,
				    enum iommu_hw_queue_type queue_type);
	int (*hw_queue_init_phys)(struct iommufd_hw_queue *hw_queue, u32 index,
				  phys_addr_t base_addr_pa);
};

#if IS_ENABLED(CONFIG_IOMMUFD_DRIVER_CORE)
/**
 * _iommufd_object_depend - Let one object keep another from being destroyed
 * @obj_dependent: the one that needs the other
 * @obj_depended: the one that is needed, of the same type; the caller makes
 *                sure its memory does not go during the call
 *
 * For iommufd_hw_queue_depend(); drivers do not call it directly.
 *
 * Context: Any.
 *
 * Return: 0, -EINVAL for different types or twice the same object, or -ENOENT
 * when @obj_depended is being destroyed.
 */
int _iommufd_object_depend(struct iommufd_object *obj_dependent,
			   struct iommufd_object *obj_depended);

/**
 * _iommufd_object_undepend - Undo _iommufd_object_depend()
 * @obj_dependent: as before
 * @obj_depended: as before
 *
 * Context: Any.
 */
void _iommufd_object_undepend(struct iommufd_object *obj_dependent,
			      struct iommufd_object *obj_depended);

/**
 * _iommufd_alloc_mmap - Let user space map a range of registers
 * @ictx: context
 * @owner: object that cannot be destroyed while the range is mapped
 * @mmio_addr: physical address, a multiple of the page size
 * @length: bytes, a multiple of the page size
 * @offset: receives the offset for mmap() in bytes, never 0
 *
 * For iommufd_viommu_alloc_mmap(); drivers do not call it directly.
 *
 * Context: May sleep.
 *
 * Return: 0, -EINVAL for a range not aligned or empty, -EBUSY when no offset
 * is free, or -ENOMEM.
 */
int _iommufd_alloc_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
			phys_addr_t mmio_addr, size_t length,
			unsigned long *offset);

/**
 * _iommufd_destroy_mmap - Undo _iommufd_alloc_mmap()
 * @ictx: as before
 * @owner: as before
 * @offset: as received
 *
 * Context: May sleep.
 */
void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
			   struct iommufd_object *owner, unsigned long offset);

/**
 * iommufd_vdevice_to_device - The physical device of a vDEVICE
 * @vdev: vDEVICE
 *
 * Context: Any.
 *
 * Return: The device; it is valid as long as @vdev is.
 */
struct device *iommufd_vdevice_to_device(struct iommufd_vdevice *vdev);

/**
 * iommufd_viommu_find_dev - The physical device a guest means
 * @viommu: vIOMMU
 * @vdev_id: the guest's name of the device, its virt_id
 *
 * Context: The caller holds the xa_lock of @viommu->vdevs, and uses the result
 * only while holding it.
 *
 * Return: The device, or NULL when there is none of this name.
 */
struct device *iommufd_viommu_find_dev(struct iommufd_viommu *viommu,
				       unsigned long vdev_id);

/**
 * iommufd_viommu_get_vdev_id - What a guest calls a physical device
 * @viommu: vIOMMU
 * @dev: device
 * @vdev_id: receives the virt_id of its vDEVICE
 *
 * Context: Takes the xa_lock of @viommu->vdevs. May be called from attach_dev.
 *
 * Return: 0, or -ENOENT when the device has no vDEVICE on @viommu.
 */
int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
			       struct device *dev, unsigned long *vdev_id);

/**
 * iommufd_viommu_report_event - Pass an event on to the user of a vIOMMU
 * @viommu: vIOMMU, from its viommu_init until its destroy returns
 * @type: kind of the event
 * @event_data: the event in its uAPI structure; is copied
 * @data_len: size of the event in bytes
 *
 * Context: May sleep, but does not wait for memory; meant for threaded IRQ
 * handlers. Not from hard IRQ, not under a spinlock. The caller may hold
 * mutexes.
 *
 * Return: 0 (also when the queue is full, which its reader learns), -EOPNOTSUPP
 * when user space has made no queue for @type, -ENOMEM with the event counted
 * as lost, or -EINVAL without data.
 */
int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
				enum iommu_veventq_type type, void *event_data,
				size_t data_len);
#else /* !CONFIG_IOMMUFD_DRIVER_CORE */
static inline int _iommufd_object_depend(struct iommufd_object *obj_dependent,
					 struct iommufd_object *obj_depended)
{
	return -EOPNOTSUPP;
}

static inline void
_iommufd_object_undepend(struct iommufd_object *obj_dependent,
			 struct iommufd_object *obj_depended)
{
}

static inline int _iommufd_alloc_mmap(struct iommufd_ctx *ictx,
				      struct iommufd_object *owner,
				      phys_addr_t mmio_addr, size_t length,
				      unsigned long *offset)
{
	return -EOPNOTSUPP;
}

static inline void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
					 struct iommufd_object *owner,
					 unsigned long offset)
{
}

static inline struct device *
iommufd_vdevice_to_device(struct iommufd_vdevice *vdev)
{
	return NULL;
}

static inline struct device *
iommufd_viommu_find_dev(struct iommufd_viommu *viommu, unsigned long vdev_id)
{
	return NULL;
}

static inline int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
					     struct device *dev,
					     unsigned long *vdev_id)
{
	return -ENOENT;
}

static inline int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
					      enum iommu_veventq_type type,
					      void *event_data, size_t data_len)
{
	return -EOPNOTSUPP;
}
#endif /* CONFIG_IOMMUFD_DRIVER_CORE */

/*
 * sizeof(drv_struct), as a constant expression that fails to build unless
 * iommufd may take a drv_struct pointer for one to its own core_struct.
 */
#define __IOMMUFD_STRUCT_SIZE(drv_struct, member, core_struct)                \
	(sizeof(drv_struct) +                                                 \
	 BUILD_BUG_ON_ZERO(offsetof(drv_struct, member)) +                    \
	 BUILD_BUG_ON_ZERO(!__same_type(((drv_struct *)NULL)->member,         \
					core_struct)))

/**
 * VIOMMU_STRUCT_SIZE - Size of a driver's vIOMMU, for get_viommu_size
 * @drv_struct: structure of the driver
 * @member: its first member, a struct iommufd_viommu
 */
#define VIOMMU_STRUCT_SIZE(drv_struct, member) \
	__IOMMUFD_STRUCT_SIZE(drv_struct, member, struct iommufd_viommu)

/**
 * VDEVICE_STRUCT_SIZE - Size of a driver's vDEVICE, for vdevice_size
 * @drv_struct: structure of the driver
 * @member: its first member, a struct iommufd_vdevice
 */
#define VDEVICE_STRUCT_SIZE(drv_struct, member) \
	__IOMMUFD_STRUCT_SIZE(drv_struct, member, struct iommufd_vdevice)

/**
 * HW_QUEUE_STRUCT_SIZE - Size of a driver's hardware queue, for
 *     get_hw_queue_size
 * @drv_struct: structure of the driver
 * @member: its first member, a struct iommufd_hw_queue
 */
#define HW_QUEUE_STRUCT_SIZE(drv_struct, member) \
	__IOMMUFD_STRUCT_SIZE(drv_struct, member, struct iommufd_hw_queue)

static inline int __iommufd_hw_queue_depend(struct iommufd_hw_queue *dependent,
					    struct iommufd_hw_queue *depended)
{
	if (WARN_ON_ONCE(dependent->viommu != depended->viommu))
		return -EINVAL;
	return _iommufd_object_depend(&dependent->obj, &depended->obj);
}

static inline void
__iommufd_hw_queue_undepend(struct iommufd_hw_queue *dependent,
			    struct iommufd_hw_queue *depended)
{
	WARN_ON_ONCE(dependent->viommu != depended->viommu);
	_iommufd_object_undepend(&dependent->obj, &depended->obj);
}

/**
 * iommufd_hw_queue_depend - Order the destruction of two hardware queues
 * @dependent: driver structure of the queue that goes first
 * @depended: driver structure of the queue that stays until then, on the same
 *            vIOMMU
 * @member: their struct iommufd_hw_queue
 *
 * Destroying @depended is EBUSY for user space from now on, and closing the
 * file destroys the two in the right order.
 *
 * Context: Any. The caller makes sure that the memory of @depended does not go
 * meanwhile, usually by a lock that its destroy operation takes as well.
 *
 * Return: 0, -EINVAL when both are the same queue, or are of different vIOMMUs,
 * which also warns, or -ENOENT when @depended is being destroyed: user space
 * has done so, and the destroy operation is about to be called.
 */
#define iommufd_hw_queue_depend(dependent, depended, member)                  \
	({                                                                    \
		static_assert(__same_type(*(dependent), *(depended)));        \
		__iommufd_hw_queue_depend(&(dependent)->member,               \
					  &(depended)->member);               \
	})

/**
 * iommufd_hw_queue_undepend - Undo iommufd_hw_queue_depend()
 * @dependent: as before
 * @depended: as before
 * @member: as before
 *
 * Context: Any.
 */
#define iommufd_hw_queue_undepend(dependent, depended, member)                \
	({                                                                    \
		static_assert(__same_type(*(dependent), *(depended)));        \
		__iommufd_hw_queue_undepend(&(dependent)->member,             \
					    &(depended)->member);             \
	})

/**
 * iommufd_viommu_alloc_mmap - Let user space map registers of a vIOMMU
 * @viommu: vIOMMU; cannot be destroyed while they are mapped
 * @mmio_addr: physical address, a multiple of the page size
 * @length: bytes, a multiple of the page size
 * @offset: receives the offset for mmap() in bytes, never 0; the driver tells
 *          it to user space
 *
 * Context: May sleep.
 *
 * Return: As _iommufd_alloc_mmap().
 */
static inline int iommufd_viommu_alloc_mmap(struct iommufd_viommu *viommu,
					    phys_addr_t mmio_addr,
					    size_t length,
					    unsigned long *offset)
{
	return _iommufd_alloc_mmap(viommu->ictx, &viommu->obj, mmio_addr,
				   length, offset);
}

/**
 * iommufd_viommu_destroy_mmap - Undo iommufd_viommu_alloc_mmap()
 * @viommu: as before
 * @offset: as received
 *
 * Due before the vIOMMU goes: in its destroy, or when viommu_init fails.
 *
 * Context: May sleep.
 */
static inline void iommufd_viommu_destroy_mmap(struct iommufd_viommu *viommu,
					       unsigned long offset)
{
	_iommufd_destroy_mmap(viommu->ictx, &viommu->obj, offset);
}

#endif /* __LINUX_IOMMUFD_H */
