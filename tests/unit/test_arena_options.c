/* SPDX-License-Identifier: BSD-2-Clause */
/* What each option of an arena promises: alignment, zero, initial, retain, first memory, and which
 * values are refused. */
#include "unit.h"

static harena_provider *provider;
static struct events events;
static harena_options options;

static void with_provider(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(256 * MIB, 0, &events);
    options = (harena_options)HARENA_OPTIONS_INIT;
    options.provider = provider;
}

static void without_provider(void)
{
    ends_clean(provider);
}

static harena *made(void)
{
    return SUCCEEDS(harena_create(&options));
}

static unsigned char *bytes_of(harena *arena, size_t size, int value)
{
    return memset(SUCCEEDS(harena_alloc(arena, opaque(size))), value, size);
}

/* ---- refused ---- */

START_TEST(unknown_size_is_refused)
{
    const size_t sizes[] = {0, 1, 8, sizeof options - 1, sizeof options + 1, 4096, SIZE_MAX};

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        options.size = sizes[at];
        FAILS(EINVAL, harena_create(&options));
    }
    ck_assert_uint_eq(stats_of(provider).gets, 0);
}
END_TEST

START_TEST(bad_alignment_is_refused)
{
    const size_t bad[] = {3, 15, 17, 48, 65535, 65537, 131072, (size_t)1 << 63, SIZE_MAX};

    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        options.alignment = bad[at];
        FAILS(EINVAL, harena_create(&options));
    }
}
END_TEST

START_TEST(half_of_first_memory_is_refused)
{
    static char memory[100];

    options.first = memory;
    FAILS(EINVAL, harena_create(&options));
    options.first = NULL;
    options.first_size = sizeof memory;
    FAILS(EINVAL, harena_create(&options));
}
END_TEST

START_TEST(retain_with_retain_none_is_refused)
{
    options.retain = CHUNK;
    options.retain_none = true;
    FAILS(EINVAL, harena_create(&options));
}
END_TEST

START_TEST(unknown_debug_mode_is_refused_and_none_is_not)
{
    options.debug = "nosuchmode";
    FAILS(EINVAL, harena_create(&options));
    options.debug = "";
    harena_release(made());
}
END_TEST

START_TEST(null_options_use_the_default_provider)
{
    harena *arena = SUCCEEDS(harena_create(NULL));
    unsigned char *memory = bytes_of(arena, 100, 1);

    ck_assert(harena_provider_owns(harena_provider_default(), memory));
    harena_release(arena);
    options.provider = NULL;
    arena = made();
    ck_assert(harena_provider_owns(harena_provider_default(), bytes_of(arena, 100, 1)));
    harena_release(arena);
}
END_TEST

START_TEST(options_may_go_after_create)
{
    harena_options *mine = malloc(sizeof *mine);
    char *name = strdup("a name that is longer than the thirty-one bytes that are kept");
    harena *arena;

    *mine = options;
    mine->name = name;
    arena = SUCCEEDS(harena_create(mine));
    memset(mine, 0xff, sizeof *mine);
    free(mine);
    memset(name, 0xff, strlen(name));
    free(name);
    bytes_of(arena, 100, 1);
    harena_release_rcu(arena);
}
END_TEST

/* ---- alignment ---- */

