/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that come and go: identities are given back, memory stays small, an arena moves from one
 * thread to the next. */
#include "../support/flavor.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include <errno.h>
#include <harena/shared.h>
#include <limits.h>

static struct {
    harena_provider *provider;
    harena_shared *shared;
    pthread_key_t key;
    pthread_barrier_t all_here;
    atomic_uint ended, allocated;
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

static void end(void)
{
    TEST_NO_FAILURE();
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
}

/* One object of 64 bytes, written and read. */
static void allocate_one(void *ctx, unsigned index)
{
    void *at = harena_shared_alloc(race.shared, 64);

    (void)ctx;
    if (TEST_EXPECT(at != NULL)) {
        test_stamp_fill(at, 64, index);
        TEST_EXPECT(test_stamp_intact(at, 64, index));
        atomic_fetch_add(&race.allocated, 1);
    }
}

START_TEST(short_lived_threads_share_one_chunk)
{
    test_thread thread;
    unsigned i;

    begin((uint32_t)_i);
    for (i = 0; i < 1000; i++) {
        test_spawn(&thread, allocate_one, NULL, i);
        test_join(&thread);
    }
    /* 64,000 bytes and what little a lease leaves: not a lease for each thread */
    ck_assert_uint_ge(harena_shared_len(race.shared), 64000);
    ck_assert_uint_le(harena_shared_cap(race.shared), 2 * HARENA_CHUNK_SIZE);
    end();
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
        window |= lane->cursor < lane->limit;
    }
    TEST_EXPECT_MSG(window, "thread %u, alone, has no window", index);
    harena_shared_leave(race.shared, view);
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
}
END_TEST

/* ---- many at once ---- */

static void allocate_together(void *ctx, unsigned index)
{
    void *objects[20];
    unsigned i;

    (void)ctx;
    for (i = 0; i < 20; i++) {
        objects[i] = harena_shared_alloc(race.shared, 48 + i);
        if (!TEST_EXPECT(objects[i] != NULL))
            break;
        test_stamp_fill(objects[i], 48 + i, test_stamp(index, i));
        if (i == 0) /* all are alive now, each with an identity of its own */
            pthread_barrier_wait(&race.all_here);
    }
    pthread_barrier_wait(&race.all_here);
    while (i > 0) {
        i--;
        TEST_EXPECT_MSG(test_stamp_intact(objects[i], 48 + i, test_stamp(index, i)),
                        "an object of thread %u has changed", index);
    }
}

START_TEST(more_threads_than_lanes_never_share_a_window)
{
    const test_role roles[] = {{allocate_together, 48}, {NULL, 0}};
    unsigned round, rounds = test_rounds(8);

    begin((uint32_t)_i);
    ck_assert_int_eq(pthread_barrier_init(&race.all_here, NULL, 48), 0);
    for (round = 0; round < rounds; round++)
        test_team(roles, NULL);
    pthread_barrier_destroy(&race.all_here);
    end();
}
END_TEST

/* ---- detached ---- */

static void *allocate_detached(void *arg)
{
    allocate_one(NULL, (unsigned)(uintptr_t)arg);
    atomic_fetch_add(&race.ended, 1);
    return NULL;
}

START_TEST(detached_threads_leave_nothing_behind)
{
    unsigned i, count = test_rounds(400);
    pthread_attr_t detached;
    pthread_t id;

    begin(0);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (i = 0; i < count; i++) {
        ck_assert_int_eq(pthread_create(&id, &detached, allocate_detached, (void *)(uintptr_t)i),
                         0);
        TEST_AWAIT(atomic_load(&race.ended) + 8 > i); /* a few at a time */
    }
    TEST_AWAIT(atomic_load(&race.ended) == count);
    pthread_attr_destroy(&detached);
    ck_assert_uint_eq(test_count(&race.allocated), count);
    ck_assert_uint_le(harena_shared_cap(race.shared), (count / 1000 + 1) * 4 * HARENA_CHUNK_SIZE);
    end();
}
END_TEST

