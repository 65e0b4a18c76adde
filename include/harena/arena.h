/* SPDX-License-Identifier: BSD-2-Clause */
/* The single-owner arena: one thread at a time, any thread. Layer 5.
 *
 * A `harena` has one owner at a time. It may move between threads (the hand-over orders: a queue, a
 * mutex, a join), be reset and released by another than its creator. A lane (harena_view_lane)
 * belongs to the thread that asked for it.
 *
 * Which calls on one arena may run at the same time, in different threads:
 *
 *                       alloc, reset,   len, cap,     release,
 *                       on_release      peak, stats   release_rcu
 *   alloc, reset, ...   X               yes           X
 *   len, cap, ...       yes             yes           X
 *   release, ...        X               X             X
 *
 *   X: the callers see to it that they do not: all but the figures is the owner's.
 *
 * All allocation functions: NULL and errno on failure (ENOMEM: memory, limit, size overflow, size >
 * PTRDIFF_MAX; EINVAL: alignment no power of two or > 64 KiB, NULL arena); success leaves errno
 * alone; alignment at least 16; size 0 gives a non-NULL pointer, aligned to 16, that must not be
 * dereferenced. After a failure the arena is usable and harena_failed() holds. What is returned
 * lives until the arena is reset or released. */
#ifndef HARENA_ARENA_H
#define HARENA_ARENA_H
#include <harena/provider.h>
#include <stdarg.h>
HARENA_BEGIN_DECLS

/* The window: the bytes from which an allocation is served with no call at all. For the inline
 * paths only; the rest of the record is the library's. */
typedef struct harena {
    char *cursor; /* the next free byte, a multiple of 16, never NULL; stored relaxed: counters read
                     it */
    char
        *limit; /* end of the window, a multiple of 16; equal to cursor: nothing is served inline */
    const struct harena_ops
        *ops;  /* what stands behind the window: an arena, a lane, a closed view */
    char *end; /* end of the bytes behind the window, also where limit hides them */
} harena;

