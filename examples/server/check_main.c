/* SPDX-License-Identifier: BSD-2-Clause */
/* harena-server-check: asks a running harena-server and compares every answer with the data. */
#include "check.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char HELP[] =
    "Usage: harena-server-check --port N [OPTION]... [COMMAND]\n"
    "Checks every answer of a harena-server on 127.0.0.1 against the data.\n"
    "\n"
    "Commands:\n"
    "  load     every code, then a random mix (default)\n"
    "  exact    each request is counted once; the server must be fresh, with --window 0\n"
    "  drain    a request that is half sent when SIGTERM comes is answered\n"
    "  limit    a server whose --limit is too small gives 503, stays below it and goes on\n"
    "  broken   with broken data, a reload is refused and the old data stays\n"
    "  hangup   SIGHUP reloads the data\n"
    "\n"
    "  --port N        of the server\n"
    "  --pid N         of the server, for drain, broken and hangup\n"
    "  --limit N       of the server, in bytes, for limit\n"
    "  --resident      look at its resident memory, too, for limit with --pid\n"
    "  --seconds N     how long the load takes (default 3)\n"
    "  --threads N     clients at once (default 4)\n"
    "  --reload-ms N   reload the data so often (default 0: never)\n"
    "  --seed N        of all that is random (default: the time)\n"
    "  --data DIR      what to compare with (default /usr/share/iso-codes/json)\n"
    "  --progress      a line each second\n"
    "\n"
    "Ends with lines \"name value\" and exit status 0 if nothing was wrong, 1 if something was.\n";

static void wrong_use(const char *what)
{
    fprintf(stderr, "harena-server-check: %s (--help explains)\n", what);
    exit(2);
}

static unsigned long long number(const char *text, unsigned long long max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > max)
        wrong_use("not a number, or too large");
    return value;
}

static void take(struct check_options *options, int which, const char *value)
{
    switch (which) {
    case 'p':
        options->port = (uint16_t)number(value, UINT16_MAX);
        break;
    case 'i':
        options->pid = (pid_t)number(value, INT32_MAX);
        break;
    case 's':
        options->seconds = (unsigned)number(value, 1000000);
        break;
    case 't':
        options->threads = (unsigned)number(value, 1000);
        break;
    case 'r':
        options->reload_ms = (unsigned)number(value, 1000000);
        break;
    case 'e':
        options->seed = number(value, UINT64_MAX);
        break;
    case 'd':
        options->data = value;
        break;
    case 'l':
        options->limit = number(value, SIZE_MAX);
        break;
    case 'm':
        options->resident = true;
        break;
    case 'g':
        options->progress = true;
        break;
    case 'h':
        fputs(HELP, stdout);
        exit(0);
    default:
        wrong_use("no such option");
    }
}

static const char *parse(struct check_options *options, int argc, char **argv)
{
    static const struct option names[] = {{"port", required_argument, NULL, 'p'},
                                          {"pid", required_argument, NULL, 'i'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"reload-ms", required_argument, NULL, 'r'},
                                          {"seed", required_argument, NULL, 'e'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"limit", required_argument, NULL, 'l'},
                                          {"resident", no_argument, NULL, 'm'},
                                          {"progress", no_argument, NULL, 'g'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct check_options){.seconds = 3,
                                      .threads = 4,
                                      .seed = (uint64_t)time(NULL) * 1000 + (uint64_t)getpid(),
                                      .data = "/usr/share/iso-codes/json"};
    int which;
    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1)
        take(options, which, optarg);
    if (options->port == 0 || options->threads == 0 || argc - optind > 1)
        wrong_use("--port is missing, or there is too much");
    return optind < argc ? argv[optind] : "load";
}

static const struct {
    const char *name;
    bool needs_pid, needs_limit;
    void (*run)(struct client *total);
} COMMANDS[] = {{"exact", false, false, command_exact},
                {"drain", true, false, command_drain},
                {"limit", false, true, command_limit},
                {"broken", true, false, command_broken},
                {"hangup", true, false, command_hangup}};

static void run(struct client *total, const char *command, struct latencies *reloads)
{
    if (strcmp(command, "load") == 0) {
        command_load(total, reloads);
        return;
    }
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++) {
        if (strcmp(command, COMMANDS[i].name) != 0)
            continue;
        if (COMMANDS[i].needs_pid && total->options->pid == 0)
            wrong_use("--pid is missing");
        if (COMMANDS[i].needs_limit && total->options->limit == 0)
            wrong_use("--limit is missing");
        COMMANDS[i].run(total);
        return;
    }
    wrong_use("no such command");
}

static void print_latencies(const char *prefix, const struct latencies *latencies)
{
    printf("%sp50_us %.1f\n%sp99_us %.1f\n%sp999_us %.1f\n%smax_us %.1f\n", prefix,
           latencies_quantile_us(latencies, 0.5), prefix, latencies_quantile_us(latencies, 0.99),
           prefix, latencies_quantile_us(latencies, 0.999), prefix,
           (double)latencies->highest / 1000.0);
}

static void print_findings(const struct client *total, const struct latencies *reloads)
{
    const struct findings *findings = &total->findings;
    const struct reference *reference = total->reference;
    printf("seed %" PRIu64 "\n", total->options->seed);
    printf("requests %" PRIu64 "\n", findings->requests);
    printf("checked %" PRIu64 "\n", findings->checked);
    printf("served %" PRIu64 "\n", findings->served);
    printf("refused %" PRIu64 "\n", findings->refused);
    printf("wrong %" PRIu64 "\n", findings->wrong);
    printf("errors %" PRIu64 "\n", findings->errors);
    printf("reloads %" PRIu64 "\n", findings->reloads);
    printf("codes_checked %" PRIu64 "\n", findings->codes);
    printf("codes_total %zu\n", reference_count(reference));
    printf("reconnects %lu\n", total->connection.reconnects);
    print_latencies("", &findings->latencies);
    print_latencies("reload_", reloads);
}

int main(int argc, char **argv)
{
    static struct latencies reloads;
    static struct client total;
    static struct reference reference;
    struct check_options options;
    const char *command = parse(&options, argc, argv);
    reference_load(&reference, options.data);
    client_init(&total, &options, &reference, options.threads + 1);
    run(&total, command, &reloads);
    print_findings(&total, &reloads);
    client_fini(&total);
    reference_free(&reference);
    bool clean = total.findings.wrong == 0 && total.findings.errors == 0;
    return clean ? 0 : 1;
}
