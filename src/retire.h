/* SPDX-License-Identifier: BSD-2-Clause */
/* Retire and reclaim: own pending lists before RCU's. Layer 4. */
#ifndef HRI_RETIRE_H
#define HRI_RETIRE_H
#include "provider.h"
#include "rcu.h"

/* Part of the record of whatever is retired, so that retiring allocates nothing. */
struct hri_retired {
    struct hri_retired *next;
    void (*reclaim)(
        struct hri_retired *item); /* gives back cleanups first, then chunks, the record last */
    uint64_t bytes;                /* that count as deferred until then */
    uint64_t late;                 /* atomic; and these, which readers took afterwards */
    unsigned long epoch;           /* for ThreadSanitizer */
    /* Asked after the grace period: the user's code will run, on RCU's worker only. NULL: never. */
    bool (*has_cleanups)(struct hri_retired *item);
    uint32_t process; /* atomic; how often that one was forked which counts the bytes */
    uint32_t record;  /* bytes of all that it is part of; 0: a barrier's marker, in no figure */
};

/* What one flavour holds back for one provider; made at first use, lives as long as the provider. The first one of a
 * flavour creates RCU's worker thread. NULL, ENOMEM: no record, or more than HRI_PROVIDER_DOMAINS flavours. */
struct hri_domain *hri_domain_get(harena_provider *provider,
                                  const struct rcu_flavor_struct *flavor);

const struct rcu_flavor_struct *hri_domain_flavor(const struct hri_domain *domain);

/* Puts an item, which no new reader can find any more, on the list of what waits for readers. `name` for the event
 * above the provider's deferred_limit. Waits for nobody; allocates nothing, but for a record after a fork. */
void hri_retire(struct hri_domain *domain, struct hri_retired *item, const char *name);

/* A reader has taken so many bytes more for what the item stands for, which is retired, or about to be. The item's
 * `process` is there already. */
void hri_retired_grow(harena_provider *provider, struct hri_retired *item, uint64_t bytes);

/* Whether `bytes` more, or a record of `record` bytes more, would be too much for the provider's deferred_limit. Each is
 * bounded by itself: a limit of so many chunks is one of so many chunks, and resets of what holds none end, too. */
bool hri_retire_would_exceed(const harena_provider *provider, uint64_t bytes, uint64_t record);

#endif