START_TEST(alignment_holds_for_everything)
{
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        size_t least = alignment < 16 ? 16 : alignment;
        harena *arena;

        options.alignment = alignment;
        arena = made();
        for (int round = 0; round < 3; round++) {
            unsigned char *kept = bytes_of(arena, 20, 0x5c), *grown;
#define ALIGNED(call) EXPECT(aligned_to(SUCCEEDS(call), least))

            EXPECT(aligned_to(kept, least));
            ALIGNED(harena_alloc(arena, opaque(1)));
            ALIGNED(harena_alloc(arena, 1)); /* a constant size: another inline path */
            ALIGNED(harena_alloc(arena, 16));
            EXPECT(aligned_to(SUCCEEDS(harena_alloc(arena, opaque(0))), 16));
            ALIGNED(harena_alloc(arena, opaque(100000)));
            ALIGNED(harena_alloc_zeroed(arena, opaque(33)));
            ALIGNED(harena_alloc_aligned(arena, opaque(5), 8));
            ALIGNED(harena_alloc_aligned(arena, opaque(5), opaque(1)));
            ALIGNED(harena_alloc_aligned_zeroed(arena, opaque(5), opaque(2)));
            ALIGNED(harena_alloc_array(arena, opaque(3), opaque(5)));
            ALIGNED(harena_alloc_array_aligned(arena, opaque(3), opaque(5), opaque(4)));
            ALIGNED(harena_new(arena, char));
            ALIGNED(harena_new_zeroed(arena, char));
            ALIGNED(harena_new_array(arena, char, opaque(3)));
            ALIGNED(harena_memdup(arena, "abc", opaque(3)));
            ALIGNED(harena_strdup(arena, "abc"));
            ALIGNED(harena_strndup(arena, "abc", opaque(2)));
            ALIGNED(harena_printf(arena, "%d", 5));
            ALIGNED(harena_realloc(arena, NULL, 0, opaque(5)));
            grown = SUCCEEDS(harena_realloc(arena, kept, 20, opaque(3000)));
            EXPECT(aligned_to(grown, least));
            EXPECT(all_bytes(grown, 20, 0x5c));
            EXPECT(
                aligned_to(SUCCEEDS(harena_alloc_aligned(arena, opaque(5), opaque(65536))), 65536));
            harena_reset(arena);
#undef ALIGNED
        }
        harena_release(arena);
        totals_hold(provider);
    }
}
END_TEST

START_TEST(alignment_of_many_small_ones_overlaps_nothing)
{
    for (size_t alignment = 32; alignment <= 4096; alignment *= 8) {
        unsigned char *memory[200];
        harena *arena;

        options.alignment = alignment;
        arena = made();
        for (int at = 0; at < 200; at++)
            memory[at] = bytes_of(arena, (size_t)at * 3, at);
        for (int at = 0; at < 200; at++) {
            EXPECT(aligned_to(memory[at], alignment));
            EXPECT(all_bytes(memory[at], (size_t)at * 3, (unsigned char)at));
        }
        EXPECT(harena_len(arena) <= harena_cap(arena));
        harena_release(arena);
    }
}
END_TEST

/* ---- zero ---- */

START_TEST(zero_holds_for_everything_also_when_recycled)
{
    const size_t sizes[] = {1,         16,        17,        100,   5000,
                            20000,     33000,     CHUNK - 1, CHUNK, CHUNK + 1,
                            3 * CHUNK, 17 * 1024, MIB,       BLOCK, 2 * BLOCK + 1};

    options.zero = true;
    for (int round = 0; round < 6; round++) {
        harena *arena;

        options.retain = round % 2 == 0 ? 0 : 8 * MIB;
        arena = made();
        for (int again = 0; again < 3; again++) {
            for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
                unsigned char *memory = SUCCEEDS(harena_alloc(arena, opaque(sizes[at])));

                EXPECT(all_bytes(memory, sizes[at], 0));
                memset(memory, 0xff, sizes[at]);
                memory = SUCCEEDS(harena_alloc(arena, 48));
                EXPECT(all_bytes(memory, 48, 0));
                memset(memory, 0xff, 48);
                memory = SUCCEEDS(harena_alloc_aligned(arena, opaque(sizes[at]), opaque(256)));
                EXPECT(all_bytes(memory, sizes[at], 0));
                memset(memory, 0xff, sizes[at]);
                memory = SUCCEEDS(harena_alloc_array(arena, opaque(sizes[at]), opaque(2)));
                EXPECT(all_bytes(memory, 2 * sizes[at], 0));
                memset(memory, 0xff, 2 * sizes[at]);
            }
            harena_reset(arena);
        }
        if (round % 3 == 2) {
            harena_release_rcu(arena);
            harena_provider_barrier(provider);
        } else {
            harena_release(arena);
        }
        if (round == 3)
            harena_provider_trim(provider, 0);
    }
}
END_TEST

