/* SPDX-License-Identifier: BSD-2-Clause */
/* One request in flight: its arena, what was asked, and the answer. */
#ifndef EXAMPLES_SERVER_REQUEST_H
#define EXAMPLES_SERVER_REQUEST_H

#include "server.h"

#include <cjson/cJSON.h>
#include <microhttpd.h>

enum { REQUEST_MAX_BODY = 1 << 20 };

/* Lies in its own arena, as does everything that it points to. */
struct request {
    harena *arena;
    struct server *server;
    struct MHD_Connection *connection;
    int holders; /* until the last one lets go: MHD's request, MHD's response. One thread. */
    uint64_t started_ns;
    const char *path, *method;
    char *body; /* body[body_length] is '\0' */
    size_t body_length, body_room;
    size_t body_seen;  /* with what was thrown away */
    bool body_refused; /* too large */
    const char *asked; /* key in the window; NULL: not recorded */
    /* The answer. */
    unsigned status;
    const char *text;
    size_t length;
    const char *content_type;
    const char *allow; /* for 405 */
};

/* libmicrohttpd's callbacks; cls is the server. */
enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_size, void **state);
void request_completed(void *cls, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode why);

/* The answer to a request without memory; made once, so that it needs none. */
bool request_setup(void);
void request_teardown(void);

/* How a handler answers. All of them survive a full arena: then the answer is 503. */
void answer_json(struct request *request, unsigned status, const cJSON *value, size_t expected);
void answer_error(struct request *request, unsigned status, const char *message);
void answer_no_memory(struct request *request);

#endif
