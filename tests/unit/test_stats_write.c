/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics as text and for Prometheus, through a callback that may stop them. */
#include "../support/threads.h"
#include "stats.h"

#include <ctype.h>
#include <stdio.h>

#if !TEST_TSAN && !defined(__SANITIZE_ADDRESS__)
#define COUNTS_ALLOCATIONS 1
#else
#define COUNTS_ALLOCATIONS 0 /* a sanitizer has these functions for itself */
#endif

/* ---- who allocates ---- */

static unsigned allocations;

#if COUNTS_ALLOCATIONS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_realloc(memory, size);
}
#endif

static const enum harena_format formats[] = {HARENA_TEXT, HARENA_JSON, HARENA_PROMETHEUS};
enum { FORMATS = 3 };

START_TEST(nothing_is_allocated)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena *arenas[HARD_NAMES];
    static struct text text;

    make_hard_names(provider, arenas);
    for (int i = 0; i < FORMATS; i++) {
        unsigned before = allocations;
        harena_provider_stats stats = stats_of(provider);

        text.used = 0;
        harena_stats_write(provider, formats[i], collect, &text);
        ck_assert_uint_eq(allocations, before);
        ck_assert_uint_eq(stats_of(provider).gets, stats.gets);
    }
    free(malloc(opaque(1)));
    if (!under_valgrind())                                      /* which has its own malloc */
        ck_assert_uint_eq(allocations > 0, COUNTS_ALLOCATIONS); /* they are seen */
}
END_TEST

/* ---- arguments ---- */

START_TEST(wrong_arguments_are_einval)
{
    static struct text text;

    ck_assert_int_eq(harena_stats_write(NULL, HARENA_TEXT, NULL, NULL), -EINVAL);
    ck_assert_int_eq(harena_stats_write(NULL, (enum harena_format)3, collect, &text), -EINVAL);
    ck_assert_int_eq(harena_stats_write(NULL, (enum harena_format) - 1, collect, &text), -EINVAL);
    ck_assert_uint_eq(text.used, 0);
}
END_TEST

START_TEST(null_is_the_default_provider)
{
    ck_assert_ptr_nonnull(strstr(written(NULL, HARENA_TEXT), "provider default\n"));
    ck_assert_ptr_nonnull(strstr(written(NULL, HARENA_JSON), "\"provider\":\"default\""));
}
END_TEST

struct stop {
    unsigned at, calls;
    int with;
};

static int stop_at(void *ctx, const char *bytes, size_t size)
{
    struct stop *stop = ctx;

    (void)bytes, (void)size;
    return ++stop->calls == stop->at ? stop->with : 0;
}

START_TEST(a_callback_stops_at_any_piece)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena *arenas[HARD_NAMES];

    make_hard_names(provider, arenas);
    for (int i = 0; i < FORMATS; i++) {
        struct stop all = {0};

        ck_assert_int_eq(harena_stats_write(provider, formats[i], stop_at, &all), 0);
        ck_assert_uint_gt(all.calls, 2);
        for (unsigned at = 1; at <= all.calls; at++) {
            struct stop stop = {at, 0, at % 2 == 0 ? -77 : 5};

            ck_assert_int_eq(harena_stats_write(provider, formats[i], stop_at, &stop), stop.with);
            ck_assert_uint_eq(stop.calls, at);
        }
    }
}
END_TEST

/* ---- text ---- */

START_TEST(text_tells_what_there_is)
{
    harena_provider *provider = limited_provider(64 * MIB, 3 * MIB, 2 * MIB);
    harena *arena;
    harena_options options = HARENA_OPTIONS_INIT;
    const char *text;

    options.provider = provider;
    options.name = "request";
    options.initial = MIB + MIB / 2;
    arena = SUCCEEDS(harena_create(&options));
    EXPECT(hidden(harena_alloc(arena, 1)) != 0);
    FAILS(ENOMEM, harena_alloc(arena, 4 * MIB));
    text = written(provider, HARENA_TEXT);
    ck_assert_ptr_nonnull(
        strstr(text, "provider test\n  committed 1.5 MiB: in use 1.5 MiB, free 0 B"));
    ck_assert_ptr_nonnull(strstr(text, "limit 3.0 MiB, soft limit 2.0 MiB, addresses 64.0 MiB\n"));
    ck_assert_ptr_nonnull(strstr(text, "chunks taken 24, put back 0, committed 24, purged 0\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "\n  request                                    1           1     1.5 MiB"
                     "     1.5 MiB           1\n"));
    harena_release(arena);
    text = written(provider, HARENA_TEXT);
    ck_assert_ptr_nonnull(
        strstr(text, "\n  request                                    0           1         0 B"
                     "     1.5 MiB           1\n"));
    ends_clean(provider);
}
END_TEST

