/* SPDX-License-Identifier: BSD-2-Clause */
/* Fork in the middle of other threads' allocations, and behind a reader: the child has arenas and threads of
 * its own and begins with nothing deferred, the parent goes on. */
#include <urcu-bp.h> /* first: it says what rcu_flavor means */

#include "../support/nodes.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include <errno.h>
#include <harena/shared.h>
#include <sys/wait.h>

#define THREADS 8
#define FORKS   20
#define ROUND   16  /* nodes of a thread in one section */
#define FILL    200 /* nodes of one in the child */
#define CHILD   100 /* owner, in stamps */

static struct {
    harena_provider *provider;
    harena_shared *shared;
    pthread_mutex_t
        retires; /* held by who retires, or forks: for the exception that harena(7) names */
    atomic_uint stop, allocated;
    test_kept kept[THREADS]; /* of their private arenas */
    atomic_ullong serial;    /* of stamps, in children */
} race;

/* liburcu cannot know that the process forks: it asks for this, and for urcu_bp_call_rcu_before_fork() before. */
static pid_t fork_with_rcu(void)
{
    pid_t child;

    urcu_bp_before_fork();
    child = fork();
    if (child == 0) {
        urcu_bp_after_fork_child();
        urcu_bp_call_rcu_after_fork_child();
    } else {
        urcu_bp_after_fork_parent();
        urcu_bp_call_rcu_after_fork_parent();
    }
    return child;
}

static int reset_shared(void)
{
    int result;

    pthread_mutex_lock(&race.retires);
    result = harena_shared_reset(race.shared);
    pthread_mutex_unlock(&race.retires);
    return result;
}

/* All of a round, and some of what others have linked, are verified when all of it is written. */
static void fill(test_rng *rng, unsigned index, uint64_t *serial)
{
    harena_view *view = harena_shared_enter(race.shared);
    const test_node *nodes[ROUND];
    unsigned count, walked;

    for (count = 0; count < ROUND; count++) {
        nodes[count] =
            test_node_push(view, test_between(rng, 8, 5000), test_stamp(index, *serial + count));
        if (!TEST_EXPECT(nodes[count] != NULL))
            break;
    }
    for (unsigned i = 0; i < count; i++)
        TEST_EXPECT_MSG(nodes[i]->stamp == test_stamp(index, *serial + i) &&
                            test_node_intact(nodes[i]),
                        "an object of thread %u has changed within its section", index);
    TEST_EXPECT_MSG(test_nodes_intact(view, ROUND, &walked), "a linked object has changed");
    *serial += count;
    harena_shared_leave(race.shared, view);
}

/* One object more in the thread's own arena, which is reset now and then. */
static void fill_own(test_rng *rng, harena *arena, test_kept *kept)
{
    TEST_EXPECT(test_kept_alloc(kept, arena, test_between(rng, 1, 200000)));
    if (!test_kept_is_full(kept) && !test_once_in(rng, 4))
        return;
    TEST_EXPECT_MSG(test_kept_intact(kept), "thread %u's own arena has changed", kept->owner);
    test_kept_forget(kept);
    harena_reset(arena);
}

static void storm(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    harena_options options = HARENA_OPTIONS_INIT;
    test_kept *kept = &race.kept[index];
    uint64_t serial = 0;
    harena *arena;
    int result;

    (void)ctx;
    kept->owner = index;
    options.provider = race.provider;
    arena = harena_create(&options);
    while (!atomic_load(&race.stop) && !test_failed()) {
        if (harena_shared_cap(race.shared) > 8 * TEST_MIB) { /* a fork copies page tables */
            (void)reset_shared();
            sched_yield();
            continue;
        }
        fill(&rng, index, &serial);
        fill_own(&rng, arena, kept);
        if (test_once_in(&rng, 16)) {
            result = reset_shared();
            TEST_EXPECT_MSG(result == 0 || result == -EAGAIN, "reset gives %d", result);
        }
        harena_chunk_put(race.provider, harena_chunk_get(race.provider));
        atomic_fetch_add(&race.allocated, 1);
    }
    TEST_EXPECT(test_kept_intact(kept));
    test_kept_forget(kept);
    harena_release(arena);
}

