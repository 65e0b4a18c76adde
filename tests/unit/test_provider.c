/* SPDX-License-Identifier: BSD-2-Clause */
/* The provider: options, raw chunks, misuse, whose pointer it is, totals. */
#include "unit.h"

/* ---- create ---- */

START_TEST(defaults_make_a_provider)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *plain = SUCCEEDS(harena_provider_create(NULL));
    harena_provider *spelled = SUCCEEDS(harena_provider_create(&options));

    ck_assert(plain != spelled);
    ck_assert_uint_gt(stats_of(plain).reserved, 0);
    ck_assert_uint_eq(stats_of(plain).in_use, 0);
    ends_clean(plain);
    ends_clean(spelled);
}
END_TEST

START_TEST(unknown_options_size_is_refused)
{
    const size_t sizes[] = {0,
                            1,
                            sizeof(size_t),
                            sizeof(harena_provider_options) - 1,
                            sizeof(harena_provider_options) + 1,
                            1 << 20,
                            SIZE_MAX};
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        options.size = sizes[at];
        FAILS(EINVAL, harena_provider_create(&options));
    }
}
END_TEST

START_TEST(unknown_huge_pages_value_is_refused)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    options.reserve = 8 * MIB;
    options.huge_pages = (enum harena_huge_pages)(HARENA_HUGE_OFF + 1);
    FAILS(EINVAL, harena_provider_create(&options));
    options.huge_pages = (enum harena_huge_pages)opaque(0x7fffffff);
    FAILS(EINVAL, harena_provider_create(&options));
}
END_TEST

START_TEST(every_huge_pages_value_serves)
{
    const enum harena_huge_pages values[] = {HARENA_HUGE_AUTO, HARENA_HUGE_ON, HARENA_HUGE_OFF};

    for (size_t at = 0; at < 3; at++) {
        harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
        harena_provider *provider;
        void *chunk;

        options.reserve = 8 * MIB;
        options.huge_pages = values[at];
        provider = SUCCEEDS(harena_provider_create(&options));
        chunk = SUCCEEDS(harena_chunk_get(provider));
        memset(chunk, 1, CHUNK);
        harena_chunk_put(provider, chunk);
        harena_provider_trim(provider, 0);
        chunk = SUCCEEDS(harena_chunk_get(provider));
        memset(chunk, 2, CHUNK);
        harena_chunk_put(provider, chunk);
        ends_clean(provider);
    }
}
END_TEST

START_TEST(ballast_above_limit_or_reserve_is_refused)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    options.reserve = 64 * MIB;
    options.limit = 4 * CHUNK;
    options.ballast = 5 * CHUNK;
    FAILS(EINVAL, harena_provider_create(&options));
    options.limit = 0;
    options.ballast = 65 * MIB;
    FAILS(EINVAL, harena_provider_create(&options));
    options.ballast = SIZE_MAX;
    FAILS(EINVAL, harena_provider_create(&options));
}
END_TEST

START_TEST(more_addresses_than_there_are_is_refused)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    const size_t sizes[] = {(size_t)1 << 50,  (size_t)1 << 62, (size_t)PTRDIFF_MAX + 1,
                            SIZE_MAX - BLOCK, SIZE_MAX - 1,    SIZE_MAX};

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        options.reserve = sizes[at];
        FAILS(ENOMEM, harena_provider_create(&options));
    }
}
END_TEST

START_TEST(reserve_is_rounded_up_to_a_block)
{
    harena_provider *provider = provider_of(1, 0, NULL);

    ck_assert_uint_eq(stats_of(provider).reserved, BLOCK);
    ends_clean(provider);
    provider = provider_of(BLOCK, 0, NULL);
    ck_assert_uint_eq(stats_of(provider).reserved, BLOCK);
    ends_clean(provider);
    provider = provider_of(BLOCK + 1, 0, NULL);
    ck_assert_uint_eq(stats_of(provider).reserved, 2 * BLOCK);
    ends_clean(provider);
}
END_TEST

