/* SPDX-License-Identifier: BSD-2-Clause */
/* The record of a single-owner arena. Layer 5. */
#ifndef HRI_ARENA_H
#define HRI_ARENA_H
#include "cleanup.h"
#include "debug.h"
#include "retire.h"
#include "window.h"

/* Where memory for objects from 2 KiB on comes from: a second window, over runs. */
struct hri_medium {
    char *cursor, *end; /* end is its run's */
    char *dirty;        /* bytes from here to end are zero */
    uint32_t extent;    /* index + 1 of its run; 0: none */
};

/* Extents, linked by their index + 1 in the provider's table; 0 ends a list. */
struct hri_extents {
    uint32_t newest; /* index + 1; 0: the list is empty */
    uint32_t oldest; /* index + 1, unless it is empty */
};

/* How far an arena was used at some moment. */
struct hri_state {
    char *cursor, *medium;          /* of the two windows */
    uint32_t extent, medium_extent; /* which they were over */
    uint32_t extents;               /* the newest one in use */
    struct hri_cleanup *cleanups;   /* the newest one */
    uint64_t len;
};

/* What an arena belongs to that is lent and comes back: part of the record of a pool. */
struct hri_arena_home {
    void (*left)(struct hri_arena_home *home); /* an arena will not come back */
};

struct hri_arena {
    harena window;   /* first: a harena * is a struct hri_arena * */
    char *dirty;     /* bytes of the window from here to end are zero */
    uint32_t extent; /* index + 1 of the window's chunk; 0: none, or the caller's memory */
    bool hidden; /* the window's limit stays at its cursor: each allocation takes the slow path */
    bool zero;
    bool failed;
    bool cleaning;           /* its cleanups run */
    bool fixed;              /* never grows; provider is there for events only, if at all */
    bool has_absorbed_spare; /* spare extents may be more than `retain` */
    uint32_t debug;          /* modes */

    struct hri_extents
        extents; /* all that is in use, newest first: in the order of opening or absorption */
    struct hri_extents spare_chunks; /* kept warm: single chunks */
    struct hri_extents spare_runs;   /* kept warm: longer runs */
    uint32_t initial; /* index + 1 of the run of options.initial, kept open over resets; 0: none */
    struct hri_medium medium;
    struct hri_cleanup *cleanups, *oldest_cleanup; /* the latter, unless there is none */

    /* Where one can go back to: see mark.c. */
    struct hri_mark *marks;        /* a stack, newest first */
    struct hri_mark *marks_before; /* while cleanups run: the newest one when they began */
    uint64_t marks_epoch;          /* no other arena's; 0: it has had no mark */
    uint64_t serial;               /* of the newest mark */
    bool is_kept;                  /* a reset goes back to `kept` */
    struct hri_state kept;

    /* Counters: written by the owner, read by anybody, relaxed. In bytes unless said otherwise. */
    uint64_t closed; /* handed out in windows that are closed, and in what became none */
    char *opened;    /* where the window's cursor stood when it was opened */
    char *medium_opened;
    uint64_t held; /* all extents, spare ones and the caller's memory too */
    uint64_t peak;
    uint64_t chunks, runs; /* held */
    uint64_t resets, failures;

    harena_provider *provider;
    struct hri_name *sums; /* of all arenas of the name; NULL: a fixed one, not counted */
    uint64_t limit;        /* of held; UINT64_MAX: none */
    uint64_t retain;       /* bytes that reset may keep warm */
    size_t alignment;
    char *own_memory; /* the caller's: `first`, or a fixed arena's; NULL: none */
    char *own_end;
    char *own_dirty; /* bytes of it from here on are zero */
    const struct rcu_flavor_struct *rcu;
    void *root;                         /* atomic; of the snapshot that has published the arena */
    struct hri_domain *snapshot_domain; /* where it is retired to then */
    struct hri_retired retired;
    const char *how;   /* for guard: why memory goes */
    const char *state; /* why calls are refused, as in "was released already" */
    char name[HRI_NAME_SIZE];

    /* A pool's. */
    struct hri_arena_home *home; /* atomic; NULL: it belongs to none */
    uint64_t key;                /* the hash of what it was acquired for */
    uint64_t need;               /* bytes; the most that resets since then have found in use */
    uint32_t lent;               /* atomic; 1: it is out */
    hri_stack_entry idle;        /* last: no create touches it, a slow pop may look at it */
};

