/* SPDX-License-Identifier: BSD-2-Clause */
/* Marks: back to where the arena was, and which marks are good. */
#include "unit.h"

static struct events events;
static harena_provider *provider;

static void before(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(256 * MIB, 0, &events);
}

static void after(void)
{
    ends_clean(provider);
}

static harena_mark mark_of(harena *arena)
{
    harena_mark mark;

    QUIETLY(mark = harena_mark_get(arena));
    ck_assert(mark.opaque[0] != 0);
    return mark;
}

static void rewind_to(harena *arena, harena_mark mark)
{
    int result;

    QUIETLY(result = harena_rewind(arena, mark));
    ck_assert_int_eq(result, 0);
    totals_hold(provider);
}

static void is_refused(harena *arena, harena_mark mark)
{
    size_t len = harena_len(arena);

    ck_assert_int_eq(harena_rewind(arena, mark), -EINVAL);
    ck_assert_uint_eq(harena_len(arena), len);
}

static void *filled(harena *arena, size_t size, unsigned char value)
{
    return memset(SUCCEEDS(harena_alloc(arena, opaque(size))), value, size);
}

START_TEST(rewind_restores_len_and_address)
{
    harena *arena = arena_of(provider, 0);
    char *first = filled(arena, 100, 1), *second;
    size_t len = harena_len(arena);
    harena_mark mark = mark_of(arena);

    ck_assert_uint_eq(harena_len(arena), len);
    second = filled(arena, 1000, 2);
    for (int i = 0; i < 3; i++) {
        rewind_to(arena, mark);
        ck_assert_uint_eq(harena_len(arena), len);
        ck_assert(same(filled(arena, 1000, 2), second));
        ck_assert(all_bytes(first, 100, 1));
    }
    ck_assert_uint_ge(harena_peak(arena), len + 1000);
    harena_release(arena);
}
END_TEST

START_TEST(a_rewind_gives_back_chunks_and_runs)
{
    static const size_t sizes[] = {64, 3000, 40000, 100000, 16400, 3 * MIB};
    harena *arena = arena_of(provider, 0);
    char *kept[6];
    size_t len, most = 0;
    harena_mark mark;

    for (int i = 0; i < 6; i++)
        kept[i] = filled(arena, sizes[i], (unsigned char)(i + 1));
    len = harena_len(arena);
    mark = mark_of(arena);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 2000; i++)
            filled(arena, sizes[(i * 7 + round) % 5], 0xff);
        filled(arena, sizes[5], 0xff);
        rewind_to(arena, mark);
        ck_assert_uint_eq(harena_len(arena), len);
        for (int i = 0; i < 6; i++)
            ck_assert(all_bytes(kept[i], sizes[i], (unsigned char)(i + 1)));
        if (round == 0)
            most = harena_cap(arena);
        ck_assert_uint_le(harena_cap(arena), most + CHUNK); /* one stays warm */
        ck_assert_uint_le(most, len + 2 * MIB);
        ck_assert_uint_eq(in_use(provider), harena_cap(arena));
    }
    harena_release(arena);
}
END_TEST

START_TEST(marks_nest)
{
    enum { DEPTH = 50 };
    harena *arena = arena_of(provider, 0);
    harena_mark marks[DEPTH];
    char *objects[DEPTH];
    size_t lens[DEPTH];

    for (int i = 0; i < DEPTH; i++) {
        lens[i] = harena_len(arena);
        marks[i] = mark_of(arena);
        objects[i] = filled(arena, 100 + (size_t)i * 1000, (unsigned char)(i + 1));
    }
    for (int i = DEPTH - 1; i >= 0; i -= 3) {
        rewind_to(arena, marks[i]);
        ck_assert_uint_eq(harena_len(arena), lens[i]);
        for (int j = 0; j < i; j++)
            EXPECT(all_bytes(objects[j], 100 + (size_t)j * 1000, (unsigned char)(j + 1)));
        for (int j = i + 1; j < DEPTH; j++)
            is_refused(arena, marks[j]);
        rewind_to(arena, marks[i]); /* it is still good */
    }
    harena_release(arena);
}
END_TEST