START_TEST(zero_holds_in_memory_that_others_dirtied)
{
    harena *dirty = arena_of(provider, 0), *arena;

    for (int at = 0; at < 100; at++)
        bytes_of(dirty, 30000, 0xff);
    bytes_of(dirty, 4 * MIB, 0xff);
    harena_release(dirty);
    options.zero = true;
    arena = made();
    for (int at = 0; at < 100; at++)
        EXPECT(all_bytes(SUCCEEDS(harena_alloc(arena, opaque(30000))), 30000, 0));
    EXPECT(all_bytes(SUCCEEDS(harena_alloc(arena, opaque(4 * MIB))), 4 * MIB, 0));
    harena_release(arena);
}
END_TEST

START_TEST(zero_holds_after_a_realloc_gave_bytes_back)
{
    harena *arena;

    options.zero = true;
    arena = made();
    for (size_t size = 32; size <= 3 * MIB; size *= 2) {
        unsigned char *memory = SUCCEEDS(harena_alloc(arena, opaque(size)));
        unsigned char *next;

        memset(memory, 0xff, size);
        memory = SUCCEEDS(harena_realloc(arena, memory, size, opaque(size / 2)));
        next = SUCCEEDS(harena_alloc(arena, opaque(size)));
        EXPECT(all_bytes(next, size, 0));
        EXPECT(all_bytes(memory, size / 2, 0xff));
        memset(next, 0xff, size);
    }
    harena_release(arena);
}
END_TEST

START_TEST(zero_holds_for_what_realloc_adds)
{
    harena *arena;

    options.zero = true;
    arena = made();
    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size <= MIB; size = size * 2 + 3) {
            unsigned char *memory = SUCCEEDS(harena_alloc(arena, opaque(size)));

            memset(memory, 0xff, size);
            memory = SUCCEEDS(harena_realloc(arena, memory, size, opaque(size * 2)));
            EXPECT(all_bytes(memory, size, 0xff));
            EXPECT(all_bytes(memory + size, size, 0));
            memset(memory, 0xff, size * 2);
            memory = SUCCEEDS(harena_realloc(arena, memory, size * 2, opaque(size)));
            memory = SUCCEEDS(harena_realloc(arena, memory, size, opaque(size * 2)));
            EXPECT(all_bytes(memory + size, size, 0));
            memset(memory, 0xff, size * 2);
        }
        harena_reset(arena);
    }
    harena_release(arena);
}
END_TEST

/* ---- initial ---- */

START_TEST(initial_is_had_at_once)
{
    const size_t sizes[] = {1, 100, CHUNK, CHUNK + 1, 5 * CHUNK, 40 * CHUNK};

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        harena *arena;
        uint64_t gets;
        size_t cap;

        options.initial = sizes[at];
        arena = made();
        cap = harena_cap(arena);
        gets = stats_of(provider).gets;
        ck_assert_uint_ge(cap, sizes[at]);
        ck_assert_uint_eq(in_use(provider), cap);
        ck_assert_uint_eq(harena_len(arena), 0);
        for (int round = 0; round < 3; round++) { /* all of it in small objects, none more taken */
            for (size_t used = 0; used + 16 <= sizes[at]; used += 16)
                bytes_of(arena, 16, 1);
            ck_assert_uint_eq(stats_of(provider).gets, gets);
            ck_assert_uint_eq(harena_cap(arena), cap);
            harena_reset(arena);
            ck_assert_uint_eq(harena_cap(arena), cap); /* retain defaults to what initial took */
        }
        harena_release(arena);
        ck_assert_uint_eq(in_use(provider), 0);
        totals_hold(provider);
    }
}
END_TEST

START_TEST(initial_beyond_what_there_is_is_refused)
{
    const size_t sizes[] = {
        512 * MIB,     (size_t)1 << 50, ((size_t)1 << 48) + 1, (size_t)PTRDIFF_MAX + 1,
        SIZE_MAX - 15, SIZE_MAX};

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        options.initial = sizes[at];
        FAILS(ENOMEM, harena_create(&options));
        ck_assert_uint_eq(in_use(provider), 0);
        totals_hold(provider);
    }
    options.initial = 100;
    harena_release(made());
}
END_TEST

START_TEST(initial_above_the_limit_is_refused)
{
    options.initial = 5 * CHUNK;
    options.limit = 4 * CHUNK;
    FAILS(ENOMEM, harena_create(&options));
    ck_assert_uint_eq(in_use(provider), 0);
    options.limit = 5 * CHUNK;
    harena_release(made());
}
END_TEST

