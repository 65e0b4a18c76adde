/* SPDX-License-Identifier: BSD-2-Clause */
/* HARENA_TRACE: a line on standard error for each reset, release, reclaim, trim and limit. Layer 1. */
#ifndef HRI_TRACE_H
#define HRI_TRACE_H
#include "atomics.h"

extern uint32_t hri_trace_state; /* atomic; 0: the environment has not been asked, 1: off, 2: on */

/* Asks the environment, once. */
void hri_trace_init(void);

/* "harena: " and one line, in one write; what is too long is cut. Keeps errno; allocates nothing. */
void hri_trace_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define HRI_TRACE(...)                                                                             \
    (HRI_UNLIKELY(hri_load_relaxed(&hri_trace_state) == 2) ? hri_trace_line(__VA_ARGS__) : (void)0)

#endif
