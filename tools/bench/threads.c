// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wall time of one and of two threads that each map their own memory at their
 * own IOVAs, in one address space.
 */
#define _GNU_SOURCE
#include "rows.h"
#include "memory.h"
#include "report.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define THREADS 2
/*
 * The host has other things to do as well. A round takes about a millisecond,
 * so that some pass without interruption, and the best of many counts.
 */
#define ROUNDS 200
#define MAX_SECONDS 20
/* Distance of the threads' IOVAs */
#define THREAD_IOVAS (1ull << 40)

/**
 * enum whom - who is called
 * @WHOM_IOMMUFD: iommufd
 * @WHOM_NATIVE: native VFIO
 * @WHOM_NOBODY: nobody, the thread computes: what two CPUs are worth here
 */
enum whom {
	WHOM_IOMMUFD,
	WHOM_NATIVE,
	WHOM_NOBODY,
};

static const char *const whom_names[] = { "iommufd", "native", "nobody" };

/**
 * struct load - what a thread does
 * @name: for the report
 * @kind: memory
 * @bytes: of that memory
 * @part: bytes mapped by one call
 * @times: how often all of the memory is mapped, side by side
 */
struct load {
	const char *name;
	enum memory_kind kind;
	size_t bytes;
	size_t part;
	unsigned int times;
};

static const struct load loads[] = {
	{ "anon-4k, 4 MiB per call", MEMORY_ANON, 8 * MIB, 4 * MIB, 1 },
	{ "hugetlb, 512 MiB per call", MEMORY_HUGETLB, 512 * MIB, 512 * MIB,
	  16 },
	{ "small, 4 KiB per call", MEMORY_ANON, 512 * KIB, 4 * KIB, 1 },
};

/**
 * struct span - of time, in seconds
 * @start: when it began
 * @end: when it ended
 */
struct span {
	double start;
	double end;
};

/**
 * struct thread - one of the threads
 * @subjects: whom to call
 * @whom: whom of them
 * @load: what to do
 * @memory: with this
 * @iova: here and above
 * @cpu: where it runs
 * @nr: how many threads there are
 * @arrived: how often any of them was ready for its next part
 * @map: when it mapped
 * @unmap: when it unmapped
 * @rc: errno of the first call that failed
 */
struct thread {
	pthread_t id;
	struct subjects *subjects;
	enum whom whom;
	const struct load *load;
	struct memory *memory;
	uint64_t iova;
	unsigned int cpu;
	unsigned int nr;
	atomic_uint *arrived;
	struct span map;
	struct span unmap;
	int rc;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* Each has a CPU, and sleeping takes longer than what is measured */
static void wait_for_all(struct thread *thread, unsigned int part)
{
	atomic_fetch_add(thread->arrived, 1);
	while (atomic_load(thread->arrived) < part * thread->nr)
		;
}

static int compute(void)
{
	volatile unsigned int i;

	for (i = 0; i != 1000; i++)
		;
	return 0;
}

static int map_part(struct thread *thread, uint64_t iova, void *start)
{
	size_t bytes = thread->load->part;

	if (thread->whom == WHOM_NOBODY)
		return compute();
	if (thread->whom == WHOM_NATIVE)
		return type1_map(&thread->subjects->type1, iova, start, bytes);
	return iommufd_map_user(&thread->subjects->space, iova, start, bytes);
}

static int unmap_part(struct thread *thread, uint64_t iova)
{
	size_t bytes = thread->load->part;

	if (thread->whom == WHOM_NOBODY)
		return compute();
	if (thread->whom == WHOM_NATIVE)
		return type1_unmap(&thread->subjects->type1, iova, bytes);
	return iommufd_unmap(&thread->subjects->space, iova, bytes);
}

static void *run_thread(void *arg)
{
	struct thread *thread = arg;
	const struct load *load = thread->load;
	size_t total = load->bytes * load->times, done;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(thread->cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);

	wait_for_all(thread, 1);
	thread->map.start = now();
	for (done = 0; !thread->rc && done != total; done += load->part)
		thread->rc = map_part(thread, thread->iova + done,
				      (char *)thread->memory->start +
					      done % load->bytes);
	thread->map.end = now();

	wait_for_all(thread, 2);
	thread->unmap.start = now();
	while (done) {
		int rc;

		done -= load->part;
		rc = unmap_part(thread, thread->iova + done);
		if (!thread->rc)
			thread->rc = rc;
	}
	thread->unmap.end = now();
	return NULL;
}

/**
 * struct times - seconds that rounds took
 * @best: the least, 0 if there was no round
 * @worst: the most
 */
struct times {
	double best;
	double worst;
};

/**
 * struct round_times - what both parts of a round took
 * @map: mapping
 * @unmap: unmapping
 */
struct round_times {
	struct times map;
	struct times unmap;
};

static void add_time(struct times *times, double seconds)
{
	if (!times->best || seconds < times->best)
		times->best = seconds;
	if (seconds > times->worst)
		times->worst = seconds;
}

static void extend(struct span *all, const struct span *one)
{
	if (one->start < all->start)
		all->start = one->start;
	if (one->end > all->end)
		all->end = one->end;
}

static int run_round(struct thread *threads, unsigned int nr,
		     struct round_times *times)
{
	struct span map, unmap;
	atomic_uint arrived = 0;
	unsigned int i;
	int rc = 0;

