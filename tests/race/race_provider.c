/* SPDX-License-Identifier: BSD-2-Clause */
/* Races on one provider: chunks and runs handed out, put back by other threads, limited, trimmed. */
#include "chunks.h"
#include <harena/arena.h>
#include <unistd.h>

#define THREADS 8
#define HELD    16 /* chunks that one thread holds at most */
#define SLOTS   64 /* where threads exchange chunks */

static _Atomic(void *) slots[SLOTS];

/* Gets and puts at random; holds up to HELD. */
static void get_and_put(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    void *held[HELD];
    unsigned count = 0, i, at;

    (void)ctx;
    for (i = 0; i < race.rounds && !test_failed(); i++) {
        if (count < HELD && test_below(&rng, HELD) >= count) {
            held[count] = chunk_get(index);
            count += held[count] != NULL;
        } else if (count > 0) {
            at = (unsigned)test_below(&rng, count);
            chunk_put(held[at]);
            held[at] = held[--count];
        }
    }
    while (count > 0)
        chunk_put(held[--count]);
    atomic_fetch_sub(&race.working, 1);
}

/* Gets, lays it down, and puts what another thread has laid down there. */
static void get_and_pass_on(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    unsigned i;
    void *other;

    (void)ctx;
    for (i = 0; i < race.rounds && !test_failed(); i++) {
        other = atomic_exchange_explicit(&slots[test_below(&rng, SLOTS)],
                                         test_once_in(&rng, 3) ? NULL : chunk_get(index),
                                         memory_order_acq_rel);
        if (other != NULL)
            chunk_put(other);
    }
    atomic_fetch_sub(&race.working, 1);
}

static void empty_slots(void)
{
    void *chunk;
    unsigned i;

    for (i = 0; i < SLOTS; i++)
        if ((chunk = atomic_exchange(&slots[i], NULL)) != NULL)
            chunk_put(chunk);
}

/* ---- threads beyond the provider's shards ---- */

enum { BYSTANDERS = 70 }; /* more than there are shards */

static atomic_bool bystanders_go;

/* Has an identity, and no chunk of race.provider. */
static void *stand_by(void *other)
{
    harena_chunk_put(other, harena_chunk_get(other));
    while (!atomic_load(&bystanders_go))
        usleep(1000);
    return NULL;
}

/* As fast as can be: two chunks and no stamps. What two threads were given shows in the sums at the end. */
static void get_two_and_put_two(void *ctx, unsigned index)
{
    void *chunks[2];

    (void)ctx;
    (void)index;
    for (unsigned i = 0; i < race.rounds && !test_failed(); i++) {
        for (int at = 0; at < 2; at++) {
            chunks[at] = harena_chunk_get(race.provider);
            if (!TEST_EXPECT(chunks[at] != NULL))
                return;
        }
        harena_chunk_put(race.provider, chunks[0]);
        harena_chunk_put(race.provider, chunks[1]);
    }
}

/* CELL provider: get, put x get, put */
START_TEST(threads_that_share_a_shard_share_no_chunk)
{
    const test_role roles[] = {{get_two_and_put_two, THREADS}, {NULL, 0}};
    harena_provider *other = test_provider(NULL, 0, 0);
    pthread_t bystanders[BYSTANDERS];

    begin(0, test_rounds(200000), THREADS);
    atomic_store(&bystanders_go, false);
    for (int i = 0; i < BYSTANDERS; i++)
        ck_assert_int_eq(pthread_create(&bystanders[i], NULL, stand_by, other), 0);
    while (test_stats(other).puts < BYSTANDERS)
        usleep(1000);
    test_team(roles, NULL);
    atomic_store(&bystanders_go, true);
    for (int i = 0; i < BYSTANDERS; i++)
        pthread_join(bystanders[i], NULL);
    test_provider_finish(race.provider);
    test_provider_finish(other);
    RACE_RAN(THREADS + BYSTANDERS, race.rounds);
}
END_TEST

/* CELL provider: get, put, owns x get, put, owns */
START_TEST(chunk_is_handed_to_one_thread_only)
{
    const test_role roles[] = {{get_and_put, THREADS}, {NULL, 0}};

    begin(0, test_rounds(12000), THREADS);
    test_team(roles, NULL);
    test_provider_finish(race.provider);
    RACE_RAN(THREADS, race.rounds);
}
END_TEST

