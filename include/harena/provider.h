/* SPDX-License-Identifier: BSD-2-Clause */
/* The page provider: hands out 64 KiB chunks and runs of chunks, takes them back, keeps limits.
 * Layer 3.
 *
 * Which calls on one provider may run at the same time, in different threads:
 *
 *                      get, put, owns,   set_limit   trim, tick   barrier   destroy
 *                      stats, arenas
 *   get, put, ...      yes               yes         yes          yes       X
 *   set_limit          yes               yes         yes          yes       X
 *   trim, tick         yes               yes         yes          yes       X
 *   barrier            yes               yes         yes          yes       X
 *   destroy            X                 X           X            X         X
 *
 *   X: the caller sees to it that they do not.
 */
#ifndef HARENA_PROVIDER_H
#define HARENA_PROVIDER_H
#include <harena/cdefs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
HARENA_BEGIN_DECLS

/* The unit that a provider hands out, in bytes; chunks are aligned to it. */
#define HARENA_CHUNK_SIZE ((size_t)65536)

struct rcu_flavor_struct; /* liburcu's table of one flavour; its header is not needed */

/* The flavour of the urcu header that was included before this one, else NULL: the default, urcu-bp. The headers without
 * a common name (<urcu/urcu-memb.h> and so on) are known by their guards. */
#if defined(rcu_flavor)
#define HARENA_RCU_FLAVOR (&rcu_flavor)
#elif defined(_URCU_MEMB_H)
#define HARENA_RCU_FLAVOR (&urcu_memb_flavor)
#elif defined(_URCU_MB_H)
#define HARENA_RCU_FLAVOR (&urcu_mb_flavor)
#elif defined(_URCU_QSBR_H)
#define HARENA_RCU_FLAVOR (&urcu_qsbr_flavor)
#elif defined(_URCU_BP_H)
#define HARENA_RCU_FLAVOR (&urcu_bp_flavor)
#else
#define HARENA_RCU_FLAVOR ((const struct rcu_flavor_struct *)0)
#endif

typedef struct harena_provider harena_provider;

enum harena_event_kind {
    HARENA_EVENT_LIMIT = 1,        /* a hard limit refused memory */
    HARENA_EVENT_SOFT_LIMIT,       /* use rose above the soft limit */
    HARENA_EVENT_DEFERRED_LIMIT,   /* more is held back by RCU than deferred_limit */
    HARENA_EVENT_REGION_EXHAUSTED, /* no addresses left in the region */
    HARENA_EVENT_OS_ERROR,         /* the OS or the page source refused; .error says why */
    HARENA_EVENT_BAD_OPTION,       /* an environment variable was ignored; .text quotes it */
    HARENA_EVENT_MISUSE            /* a bug of the caller was caught; .text describes it */
};

typedef struct harena_event {
    enum harena_event_kind kind;
    int error;        /* errno value, 0 if none */
    size_t bytes;     /* size concerned, 0 if none */
    const char *name; /* arena or provider name, never NULL */
    const char *text; /* one line, never NULL; valid during the call */
} harena_event;

/* Called on the thread concerned. Must not call the library. */
typedef void (*harena_event_fn)(void *ctx, const harena_event *event);

/* The application's own memory. 0 or -errno; a refused purge is not an error. All may be called
 * from any thread. `commit` comes before memory is used for the first time and after a purge of a
 * whole block of 2 MiB; it may come again, also by several threads at once, for a block that is in use by
 * now: then it must leave the contents alone. `purge` may come for some chunks of a block: they must stay readable and
 * writable, for no `commit` follows. They must not call the library. */
typedef struct harena_page_source {
    void *ctx;
    void *(*reserve)(void *ctx, size_t bytes, size_t align); /* NULL: refused */
    int (*commit)(void *ctx, void *at, size_t bytes); /* NULL: reserved memory is usable at once */
    int (*purge)(void *ctx, void *at, size_t bytes);  /* NULL: memory is never given back early */
    void (*release)(void *ctx, void *at, size_t bytes); /* NULL: nothing to do */
    bool zeroed; /* memory is zero after commit and after purge */
} harena_page_source;

enum harena_huge_pages { HARENA_HUGE_AUTO = 0, HARENA_HUGE_ON, HARENA_HUGE_OFF };
#define HARENA_RETAIN_ALL  UINT32_MAX
#define HARENA_RETAIN_NONE (UINT32_MAX - 1)

