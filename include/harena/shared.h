/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared arena: any number of threads. What lies between two resets is a generation; a view is
 * a generation that this thread has entered. Layer 6.
 *
 *   view = harena_shared_enter(s);            read section + one load
 *   root = harena_view_root(view);            belongs to this generation: NULL when fresh, the
 * first thread CASes its table in p    = harena_view_alloc(view, size);     valid until the
 * generation is gone: not before harena_shared_leave harena_shared_leave(s, view);
 *
 * Objects of one view never outlive their generation, so data that points to each other must come
 * from one view (or from an arena that nobody resets).
 *
 * Which calls on one shared arena may run at the same time, in different threads:
 *
 *                      alloc, read,   stats   reset   close   release   reset_now,
 *                      on_release                                       release_now
 *   alloc, read, ...   yes            yes     sec     sec     sec       X
 *   stats              yes            yes     yes     yes     sec       X
 *   reset              sec            yes     yes     yes     sec       X
 *   close              sec            yes     yes     yes     sec       X
 *   release            sec            sec     sec     sec     X         X
 *   ..._now            X              X       X       X       X         X
 *
 *   sec: yes, if the one that is not reset, close or release stands in a read section of the
 * arena's flavour (between harena_shared_enter and _leave, or one's own), for release: in one
 * entered before release was called. X:   the caller sees to it that they do not.
 */
#ifndef HARENA_SHARED_H
#define HARENA_SHARED_H
#include <harena/arena.h>
HARENA_BEGIN_DECLS

#ifdef __cplusplus
#define HARENA_ATOMIC_PTR void * /* use __atomic builtins or std::atomic_ref */
#else
#define HARENA_ATOMIC_PTR _Atomic(void *)
#endif

/* This thread's identity: 0 until its first slow path, reused by later threads when it ends; for
 * the inline paths. */
HARENA_API extern __thread uint32_t harena_thread_word __attribute__((tls_model("initial-exec")));

/* One thread's window inside one generation: a cache line. For the inline paths; the rest is the
 * library's. */
struct harena_lane {
    harena window;    /* cursor and limit are written by the owner only */
    void *generation; /* whose lane this is */
    uint64_t leased;  /* bytes that the owner has claimed so far */
    uint32_t owner;   /* the owner's harena_thread_word, or a value that no thread has */
    uint32_t home;    /* where its first own chunk is or was, and whether it begins with one */
    uint32_t chunks;  /* the lane's own chunks, newest first; 0: none */
    uint32_t chunk_count;
};

/* A generation as the inline paths see it; its lanes lie HARENA_VIEW_LANES bytes behind its start.
 */
typedef struct harena_view {
    uint32_t lane_mask; /* (lanes - 1) * 64: what it leaves of a thread's word finds the lane */
    uint32_t lanes;     /* a power of two */
} harena_view;
#define HARENA_VIEW_LANES 512

/* The first word of a shared arena, which a reset replaces. */
typedef struct harena_shared {
    harena_view *generation;
} harena_shared;

typedef struct harena_shared_options {
    size_t size;
    harena_provider *provider; /* default: the default provider */
    const char *name;          /* for statistics; copied, up to 31 bytes */
    size_t limit;              /* bytes of chunks and runs of one generation */
    size_t alignment; /* least alignment of everything; default 16; above it, no allocation is
                         inline */
    uint32_t lanes;   /* windows for threads, rounded up to a power of two, up to 1024; default 64;
                         threads   beyond take the fetch-add path */
    bool no_lanes;    /* every small allocation is one fetch-add: least waste */
    bool zero;        /* everything is zeroed */
    const struct rcu_flavor_struct
        *rcu;          /* the initializer takes the flavour of the urcu header included first */
    const char *debug; /* as harena_options.debug */
} harena_shared_options;
#define HARENA_SHARED_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(harena_shared_options), 0, 0, 0, 0, 0, 0, 0, HARENA_RCU_FLAVOR, 0                   \
    }

/* A shared arena; holds no chunk until the first allocation. NULL options: all defaults.
 * Thread: any that may use the flavour's call_rcu (memb, mb: registered; qsbr: registered,
 *     online).
 * Fails: NULL; EINVAL: unknown size field, alignment no power of two or > 64 KiB, more than 1024
 *     lanes, lanes with no_lanes, an unknown debug mode; ENOMEM.
 * Cost: the first one of a flavour creates RCU's worker thread.
 * Lifetime: until harena_shared_release. */
HARENA_API HARENA_NODISCARD harena_shared *
harena_shared_create(const harena_shared_options *options);

/* Enters a read section and the present generation, a fresh one if the last was reset. Never
 * NULL: allocations of a view of a closed arena give ESHUTDOWN, of one for which no record was
 * to be had ENOMEM. Nests. NULL s: a closed view.
 * Thread: any that the flavour allows to read (memb, mb, qsbr: registered).
 * Fails: never.
 * Cost: about 10 ns.
 * Lifetime of the view and all in it: at least until the matching leave. */
HARENA_API harena_view *harena_shared_enter(harena_shared *s);

