/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of progress work on: a provider, arenas that all share, and workers that do a little of everything
 * when they are told to, and say how far they are. */
#ifndef TEST_PROGRESS_WORLD_H
#define TEST_PROGRESS_WORLD_H
#include "../support/flavor.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include <errno.h>
#include <harena/shared.h>
#include <harena/snapshot.h>
#include <semaphore.h>
#include <time.h>

#define WORKERS 4  /* as many as the library has shards */
#define FOREVER 20 /* s until anything counts as stopped */

typedef struct worker {
    pthread_t id;
    unsigned index;
    sem_t go;
    atomic_uint rounds, wanted;
    atomic_bool retire, barrier, stop;
    harena *arena;
    uint64_t serial;
    test_rng rng;
} worker;

static struct {
    const test_flavor *flavor;
    harena_provider *provider, *small;
    harena_shared *shared, *log; /* the log is never reset: allocations need no section */
    harena_snapshot snapshot;
    worker workers[WORKERS + 1]; /* the last one waits at barriers */
    atomic_uint reclaimed, barriers, again, refused;
} world;

/* The library's own copies, not inlined. */
static void *(*volatile arena_alloc)(harena *, size_t) = harena_alloc;
static void *(*volatile view_alloc)(harena_view *, size_t) = harena_view_alloc;
static void *(*volatile shared_alloc)(harena_shared *, size_t) = harena_shared_alloc;

/* ---- making things ---- */

static harena *make_arena(harena_provider *provider)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    options.rcu = world.flavor->rcu;
    return harena_create(&options);
}

static harena_shared *make_shared(void)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = world.provider;
    options.rcu = world.flavor->rcu;
    options.lanes = 16;
    return harena_shared_create(&options);
}

/* NULL is an answer at a limit only, which what parked threads hold back may reach. */
static bool got(const void *at)
{
    if (at != NULL)
        return true;
    TEST_EXPECT_MSG(errno == ENOMEM, "errno %d", errno);
    atomic_fetch_add(&world.refused, 1);
    return false;
}

static void *stamped(void *at, size_t size, uint64_t stamp)
{
    if (got(at))
        test_stamp_fill(at, size, stamp);
    return at;
}

static void fill_section(harena_shared *shared, test_rng *rng, uint64_t stamp)
{
    harena_view *view = harena_shared_enter(shared);
    struct {
        void *at;
        size_t size;
    } objects[8];

    for (unsigned i = 0; i < 8; i++) {
        objects[i].size = test_between(rng, 16, i == 0 ? 70000 : 3000);
        objects[i].at = stamped(harena_view_alloc(view, objects[i].size), 16, stamp + i);
    }
    for (unsigned i = 0; i < 8; i++)
        if (objects[i].at != NULL)
            TEST_EXPECT_MSG(test_stamp_intact(objects[i].at, 16, stamp + i), "bytes have changed");
    harena_shared_leave(shared, view);
}

static void publish_one(uint64_t stamp)
{
    harena *arena = make_arena(world.provider);
    void *root;

    if (!got(arena))
        return;
    root = stamped(harena_alloc(arena, 64), 64, stamp);
    if (root == NULL) {
        harena_release(arena);
        return;
    }
    *(uint64_t *)root = stamp;
    TEST_EXPECT(harena_snapshot_publish(&world.snapshot, arena, root) == 0);
}

static void note_reset(int result)
{
    if (result == -EAGAIN)
        atomic_fetch_add(&world.again, 1);
    else
        TEST_EXPECT_MSG(result == 0, "reset gives %d", result);
}

static void count_reclaimed(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&world.reclaimed, 1);
}

/* ---- the others ---- */

/* A little of everything that waits for nobody. */
static void do_round(worker *k)
{
    uint64_t stamp = test_stamp(k->index, k->serial += 16), *root;
    harena_shared *own;
    void *at;

    if (k->index == 0 && test_once_in(&k->rng, 2)) /* chunks are cold again */
        harena_provider_trim(world.provider, 0);
    stamped(arena_alloc(k->arena, 3000), 3000, stamp);
    got(harena_alloc(k->arena, 70000));
    at = harena_alloc_zeroed(k->arena, 5000);
    if (got(at))
        TEST_EXPECT_MSG(test_all_zero(at, 5000), "zeroed memory is not zero");
    harena_reset(k->arena);
    if (k->serial / 16 % 4 == k->index % 4) {
        if (k->serial / 16 % 8 < 4)
            harena_release_rcu(k->arena);
        else
            harena_release(k->arena);
        k->arena = make_arena(world.provider);
        TEST_EXPECT(k->arena != NULL);
    }
    fill_section(world.shared, &k->rng, stamp);
    if (test_once_in(&k->rng, 2))
        note_reset(harena_shared_reset(world.shared));
    got(shared_alloc(world.log, 48));
    at = harena_chunk_get(world.provider);
    if (got(at))
        test_stamp_fill(at, HARENA_CHUNK_SIZE / 16, stamp);
    harena_chunk_put(world.provider, at);
    harena_chunk_put(world.small, harena_chunk_get(world.small));
    publish_one(stamp);
    root = harena_snapshot_enter(&world.snapshot);
    if (root != NULL)
        TEST_EXPECT_MSG(test_stamp_intact(root + 1, 0, *root), "a snapshot's root is lost");
    harena_snapshot_leave(&world.snapshot);
    if (k->serial / 16 % 4 == 0) {
        own = make_shared();
        if (got(own)) {
            got(harena_shared_alloc(own, 100));
            harena_shared_close(own);
            harena_shared_release(own);
        }
    }
}

static void retire_witness(void)
{
    harena *arena = make_arena(world.provider);

    if (got(arena))
        TEST_EXPECT(harena_on_release(arena, count_reclaimed, NULL) == 0);
    harena_release_rcu(arena);
}

static void *work(void *arg)
{
    worker *k = arg;

    test_flavor_register(world.flavor);
    k->rng = test_rng_for(k->index);
    k->arena = make_arena(world.provider);
    TEST_EXPECT(k->arena != NULL && shared_alloc(world.log, 16) != NULL); /* has a number now */
    for (;;) {
        atomic_fetch_add(&k->rounds, 1);
        while (sem_wait(&k->go) != 0)
            continue;
        if (atomic_load(&k->stop))
            break;
        if (atomic_exchange(&k->retire, false)) {
            retire_witness();
        } else if (atomic_exchange(&k->barrier, false)) {
            TEST_EXPECT(harena_provider_barrier(world.provider) == 0);
            atomic_fetch_add(&world.barriers, 1);
        } else {
            do_round(k);
        }
    }
    harena_release(k->arena);
    test_flavor_unregister(world.flavor);
    return NULL;
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, 500000}, NULL);
}

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

/* Whether the condition holds before so many seconds are over. */
#define WITHIN(seconds, condition)                                                                 \
    __extension__({                                                                                \
        double until = now() + (seconds);                                                          \
        bool holds;                                                                                \
                                                                                                   \
        while (!(holds = (condition)) && now() < until)                                            \
            nap();                                                                                 \
        holds;                                                                                     \
    })

static void post(worker *k, unsigned rounds)
{
    atomic_fetch_add(&k->wanted, rounds);
    while (rounds-- > 0)
        sem_post(&k->go);
}

static bool all_done(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (atomic_load(&world.workers[i].rounds) != atomic_load(&world.workers[i].wanted))
            return false;
    return true;
}

static void post_all(unsigned rounds)
{
    for (unsigned i = 0; i < WORKERS; i++)
        post(&world.workers[i], rounds);
}

#endif
