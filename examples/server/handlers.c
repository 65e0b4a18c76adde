/* SPDX-License-Identifier: BSD-2-Clause */
/* The short handlers: one code, what was asked most, reload, health. */
#include "router.h"

#include <errno.h>

static void answer_entry(struct request *request, const struct code_table *table, const char *code)
{
    const struct entry *entry = data_find(table, code);
    if (entry)
        answer_json(request, MHD_HTTP_OK, entry->record, 256); /* printed as a copy */
    else
        answer_error(request, MHD_HTTP_NOT_FOUND, "no such code");
}

void handle_subdivision(struct request *request, const char *rest)
{
    struct store *store = &request->server->store;
    answer_entry(request, &store_enter(store)->subdivisions, rest);
    store_leave(store);
}

void handle_language(struct request *request, const char *rest)
{
    struct store *store = &request->server->store;
    answer_entry(request, &store_enter(store)->languages, rest);
    store_leave(store);
}

void handle_top(struct request *request, const char *rest)
{
    (void)rest;
    struct window_top *top;
    int count = window_read_top(&request->server->window, request->arena, &top);
    cJSON *root = cJSON_CreateObject();
    cJSON *rows = cJSON_AddArrayToObject(root, "top");
    for (int i = 0; i < count; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "path", top[i].key);
        cJSON_AddNumberToObject(row, "hits", (double)top[i].hits);
        cJSON_AddNumberToObject(row, "bytes", (double)top[i].bytes);
        cJSON_AddItemToArray(rows, row);
    }
    answer_json(request, MHD_HTTP_OK, root, 64 + (size_t)(count > 0 ? count : 0) * 80);
}

static void answer_generation(struct request *request, const char *status)
{
    struct store *store = &request->server->store;
    const struct data *data = store_enter(store);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "status", status);
    cJSON_AddNumberToObject(root, "generation", (double)data->generation);
    cJSON_AddNumberToObject(root, "subdivisions", (double)data->subdivisions.count);
    cJSON_AddNumberToObject(root, "languages", (double)data->languages.count);
    store_leave(store);
    answer_json(request, MHD_HTTP_OK, root, 128);
}

void handle_reload(struct request *request, const char *rest)
{
    (void)rest;
    struct data_error error;
    if (store_reload(&request->server->store, &error))
        answer_generation(request, "reloaded");
    else if (error.error == ENOMEM)
        answer_no_memory(request);
    else
        answer_error(request, MHD_HTTP_INTERNAL_SERVER_ERROR, error.message);
}

void handle_health(struct request *request, const char *rest)
{
    (void)rest;
    bool draining = atomic_load_explicit(&request->server->draining, memory_order_relaxed);
    answer_generation(request, draining ? "draining" : "ok");
}