/* What the arena's own limit refuses, what the provider's does. */
START_TEST(a_refusal_takes_no_initial_memory_away)
{
    harena *arena, *other = arena_of(provider, 0);
    size_t used = 0;
    uint64_t gets;

    options.initial = options.limit = 16 * CHUNK;
    arena = made();
    gets = stats_of(provider).gets;
    FAILS(ENOMEM, harena_alloc(arena, opaque(17 * CHUNK)));
    ck_assert_uint_eq(harena_cap(arena), 16 * CHUNK);
    ck_assert_uint_eq(stats_of(provider).gets, gets); /* nor was it away for a moment */
    harena_reset(arena);
    ck_assert_uint_eq(harena_cap(arena), 16 * CHUNK);
    harena_release(arena);
    options.limit = 0;
    arena = made();
    bytes_of(other, 10, 1);
    ck_assert_int_eq(harena_provider_set_limit(provider, in_use(provider)), 0);
    FAILS(ENOMEM, harena_alloc(arena, opaque(17 * CHUNK)));
    ck_assert_uint_eq(harena_cap(arena), 16 * CHUNK);
    while (used < 16 * CHUNK) {
        bytes_of(arena, 1024, 1);
        used += 1024;
    }
    ck_assert_uint_eq(harena_cap(arena), 16 * CHUNK);
    harena_release(arena);
    harena_release(other);
}
END_TEST

/* ---- retain ---- */

START_TEST(retain_bounds_what_reset_keeps)
{
    const size_t sizes[] = {1, CHUNK - 1, CHUNK, 2 * CHUNK, 4 * CHUNK + 5, 32 * CHUNK};

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        harena *arena;

        options.retain = sizes[at];
        arena = made();
        for (int round = 0; round < 3; round++) {
            for (int count = 0; count < 4000; count++)
                bytes_of(arena, 1000, round);
            bytes_of(arena, 5 * MIB, round);
            bytes_of(arena, 50000, round);
            harena_reset(arena);
            ck_assert_uint_le(harena_cap(arena), sizes[at]);
            if (sizes[at] >= CHUNK) /* it is kept for something */
                ck_assert_uint_ge(harena_cap(arena), CHUNK);
            ck_assert_uint_eq(in_use(provider), harena_cap(arena));
            totals_hold(provider);
        }
        harena_release(arena);
    }
}
END_TEST

START_TEST(what_retain_keeps_makes_room_for_what_it_cannot_serve)
{
    harena *arena;

    options.retain = options.limit = 8 * CHUNK;
    arena = made();
    for (int round = 0; round < 3; round++) {
        ck_assert_uint_eq(fill(arena, 1024), 8 * 64); /* eight single chunks */
        harena_reset(arena);
        ck_assert_uint_eq(harena_cap(arena), 8 * CHUNK);
        bytes_of(arena, 7 * CHUNK, 1); /* a run of seven, beside the chunk of the window */
        harena_reset(arena);
    }
    harena_release(arena);
}
END_TEST

START_TEST(what_retain_keeps_serves_again_without_the_provider)
{
    harena *arena;
    uint64_t gets;

    options.retain = 16 * CHUNK;
    arena = made();
    for (int count = 0; count < 16 * 64; count++)
        bytes_of(arena, 1024, 1);
    harena_reset(arena);
    gets = stats_of(provider).gets;
    ck_assert_uint_eq(harena_cap(arena), 16 * CHUNK);
    for (int round = 0; round < 5; round++) {
        for (int count = 0; count < 16 * 64; count++)
            bytes_of(arena, 1024, 1);
        harena_reset(arena);
    }
    ck_assert_uint_eq(stats_of(provider).gets, gets);
    harena_release(arena);
}
END_TEST

