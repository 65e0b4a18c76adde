/* SPDX-License-Identifier: BSD-2-Clause */
/* The two windows of a single-owner arena: opened, closed, moved back. Layer 5.
 *
 * Dirt: a chunk knows how many of its first bytes may not be zero. A window carries that on as `dirty`; whoever moves a
 * cursor back raises it. So zeroed memory is cleared only where it has been used. */
#include "arena_windows.h"
#include "sanitizer.h"

#include <errno.h>
#include <string.h>

void hri_arena_clear(char *at, size_t size, const char *dirty)
{
    if (dirty > at)
        hri_clear_hidden(at, hri_min(size, (size_t)(dirty - at)));
}

/* Remembers in the chunk how far it has been used. */
static void note_dirty(struct hri_arena *a, uint32_t extent, const char *cursor, const char *dirty)
{
    const char *base = hri_chunk_address(a->provider, extent - 1);
    const char *upto = cursor > dirty ? cursor : dirty;

    hri_provider_extent(a->provider, extent - 1)->dirty = (uint64_t)(upto - base);
}

void hri_arena_close_window(struct hri_arena *a)
{
    if (a->extent != 0)
        note_dirty(a, a->extent, a->window.cursor, a->dirty);
    else if (a->own_memory != NULL && a->window.end == a->own_end &&
             a->window.cursor > a->own_dirty)
        a->own_dirty = a->window.cursor;
    hri_counter_add(&a->closed, (uint64_t)(a->window.cursor - a->opened));
    hri_store_relaxed(&a->opened, a->window.cursor);
}

/* No object lies there yet, or any more. Up to where they may not be zero. */
static char *open_bytes(const struct hri_arena *a, char *from, char *end, char *dirty)
{
    if (a->zero) {
        hri_arena_clear(from, (size_t)(end - from), dirty);
        dirty = from;
    }
    hri_hide(from, (size_t)(end - from));
    return dirty;
}

void hri_arena_open_window(struct hri_arena *a, char *from, char *end, char *dirty, uint32_t extent)
{
    dirty = open_bytes(a, from, end, dirty);
    a->extent = extent;
    a->dirty = dirty;
    a->window.end = end;
    hri_store_relaxed(&a->opened, from);
    hri_window_set_cursor(&a->window, from);
    hri_store_relaxed(&a->window.limit, a->hidden ? from : end);
}

void hri_arena_close_medium(struct hri_arena *a)
{
    struct hri_medium *m = &a->medium;

    if (m->extent != 0)
        note_dirty(a, m->extent, m->cursor, m->dirty);
    hri_counter_add(&a->closed, (uint64_t)(m->cursor - a->medium_opened));
    hri_store_relaxed(&a->medium_opened, m->cursor);
}

void hri_arena_cut_behind(struct hri_arena *a, uint32_t chunk, const char *end)
{
    size_t used = (size_t)(end - hri_chunk_address(a->provider, chunk));
    uint64_t held = a->held;

    if (chunk + 1 != a->initial)
        hri_arena_cut_extent(a, chunk, (uint32_t)hri_max(hri_chunks_for(used), 1));
    if (a->held != held)
        hri_name_put(a->sums, held - a->held);
}

void hri_arena_drop_medium(struct hri_arena *a)
{
    hri_arena_close_medium(a);
    if (a->medium.extent != 0)
        hri_arena_cut_behind(a, a->medium.extent - 1, a->medium.cursor);
}

void hri_arena_open_medium(struct hri_arena *a, char *from, char *end, char *dirty, uint32_t extent)
{
    struct hri_medium *m = &a->medium;

    dirty = open_bytes(a, from, end, dirty);
    m->end = end;
    m->dirty = dirty;
    m->extent = extent;
    hri_store_relaxed(&a->medium_opened, from);
    hri_store_relaxed(&m->cursor, from);
}

void hri_arena_close_windows(struct hri_arena *a)
{
    hri_arena_close_window(a);
    hri_arena_close_medium(a);
    a->extent = a->medium.extent = 0;
    a->window.end = a->medium.end = HRI_NOWHERE;
    hri_store_relaxed(&a->opened, HRI_NOWHERE);
    hri_store_relaxed(&a->medium_opened, HRI_NOWHERE);
    hri_window_set_cursor(&a->window, HRI_NOWHERE);
    hri_store_relaxed(&a->window.limit, HRI_NOWHERE);
    hri_store_relaxed(&a->medium.cursor, HRI_NOWHERE);
}

