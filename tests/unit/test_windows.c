/* SPDX-License-Identifier: BSD-2-Clause */
/* The second windows of arenas and generations: runs that become longer and shorter under them. */
#include "../support/rng.h"
#include "../support/threads.h"
#include "unit.h"

static struct events events;
static harena_provider *provider;

static void before(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(256 * MIB, 0, &events);
}

static void after(void)
{
    ends_clean(provider);
}

/* Bytes that were never written are not zero here: what an arena hands out as such it must have cleared. */
static void dirty_the_provider(size_t bytes)
{
    harena *arena = arena_of(provider, 0);

    memset(SUCCEEDS(harena_alloc(arena, opaque(bytes))), 0xff, bytes);
    harena_release(arena);
}

START_TEST(large_objects_lie_side_by_side)
{
    harena *arena = arena_of(provider, 0);
    unsigned char *last = SUCCEEDS(harena_alloc(arena, opaque(MIB + 1)));

    for (int i = 0; i < 40; i++) {
        unsigned char *at = SUCCEEDS(harena_alloc(arena, opaque(MIB + 1)));

        ck_assert(same(at, last + MIB + 16));
        ck_assert(harena_contains(arena, at) && harena_contains(arena, at + MIB));
        at[0] = at[MIB] = 1;
        last = at;
        totals_hold(provider);
        ck_assert_uint_eq(in_use(provider), harena_cap(arena));
    }
    ck_assert_uint_eq(arena_stats_of(arena).runs, 1);
    ck_assert(!harena_contains(arena, (char *)(hidden(last) + MIB + 2 * CHUNK)));
    harena_release(arena);
}
END_TEST

START_TEST(the_last_large_object_grows_where_it_is)
{
    harena *arena = arena_of(provider, 0);
    unsigned char *at = SUCCEEDS(harena_alloc(arena, opaque(100000))), *now;
    size_t size = 100000;

    memset(at, 1, size);
    for (; size < 50 * MIB; size += size / 3) {
        now = SUCCEEDS(harena_realloc(arena, at, size, opaque(size + size / 3)));
        ck_assert(same(now, at));
    }
    EXPECT(all_bytes(at, 100000, 1));
    ck_assert_uint_lt(harena_cap(arena), size + size / 32);
    (void)SUCCEEDS(harena_alloc(arena, opaque(20000)));
    now = SUCCEEDS(harena_realloc(arena, at, size, opaque(size + 1)));
    ck_assert(!same(now, at)); /* it is not the last any more */
    harena_release(arena);
}
END_TEST

START_TEST(what_cannot_grow_moves)
{
    harena *arena = arena_of(provider, 0);
    unsigned char *at = SUCCEEDS(harena_alloc(arena, opaque(100000))), *now;
    void *chunks[40];

    memset(at, 1, 100000);
    for (int i = 0; i < 40; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(provider));
    now = SUCCEEDS(harena_realloc(arena, at, 100000, opaque(200000)));
    ck_assert(!same(now, at));
    EXPECT(all_bytes(now, 100000, 1));
    for (int i = 0; i < 40; i++)
        harena_chunk_put(provider, chunks[i]);
    harena_release(arena);
}
END_TEST

START_TEST(growing_stops_at_the_limit)
{
    harena *arena = arena_of(provider, 4 * CHUNK);
    unsigned char *at = SUCCEEDS(harena_alloc(arena, opaque(2 * CHUNK)));

    at = SUCCEEDS(harena_realloc(arena, at, 2 * CHUNK, opaque(4 * CHUNK)));
    FAILS(ENOMEM, harena_realloc(arena, at, 4 * CHUNK, opaque(4 * CHUNK + 1)));
    ck_assert_uint_eq(harena_cap(arena), 4 * CHUNK);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_LIMIT), 1);
    harena_release(arena);
}
END_TEST

/* What is left beside the large objects, asked for in small ones. */
START_TEST(a_full_limit_serves_small_ones_out_of_rests)
{
    harena *arena = arena_of(provider, 8 * CHUNK);
    size_t small = 0;

    (void)SUCCEEDS(harena_alloc(arena, opaque(100)));
    (void)SUCCEEDS(harena_alloc(arena, opaque(7 * CHUNK - 2 * KIB - 1000)));
    ck_assert_uint_eq(harena_cap(arena), 8 * CHUNK);
    small = (CHUNK - 112) / 112 * 112;
    for (size_t got = 0; got < small + 2900; got += 112)
        memset(SUCCEEDS(harena_alloc(arena, opaque(100))), 1, 100);
    ck_assert_uint_eq(events_in_all(&events), 0);
    ck_assert(!harena_failed(arena));
    fill(arena, 100);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_LIMIT), 1);
    ck_assert_uint_ge(harena_len(arena), 8 * CHUNK - 1000);
    harena_reset(arena);
    (void)SUCCEEDS(harena_alloc(arena, opaque(100)));
    harena_release(arena);
}
END_TEST

