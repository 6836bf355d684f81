/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * User interface of /dev/iommu: I/O address spaces, the page tables that
 * hardware walks for them, and the devices that use them.
 *
 * The guide that puts the pieces together is
 * Documentation/userspace-api/iommufd.rst.
 */
#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The type byte of every ioctl here; VFIO has the numbers below 0x80 */
#define IOMMUFD_TYPE (';')

/**
 * DOC: Rules for every ioctl
 *
 * All commands are ``_IO(IOMMUFD_TYPE, nr)``: the number encodes neither a
 * direction nor a size. The argument points to a structure whose first word is
 * ``size``, which the caller sets to the size of the structure it was compiled
 * with. This lets programs and kernels of different age work together:
 *
 * - A caller with a shorter structure (an older header) gets zero for the
 *   fields it does not know. ``size`` may not be less than the structure had
 *   when the command first appeared.
 * - A caller with a longer structure (a newer header) is served as long as
 *   every byte the kernel does not know is zero.
 * - Results are copied back to at most ``size`` bytes.
 *
 * Flags not defined and reserved fields must be zero. IDs name objects of one
 * open file; they are positive, 0 is never an object.
 *
 * Unless a command says otherwise, errno values mean:
 *
 * - ENOTTY: the command does not exist.
 * - E2BIG: a byte behind the structure known to the kernel is not zero.
 * - EOPNOTSUPP: a known field has a value (a flag, a type, a reserved field
 *   that is not zero) that this kernel or this hardware does not support.
 * - EINVAL: ``size`` is too small, or a value is wrong or does not fit others.
 * - ENOENT: no object has this ID, or it is of another kind, or nothing is
 *   mapped at this IOVA.
 * - EBUSY: something still uses the object, or no ID is free.
 * - EOVERFLOW: an address range wraps or exceeds what the kernel can address.
 * - ENOMEM: no memory, or the limit on locked memory has been reached.
 * - EFAULT: user memory cannot be accessed.
 * - EPERM: a privilege or a permission is missing.
 *
 * A command that fails changes nothing, except where documented.
 */

enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
	IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA = 0x95,
};

/*
 * Objects
 */

/**
 * struct iommu_destroy - Argument of IOMMU_DESTROY
 * @size: sizeof(struct iommu_destroy)
 * @id: object to destroy, of any type
 *
 * Destroys an object and frees its ID. Destroying an IOAS removes its
 * mappings. Devices and accesses belong to the kernel driver that made them
 * and stay EBUSY until that driver lets go.
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: no such object.
 * - EBUSY: another object, an open event file, a memory mapping or an ioctl
 *   running in another thread uses it. Nothing is destroyed.
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};

#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/*
 * I/O address spaces
 */

