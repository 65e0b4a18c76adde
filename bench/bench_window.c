/* SPDX-License-Identifier: BSD-2-Clause */
/* What does one small allocation cost beyond a raw bump in warm memory? Layer 9. */
#include "bench.h"

#include <harena.h>
#include <pthread.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A round of one thread, each part timed by itself:
 *   first   entering the arena and three allocations of 16 bytes: the first installs a generation,
 *           claims the lane, takes the chunk; the others fetch back the lines that the other thread
 *           has read meanwhile;
 *   path    `objects` allocations with one 8-byte store each: what the bars are about, with all
 *           chunk changes and leases that happen on the way;
 *   reset   leaving and emptying the arena, so that the next round finds the same memory warm.
 * With two threads all wait for each other before each part, and one empties what they share. */

static const struct {
    size_t objects;
    unsigned rounds; /* per sample */
} cases[] = {{100, 501}, {1000, 101}, {100000, 7}};

#define WARM_UP_ROUNDS 3
#define FIRST_ONES     3

/* ---- the raw bump ---- */

/* The limit: cursor and end in registers, a size check, an addition. The size is rounded, not the
 * cursor: that keeps the rounding off the chain from one cursor to the next. */
struct raw {
    char *base, *cursor, *end;
    harena *arena; /* where the memory is from: a run of the same provider, so the same pages */
};

/* ---- what a sample works on ---- */

struct sample {
    const struct contender *contender;
    const uint8_t *sizes;
    size_t objects;
    unsigned threads, rounds;
    harena_provider *provider;
    harena_shared *shared;
    pthread_mutex_t mutex; /* of the contender that shares a private arena */
    struct thread {
        __attribute__((aligned(128))) struct raw raw;
        harena *arena;
        harena_view *view;
        struct bench_node *last;
        double *path, *first, *reset; /* ns, one a round */
    } thread[BENCH_THREADS_MAX];
};

struct contender {
    const char *name;
    void (*setup)(struct sample *sample);
    void (*enter)(struct sample *sample, struct thread *thread);
    struct bench_node *(*one)(struct sample *sample, struct thread *thread,
                              struct bench_node *last);
    struct bench_node *(*path)(struct sample *sample, struct thread *thread,
                               struct bench_node *last);
    void (*leave)(struct sample *sample, struct thread *thread); /* each thread */
    void (*reset)(struct sample *sample);                        /* thread 0, after all have left */
    void (*teardown)(struct sample *sample);
    double bar; /* ns above raw; 0: none */
};

/* Allocates `size` bytes by `allocation` and links them to `last`. */
#define PUSH(last, allocation)                                                                     \
    do {                                                                                           \
        struct bench_node *node = (struct bench_node *)(void *)(allocation);                       \
        node->previous = (last);                                                                   \
        (last) = node;                                                                             \
    } while (0)

/* One loop a contender, around the inline function itself. */
#define FILL(name, variable, allocation)                                                           \
    static __attribute__((noinline)) struct bench_node *name##_path(                               \
        struct sample *sample, struct thread *thread, struct bench_node *last)                     \
    {                                                                                              \
        const uint8_t *size = sample->sizes, *end = size + sample->objects;                        \
        variable;                                                                                  \
                                                                                                   \
        (void)thread;                                                                              \
        for (; size != end; size++)                                                                \
            PUSH(last, allocation);                                                                \
        return last;                                                                               \
    }                                                                                              \
    static struct bench_node *name##_one(struct sample *sample, struct thread *thread,             \
                                         struct bench_node *last)                                  \
    {                                                                                              \
        const uint8_t sixteen = 16, *size = &sixteen;                                              \
        variable;                                                                                  \
                                                                                                   \
        (void)sample, (void)thread;                                                                \
        PUSH(last, allocation);                                                                    \
        return last;                                                                               \
    }

static void nothing(struct sample *sample, struct thread *thread)
{
    (void)sample, (void)thread;
}

static void reset_nothing(struct sample *sample)
{
    (void)sample;
}

/* ---- raw ---- */

static harena *create_arena(struct sample *sample)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = sample->provider;
    arena = harena_create(&options);
    if (arena == NULL)
        bench_die("cannot create an arena");
    return arena;
}