/* CELL provider: get, put, owns x get, put, owns */
START_TEST(chunk_may_be_put_by_another_thread)
{
    const test_role roles[] = {{get_and_pass_on, THREADS}, {NULL, 0}};

    begin(0, test_rounds(12000), THREADS);
    test_team(roles, NULL);
    empty_slots();
    TEST_NO_FAILURE();
    test_provider_finish(race.provider);
    RACE_RAN(THREADS, race.rounds);
}
END_TEST

/* ---- runs: private arenas beside the chunks ---- */

/* Some objects of up to 5 MiB in an arena of the thread's own, stamped; then they go. */
static void fill_runs(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    harena_options options = HARENA_OPTIONS_INIT;
    size_t sizes[8];
    char *objects[8];
    unsigned round, count, i;
    harena *arena;

    (void)ctx;
    options.provider = race.provider;
    options.retain_none = index % 2 == 0;
    options.zero = index % 4 == 1;
    arena = harena_create(&options);
    TEST_EXPECT(arena != NULL);
    for (round = 0; arena != NULL && round < race.rounds / 32 + 1 && !test_failed(); round++) {
        for (count = 0, i = 0; i < test_between(&rng, 1, 8); i++) {
            sizes[count] = (size_t)test_between(&rng, 1, test_once_in(&rng, 2) ? 300 : 100000)
                           << test_below(&rng, 6);
            if (test_once_in(&rng, 16))
                sizes[count] = test_between(&rng, 2 * TEST_MIB, 5 * TEST_MIB);
            objects[count] = test_once_in(&rng, 4) ? harena_alloc_zeroed(arena, sizes[count])
                                                   : harena_alloc(arena, sizes[count]);
            if (objects[count] == NULL) {
                count_refusal();
                break;
            }
            if (options.zero)
                TEST_EXPECT_MSG(test_all_zero(objects[count], sizes[count]),
                                "%zu bytes are not zero", sizes[count]);
            test_stamp_fill(objects[count], sizes[count], test_stamp(index, round * 8 + count));
            count++;
        }
        for (i = 0; i < count; i++)
            TEST_EXPECT_MSG(
                test_stamp_intact(objects[i], sizes[i], test_stamp(index, round * 8 + i)),
                "a byte of %zu has changed", sizes[i]);
        if (test_once_in(&rng, 4)) {
            harena_release(arena);
            arena = harena_create(&options);
            TEST_EXPECT(arena != NULL);
        } else {
            harena_reset(arena);
        }
    }
    harena_release(arena);
    atomic_fetch_sub(&race.working, 1);
}

/* CELL provider: get, put, arenas x get, put, arenas */
START_TEST(runs_and_chunks_never_overlap)
{
    const test_role roles[] = {{get_and_put, THREADS / 2}, {fill_runs, THREADS / 2}, {NULL, 0}};

    begin(0, test_rounds(10000), THREADS);
    test_team(roles, NULL);
    test_provider_finish(race.provider);
    RACE_RAN(THREADS, race.rounds);
}
END_TEST

/* ---- trim ---- */

static void trim_until_done(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);

    (void)ctx;
    while (atomic_load(&race.working) > 0 && !test_failed()) {
        (void)harena_provider_trim(race.provider,
                                   test_once_in(&rng, 2) ? 0 : test_below(&rng, 8 * TEST_MIB));
        sched_yield();
    }
}

/* CELL provider: get, put, owns, arenas x trim */
START_TEST(trim_under_fire_takes_free_memory_only)
{
    const test_role roles[] = {
        {get_and_put, THREADS / 2}, {fill_runs, THREADS / 2}, {trim_until_done, 1}, {NULL, 0}};
    harena_provider_stats stats;

    begin(0, test_rounds(8000), THREADS);
    test_team(roles, NULL);
    test_provider_balanced(race.provider);
    (void)harena_provider_trim(race.provider, 0);
    stats = test_stats(race.provider);
    ck_assert_uint_eq(stats.committed, 0);
    ck_assert_uint_eq(stats.commits, stats.purges);
    test_provider_finish(race.provider);
    RACE_RAN(THREADS + 1, race.rounds);
}
END_TEST

