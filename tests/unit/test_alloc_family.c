/* SPDX-License-Identifier: BSD-2-Clause */
/* The allocation functions of an arena: sizes, alignments, contents, errors, text. */
#include "unit.h"

#include <stdio.h>
#include <sys/mman.h>
#include <wchar.h>

static harena_provider *provider;
static harena *arena;

static void with_arena(void)
{
    provider = provider_of(8 * GIB, 0, NULL);
    arena = arena_of(provider, 0);
}

static void without_arena(void)
{
    harena_release(arena);
    ends_clean(provider);
}

/* Every function that allocates a given number of bytes from an arena, in one table. */
static void *plain(harena *a, size_t size)
{
    return harena_alloc(a, opaque(size));
}

static void *zeroed(harena *a, size_t size)
{
    void *memory = harena_alloc_zeroed(a, opaque(size));

    if (hidden(memory) != 0 && size <= MIB && !all_bytes(memory, size, 0))
        ck_abort_msg("harena_alloc_zeroed(%zu) is not zero", size);
    return memory;
}

static void *aligned_16(harena *a, size_t size)
{
    return harena_alloc_aligned(a, opaque(size), 16);
}

static void *aligned_variable(harena *a, size_t size)
{
    return harena_alloc_aligned(a, opaque(size), opaque(16));
}

static void *aligned_1(harena *a, size_t size)
{
    return harena_alloc_aligned(a, opaque(size), opaque(1));
}

static void *aligned_4096(harena *a, size_t size)
{
    return harena_alloc_aligned(a, opaque(size), opaque(4096));
}

static void *aligned_65536(harena *a, size_t size)
{
    return harena_alloc_aligned(a, opaque(size), opaque(65536));
}

static void *aligned_zeroed(harena *a, size_t size)
{
    return harena_alloc_aligned_zeroed(a, opaque(size), opaque(64));
}

static void *array_of_bytes(harena *a, size_t size)
{
    return harena_alloc_array(a, opaque(size), opaque(1));
}

static void *array_of_one(harena *a, size_t size)
{
    return harena_alloc_array(a, opaque(1), opaque(size));
}

static void *array_aligned(harena *a, size_t size)
{
    return harena_alloc_array_aligned(a, opaque(size), opaque(1), opaque(32));
}

static void *realloc_null(harena *a, size_t size)
{
    return harena_realloc(a, NULL, 0, opaque(size));
}

static void *slow(harena *a, size_t size)
{
    return harena_alloc_slow(a, opaque(size));
}

static void *aligned_slow(harena *a, size_t size)
{
    return harena_alloc_aligned_slow(a, opaque(size), opaque(16));
}

static const struct allocator {
    const char *name;
    void *(*alloc)(harena *a, size_t size);
    size_t alignment;
} allocators[] = {
    {"harena_alloc", plain, 16},
    {"harena_alloc_zeroed", zeroed, 16},
    {"harena_alloc_aligned 16", aligned_16, 16},
    {"harena_alloc_aligned variable", aligned_variable, 16},
    {"harena_alloc_aligned 1", aligned_1, 16},
    {"harena_alloc_aligned 4096", aligned_4096, 4096},
    {"harena_alloc_aligned 65536", aligned_65536, 65536},
    {"harena_alloc_aligned_zeroed 64", aligned_zeroed, 64},
    {"harena_alloc_array n x 1", array_of_bytes, 16},
    {"harena_alloc_array 1 x n", array_of_one, 16},
    {"harena_alloc_array_aligned 32", array_aligned, 32},
    {"harena_realloc of NULL", realloc_null, 16},
    {"harena_alloc_slow", slow, 16},
    {"harena_alloc_aligned_slow", aligned_slow, 16},
};
enum { ALLOCATORS = sizeof allocators / sizeof *allocators };

/* Allocates, checks, fills; the memory. */
static unsigned char *check_one(const struct allocator *allocator, size_t size, int value)
{
    void *memory;

    errno = SENTINEL;
    memory = allocator->alloc(arena, size);
    if (hidden(memory) == 0)
        ck_abort_msg("%s(%zu): %s", allocator->name, size, strerror(errno));
    if (errno != SENTINEL)
        ck_abort_msg("%s(%zu) set errno", allocator->name, size);
    if (!aligned_to(memory, allocator->alignment))
        ck_abort_msg("%s(%zu) = %p", allocator->name, size, memory);
    if (!harena_provider_owns(provider, memory) || !harena_contains(arena, memory))
        ck_abort_msg("%s(%zu) = %p is not the arena's", allocator->name, size, memory);
    if (size > 0 && !harena_contains(arena, (char *)memory + size - 1))
        ck_abort_msg("%s(%zu) ends outside the arena", allocator->name, size);
    memset(memory, value, size);
    return memory;
}

/* ---- sizes ---- */

