/* SPDX-License-Identifier: BSD-2-Clause */
/* Forks at any moment of a storm of eight threads, in each flavour, with the steps that harena(7) asks for: the parent
 * goes on, the child allocates, resets, uses the shared arena, makes threads, waits at barriers, forks. And forks
 * without any such step, in children that do nothing but exec.
 *
 * What the cut-off threads had written stays as it is in the child, whatever the child does: it finds their nodes in a
 * list at the root of the generation, and the objects of their own arenas in tables.
 *
 * bp: the other threads may be anywhere, also in a section, but for liburcu's call_rcu: a fork between two of its
 * instructions leaves a queue in two parts, for which the child waits in vain (doc/memory-order.md). A lock keeps that
 * out of here: this test says nothing about it. memb, mb, qsbr: no thread may be registered while the process forks. So
 * there a thread is registered only while it holds a lock for reading, which the forking thread takes
 * for writing; what needs no section (arenas, chunks) goes on meanwhile. */
#define _GNU_SOURCE 1 /* PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP */
#include "../support/flavor.h"
#include "../support/nodes.h"
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include <errno.h>
#include <harena/shared.h>
#include <harena/snapshot.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 8
#define AT_ONCE 4 /* children alive */
#define CHILD_SECONDS                                                                              \
    30 /* a child that is not done by then waits for something in vain; Check waits 60 */
#define ROUND       16  /* nodes of a thread in one section */
#define FILL        200 /* nodes of one in the child */
#define CHILD_OWNER 100 /* in stamps: the child and its threads */
#define IN_VAIN     200 /* its exit status, plus where it was; 0: in liburcu's steps after fork */

static const unsigned forks_of[TEST_FLAVORS] = {10, 20, 10, 10}; /* 50; in the long tier 1,000 */
#define EXECS     10
#define LONG_TIER 20

static struct {
    const test_flavor *flavor;
    struct rcu_flavor_struct rcu; /* the flavour's, but that bp's call_rcu and forks keep apart */
    pthread_rwlock_t calling;     /* bp: held by who is in call_rcu */
    harena_provider *provider;
    harena_shared *shared;
    harena_snapshot snapshot;
    pthread_rwlock_t registered; /* held by whoever is, but for bp */
    atomic_uint stop, rounds[THREADS];
    test_kept kept[THREADS]; /* of their private arenas */
    atomic_ullong serial;    /* of stamps, in children */
    atomic_ullong *found;    /* nodes of cut-off threads, by all children together */
    atomic_ullong *lost;     /* items that threads had in hand at a fork, of all children */
} race;

/* ---- what the man page asks for ---- */

void urcu_memb_call_rcu_before_fork(void);
void urcu_memb_call_rcu_after_fork_parent(void);
void urcu_memb_call_rcu_after_fork_child(void);
void urcu_mb_call_rcu_before_fork(void);
void urcu_mb_call_rcu_after_fork_parent(void);
void urcu_mb_call_rcu_after_fork_child(void);
void urcu_qsbr_call_rcu_before_fork(void);
void urcu_qsbr_call_rcu_after_fork_parent(void);
void urcu_qsbr_call_rcu_after_fork_child(void);
void urcu_bp_call_rcu_before_fork(void);
void urcu_bp_call_rcu_after_fork_parent(void);
void urcu_bp_call_rcu_after_fork_child(void);
void urcu_bp_before_fork(void);
void urcu_bp_after_fork_parent(void);
void urcu_bp_after_fork_child(void);

struct call_rcu_data *urcu_bp_get_default_call_rcu_data(void);

