/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixed arena: inside the caller's memory, never growing, without a provider. */
#include "unit.h"

static void count_up(void *counter)
{
    ++*(int *)counter;
}

static unsigned char *bytes_of(harena *arena, size_t size, int value)
{
    return memset(SUCCEEDS(harena_alloc(arena, opaque(size))), value, size);
}

START_TEST(overhead_plus_n_bytes_serve_n_bytes)
{
    size_t overhead = harena_fixed_overhead();

    ck_assert_uint_gt(overhead, 0);
    ck_assert_uint_le(overhead, 4096);
    ck_assert_uint_eq(harena_fixed_overhead(), overhead);
    for (size_t offset = 0; offset < 64; offset++) {
        for (size_t size = 1; size <= 130; size++) {
            /* The heap's own bounds, for ASan and Valgrind. */
            unsigned char *memory = malloc(offset + overhead + size);
            harena *arena;
            unsigned char *object;

            memset(memory, 0xa5, offset);
            arena = SUCCEEDS(harena_create_fixed(memory + offset, overhead + size, NULL));
            for (int round = 0; round < 2; round++) {
                object = bytes_of(arena, size, 1);
                EXPECT(aligned_to(object, 16));
                EXPECT(hidden(object) >= hidden(memory) + offset);
                EXPECT(hidden(object) + size <= hidden(memory) + offset + overhead + size);
                harena_reset(arena);
            }
            EXPECT(all_bytes(memory, offset, 0xa5));
            harena_release(arena);
            free(memory);
        }
    }
}
END_TEST

/* The rule of harena_arena(3) for how much memory a plan of allocations needs. */
START_TEST(what_is_needed_is_known_before)
{
    static const size_t sizes[] = {1, 24, 100, 16, 4096, 7, 333, 64, 31, 1000};
    enum { SIZES = sizeof sizes / sizeof *sizes };

    for (size_t alignment = 16; alignment <= 4096; alignment *= 4) {
        for (size_t offset = 0; offset < 64; offset += 7) {
            harena_options options = HARENA_OPTIONS_INIT;
            size_t needed = harena_fixed_overhead() + (alignment > 16 ? alignment : 0);
            unsigned char *memory, *objects[SIZES];
            harena *arena;

            for (size_t at = 0; at < SIZES; at++)
                needed += (sizes[at] + alignment - 1) / alignment * alignment;
            memory = malloc(offset + needed); /* the heap's own bounds, for ASan */
            options.alignment = alignment;
            arena = SUCCEEDS(harena_create_fixed(memory + offset, needed, &options));
            for (int round = 0; round < 2; round++) {
                for (size_t at = 0; at < SIZES; at++) {
                    objects[at] = bytes_of(arena, sizes[at], (int)at);
                    EXPECT(at == 0 || objects[at] >= objects[at - 1] + sizes[at - 1]);
                }
                for (size_t at = 0; at < SIZES; at++)
                    EXPECT(all_bytes(objects[at], sizes[at], (unsigned char)at));
                harena_reset(arena);
            }
            harena_release(arena);
            free(memory);
        }
    }
}
END_TEST

START_TEST(too_small_a_memory_is_refused)
{
    static unsigned char memory[4096] __attribute__((aligned(64)));
    size_t bytes;

    FAILS(EINVAL, harena_create_fixed(NULL, 0, NULL));
    FAILS(EINVAL, harena_create_fixed(NULL, 4096, NULL));
    FAILS(EINVAL, harena_create_fixed(memory, 0, NULL));
    FAILS(EINVAL, harena_create_fixed(memory, 1, NULL));
    FAILS(EINVAL, harena_create_fixed(memory, sizeof(harena) - 1, NULL));
    for (bytes = 1; bytes < harena_fixed_overhead(); bytes++) { /* whole or not at all */
        harena *arena;

        memset(memory, 0xa5, sizeof memory);
        errno = SENTINEL;
        arena = harena_create_fixed(memory, bytes, NULL);
        if (hidden(arena) == 0) {
            EXPECT(errno == EINVAL);
        } else {
            errno = SENTINEL;
            if (hidden(harena_alloc(arena, opaque(1))) == 0)
                EXPECT(errno == ENOMEM);
            harena_release(arena);
        }
        EXPECT(all_bytes(memory + bytes, sizeof memory - bytes, 0xa5));
    }
    harena_release(SUCCEEDS(harena_create_fixed(memory, harena_fixed_overhead(), NULL)));
}
END_TEST

