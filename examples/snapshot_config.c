/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration that is replaced while threads read it. The flavour is memb: its header comes
 * first, so that the initializers take it, and each thread that reads or publishes registers. */
#include <urcu.h>

#include <harena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { READERS = 3, VERSIONS = 200, PATHS = 50 };

struct config {
    unsigned version;
    const char *paths[PATHS];
};

static harena_snapshot current = HARENA_SNAPSHOT_INIT;
static atomic_uint torn, reloads_left = VERSIONS;

/* A whole configuration in an arena of its own. NULL: out of memory, and nothing is left behind. */
static harena *build(unsigned version, struct config **config)
{
    harena *a = harena_create(NULL);

    *config = harena_new_zeroed(a, struct config); /* a NULL arena gives NULL */
    for (int i = 0; i < PATHS && *config != NULL; i++)
        (*config)->paths[i] = harena_printf(a, "/srv/%u/%d", version, i);
    if (harena_failed(a)) {
        harena_release(a);
        return NULL;
    }
    (*config)->version = version;
    return a;
}

static void *read_it(void *unused)
{
    rcu_register_thread();
    while (reloads_left != 0) {
        const struct config *config = harena_snapshot_enter(&current);

        for (int i = 0; i < PATHS && config != NULL; i++) /* all of it is one version */
            if (strtoul(config->paths[i] + 5, NULL, 10) != config->version)
                torn++;
        harena_snapshot_leave(&current);
    }
    rcu_unregister_thread();
    return unused;
}

int main(void)
{
    harena_provider_stats stats = {.size = sizeof(stats)};
    pthread_t readers[READERS];
    struct config *config;

    rcu_register_thread();
    for (int i = 0; i < READERS; i++)
        if (pthread_create(&readers[i], NULL, read_it, NULL) != 0)
            return 1;
    for (unsigned version = 1; version <= VERSIONS; version++, reloads_left--) {
        harena *a = build(version, &config);

        if (a == NULL || harena_snapshot_publish(&current, a, config) != 0)
            return 1; /* the arena is the snapshot's from here on */
    }
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    harena_snapshot_fini(&current);
    harena_provider_barrier(NULL);
    harena_provider_stats_get(NULL, &stats);
    printf("%d versions, %u torn, %ju bytes left\n", VERSIONS, torn, stats.in_use);
    rcu_unregister_thread();
    return torn != 0 || stats.in_use != 0;
}