/* ---- destructors that allocate ---- */

/* Rounds in which a destructor of this test runs. ThreadSanitizer gives up its own record of a thread
 * in the last one: nothing that it sees may happen there, also not in the destructor of liburcu-bp,
 * which comes a round after the last section. */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - (TEST_TSAN ? 2 : 0))

static _Thread_local unsigned destructor_rounds;

/* Runs in every round of destructors that there is: before Harena's own, and after it. */
static void allocate_in_destructor(void *value)
{
    harena_view *view;

    allocate_one(NULL, 7);
    view = harena_shared_enter(race.shared);
    TEST_EXPECT(harena_alloc(harena_view_lane(view), 64) != NULL);
    harena_shared_leave(race.shared, view);
    if (++destructor_rounds < ROUNDS)
        pthread_setspecific(race.key, value);
    else
        atomic_fetch_add(&race.ended, 1);
}

static void key_first(void *ctx, unsigned index)
{
    pthread_setspecific(race.key, ctx);
    allocate_one(NULL, index);
}

static void use_first(void *ctx, unsigned index)
{
    allocate_one(NULL, index);
    pthread_setspecific(race.key, ctx);
}

/* glibc runs the destructors of one round in the order of their keys, and the library's key is the
 * older one: in the last round ours comes after the identity was given back. */
START_TEST(destructors_may_allocate_at_any_time)
{
    unsigned i, count = 400;
    test_thread thread;

    begin(0);
    ck_assert_int_eq(pthread_key_create(&race.key, allocate_in_destructor), 0);
    for (i = 0; i < count; i++) {
        test_spawn(&thread, i % 2 == 0 ? key_first : use_first, &race, i);
        test_join(&thread);
    }
    ck_assert_uint_eq(test_count(&race.ended), count);
    ck_assert_uint_eq(test_count(&race.allocated), count * (ROUNDS + 1));
    /* up to 9 objects of 64 bytes of each thread, less than 4 chunks: no identity, no lane is lost */
    ck_assert_uint_le(harena_shared_cap(race.shared), 6 * HARENA_CHUNK_SIZE);
    pthread_key_delete(race.key);
    end();
}
END_TEST

/* ---- arenas that move ---- */

#define STAGES  4
#define MOVING  8 /* parcels under way between two stages, at most */
#define CONTENT 32

/* What moves: the arena, and what stage 1 has put into it. */
typedef struct parcel {
    harena *arena;
    unsigned number, count;
    size_t sizes[CONTENT];
    void *objects[CONTENT];
} parcel;

static struct {
    _Atomic(parcel *) to[STAGES][MOVING];
    unsigned rounds;
} line;

/* NULL: another thread has failed. */
static parcel *take_parcel(unsigned stage, unsigned slot)
{
    parcel *taken = NULL;

    TEST_AWAIT((taken = atomic_exchange_explicit(&line.to[stage][slot], NULL,
                                                 memory_order_acquire)) != NULL);
    return taken;
}

static bool lay_down(parcel *moving, unsigned stage, unsigned slot)
{
    parcel *none = NULL;

    return atomic_compare_exchange_strong_explicit(&line.to[stage][slot], &none, moving,
                                                   memory_order_release, memory_order_relaxed);
}

static void fill_parcel(parcel *moving, test_rng *rng)
{
    unsigned i, count = (unsigned)test_between(rng, 1, CONTENT);

    for (i = 0; i < count; i++) {
        moving->sizes[i] = (size_t)test_between(rng, 1, test_once_in(rng, 8) ? 70000 : 900);
        moving->objects[i] = harena_alloc(moving->arena, moving->sizes[i]);
        if (!TEST_EXPECT(moving->objects[i] != NULL))
            return;
        test_stamp_fill(moving->objects[i], moving->sizes[i], test_stamp(moving->number, i));
        moving->count = i + 1;
    }
}

