/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool of warm arenas for repeated work, sized by what recent users of the same key needed.
 * Any thread, lock-free. Layer 7.
 *
 * Which calls on one pool may run at the same time, in different threads:
 *
 *                      acquire   give, give_many   idle   destroy
 *   acquire            yes       yes               yes    X
 *   give, give_many    yes       yes               yes    yes
 *   idle               yes       yes               yes    X
 *   destroy            X         yes               X      X
 *
 *   X: the caller sees to it that they do not. (Arenas that are out may be given while the pool is
 * destroyed, and after.)
 *
 * An arena between acquire and give is a `harena` as any other, with one owner at a time: see
 * <harena/arena.h>. It may be given by another thread than acquired it. It may also be released,
 * published or absorbed instead: it leaves the pool then.
 *
 * How much memory an arena keeps when it is given, and how much one has at once when it is
 * acquired, follows an estimate per key. It is raised by a use that needed more, at most to double;
 * a use that needed less takes an eighth of the difference off. A single giant request hardly
 * moves it, and is soon forgotten. The pool remembers some 100 keys, those in use; any other key
 * gets the estimate of the pool as a whole. Below 64 KiB nothing is estimated: an arena that has
 * held a chunk keeps one. */
#ifndef HARENA_POOL_H
#define HARENA_POOL_H
#include <harena/arena.h>
HARENA_BEGIN_DECLS

typedef struct harena_pool harena_pool;

typedef struct harena_pool_options {
    size_t size;
    harena_options arena;  /* for the arenas it makes; `first` cannot be: EINVAL. `initial`: an
                             acquired arena has as much at least; `retain`: an idle one keeps as much
                             at most; `retain_none`: idle ones keep nothing */
    size_t max_idle;       /* arenas kept; default 4 x processors; at most 4 Mi are */
    size_t max_idle_bytes; /* chunks and runs in them; default 64 MiB; at most 256 GiB are */
} harena_pool_options;
#define HARENA_POOL_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(harena_pool_options), HARENA_OPTIONS_INIT, 0, 0                                     \
    }

/* A pool without an arena. NULL options: all defaults. Arenas come from options->arena.provider,
 * which drops the idle ones of all its pools when more is in use than its soft limit.
 * Thread: any, any time.
 * Fails: NULL; EINVAL: unknown size field, `first` or `first_size` of the arenas, or what
 *     harena_create would not take; ENOMEM.
 * Cost: under 1 us; a search among the provider's pools.
 * Lifetime: until harena_pool_destroy. */
HARENA_API HARENA_NODISCARD harena_pool *harena_pool_create(const harena_pool_options *options);

/* An empty arena: an idle one, else a new one. `key` says what kind of work it is for: a route, a
 * type of message; any number. Its counters (peak, resets, failures) go on from earlier uses.
 * Thread: any; the caller becomes the arena's owner.
 * Fails: NULL; ENOMEM; EINVAL: NULL pool, or one that is destroyed (event).
 * Cost: about 10 ns if this thread has given one before; else a look at what others have given.
 * Lifetime: until it is given, released, published or absorbed. */
HARENA_API HARENA_NODISCARD harena *harena_pool_acquire(harena_pool *pool, uint64_t key);

/* Gives an arena back: runs its cleanups, empties it, keeps it for the next acquire if max_idle and
 * max_idle_bytes allow, else releases it. The pool may have been destroyed. NULL arena: nothing.
 * Thread: the arena's owner, any thread.
 * Fails: an arena that is not the pool's, a lane, one that was given before and not acquired since:
 *     MISUSE event of the provider, nothing happens.
 * Cost: that of harena_reset and about 10 ns. */
HARENA_API void harena_pool_give(harena_pool *pool, harena *a);

/* Gives `count` arenas, one after the other; those that are NULL are passed over.
 * Thread: the arenas' owner, any thread.
 * Fails: as harena_pool_give, each for itself.
 * Cost: as that often harena_pool_give. */
HARENA_API void harena_pool_give_many(harena_pool *pool, harena **arenas, size_t count);

/* How many arenas are idle; never more than max_idle. NULL: 0.
 * Thread: any; exact when no other call on the pool is under way.
 * Fails: never. */
HARENA_API size_t harena_pool_idle(const harena_pool *pool);

/* Releases the idle arenas. Those that are out stay valid, and are released when they are given,
 * to this pool as before. When the last one is, the pool's record may become another pool's.
 * Thread: any; others may give meanwhile.
 * Fails: a pool that is destroyed already: MISUSE event, nothing happens. NULL: nothing.
 * Cost: that of the releases. */
HARENA_API void harena_pool_destroy(harena_pool *pool);

HARENA_END_DECLS
#endif