/* ---- in the child: no Check here, an exit status each ---- */

static bool child_fills(harena_shared *shared)
{
    harena_view *view = harena_shared_enter(shared);
    const test_node *nodes[FILL];
    uint64_t stamps[FILL];
    bool right = true;
    unsigned i;

    for (i = 0; i < FILL && right; i++) {
        stamps[i] = test_stamp(CHILD, atomic_fetch_add(&race.serial, 1));
        nodes[i] = test_node_push(view, 300, stamps[i]);
        right = nodes[i] != NULL;
    }
    while (right && i > 0) {
        i--;
        right = nodes[i]->stamp == stamps[i] && test_node_intact(nodes[i]);
    }
    harena_shared_leave(shared, view);
    return right;
}

static void *child_thread(void *shared)
{
    return child_fills(shared) ? shared : NULL;
}

static bool child_has_a_thread(harena_shared *shared)
{
    pthread_t thread;
    void *result;

    return pthread_create(&thread, NULL, child_thread, shared) == 0 &&
           pthread_join(thread, &result) == 0 && result != NULL;
}

/* What the threads that are not here had written to arenas of their own, which nobody here continues. */
static bool child_finds_kept(void)
{
    for (unsigned i = 0; i < THREADS; i++)
        if (!test_kept_intact(&race.kept[i]))
            return false;
    return true;
}

/* All nodes of the present generation: nobody retires it meanwhile. */
static bool child_finds_nodes(unsigned *count)
{
    harena_view *view = harena_shared_enter(race.shared);
    bool right = test_nodes_intact(view, TEST_NODES_MOST, count) && *count < TEST_NODES_MOST;

    harena_shared_leave(race.shared, view);
    return right;
}

/* Threads, cut off anywhere, have left nodes in the generation that the child goes on with: it allocates beside them,
 * alone and with a thread, in one view all the time. *count: the nodes at the end. */
static bool child_goes_on(unsigned *count)
{
    harena_view *view = harena_shared_enter(race.shared);
    unsigned before;
    bool right = child_finds_nodes(&before) && child_finds_kept() && child_fills(race.shared) &&
                 child_has_a_thread(race.shared) && child_finds_nodes(count) &&
                 *count == before + 2 * FILL && child_finds_kept();

    harena_shared_leave(race.shared, view);
    return right;
}

static int child(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    harena_shared *own_shared;
    unsigned nodes, found;
    harena *own;
    void *at;

    if (!child_goes_on(&nodes)) /* the parent's, of which the child has a copy */
        return 1;
    options.provider = race.provider;
    own = harena_create(&options);
    at = harena_alloc_zeroed(own, 300000);
    if (at == NULL || !test_all_zero(at, 300000))
        return 2;
    harena_release(own);
    shared_options.provider = race.provider;
    own_shared = harena_shared_create(&shared_options);
    if (own_shared == NULL || !child_fills(own_shared))
        return 3;
    if (!child_has_a_thread(own_shared))
        return 4;
    if (harena_provider_barrier(race.provider) != 0) /* also what the parent had retired */
        return 5;
    if (!child_finds_nodes(&found) || found != nodes || !child_finds_kept()) /* not these */
        return 6;
    if (harena_shared_reset(race.shared) != 0 || harena_provider_barrier(race.provider) != 0 ||
        harena_shared_reset(own_shared) != 0) /* each alone: deferred_limit refuses neither */
        return 7;
    if (!child_fills(race.shared) || !child_fills(own_shared))
        return 8;
    harena_shared_release(own_shared);
    if (harena_provider_barrier(race.provider) != 0)
        return 9;
    return child_finds_kept() ? 0 : 10;
}

