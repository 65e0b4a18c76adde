/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands behind a window: the operations that differ between an arena, a lane and a closed view. Layer 5. */
#ifndef HRI_WINDOW_H
#define HRI_WINDOW_H
#include "atomics.h"
#include <harena/arena.h>

struct harena_ops {
    /* `size` from 1 to PTRDIFF_MAX, `alignment` a power of two from 16 to 64 KiB. NULL and errno. */
    void *(*alloc)(harena *a, size_t size, size_t alignment, bool zeroed);
    /* Another failure than alloc's own: remembers it. */
    void (*fail)(harena *a);
    /* The bytes between the cursor and `from`, behind it, have been written; `counted`: they had been handed out, the
     * cursor was moved back. */
    void (*moved_back)(harena *a, char *from, bool counted);
    /* Whether everything that it hands out is zero. */
    bool (*zeroes)(const harena *a);
    int (*on_release)(harena *a, harena_cleanup_fn fn, void *ctx);
    bool (*forget)(harena *a, harena_cleanup_fn fn, void *ctx);
    bool (*contains)(const harena *a, const void *any);
    bool (*failed)(const harena *a);
    void (*clear_failed)(harena *a);
    void (*stats)(const harena *a, harena_stats *stats);
    bool own; /* an arena of its own: it can be reset, released, published */
};

/* The cursor of a window that has never been opened: not NULL, and of any alignment. */
#define HRI_NOWHERE ((char *)HRI_ALIGNMENT_MAX)

static inline void hri_window_set_cursor(harena *a, char *cursor)
{
    hri_store_relaxed(&a->cursor, cursor); /* relaxed: others read it as a figure only */
}

/* Takes `size` bytes at `alignment` from a window, also from one whose limit hides its bytes. NULL: no room. */
static inline char *hri_window_take(harena *a, size_t size, size_t alignment)
{
    char *at = hri_align_pointer(a->cursor, alignment);

    if (at > a->end || size > (size_t)(a->end - at))
        return NULL;
    hri_window_set_cursor(a, at + hri_round_up(size, HRI_ALIGNMENT));
    if (a->limit != a->end) /* hidden: it stays empty */
        hri_store_relaxed(&a->limit, a->cursor);
    return at;
}

/* Bytes between the cursor and the end. */
static inline size_t hri_window_rest(const harena *a)
{
    return (size_t)(a->end - a->cursor);
}

#endif
