// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE	/* strerrorname_np() */
#include "say.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_NOT_AS_IT_SHOULD_BE 1

static unsigned int steps, made, failed, impossible;

void step(const char *title)
{
	printf("\n%2u. %s\n", ++steps, title);
	fflush(stdout);
}

void say(const char *label, const char *fmt, ...)
{
	va_list args;

	printf("    %-13s ", label);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void remark(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf("    %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	fflush(stdout);
}

bool check(bool ok, const char *fmt, ...)
{
	va_list args;

	made++;
	failed += !ok;
	printf("    %-13s ", ok ? "[ok]" : "[NOT OK]");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	return ok;
}

void check_impossible(const char *fmt, ...)
{
	va_list args;

	impossible++;
	printf("    %-13s ", "[UNKNOWN]");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

unsigned int checks_failed(void)
{
	return failed;
}

unsigned int checks_made(void)
{
	return made;
}

unsigned int checks_impossible(void)
{
	return impossible;
}

void die(const char *fmt, ...)
{
	va_list args;

	printf("\n    [STOPPED] ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	exit(EXIT_NOT_AS_IT_SHOULD_BE);
}

void die_errno(const struct errno_note *notes, const char *fmt, ...)
{
	int err = errno;
	va_list args;

	printf("\n    [STOPPED] ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf(": %s (%s)\n", strerrorname_np(err) ?: "?", strerror(err));

	for (; notes && notes->err; notes++)
		if (notes->err == err)
			remark(notes->meaning);
	fflush(stdout);
	exit(EXIT_NOT_AS_IT_SHOULD_BE);
}

const char *size_str(uint64_t bytes)
{
	static const char * const unit[] = {
		"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"
	};
	static char ring[8][32];
	static unsigned int next;
	char *s = ring[next++ % ARRAY_SIZE(ring)];
	unsigned int u = 0;
	uint64_t rest = 0;

	/* Exact as long as the number stays readable. */
	while (bytes >= 1024 && (bytes % 1024 == 0 || bytes >= 100000)) {
		rest = bytes % 1024;
		bytes /= 1024;
		u++;
	}
	if (rest)
		snprintf(s, sizeof(ring[0]), "%lu.%lu %s", bytes,
			 rest * 10 / 1024, unit[u]);
	else
		snprintf(s, sizeof(ring[0]), "%lu %s", bytes, unit[u]);
	return s;
}
