/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that use two shared arenas in turn: all that they write in either stays whole, and lies close. */
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include <harena/shared.h>

#define PAIRS     8    /* threads, each with both arenas */
#define TURNS     4000 /* objects of one of them in one of the arenas */
#define TURN_SIZE 100  /* bytes */
#define BATCH     25   /* turns in one section, or without giving the processor away */

static harena_provider *provider;
static harena_shared *shared[2];

/* By arena and thread: all objects of the one, or of the first arena alone where the second is reset. */
static void **turns[2];

static unsigned each; /* turns of a thread in each arena */

static void begin(uint32_t lanes)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    each = (test_rounds(TURNS) + BATCH - 1) / BATCH * BATCH;
    provider = test_provider(NULL, 0, 0);
    options.provider = provider;
    options.lanes = lanes;
    for (unsigned arena = 0; arena < 2; arena++) {
        shared[arena] = harena_shared_create(&options);
        turns[arena] = calloc(PAIRS * (size_t)each, sizeof(void *));
        ck_assert(shared[arena] != NULL && turns[arena] != NULL);
    }
}

static uint64_t turn_stamp(unsigned arena, unsigned index, unsigned turn)
{
    return test_stamp(2 * index + arena, turn);
}

/* `at` becomes that turn's object. */
static bool take_turn(void *at, unsigned arena, unsigned index, unsigned turn)
{
    turns[arena][index * each + turn] = at;
    if (!TEST_EXPECT(at != NULL))
        return false;
    test_stamp_fill(at, TURN_SIZE, turn_stamp(arena, index, turn));
    return true;
}

/* Objects [from, to) of a thread are what they were when they were written. */
static void verify_turns(unsigned arena, unsigned index, unsigned from, unsigned to)
{
    for (unsigned turn = from; turn < to && !test_failed(); turn++)
        TEST_EXPECT_MSG(test_stamp_intact(turns[arena][index * each + turn], TURN_SIZE,
                                          turn_stamp(arena, index, turn)),
                        "arena %u: object %u of thread %u has changed", arena, turn, index);
}

static int by_address(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;

    return (a > b) - (a < b);
}

/* When all threads have ended: all objects are whole, none lies in another, and little is held beside them. */
static void verify_arena(unsigned arena)
{
    const size_t count = PAIRS * (size_t)each, apart = (TURN_SIZE + 15) / 16 * 16;

    for (unsigned index = 0; index < PAIRS; index++)
        verify_turns(arena, index, 0, each);
    TEST_NO_FAILURE();
    qsort(turns[arena], count, sizeof(void *), by_address);
    for (size_t i = 1; i < count; i++)
        ck_assert_uint_ge((uintptr_t)turns[arena][i] - (uintptr_t)turns[arena][i - 1], apart);
    ck_assert_uint_ge(harena_shared_len(shared[arena]), count * TURN_SIZE);
    /* a lease for each thread, at most a chunk, and the open chunk */
    ck_assert_uint_le(harena_shared_cap(shared[arena]),
                      count * apart * 11 / 10 + (PAIRS + 1) * HARENA_CHUNK_SIZE);
}

static void end(void)
{
    for (unsigned arena = 0; arena < 2; arena++) {
        harena_shared_release(shared[arena]);
        free(turns[arena]);
    }
    test_provider_finish(provider);
}

static void alternate(void *ctx, unsigned index)
{
    unsigned turn;

    (void)ctx;
    for (turn = 0; turn < each && !test_failed(); turn++) {
        if (turn % BATCH == 0)
            sched_yield();
        if (!take_turn(harena_shared_alloc(shared[0], TURN_SIZE), 0, index, turn) ||
            !take_turn(harena_shared_alloc(shared[1], TURN_SIZE), 1, index, turn))
            return;
    }
}

/* CELL shared: alloc x alloc */
START_TEST(threads_alternate_between_two_arenas)
{
    const test_role roles[] = {{alternate, PAIRS}, {NULL, 0}};

    begin((uint32_t)_i);
    test_team(roles, NULL);
    verify_arena(0);
    verify_arena(1);
    ck_assert_uint_eq(test_stats(provider).in_use,
                      harena_shared_cap(shared[0]) + harena_shared_cap(shared[1]));
    end();
    RACE_RAN(PAIRS, each);
}
END_TEST

/* What lies in the second arena is whole until the view is left, whoever resets it. */
static void alternate_in_views(void *ctx, unsigned index)
{
    unsigned turn, i;
    test_rng rng = test_rng_for(index);
    harena_view *views[2];

    (void)ctx;
    for (turn = 0; turn < each && !test_failed(); turn += BATCH) {
        views[0] = harena_shared_enter(shared[0]);
        views[1] = harena_shared_enter(shared[1]);
        for (i = turn; i < turn + BATCH; i++)
            if (!take_turn(harena_view_alloc(views[0], TURN_SIZE), 0, index, i) ||
                !take_turn(harena_view_alloc(views[1], TURN_SIZE), 1, index, i))
                break;
        sched_yield(); /* others may reset it */
        verify_turns(0, index, turn, i);
        verify_turns(1, index, turn, i);
        harena_shared_leave(shared[1], views[1]);
        harena_shared_leave(shared[0], views[0]);
        if (test_once_in(&rng, 8))
            TEST_EXPECT(harena_shared_reset(shared[1]) == 0);
    }
}

/* CELL shared: alloc x reset */
START_TEST(threads_alternate_between_two_arenas_and_reset_one)
{
    const test_role roles[] = {{alternate_in_views, PAIRS}, {NULL, 0}};

    begin((uint32_t)_i);
    test_team(roles, NULL);
    verify_arena(0);
    ck_assert_int_eq(harena_shared_reset(shared[1]), 0);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(harena_shared_cap(shared[1]), 0);
    ck_assert_uint_eq(test_stats(provider).in_use, harena_shared_cap(shared[0]));
    end();
    RACE_RAN(PAIRS, each);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_two_arenas");
    TCase *tests = test_case(suite, "two arenas");

    tcase_add_loop_test(tests, threads_alternate_between_two_arenas, 0, 2);
    tcase_add_loop_test(tests, threads_alternate_between_two_arenas_and_reset_one, 0, 2);
    return test_main(suite);
}
