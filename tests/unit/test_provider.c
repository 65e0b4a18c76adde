/* SPDX-License-Identifier: BSD-2-Clause */
/* The provider: options, raw chunks, limits, misuse, trim, barrier, destroy, totals. */
#include "unit.h"

#include <sched.h>

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
    ck_assert_uint_eq(count, 8 * MIB / CHUNK);
    put_all(provider, chain);
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

/* ---- destroy and barrier ---- */

START_TEST(destroy_is_busy_while_anything_lives)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    void *chunk = SUCCEEDS(harena_chunk_get(provider));
    harena *arena;
    harena_shared *shared;

    QUIETLY(ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY));
    memset(chunk, 1, CHUNK);
    harena_chunk_put(provider, chunk);
    arena = arena_of(provider, 0); /* holds no chunk, lives all the same */
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    memset(SUCCEEDS(harena_alloc(arena, 100)), 1, 100);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    harena_release(arena);
    shared = shared_of(provider, 0);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    memset(SUCCEEDS(harena_shared_alloc(shared, 100)), 1, 100);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    harena_shared_close(shared);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    ck_assert_uint_eq(stats_of(provider).deferred, 0); /* what was deferred is back */
    FAILS(ESHUTDOWN, harena_shared_alloc(shared, 100));
    harena_shared_release(shared);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}
END_TEST

static void count_up(void *counter)
{
    __atomic_fetch_add((int *)counter, 1, __ATOMIC_RELAXED);
}

START_TEST(destroy_waits_for_what_is_deferred)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena *arena = arena_of(provider, 0);
    harena_shared *shared = shared_of(provider, 0);
    int cleanups = 0;

    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), 0);
    harena_release_rcu(arena);
    harena_shared_release(shared);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
    ck_assert_int_eq(cleanups, 2);
}
END_TEST

START_TEST(barrier_waits_for_what_is_deferred)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    int cleanups = 0;

    for (int round = 0; round < 20; round++) {
        harena *arena = arena_of(provider, 0);

        ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
        harena_release_rcu(arena);
        QUIETLY(ck_assert_int_eq(harena_provider_barrier(provider), 0));
        ck_assert_int_eq(__atomic_load_n(&cleanups, __ATOMIC_RELAXED), round + 1);
        ck_assert_uint_eq(stats_of(provider).deferred, 0);
        ck_assert_uint_eq(stats_of(provider).retired, round + 1);
        ck_assert_uint_eq(stats_of(provider).reclaimed, round + 1);
    }
    ends_clean(provider);
}
END_TEST

START_TEST(barrier_and_destroy_in_a_read_section_give_edeadlk)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_shared *shared = shared_of(provider, 0);
    harena_view *view;

    harena_provider_read_lock(provider);
    harena_provider_read_lock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK);
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK); /* they nest */
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    view = harena_shared_enter(shared);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK);
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
    harena_provider_read_lock(provider);
    ck_assert_int_eq(harena_provider_destroy(provider), -EDEADLK);
    harena_provider_read_unlock(provider);
    ends_clean(provider);
}
END_TEST

START_TEST(barrier_in_a_read_section_of_a_fresh_provider_gives_edeadlk)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);

    harena_provider_read_lock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK);
    ck_assert_int_eq(harena_provider_destroy(provider), -EDEADLK);
    harena_provider_read_unlock(provider);
    ends_clean(provider);
}
END_TEST

struct wait_in_cleanup {
    harena_provider *provider;
    int barrier, destroy;
};

static void wait_in_cleanup(void *ctx)
{
    struct wait_in_cleanup *wait = ctx;

    wait->barrier = harena_provider_barrier(wait->provider);
    wait->destroy = harena_provider_destroy(wait->provider);
}

START_TEST(barrier_and_destroy_in_a_cleanup_give_edeadlk)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    struct wait_in_cleanup on_worker = {provider, 0, 0}, at_release = {provider, 0, 0};
    struct wait_in_cleanup now = {provider, 0, 0};
    harena *arena = arena_of(provider, 0);
    harena_shared *shared = shared_of(provider, 0);

    ck_assert_int_eq(harena_on_release(arena, wait_in_cleanup, &on_worker), 0);
    harena_release_rcu(arena);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(on_worker.barrier, -EDEADLK);
    ck_assert_int_eq(on_worker.destroy, -EDEADLK);

    arena = arena_of(provider, 0);
    ck_assert_int_eq(harena_on_release(arena, wait_in_cleanup, &at_release), 0);
    harena_release(arena);
    ck_assert_int_eq(at_release.barrier, -EDEADLK);
    ck_assert_int_eq(at_release.destroy, -EDEADLK);

    ck_assert_int_eq(harena_shared_on_release(shared, wait_in_cleanup, &now), 0);
    harena_shared_release_now(shared);
    ck_assert_int_eq(now.barrier, -EDEADLK);
    ck_assert_int_eq(now.destroy, -EDEADLK);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ends_clean(provider);
}
END_TEST

struct section {
    harena_provider *provider;
    int inside, left; /* atomic */
};

static void *stay_a_while(void *ctx)
{
    struct section *section = ctx;

    harena_provider_read_lock(section->provider);
    __atomic_store_n(&section->inside, 1, __ATOMIC_RELEASE);
    usleep(50000);
    __atomic_store_n(&section->left, 1, __ATOMIC_RELEASE);
    harena_provider_read_unlock(section->provider);
    return NULL;
}

