/* SPDX-License-Identifier: BSD-2-Clause */
/* Random JSON for /v1/annotate, and what must come back, computed straight from the rules that
 * annotate.c states. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What must come back. */

const char *annotation(const struct reference *reference, const cJSON *value)
{
    const struct item *item =
        cJSON_IsString(value) ? reference_find_any(reference, value->valuestring) : NULL;
    return item ? item->name : NULL;
}

static cJSON *expect_array(const struct reference *reference, const cJSON *array)
{
    cJSON *expected = must(cJSON_CreateArray());
    const cJSON *element;
    cJSON_ArrayForEach(element, array)
    {
        const char *name = annotation(reference, element);
        cJSON_AddItemToArray(expected, expected_annotation(reference, element));
        if (name) {
            cJSON *sibling = must(cJSON_CreateObject());
            cJSON_AddStringToObject(sibling, "name", name);
            cJSON_AddItemToArray(expected, sibling);
        }
    }
    return expected;
}

static cJSON *expect_object(const struct reference *reference, const cJSON *object)
{
    cJSON *expected = must(cJSON_CreateObject());
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        const char *name = annotation(reference, member);
        cJSON_AddItemToObject(expected, member->string, expected_annotation(reference, member));
        if (!name)
            continue;
        size_t size = strlen(member->string) + sizeof "_name";
        char *key = must(malloc(size));
        snprintf(key, size, "%s_name", member->string);
        if (!cJSON_GetObjectItemCaseSensitive(object, key) &&
            !cJSON_GetObjectItemCaseSensitive(expected, key))
            cJSON_AddStringToObject(expected, key, name);
        free(key);
    }
    return expected;
}

cJSON *expected_annotation(const struct reference *reference, const cJSON *value)
{
    if (cJSON_IsArray(value))
        return expect_array(reference, value);
    if (cJSON_IsObject(value))
        return expect_object(reference, value);
    return must(cJSON_Duplicate(value, 0));
}

static cJSON *expect_root(const struct reference *reference, const cJSON *value)
{
    const char *name = annotation(reference, value);
    if (!name)
        return expected_annotation(reference, value);
    cJSON *expected = must(cJSON_CreateObject());
    cJSON_AddStringToObject(expected, "value", value->valuestring);
    cJSON_AddStringToObject(expected, "value_name", name);
    return expected;
}

/* Random values. */

static const char *random_code(struct client *client)
{
    const struct reference *reference = client->reference;
    const struct item_list *list =
        client_random(client, 2) ? &reference->subdivisions : &reference->languages;
    return list->items[client_random(client, list->count)].code;
}

static cJSON *random_string(struct client *client)
{
    static const char *const odd[] = {
        "",        "x",      "fr-75", " deu", "deu ", "DEU", "\"quoted\"\\", "tab\there\nand there",
        "é",       "日本語", "😀",     "/",    "\x01", "de",  "FR-",          "name",
        "\\u0000", "\\\\uZ"};
    if (client_random(client, 2))
        return cJSON_CreateString(random_code(client));
    return cJSON_CreateString(odd[client_random(client, sizeof odd / sizeof odd[0])]);
}

static cJSON *random_number(struct client *client)
{
    static const double odd[] = {0, -1, 0.1, 1e-300, 1e300, 123456789012345678.0, 2147483648.0};
    if (client_random(client, 3) == 0)
        return cJSON_CreateNumber(odd[client_random(client, sizeof odd / sizeof odd[0])]);
    double number = (double)client_random(client, 2000000) - 1000000;
    return cJSON_CreateNumber(client_random(client, 2) ? number : number / 7);
}

/* Names of members: few, so that they collide with each other and with what is added. */
static void random_key(struct client *client, char *key, size_t size)
{
    static const char *const stems[] = {"a", "b", "code", "", "FR-75C", "k\"ey", "größe"};
    const char *stem = stems[client_random(client, sizeof stems / sizeof stems[0])];
    switch (client_random(client, 4)) {
    case 0:
        snprintf(key, size, "%s_name", stem);
        break;
    case 1:
        snprintf(key, size, "%s%u", stem, (unsigned)client_random(client, 50));
        break;
    default:
        snprintf(key, size, "%s", stem);
    }
}

static cJSON *random_value(struct client *client, unsigned depth);

