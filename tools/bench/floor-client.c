// SPDX-License-Identifier: GPL-2.0-only
#include "floor-client.h"
#include "memory.h"
#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>

const char *floor_open(int *fd, const char *device)
{
	int rc;

	*fd = open("/dev/bench_floor", O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return "the module bench_floor is not loaded";
	rc = pci_bind(device, "bench_floor");
	return rc ? strerror(rc) : NULL;
}

int floor_memory(int fd, const struct memory *memory, size_t bytes,
		 unsigned int repeat, struct bench_floor *floor)
{
	*floor = (struct bench_floor){
		.pin = BENCH_PIN_USER,
		.fd = memory->fd,
		.start = (uintptr_t)memory->start,
		.npages = bytes / BENCH_PAGE,
		.repeat = repeat,
	};

	if (memory->kind == MEMORY_HUGETLB || memory->kind == MEMORY_ALIASED) {
		floor->pin = BENCH_PIN_HUGETLB;
	} else if (memory->fd >= 0) {
		floor->pin = BENCH_PIN_FILE;
		floor->start = 0;
	}
	return ioctl(fd, BENCH_FLOOR, floor) ? errno : 0;
}
