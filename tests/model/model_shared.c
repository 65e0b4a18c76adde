/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of the shared arena: allocators, resetters, closers, releasers; each generation goes once, after its readers. */
#include "generation.h"
#include "models.h"
#include "retire.h"
#include "world.h"

#include <harena/shared.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static harena_shared *shared;
static const void *held[EXPLORE_THREADS];
static uint32_t cleanups_run[EXPLORE_THREADS]; /* of the one that each thread registered */
static bool registered[EXPLORE_THREADS];
static bool released;

static void record_goes(void *record)
{
    for (int i = 0; i < EXPLORE_THREADS; i++)
        EXPLORE_CHECK(held[i] != record && "a generation is reclaimed that a thread has entered");
}

static void setup(void)
{
    harena_shared_options options = {.size = sizeof(options), .lanes = 2, .rcu = &explore_rcu};

    world_create(1, 0);
    world_fill(0, 4);
    for (uint32_t i = 0; i < 4; i++)
        world_own(0, i);
    for (uint32_t i = 0; i < 4; i++)
        world_put(i);
    memset(held, 0, sizeof(held));
    memset(cleanups_run, 0, sizeof(cleanups_run));
    memset(registered, 0, sizeof(registered));
    options.provider = world;
    shared = harena_shared_create(&options);
    world_record_goes = record_goes;
    explore_memory(held, sizeof(held));
    explore_memory(cleanups_run, sizeof(cleanups_run));
    explore_memory(registered, sizeof(registered));
    released = false;
    explore_memory(&released, sizeof(released));
}

/* There is a generation. */
static void setup_live(void)
{
    setup();
    harena_shared_leave(shared, harena_shared_enter(shared));
}

static void setup_chunk(void)
{
    setup();
    if (harena_shared_alloc(shared, 16) == NULL)
        abort();
}

static void setup_closed(void)
{
    setup();
    harena_shared_close(shared);
}

/* A view that stays what it was while it is entered. */
static harena_view *enter(void)
{
    harena_view *view = harena_shared_enter(shared);

    EXPLORE_CHECK(view != hri_view_empty && "a thread has entered what no thread may");
    if (view != hri_view_closed) {
        world_uses_record(view);
        EXPLORE_CHECK(hri_generation_of(view)->state == HRI_LIVE);
        held[explore_self()] = view;
    }
    return view;
}

static void leave(harena_view *view)
{
    if (view != hri_view_closed)
        explore_touch(view);
    held[explore_self()] = NULL;
    harena_shared_leave(shared, view);
}

static void count_cleanup(void *count)
{
    explore_touch(count);
    ++*(uint32_t *)count;
}

/* ---- what the threads do ---- */

static void enter_only(void)
{
    leave(enter());
}

static void enter_and_alloc(void)
{
    harena_view *view = enter();
    char *at = harena_view_alloc(view, 16);

    EXPLORE_CHECK((at != NULL) == (view != hri_view_closed) || !"refused");
    EXPLORE_CHECK((at == NULL || harena_view_contains(view, at)) &&
                  "an object lies outside its view");
    leave(view);
}

static void enter_and_register(void)
{
    harena_view *view = enter();
    int self = explore_self();

    if (harena_view_on_release(view, count_cleanup, &cleanups_run[self]) == 0)
        registered[self] = true;
    leave(view);
}

static void reset(void)
{
    int result = harena_shared_reset(shared);

    EXPLORE_CHECK(result == 0 || result == -ESHUTDOWN);
}

static void reset_twice(void)
{
    reset();
    reset();
}

static void enter_and_reset(void)
{
    harena_view *view = enter();

    reset();
    leave(view);
}

static void close(void)
{
    harena_shared_close(shared);
    EXPLORE_CHECK(hri_load_acquire(&shared->generation) == hri_view_closed &&
                  "a closed arena lives again");
}

static void close_and_look(void)
{
    close();
    enter_only();
    EXPLORE_CHECK(harena_shared_reset(shared) == -ESHUTDOWN);
}

/* Release: the others are in sections that were entered before. */
static uint32_t entered; /* atomic */

static void setup_release(void)
{
    setup_live();
    entered = 0;
    explore_memory(&entered, sizeof(entered));
}

static void say_entered(void)
{
    hri_store_release(&entered, 1);
    explore_wake(&entered);
}

static void enter_say_and_alloc(void)
{
    harena_view *view;

    hri_rcu_enter(&explore_rcu);
    say_entered();
    view = enter();
    if (harena_view_alloc(view, 16) == NULL)
        EXPLORE_CHECK(view == hri_view_closed);
    leave(view);
    reset();
    hri_rcu_leave(&explore_rcu);
}

static void release(void)
{
    explore_wait(&entered, 0, -1);
    harena_shared_release(shared);
    released = true;
}

static void figures_and_say(void)
{
    hri_rcu_enter(&explore_rcu);
    say_entered();
    world_uses_record(shared);
    held[explore_self()] = shared;
    (void)harena_shared_len(shared);
    (void)harena_shared_cap(shared);
    explore_touch(shared);
    held[explore_self()] = NULL;
    hri_rcu_leave(&explore_rcu);
}

/* All is gone: each generation once, each cleanup once. */
static void quiet(void)
{
    EXPLORE_CHECK(world->retired == world->reclaimed && world->deferred == 0 &&
                  world->deferred_records == 0 && "something retired was never reclaimed");
    if (!released)
        harena_shared_release(shared);
    for (int i = 0; i < EXPLORE_THREADS; i++)
        EXPLORE_CHECK(cleanups_run[i] == registered[i] && "a cleanup did not run once");
    EXPLORE_CHECK(world->live == 0);
    EXPLORE_CHECK(world_records() == 1 && "a generation or its arena was lost");
    world_quiet();
}

const struct explore_model shared_models[] = {
    {"shared/install", setup, {enter_only, enter_only}, NULL, quiet, 3, 4, EXPLORE_ALL},
    {"shared/install-alloc",
     setup,
     {enter_and_alloc, enter_and_alloc},
     NULL,
     quiet,
     1,
     3,
     EXPLORE_NOT},
    {"shared/reset", setup_chunk, {enter_and_alloc, reset}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"shared/reset-reset", setup_live, {reset, reset}, NULL, quiet, EXPLORE_ALL, 4, EXPLORE_ALL},
    {"shared/reset-close",
     setup_live,
     {reset_twice, close_and_look},
     NULL,
     quiet,
     2,
     4,
     EXPLORE_ALL},
    {"shared/install-close",
     setup,
     {enter_and_alloc, close_and_look},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {"shared/closed",
     setup_closed,
     {enter_and_alloc, reset},
     NULL,
     quiet,
     EXPLORE_ALL,
     4,
     EXPLORE_ALL},
    {"shared/enter-reset",
     setup_live,
     {enter_and_reset, enter_and_reset},
     NULL,
     quiet,
     1,
     3,
     EXPLORE_NOT},
    {"shared/cleanups", setup_live, {enter_and_register, reset}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"shared/release",
     setup_release,
     {enter_say_and_alloc, release},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {"shared/release-figures",
     setup_release,
     {figures_and_say, release},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_ALL},
    {"shared/three", setup_live, {enter_and_alloc, reset, close}, NULL, quiet, 1, 2, EXPLORE_NOT},
    {"shared/three-install",
     setup,
     {enter_only, enter_and_reset, reset},
     NULL,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {0},
};
