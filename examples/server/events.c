/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts events: a listener must not call the library, and it delays the thread that is refused. */
#include "events.h"

void events_count(void *ctx, const harena_event *event)
{
    struct events *events = ctx;
    unsigned kind = (unsigned)event->kind < EVENT_KINDS ? (unsigned)event->kind : 0;
    atomic_fetch_add_explicit(&events->by_kind[kind], 1, memory_order_relaxed);
}

const char *events_name(unsigned kind)
{
    static const char *const names[EVENT_KINDS] = {
        [0] = "other",
        [HARENA_EVENT_LIMIT] = "limit",
        [HARENA_EVENT_SOFT_LIMIT] = "soft_limit",
        [HARENA_EVENT_DEFERRED_LIMIT] = "deferred_limit",
        [HARENA_EVENT_REGION_EXHAUSTED] = "region_exhausted",
        [HARENA_EVENT_OS_ERROR] = "os_error",
        [HARENA_EVENT_BAD_OPTION] = "bad_option",
        [HARENA_EVENT_MISUSE] = "misuse",
    };
    return names[kind];
}
