/* SPDX-License-Identifier: BSD-2-Clause */
/* Read sections of any liburcu flavour. Layer 4.
 *
 * For ThreadSanitizer: time is cut into epochs, one for each retirement. A section remembers the epoch in which it
 * began and releases that epoch's mark when it ends; a reclaim acquires the marks of all epochs up to the retirement.
 * One mark for everything would order far too much and hide real races; one per epoch keeps a use after the section
 * visible. The marks are a ring: after a million retirements two epochs share a mark, which can only order more. */
#include <urcu-bp.h> /* first: it says what rcu_flavor means */

#include "rcu.h"

#include "ck.h"

const struct rcu_flavor_struct *hri_rcu_or_default(const struct rcu_flavor_struct *flavor)
{
    return flavor != NULL ? flavor : &rcu_flavor;
}

#ifdef HRI_TSAN

#include <pthread.h>

void __tsan_acquire(void *at);
void __tsan_release(void *at);

enum { EPOCHS = 1 << 20 };

static char marks[EPOCHS];
static unsigned long epoch_now; /* atomic */
static __thread unsigned long
    entered; /* the epoch in which this thread's outermost section began */
static __thread unsigned depth;
static pthread_mutex_t acquiring = PTHREAD_MUTEX_INITIALIZER;
static unsigned long
    acquired; /* all epochs below have been acquired; under the mutex, which passes that on */

void hri_rcu_enter(const struct rcu_flavor_struct *flavor)
{
    flavor->read_lock();
    if (depth++ == 0)
        entered = hri_load_relaxed(&epoch_now);
}

void hri_rcu_leave(const struct rcu_flavor_struct *flavor)
{
    if (--depth == 0)
        __tsan_release(&marks[entered % EPOCHS]);
    flavor->read_unlock();
}

void hri_rcu_note_retire(unsigned long *epoch)
{
    *epoch = hri_fetch_add_relaxed(&epoch_now, 1);
}

void hri_rcu_note_reclaim(const unsigned long *epoch)
{
    pthread_mutex_lock(&acquiring);
    while (acquired <= *epoch)
        __tsan_acquire(&marks[acquired++ % EPOCHS]);
    pthread_mutex_unlock(&acquiring);
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

#else

void hri_rcu_enter(const struct rcu_flavor_struct *flavor)
{
    flavor->read_lock();
}

void hri_rcu_leave(const struct rcu_flavor_struct *flavor)
{
    flavor->read_unlock();
}

void hri_rcu_note_retire(unsigned long *epoch)
{
    *epoch = 0;
}

void hri_rcu_note_reclaim(const unsigned long *epoch)
{
    (void)epoch;
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

#endif
