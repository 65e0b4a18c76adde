/* SPDX-License-Identifier: BSD-2-Clause */
/* nghttp2 sessions in an arena: short ones, with options.limit, for nothing goes back. One thread at a time. Layer 8. */
#ifndef HARENA_ADAPTERS_NGHTTP2_H
#define HARENA_ADAPTERS_NGHTTP2_H
#include <harena/adapters/sized.h>
#include <nghttp2/nghttp2.h>

static inline void *harena_nghttp2_alloc(size_t size, void *arena)
{
    return harena_sized_alloc((harena *)arena, size);
}

static inline void harena_nghttp2_free(void *at, void *arena)
{
    (void)at, (void)arena;
}

static inline void *harena_nghttp2_calloc(size_t count, size_t size, void *arena)
{
    size_t bytes = size != 0 && count > (size_t)-1 / size ? (size_t)-1 : count * size;
    void *at = harena_sized_alloc((harena *)arena, bytes);

    return at != (void *)0 ? __builtin_memset(at, 0, bytes) : at;
}

static inline void *harena_nghttp2_realloc(void *old, size_t size, void *arena)
{
    return harena_sized_realloc((harena *)arena, old, size);
}

/* For nghttp2_session_client_new3 and the like, which copy it. A deflater or inflater of headers keeps a pointer to it. */
static inline nghttp2_mem harena_nghttp2_memory(harena *a)
{
    nghttp2_mem memory = {a, harena_nghttp2_alloc, harena_nghttp2_free, harena_nghttp2_calloc,
                          harena_nghttp2_realloc};

    return memory;
}

#endif
