/* SPDX-License-Identifier: BSD-2-Clause */
/* RCU under stress: a reader that stays in its section for seconds beside producers at full speed; barriers from
 * everywhere while cleanups call barriers; a million snapshots. Memory stays bounded, nothing deadlocks, everything is
 * back at the end. */
#include "../support/flavor.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include <errno.h>
#include <harena/shared.h>
#include <harena/snapshot.h>
#include <time.h>

#define PRODUCERS      2
#define READERS        2
#define DEFERRED_LIMIT (8 * TEST_MIB)
#define ARENA_LIMIT    (2 * TEST_MIB) /* of one generation: the same reason */
#define SNAPSHOT_LIMIT                                                                             \
    (64 * TEST_MIB) /* of the provider: a publisher that is ahead waits for RCU there */
#define SNAPSHOTS      10000
#define LONG_SNAPSHOTS 1000000
#define BARRIERS       20

static struct {
    const test_flavor *flavor;
    harena_provider *provider;
    harena_shared *shared;
    harena_snapshot snapshot;
    unsigned snapshots;
    atomic_uint stop, reading, may_leave, publishing;
    atomic_uint resets, again, refused, events, registered, cleaned, barriers, deadlocks;
    atomic_ullong deferred_most, committed_most, seen;
} stress;

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void nap(unsigned milliseconds)
{
    nanosleep(&(struct timespec){0, milliseconds * 1000000L}, NULL);
}

static void raise_to(atomic_ullong *most, unsigned long long value)
{
    unsigned long long seen = atomic_load(most);

    while (seen < value && !atomic_compare_exchange_weak(most, &seen, value))
        continue;
}

static void note_figures(void)
{
    harena_provider_stats stats = test_stats(stress.provider);

    raise_to(&stress.deferred_most, stats.deferred);
    raise_to(&stress.committed_most, stats.committed);
}

static void note_event(void *ctx, const harena_event *event)
{
    (void)ctx;
    if (event->kind == HARENA_EVENT_DEFERRED_LIMIT)
        atomic_fetch_add(&stress.events, 1);
}

/* The test's own thread is one of the flavour's. */
static void begin(int flavor, size_t limit, size_t deferred_limit)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;

    memset(&stress, 0, sizeof(stress));
    stress.flavor = &test_flavors[flavor];
    test_flavor_register(stress.flavor);
    options.reserve = 4096 * TEST_MIB;
    options.limit = limit;
    options.deferred_limit = deferred_limit;
    options.rcu = stress.flavor->rcu;
    options.on_event = note_event;
    stress.provider = harena_provider_create(&options);
    ck_assert_ptr_nonnull(stress.provider);
    shared_options.provider = stress.provider;
    shared_options.rcu = stress.flavor->rcu;
    shared_options.limit = ARENA_LIMIT;
    stress.shared = harena_shared_create(&shared_options);
    ck_assert_ptr_nonnull(stress.shared);
    stress.snapshot.rcu = stress.flavor->rcu;
}

static void end(void)
{
    TEST_NO_FAILURE();
    harena_snapshot_fini(&stress.snapshot);
    harena_shared_release(stress.shared);
    test_provider_finish(stress.provider);
    test_flavor_unregister(stress.flavor);
}

/* ---- a reader that does not leave ---- */

static void stall(void *ctx, unsigned index)
{
    harena_view *view;
    char *found;

    (void)ctx, (void)index;
    test_flavor_register(stress.flavor);
    view = harena_shared_enter(stress.shared);
    found = harena_view_alloc(view, 5000);
    if (TEST_EXPECT(found != NULL)) {
        test_stamp_fill(found, 5000, 1);
        atomic_store(&stress.reading, 1);
        while (!atomic_load(&stress.may_leave))
            sched_yield();
        TEST_EXPECT_MSG(test_stamp_intact(found, 5000, 1), "a reader's data changed");
    }
    atomic_store(&stress.reading, 1);
    harena_shared_leave(stress.shared, view);
    test_flavor_unregister(stress.flavor);
}