START_TEST(what_was_used_is_kept_before_what_was_not)
{
    harena *arena;
    uint64_t gets;

    options.retain = 16 * CHUNK;
    arena = made();
    for (int count = 0; count < 16 * 64; count++)
        bytes_of(arena, 1024, 1);
    harena_reset(arena);
    bytes_of(arena, 15 * CHUNK, 1); /* none of the chunks serves */
    harena_reset(arena);
    ck_assert_uint_eq(harena_cap(arena), 16 * CHUNK);
    gets = stats_of(provider).gets;
    bytes_of(arena, 15 * CHUNK, 1);
    bytes_of(arena, 1024, 1); /* one of them is there still */
    ck_assert_uint_eq(stats_of(provider).gets, gets);
    harena_release(arena);
}
END_TEST

/* Runs serve no small object, and a part of one hardly anything: they do not take the place of chunks. */
START_TEST(a_giant_round_leaves_the_chunks_of_others)
{
    harena *arena;
    uint64_t gets;

    options.retain = 4 * CHUNK;
    arena = made();
    for (int round = 0; round < 4; round++) {
        gets = stats_of(provider).gets;
        for (int count = 0; count < 4 * 64; count++)
            bytes_of(arena, 1024, 1);
        if (round != 0)
            ck_assert_uint_eq(stats_of(provider).gets, gets);
        harena_reset(arena);
        bytes_of(arena, round % 2 == 0 ? 40 * CHUNK : 5 * CHUNK, 1);
        harena_reset(arena);
        ck_assert_uint_eq(harena_cap(arena), 4 * CHUNK);
    }
    harena_release(arena);
}
END_TEST

START_TEST(an_arena_does_not_drift_to_its_peak)
{
    harena *arena = made();

    for (int round = 0; round < 20; round++) {
        if (round % 5 == 0)
            bytes_of(arena, 20 * MIB, 1);
        for (int count = 0; count < 500; count++)
            bytes_of(arena, 1000, 1);
        harena_reset(arena);
        ck_assert_uint_le(harena_cap(arena), CHUNK);
    }
    harena_release(arena);
}
END_TEST

START_TEST(retain_bounds_initial_as_well)
{
    harena *arena;

    options.initial = 8 * CHUNK;
    options.retain = 2 * CHUNK;
    arena = made();
    for (int round = 0; round < 3; round++) {
        bytes_of(arena, 20 * CHUNK, 1);
        for (int count = 0; count < 2000; count++)
            bytes_of(arena, 1000, 1);
        harena_reset(arena);
        ck_assert_uint_le(harena_cap(arena), 2 * CHUNK);
    }
    harena_release(arena);
}
END_TEST

START_TEST(initial_with_retain_none_is_had_once)
{
    harena *arena;

    options.initial = 8 * CHUNK;
    options.retain_none = true;
    arena = made();
    ck_assert_uint_ge(harena_cap(arena), 8 * CHUNK);
    bytes_of(arena, 100, 1);
    harena_reset(arena);
    ck_assert_uint_eq(harena_cap(arena), 0);
    bytes_of(arena, 100, 1);
    harena_release(arena);
}
END_TEST

START_TEST(initial_and_no_more_is_kept_by_default)
{
    harena *arena;

    options.initial = 4 * CHUNK;
    arena = made();
    for (int round = 0; round < 3; round++) {
        bytes_of(arena, 20 * CHUNK, 1);
        for (int count = 0; count < 1000; count++)
            bytes_of(arena, 1000, 1);
        harena_reset(arena);
        ck_assert_uint_eq(harena_cap(arena), 4 * CHUNK);
    }
    harena_release(arena);
}
END_TEST

START_TEST(retain_none_gives_all_back_at_reset)
{
    harena *arena;

    options.retain_none = true;
    arena = made();
    ck_assert_uint_eq(harena_cap(arena), 0);
    for (int round = 0; round < 5; round++) {
        bytes_of(arena, 100, 1);
        ck_assert_uint_eq(harena_cap(arena), CHUNK);
        bytes_of(arena, 30000, 1);
        bytes_of(arena, MIB, 1);
        harena_reset(arena);
        ck_assert_uint_eq(harena_cap(arena), 0);
        ck_assert_uint_eq(harena_len(arena), 0);
        ck_assert_uint_eq(in_use(provider), 0);
        totals_hold(provider);
    }
    harena_release(arena);
}
END_TEST

/* ---- first ---- */

static void count_up(void *counter)
{
    ++*(int *)counter;
}

