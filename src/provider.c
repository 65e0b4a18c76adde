/* SPDX-License-Identifier: BSD-2-Clause */
/* Chunks and runs: take and put; figures. Layer 3. */
#include "provider.h"

#include "commit.h"
#include "guard.h"
#include "limit.h"
#include "deferred.h"
#include "os.h"
#include "probe.h"
#include "retention.h"
#include "sanitizer.h"
#include "thread.h"
#include "trace.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum {
    ROOM_MS =
        100, /* how long a request that finds no memory may try again while some is reclaimed */
    RUN_TRIES = 64,      /* lost races after which a run is refused: bounds work, not correctness */
    LOST_RACE = INT_MIN, /* no error number */
    VAIN_PURGES = 2,     /* that one request tries: others look again because of each */
    LOOK_EVERY = 16,     /* puts of one thread between two looks at the clock; a power of two */
};

/* ---- small things ---- */

void hri_provider_event(const harena_provider *p, enum harena_event_kind kind, int error,
                        size_t bytes, const char *name, const char *text)
{
    harena_event event = {kind, error, bytes, name != NULL ? name : p->name, text};
    const struct hri_listener *listener =
        hri_load_acquire(&p->listener); /* PAIR listener-1: published when it was complete */

    if (kind == HARENA_EVENT_LIMIT || kind == HARENA_EVENT_SOFT_LIMIT ||
        kind == HARENA_EVENT_DEFERRED_LIMIT)
        HRI_PROBE(limit, event.name, bytes);
    HRI_TRACE("event name=%s bytes=%zu error=%d %s", event.name, bytes, error, text);
    if (listener->fn != NULL)
        listener->fn(listener->ctx, &event);
}

/* This thread's shard; *me: its number from 1. */
static inline struct hri_provider_shard *shard_of_thread(harena_provider *p, uint32_t *me)
{
    uint32_t index = hri_thread_index();

    *me = index + 1;
    return &p->shards[hri_min(index, HRI_PROVIDER_SHARDS - 1)];
}

/* Whether the thread has its shard for itself. */
static inline bool is_alone(uint32_t me)
{
    return HRI_LIKELY(me < HRI_PROVIDER_SHARDS);
}

/* What the counter was before. */
static inline uint64_t count(uint64_t *counter, uint64_t n, bool alone)
{
    uint64_t before;

    if (HRI_UNLIKELY(!alone))
        return hri_fetch_add_relaxed(counter, n); /* relaxed: a figure */
    before = hri_load_relaxed(counter);
    hri_store_relaxed(counter, before + n);
    return before;
}

/* ---- take ---- */

/* How often something has been reclaimed. To be read before memory is looked for: what was reclaimed until then is seen
 * by the look, what is reclaimed later is seen by `reclaim`. */
static uint32_t reclaims(const harena_provider *p)
{
    return hri_load_acquire(&p->reclaims); /* PAIR reclaims-1: raised when the chunks are back */
}

/* What a request that finds no memory has done about it. */
struct search {
    uint64_t began; /* milliseconds; 0: it has not had to look again */
    unsigned waits; /* for what others hold for a moment */
    bool emptied;   /* the pools */
};

/* Before somebody is refused: ends quarantine, empties the pools, once, then gets back what RCU holds, then waits for what
 * others purge. True: it is worth looking again. */
static bool reclaim(harena_provider *p, uint32_t seen, struct search *search)
{
    void (*drop_idle)(harena_provider *) =
        hri_load_acquire(&p->drop_idle); /* PAIR pools-1: set with the first pool */
    bool (*hook)(harena_provider *, uint32_t) =
        hri_load_acquire(&p->reclaim); /* PAIR domain-1: set with the first domain */

    if (hri_guard_flush(p))
        return true;
    if (drop_idle != NULL && !search->emptied) {
        search->emptied = true;
        drop_idle(p);
        return true;
    }
    return (hook != NULL && hook(p, seen)) || hri_limit_wait_for_holders(p, seen, &search->waits);
}

/* Whether a request has looked long enough. Others may have been faster each time that something was reclaimed. */
static bool is_late(struct search *search)
{
    uint64_t now = hri_os.milliseconds();

    if (search->began == 0)
        search->began = now;
    return now - search->began > ROOM_MS;
}

