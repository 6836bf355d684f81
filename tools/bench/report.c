// SPDX-License-Identifier: GPL-2.0-only
#include "report.h"
#include "clock.h"

#include <stdarg.h>
#include <stdio.h>

static unsigned int failures;

void sample_add(struct sample *sample, uint64_t ticks)
{
	if (!sample->nr || ticks < sample->min)
		sample->min = ticks;
	if (!sample->nr || ticks > sample->max)
		sample->max = ticks;
	sample->nr++;
}

void report_value(const char *row, const char *kind, const char *who,
		  const char *what, double min, double max, const char *unit)
{
	printf("@value|%s|%s|%s|%s|%.3f|%.3f|%s\n", row, kind, who, what, min,
	       max, unit);
	fflush(stdout);
}

void report_insns(const char *row, const char *kind, const char *who,
		  const char *what, const struct sample *sample, double per,
		  const char *unit)
{
	double scale = tick_insns() / per;

	if (sample->nr)
		report_value(row, kind, who, what, sample->min * scale,
			     sample->max * scale, unit);
}

static void say(const char *tag, const char *row, const char *kind,
		const char *who, const char *format, va_list args)
{
	printf("@%s|%s|%s|%s|", tag, row, kind, who);
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
}

void report_note(const char *row, const char *kind, const char *who,
		 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("note", row, kind, who, format, args);
	va_end(args);
}

void report_missing(const char *row, const char *kind, const char *who,
		    const char *format, ...)
{
	va_list args;

	failures++;
	va_start(args, format);
	say("missing", row, kind, who, format, args);
	va_end(args);
}

unsigned int report_failures(void)
{
	return failures;
}
