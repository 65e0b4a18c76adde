/* SPDX-License-Identifier: BSD-2-Clause */
/* What the unit, fault and property tests share: checks that the compiler cannot decide from the
 * attributes of the public functions, a provider with small addresses, and a recorder of events. */
#ifndef HARENA_TESTS_UNIT_H
#define HARENA_TESTS_UNIT_H
#include <check.h>
#include <errno.h>
#include <harena.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK HARENA_CHUNK_SIZE
#define BLOCK ((size_t)2 << 20)
#define KIB   ((size_t)1 << 10)
#define MIB   ((size_t)1 << 20)
#define GIB   ((size_t)1 << 30)

/* No errno has this value: it is still there if nobody touched errno. */
#define SENTINEL 7777

#define MAYBE_UNUSED __attribute__((unused))

/* What an allocation function promises (alignment, freshness, size) is known to the compiler, which
 * would answer our questions itself: values are questioned after they have passed through here. */
static inline uintptr_t hidden(const void *pointer)
{
    uintptr_t value = (uintptr_t)pointer;

    __asm__ volatile("" : "+r"(value) : : "memory");
    return value;
}

/* A number that the compiler does not know: the inline paths for variable sizes, and no warning
 * about sizes that are too large. */
static inline size_t opaque(size_t value)
{
    __asm__ volatile("" : "+r"(value));
    return value;
}

