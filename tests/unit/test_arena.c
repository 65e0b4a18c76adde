/* SPDX-License-Identifier: BSD-2-Clause */
/* The arena's life: reset, release, release_rcu, limits, sticky failure, len, cap, peak, contains. */
#include "unit.h"

#include <sched.h>

static harena_provider *provider;
static struct events events;

static void with_provider(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(256 * MIB, 0, &events);
}

static void without_provider(void)
{
    ends_clean(provider);
}

static unsigned char *bytes_of(harena *arena, size_t size, int value)
{
    return memset(SUCCEEDS(harena_alloc(arena, opaque(size))), value, size);
}

/* ---- life ---- */

START_TEST(a_fresh_arena_holds_nothing)
{
    harena *arena = arena_of(provider, 0);

    ck_assert_uint_eq(harena_len(arena), 0);
    ck_assert_uint_eq(harena_cap(arena), 0);
    ck_assert_uint_eq(harena_peak(arena), 0);
    ck_assert(!harena_failed(arena));
    ck_assert(!harena_contains(arena, arena));
    ck_assert_uint_eq(in_use(provider), 0);
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    harena_release(arena);
}
END_TEST

START_TEST(ten_thousand_idle_arenas_hold_no_chunk)
{
    enum { COUNT = 10000 };
    static harena *arenas[COUNT];

    for (int at = 0; at < COUNT; at++)
        arenas[at] = arena_of(provider, 0);
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    for (int at = 0; at < COUNT; at++)
        harena_release(arenas[at]);
}
END_TEST

START_TEST(null_is_harmless)
{
    QUIETLY(harena_reset(NULL));
    QUIETLY(harena_release(NULL));
    QUIETLY(harena_release_rcu(NULL));
    QUIETLY(harena_clear_failed(NULL));
    QUIETLY(ck_assert_uint_eq(harena_len(NULL), 0));
    QUIETLY(ck_assert_uint_eq(harena_cap(NULL), 0));
    QUIETLY(ck_assert_uint_eq(harena_peak(NULL), 0));
    QUIETLY(ck_assert(harena_failed(NULL)));
    QUIETLY(ck_assert(!harena_contains(NULL, NULL)));
    QUIETLY(ck_assert(!harena_contains(NULL, &events)));
    ck_assert_uint_eq(events_in_all(&events), 0);
}
END_TEST

START_TEST(no_success_touches_errno)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = provider;
    arena = SUCCEEDS(harena_create(&options));
    QUIETLY(harena_reset(arena));
    bytes_of(arena, 100, 1);     /* the first chunk: a commit */
    bytes_of(arena, CHUNK, 1);   /* a refill */
    bytes_of(arena, 30000, 1);   /* the second window */
    bytes_of(arena, 5 * MIB, 1); /* a run of its own */
    QUIETLY(harena_len(arena));
    QUIETLY(harena_cap(arena));
    QUIETLY(harena_peak(arena));
    QUIETLY(harena_failed(arena));
    QUIETLY(ck_assert(harena_contains(arena, arena->cursor - 1)));
    QUIETLY(arena_stats_of(arena));
    QUIETLY(harena_clear_failed(arena));
    QUIETLY(harena_reset(arena));
    bytes_of(arena, 5 * MIB, 1);
    QUIETLY(harena_release(arena));
    arena = SUCCEEDS(harena_create(&options));
    bytes_of(arena, 100, 1);
    QUIETLY(harena_release_rcu(arena));
    QUIETLY(ck_assert_int_eq(harena_provider_barrier(provider), 0));
    QUIETLY(harena_provider_trim(provider, 0));
}
END_TEST

static void *release_there(void *arena)
{
    harena_release(arena);
    return NULL;
}

static void *reset_and_use_there(void *arena)
{
    harena_reset(arena);
    return harena_alloc(arena, opaque(100));
}

static void *create_there(void *unused)
{
    (void)unused;
    return harena_create(NULL);
}

