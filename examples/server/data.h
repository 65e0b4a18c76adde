/* SPDX-License-Identifier: BSD-2-Clause */
/* The data set: one arena holds all of it; a snapshot publishes it and retires the one before. */
#ifndef EXAMPLES_SERVER_DATA_H
#define EXAMPLES_SERVER_DATA_H

#include <urcu-bp.h> /* the flavour, see server.h */

#include <harena.h>

#include <cjson/cJSON.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry {
    const char *code;
    const char *name;
    const char *kind;    /* "subdivision" or "language" */
    const cJSON *record; /* the object of the file, as it stands there */
};

/* Open addressing; never full, because it is built once with room to spare. */
struct code_table {
    const struct entry **slots;
    size_t mask; /* slots - 1, a power of two - 1 */
    size_t count;
};

/* A name's place in the haystack. */
struct name_place {
    size_t offset;
    const struct entry *entry;
};

/* Immutable once published. Everything that it points to lies in the same arena. */
struct data {
    uint64_t generation; /* 1, 2, ... */
    struct code_table subdivisions, languages;
    char *haystack; /* all names in lower case, each with its '\0', in the order of the files */
    size_t haystack_size;
    struct name_place *places; /* by offset */
    size_t place_count;
};

struct store {
    harena_snapshot snapshot;
    harena_provider *provider;
    const char *directory;
    pthread_mutex_t reloading; /* one at a time: else an older data set could replace a newer */
    uint64_t generation;       /* under `reloading` */
    _Atomic uint64_t reloads, failed_reloads, bytes; /* bytes: of the published arena */
};

/* Why a reload failed: 0, ENOMEM, or another errno that the message explains. */
struct data_error {
    int error;
    char message[256];
};

/* Builds a data set in `arena`. NULL: `error` says why; the caller releases the arena. */
const struct data *data_build(harena *arena, harena_provider *provider, const char *directory,
                              uint64_t generation, struct data_error *error);

void store_init(struct store *store, harena_provider *provider, const char *directory);
void store_fini(struct store *store);

/* Builds a new data set and publishes it. On failure the old one stays. */
bool store_reload(struct store *store, struct data_error *error);

/* The published data, never NULL after the first reload; valid until store_leave. */
const struct data *store_enter(struct store *store);
void store_leave(struct store *store);

/* The entry of a code, or NULL. Codes are compared byte by byte. */
const struct entry *data_find(const struct code_table *table, const char *code);

#endif
