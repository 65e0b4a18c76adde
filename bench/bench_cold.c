/* SPDX-License-Identifier: BSD-2-Clause */
/* What does the first filling of fresh memory cost, by pages of which size? Layer 9. */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS */
#include "bench.h"

#include <harena.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES ((size_t)256 << 20)

/* One filling. */
struct filling {
    harena_provider *provider; /* NULL: mapped, or from malloc */
    char *mapped;
    size_t part, object; /* bytes of each thread, and of one object */
    uint64_t from;       /* when all began, as thread 0 sees it */
    double ns;           /* until the last one had filled its part */
};

static void *must(void *pointer)
{
    if (pointer == NULL || pointer == MAP_FAILED)
        bench_die("out of memory");
    return pointer;
}

static void begin(struct filling *filling, unsigned thread)
{
    bench_team_meet();
    if (thread == 0)
        filling->from = bench_stamp();
}

static void end(struct filling *filling, unsigned thread, const struct bench_node *last,
                size_t count)
{
    bench_team_meet();
    if (thread != 0)
        return;
    filling->ns = bench_ns(filling->from, bench_stamp());
    bench_verify(last, count, "cold filling");
}

static void fill_arena(void *ctx, unsigned thread)
{
    struct filling *filling = ctx;
    harena_options options = HARENA_OPTIONS_INIT;
    size_t count = filling->part / filling->object;
    struct bench_node *last = NULL;
    harena *arena;

    options.provider = filling->provider;
    arena = must(harena_create(&options));
    begin(filling, thread);
    for (size_t i = 0; i < count; i++) {
        struct bench_node *node = must(harena_alloc(arena, filling->object));

        node->previous = last;
        last = node;
    }
    end(filling, thread, last, count);
    harena_release(arena);
}

static void fill_mapping(void *ctx, unsigned thread)
{
    struct filling *filling = ctx;
    size_t count = filling->part / filling->object;
    char *at = filling->mapped + thread * filling->part;
    struct bench_node *last = NULL;

    begin(filling, thread);
    for (size_t i = 0; i < count; i++, at += filling->object) {
        struct bench_node *node = (struct bench_node *)(void *)at;

        node->previous = last;
        last = node;
    }
    end(filling, thread, last, count);
}

static void fill_malloc(void *ctx, unsigned thread)
{
    struct filling *filling = ctx;
    size_t count = filling->part / filling->object;
    struct bench_node *last = NULL;

    begin(filling, thread);
    for (size_t i = 0; i < count; i++) {
        struct bench_node *node = must(malloc(filling->object - 8)); /* its header comes on top */

        node->previous = last;
        last = node;
    }
    end(filling, thread, last, count);
    while (last != NULL) {
        struct bench_node *node = last;

        last = node->previous;
        free(node);
    }
    bench_team_meet();
    if (thread == 0)
        malloc_trim(0); /* so that the next one is cold, too */
}

static double run(void (*fill)(void *, unsigned), struct filling *filling, unsigned threads,
                  size_t object)
{
    filling->object = object;
    filling->part = BYTES / threads / 64 * 64;
    bench_team_run(threads, fill, filling);
    return filling->ns;
}

static double run_arena(enum harena_huge_pages policy, unsigned threads, size_t object)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    struct filling filling = {0};
    double ns;

    options.huge_pages = policy;
    options.retain_percent = HARENA_RETAIN_ALL;
    filling.provider = must(harena_provider_create(&options));
    ns = run(fill_arena, &filling, threads, object);
    if (harena_provider_destroy(filling.provider) != 0)
        bench_die("the provider is busy");
    return ns;
}

static double run_off(unsigned threads, size_t object)
{
    return run_arena(HARENA_HUGE_OFF, threads, object);
}

static double run_auto(unsigned threads, size_t object)
{
    return run_arena(HARENA_HUGE_AUTO, threads, object);
}

static double run_on(unsigned threads, size_t object)
{
    return run_arena(HARENA_HUGE_ON, threads, object);
}

