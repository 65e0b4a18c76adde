/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared arena: create, views, close, counters.
 * What several threads do at once is tested elsewhere. */
#include "shared.h"

#include <stdatomic.h>

/* ---- create ---- */

START_TEST(a_fresh_one_holds_nothing)
{
    harena_shared *shared = made();

    QUIETLY(ck_assert_uint_eq(harena_shared_len(shared), 0));
    QUIETLY(ck_assert_uint_eq(harena_shared_cap(shared), 0));
    QUIETLY(ck_assert_uint_eq(harena_shared_peak(shared), 0));
    QUIETLY(ck_assert(!harena_shared_failed(shared)));
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    harena_shared_leave(shared, harena_shared_enter(shared));
    ck_assert_uint_eq(stats_of(provider).committed, 0); /* not by looking either */
    harena_shared_release(shared);
}
END_TEST

START_TEST(null_options_use_the_default_provider)
{
    harena_shared *shared = SUCCEEDS(harena_shared_create(NULL));

    ck_assert(harena_provider_owns(harena_provider_default(), bytes_of(shared, 100, 1)));
    harena_shared_release_now(shared);
    ck_assert_uint_eq(in_use(NULL), 0);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    const harena_shared_options fresh = options;

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        options = fresh;                                                                           \
        change;                                                                                    \
        FAILS(EINVAL, harena_shared_create(&options));                                             \
    } while (0)

    REFUSED(options.size = 0);
    REFUSED(options.size = sizeof options - 1);
    REFUSED(options.size = sizeof options + 8);
    REFUSED(options.alignment = 3);
    REFUSED(options.alignment = 24);
    REFUSED(options.alignment = 131072);
    REFUSED(options.alignment = SIZE_MAX);
    REFUSED(options.lanes = 1025);
    REFUSED(options.lanes = UINT32_MAX);
    REFUSED((options.lanes = 1, options.no_lanes = true));
    REFUSED((options.lanes = 64, options.no_lanes = true));
    REFUSED(options.debug = "nosuchmode");
#undef REFUSED
    options = fresh;
    options.debug = "";
    harena_shared_release(made());
}
END_TEST

START_TEST(lanes_are_rounded_up_to_a_power_of_two)
{
    const struct {
        uint32_t asked, lanes;
    } cases[] = {{0, 64},  {1, 1},    {2, 2},      {3, 4},       {5, 8},
                 {64, 64}, {65, 128}, {600, 1024}, {1023, 1024}, {1024, 1024}};

    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        harena_shared *shared;
        harena_view *view;

        options.lanes = cases[at].asked;
        shared = made();
        view = harena_shared_enter(shared);
        memset(SUCCEEDS(harena_view_alloc(view, opaque(100))), 1, 100);
        ck_assert_uint_eq(view->lanes, cases[at].lanes);
        harena_shared_leave(shared, view);
        harena_shared_release_now(shared);
        ck_assert_uint_eq(in_use(provider), 0);
    }
}
END_TEST

START_TEST(hundreds_live_side_by_side)
{
    enum { COUNT = 300 };
    static harena_shared *shared[COUNT];
    static unsigned char *memory[COUNT];

    for (int at = 0; at < COUNT; at++) {
        shared[at] = made();
        memory[at] = bytes_of(shared[at], 100, at);
    }
    for (int at = 0; at < COUNT; at++) {
        EXPECT(all_bytes(memory[at], 100, (unsigned char)at));
        EXPECT(harena_shared_contains(shared[at], memory[at]));
        EXPECT(!harena_shared_contains(shared[(at + 1) % COUNT], memory[at]));
        if (at % 2 == 0)
            harena_shared_release(shared[at]);
        else
            harena_shared_release_now(shared[at]);
    }
    back_after_barrier();
}
END_TEST

/* ---- views ---- */

