/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The domains that mirror an IOVA space.
 */
#ifndef __IOMMUFD_IOPT_DOMAINS_H
#define __IOMMUFD_IOPT_DOMAINS_H

#include "io_pagetable.h"

int iopt_add_domain(struct io_pagetable *iopt, struct iopt_domain *idom);
void iopt_remove_domain(struct io_pagetable *iopt, struct iopt_domain *idom);

/* All domains, under io_pagetable.domains_rwsem */
int iopt_fill(struct io_pagetable *iopt, struct list_head *areas);
void iopt_unfill(struct io_pagetable *iopt, struct list_head *areas);

#endif
