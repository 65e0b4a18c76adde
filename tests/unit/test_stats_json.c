/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics as JSON, read by a parser that is not ours. */
#include "stats.h"

#include <cJSON.h>
#include <stdio.h>

static cJSON *parse(harena_provider *provider)
{
    const char *text = written(provider, HARENA_JSON), *end = NULL;
    cJSON *json = cJSON_ParseWithOpts(text, &end, true);

    ck_assert_msg(json != NULL, "no JSON, from here on: %.60s", end);
    ck_assert_ptr_null(strchr(text, '\n'));
    return json;
}

static uint64_t number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    ck_assert_msg(cJSON_IsNumber(item), "no number %s", key);
    return (uint64_t)item->valuedouble;
}

static const cJSON *name_of(const cJSON *json, const char *name)
{
    const cJSON *item, *found = NULL;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "names"))
    {
        const cJSON *of = cJSON_GetObjectItemCaseSensitive(item, "name");

        ck_assert(cJSON_IsString(of));
        if (strcmp(of->valuestring, name) == 0) {
            ck_assert_ptr_null(found); /* not twice */
            found = item;
        }
    }
    ck_assert_msg(found != NULL, "no name %s", name);
    return found;
}

START_TEST(json_says_what_the_statistics_say)
{
    static const char *const keys[] = {"reserved", "committed", "in_use",   "free",    "deferred",
                                       "peak",     "gets",      "puts",     "commits", "purges",
                                       "failures", "retired",   "reclaimed"};
    harena_provider *provider = limited_provider(64 * MIB, 40 * MIB, 30 * MIB);
    harena_shared *shared = shared_of(provider, 0);
    harena *arenas[HARD_NAMES];
    harena_provider_stats stats;
    cJSON *json;

    make_hard_names(provider, arenas);
    FAILS(ENOMEM, harena_alloc(arenas[0], 100 * MIB));
    EXPECT(hidden(harena_shared_alloc(shared, 100)) != 0);
    stats = stats_of(provider);
    json = parse(provider);
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(json, "provider")->valuestring, "test");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_uint_eq(number(json, keys[i]), figure_of(&stats, keys[i]));
    ck_assert_uint_eq(number(json, "limit"), 40 * MIB);
    ck_assert_uint_eq(number(json, "soft_limit"), 30 * MIB);
    ck_assert_uint_eq(number(json, "arenas"), HARD_NAMES + 1);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "names")),
                     HARD_NAMES + 1);
    for (size_t i = 0; i < HARD_NAMES; i++) {
        const cJSON *name = name_of(json, as_read(&hard_names[i]));

        ck_assert_uint_eq(number(name, "arenas"), 1);
        ck_assert_uint_eq(number(name, "made"), 1);
        ck_assert_uint_eq(number(name, "bytes"), harena_cap(arenas[i]));
        ck_assert_uint_ge(number(name, "peak"), harena_cap(arenas[i]));
        ck_assert_uint_eq(number(name, "failures"), i == 0);
    }
    ck_assert_uint_eq(number(name_of(json, "shared"), "bytes"), harena_shared_cap(shared));
    cJSON_Delete(json);
}
END_TEST

START_TEST(a_provider_without_names_is_json_too)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *provider;
    cJSON *json;

    options.name = "a \"provider\"\n\xff";
    options.reserve = 4 * MIB;
    provider = SUCCEEDS(harena_provider_create(&options));
    json = parse(provider);
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(json, "provider")->valuestring,
                     "a \"provider\"\n?");
    ck_assert(cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, "names")));
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "names")), 0);
    cJSON_Delete(json);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}
END_TEST

RUN_TESTS("stats_json", json_says_what_the_statistics_say, a_provider_without_names_is_json_too)