START_TEST(a_runs_tail_that_nobody_uses_goes_back)
{
    harena *arena = arena_of(provider, 0);
    void *other;

    (void)SUCCEEDS(harena_alloc(arena, opaque(40 * MIB))); /* 640 chunks */
    (void)SUCCEEDS(harena_alloc(arena, opaque(100000)));   /* a sixty-fourth more: 10 */
    ck_assert_uint_eq(harena_cap(arena), 650 * CHUNK);
    other = SUCCEEDS(harena_chunk_get(provider)); /* right behind the run: all before it is full */
    ck_assert(harena_contains(arena, (char *)(hidden(other) - 1)));
    (void)SUCCEEDS(harena_alloc(arena, opaque(10 * CHUNK))); /* a new run, of 20; 8 go back */
    ck_assert_uint_eq(harena_cap(arena), (650 - 8 + 20) * CHUNK);
    ck_assert_uint_eq(in_use(provider), harena_cap(arena) + CHUNK);
    ck_assert_uint_eq(arena_stats_of(arena).runs, 2);
    totals_hold(provider);
    harena_chunk_put(provider, other);
    harena_release(arena);
}
END_TEST

START_TEST(reset_keeps_a_part_of_a_run)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;
    uint64_t gets;

    options.provider = provider;
    options.retain = MIB;
    arena = SUCCEEDS(harena_create(&options));
    for (int round = 0; round < 3; round++) {
        (void)SUCCEEDS(harena_alloc(arena, opaque(5 * MIB)));
        ck_assert_uint_ge(harena_cap(arena), 5 * MIB);
        harena_reset(arena);
        ck_assert_uint_eq(harena_cap(arena), MIB);
        ck_assert_uint_eq(in_use(provider), MIB);
    }
    gets = stats_of(provider).gets;
    (void)SUCCEEDS(harena_alloc(arena, opaque(MIB)));
    ck_assert_uint_eq(stats_of(provider).gets, gets);
    harena_release(arena);
}
END_TEST

START_TEST(initial_stays_as_long_as_it_was)
{
    harena_options options = HARENA_OPTIONS_INIT;
    void *chunk;
    harena *arena;

    options.provider = provider;
    options.initial = 3 * CHUNK;
    arena = SUCCEEDS(harena_create(&options));
    for (int round = 0; round < 3; round++) {
        chunk = SUCCEEDS(harena_chunk_get(provider)); /* right behind it */
        ck_assert_int_eq(harena_provider_set_limit(provider, 5 * CHUNK), 0);
        (void)SUCCEEDS(harena_alloc(arena, opaque(3 * CHUNK - 6000)));
        (void)SUCCEEDS(harena_alloc(arena, opaque(20000))); /* the second window */
        for (int i = 0; i < 20; i++)
            (void)SUCCEEDS(harena_alloc(arena, opaque(1000))); /* the two change places */
        harena_chunk_put(provider, chunk);
        ck_assert_int_eq(harena_provider_set_limit(provider, 0), 0);
        (void)SUCCEEDS(harena_alloc(arena, opaque(60000))); /* not there */
        harena_reset(arena);
        ck_assert_uint_eq(harena_cap(arena), 3 * CHUNK);
    }
    ck_assert_uint_eq(events_in_all(&events), 0);
    harena_release(arena);
}
END_TEST

/* ---- zeroes ---- */

static size_t some_size(test_rng *rng)
{
    switch (test_below(rng, 8)) {
    case 0:
        return test_between(rng, 1, 3 * CHUNK);
    case 1:
        return test_between(rng, 1, 40) * CHUNK - 8 + test_below(rng, 17);
    case 2:
        return test_between(rng, 1, 8 * KIB);
    default:
        return test_between(rng, 1, 40 * KIB);
    }
}

/* An object that says it is zero, is, and is written then. */
static void expect_zero(void *memory, size_t size)
{
    if (hidden(memory) == 0)
        return;
    EXPECT(all_bytes(memory, size, 0));
    memset(memory, 0xff, size);
}

