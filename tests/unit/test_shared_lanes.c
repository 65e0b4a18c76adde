/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared arena's lanes and cleanups. */
#include "shared.h"

/* ---- lanes ---- */

START_TEST(no_lanes_serves_by_fetch_add)
{
    harena_shared *shared;
    harena_view *view;
    harena *lane;
    uintptr_t last = 0;

    options.no_lanes = true;
    shared = made();
    view = harena_shared_enter(shared);
    lane = harena_view_lane(view);
    ck_assert_ptr_nonnull(lane);
    for (int at = 0; at < 3000; at++) { /* least waste: neighbours in memory */
        uintptr_t memory = hidden(memset(SUCCEEDS(harena_view_alloc(view, opaque(16))), 1, 16));

        if (at % 3000 != 0)
            EXPECT(memory == last + 16);
        last = memory;
    }
    ck_assert_uint_eq(harena_shared_len(shared), 3000 * 16);
    ck_assert_uint_eq(harena_shared_cap(shared), CHUNK);
    memset(SUCCEEDS(harena_alloc(lane, opaque(100))), 1, 100); /* always empty, but it serves */
    memset(SUCCEEDS(harena_alloc(lane, 100)), 1, 100);
    ck_assert_str_eq(SUCCEEDS(harena_printf(lane, "%s", "lane")), "lane");
    harena_shared_leave(shared, view);
    harena_shared_release(shared);
}
END_TEST

static void *alloc_16_there(void *shared)
{
    return harena_shared_alloc(shared, opaque(16));
}

START_TEST(without_lanes_threads_take_turns_in_one_chunk)
{
    harena_shared *shared;
    harena_view *view;
    harena *lane;
    uintptr_t first;

    options.no_lanes = true;
    shared = made();
    view = harena_shared_enter(shared);
    lane = harena_view_lane(view);
    first = hidden(SUCCEEDS(harena_view_alloc(view, opaque(16))));
    for (int round = 1; round < 20; round += 2) {
        ck_assert_uint_eq(hidden(on_another_thread(alloc_16_there, shared)),
                          first + (unsigned)round * 16);
        ck_assert_uint_eq(hidden(SUCCEEDS(harena_alloc(lane, 16))),
                          first + (unsigned)round * 16 + 16);
    }
    ck_assert_ptr_eq(lane->cursor, lane->limit); /* nothing is ever served inline */
    harena_shared_leave(shared, view);
    harena_shared_release(shared);
}
END_TEST

START_TEST(zero_holds_where_a_lanes_cursor_moved_back)
{
    harena_shared *shared;
    harena_view *view;
    harena *lane;

    options.zero = true;
    options.limit = 2 * CHUNK;
    shared = made();
    view = harena_shared_enter(shared);
    lane = harena_view_lane(view);
    for (int round = 0; round < 30; round++) {
        unsigned char *memory = SUCCEEDS(harena_alloc(lane, opaque(300)));

        EXPECT(all_bytes(memory, 300, 0));
        memset(memory, 0xff, 300);
        EXPECT(same(memory, SUCCEEDS(harena_realloc(lane, memory, 300, opaque(20)))));
        FAILS(ENOMEM, harena_printf(lane, "%*d", 3 * (int)CHUNK, 1));
    }
    harena_shared_leave(shared, view);
    harena_shared_release(shared);
}
END_TEST