/**
 * struct iommu_ioas_alloc - Argument of IOMMU_IOAS_ALLOC
 * @size: sizeof(struct iommu_ioas_alloc)
 * @flags: must be 0
 * @out_ioas_id: ID of the new IOAS
 *
 * Makes an empty I/O address space. It starts with the whole range of IOVA
 * usable, no alignment demand, and huge pages on.
 *
 * Return: 0, or -1 with errno EOPNOTSUPP (flags), ENOMEM, EBUSY, EFAULT
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - An interval of IOVA
 * @start: first address in the interval
 * @last: last address in the interval (inclusive)
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - Argument of IOMMU_IOAS_IOVA_RANGES
 * @size: sizeof(struct iommu_ioas_iova_ranges)
 * @ioas_id: IOAS to query
 * @num_iovas: in: entries that fit into the array, 0 to ask for the count;
 *             out: how many usable ranges there are, also if they did not fit
 * @__reserved: must be 0
 * @allowed_iovas: address of an array of struct iommu_iova_range, to be filled
 * @out_iova_alignment: what IOVA, length and offset of a mapping have to be a
 *                      multiple of, in bytes; a power of two, at most the
 *                      kernel's page size
 *
 * Reports where mappings can be placed: everything that no attached device and
 * no hardware page table has reserved, in ascending order, with touching
 * ranges merged. Existing mappings and the list of IOMMU_IOAS_ALLOW_IOVAS play
 * no part in it. Attaching a device or making a hardware page table can shrink
 * the answer and raise the alignment, the opposite can widen it again.
 *
 * Return: 0, or -1 with errno
 *
 * - EMSGSIZE: the array is too short. It holds the first ranges, and
 *   @num_iovas and @out_iova_alignment are valid.
 * - EOPNOTSUPP, ENOENT, EFAULT: see the common rules.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};

#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/**
 * struct iommu_ioas_allow_iovas - Argument of IOMMU_IOAS_ALLOW_IOVAS
 * @size: sizeof(struct iommu_ioas_allow_iovas)
 * @ioas_id: IOAS to change
 * @num_iovas: entries in the array, 0 to drop the list
 * @__reserved: must be 0
 * @allowed_iovas: address of an array of struct iommu_iova_range, in any
 *                 order; ranges may touch but not overlap
 *
 * Replaces the list of ranges this IOAS is known to need. From then on
 *
 * - a device or hardware page table that would reserve part of these ranges
 *   cannot be added (EADDRINUSE), so a promise made to a guest holds;
 * - mappings whose IOVA the kernel chooses are placed inside them.
 *
 * Mappings at a fixed IOVA, and those that exist, are not restricted.
 *
 * Return: 0, or -1 with errno; on failure the former list stays
 *
 * - EINVAL: in some entry start is not less than last, or it overlaps another.
 * - EADDRINUSE: some range is reserved already.
 * - ENOMEM: also for the 65537th entry; the kernel keeps no more than 65536.
 * - EOPNOTSUPP, ENOENT, EFAULT: see the common rules.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};

#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/**
 * enum iommufd_ioas_map_flags - Flags of the commands that make mappings
 * @IOMMU_IOAS_MAP_FIXED_IOVA: map at the IOVA given instead of choosing one
 * @IOMMU_IOAS_MAP_WRITEABLE: devices may write
 * @IOMMU_IOAS_MAP_READABLE: devices may read
 *
 * At least one of the permissions is needed. A mapping devices can only write
 * may turn out readable where hardware has no such page table entry.
 */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/**
 * struct iommu_ioas_map - Argument of IOMMU_IOAS_MAP
 * @size: sizeof(struct iommu_ioas_map)
 * @flags: combination of enum iommufd_ioas_map_flags
 * @ioas_id: IOAS to map into
 * @__reserved: must be 0
 * @user_va: address in the calling process where the memory starts
 * @length: bytes to map
 * @iova: in, with IOMMU_IOAS_MAP_FIXED_IOVA: first IOVA of the mapping;
 *        out: first IOVA of the mapping
 *
 * Maps memory of the calling process. If some hardware page table belongs to
 * the IOAS, the pages are pinned, charged and mapped in all of them before the
 * call returns; otherwise that happens when the first one is added, and the
 * memory is not even looked at until then.
 *
 * What is pinned stays the same memory whatever the process does with the
 * address later (munmap(), mremap(), mprotect(), exec); after a fork() the
 * mapping is the parent's.
 *
 * A chosen IOVA lies in the allowed and unreserved space, never on page 0, as
 * low as possible, and keeps the alignment of @user_va as far as huge page
 * table entries profit from it.
 *
 * Existing mappings are never replaced, and a mapping can only be removed as a
 * whole.
 *
 * Return: 0, or -1 with errno
 *
 * - EEXIST: part of the fixed range is mapped.
 * - ENOSPC: no free range of this length is left to choose.
 * - EINVAL: no permission is asked for, @length is 0, a value is not aligned
 *   as IOMMU_IOAS_IOVA_RANGES demands, or part of the fixed range is reserved.
 * - EOVERFLOW: a range wraps, or @length or @iova is all ones.
 * - EFAULT: the memory is not there, cannot be written though
 *   IOMMU_IOAS_MAP_WRITEABLE is given, or is of a kind that cannot be pinned.
 * - EREMOTEIO: the memory belongs to a PCI device, and the kernel has struct
 *   pages for it (P2PDMA).
 * - ENOMEM: also when RLIMIT_MEMLOCK would be exceeded.
 * - EINTR: a fatal signal arrived.
 * - EOPNOTSUPP, ENOENT: see the common rules.
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};

#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/**
 * struct iommu_ioas_noiommu_get_pa - Argument of IOMMU_IOAS_NOIOMMU_GET_PA
 * @size: sizeof(struct iommu_ioas_noiommu_get_pa)
 * @flags: must be 0
 * @ioas_id: IOAS to look in
 * @__reserved: must be 0
 * @iova: address to translate
 * @length: in: bytes of interest from @iova on; out: how many of them are
 *          physically consecutive within this mapping
 * @out_phys: physical address of the byte at @iova
 *
 * For drivers of devices that no IOMMU translates: tells which physical
 * address the device has to be given. The answer holds as long as the mapping
 * and the hardware page table of the device exist.
 *
 * Return: 0, or -1 with errno
 *
 * - EPERM: the caller lacks CAP_SYS_RAWIO.
 * - EOPNOTSUPP: the kernel is built without this (IOMMUFD_NOIOMMU), no device
 *   without IOMMU holds this mapping, or a flag or reserved field is set.
 * - ENOENT: no such IOAS, or nothing is mapped at @iova.
 * - EINVAL: @length is 0, or the dma-buf behind the mapping has been revoked.
 * - EOVERFLOW: @iova exceeds what the kernel can address.
 */
struct iommu_ioas_noiommu_get_pa {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 out_phys;
};

#define IOMMU_IOAS_NOIOMMU_GET_PA \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA)

/**
 * struct iommu_ioas_map_file - Argument of IOMMU_IOAS_MAP_FILE
 * @size: sizeof(struct iommu_ioas_map_file)
 * @flags: combination of enum iommufd_ioas_map_flags
 * @ioas_id: IOAS to map into
 * @fd: a memfd (or another file on shmem or hugetlbfs), or a dma-buf that
 *      VFIO has exported for PCI device memory; may be closed afterwards
 * @start: byte in the file where the memory starts
 * @length: bytes to map
 * @iova: as for IOMMU_IOAS_MAP
 *
 * Like IOMMU_IOAS_MAP for memory named by a file. The mapping depends on no
 * address space: the file need not be mapped by any process, and the owner can
 * change (IOMMU_IOAS_CHANGE_PROCESS). Holes of a memfd are filled when its
 * pages are pinned, and pinned pages survive truncation.
 *
 * Memory of a dma-buf is not charged. When its exporter revokes it, for
 * instance on a device reset, devices lose access at once and for good. The
 * mapping then still occupies its IOVA until it is unmapped.
 *
 * Return: 0, or -1 with errno as for IOMMU_IOAS_MAP, and
 *
 * - EBADF: @fd is not open.
 * - EACCES: the memfd is not open for reading, or, for a mapping that devices
 *   may write to, is not open for writing or can only be appended to.
 * - EPERM: it is sealed against writing, and devices may write.
 * - EINVAL: the file is of a kind that has no memory to share, or is too
 *   short. This can be found as late as when the pages are pinned.
 * - EOPNOTSUPP: the exporter of the dma-buf cannot be asked for its memory,
 *   or the memory is in several pieces.
 * - ENODEV: the dma-buf is revoked at the moment.
 */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};

#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)

