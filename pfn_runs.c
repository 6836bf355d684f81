// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sequence of page frames, stored as runs of consecutive ones.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "pfn_runs.h"

/**
 * struct pfn_chunk - an array of runs
 * @start: index in the sequence of the first page of @runs[0]
 * @nr: entries used
 * @max: entries there are
 * @runs: see run_pack()
 */
struct pfn_chunk {
	unsigned long start;
	unsigned int nr;
	unsigned int max;
	u64 runs[] __counted_by(max);
};

/* The first chunk is small, most sequences end there */
#define PFN_CHUNK_FIRST_BYTES 512
#define PFN_CHUNK_BYTES 4096

static u64 run_pack(unsigned long pfn, unsigned long npages)
{
	return (u64)pfn | (u64)(npages - 1) << PFN_RUN_PFN_BITS;
}

static unsigned long run_pfn(u64 run)
{
	return run & GENMASK_ULL(PFN_RUN_PFN_BITS - 1, 0);
}

static unsigned long run_npages(u64 run)
{
	return (run >> PFN_RUN_PFN_BITS) + 1;
}

/**
 * pfn_runs_init() - make an empty sequence
 * @runs: the sequence
 */
void pfn_runs_init(struct pfn_runs *runs)
{
	runs->npages = 0;
	runs->chunks = NULL;
	runs->nr_chunks = 0;
	runs->max_chunks = 0;
	runs->nr_first = 0;
}

/**
 * pfn_runs_free() - free a sequence's memory
 * @runs: the sequence, empty afterwards
 */
void pfn_runs_free(struct pfn_runs *runs)
{
	unsigned int i;

	for (i = 0; i != runs->nr_chunks; i++)
		kfree(runs->chunks[i]);
	kvfree(runs->chunks);
	pfn_runs_init(runs);
}

/* The entries of a chunk as counted by struct pfn_cursor */
static const u64 *chunk_entries(const struct pfn_runs *runs, unsigned int chunk,
				unsigned int *nr)
{
	if (!chunk) {
		*nr = runs->nr_first;
		return runs->first;
	}
	*nr = runs->chunks[chunk - 1]->nr;
	return runs->chunks[chunk - 1]->runs;
}

static struct pfn_chunk *add_chunk(struct pfn_runs *runs, unsigned long start)
{
	size_t bytes = runs->nr_chunks ? PFN_CHUNK_BYTES :
					 PFN_CHUNK_FIRST_BYTES;
	struct pfn_chunk *chunk;

	if (runs->nr_chunks == runs->max_chunks) {
		unsigned int max = runs->max_chunks ? runs->max_chunks * 2 : 4;
		struct pfn_chunk **chunks;

		chunks = kvrealloc(runs->chunks, max * sizeof(*chunks),
				   GFP_KERNEL_ACCOUNT);
		if (!chunks)
			return NULL;
		runs->chunks = chunks;
		runs->max_chunks = max;
	}

	chunk = kmalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return NULL;
	chunk->start = start;
	chunk->nr = 0;
	chunk->max = (bytes - sizeof(*chunk)) / sizeof(chunk->runs[0]);
	runs->chunks[runs->nr_chunks++] = chunk;
	return chunk;
}

/* start is the index of the entry's first page */
static int append_run(struct pfn_runs *runs, u64 run, unsigned long start)
{
	struct pfn_chunk *chunk;

	if (!runs->nr_chunks && runs->nr_first < PFN_RUNS_INLINE) {
		runs->first[runs->nr_first++] = run;
		return 0;
	}

	chunk = runs->nr_chunks ? runs->chunks[runs->nr_chunks - 1] : NULL;
	if (!chunk || chunk->nr == chunk->max) {
		chunk = add_chunk(runs, start);
		if (!chunk)
			return -ENOMEM;
	}
	chunk->runs[chunk->nr++] = run;
	return 0;
}

/* The last entry, or NULL */
static u64 *tail_run(struct pfn_runs *runs)
{
	struct pfn_chunk *chunk;

	if (runs->nr_chunks) {
		chunk = runs->chunks[runs->nr_chunks - 1];
		return &chunk->runs[chunk->nr - 1];
	}
	return runs->nr_first ? &runs->first[runs->nr_first - 1] : NULL;
}