/* Nothing in a name steers the terminal, and each name is one line. */
START_TEST(text_is_printable)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena *arenas[HARD_NAMES];
    unsigned lines = 0;
    const char *text;

    make_hard_names(provider, arenas);
    text = written(provider, HARENA_TEXT);
    ck_assert_ptr_nonnull(strstr(text, "  tab\\x09bell\\x07\\x1b[2J\\x7f\\x01 "));
    ck_assert_ptr_nonnull(strstr(text, "  \\x9b[2J "));
    ck_assert_ptr_nonnull(strstr(text, "  back\\\\slash\\\\ "));
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        ck_assert((*at >= ' ' && *at != 0x7f) || *at == '\n');
        ck_assert(*at != 0xc2 || at[1] >= 0xa0);
        lines += *at == '\n';
    }
    ck_assert_uint_eq(lines, 6 + HARD_NAMES);
}
END_TEST

/* ---- Prometheus's text format, version 0.0.4 ---- */

struct series {
    char metric[64], provider[128], name[128];
    bool named;
    uint64_t value;
};

static struct {
    struct series series[4000];
    size_t count;
} exposition;

static bool is_metric_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == ':';
}

/* A name of metric or label; returns what follows. */
static const char *read_word(const char *at, char *word, size_t size)
{
    size_t used = 0;

    ck_assert_msg(is_metric_start(*at), "no name: %.40s", at);
    while (is_metric_start(*at) || isdigit((unsigned char)*at)) {
        ck_assert_uint_lt(used + 1, size);
        word[used++] = *at++;
    }
    word[used] = '\0';
    return at;
}

/* The value of a label, from its first quote; only \\, \" and \n are escapes. */
static const char *read_label_value(const char *at, char *value, size_t size)
{
    size_t used = 0;

    ck_assert_int_eq(*at++, '"');
    while (*at != '"') {
        char c = *at++;

        ck_assert_msg(c != '\0' && c != '\n', "a label does not end");
        if (c == '\\') {
            c = *at++;
            ck_assert_msg(c == '\\' || c == '"' || c == 'n', "no escape: \\%c", c);
            if (c == 'n')
                c = '\n';
        }
        ck_assert_uint_lt(used + 1, size);
        value[used++] = c;
    }
    value[used] = '\0';
    return at + 1;
}

static const char *read_sample(const char *at, struct series *s)
{
    char label[32], *end;

    memset(s, 0, sizeof *s);
    at = read_word(at, s->metric, sizeof s->metric);
    ck_assert_int_eq(*at++, '{');
    do {
        at = read_word(at, label, sizeof label);
        ck_assert_int_eq(*at++, '=');
        if (strcmp(label, "provider") == 0) {
            at = read_label_value(at, s->provider, sizeof s->provider);
        } else {
            ck_assert_str_eq(label, "name");
            at = read_label_value(at, s->name, sizeof s->name);
            s->named = true;
        }
    } while (*at++ == ',');
    ck_assert_int_eq(at[-1], '}');
    ck_assert_int_eq(*at++, ' ');
    s->value = strtoull(at, &end, 10);
    ck_assert(end > at);
    return end;
}

static bool ends_in(const char *word, const char *end)
{
    size_t length = strlen(word), of_end = strlen(end);

    return length >= of_end && strcmp(word + length - of_end, end) == 0;
}

/* HELP and TYPE of a metric, in this order; its name. */
static const char *read_head(const char *at, char *metric, size_t size)
{
    char again[64], type[16];

    ck_assert_msg(strncmp(at, "# HELP ", 7) == 0, "no HELP: %.40s", at);
    at = read_word(at + 7, metric, size);
    ck_assert_int_eq(*at, ' ');
    at = strchr(at, '\n') + 1;
    ck_assert_msg(strncmp(at, "# TYPE ", 7) == 0, "no TYPE: %.40s", at);
    at = read_word(at + 7, again, sizeof again);
    ck_assert_str_eq(again, metric);
    at = read_word(at + 1, type, sizeof type);
    ck_assert_str_eq(type, ends_in(metric, "_total") ? "counter" : "gauge");
    return at;
}

