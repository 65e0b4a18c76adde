/* SPDX-License-Identifier: BSD-2-Clause */
/* Lanes: one thread's window inside one generation. Layer 6.
 *
 * A lane is claimed once, by CAS of its owner from free to the thread's word, and belongs to that word for as long as
 * the generation lives. Nothing needs to be ordered by the claim: the lane was written before the generation was
 * installed (PAIR generation-1), and a thread that gets the word of one that has ended acquired what that one left
 * (PAIR stack-1). Only the owner writes a lane; others read its counters.
 *
 * Leases begin small and double, so that a quiet thread wastes little; a busy one ends with chunks of its own, linked in
 * its lane without any read-modify-write, and meets nobody. What was busy in one generation begins the next with a chunk
 * of its own, if it can be had the same one: it is in that core's cache. */
#include "generation.h"
#include "probe.h"
#include "sanitizer.h"
#include "thread.h"

#include <errno.h>
#include <string.h>

enum {
    PROBES = 4,          /* lanes that a thread looks at */
    FIRST_LEASE = 512,   /* bytes; a power of two */
    LAST_LEASE = 4096,   /* where no chunk of the lane's own is to be had any more */
    RUN_LOSS = 8,        /* a new run may lose this part of itself where the lane was before */
    RUN_FIRST = 1 << 18, /* bytes of one up to where it is 1/64 of all */
};

static struct harena_lane *lane_of(const harena *window)
{
    return HRI_CONTAINER(window, struct harena_lane, window);
}

static struct hri_generation *generation_of(const harena *window)
{
    return lane_of(window)->generation;
}

/* The lane has just been claimed: where this thread had its chunks in the last generation it looks first. */
static void come_home(const struct hri_generation *g, const struct harena_lane *lane)
{
    uint32_t home = lane->home & ~HRI_LANE_BUSY;

    if (home != 0)
        hri_provider_prefer(g->provider, home - 1);
}

struct harena_lane *hri_lane_find(struct hri_generation *g)
{
    uint32_t word = hri_thread_word(), mask = g->view.lanes - 1;

    if (word == HRI_THREAD_GONE || g->slow == 2)
        return NULL;
    for (uint32_t probe = 0; probe < PROBES && probe <= mask; probe++) {
        struct harena_lane *lane = &g->lanes[(hri_thread_number(word) + probe) & mask];
        uint32_t owner = hri_load_relaxed(&lane->owner); /* relaxed: see above */

        if (owner == HRI_THREAD_FREE && hri_cas_relaxed(&lane->owner, &owner, word)) {
            come_home(g, lane);
            return lane;
        }
        if (owner == word)
            return lane;
    }
    return NULL;
}

/* ---- windows ---- */

/* Goes on with [from, end), which the lane has just claimed, and has cleared if need be. */
static void open_window(const struct hri_generation *g, struct harena_lane *lane, char *from,
                        char *end)
{
    harena *w = &lane->window;

    if (from != w->end) /* else the lease continues the window: nothing is lost */
        hri_window_set_cursor(w, from);
    hri_store_relaxed(&w->end, end);
    hri_store_relaxed(&w->limit, g->slow != 0 ? w->cursor : end);
}

/* A chunk or run that was just taken becomes one of the lane's own. */
static void link_own(const struct hri_generation *g, struct harena_lane *lane, uint32_t chunk)
{
    if (lane->chunks == 0) /* relaxed: a hint */
        hri_store_relaxed(&lane->home, (lane->home & HRI_LANE_BUSY) | (chunk + 1));
    hri_store_relaxed(&hri_provider_extent(g->provider, chunk)->next, lane->chunks);
    hri_store_release(&lane->chunks, chunk + 1); /* PAIR lane-1: acquired by who walks the list */
}

/* The lane has so many chunks more. */
static void count_own(struct hri_generation *g, struct harena_lane *lane, uint32_t chunks)
{
    hri_store_seq_cst(&lane->chunk_count, lane->chunk_count + chunks); /* PAIR late-1 */
    hri_generation_note_held(g, chunks * HRI_CHUNK);
    hri_counter_add(&lane->leased, chunks * HRI_CHUNK);
}

/* A chunk of the lane's own, whose start serves `size` bytes; the window keeps the larger rest. `last`, here and below: the
 * caller has nothing else to try. */