/**
 * struct iommu_ioas_copy - Argument of IOMMU_IOAS_COPY
 * @size: sizeof(struct iommu_ioas_copy)
 * @flags: combination of enum iommufd_ioas_map_flags; IOMMU_IOAS_MAP_FIXED_IOVA
 *         is about @dst_iova
 * @dst_ioas_id: IOAS to map into
 * @src_ioas_id: IOAS to take from, may be the same
 * @length: bytes to copy
 * @dst_iova: as iova of IOMMU_IOAS_MAP
 * @src_iova: first IOVA of the source
 *
 * Maps what the source range maps at a second place. Any part of a mapping,
 * and a range over several adjoining mappings, can be copied. The pages are
 * shared: they are pinned once and charged once. Otherwise the copy is
 * independent, and stays when the source is unmapped or destroyed.
 *
 * The permissions are those of this call. A range that crosses mappings
 * becomes as many mappings in the destination.
 *
 * Return: 0, or -1 with errno as for IOMMU_IOAS_MAP (about the destination),
 * and
 *
 * - ENOENT: no such IOAS, or the source range is not mapped completely.
 * - EBUSY: the source is in a VFIO container, which has declared its address
 *   invalid.
 * - EPERM: IOMMU_IOAS_MAP_WRITEABLE is given, but the memory was first mapped
 *   without it.
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};

#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/**
 * struct iommu_ioas_unmap - Argument of IOMMU_IOAS_UNMAP
 * @size: sizeof(struct iommu_ioas_unmap)
 * @ioas_id: IOAS to unmap from
 * @iova: first IOVA of the range
 * @length: in: bytes in the range; out: bytes of all mappings removed
 *
 * Removes all mappings within the range. Gaps do not matter, but no mapping
 * may extend beyond the range. An @iova of 0 with a @length of U64_MAX removes
 * every mapping, and is no error when there is none.
 *
 * On return devices cannot reach the memory any more, and pages nobody else
 * uses are unpinned.
 *
 * Return: 0, or -1 with errno; on failure nothing is removed
 *
 * - ENOENT: no such IOAS, nothing is mapped in the range, or the range cuts a
 *   mapping.
 * - EBUSY: a mapping is being made or removed by another call, or is used by
 *   a hardware queue.
 * - EDEADLOCK: a kernel driver does not let go of the memory.
 * - EINTR: a fatal signal arrived.
 * - EINVAL: @length is 0.
 * - EOVERFLOW: the range wraps, or one of @iova and @length is all ones.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};

#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

/**
 * enum iommufd_option - Values of option_id for IOMMU_OPTION
 * @IOMMU_OPTION_RLIMIT_MODE: how locked memory is counted against
 *     RLIMIT_MEMLOCK by mappings made from now on: 0 per user (the default of
 *     /dev/iommu), 1 per process (the default of /dev/vfio/vfio). About the
 *     whole file, object_id is 0. Setting needs CAP_SYS_RESOURCE (EPERM) and a
 *     file without any object (EBUSY).
 * @IOMMU_OPTION_HUGE_PAGES: whether page table entries larger than the
 *     kernel's page size are used: 1 yes (the default), 0 no. object_id names
 *     the IOAS. 0 is refused with EINVAL while the IOAS has both hardware page
 *     tables and mappings, and with EADDRINUSE if a mapping is not aligned to
 *     the page size; it is meant to be set first.
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/**
 * enum iommufd_option_ops - Values of op for IOMMU_OPTION
 * @IOMMU_OPTION_OP_SET: val64 is the value to set
 * @IOMMU_OPTION_OP_GET: val64 receives the value
 */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/**
 * struct iommu_option - Argument of IOMMU_OPTION
 * @size: sizeof(struct iommu_option)
 * @option_id: one of enum iommufd_option
 * @op: one of enum iommufd_option_ops
 * @__reserved: must be 0
 * @object_id: the object the option belongs to, 0 for one of the whole file
 * @val64: value of the option
 *
 * Return: 0, or -1 with errno
 *
 * - EOPNOTSUPP: no such option or operation, or @object_id is not 0 for an
 *   option of the whole file.
 * - EINVAL: the option cannot have this value.
 * - Others as described in enum iommufd_option.
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};

#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/**
 * enum iommufd_vfio_ioas_op - Values of op for IOMMU_VFIO_IOAS
 * @IOMMU_VFIO_IOAS_GET: report which IOAS is used
 * @IOMMU_VFIO_IOAS_SET: use this IOAS
 * @IOMMU_VFIO_IOAS_CLEAR: use none
 */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/**
 * struct iommu_vfio_ioas - Argument of IOMMU_VFIO_IOAS
 * @size: sizeof(struct iommu_vfio_ioas)
 * @ioas_id: in for IOMMU_VFIO_IOAS_SET, out for IOMMU_VFIO_IOAS_GET
 * @op: one of enum iommufd_vfio_ioas_op
 * @__reserved: must be 0
 *
 * The ioctls of a VFIO container work on this file too, and map into one IOAS,
 * which VFIO groups also attach to. It is made when the first group is added,
 * unless one was set before. Being used like this does not keep the IOAS from
 * being destroyed. A change does not move devices that are attached.
 *
 * Return: 0, or -1 with errno
 *
 * - ENODEV: IOMMU_VFIO_IOAS_GET, and there is none.
 * - EOPNOTSUPP, ENOENT: see the common rules.
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};

#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

/*
 * Hardware page tables
 */

/**
 * enum iommufd_hwpt_alloc_flags - Flags of IOMMU_HWPT_ALLOC
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: a page table on an IOAS that can be stage 2
 *     under nested ones and under a vIOMMU
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: a page table on an IOAS that can record
 *     which memory devices write; then only devices whose IOMMU can do this
 *     can be attached (see IOMMU_HW_CAP_DIRTY_TRACKING)
 * @IOMMU_HWPT_FAULT_ID_VALID: page faults go to the fault queue fault_id; not
 *     together with IOMMU_HWPT_ALLOC_NEST_PARENT
 * @IOMMU_HWPT_ALLOC_PASID: the page table can be attached to a PASID, and to
 *     a device that has PASIDs attached
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

/**
 * enum iommu_hwpt_vtd_s1_flags - Flags of a VT-d stage 1 page table
 * @IOMMU_VTD_S1_SRE: supervisor requests are served
 * @IOMMU_VTD_S1_EAFE: hardware sets the extended accessed flag
 * @IOMMU_VTD_S1_WPE: supervisor requests obey write protection
 *
 * They are the bits of the same names in a scalable mode PASID table entry.
 */
enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,
	IOMMU_VTD_S1_EAFE = 1 << 1,
	IOMMU_VTD_S1_WPE = 1 << 2,
};

/**
 * struct iommu_hwpt_vtd_s1 - A VT-d stage 1 page table
 * @flags: combination of enum iommu_hwpt_vtd_s1_flags
 * @pgtbl_addr: guest physical address of the top table, that is an IOVA of the
 *              parent
 * @addr_width: width of an input address, in bits
 * @__reserved: must be 0
 *
 * Data of IOMMU_HWPT_ALLOC with IOMMU_HWPT_DATA_VTD_S1. The parent is a page
 * table made with IOMMU_HWPT_ALLOC_NEST_PARENT.
 */
struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/**
 * struct iommu_hwpt_arm_smmuv3 - What a guest put into its stream table
 * @ste: the first two 64-bit words of the guest's Stream Table Entry, little
 *       endian. Of a valid entry only V, Config, S1Fmt, S1ContextPtr, S1CDMax
 *       in the first and S1DSS, S1CIR, S1COR, S1CSH, S1STALLD, EATS in the
 *       second word may be set. Config is abort, bypass or stage 1. An entry
 *       that is not valid aborts all transactions.
 *
 * Data of IOMMU_HWPT_ALLOC with IOMMU_HWPT_DATA_ARM_SMMUV3. The parent is a
 * vIOMMU of type IOMMU_VIOMMU_TYPE_ARM_SMMUV3 or
 * IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV. An entry that breaks these rules gives
 * EIO.
 */
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2];
};

/**
 * struct iommu_hwpt_amd_guest - What a guest put into its device table
 * @dte: the guest's Device Table Entry, four 64-bit words. The host takes
 *       from it what describes stage 1: the GCR3 table and its levels, the
 *       guest paging mode, and the flags for guest page requests.
 *
 * Data of IOMMU_HWPT_ALLOC with IOMMU_HWPT_DATA_AMD_GUEST. The parent is a
 * vIOMMU.
 */
struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4];
};

/**
 * enum iommu_hwpt_data_type - Kinds of data for IOMMU_HWPT_ALLOC
 * @IOMMU_HWPT_DATA_NONE: no data
 * @IOMMU_HWPT_DATA_VTD_S1: struct iommu_hwpt_vtd_s1
 * @IOMMU_HWPT_DATA_ARM_SMMUV3: struct iommu_hwpt_arm_smmuv3
 * @IOMMU_HWPT_DATA_AMD_GUEST: struct iommu_hwpt_amd_guest
 */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/**
 * struct iommu_hwpt_alloc - Argument of IOMMU_HWPT_ALLOC
 * @size: sizeof(struct iommu_hwpt_alloc)
 * @flags: combination of enum iommufd_hwpt_alloc_flags
 * @dev_id: device whose IOMMU the page table is made for
 * @pt_id: what the page table is based on: an IOAS, another page table, or a
 *         vIOMMU
 * @out_hwpt_id: ID of the new page table
 * @__reserved: must be 0
 * @data_type: one of enum iommu_hwpt_data_type
 * @data_len: size of the data in bytes, 0 exactly for IOMMU_HWPT_DATA_NONE
 * @data_uptr: address of the data
 * @fault_id: fault queue, with IOMMU_HWPT_FAULT_ID_VALID
 * @__reserved2: must be 0
 *
 * Makes a hardware page table (HWPT). What it is depends on @pt_id:
 *
 * - On an IOAS: a paging HWPT, which holds all mappings of the IOAS from the
 *   start, and follows it from then on.
 * - On a paging HWPT made with IOMMU_HWPT_ALLOC_NEST_PARENT, or on a vIOMMU:
 *   a nested HWPT. Its page tables belong to the guest, and their output is
 *   translated by the parent. The data tells where and how they are. Only
 *   IOMMU_HWPT_FAULT_ID_VALID and IOMMU_HWPT_ALLOC_PASID may be given.
 *
 * The HWPT is attached to nothing yet. It does not depend on the device
 * later, and other devices it suits can be attached to it. The objects it is
 * made on and its fault queue cannot be destroyed before it.
 *
 * Attaching a device to an IOAS makes a HWPT without flags by itself, which
 * goes with its last device.
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: no such device, or fault queue.
 * - EINVAL: @pt_id names nothing suitable, the parent is not a nesting parent
 *   or belongs to another IOMMU, or @data_type and @data_len do not go
 *   together.
 * - EOPNOTSUPP: IOMMU or driver cannot do this.
 * - EBUSY: the IOAS is that of a VFIO container, which has declared the address
 *   of a mapping invalid.
 * - EADDRINUSE: mappings or allowed ranges of the IOAS are where the IOMMU
 *   cannot translate, or are not aligned to its page size.
 * - ENODEV: the device lost its IOMMU.
 * - E2BIG, EFAULT, EIO and others about the data from the IOMMU driver.
 * - EFAULT, EREMOTEIO, ENOMEM, EINTR as for IOMMU_IOAS_MAP, about the
 *   mappings.
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};

#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/*
 * What the hardware is and can do
 */

/**
 * enum iommu_hw_info_vtd_flags - Flags of struct iommu_hw_info_vtd
 * @IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17: hardware ignores read-only
 *     permission of stage 2 in nested translation; a nesting parent must then
 *     not be used with mappings that are not writeable
 */
enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

/**
 * struct iommu_hw_info_vtd - An Intel VT-d unit
 * @flags: combination of enum iommu_hw_info_vtd_flags
 * @__reserved: 0
 * @cap_reg: its Capability Register
 * @ecap_reg: its Extended Capability Register
 *
 * Data of IOMMU_GET_HW_INFO with IOMMU_HW_INFO_TYPE_INTEL_VTD. The registers
 * show the hardware; a feature may be there and still not be in use.
 */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/**
 * enum iommu_hw_info_arm_smmuv3_flags - Flags of struct iommu_hw_info_arm_smmuv3
 * @IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI: hardware may need every
 *     TLB and configuration invalidation issued twice; commands that go
 *     through the kernel already are, queues that the guest feeds directly
 *     need the guest to do it
 */
