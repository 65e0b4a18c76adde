/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs: adjacent chunks, taken one block at a time, and given back when one is missing. Layer 3. */
#include "blocks_state.h"

enum {
    RUN_TRIES = 64, /* changes under a look after which it ends: bounds work, not correctness */
};

/* Bits at which `length` set bits begin. */
static uint32_t run_starts(uint32_t bits, uint32_t length)
{
    for (uint32_t have = 1; have < length;) {
        uint32_t step = have < length - have ? have : length - have;

        bits &= bits >> step;
        have += step;
    }
    return bits;
}

static bool take_bits(struct hri_blocks *b, uint32_t block, uint32_t bits, uint64_t *cold)
{
    struct hri_block *at = &b->table[block];
    uint64_t state = hri_load_relaxed(&at->state); /* relaxed: a guess, decided by the CAS */

    while ((hri_taken_of(state) & bits) == 0) {
        if (hri_cas_acquire(&at->state, &state, state | hri_taken_bits(bits))) { /* PAIR chunk-1 */
            *cold += (uint64_t)__builtin_popcount(bits & ~hri_warm_of(state));
            hri_block_note_touched(at);
            return true;
        }
    }
    return false;
}

void hri_blocks_untake(struct hri_blocks *b, uint32_t chunk, uint32_t length)
{
    while (length != 0) {
        uint32_t block = chunk / HRI_BLOCK_CHUNKS;

        hri_blocks_put_bits(b, block, hri_run_bits(&chunk, &length), false);
    }
}

void hri_blocks_warm(struct hri_blocks *b, uint32_t chunk, uint32_t length)
{
    while (length != 0) {
        uint32_t block = chunk / HRI_BLOCK_CHUNKS;

        /* Relaxed: the holder alone reads these bits until the put, which releases. */
        hri_fetch_or_relaxed(&b->table[block].state, hri_warm_bits(hri_run_bits(&chunk, &length)));
    }
}

bool hri_blocks_take_run(struct hri_blocks *b, uint32_t chunk, uint32_t length, uint64_t *cold)
{
    uint32_t at = chunk, left = length;

    *cold = 0;
    hri_blocks_note_used(b, (chunk + length + HRI_BLOCK_CHUNKS - 1) / HRI_BLOCK_CHUNKS);
    while (left != 0) {
        uint32_t block = at / HRI_BLOCK_CHUNKS, before = at;

        if (!take_bits(b, block, hri_run_bits(&at, &left), cold)) {
            hri_blocks_untake(b, chunk, before - chunk);
            return false;
        }
    }
    return true;
}

/* A look without taking: whether the run is free, and how many of its chunks are cold. */
static bool look_at_run(const struct hri_blocks *b, uint32_t chunk, uint32_t length, uint64_t *cold)
{
    *cold = 0;
    while (length != 0) {
        uint64_t state =
            hri_load_relaxed(&b->table[chunk / HRI_BLOCK_CHUNKS].state); /* relaxed: a guess */
        uint32_t bits = hri_run_bits(&chunk, &length);

        if ((hri_taken_of(state) & bits) != 0)
            return false;
        *cold += (uint64_t)__builtin_popcount(bits & ~hri_warm_of(state));
    }
    return true;
}

/* Where a run of up to 32 chunks may begin in this block, warm ones first. */
static uint32_t short_run_in(const struct hri_blocks *b, uint32_t block, uint32_t length,
                             bool warm_only)
{
    uint64_t state = hri_load_relaxed(&b->table[block].state); /* relaxed: a guess */
    uint32_t starts = run_starts(
        warm_only ? ~hri_taken_of(state) & hri_warm_of(state) : ~hri_taken_of(state), length);

    return starts == 0 ? HRI_NO_CHUNK : block * HRI_BLOCK_CHUNKS + hri_lowest(starts);
}