START_TEST(another_thread_than_the_creators_may_release)
{
    for (int round = 0; round < 20; round++) {
        harena *arena = arena_of(provider, 0);

        bytes_of(arena, 100, 1);
        bytes_of(arena, MIB, 1);
        on_another_thread(release_there, arena);
        ck_assert_uint_eq(in_use(provider), 0);
        totals_hold(provider);
    }
}
END_TEST

START_TEST(an_arena_outlives_the_thread_that_made_it)
{
    harena *arena = on_another_thread(create_there, NULL);

    ck_assert_ptr_nonnull(arena);
    bytes_of(arena, 1000, 3);
    memset(on_another_thread(reset_and_use_there, arena), 1, 100);
    ck_assert_uint_eq(harena_len(arena), 112);
    bytes_of(arena, 1000, 3);
    harena_release(arena);
    ck_assert_uint_eq(in_use(NULL), 0);
}
END_TEST

START_TEST(short_lived_threads_strand_nothing)
{
    harena *arena = arena_of(provider, 0);

    for (int round = 0; round < 300; round++)
        memset(on_another_thread(reset_and_use_there, arena), 1, 100);
    ck_assert_uint_eq(harena_cap(arena), CHUNK);
    harena_release(arena);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(arenas_come_and_go_without_growth)
{
    for (int round = 0; round < 5000; round++) {
        harena *arena = arena_of(provider, 0);

        bytes_of(arena, 100, round);
        harena_release(arena);
    }
    ck_assert_uint_eq(stats_of(provider).committed, CHUNK);
    ck_assert_uint_eq(stats_of(provider).gets, 5000);
    ck_assert_uint_eq(stats_of(provider).puts, 5000);
}
END_TEST

/* ---- reset ---- */

START_TEST(reset_empties_and_keeps_one_chunk_warm)
{
    harena *arena = arena_of(provider, 0);

    for (int round = 0; round < 10; round++) {
        uint64_t commits;

        bytes_of(arena, 100, 1);
        bytes_of(arena, 10 * CHUNK, 1);
        bytes_of(arena, 30000, 1);
        for (int at = 0; at < 2000; at++)
            bytes_of(arena, 100, 1);
        harena_reset(arena);
        ck_assert_uint_eq(harena_len(arena), 0);
        ck_assert_uint_eq(harena_cap(arena), CHUNK);
        ck_assert_uint_eq(in_use(provider), CHUNK);
        totals_hold(provider);
        commits = stats_of(provider).gets;
        bytes_of(arena, 100, 1);
        ck_assert_uint_eq(stats_of(provider).gets, commits); /* no chunk was taken */
    }
    harena_release(arena);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(reset_of_an_empty_arena_is_harmless)
{
    harena *arena = arena_of(provider, 0);

    for (int round = 0; round < 3; round++) {
        harena_reset(arena);
        ck_assert_uint_eq(harena_cap(arena), 0);
    }
    bytes_of(arena, 1, 1);
    for (int round = 0; round < 3; round++)
        harena_reset(arena);
    ck_assert_uint_eq(harena_cap(arena), CHUNK);
    ck_assert_uint_eq(arena_stats_of(arena).resets, 6);
    harena_release(arena);
}
END_TEST

START_TEST(after_reset_the_same_memory_serves_again)
{
    harena *arena = arena_of(provider, 0);
    uintptr_t first = hidden(bytes_of(arena, 100, 1));

    bytes_of(arena, 200, 1);
    harena_reset(arena);
    ck_assert_uint_eq(hidden(bytes_of(arena, 100, 2)), first);
    harena_release(arena);
}
END_TEST

START_TEST(an_arena_that_only_held_runs_resets)
{
    harena *arena = arena_of(provider, 0);

    for (int round = 0; round < 5; round++) {
        bytes_of(arena, 3 * MIB, round);
        bytes_of(arena, 100 * KIB, round);
        harena_reset(arena);
        ck_assert_uint_le(harena_cap(arena), CHUNK);
        totals_hold(provider);
    }
    harena_release(arena);
}
END_TEST

/* ---- exactly full ---- */

START_TEST(an_exactly_full_chunk_is_one_chunk)
{
    harena *arena = arena_of(provider, 0);
    harena_stats stats;
    uintptr_t first = 0;

    for (size_t at = 0; at < CHUNK / 16; at++) {
        uintptr_t memory = hidden(bytes_of(arena, 16, (int)at));

        if (at == 0)
            first = memory;
        EXPECT(memory == first + at * 16);
    }
    stats = arena_stats_of(arena);
    ck_assert_uint_eq(stats.len, CHUNK);
    ck_assert_uint_eq(stats.cap, CHUNK);
    ck_assert_uint_eq(stats.chunks, 1);
    ck_assert_uint_eq(stats.runs, 0);
    ck_assert_uint_eq(in_use(provider), CHUNK);
    bytes_of(arena, 1, 1);
    ck_assert_uint_eq(harena_cap(arena), 2 * CHUNK);
    ck_assert_uint_eq(harena_len(arena), CHUNK + 16);
    ck_assert_uint_eq(arena_stats_of(arena).chunks, 2);
    harena_release(arena);
}
END_TEST

START_TEST(an_aligned_object_leaves_the_larger_rest)
{
    harena *arena = arena_of(provider, 0);
    uintptr_t first = hidden(bytes_of(arena, 16, 1));
    unsigned char *aligned = SUCCEEDS(harena_alloc_aligned(arena, opaque(1000), opaque(65536)));

    ck_assert(aligned_to(aligned, 65536));
    memset(aligned, 0xff, 1000);
    ck_assert_uint_eq(hidden(bytes_of(arena, 16, 1)), first + 16); /* the old window goes on */
    harena_release(arena);
    arena = arena_of(provider, 0); /* what the object left behind is known to be dirty */
    for (int at = 0; at < 4; at++)
        ck_assert(all_bytes(SUCCEEDS(harena_alloc_zeroed(arena, opaque(CHUNK))), CHUNK, 0));
    harena_release(arena);
}
END_TEST

START_TEST(one_allocation_may_fill_the_first_chunk)
{
    harena *arena = arena_of(provider, 0);

    bytes_of(arena, 16, 1);
    bytes_of(arena, CHUNK - 16, 2);
    ck_assert_uint_eq(harena_cap(arena), CHUNK);
    ck_assert_uint_eq(harena_len(arena), CHUNK);
    harena_release(arena);
}
END_TEST

/* ---- limit ---- */

START_TEST(limit_is_reached_inside_a_refill)
{
    for (size_t chunks = 1; chunks <= 5; chunks++) {
        harena *arena = arena_of(provider, chunks * CHUNK);
        uint64_t failures;

        for (int round = 0; round < 3; round++) {
            ck_assert_uint_eq(fill(arena, 16), chunks * CHUNK / 16);
            ck_assert_uint_eq(harena_cap(arena), chunks * CHUNK);
            ck_assert_uint_eq(harena_len(arena), chunks * CHUNK);
            failures = arena_stats_of(arena).failures;
            ck_assert_uint_ge(failures, (uint64_t)round + 1);
            FAILS(ENOMEM, harena_alloc(arena, opaque(1)));
            FAILS(ENOMEM, harena_alloc(arena, 16));
            ck_assert_uint_eq(arena_stats_of(arena).failures, failures + 2);
            harena_reset(arena);
            ck_assert(!harena_failed(arena));
            ck_assert_uint_eq(harena_len(arena), 0);
            totals_hold(provider);
        }
        harena_release(arena);
    }
}
END_TEST

START_TEST(limit_of_less_than_a_chunk_serves_nothing)
{
    harena *arena = arena_of(provider, CHUNK - 1);

    FAILS(ENOMEM, harena_alloc(arena, opaque(1)));
    FAILS(ENOMEM, harena_alloc(arena, opaque(MIB)));
    ck_assert_uint_eq(harena_cap(arena), 0);
    ck_assert_uint_eq(in_use(provider), 0);
    harena_reset(arena);
    ck_assert(!harena_failed(arena));
    harena_release(arena);
}
END_TEST

START_TEST(limit_counts_runs_and_chunks_together)
{
    harena *arena = arena_of(provider, 10 * CHUNK);

    bytes_of(arena, 6 * CHUNK, 1);
    ck_assert_uint_le(harena_cap(arena), 10 * CHUNK);
    FAILS(ENOMEM, harena_alloc(arena, opaque(6 * CHUNK)));
    ck_assert(harena_failed(arena));
    bytes_of(arena, 100, 1); /* what is smaller still fits */
    ck_assert_uint_le(harena_cap(arena), 10 * CHUNK);
    ck_assert_uint_gt(fill(arena, 100), 600);
    ck_assert_uint_le(harena_cap(arena), 10 * CHUNK);
    harena_reset(arena);
    bytes_of(arena, 9 * CHUNK, 1);
    harena_release(arena);
}
END_TEST

START_TEST(limit_of_an_arena_raises_its_event_and_no_other)
{
    harena *arena = arena_of(provider, CHUNK);

    fill(arena, 1000);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_LIMIT), 1);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_OS_ERROR), 0);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_REGION_EXHAUSTED), 0);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 0);
    ck_assert_uint_eq(stats_of(provider).committed, CHUNK);
    harena_release(arena);
}
END_TEST