/* The other's are those of one whose cleanups run: the same, but nobody may empty it, end it or hand it on. */
extern const struct harena_ops hri_arena_ops, hri_arena_cleaning_ops, hri_arena_scratch_ops;

static inline struct hri_arena *hri_arena_of(const harena *a)
{
    return HRI_CONTAINER(a, struct hri_arena, window);
}

/* Whether `a` is an arena of its own, with memory that can outlive its owner's release. */
static inline bool hri_arena_can_retire(const harena *a)
{
    return a != NULL && a->ops->own && hri_arena_of(a)->own_memory == NULL;
}

/* arena_guard.c. What harena_reset, harena_release and their like do with one of which `own` does not hold: if that is
 * because its cleanups run, or, in debug mode guard, because it was released or is not the caller's now, they tell of it.
 * False: not so. */
bool hri_arena_not_own(harena *a, const char *call);

/* Whoever had it has it no more: calls on it are told of, with the state, a constant, and do nothing. Then it is somebody's
 * again. */
void hri_arena_guard_lock(struct hri_arena *a, const char *state);
void hri_arena_guard_unlock(struct hri_arena *a);

/* In place of the slab it gets its record, which tells of further calls for a while. */
void hri_arena_guard_record(struct hri_arena *a);

static inline bool hri_arena_is_guarded(const struct hri_arena *a)
{
    return HRI_UNLIKELY((a->debug & HRI_DEBUG_GUARD) != 0);
}

/* What is given back from now on goes for this reason: "reset", "release", "rewind". */
static inline void hri_arena_note_how(struct hri_arena *a, const char *how)
{
    if (hri_arena_is_guarded(a))
        a->how = how;
}

/* Whether `a` is an arena that `call` may be made on. */
static inline bool hri_arena_is_own(harena *a, const char *call)
{
    if (HRI_UNLIKELY(a == NULL))
        return false;
    if (HRI_UNLIKELY(!a->ops->own))
        hri_arena_not_own(a, call);
    return a->ops->own;
}

/* Whether it has marks. */
static inline bool hri_arena_takes_marks(harena *a, const char *call)
{
    if (HRI_UNLIKELY(a == NULL))
        return false;
    if (HRI_UNLIKELY(!a->ops->has_marks))
        hri_arena_not_own(a, call);
    return a->ops->has_marks;
}

/* Retires an arena that nobody can find any more; its bytes count as deferred. */
void hri_arena_retire(struct hri_arena *a, struct hri_domain *domain);

/* As harena_release, for who has it from its owner: a pool, RCU. */
void hri_arena_release(struct hri_arena *a);

/* Its owner has no use for its record any more. */
void hri_arena_put_record(struct hri_arena *a);

/* The arena comes back to no pool any more. */
void hri_arena_leave_home(struct hri_arena *a);

/* Bytes that it holds for what has been allocated: no spare extents, no chunks that the window has not come to. */
uint64_t hri_arena_need(const struct hri_arena *a);

/* Runs the cleanups that are newer than `stop`. They may allocate and register, and each may mark and go back to
 * what it has marked itself. `state`: as in hri_arena_guard_lock. */
void hri_arena_run_cleanups(struct hri_arena *a, struct hri_cleanup *stop, const char *state);

/* As harena_reset, but it keeps up to `retain` bytes. */
void hri_arena_reset(struct hri_arena *a, uint64_t retain);

/* Closes the windows, keeps up to `retain` bytes as spare, gives the rest back. */
void hri_arena_empty(struct hri_arena *a, uint64_t retain);

/* As harena_create, with options that are valid, and these debug modes in place of what `debug` says. */
harena *hri_arena_create(const harena_options *options, uint32_t modes);

/* *modes: the debug modes that they ask for, with those of the environment. */
bool hri_arena_options_valid(const harena_options *options, uint32_t *modes);

/* Notes how much is handed out, if that is the most ever, and returns it. */
size_t hri_arena_note_peak(struct hri_arena *a);

/* Whether there is a place that one may go back to: what was there then must not be forgotten or moved. */
static inline bool hri_arena_has_boundary(const struct hri_arena *a)
{
    return a->marks != NULL || a->is_kept;
}

/* arena_alloc.c */
void *hri_arena_alloc(harena *window, size_t size, size_t alignment, bool zeroed);

