// SPDX-License-Identifier: GPL-2.0-only
#include "fuzz_sequence.h"

static struct fuzz fuzz;

static bool sequence_begin(const char *node, const char *broken,
			   struct fuzz_stats *stats)
{
	if (fuzz_begin(&fuzz, node, broken, stats))
		return true;
	snprintf(fuzz.why, sizeof(fuzz.why), "cannot begin with %s: %m", node);
	return false;
}

/* All that is left to see, and whether all was well */
static bool sequence_end(char *why, size_t size)
{
	if (!fuzz.why[0])
		fuzz_run(&fuzz, &(struct fuzz_op) { .kind = FUZZ_CHECK });
	fuzz_end(&fuzz);
	snprintf(why, size, "%s", fuzz.why);
	return !fuzz.why[0];
}

/* Neighbouring seeds have nothing in common */
static __u64 spread(__u64 seed)
{
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9ULL;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111ebULL;
	return (seed ^ seed >> 31) | 1;
}

bool sequence_random(struct fuzz_sequence *seq, __u64 seed, unsigned int nops,
		     bool inject, const char *broken, char *why, size_t size,
		     struct fuzz_progress *progress)
{
	__u64 rng = spread(seed);
	bool good;

	progress->seed = seed;
	seq->nops = 0;
	good = sequence_begin(seq->node, broken, &progress->stats);
	while (good && seq->nops < nops) {
		struct fuzz_op *op = &seq->op[seq->nops++];

		progress->op = seq->nops;
		progress->total++;
		fuzz_generate(&fuzz, op, &rng, inject);
		good = fuzz_run(&fuzz, op);
	}
	return sequence_end(why, size);
}

bool sequence_run(const struct fuzz_sequence *seq, const char *broken,
		  char *why, size_t size)
{
	bool good = sequence_begin(seq->node, broken, NULL);

	for (unsigned int i = 0; good && i < seq->nops; i++)
		good = fuzz_run(&fuzz, &seq->op[i]);
	return sequence_end(why, size);
}

static void without(const struct fuzz_sequence *seq, unsigned int from,
		    unsigned int nops, struct fuzz_sequence *part)
{
	part->node = seq->node;
	part->nops = seq->nops - nops;
	memcpy(part->op, seq->op, from * sizeof(seq->op[0]));
	memcpy(part->op + from, seq->op + from + nops,
	       (part->nops - from) * sizeof(seq->op[0]));
}

/* Without each run of so many operations that it fails without, too */
static bool shrink_by(struct fuzz_sequence *seq, unsigned int nops,
		      const char *broken)
{
	static struct fuzz_sequence part;
	bool smaller = false;
	char why[500];

	for (unsigned int i = seq->nops; i >= nops;) {
		i -= nops;
		without(seq, i, nops, &part);
		if (sequence_run(&part, broken, why, sizeof(why)))
			continue;
		*seq = part;
		smaller = true;
		i = i < seq->nops ? i : seq->nops;
	}
	return smaller;
}

/* Without the failures that it fails without, too */
static void shrink_failures(struct fuzz_sequence *seq, const char *broken)
{
	char why[500];

	for (unsigned int i = 0; i < seq->nops; i++) {
		unsigned int fail = seq->op[i].fail;

		seq->op[i].fail = 0;
		if (fail && sequence_run(seq, broken, why, sizeof(why)))
			seq->op[i].fail = fail;
	}
}

void sequence_shrink(struct fuzz_sequence *seq, const char *broken)
{
	for (unsigned int nops = seq->nops / 2; nops; nops /= 2)
		shrink_by(seq, nops, broken);
	shrink_failures(seq, broken);
	/* What had to stay may have been needed by what is gone now */
	while (shrink_by(seq, 1, broken))
		;
}

void sequence_write(const struct fuzz_sequence *seq, FILE *file)
{
	char line[300];

	fprintf(file, "open %s\n", seq->node);
	for (unsigned int i = 0; i < seq->nops; i++) {
		fuzz_print(&seq->op[i], line, sizeof(line));
		fprintf(file, "%s\n", line);
	}
}

bool sequence_read(struct fuzz_sequence *seq, FILE *file)
{
	static char node[100];
	char line[300], *text;

	seq->nops = 0;
	seq->node = "/dev/iommu";
	while (fgets(line, sizeof(line), file)) {
		/* As it is printed in a report */
		text = line + strspn(line, "# \t");
		if (sscanf(text, "open %99s", node) == 1) {
			seq->node = node;
			continue;
		}
		if (*text == '\n' || !*text)
			continue;
		if (seq->nops == SEQUENCE_MAX ||
		    !fuzz_parse(text, &seq->op[seq->nops++]))
			return false;
	}
	return true;
}
