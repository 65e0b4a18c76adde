/* SPDX-License-Identifier: BSD-2-Clause */
/* Races at the end of a shared arena: closes, and releases of arenas that readers find at a
 * pointer. */
#include "crowd.h"

static crowd team;

/* Waits for some sections, closes, and closes again. */
static void close_under_fire(void *ctx, unsigned index)
{
    crowd *c = ctx;
    test_rng rng = test_rng_for(index + CROWD_READ(&c->entered));
    unsigned until = CROWD_READ(&c->entered) + (unsigned)test_below(&rng, 64);

    test_flavor_register(c->flavor);
    TEST_AWAIT(CROWD_READ(&c->entered) >= until || CROWD_READ(&c->working) == 0);
    harena_shared_close(atomic_load(&c->shared));
    TEST_EXPECT(harena_shared_reset(atomic_load(&c->shared)) == -ESHUTDOWN);
    harena_shared_close(atomic_load(&c->shared));
    test_flavor_unregister(c->flavor);
}

static void reset_until_closed(void *ctx, unsigned index)
{
    crowd *c = ctx;
    int result;

    (void)index;
    test_flavor_register(c->flavor);
    do {
        result = harena_shared_reset(atomic_load(&c->shared));
        TEST_EXPECT_MSG(result == 0 || result == -ESHUTDOWN, "reset gives %d", result);
        sched_yield();
    } while (result == 0 && !test_failed());
    test_flavor_unregister(c->flavor);
}

/* CELL shared: alloc, read, on_release, reset, close x close */
START_TEST(close_under_fire_is_for_good)
{
    const test_role roles[] = {
        {crowd_work, CROWD_THREADS}, {close_under_fire, 2}, {reset_until_closed, 1}, {NULL, 0}};
    unsigned round, rounds = test_rounds(16);
    harena_shared *shared;
    harena_view *view;

    crowd_init(&team, &crowd_configs[_i], 0, 0);
    team.closes = true;
    team.until_closed = true;
    for (round = 0; round < rounds; round++) {
        atomic_store(&team.working, CROWD_THREADS);
        shared = atomic_load(&team.shared);
        test_team(roles, &team);
        /* the handle is there, all memory is not */
        ck_assert_int_eq(harena_provider_barrier(team.provider), 0);
        ck_assert_uint_eq(test_stats(team.provider).in_use, 0);
        ck_assert_uint_eq(harena_shared_cap(shared), 0);
        ck_assert_int_eq(harena_shared_reset(shared), -ESHUTDOWN);
        ck_assert_int_eq(harena_shared_reset_now(shared), -ESHUTDOWN);
        view = harena_shared_enter(shared);
        ck_assert_ptr_null(harena_view_root(view));
        errno = 0;
        ck_assert_ptr_null(harena_alloc(harena_view_lane(view), 1));
        ck_assert_int_eq(errno, ESHUTDOWN);
        harena_shared_leave(shared, view);
        errno = 0;
        ck_assert_ptr_null(harena_shared_alloc(shared, 1));
        ck_assert_int_eq(errno, ESHUTDOWN);
        harena_shared_release(shared);
        atomic_store(&team.shared, crowd_create(&team, 0));
    }
    harena_shared_release(atomic_load(&team.shared));
    crowd_finish(&team);
    RACE_RAN(CROWD_THREADS + 3, rounds);
}
END_TEST

/* ---- release: the handle itself goes, while threads load the pointer to it ---- */

/* Puts a new arena in the place of the old one and releases the old. */
static void replace_until_done(void *ctx, unsigned index)
{
    crowd *c = ctx;
    test_rng rng = test_rng_for(index);
    harena_shared *fresh;
    unsigned next;

    test_flavor_register(c->flavor);
    while (CROWD_READ(&c->working) > 0 && !test_failed()) {
        fresh = crowd_create(c, 0);
        harena_shared_release(atomic_exchange_explicit(&c->shared, fresh, memory_order_acq_rel));
        next = CROWD_READ(&c->entered) + (unsigned)test_below(&rng, 24);
        TEST_AWAIT(CROWD_READ(&c->entered) >= next || CROWD_READ(&c->working) == 0);
    }
    test_flavor_unregister(c->flavor);
}

/* Resets, closes and asks whatever stands at the pointer, in sections of its own. */
static void disturb_until_done(void *ctx, unsigned index)
{
    crowd *c = ctx;
    test_rng rng = test_rng_for(index);
    harena_stats stats = {sizeof(stats), 0, 0, 0, 0, 0, 0, 0};
    harena_shared *shared;
    int result;

    test_flavor_register(c->flavor);
    while (CROWD_READ(&c->working) > 0 && !test_failed()) {
        harena_provider_read_lock(c->provider);
        shared = atomic_load_explicit(&c->shared, memory_order_acquire);
        switch (test_below(&rng, 8)) {
        case 0:
            harena_shared_close(shared);
            break;
        case 1:
        case 2:
            harena_shared_stats_get(shared, &stats);
            (void)harena_shared_peak(shared);
            break;
        default:
            result = harena_shared_reset(shared);
            TEST_EXPECT_MSG(result == 0 || result == -ESHUTDOWN, "reset gives %d", result);
        }
        harena_provider_read_unlock(c->provider);
        sched_yield();
    }
    test_flavor_unregister(c->flavor);
}

/* CELL shared: alloc, read, on_release, stats, reset, close x release */
START_TEST(release_waits_for_readers_of_the_pointer)
{
    const test_role roles[] = {
        {crowd_work, CROWD_THREADS}, {replace_until_done, 2}, {disturb_until_done, 1}, {NULL, 0}};

    crowd_init(&team, &crowd_configs[_i], 0, 0);
    team.published = true;
    team.closes = true;
    team.sections = test_rounds(400);
    test_team(roles, &team);
    harena_shared_release(atomic_load(&team.shared));
    crowd_finish(&team);
    RACE_RAN(CROWD_THREADS + 3, team.sections);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_shared_end");
    TCase *tests = test_case(suite, "close");

    tcase_add_loop_test(tests, close_under_fire_is_for_good, 0, CROWD_CONFIGS);
    tests = test_case(suite, "release");
    tcase_add_loop_test(tests, release_waits_for_readers_of_the_pointer, 0, CROWD_CONFIGS);
    return test_main(suite);
}
