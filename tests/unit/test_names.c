/* SPDX-License-Identifier: BSD-2-Clause */
/* The figures that all arenas of a name have together. */
#include "../support/threads.h"
#include "unit.h"

#include "names.h"
#include "os.h"

#include <stdio.h>

#define SLAB_SIZE (4 * MIB)
#define LOOK      ((uint64_t)MIB) /* by what a thread's share rises before it looks at the sum */

static struct hri_slab slab;
static struct hri_names names;

static void make_table(void)
{
    hri_slab_init(&slab, hri_os.reserve(SLAB_SIZE, CHUNK), SLAB_SIZE);
    hri_names_init(&names, &slab);
}

static struct hri_name *find(const char *name)
{
    char key[HRI_NAME_SIZE];

    hri_copy_name(key, name, "");
    return hri_names_find(&names, key);
}

static struct hri_name_sums sums_of(const char *name)
{
    struct hri_name_sums sums;
    uint32_t at = 0;

    while (hri_names_next(&names, &at, &sums))
        if (strcmp(sums.name, name) == 0)
            return sums;
    return (struct hri_name_sums){0};
}

static unsigned count_names(void)
{
    struct hri_name_sums sums;
    unsigned count = 0;
    uint32_t at = 0;

    while (hri_names_next(&names, &at, &sums))
        count++;
    return count;
}

START_TEST(a_name_has_one_record)
{
    char copy[] = "request";

    ck_assert_ptr_eq(find("request"), find(copy));
    ck_assert_ptr_ne(find("request"), find("requests"));
    ck_assert_ptr_ne(find(""), find("a"));
    ck_assert_ptr_eq(find(NULL), find(""));
    ck_assert_uint_eq(count_names(), 4);
}
END_TEST

START_TEST(what_is_too_long_is_cut)
{
    const char *name = "0123456789012345678901234567890123456789";
    char key[HRI_NAME_SIZE];

    memset(key, 'x', sizeof key);
    hri_copy_name(key, name, NULL);
    ck_assert_uint_eq(strlen(key), 31);
    ck_assert_int_eq(strncmp(key, name, 31), 0);
    ck_assert_ptr_eq(find(name), find(key));
    hri_copy_name(key, NULL, "short");
    ck_assert_str_eq(key, "short");
    ck_assert(all_bytes(key + 5, sizeof key - 5, 0));
    hri_copy_name(key, "1234567890123456789012345678\xe2\x82\xac", NULL);
    ck_assert_str_eq(key, "1234567890123456789012345678\xe2\x82\xac");
    hri_copy_name(key, "12345678901234567890123456789\xe2\x82\xac", NULL); /* within a character */
    ck_assert_str_eq(key, "12345678901234567890123456789??");
}
END_TEST

START_TEST(names_beyond_the_bound_are_counted_as_other)
{
    char name[32];

    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "name %d", i);
        hri_name_made(find(name));
    }
    ck_assert_uint_eq(count_names(), HRI_NAMES_MOST + 1);
    ck_assert_uint_eq(sums_of("(other)").made, 300 - HRI_NAMES_MOST);
    ck_assert_uint_eq(sums_of("name 17").made, 1);
    ck_assert_ptr_eq(find("name 299"), find("name 298"));
    ck_assert_ptr_eq(find("name 299"), find("(other)"));
    hri_name_made(find("name 0")); /* what is there is still found */
    ck_assert_uint_eq(sums_of("name 0").made, 2);
}
END_TEST

START_TEST(who_calls_himself_other_is_other)
{
    hri_name_made(find("(other)"));
    ck_assert_uint_eq(count_names(), 1);
    ck_assert_uint_eq(sums_of("(other)").made, 1);
}
END_TEST