START_TEST(every_size_around_the_boundaries_serves_and_stays_intact)
{
    static const size_t sizes[] = {1,
                                   7,
                                   15,
                                   16,
                                   17,
                                   31,
                                   33,
                                   100,
                                   255,
                                   256,
                                   1000,
                                   2047,
                                   2048,
                                   2049,
                                   4095,
                                   4097,
                                   8191,
                                   16383,
                                   16385,
                                   32767,
                                   32768,
                                   32769,
                                   CHUNK - 17,
                                   CHUNK - 16,
                                   CHUNK - 15,
                                   CHUNK - 1,
                                   CHUNK,
                                   CHUNK + 1,
                                   CHUNK + 15,
                                   CHUNK + 16,
                                   CHUNK + 17,
                                   2 * CHUNK - 1,
                                   2 * CHUNK,
                                   2 * CHUNK + 1,
                                   3 * CHUNK + 5,
                                   4 * CHUNK,
                                   MIB - 1,
                                   MIB,
                                   MIB + 1,
                                   BLOCK - 1,
                                   BLOCK,
                                   BLOCK + 1,
                                   3 * BLOCK + 7};
    enum { SIZES = sizeof sizes / sizeof *sizes };

    for (size_t which = 0; which < ALLOCATORS; which++) {
        unsigned char *memory[SIZES];

        for (size_t at = 0; at < SIZES; at++)
            memory[at] = check_one(&allocators[which], sizes[at], (int)at + 1);
        for (size_t at = 0; at < SIZES; at++)
            EXPECT(all_bytes(memory[at], sizes[at], (unsigned char)(at + 1)));
        totals_hold(provider);
        EXPECT(harena_len(arena) <= harena_cap(arena));
        EXPECT(harena_cap(arena) == in_use(provider));
        ck_assert(!harena_failed(arena));
        harena_reset(arena);
    }
}
END_TEST

START_TEST(every_odd_size_serves)
{
    for (size_t which = 0; which < ALLOCATORS; which++) {
        for (size_t size = 1; size < 700; size += 2)
            check_one(&allocators[which], size, 1);
        harena_reset(arena);
    }
}
END_TEST

START_TEST(constant_sizes_serve_inline)
{
#define ONE(size)                                                                                  \
    do {                                                                                           \
        void *memory = SUCCEEDS(harena_alloc(arena, size));                                        \
        EXPECT(aligned_to(memory, 16));                                                            \
        EXPECT(harena_contains(arena, memory));                                                    \
        memset(memory, 1, size);                                                                   \
    } while (0)

    for (int round = 0; round < 2000; round++) {
        ONE(1);
        ONE(8);
        ONE(24);
        ONE(100);
    }
    for (int round = 0; round < 3; round++) {
        ONE(4096);
        ONE(65535);
        ONE(65536);
        ONE(65537);
        ONE(1048576);
    }
#undef ONE
}
END_TEST

START_TEST(size_zero_gives_an_aligned_pointer)
{
    harena *fresh = arena_of(provider, 0);

    EXPECT(aligned_to(SUCCEEDS(harena_alloc(fresh, 0)), 16)); /* on an arena without a chunk */
    harena_release(fresh);
    for (size_t which = 0; which < ALLOCATORS; which++) {
        size_t len = harena_len(arena);

        for (int round = 0; round < 3; round++) {
            void *memory = SUCCEEDS(allocators[which].alloc(arena, 0));

            EXPECT(aligned_to(memory, allocators[which].alignment));
        }
        EXPECT(harena_len(arena) <= len + 3 * allocators[which].alignment);
    }
    EXPECT(aligned_to(SUCCEEDS(harena_alloc_array(arena, opaque(0), opaque(SIZE_MAX))), 16));
    EXPECT(aligned_to(SUCCEEDS(harena_alloc_array(arena, opaque(SIZE_MAX), opaque(0))), 16));
    EXPECT(aligned_to(SUCCEEDS(harena_memdup(arena, NULL, 0)), 16));
    EXPECT(aligned_to(SUCCEEDS(harena_memdup(arena, "x", 0)), 16));
    ck_assert(!harena_failed(arena));
}
END_TEST

START_TEST(size_zero_of_a_full_arena_is_no_failure)
{
    harena *full = arena_of(provider, CHUNK);

    while (hidden(harena_alloc(full, opaque(16))) != 0)
        continue;
    harena_clear_failed(full);
    EXPECT(aligned_to(SUCCEEDS(harena_alloc(full, opaque(0))), 16));
    EXPECT(aligned_to(SUCCEEDS(harena_alloc(full, 0)), 16));
    ck_assert(!harena_failed(full));
    harena_release(full);
}
END_TEST

START_TEST(sizes_above_ptrdiff_max_are_refused)
{
    const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1,
                            (size_t)PTRDIFF_MAX + 2,
                            (size_t)PTRDIFF_MAX + CHUNK,
                            SIZE_MAX - CHUNK,
                            SIZE_MAX - BLOCK,
                            SIZE_MAX - 16,
                            SIZE_MAX - 15,
                            SIZE_MAX - 14,
                            SIZE_MAX - 1,
                            SIZE_MAX};

    for (int with_window = 0; with_window < 2; with_window++) {
        if (with_window)
            check_one(&allocators[0], 100, 1);
        for (size_t which = 0; which < ALLOCATORS; which++) {
            for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
                harena_clear_failed(arena);
                FAILS(ENOMEM, allocators[which].alloc(arena, sizes[at]));
                EXPECT(harena_failed(arena));
            }
            harena_clear_failed(arena);
            check_one(&allocators[which], 10, 1); /* usable */
            EXPECT(!harena_failed(arena));
        }
    }
    totals_hold(provider);
}
END_TEST

