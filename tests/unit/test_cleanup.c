/* SPDX-License-Identifier: BSD-2-Clause */
/* Cleanups: when they run, in which order, what they may do, and forgetting them. */
#include "unit.h"

#include <sched.h>

static harena_provider *provider;
static harena *arena;
static struct events events;

/* What ran, in order. */
static char ran[256];
static size_t ran_count;

static void with_arena(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(64 * MIB, 0, &events);
    arena = arena_of(provider, 0);
    memset(ran, 0, sizeof ran);
    ran_count = 0;
}

static void without_arena(void)
{
    harena_release(arena);
    ends_clean(provider);
}

static void note(void *letter)
{
    EXPECT(ran_count < sizeof ran - 1);
    ran[ran_count++] = *(const char *)letter;
}

static void note_too(void *letter)
{
    note(letter);
}

static char letters[] = "abcdefghijklmnopqrstuvwxyz";

static void registered(harena_cleanup_fn fn, int letter)
{
    QUIETLY(ck_assert_int_eq(harena_on_release(arena, fn, &letters[letter - 'a']), 0));
}

/* ---- order ---- */

START_TEST(reset_runs_them_newest_first_and_once)
{
    registered(note, 'a');
    memset(SUCCEEDS(harena_alloc(arena, opaque(3 * CHUNK))), 1, 3 * CHUNK);
    registered(note, 'b');
    memset(SUCCEEDS(harena_alloc(arena, opaque(1000))), 1, 1000);
    registered(note_too, 'c');
    ck_assert_str_eq(ran, "");
    QUIETLY(harena_reset(arena));
    ck_assert_str_eq(ran, "cba");
    harena_reset(arena);
    ck_assert_str_eq(ran, "cba");
    registered(note, 'd');
    harena_reset(arena);
    ck_assert_str_eq(ran, "cbad");
}
END_TEST

START_TEST(release_runs_them_newest_first)
{
    registered(note, 'a');
    registered(note, 'b');
    harena_release(arena);
    ck_assert_str_eq(ran, "ba");
    arena = arena_of(provider, 0);
}
END_TEST

START_TEST(release_rcu_runs_them_after_the_grace_period)
{
    registered(note, 'a');
    registered(note, 'b');
    harena_provider_read_lock(provider);
    harena_release_rcu(arena);
    for (int round = 0; round < 20; round++)
        sched_yield();
    ck_assert_uint_eq(__atomic_load_n(&ran_count, __ATOMIC_ACQUIRE), 0);
    harena_provider_read_unlock(provider);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_str_eq(ran, "ba");
    arena = arena_of(provider, 0);
}
END_TEST

START_TEST(forgotten_ones_never_run)
{
    for (int round = 0; round < 20000; round++)
        EXPECT(harena_on_release(arena, note, &letters[0]) == 0 &&
               harena_forget(arena, note, &letters[0]));
    harena_reset(arena);
    ck_assert_uint_eq(ran_count, 0);
}
END_TEST

static int counted;

static void count_in_order(void *expected)
{
    EXPECT(*(int *)expected == counted);
    counted--;
}

START_TEST(twenty_thousand_run_in_order)
{
    enum { COUNT = 20000 };
    static int numbers[COUNT];

    for (counted = 0; counted < COUNT; counted++) {
        numbers[counted] = counted;
        EXPECT(harena_on_release(arena, count_in_order, &numbers[counted]) == 0);
    }
    counted--;
    harena_release(arena);
    ck_assert_int_eq(counted, -1);
    arena = arena_of(provider, 0);
}
END_TEST

/* ---- what they may do ---- */

static void note_and_register(void *letter)
{
    note(letter);
    if (*(const char *)letter < 'e')
        EXPECT(harena_on_release(arena, note_and_register, (char *)letter + 1) == 0);
}

START_TEST(one_may_register_more_while_running)
{
    registered(note, 'z');
    registered(note_and_register, 'a');
    registered(note, 'y');
    harena_reset(arena);
    ck_assert_str_eq(ran, "yabcdez");
    harena_reset(arena);
    ck_assert_str_eq(ran, "yabcdez");
    registered(note_and_register, 'c');
    harena_release(arena);
    ck_assert_str_eq(ran, "yabcdezcde");
    arena = arena_of(provider, 0);
}
END_TEST

