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
};
typedef _Atomic(struct entry *) bucket; /* a table is an array of BUCKETS */
static harena_shared *shared;
static atomic_uint right, running = THREADS;

/* The table of this generation: whoever comes first hangs it at the root. NULL: no memory. */
static bucket *table_of(harena_view *view)
{
    HARENA_ATOMIC_PTR *root = harena_view_root(view);
    void *seen = NULL, *mine;

    if (root == NULL || (seen = atomic_load(root)) != NULL)
        return seen;
    mine = harena_view_alloc_zeroed(view, BUCKETS * sizeof(bucket));
    /* If another thread was faster, ours goes with the generation. */
    return mine == NULL || atomic_compare_exchange_strong(root, &seen, mine) ? mine : seen;
}

/* The key's entry, made if there is none: from the view that the table comes from. */
static struct entry *find(harena_view *view, bucket *table, unsigned key)
{
    struct entry *head = atomic_load(&table[key % BUCKETS]), *entry, *mine = NULL;

    do {
        for (entry = head; entry != NULL; entry = entry->next)
            if (entry->key == key)
                return entry;
        if (mine == NULL && (mine = harena_view_alloc(view, sizeof(*mine))) == NULL)
            return NULL;
        *mine = (struct entry){.next = head, .key = key};
    } while (!atomic_compare_exchange_weak(&table[key % BUCKETS], &head, mine));
    return mine;
}

static void *work(void *unused)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        harena_view *view = harena_shared_enter(shared);
        bucket *table = table_of(view);
        struct entry *entry = table != NULL ? find(view, table, i % KEYS) : NULL;
        right += entry != NULL && entry->key == i % KEYS;
        harena_shared_leave(shared, view); /* from here on, nothing of the view is touched */
    }
    running--;
    return unused;
}

int main(void)
{
    harena_provider_stats stats = {.size = sizeof(stats)};
    pthread_t threads[THREADS];
    int refused = 0;
    shared = harena_shared_create(NULL); /* default options: urcu-bp, 64 lanes */
    for (int i = 0; i < THREADS; i++)
        if (shared == NULL || pthread_create(&threads[i], NULL, work, NULL) != 0)
            return 1;
    for (; running != 0; usleep(1000)) /* the table is emptied under the threads' feet */
        refused += harena_shared_reset(shared) != 0;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    harena_shared_release(shared);
    harena_provider_barrier(NULL); /* what readers held back is here now */
    harena_provider_stats_get(NULL, &stats);
    printf("%u right, %d resets refused, %ju bytes left\n", right, refused, stats.in_use);
    return right != THREADS * ROUNDS || refused != 0 || stats.in_use != 0;
}
