/* SPDX-License-Identifier: BSD-2-Clause */
/* How much memory does an arena hold for what it was asked for? Layer 9. */
#define _GNU_SOURCE /* CPU sets */
#include "bench.h"

#include <harena.h>

#include <malloc.h>
#include <obstack.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define obstack_chunk_alloc malloc
#define obstack_chunk_free  free

/* Asked for is the sum of the sizes, each rounded up to 16 as the alignment wants it; waste is what is held beyond that.
 * With one thread it is looked at after each allocation from `FROM` to `TO` on, and the worst counts; with more of them
 * at `points`, where they stop. */
#define MIB         (1024.0 * 1024.0)
#define FROM        (16 * MIB)
#define TO          (34 * MIB)
#define THREADS_MAX 8u

static const double points[] = {FROM, 17.3 * MIB, 20 * MIB, 33 * MIB};
#define POINTS (sizeof points / sizeof *points)

/* ---- sizes ---- */

static size_t uniform(uint64_t *state, size_t low, size_t high)
{
    *state ^= *state << 13; /* xorshift64: the same on every machine */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return low + (*state >> 33) % (high - low + 1);
}

struct sizes {
    const char *name;
    double bar;
    size_t low, high, other; /* one of low to high; in turn with `other` if that is not 0 */
};

static const struct sizes workloads[] = {
    {"16 to 255", 0.01, 16, 255, 0},
    {"40,000 / 64", 0.05, 40000, 40000, 64},
    {"16,400", 0.05, 16400, 16400, 0},
    {"15,000 / 2,000", 0.05, 15000, 15000, 2000},
    {"8 to 16 KiB", 0.05, 8192, 16384, 0},
    {"33,000", 0.05, 33000, 33000, 0},
    {"1 MiB + 1", 0.05, (1 << 20) + 1, (1 << 20) + 1, 0},
};
#define WORKLOADS (sizeof workloads / sizeof *workloads)

static size_t size_of(const struct sizes *sizes, size_t count, uint64_t *state)
{
    if (sizes->other != 0 && count % 2 == 1)
        return sizes->other;
    return uniform(state, sizes->low, sizes->high);
}

static size_t round_up(size_t size)
{
    return (size + 15) / 16 * 16;
}

/* ---- who is asked ---- */

struct contender {
    const char *name;
    unsigned threads;
    void (*create)(harena_provider *provider);
    void *(*alloc)(size_t size);
    double (*held)(void);
    void (*release)(void);
};

static harena *arena;
static harena_shared *shared;
static struct obstack obstack;
static void *mallocs; /* each object holds the one before */
static double malloc_before;

static void create_arena(harena_provider *provider)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    arena = harena_create(&options);
    if (arena == NULL)
        bench_die("cannot create an arena");
}

static void *alloc_arena(size_t size)
{
    return harena_alloc(arena, size);
}

static double held_arena(void)
{
    return (double)harena_cap(arena);
}

static void release_arena(void)
{
    harena_release(arena);
}

static void create_shared(harena_provider *provider)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = provider;
    shared = harena_shared_create(&options);
    if (shared == NULL)
        bench_die("cannot create a shared arena");
}

static void *alloc_shared(size_t size)
{
    return harena_shared_alloc(shared, size);
}

static double held_shared(void)
{
    return (double)harena_shared_cap(shared);
}

static void release_shared(void)
{
    harena_shared_release_now(shared);
}

static void create_obstack(harena_provider *provider)
{
    (void)provider;
    obstack_init(&obstack);
    obstack_alignment_mask(&obstack) = 15;
}

static void *alloc_obstack(size_t size)
{
    return obstack_alloc(&obstack, size);
}

static double held_obstack(void)
{
    return (double)obstack_memory_used(&obstack);
}

static void release_obstack(void)
{
    obstack_free(&obstack, NULL);
}

/* Bytes that malloc has from the system, or of them those in use. Elsewhere nobody tells. */
static double malloc_bytes(bool in_use)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();

    return (double)(in_use ? info.uordblks : info.arena) + (double)info.hblkhd;
#else
    (void)in_use;
    return 0;
#endif
}

static void create_malloc(harena_provider *provider)
{
    (void)provider;
    malloc_before = malloc_bytes(true);
}

static void *alloc_malloc(size_t size)
{
    void **at = malloc(size);

    if (at == NULL)
        return NULL;
    *at = mallocs;
    mallocs = at;
    return at;
}

static double held_malloc(void)
{
    return malloc_bytes(false) - malloc_before;
}

static void release_malloc(void)
{
    while (mallocs != NULL) {
        void *next = *(void **)mallocs;

        free(mallocs);
        mallocs = next;
    }
}

static const struct contender contenders[] = {
    {"harena", 1, create_arena, alloc_arena, held_arena, release_arena},
    {"shared", 1, create_shared, alloc_shared, held_shared, release_shared},
    {"shared", 2, create_shared, alloc_shared, held_shared, release_shared},
    {"shared", 8, create_shared, alloc_shared, held_shared, release_shared},
    {"obstack", 1, create_obstack, alloc_obstack, held_obstack, release_obstack},
    {"malloc", 1, create_malloc, alloc_malloc, held_malloc, release_malloc},
};
#define CONTENDERS (sizeof contenders / sizeof *contenders)

/* ---- one measurement ---- */

