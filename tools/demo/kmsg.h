/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding the fault report of an IOMMU in the kernel's log. */
#ifndef DEMO_KMSG_H
#define DEMO_KMSG_H

#include "iommu.h"

#include <stdbool.h>
#include <stddef.h>

/* Opens /dev/kmsg so that only messages of later are read. */
int kmsg_open_at_end(void);

/*
 * Waits up to @seconds for the report that the device was refused a write to
 * an address in [@iova, @iova + @len), in the words of the driver for @kind.
 * Copies the message to @line.
 */
bool kmsg_wait_for_fault(int kmsg, enum iommu_kind kind, uint64_t iova,
			 size_t len, double seconds, char *line, size_t size);

#endif
