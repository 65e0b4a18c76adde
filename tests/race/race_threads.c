/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that come and go, that are many, that end in odd ways: identities are given back, no two threads share a
 * window, memory stays small. */
#include "../support/flavor.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include "sanitizer.h"
#include <errno.h>
#include <harena/shared.h>
#include "thread.h" /* declares one word of the former once more */
#include <limits.h>

#define LEAST_LEASE 512  /* bytes: what a thread's first allocation claims, says harena_shared(3) */
#define OBJECTS     8192 /* of one test, at most */
#define SIZE        64   /* bytes of most of them */
#define OTHERS      2 /* threads with a number beside a test's: the one that began it, and RCU's */

static struct {
    harena_provider *provider;
    harena_shared *shared;
    pthread_key_t key;
    pthread_barrier_t all_here;
    atomic_uint ended, allocated;
    void *objects[OBJECTS];
} race;

/* bp: threads need no registration, also not in their destructors. */
static void begin(uint32_t lanes)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    memset(&race, 0, sizeof(race));
    race.provider = test_provider(NULL, 0, 0);
    options.provider = race.provider;
    options.lanes = lanes;
    race.shared = harena_shared_create(&options);
    ck_assert_ptr_nonnull(race.shared);
}

static int by_address(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;

    return (a > b) - (a < b);
}

/* All objects are what they were when they were written, and `apart` bytes from each other. */
static void verify_objects(size_t apart)
{
    unsigned count = test_count(&race.allocated);

    ck_assert_uint_le(count, OBJECTS);
    for (unsigned i = 0; i < count; i++)
        ck_assert_msg(test_stamp_intact(race.objects[i], SIZE, i), "object %u has changed", i);
    qsort(race.objects, count, sizeof(race.objects[0]), by_address);
    for (unsigned i = 1; i < count; i++)
        ck_assert_uint_ge((uintptr_t)race.objects[i] - (uintptr_t)race.objects[i - 1], apart);
}

static void end(void)
{
    TEST_NO_FAILURE();
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
}

/* An object that verify_objects will look at. */
static void keep(void *at)
{
    unsigned number;

    if (!TEST_EXPECT(at != NULL))
        return;
    number = atomic_fetch_add_explicit(&race.allocated, 1, memory_order_relaxed);
    if (!TEST_EXPECT(number < OBJECTS))
        return;
    test_stamp_fill(at, SIZE, number);
    race.objects[number] = at;
}

static void allocate_one(void *ctx, unsigned index)
{
    (void)ctx;
    (void)index;
    keep(harena_shared_alloc(race.shared, SIZE));
}

/* ---- one after the other ---- */

#define THOUSAND 1000

START_TEST(a_thousand_threads_in_turn_use_one_thread_s_memory)
{
    const size_t bytes = (size_t)THOUSAND * SIZE;
    test_thread thread;
    unsigned i;

    begin((uint32_t)_i);
    for (i = 0; i < THOUSAND; i++) {
        test_spawn(&thread, allocate_one, NULL, i);
        test_join(&thread);
    }
    verify_objects(SIZE);
    ck_assert_uint_ge(harena_shared_len(race.shared), bytes);
    /* not a lease for each thread: each goes on where the one before has ended */
    ck_assert_uint_le(harena_shared_cap(race.shared), bytes * 11 / 10);
    ck_assert_uint_eq(test_stats(race.provider).in_use, harena_shared_cap(race.shared));
    end();
    RACE_RAN(1, THOUSAND);
}
END_TEST

static void expect_a_lane(void *ctx, unsigned index)
{
    harena_view *view = harena_shared_enter(race.shared);
    bool window = false;
    harena *lane;
    unsigned i;

    (void)ctx;
    for (i = 0; i < 2; i++) { /* once, its window may have been used up exactly */
        lane = harena_view_lane(view);
        TEST_EXPECT(harena_alloc(lane, 48) != NULL);
        window |= lane->cursor < lane->limit || hri_sanitizer_is_on();
    }
    TEST_EXPECT_MSG(window, "thread %u has no window", index);
    harena_shared_leave(race.shared, view);
}

