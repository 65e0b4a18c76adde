/* SPDX-License-Identifier: BSD-2-Clause */
/* What two processes need to know of each other: when one began, and a word in shared memory to wait on. Layer 1. */
#ifndef HRI_PROCESS_H
#define HRI_PROCESS_H
#include "base.h"

/* When a process began, in the kernel's ticks since boot: with its number it names one process. 0: there is none, or
 * it cannot be told. */
uint64_t hri_process_start(uint32_t pid);

/* Sleeps while *word, which processes share, holds `seen`, for up to `milliseconds` (-1: no bound). May return early. */
void hri_process_wait(uint32_t *word, uint32_t seen, int milliseconds);
void hri_process_wake(uint32_t *word);

/* Adds 1 to *word, acquiring and releasing, and wakes who waits on it. The kernel does it, as it does the two above: where
 * *word is in a file that has been cut short they fail, and no signal comes. 0, or -errno. */
int hri_process_raise(uint32_t *word);

/* Milliseconds since 1970, to be told to people. */
uint64_t hri_process_time(void);

#endif
