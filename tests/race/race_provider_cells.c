/* SPDX-License-Identifier: BSD-2-Clause */
/* The synchronisation table of the provider, cell by cell: two operations at once, beside threads that get and put. */
#include "config.h" /* first: GNU interfaces */

#include "chunks.h"
#include "meet.h"
#include "os.h"
#include <harena/shared.h>

#define HELD    16                /* chunks that one thread holds at most */
#define LIMIT   (4 * TEST_MIB)    /* where it changes: less than they want to hold */
#define WANTED  64                /* chunks that one thread holds at most, if it gets them */
#define PARCELS 3                 /* arenas that a thread retires at a time */
#define SOFT    HARENA_CHUNK_SIZE /* the soft limit where it ticks: two that hold a chunk pass it */

/* Operations of one thread in one round. */
enum {
    GETS = MEET_BURST(150),
    QUESTIONS = MEET_BURST(2500),
    ARENAS = MEET_BURST(150),
    CHANGES = MEET_BURST(20000),
    TRIMS = MEET_BURST(3000),
    TICKS = MEET_BURST(6000),
    BARRIERS = MEET_BURST(6)
};

static test_rng rngs[MEET_THREADS];
static unsigned most_held;

/* ---- time, and the soft limit: where it ticks ---- */

static bool ticks;
static atomic_uint passed; /* the soft limit */

/* 50 ms later each time somebody asks. */
static uint64_t flying(void)
{
    static _Atomic uint64_t now = 1000;

    return atomic_fetch_add_explicit(&now, 50, memory_order_relaxed);
}

static void note_passing(void *ctx, const harena_event *event)
{
    if (event->kind == HARENA_EVENT_SOFT_LIMIT)
        atomic_fetch_add_explicit(&passed, 1, memory_order_relaxed);
    test_note_event(ctx, event);
}

/* Instead of the test's usual provider, while there is nobody yet. */
static void let_time_fly(void)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    ck_assert_int_eq(harena_provider_destroy(race.provider), 0);
    hri_os.milliseconds = flying;
    options.reserve = 4096 * TEST_MIB;
    options.limit = race.limit;
    options.soft_limit = SOFT;
    options.retain_percent = 10;
    options.on_event = note_passing;
    race.provider = harena_provider_create(&options);
    ck_assert_ptr_nonnull(race.provider);
}

/* ---- operations ---- */

/* Chunks come and go; all are back at the end of the round. */
static void get_and_put(unsigned thread, unsigned round)
{
    test_rng *rng = &rngs[thread];
    void *held[WANTED], *chunk;
    unsigned count = 0, at;

    (void)round;
    for (unsigned i = 0; i < (race.limit != 0 ? 8 * GETS : GETS) && !test_failed(); i++) {
        if (count < most_held && test_below(rng, most_held) >= count) {
            MEET(thread, race.provider, chunk = chunk_get(thread));
            if (chunk != NULL)
                held[count++] = chunk;
        } else if (count > 0) {
            at = (unsigned)test_below(rng, count);
            MEET(thread, race.provider, chunk_put(held[at]));
            held[at] = held[--count];
            if (most_held == 1) /* what goes back to the OS is a block without any chunk in use */
                sched_yield();
        }
    }
    while (count > 0)
        chunk_put(held[--count]);
}

static void ask(unsigned thread, unsigned round)
{
    harena_provider_stats stats = {.size = sizeof(stats)};
    uint64_t peak = 0;

    (void)round;
    for (unsigned i = 0; i < QUESTIONS && !test_failed(); i++) {
        MEET(thread, race.provider, harena_provider_stats_get(race.provider, &stats));
        TEST_EXPECT_MSG(
            race.limit == 0 || (stats.committed <= race.limit && stats.peak <= race.limit),
            "%llu bytes are committed, at most %llu were, the limit is %zu",
            (unsigned long long)stats.committed, (unsigned long long)stats.peak, race.limit);
        TEST_EXPECT(stats.peak >= peak && stats.committed % HARENA_CHUNK_SIZE == 0);
        peak = stats.peak;
        meet_pause(&rngs[thread]);
    }
}

/* Of a chunk, of runs, of both. */
static size_t size_of_object(test_rng *rng)
{
    return (size_t)test_between(rng, 1, 300) << test_below(rng, 10);
}

