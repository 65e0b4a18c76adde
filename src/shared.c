/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared arena: which generation is the present one, and who may replace it. Layer 6.
 *
 * `present` is the one word that says it; everything else is reached from the generation, never by a second load.
 *
 *            enter, alloc: CAS             reset: CAS, retire what it removed
 *   EMPTY ------------------> generation ------------------> EMPTY
 *     |                           |
 *     +---- close, release: exchange, retire what it removed ----> CLOSED (for good)
 *
 * 1. A generation is installed by the CAS EMPTY -> G only, so at most one thread installs, and never into CLOSED.
 * 2. A generation is retired by who removed it: a CAS or an exchange removes a value once, so once.
 * 3. Who loads G in a read section may use it until the section ends: it is retired after it was removed, and
 *    reclaimed after all sections that began before have ended (PAIR generation-1).
 * 4. A reset that is suspended between its load and its CAS may find the same address again, a later generation of the
 *    same arena: it then resets that one, which is what it was asked for. No harm comes of ABA here.
 * 5. Reset, close and release take nothing and wait for nobody. */
#include "generation.h"
#include "debug.h"
#include "guard.h"
#include "probe.h"
#include "thread.h"
#include "trace.h"

#include <errno.h>
#include <string.h>

enum { LANES = 64, LANES_MOST = 1024 };

/* A guarded arena's end. What is left of one that is gone is a record without a generation, that tells of calls. */
enum { LIVES, RELEASED, GONE };

struct shared {
    harena_shared present; /* first: a harena_shared * is a struct shared *; atomic */
    harena_provider *provider;
    struct hri_domain *domain;
    struct hri_generation_options generations;
    uint64_t peak, resets, failures; /* atomic; figures; failures of generations that are retired */
    struct hri_retired retired;
    uint32_t end; /* atomic; for guard: how far it has come */
    char name[HRI_NAME_SIZE];
    uint32_t homes[]; /* atomic; hints, one a lane */
};

static size_t record_size(uint32_t lanes)
{
    return sizeof(struct shared) + lanes * sizeof(uint32_t);
}

static struct shared *shared_of(const harena_shared *s)
{
    return HRI_CONTAINER(s, struct shared, present);
}

/* ---- create ---- */

static bool valid(const harena_shared_options *o, uint32_t *modes)
{
    if (o->size != sizeof(*o))
        return false;
    if (o->alignment != 0 &&
        (!hri_is_power_of_two(o->alignment) || o->alignment > HRI_ALIGNMENT_MAX))
        return false;
    if (o->lanes > LANES_MOST || (o->no_lanes && o->lanes != 0))
        return false;
    return hri_debug_modes(o->debug, modes);
}

static uint32_t power_of_two_from(uint32_t n)
{
    uint32_t power = 1;

    while (power < n)
        power *= 2;
    return power;
}

static uint32_t lanes_of(const harena_shared_options *o)
{
    if (o->no_lanes)
        return 1;
    return o->lanes != 0 ? power_of_two_from(o->lanes) : LANES;
}