/* The whole grammar: one head for each metric, its samples right behind it, no series twice. */
static void read_exposition(const char *at)
{
    char metric[64] = "";
    size_t first_of_metric = 0;

    for (exposition.count = 0; *at != '\0'; at++) {
        if (*at == '#') {
            at = read_head(at, metric, sizeof metric);
            for (size_t i = 0; i < exposition.count; i++)
                ck_assert_str_ne(exposition.series[i].metric, metric);
            first_of_metric = exposition.count;
        } else {
            struct series *s = &exposition.series[exposition.count++];

            ck_assert_uint_lt(exposition.count, sizeof exposition.series / sizeof *s);
            at = read_sample(at, s);
            ck_assert_str_eq(s->metric, metric);
            for (struct series *o = &exposition.series[first_of_metric]; o < s; o++)
                ck_assert(strcmp(o->name, s->name) != 0 || strcmp(o->provider, s->provider) != 0);
        }
        ck_assert_int_eq(*at, '\n');
    }
}

static uint64_t value_of(const char *metric, const char *name)
{
    for (size_t i = 0; i < exposition.count; i++) {
        const struct series *s = &exposition.series[i];

        if (strcmp(s->metric, metric) == 0 && s->named == (name != NULL) &&
            (name == NULL || strcmp(s->name, name) == 0))
            return s->value;
    }
    ck_abort_msg("no %s of %s", metric, name);
    return 0;
}

START_TEST(prometheus_gets_what_the_statistics_say)
{
    static const char *const metrics[][2] = {
        {"harena_reserved_bytes", "reserved"},     {"harena_committed_bytes", "committed"},
        {"harena_in_use_bytes", "in_use"},         {"harena_free_bytes", "free"},
        {"harena_deferred_bytes", "deferred"},     {"harena_committed_peak_bytes", "peak"},
        {"harena_chunk_gets_total", "gets"},       {"harena_chunk_puts_total", "puts"},
        {"harena_chunk_commits_total", "commits"}, {"harena_chunk_purges_total", "purges"},
        {"harena_failures_total", "failures"},     {"harena_retired_total", "retired"},
        {"harena_reclaimed_total", "reclaimed"},
    };
    harena_provider *provider = limited_provider(256 * MIB, 200 * MIB, 100 * MIB);
    harena_shared *shared = shared_of(provider, 0);
    void *chunk = harena_chunk_get(provider);
    harena *arenas[HARD_NAMES];
    harena_provider_stats stats;
    uint64_t bytes = 0;

    make_hard_names(provider, arenas);
    FAILS(ENOMEM, harena_shared_alloc(shared, 250 * MIB));
    EXPECT(hidden(harena_shared_alloc(shared, 100)) != 0);
    harena_release(arenas[HARD_NAMES - 1]);
    stats = stats_of(provider);
    read_exposition(written(provider, HARENA_PROMETHEUS));
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        ck_assert_uint_eq(value_of(metrics[i][0], NULL), figure_of(&stats, metrics[i][1]));
    ck_assert_uint_eq(value_of("harena_limit_bytes", NULL), 200 * MIB);
    ck_assert_uint_eq(value_of("harena_soft_limit_bytes", NULL), 100 * MIB);
    ck_assert_uint_eq(value_of("harena_arenas", NULL), HARD_NAMES);
    for (size_t i = 0; i + 1 < HARD_NAMES; i++) {
        const char *name = as_read(&hard_names[i]);

        bytes += harena_cap(arenas[i]);
        ck_assert_uint_eq(value_of("harena_name_bytes", name), harena_cap(arenas[i]));
        ck_assert_uint_eq(value_of("harena_name_arenas", name), 1);
        ck_assert_uint_eq(value_of("harena_name_arenas_made_total", name), 1);
        ck_assert_uint_ge(value_of("harena_name_peak_bytes", name), harena_cap(arenas[i]));
        ck_assert_uint_eq(value_of("harena_name_failures_total", name), 0);
    }
    ck_assert_uint_eq(value_of("harena_name_arenas", as_read(&hard_names[HARD_NAMES - 1])), 0);
    ck_assert_uint_eq(value_of("harena_name_failures_total", "shared"), 1);
    bytes += value_of("harena_name_bytes", "shared");
    ck_assert_uint_eq(bytes + CHUNK, stats.in_use + stats.deferred);
    harena_chunk_put(provider, chunk);
}
END_TEST

