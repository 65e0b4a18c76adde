/* SPDX-License-Identifier: BSD-2-Clause */
/* The hard and the soft limit of a provider. Layer 3.
 *
 * The hard limit is exact: a chunk that is not warm is charged to `committed` by a compare-and-swap that never passes
 * the limit, before it becomes warm; whoever then finds no such chunk takes the charge back. A purge refunds after the memory is
 * gone. So `committed` is at no time below what is warm, and at no time above the limit. A request that does not fit
 * charges nothing, so a large one starves no small one.
 *
 * What a purge has taken is neither free nor refunded while it lasts; and a run takes free chunks, then charges, then
 * commits, and may have to undo all of it. So that nobody is refused for that reason alone, `holders` counts those who have
 * something in hand, and whoever finds nothing waits for them: a millisecond at a time, ten times at most. In the child of
 * a fork the other threads' holds never end: the upper half of the word says how often its process was forked.
 *
 * The soft limit refuses nobody. A charge that passes it ends quarantine (guard.c); if that is not enough, it says so once,
 * has the idle arenas of all pools dropped, and asks for free blocks to be given back; until use has fallen below it again,
 * each block goes back as it becomes free. */
#include "limit.h"
#include "commit.h"
#include "guard.h"
#include "os.h"
#include "retention.h"
#include "thread.h"

#include <errno.h>

enum {
    HOLDERS_WAIT_MS = 1,
    SHORT_WAITS = 100,  /* that were cut short count as one that was not */
    HOLDERS_WAITS = 10, /* of one request; where others always hold something, more are in vain */
    HOLDERS_BITS = 32,  /* of the count in `holders` */
};

static HRI_COLD void pass_soft_limit(harena_provider *p, uint64_t committed)
{
    void (*drop_idle)(harena_provider *) =
        hri_load_acquire(&p->drop_idle); /* PAIR pools-1: set with the first pool */
    uint32_t above = 0;

    if (!hri_cas_relaxed(&p->above_soft, &above, 1)) /* relaxed: only one of many is to say so */
        return;
    if (hri_guard_flush(p)) {
        committed = hri_load_relaxed(&p->committed); /* relaxed: as in hri_limit_charge */
        if (committed <= p->soft_limit)
            return;
    }
    hri_provider_event(p, HARENA_EVENT_SOFT_LIMIT, 0, committed, NULL,
                       "more is committed than soft_limit");
    if (drop_idle != NULL)
        drop_idle(p); /* what that gives back is purged at once */
    hri_retention_press(p, hri_limit_above_soft(p));
}

bool hri_limit_charge(harena_provider *p, uint64_t chunks)
{
    uint64_t bytes = chunks * HRI_CHUNK, seen = hri_load_relaxed(&p->committed), limit;

    if (chunks == 0)
        return true; /* warm memory serves also when the limit has been lowered below it */
    do {
        limit = hri_load_relaxed(&p->limit);
        if (limit != 0 && (bytes > limit || seen > limit - bytes))
            return false;
    } while (
        !hri_cas_relaxed(&p->committed, &seen, seen + bytes)); /* relaxed: only the sum counts */
    if (HRI_UNLIKELY(p->soft_limit != 0 && seen + bytes > p->soft_limit))
        pass_soft_limit(p, seen + bytes);
    return true;
}

/* `peak` is raised when `committed` falls, to what held memory until then, and when somebody asks: not at each charge. What
 * others have charged in that moment counts, even if they are refused. */
static void lower(harena_provider *p, uint64_t bytes, uint64_t never_held)
{
    uint64_t before = hri_fetch_sub_relaxed(&p->committed, bytes); /* relaxed: as charge */

    hri_raise_to(&p->peak, before - never_held);
    if (p->soft_limit != 0 && before - bytes <= p->soft_limit)
        hri_store_relaxed(&p->above_soft, 0); /* relaxed: a race costs one event or one block */
}

void hri_limit_refund(harena_provider *p, uint64_t chunks)
{
    lower(p, chunks * HRI_CHUNK, 0);
}

