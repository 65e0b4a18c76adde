/* SPDX-License-Identifier: BSD-2-Clause */
/* The free bitmaps: taking and putting single chunks and runs, the claim of a purge, the sums. */
#include "../support/rng.h"
#include "unit.h"

#include "blocks.h"

enum {
    COUNT = 126,
    ALL = COUNT * HRI_BLOCK_CHUNKS,
    ME = 1
}; /* more blocks than a summary word has */

static struct hri_blocks blocks;
static struct hri_home home;

static void with_count(uint32_t count)
{
    static struct hri_block table[COUNT];
    static uint64_t warm[2], full[2];

    memset(table, 0, sizeof table);
    memset(warm, 0, sizeof warm);
    memset(full, 0, sizeof full);
    memset(&home, 0, sizeof home);
    blocks = (struct hri_blocks){
        .table = table, .count = count, .warm_summary = warm, .full_summary = full};
}

static void with_blocks(void)
{
    with_count(COUNT);
}

static void sums_are(uint64_t taken, uint64_t free_warm)
{
    uint64_t taken_now, free_warm_now;

    hri_blocks_count(&blocks, &taken_now, &free_warm_now);
    if (taken_now != taken || free_warm_now != free_warm)
        ck_abort_msg("taken %ju, free and warm %ju; not %ju, %ju", (uintmax_t)taken_now,
                     (uintmax_t)free_warm_now, (uintmax_t)taken, (uintmax_t)free_warm);
}

static uint32_t take_run_within(uint32_t length, uint64_t budget, uint64_t *cold, bool *over_budget)
{
    uint32_t chunk;

    do
        chunk = hri_blocks_find_run(&blocks, length, budget, over_budget);
    while (chunk != HRI_NO_CHUNK && !hri_blocks_take_run(&blocks, chunk, length, cold));
    return chunk;
}

static uint32_t take_run(uint32_t length, uint64_t *cold)
{
    bool over_budget;

    return take_run_within(length, UINT64_MAX, cold, &over_budget);
}

/* The homes of threads that take a chunk each in turn. */
START_TEST(who_has_filled_a_block_fills_one_apart)
{
    struct hri_home homes[2] = {{0}, {0}};
    uint32_t chunk[2], shared = 0, first;

    for (uint32_t i = 0; i < 58 * HRI_BLOCK_CHUNKS; i++) {
        for (int thread = 0; thread < 2; thread++)
            chunk[thread] = hri_blocks_take_cold(&blocks, &homes[thread]);
        if (i > 6 * HRI_BLOCK_CHUNKS && chunk[0] / HRI_BLOCK_CHUNKS == chunk[1] / HRI_BLOCK_CHUNKS)
            shared++;
    }
    EXPECT(shared == 0);
    sums_are(116 * HRI_BLOCK_CHUNKS, 0);
    for (int thread = 0; thread < 100; thread++) { /* others fill what is there */
        struct hri_home fresh = {0};

        first = hri_blocks_take_cold(&blocks, &fresh);
        EXPECT(first < 118 * HRI_BLOCK_CHUNKS + 100);
    }
    while (hri_blocks_take_cold(&blocks, &homes[0]) != HRI_NO_CHUNK)
        continue;
    sums_are(ALL, 0); /* no chunk is passed over for good */
}
END_TEST

/* What a thread puts moves its home, and not the block that it is filling. */
START_TEST(who_puts_and_takes_again_begins_no_block)
{
    for (uint32_t at = 0; at < 10 * HRI_BLOCK_CHUNKS; at++)
        EXPECT(hri_blocks_take_cold(&blocks, &home) == at);
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t chunk = 5 * HRI_BLOCK_CHUNKS + i % HRI_BLOCK_CHUNKS;

        EXPECT(hri_blocks_put(&blocks, chunk));
        home.chunk = chunk;
        EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == chunk);
        EXPECT(hri_blocks_take_cold(&blocks, &home) == 10 * HRI_BLOCK_CHUNKS + i);
    }
}
END_TEST

START_TEST(what_went_back_is_begun_at_its_lowest)
{
    uint64_t state;

    for (int round = 0; round < 5; round++) {
        for (uint32_t at = 0; at < 20 * HRI_BLOCK_CHUNKS; at++)
            EXPECT(hri_blocks_take_cold(&blocks, &home) == at);
        for (uint32_t at = 0; at < 20 * HRI_BLOCK_CHUNKS; at++)
            EXPECT(hri_blocks_put(&blocks, at));
        for (uint32_t block = 0; block < 20; block++) {
            EXPECT(hri_blocks_claim(&blocks, block, &state));
            hri_blocks_purged(&blocks, block);
        }
    }
}
END_TEST

