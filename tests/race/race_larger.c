/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects of 2 to 16 KiB, with small ones among them, by lanes of one shared arena: windows that become longer in place,
 * runs of a lane's own, and rests that all share. Nobody's bytes are another's, and what is asked for as zero is. */
#include "config.h" /* first: GNU interfaces */

#include "../support/provider.h"
#include "../support/stamp.h"
#include "meet.h"
#include <harena.h>

#define OBJECTS 240 /* of one thread between two resets: some 1.5 MB */

/* What the arena is. */
enum { PLAIN, ZERO, CROWDED, KINDS };

static struct {
    int kind;
    harena_provider *provider;
    harena_shared *shared;
    harena *others[MEET_THREADS]; /* CROWDED: their chunks stand in the way of runs */
    test_rng rngs[MEET_THREADS];
    unsigned round;
    struct {
        char *at;
        size_t size;
    } objects[MEET_THREADS][OBJECTS];
} race;

static uint64_t stamp_of(unsigned thread, unsigned object)
{
    return test_stamp(thread, (uint64_t)race.round * OBJECTS + object);
}

/* Sizes that leave much of a chunk over keep coming back. */
static size_t next_size(unsigned thread, unsigned round)
{
    static const size_t sizes[] = {3000, 4112, 11000, 14000};
    test_rng *rng = &race.rngs[thread];

    switch (test_below(rng, 8)) {
    case 0:
        return test_between(rng, 16, 500);
    case 1:
        return test_between(rng, 2048, 16384);
    default:
        return sizes[(thread + round) % (sizeof(sizes) / sizeof(*sizes))];
    }
}

static void fill(unsigned thread, unsigned round)
{
    for (unsigned i = 0; i < OBJECTS && !test_failed(); i++) {
        bool zeroed = test_below(&race.rngs[thread], 6) == 0;
        size_t size = next_size(thread, round);
        char *at;

        if (race.kind == CROWDED && test_below(&race.rngs[thread], 16) == 0)
            TEST_EXPECT(harena_alloc(race.others[thread], 40000) != NULL);
        MEET(thread, race.shared,
             at = zeroed ? harena_shared_alloc_zeroed(race.shared, size)
                         : harena_shared_alloc(race.shared, size));
        race.objects[thread][i].at = at;
        race.objects[thread][i].size = size;
        if (!TEST_EXPECT(at != NULL))
            return;
        TEST_EXPECT_MSG((!zeroed && race.kind != ZERO) || test_all_zero(at, size),
                        "%zu bytes are not zero", size);
        test_stamp_fill(at, size, stamp_of(thread, i));
    }
}

static void verify(void)
{
    size_t bytes = 0;

    for (unsigned thread = 0; thread < MEET_THREADS; thread++)
        for (unsigned i = 0; i < OBJECTS; i++) {
            const char *at = race.objects[thread][i].at;
            size_t size = race.objects[thread][i].size;

            bytes += size;
            TEST_EXPECT_MSG(test_stamp_intact(at, size, stamp_of(thread, i)),
                            "%zu bytes of thread %u have changed", size, thread);
            TEST_EXPECT_MSG(harena_shared_contains(race.shared, at) &&
                                harena_shared_contains(race.shared, at + size - 1),
                            "%zu bytes are not all their arena's", size);
        }
    TEST_EXPECT(harena_shared_len(race.shared) >= bytes);
    TEST_EXPECT(harena_shared_cap(race.shared) >= harena_shared_len(race.shared));
}

/* The next round's memory is dirty, and lies where other threads' was. */
static void empty(unsigned round)
{
    if (round > 0)
        verify();
    TEST_EXPECT(harena_shared_reset_now(race.shared) == 0);
    for (unsigned thread = 0; race.kind == CROWDED && thread < MEET_THREADS; thread++)
        harena_reset(race.others[thread]);
    race.round = round;
}

static harena *create_other(void)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = race.provider;
    return harena_create(&options);
}

/* CELL shared: alloc x alloc */
START_TEST(larger_objects_of_many_threads_are_each_ones_own)
{
    static const meet_operation alloc = {"alloc", fill};
    const test_flavor *flavor = &test_flavors[TEST_MEMB];
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    char more[256];

    memset(&race, 0, sizeof(race));
    race.kind = _i;
    test_flavor_register(flavor);
    race.provider = test_provider(flavor->rcu, 0, 0);
    options.provider = race.provider;
    options.rcu = flavor->rcu;
    options.zero = race.kind == ZERO;
    race.shared = harena_shared_create(&options);
    ck_assert_ptr_nonnull(race.shared);
    for (unsigned thread = 0; thread < MEET_THREADS; thread++) {
        race.rngs[thread] = test_rng_for(MEET_THREADS * (unsigned)_i + thread);
        race.others[thread] = create_other();
        ck_assert_ptr_nonnull(race.others[thread]);
    }
    meet_run(flavor, &alloc, &alloc, &alloc, test_rounds(30), empty, more);
    for (unsigned thread = 0; thread < MEET_THREADS; thread++)
        harena_release(race.others[thread]);
    harena_shared_release_now(race.shared);
    test_provider_finish(race.provider);
    test_flavor_unregister(flavor);
    RACE_RAN_MORE(MEET_THREADS, meet.done, more);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_larger");
    TCase *tests = test_case(suite, "larger objects");

    tcase_add_loop_test(tests, larger_objects_of_many_threads_are_each_ones_own, 0, KINDS);
    return test_main(suite);
}
