/* SPDX-License-Identifier: BSD-2-Clause */
/* liburcu's flavours as a table, chosen at run time, and what each asks of a thread. */
#ifndef TEST_SUPPORT_FLAVOR_H
#define TEST_SUPPORT_FLAVOR_H
#include <stdbool.h>
#include <stddef.h>
#include <urcu/flavor.h>

extern const struct rcu_flavor_struct urcu_memb_flavor, urcu_bp_flavor, urcu_qsbr_flavor,
    urcu_mb_flavor;

typedef struct test_flavor {
    const char *name;
    const struct rcu_flavor_struct *rcu;
    bool registers; /* a thread must be registered to read or to retire */
    bool qsbr;      /* a thread is a reader while it is online */
} test_flavor;

enum { TEST_MEMB, TEST_BP, TEST_QSBR, TEST_MB, TEST_FLAVORS };

static const test_flavor test_flavors[TEST_FLAVORS] = {
    {"memb", &urcu_memb_flavor, true, false},
    {"bp", &urcu_bp_flavor, false, false},
    {"qsbr", &urcu_qsbr_flavor, true, true},
    {"mb", &urcu_mb_flavor, true, false},
};

/* At the start and at the end of each thread that uses arenas of the flavour. */
static inline void test_flavor_register(const test_flavor *flavor)
{
    if (flavor->registers)
        flavor->rcu->register_thread();
}

static inline void test_flavor_unregister(const test_flavor *flavor)
{
    if (flavor->registers)
        flavor->rcu->unregister_thread();
}

/* Around whatever may wait for another thread: an online QSBR thread holds up all grace periods. */
static inline void test_flavor_offline(const test_flavor *flavor)
{
    if (flavor->qsbr)
        flavor->rcu->thread_offline();
}

static inline void test_flavor_online(const test_flavor *flavor)
{
    if (flavor->qsbr)
        flavor->rcu->thread_online();
}

/* Between sections, now and then: where QSBR lets grace periods pass. */
static inline void test_flavor_quiescent(const test_flavor *flavor)
{
    if (flavor->qsbr)
        flavor->rcu->read_quiescent_state();
}

#endif
