/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of lanes: who gets which, what their windows serve. */
#include "generation.h"
#include "models.h"
#include "thread.h"
#include "world.h"

#include <string.h>

static struct hri_generation *g;
static uint32_t homes[2];
static struct harena_lane *lane_of_thread[EXPLORE_THREADS];

/* A generation with so many lanes and so many warm chunks. */
static void create_with(uint32_t lanes, uint32_t chunks)
{
    struct hri_generation_options options = {.limit = UINT64_MAX, .alignment = 16, .lanes = lanes};

    world_create(1, 32);
    options.provider = world;
    options.name = world_name;
    options.homes = homes;
    world_fill(0, chunks);
    for (uint32_t i = 0; i < chunks; i++)
        world_own(0, i);
    for (uint32_t i = 0; i < chunks; i++)
        world_put(i);
    g = hri_generation_create(&options);
    for (int i = 0; i < EXPLORE_THREADS; i++)
        explore_identity(i, (uint32_t)(2 * i + 1) << 6); /* all want the same lane */
    memset(lane_of_thread, 0, sizeof(lane_of_thread));
    explore_memory(lane_of_thread, sizeof(lane_of_thread));
}

static void create(uint32_t lanes)
{
    create_with(lanes, 4);
}

static void setup_one(void)
{
    create(1);
}

static void setup_two(void)
{
    create(2);
}

static struct harena_lane *find(void)
{
    struct harena_lane *lane = hri_lane_find(g), *again = hri_lane_find(g);

    EXPLORE_CHECK(lane == again && "a thread has two lanes");
    lane_of_thread[explore_self()] = lane;
    return lane;
}

static void find_only(void)
{
    find();
}

static void alloc(size_t size)
{
    char *at = hri_generation_alloc(g, size, 16, false);

    EXPLORE_CHECK(at != NULL);
    world_bytes(at, size);
}

static void find_and_alloc(void)
{
    struct harena_lane *lane = find();

    alloc(48);
    EXPLORE_CHECK(lane == NULL || hri_load_relaxed(&lane->owner) == hri_thread_word());
    alloc(496);
}

static void alloc_two(void)
{
    alloc(32);
    alloc(512);
}

/* A busy lane begins with a chunk of its own. */
static void setup_busy(void)
{
    homes[0] = HRI_LANE_BUSY;
    create(2);
    homes[0] = 0;
    world->limit += 2 * HRI_CHUNK; /* there is a chunk for each lane, it seems */
    explore_identity(0, 2u << 6);
}

/* Both lanes have had much: larger objects go on in runs of theirs. */
static void setup_much(void)
{
    homes[0] = homes[1] = HRI_LANE_BUSY;
    create_with(2, 8);
    homes[0] = homes[1] = 0;
    world->limit += 4 * HRI_CHUNK;
    explore_identity(0, 2u << 6);
    g->lanes[0].leased = g->lanes[1].leased = 1 << 20;
}

/* The third is larger than what the chunk has left. */
static void alloc_in_run(void)
{
    alloc(16384);
    alloc(24000);
    alloc(26000);
    alloc(32768);
}

/* The chunk has 8,192 bytes left for the third. */
static void alloc_in_new_run(void)
{
    alloc(16384);
    alloc(32768);
    alloc(8192);
    alloc(12000);
}

/* Somebody else's chunks, in the way. */
static void get_two(void)
{
    world_get(1);
    world_get(1);
}

static void retire(void)
{
    world_retire(g);
}

/* The same, but all chunks are another thread's. */
static void setup_busy_and_none(void)
{
    setup_busy();
    for (uint32_t i = 0; i < 4; i++) {
        world_own(1, i);
        world->committed -= HRI_CHUNK; /* warm before */
    }
}

static void put_all(void)
{
    for (uint32_t i = 0; i < 4; i++)
        world_put(i);
}

/* An object that with room to align it is larger than a chunk, and what is left beside it. */
static void alloc_aligned_and_large(void)
{
    char *at = hri_generation_alloc(g, 16384, HRI_ALIGNMENT_MAX, false);

    if (at != NULL)
        world_bytes(at, 16384);
    at = hri_generation_alloc(g, 50000, 16, false);
    if (at != NULL)
        world_bytes(at, 50000);
}

static void quiet(void)
{
    for (int i = 0; i < EXPLORE_THREADS; i++)
        for (int j = 0; j < i; j++)
            EXPLORE_CHECK((lane_of_thread[i] == NULL || lane_of_thread[i] != lane_of_thread[j]) &&
                          "a lane has two owners");
    world_bytes_apart(g);
    hri_generation_destroy(g);
    world_quiet();
    EXPLORE_CHECK(world_records() == 0 && "a record was lost");
}

static void quiet_busy(void)
{
    EXPLORE_CHECK(g->lanes[0].chunk_count == 1 && "a busy lane has no chunk of its own");
    quiet();
}

/* What the lanes count is what their lists are. */
static void quiet_runs(void)
{
    uint64_t chunks = 0;

    for (int i = 0; i < 2; i++)
        for (uint32_t list = g->lanes[i].chunks; list != 0;
             list = hri_provider_extent(world, list - 1)->next)
            chunks += hri_provider_extent(world, list - 1)->length;
    EXPLORE_CHECK(chunks == g->lanes[0].chunk_count + g->lanes[1].chunk_count &&
                  "a lane has another number of chunks than it counts");
    quiet();
}

static void quiet_retired(void)
{
    world_deferred(g, hri_generation_held(g));
    quiet_busy();
}

const struct explore_model lane_models[] = {
    {"lane/claim", setup_one, {find_only, find_only}, NULL, quiet, EXPLORE_ALL, 8, EXPLORE_ALL},
    {"lane/claim-3",
     setup_two,
     {find_only, find_only, find_only},
     NULL,
     quiet,
     EXPLORE_ALL,
     5,
     EXPLORE_ALL},
    {"lane/alloc", setup_two, {find_and_alloc, find_and_alloc}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"lane/alloc-3", setup_two, {alloc_two, alloc_two, alloc_two}, NULL, quiet, 1, 2, EXPLORE_NOT},
    {"lane/busy", setup_busy, {alloc_two, alloc_two}, NULL, quiet_busy, 2, 3, EXPLORE_ALL},
    {"lane/run", setup_much, {alloc_in_run, get_two}, NULL, quiet_runs, 3, 4, EXPLORE_ALL},
    {"lane/run-two",
     setup_much,
     {alloc_in_run, alloc_in_new_run},
     NULL,
     quiet_runs,
     2,
     3,
     EXPLORE_ALL},
    {"lane/run-3",
     setup_much,
     {alloc_in_run, alloc_in_new_run, get_two},
     NULL,
     quiet_runs,
     1,
     2,
     EXPLORE_NOT},
    {"lane/too-large",
     setup_busy_and_none,
     {alloc_aligned_and_large, put_all},
     NULL,
     quiet,
     2,
     4,
     EXPLORE_ALL},
    {"lane/retired",
     setup_busy,
     {alloc_two, retire},
     NULL,
     quiet_retired,
     EXPLORE_ALL,
     5,
     EXPLORE_ALL},
    {0},
};
