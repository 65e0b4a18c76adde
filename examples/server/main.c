/* SPDX-License-Identifier: BSD-2-Clause */
/* harena-server: starts, waits for signals, drains, and proves that no memory is left in use. */
#include "http.h"
#include "json.h"
#include "server.h"
#include "text.h"
#include "worker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { EXIT_CLEAN = 0, EXIT_LEFT_IN_USE = 1, EXIT_WRONG_OPTIONS = 2, EXIT_NO_START = 3 };
enum { DRAIN_MS = 10000, LOOK_MS = 1000 };
enum { RETAIN_PERCENT = 25 }; /* steady load reuses what is free; a burst is no steady load */

static struct server server;

/* Blocked before the first thread is made, so that only main's sigwait sees them. */
static sigset_t block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN); /* a client that hangs up is no reason to end */
    return set;
}

static int no_start(const char *what, const char *why)
{
    fprintf(stderr, "harena-server: %s: %s\n", what, why);
    return EXIT_NO_START;
}

/* An own provider: when it can be destroyed, nothing is left. */
static harena_provider *make_provider(const struct options *limits)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    options.name = "harena-server";
    options.limit = limits->limit;
    options.soft_limit = limits->soft_limit;
    options.deferred_limit = limits->deferred_limit;
    options.retain_percent = RETAIN_PERCENT;
    options.rcu = HARENA_RCU_FLAVOR;
    options.on_event = events_count;
    options.event_ctx = &server.events;
    return harena_provider_create(&options);
}

/* Whoever asks for ever new paths must not drive out the requests: one window gets a share. */
static size_t window_limit(size_t limit)
{
    enum { WITHOUT_LIMIT = 256 << 20, SHARE = 8 };
    size_t share = limit ? limit / SHARE : WITHOUT_LIMIT;
    return share > HARENA_CHUNK_SIZE ? share : HARENA_CHUNK_SIZE;
}

static void reload(void)
{
    struct data_error error;
    if (store_reload(&server.store, &error))
        fputs("harena-server: data reloaded\n", stderr);
    else
        fprintf(stderr, "harena-server: reload failed, the old data stays: %s\n", error.message);
}

/* What a burst of large requests has left warm goes back to the OS by and by. When nothing is left
 * to do the provider names no time for the next look, and nobody here would notice new activity. */
static struct timespec keep_house(void)
{
    int ms = harena_provider_tick(server.provider);
    if (ms < 0)
        ms = LOOK_MS;
    return (struct timespec){ms / 1000, (long)(ms % 1000) * 1000000};
}

static void serve(const sigset_t *signals)
{
    for (;;) {
        const struct timespec wait = keep_house();
        int signal_number = sigtimedwait(signals, NULL, &wait);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            return;
        if (signal_number == SIGHUP)
            reload();
    }
}

static void print_figure(const char *name, uint64_t value)
{
    printf("%s %" PRIu64 "\n", name, value);
}

static void print_figures(const harena_provider_stats *stats, uint64_t cut_off)
{
    struct worker_sums sums = worker_sum();
    print_figure("requests", sums.completed);
    print_figure("cut_off", cut_off);
    print_figure("reloads", server.store.reloads);
    print_figure("failed_reloads", server.store.failed_reloads);
    print_figure("resets", server.window.resets);
    print_figure("resets_refused", server.window.refused);
    print_figure("recorded", server.window.recorded);
    print_figure("missed", server.window.missed);
    print_figure("arenas_made", sums.arenas_made);
    print_figure("retired", stats->retired);
    print_figure("reclaimed", stats->reclaimed);
    print_figure("refused_allocations", stats->failures);
    print_figure("peak_bytes", stats->peak);
    print_figure("in_use_bytes", stats->in_use);
    print_figure("deferred_bytes", stats->deferred);
}

/* Everything back, then the proof. */
static int close_down(uint64_t cut_off)
{
    worker_release_all();
    window_close(&server.window);
    store_fini(&server.store);
    int barrier = harena_provider_barrier(server.provider);
    harena_provider_stats stats = {.size = sizeof stats};
    harena_provider_stats_get(server.provider, &stats);
    print_figures(&stats, cut_off);
    text_teardown();
    int destroyed = harena_provider_destroy(server.provider);
    if (stats.in_use == 0 && stats.deferred == 0 && barrier == 0 && destroyed == 0)
        return EXIT_CLEAN;
    fprintf(stderr,
            "harena-server: left in use: %" PRIu64 " bytes, waiting for readers: %" PRIu64
            " bytes (barrier: %s, destroy: %s)\n",
            stats.in_use, stats.deferred, strerror(-barrier), strerror(-destroyed));
    return EXIT_LEFT_IN_USE;
}

static bool setup_workers(const struct options *options)
{
    size_t limit = options->soft_limit ? options->soft_limit : options->limit;
    if (worker_setup(server.provider, options->threads, limit))
        return true;
    no_start("no workers", "out of memory");
    return false;
}

static int run(const sigset_t *signals)
{
    struct http *http = setup_workers(&server.options) ? http_start(&server) : NULL;
    if (!http) {
        close_down(0);
        return EXIT_NO_START;
    }
    printf("port %u\n", (unsigned)http_port(http));
    fflush(stdout);
    serve(signals);
    return close_down(http_drain(http, DRAIN_MS));
}

int main(int argc, char **argv)
{
    enum options_result parsed = options_parse(&server.options, argc, argv);
    if (parsed != OPTIONS_RUN)
        return parsed == OPTIONS_HELP ? EXIT_CLEAN : EXIT_WRONG_OPTIONS;
    sigset_t signals = block_signals();
    json_setup();
    text_setup();
    server.provider = make_provider(&server.options);
    if (!server.provider)
        return no_start("cannot make a provider", strerror(errno));
    int shared = harena_stat_share(server.provider); /* to be seen with harena-stat */
    if (shared != 0)
        fprintf(stderr, "harena-server: no figures for harena-stat: %s\n", strerror(-shared));
    store_init(&server.store, server.provider, server.options.data);
    struct data_error error;
    if (!store_reload(&server.store, &error)) {
        store_fini(&server.store);
        harena_provider_destroy(server.provider);
        return no_start("no data", error.message);
    }
    int opened = window_open(&server.window, server.provider, server.options.window_ms,
                             window_limit(server.options.limit));
    if (opened != 0) {
        store_fini(&server.store);
        harena_provider_destroy(server.provider);
        return no_start("no window", strerror(opened));
    }
    return run(&signals);
}
