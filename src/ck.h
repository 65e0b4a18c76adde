/* SPDX-License-Identifier: BSD-2-Clause */
/* ConcurrencyKit's stack behind one interface. Layer 2.
 *
 * Two things are added. Order: CK's push on aarch64 orders stores only and its pop orders nothing after it, so a
 * release fence stands before the push and an acquire fence after the pop. Sight: CK is inline assembly, which
 * ThreadSanitizer and the models cannot see; a build for them gets the same algorithm in the compiler's atomics.
 *
 * Entries must stay mapped for as long as the stack is used: a pop reads the link of an entry that another thread may
 * just have popped (the generation count then fails its compare, so the stale link is never used). */
#ifndef HRI_CK_H
#define HRI_CK_H
#include "atomics.h"

/* CK counts in a pointer, from NULL: clang's -fsanitize=undefined would stop at its pop. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <ck_stack.h>
#ifdef __clang__
#pragma clang attribute pop
#endif

#if defined(__SANITIZE_THREAD__)
#define HRI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HRI_TSAN 1
#endif
#endif

typedef ck_stack_entry_t hri_stack_entry;

/* CK's pop compares 16 bytes at once and wants them aligned. */
typedef struct hri_stack {
    ck_stack_t stack __attribute__((aligned(16)));
} hri_stack;

/* No other thread may use the stack yet. */
static inline void hri_stack_init(hri_stack *s)
{
    ck_stack_init(&s->stack);
}

#if defined(HRI_TSAN) || defined(HARENA_MODEL)

static inline void hri_stack_push(hri_stack *s, hri_stack_entry *entry)
{
    hri_stack_entry *head = hri_load_relaxed(&s->stack.head);

    do
        hri_store_relaxed(&entry->next, head);
    while (!hri_cas_release(&s->stack.head, &head,
                            entry)); /* PAIR stack-1: acquired in hri_stack_pop */
}

static inline hri_stack_entry *hri_stack_pop(hri_stack *s)
{
    union {
        struct ck_stack stack;
        unsigned __int128 bits;
    } seen, next;

    /* PAIR stack-1: the count is read before the head. (No fence: ThreadSanitizer does not know them.) */
    seen.stack.generation = hri_load_acquire(&s->stack.generation);
    seen.stack.head =
        hri_load_acquire(&s->stack.head); /* PAIR stack-1: the link is read after the head */
    while (seen.stack.head != NULL) {
        next.stack.generation = seen.stack.generation + 1;
        next.stack.head = hri_load_relaxed(&seen.stack.head->next);
        /* PAIR stack-1: released in hri_stack_push */
        if (hri_cas_acq_rel((unsigned __int128 *)(void *)&s->stack, &seen.bits, next.bits))
            return seen.stack.head;
    }
    return NULL;
}

#else

static inline void hri_stack_push(hri_stack *s, hri_stack_entry *entry)
{
    HRI_COUNT_RMW();
    hri_fence_release(); /* PAIR stack-1: acquired in hri_stack_pop */
    ck_stack_push_mpmc(&s->stack, entry);
}

static inline hri_stack_entry *hri_stack_pop(hri_stack *s)
{
    hri_stack_entry *entry = NULL;

    HRI_COUNT_RMW();
    /* Not ck_stack_pop_mpmc: after a compare that failed it goes on with the pair that the compare has read, and on
     * aarch64 such a pair may be of two moments. This one loads both words afresh, the count first. */
    while (!ck_stack_trypop_mpmc(&s->stack, &entry) && hri_load_relaxed(&s->stack.head) != NULL)
        continue;
    hri_fence_acquire(); /* PAIR stack-1: released in hri_stack_push */
    return entry;
}

#endif
#endif
