/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of what is read: codes, search, wrong methods, health, reload. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Compares the answer, as JSON, with `expected`. */
static void judge_json(struct client *client, const char *target, const struct answer *answer,
                       const cJSON *expected)
{
    cJSON *got = cJSON_Parse(answer->body);
    bool right = answer->status == 200 && answer->json && same_json(expected, got);
    char *shown = right ? NULL : cJSON_PrintUnformatted(expected);
    client_judge(client, right, target, answer, shown ? shown : "");
    free(shown);
    cJSON_Delete(got);
}

static void code_target(char *target, size_t size, const struct item *item)
{
    bool subdivision = strcmp(item->kind, "subdivision") == 0;
    snprintf(target, size, "/v1/%s/%s", subdivision ? "subdivisions" : "languages", item->code);
}

void check_code(struct client *client, const struct item *item)
{
    struct answer answer;
    char target[128];
    code_target(target, sizeof target, item);
    if (client_ask(client, "GET", target, NULL, 0, &answer))
        judge_json(client, target, &answer, item->record);
}

void check_any_code(struct client *client)
{
    const struct reference *reference = client->reference;
    check_code(client,
               reference_item(reference, client_random(client, reference_count(reference))));
}

/* These begin like no code of the files, so that check_top knows them again. */
void check_unknown(struct client *client)
{
    static const char *const targets[] = {"/v1/subdivisions/ZZ-%u", "/v1/languages/0%u",
                                          "/nowhere/%u", "/v1/search/%u", "/v1/languages/deu/%u"};
    char target[128];
    const char *format = targets[client_random(client, sizeof targets / sizeof targets[0])];
    /* The formats are the five above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(target, sizeof target, format, (unsigned)client_random(client, 1000));
#pragma GCC diagnostic pop
    client_expect_error(client, "GET", target, NULL, 0, 404);
}

void check_wrong_method(struct client *client)
{
    static const char *const asked[][2] = {{"POST", "/v1/subdivisions/AD-02"},
                                           {"DELETE", "/v1/languages/deu"},
                                           {"PUT", "/v1/search?q=a"},
                                           {"GET", "/v1/annotate"},
                                           {"POST", "/v1/top"},
                                           {"GET", "/admin/reload"},
                                           {"PATCH", "/metrics"},
                                           {"POST", "/healthz"}};
    const char *const *pair = asked[client_random(client, sizeof asked / sizeof asked[0])];
    struct answer answer;
    bool body = strcmp(pair[0], "GET") != 0;
    if (client_ask(client, pair[0], pair[1], body ? "{}" : NULL, body ? 2 : 0, &answer))
        client_judge(client, answer_is_error(&answer, 405) && answer.allow, pair[1], &answer,
                     "405 with Allow and a JSON error");
}

void check_head(struct client *client)
{
    struct answer answer;
    if (client_ask(client, "HEAD", "/v1/languages/deu", NULL, 0, &answer))
        client_judge(client, answer.status == 200 && answer.length == 0, "HEAD /v1/languages/deu",
                     &answer, "200 and no body");
}

/* A random piece of a random name in random case, or a text that no name has. */
static char *random_query(struct client *client)
{
    const struct reference *reference = client->reference;
    if (client_random(client, 12) == 0)
        return must(strdup(client_random(client, 2) ? "no such name" : "\u00e9\U0001f600+&=%"));
    const struct item_list *list =
        client_random(client, 2) ? &reference->subdivisions : &reference->languages;
    const struct item *item = &list->items[client_random(client, list->count)];
    wchar_t *wide =
        client_random(client, 2) ? reference_raise(item->name) : must(wcsdup(item->folded));
    size_t length = wcslen(wide), from = client_random(client, length);
    size_t most = length - from < 12 ? length - from : 12;
    char *query = reference_narrow(wide + from, 1 + client_random(client, most));
    free(wide);
    return query;
}

static void add_hits(const struct item_list *list, const wchar_t *wanted, cJSON *hits, bool *more)
{
    for (size_t i = 0; i < list->count && !*more; i++) {
        const struct item *item = &list->items[i];
        if (!wcsstr(item->folded, wanted))
            continue;
        if (cJSON_GetArraySize(hits) == 100) {
            *more = true;
            return;
        }
        cJSON *hit = must(cJSON_CreateObject());
        cJSON_AddStringToObject(hit, "code", item->code);
        cJSON_AddStringToObject(hit, "name", item->name);
        cJSON_AddStringToObject(hit, "kind", item->kind);
        cJSON_AddItemToArray(hits, hit);
    }
}

static cJSON *expected_search(const struct reference *reference, const char *query)
{
    wchar_t *wanted = reference_fold(query);
    cJSON *expected = must(cJSON_CreateObject());
    cJSON_AddStringToObject(expected, "query", query);
    cJSON *hits = cJSON_AddArrayToObject(expected, "hits");
    bool more = false;
    add_hits(&reference->subdivisions, wanted, hits, &more);
    add_hits(&reference->languages, wanted, hits, &more);
    cJSON_AddBoolToObject(expected, "more", more);
    free(wanted);
    return expected;
}

static void search_target(char *target, size_t size, const char *query)
{
    int length = snprintf(target, size, "/v1/search?q=");
    for (; *query; query++)
        length += snprintf(target + length, size - (size_t)length, "%%%02X",
                           (unsigned)(unsigned char)*query);
}

void check_search(struct client *client)
{
    struct answer answer;
    char target[512];
    if (client_random(client, 50) == 0) {
        client_expect_error(client, "GET",
                            client_random(client, 2) ? "/v1/search?q=" : "/v1/search?q=%FF", NULL,
                            0, 400);
        return;
    }
    char *query = random_query(client);
    search_target(target, sizeof target, query);
    if (client_ask(client, "GET", target, NULL, 0, &answer)) {
        cJSON *expected = expected_search(client->reference, query);
        judge_json(client, target, &answer, expected);
        cJSON_Delete(expected);
    }
    free(query);
}

/* {"status":wanted,"generation":at least `least`,...}: remembers the generation. */
static bool is_state(struct client *client, const struct answer *answer, const char *wanted,
                     uint64_t least)
{
    cJSON *root = cJSON_Parse(answer->body);
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "status"));
    const cJSON *generation = cJSON_GetObjectItemCaseSensitive(root, "generation");
    const cJSON *subdivisions = cJSON_GetObjectItemCaseSensitive(root, "subdivisions");
    const cJSON *languages = cJSON_GetObjectItemCaseSensitive(root, "languages");
    bool is = answer->status == 200 && answer->json && status && strcmp(status, wanted) == 0 &&
              cJSON_IsNumber(generation) && generation->valuedouble >= (double)least &&
              cJSON_IsNumber(subdivisions) && cJSON_IsNumber(languages) &&
              (size_t)subdivisions->valuedouble == client->reference->subdivisions.count &&
              (size_t)languages->valuedouble == client->reference->languages.count;
    if (is)
        client->generation = (uint64_t)generation->valuedouble;
    cJSON_Delete(root);
    return is;
}

void check_health(struct client *client)
{
    struct answer answer;
    if (client_ask(client, "GET", "/healthz", NULL, 0, &answer))
        client_judge(client, is_state(client, &answer, "ok", client->generation), "/healthz",
                     &answer, "ok, a generation that is not older, all counts");
}

void check_reload(struct client *client)
{
    struct answer answer;
    if (client_ask(client, "POST", "/admin/reload", "", 0, &answer) &&
        client_judge(client, is_state(client, &answer, "reloaded", client->generation + 1),
                     "/admin/reload", &answer, "reloaded, a newer generation"))
        client->findings.reloads++;
}
