/* SPDX-License-Identifier: BSD-2-Clause */
/* How blocks become usable, and whether by huge pages. Layer 3.
 *
 * A first touch out of a huge page costs a seventh of one by small pages, and brings 2 MiB at once. So HARENA_HUGE_AUTO
 * asks for huge pages where all of the block will be wanted: in each block that a run covers, and in those that single
 * chunks fill, or runs of 2, 4, 8 or 16, but for the first few blocks of the region, so that a process that uses one
 * chunk pays for one. The end of a long run keeps small pages: it must not bring 2 MiB for its last byte. So does a block
 * that a run of 17 chunks begins: the next one needs a block of its own, and nobody might ever want the other 15, which
 * no limit would have counted. */
#include "commit.h"
#include "os.h"

/* Blocks at the start of the region that single chunks fill by small pages: what huge pages may bring in vain, one block,
 * is then a fifth of what is in use at most. */
enum { SMALL_BLOCKS = 4 };

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
}

/* Whether the block is to have huge pages, of which the run that is being committed has `chunks` chunks of its `length`. */
static bool wants_huge(const harena_provider *p, uint32_t block, uint32_t chunks, uint32_t length)
{
    if (p->huge_pages != HARENA_HUGE_AUTO)
        return p->huge_pages == HARENA_HUGE_ON;
    return chunks == HRI_BLOCK_CHUNKS ||
           (chunks == length && HRI_BLOCK_CHUNKS % length == 0 && block >= SMALL_BLOCKS);
}

static void advise(harena_provider *p, uint32_t index, bool huge)
{
    struct hri_block *block = &p->blocks.table[index];
    uint32_t wanted = huge ? p->advice_huge : p->advice_small;

    if (wanted == HRI_ADVISE_NOTHING && hri_load_relaxed(&block->advice) == HRI_ADVISE_NOTHING)
        return;
    if (wanted == HRI_ADVISE_NOTHING)
        wanted = HRI_ADVISE_AGAINST;                /* advice cannot be taken back */
    if (hri_load_relaxed(&block->advice) == wanted) /* relaxed: a race costs a system call */
        return;
    hri_store_relaxed(&block->advice, wanted);
    hri_os.advise_huge(p->region + (size_t)index * HRI_BLOCK, HRI_BLOCK, wanted == HRI_ADVISE_FOR);
}

int hri_commit(harena_provider *p, uint32_t chunk, uint32_t length)
{
    uint32_t last = (chunk + length - 1) / HRI_BLOCK_CHUNKS;

    for (uint32_t i = chunk / HRI_BLOCK_CHUNKS; i <= last; i++) {
        struct hri_block *block = &p->blocks.table[i];
        size_t from = hri_max(chunk, i * HRI_BLOCK_CHUNKS);
        size_t end = hri_min(chunk + length, (i + 1) * HRI_BLOCK_CHUNKS);
        /* PAIR commit-1: set below, after the commit */
        uint32_t committed = hri_load_acquire(&block->committed);
        int error = 0;

        if (committed == HRI_COMMIT_SETTLED)
            continue;
        if (committed == HRI_COMMIT_NONE && p->source.commit != NULL)
            error = p->source.commit(p->source.ctx, p->region + (size_t)i * HRI_BLOCK, HRI_BLOCK);
        if (error != 0)
            return error;
        advise(p, i, wants_huge(p, i, (uint32_t)(end - from), length));
        hri_store_release(&block->committed, HRI_COMMIT_SETTLED); /* PAIR commit-1 */
    }
    return 0;
}
