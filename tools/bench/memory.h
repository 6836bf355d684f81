/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory that gets mapped.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB 1024ul
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* What a page is in all figures, whatever the memory consists of */
#define BENCH_PAGE (4 * KIB)

/**
 * enum memory_kind - What memory there is
 * @MEMORY_ANON: anonymous, no transparent huge pages
 * @MEMORY_THP: anonymous, nothing but transparent huge pages
 * @MEMORY_HUGETLB: anonymous of hugetlbfs
 * @MEMORY_MEMFD: a memfd
 * @MEMORY_MEMFD_HUGETLB: a memfd of hugetlbfs
 * @MEMORY_SCATTERED: anonymous, no page follows another in physical memory
 * @MEMORY_ALIASED: a memfd of hugetlbfs that appears in memory several times
 */
enum memory_kind {
	MEMORY_ANON,
	MEMORY_THP,
	MEMORY_HUGETLB,
	MEMORY_MEMFD,
	MEMORY_MEMFD_HUGETLB,
	MEMORY_SCATTERED,
	MEMORY_ALIASED,
};

/**
 * struct memory - some memory, all there
 * @kind: what
 * @start: where
 * @bytes: how much
 * @fd: the memfd, or -1
 * @hidden: MEMORY_SCATTERED: holds the pages between
 */
struct memory {
	enum memory_kind kind;
	void *start;
	size_t bytes;
	int fd;
	void *hidden;
};

const char *memory_name(enum memory_kind kind);
/* Whether hugetlbfs has to provide it */
bool memory_is_hugetlb(enum memory_kind kind);

/*
 * Returns NULL, or why it cannot be had. MEMORY_ALIASED takes no more than
 * @real bytes of physical memory; the others do not look at it.
 */
const char *memory_alloc(struct memory *memory, enum memory_kind kind,
			 size_t bytes, size_t real);
void memory_free(struct memory *memory);

/* Bytes that hugetlbfs could still provide */
size_t memory_hugetlb_free(void);

#endif
