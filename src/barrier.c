/* SPDX-License-Identifier: BSD-2-Clause */
/* Barrier, and the end of a provider. Layer 4.
 *
 * A barrier takes the lists and the batches itself, waits for a grace period, reclaims. What RCU's worker is reclaiming at
 * that moment it waits for with a marker, an item of its own, which comes after all that was retired before: lists are
 * reclaimed oldest first. Items with cleanups are left to the worker, because a cleanup may want a lock that the caller
 * of barrier holds. */
#include "domain.h"
#include "guard.h"
#include "os.h"

#include <errno.h>

static void lock_barrier(struct hri_domain *domain)
{
    uint32_t mine = hri_this_process(), seen = 0;

    while (
        !hri_cas_acquire(&domain->barrier, &seen, mine)) { /* PAIR barrier-1: released by unlock */
        if (seen == mine) {
            hri_os.wait(&domain->barrier, mine, -1);
            seen = 0;
        }
    }
    /* What was locked in another process, before a fork, has nobody left to unlock it. Its markers may be on lists. */
    if (seen != 0)
        domain->markers = NULL;
}

static void unlock_barrier(struct hri_domain *domain)
{
    hri_store_release(&domain->barrier, 0); /* PAIR barrier-1 */
    hri_os.wake(&domain->barrier);
}

static void reach_marker(struct hri_retired *item)
{
    uint32_t *left = HRI_CONTAINER(item, struct hri_marker, item)->left;

    if (hri_fetch_sub_acq_rel(left, 1) == 1) /* PAIR marker-1 */
        hri_os.wake(left);
}

static void wait_for_markers(uint32_t *left)
{
    uint32_t seen;

    while ((seen = hri_load_acquire(left)) != 0) /* PAIR marker-1 */
        hri_os.wait(left, seen, -1);
}

static struct hri_retired **append(struct hri_retired **end, struct hri_retired *newest_first)
{
    *end = hri_retired_reversed(newest_first);
    while (*end != NULL)
        end = &(*end)->next;
    return end;
}

/* Takes all lists and batches, oldest items first, behind what a barrier that a fork cut off may have left. complete[i]:
 * nothing of shard i that was retired before is in other hands. */
static void take_lists(struct hri_domain *domain, bool complete[HRI_SHARDS])
{
    struct hri_retired **end = &domain->taken;

    while (*end != NULL)
        end = &(*end)->next;
    for (int i = 0; i < HRI_SHARDS; i++) {
        struct hri_shard *shard = &domain->shards[i];
        /* PAIR pending-1. PAIR arm-1: before `armed` is looked at. */
        struct hri_retired *pending = hri_exchange_seq_cst(&shard->pending, NULL);

        struct hri_retired *batch = hri_exchange_acq_rel(&shard->batch, NULL); /* PAIR batch-1 */

        /* With the batch, which follows the one before, nothing is left. Without it, somebody may be reclaiming it, or
         * about to make one of what was pending: that shows in `armed` by now. PAIR arm-1 */
        complete[i] = batch != NULL || hri_load_seq_cst(&shard->armed) == 0;
        end = append(end, batch);
        end = append(end, pending);
    }
}

/* Reclaims what was taken; items with cleanups go to the worker, by the first shard. True: there were some. */
static bool reclaim_taken(struct hri_domain *domain)
{
    struct hri_retired *item;
    bool any = false, left = false;

    while ((item = domain->taken) != NULL) {
        domain->taken = item->next;
        if (item->has_cleanups != NULL && item->has_cleanups(item)) {
            hri_shard_push(&domain->shards[0], item);
            left = true;
        } else {
            hri_domain_reclaim(domain, item);
            any = true;
        }
    }
    if (any)
        hri_tell_reclaims(domain->provider);
    return left;
}

/* Puts a marker on the list of each shard that is not complete, and waits for all of them. `left`: on the first one's in
 * any case. Who disarms it may have done so and not have looked again: what was left there has nobody yet. */
static void wait_for_others(struct hri_domain *domain, const bool complete[HRI_SHARDS], bool left)
{
    struct hri_markers *markers = domain->markers;
    uint32_t armed = 0;

    hri_store_relaxed(&markers->left, HRI_SHARDS); /* relaxed: released by each push */
    for (int i = 0; i < HRI_SHARDS; i++) {
        struct hri_shard *shard = &domain->shards[i];
        struct hri_marker *marker = &markers->of[i];

        if (complete[i] && !(left && i == 0))
            continue;
        armed++;
        *marker = (struct hri_marker){{.reclaim = reach_marker}, &markers->left};
        hri_rcu_note_retire(domain->flavor, &marker->item.epoch);
        hri_shard_push(shard, &marker->item);
    }
    if (hri_fetch_sub_acq_rel(&markers->left, HRI_SHARDS - armed) !=
        HRI_SHARDS - armed) /* PAIR marker-1 */
        wait_for_markers(&markers->left);
}

