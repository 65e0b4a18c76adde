/* SPDX-License-Identifier: BSD-2-Clause */
/* This thread's current arena. */
#include "unit.h"

static void *ask_there(void *expected)
{
    harena *mine;

    if (harena_current() != NULL)
        return (char *)"a new thread has a current arena";
    mine = harena_create(NULL);
    if (harena_current_set(mine) != NULL || harena_current() != mine)
        return (char *)"set did not set";
    if (harena_current() == expected)
        return (char *)"two threads share one";
    if (harena_current_set(NULL) != mine)
        return (char *)"set did not return the one before";
    harena_release(mine);
    return NULL;
}

START_TEST(none_at_first)
{
    QUIETLY(ck_assert_ptr_null(harena_current()));
}
END_TEST

START_TEST(set_returns_the_one_before)
{
    harena *one = arena_of(NULL, 0), *two = arena_of(NULL, 0);

    QUIETLY(ck_assert_ptr_null(harena_current_set(one)));
    QUIETLY(ck_assert_ptr_eq(harena_current(), one));
    ck_assert_ptr_eq(harena_current_set(two), one);
    ck_assert_ptr_eq(harena_current_set(two), two);
    ck_assert_ptr_eq(harena_current_set(NULL), two);
    ck_assert_ptr_null(harena_current());
    harena_release(one);
    harena_release(two);
}
END_TEST

START_TEST(each_thread_has_its_own)
{
    harena *mine = arena_of(NULL, 0);
    const char *failure;

    harena_current_set(mine);
    failure = on_another_thread(ask_there, mine);
    if (failure != NULL)
        ck_abort_msg("%s", failure);
    ck_assert_ptr_eq(harena_current(), mine);
    harena_current_set(NULL);
    harena_release(mine);
}
END_TEST

START_TEST(it_takes_no_ownership)
{
    harena *mine = arena_of(NULL, 0);

    harena_current_set(mine);
    harena_current_set(NULL);
    memset(SUCCEEDS(harena_alloc(mine, opaque(100))), 1, 100);
    harena_release(mine);
    ck_assert_uint_eq(in_use(NULL), 0);
}
END_TEST

START_TEST(a_lane_may_be_current)
{
    harena_shared *shared = shared_of(NULL, 0);
    harena_view *view = harena_shared_enter(shared);
    harena *lane = harena_view_lane(view);
    char *text;

    harena_current_set(lane);
    ck_assert_ptr_eq(harena_current(), lane);
    text = SUCCEEDS(harena_strdup(harena_current(), "hook"));
    ck_assert(harena_view_contains(view, text));
    harena_current_set(NULL);
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
}
END_TEST

START_TEST(allocation_from_none_gives_einval)
{
    FAILS(EINVAL, harena_alloc(harena_current(), opaque(8)));
}
END_TEST

RUN_TESTS("current", none_at_first, set_returns_the_one_before, each_thread_has_its_own,
          it_takes_no_ownership, a_lane_may_be_current, allocation_from_none_gives_einval)
