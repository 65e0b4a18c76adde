/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs of a provider that become longer and shorter. */
#include "provider.h"
#include "sanitizer.h"

#include "unit.h"

static struct events events;
static harena_provider *provider;

static void before(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(256 * MIB, 0, &events);
}

static void after(void)
{
    ends_clean(provider);
}

/* ---- the provider's runs ---- */

static uint32_t length_of(uint32_t run)
{
    return hri_provider_extent(provider, run)->length;
}

static uint32_t run_of(uint32_t length)
{
    uint32_t run = hri_run_get(provider, length, "test");

    ck_assert_uint_ne(run, HRI_NO_CHUNK);
    ck_assert_uint_eq(length_of(run), length);
    return run;
}

static void fill_run(uint32_t run)
{
    hri_provider_extent(provider, run)->dirty = length_of(run) * CHUNK;
    hri_show(hri_chunk_address(provider, run), length_of(run) * CHUNK);
    memset(hri_chunk_address(provider, run), 0xff, length_of(run) * CHUNK);
}

START_TEST(a_run_gets_the_chunks_behind_it)
{
    uint32_t run = run_of(3);

    ck_assert(hri_run_extend(provider, run, 2, 4));
    ck_assert_uint_eq(length_of(run), 5);
    ck_assert_uint_eq(in_use(provider), 5 * CHUNK);
    totals_hold(provider);
    fill_run(run);
    for (int i = 0; i < 5; i++) { /* into the next block, and beyond */
        ck_assert(hri_run_extend(provider, run, 31, 4));
        fill_run(run);
    }
    ck_assert_uint_eq(length_of(run), 160);
    ck_assert_uint_eq(in_use(provider), 160 * CHUNK);
    totals_hold(provider);
    hri_run_put(provider, run);
    ck_assert_uint_eq(events_in_all(&events), 0);
}
END_TEST

START_TEST(a_run_never_gets_what_another_has)
{
    uint32_t run = run_of(3), other = run_of(1);

    ck_assert_uint_eq(other, run + 3);
    errno = SENTINEL;
    ck_assert(!hri_run_extend(provider, run, 1, 4));
    ck_assert(!hri_run_extend(provider, run, 100, 100));
    ck_assert_int_eq(errno, SENTINEL);
    ck_assert_uint_eq(length_of(run), 3);
    ck_assert_uint_eq(in_use(provider), 4 * CHUNK);
    ck_assert(hri_run_extend(provider, other, 2, 4));
    hri_run_put(provider, other);
    ck_assert(hri_run_extend(provider, run, 1, 4)); /* it is free again */
    totals_hold(provider);
    ck_assert_uint_eq(stats_of(provider).failures, 0);
    ck_assert_uint_eq(events_in_all(&events), 0);
    hri_run_put(provider, run);
}
END_TEST

START_TEST(a_run_ends_with_the_region)
{
    uint32_t run = run_of(256 * 16 - 2);

    ck_assert(!hri_run_extend(provider, run, 3, 3));
    ck_assert(!hri_run_extend(provider, run, UINT32_MAX / 2, 3));
    ck_assert(!hri_run_extend(provider, run, UINT32_MAX - 1, 3));
    ck_assert(hri_run_extend(provider, run, 2, 3));
    ck_assert_uint_eq(in_use(provider), 256 * MIB);
    hri_run_put(provider, run);
}
END_TEST

START_TEST(the_limit_holds_for_what_a_run_gets)
{
    uint32_t run = run_of(3), warm;

    ck_assert_int_eq(harena_provider_set_limit(provider, 5 * CHUNK), 0);
    ck_assert(!hri_run_extend(provider, run, 3, 4));
    ck_assert_uint_eq(stats_of(provider).committed, 3 * CHUNK);
    ck_assert(hri_run_extend(provider, run, 2, 4));
    ck_assert_uint_eq(stats_of(provider).committed, 5 * CHUNK);
    ck_assert(!hri_run_extend(provider, run, 1, 4));
    hri_run_cut(provider, run, 1);
    warm = run_of(1);
    ck_assert(hri_run_extend(provider, warm, 3, 4)); /* warm: nothing to charge */
    ck_assert_uint_eq(stats_of(provider).committed, 5 * CHUNK);
    ck_assert_uint_eq(events_in_all(&events), 0);
    hri_run_put(provider, warm);
    hri_run_put(provider, run);
    totals_hold(provider);
}
END_TEST

START_TEST(warm_memory_elsewhere_comes_before_cold_behind)
{
    uint32_t low = run_of(8), between = run_of(1), run = run_of(2);

    hri_run_put(provider, low); /* eight warm ones, and none behind the run */
    ck_assert(!hri_run_extend(provider, run, 1, 8));
    ck_assert_uint_eq(stats_of(provider).committed, 11 * CHUNK);
    ck_assert(hri_run_extend(provider, run, 1, 9));
    ck_assert_uint_eq(stats_of(provider).committed, 12 * CHUNK);
    hri_run_put(provider, run);
    hri_run_put(provider, between);
    run = run_of(2);
    ck_assert(hri_run_extend(provider, run, 6, 2)); /* these are warm themselves */
    ck_assert_uint_eq(stats_of(provider).committed, 12 * CHUNK);
    hri_run_put(provider, run);
}
END_TEST

