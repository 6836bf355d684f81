/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module bench_floor: what its floor/bench_floor.h offers.
 */
#ifndef BENCH_FLOOR_CLIENT_H
#define BENCH_FLOOR_CLIENT_H

#include "floor/bench_floor.h"

#include <stddef.h>

struct memory;

/* Returns NULL, or why it cannot be had */
const char *floor_open(int *fd, const char *device);
/* Measures that memory, or its first @bytes; 0 or an errno */
int floor_memory(int fd, const struct memory *memory, size_t bytes,
		 unsigned int repeat, struct bench_floor *floor);

#endif