START_TEST(marks_at_one_place_take_memory_once)
{
    harena *arena = arena_of(provider, 0);
    harena_mark outer = mark_of(arena), middle, inner;
    char *at = filled(arena, 16, 1);

    rewind_to(arena, outer);
    for (int i = 0; i < 100000; i++) {
        middle = mark_of(arena);
        inner = mark_of(arena);
        EXPECT(same(harena_alloc(arena, opaque(16)), at));
        EXPECT(harena_rewind(arena, inner) == 0 && harena_rewind(arena, middle) == 0);
    }
    rewind_to(arena, outer);
    ck_assert(same(filled(arena, 16, 1), at));
    ck_assert_uint_eq(harena_cap(arena), CHUNK);
    harena_release(arena);
}
END_TEST

START_TEST(a_later_mark_at_the_same_place_dies)
{
    harena *arena = arena_of(provider, 0);
    harena_mark first = mark_of(arena), second = mark_of(arena), third = mark_of(arena);

    rewind_to(arena, third);
    rewind_to(arena, second);
    is_refused(arena, third);
    rewind_to(arena, first);
    is_refused(arena, second);
    rewind_to(arena, first);
    second = mark_of(arena);
    rewind_to(arena, second);
    rewind_to(arena, first);
    harena_release(arena);
}
END_TEST

START_TEST(what_is_no_good_mark_changes_nothing)
{
    harena *arena = arena_of(provider, 0), *other = arena_of(provider, 0);
    harena_mark mark = mark_of(arena), forged = mark;
    const harena_mark none = {{0}};

    filled(arena, 100, 1);
    filled(other, 100, 1);
    is_refused(arena, none);
    is_refused(other, mark);
    ck_assert_int_eq(harena_rewind(NULL, mark), -EINVAL);
    forged.opaque[1]++;
    is_refused(arena, forged);
    forged = mark;
    forged.opaque[0] += 16;
    is_refused(arena, forged);
    rewind_to(arena, mark);
    harena_release(arena);
    harena_release(other);
}
END_TEST

START_TEST(marks_die_with_a_reset_and_with_the_arena)
{
    harena *arena = arena_of(provider, 0), *again;
    harena_mark mark = mark_of(arena), next;

    harena_reset(arena);
    is_refused(arena, mark);
    next = mark_of(arena); /* the same record, at the same place */
    ck_assert(next.opaque[0] == mark.opaque[0]);
    is_refused(arena, mark);
    rewind_to(arena, next);
    harena_release(arena);
    again = arena_of(provider, 0);
    ck_assert(same(again, (harena *)hidden(arena)));
    is_refused(again, next);
    ck_assert(mark_of(again).opaque[0] == next.opaque[0]); /* and the numbers are the same */
    is_refused(again, mark);
    is_refused(again, next);
    harena_release(again);
}
END_TEST

START_TEST(a_mark_in_a_full_arena_fails_and_harms_nothing)
{
    static char memory[4096];
    harena *arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    harena_mark mark = mark_of(arena), none;

    while (harena_alloc(arena, opaque(64)) != NULL)
        continue;
    harena_clear_failed(arena);
    errno = 0;
    none = harena_mark_get(arena);
    ck_assert(none.opaque[0] == 0 && errno == ENOMEM && harena_failed(arena));
    is_refused(arena, none);
    rewind_to(arena, mark);
    ck_assert_uint_eq(harena_len(arena), 0);
    filled(arena, 2000, 1);
    harena_release(arena);
}
END_TEST

START_TEST(a_mark_in_a_fixed_arena_takes_80_bytes)
{
    char memory[2048];
    size_t needed = harena_fixed_overhead() + 112 + 80 + 208;
    harena *arena = SUCCEEDS(harena_create_fixed(memory, needed, NULL));
    harena_mark mark;

    filled(arena, 100, 1);
    mark = mark_of(arena);
    for (int i = 0; i < 3; i++) {
        filled(arena, 200, 2);
        rewind_to(arena, mark);
    }
    filled(arena, 200, 2);
    harena_release(arena);
}
END_TEST