static HRI_COLD uint32_t get_cold_chunk(harena_provider *p, struct hri_home *home, uint32_t me,
                                        const char *name)
{
    bool apart = hri_blocks_fills_apart(home);
    struct search search = {0, 0, false};
    uint32_t chunk, seen;
    int error;

    for (;;) {
        enum harena_event_kind kind = HARENA_EVENT_LIMIT;

        seen = reclaims(p);
        if (hri_limit_charge(p, 1)) {
            chunk = hri_blocks_take_cold(&p->blocks, home);
            if (chunk != HRI_NO_CHUNK) {
                error = hri_commit(p, chunk, 1);
                if (error == 0)
                    return chunk;
                hri_blocks_put_cold(&p->blocks, chunk);
                hri_limit_uncharge(p, 1);
                if (apart) { /* there may be one that is usable, lower down */
                    hri_store_relaxed(&home->filling, 0); /* relaxed: a hint */
                    apart = false;
                    continue;
                }
                if (!is_late(&search) && hri_guard_flush(p))
                    continue; /* the OS may have had no more mappings because of it */
                return hri_limit_refuse(p, HARENA_EVENT_OS_ERROR, -error, HRI_CHUNK, name);
            }
            hri_limit_uncharge(p, 1);
            kind = HARENA_EVENT_REGION_EXHAUSTED;
        }
        chunk = hri_blocks_take_warm(&p->blocks, home, me);
        if (chunk != HRI_NO_CHUNK)
            return chunk;
        if (is_late(&search) || !reclaim(p, seen, &search))
            return hri_limit_refuse(p, kind, ENOMEM, HRI_CHUNK, name);
    }
}

/* A run whose chunks are taken and charged: commit, or undo all. */
static int commit_run(harena_provider *p, uint32_t chunk, uint32_t length, uint64_t cold)
{
    int error = hri_commit(p, chunk, length);

    if (error != 0) {
        hri_blocks_untake(&p->blocks, chunk, length);
        hri_limit_uncharge(p, cold);
        return error;
    }
    hri_blocks_warm(&p->blocks, chunk, length);
    return 0;
}

/* Takes these chunks, charges and commits them, or undoes all. What of it another request may miss meanwhile goes back at
 * once: so it waits (limit.c). 0, LOST_RACE, or -errno: what the OS answers. */
static int take_run(harena_provider *p, uint32_t chunk, uint32_t length)
{
    bool is_limited = hri_load_relaxed(&p->limit) != 0;
    uint64_t cold;
    int error = LOST_RACE;

    if (is_limited)
        hri_limit_begin_hold(p);
    if (hri_blocks_take_run(&p->blocks, chunk, length, &cold)) {
        if (hri_limit_charge(p, cold))
            error = commit_run(p, chunk, length, cold);
        else
            hri_blocks_untake(&p->blocks, chunk, length);
    }
    if (error != 0)
        hri_commit_look(p);
    if (is_limited)
        hri_limit_end_hold(p, error != 0);
    return error;
}

/* *error: the OS's; 0: there is none, or none that the limit has room for (*over_budget). */
static uint32_t find_and_take_run(harena_provider *p, uint32_t length, bool *over_budget,
                                  int *error)
{
    *error = 0;
    for (int tries = 0; tries < RUN_TRIES; tries++) {
        uint32_t chunk = hri_blocks_find_run(&p->blocks, length, hri_limit_budget(p), over_budget);

        if (chunk == HRI_NO_CHUNK)
            break;
        *error = take_run(p, chunk, length);
        if (*error == 0)
            return chunk;
        if (*error != LOST_RACE)
            break;
        *error = 0;
        *over_budget = hri_limit_budget(p) < length;
    }
    return HRI_NO_CHUNK;
}

