/* SPDX-License-Identifier: BSD-2-Clause */
/* The allocation functions of a shared arena, a view, a lane: sizes, alignments, contents, errors. */
#include "shared.h"

static unsigned char *check_one(const struct allocator *allocator, harena_shared *shared,
                                size_t size, int value)
{
    void *memory;

    errno = SENTINEL;
    memory = allocator->alloc(shared, size);
    if (hidden(memory) == 0)
        ck_abort_msg("%s(%zu): %s", allocator->name, size, strerror(errno));
    if (errno != SENTINEL)
        ck_abort_msg("%s(%zu) set errno", allocator->name, size);
    if (!aligned_to(memory, 16) || (size > 0 && !harena_shared_contains(shared, memory)))
        ck_abort_msg("%s(%zu) = %p", allocator->name, size, memory);
    memset(memory, value, size);
    return memory;
}

START_TEST(every_size_around_the_boundaries_serves_and_stays_intact)
{
    static const size_t sizes[] = {1,         15,      16,        17,           100,
                                   511,       512,     513,       1000,         2048,
                                   4097,      16384,   32769,     CHUNK - 17,   CHUNK - 16,
                                   CHUNK - 1, CHUNK,   CHUNK + 1, 2 * CHUNK,    3 * CHUNK + 5,
                                   MIB,       MIB + 1, BLOCK,     2 * BLOCK + 7};
    enum { SIZES = sizeof sizes / sizeof *sizes };

    for (int no_lanes = 0; no_lanes < 2; no_lanes++) {
        harena_shared *shared;

        options.no_lanes = no_lanes;
        shared = made();
        for (size_t which = 0; which < ALLOCATORS; which++) {
            unsigned char *memory[SIZES];

            for (size_t at = 0; at < SIZES; at++)
                memory[at] = check_one(&allocators[which], shared, sizes[at], (int)at + 1);
            for (size_t at = 0; at < SIZES; at++) {
                EXPECT(all_bytes(memory[at], sizes[at], (unsigned char)(at + 1)));
                EXPECT(harena_shared_contains(shared, memory[at] + sizes[at] - 1));
            }
            EXPECT(harena_shared_len(shared) <= harena_shared_cap(shared));
            EXPECT(harena_shared_cap(shared) == in_use(provider));
            totals_hold(provider);
            EXPECT(!harena_shared_failed(shared));
            ck_assert_int_eq(
                which % 2 ? harena_shared_reset(shared) : harena_shared_reset_now(shared), 0);
            ck_assert_int_eq(harena_provider_barrier(provider), 0);
        }
        harena_shared_release(shared);
    }
}
END_TEST

START_TEST(all_paths_mixed_overlap_nothing)
{
    enum { COUNT = 6000 };
    static unsigned char *memory[COUNT];
    static size_t sizes[COUNT];

    for (int no_lanes = 0; no_lanes < 2; no_lanes++) {
        harena_shared *shared;

        options.no_lanes = no_lanes;
        shared = made();
        for (int at = 0; at < COUNT; at++) {
            sizes[at] = (size_t)at * 7919 % (at % 100 == 0 ? 100000 : 500);
            memory[at] = check_one(&allocators[at % ALLOCATORS], shared, sizes[at], at);
        }
        for (int at = 0; at < COUNT; at++)
            EXPECT(all_bytes(memory[at], sizes[at], (unsigned char)at));
        harena_shared_release_now(shared);
        ck_assert_uint_eq(in_use(provider), 0);
    }
}
END_TEST

START_TEST(size_zero_gives_an_aligned_pointer)
{
    harena_shared *shared = made();

    for (int filled = 0; filled < 2; filled++) {
        for (size_t which = 0; which < ALLOCATORS; which++)
            EXPECT(aligned_to(SUCCEEDS(allocators[which].alloc(shared, 0)), 16));
        EXPECT(aligned_to(SUCCEEDS(harena_shared_alloc_array(shared, opaque(0), opaque(SIZE_MAX))),
                          16));
        EXPECT(aligned_to(SUCCEEDS(harena_shared_memdup(shared, NULL, 0)), 16));
        bytes_of(shared, 100, 1);
    }
    ck_assert(!harena_shared_failed(shared));
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(sizes_that_cannot_be_are_refused)
{
    const size_t sizes[] = {((size_t)1 << 48) + 1, 257 * MIB,     (size_t)1 << 47,
                            PTRDIFF_MAX - 16,      PTRDIFF_MAX,   (size_t)PTRDIFF_MAX + 1,
                            SIZE_MAX - CHUNK,      SIZE_MAX - 63, SIZE_MAX - 15,
                            SIZE_MAX - 1,          SIZE_MAX};

    for (int filled = 0; filled < 2; filled++) {
        for (size_t which = 0; which < ALLOCATORS; which++) {
            harena_shared *shared = made();
            unsigned char *kept = NULL;

            if (filled)
                kept = bytes_of(shared, 100, 0x21);
            for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++)
                FAILS(ENOMEM, allocators[which].alloc(shared, sizes[at]));
            EXPECT(harena_shared_failed(shared));
            totals_hold(provider);
            check_one(&allocators[which], shared, 100, 1); /* usable */
            EXPECT(kept == NULL || all_bytes(kept, 100, 0x21));
            harena_shared_release_now(shared);
        }
    }
}
END_TEST

