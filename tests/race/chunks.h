/* SPDX-License-Identifier: BSD-2-Clause */
/* Raw chunks of one provider in the hands of threads: each is held by one thread at a time, and stamped from end to
 * end. */
#ifndef TEST_RACE_CHUNKS_H
#define TEST_RACE_CHUNKS_H
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include <errno.h>

/* One word for each chunk of the region (4 GiB): who holds it. A region is one range of addresses,
 * so no two of its chunks share a word. */
#define REGION_CHUNKS 65536
static _Atomic unsigned holder[REGION_CHUNKS];

/* One test at a time. */
static struct {
    harena_provider *provider;
    unsigned rounds;
    size_t limit; /* 0: none; else the most that it may be */
    atomic_uint working, refused, events;
} race;

static inline void begin(size_t limit, unsigned rounds, unsigned threads)
{
    memset(&race, 0, sizeof(race));
    race.provider = test_provider(NULL, limit, 0);
    race.limit = limit;
    race.rounds = rounds;
    atomic_store(&race.working, threads);
}

/* Relaxed: what orders one holder's writes before the next one's reads is to be the library alone, so that
 * ThreadSanitizer sees if it does not. */
static inline unsigned change_holder(const void *chunk, unsigned holder_now)
{
    return atomic_exchange_explicit(&holder[(uintptr_t)chunk / HARENA_CHUNK_SIZE % REGION_CHUNKS],
                                    holder_now, memory_order_relaxed);
}

static inline void count_refusal(void)
{
    TEST_EXPECT_MSG(errno == ENOMEM && race.limit != 0, "errno %d without a limit", errno);
    atomic_fetch_add_explicit(&race.refused, 1, memory_order_relaxed);
}

/* The stamp of a chunk is its address and who got it: whoever puts it can verify it. */
static inline void *chunk_get(unsigned thread)
{
    void *chunk = harena_chunk_get(race.provider);
    unsigned other;

    if (chunk == NULL) {
        count_refusal();
        return NULL;
    }
    other = change_holder(chunk, thread + 1);
    TEST_EXPECT_MSG(other == 0, "%p was handed to thread %u while thread %u had it", chunk, thread,
                    other - 1);
    TEST_EXPECT_MSG((uintptr_t)chunk % HARENA_CHUNK_SIZE == 0, "%p is no chunk", chunk);
    TEST_EXPECT(harena_provider_owns(race.provider, chunk));
    test_stamp_fill(chunk, HARENA_CHUNK_SIZE, (uintptr_t)chunk ^ thread);
    *(uint64_t *)chunk = thread;
    return chunk;
}

static inline void chunk_put(void *chunk)
{
    uint64_t thread = *(uint64_t *)chunk;
    uint64_t *words = chunk;

    test_stamp_fill(words, 8, (uintptr_t)chunk ^ thread);
    TEST_EXPECT_MSG(test_stamp_intact(chunk, HARENA_CHUNK_SIZE, (uintptr_t)chunk ^ thread),
                    "a byte of %p has changed", chunk);
    TEST_EXPECT_MSG(change_holder(chunk, 0) == thread + 1,
                    "the first word of %p, or its holder, has changed", chunk);
    harena_chunk_put(race.provider, chunk);
}

#endif
