/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A sequence of page frames, stored as runs of consecutive ones.
 *
 * It is appended to at the end and read from anywhere. Reading and freeing
 * never allocate. A run is one word; runs are kept in chunks of up to a page, so
 * a sequence costs 8 bytes per run and memory that is contiguous costs next to
 * nothing. Knows nothing of what the frames are, and is locked by its owner.
 */
#ifndef __IOMMUFD_PFN_RUNS_H
#define __IOMMUFD_PFN_RUNS_H

#include <linux/bits.h>
#include <linux/types.h>

struct pfn_chunk;

/* Frame numbers of 52-bit physical addresses; the rest of the word is length */
#define PFN_RUN_PFN_BITS 40
#define PFN_RUN_MAX_PAGES BIT(24)

/* Small sequences need no chunk */
#define PFN_RUNS_INLINE 2

/**
 * struct pfn_runs - a sequence of page frames
 * @npages: its length in pages
 * @chunks: all chunks in order; @nr_chunks of @max_chunks are used
 * @nr_chunks: see @chunks
 * @max_chunks: see @chunks
 * @nr_first: entries used in @first
 * @first: the first runs
 */
struct pfn_runs {
	unsigned long npages;
	struct pfn_chunk **chunks;
	unsigned int nr_chunks;
	unsigned int max_chunks;
	unsigned int nr_first;
	u64 first[PFN_RUNS_INLINE];
};

/**
 * struct pfn_cursor - a position in a sequence
 * @runs: the sequence; must not change while there is a cursor
 * @chunk: 0 for pfn_runs.first, else one more than the index of the chunk
 * @slot: entry there
 * @skip: pages into the entry
 */
struct pfn_cursor {
	const struct pfn_runs *runs;
	unsigned int chunk;
	unsigned int slot;
	unsigned long skip;
};

void pfn_runs_init(struct pfn_runs *runs);
void pfn_runs_free(struct pfn_runs *runs);
int pfn_runs_append(struct pfn_runs *runs, unsigned long pfn,
		    unsigned long npages);
size_t pfn_runs_memory(const struct pfn_runs *runs);

void pfn_cursor_seek(struct pfn_cursor *cur, const struct pfn_runs *runs,
		     unsigned long index);
unsigned long pfn_cursor_next(struct pfn_cursor *cur, unsigned long max_pages,
			      unsigned long *pfn);

#endif
