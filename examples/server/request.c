/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a request: a worker has many in flight, so each has an arena of its own. It is taken
 * at libmicrohttpd's first callback and reset when both the request is completed and the response
 * is destroyed, whichever comes last: until then the library may send from the arena. */
#include "request.h"

#include "json.h"
#include "router.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

/* What is read and thrown away of a body that is too large. A client that sends it all before it
 * reads gets its 413 and keeps its connection; one that sends more than this is cut off. */
enum { MAX_THROWN_AWAY = 16 << 20 };

static const char NO_MEMORY[] = "{\"error\":{\"status\":503,\"message\":\"out of memory\"}}";
static struct MHD_Response *no_memory_responses[2]; /* [1] closes the connection, too */

/* What libmicrohttpd keeps of a request: the request; of one that got no arena, how much of its body
 * has come, with the lowest bit set. */
static void *without_memory(size_t body_seen)
{
    return (void *)(uintptr_t)(body_seen << 1 | 1);
}

static bool has_memory(const void *state)
{
    return ((uintptr_t)state & 1) == 0;
}

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static struct MHD_Response *make_no_memory_response(void)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        sizeof NO_MEMORY - 1, (void *)(uintptr_t)NO_MEMORY, MHD_RESPMEM_PERSISTENT);
    if (response && add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json") &&
        add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1"))
        return response;
    if (response)
        MHD_destroy_response(response);
    return NULL;
}

bool request_setup(void)
{
    for (int i = 0; i < 2; i++) {
        no_memory_responses[i] = make_no_memory_response();
        if (!no_memory_responses[i])
            return false;
    }
    return add_header(no_memory_responses[1], MHD_HTTP_HEADER_CONNECTION, "close");
}

void request_teardown(void)
{
    for (int i = 0; i < 2; i++) {
        if (no_memory_responses[i])
            MHD_destroy_response(no_memory_responses[i]);
        no_memory_responses[i] = NULL;
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* answers */

static void answer_text(struct request *request, unsigned status, const char *text)
{
    request->status = status;
    request->text = text;
    request->length = strlen(text);
}

void answer_no_memory(struct request *request)
{
    request->content_type = "application/json";
    answer_text(request, MHD_HTTP_SERVICE_UNAVAILABLE, NO_MEMORY);
}

void answer_json(struct request *request, unsigned status, const cJSON *value, size_t expected)
{
    /* An arena remembers a failure: handlers build their answer without looking at each step, and
     * what lacks a piece is never sent. */
    const char *text = harena_failed(request->arena) ? NULL : json_print(value, expected);
    if (text)
        answer_text(request, status, text);
    else
        answer_no_memory(request);
}

void answer_error(struct request *request, unsigned status, const char *message)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddNumberToObject(error, "status", status);
    cJSON_AddStringToObject(error, "message", message);
    answer_json(request, status, root, 128);
}

/* life */

static void let_go(struct request *request)
{
    if (--request->holders == 0)
        worker_arena_give(request->arena); /* the request itself is gone with this */
}

static void response_destroyed(void *cls)
{
    let_go(cls);
}

static size_t announced_length(struct MHD_Connection *connection)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text ? (size_t)strtoull(text, NULL, 10) : 0; /* libmicrohttpd has checked it */
}

/* Whether a body follows whose length is not known before it has come. */
static bool is_chunked(struct MHD_Connection *connection)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* In its arena; harena_failed() tells whether a piece is missing. */
static struct request *fill_arena(harena *arena, struct server *server,
                                  struct MHD_Connection *connection, const char *url,
                                  const char *method)
{
    struct request *request = harena_new_zeroed(arena, struct request);
    if (!request)
        return NULL;
    request->arena = arena;
    request->server = server;
    request->connection = connection;
    request->holders = 1;
    request->started_ns = now_ns();
    request->content_type = "application/json";
    request->path = harena_strdup(arena, url);
    request->method = harena_strdup(arena, method);
    size_t announced = announced_length(connection);
    if (announced > 0 && announced <= REQUEST_MAX_BODY) {
        request->body = harena_alloc(arena, announced + 1);
        request->body_room = request->body ? announced : 0;
    }
    return request;
}

/* NULL: out of memory, and nothing is held while the client sends its body. */
static struct request *make_request(struct server *server, struct MHD_Connection *connection,
                                    const char *url, const char *method)
{
    bool has_body = announced_length(connection) > 0 || is_chunked(connection);
    harena *arena = worker_arena_take(server->provider, has_body);
    if (!arena)
        return NULL;
    struct request *request = fill_arena(arena, server, connection, url, method);
    if (!harena_failed(arena))
        return request;
    worker_arena_give(arena);
    return NULL;
}

static bool make_room(struct request *request, size_t need)
{
    size_t room = request->body_room ? request->body_room : 2048;
    while (room < need)
        room *= 2;
    if (room == request->body_room)
        return true;
    size_t old = request->body ? request->body_room + 1 : 0;
    char *body = harena_realloc(request->arena, request->body, old, room + 1);
    if (!body)
        return false;
    request->body = body;
    request->body_room = room;
    return true;
}

