/* SPDX-License-Identifier: BSD-2-Clause */
/* What of the free memory stays warm, and what goes back to the OS when. Layer 3.
 *
 * Memory goes back by whole free blocks: a chunk inside a huge page frees nothing, and makes the next touch dearer.
 *
 * Once a second, by harena_provider_tick or by whoever comes by on a slow path, a look at the free blocks says how many
 * are due: half of those that nobody has touched since the last look, and what lies above `retain_percent` of the recent
 * peak in use, never below the ballast. They go back at once in harena_provider_tick, else one at each operation that
 * passes by, so that no request waits for more than one.
 *
 * Whether a block was touched is told by its `settler`: the look turns it to SEEN, the next one to IDLE; who takes a chunk
 * there settles, or clears it. All of this is hints: a race makes a block go earlier or later, no more. */
#include "retention.h"
#include "commit.h"
#include "guard.h"
#include "limit.h"
#include "os.h"
#include "probe.h"
#include "sanitizer.h"
#include "trace.h"

#include <errno.h>

enum {
    PEAK_DECAY = 4,  /* at each tick the recent peak loses a quarter of what it is above the use */
    STEP_LOOKS = 64, /* blocks that one step looks at */
};

/* ---- purge ---- */

/* The application's page source may write where it purges, and in a block that has gone back when it commits it again. */
static bool purge(harena_provider *p, char *at, size_t bytes)
{
    int error;

    if (p->source.purge == NULL)
        return false;
    hri_show(at, bytes);
    error = p->source.purge(p->source.ctx, at, bytes);
    if (error != 0 || bytes != HRI_BLOCK || !p->own_source || p->source.commit == NULL)
        hri_hide(at, bytes);
    return error == 0;
}

/* Bytes that a purge of this block would give back if it is free; else 0. A look. */
static uint64_t bytes_to_purge(const harena_provider *p, uint32_t block)
{
    uint64_t state = hri_load_relaxed(&p->blocks.table[block].state); /* relaxed: a look */

    return (state & HRI_TAKEN_ALL) == 0 ? (uint64_t)__builtin_popcountll(state >> 32) * HRI_CHUNK
                                        : 0;
}

/* Claims a free block. Ended by purge_claimed or unclaim. */
static bool claim(harena_provider *p, uint32_t block, uint64_t *state)
{
    if (bytes_to_purge(p, block) == 0)
        return false;
    hri_limit_begin_hold(p);
    if (hri_blocks_claim(&p->blocks, block, state))
        return true;
    hri_limit_end_hold(p, false);
    return false;
}

static void unclaim(harena_provider *p, uint32_t block)
{
    hri_blocks_unpurged(&p->blocks, block);
    hri_commit_look(p);
    hri_limit_end_hold(p, true);
}

/* Gives the memory of one claimed block back. */
static bool purge_claimed(harena_provider *p, uint32_t block, uint64_t state)
{
    uint64_t chunks = (uint64_t)__builtin_popcountll(state >> 32);
    struct hri_block *at = &p->blocks.table[block];

    if (!purge(p, p->region + (size_t)block * HRI_BLOCK, HRI_BLOCK)) {
        unclaim(p, block);
        return false;
    }
    if (p->source.zeroed)
        for (uint32_t i = 0; i < HRI_BLOCK_CHUNKS; i++)
            at->extents[i].dirty = 0;
    hri_commit_purged(p, block);
    hri_store_relaxed(&at->settler, HRI_SETTLER_NONE); /* relaxed: a hint */
    hri_blocks_purged(&p->blocks, block);
    hri_limit_refund(p, chunks);
    hri_limit_end_hold(p, true);
    hri_fetch_add_relaxed(&p->purges, chunks); /* relaxed: a figure */
    HRI_PROBE(purge, p->name, HRI_BLOCK);
    return true;
}

/* Whether so many bytes are free and warm, without what anybody has claimed: from the lowest block up, until there are. */
static bool free_holds(const harena_provider *p, uint64_t bytes)
{
    uint32_t blocks = hri_load_relaxed(&p->blocks.used);
    uint64_t found = 0, state;

    for (uint32_t block = 0; found < bytes && block < blocks; block++) {
        state = hri_load_relaxed(&p->blocks.table[block].state); /* relaxed: a look */
        found += (uint64_t)__builtin_popcountll((state >> 32) & ~state & HRI_TAKEN_ALL) * HRI_CHUNK;
    }
    return found >= bytes;
}

