/* SPDX-License-Identifier: BSD-2-Clause */
/* The operations in which tests/progress/suspend.c parks threads. Included once, behind world.h. */
#ifndef TEST_PROGRESS_OPERATIONS_H
#define TEST_PROGRESS_OPERATIONS_H
#include "step.h"
#include "world.h"
#include <errno.h>
#include <limits.h>

#define SMALL_CHUNKS 8 /* the limit of world.small */

typedef struct victim {
    step step;
    pthread_t id;
    const struct operation *op;
    harena *arena;
    harena_shared *shared;
    harena_view *view;
    void *chunks[48], *warm[256];
    unsigned warm_count; /* chunks that it has in hand from the start */
    unsigned destructors;
} victim;

typedef struct operation {
    const char *name;
    void (*prepare)(victim *v);
    void (*run)(victim *v); /* this part is stepped */
    void (*finish)(victim *v);
    bool elsewhere; /* run begins the stepping itself, or has another thread do so */
    bool reads;     /* it may be parked in a read section */
} operation;

static void no_step(victim *v)
{
    (void)v;
}

static void with_arena(victim *v)
{
    v->arena = make_arena(world.provider);
}

static void release_arena(victim *v)
{
    harena_release(v->arena);
}

static void run_alloc(victim *v)
{
    void *last;

    got(arena_alloc(v->arena, 24));
    last = arena_alloc(v->arena, 5000);
    last = harena_realloc(v->arena, last, 5000, 6000);
    got(last);
    got(harena_alloc_aligned_zeroed(v->arena, 100, 256));
    got(arena_alloc(v->arena, 70000));
    got(arena_alloc(v->arena, 200));
    got(harena_printf(v->arena, "%d", 7));
}

static void with_filled_arena(victim *v)
{
    with_arena(v);
    for (unsigned i = 0; i < 4; i++)
        got(arena_alloc(v->arena, 40000));
    got(arena_alloc(v->arena, 200000));
}

static void run_reset(victim *v)
{
    harena_reset(v->arena);
}

static void run_release(victim *v)
{
    harena_release(v->arena);
}

static void run_create(victim *v)
{
    v->arena = make_arena(world.provider);
    v->shared = make_shared();
}

static void finish_create(victim *v)
{
    harena_release(v->arena);
    harena_shared_release(v->shared);
}

static void run_get(victim *v)
{
    for (unsigned i = 0; i < 4; i++)
        v->chunks[i] = harena_chunk_get(world.provider);
}

/* No free chunk is warm: neither the victim nor the others get one without a charge. */
static void with_cold_chunks(victim *v)
{
    while (v->warm_count < 256 && test_stats(world.provider).free != 0)
        v->warm[v->warm_count++] = harena_chunk_get(world.provider);
}

static void put_all(victim *v)
{
    while (v->warm_count > 0)
        harena_chunk_put(world.provider, v->warm[--v->warm_count]);
    for (unsigned i = 0; i < 4; i++)
        harena_chunk_put(world.provider, v->chunks[i]);
}

static void with_chunks(victim *v)
{
    run_get(v);
}

static void run_put(victim *v)
{
    for (unsigned i = 0; i < 4; i++)
        harena_chunk_put(world.provider, v->chunks[i]);
}

static void with_free_chunks(victim *v)
{
    unsigned count = sizeof(v->chunks) / sizeof(v->chunks[0]);

    for (unsigned i = 0; i < count; i++)
        v->chunks[i] = harena_chunk_get(world.provider);
    for (unsigned i = 0; i < count; i++)
        harena_chunk_put(world.provider, v->chunks[i]);
}

static void run_trim(victim *v)
{
    (void)v;
    harena_provider_trim(world.provider, 0);
}

/* At a hard limit: a chunk is refused, and a run that would have to purge. */
static void with_small(victim *v)
{
    v->arena = make_arena(world.small);
    for (unsigned i = 0; i < SMALL_CHUNKS - 2; i++)
        v->chunks[i] = harena_chunk_get(world.small);
    harena_chunk_put(world.small, v->chunks[0]);
    v->chunks[0] = NULL;
}

static void run_at_limit(victim *v)
{
    got(arena_alloc(v->arena, 3 * HARENA_CHUNK_SIZE));
    for (unsigned i = SMALL_CHUNKS; i < SMALL_CHUNKS + 3; i++)
        v->chunks[i] = harena_chunk_get(world.small);
}

static void finish_small(victim *v)
{
    harena_release(v->arena);
    for (unsigned i = 0; i < SMALL_CHUNKS + 3; i++)
        harena_chunk_put(world.small, v->chunks[i]);
}

/* The thread meets the library here: its number, its lane, leases up to chunks of its own, a run. */
static void run_shared_alloc(victim *v)
{
    (void)v;
    got(shared_alloc(world.log, 24));
    for (unsigned i = 0; i < 5; i++)
        got(shared_alloc(world.log, 500u << i));
    got(harena_shared_alloc_atomic(world.log, 24));
    got(harena_shared_alloc_zeroed(world.log, 70));
    got(shared_alloc(world.log, 24));
}

