/* SPDX-License-Identifier: BSD-2-Clause */
/* Pending lists, one batch in flight per shard. Layer 4.
 *
 * liburcu's own queue is unbounded and nothing can hurry it. So what is retired goes on a list of ours, and one
 * rcu_head per shard waits for a whole list at a time.
 *
 * A shard's `armed` is 0: nobody waits for a grace period; else somebody (the arming thread, then RCU's worker) owns the
 * batch, and it says in which process: 1 + how often that one was forked.
 *
 * 1. The pending list is pushed to by CAS and only ever taken whole by exchange: no pop, no ABA. A push releases, a
 *    take acquires (PAIR pending-1).
 * 2. Nothing is left behind: who retires pushes and then looks whether the shard is armed; who disarms looks at the
 *    list afterwards. Both with sequentially consistent operations, so one of the two sees the other (PAIR arm-1).
 * 3. A batch is taken before call_rcu, so its grace period begins after all of it was retired. It is reclaimed by who
 *    takes it from `batch` by exchange (PAIR batch-1), once: the callback, or a barrier that has waited itself.
 * 4. The callback allocates and frees nothing of malloc's. It touches an item's record no more once it is reclaimed.
 * 5. A thread that dies or is suspended between arming and call_rcu, or in the middle of a barrier's reclaim, stops
 *    reclamation of that shard, and nothing else: retiring goes on.
 * 6. In the child of a fork nobody knows whether RCU has the head of a shard that was armed before. So who retires there
 *    next arms it again, with another head (`take_over`). If the old one's callback comes after all, it finds the shard
 *    taken and does nothing; if it comes first, it has the shard. A CAS of `armed` decides.
 * 7. `deferred` counts what this process has retired: what a fork takes away from a list would never be subtracted. An item
 *    from before the fork counts as in use until it is reclaimed. */
#include "retire.h"

#include "deferred.h"
#include "domain.h"
#include "os.h"
#include "probe.h"
#include "thread.h"
#include "trace.h"

#include <errno.h>
#include <urcu/call-rcu.h>

enum {
    RECLAIM_WAIT_MS = 50, /* what a request at the hard limit waits at most for deferred memory */
};

/* ---- reclaim ---- */

void hri_domain_reclaim(struct hri_domain *domain, struct hri_retired *item)
{
    harena_provider *p = domain->provider;
    uint64_t bytes = item->bytes + hri_load_relaxed(&item->late); /* relaxed: no reader is left */
    uint64_t record = item->record;
    uint32_t process = hri_load_relaxed(&item->process);

    hri_rcu_note_reclaim(domain->flavor, &item->epoch);
    hri_thread_cleanups++;
    item->reclaim(item); /* the item is gone */
    hri_thread_cleanups--;
    if (record == 0)
        return;
    HRI_PROBE(reclaim, p->name, bytes);
    HRI_TRACE("reclaim provider=%s bytes=%zu", p->name, (size_t)bytes);
    /* PAIR reclaims-1: the chunks are back, then it is said, then nothing is deferred any more. */
    hri_fetch_add_acq_rel(&p->reclaims, 1);
    if (process != hri_thread_forks())
        bytes = record = 0;                              /* counted by another process */
    hri_fetch_sub_relaxed(&p->deferred_records, record); /* relaxed: a figure */
    hri_fetch_sub_acq_rel(&p->deferred, bytes);          /* PAIR reclaims-1 */
    hri_fetch_add_relaxed(&p->reclaimed, 1);             /* relaxed: a figure */
}

void hri_tell_reclaims(harena_provider *p)
{
    hri_os.wake(&p->reclaims);
}

struct hri_retired *hri_retired_reversed(struct hri_retired *item)
{
    struct hri_retired *oldest_first = NULL, *next;

    for (; item != NULL; item = next) {
        next = item->next;
        item->next = oldest_first;
        oldest_first = item;
    }
    return oldest_first;
}

/* One list of two, newest first. */
static struct hri_retired *join(struct hri_retired *newer, struct hri_retired *older)
{
    struct hri_retired **end = &newer;

    if (older != NULL) {
        while (*end != NULL)
            end = &(*end)->next;
        *end = older;
    }
    return newer;
}

static void on_grace_period(struct rcu_head *head);

/* The caller has armed the shard: waits for what is pending, or disarms. */
static void start_batch(struct hri_shard *shard)
{
    struct hri_retired *batch, *left;
    uint32_t nobody;

    for (;;) {
        /* PAIR batch-1: left by a fork, else none. First: where a barrier finds a batch nobody has what was pending. */
        left = hri_exchange_acq_rel(&shard->batch, NULL);
        /* PAIR pending-1: released by push. PAIR arm-1: after the shard was armed. */
        batch = join(hri_exchange_seq_cst(&shard->pending, NULL), left);
        if (batch != NULL) {
            hri_store_release(&shard->batch, batch); /* PAIR batch-1 */
            shard->call->armed = hri_this_process();
            hri_rcu_call(shard->domain->flavor, &shard->call->head, on_grace_period);
            return;
        }
        hri_exchange_seq_cst(&shard->armed, 0);        /* PAIR arm-1: disarm, then look again */
        if (hri_load_seq_cst(&shard->pending) == NULL) /* PAIR arm-1 */
            return;
        nobody = 0;
        if (!hri_cas_seq_cst(&shard->armed, &nobody,
                             hri_this_process())) /* PAIR arm-1: somebody did */
            return;
    }
}

