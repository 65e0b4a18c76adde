/* SPDX-License-Identifier: BSD-2-Clause */
/* Free bitmaps of 32 chunks a word, with two summaries. Layer 3.
 *
 * 1. A chunk is taken by whoever turns its bit from 0 to 1, with acquire, and put by turning it to 0, with release
 *    (PAIR chunk-1): what the last holder wrote is ordered before what the next one writes. There is no list, so no
 *    link can be stale and no value can come round again (no ABA): a bit says all there is to say.
 * 2. No step waits for another thread. A failed attempt means that another one succeeded. A thread that dies in here
 *    keeps at most what it has just taken.
 * 3. The summaries are hints that may err on one side only. "May have a warm chunk" is cleared by who found none, who
 *    then looks at the state again; a put changes the state and then looks at the summary. Both do so with
 *    sequentially consistent operations, so at least one of the two sees the other (PAIR summary-1): no free chunk is
 *    ever hidden for good. The same holds for "full" (PAIR summary-2).
 * 4. A purge claims a block by turning "none taken" into "all taken" at once; until it ends nobody can take a chunk of
 *    it, and nobody has one to put. */
#include "blocks_state.h"

enum {
    LOOKS = 32,       /* blocks that a thread looks at before it takes a chunk from another's */
    APART_FROM = 1,   /* the block from which on a thread that takes much fills blocks of its own */
    APART_LOOKS = 64, /* blocks that are not full that it looks at for one that nobody is at */
};

static inline uint64_t summary_bit(uint32_t block)
{
    return UINT64_C(1) << (block % 64);
}

/* ---- summaries ---- */

static void note_warm(struct hri_blocks *b, uint32_t block)
{
    uint64_t *word = &b->warm_summary[block / 64];

    if ((hri_load_seq_cst(word) & summary_bit(block)) ==
        0) /* PAIR summary-1: after the state changed */
        hri_fetch_or_seq_cst(word, summary_bit(block)); /* PAIR summary-1 */
}

/* The caller has seen no chunk of the block that is free and warm. */
static void note_no_warm(struct hri_blocks *b, uint32_t block)
{
    uint64_t *word = &b->warm_summary[block / 64];
    uint64_t state;

    hri_fetch_and_seq_cst(word, ~summary_bit(block)); /* PAIR summary-1 */
    state = hri_load_seq_cst(&b->table[block].state); /* PAIR summary-1: look again */
    if ((~hri_taken_of(state) & hri_warm_of(state)) != 0)
        hri_fetch_or_seq_cst(word, summary_bit(block)); /* PAIR summary-1 */
}

static void note_not_full(struct hri_blocks *b, uint32_t block)
{
    uint64_t *word = &b->full_summary[block / 64];

    if ((hri_load_seq_cst(word) & summary_bit(block)) !=
        0) /* PAIR summary-2: after the state changed */
        hri_fetch_and_seq_cst(word, ~summary_bit(block)); /* PAIR summary-2 */
}

/* The caller has seen the block full. */
static void note_full(struct hri_blocks *b, uint32_t block)
{
    uint64_t *word = &b->full_summary[block / 64];
    uint64_t state;

    hri_fetch_or_seq_cst(word, summary_bit(block));   /* PAIR summary-2 */
    state = hri_load_seq_cst(&b->table[block].state); /* PAIR summary-2: look again */
    if (hri_taken_of(state) != UINT32_MAX)
        hri_fetch_and_seq_cst(word, ~summary_bit(block)); /* PAIR summary-2 */
}

void hri_blocks_note_used(struct hri_blocks *b, uint32_t blocks)
{
    uint32_t seen = hri_load_relaxed(&b->used);

    while (
        seen < blocks &&
        !hri_cas_relaxed(&b->used, &seen, blocks)) /* relaxed: a bound for scans, never lowered */
        continue;
}

/* ---- one chunk ---- */

