/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands behind a window: the operations that differ between an arena, a lane and a closed view. Layer 5. */
#ifndef HRI_WINDOW_H
#define HRI_WINDOW_H
#include "blocks.h"
#include <harena/arena.h>

struct harena_ops {
    /* `size` from 1 to PTRDIFF_MAX, `alignment` a power of two from 16 to 64 KiB. NULL and errno. */
    void *(*alloc)(harena *a, size_t size, size_t alignment, bool zeroed);
    /* Another failure than alloc's own: remembers it. */
    void (*fail)(harena *a);
    /* The bytes between the cursor and `from`, behind it, have been written; `counted`: they had been handed out, the
     * cursor was moved back. */
    void (*moved_back)(harena *a, char *from, bool counted);
    /* Grows the last object of what lies beside the window, from old_size, which is not 0. False: no. */
    bool (*grow)(harena *a, char *old, size_t old_size, size_t new_size);
    /* Whether somebody may go back to where the cursor is: the last object stays as it is. */
    bool (*is_boundary)(const harena *a);
    /* Whether everything that it hands out is zero. */
    bool (*zeroes)(const harena *a);
    int (*on_release)(harena *a, harena_cleanup_fn fn, void *ctx);
    bool (*forget)(harena *a, harena_cleanup_fn fn, void *ctx);
    bool (*contains)(const harena *a, const void *any);
    bool (*failed)(const harena *a);
    void (*clear_failed)(harena *a);
    void (*stats)(const harena *a, harena_stats *stats);
    bool own; /* an arena of its own: it can be reset, released, published */
    bool has_marks;
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

/* ---- the second window ---- */

enum {
    HRI_MEDIUM_LEAST = 2048, /* smaller objects do not use it, as long as there are chunks */
    HRI_CHUNK_MOST = 16384,  /* up to here an object opens a chunk that drops less than that */
    HRI_RUN_LEAST = 4,       /* chunks of a new run, so that what is lost at its end is little */
    HRI_RUN_MOST = 32,       /* so that what nobody needs yet is little */
};

static inline size_t hri_chunks_for(size_t bytes)
{
    return (bytes + HRI_CHUNK - 1) / HRI_CHUNK;
}

/* Chunks that a run gets more when it needs `least` and all hold `held` bytes: up to 1/64 of them, but not a part of the
 * next block, which has huge pages if it is wanted as a whole. `behind` is the chunk behind the run. */
static inline size_t hri_run_step(uint64_t held, size_t least, uint32_t behind)
{
    size_t step = hri_min(held / HRI_CHUNK / 64, HRI_BLOCK_CHUNKS - behind % HRI_BLOCK_CHUNKS);

    return hri_max(least, step);
}

/* Chunks of a new run after one that could not be made longer: 1/32 of what is held. */
static inline size_t hri_run_length(uint64_t held, size_t least)
{
    size_t length = hri_min(held / HRI_CHUNK / 32, HRI_RUN_MOST);

    return hri_max(least, hri_max(length, HRI_RUN_LEAST));
}

#endif
