/* SPDX-License-Identifier: BSD-2-Clause */
/* How large a pool's arenas are, and how many it keeps: estimates per key, limits of what is idle. */
#include "pools.h"

/* ---- estimates ---- */

START_TEST(an_estimate_doubles_at_most_and_meets_a_steady_need)
{
    harena_pool *pool = pool_of(0, 0);
    size_t caps[8];

    for (int i = 0; i < 8; i++)
        caps[i] = use(pool, 5, 10 * CHUNK);
    ck_assert_uint_eq(caps[0], 0);
    ck_assert_uint_eq(caps[1], 2 * CHUNK);
    ck_assert_uint_eq(caps[2], 4 * CHUNK);
    ck_assert_uint_eq(caps[3], 8 * CHUNK);
    for (int i = 4; i < 8; i++)
        ck_assert_uint_eq(caps[i], 10 * CHUNK);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(one_giant_moves_it_to_double_and_is_forgotten)
{
    harena_pool *pool = pool_of(0, 0);

    for (int i = 0; i < 3; i++)
        use(pool, 5, 1000);
    use(pool, 5, 40 * MIB);
    ck_assert_uint_le(in_use(provider), 2 * CHUNK);
    ck_assert_uint_eq(has_at_once(pool, 5), 2 * CHUNK);
    for (int i = 0; i < 16; i++)
        use(pool, 5, 1000);
    ck_assert_uint_le(has_at_once(pool, 5), CHUNK);
    for (int i = 0; i < 50; i++) { /* a giant now and then: never more than doubled */
        use(pool, 5, i % 10 == 0 ? 4 * MIB : 1000);
        ck_assert_uint_le(in_use(provider), 4 * CHUNK);
    }
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(an_estimate_falls_by_an_eighth_of_the_difference)
{
    harena_pool *pool = pool_of(0, 0);
    uint64_t pages = 256;

    for (int i = 0; i < 6; i++)
        use(pool, 5, MIB);
    ck_assert_uint_eq(has_at_once(pool, 5), MIB);
    for (int i = 0; i < 40; i++) {
        use(pool, 5, 1000);
        pages -= (pages - 16 + 7) / 8;
        ck_assert_uint_eq(hri_pool_estimate(&pool->estimates, hri_pool_hash(5)), pages * 4096);
    }
    ck_assert_uint_eq(pages, 16);
    ck_assert_uint_le(in_use(provider), CHUNK);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(keys_have_estimates_of_their_own)
{
    harena_pool *pool = pool_of(0, 0);

    for (int i = 0; i < 8; i++) {
        use(pool, 1, 1000);
        use(pool, 2, MIB);
    }
    ck_assert_uint_eq(has_at_once(pool, 2), MIB); /* a first run: nothing is idle that large */
    for (int i = 0; i < 3; i++)
        use(pool, 1, 1000);
    ck_assert_uint_eq(in_use(provider), CHUNK);
    ck_assert_uint_eq(has_at_once(pool, 1), CHUNK);
    ck_assert_uint_le(has_at_once(pool, 1), CHUNK); /* a new one */
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(unknown_keys_get_what_all_needed)
{
    harena_pool *pool = pool_of(0, 0);

    ck_assert_uint_eq(has_at_once(pool, 77), 0);
    for (int i = 0; i < 8; i++)
        use(pool, 1, MIB);
    for (uint64_t key = 100; key < 110; key++)
        ck_assert_uint_eq(has_at_once(pool, key), MIB);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(a_new_arena_of_the_key_begins_with_one_run)
{
    harena_pool *pool = pool_of(0, 0);
    harena *a, *b;

    for (int i = 0; i < 8; i++)
        use(pool, 1, MIB);
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    b = SUCCEEDS(harena_pool_acquire(pool, 1)); /* there is no other idle one */
    ck_assert_uint_eq(harena_cap(b), MIB);
    ck_assert_uint_eq(arena_stats_of(b).runs, 1);
    fill_up(a, MIB);
    fill_up(b, MIB);
    ck_assert_uint_eq(harena_cap(b), MIB);
    harena_pool_give(pool, b);
    harena_pool_give(pool, a);
    ck_assert_uint_eq(in_use(provider), 2 * MIB); /* both keep what they have */
    for (int i = 0; i < 3; i++) {                 /* a little less does not cost the run */
        b = SUCCEEDS(harena_pool_acquire(pool, 1));
        memset(SUCCEEDS(harena_alloc(b, opaque(1000))), 7, 1000);
        harena_pool_give(pool, b);
    }
    ck_assert_uint_eq(in_use(provider), 2 * MIB);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(no_first_run_is_longer_than_a_block)
{
    harena_pool *pool = pool_of(0, 0);

    for (int i = 0; i < 12; i++)
        use(pool, 1, 20 * MIB);
    harena_release(SUCCEEDS(harena_pool_acquire(pool, 1)));
    ck_assert_uint_eq(has_at_once(pool, 1), BLOCK);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(resets_in_between_count_for_the_need)
{
    harena_pool *pool = pool_of(0, 0);

    for (int i = 0; i < 4; i++) {
        harena *a = SUCCEEDS(harena_pool_acquire(pool, 9));

        fill_up(a, 4 * CHUNK);
        harena_reset(a);
        memset(SUCCEEDS(harena_alloc(a, opaque(1000))), 1, 1000);
        harena_pool_give(pool, a);
    }
    ck_assert_uint_eq(hri_pool_estimate(&pool->estimates, hri_pool_hash(9)), 4 * CHUNK);
    for (int i = 0; i < 40; i++)
        use(pool, 9, 1000); /* and are counted for one use only */
    ck_assert_uint_eq(hri_pool_estimate(&pool->estimates, hri_pool_hash(9)), CHUNK);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(a_key_in_use_outlives_a_stream_of_others)
{
    harena_pool *pool = pool_of(0, 0);
    struct hri_pool_estimates *e = &pool->estimates;
    uint64_t word;
    unsigned known = 0;

    for (int i = 0; i < 6; i++)
        use(pool, 1, MIB);
    for (uint64_t key = 1000; key < 3000; key++) {
        hri_pool_estimate_note(e, hri_pool_hash(key), CHUNK);
        hri_pool_estimate_note(e, hri_pool_hash(1), MIB);
    }
    ck_assert_ptr_nonnull(hri_pool_estimate_find(e, hri_pool_hash(1), &word));
    ck_assert_uint_eq(hri_pool_estimate(e, hri_pool_hash(1)), MIB);
    for (uint64_t key = 1000; key < 3000; key++) { /* the others come and go */
        known += hri_pool_estimate_find(e, hri_pool_hash(key), &word) != NULL;
        ck_assert_uint_le(hri_pool_estimate(e, hri_pool_hash(key)), 2 * MIB);
    }
    ck_assert_uint_ge(known, HRI_POOL_SETS * HRI_POOL_WAYS / 4);
    ck_assert_uint_lt(known, HRI_POOL_SETS * HRI_POOL_WAYS);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(a_key_that_is_not_used_makes_room)
{
    static struct hri_pool_estimates e;
    uint64_t hash = hri_pool_hash(1), word;
    int noted = 0;

    hri_pool_estimates_init(&e);
    hri_pool_estimate_note(&e, hash, CHUNK);
    while (hri_pool_estimate_find(&e, hash, &word) != NULL && noted < 100000)
        hri_pool_estimate_note(&e, hri_pool_hash(1000 + (uint64_t)noted++), CHUNK);
    ck_assert_int_gt(noted, HRI_POOL_WAYS);
    ck_assert_int_lt(noted, 100000);
}
END_TEST

START_TEST(estimates_stay_within_their_bounds)
{
    static struct hri_pool_estimates e;
    uint64_t hash = hri_pool_hash(42);

    hri_pool_estimates_init(&e);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_ge(hri_pool_estimate_note(&e, hash, 0), CHUNK);
    for (int i = 0; i < 100; i++)
        hri_pool_estimate_note(&e, hash, UINT64_MAX - 4095);
    ck_assert_uint_eq(hri_pool_estimate(&e, hash), HRI_POOL_PAGES_MAX * 4096);
    ck_assert_uint_eq(hri_pool_estimate(&e, hri_pool_hash(43)), HRI_POOL_PAGES_MAX * 4096);
    for (int i = 0; i < 400; i++)
        hri_pool_estimate_note(&e, hash, 0);
    ck_assert_uint_eq(hri_pool_estimate(&e, hash), CHUNK);
    ck_assert_uint_eq(hri_pool_estimate(&e, hri_pool_hash(43)), CHUNK);
}
END_TEST

/* ---- limits of what is idle ---- */

START_TEST(no_more_than_max_idle_are_kept)
{
    enum { OUT = 8 };
    harena *out[OUT];

    for (size_t most = 1; most <= OUT + 1; most++) {
        harena_pool *pool = pool_of(most, 0);

        for (int i = 0; i < OUT; i++) {
            out[i] = SUCCEEDS(harena_pool_acquire(pool, 0));
            memset(SUCCEEDS(harena_alloc(out[i], opaque(100))), 1, 100);
        }
        for (size_t i = 0; i < OUT; i++) {
            harena_pool_give(pool, out[i]);
            ck_assert_uint_eq(harena_pool_idle(pool), hri_min(i + 1, most));
        }
        ck_assert_uint_eq(in_use(provider), hri_min(OUT, most) * CHUNK);
        for (int i = 0; i < OUT; i++) /* and a second time, with the charges of the first */
            out[i] = SUCCEEDS(harena_pool_acquire(pool, 0));
        harena_pool_give_many(pool, out, OUT);
        ck_assert_uint_eq(harena_pool_idle(pool), hri_min(OUT, most));
        harena_pool_destroy(pool);
        ck_assert_uint_eq(in_use(provider), 0);
    }
}
END_TEST

START_TEST(no_more_than_max_idle_bytes_are_kept)
{
    enum { OUT = 6 };
    harena_pool *pool = pool_of(100, 7 * CHUNK + 1000);
    harena *out[OUT];

    for (int i = 0; i < 4; i++)
        use(pool, 3, 3 * CHUNK);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < OUT; i++) {
            out[i] = SUCCEEDS(harena_pool_acquire(pool, 3));
            fill_up(out[i], 3 * CHUNK);
        }
        harena_pool_give_many(pool, out, OUT);
        ck_assert_uint_eq(harena_pool_idle(pool), 2);
        ck_assert_uint_eq(in_use(provider), 6 * CHUNK);
    }
    harena_pool_destroy(pool);
    pool = pool_of(100, 1000); /* not a chunk: only what holds nothing is kept */
    use(pool, 1, 0);
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    use(pool, 1, 100);
    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(defaults_are_four_a_processor_and_64_mib)
{
    harena_pool *pool = pool_of(0, 0);
    size_t most = 4 * (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    harena **out = calloc(most + 3, sizeof *out);

    for (size_t i = 0; i < most + 3; i++)
        out[i] = SUCCEEDS(harena_pool_acquire(pool, 0));
    harena_pool_give_many(pool, out, most + 3);
    ck_assert_uint_eq(harena_pool_idle(pool), most);
    for (int i = 0; i < 12; i++) /* the arena doubles what it keeps, up to what is allowed */
        use(pool, 8, 60 * MIB);
    ck_assert_uint_gt(in_use(provider), 59 * MIB);
    ck_assert_uint_le(in_use(provider), 64 * MIB);
    for (int i = 0; i < 12; i++)
        use(pool, 8, 70 * MIB);
    ck_assert_uint_eq(in_use(provider), 0);
    harena_pool_destroy(pool);
    free(out);
}
END_TEST

struct elsewhere {
    harena_pool *pool;
    harena *arena;
};

static void *give_elsewhere(void *ctx)
{
    struct elsewhere *e = ctx;

    harena_pool_give(e->pool, e->arena);
    return NULL;
}

static void *use_elsewhere(void *ctx)
{
    struct elsewhere *e = ctx;

    e->arena = harena_pool_acquire(e->pool, 1);
    harena_pool_give(e->pool, e->arena);
    return NULL;
}

START_TEST(a_place_that_is_kept_for_a_return_goes_to_who_comes_first)
{
    struct elsewhere e = {pool_of(1, 0), NULL};
    harena *mine = SUCCEEDS(harena_pool_acquire(e.pool, 1)), *other;

    other = SUCCEEDS(harena_pool_acquire(e.pool, 1));
    harena_pool_give(e.pool, mine);
    mine = SUCCEEDS(harena_pool_acquire(e.pool, 1)); /* its charge stays with the slot */
    e.arena = other;
    on_another_thread(give_elsewhere, &e);
    ck_assert_uint_eq(harena_pool_idle(e.pool), 1);
    harena_pool_give(e.pool, mine);
    ck_assert_uint_eq(harena_pool_idle(e.pool), 1);
    ck_assert(same(harena_pool_acquire(e.pool, 1), other));
    harena_pool_give(e.pool, other);
    harena_pool_destroy(e.pool);
}
END_TEST

START_TEST(what_a_thread_leaves_behind_is_found_by_others)
{
    enum { THREADS = 5 };
    struct elsewhere e[THREADS], all = {pool_of(0, 0), NULL};

    all.arena = SUCCEEDS(harena_pool_acquire(all.pool, 1));
    on_another_thread(give_elsewhere, &all); /* it has ended */
    ck_assert_uint_eq(harena_pool_idle(all.pool), 1);
    ck_assert(same(harena_pool_acquire(all.pool, 1), all.arena));
    harena_pool_give(all.pool, all.arena);
    for (int i = 0; i < THREADS; i++) { /* one after the other: all use the same one */
        e[i].pool = all.pool;
        on_another_thread(use_elsewhere, &e[i]);
        ck_assert(same(e[i].arena, all.arena));
    }
    ck_assert_uint_eq(harena_pool_idle(all.pool), 1);
    harena_pool_destroy(all.pool);
}
END_TEST

START_TEST(what_lies_in_other_slots_is_found)
{
    harena_pool *pool = pool_of(8, 0);
    harena *out[8];

    for (int i = 0; i < 8; i++)
        out[i] = SUCCEEDS(harena_pool_acquire(pool, 1));
    for (int i = 0; i < 8; i++) { /* by hand: as if eight threads had laid them down */
        uint64_t word = hri_pool_slot_word(pool, hri_arena_of(out[i]));

        pool->idle += HRI_POOL_IDLE_ONE;
        hri_arena_of(out[i])->lent = 0;
        pool->slots[i * 8].word = word;
        pool->slots_used = HRI_POOL_SLOTS;
    }
    ck_assert_uint_eq(harena_pool_idle(pool), 8);
    for (int i = 0; i < 8; i++)
        SUCCEEDS(harena_pool_acquire(pool, 1));
    ck_assert_uint_eq(harena_pool_idle(pool), 0);
    harena_pool_give_many(pool, out, 8);
    ck_assert_uint_eq(harena_pool_idle(pool), 8);
    harena_pool_destroy(pool);
}
END_TEST

/* ---- at the hard limit ---- */

START_TEST(a_first_run_is_no_condition_and_no_event)
{
    harena_pool *pool = pool_of(0, 0);
    harena *held, *a;

    for (int i = 0; i < 8; i++)
        use(pool, 1, MIB);
    held = SUCCEEDS(harena_pool_acquire(pool, 1)); /* holds what is warm of it */
    ck_assert_int_eq(harena_provider_set_limit(provider, stats_of(provider).committed + CHUNK), 0);
    harena_provider_trim(provider, 0);
    ck_assert_int_eq(harena_provider_set_limit(provider, stats_of(provider).committed + CHUNK), 0);
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    memset(SUCCEEDS(harena_alloc(a, opaque(1000))), 1, 1000);
    ck_assert_uint_eq(events_in_all(&events), 0);
    ck_assert_uint_eq(stats_of(provider).failures, 0);
    FAILS(ENOMEM, harena_alloc(a, opaque(MIB)));
    harena_pool_give(pool, a);
    harena_pool_give(pool, held);
    ck_assert_int_eq(harena_provider_set_limit(provider, 0), 0);
    harena_pool_destroy(pool);
}
END_TEST

START_TEST(initial_that_is_not_to_be_had_is_enomem)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena_pool *pool;
    harena *a;

    options.initial = 4 * CHUNK;
    options.retain_none = true;
    pool = pool_with(&options);
    use(pool, 1, 100);
    harena_provider_trim(provider, 0);
    ck_assert_int_eq(harena_provider_set_limit(provider, 3 * CHUNK), 0);
    FAILS(ENOMEM, harena_pool_acquire(pool, 1)); /* an idle one */
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    FAILS(ENOMEM, harena_pool_acquire(pool, 2));
    ck_assert_uint_eq(harena_pool_idle(pool), 1);
    ck_assert_int_eq(harena_provider_set_limit(provider, 5 * CHUNK), 0);
    a = SUCCEEDS(harena_pool_acquire(pool, 1));
    FAILS(ENOMEM, harena_pool_acquire(pool, 2)); /* a new one */
    harena_pool_give(pool, a);
    ck_assert_int_eq(harena_provider_set_limit(provider, 0), 0);
    harena_pool_destroy(pool);
}
END_TEST

RUN_TESTS_AROUND("pool_limits", with_provider, without_provider,
                 an_estimate_doubles_at_most_and_meets_a_steady_need,
                 one_giant_moves_it_to_double_and_is_forgotten,
                 an_estimate_falls_by_an_eighth_of_the_difference, keys_have_estimates_of_their_own,
                 unknown_keys_get_what_all_needed, a_new_arena_of_the_key_begins_with_one_run,
                 no_first_run_is_longer_than_a_block, resets_in_between_count_for_the_need,
                 a_key_in_use_outlives_a_stream_of_others, a_key_that_is_not_used_makes_room,
                 estimates_stay_within_their_bounds, no_more_than_max_idle_are_kept,
                 no_more_than_max_idle_bytes_are_kept, defaults_are_four_a_processor_and_64_mib,
                 a_place_that_is_kept_for_a_return_goes_to_who_comes_first,
                 what_a_thread_leaves_behind_is_found_by_others, what_lies_in_other_slots_is_found,
                 a_first_run_is_no_condition_and_no_event, initial_that_is_not_to_be_had_is_enomem)