/* Purges whole free blocks, high addresses first, until no more than `keep` bytes are free and warm, or so many chunks can
 * be charged (0: however many), but none that would leave less than `least`. *holds is raised by each that it claims. */
static size_t purge_blocks(harena_provider *p, uint64_t keep, uint64_t least, uint32_t room,
                           uint32_t *holds)
{
    uint32_t block = hri_load_relaxed(&p->blocks.used);
    uint64_t taken, free_warm, left, state, done = 0;
    int looks = INT32_MAX;

    if (p->source.purge == NULL)
        return 0;
    hri_blocks_count(&p->blocks, &taken, &free_warm);
    left = free_warm * HRI_CHUNK;
    while (left > hri_max(keep, least) && hri_blocks_find_free(&p->blocks, &block, &looks)) {
        uint64_t bytes = hri_min(bytes_to_purge(p, block), left);

        if (room != 0 && hri_limit_budget(p) >= room)
            break;
        if (left - bytes < least || !claim(p, block, &state))
            continue;
        if (!free_holds(p, least)) { /* others purge, too */
            unclaim(p, block);
            break;
        }
        ++*holds;
        if (!purge_claimed(p, block, state))
            break;
        bytes = hri_min((uint64_t)__builtin_popcountll(state >> 32) * HRI_CHUNK, left);
        left -= bytes;
        done += bytes;
    }
    return done;
}

/* Purges one chunk if it is free and warm; how many that were. *refused: the OS or the page source does not. */
static uint64_t purge_chunk(harena_provider *p, uint32_t chunk, bool *refused)
{
    if (!hri_blocks_take_this(&p->blocks, chunk))
        return 0;
    if (!hri_commit_small(p, chunk / HRI_BLOCK_CHUNKS)) {
        hri_blocks_put(&p->blocks, chunk);
        return 0;
    }
    if (!purge(p, hri_chunk_address(p, chunk), HRI_CHUNK)) {
        hri_blocks_put(&p->blocks, chunk);
        *refused = true;
        return 0;
    }
    if (p->source.zeroed)
        hri_provider_extent(p, chunk)->dirty = 0;
    hri_blocks_put_cold(&p->blocks, chunk);
    hri_limit_refund(p, 1);
    hri_fetch_add_relaxed(&p->purges, 1); /* relaxed: a figure */
    HRI_PROBE(purge, p->name, HRI_CHUNK);
    return 1;
}

/* Purges up to `chunks` single chunks: dear, and only for a run that would not get below the hard limit otherwise. *holds is
 * raised by each that it tries. How many went back. */
static uint64_t purge_chunks(harena_provider *p, uint64_t chunks, uint32_t *holds)
{
    uint32_t end = hri_load_relaxed(&p->blocks.used) * HRI_BLOCK_CHUNKS;
    bool refused = p->source.purge == NULL;
    uint64_t left = chunks;

    for (uint32_t chunk = 0; chunk < end && left != 0 && !refused; chunk++) {
        if (!hri_blocks_is_ready(&p->blocks, chunk))
            continue;
        hri_limit_begin_hold(p);
        left -= purge_chunk(p, chunk, &refused);
        hri_limit_end_hold(p, true);
        ++*holds;
    }
    return chunks - left;
}

bool hri_retention_make_room(harena_provider *p, uint32_t length, uint32_t *seen)
{
    uint64_t taken, free_warm, budget = hri_limit_budget(p);
    uint32_t before;
    size_t purged;

    hri_blocks_count(&p->blocks, &taken, &free_warm);
    if (budget < length && free_warm < length - budget)
        return true;
    before = *seen;
    purged = purge_blocks(p, 0, 0, length, seen);
    if (hri_limit_budget(p) < length)
        purged += purge_chunks(p, length, seen) * HRI_CHUNK;
    if (purged != 0)
        HRI_TRACE("trim provider=%s limit=hard bytes=%zu", p->name, purged);
    return purged != 0 || *seen == before;
}

/* Whether the free blocks but this one (HRI_NO_CHUNK: all of them) hold so many bytes. A look. */
static bool free_blocks_hold(const harena_provider *p, uint64_t bytes, uint32_t but)
{
    uint32_t block = hri_load_relaxed(&p->blocks.used);
    uint64_t found = 0;
    int looks = INT32_MAX;

    while (found < bytes && hri_blocks_find_free(&p->blocks, &block, &looks))
        found += block != but ? bytes_to_purge(p, block) : 0;
    return found >= bytes;
}

