/* SPDX-License-Identifier: BSD-2-Clause */
/* What every file needs: checked arithmetic, alignment, assertions, compiler hints. Layer 0. */
#ifndef HRI_BASE_H
#define HRI_BASE_H
#include <harena/cdefs.h>
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HRI_LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define HRI_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define HRI_COLD                __attribute__((cold, noinline))
#define HRI_UNUSED              __attribute__((unused))

/* Two writers on one line slow each other down; records start at a line of their own. */
#define HRI_CACHE_LINE 64
#define HRI_ALIGNED    __attribute__((aligned(HRI_CACHE_LINE)))

/* The record of which `member` is a part. */
#define HRI_CONTAINER(pointer, type, member)                                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Where the library must read on the least alignment of an allocation. */
#define HRI_ALIGNMENT     ((size_t)16)
#define HRI_ALIGNMENT_MAX ((size_t)65536)

/* Debug assertions, compiled in by the white-box test library. */
#ifdef HARENA_ASSERTIONS
#define HRI_ASSERT(condition) assert(condition)
#else
#define HRI_ASSERT(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

static inline bool hri_is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* `alignment` is a power of two; the sum must not wrap. */
static inline size_t hri_round_up(size_t n, size_t alignment)
{
    return (n + alignment - 1) & ~(alignment - 1);
}

static inline size_t hri_round_down(size_t n, size_t alignment)
{
    return n & ~(alignment - 1);
}

static inline char *hri_align_pointer(char *at, size_t alignment)
{
    return at + (-(uintptr_t)at & (alignment - 1));
}

static inline size_t hri_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t hri_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Control characters become '?', those beyond ASCII too: a name cannot end a line or steer a terminal. */
static inline void hri_mask_controls(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte < ' ' || byte == 0x7f)
            text[i] = '?';
        else if (byte == 0xc2 && i + 1 < size && (unsigned char)text[i + 1] < 0xa0)
            text[i] = text[i + 1] = '?';
    }
}

#endif