enum iommu_hw_info_arm_smmuv3_flags {
	IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI = 1 << 0,
};

/**
 * struct iommu_hw_info_arm_smmuv3 - An Arm SMMUv3
 * @flags: combination of enum iommu_hw_info_arm_smmuv3_flags
 * @__reserved: 0
 * @idr: its registers IDR0 to IDR5
 * @iidr: its register IIDR
 * @aidr: its register AIDR
 *
 * Data of IOMMU_GET_HW_INFO with IOMMU_HW_INFO_TYPE_ARM_SMMUV3. The registers
 * are those of the hardware. What of it a guest may be shown depends also on
 * what the host and the VMM support; take over only fields that are understood.
 */
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags;
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};

/**
 * struct iommu_hw_info_tegra241_cmdqv - Command queue virtualization of Tegra241
 * @flags: 0
 * @version: version of the hardware
 * @log2vcmdqs: log2 of the command queues one VM can have
 * @log2vsids: log2 of the virtual stream IDs one VM can have
 * @__reserved: 0
 *
 * Data of IOMMU_GET_HW_INFO with IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, which has
 * to be asked for.
 */
struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};

/**
 * struct iommu_hw_info_amd - An AMD IOMMU
 * @efr: its Extended Feature Register
 * @efr2: its Extended Feature 2 Register
 *
 * Data of IOMMU_GET_HW_INFO with IOMMU_HW_INFO_TYPE_AMD. The registers show
 * the hardware; a feature may be there and still not be in use.
 */
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

/**
 * enum iommu_hw_info_type - Kinds of data IOMMU_GET_HW_INFO can return
 * @IOMMU_HW_INFO_TYPE_NONE: as an answer: there is no data
 * @IOMMU_HW_INFO_TYPE_DEFAULT: as a question: the main kind of this IOMMU
 * @IOMMU_HW_INFO_TYPE_INTEL_VTD: struct iommu_hw_info_vtd
 * @IOMMU_HW_INFO_TYPE_ARM_SMMUV3: struct iommu_hw_info_arm_smmuv3
 * @IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV: struct iommu_hw_info_tegra241_cmdqv
 * @IOMMU_HW_INFO_TYPE_AMD: struct iommu_hw_info_amd
 */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

/**
 * enum iommufd_hw_capabilities - Bits of out_capabilities of IOMMU_GET_HW_INFO
 * @IOMMU_HW_CAP_DIRTY_TRACKING: the IOMMU can record which memory the device
 *     writes, see IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: execute permission is enabled in the PASID
 *     capability of the PCI device
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: privileged mode is enabled in the PASID
 *     capability of the PCI device
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: the IOMMU cannot serve address
 *     translation requests of the PCI device; do not show ATS to a guest
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/**
 * enum iommufd_hw_info_flags - Flags of IOMMU_GET_HW_INFO
 * @IOMMU_HW_INFO_FLAG_INPUT_TYPE: in_data_type says which kind is wanted
 */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};

/**
 * struct iommu_hw_info - Argument of IOMMU_GET_HW_INFO
 * @size: sizeof(struct iommu_hw_info)
 * @flags: combination of enum iommufd_hw_info_flags
 * @dev_id: device whose IOMMU is asked about
 * @data_len: in: size of the buffer in bytes; out: size of the data, also when
 *            it did not fit
 * @data_uptr: address of the buffer, may be 0 when @data_len is 0
 * @in_data_type: with IOMMU_HW_INFO_FLAG_INPUT_TYPE: wanted kind, one of enum
 *                iommu_hw_info_type
 * @out_data_type: kind of the data, one of enum iommu_hw_info_type
 * @out_max_pasid_log2: log2 of the number of PASIDs that can be used, 0 for
 *                      none
 * @__reserved: must be 0
 * @out_capabilities: combination of enum iommufd_hw_capabilities; only
 *                    returned if @size covers it
 *
 * The buffer receives the data as far as it fits; what is left of it is set to
 * zero. IOMMU_HW_INFO_TYPE_NONE means that the driver of the IOMMU reports no
 * data, the other results are valid then too.
 *
 * Return: 0, or -1 with errno
 *
 * - EOPNOTSUPP: the wanted kind is not available, the device has no IOMMU, or
 *   a flag or reserved field is set.
 * - ENOENT, EFAULT, ENOMEM: see the common rules.
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	union {
		__u32 in_data_type;
		__u32 out_data_type;
	};
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};

#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

/*
 * Dirty tracking
 */

/**
 * enum iommufd_hwpt_set_dirty_tracking_flags - Flags of
 *     IOMMU_HWPT_SET_DIRTY_TRACKING
 * @IOMMU_HWPT_DIRTY_TRACKING_ENABLE: start tracking; without it, stop
 */
enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1 << 0,
};

/**
 * struct iommu_hwpt_set_dirty_tracking - Argument of
 *     IOMMU_HWPT_SET_DIRTY_TRACKING
 * @size: sizeof(struct iommu_hwpt_set_dirty_tracking)
 * @flags: combination of enum iommufd_hwpt_set_dirty_tracking_flags
 * @hwpt_id: paging HWPT made with IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 * @__reserved: must be 0
 *
 * Starts or stops recording which memory the devices attached to this HWPT
 * write. All memory is clean when tracking starts; starting what runs already
 * changes nothing. Other HWPTs of the same IOAS are not affected.
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: no such paging HWPT.
 * - EOPNOTSUPP: it was not made for tracking, or a flag is not known.
 * - Others from the IOMMU driver.
 */
struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};

#define IOMMU_HWPT_SET_DIRTY_TRACKING \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

/**
 * enum iommufd_hwpt_get_dirty_bitmap_flags - Flags of
 *     IOMMU_HWPT_GET_DIRTY_BITMAP
 * @IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR: only read what is dirty. Cheaper, for
 *     the last look at memory that is about to be unmapped.
 */
enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1 << 0,
};

/**
 * struct iommu_hwpt_get_dirty_bitmap - Argument of IOMMU_HWPT_GET_DIRTY_BITMAP
 * @size: sizeof(struct iommu_hwpt_get_dirty_bitmap)
 * @hwpt_id: paging HWPT made with IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 * @flags: combination of enum iommufd_hwpt_get_dirty_bitmap_flags
 * @__reserved: must be 0
 * @iova: first IOVA of the range
 * @length: bytes in the range
 * @page_size: bytes one bit of the bitmap stands for, a power of two
 * @data: address of the bitmap, @length / @page_size bits, of any alignment
 *
 * Adds to a bitmap what devices wrote since they were last asked, and, unless
 * IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR is given, makes it clean again. Bit *n*
 * of the bitmap (on little-endian machines bit ``n % 8`` of byte ``n / 8``)
 * stands for the @page_size bytes at @iova + *n* * @page_size. Bits are only
 * ever set, so the caller clears the bitmap first, or collects in it.
 *
 * @iova and the end of the range have to be multiples of @page_size and of the
 * alignment of the IOAS. Hardware records at the size of its page table
 * entries: a written huge page may show as all of its parts dirty. One that
 * the range covers in part shows as that part and stays dirty, until a range
 * covers all of it. Best ask for whole mappings.
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: no such paging HWPT.
 * - EOPNOTSUPP: it was not made for tracking, or a flag or reserved field is
 *   set.
 * - EINVAL: @length or @page_size is 0, or something is not aligned.
 * - EOVERFLOW: the range wraps.
 * - ENOMEM, EFAULT: see the common rules.
 */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};

#define IOMMU_HWPT_GET_DIRTY_BITMAP \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

/*
 * Invalidation of what hardware cached of a guest's tables
 */

/**
 * enum iommu_hwpt_invalidate_data_type - Kinds of entries for
 *     IOMMU_HWPT_INVALIDATE
 * @IOMMU_HWPT_INVALIDATE_DATA_VTD_S1: struct iommu_hwpt_vtd_s1_invalidate, for
 *     a nested HWPT
 * @IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3: struct
 *     iommu_viommu_arm_smmuv3_invalidate, for a vIOMMU
 */
enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

/**
 * enum iommu_hwpt_vtd_s1_invalidate_flags - Flags of struct
 *     iommu_hwpt_vtd_s1_invalidate
 * @IOMMU_VTD_INV_FLAGS_LEAF: only last-level entries changed, caches of the
 *     levels above may stay
 */
enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

/**
 * struct iommu_hwpt_vtd_s1_invalidate - Invalidate part of a VT-d stage 1
 * @addr: first address, a multiple of 4 KiB
 * @npages: number of 4 KiB pages; U64_MAX with an @addr of 0 for everything
 * @flags: combination of enum iommu_hwpt_vtd_s1_invalidate_flags
 * @__reserved: must be 0
 *
 * Also covers what devices cached through ATS.
 */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
};

/**
 * struct iommu_viommu_arm_smmuv3_invalidate - An SMMUv3 command from the guest
 * @cmd: the command as the guest wrote it into its queue, little endian. One
 *       of CMD_TLBI_NSNH_ALL, CMD_TLBI_NH_VA, CMD_TLBI_NH_VAA,
 *       CMD_TLBI_NH_ALL, CMD_TLBI_NH_ASID, CMD_ATC_INV, CMD_CFGI_CD,
 *       CMD_CFGI_CD_ALL. A stream ID in it is the virt_id of a vDEVICE; the
 *       kernel fills in the VMID.
 *
 * Any other command, a field the hardware has no use for, and a stream ID
 * without vDEVICE give EIO.
 */
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2];
};

/**
 * struct iommu_hwpt_invalidate - Argument of IOMMU_HWPT_INVALIDATE
 * @size: sizeof(struct iommu_hwpt_invalidate)
 * @hwpt_id: nested HWPT or vIOMMU
 * @data_uptr: address of an array of entries
 * @data_type: kind of the entries, one of enum
 *             iommu_hwpt_invalidate_data_type
 * @entry_len: size of one entry in bytes, at most a page
 * @entry_num: in: number of entries; out, also on failure: how many of them
 *             have been handled, counted from the first
 * @__reserved: must be 0
 *
 * Applies what a guest asks of its IOMMU after it changed its tables. Entries
 * are handled in order, up to the first one that is wrong. On return the
 * handled ones are complete. An @entry_num of 0 on input finds out whether
 * @data_type is supported.
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: nothing has this ID.
 * - EINVAL: it is neither a nested HWPT nor a vIOMMU, the driver does not know
 *   @data_type, there are more than 524288 entries, or @entry_len or
 *   @data_uptr is wrong.
 * - EOPNOTSUPP: it takes no invalidations, or a reserved field is set.
 * - EFAULT, E2BIG, EINVAL, EOPNOTSUPP, EIO: the entry at index @entry_num is
 *   wrong.
 */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};

#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)

/*
 * Page faults
 */

/**
 * enum iommu_hwpt_pgfault_flags - Flags of struct iommu_hwpt_pgfault
 * @IOMMU_PGFAULT_FLAGS_PASID_VALID: pasid is meaningful
 * @IOMMU_PGFAULT_FLAGS_LAST_PAGE: last fault of its group
 */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1,
};

/**
 * enum iommu_hwpt_pgfault_perm - What a device wanted to do
 * @IOMMU_PGFAULT_PERM_READ: read
 * @IOMMU_PGFAULT_PERM_WRITE: write
 * @IOMMU_PGFAULT_PERM_EXEC: execute
 * @IOMMU_PGFAULT_PERM_PRIV: any of these in privileged mode
 */
enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1 << 0,
	IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
	IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
	IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

