/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads get their worker at first use, because libmicrohttpd has no hook at a thread's start. */
#include "worker.h"

#include "options.h"

#include <stdlib.h>

/* Workers, and main: closing the daemon may complete a request on its thread. */
enum { MAX_WORKERS = OPTIONS_MAX_THREADS + 8 };

static struct worker workers[MAX_WORKERS];
static atomic_uint worker_count;
static _Thread_local struct worker *self;
static unsigned idle_most = WORKER_IDLE_MAX; /* arenas that each worker keeps */

static const unsigned STATUSES[WORKER_STATUSES] = {200, 400, 404, 405, 413, 500, 503, 0};
static const uint64_t BOUNDS[WORKER_BUCKETS] = {25,     50,     100,     250,       500,   1000,
                                                2500,   5000,   10000,   25000,     50000, 100000,
                                                250000, 500000, 1000000, UINT64_MAX};

struct worker *worker_self(void)
{
    if (!self) {
        unsigned at = atomic_fetch_add_explicit(&worker_count, 1, memory_order_relaxed);
        if (at >= MAX_WORKERS)
            abort(); /* more threads than the daemon was asked for */
        self = &workers[at];
    }
    return self;
}

/* Workers in use, so that nobody walks over all of the array. */
static unsigned used_workers(void)
{
    unsigned count = atomic_load_explicit(&worker_count, memory_order_relaxed);
    return count < MAX_WORKERS ? count : MAX_WORKERS;
}

/* With its first chunk: a request that gets an arena can at least be answered. */
static harena *make_arena(harena_provider *provider, struct worker *worker)
{
    harena_options options = HARENA_OPTIONS_INIT;
    options.provider = provider;
    options.name = "request";
    options.initial = 1;
    harena *arena = harena_create(&options);
    if (arena)
        counter_add(&worker->arenas_made, 1);
    return arena;
}

bool worker_setup(harena_provider *provider, unsigned threads, size_t limit)
{
    enum { SHARE = 16 };
    size_t share = limit / SHARE / threads / HARENA_CHUNK_SIZE;
    if (limit != 0 && share < WORKER_IDLE_MAX)
        idle_most = share > 0 ? (unsigned)share : 1;
    for (unsigned i = 0; i < threads; i++) {
        harena *arena = make_arena(provider, &workers[i]);
        if (!arena)
            return false;
        workers[i].idle[workers[i].idle_count++] = arena;
    }
    return true;
}

harena *worker_arena_take(harena_provider *provider, bool has_body)
{
    struct worker *worker = worker_self();
    if (worker->idle_count > (has_body ? 1u : 0u)) {
        counter_add(&worker->arenas_reused, 1);
        return worker->idle[--worker->idle_count];
    }
    return make_arena(provider, worker);
}

void worker_arena_give(harena *arena)
{
    struct worker *worker = worker_self();
    if (worker->idle_count >= idle_most) {
        counter_add(&worker->arenas_dropped, 1);
        harena_release(arena);
        return;
    }
    harena_reset(arena);
    worker->idle[worker->idle_count++] = arena;
}

void worker_release_all(void)
{
    for (unsigned i = 0; i < MAX_WORKERS; i++) { /* also of threads that answered nothing */
        struct worker *worker = &workers[i];
        while (worker->idle_count > 0)
            harena_release(worker->idle[--worker->idle_count]);
    }
}

unsigned worker_status_at(unsigned at)
{
    return STATUSES[at];
}

uint64_t worker_bucket_bound(unsigned at)
{
    return BOUNDS[at];
}

void worker_count_answer(unsigned status, uint64_t body_bytes, uint64_t latency_us)
{
    struct worker *worker = worker_self();
    unsigned at = 0, bucket = 0;
    while (at < WORKER_STATUSES - 1 && STATUSES[at] != status)
        at++;
    while (latency_us > BOUNDS[bucket])
        bucket++;
    counter_add(&worker->by_status[at], 1);
    counter_add(&worker->by_latency[bucket], 1);
    counter_add(&worker->latency_us, latency_us);
    counter_add(&worker->body_bytes, body_bytes);
    /* Release: who sees this request completed sees it started, too. */
    uint64_t completed = atomic_load_explicit(&worker->completed, memory_order_relaxed);
    atomic_store_explicit(&worker->completed, completed + 1, memory_order_release);
}

static uint64_t get(const counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static void add_worker(struct worker_sums *sums, const struct worker *worker)
{
    sums->completed += atomic_load_explicit(&worker->completed, memory_order_acquire);
    sums->started += get(&worker->started);
    for (unsigned i = 0; i < WORKER_STATUSES; i++)
        sums->by_status[i] += get(&worker->by_status[i]);
    for (unsigned i = 0; i < WORKER_BUCKETS; i++)
        sums->by_latency[i] += get(&worker->by_latency[i]);
    sums->latency_us += get(&worker->latency_us);
    sums->body_bytes += get(&worker->body_bytes);
    sums->arenas_made += get(&worker->arenas_made);
    sums->arenas_reused += get(&worker->arenas_reused);
    sums->arenas_dropped += get(&worker->arenas_dropped);
}

struct worker_sums worker_sum(void)
{
    struct worker_sums sums = {0};
    for (unsigned i = 0; i < used_workers(); i++)
        add_worker(&sums, &workers[i]);
    return sums;
}
