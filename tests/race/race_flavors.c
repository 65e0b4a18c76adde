/* SPDX-License-Identifier: BSD-2-Clause */
/* What RCU promises to readers, in each flavour of liburcu: they keep their data until they leave,
 * in whichever way it is taken away. */
#include "content.h"

/* The ways in which what a reader looks at can be taken away. */
enum way { RESET, CLOSE, RELEASE, RELEASE_RCU, PUBLISH, FINI, WAYS };

static enum way way;
static harena *arena_behind_pointer; /* for RELEASE_RCU, which has no handle of its own */
static _Atomic(content *) pointer;
static harena_snapshot snapshot;

static void begin_reading(int flavor, size_t limit)
{
    static const harena_snapshot empty = HARENA_SNAPSHOT_INIT;

    begin(flavor, limit, 0);
    atomic_store(&pointer, NULL);
    snapshot = empty;
    snapshot.rcu = race.flavor->rcu;
}

/* Makes what readers will find, with race.cleanups cleanups: 0 or 1. */
static void make_content(void)
{
    content *filled;
    harena *arena;

    if (way <= RELEASE) {
        race.shared = create_shared(race.flavor);
        fill_shared(race.shared, 1000);
        if (race.cleanups != 0)
            ck_assert_int_eq(harena_shared_on_release(race.shared, count_cleanup, NULL), 0);
        return;
    }
    arena = create_arena();
    filled = fill(arena, 2000);
    if (race.cleanups != 0)
        ck_assert_int_eq(harena_on_release(arena, count_cleanup, NULL), 0);
    if (way == RELEASE_RCU) {
        arena_behind_pointer = arena;
        atomic_store(&pointer, filled);
    } else {
        ck_assert_int_eq(harena_snapshot_publish(&snapshot, arena, filled), 0);
    }
}

static void take_away(void)
{
    switch (way) {
    case RESET:
        ck_assert_int_eq(harena_shared_reset(race.shared), 0);
        break;
    case CLOSE:
        harena_shared_close(race.shared);
        break;
    case RELEASE:
        harena_shared_release(race.shared);
        break;
    case RELEASE_RCU:
        atomic_store(&pointer, NULL);
        harena_release_rcu(arena_behind_pointer);
        break;
    case PUBLISH:
        ck_assert_int_eq(harena_snapshot_publish(&snapshot, NULL, NULL), 0);
        break;
    default:
        harena_snapshot_fini(&snapshot);
    }
}

static void read_for_long(void *ctx, unsigned index)
{
    harena_view *view;
    const content *found;

    (void)ctx;
    (void)index;
    test_flavor_register(race.flavor);
    if (way <= RELEASE) {
        view = harena_shared_enter(race.shared);
        stall(atomic_load(harena_view_root(view)));
        harena_shared_leave(race.shared, view);
    } else if (way == RELEASE_RCU) {
        harena_provider_read_lock(race.provider);
        stall(atomic_load(&pointer));
        harena_provider_read_unlock(race.provider);
    } else {
        found = harena_snapshot_enter(&snapshot);
        TEST_EXPECT(harena_snapshot_read(&snapshot) == found);
        stall(found);
        harena_snapshot_leave(&snapshot);
    }
    test_flavor_unregister(race.flavor);
}

#define CHUNKS 20

static void expect_data_until_the_reader_leaves(harena_shared *before)
{
    test_thread reader, waiter;
    void *others[CHUNKS];
    unsigned i, got = 0;

    make_content();
    test_spawn(&reader, read_for_long, NULL, 0);
    TEST_AWAIT(atomic_load(&race.reading));
    if (before != NULL)
        ck_assert_int_eq(harena_shared_reset(before), 0);
    take_away();
    test_spawn(&waiter, wait_at_barrier, NULL, 1);
    test_flavor_offline(race.flavor); /* so that the reader alone holds up the grace period */

    for (i = 0; i < 300; i++) /* a chance for what would be wrong */
        sched_yield();
    /* whatever else can be had is overwritten: not the reader's */
    while (got < CHUNKS && (others[got] = harena_chunk_get(race.provider)) != NULL)
        memset(others[got++], 0xff, HARENA_CHUNK_SIZE);
    ck_assert_uint_le(got, CHUNKS - OBJECTS * SIZE / HARENA_CHUNK_SIZE);
    ck_assert_uint_ge(test_stats(race.provider).deferred, OBJECTS * SIZE);
    ck_assert_uint_eq(test_count(&race.cleaned), 0);

    atomic_store(&race.may_leave, 1);
    test_join(&reader);
    test_join(&waiter);
    test_flavor_online(race.flavor);
    TEST_NO_FAILURE();
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    ck_assert_uint_eq(test_stats(race.provider).deferred, 0);
    ck_assert_uint_eq(test_count(&race.cleaned), race.cleanups);
    for (i = 0; i < got; i++)
        harena_chunk_put(race.provider, others[i]);
    for (i = 0; i < CHUNKS; i++) { /* all the memory is back */
        others[i] = harena_chunk_get(race.provider);
        ck_assert_ptr_nonnull(others[i]);
    }
    for (i = 0; i < CHUNKS; i++)
        harena_chunk_put(race.provider, others[i]);
    if (way == RESET || way == CLOSE)
        harena_shared_release(race.shared);
    harena_snapshot_fini(&snapshot);
}

