/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The interface between the test programs of iommufd and the mock IOMMU driver
 * that CONFIG_IOMMUFD_TEST adds. Both sides include this file. It is not for
 * programs in use, and is not installed.
 */
#ifndef _UAPI_IOMMUFD_TEST_H
#define _UAPI_IOMMUFD_TEST_H

#include <linux/iommufd.h>
#include <linux/types.h>

/* Values of op in struct iommu_test_cmd, where they are described */
enum {
	IOMMU_TEST_OP_ADD_RESERVED = 1,
	IOMMU_TEST_OP_MOCK_DOMAIN = 2,
	IOMMU_TEST_OP_MD_CHECK_MAP = 3,
	IOMMU_TEST_OP_MD_CHECK_REFS = 4,
	IOMMU_TEST_OP_CREATE_ACCESS = 5,
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES = 6,
	IOMMU_TEST_OP_ACCESS_PAGES = 7,
	IOMMU_TEST_OP_ACCESS_RW = 8,
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT = 9,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE = 10,
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS = 11,
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS = 12,
	IOMMU_TEST_OP_DIRTY = 13,
	IOMMU_TEST_OP_MD_CHECK_IOTLB = 14,
	IOMMU_TEST_OP_TRIGGER_IOPF = 15,
	IOMMU_TEST_OP_DEV_CHECK_CACHE = 16,
	IOMMU_TEST_OP_TRIGGER_VEVENT = 17,
	IOMMU_TEST_OP_PASID_ATTACH = 18,
	IOMMU_TEST_OP_PASID_REPLACE = 19,
	IOMMU_TEST_OP_PASID_DETACH = 20,
	IOMMU_TEST_OP_PASID_CHECK_HWPT = 21,
	IOMMU_TEST_OP_DMABUF_GET = 22,
	IOMMU_TEST_OP_DMABUF_REVOKE = 23,

	/* Of this implementation only, so they begin far behind */
	IOMMU_TEST_OP_MOCK_DEVICE = 64,
	IOMMU_TEST_OP_BIND_AGAIN = 65,
};

/* pagetable_type in struct iommu_hwpt_selftest */
enum {
	/* Pages from MOCK_PAGE_SIZE up, inside the aperture below */
	MOCK_IOMMUPT_DEFAULT = 0,
	/* Pages of PAGE_SIZE and MOCK_HUGE_PAGE_SIZE */
	MOCK_IOMMUPT_HUGE = 1,
};

enum {
	/* First and last IOVA of a default page table */
	MOCK_APERTURE_START = 1UL << 24,
	MOCK_APERTURE_LAST = (1UL << 31) - 1,
	/* Less than a CPU page, to exercise mappings of parts of one */
	MOCK_PAGE_SIZE = 2048,
	MOCK_HUGE_PAGE_SIZE = 512 * MOCK_PAGE_SIZE,
};

/* Flags of ACCESS_PAGES; SYZ also of ACCESS_RW and of IOMMU_IOAS_COPY */
enum {
	MOCK_FLAGS_ACCESS_WRITE = 1 << 0,
	/*
	 * The IOVA is {__u32 nth_area; __u32 offset}: so far into the nth
	 * mapping of the IOAS. A fuzzer that cannot know the result of an
	 * earlier ioctl can still hit mappings.
	 */
	MOCK_FLAGS_ACCESS_SYZ = 1 << 16,
};

/* Flags of ACCESS_RW, with the values of IOMMUFD_ACCESS_RW_* */
enum {
	MOCK_ACCESS_RW_WRITE = 1 << 0,
	MOCK_ACCESS_RW_SLOW_PATH = 1 << 2,
};

/* Flags of CREATE_ACCESS */
enum {
	MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES = 1 << 0,
	/*
	 * Of this implementation only: the driver takes half a second before it
	 * does what the first call of its unmap callback asks for. Closing the
	 * file leaves unpinning to that callback.
	 */
	MOCK_FLAGS_ACCESS_CREATE_SLOW_UNMAP = 1 << 16,
};

/* dev_flags of MOCK_DOMAIN_FLAGS and MOCK_DEVICE */
enum {
	/* The IOMMU cannot track what the device writes */
	MOCK_FLAGS_DEVICE_NO_DIRTY = 1 << 0,
	/* The device has MOCK_PASID_WIDTH bits of PASID */
	MOCK_FLAGS_DEVICE_PASID = 1 << 2,

	/* The rest is for MOCK_DEVICE only */

	/* The IOMMU can override the no-snoop attribute of its DMA */
	MOCK_FLAGS_DEVICE_ENFORCE = 1 << 16,
	/* The IOMMU does not honour IOMMU_CACHE */
	MOCK_FLAGS_DEVICE_NONCOHERENT = 1 << 17,
	/* There is no IOMMU in front of it */
	MOCK_FLAGS_DEVICE_NOIOMMU = 1 << 18,
};

