/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of pending lists, batches, RCU's worker and barrier. */
#include "models.h"
#include "retire.h"
#include "world.h"

#include <string.h>

enum state { LIVE, RETIRED, RECLAIMED };

struct item {
    struct hri_retired retired;
    enum state state;
    uint32_t said; /* atomic; hri_retire has returned */
    bool cleanups;
    bool has_chunk; /* chunk 0, which its reclaim gives back */
} HRI_ALIGNED;

static struct hri_domain *domain;
static struct item items[4];
static struct item *slot; /* atomic; what readers find */
static const struct item *held[EXPLORE_THREADS];

static void reclaim(struct hri_retired *retired)
{
    struct item *item = HRI_CONTAINER(retired, struct item, retired);

    explore_touch(item);
    explore_note("reclaims item", (uint64_t)(item - items), 0);
    EXPLORE_CHECK(item->state != RECLAIMED && "an item is reclaimed twice");
    EXPLORE_CHECK(item->state == RETIRED && "an item is reclaimed that was not retired");
    for (int i = 0; i < EXPLORE_THREADS; i++)
        EXPLORE_CHECK(held[i] != item && "an item is reclaimed that a reader has");
    EXPLORE_CHECK((!item->cleanups || explore_self() >= EXPLORE_WORKER) &&
                  "an item with cleanups is reclaimed by another thread than the worker");
    item->state = RECLAIMED;
    if (item->has_chunk)
        hri_run_put(world, 0);
}

static bool has_cleanups(struct hri_retired *retired)
{
    return HRI_CONTAINER(retired, struct item, retired)->cleanups;
}

static void retire(struct item *item)
{
    explore_touch(item);
    item->state = RETIRED;
    item->retired = (struct hri_retired){
        .reclaim = reclaim,
        .has_cleanups = has_cleanups,
        .bytes = HRI_CHUNK,
        .record = sizeof(*item),
    };
    hri_retire(domain, &item->retired, "model");
    hri_store_release(&item->said, 1);
}

/* All that was retired before it began is reclaimed when it returns. */
static void barrier(void)
{
    bool before[4];

    for (int i = 0; i < 4; i++)
        before[i] = hri_load_acquire(&items[i].said) != 0;
    EXPLORE_CHECK(harena_provider_barrier(world) == 0);
    for (int i = 0; i < 4; i++) {
        if (!before[i])
            continue;
        explore_touch(&items[i]);
        EXPLORE_CHECK(items[i].state == RECLAIMED &&
                      "barrier has returned before an item was reclaimed");
    }
}

static void read_slot(void)
{
    const struct item *item;

    hri_rcu_enter(&explore_rcu);
    item = hri_load_acquire(&slot);
    if (item != NULL) {
        explore_touch(item);
        EXPLORE_CHECK(item->state != RECLAIMED && "a reader sees an item that was reclaimed");
        held[explore_self()] = item;
        explore_touch(item);
        held[explore_self()] = NULL;
    }
    hri_rcu_leave(&explore_rcu);
}

static void replace_slot(struct item *with)
{
    struct item *before = hri_exchange_acq_rel(&slot, with);

    if (before != NULL)
        retire(before);
}

/* ---- what the threads do ---- */

static void retire_0(void)
{
    retire(&items[0]);
}

static void retire_1(void)
{
    retire(&items[1]);
}

static void retire_0_and_2(void)
{
    retire(&items[0]);
    retire(&items[2]);
}

static void retire_0_and_barrier(void)
{
    retire(&items[0]);
    barrier();
}

static void retire_1_and_barrier(void)
{
    retire(&items[1]);
    barrier();
}

static void replace(void)
{
    replace_slot(&items[1]);
}

static void replace_and_barrier(void)
{
    replace_slot(&items[1]);
    barrier();
}

static void replace_twice(void)
{
    replace_slot(&items[1]);
    replace_slot(NULL);
}

static void get_domain(void)
{
    EXPLORE_CHECK(hri_domain_get(world, NULL) == hri_domain_get(world, NULL));
    domain = hri_domain_get(world, NULL);
    retire(&items[explore_self()]);
}