START_TEST(sizes_that_the_machine_lacks_are_refused)
{
    const size_t sizes[] = {((size_t)1 << 48) + 1,    9 * GIB,
                            (size_t)1 << 47,          (size_t)1 << 62,
                            (size_t)PTRDIFF_MAX - 16, (size_t)PTRDIFF_MAX - 1,
                            (size_t)PTRDIFF_MAX};

    for (size_t which = 0; which < ALLOCATORS; which++) {
        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
            harena_clear_failed(arena);
            FAILS(ENOMEM, allocators[which].alloc(arena, sizes[at]));
            EXPECT(harena_failed(arena));
            totals_hold(provider);
        }
        check_one(&allocators[which], 1000, 1);
    }
}
END_TEST

START_TEST(one_gibibyte_serves_and_is_not_touched)
{
    for (size_t which = 0; which < 4; which += 3) { /* a function without zeroing */
        size_t size = GIB + (which == 0 ? 0 : 13);
        unsigned char *memory = SUCCEEDS(allocators[which].alloc(arena, size));
        unsigned char *next;

        memory[0] = 1;
        memory[size / 2] = 2;
        memory[size - 1] = 3;
        EXPECT(harena_contains(arena, memory + size / 2));
        EXPECT(harena_contains(arena, memory + size - 1));
        next = check_one(&allocators[0], 100, 9);
        EXPECT(hidden(next) >= hidden(memory + size) || hidden(next) + 100 <= hidden(memory));
        EXPECT(memory[0] == 1 && memory[size / 2] == 2 && memory[size - 1] == 3);
        EXPECT(harena_cap(arena) >= size);
        totals_hold(provider);
        harena_reset(arena);
        EXPECT(harena_cap(arena) <= CHUNK);
    }
}
END_TEST

START_TEST(one_mebibyte_again_and_again)
{
    unsigned char *memory[20];

    for (int at = 0; at < 20; at++)
        memory[at] = check_one(&allocators[0], MIB, at);
    for (int at = 0; at < 20; at++)
        EXPECT(all_bytes(memory[at], MIB, (unsigned char)at));
    EXPECT(harena_cap(arena) <= 25 * MIB);
}
END_TEST

START_TEST(alternating_sizes_waste_little)
{
    const struct {
        size_t one, other;
    } pairs[] = {{40000, 64}, {16400, 16400}, {15000, 2000}, {33000, 33000}, {100, 130000}};

    for (size_t at = 0; at < sizeof pairs / sizeof *pairs; at++) {
        size_t asked = 0;

        for (int round = 0; round < 200; round++) {
            memset(SUCCEEDS(harena_alloc(arena, opaque(pairs[at].one))), 1, pairs[at].one);
            memset(SUCCEEDS(harena_alloc(arena, opaque(pairs[at].other))), 1, pairs[at].other);
            asked += pairs[at].one + pairs[at].other;
        }
        if (harena_cap(arena) > asked + asked / 5 + MIB)
            ck_abort_msg("%zu and %zu: %zu asked, %zu held", pairs[at].one, pairs[at].other, asked,
                         harena_cap(arena));
        harena_reset(arena);
    }
}
END_TEST

/* ---- alignment ---- */

START_TEST(every_power_of_two_up_to_64_kib_is_honoured)
{
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        const size_t sizes[] = {0, 1, 15, 17, 100, 5000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK};
        unsigned char *memory[sizeof sizes / sizeof *sizes];

        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
            check_one(&allocators[0], 1, 0xee); /* off the last one's alignment */
            memory[at] =
                SUCCEEDS(harena_alloc_aligned(arena, opaque(sizes[at]), opaque(alignment)));
            EXPECT(aligned_to(memory[at], alignment));
            EXPECT(aligned_to(memory[at], 16));
            memset(memory[at], (int)at, sizes[at]);
            EXPECT(aligned_to(SUCCEEDS(harena_alloc_array_aligned(arena, opaque(3), opaque(7),
                                                                  opaque(alignment))),
                              alignment));
            memset(SUCCEEDS(harena_alloc_aligned_zeroed(arena, opaque(33), opaque(alignment))),
                   0xee, 33);
        }
        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++)
            EXPECT(all_bytes(memory[at], sizes[at], (unsigned char)at));
    }
    totals_hold(provider);
}
END_TEST

START_TEST(sixty_four_kib_alignments_by_the_hundred)
{
    unsigned char *memory[100];

    for (int at = 0; at < 100; at++) {
        memory[at] = SUCCEEDS(harena_alloc_aligned(arena, opaque(24), opaque(65536)));
        EXPECT(aligned_to(memory[at], 65536));
        memset(memory[at], at, 24);
        check_one(&allocators[0], 40, 0xee);
    }
    for (int at = 0; at < 100; at++)
        EXPECT(all_bytes(memory[at], 24, (unsigned char)at));
}
END_TEST