static harena *retired;

static void note_and_register_on_worker(void *letter)
{
    note(letter);
    if (*(const char *)letter < 'c')
        EXPECT(harena_on_release(retired, note_and_register_on_worker, (char *)letter + 1) == 0);
}

START_TEST(one_may_register_more_after_the_grace_period)
{
    registered(note, 'z');
    registered(note_and_register_on_worker, 'a');
    retired = arena;
    harena_release_rcu(arena);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_str_eq(ran, "abcz");
    arena = arena_of(provider, 0);
}
END_TEST

static void note_and_forget_b(void *letter)
{
    note(letter);
    EXPECT(harena_forget(arena, note, &letters[1]));
    EXPECT(!harena_forget(arena, note_and_forget_b, letter)); /* itself: it is running */
}

START_TEST(one_may_forget_an_older_one_while_running)
{
    registered(note, 'a');
    registered(note, 'b');
    registered(note_and_forget_b, 'c');
    harena_reset(arena);
    ck_assert_str_eq(ran, "ca");
}
END_TEST

static unsigned char *watched;

static void read_the_arena(void *letter)
{
    EXPECT(all_bytes(watched, 3 * MIB, 0x42));
    EXPECT(watched[3 * MIB - 1] == 0x42);
    note(letter);
}

START_TEST(memory_is_there_while_they_run)
{
    for (int how = 0; how < 3; how++) {
        char *letter = SUCCEEDS(harena_memdup(arena, "q", 1)); /* their context as well */

        watched = memset(SUCCEEDS(harena_alloc(arena, opaque(3 * MIB))), 0x42, 3 * MIB);
        ck_assert_int_eq(harena_on_release(arena, read_the_arena, letter), 0);
        if (how == 0)
            harena_reset(arena);
        else if (how == 1)
            harena_release(arena);
        else
            harena_release_rcu(arena);
        if (how != 0)
            arena = arena_of(provider, 0);
        ck_assert_int_eq(harena_provider_barrier(provider), 0);
    }
    ck_assert_str_eq(ran, "qqq");
}
END_TEST

static void release_another(void *other)
{
    harena_release(other);
}

START_TEST(one_may_release_another_arena)
{
    harena *other = arena_of(provider, 0);
    char *letter = SUCCEEDS(harena_memdup(other, "o", 1));

    ck_assert_int_eq(harena_on_release(other, note, letter), 0);
    ck_assert_int_eq(harena_on_release(arena, release_another, other), 0);
    registered(note, 'a');
    harena_reset(arena);
    ck_assert_str_eq(ran, "ao");
}
END_TEST

/* ---- forget ---- */

START_TEST(forget_removes_the_newest_match)
{
    char one = '1', two = '2';

    ck_assert_int_eq(harena_on_release(arena, note, &one), 0);
    ck_assert_int_eq(harena_on_release(arena, note, &two), 0);
    ck_assert_int_eq(harena_on_release(arena, note, &one), 0);
    ck_assert_int_eq(harena_on_release(arena, note_too, &one), 0);
    QUIETLY(ck_assert(harena_forget(arena, note, &one)));
    one = '0'; /* the same context, the older registration */
    harena_reset(arena);
    ck_assert_str_eq(ran, "020");
}
END_TEST

START_TEST(forget_works_at_every_place)
{
    for (int gone = 'a'; gone <= 'e'; gone++) {
        char expected[8] = "", *end = expected;

        ran_count = 0;
        memset(ran, 0, sizeof ran);
        for (int letter = 'a'; letter <= 'e'; letter++)
            registered(note, letter);
        ck_assert(harena_forget(arena, note, &letters[gone - 'a']));
        ck_assert(!harena_forget(arena, note, &letters[gone - 'a']));
        for (int letter = 'e'; letter >= 'a'; letter--)
            if (letter != gone)
                *end++ = (char)letter;
        harena_reset(arena);
        ck_assert_str_eq(ran, expected);
    }
}
END_TEST

