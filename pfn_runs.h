/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A sequence of page frames, stored as runs of consecutive ones.
 *
 * It is appended to at the end and read from anywhere. Then parts of it may be
 * dropped, which gives back memory. Reading, dropping and freeing never
 * allocate. A run takes 6 bytes, 4 if it is a single frame, or 8 if it is long,
 * and runs are kept in chunks of up to 512 bytes; memory that is contiguous costs
 * nothing. Knows nothing of what the frames are, and is locked by its owner.
 */
#ifndef __IOMMUFD_PFN_RUNS_H
#define __IOMMUFD_PFN_RUNS_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/unaligned.h>

struct pfn_chunk;

/* Frame numbers of 52-bit physical addresses; the rest of 8 bytes is length */
#define PFN_RUN_PFN_BITS 40
#define PFN_RUN_MAX_PAGES BIT(22)

/**
 * struct pfn_runs - a sequence of page frames
 * @npages: its length in pages
 * @tail_pfn: the last run, which is in no chunk yet, so that it can grow
 * @tail_npages: its length in pages; 0 only if the sequence is empty
 * @word: where in the last chunk the next run goes
 * @end: the end of the last chunk
 * @chunks: struct pfn_chunk, in order
 * @last: the last chunk; NULL if there never was one, or once it is dropped
 */
struct pfn_runs {
	unsigned long npages;
	unsigned long tail_pfn;
	unsigned long tail_npages;
	u16 *word;
	u16 *end;
	struct rb_root chunks;
	struct pfn_chunk *last;
};

/**
 * struct pfn_cursor - reads a part of a sequence
 * @left: pages still to be read
 * @word: the next run
 * @end: the end of its chunk
 * @skip: pages of it to leave out
 * @runs: the sequence; must not change while there is a cursor
 * @next: the chunk after; behind the last one, where it is NULL, is the last run
 */
struct pfn_cursor {
	unsigned long left;
	const u16 *word;
	const u16 *end;
	unsigned long skip;
	const struct pfn_runs *runs;
	const struct pfn_chunk *next;
};

/**
 * pfn_runs_init() - make an empty sequence
 * @runs: the sequence
 */
static inline void pfn_runs_init(struct pfn_runs *runs)
{
	/* Assigning all of it makes the compiler use a string instruction */
	runs->npages = 0;
	runs->tail_pfn = 0;
	runs->tail_npages = 0;
	runs->word = NULL;
	runs->end = NULL;
	runs->chunks = RB_ROOT;
	runs->last = NULL;
}

/**
 * pfn_runs_is_one() - are all page frames consecutive
 * @runs: the sequence
 *
 * Then they begin with @runs->tail_pfn, and there is no need for a cursor.
 *
 * Return: whether they are.
 */
static inline bool pfn_runs_is_one(const struct pfn_runs *runs)
{
	return runs->npages == runs->tail_npages;
}

/* For pfn_runs_free() only */
void pfn_runs_free_chunks(struct pfn_runs *runs);

/**
 * pfn_runs_free() - free a sequence's memory
 * @runs: the sequence, of no use until it is made anew
 */
static inline void pfn_runs_free(struct pfn_runs *runs)
{
	/* Mostly, one run is all there is */
	if (!RB_EMPTY_ROOT(&runs->chunks))
		pfn_runs_free_chunks(runs);
}

void pfn_runs_drop(struct pfn_runs *runs, unsigned long index,
		   unsigned long npages);
size_t pfn_runs_memory(const struct pfn_runs *runs);

/* For pfn_runs_append() only */
int pfn_runs_add(struct pfn_runs *runs, unsigned long pfn,
		 unsigned long npages);

/**
 * pfn_runs_append() - add consecutive page frames at the end
 * @runs: the sequence
 * @pfn: the first one
 * @npages: how many, 1 to PFN_RUN_MAX_PAGES
 *
 * Not once a part was dropped. May sleep.
 *
 * Return: 0, -ENOMEM, or -ERANGE when the numbers do not fit, with nothing
 * added.
 */
