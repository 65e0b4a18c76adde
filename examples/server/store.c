/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishes data sets: readers keep the one that they have entered, new readers get the new one. */
#include "data.h"

#include <errno.h>
#include <stdio.h>

void store_init(struct store *store, harena_provider *provider, const char *directory)
{
    *store = (struct store){.snapshot = HARENA_SNAPSHOT_INIT,
                            .provider = provider,
                            .directory = directory,
                            .reloading = PTHREAD_MUTEX_INITIALIZER};
}

void store_fini(struct store *store)
{
    harena_snapshot_fini(&store->snapshot);
    pthread_mutex_destroy(&store->reloading);
}

static bool publish(struct store *store, harena *arena, const struct data *data,
                    struct data_error *error)
{
    size_t bytes = harena_len(arena); /* afterwards the arena is the snapshot's */
    int result = harena_snapshot_publish(&store->snapshot, arena, (void *)(uintptr_t)data);
    if (result != 0) {
        error->error = -result;
        snprintf(error->message, sizeof error->message, "cannot publish the data");
        return false;
    }
    atomic_store_explicit(&store->bytes, bytes, memory_order_relaxed);
    store->generation = data->generation;
    return true;
}

static bool build_and_publish(struct store *store, struct data_error *error)
{
    harena_options options = HARENA_OPTIONS_INIT;
    options.provider = store->provider;
    options.name = "data";
    harena *arena = harena_create(&options);
    if (!arena) {
        *error = (struct data_error){ENOMEM, "out of memory"};
        return false;
    }
    const struct data *data =
        data_build(arena, store->provider, store->directory, store->generation + 1, error);
    if (data && publish(store, arena, data, error))
        return true;
    harena_release(arena); /* nobody has seen it: no grace period is needed */
    return false;
}

bool store_reload(struct store *store, struct data_error *error)
{
    pthread_mutex_lock(&store->reloading);
    bool reloaded = build_and_publish(store, error);
    pthread_mutex_unlock(&store->reloading);
    atomic_fetch_add_explicit(reloaded ? &store->reloads : &store->failed_reloads, 1,
                              memory_order_relaxed);
    return reloaded;
}

const struct data *store_enter(struct store *store)
{
    return harena_snapshot_enter(&store->snapshot);
}

void store_leave(struct store *store)
{
    harena_snapshot_leave(&store->snapshot);
}