static const struct steps {
    void (*before)(void), (*parent)(void), (*child)(void);
} steps[TEST_FLAVORS] = {
    [TEST_MEMB] = {urcu_memb_call_rcu_before_fork, urcu_memb_call_rcu_after_fork_parent,
                   urcu_memb_call_rcu_after_fork_child},
    [TEST_BP] = {urcu_bp_call_rcu_before_fork, urcu_bp_call_rcu_after_fork_parent,
                 urcu_bp_call_rcu_after_fork_child},
    [TEST_QSBR] = {urcu_qsbr_call_rcu_before_fork, urcu_qsbr_call_rcu_after_fork_parent,
                   urcu_qsbr_call_rcu_after_fork_child},
    [TEST_MB] = {urcu_mb_call_rcu_before_fork, urcu_mb_call_rcu_after_fork_parent,
                 urcu_mb_call_rcu_after_fork_child},
};

static volatile sig_atomic_t where; /* the child is */

static void in_vain(int number)
{
    (void)number;
    _exit(IN_VAIN + where);
}

static void call_bp(struct rcu_head *head, void (*callback)(struct rcu_head *head))
{
    pthread_rwlock_rdlock(&race.calling);
    urcu_bp_flavor.update_call_rcu(head, callback);
    pthread_rwlock_unlock(&race.calling);
}

static bool is_bp(void)
{
    return race.flavor == &test_flavors[TEST_BP];
}

static void init_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;

    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    ck_assert_int_eq(pthread_rwlock_init(lock, &attributes), 0);
}

/* The caller is not registered. Workers rest before the lock is taken: they may be in call_rcu, too. */
static pid_t fork_with_rcu(void)
{
    const struct steps *s = &steps[race.flavor - test_flavors];
    bool bp = is_bp();
    pid_t child;

    if (!bp)
        pthread_rwlock_wrlock(&race.registered);
    s->before();
    if (bp) {
        pthread_rwlock_wrlock(&race.calling);
        urcu_bp_before_fork();
    }
    child = fork();
    if (child == 0) {
        where = 0;
        signal(SIGALRM, in_vain);
        alarm(CHILD_SECONDS);
        if (bp) {
            urcu_bp_after_fork_child();
            init_lock(&race.calling);
        }
        s->child();
        return 0; /* the other lock is never used again here */
    }
    if (bp) {
        urcu_bp_after_fork_parent();
        pthread_rwlock_unlock(&race.calling);
    }
    s->parent();
    if (!bp)
        pthread_rwlock_unlock(&race.registered);
    return child;
}

/* ---- the storm ---- */

