/* SPDX-License-Identifier: BSD-2-Clause */
/* The page provider: region, chunks and runs, limits, statistics. Layer 3. */
#ifndef HRI_PROVIDER_H
#define HRI_PROVIDER_H
#include "blocks.h"
#include "names.h"
#include "slab.h"
#include <harena/provider.h>

#define HRI_PROVIDER_SHARDS  64 /* a power of two */
#define HRI_PROVIDER_DOMAINS 8  /* RCU flavours that the objects of one provider may have */

struct hri_domain;  /* layer 4: what one flavour holds back */
struct hri_guard;   /* what is in quarantine */
struct harena_pool; /* layer 7 */

/* What threads write often, apart from each other. Thread number t writes shard t alone, if t is below the number of
 * the last shard; the last shard is for all others and takes read-modify-writes. */
struct hri_provider_shard {
    uint64_t gets; /* atomic; chunks */
    uint64_t puts; /* atomic; chunks */
    struct hri_home home;
} HRI_ALIGNED;

/* Who is told of events. Never changed once it can be found. */
struct hri_listener {
    harena_event_fn fn; /* NULL: nobody */
    void *ctx;
};

struct harena_provider {
    /* Set at create. */
    char *region;
    size_t region_size;
    struct hri_blocks blocks;
    harena_page_source source;
    bool own_source; /* the application's; else the OS is */
    enum harena_huge_pages huge_pages;
    uint32_t advice_small, advice_huge; /* what to advise for blocks of small and of huge pages */
    uint32_t advice_all;                /* what has been advised for all of the region */
    size_t ballast;
    size_t soft_limit;       /* bytes; 0: none */
    uint32_t retain_percent; /* or HARENA_RETAIN_ALL */
    size_t deferred_limit;   /* 0: none */
    const struct rcu_flavor_struct *rcu;
    struct hri_listener first_listener;
    void *metadata; /* where this record, the tables and the slab lie */
    size_t metadata_size;
    char name[HRI_NAME_SIZE];

    /* Written by slow paths of any thread; all atomic. */
    uint64_t limit HRI_ALIGNED; /* bytes; 0: none */
    uint64_t
        committed;   /* bytes; raised by a charge before a chunk becomes warm, never above limit */
    uint64_t beyond; /* chunks that are not warm, though a huge page may hold them */
    uint64_t peak;   /* bytes; of committed */
    uint64_t purges; /* chunks */
    uint64_t failures;
    uint64_t live;             /* arenas and shared arenas that have not been released */
    uint64_t deferred;         /* bytes retired in this process and not reclaimed; see deferred.h */
    uint64_t deferred_records; /* and those of the records they are retired with: in no figure */
    uint64_t retired, reclaimed;
    uint64_t
        holders; /* how many have free chunks in hand for a moment, and in which process: limit.c */
    uint32_t reclaims; /* counts what has come back, from RCU or a purge; to be waited on */
    struct hri_domain *domains[HRI_PROVIDER_DOMAINS]; /* filled from the front, once each */
    struct hri_listener *listener;                    /* the present one */
    struct hri_guard *guard;                          /* NULL: nothing was ever in quarantine */
    uint32_t ignored; /* variables of the environment, of which each new listener is told */
    bool (*reclaim)(
        harena_provider *provider,
        uint32_t seen); /* layer 4's way to get deferred memory back; NULL: nothing deferred */

    void (*drop_idle)(harena_provider *provider); /* layer 7's way to empty all pools; NULL: none */
    struct harena_pool *pools; /* all records of pools there ever were, newest first */

    /* What goes back to the OS by and by; all atomic. Read by every put, written once a second. */
    uint32_t due HRI_ALIGNED; /* blocks to give back */
    uint32_t due_any;         /* of them, also if they were touched lately */
    uint32_t spares_touched;  /* 1: those that were are not looked at yet */
    uint32_t hand;            /* blocks below this one are to be looked at yet */
    uint32_t above_soft;      /* 1: more than soft_limit is committed */
    uint64_t next_tick;       /* milliseconds */
    uint64_t recent_peak;     /* bytes in use, decaying */

    struct hri_slab slab HRI_ALIGNED;
    struct hri_provider_shard shards[HRI_PROVIDER_SHARDS];
    struct hri_names names;
};

/* The default provider stands in for NULL; NULL and errno if there is none to be had. */
harena_provider *hri_provider_or_default(harena_provider *provider);

/* Gives the region and all tables back. Nothing may be in use. */
void hri_provider_free(harena_provider *provider);

bool hri_provider_is_default(const harena_provider *provider);

/* Tells the application, if it wants to know. */
void hri_provider_event(const harena_provider *provider, enum harena_event_kind kind, int error,
                        size_t bytes, const char *name, const char *text);

/* `length` adjacent chunks, for an arena called `name` (event); HRI_NO_CHUNK and ENOMEM: refused. Their extent says
 * the length and how much may not be zero. */
uint32_t hri_run_get(harena_provider *provider, uint32_t length, const char *name);

/* Takes the `more` chunks right behind a run, if they are free and the hard limit has room for them; memory that is cold
 * only if no run of `instead` chunks is to be had warm. The run's length and dirt are right afterwards. False: nothing
 * has changed, and nobody has been told. The run is the caller's alone, but others may read its length. */
bool hri_run_extend(harena_provider *provider, uint32_t chunk, uint32_t more, uint32_t instead);

/* Gives back what of a run lies behind its first `keep` chunks. */
void hri_run_cut(harena_provider *provider, uint32_t chunk, uint32_t keep);

/* As hri_run_get, where a run may become longest: not for everybody, because it makes use of one block more. */
uint32_t hri_run_get_roomy(harena_provider *provider, uint32_t length, const char *name);

/* As hri_run_get or, if `roomy`, hri_run_get_roomy, of a run of two chunks at least, but only if it is to be had at once:
 * else nothing has changed, and nobody has been told. */
uint32_t hri_run_try(harena_provider *provider, uint32_t length, bool roomy);

/* This thread looks for its next chunk there first. A hint. */
void hri_provider_prefer(harena_provider *provider, uint32_t chunk);

/* Values of advice. */
enum { HRI_ADVISE_NOTHING, HRI_ADVISE_FOR, HRI_ADVISE_AGAINST };

/* Whether the hard limit leaves room for `bytes` more: a guess. */
bool hri_provider_has_room(const harena_provider *provider, uint64_t bytes);

/* Gives a run back; its extent's `dirty` says how much of it may not be zero. */
void hri_run_put(harena_provider *provider, uint32_t chunk);

static inline char *hri_chunk_address(const harena_provider *provider, uint32_t chunk)
{
    return provider->region + (size_t)chunk * HRI_CHUNK;
}

static inline struct hri_extent *hri_provider_extent(const harena_provider *provider,
                                                     uint32_t chunk)
{
    return hri_extent(&provider->blocks, chunk);
}

/* Whether an address lies in the run that begins at `chunk`. */
static inline bool hri_run_contains(const harena_provider *provider, uint32_t chunk,
                                    const void *any)
{
    size_t offset = (size_t)((uintptr_t)any - (uintptr_t)hri_chunk_address(provider, chunk));

    return offset < hri_load_relaxed(&hri_provider_extent(provider, chunk)->length) * HRI_CHUNK;
}

#endif
