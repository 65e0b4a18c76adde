/* SPDX-License-Identifier: BSD-2-Clause */
/* Scratch arenas: frames, which arena one gets, what threads leave behind; and copies on the heap. */
#include "../support/suite.h"
#include "unit.h"

#include <limits.h>

static char *filled(harena *arena, size_t size, unsigned char value)
{
    return memset(SUCCEEDS(harena_alloc(arena, opaque(size))), value, size);
}

static uint64_t live_bytes(void)
{
    harena_provider_stats stats = stats_of(NULL);

    return stats.in_use;
}

START_TEST(scratch_is_gone_at_its_end)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));
    char *at = filled(scratch, 1000, 1);

    ck_assert_uint_eq(harena_len(scratch), 1008);
    QUIETLY(harena_scratch_end(scratch));
    for (int i = 0; i < 100; i++) {
        scratch = SUCCEEDS(harena_scratch_begin(NULL));
        ck_assert_uint_eq(harena_len(scratch), 0);
        ck_assert(same(filled(scratch, 1000, 1), at));
        for (int j = 0; j < i; j++)
            filled(scratch, 30000, 2);
        harena_scratch_end(scratch);
    }
    ck_assert_uint_le(live_bytes(), 2 * MIB);
}
END_TEST

static void recurse(int depth, size_t len)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));
    size_t size = (size_t)depth * 300 + 1;
    char *at;

    ck_assert_uint_eq(harena_len(scratch), len);
    at = depth % 3 != 0 ? filled(scratch, size, (unsigned char)depth) : NULL;
    len = harena_len(scratch);
    for (int i = 0; i < 2 && depth < 8; i++)
        recurse(depth + 1, len);
    ck_assert_uint_eq(harena_len(scratch), len);
    ck_assert(at == NULL || all_bytes(at, size, (unsigned char)depth));
    harena_scratch_end(scratch);
}

START_TEST(scratches_nest)
{
    uint64_t held;

    recurse(1, 0);
    held = live_bytes();
    for (int i = 0; i < 50; i++)
        recurse(1, 0);
    ck_assert_uint_eq(live_bytes(), held);
}
END_TEST

START_TEST(scratch_is_never_the_one_to_avoid)
{
    harena *one = SUCCEEDS(harena_scratch_begin(NULL)), *two = SUCCEEDS(harena_scratch_begin(one)),
           *again = SUCCEEDS(harena_scratch_begin(two)), *any = arena_of(NULL, 0);
    char *at = filled(one, 100, 1);

    ck_assert(!same(one, two) && same(one, again));
    filled(two, 100000, 2);
    harena_scratch_end(two);
    harena_scratch_end(again);
    ck_assert(same(again = SUCCEEDS(harena_scratch_begin(any)), one));
    harena_scratch_end(again);
    ck_assert(harena_current() == NULL);
    (void)at;
    harena_scratch_end(one);
    harena_release(any);
}
END_TEST

START_TEST(an_end_of_one_leaves_the_other_alone)
{
    harena *one = SUCCEEDS(harena_scratch_begin(NULL)), *two = SUCCEEDS(harena_scratch_begin(one));
    char *at = filled(two, 3000, 2);

    harena_scratch_end(one);
    one = SUCCEEDS(harena_scratch_begin(two));
    filled(one, 100000, 1);
    harena_scratch_end(one);
    ck_assert(all_bytes(at, 3000, 2));
    harena_scratch_end(two);
}
END_TEST

START_TEST(it_cannot_be_emptied_or_released)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));
    char *at = filled(scratch, 100, 1);
    size_t len = harena_len(scratch);
    harena_snapshot snapshot = HARENA_SNAPSHOT_INIT;

    harena_reset(scratch);
    harena_keep(scratch);
    harena_release(scratch);
    harena_release_rcu(scratch);
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, scratch, at), -EINVAL);
    ck_assert_uint_eq(harena_len(scratch), len);
    ck_assert(all_bytes(at, 100, 1));
    harena_scratch_end(scratch);
}
END_TEST

