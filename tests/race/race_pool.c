/* SPDX-License-Identifier: BSD-2-Clause */
/* Races on one pool: arenas acquired, passed on, given, dropped by the provider, given while the pool ends. */
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "pool.h"
#include "ran.h"
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define PLACES  16 /* where threads lay arenas down for each other */
#define OBJECTS 12
#define KEYS    300 /* more than a pool remembers */

/* The first object of an arena that is out: what else its user has put there. */
typedef struct loan {
    harena *arena;
    unsigned count;
    uint64_t stamp;
    size_t sizes[OBJECTS];
    void *objects[OBJECTS];
} loan;

static struct {
    harena_provider *provider;
    harena_pool *pool;
    size_t max_idle;
    unsigned rounds;
    _Atomic(loan *) places[PLACES];
    unsigned threads;
    atomic_uint working, registered, cleanups, arrived;
    atomic_bool go;
} race;

static harena_pool *make_pool(size_t max_idle, size_t max_idle_bytes)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;

    options.arena.provider = race.provider;
    options.max_idle = max_idle;
    options.max_idle_bytes = max_idle_bytes;
    return harena_pool_create(&options);
}

static void begin(size_t max_idle, unsigned rounds)
{
    memset(&race, 0, sizeof(race));
    race.provider = test_provider(NULL, 0, 0);
    race.max_idle = max_idle;
    race.pool = make_pool(max_idle, 8 * TEST_MIB);
    ck_assert_ptr_nonnull(race.pool);
    race.rounds = test_rounds(rounds);
    atomic_store(&race.working, THREADS);
}

static void end(void)
{
    ck_assert_uint_le(harena_pool_idle(race.pool), race.max_idle);
    ck_assert_uint_le(test_stats(race.provider).in_use, 8 * TEST_MIB);
    harena_pool_destroy(race.pool);
    test_provider_balanced(race.provider);
    ck_assert_uint_eq(test_count(&race.cleanups), test_count(&race.registered));
    test_provider_finish(race.provider);
}

static void count_cleanup(void *ctx)
{
    atomic_fetch_add((atomic_uint *)ctx, 1);
}

/* An arena that nobody else has, filled. NULL: there was none, which fails the test. */
static loan *borrow(test_rng *rng, unsigned index, unsigned serial)
{
    harena *a = harena_pool_acquire(race.pool, test_below(rng, KEYS));
    loan *l;

    if (!TEST_EXPECT(a != NULL))
        return NULL;
    TEST_EXPECT_MSG(harena_len(a) == 0, "an arena comes with %zu bytes in it", harena_len(a));
    TEST_EXPECT(!harena_failed(a));
    l = harena_alloc(a, sizeof(loan));
    if (!TEST_EXPECT(l != NULL))
        return NULL;
    *l = (loan){.arena = a, .stamp = test_stamp(index, (uint64_t)serial * OBJECTS)};
    if (test_once_in(rng, 4) &&
        TEST_EXPECT(harena_on_release(a, count_cleanup, &race.cleanups) == 0))
        atomic_fetch_add(&race.registered, 1);
    for (unsigned count = (unsigned)test_below(rng, OBJECTS + 1); l->count < count; l->count++) {
        size_t size = test_between(rng, 1, test_once_in(rng, 64) ? 200000 : 2000);
        void *object = harena_alloc(a, size);

        if (!TEST_EXPECT(object != NULL))
            break;
        l->sizes[l->count] = size;
        l->objects[l->count] = object;
        test_stamp_fill(object, size, l->stamp + l->count);
    }
    return l;
}

/* It holds what its borrower has put there: nobody else had it. */
static harena *arena_of(const loan *l)
{
    for (unsigned i = 0; l != NULL && i < l->count; i++)
        TEST_EXPECT_MSG(test_stamp_intact(l->objects[i], l->sizes[i], l->stamp + i),
                        "object %u of an arena that is out has changed", i);
    return l != NULL ? l->arena : NULL;
}

