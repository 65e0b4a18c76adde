/* SPDX-License-Identifier: BSD-2-Clause */
/* The default provider's options from the environment, and HARENA_TRACE. Each test is a process of its own, in which
 * nobody has asked for the default provider yet. */
#include "os.h"
#include "provider.h"
#include "unit.h"
#include <stdio.h>

static struct events events;
static char ignored[8][160];
static unsigned ignored_count;

static void collect(void *ctx, const harena_event *event)
{
    record_event(ctx, event);
    if (event->kind != HARENA_EVENT_BAD_OPTION)
        return;
    EXPECT(ignored_count < 8);
    strncpy(ignored[ignored_count++], event->text, sizeof ignored[0] - 1);
}

static void set(const char *name, const char *value)
{
    ck_assert_int_eq(setenv(name, value, 1), 0);
}

static harena_provider *default_with_listener(void)
{
    harena_provider *p = SUCCEEDS(harena_provider_default());

    ck_assert_int_eq(harena_provider_on_event(NULL, collect, &events), 0);
    return p;
}

START_TEST(limits_ballast_retention_and_huge_pages_are_read)
{
    harena_provider *p;

    set("HARENA_HARD_LIMIT", "1GiB");
    set("HARENA_LIMIT", "500MiB");
    set("HARENA_RETAIN", "70");
    set("HARENA_BALLAST", "8192KiB");
    set("HARENA_HUGE", "off");
    p = default_with_listener();
    ck_assert_uint_eq(p->limit, GIB);
    ck_assert_uint_eq(p->soft_limit, 500 * MIB);
    ck_assert_uint_eq(p->retain_percent, 70);
    ck_assert_int_eq(p->huge_pages, HARENA_HUGE_OFF);
    ck_assert_uint_eq(stats_of(p).committed, 8 * MIB);
    ck_assert_uint_eq(events_in_all(&events), 0);
}
END_TEST

START_TEST(huge_pages_have_three_words)
{
    static const struct {
        const char *word;
        enum harena_huge_pages policy;
    } words[] = {{"auto", HARENA_HUGE_AUTO}, {"on", HARENA_HUGE_ON}, {"off", HARENA_HUGE_OFF}};

    set("HARENA_HUGE", words[_i].word);
    ck_assert_int_eq(default_with_listener()->huge_pages, words[_i].policy);
    ck_assert_uint_eq(events_in_all(&events), 0);
}
END_TEST

START_TEST(hard_limit_of_the_environment_holds)
{
    static void *chunks[128];
    size_t count = 0;

    set("HARENA_HARD_LIMIT", "4MiB");
    (void)default_with_listener();
    while (count < 128 && (chunks[count] = harena_chunk_get(NULL)) != NULL)
        count++;
    ck_assert_uint_eq(count, 64);
    ck_assert_uint_ge(events_of(&events, HARENA_EVENT_LIMIT), 1);
    while (count > 0)
        harena_chunk_put(NULL, chunks[--count]);
}
END_TEST

/* So many bytes of chunks at once, and none. */
static void use(size_t bytes)
{
    static void *chunks[1024];
    size_t count = bytes / CHUNK;

    for (size_t at = 0; at < count; at++)
        chunks[at] = SUCCEEDS(harena_chunk_get(NULL));
    for (size_t at = 0; at < count; at++)
        harena_chunk_put(NULL, chunks[at]);
}

START_TEST(soft_limit_of_the_environment_gives_memory_back)
{
    set("HARENA_LIMIT", "16MiB");
    (void)default_with_listener();
    use(64 * MIB); /* nobody is refused */
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_SOFT_LIMIT), 1);
    ck_assert_uint_eq(stats_of(NULL).peak, 64 * MIB);
    ck_assert_uint_le(stats_of(NULL).committed, 16 * MIB);
}
END_TEST

START_TEST(ballast_of_the_environment_stays)
{
    uint64_t commits;

    set("HARENA_BALLAST", "16MiB");
    (void)default_with_listener();
    ck_assert_uint_eq(stats_of(NULL).free, 16 * MIB);
    commits = stats_of(NULL).commits;
    use(16 * MIB);
    ck_assert_uint_eq(stats_of(NULL).commits, commits); /* it serves */
    ck_assert_uint_eq(harena_provider_trim(NULL, 0), 0);
    ck_assert_uint_eq(stats_of(NULL).free, 16 * MIB);
}
END_TEST

static uint64_t now = 1000000;

static uint64_t test_milliseconds(void)
{
    return now;
}