START_TEST(an_arena_that_filled_the_providers_limit_resets_and_fills_again)
{
    struct events local = {.count = {0}};
    harena_provider *small = provider_of(64 * MIB, 3 * CHUNK, &local);
    harena *arena = arena_of(small, 0), *other = arena_of(small, 0);

    for (int round = 0; round < 3; round++) {
        ck_assert_uint_eq(fill(arena, 16), 3 * CHUNK / 16);
        ck_assert_uint_ge(events_of(&local, HARENA_EVENT_LIMIT), 1);
        FAILS(ENOMEM, harena_alloc(other, opaque(1)));
        ck_assert(harena_failed(other));
        harena_reset(arena);
        ck_assert(!harena_failed(arena));
        totals_hold(small);
        bytes_of(other, 1, 1);
        harena_reset(other);
        harena_release(other);
        other = arena_of(small, 0);
    }
    harena_release(other);
    harena_release(arena);
    ends_clean(small);
}
END_TEST

START_TEST(the_rest_of_the_window_serves_at_the_limit)
{
    harena *arena = arena_of(provider, CHUNK);

    bytes_of(arena, CHUNK - 64, 1);
    FAILS(ENOMEM, harena_alloc(arena, opaque(65)));
    bytes_of(arena, 48, 2);
    FAILS(ENOMEM, harena_alloc(arena, opaque(17)));
    bytes_of(arena, 16, 3);
    FAILS(ENOMEM, harena_alloc(arena, opaque(1)));
    ck_assert_uint_eq(harena_len(arena), CHUNK);
    harena_release(arena);
}
END_TEST

