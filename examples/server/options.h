/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line. */
#ifndef EXAMPLES_SERVER_OPTIONS_H
#define EXAMPLES_SERVER_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum { OPTIONS_MAX_THREADS = 256 };

struct options {
    const char *bind; /* IPv4 address */
    const char *data; /* directory of iso_3166-2.json and iso_639-3.json */
    uint16_t port;    /* 0: any free one */
    unsigned threads;
    unsigned window_ms;                       /* 0: the window is never reset */
    size_t limit, soft_limit, deferred_limit; /* bytes; 0: none */
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* Fills `options` from the command line; prints the help or what was wrong. */
enum options_result options_parse(struct options *options, int argc, char **argv);

#endif
