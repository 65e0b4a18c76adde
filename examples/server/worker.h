/* SPDX-License-Identifier: BSD-2-Clause */
/* What one thread that answers requests keeps: idle arenas and counters, shared with nobody. */
#ifndef EXAMPLES_SERVER_WORKER_H
#define EXAMPLES_SERVER_WORKER_H

#include <harena.h>

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKER_IDLE_MAX = 64 }; /* arenas kept; each holds what a reset keeps warm, one chunk */
enum { WORKER_STATUSES = 8, WORKER_BUCKETS = 16 };

/* Counters have one writer, the thread itself, and any reader. */
typedef _Atomic uint64_t counter;

struct worker {
    alignas(64) counter started, completed; /* requests; the difference is in flight */
    counter by_status[WORKER_STATUSES];     /* answers, see worker_status_at */
    counter by_latency[WORKER_BUCKETS];     /* see worker_bucket_bound */
    counter latency_us;                     /* sum */
    counter body_bytes;                     /* sum of the answers' bodies */
    counter arenas_made, arenas_reused, arenas_dropped;
    harena *idle[WORKER_IDLE_MAX];
    unsigned idle_count;
};

/* The calling thread's worker; a thread gets one at its first call. */
struct worker *worker_self(void);

/* Before the threads start: gives each of them its first idle arena, and says how many more each may
 * keep, so that all of them together hold no more than a sixteenth of `limit` (0: none is set).
 * False: out of memory. */
bool worker_setup(harena_provider *provider, unsigned threads, size_t limit);

/* An empty arena for a request; it holds a chunk. The last idle one is for requests without a body:
 * they seldom need more than its chunk, and so are served when the provider has none left. NULL: out
 * of memory. */
harena *worker_arena_take(harena_provider *provider, bool has_body);
/* Resets it and keeps it for the next request of this thread. */
void worker_arena_give(harena *arena);
/* Gives back what all threads keep. Only when they have ended. */
void worker_release_all(void);

/* No read-modify-write instruction: nobody else writes. */
static inline void counter_add(counter *c, uint64_t amount)
{
    uint64_t now = atomic_load_explicit(c, memory_order_relaxed);
    atomic_store_explicit(c, now + amount, memory_order_relaxed);
}

/* The status that by_status[at] counts; 0: none. The last one stands for all others. */
unsigned worker_status_at(unsigned at);
/* Upper bound of by_latency[at] in microseconds; UINT64_MAX for the last one. */
uint64_t worker_bucket_bound(unsigned at);

void worker_count_answer(unsigned status, uint64_t body_bytes, uint64_t latency_us);

/* Sums over all threads; `completed` is never above `started`. */
struct worker_sums {
    uint64_t started, completed, by_status[WORKER_STATUSES], by_latency[WORKER_BUCKETS];
    uint64_t latency_us, body_bytes, arenas_made, arenas_reused, arenas_dropped;
};
struct worker_sums worker_sum(void);

#endif
