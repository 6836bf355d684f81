/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What iommufd-bench and the module bench_floor say to each other.
 *
 * The module measures what any driver of /dev/iommu has to spend: pinning
 * alone, filling and clearing an I/O page table alone. Nothing of iommufd or of
 * VFIO runs while it counts. Times are in ticks of the counter that user space
 * reads as well (the TSC, CNTVCT).
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * enum bench_floor_pin - How memory is pinned
 * @BENCH_PIN_USER: pin_user_pages_fast() in batches of 64 KiB of pointers
 * @BENCH_PIN_HUGETLB: one page of every huge page by pin_user_pages_fast(), the
 *	rest of it by folio_add_pins()
 * @BENCH_PIN_FILE: memfd_pin_folios() in batches, folio_add_pins() for what is
 *	larger than a page
 */
enum bench_floor_pin {
	BENCH_PIN_USER,
	BENCH_PIN_HUGETLB,
	BENCH_PIN_FILE,
};

/**
 * struct bench_floor - BENCH_FLOOR: pin, map, unmap, unpin
 * @pin: in: enum bench_floor_pin
 * @fd: in: the memfd for BENCH_PIN_FILE
 * @start: in: user address or file offset, a multiple of the page size
 * @npages: in: how many pages
 * @repeat: in: how often to do it, times are sums
 * @pin_ticks: out: pinning
 * @map_ticks: out: iommu_map() of each run of consecutive page frames
 * @unmap_ticks: out: one iommu_unmap() of everything
 * @unpin_ticks: out: unpin_user_page_range_dirty_lock() of each run
 * @nr_runs: out: how many runs of consecutive page frames there are
 */
struct bench_floor {
	__u32 pin;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 npages;
	__aligned_u64 repeat;
	__aligned_u64 pin_ticks;
	__aligned_u64 map_ticks;
	__aligned_u64 unmap_ticks;
	__aligned_u64 unpin_ticks;
	__aligned_u64 nr_runs;
};

/**
 * struct bench_access - BENCH_ACCESS: use an IOAS as an in-kernel driver does
 * @iommufd: in: file descriptor
 * @ioas_id: in: where
 * @iova: in: first byte, a multiple of the page size
 * @npages: in: how many pages, at most BENCH_ACCESS_MAX_PAGES
 * @pin_ticks: out: iommufd_access_pin_pages()
 * @unpin_ticks: out: iommufd_access_unpin_pages()
 * @read_ticks: out: iommufd_access_rw(), reading, the whole range in one call
 * @write_ticks: out: the same, writing back what was read
 */
struct bench_access {
	__s32 iommufd;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 npages;
	__aligned_u64 pin_ticks;
	__aligned_u64 unpin_ticks;
	__aligned_u64 read_ticks;
	__aligned_u64 write_ticks;
};

#define BENCH_ACCESS_MAX_PAGES (64 << 8)

/**
 * struct bench_users - BENCH_USERS: have so many drivers use an IOAS
 * @iommufd: in: file descriptor
 * @ioas_id: in: where those are attached that are missing
 * @number: in: how many there are to be, at most BENCH_MAX_USERS. They stay until
 *	another call or until the file is closed.
 * @ticks: out: attaching, or detaching, as many as it took
 */
struct bench_users {
	__s32 iommufd;
	__u32 ioas_id;
	__aligned_u64 number;
	__aligned_u64 ticks;
};

#define BENCH_MAX_USERS 512

/**
 * struct bench_user_pin - BENCH_USER_PIN: the first of them pins a page
 * @iova: in: which; it stays pinned until it is unmapped
 * @ticks: out: iommufd_access_pin_pages()
 */
struct bench_user_pin {
	__aligned_u64 iova;
	__aligned_u64 ticks;
};

#define BENCH_FLOOR _IOWR('b', 0, struct bench_floor)
#define BENCH_ACCESS _IOWR('b', 1, struct bench_access)
/* Does nothing: what entering and leaving the kernel costs */
#define BENCH_NOTHING _IO('b', 2)
#define BENCH_USERS _IOWR('b', 3, struct bench_users)
#define BENCH_USER_PIN _IOWR('b', 4, struct bench_user_pin)

#endif
