/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /v1/search?q=: the names that contain the text, whatever the case; subdivisions first, then
 * languages, in the order of the files. {"query":q,"hits":[{"code","name","kind"}...],"more":b}:
 * up to 100 hits, `more` says whether there are others. */
#include "json.h"
#include "router.h"
#include "text.h"

#include <string.h>

enum { MAX_HITS = 100 };

/* The name that covers this offset of the haystack: the last one that starts at it or before. */
static size_t place_at(const struct data *data, size_t offset)
{
    size_t low = 0, high = data->place_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (data->places[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void add_hit(cJSON *hits, const struct entry *entry)
{
    /* References: the strings belong to the data, and are printed before it is left. */
    cJSON *hit = cJSON_CreateObject();
    cJSON_AddItemToObject(hit, "code", cJSON_CreateStringReference(entry->code));
    cJSON_AddItemToObject(hit, "name", cJSON_CreateStringReference(entry->name));
    cJSON_AddItemToObject(hit, "kind", cJSON_CreateStringReference(entry->kind));
    cJSON_AddItemToArray(hits, hit);
}

/* Adds up to MAX_HITS hits; true if there are more. */
static bool find_hits(const struct data *data, const char *wanted, cJSON *hits, size_t *count)
{
    size_t length = strlen(wanted), from = 0;
    const char *found;
    for (*count = 0; (found = memmem(data->haystack + from, data->haystack_size - from, wanted,
                                     length)) != NULL;
         ++*count) {
        if (*count == MAX_HITS)
            return true;
        size_t at = place_at(data, (size_t)(found - data->haystack));
        add_hit(hits, data->places[at].entry);
        if (at + 1 == data->place_count)
            from = data->haystack_size;
        else
            from = data->places[at + 1].offset; /* a name is one hit, however often it matches */
    }
    return false;
}

static void answer_hits(struct request *request, const char *query, const char *folded)
{
    const struct data *data = store_enter(&request->server->store);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "query", query);
    cJSON *hits = cJSON_AddArrayToObject(root, "hits");
    size_t count;
    bool more = find_hits(data, folded, hits, &count);
    cJSON_AddBoolToObject(root, "more", more);
    answer_json(request, MHD_HTTP_OK, root, strlen(query) + 64 + count * 80);
    store_leave(&request->server->store);
}

void handle_search(struct request *request, const char *rest)
{
    (void)rest;
    const char *query;
    size_t length;
    if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, "q", 1, &query,
                                      &length) != MHD_YES ||
        !query || length == 0) {
        answer_error(request, MHD_HTTP_BAD_REQUEST, "a text to search for is missing: ?q=text");
        return;
    }
    if (memchr(query, '\0', length) || !text_is_utf8(query, length)) {
        answer_error(request, MHD_HTTP_BAD_REQUEST, "q is not UTF-8 text");
        return;
    }
    request->asked = harena_printf(request->arena, "/v1/search?q=%s", query);
    const char *folded = text_fold(request->arena, query, length);
    if (folded)
        answer_hits(request, query, folded);
    else
        answer_no_memory(request);
}
