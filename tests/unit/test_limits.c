/* SPDX-License-Identifier: BSD-2-Clause */
/* The provider's limits, trim, ballast. */
#include "unit.h"

/* ---- limits ---- */

/* Raw chunks until there are no more, in a chain through their first word. */
static void *take_all(harena_provider *provider, size_t *count)
{
    void **newest = NULL, **chunk;

    for (*count = 0;; ++*count) {
        errno = SENTINEL;
        chunk = harena_chunk_get(provider);
        if (hidden(chunk) == 0)
            break;
        EXPECT(errno == SENTINEL);
        *chunk = newest;
        newest = chunk;
    }
    EXPECT(errno == ENOMEM);
    return newest;
}

static void put_all(harena_provider *provider, void *chain)
{
    while (chain != NULL) {
        void *next = *(void **)chain;

        harena_chunk_put(provider, chain);
        chain = next;
    }
}

START_TEST(limit_is_exact_to_the_chunk_rounded_down)
{
    const struct {
        size_t limit, chunks;
    } cases[] = {{1, 0},
                 {CHUNK - 1, 0},
                 {CHUNK, 1},
                 {CHUNK + 1, 1},
                 {2 * CHUNK - 1, 1},
                 {2 * CHUNK, 2},
                 {31 * CHUNK, 31},
                 {32 * CHUNK, 32},
                 {33 * CHUNK + CHUNK / 2, 33},
                 {100 * CHUNK, 100}};

    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct events events = {.count = {0}};
        harena_provider *provider = provider_of(64 * MIB, cases[at].limit, &events);
        size_t count;

        for (int round = 0; round < 3; round++) {
            void *chain = take_all(provider, &count);

            ck_assert_uint_eq(count, cases[at].chunks);
            ck_assert_uint_eq(stats_of(provider).committed, count * CHUNK);
            totals_hold(provider);
            put_all(provider, chain);
            if (round == 1)
                harena_provider_trim(provider, 0);
        }
        ck_assert_uint_eq(stats_of(provider).failures, 3);
        ck_assert_uint_ge(events_of(&events, HARENA_EVENT_LIMIT), 1);
        ck_assert_uint_eq(events_of(&events, HARENA_EVENT_OS_ERROR), 0);
        ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 0);
        ends_clean(provider);
    }
}
END_TEST

START_TEST(limit_event_names_the_provider_and_the_size)
{
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(64 * MIB, 1, &events);

    FAILS(ENOMEM, harena_chunk_get(provider));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_LIMIT), 1);
    ck_assert_uint_eq(events_in_all(&events), 1);
    ck_assert_str_eq(events.last_name, "test");
    ck_assert_uint_eq(events.last_bytes, CHUNK);
    ends_clean(provider);
}
END_TEST

START_TEST(each_provider_has_a_budget_of_its_own)
{
    enum { COUNT = 4 };
    harena_provider *full = provider_of(64 * MIB, COUNT * CHUNK, NULL);
    harena_provider *other = provider_of(64 * MIB, COUNT * CHUNK, NULL);
    void *chunks[2][COUNT], *from_malloc;

    for (int at = 0; at < COUNT; at++)
        chunks[0][at] = SUCCEEDS(harena_chunk_get(full));
    FAILS(ENOMEM, harena_chunk_get(full));
    ck_assert_uint_eq(stats_of(other).committed, 0);
    for (int at = 0; at < COUNT; at++)
        chunks[1][at] = SUCCEEDS(harena_chunk_get(other));
    from_malloc = malloc(MIB);
    memset(from_malloc, 1, MIB); /* counts nowhere */
    ck_assert_uint_eq(stats_of(full).committed, COUNT * CHUNK);
    ck_assert_uint_eq(stats_of(other).committed, COUNT * CHUNK);
    free(from_malloc);
    for (int at = 0; at < COUNT; at++) {
        harena_chunk_put(full, chunks[0][at]);
        harena_chunk_put(other, chunks[1][at]);
    }
    ends_clean(full);
    ends_clean(other);
}
END_TEST

