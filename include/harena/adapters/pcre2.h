/* SPDX-License-Identifier: BSD-2-Clause */
/* PCRE2 patterns and matches in an arena. Define PCRE2_CODE_UNIT_WIDTH before. One thread at a time. Layer 8.
 *
 * What pcre2_jit_compile and pcre2_jit_stack_create make is not in the arena: such a pattern or stack needs its
 * pcre2_code_free or pcre2_jit_stack_free, before the reset. */
#ifndef HARENA_ADAPTERS_PCRE2_H
#define HARENA_ADAPTERS_PCRE2_H
#include <harena/arena.h>
#include <pcre2.h>

static inline void *harena_pcre2_alloc(size_t size, void *arena)
{
    return harena_alloc((harena *)arena, size);
}

static inline void harena_pcre2_free(void *at, void *arena)
{
    (void)at, (void)arena;
}

/* A general context; it too lies in the arena. NULL: no memory. */
static inline pcre2_general_context *harena_pcre2_context(harena *a)
{
    return pcre2_general_context_create(harena_pcre2_alloc, harena_pcre2_free, a);
}

#endif
