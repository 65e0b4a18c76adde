/* SPDX-License-Identifier: BSD-2-Clause */
/* Thread identity on ConcurrencyKit's stack. Layer 2.
 *
 * An identity is a number that at most one live thread has. Lanes and counters are indexed by it, so whoever gets a
 * number gets what its last holder left there, in order:
 *
 *   the old holder's last access -> release in hri_stack_push -> acquire in hri_stack_pop -> the new holder's first
 *
 * (PAIR stack-1.) That one edge orders all lanes of all arenas at once.
 *
 * A thread gives its number back in the last round but one of its thread-specific destructors, so that destructors of
 * others may allocate before; one that runs even later sees HRI_THREAD_GONE and allocates by fetch-add. Nothing says
 * which round it is, so who meets the library for the first time in a destructor of the first round, after ours, has the
 * last one for that. One that does so even later loses its number, of 32,768, for the life of the process.
 *
 * fork: the child has one thread. It forgets all identities and counts the fork in the word, so that no lane of a
 * thread that is not there any more is ever continued, whatever state it was in. */
#include "thread.h"

#include "ck.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

__thread uint32_t harena_thread_word;
__thread uint32_t hri_thread_cleanups;
__thread uint32_t hri_thread_sections;
__thread bool hri_thread_is_worker;

/* Of a thread's destructors, from the first one with an identity. ThreadSanitizer gives up its own record of the thread
 * in the very last one that there is: an atomic access after that would crash it. */
#ifdef HRI_TSAN
enum { LAST_ROUND = PTHREAD_DESTRUCTOR_ITERATIONS - 2 };
#else
enum { LAST_ROUND = PTHREAD_DESTRUCTOR_ITERATIONS - 1 };
#endif

static hri_stack_entry
    identities[HRI_THREAD_MAX]; /* never unmapped, so a late pop may read a link */
static hri_stack free_identities;
static uint32_t numbered; /* atomic; identities[0, numbered) have been in use */
static uint32_t forks;    /* written in the child of a fork only, when it has one thread */
static pthread_key_t exit_key;
static bool have_key; /* atomic */
static void (*at_exit_of_thread)(void); /* written at load */

static void give(uint32_t word)
{
    hri_stack_push(&free_identities, &identities[hri_thread_number(word) - 1]);
}

/* Runs once per round of destructors: `round` rounds have been waited for. */
static void at_thread_exit(void *round)
{
    uintptr_t rounds = (uintptr_t)round;
    uint32_t word;

    if (rounds < LAST_ROUND && pthread_setspecific(exit_key, (void *)(rounds + 1)) == 0)
        return;
    if (at_exit_of_thread != NULL)
        at_exit_of_thread();
    word = harena_thread_word; /* now: in a child that a cleanup has forked it is another */
    harena_thread_word = HRI_THREAD_GONE;
    if (word != HRI_THREAD_UNKNOWN && word != HRI_THREAD_GONE)
        give(word);
}

static void in_forked_child(void)
{
    forks++;
    numbered = 0;
    hri_stack_init(&free_identities);
    harena_thread_word = HRI_THREAD_UNKNOWN;
    hri_thread_is_worker = false; /* the child has workers of its own */
}

__attribute__((constructor)) static void at_load(void)
{
    /* PAIR key-1: RCU's worker may be there already, because of a constructor that came first */
    hri_store_release(&have_key, pthread_key_create(&exit_key, at_thread_exit) == 0);
    pthread_atfork(NULL, NULL, in_forked_child);
}

static uint32_t take(void)
{
    hri_stack_entry *entry = hri_stack_pop(&free_identities);
    uint32_t number = hri_load_relaxed(&numbered);

    if (entry != NULL)
        return (uint32_t)(entry - identities) + 1;
    do {
        if (number == HRI_THREAD_MAX)
            return 0;
    } while (!hri_cas_relaxed(&numbered, &number,
                              number + 1)); /* relaxed: a new number has no past to order */
    return number + 1;
}

uint32_t hri_thread_identify(void)
{
    int saved = errno;
    uint32_t number, word = HRI_THREAD_GONE;

    if (!hri_load_acquire(&have_key)) /* PAIR key-1 */
        return HRI_THREAD_GONE; /* before the library's constructor: ask again next time */
    if (pthread_setspecific(exit_key, (void *)1) == 0) {
        number = take();
        if (number != 0)
            word = (forks & 0xffc0) << 16 | number << 6 | (forks & 0x3f);
    }
    harena_thread_word = word;
    errno = saved;
    return word;
}

void hri_thread_at_exit(void (*fn)(void))
{
    at_exit_of_thread = fn;
}

uint32_t hri_thread_forks(void)
{
    return forks;
}
