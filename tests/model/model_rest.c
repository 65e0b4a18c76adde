/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of the second window of generations: who has a rest, how runs become longer and shorter, the limit. */
#include "generation.h"
#include "models.h"
#include "world.h"

enum { GARBAGE = 0x7777 };

static struct hri_generation *g;
static uint32_t homes[1];

/* The list of runs is whole at any moment: readers walk it (harena_view_contains). */
static void list_holds(void)
{
    uint32_t list = g->run_list, length = 0;

    for (; list != 0 && length < 16; list = hri_provider_extent(world, list - 1)->next, length++)
        EXPLORE_CHECK(list < GARBAGE && "a run is on the list before its link is set");
    EXPLORE_CHECK(list == 0 && "the list of runs is a ring");
    EXPLORE_CHECK((g->limit == UINT64_MAX || (g->charged << 16 >> 16) <= g->limit) &&
                  "above the limit");
    world_limit_holds();
}

/* So many free chunks at the start of the world's block, all warm; the others are in use for good. */
static void create(uint64_t limit, uint32_t chunks)
{
    struct hri_generation_options options = {.limit = limit, .alignment = 16, .lanes = 1};

    world_create(1, 0);
    options.provider = world;
    options.name = world_name;
    options.homes = homes;
    world_fill(0, chunks);
    for (uint32_t i = 0; i < chunks; i++) {
        world_own(0, i);
        hri_provider_extent(world, i)->next = GARBAGE;
    }
    for (uint32_t i = 0; i < chunks; i++)
        world_put(i);
    g = hri_generation_create(&options);
    for (int i = 0; i < EXPLORE_THREADS; i++)
        explore_identity(i, (uint32_t)(HRI_RESTS * i + 1) << 6); /* all look into one slot first */
    explore_ignore(&g->runs, sizeof(g->runs));
    for (int i = 0; i < HRI_RESTS; i++)
        explore_ignore(&g->rests[i].len, sizeof(g->rests[i].len));
    explore_same(&g->run_list, sizeof(g->run_list), 1);
    explore_same(&g->charged, sizeof(g->charged), 1);
    for (uint32_t i = 0; i < chunks; i++)
        explore_same(hri_provider_extent(world, i), sizeof(struct hri_extent), 1);
}

/* A run of this one chunk in a slot, used but for so many bytes. */
static void have_rest(int slot, uint32_t chunk, size_t room)
{
    uint64_t words[HRI_RESTS];

    for (int i = 0; i < HRI_RESTS; i++) {
        words[i] = g->rests[i].word;
        g->rests[i].word = 0;
    }
    g->run_bytes = 0; /* the first of its kind: as long as the object needs it */
    hri_provider_prefer(world, chunk);
    hri_rest_alloc(g, HRI_CHUNK - room, 16, false);
    for (int i = 0; i < HRI_RESTS; i++) {
        if (g->rests[i].word != 0)
            words[slot] = g->rests[i].word;
    }
    for (int i = 0; i < HRI_RESTS; i++)
        g->rests[i].word = words[i];
    EXPLORE_CHECK(words[slot] >> 32 == chunk + 1);
    g->run_bytes = g->runs * HRI_CHUNK;
}

static void setup_one(void)
{
    create(UINT64_MAX, 4);
    have_rest(0, 0, 8192);
}

static void setup_two(void)
{
    create(UINT64_MAX, 6);
    have_rest(0, 0, 4096);
    have_rest(2, 3, 4096);
}

static void setup_longer(void)
{
    create(UINT64_MAX, 6);
    have_rest(0, 0, 16);
}

/* All slots are taken, and no run can become longer. */
static void setup_full(void)
{
    create(UINT64_MAX, 14);
    for (int i = 0; i < HRI_RESTS; i++)
        have_rest(i, (uint32_t)i, 1024);
    EXPLORE_CHECK(world_get(1) == HRI_RESTS);
}

/* A chunk more for the run of the last one, and the next chunk is in use. */
static void lengthen(uint32_t chunk)
{
    EXPLORE_CHECK(hri_lease_extend(g, chunk, 1, 1));
    g->run_bytes += HRI_CHUNK;
    hri_provider_prefer(world, chunk + 2);
    EXPLORE_CHECK(world_get(1) == chunk + 2);
}

/* The same, but that all have a whole chunk left, the first one the least: a new run's rest takes its place. */
static void setup_replace(void)
{
    uint64_t bytes = 0;

    create(14 * HRI_CHUNK, 18);
    for (int i = 0; i < HRI_RESTS; i++, bytes = g->run_bytes) {
        have_rest(i, (uint32_t)(3 * i), i == 0 ? 256 : 4096);
        g->run_bytes = bytes + HRI_CHUNK;
        lengthen((uint32_t)(3 * i));
    }
}

