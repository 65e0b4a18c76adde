/* SPDX-License-Identifier: BSD-2-Clause */
/* A small HTTP/1.1 client: one connection, kept alive, every wait bounded. */
#ifndef EXAMPLES_SERVER_CHECK_HTTP_H
#define EXAMPLES_SERVER_CHECK_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection {
    uint16_t port;
    int fd;       /* -1: not connected */
    bool used;    /* an answer has come through this connection */
    char *buffer; /* the answer */
    size_t room;
    unsigned long reconnects;
};

struct answer {
    unsigned status;
    bool closes;       /* the server says that it closes the connection */
    bool json;         /* by its content type */
    bool retries;      /* the server says when to try again */
    const char *allow; /* of 405, NULL if none; valid until the next request */
    char *body;        /* ends with '\0'; valid until the next request */
    size_t length;
};

void connection_init(struct connection *c, uint16_t port);
void connection_close(struct connection *c);
/* Hangs up; the next request connects again. */
void http_hang_up(struct connection *c);

/* Sends a request and reads the answer; body NULL: none. False: no whole answer came, and
 * `why` says what happened. */
bool http_ask(struct connection *c, const char *method, const char *target, const char *body,
              size_t length, struct answer *answer, const char **why);

/* The parts of http_ask, for a client that takes its time. */
bool http_connect(struct connection *c);
bool http_send(struct connection *c, const char *bytes, size_t length);
/* POSTs a body of `length` bytes, of which only the first `first` are sent now. */
bool http_begin(struct connection *c, const char *target, const char *body, size_t length,
                size_t first);
bool http_read(struct connection *c, bool head, struct answer *answer, const char **why);

#endif
