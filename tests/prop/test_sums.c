/* SPDX-License-Identifier: BSD-2-Clause */
/* The figures of names after every step of random sequences: several threads, one step at a time, with
 * resets, retirement, releases, threads that end and forks. What the names hold, and raw chunks, is what
 * the provider has in use or deferred; and each name holds what its arenas say. */
#include <urcu-bp.h> /* first: it says what rcu_flavor means */

#include "../support/rng.h"
#include "../support/suite.h"
#include "../unit/unit.h"

#include "provider.h"

#include <sys/wait.h>

enum {
    RUNS = 4,
    STEPS = 2000,
    CHILD_STEPS = 60,
    WORKERS = 4,
    NAMES = 5,
    ARENAS = 12,
    SHARED = 4,
    CHUNKS = 6,
};

/* What the names should say. */
struct expected {
    const char *name;
    uint64_t made, failures;
};

struct any_arena {
    harena *arena;         /* or */
    harena_shared *shared; /* or neither */
    size_t name;
    bool closed;
};

/* A thread that does what it is told; it may stand in a view meanwhile. */
struct worker {
    pthread_t thread;
    pthread_cond_t called; /* it is its turn */
    harena_shared *entered;
    harena_view *view;
};

static struct {
    test_rng rng;
    unsigned run, step;
    const char *doing;
    harena_provider *provider;
    struct expected names[NAMES];
    struct any_arena arenas[ARENAS + SHARED]; /* shared ones from ARENAS on */
    void *chunks[CHUNKS];
    size_t chunk_count;
    struct worker workers[WORKERS];
    bool forked; /* in the child of a fork: no workers */
} w;

#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            refused(#condition, __LINE__);                                                         \
    } while (0)

static void refused(const char *condition, int line)
{
    char text[400];

    snprintf(text, sizeof(text), "run %u, step %u, %s (line %d): %s", w.run, w.step, w.doing, line,
             condition);
    if (w.forked) {
        fprintf(stderr, "%s\n", text);
        _exit(1);
    }
    ck_abort_msg("%s", text);
}

static uint64_t below(uint64_t n)
{
    return test_below(&w.rng, n);
}

/* ---- what must hold ---- */

static bool sums_of(size_t name, struct hri_name_sums *found)
{
    uint32_t at = 0;

    while (hri_names_next(&w.provider->names, &at, found))
        if (strcmp(found->name, w.names[name].name) == 0)
            return true;
    return false;
}

static uint64_t bytes_of_all_names(void)
{
    struct hri_name_sums sums;
    uint64_t bytes = 0;
    uint32_t at = 0;

    while (hri_names_next(&w.provider->names, &at, &sums)) {
        HOLDS(sums.peak >= sums.bytes);
        HOLDS(sums.arenas <= sums.made);
        bytes += sums.bytes;
    }
    return bytes;
}

static bool totals_agree(harena_provider_stats *stats)
{
    *stats = stats_of(w.provider);
    return wrong_total(stats) == NULL &&
           bytes_of_all_names() + w.chunk_count * CHUNK == stats->in_use + stats->deferred;
}

/* RCU's worker may be in the middle of a reclaim: then they agree a little later. */
static void check_totals(harena_provider_stats *stats)
{
    for (int tries = 0; !totals_agree(stats); tries++) {
        HOLDS(tries < 2000 && stats->retired != 0);
        usleep(1000);
    }
}

/* Each name against its arenas. Exact when nothing is deferred; `quiet`: nothing is. */
static void check_name(size_t name, bool quiet)
{
    uint64_t bytes = 0, live = 0;
    struct hri_name_sums sums = {0};

    for (size_t i = 0; i < ARENAS + SHARED; i++) {
        struct any_arena *a = &w.arenas[i];

        if (a->name != name || (a->arena == NULL && a->shared == NULL))
            continue;
        live++;
        bytes += a->arena != NULL ? harena_cap(a->arena) : harena_shared_cap(a->shared);
    }
    if (!sums_of(name, &sums)) {
        HOLDS(w.names[name].made == 0 && w.names[name].failures == 0);
        return;
    }
    HOLDS(sums.made == w.names[name].made);
    HOLDS(sums.failures == w.names[name].failures);
    HOLDS(sums.bytes >= bytes && sums.arenas >= live);
    HOLDS(!quiet || (sums.bytes == bytes && sums.arenas == live));
}

static void check(bool quiet)
{
    harena_provider_stats stats;

    check_totals(&stats);
    HOLDS(!quiet || (stats.deferred == 0 && stats.retired == stats.reclaimed));
    for (size_t name = 0; name < NAMES; name++)
        check_name(name, quiet);
}

/* ---- steps ---- */