START_TEST(bytes_that_wrap_the_address_space_are_refused)
{
    static unsigned char memory[4096];
    harena *arena;

    errno = SENTINEL;
    arena = harena_create_fixed(memory, opaque(SIZE_MAX), NULL);
    ck_assert(hidden(arena) == 0);
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    static unsigned char memory[4096], other[100];
    const harena_options fresh = HARENA_OPTIONS_INIT;
    harena_options options;

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        options = fresh;                                                                           \
        change;                                                                                    \
        FAILS(EINVAL, harena_create_fixed(memory, sizeof memory, &options));                       \
    } while (0)

    REFUSED(options.size = 0);
    REFUSED(options.size = sizeof options + 8);
    REFUSED(options.alignment = 3);
    REFUSED(options.alignment = 131072);
    REFUSED(options.debug = "nosuchmode");
    REFUSED((options.first = other, options.first_size = sizeof other));
    REFUSED(options.first = other);
    REFUSED(options.initial = 100);
    REFUSED((options.retain = 100, options.retain_none = true));
#undef REFUSED
    options = fresh;
    options.rcu = (const void *)memory; /* any: the initializer may name one, nobody looks at it */
    harena_release(SUCCEEDS(harena_create_fixed(memory, sizeof memory, &options)));
    options = fresh;
    options.name = "fixed";
    options.debug = "";
    harena_release(SUCCEEDS(harena_create_fixed(memory, sizeof memory, &options)));
}
END_TEST

START_TEST(it_never_grows_and_fails_softly)
{
    static unsigned char memory[10000];
    harena *arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));

    for (int round = 0; round < 3; round++) {
        size_t count = fill(arena, 16);

        ck_assert_uint_ge(count, (sizeof memory - harena_fixed_overhead()) / 16);
        ck_assert(harena_failed(arena));
        FAILS(ENOMEM, harena_alloc(arena, opaque(1)));
        FAILS(ENOMEM, harena_alloc(arena, 1));
        FAILS(ENOMEM, harena_alloc(arena, opaque(MIB)));
        FAILS(ENOMEM, harena_printf(arena, "%d", 1));
        FAILS(ENOMEM, harena_strdup(arena, "x"));
        SUCCEEDS(harena_alloc(arena, opaque(0)));
        harena_reset(arena);
        ck_assert(!harena_failed(arena));
        FAILS(ENOMEM, harena_alloc(arena, opaque(sizeof memory)));
        ck_assert(harena_failed(arena));
        bytes_of(arena, 100, 1); /* smaller ones still fit */
        harena_clear_failed(arena);
        harena_reset(arena);
    }
    harena_release(arena);
}
END_TEST

/* Side by side in one block of memory, and none knows of the others. */
START_TEST(several_share_a_block_of_memory)
{
    enum { COUNT = 5, BYTES = 4096 };
    unsigned char *memory = malloc(COUNT * BYTES), *objects[COUNT];
    size_t most = BYTES - harena_fixed_overhead();
    harena *arenas[COUNT];

    for (int at = 0; at < COUNT; at++)
        arenas[at] = SUCCEEDS(harena_create_fixed(memory + at * BYTES, BYTES, NULL));
    for (int round = 0; round < 2; round++) {
        for (int at = 0; at < COUNT; at++)
            objects[at] = bytes_of(arenas[at], most, at + round);
        FAILS(ENOMEM, harena_alloc(arenas[1], opaque(BYTES)));
        for (int at = 0; at < COUNT; at++) {
            EXPECT(all_bytes(objects[at], most, (unsigned char)(at + round)));
            ck_assert(harena_contains(arenas[at], objects[at]));
            ck_assert(!harena_contains(arenas[(at + 1) % COUNT], objects[at]));
            ck_assert_int_eq(harena_failed(arenas[at]), at == 1);
        }
        harena_reset(arenas[2]); /* alone */
        (void)bytes_of(arenas[2], most, 0xee);
        EXPECT(all_bytes(objects[1], most, (unsigned char)(1 + round)));
        EXPECT(all_bytes(objects[3], most, (unsigned char)(3 + round)));
        for (int at = 0; at < COUNT; at++)
            harena_reset(arenas[at]);
    }
    for (int at = 0; at < COUNT; at++)
        harena_release(arenas[at]);
    free(memory);
}
END_TEST

