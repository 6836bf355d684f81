// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contexts as a tree, as JSON, and as a table.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "show.h"

const char *amount(unsigned long long bytes, char *buf, size_t size)
{
	static const char * const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = bytes;
	int unit = 0;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(buf, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return buf;
}

static void print_amount(const char *before, unsigned long long bytes)
{
	char buf[32];

	printf("%s%s", before, amount(bytes, buf, sizeof(buf)));
}

/* A terminal must not take the name of a process for anything else */
static void print_name(const char *name)
{
	for (; *name; name++)
		putchar(iscntrl((unsigned char)*name) ? '?' : *name);
}

/*
 * The tree
 */

static void tree_payer(const struct context *c, unsigned int ioas)
{
	const char *mode = object_text(c, IOAS, ioas, "accounting");
	const char *limit = object_text(c, IOAS, ioas, "limit");

	if (!mode)
		return;
	printf("    accounting %s", mode);
	if (object_text(c, IOAS, ioas, "payer-pid"))
		printf(": process %llu",
		       object_number(c, IOAS, ioas, "payer-pid"));
	if (object_text(c, IOAS, ioas, "payer-uid"))
		printf(", user %llu", object_number(c, IOAS, ioas, "payer-uid"));
	if (limit) {
		print_amount(", ", object_number(c, IOAS, ioas, "charged"));
		if (is_number(limit))
			print_amount(" of ", strtoull(limit, NULL, 10));
		else
			printf(" of %s", limit);
		printf(" locked");
	}
	putchar('\n');
}

static void tree_pasids(const struct context *c, unsigned int device)
{
	unsigned int id, pasid;
	char word[8];

	for (size_t i = 0; i < c->nr_values; i++) {
		const char *key = value_of(&c->values[i], DEVICE, &id);

		if (key && id == device &&
		    sscanf(key, "pasid-%u-%7s", &pasid, word) == 2 &&
		    !strcmp(word, "hwpt"))
			printf(", PASID %u on hwpt %s", pasid,
			       c->values[i].text);
	}
}

static void tree_device(const struct context *c, unsigned int device,
			int indent)
{
	const char *hwpt = object_text(c, DEVICE, device, "hwpt");

	printf("%*sdevice %u: %s, group %s", indent, "", device,
	       object_text(c, DEVICE, device, "name") ?: "?",
	       object_text(c, DEVICE, device, "group") ?: "?");
	if (!hwpt || !is_number(hwpt))
		printf(", attachment %s", hwpt ?: "?");
	tree_pasids(c, device);
	putchar('\n');
}

static void tree_hwpt(const struct context *c, unsigned int hwpt)
{
	const char *dirty = object_text(c, HWPT, hwpt, "dirty-tracking");
	const char *is_auto = object_text(c, HWPT, hwpt, "auto");
	unsigned int device;

	printf("    hwpt %u: %s", hwpt,
	       object_text(c, HWPT, hwpt, "type") ?: "?");
	if (object_text(c, HWPT, hwpt, "parent"))
		printf(" on hwpt %llu", object_number(c, HWPT, hwpt, "parent"));
	if (is_auto && !strcmp(is_auto, "on"))
		printf(", automatic");
	if (dirty && !strcmp(dirty, "on"))
		printf(", tracks dirty pages");
	if (object_text(c, HWPT, hwpt, "fault"))
		printf(", faults to queue %llu",
		       object_number(c, HWPT, hwpt, "fault"));
	putchar('\n');
	for (device = 0; (device = object_after(c, DEVICE, device));)
		if (object_number(c, DEVICE, device, "hwpt") == hwpt)
			tree_device(c, device, 6);
}

static void tree_ioas(const struct context *c, unsigned int ioas)
{
	unsigned int id;

	printf("  ioas %u:", ioas);
	print_amount(" mapped ", object_number(c, IOAS, ioas, "mapped"));
	print_amount(", pinned ", object_number(c, IOAS, ioas, "pinned"));
	if (object_number(c, IOAS, ioas, "access-pinned"))
		print_amount(", by accesses ",
			     object_number(c, IOAS, ioas, "access-pinned"));
	printf(", %llu areas, %llu domains, huge pages %s, dirty log %s\n",
	       object_number(c, IOAS, ioas, "areas"),
	       object_number(c, IOAS, ioas, "domains"),
	       object_text(c, IOAS, ioas, "huge-pages") ?: "?",
	       object_text(c, IOAS, ioas, "dirty-log") ?: "?");
	tree_payer(c, ioas);
	for (id = 0; (id = object_after(c, HWPT, id));)
		if (object_number(c, HWPT, id, "ioas") == ioas)
			tree_hwpt(c, id);
	for (id = 0; (id = object_after(c, ACCESS, id));)
		if (object_number(c, ACCESS, id, "ioas") == ioas)
			printf("    access %u\n", id);
}

static void tree_context(const struct context *c)
{
	unsigned int id;

	printf("context %llu:", c->number);
	print_amount(" pinned ", context_number(c, "pinned"));
	printf(", new memory counts by %s, container %s\n",
	       context_text(c, "accounting") ?: "?",
	       context_text(c, "container") ?: "?");
	for (size_t i = 0; i < c->nr_holders; i++) {
		const struct holder *h = &c->holders[i];

		printf("  process %d ", h->pid);
		print_name(h->command);
		printf(": descriptor %d of %s\n", h->fd, h->node);
	}
	for (id = 0; (id = object_after(c, IOAS, id));)
		tree_ioas(c, id);
	/* What is in no IOAS */
	for (id = 0; (id = object_after(c, DEVICE, id));)
		if (!object_number(c, DEVICE, id, "hwpt"))
			tree_device(c, id, 2);
	for (id = 0; (id = object_after(c, ACCESS, id));)
		if (!object_number(c, ACCESS, id, "ioas"))
			printf("  access %u: attachment %s\n", id,
			       object_text(c, ACCESS, id, "ioas") ?: "?");
}

void show_tree(const struct contexts *contexts)
{
	for (size_t i = 0; i < contexts->nr; i++)
		tree_context(&contexts->all[i]);
}

/*
 * JSON: whatever there is, also what this program does not know
 */

static void json_object(const struct context *c, const char *kind,
			unsigned int object)
{
	unsigned int id;

	json_open(NULL, '{');
	json_number("id", object);
	for (size_t i = 0; i < c->nr_values; i++) {
		const char *key = value_of(&c->values[i], kind, &id);

		if (key && id == object)
			json_value(key, c->values[i].text);
	}
	json_close('}');
}

static void json_context(const struct context *c)
{
	static const char * const kinds[] = { IOAS, HWPT, DEVICE, ACCESS };
	unsigned int id;

	json_open(NULL, '{');
	for (size_t i = 0; i < c->nr_values; i++)
		if (!strpbrk(c->values[i].key, "-0123456789"))
			json_value(c->values[i].key, c->values[i].text);
	json_open("processes", '[');
	for (size_t i = 0; i < c->nr_holders; i++) {
		json_open(NULL, '{');
		json_number("pid", c->holders[i].pid);
		json_number("fd", c->holders[i].fd);
		json_text("command", c->holders[i].command);
		json_text("node", c->holders[i].node);
		json_close('}');
	}
	json_close(']');
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		json_open(kinds[i], '[');
		for (id = 0; (id = object_after(c, kinds[i], id));)
			json_object(c, kinds[i], id);
		json_close(']');
	}
	json_close('}');
}

