/* SPDX-License-Identifier: BSD-2-Clause */
/* What does a thread pay for using many arenas in turn, instead of one? Layer 9. */
#include "bench.h"

#include <harena.h>

#include <stdio.h>
#include <stdlib.h>

/* A sample allocates the same objects, 16 to 255 bytes with one store each, from 1, 16 or 64 arenas
 * in turn: object i from arena i mod n. The bytes are the same, so caches and pages are as well; a
 * raw bump in as many blocks shows what the number of places written to costs by itself. The first
 * allocation of each arena (its chunk, its lane) is made before the clock starts, and resets are
 * outside it. */

#define ARENAS_MAX 64
#define ROUNDS     5 /* per sample */

static const size_t totals[] = {6400, 64000}; /* objects of a round: 0.9 MB, 9 MB */

struct block {
    char *cursor, *end, *base;
    harena *arena; /* where the memory is from: a run of the same provider */
};

struct sample {
    harena_provider *provider;
    const uint8_t *sizes;
    size_t objects, arenas;
    struct block blocks[ARENAS_MAX];
    harena *private[ARENAS_MAX];
    harena_shared *shared[ARENAS_MAX];
};

struct contender {
    const char *name;
    void (*setup)(struct sample *sample, size_t i);
    struct bench_node *(*first)(struct sample *sample, size_t i, struct bench_node *last);
    struct bench_node *(*fill)(struct sample *sample, struct bench_node *last);
    void (*reset)(struct sample *sample, size_t i);
    void (*teardown)(struct sample *sample, size_t i);
};

static inline struct bench_node *push(struct bench_node *last, void *memory)
{
    struct bench_node *node = memory;

    node->previous = last;
    return node;
}

#define FILL(name, allocation)                                                                     \
    static __attribute__((noinline)) struct bench_node *name##_fill(struct sample *sample,         \
                                                                    struct bench_node *last)       \
    {                                                                                              \
        size_t mask = sample->arenas - 1, count = sample->objects, n, i;                           \
        const uint8_t *sizes = sample->sizes;                                                      \
                                                                                                   \
        for (n = 0; n < count; n++) {                                                              \
            i = n & mask;                                                                          \
            last = push(last, allocation(sample, i, sizes[n]));                                    \
        }                                                                                          \
        return last;                                                                               \
    }                                                                                              \
    static struct bench_node *name##_first(struct sample *sample, size_t i,                        \
                                           struct bench_node *last)                                \
    {                                                                                              \
        return push(last, allocation(sample, i, 16));                                              \
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

static void raw_setup(struct sample *sample, size_t i)
{
    struct block *block = &sample->blocks[i];
    size_t bytes = (sample->objects / sample->arenas + 1) * 256 + 4096;

    block->arena = create_arena(sample);
    block->base = harena_alloc(block->arena, bytes);
    if (block->base == NULL)
        bench_die("no memory for a raw bump");
    block->cursor = block->base;
    block->end = block->base + bytes;
}

static inline void *raw_alloc(struct sample *sample, size_t i, size_t size)
{
    struct block *block = &sample->blocks[i];
    char *at = block->cursor;

    if (__builtin_expect(size > (size_t)(block->end - at), 0))
        bench_die("a raw bump is out of memory");
    block->cursor = at + ((size + 15) & ~(size_t)15);
    return at;
}

FILL(raw, raw_alloc)

static void raw_reset(struct sample *sample, size_t i)
{
    sample->blocks[i].cursor = sample->blocks[i].base;
}

static void raw_teardown(struct sample *sample, size_t i)
{
    harena_release(sample->blocks[i].arena);
}

/* ---- private arenas ---- */

static void private_setup(struct sample *sample, size_t i)
{
    sample->private[i] = create_arena(sample);
}

static inline void *private_alloc(struct sample *sample, size_t i, size_t size)
{
    return harena_alloc(sample->private[i], size);
}

FILL(private, private_alloc)

static void private_reset(struct sample *sample, size_t i)
{
    harena_reset(sample->private[i]);
}

static void private_teardown(struct sample *sample, size_t i)
{
    harena_release(sample->private[i]);
}

/* ---- shared arenas ---- */

static void shared_setup(struct sample *sample, size_t i)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = sample->provider;
    sample->shared[i] = harena_shared_create(&options);
    if (sample->shared[i] == NULL)
        bench_die("cannot create a shared arena");
}

static inline void *shared_alloc(struct sample *sample, size_t i, size_t size)
{
    return harena_shared_alloc(sample->shared[i], size);
}

FILL(shared, shared_alloc)

static void shared_reset(struct sample *sample, size_t i)
{
    if (harena_shared_reset_now(sample->shared[i]) != 0)
        bench_die("harena_shared_reset_now failed");
}

static void shared_teardown(struct sample *sample, size_t i)
{
    harena_shared_release_now(sample->shared[i]);
}

