/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the benchmark found, as lines for report.py:
 *
 *	@value|ROW|KIND|WHO|WHAT|MIN|MAX|UNIT
 *	@note|ROW|KIND|WHO|TEXT		not measured, and why that is no failure
 *	@missing|ROW|KIND|WHO|TEXT	could not be measured
 *
 * Other lines are for whoever watches.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdint.h>

/**
 * struct sample - repeated measurements of one thing, in ticks
 * @min: the least
 * @max: the most
 * @nr: how many
 */
struct sample {
	uint64_t min;
	uint64_t max;
	unsigned int nr;
};

void sample_add(struct sample *sample, uint64_t ticks);

/* In instructions, divided by what they were spent on; nothing if never taken */
void report_insns(const char *row, const char *kind, const char *who,
		  const char *what, const struct sample *sample, double per,
		  const char *unit);
void report_value(const char *row, const char *kind, const char *who,
		  const char *what, double min, double max, const char *unit);
void report_note(const char *row, const char *kind, const char *who,
		 const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void report_missing(const char *row, const char *kind, const char *who,
		    const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* How many report_missing() there were */
unsigned int report_failures(void);

#endif