static void run_on_release(victim *v)
{
    (void)v;
    TEST_EXPECT(harena_shared_on_release(world.log, count_reclaimed, NULL) == 0);
    TEST_EXPECT(harena_shared_contains(world.log, v) == false);
}

static void with_view(victim *v)
{
    v->view = harena_shared_enter(world.shared);
}

static void leave_view(victim *v)
{
    harena_shared_leave(world.shared, v->view);
}

/* In a section, where reclamation waits for readers. */
static void run_view_alloc(victim *v)
{
    for (unsigned i = 0; i < 6; i++)
        got(view_alloc(v->view, 500u << i));
    got(view_alloc(v->view, 70000));
    got(harena_view_alloc_atomic(v->view, 24));
    TEST_EXPECT(harena_view_root(v->view) != NULL);
}

static void with_empty_shared(victim *v)
{
    (void)v;
    (void)harena_shared_reset(world.shared);
}

static void with_filled_shared(victim *v)
{
    (void)v;
    got(shared_alloc(world.log, 16)); /* it is not the first call that is looked at here */
    v->shared = make_shared();
    for (unsigned i = 0; i < 6; i++)
        got(shared_alloc(v->shared, 30000));
}

static void run_shared_reset(victim *v)
{
    note_reset(harena_shared_reset(v->shared));
    got(shared_alloc(v->shared, 100));
}

static void run_close(victim *v)
{
    harena_shared_close(v->shared);
}

static void finish_shared(victim *v)
{
    harena_shared_release(v->shared);
}

static void run_publish(victim *v)
{
    (void)v;
    publish_one(test_stamp(99, 1));
}

static void run_read(victim *v)
{
    (void)v;
    (void)harena_snapshot_enter(&world.snapshot);
    (void)harena_snapshot_read(&world.snapshot);
    harena_snapshot_leave(&world.snapshot);
}

static void run_retire(victim *v)
{
    harena_release_rcu(v->arena);
}

static void with_retired(victim *v)
{
    with_filled_arena(v);
    harena_release_rcu(v->arena);
    with_filled_shared(v);
    note_reset(harena_shared_reset(v->shared));
}

static void run_barrier(victim *v)
{
    (void)v;
    TEST_EXPECT(harena_provider_barrier(world.provider) == 0);
}

static pthread_key_t exit_key;

/* In the destructors of a thread that ends: its number goes back. Ours come after the library's, round by round. */
static void in_destructor(void *arg)
{
    victim *v = arg;

    if (++v->destructors < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(exit_key, v);
    else
        step_end(&v->step);
}

static void run_exit(victim *v)
{
    pthread_setspecific(exit_key, v);
    step_begin(&v->step);
}

static void with_number(victim *v)
{
    (void)v;
    got(shared_alloc(world.log, 16));
}

/* RCU's worker is the victim: from a cleanup on. */
static void begin_in_cleanup(void *arg)
{
    victim *v = arg;

    step_begin(&v->step);
}

static void run_reclaim(victim *v)
{
    v->step.until_left = true; /* liburcu would wait there */
    with_filled_arena(v);
    TEST_EXPECT(harena_on_release(v->arena, begin_in_cleanup, v) == 0);
    harena_release_rcu(v->arena);
    (void)step_wait(&v->step, FOREVER);
}

static const operation operations[] = {
    {"create", no_step, run_create, finish_create, false, false},
    {"alloc", with_arena, run_alloc, release_arena, false, false},
    {"reset", with_filled_arena, run_reset, release_arena, false, false},
    {"release", with_filled_arena, run_release, no_step, false, false},
    {"retire", with_filled_arena, run_retire, no_step, false, false},
    {"get", no_step, run_get, run_put, false, false},
    {"get_cold", with_cold_chunks, run_get, put_all, false, false},
    {"put", with_chunks, run_put, no_step, false, false},
    {"trim", with_free_chunks, run_trim, no_step, false, false},
    {"at_limit", with_small, run_at_limit, finish_small, false, false},
    {"refill", no_step, run_shared_alloc, no_step, false, false},
    {"on_release", no_step, run_on_release, no_step, false, false},
    {"enter", with_empty_shared, with_view, leave_view, false, true},
    {"view_alloc", with_view, run_view_alloc, leave_view, false, true},
    {"leave", with_view, leave_view, no_step, false, true},
    {"shared_reset", with_filled_shared, run_shared_reset, finish_shared, false, false},
    {"close", with_filled_shared, run_close, finish_shared, false, false},
    {"shared_release", with_filled_shared, finish_shared, no_step, false, false},
    {"publish", no_step, run_publish, no_step, false, false},
    {"snapshot_read", no_step, run_read, no_step, false, true},
    {"exit", with_number, run_exit, no_step, true, false},
    {"barrier", with_retired, run_barrier, finish_shared, false, false},
    {"reclaim", no_step, run_reclaim, no_step, true, false},
};
#define OPERATIONS ((int)(sizeof(operations) / sizeof(operations[0])))

#endif