static void give(const loan *l)
{
    harena_pool_give(race.pool, arena_of(l));
}

static void expect_few_idle(void)
{
    size_t idle = harena_pool_idle(race.pool);

    TEST_EXPECT_MSG(idle <= race.max_idle, "%zu arenas are idle", idle);
}

/* Acquires and gives, at times several at once; now and then resets, releases, retires. */
static void borrow_and_give(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    loan *held[4];
    harena *arenas[4];

    (void)ctx;
    for (unsigned i = 0; i < race.rounds && !test_failed(); i++) {
        unsigned count = test_once_in(&rng, 4) ? 4 : 1;

        for (unsigned j = 0; j < count; j++)
            held[j] = borrow(&rng, index, i * 4 + j);
        for (unsigned j = 0; j < count; j++)
            arenas[j] = arena_of(held[j]);
        if (test_once_in(&rng, 16))
            harena_reset(arenas[0]);
        if (test_once_in(&rng, 64)) {
            (test_once_in(&rng, 4) ? harena_release_rcu : harena_release)(arenas[0]);
            arenas[0] = NULL;
        }
        if (count == 1)
            harena_pool_give(race.pool, arenas[0]);
        else
            harena_pool_give_many(race.pool, arenas, count);
        expect_few_idle();
    }
    atomic_fetch_sub(&race.working, 1);
}

/* Acquires, lays it down, and gives what another thread has laid down there. */
static void borrow_and_pass_on(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);

    (void)ctx;
    for (unsigned i = 0; i < race.rounds && !test_failed(); i++)
        give(atomic_exchange_explicit(&race.places[test_below(&rng, PLACES)],
                                      test_once_in(&rng, 3) ? NULL : borrow(&rng, index, i),
                                      memory_order_acq_rel));
    atomic_fetch_sub(&race.working, 1);
}

static void empty_places(void)
{
    for (unsigned i = 0; i < PLACES; i++)
        give(atomic_exchange(&race.places[i], NULL));
}

/* As the provider does when it passes its soft limit. */
static void drop_idle(void)
{
    void (*hook)(harena_provider *) = hri_load_acquire(&race.provider->drop_idle);

    hook(race.provider);
}

/* While the others work: what is said to be idle stays within the limit, and the provider drops it now and then. */
static void watch(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);

    (void)ctx;
    while (atomic_load(&race.working) > 0 && !test_failed()) {
        expect_few_idle();
        if (test_once_in(&rng, 64))
            drop_idle();
        sched_yield();
    }
}

static const size_t max_idles[] = {1, 3, 100};

/* CELL pool: acquire, give, give_many x acquire, give, give_many, idle */
START_TEST(an_arena_is_lent_to_one_thread_only)
{
    const test_role roles[] = {{borrow_and_give, THREADS}, {watch, 1}, {NULL, 0}};

    begin(max_idles[_i], 6000);
    test_team(roles, NULL);
    end();
    RACE_RAN(THREADS + 1, race.rounds);
}
END_TEST

/* CELL pool: acquire, give, idle x acquire, give, idle */
START_TEST(an_arena_may_be_given_by_another_thread)
{
    const test_role roles[] = {{borrow_and_pass_on, THREADS}, {watch, 2}, {NULL, 0}};

    begin(max_idles[_i], 12000);
    test_team(roles, NULL);
    empty_places();
    TEST_NO_FAILURE();
    end();
    RACE_RAN(THREADS + 2, race.rounds);
}
END_TEST

/* ---- threads that share slots: as many live threads in between as there are slots ---- */

enum { BYSTANDERS = 64 - THREADS / 2 };

static void take_a_number(void)
{
    harena_pool_give(race.pool, harena_pool_acquire(race.pool, 0));
}

static void stand_by(void *count, unsigned index)
{
    (void)index;
    take_a_number();
    atomic_fetch_add((atomic_uint *)count, 1);
    while (!atomic_load(&race.go))
        usleep(1000);
}

