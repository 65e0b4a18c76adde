/* SPDX-License-Identifier: BSD-2-Clause */
/* How a single-owner arena is made, emptied, released, asked. Layer 5. */
#include "arena.h"

#include "sanitizer.h"
#include "trace.h"

#include <errno.h>
#include <string.h>

/* The caller's memory is used from a multiple of 16 to a multiple of 16. */
enum { FIXED_SLACK = 2 * 16 };

static __thread harena *current __attribute__((tls_model("initial-exec")));

/* ---- create ---- */

bool hri_arena_options_valid(const harena_options *o, uint32_t *modes)
{
    if (o->size != sizeof(*o))
        return false;
    if (o->alignment != 0 &&
        (!hri_is_power_of_two(o->alignment) || o->alignment > HRI_ALIGNMENT_MAX))
        return false;
    if ((o->first == NULL) != (o->first_size == 0) || o->first_size > PTRDIFF_MAX ||
        (o->retain_none && o->retain != 0))
        return false;
    return hri_debug_modes(o->debug, modes);
}

static void init(struct hri_arena *a, const harena_options *o, uint32_t modes)
{
    memset(a, 0, offsetof(struct hri_arena, idle));
    a->window.ops = &hri_arena_ops;
    a->alignment = hri_max(o->alignment, HRI_ALIGNMENT);
    a->hidden = a->alignment > HRI_ALIGNMENT || hri_sanitizer_is_on();
    a->zero = o->zero;
    a->debug = modes;
    a->how = "reset";
    a->limit = o->limit != 0 ? o->limit : UINT64_MAX;
    a->window.cursor = a->opened = a->medium_opened = a->medium.cursor = HRI_NOWHERE;
    hri_copy_name(a->name, o->name, "arena");
}

static void use_own_memory(struct hri_arena *a, char *from, char *end)
{
    a->own_memory = hri_align_pointer(from, HRI_ALIGNMENT);
    a->own_end = a->own_memory;
    if (end > a->own_memory)
        a->own_end += hri_round_down((size_t)(end - a->own_memory), HRI_ALIGNMENT);
    a->own_dirty = a->own_end;
    a->held += (uint64_t)(a->own_end - a->own_memory);
    if (__builtin_add_overflow(a->limit, (uint64_t)(a->own_end - a->own_memory), &a->limit))
        a->limit = UINT64_MAX; /* the limit is about chunks and runs alone */
}

