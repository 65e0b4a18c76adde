/* SPDX-License-Identifier: BSD-2-Clause */
/* The explorer's runs, and the points at which they are scheduled. */
#include "explorer.h"

#include "thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Nobody also before main, for the library has a constructor. */
struct explorer explorer = {.current = NOBODY};
static uint32_t identities[ALL_THREADS];

/* The running thread has said what it does next: who goes on? */
static void reschedule(void)
{
    int next = explorer_decide();

    if (next != explorer.current)
        explorer_switch_to(next);
}

void explorer_point(uintptr_t object, bool writes, const volatile void *at, const char *file,
                    int line)
{
    explorer.threads[explorer.current].next =
        (struct step){.object = object, .writes = writes, .at = at};
    explorer.threads[explorer.current].next.file = file;
    explorer.threads[explorer.current].next.line = line;
    if (explorer.running)
        reschedule();
    else
        explorer_switch_to(NOBODY); /* on the way to its first point */
}

void hri_model_point(const volatile void *at, bool writes, const char *file, int line)
{
    if (explorer.current != NOBODY && !explorer_is_ignored(at))
        explorer_point(explorer_object_of(at), writes, at, file, line);
}

void explore_touch(const void *at)
{
    hri_model_point(at, true, "the model", 1);
}

void explore_identity(int thread, uint32_t word)
{
    identities[thread] = word;
}

uint32_t explore_word_of(int thread)
{
    return thread == explorer.current ? harena_thread_word : explorer.threads[thread].identity;
}

int explore_self(void)
{
    return explorer.current;
}

bool explore_running(void)
{
    return explorer.current != NOBODY;
}

int explore_sections(int thread)
{
    return explorer.threads[thread].depth;
}

/* ---- runs ---- */

static void thread_main(void)
{
    if (explorer.current == EXPLORE_WORKER)
        explorer_worker();
    explorer.model->threads[explorer.current]();
    explorer.threads[explorer.current].over = true;
    if (explorer.running)
        reschedule();
    else
        explorer_switch_to(NOBODY);
    abort(); /* nobody goes on with a thread that is over */
}

static void begin_run(void)
{
    explorer_restore_memory();
    explorer_forget_notes();
    explorer_forget_calls();
    explorer.depth = 0;
    explorer.now_ms = 1;
    explorer.failure = NULL;
    explorer.cut = explorer.running = false;
    for (int i = 0; i < ALL_THREADS; i++) {
        bool exists = i == EXPLORE_WORKER || explorer.model->threads[i] != NULL;

        explorer_new_thread(i, identities[i], exists ? thread_main : NULL);
        if (!exists)
            continue;
        explorer.current = NOBODY;
        explorer_switch_to(i); /* up to its first point */
    }
    explorer.running = true;
}

static void run_once(void)
{
    int first;

    begin_run();
    first = explorer.failure == NULL ? explorer_decide() : NOBODY;
    if (first != NOBODY)
        explorer_switch_to(first);
    explorer.running = false;
    explorer.current = NOBODY;
    harena_thread_word = identities[0];
    hri_thread_cleanups = 0;
    hri_thread_sections = 0;
    hri_thread_is_worker = false;
    if (explorer.failure == NULL && !explorer.cut && explorer.model->finish != NULL)
        explorer.model->finish();
}

/* A wild pointer in a thread of the model. */
static void on_signal(int number)
{
    explorer.failure = number == SIGSEGV ? "segmentation fault" : "fatal signal";
    explorer.failure_file = "signal";
    explorer.failure_line = number;
    explorer.schedules++;
    explorer_report_failure();
    fflush(stdout);
    _exit(1);
}

/* A step that takes seconds goes round in a ring: it would never come to a next point. */
static void on_time(int number)
{
    static uint64_t before;
    uint64_t now = (explorer.schedules + explorer.cuts) * MOST_STEPS + (uint64_t)explorer.depth;

    if (now == before) {
        explorer.failure = "a step does not end";
        explorer.failure_file = "watchdog";
        explorer.failure_line = number;
        explorer.schedules++;
        explorer_report_failure();
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
    explorer.model = which;
    explorer.bound = preemptions;
    explorer_begin_search();
    explorer.schedules = explorer.cuts = explorer.most_steps = 0;
    explorer.began = explorer_seconds();
    explorer.current = NOBODY;
    for (int i = 0; i < ALL_THREADS; i++)
        identities[i] = (uint32_t)(i + 1) << 6;
    harena_thread_word = identities[0];
    explorer.model->setup();
    explorer_save_memory();
    do {
        run_once();
        if (explorer.cut)
            explorer.cuts++;
        else
            explorer.schedules++;
        if ((uint64_t)explorer.depth > explorer.most_steps)
            explorer.most_steps = (uint64_t)explorer.depth;
        if (explorer.failure != NULL)
            break;
        complete = !explorer_next_path();
    } while (!complete && (most == 0 || explorer.schedules + explorer.cuts < most));
    if (explorer.failure != NULL)
        explorer_report_failure();
    else
        explorer_report(complete ? "ok" : "ok-so-far");
    explorer_forget_memory();
    return explorer.failure == NULL;
}
