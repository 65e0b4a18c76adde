/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishers against readers of one snapshot: whole contents, no way back, each arena retired
 * once. */
#include "../support/flavor.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include <errno.h>
#include <harena/snapshot.h>

#define PUBLISHERS 2
#define READERS    4
#define OBJECTS    12
#define VERSIONS   40000 /* of one publisher, at most */

typedef struct version {
    unsigned publisher;
    unsigned number; /* of this publisher, from 1 */
    size_t sizes[OBJECTS];
    void *objects[OBJECTS];
} version;

static struct {
    const test_flavor *flavor;
    harena_provider *provider;
    harena_snapshot snapshot;
    unsigned versions;
    atomic_uint publishing;
    atomic_uint retired[PUBLISHERS][VERSIONS + 1];
    atomic_uint published[PUBLISHERS];
} race;

static void count_retired(void *ctx)
{
    TEST_EXPECT(atomic_fetch_add((atomic_uint *)ctx, 1) == 0);
}

static uint64_t stamp_of(unsigned publisher, unsigned number, unsigned object)
{
    return test_stamp(publisher, (uint64_t)number * OBJECTS + object);
}

/* One whole version in an arena of its own; NULL if it cannot be made. */
static harena *make_version(test_rng *rng, unsigned publisher, unsigned number, version **root)
{
    harena_options options = HARENA_OPTIONS_INIT;
    version *made;
    harena *arena;
    unsigned i;

    options.provider = race.provider;
    options.rcu = race.flavor->rcu;
    arena = harena_create(&options);
    made = *root = harena_new(arena, version);
    if (!TEST_EXPECT(made != NULL))
        return NULL;
    TEST_EXPECT(harena_on_release(arena, count_retired, &race.retired[publisher][number]) == 0);
    made->publisher = publisher;
    made->number = number;
    for (i = 0; i < OBJECTS; i++) {
        made->sizes[i] = (size_t)test_between(rng, 1, test_once_in(rng, 32) ? 100000 : 2000);
        made->objects[i] = harena_alloc(arena, made->sizes[i]);
        if (!TEST_EXPECT(made->objects[i] != NULL))
            return NULL;
        test_stamp_fill(made->objects[i], made->sizes[i], stamp_of(publisher, number, i));
    }
    return arena;
}

/* Not a thing that can be published: nothing changes. */
static void publish_wrongly(void)
{
    static _Thread_local char memory[4096] __attribute__((aligned(64)));
    harena *fixed = harena_create_fixed(memory, sizeof(memory), NULL);

    TEST_EXPECT(fixed != NULL);
    TEST_EXPECT(harena_snapshot_publish(&race.snapshot, fixed, memory) == -EINVAL);
    TEST_EXPECT(harena_snapshot_publish(&race.snapshot, NULL, memory) == -EINVAL);
    harena_release(fixed);
}

static void publish(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    unsigned number;
    version *root;
    harena *arena;

    (void)ctx;
    test_flavor_register(race.flavor);
    for (number = 1; number <= race.versions && !test_failed(); number++) {
        arena = make_version(&rng, index, number, &root);
        if (arena == NULL)
            break;
        TEST_EXPECT(harena_snapshot_publish(&race.snapshot, arena, root) == 0);
        atomic_store(&race.published[index], number);
        if (test_once_in(&rng, 16))
            publish_wrongly();
        if (test_once_in(&rng, 64))
            TEST_EXPECT(harena_snapshot_publish(&race.snapshot, NULL, NULL) == 0);
        test_flavor_quiescent(race.flavor);
        if (test_once_in(&rng, 2)) {
            test_flavor_offline(race.flavor);
            sched_yield();
            test_flavor_online(race.flavor);
        }
    }
    atomic_fetch_sub(&race.publishing, 1);
    test_flavor_unregister(race.flavor);
}

/* A whole version that nobody has taken away, none older than what this reader has seen. */
static void verify(const version *seen, unsigned *newest)
{
    unsigned i;

    TEST_EXPECT_MSG(atomic_load(&race.retired[seen->publisher][seen->number]) == 0,
                    "version %u of publisher %u is gone while a reader looks at it", seen->number,
                    seen->publisher);
    TEST_EXPECT_MSG(seen->number >= newest[seen->publisher],
                    "version %u of publisher %u came after %u", seen->number, seen->publisher,
                    newest[seen->publisher]);
    newest[seen->publisher] = seen->number;
    for (i = 0; i < OBJECTS; i++)
        TEST_EXPECT_MSG(test_stamp_intact(seen->objects[i], seen->sizes[i],
                                          stamp_of(seen->publisher, seen->number, i)),
                        "version %u of publisher %u is not whole", seen->number, seen->publisher);
}