harena *hri_arena_create(const harena_options *o, uint32_t modes)
{
    harena_provider *p;
    struct hri_arena *a;
    int saved = errno;

    p = hri_provider_or_default(o->provider);
    if (p == NULL)
        return NULL;
    a = hri_slab_get_kind(&p->slab, HRI_SLAB_ARENA, sizeof(*a));
    if (a == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    init(a, o, modes);
    a->provider = p;
    a->rcu = o->rcu != NULL ? o->rcu : p->rcu;
    a->sums = hri_names_find(&p->names, a->name);
    if (o->initial != 0 && !hri_arena_take_initial(a, o->initial)) {
        hri_name_failed(a->sums);
        hri_slab_put_kind(&p->slab, HRI_SLAB_ARENA, a, sizeof(*a));
        return NULL;
    }
    a->retain = o->retain != 0 ? o->retain : hri_max(a->held, HRI_CHUNK);
    if (o->retain_none)
        a->retain = 0;
    if (o->first != NULL)
        use_own_memory(a, o->first, (char *)o->first + o->first_size);
    hri_arena_close_windows(a);
    hri_arena_open_first(a);
    hri_fetch_add_relaxed(&p->live, 1); /* relaxed: a figure, asked when quiet */
    hri_name_made(a->sums);
    errno = saved;
    return &a->window;
}

harena *harena_create(const harena_options *options)
{
    static const harena_options defaults = HARENA_OPTIONS_INIT;
    const harena_options *o = options != NULL ? options : &defaults;
    uint32_t modes;

    if (HRI_LIKELY(hri_arena_options_valid(o, &modes)))
        return hri_arena_create(o, modes);
    errno = EINVAL;
    return NULL;
}

size_t harena_fixed_overhead(void)
{
    return hri_round_up(sizeof(struct hri_arena), HRI_ALIGNMENT) + FIXED_SLACK;
}

harena *harena_create_fixed(void *memory, size_t bytes, const harena_options *options)
{
    static const harena_options defaults = HARENA_OPTIONS_INIT;
    const harena_options *o = options != NULL ? options : &defaults;
    size_t skipped = -(uintptr_t)memory & (HRI_ALIGNMENT - 1);
    struct hri_arena *a;
    uint32_t modes;

    if (memory == NULL || bytes > PTRDIFF_MAX || !hri_arena_options_valid(o, &modes) ||
        o->limit != 0 || o->initial != 0 || o->first != NULL || bytes < skipped + sizeof(*a)) {
        errno = EINVAL;
        return NULL;
    }
    hri_show(memory, bytes); /* an arena may have been here that was never released */
    a = (struct hri_arena *)(void *)((char *)memory + skipped);
    init(a, o, modes);
    a->fixed = true;
    a->provider = o->provider;
    use_own_memory(a, (char *)(a + 1), (char *)memory + bytes);
    hri_arena_close_windows(a);
    hri_arena_open_first(a);
    return &a->window;
}

/* ---- release ---- */

void hri_arena_leave_home(struct hri_arena *a)
{
    struct hri_arena_home *home = hri_load_relaxed(&a->home);

    if (HRI_LIKELY(home == NULL))
        return;
    hri_store_relaxed(&a->home, NULL); /* relaxed: the owner's; read by a wrong give as well */
    home->left(home);
}

void hri_arena_put_record(struct hri_arena *a)
{
    if (hri_arena_is_guarded(a))
        hri_arena_guard_record(a);
    else if (!a->fixed)
        hri_slab_put_kind(&a->provider->slab, HRI_SLAB_ARENA, a, sizeof(*a));
}

/* Everything back; the record last. */
static void release(struct hri_arena *a)
{
    hri_arena_leave_home(a);
    hri_arena_run_cleanups(a, NULL, "is being released");
    HRI_TRACE("release arena=%s len=%zu held=%zu", a->name, hri_arena_len(a), (size_t)a->held);
    a->retain = 0;
    hri_arena_note_how(a, "release");
    hri_arena_empty(a, 0);
    hri_show(a->own_memory, (size_t)(a->own_end - a->own_memory));
    if (!a->fixed) {
        hri_name_ended(a->sums);
        hri_fetch_sub_relaxed(&a->provider->live, 1); /* relaxed: a figure */
    }
    hri_arena_put_record(a);
}

void harena_release(harena *window)
{
    if (hri_arena_is_own(window, "harena_release"))
        release(hri_arena_of(window));
}

void hri_arena_release(struct hri_arena *a)
{
    if (hri_arena_is_guarded(a))
        hri_arena_guard_unlock(a);
    release(a);
}

static void reclaim(struct hri_retired *item)
{
    hri_arena_release(HRI_CONTAINER(item, struct hri_arena, retired));
}

static bool has_cleanups(struct hri_retired *item)
{
    return HRI_CONTAINER(item, struct hri_arena, retired)->cleanups != NULL;
}

void hri_arena_retire(struct hri_arena *a, struct hri_domain *domain)
{
    hri_arena_leave_home(a);
    if (hri_arena_is_guarded(a))
        hri_arena_guard_lock(a, "was released already");
    a->retired = (struct hri_retired){
        .reclaim = reclaim,
        .bytes = a->held,
        .has_cleanups = has_cleanups,
        .record = sizeof(*a),
    };
    hri_retire(domain, &a->retired, a->name);
}

void harena_release_rcu(harena *window)
{
    struct hri_domain *domain;
    struct hri_arena *a;

    if (!hri_arena_is_own(window, "harena_release_rcu"))
        return;
    a = hri_arena_of(window);
    if (!hri_arena_can_retire(window)) {
        if (a->provider != NULL)
            hri_provider_event(
                a->provider, HARENA_EVENT_MISUSE, 0, 0, a->name,
                "harena_release_rcu: the arena holds the caller's memory; released now");
        release(a);
        return;
    }
    domain = hri_domain_get(a->provider, a->rcu);
    if (domain != NULL)
        hri_arena_retire(a, domain);
    else
        hri_provider_event(a->provider, HARENA_EVENT_OS_ERROR, ENOMEM, a->held, a->name,
                           "harena_release_rcu: no record for the flavour; the arena stays");
}

/* ---- operations behind the window ---- */

static void arena_fail(harena *window)
{
    struct hri_arena *a = hri_arena_of(window);

    a->failed = true;
    hri_counter_add(&a->failures, 1);
    hri_name_failed(a->sums);
}

static void arena_moved_back(harena *window, char *from, bool counted)
{
    struct hri_arena *a = hri_arena_of(window);
    uint64_t len;

    if (window->cursor < a->opened) { /* the object began before the arena went back to its end */
        hri_counter_add(&a->closed, (uint64_t)(window->cursor - a->opened));
        hri_store_relaxed(&a->opened, window->cursor);
    }
    len = hri_arena_len(a) + (uint64_t)(from - window->cursor);
    if (counted && len > hri_load_relaxed(&a->peak))
        hri_store_relaxed(&a->peak, len);
    if (a->hidden)
        hri_store_relaxed(&window->limit, window->cursor);
    if (a->zero)
        memset(window->cursor, 0, (size_t)(from - window->cursor));
    else if (from > a->dirty)
        a->dirty = from;
}

static bool arena_is_boundary(const harena *window)
{
    const struct hri_arena *a = hri_arena_of(window);
    const char *start =
        a->extent != 0 ? hri_chunk_address(a->provider, a->extent - 1) : a->own_memory;

    /* What ends where the window's memory begins is of another chunk or run. */
    return window->cursor == start || hri_arena_is_boundary(a, window->cursor);
}

static bool arena_zeroes(const harena *window)
{
    return hri_arena_of(window)->zero;
}

static int arena_on_release(harena *window, harena_cleanup_fn fn, void *ctx)
{
    struct hri_arena *a = hri_arena_of(window);
    struct hri_cleanup *cleanup = harena_alloc(window, sizeof(*cleanup));

    if (cleanup == NULL)
        return -ENOMEM;
    *cleanup = (struct hri_cleanup){a->cleanups, fn, ctx};
    if (a->cleanups == NULL)
        a->oldest_cleanup = cleanup;
    a->cleanups = cleanup;
    return 0;
}

static bool arena_forget(harena *window, harena_cleanup_fn fn, void *ctx)
{
    struct hri_arena *a = hri_arena_of(window);

    return hri_cleanup_forget(&a->cleanups, fn, ctx, hri_arena_has_boundary(a));
}

static bool list_contains(const struct hri_arena *a, uint32_t list, const void *any)
{
    for (; list != 0; list = hri_load_relaxed(&hri_provider_extent(a->provider, list - 1)->next))
        if (hri_run_contains(a->provider, list - 1, any))
            return true;
    return false;
}

static bool arena_contains(const harena *window, const void *any)
{
    const struct hri_arena *a = hri_arena_of(window);
    uintptr_t at = (uintptr_t)any;

    if (a->own_memory != NULL && at >= (uintptr_t)a->own_memory && at < (uintptr_t)a->own_end)
        return true;
    if (a->fixed || !harena_provider_owns(a->provider, any))
        return false;
    return list_contains(a, a->extents.newest, any) ||
           list_contains(a, a->spare_chunks.newest, any) ||
           list_contains(a, a->spare_runs.newest, any);
}

static bool arena_failed(const harena *window)
{
    return hri_arena_of(window)->failed;
}

static void arena_clear_failed(harena *window)
{
    hri_arena_of(window)->failed = false;
}

static void arena_stats(const harena *window, harena_stats *stats)
{
    const struct hri_arena *a = hri_arena_of(window);

    stats->len = hri_arena_len(a);
    stats->cap = hri_load_relaxed(&a->held);
    stats->peak = hri_max(hri_load_relaxed(&a->peak), stats->len);
    stats->chunks = hri_load_relaxed(&a->chunks);
    stats->runs = hri_load_relaxed(&a->runs);
    stats->resets = hri_load_relaxed(&a->resets);
    stats->failures = hri_load_relaxed(&a->failures);
}

#define OPS(is_own)                                                                                \
    {                                                                                              \
        .alloc = hri_arena_alloc, .fail = arena_fail, .moved_back = arena_moved_back,              \
        .grow = hri_arena_grow, .is_boundary = arena_is_boundary, .zeroes = arena_zeroes,          \
        .on_release = arena_on_release, .forget = arena_forget, .contains = arena_contains,        \
        .failed = arena_failed, .clear_failed = arena_clear_failed, .stats = arena_stats,          \
        .has_marks = true, .own = (is_own),                                                        \
    }

const struct harena_ops hri_arena_ops = OPS(true);
const struct harena_ops hri_arena_cleaning_ops = OPS(false);
const struct harena_ops hri_arena_scratch_ops = OPS(false);

/* ---- the rest of the public surface ---- */

int harena_on_release(harena *a, harena_cleanup_fn fn, void *ctx)
{
    if (a == NULL || fn == NULL)
        return -EINVAL;
    return a->ops->on_release(a, fn, ctx);
}

bool harena_forget(harena *a, harena_cleanup_fn fn, void *ctx)
{
    return a != NULL && a->ops->forget(a, fn, ctx);
}

bool harena_contains(const harena *a, const void *any)
{
    return a != NULL && a->ops->contains(a, any);
}

void harena_stats_get(const harena *a, harena_stats *stats)
{
    harena_stats all = {0};

    if (stats == NULL || stats->size == 0)
        return;
    if (a != NULL) /* relaxed: the owner may be changing them for others with the same figures */
        hri_load_relaxed(&a->ops)->stats(a, &all);
    all.size = stats->size;
    memcpy(stats, &all, hri_min(stats->size, sizeof(all)));
}

static harena_stats stats_of(const harena *a)
{
    harena_stats stats = {.size = sizeof(stats)};

    harena_stats_get(a, &stats);
    return stats;
}

size_t harena_len(const harena *a)
{
    return stats_of(a).len;
}

size_t harena_cap(const harena *a)
{
    return stats_of(a).cap;
}

size_t harena_peak(const harena *a)
{
    return stats_of(a).peak;
}

bool harena_failed(const harena *a)
{
    return a == NULL || a->ops->failed(a);
}

void harena_clear_failed(harena *a)
{
    if (a != NULL)
        a->ops->clear_failed(a);
}

harena *harena_current(void)
{
    return current;
}

harena *harena_current_set(harena *a)
{
    harena *before = current;

    current = a;
    return before;
}