/* Waits for all that was retired in the domain before. The caller may wait for a grace period. -ENOMEM: a barrier that
 * a fork cut off had the markers, or RCU has the heads, and there is no record for new ones; what was taken is
 * reclaimed. */
static int drain(struct hri_domain *domain)
{
    bool complete[HRI_SHARDS], left = false, taken_over;
    int result = -ENOMEM;

    lock_barrier(domain);
    taken_over = hri_domain_take_over(domain);
    take_lists(domain, complete);
    if (domain->taken != NULL) {
        domain->flavor->update_synchronize_rcu();
        left = reclaim_taken(domain);
    }
    if (domain->markers == NULL)
        domain->markers = hri_slab_get(&domain->provider->slab, sizeof(*domain->markers));
    if (domain->markers != NULL && taken_over) {
        wait_for_others(domain, complete, left);
        result = 0;
    }
    unlock_barrier(domain);
    return result;
}

/* A thread in a section may not wait for one. QSBR counts every online thread as a reader: going offline tells that it is
 * QSBR, and the library's own count whether the thread is one in truth. */
static bool leave_if_qsbr(const struct rcu_flavor_struct *flavor, bool *offline)
{
    *offline = false;
    if (!flavor->read_ongoing())
        return true;
    if (hri_thread_sections != 0)
        return false;
    flavor->thread_offline();
    if (flavor->read_ongoing()) {
        flavor->thread_online();
        return false;
    }
    *offline = true;
    return true;
}

int harena_provider_barrier(harena_provider *provider)
{
    harena_provider *p = hri_provider_or_default(provider);
    struct hri_domain *domains[HRI_PROVIDER_DOMAINS];
    bool offline[HRI_PROVIDER_DOMAINS], own_offline;
    const struct rcu_flavor_struct *own;
    int count = 0, saved = errno, result = 0;

    if (p == NULL)
        return 0; /* no default provider: nothing can have been retired */
    own = hri_rcu_or_default(p->rcu);
    if (hri_thread_cleanups != 0 || hri_thread_is_worker || !leave_if_qsbr(own, &own_offline))
        return -EDEADLK;
    while (count < HRI_PROVIDER_DOMAINS) {
        domains[count] = hri_load_acquire(&p->domains[count]); /* PAIR domain-1 */
        if (domains[count] == NULL)
            break;
        if (!leave_if_qsbr(domains[count]->flavor, &offline[count])) {
            result = -EDEADLK;
            break;
        }
        count++;
    }
    for (int i = 0; i < count && result == 0; i++)
        result = drain(domains[i]);
    for (int i = 0; i < count; i++)
        if (offline[i])
            domains[i]->flavor->thread_online();
    if (own_offline)
        own->thread_online();
    errno = saved;
    return result;
}

static void wait_for_callbacks(struct hri_domain *domain)
{
    hri_rcu_barrier(domain->flavor);
    for (int i = 0; i < HRI_SHARDS; i++)
        hri_rcu_note_returned(&domain->shards[i].first.head);
}

int harena_provider_destroy(harena_provider *p)
{
    uint64_t taken, free_warm, retired;
    int result;

    if (p == NULL || hri_provider_is_default(p))
        return -EINVAL;
    do { /* again after cleanups that have retired more */
        retired =
            hri_load_relaxed(&p->retired); /* relaxed: the barrier orders what its cleanups count */
        result = harena_provider_barrier(p);
        if (result != 0)
            return result;
    } while (hri_load_relaxed(&p->retired) != retired); /* relaxed: as above */
    hri_guard_flush(p);
    hri_blocks_count(&p->blocks, &taken, &free_warm);
    if (hri_load_relaxed(&p->live) != 0 || taken != 0) /* relaxed: the caller is alone */
        return -EBUSY;
    /* The last callbacks may still be on their way out of our code. */
    for (int i = 0; i < HRI_PROVIDER_DOMAINS && p->domains[i] != NULL; i++)
        wait_for_callbacks(p->domains[i]);
    hri_provider_free(p);
    return 0;
}
