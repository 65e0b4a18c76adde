/* SPDX-License-Identifier: BSD-2-Clause */
/* What arenas and generations hold beyond what they were asked for: sizes near a chunk's, which waste most, and small
 * ones; an arena of 10 KiB; an idle one. */
#include "../support/rng.h"
#include "../support/threads.h"
#include "unit.h"

/* Asked for is the sum of the sizes, each rounded up to 16, which the alignment costs. Bars hold from FROM on, at every
 * moment: they are looked at after each allocation up to TO. */
#define FROM ((double)(16 * MIB))
#define TO   ((double)(34 * MIB))

struct sizes {
    const char *name;
    double bar;
    size_t low, high; /* one of low to high; every second time `other`, if that is not 0 */
    size_t other;
};

static const struct sizes workloads[] = {
    {"16 to 255", 0.01, 16, 255, 0},
    {"40,000 and 64 in turn", 0.05, 40000, 40000, 64},
    {"16,400", 0.05, 16400, 16400, 0},
    {"15,000 and 2,000 in turn", 0.05, 15000, 15000, 2000},
    {"8 to 16 KiB", 0.05, 8 * KIB, 16 * KIB, 0},
    {"33,000", 0.05, 33000, 33000, 0},
    {"1 MiB + 1", 0.05, MIB + 1, MIB + 1, 0},
};
#define WORKLOADS (sizeof workloads / sizeof *workloads)

static size_t size_of(const struct sizes *sizes, size_t count, test_rng *rng)
{
    if (sizes->other != 0 && count % 2 == 1)
        return sizes->other;
    return test_between(rng, sizes->low, sizes->high);
}

/* What is asked: an arena, or a generation by each of its ways. */
struct target {
    const char *name;
    harena *arena;
    harena_shared *shared;
    void *(*alloc)(const struct target *target, size_t size);
};

static void *by_arena(const struct target *target, size_t size)
{
    return harena_alloc(target->arena, opaque(size));
}

static void *by_lane(const struct target *target, size_t size)
{
    return harena_shared_alloc(target->shared, opaque(size));
}

static void *by_fetch_add(const struct target *target, size_t size)
{
    return harena_shared_alloc_atomic(target->shared, opaque(size));
}

static double held(const struct target *target)
{
    return (double)(target->arena != NULL ? harena_cap(target->arena)
                                          : harena_shared_cap(target->shared));
}

static double ask(const struct target *target, size_t size)
{
    void *at = target->alloc(target, size);

    if (hidden(at) == 0)
        ck_abort_msg("%s: %zu bytes refused", target->name, size);
    return (double)(opaque(size + 15) / 16 * 16);
}

static void expect_little_waste(const struct target *target, const struct sizes *sizes)
{
    test_rng rng = test_rng_for(1);
    double asked = 0, worst = 0, at = 0;

    for (size_t count = 0; asked < TO; count++) {
        asked += ask(target, size_of(sizes, count, &rng));
        if (asked >= FROM && held(target) / asked - 1 > worst) {
            worst = held(target) / asked - 1;
            at = asked;
        }
    }
    ck_assert_msg(worst <= sizes->bar, "%s, %s: %.2f%% more is held than asked for, at %.1f MiB",
                  target->name, sizes->name, 100 * worst, at / (double)MIB);
}

static void arena_wastes_little(const struct sizes *sizes, bool zero)
{
    harena_options options = HARENA_OPTIONS_INIT;
    struct target target = {.name = zero ? "zeroed arena" : "arena", .alloc = by_arena};

    options.provider = provider_of(GIB, 0, NULL);
    options.zero = zero;
    target.arena = SUCCEEDS(harena_create(&options));
    expect_little_waste(&target, sizes);
    harena_release(target.arena);
    ends_clean(options.provider);
}

static void generation_wastes_little(const struct sizes *sizes, bool no_lanes)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    struct target target = {.name = no_lanes ? "generation without lanes" : "generation"};

    options.provider = provider_of(GIB, 0, NULL);
    options.no_lanes = no_lanes;
    target.alloc = no_lanes ? by_fetch_add : by_lane;
    target.shared = SUCCEEDS(harena_shared_create(&options));
    for (int round = 0; round < 2; round++) { /* the second begins with what was busy */
        expect_little_waste(&target, sizes);
        ck_assert_int_eq(harena_shared_reset_now(target.shared), 0);
    }
    harena_shared_release_now(target.shared);
    ends_clean(options.provider);
}

START_TEST(arenas_waste_little)
{
    for (size_t at = 0; at < WORKLOADS; at++)
        arena_wastes_little(&workloads[at], false);
}
END_TEST

START_TEST(zeroed_arenas_waste_little)
{
    arena_wastes_little(&workloads[1], true);
    arena_wastes_little(&workloads[6], true);
}
END_TEST

START_TEST(generations_waste_little)
{
    for (size_t at = 0; at < WORKLOADS; at++)
        generation_wastes_little(&workloads[at], false);
}
END_TEST

START_TEST(generations_without_lanes_waste_little)
{
    for (size_t at = 0; at < WORKLOADS; at++)
        generation_wastes_little(&workloads[at], true);
}
END_TEST