static inline int pfn_runs_append(struct pfn_runs *runs, unsigned long pfn,
				  unsigned long npages)
{
	if (npages > PFN_RUN_MAX_PAGES ||
	    (u64)(pfn + npages - 1) >> PFN_RUN_PFN_BITS)
		return -ERANGE;
	if (pfn != runs->tail_pfn + runs->tail_npages ||
	    npages > PFN_RUN_MAX_PAGES - runs->tail_npages) {
		if (runs->tail_npages)
			return pfn_runs_add(runs, pfn, npages);
		runs->tail_pfn = pfn;
	}
	runs->tail_npages += npages;
	runs->npages += npages;
	return 0;
}

int pfn_runs_append_range(struct pfn_runs *runs, unsigned long pfn,
			  unsigned long npages);

/*
 * A run is a sequence of 16-bit words, of which the first two are one number. A
 * single frame whose number has no more than 31 bits, as with up to 8 TiB of
 * memory, is just that. Any other run has the low 31 bits and PFN_RUN_LONG there,
 * and then, from the top:
 *
 *	0, the next 3 bits of the frame number, 12 bits of length - 1
 *	1, the next 9 bits of the frame number, 22 bits of length - 1; two words
 *
 * So it takes 6 bytes up to 16 MiB, below 64 TiB. With the chunk around it that is
 * less than 8, which 8 bytes are not.
 */
#define PFN_RUN_LONG BIT(31)

/**
 * pfn_runs_append_apart() - append single page frames, as long as none of them
 *	follows the one before
 * @runs: the sequence, as for pfn_runs_append()
 * @pfn_of: tells the page frame of an entry, or ULONG_MAX for an entry that is not
 *	a single one
 * @array: the entries
 * @nr: how many
 *
 * Made for memory in which no page follows another: what changes with each page
 * stays in registers. Does not sleep.
 *
 * Return: how many entries, from the first on, have been appended, which may be
 * none. If that is less than @nr, pfn_runs_append() takes the next one.
 */
static __always_inline unsigned long
pfn_runs_append_apart(struct pfn_runs *runs,
		      unsigned long (*pfn_of)(const void *entry),
		      void *const *array, unsigned long nr)
{
	unsigned long pfn, i, tail = runs->tail_pfn;
	u32 *single = (u32 *)runs->word;

	if (runs->tail_npages != 1 || tail >= PFN_RUN_LONG)
		return 0;
	nr = min_t(size_t, nr, (runs->end - runs->word) / 2);
	for (i = 0; i != nr; i++) {
		pfn = pfn_of(array[i]);
		if (pfn == tail + 1 || pfn >= PFN_RUN_LONG)
			break;
		put_unaligned((u32)tail, &single[i]);
		tail = pfn;
	}
	runs->word += 2 * i;
	runs->tail_pfn = tail;
	runs->npages += i;
	return i;
}

void pfn_cursor_seek(struct pfn_cursor *cur, const struct pfn_runs *runs,
		     unsigned long index, unsigned long npages);
/* For pfn_cursor_next() only */
unsigned long pfn_cursor_next_long(struct pfn_cursor *cur, unsigned long *pfn);

/**
 * pfn_cursor_next() - read consecutive page frames
 * @cur: the cursor, moves behind them
 * @pfn: the first one
 *
 * Return: how many there are, 0 at the end.
 */
static inline unsigned long pfn_cursor_next(struct pfn_cursor *cur,
					    unsigned long *pfn)
{
	/* The address of @pfn goes nowhere, so the caller can have it in a register */
	unsigned long first __uninitialized, npages;
	u32 word;

	if (!cur->left)
		return 0;
	if (likely(cur->word != cur->end)) {
		word = get_unaligned((const u32 *)cur->word);
		if (likely(!(word & PFN_RUN_LONG))) {
			cur->word += 2;
			cur->left--;
			*pfn = word;
			return 1;
		}
	}
	npages = pfn_cursor_next_long(cur, &first);
	*pfn = first;
	return npages;
}

#endif