static void expect_a_low_number(void *most, unsigned index)
{
    uint32_t number = hri_thread_index();

    TEST_EXPECT_MSG(number < *(unsigned *)most + OTHERS,
                    "a fresh thread is number %u: others have been lost", number);
    pthread_barrier_wait(&race.all_here); /* all are alive now, each with a number of its own */
    expect_a_lane(NULL, index);
}

/* Where `most` threads were alive at once, at most, as many more do with the numbers of those. */
static void expect_no_number_lost(unsigned most)
{
    const test_role roles[] = {{expect_a_low_number, most}, {NULL, 0}};

    ck_assert_int_eq(pthread_barrier_init(&race.all_here, NULL, most), 0);
    test_team(roles, &most);
    pthread_barrier_destroy(&race.all_here);
}

START_TEST(identity_and_lane_of_an_ended_thread_serve_the_next)
{
    test_thread thread;
    unsigned i;

    begin(0);
    for (i = 0; i < 200; i++) { /* more than lanes */
        test_spawn(&thread, expect_a_lane, NULL, i);
        test_join(&thread);
    }
    end();
    RACE_RAN(1, 200);
}
END_TEST

/* ---- a thousand at once ---- */

static struct {
    const harena *lane; /* first: by_address */
    size_t leased;
} found[THOUSAND];

static void allocate_in_a_crowd(void *ctx, unsigned index)
{
    harena_view *view = harena_shared_enter(race.shared);
    harena *lane = harena_view_lane(view);

    (void)ctx;
    keep(harena_view_alloc(view, SIZE));
    found[index].lane = lane;
    found[index].leased = harena_cap(lane);
    harena_shared_leave(race.shared, view);
    pthread_barrier_wait(&race.all_here); /* all are alive now, each with an identity of its own */
}

static void spawn_a_thousand(void)
{
    static test_thread threads[THOUSAND];
    pthread_attr_t small;

    ck_assert_int_eq(pthread_barrier_init(&race.all_here, NULL, THOUSAND), 0);
    ck_assert_int_eq(pthread_attr_init(&small), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&small, 128 * 1024), 0);
    for (unsigned i = 0; i < THOUSAND; i++) {
        threads[i] = (test_thread){.run = allocate_in_a_crowd, .index = i};
        ck_assert_int_eq(pthread_create(&threads[i].id, &small, test_thread_start, &threads[i]), 0);
    }
    for (unsigned i = 0; i < THOUSAND; i++)
        test_join(&threads[i]);
    pthread_attr_destroy(&small);
    pthread_barrier_destroy(&race.all_here);
    TEST_NO_FAILURE();
}

/* With a lane for each: the smallest lease for each, all of them apart, and next to nothing beside. */
START_TEST(a_thousand_live_threads_hold_their_smallest_leases)
{
    size_t least = SIZE_MAX, leases = 0, held;

    begin(1024);
    spawn_a_thousand();
    verify_objects(LEAST_LEASE);
    qsort(found, THOUSAND, sizeof(found[0]), by_address);
    for (unsigned i = 0; i < THOUSAND; i++) {
        least = found[i].leased < least ? found[i].leased : least;
        leases += found[i].leased;
        if (i > 0)
            ck_assert_ptr_ne(found[i].lane, found[i - 1].lane);
    }
    held = harena_shared_cap(race.shared);
    ck_assert_uint_eq(least, LEAST_LEASE);
    ck_assert_uint_eq(leases, THOUSAND * least); /* no thread's is larger */
    ck_assert_uint_ge(held, leases);
    ck_assert_uint_le(held, THOUSAND * least * 11 / 10);
    ck_assert_uint_eq(test_stats(race.provider).in_use, held);
    end();
    RACE_RAN(THOUSAND, 1);
}
END_TEST

/* With a lane for few of them: the others take no more than their objects, whole chunks apart. */
START_TEST(a_thousand_live_threads_beyond_the_lanes_hold_their_objects)
{
    const unsigned lanes = _i == 0 ? 64 : 1;
    const size_t least = lanes * (size_t)LEAST_LEASE + (THOUSAND - lanes) * (size_t)SIZE;

    begin((uint32_t)_i);
    spawn_a_thousand();
    verify_objects(SIZE);
    ck_assert_uint_le(harena_shared_len(race.shared), least);
    ck_assert_uint_le(harena_shared_cap(race.shared),
                      (least + HARENA_CHUNK_SIZE - 1) / HARENA_CHUNK_SIZE * HARENA_CHUNK_SIZE);
    end();
    RACE_RAN(THOUSAND, 1);
}
END_TEST

