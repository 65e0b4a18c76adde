/* SPDX-License-Identifier: BSD-2-Clause */
/* The second window of a generation: runs with room at their end, for what does not fit into a lane's window and has
 * 2 KiB or more, of whatever size. Layer 6.
 *
 * A generation has a few slots, each with one word: a run's index + 1 in its upper half, how far it is used in its lower,
 * in units of 16 bytes; 0: nothing. What the word says is true of a run that is in a slot; the bytes from there to the
 * run's end are its rest.
 *
 * 1. Ownership: a rest belongs to the slot, or to the one thread that took it out, by exchange with 0. A thread puts back
 *    only what it took or got from the provider, and forgets it with that. So each rest is in one place, and its holder
 *    alone makes the run longer (hri_run_extend) or shorter (hri_run_cut). What has room is served where it lies: a CAS
 *    moves the cursor in the word.
 * 2. No overlap: who moves the cursor from one place to another has the bytes between, and it never moves back.
 * 3. Memory: put is a CAS with release; take, an exchange or CAS, and who moves the cursor acquire (PAIR rest-1): the run's
 *    length, before it is compared, and dirt as the last holder left them, and the last use of what lies between (PAIR
 *    chunk-1).
 * 4. No ABA: put compares with 0, of which one is as good as another. A CAS that moves the cursor or replaces a word may
 *    find one that went and came again: it is the same rest. Its run has at least the length that was read, because it
 *    becomes shorter only when it leaves the slots for good.
 * 5. Readers walk the list of runs and read their lengths, which a holder may change: an object lies below each length
 *    that its run has had since it was handed out, because a run is cut behind its cursor only.
 * 6. Progress: nobody waits for a word; a slot that is empty is passed over, and a run is taken instead. A failed CAS
 *    means that another thread's succeeded. A thread that dies with a rest in hand loses that rest. */
#include "generation.h"
#include "probe.h"
#include "sanitizer.h"
#include "thread.h"

#include <errno.h>

/* A rest in this thread's hands. */
struct rest {
    uint32_t run; /* index + 1; 0: none */
    size_t used;  /* bytes of the run, a multiple of 16 */
    size_t end;   /* bytes of the run */
};

static inline uint32_t run_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline size_t used_of(uint64_t word)
{
    return (size_t)(uint32_t)word * HRI_ALIGNMENT;
}

/* 0: it is used so far that a word cannot say it. */
static inline uint64_t word_of(uint32_t run, size_t used)
{
    return used / HRI_ALIGNMENT <= UINT32_MAX ? (uint64_t)run << 32 | used / HRI_ALIGNMENT : 0;
}

/* ---- slots ---- */

/* How long the run in a word is. */
static size_t end_of(const struct hri_generation *g, uint64_t word)
{
    return hri_load_relaxed(&hri_provider_extent(g->provider, run_of(word) - 1)->length) *
           HRI_CHUNK;
}

/* A guess, unless the run is the caller's. */
static size_t room_in(const struct hri_generation *g, uint64_t word)
{
    size_t end = word != 0 ? end_of(g, word) : 0;

    return end > used_of(word) ? end - used_of(word) : 0;
}

static struct rest rest_of(const struct hri_generation *g, uint64_t word)
{
    return (struct rest){
        .run = run_of(word),
        .used = used_of(word),
        .end = end_of(g, word),
    };
}

/* False: there is nothing. */
static bool take(struct hri_generation *g, struct hri_rest *slot, struct rest *rest)
{
    uint64_t word = hri_exchange_acquire(&slot->word, 0); /* PAIR rest-1: put by the last holder */

    if (word == 0)
        return false;
    *rest = rest_of(g, word);
    return true;
}

/* Nobody will use this rest: its whole chunks go back. */
static void drop(struct hri_generation *g, const struct rest *rest)
{
    size_t keep = hri_chunks_for(rest->used), less = rest->end / HRI_CHUNK - keep;

    if (less == 0)
        return;
    hri_run_cut(g->provider, rest->run - 1, (uint32_t)keep);
    hri_fetch_sub_relaxed(&g->run_bytes, less * HRI_CHUNK); /* relaxed: a figure */
    hri_name_put(g->sums, less * HRI_CHUNK);
    hri_lease_refund(g, less * HRI_CHUNK);
}

/* The slot whose rest has the least room: a guess. */
static struct hri_rest *fullest(struct hri_generation *g)
{
    struct hri_rest *found = g->rests;
    size_t least = SIZE_MAX;

    for (struct hri_rest *slot = g->rests; slot < &g->rests[HRI_RESTS]; slot++) {
        size_t room = room_in(g, hri_load_relaxed(&slot->word)); /* relaxed: a guess */

        if (room < least) {
            least = room;
            found = slot;
        }
    }
    return found;
}

