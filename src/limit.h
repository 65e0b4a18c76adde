/* SPDX-License-Identifier: BSD-2-Clause */
/* The hard and the soft limit of a provider: charge, refund, refuse. Layer 3. */
#ifndef HRI_LIMIT_H
#define HRI_LIMIT_H
#include "provider.h"

/* Counts `chunks` that are about to become warm. False: the hard limit is against it; nothing is counted. May raise the
 * soft limit's event. */
bool hri_limit_charge(harena_provider *provider, uint64_t chunks);

/* Counts them off again: they hold no memory any more. */
void hri_limit_refund(harena_provider *provider, uint64_t chunks);

/* The same for what was charged and never held memory. */
void hri_limit_uncharge(harena_provider *provider, uint64_t chunks);

/* Chunks that may be charged now: a guess. */
uint64_t hri_limit_budget(const harena_provider *provider);

/* Bytes committed beyond the soft limit; 0: none. */
uint64_t hri_limit_above_soft(const harena_provider *provider);

/* Around each time that somebody takes free chunks, or charges, what may go back at once: a purge, a run that others may be
 * faster for. is_back: some of it is free again, or can be charged again. */
void hri_limit_begin_hold(harena_provider *provider);
void hri_limit_end_hold(harena_provider *provider, bool is_back);

/* The caller found no memory after `reclaims` of the provider was `seen`. Waits a moment for what others hold. True: it is
 * worth looking again, which is so a few times for a request: *waits counts them, from 0. */
bool hri_limit_wait_for_holders(harena_provider *provider, uint32_t seen, unsigned *waits);

/* Waits a moment for what others have in hand, after `reclaims` was `seen`. False: it has done so often enough for this
 * request, and has not waited; *waits counts, from 0. */
bool hri_limit_wait(harena_provider *provider, uint32_t seen, unsigned *waits);

/* Anything but success: counted, told, errno ENOMEM. Returns HRI_NO_CHUNK. */
uint32_t hri_limit_refuse(harena_provider *provider, enum harena_event_kind kind, int error,
                          size_t bytes, const char *name);

#endif
