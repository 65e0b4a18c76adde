/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantine: what guarded arenas give back cannot be touched for a while, and who does is told whose it was. Layer 3. */
#ifndef HRI_GUARD_H
#define HRI_GUARD_H
#include "provider.h"

/* As hri_run_put, by an arena called `name`. The memory is unreadable and nobody else's until so much has followed, until
 * a limit or the OS would refuse memory for its sake, until some seconds, a trim to 0 or the provider's end. `how`, a constant: what was done
 * with the arena ("reset", "release"). What is in quarantine is in use, under a name of its own. Any thread. */
void hri_guard_put(harena_provider *provider, uint32_t chunk, const char *name, const char *how);

/* Ends all quarantine now. False: there was none. Any thread. */
bool hri_guard_flush(harena_provider *provider);

/* Records of arenas that have been released: each keeps its place until HRI_GUARD_KEPT more of its kind have come. What
 * has fallen out, for the slab; NULL: nothing. */
enum hri_guard_kind { HRI_GUARD_ARENA, HRI_GUARD_SHARED, HRI_GUARD_KINDS };
enum { HRI_GUARD_KEPT = 256 };
void *hri_guard_keep(harena_provider *provider, enum hri_guard_kind kind, void *record);

/* Something was done with an arena that was released already, or is in another `state` that does not allow it: an event, if
 * there is a provider, and, if `is_told`, a line on standard error. */
void hri_guard_misuse(const harena_provider *provider, const char *name, const char *call,
                      const char *state, bool is_told);

/* Ends the quarantine of what has been in it for long. Any thread; once a second. */
void hri_guard_age(harena_provider *provider);

/* Whether anything is in quarantine. */
bool hri_guard_holds(harena_provider *provider);

/* The provider is about to go. */
void hri_guard_end(harena_provider *provider);

#endif