static char *alloc_in_own_chunk(struct hri_generation *g, struct harena_lane *lane, size_t size,
                                bool last)
{
    uint32_t chunk = last ? hri_lease_chunks(g, 1, false) : hri_lease_chunk(g);
    size_t rounded = hri_round_up(size, HRI_ALIGNMENT);
    char *at;

    if (chunk == HRI_NO_CHUNK)
        return NULL;
    link_own(g, lane, chunk);
    count_own(g, lane, 1);
    at = hri_chunk_address(g->provider, chunk);
    if (g->zero)
        hri_lease_clear(g, at, HRI_CHUNK);
    if (HRI_CHUNK - rounded > hri_window_rest(&lane->window))
        open_window(g, lane, at + rounded, at + HRI_CHUNK);
    return at; /* a rest that is lost counts as handed out */
}

/* Bytes of the next lease: as many as all so far, and at least the first; HRI_CHUNK: a chunk of the lane's own. */
static size_t next_lease(const struct hri_generation *g, const struct harena_lane *lane)
{
    uint64_t leased = lane->leased + FIRST_LEASE;

    if (leased >= HRI_CHUNK ||
        ((lane->home & HRI_LANE_BUSY) != 0 && hri_lease_has_room(g, HRI_CHUNK)))
        return HRI_CHUNK;
    return (size_t)1 << (63 - __builtin_clzll(leased));
}

/* The next lease in the window: of the open chunk, or, where there is none to be had, of what the second window has left.
 * False: refused. */
static bool take_lease(struct hri_generation *g, struct harena_lane *lane, size_t lease,
                       size_t need, bool last)
{
    size_t got;
    char *at =
        need <= HRI_LEASE_MOST ? hri_lease_claim(g, hri_max(lease, need), need, last, &got) : NULL;

    if (at != NULL) {
        if (g->zero)
            hri_lease_clear(g, at, got);
    } else {
        got = hri_round_up(hri_max(lease, need), HRI_CACHE_LINE);
        at = hri_rest_take(g, got, HRI_CACHE_LINE, false);
        if (at == NULL) {
            got = hri_round_up(need, HRI_ALIGNMENT);
            at = hri_rest_take(g, got, HRI_ALIGNMENT, false);
        }
        if (at == NULL)
            return false;
    }
    hri_counter_add(&lane->leased, got);
    open_window(g, lane, at, at + got);
    return true;
}

/* ---- runs of the lane's own ---- */

/* Bytes that a busy lane may have in hand for larger objects: little of what it has had. */
static size_t bytes_at_once(const struct harena_lane *lane)
{
    uint64_t bytes = hri_max(lane->leased / 64, hri_min(lane->leased / 16, RUN_FIRST));

    return hri_min(bytes, HRI_RUN_MOST * HRI_CHUNK);
}

/* The window has room for `need` bytes with the chunks right behind it, if it is the end of the newest chunk or run and
 * they are free: nothing is lost. `instead`: chunks of a run that it would take. False: no. */
static bool extend_window(struct hri_generation *g, struct harena_lane *lane, size_t need,
                          size_t instead)
{
    size_t least = hri_chunks_for(need - hri_window_rest(&lane->window)), chunks;
    uint32_t run = lane->chunks - 1, length;
    struct hri_extent *extent;
    char *end = lane->window.end, *dirty;

    if (lane->chunks == 0)
        return false;
    extent = hri_provider_extent(g->provider, run);
    length = hri_load_relaxed(&extent->length); /* relaxed: the lane's own */
    if (end != hri_chunk_address(g->provider, run) + length * HRI_CHUNK)
        return false;
    chunks = hri_run_step(lane->leased, least, run + length);
    if (!hri_lease_extend(g, run, (uint32_t)chunks, (uint32_t)instead)) {
        if (chunks == least || !hri_lease_extend(g, run, (uint32_t)least, (uint32_t)instead))
            return false;
        chunks = least;
    }
    count_own(g, lane, (uint32_t)chunks);
    dirty = hri_chunk_address(g->provider, run) + extent->dirty;
    if (g->zero && dirty > end)
        hri_clear_hidden(end, hri_min(chunks * HRI_CHUNK, (size_t)(dirty - end)));
    open_window(g, lane, end, end + chunks * HRI_CHUNK);
    return true;
}

/* The window goes on in a run of the lane's own, and what is left of it is lost. False: there is none, or that is much. */
static bool open_run(struct hri_generation *g, struct harena_lane *lane, size_t chunks)
{
    size_t bytes = chunks * HRI_CHUNK;
    uint32_t run = HRI_NO_CHUNK;
    char *at;

    if (hri_window_rest(&lane->window) <= bytes / RUN_LOSS)
        run = chunks == 1 ? hri_lease_chunk(g)
                          : hri_lease_try(g, (uint32_t)chunks, lane->leased >= HRI_BLOCK);
    if (run == HRI_NO_CHUNK)
        return false;
    link_own(g, lane, run);
    count_own(g, lane, (uint32_t)chunks);
    at = hri_chunk_address(g->provider, run);
    if (g->zero)
        hri_clear_hidden(at, hri_min(bytes, hri_provider_extent(g->provider, run)->dirty));
    open_window(g, lane, at, at + bytes);
    return true;
}

