/* SPDX-License-Identifier: BSD-2-Clause */
/* Who waits for whom, in each flavour of liburcu: barrier for readers of all flavours, nobody where
 * waiting could never end, and no memory without bound behind a stalled reader. */
#include "content.h"

static atomic_int result_in_cleanup;
static harena_shared *second_shared;
static harena_snapshot snapshot;

/* ---- what must not wait ---- */

START_TEST(barrier_in_a_section_is_refused)
{
    harena_shared *shared;
    harena_view *view;

    begin(_i, 0, 0);
    shared = create_shared(race.flavor);
    ck_assert_ptr_nonnull(harena_shared_alloc(shared, 100));
    view = harena_shared_enter(shared);
    ck_assert_int_eq(harena_provider_barrier(race.provider), -EDEADLK);
    ck_assert_int_eq(harena_provider_destroy(race.provider), -EDEADLK);
    harena_shared_leave(shared, view);
    harena_provider_read_lock(race.provider);
    ck_assert_int_eq(harena_provider_barrier(race.provider), -EDEADLK);
    harena_provider_read_unlock(race.provider);
    snapshot = (harena_snapshot)HARENA_SNAPSHOT_INIT;
    snapshot.rcu = race.flavor->rcu;
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, create_arena(), NULL), 0);
    harena_snapshot_enter(&snapshot);
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, NULL, NULL), 0);
    ck_assert_int_eq(harena_provider_destroy(race.provider), -EDEADLK);
    harena_snapshot_leave(&snapshot);
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    ck_assert_int_eq(harena_provider_destroy(race.provider), -EBUSY);
    harena_shared_release(shared);
    end();
    RACE_RAN(1, 1);
}
END_TEST

static void wait_in_cleanup(void *ctx)
{
    (void)ctx;
    atomic_store(&result_in_cleanup, harena_provider_barrier(race.provider));
    TEST_EXPECT(harena_provider_destroy(race.provider) == -EDEADLK);
    atomic_fetch_add(&race.cleaned, 1);
}

START_TEST(barrier_in_a_cleanup_is_refused)
{
    harena_shared *shared;
    harena *arena;

    begin(_i, 0, 0);
    shared = create_shared(race.flavor);
    ck_assert_int_eq(harena_shared_on_release(shared, wait_in_cleanup, NULL), 0);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    ck_assert_uint_eq(test_count(&race.cleaned), 1);
    ck_assert_int_eq(atomic_load(&result_in_cleanup), -EDEADLK);

    arena = create_arena();
    ck_assert_int_eq(harena_on_release(arena, wait_in_cleanup, NULL), 0);
    atomic_store(&result_in_cleanup, 0);
    harena_release_rcu(arena);
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    ck_assert_uint_eq(test_count(&race.cleaned), 2);
    ck_assert_int_eq(atomic_load(&result_in_cleanup), -EDEADLK);
    TEST_NO_FAILURE();
    harena_shared_release(shared);
    end();
    RACE_RAN(1, 1);
}
END_TEST

/* A cleanup may allocate from, reset and release other arenas, those of its own provider too. */
static void work_in_cleanup(void *ctx)
{
    harena *arena = ctx;
    harena_view *view = harena_shared_enter(second_shared);

    TEST_EXPECT(harena_view_alloc(view, 100) != NULL);
    harena_shared_leave(second_shared, view);
    TEST_EXPECT(harena_shared_reset(second_shared) == 0);
    harena_release(arena);
    atomic_fetch_add(&race.cleaned, 1);
}

START_TEST(cleanup_may_reset_and_release_other_arenas)
{
    harena_shared *shared;
    harena *arena;
    unsigned i;

    begin(_i, 0, 0);
    shared = create_shared(race.flavor);
    second_shared = create_shared(race.flavor);
    for (i = 0; i < 10; i++) {
        arena = create_arena();
        ck_assert_ptr_nonnull(harena_alloc(arena, 100));
        ck_assert_int_eq(harena_shared_on_release(shared, work_in_cleanup, arena), 0);
        ck_assert_int_eq(harena_shared_reset(shared), 0);
    }
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    ck_assert_uint_eq(test_count(&race.cleaned), 10);
    TEST_NO_FAILURE();
    harena_shared_release(shared);
    harena_shared_release(second_shared);
    end();
    RACE_RAN(1, 10);
}
END_TEST

/* ---- two flavours in one provider ---- */

static const test_flavor *second_flavor;

/* Stands in a section of the second flavour only. */
static void read_second(void *ctx, unsigned index)
{
    harena_view *view;

    (void)ctx;
    (void)index;
    test_flavor_register(second_flavor);
    view = harena_shared_enter(second_shared);
    stall(atomic_load(harena_view_root(view)));
    harena_shared_leave(second_shared, view);
    test_flavor_unregister(second_flavor);
}