static void verify_parcel(const parcel *moving)
{
    unsigned i;

    for (i = 0; i < moving->count; i++) {
        TEST_EXPECT_MSG(
            test_stamp_intact(moving->objects[i], moving->sizes[i], test_stamp(moving->number, i)),
            "an object changed while its arena moved");
        TEST_EXPECT(harena_contains(moving->arena, moving->objects[i]));
    }
}

/* Stage 0 creates, 1 fills, 2 reads and resets half of them, 3 reads and releases. */
static void work_in_line(void *ctx, unsigned stage)
{
    harena_options options = HARENA_OPTIONS_INIT;
    test_rng rng = test_rng_for(stage);
    unsigned round, slot;
    parcel *moving;

    (void)ctx;
    options.provider = race.provider;
    for (round = 0; round < line.rounds; round++) {
        slot = round % MOVING;
        moving = stage == 0 ? calloc(1, sizeof(*moving)) : take_parcel(stage, slot);
        if (moving == NULL)
            break;
        if (stage == 0) {
            moving->number = round;
            moving->arena = harena_create(&options);
            TEST_EXPECT(moving->arena != NULL);
        } else if (stage == 1) {
            fill_parcel(moving, &rng);
        } else {
            verify_parcel(moving);
        }
        if (stage == 2 && round % 2 == 0) {
            harena_reset(moving->arena);
            TEST_EXPECT(harena_len(moving->arena) == 0);
            moving->count = 0;
            fill_parcel(moving, &rng);
        }
        if (stage < STAGES - 1) {
            TEST_AWAIT(lay_down(moving, stage + 1, slot));
        } else {
            harena_release(moving->arena);
            free(moving);
        }
        if (test_failed())
            break;
    }
}

START_TEST(arena_moves_between_threads)
{
    const test_role roles[] = {{work_in_line, STAGES}, {NULL, 0}};

    begin(0);
    memset(&line, 0, sizeof(line));
    line.rounds = test_rounds(1200);
    test_team(roles, NULL);
    end();
}
END_TEST

/* ---- two arenas in turn ---- */

static harena_shared *second;

static void alternate(void *ctx, unsigned index)
{
    unsigned i, rounds = test_rounds(4000);
    void *objects[2][16];
    harena_shared *shared;

    (void)ctx;
    for (i = 0; i < rounds && !test_failed(); i++) {
        shared = i % 2 == 0 ? race.shared : second;
        if (i >= 32)
            TEST_EXPECT_MSG(
                test_stamp_intact(objects[i % 2][i / 2 % 16], 100, test_stamp(index, i - 32)),
                "an object changed while its thread used another arena");
        objects[i % 2][i / 2 % 16] = harena_shared_alloc(shared, 100);
        if (!TEST_EXPECT(objects[i % 2][i / 2 % 16] != NULL))
            break;
        test_stamp_fill(objects[i % 2][i / 2 % 16], 100, test_stamp(index, i));
    }
}

START_TEST(threads_alternate_between_two_arenas)
{
    const test_role roles[] = {{alternate, 8}, {NULL, 0}};
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    begin((uint32_t)_i);
    options.provider = race.provider;
    options.lanes = (uint32_t)_i;
    second = harena_shared_create(&options);
    ck_assert_ptr_nonnull(second);
    test_team(roles, NULL);
    harena_shared_release(second);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_threads");
    TCase *tests = test_case(suite, "destructors");

    tcase_add_test(tests, destructors_may_allocate_at_any_time);
    tests = test_case(suite, "come and go");
    tcase_add_loop_test(tests, short_lived_threads_share_one_chunk, 0, 3);
    tcase_add_test(tests, identity_and_lane_of_an_ended_thread_serve_the_next);
    tcase_add_test(tests, detached_threads_leave_nothing_behind);
    tests = test_case(suite, "many");
    tcase_add_loop_test(tests, more_threads_than_lanes_never_share_a_window, 0, 3);
    tests = test_case(suite, "move");
    tcase_add_test(tests, arena_moves_between_threads);
    tests = test_case(suite, "two arenas");
    tcase_add_loop_test(tests, threads_alternate_between_two_arenas, 0, 2);
    return test_main(suite);
}