/* The end of an extent, by its index + 1. */
static char *end_of(const struct hri_arena *a, uint32_t extent)
{
    return hri_chunk_address(a->provider, extent - 1) +
           hri_load_relaxed(&hri_provider_extent(a->provider, extent - 1)->length) * HRI_CHUNK;
}

static void open_extent(struct hri_arena *a, uint32_t chunk)
{
    struct hri_extent *extent = hri_provider_extent(a->provider, chunk);
    char *at = hri_chunk_address(a->provider, chunk);

    hri_arena_open_window(a, at, at + hri_load_relaxed(&extent->length) * HRI_CHUNK,
                          at + extent->dirty, chunk + 1);
}

bool hri_arena_reuse_chunk(struct hri_arena *a)
{
    char *from;

    if (a->held != HRI_CHUNK || a->extent == 0 || a->own_memory != NULL)
        return false;
    from = hri_chunk_address(a->provider, a->extent - 1);
    hri_arena_open_window(a, from, from + HRI_CHUNK,
                          a->window.cursor > a->dirty ? a->window.cursor : a->dirty, a->extent);
    hri_store_relaxed(&a->closed, 0);
    return true;
}

void hri_arena_open_first(struct hri_arena *a)
{
    uint32_t chunk;

    if (a->own_memory != NULL) {
        if (a->initial != 0) { /* it comes after the caller's memory, as any spare extent */
            chunk = a->initial - 1;
            a->initial = 0;
            hri_arena_add_spare(a, chunk);
        }
        hri_arena_open_window(a, a->own_memory, a->own_end, a->own_dirty, 0);
        if (a->zero)
            a->own_dirty = a->own_memory;
    } else if (a->initial != 0) {
        hri_arena_push_extent(a, &a->extents, a->initial - 1);
        open_extent(a, a->initial - 1);
    } else if (a->spare_chunks.newest != 0) {
        chunk = hri_arena_pop_extent(a, &a->spare_chunks);
        hri_arena_push_extent(a, &a->extents, chunk);
        open_extent(a, chunk);
    }
}

bool hri_arena_take_initial(struct hri_arena *a, size_t bytes)
{
    size_t length = hri_chunks_for(bytes);
    uint32_t chunk;

    if (bytes > PTRDIFF_MAX || length > UINT32_MAX / 2) {
        errno = ENOMEM;
        return false;
    }
    chunk = hri_arena_get_extent(a, (uint32_t)length);
    if (chunk == HRI_NO_CHUNK)
        return false;
    a->initial = chunk + 1;
    return true;
}

size_t hri_arena_len(const struct hri_arena *a)
{
    /* Relaxed, field by field: another thread may see a window change in between, and then sees one window's bytes
     * too few, never a difference of two windows. */
    const char *cursor = hri_load_relaxed(&a->window.cursor),
               *opened = hri_load_relaxed(&a->opened);
    const char *medium = hri_load_relaxed(&a->medium.cursor),
               *medium_opened = hri_load_relaxed(&a->medium_opened);
    size_t used = (size_t)((uintptr_t)cursor - (uintptr_t)opened);
    size_t medium_used = (size_t)((uintptr_t)medium - (uintptr_t)medium_opened);
    size_t most = hri_load_relaxed(&a->held);

    return hri_load_relaxed(&a->closed) + (used <= most ? used : 0) +
           (medium_used <= most ? medium_used : 0);
}

/* ---- back to where the arena was ---- */

void hri_arena_save(const struct hri_arena *a, struct hri_state *state)
{
    *state = (struct hri_state){
        .cursor = a->window.cursor,
        .extent = a->extent,
        .medium = a->medium.cursor,
        .medium_extent = a->medium.extent,
        .extents = a->extents.newest,
        .cleanups = a->cleanups,
        .len = hri_arena_len(a),
    };
}

/* The bytes of an extent from `from` on. */
static void reopen_window(struct hri_arena *a, uint32_t extent, char *from)
{
    if (extent != 0) {
        char *at = hri_chunk_address(a->provider, extent - 1);

        hri_arena_open_window(a, from, end_of(a, extent),
                              at + hri_provider_extent(a->provider, extent - 1)->dirty, extent);
    } else if (from != HRI_NOWHERE) {
        hri_arena_open_window(a, from, a->own_end, a->own_dirty, 0);
        if (a->zero)
            a->own_dirty = from;
    }
}

