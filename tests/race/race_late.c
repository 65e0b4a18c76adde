/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that meet the library for the first time in one of their thread-specific destructors: what they write is
 * whole, their memory comes back, and so does their number while a later round of destructors is left for that. */
#include "../support/provider.h"
#include "../support/stamp.h"
#include "../support/threads.h"
#include "ran.h"
#include <harena/shared.h>
#include "thread.h" /* declares one word of the former once more */
#include <limits.h>

#define CHURNS  4   /* threads that let others live and end; none of them has a number */
#define LIVES   250 /* of each */
#define LATE    (CHURNS * LIVES)
#define OTHERS  2  /* threads with a number beside those: the test's own, and RCU's */
#define OBJECTS 4  /* of each thread, in the shared arena */
#define SIZE    64 /* bytes of one */
#define OWN                                                                                        \
    (8 * HARENA_CHUNK_SIZE) /* more than a thread's own arena takes, with what is free around it */

/* Destructors of one round run in the order of their keys. */
static pthread_key_t before, behind; /* the library's own key */

/* In which round of which key's destructor a thread comes, and whether its number is back then. */
static const struct late {
    pthread_key_t *key;
    unsigned round;
    bool comes_back;
} cases[] = {
    {&before, 1, true},  {&before, 2, true},  {&behind, 1, true},
#if !TEST_TSAN /* it has given up its record of a thread in the last round: nothing may happen there */
    {&behind, 2, false}, {&before, 3, false}, {&behind, 3, false},
#endif
};
#define CASES ((int)(sizeof(cases) / sizeof(cases[0])))

static struct {
    const struct late *late;
    harena_provider *provider;
    harena_shared *shared;
    pthread_barrier_t all_here;
    atomic_uint allocated, ended;
    uint32_t numbers[LATE];
    void *objects[LATE * OBJECTS];
} race;

static _Thread_local unsigned rounds;

/* Chunks and windows of an arena of its own. */
static void use_own_arena(unsigned thread)
{
    static const size_t sizes[] = {100, 5000, HARENA_CHUNK_SIZE + 100};
    harena_options options = HARENA_OPTIONS_INIT;
    void *objects[3];
    harena *own;
    unsigned i;

    options.provider = race.provider;
    own = harena_create(&options);
    for (i = 0; i < 3; i++) {
        objects[i] = harena_alloc(own, sizes[i]);
        if (!TEST_EXPECT(objects[i] != NULL))
            break;
        test_stamp_fill(objects[i], sizes[i], test_stamp(thread + 1, i));
    }
    while (i-- > 0)
        TEST_EXPECT_MSG(test_stamp_intact(objects[i], sizes[i], test_stamp(thread + 1, i)),
                        "%zu bytes of an arena of its own have changed", sizes[i]);
    harena_release(own);
}

static void meet(void)
{
    unsigned thread = atomic_fetch_add_explicit(&race.ended, 1, memory_order_relaxed), i;
    harena_view *view;

    TEST_EXPECT_MSG(harena_thread_word == HRI_THREAD_UNKNOWN, "the thread has met the library");
    view = harena_shared_enter(race.shared);
    for (i = thread * OBJECTS; i < (thread + 1) * OBJECTS; i++) {
        race.objects[i] = harena_view_alloc(view, SIZE);
        if (TEST_EXPECT(race.objects[i] != NULL))
            test_stamp_fill(race.objects[i], SIZE, i);
    }
    harena_shared_leave(race.shared, view);
    use_own_arena(thread);
    race.numbers[thread] = hri_thread_index();
}

static void in_destructor(void *value)
{
    if (++rounds < race.late->round)
        pthread_setspecific(*race.late->key, value);
    else
        meet();
}

/* Before the library is loaded, which makes its key then. */
__attribute__((constructor(101))) static void make_key_before(void)
{
    if (pthread_key_create(&before, in_destructor) != 0)
        abort();
}

static void *set_key_and_end(void *value)
{
    pthread_setspecific(*race.late->key, value);
    return NULL;
}

static void churn(void *ctx, unsigned index)
{
    pthread_t id;

    (void)ctx, (void)index;
    for (unsigned i = 0; i < LIVES && !test_failed(); i++)
        if (TEST_EXPECT(pthread_create(&id, NULL, set_key_and_end, &race) == 0))
            TEST_EXPECT(pthread_join(id, NULL) == 0);
}

static int by_address(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;

    return (a > b) - (a < b);
}

static void verify_objects(void)
{
    for (unsigned i = 0; i < LATE * OBJECTS; i++)
        ck_assert_msg(test_stamp_intact(race.objects[i], SIZE, i), "object %u has changed", i);
    qsort(race.objects, LATE * OBJECTS, sizeof(race.objects[0]), by_address);
    for (unsigned i = 1; i < LATE * OBJECTS; i++)
        ck_assert_uint_ge((uintptr_t)race.objects[i] - (uintptr_t)race.objects[i - 1], SIZE);
}

/* All private memory is back, and was used again. Of the shared arena's, what is left of a lane's leases is less than is
 * used of them, and the least lease. */
static void verify_memory(void)
{
    const size_t used = LATE * OBJECTS * (size_t)SIZE, lanes = 64, least = 512;
    harena_provider_stats stats = test_stats(race.provider);

    ck_assert_uint_eq(stats.in_use, harena_shared_cap(race.shared));
    ck_assert_uint_le(stats.in_use, 2 * used + lanes * least + HARENA_CHUNK_SIZE);
    ck_assert_uint_le(stats.peak, stats.in_use + CHURNS * OWN);
}

static void ask_in_a_crowd(void *most, unsigned index)
{
    uint32_t number = hri_thread_index();

    (void)index;
    TEST_EXPECT_MSG(number < *(uint32_t *)most, "a fresh thread is number %u", number);
    pthread_barrier_wait(&race.all_here); /* all are alive now, each with a number of its own */
}

/* While a number comes back, no more are in use than threads were alive at once; else each thread has lost its own. */
static void verify_numbers(void)
{
    const test_role roles[] = {{ask_in_a_crowd, CHURNS}, {NULL, 0}};
    uint32_t most = CHURNS + OTHERS + (race.late->comes_back ? 0 : LATE);

    for (unsigned i = 0; i < LATE; i++)
        ck_assert_uint_lt(race.numbers[i], most);
    ck_assert_int_eq(pthread_barrier_init(&race.all_here, NULL, CHURNS), 0);
    test_team(roles, &most);
    pthread_barrier_destroy(&race.all_here);
}

START_TEST(first_call_in_a_destructor)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    const test_role roles[] = {{churn, CHURNS}, {NULL, 0}};

    memset(&race, 0, sizeof(race));
    race.late = &cases[_i];
    ck_assert_int_eq(pthread_key_create(&behind, in_destructor), 0);
    race.provider = test_provider(NULL, 0, 0);
    options.provider = race.provider;
    race.shared = harena_shared_create(&options);
    ck_assert_ptr_nonnull(race.shared);
    test_team(roles, NULL);
    ck_assert_uint_eq(test_count(&race.ended), LATE);
    verify_memory();
    verify_objects();
    verify_numbers();
    pthread_key_delete(behind);
    harena_shared_release(race.shared);
    test_provider_finish(race.provider);
    RACE_RAN(CHURNS, LIVES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race_late");
    TCase *tests = test_case(suite, "late");

    tcase_add_loop_test(tests, first_call_in_a_destructor, 0, CASES);
    return test_main(suite);
}
