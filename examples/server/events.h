/* SPDX-License-Identifier: BSD-2-Clause */
/* What the provider tells of: what it refused, and which limits were passed, by kind. */
#ifndef EXAMPLES_SERVER_EVENTS_H
#define EXAMPLES_SERVER_EVENTS_H

#include <harena.h>

#include <stdatomic.h>
#include <stdint.h>

enum { EVENT_KINDS = HARENA_EVENT_MISUSE + 1 }; /* by_kind[0]: kinds of a later library */

struct events {
    _Atomic uint64_t by_kind[EVENT_KINDS];
};

/* The provider's listener; ctx: a struct events. Any thread, in the middle of an allocation. */
void events_count(void *ctx, const harena_event *event);

/* A kind as figures call it. */
const char *events_name(unsigned kind);

#endif
