/* SPDX-License-Identifier: BSD-2-Clause */
/* How a single-owner arena serves what its window could not. Layer 5.
 *
 * Two windows. Small objects bump in chunks. What does not fit there and has 2 KiB or more, of whatever size, bumps in a
 * second window over a run. When that is used up, the run gets the chunks right behind it if they are free, so nothing is
 * lost between two objects; else a new run is taken, the longer the more the arena holds. Whenever new memory is taken,
 * the window keeps the larger of what was left and what is left, and of what it does not keep whole chunks are given
 * back. One window that drops its tail would waste a third and more on sizes near a chunk's. */
#include "arena_windows.h"
#include "sanitizer.h"

#include <errno.h>

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
        hri_arena_close_window(a);
        hri_arena_open_window(a, at + rounded, at + HRI_CHUNK, *dirty, chunk + 1);
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
        hri_arena_clear(m->end, more * HRI_CHUNK, dirty);
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
    if (length > least)
        chunk = hri_arena_try_extent(a, (uint32_t)length);
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
        hri_arena_drop_medium(a);
        hri_arena_open_medium(a, at + rounded, at + bytes, *dirty, chunk + 1);
        hri_store_relaxed(&a->medium_opened, at);
    } else {
        extent->dirty = hri_max(extent->dirty, rounded);
        hri_counter_add(&a->closed, rounded);
        hri_arena_cut_behind(a, chunk, at + rounded);
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
    hri_arena_close_window(a);
    hri_arena_close_medium(a);
    hri_arena_open_window(a, m.cursor, m.end, m.dirty, m.extent);
    hri_arena_open_medium(a, cursor, end, clean, extent);
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
    if (at == NULL)
        return NULL;
    if (zeroed || a->zero)
        hri_arena_clear(at, size, dirty);
    hri_show_object(at, size, size);
    return at;
}

void *hri_arena_alloc_record(struct hri_arena *a, size_t size)
{
    char *dirty, *at = find(a, size, HRI_ALIGNMENT, &dirty);

    /* It is small, so it lies in the window: either it fitted there, or a new chunk's rest is the larger one. */
    if (at == NULL)
        return NULL;
    hri_counter_add(&a->closed, (uint64_t)(at - a->opened));
    hri_store_relaxed(&a->opened, a->window.cursor);
    hri_show(at, size);
    return at;
}

bool hri_arena_grow(harena *window, char *old, size_t old_size, size_t new_size)
{
    struct hri_arena *a = hri_arena_of(window);
    struct hri_medium *m = &a->medium;
    size_t rounded = hri_round_up(old_size, HRI_ALIGNMENT), more = new_size - old_size;

    if (m->extent == 0 || old + rounded != m->cursor || hri_arena_is_boundary(a, m->cursor) ||
        m->cursor == hri_chunk_address(a->provider, m->extent - 1)) /* it ends before the run */
        return false;
    if (new_size > (size_t)(m->end - old) && !extend_medium(a, new_size - rounded, HRI_ALIGNMENT))
        return false;
    hri_store_relaxed(&m->cursor, old + hri_round_up(new_size, HRI_ALIGNMENT));
    hri_show_object(old, new_size, new_size);
    if (a->zero) /* what lies behind is zero already */
        memset(old + old_size, 0, hri_min(more, rounded - old_size));
    return true;
}