START_TEST(a_refused_large_request_spoils_no_window)
{
    harena *arena = arena_of(provider, 4 * CHUNK);
    uintptr_t before = hidden(bytes_of(arena, 16, 1));

    for (int round = 0; round < 100; round++)
        FAILS(ENOMEM, harena_alloc(arena, opaque(8 * CHUNK)));
    ck_assert_uint_eq(hidden(bytes_of(arena, 16, 1)), before + 16);
    ck_assert_uint_eq(harena_cap(arena), CHUNK);
    ck_assert_uint_eq(arena_stats_of(arena).failures, 100);
    harena_release(arena);
}
END_TEST

/* ---- sticky failure ---- */

static uintptr_t chunk_of(const void *at)
{
    return hidden(at) / CHUNK;
}

/* What did not fit is not what the next one looks through: a refill looks forward only. */
START_TEST(no_older_chunk_is_looked_at)
{
    harena *arena = arena_of(provider, 0);
    uintptr_t first = chunk_of(SUCCEEDS(harena_alloc(arena, 1000)));

    for (int round = 0; round < 100; round++) {
        uintptr_t now = first;

        while (now == first)
            now = chunk_of(SUCCEEDS(harena_alloc(arena, 1000)));
        for (int i = 0; i < 10; i++) /* for which the last one had room */
            ck_assert_uint_eq(chunk_of(SUCCEEDS(harena_alloc(arena, 16))), now);
        first = now;
    }
    harena_release(arena);
}
END_TEST

