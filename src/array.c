/* SPDX-License-Identifier: BSD-2-Clause */
/* Growable arrays on an arena: what the typed macros call. Layer 7. */
#include "base.h"

#include <errno.h>
#include <harena/array.h>
#include <string.h>

enum {
    FIRST = 8,        /* elements of the first room */
    DOUBLE_UPTO = 256 /* elements to which the room doubles; from there on it grows by a quarter */
};

/* Every array looks like this but for the type of its items; read and written by memcpy, because of that type. */
struct array {
    void *items;
    size_t len, cap;
};

static size_t next_cap(size_t cap)
{
    if (cap == 0)
        return FIRST;
    return cap < DOUBLE_UPTO ? 2 * cap : cap + cap / 4;
}

/* The old items and room for `cap` in all. NULL: refused. */
static void *move(harena *a, const struct array *old, size_t cap, size_t size, size_t alignment)
{
    size_t bytes;
    void *items;

    if (__builtin_mul_overflow(cap, size, &bytes))
        bytes = SIZE_MAX; /* refused by the arena, whose failure it is */
    if (alignment <= HRI_ALIGNMENT)
        return harena_realloc(a, old->items, old->cap * size, bytes);
    items = harena_alloc_aligned(a, bytes, alignment);
    if (items != NULL && old->len != 0)
        memcpy(items, old->items, old->len * size);
    return items;
}

bool harena_array_grow(harena *a, void *array, size_t count, size_t size, size_t alignment)
{
    struct array grown;
    size_t needed, cap;
    int saved = errno;
    bool had_failed;
    void *items;

    memcpy(&grown, array, sizeof(grown));
    if (a == NULL) {
        errno = EINVAL;
        return false;
    }
    if (__builtin_add_overflow(grown.len, count, &needed))
        needed = SIZE_MAX; /* refused by the arena, as below */
    if (needed <= grown.cap)
        return true;
    cap = hri_max(needed, next_cap(grown.cap));
    had_failed = harena_failed(a);
    while ((items = move(a, &grown, cap, size, alignment)) == NULL && cap > needed)
        cap = needed + (cap - needed) / 4; /* less to spare, or none */
    if (items == NULL)
        return false;
    if (!had_failed)
        harena_clear_failed(a); /* in the end it has not */
    errno = saved;
    grown.items = items;
    grown.cap = cap;
    memcpy(array, &grown, sizeof(grown));
    return true;
}

bool harena_array_add(harena *a, void *array, const void *elements, size_t count, size_t size,
                      size_t alignment)
{
    struct array grown;

    if (HRI_UNLIKELY(elements == NULL && count != 0)) {
        errno = EINVAL;
        return false;
    }
    /* What lay in the array itself is still there when it has moved: an arena takes nothing back. */
    if (!harena_array_grow(a, array, count, size, alignment))
        return false;
    if (count == 0)
        return true;
    memcpy(&grown, array, sizeof(grown));
    memmove((char *)grown.items + grown.len * size, elements, count * size);
    grown.len += count;
    memcpy(array, &grown, sizeof(grown));
    return true;
}
