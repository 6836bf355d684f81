/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contexts of iommufd on this machine, as /proc/PID/fdinfo tells of them.
 */
#ifndef __CONTEXT_H
#define __CONTEXT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* One line of fdinfo without "iommufd-" */
struct value {
	char *key;
	char *text;
};

/* A descriptor of a context */
struct holder {
	pid_t pid;
	int fd;
	char command[32];
	char node[64];	/* what was opened, such as /dev/iommu */
};

struct context {
	unsigned long long number;
	struct holder *holders;
	size_t nr_holders;
	struct value *values;
	size_t nr_values;
};

struct contexts {
	struct context *all;
	size_t nr;
	size_t hidden;	/* processes that we may not look into */
};

/* Kinds of objects, as their keys have them */
#define IOAS "ioas"
#define HWPT "hwpt"
#define DEVICE "device"
#define ACCESS "access"

/* Of all processes, or for a pid other than 0 those that it has */
void contexts_read(struct contexts *contexts, pid_t pid);
void contexts_free(struct contexts *contexts);

/* NULL when there is none of that name */
const char *context_text(const struct context *c, const char *key);
/* 0 when there is none, or it is no number */
unsigned long long context_number(const struct context *c, const char *key);

/* The same for a value of an object */
const char *object_text(const struct context *c, const char *kind,
			unsigned int id, const char *key);
unsigned long long object_number(const struct context *c, const char *kind,
				 unsigned int id, const char *key);

/*
 * The ID of the object that the value at an index is of, and the rest of its key.
 * NULL if it is not of that kind.
 */
const char *value_of(const struct value *value, const char *kind,
		     unsigned int *id);

/* IDs of all objects of a kind, in ascending order: for (id = 0; (id = ...);) */
unsigned int object_after(const struct context *c, const char *kind,
			  unsigned int id);

bool is_number(const char *text);
void *grow(void *array, size_t nr, size_t size);

#endif
