// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing JSON to standard output.
 */
#include <stdbool.h>
#include <stdio.h>

#include "context.h"
#include "json.h"

static unsigned int depth;
static bool first = true;

static void quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = *text;

		/* A process may have any name; bytes of UTF-8 pass */
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c == 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void begin(const char *name)
{
	if (!first)
		putchar(',');
	if (depth)
		printf("\n%*s", 2 * depth, "");
	first = false;
	if (name) {
		quoted(name);
		printf(": ");
	}
}

void json_open(const char *name, char bracket)
{
	begin(name);
	putchar(bracket);
	depth++;
	first = true;
}

void json_close(char bracket)
{
	depth--;
	if (!first)
		printf("\n%*s", 2 * depth, "");
	putchar(bracket);
	first = false;
	if (!depth) {
		putchar('\n');
		first = true;
	}
}

void json_text(const char *name, const char *text)
{
	begin(name);
	quoted(text);
}

void json_number(const char *name, unsigned long long number)
{
	begin(name);
	printf("%llu", number);
}

void json_value(const char *name, const char *text)
{
	if (!is_number(text)) {
		json_text(name, text);
		return;
	}
	begin(name);
	printf("%s", text);
}
