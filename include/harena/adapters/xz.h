/* SPDX-License-Identifier: BSD-2-Clause */
/* liblzma streams in an arena; those with threads (lzma_stream_encoder_mt), in a shared one. Layer 8.
 *
 * A stream with threads needs its lzma_end before the reset: they are at work in it until then. */
#ifndef HARENA_ADAPTERS_XZ_H
#define HARENA_ADAPTERS_XZ_H
#include <harena/shared.h>
#include <lzma.h>

static inline void *harena_xz_alloc(void *arena, size_t count, size_t size)
{
    return harena_alloc_array((harena *)arena, count, size);
}

static inline void *harena_xz_shared_alloc(void *shared, size_t count, size_t size)
{
    return harena_shared_alloc_array((harena_shared *)shared, count, size);
}

static inline void harena_xz_free(void *arena, void *at)
{
    (void)arena, (void)at;
}

/* For lzma_stream.allocator; it must live as long as the stream. */
static inline lzma_allocator harena_xz_allocator(harena *a)
{
    lzma_allocator allocator = {harena_xz_alloc, harena_xz_free, a};

    return allocator;
}

static inline lzma_allocator harena_xz_shared_allocator(harena_shared *s)
{
    lzma_allocator allocator = {harena_xz_shared_alloc, harena_xz_free, s};

    return allocator;
}

#endif
