/* SPDX-License-Identifier: BSD-2-Clause */
/* A crowd of threads that fill and read one shared arena: every object is stamped and verified,
 * every generation has a table of its own at its root, every cleanup is counted. */
#ifndef TEST_RACE_CROWD_H
#define TEST_RACE_CROWD_H
#include "../support/flavor.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include <errno.h>
#include <harena/shared.h>

#define CROWD_THREADS 8  /* workers; their indices come first in the team */
#define CROWD_OBJECTS 24 /* at most, of one section */

/* The test's own counters order nothing: else they would hide from ThreadSanitizer what the library
 * fails to order. */
#define CROWD_COUNT(counter) atomic_fetch_add_explicit(counter, 1, memory_order_relaxed)
#define CROWD_READ(counter)  atomic_load_explicit(counter, memory_order_relaxed)

/* What the arena is made with. */
typedef struct crowd_config {
    const char *name;
    uint32_t lanes;
    bool no_lanes, zero;
    size_t alignment;
    unsigned flavor;
} crowd_config;

static const crowd_config crowd_configs[] = {
    {"defaults", 0, false, false, 0, TEST_BP},
    {"defaults, memb", 0, false, false, 0, TEST_MEMB},
    {"more threads than lanes", 2, false, false, 0, TEST_MEMB},
    {"no lanes", 0, true, false, 0, TEST_MEMB},
    {"zeroed", 0, false, true, 0, TEST_MEMB},
    {"aligned to 64", 4, false, false, 64, TEST_MEMB},
};
#define CROWD_CONFIGS ((int)(sizeof(crowd_configs) / sizeof(crowd_configs[0])))

/* What the test knows of one generation; lives longer than that. */
typedef struct crowd_generation {
    struct crowd_generation *next;
    atomic_uint reclaimed;              /* how often its cleanup ran */
    uint64_t newest[CROWD_THREADS + 1]; /* the last note that ran of each thread */
} crowd_generation;

/* A cleanup of one thread in one generation. */
typedef struct crowd_note {
    struct crowd_note *next;
    crowd_generation *generation;
    unsigned owner;
    uint64_t serial;
    atomic_uint runs;
} crowd_note;

/* At the root of a generation: lists of all that the threads show each other. */
typedef struct crowd_node {
    struct crowd_node *next;
    struct crowd_table *table;
    size_t size; /* of the payload behind this */
    uint64_t stamp;
} crowd_node;

#define CROWD_BUCKETS 16
typedef struct crowd_table {
    harena_view *view;
    crowd_generation *generation;
    _Atomic(crowd_node *) buckets[CROWD_BUCKETS];
} crowd_table;

typedef struct crowd_object {
    void *at;
    size_t size;
    uint64_t stamp;
} crowd_object;

typedef struct crowd {
    const crowd_config *config;
    const test_flavor *flavor;
    harena_provider *provider;
    _Atomic(harena_shared *) shared;
    bool published;     /* `shared` is replaced under fire: load it inside a section */
    bool may_fail;      /* there is a limit: ENOMEM is an answer */
    bool closes;        /* somebody closes the arena: ESHUTDOWN is an answer */
    bool until_closed;  /* workers end when they find the arena closed */
    bool keep;          /* nobody resets: all objects are verified once more at the end */
    unsigned sections;  /* of each worker */
    unsigned pace;      /* no worker begins more sections than that for each reset; 0: any number */
    atomic_uint resets; /* so far, where there is a pace */
    unsigned objects;   /* of one section, at most; CROWD_OBJECTS unless set */
    atomic_uint entered; /* sections of all workers so far */
    atomic_uint refused; /* allocations that found no memory */
    atomic_uint working; /* workers that have not ended */
    _Atomic(crowd_generation *) generations;
    _Atomic(crowd_note *) notes;
    crowd_object *kept[CROWD_THREADS];
    size_t kept_count[CROWD_THREADS];
} crowd;