static unsigned ran;

static void count(void *ctx)
{
    (void)ctx;
    ran++;
}

START_TEST(cleanups_and_marks_of_a_scratch)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL)), *inner;
    harena_mark mark = harena_mark_get(scratch);
    char *at = filled(scratch, 10, 1);

    ck_assert_int_eq(harena_on_release(scratch, count, NULL), 0);
    inner = SUCCEEDS(harena_scratch_begin(NULL));
    ck_assert_int_eq(harena_on_release(inner, count, NULL), 0);
    harena_scratch_end(inner);
    ck_assert_uint_eq(ran, 1);
    ck_assert_int_eq(harena_rewind(scratch, mark), 0);
    ck_assert_uint_eq(ran, 2);
    ck_assert(same(filled(scratch, 10, 1), at));
    ck_assert_int_eq(harena_on_release(scratch, count, NULL), 0);
    harena_scratch_end(scratch);
    ck_assert_uint_eq(ran, 3);
}
END_TEST

/* Frames of its own; it cannot end the one that runs it. */
static void use_frames(void *scratch)
{
    harena *own = SUCCEEDS(harena_scratch_begin(NULL));

    ck_assert_ptr_eq(own, scratch);
    filled(own, 1000, 1);
    ck_assert_int_eq(harena_on_release(own, count, NULL), 0);
    harena_scratch_end(own);
    harena_scratch_end(own);
    ran++;
}

START_TEST(a_cleanup_of_a_frame_may_use_frames)
{
    harena *outer = SUCCEEDS(harena_scratch_begin(NULL)), *inner;
    struct events events = {0};
    char *kept = filled(outer, 1000, 1);

    ck_assert_int_eq(harena_provider_on_event(NULL, record_event, &events), 0);
    ck_assert_int_eq(harena_on_release(outer, count, NULL), 0);
    inner = SUCCEEDS(harena_scratch_begin(NULL));
    ck_assert_int_eq(harena_on_release(inner, count, NULL), 0);
    ck_assert_int_eq(harena_on_release(inner, use_frames, inner), 0);
    harena_scratch_end(inner);
    ck_assert_uint_eq(ran, 3);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    ck_assert(all_bytes(kept, 1000, 1));
    harena_scratch_end(outer);
    ck_assert_uint_eq(ran, 4);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    harena_scratch_end(outer);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 2);
}
END_TEST

static void begin_alone(void *scratch)
{
    ck_assert_ptr_eq(harena_scratch_begin(NULL), scratch);
}

static void end_alone(void *scratch)
{
    harena_scratch_end(scratch);
}

/* A frame ends with the cleanup that began it. */
START_TEST(a_cleanup_may_not_end_anothers_frame)
{
    harena *outer = SUCCEEDS(harena_scratch_begin(NULL)), *inner;
    struct events events = {0};

    ck_assert_int_eq(harena_provider_on_event(NULL, record_event, &events), 0);
    ck_assert_int_eq(harena_on_release(outer, count, NULL), 0);
    inner = SUCCEEDS(harena_scratch_begin(NULL));
    ck_assert_int_eq(harena_on_release(inner, end_alone, inner), 0);
    ck_assert_int_eq(harena_on_release(inner, begin_alone, inner), 0);
    harena_scratch_end(inner);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    ck_assert_uint_eq(ran, 0);
    harena_scratch_end(outer);
    ck_assert_uint_eq(ran, 1);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
}
END_TEST

START_TEST(an_end_too_many_is_told_of)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL)), *arena = arena_of(NULL, 0);
    struct events events = {0};

    ck_assert_int_eq(harena_provider_on_event(NULL, record_event, &events), 0);
    harena_scratch_end(NULL);
    harena_scratch_end(scratch);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 0);
    harena_scratch_end(scratch);
    harena_scratch_end(arena);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 2);
    harena_release(arena);
}
END_TEST

