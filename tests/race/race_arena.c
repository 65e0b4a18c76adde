/* SPDX-License-Identifier: BSD-2-Clause */
/* Arenas that have one owner at a time: figures that others ask for meanwhile, and a hand-over from thread to thread. */
#include "config.h" /* first: GNU interfaces */

#include "../support/provider.h"
#include "../support/stamp.h"
#include "meet.h"
#include <harena/arena.h>

static harena_provider *provider;

/* ---- figures ---- */

#define OWNED 2
#define KEPT  64               /* objects of one owner at once */
#define STEPS 1500             /* of an owner in one round */
#define MOST  (KEPT * 400000u) /* bytes that an owner may hold */

/* Of two threads that own one, neighbours, each has its own; who asks, asks about both in turn. */
static struct owned {
    harena *arena;
    test_rng rng;
    unsigned count, resets, cleanups;
    uint64_t serial, bytes; /* handed out since the last reset */
    size_t sizes[KEPT];
    uint64_t stamps[KEPT];
    void *objects[KEPT];
} owned[OWNED];

static void count_cleanup(void *ctx)
{
    (*(unsigned *)ctx)--;
}

static void verify_and_reset(struct owned *own, const void *about, unsigned thread)
{
    for (unsigned i = 0; i < own->count; i++)
        TEST_EXPECT_MSG(test_stamp_intact(own->objects[i], own->sizes[i], own->stamps[i]),
                        "%zu bytes have changed while others asked", own->sizes[i]);
    TEST_EXPECT(harena_len(own->arena) >= own->bytes);
    TEST_EXPECT(harena_cap(own->arena) >= harena_len(own->arena));
    MEET(thread, about, harena_reset(own->arena));
    TEST_EXPECT(harena_len(own->arena) == 0 && own->cleanups == 0);
    own->resets++;
    own->count = 0;
    own->bytes = 0;
}

static void allocate(struct owned *own, unsigned thread)
{
    size_t size = (size_t)test_between(&own->rng, 1, 300) << test_below(&own->rng, 11);
    void *at;

    if (test_once_in(&own->rng, 8) &&
        harena_on_release(own->arena, count_cleanup, &own->cleanups) == 0)
        own->cleanups++;
    MEET(thread, own->arena,
         at = test_once_in(&own->rng, 4) ? harena_alloc_zeroed(own->arena, size)
                                         : harena_alloc(own->arena, size));
    if (!TEST_EXPECT(at != NULL))
        return;
    own->objects[own->count] = at;
    own->sizes[own->count] = size;
    own->stamps[own->count] = test_stamp(thread, ++own->serial);
    test_stamp_fill(at, size, own->stamps[own->count++]);
    own->bytes += size;
}

static void own_one(unsigned thread, unsigned round)
{
    struct owned *own = &owned[thread % OWNED];

    (void)round;
    for (unsigned i = 0; i < STEPS && !test_failed(); i++) {
        if (own->count == KEPT || test_once_in(&own->rng, KEPT))
            verify_and_reset(own, own->arena, thread);
        allocate(own, thread);
    }
}

/* Not exact while the owner is at work: a window may be counted twice, or as the difference of two. */
static void ask(unsigned thread, unsigned round)
{
    harena_stats stats = {sizeof(stats), 0, 0, 0, 0, 0, 0, 0};
    uint64_t resets[OWNED] = {0};
    size_t len, cap, peak;

    (void)round;
    for (unsigned i = 0; i < 4 * STEPS && !test_failed(); i++) {
        const struct owned *own = &owned[i % OWNED];

        MEET(thread, own->arena, len = harena_len(own->arena), cap = harena_cap(own->arena),
             peak = harena_peak(own->arena), harena_stats_get(own->arena, &stats));
        TEST_EXPECT_MSG(cap <= MOST && len <= 3 * (size_t)MOST && peak <= 3 * (size_t)MOST,
                        "len %zu, cap %zu, peak %zu: no arena here has so much", len, cap, peak);
        TEST_EXPECT(cap % HARENA_CHUNK_SIZE == 0 && stats.cap <= MOST && stats.failures == 0);
        TEST_EXPECT_MSG(stats.resets >= resets[i % OWNED], "resets fell from %llu to %llu",
                        (unsigned long long)resets[i % OWNED], (unsigned long long)stats.resets);
        resets[i % OWNED] = stats.resets;
    }
}

/* Nobody is at work: the figures are exact. */
static void compare_figures(unsigned round)
{
    harena_stats stats = {sizeof(stats), 0, 0, 0, 0, 0, 0, 0};

    (void)round;
    for (unsigned i = 0; i < OWNED; i++) {
        harena_stats_get(owned[i].arena, &stats);
        TEST_EXPECT(stats.resets == owned[i].resets && stats.len >= owned[i].bytes &&
                    stats.peak >= stats.len && stats.cap >= stats.len);
        TEST_EXPECT(stats.len == harena_len(owned[i].arena) &&
                    stats.cap == harena_cap(owned[i].arena));
        TEST_EXPECT(stats.cap == test_stats(provider).in_use - harena_cap(owned[1 - i].arena));
    }
}

