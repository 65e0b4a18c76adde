/* SPDX-License-Identifier: BSD-2-Clause */
/* The synchronisation table of the snapshot, cell by cell: two operations at once, beside threads that read. */
#include "config.h" /* first: GNU interfaces */

#include "../support/provider.h"
#include "../support/stamp.h"
#include "meet.h"
#include <harena/snapshot.h>

/* Operations of one thread in one round. */
enum { PUBLICATIONS = MEET_BURST(300), READINGS = MEET_BURST(2000) };

typedef struct version {
    uint64_t stamp;
    size_t size;
    void *object;
} version;

static struct {
    const test_flavor *flavor;
    harena_provider *provider;
    harena_snapshot snapshot;
    test_rng rngs[MEET_THREADS];
    unsigned published[MEET_THREADS];
    atomic_uint gone; /* versions that have been taken back */
} race;

static void count_gone(void *ctx)
{
    version *v = ctx;

    TEST_EXPECT_MSG(test_stamp_intact(v->object, v->size, v->stamp),
                    "a version has changed before it was taken back");
    atomic_fetch_add_explicit(&race.gone, 1, memory_order_relaxed);
}

/* There is one from the beginning of a round. */
static void verify(const version *v)
{
    if (TEST_EXPECT_MSG(v != NULL, "a version without a root"))
        TEST_EXPECT_MSG(test_stamp_intact(v->object, v->size, v->stamp),
                        "%zu bytes of a version have changed under its reader", v->size);
}

/* Every eighth one has a cleanup: those without are taken back sooner. */
static harena *make(unsigned thread, version **root)
{
    harena_options options = HARENA_OPTIONS_INIT;
    test_rng *rng = &race.rngs[thread];
    harena *arena;

    options.provider = race.provider;
    options.rcu = race.flavor->rcu;
    arena = harena_create(&options);
    *root = harena_new(arena, version);
    if (!TEST_EXPECT(*root != NULL))
        return NULL;
    (*root)->size = test_between(rng, 1, 3000);
    (*root)->stamp = test_random(rng);
    (*root)->object = harena_alloc(arena, (*root)->size);
    if (!TEST_EXPECT((*root)->object != NULL))
        return NULL;
    test_stamp_fill((*root)->object, (*root)->size, (*root)->stamp);
    if (test_once_in(rng, 8) && TEST_EXPECT(harena_on_release(arena, count_gone, *root) == 0))
        race.published[thread]++;
    return arena;
}

/* What was found stays as it is until the section is left, whatever else is found meanwhile. */
static void read_versions(unsigned thread, unsigned round)
{
    const version *found, *newer;

    (void)round;
    for (unsigned i = 0; i < READINGS && !test_failed(); i++) {
        MEET(thread, &race.snapshot, found = harena_snapshot_enter(&race.snapshot); verify(found);
             newer = harena_snapshot_read(&race.snapshot); verify(newer); verify(found);
             harena_snapshot_leave(&race.snapshot));
        meet_pause(&race.rngs[thread]);
    }
}

static void publish_one(unsigned thread)
{
    version *root;
    harena *arena = make(thread, &root);
    int result;

    if (arena == NULL)
        return;
    MEET(thread, &race.snapshot, result = harena_snapshot_publish(&race.snapshot, arena, root));
    TEST_EXPECT_MSG(result == 0, "publish gives %d", result);
}

static void publish(unsigned thread, unsigned round)
{
    (void)round;
    for (unsigned i = 0; i < PUBLICATIONS && !test_failed(); i++)
        publish_one(thread);
}

/* Nobody else is there. */
static void start_anew(unsigned round)
{
    harena_provider_stats stats;

    harena_snapshot_fini(&race.snapshot);
    TEST_EXPECT(harena_snapshot_read(&race.snapshot) == NULL);
    TEST_EXPECT(harena_provider_barrier(race.provider) == 0);
    stats = test_stats(race.provider);
    TEST_EXPECT_MSG(stats.in_use == 0 && stats.deferred == 0 && stats.retired == stats.reclaimed,
                    "memory is missing after %u rounds", round);
    publish_one(0);
}

enum { PUBLISH, READ };
static const meet_operation operations[] = {
    [PUBLISH] = {"publish", publish},
    [READ] = {"enter_read_leave", read_versions},
};

typedef struct cell {
    unsigned a, b;
} cell;

static const cell cells[] = {
    {PUBLISH, PUBLISH}, /* CELL snapshot: publish x publish */
    {PUBLISH, READ},    /* CELL snapshot: publish x enter, read, leave */
    {READ, READ},       /* CELL snapshot: enter, read, leave x enter, read, leave */
};
#define CELLS ((int)(sizeof(cells) / sizeof(cells[0])))

START_TEST(two_operations_at_once)
{
    const cell *at = &cells[_i];
    unsigned published = 0;
    char more[128];

    memset(&race, 0, sizeof(race));
    race.flavor = &test_flavors[TEST_MEMB];
    test_flavor_register(race.flavor);
    race.provider = test_provider(race.flavor->rcu, 0, 0);
    race.snapshot.rcu = race.flavor->rcu;
    for (unsigned i = 0; i < MEET_THREADS; i++)
        race.rngs[i] = test_rng_for(i);
    meet_run(race.flavor, &operations[at->a], &operations[at->b],
             &operations[at->a == READ ? PUBLISH : READ], 2 * test_scale(), start_anew, more);
    harena_snapshot_fini(&race.snapshot);
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    for (unsigned i = 0; i < MEET_THREADS; i++)
        published += race.published[i];
    ck_assert_uint_eq(test_count(&race.gone), published);
    test_provider_finish(race.provider);
    test_flavor_unregister(race.flavor);
    RACE_RAN_MORE(MEET_THREADS, meet.done, more);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_snapshot_cells");
    TCase *tests = test_case(suite, "cells");

    tcase_add_loop_test(tests, two_operations_at_once, 0, CELLS);
    return test_main(suite);
}
