/* SPDX-License-Identifier: BSD-2-Clause */
/* How a generation comes, goes, is asked. Layer 6.
 *
 * Its record lies in the slab, so whoever asks for figures of a generation that has been reclaimed meanwhile reads a
 * generation's record, old or new: all counters are written with relaxed atomics for that reason. */
#include "generation.h"

#include "debug.h"
#include "guard.h"
#include "sanitizer.h"
#include "thread.h"

#include <errno.h>
#include <string.h>

/* A lane that took so many bytes begins its next generation with a chunk of its own. */
enum { BUSY_FROM = 8192 };

/* A generation that holds nothing: one lane that no thread may have, and the window behind it. */
#define NOTHING(state_, g)                                                                         \
    {                                                                                              \
        .view = {0, 1}, .state = (state_), .slow = 2, .name = "none", .alignment = HRI_ALIGNMENT,  \
        .limit = UINT64_MAX, .lanes = {                                                            \
            NO_LANE(g),                                                                            \
            NO_LANE(g)                                                                             \
        }                                                                                          \
    }
#define NO_LANE(g)                                                                                 \
    {                                                                                              \
        .window = {HRI_NOWHERE, HRI_NOWHERE, &hri_lane_ops, HRI_NOWHERE}, .generation = &(g),      \
        .owner = HRI_THREAD_NOBODY                                                                 \
    }

static struct hri_generation empty = NOTHING(HRI_EMPTY, empty);
static struct hri_generation closed = NOTHING(HRI_CLOSED, closed);
static struct hri_generation no_memory = NOTHING(HRI_NO_MEMORY, no_memory);

harena_view *const hri_view_empty = &empty.view, *const hri_view_closed = &closed.view,
                   *const hri_view_no_memory = &no_memory.view;

static uint32_t record_size(uint32_t lanes)
{
    return (uint32_t)(sizeof(struct hri_generation) + (lanes + 1) * sizeof(struct harena_lane));
}

static void init_lane(struct harena_lane *lane, struct hri_generation *g, uint32_t owner,
                      uint32_t home)
{
    lane->window.ops = &hri_lane_ops;
    lane->generation = g;
    hri_store_relaxed(&lane->home, home);
    hri_store_relaxed(&lane->window.cursor, HRI_NOWHERE); /* relaxed: figures of a reused record */
    hri_store_relaxed(&lane->window.limit, HRI_NOWHERE);
    hri_store_relaxed(&lane->window.end, HRI_NOWHERE);
    hri_store_relaxed(&lane->leased, 0);
    hri_store_relaxed(&lane->owner, owner);
    hri_store_relaxed(&lane->chunks, 0);
    hri_store_relaxed(&lane->chunk_count, 0);
}

struct hri_generation *hri_generation_create(const struct hri_generation_options *o)
{
    struct hri_generation *g =
        hri_slab_get_kind(&o->provider->slab, HRI_SLAB_GENERATION, record_size(o->lanes));

    if (g == NULL)
        return NULL;
    g->view.lane_mask = (uint32_t)((o->lanes - 1) * sizeof(struct harena_lane));
    hri_store_relaxed(&g->view.lanes, o->lanes);
    g->state = HRI_LIVE;
    g->slow = o->no_lanes ? 2 : o->alignment > HRI_ALIGNMENT || hri_sanitizer_is_on();
    g->provider = o->provider;
    memcpy(g->name, o->name, HRI_NAME_SIZE);
    g->sums = o->sums;
    g->alignment = o->alignment;
    g->limit = o->limit == UINT64_MAX ? o->limit : hri_min(o->limit, HRI_LIMIT_MOST);
    g->zero = o->zero;
    g->debug = o->debug;
    g->how = "reset";
    hri_store_relaxed(&g->root, NULL);
    g->cleanups = NULL;
    hri_store_relaxed(&g->bump, 0);
    hri_store_relaxed(&g->charged, 0);
    hri_store_relaxed(&g->shared_chunks, 0);
    hri_store_relaxed(&g->run_bytes, 0);
    hri_store_relaxed(&g->runs, 0);
    hri_store_relaxed(&g->run_list, 0);
    hri_store_relaxed(&g->is_retired, 0);
    hri_store_relaxed(&g->failures, 0);
    for (int i = 0; i < HRI_RESTS; i++) {
        hri_store_relaxed(&g->rests[i].word, 0);
        hri_store_relaxed(&g->rests[i].len, 0);
    }
    for (uint32_t i = 0; i < o->lanes; i++)
        init_lane(&g->lanes[i], g, o->no_lanes ? HRI_THREAD_NOBODY : HRI_THREAD_FREE,
                  hri_load_relaxed(&o->homes[i])); /* relaxed: a hint */
    init_lane(&g->lanes[o->lanes], g, HRI_THREAD_NOBODY, 0);
    return g;
}