/* `size` bytes for the library's own use, in the arena's memory but not counted as handed out, and the last ones in its
 * window. NULL: refused, and noted as a failure. */
void *hri_arena_alloc_record(struct hri_arena *a, size_t size);

/* Grows the second window's last object where it is; old_size is not 0, and less than new_size. False: it is not there,
 * or there is no room. */
bool hri_arena_grow(harena *window, char *old, size_t old_size, size_t new_size);

/* arena_windows.c */

/* Goes on with the larger of the rests of an arena whose extents `a` has taken over. */
void hri_arena_adopt_windows(struct hri_arena *a, struct hri_arena *from);

/* Writes back what is known of dirty bytes and counts the window's bytes; it serves nothing any more. */
void hri_arena_close_windows(struct hri_arena *a);

/* Opens the window on what an empty arena holds: the caller's memory, the initial run, or a spare chunk. */
void hri_arena_open_first(struct hri_arena *a);

/* Where the arena is, and back to where it was: what has been taken since is spare again, or goes back. The cleanups
 * have been run. */
void hri_arena_save(const struct hri_arena *a, struct hri_state *state);
void hri_arena_restore(struct hri_arena *a, const struct hri_state *state);

/* Empties an arena that holds one chunk and nothing else: the window goes back to the chunk's beginning. No line is
 * written that another arena's owner may write. False: it is not such an arena. */
bool hri_arena_reuse_chunk(struct hri_arena *a);

/* Takes the run of options.initial. False and errno: refused. */
bool hri_arena_take_initial(struct hri_arena *a, size_t bytes);

size_t hri_arena_len(const struct hri_arena *a);

/* arena_extents.c */

void hri_arena_push_extent(struct hri_arena *a, struct hri_extents *list, uint32_t chunk);
uint32_t hri_arena_pop_extent(struct hri_arena *a, struct hri_extents *list);

/* Puts a whole list in front of another one, in constant time; `from` is empty then. */
void hri_arena_splice(struct hri_arena *a, struct hri_extents *list, struct hri_extents *from);

/* To the list of spare extents that it belongs to. */
void hri_arena_add_spare(struct hri_arena *a, uint32_t chunk);

/* Of a list of extents; of all that are spare. */
uint64_t hri_arena_bytes_of(const struct hri_arena *a, uint32_t list);
uint64_t hri_arena_spare_bytes(const struct hri_arena *a);

/* Gives spare extents back but for up to `retain` bytes. */
void hri_arena_trim_spare(struct hri_arena *a);

/* Takes the extents that are newer than `stop` out of use: up to `retain` bytes are spare then, the rest is given back. */
void hri_arena_unuse(struct hri_arena *a, uint32_t stop);

/* Whether neither the arena's limit nor the provider's stands against `length` more chunks: a guess that spares a
 * refusal. */
bool hri_arena_has_room(const struct hri_arena *a, uint32_t length);

/* A chunk or run that is on no list yet. HRI_NO_CHUNK, ENOMEM: refused. */
uint32_t hri_arena_get_extent(struct hri_arena *a, uint32_t length);

/* As hri_run_extend, within the arena's limit. */
bool hri_arena_extend(struct hri_arena *a, uint32_t chunk, uint32_t more, uint32_t instead);

/* As hri_run_put and hri_run_cut. The caller tells the name what has become of `held`. */
void hri_arena_put_extent(struct hri_arena *a, uint32_t chunk);
void hri_arena_cut_extent(struct hri_arena *a, uint32_t chunk, uint32_t keep);

/* An extent in use from now on. Of spare ones a run of at least `length` chunks, HRI_NO_CHUNK: there is none; a spare
 * chunk or a new extent, HRI_NO_CHUNK and ENOMEM: refused, though unused memory was given back for it. */
uint32_t hri_arena_take_spare_run(struct hri_arena *a, size_t length);
uint32_t hri_arena_take_extent(struct hri_arena *a, uint32_t length);

/* A new run in use from now on, if there is room for it and it is to be had at once. HRI_NO_CHUNK: nobody has been told. */
uint32_t hri_arena_try_extent(struct hri_arena *a, uint32_t length);

/* mark.c */

/* Whether somebody may go back to where a window's cursor stands: what ends there must stay as it is. */
bool hri_arena_is_boundary(const struct hri_arena *a, const char *cursor);

#endif
