/* SPDX-License-Identifier: BSD-2-Clause */
/* Seeded random numbers for tests: one seed a run, printed, and repeated with HARENA_TEST_SEED. */
#ifndef TEST_SUPPORT_RNG_H
#define TEST_SUPPORT_RNG_H
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef struct test_rng {
    uint64_t state;
} test_rng;

static inline uint64_t test_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The seed of this run. test_main asks for it first, so that Check's forked children inherit it. */
static inline uint64_t test_seed(void)
{
    static uint64_t seed;
    const char *text;
    struct timespec now;

    if (seed == 0) {
        text = getenv("HARENA_TEST_SEED");
        if (text != NULL && *text != '\0') {
            seed = strtoull(text, NULL, 0);
        } else {
            clock_gettime(CLOCK_REALTIME, &now);
            seed = test_mix((uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^
                            (uint64_t)getpid() << 50) >>
                   32; /* short, to be typed again */
        }
        seed += seed == 0;
        printf("HARENA_TEST_SEED=%llu repeats this run's random choices\n",
               (unsigned long long)seed);
        fflush(stdout);
    }
    return seed;
}

/* A stream of its own for each `stream` number, the same in each run with the same seed. */
static inline test_rng test_rng_for(uint64_t stream)
{
    return (test_rng){test_mix(test_seed() + stream * 0x9e3779b97f4a7c15u)};
}

static inline uint64_t test_random(test_rng *rng)
{
    return test_mix(rng->state += 0x9e3779b97f4a7c15u);
}

/* 0 to n - 1; n > 0. */
static inline uint64_t test_below(test_rng *rng, uint64_t n)
{
    return test_random(rng) % n;
}

static inline uint64_t test_between(test_rng *rng, uint64_t low, uint64_t high)
{
    return low + test_below(rng, high - low + 1);
}

/* True once in n times. */
static inline int test_once_in(test_rng *rng, uint64_t n)
{
    return test_below(rng, n) == 0;
}

#endif
