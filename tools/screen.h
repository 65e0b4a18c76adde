/* SPDX-License-Identifier: BSD-2-Clause */
/* A terminal that is drawn anew again and again, with plain escape codes. Layer 9. */
#ifndef HARENA_STAT_SCREEN_H
#define HARENA_STAT_SCREEN_H
#include <stdbool.h>
#include <stddef.h>

/* Takes the terminal: another screen, keys one by one and not shown. False: it is none. */
bool screen_begin(void);

/* Gives it back as it was. */
void screen_end(void);

/* The next picture, in pieces; what does not fit is cut. */
void screen_add(const char *bytes, size_t size);
void screen_show(void);

/* Waits so long. True: the user wants to end (q, ctrl-C, a signal). */
bool screen_wait(int milliseconds);

#endif
