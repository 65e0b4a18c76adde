/* SPDX-License-Identifier: BSD-2-Clause */
/* The slab of records: alignment, reuse within a size, its end, an OS that refuses. */
#include "unit.h"

#include "os.h"
#include "slab.h"

enum { SIZE = 1 << 20 };

static struct hri_slab slab __attribute__((aligned(64)));
static char *base;
static struct hri_os real;
static bool refuse;

static int commit(void *at, size_t bytes)
{
    EXPECT((char *)at >= base && (char *)at + bytes <= base + SIZE);
    return refuse ? -ENOMEM : real.commit(at, bytes);
}

static void with_slab(void)
{
    real = hri_os;
    hri_os.commit = commit;
    refuse = false;
    base = hri_os.reserve(SIZE, 65536);
    ck_assert_ptr_nonnull(base);
    hri_slab_init(&slab, base, SIZE);
}

static void without_slab(void)
{
    hri_os = real;
    hri_os.release(base, SIZE);
}

START_TEST(records_are_aligned_zero_and_apart)
{
    enum { COUNT = 200 };
    unsigned char *records[COUNT];

    for (int at = 0; at < COUNT; at++) {
        size_t size = (size_t)(1 + at % 4 * 100);

        records[at] = hri_slab_get(&slab, size);
        EXPECT(records[at] != NULL && aligned_to(records[at], 64));
        EXPECT(all_bytes(records[at], size, 0));
        memset(records[at], at, size);
    }
    for (int at = 0; at < COUNT; at++)
        EXPECT(all_bytes(records[at], (size_t)(1 + at % 4 * 100), (unsigned char)at));
}
END_TEST

START_TEST(a_record_given_back_keeps_its_bytes_and_serves_again)
{
    enum { SIZE_OF_15_LINES = 15 * 64 };
    unsigned char *record = hri_slab_get(&slab, SIZE_OF_15_LINES);
    size_t used;

    memset(record, 7, SIZE_OF_15_LINES);
    hri_slab_put(&slab, record, SIZE_OF_15_LINES);
    EXPECT(all_bytes(record, SIZE_OF_15_LINES, 7));
    used = slab.used;
    EXPECT(hri_slab_get(&slab, 100) != (void *)record); /* another size: another class */
    EXPECT(slab.used > used);
    used = slab.used;
    EXPECT(hri_slab_get(&slab, SIZE_OF_15_LINES) == (void *)record);
    EXPECT(all_bytes(record, SIZE_OF_15_LINES, 7));
    EXPECT(slab.used == used);
}
END_TEST

START_TEST(records_by_the_thousand_come_back_each_once)
{
    enum { COUNT = 1000 };
    static void *records[COUNT];
    size_t used;

    for (int at = 0; at < COUNT; at++)
        EXPECT((records[at] = hri_slab_get(&slab, 200)) != NULL);
    used = slab.used;
    for (int round = 0; round < 3; round++) {
        for (int at = 0; at < COUNT; at++)
            hri_slab_put(&slab, records[at], 200);
        for (int at = 0; at < COUNT; at++) {
            records[at] = hri_slab_get(&slab, 200);
            memset(records[at], at % 251, 200);
        }
        for (int at = 0; at < COUNT; at++)
            EXPECT(all_bytes(records[at], 200, (unsigned char)(at % 251)));
    }
    EXPECT(slab.used == used);
}
END_TEST

START_TEST(a_full_slab_gives_null_and_serves_what_comes_back)
{
    void *record, *last = NULL;
    size_t count = 0;

    while ((record = hri_slab_get(&slab, 5000)) != NULL) {
        memset(record, 1, 5000);
        last = record;
        count++;
    }
    EXPECT(count > SIZE / 5300 && count <= SIZE / 5000);
    EXPECT(hri_slab_get(&slab, SIZE + 1) == NULL);
    hri_slab_put(&slab, last, 5000);
    EXPECT(hri_slab_get(&slab, 5000) == last);
    EXPECT(hri_slab_get(&slab, 5000) == NULL);
}
END_TEST

START_TEST(more_sizes_than_classes_give_null)
{
    for (size_t class = 0; class < HRI_SLAB_CLASSES; class ++)
        EXPECT(hri_slab_get(&slab, 1 + class * 128) != NULL);
    EXPECT(hri_slab_get(&slab, 1 + HRI_SLAB_CLASSES * 128) == NULL);
    EXPECT(hri_slab_get(&slab, 1) != NULL);
}
END_TEST

START_TEST(an_os_that_refuses_gives_null_and_takes_nothing)
{
    size_t used;

    refuse = true;
    EXPECT(hri_slab_get(&slab, 100) == NULL);
    used = slab.used;
    EXPECT(hri_slab_get(&slab, 100) == NULL);
    EXPECT(slab.used == used);
    refuse = false;
    memset(hri_slab_get(&slab, 100), 1, 100);
}
END_TEST

RUN_TESTS_AROUND("slab", with_slab, without_slab, records_are_aligned_zero_and_apart,
                 a_record_given_back_keeps_its_bytes_and_serves_again,
                 records_by_the_thousand_come_back_each_once,
                 a_full_slab_gives_null_and_serves_what_comes_back,
                 more_sizes_than_classes_give_null, an_os_that_refuses_gives_null_and_takes_nothing)