/* Fills and resets without a pause. What the reader holds back costs answers, not memory. */
static void produce(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    harena_view *view;
    int result;

    (void)ctx;
    test_flavor_register(stress.flavor);
    while (!atomic_load(&stress.stop) && !test_failed()) {
        view = harena_shared_enter(stress.shared);
        for (unsigned i = 0; i < 64; i++) {
            void *at = harena_view_alloc(view, test_between(&rng, 8, 4096));

            if (at != NULL)
                test_stamp_fill(at, 8, i);
            else if (TEST_EXPECT(errno == ENOMEM))
                atomic_fetch_add(&stress.refused, 1);
        }
        harena_shared_leave(stress.shared, view);
        result = harena_shared_reset(stress.shared);
        if (result == -EAGAIN)
            atomic_fetch_add(&stress.again, 1);
        else if (TEST_EXPECT_MSG(result == 0, "reset gives %d", result))
            atomic_fetch_add(&stress.resets, 1);
        test_flavor_quiescent(stress.flavor);
    }
    test_flavor_unregister(stress.flavor);
}

static void watch(double seconds)
{
    double until = now() + seconds;

    while (now() < until && !test_failed()) {
        note_figures();
        nap(1);
    }
}

START_TEST(stalled_reader_costs_a_bounded_amount)
{
    const double seconds = test_scale() > 1 ? 5 : 1;
    /* Each producer may look at the limit before the other's generation counts, or take more for its own after that. */
    const size_t most = DEFERRED_LIMIT + PRODUCERS * ARENA_LIMIT;
    test_thread reader, producers[PRODUCERS];
    unsigned long long deferred, committed;
    unsigned resets, again, refused, events, recovered;
    double back = 0;

    begin(_i, 0, DEFERRED_LIMIT);
    test_flavor_offline(stress.flavor);
    test_spawn(&reader, stall, NULL, 0);
    TEST_AWAIT(atomic_load(&stress.reading));
    for (unsigned i = 0; i < PRODUCERS; i++)
        test_spawn(&producers[i], produce, NULL, i + 1);
    watch(seconds);
    resets = test_count(&stress.resets);
    again = test_count(&stress.again);
    refused = test_count(&stress.refused);
    events = test_count(&stress.events);

    atomic_store(&stress.may_leave, 1);
    back = now();
    TEST_AWAIT(atomic_load(&stress.resets) > resets + 10 || now() > back + 50);
    back = now() - back;
    watch(0.2);
    atomic_store(&stress.stop, 1);
    test_join(&reader);
    for (unsigned i = 0; i < PRODUCERS; i++)
        test_join(&producers[i]);
    test_flavor_online(stress.flavor);
    TEST_NO_FAILURE();
    recovered = test_count(&stress.resets) - resets;
    deferred = atomic_load(&stress.deferred_most);
    committed = atomic_load(&stress.committed_most);
    printf("stall=%s seconds=%.1f resets=%u again=%u refused=%u events=%u deferred_limit=%zu "
           "deferred_most=%llu committed_most=%llu resets_after=%u back_in_ms=%.0f\n",
           stress.flavor->name, seconds, resets, again, refused, events, (size_t)DEFERRED_LIMIT,
           deferred, committed, recovered, back * 1e3);
    fflush(stdout);
    ck_assert_uint_gt(again, 0);
    ck_assert_uint_ge(events, again);
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(recovered, 10);
    ck_assert_uint_ge(deferred, DEFERRED_LIMIT / 2);
    ck_assert_uint_le(deferred, most);
    ck_assert_uint_le(committed, most + ARENA_LIMIT + PRODUCERS * HARENA_CHUNK_SIZE);
    end();
}
END_TEST

/* ---- barriers from everywhere ---- */

