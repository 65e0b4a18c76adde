/* SPDX-License-Identifier: BSD-2-Clause */
/* A provider on the application's own memory: a static buffer that was never zero, and a source that
 * refuses. */
#include "unit.h"

/* The buffer, aligned at run time: not every loader keeps an alignment of 2 MiB. */
enum { BUFFER = 48 << 20 };
static unsigned char memory_of_buffer[BUFFER + (2 << 20)];
static unsigned char *buffer;

/* What the library asked of it. */
static struct source {
    size_t used;               /* bytes of the buffer handed out */
    size_t reserved, released; /* bytes */
    unsigned commits, purges;  /* calls */
    unsigned refuse_commit;    /* the commit that fails, counted from 1; 0: none */
    bool refuse_all, refuse_purge, refuse_reserve;
    bool wild; /* a call with an address outside of what was reserved, or a bad size */
} source;

static void *source_reserve(void *ctx, size_t bytes, size_t align)
{
    size_t at = (source.used + align - 1) & ~(align - 1);

    EXPECT(ctx == &source);
    if (source.refuse_reserve || at > (size_t)BUFFER || bytes > (size_t)BUFFER - at)
        return NULL;
    source.used = at + bytes;
    source.reserved += bytes;
    return buffer + at;
}

static void check_range(const void *at, size_t bytes)
{
    const unsigned char *start = at;

    if (bytes == 0 || start < buffer || bytes > (size_t)BUFFER ||
        start + bytes > buffer + source.used || (uintptr_t)start % 4096 != 0 || bytes % 4096 != 0)
        source.wild = true;
}

static int source_commit(void *ctx, void *at, size_t bytes)
{
    EXPECT(ctx == &source);
    check_range(at, bytes);
    source.commits++;
    return source.refuse_all || source.commits == source.refuse_commit ? -ENOMEM : 0;
}

static int source_purge(void *ctx, void *at, size_t bytes)
{
    EXPECT(ctx == &source);
    check_range(at, bytes);
    source.purges++;
    if (source.refuse_purge)
        return -EINVAL;
    memset(at, 0x5d, bytes); /* purged memory holds anything: it is not said to be zeroed */
    return 0;
}

static int source_purge_zeroed(void *ctx, void *at, size_t bytes)
{
    int result = source_purge(ctx, at, bytes);

    if (result == 0)
        memset(at, 0, bytes);
    return result;
}

/* Nobody uses the block: only one thread asks. */
static int source_commit_zeroed(void *ctx, void *at, size_t bytes)
{
    int result = source_commit(ctx, at, bytes);

    if (result == 0)
        memset(at, 0, bytes);
    return result;
}

static void source_release(void *ctx, void *at, size_t bytes)
{
    EXPECT(ctx == &source);
    check_range(at, bytes);
    source.released += bytes;
}

static struct events events;
static harena_page_source page_source;
static harena_provider_options options;

static void with_source(void)
{
    buffer = (unsigned char *)(((uintptr_t)memory_of_buffer + BLOCK - 1) & ~(uintptr_t)(BLOCK - 1));
    memset(&source, 0, sizeof source);
    memset(&events, 0, sizeof events);
    page_source = (harena_page_source){&source,      source_reserve, source_commit,
                                       source_purge, source_release, false};
    options = (harena_provider_options)HARENA_PROVIDER_OPTIONS_INIT;
    options.reserve = 16 * MIB;
    options.page_source = &page_source;
    options.on_event = record_event;
    options.event_ctx = &events;
}

static void without_source(void)
{
    ck_assert(!source.wild);
    ck_assert_uint_eq(source.reserved,
                      page_source.release != NULL ? source.released : source.reserved);
}

static harena_provider *made(void)
{
    return SUCCEEDS(harena_provider_create(&options));
}

/* Uses a provider in all ways. */
static void exercise(harena_provider *provider)
{
    for (int round = 0; round < 3; round++) {
        harena_options arena_options = HARENA_OPTIONS_INIT;
        harena *arena;
        harena_shared *shared = shared_of(provider, 0);
        unsigned char *chunk = SUCCEEDS(harena_chunk_get(provider));

        arena_options.provider = provider;
        arena_options.zero = round == 1;
        arena = SUCCEEDS(harena_create(&arena_options));
        EXPECT(chunk >= buffer && chunk + CHUNK <= buffer + (size_t)BUFFER);
        EXPECT(harena_len(arena) == 0 && harena_shared_len(shared) == 0);
        memset(chunk, 0xff, CHUNK);
        for (size_t size = 1; size < 2 * MIB; size = size * 5 + 1) {
            unsigned char *memory = SUCCEEDS(harena_alloc_zeroed(arena, opaque(size)));

            EXPECT(all_bytes(memory, size, 0));
            memset(memory, 0xff, size);
            memory = SUCCEEDS(harena_alloc(arena, opaque(size)));
            if (arena_options.zero)
                EXPECT(all_bytes(memory, size, 0));
            memset(memory, 0xff, size);
            memory = SUCCEEDS(harena_shared_alloc_zeroed(shared, opaque(size)));
            EXPECT(all_bytes(memory, size, 0));
            memset(memory, 0xff, size);
        }
        totals_hold(provider);
        harena_reset(arena);
        ck_assert_int_eq(harena_shared_reset(shared), 0);
        ck_assert_int_eq(harena_provider_barrier(provider), 0);
        memset(SUCCEEDS(harena_shared_alloc(shared, opaque(5 * CHUNK))), 0xff, 5 * CHUNK);
        harena_release_rcu(arena);
        harena_shared_release(shared);
        harena_chunk_put(provider, chunk);
        ck_assert_int_eq(harena_provider_barrier(provider), 0);
        totals_hold(provider);
        ck_assert_uint_eq(in_use(provider), 0);
        harena_provider_trim(provider, 0);
        totals_hold(provider);
    }
}

