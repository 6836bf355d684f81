/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequences of operations: making up one, doing it, making one that fails smaller,
 * and keeping it in a file.
 */
#ifndef __FUZZ_SEQUENCE_H
#define __FUZZ_SEQUENCE_H

#include "fuzz.h"

#define SEQUENCE_MAX 1000

struct fuzz_sequence {
	const char *node;	/* what is opened */
	unsigned int nops;
	struct fuzz_op op[SEQUENCE_MAX];
};

/* Where a process is, for another one to look at */
struct fuzz_progress {
	__u64 seed;		/* of the sequence */
	unsigned int op;	/* in the sequence */
	__u64 total;		/* operations */
	struct fuzz_stats stats;
};

/*
 * Make up a sequence of so many operations, and do it meanwhile. True if kernel and
 * model agree. Otherwise @why says what is wrong, and @seq has what was done.
 */
bool sequence_random(struct fuzz_sequence *seq, __u64 seed, unsigned int nops,
		     bool inject, const char *broken, char *why, size_t size,
		     struct fuzz_progress *progress);
/* Do one that is known */
bool sequence_run(const struct fuzz_sequence *seq, const char *broken,
		  char *why, size_t size);
/* Take operations out of one that fails, as long as it does */
void sequence_shrink(struct fuzz_sequence *seq, const char *broken);
/* One operation to a line. False if that fails, or makes no sense. */
void sequence_write(const struct fuzz_sequence *seq, FILE *file);
bool sequence_read(struct fuzz_sequence *seq, FILE *file);

#endif
