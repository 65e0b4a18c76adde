/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug modes: how they are asked for, by options and by HARENA_DEBUG; and calls on arenas that are gone, which guard tells
 * of. */
#include "guard.h"
#include "provider.h"

static struct events events;
static harena_provider *provider;

static void begin(void)
{
    faults_are_fatal();
    ck_assert_int_eq(unsetenv("HARENA_DEBUG"), 0);
}

static void end(void)
{
    if (provider == NULL)
        return;
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    harena_provider_trim(provider, 0);
    ends_clean(provider);
}

static void use_provider(void)
{
    provider = provider_of(64 * MIB, 0, &events);
}

/* ---- how they are asked for ---- */

START_TEST(options_take_words_with_commas)
{
    static const char *const good[] = {"", "guard", "guard,guard"};
    static const char *const bad[] = {"guards",       "guar",      "guard ", ",",
                                      "guard,",       ",guard",    "GUARD",  "a,b",
                                      "guard,,guard", "guard,none"};
    harena_options options = HARENA_OPTIONS_INIT;
    harena_shared_options shared = HARENA_SHARED_OPTIONS_INIT;
    harena_pool_options pool = HARENA_POOL_OPTIONS_INIT;
    char memory[4096];

    use_provider();
    options.provider = shared.provider = pool.arena.provider = provider;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        options.debug = shared.debug = pool.arena.debug = good[i];
        harena_release(SUCCEEDS(harena_create(&options)));
        harena_release(SUCCEEDS(harena_create_fixed(memory, sizeof memory, &options)));
        harena_pool_destroy(SUCCEEDS(harena_pool_create(&pool)));
        harena_shared_release(SUCCEEDS(harena_shared_create(&shared)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.debug = shared.debug = pool.arena.debug = bad[i];
        FAILS(EINVAL, harena_create(&options));
        FAILS(EINVAL, harena_create_fixed(memory, sizeof memory, &options));
        FAILS(EINVAL, harena_pool_create(&pool));
        FAILS(EINVAL, harena_shared_create(&shared));
    }
}
END_TEST

static int ask_for_help(void *ctx)
{
    (void)ctx;
    use_provider();
    for (int i = 0; i < 3; i++)
        harena_release(debugged(provider, "a", "guard,help"));
    return 0;
}

START_TEST(help_lists_the_modes_once)
{
    struct child child = child_that_does(ask_for_help, NULL);

    ck_assert_int_eq(child.status, 0);
    ck_assert_int_eq(strncmp(child.text, "harena: words of HARENA_DEBUG", 29), 0);
    ck_assert_ptr_nonnull(strstr(child.text, "\nharena:   guard: "));
    ck_assert_ptr_nonnull(strstr(child.text, "\nharena:   help: "));
    ck_assert_ptr_null(strstr(child.text + 1, "harena: words"));
}
END_TEST

/* Touches memory of arenas for which nothing but the environment asks. */
static int use_after_release(void *kind)
{
    harena *a = *(int *)kind != 0 ? debugged(provider_of(64 * MIB, 0, NULL), "private", NULL)
                                  : debugged(NULL, "default", "");
    char *at = harena_alloc(a, 10);

    harena_release(a);
    return touch(at) != 0;
}

START_TEST(the_environment_asks_for_all_arenas_of_all_providers)
{
    ck_assert_int_eq(setenv("HARENA_DEBUG", "guard", 1), 0);
    for (int kind = 0; kind < 2; kind++) {
        struct child child = child_that_does(use_after_release, &kind);

        ck_assert_int_eq(child.signal, SIGSEGV);
        ck_assert_ptr_nonnull(
            strstr(child.text, kind != 0 ? "arena \"private\"" : "arena \"default\""));
    }
}
END_TEST

static int release_a_fixed_one_twice(void *ctx)
{
    char memory[4096];
    harena *a;

    (void)ctx;
    a = harena_create_fixed(memory, sizeof memory, NULL);
    harena_release(a);
    harena_release(a);
    return 0;
}

START_TEST(the_environment_asks_for_fixed_arenas_too)
{
    ck_assert_int_eq(setenv("HARENA_DEBUG", "guard", 1), 0);
    ck_assert_str_eq(child_that_does(release_a_fixed_one_twice, NULL).text,
                     "harena: harena_release: the arena \"arena\" was released already\n");
}
END_TEST

START_TEST(a_bad_value_of_the_environment_is_told_of_and_ignored)
{
    harena *a;
    char *at;

    ck_assert_int_eq(setenv("HARENA_DEBUG", "guard,nosuchmode", 1), 0);
    ck_assert_int_eq(harena_provider_on_event(NULL, record_event, &events), 0);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_BAD_OPTION), 1);
    a = arena_of(NULL, 0);
    at = SUCCEEDS(harena_alloc(a, 10));
    harena_release(a);
    is_readable(at);
}
END_TEST

