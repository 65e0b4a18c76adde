/* SPDX-License-Identifier: BSD-2-Clause */
/* The synchronisation table of the shared arena, cell by cell: two operations at once, nothing else but threads that
 * fill and read what the operations are about. */
#include "config.h" /* first: GNU interfaces */

#include "crowd.h"
#include "meet.h"

/* Operations of one thread in one round. */
enum {
    FILLS = MEET_BURST(225),
    QUESTIONS = MEET_BURST(2250),
    RESETS = MEET_BURST(1500),
    CLOSES = MEET_BURST(700),
    RELEASES = MEET_BURST(700),
    IN_VAIN = MEET_BURST(50)
};

/* Handles that are closed and stay until the end of the round. */
#define CLOSED (MEET_THREADS * CLOSES)

/* What RCU may hold back, where it is limited; so many generations of a chunk against one reader are too much, even if
 * each other thread has one in hand that is not counted yet. */
#define HELD_BACK 8
#define TOO_MANY  (HELD_BACK + MEET_THREADS)

static crowd team;
static size_t deferred_limit; /* 0: none */
static atomic_uint refusals;  /* resets that it refused */
static crowd_worker workers[MEET_THREADS];
static size_t highest[MEET_THREADS]; /* peak of the present arena that the thread was told */
static harena_shared *closed[CLOSED];
static atomic_uint closed_count;

/* At the start of an object for which a cleanup was registered: it must be whole when that runs. */
typedef struct parting {
    size_t size; /* of the payload behind this */
    uint64_t stamp;
} parting;

static atomic_uint parted, looked; /* cleanups registered by shorthands; those that ran */
static atomic_uint found_open,
    found_shut; /* sections of shorthands, by what they found at their end */

/* The arena of this moment. Where arenas are released, every other operation stands in a section that it entered
 * before it found the arena. */
static harena_shared *found(void)
{
    if (team.published)
        harena_provider_read_lock(team.provider);
    return atomic_load_explicit(&team.shared, memory_order_acquire);
}

static void left(void)
{
    if (team.published)
        harena_provider_read_unlock(team.provider);
    test_flavor_quiescent(team.flavor);
}

/* ---- operations ---- */

/* Allocates, registers cleanups, reads what others have allocated, verifies all. */
static void fill(unsigned thread, unsigned round)
{
    test_rng *rng = &workers[thread].rng;
    harena_shared *shared;

    (void)round;
    for (unsigned i = 0; i < FILLS && !test_failed(); i++) {
        shared = found();
        MEET(thread, shared, crowd_section(&workers[thread], shared, test_once_in(rng, 8)));
        left();
        meet_pause(rng);
    }
}

/* Takes an answer of a shorthand: an object, or NULL because of a close, which is for good. */
static bool shorthand_gave(crowd_worker *w, const void *at)
{
    if (at != NULL)
        return TEST_EXPECT_MSG(!w->found_closed, "an arena is open after it was closed");
    TEST_EXPECT_MSG(errno == ESHUTDOWN && team.closes, "a shorthand gives errno %d", errno);
    w->found_closed = true;
    return false;
}

static void look_once_more(void *ctx)
{
    parting *p = ctx;

    TEST_EXPECT_MSG(test_stamp_intact(p + 1, p->size, p->stamp),
                    "%zu bytes have changed before their cleanup ran", p->size);
    CROWD_COUNT(&looked);
}

/* An object whose cleanup looks at it. Nobody resets: both belong to the same generation. */
static void shorthand_with_cleanup(crowd_worker *w, harena_shared *shared)
{
    size_t size = crowd_size(&w->rng);
    parting *p = harena_shared_alloc(shared, sizeof(*p) + size);
    int result;

    if (!shorthand_gave(w, p))
        return;
    *p = (parting){size, test_stamp(w->index, ++w->serial)};
    test_stamp_fill(p + 1, size, p->stamp);
    result = harena_shared_on_release(shared, look_once_more, p);
    if (result == 0) {
        CROWD_COUNT(&parted);
    } else {
        TEST_EXPECT_MSG(result == -ESHUTDOWN && team.closes, "on_release gives %d", result);
        w->found_closed = true;
    }
}

