/* SPDX-License-Identifier: BSD-2-Clause */
/* Thread identity: a small number for each live thread, reused when it ends. Layer 2. */
#ifndef HRI_THREAD_H
#define HRI_THREAD_H
#include "atomics.h"

/* This thread's identity (declared in <harena/shared.h> too, for the inline paths): bits 6 to 21 a
 * number from 1, so that a mask makes it the distance of a lane in bytes; the other bits how often
 * the process has forked to get here. Other values: */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
HARENA_API extern __thread uint32_t harena_thread_word __attribute__((tls_model("initial-exec")));
#pragma GCC diagnostic pop
#define HRI_THREAD_UNKNOWN 0u          /* has not met the library yet */
#define HRI_THREAD_FREE    0xfffffffdu /* owner of a lane that no thread has claimed */
#define HRI_THREAD_NOBODY  0xfffffffeu /* owner of a lane that no thread may have */
#define HRI_THREAD_GONE    0xffffffffu /* late in its destructors, or no number was to be had */

/* Live threads with an identity at once; those beyond allocate by fetch-add. */
#define HRI_THREAD_MAX 32768

/* This thread's identity, taken at the first call; HRI_THREAD_GONE: none. */
uint32_t hri_thread_identify(void);

static inline uint32_t hri_thread_word(void)
{
    uint32_t word = harena_thread_word;

    return HRI_LIKELY(word != HRI_THREAD_UNKNOWN) ? word : hri_thread_identify();
}

/* The number in a word, from 1. */
static inline uint32_t hri_thread_number(uint32_t word)
{
    return word >> 6 & 0xffff;
}

/* The identity's number, from 0; HRI_THREAD_MAX for a thread without one. */
static inline uint32_t hri_thread_index(void)
{
    uint32_t word = hri_thread_word();

    return word != HRI_THREAD_GONE ? hri_thread_number(word) - 1 : HRI_THREAD_MAX;
}

/* Calls `fn` at the end of each thread that has met the library, while the thread still has its identity. Set once, when
 * the library is loaded. */
void hri_thread_at_exit(void (*fn)(void));

/* How often the process has forked to get here. */
uint32_t hri_thread_forks(void);

/* How deep this thread stands in cleanups that run for a reclaim, reset or release. */
extern __thread uint32_t hri_thread_cleanups __attribute__((tls_model("initial-exec")));

/* How deep this thread stands in read sections that the library has opened, of any flavour. */
extern __thread uint32_t hri_thread_sections __attribute__((tls_model("initial-exec")));

/* Whether it is a worker of call_rcu's, which must not wait for callbacks: known once it has called the library back. */
extern __thread bool hri_thread_is_worker __attribute__((tls_model("initial-exec")));

#endif
