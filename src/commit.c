/* SPDX-License-Identifier: BSD-2-Clause */
/* How blocks become usable, and whether by huge pages. Layer 3.
 *
 * A first touch out of a huge page costs a seventh of one by small pages, and brings 2 MiB at once. So HARENA_HUGE_AUTO
 * asks for huge pages where all of the block will be wanted: in each block that a run covers, and in those that single
 * chunks fill, or runs of 2, 4, 8 or 16, but for the first block of the region, so that a process that uses one
 * chunk pays for one. The end of a long run keeps small pages: it must not bring 2 MiB for its last byte. So does a block
 * that a run of 17 chunks begins: the next one needs a block of its own, and nobody might ever want the other 15.
 *
 * What huge pages hold and nobody has taken yet, no limit has counted. `beyond` of the provider counts it, and each block
 * has a bit for each such chunk. Where there is a hard limit, a block gets huge pages only if that has room for all of it;
 * and when others have taken that room, the free rest of such blocks goes back before anybody touches what was taken.
 *
 * 1. A block's bits are set by the one CAS that decides for huge pages, for all chunks but the decider's; each is turned
 *    off once, by who has taken its chunk and charged it, by who gives its chunk back, or by the purge of all the block.
 *    The sum is raised before, and lowered after. Without a limit takers leave the bits on: whoever sets one turns off
 *    those of warm chunks. What is taken, or goes back and comes again, at that very moment may be miscounted, until its
 *    block goes back.
 * 2. Everybody raises `committed` first (hri_limit_charge), then changes `beyond`, by read-modify-writes, then looks at the
 *    sum of both. Of two threads, the later one on `beyond` acquires what the earlier one has done (PAIR beyond-1) and
 *    sees both: no two pass the limit together unseen.
 * 3. Who sheds has taken the chunks, so nobody touches them; and has told the OS that no huge page is wanted there any
 *    more, which nobody contradicts: it begins when those who were telling the opposite have ended. Threads that shed at one
 *    time take different blocks; one that is suspended in here keeps one block from going back. In a region that is hardly
 *    larger than the limit somebody may meanwhile find no chunk at all, and waits as for a purge (limit.c). */
#include "commit.h"
#include "limit.h"
#include "os.h"

#include <errno.h>

/* Blocks at the start of the region that single chunks fill by small pages: what huge pages may bring in vain, one block,
 * is then a half of what the process holds at most. With more of them a first filling is slower: bench/README.md. */
enum { SMALL_BLOCKS = 1 };

enum { FIRST_STEP = 4, LARGEST_STEP = 64 }; /* blocks that the OS is asked for at once */

void hri_commit_init(harena_provider *p)
{
    unsigned modes = p->own_source ? 0 : hri_os.huge_modes();

    if (p->own_source)
        return;
    /* Advising against huge pages advises against those of 64 KiB too; so only where 2 MiB would come unasked. */
    if (p->huge_pages == HARENA_HUGE_OFF || (modes & HRI_OS_2M_ALWAYS) != 0)
        p->advice_small = HRI_ADVISE_AGAINST;
    else if ((modes & HRI_OS_2M_MADVISE) == 0 && (modes & HRI_OS_64K_MADVISE) != 0)
        p->advice_small = HRI_ADVISE_FOR;
    if (p->huge_pages != HARENA_HUGE_OFF)
        p->advice_huge = HRI_ADVISE_FOR;
    if (p->huge_pages == HARENA_HUGE_AUTO &&
        (modes & (HRI_OS_2M_ALWAYS | HRI_OS_2M_MADVISE | HRI_OS_64K_MADVISE)) == 0)
        p->advice_huge = HRI_ADVISE_NOTHING; /* the kernel has none, or gives them unasked */
    /* Of all the region at once what most blocks are to be: it spares calls during which nobody can touch new memory. */
    if (p->huge_pages == HARENA_HUGE_OFF)
        p->advice_all = HRI_ADVISE_AGAINST;
    else if (p->advice_small != HRI_ADVISE_NOTHING || (modes & HRI_OS_64K_ALWAYS) == 0)
        p->advice_all = p->advice_huge;
    if (p->advice_all != HRI_ADVISE_NOTHING &&
        hri_os.advise_huge(p->region, p->region_size, p->advice_all == HRI_ADVISE_FOR) != 0)
        p->advice_all = HRI_ADVISE_NOTHING; /* block by block, then */
}