/* One worker's state. */
typedef struct crowd_worker {
    crowd *crowd;
    unsigned index;
    uint64_t serial;
    test_rng rng;
    crowd_object objects[CROWD_OBJECTS];
    unsigned count;
    bool found_closed;
} crowd_worker;

static inline harena_shared *crowd_create(crowd *c, size_t limit)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    harena_shared *shared;

    options.provider = c->provider;
    options.name = c->config->name;
    options.limit = limit;
    options.alignment = c->config->alignment;
    options.lanes = c->config->lanes;
    options.no_lanes = c->config->no_lanes;
    options.zero = c->config->zero;
    options.rcu = c->flavor->rcu;
    shared = harena_shared_create(&options);
    TEST_EXPECT(shared != NULL);
    return shared;
}

/* The calling thread becomes a reader of the flavour until crowd_finish. */
static inline void crowd_init(crowd *c, const crowd_config *config, size_t limit,
                              size_t deferred_limit)
{
    memset(c, 0, sizeof(*c));
    c->config = config;
    c->objects = CROWD_OBJECTS;
    c->flavor = &test_flavors[config->flavor];
    test_flavor_register(c->flavor);
    c->provider = test_provider(c->flavor->rcu, limit, deferred_limit);
    atomic_store(&c->working, CROWD_THREADS);
    atomic_store(&c->shared, crowd_create(c, 0));
    TEST_NO_FAILURE();
}

/* With the arena released: all cleanups have run once, the provider has all its memory. */
static inline void crowd_finish(crowd *c)
{
    crowd_generation *generation;
    crowd_note *note;
    unsigned i;

    ck_assert_int_eq(harena_provider_barrier(c->provider), 0);
    while ((note = atomic_load(&c->notes)) != NULL) {
        atomic_store(&c->notes, note->next);
        ck_assert_uint_eq(test_count(&note->runs), 1);
        free(note);
    }
    while ((generation = atomic_load(&c->generations)) != NULL) {
        atomic_store(&c->generations, generation->next);
        ck_assert_uint_eq(test_count(&generation->reclaimed), 1);
        free(generation);
    }
    for (i = 0; i < CROWD_THREADS; i++)
        free(c->kept[i]);
    test_provider_finish(c->provider);
    test_flavor_unregister(c->flavor);
    TEST_NO_FAILURE();
}

/* ---- cleanups ---- */

static inline void crowd_generation_gone(void *ctx)
{
    crowd_generation *generation = ctx;

    TEST_EXPECT(CROWD_COUNT(&generation->reclaimed) == 0);
}

/* The cleanups of a generation run on one thread after the other: `newest` needs no more. */
static inline void crowd_note_runs(void *ctx)
{
    crowd_note *note = ctx;
    uint64_t *newest = &note->generation->newest[note->owner];

    TEST_EXPECT(CROWD_COUNT(&note->runs) == 0);
    TEST_EXPECT_MSG(*newest == 0 || note->serial < *newest,
                    "cleanup %llu of thread %u ran after %llu, which is older",
                    (unsigned long long)note->serial, note->owner, (unsigned long long)*newest);
    *newest = note->serial;
}

#define CROWD_PUSH(list, item)                                                                     \
    do {                                                                                           \
        (item)->next = CROWD_READ(list);                                                           \
        while (!atomic_compare_exchange_weak_explicit(list, &(item)->next, item,                   \
                                                      memory_order_release, memory_order_relaxed)) \
            ;                                                                                      \
    } while (0)

static inline void crowd_register(crowd_worker *w, harena_view *view, crowd_table *table)
{
    crowd_note *note = calloc(1, sizeof(*note));
    int result;

    if (!TEST_EXPECT(note != NULL))
        return;
    note->generation = table->generation;
    note->owner = w->index;
    note->serial = ++w->serial;
    result = test_once_in(&w->rng, 2)
                 ? harena_view_on_release(view, crowd_note_runs, note)
                 : harena_on_release(harena_view_lane(view), crowd_note_runs, note);
    if (result == 0) {
        CROWD_PUSH(&w->crowd->notes, note);
    } else {
        TEST_EXPECT_MSG(result == -ENOMEM && w->crowd->may_fail, "on_release gives %d", result);
        free(note);
    }
}