/* Claims a free block that is not needed for the ballast: looked at before, so that no claim is in vain, and after, because
 * others claim too. */
static bool claim_surplus(harena_provider *p, uint32_t block, uint64_t *state)
{
    if (bytes_to_purge(p, block) == 0 || !free_blocks_hold(p, p->ballast, block) ||
        !claim(p, block, state))
        return false;
    if (free_blocks_hold(p, p->ballast, block))
        return true;
    unclaim(p, block);
    return false;
}

/* ---- one block at a time ---- */

/* `blocks` are due; `any` of them also if they were touched lately, when no others are left. */
static void make_due(harena_provider *p, uint32_t blocks, uint32_t any)
{
    hri_store_relaxed(&p->hand, hri_load_relaxed(&p->blocks.used)); /* relaxed: hints */
    hri_store_relaxed(&p->due_any, any);
    hri_store_relaxed(&p->spares_touched, 1);
    hri_store_relaxed(&p->due, blocks);
}

static void count_down(uint32_t *word)
{
    uint32_t seen = hri_load_relaxed(word);

    while (seen != 0 && !hri_cas_relaxed(word, &seen, seen - 1)) /* relaxed: a hint */
        continue;
}

static bool is_due(harena_provider *p, uint32_t block)
{
    return hri_load_relaxed(&p->spares_touched) == 0 ||
           hri_load_relaxed(&p->blocks.table[block].settler) == HRI_SETTLER_IDLE;
}

/* The hand has come down to the first block. */
static void go_around_again(harena_provider *p)
{
    if (hri_load_relaxed(&p->spares_touched) == 0 || hri_load_relaxed(&p->due_any) == 0) {
        hri_store_relaxed(&p->due, 0); /* what was due is in use again */
        return;
    }
    hri_store_relaxed(&p->due, hri_load_relaxed(&p->due_any));
    hri_store_relaxed(&p->hand, hri_load_relaxed(&p->blocks.used));
    hri_store_relaxed(&p->spares_touched, 0);
}

void hri_retention_step(harena_provider *p)
{
    uint32_t hand = hri_load_relaxed(&p->hand), before = hand; /* relaxed all over: hints */
    int looks = STEP_LOOKS, saved = errno;
    uint64_t state;

    while (hri_blocks_find_free(&p->blocks, &hand, &looks)) {
        if (!is_due(p, hand) || !claim_surplus(p, hand, &state))
            continue;
        if (purge_claimed(p, hand, state)) {
            HRI_TRACE("trim provider=%s due=%u bytes=%zu", p->name, hri_load_relaxed(&p->due),
                      (size_t)__builtin_popcountll(state >> 32) * HRI_CHUNK);
            count_down(&p->due);
            count_down(&p->due_any);
        } else {
            hri_store_relaxed(&p->due, 0); /* the OS or the page source refuses */
        }
        break;
    }
    if (hand == 0)
        go_around_again(p);
    else
        hri_cas_relaxed(&p->hand, &before, hand);
    errno = saved;
}

void hri_retention_press(harena_provider *p, uint64_t bytes)
{
    uint32_t blocks = (uint32_t)hri_min((bytes + HRI_BLOCK - 1) / HRI_BLOCK, UINT32_MAX);

    make_due(p, blocks, blocks);
}

void hri_retention_put_above_soft(harena_provider *p, uint32_t chunk, uint32_t length)
{
    uint32_t first = chunk / HRI_BLOCK_CHUNKS, last = (chunk + length - 1) / HRI_BLOCK_CHUNKS;
    int saved = errno;
    uint64_t state;

    for (uint32_t block = last + 1; block-- > first && hri_limit_above_soft(p) != 0;)
        if (claim_surplus(p, block, &state) && purge_claimed(p, block, state))
            HRI_TRACE("trim provider=%s limit=soft bytes=%zu", p->name,
                      (size_t)__builtin_popcountll(state >> 32) * HRI_CHUNK);
    errno = saved;
}

/* ---- once a second ---- */

/* What a look finds. */
struct sight {
    uint64_t free;        /* bytes in blocks that are free */
    uint64_t idle;        /* of them, in blocks that nobody has touched since the last look */
    uint32_t idle_blocks; /* and how many those are */
};

static struct sight look_at_blocks(harena_provider *p)
{
    uint32_t block = hri_load_relaxed(&p->blocks.used);
    struct sight sight = {0, 0, 0};
    int looks = INT32_MAX;

