/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared arena's reset and release, the deferred limit, its own limit. */
#include "shared.h"

/* ---- reset ---- */

START_TEST(reset_empties_and_memory_comes_back)
{
    harena_shared *shared = made();
    uint64_t reclaimed;

    for (int round = 0; round < 8; round++) {
        bytes_of(shared, 100, round);
        bytes_of(shared, 3 * CHUNK, round);
        reclaimed = stats_of(provider).retired;
        QUIETLY(ck_assert_int_eq(harena_shared_reset(shared), 0));
        ck_assert_uint_eq(stats_of(provider).retired, reclaimed + 1);
        ck_assert_uint_eq(harena_shared_len(shared), 0);
        ck_assert_uint_eq(harena_shared_cap(shared), 0);
        totals_hold(provider);
        back_after_barrier();
        ck_assert_uint_eq(in_use(provider), 0);
    }
    ck_assert_uint_le(stats_of(provider).commits, 8);
    harena_shared_release(shared);
}
END_TEST

START_TEST(reset_of_an_empty_one_is_harmless)
{
    harena_shared *shared = made();

    for (int round = 0; round < 5; round++)
        ck_assert_int_eq(harena_shared_reset(shared), 0);
    harena_shared_leave(shared, harena_shared_enter(shared));
    for (int round = 0; round < 5; round++)
        ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    bytes_of(shared, 100, 1);
    harena_shared_release(shared);
}
END_TEST

START_TEST(reset_of_one_that_filled_the_hard_limit_serves_again)
{
    harena_provider *small = provider_of(64 * MIB, 4 * CHUNK, NULL);
    harena_shared *shared;

    options.provider = small;
    shared = made();
    for (int round = 0; round < 8; round++) {
        uint64_t commits;
        size_t count = 0;

        /* A busy machine's worker may be late with what the reset before retired. */
        for (int tries = 0; tries < 50 && count == 0; tries++)
            count += hidden(harena_shared_alloc(shared, opaque(1024))) != 0;
        for (;; count++) {
            errno = SENTINEL;
            if (hidden(harena_shared_alloc(shared, opaque(1024))) == 0)
                break;
            EXPECT(errno == SENTINEL);
        }
        EXPECT(errno == ENOMEM);
        if (count < 4 * 64 - 4) /* a thread alone leaves no more than ends behind */
            ck_assert_msg(count >= 4 * 64 - 4, "%zu of 256 KiB served", count);
        ck_assert(harena_shared_failed(shared));
        commits = stats_of(small).commits;
        ck_assert_int_eq(harena_shared_reset(shared), 0);
        ck_assert_uint_eq(stats_of(small).commits, commits);
        ck_assert(!harena_shared_failed(shared));
        if (round % 2 == 0) /* else the need reclaims by itself */
            ck_assert_int_eq(harena_provider_barrier(small), 0);
        totals_hold(small);
    }
    harena_shared_release(shared);
    ends_clean(small);
}
END_TEST

START_TEST(reset_above_the_deferred_limit_changes_nothing)
{
    harena_provider_options strict = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *small;
    harena_shared *shared;
    unsigned char *kept;
    int resets = 0, result;

    strict.reserve = 64 * MIB;
    strict.deferred_limit = 4 * CHUNK;
    strict.on_event = record_event;
    strict.event_ctx = &events;
    small = SUCCEEDS(harena_provider_create(&strict));
    options.provider = small;
    shared = made();
    harena_provider_read_lock(small);
    for (;; resets++) {
        kept = bytes_of(shared, CHUNK, 0x77);
        QUIETLY(result = harena_shared_reset(shared));
        if (result != 0)
            break;
        ck_assert_int_lt(resets, 10);
    }
    ck_assert_int_eq(result, -EAGAIN);
    ck_assert_int_ge(resets, 3);
    ck_assert(harena_shared_contains(shared, kept));
    ck_assert(all_bytes(kept, CHUNK, 0x77));
    ck_assert_uint_eq(harena_shared_len(shared), CHUNK);
    ck_assert_int_eq(harena_shared_reset(shared), -EAGAIN);
    totals_hold(small);
    harena_provider_read_unlock(small);
    ck_assert_int_eq(harena_provider_barrier(small), 0);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    /* close and release are not refused: they say so */
    harena_provider_read_lock(small);
    bytes_of(shared, 8 * CHUNK, 1);
    harena_shared_release(shared);
    for (int round = 0; round < 2; round++) {
        shared = made();
        bytes_of(shared, 8 * CHUNK, 1);
        harena_shared_close(shared);
        harena_shared_release(shared);
    }
    ck_assert_uint_ge(events_of(&events, HARENA_EVENT_DEFERRED_LIMIT), 1);
    harena_provider_read_unlock(small);
    ends_clean(small);
}
END_TEST