/* ---- objects ---- */

/* Mostly 1 to 4,096 bytes, some around a chunk, some of several chunks. */
static inline size_t crowd_size(test_rng *rng)
{
    switch (test_below(rng, 200)) {
    case 0:
        return 200 * 1024 + test_below(rng, 4096);
    case 1:
    case 2:
        return HARENA_CHUNK_SIZE - 1 + test_below(rng, 3);
    default:
        return test_between(rng, 1, test_once_in(rng, 2) ? 256 : 4096);
    }
}

/* NULL is right only where there is a limit, or closed. */
static inline bool crowd_got(crowd_worker *w, const void *at)
{
    if (at != NULL)
        return true;
    TEST_EXPECT_MSG(errno == ENOMEM && w->crowd->may_fail, "an allocation gives errno %d (%s)",
                    errno, atomic_load(&test_refusal));
    CROWD_COUNT(&w->crowd->refused);
    return false;
}

static inline void crowd_keep(crowd_worker *w, void *at, size_t size)
{
    crowd_object *object = &w->objects[w->count];
    size_t alignment = w->crowd->config->alignment > 16 ? w->crowd->config->alignment : 16;

    if (!crowd_got(w, at))
        return;
    TEST_EXPECT_MSG((uintptr_t)at % alignment == 0, "%p is no multiple of %zu", at, alignment);
    if (w->crowd->config->zero)
        TEST_EXPECT_MSG(test_all_zero(at, size), "%zu bytes at %p are not zero", size, at);
    object->at = at;
    object->size = size;
    object->stamp = test_stamp(w->index, ++w->serial);
    test_stamp_fill(at, size, object->stamp);
    w->count++;
}

static inline void crowd_printf(crowd_worker *w, harena *lane)
{
    char expected[160];
    int width = (int)test_between(&w->rng, 1, 120);
    char *text;

    snprintf(expected, sizeof(expected), "%u:%llu:%*s", w->index, (unsigned long long)w->serial,
             width, "text");
    text = test_once_in(&w->rng, 2) ? harena_strdup(lane, expected)
                                    : harena_printf(lane, "%u:%llu:%*s", w->index,
                                                    (unsigned long long)w->serial, width, "text");
    if (!crowd_got(w, text))
        return;
    TEST_EXPECT_MSG(strcmp(text, expected) == 0, "\"%s\" instead of \"%s\"", text, expected);
    if (!w->crowd->config->zero) /* its bytes were written: they are no fresh object */
        crowd_keep(w, text, strlen(expected) + 1);
}

/* Grows or shrinks a fresh object: the first bytes stay what they were. */
static inline void crowd_realloc(crowd_worker *w, harena *lane)
{
    size_t old_size = crowd_size(&w->rng) / 4 + 1, size = crowd_size(&w->rng);
    uint64_t stamp = test_stamp(w->index, ++w->serial);
    char *old = harena_alloc(lane, old_size), *at;

    if (!crowd_got(w, old))
        return;
    test_stamp_fill(old, old_size, stamp);
    at = harena_realloc(lane, old, old_size, size);
    if (!crowd_got(w, at))
        return;
    TEST_EXPECT_MSG(test_stamp_intact(at, size < old_size ? size : old_size, stamp),
                    "realloc from %zu to %zu bytes lost some", old_size, size);
    test_stamp_fill(at, size, stamp);
    w->objects[w->count++] = (crowd_object){at, size, stamp};
}

