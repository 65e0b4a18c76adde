/* SPDX-License-Identifier: BSD-2-Clause */
/* src/thread.c itself, with a door to its state and to its destructor for the models. */
#include "thread.c"

#include "world.h"

void world_remember_identities(void)
{
    numbered = 0;
    hri_stack_init(&free_identities);
    explore_memory(identities, 16 * sizeof(identities[0]));
    explore_memory(&free_identities, sizeof(free_identities));
    explore_memory(&numbered, sizeof(numbered));
    explore_same(&free_identities, sizeof(free_identities), 16);
}

void world_remember_forks(void)
{
    forks = 0;
    explore_memory(&forks, sizeof(forks));
}

/* Identities are kept: what a word says of forks matters to lanes only. */
void world_fork(void)
{
    forks++;
}

void world_thread_ends(void (*between)(void))
{
    for (uintptr_t round = 1; round < LAST_ROUND; round++) {
        at_thread_exit((void *)round);
        if (between != NULL)
            between();
    }
    at_thread_exit((void *)(uintptr_t)LAST_ROUND);
}

uint32_t world_numbers(uint32_t *free_numbers)
{
    *free_numbers = 0;
    for (const hri_stack_entry *at = free_identities.stack.head; at != NULL && *free_numbers < 64;
         at = at->next)
        ++*free_numbers;
    return numbered;
}