START_TEST(a_marks_memory_is_not_given_up_for_a_large_object)
{
    harena *arena = arena_of(provider, 4 * CHUNK);
    harena_mark mark = mark_of(arena);

    ck_assert_uint_eq(harena_len(arena), 0);
    FAILS(ENOMEM, harena_alloc(arena, opaque(4 * CHUNK)));
    filled(arena, 3 * CHUNK, 1);
    rewind_to(arena, mark);
    harena_reset(arena);
    filled(arena, 4 * CHUNK, 1); /* now it is */
    harena_release(arena);
}
END_TEST

START_TEST(lanes_have_no_marks)
{
    harena_shared *shared = SUCCEEDS(harena_shared_create(NULL));
    harena_view *view = SUCCEEDS(harena_shared_enter(shared));
    harena *lane = SUCCEEDS(harena_view_lane(view));
    harena_mark mark;

    errno = 0;
    mark = harena_mark_get(lane);
    ck_assert(mark.opaque[0] == 0 && errno == EINVAL);
    ck_assert_int_eq(harena_rewind(lane, mark), -EINVAL);
    errno = 0;
    mark = harena_mark_get(NULL);
    ck_assert(mark.opaque[0] == 0 && errno == EINVAL);
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
}
END_TEST

/* ---- what a rewind must respect ---- */

static char order[32];

static void note(void *ctx)
{
    strncat(order, ctx, 1);
}

static harena *of_note;

static void note_and_register(void *ctx)
{
    note(ctx);
    ck_assert_int_eq(harena_on_release(of_note, note, (void *)"+"), 0);
}

START_TEST(cleanups_past_the_mark_run_newest_first)
{
    harena *arena = of_note = arena_of(provider, 0);
    harena_mark mark;

    order[0] = '\0';
    ck_assert_int_eq(harena_on_release(arena, note, (void *)"a"), 0);
    ck_assert_int_eq(harena_on_release(arena, note, (void *)"b"), 0);
    mark = mark_of(arena);
    ck_assert_int_eq(harena_on_release(arena, note, (void *)"c"), 0);
    ck_assert_int_eq(harena_on_release(arena, note_and_register, (void *)"d"), 0);
    rewind_to(arena, mark);
    ck_assert_str_eq(order, "d+c");
    rewind_to(arena, mark);
    ck_assert_str_eq(order, "d+c");
    harena_reset(arena);
    ck_assert_str_eq(order, "d+cba");
    harena_release(arena);
}
END_TEST

START_TEST(a_cleanup_of_before_may_be_forgotten)
{
    harena *arena = arena_of(provider, 0);
    harena_mark mark;

    order[0] = '\0';
    ck_assert_int_eq(harena_on_release(arena, note, (void *)"a"), 0);
    ck_assert_int_eq(harena_on_release(arena, note, order), 0);
    mark = mark_of(arena);
    ck_assert(harena_forget(arena, note, order));
    ck_assert(!harena_forget(arena, note, order));
    ck_assert_int_eq(harena_on_release(arena, note, (void *)"c"), 0);
    rewind_to(arena, mark);
    ck_assert_str_eq(order, "c");
    harena_release(arena);
    ck_assert_str_eq(order, "ca");
}
END_TEST

static harena *with_retain(size_t retain)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    options.retain = retain;
    options.retain_none = retain == 0;
    return SUCCEEDS(harena_create(&options));
}