/* An assertion for loops: Check's own writes to its pipe each time. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            ck_abort_msg("expected: %s", #condition);                                              \
    } while (0)

/* The value of a call that returns a pointer, must succeed and must leave errno alone. */
#define SUCCEEDS(call)                                                                             \
    ({                                                                                             \
        errno = SENTINEL;                                                                          \
        __auto_type result_of_call = (call);                                                       \
        int errno_of_call = errno;                                                                 \
        if (hidden(result_of_call) == 0)                                                           \
            ck_abort_msg("%s: NULL, %s", #call, strerror(errno_of_call));                          \
        if (errno_of_call != SENTINEL)                                                             \
            ck_abort_msg("%s: succeeded but set errno to %d", #call, errno_of_call);               \
        result_of_call;                                                                            \
    })

/* A call that returns a pointer must fail, with this errno. */
#define FAILS(error, call)                                                                         \
    do {                                                                                           \
        errno = SENTINEL;                                                                          \
        uintptr_t result_of_call = hidden(call);                                                   \
        int errno_of_call = errno;                                                                 \
        if (result_of_call != 0)                                                                   \
            ck_abort_msg("%s: succeeded", #call);                                                  \
        if (errno_of_call != (error))                                                              \
            ck_abort_msg("%s: errno %d, not %s", #call, errno_of_call, #error);                    \
    } while (0)

/* A call of another kind, which must leave errno alone. */
#define QUIETLY(...)                                                                               \
    do {                                                                                           \
        errno = SENTINEL;                                                                          \
        __VA_ARGS__;                                                                               \
        if (errno != SENTINEL)                                                                     \
            ck_abort_msg("%s: set errno to %d", #__VA_ARGS__, errno);                              \
    } while (0)

static inline bool under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD"); /* its own libraries are, in its client */

    return preloaded != NULL && strstr(preloaded, "/vgpreload_") != NULL;
}

static inline bool aligned_to(const void *pointer, size_t alignment)
{
    return hidden(pointer) % alignment == 0;
}

static inline bool same(const void *one, const void *other)
{
    return hidden(one) == hidden(other);
}

static inline bool all_bytes(const void *memory, size_t size, unsigned char value)
{
    const unsigned char *bytes = (const unsigned char *)hidden(memory);

    return size == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* ---- events ---- */

/* How often each kind of event came, and what the last one said. */
struct events {
    unsigned count[HARENA_EVENT_MISUSE + 1];
    unsigned malformed; /* an unknown kind, no name, no text, or more than one line of it */
    enum harena_event_kind last_kind;
    int last_error;
    size_t last_bytes;
    char last_name[64];
};

static MAYBE_UNUSED void record_event(void *ctx, const harena_event *event)
{
    struct events *events = ctx;
    unsigned kind = event->kind;

    if (kind < HARENA_EVENT_LIMIT || kind > HARENA_EVENT_MISUSE || event->name == NULL ||
        event->text == NULL || event->text[0] == '\0' || strchr(event->text, '\n') != NULL ||
        event->error < 0) {
        __atomic_fetch_add(&events->malformed, 1, __ATOMIC_RELAXED);
        return;
    }
    __atomic_fetch_add(&events->count[kind], 1, __ATOMIC_RELAXED);
    events->last_kind = event->kind;
    events->last_error = event->error;
    events->last_bytes = event->bytes;
    strncpy(events->last_name, event->name, sizeof events->last_name - 1);
}

static MAYBE_UNUSED unsigned events_of(const struct events *events, enum harena_event_kind kind)
{
    ck_assert_uint_eq(__atomic_load_n(&events->malformed, __ATOMIC_RELAXED), 0);
    return __atomic_load_n(&events->count[kind], __ATOMIC_RELAXED);
}

static MAYBE_UNUSED unsigned events_in_all(const struct events *events)
{
    unsigned sum = 0;

    for (unsigned kind = HARENA_EVENT_LIMIT; kind <= HARENA_EVENT_MISUSE; kind++)
        sum += events_of(events, (enum harena_event_kind)kind);
    return sum;
}

/* ---- providers ---- */

static MAYBE_UNUSED harena_provider_stats stats_of(harena_provider *provider)
{
    harena_provider_stats stats = {.size = sizeof stats};

    harena_provider_stats_get(provider, &stats);
    return stats;
}

/* What does not fit of the totals that hold whenever no call is under way. */
static MAYBE_UNUSED const char *wrong_total(const harena_provider_stats *stats)
{
    if (stats->committed != stats->in_use + stats->free + stats->deferred)
        return "committed is not the sum";
    if (stats->commits - stats->purges != stats->committed / CHUNK)
        return "commits less purges is not committed";
    if (stats->gets - stats->puts != (stats->in_use + stats->deferred) / CHUNK)
        return "gets less puts is not what is held";
    if (stats->peak < stats->committed || stats->reserved < stats->committed)
        return "committed is above its bounds";
    if (stats->committed % CHUNK != 0 || stats->in_use % CHUNK != 0 || stats->deferred % CHUNK != 0)
        return "parts of chunks";
    return stats->retired < stats->reclaimed ? "more reclaimed than retired" : NULL;
}

/* Fails the test unless the totals hold. RCU's worker may be in the middle of a reclaim: then they
 * must a little later. */
static MAYBE_UNUSED void totals_hold(harena_provider *provider)
{
    harena_provider_stats stats = stats_of(provider);
    const char *wrong;

    for (int tries = 0; (wrong = wrong_total(&stats)) != NULL; tries++) {
        if (tries == 500 || stats.retired == 0)
            ck_abort_msg("%s: committed %ju, in use %ju, free %ju, deferred %ju, gets %ju, puts "
                         "%ju, commits %ju, purges %ju",
                         wrong, (uintmax_t)stats.committed, (uintmax_t)stats.in_use,
                         (uintmax_t)stats.free, (uintmax_t)stats.deferred, (uintmax_t)stats.gets,
                         (uintmax_t)stats.puts, (uintmax_t)stats.commits, (uintmax_t)stats.purges);
        usleep(1000);
        stats = stats_of(provider);
    }
}

static MAYBE_UNUSED uint64_t in_use(harena_provider *provider)
{
    return stats_of(provider).in_use;
}

/* A provider of few addresses, with a hard limit (0: none) and a recorder (NULL: none). */
static MAYBE_UNUSED harena_provider *provider_of(size_t reserve, size_t limit,
                                                 struct events *events)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    options.name = "test";
    options.reserve = reserve;
    options.limit = limit;
    if (events != NULL) {
        options.on_event = record_event;
        options.event_ctx = events;
    }
    return SUCCEEDS(harena_provider_create(&options));
}

/* The end of a test: nothing is left, and the provider can go. */
static MAYBE_UNUSED void ends_clean(harena_provider *provider)
{
    harena_provider_stats stats;

    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    totals_hold(provider);
    stats = stats_of(provider);
    ck_assert_uint_eq(stats.in_use, 0);
    ck_assert_uint_eq(stats.deferred, 0);
    ck_assert_uint_eq(stats.retired, stats.reclaimed);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}

/* An arena of a provider (NULL: the default one), all defaults but for its limit (0: none). */
static MAYBE_UNUSED harena *arena_of(harena_provider *provider, size_t limit)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    options.limit = limit;
    return SUCCEEDS(harena_create(&options));
}

static MAYBE_UNUSED harena_shared *shared_of(harena_provider *provider, size_t limit)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = provider;
    options.limit = limit;
    return SUCCEEDS(harena_shared_create(&options));
}

static MAYBE_UNUSED harena_stats arena_stats_of(const harena *arena)
{
    harena_stats stats = {.size = sizeof stats};

    harena_stats_get(arena, &stats);
    return stats;
}

/* Allocates `size` bytes at a time until that fails for want of memory; how often it did not. The
 * bytes are written, and must still be there at the end. */
static MAYBE_UNUSED size_t fill(harena *arena, size_t size)
{
    size_t count = 0;
    void **newest = NULL;

    EXPECT(size >= sizeof(void *));
    for (;;) {
        void **memory;

        errno = SENTINEL;
        memory = harena_alloc(arena, size);
        if (hidden(memory) == 0)
            break;
        EXPECT(errno == SENTINEL);
        EXPECT(aligned_to(memory, 16));
        memset(memory, (int)(count & 0xff), size);
        *memory = newest;
        newest = memory;
        count++;
    }
    EXPECT(errno == ENOMEM);
    EXPECT(harena_failed(arena));
    for (size_t at = count; at-- > 0; newest = *newest)
        EXPECT(all_bytes(newest + 1, size - sizeof(void *), (unsigned char)at));
    return count;
}

/* ---- threads ---- */

/* Runs fn(ctx) on a thread of its own, to its end. */
static MAYBE_UNUSED void *on_another_thread(void *(*fn)(void *), void *ctx)
{
    pthread_t thread;
    void *result;

    ck_assert_int_eq(pthread_create(&thread, NULL, fn, ctx), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    return result;
}

/* ---- the runner ---- */

static MAYBE_UNUSED int run_tests(const char *name, SFun before, SFun after,
                                  const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    SRunner *runner = srunner_create(suite);
    int failures;

    for (size_t at = 0; at < count; at++) {
        TCase *test_case = tcase_create(tests[at]->name);

        if (getenv("CK_DEFAULT_TIMEOUT") == NULL) /* a test that hangs; not one on a busy machine */
            tcase_set_timeout(test_case, 60);
        if (before != NULL || after != NULL) /* in the test's own process */
            tcase_add_checked_fixture(test_case, before, after);
        tcase_add_test(test_case, tests[at]);
        suite_add_tcase(suite, test_case);
    }
    srunner_run_all(runner, CK_ENV);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* main: the tests by name. One that is left out is an unused variable, which the compiler reports.
 */
#define RUN_TESTS(name, ...) RUN_TESTS_AROUND(name, NULL, NULL, __VA_ARGS__)

/* The same, each test between `before` and `after`. */
#define RUN_TESTS_AROUND(name, before, after, ...)                                                 \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return run_tests(name, before, after, tests, sizeof tests / sizeof *tests);                \
    }

#endif
