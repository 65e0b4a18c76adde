/* SPDX-License-Identifier: BSD-2-Clause */
/* Stamps for tests: fills an object with bytes that only it has, and finds the first that changed.
 */
#ifndef TEST_SUPPORT_STAMP_H
#define TEST_SUPPORT_STAMP_H
#include "rng.h"
#include <stdbool.h>
#include <string.h>

/* Every stamp in a test has a number of its own: who wrote it, and which of its objects it is. */
static inline uint64_t test_stamp(unsigned owner, uint64_t serial)
{
    return (uint64_t)owner << 48 ^ serial;
}

/* `at` is a multiple of 8. What is right for a size is right for each smaller one. */
static inline void test_stamp_fill(void *at, size_t size, uint64_t stamp)
{
    uint64_t word = test_mix(stamp + 1);
    uint64_t *words = at;
    size_t i;

    for (i = 0; i < size / 8; i++, word += 0x9e3779b97f4a7c15u)
        words[i] = word;
    if (size % 8 != 0)
        memcpy(&words[i], &word, size % 8);
}

static inline bool test_stamp_intact(const void *at, size_t size, uint64_t stamp)
{
    uint64_t word = test_mix(stamp + 1);
    const uint64_t *words = at;
    size_t i;

    for (i = 0; i < size / 8; i++, word += 0x9e3779b97f4a7c15u)
        if (words[i] != word)
            return false;
    return size % 8 == 0 || memcmp(&words[i], &word, size % 8) == 0;
}

/* `at` is a multiple of 8. */
static inline bool test_all_zero(const void *at, size_t size)
{
    const uint64_t *words = at, none = 0;
    size_t i;

    for (i = 0; i < size / 8; i++)
        if (words[i] != 0)
            return false;
    return size % 8 == 0 || memcmp(&words[i], &none, size % 8) == 0;
}

#endif
