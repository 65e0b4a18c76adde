/* SPDX-License-Identifier: BSD-2-Clause */
/* The barrier, the end of a provider, what is deferred. */
#include "os.h"
#include "unit.h"

#include <sched.h>
#include <semaphore.h>
#include <urcu-bp.h>

/* ---- destroy and barrier ---- */

START_TEST(destroy_is_busy_while_anything_lives)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    void *chunk = SUCCEEDS(harena_chunk_get(provider));
    harena *arena;
    harena_shared *shared;

    QUIETLY(ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY));
    memset(chunk, 1, CHUNK);
    harena_chunk_put(provider, chunk);
    arena = arena_of(provider, 0); /* holds no chunk, lives all the same */
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    memset(SUCCEEDS(harena_alloc(arena, 100)), 1, 100);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    harena_release(arena);
    shared = shared_of(provider, 0);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    memset(SUCCEEDS(harena_shared_alloc(shared, 100)), 1, 100);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    harena_shared_close(shared);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    ck_assert_uint_eq(stats_of(provider).deferred, 0); /* what was deferred is back */
    FAILS(ESHUTDOWN, harena_shared_alloc(shared, 100));
    harena_shared_release(shared);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}
END_TEST

static void count_up(void *counter)
{
    __atomic_fetch_add((int *)counter, 1, __ATOMIC_RELAXED);
}

START_TEST(destroy_waits_for_what_is_deferred)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena *arena = arena_of(provider, 0);
    harena_shared *shared = shared_of(provider, 0);
    int cleanups = 0;

    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), 0);
    harena_release_rcu(arena);
    harena_shared_release(shared);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
    ck_assert_int_eq(cleanups, 2);
}
END_TEST

START_TEST(barrier_waits_for_what_is_deferred)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    int cleanups = 0;

    for (int round = 0; round < 20; round++) {
        harena *arena = arena_of(provider, 0);

        ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
        harena_release_rcu(arena);
        QUIETLY(ck_assert_int_eq(harena_provider_barrier(provider), 0));
        ck_assert_int_eq(__atomic_load_n(&cleanups, __ATOMIC_RELAXED), round + 1);
        ck_assert_uint_eq(stats_of(provider).deferred, 0);
        ck_assert_uint_eq(stats_of(provider).retired, round + 1);
        ck_assert_uint_eq(stats_of(provider).reclaimed, round + 1);
    }
    ends_clean(provider);
}
END_TEST

START_TEST(barrier_and_destroy_in_a_read_section_give_edeadlk)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_shared *shared = shared_of(provider, 0);
    harena_view *view;

    harena_provider_read_lock(provider);
    harena_provider_read_lock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK);
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK); /* they nest */
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    view = harena_shared_enter(shared);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK);
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
    harena_provider_read_lock(provider);
    ck_assert_int_eq(harena_provider_destroy(provider), -EDEADLK);
    harena_provider_read_unlock(provider);
    ends_clean(provider);
}
END_TEST

START_TEST(barrier_in_a_read_section_of_a_fresh_provider_gives_edeadlk)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);

    harena_provider_read_lock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK);
    ck_assert_int_eq(harena_provider_destroy(provider), -EDEADLK);
    harena_provider_read_unlock(provider);
    ends_clean(provider);
}
END_TEST

struct wait_in_cleanup {
    harena_provider *provider;
    int barrier, destroy;
};

static void wait_in_cleanup(void *ctx)
{
    struct wait_in_cleanup *wait = ctx;

    wait->barrier = harena_provider_barrier(wait->provider);
    wait->destroy = harena_provider_destroy(wait->provider);
}

START_TEST(barrier_and_destroy_in_a_cleanup_give_edeadlk)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    struct wait_in_cleanup on_worker = {provider, 0, 0}, at_release = {provider, 0, 0};
    struct wait_in_cleanup now = {provider, 0, 0};
    harena *arena = arena_of(provider, 0);
    harena_shared *shared = shared_of(provider, 0);

    ck_assert_int_eq(harena_on_release(arena, wait_in_cleanup, &on_worker), 0);
    harena_release_rcu(arena);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(on_worker.barrier, -EDEADLK);
    ck_assert_int_eq(on_worker.destroy, -EDEADLK);

    arena = arena_of(provider, 0);
    ck_assert_int_eq(harena_on_release(arena, wait_in_cleanup, &at_release), 0);
    harena_release(arena);
    ck_assert_int_eq(at_release.barrier, -EDEADLK);
    ck_assert_int_eq(at_release.destroy, -EDEADLK);

    ck_assert_int_eq(harena_shared_on_release(shared, wait_in_cleanup, &now), 0);
    harena_shared_release_now(shared);
    ck_assert_int_eq(now.barrier, -EDEADLK);
    ck_assert_int_eq(now.destroy, -EDEADLK);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ends_clean(provider);
}
END_TEST

