/* SPDX-License-Identifier: BSD-2-Clause */
/* What retiring (retire.c) and waiting for it (barrier.c) share: the lists of one RCU flavour of one provider. Layer 4. */
#ifndef HRI_DOMAIN_H
#define HRI_DOMAIN_H
#include "retire.h"
#include "thread.h"

#include <urcu/call-rcu.h>

enum {
    HRI_SHARDS = 4, /* a power of two */
};

/* What RCU calls back. */
struct hri_call {
    struct rcu_head head;
    struct hri_shard *shard;
    uint32_t armed; /* the shard's, when RCU was given the head */
};

struct hri_shard {
    struct hri_retired *pending HRI_ALIGNED; /* atomic; newest first */
    uint32_t armed;                          /* atomic; 0, or in which process */
    struct hri_retired *batch
        HRI_ALIGNED;       /* atomic; what a grace period is waited for, newest first */
    struct hri_call *call; /* who has armed the shard uses it */
    struct hri_call first;
    struct hri_domain *domain;
};

/* An item that says, when it is reclaimed, that all before it are. */
struct hri_marker {
    struct hri_retired item;
    uint32_t *left;
};

/* Not on the stack of who waits: in the child of a fork the lists still hold the markers of a thread that is not there
 * any more, and its stack is used for other threads. */
struct hri_markers {
    struct hri_marker of[HRI_SHARDS];
    uint32_t left; /* atomic; markers that have not been reached */
};

struct hri_domain {
    const struct rcu_flavor_struct *flavor;
    harena_provider *provider;
    struct rcu_head first; /* of the empty callback that creates RCU's worker */
    uint32_t barrier;      /* atomic; 0: free, else 1 + the number of forks when it was locked */
    struct hri_retired *taken; /* under `barrier`: what a barrier has taken and not reclaimed yet */
    struct hri_markers *markers; /* under `barrier`: on no list; NULL: get new ones */
    struct hri_markers first_markers;
    struct hri_shard shards[HRI_SHARDS];
};

/* Not 0; another one in each child of a fork. */
static inline uint32_t hri_this_process(void)
{
    return hri_thread_forks() + 1;
}

/* Puts an item on the shard's list, and waits for a grace period unless somebody does. */
void hri_shard_push(struct hri_shard *shard, struct hri_retired *item);

/* Takes over all shards that were armed before a fork. False: no record for a head. */
bool hri_domain_take_over(struct hri_domain *domain);

/* No reader can reach the item any more: it is gone afterwards. */
void hri_domain_reclaim(struct hri_domain *domain, struct hri_retired *item);

/* Wakes requests at the hard limit that wait for memory: `reclaims` has been raised. */
void hri_tell_reclaims(harena_provider *provider);

struct hri_retired *hri_retired_reversed(struct hri_retired *items);

#endif
