/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of what was asked: chained, insert-only, gone as a whole at the next reset.
 *
 * Why it needs no lock:
 *  1. The table hangs on the root word of the view, so table and rows belong to one generation. A
 *     reset takes all of it away at once; who is inside keeps it until it leaves.
 *  2. A fresh generation has no table. Who finds none makes one and offers it by CAS; the loser's
 *     stays behind in the arena, unused, until the reset. There is nothing to free.
 *  3. A row's key is written before the CAS that links it at the head of its chain (release), and
 *     rows are never unlinked: a reader that sees a row (acquire) sees its key and the rest of the
 *     chain, and no address is ever used twice within a generation, so there is no ABA.
 *  4. When the CAS of a row fails, only what was linked in front since then has to be searched for
 *     the same key. So each key has one row.
 *  5. Hits and bytes only grow and order nothing else: relaxed. */
#include "window.h"

#include "hash.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { BUCKETS = 8192 }; /* about two rows a bucket when every code was asked */

struct row {
    struct row *next; /* immutable once the row is linked */
    uint64_t hash;
    _Atomic uint64_t hits, bytes;
    char key[];
};

struct table {
    _Atomic(struct row *) buckets[BUCKETS];
};

static void count(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/* This generation's table; NULL: there is none, and no memory for one if `make` asked for it. */
static struct table *find_table(harena_view *view, bool make)
{
    HARENA_ATOMIC_PTR *root = harena_view_root(view);
    if (!root)
        return NULL; /* closed, or not even a record was to be had */
    void *seen = atomic_load_explicit(root, memory_order_acquire);
    if (seen || !make)
        return seen;
    struct table *table = harena_view_alloc_zeroed(view, sizeof *table);
    if (!table)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(root, &seen, table, memory_order_acq_rel,
                                                memory_order_acquire))
        return table;
    return seen;
}

/* The key's row among those from `row` up to, but without, `end`. */
static struct row *find_row(struct row *row, const struct row *end, uint64_t hash, const char *key)
{
    while (row != end && (row->hash != hash || strcmp(row->key, key) != 0))
        row = row->next;
    return row != end ? row : NULL;
}

static struct row *make_row(harena_view *view, uint64_t hash, const char *key, size_t length)
{
    struct row *row = harena_view_alloc(view, sizeof *row + length + 1);
    if (!row)
        return NULL;
    row->hash = hash;
    atomic_init(&row->hits, 0);
    atomic_init(&row->bytes, 0);
    memcpy(row->key, key, length + 1);
    return row;
}

/* The key's row, made if there is none. NULL: out of memory. */
static struct row *get_row(harena_view *view, struct table *table, const char *key, size_t length)
{
    uint64_t hash = hash_bytes(key, length);
    _Atomic(struct row *) *bucket = &table->buckets[hash % BUCKETS];
    struct row *head = atomic_load_explicit(bucket, memory_order_acquire);
    struct row *found = find_row(head, NULL, hash, key);
    if (found)
        return found;
    struct row *fresh = make_row(view, hash, key, length);
    if (!fresh)
        return NULL;
    for (;;) {
        struct row *searched = head; /* all from here on have been looked at */
        fresh->next = head;
        if (atomic_compare_exchange_strong_explicit(bucket, &head, fresh, memory_order_acq_rel,
                                                    memory_order_acquire))
            return fresh;
        found = find_row(head, searched, hash, key);
        if (found)
            return found; /* `fresh` stays behind until the reset */
    }
}

void window_record(struct window *window, const char *key, uint64_t bytes)
{
    size_t length = strlen(key);
    harena_view *view = harena_shared_enter(window->shared);
    struct table *table = length <= WINDOW_MAX_KEY ? find_table(view, true) : NULL;
    struct row *row = table ? get_row(view, table, key, length) : NULL;
    if (row) {
        count(&row->bytes, bytes);
        count(&row->hits, 1);
    }
    harena_shared_leave(window->shared, view);
    count(row ? &window->recorded : &window->missed, 1);
}

/* The best rows so far, best first. */
struct ranking {
    struct window_top rows[WINDOW_TOP];
    int count;
};

