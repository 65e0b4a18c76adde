/* SPDX-License-Identifier: BSD-2-Clause */
/* Claims on the open chunk by fetch-add; what a generation takes from its provider, within its limit. Layer 6.
 *
 * `bump` is one word: the open chunk's index + 1 in its upper half, the bytes claimed of it in the lower. Any claim that
 * returns an offset below the chunk's size owns [offset, offset + claimed), cut at the chunk's end.
 *
 * 1. No overlap: fetch-add hands out disjoint intervals of one chunk, and the word says of which chunk.
 * 2. The end: intervals are consecutive, so exactly one claim begins below the end and reaches or crosses it: it owns
 *    the tail, and uses it if its object fits there.
 * 3. A claim is made only if the offset was seen below the end, so each thread drives the offset on at most once per
 *    chunk, by at most 32 KiB and a line: the upper half is out of reach (it would take 65,536 threads at once, more
 *    than have an identity).
 * 4. Publication: whoever finds the chunk exhausted takes a new one, claims its own part at its start, links it to the
 *    old one and publishes it by CAS (PAIR bump-1), which succeeds only while the same chunk is open, whatever its
 *    offset. Who loses gives its chunk back and goes on with the winner's. A chunk is published once per generation and
 *    never leaves it, so a value of the upper half does not come round again: no ABA.
 * 5. Memory: the publisher acquired the chunk from its last holder (PAIR chunk-1) and released it with the CAS; the
 *    fetch-add of each claimant acquires that. So the claimant's first write comes after the last holder's.
 * 6. Progress: a failed CAS or a lost offset means that another thread's claim succeeded. A thread that dies between
 *    taking a chunk and publishing it loses that chunk's memory; it blocks nobody, but delays who finds no other memory
 *    within the limit. */
#include "generation.h"
#include "limit.h"
#include "sanitizer.h"

#include <errno.h>

static inline uint32_t chunk_of(uint64_t bump)
{
    return (uint32_t)(bump >> 32);
}

static inline uint32_t offset_of(uint64_t bump)
{
    return (uint32_t)bump;
}

/* `charged` is one word where there is a limit: the bytes that are held or about to be in its lower part, above them how
 * many threads have charged and do not know yet whether they will keep it. */
#define IN_HAND (UINT64_C(1) << 48)

static inline uint64_t bytes_charged(uint64_t charged)
{
    return charged & (IN_HAND - 1);
}

static inline bool is_limited(const struct hri_generation *g)
{
    return g->limit != UINT64_MAX;
}

/* Counts bytes against the limit, in hand. False: no room; *in_hand: but others may give some back. */
static bool charge(struct hri_generation *g, uint64_t bytes, bool *in_hand)
{
    uint64_t seen;

    if (HRI_LIKELY(!is_limited(g)))
        return true;
    seen = hri_load_acquire(
        &g->charged); /* PAIR hand-1: what those did who have nothing in hand any more */
    do {
        if (bytes > g->limit || bytes_charged(seen) > g->limit - bytes) {
            *in_hand = bytes <= g->limit && seen >= IN_HAND;
            return false;
        }
    } while (
        !hri_cas_acq_rel(&g->charged, &seen, seen + bytes + IN_HAND)); /* PAIR hand-1: both ends */
    return true;
}

/* What the caller has charged is kept, and others can see what for. */
static void keep_charge(struct hri_generation *g)
{
    if (is_limited(g))
        hri_fetch_sub_acq_rel(&g->charged, IN_HAND); /* PAIR hand-1 */
}

/* What the caller has charged was in vain. */
static void give_charge_back(struct hri_generation *g, uint64_t bytes)
{
    if (is_limited(g))
        hri_fetch_sub_acq_rel(&g->charged, bytes + IN_HAND); /* PAIR hand-1 */
}

void hri_lease_refund(struct hri_generation *g, uint64_t bytes)
{
    if (is_limited(g))
        hri_fetch_sub_relaxed(&g->charged, bytes); /* relaxed: only the sum counts */
}

/* As charge, but where others have something in hand it waits a moment to see what becomes of it: of those who open a chunk
 * at once all but one give theirs back. False too if the open chunk is not `old` any more (NO_MATTER: whatever it is). */
#define NO_MATTER UINT32_MAX

static bool charge_patiently(struct hri_generation *g, uint64_t bytes, uint32_t old)
{
    unsigned waits = 0;
    bool in_hand = false;

    do {
        uint32_t seen = hri_load_acquire(&g->provider->reclaims); /* PAIR reclaims-1 */

        if (charge(g, bytes, &in_hand))
            return true;
        if (old != NO_MATTER && chunk_of(hri_load_acquire(&g->bump)) != old) /* PAIR bump-1 */
            return false;
        in_hand = in_hand && hri_limit_wait(g->provider, seen, &waits);
    } while (in_hand);
    return false;
}