static void raw_setup(struct sample *sample)
{
    size_t bytes = sample->objects * 256 + 4096;
    unsigned i;

    for (i = 0; i < sample->threads; i++) {
        struct raw *raw = &sample->thread[i].raw;

        raw->arena = create_arena(sample);
        raw->base = harena_alloc(raw->arena, bytes);
        if (raw->base == NULL)
            bench_die("no memory for the raw bump");
        raw->cursor = raw->base;
        raw->end = raw->base + bytes / 16 * 16;
    }
}

static inline void *raw_alloc(char **cursor, const char *end, size_t size)
{
    char *at = *cursor;

    if (__builtin_expect(size > (size_t)(end - at), 0))
        bench_die("the raw bump is out of memory");
    *cursor = at + ((size + 15) & ~(size_t)15);
    return at;
}

static __attribute__((noinline)) struct bench_node *
raw_path(struct sample *sample, struct thread *thread, struct bench_node *last)
{
    const uint8_t *size = sample->sizes, *stop = size + sample->objects;
    char *cursor = thread->raw.cursor;
    const char *end = thread->raw.end;

    for (; size != stop; size++)
        PUSH(last, raw_alloc(&cursor, end, *size));
    thread->raw.cursor = cursor;
    return last;
}

static struct bench_node *raw_one(struct sample *sample, struct thread *thread,
                                  struct bench_node *last)
{
    (void)sample;
    PUSH(last, raw_alloc(&thread->raw.cursor, thread->raw.end, 16));
    return last;
}

static void raw_leave(struct sample *sample, struct thread *thread)
{
    (void)sample;
    thread->raw.cursor = thread->raw.base;
}

static void raw_teardown(struct sample *sample)
{
    unsigned i;

    for (i = 0; i < sample->threads; i++)
        harena_release(sample->thread[i].raw.arena);
}

/* ---- harena_alloc: an arena a thread ---- */

static void arena_setup(struct sample *sample)
{
    unsigned i;

    for (i = 0; i < sample->threads; i++)
        sample->thread[i].arena = create_arena(sample);
}

FILL(arena, harena *arena = thread->arena, harena_alloc(arena, *size))

static void arena_leave(struct sample *sample, struct thread *thread)
{
    (void)sample;
    harena_reset(thread->arena);
}

static void arena_teardown(struct sample *sample)
{
    unsigned i;

    for (i = 0; i < sample->threads; i++)
        harena_release(sample->thread[i].arena);
}

/* ---- one shared arena for all threads ---- */

static void shared_setup(struct sample *sample)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = sample->provider;
    sample->shared = harena_shared_create(&options);
    if (sample->shared == NULL)
        bench_die("cannot create a shared arena");
}

FILL(lane, harena *lane = harena_view_lane(thread->view), harena_alloc(lane, *size))

static void view_enter(struct sample *sample, struct thread *thread)
{
    thread->view = harena_shared_enter(sample->shared);
}

FILL(view, harena_view *view = thread->view, harena_view_alloc(view, *size))

static void view_leave(struct sample *sample, struct thread *thread)
{
    harena_shared_leave(sample->shared, thread->view);
}

FILL(shared, harena_shared *shared = sample->shared, harena_shared_alloc(shared, *size))

FILL(atomic, harena_shared *shared = sample->shared, harena_shared_alloc_atomic(shared, *size))

static void shared_reset(struct sample *sample)
{
    if (harena_shared_reset_now(sample->shared) != 0)
        bench_die("harena_shared_reset_now failed");
}

static void shared_teardown(struct sample *sample)
{
    harena_shared_release_now(sample->shared);
}

/* ---- one private arena for all threads, behind a mutex ---- */

static void locked_setup(struct sample *sample)
{
    sample->thread[0].arena = create_arena(sample);
}

static void *locked_alloc(struct sample *sample, size_t size)
{
    void *at;

    pthread_mutex_lock(&sample->mutex);
    at = harena_alloc(sample->thread[0].arena, size);
    pthread_mutex_unlock(&sample->mutex);
    return at;
}

FILL(locked, (void)0, locked_alloc(sample, *size))

static void locked_reset(struct sample *sample)
{
    harena_reset(sample->thread[0].arena);
}

static void locked_teardown(struct sample *sample)
{
    harena_release(sample->thread[0].arena);
}

