/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dirty log of an IOVA space: what may have been written to since it was
 * last read, by whomever. VFIO containers have one.
 */
#ifndef __IOMMUFD_DIRTY_LOG_H
#define __IOMMUFD_DIRTY_LOG_H

#include <linux/types.h>

struct io_pagetable;
struct iopt_area;
struct iopt_domain;

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

/* For accesses: the CPU may have written to a part of the area until now */
void area_log_write(struct iopt_area *area, unsigned long iova,
		    unsigned long last);

#endif