START_TEST(bad_alignments_are_refused)
{
    const size_t bad[] = {
        0, 3, 17, 24, 48, 65535, 65537, 131072, (size_t)1 << 40, (size_t)1 << 63, SIZE_MAX};

    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        harena_clear_failed(arena);
        FAILS(EINVAL, harena_alloc_aligned(arena, opaque(8), opaque(bad[at])));
        EXPECT(harena_failed(arena));
        FAILS(EINVAL, harena_alloc_aligned(arena, opaque(0), opaque(bad[at])));
        FAILS(EINVAL, harena_alloc_aligned_slow(arena, opaque(8), opaque(bad[at])));
        FAILS(EINVAL, harena_alloc_aligned_zeroed(arena, opaque(8), opaque(bad[at])));
        FAILS(EINVAL, harena_alloc_array_aligned(arena, opaque(8), opaque(8), opaque(bad[at])));
        FAILS(EINVAL, harena_alloc_aligned(NULL, opaque(8), opaque(bad[at])));
    }
    check_one(&allocators[0], 100, 1);
}
END_TEST

START_TEST(small_results_are_multiples_of_16_after_any_sequence)
{
    for (size_t size = 0; size < 20000; size++)
        EXPECT(aligned_to(SUCCEEDS(harena_alloc(arena, opaque(size * 7919 % 97))), 16));
}
END_TEST

/* ---- NULL ---- */

START_TEST(null_arena_gives_einval)
{
    const size_t sizes[] = {0, 1, 16, 65536, MIB, SIZE_MAX};

    for (size_t which = 0; which < ALLOCATORS; which++)
        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++)
            FAILS(EINVAL, allocators[which].alloc(NULL, sizes[at]));
    FAILS(EINVAL, harena_alloc(NULL, 16));
    FAILS(EINVAL, harena_alloc_aligned(NULL, 16, 16));
    FAILS(EINVAL, harena_memdup(NULL, "x", 1));
    FAILS(EINVAL, harena_memdup(NULL, NULL, 0));
    FAILS(EINVAL, harena_strdup(NULL, "x"));
    FAILS(EINVAL, harena_strndup(NULL, "x", 1));
    FAILS(EINVAL, harena_printf(NULL, "x"));
    FAILS(EINVAL, harena_realloc(NULL, NULL, 0, 8));
}
END_TEST

START_TEST(null_source_gives_einval)
{
    char *(*unchecked_printf)(harena * a, const char *format, ...) = harena_printf;
    char *volatile none = NULL;

    FAILS(EINVAL, harena_memdup(arena, none, 1));
    FAILS(EINVAL, harena_strdup(arena, none));
    FAILS(EINVAL, harena_strndup(arena, none, 5));
    FAILS(EINVAL, unchecked_printf(arena, none));
    EXPECT(harena_failed(arena));
    harena_clear_failed(arena);
    EXPECT(!harena_failed(arena));
    check_one(&allocators[0], 100, 1);
}
END_TEST

/* ---- arrays ---- */

START_TEST(array_products_that_overflow_are_refused)
{
    const struct {
        size_t count, size;
    } pairs[] = {{SIZE_MAX, 2},
                 {2, SIZE_MAX},
                 {SIZE_MAX, SIZE_MAX},
                 {(size_t)1 << 32, (size_t)1 << 32},       /* wraps to 0 */
                 {((size_t)1 << 32) + 1, (size_t)1 << 32}, /* wraps to 4 GiB */
                 {((size_t)1 << 63) + 1, 2},               /* wraps to 2 */
                 {((size_t)1 << 61) + 1, 8},               /* wraps to 8 */
                 {(size_t)1 << 60, 8},                     /* PTRDIFF_MAX + 1 */
                 {SIZE_MAX / 3 + 1, 3}};

    for (size_t at = 0; at < sizeof pairs / sizeof *pairs; at++) {
        harena_clear_failed(arena);
        FAILS(ENOMEM, harena_alloc_array(arena, opaque(pairs[at].count), opaque(pairs[at].size)));
        EXPECT(harena_failed(arena));
        FAILS(ENOMEM, harena_alloc_array_aligned(arena, opaque(pairs[at].count),
                                                 opaque(pairs[at].size), opaque(64)));
    }
    check_one(&allocators[0], 100, 1);
}
END_TEST

START_TEST(array_of_more_elements_than_an_int_counts)
{
    unsigned char *memory = SUCCEEDS(harena_alloc_array(arena, opaque(536870913), opaque(8)));

    memory[0] = 1;
    memory[(size_t)536870913 * 8 - 1] = 2;
    EXPECT(harena_contains(arena, memory + (size_t)536870913 * 8 - 1));
    EXPECT(harena_len(arena) >= (size_t)536870913 * 8);
}
END_TEST