START_TEST(array_products_that_overflow_are_refused)
{
    harena_shared *shared = made();

    FAILS(ENOMEM, harena_shared_alloc_array(shared, opaque(SIZE_MAX), opaque(2)));
    FAILS(ENOMEM,
          harena_shared_alloc_array(shared, opaque((size_t)1 << 32), opaque((size_t)1 << 32)));
    FAILS(ENOMEM, harena_shared_alloc_array(shared, opaque(((size_t)1 << 63) + 1), opaque(2)));
    ck_assert(harena_shared_failed(shared));
    memset(SUCCEEDS(harena_shared_alloc_array(shared, opaque(100), opaque(12))), 1, 1200);
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(alignments_up_to_64_kib_are_honoured)
{
    const size_t bad[] = {0, 3, 24, 65537, 131072, (size_t)1 << 63, SIZE_MAX};
    harena_shared *shared = made();
    harena_view *view = harena_shared_enter(shared);

    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        for (size_t size = 0; size < 200000; size = size * 5 + 1) {
            unsigned char *one, *two;

            one = SUCCEEDS(harena_shared_alloc_aligned(shared, opaque(size), opaque(alignment)));
            memset(one, 1, size);
            bytes_of(shared, 1, 9);
            two = SUCCEEDS(harena_view_alloc_aligned(view, opaque(size), opaque(alignment)));
            memset(two, 2, size);
            EXPECT(aligned_to(one, alignment) && aligned_to(two, alignment));
            EXPECT(aligned_to(one, 16) && aligned_to(two, 16));
            EXPECT(all_bytes(one, size, 1));
        }
    }
    EXPECT(aligned_to(SUCCEEDS(harena_shared_new(shared, long double)), 16));
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        FAILS(EINVAL, harena_shared_alloc_aligned(shared, opaque(8), opaque(bad[at])));
        FAILS(EINVAL, harena_view_alloc_aligned(view, opaque(8), opaque(bad[at])));
    }
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(alignment_option_holds_for_everything)
{
    for (size_t alignment = 32; alignment <= 65536; alignment *= 4) {
        harena_shared *shared;

        options.alignment = alignment;
        for (int no_lanes = 0; no_lanes < 2; no_lanes++) {
            options.no_lanes = no_lanes;
            shared = made();
            for (size_t which = 0; which < ALLOCATORS; which++)
                for (size_t size = 1; size < 3000; size = size * 3 + 1)
                    EXPECT(aligned_to(check_one(&allocators[which], shared, size, 1), alignment));
            EXPECT(aligned_to(SUCCEEDS(harena_shared_strdup(shared, "x")), alignment));
            EXPECT(aligned_to(SUCCEEDS(harena_shared_memdup(shared, "x", 1)), alignment));
            EXPECT(aligned_to(SUCCEEDS(harena_shared_printf(shared, "%d", 1)), alignment));
            EXPECT(aligned_to(SUCCEEDS(harena_shared_new(shared, char)), alignment));
            harena_shared_release_now(shared);
        }
    }
}
END_TEST

START_TEST(zero_option_and_zeroed_hold_for_recycled_memory)
{
    for (int round = 0; round < 4; round++) {
        harena_shared *shared;

        options.zero = round % 2;
        options.no_lanes = round / 2;
        shared = made();
        for (int again = 0; again < 3; again++) {
            for (size_t which = 0; which < ALLOCATORS; which++) {
                for (size_t size = 1; size < 3 * MIB; size = size * 6 + 3) {
                    unsigned char *memory;

                    if (options.zero) {
                        memory = SUCCEEDS(allocators[which].alloc(shared, size));
                        EXPECT(all_bytes(memory, size, 0));
                    } else {
                        memory = SUCCEEDS(harena_shared_alloc_zeroed(shared, opaque(size)));
                        EXPECT(all_bytes(memory, size, 0));
                        check_one(&allocators[which], shared, size, 0xff);
                    }
                    memset(memory, 0xff, size);
                }
            }
            ck_assert_int_eq(harena_shared_reset_now(shared), 0);
        }
        harena_shared_release_now(shared);
    }
}
END_TEST