/* Zero in a field means its default. The initializer names HARENA_RCU_FLAVOR, as that of arenas does. */
typedef struct harena_provider_options {
    size_t size;       /* sizeof(harena_provider_options) */
    const char *name;  /* copied, up to 31 bytes */
    size_t reserve;    /* bytes of addresses; default max(64 GiB, 8 x RAM), halved until granted */
    size_t limit;      /* hard limit of committed bytes; default none */
    size_t soft_limit; /* above it free memory goes back, pools are emptied; default none */
    size_t ballast;    /* bytes committed and touched at create, kept */
    uint32_t retain_percent; /* free memory kept, percent of the recent peak in use; default 100 */
    enum harena_huge_pages huge_pages;     /* AUTO: where whole blocks will be used */
    size_t deferred_limit;                 /* bytes that RCU may hold back; default none */
    const struct rcu_flavor_struct *rcu;   /* for its arenas that name none; NULL: urcu-bp */
    const harena_page_source *page_source; /* copied; default: the OS */
    harena_event_fn on_event;
    void *event_ctx;
} harena_provider_options;
#define HARENA_PROVIDER_OPTIONS_INIT                                                               \
    {                                                                                              \
        sizeof(harena_provider_options), 0, 0, 0, 0, 0, 0, HARENA_HUGE_AUTO, 0, HARENA_RCU_FLAVOR, \
            0, 0, 0                                                                                \
    }

/* Bytes unless said otherwise. committed = in_use + free + deferred, always, when no call is under
 * way. */
typedef struct harena_provider_stats {
    size_t size;         /* set by the caller to sizeof */
    uint64_t reserved;   /* addresses */
    uint64_t committed;  /* chunks that hold memory */
    uint64_t in_use;     /* held by live arenas and raw chunks; quarantine of debug mode guard */
    uint64_t free;       /* warm, ready */
    uint64_t deferred;   /* retired by this process, waiting for a grace period */
    uint64_t peak;       /* of committed */
    uint64_t gets, puts; /* chunks */
    uint64_t commits, purges;    /* chunks that gained or lost memory */
    uint64_t failures;           /* requests refused */
    uint64_t retired, reclaimed; /* generations and arenas */
} harena_provider_stats;

/* The provider that everything uses unless told otherwise. Made at the first call, never
 * destroyed. Its options come from the environment: HARENA_LIMIT (soft_limit), HARENA_HARD_LIMIT, HARENA_RETAIN (percent,
 * or "off": all), HARENA_BALLAST, HARENA_HUGE (auto, on, off); sizes in bytes or with B, KiB, MiB, GiB. A bad value
 * is ignored, with an event (harena_provider_on_event).
 * Thread: any, any time.
 * Fails: NULL, ENOMEM, if the OS refuses addresses; a later call tries again.
 * Cost: one load, but for the first call: a few system calls.
 * Lifetime: the process. */
HARENA_API harena_provider *harena_provider_default(void);

/* A provider with a region, limits and statistics of its own. NULL options: all defaults.
 * options->reserve is rounded up to 2 MiB; limits are exact to the chunk, rounded down.
 * Thread: any, any time.
 * Fails: NULL; EINVAL: size field unknown, enum out of range, ballast or soft_limit above limit,
 *     ballast above reserve, a page source that cannot reserve; ENOMEM: no addresses, or no
 *     memory for the ballast (more than the machine has).
 * Cost: a few system calls.
 * Lifetime: until harena_provider_destroy. */
HARENA_API HARENA_NODISCARD harena_provider *
harena_provider_create(const harena_provider_options *options);

/* Who is told of events from now on, in place of options.on_event; NULL fn: nobody. The default provider has no other
 * way. fn is called at once, on this thread, for each environment variable that was ignored (HARENA_EVENT_BAD_OPTION).
 * An event that is under way in another thread may still reach the listener before: it must stay callable. NULL provider:
 * the default one.
 * Thread: any, any time.
 * Fails: 0; -ENOMEM: no record, or no default provider.
 * Cost: a record of 64 bytes that stays until the provider goes. */
HARENA_API int harena_provider_on_event(harena_provider *provider, harena_event_fn fn, void *ctx);

/* Gives the region back, after waiting for what is deferred.
 * Thread: any, when no other call on the provider is under way or follows.
 * Fails: -EBUSY: an arena, shared arena, pool or raw chunk lives, nothing changed but that what was
 *     deferred is back; -EDEADLK: as harena_provider_barrier; -EINVAL: NULL or the default provider.
 * Cost: a grace period and a few system calls.
 * Lifetime: all memory of the provider is gone. */