static bool ranks_before(const struct window_top *a, const struct window_top *b)
{
    return a->hits != b->hits ? a->hits > b->hits : strcmp(a->key, b->key) < 0;
}

static void rank(struct ranking *ranking, const struct window_top *row)
{
    int at = ranking->count;
    while (at > 0 && ranks_before(row, &ranking->rows[at - 1]))
        at--;
    if (at == WINDOW_TOP)
        return;
    if (ranking->count < WINDOW_TOP)
        ranking->count++;
    size_t behind = (size_t)(ranking->count - 1 - at);
    memmove(&ranking->rows[at + 1], &ranking->rows[at], behind * sizeof *row);
    ranking->rows[at] = *row;
}

static void rank_bucket(struct ranking *ranking, const struct row *row)
{
    for (; row; row = row->next) {
        /* Read once: others go on counting while the rows are sorted. */
        struct window_top top = {row->key, atomic_load_explicit(&row->hits, memory_order_relaxed),
                                 atomic_load_explicit(&row->bytes, memory_order_relaxed)};
        if (top.hits > 0) /* 0: linked, not yet counted */
            rank(ranking, &top);
    }
}

/* The keys lie in the view: copies must be made before it is left. */
static bool copy_keys(struct ranking *ranking, harena *arena)
{
    for (int i = 0; i < ranking->count; i++) {
        ranking->rows[i].key = harena_strdup(arena, ranking->rows[i].key);
        if (!ranking->rows[i].key)
            return false;
    }
    return true;
}

int window_read_top(struct window *window, harena *arena, struct window_top **top)
{
    struct ranking *ranking = harena_new(arena, struct ranking);
    if (!ranking)
        return -1;
    ranking->count = 0;
    harena_view *view = harena_shared_enter(window->shared);
    struct table *table = find_table(view, false);
    for (size_t i = 0; table && i < BUCKETS; i++)
        rank_bucket(ranking, atomic_load_explicit(&table->buckets[i], memory_order_acquire));
    bool copied = copy_keys(ranking, arena);
    harena_shared_leave(window->shared, view);
    *top = ranking->rows;
    return copied ? ranking->count : -1;
}

static void reset(struct window *window)
{
    int result = harena_shared_reset(window->shared);
    count(result == 0 ? &window->resets : &window->refused, 1);
}

static struct timespec later(struct timespec time, unsigned ms)
{
    time.tv_sec += ms / 1000;
    time.tv_nsec += (long)(ms % 1000) * 1000000;
    if (time.tv_nsec >= 1000000000) {
        time.tv_nsec -= 1000000000;
        time.tv_sec++;
    }
    return time;
}

static void *run_timer(void *argument)
{
    struct window *window = argument;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    pthread_mutex_lock(&window->lock);
    while (!window->ending) {
        due = later(due, window->interval_ms);
        int result = 0;
        while (!window->ending && result != ETIMEDOUT)
            result = pthread_cond_timedwait(&window->wake, &window->lock, &due);
        if (!window->ending)
            reset(window);
    }
    pthread_mutex_unlock(&window->lock);
    return NULL;
}

static int start_timer(struct window *window)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&window->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (window->interval_ms == 0)
        return 0;
    int result = pthread_create(&window->timer, NULL, run_timer, window);
    window->timer_runs = result == 0;
    return result;
}

int window_open(struct window *window, harena_provider *provider, unsigned interval_ms,
                size_t limit)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    options.provider = provider;
    options.name = "window";
    options.limit = limit;
    *window = (struct window){.interval_ms = interval_ms, .lock = PTHREAD_MUTEX_INITIALIZER};
    window->shared = harena_shared_create(&options);
    if (!window->shared)
        return errno;
    int result = start_timer(window);
    if (result != 0)
        window_close(window);
    return result;
}

static void stop_timer(struct window *window)
{
    pthread_mutex_lock(&window->lock);
    window->ending = true;
    pthread_cond_signal(&window->wake);
    pthread_mutex_unlock(&window->lock);
    pthread_join(window->timer, NULL);
}

void window_close(struct window *window)
{
    if (window->timer_runs)
        stop_timer(window);
    harena_shared_release(window->shared);
    window->shared = NULL;
    pthread_cond_destroy(&window->wake);
    pthread_mutex_destroy(&window->lock);
}