typedef struct harena_options {
    size_t size;
    harena_provider *provider; /* default: the default provider */
    const char *name;          /* for statistics; copied, up to 31 bytes */
    size_t limit;              /* bytes of chunks and runs this arena may hold; default none */
    size_t initial;   /* bytes to have at once; default: the first chunk comes with the first
                         allocation */
    size_t alignment; /* least alignment of everything; default 16 */
    bool zero;        /* everything is zeroed */
    bool retain_none; /* reset gives everything back: an idle arena holds no chunk */
    size_t retain; /* bytes that reset may keep warm; default one chunk, or what `initial` took */
    void *first;   /* the caller's memory, used first, never freed */
    size_t first_size;
    const struct rcu_flavor_struct *rcu; /* for harena_release_rcu; NULL: the provider's */
    const char *debug; /* debug modes besides those of HARENA_DEBUG: "guard", see harena(7) */
} harena_options;
#define HARENA_OPTIONS_INIT                                                                        \
    {                                                                                              \
        sizeof(harena_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, HARENA_RCU_FLAVOR, 0                 \
    }

typedef struct harena_stats {
    size_t size;             /* set by the caller to sizeof */
    uint64_t len, cap, peak; /* bytes handed out incl. padding; bytes held; highest len ever */
    uint64_t chunks, runs, resets, failures;
} harena_stats;

/* ---- create ---- */

/* An empty arena. NULL options: all defaults. `first` memory of `first_size` bytes stays the
 * caller's and must outlive the arena.
 * Thread: any; the caller becomes the owner.
 * Fails: NULL; EINVAL: unknown size field, alignment no power of two or > 64 KiB, only one of
 *     first and first_size, retain with retain_none, an unknown debug mode; ENOMEM.
 * Cost: about 30 ns; no chunk unless `initial` asks.
 * Lifetime: until harena_release or harena_release_rcu. */
HARENA_API HARENA_NODISCARD harena *harena_create(const harena_options *options);

/* An arena inside the caller's `memory` of `bytes` bytes, its record included; it never grows
 * and needs no provider. Of the options name, alignment and zero apply; provider says whose
 * events tell of misuse; retain and rcu have no effect. harena_release gives nothing back but runs the cleanups; the memory is
 * wholly the caller's again then, and before that only if AddressSanitizer is not there to object.
 * Thread: any; the caller becomes the owner.
 * Fails: NULL; EINVAL: NULL memory, too small for the record, options as above, or options that
 *     need a provider.
 * Cost: constant.
 * Lifetime: that of the memory. */
HARENA_API HARENA_NODISCARD harena *harena_create_fixed(void *memory, size_t bytes,
                                                        const harena_options *options);

/* Bytes of its memory that a fixed arena keeps for itself, at most, whatever the address of the
 * memory.
 * Thread: any, any time.
 * Fails: never. */
HARENA_API size_t harena_fixed_overhead(void);

/* ---- allocate ---- */

/* What the inline paths call when the window does not serve: as harena_alloc, as
 * harena_alloc_aligned.
 * Thread: owner.
 * Fails: as all allocation.
 * Cost: tens of ns when a chunk is taken. */
HARENA_API HARENA_ALLOCATES(2) void *harena_alloc_slow(harena *a, size_t size);
HARENA_API HARENA_ALLOCATES(2) void *harena_alloc_aligned_slow(harena *a, size_t size,
                                                               size_t alignment);

/* `size` bytes, contents undefined.
 * Thread: owner.
 * Fails: NULL, ENOMEM; EINVAL: NULL arena.
 * Cost: 7 to 11 instructions inline. */
HARENA_API HARENA_INLINE HARENA_ALLOCATES(2) void *harena_alloc(harena *a, size_t size)
{
    char *at, *next;

    if (__builtin_constant_p(size) && size <= HARENA_CHUNK_SIZE) {
        if (HARENA_LIKELY(a != NULL)) {
            at = a->cursor;
            next = at + HARENA_ROUND_UP_16(size); /* constant and small: cannot wrap */
            if (HARENA_LIKELY(next <= a->limit)) {
                __atomic_store_n(&a->cursor, next, __ATOMIC_RELAXED);
                return at;
            }
        }
    } else if (HARENA_LIKELY(a != NULL)) {
        at = a->cursor;
        /* Compared before it is rounded: nothing can wrap. */
        if (HARENA_LIKELY(size <= (size_t)(a->limit - at))) {
            __atomic_store_n(&a->cursor, at + HARENA_ROUND_UP_16(size), __ATOMIC_RELAXED);
            return at;
        }
    }
    return harena_alloc_slow(a, size);
}

/* `size` bytes, all zero.
 * Thread: owner.
 * Fails: as harena_alloc.
 * Cost: a call, and clearing what is not known to be zero. */
HARENA_API HARENA_ALLOCATES(2) void *harena_alloc_zeroed(harena *a, size_t size);

/* `size` bytes at a multiple of `alignment`: a power of two up to 64 KiB; below 16 counts as 16.
 * Thread: owner.
 * Fails: as harena_alloc; EINVAL: alignment 0, no power of two, > 64 KiB. */
HARENA_API HARENA_INLINE HARENA_ALLOCATES(2)
    __attribute__((alloc_align(3))) void *harena_alloc_aligned(harena *a, size_t size,
                                                               size_t alignment)
{
    if (__builtin_constant_p(alignment) && alignment <= 16 && alignment != 0 &&
        (alignment & (alignment - 1)) == 0)
        return harena_alloc(a, size);
    return harena_alloc_aligned_slow(a, size, alignment);
}

/* `count` elements of `size` bytes.
 * Thread: owner.
 * Fails: as harena_alloc; ENOMEM also when count * size overflows. */
HARENA_API HARENA_ALLOCATES_ARRAY(2, 3) void *harena_alloc_array(harena *a, size_t count,
                                                                 size_t size);

/* `count` elements of `size` bytes, the first at a multiple of `alignment`.
 * Thread: owner.
 * Fails: as harena_alloc_aligned; ENOMEM also when count * size overflows. */
HARENA_API HARENA_ALLOCATES_ARRAY(2, 3) void *harena_alloc_array_aligned(harena *a, size_t count,
                                                                         size_t size,
                                                                         size_t alignment);

/* `new_size` bytes that begin with the contents of `old`, an allocation of `old_size` bytes from
 * the same arena; old NULL: as harena_alloc. In place when it shrinks, and when it was the last
 * and the rest of the window suffices, or of the run that large ones lie in; else a copy, and the
 * old bytes stay taken until reset.
 * Thread: owner.
 * Fails: NULL, ENOMEM, `old` unchanged; EINVAL: NULL arena.
 * Cost: a copy, or nothing. */
HARENA_API __attribute__((warn_unused_result, alloc_size(4), assume_aligned(16))) void *
harena_realloc(harena *a, void *old, size_t old_size, size_t new_size);

/* A copy of `size` bytes; of a string; of a string of at most `max` bytes. NULL bytes (with size
 * > 0) or string: EINVAL.
 * Thread: owner.
 * Fails: as harena_alloc; EINVAL: NULL source. */
HARENA_API HARENA_COPIES(3) void *harena_memdup(harena *a, const void *bytes, size_t size);
HARENA_API HARENA_ALLOCATES_TEXT char *harena_strdup(harena *a, const char *string);
HARENA_API HARENA_ALLOCATES_TEXT char *harena_strndup(harena *a, const char *string, size_t max);

/* A copy on the heap, for free(). NULL bytes with size > 0: EINVAL; size 0: a pointer for free().
 * Thread: any.
 * Fails: NULL, ENOMEM; EINVAL. */
HARENA_API __attribute__((warn_unused_result, alloc_size(2))) void *harena_clone(const void *bytes,
                                                                                 size_t size);

/* Formatted text, NUL-terminated, as printf makes it.
 * Thread: owner.
 * Fails: as harena_alloc; EINVAL: NULL format; else what vsnprintf set (EILSEQ, EOVERFLOW).
 * Cost: formats twice only when the rest of the window is too small. */
HARENA_API HARENA_ALLOCATES_TEXT HARENA_PRINTF(2, 3) char *harena_printf(harena *a,
                                                                         const char *format, ...);
HARENA_API HARENA_ALLOCATES_TEXT HARENA_PRINTF(2, 0) char *harena_vprintf(harena *a,
                                                                          const char *format,
                                                                          va_list args);

/* Typed: the alignment of T is honoured, also above 16. */
#define harena_new(a, T) ((T *)harena_alloc_aligned((a), sizeof(T), HARENA_ALIGNOF(T)))
#define harena_new_zeroed(a, T)                                                                    \
    ((T *)harena_alloc_aligned_zeroed((a), sizeof(T), HARENA_ALIGNOF(T)))
#define harena_new_array(a, T, count)                                                              \
    ((T *)harena_alloc_array_aligned((a), (count), sizeof(T), HARENA_ALIGNOF(T)))

/* `size` bytes at a multiple of `alignment`, all zero.
 * Thread: owner.
 * Fails: as harena_alloc_aligned. */
HARENA_API HARENA_ALLOCATES(2) void *harena_alloc_aligned_zeroed(harena *a, size_t size,
                                                                 size_t alignment);

/* ---- empty, release ---- */

/* Empties the arena, down to what harena_keep has kept: runs the cleanups of what goes, keeps up
 * to `retain` bytes warm, gives the rest back; clears the sticky failure; marks die. NULL, a lane
 * or a scratch arena: nothing.
 * Thread: owner.
 * Fails: never.
 * Cost: O(chunks and runs used); held, where that is more than `retain`, after harena_keep, and in a pool's arena. */
HARENA_API void harena_reset(harena *a);

/* Runs the cleanups and gives everything back now; a is gone. NULL, a lane or a scratch arena:
 * nothing.
 * Thread: owner, any thread.
 * Fails: never.
 * Cost: O(chunks). */
HARENA_API void harena_release(harena *a);

/* As harena_release, but the memory stays readable until all readers that are in a read section
 * of the arena's flavour have left; a is gone for its owner now; the cleanups run after the
 * grace period, on RCU's worker. Not for fixed arenas or `first` memory: MISUSE event, released
 * now. NULL, a lane or a scratch arena: nothing.
 * Thread: owner; as call_rcu demands of the flavour (memb, mb: a registered thread).
 * Fails: never but for OS_ERROR, event, the arena stays: the provider has met more than 8
 *     flavours or has no room for a record. More held back than the provider's deferred_limit:
 *     event.
 * Cost: about 50 ns, and some us if RCU's worker must be woken; allocates nothing. */
HARENA_API void harena_release_rcu(harena *a);

/* All of `from` becomes part of `into`: its objects stay where they are, its cleanups run before
 * those that `into` has so far, its marks die; `from` is gone. `into` has failed if `from` had.
 * Thread: owner of both.
 * Fails: -EINVAL, nothing changed: NULL, the same arena, one of them fixed, a lane or a scratch
 *     arena, `from` after harena_keep, with `first` memory or published, another provider; -ENOMEM:
 *     past into's limit, LIMIT event.
 * Cost: constant, whatever they hold. */
HARENA_API int harena_absorb(harena *into, harena *from);

/* ---- go back ---- */

/* A place in an arena that one can go back to. All zero: none. */
typedef struct harena_mark {
    uint64_t opaque[4];
} harena_mark;

/* A mark for where the arena is now. Marks nest, any number of them. A mark takes 80 bytes of
 * the arena, which do not count in len; those with nothing allocated in between take them once.
 * Thread: owner.
 * Fails: the zero mark; ENOMEM, as an allocation; EINVAL: NULL, a lane.
 * Cost: an allocation.
 * Lifetime: until a rewind to an earlier mark, harena_keep, reset, release, or `a` is absorbed. */
HARENA_API HARENA_NODISCARD harena_mark harena_mark_get(harena *a);

/* Back to a mark: runs the cleanups registered since, then gives up all that was allocated or
 * absorbed since; up to `retain` bytes of it stay warm. The mark stays good, later ones die.
 * Thread: owner.
 * Fails: -EINVAL, nothing changed: the zero mark, one that has died or is another arena's, NULL;
 *     in a cleanup of `a`: one that was not taken in this cleanup.
 * Cost: O(later marks with allocations between them, chunks taken since); some 10 ns where no
 *     chunk was taken. */
HARENA_API int harena_rewind(harena *a, harena_mark mark);

/* All that is allocated now is persistent: a reset returns to here. Again: what was allocated
 * since is persistent too. The marks die. harena_keep_none: a reset empties the arena again.
 * NULL, a lane or a scratch arena: nothing; so in a cleanup of `a`.
 * Thread: owner.
 * Fails: never.
 * Cost: constant; a reset then O(chunks taken since). */
HARENA_API void harena_keep(harena *a);
HARENA_API void harena_keep_none(harena *a);

typedef void (*harena_cleanup_fn)(void *ctx);

/* Registers `fn(ctx)` to run at a rewind past it, reset, release, or after the grace period on RCU's worker;
 * newest first. A cleanup may use `a`: allocate, register more, mark and go back to its own marks, which die when
 * it returns. What would empty
 * `a`, end it or hand it on (reset, release, absorb, publish, pool give), or absorb into it, does nothing there: MISUSE event. On a lane:
 * when its generation is reclaimed.
 * Thread: owner.
 * Fails: -ENOMEM; -EINVAL: NULL arena or fn; -ESHUTDOWN: lane of a closed view.
 * Cost: one small allocation of the arena. */
HARENA_API int harena_on_release(harena *a, harena_cleanup_fn fn, void *ctx);

/* Removes the newest registration of fn with ctx; false: there is none. A lane: false.
 * Thread: owner.
 * Fails: never.
 * Cost: O(registrations since). */
HARENA_API bool harena_forget(harena *a, harena_cleanup_fn fn, void *ctx);

/* ---- ask ---- */

/* Whether an address lies in memory that the arena holds; any pointer may be asked about. A lane
 * asks its generation. NULL arena: false.
 * Thread: owner.
 * Fails: never.
 * Cost: O(chunks). */
HARENA_API bool harena_contains(const harena *a, const void *any);

/* Bytes handed out incl. padding; bytes held; the highest len ever, not reset by reset. NULL: 0.
 * A lane: its own len and cap.
 * Thread: any while the arena lives; exact for the owner.
 * Fails: never. */
HARENA_API size_t harena_len(const harena *a);
HARENA_API size_t harena_cap(const harena *a);
HARENA_API size_t harena_peak(const harena *a);

/* Fills *stats, up to stats->size bytes of it.
 * Thread: any while the arena lives; exact for the owner.
 * Fails: never; NULL arena: zeroes. */
HARENA_API void harena_stats_get(const harena *a, harena_stats *stats);

/* Whether an allocation has failed since the last reset or harena_clear_failed. A lane asks its
 * generation. NULL: true.
 * Thread: owner.
 * Fails: never. */
HARENA_API bool harena_failed(const harena *a);
HARENA_API void harena_clear_failed(harena *a);

/* ---- this thread's scratch arenas ---- */

/* Begins a frame in a scratch arena of this thread and returns it: what is allocated there is gone
 * at the matching end. Frames nest. A thread has two such arenas, and gets one that is not
 * `avoid`: a function whose result goes into an arena passes that one, which may be its caller's
 * scratch arena. Up to 1 MiB of each stays warm until the thread ends. Of the default provider.
 * The arena cannot be reset, released, kept, published or absorbed; marks and cleanups can be had.
 * Thread: any; the arena is this thread's alone.
 * Fails: NULL, ENOMEM.
 * Cost: as harena_mark_get. */
HARENA_API HARENA_NODISCARD harena *harena_scratch_begin(harena *avoid);

/* Ends the newest frame of a scratch arena, as harena_rewind. NULL: nothing.
 * Thread: the one that began it.
 * Fails: MISUSE event, nothing changed: no frame of this thread's is open there. */
HARENA_API void harena_scratch_end(harena *scratch);

/* ---- this thread's current arena ---- */

/* This thread's current arena, for libraries whose allocator hooks carry no context; NULL if
 * none was set. harena_current_set sets it (NULL: none) and returns the one before; it takes no
 * ownership.
 * Thread: any, its own value.
 * Fails: never.
 * Cost: one load. */
HARENA_API harena *harena_current(void);
HARENA_API harena *harena_current_set(harena *a);

HARENA_END_DECLS
#endif