uint32_t hri_generation_record(const struct hri_generation *g)
{
    return record_size(hri_load_relaxed(&g->view.lanes)); /* relaxed: of a reused record, perhaps */
}

void hri_generation_leave_homes(const struct hri_generation *g, uint32_t *homes)
{
    /* Relaxed all over: hints, of lanes whose owners may still be at work. */
    for (uint32_t i = 0; i < g->view.lanes; i++) {
        const struct harena_lane *lane = &g->lanes[i];
        uint32_t home = hri_load_relaxed(&lane->home) & ~HRI_LANE_BUSY;

        if (hri_load_relaxed(&lane->leased) >= BUSY_FROM)
            home |= HRI_LANE_BUSY;
        hri_store_relaxed(&homes[i], home);
    }
}

uint64_t hri_generation_retire(struct hri_generation *g)
{
    hri_exchange_seq_cst(&g->is_retired, 1); /* PAIR late-1: before it is summed up */
    return hri_generation_held(g);
}

/* ---- lists of chunks and runs ---- */

/* Bytes given back. */
static uint64_t put_list(const struct hri_generation *g, uint32_t list)
{
    harena_provider *p = g->provider;
    uint64_t bytes = 0;

    while (list != 0) {
        struct hri_extent *extent = hri_provider_extent(p, list - 1);
        uint32_t next = hri_load_relaxed(&extent->next);

        extent->dirty = hri_load_relaxed(&extent->length) * HRI_CHUNK;
        bytes += extent->dirty;
        if (HRI_UNLIKELY((g->debug & HRI_DEBUG_GUARD) != 0)) /* the shared arena may be gone */
            hri_guard_put(p, list - 1, g->sums != NULL ? g->sums->name : NULL, g->how);
        else
            hri_run_put(p, list - 1);
        list = next;
    }
    return bytes;
}

void hri_generation_destroy(struct hri_generation *g)
{
    harena_provider *p = g->provider;
    uint32_t lanes = g->view.lanes;
    uint64_t bytes;

    hri_store_relaxed(&g->is_retired, 0); /* what a cleanup takes goes back in a moment */
    (void)hri_load_acquire(&g->cleanups); /* PAIR cleanup-1: what other threads registered */
    hri_cleanup_run(&g->cleanups);        /* in place: a cleanup may register more */
    bytes = put_list(g, (uint32_t)(hri_load_acquire(&g->bump) >> 32)); /* PAIR bump-1 */
    bytes += put_list(g, hri_load_acquire(&g->run_list));              /* PAIR runs-1 */
    for (uint32_t i = 0; i < lanes; i++)
        bytes += put_list(g, hri_load_acquire(&g->lanes[i].chunks)); /* PAIR lane-1 */
    hri_name_put(g->sums, bytes);
    hri_slab_put_kind(&p->slab, HRI_SLAB_GENERATION, g, record_size(lanes));
}

static bool list_contains(const harena_provider *p, uint32_t list, const void *any)
{
    for (; list != 0; list = hri_load_relaxed(&hri_provider_extent(p, list - 1)->next))
        if (hri_run_contains(p, list - 1, any))
            return true;
    return false;
}

