/* SPDX-License-Identifier: BSD-2-Clause */
/* Persistent and ephemeral memory: what is kept, and resets that return to it. */
#include "unit.h"

enum { SIZES = 5 };
static const size_t sizes[SIZES] = {64, 3000, 40000, 200000, 70000};

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

static char *filled(harena *arena, size_t size, unsigned char value)
{
    return memset(SUCCEEDS(harena_alloc(arena, opaque(size))), value, size);
}

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Objects of all sizes up to `most`, in chunks and runs, that are there over frames that fill the arena. */
static void survive(harena *arena, size_t most)
{
    char *kept[20], *first = NULL;
    size_t len, frame = most > 64 ? 300 : 10;

    for (int i = 0; i < 20; i++)
        kept[i] = filled(arena, least(sizes[i % SIZES], most), (unsigned char)(i + 1));
    QUIETLY(harena_keep(arena));
    len = harena_len(arena);
    for (int round = 0; round < 6; round++) {
        char *at = filled(arena, 100, 0xff);

        ck_assert(first == NULL || same(at, first));
        first = at;
        for (size_t i = 0; i < frame; i++)
            filled(arena, least(sizes[i % SIZES] / 3, most), 0xff);
        QUIETLY(harena_reset(arena));
        ck_assert_uint_eq(harena_len(arena), len);
        for (int i = 0; i < 20; i++)
            ck_assert(all_bytes(kept[i], least(sizes[i % SIZES], most), (unsigned char)(i + 1)));
    }
    ck_assert_uint_gt(harena_peak(arena), len);
    ck_assert_uint_eq(arena_stats_of(arena).resets, 6);
    harena_release(arena);
}

START_TEST(kept_memory_survives_resets)
{
    static char first[200000], fixed[20000];
    harena_options options = HARENA_OPTIONS_INIT;

    survive(arena_of(provider, 0), SIZE_MAX);
    survive(SUCCEEDS(harena_create_fixed(fixed, sizeof fixed, NULL)), 64);
    options.provider = provider;
    options.first = first;
    options.first_size = sizeof first;
    survive(SUCCEEDS(harena_create(&options)), SIZE_MAX);
    options = (harena_options)HARENA_OPTIONS_INIT;
    options.provider = provider;
    options.initial = 10 * CHUNK;
    survive(SUCCEEDS(harena_create(&options)), SIZE_MAX);
    options.initial = 0;
    options.alignment = 4096;
    survive(SUCCEEDS(harena_create(&options)), SIZE_MAX);
    options.alignment = 0;
    options.retain_none = true;
    survive(SUCCEEDS(harena_create(&options)), SIZE_MAX);
}
END_TEST

/* What all chunks and runs of a provider have seen of gets and puts. */
static uint64_t moves(void)
{
    harena_provider_stats stats = stats_of(provider);

    return stats.gets + stats.puts;
}

START_TEST(a_reset_does_not_visit_what_is_kept)
{
    uint64_t cost[2];

    for (int i = 0; i < 2; i++) {
        harena *arena = arena_of(provider, 0);
        uint64_t start;

        for (int j = 0; j < (i == 0 ? 1 : 1000); j++)
            filled(arena, CHUNK - 16, 1);
        harena_keep(arena);
        filled(arena, 100, 1);
        harena_reset(arena); /* the first gives back what is not used of the last run */
        start = moves();
        for (int frame = 0; frame < 100; frame++) {
            filled(arena, 1000, 1);
            harena_reset(arena);
        }
        cost[i] = moves() - start;
        harena_release(arena);
    }
    ck_assert_uint_eq(cost[0], 0);
    ck_assert_uint_eq(cost[1], 0);
}
END_TEST

START_TEST(a_later_keep_keeps_more)
{
    harena *arena = arena_of(provider, 0);
    char *one, *two;

    one = filled(arena, 100, 1);
    harena_keep(arena);
    two = filled(arena, 50000, 2);
    harena_keep(arena);
    filled(arena, 100000, 3);
    harena_reset(arena);
    filled(arena, 100000, 3);
    ck_assert(all_bytes(one, 100, 1) && all_bytes(two, 50000, 2));
    harena_release(arena);
}
END_TEST

START_TEST(keep_none_gives_all_back_at_the_next_reset)
{
    harena *arena = arena_of(provider, 0);
    char *one = filled(arena, 50000, 1);

    filled(arena, 200000, 1);
    harena_keep(arena);
    QUIETLY(harena_keep_none(arena));
    ck_assert(all_bytes(one, 50000, 1));
    harena_reset(arena);
    ck_assert_uint_eq(harena_len(arena), 0);
    ck_assert_uint_eq(harena_cap(arena), CHUNK);
    harena_release(arena);
}
END_TEST