START_TEST(cold_chunks_come_lowest_first_until_the_region_is_full)
{
    for (uint32_t at = 0; at < ALL; at++)
        EXPECT(hri_blocks_take_cold(&blocks, &home) == at);
    for (int round = 0; round < 3; round++)
        EXPECT(hri_blocks_take_cold(&blocks, &home) == HRI_NO_CHUNK);
    sums_are(ALL, 0);
    EXPECT(hri_blocks_put(&blocks, 5));
    EXPECT(hri_blocks_take_cold(&blocks, &home) == HRI_NO_CHUNK); /* it is warm */
    EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == 5);
}
END_TEST

START_TEST(no_warm_chunk_comes_of_nothing)
{
    EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == HRI_NO_CHUNK);
    EXPECT(hri_blocks_take_cold(&blocks, &home) == 0);
    EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == HRI_NO_CHUNK);
    sums_are(1, 0);
}
END_TEST

START_TEST(every_free_warm_chunk_is_found_wherever_it_lies)
{
    while (hri_blocks_take_cold(&blocks, &home) != HRI_NO_CHUNK)
        continue;
    for (uint32_t at = 0; at < ALL; at += 37) {
        EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == HRI_NO_CHUNK);
        EXPECT(hri_blocks_put(&blocks, at));
        sums_are(ALL - 1, 1);
        EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == at);
        sums_are(ALL, 0);
    }
}
END_TEST

START_TEST(another_threads_block_is_searched_too)
{
    struct hri_home other = {0};

    for (int at = 0; at < 32; at++)
        hri_blocks_take_cold(&blocks, &home);
    for (uint32_t at = 0; at < 32; at++)
        hri_blocks_put(&blocks, at);
    EXPECT(hri_blocks_take_warm(&blocks, &home, ME) != HRI_NO_CHUNK);
    for (int at = 1; at < 32; at++) /* in the block where ME has settled */
        EXPECT(hri_blocks_take_warm(&blocks, &other, ME + 1) != HRI_NO_CHUNK);
    EXPECT(hri_blocks_take_warm(&blocks, &other, ME + 1) == HRI_NO_CHUNK);
    sums_are(32, 0);
}
END_TEST

START_TEST(a_second_put_changes_nothing)
{
    EXPECT(hri_blocks_take_cold(&blocks, &home) == 0);
    EXPECT(hri_blocks_put(&blocks, 0));
    EXPECT(!hri_blocks_put(&blocks, 0));
    EXPECT(!hri_blocks_put(&blocks, 1));
    sums_are(0, 1);
}
END_TEST

START_TEST(put_cold_makes_a_chunk_cold)
{
    EXPECT(hri_blocks_take_cold(&blocks, &home) == 0);
    hri_blocks_put_cold(&blocks, 0);
    sums_are(0, 0);
    EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == HRI_NO_CHUNK);
    EXPECT(hri_blocks_take_cold(&blocks, &home) == 0);
}
END_TEST

START_TEST(take_this_takes_that_one_if_it_is_free_and_warm)
{
    for (int at = 0; at < 10; at++)
        hri_blocks_take_cold(&blocks, &home);
    EXPECT(!hri_blocks_take_this(&blocks, 7)); /* taken */
    hri_blocks_put(&blocks, 7);
    EXPECT(hri_blocks_take_this(&blocks, 7));
    EXPECT(!hri_blocks_take_this(&blocks, 7));
    EXPECT(!hri_blocks_take_this(&blocks, 20)); /* cold */
    sums_are(10, 0);
}
END_TEST

START_TEST(runs_of_every_length_are_adjacent_and_their_own)
{
    static bool taken[ALL];

    for (uint32_t length = 1; length <= 150; length++) {
        uint64_t cold, sum = 0;
        uint32_t chunk;

        with_blocks();
        memset(taken, 0, sizeof taken);
        while ((chunk = take_run(length, &cold)) != HRI_NO_CHUNK) {
            EXPECT(cold == length);
            EXPECT(chunk + length <= ALL);
            if (length <= HRI_BLOCK_CHUNKS)
                EXPECT(chunk / HRI_BLOCK_CHUNKS == (chunk + length - 1) / HRI_BLOCK_CHUNKS);
            for (uint32_t at = chunk; at < chunk + length; at++) {
                EXPECT(!taken[at]);
                taken[at] = true;
            }
            hri_blocks_warm(&blocks, chunk, length);
            sum += length;
            sums_are(sum, 0);
        }
        if (length <= HRI_BLOCK_CHUNKS)
            EXPECT(sum == (uint64_t)COUNT * (HRI_BLOCK_CHUNKS / length) * length);
        else
            EXPECT(sum >= ALL / 2);
    }
}
END_TEST