/* ---- calls on what is gone ---- */

/* Standard error goes to a file from here on; what is in it now. */
static FILE *errors;

static void watch_errors(void)
{
    errors = tmpfile();
    ck_assert_ptr_nonnull(errors);
    ck_assert_int_ge(dup2(fileno(errors), STDERR_FILENO), 0);
}

/* One more misuse of the arena has been told of, by an event and by one line. */
static void is_told_that(const char *call, const char *name, const char *state)
{
    static unsigned told;
    char line[256] = "", wanted[256];
    ssize_t got = pread(fileno(errors), line, sizeof line - 1, 0);

    ck_assert_int_ge(got, 0);
    snprintf(wanted, sizeof wanted, "harena: %s: the arena \"%s\" %s\n", call, name, state);
    ck_assert_str_eq(line, wanted);
    ck_assert_int_eq(ftruncate(fileno(errors), 0), 0);
    ck_assert_int_eq(lseek(fileno(errors), 0, SEEK_SET), 0);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), ++told);
    ck_assert_str_eq(events.last_name, name);
}

static void is_told_nothing(void)
{
    char byte;

    ck_assert_int_eq(pread(fileno(errors), &byte, 1, 0), 0);
}

static void is_told(const char *call, const char *name)
{
    is_told_that(call, name, "was released already");
}

static void nothing(void *ctx)
{
    (void)ctx;
}

/* `a` is gone: each call tells of it and changes nothing. */
static void all_calls_are_told(harena *a, const char *name)
{
    harena_provider_stats before = stats_of(provider);
    harena *live = debugged(provider, "live", NULL);

    harena_release(a);
    is_told("harena_release", name);
    harena_reset(a);
    is_told("harena_reset", name);
    harena_release_rcu(a);
    is_told("harena_release_rcu", name);
    FAILS(EINVAL, harena_alloc(a, opaque(10)));
    is_told("allocation", name);
    FAILS(EINVAL, harena_alloc(a, 10));
    is_told("allocation", name);
    FAILS(EINVAL, harena_alloc_aligned(a, 10, 4096));
    is_told("allocation", name);
    FAILS(EINVAL, harena_printf(a, "%d", 1));
    is_told("allocation", name);
    ck_assert_int_eq(harena_on_release(a, nothing, NULL), -EINVAL);
    is_told("harena_on_release", name);
    ck_assert_uint_eq(harena_mark_get(a).opaque[0], 0);
    is_told("harena_mark_get", name);
    harena_keep(a);
    is_told("harena_keep", name);
    ck_assert_int_eq(harena_absorb(live, a), -EINVAL);
    is_told("harena_absorb", name);
    ck_assert(!harena_contains(a, a));
    ck_assert(harena_failed(a));
    harena_release(live);
    ck_assert_uint_eq(stats_of(provider).in_use, before.in_use);
    ck_assert_uint_eq(stats_of(provider).gets, before.gets);
    ck_assert_uint_eq(provider->live, 0);
}

START_TEST(calls_on_a_released_arena_are_told_of)
{
    harena *a;

    use_provider();
    watch_errors();
    a = debugged(provider, "gone", "guard");
    (void)SUCCEEDS(harena_alloc(a, 100));
    harena_release(a);
    all_calls_are_told(a, "gone");
}
END_TEST

START_TEST(calls_on_an_empty_arena_that_was_released_are_told_of)
{
    harena *a;

    use_provider();
    watch_errors();
    a = debugged(provider, "never used", "guard");
    harena_release(a);
    all_calls_are_told(a, "never used");
}
END_TEST

static void count(void *counter)
{
    ++*(int *)counter;
}

/* A cleanup of an arena on its way out registers another. */
static struct late {
    harena *a;
    int runs;
} late;

static void register_more(void *ctx)
{
    EXPECT(harena_on_release(late.a, count, &late.runs) == 0);
    count(ctx);
}