START_TEST(retention_of_the_environment_is_kept_by_ticks)
{
    static const struct {
        const char *percent;
        size_t most;
    } cases[] = {{"0", 0}, {"50", 32 * MIB}, {"off", 64 * MIB}};

    hri_os.milliseconds = test_milliseconds;
    set("HARENA_RETAIN", cases[_i].percent);
    (void)default_with_listener();
    use(64 * MIB);
    now += 1000;
    (void)harena_provider_tick(NULL);
    ck_assert_uint_eq(stats_of(NULL).free, cases[_i].most);
}
END_TEST

START_TEST(units_are_bytes_kib_mib_and_gib)
{
    static const struct {
        const char *text;
        size_t size;
    } good[] = {{"65536", 65536},
                {"65536B", 65536},
                {"64KiB", 65536},
                {"3MiB", 3 * MIB},
                {"2GiB", 2 * GIB}};

    set("HARENA_HARD_LIMIT", good[_i].text);
    ck_assert_uint_eq(default_with_listener()->limit, good[_i].size);
    ck_assert_uint_eq(events_in_all(&events), 0);
}
END_TEST

START_TEST(retain_off_keeps_all_and_zero_keeps_nothing)
{
    set("HARENA_RETAIN", _i == 0 ? "off" : "0");
    ck_assert_uint_eq(default_with_listener()->retain_percent, _i == 0 ? HARENA_RETAIN_ALL : 0);
}
END_TEST

static const struct {
    const char *name, *value;
} bad[] = {
    {"HARENA_LIMIT", "lots"},
    {"HARENA_LIMIT", "-1"},
    {"HARENA_LIMIT", "0"},
    {"HARENA_LIMIT", "1MB"},
    {"HARENA_LIMIT", "1TiB"},
    {"HARENA_LIMIT", "off"},
    {"HARENA_LIMIT", "1 MiB"},
    {"HARENA_LIMIT", "99999999999999999999"},
    {"HARENA_LIMIT", "9999999999GiB"},
    {"HARENA_HARD_LIMIT", "0x1000"},
    {"HARENA_RETAIN", "100%"},
    {"HARENA_RETAIN", "4294967295"},
    {"HARENA_RETAIN", "on"},
    {"HARENA_BALLAST", "some"},
    {"HARENA_HUGE", "yes"},
    {"HARENA_TRACE", "2"},
    {"HARENA_HUGE", "on\noff"},
};

START_TEST(bad_value_is_ignored_and_told_of)
{
    harena_provider *p;

    set(bad[_i].name, bad[_i].value);
    p = default_with_listener();
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_BAD_OPTION), 1);
    ck_assert_ptr_nonnull(strstr(ignored[0], bad[_i].name));
    if (strchr(bad[_i].value, '\n') == NULL)
        ck_assert_ptr_nonnull(strstr(ignored[0], bad[_i].value));
    ck_assert_uint_eq(p->limit, 0);
    ck_assert_uint_eq(p->soft_limit, 0);
    ck_assert_uint_eq(p->ballast, 0);
    ck_assert_uint_eq(p->retain_percent, 100);
    ck_assert_int_eq(p->huge_pages, HARENA_HUGE_AUTO);
}
END_TEST

START_TEST(what_contradicts_the_hard_limit_is_ignored)
{
    harena_provider *p;

    set("HARENA_HARD_LIMIT", "100MiB");
    set("HARENA_LIMIT", "200MiB");
    set("HARENA_BALLAST", "300MiB");
    p = default_with_listener();
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_BAD_OPTION), 2);
    ck_assert_uint_eq(p->limit, 100 * MIB);
    ck_assert_uint_eq(p->soft_limit, 0);
    ck_assert_uint_eq(p->ballast, 0);
}
END_TEST

static struct hri_os real;

/* Blocks are refused, records are not. */
static int commit_refused(void *at, size_t bytes)
{
    return bytes == BLOCK ? -ENOMEM : real.commit(at, bytes);
}

START_TEST(ballast_without_memory_is_left_out)
{
    harena_provider *p;

    real = hri_os;
    hri_os.commit = commit_refused;
    set("HARENA_BALLAST", "8MiB");
    p = default_with_listener();
    hri_os = real;
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_BAD_OPTION), 1);
    ck_assert_ptr_nonnull(strstr(ignored[0], "HARENA_BALLAST=8MiB"));
    ck_assert_uint_eq(p->ballast, 0);
    ck_assert_uint_eq(stats_of(p).committed, 0);
}
END_TEST

