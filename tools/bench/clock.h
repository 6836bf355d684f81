/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counter everything is measured with. In a VM run with -icount shift=0 an
 * instruction takes one nanosecond and the counter follows that: the TSC counts
 * instructions, CNTVCT a fixed fraction of them.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>

static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t now;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(now) :: "memory");
	return now;
#else
#error "Tell how to read the counter of this architecture."
#endif
}

/* Instructions per tick */
static inline double tick_insns(void)
{
#if defined(__aarch64__)
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	return 1e9 / hz;
#else
	return 1.0;
#endif
}

#endif