static void use_shared_arena(test_rng *rng, uint64_t stamp)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    size_t size = size_of_object(rng);
    harena_shared *shared;
    void *at;

    options.provider = race.provider;
    options.rcu = meet.flavor->rcu;
    shared = harena_shared_create(&options);
    at = harena_shared_alloc(shared, size);
    if (at != NULL) {
        test_stamp_fill(at, size, stamp);
        TEST_EXPECT(test_stamp_intact(at, size, stamp));
    } else {
        count_refusal();
    }
    harena_shared_release(shared);
}

static void use_arena(test_rng *rng, uint64_t stamp)
{
    harena_options options = HARENA_OPTIONS_INIT;
    size_t sizes[4];
    void *objects[4];
    unsigned count = 0;
    harena *arena;

    options.provider = race.provider;
    options.rcu = meet.flavor->rcu;
    options.zero = test_once_in(rng, 2);
    arena = harena_create(&options);
    for (unsigned i = 0; i < 4; i++) {
        sizes[count] = size_of_object(rng);
        objects[count] = harena_alloc(arena, sizes[count]);
        if (objects[count] == NULL) {
            count_refusal();
            break;
        }
        if (options.zero)
            TEST_EXPECT(test_all_zero(objects[count], sizes[count]));
        test_stamp_fill(objects[count], sizes[count], stamp + count);
        count++;
    }
    while (count-- > 0)
        TEST_EXPECT_MSG(test_stamp_intact(objects[count], sizes[count], stamp + count),
                        "a byte of %zu has changed", sizes[count]);
    if (test_once_in(rng, 4))
        harena_release_rcu(arena);
    else
        harena_release(arena);
}

static void come_and_go(unsigned thread, unsigned round)
{
    test_rng *rng = &rngs[thread];

    for (unsigned i = 0; i < ARENAS && !test_failed(); i++)
        MEET(thread, race.provider,
             (test_once_in(rng, 4) ? use_shared_arena : use_arena)(
                 rng, test_stamp(thread, ((uint64_t)round * ARENAS + i) * 4)));
}

static void change_limit(unsigned thread, unsigned round)
{
    int result;

    (void)round;
    for (unsigned i = 0; i < CHANGES; i++) {
        MEET(thread, race.provider,
             result = harena_provider_set_limit(race.provider,
                                                test_between(&rngs[thread], LIMIT / 2, LIMIT)));
        TEST_EXPECT(result == 0);
        meet_pause(&rngs[thread]);
    }
}

static void trim(unsigned thread, unsigned round)
{
    size_t keep, trimmed;

    (void)round;
    for (unsigned i = 0; i < TRIMS; i++) {
        keep = test_once_in(&rngs[thread], 2) ? 0 : test_below(&rngs[thread], 8 * TEST_MIB);
        MEET(thread, race.provider, trimmed = harena_provider_trim(race.provider, keep));
        TEST_EXPECT(trimmed % HARENA_CHUNK_SIZE == 0);
        if (i % 4 == 0) /* not all of it before the others have begun */
            sched_yield();
    }
}

/* What nobody has touched for a second goes; the seconds fly. */
static void tick(unsigned thread, unsigned round)
{
    int next;

    (void)round;
    for (unsigned i = 0; i < TICKS; i++) {
        MEET(thread, race.provider, next = harena_provider_tick(race.provider));
        TEST_EXPECT_MSG(next == -1 || (next > 0 && next <= 1000), "wanted again in %d ms", next);
        if (i % 4 == 0)
            sched_yield();
    }
}

/* ---- barrier: what this thread has retired before is reclaimed, and was whole until then ---- */

/* What a cleanup finds. */
typedef struct parcel {
    size_t size;
    uint64_t stamp;
    void *at;
    bool dawdles;                    /* its cleanup goes on until the barrier has been called */
    atomic_uint begun, called, done; /* the cleanup, the barrier, the cleanup */
} parcel;

static parcel parcels[MEET_THREADS][PARCELS];

static void set(atomic_uint *flag, unsigned value)
{
    atomic_store_explicit(flag, value, memory_order_relaxed);
}

static bool is_set(const atomic_uint *flag)
{
    return atomic_load_explicit(flag, memory_order_relaxed) != 0;
}

