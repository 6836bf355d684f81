/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOVA space of an IOAS: which IOVA is mapped to which backing, and the
 * domains that mirror it.
 */
#ifndef __IOMMUFD_IO_PAGETABLE_H
#define __IOMMUFD_IO_PAGETABLE_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/xarray.h>

#include "iova_space.h"

/**
 * struct io_pagetable - an IOVA space and its mirrors
 * @domains_rwsem: see the list of locks in ctx.h
 * @domain_pins: pages that areas have pinned on behalf of domains, for whoever
 *	looks. It is next to @domains_rwsem since those who pin have just written
 *	to that, too.
 * @access_pins: the same on behalf of accesses; what several pin counts several
 *	times
 * @domains: struct iopt_domain.item, under @domains_rwsem
 * @nr_domains: how many; changed under @domains_rwsem
 * @context: number of the context, for tracepoints; constant
 * @id: ID of the IOAS, for tracepoints; constant
 * @iova_mutex: protects @space, @iova_alignment, and the state and place of each
 *	area. An area stays where it is, too, while it is busy or not live, or
 *	@domains_rwsem is held for writing.
 * @space: areas, reserved and allowed ranges
 * @iova_alignment: bytes; every area obeys it
 * @large_pages: IOPTEs may be larger than PAGE_SIZE; under @domains_rwsem and
 *	@iova_mutex
 * @can_cut: mappings may be cut at page boundaries; implied by not
 *	@large_pages; under the same locks
 * @invalid_vaddrs: areas that are not AREA_VADDR_VALID; under @iova_mutex
 * @accesses: struct iopt_user by index; changed under @domains_rwsem and
 *	@iova_mutex
 * @log_on: the dirty log runs; set under @domains_rwsem, and cleared under
 *	@iova_mutex as well
 * @log_written: IOVA >> PAGE_SHIFT of pages that accesses wrote to since the log
 *	was read; own lock
 */
struct io_pagetable {
	struct rw_semaphore domains_rwsem;
	atomic_long_t domain_pins;
	atomic_long_t access_pins;
	struct list_head domains;
	unsigned int nr_domains;
	u64 context;
	u32 id;

	struct mutex iova_mutex; /* IOVA, and the state of areas */
	struct iova_space space;
	unsigned long iova_alignment;
	bool large_pages;
	bool can_cut;
	unsigned long invalid_vaddrs;

	struct xarray accesses;

	bool log_on;
	struct xarray log_written;
};

/**
 * enum iopt_dirty_user - on whose behalf a domain tracks what devices write to
 * @IOPT_DIRTY_HWPT: user space, with the ioctls of the HWPT
 * @IOPT_DIRTY_LOG: the dirty log of the IOVA space
 * @IOPT_DIRTY_USERS: how many there are
 */
enum iopt_dirty_user {
	IOPT_DIRTY_HWPT,
	IOPT_DIRTY_LOG,
	IOPT_DIRTY_USERS,
};

/**
 * struct iopt_dirty_state - dirty tracking of a domain for one user
 * @on: the domain tracks for this user
 * @missed: another user read and cleared what this one has not seen yet
 * @first: first IOVA of an interval with all of that
 * @last: its last IOVA
 */
struct iopt_dirty_state {
	bool on;
	bool missed;
	unsigned long first;
	unsigned long last;
};

/**
 * struct iopt_domain - a domain that mirrors an IOVA space
 * @item: on io_pagetable.domains
 * @domain: the domain, owned by whoever embeds this
 * @noiommu: a software page table; IOAS_NOIOMMU_GET_PA may rely on it; constant
 * @coherent: it overrides the no-snoop attribute of devices; constant
 * @dirty: for each enum iopt_dirty_user; under io_pagetable.domains_rwsem, held
 *	for reading only together with iova_mutex
 */
struct iopt_domain {
	struct list_head item;
	struct iommu_domain *domain;
	bool noiommu;
	bool coherent;
	struct iopt_dirty_state dirty[IOPT_DIRTY_USERS];
};

/* Bytes; what a domain needs of every area */
static inline unsigned long
iopt_domain_alignment(const struct iopt_domain *idom)
{
	return 1UL << __ffs(idom->domain->pgsize_bitmap);
}

struct iopt_user;

/**
 * struct iopt_user_ops - what users of an IOVA space do when told to
 * @unmap: drop all pins in the interval of IOVA. May sleep; called without locks,
 *	possibly several times at once, and also for what is not pinned.
 */
struct iopt_user_ops {
	void (*unmap)(struct iopt_user *user, unsigned long iova,
		      unsigned long length);
};

/**
 * struct iopt_user - who uses the memory of an IOVA space within the kernel
 * @ops: operations; NULL when it cannot be told to drop its pins; constant
 * @alignment: bytes; what it needs of every area; constant
 * @callbacks: how many unmaps are in @ops right now; it stays in the space
 *	meanwhile. Raised under xa_lock of io_pagetable.accesses.
 */
struct iopt_user {
	const struct iopt_user_ops *ops;
	unsigned long alignment;
	atomic_t callbacks;
};

void iopt_init(struct io_pagetable *iopt);

/* Under io_pagetable.domains_rwsem and iova_mutex */
int iopt_check_alignment(struct io_pagetable *iopt, unsigned long alignment);
void iopt_update_alignment(struct io_pagetable *iopt);

/* Reserved and allowed ranges, huge pages */
int iopt_reserve(struct io_pagetable *iopt, unsigned long start,
		 unsigned long last, void *owner);
void iopt_unreserve(struct io_pagetable *iopt, void *owner);
int iopt_set_allowed(struct io_pagetable *iopt, struct rb_root_cached *allowed);
int iopt_set_huge_pages(struct io_pagetable *iopt, bool enable);
int iopt_allow_cuts(struct io_pagetable *iopt);
void iopt_forbid_cuts(struct io_pagetable *iopt);

/* Queries */
int iopt_is_coherent(struct io_pagetable *iopt);
int iopt_page_sizes(struct io_pagetable *iopt, u64 *sizes);
int iopt_noiommu_get_pa(struct io_pagetable *iopt, unsigned long iova,
			u64 *length, u64 *phys);
bool iopt_is_bisected(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last);
bool iopt_is_busy(struct io_pagetable *iopt, unsigned long iova,
		  unsigned long last);

/**
 * struct iopt_report - what an IOVA space holds, for people to look at
 * @mapped: bytes of IOVA that are taken, also by what comes or goes just now
 * @areas: mappings, likewise
 * @pinned: bytes that are pinned for domains
 * @access_pinned: bytes that are pinned for accesses; what several pin counts
 *	several times
 * @domains: domains that mirror it
 * @large_pages: IOPTEs may be larger than PAGE_SIZE
 * @log_on: the dirty log runs
 */
struct iopt_report {
	unsigned long mapped;
	unsigned long areas;
	unsigned long pinned;
	unsigned long access_pinned;
	unsigned int domains;
	bool large_pages;
	bool log_on;
};

struct pages_bill;

long iopt_count_pinned(struct io_pagetable *iopt);
void iopt_report(struct io_pagetable *iopt, struct iopt_report *report);
int iopt_report_payer(struct io_pagetable *iopt, struct pages_bill *bill);

#endif
