// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "memory.h"
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAP_HUGE_2M (21 << 26)	/* log2 of the size, << MAP_HUGE_SHIFT */
#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static long pool_before = -1;	/* hugepages in the pool, if we changed it */

size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

void *alloc_pages(size_t len)
{
	void *va = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (va == MAP_FAILED)
		die_errno(NULL, "mmap of %s", size_str(len));
	/* Fails on a kernel that has no transparent hugepages: as well. */
	madvise(va, len, MADV_NOHUGEPAGE);
	memset(va, 0, len);
	return va;
}

static long pool_read(const char *attribute)
{
	long value = -1;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), POOL "%s", attribute);
	f = fopen(path, "r");
	if (!f)
		die_errno(NULL, "read %s (CONFIG_HUGETLBFS is needed)", path);
	if (fscanf(f, "%ld", &value) != 1)
		die("%s holds no number", path);
	fclose(f);
	return value;
}

static void pool_resize(long pages)
{
	FILE *f = fopen(POOL "nr_hugepages", "w");

	if (!f || fprintf(f, "%ld", pages) < 0 || fclose(f))
		die_errno(NULL, "write %ld to " POOL "nr_hugepages", pages);
}

void *alloc_hugepages(size_t len)
{
	static const struct errno_note notes[] = {
		{ ENOMEM,
		  "The pool of hugepages is too small, and memory too fragmented to enlarge it;\n"
		  "boot with hugepages=N on the kernel's command line." },
		{ EINVAL,
		  "This kernel has no hugepages of 2 MiB." },
		{ 0 }
	};
	long need = len / HUGE_PAGE_SIZE, have = pool_read("free_hugepages");
	void *va;

	if (have < need) {
		pool_before = pool_read("nr_hugepages");
		pool_resize(pool_before + need - have);
	}
	va = mmap(NULL, len, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2M,
		  -1, 0);
	if (va == MAP_FAILED)
		die_errno(notes, "mmap of %s in hugepages", size_str(len));
	memset(va, 0, len);
	return va;
}

void free_memory(void *va, size_t len)
{
	munmap(va, len);
}

void restore_hugepage_pool(void)
{
	if (pool_before >= 0)
		pool_resize(pool_before);
	pool_before = -1;
}

uint64_t pinned_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	uint64_t kib = 0;
	char line[256];
	int found = 0;

	if (!f)
		die_errno(NULL, "open /proc/self/status");
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "VmPin: %lu", &kib) == 1;
	fclose(f);
	if (!found)
		die("/proc/self/status has no line VmPin");
	return kib * 1024;
}
