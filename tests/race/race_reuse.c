/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of released arenas come back at the same addresses: nothing that a thread knows of the old arena there, its
 * view or its lane, may match the new one. */
#include "config.h" /* first: GNU interfaces */

#include "../support/provider.h"
#include "../support/stamp.h"
#include "meet.h"
#include <harena/shared.h>

#define PAIR    2 /* arenas at a time, which each thread uses in turn; their records change places */
#define OBJECTS 24 /* of one thread in one arena */
#define SEEN    64 /* addresses that are remembered */

static struct {
    harena_provider *provider;
    harena_shared_options options;
    harena_shared *pair[PAIR];
    void *handles[SEEN], *views[MEET_THREADS][SEEN];
    unsigned handle_count, view_counts[MEET_THREADS];
    unsigned handles_reused, views_reused[MEET_THREADS];
    unsigned round;
    char *objects[MEET_THREADS][PAIR][OBJECTS];
} race;

static size_t size_of(unsigned object)
{
    return 16 + 40 * object % 900;
}

static uint64_t stamp_of(unsigned thread, unsigned arena, unsigned object)
{
    return test_stamp(thread, ((uint64_t)race.round * PAIR + arena) * OBJECTS + object);
}

/* Whether the address was there before; it is from now on. */
static bool was_seen(void **seen, unsigned *count, void *address)
{
    for (unsigned i = 0; i < *count && i < SEEN; i++)
        if (seen[i] == address)
            return true;
    seen[(*count)++ % SEEN] = address;
    return false;
}

/* A thread's first look at an arena, which may lie where another one was: a lane is new, and has nothing. */
static void look(unsigned thread, harena_shared *shared)
{
    harena_view *view = harena_shared_enter(shared);
    harena *lane = harena_view_lane(view);
    void *root;

    race.views_reused[thread] += was_seen(race.views[thread], &race.view_counts[thread], view);
    TEST_EXPECT_MSG(harena_cap(lane) == 0 && harena_len(lane) == 0 && lane->cursor == lane->limit,
                    "a fresh generation has a lane with %zu bytes", harena_cap(lane));
    root = atomic_load_explicit(harena_view_root(view), memory_order_acquire);
    TEST_EXPECT_MSG(root == NULL || harena_view_contains(view, root),
                    "a fresh generation has the root of an old one");
    harena_shared_leave(shared, view);
}

/* The root is not NULL any more, for those who come when the record is another generation's. */
static void show(harena_shared *shared, void *object)
{
    harena_view *view = harena_shared_enter(shared);

    atomic_store_explicit(harena_view_root(view), object, memory_order_release);
    harena_shared_leave(shared, view);
}

/* With the inline paths, which know nothing but the handle: every second thread does not look before. */
static void fill(unsigned thread, unsigned round)
{
    char *at;

    (void)round;
    for (unsigned arena = 0; thread % 2 == 0 && arena < PAIR; arena++)
        look(thread, race.pair[arena]);
    for (unsigned i = 0; i < PAIR * OBJECTS && !test_failed(); i++) {
        harena_shared *shared = race.pair[i % PAIR];

        MEET(thread, shared, at = harena_shared_alloc(shared, size_of(i / PAIR)));
        race.objects[thread][i % PAIR][i / PAIR] = at;
        if (TEST_EXPECT(at != NULL))
            test_stamp_fill(at, size_of(i / PAIR), stamp_of(thread, i % PAIR, i / PAIR));
    }
    for (unsigned arena = 0; arena < PAIR; arena++)
        show(race.pair[arena], race.objects[thread][arena][0]);
}

/* Every object lies in the arena it was asked of, and in nobody else's. */
static void verify(void)
{
    for (unsigned thread = 0; thread < MEET_THREADS; thread++)
        for (unsigned arena = 0; arena < PAIR; arena++)
            for (unsigned i = 0; i < OBJECTS; i++) {
                const char *at = race.objects[thread][arena][i];

                TEST_EXPECT_MSG(harena_shared_contains(race.pair[arena], at),
                                "an object of a new arena lies outside of it");
                TEST_EXPECT_MSG(test_stamp_intact(at, size_of(i), stamp_of(thread, arena, i)),
                                "an object of thread %u has changed", thread);
            }
}

/* Other arenas, in records that have just been given back: at once, or after a grace period. */
static void replace(unsigned round)
{
    if (round > 0)
        verify();
    for (unsigned arena = 0; arena < PAIR; arena++)
        (round % 4 == 0 ? harena_shared_release : harena_shared_release_now)(race.pair[arena]);
    if (round % 4 == 0)
        TEST_EXPECT(harena_provider_barrier(race.provider) == 0);
    TEST_EXPECT(test_stats(race.provider).in_use == 0);
    for (unsigned arena = 0; arena < PAIR; arena++) {
        race.pair[arena] = harena_shared_create(&race.options);
        TEST_EXPECT(race.pair[arena] != NULL);
        race.handles_reused += was_seen(race.handles, &race.handle_count, race.pair[arena]);
    }
    race.round = round;
}

/* CELL shared: alloc x alloc */
START_TEST(nothing_of_an_old_arena_matches_a_new_one_at_its_address)
{
    static const meet_operation alloc = {"alloc", fill};
    const test_flavor *flavor = &test_flavors[TEST_MEMB];
    unsigned rounds = test_rounds(200), views_reused = 0;
    char more[256];
    size_t used;

    memset(&race, 0, sizeof(race));
    test_flavor_register(flavor);
    race.provider = test_provider(flavor->rcu, 0, 0);
    race.options = (harena_shared_options)HARENA_SHARED_OPTIONS_INIT;
    race.options.provider = race.provider;
    race.options.rcu = flavor->rcu;
    race.options.lanes = _i == 0 ? 0 : 2;
    meet_run(flavor, &alloc, &alloc, &alloc, rounds, replace, more);
    for (unsigned arena = 0; arena < PAIR; arena++)
        harena_shared_release(race.pair[arena]);
    test_provider_finish(race.provider);
    test_flavor_unregister(flavor);
    for (unsigned thread = 0; thread < MEET_THREADS; thread++)
        views_reused += race.views_reused[thread];
    ck_assert_uint_ge(race.handles_reused, rounds);
    ck_assert_uint_ge(views_reused, rounds);
    used = strlen(more);
    snprintf(more + used, sizeof(more) - used, " handles_reused=%u views_reused=%u",
             race.handles_reused, views_reused);
    RACE_RAN_MORE(MEET_THREADS, meet.done, more);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_reuse");
    TCase *tests = test_case(suite, "reuse");

    tcase_add_loop_test(tests, nothing_of_an_old_arena_matches_a_new_one_at_its_address, 0, 2);
    return test_main(suite);
}
