/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rows have in common that tell how a cost grows.
 */
#ifndef BENCH_GROWTH_H
#define BENCH_GROWTH_H

#include <stdint.h>

struct iommufd_space;
struct sample;

/* So many calls are counted at each point */
#define CALLS 64

/**
 * struct point - how much there is of something
 * @of: of what
 * @number: how much
 */
struct point {
	const char *of;
	unsigned long number;
};

void report_point(const struct point *point, const char *what,
		  const struct sample *sample, double per, const char *unit);
/* That it could not be measured, if @rc is an errno */
void report_rc(const struct point *point, const char *what, int rc);

/* One page, mapped and unmapped at a place that depends on the turn */
void measure_page(const struct point *point, struct iommufd_space *space,
		  void *page,
		  uint64_t (*place)(const struct point *point,
				    unsigned int turn));

#endif