/* What is retired without a chunk is a record still, and those are bounded, too. */
START_TEST(generations_of_nothing_end_at_the_deferred_limit)
{
    harena_provider_options strict = HARENA_PROVIDER_OPTIONS_INIT;
    harena_options arenas = HARENA_OPTIONS_INIT;
    harena_provider *small;
    harena_shared *shared;
    int resets, result = 0;

    strict.reserve = 64 * MIB;
    strict.deferred_limit = 4 * CHUNK;
    strict.on_event = record_event;
    strict.event_ctx = &events;
    small = SUCCEEDS(harena_provider_create(&strict));
    options.provider = small;
    shared = made();
    for (int round = 0; round < 2; round++) {
        harena_provider_read_lock(small);
        for (resets = 0; result == 0; resets++) {
            harena_shared_leave(shared, harena_shared_enter(shared)); /* a generation */
            QUIETLY(result = harena_shared_reset(shared));
            ck_assert_int_le(resets, 4 * CHUNK / sizeof(harena_view));
        }
        ck_assert_int_eq(result, -EAGAIN);
        ck_assert_int_ge(resets, 4);
        ck_assert_uint_eq(stats_of(small).deferred, 0);
        ck_assert_uint_eq(events_of(&events, HARENA_EVENT_DEFERRED_LIMIT), round + 1);
        bytes_of(shared, CHUNK, 1); /* the generation serves on */
        harena_provider_read_unlock(small);
        ck_assert_int_eq(harena_provider_barrier(small), 0);
        result = harena_shared_reset(shared);
        ck_assert_int_eq(result, 0);
        ck_assert_int_eq(harena_provider_barrier(small), 0);
    }
    /* Arenas, whose release is not refused, say so. */
    harena_provider_read_lock(small);
    arenas.provider = small;
    for (size_t i = 0; events_of(&events, HARENA_EVENT_DEFERRED_LIMIT) == 2; i++) {
        harena_release_rcu(SUCCEEDS(harena_create(&arenas)));
        ck_assert_uint_le(i, 4 * CHUNK / sizeof(harena));
    }
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_DEFERRED_LIMIT), 3);
    harena_provider_read_unlock(small);
    harena_shared_release(shared);
    ends_clean(small);
}
END_TEST

/* Views serve on after a reset, and what they take is held back, too. */
START_TEST(what_views_take_after_a_reset_is_deferred)
{
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);

    (void)SUCCEEDS(harena_view_alloc(view, 100));
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert_uint_eq(stats_of(provider).deferred, CHUNK);
    (void)SUCCEEDS(harena_view_alloc(view, 3 * MIB)); /* a run */
    ck_assert_uint_eq(stats_of(provider).deferred, CHUNK + 3 * MIB);
    (void)SUCCEEDS(harena_view_alloc(view, 2 * MIB)); /* which becomes longer, or another */
    for (size_t i = 0; i < 10 * CHUNK / 1024; i++)
        (void)SUCCEEDS(harena_view_alloc(view, 1024));
    ck_assert_uint_ge(stats_of(provider).deferred, 10 * CHUNK + 5 * MIB);
    ck_assert_uint_eq(stats_of(provider).in_use, 0);
    bytes_of(shared, 100, 1); /* of the next generation */
    ck_assert_uint_eq(stats_of(provider).in_use, CHUNK);
    harena_shared_leave(shared, view);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
    ck_assert_uint_eq(stats_of(provider).in_use, CHUNK);
    totals_hold(provider);
    harena_shared_release(shared);
}
END_TEST

static void take_more(void *view)
{
    (void)SUCCEEDS(harena_view_alloc(view, 3 * MIB));
}

