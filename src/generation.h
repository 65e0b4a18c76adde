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

#define HRI_LIMIT_MOST (UINT64_C(1) << 47) /* no region is so large */

enum { HRI_RESTS = 4 }; /* slots for rests of runs; threads spread over them */

struct hri_rest {
    uint64_t word; /* atomic; a run and how far it is used: see rest.c */
    uint64_t len;  /* atomic; bytes handed out by who came here first */
} HRI_ALIGNED;

struct hri_generation {
    /* Line 0, read by all, written before the generation is installed (but root). */
    harena_view view; /* first: a harena_view * is a struct hri_generation * */
    enum hri_view_state state;
    uint32_t slow; /* 1: the lanes' windows stay hidden; 2: there are no lanes */
    harena_provider *provider;
    size_t alignment;
    uint64_t limit; /* bytes; UINT64_MAX: none */
    bool zero;
    uint32_t debug; /* modes */
    void *root;     /* atomic; the user's */

    /* Line 1: the open chunk and how much of it is claimed: (index + 1) << 32 | bytes. Atomic. */
    uint64_t bump HRI_ALIGNED;
    char name[HRI_NAME_SIZE]; /* the shared arena's, which may be gone first */

    /* Line 2: slow paths of all; atomic. */
    uint64_t charged HRI_ALIGNED; /* if there is a limit: see lease.c */
    uint64_t shared_chunks;       /* that the bump has gone through */
    uint64_t run_bytes, runs;     /* of the second window */
    uint32_t run_list;            /* index + 1 of the newest run, pushed to only */
    uint32_t is_retired;
    uint64_t failures;
    struct hri_cleanup *cleanups; /* pushed to only */
    const char *how;              /* for guard, by who retires it: "reset", "release" */

    /* Line 3. */
    struct hri_retired retired HRI_ALIGNED;
    struct hri_name *sums; /* of all arenas of the name; NULL: none are kept */

    /* The second window, a line each. */
    struct hri_rest rests[HRI_RESTS];

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
    const char *name;      /* HRI_NAME_SIZE bytes */
    struct hri_name *sums; /* of all arenas of the name; NULL: none are kept */
    uint64_t limit;
    size_t alignment;
    uint32_t lanes;
    bool no_lanes, zero;
    uint32_t debug;
    uint32_t *homes; /* atomic; one a lane, what the last generation leaves to the next */
};

/* A fresh generation: a record, no chunk. NULL: the slab cannot grow. */
struct hri_generation *hri_generation_create(const struct hri_generation_options *options);

/* Runs the cleanups and gives everything back, the record last. Nobody else can reach it any more. */
void hri_generation_destroy(struct hri_generation *g);

/* From now on what readers take for it counts as deferred. What they have taken so far, in bytes. */
uint64_t hri_generation_retire(struct hri_generation *g);

/* The caller has taken so many bytes for it, and counted them. */
static inline void hri_generation_note_held(struct hri_generation *g, uint64_t bytes)
{
    if (HRI_UNLIKELY(hri_load_seq_cst(&g->is_retired) != 0)) /* PAIR late-1: after it was counted */
        hri_retired_grow(g->provider, &g->retired, bytes);
}

/* Bytes of its record. Any thread, also on a record that has been reused. */
uint32_t hri_generation_record(const struct hri_generation *g);

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

/* `size` bytes by one fetch-add on the open chunk, or from a run. As above. */
void *hri_generation_alloc_atomic(struct hri_generation *g, size_t size, size_t alignment,
                                  bool zeroed);

/* No claim is for more. */
#define HRI_LEASE_MOST (HRI_CHUNK / 2)

/* Claims up to `want` bytes, but at least `need`, of the open chunk, in whole cache lines; up to HRI_LEASE_MOST. *got
 * is how many. NULL and ENOMEM: refused; at the generation's limit only who has nothing else to try, `last`, waits for what
 * others have in hand, and tells of it. */
char *hri_lease_claim(struct hri_generation *g, size_t want, size_t need, bool last, size_t *got);

/* The same for one object of `need` bytes, if that loses no chunk's tail. NULL: it would, or as above. */
char *hri_lease_claim_spare(struct hri_generation *g, size_t need, size_t unit);

bool hri_lease_is_limited(const struct hri_generation *g);

/* A chunk for the generation, within its limit. HRI_NO_CHUNK, ENOMEM: refused; of its own limit nobody has been told. */
uint32_t hri_lease_chunk(struct hri_generation *g);

/* Chunks for who has nothing else to try; `roomy`: as hri_run_get_roomy. HRI_NO_CHUNK, ENOMEM: refused (no failure is
 * noted). */
uint32_t hri_lease_chunks(struct hri_generation *g, uint32_t length, bool roomy);

/* A run for it, only if there is room and it is to be had at once. HRI_NO_CHUNK: nobody has been told. */
uint32_t hri_lease_try(struct hri_generation *g, uint32_t length, bool roomy);

/* As hri_run_extend, within the generation's limit. */
bool hri_lease_extend(struct hri_generation *g, uint32_t chunk, uint32_t more, uint32_t instead);

/* So many bytes are not held any more. */
void hri_lease_refund(struct hri_generation *g, uint64_t bytes);

/* Whether the limits leave so many bytes, and a chunk for each lane: else those that come first would strand what the
 * others need. */
bool hri_lease_has_room(const struct hri_generation *g, uint64_t bytes);

/* Clears what may not be zero of bytes that were just claimed from a chunk. */
void hri_lease_clear(const struct hri_generation *g, char *at, size_t size);

/* ---- rest.c ---- */

/* An object of at least HRI_MEDIUM_LEAST bytes, in the second window. NULL and ENOMEM: refused. */
void *hri_rest_alloc(struct hri_generation *g, size_t size, size_t alignment, bool zeroed);

/* Any object, for whose sake nothing more is taken. NULL: no rest has room. */
void *hri_rest_take(struct hri_generation *g, size_t size, size_t alignment, bool zeroed);

#endif
