/* SPDX-License-Identifier: BSD-2-Clause */
/* Races inside one shared arena: filling, reading, statistics, resets and full memory. */
#include "crowd.h"

static crowd team; /* one test at a time */

/* ---- helpers beside the workers ---- */

/* Resets until the workers have ended, at random distances: some generations hold nothing, some
 * many sections. */
static void reset_until_done(void *ctx, unsigned index)
{
    crowd *c = ctx;
    test_rng rng = test_rng_for(index);
    unsigned next;
    int result;

    test_flavor_register(c->flavor);
    while (CROWD_READ(&c->working) > 0 && !test_failed()) {
        result = harena_shared_reset(atomic_load(&c->shared));
        TEST_EXPECT_MSG(result == 0 || result == -EAGAIN, "reset gives %d", result);
        next =
            CROWD_READ(&c->entered) + 1 + (unsigned)test_below(&rng, c->pace != 0 ? c->pace : 32);
        atomic_fetch_add(&c->resets, 1); /* lets each worker enter `pace` times more */
        TEST_AWAIT(CROWD_READ(&c->entered) >= next || CROWD_READ(&c->working) == 0);
    }
    test_flavor_unregister(c->flavor);
}

/* Asks for all figures, without a section, until the workers have ended. */
static void ask_until_done(void *ctx, unsigned index)
{
    crowd *c = ctx;
    harena_shared *shared = atomic_load(&c->shared);
    harena_stats stats = {sizeof(stats), 0, 0, 0, 0, 0, 0, 0};
    harena_provider_stats all = {0};
    size_t peak = 0, now;
    uint64_t peak_of_all = 0;

    (void)index;
    all.size = sizeof(all);
    while (CROWD_READ(&c->working) > 0 && !test_failed()) {
        now = harena_shared_peak(shared);
        TEST_EXPECT_MSG(now >= peak, "the peak fell from %zu to %zu", peak, now);
        peak = now;
        (void)harena_shared_len(shared);
        (void)harena_shared_cap(shared);
        (void)harena_shared_failed(shared);
        harena_shared_stats_get(shared, &stats);
        harena_provider_stats_get(c->provider, &all);
        TEST_EXPECT(all.peak >= peak_of_all);
        peak_of_all = all.peak;
        sched_yield();
    }
}

static int by_address(const void *left, const void *right)
{
    const crowd_object *a = left, *b = right;

    return (a->at > b->at) - (a->at < b->at);
}

/* All that all threads have ever got from one generation. */
static void verify_all(crowd *c)
{
    crowd_object *all;
    harena_view *view;
    size_t count = 0, bytes = 0, i;

    for (i = 0; i < CROWD_THREADS; i++)
        count += c->kept_count[i];
    all = malloc(count * sizeof(*all));
    ck_assert_ptr_nonnull(all);
    for (i = 0, count = 0; i < CROWD_THREADS; count += c->kept_count[i], i++)
        memcpy(&all[count], c->kept[i], c->kept_count[i] * sizeof(*all));
    qsort(all, count, sizeof(*all), by_address);
    view = harena_shared_enter(atomic_load(&c->shared));
    for (i = 0; i < count; i++) {
        bytes += all[i].size;
        ck_assert(test_stamp_intact(all[i].at, all[i].size, all[i].stamp));
        if (i > 0)
            ck_assert_msg((char *)all[i - 1].at + all[i - 1].size <= (char *)all[i].at,
                          "%zu bytes at %p overlap %p", all[i - 1].size, all[i - 1].at, all[i].at);
        if (i % 64 == 0)
            ck_assert(harena_view_contains(view, all[i].at));
    }
    harena_shared_leave(atomic_load(&c->shared), view);
    ck_assert_uint_ge(harena_shared_len(atomic_load(&c->shared)), bytes);
    ck_assert_uint_ge(harena_shared_cap(atomic_load(&c->shared)),
                      harena_shared_len(atomic_load(&c->shared)));
    free(all);
}

/* ---- tests ---- */

