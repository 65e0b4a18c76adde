/* SPDX-License-Identifier: BSD-2-Clause */
/* How a single-owner arena serves what its window could not. Layer 5.
 *
 * Two windows. Small objects bump in chunks. What does not fit there and has 2 KiB or more, of whatever size, bumps in a
 * second window over a run. When that is used up, the run gets the chunks right behind it if they are free, so nothing is
 * lost between two objects; else a new run is taken, the longer the more the arena holds. Whenever new memory is taken,
 * the window keeps the larger of what was left and what is left, and of what it does not keep whole chunks are given
 * back. One window that drops its tail would waste a third and more on sizes near a chunk's.
 *
 * Dirt: a chunk knows how many of its first bytes may not be zero. A window carries that on as `dirty`; whoever moves a
 * cursor back raises it. So zeroed memory is cleared only where it has been used. */
#include "arena.h"
#include "sanitizer.h"

#include <errno.h>
#include <string.h>

/* ---- windows ---- */

/* Clears what is dirty of [at, at + size), or of what `dirty` says is left of it. */
static void clear(char *at, size_t size, const char *dirty)
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

static void close_window(struct hri_arena *a)
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
        clear(from, (size_t)(end - from), dirty);
        dirty = from;
    }
    hri_hide(from, (size_t)(end - from));
    return dirty;
}

static void open_window(struct hri_arena *a, char *from, char *end, char *dirty, uint32_t extent)
{
    dirty = open_bytes(a, from, end, dirty);
    a->extent = extent;
    a->dirty = dirty;
    a->window.end = end;
    hri_store_relaxed(&a->opened, from);
    hri_window_set_cursor(&a->window, from);
    hri_store_relaxed(&a->window.limit, a->hidden ? from : end);
}

static void close_medium(struct hri_arena *a)
{
    struct hri_medium *m = &a->medium;

    if (m->extent != 0)
        note_dirty(a, m->extent, m->cursor, m->dirty);
    hri_counter_add(&a->closed, (uint64_t)(m->cursor - a->medium_opened));
    hri_store_relaxed(&a->medium_opened, m->cursor);
}

/* Gives back what of a run nobody will use behind `end`; options.initial stays as it was asked for. */
static void cut(struct hri_arena *a, uint32_t chunk, const char *end)
{
    size_t used = (size_t)(end - hri_chunk_address(a->provider, chunk));
    uint64_t held = a->held;

    if (chunk + 1 != a->initial)
        hri_arena_cut_extent(a, chunk, (uint32_t)hri_max(hri_chunks_for(used), 1));
    if (a->held != held)
        hri_name_put(a->sums, held - a->held);
}

/* Another run takes its place. */
static void drop_medium(struct hri_arena *a)
{
    close_medium(a);
    if (a->medium.extent != 0)
        cut(a, a->medium.extent - 1, a->medium.cursor);
}

static void open_medium(struct hri_arena *a, char *from, char *end, char *dirty, uint32_t extent)
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
    close_window(a);
    close_medium(a);
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

    open_window(a, at, at + hri_load_relaxed(&extent->length) * HRI_CHUNK, at + extent->dirty,
                chunk + 1);
}

