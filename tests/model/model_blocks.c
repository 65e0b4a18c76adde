/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of the bitmaps: take and put with both summaries, purge claims, runs. */
#include "models.h"
#include "world.h"

/* One block, all in use but for what the threads have; the limit leaves no cold chunk. */
static void setup_full(void)
{
    world_create(1, 32);
    world_fill(0, 0);
    world_own(0, 5);
    world_own(1, 9);
    world->blocks.warm_summary[0] = 1; /* out of date, as it may be */
    world->blocks.full_summary[0] = 0;
}

static void put_5(void)
{
    world_put(5);
}

static void put_9(void)
{
    world_put(9);
}

static void get(void)
{
    world_get(1);
}

static void get_and_put(void)
{
    uint32_t chunk = world_get(1);

    if (chunk != HRI_NO_CHUNK)
        world_put(chunk);
}

static void put_5_and_get(void)
{
    world_put(5);
    world_get(1);
}

/* Two chunks that are cold: the summary of full blocks decides who finds them. */
static void setup_cold(void)
{
    world_create(2, 0);
    world_fill(0, 0);
    world_fill(1, 2);
    world_own(0, 5);
    world->blocks.warm_summary[0] = 0;
    world->blocks.full_summary[0] = 0;
}

/* A commit that fails makes a chunk cold again in a block that was full. */
static void setup_cold_again(void)
{
    world_create(2, 0);
    world_fill(0, 1);
    world_fill(1, 1);
    world->blocks.table[0].committed = 0;
    world_fail_commit(1);
}

/* One block that can be purged as soon as it is free. */
static void setup_purge(void)
{
    world_create(1, 2);
    world_own(0, 5);
    world->blocks.warm_summary[0] = 1;
}

static void trim(void)
{
    harena_provider_trim(world, 0);
}

static void setup_purge_fails(void)
{
    setup_purge();
    world->source.purge = NULL;
}

/* Three free chunks in a row, warm. */
static void setup_run(void)
{
    world_create(1, 32);
    world_fill(0, 3);
    world_own(0, 0);
    world_own(0, 1);
    world_own(0, 2);
    for (uint32_t i = 0; i < 3; i++)
        world_put(i);
}

static void get_run_and_put(void)
{
    uint32_t chunk = world_get(2);

    if (chunk != HRI_NO_CHUNK)
        world_put(chunk);
}

/* A run over two blocks, of which the second has one chunk that others want, too. */
static void setup_long_run(void)
{
    world_create(2, 0);
    world_fill(1, 2);
}

static void get_long_run(void)
{
    uint32_t chunk = world_get(33);

    if (chunk != HRI_NO_CHUNK)
        world_put(chunk);
}

const struct explore_model blocks_models[] = {
    {"blocks/put-take",
     setup_full,
     {put_5, get},
     world_limit_holds,
     world_quiet,
     EXPLORE_ALL,
     4,
     EXPLORE_ALL},
    {"blocks/put-put-take",
     setup_full,
     {put_5, put_9, get_and_put},
     world_limit_holds,
     world_quiet,
     1,
     3,
     EXPLORE_NOT},
    {"blocks/put-take-take",
     setup_full,
     {put_5_and_get, put_9, get},
     world_limit_holds,
     world_quiet,
     1,
     2,
     EXPLORE_NOT},
    {"blocks/full",
     setup_cold,
     {put_5, get_and_put},
     world_limit_holds,
     world_quiet,
     2,
     4,
     EXPLORE_ALL},
    {"blocks/full-3",
     setup_cold,
     {put_5, get, get_and_put},
     world_limit_holds,
     world_quiet,
     1,
     2,
     EXPLORE_NOT},
    {"blocks/cold-again",
     setup_cold_again,
     {get, get_and_put},
     world_limit_holds,
     world_quiet,
     2,
     4,
     EXPLORE_ALL},
    {"blocks/purge",
     setup_purge,
     {put_5_and_get, trim},
     world_limit_holds,
     world_quiet,
     3,
     5,
     EXPLORE_ALL},
    {"blocks/purge-fails",
     setup_purge_fails,
     {put_5_and_get, trim},
     world_limit_holds,
     world_quiet,
     2,
     4,
     EXPLORE_ALL},
    {"blocks/purge-3",
     setup_purge,
     {put_5_and_get, trim, get_and_put},
     world_limit_holds,
     world_quiet,
     1,
     2,
     EXPLORE_NOT},
    {"blocks/run",
     setup_run,
     {get_run_and_put, get_and_put},
     world_limit_holds,
     world_quiet,
     2,
     4,
     EXPLORE_ALL},
    {"blocks/run-run",
     setup_run,
     {get_run_and_put, get_run_and_put},
     world_limit_holds,
     world_quiet,
     2,
     3,
     EXPLORE_ALL},
    {"blocks/long-run",
     setup_long_run,
     {get_long_run, get_and_put},
     world_limit_holds,
     world_quiet,
     2,
     4,
     EXPLORE_ALL},
    {0},
};
