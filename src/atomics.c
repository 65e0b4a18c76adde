/* SPDX-License-Identifier: BSD-2-Clause */
/* The count of read-modify-writes that the white-box test library keeps. Layer 0. */
#include "atomics.h"

#ifdef HARENA_COUNT_RMW
_Thread_local uint64_t hri_rmw_count;
#else
typedef int hri_atomics_count_nothing; /* ISO C wants a declaration in each unit */
#endif