static void wait_in_cleanup(void *ctx)
{
    (void)ctx;
    if (TEST_EXPECT(harena_provider_barrier(stress.provider) == -EDEADLK))
        atomic_fetch_add(&stress.deadlocks, 1);
    atomic_fetch_add(&stress.cleaned, 1);
}

static void count_cleanup(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&stress.cleaned, 1);
}

static void retire_something(test_rng *rng)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena_view *view;
    harena *arena;

    options.provider = stress.provider;
    options.rcu = stress.flavor->rcu;
    arena = harena_create(&options);
    if (TEST_EXPECT(arena != NULL && harena_alloc(arena, 100) != NULL) && test_once_in(rng, 2) &&
        TEST_EXPECT(harena_on_release(arena, wait_in_cleanup, NULL) == 0))
        atomic_fetch_add(&stress.registered, 1);
    harena_release_rcu(arena);
    view = harena_shared_enter(stress.shared);
    if (test_once_in(rng, 2) && harena_view_on_release(view, count_cleanup, NULL) == 0)
        atomic_fetch_add(&stress.registered, 1);
    harena_shared_leave(stress.shared, view);
    TEST_EXPECT(harena_shared_reset(stress.shared) == 0);
}

/* Each thread is online, retires, and waits; what a barrier comes back from has run. */
static void wait_often(void *ctx, unsigned index)
{
    unsigned rounds = test_rounds(BARRIERS), round;
    test_rng rng = test_rng_for(index);
    harena_view *view;

    (void)ctx;
    test_flavor_register(stress.flavor);
    for (round = 0; round < rounds && !test_failed(); round++) {
        retire_something(&rng);
        if (!stress.flavor->qsbr && test_once_in(&rng, 2)) { /* which cannot tell a section */
            view = harena_shared_enter(stress.shared);
            if (TEST_EXPECT(harena_provider_barrier(stress.provider) == -EDEADLK))
                atomic_fetch_add(&stress.deadlocks, 1);
            harena_shared_leave(stress.shared, view);
        }
        if (TEST_EXPECT(harena_provider_barrier(stress.provider) == 0))
            atomic_fetch_add(&stress.barriers, 1);
        if (stress.flavor->qsbr)
            TEST_EXPECT_MSG(stress.flavor->rcu->read_ongoing(),
                            "a barrier left its caller offline");
    }
    test_flavor_unregister(stress.flavor);
}

START_TEST(barriers_from_everywhere_come_back)
{
    const test_role roles[] = {{wait_often, 4}, {NULL, 0}};

    begin(_i, 0, 0);
    test_flavor_offline(stress.flavor);
    test_team(roles, NULL);
    test_flavor_online(stress.flavor);
    ck_assert_int_eq(harena_provider_barrier(stress.provider), 0);
    ck_assert_uint_eq(test_count(&stress.cleaned), test_count(&stress.registered));
    printf("barriers=%s returned=%u refused_in_sections_and_cleanups=%u cleanups=%u\n",
           stress.flavor->name, test_count(&stress.barriers), test_count(&stress.deadlocks),
           test_count(&stress.cleaned));
    fflush(stdout);
    ck_assert_uint_gt(test_count(&stress.deadlocks), 0);
    end();
}
END_TEST

/* ---- snapshots by the million ---- */

typedef struct version {
    uint64_t number, check;
} version;

static harena *make_version(uint64_t number, version **root)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = stress.provider;
    options.rcu = stress.flavor->rcu;
    arena = harena_create(&options);
    *root = arena != NULL ? harena_new(arena, version) : NULL;
    if (*root == NULL) {
        harena_release(arena);
        return NULL;
    }
    **root = (version){number, test_mix(number)};
    return arena;
}