static inline uint32_t kind_of(uint64_t committed)
{
    return (uint32_t)committed & (HRI_COMMIT_TOLD - 1);
}

static inline uint32_t beyond_of(uint64_t committed)
{
    return (uint32_t)(committed >> 32);
}

static inline uint64_t beyond_bits(uint32_t bits)
{
    return (uint64_t)bits << 32;
}

/* ---- advice ---- */

static void advise(harena_provider *p, uint32_t index, bool huge)
{
    struct hri_block *block = &p->blocks.table[index];
    uint32_t wanted = huge ? p->advice_huge : p->advice_small;
    uint32_t present = hri_load_relaxed(&block->advice); /* relaxed: a race costs a system call */

    if (present == HRI_ADVISE_NOTHING)
        present = p->advice_all;
    if (wanted == HRI_ADVISE_NOTHING && present != HRI_ADVISE_NOTHING)
        wanted = HRI_ADVISE_AGAINST; /* advice cannot be taken back */
    if (present == wanted)
        return;
    if (hri_os.advise_huge(p->region + (size_t)index * HRI_BLOCK, HRI_BLOCK,
                           wanted == HRI_ADVISE_FOR) == 0)
        hri_store_relaxed(&block->advice, wanted); /* not before: nobody is to rely on it sooner */
}

/* Tells the OS what has been decided; the caller counts as a teller. What the word is then. */
static uint64_t tell(harena_provider *p, uint32_t block, uint64_t seen)
{
    uint64_t *committed = &p->blocks.table[block].committed, told;

    advise(p, block, kind_of(seen) == HRI_COMMIT_HUGE);
    do
        told = (seen - HRI_COMMIT_TELLER) | HRI_COMMIT_TOLD;
    while (!hri_cas_acq_rel(committed, &seen, told)); /* PAIR commit-1 */
    return told;
}

/* Who finds that somebody else is telling it tells it, too, rather than wait. */
static uint64_t tell_too(harena_provider *p, uint32_t block, uint64_t seen)
{
    while ((seen & HRI_COMMIT_TOLD) == 0)
        if (hri_cas_acq_rel(&p->blocks.table[block].committed, &seen,
                            seen + HRI_COMMIT_TELLER)) /* PAIR commit-1 */
            return tell(p, block, seen + HRI_COMMIT_TELLER);
    return seen;
}

/* ---- back ---- */

/* Whether the hard limit is passed by what is committed and `beyond` together. */
static bool is_above(const harena_provider *p, uint64_t beyond)
{
    uint64_t limit = hri_load_relaxed(&p->limit);

    return limit != 0 && beyond != 0 &&
           hri_load_relaxed(&p->committed) + beyond * HRI_CHUNK > limit;
}

/* Turns off those of a block's bits; how many were on. */
static uint64_t turn_off(harena_provider *p, uint32_t block, uint32_t bits)
{
    uint64_t *committed = &p->blocks.table[block].committed;
    uint64_t seen = hri_load_relaxed(committed);

    /* Relaxed: nobody else turns them off, or on, while the caller has the chunks. */
    if ((beyond_of(seen) & bits) != 0)
        seen = hri_fetch_and_relaxed(committed, ~beyond_bits(bits));
    return (uint64_t)__builtin_popcount(beyond_of(seen) & bits);
}

