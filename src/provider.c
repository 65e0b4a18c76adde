/* SPDX-License-Identifier: BSD-2-Clause */
/* Chunks and runs: take, put, charge, purge. Layer 3.
 *
 * The hard limit is exact: a chunk that is not warm is charged to `committed` by a compare-and-swap that never passes
 * the limit, before it becomes warm; whoever then finds no such chunk refunds. A purge refunds after the memory is
 * gone. So `committed` is at no time below what is warm, and at no time above the limit. A request that does not fit
 * charges nothing, so a large one starves no small one. */
#include "provider.h"

#include "os.h"
#include "thread.h"

#include <errno.h>
#include <string.h>

/* How long a request that finds no memory may try again while some is reclaimed. */
enum { ROOM_MS = 100 };

/* ---- small things ---- */

void hri_copy_name(char to[HRI_NAME_SIZE], const char *name, const char *fallback)
{
    size_t length = strnlen(name != NULL ? name : fallback, HRI_NAME_SIZE - 1);

    memcpy(to, name != NULL ? name : fallback, length);
    to[length] = '\0';
}

void hri_provider_event(const harena_provider *p, enum harena_event_kind kind, int error,
                        size_t bytes, const char *name, const char *text)
{
    harena_event event = {kind, error, bytes, name != NULL ? name : p->name, text};

    if (p->on_event != NULL)
        p->on_event(p->event_ctx, &event);
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

static inline void count(uint64_t *counter, uint64_t n, bool alone)
{
    if (HRI_LIKELY(alone))
        hri_counter_add(counter, n);
    else
        hri_fetch_add_relaxed(counter, n); /* relaxed: a figure */
}

/* ---- limit ---- */

static bool charge(harena_provider *p, uint64_t chunks)
{
    uint64_t bytes = chunks * HRI_CHUNK, seen = hri_load_relaxed(&p->committed), limit;

    if (chunks == 0)
        return true; /* warm memory serves also when the limit has been lowered below it */
    do {
        limit = hri_load_relaxed(&p->limit);
        if (limit != 0 && (bytes > limit || seen > limit - bytes))
            return false;
    } while (
        !hri_cas_relaxed(&p->committed, &seen, seen + bytes)); /* relaxed: only the sum counts */
    return true;
}

/* `peak` is raised when `committed` falls, to what it was until then, and when somebody asks: not at each charge. */
static void refund(harena_provider *p, uint64_t chunks)
{
    /* Relaxed: as charge. */
    hri_raise_to(&p->peak, hri_fetch_sub_relaxed(&p->committed, chunks * HRI_CHUNK));
}

/* Chunks that may be charged now. */
static uint64_t budget_of(const harena_provider *p)
{
    uint64_t limit = hri_load_relaxed(&p->limit), committed = hri_load_relaxed(&p->committed);

    if (limit == 0)
        return UINT64_MAX;
    return limit > committed ? (limit - committed) / HRI_CHUNK : 0;
}

bool hri_provider_has_room(const harena_provider *p, uint64_t bytes)
{
    return bytes / HRI_CHUNK <= budget_of(p);
}

/* Anything but success: counted, told, ENOMEM. */
static HRI_COLD uint32_t refuse(harena_provider *p, enum harena_event_kind kind, int error,
                                size_t bytes, const char *name)
{
    static const char *const text[] = {
        [HARENA_EVENT_LIMIT] = "hard limit reached: memory refused",
        [HARENA_EVENT_REGION_EXHAUSTED] = "no addresses left in the region",
        [HARENA_EVENT_OS_ERROR] = "the operating system or the page source refused memory",
    };

    hri_fetch_add_relaxed(&p->failures, 1); /* relaxed: a figure */
    hri_provider_event(p, kind, error, bytes, name, text[kind]);
    errno = ENOMEM;
    return HRI_NO_CHUNK;
}

/* ---- commit and purge ---- */

/* Makes the blocks of a run usable. Another thread may do the same at the same time: that is idempotent. */
static int commit_blocks(harena_provider *p, uint32_t chunk, uint32_t length)
{
    uint32_t last = (chunk + length - 1) / HRI_BLOCK_CHUNKS;

    for (uint32_t i = chunk / HRI_BLOCK_CHUNKS; i <= last; i++) {
        struct hri_block *block = &p->blocks.table[i];
        char *at = p->region + (size_t)i * HRI_BLOCK;
        int error;

        if (hri_load_acquire(&block->committed) !=
            0) /* PAIR commit-1: set below, after the commit */
            continue;
        error = p->source.commit != NULL ? p->source.commit(p->source.ctx, at, HRI_BLOCK) : 0;
        if (error != 0)
            return error;
        if (!p->own_source && p->huge_pages != HARENA_HUGE_AUTO)
            hri_os.advise_huge(at, HRI_BLOCK, p->huge_pages == HARENA_HUGE_ON);
        hri_store_release(&block->committed, 1); /* PAIR commit-1 */
    }
    return 0;
}

/* Gives the memory of one claimed block back. */
static bool purge_claimed(harena_provider *p, uint32_t block, uint64_t state)
{
    uint64_t chunks = (uint64_t)__builtin_popcountll(state >> 32);

    if (p->source.purge == NULL ||
        p->source.purge(p->source.ctx, p->region + (size_t)block * HRI_BLOCK, HRI_BLOCK) != 0) {
        hri_blocks_unpurged(&p->blocks, block);
        return false;
    }
    if (p->source.zeroed)
        for (uint32_t i = 0; i < HRI_BLOCK_CHUNKS; i++)
            p->blocks.table[block].extents[i].dirty = 0;
    hri_blocks_purged(&p->blocks, block);
    refund(p, chunks);
    hri_fetch_add_relaxed(&p->purges, chunks); /* relaxed: a figure */
    return true;
}

/* Purges whole free blocks, high addresses first, until no more than `keep` bytes are free and warm, but none that
 * would leave less than `least`. */
static size_t purge_blocks(harena_provider *p, uint64_t keep, uint64_t least)
{
    uint64_t taken, free_warm, state, done = 0;

    hri_blocks_count(&p->blocks, &taken, &free_warm);
    for (uint32_t block = hri_load_relaxed(&p->blocks.used); block-- > 0;) {
        uint64_t warm;

        if ((free_warm - done) * HRI_CHUNK <= hri_max(keep, least))
            break;
        if (!hri_blocks_claim(&p->blocks, block, &state))
            continue;
        warm = (uint64_t)__builtin_popcountll(state >> 32);
        if ((free_warm - done - hri_min(warm, free_warm - done)) * HRI_CHUNK < least) {
            hri_blocks_unpurged(&p->blocks, block); /* this one would be too much */
            continue;
        }
        if (!purge_claimed(p, block, state))
            break;
        done += hri_min(warm, free_warm - done);
    }
    return done * HRI_CHUNK;
}

/* Purges up to `chunks` single chunks: dear, and only for a run that would not get below the hard limit otherwise. */
static void purge_chunks(harena_provider *p, uint64_t chunks)
{
    uint32_t end = hri_load_relaxed(&p->blocks.used) * HRI_BLOCK_CHUNKS;

    for (uint32_t chunk = 0; chunk < end && chunks != 0 && p->source.purge != NULL; chunk++) {
        if (!hri_blocks_take_this(&p->blocks, chunk))
            continue;
        if (p->source.purge(p->source.ctx, hri_chunk_address(p, chunk), HRI_CHUNK) != 0) {
            hri_blocks_put(&p->blocks, chunk);
            return;
        }
        if (p->source.zeroed)
            hri_provider_extent(p, chunk)->dirty = 0;
        hri_blocks_put_cold(&p->blocks, chunk);
        refund(p, 1);
        hri_fetch_add_relaxed(&p->purges, 1); /* relaxed: a figure */
        chunks--;
    }
}

/* ---- take ---- */

/* How often something has been reclaimed. To be read before memory is looked for: what was reclaimed until then is seen
 * by the look, what is reclaimed later is seen by `reclaim`. */
static uint32_t reclaims(const harena_provider *p)
{
    return hri_load_acquire(&p->reclaims); /* PAIR reclaims-1: raised when the chunks are back */
}

/* Gets back what RCU holds, if anything, before somebody is refused. True: it is worth looking again. */
static bool reclaim(harena_provider *p, uint32_t seen)
{
    bool (*hook)(harena_provider *, uint32_t) =
        hri_load_acquire(&p->reclaim); /* PAIR domain-1: set with the first domain */

    return hook != NULL && hook(p, seen);
}

/* Whether a request that began to look for room at *began (0: now) has looked long enough. Others may have been faster
 * each time that something was reclaimed. */
static bool is_late(uint64_t *began)
{
    uint64_t now = hri_os.milliseconds();

    if (*began == 0)
        *began = now;
    return now - *began > ROOM_MS;
}

static HRI_COLD uint32_t get_cold_chunk(harena_provider *p, struct hri_home *home, uint32_t me,
                                        const char *name)
{
    uint64_t began = 0;
    uint32_t chunk, seen;
    int error;

    for (;;) {
        enum harena_event_kind kind = HARENA_EVENT_LIMIT;

        seen = reclaims(p);
        if (charge(p, 1)) {
            chunk = hri_blocks_take_cold(&p->blocks, home);
            if (chunk != HRI_NO_CHUNK)
                break;
            refund(p, 1);
            kind = HARENA_EVENT_REGION_EXHAUSTED;
        }
        chunk = hri_blocks_take_warm(&p->blocks, home, me);
        if (chunk != HRI_NO_CHUNK)
            return chunk;
        if (is_late(&began) || !reclaim(p, seen))
            return refuse(p, kind, ENOMEM, HRI_CHUNK, name);
    }
    error = commit_blocks(p, chunk, 1);
    if (error != 0) {
        hri_blocks_put_cold(&p->blocks, chunk);
        refund(p, 1);
        return refuse(p, HARENA_EVENT_OS_ERROR, -error, HRI_CHUNK, name);
    }
    return chunk;
}

/* A run whose chunks are taken and charged: commit, or undo all. */
static int commit_run(harena_provider *p, uint32_t chunk, uint32_t length, uint64_t cold)
{
    int error = commit_blocks(p, chunk, length);

    if (error != 0) {
        hri_blocks_untake(&p->blocks, chunk, length);
        refund(p, cold);
        return error;
    }
    hri_blocks_warm(&p->blocks, chunk, length);
    return 0;
}

static uint32_t get_run(harena_provider *p, uint32_t length, const char *name)
{
    size_t bytes = length * HRI_CHUNK;
    bool over_budget = false, last = bytes > p->region_size;
    uint64_t began = 0;

    for (;;) {
        uint64_t cold = 0, limit;
        uint32_t seen = reclaims(p), chunk;

        chunk = hri_blocks_take_run(&p->blocks, length, budget_of(p), &cold, &over_budget);
        if (chunk != HRI_NO_CHUNK) {
            if (charge(p, cold)) {
                int error = commit_run(p, chunk, length, cold);

                return error == 0 ? chunk : refuse(p, HARENA_EVENT_OS_ERROR, -error, bytes, name);
            }
            hri_blocks_untake(&p->blocks, chunk, length);
            over_budget = true;
        }
        limit = hri_load_relaxed(&p->limit);
        if (last || (over_budget && limit != 0 && bytes > limit))
            return refuse(p, over_budget ? HARENA_EVENT_LIMIT : HARENA_EVENT_REGION_EXHAUSTED,
                          ENOMEM, bytes, name);
        if (over_budget) {
            purge_blocks(p, 0, 0);
            if (budget_of(p) < length)
                purge_chunks(p, length);
        }
        last = is_late(&began) ||
               (!(over_budget && budget_of(p) >= length) && !reclaim(p, seen)); /* one more look */
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
    return chunk;
}

uint32_t hri_run_get(harena_provider *p, uint32_t length, const char *name)
{
    uint32_t chunk = get(p, length, name);

    if (HRI_LIKELY(chunk != HRI_NO_CHUNK)) /* relaxed: read by who is told of it by its holder */
        hri_store_relaxed(&hri_provider_extent(p, chunk)->length, length);
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

    count(&shard->puts, length, is_alone(me));
    if (HRI_LIKELY(length == 1)) {
        if (hri_load_relaxed(&shard->home.chunk) != chunk)
            hri_store_relaxed(&shard->home.chunk, chunk); /* relaxed: a hint */
        hri_blocks_put(&p->blocks, chunk);
    } else {
        spread_dirt(p, chunk, length);
        hri_blocks_untake(&p->blocks, chunk, length);
    }
}

void hri_run_put(harena_provider *p, uint32_t chunk)
{
    struct hri_extent *extent = hri_provider_extent(p, chunk);
    uint32_t length = hri_load_relaxed(&extent->length);

    hri_store_relaxed(&extent->length, 0);
    put(p, chunk, length);
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

/* ---- limits and trim ---- */

bool harena_provider_owns(const harena_provider *p, const void *any)
{
    return p != NULL && (uintptr_t)any - (uintptr_t)p->region < p->region_size;
}

int harena_provider_set_limit(harena_provider *provider, size_t limit)
{
    harena_provider *p = hri_provider_or_default(provider);

    if (p == NULL)
        return -ENOMEM;
    hri_store_relaxed(&p->limit, (uint64_t)limit); /* relaxed: each charge reads it anew */
    return 0;
}

size_t harena_provider_trim(harena_provider *provider, size_t keep)
{
    harena_provider *p = hri_provider_or_default(provider);
    int saved = errno;
    size_t bytes;

    if (p == NULL)
        return 0;
    bytes = purge_blocks(p, keep, p->ballast);
    errno = saved;
    return bytes;
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
        all.deferred = hri_min(hri_load_relaxed(&p->deferred), held);
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
