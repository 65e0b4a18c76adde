/* SPDX-License-Identifier: BSD-2-Clause */
/* Cells of a synchronisation table, one by one: a team in which each thread has one operation, which all begin at once,
 * round after round, and a count of how often two of them met. */
#ifndef TEST_RACE_MEET_H
#define TEST_RACE_MEET_H
#include "../support/flavor.h"
#include "../support/threads.h"
#include "ran.h"
#include <sched.h> /* with config.h before it: the affinity of threads is GNU's */

#define MEET_THREADS 6
#define MEET_LEAST   20   /* meetings; with fewer it goes on */
#define MEET_LONGEST 1000 /* times the rounds that were asked for */

/* Of `n` operations in one round: enough for the others to come while a thread is at work. */
#define MEET_BURST(n) ((n) / (TEST_TSAN ? 4 : 1))

/* The marks order nothing: else they would hide from ThreadSanitizer what the library fails to order. */
typedef struct meet_line {
    _Atomic(const void *) inside;    /* what the thread's operation is about; NULL: none */
    unsigned long met[MEET_THREADS]; /* whom it found at the same when it began; its own */
} __attribute__((aligned(64))) meet_line;

typedef struct meet_operation {
    const char *name;
    void (*run)(unsigned thread, unsigned round);
} meet_operation;

static struct {
    const test_flavor *flavor;
    const meet_operation *operations[MEET_THREADS];
    void (*between)(unsigned round);
    unsigned rounds, done;
    bool stop;
    pthread_barrier_t gate;
    cpu_set_t processors; /* that the process may use */
    meet_line lines[MEET_THREADS];
} meet;

static inline void meet_begin(unsigned thread, const void *about)
{
    meet_line *mine = &meet.lines[thread];

    atomic_store_explicit(&mine->inside, about, memory_order_relaxed);
    for (unsigned i = 0; i < MEET_THREADS; i++)
        mine->met[i] += i != thread &&
                        atomic_load_explicit(&meet.lines[i].inside, memory_order_relaxed) == about;
}

static inline void meet_end(unsigned thread)
{
    atomic_store_explicit(&meet.lines[thread].inside, NULL, memory_order_relaxed);
}

/* Around what is to meet other threads' operations on the same object. */
#define MEET(thread, about, ...)                                                                   \
    do {                                                                                           \
        meet_begin((thread), (about));                                                             \
        __VA_ARGS__;                                                                               \
        meet_end(thread);                                                                          \
    } while (0)

/* Half of the time up to some hundred cycles, so that operations begin apart. */
static inline void meet_pause(test_rng *rng)
{
    for (volatile unsigned left = (unsigned)(test_below(rng, 2) * test_below(rng, 100)); left > 0;)
        left--;
}

/* How often one of the two operations began while another thread was in the other one. */
static inline unsigned long meet_count(const meet_operation *a, const meet_operation *b)
{
    unsigned long count = 0;

    for (unsigned i = 0; i < MEET_THREADS; i++)
        for (unsigned j = 0; j < MEET_THREADS; j++)
            if ((meet.operations[i] == a && meet.operations[j] == b) ||
                (meet.operations[i] == b && meet.operations[j] == a))
                count += meet.lines[i].met[j];
    return count;
}

/* By thread 0, before each round, while all others wait. */
static inline void meet_prepare(unsigned round)
{
    const meet_operation *const *all = meet.operations;
    bool met = meet_count(all[0], all[2]) >= MEET_LEAST;

    meet.done = round;
    meet.stop =
        test_failed() || (round >= meet.rounds && met) || round >= meet.rounds * MEET_LONGEST;
    if (!test_failed())
        meet.between(round);
}

/* Neighbours on different processors: else all threads may be on one, however many there are. */
static inline void meet_settle(unsigned index)
{
    unsigned wanted = index % (unsigned)CPU_COUNT(&meet.processors);
    cpu_set_t mine;

    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &meet.processors) || wanted-- > 0)
            continue;
        CPU_ZERO(&mine);
        CPU_SET(cpu, &mine);
        (void)pthread_setaffinity_np(pthread_self(), sizeof(mine), &mine);
        return;
    }
}

/* All are there; thread 0 prepares the next round; all go on. Who waits holds up no grace period. */
static inline void meet_gate(unsigned index, unsigned round)
{
    test_flavor_offline(meet.flavor);
    pthread_barrier_wait(&meet.gate);
    if (index == 0) {
        test_flavor_online(meet.flavor);
        meet_prepare(round);
        test_flavor_offline(meet.flavor);
    }
    pthread_barrier_wait(&meet.gate);
    test_flavor_online(meet.flavor);
}

static inline void meet_thread(void *ctx, unsigned index)
{
    (void)ctx;
    meet_settle(index);
    test_flavor_register(meet.flavor);
    meet_gate(index, 0);
    for (unsigned round = 1; !meet.stop; round++) {
        meet.operations[index]->run(index, round);
        meet_gate(index, round);
    }
    test_flavor_unregister(meet.flavor);
}

/* Threads 0 and 1 run `a`, 2 and 3 `b`, 4 and 5 `beside`, for so many rounds, and on until a and b have met; `between`
 * runs before each round and after the last one. What there is to tell goes to `more`, for RACE_RAN_MORE. Of QSBR the
 * calling thread is a reader, as crowd_init makes it, and the operations pass through quiescent states. */
static inline void meet_run(const test_flavor *flavor, const meet_operation *a,
                            const meet_operation *b, const meet_operation *beside, unsigned rounds,
                            void (*between)(unsigned round), char more[128])
{
    const meet_operation *operations[] = {a, a, b, b, beside, beside};
    const test_role roles[] = {{meet_thread, MEET_THREADS}, {NULL, 0}};
    unsigned long met;

    memset(&meet, 0, sizeof(meet));
    memcpy(meet.operations, operations, sizeof(operations));
    meet.flavor = flavor;
    meet.between = between;
    meet.rounds = rounds;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(meet.processors), &meet.processors), 0);
    ck_assert_int_eq(pthread_barrier_init(&meet.gate, NULL, MEET_THREADS), 0);
    test_flavor_offline(flavor);
    test_team(roles, NULL);
    test_flavor_online(flavor);
    pthread_barrier_destroy(&meet.gate);
    met = meet_count(a, b);
    snprintf(more, 128, "cell=%s_x_%s met=%lu", a->name, b->name, met);
    if (CPU_COUNT(&meet.processors) > 1) /* else they meet only if one is interrupted */
        ck_assert_msg(met >= MEET_LEAST, "%s and %s met %lu times in %u rounds", a->name, b->name,
                      met, meet.done);
}

#endif
