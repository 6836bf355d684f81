// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wall time of one and of two threads that each map their own memory at their
 * own IOVAs, in one address space.
 */
#include "rows.h"
#include "memory.h"
#include "report.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define THREADS 2
/* The host has other things to do as well: the best of so many rounds counts */
#define ROUNDS 8
/* Distance of the threads' IOVAs */
#define THREAD_IOVAS (1ull << 40)

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
	{ "anon-4k, 16 MiB per call", MEMORY_ANON, 128 * MIB, 16 * MIB, 1 },
	{ "hugetlb, 512 MiB per call", MEMORY_HUGETLB, 512 * MIB, 512 * MIB,
	  256 },
	{ "small, 4 KiB per call", MEMORY_ANON, 32 * MIB, 4 * KIB, 1 },
};

/**
 * struct thread - one of the threads
 * @subjects: whom to call
 * @native: whether to call native VFIO
 * @load: what to do
 * @memory: with this
 * @iova: here and above
 * @barrier: all threads, and the one that takes the time
 * @rc: errno of the first call that failed
 */
struct thread {
	pthread_t id;
	struct subjects *subjects;
	bool native;
	const struct load *load;
	struct memory *memory;
	uint64_t iova;
	pthread_barrier_t *barrier;
	int rc;
};

static int map_part(struct thread *thread, uint64_t iova, void *start)
{
	size_t bytes = thread->load->part;

	if (thread->native)
		return type1_map(&thread->subjects->type1, iova, start, bytes);
	return iommufd_map_user(&thread->subjects->space, iova, start, bytes);
}

static int unmap_part(struct thread *thread, uint64_t iova)
{
	size_t bytes = thread->load->part;

	if (thread->native)
		return type1_unmap(&thread->subjects->type1, iova, bytes);
	return iommufd_unmap(&thread->subjects->space, iova, bytes);
}

static void *run_thread(void *arg)
{
	struct thread *thread = arg;
	const struct load *load = thread->load;
	size_t total = load->bytes * load->times, done;

	pthread_barrier_wait(thread->barrier);
	for (done = 0; !thread->rc && done != total; done += load->part)
		thread->rc = map_part(thread, thread->iova + done,
				      (char *)thread->memory->start +
					      done % load->bytes);
	pthread_barrier_wait(thread->barrier);
	while (done) {
		int rc;

		done -= load->part;
		rc = unmap_part(thread, thread->iova + done);
		if (!thread->rc)
			thread->rc = rc;
	}
	pthread_barrier_wait(thread->barrier);
	return NULL;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
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

static int run_round(struct thread *threads, unsigned int nr,
		     struct round_times *times)
{
	pthread_barrier_t barrier;
	double start, middle, end;
	unsigned int i;
	int rc = 0;

	pthread_barrier_init(&barrier, NULL, nr + 1);
	for (i = 0; i != nr; i++) {
		threads[i].barrier = &barrier;
		threads[i].rc = 0;
		pthread_create(&threads[i].id, NULL, run_thread, &threads[i]);
	}
	pthread_barrier_wait(&barrier);
	start = now();
	pthread_barrier_wait(&barrier);
	middle = now();
	pthread_barrier_wait(&barrier);
	end = now();
	for (i = 0; i != nr; i++) {
		pthread_join(threads[i].id, NULL);
		if (!rc)
			rc = threads[i].rc;
	}
	pthread_barrier_destroy(&barrier);
	if (!rc) {
		add_time(&times->map, middle - start);
		add_time(&times->unmap, end - middle);
	}
	return rc;
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
			struct memory *memory, bool native)
{
	const char *who = native ? "native" : "iommufd";
	struct thread threads[THREADS] = {};
	struct round_times one = {}, two = {};
	int i, rc = 0;

	for (i = 0; i != THREADS; i++) {
		threads[i].subjects = subjects;
		threads[i].native = native;
		threads[i].load = load;
		threads[i].memory = &memory[i];
		threads[i].iova = BENCH_IOVA + i * THREAD_IOVAS;
	}
	for (i = 0; !rc && i != ROUNDS; i++) {
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
			row_threads(subjects, &loads[i], memory, false);
		if (subjects->have_type1)
			row_threads(subjects, &loads[i], memory, true);
		while (nr--)
			memory_free(&memory[nr]);
	}
}
