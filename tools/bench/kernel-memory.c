// SPDX-License-Identifier: GPL-2.0-only
#include "kernel-memory.h"

#include <stdio.h>
#include <string.h>

unsigned long meminfo(const char *name)
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

void kernel_memory_read(struct kernel_memory *memory)
{
	FILE *refresh = fopen("/proc/sys/vm/stat_refresh", "we");

	/* Writing folds what each CPU has counted into what meminfo shows */
	if (refresh) {
		fputc('\n', refresh);
		fclose(refresh);
	}
	memory->objects = (meminfo("Slab:") + meminfo("VmallocUsed:")) * 1024;
	memory->tables = meminfo("SecPageTables:") * 1024;
}