START_TEST(no_more_of_a_run_stays_than_retain)
{
    static const size_t retains[] = {0, 1, CHUNK - 16, CHUNK, 2 * CHUNK - 1, 2 * CHUNK};

    for (int which = 0; which < 6 * 2 * 4; which++) {
        size_t retain = retains[which % 6], rest = (size_t)(which / 6 % 2) * 16;
        size_t size = (size_t)(which / 12 + 1) * CHUNK - 40, cap;
        harena *arena = with_retain(retain);
        harena_mark mark;

        memset(SUCCEEDS(harena_alloc(arena, opaque(100))), 1, 100);
        memset(SUCCEEDS(harena_alloc(arena, opaque(2 * CHUNK - rest))), 1, 2 * CHUNK - rest);
        mark = mark_of(arena);
        cap = harena_cap(arena);
        memset(SUCCEEDS(harena_alloc(arena, opaque(size))), 2, size);
        ck_assert_uint_gt(harena_cap(arena), cap);
        rewind_to(arena, mark);
        ck_assert_uint_le(harena_cap(arena) - cap, retain);
        harena_keep(arena);
        memset(SUCCEEDS(harena_alloc(arena, opaque(size))), 3, size);
        harena_reset(arena);
        ck_assert_uint_le(harena_cap(arena) - cap, retain);
        harena_release(arena);
    }
}
END_TEST

START_TEST(warm_memory_that_was_absorbed_goes)
{
    harena_options warm = HARENA_OPTIONS_INIT;

    warm.provider = provider;
    warm.retain = 64 * MIB;
    for (int kept = 0; kept <= 1; kept++) {
        harena *arena = with_retain(0), *from = SUCCEEDS(harena_create(&warm));
        harena_mark mark;
        size_t cap;

        memset(SUCCEEDS(harena_alloc(arena, opaque(100))), 1, 100);
        mark = mark_of(arena);
        if (kept)
            harena_keep(arena);
        cap = harena_cap(arena);
        for (size_t size = KIB; size <= MIB; size *= 2)
            for (int i = 0; i < 64; i++)
                memset(SUCCEEDS(harena_alloc(from, opaque(size))), i, size);
        harena_reset(from);
        ck_assert_int_eq(harena_absorb(arena, from), 0);
        ck_assert_uint_gt(harena_cap(arena), cap + 16 * MIB);
        if (kept)
            harena_reset(arena);
        else
            rewind_to(arena, mark);
        ck_assert_uint_eq(harena_cap(arena), cap);
        ck_assert_uint_eq(in_use(provider), cap);
        harena_release(arena);
    }
}
END_TEST

START_TEST(what_is_older_than_a_mark_does_not_grow_over_it)
{
    static const size_t sizes[] = {100, 30000, 200000};
    char *old, *now;

    for (int i = 0; i < 3; i++) {
        harena *arena = arena_of(provider, 0);
        harena_mark mark;

        old = filled(arena, sizes[i], 1);
        mark = mark_of(arena);
        now = SUCCEEDS(harena_realloc(arena, old, sizes[i], opaque(sizes[i] + 1000)));
        ck_assert(!same(now, old) && all_bytes(now, sizes[i], 1));
        memset(now, 2, sizes[i] + 1000);
        rewind_to(arena, mark);
        filled(arena, sizes[i], 3);
        ck_assert(all_bytes(old, sizes[i], 1));
        harena_release(arena);
    }
}
END_TEST

START_TEST(zeroed_memory_is_zero_after_a_rewind)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    for (int zero = 0; zero < 2; zero++) {
        harena *arena;
        harena_mark mark;

        options.zero = zero != 0;
        arena = SUCCEEDS(harena_create(&options));
        filled(arena, 40000, 0xff);
        filled(arena, 5000, 0xff);
        mark = mark_of(arena);
        for (int i = 0; i < 200; i++) {
            size_t size = (size_t)(i * 997 % 50000 + 1);
            void *at = SUCCEEDS(zero != 0 ? harena_alloc(arena, opaque(size))
                                          : harena_alloc_zeroed(arena, opaque(size)));

            EXPECT(all_bytes(at, size, 0));
            memset(at, 0xff, size);
            if (i % 7 == 6)
                rewind_to(arena, mark);
        }
        harena_release(arena);
    }
}
END_TEST

