/* SPDX-License-Identifier: BSD-2-Clause */
/* How a test program runs: how much work it does, how long it may take, its main(). */
#ifndef TEST_SUPPORT_SUITE_H
#define TEST_SUPPORT_SUITE_H
#include "rng.h"
#include <check.h>
#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
#define TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#endif
#endif
#ifndef TEST_TSAN
#define TEST_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif
#ifndef TEST_ASAN
#define TEST_ASAN 0
#endif

#if TEST_TSAN
/* Each test is a process that ends here and now: nothing is gained by a second of waiting. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "atexit_sleep_ms=0";
}
#endif

/* How many times the usual work: HARENA_TEST_SCALE, else 10 in the long tier, else 1. */
static inline unsigned test_scale(void)
{
    const char *text = getenv("HARENA_TEST_SCALE");

    if (text != NULL && atoi(text) > 0)
        return (unsigned)atoi(text);
    text = getenv("HARENA_LONG");
    return text != NULL && atoi(text) > 0 ? 10 : 1;
}

/* `usual` rounds, times the scale; fewer under ThreadSanitizer, which is some ten times slower. */
static inline unsigned test_rounds(unsigned usual)
{
    unsigned rounds = usual * test_scale() / (TEST_TSAN ? 8 : 1);

    return rounds > 0 ? rounds : 1;
}

/* A case whose tests hang only if they fail: the time limit is far from what they need. */
static inline TCase *test_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);

    tcase_set_timeout(tests, 60.0 * test_scale() * (TEST_TSAN ? 4 : 1));
    suite_add_tcase(suite, tests);
    return tests;
}

/* Runs the suite, each test in a process of its own unless CK_FORK=no; what main() returns. No
 * thread and no RCU before this: Check forks. */
static inline int test_main(Suite *suite)
{
    SRunner *runner;
    int failed;

    test_seed();
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
