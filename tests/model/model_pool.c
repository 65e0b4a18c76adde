/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of pools: who has which arena, what is charged, nothing stays in a pool that is destroyed. */
#include "pool.h"
#include "models.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ARENAS = 8, SLOTS = 4 /* that the threads of a model have */ };

static harena_pool *pool, *later;
static harena *lent[EXPLORE_THREADS]; /* what a thread has from the start */
static bool destroyed;

/* Who has which arena. */
static struct {
    const harena *arena;
    int owner; /* thread + 1 */
} owners[MOST_ARENAS];

static int *owner_of(const harena *a)
{
    int i = 0;

    explore_touch(a);
    while (owners[i].arena != a && owners[i].arena != NULL)
        i++;
    if (i == MOST_ARENAS)
        abort();
    owners[i].arena = a;
    return &owners[i].owner;
}

static void took(const harena *a)
{
    EXPLORE_CHECK(*owner_of(a) == 0 && "an arena has two owners");
    *owner_of(a) = explore_self() + 1;
    world_uses_record(hri_arena_of(a));
    EXPLORE_CHECK(hri_arena_len(hri_arena_of(a)) == 0 && "an arena is not empty");
}

static harena *acquire(harena_pool *from)
{
    harena *a = harena_pool_acquire(from, 1);

    EXPLORE_CHECK(a != NULL);
    took(a);
    return a;
}

static void give(harena_pool *to, harena *a)
{
    EXPLORE_CHECK(*owner_of(a) == explore_self() + 1 && "somebody else has the arena");
    *owner_of(a) = 0;
    harena_pool_give(to, a);
}

static harena_pool *create_pool(size_t most)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    harena_pool *made;

    options.arena.provider = world;
    options.max_idle = most;
    made = harena_pool_create(&options);
    EXPLORE_CHECK(made != NULL);
    return made;
}

static void watch(harena_pool *made)
{
    explore_ignore(&made->estimates, sizeof(made->estimates));
    explore_ignore(&made->slots[SLOTS], (HRI_POOL_SLOTS - SLOTS) * sizeof(made->slots[0]));
    explore_same(&made->stack, sizeof(made->stack), made == pool ? 17 : 18);
}

/* A pool that keeps so many arenas; each thread has a slot of its own. */
static void setup_pool(size_t most)
{
    world_create(1, 0);
    memset(owners, 0, sizeof(owners));
    memset(lent, 0, sizeof(lent));
    later = NULL;
    destroyed = false;
    pool = create_pool(most);
    watch(pool);
    for (int i = 0; i < EXPLORE_THREADS; i++)
        explore_identity(i, (uint32_t)(i + 1) << 6);
    explore_memory(owners, sizeof(owners));
    explore_memory(lent, sizeof(lent));
    explore_memory(&later, sizeof(later));
    explore_memory(&destroyed, sizeof(destroyed));
}

/* In setup: does what a thread would do that has this slot. */
static void as_thread(int thread)
{
    harena_thread_word = (uint32_t)(thread + 1) << 6;
}

static void lend(int thread)
{
    lent[thread] = harena_pool_acquire(pool, 1);
    *owner_of(lent[thread]) = thread + 1;
}

/* In setup: an idle arena in the thread's slot, or on the stack if there is one already. */
static void lay_one_down(int thread)
{
    harena *a, *others[MOST_ARENAS];
    int count = 0;

    as_thread(thread);
    while (harena_pool_idle(pool) != 0) /* not one of those */
        others[count++] = harena_pool_acquire(pool, 1);
    a = harena_pool_acquire(pool, 1);
    while (count > 0)
        harena_pool_give(pool, others[--count]);
    harena_pool_give(pool, a);
}

static void setup_empty(void)
{
    setup_pool(4);
}

static void setup_idle(void)
{
    setup_pool(4);
    lay_one_down(0);
}

static void setup_one_slot(void)
{
    setup_idle();
    explore_identity(1, (uint32_t)(HRI_POOL_SLOTS + 1) << 6);
}

/* Two arenas are out, one may be kept. The first thread's slot has its charge. */
static void setup_limit(void)
{
    setup_pool(1);
    lay_one_down(0);
    lend(0);
    lend(1);
    explore_same(&pool->slots[0].word, sizeof(uint64_t), 19); /* `step` adds them up */
    explore_same(&pool->slots[1].word, sizeof(uint64_t), 19);
    explore_same(&pool->idle, sizeof(pool->idle), 19);
}

/* Threads 0 and 1 have one each; an arena lies in the slot of thread 1, so what it gives goes on the stack. */
static void setup_lent(void)
{
    setup_pool(4);
    lend(0);
    lend(1);
    lay_one_down(1);
}

/* No pool has ever been. */
static void setup_none(void)
{
    setup_pool(4);
    world_create(1, 0);
    destroyed = true;
    for (int i = 0; i < EXPLORE_THREADS; i++)
        explore_identity(i, (uint32_t)(i + 1) << 6);
}

/* Two records that no pool uses. */
static void setup_records(void)
{
    harena_pool *other;

    setup_pool(4);
    other = create_pool(4);
    watch(other);
    harena_pool_destroy(pool);
    harena_pool_destroy(other);
    destroyed = true;
}

/* ---- threads ---- */

static void round_trip(void)
{
    give(pool, acquire(pool));
}

static void two_round_trips(void)
{
    round_trip();
    round_trip();
}

