/* SPDX-License-Identifier: BSD-2-Clause */
/* What does an object of 2 to 32 KiB cost, of whatever size: also of which a chunk has much left over? Layer 9. */
#include "bench.h"

#include <harena.h>

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES ((size_t)4 << 20) /* all threads' objects together, between two resets */

/* 1,500 and 8,000 fill a chunk but for less than 2 KiB; the others leave 2,368, 3,856, 10,496 and 5,536 bytes of it. */
static const size_t sizes[] = {1500, 3000, 4112, 8000, 11000, 30000};
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

static void *must(void *pointer)
{
    if (pointer == NULL)
        bench_die("out of memory");
    return pointer;
}

/* ---- contenders: each thread opens, allocates, closes; in between one of them empties ---- */

static harena *own[BENCH_THREADS_MAX]; /* one a thread */
static harena *one;                    /* for all, behind the mutex */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static harena_shared *shared;

static void *enter_shared(unsigned thread)
{
    (void)thread;
    return harena_shared_enter(shared);
}

static void *alloc_shared(void *view, size_t size)
{
    return harena_view_alloc(view, size);
}

static void leave_shared(void *view)
{
    harena_shared_leave(shared, view);
}

static void empty_shared(void)
{
    if (harena_shared_reset_now(shared) != 0)
        bench_die("cannot reset");
}

static void *own_arena(unsigned thread)
{
    return own[thread];
}

static void *alloc_own(void *arena, size_t size)
{
    return harena_alloc(arena, size);
}

static void empty_own(void)
{
    for (unsigned i = 0; i < BENCH_THREADS_MAX; i++)
        harena_reset(own[i]);
}

static void *one_arena(unsigned thread)
{
    (void)thread;
    return one;
}

static void *alloc_one(void *arena, size_t size)
{
    void *at;

    pthread_mutex_lock(&mutex);
    at = harena_alloc(arena, size);
    pthread_mutex_unlock(&mutex);
    return at;
}

static void empty_one(void)
{
    harena_reset(one);
}

static void nothing(void *arena)
{
    (void)arena;
}

static const struct {
    const char *name;
    void *(*open)(unsigned thread);
    void *(*alloc)(void *opened, size_t size);
    void (*close)(void *opened);
    void (*empty)(void);
} contenders[] = {
    {"harena_view_alloc", enter_shared, alloc_shared, leave_shared, empty_shared},
    {"harena_alloc", own_arena, alloc_own, nothing, empty_own},
    {"mutex + harena_alloc", one_arena, alloc_one, nothing, empty_one},
};
enum { CONTENDERS = sizeof(contenders) / sizeof(*contenders), SHARED = 0 };

/* ---- malloc, whose objects are freed one by one, untimed ---- */

static double sample_malloc(size_t size)
{
    size_t count = BYTES / size;
    struct bench_node *last = NULL;
    uint64_t from = bench_stamp(), to;

    for (size_t i = 0; i < count; i++) {
        struct bench_node *node = must(malloc(size));

        node->previous = last;
        last = node;
    }
    to = bench_stamp();
    bench_verify(last, count, "malloc");
    while (last != NULL) {
        struct bench_node *previous = last->previous;

        free(last);
        last = previous;
    }
    return bench_ns(from, to) / (double)count;
}

/* ---- one sample ---- */

struct job {
    int contender;
    size_t size, count;           /* of each thread's objects */
    double ns[BENCH_THREADS_MAX]; /* an object */
};

static void run(void *ctx, unsigned thread)
{
    struct job *job = ctx;
    void *(*alloc)(void *opened, size_t size) = contenders[job->contender].alloc;
    void *opened = contenders[job->contender].open(thread);
    struct bench_node *last = NULL;
    uint64_t from;

    bench_team_meet();
    from = bench_stamp();
    for (size_t i = 0; i < job->count; i++) {
        struct bench_node *node = must(alloc(opened, job->size));

        node->previous = last;
        last = node;
    }
    job->ns[thread] = bench_ns(from, bench_stamp()) / (double)job->count;
    bench_verify(last, job->count, contenders[job->contender].name);
    contenders[job->contender].close(opened);
    bench_team_meet();
}

