/* SPDX-License-Identifier: BSD-2-Clause */
/* The allocation family, over whatever stands behind a window. Layer 5. */
#include "sanitizer.h"
#include "window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The inline paths, for callers that do not inline. */
extern inline void *harena_alloc(harena *a, size_t size);
extern inline void *harena_alloc_aligned(harena *a, size_t size, size_t alignment);

static HRI_COLD void *refuse(harena *a, int error)
{
    errno = error;
    if (a != NULL)
        a->ops->fail(a);
    return NULL;
}

static void *alloc(harena *a, size_t size, size_t alignment, bool zeroed)
{
    int saved = errno;
    void *at;

    if (a == NULL || !hri_is_power_of_two(alignment) || alignment > HRI_ALIGNMENT_MAX)
        return refuse(a, EINVAL);
    if (alignment < HRI_ALIGNMENT)
        alignment = HRI_ALIGNMENT;
    if (size == 0)
        return (void *)alignment; /* aligned, not NULL, and nobody's */
    if (size > PTRDIFF_MAX)
        return refuse(a, ENOMEM);
    at = a->ops->alloc(a, size, alignment, zeroed);
    if (at != NULL)
        errno = saved;
    return at;
}

void *harena_alloc_slow(harena *a, size_t size)
{
    return alloc(a, size, HRI_ALIGNMENT, false);
}

void *harena_alloc_aligned_slow(harena *a, size_t size, size_t alignment)
{
    return alloc(a, size, alignment, false);
}

void *harena_alloc_zeroed(harena *a, size_t size)
{
    return alloc(a, size, HRI_ALIGNMENT, true);
}

void *harena_alloc_aligned_zeroed(harena *a, size_t size, size_t alignment)
{
    return alloc(a, size, alignment, true);
}

void *harena_alloc_array(harena *a, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return refuse(a, a != NULL ? ENOMEM : EINVAL);
    return harena_alloc(a, bytes);
}

void *harena_alloc_array_aligned(harena *a, size_t count, size_t size, size_t alignment)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return refuse(a, a != NULL ? ENOMEM : EINVAL);
    return harena_alloc_aligned_slow(a, bytes, alignment);
}

/* ---- realloc ---- */

/* Moves the end of the window's last object. False: it is not the last, or there is no room. */
static bool resize_last(harena *a, char *old, size_t old_size, size_t new_size)
{
    char *end = old + hri_round_up(old_size, HRI_ALIGNMENT), *before = a->cursor;
    size_t most = hri_round_up(hri_max(old_size, new_size), HRI_ALIGNMENT);

    if (old_size == 0 || end != before || new_size > (size_t)(a->end - old) ||
        a->ops->is_boundary(a))
        return false;
    hri_show(old, most);
    hri_window_set_cursor(a, old + hri_round_up(new_size, HRI_ALIGNMENT));
    if (a->cursor < before)
        a->ops->moved_back(a, before, true);
    else if (a->limit != a->end)
        hri_store_relaxed(&a->limit, a->cursor); /* hidden: it stays empty */
    if (new_size > old_size && a->ops->zeroes(a))
        memset(old + old_size, 0,
               (size_t)(end - (old + old_size))); /* what lies behind is zero already */
    hri_show_object(old, new_size, most);
    return true;
}

void *harena_realloc(harena *a, void *old, size_t old_size, size_t new_size)
{
    void *at;

    if (a == NULL)
        return refuse(a, EINVAL);
    if (old == NULL || old_size == 0)
        return harena_alloc(a, new_size);
    if (new_size > PTRDIFF_MAX)
        return refuse(a, ENOMEM);
    if (resize_last(a, old, old_size, new_size))
        return old;
    if (new_size <= old_size) {
        hri_show_object(old, new_size, old_size);
        return old;
    }
    if (a->ops->grow(a, old, old_size, new_size))
        return old;
    at = harena_alloc(a, new_size);
    if (at != NULL)
        memcpy(at, old, old_size);
    return at;
}

/* ---- copies ---- */

void *harena_memdup(harena *a, const void *bytes, size_t size)
{
    void *at;

    if (a == NULL || (bytes == NULL && size != 0))
        return refuse(a, EINVAL);
    at = harena_alloc(a, size);
    if (at != NULL && size != 0)
        memcpy(at, bytes, size);
    return at;
}

void *harena_clone(const void *bytes, size_t size)
{
    void *at;

    if (bytes == NULL && size != 0) {
        errno = EINVAL;
        return NULL;
    }
    if (size > PTRDIFF_MAX) { /* no malloc gives that; some sanitizers' stop the program */
        errno = ENOMEM;
        return NULL;
    }
    at = malloc(hri_max(size, 1));
    if (at != NULL && size != 0)
        memcpy(at, bytes, size);
    return at;
}

static char *copy_text(harena *a, const char *text, size_t length)
{
    char *at = harena_alloc(a, length + 1);

    if (at == NULL)
        return NULL;
    memcpy(at, text, length);
    at[length] = '\0';
    return at;
}

char *harena_strndup(harena *a, const char *string, size_t max)
{
    if (a == NULL || string == NULL)
        return refuse(a, EINVAL);
    return copy_text(a, string, strnlen(string, max));
}

char *harena_strdup(harena *a, const char *string)
{
    if (a == NULL || string == NULL)
        return refuse(a, EINVAL);
    return copy_text(a, string, strlen(string));
}

/* ---- text ---- */

/* Formats into the rest of the window first: most text fits, and is formatted once. */
char *harena_vprintf(harena *a, const char *format, va_list args)
{
    int saved = errno, length;
    va_list again;
    size_t rest;
    char *at;

    if (a == NULL || format == NULL)
        return refuse(a, EINVAL);
    rest = (size_t)(a->limit - a->cursor);
    va_copy(again, args);
    length = vsnprintf(a->cursor, rest, format, again);
    va_end(again);
    if (length >= 0 && (size_t)length < rest) {
        errno = saved;
        return harena_alloc(a, (size_t)length + 1);
    }
    if (rest != 0)
        a->ops->moved_back(a, a->limit, false); /* what was cut off lies behind the cursor now */
    if (length < 0)
        return refuse(a, errno);
    at = harena_alloc(a, (size_t)length + 1);
    if (at != NULL) {
        vsnprintf(at, (size_t)length + 1, format, args);
        errno = saved;
    }
    return at;
}

char *harena_printf(harena *a, const char *format, ...)
{
    va_list args;
    char *at;

    va_start(args, format);
    at = harena_vprintf(a, format, args);
    va_end(args);
    return at;
}