START_TEST(marks_work_in_the_callers_memory)
{
    static char first[10000];
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;
    harena_mark mark;
    char *at;

    options.provider = provider;
    options.first = first;
    options.first_size = sizeof first;
    arena = SUCCEEDS(harena_create(&options));
    filled(arena, 100, 1);
    mark = mark_of(arena);
    at = filled(arena, 1000, 2);
    ck_assert(at >= first && at < first + sizeof first);
    for (int i = 0; i < 100; i++)
        filled(arena, 3000, 3);
    rewind_to(arena, mark);
    ck_assert(same(filled(arena, 1000, 2), at));
    ck_assert_uint_eq(harena_len(arena), 112 + 1008);
    harena_release(arena);
}
END_TEST

/* At the limit the two windows change places, so the second one is what was left of the caller's memory at the mark. Once
 * that window has gone, there is nothing to move back in it. */
START_TEST(a_window_of_the_callers_memory_goes_with_a_rewind)
{
    static _Alignas(64 * 1024) char own[16 * 1024];
    harena_options options = HARENA_OPTIONS_INIT;
    harena_mark mark;
    harena *arena;
    char *run;

    options.provider = provider;
    options.first = own;
    options.first_size = sizeof own;
    arena = SUCCEEDS(harena_create(&options));
    filled(arena, 8 * KIB, 1);
    run = filled(arena, 104 * KIB, 2); /* what is left of it is the second window */
    ck_assert_int_eq(harena_provider_set_limit(provider, 2 * CHUNK), 0);
    ck_assert(same(SUCCEEDS(harena_alloc_aligned(arena, 100, 16 * KIB)), run + 112 * KIB));
    mark = mark_of(arena);
    ck_assert_int_eq(harena_provider_set_limit(provider, 0), 0);
    for (int i = 0; i < 3; i++) {
        filled(arena, 200 * KIB, 3);
        rewind_to(arena, mark);
        rewind_to(arena, mark); /* nothing has happened since the one before */
        run = filled(arena, 40 * KIB, 4);
        ck_assert_msg(same(filled(arena, 20 * KIB, 5), run + 40 * KIB), "the run's rest was lost");
    }
    harena_release(arena);
}
END_TEST

START_TEST(aligned_arenas_have_marks)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;
    harena_mark mark;
    char *at;

    options.provider = provider;
    options.alignment = HARENA_CHUNK_SIZE;
    arena = SUCCEEDS(harena_create(&options));
    filled(arena, 16, 1);
    mark = mark_of(arena);
    at = filled(arena, 16, 1);
    ck_assert(aligned_to(at, CHUNK));
    for (int i = 0; i < 20; i++)
        ck_assert(aligned_to(filled(arena, 100, 1), CHUNK));
    rewind_to(arena, mark);
    ck_assert(aligned_to(filled(arena, 16, 1), CHUNK));
    harena_release(arena);
}
END_TEST

START_TEST(a_rewind_keeps_only_what_retain_allows)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    for (int i = 0; i < 3; i++) {
        harena *arena;
        harena_mark mark;

        options.retain_none = i == 0;
        options.retain = (size_t)i * 8 * CHUNK;
        arena = SUCCEEDS(harena_create(&options));
        filled(arena, 16, 1);
        mark = mark_of(arena);
        for (int j = 0; j < 60; j++)
            filled(arena, 30000, 1);
        rewind_to(arena, mark);
        ck_assert_uint_le(harena_cap(arena), 2 * CHUNK + options.retain);
        ck_assert_uint_ge(harena_cap(arena), CHUNK + options.retain);
        harena_release(arena);
    }
}
END_TEST