START_TEST(name_is_copied_up_to_31_bytes)
{
    struct events events = {.count = {0}};
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *provider;
    char name[64];
    int local;

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    options.name = name;
    options.reserve = 8 * MIB;
    options.on_event = record_event;
    options.event_ctx = &events;
    provider = SUCCEEDS(harena_provider_create(&options));
    memset(name, 'x', sizeof name - 1);
    harena_chunk_put(provider, &local);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    ck_assert_str_eq(events.last_name, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
    ends_clean(provider);
}
END_TEST

START_TEST(hundreds_of_providers_come_and_go)
{
    for (int round = 0; round < 200; round++) {
        harena_provider *provider = provider_of(4 * MIB, 0, NULL);
        void *chunk = SUCCEEDS(harena_chunk_get(provider));

        *(char *)chunk = 1;
        harena_chunk_put(provider, chunk);
        ck_assert_int_eq(harena_provider_destroy(provider), 0);
    }
}
END_TEST

/* ---- the default provider ---- */

static void *ask_default(void *unused)
{
    (void)unused;
    return harena_provider_default();
}

START_TEST(default_provider_is_one_for_all_threads)
{
    harena_provider *provider = SUCCEEDS(harena_provider_default());

    ck_assert(SUCCEEDS(harena_provider_default()) == provider);
    ck_assert(on_another_thread(ask_default, NULL) == provider);
}
END_TEST

START_TEST(null_means_the_default_provider)
{
    harena_provider *provider = SUCCEEDS(harena_provider_default());
    harena_provider_stats before = stats_of(NULL), during, after;
    void *chunk = SUCCEEDS(harena_chunk_get(NULL));

    ck_assert(harena_provider_owns(provider, chunk));
    during = stats_of(provider);
    ck_assert_uint_eq(during.in_use, before.in_use + CHUNK);
    QUIETLY(harena_chunk_put(NULL, chunk));
    after = stats_of(NULL);
    ck_assert_uint_eq(after.in_use, before.in_use);
    ck_assert_int_eq(harena_provider_barrier(NULL), 0);
    QUIETLY(harena_provider_read_lock(NULL));
    QUIETLY(harena_provider_read_unlock(NULL));
    ck_assert_uint_gt(harena_provider_trim(NULL, 0), 0);
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    ck_assert_int_eq(harena_provider_set_limit(NULL, 1), 0);
    FAILS(ENOMEM, harena_chunk_get(NULL));
    ck_assert_int_eq(harena_provider_set_limit(NULL, 0), 0);
    chunk = SUCCEEDS(harena_chunk_get(NULL));
    harena_chunk_put(provider, chunk);
    totals_hold(NULL);
}
END_TEST

START_TEST(default_provider_cannot_be_destroyed)
{
    ck_assert_int_eq(harena_provider_destroy(harena_provider_default()), -EINVAL);
    ck_assert_int_eq(harena_provider_destroy(NULL), -EINVAL);
    harena_chunk_put(NULL, SUCCEEDS(harena_chunk_get(NULL)));
}
END_TEST

START_TEST(null_destroy_is_invalid_without_a_default_provider)
{
    ck_assert_int_eq(harena_provider_destroy(NULL), -EINVAL);
}
END_TEST

/* ---- chunks ---- */

START_TEST(chunks_are_aligned_distinct_and_writable)
{
    enum { COUNT = 100 };
    harena_provider *provider = provider_of(16 * MIB, 0, NULL);
    unsigned char *chunks[COUNT];

    for (int at = 0; at < COUNT; at++) {
        chunks[at] = SUCCEEDS(harena_chunk_get(provider));
        EXPECT(aligned_to(chunks[at], CHUNK));
        EXPECT(harena_provider_owns(provider, chunks[at]));
        EXPECT(harena_provider_owns(provider, chunks[at] + CHUNK - 1));
        memset(chunks[at], at, CHUNK);
        totals_hold(provider);
        EXPECT(in_use(provider) == (size_t)(at + 1) * CHUNK);
    }
    for (int at = 0; at < COUNT; at++) {
        EXPECT(all_bytes(chunks[at], CHUNK, (unsigned char)at));
        QUIETLY(harena_chunk_put(provider, chunks[at]));
        totals_hold(provider);
    }
    ck_assert_uint_eq(stats_of(provider).gets, COUNT);
    ck_assert_uint_eq(stats_of(provider).puts, COUNT);
    ck_assert_uint_eq(stats_of(provider).failures, 0);
    ends_clean(provider);
}
END_TEST

START_TEST(a_chunk_put_back_serves_again_without_new_memory)
{
    harena_provider *provider = provider_of(16 * MIB, 0, NULL);

    for (int round = 0; round < 1000; round++) {
        void *chunk = SUCCEEDS(harena_chunk_get(provider));

        *(char *)chunk = 1;
        harena_chunk_put(provider, chunk);
    }
    ck_assert_uint_eq(stats_of(provider).commits, 1);
    ck_assert_uint_eq(stats_of(provider).peak, CHUNK);
    ck_assert_uint_eq(stats_of(provider).gets, 1000);
    ends_clean(provider);
}
END_TEST

static void *put_there(void *chunk_and_provider)
{
    void **both = chunk_and_provider;

    harena_chunk_put(both[1], both[0]);
    return NULL;
}

START_TEST(another_thread_may_put_a_chunk_back)
{
    harena_provider *provider = provider_of(16 * MIB, 0, NULL);
    void *both[2] = {SUCCEEDS(harena_chunk_get(provider)), provider};

    on_another_thread(put_there, both);
    ck_assert_uint_eq(in_use(provider), 0);
    ends_clean(provider);
}
END_TEST

/* ---- misuse ---- */

/* What a put of no raw chunk must leave as it is. */
static void misuse_changes_nothing(harena_provider *provider, struct events *events, void *wrong)
{
    harena_provider_stats before = stats_of(provider), after;
    unsigned misuses = events_of(events, HARENA_EVENT_MISUSE);
    unsigned all = events_in_all(events);

    QUIETLY(harena_chunk_put(provider, wrong));
    after = stats_of(provider);
    ck_assert_uint_eq(events_of(events, HARENA_EVENT_MISUSE), misuses + 1);
    ck_assert_uint_eq(events_in_all(events), all + 1);
    before.failures = after.failures; /* whether misuse is counted there is open */
    ck_assert_mem_eq(&before, &after, sizeof before);
    totals_hold(provider);
}

START_TEST(double_put_is_caught_and_changes_nothing)
{
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(16 * MIB, 0, &events);
    void *first = SUCCEEDS(harena_chunk_get(provider));
    void *second = SUCCEEDS(harena_chunk_get(provider));

    harena_chunk_put(provider, first);
    ck_assert_uint_eq(events_in_all(&events), 0);
    misuse_changes_nothing(provider, &events, first);
    misuse_changes_nothing(provider, &events, first);
    harena_chunk_put(provider, second);
    misuse_changes_nothing(provider, &events, second);
    harena_provider_trim(provider, 0); /* a purged chunk is free as well */
    misuse_changes_nothing(provider, &events, first);
    ends_clean(provider);
}
END_TEST

START_TEST(wild_put_is_caught_and_changes_nothing)
{
    static char in_data[CHUNK];
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(16 * MIB, 0, &events);
    harena_provider *other = provider_of(16 * MIB, 0, NULL);
    char *chunk = SUCCEEDS(harena_chunk_get(provider));
    char *foreign = SUCCEEDS(harena_chunk_get(other));
    char local;

    misuse_changes_nothing(provider, &events, &local);
    misuse_changes_nothing(provider, &events, in_data);
    misuse_changes_nothing(provider, &events, provider);
    misuse_changes_nothing(provider, &events, foreign);
    misuse_changes_nothing(provider, &events, (void *)opaque(1));
    misuse_changes_nothing(provider, &events, (void *)opaque(UINTPTR_MAX));
    misuse_changes_nothing(provider, &events, chunk + 1);
    misuse_changes_nothing(provider, &events, chunk + 16);
    misuse_changes_nothing(provider, &events, chunk + CHUNK - 1);
    misuse_changes_nothing(provider, &events, chunk + CHUNK);     /* never handed out */
    misuse_changes_nothing(provider, &events, chunk + 4 * BLOCK); /* nor ever committed */
    misuse_changes_nothing(provider, &events, chunk - CHUNK);
    misuse_changes_nothing(provider, &events,
                           (void *)opaque((uintptr_t)chunk + ((uintptr_t)1 << 48)));
    harena_chunk_put(provider, chunk);
    ck_assert_uint_eq(in_use(other), CHUNK);
    harena_chunk_put(other, foreign);
    ends_clean(provider);
    ends_clean(other);
}
END_TEST

START_TEST(null_put_does_nothing)
{
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(16 * MIB, 0, &events);

    QUIETLY(harena_chunk_put(provider, NULL));
    QUIETLY(harena_chunk_put(NULL, NULL));
    ck_assert_uint_eq(events_in_all(&events), 0);
    ck_assert_uint_eq(stats_of(provider).puts, 0);
    ends_clean(provider);
}
END_TEST

static void *chunk_of(const void *memory)
{
    return (void *)(hidden(memory) & ~(uintptr_t)(CHUNK - 1));
}

START_TEST(put_of_an_arenas_memory_is_caught_and_changes_nothing)
{
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(64 * MIB, 0, &events);
    harena *arena = arena_of(provider, 0);
    harena_shared *shared = shared_of(provider, 0);
    char *small = SUCCEEDS(harena_alloc(arena, 100));
    char *large = SUCCEEDS(harena_alloc(arena, opaque(5 * CHUNK)));
    char *huge = SUCCEEDS(harena_alloc(arena, opaque(3 * BLOCK)));
    char *common = SUCCEEDS(harena_shared_alloc(shared, opaque(100)));

    memset(small, 7, 100);
    misuse_changes_nothing(provider, &events, chunk_of(small));
    misuse_changes_nothing(provider, &events, chunk_of(large));
    misuse_changes_nothing(provider, &events, chunk_of(large + 2 * CHUNK));
    misuse_changes_nothing(provider, &events, chunk_of(huge));
    misuse_changes_nothing(provider, &events, chunk_of(huge + BLOCK));
    misuse_changes_nothing(provider, &events, chunk_of(common));
    ck_assert(all_bytes(small, 100, 7));
    harena_release(arena);
    harena_shared_release_now(shared);
    ends_clean(provider);
}
END_TEST

START_TEST(misuse_without_a_handler_is_survived)
{
    harena_provider *provider = provider_of(16 * MIB, 0, NULL);
    void *chunk = SUCCEEDS(harena_chunk_get(provider));

    harena_chunk_put(provider, chunk);
    harena_chunk_put(provider, chunk);
    harena_chunk_put(provider, &chunk);
    totals_hold(provider);
    ck_assert_uint_eq(stats_of(provider).puts, 1);
    ends_clean(provider);
}
END_TEST

/* ---- owns ---- */

START_TEST(owns_answers_for_any_pointer)
{
    static int in_data;
    harena_provider *provider = provider_of(16 * MIB, 0, NULL);
    harena_provider *other = provider_of(16 * MIB, 0, NULL);
    char *chunk = SUCCEEDS(harena_chunk_get(provider));
    char *foreign = SUCCEEDS(harena_chunk_get(other));
    void *heap = malloc(1);
    int on_stack;

    QUIETLY(ck_assert(harena_provider_owns(provider, chunk)));
    ck_assert(harena_provider_owns(provider, chunk + CHUNK - 1));
    ck_assert(!harena_provider_owns(provider, foreign));
    ck_assert(!harena_provider_owns(other, chunk));
    ck_assert(!harena_provider_owns(provider, NULL));
    ck_assert(!harena_provider_owns(provider, (void *)opaque(1)));
    ck_assert(!harena_provider_owns(provider, (void *)opaque(UINTPTR_MAX)));
    ck_assert(!harena_provider_owns(provider, (void *)opaque((uintptr_t)1 << 63)));
    ck_assert(!harena_provider_owns(provider, &on_stack));
    ck_assert(!harena_provider_owns(provider, &in_data));
    ck_assert(!harena_provider_owns(provider, heap));
    ck_assert(!harena_provider_owns(provider, chunk - 16 * MIB));
    ck_assert(!harena_provider_owns(provider, chunk + 16 * MIB));
    ck_assert(!harena_provider_owns(NULL, chunk));
    ck_assert(!harena_provider_owns(NULL, NULL));
    harena_chunk_put(provider, chunk);
    ck_assert(harena_provider_owns(provider, chunk)); /* the region's, in use or not */
    harena_chunk_put(other, foreign);
    free(heap);
    ends_clean(provider);
    ends_clean(other);
}
END_TEST

/* ---- statistics ---- */

START_TEST(stats_fill_no_more_than_the_size_says)
{
    harena_provider *provider = provider_of(16 * MIB, 0, NULL);
    void *chunk = SUCCEEDS(harena_chunk_get(provider));
    harena_provider_stats full = stats_of(provider);

    for (size_t size = 0; size <= sizeof full; size++) {
        harena_provider_stats stats;

        memset(&stats, 0xa5, sizeof stats);
        stats.size = size;
        QUIETLY(harena_provider_stats_get(provider, &stats));
        ck_assert_uint_eq(stats.size, size);
        if (size > sizeof stats.size)
            ck_assert_mem_eq((char *)&stats + sizeof stats.size, (char *)&full + sizeof stats.size,
                             size - sizeof stats.size);
        ck_assert(all_bytes((char *)&stats + (size < sizeof stats.size ? sizeof stats.size : size),
                            sizeof stats - (size < sizeof stats.size ? sizeof stats.size : size),
                            0xa5));
    }
    QUIETLY(harena_provider_stats_get(provider, NULL));
    QUIETLY(harena_provider_stats_get(NULL, NULL));
    harena_chunk_put(provider, chunk);
    ends_clean(provider);
}
END_TEST

START_TEST(stats_of_a_larger_caller_are_not_overrun)
{
    struct {
        harena_provider_stats known;
        unsigned char later[64];
    } stats;
    harena_provider *provider = provider_of(16 * MIB, 0, NULL);

    memset(&stats, 0, sizeof stats);
    memset(stats.later, 0xa5, sizeof stats.later);
    stats.known.size = sizeof stats;
    harena_provider_stats_get(provider, &stats.known);
    ck_assert_uint_eq(stats.known.reserved, 16 * MIB);
    for (size_t at = 0; at < sizeof stats.later; at++) /* untouched, or zero as "not known" */
        ck_assert(stats.later[at] == 0xa5 || stats.later[at] == 0);
    ends_clean(provider);
}
END_TEST

START_TEST(totals_hold_after_each_step_of_a_life)
{
    harena_provider *provider = provider_of(128 * MIB, 0, NULL);
    harena *arena = arena_of(provider, 0);
    harena_shared *shared = shared_of(provider, 0);
    void *chunk;

    totals_hold(provider);
    for (size_t size = 1; size <= 4 * MIB; size = size * 3 + 1) {
        memset(SUCCEEDS(harena_alloc(arena, opaque(size))), 1, size);
        totals_hold(provider);
        memset(SUCCEEDS(harena_shared_alloc(shared, opaque(size))), 2, size);
        totals_hold(provider);
        chunk = SUCCEEDS(harena_chunk_get(provider));
        totals_hold(provider);
        ck_assert_uint_eq(in_use(provider), harena_cap(arena) + harena_shared_cap(shared) + CHUNK);
        harena_chunk_put(provider, chunk);
        totals_hold(provider);
    }
    harena_reset(arena);
    totals_hold(provider);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    totals_hold(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    totals_hold(provider);
    ck_assert_uint_eq(in_use(provider), harena_cap(arena));
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
    memset(SUCCEEDS(harena_shared_alloc(shared, 100)), 3, 100);
    ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    totals_hold(provider);
    harena_release_rcu(arena);
    totals_hold(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    totals_hold(provider);
    ck_assert_uint_eq(in_use(provider), 0);
    harena_provider_trim(provider, 0);
    totals_hold(provider);
    harena_shared_release(shared);
    totals_hold(provider);
    ends_clean(provider);
}
END_TEST

RUN_TESTS("provider", defaults_make_a_provider, unknown_options_size_is_refused,
          unknown_huge_pages_value_is_refused, every_huge_pages_value_serves,
          ballast_above_limit_or_reserve_is_refused, more_addresses_than_there_are_is_refused,
          reserve_is_rounded_up_to_a_block, name_is_copied_up_to_31_bytes,
          hundreds_of_providers_come_and_go, default_provider_is_one_for_all_threads,
          null_means_the_default_provider, default_provider_cannot_be_destroyed,
          null_destroy_is_invalid_without_a_default_provider,
          chunks_are_aligned_distinct_and_writable,
          a_chunk_put_back_serves_again_without_new_memory, another_thread_may_put_a_chunk_back,
          double_put_is_caught_and_changes_nothing, wild_put_is_caught_and_changes_nothing,
          null_put_does_nothing, put_of_an_arenas_memory_is_caught_and_changes_nothing,
          misuse_without_a_handler_is_survived, owns_answers_for_any_pointer,
          stats_fill_no_more_than_the_size_says, stats_of_a_larger_caller_are_not_overrun,
          totals_hold_after_each_step_of_a_life)
