// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "memory.h"
#include "kernel-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE (2 * MIB)

static const struct {
	const char *name;
	bool hugetlb;
} kinds[] = {
	[MEMORY_ANON] = { "anon-4k", false },
	[MEMORY_THP] = { "anon-thp", false },
	[MEMORY_HUGETLB] = { "hugetlb", true },
	[MEMORY_MEMFD] = { "memfd-4k", false },
	[MEMORY_MEMFD_HUGETLB] = { "memfd-hugetlb", true },
	[MEMORY_SCATTERED] = { "scattered-4k", false },
	[MEMORY_ALIASED] = { "hugetlb-aliased", true },
};

const char *memory_name(enum memory_kind kind)
{
	return kinds[kind].name;
}

bool memory_is_hugetlb(enum memory_kind kind)
{
	return kinds[kind].hugetlb;
}

size_t memory_hugetlb_free(void)
{
	return read_meminfo("HugePages_Free:") * HUGE;
}

/* Address space that begins at a huge page, so that any page fits */
static void *reserve(size_t bytes)
{
	char *start = mmap(NULL, bytes + HUGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t skip;

	if (start == MAP_FAILED)
		return NULL;
	skip = -(uintptr_t)start % HUGE;
	if (skip)
		munmap(start, skip);
	munmap(start + skip + bytes, HUGE - skip);
	return start + skip;
}

static const char *place(void *start, size_t bytes, int flags, int fd)
{
	void *got = mmap(start, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
			 fd, 0);

	return got == MAP_FAILED ? strerror(errno) : NULL;
}

static void touch(char *start, size_t bytes)
{
	size_t i;

	for (i = 0; i != bytes; i += BENCH_PAGE)
		start[i] = 1;
}

/* Bytes of huge pages in the mapping at this address */
static size_t huge_bytes(const void *start)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long first, last, kib, found = 0;
	bool inside = false;
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &first, &last) == 2)
			inside = first == (uintptr_t)start;
		else if (inside &&
			 sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
			found = kib * KIB;
	}
	if (smaps)
		fclose(smaps);
	return found;
}

static const char *alloc_anon(struct memory *memory)
{
	bool thp = memory->kind == MEMORY_THP;
	const char *error;

	error = place(memory->start, memory->bytes, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1);
	if (error)
		return error;
	if (madvise(memory->start, memory->bytes,
		    thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		return strerror(errno);
	touch(memory->start, memory->bytes);
	if (huge_bytes(memory->start) != (thp ? memory->bytes : 0))
		return thp ? "not all of it became transparent huge pages" :
			     "there are transparent huge pages in it";
	return NULL;
}

/* Every second page that the kernel hands out is kept from the mapping */
static const char *alloc_scattered(struct memory *memory)
{
	const char *error = alloc_anon(memory);
	char *between, *start = memory->start;
	size_t i;

	if (error)
		return error;
	if (madvise(start, memory->bytes, MADV_DONTNEED))
		return strerror(errno);
	between = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (between == MAP_FAILED)
		return strerror(errno);
	memory->hidden = between;
	madvise(between, memory->bytes, MADV_NOHUGEPAGE);
	for (i = 0; i != memory->bytes; i += BENCH_PAGE) {
		start[i] = 1;
		between[i] = 1;
	}
	return NULL;
}

static const char *alloc_file(struct memory *memory, size_t real)
{
	bool hugetlb = memory_is_hugetlb(memory->kind);
	const char *error = NULL;
	size_t i;

	memory->fd = memfd_create("bench", MFD_CLOEXEC |
				  (hugetlb ? MFD_HUGETLB : 0));
	if (memory->fd < 0 || ftruncate(memory->fd, real))
		return strerror(errno);
	for (i = 0; !error && i != memory->bytes; i += real) {
		error = place((char *)memory->start + i, real, MAP_SHARED,
			      memory->fd);
		/* The page tables as well */
		if (!error && madvise((char *)memory->start + i, real,
				      MADV_POPULATE_WRITE))
			error = strerror(errno);
	}
	return error;
}

static const char *alloc_hugetlb(struct memory *memory)
{
	const char *error = place(memory->start, memory->bytes, MAP_PRIVATE |
				  MAP_ANONYMOUS | MAP_HUGETLB, -1);

	if (!error && madvise(memory->start, memory->bytes,
			      MADV_POPULATE_WRITE))
		error = strerror(errno);
	return error;
}

const char *memory_alloc(struct memory *memory, enum memory_kind kind,
			 size_t bytes, size_t real)
{
	const char *error = NULL;

	*memory = (struct memory){ .kind = kind, .bytes = bytes, .fd = -1 };
	if (kind != MEMORY_ALIASED)
		real = bytes;
	if (memory_is_hugetlb(kind) && memory_hugetlb_free() < real)
		return "not enough huge pages reserved";
	memory->start = reserve(bytes);
	if (!memory->start)
		return "no address space";

	switch (kind) {
	case MEMORY_ANON:
	case MEMORY_THP:
		error = alloc_anon(memory);
		break;
	case MEMORY_SCATTERED:
		error = alloc_scattered(memory);
		break;
	case MEMORY_HUGETLB:
		error = alloc_hugetlb(memory);
		break;
	case MEMORY_MEMFD:
	case MEMORY_MEMFD_HUGETLB:
	case MEMORY_ALIASED:
		error = alloc_file(memory, real);
		break;
	}
	if (error)
		memory_free(memory);
	return error;
}

void memory_free(struct memory *memory)
{
	if (memory->start)
		munmap(memory->start, memory->bytes);
	if (memory->hidden)
		munmap(memory->hidden, memory->bytes);
	if (memory->fd >= 0)
		close(memory->fd);
	memory->start = NULL;
	memory->hidden = NULL;
	memory->fd = -1;
}