HARENA_API int harena_provider_destroy(harena_provider *provider);

/* A raw chunk of HARENA_CHUNK_SIZE bytes, aligned to that, contents undefined. NULL provider:
 * the default one.
 * Thread: any, any time. Another thread may put it back.
 * Fails: NULL, ENOMEM: hard limit, OS, region exhausted (event).
 * Cost: one read-modify-write when warm.
 * Lifetime: until harena_chunk_put. */
HARENA_API HARENA_NODISCARD void *harena_chunk_get(harena_provider *provider);

/* Gives a raw chunk back. NULL chunk: nothing. NULL provider: the default one.
 * Thread: any; the caller owns the chunk, and touches it no more.
 * Fails: anything that is no raw chunk in use gives a MISUSE event and changes nothing.
 * Cost: one read-modify-write. */
HARENA_API void harena_chunk_put(harena_provider *provider, void *chunk);

/* Whether an address lies in the provider's region; any pointer may be asked about. NULL
 * provider: false.
 * Thread: any, any time.
 * Fails: never.
 * Cost: one subtraction. */
HARENA_API bool harena_provider_owns(const harena_provider *provider, const void *any);

/* Changes the hard limit, in bytes; 0: none. Below what is committed, nothing new is committed
 * until use falls, but for requests that were under way at the call.
 * Thread: any, any time. NULL provider: the default one.
 * Fails: 0 always, -ENOMEM if there is no default provider.
 * Cost: a look at each block of 2 MiB ever used, and system calls if huge pages hold more than the limit leaves. */
HARENA_API int harena_provider_set_limit(harena_provider *provider, size_t limit);

/* Gives free memory back to the OS, by whole free 2 MiB blocks, until no more than `keep` bytes
 * (and not less than the ballast) are free and warm. Blocks with a chunk in use keep theirs.
 * NULL provider: the default one.
 * Thread: any, any time; stops nobody.
 * Fails: returns the bytes given back, 0 if none.
 * Cost: O(blocks), one system call per block given back, and a look at blocks that hold the ballast. */
HARENA_API size_t harena_provider_trim(harena_provider *provider, size_t keep);

/* Housekeeping, once a second: half of the free blocks that nobody has touched for a second go back to the OS, and what is
 * free above retain_percent of the recent peak in use (which loses a quarter of the difference a second), but never the
 * ballast. For event loops: call it again after as many milliseconds as it says. Earlier calls only finish what is
 * under way. Without any such call operations that give memory back do the same by and by, one block each.
 * NULL provider: the default one. HARENA_RETAIN_ALL: nothing goes back.
 * Thread: any, any time; stops nobody.
 * Fails: never. Returns milliseconds until it is wanted again; -1: not until there is activity.
 * Cost: O(blocks with free memory), one system call per block given back. */
HARENA_API int harena_provider_tick(harena_provider *provider);

/* Waits until all that was retired before the call is reclaimed, its cleanups have run, its
 * memory is back. Waits for all flavours that the provider's arenas have used. From an online
 * QSBR thread: it goes offline meanwhile (a quiescent state). Do not hold a lock that a cleanup
 * or a reader wants. NULL provider: the default one.
 * Thread: any that may wait for a grace period of those flavours.
 * Fails: 0; -EDEADLK: in a read section (a QSBR thread: in one that this library opened, of any flavour), a cleanup or
 *     a callback of call_rcu, nothing waited for; -ENOMEM, only in the child of a fork: no record.
 * Cost: a grace period; more when another thread's batch is in flight. */
HARENA_API int harena_provider_barrier(harena_provider *provider);

/* Fills *stats, up to stats->size bytes of it. NULL provider: the default one.
 * Thread: any, any time; sums hold exactly when no call is under way.
 * Fails: never; a size of 0 or NULL stats: nothing is written.
 * Cost: O(blocks ever used). */
HARENA_API void harena_provider_stats_get(harena_provider *provider, harena_provider_stats *stats);

/* Enter and leave a read section of the provider's flavour, for a thread that has yet to load
 * the pointer to a shared arena. They nest. NULL provider: the default one.
 * Thread: any that the flavour allows to read (memb, mb, qsbr: registered).
 * Fails: never.
 * Cost: a few ns. */
HARENA_API void harena_provider_read_lock(harena_provider *provider);
HARENA_API void harena_provider_read_unlock(harena_provider *provider);

HARENA_END_DECLS
#endif
