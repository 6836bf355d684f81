/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Native VFIO: a type1 container with one device, to compare with.
 */
#ifndef BENCH_TYPE1_H
#define BENCH_TYPE1_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct type1 - a container
 * @container: file descriptor
 * @group: file descriptor
 * @device: file descriptor; as long as it is open the container can map
 */
struct type1 {
	int container;
	int group;
	int device;
};

/* Returns NULL, or why it cannot be had */
const char *type1_open(struct type1 *type1, const char *device);
/* These return 0 or an errno */
int type1_map(struct type1 *type1, uint64_t iova, void *start, size_t bytes);
int type1_unmap(struct type1 *type1, uint64_t iova, size_t bytes);

#endif