static size_t some_size(void)
{
    switch (below(8)) {
    case 0:
        return below(200000);
    case 1:
        return 2048 + below(40000);
    case 2:
        return below(20) == 0 ? 2 * MIB : below(9000);
    default:
        return 1 + below(3000);
    }
}

static void create_arena(struct any_arena *a)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = w.provider;
    options.name = w.names[a->name = below(NAMES)].name;
    options.initial = below(3) == 0 ? below(400000) : 0;
    options.limit = below(3) == 0 ? CHUNK * (1 + below(8)) : 0;
    options.retain = below(3) == 0 ? below(MIB) : 0;
    options.zero = below(4) == 0;
    a->arena = harena_create(&options);
    w.names[a->name].made += a->arena != NULL;
    w.names[a->name].failures += a->arena == NULL;
}

static void create_shared(struct any_arena *a)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = w.provider;
    options.name = w.names[a->name = below(NAMES)].name;
    options.limit = below(3) == 0 ? CHUNK * (1 + below(8)) : 0;
    options.lanes = below(3) == 0 ? 1 : 0;
    a->shared = harena_shared_create(&options);
    a->closed = false;
    HOLDS(a->shared != NULL);
    w.names[a->name].made++;
}

static void use_arena(struct any_arena *a)
{
    for (uint64_t n = 1 + below(30); n > 0; n--)
        w.names[a->name].failures += harena_alloc(a->arena, some_size()) == NULL;
}

static void use_shared(struct any_arena *a)
{
    harena_view *view = harena_shared_enter(a->shared);

    for (uint64_t n = 1 + below(60); n > 0; n--) {
        void *at = below(4) == 0 ? harena_view_alloc_atomic(view, some_size())
                                 : harena_view_alloc(view, some_size());

        w.names[a->name].failures += at == NULL && !a->closed;
    }
    harena_shared_leave(a->shared, view);
}

static void absorb_arena(struct any_arena *a)
{
    struct any_arena *into = &w.arenas[below(ARENAS)];

    if (into->arena != NULL && into != a && harena_absorb(into->arena, a->arena) == 0)
        a->arena = NULL;
}

static void end_arena(struct any_arena *a)
{
    switch (below(7)) {
    case 2:
        absorb_arena(a);
        break;
    case 0:
        harena_release(a->arena);
        a->arena = NULL;
        break;
    case 1:
        harena_release_rcu(a->arena);
        a->arena = NULL;
        break;
    default:
        harena_reset(a->arena);
    }
}

static bool is_entered(const harena_shared *shared)
{
    for (int i = 0; i < WORKERS; i++)
        if (w.workers[i].entered == shared)
            return true;
    return false;
}

static void end_shared(struct any_arena *a)
{
    switch (below(8)) {
    case 0:
        harena_shared_release(a->shared);
        a->shared = NULL;
        break;
    case 1:
        harena_shared_close(a->shared);
        a->closed = true;
        break;
    case 2:
        if (!is_entered(a->shared))
            HOLDS(harena_shared_reset_now(a->shared) == (a->closed ? -ESHUTDOWN : 0));
        break;
    default:
        HOLDS(harena_shared_reset(a->shared) == (a->closed ? -ESHUTDOWN : 0));
    }
}

static void step_of_chunks(void)
{
    if (w.chunk_count < CHUNKS && below(2) == 0) {
        w.chunks[w.chunk_count] = harena_chunk_get(w.provider);
        w.chunk_count += w.chunks[w.chunk_count] != NULL;
    } else if (w.chunk_count > 0) {
        harena_chunk_put(w.provider, w.chunks[--w.chunk_count]);
    }
}

/* On a worker: NULL, or what it should go on with. */
static void *step(void *worker)
{
    struct worker *me = worker;
    struct any_arena *a = &w.arenas[below(ARENAS + SHARED)];
    bool shared = a >= w.arenas + ARENAS;

    if (me != NULL && below(12) == 0) {
        if (me->view != NULL) {
            harena_shared_leave(me->entered, me->view);
            me->view = NULL;
            me->entered = NULL;
        } else if (shared && a->shared != NULL) {
            me->view = harena_shared_enter(me->entered = a->shared);
        }
    } else if (below(10) == 0) {
        step_of_chunks();
    } else if (a->arena == NULL && a->shared == NULL) {
        (shared ? create_shared : create_arena)(a);
    } else if (below(3) != 0) {
        (shared ? use_shared : use_arena)(a);
    } else {
        (shared ? end_shared : end_arena)(a);
    }
    return NULL;
}

/* ---- threads that take turns ---- */

static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER; /* it is the main thread's turn again */
static struct worker *turn;                            /* NULL: the main thread's */
static enum { STEP, LEAVE, EXIT } order;