START_TEST(memory_that_was_never_zero_serves)
{
    harena_provider *provider;

    memset(buffer, 0x5c, (size_t)BUFFER); /* records, tables and chunks alike */
    provider = made();
    exercise(provider);
    ck_assert_uint_gt(source.commits, 0);
    ck_assert_uint_gt(source.purges, 0);
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    ends_clean(provider);
}
END_TEST

START_TEST(zeroed_memory_is_believed_to_be_zero)
{
    harena_provider *provider;

    page_source.zeroed = true;
    page_source.purge = source_purge_zeroed;
    provider = made();
    exercise(provider);
    ends_clean(provider);
}
END_TEST

/* Under AddressSanitizer, too. */
START_TEST(a_source_may_clear_what_it_commits)
{
    harena_provider *provider;
    unsigned before;

    memset(buffer, 0x5c, (size_t)BUFFER);
    page_source.zeroed = true;
    page_source.commit = source_commit_zeroed;
    page_source.purge = source_purge_zeroed;
    provider = made();
    exercise(provider);
    before = source.commits;
    exercise(provider);
    ck_assert_uint_gt(source.commits, before); /* the same blocks */
    ends_clean(provider);
}
END_TEST

START_TEST(reserve_alone_is_enough)
{
    harena_provider *provider;

    memset(buffer, 0x5c, (size_t)BUFFER);
    page_source.commit = NULL;
    page_source.purge = NULL;
    page_source.release = NULL;
    provider = made();
    exercise(provider);
    ends_clean(provider);
}
END_TEST

START_TEST(without_purge_nothing_is_given_back)
{
    harena_provider *provider;
    uint64_t free;

    page_source.purge = NULL;
    provider = made();
    exercise(provider);
    free = stats_of(provider).free;
    ck_assert_uint_gt(free, 0);
    ck_assert_uint_eq(harena_provider_trim(provider, 0), 0);
    ck_assert_uint_eq(stats_of(provider).free, free);
    ck_assert_uint_eq(stats_of(provider).purges, 0);
    ends_clean(provider);
}
END_TEST

START_TEST(a_source_without_reserve_is_refused)
{
    page_source.reserve = NULL;
    FAILS(EINVAL, harena_provider_create(&options));
}
END_TEST

START_TEST(the_source_is_copied)
{
    harena_provider *provider = made();

    memset(&page_source, 0xff, sizeof page_source);
    exercise(provider);
    ends_clean(provider);
}
END_TEST

START_TEST(a_refused_reserve_is_enomem)
{
    source.refuse_reserve = true;
    FAILS(ENOMEM, harena_provider_create(&options));
    source.refuse_reserve = false;
    options.reserve = (size_t)BUFFER * 2;
    FAILS(ENOMEM, harena_provider_create(&options));
    ck_assert_uint_eq(source.reserved, source.released);
    source.used = 0;
    options.reserve = 16 * MIB;
    ends_clean(made());
}
END_TEST

START_TEST(default_reserve_is_halved_until_the_source_agrees)
{
    harena_provider *provider;

    options.reserve = 0;
    provider = made();
    ck_assert_uint_le(stats_of(provider).reserved, (size_t)BUFFER);
    ck_assert_uint_ge(stats_of(provider).reserved, (size_t)BUFFER / 8);
    exercise(provider);
    ends_clean(provider);
}
END_TEST

