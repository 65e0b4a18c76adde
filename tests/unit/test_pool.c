/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools: warm arenas, options, cleanups, misuse, the end of a pool. */
#include "pools.h"

#include <sys/wait.h>

static void count_up(void *counter)
{
    __atomic_fetch_add((int *)counter, 1, __ATOMIC_RELAXED);
}

/* ---- warm ---- */

START_TEST(what_was_given_is_acquired_empty_and_warm)
{
    harena_pool *pool = pool_of(0, 0);
    harena *a = SUCCEEDS(harena_pool_acquire(pool, 1)), *again;
    void *first = SUCCEEDS(harena_alloc(a, opaque(100)));
    uint64_t gets;

    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    QUIETLY(harena_pool_give(pool, a));
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    gets = stats_of(provider).gets;
    again = SUCCEEDS(harena_pool_acquire(pool, 1));
    ck_assert(same(again, a));
    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    ck_assert_uint_eq(harena_len(again), 0);
    ck_assert_uint_eq(harena_cap(again), CHUNK);
    ck_assert(!harena_failed(again));
    ck_assert(same(SUCCEEDS(harena_alloc(again, opaque(100))), first));
    ck_assert_uint_eq(stats_of(provider).gets, gets); /* no chunk was fetched */
    QUIETLY(harena_pool_give(pool, again));
    QUIETLY(harena_pool_destroy(pool));
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(arenas_that_are_out_are_different_ones)
{
    harena_pool *pool = pool_of(10, 0);
    harena *out[10], *seen[10];

    for (int i = 0; i < 10; i++) {
        out[i] = SUCCEEDS(harena_pool_acquire(pool, (uint64_t)i));
        memset(SUCCEEDS(harena_alloc(out[i], opaque(500))), i, 500);
        for (int j = 0; j < i; j++)
            ck_assert(!same(out[i], out[j]));
    }
    for (int i = 0; i < 10; i++) {
        seen[i] = out[i];
        harena_pool_give(pool, out[i]);
        ck_assert_uint_eq(harena_pool_idle(pool), (size_t)i + 1);
    }
    for (int i = 0; i < 10; i++) { /* all of them are found again */
        bool known = false;

        out[i] = SUCCEEDS(harena_pool_acquire(pool, 0));
        for (int j = 0; j < 10; j++)
            known = known || same(out[i], seen[j]);
        ck_assert(known);
        for (int j = 0; j < i; j++)
            ck_assert(!same(out[i], out[j]));
    }
    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    QUIETLY(harena_pool_give_many(pool, out, 10));
    ck_assert_uint_eq(harena_pool_idle(pool), 10);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(a_failure_is_forgotten)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    harena_pool *pool;
    harena *a;

    options.arena.provider = provider;
    options.arena.limit = 4 * CHUNK;
    pool = SUCCEEDS(harena_pool_create(&options));
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    FAILS(ENOMEM, harena_alloc(a, opaque(MIB)));
    ck_assert(harena_failed(a));
    harena_pool_give(pool, a);
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    ck_assert(!harena_failed(a));
    harena_pool_give(pool, a);
    harena_pool_destroy(pool);
}
END_TEST

/* ---- options ---- */

START_TEST(options_are_checked)
{
    const harena_pool_options fresh = HARENA_POOL_OPTIONS_INIT;
    harena_pool_options options = fresh;
    static char memory[4096];

    options.size--;
    FAILS(EINVAL, harena_pool_create(&options));
    options = fresh;
    options.arena.size--;
    FAILS(EINVAL, harena_pool_create(&options));
    options = fresh;
    options.arena.first = memory;
    options.arena.first_size = sizeof memory;
    FAILS(EINVAL, harena_pool_create(&options));
    options.arena.first = NULL;
    FAILS(EINVAL, harena_pool_create(&options));
    options = fresh;
    options.arena.alignment = 48;
    FAILS(EINVAL, harena_pool_create(&options));
    options = fresh;
    options.arena.retain = 1;
    options.arena.retain_none = true;
    FAILS(EINVAL, harena_pool_create(&options));
    options = fresh;
    options.arena.debug = "no such mode";
    FAILS(EINVAL, harena_pool_create(&options));
    FAILS(EINVAL, harena_pool_acquire(NULL, 1));
    ck_assert_uint_eq(harena_pool_idle(NULL), 0);
    QUIETLY(harena_pool_destroy(NULL));
    QUIETLY(harena_pool_give(NULL, NULL));
    QUIETLY(harena_pool_give_many(NULL, NULL, 0));
    harena_pool_destroy(SUCCEEDS(harena_pool_create(NULL)));
}
END_TEST

START_TEST(arenas_have_the_options)
{
    const harena_options fresh = HARENA_OPTIONS_INIT;
    harena_options options = fresh;
    char name[] = "before";
    harena_pool *pool;
    harena *a;

    options.alignment = 256;
    options.zero = true;
    options.limit = 2 * CHUNK;
    options.name = name;
    pool = pool_with(&options);
    memcpy(name, "behind", 6); /* it was copied */
    for (int i = 0; i < 3; i++) {
        unsigned char *memory;

        a = SUCCEEDS(harena_pool_acquire(pool, 1));
        memory = SUCCEEDS(harena_alloc(a, opaque(1000)));
        ck_assert(aligned_to(memory, 256));
        ck_assert(all_bytes(memory, 1000, 0));
        memset(memory, 0xff, 1000);
        FAILS(ENOMEM, harena_alloc(a, opaque(3 * CHUNK)));
        ck_assert_str_eq(events.last_name, "before");
        harena_pool_give(pool, a);
    }
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(initial_is_there_in_each_acquired_arena)
{
    const harena_options fresh = HARENA_OPTIONS_INIT;
    harena_options options = fresh;
    harena_pool *pool;
    harena *a, *b;

    options.initial = 5 * CHUNK - 100;
    pool = pool_with(&options);
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    b = SUCCEEDS(harena_pool_acquire(pool, 2));
    ck_assert_uint_eq(harena_cap(a), 5 * CHUNK);
    memset(SUCCEEDS(harena_alloc(a, opaque(5 * CHUNK - 1000))), 1, 5 * CHUNK - 1000);
    ck_assert_uint_eq(harena_cap(a), 5 * CHUNK);
    harena_pool_give(pool, a);
    harena_pool_give(pool, b);
    ck_assert_uint_eq(in_use(provider), 10 * CHUNK);
    for (int i = 0; i < 20; i++)
        ck_assert_uint_eq(use(pool, 1, 1000), 5 * CHUNK);
    harena_pool_destroy(pool);
    options.retain_none = true; /* idle ones hold nothing, acquired ones have it anew */
    pool = pool_with(&options);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(use(pool, 1, 1000), 5 * CHUNK);
        ck_assert_uint_eq(in_use(provider), 0);
        ck_assert_uint_eq(harena_pool_idle(pool), 1);
    }
    harena_pool_destroy(pool);
    options.initial = 100;
    pool = pool_with(&options);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(use(pool, 1, 1000), CHUNK);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(retain_is_the_most_that_an_idle_arena_keeps)
{
    const harena_options fresh = HARENA_OPTIONS_INIT;
    harena_options options = fresh;
    harena_pool *pool;

    options.retain = 3 * CHUNK;
    pool = pool_with(&options);
    for (int i = 0; i < 10; i++)
        use(pool, 1, 2 * MIB);
    ck_assert_uint_eq(in_use(provider), 3 * CHUNK);
    harena_pool_destroy(pool);
    options = fresh;
    options.retain_none = true;
    pool = pool_with(&options);
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(use(pool, 1, 2 * MIB), 0);
        ck_assert_uint_eq(in_use(provider), 0);
    }
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    harena_pool_destroy(pool);
}
END_TEST

/* A need that is one object is met by the run that held it, not by as much in smaller ones. */
START_TEST(a_steady_need_of_one_large_object_is_met)
{
    static const size_t sizes[] = {200000, 900000, MIB, 3 * MIB};
    const harena_options options = HARENA_OPTIONS_INIT;
    harena_pool *pool = pool_with(&options);
    harena *arena;
    uint64_t gets;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (int use = 0; use < 20; use++) {
            arena = SUCCEEDS(harena_pool_acquire(pool, 1 + i));
            gets = stats_of(provider).gets;
            SUCCEEDS(harena_alloc(arena, opaque(sizes[i])));
            if (use >= 10) {
                ck_assert_uint_eq(stats_of(provider).gets, gets);
                ck_assert_uint_le(harena_cap(arena), (sizes[i] + CHUNK - 1) / CHUNK * CHUNK);
            }
            harena_pool_give(pool, arena);
        }
    }
    harena_pool_destroy(pool);
}
END_TEST

