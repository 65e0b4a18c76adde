/* SPDX-License-Identifier: BSD-2-Clause */
/* Brotli encoders and decoders in an arena. One thread at a time. Layer 8.
 *
 * A decoder survives a refusal, an encoder ends the process (1.0.9 calls exit): its arena must have no limit that it can
 * meet. */
#ifndef HARENA_ADAPTERS_BROTLI_H
#define HARENA_ADAPTERS_BROTLI_H
#include <harena/arena.h>

/* For BrotliEncoderCreateInstance(harena_brotli_alloc, harena_brotli_free, arena), and the decoder's. */
static inline void *harena_brotli_alloc(void *arena, size_t size)
{
    return harena_alloc((harena *)arena, size);
}

static inline void harena_brotli_free(void *arena, void *at)
{
    (void)arena, (void)at;
}

#endif