/* CELL shared: alloc, read, on_release x alloc, read, on_release */
/* CELL shared: alloc, read, on_release x stats */
START_TEST(threads_fill_one_arena_without_overlap)
{
    const test_role roles[] = {{crowd_work, CROWD_THREADS}, {ask_until_done, 1}, {NULL, 0}};

    crowd_init(&team, &crowd_configs[_i], 0, 0);
    team.keep = true;
    team.sections = test_rounds(150);
    test_team(roles, &team);
    verify_all(&team);
    harena_shared_release(atomic_load(&team.shared));
    crowd_finish(&team);
    RACE_RAN(CROWD_THREADS + 1, team.sections);
}
END_TEST

/* CELL shared: alloc, read, on_release x reset */
/* CELL shared: stats x reset */
/* CELL shared: reset x reset */
START_TEST(resets_under_fire_lose_nothing_that_is_in_a_section)
{
    const test_role roles[] = {
        {crowd_work, CROWD_THREADS}, {reset_until_done, 2}, {ask_until_done, 1}, {NULL, 0}};

    crowd_init(&team, &crowd_configs[_i], 0, 64 * TEST_MIB);
    team.sections = test_rounds(400);
    team.pace = team.sections / 16 + 1;
    test_team(roles, &team);
    ck_assert_uint_gt(test_stats(team.provider).retired, 1);
    harena_shared_release(atomic_load(&team.shared));
    crowd_finish(&team);
    RACE_RAN(CROWD_THREADS + 3, team.sections);
}
END_TEST

/* The workers have ended: nobody else is there. */
START_TEST(reset_now_and_release_now_give_all_back_at_once)
{
    const test_role roles[] = {{crowd_work, CROWD_THREADS}, {NULL, 0}};
    unsigned round;

    crowd_init(&team, &crowd_configs[_i], 0, 0);
    team.sections = test_rounds(16);
    for (round = 0; round < 3; round++) {
        atomic_store(&team.working, CROWD_THREADS);
        test_team(roles, &team);
        if (round < 2)
            ck_assert_int_eq(harena_shared_reset_now(atomic_load(&team.shared)), 0);
        else
            harena_shared_release_now(atomic_load(&team.shared));
        ck_assert_uint_eq(test_stats(team.provider).in_use, 0);
        ck_assert_uint_eq(test_stats(team.provider).deferred, 0);
    }
    crowd_finish(&team);
    RACE_RAN(CROWD_THREADS, team.sections);
}
END_TEST

/* Under a limit that the workers fill again and again: a reset needs no memory, and after it there
 * is some. */
/* CELL shared: alloc, read, on_release x reset */
START_TEST(full_arena_is_emptied_under_fire)
{
    const test_role roles[] = {{crowd_work, CROWD_THREADS}, {reset_until_done, 1}, {NULL, 0}};
    const size_t limit = 32 * HARENA_CHUNK_SIZE;
    harena_view *view;
    size_t got = 0;

    crowd_init(&team, &crowd_configs[_i], limit, 0);
    team.may_fail = true;
    team.sections = test_rounds(400);
    test_team(roles, &team);
    ck_assert_uint_le(test_stats(team.provider).peak, limit);

    ck_assert_int_eq(harena_shared_reset(atomic_load(&team.shared)), 0);
    ck_assert_int_eq(harena_provider_barrier(team.provider), 0);
    view = harena_shared_enter(atomic_load(&team.shared));
    while (harena_view_alloc(view, 1000) != NULL)
        got += 1000;
    ck_assert_int_eq(errno, ENOMEM);
    harena_shared_leave(atomic_load(&team.shared), view);
    ck_assert_uint_gt(got, limit - limit / 8);
    ck_assert(harena_shared_failed(atomic_load(&team.shared)));
    ck_assert_int_eq(harena_shared_reset(atomic_load(&team.shared)), 0);
    ck_assert_int_eq(harena_provider_barrier(team.provider), 0);
    ck_assert_ptr_nonnull(harena_shared_alloc(atomic_load(&team.shared), 1000));
    ck_assert(!harena_shared_failed(atomic_load(&team.shared)));
    harena_shared_release(atomic_load(&team.shared));
    crowd_finish(&team);
    RACE_RAN(CROWD_THREADS + 1, team.sections);
}
END_TEST