START_TEST(typed_allocation_honours_the_types_alignment)
{
    struct __attribute__((aligned(256))) wide {
        char bytes[256];
    };
    struct odd {
        char bytes[13];
    };

    check_one(&allocators[0], 1, 1);
    for (int round = 0; round < 500; round++) {
        struct wide *wide = SUCCEEDS(harena_new(arena, struct wide));
        struct wide *wides = SUCCEEDS(harena_new_array(arena, struct wide, opaque(3)));
        struct odd *odd = SUCCEEDS(harena_new(arena, struct odd));
        struct odd *odds = SUCCEEDS(harena_new_array(arena, struct odd, opaque(3)));
        struct wide *clean = SUCCEEDS(harena_new_zeroed(arena, struct wide));
        double *number = SUCCEEDS(harena_new_zeroed(arena, double));

        EXPECT(aligned_to(wide, 256) && aligned_to(wides, 256) && aligned_to(clean, 256));
        EXPECT(aligned_to(odd, 16) && aligned_to(odds, 16) && aligned_to(number, 16));
        EXPECT(all_bytes(clean, sizeof *clean, 0) && *number == 0);
        memset(wide, 0xff, sizeof *wide);
        memset(wides, 0xff, 3 * sizeof *wides);
        memset(odd, 0xff, sizeof *odd);
        memset(odds, 0xff, 3 * sizeof *odds);
        memset(clean, 0xff, sizeof *clean);
        memset(number, 0xff, sizeof *number);
        if (round % 100 == 99)
            harena_reset(arena);
    }
}
END_TEST

/* ---- zeroed ---- */

START_TEST(zeroed_memory_is_zero_although_it_was_dirty)
{
    const size_t sizes[] = {1,     16,        17,        100, 5000,  20000,         CHUNK - 1,
                            CHUNK, CHUNK + 1, 3 * CHUNK, MIB, BLOCK, 2 * BLOCK + 1, 64,
                            2000,  9};

    for (int round = 0; round < 4; round++) {
        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
            unsigned char *memory = SUCCEEDS(harena_alloc_zeroed(arena, opaque(sizes[at])));

            EXPECT(all_bytes(memory, sizes[at], 0));
            memset(memory, 0xff, sizes[at]);
            memset(SUCCEEDS(harena_alloc(arena, opaque(sizes[at]))), 0xff, sizes[at]);
            memory = SUCCEEDS(harena_alloc_aligned_zeroed(arena, opaque(sizes[at]), opaque(4096)));
            EXPECT(aligned_to(memory, 4096));
            EXPECT(all_bytes(memory, sizes[at], 0));
            memset(memory, 0xff, sizes[at]);
        }
        harena_reset(arena);
        if (round == 1) { /* through the provider's free chunks */
            harena_release(arena);
            arena = arena_of(provider, 0);
        }
        if (round == 2)
            harena_provider_trim(provider, 0);
    }
}
END_TEST

START_TEST(zeroed_memory_is_zero_in_chunks_that_were_raw)
{
    void *chunks[40];

    for (int at = 0; at < 40; at++) {
        chunks[at] = SUCCEEDS(harena_chunk_get(provider));
        memset(chunks[at], 0xff, CHUNK);
    }
    for (int at = 0; at < 40; at++)
        harena_chunk_put(provider, chunks[at]);
    for (int at = 0; at < 20; at++) {
        EXPECT(all_bytes(SUCCEEDS(harena_alloc_zeroed(arena, opaque(CHUNK))), CHUNK, 0));
        EXPECT(all_bytes(SUCCEEDS(harena_alloc_zeroed(arena, opaque(1000))), 1000, 0));
    }
}
END_TEST

/* ---- realloc ---- */

START_TEST(realloc_of_the_newest_grows_in_place)
{
    unsigned char *old, *grown;

    check_one(&allocators[0], 1, 1);
    old = check_one(&allocators[0], 32, 0x5a);
    grown = SUCCEEDS(harena_realloc(arena, old, opaque(32), opaque(1000)));
    EXPECT(same(old, grown));
    EXPECT(all_bytes(grown, 32, 0x5a));
    memset(grown, 0x5b, 1000);
    check_one(&allocators[0], 100, 1);
    EXPECT(all_bytes(grown, 1000, 0x5b));
}
END_TEST

START_TEST(realloc_of_the_newest_grows_in_place_to_the_windows_last_byte)
{
    harena *fresh = arena_of(provider, 0);
    unsigned char *old = SUCCEEDS(harena_alloc(fresh, opaque(16)));
    unsigned char *grown;

    memset(old, 1, 16);
    grown = SUCCEEDS(harena_realloc(fresh, old, 16, opaque(CHUNK)));
    EXPECT(same(old, grown));
    EXPECT(harena_cap(fresh) == CHUNK);
    memset(grown, 2, CHUNK);
    old = grown;
    grown = SUCCEEDS(harena_realloc(fresh, old, CHUNK, opaque(CHUNK + 1)));
    EXPECT(!same(old, grown));
    EXPECT(all_bytes(grown, CHUNK, 2));
    harena_release(fresh);
}
END_TEST

