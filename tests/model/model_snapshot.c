/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of snapshots: published by two, read by a third. */
#include "arena.h"
#include "models.h"
#include "world.h"

#include <harena/snapshot.h>
#include <string.h>

static harena_snapshot snapshot;
static harena *arenas[3]; /* the first is published */
static int roots[3];      /* what they are published with */
static const void *held[EXPLORE_THREADS];

static void record_goes(void *record)
{
    for (int i = 0; i < EXPLORE_THREADS; i++)
        EXPLORE_CHECK(held[i] != record && "an arena is reclaimed that a reader sees");
}

static void setup(void)
{
    harena_options options = {.size = sizeof(options)};

    world_create(1, 0);
    memset(held, 0, sizeof(held));
    snapshot = (harena_snapshot){.rcu = &explore_rcu};
    options.provider = world;
    options.rcu = &explore_rcu;
    for (int i = 0; i < 3; i++)
        arenas[i] = harena_create(&options);
    harena_snapshot_publish(&snapshot, arenas[0], &roots[0]);
    world_record_goes = record_goes;
    explore_memory(&snapshot, sizeof(snapshot));
    explore_memory(held, sizeof(held));
}

static void publish_1(void)
{
    EXPLORE_CHECK(harena_snapshot_publish(&snapshot, arenas[1], &roots[1]) == 0);
}

static void publish_2(void)
{
    EXPLORE_CHECK(harena_snapshot_publish(&snapshot, arenas[2], &roots[2]) == 0);
}

static void publish_1_and_2(void)
{
    publish_1();
    publish_2();
}

static void publish_nothing(void)
{
    EXPLORE_CHECK(harena_snapshot_publish(&snapshot, NULL, NULL) == 0);
}

/* The arena that this root belongs to is there until the section ends. */
static void see(const int *root)
{
    const void *record;

    if (root == NULL)
        return;
    record = hri_arena_of(arenas[root - roots]);
    world_uses_record(record);
    held[explore_self()] = record;
    explore_touch(record);
    held[explore_self()] = NULL;
}

static void read_one(void)
{
    const int *root = harena_snapshot_enter(&snapshot);

    see(root);
    see(harena_snapshot_read(&snapshot));
    harena_snapshot_leave(&snapshot);
}

/* All that were published are gone but the present one, which has its own root; then that one, too. */
static void quiet(void)
{
    const harena *present = snapshot.slot;
    const int *root = harena_snapshot_read(&snapshot);

    EXPLORE_CHECK((present != NULL ? present == arenas[root - roots] : root == NULL) &&
                  "the root of one stands beside the arena of another");
    for (int i = 0; i < 3; i++)
        if (arenas[i] == present)
            world_uses_record(hri_arena_of(arenas[i]));
    harena_snapshot_fini(&snapshot);
    EXPLORE_CHECK(world->retired == world->reclaimed && world->deferred == 0 &&
                  world->deferred_records == 0);
    EXPLORE_CHECK(world_records() == 1 + world->live && "a record was lost");
    world_quiet();
}

static void all_are_gone(void)
{
    quiet();
    EXPLORE_CHECK(world->live == 0 && "an arena was lost");
}

const struct explore_model snapshot_models[] = {
    {"snapshot/two", setup, {publish_1, publish_2}, NULL, all_are_gone, 3, 4, EXPLORE_ALL},
    {"snapshot/read", setup, {publish_1, read_one}, NULL, quiet, 3, 4, EXPLORE_ALL},
    {"snapshot/two-read",
     setup,
     {publish_1, publish_2, read_one},
     NULL,
     all_are_gone,
     2,
     3,
     EXPLORE_NOT},
    {"snapshot/twice-read",
     setup,
     {publish_1_and_2, read_one},
     NULL,
     all_are_gone,
     2,
     3,
     EXPLORE_ALL},
    {"snapshot/nothing",
     setup,
     {publish_1_and_2, publish_nothing, read_one},
     NULL,
     all_are_gone,
     1,
     2,
     EXPLORE_NOT},
    {0},
};