static cJSON *random_list(struct client *client, unsigned depth)
{
    bool object = client_random(client, 2);
    cJSON *list = must(object ? cJSON_CreateObject() : cJSON_CreateArray());
    uint64_t count = client_random(client, client_random(client, 10) == 0 ? 40 : 6);
    for (uint64_t i = 0; i < count; i++) {
        char key[64];
        random_key(client, key, sizeof key);
        cJSON *value = random_value(client, depth + 1);
        if (object)
            cJSON_AddItemToObject(list, key, value);
        else
            cJSON_AddItemToArray(list, value);
    }
    return list;
}

static cJSON *random_value(struct client *client, unsigned depth)
{
    uint64_t kind = client_random(client, 20);
    if (kind < 8 && depth < 6)
        return random_list(client, depth);
    if (kind < 16)
        return must(random_string(client));
    if (kind < 18)
        return must(random_number(client));
    return must(kind == 18 ? cJSON_CreateNull() : cJSON_CreateBool(client_random(client, 2) == 1));
}

char *many_codes(struct client *client, size_t size)
{
    char *text = must(malloc(size + 32));
    size_t length = 1;
    text[0] = '[';
    while (length < size) {
        int added = snprintf(text + length, 16, "\"%s\",", random_code(client));
        length += (size_t)added;
    }
    text[length - 1] = ']'; /* in place of the last comma */
    text[length] = '\0';
    return text;
}

/* The checks. */

/* Compares. What was sent is the text, not what it was printed from: cJSON
 * leaves out the last digits of numbers that are nearly the same without them. */
void judge_annotated(struct client *client, const char *text, const struct answer *answer)
{
    cJSON *value = must(cJSON_Parse(text));
    cJSON *expected = expect_root(client->reference, value);
    cJSON *got = cJSON_Parse(answer->body);
    bool right = answer->status == 200 && answer->json && same_json(expected, got);
    char *shown = right ? NULL : cJSON_PrintUnformatted(expected);
    client_judge(client, right, "/v1/annotate", answer, shown ? shown : "");
    free(shown);
    cJSON_Delete(value);
    cJSON_Delete(expected);
    cJSON_Delete(got);
}

static void check_text(struct client *client, const char *text)
{
    struct answer answer;
    if (client_ask(client, "POST", "/v1/annotate", text, strlen(text), &answer))
        judge_annotated(client, text, &answer);
}

void check_annotate(struct client *client)
{
    cJSON *value = random_value(client, 0);
    char *text = client_random(client, 2) ? cJSON_Print(value) : cJSON_PrintUnformatted(value);
    check_text(client, must(text));
    free(text);
    cJSON_Delete(value);
}

/* One object whose members are all codes: the server makes a table of their names in one piece. When
 * that piece is refused, the rest would fit, and the answer would lack what was to be added. */
void check_annotate_members(struct client *client)
{
    char text[16384];
    unsigned count = 100 + (unsigned)client_random(client, 400);
    size_t length = 0;
    for (unsigned i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s\"k%u\":\"%s\"",
                                   i == 0 ? "{" : ",", i, random_code(client));
    snprintf(text + length, sizeof text - length, "}");
    check_text(client, text);
}

/* Up to near the largest body that is taken. */
void check_annotate_large(struct client *client)
{
    char *text = many_codes(client, 1000u * (1 + client_random(client, 1000)));
    check_text(client, text);
    free(text);
}

void check_malformed(struct client *client)
{
    static const char *const bodies[] = {"{",
                                         "[1,]",
                                         "{\"a\":}",
                                         "nul",
                                         "\"open",
                                         "{\"a\":1}}",
                                         "[] []",
                                         "",
                                         "\xff\xfe",
                                         "[\"\xc3\x28\"]",
                                         "{\"a\" 1}",
                                         "{a:1}",
                                         "[\"a\\u0000b\"]",
                                         "{\"\\\\\\u0000\":1}",
                                         "[\"\\uZZZZ\"]"};
    const char *body = bodies[client_random(client, sizeof bodies / sizeof bodies[0])];
    client_expect_error(client, "POST", "/v1/annotate", body, strlen(body), 400);
}

void check_too_large(struct client *client)
{
    size_t size = (1u << 20) + 1 + client_random(client, 1u << 20);
    char *body = must(malloc(size));
    memset(body, ' ', size);
    body[0] = '1';
    client_expect_error(client, "POST", "/v1/annotate", body, size, 413);
    free(body);
}