struct run {
    const struct contender *contender;
    const struct sizes *sizes;
    bool csv;
    unsigned repetition;
    double asked[THREADS_MAX];
    double worst; /* held / asked - 1 */
    pthread_barrier_t barrier;
};

struct member {
    struct run *run;
    unsigned thread;
};

static void look(struct run *run, double asked, bool tell)
{
    double waste = run->contender->held() / asked - 1;

    if (waste > run->worst)
        run->worst = waste;
    if (tell && run->csv)
        printf("\"%s\",%s,%u,%u,%.0f,%.0f,%.4f\n", run->sizes->name, run->contender->name,
               run->contender->threads, run->repetition, asked, run->contender->held(), waste);
}

static double sum_of(const struct run *run)
{
    double sum = 0;

    for (unsigned i = 0; i < run->contender->threads; i++)
        sum += run->asked[i];
    return sum;
}

static void *work(void *member)
{
    struct run *run = ((struct member *)member)->run;
    unsigned thread = ((struct member *)member)->thread, threads = run->contender->threads;
    double *asked = &run->asked[thread];
    uint64_t state = 0x9e3779b97f4a7c15u + thread;

    for (size_t count = 0, point = 0; point < POINTS; count++) {
        size_t size = size_of(run->sizes, count, &state);
        void *at = run->contender->alloc(size);

        if (at == NULL)
            bench_die("%s: out of memory", run->contender->name);
        bench_keep(at);
        *asked += (double)round_up(size);
        if (threads == 1 && *asked >= FROM && *asked < TO)
            look(run, *asked, false);
        if (*asked * threads < points[point])
            continue;
        pthread_barrier_wait(&run->barrier);
        if (thread == 0)
            look(run, sum_of(run), true);
        pthread_barrier_wait(&run->barrier);
        point++;
    }
    return NULL;
}

static double measure(const struct contender *contender, const struct sizes *sizes,
                      const cpu_set_t *cpus, bool csv, unsigned repetition)
{
    struct run run = {.contender = contender, .sizes = sizes, .csv = csv, .repetition = repetition};
    harena_provider *provider = harena_provider_create(NULL);
    struct member members[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    pthread_attr_t attributes;

    if (provider == NULL)
        bench_die("cannot create a provider");
    contender->create(provider);
    pthread_barrier_init(&run.barrier, NULL, contender->threads);
    pthread_attr_init(&attributes);
    pthread_attr_setaffinity_np(&attributes, sizeof *cpus, cpus);
    for (unsigned i = 0; i < contender->threads; i++) {
        members[i] = (struct member){&run, i};
        if (i > 0 && pthread_create(&threads[i], &attributes, work, &members[i]) != 0)
            bench_die("cannot create a thread");
    }
    work(&members[0]);
    for (unsigned i = 1; i < contender->threads; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    pthread_barrier_destroy(&run.barrier);
    contender->release();
    if (harena_provider_destroy(provider) != 0)
        bench_die("%s: something is left", contender->name);
    return run.worst;
}

/* In a process of its own: what one has left behind is no other's. */
static double waste_of(const struct contender *contender, const struct sizes *sizes,
                       const cpu_set_t *cpus, bool csv, unsigned repetition)
{
    double waste;
    pid_t child;
    int ends[2];

    fflush(stdout);
    if (pipe(ends) != 0 || (child = fork()) < 0)
        bench_die("cannot make a process");
    if (child == 0) {
        waste = measure(contender, sizes, cpus, csv, repetition);
        fflush(stdout);
        _exit(write(ends[1], &waste, sizeof waste) == sizeof waste ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &waste, sizeof waste) != sizeof waste)
        bench_die("%s: no result", contender->name);
    close(ends[0]);
    waitpid(child, NULL, 0);
    return waste;
}

/* ---- the table ---- */

static void print_head(void)
{
    printf("\nheld beyond what was asked for, the worst from %.0f MiB on\n%-16s%7s", FROM / MIB, "",
           "bar");
    for (size_t c = 0; c < CONTENDERS; c++)
        printf("%9s%2u", contenders[c].name, contenders[c].threads);
    putchar('\n');
}

static void print_row(const struct sizes *sizes, const double *worst)
{
    bool holds = worst[0] <= sizes->bar && worst[1] <= sizes->bar;

    printf("%-16s%6.1f%%", sizes->name, 100 * sizes->bar);
    for (size_t c = 0; c < CONTENDERS; c++)
        printf("%10.2f%%", 100 * worst[c]);
    printf("  %s\n", holds ? "holds" : "MISSED");
}

int main(int argc, char **argv)
{
    struct bench_options options;
    double worst[CONTENDERS];
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof cpus, &cpus);
    bench_start(&options, argc, argv,
                "How much memory does an arena hold for what it was asked for?", 5);
    if (options.csv)
        puts("sizes,contender,threads,repetition,asked,held,waste");
    else
        print_head();
    for (size_t w = 0; w < WORKLOADS; w++) {
        memset(worst, 0, sizeof worst);
        for (unsigned repetition = 0; repetition < options.repetitions; repetition++) {
            for (size_t c = 0; c < CONTENDERS; c++) {
                double waste =
                    waste_of(&contenders[c], &workloads[w], &cpus, options.csv, repetition);

                if (waste > worst[c])
                    worst[c] = waste;
            }
        }
        if (!options.csv)
            print_row(&workloads[w], worst);
    }
    return 0;
}