/* CELL arena: alloc, reset, on_release x len, cap, peak, stats */
/* CELL arena: len, cap, peak, stats x len, cap, peak, stats */
START_TEST(figures_may_be_asked_while_the_owner_works)
{
    static const meet_operation owner = {"owner", own_one}, asker = {"stats", ask};
    harena_options options = HARENA_OPTIONS_INIT;
    char more[128];

    provider = test_provider(NULL, 0, 0);
    options.provider = provider;
    for (unsigned i = 0; i < OWNED; i++) {
        owned[i] = (struct owned){.arena = harena_create(&options), .rng = test_rng_for(i)};
        ck_assert_ptr_nonnull(owned[i].arena);
    }
    meet_run(&test_flavors[TEST_BP], _i == 0 ? &owner : &asker, &asker, _i == 0 ? &asker : &owner,
             test_rounds(8), compare_figures, more);
    for (unsigned i = 0; i < OWNED; i++)
        harena_release(owned[i].arena);
    test_provider_finish(provider);
    RACE_RAN_MORE(MEET_THREADS, (unsigned long)meet.done * STEPS, more);
}
END_TEST

/* ---- arenas that move ---- */

#define STAGES  4
#define MOVING  8 /* parcels under way between two stages, at most */
#define CONTENT 32

/* What moves: the arena, and what stage 1 has put into it. */
typedef struct parcel {
    harena *arena;
    unsigned number, count;
    size_t sizes[CONTENT];
    void *objects[CONTENT];
} parcel;

static struct {
    _Atomic(parcel *) to[STAGES][MOVING];
    unsigned rounds;
} line;

/* NULL: another thread has failed. */
static parcel *take_parcel(unsigned stage, unsigned slot)
{
    parcel *taken = NULL;

    TEST_AWAIT((taken = atomic_exchange_explicit(&line.to[stage][slot], NULL,
                                                 memory_order_acquire)) != NULL);
    return taken;
}

static bool lay_down(parcel *moving, unsigned stage, unsigned slot)
{
    parcel *none = NULL;

    return atomic_compare_exchange_strong_explicit(&line.to[stage][slot], &none, moving,
                                                   memory_order_release, memory_order_relaxed);
}

static void fill_parcel(parcel *moving, test_rng *rng)
{
    unsigned i, count = (unsigned)test_between(rng, 1, CONTENT);

    for (i = 0; i < count; i++) {
        moving->sizes[i] = (size_t)test_between(rng, 1, test_once_in(rng, 8) ? 70000 : 900);
        moving->objects[i] = harena_alloc(moving->arena, moving->sizes[i]);
        if (!TEST_EXPECT(moving->objects[i] != NULL))
            return;
        test_stamp_fill(moving->objects[i], moving->sizes[i], test_stamp(moving->number, i));
        moving->count = i + 1;
    }
}

static void verify_parcel(const parcel *moving)
{
    unsigned i;

    for (i = 0; i < moving->count; i++) {
        TEST_EXPECT_MSG(
            test_stamp_intact(moving->objects[i], moving->sizes[i], test_stamp(moving->number, i)),
            "an object changed while its arena moved");
        TEST_EXPECT(harena_contains(moving->arena, moving->objects[i]));
    }
}

/* Stage 0 creates, 1 fills, 2 reads and resets half of them, 3 reads and releases. */
static void work_in_line(void *ctx, unsigned stage)
{
    harena_options options = HARENA_OPTIONS_INIT;
    test_rng rng = test_rng_for(stage);
    unsigned round, slot;
    parcel *moving;

    (void)ctx;
    options.provider = provider;
    for (round = 0; round < line.rounds; round++) {
        slot = round % MOVING;
        moving = stage == 0 ? calloc(1, sizeof(*moving)) : take_parcel(stage, slot);
        if (moving == NULL)
            break;
        if (stage == 0) {
            moving->number = round;
            moving->arena = harena_create(&options);
            TEST_EXPECT(moving->arena != NULL);
        } else if (stage == 1) {
            fill_parcel(moving, &rng);
        } else {
            verify_parcel(moving);
        }
        if (stage == 2 && round % 2 == 0) {
            harena_reset(moving->arena);
            TEST_EXPECT(harena_len(moving->arena) == 0);
            moving->count = 0;
            fill_parcel(moving, &rng);
        }
        if (stage < STAGES - 1) {
            TEST_AWAIT(lay_down(moving, stage + 1, slot));
        } else {
            harena_release(moving->arena);
            free(moving);
        }
        if (test_failed())
            break;
    }
}

START_TEST(arena_moves_between_threads)
{
    const test_role roles[] = {{work_in_line, STAGES}, {NULL, 0}};

    provider = test_provider(NULL, 0, 0);
    memset(&line, 0, sizeof(line));
    line.rounds = test_rounds(1200);
    test_team(roles, NULL);
    test_provider_finish(provider);
    RACE_RAN(STAGES, line.rounds);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_arena");
    TCase *tests = test_case(suite, "figures");

    tcase_add_loop_test(tests, figures_may_be_asked_while_the_owner_works, 0, 2);
    tests = test_case(suite, "move");
    tcase_add_test(tests, arena_moves_between_threads);
    return test_main(suite);
}