/* All of a round, and some of what others have linked, are verified when all of it is written. */
static void fill(test_rng *rng, unsigned index, uint64_t *serial)
{
    harena_view *view = harena_shared_enter(race.shared);
    const test_node *nodes[ROUND];
    unsigned count, walked;

    for (count = 0; count < ROUND; count++) {
        nodes[count] =
            test_node_push(view, test_between(rng, 8, 5000), test_stamp(index, *serial + count));
        if (!TEST_EXPECT_MSG(nodes[count] != NULL, "no memory: %s", atomic_load(&test_refusal)))
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

static void publish(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;
    uint64_t *root;

    options.provider = race.provider;
    options.rcu = &race.rcu;
    arena = harena_create(&options);
    root = harena_new(arena, uint64_t);
    if (TEST_EXPECT(root != NULL)) {
        *root = 7;
        TEST_EXPECT(harena_snapshot_publish(&race.snapshot, arena, root) == 0);
    }
}

static void in_sections(test_rng *rng, unsigned index, uint64_t *serial)
{
    uint64_t *root;
    int result;

    if (race.flavor->registers)
        pthread_rwlock_rdlock(&race.registered);
    test_flavor_register(race.flavor);
    if (harena_shared_cap(race.shared) > 8 * TEST_MIB) /* a fork copies page tables */
        (void)harena_shared_reset(race.shared);
    if (harena_shared_cap(race.shared) <= 8 * TEST_MIB)
        fill(rng, index, serial);
    else /* too much is deferred already */
        sched_yield();
    if (test_once_in(rng, 16)) {
        result = harena_shared_reset(race.shared);
        TEST_EXPECT_MSG(result == 0 || result == -EAGAIN, "reset gives %d", result);
    }
    if (test_once_in(rng, 8) && test_stats(race.provider).deferred < 16 * TEST_MIB)
        publish();
    root = harena_snapshot_enter(&race.snapshot);
    TEST_EXPECT(root == NULL || *root == 7);
    harena_snapshot_leave(&race.snapshot);
    if (index == 0 &&
        test_once_in(rng, 16)) /* a fork may find it locked: the child takes it over */
        TEST_EXPECT(harena_provider_barrier(race.provider) == 0);
    test_flavor_unregister(race.flavor);
    if (race.flavor->registers)
        pthread_rwlock_unlock(&race.registered);
}

static void storm(void *ctx, unsigned index)
{
    harena_options options = HARENA_OPTIONS_INIT;
    test_rng rng = test_rng_for(index);
    test_kept *kept = &race.kept[index];
    uint64_t serial = 0;
    harena *arena;

    (void)ctx;
    kept->owner = index;
    options.provider = race.provider;
    arena = harena_create(&options);
    while (!atomic_load(&race.stop) && !test_failed()) {
        in_sections(&rng, index, &serial);
        TEST_EXPECT_MSG(
            test_kept_alloc(kept, arena,
                            test_between(&rng, 1, test_once_in(&rng, 4) ? 200000 : 20000)),
            "no memory: %s", atomic_load(&test_refusal));
        if (test_kept_is_full(kept) || test_once_in(&rng, 4)) {
            TEST_EXPECT_MSG(test_kept_intact(kept), "thread %u's own arena has changed", index);
            test_kept_forget(kept);
            harena_reset(arena);
        }
        harena_chunk_put(race.provider, harena_chunk_get(race.provider));
        atomic_fetch_add(&race.rounds[index], 1);
    }
    TEST_EXPECT(test_kept_intact(kept));
    test_kept_forget(kept);
    harena_release(arena);
}

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void begin(int flavor, test_thread *threads)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    memset(&race, 0, sizeof(race));
    race.flavor = &test_flavors[flavor];
    race.rcu = *race.flavor->rcu;
    init_lock(&race.registered);
    init_lock(&race.calling);
    if (is_bp()) {
        race.rcu.update_call_rcu = call_bp;
        urcu_bp_get_default_call_rcu_data(); /* else the first call_rcu wants the mutex that forks hold */
    }
    race.lost = mmap(NULL, 2 * sizeof(*race.lost), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(race.lost, MAP_FAILED);
    race.found = race.lost + 1;
    race.provider = test_provider(&race.rcu, 0, 16 * TEST_MIB);
    options.provider = race.provider;
    options.rcu = &race.rcu;
    race.shared = harena_shared_create(&options);
    ck_assert_ptr_nonnull(race.shared);
    race.snapshot.rcu = &race.rcu;
    for (unsigned i = 0; i < THREADS; i++)
        test_spawn(&threads[i], storm, NULL, i);
}

static void end(test_thread *threads)
{
    atomic_store(&race.stop, 1);
    for (unsigned i = 0; i < THREADS; i++)
        test_join(&threads[i]);
    TEST_NO_FAILURE();
    test_flavor_register(race.flavor);
    harena_snapshot_fini(&race.snapshot);
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
    test_flavor_unregister(race.flavor);
}

/* Each of the parent's threads goes on. */
static void await_rounds(void)
{
    unsigned seen[THREADS];

    for (unsigned i = 0; i < THREADS; i++)
        seen[i] = atomic_load(&race.rounds[i]);
    for (unsigned i = 0; i < THREADS; i++)
        TEST_AWAIT(atomic_load(&race.rounds[i]) != seen[i]);
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
        stamps[i] = test_stamp(CHILD_OWNER, atomic_fetch_add(&race.serial, 1));
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
    bool right;

    test_flavor_register(race.flavor);
    right = child_fills(shared) && child_fills(race.shared);
    test_flavor_unregister(race.flavor);
    return right ? shared : NULL;
}

static bool child_has_threads(harena_shared *shared)
{
    pthread_t threads[2];
    bool right = true;
    void *result;

    for (unsigned i = 0; i < 2; i++)
        right = pthread_create(&threads[i], NULL, child_thread, shared) == 0 && right;
    for (unsigned i = 0; i < 2; i++) /* online: it may stand in a view, and nobody waits for it */
        right = pthread_join(threads[i], &result) == 0 && result != NULL && right;
    return right;
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
 * alone and with threads, in one view all the time. *count: the nodes at the end. */
static bool child_goes_on(unsigned *count)
{
    harena_view *view = harena_shared_enter(race.shared);
    unsigned before;
    bool right = child_finds_nodes(&before);

    atomic_fetch_add(race.found, before);
    right = right && child_finds_kept() && child_fills(race.shared) &&
            child_has_threads(race.shared) && child_finds_nodes(count) &&
            *count == before + 5 * FILL && child_finds_kept();
    harena_shared_leave(race.shared, view);
    return right;
}

/* The same generation in another view: meanwhile each of the two threads of child_has_threads(own) has filled it. */
static bool child_finds_as_many(unsigned count)
{
    unsigned found;

    return child_finds_nodes(&found) && found == count + 2 * FILL;
}

/* The child's own arenas; 0 or where it failed. */
static int child_owns(harena_shared **shared)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    harena *own;
    void *at;

    options.provider = race.provider;
    options.rcu = &race.rcu;
    own = harena_create(&options);
    at = harena_alloc_zeroed(own, 300000);
    if (at == NULL || !test_all_zero(at, 300000))
        return 2;
    harena_release(own);
    shared_options.provider = race.provider;
    shared_options.rcu = &race.rcu;
    *shared = harena_shared_create(&shared_options);
    if (*shared == NULL || !child_fills(*shared))
        return 3;
    own = harena_create(&options);
    at = harena_alloc(own, 100);
    if (at == NULL || harena_snapshot_publish(&race.snapshot, own, at) != 0 ||
        harena_snapshot_enter(&race.snapshot) != at)
        return 4;
    harena_snapshot_leave(&race.snapshot);
    return 0;
}

/* All that the child has retired is back. Of what the parent had retired, nothing is lost if no thread was retiring. */
static bool child_counts_right(harena_provider *p)
{
    harena_provider_stats stats = test_stats(p);
    uint64_t lost = stats.retired - stats.reclaimed;

    atomic_fetch_add(race.lost, lost);
    return stats.deferred == 0 && stats.committed >= stats.in_use + stats.free &&
           (lost == 0 || is_bp());
}

#define CHILD(number, condition)                                                                   \
    do {                                                                                           \
        where = (number);                                                                          \
        if (!(condition))                                                                          \
            return (number);                                                                       \
    } while (0)

static int child(bool again)
{
    harena_provider *p = race.provider;
    harena_shared *own;
    int failed, status;
    unsigned nodes;
    pid_t pid;

    test_flavor_register(race.flavor);
    CHILD(1, test_stats(p).deferred == 0); /* whatever the parent's threads had counted */
    CHILD(14, child_goes_on(&nodes));      /* in the parent's, of which the child has a copy */
    failed = child_owns(&own);
    CHILD(failed, failed == 0);
    CHILD(5, child_has_threads(own));
    CHILD(6, harena_provider_barrier(p) == 0); /* also for what the parent had retired */
    CHILD(15, child_finds_as_many(nodes) && child_finds_kept());
    CHILD(7, harena_shared_reset(race.shared) == 0 && harena_provider_barrier(p) == 0);
    CHILD(8, harena_shared_reset(own) == 0); /* each alone: deferred_limit refuses neither */
    CHILD(9, child_fills(race.shared) && child_fills(own) && child_has_threads(own));
    CHILD(10, harena_provider_trim(p, 0) <= 4096 * TEST_MIB);
    harena_shared_release(own);
    CHILD(11, harena_provider_barrier(p) == 0 && child_counts_right(p));
    CHILD(16, child_finds_kept());
    test_flavor_unregister(race.flavor);
    if (!again)
        return 0;
    if (race.flavor->registers) /* the lock that the parent's threads held is nobody's here */
        pthread_rwlock_init(&race.registered, NULL);
    where = 12;
    pid = fork_with_rcu();
    if (pid == 0)
        return child(false);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 13;
}

/* ---- forks ---- */

/* Waits for one child; counts what a barrier waited for in vain. */
static void reap(unsigned *in_vain_count)
{
    int status = 0;

    if (!TEST_EXPECT(waitpid(-1, &status, 0) > 0))
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) >= IN_VAIN) {
        printf("fork=%s a child waits in vain at %d\n", race.flavor->name,
               WEXITSTATUS(status) - IN_VAIN);
        ++*in_vain_count;
        return;
    }
    TEST_EXPECT_MSG(WIFEXITED(status), "the child ended by signal %d", WTERMSIG(status));
    TEST_EXPECT_MSG(WEXITSTATUS(status) == 0, "the child failed at %d", WEXITSTATUS(status));
}

