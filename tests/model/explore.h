/* SPDX-License-Identifier: BSD-2-Clause */
/* The explorer: runs threads of a model under every schedule, or every one with few preemptions.
 *
 * The threads are coroutines of one thread of the system. Each atomic access of the library (src/atomics.h, compiled
 * with HARENA_MODEL) is a point: the explorer decides who makes the next step, and goes through all decisions depth
 * first, with memory as it was before the first step each time. The memory is sequentially consistent: what weaker
 * orders allow is argued in doc/memory-order.md, not shown here.
 *
 * Two ways to go:
 *   a bound on preemptions  every schedule in which a thread that could go on is made to wait at most so often; nothing
 *                           is assumed of the program.
 *   EXPLORE_ALL             all schedules, but of those that differ only in the order of steps that do not touch the
 *                           same word, one: dynamic partial-order reduction with sleep sets. It assumes that plain fields
 *                           are handed over by atomic ones, as ThreadSanitizer checks. */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EXPLORE_THREADS = 4,              /* of a model */
    EXPLORE_WORKER = EXPLORE_THREADS, /* RCU's thread, there in every model */
    EXPLORE_ALL = -1,                 /* as a bound: none */
    EXPLORE_NOT = -2,                 /* as a bound: not in this tier */
};

struct explore_model {
    const char *name;                       /* area/case */
    void (*setup)(void);                    /* once: what each run begins with */
    void (*threads[EXPLORE_THREADS])(void); /* from the front */
    void (*step)(void);                     /* NULL or what holds before each step; reads only */
    void (*finish)(void);                   /* NULL or what holds when all is quiet; alone */
    int quick, deep;                        /* bounds of the two tiers */
    int deep_all;                           /* EXPLORE_ALL: the long tier goes that way, too */
};

/* For the model to call, mostly in setup. */

/* Memory that is put back to what setup left there before each run. */
void explore_memory(void *at, size_t bytes);

/* Accesses there are no points: figures on which nothing depends. */
void explore_ignore(const void *at, size_t bytes);

/* For EXPLORE_ALL all accesses there conflict with each other: what `step` relates to each other; words that are also
 * accessed together. Groups from 0. */
void explore_same(const void *at, size_t bytes, int group);

/* A thread's identity from the start. 0: it asks for one itself. */
void explore_identity(int thread, uint32_t word);
uint32_t explore_word_of(int thread); /* what it is now */

/* Who runs; EXPLORE_THREADS + 1 in setup and finish. */
int explore_self(void);
bool explore_running(void);

/* A point of the model's own: what follows, up to the next point, touches the model's shadow of `at`. */
void explore_touch(const void *at);

/* How many read sections of this thread are open. */
int explore_sections(int thread);

/* Ends the run as failed. Does not return when called by a thread or by step. */
void explore_fail(const char *file, int line, const char *what);
#define EXPLORE_CHECK(condition)                                                                   \
    ((condition) ? (void)0 : explore_fail(__FILE__, __LINE__, #condition))

/* A line of the trace of this run, which is shown if it fails. */
void explore_note(const char *text, uint64_t a, uint64_t b);

/* RCU as true grace periods and no more: a callback may run as soon as every section that was open at its call_rcu has
 * ended, in order, by a worker that is scheduled as the others are. */
extern const struct rcu_flavor_struct explore_rcu;

/* What hri_os needs: waiting ends with a wake, with a changed word, or, if nobody else can go on, with its time. */
void explore_wait(uint32_t *word, uint32_t seen, int milliseconds);
void explore_wake(uint32_t *word);
uint64_t explore_milliseconds(void);

/* Explores with one bound. Prints a line; when it fails the trace as well. `most`: schedules after which it gives up (0:
 * none), which counts as success and is told. */
bool explore(const struct explore_model *model, int bound, uint64_t most);

#endif