/**
 * struct iommu_hwpt_pgfault - A page fault, as read from a fault queue
 * @flags: combination of enum iommu_hwpt_pgfault_flags
 * @dev_id: device that faulted
 * @pasid: Process Address Space ID of the access
 * @grpid: Page Request Group Index, as the device sent it
 * @perm: combination of enum iommu_hwpt_pgfault_perm
 * @__reserved: 0
 * @addr: address that faulted
 * @length: a hint how many bytes the device wants, 0 for no hint
 * @cookie: what to answer with; the same for all faults of a group, never 0
 *
 * Faults come in groups, the last of which has IOMMU_PGFAULT_FLAGS_LAST_PAGE.
 * A read returns whole groups, and needs a buffer (a multiple of this
 * structure) that holds at least the first one, else EINVAL. An empty queue
 * reads as 0 bytes; wait with poll().
 */
struct iommu_hwpt_pgfault {
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length;
	__u32 cookie;
};

/**
 * enum iommufd_page_response_code - Answers to a group of page faults
 * @IOMMUFD_PAGE_RESP_SUCCESS: the cause is gone, the device shall try again
 * @IOMMUFD_PAGE_RESP_INVALID: the access is not possible
 */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/**
 * struct iommu_hwpt_page_response - An answer, as written to a fault queue
 * @cookie: cookie of the group
 * @code: one of enum iommufd_page_response_code
 *
 * One answer serves the whole group and ends its cookie. A write may hold
 * several; it returns the bytes handled, and an error (EINVAL for an unknown
 * cookie or code) only if that is none. Cookies also end when the device is
 * detached or moved to another HWPT; the kernel then answers
 * IOMMUFD_PAGE_RESP_INVALID.
 */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code;
};

/**
 * struct iommu_fault_alloc - Argument of IOMMU_FAULT_QUEUE_ALLOC
 * @size: sizeof(struct iommu_fault_alloc)
 * @flags: must be 0
 * @out_fault_id: ID of the new fault queue
 * @out_fault_fd: its file descriptor, close-on-exec: read() returns struct
 *                iommu_hwpt_pgfault, write() takes struct
 *                iommu_hwpt_page_response
 *
 * Makes a queue for the page faults of any number of HWPTs, which name it in
 * IOMMU_HWPT_ALLOC. There is only this one descriptor. It has to be closed
 * before the queue can be destroyed; closing it destroys nothing.
 *
 * Return: 0, or -1 with errno EOPNOTSUPP (flags), ENOMEM, EBUSY, EMFILE,
 * ENFILE, EFAULT
 */
struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};

#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

/*
 * Virtual IOMMUs
 */

/**
 * enum iommu_viommu_type - Kinds of vIOMMU
 * @IOMMU_VIOMMU_TYPE_DEFAULT: none, not allowed
 * @IOMMU_VIOMMU_TYPE_ARM_SMMUV3: an Arm SMMUv3
 * @IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: an Arm SMMUv3 with the command queue
 *     virtualization of Tegra241; struct iommu_viommu_tegra241_cmdqv is
 *     required
 */
enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_viommu_tegra241_cmdqv - Data of a Tegra241 CMDQV vIOMMU
 * @out_vintf_mmap_offset: offset for mmap() of the iommufd
 * @out_vintf_mmap_length: length for mmap(), in bytes
 *
 * What to map is the page of registers with which the guest drives its
 * command queues (logical vCMDQ page 0 of the VINTF).
 */
struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};

/**
 * struct iommu_viommu_alloc - Argument of IOMMU_VIOMMU_ALLOC
 * @size: sizeof(struct iommu_viommu_alloc)
 * @flags: must be 0
 * @type: one of enum iommu_viommu_type
 * @dev_id: a device behind the physical IOMMU
 * @hwpt_id: paging HWPT made with IOMMU_HWPT_ALLOC_NEST_PARENT
 * @out_viommu_id: ID of the new vIOMMU
 * @data_len: size of the data in bytes, 0 for none
 * @__reserved: must be 0
 * @data_uptr: address of the data that belongs to @type, which may be written
 *             to as well
 *
 * Makes a VM's share of one physical IOMMU, with @hwpt_id as stage 2. A VM
 * needs one for each physical IOMMU its devices are behind; they can use the
 * same HWPT. It does not depend on the device later.
 *
 * Its ID serves as pt_id of IOMMU_HWPT_ALLOC and hwpt_id of
 * IOMMU_HWPT_INVALIDATE, and for vDEVICEs, event queues and hardware queues.
 * None of these may be left, nor a mapping made with mmap(), when it is
 * destroyed.
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: no such device or paging HWPT.
 * - EINVAL: the HWPT is not a nesting parent.
 * - EOPNOTSUPP: the IOMMU offers no such vIOMMU, or @flags is not 0.
 * - Others from the IOMMU driver.
 */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};

#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)

/**
 * struct iommu_vdevice_alloc - Argument of IOMMU_VDEVICE_ALLOC
 * @size: sizeof(struct iommu_vdevice_alloc)
 * @viommu_id: vIOMMU the guest sees the device behind
 * @dev_id: device, behind the physical IOMMU of the vIOMMU
 * @out_vdevice_id: ID of the new vDEVICE
 * @virt_id: how the guest's IOMMU tables and commands name the device, for
 *           instance a stream ID on SMMUv3, a device ID on AMD; 0 is valid
 *
 * A device has at most one vDEVICE, and a virt_id names at most one on its
 * vIOMMU. When the device is unbound (its VFIO file is closed), its vDEVICE is
 * destroyed. The ID is then ENOENT and is not used again while the iommufd is
 * open.
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: no such vIOMMU or device, or the device is being unbound.
 * - EINVAL: the device is not behind the IOMMU of the vIOMMU, or a 32-bit
 *   kernel cannot represent @virt_id.
 * - EEXIST: the device has a vDEVICE, or @virt_id is taken.
 * - Others from the IOMMU driver.
 */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};

#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)

