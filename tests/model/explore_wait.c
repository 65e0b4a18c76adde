/* SPDX-License-Identifier: BSD-2-Clause */
/* What threads wait for: words, readers, callbacks of RCU; and who can go on. */
#include "explorer.h"

#include "atomics.h"

#include <urcu/call-rcu.h>
#include <urcu/flavor.h>

enum { CALLS = 32 }; /* of call_rcu in one run */

static struct call {
    struct rcu_head *head;
    void (*function)(struct rcu_head *head);
    struct open_sections readers;
} calls[CALLS];
static int calls_made, calls_run;

/* ---- who can go on ---- */

static struct open_sections open_now(void)
{
    struct open_sections readers = {{0}};

    for (int i = 0; i < ALL_THREADS; i++)
        if (explorer.threads[i].depth > 0)
            readers.of[i] = explorer.threads[i].sections;
    return readers;
}

static bool have_ended(const struct open_sections *readers)
{
    for (int i = 0; i < ALL_THREADS; i++)
        if (readers->of[i] != 0 && explorer.threads[i].depth > 0 &&
            explorer.threads[i].sections == readers->of[i])
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

void explorer_forget_calls(void)
{
    calls_made = calls_run = 0;
}

unsigned explorer_able_threads(void)
{
    unsigned able = 0;

    for (int i = 0; i < ALL_THREADS; i++)
        if (is_able(&explorer.threads[i]))
            able |= 1u << i;
    return able;
}

/* Nobody can go on: the time of somebody who waits with a bound has come. */
bool explorer_let_time_pass(void)
{
    for (int i = 0; i < ALL_THREADS; i++) {
        if (explorer.threads[i].exists && !explorer.threads[i].over &&
            explorer.threads[i].waiting == WAITS_WORD && explorer.threads[i].timed) {
            explorer.threads[i].waiting = WAITS_NOT;
            explorer.now_ms += (uint64_t)explorer.threads[i].milliseconds;
            return true;
        }
    }
    return false;
}

bool explorer_all_is_done(void)
{
    for (int i = 0; i < EXPLORE_THREADS; i++)
        if (explorer.threads[i].exists && !explorer.threads[i].over)
            return false;
    return explorer.threads[EXPLORE_WORKER].resting && calls_run == calls_made;
}

/* ---- waiting ---- */

uint64_t explore_milliseconds(void)
{
    return explorer.now_ms;
}

void explore_wait(uint32_t *word, uint32_t seen, int milliseconds)
{
    struct coroutine *c = &explorer.threads[explorer.current];

    if (explorer.current == NOBODY)
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
    if (explorer.current == NOBODY)
        return;
    hri_model_point(word, true, "wake", 1);
    for (int i = 0; i < ALL_THREADS; i++)
        if (explorer.threads[i].waiting == WAITS_WORD && explorer.threads[i].word == word)
            explorer.threads[i].waiting = WAITS_NOT;
}

/* ---- RCU ---- */

static void rcu_lock(void)
{
    struct coroutine *c = &explorer.threads[explorer.current];

    if (explorer.current == NOBODY)
        return;
    if (c->depth == 0) {
        explorer_point(OBJECT_RCU, false, NULL, "rcu_read_lock", 1);
        c->sections++;
    }
    c->depth++;
}

static void rcu_unlock(void)
{
    struct coroutine *c = &explorer.threads[explorer.current];

    if (explorer.current == NOBODY)
        return;
    if (c->depth == 1)
        explorer_point(OBJECT_RCU, false, NULL, "rcu_read_unlock", 1);
    EXPLORE_CHECK(c->depth > 0);
    c->depth--;
}

static int rcu_ongoing(void)
{
    return explorer.current != NOBODY && explorer.threads[explorer.current].depth > 0;
}

static void rcu_nothing(void)
{
}

static void rcu_synchronize(void)
{
    struct coroutine *c = &explorer.threads[explorer.current];

    if (explorer.current == NOBODY)
        return;
    EXPLORE_CHECK(c->depth == 0);
    explorer_point(OBJECT_RCU, true, NULL, "synchronize_rcu", 1);
    c->readers = open_now();
    if (have_ended(&c->readers))
        return;
    c->waiting = WAITS_READERS;
    explorer_point(OBJECT_RCU, true, NULL, "grace period over", 1);
    c->waiting = WAITS_NOT;
}

static void rcu_call(struct rcu_head *head, void (*function)(struct rcu_head *head))
{
    if (explorer.current == NOBODY) {
        function(head);
        return;
    }
    explorer_point(OBJECT_RCU, true, NULL, "call_rcu", 1);
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
    EXPLORE_CHECK(calls_run == calls_made || explorer.current != NOBODY);
}

void explorer_worker(void)
{
    for (;;) {
        struct call call;

        explorer.threads[explorer.current].resting = true;
        explorer_point(OBJECT_RCU, true, NULL, "callback", 1);
        explorer.threads[explorer.current].resting = false;
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
