/* SPDX-License-Identifier: BSD-2-Clause */
/* The chunks and runs that a single-owner arena holds: taken, kept, made longer and shorter, given back. Layer 5. */
#include "arena.h"
#include "guard.h"
#include "probe.h"
#include "sanitizer.h"

#include <errno.h>

enum { SPARE_RUNS_LOOK = 8 /* spare runs that are looked at before a new one is taken */ };

static struct hri_extent *extent_of(const struct hri_arena *a, uint32_t chunk)
{
    return hri_provider_extent(a->provider, chunk);
}

static uint32_t length_of(const struct hri_arena *a, uint32_t chunk)
{
    return hri_load_relaxed(&extent_of(a, chunk)->length);
}

/* An extent of `before` chunks has `now` of them; 0: it is not held. */
static void count(struct hri_arena *a, uint32_t before, uint32_t now)
{
    hri_counter_add(&a->held, ((uint64_t)now - before) * HRI_CHUNK);
    if (before != 0)
        hri_counter_add(before == 1 ? &a->chunks : &a->runs, UINT64_MAX);
    if (now != 0)
        hri_counter_add(now == 1 ? &a->chunks : &a->runs, 1);
}

/* ---- lists ---- */

void hri_arena_push_extent(struct hri_arena *a, struct hri_extents *list, uint32_t chunk)
{
    hri_store_relaxed(&extent_of(a, chunk)->next, list->newest); /* relaxed: the owner's list */
    if (list->newest == 0)
        list->oldest = chunk + 1;
    list->newest = chunk + 1;
}

uint32_t hri_arena_pop_extent(struct hri_arena *a, struct hri_extents *list)
{
    uint32_t chunk = list->newest - 1;

    list->newest = hri_load_relaxed(&extent_of(a, chunk)->next);
    return chunk;
}

void hri_arena_splice(struct hri_arena *a, struct hri_extents *list, struct hri_extents *from)
{
    if (from->newest == 0)
        return;
    hri_store_relaxed(&extent_of(a, from->oldest - 1)->next, list->newest);
    if (list->newest == 0)
        list->oldest = from->oldest;
    list->newest = from->newest;
    from->newest = 0;
}

void hri_arena_add_spare(struct hri_arena *a, uint32_t chunk)
{
    hri_hide(hri_chunk_address(a->provider, chunk), length_of(a, chunk) * HRI_CHUNK);
    hri_arena_push_extent(a, length_of(a, chunk) == 1 ? &a->spare_chunks : &a->spare_runs, chunk);
}

/* A spare run of at least `length` chunks. */
static uint32_t pop_spare_run(struct hri_arena *a, size_t length)
{
    uint32_t at = a->spare_runs.newest, before = 0;

    for (int looks = 0; at != 0 && looks < SPARE_RUNS_LOOK; looks++) {
        uint32_t next = hri_load_relaxed(&extent_of(a, at - 1)->next);

        if (length_of(a, at - 1) >= length) {
            if (before == 0)
                a->spare_runs.newest = next;
            else
                hri_store_relaxed(&extent_of(a, before - 1)->next, next);
            if (next == 0)
                a->spare_runs.oldest = before;
            return at - 1;
        }
        before = at;
        at = next;
    }
    return HRI_NO_CHUNK;
}

uint64_t hri_arena_bytes_of(const struct hri_arena *a, uint32_t list)
{
    uint64_t chunks = 0;

    for (; list != 0; list = hri_load_relaxed(&extent_of(a, list - 1)->next))
        chunks += length_of(a, list - 1);
    return chunks * HRI_CHUNK;
}

uint64_t hri_arena_spare_bytes(const struct hri_arena *a)
{
    return hri_arena_bytes_of(a, a->spare_chunks.newest) +
           hri_arena_bytes_of(a, a->spare_runs.newest);
}

/* ---- get and put ---- */

uint32_t hri_arena_get_extent(struct hri_arena *a, uint32_t length)
{
    uint64_t bytes = (uint64_t)length * HRI_CHUNK;
    uint32_t chunk;

    if (bytes > a->limit || a->held > a->limit - bytes) {
        hri_provider_event(a->provider, HARENA_EVENT_LIMIT, ENOMEM, bytes, a->name,
                           "the arena's limit is reached");
        errno = ENOMEM;
        return HRI_NO_CHUNK;
    }
    chunk = a->held >= HRI_BLOCK ? hri_run_get_roomy(a->provider, length, a->name)
                                 : hri_run_get(a->provider, length, a->name);
    if (chunk != HRI_NO_CHUNK) {
        count(a, 0, length);
        hri_name_took(a->sums, bytes);
    }
    return chunk;
}

void hri_arena_put_extent(struct hri_arena *a, uint32_t chunk)
{
    count(a, length_of(a, chunk), 0);
    if (hri_arena_is_guarded(a))
        hri_guard_put(a->provider, chunk, a->name, a->how);
    else
        hri_run_put(a->provider, chunk);
}

bool hri_arena_extend(struct hri_arena *a, uint32_t chunk, uint32_t more, uint32_t instead)
{
    uint32_t before = length_of(a, chunk);

    if (!hri_arena_has_room(a, more) || !hri_run_extend(a->provider, chunk, more, instead))
        return false;
    count(a, before, before + more);
    HRI_PROBE(refill, a->name, more * HRI_CHUNK);
    hri_name_took(a->sums, (uint64_t)more * HRI_CHUNK);
    return true;
}