static const struct contender contenders[] = {
    {"raw bump", raw_setup, nothing, raw_one, raw_path, raw_leave, reset_nothing, raw_teardown, 0},
    {"harena_alloc", arena_setup, nothing, arena_one, arena_path, arena_leave, reset_nothing,
     arena_teardown, 0.3},
    {"harena_view_lane + harena_alloc", shared_setup, view_enter, lane_one, lane_path, view_leave,
     shared_reset, shared_teardown, 0.3},
    {"harena_view_alloc", shared_setup, view_enter, view_one, view_path, view_leave, shared_reset,
     shared_teardown, 0.7},
    {"harena_shared_alloc", shared_setup, nothing, shared_one, shared_path, nothing, shared_reset,
     shared_teardown, 0.7},
    {"harena_shared_alloc_atomic", shared_setup, nothing, atomic_one, atomic_path, nothing,
     shared_reset, shared_teardown, 0},
    {"mutex + harena_alloc", locked_setup, nothing, locked_one, locked_path, nothing, locked_reset,
     locked_teardown, 0},
};
#define CONTENDERS (sizeof contenders / sizeof *contenders)

/* ---- a sample ---- */

static void run_rounds(void *ctx, unsigned number)
{
    struct sample *sample = ctx;
    struct thread *thread = &sample->thread[number];
    const struct contender *contender = sample->contender;
    uint64_t from, to;
    unsigned i, step;

    for (i = 0; i < WARM_UP_ROUNDS + sample->rounds; i++) {
        unsigned round = i < WARM_UP_ROUNDS ? 0 : i - WARM_UP_ROUNDS; /* 0 is overwritten */

        thread->last = NULL;
        thread->first[round] = 0;
        for (step = 0; step < FIRST_ONES; step++) {
            bench_team_meet();
            from = bench_stamp();
            if (step == 0)
                contender->enter(sample, thread);
            thread->last = contender->one(sample, thread, thread->last);
            to = bench_stamp();
            thread->first[round] += bench_ns(from, to);
        }

        bench_team_meet();
        from = bench_stamp();
        thread->last = contender->path(sample, thread, thread->last);
        to = bench_stamp();
        thread->path[round] = bench_ns(from, to);
        if (i == WARM_UP_ROUNDS + sample->rounds - 1)
            bench_verify(thread->last, sample->objects + FIRST_ONES, contender->name);

        from = bench_stamp();
        contender->leave(sample, thread);
        to = bench_stamp();
        thread->reset[round] = bench_ns(from, to);
        bench_team_meet();
        if (number == 0) {
            from = bench_stamp();
            contender->reset(sample);
            to = bench_stamp();
            thread->reset[round] += bench_ns(from, to);
        }
    }
}

struct result {
    double path, first, reset; /* ns: per object, per round, per round */
};

/* The undisturbed rounds of each thread, averaged over the threads; of reset, thread 0's. */
static struct result measure(struct sample *sample)
{
    struct result result = {0, 0, 0};
    unsigned i;

    sample->contender->setup(sample);
    bench_team_run(sample->threads, run_rounds, sample);
    sample->contender->teardown(sample);
    for (i = 0; i < sample->threads; i++) {
        result.path += bench_undisturbed(sample->thread[i].path, sample->rounds);
        result.first += bench_undisturbed(sample->thread[i].first, sample->rounds);
    }
    result.path /= sample->threads * (double)sample->objects;
    result.first /= sample->threads;
    result.reset = bench_undisturbed(sample->thread[0].reset, sample->rounds);
    return result;
}

/* ---- a case: all contenders in turn, again and again ---- */