START_TEST(a_run_finds_the_only_gap_that_fits)
{
    uint64_t cold;

    while (hri_blocks_take_cold(&blocks, &home) != HRI_NO_CHUNK)
        continue;
    for (uint32_t at = 40 * 32 + 3; at < 40 * 32 + 3 + 13; at++)
        hri_blocks_put(&blocks, at);
    hri_blocks_put(&blocks, 2);
    hri_blocks_put(&blocks, 3);
    EXPECT(take_run(14, &cold) == HRI_NO_CHUNK);
    EXPECT(take_run(13, &cold) == 40 * 32 + 3);
    EXPECT(cold == 0);
    EXPECT(take_run(3, &cold) == HRI_NO_CHUNK);
    EXPECT(take_run(2, &cold) == 2);
    EXPECT(take_run(1, &cold) == HRI_NO_CHUNK);
    sums_are(ALL, 0);
}
END_TEST

START_TEST(a_refused_long_run_gives_back_what_it_took)
{
    uint64_t cold;

    for (uint32_t at = 0; at < ALL; at++)
        hri_blocks_take_cold(&blocks, &home);
    for (uint32_t at = 0; at < ALL; at++)
        if (at % 64 != 63) /* each second block lacks its last chunk */
            hri_blocks_put(&blocks, at);
    EXPECT(take_run(64, &cold) == HRI_NO_CHUNK);
    EXPECT(take_run(33, &cold) != HRI_NO_CHUNK);
    EXPECT(take_run(ALL + 1, &cold) == HRI_NO_CHUNK);
    EXPECT(take_run(UINT32_MAX / 2, &cold) == HRI_NO_CHUNK);
    sums_are(COUNT / 2 + 33, ALL - COUNT / 2 - 33);
}
END_TEST

START_TEST(a_run_over_the_budget_takes_nothing_and_says_so)
{
    const uint32_t lengths[] = {1, 7, 32, 33, 100};
    uint64_t cold;
    bool over_budget;

    for (size_t at = 0; at < sizeof lengths / sizeof *lengths; at++) {
        uint32_t chunk;

        with_blocks();
        EXPECT(take_run_within(lengths[at], lengths[at] - 1, &cold, &over_budget) == HRI_NO_CHUNK);
        EXPECT(over_budget);
        sums_are(0, 0);
        chunk = take_run_within(lengths[at], lengths[at], &cold, &over_budget);
        EXPECT(chunk != HRI_NO_CHUNK && cold == lengths[at]);
        hri_blocks_warm(&blocks, chunk, lengths[at]);
        hri_blocks_untake(&blocks, chunk, lengths[at]);
        sums_are(0, lengths[at]);
        /* warm now: no budget is needed */
        EXPECT(take_run_within(lengths[at], 0, &cold, &over_budget) == chunk);
        EXPECT(cold == 0);
        hri_blocks_untake(&blocks, chunk, lengths[at]);
    }
}
END_TEST

START_TEST(no_room_is_not_over_budget)
{
    uint64_t cold;
    bool over_budget = true;

    with_count(2);
    EXPECT(take_run_within(65, 0, &cold, &over_budget) == HRI_NO_CHUNK);
    EXPECT(!over_budget);
    for (int at = 0; at < 64; at++)
        hri_blocks_take_cold(&blocks, &home);
    EXPECT(take_run_within(5, 0, &cold, &over_budget) == HRI_NO_CHUNK);
    EXPECT(!over_budget);
}
END_TEST