static void open_parcel(void *ctx)
{
    parcel *p = ctx;

    TEST_EXPECT_MSG(test_stamp_intact(p->at, p->size, p->stamp),
                    "what was retired has changed before it was reclaimed");
    TEST_EXPECT(!is_set(&p->begun));
    set(&p->begun, 1);
    if (p->dawdles) {
        TEST_AWAIT(is_set(&p->called));
        for (unsigned i = 0; i < 100; i++) /* a chance for a barrier that does not wait */
            sched_yield();
    }
    set(&p->done, 1);
}

/* False: it has no cleanup, which would be RCU's worker's. */
static bool retire_parcel(parcel *p, test_rng *rng, bool cleanup)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = race.provider;
    options.rcu = meet.flavor->rcu;
    arena = harena_create(&options);
    p->size = size_of_object(rng);
    p->stamp = test_random(rng);
    set(&p->begun, 0), set(&p->called, 0), set(&p->done, 0);
    p->at = harena_alloc(arena, p->size);
    if (p->at == NULL)
        count_refusal();
    else
        test_stamp_fill(p->at, p->size, p->stamp);
    cleanup = cleanup && p->at != NULL && harena_on_release(arena, open_parcel, p) == 0;
    harena_release_rcu(arena);
    return cleanup;
}

/* Half of the time the barrier comes when RCU's worker is in the middle of a cleanup that it is to wait for. */
static void retire_and_wait(unsigned thread, unsigned round)
{
    test_rng *rng = &rngs[thread];
    parcel *mine = parcels[thread];
    bool cleanups[PARCELS];
    int result;

    (void)round;
    for (unsigned i = 0; i < BARRIERS && !test_failed(); i++) {
        mine[0].dawdles = test_once_in(rng, 2);
        for (unsigned j = 0; j < PARCELS; j++)
            cleanups[j] = retire_parcel(&mine[j], rng, mine[j].dawdles || test_once_in(rng, 2));
        if (mine[0].dawdles && cleanups[0])
            TEST_AWAIT(is_set(&mine[0].begun));
        set(&mine[0].called, 1);
        MEET(thread, race.provider, result = harena_provider_barrier(race.provider));
        TEST_EXPECT_MSG(result == 0, "barrier gives %d", result);
        for (unsigned j = 0; j < PARCELS; j++)
            TEST_EXPECT_MSG(is_set(&mine[j].done) == cleanups[j],
                            "a barrier came back before a cleanup had run");
    }
}

enum { GET, ASK, COME, CHANGE, TRIM, TICK, WAIT };
static const meet_operation operations[] = {
    [GET] = {"get_put_owns", get_and_put},
    [ASK] = {"stats", ask},
    [COME] = {"arenas", come_and_go},
    [CHANGE] = {"set_limit", change_limit},
    [TRIM] = {"trim", trim},
    [TICK] = {"tick", tick},
    [WAIT] = {"barrier", retire_and_wait},
};

/* All that is free; where it ticks, by time alone. */
static void give_all_back(void)
{
    unsigned most = 10000;

    if (!ticks)
        (void)harena_provider_trim(race.provider, 0);
    else
        while (harena_provider_tick(race.provider) > 0 && most > 0)
            most--;
}

/* It is said each time, and what is above goes back when it is put. */
static void pass_soft_limit(void)
{
    unsigned before = atomic_load(&passed);
    void *first = chunk_get(0), *second = chunk_get(0);

    chunk_put(first);
    chunk_put(second);
    TEST_EXPECT_MSG(atomic_load(&passed) == before + 1, "%u events", atomic_load(&passed) - before);
}

/* Nobody else is there: all is back, and the sums hold. */
static void balance(unsigned round)
{
    harena_provider_stats stats;

    TEST_EXPECT(harena_provider_barrier(race.provider) == 0);
    stats = test_stats(race.provider);
    TEST_EXPECT_MSG(stats.in_use == 0 && stats.deferred == 0 && stats.committed == stats.free &&
                        stats.gets == stats.puts && stats.retired == stats.reclaimed,
                    "sums are wrong after %u rounds: in_use %llu, deferred %llu, free %llu of %llu",
                    round, (unsigned long long)stats.in_use, (unsigned long long)stats.deferred,
                    (unsigned long long)stats.free, (unsigned long long)stats.committed);
    TEST_EXPECT_MSG(race.limit == 0 || stats.peak <= race.limit, "%llu bytes above a limit of %zu",
                    (unsigned long long)stats.peak - race.limit, race.limit);
    give_all_back();
    if (ticks)
        pass_soft_limit();
    stats = test_stats(race.provider);
    TEST_EXPECT_MSG(stats.committed == 0 && stats.commits == stats.purges,
                    "%llu bytes stay, whoever asks for them", (unsigned long long)stats.committed);
}

