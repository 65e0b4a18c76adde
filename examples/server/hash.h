/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash of the server's tables: FNV-1a with a last mix, good enough for codes and paths. */
#ifndef EXAMPLES_SERVER_HASH_H
#define EXAMPLES_SERVER_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_bytes(const char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 32; /* the tables use the low bits, FNV is weakest there */
}

/* The smallest power of two that is at least `least`, for tables that mask instead of divide. */
static inline size_t hash_table_size(size_t least)
{
    size_t size = 8;
    while (size < least)
        size *= 2;
    return size;
}

#endif
