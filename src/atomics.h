/* SPDX-License-Identifier: BSD-2-Clause */
/* Atomic accesses whose name states the order. Layer 0.
 *
 * They are the compiler's __atomic builtins on plainly typed fields, not C11's _Atomic, because the public headers
 * show some of these fields to C++. A field that is shared says so in its comment and is touched through these only.
 * The white-box test library counts the read-modify-writes of each thread. */
#ifndef HRI_ATOMICS_H
#define HRI_ATOMICS_H
#include "base.h"

#ifdef HARENA_COUNT_RMW
extern _Thread_local uint64_t hri_rmw_count; /* read-modify-writes that this thread has made */
#define HRI_COUNT_RMW() ((void)++hri_rmw_count)
#else
#define HRI_COUNT_RMW() ((void)0)
#endif

/* The models in tests/model explore schedules: each access is a point at which another thread may come first. */
#ifdef HARENA_MODEL
void hri_model_point(const volatile void *at, bool writes, const char *file, int line);
#define HRI_POINT(p, writes) hri_model_point((p), (writes), __FILE__, __LINE__)
#else
#define HRI_POINT(p, writes) ((void)0)
#endif
#define HRI_RMW(p) (HRI_POINT((p), true), HRI_COUNT_RMW())

#define hri_load_relaxed(p) (HRI_POINT((p), false), __atomic_load_n((p), __ATOMIC_RELAXED))
#define hri_load_acquire(p) (HRI_POINT((p), false), __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define hri_load_seq_cst(p) (HRI_POINT((p), false), __atomic_load_n((p), __ATOMIC_SEQ_CST))

#define hri_store_relaxed(p, v) (HRI_POINT((p), true), __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define hri_store_release(p, v) (HRI_POINT((p), true), __atomic_store_n((p), (v), __ATOMIC_RELEASE))
#define hri_store_seq_cst(p, v) (HRI_POINT((p), true), __atomic_store_n((p), (v), __ATOMIC_SEQ_CST))

#define hri_exchange_acquire(p, v) (HRI_RMW(p), __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE))
#define hri_exchange_acq_rel(p, v) (HRI_RMW(p), __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL))
#define hri_exchange_seq_cst(p, v) (HRI_RMW(p), __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST))

/* Compare and swap: true if *p was *expected and is `desired` now; else *expected is what *p was. */
#define HRI_CAS(p, expected, desired, success, failure)                                            \
    (HRI_RMW(p),                                                                                   \
     __atomic_compare_exchange_n((p), (expected), (desired), false, (success), (failure)))
#define hri_cas_relaxed(p, expected, desired)                                                      \
    HRI_CAS(p, expected, desired, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define hri_cas_acquire(p, expected, desired)                                                      \
    HRI_CAS(p, expected, desired, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define hri_cas_release(p, expected, desired)                                                      \
    HRI_CAS(p, expected, desired, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define hri_cas_acq_rel(p, expected, desired)                                                      \
    HRI_CAS(p, expected, desired, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define hri_cas_seq_cst(p, expected, desired)                                                      \
    HRI_CAS(p, expected, desired, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

#define hri_fetch_add_relaxed(p, v) (HRI_RMW(p), __atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define hri_fetch_add_acquire(p, v) (HRI_RMW(p), __atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE))
#define hri_fetch_add_acq_rel(p, v) (HRI_RMW(p), __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL))
#define hri_fetch_add_seq_cst(p, v) (HRI_RMW(p), __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST))
#define hri_fetch_sub_relaxed(p, v) (HRI_RMW(p), __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED))
#define hri_fetch_sub_acq_rel(p, v) (HRI_RMW(p), __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL))
#define hri_fetch_or_acquire(p, v)  (HRI_RMW(p), __atomic_fetch_or((p), (v), __ATOMIC_ACQUIRE))
#define hri_fetch_or_acq_rel(p, v)  (HRI_RMW(p), __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL))
#define hri_fetch_or_relaxed(p, v)  (HRI_RMW(p), __atomic_fetch_or((p), (v), __ATOMIC_RELAXED))
#define hri_fetch_or_seq_cst(p, v)  (HRI_RMW(p), __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST))
#define hri_fetch_and_relaxed(p, v) (HRI_RMW(p), __atomic_fetch_and((p), (v), __ATOMIC_RELAXED))
#define hri_fetch_and_seq_cst(p, v) (HRI_RMW(p), __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST))

#define hri_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define hri_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)

/* A counter that one thread writes and any thread reads: no read-modify-write is needed. */
#define hri_counter_add(p, v) hri_store_relaxed((p), hri_load_relaxed(p) + (v))

/* Raises *p to `value`. Relaxed: the number alone is of interest. */
static inline void hri_raise_to(uint64_t *p, uint64_t value)
{
    uint64_t seen = hri_load_relaxed(p);

    while (seen < value && !hri_cas_relaxed(p, &seen, value))
        continue;
}

#endif