START_TEST(it_needs_no_provider)
{
    static unsigned char memory[200000];
    harena *arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    harena_provider_stats stats;

    bytes_of(arena, 70000, 1);
    fill(arena, 1000);
    harena_reset(arena);
    fill(arena, 30);
    harena_release(arena);
    /* The default provider is made now, not before: else it would not have read this. */
    ck_assert_int_eq(setenv("HARENA_HARD_LIMIT", "1MiB", 1), 0);
    arena = SUCCEEDS(harena_create(NULL));
    FAILS(ENOMEM, harena_alloc(arena, opaque(2 * MIB)));
    harena_release(arena);
    stats = stats_of(NULL);
    ck_assert_uint_eq(stats.gets, 0);
    ck_assert_uint_eq(stats.committed, 0);
}
END_TEST

START_TEST(large_objects_and_alignments_fit_where_there_is_room)
{
    size_t bytes = 3 * MIB;
    unsigned char *memory = malloc(bytes), *large, *aligned;
    harena *arena = SUCCEEDS(harena_create_fixed(memory, bytes, NULL));

    large = bytes_of(arena, MIB, 1);
    aligned = SUCCEEDS(harena_alloc_aligned(arena, opaque(100), opaque(65536)));
    ck_assert(aligned_to(aligned, 65536));
    memset(aligned, 2, 100);
    bytes_of(arena, CHUNK + 1, 3);
    bytes_of(arena, CHUNK - 1, 3);
    ck_assert(all_bytes(large, MIB, 1));
    ck_assert(all_bytes(aligned, 100, 2));
    ck_assert(!harena_failed(arena));
    harena_release(arena);
    free(memory);
}
END_TEST

START_TEST(the_whole_family_works)
{
    static unsigned char memory[100000];
    harena *arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    unsigned char *bytes = bytes_of(arena, 32, 7), *grown;

    grown = SUCCEEDS(harena_realloc(arena, bytes, 32, opaque(100)));
    ck_assert(same(bytes, grown));
    ck_assert_str_eq(SUCCEEDS(harena_strdup(arena, "text")), "text");
    ck_assert_str_eq(SUCCEEDS(harena_strndup(arena, "text", opaque(2))), "te");
    ck_assert_str_eq(SUCCEEDS(harena_printf(arena, "%d-%s", 5, "x")), "5-x");
    ck_assert_uint_eq(strlen(SUCCEEDS(harena_printf(arena, "%*d", 50000, 1))), 50000);
    ck_assert(all_bytes(SUCCEEDS(harena_memdup(arena, grown, opaque(32))), 32, 7));
    ck_assert(all_bytes(SUCCEEDS(harena_alloc_zeroed(arena, opaque(999))), 999, 0));
    FAILS(EINVAL, harena_alloc_aligned(arena, opaque(8), opaque(24)));
    FAILS(ENOMEM, harena_alloc_array(arena, opaque(SIZE_MAX), opaque(2)));
    harena_release(arena);
}
END_TEST

