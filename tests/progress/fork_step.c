/* SPDX-License-Identifier: BSD-2-Clause */
/* Forks while a thread stands at one particular instruction of retiring or of a barrier: the child's own retirements
 * come back whatever that thread was about to do, and none of its figures is spoilt.
 *
 * Flavour bp, for in the others no thread but the forking one may be there. The thread is alone when it begins: nothing
 * is retired and no shard is armed, so it arms one itself and hands it to RCU. */
#ifndef __x86_64__
#include <stdio.h>

int main(void)
{
    puts("skipped: knows the trap flag of x86-64 only");
    return 77; /* automake's number for it */
}
#else
#define _GNU_SOURCE 1 /* dl_iterate_phdr, REG_RIP */
#include <urcu-bp.h>  /* first: it says what rcu_flavor means */

#include "../support/provider.h"
#include "../support/threads.h"
#include "step.h"
#include <harena/shared.h>
#include <sys/wait.h>
#include <time.h>

#define SHARDS        4  /* that retired memory waits in: threads in order get one each */
#define AT_ONCE       4  /* children alive */
#define CHILD_SECONDS 60 /* a child that is not done by then waits for something in vain */
#define IN_VAIN       200
#define POINTS        25 /* of one operation in the short tier; else each instruction */

static struct {
    harena_provider *provider;
    harena_shared *shared;
    step step;
    bool waits;
    unsigned forks, alive, vain;
} race;

static void fill(void)
{
    harena_view *view = harena_shared_enter(race.shared);

    TEST_EXPECT(harena_view_alloc(view, 100000) != NULL);
    harena_shared_leave(race.shared, view);
}

/* ---- who stands there ---- */

static void victim(void *ctx, unsigned index)
{
    (void)ctx, (void)index;
    fill();
    if (race.waits)
        TEST_EXPECT(harena_shared_reset(race.shared) == 0);
    step_begin(&race.step);
    if (race.waits)
        TEST_EXPECT(harena_provider_barrier(race.provider) == 0);
    else
        TEST_EXPECT(harena_shared_reset(race.shared) == 0);
    step_end(&race.step);
}

/* Nothing is retired, no callback is under way. */
static void make_quiet(void)
{
    TEST_EXPECT(harena_provider_barrier(race.provider) == 0);
    urcu_bp_barrier();
}

/* ---- in the child: no Check here, an exit status each ---- */

static volatile sig_atomic_t where;
static atomic_uint reclaimed;
static pthread_barrier_t together;

static void in_vain(int number)
{
    (void)number;
    _exit(IN_VAIN + where);
}

static void count(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&reclaimed, 1);
}

static void *retire(void *ctx)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;
    bool right;

    options.provider = race.provider;
    arena = harena_create(&options);
    right = harena_alloc(arena, 100) != NULL && harena_on_release(arena, count, NULL) == 0;
    pthread_barrier_wait(&together);
    harena_release_rcu(arena);
    return right ? ctx : NULL;
}

static int child(void)
{
    pthread_t threads[SHARDS - 1];
    void *result;

    where = 1;
    if (test_stats(race.provider).deferred != 0)
        return 1;
    pthread_barrier_init(&together, NULL, SHARDS);
    for (unsigned i = 0; i < SHARDS - 1; i++)
        if (pthread_create(&threads[i], NULL, retire, &race) != 0)
            return 2;
    if (retire(&race) == NULL)
        return 3;
    for (unsigned i = 0; i < SHARDS - 1; i++)
        if (pthread_join(threads[i], &result) != 0 || result == NULL)
            return 3;
    where = 4;
    while (atomic_load(&reclaimed) != SHARDS) /* RCU's worker does that alone */
        nanosleep(&(struct timespec){0, 500000}, NULL);
    where = 5;
    if (harena_provider_barrier(race.provider) != 0)
        return 5;
    return test_stats(race.provider).deferred == 0 ? 0 : 6;
}

/* ---- forks ---- */

static pid_t fork_with_rcu(void)
{
    pid_t pid;

    urcu_bp_call_rcu_before_fork();
    urcu_bp_before_fork();
    pid = fork();
    if (pid == 0) {
        signal(SIGALRM, in_vain);
        alarm(CHILD_SECONDS);
        urcu_bp_after_fork_child();
        urcu_bp_call_rcu_after_fork_child();
        _exit(child());
    }
    urcu_bp_after_fork_parent();
    urcu_bp_call_rcu_after_fork_parent();
    return pid;
}

static void reap(void)
{
    int status = 0;

    race.alive--;
    if (!TEST_EXPECT(waitpid(-1, &status, 0) > 0))
        return;
    race.vain += WIFEXITED(status) && WEXITSTATUS(status) >= IN_VAIN;
    TEST_EXPECT_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                    "a child ended with status %d or by signal %d",
                    WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* Unless the operation has fewer instructions this time. */
static void fork_at(uint64_t instruction)
{
    test_thread thread;
    unsigned state;

    make_quiet();
    memset(&race.step, 0, sizeof(race.step));
    race.step.target = instruction;
    race.step.rcu = &urcu_bp_flavor;
    test_spawn(&thread, victim, NULL, 0);
    state = step_wait(&race.step, 20);
    if (!TEST_EXPECT_MSG(state != STEP_RUNNING, "the thread does not come to its end"))
        return;
    if (state == STEP_PARKED) {
        if (TEST_EXPECT(fork_with_rcu() > 0)) {
            race.forks++;
            race.alive++;
        }
        if (race.alive == AT_ONCE)
            reap();
        step_resume(&race.step);
    }
    test_join(&thread);
}

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

START_TEST(child_goes_on)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    test_rng rng = test_rng_for((uint64_t)_i);
    uint64_t length = UINT64_MAX, stride, at;
    double began = now();

    memset(&race, 0, sizeof(race));
    race.waits = _i == 1;
    race.provider = test_provider(&urcu_bp_flavor, 0, 0);
    options.provider = race.provider;
    options.rcu = &urcu_bp_flavor;
    options.lanes = 1; /* a reset adds up all lanes: hundreds of instructions that are all alike */
    race.shared = harena_shared_create(&options);
    ck_assert_ptr_nonnull(race.shared);
    for (unsigned i = 0; i < 4; i++) { /* never parked: how long it is, at least */
        fork_at(0);
        length = race.step.steps < length ? race.step.steps : length;
    }
    stride = test_scale() > 1 ? 1 : length / POINTS + 1;
    for (at = test_between(&rng, 1, stride); at <= length && !test_failed();
         at += test_between(&rng, 1, 2 * stride - 1))
        fork_at(at);
    while (race.alive > 0)
        reap();
    printf("fork_step=%s flavor=bp instructions=%llu forks=%u in_vain=%u seconds=%.1f\n",
           race.waits ? "barrier" : "reset", (unsigned long long)length, race.forks, race.vain,
           now() - began);
    fflush(stdout);
    TEST_NO_FAILURE();
    ck_assert_uint_ge(race.forks, POINTS / 3);
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fork_step");
    TCase *tests = test_case(suite, "fork");

    if (TEST_TSAN || !step_init((void *)harena_provider_create)) {
        puts("skipped: needs the shared library, without ThreadSanitizer");
        return 77;
    }
    tcase_add_loop_test(tests, child_goes_on, 0, 2);
    return test_main(suite);
}
#endif