START_TEST(what_a_cleanup_takes_goes_back_with_the_rest)
{
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);

    ck_assert_int_eq(harena_view_on_release(view, take_more, view), 0);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    harena_shared_leave(shared, view);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(in_use(provider), 0);
    bytes_of(shared, 4 * MIB, 1);
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
    ck_assert_uint_eq(in_use(provider), 4 * MIB);
    harena_shared_release(shared);
}
END_TEST

START_TEST(reset_now_gives_memory_back_at_once)
{
    harena_shared *shared = made();
    int cleanups = 0;

    for (int round = 0; round < 10; round++) {
        bytes_of(shared, 100, round);
        bytes_of(shared, 3 * MIB, round);
        ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), 0);
        QUIETLY(ck_assert_int_eq(harena_shared_reset_now(shared), 0));
        ck_assert_int_eq(cleanups, round + 1);
        ck_assert_uint_eq(in_use(provider), 0);
        ck_assert_uint_eq(stats_of(provider).deferred, 0);
        ck_assert_uint_eq(harena_shared_len(shared), 0);
        totals_hold(provider);
    }
    QUIETLY(harena_shared_release_now(shared));
}
END_TEST

START_TEST(release_now_gives_all_back_at_once)
{
    harena_shared *shared = made();
    int cleanups = 0;

    bytes_of(shared, 3 * MIB, 1);
    ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), 0);
    QUIETLY(harena_shared_release_now(shared));
    ck_assert_int_eq(cleanups, 1);
    ck_assert_uint_eq(in_use(provider), 0);
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
    harena_shared_release_now(made());
    ck_assert_int_eq(harena_provider_destroy(provider), 0); /* it counts as gone */
    provider = provider_of(8 * MIB, 0, NULL);
}
END_TEST

static void use_what_goes(void *shared)
{
    int cleanups = 0;

    FAILS(ESHUTDOWN, harena_shared_alloc(shared, opaque(100)));
    ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), -ESHUTDOWN);
}