START_TEST(between_release_rcu_and_reclaim_calls_are_told_of_and_cleanups_run)
{
    use_provider();
    watch_errors();
    late.a = debugged(provider, "leaving", "guard");
    ck_assert_int_eq(harena_on_release(late.a, register_more, &late.runs), 0);
    harena_provider_read_lock(provider);
    harena_release_rcu(late.a);
    harena_release_rcu(late.a);
    is_told("harena_release_rcu", "leaving");
    FAILS(EINVAL, harena_alloc(late.a, 10));
    is_told("allocation", "leaving");
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(late.runs, 2);
    all_calls_are_told(late.a, "leaving");
}
END_TEST

/* It may allocate, and register more; it may not end the arena once more. */
static void end_it_again(void *ctx)
{
    static const char state[] = "is being released";

    ck_assert_ptr_nonnull(harena_alloc(late.a, 100));
    ck_assert_ptr_nonnull(harena_alloc(late.a, 100000));
    register_more(ctx);
    harena_release(late.a);
    is_told_that("harena_release", "ending", state);
    harena_release_rcu(late.a);
    is_told_that("harena_release_rcu", "ending", state);
    harena_reset(late.a);
    is_told_that("harena_reset", "ending", state);
}

START_TEST(a_cleanup_of_a_release_cannot_release_it)
{
    use_provider();
    watch_errors();
    late.a = debugged(provider, "ending", "guard");
    ck_assert_int_eq(harena_on_release(late.a, end_it_again, &late.runs), 0);
    harena_release(late.a);
    ck_assert_int_eq(late.runs, 2);
    all_calls_are_told(late.a, "ending");
}
END_TEST

START_TEST(a_published_arena_is_its_snapshots)
{
    harena_snapshot snapshot = HARENA_SNAPSHOT_INIT;
    static const char state[] = "is a snapshot's";
    harena *first, *second;
    int *root;

    use_provider();
    watch_errors();
    first = debugged(provider, "published", "guard");
    second = debugged(provider, "next", "guard");
    root = SUCCEEDS(harena_new(first, int));
    *root = 7;
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, first, root), 0);
    harena_release(first);
    is_told_that("harena_release", "published", state);
    harena_release_rcu(first);
    is_told_that("harena_release_rcu", "published", state);
    harena_reset(first);
    is_told_that("harena_reset", "published", state);
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, first, root), -EINVAL);
    is_told_that("harena_snapshot_publish", "published", state);
    FAILS(EINVAL, harena_alloc(first, 10));
    is_told_that("allocation", "published", state);
    ck_assert_int_eq(*(int *)harena_snapshot_enter(&snapshot), 7);
    harena_snapshot_leave(&snapshot);
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, second, SUCCEEDS(harena_new(second, int))),
                     0);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    faults_as(root, "published", "release");
    harena_release(first);
    is_told("harena_release", "published");
    harena_snapshot_fini(&snapshot);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(provider->live, 0);
}
END_TEST

START_TEST(calls_on_an_absorbed_arena_are_told_of)
{
    harena *into, *from;
    char *at;

    use_provider();
    watch_errors();
    into = debugged(provider, "into", "guard");
    from = debugged(provider, "from", "guard");
    at = SUCCEEDS(harena_alloc(from, 100));
    ck_assert_int_eq(harena_absorb(into, from), 0);
    harena_reset(from);
    is_told("harena_reset", "from");
    is_readable(at);
    harena_release(into);
    faults_as(at, "into", "release");
}
END_TEST

START_TEST(calls_on_a_released_shared_arena_are_told_of)
{
    harena_shared *s;
    harena_view *view;

    use_provider();
    watch_errors();
    s = debugged_shared(provider, "everybody's", "guard");
    view = harena_shared_enter(s);
    ck_assert_ptr_nonnull(harena_view_alloc(view, 10));
    harena_shared_release(s);
    harena_shared_release(s);
    is_told("harena_shared_release", "everybody's");
    FAILS(ESHUTDOWN, harena_shared_alloc(s, 10)); /* in a section of before: closed, no more */
    harena_shared_leave(s, view);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    harena_shared_release(s);
    is_told("harena_shared_release", "everybody's");
    harena_shared_release_now(s);
    is_told("harena_shared_release_now", "everybody's");
    harena_shared_close(s);
    is_told("harena_shared_close", "everybody's");
    ck_assert_int_eq(harena_shared_reset(s), -EINVAL);
    is_told("harena_shared_reset", "everybody's");
    ck_assert_int_eq(harena_shared_reset_now(s), -EINVAL);
    is_told("harena_shared_reset_now", "everybody's");
    FAILS(ESHUTDOWN, harena_shared_alloc(s, 10));
    is_told("harena_shared_enter or allocation", "everybody's");
    view = harena_shared_enter(s);
    is_told("harena_shared_enter or allocation", "everybody's");
    FAILS(ESHUTDOWN, harena_view_alloc(view, 10));
    harena_shared_leave(s, view);
    ck_assert_uint_eq(provider->live, 0);
}
END_TEST