START_TEST(forget_of_what_is_not_there_is_false)
{
    QUIETLY(ck_assert(!harena_forget(arena, note, NULL)));
    registered(note, 'a');
    ck_assert(!harena_forget(arena, note, &letters[1]));
    ck_assert(!harena_forget(arena, note_too, &letters[0]));
    ck_assert(!harena_forget(arena, note, NULL));
    ck_assert(!harena_forget(arena, NULL, &letters[0]));
    ck_assert(!harena_forget(NULL, note, &letters[0]));
    harena_reset(arena);
    ck_assert_str_eq(ran, "a");
    ck_assert(!harena_forget(arena, note, &letters[0])); /* it has run */
}
END_TEST

START_TEST(null_context_is_a_context)
{
    ck_assert_int_eq(harena_on_release(arena, note, NULL), 0);
    ck_assert(harena_forget(arena, note, NULL));
    ck_assert(!harena_forget(arena, note, NULL));
}
END_TEST

/* ---- errors ---- */

START_TEST(null_arena_or_function_is_invalid)
{
    QUIETLY(ck_assert_int_eq(harena_on_release(NULL, note, NULL), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_on_release(arena, NULL, NULL), -EINVAL));
    harena_reset(arena);
    ck_assert_str_eq(ran, "");
}
END_TEST

START_TEST(registration_in_a_full_arena_is_refused_and_the_others_run)
{
    harena *full = arena_of(provider, CHUNK);

    ck_assert_int_eq(harena_on_release(full, note, &letters[0]), 0);
    while (hidden(harena_alloc(full, opaque(16))) != 0)
        continue;
    ck_assert_int_eq(harena_on_release(full, note, &letters[1]), -ENOMEM);
    ck_assert(!harena_forget(full, note, &letters[1]));
    harena_reset(full);
    ck_assert_str_eq(ran, "a");
    ck_assert_int_eq(harena_on_release(full, note, &letters[2]), 0);
    harena_release(full);
    ck_assert_str_eq(ran, "ac");
}
END_TEST

/* ---- what they may not do with their own arena ---- */

/* Each is told of, and changes nothing. */
static void end_it(void *ctx)
{
    harena_snapshot snapshot = HARENA_SNAPSHOT_INIT;
    harena *own = ctx, *other = arena_of(provider, 0);
    unsigned told = events_of(&events, HARENA_EVENT_MISUSE);

    harena_release(own);
    harena_release_rcu(own);
    harena_reset(own);
    ck_assert_int_eq(harena_absorb(other, own), -EINVAL);
    ck_assert_int_eq(harena_absorb(own, other), -EINVAL);
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, own, NULL), -EINVAL);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), told + 6);
    harena_release(other);
    memset(SUCCEEDS(harena_alloc(own, opaque(100))), 1, 100);
    note(&letters['e' - 'a']);
}

START_TEST(none_may_end_its_own_arena)
{
    harena_mark mark;

    registered(note, 'a');
    mark = harena_mark_get(arena);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(harena_on_release(arena, end_it, arena), 0);
        registered(note, 'b');
        ck_assert_int_eq(harena_rewind(arena, mark), 0);
    }
    ck_assert_str_eq(ran, "bebe");
    ck_assert_int_eq(harena_on_release(arena, end_it, arena), 0);
    harena_reset(arena);
    ck_assert_str_eq(ran, "bebeea");
    ck_assert_uint_eq(harena_len(arena), 0);
    ck_assert_int_eq(harena_on_release(arena, end_it, arena), 0);
    harena_release(arena);
    ck_assert_str_eq(ran, "bebeeae");
    arena = arena_of(provider, 0);
    harena_reset(arena); /* afterwards everything is allowed */
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 4 * 6);
}
END_TEST

static harena_mark of_before;

