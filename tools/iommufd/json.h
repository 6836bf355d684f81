/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing JSON to standard output. Members of an object have a name, elements of an
 * array, and what is outermost, have NULL.
 */
#ifndef __JSON_H
#define __JSON_H

void json_open(const char *name, char bracket);
void json_close(char bracket);
void json_text(const char *name, const char *text);
void json_number(const char *name, unsigned long long number);
/* As a number if it is one */
void json_value(const char *name, const char *text);

#endif
