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
 * @rb: in pfn_runs.chunks, by @start
 * @start: index in the sequence of the first page of the first run
 * @npages: pages of all its runs, unless it is the last chunk
 * @dropped: how many of them are not needed any more
 * @nr: words used, unless it is the last chunk
 * @max: words there are
 * @words: see PFN_RUN_LONG
 */
struct pfn_chunk {
	struct rb_node rb;
	unsigned long start;
	u32 npages;
	u32 dropped;
	u16 nr;
	u16 max;
	u16 words[] __counted_by(max);
};

/* The first chunk is small, most sequences end there */
#define PFN_CHUNK_FIRST_BYTES 128
#define PFN_CHUNK_BYTES 512

/* So many pages cannot be counted wrongly: each run takes three words */
static_assert((u64)PFN_RUN_MAX_PAGES * PFN_CHUNK_BYTES / 6 <= U32_MAX);

/* Bits of the length, and of what is above 31 bits of the frame number */
#define RUN_LENGTH_BITS 12
#define RUN_HIGH_BITS 3
#define RUN_WIDE BIT(RUN_LENGTH_BITS + RUN_HIGH_BITS)
#define RUN_WIDE_LENGTH_BITS 22
#define RUN_WIDE_HIGH_BITS (PFN_RUN_PFN_BITS - 31)
#define RUN_MAX_WORDS 4

static_assert(BIT(RUN_WIDE_LENGTH_BITS) == PFN_RUN_MAX_PAGES);
static_assert(RUN_WIDE_LENGTH_BITS + RUN_WIDE_HIGH_BITS == 31);

static struct pfn_chunk *to_chunk(struct rb_node *rb)
{
	return rb ? rb_entry(rb, struct pfn_chunk, rb) : NULL;
}

/* Both return what is behind the run */
static u16 *run_pack(u16 *word, u64 pfn, unsigned long npages)
{
	u32 high = pfn >> 31, length = npages - 1;

	if (npages == 1 && !high) {
		put_unaligned((u32)pfn, (u32 *)word);
		return word + 2;
	}
	put_unaligned(PFN_RUN_LONG | (u32)pfn, (u32 *)word);
	if (high < BIT(RUN_HIGH_BITS) && length < BIT(RUN_LENGTH_BITS)) {
		word[2] = high << RUN_LENGTH_BITS | length;
		return word + 3;
	}
	length |= high << RUN_WIDE_LENGTH_BITS;
	word[2] = RUN_WIDE | length >> 16;
	word[3] = length;
	return word + 4;
}

static const u16 *run_unpack(const u16 *word, unsigned long *pfn,
			     unsigned long *npages)
{
	u32 low = get_unaligned((const u32 *)word);
	u32 high, length, bits;

	if (!(low & PFN_RUN_LONG)) {
		*pfn = low;
		*npages = 1;
		return word + 2;
	}
	length = word[2];
	bits = RUN_LENGTH_BITS;
	word += 3;
	if (length & RUN_WIDE) {
		length = (length & ~RUN_WIDE) << 16 | *word++;
		bits = RUN_WIDE_LENGTH_BITS;
	}
	high = length >> bits;
	*pfn = (u64)high << 31 | (low & ~PFN_RUN_LONG);
	*npages = (length & GENMASK(bits - 1, 0)) + 1;
	return word;
}

/**
 * pfn_runs_free_chunks() - pfn_runs_free() of a sequence that has some
 * @runs: the sequence
 */
void pfn_runs_free_chunks(struct pfn_runs *runs)
{
	struct pfn_chunk *chunk, *next;

	rbtree_postorder_for_each_entry_safe(chunk, next, &runs->chunks, rb)
		kfree(chunk);
}

static void chunk_insert(struct pfn_runs *runs, struct pfn_chunk *chunk)
{
	struct rb_node **link = &runs->chunks.rb_node, *parent = NULL;
	struct pfn_chunk *last = runs->last;

	if (last) {
		last->nr = runs->word - last->words;
		last->npages = chunk->start - last->start;
		parent = &last->rb;
		link = &parent->rb_right;
	}
	rb_link_node(&chunk->rb, parent, link);
	rb_insert_color(&chunk->rb, &runs->chunks);
	runs->last = chunk;
}

