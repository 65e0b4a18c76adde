/* SPDX-License-Identifier: BSD-2-Clause */
/* Where idle arenas lie: a slot for each thread, a stack for what does not fit there. Layer 7.
 *
 * A thread lays an arena down in its slot and finds it there again: no other thread writes that line. What finds the slot
 * taken goes on ConcurrencyKit's stack. Who finds its own slot empty looks on the stack, then in the others' slots.
 *
 *  1. An arena is idle in one place, and is taken out of there by one thread: a slot's word changes by compare-and-swap
 *     and exchange only, each of which moves one arena in or out; the stack gives each entry to one pop. Who takes it has
 *     all that was written to it before it was laid down (PAIR slot-1, PAIR stack-1).
 *  2. A slot's word that comes back as it was means the same: that arena is idle here, with that charge; or no arena is.
 *     So a compare-and-swap that has slept may succeed, and does no harm (no ABA).
 *  3. `idle` is what is charged: by slots with an arena, by slots without one that keep their charge for its return, by
 *     entries of the stack, and by threads that are about to place or to refund. A charge never passes the two limits.
 *     So what is idle never does, and a thread that gives what it has acquired touches nobody else's line.
 *  4. Who is refused a charge collects those of slots without an arena, and tries once more. A charge that another thread
 *     is about to refund may be missed: then an arena is released that might have been kept.
 *  5. Nothing is stranded. Slots belong to no thread: who ends leaves its arena to all others. `slots_used` is raised
 *     before the first arena is laid down in a slot, so whoever knows of that arena looks there.
 *  6. Shut: `idle` gets the mark that lets no charge pass, each slot the word that is neither empty nor an arena; what lay
 *     there is released. Who laid an arena in its slot before is seen by the exchange, who comes after sees the mark. A
 *     push may be under way whose charge was earlier: who pushes looks at `idle` after it, by a read-modify-write. If that
 *     comes before the mark, who shuts the pool sees the push (PAIR shut-1); else it sees the mark, and empties the stack
 *     itself.
 *  7. Who has laid its arena down may find the pool destroyed, the arena released by another, and the record in use for
 *     another pool. So it touches nothing but `idle` and the stack then. To find that other pool shut, too, and to empty
 *     its stack, is what the other would do itself.
 *  8. Progress: every loop repeats only when another thread has made progress. A thread that is suspended or dies here
 *     takes along one arena and one charge at most; so does a fork for its child. Nobody waits for it.
 *  9. An entry of the stack is a field of the arena's record, of which nothing else is ever made: a pop that has slept
 *     reads a link, not garbage, and does not use it. */
#include "pool.h"

/* ---- charges ---- */

static uint64_t arenas_of(uint64_t idle)
{
    return (idle & ~HRI_POOL_IDLE_SHUT) / HRI_POOL_IDLE_ONE;
}

/* One arena and its chunks. */
static bool charge(struct harena_pool *pool, uint64_t chunks)
{
    uint64_t idle = hri_load_relaxed(&pool->idle);

    do {
        uint64_t charged = idle % HRI_POOL_IDLE_ONE;

        if ((idle & HRI_POOL_IDLE_SHUT) != 0 || arenas_of(idle) >= pool->max_arenas ||
            chunks > pool->max_chunks || charged > pool->max_chunks - chunks)
            return false;
    } while (!hri_cas_relaxed(&pool->idle, &idle, idle + HRI_POOL_IDLE_ONE + chunks));
    return true; /* relaxed: only the sums count */
}

static void refund(struct harena_pool *pool, uint64_t chunks)
{
    hri_fetch_sub_relaxed(&pool->idle, HRI_POOL_IDLE_ONE + chunks); /* relaxed: as charge */
}

static void refund_slot(struct harena_pool *pool, uint64_t word)
{
    if ((word & HRI_POOL_SLOT_CHARGED) != 0)
        refund(pool, word >> HRI_POOL_SLOT_CHUNKS);
}

static uint32_t slots_used(const struct harena_pool *pool)
{
    return hri_load_relaxed(&pool->slots_used); /* relaxed: 5. above */
}

/* Takes the charges of slots without an arena back. False: there were none. */
static bool collect(struct harena_pool *pool)
{
    bool any = false;

    for (uint32_t i = 0, end = slots_used(pool); i < end; i++) {
        uint64_t word = hri_load_relaxed(&pool->slots[i].word);

        if (word != 0 && (word & HRI_POOL_SLOT_ARENA) == 0 &&
            hri_cas_relaxed(&pool->slots[i].word, &word, 0)) { /* relaxed: hands nothing over */
            refund_slot(pool, word);
            any = true;
        }
    }
    return any;
}

/* ---- take ---- */

