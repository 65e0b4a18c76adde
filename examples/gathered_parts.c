/* SPDX-License-Identifier: BSD-2-Clause */
/* Work done in parts by several threads, each with an arena of its own, and gathered into one arena without a copy. A part
 * that is complete forgets the cleanup that would have told of it; what outlives the arena goes to the heap. */
#include <harena.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 4, NUMBERS = 10000 };

struct part {
    pthread_t thread;
    harena *arena;
    int number, *list;
    size_t count;
};

static void tell_incomplete(void *ctx)
{
    const struct part *part = ctx;

    printf("part %d was given up at %zu numbers\n", part->number, part->count);
}

/* The list is the newest object of its arena, so it grows where it is. The last part stops half way. */
static void *make(void *ctx)
{
    struct part *part = ctx;
    size_t wanted = part->number == PARTS - 1 ? NUMBERS / 2 : NUMBERS;

    if (harena_on_release(part->arena, tell_incomplete, part) != 0)
        return NULL;
    for (; part->count < wanted; part->count++) {
        size_t bytes = part->count * sizeof(int);
        int *list = harena_realloc(part->arena, part->list, bytes, bytes + sizeof(int));

        if (list == NULL)
            return NULL;
        list[part->count] = part->number;
        part->list = list;
    }
    if (part->count == NUMBERS)
        harena_forget(part->arena, tell_incomplete, part);
    return NULL;
}

/* As a library would whose callers cannot hand it an arena. */
static const char *report(const struct part *parts)
{
    long long sum = 0;
    size_t count = 0;

    for (int i = 0; i < PARTS; i++) {
        count += parts[i].count;
        for (size_t at = 0; at < parts[i].count; at++)
            sum += parts[i].list[at];
    }
    return harena_printf(harena_current(), "%zu numbers, sum %lld", count, sum);
}

int main(void)
{
    struct part parts[PARTS] = {0};
    harena *whole = harena_create(NULL);
    const char *text;
    char *kept;

    for (int i = 0; i < PARTS; i++) {
        parts[i].number = i;
        parts[i].arena = harena_create(NULL);
        if (pthread_create(&parts[i].thread, NULL, make, &parts[i]) != 0)
            return 1;
    }
    for (int i = 0; i < PARTS; i++) {
        pthread_join(parts[i].thread, NULL); /* from here on the part is this thread's */
        if (harena_absorb(whole, parts[i].arena) != 0)
            return 1;
    }
    harena_current_set(whole);
    text = report(parts);
    harena_current_set(NULL);
    kept = text != NULL ? harena_clone(text, strlen(text) + 1) : NULL;
    harena_release(whole); /* all parts go, and the cleanups that are left run */
    if (kept == NULL)
        return 1;
    puts(kept);
    free(kept);
    return 0;
}