/**
 * pfn_runs_append() - add consecutive page frames at the end
 * @runs: the sequence
 * @pfn: the first one
 * @npages: how many, 1 to PFN_RUN_MAX_PAGES
 *
 * May sleep. Returns -ENOMEM, or -ERANGE when the numbers do not fit, with
 * nothing added.
 */
int pfn_runs_append(struct pfn_runs *runs, unsigned long pfn,
		    unsigned long npages)
{
	u64 *tail = tail_run(runs);
	unsigned long room = 0;
	int rc;

	if ((u64)pfn + npages > BIT_ULL(PFN_RUN_PFN_BITS) ||
	    npages > PFN_RUN_MAX_PAGES)
		return -ERANGE;

	if (tail && run_pfn(*tail) + run_npages(*tail) == pfn)
		room = min(npages, PFN_RUN_MAX_PAGES - run_npages(*tail));

	if (room != npages) {
		rc = append_run(runs, run_pack(pfn + room, npages - room),
				runs->npages + room);
		if (rc)
			return rc;
	}
	if (room)
		*tail = run_pack(run_pfn(*tail), run_npages(*tail) + room);
	runs->npages += npages;
	return 0;
}

/**
 * pfn_runs_memory() - what a sequence costs
 * @runs: the sequence
 *
 * Returns bytes allocated beside @runs itself.
 */
size_t pfn_runs_memory(const struct pfn_runs *runs)
{
	size_t bytes = runs->max_chunks * sizeof(*runs->chunks);
	unsigned int i;

	for (i = 0; i != runs->nr_chunks; i++)
		bytes += struct_size(runs->chunks[i], runs,
				     runs->chunks[i]->max);
	return bytes;
}

/* The chunk that holds a page, as counted by struct pfn_cursor */
static unsigned int find_chunk(const struct pfn_runs *runs, unsigned long index)
{
	unsigned int low = 0, high = runs->nr_chunks;

	/* chunks[low - 1] starts at or before index, chunks[high] after it */
	while (low != high) {
		unsigned int mid = low + (high - low) / 2;

		if (runs->chunks[mid]->start <= index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/**
 * pfn_cursor_seek() - go to a page
 * @cur: the cursor
 * @runs: the sequence
 * @index: which page; the length of the sequence is its end
 */
void pfn_cursor_seek(struct pfn_cursor *cur, const struct pfn_runs *runs,
		     unsigned long index)
{
	const u64 *entries;
	unsigned int nr;

	cur->runs = runs;
	cur->chunk = find_chunk(runs, index);
	cur->slot = 0;
	cur->skip = index - (cur->chunk ? runs->chunks[cur->chunk - 1]->start :
					  0);

	entries = chunk_entries(runs, cur->chunk, &nr);
	while (cur->slot != nr && cur->skip >= run_npages(entries[cur->slot]))
		cur->skip -= run_npages(entries[cur->slot++]);
}

/**
 * pfn_cursor_next() - read consecutive page frames
 * @cur: the cursor, moves behind them
 * @max_pages: most to read, more than 0
 * @pfn: the first one
 *
 * Returns how many there are, 0 at the end of the sequence.
 */
unsigned long pfn_cursor_next(struct pfn_cursor *cur, unsigned long max_pages,
			      unsigned long *pfn)
{
	const u64 *entries;
	unsigned long npages;
	unsigned int nr;

	entries = chunk_entries(cur->runs, cur->chunk, &nr);
	if (cur->slot == nr) {
		if (cur->chunk == cur->runs->nr_chunks)
			return 0;
		cur->chunk++;
		cur->slot = 0;
		entries = chunk_entries(cur->runs, cur->chunk, &nr);
	}

	*pfn = run_pfn(entries[cur->slot]) + cur->skip;
	npages = run_npages(entries[cur->slot]) - cur->skip;
	if (npages > max_pages) {
		cur->skip += max_pages;
		return max_pages;
	}
	cur->slot++;
	cur->skip = 0;
	return npages;
}
