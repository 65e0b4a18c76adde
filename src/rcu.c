/* SPDX-License-Identifier: BSD-2-Clause */
/* Read sections of any liburcu flavour. Layer 4.
 *
 * For ThreadSanitizer: each flavour's time is cut into epochs, one for each retirement. A section remembers the epoch in which it
 * began and releases that epoch's mark when it ends; a reclaim acquires the marks of all epochs up to the retirement.
 * One mark for everything would order far too much and hide real races; one per epoch keeps a use after the section
 * visible. The marks are a ring: after a million retirements two epochs share a mark, which can only order more. */
#include <urcu-bp.h> /* first: it says what rcu_flavor means */

#include "rcu.h"
#include "thread.h"

#include "ck.h"
#include "provider.h"

const struct rcu_flavor_struct *hri_rcu_or_default(const struct rcu_flavor_struct *flavor)
{
    return flavor != NULL ? flavor : &rcu_flavor;
}

#ifdef HRI_TSAN

#include <pthread.h>

void __tsan_acquire(void *at);
void __tsan_release(void *at);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

enum { EPOCHS = 1 << 20, FLAVOURS = 8 };

/* What is kept of one flavour: a reader of one may be inside for longer than anything of another is held back. */
struct time {
    const struct rcu_flavor_struct *flavor; /* atomic; set once */
    unsigned long now;                      /* atomic; the present epoch */
    unsigned long
        acquired; /* all epochs below have been acquired; under the mutex, which passes that on */
    pthread_mutex_t acquiring;
    char marks[EPOCHS];
};

static struct time times[FLAVOURS] = {
    [0 ... FLAVOURS - 1] = {.acquiring = PTHREAD_MUTEX_INITIALIZER}};

/* This thread's outermost section of each flavour. */
static __thread struct {
    unsigned long entered; /* the epoch in which it began */
    unsigned depth;
} sections[FLAVOURS];

static int time_of(const struct rcu_flavor_struct *flavor)
{
    for (int i = 0; i < FLAVOURS - 1; i++) {
        const struct rcu_flavor_struct *seen = hri_load_relaxed(&times[i].flavor);

        if (seen == NULL && hri_cas_relaxed(&times[i].flavor, &seen, flavor))
            return i;
        if (seen == flavor)
            return i;
    }
    return FLAVOURS - 1;
}

void hri_rcu_enter(const struct rcu_flavor_struct *flavor)
{
    int i = time_of(flavor);

    flavor->read_lock();
    hri_thread_sections++;
    if (sections[i].depth++ == 0)
        sections[i].entered = hri_load_relaxed(&times[i].now);
}

void hri_rcu_leave(const struct rcu_flavor_struct *flavor)
{
    int i = time_of(flavor);

    if (--sections[i].depth == 0)
        __tsan_release(&times[i].marks[sections[i].entered % EPOCHS]);
    hri_thread_sections--;
    flavor->read_unlock();
}

void hri_rcu_note_retire(const struct rcu_flavor_struct *flavor, unsigned long *epoch)
{
    *epoch = hri_fetch_add_relaxed(&times[time_of(flavor)].now, 1);
}

void hri_rcu_note_reclaim(const struct rcu_flavor_struct *flavor, const unsigned long *epoch)
{
    struct time *time = &times[time_of(flavor)];

    pthread_mutex_lock(&time->acquiring);
    while (time->acquired <= *epoch)
        __tsan_acquire(&time->marks[time->acquired++ % EPOCHS]);
    pthread_mutex_unlock(&time->acquiring);
}

void hri_rcu_call(const struct rcu_flavor_struct *flavor, struct rcu_head *head,
                  void (*callback)(struct rcu_head *head))
{
    __tsan_release(head);
    flavor->update_call_rcu(head, callback);
}

void hri_rcu_called(struct rcu_head *head)
{
    __tsan_acquire(head);
}

void hri_rcu_note_return(struct rcu_head *head)
{
    __tsan_release(head);
}

void hri_rcu_note_returned(struct rcu_head *head)
{
    __tsan_acquire(head);
}

/* A barrier allocates records that RCU's worker frees, handed over by what ThreadSanitizer does not see. So the
 * allocation is not to count as the caller's write. Nothing else is ignored: liburcu's own accesses are not seen anyway,
 * callbacks run in the worker, and locks keep their order. A suppression would not do: it goes by the caller's stack,
 * which is forgotten by the time that the worker's second word is reported. */
void hri_rcu_barrier(const struct rcu_flavor_struct *flavor)
{
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    flavor->barrier();
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
}

#else

void hri_rcu_enter(const struct rcu_flavor_struct *flavor)
{
    flavor->read_lock();
    hri_thread_sections++;
}

void hri_rcu_leave(const struct rcu_flavor_struct *flavor)
{
    hri_thread_sections--;
    flavor->read_unlock();
}

void hri_rcu_note_retire(const struct rcu_flavor_struct *flavor, unsigned long *epoch)
{
    (void)flavor;
    *epoch = 0;
}

void hri_rcu_note_reclaim(const struct rcu_flavor_struct *flavor, const unsigned long *epoch)
{
    (void)flavor, (void)epoch;
}

void hri_rcu_call(const struct rcu_flavor_struct *flavor, struct rcu_head *head,
                  void (*callback)(struct rcu_head *head))
{
    flavor->update_call_rcu(head, callback);
}

void hri_rcu_called(struct rcu_head *head)
{
    (void)head;
}

void hri_rcu_note_return(struct rcu_head *head)
{
    (void)head;
}

void hri_rcu_note_returned(struct rcu_head *head)
{
    (void)head;
}

void hri_rcu_barrier(const struct rcu_flavor_struct *flavor)
{
    flavor->barrier();
}

#endif

/* ---- the provider's own sections ---- */

void harena_provider_read_lock(harena_provider *provider)
{
    harena_provider *p = hri_provider_or_default(provider);

    hri_rcu_enter(hri_rcu_or_default(p != NULL ? p->rcu : NULL));
}

void harena_provider_read_unlock(harena_provider *provider)
{
    harena_provider *p = hri_provider_or_default(provider);

    hri_rcu_leave(hri_rcu_or_default(p != NULL ? p->rcu : NULL));
}
