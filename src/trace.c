/* SPDX-License-Identifier: BSD-2-Clause */
/* HARENA_TRACE: lines on standard error. Layer 1. */
#define _GNU_SOURCE 1 /* secure_getenv */
#include "trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t hri_trace_state;

void hri_trace_init(void)
{
    const char *value;

    if (hri_load_relaxed(&hri_trace_state) != 0) /* relaxed: whoever asks twice gets the same */
        return;
    value = secure_getenv("HARENA_TRACE");
    hri_store_relaxed(&hri_trace_state, value != NULL && strcmp(value, "1") == 0 ? 2 : 1);
}

void hri_trace_line(const char *format, ...)
{
    static const char prefix[] = "harena: ";
    int saved = errno, length;
    char line[256];
    size_t used = sizeof(prefix) - 1;
    va_list values;

    memcpy(line, prefix, used);
    va_start(values, format);
    length = vsnprintf(line + used, sizeof(line) - used, format, values);
    va_end(values);
    if (length > 0)
        used += hri_min((size_t)length, sizeof(line) - used - 1);
    hri_mask_controls(line, used);
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0) {
        /* Nobody is there to be told. */
    }
    errno = saved;
}