START_TEST(enter_nests)
{
    harena_shared *shared = made();
    harena_view *outer, *inner, *third;

    QUIETLY(outer = harena_shared_enter(shared));
    inner = harena_shared_enter(shared);
    third = harena_shared_enter(shared);
    ck_assert_ptr_eq(outer, inner);
    ck_assert_ptr_eq(outer, third);
    QUIETLY(harena_shared_leave(shared, third));
    harena_shared_leave(shared, inner);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK); /* still inside */
    memset(SUCCEEDS(harena_view_alloc(outer, opaque(100))), 1, 100);
    harena_shared_leave(shared, outer);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    harena_shared_release(shared);
}
END_TEST

START_TEST(a_view_outlives_the_reset_until_it_is_left)
{
    harena_shared *shared = made();
    harena_view *before = harena_shared_enter(shared), *after;
    unsigned char *old = memset(SUCCEEDS(harena_view_alloc(before, opaque(1000))), 0x31, 1000);
    unsigned char *run =
        memset(SUCCEEDS(harena_view_alloc(before, opaque(5 * CHUNK))), 0x32, 5 * CHUNK);
    unsigned char *fresh, *late;

    ck_assert_int_eq(harena_shared_reset(shared), 0);
    after = harena_shared_enter(shared);
    ck_assert_ptr_ne(after, before);
    fresh = memset(SUCCEEDS(harena_view_alloc(after, opaque(1000))), 0x33, 1000);
    late = memset(SUCCEEDS(harena_view_alloc(before, opaque(1000))), 0x34, 1000);
    ck_assert(harena_view_contains(before, old) && harena_view_contains(before, run));
    ck_assert(harena_view_contains(before, late) && !harena_view_contains(before, fresh));
    ck_assert(harena_view_contains(after, fresh) && !harena_view_contains(after, old));
    ck_assert(harena_shared_contains(shared, fresh) && !harena_shared_contains(shared, late));
    for (int round = 0; round < 100; round++) { /* what would take memory given back too early */
        unsigned char *other = bytes_of(shared, 6 * CHUNK, 0xff);

        EXPECT(hidden(other) + 6 * CHUNK <= hidden(run) ||
               hidden(other) >= hidden(run) + 5 * CHUNK);
    }
    ck_assert_uint_gt(stats_of(provider).deferred, 0);
    totals_hold(provider);
    ck_assert(all_bytes(old, 1000, 0x31) && all_bytes(run, 5 * CHUNK, 0x32));
    ck_assert(all_bytes(fresh, 1000, 0x33) && all_bytes(late, 1000, 0x34));
    harena_shared_leave(shared, after);
    harena_shared_leave(shared, before);
    back_after_barrier();
    ck_assert_uint_eq(in_use(provider), harena_shared_cap(shared));
    harena_shared_release(shared);
}
END_TEST

START_TEST(the_root_belongs_to_its_generation)
{
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared), *next;
    _Atomic(void *) *root = harena_view_root(view);
    void *expected = NULL;

    ck_assert_ptr_nonnull((void *)root);
    ck_assert_ptr_null(atomic_load(root));
    ck_assert(atomic_compare_exchange_strong(root, &expected, &events));
    ck_assert_ptr_eq((void *)harena_view_root(view), (void *)root);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    next = harena_shared_enter(shared);
    ck_assert_ptr_ne((void *)harena_view_root(next), (void *)root);
    ck_assert_ptr_null(atomic_load(harena_view_root(next)));
    ck_assert_ptr_eq(atomic_load(root), &events);
    harena_shared_leave(shared, next);
    harena_shared_leave(shared, view);
    for (int round = 0; round < 16; round++) { /* records are reused */
        ck_assert_int_eq(round % 2 ? harena_shared_reset(shared) : harena_shared_reset_now(shared),
                         0);
        ck_assert_int_eq(harena_provider_barrier(provider), 0);
        view = harena_shared_enter(shared);
        ck_assert_ptr_null(atomic_load(harena_view_root(view)));
        atomic_store(harena_view_root(view), &events);
        harena_shared_leave(shared, view);
    }
    harena_shared_release(shared);
}
END_TEST