START_TEST(text_and_copies)
{
    harena_shared *shared = made();
    char *volatile none = NULL;
    char *text, *long_text;

    text = SUCCEEDS(harena_shared_strdup(shared, "shared"));
    ck_assert_str_eq(text, "shared");
    ck_assert_str_eq(SUCCEEDS(harena_shared_printf(shared, "%s %d", text, 5)), "shared 5");
    ck_assert_str_eq(SUCCEEDS(harena_shared_printf(shared, "%s", "")), "");
    long_text = SUCCEEDS(harena_shared_printf(shared, "%*d", 300000, 7));
    ck_assert_uint_eq(strlen(long_text), 300000);
    ck_assert(long_text[299999] == '7');
    ck_assert(memcmp(SUCCEEDS(harena_shared_memdup(shared, long_text, opaque(300001))), long_text,
                     300001) == 0);
    FAILS(EINVAL, harena_shared_strdup(shared, none));
    FAILS(EINVAL, harena_shared_memdup(shared, none, 1));
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(null_is_harmless_or_invalid)
{
    harena_stats stats;
    harena_view *view;
    harena *lane;

    for (size_t which = 0; which < 6; which++)
        FAILS(EINVAL, allocators[which].alloc(NULL, 100));
    FAILS(EINVAL, harena_shared_alloc(NULL, 16));
    FAILS(EINVAL, harena_shared_strdup(NULL, "x"));
    FAILS(EINVAL, harena_shared_memdup(NULL, "x", 1));
    FAILS(EINVAL, harena_shared_printf(NULL, "%d", 1));
    FAILS(EINVAL, harena_view_alloc(NULL, opaque(100)));
    FAILS(EINVAL, harena_view_alloc_slow(NULL, opaque(100)));
    FAILS(EINVAL, harena_view_alloc_zeroed(NULL, opaque(100)));
    FAILS(EINVAL, harena_view_alloc_aligned(NULL, opaque(100), opaque(16)));
    FAILS(EINVAL, harena_view_alloc_atomic(NULL, opaque(100)));
    QUIETLY(ck_assert_int_eq(harena_shared_reset(NULL), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_shared_reset_now(NULL), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_shared_on_release(NULL, count_up, NULL), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_view_on_release(NULL, count_up, NULL), -EINVAL));
    QUIETLY(harena_shared_close(NULL));
    QUIETLY(harena_shared_release(NULL));
    QUIETLY(harena_shared_release_now(NULL));
    QUIETLY(ck_assert(!harena_shared_contains(NULL, &stats)));
    QUIETLY(ck_assert(!harena_view_contains(NULL, &stats)));
    QUIETLY(ck_assert_uint_eq(harena_shared_len(NULL), 0));
    QUIETLY(ck_assert_uint_eq(harena_shared_cap(NULL), 0));
    QUIETLY(ck_assert_uint_eq(harena_shared_peak(NULL), 0));
    QUIETLY(ck_assert(harena_shared_failed(NULL)));
    QUIETLY(ck_assert_ptr_null((void *)harena_view_root(NULL)));
    memset(&stats, 0xa5, sizeof stats);
    stats.size = sizeof stats;
    QUIETLY(harena_shared_stats_get(NULL, &stats));
    ck_assert(all_bytes((char *)&stats + sizeof stats.size, sizeof stats - sizeof stats.size, 0));

    QUIETLY(view = harena_shared_enter(NULL)); /* a closed view */
    ck_assert_ptr_nonnull(view);
    FAILS(ESHUTDOWN, harena_view_alloc(view, opaque(8)));
    ck_assert_ptr_null((void *)harena_view_root(view));
    QUIETLY(harena_shared_leave(NULL, view));

    lane = harena_view_lane(NULL);
    ck_assert_ptr_nonnull(lane);
    ck_assert(hidden(harena_alloc(lane, opaque(8))) == 0);
}
END_TEST

RUN_TESTS_AROUND("shared_alloc", with_provider, without_provider,
                 every_size_around_the_boundaries_serves_and_stays_intact,
                 all_paths_mixed_overlap_nothing, size_zero_gives_an_aligned_pointer,
                 sizes_that_cannot_be_are_refused, array_products_that_overflow_are_refused,
                 alignments_up_to_64_kib_are_honoured, alignment_option_holds_for_everything,
                 zero_option_and_zeroed_hold_for_recycled_memory, text_and_copies,
                 null_is_harmless_or_invalid)
