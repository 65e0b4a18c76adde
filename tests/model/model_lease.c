/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of claims on the open chunk: the tail, the next chunk, the limit. */
#include "generation.h"
#include "models.h"
#include "world.h"

enum { GARBAGE = 0x7777, LARGEST = 32768 };

static struct hri_generation *g;
static uint32_t homes[2];

/* The chain of chunks is whole at any moment: readers walk it (harena_view_contains). */
static void chain_holds(void)
{
    uint32_t list = (uint32_t)(g->bump >> 32), length = 0;

    for (; list != 0 && length < 8; list = hri_provider_extent(world, list - 1)->next, length++)
        EXPLORE_CHECK(list < GARBAGE && "a chunk is published before its link is set");
    EXPLORE_CHECK(list == 0 && "the chain of chunks is a ring");
    EXPLORE_CHECK((uint32_t)g->bump <= HRI_CHUNK + EXPLORE_THREADS * (LARGEST + 64) &&
                  "the offset runs away");
}

/* Four free chunks, warm, and a generation whose open chunk has `left` bytes; without_chunk: it has none. */
static void create(uint64_t limit, bool with_chunk, size_t left)
{
    struct hri_generation_options options = {.limit = limit, .alignment = 16, .lanes = 2};
    size_t got;

    world_create(1, 32);
    options.provider = world;
    options.name = world_name;
    options.homes = homes;
    world_fill(0, 4);
    for (uint32_t i = 0; i < 4; i++) {
        world_own(0, i);
        hri_provider_extent(world, i)->next = GARBAGE;
    }
    for (uint32_t i = 0; i < 4; i++)
        world_put(i);
    g = hri_generation_create(&options);
    if (with_chunk) {
        hri_lease_claim(g, LARGEST, 16, true, &got);
        hri_lease_claim(g, LARGEST - hri_round_up(left, 64), 16, true, &got);
        g->bump += hri_round_up(left, 64) - left;
    }
    explore_same(&g->bump, sizeof(g->bump), 1);
    for (uint32_t i = 0; i < 4; i++)
        explore_same(hri_provider_extent(world, i), sizeof(struct hri_extent), 1);
}

static void setup_tail(void)
{
    create(UINT64_MAX, true, 128);
}

static void setup_odd_tail(void)
{
    create(UINT64_MAX, true, 112);
}

static void setup_exhausted(void)
{
    create(UINT64_MAX, true, 0);
}

static void setup_none(void)
{
    create(UINT64_MAX, false, 0);
}

static void setup_limit(void)
{
    create(3 * HRI_CHUNK, true, 64);
}

static void setup_at_limit(void)
{
    create(HRI_CHUNK, true, 64);
}

static void setup_one_chunk(void)
{
    create(HRI_CHUNK, false, 0);
}

static void claim(size_t want, size_t need)
{
    size_t got = 0;
    char *at = hri_lease_claim(g, want, need, true, &got);

    if (at == NULL)
        return;
    EXPLORE_CHECK(got >= need && "less than was needed");
    EXPLORE_CHECK((uintptr_t)at % 64 == 0 && "a lease begins inside a line");
    world_bytes(at, got);
}

static void object(size_t size)
{
    char *at = hri_generation_alloc_atomic(g, size, 16, false);

    if (at != NULL)
        world_bytes(at, size);
}

static void claim_64(void)
{
    claim(64, 64);
}

static void claim_128(void)
{
    claim(128, 16);
}

static void claim_512(void)
{
    claim(512, 512);
}

static void claim_twice(void)
{
    claim(128, 16);
    claim(64, 64);
}

static void object_48(void)
{
    object(48);
}

/* There is room for it: whoever is slower in opening the chunk is not refused because the faster one's is charged. */
static void must_claim_64(void)
{
    size_t got = 0;
    char *at = hri_lease_claim(g, 64, 64, true, &got);

    EXPLORE_CHECK(at != NULL && "refused below the limit");
    world_bytes(at, got);
}

static void three_large(void)
{
    for (int i = 0; i < 3; i++)
        claim(LARGEST, LARGEST);
}

static uint64_t count_chunks(void)
{
    uint64_t chunks = 0;

    for (uint32_t list = (uint32_t)(g->bump >> 32); list != 0 && chunks < 8; chunks++)
        list = hri_provider_extent(world, list - 1)->next;
    return chunks;
}

static void quiet(void)
{
    uint64_t chunks = count_chunks();

    world_bytes_apart(g);
    EXPLORE_CHECK(chunks == g->shared_chunks && "a chunk was lost");
    EXPLORE_CHECK((g->limit == UINT64_MAX || g->charged == chunks * HRI_CHUNK) &&
                  "charged is not what the generation holds");
    hri_generation_destroy(g);
    world_quiet();
    EXPLORE_CHECK(world_records() == 0 && "a record was lost");
}

static void retire(void)
{
    world_retire(g);
}

static void quiet_retired(void)
{
    world_deferred(g, count_chunks() * HRI_CHUNK);
    quiet();
}

const struct explore_model lease_models[] = {
    {"lease/tail",
     setup_tail,
     {claim_128, claim_64},
     chain_holds,
     quiet,
     EXPLORE_ALL,
     6,
     EXPLORE_ALL},
    {"lease/tail-3",
     setup_tail,
     {claim_128, claim_64, object_48},
     chain_holds,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {"lease/odd-tail",
     setup_odd_tail,
     {claim_twice, object_48},
     chain_holds,
     quiet,
     EXPLORE_ALL,
     5,
     EXPLORE_ALL},
    {"lease/exhausted",
     setup_exhausted,
     {claim_512, claim_64},
     chain_holds,
     quiet,
     3,
     5,
     EXPLORE_ALL},
    {"lease/exhausted-3",
     setup_exhausted,
     {claim_512, claim_64, object_48},
     chain_holds,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {"lease/first", setup_none, {claim_512, object_48}, chain_holds, quiet, 3, 5, EXPLORE_ALL},
    {"lease/retired",
     setup_exhausted,
     {claim_512, retire},
     chain_holds,
     quiet_retired,
     EXPLORE_ALL,
     6,
     EXPLORE_ALL},
    {"lease/retired-3",
     setup_exhausted,
     {claim_512, object_48, retire},
     chain_holds,
     quiet_retired,
     2,
     3,
     EXPLORE_NOT},
    {"lease/limit", setup_limit, {claim_twice, claim_twice}, chain_holds, quiet, 2, 3, EXPLORE_ALL},
    {"lease/one-chunk",
     setup_one_chunk,
     {must_claim_64, must_claim_64},
     chain_holds,
     quiet,
     3,
     4,
     EXPLORE_ALL},
    {"lease/one-chunk-3",
     setup_one_chunk,
     {must_claim_64, must_claim_64, must_claim_64},
     chain_holds,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {"lease/at-limit",
     setup_at_limit,
     {three_large, three_large},
     chain_holds,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {0},
};