	for (i = 0; i != nr; i++) {
		threads[i].nr = nr;
		threads[i].arrived = &arrived;
		threads[i].rc = 0;
		pthread_create(&threads[i].id, NULL, run_thread, &threads[i]);
	}
	for (i = 0; i != nr; i++) {
		pthread_join(threads[i].id, NULL);
		if (!rc)
			rc = threads[i].rc;
	}
	if (rc)
		return rc;

	map = threads[0].map;
	unmap = threads[0].unmap;
	for (i = 1; i != nr; i++) {
		extend(&map, &threads[i].map);
		extend(&unmap, &threads[i].unmap);
	}
	add_time(&times->map, map.end - map.start);
	add_time(&times->unmap, unmap.end - unmap.start);
	return 0;
}

/* Per page; and how much more two threads get done, of the best rounds */
static void report_times(const struct load *load, const char *who,
			 const char *what, const struct times *one,
			 const struct times *two)
{
	double scale = 1e9 * BENCH_PAGE / load->bytes / load->times;
	double speedup = THREADS * one->best / two->best;
	char name[32];

	snprintf(name, sizeof(name), "%s 1", what);
	report_value("threads", load->name, who, name, one->best * scale,
		     one->worst * scale, "ns/page");
	snprintf(name, sizeof(name), "%s 2", what);
	report_value("threads", load->name, who, name,
		     two->best * scale / THREADS, two->worst * scale / THREADS,
		     "ns/page");
	snprintf(name, sizeof(name), "%s speedup", what);
	report_value("threads", load->name, who, name, speedup, speedup,
		     "times");
}

static void row_threads(struct subjects *subjects, const struct load *load,
			struct memory *memory, enum whom whom)
{
	const char *who = whom_names[whom];
	struct thread threads[THREADS] = {};
	struct round_times one = {}, two = {};
	double start = now();
	int i, rc = 0;

	for (i = 0; i != THREADS; i++) {
		threads[i].subjects = subjects;
		threads[i].whom = whom;
		threads[i].load = load;
		threads[i].memory = &memory[i];
		threads[i].cpu = i;
		threads[i].iova = BENCH_IOVA + i * THREAD_IOVAS;
	}
	for (i = 0; !rc && i != ROUNDS && now() < start + MAX_SECONDS; i++) {
		rc = run_round(threads, 1, &one);
		if (!rc)
			rc = run_round(threads, THREADS, &two);
	}
	if (rc) {
		report_missing("threads", load->name, who, "%s", strerror(rc));
		return;
	}
	report_times(load, who, "map", &one.map, &two.map);
	report_times(load, who, "unmap", &one.unmap, &two.unmap);
}

void rows_threads(struct subjects *subjects)
{
	struct memory memory[THREADS];
	const char *error = NULL;
	unsigned int i;
	int nr;

	for (i = 0; i != ARRAY_SIZE(loads); i++) {
		for (nr = 0, error = NULL; !error && nr != THREADS; nr++)
			error = memory_alloc(&memory[nr], loads[i].kind,
					     loads[i].bytes, 0);
		if (error) {
			report_missing("threads", loads[i].name, "all", "%s",
				       error);
			for (nr--; nr--;)
				memory_free(&memory[nr]);
			continue;
		}
		if (subjects->have_iommufd)
			row_threads(subjects, &loads[i], memory, WHOM_IOMMUFD);
		if (subjects->have_type1)
			row_threads(subjects, &loads[i], memory, WHOM_NATIVE);
		if (loads[i].part == BENCH_PAGE)
			row_threads(subjects, &loads[i], memory, WHOM_NOBODY);
		while (nr--)
			memory_free(&memory[nr]);
	}
}
