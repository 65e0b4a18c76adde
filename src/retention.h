/* SPDX-License-Identifier: BSD-2-Clause */
/* What of the free memory stays warm, and what goes back to the OS when. Layer 3. */
#ifndef HRI_RETENTION_H
#define HRI_RETENTION_H
#include "provider.h"

#define HRI_TICK_MS 1000u

/* Gives at most one block back, if some are due. For request paths, behind a look at `due`. */
void hri_retention_step(harena_provider *provider);

/* Does what is due once a second, if a second has passed: a look at the clock. Gives nothing back itself. */
void hri_retention_look(harena_provider *provider);

static inline void hri_retention_poll(harena_provider *p)
{
    if (HRI_UNLIKELY(hri_load_relaxed(&p->due) != 0)) /* relaxed: a hint */
        hri_retention_step(p);
}

/* Use has passed the soft limit by so many bytes: as much of what is free is due. */
void hri_retention_press(harena_provider *provider, uint64_t bytes);

/* A chunk or run was put while use is above the soft limit: its block goes back if it is free now, or several are due. */
void hri_retention_put_above_soft(harena_provider *provider, uint32_t chunk, uint32_t length);

/* Gives free memory back, whole blocks first, until `length` chunks can be charged, or nothing is left to give; nothing if
 * even all of it would not do. False: the OS takes nothing back. *seen is raised once for each block or chunk that this
 * tried, in vain or not: so the caller does not take what it did itself for another's. */
bool hri_retention_make_room(harena_provider *provider, uint32_t length, uint32_t *seen);

#endif