static uint32_t find_short_run(const struct hri_blocks *b, uint32_t length, uint64_t budget,
                               bool warm_only, bool *over_budget)
{
    uint64_t cold;
    uint32_t chunk;
    int tries = 0;

    for (uint32_t block = 0; block < b->count && tries < RUN_TRIES; block++) {
        /* What lies in blocks that were never used is cold, so no better than what was over the budget already. Without
         * that on to the next one, however many others take meanwhile. */
        if (block >= hri_load_relaxed(&b->used) && (warm_only || *over_budget))
            break;
        while (tries < RUN_TRIES &&
               (chunk = short_run_in(b, block, length, warm_only)) != HRI_NO_CHUNK) {
            if (look_at_run(b, chunk, length, &cold)) {
                if (cold <= budget)
                    return chunk;
                *over_budget = true;
                break;
            }
            tries++;
        }
    }
    return HRI_NO_CHUNK;
}

static uint32_t find_long_run(const struct hri_blocks *b, uint32_t length, uint64_t budget,
                              bool *over_budget)
{
    uint32_t spans = (length + HRI_BLOCK_CHUNKS - 1) / HRI_BLOCK_CHUNKS, used;
    uint64_t cold;

    if (spans > b->count)
        return HRI_NO_CHUNK;
    for (uint32_t block = 0; block <= b->count - spans; block++) {
        used = hri_load_relaxed(&b->used);
        if (block > used && *over_budget)
            break; /* what begins at the first unused block is all cold: nothing better comes later */
        if (!look_at_run(b, block * HRI_BLOCK_CHUNKS, length, &cold))
            continue;
        if (cold <= budget)
            return block * HRI_BLOCK_CHUNKS;
        *over_budget = true;
    }
    return HRI_NO_CHUNK;
}

uint32_t hri_blocks_find_run(const struct hri_blocks *b, uint32_t length, uint64_t budget,
                             bool *over_budget)
{
    uint32_t chunk;

    *over_budget = false;
    if (length > HRI_BLOCK_CHUNKS)
        return find_long_run(b, length, budget, over_budget);
    chunk = find_short_run(b, length, 0, true, over_budget);
    if (chunk != HRI_NO_CHUNK)
        return chunk;
    *over_budget = false; /* a purge may have come between two looks */
    return find_short_run(b, length, budget, false, over_budget);
}

/* Whether some block has so many warm chunks side by side, up to a block's. A guess. */
static bool has_warm_run(const struct hri_blocks *b, uint32_t length)
{
    uint32_t words = (hri_load_relaxed(&b->used) + 63) / 64;

    if (length > HRI_BLOCK_CHUNKS)
        return false;
    for (uint32_t word = 0; word < words; word++) {
        uint64_t bits = hri_load_relaxed(&b->warm_summary[word]); /* relaxed: a hint */

        for (; bits != 0; bits &= bits - 1) {
            uint32_t block = word * 64 + (uint32_t)__builtin_ctzll(bits);

            if (short_run_in(b, block, length, true) != HRI_NO_CHUNK)
                return true;
        }
    }
    return false;
}

bool hri_blocks_may_take(const struct hri_blocks *b, uint32_t chunk, uint32_t length,
                         uint64_t budget, uint32_t instead)
{
    uint64_t cold;

    return chunk + (uint64_t)length <= (uint64_t)b->count * HRI_BLOCK_CHUNKS &&
           look_at_run(b, chunk, length, &cold) && cold <= budget &&
           (cold == 0 || !has_warm_run(b, instead));
}

/* Whether nothing is taken of these blocks. A guess. */
static bool are_free(const struct hri_blocks *b, uint32_t block, uint32_t blocks)
{
    for (uint32_t i = 0; i < blocks; i++)
        if (hri_taken_of(hri_load_relaxed(&b->table[block + i].state)) != 0)
            return false;
    return true;
}

uint32_t hri_blocks_find_room(const struct hri_blocks *b, uint32_t length)
{
    uint32_t used = hri_load_relaxed(&b->used), found = HRI_NO_CHUNK;
    uint32_t blocks = length / (HRI_BLOCK_CHUNKS / 2) + 1;
    uint64_t cold;

    for (uint32_t i = 0; i < used + blocks && b->count - i >= blocks; i += blocks) {
        uint32_t chunk = i * HRI_BLOCK_CHUNKS;

        if (!are_free(b, i, blocks))
            continue;
        if (look_at_run(b, chunk, length, &cold) && cold == 0)
            return chunk;
        if (found == HRI_NO_CHUNK)
            found = chunk;
    }
    return found;
}
