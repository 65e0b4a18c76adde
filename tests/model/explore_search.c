/* SPDX-License-Identifier: BSD-2-Clause */
/* The search through schedules, depth first.
 *
 * 1. Decisions are kept in `path`; the next run repeats all but the last that has an alternative.
 * 2. Partial-order reduction is that of Flanagan and Godefroid (POPL 2005): when a step conflicts with an earlier one of
 *    another thread that does not happen before it, the decision at the earlier one must be tried the other way round as
 *    well. Sleep sets leave out what would only repeat an order that has been seen. */
#include "explorer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct decision {
    uint8_t thread;  /* who makes the step */
    uint8_t able;    /* who could */
    uint8_t todo;    /* who is to be tried here; grows */
    uint8_t done;    /* who has been */
    uint8_t asleep;  /* who need not */
    uint8_t current; /* who made the step before */
    uint16_t preemptions;
};

static struct decision path[MOST_STEPS];
static int path_length;

void explorer_begin_search(void)
{
    path_length = 0;
}

static bool conflict(const struct step *a, const struct step *b)
{
    return a->object == b->object && a->object != OBJECT_NONE && (a->writes || b->writes);
}

static int lowest(unsigned set)
{
    return __builtin_ctz(set);
}

/* The step that is about to be made, at path[depth]: which earlier decisions must be tried the other way round. */
static void note_conflicts(struct step *s)
{
    struct coroutine *c = &explorer.threads[s->thread];
    bool found = false;

    for (int i = explorer.depth - 1; i >= 0; i--) {
        const struct step *before = &explorer.steps[i];

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
    for (int i = 0; i < explorer.depth; i++) {
        if (explorer.steps[i].thread != s->thread && conflict(&explorer.steps[i], s))
            for (int t = 0; t < ALL_THREADS; t++)
                if (explorer.steps[i].clock[t] > c->clock[t])
                    c->clock[t] = explorer.steps[i].clock[t];
    }
    c->clock[s->thread]++;
    memcpy(s->clock, c->clock, sizeof(s->clock));
}

/* Those who slept before the last step and have nothing to do with it. */
static unsigned still_asleep(void)
{
    const struct decision *before = &path[explorer.depth - 1];
    unsigned asleep = 0;

    for (int i = 0; i < ALL_THREADS; i++)
        if (((before->asleep | before->done) >> i & 1) != 0 && i != before->thread &&
            !conflict(&explorer.threads[i].next, &explorer.steps[explorer.depth - 1]))
            asleep |= 1u << i;
    return asleep;
}

/* A decision that has not been made before. False: the run need not be finished. */
static bool new_decision(struct decision *d, unsigned able)
{
    unsigned candidates = able;
    int preemptions = explorer.depth > 0 ? path[explorer.depth - 1].preemptions : 0;

    *d = (struct decision){.able = (uint8_t)able, .current = (uint8_t)explorer.current};
    if (explorer.bound == EXPLORE_ALL) {
        d->asleep = explorer.depth > 0 ? (uint8_t)still_asleep() : 0;
        candidates = able & ~d->asleep;
        if (candidates == 0)
            return false;
    } else if (explorer.current < ALL_THREADS && (able >> explorer.current & 1) != 0 &&
               preemptions >= explorer.bound) {
        candidates = 1u << explorer.current;
    }
    d->thread =
        (uint8_t)(explorer.current < ALL_THREADS && (candidates >> explorer.current & 1) != 0
                      ? explorer.current
                      : lowest(candidates));
    d->todo = (uint8_t)(explorer.bound == EXPLORE_ALL ? 1u << d->thread : candidates);
    return true;
}

int explorer_decide(void)
{
    unsigned able;
    struct decision *d;

    if (explorer.model->step != NULL)
        explorer.model->step();
    if (explorer.failure != NULL)
        return NOBODY;
    able = explorer_able_threads();
    if (able == 0 && !explorer_all_is_done() && explorer_let_time_pass())
        able = explorer_able_threads();
    if (able == 0) {
        if (!explorer_all_is_done())
            explore_fail(__FILE__, __LINE__, "deadlock: everybody waits");
        return NOBODY;
    }
    if (explorer.depth == MOST_STEPS) {
        explore_fail(__FILE__, __LINE__, "livelock: too many steps");
        return NOBODY;
    }
    d = &path[explorer.depth];
    if (explorer.depth == path_length) {
        if (!new_decision(d, able)) {
            explorer.cut = true;
            return NOBODY;
        }
        path_length++;
    }
    /* The same decisions lead to the same state, or the model keeps something over runs. */
    if (d->able != able) {
        fprintf(stderr, "%s: the model is not deterministic (step %d)\n", explorer.model->name,
                explorer.depth);
        _exit(3);
    }
    explorer.steps[explorer.depth] = explorer.threads[d->thread].next;
    explorer.steps[explorer.depth].thread = d->thread;
    if (explorer.bound == EXPLORE_ALL)
        note_conflicts(&explorer.steps[explorer.depth]);
    d->preemptions = explorer.depth > 0 ? path[explorer.depth - 1].preemptions : 0;
    if (d->thread != d->current && d->current < ALL_THREADS && (able >> d->current & 1) != 0)
        d->preemptions++;
    explorer.depth++;
    return d->thread;
}

bool explorer_next_path(void)
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
