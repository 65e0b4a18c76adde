/* SPDX-License-Identifier: BSD-2-Clause */
/* Many clients at once: first every code of both files, then a random mix until time is up, while
 * one more client reloads the data again and again. */
#include "check.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct load {
    const struct check_options *options;
    const struct reference *reference;
    struct client *clients; /* options->threads, then the one that reloads */
    uint64_t begin, deadline;
    atomic_uint next_number;
    atomic_bool done;
};

/* Of ten thousand requests, so many. Large bodies are few: each keeps a worker busy for 20 ms, which
 * all its other connections wait for. */
static const struct {
    unsigned share;
    void (*check)(struct client *client);
} MIX[] = {{5630, check_any_code}, {900, check_unknown},      {900, check_search},
           {1700, check_annotate}, {2, check_annotate_large}, {200, check_malformed},
           {8, check_too_large},   {200, check_wrong_method}, {100, check_head},
           {160, check_top},       {100, check_metrics},      {100, check_health}};

static void check_something(struct client *client)
{
    uint64_t pick = client_random(client, 10000);
    size_t at = 0;
    for (; pick >= MIX[at].share; at++)
        pick -= MIX[at].share;
    MIX[at].check(client);
}

/* Every threads-th code. Bounded, too: a server that answers nothing ends this. */
static void sweep(struct load *load, struct client *client, unsigned number)
{
    const struct reference *reference = load->reference;
    size_t count = reference_count(reference);
    uint64_t last = load->deadline + UINT64_C(60000000000);
    for (size_t at = number; at < count && clock_ns() < last; at += load->options->threads) {
        check_code(client, reference_item(reference, at));
        client->findings.codes++;
        if (client->findings.errors > 20)
            return;
    }
}

static void *run_client(void *argument)
{
    struct load *load = argument;
    unsigned number = load->next_number++;
    struct client *client = &load->clients[number];
    sweep(load, client, number);
    while (clock_ns() < load->deadline && client->findings.errors <= 20)
        check_something(client);
    return NULL;
}

static void *run_reloads(void *argument)
{
    struct load *load = argument;
    struct client *client = &load->clients[load->options->threads];
    uint64_t step = (uint64_t)load->options->reload_ms * 1000000, due = clock_ns();
    while (!load->done) {
        check_reload(client);
        due += step;
        uint64_t now = clock_ns();
        if (due > now)
            pause_ms((unsigned)((due - now) / 1000000));
    }
    return NULL;
}

static void *run_progress(void *argument)
{
    struct load *load = argument;
    for (unsigned second = 1; !load->done; second++) {
        for (int i = 0; i < 10 && !load->done; i++)
            pause_ms(100);
        struct findings sum = {0};
        for (unsigned i = 0; i <= load->options->threads; i++)
            findings_add(&sum, &load->clients[i].findings);
        fprintf(stderr,
                "  %3" PRIu64 " s: %" PRIu64 " answers checked, %" PRIu64 " wrong, %" PRIu64
                " errors, %" PRIu64 " reloads\n",
                (clock_ns() - load->begin) / 1000000000, sum.checked, sum.wrong, sum.errors,
                sum.reloads);
    }
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), struct load *load)
{
    if (pthread_create(thread, NULL, run, load) != 0) {
        fputs("harena-server-check: no thread to be had\n", stderr);
        exit(3);
    }
}

static void run_threads(struct load *load)
{
    const struct check_options *options = load->options;
    pthread_t *threads = must(calloc(options->threads, sizeof *threads));
    pthread_t reloads, progress;
    for (unsigned i = 0; i < options->threads; i++)
        start(&threads[i], run_client, load);
    if (options->reload_ms)
        start(&reloads, run_reloads, load);
    if (options->progress)
        start(&progress, run_progress, load);
    for (unsigned i = 0; i < options->threads; i++)
        pthread_join(threads[i], NULL);
    load->done = true;
    if (options->reload_ms)
        pthread_join(reloads, NULL);
    if (options->progress)
        pthread_join(progress, NULL);
    free(threads);
}

void command_load(struct client *total, struct latencies *reload_latencies)
{
    const struct check_options *options = total->options;
    struct load load = {.options = options, .reference = total->reference};
    load.begin = clock_ns();
    load.deadline = load.begin + (uint64_t)options->seconds * 1000000000;
    load.clients = must(calloc(options->threads + 1, sizeof *load.clients));
    for (unsigned i = 0; i <= options->threads; i++)
        client_init(&load.clients[i], options, total->reference, i);
    run_threads(&load);
    for (unsigned i = 0; i <= options->threads; i++) {
        struct client *client = &load.clients[i];
        latencies_add(i < options->threads ? &total->findings.latencies : reload_latencies,
                      &client->findings.latencies);
        client_join(client, total);
    }
    free(load.clients);
}