/* RCU had the head at a fork. Whether the shard is the callback's; else somebody has taken it over. */
static HRI_COLD bool inherit(struct hri_shard *shard, struct hri_call *call)
{
    if (hri_cas_seq_cst(&shard->armed, &call->armed, hri_this_process())) /* PAIR arm-1 */
        return true;
    if (call != &shard->first)
        hri_slab_put(&shard->domain->provider->slab, call, sizeof(*call));
    return false;
}

static void on_grace_period(struct rcu_head *head)
{
    struct hri_call *call = HRI_CONTAINER(head, struct hri_call, head);
    struct hri_retired *item, *next;
    struct hri_shard *shard;

    hri_rcu_called(head); /* before anything else is read */
    hri_thread_is_worker = true;
    shard = call->shard;
    if (call->armed != hri_this_process() && !inherit(shard, call))
        return;
    /* PAIR batch-1: a barrier may have been faster */
    for (item = hri_retired_reversed(hri_exchange_acq_rel(&shard->batch, NULL)); item != NULL;
         item = next) {
        next = item->next;
        hri_domain_reclaim(shard->domain, item);
    }
    hri_tell_reclaims(shard->domain->provider);
    start_batch(shard);
    hri_rcu_note_return(&shard->first.head);
}

/* ---- retire ---- */

/* The shard was armed before a fork: arms it in this process. False: no record for a head; the next one tries again. */
static HRI_COLD bool take_over(struct hri_shard *shard, uint32_t armed)
{
    struct hri_slab *slab = &shard->domain->provider->slab;
    struct hri_call *call = hri_slab_get(slab, sizeof(*call));

    if (call == NULL)
        return false;
    /* PAIR arm-1: the old callback may be faster, or another thread */
    if (!hri_cas_seq_cst(&shard->armed, &armed, hri_this_process())) {
        hri_slab_put(slab, call, sizeof(*call));
        return true;
    }
    call->shard = shard;
    shard->call = call;
    start_batch(shard);
    return true;
}

static bool is_inherited(uint32_t armed)
{
    return armed != 0 && armed != hri_this_process();
}

void hri_shard_push(struct hri_shard *shard, struct hri_retired *item)
{
    struct hri_retired *head = hri_load_relaxed(&shard->pending);
    uint32_t armed;

    do
        item->next = head;
    while (!hri_cas_seq_cst(&shard->pending, &head, item)); /* PAIR pending-1, PAIR arm-1 */
    armed = hri_load_seq_cst(&shard->armed);                /* PAIR arm-1: after the push */
    if (HRI_UNLIKELY(is_inherited(armed)))
        take_over(shard, armed);
    else if (armed == 0 &&
             hri_cas_seq_cst(&shard->armed, &armed, hri_this_process())) /* PAIR arm-1 */
        start_batch(shard);
}

bool hri_domain_take_over(struct hri_domain *domain)
{
    bool all = true;

    for (int i = 0; i < HRI_SHARDS; i++) {
        struct hri_shard *shard = &domain->shards[i];
        uint32_t armed = hri_load_relaxed(&shard->armed); /* relaxed: a fork lies between */

        all = (!is_inherited(armed) || take_over(shard, armed)) && all;
    }
    return all;
}

static bool is_beyond(const uint64_t *deferred, uint64_t more, uint64_t limit)
{
    uint64_t now =
        hri_deferred_bytes(hri_load_relaxed(deferred)); /* relaxed: a bound, not a lock */

    return now != 0 && now + more > limit;
}

bool hri_retire_would_exceed(const harena_provider *p, uint64_t bytes, uint64_t record)
{
    return p->deferred_limit != 0 && (is_beyond(&p->deferred, bytes, p->deferred_limit) ||
                                      is_beyond(&p->deferred_records, record, p->deferred_limit));
}

void hri_retired_grow(harena_provider *p, struct hri_retired *item, uint64_t bytes)
{
    /* Relaxed: it does not change while somebody may grow the item. */
    if (hri_load_relaxed(&item->process) != hri_thread_forks())
        return;                                /* counted by another process */
    hri_fetch_add_relaxed(&item->late, bytes); /* relaxed: read when no reader is left */
    hri_deferred_add(&p->deferred, bytes);
}

