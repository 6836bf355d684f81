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
 * @start: index in the sequence of the first page of the first run
 * @nr: words used, unless it is the last chunk
 * @max: words there are
 * @words: see PFN_RUN_LONG
 */
struct pfn_chunk {
	unsigned long start;
	unsigned int nr;
	unsigned int max;
	u32 words[] __counted_by(max);
};

/* The first chunk is small, most sequences end there */
#define PFN_CHUNK_FIRST_BYTES 64
#define PFN_CHUNK_BYTES 1024

#define RUN_HIGH_BITS (PFN_RUN_PFN_BITS - 31)
#define RUN_MAX_WORDS 2

/* Both return what is behind the run */
static u32 *run_pack(u32 *word, u64 pfn, unsigned long npages)
{
	if (npages == 1 && pfn < PFN_RUN_LONG) {
		*word = pfn;
		return word + 1;
	}
	word[0] = PFN_RUN_LONG | (u32)pfn;
	word[1] = (npages - 1) << RUN_HIGH_BITS | pfn >> 31;
	return word + 2;
}

static const u32 *run_unpack(const u32 *word, unsigned long *pfn,
			     unsigned long *npages)
{
	if (!(word[0] & PFN_RUN_LONG)) {
		*pfn = word[0];
		*npages = 1;
		return word + 1;
	}
	*pfn = (u64)(word[1] & GENMASK(RUN_HIGH_BITS - 1, 0)) << 31 |
	       (word[0] & ~PFN_RUN_LONG);
	*npages = (word[1] >> RUN_HIGH_BITS) + 1;
	return word + 2;
}

/**
 * pfn_runs_init() - make an empty sequence
 * @runs: the sequence
 */
void pfn_runs_init(struct pfn_runs *runs)
{
	*runs = (struct pfn_runs){};
}

/**
 * pfn_runs_free() - free a sequence's memory
 * @runs: the sequence, of no use until it is made anew
 */
void pfn_runs_free(struct pfn_runs *runs)
{
	unsigned int i;

	/* Mostly, one run is all there is */
	if (!runs->max_chunks)
		return;
	for (i = 0; i != runs->nr_chunks; i++)
		kfree(runs->chunks[i]);
	kvfree(runs->chunks);
}

/* Room for the last run to be put away, and for more */
static int add_chunk(struct pfn_runs *runs)
{
	size_t bytes = runs->nr_chunks ? PFN_CHUNK_BYTES :
					 PFN_CHUNK_FIRST_BYTES;
	struct pfn_chunk *chunk, *last;

	if (runs->nr_chunks == runs->max_chunks) {
		unsigned int max = runs->max_chunks ? runs->max_chunks * 2 : 4;
		struct pfn_chunk **chunks;

		chunks = kvrealloc(runs->chunks, max * sizeof(*chunks),
				   GFP_KERNEL_ACCOUNT);
		if (!chunks)
			return -ENOMEM;
		runs->chunks = chunks;
		runs->max_chunks = max;
	}

	chunk = kmalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	chunk->start = runs->npages - runs->tail_npages;
	chunk->max = (bytes - sizeof(*chunk)) / sizeof(chunk->words[0]);
	if (runs->nr_chunks) {
		last = runs->chunks[runs->nr_chunks - 1];
		last->nr = runs->word - last->words;
	}
	runs->word = chunk->words;
	runs->end = chunk->words + chunk->max;
	runs->chunks[runs->nr_chunks++] = chunk;
	return 0;
}

/* Kept apart, because this is rare and would make the usual case longer */
static noinline int add_with_chunk(struct pfn_runs *runs, unsigned long pfn,
				   unsigned long npages)
{
	return add_chunk(runs) ?: pfn_runs_add(runs, pfn, npages);
}

/**
 * pfn_runs_add() - begin another run at the end
 * @runs: the sequence
 * @pfn: its first page frame
 * @npages: its length
 *
 * Returns -ENOMEM with nothing added.
 */
int pfn_runs_add(struct pfn_runs *runs, unsigned long pfn,
		 unsigned long npages)
{
	if (runs->tail_npages) {
		if (runs->end - runs->word < RUN_MAX_WORDS)
			return add_with_chunk(runs, pfn, npages);
		runs->word = run_pack(runs->word, runs->tail_pfn,
				      runs->tail_npages);
	}
	runs->tail_pfn = pfn;
	runs->tail_npages = npages;
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
		bytes += struct_size(runs->chunks[i], words,
				     runs->chunks[i]->max);
	return bytes;
}

/* The chunk that holds a page which is not in the last run */
static unsigned int find_chunk(const struct pfn_runs *runs, unsigned long index)
{
	unsigned int low = 0, high = runs->nr_chunks;

	/* chunks[low] starts at or before index, chunks[high] after it */
	while (high - low > 1) {
		unsigned int mid = low + (high - low) / 2;

		if (runs->chunks[mid]->start <= index)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static void cursor_next_chunk(struct pfn_cursor *cur)
{
	const struct pfn_runs *runs = cur->runs;
	const struct pfn_chunk *chunk = runs->chunks[cur->chunk++];

	cur->word = chunk->words;
	cur->end = cur->chunk == runs->nr_chunks ? runs->word :
						   chunk->words + chunk->nr;
}

/**
 * pfn_cursor_next_long() - pfn_cursor_next() for what is no single frame, or in
 *	another chunk
 * @cur: a cursor that is not at the end
 * @pfn: the first page frame
 *
 * Returns how many there are.
 */
unsigned long pfn_cursor_next_long(struct pfn_cursor *cur, unsigned long *pfn)
{
	const struct pfn_runs *runs = cur->runs;
	unsigned long npages;

	if (cur->word == cur->end && cur->chunk != runs->nr_chunks)
		cursor_next_chunk(cur);
	if (cur->word == cur->end) {
		*pfn = runs->tail_pfn;
		npages = runs->tail_npages;
	} else {
		cur->word = run_unpack(cur->word, pfn, &npages);
	}

	*pfn += cur->skip;
	npages = min(npages - cur->skip, cur->left);
	cur->skip = 0;
	cur->left -= npages;
	return npages;
}

/* To a page that is not in the last run */
static noinline void cursor_seek_chunk(struct pfn_cursor *cur,
				       unsigned long index)
{
	unsigned long pfn, npages;
	const u32 *next;

	cur->chunk = find_chunk(cur->runs, index);
	cur->skip = index - cur->runs->chunks[cur->chunk]->start;
	cursor_next_chunk(cur);
	for (;;) {
		next = run_unpack(cur->word, &pfn, &npages);
		if (npages > cur->skip)
			return;
		cur->skip -= npages;
		cur->word = next;
	}
}

/**
 * pfn_cursor_seek() - start to read
 * @cur: the cursor
 * @runs: the sequence
 * @index: the first page to read
 * @npages: how many; not beyond the end of the sequence
 */
void pfn_cursor_seek(struct pfn_cursor *cur, const struct pfn_runs *runs,
		     unsigned long index, unsigned long npages)
{
	unsigned long tail = runs->npages - runs->tail_npages;

	cur->left = npages;
	cur->word = NULL;
	cur->end = NULL;
	cur->skip = index - tail;
	cur->runs = runs;
	cur->chunk = runs->nr_chunks;
	if (index < tail)
		cursor_seek_chunk(cur, index);
}
