/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that do random operations against each other until the time is over,
 * and until each operation has succeeded at least once, as one that never does
 * is tested for nothing.
 */
#ifndef __STRESS_H
#define __STRESS_H

#include <stdarg.h>
#include <time.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

/* A wait that went wrong gives up after a minute only */
#define LONG_CALL 25
/* How long a slow machine may take on top for the rarest success */
#define MORE_SECONDS 120
#define MAX_OPS 64
/* Above every errno that an operation could return */
#define NERRNOS 256

/* What an operation returns that chose to do nothing, or found nothing to do */
#define NOT_NOW -1

struct worker;

struct op {
	const char *name;
	/* 0, an errno or NOT_NOW */
	int (*fn)(struct worker *w);
	unsigned int weight;
};

struct stress {
	const struct op *ops;
	unsigned int nops;
	const int *errnos;	/* those that make sense */
	unsigned int nerrnos;
	time_t end;
	bool failed;
	char msg[200];		/* of the first failure */
	unsigned long not_now[MAX_OPS], results[MAX_OPS][NERRNOS];
};

static inline time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static inline unsigned int env_num(const char *name, unsigned int def)
{
	const char *val = getenv(name);

	return val ? strtoul(val, NULL, 0) : def;
}

/* Ends it all, and says why */
static inline void __attribute__((format(printf, 2, 3)))
stress_fail(struct stress *s, const char *fmt, ...)
{
	va_list args;

	if (__atomic_exchange_n(&s->failed, true, __ATOMIC_RELAXED))
		return;
	va_start(args, fmt);
	vsnprintf(s->msg, sizeof(s->msg), fmt, args);
	va_end(args);
}

static inline bool makes_sense(const struct stress *s, int rc)
{
	if (rc == NOT_NOW || !rc)
		return true;
	for (unsigned int i = 0; i < s->nerrnos; i++)
		if (s->errnos[i] == rc)
			return true;
	return false;
}

static inline bool all_succeeded(struct stress *s)
{
	for (unsigned int i = 0; i < s->nops; i++)
		if (!__atomic_load_n(&s->results[i][0], __ATOMIC_RELAXED))
			return false;
	return true;
}

static inline bool goes_on(struct stress *s)
{
	time_t t = now();

	if (__atomic_load_n(&s->failed, __ATOMIC_RELAXED))
		return false;
	return t < s->end || (t < s->end + MORE_SECONDS && !all_succeeded(s));
}

static inline void do_one(struct stress *s, struct worker *w, unsigned int i)
{
	const struct op *op = &s->ops[i];
	time_t start = now();
	int rc;

	rc = op->fn(w);
	__atomic_add_fetch(rc < 0 || rc >= NERRNOS ? &s->not_now[i] :
						     &s->results[i][rc],
			   1, __ATOMIC_RELAXED);
	if (!makes_sense(s, rc))
		stress_fail(s, "%s: %s", op->name, strerror(rc));
	if (now() - start > LONG_CALL)
		stress_fail(s, "%s took %ld s", op->name,
			    (long)(now() - start));
}

/* What each thread does */
static inline void stress_run(struct stress *s, struct worker *w, __u64 *seed)
{
	unsigned int total = 0;

	for (unsigned int i = 0; i < s->nops; i++)
		total += s->ops[i].weight;
	while (goes_on(s)) {
		unsigned int i = 0, k = rnd(seed) % total;

		while (k >= s->ops[i].weight)
			k -= s->ops[i++].weight;
		do_one(s, w, i);
	}
}

/* When all threads have ended: nothing went wrong, and everything worked */
static inline void stress_report(struct __test_metadata *_metadata,
				 const struct stress *s)
{
	for (unsigned int i = 0; i < s->nops; i++) {
		const unsigned long *results = s->results[i];
		char errors[600] = {};
		size_t len = 0;

		for (int rc = 1; rc < NERRNOS && len < sizeof(errors); rc++)
			if (results[rc])
				len += snprintf(errors + len,
						sizeof(errors) - len,
						", %lu %s", results[rc],
						strerror(rc));
		TH_LOG("%s: %lu succeeded%s", s->ops[i].name, results[0],
		       errors);
		EXPECT_LT(0, results[0])
			TH_LOG("%s never succeeded, %lu times not tried",
			       s->ops[i].name, s->not_now[i]);
	}
	EXPECT_STREQ("", s->msg);
}

#endif
