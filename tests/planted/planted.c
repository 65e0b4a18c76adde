/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs with one race each, for ThreadSanitizer to find, and their twins without it: planted MODE FLAVOUR bad|good.
 *
 * Two threads take turns by relaxed accesses to one word, which order nothing. So what the library orders is all that
 * ThreadSanitizer has to go by: too little of it, and the good twin is reported; too much, and the bad one is not.
 *
 * The function that is named as its mode has the fault; planted.sh looks for that name in the report. */
#include "../support/flavor.h"

#include <harena.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLANTED static __attribute__((noinline)) void /* a frame of its own in the report */

enum { SECONDS = 60 }; /* a bound, should the two wait for each other */

static const test_flavor *flavor;
static harena_provider *provider;
static harena_shared *shared;
static harena_pool *pool;
static bool bad;
static int turn; /* whose it is: even: the thread's, odd: main's */
static char
    *first_use; /* what the thread used in its first turn; passed on by nothing that orders */
static volatile char seen;

static void pass_turn(void)
{
    __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED);
}

static void wait_for_turn(int mine)
{
    test_flavor_offline(flavor);
    while (__atomic_load_n(&turn, __ATOMIC_RELAXED) < mine)
        sched_yield();
    test_flavor_online(flavor);
}

static void fail(const char *what)
{
    fprintf(stderr, "planted: %s\n", what);
    exit(1);
}

/* An object, written once. */
static char *written(char *object)
{
    if (object == NULL)
        fail("no memory");
    *object = 1; /* not memset: gcc expands a small one where ThreadSanitizer does not look */
    return object;
}

static char *object_of(harena_view *view)
{
    return written(harena_view_alloc(view, 100));
}

static void **root_of(harena_view *view)
{
    return (void **)(void *)harena_view_root(view);
}

static char *object_at_root(harena_view *view)
{
    char *object = __atomic_load_n(root_of(view), __ATOMIC_ACQUIRE);

    if (object == NULL)
        fail("another root");
    return object;
}

static char *address_of_first_use(void)
{
    return __atomic_load_n(&first_use, __ATOMIC_RELAXED);
}

static void note_first_use(char *at)
{
    __atomic_store_n(&first_use, at, __ATOMIC_RELAXED);
}

/* ---- a view's memory, used after leave ---- */

static void use_then_leave(void)
{
    harena_view *view = harena_shared_enter(shared);
    char *object = object_of(view);

    note_first_use(object);
    if (!bad)
        seen = *object;
    harena_shared_leave(shared, view);
}

PLANTED use_after_leave(void)
{
    if (bad)
        seen = *address_of_first_use();
}

/* The same memory in another generation, at whose root it hangs. */
static void reset_and_reuse(void)
{
    harena_view *view;
    char *object;

    if (harena_shared_reset(shared) != 0 || harena_provider_barrier(provider) != 0)
        fail("no reset");
    view = harena_shared_enter(shared);
    object = object_of(view);
    if (object != address_of_first_use())
        fail("the memory was not reused");
    __atomic_store_n(root_of(view), object, __ATOMIC_RELEASE);
    harena_shared_leave(shared, view);
}

/* ---- the root of one generation, used in a view of the next ---- */

static void load_root(void)
{
    harena_view *view = harena_shared_enter(shared);

    __atomic_store_n(root_of(view), object_of(view), __ATOMIC_RELEASE);
    note_first_use(object_at_root(view));
    harena_shared_leave(shared, view);
}

/* The address is the same. The order is not: that comes with the root of the view that one is in. */
PLANTED root_of_another_generation(void)
{
    harena_view *view = harena_shared_enter(shared);
    char *object = bad ? address_of_first_use() : object_at_root(view);

    seen = *object;
    harena_shared_leave(shared, view);
}

/* ---- a root, published without release ---- */

PLANTED relaxed_instead_of_release(void)
{
    harena_view *view = harena_shared_enter(shared);

    __atomic_store_n(root_of(view), object_of(view), bad ? __ATOMIC_RELAXED : __ATOMIC_RELEASE);
    harena_shared_leave(shared, view);
}

static void read_root(void)
{
    harena_view *view = harena_shared_enter(shared);

    seen = *object_at_root(view);
    harena_shared_leave(shared, view);
}