START_TEST(failure_sticks_until_cleared_or_reset)
{
    harena *arena = arena_of(provider, CHUNK);

    ck_assert(!harena_failed(arena));
    FAILS(ENOMEM, harena_alloc(arena, opaque(2 * CHUNK)));
    ck_assert(harena_failed(arena));
    bytes_of(arena, 100, 1); /* a success does not hide it */
    ck_assert(harena_failed(arena));
    harena_clear_failed(arena);
    ck_assert(!harena_failed(arena));
    FAILS(EINVAL, harena_alloc_aligned(arena, opaque(1), opaque(3)));
    ck_assert(harena_failed(arena));
    harena_reset(arena);
    ck_assert(!harena_failed(arena));
    ck_assert_uint_eq(arena_stats_of(arena).failures, 2);
    harena_release(arena);
}
END_TEST

START_TEST(failure_belongs_to_one_arena)
{
    harena *arena = arena_of(provider, CHUNK), *other = arena_of(provider, CHUNK);

    FAILS(ENOMEM, harena_alloc(arena, opaque(2 * CHUNK)));
    ck_assert(!harena_failed(other));
    harena_release(arena);
    arena = arena_of(provider, 0); /* perhaps the same record */
    ck_assert(!harena_failed(arena));
    ck_assert_uint_eq(arena_stats_of(arena).failures, 0);
    harena_release(arena);
    harena_release(other);
}
END_TEST

/* ---- counters ---- */

START_TEST(len_counts_what_was_handed_out_rounded_to_16)
{
    harena *arena = arena_of(provider, 0);
    const size_t sizes[] = {1, 15, 16, 17, 100, 0, 1000};
    size_t sum = 0;

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        bytes_of(arena, sizes[at], 1);
        sum += (sizes[at] + 15) / 16 * 16;
        ck_assert_uint_eq(harena_len(arena), sum);
        ck_assert_uint_eq(harena_peak(arena), sum);
        ck_assert_uint_eq(arena_stats_of(arena).len, sum);
    }
    harena_release(arena);
}
END_TEST

START_TEST(len_never_exceeds_cap_and_never_falls_but_at_reset)
{
    harena *arena = arena_of(provider, 0);
    size_t last = 0, asked = 0;

    for (size_t at = 1; at < 3000; at++) {
        size_t size = at * 2654435761u % (at % 50 == 0 ? 300000 : 3000);

        SUCCEEDS(harena_alloc(arena, opaque(size)));
        asked += size;
        EXPECT(harena_len(arena) >= last && harena_len(arena) >= asked);
        EXPECT(harena_len(arena) <= harena_cap(arena));
        EXPECT(harena_cap(arena) == in_use(provider));
        EXPECT(harena_peak(arena) == harena_len(arena));
        last = harena_len(arena);
    }
    harena_reset(arena);
    ck_assert_uint_eq(harena_len(arena), 0);
    ck_assert_uint_eq(harena_peak(arena), last);
    harena_release(arena);
}
END_TEST

START_TEST(peak_survives_reset_and_only_rises)
{
    harena *arena = arena_of(provider, 0);

    bytes_of(arena, 1600, 1);
    harena_reset(arena);
    ck_assert_uint_eq(harena_peak(arena), 1600);
    bytes_of(arena, 160, 1);
    ck_assert_uint_eq(harena_peak(arena), 1600);
    bytes_of(arena, 1600, 1);
    ck_assert_uint_eq(harena_peak(arena), 1760);
    harena_reset(arena);
    bytes_of(arena, 16, 1);
    ck_assert_uint_eq(harena_peak(arena), 1760);
    ck_assert_uint_eq(arena_stats_of(arena).peak, 1760);
    harena_release(arena);
}
END_TEST