START_TEST(a_run_knows_the_dirt_that_it_gets)
{
    uint32_t run = run_of(6);

    hri_run_put(provider, run); /* clean, as far as anybody knows */
    run = run_of(2);
    ck_assert(hri_run_extend(provider, run, 2, 2));
    ck_assert_uint_eq(hri_provider_extent(provider, run)->dirty, 0);
    hri_run_cut(provider, run, 2);
    hri_provider_extent(provider, run)->dirty = 100;
    hri_run_put(provider, run);
    run = run_of(4);
    ck_assert_uint_eq(hri_provider_extent(provider, run)->dirty, 100);
    hri_provider_extent(provider, run)->dirty = 3 * CHUNK + 5;
    hri_run_put(provider, run);
    run = run_of(2);
    ck_assert_uint_eq(hri_provider_extent(provider, run)->dirty, 2 * CHUNK);
    ck_assert(hri_run_extend(provider, run, 1, 2));
    ck_assert_uint_eq(hri_provider_extent(provider, run)->dirty, 3 * CHUNK);
    ck_assert(hri_run_extend(provider, run, 2, 2));
    ck_assert_uint_eq(hri_provider_extent(provider, run)->dirty, 3 * CHUNK + 5);
    hri_run_put(provider, run);
}
END_TEST

START_TEST(what_is_cut_off_is_free_and_as_dirty_as_it_was)
{
    uint32_t run = run_of(5), rest;

    hri_provider_extent(provider, run)->dirty = 3 * CHUNK + 7;
    hri_run_cut(provider, run, 5); /* nothing */
    ck_assert_uint_eq(in_use(provider), 5 * CHUNK);
    hri_run_cut(provider, run, 2);
    ck_assert_uint_eq(length_of(run), 2);
    ck_assert_uint_eq(hri_provider_extent(provider, run)->dirty, 2 * CHUNK);
    ck_assert_uint_eq(in_use(provider), 2 * CHUNK);
    totals_hold(provider);
    rest = run_of(3);
    ck_assert_uint_eq(rest, run + 2);
    ck_assert_uint_eq(hri_provider_extent(provider, rest)->dirty, CHUNK + 7);
    hri_run_put(provider, rest);
    hri_run_put(provider, run);
}
END_TEST

START_TEST(a_roomy_run_begins_a_block)
{
    uint32_t small = run_of(1), one = hri_run_get_roomy(provider, 4, "test"),
             other = hri_run_get_roomy(provider, 4, "test"),
             large = hri_run_get_roomy(provider, 17, "test");

    ck_assert_uint_eq(small, 0);
    ck_assert_uint_eq(one, 32);
    ck_assert_uint_eq(other, 64);
    ck_assert_uint_eq(large, 128); /* the start of two */
    ck_assert(hri_run_extend(provider, one, 28, 4));
    ck_assert(!hri_run_extend(provider, one, 1, 4));
    hri_run_put(provider, one);
    hri_run_put(provider, other);
    ck_assert_uint_eq(hri_run_get_roomy(provider, 32, "test"), 32); /* warm, and free again */
    ck_assert_uint_eq(stats_of(provider).committed, (1 + 32 + 4 + 17) * CHUNK);
    hri_run_put(provider, 32);
    hri_run_put(provider, large);
    hri_run_put(provider, small);
    totals_hold(provider);
}
END_TEST

START_TEST(where_there_is_no_room_a_roomy_run_is_any)
{
    uint32_t ones[128], run;

    for (int block = 0; block < 128; block++)
        ones[block] = run_of(17); /* one a block */
    run = hri_run_get_roomy(provider, 4, "test");
    ck_assert_uint_eq(run, 17);
    ck_assert_uint_eq(events_in_all(&events), 0);
    ck_assert_uint_eq(hri_run_get_roomy(provider, 16, "test"), HRI_NO_CHUNK);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_REGION_EXHAUSTED), 1);
    hri_run_put(provider, run);
    for (int block = 0; block < 128; block++)
        hri_run_put(provider, ones[block]);
}
END_TEST

RUN_TESTS_AROUND("runs", before, after, a_run_gets_the_chunks_behind_it,
                 a_run_never_gets_what_another_has, a_run_ends_with_the_region,
                 the_limit_holds_for_what_a_run_gets,
                 warm_memory_elsewhere_comes_before_cold_behind, a_run_knows_the_dirt_that_it_gets,
                 what_is_cut_off_is_free_and_as_dirty_as_it_was, a_roomy_run_begins_a_block,
                 where_there_is_no_room_a_roomy_run_is_any)