START_TEST(realloc_of_an_older_one_copies)
{
    unsigned char *old = check_one(&allocators[0], 100, 0x11);
    unsigned char *newer = check_one(&allocators[0], 100, 0x22);
    unsigned char *moved = SUCCEEDS(harena_realloc(arena, old, opaque(100), opaque(300)));

    EXPECT(!same(old, moved));
    EXPECT(all_bytes(moved, 100, 0x11));
    memset(moved, 0x33, 300);
    EXPECT(all_bytes(old, 100, 0x11)); /* stays taken until reset */
    EXPECT(all_bytes(newer, 100, 0x22));
}
END_TEST

START_TEST(realloc_shrinks_in_place_wherever_it_lies)
{
    const size_t sizes[] = {100, 5000, 40000, CHUNK, CHUNK + 1, 5 * CHUNK, 3 * MIB};

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        unsigned char *memory = check_one(&allocators[0], sizes[at], 0x44);
        unsigned char *others;

        EXPECT(same(memory, SUCCEEDS(harena_realloc(arena, memory, sizes[at], sizes[at] / 2))));
        others = check_one(&allocators[0], 100, 0x55);
        EXPECT(same(memory, SUCCEEDS(harena_realloc(arena, memory, sizes[at] / 2, opaque(17)))));
        EXPECT(same(memory, SUCCEEDS(harena_realloc(arena, memory, 17, opaque(17)))));
        EXPECT(all_bytes(memory, 17, 0x44));
        EXPECT(same(memory, SUCCEEDS(harena_realloc(arena, memory, 17, opaque(0)))));
        EXPECT(all_bytes(others, 100, 0x55));
    }
}
END_TEST

START_TEST(realloc_of_nothing_allocates)
{
    EXPECT(aligned_to(SUCCEEDS(harena_realloc(arena, NULL, 0, opaque(0))), 16));
    memset(SUCCEEDS(harena_realloc(arena, NULL, 0, opaque(100))), 1, 100);
    memset(SUCCEEDS(harena_realloc(arena, NULL, 0, opaque(3 * MIB))), 1, 3 * MIB);
}
END_TEST

START_TEST(realloc_grows_through_all_sizes_with_contents_intact)
{
    for (int others = 0; others < 2; others++) {
        size_t size = 1;
        unsigned char *memory = check_one(&allocators[0], size, 0);

        memory[0] = 1;
        while (size < 6 * MIB) {
            size_t larger = size + size / 3 + 1;

            if (others)
                check_one(&allocators[0], 24, 0xee);
            memory = SUCCEEDS(harena_realloc(arena, memory, opaque(size), opaque(larger)));
            EXPECT(aligned_to(memory, 16));
            for (size_t at = 0; at < size; at += size < 5000 ? 1 : 997)
                EXPECT(memory[at] == (unsigned char)(at % 251 + 1));
            for (size_t at = size; at < larger; at++)
                memory[at] = (unsigned char)(at % 251 + 1);
            size = larger;
        }
        totals_hold(provider);
        harena_reset(arena);
    }
}
END_TEST

START_TEST(refused_realloc_leaves_the_old_bytes)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, 9 * GIB};
    unsigned char *memory = check_one(&allocators[0], 100, 0x66);

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        FAILS(ENOMEM, harena_realloc(arena, memory, opaque(100), opaque(sizes[at])));
        EXPECT(harena_failed(arena));
        EXPECT(all_bytes(memory, 100, 0x66));
        harena_clear_failed(arena);
        EXPECT(same(memory, SUCCEEDS(harena_realloc(arena, memory, 100, opaque(100)))));
    }
    FAILS(EINVAL, harena_realloc(NULL, memory, 100, 200));
}
END_TEST

/* ---- copies ---- */

START_TEST(memdup_copies_every_size)
{
    unsigned char *source = malloc(3 * MIB);
    const size_t sizes[] = {1, 15, 16, 17, 1000, 30000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * MIB};

    for (size_t at = 0; at < 3 * MIB; at++)
        source[at] = (unsigned char)(at * 31 >> 3);
    for (int round = 0; round < 2; round++) {
        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
            unsigned char *copy = SUCCEEDS(harena_memdup(arena, source, opaque(sizes[at])));

            EXPECT(aligned_to(copy, 16));
            EXPECT(memcmp(copy, source, sizes[at]) == 0);
            EXPECT(!same(copy, source));
        }
        harena_reset(arena);
    }
    FAILS(ENOMEM, harena_memdup(arena, source, opaque(SIZE_MAX)));
    free(source);
}
END_TEST

struct box {
    const int *content;
};

/* Plain calls: the compiler is to see what it would see in a program. */
static int through_a_copy_in(harena *a)
{
    int number = 1;
    struct box box = {&number}, *copy = harena_memdup(a, &box, sizeof box);

    number = 2;
    return *copy->content;
}

static int through_a_copy_on_the_heap(void)
{
    int number = 1, seen;
    struct box box = {&number}, *copy = harena_clone(&box, sizeof box);

    number = 2;
    seen = *copy->content;
    free(copy);
    return seen;
}

static int through_a_copy_in_shared(harena_shared *s)
{
    int number = 1;
    struct box box = {&number}, *copy = harena_shared_memdup(s, &box, sizeof box);

    number = 2;
    return *copy->content;
}

