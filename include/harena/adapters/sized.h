/* SPDX-License-Identifier: BSD-2-Clause */
/* For allocators that are not told the old size: 16 bytes before each allocation remember it. Layer 8. */
#ifndef HARENA_ADAPTERS_SIZED_H
#define HARENA_ADAPTERS_SIZED_H
#include <harena/arena.h>

/* With the 16 bytes; what is too large for them stays, and the arena refuses it. */
static inline size_t harena_sized_size(size_t size)
{
    return size <= (size_t)-1 - 16 ? size + 16 : size;
}

static inline void *harena_sized_alloc(harena *a, size_t size)
{
    char *at = (char *)harena_alloc(a, harena_sized_size(size));

    if (at == (char *)0)
        return (void *)0;
    *(size_t *)(void *)at = size;
    return at + 16;
}

/* `old` NULL: as harena_sized_alloc. */
static inline void *harena_sized_realloc(harena *a, void *old, size_t size)
{
    char *at = (char *)old;

    if (old == (void *)0)
        return harena_sized_alloc(a, size);
    at -= 16;
    at = (char *)harena_realloc(a, at, *(size_t *)(void *)at + 16, harena_sized_size(size));
    if (at == (char *)0)
        return (void *)0;
    *(size_t *)(void *)at = size;
    return at + 16;
}

#endif