START_TEST(view_contains_its_first_and_last_byte)
{
    harena_shared *shared = made(), *other = made();
    harena_view *view = harena_shared_enter(shared);
    unsigned char *small = memset(SUCCEEDS(harena_view_alloc(view, opaque(100))), 1, 100);
    unsigned char *run = memset(SUCCEEDS(harena_view_alloc(view, opaque(3 * BLOCK))), 1, 3 * BLOCK);
    unsigned char *foreign = bytes_of(other, 100, 1);
    void *heap = malloc(10);
    int local;

    ck_assert(harena_view_contains(view, small) && harena_view_contains(view, small + 99));
    ck_assert(harena_view_contains(view, run) && harena_view_contains(view, run + BLOCK + 77));
    ck_assert(harena_view_contains(view, run + 3 * BLOCK - 1));
    ck_assert(!harena_view_contains(view, foreign));
    ck_assert(!harena_view_contains(view, &local) && !harena_view_contains(view, heap));
    ck_assert(!harena_view_contains(view, NULL));
    ck_assert(!harena_view_contains(view, (void *)opaque(UINTPTR_MAX)));
    ck_assert(!harena_view_contains(view, view) && !harena_view_contains(view, shared));
    ck_assert(harena_shared_contains(shared, small) && !harena_shared_contains(other, small));
    ck_assert(!harena_shared_contains(shared, NULL) && !harena_shared_contains(shared, &local));
    harena_shared_leave(shared, view);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert(!harena_shared_contains(shared, small));
    harena_shared_release(shared);
    harena_shared_release(other);
    free(heap);
}
END_TEST

/* ---- close ---- */

START_TEST(allocation_after_close_gives_eshutdown)
{
    harena_shared *shared = made();
    harena_view *view;
    harena *lane;
    int cleanups = 0;

    bytes_of(shared, 100, 1);
    ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), 0);
    QUIETLY(harena_shared_close(shared));
    for (size_t which = 0; which < ALLOCATORS; which++) {
        FAILS(ESHUTDOWN, allocators[which].alloc(shared, 100));
        FAILS(ESHUTDOWN, allocators[which].alloc(shared, 10 * CHUNK));
    }
    FAILS(ESHUTDOWN, harena_shared_strdup(shared, "x"));
    FAILS(ESHUTDOWN, harena_shared_memdup(shared, "x", 1));
    FAILS(ESHUTDOWN, harena_shared_printf(shared, "%d", 1));
    FAILS(ESHUTDOWN, harena_shared_new(shared, int));
    ck_assert_int_eq(harena_shared_on_release(shared, count_up, &cleanups), -ESHUTDOWN);
    ck_assert_int_eq(harena_shared_reset(shared), -ESHUTDOWN);
    ck_assert_int_eq(harena_shared_reset_now(shared), -ESHUTDOWN);
    ck_assert_uint_eq(harena_shared_len(shared), 0);
    ck_assert_uint_eq(harena_shared_cap(shared), 0);
    ck_assert(!harena_shared_contains(shared, shared));

    view = harena_shared_enter(shared);
    ck_assert_ptr_nonnull(view);
    ck_assert_ptr_null((void *)harena_view_root(view));
    ck_assert_int_eq(harena_view_on_release(view, count_up, &cleanups), -ESHUTDOWN);
    ck_assert(!harena_view_contains(view, &cleanups));
    lane = harena_view_lane(view);
    ck_assert_ptr_nonnull(lane);
    FAILS(ESHUTDOWN, harena_alloc(lane, opaque(8)));
    FAILS(ESHUTDOWN, harena_alloc(lane, 8));
    FAILS(ESHUTDOWN, harena_alloc_zeroed(lane, opaque(8)));
    FAILS(ESHUTDOWN, harena_alloc_aligned(lane, opaque(8), opaque(64)));
    FAILS(ESHUTDOWN, harena_strdup(lane, "x"));
    FAILS(ESHUTDOWN, harena_printf(lane, "%d", 1));
    ck_assert_int_eq(harena_on_release(lane, count_up, &cleanups), -ESHUTDOWN);
    ck_assert(!harena_contains(lane, &cleanups));
    harena_shared_leave(shared, view);

    QUIETLY(harena_shared_close(shared)); /* again: nothing */
    back_after_barrier();
    ck_assert_int_eq(cleanups, 1);
    ck_assert_uint_eq(in_use(provider), 0);
    harena_shared_release(shared);
}
END_TEST