static void publish(void *ctx, unsigned index)
{
    harena *arena;
    version *root;

    (void)ctx, (void)index;
    test_flavor_register(stress.flavor);
    for (unsigned number = 1; number <= stress.snapshots && !test_failed(); number++) {
        test_flavor_quiescent(stress.flavor);
        test_flavor_offline(stress.flavor); /* it may have to wait: then it is no reader */
        while ((arena = make_version(number, &root)) == NULL && !test_failed()) {
            atomic_fetch_add(&stress.refused, 1);
            note_figures();
            sched_yield();
        }
        test_flavor_online(stress.flavor);
        TEST_EXPECT(harena_snapshot_publish(&stress.snapshot, arena, root) == 0);
        if (number % 512 == 0)
            note_figures();
    }
    atomic_store(&stress.publishing, 0);
    test_flavor_unregister(stress.flavor);
}

static void read_versions(void *ctx, unsigned index)
{
    uint64_t newest = 0, seen = 0;
    const version *found;

    (void)ctx, (void)index;
    test_flavor_register(stress.flavor);
    while (atomic_load(&stress.publishing) && !test_failed()) {
        found = harena_snapshot_enter(&stress.snapshot);
        if (found != NULL) {
            TEST_EXPECT_MSG(found->number >= newest, "version %llu came after %llu",
                            (unsigned long long)found->number, (unsigned long long)newest);
            newest = found->number;
            sched_yield();
            TEST_EXPECT_MSG(found->number == newest && found->check == test_mix(newest),
                            "version %llu changed under its reader", (unsigned long long)newest);
            seen++;
        }
        harena_snapshot_leave(&stress.snapshot);
        test_flavor_quiescent(stress.flavor);
    }
    atomic_fetch_add(&stress.seen, seen);
    test_flavor_unregister(stress.flavor);
}

START_TEST(each_of_a_million_snapshots_comes_back)
{
    const test_role roles[] = {{publish, 1}, {read_versions, READERS}, {NULL, 0}};
    harena_provider_stats stats;
    double began = now();

    begin(_i, SNAPSHOT_LIMIT, 0);
    stress.snapshots = test_scale() > 1 ? LONG_SNAPSHOTS / 10 * test_scale() : SNAPSHOTS;
    if (TEST_TSAN)
        stress.snapshots /= 10;
    atomic_store(&stress.publishing, 1);
    test_flavor_offline(stress.flavor);
    test_team(roles, NULL);
    test_flavor_online(stress.flavor);
    harena_snapshot_fini(&stress.snapshot);
    ck_assert_int_eq(harena_provider_barrier(stress.provider), 0);
    stats = test_stats(stress.provider);
    printf("snapshots=%s published=%u readers=%d seen=%llu limit=%zu deferred_most=%llu "
           "committed_most=%llu refused=%u retired=%llu reclaimed=%llu seconds=%.1f\n",
           stress.flavor->name, stress.snapshots, READERS, atomic_load(&stress.seen),
           (size_t)SNAPSHOT_LIMIT, atomic_load(&stress.deferred_most),
           (unsigned long long)stats.peak, test_count(&stress.refused),
           (unsigned long long)stats.retired, (unsigned long long)stats.reclaimed, now() - began);
    fflush(stdout);
    ck_assert_uint_eq(stats.retired, stress.snapshots);
    ck_assert_uint_eq(stats.reclaimed, stress.snapshots);
    ck_assert_uint_le(stats.peak, SNAPSHOT_LIMIT);
    ck_assert_msg(atomic_load(&stress.seen) > 0, "the readers have seen nothing");
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stress");
    TCase *tests = test_case(suite, "stalled reader");

    tcase_add_loop_test(tests, stalled_reader_costs_a_bounded_amount, 0, TEST_FLAVORS);
    tests = test_case(suite, "barriers");
    tcase_add_loop_test(tests, barriers_from_everywhere_come_back, 0, TEST_FLAVORS);
    tests = test_case(suite, "snapshots");
    tcase_add_loop_test(tests, each_of_a_million_snapshots_comes_back, 0, TEST_FLAVORS);
    return test_main(suite);
}
