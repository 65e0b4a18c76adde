/* SPDX-License-Identifier: BSD-2-Clause */
/* An arena that becomes part of another one. */
#include "unit.h"

#include "provider.h"

static struct events events;
static harena_provider *provider;

static void before(void)
{
    memset(&events, 0, sizeof events);
    provider = provider_of(GIB, 0, &events);
}

static void after(void)
{
    ends_clean(provider);
}

static char *filled(harena *arena, size_t size, unsigned char value)
{
    return memset(SUCCEEDS(harena_alloc(arena, opaque(size))), value, size);
}

static void absorb(harena *into, harena *from)
{
    int result;

    QUIETLY(result = harena_absorb(into, from));
    ck_assert_int_eq(result, 0);
    totals_hold(provider);
}

START_TEST(objects_stay_and_figures_add_up)
{
    harena *into = arena_of(provider, 0), *from = arena_of(provider, 0);
    char *mine = filled(into, 50000, 1), *large = filled(from, 300000, 2),
         *small = filled(from, 100, 3);
    harena_stats one = arena_stats_of(into), other = arena_stats_of(from), sum;

    absorb(into, from);
    sum = arena_stats_of(into);
    ck_assert_uint_eq(sum.len, one.len + other.len);
    ck_assert_uint_le(sum.cap, one.cap + other.cap);
    ck_assert_uint_eq(sum.cap, in_use(provider));
    ck_assert_uint_eq(sum.chunks + sum.runs, one.chunks + one.runs + other.chunks + other.runs);
    for (int i = 0; i < 1000; i++)
        filled(into, 1000, 9);
    ck_assert(all_bytes(mine, 50000, 1) && all_bytes(large, 300000, 2) && all_bytes(small, 100, 3));
    ck_assert(harena_contains(into, large) && harena_contains(into, small + 99));
    harena_reset(into);
    ck_assert_uint_eq(harena_cap(into), CHUNK);
    ck_assert_uint_eq(in_use(provider), CHUNK);
    harena_release(into);
}
END_TEST

START_TEST(empty_arenas_can_be_absorbed_and_absorb)
{
    harena *into = arena_of(provider, 0), *from = arena_of(provider, 0);
    char *at;

    absorb(into, from);
    from = arena_of(provider, 0);
    at = filled(from, 100000, 1);
    absorb(into, from);
    absorb(into, arena_of(provider, 0));
    filled(into, 100000, 2);
    ck_assert(all_bytes(at, 100000, 1));
    harena_release(into);
}
END_TEST

static harena *named(const char *name)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    options.name = name;
    return SUCCEEDS(harena_create(&options));
}

static void name_has(const char *name, uint64_t arenas, uint64_t made, uint64_t bytes)
{
    struct hri_name_sums sums = {0};
    uint32_t at = 0;
    bool found = false;

    while (!found && hri_names_next(&provider->names, &at, &sums))
        found = strcmp(sums.name, name) == 0;
    ck_assert_msg(found, "%s", name);
    ck_assert_uint_eq(sums.arenas, arenas);
    ck_assert_uint_eq(sums.made, made);
    ck_assert_uint_eq(sums.bytes, bytes);
}

START_TEST(the_figures_of_its_name_go_along)
{
    harena *into = named("into"), *from = named("from"), *alike = named("into");

    filled(into, 100, 1);
    filled(from, 3 * CHUNK, 2);
    filled(from, 100, 3);
    filled(alike, 100, 4);
    name_has("into", 2, 2, 2 * CHUNK);
    name_has("from", 1, 1, harena_cap(from));
    absorb(into, from);
    name_has("into", 2, 2, harena_cap(into) + CHUNK);
    name_has("from", 0, 1, 0);
    absorb(into, alike);
    name_has("into", 1, 2, harena_cap(into));
    harena_release(into);
    name_has("into", 0, 2, 0);
}
END_TEST