START_TEST(a_lane_is_an_arena_for_allocation)
{
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);
    harena *lane = harena_view_lane(view);
    unsigned char *bytes, *grown;

    ck_assert_ptr_eq(harena_view_lane(view), lane);
    bytes = memset(SUCCEEDS(harena_alloc(lane, opaque(32))), 0x11, 32);
    grown = SUCCEEDS(harena_realloc(lane, bytes, 32, opaque(64)));
    ck_assert(all_bytes(grown, 32, 0x11));
    memset(grown, 0x12, 64);
    grown = SUCCEEDS(harena_realloc(lane, grown, 64, opaque(3 * CHUNK)));
    ck_assert(all_bytes(grown, 64, 0x12));
    memset(grown, 0x13, 3 * CHUNK);
    ck_assert(same(grown, SUCCEEDS(harena_realloc(lane, grown, 3 * CHUNK, opaque(10)))));
    ck_assert(all_bytes(SUCCEEDS(harena_alloc_zeroed(lane, opaque(5000))), 5000, 0));
    ck_assert(aligned_to(SUCCEEDS(harena_alloc_aligned(lane, opaque(5), opaque(4096))), 4096));
    memset(SUCCEEDS(harena_alloc_array(lane, opaque(10), opaque(10))), 1, 100);
    ck_assert_str_eq(SUCCEEDS(harena_strdup(lane, "lane")), "lane");
    ck_assert_str_eq(SUCCEEDS(harena_strndup(lane, "lane", opaque(2))), "la");
    ck_assert_str_eq(SUCCEEDS(harena_printf(lane, "%d", 42)), "42");
    ck_assert_uint_eq(strlen(SUCCEEDS(harena_printf(lane, "%*d", 200000, 1))), 200000);
    ck_assert(all_bytes(SUCCEEDS(harena_memdup(lane, grown, opaque(10))), 10, 0x13));
    FAILS(EINVAL, harena_alloc_aligned(lane, opaque(8), opaque(3)));
    FAILS(ENOMEM, harena_alloc(lane, opaque(SIZE_MAX)));
    FAILS(ENOMEM, harena_alloc_array(lane, opaque(SIZE_MAX), opaque(2)));
    ck_assert(harena_failed(lane)); /* asks its generation */
    ck_assert(harena_shared_failed(shared));
    ck_assert(harena_view_contains(view, grown));
    ck_assert(harena_contains(lane, grown) && harena_contains(lane, bytes));
    ck_assert(!harena_contains(lane, &view) && !harena_contains(lane, NULL));
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(what_owns_does_nothing_on_a_lane)
{
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);
    harena *lane = harena_view_lane(view);
    unsigned char *bytes = memset(SUCCEEDS(harena_alloc(lane, opaque(1000))), 0x71, 1000);
    uint64_t held = in_use(provider);
    int cleanups = 0;

    QUIETLY(ck_assert_int_eq(harena_on_release(lane, count_up, &cleanups), 0));
    ck_assert(!harena_forget(lane, count_up, &cleanups));
    QUIETLY(harena_reset(lane));
    QUIETLY(harena_release(lane));
    QUIETLY(harena_release_rcu(lane));
    ck_assert_int_eq(cleanups, 0);
    ck_assert_uint_eq(in_use(provider), held);
    memset(SUCCEEDS(harena_alloc(lane, opaque(1000))), 0x72, 1000);
    ck_assert(all_bytes(bytes, 1000, 0x71));
    ck_assert(harena_contains(lane, bytes));
    harena_shared_leave(shared, view);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    back_after_barrier();
    ck_assert_int_eq(counted(&cleanups), 1); /* with its generation */
    ck_assert_uint_eq(events_in_all(&events), 0);
    harena_shared_release(shared);
}
END_TEST

START_TEST(a_lane_tells_its_own_len_and_cap)
{
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);
    harena *lane = harena_view_lane(view);
    harena_stats stats = {.size = sizeof stats};

    ck_assert_uint_eq(harena_len(lane), 0);
    memset(SUCCEEDS(harena_alloc(lane, opaque(100))), 1, 100);
    ck_assert_uint_eq(harena_len(lane), 112);
    ck_assert_uint_ge(harena_cap(lane), 112);
    ck_assert_uint_le(harena_cap(lane), harena_shared_cap(shared));
    ck_assert_uint_eq(harena_shared_len(shared), 112);
    QUIETLY(harena_stats_get(lane, &stats));
    ck_assert_uint_eq(stats.len, 112);
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(each_generation_gives_a_thread_a_fresh_lane)
{
    harena_shared *shared = made();

    for (int round = 0; round < 200; round++) {
        harena_view *view = harena_shared_enter(shared);
        harena *lane = harena_view_lane(view);

        EXPECT(harena_len(lane) == 0);
        memset(SUCCEEDS(harena_alloc(lane, opaque(500))), 1, 500);
        EXPECT(harena_len(lane) == 512);
        harena_shared_leave(shared, view);
        if (round % 20 == 19) /* records are reused */
            EXPECT(harena_shared_reset_now(shared) == 0);
        else
            EXPECT(harena_shared_reset(shared) == 0);
    }
    harena_shared_release(shared);
}
END_TEST