static void *work(void *worker)
{
    struct worker *me = worker;
    bool stay = true;

    pthread_mutex_lock(&turn_lock);
    while (stay) {
        while (turn != me)
            pthread_cond_wait(&me->called, &turn_lock);
        if (order == STEP)
            step(me);
        else if (me->view != NULL)
            harena_shared_leave(me->entered, me->view);
        if (order != STEP)
            me->view = NULL, me->entered = NULL;
        stay = order != EXIT;
        turn = NULL;
        pthread_cond_signal(&done);
    }
    pthread_mutex_unlock(&turn_lock);
    return NULL;
}

static void tell(struct worker *worker, int what)
{
    pthread_mutex_lock(&turn_lock);
    order = what;
    turn = worker;
    pthread_cond_signal(&worker->called);
    while (turn != NULL)
        pthread_cond_wait(&done, &turn_lock);
    pthread_mutex_unlock(&turn_lock);
    if (what == EXIT)
        pthread_join(worker->thread, NULL);
}

static void hire(struct worker *worker)
{
    HOLDS(pthread_cond_init(&worker->called, NULL) == 0);
    HOLDS(pthread_create(&worker->thread, NULL, work, worker) == 0);
}

static void all_leave(void)
{
    for (int i = 0; i < WORKERS; i++)
        tell(&w.workers[i], LEAVE);
}

static void barrier(void)
{
    if (!w.forked)
        all_leave();
    HOLDS(harena_provider_barrier(w.provider) == 0);
    check(true);
}

/* ---- fork ---- */

static void end_everything(void)
{
    for (size_t i = 0; i < ARENAS + SHARED; i++) {
        harena_release(w.arenas[i].arena);
        harena_shared_release(w.arenas[i].shared);
        w.arenas[i].arena = NULL;
        w.arenas[i].shared = NULL;
    }
    while (w.chunk_count > 0)
        harena_chunk_put(w.provider, w.chunks[--w.chunk_count]);
}

static void in_child(void)
{
    w.forked = true;
    for (int i = 0; i < WORKERS; i++)
        w.workers[i] = (struct worker){0};
    check(false);
    for (int i = 0; i < CHILD_STEPS; i++) {
        step(NULL);
        check(false);
    }
    barrier();
    end_everything();
    barrier();
    HOLDS(stats_of(w.provider).in_use == 0);
    _exit(0);
}

static void fork_now(void)
{
    pid_t child;
    int status = -1;

    all_leave(); /* liburcu asks for it */
    urcu_bp_call_rcu_before_fork();
    urcu_bp_before_fork();
    child = fork();
    if (child == 0) {
        urcu_bp_after_fork_child();
        urcu_bp_call_rcu_after_fork_child();
        in_child();
    }
    urcu_bp_after_fork_parent();
    urcu_bp_call_rcu_after_fork_parent();
    HOLDS(child > 0);
    HOLDS(waitpid(child, &status, 0) == child);
    HOLDS(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- the run ---- */

static void run_step(void)
{
    struct worker *worker = &w.workers[below(WORKERS)];

    if (below(400) == 0 && !TEST_TSAN) { /* which has no threads in the child of a fork */
        w.doing = "fork";
        fork_now();
    } else if (below(60) == 0) {
        w.doing = "barrier";
        barrier();
    } else if (below(60) == 0) {
        w.doing = "trim";
        harena_provider_trim(w.provider, below(4 * MIB));
    } else if (below(30) == 0) {
        w.doing = "thread exit";
        tell(worker, EXIT);
        hire(worker);
    } else {
        w.doing = "step";
        tell(worker, STEP);
    }
    check(false);
}

START_TEST(sums_hold_after_every_step)
{
    static const char *const names[NAMES] = {"request", "index", "cache", "",
                                             "a name of thirty-one bytes, all"};

    w.run = (unsigned)_i;
    w.rng = test_rng_for((uint64_t)_i);
    w.provider = provider_of(192 * MIB, below(2) == 0 ? 24 * MIB : 0, NULL);
    for (size_t i = 0; i < NAMES; i++)
        w.names[i].name = names[i];
    for (int i = 0; i < WORKERS; i++)
        hire(&w.workers[i]);
    for (w.step = 0; w.step < STEPS * test_scale() / (TEST_TSAN ? 8 : 1); w.step++)
        run_step();
    w.doing = "the end";
    barrier();
    for (int i = 0; i < WORKERS; i++)
        tell(&w.workers[i], EXIT);
    end_everything();
    HOLDS(harena_provider_barrier(w.provider) == 0);
    check(true);
    ends_clean(w.provider);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sums");
    TCase *tests = test_case(suite, "sums");

    tcase_add_loop_test(tests, sums_hold_after_every_step, 0, RUNS);
    return test_main(suite);
}