/* ---- limits ---- */

static void watch_limit_until_done(void *ctx, unsigned index)
{
    harena_provider_stats stats;

    (void)ctx;
    (void)index;
    while (atomic_load(&race.working) > 0 && !test_failed()) {
        stats = test_stats(race.provider);
        TEST_EXPECT_MSG(stats.committed <= race.limit && stats.peak <= race.limit,
                        "%llu bytes are committed, at most %llu were, the limit is %zu",
                        (unsigned long long)stats.committed, (unsigned long long)stats.peak,
                        race.limit);
        sched_yield();
    }
}

static void note_event(void *ctx, const harena_event *event)
{
    (void)ctx;
    TEST_EXPECT_MSG(event->kind == HARENA_EVENT_LIMIT, "event %d: %s", event->kind, event->text);
    TEST_EXPECT(event->name != NULL && event->text != NULL);
    atomic_fetch_add(&race.events, 1);
}

/* With nothing in use, a provider hands out exactly its limit. */
static void expect_all_of_limit(void)
{
    size_t chunks = race.limit / HARENA_CHUNK_SIZE, i;
    void **all = calloc(chunks, sizeof(*all));

    ck_assert_ptr_nonnull(all);
    for (i = 0; i < chunks; i++)
        ck_assert_ptr_nonnull(all[i] = chunk_get(0));
    errno = 0;
    ck_assert_ptr_null(harena_chunk_get(race.provider));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_eq(test_stats(race.provider).committed, race.limit);
    for (i = 0; i < chunks; i++)
        chunk_put(all[i]);
    free(all);
    TEST_NO_FAILURE();
}

static void begin_limited(size_t limit, unsigned rounds)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    begin(limit, test_rounds(rounds), THREADS);
    ck_assert_int_eq(harena_provider_destroy(race.provider), 0);
    options.reserve = 4096 * TEST_MIB;
    options.limit = limit;
    options.on_event = note_event;
    race.provider = harena_provider_create(&options);
    ck_assert_ptr_nonnull(race.provider);
}

/* Rounds of: all take until there is no more; all together is the limit; all is put and goes cold. */
static pthread_barrier_t everybody;
static atomic_uint taken_together;

static void take_all_there_is(void *ctx, unsigned index)
{
    void *held[THREADS * HELD];
    unsigned round, count;

    (void)ctx;
    for (round = 0; round < race.rounds; round++) {
        pthread_barrier_wait(&everybody);
        for (count = 0; count < THREADS * HELD; count++) {
            held[count] = harena_chunk_get(race.provider);
            if (held[count] == NULL)
                break;
            TEST_EXPECT(change_holder(held[count], index + 1) == 0);
            atomic_fetch_add(&taken_together, 1);
        }
        pthread_barrier_wait(&everybody);
        TEST_EXPECT_MSG(atomic_load(&taken_together) == race.limit / HARENA_CHUNK_SIZE,
                        "%u chunks were handed out, the limit is %zu", atomic_load(&taken_together),
                        race.limit / HARENA_CHUNK_SIZE);
        while (count > 0) {
            (void)change_holder(held[--count], 0);
            harena_chunk_put(race.provider, held[count]);
        }
        pthread_barrier_wait(&everybody);
        if (index == 0) {
            (void)harena_provider_trim(race.provider, 0);
            atomic_store(&taken_together, 0);
        }
    }
}

START_TEST(hard_limit_is_exact_when_all_is_cold)
{
    const test_role roles[] = {{take_all_there_is, THREADS}, {NULL, 0}};

    begin_limited(THREADS * HELD / 2 * HARENA_CHUNK_SIZE, 400);
    atomic_store(&taken_together, 0);
    ck_assert_int_eq(pthread_barrier_init(&everybody, NULL, THREADS), 0);
    test_team(roles, NULL);
    pthread_barrier_destroy(&everybody);
    expect_all_of_limit();
    test_provider_finish(race.provider);
    RACE_RAN(THREADS, race.rounds);
}
END_TEST