/* ---- cleanups ---- */

struct giver {
    harena_pool *pool;
    harena *arena;
};

static void give_it(void *ctx)
{
    struct giver *giver = ctx;

    harena_pool_give(giver->pool, giver->arena);
}

START_TEST(give_runs_the_cleanups)
{
    harena_pool *pool = pool_of(0, 0);
    harena *a = SUCCEEDS(harena_pool_acquire(pool, 1)), *b = SUCCEEDS(harena_pool_acquire(pool, 1));
    struct giver other = {pool, b}, itself = {pool, a};
    int cleanups = 0;

    ck_assert_int_eq(harena_on_release(a, count_up, &cleanups), 0);
    ck_assert_int_eq(harena_on_release(a, give_it, &other), 0); /* it may give another one */
    ck_assert_int_eq(harena_on_release(a, give_it, &itself),
                     0); /* not the one that is being given */
    harena_pool_give(pool, a);
    ck_assert_int_eq(cleanups, 1);
    ck_assert_uint_eq(harena_pool_idle(pool), 2);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    harena_pool_destroy(pool);
    ck_assert_int_eq(cleanups, 1);
}
END_TEST

static void release_it(void *arena)
{
    harena_release(arena);
}

START_TEST(a_cleanup_may_not_take_the_arena_from_its_pool)
{
    harena_pool *pool = pool_of(0, 0);
    harena *a = SUCCEEDS(harena_pool_acquire(pool, 1)), *b;

    ck_assert_int_eq(harena_on_release(a, release_it, a), 0);
    harena_pool_give(pool, a);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    b = SUCCEEDS(harena_pool_acquire(pool, 1));
    ck_assert_ptr_ne(a, b);
    harena_release(a); /* outside of a cleanup it may */
    harena_pool_give(pool, b);
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    harena_pool_destroy(pool);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
}
END_TEST