/* For an object that is larger than what a chunk may lose at its end, and not large for the lane. False: the window stays
 * as it is. */
static bool go_on_in_run(struct hri_generation *g, struct harena_lane *lane, size_t need)
{
    size_t bytes = bytes_at_once(lane), chunks = hri_chunks_for(bytes);

    if (need > bytes / 2 || !hri_lease_has_room(g, bytes + g->view.lanes * HRI_CHUNK))
        return false;
    HRI_PROBE(refill, g->name, bytes);
    return extend_window(g, lane, need, chunks) || open_run(g, lane, chunks);
}

/* ---- alloc ---- */

/* What the window could not serve. `need` is the size with room to align. */
static char *refill(struct hri_generation *g, struct harena_lane *lane, size_t lease, size_t size,
                    size_t need, size_t alignment)
{
    bool limited = hri_lease_is_limited(g), taken;
    char *at;

    HRI_PROBE(refill, g->name, lease);
    if (lease >= HRI_CHUNK) {
        at = alloc_in_own_chunk(g, lane, size, false); /* at a multiple of 64 KiB */
        if (at != NULL)
            return at;
        lease = LAST_LEASE;
    }
    taken = take_lease(g, lane, lease, need, !limited);
    if (!taken && limited && need > HRI_LEASE_MOST)
        return alloc_in_own_chunk(g, lane, size, true);
    if (!taken && limited)
        taken = take_lease(g, lane, lease, need, true);
    return taken ? hri_window_take(&lane->window, size, alignment) : NULL;
}

/* Beside the window, which stays as it is. */
static char *alloc_beside(struct hri_generation *g, struct harena_lane *lane, size_t size,
                          size_t need, size_t alignment, bool zeroed)
{
    char *at = hri_lease_claim_spare(g, need, HRI_CACHE_LINE);

    if (at == NULL) {
        at = hri_rest_alloc(g, size, alignment, zeroed);
        if (at != NULL) /* not all of what is large: little else may follow */
            hri_counter_add(&lane->leased,
                            hri_min(hri_round_up(size, HRI_ALIGNMENT), HRI_LEASE_MOST));
        return at;
    }
    HRI_PROBE(refill, g->name, need);
    hri_counter_add(&lane->leased, hri_round_up(need, HRI_CACHE_LINE));
    at = hri_align_pointer(at, alignment);
    if (zeroed || g->zero)
        hri_lease_clear(g, at, size);
    return at;
}

/* Whether the window is to be refilled for an object; if not, it stays as it is. */
static bool wants_window(const struct harena_lane *lane, size_t lease, size_t size, size_t need)
{
    if (need < HRI_MEDIUM_LEAST)
        return true;
    return hri_window_rest(&lane->window) < HRI_MEDIUM_LEAST &&
           (lease >= HRI_CHUNK ? size <= HRI_CHUNK_MOST : need <= lease / 2);
}

/* Whether the window may go on in a run for an object. Not for one that it would be padded for much, where small ones come
 * between: in a rest those lie side by side. Nor for a zeroed one: a lane does not know what of its window is zero. */
static bool wants_run(size_t lease, size_t size, size_t need, bool zeroed)
{
    return lease >= HRI_CHUNK && !zeroed && need - size <= size / 32;
}

static char *serve(struct hri_generation *g, struct harena_lane *lane, size_t size,
                   size_t alignment, bool zeroed)
{
    size_t need, lease;
    char *at;

    alignment = hri_max(alignment, g->alignment);
    need = size + alignment - HRI_ALIGNMENT;
    at = hri_window_take(&lane->window, size, alignment);
    if (at == NULL) {
        lease = next_lease(g, lane);
        if (wants_window(lane, lease, size, need))
            at = refill(g, lane, lease, size, need, alignment);
        else if (wants_run(lease, size, need, zeroed) && go_on_in_run(g, lane, need))
            at = hri_window_take(&lane->window, size, alignment);
        else
            return alloc_beside(g, lane, size, need, alignment, zeroed);
    }
    if (at != NULL && zeroed && !g->zero) /* a lane does not know what of its window is zero */
        hri_clear_hidden(at, size);
    return at;
}