/* An object that ends where the window's memory begins lies in another chunk: it is not the window's last. */
START_TEST(windows_stay_in_their_chunks)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;
    char *below, *object, *again;

    options.provider = provider;
    options.zero = true;
    arena = SUCCEEDS(harena_create(&options));
    below = SUCCEEDS(harena_alloc(arena, opaque(CHUNK)));
    object = SUCCEEDS(harena_alloc(arena, opaque(16)));
    ck_assert(same(object, below + CHUNK));
    object = SUCCEEDS(harena_realloc(arena, object, 16, opaque(0)));
    ck_assert(same(SUCCEEDS(harena_realloc(arena, below, CHUNK, opaque(16))), below));
    ck_assert(!same(SUCCEEDS(harena_alloc(arena, opaque(16))), below + 16));
    harena_keep(arena);
    harena_reset(arena);
    harena_release(arena);
    ck_assert(same(SUCCEEDS(harena_chunk_get(provider)), below));
    for (int i = 0; i < 2; i++) {
        arena = arena_of(provider, 0);
        again = SUCCEEDS(harena_alloc_zeroed(arena, opaque(CHUNK)));
        ck_assert(same(again, below + CHUNK));
        ck_assert(all_bytes(again, CHUNK, 0));
        memset(again, 0xff, CHUNK);
        harena_release(arena);
    }
    harena_chunk_put(provider, below);
}
END_TEST

/* At the limit the windows change places, and what was the window becomes longer as the second one. */
START_TEST(a_rewind_keeps_no_window_that_became_longer)
{
    harena *arena;
    harena_mark mark;
    void *chunks[4];
    size_t before;

    for (int i = 0; i < 4; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(provider));
    arena = arena_of(provider, 0);
    filled(arena, 60000, 1);
    harena_chunk_put(provider, chunks[0]);
    harena_chunk_put(provider, chunks[1]);
    filled(arena, 100 * KIB, 2);
    before = harena_cap(arena);
    ck_assert_int_eq(harena_provider_set_limit(provider, 5 * CHUNK), 0);
    mark = mark_of(arena);
    for (int i = 0; i < 3; i++)
        filled(arena, 2000, 3);
    ck_assert_int_eq(harena_provider_set_limit(provider, 0), 0);
    filled(arena, 10 * MIB, 4);
    ck_assert_uint_ge(harena_cap(arena), before + 10 * MIB);
    rewind_to(arena, mark);
    ck_assert_uint_le(harena_cap(arena), before + 2 * CHUNK);
    filled(arena, 5 * MIB, 5);
    harena_release(arena);
    harena_chunk_put(provider, chunks[2]);
    harena_chunk_put(provider, chunks[3]);
}
END_TEST

START_TEST(a_rewind_keeps_retain_but_once)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena_mark mark;
    harena *arena;

    options.provider = provider;
    options.retain = MIB;
    arena = SUCCEEDS(harena_create(&options));
    filled(arena, 100, 1);
    filled(arena, 100 * KIB, 1);
    mark = mark_of(arena);
    filled(arena, 4 * MIB, 2); /* the run becomes longer */
    for (int i = 0; i < 1600; i++)
        filled(arena, 1000, 3);
    rewind_to(arena, mark);
    ck_assert_uint_le(harena_cap(arena), 4 * CHUNK + options.retain);
    harena_release(arena);
}
END_TEST

RUN_TESTS_AROUND("mark", before, after, rewind_restores_len_and_address,
                 a_rewind_gives_back_chunks_and_runs, marks_nest,
                 marks_at_one_place_take_memory_once, a_later_mark_at_the_same_place_dies,
                 what_is_no_good_mark_changes_nothing, marks_die_with_a_reset_and_with_the_arena,
                 a_mark_in_a_full_arena_fails_and_harms_nothing,
                 a_mark_in_a_fixed_arena_takes_80_bytes,
                 a_marks_memory_is_not_given_up_for_a_large_object, lanes_have_no_marks,
                 cleanups_past_the_mark_run_newest_first, a_cleanup_of_before_may_be_forgotten,
                 no_more_of_a_run_stays_than_retain, warm_memory_that_was_absorbed_goes,
                 what_is_older_than_a_mark_does_not_grow_over_it,
                 zeroed_memory_is_zero_after_a_rewind, marks_work_in_the_callers_memory,
                 a_window_of_the_callers_memory_goes_with_a_rewind, aligned_arenas_have_marks,
                 a_rewind_keeps_only_what_retain_allows, windows_stay_in_their_chunks,
                 a_rewind_keeps_retain_but_once, a_rewind_keeps_no_window_that_became_longer)
