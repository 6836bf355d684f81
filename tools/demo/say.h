/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the demo prints: numbered steps, labelled facts, checks, and
 * explanations of what went wrong.
 */
#ifndef DEMO_SAY_H
#define DEMO_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* What one errno of one call means, for the person who sees it fail. */
struct errno_note {
	int err;
	const char *meaning;
};

/* Starts the next numbered step. */
void step(const char *title);

/* One fact of the current step: "    label   text". */
[[gnu::format(printf, 2, 3)]]
void say(const char *label, const char *fmt, ...);

/* A remark in full sentences; every line of it is indented. */
void remark(const char *text);

/*
 * A thing that must be true. Prints it, and counts it when it is not;
 * the demo goes on, but will not succeed any more. Returns @ok.
 */
[[gnu::format(printf, 2, 3)]]
bool check(bool ok, const char *fmt, ...);

/* A check that cannot be made here, and why. Printed and counted. */
[[gnu::format(printf, 1, 2)]]
void check_impossible(const char *fmt, ...);

/* How many checks did not hold so far, were made, and were impossible. */
unsigned int checks_failed(void);
unsigned int checks_made(void);
unsigned int checks_impossible(void);

/* Ends the program: something is missing without which it cannot go on. */
[[gnu::noreturn, gnu::format(printf, 1, 2)]]
void die(const char *fmt, ...);

/*
 * The same after a failed system call: prints the call, the name and text of
 * errno, and what this errno means for this call according to @notes (a list
 * that ends with err == 0, or NULL).
 */
[[gnu::noreturn, gnu::format(printf, 2, 3)]]
void die_errno(const struct errno_note *notes, const char *fmt, ...);

/* "64 MiB", "508.1 GiB", "77 bytes"; valid until eight more calls were made. */
const char *size_str(uint64_t bytes);

#endif