static double run_mapping(int advice, unsigned threads, size_t object)
{
    struct filling filling = {0};
    double ns;

    filling.mapped =
        must(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    madvise(filling.mapped, BYTES, advice);
    ns = run(fill_mapping, &filling, threads, object);
    munmap(filling.mapped, BYTES);
    return ns;
}

static double run_small_mapping(unsigned threads, size_t object)
{
    return run_mapping(MADV_NOHUGEPAGE, threads, object);
}

static double run_huge_mapping(unsigned threads, size_t object)
{
    return run_mapping(MADV_HUGEPAGE, threads, object);
}

static double run_malloc(unsigned threads, size_t object)
{
    struct filling filling = {0};

    return run(fill_malloc, &filling, threads, object);
}

static const struct {
    const char *name;
    double (*run)(unsigned threads, size_t object);
} contenders[] = {
    {"harena, HARENA_HUGE_OFF", run_off},
    {"harena, HARENA_HUGE_AUTO", run_auto},
    {"harena, HARENA_HUGE_ON", run_on},
    {"bump in a mapping, small pages", run_small_mapping},
    {"bump in a mapping, huge pages", run_huge_mapping},
    {"malloc (glibc)", run_malloc},
};
enum { CONTENDERS = sizeof contenders / sizeof *contenders, BASE = 0, AUTO = 1, ON = 2 };

/* A virtual machine pays for memory that it has never used, or has given back to its host: use more of it before. */
static void touch_before(void)
{
    char *memory =
        must(mmap(NULL, 8 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    madvise(memory, 8 * BYTES, MADV_HUGEPAGE);
    memset(memory, 1, 8 * BYTES);
    munmap(memory, 8 * BYTES);
}

static void print_row(const struct bench_options *options, unsigned threads, size_t object,
                      int contender, const double *base, const double *ns)
{
    double *ratios = must(malloc(options->repetitions * sizeof(double)));
    double *sorted = must(malloc(options->repetitions * sizeof(double)));
    struct bench_spread ratio, spread;
    const char *verdict = "";

    for (unsigned rep = 0; rep < options->repetitions; rep++) {
        ratios[rep] = base[rep] / ns[rep];
        sorted[rep] = ns[rep];
    }
    ratio = bench_spread(ratios, options->repetitions);
    spread = bench_spread(sorted, options->repetitions);
    if ((contender == AUTO || contender == ON) && threads == 2)
        verdict = ratio.median >= 4 ? "  >= 4 holds" : "  >= 4 MISSED";
    printf("%u thread%c %4zu bytes  %-32s %5.2f x [%5.2f %5.2f]  %7.1f ms [%.1f %.1f]%s\n", threads,
           threads == 1 ? ' ' : 's', object, contenders[contender].name, ratio.median, ratio.low,
           ratio.high, spread.median / 1e6, spread.low / 1e6, spread.high / 1e6, verdict);
    free(ratios);
    free(sorted);
}

static void compare(const struct bench_options *options, unsigned threads, size_t object)
{
    double *ns[CONTENDERS];

    touch_before();
    for (int i = 0; i < CONTENDERS; i++)
        ns[i] = must(malloc(options->repetitions * sizeof(double)));
    for (unsigned rep = 0; rep < options->repetitions; rep++) {
        for (int i = 0; i < CONTENDERS; i++) {
            ns[i][rep] = contenders[i].run(threads, object);
            if (options->csv)
                printf("\"%s\",%u,%zu,%u,%.0f\n", contenders[i].name, threads, object, rep,
                       ns[i][rep]);
        }
    }
    for (int i = 0; i < CONTENDERS; i++) {
        if (!options->csv)
            print_row(options, threads, object, i, ns[BASE], ns[i]);
    }
    for (int i = 0; i < CONTENDERS; i++)
        free(ns[i]);
}

int main(int argc, char **argv)
{
    struct bench_options options;
    static const size_t objects[] = {240, 1008};
    unsigned threads;

    bench_start(&options, argc, argv,
                "What does the first filling of 256 MiB cost, by pages of which size?", 9);
    if (options.csv)
        puts("contender,threads,object,repetition,ns");
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        for (threads = 1; threads <= options.threads; threads++)
            compare(&options, threads, objects[i]);
    }
    return 0;
}