/* ---- misuse ---- */

START_TEST(what_is_not_the_pools_is_refused)
{
    static unsigned char memory[4096];
    harena_pool *pool = pool_of(0, 0), *other = pool_of(0, 0);
    harena *plain = arena_of(provider, 0), *fixed, *others, *mine;
    harena_shared *shared = shared_of(provider, 0);
    harena_view *view = harena_shared_enter(shared);
    harena *many[4];

    fixed = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    others = SUCCEEDS(harena_pool_acquire(other, 1));
    mine = SUCCEEDS(harena_pool_acquire(pool, 1));
    QUIETLY(harena_pool_give(pool, NULL));
    ck_assert_uint_eq(events_in_all(&events), 0);
    QUIETLY(harena_pool_give(pool, plain));
    QUIETLY(harena_pool_give(pool, fixed));
    QUIETLY(harena_pool_give(pool, others));
    QUIETLY(harena_pool_give(pool, harena_view_lane(view)));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 4);
    QUIETLY(harena_pool_give(NULL, plain));
    QUIETLY(harena_pool_give(NULL, mine));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 6);
    many[0] = NULL;
    many[1] = plain;
    many[2] = many[3] = mine;
    QUIETLY(harena_pool_give_many(pool, many, 4));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 8);
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    ck_assert_uint_eq(harena_pool_idle(other), 0);
    memset(SUCCEEDS(harena_alloc(plain, opaque(100))), 1, 100); /* nothing happened to them */
    memset(SUCCEEDS(harena_alloc(fixed, opaque(100))), 1, 100);
    memset(SUCCEEDS(harena_alloc(others, opaque(100))), 1, 100);
    memset(SUCCEEDS(harena_alloc(harena_view_lane(view), opaque(100))), 1, 100);
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
    harena_release(plain);
    harena_release(fixed);
    harena_pool_give(other, others);
    harena_pool_destroy(pool);
    harena_pool_destroy(other);
    ck_assert_uint_eq(events_in_all(&events), 8);
}
END_TEST

