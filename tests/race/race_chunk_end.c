/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocations that race for the last bytes of a chunk: no two get the same bytes, none reaches over the end into what is
 * another's, and what fits there is not lost. */
#include "config.h" /* first: GNU interfaces */

#include "../support/provider.h"
#include "../support/stamp.h"
#include "meet.h"
#include <harena/shared.h>

#define OBJECTS 1200 /* of one thread in one round, at most */
#define ARENAS  100  /* one after the other, where lanes are to be fresh */
#define LARGE   2048 /* bytes: from here on objects lie in runs, where the open chunk has no room */
#define MARK    16   /* bytes that are stamped at each end of an object */

typedef struct object {
    char *at;
    size_t size;
    uint64_t stamp;
} object;

static struct {
    harena_provider *provider;
    harena_shared *shared, *arenas[ARENAS];
    size_t size; /* of all objects; 0: mixed */
    test_rng rngs[MEET_THREADS];
    unsigned counts[MEET_THREADS];
    object objects[MEET_THREADS][OBJECTS];
    object all[MEET_THREADS * OBJECTS];
} race;

static harena_shared *create(bool no_lanes)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    harena_shared *shared;

    options.provider = race.provider;
    options.no_lanes = no_lanes;
    shared = harena_shared_create(&options);
    TEST_EXPECT(shared != NULL);
    return shared;
}

/* Both ends: what is larger is not written in full, it would take too long. */
static void stamp(const object *o)
{
    test_stamp_fill(o->at, o->size < MARK ? o->size : MARK, o->stamp);
    if (o->size >= 2 * MARK)
        test_stamp_fill(o->at + o->size / MARK * MARK - MARK, MARK, o->stamp + 1);
}

static bool intact(const object *o)
{
    return test_stamp_intact(o->at, o->size < MARK ? o->size : MARK, o->stamp) &&
           (o->size < 2 * MARK ||
            test_stamp_intact(o->at + o->size / MARK * MARK - MARK, MARK, o->stamp + 1));
}

static void keep(unsigned thread, void *at, size_t size)
{
    object *o = &race.objects[thread][race.counts[thread]];

    if (!TEST_EXPECT(at != NULL))
        return;
    *o = (object){at, size, test_stamp(thread, (uint64_t)race.counts[thread] * 2)};
    stamp(o);
    race.counts[thread]++;
}

/* ---- operations ---- */

/* From 16 bytes to what is half a chunk: each second or third one comes to an end. */
static size_t mixed(test_rng *rng)
{
    return test_once_in(rng, 2) ? test_between(rng, HARENA_CHUNK_SIZE / 4, HARENA_CHUNK_SIZE / 2)
                                : test_between(rng, 1, 16u << test_below(rng, 9));
}

static void take_by_fetch_add(unsigned thread, unsigned round)
{
    size_t size;
    void *at;

    (void)round;
    while (race.counts[thread] < OBJECTS && !test_failed()) {
        size = race.size != 0 ? race.size : mixed(&race.rngs[thread]);
        MEET(thread, race.shared, at = harena_shared_alloc_atomic(race.shared, size));
        keep(thread, at, size);
    }
}

/* A few objects in each arena, so that a thread's first leases meet the end of the chunk. */
static void take_leases(unsigned thread, unsigned round)
{
    test_rng *rng = &race.rngs[thread];
    size_t size;
    void *at;

    (void)round;
    for (unsigned arena = 0; arena < ARENAS && !test_failed(); arena++)
        for (unsigned i = 0; i < OBJECTS / ARENAS; i++) {
            size = test_between(rng, 1, 300);
            MEET(thread, race.arenas[arena], at = harena_shared_alloc(race.arenas[arena], size));
            keep(thread, at, size);
        }
}

/* The arena's limit is one chunk, and it has none yet. */
static void take_first(unsigned thread, unsigned round)
{
    void *at;

    (void)round;
    MEET(thread, race.shared, at = harena_shared_alloc(race.shared, 64));
    TEST_EXPECT_MSG(at != NULL, "refused beside a chunk that another thread was opening");
}

/* ---- between two rounds: nobody else is there ---- */

static int by_address(const void *left, const void *right)
{
    const object *a = left, *b = right;

    return (a->at > b->at) - (a->at < b->at);
}

/* In `race.all`, sorted: how many there are. */
static size_t verify_all(void)
{
    size_t count = 0;

    for (unsigned thread = 0; thread < MEET_THREADS; thread++) {
        memcpy(&race.all[count], race.objects[thread], race.counts[thread] * sizeof(object));
        count += race.counts[thread];
        race.counts[thread] = 0;
    }
    qsort(race.all, count, sizeof(object), by_address);
    for (size_t i = 0; i < count; i++) {
        const object *o = &race.all[i];
        uintptr_t first = (uintptr_t)o->at, last = first + o->size - 1;

        /* A lane that has leased the end of one chunk and the start of the next goes on there. */
        TEST_EXPECT_MSG(race.shared == NULL || o->size >= LARGE ||
                            first / HARENA_CHUNK_SIZE == last / HARENA_CHUNK_SIZE,
                        "%zu bytes at %p reach over the end of their chunk", o->size, o->at);
        TEST_EXPECT_MSG(i == 0 || o[-1].at + o[-1].size <= o->at, "%zu bytes at %p overlap %p",
                        o[-1].size, o[-1].at, o->at);
        TEST_EXPECT_MSG(intact(o), "%zu bytes at %p have changed", o->size, o->at);
    }
    return count;
}

