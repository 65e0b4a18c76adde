/* SPDX-License-Identifier: BSD-2-Clause */
/* Fork in the middle of other threads' allocations, and behind a reader: the child has arenas and threads of
 * its own and begins with nothing deferred, the parent goes on. */
#include <urcu-bp.h> /* first: it says what rcu_flavor means */

#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include <errno.h>
#include <harena/shared.h>
#include <sys/wait.h>

#define THREADS 8
#define FORKS   20

static struct {
    harena_provider *provider;
    harena_shared *shared;
    pthread_mutex_t retires; /* held by who retires, or forks: for the exception that harena(7) names */
    atomic_uint stop, allocated;
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

static void storm(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    harena_options options = HARENA_OPTIONS_INIT;
    harena_view *view;
    harena *arena;
    unsigned i;
    int result;
    void *at;

    (void)ctx;
    options.provider = race.provider;
    arena = harena_create(&options);
    while (!atomic_load(&race.stop) && !test_failed()) {
        if (harena_shared_cap(race.shared) > 8 * TEST_MIB) { /* a fork copies page tables */
            (void)reset_shared();
            sched_yield();
            continue;
        }
        view = harena_shared_enter(race.shared);
        for (i = 0; i < 16; i++) {
            at = harena_view_alloc(view, test_between(&rng, 8, 5000));
            if (TEST_EXPECT(at != NULL)) {
                test_stamp_fill(at, 8, test_stamp(index, i));
                TEST_EXPECT(test_stamp_intact(at, 8, test_stamp(index, i)));
            }
        }
        harena_shared_leave(race.shared, view);
        TEST_EXPECT(harena_alloc(arena, test_between(&rng, 1, 200000)) != NULL);
        if (test_once_in(&rng, 4))
            harena_reset(arena);
        if (test_once_in(&rng, 16)) {
            result = reset_shared();
            TEST_EXPECT_MSG(result == 0 || result == -EAGAIN, "reset gives %d", result);
        }
        harena_chunk_put(race.provider, harena_chunk_get(race.provider));
        atomic_fetch_add(&race.allocated, 1);
    }
    harena_release(arena);
}

/* ---- in the child: no Check here, an exit status each ---- */

static bool child_fills(harena_shared *shared)
{
    harena_view *view = harena_shared_enter(shared);
    void *objects[200];
    bool right = true;
    unsigned i;

    for (i = 0; i < 200 && right; i++) {
        objects[i] = harena_view_alloc(view, 300);
        right = objects[i] != NULL;
        if (right)
            test_stamp_fill(objects[i], 300, i);
    }
    while (right && i > 0) {
        i--;
        right = test_stamp_intact(objects[i], 300, i);
    }
    harena_shared_leave(shared, view);
    return right;
}

static void *child_thread(void *shared)
{
    return child_fills(shared) ? shared : NULL;
}

static int child(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    harena_shared *own_shared;
    pthread_t thread;
    void *result, *at;
    harena *own;

    if (!child_fills(race.shared)) /* the parent's, of which the child has a copy */
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
    if (pthread_create(&thread, NULL, child_thread, own_shared) != 0)
        return 4;
    if (pthread_join(thread, &result) != 0 || result == NULL)
        return 5;
    if (harena_provider_barrier(race.provider) != 0) /* also what the parent had retired */
        return 6;
    if (harena_shared_reset(race.shared) != 0 || harena_provider_barrier(race.provider) != 0 ||
        harena_shared_reset(own_shared) != 0) /* each alone: deferred_limit refuses neither */
        return 7;
    if (!child_fills(race.shared) || !child_fills(own_shared))
        return 8;
    harena_shared_release(own_shared);
    return harena_provider_barrier(race.provider) == 0 ? 0 : 9;
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
