/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools of warm arenas. Layer 7.
 *
 * A pool's record stays on its provider's list for as long as the provider lives, and is used for one pool after the
 * other; so the provider can walk over all pools at any time, and a give to a pool that has been destroyed finds a record.
 *
 * 1. `refs` counts the pool itself, until it is destroyed, and each of its arenas, idle or out, from before it is made
 *    until it is released or leaves. Who takes it from 0 to 1 has the record for a new pool; nobody else changes a 0. It
 *    acquires what all who counted it down had done (PAIR refs-1).
 * 2. Who gives an arena has counted it, so the pool's options are there until it has laid the arena down. What happens
 *    after that is said in pool_idle.c, 7.
 * 3. `lent` tells whether an arena is out. It is the giver's until he lays the arena down; a second give finds it reset and
 *    changes nothing. Two at once are the callers' race: an arena has one owner.
 * 4. The list is pushed to only, by compare-and-swap; a record's link never changes (PAIR pools-1). */
#include "pool.h"

#include "limit.h"
#include "os.h"

#include <errno.h>
#include <string.h>

enum {
    ARENAS_PER_PROCESSOR = 4,
    MOST_BYTES = 64 << 20,
    FIRST_RUN_MOST = HRI_BLOCK, /* longer runs begin at a block of their own */
};

static HRI_COLD void misuse(const harena_provider *p, const char *name, const char *text)
{
    if (p != NULL)
        hri_provider_event(p, HARENA_EVENT_MISUSE, 0, 0, name, text);
}

/* ---- create and destroy ---- */

static void unref(struct harena_pool *pool)
{
    hri_fetch_sub_acq_rel(&pool->refs, 1); /* PAIR refs-1: all that was done to the pool */
}

static void arena_left(struct hri_arena_home *home)
{
    unref(HRI_CONTAINER(home, struct harena_pool, home));
}

/* What the provider calls when more is in use than its soft limit. */
static void drop_idle(harena_provider *p)
{
    struct harena_pool *pool = hri_load_acquire(&p->pools); /* PAIR pools-1: linked below */

    for (; pool != NULL; pool = pool->next)
        hri_pool_idle_drop(pool);
}

static struct harena_pool *reuse_record(harena_provider *p)
{
    struct harena_pool *pool = hri_load_acquire(&p->pools); /* PAIR pools-1 */

    for (; pool != NULL; pool = pool->next) {
        uint32_t none = 0;

        if (hri_load_relaxed(&pool->refs) == 0 &&
            hri_cas_acquire(&pool->refs, &none, 1)) /* PAIR refs-1 */
            return pool;
    }
    return NULL;
}

static struct harena_pool *make_record(harena_provider *p)
{
    struct harena_pool *pool = hri_slab_get(&p->slab, sizeof(*pool));

    if (pool == NULL)
        return NULL;
    memset(pool, 0, sizeof(*pool));
    pool->home.left = arena_left;
    pool->provider = p;
    pool->records = p->slab.base;
    pool->refs = 1;
    hri_stack_init(&pool->stack);
    return pool;
}

static void link_record(harena_provider *p, struct harena_pool *pool)
{
    struct harena_pool *head = hri_load_relaxed(&p->pools);

    hri_store_release(&p->drop_idle, drop_idle); /* PAIR pools-1 */
    do
        pool->next = head;
    while (!hri_cas_release(&p->pools, &head, pool)); /* PAIR pools-1 */
}

static bool valid(const harena_pool_options *o, uint32_t *modes)
{
    return o->size == sizeof(*o) && hri_arena_options_valid(&o->arena, modes) &&
           o->arena.first == NULL;
}

static void init(struct harena_pool *pool, const harena_pool_options *o, uint32_t modes)
{
    size_t bytes = o->max_idle_bytes != 0 ? o->max_idle_bytes : MOST_BYTES;

    hri_copy_name(pool->name, o->arena.name, "pool");
    pool->options = o->arena;
    pool->options.provider = pool->provider;
    pool->options.name = pool->name;
    pool->options.debug = NULL; /* the caller's string */
    pool->debug = modes;
    pool->keep_most = o->arena.retain != 0 ? o->arena.retain : UINT64_MAX;
    if (o->arena.retain_none)
        pool->keep_most = 0;
    pool->keep_least = hri_min(hri_max(HRI_CHUNK, o->arena.initial), pool->keep_most);
    pool->max_arenas =
        o->max_idle != 0 ? o->max_idle : (uint64_t)ARENAS_PER_PROCESSOR * hri_os.processors();
    pool->max_arenas = hri_min(pool->max_arenas, HRI_POOL_ARENAS);
    pool->max_chunks = hri_min(bytes / HRI_CHUNK, HRI_POOL_CHUNKS);
    hri_pool_estimates_init(&pool->estimates);
    hri_store_relaxed(&pool->closed, 0); /* relaxed: the caller hands the pool over */
    hri_pool_idle_open(pool);
}