START_TEST(a_refused_commit_is_enomem_and_an_event)
{
    harena_provider *provider = made();
    harena *arena = arena_of(provider, 0);
    harena_shared *shared = shared_of(provider, 0);

    harena_shared_leave(shared, harena_shared_enter(shared));
    source.refuse_all = true;
    FAILS(ENOMEM, harena_chunk_get(provider));
    ck_assert_uint_ge(events_of(&events, HARENA_EVENT_OS_ERROR), 1);
    ck_assert_int_eq(events.last_error, ENOMEM);
    FAILS(ENOMEM, harena_alloc(arena, opaque(100)));
    FAILS(ENOMEM, harena_alloc(arena, opaque(3 * MIB)));
    FAILS(ENOMEM, harena_shared_alloc(shared, opaque(100)));
    ck_assert(harena_failed(arena) && harena_shared_failed(shared));
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    ck_assert_uint_eq(stats_of(provider).peak, 0);
    ck_assert_uint_ge(stats_of(provider).failures, 1);
    totals_hold(provider);
    source.refuse_all = false;
    memset(SUCCEEDS(harena_alloc(arena, opaque(100))), 1, 100);
    memset(SUCCEEDS(harena_alloc(arena, opaque(3 * MIB))), 1, 3 * MIB);
    memset(SUCCEEDS(harena_shared_alloc(shared, opaque(100))), 1, 100);
    totals_hold(provider);
    harena_release(arena);
    harena_shared_release(shared);
    ends_clean(provider);
}
END_TEST

START_TEST(a_refused_purge_is_no_error)
{
    harena_provider *provider = made();
    harena *arena = arena_of(provider, 0);

    memset(SUCCEEDS(harena_alloc(arena, opaque(6 * MIB))), 1, 6 * MIB);
    harena_release(arena);
    source.refuse_purge = true;
    QUIETLY(ck_assert_uint_eq(harena_provider_trim(provider, 0), 0));
    ck_assert_uint_gt(source.purges, 0);
    ck_assert_uint_eq(stats_of(provider).purges, 0);
    ck_assert_uint_ge(stats_of(provider).free, 6 * MIB);
    totals_hold(provider);
    arena = arena_of(provider, 0); /* what was not purged serves on, and its zeroes are made */
    ck_assert(all_bytes(SUCCEEDS(harena_alloc_zeroed(arena, opaque(6 * MIB))), 6 * MIB, 0));
    harena_release(arena);
    source.refuse_purge = false;
    ck_assert_uint_ge(harena_provider_trim(provider, 0), 6 * MIB);
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    ends_clean(provider);
}
END_TEST

START_TEST(a_refused_ballast_is_enomem_and_leaves_nothing)
{
    options.ballast = 4 * MIB;
    source.refuse_all = true;
    FAILS(ENOMEM, harena_provider_create(&options));
    ck_assert_uint_eq(source.reserved, source.released);
    source.refuse_all = false;
    ends_clean(made());
}
END_TEST

START_TEST(each_refused_commit_in_turn_leaks_nothing)
{
    for (unsigned nth = 1;; nth++) {
        harena_provider *provider;
        unsigned commits;

        memset(&source, 0, sizeof source);
        source.refuse_commit = nth;
        errno = SENTINEL;
        provider = harena_provider_create(&options);
        if (hidden(provider) == 0) {
            ck_assert_int_eq(errno, ENOMEM);
        } else {
            harena *arena = arena_of(provider, 0);
            void *chunk = harena_chunk_get(provider);

            for (size_t size = 100; size < 5 * MIB; size *= 3) {
                unsigned char *memory = harena_alloc(arena, opaque(size));

                if (memory != NULL)
                    memset(memory, 1, size);
            }
            totals_hold(provider);
            harena_chunk_put(provider, chunk);
            harena_release(arena);
            ends_clean(provider);
        }
        commits = source.commits;
        ck_assert(!source.wild);
        ck_assert_uint_eq(source.reserved, source.released);
        if (commits < nth)
            break;
        ck_assert_uint_lt(nth, 1000);
    }
}
END_TEST

START_TEST(a_block_that_went_back_is_asked_for_again)
{
    harena_provider *provider = made();
    unsigned before;

    harena_chunk_put(provider, SUCCEEDS(harena_chunk_get(provider)));
    ck_assert_uint_eq(harena_provider_trim(provider, 0), CHUNK);
    before = source.commits;
    source.refuse_all = true;
    FAILS(ENOMEM, harena_chunk_get(provider));
    ck_assert_uint_gt(source.commits, before);
    source.refuse_all = false;
    harena_chunk_put(provider, SUCCEEDS(harena_chunk_get(provider)));
    ends_clean(provider);
}
END_TEST

RUN_TESTS_AROUND("page_source", with_source, without_source, memory_that_was_never_zero_serves,
                 zeroed_memory_is_believed_to_be_zero, a_source_may_clear_what_it_commits,
                 reserve_alone_is_enough, without_purge_nothing_is_given_back,
                 a_source_without_reserve_is_refused, the_source_is_copied,
                 a_refused_reserve_is_enomem, default_reserve_is_halved_until_the_source_agrees,
                 a_refused_commit_is_enomem_and_an_event, a_refused_purge_is_no_error,
                 a_refused_ballast_is_enomem_and_leaves_nothing,
                 each_refused_commit_in_turn_leaks_nothing,
                 a_block_that_went_back_is_asked_for_again)