/* The only chunk is an item's. */
static void get_chunk(void)
{
    bool deferred = hri_load_acquire(&items[0].said) != 0;
    uint32_t chunk = hri_run_get(world, 1, "model");

    EXPLORE_CHECK((chunk != HRI_NO_CHUNK || !deferred) && "refused while memory came back");
    if (chunk != HRI_NO_CHUNK)
        hri_run_put(world, chunk);
}

static void get_chunk_if_there(void)
{
    uint32_t chunk = hri_run_get(world, 1, "model");

    if (chunk != HRI_NO_CHUNK)
        hri_run_put(world, chunk);
}

/* ---- what they begin with ---- */

/* Threads 0 and 1 and the worker push to the same shard. */
static void setup(void)
{
    world_create(1, 1);
    memset(items, 0, sizeof(items));
    memset(held, 0, sizeof(held));
    slot = NULL;
    explore_memory(items, sizeof(items));
    explore_memory(held, sizeof(held));
    explore_memory(&slot, sizeof(slot));
    explore_memory(&domain, sizeof(domain));
    for (int i = 0; i < EXPLORE_THREADS; i++)
        explore_identity(i, (uint32_t)(4 * i + 1) << 6);
    domain = hri_domain_get(world, NULL);
}

static void setup_two_shards(void)
{
    setup();
    explore_identity(1, 2u << 6);
}

static void setup_no_domain(void)
{
    setup();
    world->domains[0] = NULL;
    domain = NULL;
}

static void setup_slot(void)
{
    setup();
    slot = &items[0];
}

static void setup_cleanups(void)
{
    setup();
    items[0].cleanups = true;
}

static void setup_chunk(void)
{
    setup();
    world->blocks.table[0].state = UINT64_C(1) << 32 | 1;
    world->blocks.table[0].committed = 1;
    world->blocks.used = 1;
    world->committed = HRI_CHUNK;
    hri_provider_extent(world, 0)->length = 1;
    items[0].has_chunk = true;
}

static void quiet(void)
{
    for (int i = 0; i < 4; i++)
        EXPLORE_CHECK(items[i].state != RETIRED && "an item was never reclaimed");
    EXPLORE_CHECK(world->deferred == 0 && world->deferred_records == 0 &&
                  "bytes are deferred for ever");
    EXPLORE_CHECK(harena_provider_barrier(world) == 0);
    EXPLORE_CHECK((world->domains[0] == NULL || world->domains[1] == NULL) && "two domains");
}

const struct explore_model retire_models[] = {
    {"retire/two", setup, {retire_0, retire_1}, NULL, quiet, 3, 5, EXPLORE_ALL},
    {"retire/three", setup, {retire_0_and_2, retire_1}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"retire/reader", setup_slot, {replace, read_slot}, NULL, quiet, 3, 5, EXPLORE_ALL},
    {"retire/reader-twice", setup_slot, {replace_twice, read_slot}, NULL, quiet, 2, 4, EXPLORE_ALL},
    {"retire/barrier", setup, {retire_0, retire_1_and_barrier}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"retire/barrier-shards",
     setup_two_shards,
     {retire_0, retire_1_and_barrier},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {"retire/barriers",
     setup,
     {retire_0_and_barrier, retire_1_and_barrier},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {"retire/barrier-reader",
     setup_slot,
     {replace_and_barrier, read_slot},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {"retire/barrier-three",
     setup_slot,
     {barrier, replace, read_slot},
     NULL,
     quiet,
     2,
     2,
     EXPLORE_NOT},
    {"retire/barrier-alone", setup, {retire_0_and_2, barrier}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"retire/cleanups",
     setup_cleanups,
     {retire_0_and_barrier, retire_1},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {"retire/cleanups-barriers",
     setup_cleanups,
     {retire_0_and_barrier, retire_1_and_barrier},
     NULL,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {"retire/domain", setup_no_domain, {get_domain, get_domain}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"retire/limit", setup_chunk, {retire_0, get_chunk}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"retire/limit-3",
     setup_chunk,
     {retire_0, get_chunk_if_there, get_chunk_if_there},
     NULL,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {0},
};