/* ---- an arena, written after it was given back to its pool ---- */

static harena *acquire(void)
{
    harena *arena = harena_pool_acquire(pool, 0);

    if (arena == NULL)
        fail("no arena");
    return arena;
}

static void write_then_give(void)
{
    harena *arena = acquire();
    char *object = written(harena_alloc(arena, 100));

    note_first_use(object);
    if (!bad)
        *object = 3;
    harena_pool_give(pool, arena);
}

PLANTED write_after_give(void)
{
    if (bad)
        *address_of_first_use() = 3;
}

static void acquire_and_write(void)
{
    harena *arena = acquire();

    if (written(harena_alloc(arena, 100)) != address_of_first_use())
        fail("another arena");
    harena_pool_give(pool, arena);
}

/* ---- a chunk, written after it was put back ---- */

static void write_then_put(void)
{
    char *chunk = written(harena_chunk_get(provider));

    note_first_use(chunk);
    if (!bad)
        *chunk = 3;
    harena_chunk_put(provider, chunk);
}

PLANTED write_after_put(void)
{
    if (bad)
        *address_of_first_use() = 3;
}

static void get_and_write(void)
{
    char *chunk = written(harena_chunk_get(provider));

    if (chunk != address_of_first_use())
        fail("another chunk");
    harena_chunk_put(provider, chunk);
}

static void nothing(void)
{
}

static const struct {
    const char *name;
    void (*thread_first)(void), (*main_then)(void), (*thread_last)(void);
} modes[] = {
    {"use_after_leave", use_then_leave, reset_and_reuse, use_after_leave},
    {"root_of_another_generation", load_root, reset_and_reuse, root_of_another_generation},
    {"relaxed_instead_of_release", nothing, relaxed_instead_of_release, read_root},
    {"write_after_give", write_then_give, acquire_and_write, write_after_give},
    {"write_after_put", write_then_put, get_and_write, write_after_put},
};

static void *thread(void *mode)
{
    size_t m = *(const size_t *)mode;

    test_flavor_register(flavor);
    modes[m].thread_first();
    pass_turn();
    wait_for_turn(2);
    modes[m].thread_last();
    test_flavor_unregister(flavor);
    return NULL;
}

static size_t mode_of(const char *name)
{
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
        if (strcmp(modes[m].name, name) == 0)
            return m;
    fail("unknown mode");
    return 0;
}

static const test_flavor *flavor_of(const char *name)
{
    for (int f = 0; f < TEST_FLAVORS; f++)
        if (strcmp(test_flavors[f].name, name) == 0)
            return &test_flavors[f];
    fail("unknown flavour");
    return NULL;
}

static void set_up(void)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    harena_pool_options pool_options = HARENA_POOL_OPTIONS_INIT;

    test_flavor_register(flavor);
    options.reserve = (size_t)64 << 20;
    options.rcu = flavor->rcu;
    provider = harena_provider_create(&options);
    if (provider == NULL)
        fail("no provider");
    shared_options.provider = provider;
    shared_options.rcu = flavor->rcu;
    shared = harena_shared_create(&shared_options);
    pool_options.arena.provider = provider;
    pool = harena_pool_create(&pool_options);
    if (shared == NULL || pool == NULL)
        fail("no arena or pool");
}

static void tear_down(void)
{
    harena_pool_destroy(pool);
    harena_shared_release(shared);
    if (harena_provider_destroy(provider) != 0)
        fail("something is left");
    test_flavor_unregister(flavor);
}

int main(int argc, char **argv)
{
    pthread_t other;
    size_t mode;

    if (argc != 4)
        fail("usage: planted MODE FLAVOUR bad|good");
    alarm(SECONDS);
    mode = mode_of(argv[1]);
    flavor = flavor_of(argv[2]);
    bad = strcmp(argv[3], "bad") == 0;
    set_up();
    if (pthread_create(&other, NULL, thread, &mode) != 0)
        fail("no thread");
    wait_for_turn(1);
    modes[mode].main_then();
    pass_turn();
    test_flavor_offline(flavor);
    pthread_join(other, NULL);
    test_flavor_online(flavor);
    tear_down();
    return 0;
}
