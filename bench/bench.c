/* SPDX-License-Identifier: BSD-2-Clause */
/* What the benchmarks share: see bench.h. Layer 9. */
#define _GNU_SOURCE /* CPU sets */
#include "bench.h"

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct bench_spread bench_spread(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return (struct bench_spread){.low = values[count / 4],
                                 .median = values[count / 2],
                                 .high = values[count - 1 - count / 4]};
}

double bench_median(double *values, size_t count)
{
    return bench_spread(values, count).median;
}

double bench_undisturbed(double *values, size_t count)
{
    double limit = 2 * bench_median(values, count) + 100, sum = 0;
    size_t kept = 0;

    while (kept < count && values[kept] <= limit)
        sum += values[kept++];
    return sum / (double)kept;
}

/* ---- clock ---- */

static double ns_per_tick = 1;
static double stamp_cost; /* ticks between two stamps with nothing in between */

double bench_ns(uint64_t from, uint64_t to)
{
    return ((double)(to - from) - stamp_cost) * ns_per_tick;
}

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void calibrate(void)
{
    double costs[4001];
    uint64_t ticks, from = nanoseconds(), to;
    size_t i;

    for (i = 0; i < sizeof costs / sizeof *costs; i++) {
        ticks = bench_stamp();
        costs[i] = (double)(bench_stamp() - ticks);
    }
    stamp_cost = bench_undisturbed(costs, sizeof costs / sizeof *costs);

    from = nanoseconds();
    ticks = bench_stamp();
    do
        to = nanoseconds();
    while (to - from < 20000000);
    ns_per_tick = (double)(to - from) / (double)(bench_stamp() - ticks);
}

/* ---- threads ---- */

static struct {
    /* What all poll and the last to arrive writes. */
    __attribute__((aligned(128))) unsigned round;
    uint64_t start; /* stamp at which all go on */
    __attribute__((aligned(128))) unsigned arrived;
    __attribute__((aligned(128))) unsigned threads; /* of the job under way */
    void (*job)(void *ctx, unsigned thread);
    void *ctx;
    sem_t posted;  /* what idle helpers sleep on: they must not disturb who measures alone */
    unsigned done; /* helpers that have finished the job */
    unsigned helpers;
    bool pinned;
} team;

void bench_relax(unsigned *tries)
{
    if (++*tries % 4096 == 0)
        sched_yield();
#if defined(__x86_64__)
    else
        _mm_pause();
#endif
}

void bench_team_meet(void)
{
    unsigned tries = 0, round = __atomic_load_n(&team.round, __ATOMIC_RELAXED);

    if (team.threads == 1)
        return;
    if (__atomic_add_fetch(&team.arrived, 1, __ATOMIC_ACQ_REL) == team.threads) {
        __atomic_store_n(&team.arrived, 0, __ATOMIC_RELAXED);
        /* Far enough ahead for all to see it: they start within a few ns of each other. */
        team.start = bench_stamp() + (uint64_t)(500 / ns_per_tick);
        __atomic_store_n(&team.round, round + 1, __ATOMIC_RELEASE);
    } else {
        while (__atomic_load_n(&team.round, __ATOMIC_ACQUIRE) == round)
            bench_relax(&tries);
    }
    while (bench_stamp() < team.start)
        ;
}

/* Pins the calling thread to the number'th CPU that it may use; false if there are not so many. */
static bool pin(const cpu_set_t *allowed, unsigned number)
{
    cpu_set_t one;
    int cpu;

    for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, allowed) && number-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            return sched_setaffinity(0, sizeof one, &one) == 0;
        }
    }
    return false;
}

static cpu_set_t allowed_cpus;