/* All slots are full: the larger of this rest and the one in the slot stays. */
static void put_or_drop(struct hri_generation *g, struct hri_rest *slot, const struct rest *rest,
                        uint64_t word)
{
    uint64_t seen = hri_load_relaxed(&slot->word); /* relaxed: a guess, decided by the CAS */

    while (room_in(g, seen) < rest->end - rest->used) {
        if (hri_cas_acq_rel(&slot->word, &seen, word)) { /* PAIR rest-1: both ends */
            struct rest smaller;

            if (seen == 0)
                return;
            smaller = rest_of(g, seen);
            drop(g, &smaller);
            return;
        }
    }
    drop(g, rest);
}

/* Into this slot, if it is empty, else into any that is. A run that is full may yet become longer. */
static void put(struct hri_generation *g, struct hri_rest *slot, const struct rest *rest)
{
    uint64_t word = word_of(rest->run, rest->used);

    if (word == 0)
        return;
    for (size_t i = 0; i < HRI_RESTS; i++) {
        struct hri_rest *other = &g->rests[((size_t)(slot - g->rests) + i) % HRI_RESTS];
        uint64_t empty = 0;

        if (hri_load_relaxed(&other->word) == 0 &&       /* relaxed: a guess */
            hri_cas_release(&other->word, &empty, word)) /* PAIR rest-1: taken by the next holder */
            return;
    }
    put_or_drop(g, fullest(g), rest, word);
}

/* ---- what a rest serves ---- */

struct wish {
    size_t size, alignment;
    uint64_t dirty; /* out: how many of the bytes handed out may not be zero */
};

static size_t missing(size_t room, size_t used, const struct wish *wish)
{
    size_t need = hri_round_up(used, wish->alignment) - used + wish->size;

    return need > room ? need - room : 0;
}

/* The bytes that a cursor moves over for it. */
struct place {
    size_t from, to;
};

static struct place place_at(size_t used, const struct wish *wish)
{
    size_t from = hri_round_up(used, wish->alignment);

    return (struct place){from, from + hri_round_up(wish->size, HRI_ALIGNMENT)};
}

/* The caller has moved the cursor over it. */
static char *serve(const struct hri_generation *g, uint32_t run, size_t from, struct wish *wish)
{
    /* Relaxed: acquired with the run, and what a later holder makes of it is as true of these bytes. */
    uint64_t dirty = hri_load_relaxed(&hri_provider_extent(g->provider, run - 1)->dirty);

    wish->dirty = dirty > from ? hri_min(dirty - from, wish->size) : 0;
    return hri_chunk_address(g->provider, run - 1) + from;
}

/* From a rest in this thread's hands that has room. */
static char *bump(const struct hri_generation *g, struct hri_rest *slot, struct rest *rest,
                  struct wish *wish)
{
    struct place place = place_at(rest->used, wish);

    hri_fetch_add_relaxed(&slot->len, place.to - rest->used); /* relaxed: a figure */
    rest->used = place.to;
    return serve(g, rest->run, place.from, wish);
}

/* From a rest where it lies. NULL: it has no room. */
static char *bump_in_slot(const struct hri_generation *g, struct hri_rest *slot, struct wish *wish)
{
    for (;;) {
        uint64_t seen = hri_load_acquire(&slot->word); /* PAIR rest-1: the length, at least */
        struct place place = place_at(used_of(seen), wish);
        uint64_t word = word_of(run_of(seen), place.to);

        if (seen == 0 || missing(room_in(g, seen), used_of(seen), wish) != 0)
            return NULL;
        if (hri_cas_acquire(&slot->word, &seen, word)) { /* PAIR rest-1: put by the last holder */
            hri_fetch_add_relaxed(&slot->len, place.to - used_of(seen)); /* relaxed: a figure */
            return serve(g, run_of(seen), place.from, wish);
        }
    }
}

/* The slot that this thread looks into first. */
static struct hri_rest *first_slot(struct hri_generation *g)
{
    return &g->rests[hri_thread_index() % HRI_RESTS];
}

static struct hri_rest *next_slot(struct hri_generation *g, struct hri_rest *slot)
{
    return slot + 1 == &g->rests[HRI_RESTS] ? g->rests : slot + 1;
}