/* In perm of TRIGGER_IOPF, of this implementation only */
#define MOCK_IOPF_MORE 0x80000000U

/* resv_type of MOCK_DEVICE: what the device's reserved region is */
enum {
	MOCK_RESV_NONE = 0,
	MOCK_RESV_DIRECT = 1,
	MOCK_RESV_DIRECT_RELAXABLE = 2,
	MOCK_RESV_RESERVED = 3,
	MOCK_RESV_MSI = 4,
	MOCK_RESV_SW_MSI = 5,
};

/* The words that stand for the IOTLB of a nested HWPT */
enum {
	MOCK_NESTED_DOMAIN_IOTLB_ID_MAX = 3,
	MOCK_NESTED_DOMAIN_IOTLB_NUM = 4,
};

/* The words that stand for what a device has cached */
enum {
	MOCK_DEV_CACHE_ID_MAX = 3,
	MOCK_DEV_CACHE_NUM = 4,
};

#define MOCK_PASID_WIDTH 20
/* With this PASID every second attach or replace fails with ENOMEM */
#define IOMMU_TEST_PASID_RESERVED 1024

/**
 * struct iommu_test_cmd - Argument of IOMMU_TEST_CMD
 * @size: sizeof(struct iommu_test_cmd)
 * @op: one of IOMMU_TEST_OP_*; EOPNOTSUPP if it is none
 * @id: the object or access file the operation is about. BIND_AGAIN: the
 *      device, an out_stdev_id, to bind a second time, and to unbind at once
 *      if that succeeds
 * @__reserved: ignored
 * @add_reserved: ADD_RESERVED: reserve a range of the IOAS @id
 * @add_reserved.start: first IOVA
 * @add_reserved.length: bytes
 * @mock_domain: MOCK_DOMAIN: make a mock device and attach it to @id, an IOAS
 *               or HWPT
 * @mock_domain.out_stdev_id: ID of the object that owns the device
 * @mock_domain.out_hwpt_id: ID of the HWPT that is used
 * @mock_domain.out_idev_id: ID of the DEVICE object
 * @mock_domain_flags: MOCK_DOMAIN_FLAGS: the same for a special device
 * @mock_domain_flags.out_stdev_id: as for MOCK_DOMAIN
 * @mock_domain_flags.out_hwpt_id: as for MOCK_DOMAIN
 * @mock_domain_flags.out_idev_id: as for MOCK_DOMAIN
 * @mock_domain_flags.dev_flags: combination of MOCK_FLAGS_DEVICE_*
 * @mock_domain_replace: MOCK_DOMAIN_REPLACE: move the mock device @id, an
 *                       out_stdev_id
 * @mock_domain_replace.pt_id: in: IOAS or HWPT to use, out: HWPT used
 * @check_map: MD_CHECK_MAP: EINVAL unless the paging HWPT @id translates a
 *             range to the memory at an address of the caller
 * @check_map.iova: first IOVA
 * @check_map.length: bytes
 * @check_map.uptr: address
 * @check_refs: MD_CHECK_REFS: EIO unless each page (huge ones are skipped) is
 *              pinned so often
 * @check_refs.length: bytes
 * @check_refs.uptr: address
 * @check_refs.refs: number of pins
 * @create_access: CREATE_ACCESS: make an access and attach it to the IOAS @id
 * @create_access.out_access_fd: file that stands for the access; closing it
 *                               unpins everything and destroys the access
 * @create_access.flags: combination of MOCK_FLAGS_ACCESS_CREATE_*
 * @destroy_access_pages: DESTROY_ACCESS_PAGES: unpin what one ACCESS_PAGES
 *                        pinned with the access file @id
 * @destroy_access_pages.access_pages_id: which
 * @access_pages: ACCESS_PAGES: pin a range with the access file @id
 * @access_pages.flags: combination of MOCK_FLAGS_ACCESS_*
 * @access_pages.out_access_pages_id: number for DESTROY_ACCESS_PAGES
 * @access_pages.iova: first IOVA
 * @access_pages.length: bytes
 * @access_pages.uptr: not 0: EBADE unless the pages are those at this address
 * @access_rw: ACCESS_RW: copy between caller and a range with the access file
 *             @id
 * @access_rw.iova: first IOVA
 * @access_rw.length: bytes
 * @access_rw.uptr: address of the caller's buffer
 * @access_rw.flags: combination of MOCK_ACCESS_RW_* and MOCK_FLAGS_ACCESS_SYZ
 * @memory_limit: SET_TEMP_MEMORY_LIMIT: make iommufd, for all its users, work
 *                in small steps
 * @memory_limit.limit: bytes that a scratch array may have, 65536 by default
 * @access_replace_ioas: ACCESS_REPLACE_IOAS: move the access file @id
 * @access_replace_ioas.ioas_id: IOAS to use
 * @dirty: DIRTY: write to memory like a device that is attached to the paging
 *         HWPT @id, which tracks it
 * @dirty.flags: ignored
 * @dirty.iova: first IOVA
 * @dirty.length: bytes in the range
 * @dirty.page_size: bytes one bit of the bitmap stands for
 * @dirty.uptr: address of a bitmap that tells where to write
 * @dirty.out_nr_dirty: number of bits that were set in it
 * @check_iotlb: MD_CHECK_IOTLB: EINVAL unless a word of the IOTLB of the
 *               nested HWPT @id has a value
 * @check_iotlb.id: which word
 * @check_iotlb.iotlb: its value
 * @trigger_iopf: TRIGGER_IOPF: cause a page fault
 * @trigger_iopf.dev_id: the device, an out_idev_id
 * @trigger_iopf.pasid: PASID, 0 for none
 * @trigger_iopf.grpid: Page Request Group Index
 * @trigger_iopf.perm: combination of enum iommu_hwpt_pgfault_perm, and
 *                     MOCK_IOPF_MORE if it is not the last of its group
 * @trigger_iopf.addr: address
 * @check_dev_cache: DEV_CHECK_CACHE: EINVAL unless a word of the cache of the
 *                   device @id, an out_idev_id, has a value
 * @check_dev_cache.id: which word
 * @check_dev_cache.cache: its value
 * @trigger_vevent: TRIGGER_VEVENT: cause a vIOMMU to report an event
 * @trigger_vevent.dev_id: the device, an out_idev_id
 * @pasid_attach: PASID_ATTACH: attach a PASID of the device @id, an
 *                out_stdev_id
 * @pasid_attach.pasid: PASID
 * @pasid_attach.pt_id: in: IOAS or HWPT to use, out: HWPT used
 * @pasid_replace: PASID_REPLACE: move it
 * @pasid_replace.pasid: PASID
 * @pasid_replace.pt_id: in: IOAS or HWPT to use, out: HWPT used
 * @pasid_detach: PASID_DETACH: detach it
 * @pasid_detach.pasid: PASID
 * @pasid_check: PASID_CHECK_HWPT: EINVAL unless it is attached to a HWPT
 * @pasid_check.pasid: PASID, 0 for the device without PASID
 * @pasid_check.hwpt_id: HWPT, 0 for none
 * @dmabuf_get: DMABUF_GET: make a dma-buf of zeroes; the ioctl returns its
 *              descriptor
 * @dmabuf_get.length: bytes, at most 512 pages
 * @dmabuf_get.open_flags: flags as for open()
 * @dmabuf_revoke: DMABUF_REVOKE: revoke such a dma-buf
 * @dmabuf_revoke.dmabuf_fd: its descriptor
 * @dmabuf_revoke.revoked: 0 to make it usable for new mappings again
 * @mock_device: MOCK_DEVICE: make any kind of mock device, bind it, and unless
 *               @id is 0 attach it to @id
 * @mock_device.out_stdev_id: as for MOCK_DOMAIN
 * @mock_device.out_hwpt_id: as for MOCK_DOMAIN, or 0
 * @mock_device.out_idev_id: as for MOCK_DOMAIN
 * @mock_device.dev_flags: combination of MOCK_FLAGS_DEVICE_*
 * @mock_device.sibling_id: an out_stdev_id whose IOMMU group to join, or 0 for
 *                          a group of its own
 * @mock_device.resv_type: one of MOCK_RESV_*
 * @mock_device.resv_start: first IOVA of the reserved region
 * @mock_device.resv_length: bytes
 * @last: ignored
 *
 * Results are written back into the structure. @last makes the smallest size
 * that is accepted the same for all operations.
 */
