/* SPDX-License-Identifier: BSD-2-Clause */
/* The model's memory: put back before each run; which accesses are points, and which of them conflict. */
#include "explorer.h"

#include <stdlib.h>
#include <string.h>

enum { AREAS = 32 };

static struct area {
    char *at;
    size_t bytes;
    void *copy;
    int group;
} areas[AREAS], ignored[AREAS], same[AREAS];
static int area_count, ignored_count, same_count;

/* ---- what a step touches ---- */

static const struct area *area_of(const struct area *of, int count, const volatile void *at)
{
    for (int i = 0; i < count; i++)
        if ((uintptr_t)at - (uintptr_t)of[i].at < of[i].bytes)
            return &of[i];
    return NULL;
}

uintptr_t explorer_object_of(const volatile void *at)
{
    const struct area *group = area_of(same, same_count, at);

    if (group != NULL)
        return OBJECT_GROUPS + (uintptr_t)group->group;
    return (uintptr_t)at; /* no two accesses overlap that begin elsewhere, but in a stack */
}

bool explorer_is_ignored(const volatile void *at)
{
    return area_of(ignored, ignored_count, at) != NULL;
}

/* ---- memory ---- */

static void remember(struct area *list, int *count, const void *at, size_t bytes, int group)
{
    if (*count == AREAS)
        abort();
    list[(*count)++] = (struct area){(char *)(uintptr_t)at, bytes, NULL, group};
}

void explore_memory(void *at, size_t bytes)
{
    remember(areas, &area_count, at, bytes, 0);
}

void explore_ignore(const void *at, size_t bytes)
{
    remember(ignored, &ignored_count, at, bytes, 0);
}

void explore_same(const void *at, size_t bytes, int group)
{
    remember(same, &same_count, at, bytes, group);
}

void explorer_save_memory(void)
{
    for (int i = 0; i < area_count; i++) {
        areas[i].copy = malloc(areas[i].bytes);
        if (areas[i].copy == NULL)
            abort();
        memcpy(areas[i].copy, areas[i].at, areas[i].bytes);
    }
}

void explorer_restore_memory(void)
{
    for (int i = 0; i < area_count; i++)
        memcpy(areas[i].at, areas[i].copy, areas[i].bytes);
}

void explorer_forget_memory(void)
{
    for (int i = 0; i < area_count; i++)
        free(areas[i].copy);
    area_count = ignored_count = same_count = 0;
}