/* Room for the last run to be put away, and for more */
static int add_chunk(struct pfn_runs *runs)
{
	size_t bytes = runs->last ? PFN_CHUNK_BYTES : PFN_CHUNK_FIRST_BYTES;
	struct pfn_chunk *chunk = kmalloc(bytes, GFP_KERNEL_ACCOUNT);

	if (!chunk)
		return -ENOMEM;
	chunk->start = runs->npages - runs->tail_npages;
	chunk->dropped = 0;
	chunk->max = (bytes - offsetof(struct pfn_chunk, words)) /
		     sizeof(chunk->words[0]);
	chunk_insert(runs, chunk);
	runs->word = chunk->words;
	runs->end = chunk->words + chunk->max;
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
 * @runs: the sequence, which is not empty
 * @pfn: its first page frame
 * @npages: its length
 *
 * Return: 0, or -ENOMEM with nothing added.
 */
int pfn_runs_add(struct pfn_runs *runs, unsigned long pfn,
		 unsigned long npages)
{
	if (runs->end - runs->word < RUN_MAX_WORDS)
		return add_with_chunk(runs, pfn, npages);
	runs->word = run_pack(runs->word, runs->tail_pfn, runs->tail_npages);
	runs->tail_pfn = pfn;
	runs->tail_npages = npages;
	runs->npages += npages;
	return 0;
}

/**
 * pfn_runs_append_range() - pfn_runs_append() of any length
 * @runs: the sequence
 * @pfn: the first page frame
 * @npages: how many
 *
 * Return: 0 or an errno of pfn_runs_append(), possibly with a part added.
 */
int pfn_runs_append_range(struct pfn_runs *runs, unsigned long pfn,
			  unsigned long npages)
{
	unsigned long part;
	int rc;

	for (; npages; npages -= part, pfn += part) {
		part = min(npages, PFN_RUN_MAX_PAGES);
		rc = pfn_runs_append(runs, pfn, part);
		if (rc)
			return rc;
	}
	return 0;
}

/**
 * pfn_runs_memory() - what a sequence costs
 * @runs: the sequence
 *
 * Return: bytes allocated beside @runs itself.
 */
size_t pfn_runs_memory(const struct pfn_runs *runs)
{
	const struct pfn_chunk *chunk;
	size_t bytes = 0;

	for (chunk = to_chunk(rb_first(&runs->chunks)); chunk;
	     chunk = to_chunk(rb_next(&chunk->rb)))
		bytes += offsetof(struct pfn_chunk, words[chunk->max]);
	return bytes;
}

/* The chunk that holds a page which is not in the last run, nor dropped */
static struct pfn_chunk *find_chunk(const struct pfn_runs *runs,
				    unsigned long index)
{
	struct rb_node *rb = runs->chunks.rb_node;
	struct pfn_chunk *found = NULL;

	while (rb) {
		struct pfn_chunk *chunk = to_chunk(rb);

		if (chunk->start <= index) {
			found = chunk;
			rb = rb->rb_right;
		} else {
			rb = rb->rb_left;
		}
	}
	return found;
}

static unsigned long chunk_end(const struct pfn_runs *runs,
			       const struct pfn_chunk *chunk)
{
	if (chunk == runs->last)
		return runs->npages - runs->tail_npages;
	return chunk->start + chunk->npages;
}

static void chunk_drop(struct pfn_runs *runs, struct pfn_chunk *chunk,
		       unsigned long npages)
{
	chunk->dropped += npages;
	if (chunk->dropped != chunk_end(runs, chunk) - chunk->start)
		return;
	if (chunk == runs->last)
		runs->last = NULL;
	rb_erase(&chunk->rb, &runs->chunks);
	kfree(chunk);
}

/**
 * pfn_runs_drop() - give up a part of a sequence
 * @runs: the sequence; nothing may be appended any more
 * @index: the first page of the part
 * @npages: how many; none of them was dropped before, or is read again
 *
 * Memory that only dropped parts need is freed. Other pages keep their indexes.
 */
void pfn_runs_drop(struct pfn_runs *runs, unsigned long index,
		   unsigned long npages)
{
	/* What is in the last run takes no memory */
	unsigned long end = min(index + npages,
				runs->npages - runs->tail_npages);
	unsigned long part;
	struct pfn_chunk *chunk;

	while (index < end) {
		chunk = find_chunk(runs, index);
		part = min(end, chunk_end(runs, chunk)) - index;
		index += part;
		chunk_drop(runs, chunk, part);
	}
}

static void cursor_next_chunk(struct pfn_cursor *cur,
			      const struct pfn_chunk *chunk)
{
	cur->word = chunk->words;
	cur->end = chunk == cur->runs->last ? cur->runs->word :
					      chunk->words + chunk->nr;
	cur->next = to_chunk(rb_next(&chunk->rb));
}

/**
 * pfn_cursor_next_long() - pfn_cursor_next() for what is no single frame, or in
 *	another chunk
 * @cur: a cursor that is not at the end
 * @pfn: the first page frame
 *
 * Return: how many there are.
 */
unsigned long pfn_cursor_next_long(struct pfn_cursor *cur, unsigned long *pfn)
{
	const struct pfn_runs *runs = cur->runs;
	unsigned long npages;

	if (cur->word == cur->end && cur->next)
		cursor_next_chunk(cur, cur->next);
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
	const struct pfn_chunk *chunk = find_chunk(cur->runs, index);
	unsigned long pfn, npages;
	const u16 *next;

	cur->skip = index - chunk->start;
	cursor_next_chunk(cur, chunk);
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
	cur->next = NULL;
	if (index < tail)
		cursor_seek_chunk(cur, index);
}