harena_shared *harena_shared_create(const harena_shared_options *options)
{
    static const harena_shared_options defaults = {.size = sizeof(defaults)};
    const harena_shared_options *o = options != NULL ? options : &defaults;
    harena_provider *p;
    struct hri_domain *domain;
    struct shared *s;
    int saved = errno;
    uint32_t modes;

    if (!valid(o, &modes)) {
        errno = EINVAL;
        return NULL;
    }
    p = hri_provider_or_default(o->provider);
    domain = p != NULL ? hri_domain_get(p, o->rcu) : NULL;
    s = domain != NULL ? hri_slab_get(&p->slab, record_size(lanes_of(o))) : NULL;
    if (s == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    s->provider = p;
    s->domain = domain;
    hri_copy_name(s->name, o->name, "shared");
    s->generations = (struct hri_generation_options){
        .provider = p,
        .name = s->name,
        .sums = hri_names_find(&p->names, s->name),
        .limit = o->limit != 0 ? o->limit : UINT64_MAX,
        .alignment = hri_max(o->alignment, HRI_ALIGNMENT),
        .lanes = lanes_of(o),
        .no_lanes = o->no_lanes,
        .zero = o->zero,
        .debug = modes,
        .homes = s->homes,
    };
    for (uint32_t i = 0; i < s->generations.lanes; i++)
        hri_store_relaxed(&s->homes[i], 0);
    hri_store_relaxed(&s->peak, 0);
    hri_store_relaxed(&s->resets, 0);
    hri_store_relaxed(&s->failures, 0);
    hri_store_relaxed(&s->end, LIVES);
    hri_store_release(&s->present.generation, hri_view_empty); /* PAIR generation-1 */
    hri_fetch_add_relaxed(&p->live, 1);                        /* relaxed: a figure */
    hri_name_made(s->generations.sums);
    errno = saved;
    return &s->present;
}

/* ---- guard ---- */

static bool is_guarded(const struct shared *s)
{
    return HRI_UNLIKELY((s->generations.debug & HRI_DEBUG_GUARD) != 0);
}

/* Tells of it. */
static bool is_gone(const struct shared *s, const char *call)
{
    if (hri_load_relaxed(&s->end) != GONE) /* relaxed: a bug, found if it can be */
        return false;
    hri_guard_misuse(s->provider, s->name, call, "was released already", true);
    return true;
}

/* Whether it was released before, which is told of; if not, it is now. */
static bool is_released_again(struct shared *s, const char *call)
{
    uint32_t lives = LIVES;

    if (!is_guarded(s) ||
        hri_cas_relaxed(&s->end, &lives, RELEASED)) /* relaxed: one is the first */
        return false;
    hri_guard_misuse(s->provider, s->name, call, "was released already", true);
    return true;
}

/* Who finds it empty looks whether it is gone: so nobody else has to. */
static void guard_record(struct shared *s)
{
    struct shared *oldest;

    hri_store_relaxed(&s->end, GONE);
    hri_store_release(&s->present.generation, hri_view_empty); /* PAIR generation-1 */
    oldest = hri_guard_keep(s->provider, HRI_GUARD_SHARED, s);
    if (oldest != NULL)
        hri_slab_put(&s->provider->slab, oldest, record_size(oldest->generations.lanes));
}

/* ---- the present generation ---- */

/* A fresh generation in place of none. What another thread installed first will do as well. */
static HRI_COLD harena_view *install(struct shared *s)
{
    harena_view *seen = hri_view_empty;
    struct hri_generation *mine;
    int saved = errno;

    if (is_gone(s, "harena_shared_enter or allocation"))
        return hri_view_closed;
    mine = hri_generation_create(&s->generations);
    if (mine == NULL) {
        seen = hri_load_acquire(&s->present.generation); /* PAIR generation-1 */
        if (seen == hri_view_empty)
            return hri_view_no_memory;
    } else if (hri_cas_acq_rel(&s->present.generation, &seen,
                               &mine->view)) { /* PAIR generation-1 */
        return &mine->view;
    } else {
        hri_generation_destroy(mine);
    }
    errno = saved; /* another thread's will do */
    return seen;
}

harena_view *hri_shared_present(harena_shared *shared)
{
    struct shared *s = shared_of(shared);
    harena_view *view = hri_load_acquire(
        &s->present.generation); /* PAIR generation-1: installed by another thread */

    while (HRI_UNLIKELY(view == hri_view_empty))
        view = install(s);
    return view;
}

harena_view *harena_shared_enter(harena_shared *s)
{
    if (s == NULL)
        return hri_view_closed;
    hri_rcu_enter(hri_domain_flavor(shared_of(s)->domain));
    return hri_shared_present(s);
}

void harena_shared_leave(harena_shared *s, harena_view *view)
{
    (void)view;
    if (s != NULL)
        hri_rcu_leave(hri_domain_flavor(shared_of(s)->domain));
}

/* ---- reset, close, release ---- */

/* What the figures of all generations need of one that goes. Relaxed: figures. */
static void note_figures(struct shared *s, const struct hri_generation *g)
{
    hri_raise_to(&s->peak, hri_generation_len(g));
    hri_fetch_add_relaxed(&s->failures, hri_load_relaxed(&g->failures));
}

static void reclaim_generation(struct hri_retired *item)
{
    hri_generation_destroy(HRI_CONTAINER(item, struct hri_generation, retired));
}

static bool has_cleanups(struct hri_retired *item)
{
    /* PAIR cleanup-1: also those registered by readers after it was retired */
    return hri_load_acquire(&HRI_CONTAINER(item, struct hri_generation, retired)->cleanups) != NULL;
}

/* The caller has removed the generation. */
static void retire(struct shared *s, harena_view *view, const char *how)
{
    struct hri_generation *g = hri_generation_of(view);

    if (g->state != HRI_LIVE)
        return;
    note_figures(s, g);
    hri_generation_leave_homes(g, s->homes);
    g->how = how;
    g->retired = (struct hri_retired){
        .reclaim = reclaim_generation,
        .has_cleanups = has_cleanups,
        .process = hri_thread_forks(), /* readers may look at it from the next line on */
        .record = hri_generation_record(g),
    };
    g->retired.bytes = hri_generation_retire(g);
    hri_retire(s->domain, &g->retired, s->name);
}

int harena_shared_reset(harena_shared *shared)
{
    struct shared *s;
    harena_view *view;
    struct hri_generation *g;

    if (shared == NULL)
        return -EINVAL;
    s = shared_of(shared);
    view = hri_load_acquire(&s->present.generation); /* PAIR generation-1 */
    do {
        if (view == hri_view_closed)
            return -ESHUTDOWN;
        if (view == hri_view_empty) {
            if (is_gone(s, "harena_shared_reset"))
                return -EINVAL;
            hri_fetch_add_relaxed(&s->resets, 1); /* relaxed: a figure */
            return 0;
        }
        g = hri_generation_of(view);
        if (hri_retire_would_exceed(s->provider, hri_generation_held(g),
                                    hri_generation_record(g))) {
            hri_provider_event(
                s->provider, HARENA_EVENT_DEFERRED_LIMIT, EAGAIN, 0, s->name,
                "reset refused: more would be held back for readers than deferred_limit");
            return -EAGAIN;
        }
    } while (
        !hri_cas_acq_rel(&s->present.generation, &view, hri_view_empty)); /* PAIR generation-1 */
    hri_fetch_add_relaxed(&s->resets, 1);                                 /* relaxed: a figure */
    HRI_PROBE(reset, s->name, 0);
    HRI_TRACE("reset shared=%s", s->name);
    retire(s, view, "reset");
    return 0;
}

static void close_for_good(struct shared *s)
{
    HRI_TRACE("close shared=%s", s->name);
    retire(s, hri_exchange_acq_rel(&s->present.generation, hri_view_closed),
           "release"); /* PAIR generation-1 */
}

void harena_shared_close(harena_shared *shared)
{
    if (shared != NULL && !is_gone(shared_of(shared), "harena_shared_close"))
        close_for_good(shared_of(shared));
}

static void free_record(struct shared *s)
{
    harena_provider *p = s->provider;

    hri_name_ended(s->generations.sums);
    if (is_guarded(s))
        guard_record(s);
    else
        hri_slab_put(&p->slab, s, record_size(s->generations.lanes));
    hri_fetch_sub_relaxed(&p->live, 1); /* relaxed: a figure */
}

static void reclaim_record(struct hri_retired *item)
{
    free_record(HRI_CONTAINER(item, struct shared, retired));
}

void harena_shared_release(harena_shared *shared)
{
    struct shared *s;

    if (shared == NULL)
        return;
    s = shared_of(shared);
    if (is_released_again(s, "harena_shared_release"))
        return;
    close_for_good(s);
    HRI_TRACE("release shared=%s", s->name);
    /* Readers may still be on their way from the handle to CLOSED: the record goes after them. */
    s->retired = (struct hri_retired){
        .reclaim = reclaim_record,
        .record = (uint32_t)record_size(s->generations.lanes),
    };
    hri_retire(s->domain, &s->retired, s->name);
}

/* `then`: what cleanups find in its place. */
static int empty_now(struct shared *s, harena_view *then, const char *how)
{
    harena_view *view = hri_load_acquire(&s->present.generation); /* PAIR generation-1 */

    if (view == hri_view_closed)
        return -ESHUTDOWN;
    hri_fetch_add_relaxed(&s->resets, 1); /* relaxed: a figure */
    if (view == hri_view_empty)
        return 0;
    hri_store_release(&s->present.generation, then); /* PAIR generation-1 */
    note_figures(s, hri_generation_of(view));
    HRI_PROBE(reset, s->name, 0);
    HRI_TRACE("reset shared=%s now=1", s->name);
    hri_generation_leave_homes(hri_generation_of(view), s->homes);
    hri_generation_of(view)->how = how;
    hri_generation_destroy(hri_generation_of(view));
    return 0;
}

int harena_shared_reset_now(harena_shared *shared)
{
    if (shared == NULL || is_gone(shared_of(shared), "harena_shared_reset_now"))
        return -EINVAL;
    return empty_now(shared_of(shared), hri_view_empty, "reset");
}

void harena_shared_release_now(harena_shared *shared)
{
    if (shared == NULL || is_released_again(shared_of(shared), "harena_shared_release_now"))
        return;
    empty_now(shared_of(shared), hri_view_closed, "release");
    HRI_TRACE("release shared=%s now=1", shared_of(shared)->name);
    free_record(shared_of(shared));
}

/* ---- ask: figures, without a section ---- */

static const struct hri_generation *figures_of(const harena_shared *s)
{
    return hri_generation_of(hri_load_acquire(&s->generation)); /* PAIR generation-1 */
}

size_t harena_shared_len(const harena_shared *s)
{
    return s != NULL ? hri_generation_len(figures_of(s)) : 0;
}

size_t harena_shared_cap(const harena_shared *s)
{
    return s != NULL ? hri_generation_held(figures_of(s)) : 0;
}

size_t harena_shared_peak(const harena_shared *s)
{
    const struct hri_generation *g;
    uint64_t len;

    if (s == NULL)
        return 0;
    g = figures_of(s);
    len = hri_generation_len(g);
    if (g == figures_of(s)) /* else the record may have been another's meanwhile */
        hri_raise_to(&shared_of(s)->peak, len);
    return hri_load_relaxed(&shared_of(s)->peak);
}

void harena_shared_stats_get(const harena_shared *s, harena_stats *stats)
{
    harena_stats all = {0};

    if (stats == NULL || stats->size == 0)
        return;
    if (s != NULL) {
        hri_generation_stats(figures_of(s), &all);
        all.peak = harena_shared_peak(s);
        all.resets = hri_load_relaxed(&shared_of(s)->resets);
        all.failures += hri_load_relaxed(&shared_of(s)->failures);
    }
    all.size = stats->size;
    memcpy(stats, &all, hri_min(stats->size, sizeof(all)));
}

bool harena_shared_failed(const harena_shared *s)
{
    const harena_view *view;

    if (s == NULL)
        return true;
    view = hri_load_acquire(&s->generation); /* PAIR generation-1 */
    /* No more of it is looked at: the record may be another's meanwhile. Relaxed: a figure. */
    return view == hri_view_closed || hri_load_relaxed(&hri_generation_of(view)->failures) != 0;
}

bool harena_shared_contains(const harena_shared *s, const void *any)
{
    return s != NULL && hri_generation_contains(figures_of(s), any);
}