START_TEST(a_second_give_is_refused)
{
    harena_pool *pool = pool_of(0, 0), *none = pool_of(1, 1);
    harena *a = SUCCEEDS(harena_pool_acquire(pool, 1)), *b, *again;

    memset(SUCCEEDS(harena_alloc(a, opaque(100))), 1, 100);
    harena_pool_give(pool, a);
    QUIETLY(harena_pool_give(pool, a));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    again = SUCCEEDS(harena_pool_acquire(pool, 1));
    b = SUCCEEDS(harena_pool_acquire(pool, 1));
    ck_assert(!same(again, b));
    harena_pool_give_many(pool, (harena *[]){a, b}, 2);
    b = SUCCEEDS(harena_pool_acquire(none, 1)); /* it is not kept: its record is free */
    memset(SUCCEEDS(harena_alloc(b, opaque(100))), 1, 100);
    harena_pool_give(none, b);
    ck_assert_uint_eq(harena_pool_idle(none), 0);
    QUIETLY(harena_pool_give(none, b));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 2);
    harena_pool_destroy(pool);
    harena_pool_destroy(none);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

/* ---- arenas that do not come back ---- */

START_TEST(an_arena_may_be_released_instead)
{
    harena_pool *pool = pool_of(0, 0);
    harena *a = SUCCEEDS(harena_pool_acquire(pool, 1)), *b = SUCCEEDS(harena_pool_acquire(pool, 1));

    memset(SUCCEEDS(harena_alloc(a, opaque(100))), 1, 100);
    memset(SUCCEEDS(harena_alloc(b, opaque(100))), 1, 100);
    harena_release(a);
    harena_release_rcu(b);
    harena_pool_give(pool, b); /* it is gone for its owner */
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    harena_pool_destroy(pool);
    ck_assert_uint_eq(pool->refs, 0);
}
END_TEST

START_TEST(an_arena_may_be_published_instead)
{
    harena_pool *pool = pool_of(0, 0);
    harena *a = SUCCEEDS(harena_pool_acquire(pool, 1));
    harena_snapshot snapshot = HARENA_SNAPSHOT_INIT;
    char *text = SUCCEEDS(harena_strdup(a, "salve"));

    ck_assert_int_eq(harena_snapshot_publish(&snapshot, a, text), 0);
    harena_pool_give(pool, a);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 1);
    harena_pool_destroy(pool);
    ck_assert_str_eq(harena_snapshot_enter(&snapshot), "salve");
    harena_snapshot_leave(&snapshot);
    harena_snapshot_fini(&snapshot);
}
END_TEST

/* ---- the end of a pool ---- */

START_TEST(arenas_that_are_out_outlive_the_pool)
{
    harena_pool *pool = pool_of(0, 0);
    harena *out[3];
    unsigned char *text[3];
    int cleanups = 0;

    for (int i = 0; i < 3; i++) {
        out[i] = SUCCEEDS(harena_pool_acquire(pool, 1));
        text[i] = memset(SUCCEEDS(harena_alloc(out[i], opaque(1000))), i, 1000);
        ck_assert_int_eq(harena_on_release(out[i], count_up, &cleanups), 0);
    }
    use(pool, 1, 1000); /* one is idle */
    QUIETLY(harena_pool_destroy(pool));
    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    ck_assert_uint_eq(in_use(provider), 3 * CHUNK);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    for (int i = 0; i < 3; i++) {
        ck_assert(all_bytes(text[i], 1000, (unsigned char)i));
        memset(SUCCEEDS(harena_alloc(out[i], opaque(1000))), 1, 1000);
    }
    FAILS(EINVAL, harena_pool_acquire(pool, 1));
    harena_pool_destroy(pool);
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 2);
    QUIETLY(harena_pool_give(pool, out[0]));
    ck_assert_uint_eq(in_use(provider), 2 * CHUNK);
    ck_assert_int_eq(cleanups, 1);
    harena_pool_give(pool, out[0]); /* again: as to a pool that lives */
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_MISUSE), 3);
    QUIETLY(harena_pool_give_many(pool, out + 1, 2));
    ck_assert_int_eq(cleanups, 3);
    ck_assert_uint_eq(in_use(provider), 0);
}
END_TEST