harena_pool *harena_pool_create(const harena_pool_options *options)
{
    static const harena_pool_options defaults = HARENA_POOL_OPTIONS_INIT;
    const harena_pool_options *o = options != NULL ? options : &defaults;
    struct harena_pool *pool;
    harena_provider *p;
    uint32_t modes;

    if (!valid(o, &modes)) {
        errno = EINVAL;
        return NULL;
    }
    p = hri_provider_or_default(o->arena.provider);
    if (p == NULL)
        return NULL;
    pool = reuse_record(p);
    if (pool != NULL) {
        init(pool, o, modes);
    } else {
        pool = make_record(p);
        if (pool == NULL) {
            errno = ENOMEM;
            return NULL;
        }
        init(pool, o, modes);
        link_record(p, pool);
    }
    hri_fetch_add_relaxed(&p->live, 1); /* relaxed: a figure, asked when quiet */
    return pool;
}

void harena_pool_destroy(harena_pool *pool)
{
    uint32_t open = 0;

    if (pool == NULL)
        return;
    if (!hri_cas_relaxed(&pool->closed, &open, 1)) { /* relaxed: who is the first */
        misuse(pool->provider, pool->name, "harena_pool_destroy: destroyed already");
        return;
    }
    hri_pool_idle_shut(pool);
    hri_fetch_sub_relaxed(&pool->provider->live, 1); /* relaxed: a figure */
    unref(pool);
}

/* ---- acquire ---- */

/* What an arena should have at once that is acquired for a key. No more than a chunk: that comes with the first
 * allocation. */
static uint64_t wanted(struct harena_pool *pool, uint64_t hash)
{
    uint64_t bytes = hri_min(hri_pool_estimate(&pool->estimates, hash), pool->keep_most);

    return hri_max(pool->options.initial, bytes > HRI_CHUNK ? bytes : 0);
}

/* Bytes of the run that a new arena, or one that holds much less than is wanted, begins with; 0: none, a chunk will do. */
static size_t first_run(const struct harena_pool *pool, uint64_t bytes)
{
    uint64_t limit = pool->options.limit != 0 ? pool->options.limit : UINT64_MAX;
    size_t run = hri_round_up(hri_min(bytes, FIRST_RUN_MOST), HRI_CHUNK);

    return run > HRI_CHUNK && run <= limit && hri_provider_has_room(pool->provider, run) ? run : 0;
}

static harena *create_arena(const struct harena_pool *pool, uint64_t bytes)
{
    harena_options options = pool->options;
    int saved = errno;
    harena *a;

    options.initial = first_run(pool, bytes);
    if (options.initial > pool->options.initial) {
        a = hri_arena_create(&options, pool->debug);
        if (a != NULL)
            return a;
        errno = saved;
    }
    return hri_arena_create(&pool->options,
                            pool->debug); /* it need not have more than was asked for */
}

static HRI_COLD struct hri_arena *make_arena(struct harena_pool *pool, uint64_t bytes)
{
    struct hri_arena *a;
    harena *window;

    if (hri_load_relaxed(&pool->closed) != 0) {
        misuse(pool->provider, pool->name, "harena_pool_acquire: the pool is destroyed");
        errno = EINVAL;
        return NULL;
    }
    hri_fetch_add_relaxed(&pool->refs, 1); /* relaxed: the pool is counted, so it is not 0 */
    window = create_arena(pool, bytes);
    if (window == NULL) {
        unref(pool);
        return NULL;
    }
    a = hri_arena_of(window);
    hri_store_relaxed(&a->home, &pool->home); /* relaxed: the acquirer's arena */
    return a;
}

/* An idle arena that holds much less than is wanted gets a first run in place of what it holds. False: it has not even
 * what the options ask for. */
static HRI_COLD bool enlarge(struct harena_pool *pool, struct hri_arena *a, uint64_t bytes)
{
    size_t run = first_run(pool, bytes), least = pool->options.initial;
    int saved = errno;
    bool enough;

    if (run <= 2 * a->held && a->held >= least)
        return true;
    hri_arena_empty(a, 0);
    enough = (run > least && hri_arena_take_initial(a, run)) || least == 0 ||
             hri_arena_take_initial(a, least);
    hri_arena_open_first(a);
    if (enough)
        errno = saved;
    return enough;
}