static uint32_t get_run(harena_provider *p, uint32_t length, const char *name)
{
    size_t bytes = length * HRI_CHUNK;
    bool over_budget = false, last = bytes > p->region_size;
    unsigned in_vain = 0;
    struct search search = {0, 0, false};
    int error;

    for (;;) {
        uint32_t seen = reclaims(p), chunk;
        uint64_t limit;

        chunk = find_and_take_run(p, length, &over_budget, &error);
        if (chunk != HRI_NO_CHUNK)
            return chunk;
        if (error != 0) {
            if (!is_late(&search) && hri_guard_flush(p))
                continue; /* as for a chunk */
            return hri_limit_refuse(p, HARENA_EVENT_OS_ERROR, -error, bytes, name);
        }
        limit = hri_load_relaxed(&p->limit);
        if (last || (over_budget && limit != 0 && bytes > limit))
            return hri_limit_refuse(
                p, over_budget ? HARENA_EVENT_LIMIT : HARENA_EVENT_REGION_EXHAUSTED, ENOMEM, bytes,
                name);
        if (over_budget && in_vain < VAIN_PURGES)
            in_vain += !hri_retention_make_room(p, length, &seen);
        last = is_late(&search) || (!(over_budget && hri_limit_budget(p) >= length) &&
                                    !reclaim(p, seen, &search)); /* one more look */
    }
}

/* How much of a run that was just taken may not be zero. */
static uint64_t dirty_of_run(const harena_provider *p, uint32_t chunk, uint32_t length)
{
    if (!p->source.zeroed)
        return length * HRI_CHUNK;
    for (uint32_t i = length; i-- > 0;) {
        uint64_t dirty = hri_provider_extent(p, chunk + i)->dirty;

        if (dirty != 0)
            return i * HRI_CHUNK + dirty;
    }
    return 0;
}

/* What is neither a single chunk nor warm. */
static HRI_COLD uint32_t get_slowly(harena_provider *p, uint32_t length, struct hri_home *home,
                                    uint32_t me, const char *name)
{
    int saved = errno;
    uint32_t chunk = length == 1 ? get_cold_chunk(p, home, me, name) : get_run(p, length, name);

    if (chunk != HRI_NO_CHUNK)
        errno = saved;
    return chunk;
}

static inline uint32_t get(harena_provider *p, uint32_t length, const char *name)
{
    uint32_t me, chunk = HRI_NO_CHUNK;
    struct hri_provider_shard *shard = shard_of_thread(p, &me);

    if (HRI_LIKELY(length == 1)) {
        chunk = hri_blocks_retake(&p->blocks, &shard->home, me);
        if (HRI_UNLIKELY(chunk == HRI_NO_CHUNK))
            chunk = hri_blocks_take_warm(&p->blocks, &shard->home, me);
    }
    if (HRI_UNLIKELY(chunk == HRI_NO_CHUNK)) {
        chunk = get_slowly(p, length, &shard->home, me, name);
        if (chunk == HRI_NO_CHUNK)
            return HRI_NO_CHUNK;
    }
    count(&shard->gets, length, is_alone(me));
    if (HRI_UNLIKELY(length != 1 || !p->source.zeroed))
        hri_provider_extent(p, chunk)->dirty = dirty_of_run(p, chunk, length);
    hri_hide(hri_chunk_address(p, chunk), length * HRI_CHUNK);
    return chunk;
}

uint32_t hri_run_get(harena_provider *p, uint32_t length, const char *name)
{
    uint32_t chunk = get(p, length, name);

    if (HRI_LIKELY(chunk != HRI_NO_CHUNK)) /* relaxed: read by who is told of it by its holder */
        hri_store_relaxed(&hri_provider_extent(p, chunk)->length, length);
    return chunk;
}

/* Takes these chunks and none other, as hri_run_extend says. */
static bool get_these(harena_provider *p, uint32_t chunk, uint32_t length, uint32_t instead)
{
    uint32_t me;
    struct hri_provider_shard *shard = shard_of_thread(p, &me);
    int saved = errno, error;

    if (!hri_blocks_may_take(&p->blocks, chunk, length, hri_limit_budget(p), instead))
        return false;
    error = take_run(p, chunk, length);
    errno = saved;
    if (error != 0)
        return false;
    count(&shard->gets, length, is_alone(me));
    hri_hide(hri_chunk_address(p, chunk), length * HRI_CHUNK);
    return true;
}

bool hri_run_extend(harena_provider *p, uint32_t chunk, uint32_t more, uint32_t instead)
{
    struct hri_extent *extent = hri_provider_extent(p, chunk);
    uint32_t length = hri_load_relaxed(&extent->length);
    uint64_t dirty;

    if (!get_these(p, chunk + length, more, instead))
        return false;
    dirty = dirty_of_run(p, chunk + length, more);
    if (dirty != 0)
        hri_store_relaxed(&extent->dirty, length * HRI_CHUNK + dirty); /* as the length */
    hri_store_relaxed(&extent->length, length + more); /* relaxed: as in hri_run_get */
    return true;
}

