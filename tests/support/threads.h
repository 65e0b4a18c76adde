/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads for tests: started together, joined together; what fails in one is told to all. */
#ifndef TEST_SUPPORT_THREADS_H
#define TEST_SUPPORT_THREADS_H
#include "suite.h"
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

/* Check's assertions work in the test's own thread only. Others note what failed, the first one is
 * kept, and all loops that ask test_failed() end. */
static atomic_int test_failure_state; /* 0: none, 1: being written, 2: there */
static char test_failure_text[512];

static inline bool test_failed(void)
{
    return atomic_load_explicit(&test_failure_state, memory_order_acquire) != 0;
}

static inline __attribute__((format(printf, 3, 4))) void test_fail(const char *file, int line,
                                                                   const char *format, ...)
{
    va_list args;
    size_t used;
    int none = 0;

    if (!atomic_compare_exchange_strong(&test_failure_state, &none, 1))
        return;
    snprintf(test_failure_text, sizeof(test_failure_text), "%s:%d: ", file, line);
    used = strlen(test_failure_text);
    va_start(args, format);
    vsnprintf(test_failure_text + used, sizeof(test_failure_text) - used, format, args);
    va_end(args);
    atomic_store_explicit(&test_failure_state, 2, memory_order_release);
}

/* In any thread: true if the condition holds, else notes it. */
#define TEST_EXPECT(condition)                                                                     \
    ((condition) ? true : (test_fail(__FILE__, __LINE__, "%s", #condition), false))
/* The same, with a text as printf makes it. */
#define TEST_EXPECT_MSG(condition, ...)                                                            \
    ((condition) ? true : (test_fail(__FILE__, __LINE__, __VA_ARGS__), false))

/* In the test's own thread, when the others have ended: fails the test with the first note. */
#define TEST_NO_FAILURE()                                                                          \
    do {                                                                                           \
        if (test_failed())                                                                         \
            ck_abort_msg("%s", test_failure_text);                                                 \
    } while (0)

/* Gives the processor away until the condition holds or another thread has failed. Without a time
 * limit of its own: the test's limit is for that. */
#define TEST_AWAIT(condition)                                                                      \
    do {                                                                                           \
        while (!(condition) && !test_failed())                                                     \
            sched_yield();                                                                         \
    } while (0)

/* A counter's value, for assertions whose text is to be read. */
static inline unsigned test_count(atomic_uint *counter)
{
    return atomic_load(counter);
}

typedef void (*test_thread_fn)(void *ctx, unsigned index);

typedef struct test_thread {
    pthread_t id;
    test_thread_fn run;
    void *ctx;
    unsigned index;
    pthread_barrier_t *gate;
} test_thread;

static inline void *test_thread_start(void *arg)
{
    test_thread *thread = arg;

    if (thread->gate != NULL)
        pthread_barrier_wait(thread->gate);
    thread->run(thread->ctx, thread->index);
    return NULL;
}

/* One thread, now. */
static inline void test_spawn(test_thread *thread, test_thread_fn run, void *ctx, unsigned index)
{
    thread->run = run;
    thread->ctx = ctx;
    thread->index = index;
    thread->gate = NULL;
    ck_assert_int_eq(pthread_create(&thread->id, NULL, test_thread_start, thread), 0);
}

static inline void test_join(test_thread *thread)
{
    ck_assert_int_eq(pthread_join(thread->id, NULL), 0);
}

/* What a team does: `count` threads with run(ctx, index), indices from 0. */
typedef struct test_role {
    test_thread_fn run;
    unsigned count;
} test_role;

#define TEST_TEAM_MAX 64

/* Starts all threads of all roles at once, indices counted over all roles, and joins them. The
 * roles end with one without a function. Fails the test if a thread noted a failure. */
static inline void test_team(const test_role *roles, void *ctx)
{
    static test_thread threads[TEST_TEAM_MAX];
    pthread_barrier_t gate;
    unsigned count = 0, i;

    for (; roles->run != NULL; roles++)
        for (i = 0; i < roles->count; i++, count++) {
            ck_assert_uint_lt(count, TEST_TEAM_MAX);
            threads[count].run = roles->run;
            threads[count].ctx = ctx;
            threads[count].index = count;
            threads[count].gate = &gate;
        }
    ck_assert_int_eq(pthread_barrier_init(&gate, NULL, count), 0);
    for (i = 0; i < count; i++)
        ck_assert_int_eq(pthread_create(&threads[i].id, NULL, test_thread_start, &threads[i]), 0);
    for (i = 0; i < count; i++)
        test_join(&threads[i]);
    pthread_barrier_destroy(&gate);
    TEST_NO_FAILURE();
}

#endif