START_TEST(ten_thousand_in_a_row_move_no_chunk)
{
    harena *into = arena_of(provider, 0);
    harena_provider_stats start, end;

    for (int i = 0; i < 10000; i++) {
        harena *from = arena_of(provider, 0);

        EXPECT(harena_alloc(from, opaque(100)) != NULL);
        EXPECT(harena_on_release(from, (harena_cleanup_fn)free, NULL) == 0);
        start = stats_of(provider);
        EXPECT(harena_absorb(into, from) == 0);
        end = stats_of(provider);
        EXPECT(start.gets == end.gets && start.puts == end.puts);
    }
    ck_assert_uint_eq(harena_len(into), (uint64_t)10000 * (112 + 32));
    totals_hold(provider);
    harena_release(into);
}
END_TEST

START_TEST(what_cannot_be_absorbed_is_not)
{
    static char memory[4096], first[4096];
    harena_provider *elsewhere = provider_of(64 * MIB, 0, NULL);
    harena *arena = arena_of(provider, 0), *stranger = arena_of(elsewhere, 0), *kept, *borrower,
           *fixed = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL)), *lane;
    harena_shared *shared = shared_of(provider, 0);
    harena_view *view = SUCCEEDS(harena_shared_enter(shared));
    harena_options options = HARENA_OPTIONS_INIT;
    harena *scratch = SUCCEEDS(harena_scratch_begin(NULL));

    lane = SUCCEEDS(harena_view_lane(view));
    kept = arena_of(provider, 0);
    filled(kept, 100, 1);
    harena_keep(kept);
    options.provider = provider;
    options.first = first;
    options.first_size = sizeof first;
    borrower = SUCCEEDS(harena_create(&options));
    ck_assert_int_eq(harena_absorb(NULL, arena), -EINVAL);
    ck_assert_int_eq(harena_absorb(arena, NULL), -EINVAL);
    ck_assert_int_eq(harena_absorb(arena, arena), -EINVAL);
    ck_assert_int_eq(harena_absorb(arena, stranger), -EINVAL);
    ck_assert_int_eq(harena_absorb(arena, fixed), -EINVAL);
    ck_assert_int_eq(harena_absorb(fixed, arena), -EINVAL);
    ck_assert_int_eq(harena_absorb(arena, lane), -EINVAL);
    ck_assert_int_eq(harena_absorb(lane, arena), -EINVAL);
    ck_assert_int_eq(harena_absorb(arena, kept), -EINVAL);
    ck_assert_int_eq(harena_absorb(arena, borrower), -EINVAL);
    ck_assert_int_eq(harena_absorb(arena, scratch), -EINVAL);
    ck_assert_int_eq(harena_absorb(scratch, arena), -EINVAL);
    harena_scratch_end(scratch);
    absorb(borrower, arena); /* it may absorb others, and so may one that keeps something */
    absorb(kept, arena_of(provider, 0));
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
    harena_release(kept);
    harena_release(borrower);
    harena_release(stranger);
    ends_clean(elsewhere);
}
END_TEST

START_TEST(a_limit_refuses_and_nothing_changes)
{
    harena *into = arena_of(provider, 4 * CHUNK), *from = arena_of(provider, 0);
    harena_stats one, other;

    filled(into, 100, 1);
    for (int i = 0; i < 8; i++)
        filled(from, 40000, 1);
    one = arena_stats_of(into);
    other = arena_stats_of(from);
    ck_assert_int_eq(harena_absorb(into, from), -ENOMEM);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_LIMIT), 1);
    ck_assert(memcmp(&(harena_stats){.size = sizeof one}, &one, sizeof one) != 0);
    ck_assert_uint_eq(arena_stats_of(into).cap, one.cap);
    ck_assert_uint_eq(arena_stats_of(from).cap, other.cap);
    ck_assert_uint_eq(arena_stats_of(from).len, other.len);
    filled(from, 40000, 1);
    harena_release(into);
    harena_release(from);
}
END_TEST

START_TEST(a_rewind_past_it_gives_it_back)
{
    harena *into = arena_of(provider, 0), *from;
    char *before_mark, *after_mark, *absorbed;
    harena_mark mark, later;
    size_t len;

    before_mark = filled(into, 30000, 1);
    len = harena_len(into);
    mark = harena_mark_get(into);
    for (int round = 0; round < 3; round++) {
        from = arena_of(provider, 0);
        filled(from, 100000, 2);
        absorbed = filled(from, 500, 2);
        after_mark = filled(into, 20000, 3);
        absorb(into, from);
        later = harena_mark_get(into);
        for (int i = 0; i < 100; i++)
            filled(into, 20000, 4);
        ck_assert_int_eq(harena_rewind(into, later), 0);
        for (int i = 0; i < 100; i++)
            filled(into, 20000, 4);
        ck_assert(all_bytes(absorbed, 500, 2) && all_bytes(after_mark, 20000, 3));
        ck_assert_int_eq(harena_rewind(into, mark), 0);
        ck_assert_uint_eq(harena_len(into), len);
        ck_assert_uint_le(harena_cap(into), 2 * CHUNK);
        ck_assert(all_bytes(before_mark, 30000, 1));
        totals_hold(provider);
    }
    harena_release(into);
}
END_TEST