/* Whether the client has hung up in the middle of its body. libmicrohttpd 0.9.75 learns of it by the
 * next edge that epoll tells of; an end that came with the last piece makes none, and the request
 * would hold its memory until the connection times out. */
static bool has_hung_up(struct MHD_Connection *connection, size_t body_seen)
{
    if (body_seen >= announced_length(connection))
        return false; /* complete, or chunked, of which nobody knows: a client may end its half then */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    return info && recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Takes a piece of the body; false cuts the connection. */
static bool take_body(struct request *request, const char *piece, size_t size)
{
    request->body_seen += size;
    if (request->body_refused || request->body_seen > REQUEST_MAX_BODY) {
        request->body_refused = true;
        return request->body_seen <= MAX_THROWN_AWAY;
    }
    /* Without memory the body is read to its end all the same, for the 503 to arrive. */
    if (harena_failed(request->arena) || !make_room(request, request->body_length + size))
        return true;
    memcpy(request->body + request->body_length, piece, size);
    request->body_length += size;
    request->body[request->body_length] = '\0';
    return true;
}

/* The same for any request. */
static bool take_piece(struct MHD_Connection *connection, void **state, const char *piece,
                       size_t size)
{
    if (has_memory(*state)) {
        struct request *request = *state;
        return take_body(request, piece, size) && !has_hung_up(connection, request->body_seen);
    }
    size_t seen = ((uintptr_t)*state >> 1) + size;
    *state = without_memory(seen);
    return seen <= MAX_THROWN_AWAY && !has_hung_up(connection, seen);
}

static bool is_draining(const struct server *server)
{
    return atomic_load_explicit(&server->draining, memory_order_relaxed);
}

static enum MHD_Result send_no_memory(const struct server *server,
                                      struct MHD_Connection *connection)
{
    return MHD_queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                              no_memory_responses[is_draining(server)]);
}

static bool add_headers(const struct request *request, struct MHD_Response *response)
{
    if (!add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type))
        return false;
    if (request->allow && !add_header(response, MHD_HTTP_HEADER_ALLOW, request->allow))
        return false;
    return !is_draining(request->server) ||
           add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

static enum MHD_Result send_answer(struct request *request)
{
    if (request->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        return send_no_memory(request->server, request->connection);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        request->length, (void *)(uintptr_t)request->text, response_destroyed, request);
    if (!response) {
        answer_no_memory(request);
        return send_no_memory(request->server, request->connection);
    }
    request->holders++;
    enum MHD_Result result = MHD_NO;
    if (add_headers(request, response))
        result = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response); /* libmicrohttpd keeps its own reference while it sends */
    return result;
}

static enum MHD_Result answer(struct request *request)
{
    harena *before = harena_current_set(request->arena);
    if (request->body_refused)
        answer_error(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than 1 MiB");
    else if (harena_failed(request->arena))
        answer_no_memory(request);
    else
        router_answer(request);
    harena_current_set(before);
    /* What found no memory asks for none here either. */
    if (request->asked && request->status != MHD_HTTP_SERVICE_UNAVAILABLE)
        window_record(&request->server->window, request->asked, request->length);
    return send_answer(request);
}

static enum MHD_Result begin(struct server *server, struct MHD_Connection *connection,
                             const char *url, const char *method, void **state)
{
    counter_add(&worker_self()->started, 1);
    struct request *request = make_request(server, connection, url, method);
    if (!request) {
        *state = without_memory(0);
        return MHD_YES; /* its body is read, for the 503 to arrive */
    }
    *state = request;
    const char *expect =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    request->body_refused = announced_length(connection) > REQUEST_MAX_BODY;
    /* This client asks before it sends: answered now, it need not send. */
    if (request->body_refused && expect && strcasecmp(expect, "100-continue") == 0)
        return answer(request);
    return MHD_YES;
}

enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_size, void **state)
{
    (void)version;
    if (!*state)
        return begin(cls, connection, url, method, state);
    if (*upload_size != 0) {
        size_t size = *upload_size;
        *upload_size = 0;
        return take_piece(connection, state, upload_data, size) ? MHD_YES : MHD_NO;
    }
    return has_memory(*state) ? answer(*state) : send_no_memory(cls, connection);
}

void request_completed(void *cls, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode why)
{
    (void)cls, (void)connection, (void)why;
    void *kept = *state;
    *state = NULL;
    if (!kept)
        return;
    if (!has_memory(kept)) {
        worker_count_answer(MHD_HTTP_SERVICE_UNAVAILABLE, sizeof NO_MEMORY - 1, 0);
        return;
    }
    struct request *request = kept;
    worker_count_answer(request->status, request->length, (now_ns() - request->started_ns) / 1000);
    let_go(request);
}
