/* SPDX-License-Identifier: BSD-2-Clause */
/* The allocation family of views, and the shorthands on the present one. Layer 6. */
#include "generation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern inline void *harena_shared_alloc(harena_shared *s, size_t size);

typedef void *alloc_fn(struct hri_generation *g, size_t size, size_t alignment, bool zeroed);

/* NULL view: EINVAL. */
static void *alloc(harena_view *view, alloc_fn *fn, size_t size, size_t alignment, bool zeroed)
{
    int saved = errno;
    struct hri_generation *g;
    void *at;

    if (view == NULL) {
        errno = EINVAL;
        return NULL;
    }
    g = hri_generation_of(view);
    if (!hri_is_power_of_two(alignment) || alignment > HRI_ALIGNMENT_MAX)
        return hri_generation_fail(g, EINVAL);
    alignment = hri_max(alignment, HRI_ALIGNMENT);
    if (g->state == HRI_LIVE && size == 0)
        return (void *)alignment; /* aligned, not NULL, and nobody's */
    if (size > PTRDIFF_MAX)
        return hri_generation_fail(g, g->state == HRI_CLOSED ? ESHUTDOWN : ENOMEM);
    at = fn(g, size, alignment, zeroed);
    if (at != NULL)
        errno = saved;
    return at;
}

/* ---- views ---- */

void *harena_view_alloc_slow(harena_view *view, size_t size)
{
    return alloc(view, hri_generation_alloc, size, HRI_ALIGNMENT, false);
}

void *harena_view_alloc_zeroed(harena_view *view, size_t size)
{
    return alloc(view, hri_generation_alloc, size, HRI_ALIGNMENT, true);
}

void *harena_view_alloc_aligned(harena_view *view, size_t size, size_t alignment)
{
    return alloc(view, hri_generation_alloc, size, alignment, false);
}

void *harena_view_alloc_atomic(harena_view *view, size_t size)
{
    return alloc(view, hri_generation_alloc_atomic, size, HRI_ALIGNMENT, false);
}

int harena_view_on_release(harena_view *view, harena_cleanup_fn fn, void *ctx)
{
    if (view == NULL || fn == NULL)
        return -EINVAL;
    return hri_generation_on_release(hri_generation_of(view), fn, ctx);
}

bool harena_view_contains(const harena_view *view, const void *any)
{
    return view != NULL && hri_generation_contains(hri_generation_of(view), any);
}

HARENA_ATOMIC_PTR *harena_view_root(harena_view *view)
{
    if (view == NULL || hri_generation_of(view)->state != HRI_LIVE)
        return NULL;
    return (HARENA_ATOMIC_PTR *)&hri_generation_of(view)->root;
}

/* ---- shorthands ---- */

/* NULL s: NULL, which every function on a view answers with EINVAL. */
static harena_view *present(harena_shared *s)
{
    return s != NULL ? hri_shared_present(s) : NULL;
}

void *harena_shared_alloc_slow(harena_shared *s, size_t size)
{
    return harena_view_alloc_slow(present(s), size);
}

void *harena_shared_alloc_zeroed(harena_shared *s, size_t size)
{
    return harena_view_alloc_zeroed(present(s), size);
}

void *harena_shared_alloc_aligned(harena_shared *s, size_t size, size_t alignment)
{
    return harena_view_alloc_aligned(present(s), size, alignment);
}

void *harena_shared_alloc_atomic(harena_shared *s, size_t size)
{
    return harena_view_alloc_atomic(present(s), size);
}

void *harena_shared_alloc_array(harena_shared *s, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX; /* refused as any size that is too large */
    return harena_shared_alloc(s, bytes);
}

/* Bad arguments: a failure of the present generation, as any. */
static void *refuse(harena_shared *s)
{
    if (s != NULL)
        return hri_generation_fail(hri_generation_of(hri_shared_present(s)), EINVAL);
    errno = EINVAL;
    return NULL;
}

void *harena_shared_memdup(harena_shared *s, const void *bytes, size_t size)
{
    void *at;

    if (s == NULL || (bytes == NULL && size != 0))
        return refuse(s);
    at = harena_shared_alloc(s, size);
    if (at != NULL && size != 0)
        memcpy(at, bytes, size);
    return at;
}

char *harena_shared_strdup(harena_shared *s, const char *string)
{
    return string != NULL ? harena_shared_memdup(s, string, strlen(string) + 1) : refuse(s);
}

char *harena_shared_printf(harena_shared *s, const char *format, ...)
{
    va_list args;
    char *at;

    if (s == NULL)
        return refuse(s);
    va_start(args, format);
    at = harena_vprintf(harena_view_lane(hri_shared_present(s)), format, args);
    va_end(args);
    return at;
}

int harena_shared_on_release(harena_shared *s, harena_cleanup_fn fn, void *ctx)
{
    return harena_view_on_release(present(s), fn, ctx);
}