void hri_arena_cut_extent(struct hri_arena *a, uint32_t chunk, uint32_t keep)
{
    uint32_t before = length_of(a, chunk);

    if (before <= keep)
        return;
    hri_run_cut(a->provider, chunk, keep);
    count(a, before, keep);
}

bool hri_arena_has_room(const struct hri_arena *a, uint32_t length)
{
    uint64_t bytes = (uint64_t)length * HRI_CHUNK;

    return bytes <= a->limit && a->held <= a->limit - bytes &&
           hri_provider_has_room(a->provider, bytes);
}

static void drop_extents(struct hri_arena *a, struct hri_extents *list)
{
    uint64_t held = a->held;

    while (list->newest != 0)
        hri_arena_put_extent(a, hri_arena_pop_extent(a, list));
    if (a->held != held)
        hri_name_put(a->sums, held - a->held);
}

/* Gives back what no object needs: spare extents, and all of an arena that has handed nothing out yet. Bytes of
 * options.initial that went with it. */
static size_t drop_unused(struct hri_arena *a)
{
    size_t initial = 0;

    drop_extents(a, &a->spare_chunks);
    drop_extents(a, &a->spare_runs);
    if (hri_arena_len(a) == 0 && a->own_memory == NULL && !hri_arena_has_boundary(a)) {
        if (a->initial != 0)
            initial = length_of(a, a->initial - 1) * HRI_CHUNK;
        hri_arena_close_windows(a);
        drop_extents(a, &a->extents);
        a->initial = 0;
    }
    return initial;
}

/* One extent that is not spare. It may take the place of all that no object needs. */
static uint32_t get_in_place_of_unused(struct hri_arena *a, uint32_t length)
{
    uint64_t limit = a->limit - (uint64_t)(a->own_end - a->own_memory); /* it is about the rest */
    size_t initial = 0;
    uint32_t chunk;

    if (!hri_arena_has_room(a, length) && (uint64_t)length * HRI_CHUNK <= limit)
        initial = drop_unused(a);
    chunk = hri_arena_get_extent(a, length);
    if (chunk == HRI_NO_CHUNK && initial != 0 && hri_arena_take_initial(a, initial))
        hri_arena_open_first(a); /* it was in vain */
    return chunk;
}

static void trim_list(struct hri_arena *a, struct hri_extents *list, uint64_t *room)
{
    uint32_t at = list->newest, next;

    list->newest = 0;
    for (; at != 0; at = next) {
        uint64_t bytes = length_of(a, at - 1) * HRI_CHUNK;

        next = hri_load_relaxed(&extent_of(a, at - 1)->next);
        if (at != a->initial && bytes > *room) {
            hri_arena_put_extent(a, at - 1);
            continue;
        }
        hri_arena_push_extent(a, list, at - 1);
        *room -= hri_min(*room, bytes);
    }
}

void hri_arena_trim_spare(struct hri_arena *a)
{
    uint64_t held = a->held, room = hri_arena_is_guarded(a) ? 0 : a->retain;

    trim_list(a, &a->spare_chunks, &room);
    trim_list(a, &a->spare_runs, &room);
    if (a->held != held)
        hri_name_put(a->sums, held - a->held);
}

void hri_arena_unuse(struct hri_arena *a, uint32_t stop)
{
    uint64_t held = a->held, spare, room;

    if (a->extents.newest == stop)
        return;
    spare = hri_arena_spare_bytes(a);
    room = a->retain > spare && !hri_arena_is_guarded(a) ? (a->retain - spare) / HRI_CHUNK : 0;
    while (a->extents.newest != stop) {
        uint32_t chunk = hri_arena_pop_extent(a, &a->extents);
        uint32_t length = length_of(a, chunk), most = (uint32_t)hri_min(length, room);

        if (most == 0 || (most == 1 && length != 1)) {
            hri_arena_put_extent(a, chunk);
            continue;
        }
        hri_arena_cut_extent(a, chunk, most);
        hri_arena_add_spare(a, chunk);
        room -= most;
    }
    if (a->held != held)
        hri_name_put(a->sums, held - a->held);
}

uint32_t hri_arena_take_spare_run(struct hri_arena *a, size_t length)
{
    uint32_t chunk = pop_spare_run(a, length);

    if (chunk != HRI_NO_CHUNK)
        hri_arena_push_extent(a, &a->extents, chunk);
    HRI_PROBE(refill, a->name, length * HRI_CHUNK);
    return chunk;
}

uint32_t hri_arena_take_extent(struct hri_arena *a, uint32_t length)
{
    uint32_t chunk = HRI_NO_CHUNK;

    if (length == 1 && a->spare_chunks.newest != 0)
        chunk = hri_arena_pop_extent(a, &a->spare_chunks);
    if (chunk == HRI_NO_CHUNK)
        chunk = get_in_place_of_unused(a, length);
    if (chunk != HRI_NO_CHUNK)
        hri_arena_push_extent(a, &a->extents, chunk);
    HRI_PROBE(refill, a->name, length * HRI_CHUNK);
    return chunk;
}

uint32_t hri_arena_try_extent(struct hri_arena *a, uint32_t length)
{
    uint32_t chunk = HRI_NO_CHUNK;

    if (hri_arena_has_room(a, length))
        chunk = hri_run_try(a->provider, length, a->held >= HRI_BLOCK);
    if (chunk == HRI_NO_CHUNK)
        return HRI_NO_CHUNK;
    count(a, 0, length);
    hri_name_took(a->sums, (uint64_t)length * HRI_CHUNK);
    hri_arena_push_extent(a, &a->extents, chunk);
    HRI_PROBE(refill, a->name, length * HRI_CHUNK);
    return chunk;
}