START_TEST(barrier_waits_for_all_flavours_of_a_provider)
{
    test_thread reader, waiter;

    begin(_i, 0, 0);
    second_flavor = &test_flavors[(_i + 1) % TEST_FLAVORS];
    test_flavor_register(second_flavor);
    race.shared = create_shared(race.flavor);
    second_shared = create_shared(second_flavor);
    fill_shared(second_shared, 3000);
    ck_assert_int_eq(harena_shared_on_release(race.shared, count_cleanup, NULL), 0);

    test_spawn(&reader, read_second, NULL, 0);
    TEST_AWAIT(atomic_load(&race.reading));
    ck_assert_int_eq(harena_shared_reset(race.shared), 0);
    ck_assert_int_eq(harena_shared_reset(second_shared), 0);
    test_spawn(&waiter, wait_at_barrier, NULL, 1);
    test_flavor_offline(race.flavor); /* the first flavour's grace period may pass */
    TEST_AWAIT(atomic_load(&race.cleaned) == 1);
    test_flavor_online(race.flavor);
    ck_assert_uint_ge(test_stats(race.provider).deferred, OBJECTS * SIZE);
    atomic_store(&race.may_leave, 1);
    test_flavor_offline(race.flavor);
    test_flavor_offline(second_flavor);
    test_join(&reader);
    test_join(&waiter);
    test_flavor_online(race.flavor);
    test_flavor_online(second_flavor);
    TEST_NO_FAILURE();
    ck_assert_uint_eq(test_stats(race.provider).deferred, 0);
    harena_shared_release(race.shared);
    harena_shared_release(second_shared);
    test_provider_finish(race.provider);
    test_flavor_unregister(second_flavor);
    test_flavor_unregister(race.flavor);
    RACE_RAN(3, 1);
}
END_TEST

/* ---- deferred_limit ---- */

static atomic_uint deferred_events;

static void note_event(void *ctx, const harena_event *event)
{
    (void)ctx;
    if (event->kind == HARENA_EVENT_DEFERRED_LIMIT)
        atomic_fetch_add(&deferred_events, 1);
}

static void read_anything(void *ctx, unsigned index)
{
    (void)ctx;
    (void)index;
    test_flavor_register(race.flavor);
    harena_provider_read_lock(race.provider);
    atomic_store(&race.reading, 1);
    while (!atomic_load(&race.may_leave))
        sched_yield();
    harena_provider_read_unlock(race.provider);
    test_flavor_unregister(race.flavor);
}

START_TEST(stalled_reader_costs_no_more_than_deferred_limit)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    const size_t limit = 2 * TEST_MIB;
    test_thread reader;
    harena_view *view;
    unsigned round;
    int result = 0;

    begin(_i, 0, 0);
    ck_assert_int_eq(harena_provider_destroy(race.provider), 0);
    options.reserve = 256 * TEST_MIB;
    options.deferred_limit = limit;
    options.rcu = race.flavor->rcu;
    options.on_event = note_event;
    atomic_store(&deferred_events, 0);
    race.provider = harena_provider_create(&options);
    ck_assert_ptr_nonnull(race.provider);
    race.shared = create_shared(race.flavor);
    test_spawn(&reader, read_anything, NULL, 0);
    TEST_AWAIT(atomic_load(&race.reading));

    for (round = 0; result == 0 && round < 100; round++) {
        fill_shared(race.shared, 4000);
        result = harena_shared_reset(race.shared);
        test_flavor_quiescent(race.flavor);
    }
    ck_assert_int_eq(result, -EAGAIN);
    ck_assert_uint_ge(round, limit / (OBJECTS * SIZE) / 2);
    ck_assert_uint_le(test_stats(race.provider).deferred, limit + 2 * OBJECTS * SIZE);
    view = harena_shared_enter(race.shared); /* nothing changed */
    ck_assert_ptr_nonnull(atomic_load(harena_view_root(view)));
    ck_assert(intact(atomic_load(harena_view_root(view))));
    ck_assert_ptr_nonnull(harena_view_alloc(view, 100));
    harena_shared_leave(race.shared, view);

    second_shared = create_shared(race.flavor); /* release cannot refuse: it tells */
    fill_shared(second_shared, 4000);
    round = atomic_load(&deferred_events);
    harena_shared_release(second_shared);
    ck_assert_uint_gt(test_count(&deferred_events), round);

    atomic_store(&race.may_leave, 1);
    test_flavor_offline(race.flavor);
    test_join(&reader);
    test_flavor_online(race.flavor);
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    ck_assert_int_eq(harena_shared_reset(race.shared), 0);
    harena_shared_release(race.shared);
    end();
    RACE_RAN(2, 1);
}
END_TEST

/* ---- memory comes back by itself, too ---- */

START_TEST(memory_is_back_without_a_barrier)
{
    begin(_i, 0, 0);
    race.shared = create_shared(race.flavor);
    fill_shared(race.shared, 4000);
    ck_assert_int_eq(harena_shared_on_release(race.shared, count_cleanup, NULL), 0);
    ck_assert_int_eq(harena_shared_reset(race.shared), 0);
    test_flavor_offline(race.flavor);
    TEST_AWAIT(atomic_load(&race.cleaned) == 1 && test_stats(race.provider).deferred == 0);
    test_flavor_online(race.flavor);
    harena_shared_release(race.shared);
    end();
    RACE_RAN(1, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_waiting");
    TCase *tests = test_case(suite, "barrier");

    tcase_add_loop_test(tests, memory_is_back_without_a_barrier, 0, TEST_FLAVORS);
    tcase_add_loop_test(tests, barrier_in_a_section_is_refused, 0, TEST_FLAVORS);
    tcase_add_loop_test(tests, barrier_in_a_cleanup_is_refused, 0, TEST_FLAVORS);
    tcase_add_loop_test(tests, cleanup_may_reset_and_release_other_arenas, 0, TEST_FLAVORS);
    tcase_add_loop_test(tests, barrier_waits_for_all_flavours_of_a_provider, 0, TEST_FLAVORS);
    tests = test_case(suite, "deferred limit");
    tcase_add_loop_test(tests, stalled_reader_costs_no_more_than_deferred_limit, 0, TEST_FLAVORS);
    return test_main(suite);
}