/* Without memory for records all is counted, under one name. */
START_TEST(a_slab_that_is_full_loses_no_figure)
{
    struct hri_name *name = find("early");

    while (hri_slab_get(&slab, sizeof(struct hri_name)) != NULL || hri_slab_get(&slab, 8) != NULL)
        continue;
    ck_assert_ptr_eq(find("late"), find("(other)"));
    hri_name_took(name, 100);
    hri_name_put(name, 30);
    hri_name_took(find("late"), 7);
    hri_name_made(find("late"));
    ck_assert_uint_eq(sums_of("early").bytes, 70);
    ck_assert_uint_eq(sums_of("early").peak, 100);
    ck_assert_uint_eq(sums_of("(other)").bytes, 7);
    ck_assert_uint_eq(count_names(), 2);
}
END_TEST

START_TEST(without_a_table_nothing_is_counted)
{
    names.slab = NULL;
    ck_assert_ptr_null(find("a"));
    hri_name_made(NULL);
    hri_name_ended(NULL);
    hri_name_failed(NULL);
    hri_name_took(NULL, 1);
    hri_name_put(NULL, 1);
    ck_assert_uint_eq(count_names(), 0);
}
END_TEST

/* One thread: the highest that was ever held, whatever the way there. */
START_TEST(the_peak_of_one_thread_is_exact)
{
    struct hri_name *name = find("one");
    test_rng rng = test_rng_for(1);
    uint64_t held = 0, peak = 0, bytes;

    for (int i = 0; i < 20000; i++) {
        bytes = (1 + test_below(&rng, 40)) * CHUNK;
        if (test_below(&rng, 2) == 0) {
            hri_name_took(name, bytes);
            held += bytes;
        } else if (bytes <= held) {
            hri_name_put(name, bytes);
            held -= bytes;
        }
        if (held > peak)
            peak = held;
        if (test_once_in(&rng, 50))
            EXPECT(sums_of("one").peak == peak && sums_of("one").bytes == held);
    }
    hri_name_put(name, held);
    ck_assert_uint_eq(sums_of("one").peak, peak);
    ck_assert_uint_eq(sums_of("one").bytes, 0);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 8, MANY = 300, ROUNDS = 2000 };

static pthread_barrier_t gate;

/* All live at once: each has a share of its own. */
static void take_less_than_a_look(void *ctx, unsigned index)
{
    (void)ctx, (void)index;
    hri_name_took(find("many"), LOOK - 1);
    pthread_barrier_wait(&gate);
}

START_TEST(who_asks_looks)
{
    const test_role roles[] = {{take_less_than_a_look, THREADS}, {NULL, 0}};

    pthread_barrier_init(&gate, NULL, THREADS);
    test_team(roles, NULL);
    ck_assert_uint_eq(find("many")->peak, 0); /* none had a reason to */
    ck_assert_uint_eq(sums_of("many").peak, THREADS * (LOOK - 1));
    ck_assert_uint_eq(sums_of("many").bytes, THREADS * (LOOK - 1));
}
END_TEST

/* Threads rise and fall; what the looks of the name saw is never far below what was there. */
START_TEST(looks_come_often_enough)
{
    struct hri_name *name = find("rises");
    uint64_t held = 0;

    for (int i = 0; i < 100; i++, held += CHUNK) {
        hri_name_took(name, CHUNK);
        ck_assert_uint_lt(held + CHUNK - name->peak, LOOK);
    }
    hri_name_put(name, 90 * CHUNK);
    ck_assert_uint_eq(name->peak, 100 * CHUNK);
    name->peak = 0; /* as if others had held less: this thread's rise counts from where it is now */
    for (int i = 0; i < 16; i++)
        hri_name_took(name, CHUNK);
    ck_assert_uint_eq(name->peak, 26 * CHUNK);
}
END_TEST

static struct hri_name *seen[THREADS][MANY];