/* ---- many at once ---- */

#define TOGETHER 48  /* threads */
#define EACH     300 /* objects of one of them */

static void allocate_together(void *ctx, unsigned index)
{
    void *objects[EACH];
    unsigned i;

    (void)ctx;
    for (i = 0; i < EACH; i++) {
        objects[i] = harena_shared_alloc(race.shared, 48 + i % 20);
        if (!TEST_EXPECT(objects[i] != NULL))
            break;
        test_stamp_fill(objects[i], 48 + i % 20, test_stamp(index, i));
        if (i == 0) /* all are alive now, each with an identity of its own */
            pthread_barrier_wait(&race.all_here);
    }
    pthread_barrier_wait(&race.all_here);
    while (i > 0) {
        i--;
        TEST_EXPECT_MSG(test_stamp_intact(objects[i], 48 + i % 20, test_stamp(index, i)),
                        "an object of thread %u has changed", index);
    }
}

/* CELL shared: alloc x alloc */
START_TEST(more_threads_than_lanes_never_share_a_window)
{
    const test_role roles[] = {{allocate_together, TOGETHER}, {NULL, 0}};
    unsigned round, rounds = test_rounds(8);

    begin((uint32_t)_i);
    ck_assert_int_eq(pthread_barrier_init(&race.all_here, NULL, TOGETHER), 0);
    for (round = 0; round < rounds; round++) {
        test_team(roles, NULL);
        ck_assert_int_eq(harena_shared_reset_now(race.shared), 0); /* all lanes are free again */
    }
    pthread_barrier_destroy(&race.all_here);
    end();
    RACE_RAN(TOGETHER, rounds);
}
END_TEST

/* ---- detached ---- */

/* Rounds in which a destructor of this test runs. ThreadSanitizer gives up its own record of a thread
 * in the last one: nothing that it sees may happen there, also not in the destructor of liburcu-bp,
 * which comes a round after the last section. In the last of these the thread's number is back. */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - (TEST_TSAN ? 2 : 0))

#define DETACHED 400
#define AT_ONCE  8 /* of them, when one more comes */

static _Thread_local unsigned destructor_rounds;

static void count_at_the_end(void *value)
{
    if (++destructor_rounds < ROUNDS)
        pthread_setspecific(race.key, value);
    else
        atomic_fetch_add(&race.ended, 1);
}

static void *allocate_detached(void *arg)
{
    (void)arg;
    keep(harena_shared_alloc(race.shared, SIZE));
    pthread_setspecific(race.key, &race);
    return NULL;
}

START_TEST(detached_threads_leave_nothing_behind)
{
    /* leases double, from the least: what a lane has left is less than it has used, and that */
    const size_t leases = 2 * (size_t)DETACHED * SIZE + (AT_ONCE + 1 + OTHERS) * LEAST_LEASE;
    pthread_attr_t detached;
    pthread_t id;

    begin(0);
    ck_assert_int_eq(pthread_key_create(&race.key, count_at_the_end), 0);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (unsigned i = 0; i < DETACHED; i++) {
        ck_assert_int_eq(pthread_create(&id, &detached, allocate_detached, NULL), 0);
        TEST_AWAIT(atomic_load(&race.ended) + AT_ONCE > i);
    }
    TEST_AWAIT(atomic_load(&race.ended) == DETACHED);
    pthread_attr_destroy(&detached);
    pthread_key_delete(race.key);
    ck_assert_uint_eq(test_count(&race.allocated), DETACHED);
    verify_objects(SIZE);
    ck_assert_uint_le(harena_shared_cap(race.shared), /* one chunk; with a lease for each: four */
                      (leases + HARENA_CHUNK_SIZE - 1) / HARENA_CHUNK_SIZE * HARENA_CHUNK_SIZE);
    expect_no_number_lost(AT_ONCE + 1);
    end();
    RACE_RAN(AT_ONCE + 1, DETACHED);
}
END_TEST