START_TEST(peak_counts_only_what_was_handed_out)
{
    harena *arena = arena_of(provider, 0);
    char *bytes = memset(SUCCEEDS(harena_alloc(arena, opaque(16))), 1, 16);

    SUCCEEDS(harena_printf(arena, "%*d", (int)CHUNK, 1)); /* looks at the rest of the window */
    ck_assert_uint_eq(harena_peak(arena), harena_len(arena));
    FAILS(ENOMEM, harena_alloc(arena, opaque(SIZE_MAX)));
    ck_assert_uint_eq(harena_peak(arena), harena_len(arena));
    harena_release(arena);
    arena = arena_of(provider, CHUNK);
    bytes = memset(SUCCEEDS(harena_alloc(arena, opaque(16))), 1, 16);
    FAILS(ENOMEM, harena_printf(arena, "%*d", (int)CHUNK, 1)); /* wrote there, got nothing */
    ck_assert_uint_eq(harena_len(arena), 16);
    ck_assert_uint_eq(harena_peak(arena), 16);
    ck_assert(all_bytes(SUCCEEDS(harena_alloc_zeroed(arena, opaque(CHUNK - 16))), CHUNK - 16, 0));
    harena_release(arena);
    arena = arena_of(provider, 0);
    bytes = memset(SUCCEEDS(harena_alloc(arena, opaque(3200))), 1, 3200);
    SUCCEEDS(harena_realloc(arena, bytes, 3200, opaque(16)));
    ck_assert_uint_eq(harena_peak(arena), 3200);
    harena_release(arena);
}
END_TEST

START_TEST(stats_tell_chunks_runs_resets_failures)
{
    harena *arena = arena_of(provider, 64 * CHUNK);
    harena_stats stats;

    bytes_of(arena, 16, 1);
    stats = arena_stats_of(arena);
    ck_assert_uint_eq(stats.chunks, 1);
    ck_assert_uint_eq(stats.runs, 0);
    bytes_of(arena, 20 * CHUNK, 1);
    stats = arena_stats_of(arena);
    ck_assert_uint_eq(stats.runs, 1);
    ck_assert_uint_eq(stats.cap, harena_cap(arena));
    FAILS(ENOMEM, harena_alloc(arena, opaque(100 * CHUNK)));
    harena_reset(arena);
    harena_reset(arena);
    stats = arena_stats_of(arena);
    ck_assert_uint_eq(stats.failures, 1);
    ck_assert_uint_eq(stats.resets, 2);
    ck_assert_uint_eq(stats.runs, 0);
    ck_assert_uint_eq(stats.chunks, 1);
    ck_assert_uint_eq(stats.len, 0);
    harena_release(arena);
}
END_TEST

START_TEST(stats_fill_no_more_than_the_size_says)
{
    harena *arena = arena_of(provider, 0);
    harena_stats full;

    bytes_of(arena, 5000, 1);
    full = arena_stats_of(arena);
    for (size_t size = 0; size <= sizeof full; size++) {
        size_t written = size > sizeof full.size ? size : sizeof full.size;
        harena_stats stats;

        memset(&stats, 0xa5, sizeof stats);
        stats.size = size;
        QUIETLY(harena_stats_get(arena, &stats));
        ck_assert_uint_eq(stats.size, size);
        if (size > sizeof stats.size)
            ck_assert_mem_eq((char *)&stats + sizeof stats.size, (char *)&full + sizeof stats.size,
                             size - sizeof stats.size);
        ck_assert(all_bytes((char *)&stats + written, sizeof stats - written, 0xa5));
    }
    QUIETLY(harena_stats_get(arena, NULL));
    harena_release(arena);
}
END_TEST

START_TEST(stats_of_null_are_zero)
{
    harena_stats stats;

    memset(&stats, 0xa5, sizeof stats);
    stats.size = sizeof stats;
    QUIETLY(harena_stats_get(NULL, &stats));
    ck_assert_uint_eq(stats.size, sizeof stats);
    ck_assert(all_bytes((char *)&stats + sizeof stats.size, sizeof stats - sizeof stats.size, 0));
    QUIETLY(harena_stats_get(NULL, NULL));
}
END_TEST

/* ---- contains ---- */

