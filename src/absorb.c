/* SPDX-License-Identifier: BSD-2-Clause */
/* One arena becomes part of another, in constant time: lists are spliced, counters added. Layer 5.
 *
 * Extents stay in the order in which they were opened or absorbed, so a rewind to a mark of before gives back what came
 * with `from`, and one to a mark of afterwards does not touch it. */
#include "arena.h"

#include <errno.h>

/* Whether all that `from` has may pass to another owner. */
static bool can_be_absorbed(const struct hri_arena *from)
{
    return !from->fixed && from->own_memory == NULL && !from->is_kept &&
           from->snapshot_domain == NULL;
}

static void take_cleanups(struct hri_arena *into, const struct hri_arena *from)
{
    if (from->cleanups == NULL)
        return;
    from->oldest_cleanup->next = into->cleanups;
    if (into->cleanups == NULL)
        into->oldest_cleanup = from->oldest_cleanup;
    into->cleanups = from->cleanups;
}

static void take_figures(struct hri_arena *into, const struct hri_arena *from, size_t len)
{
    hri_counter_add(&into->held, from->held);
    hri_counter_add(&into->chunks, from->chunks);
    hri_counter_add(&into->runs, from->runs);
    hri_counter_add(&into->closed, len);
    into->failed = into->failed || from->failed;
    if (into->sums == from->sums)
        return;
    hri_name_put(from->sums, from->held);
    hri_name_took(into->sums, from->held);
}

int harena_absorb(harena *into_window, harena *from_window)
{
    struct hri_arena *into, *from;
    harena_provider *p;

    if (into_window == from_window || !hri_arena_is_own(into_window, "harena_absorb") ||
        !hri_arena_is_own(from_window, "harena_absorb"))
        return -EINVAL;
    into = hri_arena_of(into_window);
    from = hri_arena_of(from_window);
    p = into->provider;
    if (into->fixed || !can_be_absorbed(from) || from->provider != p)
        return -EINVAL;
    if (into->held > into->limit || from->held > into->limit - into->held) {
        hri_provider_event(p, HARENA_EVENT_LIMIT, ENOMEM, from->held, into->name,
                           "the arena's limit is reached");
        return -ENOMEM;
    }
    hri_arena_leave_home(from);
    take_figures(into, from, hri_arena_len(from));
    take_cleanups(into, from);
    into->has_absorbed_spare = into->has_absorbed_spare || from->has_absorbed_spare ||
                               from->spare_chunks.newest != 0 || from->spare_runs.newest != 0;
    hri_arena_splice(into, &into->extents, &from->extents);
    hri_arena_splice(into, &into->spare_chunks, &from->spare_chunks);
    hri_arena_splice(into, &into->spare_runs, &from->spare_runs);
    hri_arena_adopt_windows(into, from);
    hri_name_ended(from->sums);
    hri_arena_put_record(from);
    hri_fetch_sub_relaxed(&p->live, 1); /* relaxed: a figure */
    return 0;
}
