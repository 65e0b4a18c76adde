/* SPDX-License-Identifier: BSD-2-Clause */
/* A provider of the test's own, and the balance that must hold at its end. */
#ifndef TEST_SUPPORT_PROVIDER_H
#define TEST_SUPPORT_PROVIDER_H
#include <check.h>
#include <harena/provider.h>
#include <stdatomic.h>

#define TEST_MIB ((size_t)1 << 20)

/* The text of the last event that told of a refusal, for messages; "" if there was none. */
static _Atomic(const char *) test_refusal = "";

static inline void test_note_event(void *ctx, const harena_event *event)
{
    const char *text = event->kind == HARENA_EVENT_LIMIT              ? "hard limit"
                       : event->kind == HARENA_EVENT_REGION_EXHAUSTED ? "region exhausted"
                       : event->kind == HARENA_EVENT_OS_ERROR         ? "error of the OS"
                                                                      : NULL;

    (void)ctx;
    if (text != NULL)
        atomic_store_explicit(&test_refusal, text, memory_order_relaxed);
}

/* 4 GiB of addresses: hundreds of them fit under Valgrind, too. `limit` and `deferred_limit` 0:
 * none. */
static inline harena_provider *test_provider(const struct rcu_flavor_struct *rcu, size_t limit,
                                             size_t deferred_limit)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *provider;

    options.name = "test";
    options.reserve = 4096 * TEST_MIB;
    options.limit = limit;
    options.deferred_limit = deferred_limit;
    options.rcu = rcu;
    options.on_event = test_note_event;
    provider = harena_provider_create(&options);
    ck_assert_ptr_nonnull(provider);
    return provider;
}

static inline harena_provider_stats test_stats(harena_provider *provider)
{
    harena_provider_stats stats = {0};

    stats.size = sizeof(stats);
    harena_provider_stats_get(provider, &stats);
    return stats;
}

/* With all given back and no call under way: nothing in use, nothing deferred, the sums hold. */
static inline void test_provider_balanced(harena_provider *provider)
{
    harena_provider_stats stats;

    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    stats = test_stats(provider);
    ck_assert_uint_eq(stats.in_use, 0);
    ck_assert_uint_eq(stats.deferred, 0);
    ck_assert_uint_eq(stats.committed, stats.free);
    ck_assert_uint_eq(stats.gets, stats.puts);
    ck_assert_uint_eq(stats.retired, stats.reclaimed);
    ck_assert_uint_ge(stats.peak, stats.committed);
}

/* The same, then the end of the provider. */
static inline void test_provider_finish(harena_provider *provider)
{
    test_provider_balanced(provider);
    ck_assert_int_eq(harena_provider_destroy(provider), 0);
}

#endif