void hri_retire(struct hri_domain *domain, struct hri_retired *item, const char *name)
{
    harena_provider *p = domain->provider;
    bool exceeds = hri_retire_would_exceed(p, item->bytes, item->record);

    HRI_PROBE(retire, name, item->bytes);
    HRI_TRACE("retire name=%s bytes=%zu", name, (size_t)item->bytes);
    hri_store_relaxed(&item->process, hri_thread_forks()); /* relaxed: see hri_retired_grow */
    hri_deferred_add(&p->deferred, item->bytes);
    hri_deferred_add(&p->deferred_records, item->record);
    if (exceeds) /* the listener may fork: what is counted by now is the parent's */
        hri_provider_event(p, HARENA_EVENT_DEFERRED_LIMIT, 0, item->bytes, name,
                           "more is held back for readers than deferred_limit");
    hri_fetch_add_relaxed(&p->retired, 1); /* relaxed: a figure */
    hri_rcu_note_retire(domain->flavor, &item->epoch);
    hri_shard_push(&domain->shards[hri_thread_index() % HRI_SHARDS], item);
}

/* ---- domains ---- */

/* In the child of a fork: whether a shard waits for a grace period. What was retired before is counted nowhere. */
static bool may_have_inherited(harena_provider *p)
{
    if (hri_thread_forks() == 0)
        return false;
    for (int i = 0; i < HRI_PROVIDER_DOMAINS; i++) {
        struct hri_domain *domain = hri_load_acquire(&p->domains[i]); /* PAIR domain-1 */

        for (int j = 0; j < HRI_SHARDS && domain != NULL; j++)
            if (hri_load_acquire(&domain->shards[j].armed) != 0) /* PAIR arm-1 */
                return true;
    }
    return false;
}

/* Whether the caller is a reader itself, or what a reader waits for. */
static bool may_not_wait(harena_provider *p)
{
    if (hri_thread_cleanups != 0 || hri_thread_is_worker)
        return true;
    for (int i = 0; i < HRI_PROVIDER_DOMAINS; i++) {
        struct hri_domain *domain = hri_load_acquire(&p->domains[i]); /* PAIR domain-1 */

        if (domain != NULL && domain->flavor->read_ongoing())
            return true;
    }
    return false;
}

/* Somebody found no memory after `reclaims` was `seen`: waits a bounded time for what readers hold back, unless the
 * caller is a reader itself. True: something has been reclaimed since. */
static bool wait_for_reclaim(harena_provider *p, uint32_t seen)
{
    uint64_t began = hri_os.milliseconds(), waited = 0;

    /* Again after a signal, or a wake for what others had reclaimed before. */
    for (; waited < RECLAIM_WAIT_MS; waited = hri_os.milliseconds() - began) {
        bool deferred =
            hri_deferred_bytes(hri_load_acquire(&p->deferred)) != 0; /* PAIR reclaims-1: first */

        deferred = deferred || may_have_inherited(p);
        if (hri_load_acquire(&p->reclaims) != seen) /* PAIR reclaims-1 */
            return true;
        if (!deferred || may_not_wait(p))
            return false;
        hri_os.wait(&p->reclaims, seen, (int)(RECLAIM_WAIT_MS - waited));
    }
    return hri_load_acquire(&p->reclaims) != seen; /* PAIR reclaims-1 */
}

static void nothing(struct rcu_head *head)
{
    (void)head;
    hri_thread_is_worker = true;
}

static struct hri_domain *make_domain(harena_provider *p, const struct rcu_flavor_struct *flavor)
{
    struct hri_domain *domain = hri_slab_get(&p->slab, sizeof(*domain));

    if (domain == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    domain->flavor = flavor;
    domain->provider = p;
    domain->barrier = 0;
    domain->taken = NULL;
    domain->markers = &domain->first_markers;
    for (int i = 0; i < HRI_SHARDS; i++) {
        struct hri_shard *shard = &domain->shards[i];

        shard->pending = shard->batch = NULL;
        shard->armed = 0;
        shard->call = &shard->first;
        shard->first.shard = shard;
        shard->domain = domain;
    }
    return domain;
}

struct hri_domain *hri_domain_get(harena_provider *p, const struct rcu_flavor_struct *flavor)
{
    struct hri_domain *mine = NULL, *seen;
    int saved = errno;

    flavor = hri_rcu_or_default(flavor != NULL ? flavor : p->rcu);
    for (int i = 0; i < HRI_PROVIDER_DOMAINS; i++) {
        seen = hri_load_acquire(&p->domains[i]); /* PAIR domain-1: published below */
        if (seen == NULL) {
            if (mine == NULL)
                mine = make_domain(p, flavor);
            if (mine == NULL)
                return NULL;
            hri_store_release(&p->reclaim, wait_for_reclaim);   /* PAIR domain-1 */
            if (hri_cas_acq_rel(&p->domains[i], &seen, mine)) { /* PAIR domain-1 */
                flavor->update_call_rcu(&mine->first, nothing);
                errno = saved;
                return mine;
            }
        }
        if (seen->flavor == flavor) {
            if (mine != NULL)
                hri_slab_put(&p->slab, mine, sizeof(*mine));
            return seen;
        }
    }
    if (mine != NULL)
        hri_slab_put(&p->slab, mine, sizeof(*mine));
    errno = ENOMEM;
    return NULL;
}

const struct rcu_flavor_struct *hri_domain_flavor(const struct hri_domain *domain)
{
    return domain->flavor;
}