static uint64_t machine_of_one_mebibyte(void)
{
    return MIB;
}

/* Touching it would be the process's end. */
START_TEST(ballast_of_more_than_the_machine_has_is_left_out)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *p;

    real = hri_os;
    hri_os.memory = machine_of_one_mebibyte;
    set("HARENA_BALLAST", "8MiB");
    p = default_with_listener();
    options.reserve = GIB;
    options.ballast = 8 * MIB;
    FAILS(ENOMEM, harena_provider_create(&options));
    hri_os = real;
    ck_assert_ptr_nonnull(strstr(ignored[0], "HARENA_BALLAST=8MiB"));
    ck_assert_uint_eq(p->ballast, 0);
}
END_TEST

START_TEST(private_providers_do_not_read_it)
{
    harena_provider *p;

    set("HARENA_HARD_LIMIT", "1MiB");
    p = provider_of(GIB, 0, NULL);
    ck_assert_uint_eq(p->limit, 0);
    ends_clean(p);
}
END_TEST

START_TEST(listener_can_be_changed)
{
    struct events first = {0}, second = {0};
    harena_provider *p = provider_of(GIB, CHUNK, &first);
    harena *arena = arena_of(p, 0);

    FAILS(ENOMEM, harena_alloc(arena, opaque(2 * CHUNK)));
    ck_assert_uint_eq(events_in_all(&first), 1);
    ck_assert_int_eq(harena_provider_on_event(p, record_event, &second), 0);
    FAILS(ENOMEM, harena_alloc(arena, opaque(2 * CHUNK)));
    ck_assert_uint_eq(events_in_all(&first), 1);
    ck_assert_uint_eq(events_in_all(&second), 1);
    ck_assert_int_eq(harena_provider_on_event(p, NULL, NULL), 0);
    FAILS(ENOMEM, harena_alloc(arena, opaque(2 * CHUNK)));
    ck_assert_uint_eq(events_in_all(&second), 1);
    harena_release(arena);
    ends_clean(p);
}
END_TEST

/* ---- trace ---- */

static char said[65536];

/* What `work` writes to standard error. */
static const char *said_by(void (*work)(void))
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    ssize_t length;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    work();
    ck_assert_int_eq(dup2(before, STDERR_FILENO), STDERR_FILENO);
    close(before);
    length = pread(fileno(file), said, sizeof said - 1, 0);
    ck_assert_int_ge(length, 0);
    said[length] = '\0';
    fclose(file);
    return said;
}

/* One of everything that is traced. */
static void one_of_each(void)
{
    harena_provider *p = harena_provider_default();
    harena_options options = HARENA_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    harena_shared *shared;
    harena *arena;

    options.name = "request";
    arena = SUCCEEDS(harena_create(&options));
    (void)SUCCEEDS(harena_alloc(arena, 100));
    FAILS(ENOMEM, harena_alloc(arena, opaque(GIB)));
    harena_reset(arena);
    harena_release(arena);
    shared_options.name = "index";
    shared = SUCCEEDS(harena_shared_create(&shared_options));
    (void)SUCCEEDS(harena_shared_alloc(shared, 100));
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    harena_shared_release(shared);
    ck_assert_int_eq(harena_provider_barrier(p), 0);
    harena_provider_trim(p, 0);
}

START_TEST(trace_has_a_line_for_each_event_of_a_life)
{
    static const char *const expected[] = {
        "harena: event name=request bytes=1073741824 ",
        "harena: reset arena=request len=112 kept=65536\n",
        "harena: release arena=request len=0 held=65536\n",
        "harena: reset shared=index\n",
        "harena: retire name=index bytes=65536\n",
        "harena: release shared=index\n",
        "harena: reclaim provider=default bytes=65536\n",
        "harena: trim provider=default keep=0 bytes=65536\n",
    };

    set("HARENA_TRACE", "1");
    set("HARENA_HARD_LIMIT", "1MiB");
    said_by(one_of_each);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_msg(strstr(said, expected[i]) != NULL, "no \"%s\" in:\n%s", expected[i], said);
    for (const char *at = said; *at != '\0'; at = strchr(at, '\n') + 1)
        ck_assert_msg(strncmp(at, "harena: ", 8) == 0, "a torn line in:\n%s", said);
}
END_TEST