static HRI_COLD uint32_t refuse(struct hri_generation *g, uint64_t bytes)
{
    hri_provider_event(g->provider, HARENA_EVENT_LIMIT, ENOMEM, bytes, g->name,
                       "the shared arena's limit is reached");
    errno = ENOMEM;
    return HRI_NO_CHUNK;
}

/* What has been charged; it stays in hand if it is to be had. */
static uint32_t get_charged(struct hri_generation *g, uint32_t length, bool roomy)
{
    uint32_t chunk = roomy ? hri_run_get_roomy(g->provider, length, g->name)
                           : hri_run_get(g->provider, length, g->name);

    if (chunk == HRI_NO_CHUNK)
        give_charge_back(g, length * HRI_CHUNK);
    else
        hri_name_took(g->sums, length * HRI_CHUNK);
    return chunk;
}

bool hri_lease_is_limited(const struct hri_generation *g)
{
    return is_limited(g);
}

uint32_t hri_lease_chunk(struct hri_generation *g)
{
    uint32_t chunk;
    bool in_hand;

    if (!charge(g, HRI_CHUNK, &in_hand)) {
        errno = ENOMEM;
        return HRI_NO_CHUNK;
    }
    chunk = get_charged(g, 1, false);
    if (chunk != HRI_NO_CHUNK)
        keep_charge(g);
    return chunk;
}

uint32_t hri_lease_chunks(struct hri_generation *g, uint32_t length, bool roomy)
{
    uint32_t chunk;

    if (!charge_patiently(g, length * HRI_CHUNK, NO_MATTER))
        return refuse(g, length * HRI_CHUNK);
    chunk = get_charged(g, length, roomy);
    if (chunk != HRI_NO_CHUNK)
        keep_charge(g);
    return chunk;
}

uint32_t hri_lease_try(struct hri_generation *g, uint32_t length, bool roomy)
{
    uint64_t bytes = (uint64_t)length * HRI_CHUNK;
    uint32_t chunk;
    bool in_hand;

    if (!charge(g, bytes, &in_hand))
        return HRI_NO_CHUNK;
    chunk = hri_run_try(g->provider, length, roomy);
    if (chunk == HRI_NO_CHUNK) {
        give_charge_back(g, bytes);
        return HRI_NO_CHUNK;
    }
    keep_charge(g);
    hri_name_took(g->sums, bytes);
    return chunk;
}

bool hri_lease_extend(struct hri_generation *g, uint32_t chunk, uint32_t more, uint32_t instead)
{
    uint64_t bytes = (uint64_t)more * HRI_CHUNK;
    bool in_hand;

    if (!charge(g, bytes, &in_hand))
        return false;
    if (!hri_run_extend(g->provider, chunk, more, instead)) {
        give_charge_back(g, bytes);
        return false;
    }
    keep_charge(g);
    hri_name_took(g->sums, bytes);
    return true;
}

bool hri_lease_has_room(const struct hri_generation *g, uint64_t bytes)
{
    bytes = hri_max(bytes, (uint64_t)g->view.lanes * HRI_CHUNK);
    if (!hri_provider_has_room(g->provider, bytes))
        return false;
    return !is_limited(g) || (bytes <= g->limit && bytes_charged(hri_load_relaxed(&g->charged)) <=
                                                       g->limit - bytes); /* a guess */
}

/* Opens a chunk in place of `old` (index + 1; 0: none) with `mine` bytes claimed. The start of the caller's part; NULL
 * with *again: another thread was faster; NULL without: refused, which the limit tells of only if `last`. */
static char *open_chunk(struct hri_generation *g, uint32_t old, size_t mine, bool last, bool *again)
{
    bool in_hand,
        is_charged = last ? charge_patiently(g, HRI_CHUNK, old) : charge(g, HRI_CHUNK, &in_hand);
    uint32_t chunk = is_charged ? get_charged(g, 1, false) : HRI_NO_CHUNK;
    uint64_t seen = hri_load_acquire(&g->bump); /* PAIR bump-1 */

    *again = chunk_of(seen) != old;
    if (chunk == HRI_NO_CHUNK) { /* unless another thread found one meanwhile */
        if (!is_charged && !*again && last)
            refuse(g, HRI_CHUNK);
        return NULL;
    }
    hri_store_relaxed(&hri_provider_extent(g->provider, chunk)->next,
                      old); /* relaxed: published by the CAS */
    while (chunk_of(seen) == old) {
        /* PAIR bump-1: what the chunk is, is released; acquired by every claim */
        if (hri_cas_acq_rel(&g->bump, &seen, (uint64_t)(chunk + 1) << 32 | mine)) {
            keep_charge(g);
            hri_fetch_add_seq_cst(&g->shared_chunks, 1); /* PAIR late-1 */
            hri_generation_note_held(g, HRI_CHUNK);
            return hri_chunk_address(g->provider, chunk);
        }
    }
    *again = true;
    hri_run_put(g->provider, chunk);
    hri_name_put(g->sums, HRI_CHUNK);
    give_charge_back(g, HRI_CHUNK);
    return NULL;
}

