/* SPDX-License-Identifier: BSD-2-Clause */
/* Many threads allocate from one arena at the same time, without a lock, and hand over what they made. */
#include <harena.h>
#include <pthread.h>
#include <stdio.h>

enum { WRITERS = 10, NUMBERS = 20000 };

static harena_shared *shared;

struct number {
    struct number *next;
    int value;
};

/* A list of this thread's numbers; NULL: no memory. Nobody resets meanwhile: no view is needed. */
static void *write_numbers(void *id)
{
    struct number *list = NULL, *number;

    for (int i = 0; i < NUMBERS; i++) {
        number = harena_shared_new(shared, struct number);
        if (number == NULL)
            return NULL;
        *number = (struct number){.next = list, .value = *(int *)id * 100};
        list = number;
    }
    return list;
}

int main(void)
{
    pthread_t threads[WRITERS];
    int ids[WRITERS], wrong = 0;
    size_t count = 0;
    void *list;

    shared = harena_shared_create(NULL);
    for (int i = 0; i < WRITERS; i++) {
        ids[i] = i;
        if (shared == NULL || pthread_create(&threads[i], NULL, write_numbers, &ids[i]) != 0)
            return 1;
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], &list); /* orders what the thread wrote before what is read here */
        for (struct number *at = list; at != NULL; at = at->next, count++)
            wrong += at->value != i * 100;
    }
    printf("%zu numbers of %d threads, %d wrong\n", count, WRITERS, wrong);
    printf("handed out: %s\n", harena_shared_len(shared) >= count * sizeof(struct number) &&
                                       harena_shared_len(shared) <= harena_shared_cap(shared)
                                   ? "at least what was asked for, no more than is held"
                                   : "?");
    harena_shared_release_now(shared); /* alone again: back at once */
    return wrong != 0 || count != (size_t)WRITERS * NUMBERS;
}