static double sample(int contender, size_t size, unsigned threads)
{
    struct job job = {.contender = contender, .size = size, .count = BYTES / size / threads};
    double ns = 0;

    bench_team_run(threads, run, &job);
    contenders[contender].empty();
    for (unsigned i = 0; i < threads; i++)
        ns += job.ns[i] / threads;
    return ns;
}

/* ---- the table ---- */

static void print_row(const char *name, double *ns, const double *of_shared, unsigned repetitions)
{
    double *ratios = must(malloc(repetitions * sizeof(*ratios)));
    struct bench_spread ratio, spread;

    for (unsigned rep = 0; rep < repetitions; rep++)
        ratios[rep] = ns[rep] / of_shared[rep];
    ratio = bench_spread(ratios, repetitions);
    spread = bench_spread(ns, repetitions);
    printf("  %-32s %6.2f x [%5.2f %5.2f]  %8.1f ns [%.1f %.1f]\n", name, ratio.median, ratio.low,
           ratio.high, spread.median, spread.low, spread.high);
    free(ratios);
}

static void compare(const struct bench_options *options, unsigned threads, size_t size)
{
    enum { MALLOC = CONTENDERS, ROWS };
    double *ns[ROWS], *of_shared = must(malloc(options->repetitions * sizeof(*of_shared)));
    int rows = threads == 1 ? ROWS : CONTENDERS;

    for (int i = 0; i < ROWS; i++)
        ns[i] = must(malloc(options->repetitions * sizeof(*ns[i])));
    for (int i = 0; i < CONTENDERS; i++)
        sample(i, size, threads); /* memory is warm */
    for (unsigned rep = 0; rep < options->repetitions; rep++) {
        for (int i = 0; i < rows; i++) {
            ns[i][rep] = i == MALLOC ? sample_malloc(size) : sample(i, size, threads);
            if (options->csv)
                printf("\"%s\",%u,%zu,%u,%.2f\n", i == MALLOC ? "malloc" : contenders[i].name,
                       threads, size, rep, ns[i][rep]);
        }
        of_shared[rep] = ns[SHARED][rep];
    }
    if (!options->csv) {
        printf("%u thread%s, %zu bytes\n", threads, threads == 1 ? "" : "s", size);
        for (int i = 0; i < rows; i++)
            print_row(i == MALLOC ? "malloc" : contenders[i].name, ns[i], of_shared,
                      options->repetitions);
    }
    for (int i = 0; i < ROWS; i++)
        free(ns[i]);
    free(of_shared);
}

static harena *create(harena_provider *provider)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    options.retain = 2 * BYTES;
    return must(harena_create(&options));
}

int main(int argc, char **argv)
{
    harena_provider_options provider_options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    struct bench_options options;
    harena_provider *provider;

    bench_start(&options, argc, argv, "What does an object of 2 to 32 KiB cost?", 31);
#ifdef M_TRIM_THRESHOLD
    mallopt(M_TRIM_THRESHOLD, (int)(16 * BYTES)); /* malloc's memory stays warm, too */
#endif
    provider_options.reserve = (size_t)1 << 30;
    provider = must(harena_provider_create(&provider_options));
    for (unsigned i = 0; i < BENCH_THREADS_MAX; i++)
        own[i] = create(provider);
    one = create(provider);
    shared_options.provider = provider;
    shared = must(harena_shared_create(&shared_options));
    if (options.csv)
        puts("contender,threads,size,repetition,ns");
    for (unsigned threads = 1; threads <= options.threads; threads++)
        for (int i = 0; i < SIZES; i++)
            compare(&options, threads, sizes[i]);
    harena_shared_release_now(shared);
    harena_release(one);
    for (unsigned i = 0; i < BENCH_THREADS_MAX; i++)
        harena_release(own[i]);
    if (harena_provider_destroy(provider) != 0)
        bench_die("something is left");
    return 0;
}