static void share_a_slot(void *count, unsigned index)
{
    take_a_number();
    atomic_fetch_add((atomic_uint *)count, 1);
    TEST_AWAIT(atomic_load(&race.go));
    borrow_and_give(NULL, index);
}

/* CELL pool: acquire, give, give_many x acquire, give, give_many */
START_TEST(threads_that_share_a_slot_share_no_arena)
{
    test_thread threads[THREADS + BYSTANDERS];
    atomic_uint count = 0;

    begin(6, 6000);
    for (unsigned i = 0; i < THREADS + BYSTANDERS; i++) { /* numbers in this order */
        bool works = i < THREADS / 2 || i >= THREADS / 2 + BYSTANDERS;

        test_spawn(&threads[i], works ? share_a_slot : stand_by, &count, i);
        TEST_AWAIT(atomic_load(&count) > i);
    }
    atomic_store(&race.go, true);
    for (unsigned i = 0; i < THREADS + BYSTANDERS; i++)
        test_join(&threads[i]);
    TEST_NO_FAILURE();
    end();
    RACE_RAN(THREADS + BYSTANDERS, race.rounds);
}
END_TEST

/* ---- the end of a pool ---- */

#define OUT 4 /* arenas of each thread */

/* All threads go on at once: by a pause in a loop, not by a sleep, or they would not meet. */
static void meet(unsigned *meetings)
{
    unsigned all = ++*meetings * race.threads, tries = 0;

    atomic_fetch_add(&race.arrived, 1);
    while (atomic_load(&race.arrived) < all)
        if (++tries % 1000 == 0)
            sched_yield();
}

/* Each round another pool: all acquire, then one destroys it while the others give. Who destroys makes a new one at once,
 * perhaps in the record of one that is still being given to. */
static void live_through_pools(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    unsigned meetings = 0;
    harena *out[OUT];

    (void)ctx;
    for (unsigned i = 0; i < race.rounds; i++) { /* to the end: the others wait */
        harena_pool *pool = race.pool;

        for (unsigned j = 0; j < OUT; j++) {
            out[j] = harena_pool_acquire(pool, j);
            TEST_EXPECT(harena_on_release(out[j], count_cleanup, &race.cleanups) == 0);
        }
        for (unsigned j = 0; j < i % 3; j++) { /* its slot is empty, or taken */
            harena_pool_give(pool, out[j]);
            out[j] = NULL;
        }
        meet(&meetings);
        if (index == i % race.threads) {
            for (volatile uint64_t pause = test_below(&rng, 500); pause > 0; pause--)
                continue;
            harena_pool_destroy(pool);
            race.pool = make_pool(race.threads * 2 + i % 4, 0);
            TEST_EXPECT(race.pool != NULL);
            harena_pool_give(race.pool, harena_pool_acquire(race.pool, 1));
        }
        if ((i + index) % 2 == 0)
            harena_pool_give_many(pool, out, OUT);
        else
            for (unsigned j = 0; j < OUT; j++)
                harena_pool_give(pool, out[j]);
        meet(&meetings);
    }
    atomic_fetch_sub(&race.working, 1);
}

static void drop(void *ctx, unsigned index)
{
    (void)ctx;
    (void)index;
    while (atomic_load(&race.working) > 0 && !test_failed()) {
        drop_idle();
        sched_yield();
    }
}

static const struct {
    unsigned threads, rounds;
    bool drops; /* and somebody drops what is idle all the time */
} ends[] = {{2, 40000, false}, {2, 10000, true}, {THREADS, 1500, true}};