/* ---- the cells ---- */

typedef struct cell {
    unsigned a, b;
} cell;

static const cell cells[] = {
    {GET, GET},       /* CELL provider: get, put, owns x get, put, owns */
    {GET, ASK},       /* CELL provider: get, put, owns x stats */
    {GET, COME},      /* CELL provider: get, put, owns x arenas */
    {GET, CHANGE},    /* CELL provider: get, put, owns x set_limit */
    {GET, TRIM},      /* CELL provider: get, put, owns x trim */
    {GET, WAIT},      /* CELL provider: get, put, owns x barrier */
    {ASK, ASK},       /* CELL provider: stats x stats */
    {ASK, COME},      /* CELL provider: stats x arenas */
    {ASK, CHANGE},    /* CELL provider: stats x set_limit */
    {ASK, TRIM},      /* CELL provider: stats x trim */
    {ASK, WAIT},      /* CELL provider: stats x barrier */
    {COME, COME},     /* CELL provider: arenas x arenas */
    {COME, CHANGE},   /* CELL provider: arenas x set_limit */
    {COME, TRIM},     /* CELL provider: arenas x trim */
    {COME, WAIT},     /* CELL provider: arenas x barrier */
    {CHANGE, CHANGE}, /* CELL provider: set_limit x set_limit */
    {CHANGE, TRIM},   /* CELL provider: set_limit x trim */
    {CHANGE, WAIT},   /* CELL provider: set_limit x barrier */
    {TRIM, TRIM},     /* CELL provider: trim x trim */
    {TRIM, WAIT},     /* CELL provider: trim x barrier */
    {GET, TICK},      /* CELL provider: get, put, owns x tick */
    {ASK, TICK},      /* CELL provider: stats x tick */
    {COME, TICK},     /* CELL provider: arenas x tick */
    {CHANGE, TICK},   /* CELL provider: set_limit x tick */
    {TRIM, TICK},     /* CELL provider: trim x tick */
    {TICK, TICK},     /* CELL provider: tick x tick */
    {TICK, WAIT},     /* CELL provider: tick x barrier */
    {WAIT, WAIT},     /* CELL provider: barrier x barrier */
};
#define CELLS ((int)(sizeof(cells) / sizeof(cells[0])))

static bool has(const cell *at, unsigned operation)
{
    return at->a == operation || at->b == operation;
}

START_TEST(two_operations_at_once)
{
    const cell *at = &cells[_i];
    char more[192];
    size_t used;

    for (unsigned i = 0; i < MEET_THREADS; i++)
        rngs[i] = test_rng_for(i);
    ticks = has(at, TICK);
    most_held = has(at, TRIM) || ticks ? 1 : has(at, CHANGE) ? WANTED : HELD;
    begin(has(at, CHANGE) ? LIMIT : 0, 2 * test_scale(), MEET_THREADS);
    if (ticks)
        let_time_fly();
    test_flavor_register(&test_flavors[TEST_MEMB]);
    meet_run(&test_flavors[TEST_MEMB], &operations[at->a], &operations[at->b], &operations[GET],
             race.rounds, balance, more);
    used = strlen(more);
    snprintf(more + used, sizeof(more) - used, " soft=%u purges=%llu", test_count(&passed),
             (unsigned long long)test_stats(race.provider).purges);
    test_provider_finish(race.provider);
    test_flavor_unregister(&test_flavors[TEST_MEMB]);
    RACE_RAN_MORE(MEET_THREADS, meet.done, more);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_provider_cells");
    TCase *tests = test_case(suite, "cells");

    tcase_add_loop_test(tests, two_operations_at_once, 0, CELLS);
    return test_main(suite);
}
