/* SPDX-License-Identifier: BSD-2-Clause */
/* What does a warm arena cost for each piece of work, from a pool and otherwise? Layer 9. */
#include "bench.h"

#include <harena.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PAIRS  2000
#define KEY    7
#define BAR_NS 100.0

static void *must(void *pointer)
{
    if (pointer == NULL)
        bench_die("out of memory");
    return pointer;
}

/* ---- contenders: each hands out an empty arena, and takes it back ---- */

static harena_provider *provider;
static harena_pool *pool;

static harena *pool_acquire(void)
{
    return harena_pool_acquire(pool, KEY);
}

static void pool_give(harena *arena)
{
    harena_pool_give(pool, arena);
}

static harena *create(void)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    return harena_create(&options);
}

/* What a program without a pool has: a list of arenas behind a mutex. */
struct idle {
    struct idle *next;
    harena *arena;
};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct idle *idle, *empty; /* entries with an arena, and without */

static harena *list_acquire(void)
{
    struct idle *entry;
    harena *arena = NULL;

    pthread_mutex_lock(&mutex);
    entry = idle;
    if (entry != NULL) {
        idle = entry->next;
        arena = entry->arena;
        entry->next = empty;
        empty = entry;
    }
    pthread_mutex_unlock(&mutex);
    return arena != NULL ? arena : create();
}

static void list_give(harena *arena)
{
    struct idle *entry;

    harena_reset(arena);
    pthread_mutex_lock(&mutex);
    entry = empty;
    if (entry != NULL)
        empty = entry->next;
    else
        entry = must(malloc(sizeof(*entry)));
    entry->arena = arena;
    entry->next = idle;
    idle = entry;
    pthread_mutex_unlock(&mutex);
}

static void list_drop(void)
{
    while (idle != NULL)
        harena_release(list_acquire());
    while (empty != NULL) {
        struct idle *entry = empty;

        empty = entry->next;
        free(entry);
    }
}

static const struct {
    const char *name;
    harena *(*acquire)(void);
    void (*give)(harena *arena);
} contenders[] = {
    {"harena_pool_acquire + give", pool_acquire, pool_give},
    {"mutex and list, harena_reset", list_acquire, list_give},
    {"harena_create + harena_release", create, harena_release},
};
enum { CONTENDERS = sizeof(contenders) / sizeof(*contenders), POOL = 0, LIST = 1 };

/* ---- one sample ---- */

static const unsigned uses[] = {0, 1, 16}; /* objects of 128 bytes in each arena */
enum { USES = sizeof(uses) / sizeof(*uses) };

struct job {
    int contender;
    unsigned objects;
    double ns[BENCH_THREADS_MAX]; /* of a pair */
};

static void work(harena *arena, unsigned objects)
{
    struct bench_node *last = NULL;

    for (unsigned i = 0; i < objects; i++) {
        struct bench_node *node = must(harena_alloc(arena, 128));

        node->previous = last;
        last = node;
    }
    bench_keep(last);
}

static void pairs(struct job *job, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        harena *arena = must(contenders[job->contender].acquire());

        work(arena, job->objects);
        contenders[job->contender].give(arena);
    }
}

static void run(void *ctx, unsigned thread)
{
    struct job *job = ctx;
    uint64_t from;

    pairs(job, 10); /* arenas are warm */
    bench_team_meet();
    from = bench_stamp();
    pairs(job, PAIRS);
    job->ns[thread] = bench_ns(from, bench_stamp()) / PAIRS;
    bench_team_meet();
}

static double sample(int contender, unsigned objects, unsigned threads)
{
    struct job job = {.contender = contender, .objects = objects};
    double ns = 0;

    bench_team_run(threads, run, &job);
    for (unsigned i = 0; i < threads; i++)
        ns += job.ns[i] / threads;
    return ns;
}

/* ---- the table ---- */

static void print_row(const struct bench_options *options, int contender, double *ns,
                      const double *of_pool)
{
    double *ratios = must(malloc(options->repetitions * sizeof(*ratios)));
    struct bench_spread ratio, spread;
    const char *verdict = "";

    for (unsigned rep = 0; rep < options->repetitions; rep++)
        ratios[rep] = ns[rep] / of_pool[rep];
    ratio = bench_spread(ratios, options->repetitions);
    spread = bench_spread(ns, options->repetitions);
    if (contender == POOL)
        verdict = spread.median <= BAR_NS ? "  <= 100 ns holds" : "  <= 100 ns MISSED";
    else if (contender == LIST)
        verdict = ratio.median > 1 ? "  pool ahead: holds" : "  pool ahead: MISSED";
    printf("  %-32s %6.2f x [%5.2f %5.2f]  %8.1f ns [%.1f %.1f]%s\n", contenders[contender].name,
           ratio.median, ratio.low, ratio.high, spread.median, spread.low, spread.high, verdict);
    free(ratios);
}

static void compare(const struct bench_options *options, unsigned threads, unsigned objects)
{
    double *ns[CONTENDERS], *of_pool = must(malloc(options->repetitions * sizeof(*of_pool)));

    for (int i = 0; i < CONTENDERS; i++)
        ns[i] = must(malloc(options->repetitions * sizeof(*ns[i])));
    for (unsigned rep = 0; rep < options->repetitions; rep++) {
        for (int i = 0; i < CONTENDERS; i++) {
            ns[i][rep] = sample(i, objects, threads);
            if (options->csv)
                printf("\"%s\",%u,%u,%u,%.2f\n", contenders[i].name, threads, objects, rep,
                       ns[i][rep]);
        }
        of_pool[rep] = ns[POOL][rep];
    }
    if (!options->csv) {
        printf("%u thread%s, %u objects of 128 bytes in each arena\n", threads,
               threads == 1 ? "" : "s", objects);
        for (int i = 0; i < CONTENDERS; i++)
            print_row(options, i, ns[i], of_pool);
    }
    for (int i = 0; i < CONTENDERS; i++)
        free(ns[i]);
    free(of_pool);
}

int main(int argc, char **argv)
{
    harena_provider_options provider_options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_pool_options pool_options = HARENA_POOL_OPTIONS_INIT;
    struct bench_options options;

    bench_start(&options, argc, argv,
                "What does a warm arena cost for each piece of work, from a pool and otherwise?",
                31);
    provider_options.reserve = (size_t)1 << 30;
    provider = must(harena_provider_create(&provider_options));
    pool_options.arena.provider = provider;
    pool = must(harena_pool_create(&pool_options));
    if (options.csv)
        puts("contender,threads,objects,repetition,ns");
    for (unsigned threads = 1; threads <= options.threads; threads++)
        for (int use = 0; use < USES; use++)
            compare(&options, threads, uses[use]);
    list_drop();
    harena_pool_destroy(pool);
    if (harena_provider_destroy(provider) != 0)
        bench_die("something is left");
    return 0;
}
