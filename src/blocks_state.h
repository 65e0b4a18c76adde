/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two halves of the table of blocks share: single chunks and purges in blocks.c, runs in blocks_runs.c. Layer 3. */
#ifndef HRI_BLOCKS_STATE_H
#define HRI_BLOCKS_STATE_H
#include "blocks.h"

/* ---- parts of a block's state ---- */

static inline uint32_t hri_taken_of(uint64_t state)
{
    return (uint32_t)state;
}

static inline uint32_t hri_warm_of(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static inline uint64_t hri_taken_bits(uint32_t bits)
{
    return bits;
}

static inline uint64_t hri_warm_bits(uint32_t bits)
{
    return (uint64_t)bits << 32;
}

static inline uint32_t hri_lowest(uint32_t bits)
{
    return (uint32_t)__builtin_ctz(bits);
}

/* Who takes chunks without settling: the block is not idle any more. */
static inline void hri_block_note_touched(struct hri_block *at)
{
    if (HRI_UNLIKELY(hri_load_relaxed(&at->settler) >= HRI_SETTLER_SEEN)) /* relaxed: a hint */
        hri_store_relaxed(&at->settler, HRI_SETTLER_NONE);
}

/* ---- what both do to it ---- */

/* Clears taken and, if asked, warm bits of one block; which were taken. */
uint32_t hri_blocks_put_bits(struct hri_blocks *blocks, uint32_t block, uint32_t bits, bool cold);

/* So many blocks, from the first one on, are or have been in use. */
void hri_blocks_note_used(struct hri_blocks *blocks, uint32_t count);

#endif
