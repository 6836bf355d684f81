/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequences of operations that are done to the kernel and to a model, which have to
 * agree. An operation is a number of a kind and plain numbers; it means something in
 * any state, and what it refers to may be missing. So a sequence remains one when
 * operations are taken out of it.
 */
#ifndef __FUZZ_H
#define __FUZZ_H

#include <sys/types.h>

#include "iommu_utils.h"
#include "fuzz_model.h"

/* Objects are referred to by where their IDs are kept, and not by the IDs */
#define FUZZ_SLOTS 32
/* The HWPT that the device of a slot is attached to */
#define FUZZ_RID_OF 100

enum fuzz_field {
	F_OBJ, F_WITH, F_TO, F_MEM, F_OFF, F_LEN, F_IOVA, F_SRC, F_FLAGS, F_NUM,
	FUZZ_FIELDS,
};

struct fuzz_op {
	unsigned int kind;	/* index into fuzz_kinds */
	unsigned int fail;	/* have the nth failure happen; 0 for none */
	union {
		__u64 field[FUZZ_FIELDS];
		struct {
			__u64 obj;	/* slot of what it is about */
			__u64 with;	/* slot of something else */
			__u64 to;	/* slot for what is made */
			__u64 mem;	/* region */
			__u64 off;	/* bytes from its start */
			__u64 len;	/* bytes */
			__u64 iova;
			__u64 src;	/* IOVA to copy from */
			__u64 flags;
			__u64 num;	/* anything else */
		};
	};
};

struct fuzz_slot {
	__u32 id;		/* 0 for an empty one */
	int file;		/* its descriptor, or -1 */
};

struct fuzz {
	struct model model;
	struct model before;	/* the last operation */
	int fd;
	int memfd;
	struct fuzz_slot slot[FUZZ_SLOTS];
	__u8 *shadow;		/* what each frame has in it */
	pid_t child;
	int to_child, from_child;
	long pinned, locked;	/* of the program before the sequence began */
	__u64 stamp;
	struct fuzz_stats *stats;	/* may be NULL */
	int result;		/* of the operation, or -1 if it was not done */
	unsigned int nth;	/* failure to happen in the next call */
	bool injected;		/* it did */
	char why[500];		/* what does not agree; empty if all does */
};

#define FUZZ_MAX_KINDS 64
#define FUZZ_ERRNOS 128

/* What became of the operations of each kind */
struct fuzz_stats {
	__u64 results[FUZZ_MAX_KINDS][FUZZ_ERRNOS];
	__u64 injected[FUZZ_MAX_KINDS];
	__u64 ns[FUZZ_MAX_KINDS];
};

struct fuzz_kind {
	const char *name;
	unsigned int fields;	/* those that are used, as bits */
	unsigned int weight;
	/* Of no use without an object of this type and of another one */
	enum model_type needs, needs2;
	void (*generate)(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
	void (*run)(struct fuzz *f, const struct fuzz_op *op);
};

extern const struct fuzz_kind fuzz_kinds[];
extern const unsigned int fuzz_nkinds;

/* The kind that only looks whether everything is as it should be */
#define FUZZ_CHECK 0

/* To be called in the process that is to have failures. NULL, or what is missing. */
const char *fuzz_injection(void);
/* A fresh context, and memory. False if that cannot be had; says why. */
bool fuzz_begin(struct fuzz *f, const char *node, const char *broken,
		struct fuzz_stats *stats);
/* Close it all; nothing may be left then */
void fuzz_end(struct fuzz *f);
void fuzz_generate(struct fuzz *f, struct fuzz_op *op, __u64 *rng, bool fail);
/* True if kernel and model agree; f->why otherwise */
bool fuzz_run(struct fuzz *f, const struct fuzz_op *op);

/* A line of text for an operation, and back. False if it makes no sense. */
void fuzz_print(const struct fuzz_op *op, char *line, size_t size);
bool fuzz_parse(const char *line, struct fuzz_op *op);

#endif
