/* SPDX-License-Identifier: BSD-2-Clause */
/* Sixteen threads and one chunk: the hard limit leaves room for no more. It goes to one of them; the others are told no,
 * with an errno and an event each; what is committed is at no time above the limit. */
#include "chunks.h"
#include <harena/arena.h>

#define RACERS 16
#define TAKEN  3 /* chunks that are out before the last one is raced for */

static atomic_uint holding, got, passed_on;
static pthread_barrier_t everybody;
static void *winner_s;

static void note_refusal(void *ctx, const harena_event *event)
{
    (void)ctx;
    TEST_EXPECT_MSG(event->kind == HARENA_EVENT_LIMIT, "event %d: %s", event->kind, event->text);
    atomic_fetch_add_explicit(&race.events, 1, memory_order_relaxed);
}

static void begin_limited(unsigned chunks, unsigned rounds)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    begin(chunks * HARENA_CHUNK_SIZE, test_rounds(rounds), RACERS);
    ck_assert_int_eq(harena_provider_destroy(race.provider), 0);
    options.reserve = 256 * TEST_MIB;
    options.limit = race.limit;
    options.on_event = note_refusal;
    race.provider = harena_provider_create(&options);
    ck_assert_ptr_nonnull(race.provider);
}

/* Each refusal had its event, and nothing else had one. */
static void end(void)
{
    ck_assert_uint_gt(test_count(&race.refused), 0);
    ck_assert_uint_eq(test_count(&race.events), atomic_load(&race.refused));
    ck_assert_uint_eq(test_stats(race.provider).failures, test_count(&race.refused));
    ck_assert_uint_le(test_stats(race.provider).peak, race.limit);
    test_provider_finish(race.provider);
}

static void expect_within_limit(void)
{
    harena_provider_stats stats = test_stats(race.provider);

    TEST_EXPECT_MSG(stats.committed <= race.limit && stats.peak <= race.limit,
                    "%llu bytes are committed, at most %llu were, the limit is %zu",
                    (unsigned long long)stats.committed, (unsigned long long)stats.peak,
                    race.limit);
}

/* ---- one race a round ---- */

/* More than there is room for, whatever the others get. */
static void ask_for_a_run(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = race.provider;
    arena = harena_create(&options);
    errno = 0;
    if (TEST_EXPECT(harena_alloc(arena, (TAKEN + 1) * HARENA_CHUNK_SIZE) == NULL))
        count_refusal();
    harena_release(arena);
}

static void ask_for_the_last(unsigned index)
{
    void *chunk;

    errno = 0;
    chunk = chunk_get(index);
    expect_within_limit();
    if (chunk == NULL)
        return;
    atomic_fetch_add(&got, 1);
    winner_s = chunk;
}

static void prepare(void **taken)
{
    for (unsigned i = 0; i < TAKEN; i++)
        TEST_EXPECT((taken[i] = chunk_get(0)) != NULL);
    atomic_store(&got, 0);
}

/* All goes cold. */
static void clear_up(void **taken)
{
    TEST_EXPECT_MSG(atomic_load(&got) == 1, "%u threads got the last chunk", atomic_load(&got));
    TEST_EXPECT(test_stats(race.provider).committed == race.limit);
    if (!test_failed())
        chunk_put(winner_s);
    for (unsigned i = 0; i < TAKEN; i++)
        chunk_put(taken[i]);
    (void)harena_provider_trim(race.provider, 0);
}

/* `arg`: whether every other thread asks for a run instead. */
static void race_for_the_last(void *arg, unsigned index)
{
    void *taken[TAKEN];
    bool stop = false;

    for (unsigned round = 0; !stop; round++) {
        if (index == 0)
            prepare(taken);
        pthread_barrier_wait(&everybody);
        if (arg != NULL && index % 2 == 0)
            ask_for_a_run();
        else
            ask_for_the_last(index);
        pthread_barrier_wait(&everybody);
        stop = round + 1 == race.rounds || test_failed(); /* the same for all: nobody works here */
        pthread_barrier_wait(&everybody);
        if (index == 0)
            clear_up(taken);
    }
}

/* CELL provider: get, stats x get, arenas */
START_TEST(one_of_sixteen_gets_the_last_chunk)
{
    const test_role roles[] = {{race_for_the_last, RACERS}, {NULL, 0}};

    begin_limited(TAKEN + 1, 1500);
    ck_assert_int_eq(pthread_barrier_init(&everybody, NULL, RACERS), 0);
    test_team(roles, _i == 0 ? NULL : &race);
    pthread_barrier_destroy(&everybody);
    ck_assert_uint_eq(test_count(&race.refused), race.rounds * (RACERS - 1));
    end();
    RACE_RAN(RACERS, race.rounds);
}
END_TEST

/* ---- again and again ---- */

/* Whoever gets it puts it, which leaves it free for anybody, or sees to it that it is cold again. */
static void pass_it_on(void *arg, unsigned index)
{
    test_rng rng = test_rng_for(index);
    void *chunk;

    (void)arg;
    for (unsigned i = 0; i < race.rounds && !test_failed(); i++) {
        errno = 0;
        chunk = chunk_get(index);
        expect_within_limit();
        if (chunk == NULL)
            continue;
        TEST_EXPECT(atomic_fetch_add_explicit(&holding, 1, memory_order_relaxed) == 0);
        TEST_EXPECT(atomic_fetch_sub_explicit(&holding, 1, memory_order_relaxed) == 1);
        chunk_put(chunk);
        atomic_fetch_add_explicit(&passed_on, 1, memory_order_relaxed);
        if (test_once_in(&rng, 2))
            (void)harena_provider_trim(race.provider, 0);
    }
}

/* CELL provider: get, put, stats x get, put, trim */
START_TEST(one_chunk_goes_round_among_sixteen)
{
    const test_role roles[] = {{pass_it_on, RACERS}, {NULL, 0}};
    void *chunk;

    begin_limited(1, 4000);
    test_team(roles, NULL);
    ck_assert_uint_gt(test_count(&passed_on), RACERS);
    ck_assert_ptr_nonnull(chunk = chunk_get(0)); /* it is not lost */
    chunk_put(chunk);
    end();
    RACE_RAN(RACERS, race.rounds);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_last_chunk");
    TCase *tests = test_case(suite, "last chunk");

    tcase_add_loop_test(tests, one_of_sixteen_gets_the_last_chunk, 0, 2);
    tcase_add_test(tests, one_chunk_goes_round_among_sixteen);
    return test_main(suite);
}
