/* SPDX-License-Identifier: BSD-2-Clause */
/* Read sections of any liburcu flavour, and what ThreadSanitizer must be told of grace periods. Layer 4. */
#ifndef HRI_RCU_H
#define HRI_RCU_H
#include "base.h"

#include <urcu/flavor.h>

/* The flavour that stands for NULL: urcu-bp, which needs no registration. */
const struct rcu_flavor_struct *hri_rcu_or_default(const struct rcu_flavor_struct *flavor);

void hri_rcu_enter(const struct rcu_flavor_struct *flavor);
void hri_rcu_leave(const struct rcu_flavor_struct *flavor);

/* liburcu is not annotated for ThreadSanitizer, so a build for it is told what a grace period orders: what was read in
 * any section that began before the retirement comes before the reclaim. `epoch` travels with what is retired. These
 * are empty in other builds. */
void hri_rcu_note_retire(const struct rcu_flavor_struct *flavor, unsigned long *epoch);
void hri_rcu_note_reclaim(const struct rcu_flavor_struct *flavor, const unsigned long *epoch);

/* call_rcu, and what its callback says first: what came before the call comes before the callback. */
void hri_rcu_call(const struct rcu_flavor_struct *flavor, struct rcu_head *head,
                  void (*callback)(struct rcu_head *head));
void hri_rcu_called(struct rcu_head *head);

/* Waits until all callbacks that any thread has handed over before have returned. */
void hri_rcu_barrier(const struct rcu_flavor_struct *flavor);

/* What a callback says last, and what is said of it after a barrier. Empty in builds without ThreadSanitizer. */
void hri_rcu_note_return(struct rcu_head *head);
void hri_rcu_note_returned(struct rcu_head *head);

#endif
