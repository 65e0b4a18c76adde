/* SPDX-License-Identifier: BSD-2-Clause */
/* The explorer of schedules: threads, points, decisions, grace periods.
 *
 * 1. A run is a sequence of steps; a step is what a thread does from one point up to its next one, so at most one atomic
 *    access of the library. Before each step `decide` names the thread that makes it. Decisions are kept in `path`; the
 *    next run repeats all but the last that has an alternative.
 * 2. Partial-order reduction is that of Flanagan and Godefroid (POPL 2005): when a step conflicts with an earlier one of
 *    another thread that does not happen before it, the decision at the earlier one must be tried the other way round as
 *    well. Sleep sets leave out what would only repeat an order that has been seen.
 * 3. A thread that waits is not a candidate until what it waits for has come. If nobody is a candidate and somebody is
 *    not done, the run is a deadlock; if it takes more than MOST_STEPS steps, a livelock. */
#include "explore.h"

#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <urcu/call-rcu.h>
#include <urcu/flavor.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

enum {
    ALL_THREADS = EXPLORE_THREADS + 1,
    NOBODY = ALL_THREADS,
    MOST_STEPS = 4000,
    STACK = 65536,
    AREAS = 32,
    CALLS = 32, /* of call_rcu in one run */
    NOTES = 512,
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

struct decision {
    uint8_t thread;  /* who makes the step */
    uint8_t able;    /* who could */
    uint8_t todo;    /* who is to be tried here; grows */
    uint8_t done;    /* who has been */
    uint8_t asleep;  /* who need not */
    uint8_t current; /* who made the step before */
    uint16_t preemptions;
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
    uint32_t sections;           /* begun so far */
    int depth;                   /* of open ones */
    uint32_t identity, cleanups; /* its thread-local words */
    int error;
};

static struct coroutine threads[ALL_THREADS];
static void *explorer_stack_pointer;
static int current;
static bool running;

static struct decision path[MOST_STEPS];
static struct step steps[MOST_STEPS];
static int path_length, depth;

static const struct explore_model *model;
static int bound;
static uint64_t now_ms;

static const char *failure, *failure_file;
static int failure_line;
static bool cut; /* the run need not be finished */

static struct call {
    struct rcu_head *head;
    void (*function)(struct rcu_head *head);
    struct open_sections readers;
} calls[CALLS];
static int calls_made, calls_run;

static struct note {
    int step, thread;
    const char *text;
    uint64_t a, b;
} notes[NOTES];
static int note_count;

static struct area {
    char *at;
    size_t bytes;
    void *copy;
    int group;
} areas[AREAS], ignored[AREAS], same[AREAS];
static int area_count, ignored_count, same_count;
static uint32_t identities[ALL_THREADS];

/* ---- coroutines ---- */

#if defined(__x86_64__) && !defined(EXPLORE_UCONTEXT)

void model_switch(void **from, void *to);
__asm__(".text\n"
        ".globl model_switch\n"
        ".type model_switch, @function\n"
        "model_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size model_switch, .-model_switch\n");

static void *new_stack_pointer(char *stack, void (*entry)(void))
{
    void **top = (void **)(void *)(stack + STACK);

    *--top = NULL; /* keeps the stack aligned as after a call */
    *--top = (void *)(uintptr_t)entry;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    return top;
}

#else

#include <ucontext.h>

static ucontext_t contexts[ALL_THREADS + 1];

static void model_switch(void **from, void *to)
{
    int mine = 0;

    while (mine < ALL_THREADS && from != &threads[mine].stack_pointer)
        mine++;
    *from = &contexts[mine];
    swapcontext(&contexts[mine], to);
}

static void *new_stack_pointer(char *stack, void (*entry)(void))
{
    int thread = 0;

    while (threads[thread].stack != stack)
        thread++;
    getcontext(&contexts[thread]);
    contexts[thread].uc_stack.ss_sp = stack;
    contexts[thread].uc_stack.ss_size = STACK;
    contexts[thread].uc_link = NULL;
    makecontext(&contexts[thread], entry, 0);
    return &contexts[thread];
}

#endif

static void save_thread_locals(struct coroutine *c)
{
    c->identity = harena_thread_word;
    c->cleanups = hri_thread_cleanups;
    c->error = errno;
}

static void load_thread_locals(const struct coroutine *c)
{
    harena_thread_word = c->identity;
    hri_thread_cleanups = c->cleanups;
    errno = c->error;
}

/* From the running thread to another, or to the explorer (NOBODY). */
static void switch_to(int thread)
{
    int from = current;
    void **save = from == NOBODY ? &explorer_stack_pointer : &threads[from].stack_pointer;

    if (from != NOBODY)
        save_thread_locals(&threads[from]);
    if (thread != NOBODY)
        load_thread_locals(&threads[thread]);
    current = thread;
    model_switch(save, thread == NOBODY ? explorer_stack_pointer : threads[thread].stack_pointer);
}

/* What a compiler calls for 16 bytes; there is but one thread. */
bool compare_and_swap_16(void *at, void *expected, unsigned __int128 desired, int success,
                         int failure_order) __asm__("__atomic_compare_exchange_16");

bool compare_and_swap_16(void *at, void *expected, unsigned __int128 desired, int success,
                         int failure_order)
{
    bool equal = memcmp(at, expected, sizeof(desired)) == 0;

    (void)success, (void)failure_order;
    memcpy(equal ? at : expected, equal ? (void *)&desired : at, sizeof(desired));
    return equal;
}

/* ---- what a step touches ---- */

static const struct area *area_of(const struct area *of, int count, const volatile void *at)
{
    for (int i = 0; i < count; i++)
        if ((uintptr_t)at - (uintptr_t)of[i].at < of[i].bytes)
            return &of[i];
    return NULL;
}

static uintptr_t object_of(const volatile void *at)
{
    const struct area *group = area_of(same, same_count, at);

    if (group != NULL)
        return OBJECT_GROUPS + (uintptr_t)group->group;
    return (uintptr_t)at; /* no two accesses overlap that begin elsewhere, but in a stack */
}

static bool conflict(const struct step *a, const struct step *b)
{
    return a->object == b->object && a->object != OBJECT_NONE && (a->writes || b->writes);
}

/* ---- who can go on ---- */

static struct open_sections open_now(void)
{
    struct open_sections readers = {{0}};