static void shorthand_object(crowd_worker *w, harena_shared *shared)
{
    static const char text[] = "what all threads copy";
    size_t size = crowd_size(&w->rng);
    char expected[64];
    void *at;

    errno = 0;
    switch (test_below(&w->rng, 10)) {
    case 0:
        at = harena_shared_alloc_atomic(shared, size);
        break;
    case 1:
        at = harena_shared_alloc_aligned(shared, size, 256);
        TEST_EXPECT((uintptr_t)at % 256 == 0);
        break;
    case 2:
        at = harena_shared_alloc_zeroed(shared, size);
        TEST_EXPECT(at == NULL || test_all_zero(at, size));
        break;
    case 3:
        size = size / 8 * 8 + 8;
        at = harena_shared_alloc_array(shared, size / 8, 8);
        break;
    case 4:
        size = sizeof(text);
        at = test_once_in(&w->rng, 2) ? harena_shared_strdup(shared, text)
                                      : harena_shared_memdup(shared, text, size);
        TEST_EXPECT(at == NULL || memcmp(at, text, size) == 0);
        break;
    case 5:
        size = (size_t)snprintf(expected, sizeof(expected), "%s %u", text, w->index) + 1;
        at = harena_shared_printf(shared, "%s %u", text, w->index);
        TEST_EXPECT(at == NULL || memcmp(at, expected, size) == 0);
        break;
    case 6:
        shorthand_with_cleanup(w, shared);
        return;
    default:
        at = harena_shared_alloc(shared, size);
    }
    if (shorthand_gave(w, at))
        crowd_keep(w, at, size);
}

/* What the present generation does not contain any more was taken away by a close. */
static void ask_for_last(crowd_worker *w, harena_shared *shared)
{
    bool contained;

    TEST_EXPECT(!harena_shared_contains(shared, w));
    if (w->count == 0)
        return;
    contained = harena_shared_contains(shared, w->objects[w->count - 1].at);
    TEST_EXPECT_MSG(!contained || !w->found_closed, "a closed arena contains something");
    errno = 0;
    if (!contained)
        TEST_EXPECT(!shorthand_gave(w, harena_shared_alloc(shared, 100)));
}

static void shorthand_section(crowd_worker *w, harena_shared *shared)
{
    unsigned objects = (unsigned)test_between(&w->rng, 1, 2 * team.objects);

    w->count = 0;
    w->found_closed = false;
    for (unsigned i = 0; i < objects && !test_failed(); i++)
        shorthand_object(w, shared);
    for (unsigned i = 0; i < w->count; i++)
        TEST_EXPECT_MSG(
            test_stamp_intact(w->objects[i].at, w->objects[i].size, w->objects[i].stamp),
            "%zu bytes have changed in the section in which they were allocated",
            w->objects[i].size);
    ask_for_last(w, shared);
}

/* After a section. Else who closes, interrupted before there is another arena, leaves nothing but refusals to a round. */
static void wait_for_another(unsigned thread, harena_shared *shared)
{
    static unsigned in_vain[MEET_THREADS]; /* sections in a row that found an arena closed */

    in_vain[thread] = workers[thread].found_closed ? in_vain[thread] + 1 : 0;
    if (in_vain[thread] < IN_VAIN || team.published) /* there is another one already */
        return;
    test_flavor_offline(team.flavor);
    TEST_AWAIT(atomic_load_explicit(&team.shared, memory_order_relaxed) != shared);
    test_flavor_online(team.flavor);
}

/* As fill, each call for itself in the generation of its moment. In a section of the thread's own. */
static void use_shorthands(unsigned thread, unsigned round)
{
    crowd_worker *w = &workers[thread];
    harena_shared *shared;

    (void)round;
    for (unsigned i = 0; i < FILLS && !test_failed(); i++) {
        harena_provider_read_lock(team.provider);
        shared = atomic_load_explicit(&team.shared, memory_order_acquire);
        MEET(thread, shared, shorthand_section(w, shared));
        harena_provider_read_unlock(team.provider);
        test_flavor_quiescent(team.flavor);
        CROWD_COUNT(w->found_closed ? &found_shut : &found_open);
        wait_for_another(thread, shared);
        meet_pause(&w->rng);
    }
}

