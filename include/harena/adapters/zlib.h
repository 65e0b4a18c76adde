/* SPDX-License-Identifier: BSD-2-Clause */
/* zlib streams in an arena. One thread at a time. Layer 8. */
#ifndef HARENA_ADAPTERS_ZLIB_H
#define HARENA_ADAPTERS_ZLIB_H
#include <harena/arena.h>
#include <zlib.h>

static inline void *harena_zlib_alloc(void *arena, unsigned count, unsigned size)
{
    return harena_alloc_array((harena *)arena, count, size);
}

static inline void harena_zlib_free(void *arena, void *at)
{
    (void)arena, (void)at;
}

/* Before deflateInit, inflateInit and the like. */
static inline void harena_zlib_use(z_stream *stream, harena *a)
{
    stream->zalloc = harena_zlib_alloc;
    stream->zfree = harena_zlib_free;
    stream->opaque = a;
}

#endif
