/* SPDX-License-Identifier: BSD-2-Clause */
/* What was asked since the last reset: one lock-free hash table that all workers fill at once, in
 * one shared arena that a timer resets while they do. */
#ifndef EXAMPLES_SERVER_WINDOW_H
#define EXAMPLES_SERVER_WINDOW_H

#include <urcu-bp.h> /* the flavour, see server.h */

#include <harena.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOW_MAX_KEY = 512, WINDOW_TOP = 100 };

struct window {
    harena_shared *shared;
    unsigned interval_ms;
    pthread_t timer;
    bool timer_runs;
    pthread_mutex_t lock; /* of the timer's end only */
    pthread_cond_t wake;
    bool ending;                       /* under `lock` */
    _Atomic uint64_t resets, refused;  /* refused: -EAGAIN, too much waits for readers */
    _Atomic uint64_t recorded, missed; /* missed: no memory, or the key is too long */
};

/* One row of the answer to "what was asked most"; the key lies in the arena that was given. */
struct window_top {
    const char *key;
    uint64_t hits, bytes;
};

/* `limit` bounds one generation, 0: not. 0 or an errno. */
int window_open(struct window *window, harena_provider *provider, unsigned interval_ms,
                size_t limit);
/* Ends the timer and releases the shared arena; the workers must have ended. */
void window_close(struct window *window);

/* Counts one answer of `bytes` bytes to `key`. Any thread; never waits. */
void window_record(struct window *window, const char *key, uint64_t bytes);

/* The rows with the most hits, most first, equal ones by key. Returns how many, up to
 * WINDOW_TOP; -1: out of memory. Rows and keys are allocated from `arena`. */
int window_read_top(struct window *window, harena *arena, struct window_top **top);

#endif