START_TEST(child_of_a_fork_in_a_storm_goes_on)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    test_thread threads[THREADS];
    unsigned i, forks = FORKS * test_scale(), seen;
    int status;
    pid_t pid;

    memset(&race, 0, sizeof(race));
    pthread_mutex_init(&race.retires, NULL);
    race.provider = test_provider(options.rcu, 0, 16 * TEST_MIB);
    options.provider = race.provider;
    ck_assert_ptr_eq(options.rcu, &urcu_bp_flavor);
    race.shared = harena_shared_create(&options);
    ck_assert_ptr_nonnull(race.shared);
    for (i = 0; i < THREADS; i++)
        test_spawn(&threads[i], storm, NULL, i);
    for (i = 0; i < forks && !test_failed(); i++) {
        seen = atomic_load(&race.allocated); /* the parent's threads go on, too */
        TEST_AWAIT(atomic_load(&race.allocated) > seen + THREADS);
        pthread_mutex_lock(&race.retires);
        urcu_bp_call_rcu_before_fork();
        pid = fork_with_rcu();
        if (pid == 0)
            _exit(child());
        pthread_mutex_unlock(&race.retires);
        if (!TEST_EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid))
            break;
        TEST_EXPECT_MSG(WIFEXITED(status), "the child ended by signal %d", WTERMSIG(status));
        TEST_EXPECT_MSG(WEXITSTATUS(status) == 0, "the child failed at %d", WEXITSTATUS(status));
    }
    atomic_store(&race.stop, 1);
    for (i = 0; i < THREADS; i++)
        test_join(&threads[i]);
    TEST_NO_FAILURE();
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
    RACE_RAN(THREADS, forks);
}
END_TEST

/* ---- what the parent's readers hold back ---- */

static void read_until_stopped(void *ctx, unsigned index)
{
    harena_view *view = harena_shared_enter(race.shared);

    (void)ctx, (void)index;
    TEST_EXPECT(harena_view_alloc(view, 700 * 1024) != NULL);
    atomic_store(&race.allocated, 1);
    TEST_AWAIT(atomic_load(&race.stop));
    harena_shared_leave(race.shared, view);
}

static int child_behind_a_reader(void)
{
    if (test_stats(race.provider).deferred != 0)
        return 1;
    if (harena_shared_reset(race.shared) != 0) /* what the parent defers does not count */
        return 2;
    if (test_stats(race.provider).deferred == 0)
        return 3;
    if (harena_provider_barrier(race.provider) != 0)
        return 4;
    /* Nobody was retiring anything, so nothing is lost. */
    return test_stats(race.provider).deferred == 0 && test_stats(race.provider).in_use == 0 ? 0 : 5;
}

START_TEST(child_begins_with_nothing_deferred)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    test_thread reader;
    uint64_t deferred;
    int status;
    pid_t pid;

    memset(&race, 0, sizeof(race));
    race.provider = test_provider(options.rcu, 0, TEST_MIB);
    options.provider = race.provider;
    race.shared = harena_shared_create(&options);
    ck_assert_ptr_nonnull(race.shared);
    ck_assert_ptr_nonnull(harena_shared_alloc(race.shared, 8));
    ck_assert_int_eq(harena_shared_reset(race.shared), 0);
    /* RCU's worker is there, and rests: later it might wait for the reader, and this call for it. */
    urcu_bp_call_rcu_before_fork();
    test_spawn(&reader, read_until_stopped, NULL, 0);
    TEST_AWAIT(atomic_load(&race.allocated) == 1);
    ck_assert_int_eq(harena_shared_reset(race.shared), 0);
    ck_assert_ptr_nonnull(harena_shared_alloc(race.shared, 700 * 1024));
    ck_assert_int_eq(harena_shared_reset(race.shared), -EAGAIN);
    deferred = test_stats(race.provider).deferred;
    pid = fork_with_rcu();
    if (pid == 0)
        _exit(child_behind_a_reader());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    ck_assert_uint_eq(test_stats(race.provider).deferred, deferred);
    atomic_store(&race.stop, 1);
    test_join(&reader);
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    ck_assert_int_eq(harena_shared_reset(race.shared), 0);
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_fork");
    TCase *tests = test_case(suite, "fork");

    if (TEST_TSAN) {
        puts("skipped: ThreadSanitizer cannot follow a child that makes threads, as RCU's does");
        return 77; /* automake's number for it */
    }
    if (TEST_ASAN)
        puts("no storm: AddressSanitizer's allocator may have been locked by another thread");
    else
        tcase_add_test(tests, child_of_a_fork_in_a_storm_goes_on);
    tcase_add_test(tests, child_begins_with_nothing_deferred);
    return test_main(suite);
}
