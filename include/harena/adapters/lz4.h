/* SPDX-License-Identifier: BSD-2-Clause */
/* LZ4 with its working memory in an arena. One thread at a time. Layer 8. */
#ifndef HARENA_ADAPTERS_LZ4_H
#define HARENA_ADAPTERS_LZ4_H
#include <harena/arena.h>
#include <lz4.h>
#include <lz4hc.h>

/* As LZ4_compress_fast; 0 also if the arena has no memory. The state is the arena's until its next reset. */
static inline int harena_lz4_compress(harena *a, const char *from, char *to, int size, int capacity,
                                      int acceleration)
{
    void *state = harena_alloc(a, (size_t)LZ4_sizeofState());

    return state != (void *)0
               ? LZ4_compress_fast_extState(state, from, to, size, capacity, acceleration)
               : 0;
}

/* As LZ4_compress_HC. */
static inline int harena_lz4_compress_hc(harena *a, const char *from, char *to, int size,
                                         int capacity, int level)
{
    void *state = harena_alloc(a, (size_t)LZ4_sizeofStateHC());

    return state != (void *)0 ? LZ4_compress_HC_extStateHC(state, from, to, size, capacity, level)
                              : 0;
}

#endif
