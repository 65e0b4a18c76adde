/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of 2 MiB blocks: which of their 32 chunks are taken, which hold memory. Layer 3.
 *
 * A block's state is one 64-bit word: bit c (0 to 31) says that chunk c is taken, bit 32 + c that it is warm (holds
 * memory). All zero: free, never used. Chunks are named by their index in the region. */
#ifndef HRI_BLOCKS_H
#define HRI_BLOCKS_H
#include "atomics.h"

#define HRI_CHUNK        ((size_t)65536)
#define HRI_BLOCK        ((size_t)2 << 20)
#define HRI_BLOCK_CHUNKS 32u
#define HRI_TAKEN_ALL    UINT64_C(0x00000000ffffffff)
#define HRI_NO_CHUNK     UINT32_MAX

/* Settlers that are no thread. */
#define HRI_SETTLER_NONE 0u
#define HRI_SETTLER_SEEN 0xfffffffeu /* none, and the block was free when somebody looked */
#define HRI_SETTLER_IDLE 0xffffffffu /* the same at two looks in a row */

/* What the table keeps of a chunk, or of a run under its first chunk; written by who holds it. */
struct hri_extent {
    uint32_t next;   /* atomic; the holder's list: index + 1 of the next extent, 0: last */
    uint32_t length; /* atomic; chunks */
    uint64_t dirty;  /* atomic; bytes from the start that may not be zero; the rest is */
};

struct hri_block {
    uint64_t state;     /* atomic */
    uint64_t committed; /* atomic; whether it is usable, by huge pages or not, and what those hold
                                      beyond what is warm: commit.h */
    uint32_t settler;   /* atomic; a hint: the thread that took chunks here, or below */
    uint32_t advice;    /* atomic; a hint: what the OS was told of huge pages */
    uint8_t raw[HRI_BLOCK_CHUNKS]; /* atomic; 1: a raw chunk of the application's; written by who
                                      holds it, in the line that it has just taken */
    struct hri_extent extents[HRI_BLOCK_CHUNKS] HRI_ALIGNED;
} HRI_ALIGNED;

struct hri_blocks {
    struct hri_block *table;
    uint32_t count; /* blocks of the region */
    uint64_t *
        warm_summary; /* atomic bits; 0: the block has no chunk that is free and warm; 1: it may have */
    uint64_t *full_summary;    /* atomic bits; 1: the block has no free chunk; 0: it may have */
    uint32_t used HRI_ALIGNED; /* atomic; blocks from here on have never been used */
};

static inline struct hri_extent *hri_extent(const struct hri_blocks *blocks, uint32_t chunk)
{
    return &blocks->table[chunk / HRI_BLOCK_CHUNKS].extents[chunk % HRI_BLOCK_CHUNKS];
}

/* Of the run of *length chunks from *chunk on, the bits that lie in the first one's block, one for each chunk; *chunk and
 * *length go on to the next block. */
static inline uint32_t hri_run_bits(uint32_t *chunk, uint32_t *length)
{
    uint32_t first = *chunk % HRI_BLOCK_CHUNKS, room = HRI_BLOCK_CHUNKS - first;
    uint32_t n = *length < room ? *length : room;

    *chunk += n;
    *length -= n;
    return (uint32_t)((UINT64_C(1) << n) - 1) << first;
}

/* Where a thread takes its chunks: hints, in a line that it alone writes (threads beyond the shards share one, and find
 * it changed at any time). What it used last is in its core's cache, and
 * what another thread used is not: two threads that swap chunks pay more for that than for all else. */
struct hri_home {
    uint32_t chunk;   /* atomic; the one that it took or put last */
    uint32_t filling; /* atomic; + 1: the block that it last took a chunk of that was not warm */
    uint32_t cold;    /* atomic; how many such chunks it has taken, up to a block of them */
};

/* What hri_blocks_take_warm looks at first, inline: the chunk that the thread took or put last. HRI_NO_CHUNK: it is not
 * to be had. (Threads that share a home change it meanwhile: what is returned is what was taken.) */
static inline uint32_t hri_blocks_retake(struct hri_blocks *blocks, const struct hri_home *home,
                                         uint32_t me)
{
    uint32_t wanted = hri_load_relaxed(&home->chunk);
    struct hri_block *block = &blocks->table[wanted / HRI_BLOCK_CHUNKS];
    uint64_t taken = UINT64_C(1) << (wanted % HRI_BLOCK_CHUNKS), warm = taken << 32;
    uint64_t state = hri_load_relaxed(&block->state); /* relaxed: a guess, decided by the CAS */

    if (HRI_LIKELY((state & (taken | warm)) == warm && hri_load_relaxed(&block->settler) == me) &&
        hri_cas_acquire(&block->state, &state,
                        state | taken)) /* PAIR chunk-1: released by the put */
        return wanted;
    return HRI_NO_CHUNK;
}