static void read_versions(void *ctx, unsigned index)
{
    unsigned newest[PUBLISHERS] = {0};
    const version *seen, *again;

    (void)ctx;
    (void)index;
    test_flavor_register(race.flavor);
    while (atomic_load(&race.publishing) > 0 && !test_failed()) {
        seen = harena_snapshot_enter(&race.snapshot);
        if (seen != NULL)
            verify(seen, newest);
        again = harena_snapshot_enter(&race.snapshot); /* perhaps a newer one */
        if (again != NULL && again != seen)
            verify(again, newest);
        harena_snapshot_leave(&race.snapshot);
        again = harena_snapshot_read(&race.snapshot);
        if (again != NULL)
            verify(again, newest);
        harena_snapshot_leave(&race.snapshot);
        test_flavor_quiescent(race.flavor);
    }
    test_flavor_unregister(race.flavor);
}

/* CELL snapshot: publish, enter, read, leave x enter, read, leave */
/* CELL snapshot: publish x publish */
START_TEST(readers_see_whole_versions_and_each_is_retired_once)
{
    const test_role roles[] = {{publish, PUBLISHERS}, {read_versions, READERS}, {NULL, 0}};
    unsigned publisher, number, count = test_rounds(160);

    memset(&race, 0, sizeof(race));
    race.flavor = &test_flavors[_i];
    test_flavor_register(race.flavor);
    race.provider = test_provider(race.flavor->rcu, 0, 0);
    race.snapshot.rcu = race.flavor->rcu;
    race.versions = count < VERSIONS ? count : VERSIONS;
    atomic_store(&race.publishing, PUBLISHERS);
    test_flavor_offline(race.flavor);
    test_team(roles, NULL);
    test_flavor_online(race.flavor);
    harena_snapshot_fini(&race.snapshot);
    ck_assert_ptr_null(harena_snapshot_enter(&race.snapshot));
    harena_snapshot_leave(&race.snapshot);
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    for (publisher = 0; publisher < PUBLISHERS; publisher++) {
        ck_assert_uint_eq(test_count(&race.published[publisher]), race.versions);
        for (number = 1; number <= race.versions; number++)
            ck_assert_msg(atomic_load(&race.retired[publisher][number]) == 1,
                          "version %u of publisher %u was retired %u times", number, publisher,
                          atomic_load(&race.retired[publisher][number]));
    }
    test_provider_finish(race.provider);
    test_flavor_unregister(race.flavor);
    RACE_RAN(PUBLISHERS + READERS, race.versions);
}
END_TEST

/* ---- nothing but publications, so that they meet ---- */

#define STORM   8
#define ARENAS  32
#define CLEANED (STORM * ARENAS)

static atomic_uint storm_retired[CLEANED];
static harena *storm_arenas[CLEANED];
static pthread_barrier_t storm_begins;

static void publish_at_once(void *ctx, unsigned index)
{
    unsigned i;

    (void)ctx;
    test_flavor_register(race.flavor);
    test_flavor_offline(race.flavor);
    pthread_barrier_wait(&storm_begins);
    test_flavor_online(race.flavor);
    for (i = index * ARENAS; i < (index + 1) * ARENAS; i++)
        TEST_EXPECT(harena_snapshot_publish(&race.snapshot, storm_arenas[i], NULL) == 0);
    test_flavor_unregister(race.flavor);
}

/* CELL snapshot: publish x publish */
START_TEST(each_of_many_publications_at_once_is_retired_once)
{
    const test_role roles[] = {{publish_at_once, STORM}, {NULL, 0}};
    unsigned round, rounds = test_rounds(24), i;
    harena_options options = HARENA_OPTIONS_INIT;

    memset(&race, 0, sizeof(race));
    race.flavor = &test_flavors[_i];
    test_flavor_register(race.flavor);
    race.provider = test_provider(race.flavor->rcu, 0, 0);
    race.snapshot.rcu = race.flavor->rcu;
    options.provider = race.provider;
    options.rcu = race.flavor->rcu;
    ck_assert_int_eq(pthread_barrier_init(&storm_begins, NULL, STORM), 0);
    for (round = 0; round < rounds; round++) {
        memset(storm_retired, 0, sizeof(storm_retired));
        for (i = 0; i < CLEANED; i++) {
            storm_arenas[i] = harena_create(&options);
            ck_assert_int_eq(harena_on_release(storm_arenas[i], count_retired, &storm_retired[i]),
                             0);
        }
        test_flavor_offline(race.flavor);
        test_team(roles, NULL);
        test_flavor_online(race.flavor);
        harena_snapshot_fini(&race.snapshot);
        ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
        for (i = 0; i < CLEANED; i++)
            ck_assert_uint_eq(test_count(&storm_retired[i]), 1);
    }
    pthread_barrier_destroy(&storm_begins);
    test_provider_finish(race.provider);
    test_flavor_unregister(race.flavor);
    RACE_RAN(STORM, rounds * ARENAS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_snapshot");
    TCase *tests = test_case(suite, "publish");

    tcase_add_loop_test(tests, readers_see_whole_versions_and_each_is_retired_once, 0,
                        TEST_FLAVORS);
    tcase_add_loop_test(tests, each_of_many_publications_at_once_is_retired_once, 0, TEST_FLAVORS);
    return test_main(suite);
}