static void reopen_medium(struct hri_arena *a, uint32_t extent, char *from)
{
    char *at;

    if (extent == 0)
        return;
    at = hri_chunk_address(a->provider, extent - 1);
    hri_arena_open_medium(a, from, end_of(a, extent),
                          at + hri_provider_extent(a->provider, extent - 1)->dirty, extent);
}

/* The common case: nothing but the cursors has moved. */
static bool move_cursors_back(struct hri_arena *a, const struct hri_state *state)
{
    struct hri_medium *m = &a->medium;

    if (a->extent != state->extent || m->extent != state->medium_extent ||
        a->extents.newest != state->extents || a->zero)
        return false;
    if ((a->window.cursor == HRI_NOWHERE) != (state->cursor == HRI_NOWHERE) ||
        (m->cursor == HRI_NOWHERE) != (state->medium == HRI_NOWHERE))
        return false; /* the caller's memory, which has no number, was in a window that is closed now */
    hri_hide(state->cursor, (size_t)(a->window.cursor - state->cursor));
    hri_hide(state->medium, (size_t)(m->cursor - state->medium));
    if (a->window.cursor > a->dirty)
        a->dirty = a->window.cursor;
    if (m->cursor > m->dirty)
        m->dirty = m->cursor;
    hri_window_set_cursor(&a->window, state->cursor);
    hri_store_relaxed(&a->window.limit, a->hidden ? state->cursor : a->window.end);
    hri_store_relaxed(&m->cursor, state->medium);
    hri_store_relaxed(&a->opened, state->cursor);
    hri_store_relaxed(&a->medium_opened, state->medium);
    return true;
}

/* Gives back what the second window's run has become longer since, but for what stays warm. */
static void shorten_medium(struct hri_arena *a)
{
    struct hri_medium *m = &a->medium;
    uint64_t keep;

    if (m->extent == 0 || (uint64_t)(m->end - m->cursor) < HRI_CHUNK)
        return;
    keep = hri_round_down(a->retain - hri_min(a->retain, hri_arena_spare_bytes(a)), HRI_CHUNK);
    if ((uint64_t)(m->end - m->cursor) - HRI_CHUNK < keep)
        return;
    note_dirty(a, m->extent, m->cursor, m->dirty);
    hri_arena_cut_behind(a, m->extent - 1, m->cursor + keep);
    m->end = end_of(a, m->extent);
}

/* The same for the window, whose memory became longer while it was the second one. */
static void shorten_window(struct hri_arena *a)
{
    if (a->extent == 0 || hri_window_rest(&a->window) < HRI_CHUNK)
        return;
    note_dirty(a, a->extent, a->window.cursor, a->dirty);
    hri_arena_cut_behind(a, a->extent - 1, a->window.cursor);
    a->window.end = end_of(a, a->extent);
    if (!a->hidden)
        hri_store_relaxed(&a->window.limit, a->window.end);
}

void hri_arena_restore(struct hri_arena *a, const struct hri_state *state)
{
    if (HRI_UNLIKELY(a->has_absorbed_spare)) {
        hri_arena_trim_spare(a);
        a->has_absorbed_spare = false;
    }
    if (!move_cursors_back(a, state)) {
        hri_arena_close_windows(a);
        hri_arena_unuse(a, state->extents);
        reopen_window(a, state->extent, state->cursor);
        reopen_medium(a, state->medium_extent, state->medium);
        shorten_window(a);
    }
    shorten_medium(a);
    hri_store_relaxed(&a->closed, state->len);
}

void hri_arena_adopt_windows(struct hri_arena *a, struct hri_arena *from)
{
    const struct hri_medium m = from->medium;
    char *cursor = from->window.cursor;
    uint32_t extent = from->extent;
    size_t rest = hri_window_rest(&from->window), medium_rest = (size_t)(m.end - m.cursor);

    hri_arena_close_windows(from);
    if (extent != 0 && rest > hri_window_rest(&a->window)) {
        hri_arena_close_window(a);
        reopen_window(a, extent, cursor);
    }
    if (m.extent == 0)
        return;
    if (medium_rest > (size_t)(a->medium.end - a->medium.cursor)) {
        hri_arena_drop_medium(a);
        reopen_medium(a, m.extent, m.cursor);
    } else {
        hri_arena_cut_behind(a, m.extent - 1, m.cursor);
    }
}