/* It must not take a copy for memory without pointers, and leave out the store that they lead to. */
START_TEST(what_a_copy_points_at_can_be_changed)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    harena_shared *shared;

    ck_assert_int_eq(through_a_copy_in(arena), 2);
    ck_assert_int_eq(through_a_copy_on_the_heap(), 2);
    options.provider = provider;
    shared = SUCCEEDS(harena_shared_create(&options));
    ck_assert_int_eq(through_a_copy_in_shared(shared), 2);
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(strdup_copies_with_the_nul)
{
    char *text = malloc(200000);

    for (size_t length = 0; length < 200000; length = length * 2 + 1) {
        char *copy;

        memset(text, 'a' + (int)(length % 26), length);
        text[length] = '\0';
        memset(SUCCEEDS(harena_alloc(arena, opaque(32))), 0xff, 32);
        copy = SUCCEEDS(harena_strdup(arena, text));
        EXPECT(!same(copy, text));
        EXPECT(strcmp(copy, text) == 0);
    }
    free(text);
}
END_TEST

START_TEST(strndup_reads_no_more_than_max)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(pages != MAP_FAILED);
    memset(pages, 'z', page);
    ck_assert_int_eq(mprotect(pages + page, page, PROT_NONE), 0);
    for (size_t max = 0; max <= 200;
         max++) { /* text without NUL up to a page that cannot be read */
        char *copy;

        memset(SUCCEEDS(harena_alloc(arena, opaque(max + 32))), 0xff, max + 32);
        harena_reset(arena);
        copy = SUCCEEDS(harena_strndup(arena, pages + page - max, opaque(max)));
        EXPECT(strlen(copy) == max);
        EXPECT(all_bytes(copy, max, 'z'));
    }
    munmap(pages, 2 * page);
}
END_TEST

START_TEST(strndup_stops_at_the_nul)
{
    const char *text = "harena";

    EXPECT(strcmp(SUCCEEDS(harena_strndup(arena, text, opaque(SIZE_MAX))), "harena") == 0);
    EXPECT(strcmp(SUCCEEDS(harena_strndup(arena, text, opaque(7))), "harena") == 0);
    EXPECT(strcmp(SUCCEEDS(harena_strndup(arena, text, opaque(6))), "harena") == 0);
    EXPECT(strcmp(SUCCEEDS(harena_strndup(arena, text, opaque(3))), "har") == 0);
    EXPECT(strcmp(SUCCEEDS(harena_strndup(arena, text, opaque(0))), "") == 0);
    EXPECT(strcmp(SUCCEEDS(harena_strndup(arena, "", opaque(5))), "") == 0);
}
END_TEST

/* ---- printf ---- */

static HARENA_PRINTF(2, 3) char *through_vprintf(harena *a, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = harena_vprintf(a, format, args);
    va_end(args);
    return text;
}

START_TEST(printf_makes_short_text)
{
    char *text = SUCCEEDS(harena_printf(arena, "%s %d %c %5.2f", "one", -2, '3', 4.5));
    char *more = SUCCEEDS(through_vprintf(arena, "%s-%d", text, 5));

    EXPECT(strcmp(text, "one -2 3  4.50") == 0);
    EXPECT(strcmp(more, "one -2 3  4.50-5") == 0);
    EXPECT(strcmp(SUCCEEDS(harena_printf(arena, "%s", "")), "") == 0);
    EXPECT(strcmp(SUCCEEDS(harena_printf(arena, "%%")), "%") == 0);
}
END_TEST

START_TEST(printf_of_every_length_fits_exactly)
{
    for (int length = 0; length < 600; length++) {
        unsigned char *guard;
        char *text = SUCCEEDS(harena_printf(arena, "%*s", length, ""));

        guard = check_one(&allocators[0], 16, 0xee);
        EXPECT(strlen(text) == (size_t)length);
        EXPECT(all_bytes(text, (size_t)length, ' '));
        EXPECT(all_bytes(guard, 16, 0xee));
        EXPECT(hidden(text) + (size_t)length + 1 <= hidden(guard) ||
               hidden(guard) + 16 <= hidden(text));
    }
}
END_TEST

START_TEST(printf_longer_than_the_window_formats_again)
{
    const int lengths[] = {1000,  CHUNK - 18, CHUNK - 17, CHUNK - 2, CHUNK - 1,
                           CHUNK, CHUNK + 1,  200000,     3 << 20};

    for (size_t at = 0; at < sizeof lengths / sizeof *lengths; at++) {
        for (size_t used = 0; used <= CHUNK; used += CHUNK / 4) {
            harena *fresh = arena_of(provider, 0);
            char *text;

            if (used > 0) /* leaves a rest of the window, down to none */
                memset(SUCCEEDS(harena_alloc(fresh, opaque(used))), 1, used);
            text = SUCCEEDS(harena_printf(fresh, "%s%*d", "begin", lengths[at] - 5, 7));
            EXPECT(strlen(text) == (size_t)lengths[at]);
            EXPECT(strncmp(text, "begin ", 6) == 0);
            EXPECT(text[lengths[at] - 1] == '7');
            text = SUCCEEDS(through_vprintf(fresh, "%s%*d", "begin", lengths[at] - 5, 8));
            EXPECT(strlen(text) == (size_t)lengths[at]);
            EXPECT(text[lengths[at] - 1] == '8');
            harena_release(fresh);
        }
    }
    totals_hold(provider);
}
END_TEST