START_TEST(keep_of_an_empty_arena_keeps_nothing)
{
    harena *arena = arena_of(provider, 0);

    harena_keep(arena);
    for (int i = 0; i < 3; i++) {
        filled(arena, 200000, 1);
        harena_reset(arena);
        ck_assert_uint_eq(harena_len(arena), 0);
    }
    harena_release(arena);
}
END_TEST

START_TEST(a_full_frame_harms_nothing_that_is_kept)
{
    static char memory[8192];

    for (int i = 0; i < 2; i++) {
        harena *arena = i == 0 ? SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL))
                               : arena_of(provider, 4 * CHUNK);
        char *kept = filled(arena, 1000, 1);
        size_t count = 0;

        harena_keep(arena);
        for (int round = 0; round < 4; round++) {
            size_t more = fill(arena, 256);

            ck_assert(round == 0 || more == count);
            count = more;
            harena_reset(arena);
            ck_assert(!harena_failed(arena) && all_bytes(kept, 1000, 1));
        }
        ck_assert_uint_gt(count, 16);
        harena_release(arena);
    }
}
END_TEST

static char order[32];

static void note(void *ctx)
{
    strncat(order, ctx, 1);
}

START_TEST(kept_cleanups_run_at_release_only)
{
    harena *arena = arena_of(provider, 0);

    order[0] = '\0';
    ck_assert_int_eq(harena_on_release(arena, note, (void *)"a"), 0);
    ck_assert_int_eq(harena_on_release(arena, note, (void *)"b"), 0);
    harena_keep(arena);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(harena_on_release(arena, note, (void *)"c"), 0);
        ck_assert_int_eq(harena_on_release(arena, note, (void *)"d"), 0);
        harena_reset(arena);
    }
    ck_assert_str_eq(order, "dcdc");
    ck_assert_int_eq(harena_on_release(arena, note, (void *)"e"), 0);
    harena_release(arena);
    ck_assert_str_eq(order, "dcdceba");
}
END_TEST

START_TEST(zero_holds_after_a_return_to_the_boundary)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = provider;
    options.zero = true;
    arena = SUCCEEDS(harena_create(&options));
    filled(arena, 40000, 0xff);
    harena_keep(arena);
    for (int frame = 0; frame < 5; frame++) {
        for (int i = 0; i < 20; i++) {
            char *at = SUCCEEDS(harena_alloc(arena, opaque(sizes[i % SIZES])));

            ck_assert(all_bytes(at, sizes[i % SIZES], 0));
            memset(at, 0xff, sizes[i % SIZES]);
        }
        harena_reset(arena);
    }
    harena_release(arena);
}
END_TEST

START_TEST(what_is_kept_does_not_grow_over_the_boundary)
{
    for (int i = 0; i < SIZES; i++) {
        harena *arena = arena_of(provider, 0);
        char *kept = filled(arena, sizes[i], 1), *now;

        harena_keep(arena);
        now = SUCCEEDS(harena_realloc(arena, kept, sizes[i], opaque(sizes[i] + 500)));
        ck_assert(!same(now, kept));
        memset(now, 2, sizes[i] + 500);
        harena_reset(arena);
        filled(arena, sizes[i], 3);
        ck_assert(all_bytes(kept, sizes[i], 1));
        harena_release(arena);
    }
}
END_TEST

START_TEST(keep_needs_no_memory)
{
    static char memory[1024];
    harena *arena = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    size_t room = (size_t)(arena->end - arena->cursor);

    filled(arena, room, 1);
    harena_keep(arena);
    harena_reset(arena);
    ck_assert_uint_eq(harena_len(arena), room);
    harena_keep_none(arena);
    harena_reset(arena);
    ck_assert_uint_eq(harena_len(arena), 0);
    harena_keep(NULL);
    harena_keep_none(NULL);
}
END_TEST

START_TEST(marks_die_when_something_is_kept)
{
    harena *arena = arena_of(provider, 0);
    harena_mark mark = harena_mark_get(arena), next;
    char *kept = filled(arena, 100, 1);

    harena_keep(arena);
    ck_assert_int_eq(harena_rewind(arena, mark), -EINVAL);
    next = harena_mark_get(arena);
    filled(arena, 100, 2);
    ck_assert_int_eq(harena_rewind(arena, next), 0);
    ck_assert_int_eq(harena_rewind(arena, mark), -EINVAL);
    harena_reset(arena);
    ck_assert_int_eq(harena_rewind(arena, next), -EINVAL);
    ck_assert(all_bytes(kept, 100, 1));
    harena_release(arena);
}
END_TEST