START_TEST(child_of_a_fork_at_any_moment_goes_on)
{
    test_thread threads[THREADS];
    unsigned forks = forks_of[_i] * (test_scale() > 1 ? LONG_TIER : 1), alive = 0, vain = 0, i;
    unsigned rounds = 0;
    double began = now();

    begin(_i, threads);
    for (i = 0; i < forks && !test_failed(); i++) {
        pid_t pid;

        await_rounds();
        pid = fork_with_rcu();
        if (pid == 0)
            _exit(child(i % 4 == 0));
        if (!TEST_EXPECT(pid > 0))
            break;
        if (++alive == AT_ONCE) {
            reap(&vain);
            alive--;
        }
    }
    while (alive-- > 0)
        reap(&vain);
    for (unsigned t = 0; t < THREADS; t++)
        rounds += test_count(&race.rounds[t]);
    printf("fork=%s threads=%d forks=%u grandchildren=%u in_vain=%u lost_items=%llu "
           "found_nodes=%llu parent_rounds=%u seconds=%.1f\n",
           race.flavor->name, THREADS, i, (i + 3) / 4, vain, (unsigned long long)*race.lost,
           (unsigned long long)*race.found, rounds, now() - began);
    TEST_EXPECT(vain == i || *race.found > 0);
    fflush(stdout);
    TEST_EXPECT_MSG(vain == 0, "%u of %u children wait in vain", vain, forks);
    end(threads);
}
END_TEST