START_TEST(first_memory_is_used_first_and_again_after_reset)
{
    static unsigned char memory[5000] __attribute__((aligned(16)));
    harena *arena;

    options.first = memory;
    options.first_size = sizeof memory;
    arena = made();
    for (int round = 0; round < 5; round++) {
        for (int count = 0; count < 40; count++) {
            unsigned char *object = bytes_of(arena, 100, round);

            EXPECT(object >= memory && object + 100 <= memory + sizeof memory);
            EXPECT(harena_contains(arena, object));
        }
        if (round < 2)
            ck_assert_uint_eq(in_use(provider), 0);
        ck_assert_uint_eq(harena_len(arena), 40 * 112);
        bytes_of(arena, 1000, 1); /* what does not fit comes from the provider */
        ck_assert_uint_ge(in_use(provider), CHUNK);
        bytes_of(arena, 10 * CHUNK, 1);
        harena_reset(arena);
        if (round == 0) { /* this time without a chunk kept warm */
            harena_release(arena);
            arena = made();
        }
        ck_assert_uint_le(in_use(provider), CHUNK);
    }
    harena_release(arena);
    ck_assert_uint_eq(in_use(provider), 0);
    memory[0] = 1;
    memory[sizeof memory - 1] = 1; /* the caller's again */
}
END_TEST

START_TEST(first_memory_of_any_size_and_address_serves)
{
    static unsigned char memory[1024];

    for (size_t offset = 0; offset < 16; offset++) {
        for (size_t size = 1; size < 200; size++) {
            harena *arena;

            memset(memory, 0xa5, sizeof memory);
            options.first = memory + offset;
            options.first_size = size;
            arena = made();
            for (int count = 0; count < 20; count++)
                EXPECT(aligned_to(bytes_of(arena, 24, 0), 16));
            EXPECT(all_bytes(memory, offset, 0xa5));
            EXPECT(all_bytes(memory + offset + size, sizeof memory - offset - size, 0xa5));
            harena_release(arena);
        }
    }
}
END_TEST

START_TEST(first_memory_is_zeroed_where_asked)
{
    static unsigned char memory[4000];
    harena *arena;

    memset(memory, 0xff, sizeof memory);
    options.first = memory;
    options.first_size = sizeof memory;
    options.zero = true;
    arena = made();
    for (int round = 0; round < 3; round++) {
        for (int count = 0; count < 60; count++) {
            unsigned char *object = SUCCEEDS(harena_alloc(arena, opaque(50)));

            EXPECT(all_bytes(object, 50, 0));
            memset(object, 0xff, 50);
        }
        harena_reset(arena);
    }
    harena_release(arena);
    options.zero = false;
    memset(memory, 0xff, sizeof memory);
    arena = made();
    EXPECT(all_bytes(SUCCEEDS(harena_alloc_zeroed(arena, opaque(3000))), 3000, 0));
    harena_release(arena);
}
END_TEST

START_TEST(first_memory_counts_as_contained)
{
    static unsigned char memory[1024] __attribute__((aligned(16)));
    harena *arena;
    unsigned char *object;

    options.first = memory;
    options.first_size = sizeof memory;
    arena = made();
    object = bytes_of(arena, 1024, 1);
    ck_assert(same(object, memory));
    ck_assert(harena_contains(arena, memory));
    ck_assert(harena_contains(arena, memory + 1023));
    ck_assert(!harena_contains(arena, memory + 1024));
    bytes_of(arena, 100, 1);
    ck_assert(harena_contains(arena, memory + 1023));
    harena_release(arena);
}
END_TEST

START_TEST(first_memory_counts_not_against_the_limit)
{
    static unsigned char memory[CHUNK];
    harena *arena;

    options.first = memory;
    options.first_size = sizeof memory;
    options.limit = CHUNK; /* of chunks and runs */
    arena = made();
    ck_assert_uint_ge(fill(arena, 16), 2 * CHUNK / 16 - 2);
    ck_assert_uint_eq(in_use(provider), CHUNK);
    harena_release(arena);
}
END_TEST

