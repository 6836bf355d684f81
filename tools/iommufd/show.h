/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contexts as a tree, as JSON, and as a table.
 */
#ifndef __SHOW_H
#define __SHOW_H

#include <stdbool.h>

#include "context.h"

void show_tree(const struct contexts *contexts);
void show_json(const struct contexts *contexts);
/* Sorted by what is pinned, at most that many lines */
void show_table(struct contexts *contexts, unsigned int lines);

/* 300.0 GiB */
const char *amount(unsigned long long bytes, char *buf, size_t size);

#endif