/* Takes a chunk that is free and warm. Thread `me` (not 0) looks first where it has put or taken one, then in other
 * blocks where it has settled, then where nobody has, then anywhere, and settles where it finds one. HRI_NO_CHUNK: there
 * is none, or others were faster. */
uint32_t hri_blocks_take_warm(struct hri_blocks *blocks, struct hri_home *home, uint32_t me);

/* Takes a free chunk that is not warm and makes it so; the caller has charged it. It is the lowest that there is; but a
 * thread that has taken a block of them goes on where it was, and then in the lowest block that nobody is at, unless
 * home->filling is 0. HRI_NO_CHUNK: the region is full. */
uint32_t hri_blocks_take_cold(struct hri_blocks *blocks, struct hri_home *home);

/* Whether that may be another one than the lowest. */
static inline bool hri_blocks_fills_apart(const struct hri_home *home)
{
    return hri_load_relaxed(&home->filling) != 0 &&
           hri_load_relaxed(&home->cold) >= HRI_BLOCK_CHUNKS; /* relaxed: hints */
}

/* Where `length` adjacent chunks are free, at most `budget` of them cold, warm ones first. A look. HRI_NO_CHUNK: nowhere;
 * *over_budget: but with more cold ones. */
uint32_t hri_blocks_find_run(const struct hri_blocks *blocks, uint32_t length, uint64_t budget,
                             bool *over_budget);

/* Whether the `length` chunks from `chunk` on are free, at most `budget` of them cold, and none if a run of `instead`
 * chunks might be had warm. A look. */
bool hri_blocks_may_take(const struct hri_blocks *blocks, uint32_t chunk, uint32_t length,
                         uint64_t budget, uint32_t instead);

/* Takes the `length` chunks from `chunk` on, block by block; *cold is how many of them are not warm, which the caller
 * charges and then marks with hri_blocks_warm, or gives back with hri_blocks_untake. False: one was not free any more, and
 * what was taken has been given back. */
bool hri_blocks_take_run(struct hri_blocks *blocks, uint32_t chunk, uint32_t length,
                         uint64_t *cold);
void hri_blocks_warm(struct hri_blocks *blocks, uint32_t chunk, uint32_t length);
void hri_blocks_untake(struct hri_blocks *blocks, uint32_t chunk, uint32_t length);

/* Where a run has room to become twice as long: the start of as many blocks of which nothing is taken, warm where the run
 * would lie if there are such. HRI_NO_CHUNK: there are none. A guess. */
uint32_t hri_blocks_find_room(const struct hri_blocks *blocks, uint32_t length);

/* Marks a chunk cold and free that the caller holds; *warm bits lost are the caller's to refund. */
void hri_blocks_put_cold(struct hri_blocks *blocks, uint32_t chunk);

/* Frees a chunk. False: it was free already; nothing has changed. */
bool hri_blocks_put(struct hri_blocks *blocks, uint32_t chunk);

/* Takes those of the block's chunks in `bits` that are free and not warm, and puts them again as they are. */
uint32_t hri_blocks_take_cold_bits(struct hri_blocks *blocks, uint32_t block, uint32_t bits);
void hri_blocks_untake_bits(struct hri_blocks *blocks, uint32_t block, uint32_t bits);

/* Claims a whole block of which no chunk is taken and some are warm, for a purge. False: it is not so. *state is the
 * block's state before. hri_blocks_purged ends the claim with nothing warm, hri_blocks_unpurged with what was. */
bool hri_blocks_claim(struct hri_blocks *blocks, uint32_t block, uint64_t *state);
void hri_blocks_purged(struct hri_blocks *blocks, uint32_t block);
void hri_blocks_unpurged(struct hri_blocks *blocks, uint32_t block);

/* Lowers *block to the next one of which no chunk is taken and some are warm, looking at no more than *looks blocks,
 * which it counts down. False: there is none down to block 0, or within the looks. A look, no claim. */
bool hri_blocks_find_free(const struct hri_blocks *blocks, uint32_t *block, int *looks);

/* Takes one particular chunk if it is free and warm. hri_blocks_is_ready: whether it is. A look. */
bool hri_blocks_take_this(struct hri_blocks *blocks, uint32_t chunk);
bool hri_blocks_is_ready(const struct hri_blocks *blocks, uint32_t chunk);

/* Sums, in chunks, over all blocks ever used; exact when nobody takes or puts. */
void hri_blocks_count(const struct hri_blocks *blocks, uint64_t *taken, uint64_t *free_warm);

#endif