START_TEST(as_many_names_as_there_can_be)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_options options = HARENA_OPTIONS_INIT;
    char name[64];

    options.provider = provider;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "name of an arena, number %d", i);
        options.name = name;
        harena_release(SUCCEEDS(harena_create(&options)));
    }
    read_exposition(written(provider, HARENA_PROMETHEUS));
    ck_assert_uint_eq(value_of("harena_name_arenas_made_total", "(other)"), 300 - 256);
    ck_assert_uint_eq(value_of("harena_name_arenas_made_total", "name of an arena, number 255"), 1);
    ck_assert_uint_eq(exposition.count, 16 + 5 * 257);
    ends_clean(provider);
}
END_TEST

/* ---- while others work ---- */

enum { WORKERS = 8 };

static struct {
    harena_provider *provider;
    harena_shared *shared;
    atomic_uint working;
} race;

static void work(void *ctx, unsigned index)
{
    static const char *const names[] = {"request", "index", "cache", NULL};
    test_rng rng = test_rng_for(index);
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    (void)ctx;
    for (unsigned round = 0; round < test_rounds(2000) && !test_failed(); round++) {
        options.provider = race.provider;
        options.name = names[test_below(&rng, 4)];
        arena = harena_create(&options);
        TEST_EXPECT(hidden(harena_alloc(arena, test_between(&rng, 1, 100000))) != 0);
        if (test_once_in(&rng, 4))
            harena_release_rcu(arena);
        else
            harena_release(arena);
        TEST_EXPECT(hidden(harena_shared_alloc(race.shared, 300)) != 0);
        harena_chunk_put(race.provider, harena_chunk_get(race.provider));
        if (round % 64 == 63) /* else RCU's worker may fall behind by all of the region */
            TEST_EXPECT(harena_provider_barrier(race.provider) == 0);
    }
    atomic_fetch_sub(&race.working, 1);
}

static int count_bytes(void *ctx, const char *bytes, size_t size)
{
    (void)bytes;
    *(size_t *)ctx += size;
    return 0;
}

static void ask(void *ctx, unsigned index)
{
    (void)ctx;
    do {
        size_t bytes = 0;

        TEST_EXPECT(
            harena_stats_write(race.provider, formats[index % FORMATS], count_bytes, &bytes) == 0);
        TEST_EXPECT(bytes > 100);
    } while (atomic_load(&race.working) != 0 && !test_failed());
}

START_TEST(anybody_may_ask_while_others_work)
{
    const test_role roles[] = {{work, WORKERS}, {ask, FORMATS}, {NULL, 0}};

    test_seed(); /* before threads ask for it */
    race.provider = provider_of(512 * MIB, 0, NULL);
    race.shared = shared_of(race.provider, 0);
    atomic_store(&race.working, WORKERS);
    test_team(roles, NULL);
    ck_assert_int_eq(harena_provider_barrier(race.provider), 0);
    read_exposition(written(race.provider, HARENA_PROMETHEUS));
    ck_assert_uint_eq(value_of("harena_name_arenas", "request"), 0);
    ck_assert_uint_eq(value_of("harena_name_bytes", "request"), 0);
    ck_assert_uint_eq(value_of("harena_name_arenas_made_total", "request") +
                          value_of("harena_name_arenas_made_total", "index") +
                          value_of("harena_name_arenas_made_total", "cache") +
                          value_of("harena_name_arenas_made_total", "arena"),
                      WORKERS * test_rounds(2000));
    ck_assert_uint_eq(value_of("harena_name_bytes", "shared"),
                      value_of("harena_in_use_bytes", NULL));
    harena_shared_release(race.shared);
    ends_clean(race.provider);
}
END_TEST

RUN_TESTS("stats_write", nothing_is_allocated, wrong_arguments_are_einval,
          null_is_the_default_provider, a_callback_stops_at_any_piece, text_tells_what_there_is,
          text_is_printable, prometheus_gets_what_the_statistics_say, as_many_names_as_there_can_be,
          anybody_may_ask_while_others_work)