struct iommu_test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 __reserved;
	union {
		struct {
			__aligned_u64 start;
			__aligned_u64 length;
		} add_reserved;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
		} mock_domain;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
			__u32 dev_flags;
		} mock_domain_flags;
		struct {
			__u32 pt_id;
		} mock_domain_replace;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} check_map;
		struct {
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 refs;
		} check_refs;
		struct {
			__u32 out_access_fd;
			__u32 flags;
		} create_access;
		struct {
			__u32 access_pages_id;
		} destroy_access_pages;
		struct {
			__u32 flags;
			__u32 out_access_pages_id;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} access_pages;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 flags;
		} access_rw;
		struct {
			__u32 limit;
		} memory_limit;
		struct {
			__u32 ioas_id;
		} access_replace_ioas;
		struct {
			__u32 flags;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 page_size;
			__aligned_u64 uptr;
			__aligned_u64 out_nr_dirty;
		} dirty;
		struct {
			__u32 id;
			__u32 iotlb;
		} check_iotlb;
		struct {
			__u32 dev_id;
			__u32 pasid;
			__u32 grpid;
			__u32 perm;
			__u64 addr;
		} trigger_iopf;
		struct {
			__u32 id;
			__u32 cache;
		} check_dev_cache;
		struct {
			__u32 dev_id;
		} trigger_vevent;
		struct {
			__u32 pasid;
			__u32 pt_id;
		} pasid_attach;
		struct {
			__u32 pasid;
			__u32 pt_id;
		} pasid_replace;
		struct {
			__u32 pasid;
		} pasid_detach;
		struct {
			__u32 pasid;
			__u32 hwpt_id;
		} pasid_check;
		struct {
			__u32 length;
			__u32 open_flags;
		} dmabuf_get;
		struct {
			__s32 dmabuf_fd;
			__u32 revoked;
		} dmabuf_revoke;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
			__u32 dev_flags;
			__u32 sibling_id;
			__u32 resv_type;
			__aligned_u64 resv_start;
			__aligned_u64 resv_length;
		} mock_device;
	};
	__u32 last;
};

