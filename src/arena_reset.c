/* SPDX-License-Identifier: BSD-2-Clause */
/* How a single-owner arena is emptied, and what it keeps. Layer 5. */
#include "arena.h"
#include "probe.h"
#include "trace.h"

size_t hri_arena_note_peak(struct hri_arena *a)
{
    size_t len = hri_arena_len(a);

    if (len > hri_load_relaxed(&a->peak))
        hri_store_relaxed(&a->peak, len);
    return len;
}

/* The initial run comes first in what is kept; else it is an extent like any other. */
static void keep_initial(struct hri_arena *a, uint64_t *budget)
{
    uint64_t bytes;

    if (a->initial == 0)
        return;
    bytes = (uint64_t)hri_load_relaxed(&hri_provider_extent(a->provider, a->initial - 1)->length) *
            HRI_CHUNK;
    if (bytes <= *budget)
        *budget -= bytes;
    else
        a->initial = 0;
}

/* What a reset may keep of a list of extents, and what is left to look at. */
struct keep {
    uint64_t chunks_left; /* single chunks not looked at yet */
    uint64_t
        chunk_bytes; /* to keep in single chunks: the last ones that are looked at, so the oldest */
    uint64_t whole_bytes; /* to keep in runs that stay whole */
    uint64_t run_bytes;   /* to keep in other runs, perhaps in part */
};

/* Up to `wish` of what is left in *budget. */
static uint64_t take(uint64_t *budget, uint64_t wish)
{
    uint64_t taken = hri_min(*budget, wish);

    *budget -= taken;
    return taken;
}

/* Bytes of the runs in a list, newest first, that fit into `budget` whole: each that still does. */
static uint64_t runs_that_fit(const struct hri_arena *a, uint32_t list, uint64_t budget)
{
    const struct hri_extent *extent;
    uint64_t sum = 0, length;

    for (; list != 0; list = hri_load_relaxed(&extent->next)) {
        extent = hri_provider_extent(a->provider, list - 1);
        length = hri_load_relaxed(&extent->length);
        if (length > 1 && list != a->initial && length * HRI_CHUNK <= budget - sum)
            sum += length * HRI_CHUNK;
    }
    return sum;
}

/* Chunks to keep of an extent of `length`. */
static uint32_t chunks_to_keep(struct keep *keep, uint32_t length)
{
    uint32_t most;

    if (length == 1)
        return keep->chunks_left-- * HRI_CHUNK <= keep->chunk_bytes;
    if (length * HRI_CHUNK <= keep->whole_bytes) {
        keep->whole_bytes -= length * HRI_CHUNK;
        return length;
    }
    most = (uint32_t)hri_min(length, keep->run_bytes / HRI_CHUNK);
    if (most < 2)
        return 0; /* it would stand in the way of the next long run, and serve little */
    keep->run_bytes -= most * HRI_CHUNK;
    return most;
}

/* Looks through a list of extents, newest first: keeps some as spare, gives the rest back. */
static void keep_or_put(struct hri_arena *a, uint32_t list, struct keep *keep)
{
    while (list != 0) {
        uint32_t chunk = list - 1, kept;
        struct hri_extent *extent = hri_provider_extent(a->provider, chunk);

        list = hri_load_relaxed(&extent->next);
        if (chunk + 1 == a->initial)
            continue; /* hri_arena_open_first finds it */
        kept = chunks_to_keep(keep, hri_load_relaxed(&extent->length));
        if (kept == 0) {
            hri_arena_put_extent(a, chunk);
            continue;
        }
        hri_arena_cut_extent(a, chunk, kept);
        hri_arena_add_spare(a, chunk);
    }
}

/* The same where all stays: what is spare already is not looked at. */
static void keep_all(struct hri_arena *a, uint32_t list)
{
    while (list != 0) {
        uint32_t chunk = list - 1;

        list = hri_load_relaxed(&hri_provider_extent(a->provider, chunk)->next);
        if (chunk + 1 != a->initial)
            hri_arena_add_spare(a, chunk);
    }
}

uint64_t hri_arena_need(const struct hri_arena *a)
{
    return a->held - hri_round_down(hri_window_rest(&a->window), HRI_CHUNK) -
           hri_round_down((size_t)(a->medium.end - a->medium.cursor), HRI_CHUNK) -
           hri_arena_spare_bytes(a);
}

