/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs with one race each, for ThreadSanitizer to find, and their twins without it: planted MODE FLAVOUR bad|good.
 *
 * Two threads take turns by relaxed accesses to one word, which order nothing. So what the library orders is all that
 * ThreadSanitizer has to go by: too little of it, and the good twin is reported; too much, and the bad one is not. */
#include "../support/flavor.h"

#include <harena.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS = 60 }; /* a bound, should the two wait for each other */

static const test_flavor *flavor;
static harena_provider *provider;
static harena_shared *shared;
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

/* An object of the present generation, written once. */
static char *object_of(harena_view *view)
{
    char *object = harena_view_alloc(view, 100);

    if (object == NULL)
        fail("no memory");
    *object = 1; /* not memset: gcc expands a small one where ThreadSanitizer does not look */
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

    note_first_use(object_of(view));
    harena_shared_leave(shared, view);
}

static void use_after_leave(void)
{
    if (bad)
        seen = *address_of_first_use();
}

/* The same memory in another generation. */
static void reset_and_reuse(void)
{
    harena_view *view;

    if (harena_shared_reset(shared) != 0 || harena_provider_barrier(provider) != 0)
        fail("no reset");
    view = harena_shared_enter(shared);
    if (object_of(view) != address_of_first_use())
        fail("the memory was not reused");
    harena_shared_leave(shared, view);
}

/* ---- an object of one generation, used in a view of the next ---- */

static void use_in_next_view(void)
{
    harena_view *view = harena_shared_enter(shared);

    if (bad)
        seen = *address_of_first_use();
    harena_shared_leave(shared, view);
}

/* ---- a root, published without release ---- */

static void publish_root(void)
{
    harena_view *view = harena_shared_enter(shared);

    __atomic_store_n((void **)(void *)harena_view_root(view), object_of(view),
                     bad ? __ATOMIC_RELAXED : __ATOMIC_RELEASE);
    harena_shared_leave(shared, view);
}

static void read_root(void)
{
    harena_view *view = harena_shared_enter(shared);
    char *object = __atomic_load_n((void **)(void *)harena_view_root(view), __ATOMIC_ACQUIRE);

    if (object == NULL)
        fail("another root");
    seen = *object;
    harena_shared_leave(shared, view);
}

/* ---- a chunk, written after it was put back ---- */

static void put_chunk(void)
{
    char *chunk = harena_chunk_get(provider);

    if (chunk == NULL)
        fail("no chunk");
    *chunk = 1;
    note_first_use(chunk);
    harena_chunk_put(provider, chunk);
}

static void write_after_put(void)
{
    if (bad)
        *address_of_first_use() = 3;
}

static void take_chunk(void)
{
    char *chunk = harena_chunk_get(provider);

    if (chunk != address_of_first_use())
        fail("another chunk");
    *chunk = 2;
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
    {"object_of_another_generation", use_then_leave, reset_and_reuse, use_in_next_view},
    {"relaxed_instead_of_release", publish_root, read_root, nothing},
    {"write_after_put", put_chunk, take_chunk, write_after_put},
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

int main(int argc, char **argv)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_shared_options shared_options = HARENA_SHARED_OPTIONS_INIT;
    pthread_t other;
    size_t mode;

    if (argc != 4)
        fail("usage: planted MODE FLAVOUR bad|good");
    alarm(SECONDS);
    mode = mode_of(argv[1]);
    flavor = flavor_of(argv[2]);
    bad = strcmp(argv[3], "bad") == 0;
    test_flavor_register(flavor);
    options.reserve = (size_t)64 << 20;
    options.rcu = flavor->rcu;
    provider = harena_provider_create(&options);
    shared_options.provider = provider;
    shared_options.rcu = flavor->rcu;
    shared = provider != NULL ? harena_shared_create(&shared_options) : NULL;
    if (shared == NULL)
        fail("no provider or arena");
    if (pthread_create(&other, NULL, thread, &mode) != 0)
        fail("no thread");
    wait_for_turn(1);
    modes[mode].main_then();
    pass_turn();
    test_flavor_offline(flavor);
    pthread_join(other, NULL);
    test_flavor_online(flavor);
    harena_shared_release(shared);
    if (harena_provider_destroy(provider) != 0)
        fail("something is left");
    test_flavor_unregister(flavor);
    return 0;
}