START_TEST(a_claim_keeps_all_others_out_until_it_ends)
{
    uint64_t state, cold;

    with_count(2);
    EXPECT(!hri_blocks_claim(&blocks, 0, &state)); /* nothing is warm */
    for (int at = 0; at < 10; at++)
        hri_blocks_take_cold(&blocks, &home);
    EXPECT(!hri_blocks_claim(&blocks, 0, &state)); /* taken */
    for (uint32_t at = 0; at < 10; at++)
        hri_blocks_put(&blocks, at);
    for (int purged = 0; purged < 2; purged++) {
        EXPECT(hri_blocks_claim(&blocks, 0, &state));
        EXPECT(__builtin_popcountll(state >> 32) == 10);
        EXPECT(!hri_blocks_claim(&blocks, 0, &state));
        EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == HRI_NO_CHUNK);
        EXPECT(!hri_blocks_take_this(&blocks, 3));
        EXPECT(take_run(5, &cold) >= 32); /* of the other block */
        if (purged) {
            hri_blocks_purged(&blocks, 0);
            EXPECT(hri_blocks_take_warm(&blocks, &home, ME) == HRI_NO_CHUNK);
            EXPECT(hri_blocks_take_cold(&blocks, &home) == 0);
        } else {
            hri_blocks_unpurged(&blocks, 0);
            sums_are(5, 10);
        }
    }
}
END_TEST

START_TEST(random_takes_and_puts_agree_with_a_list)
{
    static enum { COLD, WARM, TAKEN } model[ALL];
    test_rng rng = test_rng_for(1);
    uint64_t taken = 0, warm = 0;

    for (int step = 0; step < 100000; step++) {
        uint32_t length = 1, chunk = HRI_NO_CHUNK;
        uint64_t cold = 0, were_cold = 0, state;
        unsigned what = (unsigned)test_below(&rng, 100);

        if (what < 30) {
            chunk = hri_blocks_take_warm(&blocks, &home, 1 + (uint32_t)test_below(&rng, 3));
            EXPECT(chunk != HRI_NO_CHUNK || warm == 0);
            EXPECT(chunk == HRI_NO_CHUNK || model[chunk] == WARM);
        } else if (what < 35) {
            chunk = hri_blocks_take_cold(&blocks, &home);
            EXPECT(chunk == HRI_NO_CHUNK || model[chunk] == COLD);
        } else if (what < 45) {
            length = 1 + (uint32_t)test_below(&rng, test_once_in(&rng, 10) ? 100 : 20);
            chunk = take_run(length, &cold);
            for (uint32_t at = 0; at < length && chunk != HRI_NO_CHUNK; at++) {
                EXPECT(model[chunk + at] != TAKEN);
                were_cold += model[chunk + at] == COLD;
            }
            EXPECT(cold == were_cold || chunk == HRI_NO_CHUNK);
            if (chunk != HRI_NO_CHUNK)
                hri_blocks_warm(&blocks, chunk, length);
        } else if (what < 99) {
            uint32_t at = (uint32_t)test_below(&rng, ALL);

            EXPECT(model[at] != TAKEN || hri_blocks_put(&blocks, at));
            if (model[at] == TAKEN) {
                model[at] = WARM;
                taken--;
                warm++;
            }
        } else {
            uint32_t block = (uint32_t)test_below(&rng, COUNT);
            bool free = true, any = false;

            for (uint32_t at = block * 32; at < block * 32 + 32; at++) {
                free = free && model[at] != TAKEN;
                any = any || model[at] == WARM;
            }
            EXPECT(hri_blocks_claim(&blocks, block, &state) == (free && any));
            if (free && any) {
                hri_blocks_purged(&blocks, block);
                for (uint32_t at = block * 32; at < block * 32 + 32; at++) {
                    warm -= model[at] == WARM;
                    model[at] = COLD;
                }
            }
        }
        for (uint32_t at = 0; at < length && chunk != HRI_NO_CHUNK; at++) {
            warm -= model[chunk + at] == WARM;
            model[chunk + at] = TAKEN;
            taken++;
        }
        if (step % 16 == 0)
            sums_are(taken, warm);
    }
}
END_TEST

RUN_TESTS_AROUND("blocks", with_blocks, NULL,
                 cold_chunks_come_lowest_first_until_the_region_is_full,
                 who_has_filled_a_block_fills_one_apart, who_puts_and_takes_again_begins_no_block,
                 what_went_back_is_begun_at_its_lowest, no_warm_chunk_comes_of_nothing,
                 every_free_warm_chunk_is_found_wherever_it_lies,
                 another_threads_block_is_searched_too, a_second_put_changes_nothing,
                 put_cold_makes_a_chunk_cold, take_this_takes_that_one_if_it_is_free_and_warm,
                 runs_of_every_length_are_adjacent_and_their_own,
                 a_run_finds_the_only_gap_that_fits, a_refused_long_run_gives_back_what_it_took,
                 a_run_over_the_budget_takes_nothing_and_says_so, no_room_is_not_over_budget,
                 a_claim_keeps_all_others_out_until_it_ends,
                 random_takes_and_puts_agree_with_a_list)
