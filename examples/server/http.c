/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs libmicrohttpd: a pool of workers, each with its own epoll set. */
#include "http.h"

#include "request.h"
#include "worker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_PER_THREAD = 256, IDLE_SECONDS = 30, BACKLOG = 1024 };

struct http {
    struct MHD_Daemon *daemon;
    struct server *server;
};
static struct http the_http;

static struct MHD_Daemon *start_daemon(struct server *server)
{
    const struct options *options = &server->options;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    inet_pton(AF_INET, options->bind, &address.sin_addr);
    /* A pool of one is no pool to libmicrohttpd. */
    unsigned pool = options->threads > 1 ? options->threads : 0;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, options->port, NULL, NULL, request_handle,
        server, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_NOTIFY_COMPLETED,
        request_completed, server, MHD_OPTION_THREAD_POOL_SIZE, pool, MHD_OPTION_CONNECTION_LIMIT,
        options->threads * CONNECTIONS_PER_THREAD, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_SECONDS, MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)BACKLOG,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
}

struct http *http_start(struct server *server)
{
    struct http *http = &the_http;
    http->server = server;
    if (!request_setup()) {
        fputs("harena-server: out of memory\n", stderr);
        request_teardown();
        return NULL;
    }
    http->daemon = start_daemon(server);
    if (http->daemon)
        return http;
    fprintf(stderr, "harena-server: cannot listen on %s port %u\n", server->options.bind,
            (unsigned)server->options.port);
    request_teardown();
    return NULL;
}

uint16_t http_port(const struct http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

static uint64_t in_flight(void)
{
    struct worker_sums sums = worker_sum();
    return sums.started - sums.completed;
}

static unsigned connections(const struct http *http)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}

/* Answers now close their connection, so connections end one by one. One that is kept alive and
 * silent is given a moment: its client may be about to send, and has not been told. */
static void wait_until_quiet(const struct http *http, unsigned patience_ms)
{
    enum { STEP_MS = 5, SILENCE_MS = 250 };
    const struct timespec step = {0, STEP_MS * 1000000L};
    unsigned silent_ms = 0;
    for (unsigned waited = 0; waited < patience_ms; waited += STEP_MS) {
        silent_ms = in_flight() == 0 ? silent_ms + STEP_MS : 0;
        if (silent_ms > 0 && (connections(http) == 0 || silent_ms > SILENCE_MS))
            return;
        nanosleep(&step, NULL);
    }
}

uint64_t http_drain(struct http *http, unsigned patience_ms)
{
    atomic_store_explicit(&http->server->draining, true, memory_order_relaxed);
    int listening = MHD_quiesce_daemon(http->daemon);
    if (listening >= 0)
        shutdown(listening, SHUT_RDWR); /* refuse at once; closed only when the workers ended */
    wait_until_quiet(http, patience_ms);
    uint64_t cut_off = in_flight();
    MHD_stop_daemon(http->daemon);
    if (listening >= 0)
        close(listening);
    request_teardown();
    return cut_off;
}
