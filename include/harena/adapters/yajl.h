/* SPDX-License-Identifier: BSD-2-Clause */
/* yajl parsers and generators in an arena (not trees: they take malloc). One thread at a time. Layer 8.
 *
 * yajl does not survive a refusal: it writes to what it was given unseen. So the arena must have no limit that it can meet. */
#ifndef HARENA_ADAPTERS_YAJL_H
#define HARENA_ADAPTERS_YAJL_H
#include <harena/adapters/sized.h>
#include <yajl/yajl_common.h>

static inline void *harena_yajl_alloc(void *arena, size_t size)
{
    return harena_sized_alloc((harena *)arena, size);
}

static inline void *harena_yajl_realloc(void *arena, void *old, size_t size)
{
    return harena_sized_realloc((harena *)arena, old, size);
}

static inline void harena_yajl_free(void *arena, void *at)
{
    (void)arena, (void)at;
}

/* For yajl_alloc and yajl_gen_alloc. */
static inline yajl_alloc_funcs harena_yajl_memory(harena *a)
{
    yajl_alloc_funcs memory = {harena_yajl_alloc, harena_yajl_realloc, harena_yajl_free, a};

    return memory;
}

#endif
