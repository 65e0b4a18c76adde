/* SPDX-License-Identifier: BSD-2-Clause */
/* How a single-owner arena serves what its window could not. Layer 5.
 *
 * Two windows. Small objects bump in chunks. What does not fit there and has 2 KiB or more bumps in a second window,
 * over runs of 4 chunks, doubling to 16; above 128 KiB each object gets a run. Whenever new memory is taken, the window
 * keeps the larger of what was left and what is left. One window that drops its tail would waste a third and more on
 * sizes near a chunk's.
 *
 * Dirt: a chunk knows how many of its first bytes may not be zero. A window carries that on as `dirty`; whoever moves a
 * cursor back raises it. So zeroed memory is cleared only where it has been used. */
#include "arena.h"
#include "probe.h"

#include <errno.h>
#include <string.h>

enum {
    MEDIUM_LEAST = 2048, /* smaller objects never use the second window */
    CHUNK_MOST =
        16 * 1024, /* up to here an object may open a chunk, if that drops less than MEDIUM_LEAST */
    MEDIUM_MOST = 128 * 1024, /* larger ones get a run of their own size */
    MEDIUM_FIRST = 4,         /* chunks of the second window's first run */
    MEDIUM_LAST = 16,         /* and of its last: it doubles */
    SPARE_RUNS_LOOK = 8,      /* spare runs that are looked at before a new one is taken */
};

/* ---- extents ---- */

static void push_extent(struct hri_arena *a, uint32_t *list, uint32_t chunk)
{
    hri_store_relaxed(&hri_provider_extent(a->provider, chunk)->next,
                      *list); /* relaxed: the owner's list */
    *list = chunk + 1;
}

static uint32_t pop_extent(struct hri_arena *a, uint32_t *list)
{
    uint32_t chunk = *list - 1;

    *list = hri_load_relaxed(&hri_provider_extent(a->provider, chunk)->next);
    return chunk;
}

static bool is_run(const struct hri_arena *a, uint32_t chunk)
{
    return hri_load_relaxed(&hri_provider_extent(a->provider, chunk)->length) > 1;
}

/* A spare run of at least `length` chunks. */
static uint32_t take_spare_run(struct hri_arena *a, uint32_t length)
{
    uint32_t *link = &a->spare_runs;

    for (int looks = 0; *link != 0 && looks < SPARE_RUNS_LOOK; looks++) {
        struct hri_extent *extent = hri_provider_extent(a->provider, *link - 1);

        if (hri_load_relaxed(&extent->length) >= length)
            return pop_extent(a, link);
        link = &extent->next;
    }
    return HRI_NO_CHUNK;
}

static void drop_extents(struct hri_arena *a, uint32_t *list)
{
    uint64_t held = a->held;

    while (*list != 0) {
        uint32_t chunk = pop_extent(a, list), length;

        length = hri_load_relaxed(&hri_provider_extent(a->provider, chunk)->length);
        hri_counter_add(&a->held, -(uint64_t)length * HRI_CHUNK);
        hri_counter_add(length == 1 ? &a->chunks : &a->runs, UINT64_MAX);
        hri_run_put(a->provider, chunk);
    }
    if (a->held != held)
        hri_name_put(a->sums, held - a->held);
}

static uint32_t get_extent(struct hri_arena *a, uint32_t length)
{
    uint64_t bytes = (uint64_t)length * HRI_CHUNK;
    uint32_t chunk;

    if (bytes > a->limit || a->held > a->limit - bytes) {
        hri_provider_event(a->provider, HARENA_EVENT_LIMIT, ENOMEM, bytes, a->name,
                           "the arena's limit is reached");
        errno = ENOMEM;
        return HRI_NO_CHUNK;
    }
    chunk = hri_run_get(a->provider, length, a->name);
    if (chunk != HRI_NO_CHUNK) {
        hri_counter_add(&a->held, bytes);
        hri_counter_add(length == 1 ? &a->chunks : &a->runs, 1);
        hri_name_took(a->sums, bytes);
    }
    return chunk;
}

/* Whether neither the arena's limit nor the provider's stands against `length` more chunks: a guess that spares a
 * refusal. */
static bool has_room(const struct hri_arena *a, uint32_t length)
{
    uint64_t bytes = (uint64_t)length * HRI_CHUNK;

    return bytes <= a->limit && a->held <= a->limit - bytes &&
           hri_provider_has_room(a->provider, bytes);
}

/* Gives back what no object needs: spare extents, and all of an arena that has handed nothing out yet. */
static void drop_unused(struct hri_arena *a)
{
    drop_extents(a, &a->spare_chunks);
    drop_extents(a, &a->spare_runs);
    if (hri_arena_len(a) == 0 && a->own_memory == NULL) {
        hri_arena_close_windows(a);
        drop_extents(a, &a->extents);
        a->initial = 0;
    }
}

/* A chunk or run in use from now on: a spare one, else a new one; unused memory makes room before a refusal. */
static uint32_t take_extent(struct hri_arena *a, uint32_t length)
{
    uint32_t chunk = HRI_NO_CHUNK;

    if (length == 1 && a->spare_chunks != 0)
        chunk = pop_extent(a, &a->spare_chunks);
    else if (length > 1)
        chunk = take_spare_run(a, length);
    if (chunk == HRI_NO_CHUNK) {
        if (!has_room(a, length))
            drop_unused(a);
        chunk = get_extent(a, length);
    }
    if (chunk != HRI_NO_CHUNK)
        push_extent(a, &a->extents, chunk);
    HRI_PROBE(refill, a->name, length * HRI_CHUNK);
    return chunk;
}

