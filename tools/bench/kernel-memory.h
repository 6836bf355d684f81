/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What memory the kernel uses for itself.
 */
#ifndef BENCH_KERNEL_MEMORY_H
#define BENCH_KERNEL_MEMORY_H

#include <stddef.h>

/* A number of /proc/meminfo as it stands there (KiB, or a count); 0 if none */
unsigned long read_meminfo(const char *name);

/**
 * struct kernel_memory - in bytes
 * @objects: what the kernel allocated for its structures (slab and vmalloc)
 * @tables: page tables of IOMMUs
 */
struct kernel_memory {
	long objects;
	long tables;
};

void kernel_memory_read(struct kernel_memory *memory);

#endif
