/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of RCU's promises share: arenas of one flavour with stamped content, readers that
 * stall, a thread that waits at a barrier. */
#ifndef TEST_RACE_CONTENT_H
#define TEST_RACE_CONTENT_H
#include "../support/flavor.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include <errno.h>
#include <harena/shared.h>
#include <harena/snapshot.h>

#define OBJECTS 40
#define SIZE    (HARENA_CHUNK_SIZE / 8)

/* What readers find: objects with stamps. */
typedef struct content {
    uint64_t first_stamp;
    void *objects[OBJECTS];
} content;

/* One test at a time. */
static struct {
    const test_flavor *flavor;
    harena_provider *provider;
    harena_shared *shared;
    atomic_uint cleaned;                  /* cleanups that ran */
    unsigned cleanups;                    /* that run before a barrier ends */
    atomic_uint reading, may_leave, left; /* of the one reader that stalls */
    atomic_uint done;                     /* the barrier beside it */
} race;

static inline void count_cleanup(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&race.cleaned, 1);
}

/* The test's own thread is a reader, too, and online. */
static inline void begin(int flavor, size_t limit, size_t deferred_limit)
{
    memset(&race, 0, sizeof(race));
    race.flavor = &test_flavors[flavor];
    race.cleanups = 1;
    test_flavor_register(race.flavor);
    race.provider = test_provider(race.flavor->rcu, limit, deferred_limit);
}

static inline void end(void)
{
    TEST_NO_FAILURE();
    test_provider_finish(race.provider);
    test_flavor_unregister(race.flavor);
}

static inline harena_shared *create_shared(const test_flavor *flavor)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    harena_shared *shared;

    options.provider = race.provider;
    options.rcu = flavor->rcu;
    shared = harena_shared_create(&options);
    TEST_EXPECT(shared != NULL);
    return shared;
}

static inline harena *create_arena(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = race.provider;
    options.rcu = race.flavor->rcu;
    arena = harena_create(&options);
    TEST_EXPECT(arena != NULL);
    return arena;
}

/* NULL: no memory, noted as a failure. */
static inline content *fill(harena *arena, uint64_t stamp)
{
    content *filled = harena_new(arena, content);
    unsigned i;

    if (!TEST_EXPECT(filled != NULL))
        return NULL;
    filled->first_stamp = stamp;
    for (i = 0; i < OBJECTS; i++) {
        filled->objects[i] = harena_alloc(arena, SIZE);
        if (!TEST_EXPECT(filled->objects[i] != NULL))
            return NULL;
        test_stamp_fill(filled->objects[i], SIZE, stamp + i);
    }
    return filled;
}

/* Roots content in the present generation. */
static inline content *fill_shared(harena_shared *shared, uint64_t stamp)
{
    harena_view *view = harena_shared_enter(shared);
    content *filled = fill(harena_view_lane(view), stamp);

    atomic_store_explicit(harena_view_root(view), filled, memory_order_release);
    harena_shared_leave(shared, view);
    return filled;
}

static inline bool intact(const content *filled)
{
    unsigned i;

    for (i = 0; i < OBJECTS; i++)
        if (!test_stamp_intact(filled->objects[i], SIZE, filled->first_stamp + i))
            return false;
    return true;
}

/* In its section: tells that it is there, stays until it may leave, finds all as it was. */
static inline void stall(const content *found)
{
    TEST_EXPECT(found != NULL && intact(found));
    atomic_store(&race.reading, 1);
    while (!atomic_load(&race.may_leave))
        sched_yield();
    TEST_EXPECT_MSG(found != NULL && intact(found), "a reader's data changed in its section");
    TEST_EXPECT_MSG(atomic_load(&race.done) == 0, "a barrier did not wait for the reader");
    atomic_store(&race.left, 1);
}

/* A thread's life: a barrier, after which the reader has left and the cleanups have run. */
static inline void wait_at_barrier(void *ctx, unsigned index)
{
    (void)ctx;
    (void)index;
    test_flavor_register(race.flavor);
    TEST_EXPECT(harena_provider_barrier(race.provider) == 0);
    TEST_EXPECT_MSG(atomic_load(&race.left), "barrier came back before the reader left");
    TEST_EXPECT(atomic_load(&race.cleaned) == race.cleanups);
    atomic_store(&race.done, 1);
    test_flavor_unregister(race.flavor);
}

#endif