START_TEST(first_memory_beside_initial)
{
    static unsigned char memory[1024];

    options.first = memory;
    options.first_size = sizeof memory;
    for (options.initial = CHUNK; options.initial <= 8 * CHUNK; options.initial *= 8) {
        harena *arena = made();

        ck_assert_uint_ge(in_use(provider), options.initial);
        for (int round = 0; round < 3; round++) {
            for (int count = 0; count < 100; count++)
                bytes_of(arena, 1000, round);
            bytes_of(arena, 3 * CHUNK, round);
            harena_reset(arena);
            ck_assert_uint_le(in_use(provider), options.initial);
        }
        harena_release(arena);
        ck_assert_uint_eq(in_use(provider), 0);
    }
}
END_TEST

START_TEST(first_memory_holds_an_aligned_arena)
{
    static unsigned char memory[1000];
    harena *arena;

    for (size_t alignment = 32; alignment <= 65536; alignment *= 2) {
        options.first = memory + 3;
        options.first_size = sizeof memory - 3;
        options.alignment = alignment;
        arena = made();
        for (int count = 0; count < 10; count++)
            EXPECT(aligned_to(bytes_of(arena, 24, 1), alignment));
        harena_release(arena);
    }
}
END_TEST

START_TEST(first_memory_and_release_rcu_is_misuse_and_released_now)
{
    static unsigned char memory[1000];
    harena *arena;
    int cleanups = 0;

    options.first = memory;
    options.first_size = sizeof memory;
    arena = made();
    bytes_of(arena, 10 * CHUNK, 1);
    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    harena_release_rcu(arena);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    ck_assert_int_eq(cleanups, 1);
    ck_assert_uint_eq(in_use(provider), 0);
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
}
END_TEST

START_TEST(fixed_arenas_tell_their_provider_of_misuse)
{
    static unsigned char memory[4096];

    harena_release_rcu(SUCCEEDS(harena_create_fixed(memory, sizeof memory, &options)));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(an_empty_arena_gives_its_window_up_for_a_run_at_its_limit)
{
    harena *arena;

    options.limit = 8 * CHUNK;
    arena = made();
    bytes_of(arena, 100, 1);
    harena_reset(arena);
    ck_assert_uint_eq(harena_cap(arena), CHUNK);
    bytes_of(arena, 8 * CHUNK, 1);
    ck_assert_uint_eq(harena_cap(arena), 8 * CHUNK);
    ck_assert_uint_eq(events_in_all(&events), 0);
    harena_release(arena);
}
END_TEST

RUN_TESTS_AROUND(
    "arena_options", with_provider, without_provider, unknown_size_is_refused,
    bad_alignment_is_refused, half_of_first_memory_is_refused, retain_with_retain_none_is_refused,
    unknown_debug_mode_is_refused_and_none_is_not, null_options_use_the_default_provider,
    options_may_go_after_create, alignment_holds_for_everything,
    alignment_of_many_small_ones_overlaps_nothing, zero_holds_for_everything_also_when_recycled,
    zero_holds_in_memory_that_others_dirtied, zero_holds_after_a_realloc_gave_bytes_back,
    zero_holds_for_what_realloc_adds, initial_is_had_at_once,
    initial_beyond_what_there_is_is_refused, initial_above_the_limit_is_refused,
    a_refusal_takes_no_initial_memory_away, retain_bounds_what_reset_keeps,
    what_retain_keeps_makes_room_for_what_it_cannot_serve,
    what_retain_keeps_serves_again_without_the_provider, what_was_used_is_kept_before_what_was_not,
    a_giant_round_leaves_the_chunks_of_others, an_arena_does_not_drift_to_its_peak,
    retain_none_gives_all_back_at_reset, retain_bounds_initial_as_well,
    initial_with_retain_none_is_had_once, initial_and_no_more_is_kept_by_default,
    first_memory_counts_not_against_the_limit, first_memory_beside_initial,
    first_memory_is_used_first_and_again_after_reset, first_memory_of_any_size_and_address_serves,
    first_memory_is_zeroed_where_asked, first_memory_counts_as_contained,
    first_memory_holds_an_aligned_arena, first_memory_and_release_rcu_is_misuse_and_released_now,
    fixed_arenas_tell_their_provider_of_misuse,
    an_empty_arena_gives_its_window_up_for_a_run_at_its_limit)