START_TEST(barrier_waits_for_another_threads_section)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);

    for (int cleanups = 0; cleanups < 2; cleanups++) {
        struct section section = {provider, 0, 0};
        harena *arena = arena_of(provider, 0);
        pthread_t thread;
        int ran = 0;

        memset(SUCCEEDS(harena_alloc(arena, opaque(100))), 1, 100);
        if (cleanups)
            ck_assert_int_eq(harena_on_release(arena, count_up, &ran), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, stay_a_while, &section), 0);
        while (!__atomic_load_n(&section.inside, __ATOMIC_ACQUIRE))
            sched_yield();
        harena_release_rcu(arena);
        ck_assert_int_eq(harena_provider_barrier(provider), 0);
        ck_assert_int_eq(__atomic_load_n(&section.left, __ATOMIC_ACQUIRE), 1);
        ck_assert_uint_eq(stats_of(provider).deferred, 0);
        ck_assert_int_eq(ran, cleanups);
        pthread_join(thread, NULL);
    }
    ends_clean(provider);
}
END_TEST

static void note_thread(void *thread)
{
    *(pthread_t *)thread = pthread_self();
}

START_TEST(cleanups_after_a_grace_period_run_on_rcus_worker)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    pthread_t worker = pthread_self();
    harena *arena;

    for (int round = 0; round < 5; round++) {
        worker = pthread_self();
        for (int others = 0; others < 5; others++) /* the worker is busy: the barrier does it */
            harena_release_rcu(arena_of(provider, 0));
        arena = arena_of(provider, 0);
        ck_assert_int_eq(harena_on_release(arena, note_thread, &worker), 0);
        harena_release_rcu(arena);
        ck_assert_int_eq(harena_provider_barrier(provider), 0);
        ck_assert(!pthread_equal(worker, pthread_self())); /* the caller may hold what they want */
    }
    arena = arena_of(provider, 0);
    ck_assert_int_eq(harena_on_release(arena, note_thread, &worker), 0);
    harena_release(arena);
    ck_assert(pthread_equal(worker, pthread_self()));
    ends_clean(provider);
}
END_TEST

START_TEST(retired_memory_is_deferred_until_readers_leave)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena *arena = arena_of(provider, 0);
    unsigned char *memory = SUCCEEDS(harena_alloc(arena, opaque(3 * CHUNK)));
    size_t held = harena_cap(arena);
    harena_provider_stats stats;

    memset(memory, 0x3c, 3 * CHUNK);
    harena_provider_read_lock(provider);
    harena_release_rcu(arena);
    stats = stats_of(provider);
    ck_assert_uint_eq(stats.deferred, held);
    ck_assert_uint_eq(stats.in_use, 0);
    ck_assert_uint_eq(stats.retired, 1);
    ck_assert_uint_eq(stats.reclaimed, 0);
    totals_hold(provider);
    ck_assert(all_bytes(memory, 3 * CHUNK, 0x3c));
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    stats = stats_of(provider);
    ck_assert_uint_eq(stats.deferred, 0);
    ck_assert_uint_eq(stats.reclaimed, 1);
    ck_assert_uint_eq(stats.free, held);
    ends_clean(provider);
}
END_TEST

START_TEST(a_hard_limit_in_need_takes_back_what_waits_for_nobody)
{
    harena_provider *provider = provider_of(64 * MIB, 4 * CHUNK, NULL);
    int refused = 0;

    for (int round = 0; round < 20; round++) {
        harena *arena = arena_of(provider, 0);
        void *memory;

        /* A busy machine's worker may be late: some refusals are in order, not more. */
        while ((memory = harena_alloc(arena, opaque(4 * CHUNK))) == NULL)
            ck_assert_int_lt(refused++, 10);
        memset(memory, round, 4 * CHUNK);
        harena_release_rcu(arena);
    }
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
          limit_is_exact_to_the_chunk_rounded_down, each_provider_has_a_budget_of_its_own,
          limit_event_names_the_provider_and_the_size,
          limit_below_use_commits_nothing_until_use_falls,
          a_refused_large_request_starves_no_small_one, exhausted_region_gives_event_and_enomem,
          a_run_larger_than_the_region_exhausts_it_without_harm,
          double_put_is_caught_and_changes_nothing, wild_put_is_caught_and_changes_nothing,
          null_put_does_nothing, put_of_an_arenas_memory_is_caught_and_changes_nothing,
          misuse_without_a_handler_is_survived, owns_answers_for_any_pointer,
          trim_gives_back_all_that_is_free, trim_keeps_what_is_asked,
          trim_leaves_blocks_with_a_chunk_in_use, ballast_is_committed_at_create_and_kept_by_trim,
          ballast_up_to_the_limit_is_served_from, stats_fill_no_more_than_the_size_says,
          stats_of_a_larger_caller_are_not_overrun, totals_hold_after_each_step_of_a_life,
          destroy_is_busy_while_anything_lives, destroy_waits_for_what_is_deferred,
          barrier_waits_for_what_is_deferred, barrier_and_destroy_in_a_read_section_give_edeadlk,
          barrier_in_a_read_section_of_a_fresh_provider_gives_edeadlk,
          barrier_and_destroy_in_a_cleanup_give_edeadlk, barrier_waits_for_another_threads_section,
          cleanups_after_a_grace_period_run_on_rcus_worker,
          retired_memory_is_deferred_until_readers_leave,
          a_hard_limit_in_need_takes_back_what_waits_for_nobody)