/* ---- windows ---- */

/* Clears what is dirty of [at, at + size), or of what `dirty` says is left of it. */
static void clear(char *at, size_t size, const char *dirty)
{
    if (dirty > at)
        memset(at, 0, hri_min(size, (size_t)(dirty - at)));
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

static void open_window(struct hri_arena *a, char *from, char *end, char *dirty, uint32_t extent)
{
    if (a->zero) {
        clear(from, (size_t)(end - from), dirty);
        dirty = from;
    }
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

static void open_medium(struct hri_arena *a, char *from, char *end, char *dirty, uint32_t extent)
{
    struct hri_medium *m = &a->medium;

    if (a->zero) {
        clear(from, (size_t)(end - from), dirty);
        dirty = from;
    }
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
    a->medium.length = MEDIUM_FIRST;
}

static void open_extent(struct hri_arena *a, uint32_t chunk)
{
    struct hri_extent *extent = hri_provider_extent(a->provider, chunk);
    char *at = hri_chunk_address(a->provider, chunk);

    open_window(a, at, at + hri_load_relaxed(&extent->length) * HRI_CHUNK, at + extent->dirty,
                chunk + 1);
}

bool hri_arena_rewind(struct hri_arena *a)
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
            push_extent(a, is_run(a, chunk) ? &a->spare_runs : &a->spare_chunks, chunk);
        }
        open_window(a, a->own_memory, a->own_end, a->own_dirty, 0);
        if (a->zero)
            a->own_dirty = a->own_memory;
    } else if (a->initial != 0) {
        push_extent(a, &a->extents, a->initial - 1);
        open_extent(a, a->initial - 1);
    } else if (a->spare_chunks != 0) {
        chunk = pop_extent(a, &a->spare_chunks);
        push_extent(a, &a->extents, chunk);
        open_extent(a, chunk);
    }
}

bool hri_arena_take_initial(struct hri_arena *a, size_t bytes)
{
    uint64_t length = bytes / HRI_CHUNK + (bytes % HRI_CHUNK != 0);
    uint32_t chunk;

    if (length > UINT32_MAX / 2) {
        errno = ENOMEM;
        return false;
    }
    chunk = get_extent(a, (uint32_t)length);
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

/* ---- alloc ---- */

/* Serves from a fresh chunk; the window keeps the larger rest. NULL: refused. */
static char *alloc_in_new_chunk(struct hri_arena *a, size_t size, char **dirty)
{
    uint32_t chunk = take_extent(a, 1);
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

/* Serves from a fresh run; the second window keeps the larger rest. NULL: refused. */
static char *alloc_in_new_run(struct hri_arena *a, size_t size, char **dirty)
{
    struct hri_medium *m = &a->medium;
    size_t least = (size + HRI_CHUNK - 1) / HRI_CHUNK, rounded = hri_round_up(size, HRI_ALIGNMENT),
           bytes;
    uint32_t chunk = HRI_NO_CHUNK, length = (uint32_t)least;
    struct hri_extent *extent;
    char *at;

    if (least > UINT32_MAX / 2) {
        errno = ENOMEM;
        return NULL;
    }
    if (size <= MEDIUM_MOST && length < m->length && has_room(a, m->length)) {
        chunk = take_extent(a, m->length);
        if (chunk != HRI_NO_CHUNK && m->length < MEDIUM_LAST)
            m->length *= 2;
    }
    if (chunk == HRI_NO_CHUNK)
        chunk = take_extent(a, length); /* also when there is no room for the larger run */
    if (chunk == HRI_NO_CHUNK)
        return NULL;
    at = hri_chunk_address(a->provider, chunk);
    extent = hri_provider_extent(a->provider, chunk);
    bytes = hri_load_relaxed(&extent->length) * HRI_CHUNK;
    *dirty = at + extent->dirty;
    if (bytes - rounded > (size_t)(m->end - m->cursor)) {
        close_medium(a);
        open_medium(a, at + rounded, at + bytes, *dirty, chunk + 1);
        hri_store_relaxed(&a->medium_opened, at);
    } else {
        extent->dirty = hri_max(extent->dirty, rounded);
        hri_counter_add(&a->closed, rounded);
    }
    return at;
}

/* Any object of up to a chunk opens an arena that holds nothing; later only those that waste little take a chunk. */
static bool wants_chunk(const struct hri_arena *a, size_t size)
{
    if (size < MEDIUM_LEAST || (size <= HRI_CHUNK && a->extents == 0))
        return true;
    return size <= CHUNK_MOST && hri_window_rest(&a->window) < MEDIUM_LEAST;
}

void *hri_arena_alloc(harena *window, size_t size, size_t alignment, bool zeroed)
{
    struct hri_arena *a = hri_arena_of(window);
    char *at, *dirty;

    if (alignment < a->alignment)
        alignment = a->alignment;
    dirty = a->dirty;
    at = hri_window_take(window, size, alignment);
    if (at == NULL && !a->fixed) {
        if (wants_chunk(a, size)) {
            at = alloc_in_new_chunk(a, size, &dirty);
        } else {
            dirty = a->medium.dirty;
            at = take_medium(a, size, alignment);
            if (at == NULL)
                at = alloc_in_new_run(a, size, &dirty);
        }
    }
    if (at == NULL) {
        errno = ENOMEM;
        hri_arena_ops.fail(window);
        return NULL;
    }
    if (zeroed || a->zero)
        clear(at, size, dirty);
    return at;
}
