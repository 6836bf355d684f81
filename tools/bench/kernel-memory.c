// SPDX-License-Identifier: GPL-2.0-only
#include "kernel-memory.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

unsigned long read_meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long number, found = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)) &&
		    sscanf(line + strlen(name), "%lu", &number) == 1)
			found = number;
	}
	if (file)
		fclose(file);
	return found;
}

static void write_file(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return;
	fputs("1\n", file);
	fclose(file);
}

/* Slabs without an object in use go back to the page allocator */
static void shrink_slabs(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[512];

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 entry->d_name);
		write_file(path);
	}
	if (dir)
		closedir(dir);
}

void kernel_memory_read(struct kernel_memory *memory)
{
	shrink_slabs();
	/* Folds what each CPU has counted into what meminfo shows */
	write_file("/proc/sys/vm/stat_refresh");
	memory->objects = (read_meminfo("Slab:") +
			   read_meminfo("VmallocUsed:")) * 1024;
	memory->tables = read_meminfo("SecPageTables:") * 1024;
}
