/* SPDX-License-Identifier: BSD-2-Clause */
/* How many read-modify-writes the shared allocation paths make, as the atomics layer counts them.
 */
#include "unit.h"
#include "atomics.h"
#include <stdio.h>

/* The bar of the lanes, for small objects. */
#define PER_THOUSAND 5
#define OBJECTS      100000u

/* The same sizes in each test, 16 to 255 bytes. */
static size_t next_size(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return 16 + (size_t)(*state >> 33) % 240;
}

/* Read-modify-writes of this thread while it allocates `count` objects. */
static uint64_t spent_by_lanes(harena_shared *shared, unsigned count)
{
    uint64_t state = 1, before = hri_rmw_count;

    for (unsigned i = 0; i < count; i++)
        EXPECT(hidden(harena_shared_alloc(shared, next_size(&state))) != 0);
    return hri_rmw_count - before;
}

static uint64_t spent_by_atomics(harena_shared *shared, unsigned count)
{
    uint64_t state = 1, before = hri_rmw_count;

    for (unsigned i = 0; i < count; i++)
        EXPECT(hidden(harena_shared_alloc_atomic(shared, next_size(&state))) != 0);
    return hri_rmw_count - before;
}

static void print_per_thousand(const char *what, uint64_t spent, unsigned objects)
{
    printf("%-52s %8.2f read-modify-writes per 1,000\n", what, (double)spent * 1000 / objects);
    fflush(stdout);
}

/* The counter counts: else all of the rest would pass for nothing. */
START_TEST(each_fetch_add_is_counted)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_shared *shared = shared_of(provider, 0);

    ck_assert_uint_ge(spent_by_atomics(shared, 1000), 1000);
    harena_shared_release_now(shared);
    ends_clean(provider);
}
END_TEST

/* From the first allocation on, chunks that have never held memory included. */
START_TEST(lanes_spend_at_most_five_per_thousand_in_fresh_memory)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_shared *shared = shared_of(provider, 0);
    uint64_t spent = spent_by_lanes(shared, OBJECTS);

    print_per_thousand("100,000 by a lane, one generation, fresh memory", spent, OBJECTS);
    ck_assert_uint_le(spent, OBJECTS / 1000 * PER_THOUSAND);
    harena_shared_release_now(shared);
    ends_clean(provider);
}
END_TEST

START_TEST(lanes_spend_at_most_five_per_thousand_in_warm_memory)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_shared *shared = shared_of(provider, 0);
    uint64_t spent;

    spent_by_lanes(shared, OBJECTS);
    ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    spent = spent_by_lanes(shared, OBJECTS);
    print_per_thousand("100,000 by a lane, one generation, warm memory", spent, OBJECTS);
    ck_assert_uint_le(spent, OBJECTS / 1000 * PER_THOUSAND);
    harena_shared_release_now(shared);
    ends_clean(provider);
}
END_TEST

/* Ten generations: each is installed, has a lane claimed and leases grown from small to large. */
START_TEST(lanes_spend_at_most_five_per_thousand_over_generations)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_shared *shared = shared_of(provider, 0);
    uint64_t spent = 0, before = hri_rmw_count;

    for (unsigned generation = 0; generation < 10; generation++) {
        spent += spent_by_lanes(shared, OBJECTS / 10);
        ck_assert_int_eq(harena_shared_reset_now(shared), 0);
    }
    print_per_thousand("10 generations of 10,000 by a lane", spent, OBJECTS);
    print_per_thousand("the same with the resets", hri_rmw_count - before, OBJECTS);
    ck_assert_uint_le(spent, OBJECTS / 1000 * PER_THOUSAND);
    harena_shared_release_now(shared);
    ends_clean(provider);
}
END_TEST

/* Sizes of which a chunk has 2 KiB and more left over: the lane takes pieces of runs. What a run's next chunk costs is
 * most of it; one by one from a run that all share, each object would cost three more. */
START_TEST(lanes_spend_six_a_chunk_on_objects_that_leave_much_of_it)
{
    static const size_t sizes[] = {2500, 3000, 4112, 11000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        harena_provider *provider = provider_of(64 * MIB, 0, NULL);
        harena_shared *shared = shared_of(provider, 0);
        unsigned count = (unsigned)(16 * MIB / sizes[i]);
        uint64_t before = hri_rmw_count, spent;
        char what[64];

        for (unsigned n = 0; n < count; n++)
            EXPECT(hidden(harena_shared_alloc(shared, opaque(sizes[i]))) != 0);
        spent = hri_rmw_count - before;
        snprintf(what, sizeof(what), "16 MiB of %zu bytes by a lane", sizes[i]);
        print_per_thousand(what, spent, count);
        ck_assert_uint_le(spent, 16 * MIB / CHUNK * 6);
        harena_shared_release_now(shared);
        ends_clean(provider);
    }
}
END_TEST

/* One fetch-add each. A chunk of 64 KiB holds some 450 of these objects; changing it costs a few
 * more: the claim that finds the end, the chunk itself, the link. */
START_TEST(atomic_allocations_spend_one_fetch_add_each)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_shared *shared = shared_of(provider, 0);
    uint64_t spent = spent_by_atomics(shared, OBJECTS);

    print_per_thousand("100,000 by alloc_atomic", spent, OBJECTS);
    ck_assert_uint_ge(spent, OBJECTS);
    ck_assert_uint_le(spent, OBJECTS + OBJECTS / 1000 * 15);
    harena_shared_release_now(shared);
    ends_clean(provider);
}
END_TEST

/* A private arena meets nobody: only chunks cost any. */
START_TEST(private_arenas_spend_them_on_chunks_alone)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena *arena = arena_of(provider, 0);
    uint64_t state = 1, before, spent;

    EXPECT(hidden(harena_alloc(arena, opaque(16))) != 0); /* has its chunk now */
    before = hri_rmw_count;
    for (unsigned i = 0; i < 100; i++)
        EXPECT(hidden(harena_alloc(arena, next_size(&state))) != 0);
    ck_assert_uint_eq(hri_rmw_count, before);
    before = hri_rmw_count;
    for (unsigned i = 0; i < OBJECTS; i++)
        EXPECT(hidden(harena_alloc(arena, next_size(&state))) != 0);
    spent = hri_rmw_count - before;
    print_per_thousand("100,000 of a private arena", spent, OBJECTS);
    ck_assert_uint_le(spent, OBJECTS / 1000 * PER_THOUSAND);
    harena_release(arena);
    ends_clean(provider);
}
END_TEST

RUN_TESTS("rmw", each_fetch_add_is_counted, lanes_spend_at_most_five_per_thousand_in_fresh_memory,
          lanes_spend_at_most_five_per_thousand_in_warm_memory,
          lanes_spend_at_most_five_per_thousand_over_generations,
          lanes_spend_six_a_chunk_on_objects_that_leave_much_of_it,
          atomic_allocations_spend_one_fetch_add_each, private_arenas_spend_them_on_chunks_alone)