/* Two runs that may become longer, but together by one chunk only. */
static void setup_limit(void)
{
    create(3 * HRI_CHUNK, 6);
    have_rest(0, 0, 4096);
    have_rest(2, 3, 4096);
}

static void setup_at_limit(void)
{
    create(HRI_CHUNK, 2);
    have_rest(0, 0, 4096);
}

/* The same for the provider's limit: all that is free is cold, and there is room for two chunks. */
static void setup_provider_limit(void)
{
    create(UINT64_MAX, 8);
    have_rest(0, 0, 16);
    have_rest(2, 4, 16);
    world->blocks.table[0].state &= ~(UINT64_C(0xee) << 32);
    world->committed -= 6 * HRI_CHUNK;
    world->limit = world->committed + 2 * HRI_CHUNK;
}

static void alloc(size_t size)
{
    char *at = hri_rest_alloc(g, size, 16, false);

    if (at != NULL)
        world_bytes(at, size);
}

static void alloc_2048(void)
{
    alloc(2048);
}

static void alloc_twice(void)
{
    alloc(2048);
    alloc(3000);
}

static void alloc_chunk(void)
{
    alloc(HRI_CHUNK);
}

static void alloc_70000(void)
{
    alloc(70000);
}

static void alloc_90000(void)
{
    alloc(90000);
}

static void alloc_two_chunks(void)
{
    alloc(2 * HRI_CHUNK);
}

static void alloc_large_and_small(void)
{
    alloc(HRI_CHUNK + 16);
    alloc(2048);
}

static void take_512(void)
{
    char *at = hri_rest_take(g, 512, 64, false);

    if (at != NULL)
        world_bytes(at, 512);
}

/* Somebody else's chunk, in the way of runs. */
static void get_chunk(void)
{
    world_get(1);
}

static void quiet(void)
{
    uint64_t chunks = 0, runs = 0;

    for (uint32_t list = g->run_list; list != 0 && runs < 16; runs++) {
        chunks += hri_provider_extent(world, list - 1)->length;
        list = hri_provider_extent(world, list - 1)->next;
    }
    world_bytes_apart(g);
    EXPLORE_CHECK(runs == g->runs && "a run was lost");
    EXPLORE_CHECK(chunks * HRI_CHUNK == g->run_bytes && "held is not what the runs are");
    EXPLORE_CHECK((g->limit == UINT64_MAX || g->charged == g->run_bytes) &&
                  "charged is not what the generation holds");
    for (int i = 0; i < HRI_RESTS; i++)
        for (int j = 0; j < i; j++)
            EXPLORE_CHECK(
                (g->rests[i].word == 0 || g->rests[i].word >> 32 != g->rests[j].word >> 32) &&
                "a rest is in two slots");
    hri_generation_destroy(g);
    world_quiet();
    EXPLORE_CHECK(world_records() == 0 && "a record was lost");
}

const struct explore_model rest_models[] = {
    {"rest/one",
     setup_one,
     {alloc_twice, alloc_2048},
     list_holds,
     quiet,
     EXPLORE_ALL,
     4,
     EXPLORE_ALL},
    {"rest/one-3",
     setup_one,
     {alloc_2048, alloc_2048, alloc_2048},
     list_holds,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {"rest/two", setup_two, {alloc_twice, alloc_twice}, list_holds, quiet, 3, 4, EXPLORE_ALL},
    {"rest/longer", setup_longer, {alloc_2048, alloc_chunk}, list_holds, quiet, 3, 4, EXPLORE_ALL},
    {"rest/while-longer",
     setup_one,
     {alloc_chunk, alloc_twice},
     list_holds,
     quiet,
     3,
     4,
     EXPLORE_ALL},
    {"rest/while-longer-3",
     setup_one,
     {alloc_chunk, alloc_2048, take_512},
     list_holds,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {"rest/behind",
     setup_longer,
     {alloc_large_and_small, get_chunk},
     list_holds,
     quiet,
     3,
     4,
     EXPLORE_ALL},
    {"rest/full",
     setup_full,
     {alloc_chunk, alloc_large_and_small},
     list_holds,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {"rest/full-3",
     setup_full,
     {alloc_chunk, alloc_70000, alloc_2048},
     list_holds,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {"rest/replace", setup_replace, {alloc_90000, take_512}, list_holds, quiet, 2, 3, EXPLORE_ALL},
    {"rest/limit", setup_limit, {alloc_chunk, alloc_chunk}, list_holds, quiet, 3, 4, EXPLORE_ALL},
    {"rest/at-limit",
     setup_at_limit,
     {take_512, alloc_2048, take_512},
     list_holds,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {"rest/provider-limit",
     setup_provider_limit,
     {alloc_two_chunks, alloc_two_chunks},
     list_holds,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {0},
};