START_TEST(closed_view_alignment_errors_come_first_or_shutdown)
{
    harena_shared *shared = made();

    harena_shared_close(shared);
    errno = SENTINEL;
    ck_assert(hidden(harena_shared_alloc_aligned(shared, opaque(8), opaque(3))) == 0);
    ck_assert(errno == EINVAL || errno == ESHUTDOWN);
    errno = SENTINEL;
    ck_assert(hidden(harena_shared_alloc(shared, opaque(SIZE_MAX))) == 0);
    ck_assert(errno == ENOMEM || errno == ESHUTDOWN);
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(a_view_from_before_close_goes_on)
{
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);
    unsigned char *memory = memset(SUCCEEDS(harena_view_alloc(view, opaque(1000))), 0x61, 1000);

    harena_shared_close(shared);
    memset(SUCCEEDS(harena_view_alloc(view, opaque(3 * CHUNK))), 0x62, 3 * CHUNK);
    FAILS(ESHUTDOWN, harena_shared_alloc(shared, opaque(8)));
    ck_assert(all_bytes(memory, 1000, 0x61));
    ck_assert_uint_gt(stats_of(provider).deferred, 0);
    harena_shared_leave(shared, view);
    back_after_barrier();
    harena_shared_release(shared);
}
END_TEST

START_TEST(close_of_an_unused_one)
{
    harena_shared *shared = made();

    harena_shared_close(shared);
    FAILS(ESHUTDOWN, harena_shared_alloc(shared, opaque(8)));
    ck_assert_int_eq(harena_shared_reset(shared), -ESHUTDOWN);
    harena_shared_release_now(shared);
}
END_TEST

/* ---- counters ---- */

START_TEST(len_cap_peak_and_stats_agree)
{
    harena_shared *shared = made();
    harena_stats stats = {.size = sizeof stats};

    bytes_of(shared, 100, 1);
    ck_assert_uint_eq(harena_shared_len(shared), 112);
    ck_assert_uint_eq(harena_shared_cap(shared), CHUNK);
    ck_assert_uint_eq(harena_shared_peak(shared), 112);
    bytes_of(shared, 10 * CHUNK, 1);
    ck_assert_uint_ge(harena_shared_len(shared), 112 + 10 * CHUNK);
    QUIETLY(harena_shared_stats_get(shared, &stats));
    ck_assert_uint_eq(stats.len, harena_shared_len(shared));
    ck_assert_uint_eq(stats.cap, harena_shared_cap(shared));
    ck_assert_uint_eq(stats.peak, harena_shared_peak(shared));
    ck_assert_uint_eq(stats.cap, in_use(provider));
    ck_assert_uint_eq(stats.chunks, 1);
    ck_assert_uint_eq(stats.runs, 1);
    ck_assert_uint_eq(stats.resets, 0);
    ck_assert_uint_eq(stats.failures, 0);
    FAILS(ENOMEM, harena_shared_alloc(shared, opaque(SIZE_MAX)));
    harena_shared_stats_get(shared, &stats);
    ck_assert_uint_eq(stats.failures, 1);
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert_uint_eq(harena_shared_len(shared), 0);
    ck_assert_uint_ge(harena_shared_peak(shared), 112 + 10 * CHUNK);
    harena_shared_stats_get(shared, &stats);
    ck_assert_uint_eq(stats.failures, 1); /* so far */
    ck_assert_uint_eq(stats.resets, 1);
    ck_assert_uint_eq(stats.len, 0);
    ck_assert_uint_eq(stats.cap, 0);
    harena_shared_release(shared);
}
END_TEST