/* Without a section, unless arenas are released. */
static void ask(unsigned thread, unsigned round)
{
    harena_stats stats = {sizeof(stats), 0, 0, 0, 0, 0, 0, 0};
    harena_shared *shared;
    size_t len, cap, peak;
    bool failed;

    (void)round;
    for (unsigned i = 0; i < QUESTIONS && !test_failed(); i++) {
        shared = found();
        MEET(thread, shared, peak = harena_shared_peak(shared), len = harena_shared_len(shared),
             cap = harena_shared_cap(shared), failed = harena_shared_failed(shared),
             harena_shared_stats_get(shared, &stats));
        TEST_EXPECT_MSG(stats.peak >= peak, "the peak fell from %zu to %llu", peak,
                        (unsigned long long)stats.peak);
        highest[thread] = peak > highest[thread] ? peak : highest[thread];
        TEST_EXPECT(stats.failures == 0);
        TEST_EXPECT(!failed || harena_shared_reset(shared) == -ESHUTDOWN); /* closed */
        TEST_EXPECT_MSG(len < 64 * TEST_MIB && cap < 64 * TEST_MIB && peak < 64 * TEST_MIB,
                        "figures of no generation: len %zu, cap %zu, peak %zu", len, cap, peak);
        left();
        meet_pause(&workers[thread].rng);
    }
}

/* Something for several threads to reset: whoever comes first makes a generation. */
static void begin_generation(unsigned thread, harena_shared *shared)
{
    harena_view *view = harena_shared_enter(shared);
    void *at = harena_view_alloc(view, 64);

    if (at != NULL) {
        test_stamp_fill(at, 64, test_stamp(thread, ++workers[thread].serial));
        TEST_EXPECT(test_stamp_intact(at, 64, test_stamp(thread, workers[thread].serial)));
    } else {
        TEST_EXPECT(team.closes && errno == ESHUTDOWN);
    }
    harena_shared_leave(shared, view);
}

/* Against a reader, which this thread is: what it retires is held back, and whole, until reset is refused. */
static int reset_until_refused(unsigned thread, harena_shared *shared)
{
    crowd_worker *w = &workers[thread];
    uint64_t *objects[TOO_MANY + 1], first = test_stamp(thread, w->serial + 1);
    unsigned count = 0;
    int result = 0;

    while (result == 0 && count <= TOO_MANY) {
        objects[count] = harena_shared_alloc(shared, 64);
        if (objects[count] == NULL) {
            TEST_EXPECT(team.closes && errno == ESHUTDOWN);
            result = -ESHUTDOWN;
            break;
        }
        test_stamp_fill(objects[count++], 64, test_stamp(thread, ++w->serial));
        MEET(thread, shared, result = harena_shared_reset(shared));
    }
    for (unsigned i = 0; i < count; i++)
        TEST_EXPECT_MSG(test_stamp_intact(objects[i], 64, first + i),
                        "an object has changed in its section, %u of %u", i, count);
    TEST_EXPECT_MSG(result == -EAGAIN || (result == -ESHUTDOWN && team.closes),
                    "the last of %u resets gives %d", count, result);
    return result;
}

/* Ends: whoever closes does so a limited number of times, and puts another arena there. */
static void be_refused(unsigned thread)
{
    harena_shared *shared;
    int result;

    do {
        harena_provider_read_lock(team.provider);
        shared = atomic_load_explicit(&team.shared, memory_order_acquire);
        result = reset_until_refused(thread, shared);
        harena_provider_read_unlock(team.provider);
        test_flavor_quiescent(team.flavor);
        if (result == -ESHUTDOWN)
            sched_yield();
    } while (result == -ESHUTDOWN && !test_failed());
    CROWD_COUNT(&refusals);
}

static void reset(unsigned thread, unsigned round)
{
    harena_shared *shared;
    int result;

    (void)round;
    for (unsigned i = 0; i < RESETS && !test_failed(); i++) {
        if (deferred_limit != 0 && i % 64 == 0)
            be_refused(thread);
        shared = found();
        if (i % 2 == 0)
            begin_generation(thread, shared);
        MEET(thread, shared, result = harena_shared_reset(shared));
        TEST_EXPECT_MSG(result == 0 || (result == -ESHUTDOWN && team.closes) ||
                            (result == -EAGAIN && deferred_limit != 0),
                        "reset gives %d", result);
        if (result == -EAGAIN)
            CROWD_COUNT(&refusals);
        left();
        meet_pause(&workers[thread].rng);
    }
}

