/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory faults that somebody can explain. Layer 1. */
#ifndef HRI_FAULT_H
#define HRI_FAULT_H
#include "base.h"

/* Installs a handler of SIGSEGV, once in the process: `explain` is called with the address that was touched without the
 * right to (it may do what a signal handler may), then whatever the signal did before happens as if nobody had been
 * there. */
void hri_fault_watch(void (*explain)(const void *address));

/* Writes a line to standard error from a signal handler: pieces until NULL, and a new line. Control characters are
 * written as '?'. */
void hri_fault_write(const char *const *pieces);

/* Digits with 0x before them if `base` is 16, else to the base 10. Returns where they begin in `text`. */
const char *hri_fault_digits(char text[24], uint64_t number, unsigned base);

/* The kernel's number of this thread. */
uint32_t hri_fault_thread(void);

#endif
