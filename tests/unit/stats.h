/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the writers share: a place that collects text, names that are hard to write. */
#ifndef HARENA_TESTS_STATS_H
#define HARENA_TESTS_STATS_H
#include "unit.h"

struct text {
    char bytes[1 << 20];
    size_t used;
    unsigned pieces;
};

static MAYBE_UNUSED int collect(void *ctx, const char *bytes, size_t size)
{
    struct text *text = ctx;

    EXPECT(size > 0 && size <= 512 && text->used + size < sizeof text->bytes);
    memcpy(text->bytes + text->used, bytes, size);
    text->used += size;
    text->bytes[text->used] = '\0';
    text->pieces++;
    return 0;
}

static MAYBE_UNUSED const char *written(harena_provider *provider, enum harena_format format)
{
    static struct text text;

    text.used = text.pieces = 0;
    text.bytes[0] = '\0';
    QUIETLY(ck_assert_int_eq(harena_stats_write(provider, format, collect, &text), 0));
    ck_assert_uint_eq(strlen(text.bytes), text.used); /* no zero byte in it */
    return text.bytes;
}

/* With both limits. */
static MAYBE_UNUSED harena_provider *limited_provider(size_t reserve, size_t limit,
                                                      size_t soft_limit)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    options.name = "test";
    options.reserve = reserve;
    options.limit = limit;
    options.soft_limit = soft_limit;
    return SUCCEEDS(harena_provider_create(&options));
}

/* A name, and what a reader of well-formed text gets of it. */
struct hard_name {
    const char *name, *read;
};

static MAYBE_UNUSED const struct hard_name hard_names[] = {
    {"plain", NULL},
    {"", NULL},
    {"two words", NULL},
    {"quote\"quote", NULL},
    {"back\\slash\\", NULL},
    {"line\nfeed\n", NULL},
    {"tab\tbell\a\x1b[2J\x7f\x01", NULL},
    {"{name=\"x\"} 1", NULL},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", NULL}, /* of two, three and four bytes */
    {"\xc2\x9b[2J", NULL},                          /* a control character of two bytes */
    {"\xff", "?"},
    {"a\xc3", "a?"},
    {"\xc0\xaf", "??"},      /* a slash, longer than need be */
    {"\xed\xa0\x80", "???"}, /* half of a pair */
    {"\xf4\x90\x80\x80", "????"},
    {"\xe2\x82.", "??."},
    /* 32 bytes, the last of which are one character: cut in the middle of it */
    {"123456789012345678901234567890\xc3\xa4", "123456789012345678901234567890?"},
};
#define HARD_NAMES (sizeof hard_names / sizeof *hard_names)

/* An arena of each of them, with i + 1 chunks. */
static MAYBE_UNUSED void make_hard_names(harena_provider *provider, harena *arenas[HARD_NAMES])
{
    for (size_t i = 0; i < HARD_NAMES; i++) {
        harena_options options = HARENA_OPTIONS_INIT;

        options.provider = provider;
        options.name = hard_names[i].name;
        arenas[i] = SUCCEEDS(harena_create(&options));
        for (size_t n = 0; n <= i; n++)
            EXPECT(hidden(harena_alloc(arenas[i], CHUNK)) != 0);
    }
}

static MAYBE_UNUSED const char *as_read(const struct hard_name *name)
{
    return name->read != NULL ? name->read : name->name;
}

/* The same figures in their order. */
static MAYBE_UNUSED uint64_t figure_of(const harena_provider_stats *stats, const char *key)
{
    const struct {
        const char *key;
        uint64_t value;
    } figures[] = {
        {"reserved", stats->reserved},   {"committed", stats->committed},
        {"in_use", stats->in_use},       {"free", stats->free},
        {"deferred", stats->deferred},   {"peak", stats->peak},
        {"gets", stats->gets},           {"puts", stats->puts},
        {"commits", stats->commits},     {"purges", stats->purges},
        {"failures", stats->failures},   {"retired", stats->retired},
        {"reclaimed", stats->reclaimed},
    };

    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if (strcmp(figures[i].key, key) == 0)
            return figures[i].value;
    ck_abort_msg("no figure %s", key);
    return 0;
}

#endif
