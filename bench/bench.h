/* SPDX-License-Identifier: BSD-2-Clause */
/* What the benchmarks share: a clock, seeded sizes, two threads that start together, order
 * statistics, options. Layer 9. */
#ifndef HARENA_BENCH_H
#define HARENA_BENCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define BENCH_THREADS_MAX 2
#define BENCH_SIZE_MIN    16
#define BENCH_SIZE_MAX    255

/* ---- clock ---- */

/* A point in time, in ticks. The fences keep what is timed from leaking out of its segment. */
static inline uint64_t bench_stamp(void)
{
#if defined(__x86_64__)
    uint64_t ticks;

    _mm_lfence();
    ticks = __rdtsc();
    _mm_lfence();
    return ticks;
#else
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

/* Nanoseconds between two stamps, less what the stamps themselves cost. */
double bench_ns(uint64_t from, uint64_t to);

/* Keeps what `pointer` points at alive: the compiler must have written it by now. */
static inline void bench_keep(const void *pointer)
{
    __asm__ volatile("" : : "r"(pointer) : "memory");
}

/* ---- options ---- */

struct bench_options {
    bool csv;             /* one line per repetition instead of tables */
    bool huge_pages;      /* the providers ask for huge pages */
    unsigned repetitions; /* samples of everything */
    unsigned threads;     /* how many threads this machine lets run at once, up to two */
};

/* Reads the command line, calibrates the clock and pins this thread; exits for --help and for what
 * it does not know. */
void bench_start(struct bench_options *options, int argc, char **argv, const char *question,
                 unsigned repetitions);

/* Prints a line and exits with 1: a result is wrong. Timings never decide the exit status. */
__attribute__((noreturn, cold, format(printf, 1, 2))) void bench_die(const char *format, ...);

/* ---- data ---- */

/* `count` sizes from 16 to 255, always the same ones; for free(). */
uint8_t *bench_sizes(size_t count);

/* What every benchmark writes into an object: 8 bytes that link to the object before, so that the
 * compiler can leave no store out and the objects can be counted afterwards. */
struct bench_node {
    struct bench_node *previous;
};

/* Follows the links and exits with a message unless there are `count` aligned objects. */
void bench_verify(const struct bench_node *last, size_t count, const char *what);

/* ---- threads ---- */

/* Runs `job(ctx, i)` on threads 0 to threads - 1 at once; the caller is thread 0. The others are
 * kept for the next call, pinned to CPUs of their own. */
void bench_team_run(unsigned threads, void (*job)(void *ctx, unsigned thread), void *ctx);

/* Inside a job: returns on all its threads at the same time. */
void bench_team_meet(void);

/* A pause in a loop that waits for another thread; lets others run when it takes long. */
void bench_relax(unsigned *tries);

/* ---- figures ---- */

struct bench_spread {
    double low, median, high; /* quartiles */
};

/* Sorts `values`. */
struct bench_spread bench_spread(double *values, size_t count);
double bench_median(double *values, size_t count);

/* The mean of `values` (ns) without those that something else interrupted: more than twice the
 * median and 100 ns. A mean, because a clock may tick in steps of 10 ns: means see between them,
 * medians do not. Sorts `values`. */
double bench_undisturbed(double *values, size_t count);

#endif