/* CELL provider: get, put, owns x stats */
START_TEST(hard_limit_is_exact_under_fire)
{
    const test_role roles[] = {{get_and_put, THREADS}, {watch_limit_until_done, 1}, {NULL, 0}};

    begin_limited(THREADS * HELD / 4 * HARENA_CHUNK_SIZE, 10000);
    test_team(roles, NULL);
    ck_assert_uint_gt(test_count(&race.refused), 0);
    ck_assert_uint_gt(test_count(&race.events), 0);
    expect_all_of_limit();
    test_provider_finish(race.provider);
    RACE_RAN(THREADS + 1, race.rounds);
}
END_TEST

/* CELL provider: get, put, arenas, stats x trim */
START_TEST(hard_limit_is_exact_with_runs_and_trims)
{
    const test_role roles[] = {{get_and_put, THREADS / 2},
                               {fill_runs, THREADS / 2},
                               {watch_limit_until_done, 1},
                               {trim_until_done, 1},
                               {NULL, 0}};

    begin_limited(6 * TEST_MIB, 8000);
    test_team(roles, NULL);
    ck_assert_uint_gt(test_count(&race.refused), 0);
    expect_all_of_limit();
    test_provider_finish(race.provider);
    RACE_RAN(THREADS + 2, race.rounds);
}
END_TEST

/* Up and down between half of race.limit and all of it. */
static void change_limit_until_done(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);

    (void)ctx;
    while (atomic_load(&race.working) > 0 && !test_failed()) {
        TEST_EXPECT(harena_provider_set_limit(race.provider,
                                              test_between(&rng, race.limit / 2, race.limit)) == 0);
        sched_yield();
    }
}

/* CELL provider: get, put, stats, set_limit x set_limit */
START_TEST(limit_may_change_under_fire)
{
    const test_role roles[] = {{get_and_put, THREADS},
                               {change_limit_until_done, 2},
                               {watch_limit_until_done, 1},
                               {NULL, 0}};

    begin_limited(THREADS * HELD / 4 * HARENA_CHUNK_SIZE, 10000);
    test_team(roles, NULL);
    ck_assert_int_eq(harena_provider_set_limit(race.provider, race.limit), 0);
    expect_all_of_limit();
    ck_assert_int_eq(harena_provider_set_limit(race.provider, 0), 0);
    race.limit *= 2;
    ck_assert_int_eq(harena_provider_set_limit(race.provider, race.limit), 0);
    expect_all_of_limit();
    test_provider_finish(race.provider);
    RACE_RAN(THREADS + 3, race.rounds);
}
END_TEST

/* ---- the default provider, made by whoever comes first ---- */

static _Atomic(harena_provider *) first_seen;

static void ask_for_default(void *ctx, unsigned index)
{
    harena_provider *mine = harena_provider_default(), *none = NULL;

    (void)ctx;
    (void)index;
    TEST_EXPECT(mine != NULL);
    if (!atomic_compare_exchange_strong(&first_seen, &none, mine))
        TEST_EXPECT_MSG(none == mine, "two default providers");
    harena_chunk_put(NULL, harena_chunk_get(NULL));
}

START_TEST(default_provider_is_made_once)
{
    const test_role roles[] = {{ask_for_default, THREADS}, {NULL, 0}};

    test_team(roles, NULL);
    ck_assert_uint_eq(test_stats(NULL).in_use, 0);
    ck_assert_int_eq(harena_provider_destroy(harena_provider_default()), -EINVAL);
    RACE_RAN(THREADS, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_provider");
    TCase *tests = test_case(suite, "chunks");

    tcase_add_test(tests, default_provider_is_made_once);
    tcase_add_test(tests, chunk_is_handed_to_one_thread_only);
    tcase_add_test(tests, chunk_may_be_put_by_another_thread);
    tcase_add_test(tests, threads_that_share_a_shard_share_no_chunk);
    tests = test_case(suite, "runs");
    tcase_add_test(tests, runs_and_chunks_never_overlap);
    tests = test_case(suite, "trim");
    tcase_add_test(tests, trim_under_fire_takes_free_memory_only);
    tests = test_case(suite, "limit");
    tcase_add_test(tests, hard_limit_is_exact_when_all_is_cold);
    tcase_add_test(tests, hard_limit_is_exact_under_fire);
    tcase_add_test(tests, hard_limit_is_exact_with_runs_and_trims);
    tcase_add_test(tests, limit_may_change_under_fire);
    return test_main(suite);
}
