/* SPDX-License-Identifier: BSD-2-Clause */
/* A generation: all that a shared arena holds between two resets, and the lanes of its threads. Layer 6. */
#ifndef HRI_GENERATION_H
#define HRI_GENERATION_H
#include "cleanup.h"
#include "retire.h"
#include "window.h"
#include <harena/shared.h>

/* Three generations are static and hold nothing: what a shared arena has before its first use and after a reset, after
 * close, and what a thread enters when no record was to be had. */
enum hri_view_state { HRI_LIVE, HRI_EMPTY, HRI_CLOSED, HRI_NO_MEMORY };

struct hri_generation {
    /* Line 0, read by all, written before the generation is installed (but root). */
    harena_view view; /* first: a harena_view * is a struct hri_generation * */
    enum hri_view_state state;
    uint32_t slow; /* 1: the lanes' windows stay hidden; 2: there are no lanes */
    harena_provider *provider;
    const char *name; /* the shared arena's */
    size_t alignment;
    uint64_t limit; /* bytes; UINT64_MAX: none */
    bool zero;
    void *root; /* atomic; the user's */

    /* Line 1: the open chunk and how much of it is claimed: (index + 1) << 32 | bytes. Atomic. */
    uint64_t bump HRI_ALIGNED;

    /* Line 2: slow paths of all; atomic. */
    uint64_t charged HRI_ALIGNED; /* bytes, if there is a limit */
    uint64_t shared_chunks;       /* that the bump has gone through */
    uint64_t run_len;             /* bytes handed out in runs */
    uint64_t run_bytes, runs;     /* of objects too large for a chunk */
    uint32_t run_list;            /* index + 1 of the newest run, pushed to only */
    uint32_t failed;
    struct hri_cleanup *cleanups; /* pushed to only */

    /* Line 3. */
    struct hri_retired retired HRI_ALIGNED;
    uint64_t failures;     /* atomic */
    struct hri_name *sums; /* of all arenas of the name; NULL: none are kept */

    /* One lane per thread, and behind them one for threads that have none: always empty. */
    struct harena_lane lanes[] HRI_ALIGNED;
};

_Static_assert(offsetof(struct hri_generation, lanes) == HARENA_VIEW_LANES,
               "the inline paths look for lanes there");
_Static_assert(sizeof(struct harena_lane) == HRI_CACHE_LINE, "a lane is a cache line");

extern harena_view *const hri_view_empty, *const hri_view_closed, *const hri_view_no_memory;

static inline struct hri_generation *hri_generation_of(const harena_view *view)
{
    return HRI_CONTAINER(view, struct hri_generation, view);
}

/* A lane's `home`: index + 1 of its first own chunk, before it has one that of the lane's last generation; 0: none. With
 * HRI_LANE_BUSY its leases are chunks from the start. */
#define HRI_LANE_BUSY (UINT32_C(1) << 31)

/* What a shared arena asks of its generations. */
struct hri_generation_options {
    harena_provider *provider;
    const char *name;
    struct hri_name *sums; /* of all arenas of the name; NULL: none are kept */
    uint64_t limit;
    size_t alignment;
    uint32_t lanes;
    bool no_lanes, zero;
    uint32_t *homes; /* atomic; one a lane, what the last generation leaves to the next */
};

/* A fresh generation: a record, no chunk. NULL: the slab cannot grow. */
struct hri_generation *hri_generation_create(const struct hri_generation_options *options);

/* Runs the cleanups and gives everything back, the record last. Nobody else can reach it any more. */
void hri_generation_destroy(struct hri_generation *g);

/* Leaves to the next generation where its lanes had their chunks and which were busy. */
void hri_generation_leave_homes(const struct hri_generation *g, uint32_t *homes);

/* Bytes that it holds, that it has handed out; exact when quiet. Any thread, also on a record that has been reused. */
uint64_t hri_generation_held(const struct hri_generation *g);
uint64_t hri_generation_len(const struct hri_generation *g);
void hri_generation_stats(const struct hri_generation *g, harena_stats *stats);

/* Whether an address lies in it. */
bool hri_generation_contains(const struct hri_generation *g, const void *any);

/* Remembers a failure; sets errno; returns NULL. */
void *hri_generation_fail(struct hri_generation *g, int error);

int hri_generation_on_release(struct hri_generation *g, harena_cleanup_fn fn, void *ctx);

/* The present generation, a fresh one in place of none; the closed view once closed. */
harena_view *hri_shared_present(harena_shared *s);

/* ---- lane.c ---- */

extern const struct harena_ops hri_lane_ops;

/* This thread's lane, claimed at its first use; NULL: there is none for it. */
struct harena_lane *hri_lane_find(struct hri_generation *g);

/* `size` bytes by this thread's lane, or by fetch-add without one. `size` from 1 to PTRDIFF_MAX, `alignment` a power of
 * two from 16 to 64 KiB. NULL and errno. */
void *hri_generation_alloc(struct hri_generation *g, size_t size, size_t alignment, bool zeroed);

/* ---- lease.c ---- */

/* `size` bytes by one fetch-add on the open chunk, or a run for what is large. As above. */
void *hri_generation_alloc_atomic(struct hri_generation *g, size_t size, size_t alignment,
                                  bool zeroed);

/* Objects above this get a run of their own. */
#define HRI_LEASE_MOST (HRI_CHUNK / 2)

/* Claims up to `want` bytes, but at least `need`, of the open chunk, in whole cache lines; up to HRI_LEASE_MOST. *got
 * is how many. NULL and ENOMEM: refused. */
char *hri_lease_claim(struct hri_generation *g, size_t want, size_t need, size_t *got);

/* A chunk for one lane alone. HRI_NO_CHUNK: refused (no failure is noted). */
uint32_t hri_lease_chunk(struct hri_generation *g);

/* An object of its own run. NULL and ENOMEM: refused. */
void *hri_lease_run(struct hri_generation *g, size_t size, bool zeroed);

/* Clears what may not be zero of bytes that were just claimed from a chunk. */
void hri_lease_clear(const struct hri_generation *g, char *at, size_t size);

#endif