static const struct contender contenders[] = {
    {"raw bumps", raw_setup, raw_first, raw_fill, raw_reset, raw_teardown},
    {"private arenas", private_setup, private_first, private_fill, private_reset, private_teardown},
    {"shared arenas", shared_setup, shared_first, shared_fill, shared_reset, shared_teardown},
};
#define CONTENDERS (sizeof contenders / sizeof *contenders)

static const size_t numbers[] = {1, 16, 64};
#define NUMBERS (sizeof numbers / sizeof *numbers)

/* ns an object: the median round. */
static double measure(struct sample *sample, const struct contender *contender)
{
    double ns[ROUNDS];
    unsigned round;
    size_t i;

    for (i = 0; i < sample->arenas; i++)
        contender->setup(sample, i);
    for (round = 0; round < 2 + ROUNDS; round++) { /* two to warm up */
        struct bench_node *last = NULL;
        uint64_t from, to;

        for (i = 0; i < sample->arenas; i++)
            last = contender->first(sample, i, last);
        from = bench_stamp();
        last = contender->fill(sample, last);
        to = bench_stamp();
        bench_keep(last);
        ns[round < 2 ? 0 : round - 2] = bench_ns(from, to);
        if (round == 1 + ROUNDS)
            bench_verify(last, sample->arenas + sample->objects, contender->name);
        for (i = 0; i < sample->arenas; i++)
            contender->reset(sample, i);
    }
    for (i = 0; i < sample->arenas; i++)
        contender->teardown(sample, i);
    return bench_median(ns, ROUNDS) / (double)sample->objects;
}

static void report(double *const ns[CONTENDERS][NUMBERS], unsigned repetitions, size_t objects)
{
    double *ratio = malloc(repetitions * sizeof *ratio);
    size_t c, n;
    unsigned rep;

    if (ratio == NULL)
        bench_die("out of memory");
    printf("\n%zu objects a round\n%-20s %-22s ns an object\n", objects, "", "ratio to one");
    for (c = 0; c < CONTENDERS; c++) {
        for (n = NUMBERS; n-- > 0;) { /* one arena last: bench_spread sorts what all refer to */
            struct bench_spread r;

            for (rep = 0; rep < repetitions; rep++)
                ratio[rep] = ns[c][n][rep] / ns[c][0][rep];
            r = bench_spread(ratio, repetitions);
            printf("%2zu %-17s %5.2f [%5.2f %5.2f]", numbers[n], contenders[c].name, r.median,
                   r.low, r.high);
            r = bench_spread(ns[c][n], repetitions);
            printf("    %5.2f [%5.2f %5.2f]", r.median, r.low, r.high);
            if (c == CONTENDERS - 1 && numbers[n] == 64)
                printf("  <= 2.0 %s", bench_median(ratio, repetitions) <= 2 ? "holds" : "MISSED");
            putchar('\n');
        }
    }
    free(ratio);
}

static void run_case(size_t objects, struct sample *sample, const struct bench_options *options)
{
    uint8_t *sizes = bench_sizes(objects);
    double *ns[CONTENDERS][NUMBERS];
    size_t c, n, turn;
    unsigned rep;

    sample->sizes = sizes;
    sample->objects = objects;
    for (c = 0; c < CONTENDERS; c++)
        for (n = 0; n < NUMBERS; n++)
            if ((ns[c][n] = malloc(options->repetitions * sizeof(double))) == NULL)
                bench_die("out of memory");
    for (rep = 0; rep < options->repetitions; rep++) {
        for (turn = 0; turn < CONTENDERS * NUMBERS; turn++) {
            c = (rep + turn) % (CONTENDERS * NUMBERS) / NUMBERS;
            n = (rep + turn) % NUMBERS;
            sample->arenas = numbers[n];
            ns[c][n][rep] = measure(sample, &contenders[c]);
            if (options->csv)
                printf("%zu,%s,%zu,%u,%.4f\n", objects, contenders[c].name, numbers[n], rep,
                       ns[c][n][rep]);
        }
    }
    if (!options->csv)
        report(ns, options->repetitions, objects);
    for (c = 0; c < CONTENDERS; c++)
        for (n = 0; n < NUMBERS; n++)
            free(ns[c][n]);
    free(sizes);
}

int main(int argc, char **argv)
{
    harena_provider_options provider_options = HARENA_PROVIDER_OPTIONS_INIT;
    static struct sample sample;
    struct bench_options options;
    size_t i;

    bench_start(&options, argc, argv,
                "What does a thread pay for using many arenas in turn, instead of one?", 41);
    if (options.huge_pages)
        provider_options.huge_pages = HARENA_HUGE_ON;
    provider_options.reserve = (size_t)1 << 30;
    sample.provider = harena_provider_create(&provider_options);
    if (sample.provider == NULL)
        bench_die("cannot create a provider");
    if (options.csv)
        puts("objects,contender,arenas,repetition,ns_per_object");
    for (i = 0; i < sizeof totals / sizeof *totals; i++)
        run_case(totals[i], &sample, &options);
    return harena_provider_destroy(sample.provider) == 0 ? 0 : 1;
}
