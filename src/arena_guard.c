/* SPDX-License-Identifier: BSD-2-Clause */
/* What is left of a guarded arena when it was released, absorbed, published, or given to its pool: a record that tells of
 * further calls. Layer 5. */
#include "arena.h"
#include "guard.h"

#include <errno.h>

static void misused(const harena *window, const char *call)
{
    const struct hri_arena *a = hri_arena_of(window);

    hri_guard_misuse(a->provider, a->name, call, a->state, hri_arena_is_guarded(a));
}

static void *released_alloc(harena *a, size_t size, size_t alignment, bool zeroed)
{
    (void)size, (void)alignment, (void)zeroed;
    misused(a, "allocation");
    errno = EINVAL;
    return NULL;
}

static void released_fail(harena *a)
{
    misused(a, "allocation");
}

static void released_moved_back(harena *a, char *from, bool counted)
{
    (void)a, (void)from, (void)counted;
}

static bool released_grow(harena *a, char *old, size_t old_size, size_t new_size)
{
    (void)a, (void)old, (void)old_size, (void)new_size;
    return false; /* an allocation follows */
}

static bool released_is_boundary(const harena *a)
{
    (void)a;
    return true;
}

static bool released_zeroes(const harena *a)
{
    (void)a;
    return false;
}

static int released_on_release(harena *a, harena_cleanup_fn fn, void *ctx)
{
    (void)fn, (void)ctx;
    misused(a, "harena_on_release");
    return -EINVAL;
}

static bool released_forget(harena *a, harena_cleanup_fn fn, void *ctx)
{
    (void)fn, (void)ctx;
    misused(a, "harena_forget");
    return false;
}

/* Readers may still ask for its figures, if it is retired. */
static bool released_contains(const harena *a, const void *any)
{
    return hri_arena_ops.contains(a, any);
}

static bool released_failed(const harena *a)
{
    (void)a;
    return true;
}

static void released_clear_failed(harena *a)
{
    misused(a, "harena_clear_failed");
}

static void released_stats(const harena *a, harena_stats *stats)
{
    hri_arena_ops.stats(a, stats);
}

static const struct harena_ops released_ops = {
    .alloc = released_alloc,
    .fail = released_fail,
    .moved_back = released_moved_back,
    .grow = released_grow,
    .is_boundary = released_is_boundary,
    .zeroes = released_zeroes,
    .on_release = released_on_release,
    .forget = released_forget,
    .contains = released_contains,
    .failed = released_failed,
    .clear_failed = released_clear_failed,
    .stats = released_stats,
    .own = false,
    .has_marks = false,
};

bool hri_arena_not_own(harena *a, const char *call)
{
    if (a->ops != &released_ops && a->ops != &hri_arena_cleaning_ops)
        return false;
    misused(a, call);
    return true;
}

void hri_arena_guard_lock(struct hri_arena *a, const char *state)
{
    a->state = state;
    hri_store_relaxed(&a->window.ops, &released_ops);      /* relaxed: figures may be asked for */
    hri_store_relaxed(&a->window.limit, a->window.cursor); /* nothing is served inline */
}

void hri_arena_guard_unlock(struct hri_arena *a)
{
    hri_store_relaxed(&a->window.ops, &hri_arena_ops); /* relaxed: as above */
    hri_store_relaxed(&a->window.limit, a->hidden ? a->window.cursor : a->window.end);
}

void hri_arena_guard_record(struct hri_arena *a)
{
    struct hri_arena *oldest;

    hri_arena_guard_lock(a, "was released already");
    if (a->fixed)
        return; /* its record is the caller's memory */
    oldest = hri_guard_keep(a->provider, HRI_GUARD_ARENA, a);
    if (oldest != NULL)
        hri_slab_put_kind(&a->provider->slab, HRI_SLAB_ARENA, oldest, sizeof(*oldest));
}