/* One more object in the table: any thread of this generation may find and verify it. */
static inline void crowd_link(crowd_worker *w, harena_view *view, crowd_table *table)
{
    _Atomic(crowd_node *) *bucket = &table->buckets[test_below(&w->rng, CROWD_BUCKETS)];
    size_t size = crowd_size(&w->rng);
    crowd_node *node = test_once_in(&w->rng, 4)
                           ? harena_view_alloc_atomic(view, sizeof(*node) + size)
                           : harena_view_alloc(view, sizeof(*node) + size);

    if (!crowd_got(w, node))
        return;
    node->table = table;
    node->size = size;
    node->stamp = test_stamp(w->index, ++w->serial);
    test_stamp_fill(node + 1, size, node->stamp);
    node->next = atomic_load_explicit(bucket, memory_order_acquire);
    while (!atomic_compare_exchange_weak_explicit(bucket, &node->next, node, memory_order_acq_rel,
                                                  memory_order_acquire))
        ;
}

static inline void crowd_allocate(crowd_worker *w, harena_view *view, crowd_table *table)
{
    size_t size = crowd_size(&w->rng), alignment;
    harena *lane = harena_view_lane(view);
    void *at;

    switch (test_below(&w->rng, 16)) {
    case 0:
        crowd_keep(w, harena_view_alloc_atomic(view, size), size);
        break;
    case 1:
        alignment = (size_t)1 << test_below(&w->rng, test_once_in(&w->rng, 8) ? 17 : 9);
        at = harena_view_alloc_aligned(view, size, alignment);
        TEST_EXPECT_MSG((uintptr_t)at % alignment == 0, "%p, no multiple of %zu", at, alignment);
        crowd_keep(w, at, size);
        break;
    case 2:
        at = harena_view_alloc_zeroed(view, size);
        if (at != NULL)
            TEST_EXPECT_MSG(test_all_zero(at, size), "%zu bytes at %p are not zero", size, at);
        crowd_keep(w, at, size);
        break;
    case 3:
        crowd_printf(w, lane);
        break;
    case 4:
        crowd_realloc(w, lane);
        break;
    case 5:
        crowd_register(w, view, table);
        break;
    case 6:
    case 7:
    case 8:
        crowd_keep(w, harena_alloc(lane, size), size);
        break;
    case 9:
    case 10:
    case 11:
        crowd_link(w, view, table);
        break;
    default:
        crowd_keep(w, harena_view_alloc(view, size), size);
        break;
    }
}

/* ---- a section ---- */