START_TEST(a_pool_lends_no_arena_with_something_kept)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    harena_pool *pool;
    harena *arena;

    options.arena.provider = provider;
    pool = SUCCEEDS(harena_pool_create(&options));
    for (int i = 0; i < 3; i++) {
        arena = SUCCEEDS(harena_pool_acquire(pool, 0));
        ck_assert_uint_eq(harena_len(arena), 0);
        filled(arena, 1000, 1);
        harena_keep(arena);
        harena_pool_give(pool, arena);
    }
    harena_pool_destroy(pool);
}
END_TEST

static void keep_it(void *arena)
{
    harena_keep(arena);
}

static void keep_none(void *arena)
{
    harena_keep_none(arena);
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

/* What goes cannot be kept by its own cleanups. */
START_TEST(keep_in_a_cleanup_changes_nothing)
{
    harena *arena = arena_of(provider, 0);
    int cleanups = 0;
    char *kept;

    for (int round = 1; round <= 3; round++) {
        ck_assert_int_eq(harena_on_release(arena, count, &cleanups), 0);
        ck_assert_int_eq(harena_on_release(arena, keep_it, arena), 0);
        filled(arena, 100 * KIB, 1);
        harena_reset(arena);
        ck_assert_int_eq(cleanups, round);
        ck_assert_uint_eq(harena_len(arena), 0);
    }
    kept = filled(arena, 1000, 2);
    ck_assert_int_eq(harena_on_release(arena, count, &cleanups), 0);
    harena_keep(arena);
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(harena_on_release(arena, keep_none, arena), 0);
        filled(arena, 200 * KIB, 3);
        harena_reset(arena);
        ck_assert(all_bytes(kept, 1000, 2));
        ck_assert_int_eq(cleanups, 3);
    }
    harena_release(arena);
    ck_assert_int_eq(cleanups, 4);
}
END_TEST

static int forgotten; /* a cleanup's context that is never to run */

static void let_go_and_forget(void *arena)
{
    harena_keep(arena);
    harena_keep_none(arena);
    ck_assert(harena_forget(arena, count, &forgotten));
}

/* The cleanup where those that run end is forgotten while they run. */
START_TEST(the_kept_cleanup_may_be_forgotten_in_another)
{
    harena *arena = arena_of(provider, 0);
    int cleanups = 0;
    harena_mark mark;
    char *kept;

    for (int kept_by_mark = 0; kept_by_mark < 2; kept_by_mark++) {
        ck_assert_int_eq(harena_on_release(arena, count, &cleanups), 0);
        kept = filled(arena, 100 * KIB, 1);
        ck_assert_int_eq(harena_on_release(arena, count, &forgotten), 0);
        if (kept_by_mark)
            mark = harena_mark_get(arena);
        else
            harena_keep(arena);
        ck_assert_int_eq(harena_on_release(arena, let_go_and_forget, arena), 0);
        filled(arena, 100 * KIB, 2);
        if (kept_by_mark)
            ck_assert_int_eq(harena_rewind(arena, mark), 0);
        else
            harena_reset(arena);
        filled(arena, 200 * KIB, 3);
        ck_assert(all_bytes(kept, 100 * KIB, 1));
        ck_assert(!harena_forget(arena, count, &forgotten));
        ck_assert_int_eq(cleanups, kept_by_mark);
        harena_keep_none(arena);
        harena_reset(arena);
        ck_assert_int_eq(cleanups, kept_by_mark + 1);
    }
    ck_assert_int_eq(forgotten, 0);
    harena_release(arena);
}
END_TEST

RUN_TESTS_AROUND("keep", before, after, kept_memory_survives_resets,
                 a_reset_does_not_visit_what_is_kept, a_later_keep_keeps_more,
                 keep_none_gives_all_back_at_the_next_reset, keep_of_an_empty_arena_keeps_nothing,
                 a_full_frame_harms_nothing_that_is_kept, kept_cleanups_run_at_release_only,
                 zero_holds_after_a_return_to_the_boundary,
                 what_is_kept_does_not_grow_over_the_boundary, keep_needs_no_memory,
                 marks_die_when_something_is_kept, a_pool_lends_no_arena_with_something_kept,
                 keep_in_a_cleanup_changes_nothing, the_kept_cleanup_may_be_forgotten_in_another)