/* It may go back to its own marks, not behind who runs it. */
static void go_back(void *ctx)
{
    harena *own = ctx;
    harena_mark mark = harena_mark_get(own), nested;
    unsigned char *kept = memset(SUCCEEDS(harena_alloc(own, opaque(100))), 1, 100);
    size_t len;

    ck_assert_int_eq(harena_rewind(own, of_before), -EINVAL);
    nested = harena_mark_get(own);
    len = harena_len(own);
    registered(note, 'n');
    ck_assert_int_eq(harena_rewind(own, nested), 0);
    ck_assert_uint_eq(harena_len(own), len);
    ck_assert(all_bytes(kept, 100, 1));
    ck_assert_int_eq(harena_rewind(own, mark), 0);
    ck_assert_int_eq(harena_rewind(own, nested), -EINVAL);
    note(&letters['g' - 'a']);
}

/* Where an earlier cleanup was, with a frame or without, is no place to go back to: what was to run since has run. */
static harena_mark of_another;

static void leave_a_mark(void *ctx)
{
    registered(note, 'd');
    of_another = harena_mark_get(ctx);
    memset(SUCCEEDS(harena_alloc(ctx, opaque(100))), 1, 100);
    registered(note, 'e');
    note(&letters['m' - 'a']);
}

static void go_to_anothers_mark(void *ctx)
{
    ck_assert_int_eq(harena_rewind(ctx, of_another), -EINVAL);
    note(&letters['x' - 'a']);
}

START_TEST(none_may_go_back_to_anothers_mark)
{
    registered(note, 'a');
    for (int how = 0; how < 3; how++) {
        harena_mark mark = harena_mark_get(arena);

        ran_count = 0;
        memset(ran, 0, sizeof ran);
        ck_assert_int_eq(harena_on_release(arena, go_to_anothers_mark, arena), 0);
        ck_assert_int_eq(harena_on_release(arena, leave_a_mark, arena), 0);
        if (how == 0)
            ck_assert_int_eq(harena_rewind(arena, mark), 0);
        else if (how == 1)
            harena_reset(arena);
        else
            harena_release(arena);
        ck_assert_str_eq(ran, how == 1 ? "medxa" : "medx");
    }
    arena = arena_of(provider, 0);
}
END_TEST

START_TEST(one_may_go_back_to_its_own_marks_alone)
{
    harena_mark middle;

    registered(note, 'a');
    of_before = harena_mark_get(arena);
    ck_assert_int_eq(harena_on_release(arena, go_back, arena), 0);
    registered(note, 'b');
    middle = harena_mark_get(arena);
    ck_assert_int_eq(harena_on_release(arena, go_back, arena), 0);
    registered(note, 'c');
    ck_assert_int_eq(harena_rewind(arena, middle), 0);
    ck_assert_str_eq(ran, "cng");
    ck_assert_int_eq(harena_rewind(arena, of_before), 0);
    ck_assert_str_eq(ran, "cngbng");
    ck_assert_int_eq(harena_on_release(arena, go_back, arena), 0);
    harena_reset(arena);
    ck_assert_str_eq(ran, "cngbngnga");
    ck_assert_int_eq(harena_on_release(arena, go_back, arena), 0);
    harena_release(arena);
    ck_assert_str_eq(ran, "cngbngngang");
    arena = arena_of(provider, 0);
}
END_TEST

START_TEST(cleanups_are_counted_in_len)
{
    size_t len = harena_len(arena);

    registered(note, 'a');
    ck_assert_uint_gt(harena_len(arena), len);
    ck_assert_uint_le(harena_len(arena), len + 64);
}
END_TEST

RUN_TESTS_AROUND("cleanup", with_arena, without_arena, reset_runs_them_newest_first_and_once,
                 release_runs_them_newest_first, release_rcu_runs_them_after_the_grace_period,
                 forgotten_ones_never_run, twenty_thousand_run_in_order,
                 one_may_register_more_while_running, one_may_register_more_after_the_grace_period,
                 one_may_forget_an_older_one_while_running, memory_is_there_while_they_run,
                 one_may_release_another_arena, forget_removes_the_newest_match,
                 forget_works_at_every_place, forget_of_what_is_not_there_is_false,
                 null_context_is_a_context, null_arena_or_function_is_invalid,
                 registration_in_a_full_arena_is_refused_and_the_others_run,
                 none_may_end_its_own_arena, none_may_go_back_to_anothers_mark,
                 one_may_go_back_to_its_own_marks_alone, cleanups_are_counted_in_len)
