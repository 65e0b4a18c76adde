/* SPDX-License-Identifier: BSD-2-Clause */
/* The explorer's threads: coroutines of one thread of the system, each with a stack and thread-local words of its own. */
#include "explorer.h"

#include "thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

enum { STACK = 65536 };

static void *explorer_stack_pointer;

#if defined(__x86_64__) && !defined(EXPLORE_UCONTEXT)

void model_switch(void **from, void *to);
__asm__(".text\n"
        ".globl model_switch\n"
        ".type model_switch, @function\n"
        "model_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size model_switch, .-model_switch\n");

static void *new_stack_pointer(char *stack, void (*entry)(void))
{
    void **top = (void **)(void *)(stack + STACK);

    *--top = NULL; /* keeps the stack aligned as after a call */
    *--top = (void *)(uintptr_t)entry;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    return top;
}

#else

#include <ucontext.h>

static ucontext_t contexts[ALL_THREADS + 1];

static void model_switch(void **from, void *to)
{
    int mine = 0;

    while (mine < ALL_THREADS && from != &explorer.threads[mine].stack_pointer)
        mine++;
    *from = &contexts[mine];
    swapcontext(&contexts[mine], to);
}

static void *new_stack_pointer(char *stack, void (*entry)(void))
{
    int thread = 0;

    while (explorer.threads[thread].stack != stack)
        thread++;
    getcontext(&contexts[thread]);
    contexts[thread].uc_stack.ss_sp = stack;
    contexts[thread].uc_stack.ss_size = STACK;
    contexts[thread].uc_link = NULL;
    makecontext(&contexts[thread], entry, 0);
    return &contexts[thread];
}

#endif

static void save_thread_locals(struct coroutine *c)
{
    c->identity = harena_thread_word;
    c->cleanups = hri_thread_cleanups;
    c->in_sections = hri_thread_sections;
    c->is_worker = hri_thread_is_worker;
    c->error = errno;
}

static void load_thread_locals(const struct coroutine *c)
{
    harena_thread_word = c->identity;
    hri_thread_cleanups = c->cleanups;
    hri_thread_sections = c->in_sections;
    hri_thread_is_worker = c->is_worker;
    errno = c->error;
}

void explorer_switch_to(int thread)
{
    int from = explorer.current;
    void **save = from == NOBODY ? &explorer_stack_pointer : &explorer.threads[from].stack_pointer;

    if (from != NOBODY)
        save_thread_locals(&explorer.threads[from]);
    if (thread != NOBODY)
        load_thread_locals(&explorer.threads[thread]);
    explorer.current = thread;
    model_switch(save, thread == NOBODY ? explorer_stack_pointer
                                        : explorer.threads[thread].stack_pointer);
}

void explorer_new_thread(int thread, uint32_t identity, void (*entry)(void))
{
    struct coroutine *c = &explorer.threads[thread];
    char *stack = c->stack != NULL ? c->stack : malloc(STACK);

    if (stack == NULL)
        abort();
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, STACK); /* frames that were left for good */
#endif
    *c = (struct coroutine){.stack = stack, .identity = identity, .exists = entry != NULL};
    if (entry != NULL)
        c->stack_pointer = new_stack_pointer(stack, entry);
}

/* What a compiler calls for 16 bytes; there is but one thread. */
bool compare_and_swap_16(void *at, void *expected, unsigned __int128 desired, int success,
                         int failure_order) __asm__("__atomic_compare_exchange_16");

bool compare_and_swap_16(void *at, void *expected, unsigned __int128 desired, int success,
                         int failure_order)
{
    bool equal = memcmp(at, expected, sizeof(desired)) == 0;

    (void)success, (void)failure_order;
    memcpy(equal ? at : expected, equal ? (void *)&desired : at, sizeof(desired));
    return equal;
}