static void hold_two(void)
{
    harena *a = acquire(pool), *b = acquire(pool);

    give(pool, a);
    give(pool, b);
}

static void give_mine(void)
{
    give(pool, lent[explore_self()]);
}

static void give_mine_and_go_on(void)
{
    give_mine();
    round_trip();
}

static void destroy(void)
{
    harena_pool_destroy(pool);
    destroyed = true;
}

/* The record may be the one that was just destroyed, while somebody still gives. */
static void destroy_and_create(void)
{
    harena *a;

    destroy();
    later = create_pool(2);
    a = acquire(later);
    give(later, a);
}

static void create_and_use(void)
{
    harena_pool *mine = create_pool(2);

    give(mine, acquire(mine));
    harena_pool_destroy(mine);
}

static void drop(void)
{
    world->drop_idle(world);
}

/* ---- what holds ---- */

/* Idle arenas where they lie, and what they hold. */
static uint64_t count_idle(const harena_pool *of)
{
    uint64_t count = 0;
    const ck_stack_entry_t *entry = of->stack.stack.head;

    for (int i = 0; i < HRI_POOL_SLOTS; i++)
        count += hri_pool_slot_has_arena(of->slots[i].word);
    for (; entry != NULL; entry = entry->next)
        count++;
    return count;
}

static void limit_holds(void)
{
    EXPLORE_CHECK(count_idle(pool) <= pool->max_arenas && "more arenas are idle than may be");
}

static uint64_t charged(const harena_pool *of)
{
    uint64_t count = 0;

    for (int i = 0; i < HRI_POOL_SLOTS; i++)
        count += (of->slots[i].word & HRI_POOL_SLOT_CHARGED) != 0;
    for (const ck_stack_entry_t *entry = of->stack.stack.head; entry != NULL; entry = entry->next)
        count++;
    return count;
}

static void end_pool(harena_pool *of)
{
    EXPLORE_CHECK((of->idle & HRI_POOL_IDLE_SHUT) == 0);
    EXPLORE_CHECK(of->idle / HRI_POOL_IDLE_ONE == charged(of) &&
                  "what is charged is not what is there");
    EXPLORE_CHECK(harena_pool_idle(of) == count_idle(of));
    EXPLORE_CHECK(of->refs == 1 + count_idle(of) && "an arena was lost");
    harena_pool_destroy(of);
}

/* Every arena has come back. All pools end, and nothing is left but their records. */
static void quiet(void)
{
    uint32_t records = 0;

    for (int i = 0; i < MOST_ARENAS; i++)
        EXPLORE_CHECK(owners[i].owner == 0);
    if (!destroyed)
        end_pool(pool);
    if (later != NULL)
        end_pool(later);
    for (const harena_pool *of = world->pools; of != NULL && records < 8; of = of->next) {
        records++;
        EXPLORE_CHECK(count_idle(of) == 0 && "an arena stays in a pool that is destroyed");
        EXPLORE_CHECK(of->refs == 0 && "an arena of a pool that is destroyed was lost");
        EXPLORE_CHECK(of->idle == HRI_POOL_IDLE_SHUT && "a charge was lost");
    }
    EXPLORE_CHECK(world->live == 0 && world_records() == records && "a record was lost");
    world_quiet();
}

/* The second thread's one was out all the time. */
static void last_one_is_given(void)
{
    *owner_of(lent[1]) = 0;
    harena_pool_give(pool, lent[1]);
    quiet();
}

static void one_is_kept(void)
{
    EXPLORE_CHECK(count_idle(pool) == 1 && "none was kept though one may be");
    quiet();
}

const struct explore_model pool_models[] = {
    {"pool/two", setup_idle, {two_round_trips, round_trip}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"pool/one-slot", setup_one_slot, {round_trip, round_trip}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"pool/three",
     setup_idle,
     {round_trip, round_trip, round_trip},
     NULL,
     quiet,
     1,
     2,
     EXPLORE_ALL},
    {"pool/stack", setup_empty, {hold_two, hold_two}, NULL, quiet, 1, 2, EXPLORE_NOT},
    {"pool/limit",
     setup_limit,
     {give_mine, give_mine},
     limit_holds,
     one_is_kept,
     3,
     4,
     EXPLORE_ALL},
    {"pool/limit-more",
     setup_limit,
     {give_mine_and_go_on, give_mine, round_trip},
     limit_holds,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {"pool/drop", setup_idle, {two_round_trips, drop}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"pool/drop-two",
     setup_lent,
     {give_mine_and_go_on, drop, drop},
     NULL,
     last_one_is_given,
     1,
     2,
     EXPLORE_NOT},
    {"pool/destroy", setup_lent, {give_mine, give_mine, destroy}, NULL, quiet, 2, 2, EXPLORE_NOT},
    {"pool/destroy-slot",
     setup_limit,
     {give_mine, give_mine, destroy},
     NULL,
     quiet,
     2,
     2,
     EXPLORE_NOT},
    {"pool/destroy-create",
     setup_lent,
     {give_mine, give_mine, destroy_and_create},
     NULL,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {"pool/records",
     setup_records,
     {create_and_use, create_and_use},
     NULL,
     quiet,
     2,
     2,
     EXPLORE_NOT},
    {"pool/first", setup_none, {create_and_use, create_and_use}, NULL, quiet, 1, 1, EXPLORE_NOT},
    {0},
};
