/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of what was asked, without HTTP in between: threads meet at the same new keys at the
 * same moment, which requests that take some 50 us each hardly ever do. */
#include <urcu-bp.h> /* the flavour, see server.h */

#include "window.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, KEYS = WINDOW_TOP, REPEATS = 3, HOT = 300, ROUNDS = 300, FIRE_MS = 500 };

static harena_provider *provider;
static struct window window;
static pthread_barrier_t barrier;
static atomic_bool firing;
static atomic_ulong checked_under_fire;

static void die(const char *what)
{
    fprintf(stderr, "test_window: %s\n", what);
    exit(1);
}

static void key_at(char *key, size_t size, unsigned at)
{
    snprintf(key, size, "/key/%03u/%u", at, at * at);
}

static uint64_t bytes_at(unsigned at)
{
    return 100 + at;
}

static uint64_t hits_at(unsigned at)
{
    return THREADS * (REPEATS + (at == 0 ? HOT : 0));
}

static void die_count(const struct window_top *row, unsigned at)
{
    fprintf(stderr,
            "test_window: %s: %" PRIu64 " hits, %" PRIu64 " bytes; not %" PRIu64 ", %" PRIu64 "\n",
            row->key, row->hits, row->bytes, hits_at(at), hits_at(at) * bytes_at(at));
    exit(1);
}

static void record(unsigned at)
{
    char key[32];
    key_at(key, sizeof key, at);
    window_record(&window, key, bytes_at(at));
}

/* Every key some times, and one of them often: all threads count in one row. */
static void record_all(void)
{
    for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
        for (unsigned at = 0; at < KEYS; at++)
            record(at);
    }
    for (unsigned i = 0; i < HOT; i++)
        record(0);
}

/* The number of a row's key, which must be one of ours. */
static unsigned key_number(const struct window_top *row)
{
    char key[32];
    unsigned at = KEYS;
    if (sscanf(row->key, "/key/%u/", &at) != 1 || at >= KEYS)
        die("a key that nobody recorded");
    key_at(key, sizeof key, at);
    if (strcmp(key, row->key) != 0)
        die("a damaged key");
    return at;
}

static int read_top(struct window_top **top, harena *arena)
{
    int count = window_read_top(&window, arena, top);
    if (count < 0)
        die("out of memory");
    return count;
}

/* Nobody records: each key has one row, with every record counted. */
static void expect_all(harena *arena)
{
    struct window_top *top;
    bool seen[KEYS] = {false};
    if (read_top(&top, arena) != KEYS)
        die("not one row for each key");
    for (int i = 0; i < KEYS; i++) {
        unsigned at = key_number(&top[i]);
        if (seen[at])
            die("two rows for one key");
        if (top[i].hits != hits_at(at) || top[i].bytes != top[i].hits * bytes_at(at))
            die_count(&top[i], at);
        seen[at] = true;
    }
    harena_reset(arena);
}

/* Others record and reset: whatever is there must be possible. */
static void expect_possible(harena *arena)
{
    struct window_top *top;
    bool seen[KEYS] = {false};
    int count = read_top(&top, arena);
    for (int i = 0; i < count; i++) {
        unsigned at = key_number(&top[i]);
        if (seen[at] || (i > 0 && top[i].hits > top[i - 1].hits))
            die("two rows for one key, or not sorted");
        seen[at] = true;
    }
    harena_reset(arena);
    atomic_fetch_add(&checked_under_fire, (unsigned long)count);
}

static void *run_recorder(void *unused)
{
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier); /* the window is empty */
        record_all();
        pthread_barrier_wait(&barrier); /* the window is full */
    }
    pthread_barrier_wait(&barrier); /* nobody counts exactly any more */
    while (atomic_load(&firing))
        record_all();
    return NULL;
}

static void run_rounds(harena *arena)
{
    for (int round = 0; round < ROUNDS; round++) {
        if (harena_shared_reset(window.shared) != 0)
            die("cannot reset");
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        expect_all(arena);
    }
    pthread_barrier_wait(&barrier);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void run_fire(harena *arena)
{
    uint64_t end = now_ms() + FIRE_MS;
    for (unsigned round = 0; now_ms() < end; round++) {
        expect_possible(arena);
        if (round % 3 == 0)
            harena_shared_reset(window.shared);
        sched_yield(); /* fewer cores than threads: let somebody record */
    }
    atomic_store(&firing, false);
}

static harena *make_arena(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    options.provider = provider;
    harena *arena = harena_create(&options);
    if (!arena)
        die("out of memory");
    return arena;
}

static void finish(harena *arena)
{
    uint64_t missed = window.missed;
    window_close(&window);
    harena_release(arena);
    if (missed != 0)
        die("a record was refused");
    if (harena_provider_destroy(provider) != 0)
        die("memory is left in use");
}

int main(void)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    options.rcu = HARENA_RCU_FLAVOR;
    provider = harena_provider_create(&options);
    if (!provider || window_open(&window, provider, 0, 0) != 0)
        die("out of memory");
    harena *arena = make_arena();
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    atomic_store(&firing, true);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, run_recorder, NULL) != 0)
            die("no thread to be had");
    }
    run_rounds(arena);
    run_fire(arena);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    printf("%d rounds counted exactly, %lu rows read under fire\n", ROUNDS, checked_under_fire);
    finish(arena);
    return 0;
}