START_TEST(limit_below_use_commits_nothing_until_use_falls)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    void *chunks[4], *extra;

    for (int at = 0; at < 4; at++)
        chunks[at] = SUCCEEDS(harena_chunk_get(provider));
    QUIETLY(ck_assert_int_eq(harena_provider_set_limit(provider, 2 * CHUNK), 0));
    FAILS(ENOMEM, harena_chunk_get(provider));
    harena_chunk_put(provider, chunks[3]);
    extra = SUCCEEDS(harena_chunk_get(provider)); /* warm: nothing new is committed */
    FAILS(ENOMEM, harena_chunk_get(provider));
    ck_assert_uint_eq(stats_of(provider).committed, 4 * CHUNK);
    harena_chunk_put(provider, extra);
    for (int at = 0; at < 3; at++)
        harena_chunk_put(provider, chunks[at]);
    ck_assert_uint_eq(harena_provider_trim(provider, 0), 4 * CHUNK);
    chunks[0] = SUCCEEDS(harena_chunk_get(provider));
    chunks[1] = SUCCEEDS(harena_chunk_get(provider));
    FAILS(ENOMEM, harena_chunk_get(provider));
    ck_assert_int_eq(harena_provider_set_limit(provider, 0), 0);
    chunks[2] = SUCCEEDS(harena_chunk_get(provider));
    for (int at = 0; at < 3; at++)
        harena_chunk_put(provider, chunks[at]);
    totals_hold(provider);
    ends_clean(provider);
}
END_TEST

START_TEST(a_refused_large_request_starves_no_small_one)
{
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(64 * MIB, 4 * CHUNK, &events);
    harena *arena = arena_of(provider, 0);
    void *chain;
    size_t count;

    FAILS(ENOMEM, harena_alloc(arena, opaque(5 * CHUNK)));
    ck_assert_uint_ge(events_of(&events, HARENA_EVENT_LIMIT), 1);
    totals_hold(provider);
    ck_assert_uint_eq(stats_of(provider).committed, in_use(provider) + stats_of(provider).free);
    chain = take_all(provider, &count);
    ck_assert_uint_eq(count, 4);
    put_all(provider, chain);
    harena_release(arena);
    ends_clean(provider);
}
END_TEST

START_TEST(exhausted_region_gives_event_and_enomem)
{
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(BLOCK, 0, &events);
    void *chain;
    size_t count;

    for (int round = 0; round < 2; round++) {
        chain = take_all(provider, &count);
        ck_assert_uint_eq(count, BLOCK / CHUNK);
        ck_assert_uint_ge(events_of(&events, HARENA_EVENT_REGION_EXHAUSTED), 1);
        ck_assert_uint_eq(events_of(&events, HARENA_EVENT_LIMIT), 0);
        totals_hold(provider);
        put_all(provider, chain);
    }
    ends_clean(provider);
}
END_TEST

/* Arenas ask for longer runs than they need; where there are only short ones, nobody is refused. */
START_TEST(a_shorter_run_that_serves_is_no_exhausted_region)
{
    static void *chunks[128];
    struct events events = {0};
    harena_provider *provider = provider_of(8 * MIB, 0, &events);
    harena *arena = arena_of(provider, 0);
    harena_shared *shared = shared_of(provider, 0);

    for (size_t i = 0; i < 128; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(provider));
    for (size_t i = 0; i < 128; i += 2)
        harena_chunk_put(provider, chunks[i]);
    for (int i = 0; i < 40; i++) {
        memset(SUCCEEDS(harena_alloc(arena, opaque(20000))), i, 20000);
        memset(SUCCEEDS(harena_shared_alloc(shared, opaque(20000))), i, 20000);
    }
    ck_assert_uint_eq(events_in_all(&events), 0);
    ck_assert_uint_eq(stats_of(provider).failures, 0);
    FAILS(ENOMEM, harena_alloc(arena, opaque(2 * CHUNK))); /* this one is */
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_REGION_EXHAUSTED), 1);
    harena_release(arena);
    harena_shared_release_now(shared);
    for (size_t i = 1; i < 128; i += 2)
        harena_chunk_put(provider, chunks[i]);
    ends_clean(provider);
}
END_TEST

START_TEST(a_run_larger_than_the_region_exhausts_it_without_harm)
{
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(8 * MIB, 0, &events);
    harena *arena = arena_of(provider, 0);
    void *chain;
    size_t count;

    FAILS(ENOMEM, harena_alloc(arena, opaque(8 * MIB + 1)));
    FAILS(ENOMEM, harena_alloc(arena, opaque((size_t)PTRDIFF_MAX)));
    ck_assert_uint_ge(events_of(&events, HARENA_EVENT_REGION_EXHAUSTED), 1);
    harena_release(arena);
    totals_hold(provider);
    chain = take_all(provider, &count);
    ck_assert_uint_eq(stats_of(provider).peak, 8 * MIB);
    ck_assert_uint_eq(count, 8 * MIB / CHUNK);
    put_all(provider, chain);
    ends_clean(provider);
}
END_TEST

/* ---- trim and ballast ---- */