/* In turn, each stands in the way of the others' runs. */
START_TEST(arenas_side_by_side_waste_little)
{
    enum { ARENAS = 8 };
    harena_provider *provider = provider_of(GIB, 0, NULL);
    struct target targets[ARENAS];
    test_rng rng = test_rng_for(2);

    for (size_t w = 1; w < 6; w++) {
        double asked = 0, all = 0;
        size_t count = 0;

        for (int at = 0; at < ARENAS; at++)
            targets[at] =
                (struct target){.name = "arena", .arena = arena_of(provider, 0), .alloc = by_arena};
        while (asked < ARENAS * FROM)
            asked += ask(&targets[test_below(&rng, ARENAS)], size_of(&workloads[w], count++, &rng));
        for (int at = 0; at < ARENAS; at++)
            all += held(&targets[at]);
        ck_assert_msg(all / asked <= 1.07, "%s: %.2f%% more is held than asked for",
                      workloads[w].name, 100 * (all / asked - 1));
        for (int at = 0; at < ARENAS; at++)
            harena_release(targets[at].arena);
    }
    ends_clean(provider);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 8 };

static struct {
    struct target target;
    const struct sizes *sizes;
    double asked[THREADS];
} crowd;

static void ask_for_a_share(void *ctx, unsigned index)
{
    test_rng rng = test_rng_for(index);
    double asked = 0;

    (void)ctx;
    for (size_t count = 0; asked < 2 * FROM / THREADS; count++) {
        size_t size = size_of(crowd.sizes, count, &rng);

        if (!TEST_EXPECT(hidden(crowd.target.alloc(&crowd.target, size)) != 0))
            return;
        asked += (double)(opaque(size + 15) / 16 * 16);
    }
    crowd.asked[index] = asked;
}

/* Each thread has a window, each slot a run; and what a thread is in the middle of when it has to wait, others take
 * afresh. */
START_TEST(threads_add_a_chunk_each)
{
    const test_role roles[] = {{ask_for_a_share, THREADS}, {NULL, 0}};
    harena_provider *provider = provider_of(GIB, 0, NULL);

    for (size_t at = 0; at < WORKLOADS; at++) {
        double asked = 0, most;

        crowd.target =
            (struct target){.name = "threads", .shared = shared_of(provider, 0), .alloc = by_lane};
        crowd.sizes = &workloads[at];
        test_team(roles, NULL);
        for (int i = 0; i < THREADS; i++)
            asked += crowd.asked[i];
        most = asked * (1.01 + workloads[at].bar) + THREADS * (double)CHUNK;
        ck_assert_msg(held(&crowd.target) <= most, "%s: %.2f%% more is held than asked for",
                      workloads[at].name, 100 * (held(&crowd.target) / asked - 1));
        harena_shared_release_now(crowd.target.shared);
    }
    ends_clean(provider);
}
END_TEST

/* ---- little arenas ---- */

static const size_t ten_kib[][2] = {/* size, how many of them */
                                    {16, 640}, {100, 90}, {1000, 10}, {2048, 5},
                                    {3000, 3}, {5000, 2}, {10240, 1}};

START_TEST(ten_kib_hold_one_chunk)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    struct target targets[] = {
        {"arena", arena_of(provider, 0), NULL, by_arena},
        {"generation", NULL, shared_of(provider, 0), by_lane},
        {"generation by fetch-add", NULL, shared_of(provider, 0), by_fetch_add},
    };

    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        for (size_t at = 0; at < sizeof ten_kib / sizeof *ten_kib; at++) {
            for (size_t i = 0; i < ten_kib[at][1]; i++)
                ask(&targets[t], ten_kib[at][0]);
            ck_assert_msg(held(&targets[t]) == CHUNK, "%s: %zu times %zu bytes hold %.0f",
                          targets[t].name, ten_kib[at][1], ten_kib[at][0], held(&targets[t]));
            if (targets[t].arena != NULL)
                harena_reset(targets[t].arena);
            else
                ck_assert_int_eq(harena_shared_reset_now(targets[t].shared), 0);
        }
    }
    harena_release(targets[0].arena);
    harena_shared_release_now(targets[1].shared);
    harena_shared_release_now(targets[2].shared);
    ends_clean(provider);
}
END_TEST

START_TEST(idle_ones_hold_nothing)
{
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    harena_options options = HARENA_OPTIONS_INIT;
    struct target arena = {.name = "arena", .alloc = by_arena};
    struct target generation = {.name = "generation", .alloc = by_lane};

    options.provider = provider;
    options.retain_none = true;
    arena.arena = SUCCEEDS(harena_create(&options));
    generation.shared = shared_of(provider, 0);
    for (int round = 0; round < 3; round++) {
        ck_assert(held(&arena) == 0 && held(&generation) == 0);
        ck_assert_uint_eq(in_use(provider), 0);
        for (size_t size = 16; size < 3 * MIB; size *= 3) {
            ask(&arena, size);
            ask(&generation, size);
        }
        harena_reset(arena.arena);
        ck_assert_int_eq(harena_shared_reset_now(generation.shared), 0);
    }
    ck_assert_uint_eq(in_use(provider), 0);
    harena_release(arena.arena);
    harena_shared_release_now(generation.shared);
    ends_clean(provider);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        arenas_waste_little,      zeroed_arenas_waste_little,
        generations_waste_little, generations_without_lanes_waste_little,
        threads_add_a_chunk_each, arenas_side_by_side_waste_little,
        ten_kib_hold_one_chunk,   idle_ones_hold_nothing,
    };

    test_seed();
    return run_tests("waste", NULL, NULL, tests, sizeof tests / sizeof *tests);
}