bool hri_commit_small(harena_provider *p, uint32_t block)
{
    uint64_t *committed = &p->blocks.table[block].committed;
    uint64_t seen = hri_load_acquire(committed); /* PAIR commit-1 */

    while (kind_of(seen) == HRI_COMMIT_HUGE) {
        uint64_t small = beyond_bits(beyond_of(seen)) | HRI_COMMIT_SMALL;

        small += HRI_COMMIT_TELLER;
        if ((uint32_t)seen != (HRI_COMMIT_HUGE | HRI_COMMIT_TOLD))
            return false;                             /* what is told last must be this */
        if (hri_cas_acq_rel(committed, &seen, small)) /* PAIR commit-1 */
            seen = tell(p, block, small);
    }
    tell_too(p, block, seen);
    return true;
}

/* Gives back the memory of these chunks of a block, which the caller has taken. If the OS refuses, as old kernels do for
 * what is locked, there is no use in trying again. */
static void purge_bits(harena_provider *p, uint32_t block, uint32_t bits)
{
    for (; bits != 0; bits &= bits + (bits & -bits)) { /* all but the lowest ones side by side */
        uint32_t first = (uint32_t)__builtin_ctz(bits), above = ~(bits >> first);
        uint32_t length = above != 0 ? (uint32_t)__builtin_ctz(above) : HRI_BLOCK_CHUNKS;

        p->source.purge(p->source.ctx, hri_chunk_address(p, block * HRI_BLOCK_CHUNKS + first),
                        length * HRI_CHUNK);
    }
}

/* Takes what of the block huge pages hold and nobody has taken, and gives it back. False: somebody was telling the OS the
 * contrary, and has ended by now: once more. The block may have gone back since `bits` was read, as a whole: then there is
 * nothing to shed, and it is not for us to decide. */
static bool shed_bits(harena_provider *p, uint32_t block, uint32_t bits)
{
    uint64_t *committed = &p->blocks.table[block].committed;

    bits = hri_blocks_take_cold_bits(&p->blocks, block, bits);
    if (bits == 0)
        return true;
    /* Once decided, it stays so while the caller has chunks of it. */
    if (kind_of(hri_load_acquire(committed)) >= HRI_COMMIT_SMALL && /* PAIR commit-1 */
        hri_commit_small(p, block)) {
        purge_bits(p, block, bits);
        /* PAIR beyond-1: before the next look at what is committed */
        hri_fetch_sub_acq_rel(&p->beyond, turn_off(p, block, bits));
        hri_blocks_untake_bits(&p->blocks, block, bits);
        return true;
    }
    hri_blocks_untake_bits(&p->blocks, block, bits);
    /* PAIR commit-1: who decides or ends telling after this finds the chunks untaken, and sheds them */
    return (uint32_t)hri_fetch_or_acq_rel(committed, 0) >= HRI_COMMIT_TELLER;
}

static void shed_block(harena_provider *p, uint32_t block)
{
    uint32_t bits;
    bool is_done = false;

    while (!is_done) {
        bits =
            beyond_of(hri_load_relaxed(&p->blocks.table[block].committed)); /* relaxed: a guess */
        if (bits == 0)
            return;
        hri_limit_begin_hold(p);
        is_done = shed_bits(p, block, bits);
        hri_limit_end_hold(p, true);
    }
}

/* Gives back what huge pages hold beyond what is committed, of so many blocks that the limit has room for both. */
static HRI_COLD void shed(harena_provider *p)
{
    uint32_t block = hri_load_relaxed(&p->blocks.used);
    int saved = errno;

    while (block != 0 && is_above(p, hri_load_relaxed(&p->beyond)))
        shed_block(p, --block);
    errno = saved;
}

void hri_commit_look(harena_provider *p)
{
    /* PAIR beyond-1: after the chunks are untaken, and before the look at what is committed */
    if (hri_load_relaxed(&p->limit) != 0 && is_above(p, hri_fetch_add_acq_rel(&p->beyond, 0)))
        shed(p);
}

/* ---- commit ---- */

