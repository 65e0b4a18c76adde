/* SPDX-License-Identifier: BSD-2-Clause */
/* The HTTP daemon: start, drain, stop. */
#ifndef EXAMPLES_SERVER_HTTP_H
#define EXAMPLES_SERVER_HTTP_H

#include "server.h"

#include <stdint.h>

struct http;

/* Listens and answers. NULL: it cannot; it has said why. */
struct http *http_start(struct server *server);
uint16_t http_port(const struct http *http);

/* Stops accepting, lets the requests in flight finish for up to `patience_ms`, ends the workers.
 * Returns how many requests had to be cut off. */
uint64_t http_drain(struct http *http, unsigned patience_ms);

#endif