static char order[32];

static void note(void *ctx)
{
    strncat(order, ctx, 1);
}

static void register_note(harena *arena, const char *which)
{
    ck_assert_int_eq(harena_on_release(arena, note, (void *)(uintptr_t)which), 0);
}

START_TEST(its_cleanups_run_before_the_earlier_ones)
{
    harena *into = arena_of(provider, 0), *from = arena_of(provider, 0);
    harena_mark mark;

    order[0] = '\0';
    register_note(into, "a");
    mark = harena_mark_get(into);
    register_note(into, "b");
    register_note(from, "1");
    register_note(from, "2");
    register_note(from, "3");
    ck_assert(harena_forget(from, note, (void *)(uintptr_t) "1")); /* the oldest */
    absorb(into, from);
    register_note(into, "c");
    ck_assert_int_eq(harena_rewind(into, mark), 0);
    ck_assert_str_eq(order, "c32b");
    harena_release(into);
    ck_assert_str_eq(order, "c32ba");
}
END_TEST

START_TEST(marks_of_what_was_absorbed_die)
{
    harena *into = arena_of(provider, 0), *from = arena_of(provider, 0);
    harena_mark mark = harena_mark_get(from), own = harena_mark_get(into);

    filled(from, 100, 1);
    absorb(into, from);
    ck_assert_int_eq(harena_rewind(into, mark), -EINVAL);
    ck_assert_int_eq(harena_rewind(into, own), 0);
    harena_release(into);
}
END_TEST

START_TEST(zero_holds_in_what_was_absorbed)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *into, *from = arena_of(provider, 0);

    options.provider = provider;
    options.zero = true;
    into = SUCCEEDS(harena_create(&options));
    filled(into, 60000, 0xff);
    filled(from, 60000, 0xff); /* its rest was used before, too */
    harena_reset(from);
    filled(from, 100, 0xff);
    absorb(into, from);
    for (int i = 0; i < 300; i++) {
        char *at = SUCCEEDS(harena_alloc(into, opaque(700)));

        EXPECT(all_bytes(at, 700, 0));
        memset(at, 0xff, 700);
    }
    harena_release(into);
}
END_TEST

START_TEST(a_failure_is_handed_on)
{
    harena *into = arena_of(provider, 0), *from = arena_of(provider, CHUNK);

    ck_assert(harena_alloc(from, opaque(10 * CHUNK)) == NULL);
    absorb(into, from);
    ck_assert(harena_failed(into));
    harena_release(into);
}
END_TEST

START_TEST(an_arena_that_a_pool_has_lent_does_not_come_back)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    harena *into = arena_of(provider, 0), *from;
    harena_pool *pool;

    options.arena.provider = provider;
    pool = SUCCEEDS(harena_pool_create(&options));
    from = SUCCEEDS(harena_pool_acquire(pool, 0));
    filled(from, 100, 1);
    absorb(into, from);
    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    harena_pool_destroy(pool);
    harena_release(into);
}
END_TEST

RUN_TESTS_AROUND("absorb", before, after, objects_stay_and_figures_add_up,
                 empty_arenas_can_be_absorbed_and_absorb, the_figures_of_its_name_go_along,
                 ten_thousand_in_a_row_move_no_chunk, what_cannot_be_absorbed_is_not,
                 a_limit_refuses_and_nothing_changes, a_rewind_past_it_gives_it_back,
                 its_cleanups_run_before_the_earlier_ones, marks_of_what_was_absorbed_die,
                 zero_holds_in_what_was_absorbed, a_failure_is_handed_on,
                 an_arena_that_a_pool_has_lent_does_not_come_back)