static void *help(void *number)
{
    unsigned thread = (unsigned)(uintptr_t)number;

    if (team.pinned)
        pin(&allowed_cpus, thread);
    for (;;) {
        while (sem_wait(&team.posted) != 0)
            ;
        team.job(team.ctx, thread);
        __atomic_add_fetch(&team.done, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

void bench_team_run(unsigned threads, void (*job)(void *ctx, unsigned thread), void *ctx)
{
    pthread_t helper;
    unsigned tries = 0;

    team.threads = threads;
    if (threads == 1) {
        job(ctx, 0);
        return;
    }
    if (team.helpers == 0)
        sem_init(&team.posted, 0, 0);
    for (; team.helpers < threads - 1; team.helpers++) {
        if (pthread_create(&helper, NULL, help, (void *)(uintptr_t)(team.helpers + 1)) != 0)
            bench_die("cannot create a thread");
        pthread_detach(helper);
    }
    team.job = job;
    team.ctx = ctx;
    __atomic_store_n(&team.done, 0, __ATOMIC_RELAXED);
    sem_post(&team.posted); /* one helper: BENCH_THREADS_MAX is 2 */
    job(ctx, 0);
    while (__atomic_load_n(&team.done, __ATOMIC_ACQUIRE) != team.helpers)
        bench_relax(&tries);
}

/* ---- data ---- */

uint8_t *bench_sizes(size_t count)
{
    uint64_t state = 0x9e3779b97f4a7c15u; /* xorshift64: the same on every machine */
    uint8_t *sizes = malloc(count);
    size_t i;

    if (sizes == NULL)
        bench_die("out of memory");
    for (i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sizes[i] =
            (uint8_t)(BENCH_SIZE_MIN + (state >> 33) % (BENCH_SIZE_MAX - BENCH_SIZE_MIN + 1));
    }
    return sizes;
}

void bench_verify(const struct bench_node *last, size_t count, const char *what)
{
    size_t found = 0;

    for (; last != NULL && found <= count; last = last->previous) {
        if ((uintptr_t)last % 16 != 0)
            bench_die("%s: object %p is not aligned", what, (const void *)last);
        found++;
    }
    if (found != count)
        bench_die("%s: %zu objects found, %zu allocated", what, found, count);
}

/* ---- options ---- */

static __attribute__((noreturn)) void usage(int status, const char *program, const char *question)
{
    fprintf(status == 0 ? stdout : stderr,
            "usage: %s [--csv] [--repetitions N] [--quick] [--huge-pages] [--no-pin]\n"
            "%s\n"
            "  --csv            one line per repetition, for scripts\n"
            "  --repetitions N  samples of everything, interleaved\n"
            "  --quick          three repetitions: shows that it runs, not how fast\n"
            "  --huge-pages     ask the kernel for huge pages\n"
            "  --no-pin         let threads move between CPUs\n",
            program, question);
    exit(status);
}

void bench_start(struct bench_options *options, int argc, char **argv, const char *question,
                 unsigned repetitions)
{
    static const struct option names[] = {
        {"csv", no_argument, NULL, 'c'},
        {"repetitions", required_argument, NULL, 'r'},
        {"quick", no_argument, NULL, 'q'},
        {"huge-pages", no_argument, NULL, 'u'},
        {"no-pin", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int name;

    memset(options, 0, sizeof *options);
    options->repetitions = repetitions;
    team.pinned = true;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'c':
            options->csv = true;
            break;
        case 'r':
            options->repetitions = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'q':
            options->repetitions = 3;
            break;
        case 'u':
            options->huge_pages = true;
            break;
        case 'p':
            team.pinned = false;
            break;
        case 'h':
            usage(0, argv[0], question);
        default:
            usage(2, argv[0], question);
        }
    }
    if (optind != argc || options->repetitions == 0)
        usage(2, argv[0], question);

    team.threads = 1;
    CPU_ZERO(&allowed_cpus);
    sched_getaffinity(0, sizeof allowed_cpus, &allowed_cpus);
    options->threads = CPU_COUNT(&allowed_cpus) < BENCH_THREADS_MAX
                           ? (unsigned)CPU_COUNT(&allowed_cpus)
                           : BENCH_THREADS_MAX;
    if (team.pinned)
        team.pinned = pin(&allowed_cpus, 0);
    calibrate();
#ifndef __OPTIMIZE__
    fputs("bench: compiled without optimisation: the figures mean nothing\n", stderr);
#endif
    if (!options->csv)
        printf("%s\nmedian [quartiles] of %u interleaved repetitions; a stamp costs %.0f ns, "
               "subtracted; threads %s\n",
               question, options->repetitions, stamp_cost * ns_per_tick,
               team.pinned ? "pinned" : "not pinned");
}