START_TEST(trim_gives_back_all_that_is_free)
{
    harena_provider *provider = provider_of(64 * MIB, 100 * CHUNK, NULL);
    size_t count, back;
    void *chain = take_all(provider, &count);

    put_all(provider, chain);
    ck_assert_uint_eq(stats_of(provider).free, 100 * CHUNK);
    QUIETLY(back = harena_provider_trim(provider, 0));
    ck_assert_uint_eq(back, 100 * CHUNK);
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    ck_assert_uint_eq(stats_of(provider).purges, 100);
    ck_assert_uint_eq(stats_of(provider).peak, 100 * CHUNK);
    ck_assert_uint_eq(harena_provider_trim(provider, 0), 0);
    totals_hold(provider);
    chain = take_all(provider, &count);
    ck_assert_uint_eq(count, 100);
    put_all(provider, chain);
    ends_clean(provider);
}
END_TEST

START_TEST(trim_keeps_what_is_asked)
{
    for (size_t keep = 0; keep <= 5 * BLOCK; keep += 7 * CHUNK + 123) {
        harena_provider *provider = provider_of(64 * MIB, 4 * BLOCK, NULL);
        size_t count, back;
        void *chain = take_all(provider, &count);
        harena_provider_stats stats;

        put_all(provider, chain);
        back = harena_provider_trim(provider, keep);
        stats = stats_of(provider);
        ck_assert_uint_eq(back, 4 * BLOCK - stats.free);
        ck_assert_uint_eq(stats.committed, stats.free);
        if (keep >= 4 * BLOCK)
            ck_assert_uint_eq(back, 0);
        else /* whole blocks: as many as it takes, none more */
            ck_assert_uint_eq(stats.free, keep / BLOCK * BLOCK);
        totals_hold(provider);
        ends_clean(provider);
    }
}
END_TEST

START_TEST(trim_leaves_blocks_with_a_chunk_in_use)
{
    harena_provider *provider = provider_of(64 * MIB, 3 * BLOCK, NULL);
    size_t count;
    void **chain = take_all(provider, &count), *kept = chain;

    chain = *chain;
    memset(kept, 9, CHUNK);
    put_all(provider, chain);
    ck_assert_uint_eq(harena_provider_trim(provider, 0), 2 * BLOCK);
    ck_assert_uint_eq(stats_of(provider).in_use, CHUNK);
    ck_assert_uint_eq(stats_of(provider).free, BLOCK - CHUNK);
    ck_assert(all_bytes(kept, CHUNK, 9));
    totals_hold(provider);
    harena_chunk_put(provider, kept);
    ck_assert_uint_eq(harena_provider_trim(provider, 0), BLOCK);
    ends_clean(provider);
}
END_TEST

START_TEST(ballast_is_committed_at_create_and_kept_by_trim)
{
    const size_t sizes[] = {1, CHUNK, 5 * CHUNK + 1, BLOCK, 3 * BLOCK};

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
        harena_provider *provider;
        harena_provider_stats stats;

        options.reserve = 64 * MIB;
        options.ballast = sizes[at];
        provider = SUCCEEDS(harena_provider_create(&options));
        stats = stats_of(provider);
        ck_assert_uint_ge(stats.free, sizes[at]);
        ck_assert_uint_eq(stats.in_use, 0);
        totals_hold(provider);
        harena_provider_trim(provider, 0);
        ck_assert_uint_ge(stats_of(provider).free, sizes[at]);
        for (int round = 0; round < 3; round++) {
            harena *arena = arena_of(provider, 0);

            memset(SUCCEEDS(harena_alloc(arena, opaque(10 * MIB))), 1, 10 * MIB);
            harena_release(arena);
            harena_provider_trim(provider, 0);
            stats = stats_of(provider);
            ck_assert_uint_ge(stats.committed, sizes[at]);
            ck_assert_uint_lt(stats.committed, sizes[at] + BLOCK);
            totals_hold(provider);
        }
        ends_clean(provider);
    }
}
END_TEST

START_TEST(ballast_up_to_the_limit_is_served_from)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *provider;
    size_t count;
    void *chain;

    options.reserve = 64 * MIB;
    options.ballast = options.limit = 10 * CHUNK;
    provider = SUCCEEDS(harena_provider_create(&options));
    chain = take_all(provider, &count);
    ck_assert_uint_eq(count, 10);
    ck_assert_uint_eq(stats_of(provider).commits, 10);
    put_all(provider, chain);
    ends_clean(provider);
}
END_TEST

RUN_TESTS("limits", limit_is_exact_to_the_chunk_rounded_down,
          limit_event_names_the_provider_and_the_size, each_provider_has_a_budget_of_its_own,
          limit_below_use_commits_nothing_until_use_falls,
          a_refused_large_request_starves_no_small_one, exhausted_region_gives_event_and_enomem,
          a_shorter_run_that_serves_is_no_exhausted_region,
          a_run_larger_than_the_region_exhausts_it_without_harm, trim_gives_back_all_that_is_free,
          trim_keeps_what_is_asked, trim_leaves_blocks_with_a_chunk_in_use,
          ballast_is_committed_at_create_and_kept_by_trim, ballast_up_to_the_limit_is_served_from)