/**
 * struct iommu_ioas_change_process - Argument of IOMMU_IOAS_CHANGE_PROCESS
 * @size: sizeof(struct iommu_ioas_change_process)
 * @__reserved: must be 0
 *
 * Makes the calling process the owner of all mappings of this file, and moves
 * what is charged for them to it. For a program that passes its devices on to
 * a successor, or execs a new version of itself, while DMA goes on. Works if
 * all mappings come from files (IOMMU_IOAS_MAP_FILE, except dma-bufs): other
 * memory belongs to the address space it was mapped from.
 *
 * Return: 0, or -1 with errno
 *
 * - EINVAL: some mapping is not of a file.
 * - EBUSY: a mapping is being made or removed.
 * - ENOMEM: also when the caller's RLIMIT_MEMLOCK would be exceeded.
 * - EOPNOTSUPP: a reserved field is set.
 */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};

#define IOMMU_IOAS_CHANGE_PROCESS \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

/*
 * Events of virtual IOMMUs
 */

/**
 * enum iommu_veventq_flag - Flags of struct iommufd_vevent_header
 * @IOMMU_VEVENTQ_FLAG_LOST_EVENTS: no event follows; events were lost, the
 *     latest of which had this sequence number
 */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1 << 0,
};

/**
 * struct iommufd_vevent_header - What each record of an event queue starts with
 * @flags: combination of enum iommu_veventq_flag
 * @sequence: number of the event; counts all events since the queue was made,
 *            lost ones included, from 0 to INT_MAX and then from 0 again
 *
 * Without IOMMU_VEVENTQ_FLAG_LOST_EVENTS the event follows, in the structure
 * that belongs to the type of the queue. A step of more than one in @sequence
 * means that events in between were lost.
 */
struct iommufd_vevent_header {
	__u32 flags;
	__u32 sequence;
};

/**
 * enum iommu_veventq_type - Kinds of events
 * @IOMMU_VEVENTQ_TYPE_DEFAULT: none, not allowed
 * @IOMMU_VEVENTQ_TYPE_ARM_SMMUV3: struct iommu_vevent_arm_smmuv3
 * @IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV: struct iommu_vevent_tegra241_cmdqv
 */
enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_vevent_arm_smmuv3 - An event of a virtual SMMUv3
 * @evt: the event record of the hardware, little endian, with the virt_id of
 *       the vDEVICE as its stream ID; ready for the event queue of the guest
 *
 * Events about stage 1 and the context descriptors only.
 */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

/**
 * struct iommu_vevent_tegra241_cmdqv - Errors of a guest's command queues
 * @lvcmdq_err_map: 128 bits, little endian, one for each command queue of the
 *                  VM (VINTF LVCMDQ_ERR_MAP); look at the status register of a
 *                  queue whose bit is set
 */
struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/**
 * struct iommu_veventq_alloc - Argument of IOMMU_VEVENTQ_ALLOC
 * @size: sizeof(struct iommu_veventq_alloc)
 * @flags: must be 0
 * @viommu_id: vIOMMU whose events are wanted
 * @type: one of enum iommu_veventq_type; one queue of each can exist
 * @veventq_depth: events to hold until they are read, 1 to 524288
 * @out_veventq_id: ID of the new queue
 * @out_veventq_fd: its file descriptor, close-on-exec, to read from
 * @__reserved: must be 0
 *
 * A read returns as many whole records, each a struct iommufd_vevent_header
 * and its event, as fit; EINVAL if not even one does. An empty queue reads as 0
 * bytes; wait with poll(). Events beyond @veventq_depth are lost, which the
 * queue records.
 *
 * There is only this one descriptor. It has to be closed before the queue can
 * be destroyed; closing it destroys nothing.
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: no such vIOMMU.
 * - EEXIST: it has a queue of this type.
 * - EINVAL: @veventq_depth is out of range.
 * - EOPNOTSUPP: @type is not a kind of event, or a flag or reserved field is
 *   set.
 * - ENOMEM, EBUSY, EMFILE, ENFILE, EFAULT.
 */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};

#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)

/*
 * Guest queues that hardware reads
 */

/**
 * enum iommu_hw_queue_type - Kinds of hardware queue
 * @IOMMU_HW_QUEUE_TYPE_DEFAULT: none, not allowed
 * @IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV: a command queue of Tegra241 CMDQV.
 *     Queues are made with index 0, 1, ... in order and destroyed in the
 *     opposite order; their length is a power of two, and the memory is
 *     aligned to it.
 */
enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/**
 * struct iommu_hw_queue_alloc - Argument of IOMMU_HW_QUEUE_ALLOC
 * @size: sizeof(struct iommu_hw_queue_alloc)
 * @flags: must be 0
 * @viommu_id: vIOMMU the queue belongs to
 * @type: one of enum iommu_hw_queue_type
 * @index: which of the vIOMMU's queues of this type
 * @out_hw_queue_id: ID of the new queue
 * @nesting_parent_iova: guest physical address of the queue memory, that is an
 *                       IOVA in the nesting parent of the vIOMMU
 * @length: size of the queue memory in bytes
 *
 * Lets hardware read a queue in guest memory without the VMM. The memory has
 * to be mapped, readable, and consecutive in physical memory (a huge page in
 * the VMM takes care of that). It stays pinned while the queue exists, and
 * mappings that contain it cannot be unmapped (EBUSY).
 *
 * Return: 0, or -1 with errno
 *
 * - ENOENT: no such vIOMMU, or part of the memory is not mapped.
 * - EOPNOTSUPP: the vIOMMU has no such queues, or a flag is set.
 * - EINVAL: @length is 0, or the memory is of a kind that cannot be used.
 * - EOVERFLOW, ERANGE: the memory range wraps or is too large.
 * - EPERM: the memory is not readable.
 * - EFAULT: the memory is not consecutive.
 * - EADDRINUSE: a mapping of the IOAS is not aligned to the page size.
 * - EEXIST, EIO, EINVAL: the driver does not accept @index.
 */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};

#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

#endif /* _UAPI_IOMMUFD_H */
