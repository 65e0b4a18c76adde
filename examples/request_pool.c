/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers that serve requests of two kinds, each in an arena of one pool. */
#include <harena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 4, REQUESTS = 5000, LINES = 20, IDLE = 8 };
enum {
    SMALL = 1,
    LARGE = 2
}; /* the keys: what a request of that kind needed is known to the next */

static harena_pool *pool;
static atomic_uint served, refused;

/* An answer of some lines; how wide they are decides how much memory it takes. NULL: out of memory. */
static char *answer(harena *a, unsigned lines, size_t width)
{
    char *text = NULL;

    for (unsigned i = 0; i < lines && !harena_failed(a); i++) {
        char *line = harena_alloc(a, width);

        if (line == NULL)
            return NULL;
        memset(line, 'a' + (int)(i % 26), width);
        text = harena_printf(a, "%s%u: %.*s\n", text != NULL ? text : "", i, 10, line);
    }
    return harena_failed(a) ? NULL : text;
}

static void *work(void *unused)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        int kind = i % 50 == 0 ? LARGE : SMALL;
        harena *a = harena_pool_acquire(pool, (uint64_t)kind); /* NULL: every call on it fails */

        if (answer(a, LINES, kind == LARGE ? 20000 : 100) != NULL)
            served++;
        else
            refused++;
        harena_pool_give(pool, a); /* warm for whoever comes next */
    }
    return unused;
}

int main(void)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    harena_provider_stats stats = {.size = sizeof(stats)};
    pthread_t workers[WORKERS];
    size_t idle;

    options.arena.name = "request";
    options.arena.limit = 1 << 20; /* no request may hold more */
    options.max_idle = IDLE;
    pool = harena_pool_create(&options);
    for (int i = 0; i < WORKERS; i++)
        if (pool == NULL || pthread_create(&workers[i], NULL, work, NULL) != 0)
            return 1;
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    idle = harena_pool_idle(pool); /* as many as were out at once, at most */
    harena_pool_destroy(pool);
    harena_provider_stats_get(NULL, &stats);
    printf("%u served, %u refused, %s, %ju bytes left\n", served, refused,
           idle >= 1 && idle <= WORKERS ? "some are idle" : "too many are idle", stats.in_use);
    return served != WORKERS * REQUESTS || stats.in_use != 0;
}