struct section {
    harena_provider *provider;
    int inside, left; /* atomic */
};

static void *stay_a_while(void *ctx)
{
    struct section *section = ctx;

    harena_provider_read_lock(section->provider);
    __atomic_store_n(&section->inside, 1, __ATOMIC_RELEASE);
    usleep(50000);
    __atomic_store_n(&section->left, 1, __ATOMIC_RELEASE);
    harena_provider_read_unlock(section->provider);
    return NULL;
}

START_TEST(barrier_waits_for_another_threads_section)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);

    for (int cleanups = 0; cleanups < 2; cleanups++) {
        struct section section = {provider, 0, 0};
        harena *arena = arena_of(provider, 0);
        pthread_t thread;
        int ran = 0;

        memset(SUCCEEDS(harena_alloc(arena, opaque(100))), 1, 100);
        if (cleanups)
            ck_assert_int_eq(harena_on_release(arena, count_up, &ran), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, stay_a_while, &section), 0);
        while (!__atomic_load_n(&section.inside, __ATOMIC_ACQUIRE))
            sched_yield();
        harena_release_rcu(arena);
        ck_assert_int_eq(harena_provider_barrier(provider), 0);
        ck_assert_int_eq(__atomic_load_n(&section.left, __ATOMIC_ACQUIRE), 1);
        ck_assert_uint_eq(stats_of(provider).deferred, 0);
        ck_assert_int_eq(ran, cleanups);
        pthread_join(thread, NULL);
    }
    ends_clean(provider);
}
END_TEST

static void note_thread(void *thread)
{
    *(pthread_t *)thread = pthread_self();
}

START_TEST(cleanups_after_a_grace_period_run_on_rcus_worker)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    pthread_t worker = pthread_self();
    harena *arena;

    for (int round = 0; round < 5; round++) {
        worker = pthread_self();
        for (int others = 0; others < 5; others++) /* the worker is busy: the barrier does it */
            harena_release_rcu(arena_of(provider, 0));
        arena = arena_of(provider, 0);
        ck_assert_int_eq(harena_on_release(arena, note_thread, &worker), 0);
        harena_release_rcu(arena);
        ck_assert_int_eq(harena_provider_barrier(provider), 0);
        ck_assert(!pthread_equal(worker, pthread_self())); /* the caller may hold what they want */
    }
    arena = arena_of(provider, 0);
    ck_assert_int_eq(harena_on_release(arena, note_thread, &worker), 0);
    harena_release(arena);
    ck_assert(pthread_equal(worker, pthread_self()));
    ends_clean(provider);
}
END_TEST

START_TEST(retired_memory_is_deferred_until_readers_leave)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena *arena = arena_of(provider, 0);
    unsigned char *memory = SUCCEEDS(harena_alloc(arena, opaque(3 * CHUNK)));
    size_t held = harena_cap(arena);
    harena_provider_stats stats;

    memset(memory, 0x3c, 3 * CHUNK);
    harena_provider_read_lock(provider);
    harena_release_rcu(arena);
    stats = stats_of(provider);
    ck_assert_uint_eq(stats.deferred, held);
    ck_assert_uint_eq(stats.in_use, 0);
    ck_assert_uint_eq(stats.retired, 1);
    ck_assert_uint_eq(stats.reclaimed, 0);
    totals_hold(provider);
    ck_assert(all_bytes(memory, 3 * CHUNK, 0x3c));
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    stats = stats_of(provider);
    ck_assert_uint_eq(stats.deferred, 0);
    ck_assert_uint_eq(stats.reclaimed, 1);
    ck_assert_uint_eq(stats.free, held);
    ends_clean(provider);
}
END_TEST

