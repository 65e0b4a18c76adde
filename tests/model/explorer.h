/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the explorer share.
 *
 * 1. A run is a sequence of steps; a step is what a thread does from one point up to its next one, so at most one atomic
 *    access of the library. Before each step `explorer_decide` names the thread that makes it.
 * 2. Which decisions there are to make, and which of them are tried: explore_search.c.
 * 3. A thread that waits is not a candidate until what it waits for has come (explore_wait.c). If nobody is a candidate
 *    and somebody is not done, the run is a deadlock; if it takes more than MOST_STEPS steps, a livelock.
 *
 * explore.c makes the runs, each from the same memory (explore_memory.c), with a stack for each thread
 * (explore_switch.c); explore_report.c says what was explored, and the schedule of a run that failed. */
#ifndef MODEL_EXPLORER_H
#define MODEL_EXPLORER_H
#include "explore.h"

enum {
    ALL_THREADS = EXPLORE_THREADS + 1,
    NOBODY = ALL_THREADS,
    MOST_STEPS = 4000,
};

enum { OBJECT_NONE, OBJECT_RCU, OBJECT_GROUPS }; /* then addresses */

struct step {
    uintptr_t object;
    bool writes;
    uint8_t thread;
    const volatile void *at;
    const char *file;
    int line;
    uint16_t clock[ALL_THREADS]; /* how many steps of each thread come before or are this one */
};

enum waiting { WAITS_NOT, WAITS_WORD, WAITS_READERS };

struct open_sections { /* ALL_THREADS numbers; 0: none is open */
    uint32_t of[ALL_THREADS];
};

struct coroutine {
    void *stack_pointer;
    char *stack;
    struct step next; /* what it will do when it goes on */
    uint16_t clock[ALL_THREADS];
    bool exists, over;
    bool resting; /* the worker, between callbacks */
    enum waiting waiting;
    bool timed;
    int milliseconds;
    const void *word;
    struct open_sections readers;
    uint32_t sections;                        /* begun so far */
    int depth;                                /* of open ones */
    uint32_t identity, cleanups, in_sections; /* its thread-local words */
    bool is_worker;
    int error;
};

struct explorer {
    const struct explore_model *model;
    int bound;
    uint64_t schedules, cuts, most_steps;
    double began;

    /* of the present run */
    struct coroutine threads[ALL_THREADS];
    struct step steps[MOST_STEPS];
    int depth; /* steps made */
    int current;
    bool running;
    bool cut; /* it need not be finished */
    uint64_t now_ms;
    const char *failure, *failure_file;
    int failure_line;
};

extern struct explorer explorer;

/* ---- explore.c ---- */

/* The running thread says what it does next; comes back when it is to do it. */
void explorer_point(uintptr_t object, bool writes, const volatile void *at, const char *file,
                    int line);

/* ---- explore_switch.c ---- */

/* A thread that begins with `entry` when it is switched to, as if it had never run. */
void explorer_new_thread(int thread, uint32_t identity, void (*entry)(void));

/* From the running thread to another, or to the explorer (NOBODY). */
void explorer_switch_to(int thread);

/* ---- explore_memory.c ---- */

void explorer_save_memory(void);
void explorer_restore_memory(void);
void explorer_forget_memory(void);
bool explorer_is_ignored(const volatile void *at);
uintptr_t explorer_object_of(const volatile void *at);

/* ---- explore_search.c ---- */

void explorer_begin_search(void);

/* Who makes the next step; NOBODY: the run is over, done, failed or cut. */
int explorer_decide(void);

/* To the last decision that has an alternative. False: all has been seen. */
bool explorer_next_path(void);

/* ---- explore_wait.c ---- */

void explorer_forget_calls(void);
unsigned explorer_able_threads(void);
bool explorer_let_time_pass(void);
bool explorer_all_is_done(void);
void explorer_worker(void);

/* ---- explore_report.c ---- */

void explorer_forget_notes(void);
double explorer_seconds(void);
void explorer_report(const char *result);
void explorer_report_failure(void); /* with the trace */

#endif