/* A new arena in the place of `old`, unless another thread has put one there. True: this thread did. */
static bool replace(harena_shared *old)
{
    harena_shared *fresh = crowd_create(&team, 0);

    if (atomic_compare_exchange_strong_explicit(&team.shared, &old, fresh, memory_order_acq_rel,
                                                memory_order_relaxed))
        return true;
    harena_shared_release_now(fresh); /* which nobody has seen */
    return false;
}

/* What was found is closed from now on, whoever else closes it, too. */
static void shut(unsigned thread, unsigned round)
{
    crowd_worker *w = &workers[thread];
    harena_shared *shared;
    harena_view *view;

    (void)round;
    for (unsigned i = 0; i < CLOSES; i++) {
        shared = found();
        MEET(thread, shared, harena_shared_close(shared));
        view = harena_shared_enter(shared);
        TEST_EXPECT_MSG(crowd_is_closed(w, view), "an arena is open after its close");
        harena_shared_leave(shared, view);
        TEST_EXPECT(harena_shared_reset(shared) == -ESHUTDOWN);
        if (!team.published && replace(shared))
            closed[CROWD_COUNT(&closed_count)] = shared;
        left();
        meet_pause(&w->rng);
    }
}

/* Puts a new arena in the place of the present one, and releases that. */
static void release(unsigned thread, unsigned round)
{
    harena_shared *old;

    (void)round;
    for (unsigned i = 0; i < RELEASES; i++) {
        old = atomic_exchange_explicit(&team.shared, crowd_create(&team, 0), memory_order_acq_rel);
        MEET(thread, old, harena_shared_release(old));
        test_flavor_quiescent(team.flavor);
        meet_pause(&workers[thread].rng);
    }
}

enum { FILL, SHORT, ASK, RESET, CLOSE, RELEASE };
static const meet_operation operations[] = {
    [FILL] = {"fill", fill},   [SHORT] = {"shorthands", use_shorthands},
    [ASK] = {"stats", ask},    [RESET] = {"reset", reset},
    [CLOSE] = {"close", shut}, [RELEASE] = {"release", release},
};

/* ---- between two rounds: nobody else is there ---- */

static void renew(unsigned round)
{
    harena_shared *shared = atomic_load(&team.shared);
    harena_stats stats = {sizeof(stats), 0, 0, 0, 0, 0, 0, 0};

    if (round == 0) /* all is new */
        return;
    while (atomic_load(&closed_count) > 0) {
        harena_shared *old = closed[atomic_fetch_sub(&closed_count, 1) - 1];

        harena_shared_stats_get(old, &stats);
        TEST_EXPECT(stats.len == 0 && stats.cap == 0 && stats.chunks == 0);
        TEST_EXPECT(harena_shared_reset(old) == -ESHUTDOWN);
        shorthand_section(&workers[0], old);
        TEST_EXPECT(workers[0].found_closed && workers[0].count == 0);
        harena_shared_release(old);
    }
    if (!team.published) { /* else it may have been closed, too */
        workers[0].found_closed = false;
        shorthand_with_cleanup(&workers[0], shared);
        TEST_EXPECT(CROWD_READ(&parted) > 0);
    }
    harena_shared_stats_get(shared, &stats);
    TEST_EXPECT(stats.len <= stats.cap && stats.cap % HARENA_CHUNK_SIZE == 0);
    for (unsigned i = 0; i < MEET_THREADS; i++) {
        TEST_EXPECT_MSG(stats.peak >= highest[i] || team.closes, "the peak fell from %zu to %llu",
                        highest[i], (unsigned long long)stats.peak);
        highest[i] = 0;
    }
    harena_shared_release(shared);
    TEST_EXPECT(harena_provider_barrier(team.provider) == 0);
    TEST_EXPECT_MSG(test_stats(team.provider).in_use == 0 &&
                        test_stats(team.provider).deferred == 0,
                    "memory is missing after %u rounds", round);
    TEST_EXPECT_MSG(CROWD_READ(&looked) == CROWD_READ(&parted), "%u of %u cleanups have run",
                    CROWD_READ(&looked), CROWD_READ(&parted));
    atomic_store(&team.shared, crowd_create(&team, 0));
}

/* ---- the cells ---- */

typedef struct cell {
    unsigned a, b;
} cell;

