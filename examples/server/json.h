/* SPDX-License-Identifier: BSD-2-Clause */
/* cJSON on arenas: its hooks carry no context, so they take the thread's current arena. */
#ifndef EXAMPLES_SERVER_JSON_H
#define EXAMPLES_SERVER_JSON_H

#include <cjson/cJSON.h>

#include <harena.h>

#include <stdbool.h>
#include <stddef.h>

/* Once, before the first thread: cJSON's hooks are global. From then on every call of cJSON that
 * allocates needs harena_current() to be the arena that it shall allocate from. */
void json_setup(void);

/* `text` as one JSON value and nothing after it but white space; text[length] must be '\0'.
 * NULL: malformed, or out of memory (then harena_failed() holds for the current arena). */
cJSON *json_parse(const char *text, size_t length);

/* The value as text without white space; `expected` is a guess of its length. NULL: memory. */
char *json_print(const cJSON *value, size_t expected);

#endif