START_TEST(peak_is_noted_by_who_empties)
{
    harena_shared *shared = made();

    bytes_of(shared, 1600, 1);
    ck_assert_int_eq(harena_shared_reset(shared), 0); /* nobody has asked before */
    ck_assert_uint_eq(harena_shared_peak(shared), 1600);
    bytes_of(shared, 3200, 1);
    ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    ck_assert_uint_eq(harena_shared_peak(shared), 3200);
    bytes_of(shared, 4800, 1);
    harena_shared_close(shared);
    ck_assert_uint_eq(harena_shared_peak(shared), 4800);
    harena_shared_release(shared);
}
END_TEST

START_TEST(stats_fill_no_more_than_the_size_says)
{
    harena_shared *shared = made();
    harena_stats full = {.size = sizeof full};

    bytes_of(shared, 5000, 1);
    harena_shared_stats_get(shared, &full);
    for (size_t size = 0; size <= sizeof full; size++) {
        size_t written = size > sizeof full.size ? size : sizeof full.size;
        harena_stats stats;

        memset(&stats, 0xa5, sizeof stats);
        stats.size = size;
        harena_shared_stats_get(shared, &stats);
        if (size > sizeof stats.size)
            ck_assert_mem_eq((char *)&stats + sizeof stats.size, (char *)&full + sizeof stats.size,
                             size - sizeof stats.size);
        ck_assert(all_bytes((char *)&stats + written, sizeof stats - written, 0xa5));
    }
    QUIETLY(harena_shared_stats_get(shared, NULL));
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(failure_sticks_until_reset)
{
    harena_shared *shared = made();

    FAILS(ENOMEM, harena_shared_alloc(shared, opaque(SIZE_MAX)));
    bytes_of(shared, 100, 1);
    ck_assert(harena_shared_failed(shared));
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert(!harena_shared_failed(shared));
    FAILS(EINVAL, harena_shared_alloc_aligned(shared, opaque(8), opaque(3)));
    ck_assert(harena_shared_failed(shared));
    ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    ck_assert(!harena_shared_failed(shared));
    FAILS(EINVAL, harena_shared_strdup(shared, NULL));
    ck_assert(harena_shared_failed(shared));
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    FAILS(EINVAL, harena_shared_memdup(shared, NULL, 1));
    ck_assert(harena_shared_failed(shared));
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert(!harena_shared_failed(shared));
    harena_shared_close(shared);
    FAILS(ESHUTDOWN, harena_shared_alloc(shared, opaque(8)));
    ck_assert(harena_shared_failed(shared));
    harena_shared_release(shared);
}
END_TEST

START_TEST(resets_and_failures_are_those_of_all_generations)
{
    harena_stats stats = {.size = sizeof(stats)};
    harena_shared *shared = made();

    for (int i = 0; i < 3; i++) {
        FAILS(ENOMEM, harena_shared_alloc(shared, opaque(SIZE_MAX)));
        ck_assert_int_eq(i == 1 ? harena_shared_reset_now(shared) : harena_shared_reset(shared), 0);
    }
    ck_assert_int_eq(harena_shared_reset(shared), 0); /* of nothing */
    harena_shared_stats_get(shared, &stats);
    ck_assert_uint_eq(stats.failures, 3);
    ck_assert_uint_eq(stats.resets, 4);
    harena_shared_close(shared);
    harena_shared_stats_get(shared, &stats);
    ck_assert_uint_eq(stats.failures, 3);
    harena_shared_release(shared);
}
END_TEST

RUN_TESTS_AROUND("shared", with_provider, without_provider, a_fresh_one_holds_nothing,
                 null_options_use_the_default_provider, bad_options_are_refused,
                 lanes_are_rounded_up_to_a_power_of_two, hundreds_live_side_by_side, enter_nests,
                 a_view_outlives_the_reset_until_it_is_left, the_root_belongs_to_its_generation,
                 view_contains_its_first_and_last_byte, allocation_after_close_gives_eshutdown,
                 closed_view_alignment_errors_come_first_or_shutdown,
                 a_view_from_before_close_goes_on, close_of_an_unused_one,
                 len_cap_peak_and_stats_agree, peak_is_noted_by_who_empties,
                 stats_fill_no_more_than_the_size_says,
                 resets_and_failures_are_those_of_all_generations, failure_sticks_until_reset)