START_TEST(zero_and_alignment_options_apply)
{
    static unsigned char memory[300000];
    harena_options options = HARENA_OPTIONS_INIT;

    options.zero = true;
    for (size_t alignment = 16; alignment <= 65536; alignment *= 4) {
        harena *arena;

        memset(memory, 0xff, sizeof memory);
        options.alignment = alignment;
        arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, &options));
        for (int round = 0; round < 3; round++) {
            for (int count = 0; count < 3; count++) {
                unsigned char *object = SUCCEEDS(harena_alloc(arena, opaque(1000)));

                EXPECT(aligned_to(object, alignment));
                EXPECT(all_bytes(object, 1000, 0));
                memset(object, 0xff, 1000);
            }
            harena_reset(arena);
        }
        harena_release(arena);
    }
}
END_TEST

START_TEST(release_runs_the_cleanups_and_gives_nothing_back)
{
    unsigned char *memory = malloc(4096);
    harena *arena = SUCCEEDS(harena_create_fixed(memory, 4096, NULL));
    int cleanups = 0;

    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    harena_reset(arena);
    ck_assert_int_eq(cleanups, 2);
    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    harena_release(arena);
    ck_assert_int_eq(cleanups, 3);
    memset(memory, 1, 4096);
    arena = SUCCEEDS(harena_create_fixed(memory, 4096, NULL)); /* again in the same memory */
    bytes_of(arena, 100, 1);
    harena_release(arena);
    free(memory);
}
END_TEST

START_TEST(cleanups_that_do_not_fit_are_refused)
{
    static unsigned char memory[2048];
    harena *arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    int cleanups = 0, registered = 0, result;

    while ((result = harena_on_release(arena, count_up, &cleanups)) == 0)
        registered++;
    ck_assert_int_eq(result, -ENOMEM);
    ck_assert_int_gt(registered, 0);
    harena_reset(arena);
    ck_assert_int_eq(cleanups, registered);
    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    harena_release(arena);
    ck_assert_int_eq(cleanups, registered + 1);
}
END_TEST

START_TEST(release_rcu_is_misuse_and_released_now)
{
    static unsigned char memory[4096];
    harena *arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    int cleanups = 0;

    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    harena_release_rcu(arena);
    ck_assert_int_eq(cleanups, 1);
    memset(memory, 1, sizeof memory);
}
END_TEST

START_TEST(counters_and_contains_are_as_of_any_arena)
{
    static unsigned char memory[4096] __attribute__((aligned(16)));
    size_t overhead = harena_fixed_overhead();
    harena *arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    unsigned char *object;

    ck_assert_uint_eq(harena_len(arena), 0);
    ck_assert_uint_le(harena_cap(arena), sizeof memory);
    ck_assert_uint_ge(harena_cap(arena), sizeof memory - overhead);
    object = bytes_of(arena, 100, 1);
    ck_assert_uint_eq(harena_len(arena), 112);
    ck_assert_uint_eq(harena_peak(arena), 112);
    ck_assert(harena_contains(arena, object));
    ck_assert(harena_contains(arena, object + 99));
    ck_assert(!harena_contains(arena, (void *)opaque((uintptr_t)memory - 1)));
    ck_assert(!harena_contains(arena, memory + sizeof memory));
    ck_assert(!harena_contains(arena, &object));
    ck_assert(!harena_contains(arena, NULL));
    harena_reset(arena);
    ck_assert_uint_eq(harena_len(arena), 0);
    ck_assert_uint_eq(harena_peak(arena), 112);
    ck_assert_uint_eq(arena_stats_of(arena).resets, 1);
    harena_release(arena);
}
END_TEST

RUN_TESTS("fixed", overhead_plus_n_bytes_serve_n_bytes, what_is_needed_is_known_before,
          too_small_a_memory_is_refused, bytes_that_wrap_the_address_space_are_refused,
          bad_options_are_refused, it_never_grows_and_fails_softly, several_share_a_block_of_memory,
          it_needs_no_provider, large_objects_and_alignments_fit_where_there_is_room,
          the_whole_family_works, zero_and_alignment_options_apply,
          release_runs_the_cleanups_and_gives_nothing_back, cleanups_that_do_not_fit_are_refused,
          release_rcu_is_misuse_and_released_now, counters_and_contains_are_as_of_any_arena)