/* ---- destructors that allocate ---- */

#define CHURNS 4  /* threads that let others live and end, so that some begin while others end */
#define LIVES  50 /* of each */
#define ALIVE  16 /* objects of a thread before it ends, and again in its last round */

/* In every round of destructors that there is: before Harena's own, and after it. */
static void allocate_in_destructor(void *value)
{
    unsigned objects = ++destructor_rounds < ROUNDS ? 1 : ALIVE;
    harena_view *view;
    harena *lane;

    while (objects-- > 0)
        keep(harena_shared_alloc(race.shared, SIZE));
    view = harena_shared_enter(race.shared);
    lane = harena_view_lane(view);
    keep(harena_alloc(lane, SIZE));
    if (destructor_rounds == PTHREAD_DESTRUCTOR_ITERATIONS)
        TEST_EXPECT_MSG(lane->cursor == lane->limit,
                        "a thread that has given its identity back has a window");
    harena_shared_leave(race.shared, view);
    if (destructor_rounds < ROUNDS)
        pthread_setspecific(race.key, value);
    else
        atomic_fetch_add_explicit(&race.ended, 1, memory_order_relaxed);
}

/* Half of the threads have the key before they have an identity. */
static void *allocate_and_end(void *number)
{
    bool before = (uintptr_t)number % 2 == 0;

    if (before)
        pthread_setspecific(race.key, &race);
    for (unsigned i = 0; i < ALIVE; i++)
        keep(harena_shared_alloc(race.shared, SIZE));
    if (!before)
        pthread_setspecific(race.key, &race);
    return NULL;
}

static void churn(void *ctx, unsigned index)
{
    pthread_t id;

    (void)ctx;
    (void)index;
    for (uintptr_t i = 0; i < LIVES && !test_failed(); i++)
        if (TEST_EXPECT(pthread_create(&id, NULL, allocate_and_end, (void *)i) == 0))
            TEST_EXPECT(pthread_join(id, NULL) == 0);
}

/* glibc runs the destructors of one round in the order of their keys, and the library's key is the older one: in the
 * last round ours comes after the identity was given back, and another thread may have it. */
START_TEST(destructors_may_allocate_at_any_time)
{
    const test_role roles[] = {{churn, CHURNS}, {NULL, 0}};
    const unsigned lives = CHURNS * LIVES, each = 2 * ALIVE + 2 * ROUNDS - 1;

    begin(0);
    ck_assert_int_eq(pthread_key_create(&race.key, allocate_in_destructor), 0);
    test_team(roles, NULL);
    ck_assert_uint_eq(test_count(&race.ended), lives);
    ck_assert_uint_eq(test_count(&race.allocated), lives * each);
    verify_objects(SIZE);
    /* what is left of the leases of a lane is less than is used of them */
    ck_assert_uint_le(harena_shared_cap(race.shared),
                      2 * (size_t)lives * each * SIZE + HARENA_CHUNK_SIZE);
    expect_no_number_lost(CHURNS); /* those that churn have none */
    pthread_key_delete(race.key);
    end();
    RACE_RAN(CHURNS, LIVES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_threads");
    TCase *tests = test_case(suite, "destructors");

    tcase_add_test(tests, destructors_may_allocate_at_any_time);
    tests = test_case(suite, "come and go");
    tcase_add_loop_test(tests, a_thousand_threads_in_turn_use_one_thread_s_memory, 0, 3);
    tcase_add_test(tests, identity_and_lane_of_an_ended_thread_serve_the_next);
    tcase_add_test(tests, detached_threads_leave_nothing_behind);
    tests = test_case(suite, "many");
    tcase_add_test(tests, a_thousand_live_threads_hold_their_smallest_leases);
    tcase_add_loop_test(tests, a_thousand_live_threads_beyond_the_lanes_hold_their_objects, 0, 2);
    tcase_add_loop_test(tests, more_threads_than_lanes_never_share_a_window, 0, 3);
    return test_main(suite);
}
