/* SPDX-License-Identifier: BSD-2-Clause */
/* The library before its own constructors have run: those of a program that it is linked into may come first. */
#include "unit.h"

static bool arena_worked, scratch_worked, shared_worked;

__attribute__((constructor(101))) static void before_the_library(void)
{
    harena *arena = harena_create(NULL), *scratch = harena_scratch_begin(NULL);
    harena_shared *shared = harena_shared_create(NULL);

    arena_worked = arena != NULL && harena_alloc(arena, 100) != NULL;
    scratch_worked = scratch != NULL && harena_alloc(scratch, 100) != NULL;
    shared_worked = shared != NULL && harena_shared_alloc(shared, 100) != NULL;
    harena_scratch_end(scratch);
    harena_release(arena);
    harena_shared_release(shared);
}

START_TEST(constructors_may_use_arenas)
{
    ck_assert(arena_worked && scratch_worked && shared_worked);
    ck_assert_int_eq(harena_provider_barrier(NULL), 0);
    ck_assert_uint_eq(stats_of(NULL).in_use, 0);
}
END_TEST

RUN_TESTS("early", constructors_may_use_arenas)