/* Takes a warm chunk of this block, `wanted` if it can be had. */
static uint32_t take_warm_of(struct hri_blocks *b, uint32_t block, uint32_t wanted)
{
    struct hri_block *at = &b->table[block];
    uint64_t state = hri_load_relaxed(&at->state); /* relaxed: a guess, decided below */
    uint32_t ready, bit = UINT32_C(1) << (wanted % HRI_BLOCK_CHUNKS);

    while ((ready = ~hri_taken_of(state) & hri_warm_of(state)) != 0) {
        if ((ready & bit) == 0)
            bit = ready & -ready;
        state = hri_fetch_or_acquire(&at->state,
                                     hri_taken_bits(bit)); /* PAIR chunk-1: released by the put */
        if ((hri_taken_of(state) & bit) != 0)
            continue;
        if (HRI_LIKELY((hri_warm_of(state) & bit) != 0))
            return block * HRI_BLOCK_CHUNKS + hri_lowest(bit);
        hri_blocks_put(b,
                       block * HRI_BLOCK_CHUNKS + hri_lowest(bit)); /* purged since it was seen */
        state = hri_load_relaxed(&at->state);
    }
    return HRI_NO_CHUNK;
}

static inline bool is_settled(uint32_t settler)
{
    return settler - 1 < HRI_SETTLER_SEEN - 1;
}

enum whose { MINE, NOBODYS, ANYBODYS };

/* Looks through the blocks that may have a warm chunk, once around from this thread's last one, and settles in the one
 * where it finds it: in blocks where it has settled before; in those where nobody has; in any. The first two give up
 * early: in a large region all may be others'. All relaxed: hints. */
static uint32_t search_warm(struct hri_blocks *b, struct hri_home *home, uint32_t me,
                            enum whose whose)
{
    uint32_t wanted = hri_load_relaxed(&home->chunk), from = wanted / HRI_BLOCK_CHUNKS;
    uint32_t words = (hri_load_relaxed(&b->used) + 63) / 64;
    int looks = 0;

    for (uint32_t i = 0; words != 0 && i <= words; i++) {
        uint32_t word = (from / 64 + i) % words;
        uint64_t bits = hri_load_relaxed(&b->warm_summary[word]); /* relaxed: a hint */

        if (i == 0)
            bits &= ~(summary_bit(from) - 1);
        else if (i == words)
            bits &= summary_bit(from) - 1;
        for (; bits != 0; bits &= bits - 1) {
            uint32_t block = word * 64 + (uint32_t)__builtin_ctzll(bits), chunk, settler;

            settler = hri_load_relaxed(&b->table[block].settler);
            if (whose != ANYBODYS && looks++ == LOOKS)
                return HRI_NO_CHUNK;
            if (whose == MINE ? settler != me : whose == NOBODYS && is_settled(settler))
                continue;
            chunk = take_warm_of(b, block, wanted);
            if (chunk != HRI_NO_CHUNK) {
                if (settler != me)
                    hri_store_relaxed(&b->table[block].settler, me);
                hri_store_relaxed(&home->chunk, chunk);
                return chunk;
            }
            note_no_warm(b, block);
        }
    }
    return HRI_NO_CHUNK;
}

uint32_t hri_blocks_take_warm(struct hri_blocks *b, struct hri_home *home, uint32_t me)
{
    uint32_t wanted = hri_load_relaxed(&home->chunk), block = wanted / HRI_BLOCK_CHUNKS, chunk;

    if (HRI_LIKELY(hri_load_relaxed(&b->table[block].settler) == me)) {
        chunk = take_warm_of(b, block, wanted);
        if (HRI_LIKELY(chunk != HRI_NO_CHUNK)) {
            hri_store_relaxed(&home->chunk, chunk);
            return chunk;
        }
    }
    chunk = search_warm(b, home, me, MINE);
    if (chunk == HRI_NO_CHUNK)
        chunk = search_warm(b, home, me, NOBODYS);
    return chunk != HRI_NO_CHUNK ? chunk : search_warm(b, home, me, ANYBODYS);
}

/* Takes a chunk of this block that is not warm, lowest first. */
static uint32_t take_cold_of(struct hri_blocks *b, uint32_t block)
{
    struct hri_block *at = &b->table[block];
    uint64_t state = hri_load_relaxed(&at->state); /* relaxed: a guess, decided by the CAS */
    uint32_t cold, bit;

    while ((cold = ~hri_taken_of(state) & ~hri_warm_of(state)) != 0) {
        bit = cold & -cold;
        /* PAIR chunk-1: released by the put, or by the purge that made it cold */
        if (hri_cas_acquire(&at->state, &state, state | hri_taken_bits(bit) | hri_warm_bits(bit))) {
            hri_block_note_touched(at);
            return block * HRI_BLOCK_CHUNKS + hri_lowest(bit);
        }
    }
    return HRI_NO_CHUNK;
}

