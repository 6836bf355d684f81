/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dirty log of an IOVA space: what may have been written to since it was
 * last read, by whomever. VFIO containers have one.
 */
#ifndef __IOMMUFD_DIRTY_LOG_H
#define __IOMMUFD_DIRTY_LOG_H

#include <linux/types.h>

#include "area.h"

int iopt_log_start(struct io_pagetable *iopt);
int iopt_log_stop(struct io_pagetable *iopt);
void iopt_log_end(struct io_pagetable *iopt);
int iopt_log_read(struct io_pagetable *iopt, unsigned long iova,
		  unsigned long length, u64 __user *data);

/* For an unmap */
typedef void (*iopt_log_then_t)(struct io_pagetable *iopt, void *opaque);

int iopt_log_check(struct io_pagetable *iopt, unsigned long iova,
		   unsigned long length, u64 __user *data);
int iopt_log_report(struct io_pagetable *iopt, unsigned long iova,
		    unsigned long length, u64 __user *data,
		    iopt_log_then_t then, void *opaque);

/* For whoever changes areas or domains, under io_pagetable.domains_rwsem */
void iopt_log_add_domain(struct io_pagetable *iopt, struct iopt_domain *idom);
void iopt_log_forget(struct io_pagetable *iopt);
void iopt_log_drop(struct io_pagetable *iopt, struct iopt_area *area);

/* For area_log_write() only */
void area_log_written(struct iopt_area *area, unsigned long iova,
		      unsigned long last);

/**
 * area_log_write() - the CPU may have written to a part of an area until now
 * @area: the area, which is busy
 * @iova: first byte
 * @last: last byte
 */
static inline void area_log_write(struct iopt_area *area, unsigned long iova,
				  unsigned long last)
{
	might_lock(&area->iopt->iova_mutex);

	/*
	 * Orders what was written before the look at the log. Whoever starts it
	 * and then reads the memory sees the write, unless the log is seen here
	 * to run. Pairs with the barrier of iopt_log_start(), and for the latch
	 * of area_log_written() with atomic_cmpxchg() in log_read_latch().
	 */
	smp_mb();
	if (unlikely(READ_ONCE(area->iopt->log_on)))
		area_log_written(area, iova, last);
}

#endif
