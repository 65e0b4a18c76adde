/* SPDX-License-Identifier: BSD-2-Clause */
/* jansson values in the current arena of the calling thread. Layer 8.
 *
 * Not for jansson 2.14.1 and later, unless configured with --disable-dtoa: it keeps memory of its hooks for ever, in statics.
 * Its parser (2.14) does not survive that a larger request is refused and a smaller one served, as an arena does that is
 * nearly full: it must have no limit that it can meet.
 * What json_dumps returns is the arena's, too: never for free(). */
#ifndef HARENA_ADAPTERS_JANSSON_H
#define HARENA_ADAPTERS_JANSSON_H
#include <harena/arena.h>
#include <jansson.h>

static inline void *harena_jansson_alloc(size_t size)
{
    return harena_alloc(harena_current(), size);
}

static inline void harena_jansson_free(void *at)
{
    (void)at;
}

/* For the whole process, once: from then on each thread that uses jansson needs a current arena (harena_current_set);
 * without one there is no memory. */
static inline void harena_jansson_use(void)
{
    json_set_alloc_funcs(harena_jansson_alloc, harena_jansson_free);
}

#endif