static void *use_some(void *ctx)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL)),
           *second = SUCCEEDS(harena_scratch_begin(scratch));

    ck_assert(!same(scratch, ctx) && !same(second, ctx));
    filled(scratch, 100000, 1);
    filled(second, 100000, 1);
    ck_assert_int_eq(harena_on_release(second, count, NULL), 0);
    harena_scratch_end(scratch);
    return NULL; /* with a frame open */
}

START_TEST(a_thread_that_ends_leaves_nothing)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));
    uint64_t held;

    filled(scratch, 100, 1);
    held = live_bytes();
    for (int i = 0; i < 20; i++)
        on_another_thread(use_some, scratch);
    ck_assert_uint_eq(live_bytes(), held);
    ck_assert_uint_eq(ran, 20);
    harena_scratch_end(scratch);
}
END_TEST

/* Rounds of destructors in which a thread may do something: in the last ones ThreadSanitizer has given it up. */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - (TEST_TSAN ? 2 : 0))

static pthread_key_t late_key;
static __thread int rounds;

/* Runs in each round of destructors, also after the library's last one. */
static void use_late(void *any)
{
    use_some(NULL);
    if (++rounds < ROUNDS)
        pthread_setspecific(late_key, any);
}

static void *use_until_the_end(void *ctx)
{
    use_some(ctx);
    ck_assert_int_eq(pthread_setspecific(late_key, &late_key), 0);
    return NULL;
}

static void *use_late_only(void *ctx)
{
    (void)ctx;
    ck_assert_int_eq(pthread_setspecific(late_key, &late_key), 0);
    return NULL;
}

static void use_late_and_end(void *any)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));

    filled(scratch, 100000, 1);
    harena_scratch_end(scratch);
    if (++rounds < ROUNDS)
        pthread_setspecific(late_key, any);
}

START_TEST(destructors_may_use_scratch_arenas)
{
    uint64_t held;

    ck_assert_int_eq(pthread_key_create(&late_key, use_late_and_end), 0);
    on_another_thread(use_until_the_end, NULL);
    held = live_bytes();
    for (int i = 0; i < 20; i++)
        on_another_thread(i % 2 == 0 ? use_until_the_end : use_late_only, NULL);
    ck_assert_uint_eq(live_bytes(), held);
    ck_assert_int_eq(pthread_key_delete(late_key), 0);
    ck_assert_int_eq(pthread_key_create(&late_key, use_late), 0);
    on_another_thread(use_until_the_end,
                      NULL); /* leaves a frame open in the last round, and does not crash */
}
END_TEST

START_TEST(no_memory_is_null_and_enomem)
{
    harena *scratch;

    ck_assert_int_eq(setenv("HARENA_HARD_LIMIT", "2MiB", 1), 0);
    scratch = SUCCEEDS(harena_scratch_begin(NULL));
    fill(scratch, 1024);
    FAILS(ENOMEM, harena_scratch_begin(scratch));
    harena_scratch_end(scratch);
    ck_assert(SUCCEEDS(harena_scratch_begin(NULL)) != NULL);
}
END_TEST

/* ---- copies on the heap ---- */

START_TEST(a_clone_outlives_its_arena)
{
    harena *arena = arena_of(NULL, 0);
    char *at = filled(arena, 5000, 7), *copy = SUCCEEDS(harena_clone(at, 5000)),
         *text = SUCCEEDS(harena_strdup(arena, "text")), *part;

    part = SUCCEEDS(harena_clone(text + 1, strlen(text + 1) + 1));
    memset(at, 0, 5000);
    harena_release(arena);
    ck_assert(all_bytes(copy, 5000, 7));
    ck_assert_str_eq(part, "ext");
    free(copy);
    free(part);
}
END_TEST

