/* SPDX-License-Identifier: BSD-2-Clause */
/* How much a provider defers: of chunks and runs, and of records. Layer 3.
 *
 * The upper bits of a word say which process counts. In the child of a fork the parent's count says nothing: a thread
 * that is not there may have counted what it had not put on a list, or had in its hands what it had taken from one, and
 * nobody would ever subtract that. So the child begins at zero, and what was retired before is in use until it is
 * reclaimed. */
#ifndef HRI_DEFERRED_H
#define HRI_DEFERRED_H
#include "provider.h"
#include "thread.h"

#define HRI_DEFERRED_BITS 48

/* Nothing, as this process counts. */
static inline uint64_t hri_deferred_none(void)
{
    return (uint64_t)hri_thread_forks() << HRI_DEFERRED_BITS;
}

static inline bool hri_deferred_is_own(uint64_t deferred)
{
    return (deferred ^ hri_deferred_none()) >> HRI_DEFERRED_BITS == 0;
}

static inline uint64_t hri_deferred_bytes(uint64_t deferred)
{
    return hri_deferred_is_own(deferred) ? deferred - hri_deferred_none() : 0;
}

static inline void hri_deferred_add(uint64_t *deferred, uint64_t bytes)
{
    uint64_t seen = hri_load_relaxed(deferred); /* relaxed: a figure, here and below */

    while (HRI_UNLIKELY(!hri_deferred_is_own(seen)) &&
           !hri_cas_relaxed(deferred, &seen, hri_deferred_none()))
        continue;
    hri_fetch_add_relaxed(deferred, bytes);
}

#endif