START_TEST(contains_its_first_and_last_byte_and_none_beyond)
{
    const size_t sizes[] = {1, 100, CHUNK, 30000, 3 * CHUNK, 3 * BLOCK + 5};
    harena *arena = arena_of(provider, 0), *other = arena_of(provider, 0);
    unsigned char *foreign = bytes_of(other, 100, 1);
    unsigned char *foreign_run = bytes_of(other, 10 * CHUNK, 1);

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        unsigned char *memory = bytes_of(arena, sizes[at], 1);

        ck_assert(harena_contains(arena, memory));
        ck_assert(harena_contains(arena, memory + sizes[at] / 2));
        ck_assert(harena_contains(arena, memory + sizes[at] - 1));
        ck_assert(!harena_contains(other, memory));
        ck_assert(!harena_contains(other, memory + sizes[at] - 1));
    }
    ck_assert(!harena_contains(arena, foreign));
    ck_assert(!harena_contains(arena, foreign_run));
    ck_assert(!harena_contains(arena, foreign_run + 10 * CHUNK - 1));
    harena_release(arena);
    harena_release(other);
}
END_TEST

START_TEST(contains_no_byte_past_its_memory)
{
    harena *arena = arena_of(provider, 0);
    unsigned char *first = bytes_of(arena, CHUNK, 1);

    ck_assert(harena_contains(arena, first + CHUNK - 1));
    ck_assert(!harena_contains(arena, first + CHUNK)); /* one past */
    ck_assert(!harena_contains(arena, first - 1));
    first = bytes_of(arena, 5 * BLOCK, 1);
    ck_assert(harena_contains(arena, first + 5 * BLOCK - 1));
    ck_assert(harena_contains(arena, first + 3 * BLOCK + 12345)); /* the interior of a run */
    harena_release(arena);
}
END_TEST

START_TEST(contains_answers_for_any_pointer)
{
    harena *arena = arena_of(provider, 0);
    void *chunk = SUCCEEDS(harena_chunk_get(provider));
    void *heap = malloc(100);
    int local;

    for (int filled = 0; filled < 2; filled++) {
        QUIETLY(ck_assert(!harena_contains(arena, NULL)));
        ck_assert(!harena_contains(arena, (void *)opaque(1)));
        ck_assert(!harena_contains(arena, (void *)opaque(UINTPTR_MAX)));
        ck_assert(!harena_contains(arena, &local));
        ck_assert(!harena_contains(arena, &events));
        ck_assert(!harena_contains(arena, heap));
        ck_assert(!harena_contains(arena, chunk));
        ck_assert(!harena_contains(arena, provider));
        ck_assert(!harena_contains(arena, arena)); /* its record is not in what it holds */
        bytes_of(arena, 100, 1);
        bytes_of(arena, 10 * CHUNK, 1);
    }
    free(heap);
    harena_chunk_put(provider, chunk);
    harena_release(arena);
}
END_TEST

START_TEST(contains_nothing_that_reset_gave_back)
{
    harena *arena = arena_of(provider, 0);
    unsigned char *first = bytes_of(arena, 100, 1);
    unsigned char *run = bytes_of(arena, 10 * CHUNK, 1);

    harena_reset(arena);
    ck_assert(harena_contains(arena, first)); /* held warm */
    ck_assert(!harena_contains(arena, run));
    ck_assert(!harena_contains(arena, run + 10 * CHUNK - 1));
    harena_release(arena);
}
END_TEST

/* ---- release_rcu ---- */

struct reader {
    harena_provider *provider;
    int inside, leave; /* atomic */
};

static void *read_until_told(void *ctx)
{
    struct reader *reader = ctx;

    harena_provider_read_lock(reader->provider);
    __atomic_store_n(&reader->inside, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&reader->leave, __ATOMIC_ACQUIRE))
        sched_yield();
    harena_provider_read_unlock(reader->provider);
    return NULL;
}