void show_json(const struct contexts *contexts)
{
	json_open(NULL, '{');
	json_number("hidden-processes", contexts->hidden);
	json_open("contexts", '[');
	for (size_t i = 0; i < contexts->nr; i++)
		json_context(&contexts->all[i]);
	json_close(']');
	json_close('}');
}

/*
 * The table
 */

static int by_pinned(const void *a, const void *b)
{
	unsigned long long pinned_a = context_number(a, "pinned");
	unsigned long long pinned_b = context_number(b, "pinned");

	return (pinned_a < pinned_b) - (pinned_a > pinned_b);
}

static unsigned long long sum(const struct context *c, const char *kind,
			      const char *key)
{
	unsigned long long total = 0;
	unsigned int id;

	for (id = 0; (id = object_after(c, kind, id));)
		total += key ? object_number(c, kind, id, key) : 1;
	return total;
}

void show_table(struct contexts *contexts, unsigned int lines)
{
	char pinned[32], mapped[32];

	qsort(contexts->all, contexts->nr, sizeof(*contexts->all), by_pinned);
	printf("%10s %10s %9s %5s %7s %7s %8s %s\n", "PINNED", "MAPPED",
	       "AREAS", "IOAS", "DEVICES", "CONTEXT", "PID", "COMMAND");
	for (size_t i = 0; i < contexts->nr && i < lines; i++) {
		const struct context *c = &contexts->all[i];

		printf("%10s %10s %9llu %5llu %7llu %7llu %8d ",
		       amount(context_number(c, "pinned"), pinned,
			      sizeof(pinned)),
		       amount(sum(c, IOAS, "mapped"), mapped, sizeof(mapped)),
		       sum(c, IOAS, "areas"), sum(c, IOAS, NULL),
		       sum(c, DEVICE, NULL), c->number, c->holders[0].pid);
		print_name(c->holders[0].command);
		if (c->nr_holders > 1)
			printf(" (and %zu more)", c->nr_holders - 1);
		putchar('\n');
	}
}