START_TEST(a_hard_limit_in_need_takes_back_what_waits_for_nobody)
{
    harena_provider *provider = provider_of(64 * MIB, 4 * CHUNK, NULL);
    int refused = 0;

    for (int round = 0; round < 20; round++) {
        harena *arena = arena_of(provider, 0);
        void *memory;

        /* A busy machine's worker may be late: some refusals are in order, not more. */
        while ((memory = harena_alloc(arena, opaque(4 * CHUNK))) == NULL)
            ck_assert_int_lt(refused++, 10);
        memset(memory, round, 4 * CHUNK);
        harena_release_rcu(arena);
    }
    ends_clean(provider);
}
END_TEST

static harena_provider *of_callback;
static int answers[2];
static sem_t answered;

static void end_provider(struct rcu_head *head)
{
    (void)head;
    answers[0] = harena_provider_barrier(of_callback);
    answers[1] = harena_provider_destroy(of_callback);
    sem_post(&answered);
}

/* It would wait for the worker that it runs on. */
START_TEST(barrier_and_destroy_in_a_callback_of_rcu_give_edeadlk)
{
    static struct rcu_head head;
    harena *arena;
    int cleanups = 0;

    of_callback = provider_of(64 * MIB, 0, NULL);
    arena = arena_of(of_callback, 0);
    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    harena_release_rcu(arena);
    ck_assert_int_eq(sem_init(&answered, 0, 0), 0);
    urcu_bp_call_rcu(&head, end_provider);
    while (sem_wait(&answered) != 0)
        continue;
    ck_assert_int_eq(answers[0], -EDEADLK);
    ck_assert_int_eq(answers[1], -EDEADLK);
    ends_clean(of_callback);
    ck_assert_int_eq(cleanups, 1);
}
END_TEST

static harena *chain[4];

static void retire_next(void *place)
{
    harena_release_rcu(*(harena **)place);
}

START_TEST(destroy_waits_for_what_cleanups_retire)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);

    for (int i = 0; i < 4; i++) {
        chain[i] = arena_of(provider, 0);
        memset(SUCCEEDS(harena_alloc(chain[i], opaque(1000))), i, 1000);
        if (i > 0)
            ck_assert_int_eq(harena_on_release(chain[i - 1], retire_next, &chain[i]), 0);
    }
    harena_release_rcu(chain[0]);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}
END_TEST

static struct hri_os real;
static unsigned woken;

/* As if each signal or wake for others came at once: some hundreds a millisecond. */
static void wake_early(uint32_t *word, uint32_t seen, int milliseconds)
{
    if (milliseconds < 0) {
        real.wait(word, seen, milliseconds);
        return;
    }
    woken++;
    real.wait(word, seen, 0);
}

START_TEST(whoever_is_woken_in_vain_waits_on)
{
    harena_provider *provider = provider_of(64 * MIB, 4 * CHUNK, NULL);
    int refused = 0;

    real = hri_os;
    hri_os.wait = wake_early;
    for (int round = 0; round < 20; round++) {
        harena *arena = arena_of(provider, 0);
        void *memory;

        while ((memory = harena_alloc(arena, opaque(4 * CHUNK))) == NULL)
            ck_assert_int_lt(refused++, 10); /* as above */
        memset(memory, round, 4 * CHUNK);
        harena_release_rcu(arena);
    }
    hri_os = real;
    ck_assert_uint_gt(woken, 0);
    ends_clean(provider);
}
END_TEST

RUN_TESTS("barrier", destroy_is_busy_while_anything_lives, destroy_waits_for_what_is_deferred,
          barrier_waits_for_what_is_deferred, barrier_and_destroy_in_a_read_section_give_edeadlk,
          barrier_in_a_read_section_of_a_fresh_provider_gives_edeadlk,
          barrier_and_destroy_in_a_cleanup_give_edeadlk, barrier_waits_for_another_threads_section,
          cleanups_after_a_grace_period_run_on_rcus_worker,
          retired_memory_is_deferred_until_readers_leave,
          a_hard_limit_in_need_takes_back_what_waits_for_nobody, whoever_is_woken_in_vain_waits_on,
          barrier_and_destroy_in_a_callback_of_rcu_give_edeadlk,
          destroy_waits_for_what_cleanups_retire)