bool hri_generation_contains(const struct hri_generation *g, const void *any)
{
    const harena_provider *p = g->provider;

    if (g->state != HRI_LIVE || !harena_provider_owns(p, any))
        return false;
    if (list_contains(p, (uint32_t)(hri_load_acquire(&g->bump) >> 32), any) || /* PAIR bump-1 */
        list_contains(p, hri_load_acquire(&g->run_list), any))                 /* PAIR runs-1 */
        return true;
    for (uint32_t i = 0; i < g->view.lanes; i++)
        if (list_contains(p, hri_load_acquire(&g->lanes[i].chunks), any)) /* PAIR lane-1 */
            return true;
    return false;
}

/* ---- figures: relaxed, but for what is held ---- */

static uint64_t own_chunks(const struct hri_generation *g)
{
    uint32_t lanes = hri_load_relaxed(&g->view.lanes);
    uint64_t chunks = 0;

    for (uint32_t i = 0; i < lanes; i++)
        chunks += hri_load_relaxed(&g->lanes[i].chunk_count);
    return chunks;
}

uint64_t hri_generation_held(const struct hri_generation *g)
{
    uint32_t lanes = hri_load_relaxed(&g->view.lanes);
    uint64_t chunks = hri_load_seq_cst(&g->shared_chunks); /* PAIR late-1 */

    for (uint32_t i = 0; i < lanes; i++)
        chunks += hri_load_seq_cst(&g->lanes[i].chunk_count);    /* PAIR late-1 */
    return chunks * HRI_CHUNK + hri_load_seq_cst(&g->run_bytes); /* PAIR late-1 */
}

/* What is claimed of open chunks and what lanes have as chunks of their own, less what is left in the lanes' windows. No
 * claim has to count itself. What lanes have left is read first: else it might be of a lease that was not seen. */
uint64_t hri_generation_len(const struct hri_generation *g)
{
    uint32_t lanes = hri_load_relaxed(&g->view.lanes);
    uint64_t rest = 0, bump, open, len;

    /* Claims first, what is left of them afterwards: a lease in between can only make it less. */
    len = own_chunks(g) * HRI_CHUNK;
    for (int i = 0; i < HRI_RESTS; i++)
        len += hri_load_relaxed(&g->rests[i].len);
    bump = hri_load_relaxed(&g->bump);
    open = hri_load_relaxed(&g->shared_chunks);
    if (open != 0)
        len += (open - 1) * HRI_CHUNK + hri_min((uint32_t)bump, HRI_CHUNK);
    for (uint32_t i = 0; i < lanes; i++) {
        harena_stats lane = {0};

        hri_lane_ops.stats(&g->lanes[i].window, &lane);
        rest += lane.cap - lane.len;
    }
    return len > rest ? len - rest : 0;
}

void hri_generation_stats(const struct hri_generation *g, harena_stats *stats)
{
    stats->len = hri_generation_len(g);
    stats->cap = hri_generation_held(g);
    stats->chunks = own_chunks(g) + hri_load_relaxed(&g->shared_chunks);
    stats->runs = hri_load_relaxed(&g->runs);
    stats->failures = hri_load_relaxed(&g->failures);
}

/* ---- failure and cleanups ---- */

void *hri_generation_fail(struct hri_generation *g, int error)
{
    if (g->state == HRI_LIVE) {
        hri_fetch_add_relaxed(&g->failures, 1); /* relaxed: a figure */
        hri_name_failed(g->sums);
    }
    errno = error;
    return NULL;
}

int hri_generation_on_release(struct hri_generation *g, harena_cleanup_fn fn, void *ctx)
{
    struct hri_cleanup *cleanup;
    int saved = errno;

    if (g->state == HRI_CLOSED)
        return -ESHUTDOWN;
    cleanup = hri_generation_alloc(g, sizeof(*cleanup), HRI_ALIGNMENT, false);
    errno = saved;
    if (cleanup == NULL)
        return -ENOMEM;
    cleanup->fn = fn;
    cleanup->ctx = ctx;
    cleanup->next = hri_load_relaxed(&g->cleanups);
    while (!hri_cas_release(&g->cleanups, &cleanup->next, cleanup)) /* PAIR cleanup-1 */
        continue;
    return 0;
}