uint32_t hri_run_get_roomy(harena_provider *p, uint32_t length, const char *name)
{
    uint32_t chunk = HRI_NO_CHUNK;

    if (length > 1)
        chunk = hri_blocks_find_room(&p->blocks, length);
    if (chunk == HRI_NO_CHUNK || !get_these(p, chunk, length, length))
        return hri_run_get(p, length, name);
    hri_provider_extent(p, chunk)->dirty = dirty_of_run(p, chunk, length);
    hri_store_relaxed(&hri_provider_extent(p, chunk)->length, length); /* as in hri_run_get */
    return chunk;
}

uint32_t hri_run_try(harena_provider *p, uint32_t length, bool roomy)
{
    uint32_t me, chunk = roomy ? hri_blocks_find_room(&p->blocks, length) : HRI_NO_CHUNK;
    struct hri_provider_shard *shard = shard_of_thread(p, &me);
    int saved = errno, error;
    bool over_budget = false;

    if (chunk == HRI_NO_CHUNK || !get_these(p, chunk, length, length)) {
        chunk = find_and_take_run(p, length, &over_budget, &error);
        errno = saved;
        if (chunk == HRI_NO_CHUNK)
            return HRI_NO_CHUNK;
        count(&shard->gets, length, is_alone(me));
        hri_hide(hri_chunk_address(p, chunk), length * HRI_CHUNK);
    }
    hri_provider_extent(p, chunk)->dirty = dirty_of_run(p, chunk, length);
    hri_store_relaxed(&hri_provider_extent(p, chunk)->length, length); /* as in hri_run_get */
    return chunk;
}

/* ---- put ---- */

/* The run's first extent says how much of it may not be zero; each chunk's own says it from now on. */
static void spread_dirt(harena_provider *p, uint32_t chunk, uint32_t length)
{
    uint64_t dirty = hri_provider_extent(p, chunk)->dirty;

    for (uint32_t i = 0; i < length; i++) {
        uint64_t before = i * HRI_CHUNK;

        hri_provider_extent(p, chunk + i)->dirty =
            dirty > before ? hri_min(dirty - before, HRI_CHUNK) : 0;
    }
}

static inline void put(harena_provider *p, uint32_t chunk, uint32_t length)
{
    uint32_t me;
    struct hri_provider_shard *shard = shard_of_thread(p, &me);
    uint64_t puts = count(&shard->puts, length, is_alone(me));

    hri_hide(hri_chunk_address(p, chunk), length * HRI_CHUNK); /* before it is another's */
    if (HRI_LIKELY(length == 1)) {
        if (hri_load_relaxed(&shard->home.chunk) != chunk)
            hri_store_relaxed(&shard->home.chunk, chunk); /* relaxed: a hint */
        hri_blocks_put(&p->blocks, chunk);
    } else {
        spread_dirt(p, chunk, length);
        hri_blocks_untake(&p->blocks, chunk, length);
    }
    if (HRI_UNLIKELY((puts & (LOOK_EVERY - 1)) < length))
        hri_retention_look(p);
    hri_retention_poll(p);
    if (HRI_UNLIKELY(hri_load_relaxed(&p->above_soft) != 0)) /* relaxed: a hint */
        hri_retention_put_above_soft(p, chunk, length);
}

void hri_run_put(harena_provider *p, uint32_t chunk)
{
    struct hri_extent *extent = hri_provider_extent(p, chunk);
    uint32_t length = hri_load_relaxed(&extent->length);

    hri_store_relaxed(&extent->length, 0);
    put(p, chunk, length);
}

void hri_run_cut(harena_provider *p, uint32_t chunk, uint32_t keep)
{
    struct hri_extent *extent = hri_provider_extent(p, chunk),
                      *rest = hri_provider_extent(p, chunk + keep);
    uint32_t length = hri_load_relaxed(&extent->length);
    uint64_t kept = keep * HRI_CHUNK;

    if (length <= keep)
        return;
    rest->dirty = extent->dirty > kept ? extent->dirty - kept : 0;
    hri_store_relaxed(&extent->dirty, hri_min(extent->dirty, kept));
    hri_store_relaxed(&rest->length, length - keep); /* relaxed: as in hri_run_get */
    hri_store_relaxed(&extent->length, keep);
    hri_run_put(p, chunk + keep);
}