static const cell cells[] = {
    {FILL, FILL},     /* CELL shared: alloc, read, on_release x alloc, read, on_release */
    {FILL, ASK},      /* CELL shared: alloc, read, on_release x stats */
    {FILL, RESET},    /* CELL shared: alloc, read, on_release x reset */
    {FILL, CLOSE},    /* CELL shared: alloc, read, on_release x close */
    {FILL, RELEASE},  /* CELL shared: alloc, read, on_release x release */
    {SHORT, CLOSE},   /* CELL shared: alloc, on_release x close */
    {SHORT, RELEASE}, /* CELL shared: alloc, on_release x release */
    {ASK, ASK},       /* CELL shared: stats x stats */
    {ASK, RESET},     /* CELL shared: stats x reset */
    {ASK, CLOSE},     /* CELL shared: stats x close */
    {ASK, RELEASE},   /* CELL shared: stats x release */
    {RESET, RESET},   /* CELL shared: reset x reset */
    {RESET, CLOSE},   /* CELL shared: reset x close */
    {RESET, RELEASE}, /* CELL shared: reset x release */
    {CLOSE, CLOSE},   /* CELL shared: close x close */
    {CLOSE, RELEASE}, /* CELL shared: close x release */
};
#define CELLS ((int)(sizeof(cells) / sizeof(cells[0])))

/* Each cell in all flavours, which share its rounds: in two of them with fewer lanes than threads, in two with enough. */
static void run_cell(const cell *at, unsigned number, unsigned flavor, char more[192])
{
    static crowd_config config;
    size_t used;

    config = (crowd_config){.name = test_flavors[flavor].name,
                            .lanes = (number + flavor) % 2 == 0 ? 0 : 2,
                            .flavor = flavor};
    crowd_init(&team, &config, 0, deferred_limit);
    atomic_store(&parted, 0), atomic_store(&looked, 0);
    atomic_store(&found_open, 0), atomic_store(&found_shut, 0);
    atomic_store(&refusals, 0);
    team.objects = 3;
    team.published = at->b == RELEASE;
    team.closes = at->b == CLOSE || at->b == RELEASE || at->a == CLOSE;
    for (unsigned i = 0; i < MEET_THREADS; i++)
        workers[i] = (crowd_worker){.crowd = &team, .index = i, .rng = test_rng_for(i)};
    meet_run(team.flavor, &operations[at->a], &operations[at->b], &operations[FILL], test_scale(),
             renew, more);
    harena_shared_release_now(atomic_load(&team.shared)); /* which the last renew has made */
    crowd_finish(&team);
    used = strlen(more);
    snprintf(more + used, 192 - used, " flavor=%s", team.flavor->name);
}

START_TEST(two_operations_at_once)
{
    const unsigned number = (unsigned)_i / TEST_FLAVORS;
    const cell *at = &cells[number];
    char more[192];
    size_t used;

    deferred_limit = 0;
    run_cell(at, number, (unsigned)_i % TEST_FLAVORS, more);
    used = strlen(more);
    if (at->a == SHORT)
        snprintf(more + used, sizeof(more) - used, " open=%u closed=%u cleanups=%u",
                 test_count(&found_open), test_count(&found_shut), test_count(&parted));
    RACE_RAN_MORE(MEET_THREADS, meet.done, more);
}
END_TEST

/* Where reset has one more answer; each in one flavour. */
static const cell limited[] = {{FILL, RESET}, {RESET, RESET}, {RESET, CLOSE}, {RESET, RELEASE}};
#define LIMITED ((int)(sizeof(limited) / sizeof(limited[0])))

/* CELL shared: reset x alloc, read, on_release, reset, close, release */
START_TEST(resets_are_refused_while_too_much_is_held_back)
{
    char more[192];
    size_t used;

    deferred_limit = HELD_BACK * HARENA_CHUNK_SIZE;
    run_cell(&limited[_i], (unsigned)_i, (unsigned)_i % TEST_FLAVORS, more);
    used = strlen(more);
    snprintf(more + used, sizeof(more) - used, " refused=%u", test_count(&refusals));
    RACE_RAN_MORE(MEET_THREADS, meet.done, more);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_shared_cells");
    TCase *tests = test_case(suite, "cells");

    tcase_add_loop_test(tests, two_operations_at_once, 0, CELLS * TEST_FLAVORS);
    tcase_add_loop_test(tests, resets_are_refused_while_too_much_is_held_back, 0, LIMITED);
    return test_main(suite);
}