START_TEST(memory_of_any_origin_is_cloned)
{
    static const char here[] = "static";
    char there[] = "stack", *copies[3];

    copies[0] = SUCCEEDS(harena_clone(here, sizeof here));
    copies[1] = SUCCEEDS(harena_clone(there, sizeof there));
    copies[2] = SUCCEEDS(harena_clone(copies[0], sizeof here));
    ck_assert(strcmp(copies[0], here) == 0 && strcmp(copies[1], there) == 0 &&
              strcmp(copies[2], here) == 0 && !same(copies[2], copies[0]));
    for (int i = 0; i < 3; i++)
        free(copies[i]);
}
END_TEST

START_TEST(bad_arguments_of_clone)
{
    void *nothing = SUCCEEDS(harena_clone(NULL, 0));

    free(nothing);
    FAILS(EINVAL, harena_clone((void *)opaque(0), opaque(1)));
    FAILS(ENOMEM, harena_clone("", opaque(SIZE_MAX)));
    FAILS(ENOMEM, harena_clone("", opaque((size_t)PTRDIFF_MAX + 1)));
}
END_TEST

START_TEST(a_rewind_to_before_a_frame_ends_it)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));
    harena_mark mark;

    filled(scratch, 100, 1);
    mark = harena_mark_get(scratch);
    for (int i = 0; i < 3; i++) {
        ck_assert(same(SUCCEEDS(harena_scratch_begin(NULL)), scratch));
        ck_assert_int_eq(harena_rewind(scratch, mark), 0);
    }
    harena_scratch_end(scratch);
    ck_assert_uint_eq(harena_len(scratch), 0);
}
END_TEST

START_TEST(a_mark_dies_with_its_frame)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));
    harena_mark mark = harena_mark_get(scratch);
    size_t len;

    harena_scratch_end(scratch);
    ck_assert(same(SUCCEEDS(harena_scratch_begin(NULL)), scratch));
    filled(scratch, 100, 1);
    len = harena_len(scratch);
    ck_assert_int_eq(harena_rewind(scratch, mark), -EINVAL);
    ck_assert_uint_eq(harena_len(scratch), len);
    harena_scratch_end(scratch);
}
END_TEST

START_TEST(a_failure_is_forgotten_with_the_outermost_frame)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));

    FAILS(ENOMEM, harena_alloc(scratch, opaque(PTRDIFF_MAX)));
    (void)SUCCEEDS(harena_scratch_begin(NULL));
    ck_assert(harena_failed(scratch));
    harena_scratch_end(scratch);
    harena_scratch_end(scratch);
    ck_assert(same(SUCCEEDS(harena_scratch_begin(NULL)), scratch));
    ck_assert(!harena_failed(scratch));
    harena_scratch_end(scratch);
}
END_TEST

static void use_scratch(void *ctx)
{
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));

    (void)ctx;
    filled(scratch, 64, 1);
    harena_scratch_end(scratch);
}

static void *end_in_a_frame(void *ctx)
{
    ck_assert_int_eq(harena_on_release(SUCCEEDS(harena_scratch_begin(NULL)), use_scratch, NULL), 0);
    return ctx;
}

START_TEST(a_cleanup_at_the_threads_end_leaves_nothing)
{
    uint64_t before = live_bytes();
    pthread_t thread;

    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, end_in_a_frame, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    ck_assert_uint_eq(live_bytes(), before);
}
END_TEST

RUN_TESTS("scratch", scratch_is_gone_at_its_end, scratches_nest, scratch_is_never_the_one_to_avoid,
          an_end_of_one_leaves_the_other_alone, it_cannot_be_emptied_or_released,
          cleanups_and_marks_of_a_scratch, a_cleanup_of_a_frame_may_use_frames,
          a_cleanup_may_not_end_anothers_frame, an_end_too_many_is_told_of,
          a_thread_that_ends_leaves_nothing, destructors_may_use_scratch_arenas,
          no_memory_is_null_and_enomem, a_clone_outlives_its_arena, memory_of_any_origin_is_cloned,
          bad_arguments_of_clone, a_rewind_to_before_a_frame_ends_it, a_mark_dies_with_its_frame,
          a_failure_is_forgotten_with_the_outermost_frame,
          a_cleanup_at_the_threads_end_leaves_nothing)