START_TEST(a_provider_with_a_pool_is_busy)
{
    harena_pool *pool = pool_of(0, 0);

    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    use(pool, 1, 100);
    ck_assert_int_eq(harena_provider_destroy(provider), -EBUSY);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(records_are_used_again)
{
    harena_pool *first = pool_of(0, 0), *second = pool_of(1, 0), *third;
    harena *a = SUCCEEDS(harena_pool_acquire(first, 1));

    harena_pool_destroy(first);
    third = pool_of(0, 0);
    ck_assert_ptr_ne(third, first); /* an arena of it is out */
    ck_assert_ptr_ne(third, second);
    harena_pool_destroy(third);
    harena_pool_give(first, a);
    for (int i = 0; i < 1000; i++) {
        harena_pool *pool = pool_of(2, i % 2 ? 0 : 3 * CHUNK);

        ck_assert(pool == first || pool == third);
        ck_assert_uint_eq(harena_pool_idle(pool), 0);
        ck_assert_uint_eq(has_at_once(pool, 1), 0); /* nothing is left of the pool before */
        use(pool, 1, 2 * CHUNK + 1000);
        use(pool, 1, 2 * CHUNK + 1000);
        ck_assert_uint_eq(harena_pool_idle(pool), 1);
        ck_assert_uint_ge(use(pool, 1, 0), 2 * CHUNK);
        harena_pool_destroy(pool);
        ck_assert_uint_eq(in_use(provider), 0);
    }
    harena_pool_destroy(second);
}
END_TEST

/* ---- memory is wanted elsewhere ---- */

START_TEST(the_provider_drops_what_is_idle_in_all_pools)
{
    enum { POOLS = 3, OUT = 4 };
    harena_pool *pools[POOLS], *gone;
    harena *out[POOLS][OUT];

    for (int i = 0; i < POOLS; i++) {
        pools[i] = pool_of(0, 0);
        for (int j = 0; j < OUT; j++) {
            out[i][j] = SUCCEEDS(harena_pool_acquire(pools[i], 1));
            memset(SUCCEEDS(harena_alloc(out[i][j], opaque(100))), 1, 100);
        }
        for (int j = 1; j < OUT; j++)
            harena_pool_give(pools[i], out[i][j]);
    }
    gone = pool_of(0, 0);
    harena_pool_destroy(gone);
    provider->drop_idle(provider);
    for (int i = 0; i < POOLS; i++)
        ck_assert_uint_eq(harena_pool_idle(pools[i]), 0);
    ck_assert_uint_eq(in_use(provider), POOLS * CHUNK);
    for (int i = 0; i < POOLS; i++) {
        ck_assert_uint_eq(use(pools[i], 1, 100), 0); /* they go on */
        ck_assert_uint_eq(harena_pool_idle(pools[i]), 1);
        harena_pool_give(pools[i], out[i][0]);
        ck_assert_uint_eq(harena_pool_idle(pools[i]), 2);
        harena_pool_destroy(pools[i]);
    }
}
END_TEST

START_TEST(the_soft_limit_empties_pools)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_pool_options pool_options = HARENA_POOL_OPTIONS_INIT;
    harena_provider *small;
    harena_pool *pool;
    harena *a;

    options.reserve = 64 * MIB;
    options.soft_limit = 4 * MIB;
    small = SUCCEEDS(harena_provider_create(&options));
    pool_options.arena.provider = small;
    pool = SUCCEEDS(harena_pool_create(&pool_options));
    for (int i = 0; i < 8; i++)
        use(pool, 1, 2 * MIB);
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    a = arena_of(small, 0);
    for (int i = 0; i < 48; i++)
        memset(SUCCEEDS(harena_alloc(a, opaque(60000))), 1, 60000);
    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    harena_release(a);
    harena_pool_destroy(pool);
    ends_clean(small);
}
END_TEST

/* ---- fork ---- */