/* The arena's own limit holds for one generation, however many threads fill it. */
/* CELL shared: alloc, read, on_release x alloc, read, on_release */
START_TEST(limit_of_a_generation_holds)
{
    const test_role roles[] = {{crowd_work, CROWD_THREADS}, {NULL, 0}};
    const size_t limit = 16 * HARENA_CHUNK_SIZE;

    crowd_init(&team, &crowd_configs[_i], 0, 0);
    harena_shared_release_now(atomic_load(&team.shared));
    atomic_store(&team.shared, crowd_create(&team, limit));
    team.may_fail = true;
    team.sections = 40; /* enough to fill it, also under ThreadSanitizer */
    test_team(roles, &team);
    ck_assert_uint_gt(test_count(&team.refused), 0);
    ck_assert_uint_le(harena_shared_cap(atomic_load(&team.shared)), limit);
    ck_assert_uint_le(test_stats(team.provider).in_use, limit);
    harena_shared_release(atomic_load(&team.shared));
    crowd_finish(&team);
    RACE_RAN(CROWD_THREADS, team.sections);
}
END_TEST

/* ---- shorthands: each call takes the generation of its moment ---- */

static void count_one(void *ctx)
{
    CROWD_COUNT((atomic_uint *)ctx);
}

static atomic_uint shorthand_registered, shorthand_ran;

static void shorthand_object(crowd_worker *w, harena_shared *shared)
{
    size_t size = crowd_size(&w->rng);
    static const char text[] = "what all threads copy";
    char *copy;
    void *at;

    switch (test_below(&w->rng, 10)) {
    case 0:
        crowd_keep(w, harena_shared_alloc_atomic(shared, size), size);
        break;
    case 1:
        at = harena_shared_alloc_aligned(shared, size, 256);
        TEST_EXPECT((uintptr_t)at % 256 == 0);
        crowd_keep(w, at, size);
        break;
    case 2:
        at = harena_shared_alloc_zeroed(shared, size);
        TEST_EXPECT(at == NULL || test_all_zero(at, size));
        crowd_keep(w, at, size);
        break;
    case 3:
        crowd_keep(w, harena_shared_alloc_array(shared, size / 8 + 1, 8), size / 8 * 8 + 8);
        break;
    case 4:
        copy = test_once_in(&w->rng, 2) ? harena_shared_strdup(shared, text)
                                        : harena_shared_memdup(shared, text, sizeof(text));
        TEST_EXPECT(copy != NULL && strcmp(copy, text) == 0);
        break;
    case 5:
        copy = harena_shared_printf(shared, "%s %zu", text, size);
        TEST_EXPECT(copy != NULL && strtoull(copy + sizeof(text), NULL, 10) == size);
        break;
    case 6:
        CROWD_COUNT(&shorthand_registered);
        TEST_EXPECT(harena_shared_on_release(shared, count_one, &shorthand_ran) == 0);
        (void)harena_shared_contains(shared, w);
        break;
    default:
        crowd_keep(w, harena_shared_alloc(shared, size), size);
    }
}

static void use_shorthands(void *ctx, unsigned index)
{
    crowd *c = ctx;
    harena_shared *shared = atomic_load(&c->shared);
    crowd_worker w = {.crowd = c, .index = index, .rng = test_rng_for(index)};
    unsigned round, i, j;

    test_flavor_register(c->flavor);
    for (round = 0; round < c->sections && !test_failed(); round++) {
        harena_provider_read_lock(c->provider);
        CROWD_COUNT(&c->entered);
        for (i = 0, w.count = 0; i < CROWD_OBJECTS; i++)
            shorthand_object(&w, shared);
        for (j = 0; j < w.count; j++)
            TEST_EXPECT(test_stamp_intact(w.objects[j].at, w.objects[j].size, w.objects[j].stamp));
        harena_provider_read_unlock(c->provider);
    }
    test_flavor_unregister(c->flavor);
    atomic_fetch_sub(&c->working, 1);
}

