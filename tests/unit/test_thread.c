/* SPDX-License-Identifier: BSD-2-Clause */
/* Thread identity: given at first use, unique among the living, reused after the dead. */
#include "unit.h"

#include "ck.h"
#include "thread.h"

#include <sys/wait.h>

START_TEST(unknown_until_asked_then_for_good)
{
    uint32_t word;

    ck_assert_uint_eq(harena_thread_word, HRI_THREAD_UNKNOWN);
    word = hri_thread_word();
    ck_assert_uint_ne(word, HRI_THREAD_UNKNOWN);
    ck_assert(word < HRI_THREAD_FREE);
    ck_assert_uint_eq(harena_thread_word, word);
    ck_assert_uint_lt(hri_thread_index(), HRI_THREAD_MAX);
    ck_assert_uint_eq(hri_thread_cleanups, 0);
}
END_TEST

static void *ask(void *unused)
{
    (void)unused;
    return (void *)(uintptr_t)hri_thread_word();
}

START_TEST(the_dead_threads_number_is_reused)
{
    uint32_t mine = hri_thread_word(), first = (uint32_t)(uintptr_t)on_another_thread(ask, NULL);

    ck_assert_uint_ne(first, mine);
    for (int round = 0; round < 200; round++)
        ck_assert_uint_eq((uint32_t)(uintptr_t)on_another_thread(ask, NULL), first);
}
END_TEST

static pthread_key_t key;
static uint32_t met;

static void meet(void *unused)
{
    (void)unused;
    met = hri_thread_word();
}

static void *meet_at_the_end(void *unused)
{
    (void)unused;
    ck_assert_int_eq(pthread_setspecific(key, &met), 0);
    return NULL;
}

/* The library's own destructor has had its first round by then: its key is the older one. */
START_TEST(a_number_taken_in_a_destructor_comes_back)
{
    uint32_t first = (uint32_t)(uintptr_t)on_another_thread(ask, NULL);

    ck_assert_int_eq(pthread_key_create(&key, meet), 0);
    for (int round = 0; round < 5; round++) {
        met = HRI_THREAD_UNKNOWN;
        on_another_thread(meet_at_the_end, NULL);
        ck_assert_uint_eq(met, first);
    }
    ck_assert_int_eq(pthread_key_delete(key), 0);
}
END_TEST

enum { LIVING = 40 };
static pthread_barrier_t all_there;

static void *ask_together(void *word)
{
    *(uint32_t *)word = hri_thread_word();
    pthread_barrier_wait(&all_there);
    return NULL;
}

START_TEST(the_living_have_numbers_of_their_own)
{
    pthread_t threads[LIVING];
    uint32_t words[LIVING];

    ck_assert_int_eq(pthread_barrier_init(&all_there, NULL, LIVING), 0);
    for (int at = 0; at < LIVING; at++)
        ck_assert_int_eq(pthread_create(&threads[at], NULL, ask_together, &words[at]), 0);
    for (int at = 0; at < LIVING; at++)
        pthread_join(threads[at], NULL);
    for (int at = 0; at < LIVING; at++) {
        EXPECT(words[at] != HRI_THREAD_UNKNOWN && words[at] < HRI_THREAD_FREE);
        for (int other = 0; other < at; other++)
            EXPECT(words[at] != words[other]);
    }
    pthread_barrier_destroy(&all_there);
}
END_TEST

START_TEST(a_child_process_is_somebody_else)
{
    uint32_t before = hri_thread_word(), forks = hri_thread_forks();
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(hri_thread_word() == before || hri_thread_forks() != forks + 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(hri_thread_word(), before);
    ck_assert_uint_eq(hri_thread_forks(), forks);
}
END_TEST

/* ThreadSanitizer does not allow it if the process had several; Valgrind counts what the other threads had as lost. */
static bool may_the_child_have_threads(void)
{
#ifdef HRI_TSAN
    return false;
#else
    return !under_valgrind();
#endif
}

static pid_t forked = -1;

static void fork_at_the_end(void)
{
    forked = fork();
    if (forked == 0)
        hri_thread_word();
}

/* After the library's own destructor, which has the last round but one. */
static void look_at_the_living(void *round)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    uint32_t words[THREADS];

    if ((uintptr_t)round < PTHREAD_DESTRUCTOR_ITERATIONS) {
        pthread_setspecific(key, (void *)((uintptr_t)round + 1));
        return;
    }
    if (forked != 0)
        return;
    pthread_barrier_init(&all_there, NULL, THREADS);
    for (int at = 0; at < THREADS; at++)
        if (pthread_create(&threads[at], NULL, ask_together, &words[at]) != 0)
            _exit(2);
    for (int at = 0; at < THREADS; at++)
        pthread_join(threads[at], NULL);
    _exit(words[0] == words[1] || words[0] == words[2] || words[1] == words[2]);
}

static void *end_with_a_fork(void *unused)
{
    (void)unused;
    hri_thread_word();
    ck_assert_int_eq(pthread_setspecific(key, (void *)1), 0);
    return NULL;
}

/* As a cleanup of a scratch arena may at its thread's end: what ends in the child is the child's number. */
START_TEST(a_thread_that_forks_at_its_end_gives_one_number_back)
{
    int status;

    if (!may_the_child_have_threads())
        return;
    hri_thread_word();
    ck_assert_int_eq(pthread_key_create(&key, look_at_the_living), 0);
    hri_thread_at_exit(fork_at_the_end);
    on_another_thread(end_with_a_fork, NULL);
    ck_assert_int_gt(forked, 0);
    ck_assert_int_eq(waitpid(forked, &status, 0), forked);
    ck_assert_int_eq(status, 0);
}
END_TEST

RUN_TESTS("thread", unknown_until_asked_then_for_good, the_dead_threads_number_is_reused,
          a_number_taken_in_a_destructor_comes_back, the_living_have_numbers_of_their_own,
          a_child_process_is_somebody_else, a_thread_that_forks_at_its_end_gives_one_number_back)