/* Arenas and generations in turn, limits now and then, single chunks in between that come and go. */
START_TEST(zeroes_hold_for_all_that_a_run_becomes)
{
    enum { CHUNKS = 20, STEPS = 8000 };
    test_rng rng = test_rng_for(3);
    harena_options options = HARENA_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    void *chunks[CHUNKS] = {0};
    harena_shared *shared[2];
    harena *arenas[3];

    dirty_the_provider(64 * MIB);
    options.provider = shared_options.provider = provider;
    for (int i = 0; i < 3; i++) {
        options.zero = i == 0;
        options.limit = i == 2 ? 3 * MIB : 0;
        options.retain = MIB;
        arenas[i] = SUCCEEDS(harena_create(&options));
    }
    for (int i = 0; i < 2; i++) {
        shared_options.zero = i == 0;
        shared_options.limit = i == 1 ? 3 * MIB : 0;
        shared[i] = SUCCEEDS(harena_shared_create(&shared_options));
    }
    for (int step = 0; step < STEPS; step++) {
        size_t size = some_size(&rng), which = test_below(&rng, 5);
        void **chunk = &chunks[test_below(&rng, CHUNKS)];

        if (which == 0)
            expect_zero(harena_alloc(arenas[0], opaque(size)), size);
        else if (which < 3)
            expect_zero(harena_alloc_zeroed(arenas[which], opaque(size)), size);
        else if (which == 3)
            expect_zero(harena_shared_alloc(shared[0], opaque(size)), size);
        else
            expect_zero(harena_shared_alloc_zeroed(shared[1], opaque(size)), size);
        if (test_once_in(&rng, 10) && *chunk == NULL) {
            *chunk = SUCCEEDS(harena_chunk_get(provider));
            memset(*chunk, 0xff, CHUNK);
        } else if (test_once_in(&rng, 10)) {
            harena_chunk_put(provider, *chunk);
            *chunk = NULL;
        }
        if (test_once_in(&rng, 200) || stats_of(provider).in_use > 150 * MIB) {
            harena_reset(arenas[test_below(&rng, 3)]);
            EXPECT(harena_shared_reset_now(shared[test_below(&rng, 2)]) == 0);
        }
    }
    for (int i = 0; i < CHUNKS; i++)
        harena_chunk_put(provider, chunks[i]);
    for (int i = 0; i < 3; i++)
        harena_release(arenas[i]);
    for (int i = 0; i < 2; i++)
        harena_shared_release_now(shared[i]);
}
END_TEST

START_TEST(zeroes_hold_for_what_realloc_adds_to_a_run)
{
    harena_options options = HARENA_OPTIONS_INIT;
    unsigned char *at;
    harena *arena;
    size_t size = 100001;

    dirty_the_provider(8 * MIB);
    options.provider = provider;
    options.zero = true;
    arena = SUCCEEDS(harena_create(&options));
    at = SUCCEEDS(harena_alloc(arena, opaque(size)));
    memset(at, 0xff, size);
    for (; size < 6 * MIB; size = size * 2 + 1) {
        at = SUCCEEDS(harena_realloc(arena, at, size, opaque(size * 2 + 1)));
        EXPECT(all_bytes(at + size, size + 1, 0));
        memset(at + size, 0xff, size + 1);
    }
    harena_release(arena);
}
END_TEST

/* ---- a generation's second window ---- */

START_TEST(a_generation_runs_on_too)
{
    harena_shared *shared = shared_of(provider, 0);
    unsigned char *last = SUCCEEDS(harena_shared_alloc(shared, opaque(MIB + 1)));
    harena_stats stats = {.size = sizeof stats};

    for (int i = 0; i < 40; i++) {
        unsigned char *at = SUCCEEDS(harena_shared_alloc(shared, opaque(MIB + 1)));

        ck_assert(same(at, last + MIB + 16));
        ck_assert(harena_shared_contains(shared, at) && harena_shared_contains(shared, at + MIB));
        at[0] = at[MIB] = 1;
        last = at;
        totals_hold(provider);
        ck_assert_uint_eq(in_use(provider), harena_shared_cap(shared));
        ck_assert_uint_eq(harena_shared_len(shared), (size_t)(i + 2) * (MIB + 16));
    }
    harena_shared_stats_get(shared, &stats);
    ck_assert_uint_eq(stats.runs, 1);
    harena_shared_release_now(shared);
}
END_TEST

