/* SPDX-License-Identifier: BSD-2-Clause */
/* One arena, many threads: a lock-free hash table in the view, filled by all, reset meanwhile. */
#include <harena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 20000, KEYS = 1000, BUCKETS = 256 };

struct entry {
    struct entry *next;
    unsigned key;
    atomic_uint hits;
};
struct table {
    _Atomic(struct entry *) buckets[BUCKETS];
};
static harena_shared *shared;
static atomic_uint hits, wrong, running;

/* The table of this generation: whoever comes first hangs it at the root. */
static struct table *table_of(harena_view *view)
{
    HARENA_ATOMIC_PTR *root = harena_view_root(view); /* NULL: closed, or no memory */
    void *seen = root != NULL ? atomic_load(root) : NULL, *mine;

    if (root == NULL || seen != NULL)
        return seen;
    mine = harena_view_alloc_zeroed(view, sizeof(struct table));
    if (mine == NULL || atomic_compare_exchange_strong(root, &seen, mine))
        return mine;
    return seen; /* another thread was faster; ours goes with the generation */
}

/* The key's entry, made if there is none: from the view that the table comes from. */
static struct entry *find(harena_view *view, struct table *table, unsigned key)
{
    _Atomic(struct entry *) *bucket = &table->buckets[key % BUCKETS];
    struct entry *head = atomic_load(bucket), *entry, *mine = NULL;

    do {
        for (entry = head; entry != NULL; entry = entry->next)
            if (entry->key == key)
                return entry;
        if (mine == NULL && (mine = harena_view_alloc(view, sizeof(*mine))) == NULL)
            return NULL;
        *mine = (struct entry){.next = head, .key = key};
    } while (!atomic_compare_exchange_weak(bucket, &head, mine));
    return mine;
}

static void *work(void *unused)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        harena_view *view = harena_shared_enter(shared);
        struct table *table = table_of(view);
        struct entry *entry = table != NULL ? find(view, table, i % KEYS) : NULL;

        if (entry == NULL || entry->key != i % KEYS)
            atomic_fetch_add(&wrong, 1);
        else if (atomic_fetch_add(&entry->hits, 1) < THREADS * ROUNDS)
            atomic_fetch_add(&hits, 1);
        harena_shared_leave(shared, view); /* from here on, nothing of the view is touched */
    }
    atomic_fetch_sub(&running, 1);
    return unused;
}

int main(void)
{
    harena_provider_stats stats = {.size = sizeof(stats)};
    pthread_t threads[THREADS];

    shared = harena_shared_create(NULL);
    for (; running < THREADS && shared != NULL; running++) {}
    return 0;
}
