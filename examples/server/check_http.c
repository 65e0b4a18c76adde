/* SPDX-License-Identifier: BSD-2-Clause */
/* Sends requests and reads answers over one socket. */
#include "check_http.h"

#include "check_data.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WAIT_SECONDS = 20, FIRST_ROOM = 1 << 16 };

void connection_init(struct connection *c, uint16_t port)
{
    *c = (struct connection){.port = port, .fd = -1};
    c->room = FIRST_ROOM;
    c->buffer = must(malloc(c->room));
}

void http_hang_up(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void connection_close(struct connection *c)
{
    http_hang_up(c);
    free(c->buffer);
    c->buffer = NULL;
}

bool http_connect(struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(c->port)};
    const struct timeval wait = {WAIT_SECONDS, 0};
    const int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->used = false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) == 0)
        return true;
    http_hang_up(c);
    return false;
}

bool http_send(struct connection *c, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(c->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

bool http_begin(struct connection *c, const char *target, const char *body, size_t length,
                size_t first)
{
    char head[256];
    int head_length = snprintf(head, sizeof head,
                               "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n",
                               target, length);
    return (c->fd >= 0 || http_connect(c)) && http_send(c, head, (size_t)head_length) &&
           http_send(c, body, first);
}

/* Reads until the buffer holds `need` bytes (or, for need 0, some more); false: it ended before. */
static bool fill(struct connection *c, size_t *have, size_t need)
{
    bool once = need == 0;
    while (once || *have < need) {
        if (c->room - *have < 4096 || c->room < need + 1)
            c->buffer = must(realloc(c->buffer, c->room = 2 * c->room + need));
        ssize_t got = recv(c->fd, c->buffer + *have, c->room - *have - 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        *have += (size_t)got;
        c->buffer[*have] = '\0';
        once = false;
    }
    return true;
}

/* The value of a header line that begins with `name`; ends the line with '\0'. */
static char *header(char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    char *value = line + length + 1;
    return value + strspn(value, " \t");
}

/* Reads the lines of the head, which ends at `end`. False: no content length. */
static bool parse_head(char *head, const char *end, struct answer *answer)
{
    bool sized = false;
    char *next = head;
    for (char *line = head; line < end; line = next) {
        char *stop = strstr(line, "\r\n"), *value;
        *stop = '\0';
        next = stop + 2;
        if ((value = header(line, "Content-Length")) != NULL) {
            answer->length = strtoul(value, NULL, 10);
            sized = true;
        } else if ((value = header(line, "Connection")) != NULL) {
            answer->closes = strcasecmp(value, "close") == 0;
        } else if ((value = header(line, "Content-Type")) != NULL) {
            answer->json = strcmp(value, "application/json") == 0;
        } else if ((value = header(line, "Retry-After")) != NULL) {
            answer->retries = strtoul(value, NULL, 10) > 0;
        } else if ((value = header(line, "Allow")) != NULL) {
            answer->allow = value;
        }
    }
    return sized;
}

bool http_read(struct connection *c, bool head, struct answer *answer, const char **why)
{
    *answer = (struct answer){0};
    size_t have = 0;
    char *end;
    c->buffer[0] = '\0';
    do {
        if (!fill(c, &have, 0)) {
            *why = have == 0 ? "closed without an answer" : "closed within the head";
            return false;
        }
    } while (!(end = strstr(c->buffer, "\r\n\r\n")));
    size_t head_length = (size_t)(end - c->buffer) + 4;
    /* The length first, the rest when the buffer does not move any more. */
    char *length = strcasestr(c->buffer, "\r\nContent-Length:");
    size_t body = length && length < end && !head ? strtoul(length + 17, NULL, 10) : 0;
    if (!fill(c, &have, head_length + body) && have < head_length + body) {
        *why = "closed within the body";
        return false;
    }
    bool sized = parse_head(c->buffer, c->buffer + head_length - 2, answer);
    if (sscanf(c->buffer, "HTTP/1.1 %u", &answer->status) != 1 || !sized ||
        have != head_length + body) {
        *why = "not the HTTP that was expected";
        return false;
    }
    answer->body = c->buffer + head_length;
    answer->length = body;
    c->used = true;
    return true;
}

static bool ask_once(struct connection *c, const char *method, const char *target, const char *body,
                     size_t length, struct answer *answer, const char **why)
{
    char head[4096];
    int head_length =
        snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", method, target);
    if (body)
        head_length += snprintf(head + head_length, sizeof head - (size_t)head_length,
                                "Content-Length: %zu\r\n", length);
    head_length += snprintf(head + head_length, sizeof head - (size_t)head_length, "\r\n");
    c->buffer[0] = '\0'; /* nothing of an answer has come yet */
    *why = "cannot connect";
    if (c->fd < 0 && !http_connect(c))
        return false;
    *why = "closed while sending";
    if (!http_send(c, head, (size_t)head_length) || (body && !http_send(c, body, length)))
        return false;
    return http_read(c, strcmp(method, "HEAD") == 0, answer, why);
}

bool http_ask(struct connection *c, const char *method, const char *target, const char *body,
              size_t length, struct answer *answer, const char **why)
{
    bool kept = c->fd >= 0 && c->used;
    bool done = ask_once(c, method, target, body, length, answer, why);
    if (!done && kept && c->buffer[0] == '\0') {
        /* A server may close a kept connection just as the next request is sent. */
        http_hang_up(c);
        c->reconnects++;
        done = ask_once(c, method, target, body, length, answer, why);
    }
    if (!done || answer->closes)
        http_hang_up(c);
    return done;
}