/* What a cleanup took then would belong to nothing that is given back. */
START_TEST(release_now_is_closed_to_its_cleanups)
{
    harena_shared *shared = made();

    ck_assert_int_eq(harena_shared_on_release(shared, use_what_goes, shared), 0);
    harena_shared_release_now(shared);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(release_keeps_a_reader_safe)
{
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);
    unsigned char *memory = memset(SUCCEEDS(harena_view_alloc(view, opaque(MIB))), 0x55, MIB);
    int cleanups = 0;

    ck_assert_int_eq(harena_view_on_release(view, count_up, &cleanups), 0);
    QUIETLY(harena_shared_release(shared));
    for (int round = 0; round < 20; round++) {
        harena *other = arena_of(provider, 0);

        memset(SUCCEEDS(harena_alloc(other, opaque(MIB))), 0xff, MIB);
        harena_release(other);
    }
    ck_assert(all_bytes(memory, MIB, 0x55));
    memset(SUCCEEDS(harena_view_alloc(view, opaque(100))), 1, 100); /* the view goes on */
    ck_assert_int_eq(counted(&cleanups), 0);
    harena_shared_leave(shared, view);
    back_after_barrier();
    ck_assert_int_eq(counted(&cleanups), 1);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(they_come_and_go_without_growth)
{
    for (int round = 0; round < 2000; round++) {
        harena_shared *shared = made();

        bytes_of(shared, 100, 1);
        if (round % 2)
            harena_shared_release_now(shared);
        else
            harena_shared_release(shared);
        if (round % 256 == 0)
            ck_assert_int_eq(harena_provider_barrier(provider), 0);
    }
    back_after_barrier();
    ck_assert_uint_le(stats_of(provider).peak, 400 * CHUNK);
}
END_TEST

/* ---- limit ---- */

START_TEST(limit_bounds_one_generation)
{
    for (int no_lanes = 0; no_lanes < 2; no_lanes++) {
        harena_shared *shared;

        options.limit = 4 * CHUNK + 100;
        options.no_lanes = no_lanes;
        shared = made();
        for (int round = 0; round < 5; round++) {
            size_t count = 0;

            while (hidden(harena_shared_alloc(shared, opaque(1024))) != 0)
                count++;
            EXPECT(errno == ENOMEM);
            ck_assert_uint_le(harena_shared_cap(shared), 4 * CHUNK);
            ck_assert_uint_ge(count, 4 * 64 - 4);
            ck_assert(harena_shared_failed(shared));
            FAILS(ENOMEM, harena_shared_alloc(shared, opaque(CHUNK)));
            ck_assert_int_eq(harena_shared_reset(shared), 0);
            ck_assert(!harena_shared_failed(shared));
            totals_hold(provider);
        }
        FAILS(ENOMEM, harena_shared_alloc(shared, opaque(5 * CHUNK)));
        ck_assert(harena_shared_failed(shared));
        memset(SUCCEEDS(harena_shared_alloc(shared, opaque(4 * CHUNK))), 1, 4 * CHUNK);
        harena_shared_release(shared);
    }
}
END_TEST

/* Two take runs in turn, so that none can be made longer: longer ones than needed are asked for only if they fit. */
START_TEST(what_succeeds_tells_of_no_limit)
{
    harena_shared *both[2];
    unsigned served = 0;

    options.limit = 16 * CHUNK;
    options.no_lanes = true;
    for (int i = 0; i < 2; i++)
        both[i] = made();
    while (hidden(harena_shared_alloc(both[served % 2], opaque(100000))) != 0) {
        ck_assert_uint_eq(events_in_all(&events), 0);
        served++;
    }
    ck_assert_uint_ge(served, 16);
    ck_assert_uint_ne(events_of(&events, HARENA_EVENT_LIMIT), 0);
    for (int i = 0; i < 2; i++)
        harena_shared_release(both[i]);
}
END_TEST

START_TEST(what_the_provider_refused_does_not_count_against_the_limit)
{
    harena_provider *small = provider_of(64 * MIB, 2 * CHUNK, NULL);
    harena_shared *shared;

    options.provider = small;
    options.limit = 6 * CHUNK;
    shared = made();
    while (hidden(harena_shared_alloc(shared, opaque(5000))) != 0)
        continue;
    for (int round = 0; round < 20; round++) {
        FAILS(ENOMEM, harena_shared_alloc(shared, opaque(CHUNK)));
        FAILS(ENOMEM, harena_shared_alloc(shared, opaque(3 * CHUNK)));
    }
    ck_assert_uint_eq(harena_shared_cap(shared), 2 * CHUNK);
    ck_assert_int_eq(harena_provider_set_limit(small, 0), 0);
    bytes_of(shared, 4 * CHUNK, 1);
    ck_assert_uint_eq(harena_shared_cap(shared), 6 * CHUNK);
    FAILS(ENOMEM, harena_shared_alloc(shared, opaque(CHUNK)));
    harena_shared_release_now(shared);
    ends_clean(small);
}
END_TEST

START_TEST(limit_of_less_than_a_chunk_serves_nothing)
{
    harena_shared *shared;

    options.limit = CHUNK - 1;
    shared = made();
    for (size_t which = 0; which < ALLOCATORS; which++)
        FAILS(ENOMEM, allocators[which].alloc(shared, 1));
    ck_assert_uint_eq(harena_shared_cap(shared), 0);
    ck_assert_uint_eq(in_use(provider), 0);
    harena_shared_release(shared);
}
END_TEST

RUN_TESTS_AROUND("shared_reset", with_provider, without_provider,
                 reset_empties_and_memory_comes_back, reset_of_an_empty_one_is_harmless,
                 reset_of_one_that_filled_the_hard_limit_serves_again,
                 reset_above_the_deferred_limit_changes_nothing,
                 generations_of_nothing_end_at_the_deferred_limit,
                 what_views_take_after_a_reset_is_deferred,
                 what_a_cleanup_takes_goes_back_with_the_rest, reset_now_gives_memory_back_at_once,
                 release_now_gives_all_back_at_once, release_now_is_closed_to_its_cleanups,
                 release_keeps_a_reader_safe, they_come_and_go_without_growth,
                 limit_bounds_one_generation, what_succeeds_tells_of_no_limit,
                 what_the_provider_refused_does_not_count_against_the_limit,
                 limit_of_less_than_a_chunk_serves_nothing)
