// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommufd: looks into the contexts of iommufd on this machine.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "doctor.h"
#include "show.h"

/* What the command line says */
struct options {
	bool json;
	unsigned int rounds;	/* of top; 0 is no end */
	unsigned int delay;	/* seconds */
	const char *command;
	const char *argument;
};

static void print_help(FILE *to)
{
	fputs("usage: iommufd [--json] list\n"
	      "       iommufd [--json] show PID\n"
	      "       iommufd [-n ROUNDS] [-d SECONDS] top\n"
	      "       iommufd [--json] doctor\n"
	      "\n"
	      "list    contexts of iommufd: their processes, memory and devices\n"
	      "show    those that a process has\n"
	      "top     the same as a table, again and again, by pinned memory\n"
	      "doctor  is this machine ready, and what is to be done if not\n", to);
}

__attribute__((noreturn))
static void bad_usage(const char *what)
{
	fprintf(stderr, "iommufd: %s\n", what);
	print_help(stderr);
	exit(2);
}

static unsigned int option_number(const char *text)
{
	if (!is_number(text) || strlen(text) > 6)
		bad_usage("an option wants a number");
	return atoi(text);
}

static void read_options(struct options *o, int argc, char **argv)
{
	static const struct option words[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int c;

	*o = (struct options){ .delay = 2 };
	while ((c = getopt_long(argc, argv, "jhn:d:", words, NULL)) != -1) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'n':
			o->rounds = option_number(optarg);
			break;
		case 'd':
			o->delay = option_number(optarg);
			break;
		case 'h':
			print_help(stdout);
			exit(0);
		default:
			print_help(stderr);
			exit(2);
		}
	}
	o->command = argv[optind] ?: "list";
	if (argv[optind])
		o->argument = argv[optind + 1];
}

/* Without root, most of what there is cannot be seen */
static void tell_hidden(const struct contexts *contexts)
{
	if (contexts->hidden)
		fprintf(stderr,
			"iommufd: %zu processes may not be looked into (be root)\n",
			contexts->hidden);
}

static int list(const struct options *o, pid_t pid)
{
	struct contexts contexts;
	int status = 0;

	contexts_read(&contexts, pid);
	if (o->json)
		show_json(&contexts);
	else
		show_tree(&contexts);
	tell_hidden(&contexts);
	if (pid && !contexts.nr) {
		fprintf(stderr, "iommufd: process %d has none\n", pid);
		status = 1;
	}
	contexts_free(&contexts);
	return status;
}

static int top(const struct options *o)
{
	bool screen = isatty(STDOUT_FILENO);
	struct contexts contexts;

	for (unsigned int round = 1;; round++) {
		contexts_read(&contexts, 0);
		/* Clear it, and begin at its upper left corner */
		if (screen)
			printf("\033[H\033[J");
		show_table(&contexts, 1000);
		if (round == 1)
			tell_hidden(&contexts);
		contexts_free(&contexts);
		if (fflush(stdout))
			return 2;
		if (round == o->rounds)
			return 0;
		sleep(o->delay);
	}
}

int main(int argc, char **argv)
{
	struct options o;

	read_options(&o, argc, argv);
	if (!strcmp(o.command, "show")) {
		if (!o.argument || !is_number(o.argument) || !atoi(o.argument))
			bad_usage("show wants the number of a process");
		return list(&o, atoi(o.argument));
	}
	if (o.argument)
		bad_usage("too many words");
	if (!strcmp(o.command, "list"))
		return list(&o, 0);
	if (!strcmp(o.command, "top"))
		return top(&o);
	if (!strcmp(o.command, "doctor"))
		return doctor(o.json) ? 0 : 1;
	bad_usage("there is no such command");
}