/* Objects of one size that divides a chunk's. Small ones fill all chunks but the last. Large ones lie in runs, each a 32nd
 * of what is held: four may have room, and of those that threads gave up because of it, less than a chunk each is lost.
 * How many those are is up to the scheduler: a thread that is preempted with a run in hand makes others take another. Of
 * five it gives up the fullest, so that even the worst schedules seen here stay below 3 %. */
static void between_fetch_adds(unsigned round)
{
    size_t count = verify_all(), bytes = count * race.size, held, most;
    harena_stats stats = {.size = sizeof(stats)};

    if (round > 0 && race.size != 0) {
        held = harena_shared_cap(race.shared);
        TEST_EXPECT_MSG(harena_shared_len(race.shared) == bytes, "%zu bytes, len is %zu", bytes,
                        harena_shared_len(race.shared));
        bytes = (bytes + HARENA_CHUNK_SIZE - 1) / HARENA_CHUNK_SIZE * HARENA_CHUNK_SIZE;
        harena_shared_stats_get(race.shared, &stats);
        most = race.size < LARGE ? bytes : bytes + bytes / 4;
        TEST_EXPECT_MSG(held >= bytes && held <= most,
                        "%zu bytes are held in %zu runs for %zu objects of %zu", held,
                        (size_t)stats.runs, count, race.size);
    }
    for (size_t i = 0; i < count; i += 64)
        TEST_EXPECT(harena_shared_contains(race.shared, race.all[i].at));
    TEST_EXPECT(harena_shared_reset_now(race.shared) == 0);
}

/* From its first byte to its last, wherever it lies. */
static void verify_owner(const object *o, const harena_shared *owner)
{
    TEST_EXPECT_MSG(harena_shared_contains(owner, o->at) &&
                        harena_shared_contains(owner, o->at + o->size - 1),
                    "%zu bytes at %p are not all their arena's", o->size, o->at);
}

/* Each arena is new, and has little room in its first chunk. */
static void between_leases(unsigned round)
{
    size_t room;

    (void)round;
    for (unsigned thread = 0; thread < MEET_THREADS; thread++)
        for (unsigned i = 0; i < race.counts[thread]; i++)
            verify_owner(&race.objects[thread][i], race.arenas[i / (OBJECTS / ARENAS)]);
    verify_all();
    for (unsigned arena = 0; arena < ARENAS; arena++) {
        harena_shared_release_now(race.arenas[arena]);
        race.arenas[arena] = create(false);
        room = test_below(&race.rngs[0], 4096);
        for (unsigned i = 0; i < 2; i++)
            TEST_EXPECT(harena_shared_alloc_atomic(race.arenas[arena],
                                                   (HARENA_CHUNK_SIZE - room) / 2) != NULL);
    }
}

static void between_first(unsigned round)
{
    (void)round;
    TEST_EXPECT(!harena_shared_failed(race.shared));
    TEST_EXPECT(harena_shared_cap(race.shared) <= HARENA_CHUNK_SIZE);
    TEST_EXPECT(harena_shared_reset_now(race.shared) == 0);
}

/* ---- tests ---- */

static void begin(void)
{
    memset(&race, 0, sizeof(race));
    race.provider = test_provider(NULL, 0, 0);
    for (unsigned i = 0; i < MEET_THREADS; i++)
        race.rngs[i] = test_rng_for(i);
}

static const size_t sizes[] = {0, 64, 1024, 4096, HARENA_CHUNK_SIZE / 4, HARENA_CHUNK_SIZE / 2};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

/* CELL shared: alloc x alloc */
START_TEST(last_bytes_of_a_chunk_go_to_one_thread)
{
    static const meet_operation take = {"alloc", take_by_fetch_add};
    char more[128];

    begin();
    race.size = sizes[_i];
    race.shared = create(true);
    meet_run(&test_flavors[TEST_BP], &take, &take, &take, test_rounds(8), between_fetch_adds, more);
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
    RACE_RAN_MORE(MEET_THREADS, (unsigned long)meet.done * OBJECTS, more);
}
END_TEST

/* CELL shared: alloc x alloc */
START_TEST(leases_at_the_end_of_a_chunk_are_apart)
{
    static const meet_operation take = {"alloc", take_leases};
    char more[128];

    begin();
    meet_run(&test_flavors[TEST_BP], &take, &take, &take, test_rounds(20), between_leases, more);
    for (unsigned arena = 0; arena < ARENAS; arena++)
        harena_shared_release(race.arenas[arena]);
    test_provider_finish(race.provider);
    RACE_RAN_MORE(MEET_THREADS, (unsigned long)meet.done * OBJECTS, more);
}
END_TEST

/* CELL shared: alloc x alloc */
START_TEST(the_chunk_of_a_limit_of_one_is_opened_for_all)
{
    static const meet_operation take = {"alloc", take_first};
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    char more[128];

    begin();
    options.provider = race.provider;
    options.limit = HARENA_CHUNK_SIZE;
    options.no_lanes = _i == 1;
    race.shared = harena_shared_create(&options);
    TEST_EXPECT(race.shared != NULL);
    meet_run(&test_flavors[TEST_BP], &take, &take, &take, test_rounds(2000), between_first, more);
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
    RACE_RAN_MORE(MEET_THREADS, meet.done, more);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_chunk_end");
    TCase *tests = test_case(suite, "chunk's end");

    tcase_add_loop_test(tests, last_bytes_of_a_chunk_go_to_one_thread, 0, SIZES);
    tcase_add_test(tests, leases_at_the_end_of_a_chunk_are_apart);
    tcase_add_loop_test(tests, the_chunk_of_a_limit_of_one_is_opened_for_all, 0, 2);
    return test_main(suite);
}