bool hri_arena_reuse_chunk(struct hri_arena *a)
{
    char *from;

    if (a->held != HRI_CHUNK || a->extent == 0 || a->zero || a->own_memory != NULL)
        return false;
    from = hri_chunk_address(a->provider, a->extent - 1);
    open_window(a, from, from + HRI_CHUNK,
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
        open_window(a, a->own_memory, a->own_end, a->own_dirty, 0);
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

        open_window(a, from, end_of(a, extent),
                    at + hri_provider_extent(a->provider, extent - 1)->dirty, extent);
    } else if (from != HRI_NOWHERE) {
        open_window(a, from, a->own_end, a->own_dirty, 0);
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
    open_medium(a, from, end_of(a, extent),
                at + hri_provider_extent(a->provider, extent - 1)->dirty, extent);
}

/* The common case: nothing but the cursors has moved. */
static bool move_cursors_back(struct hri_arena *a, const struct hri_state *state)
{
    struct hri_medium *m = &a->medium;

    if (a->extent != state->extent || m->extent != state->medium_extent ||
        a->extents.newest != state->extents || a->zero)
        return false;
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

    if (m->extent == 0 || (uint64_t)(m->end - m->cursor) <= HRI_CHUNK ||
        (uint64_t)(m->end - m->cursor) - HRI_CHUNK < a->retain)
        return;
    note_dirty(a, m->extent, m->cursor, m->dirty);
    cut(a, m->extent - 1, m->cursor + a->retain);
    m->end = end_of(a, m->extent);
}

void hri_arena_restore(struct hri_arena *a, const struct hri_state *state)
{
    if (!move_cursors_back(a, state)) {
        hri_arena_close_windows(a);
        hri_arena_unuse(a, state->extents);
        reopen_window(a, state->extent, state->cursor);
        reopen_medium(a, state->medium_extent, state->medium);
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
        close_window(a);
        reopen_window(a, extent, cursor);
    }
    if (m.extent == 0)
        return;
    if (medium_rest > (size_t)(a->medium.end - a->medium.cursor)) {
        drop_medium(a);
        reopen_medium(a, m.extent, m.cursor);
    } else {
        cut(a, m.extent - 1, m.cursor);
    }
}

/* ---- alloc ---- */

/* Serves from a fresh chunk; the window keeps the larger rest. NULL: refused. */
static char *alloc_in_new_chunk(struct hri_arena *a, size_t size, char **dirty)
{
    uint32_t chunk = hri_arena_take_extent(a, 1);
    size_t rounded = hri_round_up(size, HRI_ALIGNMENT);
    struct hri_extent *extent;
    char *at;

    if (chunk == HRI_NO_CHUNK)
        return NULL;
    at = hri_chunk_address(a->provider, chunk);
    extent = hri_provider_extent(a->provider, chunk);
    *dirty = at + extent->dirty;
    if (HRI_CHUNK - rounded > hri_window_rest(&a->window)) {
        close_window(a);
        open_window(a, at + rounded, at + HRI_CHUNK, *dirty, chunk + 1);
        hri_store_relaxed(&a->opened, at);
    } else {
        extent->dirty = hri_max(extent->dirty, rounded);
        hri_counter_add(&a->closed, rounded);
    }
    return at;
}

static char *take_medium(struct hri_arena *a, size_t size, size_t alignment)
{
    struct hri_medium *m = &a->medium;
    char *at = hri_align_pointer(m->cursor, alignment);

    if (m->extent == 0 || at > m->end || size > (size_t)(m->end - at))
        return NULL;
    hri_store_relaxed(&m->cursor, at + hri_round_up(size, HRI_ALIGNMENT));
    return at;
}

static bool extend_by(struct hri_arena *a, size_t more, size_t size)
{
    struct hri_medium *m = &a->medium;
    uint32_t chunk = m->extent - 1;
    size_t instead = hri_run_length(a->held, hri_chunks_for(size));
    char *dirty;

    if (instead > UINT32_MAX / 2 || !hri_arena_extend(a, chunk, (uint32_t)more, (uint32_t)instead))
        return false;
    dirty = hri_chunk_address(a->provider, chunk) + hri_provider_extent(a->provider, chunk)->dirty;
    if (a->zero)
        clear(m->end, more * HRI_CHUNK, dirty);
    else if (dirty > m->end)
        m->dirty = dirty;
    m->end += more * HRI_CHUNK;
    return true;
}

/* Makes the second window's run long enough. False: what lies behind it is not free, or there are limits; or it is
 * options.initial, which stays as long as it was asked for. */
static bool extend_medium(struct hri_arena *a, size_t size, size_t alignment)
{
    const struct hri_medium *m = &a->medium;
    size_t pad = (size_t)(hri_align_pointer(m->cursor, alignment) - m->cursor), least, more;
    uint32_t behind;

    if (m->extent == 0 || m->extent == a->initial)
        return false;
    behind = (uint32_t)((size_t)(m->end - a->provider->region) / HRI_CHUNK);
    least = hri_chunks_for(pad + size - (size_t)(m->end - m->cursor));
    more = hri_run_step(a->held, least, behind);
    return extend_by(a, more, size) || (more > least && extend_by(a, least, size));
}

/* A run for an object of `least` chunks. */
static uint32_t take_run(struct hri_arena *a, size_t least)
{
    size_t length = a->medium.extent != 0 ? hri_run_length(a->held, least) : least;
    uint32_t chunk = HRI_NO_CHUNK;

    if (least > UINT32_MAX / 2) {
        errno = ENOMEM;
        return HRI_NO_CHUNK;
    }
    if (length > least && hri_arena_has_room(a, (uint32_t)length))
        chunk = hri_arena_take_extent(a, (uint32_t)length);
    return chunk != HRI_NO_CHUNK ? chunk : hri_arena_take_extent(a, (uint32_t)least);
}

/* Serves from the start of a run; the second window keeps the larger rest. */
static char *alloc_in_run(struct hri_arena *a, uint32_t chunk, size_t size, char **dirty)
{
    struct hri_medium *m = &a->medium;
    struct hri_extent *extent = hri_provider_extent(a->provider, chunk);
    size_t rounded = hri_round_up(size, HRI_ALIGNMENT),
           bytes = hri_load_relaxed(&extent->length) * HRI_CHUNK;
    char *at = hri_chunk_address(a->provider, chunk);

    *dirty = at + extent->dirty;
    if (bytes - rounded >= (size_t)(m->end - m->cursor)) { /* also none: it can become longer */
        drop_medium(a);
        open_medium(a, at + rounded, at + bytes, *dirty, chunk + 1);
        hri_store_relaxed(&a->medium_opened, at);
    } else {
        extent->dirty = hri_max(extent->dirty, rounded);
        hri_counter_add(&a->closed, rounded);
        cut(a, chunk, at + rounded);
    }
    return at;
}

static char *alloc_medium(struct hri_arena *a, size_t size, size_t alignment, char **dirty)
{
    char *at = take_medium(a, size, alignment);
    uint32_t chunk;

    if (at == NULL) {
        chunk = hri_arena_take_spare_run(a, hri_chunks_for(size));
        if (chunk == HRI_NO_CHUNK && extend_medium(a, size, alignment)) {
            at = take_medium(a, size, alignment);
        } else {
            if (chunk == HRI_NO_CHUNK)
                chunk = take_run(a, hri_chunks_for(size));
            return chunk != HRI_NO_CHUNK ? alloc_in_run(a, chunk, size, dirty) : NULL;
        }
    }
    *dirty = a->medium.dirty;
    return at;
}

/* ---- alloc ---- */

/* What no chunk is to be had for is served from the second window's rest: the two change places. */
static char *alloc_in_rest(struct hri_arena *a, size_t size, size_t alignment, char **dirty)
{
    const struct hri_medium m = a->medium;
    char *cursor = a->window.cursor, *end = a->window.end, *clean = a->dirty;
    uint32_t extent = a->extent;

    if (take_medium(a, size, alignment) == NULL)
        return NULL;
    hri_store_relaxed(&a->medium.cursor, m.cursor);
    close_window(a);
    close_medium(a);
    open_window(a, m.cursor, m.end, m.dirty, m.extent);
    open_medium(a, cursor, end, clean, extent);
    *dirty = a->dirty;
    return hri_window_take(&a->window, size, alignment);
}

static char *alloc_small(struct hri_arena *a, size_t size, size_t alignment, char **dirty)
{
    bool scarce = a->spare_chunks.newest == 0 && !hri_arena_has_room(a, 1);
    char *at = scarce ? alloc_in_rest(a, size, alignment, dirty) : NULL;

    if (at == NULL)
        at = alloc_in_new_chunk(a, size, dirty);
    return at != NULL || scarce ? at : alloc_in_rest(a, size, alignment, dirty);
}

/* Any object of up to a chunk opens an arena that holds nothing; later only those that waste little take a chunk. */
static bool wants_chunk(const struct hri_arena *a, size_t size)
{
    if (size < HRI_MEDIUM_LEAST || (size <= HRI_CHUNK && a->extents.newest == 0))
        return true;
    return size <= HRI_CHUNK_MOST && hri_window_rest(&a->window) < HRI_MEDIUM_LEAST;
}

/* NULL: refused; else *dirty says what is not zero. */
static char *find(struct hri_arena *a, size_t size, size_t alignment, char **dirty)
{
    char *at;

    *dirty = a->dirty;
    at = hri_window_take(&a->window, size, alignment);
    if (at == NULL && !a->fixed)
        at = wants_chunk(a, size) ? alloc_small(a, size, alignment, dirty)
                                  : alloc_medium(a, size, alignment, dirty);
    if (at == NULL) {
        errno = ENOMEM;
        hri_arena_ops.fail(&a->window);
    }
    return at;
}

void *hri_arena_alloc(harena *window, size_t size, size_t alignment, bool zeroed)
{
    struct hri_arena *a = hri_arena_of(window);
    char *at, *dirty;

    at = find(a, size, hri_max(alignment, a->alignment), &dirty);
    if (at != NULL && (zeroed || a->zero))
        clear(at, size, dirty);
    hri_show_object(at, size, size);
    return at;
}

void *hri_arena_alloc_record(struct hri_arena *a, size_t size)
{
    char *dirty, *at = find(a, size, HRI_ALIGNMENT, &dirty);

    /* It is small, so it lies in the window: either it fitted there, or a new chunk's rest is the larger one. */
    if (at != NULL) {
        hri_counter_add(&a->closed, (uint64_t)(at - a->opened));
        hri_store_relaxed(&a->opened, a->window.cursor);
    }
    return at;
}

bool hri_arena_grow(harena *window, char *old, size_t old_size, size_t new_size)
{
    struct hri_arena *a = hri_arena_of(window);
    struct hri_medium *m = &a->medium;
    size_t rounded = hri_round_up(old_size, HRI_ALIGNMENT), more = new_size - old_size;

    if (m->extent == 0 || old + rounded != m->cursor || hri_arena_is_boundary(a, m->cursor))
        return false;
    if (new_size > (size_t)(m->end - old) && !extend_medium(a, new_size - rounded, HRI_ALIGNMENT))
        return false;
    hri_store_relaxed(&m->cursor, old + hri_round_up(new_size, HRI_ALIGNMENT));
    hri_show_object(old, new_size, new_size);
    if (a->zero) /* what lies behind is zero already */
        memset(old + old_size, 0, hri_min(more, rounded - old_size));
    return true;
}
