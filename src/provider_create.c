/* SPDX-License-Identifier: BSD-2-Clause */
/* How a provider comes and goes: options, region, tables, ballast; the default one. Layer 3. */
#include "commit.h"
#include "debug.h"
#include "environment.h"
#include "guard.h"
#include "os.h"
#include "provider.h"
#include "share.h"
#include "retention.h"
#include "sanitizer.h"
#include "trace.h"

#include <errno.h>
#include <string.h>

#define GIB ((size_t)1 << 30)

enum {
    SLAB_SHARE = 64,
    SLAB_LEAST = 16 << 20, /* the slab's addresses: a 64th of the region's, and at least so many */
    DEFAULT_RETAIN = 100,  /* percent */
    MOST_RETAIN = 1000000,
};

static harena_provider *default_provider; /* atomic; made once by CAS, never behind a lock */

/* ---- the OS as a page source ---- */

static void *os_reserve(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return hri_os.reserve(bytes, align);
}

static int os_commit(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    return hri_os.commit(at, bytes);
}

static int os_purge(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    return hri_os.purge(at, bytes);
}

static void os_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    hri_os.release(at, bytes);
}

static const harena_page_source os_source = {NULL,     os_reserve, os_commit,
                                             os_purge, os_release, true};

/* ---- create ---- */

static bool valid(const harena_provider_options *o)
{
    if (o->size != sizeof(*o))
        return false;
    if (o->huge_pages != HARENA_HUGE_AUTO && o->huge_pages != HARENA_HUGE_ON &&
        o->huge_pages != HARENA_HUGE_OFF)
        return false;
    if (o->page_source != NULL && o->page_source->reserve == NULL)
        return false;
    if (o->limit != 0 &&
        (o->ballast > hri_round_down(o->limit, HRI_CHUNK) || o->soft_limit > o->limit))
        return false;
    return o->reserve == 0 || o->ballast <= o->reserve;
}

/* Where the tables lie behind the provider's record, in one mapping: record, blocks, two summaries, slab. */
struct layout {
    size_t table, warm, full, slab, slab_size, total;
};

static struct layout layout_of(size_t blocks)
{
    size_t summary = hri_round_up((blocks + 63) / 64 * sizeof(uint64_t), HRI_CACHE_LINE);
    struct layout at;

    at.table = hri_round_up(sizeof(harena_provider), HRI_CACHE_LINE);
    at.warm = at.table + blocks * sizeof(struct hri_block);
    at.full = at.warm + summary;
    at.slab = hri_round_up(at.full + summary, HRI_CHUNK);
    at.slab_size = hri_round_up(hri_max(blocks * HRI_BLOCK / SLAB_SHARE, SLAB_LEAST), HRI_CHUNK);
    at.total = at.slab + at.slab_size;
    return at;
}

/* A provider over `bytes` of addresses. NULL: the OS or the page source refuses. */
static harena_provider *reserve(const harena_page_source *source, size_t bytes)
{
    struct layout at = layout_of(bytes / HRI_BLOCK);
    harena_provider *p;
    char *metadata = hri_os.reserve(at.total, HRI_CHUNK), *region;

    if (metadata == NULL)
        return NULL;
    region = hri_os.commit(metadata, at.slab) == 0 ? source->reserve(source->ctx, bytes, HRI_BLOCK)
                                                   : NULL;
    if (region == NULL || (uintptr_t)region % HRI_BLOCK != 0) {
        if (region != NULL && source->release != NULL)
            source->release(source->ctx, region, bytes);
        hri_os.release(metadata, at.total);
        return NULL;
    }
    p = (harena_provider *)(void *)metadata;
    p->metadata = metadata;
    p->metadata_size = at.total;
    p->region = region;
    p->region_size = bytes;
    p->blocks.table = (struct hri_block *)(void *)(metadata + at.table);
    p->blocks.count = (uint32_t)(bytes / HRI_BLOCK);
    p->blocks.warm_summary = (uint64_t *)(void *)(metadata + at.warm);
    p->blocks.full_summary = (uint64_t *)(void *)(metadata + at.full);
    hri_slab_init(&p->slab, metadata + at.slab, at.slab_size);
    hri_names_init(&p->names, &p->slab);
    return p;
}

static harena_provider *reserve_default_size(const harena_page_source *source)
{
    size_t bytes = hri_round_up(hri_max(64 * GIB, 8 * (size_t)hri_os.memory()), HRI_BLOCK);
    harena_provider *p;

    for (; bytes >= HRI_BLOCK; bytes = hri_round_down(bytes / 2, HRI_BLOCK)) {
        p = reserve(source, bytes);
        if (p != NULL)
            return p;
    }
    return NULL;
}

/* The kernel would not refuse it, but end the process that touches it. A page source's memory is another's. */
static bool exceeds_the_machine(const harena_provider *p, size_t bytes)
{
    uint64_t memory = hri_os.memory();

    return !p->own_source && memory != 0 && bytes > memory;
}

/* Commits and touches the ballast, so that it is there when it is needed. */
static bool take_ballast(harena_provider *p)
{
    uint64_t chunks = p->ballast / HRI_CHUNK;
    uint32_t chunk, first = 0;
    bool complete = true;

    for (uint64_t i = 0; i < chunks && complete; i++) {
        chunk = hri_run_get(p, 1, NULL);
        complete = chunk != HRI_NO_CHUNK;
        if (!complete)
            break;
        hri_clear_hidden(hri_chunk_address(p, chunk), HRI_CHUNK);
        hri_store_relaxed(&hri_provider_extent(p, chunk)->next, first);
        first = chunk + 1;
    }
    while (first != 0) {
        chunk = first - 1;
        first = hri_load_relaxed(&hri_provider_extent(p, chunk)->next);
        hri_run_put(p, chunk);
    }
    return complete;
}