    for (int i = 0; i < ALL_THREADS; i++)
        if (threads[i].depth > 0)
            readers.of[i] = threads[i].sections;
    return readers;
}

static bool have_ended(const struct open_sections *readers)
{
    for (int i = 0; i < ALL_THREADS; i++)
        if (readers->of[i] != 0 && threads[i].depth > 0 && threads[i].sections == readers->of[i])
            return false;
    return true;
}

static bool is_able(const struct coroutine *c)
{
    if (!c->exists || c->over || c->waiting == WAITS_WORD)
        return false;
    if (c->waiting == WAITS_READERS)
        return have_ended(&c->readers);
    return !c->resting || (calls_run < calls_made && have_ended(&calls[calls_run].readers));
}

static unsigned able_threads(void)
{
    unsigned able = 0;

    for (int i = 0; i < ALL_THREADS; i++)
        if (is_able(&threads[i]))
            able |= 1u << i;
    return able;
}

/* Nobody can go on: the time of somebody who waits with a bound has come. */
static bool let_time_pass(void)
{
    for (int i = 0; i < ALL_THREADS; i++) {
        if (threads[i].exists && !threads[i].over && threads[i].waiting == WAITS_WORD &&
            threads[i].timed) {
            threads[i].waiting = WAITS_NOT;
            now_ms += (uint64_t)threads[i].milliseconds;
            return true;
        }
    }
    return false;
}

static bool all_is_done(void)
{
    for (int i = 0; i < EXPLORE_THREADS; i++)
        if (threads[i].exists && !threads[i].over)
            return false;
    return threads[EXPLORE_WORKER].resting && calls_run == calls_made;
}

/* ---- decisions ---- */

static int lowest(unsigned set)
{
    return __builtin_ctz(set);
}

/* The step that is about to be made, at path[depth]: which earlier decisions must be tried the other way round. */
static void note_conflicts(struct step *s)
{
    struct coroutine *c = &threads[s->thread];
    bool found = false;

    for (int i = depth - 1; i >= 0; i--) {
        const struct step *before = &steps[i];

        if (before->thread == s->thread || !conflict(before, s))
            continue;
        if (!found && before->clock[before->thread] > c->clock[before->thread]) {
            /* The last one that does not happen before this step. */
            struct decision *d = &path[i];

            found = true;
            if ((d->able >> s->thread & 1) != 0)
                d->todo |= (uint8_t)(1u << s->thread);
            else
                d->todo |= d->able;
        }
    }
    for (int i = 0; i < depth; i++) {
        if (steps[i].thread != s->thread && conflict(&steps[i], s))
            for (int t = 0; t < ALL_THREADS; t++)
                if (steps[i].clock[t] > c->clock[t])
                    c->clock[t] = steps[i].clock[t];
    }
    c->clock[s->thread]++;
    memcpy(s->clock, c->clock, sizeof(s->clock));
}

/* Those who slept before the last step and have nothing to do with it. */
static unsigned still_asleep(void)
{
    const struct decision *before = &path[depth - 1];
    unsigned asleep = 0;

    for (int i = 0; i < ALL_THREADS; i++)
        if (((before->asleep | before->done) >> i & 1) != 0 && i != before->thread &&
            !conflict(&threads[i].next, &steps[depth - 1]))
            asleep |= 1u << i;
    return asleep;
}

/* A decision that has not been made before. False: the run need not be finished. */
static bool new_decision(struct decision *d, unsigned able)
{
    unsigned candidates = able;
    int preemptions = depth > 0 ? path[depth - 1].preemptions : 0;

    *d = (struct decision){.able = (uint8_t)able, .current = (uint8_t)current};
    if (bound == EXPLORE_ALL) {
        d->asleep = depth > 0 ? (uint8_t)still_asleep() : 0;
        candidates = able & ~d->asleep;
        if (candidates == 0)
            return false;
    } else if (current < ALL_THREADS && (able >> current & 1) != 0 && preemptions >= bound) {
        candidates = 1u << current;
    }
    d->thread =
        (uint8_t)(current < ALL_THREADS && (candidates >> current & 1) != 0 ? current
                                                                            : lowest(candidates));
    d->todo = (uint8_t)(bound == EXPLORE_ALL ? 1u << d->thread : candidates);
    return true;
}

/* Who makes the next step; NOBODY: the run is over, done, failed or cut. */
static int decide(void)
{
    unsigned able;
    struct decision *d;

    if (model->step != NULL)
        model->step();
    if (failure != NULL)
        return NOBODY;
    able = able_threads();
    if (able == 0 && !all_is_done() && let_time_pass())
        able = able_threads();
    if (able == 0) {
        if (!all_is_done())
            explore_fail(__FILE__, __LINE__, "deadlock: everybody waits");
        return NOBODY;
    }
    if (depth == MOST_STEPS) {
        explore_fail(__FILE__, __LINE__, "livelock: too many steps");
        return NOBODY;
    }
    d = &path[depth];
    if (depth == path_length) {
        if (!new_decision(d, able)) {
            cut = true;
            return NOBODY;
        }
        path_length++;
    }
    /* The same decisions lead to the same state, or the model keeps something over runs. */
    if (d->able != able) {
        fprintf(stderr, "%s: the model is not deterministic (step %d)\n", model->name, depth);
        _exit(3);
    }
    steps[depth] = threads[d->thread].next;
    steps[depth].thread = d->thread;
    if (bound == EXPLORE_ALL)
        note_conflicts(&steps[depth]);
    d->preemptions = depth > 0 ? path[depth - 1].preemptions : 0;
    if (d->thread != d->current && d->current < ALL_THREADS && (able >> d->current & 1) != 0)
        d->preemptions++;
    depth++;
    return d->thread;
}

/* The running thread has said what it does next: who goes on? */
static void reschedule(void)
{
    int next = decide();

    if (next != current)
        switch_to(next);
}

static void point(uintptr_t object, bool writes, const volatile void *at, const char *file,
                  int line)
{
    threads[current].next = (struct step){.object = object, .writes = writes, .at = at};
    threads[current].next.file = file;
    threads[current].next.line = line;
    if (running)
        reschedule();
    else
        switch_to(NOBODY); /* on the way to its first point */
}

void hri_model_point(const volatile void *at, bool writes, const char *file, int line)
{
    if (current != NOBODY && area_of(ignored, ignored_count, at) == NULL)
        point(object_of(at), writes, at, file, line);
}

void explore_touch(const void *at)
{
    hri_model_point(at, true, "the model", 1);
}

/* ---- failures and traces ---- */

void explore_fail(const char *file, int line, const char *what)
{
    if (failure != NULL)
        return;
    failure = what;
    failure_file = file;
    failure_line = line;
    if (current != NOBODY)
        switch_to(NOBODY); /* never comes back */
}

void explore_note(const char *text, uint64_t a, uint64_t b)
{
    if (note_count < NOTES)
        notes[note_count++] = (struct note){depth, current, text, a, b};
}

static const char *thread_name(int thread)
{
    static const char *const names[] = {"0", "1", "2", "3", "worker", "-"};

    return names[thread];
}

static void print_note(const struct note *n)
{
    printf("       %-6s %s %lu %lu\n", thread_name(n->thread), n->text, (unsigned long)n->a,
           (unsigned long)n->b);
}

static void print_trace(void)
{
    int note = 0;

    printf("  step thread access\n");
    for (int i = 0; i < depth; i++) {
        const struct step *s = &steps[i];

        for (; note < note_count && notes[note].step <= i; note++)
            print_note(&notes[note]);
        printf("  %4d %-6s %s %p %s:%d\n", i, thread_name(s->thread),
               s->writes ? "writes" : "reads ", (void *)(uintptr_t)s->at,
               s->file != NULL ? s->file : "", s->line);
    }
    for (; note < note_count; note++)
        print_note(&notes[note]);
    printf("  schedule:");
    for (int i = 0, from; i < depth; i = from) {
        for (from = i; from < depth && steps[from].thread == steps[i].thread; from++)
            continue;
        printf(" %sx%d", thread_name(steps[i].thread), from - i);
    }
    printf("\n  %s:%d: %s\n", failure_file, failure_line, failure);
}

/* ---- memory ---- */

static void remember(struct area *list, int *count, const void *at, size_t bytes, int group)
{
    if (*count == AREAS)
        abort();
    list[(*count)++] = (struct area){(char *)(uintptr_t)at, bytes, NULL, group};
}

void explore_memory(void *at, size_t bytes)
{
    remember(areas, &area_count, at, bytes, 0);
}

void explore_ignore(const void *at, size_t bytes)
{
    remember(ignored, &ignored_count, at, bytes, 0);
}

void explore_same(const void *at, size_t bytes, int group)
{
    remember(same, &same_count, at, bytes, group);
}

static void save_memory(void)
{
    for (int i = 0; i < area_count; i++) {
        areas[i].copy = malloc(areas[i].bytes);
        if (areas[i].copy == NULL)
            abort();
        memcpy(areas[i].copy, areas[i].at, areas[i].bytes);
    }
}

static void restore_memory(void)
{
    for (int i = 0; i < area_count; i++)
        memcpy(areas[i].at, areas[i].copy, areas[i].bytes);
}

static void forget_memory(void)
{
    for (int i = 0; i < area_count; i++)
        free(areas[i].copy);
    area_count = ignored_count = same_count = 0;
}

void explore_identity(int thread, uint32_t word)
{
    identities[thread] = word;
}

uint32_t explore_word_of(int thread)
{
    return thread == current ? harena_thread_word : threads[thread].identity;
}

int explore_self(void)
{
    return current;
}

bool explore_running(void)
{
    return current != NOBODY;
}

int explore_sections(int thread)
{
    return threads[thread].depth;
}

/* ---- waiting ---- */

uint64_t explore_milliseconds(void)
{
    return now_ms;
}

void explore_wait(uint32_t *word, uint32_t seen, int milliseconds)
{
    struct coroutine *c = &threads[current];

    if (current == NOBODY)
        return;
    hri_model_point(word, true, "wait", 1);
    if (__atomic_load_n(word, __ATOMIC_RELAXED) != seen)
        return;
    c->waiting = WAITS_WORD;
    c->word = word;
    c->timed = milliseconds >= 0;
    c->milliseconds = milliseconds;
    hri_model_point(word, true, "woken", 1);
}

void explore_wake(uint32_t *word)
{
    if (current == NOBODY)
        return;
    hri_model_point(word, true, "wake", 1);
    for (int i = 0; i < ALL_THREADS; i++)
        if (threads[i].waiting == WAITS_WORD && threads[i].word == word)
            threads[i].waiting = WAITS_NOT;
}

/* ---- RCU ---- */

static void rcu_lock(void)
{
    struct coroutine *c = &threads[current];

    if (current == NOBODY)
        return;
    if (c->depth == 0) {
        point(OBJECT_RCU, false, NULL, "rcu_read_lock", 1);
        c->sections++;
    }
    c->depth++;
}

static void rcu_unlock(void)
{
    struct coroutine *c = &threads[current];

    if (current == NOBODY)
        return;
    if (c->depth == 1)
        point(OBJECT_RCU, false, NULL, "rcu_read_unlock", 1);
    EXPLORE_CHECK(c->depth > 0);
    c->depth--;
}

static int rcu_ongoing(void)
{
    return current != NOBODY && threads[current].depth > 0;
}

static void rcu_nothing(void)
{
}

static void rcu_synchronize(void)
{
    struct coroutine *c = &threads[current];

    if (current == NOBODY)
        return;
    EXPLORE_CHECK(c->depth == 0);
    point(OBJECT_RCU, true, NULL, "synchronize_rcu", 1);
    c->readers = open_now();
    if (have_ended(&c->readers))
        return;
    c->waiting = WAITS_READERS;
    point(OBJECT_RCU, true, NULL, "grace period over", 1);
    c->waiting = WAITS_NOT;
}

static void rcu_call(struct rcu_head *head, void (*function)(struct rcu_head *head))
{
    if (current == NOBODY) {
        function(head);
        return;
    }
    point(OBJECT_RCU, true, NULL, "call_rcu", 1);
    if (calls_made == CALLS) {
        explore_fail(__FILE__, __LINE__, "too many calls of call_rcu");
        return;
    }
    for (int i = calls_run; i < calls_made; i++)
        EXPLORE_CHECK(calls[i].head != head);
    calls[calls_made++] = (struct call){head, function, open_now()};
}

static void rcu_defer(void (*function)(void *p), void *p)
{
    (void)function, (void)p;
    explore_fail(__FILE__, __LINE__, "defer_rcu is not modelled");
}

/* Waits until the worker has no call left; only for setup and finish. */
static void rcu_barrier_(void)
{
    EXPLORE_CHECK(calls_run == calls_made || current != NOBODY);
}

static void worker(void)
{
    for (;;) {
        struct call call;

        threads[current].resting = true;
        point(OBJECT_RCU, true, NULL, "callback", 1);
        threads[current].resting = false;
        call = calls[calls_run];
        calls_run++;
        call.function(call.head);
    }
}

const struct rcu_flavor_struct explore_rcu = {
    .read_lock = rcu_lock,
    .read_unlock = rcu_unlock,
    .read_ongoing = rcu_ongoing,
    .read_quiescent_state = rcu_nothing,
    .update_call_rcu = rcu_call,
    .update_synchronize_rcu = rcu_synchronize,
    .update_defer_rcu = rcu_defer,
    .thread_offline = rcu_nothing,
    .thread_online = rcu_nothing,
    .register_thread = rcu_nothing,
    .unregister_thread = rcu_nothing,
    .barrier = rcu_barrier_,
};

/* ---- runs ---- */

static void thread_main(void)
{
    if (current == EXPLORE_WORKER)
        worker();
    model->threads[current]();
    threads[current].over = true;
    if (running)
        reschedule();
    else
        switch_to(NOBODY);
    abort(); /* nobody goes on with a thread that is over */
}

static void begin_run(void)
{
    restore_memory();
    depth = note_count = calls_made = calls_run = 0;
    now_ms = 1;
    failure = NULL;
    cut = running = false;
    for (int i = 0; i < ALL_THREADS; i++) {
        struct coroutine *c = &threads[i];
        char *stack = c->stack != NULL ? c->stack : malloc(STACK);

        if (stack == NULL)
            abort();
#if defined(__SANITIZE_ADDRESS__)
        __asan_unpoison_memory_region(stack, STACK); /* frames that were left for good */
#endif
        memset(c, 0, sizeof(*c));
        c->stack = stack;
        c->identity = identities[i];
        c->exists = i == EXPLORE_WORKER || model->threads[i] != NULL;
        if (!c->exists)
            continue;
        c->stack_pointer = new_stack_pointer(stack, thread_main);
        current = NOBODY;
        switch_to(i); /* up to its first point */
    }
    running = true;
}

static void run_once(void)
{
    int first;

    begin_run();
    first = failure == NULL ? decide() : NOBODY;
    if (first != NOBODY)
        switch_to(first);
    running = false;
    current = NOBODY;
    harena_thread_word = identities[0];
    hri_thread_cleanups = 0;
    if (failure == NULL && !cut && model->finish != NULL)
        model->finish();
}

/* To the last decision that has an alternative. False: all has been seen. */
static bool next_path(void)
{
    while (path_length > 0) {
        struct decision *d = &path[path_length - 1];
        unsigned left;

        d->done |= (uint8_t)(1u << d->thread);
        left = d->todo & ~d->done & ~d->asleep;
        if (left != 0) {
            d->thread = (uint8_t)lowest(left);
            return true;
        }
        path_length--;
    }
    return false;
}

static int thread_count(void)
{
    int n = 0;

    while (n < EXPLORE_THREADS && model->threads[n] != NULL)
        n++;
    return n;
}

static void print_result(uint64_t schedules, uint64_t cuts, uint64_t most_steps, const char *result,
                         double seconds)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", bound);
    printf("model=%s threads=%d bound=%s schedules=%lu cut=%lu steps=%lu seconds=%.2f result=%s\n",
           model->name, thread_count(), bound == EXPLORE_ALL ? "all" : text,
           (unsigned long)schedules, (unsigned long)cuts, (unsigned long)most_steps, seconds,
           result);
    fflush(stdout);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t schedules, cuts, most_steps;
static double began;

static void report_failure(void)
{
    print_result(schedules, cuts, most_steps, "FAILED", seconds_now() - began);
    print_trace();
}

/* A wild pointer in a thread of the model. */
static void on_signal(int number)
{
    failure = number == SIGSEGV ? "segmentation fault" : "fatal signal";
    failure_file = "signal";
    failure_line = number;
    schedules++;
    report_failure();
    fflush(stdout);
    _exit(1);
}

/* A step that takes seconds goes round in a ring: it would never come to a next point. */
static void on_time(int number)
{
    static uint64_t before;
    uint64_t now = (schedules + cuts) * MOST_STEPS + (uint64_t)depth;

    if (now == before) {
        failure = "a step does not end";
        failure_file = "watchdog";
        failure_line = number;
        schedules++;
        report_failure();
        _exit(1);
    }
    before = now;
}

static void catch_signals(void)
{
    static char stack[65536];
    stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

    struct sigaction tick = {.sa_handler = on_time, .sa_flags = SA_ONSTACK | SA_RESTART};
    struct itimerval seconds = {{2, 0}, {2, 0}};

    sigaltstack(&alternative, NULL);
    sigaction(SIGVTALRM, &tick, NULL);
    setitimer(ITIMER_VIRTUAL, &seconds, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

bool explore(const struct explore_model *which, int preemptions, uint64_t most)
{
    bool complete = false;

    catch_signals();
    model = which;
    bound = preemptions;
    path_length = 0;
    schedules = cuts = most_steps = 0;
    began = seconds_now();
    current = NOBODY;
    for (int i = 0; i < ALL_THREADS; i++)
        identities[i] = (uint32_t)(i + 1) << 6;
    harena_thread_word = identities[0];
    model->setup();
    save_memory();
    do {
        run_once();
        if (cut)
            cuts++;
        else
            schedules++;
        if ((uint64_t)depth > most_steps)
            most_steps = (uint64_t)depth;
        if (failure != NULL)
            break;
        complete = !next_path();
    } while (!complete && (most == 0 || schedules + cuts < most));
    if (failure != NULL)
        report_failure();
    else
        print_result(schedules, cuts, most_steps, complete ? "ok" : "ok-so-far",
                     seconds_now() - began);
    forget_memory();
    return failure == NULL;
}
