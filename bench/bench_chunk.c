/* SPDX-License-Identifier: BSD-2-Clause */
/* What does a raw chunk cost: got and put back by one thread, or got by one and put by another?
 * Layer 9. */
#include "bench.h"

#include <ck_ring.h>
#include <harena.h>

#include <stdio.h>
#include <stdlib.h>

#define PAIRS      2000 /* chunks in one sample */
#define RING_SLOTS 256

struct world {
    harena_provider *provider;
    unsigned threads; /* of the case at hand */
    double ns;        /* a chunk; the last sample */
    ck_ring_t ring __attribute__((aligned(128)));
    ck_ring_buffer_t slots[RING_SLOTS];
};

/* ---- one thread ---- */

static void pairs(void *ctx, unsigned thread)
{
    struct world *world = ctx;
    uint64_t from = bench_stamp();
    int i;

    (void)thread;
    for (i = 0; i < PAIRS; i++) {
        void *chunk = harena_chunk_get(world->provider);

        bench_keep(chunk);
        harena_chunk_put(world->provider, chunk);
    }
    world->ns = bench_ns(from, bench_stamp()) / PAIRS;
}

/* 100 chunks are more than one block of 2 MiB holds. */
static void hundreds(void *ctx, unsigned thread)
{
    struct world *world = ctx;
    void *chunks[100];
    uint64_t from = bench_stamp();
    int round, i;

    (void)thread;
    for (round = 0; round < PAIRS / 100; round++) {
        for (i = 0; i < 100; i++)
            chunks[i] = harena_chunk_get(world->provider);
        bench_keep(chunks);
        for (i = 0; i < 100; i++)
            harena_chunk_put(world->provider, chunks[i]);
    }
    world->ns = bench_ns(from, bench_stamp()) / PAIRS;
}

/* ---- two threads: thread 0 hands over, thread 1 takes ---- */

static void send(struct world *world, void *chunk)
{
    unsigned tries = 0;

    while (!ck_ring_enqueue_spsc(&world->ring, world->slots, chunk))
        bench_relax(&tries);
}

static void *receive(struct world *world)
{
    unsigned tries = 0;
    void *chunk;

    while (!ck_ring_dequeue_spsc(&world->ring, world->slots, &chunk))
        bench_relax(&tries);
    return chunk;
}

/* From the common start until the last one is done. */
static void hand_over(struct world *world, unsigned thread, bool real)
{
    uint64_t from;
    int i;

    bench_team_meet();
    from = bench_stamp();
    for (i = 0; i < PAIRS; i++) {
        if (thread == 0) {
            send(world, real ? harena_chunk_get(world->provider) : world);
        } else {
            void *chunk = receive(world);

            if (real)
                harena_chunk_put(world->provider, chunk);
            bench_keep(chunk);
        }
    }
    if (thread == 1)
        world->ns = bench_ns(from, bench_stamp()) / PAIRS;
    bench_team_meet();
}

static void chunks_over_ring(void *ctx, unsigned thread)
{
    hand_over(ctx, thread, true);
}

static void ring_only(void *ctx, unsigned thread)
{
    hand_over(ctx, thread, false);
}

/* Each thread for itself, out of one provider. */
static void pairs_of_two(void *ctx, unsigned thread)
{
    struct world *world = ctx, own = {.provider = world->provider};

    bench_team_meet();
    pairs(&own, thread);
    if (thread == 0)
        world->ns = own.ns;
    bench_team_meet();
}

static const struct {
    const char *name;
    void (*job)(void *ctx, unsigned thread);
    unsigned threads;
    double bar; /* ns; 0: none */
} jobs[] = {
    {"one thread: get, put", pairs, 1, 15},
    {"one thread: 100 gets, then 100 puts", hundreds, 1, 0},
    {"two threads: get, put, each for itself", pairs_of_two, 2, 0},
    {"one gets, another puts, ring included", chunks_over_ring, 2, 80},
    {"the ring alone", ring_only, 2, 0},
};
#define JOBS (sizeof jobs / sizeof *jobs)

/* Chunks are warm before anything is timed: no page is touched, but none has to be committed. */
static void warm_up(struct world *world)
{
    void *chunks[2 * RING_SLOTS];
    size_t i;

    for (i = 0; i < 2 * RING_SLOTS; i++) {
        chunks[i] = harena_chunk_get(world->provider);
        if (chunks[i] == NULL)
            bench_die("no chunk");
    }
    for (i = 0; i < 2 * RING_SLOTS; i++)
        harena_chunk_put(world->provider, chunks[i]);
}

int main(int argc, char **argv)
{
    harena_provider_options provider_options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider_stats stats = {.size = sizeof stats};
    static struct world world;
    struct bench_options options;
    double *ns[JOBS];
    unsigned rep;
    size_t turn, j;

    bench_start(&options, argc, argv, "What does it cost to get a raw chunk and to put it back?",
                201);
    provider_options.reserve = (size_t)1 << 30;
    world.provider = harena_provider_create(&provider_options);
    if (world.provider == NULL)
        bench_die("cannot create a provider");
    ck_ring_init(&world.ring, RING_SLOTS);
    for (j = 0; j < JOBS; j++) {
        ns[j] = malloc(options.repetitions * sizeof **ns);
        if (ns[j] == NULL)
            bench_die("out of memory");
    }
    warm_up(&world);
    if (options.csv)
        puts("contender,repetition,ns_per_chunk");
    for (rep = 0; rep < options.repetitions; rep++) {
        for (turn = 0; turn < JOBS; turn++) {
            j = (rep + turn) % JOBS;
            if (jobs[j].threads > options.threads)
                continue;
            bench_team_run(jobs[j].threads, jobs[j].job, &world);
            ns[j][rep] = world.ns;
            if (options.csv)
                printf("\"%s\",%u,%.2f\n", jobs[j].name, rep, world.ns);
        }
    }
    for (j = 0; j < JOBS && !options.csv; j++) {
        struct bench_spread spread;

        if (jobs[j].threads > options.threads) {
            printf("%-40s needs two CPUs\n", jobs[j].name);
            continue;
        }
        spread = bench_spread(ns[j], options.repetitions);
        printf("%-40s %6.1f ns a chunk [%6.1f %6.1f]", jobs[j].name, spread.median, spread.low,
               spread.high);
        if (jobs[j].bar > 0)
            printf("  <= %.0f %s", jobs[j].bar, spread.median <= jobs[j].bar ? "holds" : "MISSED");
        putchar('\n');
    }
    for (j = 0; j < JOBS; j++)
        free(ns[j]);
    harena_provider_stats_get(world.provider, &stats);
    if (stats.in_use != 0 || stats.gets != stats.puts)
        bench_die("%llu chunks got, %llu put back", (unsigned long long)stats.gets,
                  (unsigned long long)stats.puts);
    return harena_provider_destroy(world.provider) == 0 ? 0 : 1;
}