START_TEST(printf_that_just_fits_the_window_or_just_does_not)
{
    for (int length = 40; length < 90; length++) {
        harena *fresh = arena_of(provider, 0);
        unsigned char *used =
            memset(SUCCEEDS(harena_alloc(fresh, opaque(CHUNK - 64))), 0x2b, CHUNK - 64);
        char *text = SUCCEEDS(harena_printf(fresh, "%*d", length, 7));

        EXPECT(strlen(text) == (size_t)length && text[length - 1] == '7' && text[0] == ' ');
        EXPECT((harena_cap(fresh) == CHUNK) == (length < 64));
        EXPECT(all_bytes(used, CHUNK - 64, 0x2b));
        harena_release(fresh);
    }
}
END_TEST

START_TEST(printf_on_a_fresh_arena)
{
    harena *fresh = arena_of(provider, 0);

    EXPECT(strcmp(SUCCEEDS(harena_printf(fresh, "%d", 42)), "42") == 0);
    harena_release(fresh);
    fresh = arena_of(provider, 0);
    EXPECT(strcmp(SUCCEEDS(harena_printf(fresh, "%s", "")), "") == 0);
    harena_release(fresh);
}
END_TEST

START_TEST(printf_may_print_its_own_arenas_text)
{
    char *text = SUCCEEDS(harena_strdup(arena, "ab"));

    for (int round = 0; round < 16; round++)
        text = SUCCEEDS(harena_printf(arena, "%s%s", text, text));
    EXPECT(strlen(text) == 131072);
    for (size_t at = 0; at < 131072; at++)
        EXPECT(text[at] == (at % 2 == 0 ? 'a' : 'b'));
}
END_TEST

START_TEST(printf_errors_are_vsnprintfs)
{
    char *(*unchecked_printf)(harena * a, const char *format, ...) = harena_printf;
    const char *volatile too_wide = "%2147483648d";
    const wchar_t unprintable[] = {(wchar_t)0xdc80, 0};

    FAILS(EILSEQ, harena_printf(arena, "%ls", unprintable)); /* in the C locale */
    EXPECT(harena_failed(arena));
    harena_clear_failed(arena);
    FAILS(EOVERFLOW, unchecked_printf(arena, too_wide, 1));
    EXPECT(harena_failed(arena));
    check_one(&allocators[0], 100, 1);
}
END_TEST

START_TEST(printf_beyond_the_limit_is_refused)
{
    harena *small = arena_of(provider, CHUNK);

    FAILS(ENOMEM, harena_printf(small, "%*d", (int)CHUNK, 1));
    EXPECT(harena_failed(small));
    EXPECT(strcmp(SUCCEEDS(harena_printf(small, "%d", 1)), "1") == 0);
    harena_release(small);
}
END_TEST

#define ALL_TESTS                                                                                  \
    every_size_around_the_boundaries_serves_and_stays_intact, every_odd_size_serves,               \
        constant_sizes_serve_inline, size_zero_gives_an_aligned_pointer,                           \
        size_zero_of_a_full_arena_is_no_failure, sizes_above_ptrdiff_max_are_refused,              \
        sizes_that_the_machine_lacks_are_refused, one_gibibyte_serves_and_is_not_touched,          \
        one_mebibyte_again_and_again, alternating_sizes_waste_little,                              \
        every_power_of_two_up_to_64_kib_is_honoured, sixty_four_kib_alignments_by_the_hundred,     \
        bad_alignments_are_refused, small_results_are_multiples_of_16_after_any_sequence,          \
        null_arena_gives_einval, null_source_gives_einval,                                         \
        array_products_that_overflow_are_refused, array_of_more_elements_than_an_int_counts,       \
        typed_allocation_honours_the_types_alignment, zeroed_memory_is_zero_although_it_was_dirty, \
        zeroed_memory_is_zero_in_chunks_that_were_raw, realloc_of_the_newest_grows_in_place,       \
        realloc_of_the_newest_grows_in_place_to_the_windows_last_byte,                             \
        realloc_of_an_older_one_copies, realloc_shrinks_in_place_wherever_it_lies,                 \
        realloc_of_nothing_allocates, realloc_grows_through_all_sizes_with_contents_intact,        \
        refused_realloc_leaves_the_old_bytes, memdup_copies_every_size,                            \
        what_a_copy_points_at_can_be_changed, strdup_copies_with_the_nul,                          \
        strndup_reads_no_more_than_max, strndup_stops_at_the_nul, printf_makes_short_text,         \
        printf_of_every_length_fits_exactly, printf_longer_than_the_window_formats_again,          \
        printf_that_just_fits_the_window_or_just_does_not, printf_on_a_fresh_arena,                \
        printf_may_print_its_own_arenas_text, printf_errors_are_vsnprintfs,                        \
        printf_beyond_the_limit_is_refused

RUN_TESTS_AROUND("alloc_family", with_arena, without_arena, ALL_TESTS)
