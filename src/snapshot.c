/* SPDX-License-Identifier: BSD-2-Clause */
/* Published arenas. Layer 6.
 *
 * The slot is one word, the arena; its root is a field of the arena's record. Two words, an arena and a root, could be
 * replaced by two publishers so that the arena of one stands beside the root of the other, and the wrong one is retired.
 *
 * 1. The exchange releases the arena's contents and its root, and a reader acquires them (PAIR snapshot-1).
 * 2. What the exchange removed is retired by who removed it, once.
 * 3. A reader in a section keeps what it has loaded until it leaves: retirement follows the removal. */
#include "arena.h"

#include <harena/snapshot.h>

#include <errno.h>

static harena *load(const harena_snapshot *s)
{
    void *slot = hri_load_acquire(&s->slot); /* PAIR snapshot-1: released by publish */

    return slot;
}

static void *root_of(const harena *a)
{
    return a != NULL ? hri_load_relaxed(&hri_arena_of(a)->root)
                     : NULL; /* relaxed: came with the slot */
}

int harena_snapshot_publish(harena_snapshot *s, harena *arena, void *root)
{
    struct hri_domain *domain;
    harena *before;
    int saved = errno;

    if (s == NULL || (arena == NULL && root != NULL))
        return -EINVAL;
    if (arena != NULL &&
        (!hri_arena_is_own(arena, "harena_snapshot_publish") || !hri_arena_can_retire(arena)))
        return -EINVAL;
    if (arena != NULL) {
        if (hri_arena_of(arena)->snapshot_domain != NULL)
            return -EINVAL; /* it belongs to a snapshot already, and would be retired twice */
        /* Now, not when it is retired: RCU's worker is created with the first, and that may fail. */
        domain = hri_domain_get(hri_arena_of(arena)->provider, hri_rcu_or_default(s->rcu));
        if (domain == NULL) {
            errno = saved;
            return -ENOMEM;
        }
        hri_arena_leave_home(hri_arena_of(arena));
        hri_store_relaxed(&hri_arena_of(arena)->root, root); /* relaxed: released by the exchange */
        hri_arena_of(arena)->snapshot_domain = domain;
        if (hri_arena_is_guarded(hri_arena_of(arena)))
            hri_arena_guard_lock(hri_arena_of(arena), "is a snapshot's");
    }
    before = hri_exchange_acq_rel(&s->slot, (void *)arena); /* PAIR snapshot-1 */
    if (before != NULL)
        hri_arena_retire(hri_arena_of(before), hri_arena_of(before)->snapshot_domain);
    return 0;
}

void *harena_snapshot_enter(harena_snapshot *s)
{
    if (s == NULL)
        return NULL;
    hri_rcu_enter(hri_rcu_or_default(s->rcu));
    return root_of(load(s));
}

void harena_snapshot_leave(harena_snapshot *s)
{
    if (s != NULL)
        hri_rcu_leave(hri_rcu_or_default(s->rcu));
}

void *harena_snapshot_read(const harena_snapshot *s)
{
    return s != NULL ? root_of(load(s)) : NULL;
}

void harena_snapshot_fini(harena_snapshot *s)
{
    if (s != NULL)
        harena_snapshot_publish(s, NULL, NULL);
}
