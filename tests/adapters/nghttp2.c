/* SPDX-License-Identifier: BSD-2-Clause */
/* A client and a server session: a request with many headers, and its answer. Needs: libnghttp2. */
#include "adapter.h"
#include <harena/adapters/nghttp2.h>

struct seen {
    size_t headers, requests;
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *ctx)
{
    struct seen *seen = ctx;

    (void)session, (void)frame, (void)name, (void)name_length, (void)value, (void)value_length,
        (void)flags;
    seen->headers++;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct seen *seen = ctx;

    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        seen->requests++;
    return 0;
}

static void carry(nghttp2_session *from, nghttp2_session *to)
{
    const uint8_t *bytes;
    ssize_t size;

    while ((size = nghttp2_session_mem_send(from, &bytes)) > 0)
        CHECK(nghttp2_session_mem_recv(to, bytes, (size_t)size) == size);
    CHECK(size == 0);
}

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1,                \
            NGHTTP2_NV_FLAG_NONE                                                                   \
    }

static void work(harena *a, const char *text, size_t size)
{
    nghttp2_mem memory = harena_nghttp2_memory(a);
    nghttp2_nv fields[] = {FIELD(":method", "GET"), FIELD(":path", "/"), FIELD(":scheme", "http"),
                           FIELD(":authority", "localhost"), FIELD("x-text", "")};
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *client, *server;
    struct seen seen = {0, 0};

    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    CHECK(nghttp2_session_client_new3(&client, callbacks, &seen, NULL, &memory) == 0);
    CHECK(nghttp2_session_server_new3(&server, callbacks, &seen, NULL, &memory) == 0);
    CHECK(harena_contains(a, client) && harena_contains(a, server));
    CHECK(nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0) == 0);
    CHECK(nghttp2_submit_settings(server, NGHTTP2_FLAG_NONE, NULL, 0) == 0);
    for (size_t i = 0; i < 50; i++) {
        fields[4].value = (uint8_t *)harena_printf(a, "%zu of %zu", i, size + (text != NULL));
        fields[4].valuelen = strlen((char *)fields[4].value);
        CHECK(nghttp2_submit_request(client, NULL, fields, 5, NULL, NULL) > 0);
        carry(client, server);
        carry(server, client);
    }
    CHECK(seen.requests == 50 && seen.headers == 250);
    nghttp2_session_del(client);
    nghttp2_session_del(server);
    nghttp2_session_callbacks_del(callbacks);
}

/* What is too large for any arena is a failure of this one. */
static void refuse(void)
{
    harena *a = harena_create(NULL);
    const nghttp2_mem memory = harena_nghttp2_memory(a);
    void *at = memory.malloc(100, memory.mem_user_data);

    CHECK(a != NULL && at != NULL && !harena_failed(a));
    CHECK(memory.calloc(SIZE_MAX / 2, 3, memory.mem_user_data) == NULL && harena_failed(a));
    harena_clear_failed(a);
    CHECK(memory.realloc(at, SIZE_MAX - 8, memory.mem_user_data) == NULL && harena_failed(a));
    harena_release(a);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    refuse();
    return 0;
}