static struct hri_arena *pop(struct harena_pool *pool)
{
    hri_stack_entry *entry = hri_stack_pop(&pool->stack);
    struct hri_arena *a;

    if (entry == NULL)
        return NULL;
    a = HRI_CONTAINER(entry, struct hri_arena, idle);
    refund(pool, hri_load_relaxed(&a->held) / HRI_CHUNK);
    return a;
}

/* Empties a slot, if an arena lies there. */
static struct hri_arena *take_slot(struct harena_pool *pool, struct hri_pool_slot *slot)
{
    uint64_t word = hri_load_relaxed(&slot->word);

    if (!hri_pool_slot_has_arena(word) || !hri_cas_acquire(&slot->word, &word, 0)) /* PAIR slot-1 */
        return NULL;
    refund_slot(pool, word);
    return hri_pool_slot_arena(pool, word);
}

struct hri_arena *hri_pool_idle_find(struct harena_pool *pool)
{
    struct hri_arena *a = pop(pool);

    for (uint32_t i = 0, end = slots_used(pool); i < end && a == NULL; i++)
        a = take_slot(pool, &pool->slots[i]);
    return a;
}

/* ---- put ---- */

static void release_all_on_stack(struct harena_pool *pool)
{
    struct hri_arena *a;

    while ((a = pop(pool)) != NULL)
        hri_arena_release(a);
}

static void push(struct harena_pool *pool, struct hri_arena *a)
{
    hri_stack_push(&pool->stack, &a->idle);
    if (HRI_UNLIKELY((hri_fetch_add_acq_rel(&pool->idle, 0) & HRI_POOL_IDLE_SHUT) !=
                     0)) /* PAIR shut-1 */
        release_all_on_stack(pool);
}

bool hri_pool_idle_place(struct harena_pool *pool, struct hri_arena *a)
{
    struct hri_pool_slot *slot = hri_pool_slot_of_thread(pool);
    uint64_t word = hri_pool_slot_word(pool, a), chunks = hri_load_relaxed(&a->held) / HRI_CHUNK;
    uint64_t before = hri_load_relaxed(&slot->word);
    uint32_t number = (uint32_t)(slot - pool->slots), seen = slots_used(pool);

    if (!charge(pool, chunks) && !(collect(pool) && charge(pool, chunks)))
        return false;
    while (seen <= number && !hri_cas_relaxed(&pool->slots_used, &seen, number + 1))
        continue; /* relaxed: 5. above */
    while ((before & HRI_POOL_SLOT_ARENA) == 0) {
        if (hri_cas_release(&slot->word, &before, word)) { /* PAIR slot-1 */
            refund_slot(pool, before);
            return true;
        }
    }
    push(pool, a);
    return true;
}

/* ---- all of them ---- */

void hri_pool_idle_open(struct harena_pool *pool)
{
    /* Relaxed: no arena lies anywhere; who creates the pool hands it over. */
    for (int i = 0; i < HRI_POOL_SLOTS; i++)
        hri_store_relaxed(&pool->slots[i].word, 0);
    hri_fetch_sub_relaxed(&pool->idle, hri_load_relaxed(&pool->idle) & HRI_POOL_IDLE_SHUT);
}

void hri_pool_idle_shut(struct harena_pool *pool)
{
    hri_fetch_or_acq_rel(&pool->idle,
                         HRI_POOL_IDLE_SHUT); /* PAIR shut-1: pushes before it are seen */
    for (int i = 0; i < HRI_POOL_SLOTS; i++) {
        /* PAIR slot-1 */
        uint64_t word = hri_exchange_acq_rel(&pool->slots[i].word, HRI_POOL_SLOT_ARENA);

        refund_slot(pool, word);
        if (hri_pool_slot_has_arena(word))
            hri_arena_release(hri_pool_slot_arena(pool, word));
    }
    release_all_on_stack(pool);
}

void hri_pool_idle_drop(struct harena_pool *pool)
{
    uint64_t most = arenas_of(hri_load_relaxed(&pool->idle)); /* relaxed: not for ever */
    struct hri_arena *a;

    for (uint32_t i = 0, end = slots_used(pool); i < end; i++)
        if ((a = take_slot(pool, &pool->slots[i])) != NULL)
            hri_arena_release(a);
    for (; most > 0 && (a = pop(pool)) != NULL; most--)
        hri_arena_release(a);
}

size_t hri_pool_idle_count(const struct harena_pool *pool)
{
    uint64_t count = arenas_of(hri_load_relaxed(&pool->idle)); /* relaxed: a figure */

    for (uint32_t i = 0, end = slots_used(pool); i < end; i++) {
        uint64_t word = hri_load_relaxed(&pool->slots[i].word);

        if (word != 0 && (word & HRI_POOL_SLOT_ARENA) == 0 && count > 0)
            count--; /* a charge without an arena */
    }
    return count;
}