/* Leaves what enter returned. Thread: the one that entered. Fails: never. Cost: a few ns. */
HARENA_API void harena_shared_leave(harena_shared *s, harena_view *view);

/* One word of the generation's own, NULL when fresh, at which the user's data structure hangs;
 * NULL pointer if closed or without a record (or NULL view).
 * Thread: any in the view.
 * Fails: never.
 * Lifetime: the view's. */
HARENA_API HARENA_ATOMIC_PTR *harena_view_root(harena_view *view);

/* What the inline paths call when the lane's window does not serve.
 * Thread: any in the view.
 * Fails: as all allocation; ESHUTDOWN: closed. */
HARENA_API HARENA_ALLOCATES(2) void *harena_view_alloc_slow(harena_view *view, size_t size);
HARENA_API harena *harena_view_lane_slow(harena_view *view);
HARENA_API HARENA_ALLOCATES(2) void *harena_shared_alloc_slow(harena_shared *s, size_t size);

/* This thread's lane as an arena, for the inline window: valid until the view is left. The
 * allocation family, realloc, printf and harena_current_set are legal on it; on_release and
 * contains go to the generation; the rest gives -EINVAL or does nothing. Never NULL: a thread
 * without a lane gets a window that is always empty.
 * Thread: any in the view, for its own use.
 * Fails: never.
 * Cost: 10 instructions inline. */
HARENA_API HARENA_INLINE harena *harena_view_lane(harena_view *view)
{
    struct harena_lane *lane;
    uint32_t word = harena_thread_word;

    if (HARENA_LIKELY(view != NULL)) {
        lane = (struct harena_lane *)(void *)((char *)view + HARENA_VIEW_LANES +
                                              (word & view->lane_mask));
        if (HARENA_LIKELY(__atomic_load_n(&lane->owner, __ATOMIC_RELAXED) == word))
            return &lane->window;
    }
    return harena_view_lane_slow(view);
}

/* `size` bytes of the view's generation, contents undefined.
 * Thread: any in the view.
 * Fails: NULL, ENOMEM, EINVAL: NULL view; ESHUTDOWN: the arena was closed when the view was
 *     entered.
 * Cost: inline but when the lane's window is exhausted.
 * Lifetime: the generation's. */
HARENA_API HARENA_INLINE HARENA_ALLOCATES(2) void *harena_view_alloc(harena_view *view, size_t size)
{
    struct harena_lane *lane;
    uint32_t word = harena_thread_word;
    char *at;

    if (HARENA_LIKELY(view != NULL)) {
        lane = (struct harena_lane *)(void *)((char *)view + HARENA_VIEW_LANES +
                                              (word & view->lane_mask));
        /* Relaxed: only this thread ever stores its own word there. */
        if (HARENA_LIKELY(__atomic_load_n(&lane->owner, __ATOMIC_RELAXED) == word)) {
            at = lane->window.cursor;
            if (HARENA_LIKELY(size <= (size_t)(lane->window.limit - at))) {
                __atomic_store_n(&lane->window.cursor, at + HARENA_ROUND_UP_16(size),
                                 __ATOMIC_RELAXED);
                return at;
            }
        }
    }
    return harena_view_alloc_slow(view, size);
}

/* As the functions of <harena/arena.h>, on a view. _alloc_atomic uses no lane, and is always one
 * fetch-add for less than 2 KiB.
 * Thread: any in the view.
 * Fails: as harena_view_alloc; EINVAL: bad alignment. */
HARENA_API HARENA_ALLOCATES(2) void *harena_view_alloc_zeroed(harena_view *view, size_t size);
HARENA_API HARENA_ALLOCATES(2) void *harena_view_alloc_aligned(harena_view *view, size_t size,
                                                               size_t alignment);
HARENA_API HARENA_ALLOCATES(2) void *harena_view_alloc_atomic(harena_view *view, size_t size);

/* Registers fn(ctx) to run when this generation is reclaimed, newest first, on the thread that
 * reclaims it.
 * Thread: any in the view.
 * Fails: -ENOMEM; -EINVAL: NULL view or fn; -ESHUTDOWN: closed. */
HARENA_API int harena_view_on_release(harena_view *view, harena_cleanup_fn fn, void *ctx);

/* Whether an address lies in memory of the view's generation.
 * Thread: any in the view.
 * Fails: never; NULL view: false.
 * Cost: O(chunks). */
HARENA_API bool harena_view_contains(const harena_view *view, const void *any);

/* Shorthand on the present generation, as harena_view_alloc.
 * Thread: any; without a section of one's own only if nobody resets, closes or releases
 *     meanwhile.
 * Fails: NULL, ENOMEM, ESHUTDOWN: closed; EINVAL: NULL s.
 * Cost: inline but when the lane's window is exhausted. */
