/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rooms of the module bench_floor.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <linux/errno.h>
#include <linux/timex.h>
#include <linux/types.h>

#include "bench_floor.h"

struct device;

/**
 * struct floor_run - consecutive page frames
 * @pfn: the first one
 * @npages: how many
 */
struct floor_run {
	unsigned long pfn;
	unsigned long npages;
};

/**
 * struct floor_runs - what was pinned
 * @runs: in the order of the memory; room for one entry per page
 * @nr: entries used
 * @npages: pages in all of them
 */
struct floor_runs {
	struct floor_run *runs;
	unsigned long nr;
	unsigned long npages;
};

/*
 * The counter that user space reads. Everything is done on one CPU, and under
 * -icount the counter counts instructions, so that no barrier is needed.
 */
static inline u64 floor_ticks(void)
{
	return get_cycles();
}

/* pin.c */
int floor_pin(struct floor_runs *runs, struct bench_floor *floor);
void floor_unpin(struct floor_runs *runs, struct bench_floor *floor);

/* domain.c */
int floor_map(struct device *dev, struct floor_runs *runs,
	      struct bench_floor *floor);

/* access.c */
#if IS_ENABLED(CONFIG_IOMMUFD)
int floor_access(struct bench_access *access);
int floor_users(struct bench_users *users);
int floor_user_pin(struct bench_user_pin *pin);
#else
static inline int floor_access(struct bench_access *access)
{
	return -EOPNOTSUPP;
}

static inline int floor_users(struct bench_users *users)
{
	return users->number ? -EOPNOTSUPP : 0;
}

static inline int floor_user_pin(struct bench_user_pin *pin)
{
	return -EOPNOTSUPP;
}
#endif

#endif