START_TEST(a_pools_arenas_are_guarded)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    char words[] = "guard";
    harena_pool *pool;
    harena *a;
    char *at;

    use_provider();
    options.arena.provider = provider;
    options.arena.name = "pooled";
    options.arena.debug = words;
    options.arena.initial = 200000;
    pool = SUCCEEDS(harena_pool_create(&options));
    memset(words, 'x', sizeof words - 1); /* they are the caller's again */
    for (int i = 0; i < 20; i++) {
        a = SUCCEEDS(harena_pool_acquire(pool, 1));
        ck_assert_uint_ge(harena_cap(a), 200000);
        at = SUCCEEDS(harena_alloc(a, 100));
        memset(at, 1, 100);
        harena_pool_give(pool, a);
    }
    faults_as(at, "pooled", "reset");
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(an_arena_that_was_given_is_its_pools)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    static const char state[] = "is idle in its pool";
    harena_pool *pool;
    harena *a;

    use_provider();
    watch_errors();
    options.arena.provider = provider;
    options.arena.name = "pooled";
    options.arena.debug = "guard";
    pool = SUCCEEDS(harena_pool_create(&options));
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    (void)SUCCEEDS(harena_alloc(a, 100));
    harena_pool_give(pool, a);
    harena_release(a);
    is_told_that("harena_release", "pooled", state);
    harena_pool_give(pool, a);
    is_told_that("harena_pool_give", "pooled", state);
    FAILS(EINVAL, harena_alloc(a, 10));
    is_told_that("allocation", "pooled", state);
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    ck_assert(same(SUCCEEDS(harena_pool_acquire(pool, 2)), a));
    memset(SUCCEEDS(harena_alloc(a, 100)), 1, 100);
    harena_release(a);
    harena_pool_give(pool, a);
    is_told("harena_pool_give", "pooled");
    harena_pool_give(NULL, a);
    is_told("harena_pool_give", "pooled");
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    harena_pool_give(pool, a); /* released with its pool */
    harena_pool_destroy(pool);
    is_told_nothing();
    ck_assert_uint_eq(provider->live, 0);
}
END_TEST

START_TEST(the_last_256_are_known)
{
    static harena *gone[256], *live[256];

    use_provider();
    watch_errors();
    for (int i = 0; i < 256; i++)
        gone[i] = debugged(provider, "one of 256", "guard");
    for (int i = 0; i < 256; i++)
        harena_release(gone[i]);
    for (int i = 0; i < 256; i++)
        live[i] = debugged(provider, "live", NULL); /* in other records */
    for (int i = 0; i < 256; i++) {
        harena_release(gone[i]);
        is_told("harena_release", "one of 256");
    }
    for (int i = 0; i < 256; i++)
        harena_release(live[i]);
}
END_TEST

/* Records are kept for a while, not for ever. */
START_TEST(arenas_come_and_go_without_growth)
{
    size_t used = 0;

    use_provider();
    for (int i = 0; i < 4000; i++) {
        harena_release(debugged(provider, "one of many", "guard"));
        harena_shared_release_now(debugged_shared(provider, "one of many", "guard"));
        if (i == 1000)
            used = provider->slab.used;
    }
    ck_assert_uint_eq(provider->slab.used, used);
}
END_TEST

RUN_TESTS_AROUND("debug", begin, end, options_take_words_with_commas, help_lists_the_modes_once,
                 the_environment_asks_for_all_arenas_of_all_providers,
                 the_environment_asks_for_fixed_arenas_too,
                 a_bad_value_of_the_environment_is_told_of_and_ignored,
                 calls_on_a_released_arena_are_told_of,
                 calls_on_an_empty_arena_that_was_released_are_told_of,
                 between_release_rcu_and_reclaim_calls_are_told_of_and_cleanups_run,
                 calls_on_an_absorbed_arena_are_told_of,
                 calls_on_a_released_shared_arena_are_told_of, a_pools_arenas_are_guarded,
                 a_cleanup_of_a_release_cannot_release_it, a_published_arena_is_its_snapshots,
                 an_arena_that_was_given_is_its_pools, the_last_256_are_known,
                 arenas_come_and_go_without_growth)
