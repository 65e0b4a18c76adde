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

/* One chunk is free and warm, one more can be charged: enough for a run, or for two chunks. */
static void setup_last_two(void)
{
    world_create(1, 2);
    world_own(0, 0);
    world_put(0);
}

static void get_run(void)
{
    (void)world_get(2);
}

static void get_if_there(void)
{
    (void)world_get(1);
}

/* Who was refused was refused because others have the memory, not because they had it for a moment. */
static void all_is_taken(void)
{
    world_quiet();
    EXPLORE_CHECK(__builtin_popcountll(world->blocks.table[0].state & HRI_TAKEN_ALL) == 2 &&
                  "refused beside memory that is free");
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

static void get_and_put_once_more(void)
{
    get_and_put();
    get_and_put();
}

static void trim(void)
{
    harena_provider_trim(world, 0);
}

/* A chunk of each of two blocks is free and warm; one is to stay. */
static void setup_ballast(void)
{
    world_create(2, 0);
    world_own(0, 0);
    world_own(0, HRI_BLOCK_CHUNKS);
    world_put(0);
    world_put(HRI_BLOCK_CHUNKS);
    world->ballast = HRI_CHUNK;
}

static void ballast_stays(void)
{
    uint64_t taken, free_warm;

    world_quiet();
    hri_blocks_count(&world->blocks, &taken, &free_warm);
    EXPLORE_CHECK(free_warm * HRI_CHUNK >= world->ballast && "the ballast went back");
}

/* ---- huge pages ---- */

/* A huge page of which one chunk is in use; the limit has room for a whole block more, if the others go back. */
static void setup_huge(void)
{
    world_create_huge(3, 34);
    world_own(0, 0);
    world_huge(0);
}

/* The same, with room for two blocks more. */
static void setup_huge_two(void)
{
    world_create_huge(3, 65);
    world_own(0, 0);
    world_huge(0);
}

/* The same, and no addresses for another block. */
static void setup_huge_narrow(void)
{
    world_create_huge(1, 34);
    world_own(0, 0);
    world_huge(0);
}

/* Nothing yet; room for a block and two chunks, not for two blocks. */
static void setup_huge_new(void)
{
    world_create_huge(3, 34);
}

/* A huge page that is free, one chunk of it warm, which was taken when there was no limit: so it still counts as what the
 * page brought in vain. */
static void setup_huge_free(void)
{
    setup_huge();
    world_put(0);
    world->blocks.table[0].committed |= UINT64_C(1) << 32;
    world->beyond++;
}

/* As setup_apart, in a huge page that is in use otherwise. */
static void setup_huge_apart(void)
{
    world_create_huge(2, 32);
    world_fill(0, 0);
    world_own(1, 1);
    world_own(0, 3);
    world_own(0, 5);
    world_huge(0);
    world_put(3);
    world_put(5);
}

static void get_block(void)
{
    EXPLORE_CHECK(world_get(32) != HRI_NO_CHUNK && "refused below the limit");
}

static void get_block_if_there(void)
{
    (void)world_get(32);
}

static void put_and_get(void)
{
    world_put(0);
    EXPLORE_CHECK(world_get(1) != HRI_NO_CHUNK && "refused below the limit");
}

static void get_one(void)
{
    EXPLORE_CHECK(world_get(1) != HRI_NO_CHUNK && "refused below the limit");
}

/* So that somebody decides again for a block which another thread is shedding. */
static void trim_and_get(void)
{
    trim();
    (void)world_get(1);
}

static void lower_the_limit(void)
{
    harena_provider_set_limit(world, 2 * HRI_CHUNK);
}

static void huge_and_quiet(void)
{
    world_quiet();
    world_huge_pages_hold();
}

const struct explore_model limit_models[] = {
    {"limit/huge-shed",
     setup_huge,
     {get_block, get_one},
     world_limit_holds,
     huge_and_quiet,
     2,
     3,
     EXPLORE_NOT},
    {"limit/huge-shed-two",
     setup_huge_two,
     {get_block, get_block},
     world_limit_holds,
     huge_and_quiet,
     2,
     3,
     EXPLORE_NOT},
    {"limit/huge-lower-narrow",
     setup_huge_narrow,
     {get_one, lower_the_limit},
     world_limit_holds,
     huge_and_quiet,
     2,
     3,
     EXPLORE_NOT},
    {"limit/huge-new",
     setup_huge_new,
     {get_block_if_there, get_one},
     world_limit_holds,
     huge_and_quiet,
     2,
     3,
     EXPLORE_NOT},
    {"limit/huge-new-three",
     setup_huge_new,
     {get_block_if_there, get_one, get_and_put_if_there},
     world_limit_holds,
     huge_and_quiet,
     1,
     2,
     EXPLORE_NOT},
    {"limit/huge-run-purges",
     setup_huge_apart,
     {run_and_put, put_1},
     world_limit_holds,
     huge_and_quiet,
     2,
     3,
     EXPLORE_NOT},
    {"limit/huge-trim",
     setup_huge,
     {put_and_get, trim},
     world_limit_holds,
     huge_and_quiet,
     2,
     3,
     EXPLORE_NOT},
    {"limit/huge-lower",
     setup_huge,
     {get_and_put_if_there, lower_the_limit},
     world_limit_holds,
     huge_and_quiet,
     2,
     3,
     EXPLORE_NOT},
    {"limit/huge-purge-lower",
     setup_huge_free,
     {trim, lower_the_limit},
     world_limit_holds,
     huge_and_quiet,
     3,
     4,
     EXPLORE_NOT},
    {"limit/huge-shed-run",
     setup_huge,
     {get_block_if_there, get_run},
     world_limit_holds,
     huge_and_quiet,
     2,
     3,
     EXPLORE_NOT},
    {"limit/huge-purge-lower-take",
     setup_huge_free,
     {trim_and_get, lower_the_limit},
     world_limit_holds,
     huge_and_quiet,
     3,
     4,
     EXPLORE_NOT},
    {"limit/ballast",
     setup_ballast,
     {trim, trim},
     world_limit_holds,
     ballast_stays,
     2,
     3,
     EXPLORE_ALL},
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
    {"limit/run-and-two",
     setup_last_two,
     {get_run, get_if_there, get_if_there},
     world_limit_holds,
     all_is_taken,
     2,
     3,
     EXPLORE_NOT},
    {"limit/trim",
     setup_two,
     {get_and_put_once_more, trim},
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
