/* SPDX-License-Identifier: BSD-2-Clause */
/* zstd contexts in an arena; with ZSTD_c_nbWorkers in a shared one, until ZSTD_freeCCtx: threads use it. Layer 8. */
#ifndef HARENA_ADAPTERS_ZSTD_H
#define HARENA_ADAPTERS_ZSTD_H
#ifndef ZSTD_STATIC_LINKING_ONLY
#define ZSTD_STATIC_LINKING_ONLY
#endif
#include <harena/shared.h>
#include <zstd.h>

static inline void *harena_zstd_alloc(void *arena, size_t size)
{
    return harena_alloc((harena *)arena, size);
}

static inline void *harena_zstd_shared_alloc(void *shared, size_t size)
{
    return harena_shared_alloc((harena_shared *)shared, size);
}

static inline void harena_zstd_free(void *arena, void *at)
{
    (void)arena, (void)at;
}

/* For ZSTD_createCCtx_advanced and the like; the second for contexts with worker threads. */
static inline ZSTD_customMem harena_zstd_memory(harena *a)
{
    ZSTD_customMem memory = {harena_zstd_alloc, harena_zstd_free, a};
    return memory;
}

static inline ZSTD_customMem harena_zstd_shared_memory(harena_shared *s)
{
    ZSTD_customMem memory = {harena_zstd_shared_alloc, harena_zstd_free, s};

    return memory;
}

#endif