/* Whether the block is to have huge pages, of which the run that is being committed has `chunks` chunks of its `length`. */
static bool wants_huge(const harena_provider *p, uint32_t block, uint32_t chunks, uint32_t length)
{
    if (p->advice_huge != HRI_ADVISE_FOR || p->advice_small == HRI_ADVISE_FOR)
        return false; /* none of 2 MiB are to be had */
    if (p->huge_pages == HARENA_HUGE_ON)
        return true;
    return chunks == HRI_BLOCK_CHUNKS ||
           (chunks == length && HRI_BLOCK_CHUNKS % length == 0 && block >= SMALL_BLOCKS);
}

/* Counts `chunks` that a huge page will bring. False: the hard limit has no room for them. */
static bool count_beyond(harena_provider *p, uint64_t chunks)
{
    uint64_t seen = hri_load_relaxed(&p->beyond), limit = hri_load_relaxed(&p->limit);

    if (chunks == 0)
        return true;
    do {
        if (limit != 0 && hri_load_relaxed(&p->committed) + (seen + chunks) * HRI_CHUNK > limit)
            return false;
    } while (
        !hri_cas_relaxed(&p->beyond, &seen, seen + chunks)); /* relaxed: the caller looks again */
    return true;
}

/* Decides for huge pages or against, and tells it, if nobody has yet; what the word is then. The caller has taken `bits`,
 * of a run of `length` chunks. */
static uint64_t decide(harena_provider *p, uint32_t block, uint32_t bits, uint32_t length)
{
    uint64_t *committed = &p->blocks.table[block].committed;
    uint64_t seen = hri_load_acquire(committed), decided; /* PAIR commit-1 */
    uint32_t chunks = (uint32_t)__builtin_popcount(bits), others = HRI_BLOCK_CHUNKS - chunks;

    while (kind_of(seen) < HRI_COMMIT_SMALL) {
        bool huge = wants_huge(p, block, chunks, length) && count_beyond(p, others);

        decided = huge ? beyond_bits(~bits) | HRI_COMMIT_HUGE : HRI_COMMIT_SMALL;
        decided += HRI_COMMIT_TELLER;
        if (hri_cas_acq_rel(committed, &seen, decided)) /* PAIR commit-1 */
            return tell(p, block, decided);
        if (huge)
            hri_fetch_sub_relaxed(&p->beyond, others); /* relaxed: only the sum counts */
    }
    return seen;
}

/* Prepares one block of which the caller has taken `bits` for being touched. */
static void enter(harena_provider *p, uint32_t block, uint32_t bits, uint32_t length)
{
    /* PAIR commit-1: set when it is usable, and told */
    uint64_t seen = hri_load_acquire(&p->blocks.table[block].committed);

    if (HRI_UNLIKELY(kind_of(seen) < HRI_COMMIT_SMALL))
        seen = decide(p, block, bits, length);
    tell_too(p, block, seen);
}

/* Up to which block the OS is asked at once, where nobody has asked for this one: as much again as is in use, about, and no
 * more than the limit leaves. For the kernel stops all who touch new memory while it changes mappings. */
static uint32_t ahead(const harena_provider *p, uint32_t block)
{
    uint64_t most = p->region_size / HRI_BLOCK;
    uint32_t step = FIRST_STEP, end = block + 1;

    while (step <= block && step < LARGEST_STEP)
        step *= 2;
    most = hri_min(most, (block / step + 1) * (uint64_t)step);
    most = hri_min(most, end + hri_limit_budget(p) / HRI_BLOCK_CHUNKS);
    while (end < most && hri_load_relaxed(&p->blocks.table[end].committed) == HRI_COMMIT_NONE)
        end++; /* relaxed: what somebody has asked for meanwhile is asked for again */
    return end;
}

/* This block has just become usable: so do some more, if the OS likes. If a page that nobody has touched has memory, all
 * memory of the process is locked, and more would come at once. Nor where there is a quarantine: another thread may have
 * used a block meanwhile, and what it has released would be accessible again. */