/* CELL shared: alloc, on_release x reset */
START_TEST(shorthands_last_as_long_as_the_section_around_them)
{
    const test_role roles[] = {{use_shorthands, CROWD_THREADS}, {reset_until_done, 1}, {NULL, 0}};

    crowd_init(&team, &crowd_configs[_i], 0, 64 * TEST_MIB);
    atomic_store(&shorthand_registered, 0);
    atomic_store(&shorthand_ran, 0);
    team.sections = test_rounds(400);
    test_team(roles, &team);
    harena_shared_release(atomic_load(&team.shared));
    crowd_finish(&team);
    ck_assert_uint_gt(test_count(&shorthand_ran), 0);
    ck_assert_uint_eq(test_count(&shorthand_ran), atomic_load(&shorthand_registered));
    RACE_RAN(CROWD_THREADS + 1, team.sections);
}
END_TEST

/* ---- cleanups: nothing but registrations, so that they meet ---- */

#define CLEANUPS 20000 /* of each thread, at most */

static atomic_uint storm_ran[CROWD_THREADS][CLEANUPS];

static void register_many(void *ctx, unsigned index)
{
    crowd *c = ctx;
    harena_shared *shared = atomic_load(&c->shared);
    harena_view *view;
    unsigned i = 0, last;

    test_flavor_register(c->flavor);
    while (i < c->sections && !test_failed()) {
        view = harena_shared_enter(shared);
        for (last = i + 500; i < last && i < c->sections; i++)
            TEST_EXPECT(harena_view_on_release(view, count_one, &storm_ran[index][i]) == 0);
        harena_shared_leave(shared, view);
        if (index == 0 && i % 2000 == 0)
            TEST_EXPECT(harena_shared_reset(shared) == 0);
    }
    test_flavor_unregister(c->flavor);
}

/* CELL shared: on_release x on_release, reset */
START_TEST(each_cleanup_runs_once_however_many_threads_register)
{
    const test_role roles[] = {{register_many, CROWD_THREADS}, {NULL, 0}};
    unsigned thread, i, count = test_rounds(10000);

    crowd_init(&team, &crowd_configs[_i], 0, 0);
    memset(storm_ran, 0, sizeof(storm_ran));
    team.sections = count < CLEANUPS ? count : CLEANUPS;
    test_team(roles, &team);
    harena_shared_release(atomic_load(&team.shared));
    ck_assert_int_eq(harena_provider_barrier(team.provider), 0);
    for (thread = 0; thread < CROWD_THREADS; thread++)
        for (i = 0; i < team.sections; i++)
            ck_assert_uint_eq(test_count(&storm_ran[thread][i]), 1);
    crowd_finish(&team);
    RACE_RAN(CROWD_THREADS, team.sections);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_shared");
    TCase *tests = test_case(suite, "fill");

    tcase_add_loop_test(tests, threads_fill_one_arena_without_overlap, 0, CROWD_CONFIGS);
    tests = test_case(suite, "reset");
    tcase_add_loop_test(tests, resets_under_fire_lose_nothing_that_is_in_a_section, 0,
                        CROWD_CONFIGS);
    tcase_add_loop_test(tests, shorthands_last_as_long_as_the_section_around_them, 0,
                        CROWD_CONFIGS);
    tests = test_case(suite, "cleanups");
    tcase_add_loop_test(tests, each_cleanup_runs_once_however_many_threads_register, 0,
                        CROWD_CONFIGS);
    tests = test_case(suite, "alone");
    tcase_add_loop_test(tests, reset_now_and_release_now_give_all_back_at_once, 0, CROWD_CONFIGS);
    tests = test_case(suite, "limit");
    tcase_add_loop_test(tests, full_arena_is_emptied_under_fire, 0, CROWD_CONFIGS);
    tcase_add_loop_test(tests, limit_of_a_generation_holds, 0, CROWD_CONFIGS);
    return test_main(suite);
}