/* CELL pool: give, give_many x destroy */
START_TEST(arenas_are_given_while_their_pool_ends)
{
    const test_role roles[] = {
        {live_through_pools, ends[_i].threads}, {ends[_i].drops ? drop : NULL, 1}, {NULL, 0}};
    unsigned records = 0;

    begin(2 * ends[_i].threads, ends[_i].rounds);
    race.threads = ends[_i].threads;
    atomic_store(&race.working, race.threads);
    test_team(roles, NULL);
    harena_pool_destroy(race.pool);
    ck_assert_uint_eq(test_count(&race.cleanups), race.rounds * race.threads * OUT);
    for (const struct harena_pool *pool = race.provider->pools; pool != NULL; pool = pool->next)
        records++;
    /* The old one and the new one, again and again; one more if somebody is held up in dropping what lay there. */
    ck_assert_uint_le(records, 2 + ends[_i].drops);
    test_provider_finish(race.provider);
    RACE_RAN(race.threads + ends[_i].drops, race.rounds);
}
END_TEST

/* ---- fork ---- */

static void borrow_until_the_end(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);

    (void)ctx;
    for (unsigned i = 0; !atomic_load(&race.go) && !test_failed(); i++) {
        loan *one = borrow(&rng, index, 2 * i), *other = borrow(&rng, index, 2 * i + 1);

        give(one);
        give(other);
        atomic_fetch_add(&race.working, 1);
    }
}

/* In the child, where the others were in the middle of anything. No Check here: an exit status. */
static int child(void)
{
    harena *out[6];
    size_t idle;

    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 6; i++) {
            out[i] = harena_pool_acquire(race.pool, i);
            if (out[i] == NULL || harena_len(out[i]) != 0 || harena_alloc(out[i], 3000) == NULL)
                return 1;
            for (unsigned j = 0; j < i; j++)
                if (out[j] == out[i])
                    return 2;
        }
        harena_pool_give_many(race.pool, out, 6);
        idle = harena_pool_idle(race.pool);
        if (idle == 0 || idle > race.max_idle)
            return 3;
    }
    harena_pool_destroy(race.pool);
    race.pool = make_pool(2, 0);
    if (race.pool == NULL)
        return 4;
    take_a_number();
    return harena_pool_idle(race.pool) == 1 ? 0 : 5;
}

START_TEST(the_child_of_a_fork_in_a_storm_goes_on)
{
    test_thread threads[THREADS];
    unsigned forks = test_rounds(40), seen;
    int status;
    pid_t pid;

    begin(100, 1); /* threads that the fork cuts off take a charge along: there are enough */
    for (unsigned i = 0; i < THREADS; i++)
        test_spawn(&threads[i], borrow_until_the_end, NULL, i);
    for (unsigned i = 0; i < forks && !test_failed(); i++) {
        seen = atomic_load(&race.working);
        TEST_AWAIT(atomic_load(&race.working) - seen > THREADS);
        pid = fork();
        if (pid == 0)
            _exit(child());
        if (!TEST_EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid))
            break;
        TEST_EXPECT_MSG(WIFEXITED(status), "the child ended by signal %d", WTERMSIG(status));
        TEST_EXPECT_MSG(WEXITSTATUS(status) == 0, "the child failed at %d", WEXITSTATUS(status));
    }
    atomic_store(&race.go, true);
    for (unsigned i = 0; i < THREADS; i++)
        test_join(&threads[i]);
    TEST_NO_FAILURE();
    end();
    RACE_RAN(THREADS, forks);
}
END_TEST

int main(void)
{
    const int limits = sizeof(max_idles) / sizeof(max_idles[0]);
    Suite *suite = suite_create("race_pool");
    TCase *tests = test_case(suite, "pool");

    tcase_add_loop_test(tests, an_arena_is_lent_to_one_thread_only, 0, limits);
    tcase_add_loop_test(tests, an_arena_may_be_given_by_another_thread, 0, limits);
    tcase_add_test(tests, threads_that_share_a_slot_share_no_arena);
    tcase_add_loop_test(tests, arenas_are_given_while_their_pool_ends, 0,
                        sizeof(ends) / sizeof(ends[0]));
    tcase_add_test(tests, the_child_of_a_fork_in_a_storm_goes_on);
    return test_main(suite);
}