static void report(const struct result *results, const struct sample *sample,
                   const struct bench_options *options)
{
    unsigned n = options->repetitions, rep;
    double *path = malloc(n * sizeof *path), *above = malloc(n * sizeof *above);
    double *ratio = malloc(n * sizeof *ratio), *all = malloc(n * sizeof *all);
    double *first = malloc(n * sizeof *first), *reset = malloc(n * sizeof *reset);
    size_t c;

    if (!path || !above || !ratio || !all || !first || !reset)
        bench_die("out of memory");
    printf("\n%zu objects, %u thread%s\n%-32s %-22s %-6s %-20s %8s %8s %8s  %s\n", sample->objects,
           sample->threads, sample->threads == 1 ? "" : "s, each as many", "", "ns above raw",
           "ratio", "ns an object", "first ns", "reset ns", "all/obj", "bar");
    for (c = 0; c < CONTENDERS; c++) {
        struct bench_spread p, a;

        for (rep = 0; rep < n; rep++) {
            const struct result *raw = &results[rep * CONTENDERS], *own = raw + c;

            path[rep] = own->path;
            above[rep] = own->path - raw->path;
            ratio[rep] = own->path / raw->path;
            first[rep] = own->first;
            reset[rep] = own->reset;
            all[rep] = own->path + (own->first + own->reset) / (double)sample->objects;
        }
        p = bench_spread(path, n);
        a = bench_spread(above, n);
        printf("%-32s %+6.2f [%+6.2f %+6.2f] %6.2f %5.2f [%5.2f %5.2f]  %8.1f %8.1f %8.2f  ",
               contenders[c].name, a.median, a.low, a.high, bench_median(ratio, n), p.median, p.low,
               p.high, bench_median(first, n), bench_median(reset, n), bench_median(all, n));
        if (contenders[c].bar > 0)
            printf("%+.1f %s", contenders[c].bar,
                   a.median <= contenders[c].bar ? "holds" : "MISSED");
        putchar('\n');
    }
    free(path), free(above), free(ratio), free(first), free(reset), free(all);
}

static void run_case(size_t number, unsigned threads, const struct bench_options *options,
                     harena_provider *provider)
{
    struct sample sample = {.objects = cases[number].objects,
                            .rounds = cases[number].rounds,
                            .threads = threads,
                            .provider = provider,
                            .mutex = PTHREAD_MUTEX_INITIALIZER};
    struct result *results = calloc(options->repetitions * CONTENDERS, sizeof *results);
    uint8_t *sizes = bench_sizes(sample.objects);
    unsigned rep, i;
    size_t turn;

    sample.sizes = sizes;
    for (i = 0; i < threads; i++) {
        sample.thread[i].path = malloc(sample.rounds * sizeof(double));
        sample.thread[i].first = malloc(sample.rounds * sizeof(double));
        sample.thread[i].reset = malloc(sample.rounds * sizeof(double));
        if (!results || !sample.thread[i].path || !sample.thread[i].first ||
            !sample.thread[i].reset)
            bench_die("out of memory");
    }
    for (rep = 0; rep < options->repetitions; rep++) {
        for (turn = 0; turn < CONTENDERS; turn++) {
            size_t c = (rep + turn) % CONTENDERS; /* each is first, second, ... equally often */
            struct result *result = &results[rep * CONTENDERS + c];

            sample.contender = &contenders[c];
            *result = measure(&sample);
            if (options->csv)
                printf("%zu,%u,%s,%u,%.4f,%.2f,%.2f\n", sample.objects, threads, contenders[c].name,
                       rep, result->path, result->first, result->reset);
        }
    }
    if (!options->csv)
        report(results, &sample, options);
    for (i = 0; i < threads; i++) {
        free(sample.thread[i].path), free(sample.thread[i].first);
        free(sample.thread[i].reset);
    }
    free(sizes);
    free(results);
}

int main(int argc, char **argv)
{
    harena_provider_options provider_options = HARENA_PROVIDER_OPTIONS_INIT;
    struct bench_options options;
    harena_provider *provider;
    unsigned threads;
    size_t i;

    bench_start(&options, argc, argv,
                "What does one allocation of 16 to 255 bytes cost beyond a raw bump in warm "
                "memory?",
                41);
    if (options.huge_pages)
        provider_options.huge_pages = HARENA_HUGE_ON;
    provider_options.reserve = (size_t)1 << 30;
    provider = harena_provider_create(&provider_options);
    if (provider == NULL)
        bench_die("cannot create a provider");
    if (options.csv)
        puts("objects,threads,contender,repetition,path_ns_per_object,first_ns,reset_ns");
    for (threads = 1; threads <= options.threads; threads++)
        for (i = 0; i < sizeof cases / sizeof *cases; i++)
            run_case(i, threads, &options, provider);
    if (options.threads < BENCH_THREADS_MAX && !options.csv)
        puts("\nThis machine lets one thread run at a time: no rows for two.");
    return harena_provider_destroy(provider) == 0 ? 0 : 1;
}