void hri_limit_uncharge(harena_provider *p, uint64_t chunks)
{
    lower(p, chunks * HRI_CHUNK, chunks * HRI_CHUNK);
}

uint64_t hri_limit_budget(const harena_provider *p)
{
    uint64_t limit = hri_load_relaxed(&p->limit), committed = hri_load_relaxed(&p->committed);

    if (limit == 0)
        return UINT64_MAX;
    return limit > committed ? (limit - committed) / HRI_CHUNK : 0;
}

uint64_t hri_limit_above_soft(const harena_provider *p)
{
    uint64_t committed = hri_load_relaxed(&p->committed);

    return p->soft_limit != 0 && committed > p->soft_limit ? committed - p->soft_limit : 0;
}

bool hri_provider_has_room(const harena_provider *p, uint64_t bytes)
{
    return bytes / HRI_CHUNK <= hri_limit_budget(p);
}

static uint64_t no_holders(void)
{
    return (uint64_t)hri_thread_forks() << HOLDERS_BITS;
}

void hri_limit_begin_hold(harena_provider *p)
{
    uint64_t seen = hri_load_relaxed(&p->holders); /* relaxed: the addition orders */

    while (HRI_UNLIKELY((seen ^ no_holders()) >> HOLDERS_BITS != 0) &&
           !hri_cas_relaxed(&p->holders, &seen, no_holders()))
        continue;
    hri_fetch_add_acq_rel(&p->holders, 1); /* PAIR holders-1: before a chunk is taken */
}

void hri_limit_end_hold(harena_provider *p, bool is_back)
{
    if (is_back)
        hri_fetch_add_acq_rel(&p->reclaims, 1); /* PAIR reclaims-1: the chunks are back */
    hri_fetch_sub_acq_rel(&p->holders, 1);      /* PAIR holders-1 */
    if (is_back)
        hri_os.wake(&p->reclaims);
}

bool hri_limit_wait(harena_provider *p, uint32_t seen, unsigned *waits)
{
    if (*waits >= HOLDERS_WAITS * SHORT_WAITS)
        return false;
    hri_os.wait(&p->reclaims, seen, HOLDERS_WAIT_MS);
    /* PAIR reclaims-1: what others reclaim all over the provider cuts it short */
    *waits += hri_load_acquire(&p->reclaims) == seen ? SHORT_WAITS : 1;
    return true;
}

bool hri_limit_wait_for_holders(harena_provider *p, uint32_t seen, unsigned *waits)
{
    /* PAIR holders-1: a read-modify-write, so that nobody whom the caller's look has met can be missed */
    uint64_t holders = hri_fetch_add_acq_rel(&p->holders, 0);
    bool is_one = holders > no_holders() && (holders ^ no_holders()) >> HOLDERS_BITS == 0;

    if (*waits == HOLDERS_WAITS)
        return false;
    ++*waits;
    if (is_one)
        hri_os.wait(&p->reclaims, seen, HOLDERS_WAIT_MS);
    return is_one || hri_load_acquire(&p->reclaims) != seen; /* PAIR reclaims-1 */
}

HRI_COLD uint32_t hri_limit_refuse(harena_provider *p, enum harena_event_kind kind, int error,
                                   size_t bytes, const char *name)
{
    static const char *const text[] = {
        [HARENA_EVENT_LIMIT] = "hard limit reached: memory refused",
        [HARENA_EVENT_REGION_EXHAUSTED] = "no addresses left in the region",
        [HARENA_EVENT_OS_ERROR] = "the operating system or the page source refused memory",
    };

    hri_fetch_add_relaxed(&p->failures, 1); /* relaxed: a figure */
    hri_provider_event(p, kind, error, bytes, name, text[kind]);
    errno = ENOMEM;
    return HRI_NO_CHUNK;
}

int harena_provider_set_limit(harena_provider *provider, size_t limit)
{
    harena_provider *p = hri_provider_or_default(provider);

    if (p == NULL)
        return -ENOMEM;
    hri_store_relaxed(&p->limit, (uint64_t)limit); /* relaxed: each charge reads it anew */
    hri_commit_limit(p);
    return 0;
}
