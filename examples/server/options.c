/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the command line. */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] =
    "Usage: harena-server [OPTION]...\n"
    "Serves Debian's iso-codes as JSON over HTTP; its memory comes from Harena.\n"
    "\n"
    "  --port N       port to listen on; 0 takes a free one (default 8080)\n"
    "  --bind ADDR    IPv4 address to listen on (default 127.0.0.1)\n"
    "  --threads N    worker threads, 1 to 256 (default 4)\n"
    "  --data DIR     where iso_3166-2.json and iso_639-3.json are\n"
    "                 (default /usr/share/iso-codes/json)\n"
    "  --window MS    reset the table of what was asked every MS milliseconds;\n"
    "                 0 never does (default 60000)\n"
    "  --limit SIZE   hard limit of all arenas together, in bytes or with KiB, MiB, GiB;\n"
    "                 0 sets none (default 0). What finds no memory is answered with 503\n"
    "  --soft-limit SIZE\n"
    "                 above it free memory goes back to the system at once (default 0)\n"
    "  --deferred-limit SIZE\n"
    "                 no window is reset while readers hold back more (default 0)\n"
    "  --help         this text\n"
    "\n"
    "The first line on standard output is \"port N\". SIGHUP reloads the data, SIGTERM and\n"
    "SIGINT finish the requests in flight, print the final figures and exit: 0 when no memory\n"
    "was left in use, 1 when some was, 2 for a wrong command line, 3 when it could not start.\n";

/* A whole number up to `max` with nothing after it but, where `suffix` is given, that. */
static bool parse_number(const char *text, unsigned long long max, const char **suffix,
                         unsigned long long *number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false; /* strtoull would take blanks and signs */
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (suffix)
        *suffix = end;
    return errno == 0 && *number <= max && (suffix || *end == '\0');
}

static bool parse_unsigned(const char *text, unsigned max, unsigned *value)
{
    unsigned long long number;
    if (!parse_number(text, max, NULL, &number))
        return false;
    *value = (unsigned)number;
    return true;
}

static bool parse_port(const char *text, uint16_t *port)
{
    unsigned value;
    if (!parse_unsigned(text, UINT16_MAX, &value))
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool parse_size(const char *text, size_t *size)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    unsigned long long number;
    const char *suffix;
    if (!parse_number(text, SIZE_MAX, &suffix, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(suffix, units[i].name) == 0 && number <= SIZE_MAX >> units[i].shift) {
            *size = (size_t)number << units[i].shift;
            return true;
        }
    }
    return false;
}

static bool parse_address(const char *text, const char **address)
{
    struct in_addr ignored;
    *address = text;
    return inet_pton(AF_INET, text, &ignored) == 1;
}

/* One option; false if its value is no good. */
static bool take(struct options *options, int which, const char *value)
{
    switch (which) {
    case 'p':
        return parse_port(value, &options->port);
    case 'b':
        return parse_address(value, &options->bind);
    case 't':
        return parse_unsigned(value, OPTIONS_MAX_THREADS, &options->threads) &&
               options->threads > 0;
    case 'd':
        options->data = value;
        return true;
    case 'w':
        return parse_unsigned(value, 1000u * 60 * 60 * 24, &options->window_ms);
    case 's':
        return parse_size(value, &options->soft_limit);
    case 'e':
        return parse_size(value, &options->deferred_limit);
    default:
        return parse_size(value, &options->limit);
    }
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {{"port", required_argument, NULL, 'p'},
                                          {"bind", required_argument, NULL, 'b'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"window", required_argument, NULL, 'w'},
                                          {"limit", required_argument, NULL, 'l'},
                                          {"soft-limit", required_argument, NULL, 's'},
                                          {"deferred-limit", required_argument, NULL, 'e'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct options){.bind = "127.0.0.1",
                                .data = "/usr/share/iso-codes/json",
                                .port = 8080,
                                .threads = 4,
                                .window_ms = 60000};
    int which, index = 0;
    while ((which = getopt_long(argc, argv, "", names, &index)) != -1) {
        if (which == 'h') {
            fputs(HELP, stdout);
            return OPTIONS_HELP;
        }
        if (which == '?')
            return OPTIONS_WRONG;
        if (!take(options, which, optarg)) {
            fprintf(stderr, "harena-server: --%s: not a value for it: '%s'\n", names[index].name,
                    optarg);
            return OPTIONS_WRONG;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "harena-server: no such argument: '%s' (--help lists them)\n",
                argv[optind]);
        return OPTIONS_WRONG;
    }
    if (options->limit != 0 && options->soft_limit > options->limit) {
        fputs("harena-server: --soft-limit is above --limit\n", stderr);
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}