/* Lays an empty arena down, or releases it. */
static inline void lay_down(struct harena_pool *pool, struct hri_arena *a)
{
    const harena_provider *p = pool->provider;

    if (hri_arena_is_guarded(a))
        hri_arena_guard_lock(a, "is idle in its pool");
    /* Above the soft limit no arena stays idle; relaxed: a hint. */
    if (HRI_UNLIKELY((hri_load_relaxed(&p->above_soft) != 0 && hri_limit_above_soft(p) != 0) ||
                     !hri_pool_idle_put(pool, a)))
        hri_arena_release(a);
}

/* An arena for this key: the idle one that has been used for another, or a new one if there is none. NULL and errno. */
static HRI_COLD struct hri_arena *prepare(struct harena_pool *pool, struct hri_arena *a,
                                          uint64_t hash)
{
    uint64_t bytes = wanted(pool, hash);

    if (a == NULL) {
        a = make_arena(pool, bytes);
        if (a == NULL)
            return NULL;
    } else if (a->held < bytes && !enlarge(pool, a, bytes)) {
        lay_down(pool, a);
        errno = ENOMEM;
        return NULL;
    }
    a->key = hash;
    a->retain = hri_min(hri_max(bytes, HRI_CHUNK), pool->keep_most);
    return a;
}

harena *harena_pool_acquire(harena_pool *pool, uint64_t key)
{
    uint64_t hash = hri_pool_hash(key);
    struct hri_arena *a;

    if (HRI_UNLIKELY(pool == NULL)) {
        errno = EINVAL;
        return NULL;
    }
    a = hri_pool_idle_take(pool);
    if (HRI_UNLIKELY(a == NULL || a->key != hash || a->held < pool->options.initial)) {
        a = prepare(pool, a, hash);
        if (a == NULL)
            return NULL;
    }
    if (hri_arena_is_guarded(a))
        hri_arena_guard_unlock(a);
    hri_store_relaxed(&a->lent, 1); /* relaxed: the acquirer's arena */
    return &a->window;
}

/* ---- give ---- */

/* Notes what an arena has needed. Returns what it keeps: by the estimate. Its first run stays whole until it is twice too
 * large: else it would go at the first use that needs a little less. */
static uint64_t to_keep(struct harena_pool *pool, struct hri_arena *a)
{
    uint64_t need = hri_max(a->need, hri_arena_need(a)), run;
    uint64_t bytes = hri_pool_estimate_note(&pool->estimates, a->key, need);

    a->need = 0;
    bytes =
        hri_min(hri_max(hri_round_up(bytes, HRI_CHUNK), pool->options.initial), pool->keep_most);
    a->retain = bytes;
    if (a->initial == 0)
        return bytes;
    run = (uint64_t)hri_load_relaxed(&hri_provider_extent(a->provider, a->initial - 1)->length) *
          HRI_CHUNK;
    return run < 2 * bytes && run <= pool->keep_most ? hri_max(bytes, run) : bytes;
}

/* Whether the arena is this pool's and out; it is not any more. */
static bool comes_back(const struct harena_pool *pool, harena *window)
{
    struct hri_arena *a;

    if (pool == NULL || !window->ops->own)
        return false;
    a = hri_arena_of(window);
    if (hri_load_relaxed(&a->home) != &pool->home || hri_load_relaxed(&a->lent) == 0)
        return false;
    hri_store_relaxed(&a->lent, 0); /* relaxed: the giver's, until it lays the arena down */
    return true;
}

static HRI_COLD void refuse(const struct harena_pool *pool, harena *window)
{
    if (!window->ops->own && hri_arena_not_own(window, "harena_pool_give"))
        return;
    if (pool != NULL)
        misuse(pool->provider, pool->name,
               "harena_pool_give: not an arena that this pool has lent");
    else if (window->ops->own)
        misuse(hri_arena_of(window)->provider, hri_arena_of(window)->name,
               "harena_pool_give: no pool");
}

void harena_pool_give(harena_pool *pool, harena *window)
{
    struct hri_arena *a;
    uint64_t keep;

    if (window == NULL)
        return;
    if (HRI_UNLIKELY(!comes_back(pool, window))) {
        refuse(pool, window);
        return;
    }
    a = hri_arena_of(window);
    keep = pool->keep_least;
    if (HRI_UNLIKELY(a->held > HRI_CHUNK || a->need != 0 ||
                     !hri_pool_estimate_is_least(&pool->estimates, a->key)))
        keep = to_keep(pool, a);
    a->is_kept = false;
    hri_arena_reset(a, keep);
    lay_down(pool, a);
}

void harena_pool_give_many(harena_pool *pool, harena **arenas, size_t count)
{
    for (size_t i = 0; i < count; i++)
        harena_pool_give(pool, arenas[i]);
}

size_t harena_pool_idle(const harena_pool *pool)
{
    return pool != NULL ? hri_pool_idle_count(pool) : 0;
}