static void make_more_usable(harena_provider *p, uint32_t block)
{
    /* A source's owner may count what is asked for. */
    bool alone = p->own_source || hri_load_relaxed(&p->guard) != NULL; /* relaxed: a hint */
    uint32_t end = alone ? 0 : ahead(p, block);
    char *next = p->region + (size_t)(block + 1) * HRI_BLOCK;
    int saved = errno;

    if (end > block + 1 && !hri_os.is_resident(next - HRI_CHUNK) &&
        hri_os.commit(next, (end - block - 1) * HRI_BLOCK) == 0) {
        while (++block < end) {
            uint64_t none = HRI_COMMIT_NONE;

            hri_cas_acq_rel(&p->blocks.table[block].committed, &none,
                            HRI_COMMIT_USABLE); /* PAIR commit-1 */
        }
    }
    errno = saved;
}

/* What may fail, for all of a run before anything is decided for any of it. */
static int make_usable(harena_provider *p, uint32_t block)
{
    /* PAIR commit-1: changed when that has been done */
    uint64_t seen = hri_load_acquire(&p->blocks.table[block].committed);

    int error;

    if (HRI_LIKELY(seen != HRI_COMMIT_NONE) || p->source.commit == NULL)
        return 0;
    error = p->source.commit(p->source.ctx, p->region + (size_t)block * HRI_BLOCK, HRI_BLOCK);
    if (error == 0)
        make_more_usable(p, block);
    return error;
}

/* Where there is a limit: what the caller has taken is not beyond `committed` any more, in which it is. */
static void count_off(harena_provider *p, uint32_t chunk, uint32_t length)
{
    uint64_t counted = 0, before;

    while (length != 0) {
        uint32_t block = chunk / HRI_BLOCK_CHUNKS;

        counted += turn_off(p, block, hri_run_bits(&chunk, &length));
    }
    /* PAIR beyond-1: after the charge, and before the look at what is committed */
    before = hri_fetch_sub_acq_rel(&p->beyond, counted);
    if (HRI_UNLIKELY(is_above(p, before - counted)))
        shed(p);
}

int hri_commit(harena_provider *p, uint32_t chunk, uint32_t length)
{
    uint32_t last = (chunk + length - 1) / HRI_BLOCK_CHUNKS;

    for (uint32_t block = chunk / HRI_BLOCK_CHUNKS; block <= last; block++) {
        int error = make_usable(p, block);

        if (error != 0)
            return error;
    }
    for (uint32_t at = chunk, left = length; left != 0;) {
        uint32_t block = at / HRI_BLOCK_CHUNKS;

        enter(p, block, hri_run_bits(&at, &left), length);
    }
    if (hri_load_relaxed(&p->limit) != 0)
        count_off(p, chunk, length);
    return 0;
}

/* ---- what others have done ---- */

void hri_commit_purged(harena_provider *p, uint32_t block)
{
    uint64_t *committed = &p->blocks.table[block].committed;
    /* The caller has the block alone, but for who lowers the limit: each bit is counted off by who turns it off. */
    uint64_t next =
        p->own_source ? HRI_COMMIT_NONE : HRI_COMMIT_USABLE; /* a source is asked again */
    uint64_t seen = hri_exchange_acq_rel(committed, next);   /* PAIR commit-1 */
    uint64_t chunks = (uint64_t)__builtin_popcount(beyond_of(seen));

    if (chunks != 0)
        hri_fetch_sub_relaxed(&p->beyond, chunks); /* relaxed: only the sum counts */
}

void hri_commit_limit(harena_provider *p)
{
    uint32_t used = hri_load_relaxed(&p->blocks.used);

    for (uint32_t block = 0; block < used; block++) {
        uint32_t warm = (uint32_t)(hri_load_relaxed(&p->blocks.table[block].state) >> 32);

        hri_fetch_sub_relaxed(&p->beyond,
                              turn_off(p, block, warm)); /* relaxed: only the sum counts */
    }
    shed(p);
}