/* This generation's table, made by the first that comes; NULL: no memory for one. */
static inline crowd_table *crowd_table_of(crowd_worker *w, harena_view *view)
{
    HARENA_ATOMIC_PTR *root = harena_view_root(view);
    crowd_table *table;
    void *found;

    if (!TEST_EXPECT(root != NULL))
        return NULL;
    found = atomic_load_explicit(root, memory_order_acquire);
    if (found != NULL)
        return found;
    table = harena_view_alloc_zeroed(view, sizeof(*table));
    if (!crowd_got(w, table))
        return NULL;
    table->view = view;
    table->generation = calloc(1, sizeof(*table->generation));
    if (!TEST_EXPECT(table->generation != NULL))
        return NULL;
    if (!atomic_compare_exchange_strong_explicit(root, &found, table, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        free(table->generation);
        return found;
    }
    if (harena_view_on_release(view, crowd_generation_gone, table->generation) == 0)
        CROWD_PUSH(&w->crowd->generations, table->generation);
    else /* readers may hold it: not freed, and none of its cleanups is counted */
        TEST_EXPECT(w->crowd->may_fail);
    return table;
}

/* All that is reachable belongs to this one generation, and is whole. */
static inline void crowd_walk(crowd_worker *w, harena_view *view, const crowd_table *table)
{
    const crowd_node *node = atomic_load_explicit(
        &table->buckets[test_below(&w->rng, CROWD_BUCKETS)], memory_order_acquire);
    unsigned steps;

    TEST_EXPECT_MSG(table->view == view, "the root belongs to another generation");
    TEST_EXPECT_MSG(CROWD_READ(&table->generation->reclaimed) == 0,
                    "the generation is gone while a reader stands in it");
    for (steps = 0; node != NULL && steps < 12 && !test_failed(); node = node->next, steps++) {
        TEST_EXPECT_MSG(node->table == table, "an object of another generation is reachable");
        TEST_EXPECT_MSG(test_stamp_intact(node + 1, node->size, node->stamp),
                        "%zu bytes that another thread wrote have changed", node->size);
    }
    if (node != NULL && test_once_in(&w->rng, 8))
        TEST_EXPECT(harena_view_contains(view, node));
}

static inline void crowd_verify(crowd_worker *w, harena_view *view)
{
    unsigned i;

    for (i = 0; i < w->count; i++)
        TEST_EXPECT_MSG(
            test_stamp_intact(w->objects[i].at, w->objects[i].size, w->objects[i].stamp),
            "%zu bytes of thread %u's own have changed", w->objects[i].size, w->index);
    if (w->count > 0 && test_once_in(&w->rng, 8))
        TEST_EXPECT(harena_view_contains(view, w->objects[w->count - 1].at));
}

static inline void crowd_keep_for_ever(crowd_worker *w)
{
    crowd *c = w->crowd;
    crowd_object *kept;

    if (w->count == 0)
        return;
    kept = realloc(c->kept[w->index], (c->kept_count[w->index] + w->count) * sizeof(*kept));
    if (!TEST_EXPECT(kept != NULL))
        return;
    memcpy(&kept[c->kept_count[w->index]], w->objects, w->count * sizeof(*kept));
    c->kept[w->index] = kept;
    c->kept_count[w->index] += w->count;
}

/* Nothing but refusals of one kind comes from a closed view. */
static inline bool crowd_is_closed(crowd_worker *w, harena_view *view)
{
    void *at;

    if (!w->crowd->closes || harena_view_root(view) != NULL)
        return false;
    errno = 0;
    at = harena_view_alloc(view, 100);
    TEST_EXPECT(at == NULL && errno == ESHUTDOWN);
    TEST_EXPECT(harena_view_on_release(view, crowd_note_runs, w) == -ESHUTDOWN);
    w->found_closed = true;
    return true;
}

/* Enter, fill, read, verify, leave. Sometimes one inside another, of the same arena but perhaps of
 * a newer generation. */
static inline void crowd_section(crowd_worker *w, harena_shared *shared, bool nest)
{
    harena_view *view = harena_shared_enter(shared);
    unsigned objects = (unsigned)test_between(&w->rng, 1, w->crowd->objects), i;
    crowd_table *table;
    crowd_worker inner;

    CROWD_COUNT(&w->crowd->entered);
    w->count = 0;
    if (!crowd_is_closed(w, view) && (table = crowd_table_of(w, view)) != NULL) {
        crowd_walk(w, view, table);
        for (i = 0; i < objects && !test_failed(); i++)
            crowd_allocate(w, view, table);
        if (nest) {
            inner = *w;
            crowd_section(&inner, shared, false);
            w->serial = inner.serial;
            w->rng = inner.rng;
        }
        crowd_verify(w, view);
        crowd_walk(w, view, table);
        if (w->crowd->keep)
            crowd_keep_for_ever(w);
    }
    harena_shared_leave(shared, view);
}

/* A worker's life. */
static inline void crowd_work(void *ctx, unsigned index)
{
    crowd *c = ctx;
    crowd_worker w = {.crowd = c, .index = index, .rng = test_rng_for(index)};
    unsigned i;

    test_flavor_register(c->flavor);
    for (i = 0; c->until_closed ? !w.found_closed : i < c->sections; i++) {
        if (test_failed())
            break;
        if (c->pace != 0)
            TEST_AWAIT(CROWD_READ(&c->resets) >= i / c->pace);
        if (c->published)
            harena_provider_read_lock(c->provider);
        crowd_section(&w, atomic_load_explicit(&c->shared, memory_order_acquire),
                      !c->keep && test_once_in(&w.rng, 8));
        if (c->published)
            harena_provider_read_unlock(c->provider);
    }
    test_flavor_unregister(c->flavor);
    atomic_fetch_sub(&c->working, 1);
}

#endif
