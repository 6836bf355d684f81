/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory for DMA, in base pages or hugepages, and what of it is pinned. */
#ifndef DEMO_MEMORY_H
#define DEMO_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* The kernel's base page size in bytes: 4, 16 or 64 KiB. */
size_t page_size(void);

/* @len bytes of zeroes in base pages, never transparent hugepages. */
void *alloc_pages(size_t len);

/*
 * @len bytes of zeroes in hugepages of HUGE_PAGE_SIZE, for which the pool of
 * the kernel is enlarged if it is too small. x86-64 has hugepages of 2 MiB,
 * and so has arm64 whatever the size of its base page.
 */
#define HUGE_PAGE_SIZE ((size_t)2 << 20)

void *alloc_hugepages(size_t len);

void free_memory(void *va, size_t len);

/* Gives back what alloc_hugepages() added to the kernel's pool. */
void restore_hugepage_pool(void);

/*
 * Bytes of this process that are pinned: VmPin of /proc/self/status. A pinned
 * page stays where it is, because a device knows its physical address.
 */
uint64_t pinned_bytes(void);

#endif