/* What lies above a million percent is as good as that. */
static uint32_t retain_percent_of(const harena_provider_options *o)
{
    switch (o->retain_percent) {
    case 0:
        return DEFAULT_RETAIN;
    case HARENA_RETAIN_NONE:
        return 0;
    case HARENA_RETAIN_ALL:
        return HARENA_RETAIN_ALL;
    default:
        return (uint32_t)hri_min(o->retain_percent, MOST_RETAIN);
    }
}

/* For who reads /proc/PID/smaps. The application's own memory is the application's to name. */
static void name_mappings(harena_provider *p)
{
    char name[sizeof("harena: metadata") + HRI_NAME_SIZE];
    size_t length = strlen(p->name);

    memcpy(name, "harena:", 7);
    memcpy(name + 7, p->name, length + 1);
    if (!p->own_source)
        hri_os.name_mapping(p->region, p->region_size, name);
    memcpy(name + 7 + length, " metadata", 10);
    hri_os.name_mapping(p->metadata, p->metadata_size, name);
}

harena_provider *harena_provider_create(const harena_provider_options *options)
{
    static const harena_provider_options defaults = HARENA_PROVIDER_OPTIONS_INIT;
    const harena_provider_options *o = options != NULL ? options : &defaults;
    const harena_page_source *source;
    harena_provider *p;
    int saved = errno;

    hri_trace_init();
    hri_debug_init();
    if (!valid(o)) {
        errno = EINVAL;
        return NULL;
    }
    source = o->page_source != NULL ? o->page_source : &os_source;
    if (o->reserve > SIZE_MAX - HRI_BLOCK)
        p = NULL;
    else if (o->reserve != 0)
        p = reserve(source, hri_round_up(o->reserve, HRI_BLOCK));
    else
        p = reserve_default_size(source);
    if (p == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    p->source = *source;
    p->own_source = o->page_source != NULL;
    p->huge_pages = o->huge_pages;
    hri_commit_init(p);
    p->limit = o->limit;
    p->soft_limit = o->soft_limit;
    p->retain_percent = retain_percent_of(o);
    p->next_tick = hri_os.milliseconds() + HRI_TICK_MS;
    p->ballast = hri_round_up(o->ballast, HRI_CHUNK);
    p->deferred_limit = o->deferred_limit;
    p->rcu = o->rcu;
    p->first_listener = (struct hri_listener){o->on_event, o->event_ctx};
    p->listener = &p->first_listener;
    hri_copy_name(p->name, o->name, "provider");
    name_mappings(p);
    if (o->ballast > p->region_size || exceeds_the_machine(p, o->ballast) || !take_ballast(p)) {
        hri_provider_free(p);
        errno = ENOMEM;
        return NULL;
    }
    hri_share_if_asked(p);
    errno = saved;
    return p;
}

void hri_provider_free(harena_provider *p)
{
    hri_share_end(p);
    hri_guard_end(p);
    hri_show(p->region, hri_load_relaxed(&p->blocks.used) * HRI_BLOCK); /* it will be others' */
    if (p->source.release != NULL)
        p->source.release(p->source.ctx, p->region, p->region_size);
    hri_os.release(p->metadata, p->metadata_size);
}

int harena_provider_on_event(harena_provider *provider, harena_event_fn fn, void *ctx)
{
    harena_provider *p = hri_provider_or_default(provider);
    struct hri_listener *listener;
    int saved = errno;

    if (p == NULL)
        return -ENOMEM;
    listener = hri_slab_get(&p->slab, sizeof(*listener));
    errno = saved;
    if (listener == NULL)
        return -ENOMEM;
    *listener = (struct hri_listener){fn, ctx};
    hri_store_release(&p->listener, listener); /* PAIR listener-1 */
    hri_environment_tell(p,
                         hri_load_relaxed(&p->ignored)); /* relaxed: set before p was published */
    return 0;
}

/* ---- the default one ---- */

/* What the environment asks for; a ballast for which there is no memory is left out. */
static harena_provider *create_from_environment(void)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *p;
    uint32_t ignored, dropped;
    int saved = errno;

    options.name = "default";
    ignored = hri_environment_options(&options);
    p = harena_provider_create(&options);
    if (p == NULL && (dropped = hri_environment_drop_ballast(&options)) != 0) {
        ignored |= dropped;
        p = harena_provider_create(&options);
    }
    if (p != NULL) {
        p->ignored = ignored;
        errno = saved;
    }
    return p;
}

harena_provider *harena_provider_default(void)
{
    harena_provider *p = hri_load_acquire(&default_provider),
                    *mine; /* PAIR default-1: published below */

    if (HRI_LIKELY(p != NULL))
        return p;
    mine = create_from_environment();
    if (mine == NULL)
        return NULL;
    /* PAIR default-1: whoever loses uses the winner's */
    if (!hri_cas_acq_rel(&default_provider, &p, mine)) {
        hri_provider_free(mine);
        return p;
    }
    hri_environment_tell(mine, mine->ignored);
    return mine;
}

bool hri_provider_is_default(const harena_provider *p)
{
    return p == hri_load_relaxed(&default_provider);
}

harena_provider *hri_provider_or_default(harena_provider *p)
{
    return HRI_LIKELY(p != NULL) ? p : harena_provider_default();
}