HARENA_API HARENA_INLINE HARENA_ALLOCATES(2) void *harena_shared_alloc(harena_shared *s,
                                                                       size_t size)
{
    struct harena_lane *lane;
    harena_view *view;
    uint32_t word = harena_thread_word;
    char *at;

    if (HARENA_LIKELY(s != NULL)) {
        view = __atomic_load_n(&s->generation,
                               __ATOMIC_ACQUIRE); /* PAIR generation-1: installed in src/shared.c */
        lane = (struct harena_lane *)(void *)((char *)view + HARENA_VIEW_LANES +
                                              (word & view->lane_mask));
        if (HARENA_LIKELY(__atomic_load_n(&lane->owner, __ATOMIC_RELAXED) == word)) {
            at = lane->window.cursor;
            if (HARENA_LIKELY(size <= (size_t)(lane->window.limit - at))) {
                __atomic_store_n(&lane->window.cursor, at + HARENA_ROUND_UP_16(size),
                                 __ATOMIC_RELAXED);
                return at;
            }
        }
    }
    return harena_shared_alloc_slow(s, size);
}

/* Shorthands, as the functions of <harena/arena.h>, on the present generation.
 * Thread: as harena_shared_alloc.
 * Fails: as harena_shared_alloc; EINVAL: bad alignment, NULL source. */
HARENA_API HARENA_ALLOCATES(2) void *harena_shared_alloc_zeroed(harena_shared *s, size_t size);
HARENA_API HARENA_ALLOCATES(2) void *harena_shared_alloc_aligned(harena_shared *s, size_t size,
                                                                 size_t alignment);
HARENA_API HARENA_ALLOCATES_ARRAY(2, 3) void *harena_shared_alloc_array(harena_shared *s,
                                                                        size_t count, size_t size);
HARENA_API HARENA_ALLOCATES(2) void *harena_shared_alloc_atomic(harena_shared *s, size_t size);
HARENA_API HARENA_COPIES(3) void *harena_shared_memdup(harena_shared *s, const void *bytes,
                                                       size_t size);
HARENA_API HARENA_ALLOCATES_TEXT char *harena_shared_strdup(harena_shared *s, const char *string);
HARENA_API HARENA_ALLOCATES_TEXT HARENA_PRINTF(2, 3) char *harena_shared_printf(harena_shared *s,
                                                                                const char *format,
                                                                                ...);
#define harena_shared_new(s, T)                                                                    \
    ((T *)harena_shared_alloc_aligned((s), sizeof(T), HARENA_ALIGNOF(T)))

/* As harena_view_on_release, on the present generation.
 * Thread: as harena_shared_alloc.
 * Fails: as harena_view_on_release. */
HARENA_API int harena_shared_on_release(harena_shared *s, harena_cleanup_fn fn, void *ctx);

/* Empties the arena under fire: retires the generation, allocates nothing, waits for nobody;
 * memory is back after a grace period.
 * Thread: any that may use call_rcu, at any time before release (see the table above).
 * Fails: 0; -ESHUTDOWN: closed; -EAGAIN: more than the provider's deferred_limit is held back,
 *     nothing changed; -EINVAL: NULL.
 * Cost: one read-modify-write and O(lanes). */
HARENA_API int harena_shared_reset(harena_shared *s);

/* Retires the content for good; the handle stays, allocation gives ESHUTDOWN. Again: nothing.
 * NULL: nothing.
 * Thread: any that may use call_rcu, at any time before release.
 * Fails: never; above deferred_limit: event. */
HARENA_API void harena_shared_close(harena_shared *s);

/* Retires content and handle: gone after a grace period. NULL: nothing.
 * Thread: any that may use call_rcu, once; no call may begin after it outside a section that was
 *     entered before it, so none in a cleanup that runs afterwards.
 * Fails: never; above deferred_limit: event. */
HARENA_API void harena_shared_release(harena_shared *s);

/* The caller knows that nobody else is there: memory is back at once, cleanups run on this
 * thread; after a release they find the arena closed. NULL: -EINVAL, nothing.
 * Thread: any, alone.
 * Fails: 0; -ESHUTDOWN: closed. */
HARENA_API int harena_shared_reset_now(harena_shared *s);
HARENA_API void harena_shared_release_now(harena_shared *s);

/* Whether an address lies in the present generation.
 * Thread: as harena_shared_alloc.
 * Fails: never; NULL s: false. */
HARENA_API bool harena_shared_contains(const harena_shared *s, const void *any);

/* Of the present generation: bytes handed out incl. padding and bytes held, chunks and runs; of all: the highest
 * len seen, at resets and when asked, how many resets, and how many failures, without those where there is no
 * generation (closed: ESHUTDOWN; none could be made) and those in a generation after its reset. NULL: 0.
 * Thread: any until release, no section needed; exact when quiet.
 * Fails: never.
 * Cost: O(lanes). */
HARENA_API size_t harena_shared_len(const harena_shared *s);
HARENA_API size_t harena_shared_cap(const harena_shared *s);
HARENA_API size_t harena_shared_peak(const harena_shared *s);
HARENA_API void harena_shared_stats_get(const harena_shared *s, harena_stats *stats);

/* Whether an allocation of the present generation has failed; true also when the arena is closed, where all do.
 * One that had no memory for the generation itself does not count.
 * Thread: any until release.
 * Fails: never; NULL: true. */
HARENA_API bool harena_shared_failed(const harena_shared *s);

HARENA_END_DECLS
#endif