/* No step at all: threads are registered, in sections, in liburcu's and the library's code. */
START_TEST(child_that_only_execs_needs_nothing)
{
    test_thread threads[THREADS];
    unsigned execs = EXECS * (test_scale() > 1 ? LONG_TIER : 1), i;
    double began = now();

    begin(_i, threads);
    for (i = 0; i < execs && !test_failed(); i++) {
        int status = 0;
        pid_t pid;

        await_rounds();
        pid = fork();
        if (pid == 0) {
            execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
            _exit(1);
        }
        TEST_EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
        TEST_EXPECT_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %d", status);
    }
    printf("exec=%s threads=%d execs=%u steps_around_fork=0 seconds=%.1f\n", race.flavor->name,
           THREADS, i, now() - began);
    fflush(stdout);
    end(threads);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fork_storm");
    TCase *tests = test_case(suite, "fork");

    if (TEST_TSAN) /* it gives up: "dup thread with used id" */
        puts("fork: skipped, ThreadSanitizer takes a child's threads for the parent's");
    else
        tcase_add_loop_test(tests, child_of_a_fork_at_any_moment_goes_on, 0, TEST_FLAVORS);
    tests = test_case(suite, "exec");
    tcase_add_loop_test(tests, child_that_only_execs_needs_nothing, 0, TEST_FLAVORS);
    return test_main(suite);
}