static void *by_lane(harena_shared *shared, size_t size)
{
    return harena_shared_alloc(shared, opaque(size));
}

static void *by_fetch_add(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_atomic(shared, opaque(size));
}

START_TEST(a_full_generation_serves_small_ones_out_of_rests)
{
    void *(*const ways[])(harena_shared *, size_t) = {by_lane, by_fetch_add};

    for (size_t way = 0; way < 2; way++) {
        harena_shared *shared = shared_of(provider, 8 * CHUNK);
        size_t got = 0;

        (void)SUCCEEDS(ways[way](shared, 8 * CHUNK - 20000)); /* all in one run */
        ck_assert_uint_eq(harena_shared_cap(shared), 8 * CHUNK);
        for (void *at; (at = ways[way](shared, 100)) != NULL; got += 112)
            memset(at, 1, 100);
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert_uint_ge(got, 20000 - 1500);
        ck_assert_uint_eq(harena_shared_cap(shared), 8 * CHUNK);
        ck_assert_uint_ge(events_of(&events, HARENA_EVENT_LIMIT), 1);
        if (ways[way] == by_lane) /* not one for each object */
            ck_assert_uint_le(events_of(&events, HARENA_EVENT_LIMIT), 60);
        harena_shared_release_now(shared);
    }
}
END_TEST

/* Each bytes of its own: nobody writes another's, and all lie in the generation. */
enum { THREADS = 6, OBJECTS = 600 };

static struct {
    harena_shared *shared;
    struct {
        unsigned char *at;
        size_t size;
    } got[THREADS][OBJECTS];
} crowd;

static void allocate(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(100 + index);

    (void)ctx;
    for (int i = 0; i < OBJECTS; i++) {
        size_t size = test_once_in(&rng, 20) ? test_between(&rng, CHUNK, 10 * CHUNK)
                                             : test_between(&rng, 1, 20 * KIB);
        unsigned char *at =
            test_once_in(&rng, 4) ? by_fetch_add(crowd.shared, size) : by_lane(crowd.shared, size);

        if (!TEST_EXPECT(at != NULL))
            return;
        crowd.got[index][i].at = at;
        crowd.got[index][i].size = size;
        memset(at, (int)(index * 37 + (unsigned)i) & 0xff, size);
        if (i % 50 == 0 && !TEST_EXPECT(harena_shared_contains(crowd.shared, at + size - 1)))
            return;
    }
    for (int i = 0; i < OBJECTS && !test_failed(); i++)
        TEST_EXPECT(all_bytes(crowd.got[index][i].at, crowd.got[index][i].size,
                              (unsigned char)(index * 37 + (unsigned)i)));
}

START_TEST(threads_share_rests_and_no_bytes)
{
    const test_role roles[] = {{allocate, THREADS}, {NULL, 0}};
    uint64_t asked = 0;

    for (int round = 0; round < 3; round++) {
        crowd.shared = shared_of(provider, 0);
        test_team(roles, NULL);
        asked = 0;
        for (int thread = 0; thread < THREADS; thread++)
            for (int i = 0; i < OBJECTS; i++)
                asked += crowd.got[thread][i].size;
        ck_assert_uint_eq(harena_shared_cap(crowd.shared), in_use(provider));
        ck_assert_uint_ge(harena_shared_len(crowd.shared), asked);
        ck_assert_uint_le(harena_shared_len(crowd.shared), harena_shared_cap(crowd.shared));
        harena_shared_release_now(crowd.shared);
        ck_assert_uint_eq(in_use(provider), 0);
        totals_hold(provider);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        large_objects_lie_side_by_side,
        the_last_large_object_grows_where_it_is,
        what_cannot_grow_moves,
        growing_stops_at_the_limit,
        a_full_limit_serves_small_ones_out_of_rests,
        a_runs_tail_that_nobody_uses_goes_back,
        reset_keeps_a_part_of_a_run,
        initial_stays_as_long_as_it_was,
        zeroes_hold_for_all_that_a_run_becomes,
        zeroes_hold_for_what_realloc_adds_to_a_run,
        a_generation_runs_on_too,
        a_full_generation_serves_small_ones_out_of_rests,
        threads_share_rests_and_no_bytes,
    };

    test_seed();
    return run_tests("windows", before, after, tests, sizeof tests / sizeof *tests);
}
