/* SPDX-License-Identifier: BSD-2-Clause */
/* The server as one value: what every part of it is handed. */
#ifndef EXAMPLES_SERVER_H
#define EXAMPLES_SERVER_H

/* The flavour of RCU. This header comes before harena's, whose initializers take the flavour from
 * it, and every file of the server gets it from here, so that no two files can disagree.
 *
 * urcu-bp, because libmicrohttpd makes the worker threads and has no hook at their start: with
 * memb each of them would have to register first, and one that is forgotten would read without
 * protection, silently. bp registers a thread at its first read section. Its grace period takes
 * 10 to 20 ms while readers are busy, instead of microseconds; what waits for it here is one
 * window of statistics and one retired data set, a few MiB. */
#include <urcu-bp.h>

#include <harena.h>

#include <stdatomic.h>
#include <stdbool.h>

#include "data.h"
#include "events.h"
#include "options.h"
#include "window.h"

struct server {
    struct options options;
    harena_provider *provider; /* everything that requests, data and the window allocate */
    struct events events;      /* what the provider refused, and why */
    struct store store;        /* the published data */
    struct window window;      /* what was asked since the last reset */
    atomic_bool draining;      /* set once by main: answers now close their connection */
};

#endif