/* Makes the rest's run long enough. */
static bool extend(struct hri_generation *g, struct rest *rest, const struct wish *wish)
{
    uint64_t held = hri_load_relaxed(&g->run_bytes); /* relaxed: a measure */
    size_t least = hri_chunks_for(missing(rest->end - rest->used, rest->used, wish));
    uint32_t behind = rest->run - 1 + (uint32_t)(rest->end / HRI_CHUNK);
    size_t more = hri_run_step(held, least, behind),
           instead = hri_run_length(held, hri_chunks_for(wish->size));

    if (instead > UINT32_MAX / 2)
        return false;
    if (more == least || !hri_lease_has_room(g, more * HRI_CHUNK) ||
        !hri_lease_extend(g, rest->run - 1, (uint32_t)more, (uint32_t)instead)) {
        more = least;
        if (!hri_lease_extend(g, rest->run - 1, (uint32_t)more, (uint32_t)instead))
            return false;
    }
    HRI_PROBE(refill, g->name, more * HRI_CHUNK);
    hri_fetch_add_seq_cst(&g->run_bytes, more * HRI_CHUNK); /* PAIR late-1 */
    hri_generation_note_held(g, more * HRI_CHUNK);
    rest->end += more * HRI_CHUNK;
    return true;
}

/* From a rest in one of the slots. NULL: none has room. */
static char *alloc_in_rest(struct hri_generation *g, struct wish *wish)
{
    struct hri_rest *slot = first_slot(g);

    for (int i = 0; i < HRI_RESTS; i++, slot = next_slot(g, slot)) {
        char *at = bump_in_slot(g, slot, wish);

        if (at != NULL)
            return at;
    }
    return NULL;
}

/* The same, of a run that is made longer for it. NULL: none can be. */
static char *alloc_in_longer_rest(struct hri_generation *g, struct wish *wish)
{
    struct hri_rest *slot = first_slot(g);

    for (int i = 0; i < HRI_RESTS; i++, slot = next_slot(g, slot)) {
        struct rest rest;
        char *at = NULL;

        if (hri_load_relaxed(&slot->word) == 0 || /* relaxed: a guess */
            !take(g, slot, &rest))
            continue;
        if (missing(rest.end - rest.used, rest.used, wish) == 0 || extend(g, &rest, wish))
            at = bump(g, slot, &rest, wish);
        put(g, slot, &rest);
        if (at != NULL)
            return at;
    }
    return NULL;
}

/* A run for an object of `least` chunks, on the generation's list. HRI_NO_CHUNK, ENOMEM: refused. */
static uint32_t take_run(struct hri_generation *g, size_t least)
{
    uint64_t held = hri_load_relaxed(&g->run_bytes); /* relaxed: a measure */
    size_t length = held != 0 ? hri_run_length(held, least) : least;
    uint32_t run = HRI_NO_CHUNK, head;

    if (least > UINT32_MAX / 2) {
        errno = ENOMEM;
        return HRI_NO_CHUNK;
    }
    if (length > least && hri_lease_has_room(g, length * HRI_CHUNK))
        run = hri_lease_try(g, (uint32_t)length, held >= HRI_BLOCK);
    if (run == HRI_NO_CHUNK)
        run = hri_lease_chunks(g, (uint32_t)(length = least), held >= HRI_BLOCK);
    if (run == HRI_NO_CHUNK)
        return HRI_NO_CHUNK;
    HRI_PROBE(refill, g->name, length * HRI_CHUNK);
    hri_fetch_add_seq_cst(&g->run_bytes, length * HRI_CHUNK); /* PAIR late-1 */
    hri_generation_note_held(g, length * HRI_CHUNK);
    hri_fetch_add_relaxed(&g->runs, 1); /* relaxed: a figure */
    head = hri_load_relaxed(&g->run_list);
    do
        hri_store_relaxed(&hri_provider_extent(g->provider, run)->next,
                          head); /* relaxed: released below */
    while (!hri_cas_release(&g->run_list, &head,
                            run + 1)); /* PAIR runs-1: acquired by who walks the list */
    return run;
}

static char *alloc_in_new_run(struct hri_generation *g, struct wish *wish)
{
    uint32_t run = take_run(g, hri_chunks_for(wish->size));
    struct rest rest;
    char *at;

    if (run == HRI_NO_CHUNK)
        return NULL;
    rest = rest_of(g, (uint64_t)(run + 1) << 32);
    at = bump(g, first_slot(g), &rest, wish);
    put(g, first_slot(g), &rest);
    return at;
}

static void *finish(const struct hri_generation *g, char *at, const struct wish *wish, bool zeroed)
{
    if (at != NULL && (zeroed || g->zero))
        hri_clear_hidden(at, wish->dirty);
    return at;
}

void *hri_rest_alloc(struct hri_generation *g, size_t size, size_t alignment, bool zeroed)
{
    struct wish wish = {.size = size, .alignment = alignment};
    char *at = alloc_in_rest(g, &wish);

    if (at == NULL)
        at = alloc_in_longer_rest(g, &wish);
    if (at == NULL)
        at = alloc_in_new_run(g, &wish);
    return finish(g, at, &wish, zeroed);
}

void *hri_rest_take(struct hri_generation *g, size_t size, size_t alignment, bool zeroed)
{
    struct wish wish = {.size = size, .alignment = alignment};

    return finish(g, alloc_in_rest(g, &wish), &wish, zeroed);
}
