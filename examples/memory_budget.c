/* SPDX-License-Identifier: BSD-2-Clause */
/* A provider with a budget: a soft limit that gives back early, a hard one that refuses, a ballast that always stays, and a
 * tick that returns what is idle. */
#include <errno.h>
#include <harena.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void tell(void *ctx, const harena_event *event)
{
    unsigned *told = ctx;

    if (event->kind == HARENA_EVENT_SOFT_LIMIT || event->kind == HARENA_EVENT_LIMIT)
        printf("%s\n", event->text);
    ++*told;
}

static size_t held(harena_provider *provider)
{
    harena_provider_stats stats = {.size = sizeof(stats)};

    harena_provider_stats_get(provider, &stats);
    return stats.committed;
}

int main(void)
{
    harena_provider_options budget = HARENA_PROVIDER_OPTIONS_INIT;
    harena_options options = HARENA_OPTIONS_INIT;
    harena *work;
    unsigned told = 0;
    int wait;

    budget.ballast = 8 * MIB;
    budget.soft_limit = 32 * MIB;
    budget.limit = 64 * MIB;
    budget.retain_percent = 50;
    budget.on_event = tell;
    budget.event_ctx = &told;
    options.provider = harena_provider_create(&budget);
    if (options.provider == NULL)
        return 1;
    printf("begins with %zu MiB\n", held(options.provider) / MIB);
    work = harena_create(&options);
    if (harena_alloc(work, 16 * MIB) == NULL || harena_alloc(work, 24 * MIB) == NULL)
        return 1;
    if (harena_alloc(work, 48 * MIB) != NULL || errno != ENOMEM || told != 2)
        return 1;
    harena_release(work);
    /* A server calls this from its event loop, and sleeps no longer than it says. */
    while ((wait = harena_provider_tick(options.provider)) >= 0)
        usleep((useconds_t)wait * 1000);
    printf("idle: %zu MiB\n", held(options.provider) / MIB);
    return harena_provider_destroy(options.provider) != 0;
}
