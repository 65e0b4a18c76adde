/* SPDX-License-Identifier: BSD-2-Clause */
/* The record of a pool of arenas, and where its idle arenas lie. Layer 7. */
#ifndef HRI_POOL_H
#define HRI_POOL_H
#include "arena.h"
#include "pool_estimate.h"
#include "thread.h"
#include <harena/pool.h>

#define HRI_POOL_SLOTS     64 /* a power of two; threads beyond share them */
#define HRI_POOL_ARENAS    (UINT64_C(1) << 22)
#define HRI_POOL_CHUNKS    ((UINT64_C(1) << 22) - 1)
#define HRI_POOL_IDLE_ONE  (UINT64_C(1) << 40)
#define HRI_POOL_IDLE_SHUT (UINT64_C(1) << 63)

/* Where a thread lays an arena down and finds it again. The word: bits 0 to 40 the arena's place in the slab, in cache
 * lines from 1 (0: no arena; all ones: shut for good), bit 41 that the slot has one arena charged to the pool, bits 42 to
 * 63 how many chunks besides. A slot without an arena may keep its charge. */
struct hri_pool_slot {
    uint64_t word; /* atomic */
} HRI_ALIGNED;

struct harena_pool {
    struct hri_arena_home home; /* first: what the pool's arenas know of it */

    /* Set when the record is made. It stays on the provider's list, and is used for one pool after the other. */
    harena_provider *provider;
    struct harena_pool *next;
    char *records; /* the slab's first byte */

    /* Set at create. */
    harena_options options; /* of the arenas it makes, but for debug */
    uint32_t debug;         /* their debug modes */
    uint64_t keep_least;    /* bytes that an idle arena keeps whose use needed a chunk */
    uint64_t keep_most;     /* bytes that an idle arena keeps at most */
    uint64_t max_arenas, max_chunks;
    char name[HRI_NAME_SIZE];

    uint32_t refs HRI_ALIGNED; /* atomic; the pool until it is destroyed, and its arenas; 0: the
                                  record may be used for another pool */
    uint32_t closed;           /* atomic; destroyed */
    uint32_t slots_used;       /* atomic; a hint: slots from here on have never been used */

    uint64_t idle HRI_ALIGNED; /* atomic; charged: arenas << 40 | chunks; and whether it is shut */
    hri_stack stack;           /* idle arenas that found no free slot; charged */

    struct hri_pool_estimates estimates;
    struct hri_pool_slot slots[HRI_POOL_SLOTS];
};

/* pool_idle.c */
struct hri_arena *hri_pool_idle_find(struct harena_pool *pool);
bool hri_pool_idle_place(struct harena_pool *pool, struct hri_arena *a);

/* A pool without idle arenas is open or shut; only an open one takes some. */
void hri_pool_idle_open(struct harena_pool *pool);
void hri_pool_idle_shut(struct harena_pool *pool);

/* Releases what is idle. */
void hri_pool_idle_drop(struct harena_pool *pool);

size_t hri_pool_idle_count(const struct harena_pool *pool);

#define HRI_POOL_SLOT_ARENA   ((UINT64_C(1) << 41) - 1)
#define HRI_POOL_SLOT_CHARGED (UINT64_C(1) << 41)
#define HRI_POOL_SLOT_CHUNKS  42

static inline struct hri_pool_slot *hri_pool_slot_of_thread(struct harena_pool *pool)
{
    return &pool->slots[hri_thread_index() % HRI_POOL_SLOTS];
}

static inline bool hri_pool_slot_has_arena(uint64_t word)
{
    return (word & HRI_POOL_SLOT_ARENA) - 1 < HRI_POOL_SLOT_ARENA - 1;
}

static inline struct hri_arena *hri_pool_slot_arena(const struct harena_pool *pool, uint64_t word)
{
    return (struct hri_arena *)(void *)(pool->records +
                                        ((word & HRI_POOL_SLOT_ARENA) - 1) * HRI_CACHE_LINE);
}

/* What a slot holds in which the arena lies, charged. */
static inline uint64_t hri_pool_slot_word(const struct harena_pool *pool, const struct hri_arena *a)
{
    uint64_t at = (uint64_t)((const char *)a - pool->records) / HRI_CACHE_LINE + 1;

    return hri_load_relaxed(&a->held) / HRI_CHUNK << HRI_POOL_SLOT_CHUNKS | HRI_POOL_SLOT_CHARGED |
           at;
}

/* An idle arena, no longer idle; NULL: none was found. */
static inline struct hri_arena *hri_pool_idle_take(struct harena_pool *pool)
{
    struct hri_pool_slot *slot = hri_pool_slot_of_thread(pool);
    uint64_t word = hri_load_relaxed(&slot->word);

    /* PAIR slot-1: released by who laid it down. The charge stays with the slot. */
    if (HRI_LIKELY(hri_pool_slot_has_arena(word) &&
                   hri_cas_acquire(&slot->word, &word, word & ~HRI_POOL_SLOT_ARENA)))
        return hri_pool_slot_arena(pool, word);
    return hri_pool_idle_find(pool);
}

/* Lays an empty arena down, which anybody may take then. False: the pool takes no more, it stays the caller's. */
static inline bool hri_pool_idle_put(struct harena_pool *pool, struct hri_arena *a)
{
    struct hri_pool_slot *slot = hri_pool_slot_of_thread(pool);
    uint64_t word = hri_pool_slot_word(pool, a), charge = word & ~HRI_POOL_SLOT_ARENA;

    /* PAIR slot-1: the arena as it was left. Mostly the slot has the right charge from last time. */
    if (HRI_LIKELY(hri_load_relaxed(&slot->word) == charge &&
                   hri_cas_release(&slot->word, &charge, word)))
        return true;
    return hri_pool_idle_place(pool, a);
}

#endif