/* Claims [*offset, *offset + *got) of the open chunk, its start a multiple of `unit`; false: it is exhausted, or what
 * is left is less than `need`. *open: index + 1 of the chunk. */
static bool claim_open(struct hri_generation *g, size_t want, size_t need, size_t unit,
                       uint32_t *open, uint32_t *offset, size_t *got)
{
    uint64_t bump =
        hri_load_acquire(&g->bump); /* PAIR bump-1: released by the CAS that published the chunk */
    size_t start, end, pad = -(size_t)offset_of(bump) & (unit - 1);

    *open = chunk_of(bump);
    if (*open == 0 || offset_of(bump) >= HRI_CHUNK)
        return false;
    bump = hri_fetch_add_acquire(&g->bump, pad + want); /* PAIR bump-1 */
    *open = chunk_of(bump);
    start = hri_round_up(offset_of(bump), unit); /* claims of other units may have come between */
    end = hri_min(hri_round_down(offset_of(bump) + pad + want, unit), HRI_CHUNK);
    if (offset_of(bump) >= HRI_CHUNK || end < start || end - start < need)
        return false;
    *offset = (uint32_t)start;
    *got = end - start;
    return true;
}

/* `unit` is 64 for leases, 16 for single objects. `last`: the caller has nothing else to try. */
static char *claim(struct hri_generation *g, size_t want, size_t need, size_t unit, bool last,
                   size_t *got)
{
    uint32_t open, offset;
    bool again = true;
    char *at;

    want = hri_round_up(want, unit);
    while (again) {
        if (claim_open(g, want, need, unit, &open, &offset, got))
            return hri_chunk_address(g->provider, open - 1) + offset;
        if (open != 0 && offset_of(hri_load_relaxed(&g->bump)) < HRI_CHUNK)
            continue; /* a new chunk was opened meanwhile, or a claim's rounding lost a race */
        at = open_chunk(g, open, want, last, &again);
        if (at != NULL) {
            *got = want;
            return at;
        }
    }
    return NULL;
}

char *hri_lease_claim(struct hri_generation *g, size_t want, size_t need, bool last, size_t *got)
{
    return claim(g, want, need, HRI_CACHE_LINE, last, got);
}

char *hri_lease_claim_spare(struct hri_generation *g, size_t need, size_t unit)
{
    uint64_t bump = hri_load_relaxed(&g->bump); /* relaxed: a guess */
    size_t got;

    if (need > HRI_LEASE_MOST ||
        (chunk_of(bump) != 0 && hri_round_up(offset_of(bump), unit) + need > HRI_CHUNK))
        return NULL;
    return claim(g, need, need, unit, false, &got);
}

void hri_lease_clear(const struct hri_generation *g, char *at, size_t size)
{
    uint32_t chunk = (uint32_t)((size_t)(at - g->provider->region) / HRI_CHUNK);
    char *dirty =
        hri_chunk_address(g->provider, chunk) + hri_provider_extent(g->provider, chunk)->dirty;

    if (dirty > at)
        hri_clear_hidden(at, hri_min(size, (size_t)(dirty - at)));
}

static void *finish(struct hri_generation *g, char *at, size_t size)
{
    if (at == NULL)
        return hri_generation_fail(g, errno);
    hri_show_object(at, size, size);
    return at;
}

void *hri_generation_alloc_atomic(struct hri_generation *g, size_t size, size_t alignment,
                                  bool zeroed)
{
    size_t need, got;
    char *at;

    if (g->state == HRI_CLOSED || g->state == HRI_NO_MEMORY)
        return hri_generation_fail(g, g->state == HRI_CLOSED ? ESHUTDOWN : ENOMEM);
    alignment = hri_max(alignment, g->alignment);
    need = size + alignment - HRI_ALIGNMENT; /* a claim is at a multiple of 16 only */
    at = need < HRI_MEDIUM_LEAST ? claim(g, need, need, HRI_ALIGNMENT, !is_limited(g), &got)
                                 : hri_lease_claim_spare(g, need, HRI_ALIGNMENT);
    if (at == NULL && need >= HRI_MEDIUM_LEAST)
        return finish(g, hri_rest_alloc(g, size, alignment, zeroed), size);
    if (at == NULL) {
        char *rest = hri_rest_take(g, size, alignment, zeroed);

        if (rest == NULL && is_limited(g))
            at = claim(g, need, need, HRI_ALIGNMENT, true, &got);
        if (at == NULL)
            return finish(g, rest, size);
    }
    at = hri_align_pointer(at, alignment);
    if (zeroed || g->zero)
        hri_lease_clear(g, at, size);
    return finish(g, at, size);
}