static void *alloc_there(void *shared)
{
    return harena_shared_alloc(shared, opaque(100));
}

START_TEST(short_lived_threads_strand_little)
{
    harena_shared *shared = made();

    for (int round = 0; round < 500; round++) {
        void *memory = on_another_thread(alloc_there, shared);

        EXPECT(hidden(memory) != 0);
        memset(memory, round, 100);
    }
    ck_assert_uint_eq(harena_shared_len(shared), 500 * 112);
    ck_assert_uint_le(harena_shared_cap(shared), 4 * CHUNK);
    harena_shared_release_now(shared);
}
END_TEST

/* ---- cleanups ---- */

static char ran[64];

static void note(void *letter)
{
    size_t length = strlen(ran);

    if (length + 1 < sizeof ran)
        ran[length] = *(const char *)letter;
}

static harena_view *noted_view;

static void note_and_register(void *letter)
{
    note(letter);
    if (*(const char *)letter < 'c' &&
        harena_view_on_release(noted_view, note_and_register, (char *)letter + 1) != 0)
        strcpy(ran, "refused");
}

START_TEST(cleanups_run_newest_first_when_the_generation_is_reclaimed)
{
    static char letters[] = "abcdef";
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);

    ck_assert_int_eq(harena_view_on_release(view, note, &letters[0]), 0);
    ck_assert_int_eq(harena_shared_on_release(shared, note, &letters[1]), 0);
    ck_assert_int_eq(harena_on_release(harena_view_lane(view), note, &letters[2]), 0);
    ck_assert_int_eq(harena_view_on_release(view, NULL, NULL), -EINVAL);
    ck_assert_int_eq(harena_shared_on_release(shared, NULL, NULL), -EINVAL);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert_str_eq(ran, "");
    ck_assert_int_eq(harena_shared_on_release(shared, note, &letters[3]), 0);
    harena_shared_leave(shared, view);
    back_after_barrier();
    ck_assert_str_eq(ran, "cba");
    ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    ck_assert_str_eq(ran, "cbad");
    harena_shared_release(shared);
}
END_TEST

START_TEST(a_cleanup_may_register_more)
{
    static char letters[] = "abcz";
    harena_shared *shared = made();

    for (int now = 0; now < 2; now++) {
        memset(ran, 0, sizeof ran);
        noted_view = harena_shared_enter(shared);
        ck_assert_int_eq(harena_view_on_release(noted_view, note, &letters[3]), 0);
        ck_assert_int_eq(harena_view_on_release(noted_view, note_and_register, &letters[0]), 0);
        harena_shared_leave(shared, noted_view);
        ck_assert_int_eq(now ? harena_shared_reset_now(shared) : harena_shared_reset(shared), 0);
        back_after_barrier();
        ck_assert_str_eq(ran, "abcz");
    }
    harena_shared_release(shared);
}
END_TEST

START_TEST(cleanup_registration_at_the_limit_is_refused)
{
    harena_shared *shared;
    int cleanups = 0;

    options.limit = CHUNK;
    shared = made();
    while (hidden(harena_shared_alloc(shared, opaque(16))) != 0)
        continue;
    ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), -ENOMEM);
    ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    ck_assert_int_eq(cleanups, 0);
    ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), 0);
    harena_shared_release_now(shared);
    ck_assert_int_eq(cleanups, 1);
}
END_TEST

RUN_TESTS_AROUND("shared_lanes", with_provider, without_provider, no_lanes_serves_by_fetch_add,
                 without_lanes_threads_take_turns_in_one_chunk,
                 zero_holds_where_a_lanes_cursor_moved_back, a_lane_is_an_arena_for_allocation,
                 what_owns_does_nothing_on_a_lane, a_lane_tells_its_own_len_and_cap,
                 each_generation_gives_a_thread_a_fresh_lane, short_lived_threads_strand_little,
                 cleanups_run_newest_first_when_the_generation_is_reclaimed,
                 a_cleanup_may_register_more, cleanup_registration_at_the_limit_is_refused)
