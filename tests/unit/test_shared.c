/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared arena: views, lanes, reset, close, release and their _now, limits, cleanups, counters.
 * What several threads do at once is tested elsewhere. */
#include "unit.h"

#include <stdatomic.h>

static harena_provider *provider;
static struct events events;
static harena_shared_options options;

static void with_provider(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(256 * MIB, 0, &events);
    options = (harena_shared_options)HARENA_SHARED_OPTIONS_INIT;
    options.provider = provider;
}

static void without_provider(void)
{
    ends_clean(provider);
}

static harena_shared *made(void)
{
    return SUCCEEDS(harena_shared_create(&options));
}

static unsigned char *bytes_of(harena_shared *shared, size_t size, int value)
{
    return memset(SUCCEEDS(harena_shared_alloc(shared, opaque(size))), value, size);
}

static void count_up(void *counter)
{
    __atomic_fetch_add((int *)counter, 1, __ATOMIC_RELAXED);
}

static int counted(const int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void back_after_barrier(void)
{
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
    totals_hold(provider);
}

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

/* ---- allocation ---- */

static void *by_shared(harena_shared *shared, size_t size)
{
    return harena_shared_alloc(shared, opaque(size));
}

static void *by_shared_slow(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_slow(shared, opaque(size));
}

static void *by_shared_zeroed(harena_shared *shared, size_t size)
{
    void *memory = harena_shared_alloc_zeroed(shared, opaque(size));

    if (hidden(memory) != 0 && size <= MIB)
        EXPECT(all_bytes(memory, size, 0));
    return memory;
}

static void *by_shared_aligned(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_aligned(shared, opaque(size), opaque(16));
}

static void *by_shared_array(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_array(shared, opaque(size), opaque(1));
}

static void *by_shared_atomic(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_atomic(shared, opaque(size));
}

static void *by_view(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc(view, opaque(size));
    int error = errno;

    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_view_slow(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc_slow(view, opaque(size));
    int error = errno;

    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_view_zeroed(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc_zeroed(view, opaque(size));
    int error = errno;

    if (hidden(memory) != 0 && size <= MIB)
        EXPECT(all_bytes(memory, size, 0));
    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_view_aligned(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc_aligned(view, opaque(size), opaque(16));
    int error = errno;

    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_view_atomic(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc_atomic(view, opaque(size));
    int error = errno;

    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_lane(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    harena *lane = harena_view_lane(view);
    void *memory = harena_alloc(lane, opaque(size));
    int error = errno;

    EXPECT(hidden(lane) != 0);
    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static const struct allocator {
    const char *name;
    void *(*alloc)(harena_shared *shared, size_t size);
} allocators[] = {
    {"harena_shared_alloc", by_shared},
    {"harena_shared_alloc_slow", by_shared_slow},
    {"harena_shared_alloc_zeroed", by_shared_zeroed},
    {"harena_shared_alloc_aligned", by_shared_aligned},
    {"harena_shared_alloc_array", by_shared_array},
    {"harena_shared_alloc_atomic", by_shared_atomic},
    {"harena_view_alloc", by_view},
    {"harena_view_alloc_slow", by_view_slow},
    {"harena_view_alloc_zeroed", by_view_zeroed},
    {"harena_view_alloc_aligned", by_view_aligned},
    {"harena_view_alloc_atomic", by_view_atomic},
    {"harena_alloc of a lane", by_lane},
};
enum { ALLOCATORS = sizeof allocators / sizeof *allocators };

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
    harena_shared_release(shared);
}
END_TEST

RUN_TESTS_AROUND(
    "shared", with_provider, without_provider, a_fresh_one_holds_nothing,
    null_options_use_the_default_provider, bad_options_are_refused,
    lanes_are_rounded_up_to_a_power_of_two, hundreds_live_side_by_side,
    every_size_around_the_boundaries_serves_and_stays_intact, all_paths_mixed_overlap_nothing,
    size_zero_gives_an_aligned_pointer, sizes_that_cannot_be_are_refused,
    array_products_that_overflow_are_refused, alignments_up_to_64_kib_are_honoured,
    alignment_option_holds_for_everything, zero_option_and_zeroed_hold_for_recycled_memory,
    text_and_copies, null_is_harmless_or_invalid, enter_nests,
    a_view_outlives_the_reset_until_it_is_left, the_root_belongs_to_its_generation,
    view_contains_its_first_and_last_byte, reset_empties_and_memory_comes_back,
    reset_of_an_empty_one_is_harmless, reset_of_one_that_filled_the_hard_limit_serves_again,
    reset_above_the_deferred_limit_changes_nothing,
    generations_of_nothing_end_at_the_deferred_limit, what_views_take_after_a_reset_is_deferred,
    what_a_cleanup_takes_goes_back_with_the_rest, reset_now_gives_memory_back_at_once,
    release_now_gives_all_back_at_once, release_keeps_a_reader_safe,
    they_come_and_go_without_growth, allocation_after_close_gives_eshutdown,
    closed_view_alignment_errors_come_first_or_shutdown, a_view_from_before_close_goes_on,
    close_of_an_unused_one, limit_bounds_one_generation, what_succeeds_tells_of_no_limit,
    what_the_provider_refused_does_not_count_against_the_limit,
    limit_of_less_than_a_chunk_serves_nothing, no_lanes_serves_by_fetch_add,
    without_lanes_threads_take_turns_in_one_chunk, zero_holds_where_a_lanes_cursor_moved_back,
    a_lane_is_an_arena_for_allocation, what_owns_does_nothing_on_a_lane,
    a_lane_tells_its_own_len_and_cap, each_generation_gives_a_thread_a_fresh_lane,
    short_lived_threads_strand_little, cleanups_run_newest_first_when_the_generation_is_reclaimed,
    a_cleanup_may_register_more, cleanup_registration_at_the_limit_is_refused,
    len_cap_peak_and_stats_agree, peak_is_noted_by_who_empties,
    stats_fill_no_more_than_the_size_says, failure_sticks_until_reset)