/* The first chunk of the lowest block that nobody is at. */
static uint32_t begin_block(struct hri_blocks *b)
{
    int looks = APART_LOOKS;

    for (uint32_t word = 0; word < (b->count + 63) / 64; word++) {
        uint64_t bits = ~hri_load_relaxed(&b->full_summary[word]); /* relaxed: a hint */

        for (; bits != 0; bits &= bits - 1) {
            uint32_t block = word * 64 + (uint32_t)__builtin_ctzll(bits);
            uint64_t none = 0, state;

            if (block >= b->count || looks-- == 0)
                return HRI_NO_CHUNK;
            state = hri_load_relaxed(&b->table[block].state); /* relaxed: a guess */
            if (hri_taken_of(state) == UINT32_MAX && looks < APART_LOOKS / 2)
                note_full(b, block); /* else looks would be all for blocks that were filled apart */
            if (block < APART_FROM || state != 0)
                continue;
            /* PAIR chunk-1 */
            if (hri_cas_acquire(&b->table[block].state, &none,
                                hri_taken_bits(1) | hri_warm_bits(1))) {
                hri_block_note_touched(&b->table[block]);
                return block * HRI_BLOCK_CHUNKS;
            }
        }
    }
    return HRI_NO_CHUNK;
}

/* Two threads that fill one block touch the same huge page at the same time, and the kernel clears it twice. So who takes
 * much fills blocks of its own. */
static uint32_t take_apart(struct hri_blocks *b, const struct hri_home *home)
{
    uint32_t block = hri_load_relaxed(&home->filling) - 1, taken, chunk; /* relaxed: hints */

    if (block >= b->count || !hri_blocks_fills_apart(home))
        return HRI_NO_CHUNK;
    taken = hri_taken_of(hri_load_relaxed(&b->table[block].state));
    if (taken == 0)
        return HRI_NO_CHUNK; /* all of it has been put meanwhile: back to the lowest */
    chunk = take_cold_of(b, block);
    return chunk != HRI_NO_CHUNK || taken != UINT32_MAX ? chunk : begin_block(b);
}

static uint32_t took_cold(struct hri_blocks *b, struct hri_home *home, uint32_t chunk)
{
    uint32_t cold = hri_load_relaxed(&home->cold);

    hri_blocks_note_used(b, chunk / HRI_BLOCK_CHUNKS + 1);
    hri_store_relaxed(&home->chunk, chunk);
    hri_store_relaxed(&home->filling, chunk / HRI_BLOCK_CHUNKS + 1);
    if (cold < HRI_BLOCK_CHUNKS)
        hri_store_relaxed(&home->cold, cold + 1);
    return chunk;
}

uint32_t hri_blocks_take_cold(struct hri_blocks *b, struct hri_home *home)
{
    uint32_t apart = take_apart(b, home);

    if (apart != HRI_NO_CHUNK)
        return took_cold(b, home, apart);
    for (uint32_t word = 0; word < (b->count + 63) / 64; word++) {
        uint64_t bits = ~hri_load_relaxed(&b->full_summary[word]); /* relaxed: a hint */

        for (; bits != 0; bits &= bits - 1) {
            uint32_t block = word * 64 + (uint32_t)__builtin_ctzll(bits), chunk;

            if (block >= b->count)
                return HRI_NO_CHUNK;
            chunk = take_cold_of(b, block);
            if (chunk != HRI_NO_CHUNK)
                return took_cold(b, home, chunk);
            if (hri_taken_of(hri_load_relaxed(&b->table[block].state)) == UINT32_MAX)
                note_full(b, block);
        }
    }
    return HRI_NO_CHUNK;
}

bool hri_blocks_is_ready(const struct hri_blocks *b, uint32_t chunk)
{
    uint64_t state =
        hri_load_relaxed(&b->table[chunk / HRI_BLOCK_CHUNKS].state); /* relaxed: a look */

    return ((~hri_taken_of(state) & hri_warm_of(state)) >> (chunk % HRI_BLOCK_CHUNKS) & 1) != 0;
}

bool hri_blocks_take_this(struct hri_blocks *b, uint32_t chunk)
{
    struct hri_block *at = &b->table[chunk / HRI_BLOCK_CHUNKS];
    uint32_t bit = UINT32_C(1) << (chunk % HRI_BLOCK_CHUNKS);
    uint64_t state = hri_load_relaxed(&at->state); /* relaxed: a guess, decided by the CAS */

    while ((hri_taken_of(state) & bit) == 0 && (hri_warm_of(state) & bit) != 0)
        if (hri_cas_acquire(&at->state, &state, state | hri_taken_bits(bit))) /* PAIR chunk-1 */
            return true;
    return false;
}