/* Memory goes back above the soft limit, at the hard limit, and by a tick. */
static void what_goes_back_by_itself(void)
{
    static void *chunks[64];
    harena *arena;

    use(24 * MIB);
    harena_provider_trim(NULL, 0);
    for (int at = 0; at < 64; at++)
        chunks[at] = SUCCEEDS(harena_chunk_get(NULL));
    for (int at = 0; at < 64; at++)
        if (at % 32 != 0)
            harena_chunk_put(NULL, chunks[at]);
    arena = SUCCEEDS(harena_create(NULL));
    (void)SUCCEEDS(harena_alloc(arena, 31 * MIB)); /* in other blocks */
    harena_release(arena);
    harena_chunk_put(NULL, chunks[0]);
    harena_chunk_put(NULL, chunks[32]);
    now += 1000;
    (void)harena_provider_tick(NULL);
}

START_TEST(trace_tells_what_goes_back_by_itself)
{
    static const char *const expected[] = {
        "harena: trim provider=default limit=soft bytes=2097152\n",
        "harena: trim provider=default limit=hard bytes=",
        "harena: trim provider=default due=1 bytes=",
    };

    hri_os.milliseconds = test_milliseconds;
    set("HARENA_TRACE", "1");
    set("HARENA_LIMIT", "16MiB");
    set("HARENA_HARD_LIMIT", "32MiB");
    set("HARENA_RETAIN", "0");
    said_by(what_goes_back_by_itself);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_msg(strstr(said, expected[i]) != NULL, "no \"%s\" in:\n%s", expected[i], said);
}
END_TEST

static void one_of_a_hostile_name(void)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.name = "x\nharena: \x1b[2J\xc2\x9b"
                   "1m";
    harena_release(SUCCEEDS(harena_create(&options)));
}

START_TEST(a_name_ends_no_line_of_the_trace)
{
    set("HARENA_TRACE", "1");
    said_by(one_of_a_hostile_name);
    ck_assert_msg(strstr(said, "harena: release arena=x?harena: ?[2J??1m len=0") == said, "%s",
                  said);
    ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
}
END_TEST

START_TEST(nothing_is_printed_without_it)
{
    set("HARENA_HARD_LIMIT", "1MiB");
    set("HARENA_RETAIN", "bad");
    ck_assert_str_eq(said_by(one_of_each), "");
}
END_TEST

static void make_default(void)
{
    (void)SUCCEEDS(harena_provider_default());
}

START_TEST(trace_quotes_what_is_ignored)
{
    set("HARENA_TRACE", "1");
    set("HARENA_LIMIT", "many");
    ck_assert_str_eq(said_by(make_default), "harena: event name=default bytes=0 error=22 ignored: "
                                            "HARENA_LIMIT=many\n");
}
END_TEST

START_TEST(standard_error_that_is_closed_harms_nobody)
{
    set("HARENA_TRACE", "1");
    set("HARENA_HARD_LIMIT", "1MiB");
    close(STDERR_FILENO);
    one_of_each();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("environment");
    SRunner *runner = srunner_create(suite);
    TCase *tests = tcase_create("environment");
    int failures;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, limits_ballast_retention_and_huge_pages_are_read);
    tcase_add_loop_test(tests, huge_pages_have_three_words, 0, 3);
    tcase_add_test(tests, hard_limit_of_the_environment_holds);
    tcase_add_test(tests, soft_limit_of_the_environment_gives_memory_back);
    tcase_add_test(tests, ballast_of_the_environment_stays);
    tcase_add_loop_test(tests, retention_of_the_environment_is_kept_by_ticks, 0, 3);
    tcase_add_loop_test(tests, units_are_bytes_kib_mib_and_gib, 0, 5);
    tcase_add_loop_test(tests, retain_off_keeps_all_and_zero_keeps_nothing, 0, 2);
    tcase_add_loop_test(tests, bad_value_is_ignored_and_told_of, 0,
                        (int)(sizeof bad / sizeof *bad));
    tcase_add_test(tests, what_contradicts_the_hard_limit_is_ignored);
    tcase_add_test(tests, ballast_without_memory_is_left_out);
    tcase_add_test(tests, ballast_of_more_than_the_machine_has_is_left_out);
    tcase_add_test(tests, private_providers_do_not_read_it);
    tcase_add_test(tests, listener_can_be_changed);
    tcase_add_test(tests, trace_has_a_line_for_each_event_of_a_life);
    tcase_add_test(tests, trace_tells_what_goes_back_by_itself);
    tcase_add_test(tests, a_name_ends_no_line_of_the_trace);
    tcase_add_test(tests, nothing_is_printed_without_it);
    tcase_add_test(tests, trace_quotes_what_is_ignored);
    tcase_add_test(tests, standard_error_that_is_closed_harms_nobody);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