    while (hri_blocks_find_free(&p->blocks, &block, &looks)) {
        struct hri_block *at = &p->blocks.table[block];
        /* Relaxed: a figure, and hints. */
        uint64_t warm = (uint64_t)__builtin_popcountll(hri_load_relaxed(&at->state) >> 32);
        bool untouched = hri_load_relaxed(&at->settler) >= HRI_SETTLER_SEEN;

        sight.free += warm * HRI_CHUNK;
        if (untouched) {
            sight.idle += warm * HRI_CHUNK;
            sight.idle_blocks++;
        }
        hri_store_relaxed(&at->settler, untouched ? HRI_SETTLER_IDLE : HRI_SETTLER_SEEN);
    }
    return sight;
}

/* Bytes of free blocks that may stay: the percentage of the recent peak in use, which this call lets decay. */
static uint64_t may_stay(harena_provider *p, const struct sight *sight)
{
    uint64_t committed = hri_load_relaxed(&p->committed);
    uint64_t use = committed > sight->idle ? committed - sight->idle : 0;
    uint64_t peak = hri_load_relaxed(&p->recent_peak); /* relaxed: who ticks has it alone */

    peak = peak > use ? peak - (peak - use + PEAK_DECAY - 1) / PEAK_DECAY : use;
    hri_store_relaxed(&p->recent_peak, peak);
    return peak / 100 * p->retain_percent + peak % 100 * p->retain_percent / 100;
}

static void decide(harena_provider *p)
{
    struct sight sight;
    uint64_t stay, surplus = 0, half, most;

    hri_guard_age(p);
    if (p->retain_percent == HARENA_RETAIN_ALL)
        return;
    sight = look_at_blocks(p);
    stay = may_stay(p, &sight);
    half = (sight.idle_blocks + 1) / 2;
    if (sight.free > stay)
        surplus = (sight.free - stay + HRI_BLOCK - 1) / HRI_BLOCK;
    most = UINT32_MAX;
    if (p->ballast != 0)
        most = sight.free > p->ballast ? (sight.free - p->ballast) / HRI_BLOCK : 0;
    surplus = hri_min(surplus, most);
    make_due(p, (uint32_t)hri_max(surplus, hri_min(half, most)), (uint32_t)surplus);
}

/* Whether it is this thread that ticks now; *left: milliseconds until the next tick. */
static bool is_time(harena_provider *p, uint64_t *left)
{
    uint64_t now = hri_os.milliseconds(), next = hri_load_relaxed(&p->next_tick);

    /* More than a tick if this thread has been preempted since it looked at the clock, and another one has ticked. */
    *left = next > now ? hri_min(next - now, HRI_TICK_MS) : HRI_TICK_MS;
    return now >= next && hri_cas_relaxed(&p->next_tick, &next,
                                          now + HRI_TICK_MS); /* relaxed: decides who, no more */
}

void hri_retention_look(harena_provider *p)
{
    uint64_t left;

    if (p->retain_percent == HARENA_RETAIN_ALL && !hri_guard_holds(p))
        return;
    if (is_time(p, &left))
        decide(p);
}

/* Whether a later tick may give something back. */
static bool has_more(const harena_provider *p)
{
    return p->retain_percent != HARENA_RETAIN_ALL && p->source.purge != NULL &&
           free_blocks_hold(p, p->ballast != 0 ? (uint64_t)p->ballast + HRI_BLOCK : 1,
                            HRI_NO_CHUNK);
}

int harena_provider_tick(harena_provider *provider)
{
    harena_provider *p = hri_provider_or_default(provider);
    uint64_t left;

    if (p == NULL)
        return -1;
    if (is_time(p, &left)) {
        hri_names_look(&p->names);
        decide(p);
    }
    while (hri_load_relaxed(&p->due) != 0) /* each step counts it down, or lowers the hand */
        hri_retention_step(p);
    return has_more(p) || hri_guard_holds(p) ? (int)left : -1;
}

/* ---- at once ---- */

size_t harena_provider_trim(harena_provider *provider, size_t keep)
{
    harena_provider *p = hri_provider_or_default(provider);
    int saved = errno;
    uint32_t holds = 0;
    size_t bytes;

    if (p == NULL)
        return 0;
    if (keep == 0)
        hri_guard_flush(p);
    bytes = purge_blocks(p, keep, p->ballast, 0, &holds);
    HRI_TRACE("trim provider=%s keep=%zu bytes=%zu", p->name, keep, bytes);
    errno = saved;
    return bytes;
}
