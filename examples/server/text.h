/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8: is it valid, and the same text without upper case. */
#ifndef EXAMPLES_SERVER_TEXT_H
#define EXAMPLES_SERVER_TEXT_H

#include <harena.h>

#include <stdbool.h>
#include <stddef.h>

/* Once, before the first thread: loads the table of upper and lower case. */
void text_setup(void);
void text_teardown(void);

bool text_is_utf8(const char *text, size_t length);

/* A copy in lower case, in `arena`; the text must be valid UTF-8. NULL: out of memory. */
char *text_fold(harena *arena, const char *text, size_t length);

#endif