START_TEST(reader_sees_intact_data_until_it_leaves)
{
    begin_reading(_i / WAYS, CHUNKS * HARENA_CHUNK_SIZE);
    way = (enum way)(_i % WAYS);
    expect_data_until_the_reader_leaves(NULL);
    end();
    RACE_RAN(3, 1);
}
END_TEST

/* Behind another retirement, whose grace period is under way: the barrier itself takes the content,
 * which has no cleanups, and has to wait for the reader as well. */
START_TEST(reader_sees_intact_data_while_a_barrier_reclaims)
{
    harena_shared *before;

    begin_reading(_i / WAYS, CHUNKS * HARENA_CHUNK_SIZE);
    way = (enum way)(_i % WAYS);
    race.cleanups = 0;
    before = create_shared(race.flavor);
    ck_assert_ptr_nonnull(harena_shared_alloc(before, 100));
    expect_data_until_the_reader_leaves(before);
    harena_shared_release(before);
    end();
    RACE_RAN(3, 1);
}
END_TEST

/* ---- under fire ---- */

#define READERS 4
static atomic_uint reading_still;

static void expect_intact(const content *found)
{
    if (found != NULL)
        TEST_EXPECT_MSG(intact(found), "a reader's data changed in its section");
}

static void read_under_fire(void *ctx, unsigned index)
{
    unsigned round, rounds = test_rounds(200);
    harena_view *view;

    (void)ctx;
    (void)index;
    test_flavor_register(race.flavor);
    for (round = 0; round < rounds && !test_failed(); round++) {
        view = harena_shared_enter(race.shared);
        expect_intact(atomic_load_explicit(harena_view_root(view), memory_order_acquire));
        harena_shared_leave(race.shared, view);
        expect_intact(harena_snapshot_enter(&snapshot));
        harena_snapshot_leave(&snapshot);
        harena_provider_read_lock(race.provider);
        expect_intact(atomic_load_explicit(&pointer, memory_order_acquire));
        harena_provider_read_unlock(race.provider);
        test_flavor_quiescent(race.flavor);
    }
    atomic_fetch_sub(&reading_still, 1);
    test_flavor_unregister(race.flavor);
}

/* Until the readers end. No faster than grace periods bring the memory back. */
static void write_under_fire(void *ctx, unsigned index)
{
    uint64_t stamp = (uint64_t)index << 32;
    harena *arena, *behind = NULL;
    content *filled;
    unsigned held;

    (void)ctx;
    test_flavor_register(race.flavor);
    while (atomic_load(&reading_still) > 0 && !test_failed()) {
        fill_shared(race.shared, stamp += OBJECTS);
        TEST_EXPECT(harena_shared_reset(race.shared) == 0);

        arena = create_arena();
        filled = fill(arena, stamp += OBJECTS);
        TEST_EXPECT(harena_snapshot_publish(&snapshot, arena, filled) == 0);

        if (index == READERS) { /* one writer only behind the pointer */
            arena = create_arena();
            filled = fill(arena, stamp += OBJECTS);
            atomic_store_explicit(&pointer, filled, memory_order_release);
            harena_release_rcu(behind);
            behind = arena;
        }
        test_flavor_offline(race.flavor);
        for (held = 0; held < 10000 && test_stats(race.provider).deferred > 64 * TEST_MIB; held++)
            sched_yield();
        test_flavor_online(race.flavor);
    }
    harena_release_rcu(behind);
    test_flavor_unregister(race.flavor);
}

/* CELL shared: alloc, read x read, reset */
/* CELL snapshot: publish x publish, enter, leave */
START_TEST(readers_see_intact_data_under_fire)
{
    const test_role roles[] = {{read_under_fire, READERS}, {write_under_fire, 2}, {NULL, 0}};

    begin_reading(_i, 0);
    race.shared = create_shared(race.flavor);
    atomic_store(&reading_still, READERS);
    test_flavor_offline(race.flavor);
    test_team(roles, NULL);
    test_flavor_online(race.flavor);
    harena_snapshot_fini(&snapshot);
    harena_shared_release(race.shared);
    end();
    RACE_RAN(READERS + 2, test_rounds(200));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_flavors");
    TCase *tests = test_case(suite, "one reader");

    tcase_add_loop_test(tests, reader_sees_intact_data_until_it_leaves, 0, TEST_FLAVORS * WAYS);
    tcase_add_loop_test(tests, reader_sees_intact_data_while_a_barrier_reclaims, 0,
                        TEST_FLAVORS * WAYS);
    tests = test_case(suite, "under fire");
    tcase_add_loop_test(tests, readers_see_intact_data_under_fire, 0, TEST_FLAVORS);
    return test_main(suite);
}
