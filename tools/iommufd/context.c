// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contexts of iommufd on this machine, as /proc/PID/fdinfo tells of them.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"

#define PREFIX "iommufd-"

bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == 0;
}

/* Room for one more; there is no way to go on without memory */
void *grow(void *array, size_t nr, size_t size)
{
	/* Whenever the number is a power of two, there is no room left */
	if (nr & (nr - 1))
		return array;
	array = realloc(array, (nr ? 2 * nr : 1) * size);
	if (!array) {
		perror("iommufd");
		exit(2);
	}
	return array;
}

static char *copy(const char *text)
{
	char *to = strdup(text);

	if (!to) {
		perror("iommufd");
		exit(2);
	}
	return to;
}

static void values_free(struct context *c)
{
	for (size_t i = 0; i < c->nr_values; i++) {
		free(c->values[i].key);
		free(c->values[i].text);
	}
	free(c->values);
	c->values = NULL;
	c->nr_values = 0;
}

/* Whether a line of fdinfo is ours; cuts it in two */
static bool split(char *line, char **key, char **text)
{
	char *colon = strchr(line, ':');

	if (strncmp(line, PREFIX, strlen(PREFIX)) || !colon)
		return false;
	line[strcspn(line, "\n")] = 0;
	*colon++ = 0;
	*key = line + strlen(PREFIX);
	*text = colon + strspn(colon, " \t");
	return true;
}

/* False if the descriptor is of something else, or gone */
static bool values_read(struct context *c, const char *path)
{
	char *line = NULL, *key, *text;
	FILE *f = fopen(path, "re");
	size_t len = 0;

	if (!f)
		return false;
	while (getline(&line, &len, f) > 0) {
		if (!split(line, &key, &text))
			continue;
		c->values = grow(c->values, c->nr_values, sizeof(*c->values));
		c->values[c->nr_values++] = (struct value){
			.key = copy(key), .text = copy(text),
		};
	}
	free(line);
	fclose(f);
	c->number = context_number(c, "context");
	return c->number;
}

static struct context *contexts_find(struct contexts *contexts,
				     unsigned long long number)
{
	for (size_t i = 0; i < contexts->nr; i++)
		if (contexts->all[i].number == number)
			return &contexts->all[i];
	return NULL;
}

static void read_line(const char *path, char *to, size_t size)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(to, size, f))
		strcpy(to, "?");
	to[strcspn(to, "\n")] = 0;
	if (f)
		fclose(f);
}

static void holder_add(struct context *c, pid_t pid, int fd)
{
	struct holder *h;
	char path[64];
	ssize_t len;

	c->holders = grow(c->holders, c->nr_holders, sizeof(*c->holders));
	h = &c->holders[c->nr_holders++];
	*h = (struct holder){ .pid = pid, .fd = fd };
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	read_line(path, h->command, sizeof(h->command));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	len = readlink(path, h->node, sizeof(h->node) - 1);
	if (len < 0)
		strcpy(h->node, "?");
}

/* What a process may have is known by its links, without reading much */
static bool may_be_ours(pid_t pid, const char *fd)
{
	char path[320], to[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, fd);
	len = readlink(path, to, sizeof(to) - 1);
	if (len < 0)
		return false;
	to[len] = 0;
	return !strncmp(to, "/dev/", strlen("/dev/"));
}

static void descriptor_read(struct contexts *contexts, pid_t pid,
			    const char *fd)
{
	struct context c = {}, *known;
	char path[320];

	if (!is_number(fd) || !may_be_ours(pid, fd))
		return;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, fd);
	if (!values_read(&c, path)) {
		values_free(&c);
		return;
	}
	known = contexts_find(contexts, c.number);
	if (known) {
		values_free(&c);
	} else {
		contexts->all = grow(contexts->all, contexts->nr,
				     sizeof(*contexts->all));
		known = &contexts->all[contexts->nr++];
		*known = c;
	}
	holder_add(known, pid, atoi(fd));
}

static void process_read(struct contexts *contexts, pid_t pid)
{
	struct dirent *e;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir) {
		/* It may be gone, too, which does no harm */
		contexts->hidden += errno == EACCES || errno == EPERM;
		return;
	}
	while ((e = readdir(dir)))
		descriptor_read(contexts, pid, e->d_name);
	closedir(dir);
}

void contexts_read(struct contexts *contexts, pid_t pid)
{
	struct dirent *e;
	DIR *proc;

	*contexts = (struct contexts){};
	if (pid) {
		process_read(contexts, pid);
		return;
	}
	proc = opendir("/proc");
	if (!proc) {
		perror("iommufd: /proc");
		exit(2);
	}
	while ((e = readdir(proc)))
		if (is_number(e->d_name))
			process_read(contexts, atoi(e->d_name));
	closedir(proc);
}

void contexts_free(struct contexts *contexts)
{
	for (size_t i = 0; i < contexts->nr; i++) {
		values_free(&contexts->all[i]);
		free(contexts->all[i].holders);
	}
	free(contexts->all);
	*contexts = (struct contexts){};
}

const char *context_text(const struct context *c, const char *key)
{
	for (size_t i = 0; i < c->nr_values; i++)
		if (!strcmp(c->values[i].key, key))
			return c->values[i].text;
	return NULL;
}

static unsigned long long number_of(const char *text)
{
	return text && is_number(text) ? strtoull(text, NULL, 10) : 0;
}

unsigned long long context_number(const struct context *c, const char *key)
{
	return number_of(context_text(c, key));
}

const char *value_of(const struct value *value, const char *kind,
		     unsigned int *id)
{
	size_t len = strlen(kind);
	char *end;

	if (strncmp(value->key, kind, len) || value->key[len] != '-' ||
	    !isdigit(value->key[len + 1]))
		return NULL;
	*id = strtoul(value->key + len + 1, &end, 10);
	return *end == '-' ? end + 1 : NULL;
}

const char *object_text(const struct context *c, const char *kind,
			unsigned int id, const char *key)
{
	char name[128];

	snprintf(name, sizeof(name), "%s-%u-%s", kind, id, key);
	return context_text(c, name);
}

unsigned long long object_number(const struct context *c, const char *kind,
				 unsigned int id, const char *key)
{
	return number_of(object_text(c, kind, id, key));
}

unsigned int object_after(const struct context *c, const char *kind,
			  unsigned int id)
{
	unsigned int next = 0, found;

	for (size_t i = 0; i < c->nr_values; i++)
		if (value_of(&c->values[i], kind, &found) && found > id &&
		    (!next || found < next))
			next = found;
	return next;
}