START_TEST(the_hard_limit_empties_pools_before_it_refuses)
{
    harena_provider *small = provider_of(GIB, 4 * MIB, NULL);
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    harena *out[32], *arena = arena_of(small, 0);
    harena_pool *pool;

    for (int run = 0; run < 2; run++) { /* all of it as a run, and chunk by chunk */
        options.arena.provider = small;
        options.max_idle = 32;
        pool = SUCCEEDS(harena_pool_create(&options));
        for (int i = 0; i < 32; i++) {
            out[i] = SUCCEEDS(harena_pool_acquire(pool, 1));
            (void)SUCCEEDS(harena_alloc(out[i], 100));
        }
        harena_pool_give_many(pool, out, 32);
        ck_assert_uint_eq(in_use(small), 32 * CHUNK);
        for (size_t left = 4 * MIB; left > 0; left -= run == 0 ? 4 * MIB : CHUNK)
            (void)SUCCEEDS(harena_alloc(arena, run == 0 ? 4 * MIB : CHUNK));
        ck_assert_uint_eq(harena_pool_idle(pool), 0);
        harena_reset(arena);
        harena_pool_destroy(pool);
    }
    harena_release(arena);
    ends_clean(small);
}
END_TEST

START_TEST(the_child_of_a_fork_goes_on)
{
    harena_pool *pool = pool_of(0, 0);
    harena *mine = SUCCEEDS(harena_pool_acquire(pool, 1));
    int status;
    pid_t child;

    memset(SUCCEEDS(harena_alloc(mine, opaque(1000))), 0x77, 1000);
    use(pool, 1, 1000);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        bool good = harena_pool_idle(pool) == 1;

        for (int i = 0; i < 10; i++) {
            harena *a = harena_pool_acquire(pool, 1);

            good = good && a != NULL && harena_alloc(a, opaque(100)) != NULL;
            harena_pool_give(pool, a);
        }
        good = good && harena_pool_idle(pool) == 1;
        harena_pool_give(pool, mine);
        good = good && harena_pool_idle(pool) == 2;
        harena_pool_destroy(pool);
        _exit(good && in_use(provider) == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    harena_pool_give(pool, mine);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(what_is_given_above_the_soft_limit_does_not_stay)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_pool_options pool_options = HARENA_POOL_OPTIONS_INIT;
    harena_provider *p;
    harena_pool *pool;
    harena *arenas[16];

    options.reserve = 256 * MIB;
    options.soft_limit = 4 * MIB;
    p = SUCCEEDS(harena_provider_create(&options));
    pool_options.arena.provider = p;
    pool_options.max_idle = 16;
    pool = SUCCEEDS(harena_pool_create(&pool_options));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 16; i++) {
            arenas[i] = SUCCEEDS(harena_pool_acquire(pool, 1));
            (void)SUCCEEDS(harena_alloc(arenas[i], MIB));
        }
        harena_pool_give_many(pool, arenas, 16);
        ck_assert_uint_le(stats_of(p).committed, 4 * MIB + BLOCK);
        ck_assert_uint_gt(harena_pool_idle(pool), 0);
    }
    harena_pool_destroy(pool);
    ends_clean(p);
}
END_TEST

RUN_TESTS_AROUND("pool", with_provider, without_provider, what_was_given_is_acquired_empty_and_warm,
                 arenas_that_are_out_are_different_ones, a_failure_is_forgotten,
                 options_are_checked, arenas_have_the_options,
                 initial_is_there_in_each_acquired_arena,
                 retain_is_the_most_that_an_idle_arena_keeps,
                 a_steady_need_of_one_large_object_is_met, give_runs_the_cleanups,
                 a_cleanup_may_not_take_the_arena_from_its_pool, what_is_not_the_pools_is_refused,
                 a_second_give_is_refused, an_arena_may_be_released_instead,
                 an_arena_may_be_published_instead, arenas_that_are_out_outlive_the_pool,
                 a_provider_with_a_pool_is_busy, records_are_used_again,
                 the_provider_drops_what_is_idle_in_all_pools, the_soft_limit_empties_pools,
                 the_hard_limit_empties_pools_before_it_refuses, the_child_of_a_fork_goes_on,
                 what_is_given_above_the_soft_limit_does_not_stay)