uint32_t hri_blocks_put_bits(struct hri_blocks *b, uint32_t block, uint32_t bits, bool cold)
{
    uint64_t clear = hri_taken_bits(bits) | (cold ? hri_warm_bits(bits) : 0);
    /* PAIR chunk-1: acquired by the next take. Sequentially consistent for PAIR summary-1 and PAIR summary-2. */
    uint64_t state = hri_fetch_and_seq_cst(&b->table[block].state, ~clear);

    if ((hri_warm_of(state & ~clear) & bits) != 0)
        note_warm(b, block);
    if (hri_taken_of(state) == UINT32_MAX)
        note_not_full(b, block);
    return hri_taken_of(state) & bits;
}

bool hri_blocks_put(struct hri_blocks *b, uint32_t chunk)
{
    return hri_blocks_put_bits(b, chunk / HRI_BLOCK_CHUNKS,
                               UINT32_C(1) << (chunk % HRI_BLOCK_CHUNKS), false) != 0;
}

void hri_blocks_put_cold(struct hri_blocks *b, uint32_t chunk)
{
    hri_blocks_put_bits(b, chunk / HRI_BLOCK_CHUNKS, UINT32_C(1) << (chunk % HRI_BLOCK_CHUNKS),
                        true);
}

/* ---- purge ---- */

uint32_t hri_blocks_take_cold_bits(struct hri_blocks *b, uint32_t block, uint32_t bits)
{
    struct hri_block *at = &b->table[block];
    uint64_t state = hri_load_relaxed(&at->state); /* relaxed: a guess, decided by the CAS */

    while ((bits &= ~hri_taken_of(state) & ~hri_warm_of(state)) != 0)
        if (hri_cas_acquire(&at->state, &state, state | hri_taken_bits(bits))) /* PAIR chunk-1 */
            break;
    return bits;
}

void hri_blocks_untake_bits(struct hri_blocks *b, uint32_t block, uint32_t bits)
{
    hri_blocks_put_bits(b, block, bits, false);
}

bool hri_blocks_claim(struct hri_blocks *b, uint32_t block, uint64_t *state)
{
    struct hri_block *at = &b->table[block];

    *state = hri_load_relaxed(&at->state); /* relaxed: a guess, decided by the CAS */
    while (hri_taken_of(*state) == 0 && hri_warm_of(*state) != 0)
        if (hri_cas_acquire(&at->state, state, *state | HRI_TAKEN_ALL)) /* PAIR chunk-1 */
            return true;
    return false;
}

void hri_blocks_purged(struct hri_blocks *b, uint32_t block)
{
    hri_blocks_put_bits(b, block, UINT32_MAX, true);
}

void hri_blocks_unpurged(struct hri_blocks *b, uint32_t block)
{
    hri_blocks_put_bits(b, block, UINT32_MAX, false);
}

bool hri_blocks_find_free(const struct hri_blocks *b, uint32_t *block, int *looks)
{
    /* Relaxed all over: a look. */
    for (uint32_t word = (*block + 63) / 64; word-- > 0;) {
        uint64_t bits = hri_load_relaxed(&b->warm_summary[word]);

        if (*block < word * 64 + 64)
            bits &= summary_bit(*block) - 1;
        for (; bits != 0; bits &= summary_bit(*block) - 1) {
            uint64_t state;

            if ((*looks)-- <= 0)
                return false;
            *block = word * 64 + 63 - (uint32_t)__builtin_clzll(bits);
            state = hri_load_relaxed(&b->table[*block].state);
            if (hri_taken_of(state) == 0 && hri_warm_of(state) != 0)
                return true;
        }
        *block = word * 64;
    }
    return false;
}

/* ---- sums ---- */

void hri_blocks_count(const struct hri_blocks *b, uint64_t *taken, uint64_t *free_warm)
{
    uint32_t used = hri_load_relaxed(&b->used);

    *taken = *free_warm = 0;
    for (uint32_t block = 0; block < used; block++) {
        uint64_t state = hri_load_relaxed(&b->table[block].state); /* relaxed: a figure */

        *taken += (uint64_t)__builtin_popcount(hri_taken_of(state));
        *free_warm += (uint64_t)__builtin_popcount(~hri_taken_of(state) & hri_warm_of(state));
    }
}
