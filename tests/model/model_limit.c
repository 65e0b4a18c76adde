/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of the hard limit: charge, claim, refund; purges that make room. */
#include "models.h"
#include "world.h"

/* Nothing has been used yet; as many chunks as there are threads. */
static void setup_two(void)
{
    world_create(1, 2);
}

static void setup_one(void)
{
    world_create(1, 1);
}

static void setup_three(void)
{
    world_create(1, 3);
}

static void get_and_put(void)
{
    uint32_t chunk = world_get(1);

    EXPLORE_CHECK(chunk != HRI_NO_CHUNK && "refused below the limit");
    world_put(chunk);
}

static void get_and_put_if_there(void)
{
    uint32_t chunk = world_get(1);

    if (chunk != HRI_NO_CHUNK)
        world_put(chunk);
}

static void setup_failing_commit(void)
{
    world_create(1, 2);
    world_fail_commit(1);
}

/* Two free chunks, not neighbours, warm: a run of two must purge one of them, or all. */
static void setup_apart(void)
{
    world_create(2, 3);
    world_own(1, 1);
    world_own(0, 3);
    world_own(0, 5);
    world_put(3);
    world_put(5);
}

static void run_and_put(void)
{
    uint32_t chunk = world_get(2);

    if (chunk != HRI_NO_CHUNK)
        world_put(chunk);
}

static void put_1(void)
{
    world_put(1);
}

static void get_and_put_twice(void)
{
    get_and_put_if_there();
    get_and_put_if_there();
}

static void trim(void)
{
    harena_provider_trim(world, 0);
}

const struct explore_model limit_models[] = {
    {"limit/two",
     setup_two,
     {get_and_put, get_and_put},
     world_limit_holds,
     world_quiet,
     2,
     4,
     EXPLORE_ALL},
    {"limit/three",
     setup_three,
     {get_and_put, get_and_put, get_and_put},
     world_limit_holds,
     world_quiet,
     1,
     2,
     EXPLORE_NOT},
    {"limit/one",
     setup_one,
     {get_and_put_if_there, get_and_put_if_there},
     world_limit_holds,
     world_quiet,
     2,
     4,
     EXPLORE_ALL},
    {"limit/commit-fails",
     setup_failing_commit,
     {get_and_put_if_there, get_and_put_twice},
     world_limit_holds,
     world_quiet,
     2,
     3,
     EXPLORE_ALL},
    {"limit/run-purges",
     setup_apart,
     {run_and_put, put_1},
     world_limit_holds,
     world_quiet,
     2,
     3,
     EXPLORE_ALL},
    {"limit/run-purges-get",
     setup_apart,
     {run_and_put, get_and_put_if_there},
     world_limit_holds,
     world_quiet,
     1,
     3,
     EXPLORE_NOT},
    {"limit/trim",
     setup_two,
     {get_and_put_twice, trim},
     world_limit_holds,
     world_quiet,
     2,
     4,
     EXPLORE_ALL},
    {"limit/trim-3",
     setup_one,
     {get_and_put_if_there, get_and_put_if_there, trim},
     world_limit_holds,
     world_quiet,
     1,
     2,
     EXPLORE_NOT},
    {0},
};