static void *lane_alloc(harena *window, size_t size, size_t alignment, bool zeroed)
{
    struct harena_lane *lane = lane_of(window);
    struct hri_generation *g = lane->generation;
    char *at = serve(g, lane, size, alignment, zeroed);

    if (at == NULL)
        return hri_generation_fail(g, errno);
    hri_show_object(at, size, size);
    return at;
}

void *hri_generation_alloc(struct hri_generation *g, size_t size, size_t alignment, bool zeroed)
{
    struct harena_lane *lane = g->state == HRI_LIVE ? hri_lane_find(g) : NULL;

    return lane != NULL ? lane_alloc(&lane->window, size, alignment, zeroed)
                        : hri_generation_alloc_atomic(g, size, alignment, zeroed);
}

/* ---- the lane as an arena ---- */

/* The window behind the lanes, for threads that have none, serves by fetch-add. */
static void *alloc_behind_window(harena *window, size_t size, size_t alignment, bool zeroed)
{
    struct hri_generation *g = generation_of(window);

    if (window == &g->lanes[g->view.lanes].window || g->state != HRI_LIVE)
        return hri_generation_alloc_atomic(g, size, alignment, zeroed);
    return lane_alloc(window, size, alignment, zeroed);
}

static void lane_fail(harena *window)
{
    int error = errno;

    hri_generation_fail(generation_of(window), error);
}

static void lane_moved_back(harena *window, char *from, bool counted)
{
    struct hri_generation *g = generation_of(window);

    (void)counted;
    if (g->slow != 0)
        hri_store_relaxed(&window->limit, window->cursor);
    if (g->zero)
        memset(window->cursor, 0, (size_t)(from - window->cursor));
}

static bool lane_grow(harena *window, char *old, size_t old_size, size_t new_size)
{
    (void)window, (void)old, (void)old_size, (void)new_size;
    return false; /* what lies behind may be another thread's */
}

static bool lane_is_boundary(const harena *window)
{
    (void)window;
    return false;
}

static bool lane_zeroes(const harena *window)
{
    return generation_of(window)->zero;
}

static int lane_on_release(harena *window, harena_cleanup_fn fn, void *ctx)
{
    return hri_generation_on_release(generation_of(window), fn, ctx);
}

static bool lane_forget(harena *window, harena_cleanup_fn fn, void *ctx)
{
    (void)window, (void)fn, (void)ctx;
    return false;
}

static bool lane_contains(const harena *window, const void *any)
{
    return hri_generation_contains(generation_of(window), any);
}

static bool lane_failed(const harena *window)
{
    const struct hri_generation *g = generation_of(window);

    /* Relaxed: a figure. The static generations fail all, and keep no account of it. */
    return g->state != HRI_LIVE || hri_load_relaxed(&g->failures) != 0;
}

static void lane_clear_failed(harena *window)
{
    (void)window; /* the failure is the generation's, and other threads' too */
}

static void lane_stats(const harena *window, harena_stats *stats)
{
    const struct harena_lane *lane = lane_of(window);
    uint64_t leased = hri_load_relaxed(&lane->leased);
    const char *end = hri_load_relaxed(&window->end), *cursor = hri_load_relaxed(&window->cursor);
    uint64_t rest = (uint64_t)(end - cursor);

    stats->chunks = hri_load_relaxed(&lane->chunk_count);
    stats->cap = leased;
    stats->len = stats->peak = rest <= leased ? leased - rest : leased;
}

const struct harena_ops hri_lane_ops = {
    .alloc = alloc_behind_window,
    .fail = lane_fail,
    .moved_back = lane_moved_back,
    .grow = lane_grow,
    .is_boundary = lane_is_boundary,
    .zeroes = lane_zeroes,
    .on_release = lane_on_release,
    .forget = lane_forget,
    .contains = lane_contains,
    .failed = lane_failed,
    .clear_failed = lane_clear_failed,
    .stats = lane_stats,
    .own = false,
    .has_marks = false,
};

/* ---- the inline paths' slow ends ---- */

extern inline harena *harena_view_lane(harena_view *view);
extern inline void *harena_view_alloc(harena_view *view, size_t size);

harena *harena_view_lane_slow(harena_view *view)
{
    struct hri_generation *g = hri_generation_of(view != NULL ? view : hri_view_closed);
    struct harena_lane *lane = g->state == HRI_LIVE ? hri_lane_find(g) : NULL;

    return lane != NULL ? &lane->window : &g->lanes[g->view.lanes].window;
}