START_TEST(release_rcu_waits_for_the_reader)
{
    struct reader reader = {provider, 0, 0};
    harena *arena = arena_of(provider, 0);
    unsigned char *small = bytes_of(arena, 100, 0x17), *large = bytes_of(arena, 3 * MIB, 0x18);
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, read_until_told, &reader), 0);
    while (!__atomic_load_n(&reader.inside, __ATOMIC_ACQUIRE))
        sched_yield();
    harena_release_rcu(arena);
    for (int round = 0; round < 50; round++) { /* work that would take what was given back */
        harena *other = arena_of(provider, 0);

        bytes_of(other, 3 * MIB, 0xff);
        harena_release(other);
        ck_assert_uint_gt(stats_of(provider).deferred, 3 * MIB);
    }
    harena_provider_trim(provider, 0);
    ck_assert(all_bytes(small, 100, 0x17));
    ck_assert(all_bytes(large, 3 * MIB, 0x18));
    __atomic_store_n(&reader.leave, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(release_rcu_by_the_thousand_is_all_reclaimed)
{
    for (int round = 0; round < 3000; round++) {
        harena *arena = arena_of(provider, 0);

        bytes_of(arena, 100, round);
        harena_release_rcu(arena);
        if (round % 100 == 0)
            totals_hold(provider);
    }
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(stats_of(provider).retired, 3000);
    ck_assert_uint_eq(stats_of(provider).reclaimed, 3000);
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
}
END_TEST

START_TEST(release_rcu_of_an_empty_arena)
{
    harena_release_rcu(arena_of(provider, 0));
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(release_rcu_above_deferred_limit_raises_the_event)
{
    struct events local = {.count = {0}};
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *strict;
    harena *arena;

    options.reserve = 64 * MIB;
    options.deferred_limit = 4 * CHUNK;
    options.on_event = record_event;
    options.event_ctx = &local;
    strict = SUCCEEDS(harena_provider_create(&options));
    harena_provider_read_lock(strict);
    for (int round = 0; round < 8; round++) {
        arena = arena_of(strict, 0);
        bytes_of(arena, CHUNK, 1);
        harena_release_rcu(arena);
        totals_hold(strict);
        if (round < 4)
            ck_assert_uint_eq(events_of(&local, HARENA_EVENT_DEFERRED_LIMIT), 0);
    }
    ck_assert_uint_ge(events_of(&local, HARENA_EVENT_DEFERRED_LIMIT), 1);
    ck_assert_uint_eq(stats_of(strict).deferred, 8 * CHUNK);
    harena_provider_read_unlock(strict);
    ends_clean(strict);
}
END_TEST

RUN_TESTS_AROUND("arena", with_provider, without_provider, a_fresh_arena_holds_nothing,
                 ten_thousand_idle_arenas_hold_no_chunk, null_is_harmless, no_success_touches_errno,
                 another_thread_than_the_creators_may_release,
                 an_arena_outlives_the_thread_that_made_it, short_lived_threads_strand_nothing,
                 arenas_come_and_go_without_growth, reset_empties_and_keeps_one_chunk_warm,
                 reset_of_an_empty_arena_is_harmless, after_reset_the_same_memory_serves_again,
                 an_arena_that_only_held_runs_resets, an_exactly_full_chunk_is_one_chunk,
                 an_aligned_object_leaves_the_larger_rest, one_allocation_may_fill_the_first_chunk,
                 limit_is_reached_inside_a_refill, limit_of_less_than_a_chunk_serves_nothing,
                 limit_counts_runs_and_chunks_together,
                 limit_of_an_arena_raises_its_event_and_no_other,
                 an_arena_that_filled_the_providers_limit_resets_and_fills_again,
                 the_rest_of_the_window_serves_at_the_limit,
                 a_refused_large_request_spoils_no_window, no_older_chunk_is_looked_at,
                 failure_sticks_until_cleared_or_reset, failure_belongs_to_one_arena,
                 len_counts_what_was_handed_out_rounded_to_16,
                 len_never_exceeds_cap_and_never_falls_but_at_reset,
                 peak_survives_reset_and_only_rises, peak_counts_only_what_was_handed_out,
                 stats_tell_chunks_runs_resets_failures, stats_fill_no_more_than_the_size_says,
                 stats_of_null_are_zero, contains_its_first_and_last_byte_and_none_beyond,
                 contains_no_byte_past_its_memory, contains_answers_for_any_pointer,
                 contains_nothing_that_reset_gave_back, release_rcu_waits_for_the_reader,
                 release_rcu_by_the_thousand_is_all_reclaimed, release_rcu_of_an_empty_arena,
                 release_rcu_above_deferred_limit_raises_the_event)
