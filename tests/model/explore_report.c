/* SPDX-License-Identifier: BSD-2-Clause */
/* What the explorer says: a line for each model, and for a run that failed its steps and notes. */
#include "explorer.h"

#include <stdio.h>
#include <time.h>

enum { NOTES = 512 };

static struct note {
    int step, thread;
    const char *text;
    uint64_t a, b;
} notes[NOTES];
static int note_count;

void explorer_forget_notes(void)
{
    note_count = 0;
}

void explore_fail(const char *file, int line, const char *what)
{
    if (explorer.failure != NULL)
        return;
    explorer.failure = what;
    explorer.failure_file = file;
    explorer.failure_line = line;
    if (explorer.current != NOBODY)
        explorer_switch_to(NOBODY); /* never comes back */
}

void explore_note(const char *text, uint64_t a, uint64_t b)
{
    if (note_count < NOTES)
        notes[note_count++] = (struct note){explorer.depth, explorer.current, text, a, b};
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
    for (int i = 0; i < explorer.depth; i++) {
        const struct step *s = &explorer.steps[i];

        for (; note < note_count && notes[note].step <= i; note++)
            print_note(&notes[note]);
        printf("  %4d %-6s %s %p %s:%d\n", i, thread_name(s->thread),
               s->writes ? "writes" : "reads ", (void *)(uintptr_t)s->at,
               s->file != NULL ? s->file : "", s->line);
    }
    for (; note < note_count; note++)
        print_note(&notes[note]);
    printf("  schedule:");
    for (int i = 0, from; i < explorer.depth; i = from) {
        for (from = i;
             from < explorer.depth && explorer.steps[from].thread == explorer.steps[i].thread;
             from++)
            continue;
        printf(" %sx%d", thread_name(explorer.steps[i].thread), from - i);
    }
    printf("\n  %s:%d: %s\n", explorer.failure_file, explorer.failure_line, explorer.failure);
}

static int thread_count(void)
{
    int n = 0;

    while (n < EXPLORE_THREADS && explorer.model->threads[n] != NULL)
        n++;
    return n;
}

double explorer_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void explorer_report(const char *result)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", explorer.bound);
    printf("model=%s threads=%d bound=%s schedules=%lu cut=%lu steps=%lu seconds=%.2f result=%s\n",
           explorer.model->name, thread_count(), explorer.bound == EXPLORE_ALL ? "all" : text,
           (unsigned long)explorer.schedules, (unsigned long)explorer.cuts,
           (unsigned long)explorer.most_steps, explorer_seconds() - explorer.began, result);
    fflush(stdout);
}

void explorer_report_failure(void)
{
    explorer_report("FAILED");
    print_trace();
}
