/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of pools share: a provider around each test, pools of it, uses of known size. */
#ifndef HARENA_TESTS_POOLS_H
#define HARENA_TESTS_POOLS_H
#include "unit.h"

#include "pool.h"

static harena_provider *provider;
static struct events events;

static void with_provider(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(256 * MIB, 0, &events);
}

static void without_provider(void)
{
    ends_clean(provider);
}

static MAYBE_UNUSED harena_pool *pool_of(size_t max_idle, size_t max_idle_bytes)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;

    options.arena.provider = provider;
    options.max_idle = max_idle;
    options.max_idle_bytes = max_idle_bytes;
    return SUCCEEDS(harena_pool_create(&options));
}

/* So many bytes, in pieces of 1 KiB: no chunk has a rest. */
static MAYBE_UNUSED void fill_up(harena *a, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += KIB)
        memset(SUCCEEDS(harena_alloc(a, opaque(KIB))), 0x55, KIB);
}

/* Acquires, allocates so many bytes, gives; what the arena had at once. */
static MAYBE_UNUSED size_t use(harena_pool *pool, uint64_t key, size_t bytes)
{
    harena *a = SUCCEEDS(harena_pool_acquire(pool, key));
    size_t cap = harena_cap(a);

    EXPECT(harena_len(a) == 0);
    fill_up(a, bytes);
    QUIETLY(harena_pool_give(pool, a));
    return cap;
}

/* What an arena that is acquired for the key has at once; it is not used. */
static MAYBE_UNUSED size_t has_at_once(harena_pool *pool, uint64_t key)
{
    harena *a = SUCCEEDS(harena_pool_acquire(pool, key));
    size_t cap = harena_cap(a);

    harena_release(a); /* so that the estimate stays as it is */
    return cap;
}

static MAYBE_UNUSED harena_pool *pool_with(const harena_options *arena)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;

    options.arena = *arena;
    options.arena.provider = provider;
    return SUCCEEDS(harena_pool_create(&options));
}

#endif