/* All threads look for the same names, in the same order, and count. */
static void insert_and_count(void *ctx, unsigned index)
{
    char name[32];

    (void)ctx;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "name %d", i);
        seen[index][i] = find(name);
        hri_name_made(seen[index][i]);
        hri_name_took(seen[index][i], CHUNK);
    }
    for (unsigned round = 0; round < test_rounds(ROUNDS); round++) {
        hri_name_took(seen[index][0], 2 * CHUNK);
        hri_name_put(seen[index][0], 2 * CHUNK);
        hri_name_failed(seen[index][1]);
    }
    for (int i = 0; i < MANY; i++) {
        hri_name_put(seen[index][i], CHUNK);
        hri_name_ended(seen[index][i]);
    }
}

static atomic_uint at_work;

static void work(void *ctx, unsigned index)
{
    insert_and_count(ctx, index);
    atomic_fetch_sub(&at_work, 1);
}

/* Meanwhile somebody asks: never more than there can be, and no name twice. */
static void ask(void *ctx, unsigned index)
{
    struct hri_name_sums sums;
    uint32_t at;

    (void)ctx, (void)index;
    while (atomic_load(&at_work) != 0 && !test_failed()) {
        at = 0;
        while (hri_names_next(&names, &at, &sums)) {
            TEST_EXPECT(sums.made <= THREADS * MANY && sums.arenas <= sums.made);
            TEST_EXPECT(sums.bytes <= THREADS * MANY * 3 * CHUNK);
        }
    }
}

START_TEST(threads_meet_at_one_record)
{
    const test_role roles[] = {{work, THREADS}, {ask, 1}, {NULL, 0}};
    struct hri_name_sums sums;
    uint64_t made = 0;
    unsigned found = 0;
    uint32_t at = 0;

    atomic_store(&at_work, THREADS);
    test_team(roles, NULL);
    while (hri_names_next(&names, &at, &sums)) {
        found++;
        made += sums.made;
        ck_assert_uint_eq(sums.bytes, 0);
        ck_assert_uint_eq(sums.arenas, 0);
        ck_assert_uint_ge(sums.peak, CHUNK);
    }
    ck_assert_uint_eq(made, THREADS * MANY);
    ck_assert_uint_eq(found, HRI_NAMES_MOST + 1);
    ck_assert_uint_eq(sums_of("name 1").failures, THREADS * test_rounds(ROUNDS));
    for (int i = 0; i < MANY; i++) /* a name that has a record has it for all from then on */
        for (int t = 0; t < THREADS; t++)
            ck_assert(seen[t][i] == seen[0][i] || seen[t][i] == &names.other ||
                      seen[0][i] == &names.other);
}
END_TEST

/* More threads than shards: the last shard is for the rest. */
enum { CROWD = HRI_NAME_SHARDS + 16 };

static void *count_with_all(void *unused)
{
    struct hri_name *name = find("crowd");

    (void)unused;
    pthread_barrier_wait(&gate);
    for (int i = 0; i < 1000; i++) {
        hri_name_took(name, CHUNK);
        hri_name_made(name);
        if (i % 2 == 0)
            hri_name_put(name, CHUNK);
    }
    pthread_barrier_wait(&gate);
    return NULL;
}

START_TEST(more_threads_than_shards_lose_nothing)
{
    pthread_t threads[CROWD];

    pthread_barrier_init(&gate, NULL, CROWD);
    for (int i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_with_all, NULL), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(sums_of("crowd").made, CROWD * 1000);
    ck_assert_uint_eq(sums_of("crowd").bytes, CROWD * 500 * CHUNK);
    ck_assert_uint_gt(find("crowd")->common.made, 0);
}
END_TEST

RUN_TESTS_AROUND("names", make_table, NULL, a_name_has_one_record, what_is_too_long_is_cut,
                 names_beyond_the_bound_are_counted_as_other, who_calls_himself_other_is_other,
                 a_slab_that_is_full_loses_no_figure, without_a_table_nothing_is_counted,
                 the_peak_of_one_thread_is_exact, who_asks_looks, looks_come_often_enough,
                 threads_meet_at_one_record, more_threads_than_shards_lose_nothing)