static bool is_single(const struct hri_arena *a, uint32_t extent)
{
    return extent != 0 &&
           hri_load_relaxed(&hri_provider_extent(a->provider, extent - 1)->length) == 1;
}

/* Windows closed, `retain` bytes kept as spare, the rest given back. What has been used comes first, single chunks and
 * runs that are kept whole, before what was spare all the time and so of no use for this round; last come runs in part.
 * The oldest chunk is kept, and the next oldest is the last one put: so the next round takes the same chunks in the same
 * order, out of this core's cache. */
void hri_arena_empty(struct hri_arena *a, uint64_t retain)
{
    uint32_t used = a->extents.newest, chunks = a->spare_chunks.newest, runs = a->spare_runs.newest;
    struct keep of_used = {0}, of_spare = {0};
    uint64_t held = a->held;

    hri_arena_close_windows(a);
    hri_store_relaxed(&a->closed, 0);
    a->marks = NULL;
    a->is_kept = false;
    a->extents.newest = 0;
    if (a->fixed)
        return;
    if (held <= retain) {
        keep_all(a, used);
        return;
    }
    a->spare_chunks.newest = a->spare_runs.newest = 0;
    keep_initial(a, &retain);
    of_spare.chunks_left = hri_arena_bytes_of(a, chunks) / HRI_CHUNK;
    of_used.chunks_left =
        hri_load_relaxed(&a->chunks) - is_single(a, a->initial) - of_spare.chunks_left;
    of_used.chunk_bytes = take(&retain, of_used.chunks_left * HRI_CHUNK);
    if (hri_load_relaxed(&a->runs) != 0)
        of_used.whole_bytes = take(&retain, runs_that_fit(a, used, retain));
    of_spare.chunk_bytes = take(&retain, of_spare.chunks_left * HRI_CHUNK);
    of_spare.run_bytes = retain;
    keep_or_put(a, runs, &of_spare);
    keep_or_put(a, chunks, &of_spare);
    of_used.run_bytes = of_spare.run_bytes; /* what is left */
    keep_or_put(a, used, &of_used);
    if (a->held != held)
        hri_name_put(a->sums, held - a->held);
}

void hri_arena_run_cleanups(struct hri_arena *a, struct hri_cleanup *stop, const char *state)
{
    const struct harena_ops *ops = a->window.ops;
    struct hri_mark *marks_before = a->marks_before;
    const char *state_before = a->state;
    const bool was_cleaning = a->cleaning;

    if (a->cleanups == stop)
        return;
    a->cleaning = true;
    a->marks_before = a->marks;
    a->state = state;
    /* Relaxed: read by who asks for figures, which are the same in both. */
    if (ops == &hri_arena_ops)
        hri_store_relaxed(&a->window.ops, &hri_arena_cleaning_ops);
    while (a->cleanups != stop) {
        hri_cleanup_run_newest(&a->cleanups);
        a->marks = a->marks_before; /* its marks may remember what has been run since */
    }
    hri_store_relaxed(&a->window.ops, ops);
    a->state = state_before;
    a->marks_before = marks_before;
    a->cleaning = was_cleaning;
}

void hri_arena_reset(struct hri_arena *a, uint64_t retain)
{
    size_t len;

    hri_arena_run_cleanups(a, a->is_kept ? a->kept.cleanups : NULL, "is being emptied");
    len = hri_arena_note_peak(a);
    a->failed = false;
    a->marks = NULL;
    hri_counter_add(&a->resets, 1);
    hri_arena_note_how(a, "reset");
    if (hri_arena_is_guarded(a))
        retain = 0;
    if (a->is_kept) {
        hri_arena_restore(a, &a->kept);
    } else if (retain < HRI_CHUNK || !hri_arena_reuse_chunk(a)) {
        hri_arena_empty(a, retain);
        hri_arena_open_first(a);
    }
    HRI_PROBE(reset, a->name, len);
    HRI_TRACE("reset arena=%s len=%zu kept=%zu", a->name, len, (size_t)a->held);
}

void harena_reset(harena *window)
{
    struct hri_arena *a;

    if (!hri_arena_is_own(window, "harena_reset"))
        return;
    a = hri_arena_of(window);
    if (a->home != NULL)
        a->need = hri_max(a->need, hri_arena_need(a));
    hri_arena_reset(a, a->retain);
}
