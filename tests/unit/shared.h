/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the shared arena share: a provider around each test, options, bytes of it, a cleanup that counts,
 * every function that allocates. */
#ifndef HARENA_TESTS_SHARED_H
#define HARENA_TESTS_SHARED_H
#include "unit.h"

static harena_provider *provider;
static struct events events;
static harena_shared_options options;

static void with_provider(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(256 * MIB, 0, &events);
    options = (harena_shared_options)HARENA_SHARED_OPTIONS_INIT;
    options.provider = provider;
}

static void without_provider(void)
{
    ends_clean(provider);
}

static MAYBE_UNUSED harena_shared *made(void)
{
    return SUCCEEDS(harena_shared_create(&options));
}

static MAYBE_UNUSED unsigned char *bytes_of(harena_shared *shared, size_t size, int value)
{
    return memset(SUCCEEDS(harena_shared_alloc(shared, opaque(size))), value, size);
}

static MAYBE_UNUSED void count_up(void *counter)
{
    __atomic_fetch_add((int *)counter, 1, __ATOMIC_RELAXED);
}

static MAYBE_UNUSED int counted(const int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static MAYBE_UNUSED void back_after_barrier(void)
{
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(stats_of(provider).deferred, 0);
    totals_hold(provider);
}

/* ---- every function that allocates ---- */

static void *by_shared(harena_shared *shared, size_t size)
{
    return harena_shared_alloc(shared, opaque(size));
}

static void *by_shared_slow(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_slow(shared, opaque(size));
}

static void *by_shared_zeroed(harena_shared *shared, size_t size)
{
    void *memory = harena_shared_alloc_zeroed(shared, opaque(size));

    if (hidden(memory) != 0 && size <= MIB)
        EXPECT(all_bytes(memory, size, 0));
    return memory;
}

static void *by_shared_aligned(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_aligned(shared, opaque(size), opaque(16));
}

static void *by_shared_array(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_array(shared, opaque(size), opaque(1));
}

static void *by_shared_atomic(harena_shared *shared, size_t size)
{
    return harena_shared_alloc_atomic(shared, opaque(size));
}

static void *by_view(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc(view, opaque(size));
    int error = errno;

    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_view_slow(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc_slow(view, opaque(size));
    int error = errno;

    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_view_zeroed(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc_zeroed(view, opaque(size));
    int error = errno;

    if (hidden(memory) != 0 && size <= MIB)
        EXPECT(all_bytes(memory, size, 0));
    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_view_aligned(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc_aligned(view, opaque(size), opaque(16));
    int error = errno;

    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_view_atomic(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    void *memory = harena_view_alloc_atomic(view, opaque(size));
    int error = errno;

    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static void *by_lane(harena_shared *shared, size_t size)
{
    harena_view *view = harena_shared_enter(shared);
    harena *lane = harena_view_lane(view);
    void *memory = harena_alloc(lane, opaque(size));
    int error = errno;

    EXPECT(hidden(lane) != 0);
    harena_shared_leave(shared, view);
    errno = error;
    return memory;
}

static MAYBE_UNUSED const struct allocator {
    const char *name;
    void *(*alloc)(harena_shared *shared, size_t size);
} allocators[] = {
    {"harena_shared_alloc", by_shared},
    {"harena_shared_alloc_slow", by_shared_slow},
    {"harena_shared_alloc_zeroed", by_shared_zeroed},
    {"harena_shared_alloc_aligned", by_shared_aligned},
    {"harena_shared_alloc_array", by_shared_array},
    {"harena_shared_alloc_atomic", by_shared_atomic},
    {"harena_view_alloc", by_view},
    {"harena_view_alloc_slow", by_view_slow},
    {"harena_view_alloc_zeroed", by_view_zeroed},
    {"harena_view_alloc_aligned", by_view_aligned},
    {"harena_view_alloc_atomic", by_view_atomic},
    {"harena_alloc of a lane", by_lane},
};
enum { ALLOCATORS = sizeof allocators / sizeof *allocators };

#endif