/* Whether a chunk is a raw one. It stands beside the bit that says that the chunk is taken: who gets a raw chunk from one
 * core to put it back from another moves one line, not two. */
static inline uint8_t *raw_mark(harena_provider *p, uint32_t chunk)
{
    return &p->blocks.table[chunk / HRI_BLOCK_CHUNKS].raw[chunk % HRI_BLOCK_CHUNKS];
}

void *harena_chunk_get(harena_provider *provider)
{
    harena_provider *p = hri_provider_or_default(provider);
    uint32_t chunk;

    if (p == NULL)
        return NULL;
    chunk = get(p, 1, NULL);
    if (HRI_UNLIKELY(chunk == HRI_NO_CHUNK))
        return NULL;
    hri_store_relaxed(raw_mark(p, chunk), 1);
    hri_show(hri_chunk_address(p, chunk), HRI_CHUNK);
    return hri_chunk_address(p, chunk);
}

void harena_chunk_put(harena_provider *provider, void *chunk)
{
    harena_provider *p = hri_provider_or_default(provider);
    struct hri_extent *extent;
    size_t offset;
    uint32_t index;

    if (p == NULL || chunk == NULL)
        return;
    offset = (size_t)((uintptr_t)chunk - (uintptr_t)p->region);
    index = (uint32_t)(offset / HRI_CHUNK);
    if (offset >= p->region_size || offset % HRI_CHUNK != 0 ||
        index / HRI_BLOCK_CHUNKS >= hri_load_relaxed(&p->blocks.used) ||
        hri_load_relaxed(raw_mark(p, index)) == 0) {
        hri_provider_event(p, HARENA_EVENT_MISUSE, 0, HRI_CHUNK, NULL,
                           "harena_chunk_put: not a raw chunk in use of this provider");
        return;
    }
    extent = hri_provider_extent(p, index);
    if (extent->dirty != HRI_CHUNK) /* a line that the next one to get a raw chunk need not have */
        extent->dirty = HRI_CHUNK;
    hri_store_relaxed(raw_mark(p, index), 0);
    put(p, index, 1);
}

void hri_provider_prefer(harena_provider *p, uint32_t chunk)
{
    uint32_t me;
    struct hri_provider_shard *shard = shard_of_thread(p, &me);

    hri_store_relaxed(&shard->home.chunk, chunk); /* relaxed: a hint */
}

bool harena_provider_owns(const harena_provider *p, const void *any)
{
    return p != NULL && (uintptr_t)any - (uintptr_t)p->region < p->region_size;
}

/* ---- statistics ---- */

void harena_provider_stats_get(harena_provider *provider, harena_provider_stats *stats)
{
    harena_provider *p = hri_provider_or_default(provider);
    harena_provider_stats all = {0};
    uint64_t taken = 0, free_warm = 0, held;

    if (stats == NULL || stats->size == 0)
        return;
    all.size = stats->size;
    if (p != NULL) {
        /* Relaxed all over: figures of a moment, exact when nothing is under way. */
        hri_blocks_count(&p->blocks, &taken, &free_warm);
        held = taken * HRI_CHUNK;
        all.reserved = p->region_size;
        all.committed = hri_load_relaxed(&p->committed);
        all.deferred = hri_min(hri_deferred_bytes(hri_load_relaxed(&p->deferred)), held);
        all.in_use = held - all.deferred;
        all.free = free_warm * HRI_CHUNK;
        hri_raise_to(&p->peak, all.committed);
        all.peak = hri_load_relaxed(&p->peak);
        for (int i = 0; i < HRI_PROVIDER_SHARDS; i++) {
            all.gets += hri_load_relaxed(&p->shards[i].gets);
            all.puts += hri_load_relaxed(&p->shards[i].puts);
        }
        all.purges = hri_load_relaxed(&p->purges);
        all.commits = all.committed / HRI_CHUNK + all.purges; /* what was gained and not lost */
        all.failures = hri_load_relaxed(&p->failures);
        all.retired = hri_load_relaxed(&p->retired);
        all.reclaimed = hri_load_relaxed(&p->reclaimed);
    }
    memcpy(stats, &all, hri_min(stats->size, sizeof(all)));
}