#define IOMMU_TEST_CMD _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 32)

/* Type of struct iommu_test_hw_info, and what test_reg is */
#define IOMMU_HW_INFO_TYPE_SELFTEST 0xfeedbeef
#define IOMMU_HW_INFO_SELFTEST_REGVAL 0xdeadbeef

/**
 * struct iommu_test_hw_info - Data of IOMMU_GET_HW_INFO for a mock device
 * @flags: 0
 * @test_reg: IOMMU_HW_INFO_SELFTEST_REGVAL
 */
struct iommu_test_hw_info {
	__u32 flags;
	__u32 test_reg;
};

/* Type of struct iommu_hwpt_selftest, and values for its iotlb and caches */
#define IOMMU_HWPT_DATA_SELFTEST 0xdead
#define IOMMU_TEST_IOTLB_DEFAULT 0xbadbeef
#define IOMMU_TEST_DEV_CACHE_DEFAULT 0xbaddad

/**
 * struct iommu_hwpt_selftest - Data of IOMMU_HWPT_ALLOC for a mock device
 * @iotlb: for a nested HWPT: what all words of its IOTLB start with
 * @pagetable_type: for a paging HWPT: one of MOCK_IOMMUPT_*
 */
struct iommu_hwpt_selftest {
	__u32 iotlb;
	__u32 pagetable_type;
};

/* Type of struct iommu_hwpt_invalidate_selftest, and one that is never valid */
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

/* Flag of both invalidations: all words instead of one */
#define IOMMU_TEST_INVALIDATE_FLAG_ALL 0x1

/**
 * struct iommu_hwpt_invalidate_selftest - Invalidate words of an IOTLB
 * @flags: combination of IOMMU_TEST_INVALIDATE_FLAG_*
 * @iotlb_id: which word to set to 0
 *
 * For IOMMU_HWPT_INVALIDATE of a nested HWPT.
 */
struct iommu_hwpt_invalidate_selftest {
	__u32 flags;
	__u32 iotlb_id;
};

#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeef

/**
 * struct iommu_viommu_selftest - Data of IOMMU_VIOMMU_ALLOC for a mock vIOMMU
 * @in_data: word that is stored at the start of a memory area
 * @out_data: @in_data
 * @out_mmap_offset: offset for mmap() of that area
 * @out_mmap_length: length for mmap()
 */
struct iommu_viommu_selftest {
	__u32 in_data;
	__u32 out_data;
	__aligned_u64 out_mmap_offset;
	__aligned_u64 out_mmap_length;
};

/* Type of struct iommu_viommu_invalidate_selftest, and one never valid */
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

/**
 * struct iommu_viommu_invalidate_selftest - Invalidate words of a device cache
 * @flags: combination of IOMMU_TEST_INVALIDATE_FLAG_*
 * @vdev_id: the device, by its virt_id
 * @cache_id: which word to set to 0
 *
 * For IOMMU_HWPT_INVALIDATE of a vIOMMU.
 */
struct iommu_viommu_invalidate_selftest {
	__u32 flags;
	__u32 vdev_id;
	__u32 cache_id;
};

#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeef

/**
 * struct iommu_viommu_event_selftest - An event of a mock vIOMMU
 * @virt_id: the device it is about
 */
struct iommu_viommu_event_selftest {
	__u32 virt_id;
};

#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeef
/* Queues a mock vIOMMU can have */
#define IOMMU_TEST_HW_QUEUE_MAX 2

#endif /* _UAPI_IOMMUFD_TEST_H */
