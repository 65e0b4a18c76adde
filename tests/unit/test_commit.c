/* SPDX-License-Identifier: BSD-2-Clause */
/* Which blocks are advised for or against huge pages, by the provider's policy and the kernel's. */
#include "os.h"
#include "unit.h"

enum advice { NOTHING, FOR, AGAINST };

static struct hri_os real;
static unsigned modes, calls;
static char *region;
static enum advice last[512];     /* by block */
static size_t purged[512];        /* bytes, by block */
static enum advice at_purge[512]; /* what was advised when some of it went back last */

static unsigned test_modes(void)
{
    return modes;
}

static int record_advice(void *at, size_t bytes, bool huge)
{
    size_t block = (size_t)((char *)at - region) / BLOCK;

    EXPECT(bytes % BLOCK == 0 && (uintptr_t)at % BLOCK == 0 && block + bytes / BLOCK <= 512);
    for (size_t end = block + bytes / BLOCK; block < end; block++)
        last[block] = huge ? FOR : AGAINST;
    calls++;
    return 0;
}

static int record_purge(void *at, size_t bytes)
{
    size_t block = (size_t)((char *)at - region) / BLOCK;

    EXPECT(block < 512);
    purged[block] += bytes;
    at_purge[block] = last[block];
    return real.purge(at, bytes);
}

static void *remember_region(size_t bytes, size_t align)
{
    void *at = real.reserve(bytes, align);

    if (align == BLOCK)
        region = at;
    return at;
}

static void set_up(void)
{
    real = hri_os;
    hri_os.huge_modes = test_modes;
    hri_os.advise_huge = record_advice;
    hri_os.reserve = remember_region;
    hri_os.purge = record_purge;
}

static void tear_down(void)
{
    hri_os = real;
}

static harena_provider *make(enum harena_huge_pages policy, unsigned kernel)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    modes = kernel;
    options.reserve = GIB;
    options.huge_pages = policy;
    return SUCCEEDS(harena_provider_create(&options));
}

/* Fills the first `blocks` blocks with single chunks; they stay in use. */
static void fill_blocks(harena_provider *p, size_t blocks)
{
    for (size_t i = 0; i < blocks * BLOCK / CHUNK; i++)
        (void)SUCCEEDS(harena_chunk_get(p));
}

/* What single chunks find in the first block, and in later ones. */
static const struct {
    enum harena_huge_pages policy;
    unsigned kernel;
    enum advice first, later;
} cases[] = {
    {HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE, AGAINST, FOR},
    {HARENA_HUGE_AUTO, HRI_OS_2M_ALWAYS, AGAINST, FOR},
    {HARENA_HUGE_AUTO, 0, NOTHING, NOTHING},
    {HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE | HRI_OS_64K_ALWAYS, NOTHING, FOR},
    {HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE | HRI_OS_64K_MADVISE, AGAINST, FOR},
    {HARENA_HUGE_AUTO, HRI_OS_2M_ALWAYS | HRI_OS_64K_ALWAYS, AGAINST, FOR},
    {HARENA_HUGE_AUTO, HRI_OS_64K_MADVISE, FOR, FOR},
    {HARENA_HUGE_AUTO, HRI_OS_64K_ALWAYS, NOTHING, NOTHING},
    {HARENA_HUGE_ON, HRI_OS_2M_MADVISE, FOR, FOR},
    {HARENA_HUGE_ON, 0, FOR, FOR},
    {HARENA_HUGE_OFF, HRI_OS_2M_MADVISE, AGAINST, AGAINST},
    {HARENA_HUGE_OFF, HRI_OS_2M_ALWAYS | HRI_OS_64K_ALWAYS, AGAINST, AGAINST},
};

START_TEST(blocks_of_chunks_by_policy_and_kernel)
{
    harena_provider *p = make(cases[_i].policy, cases[_i].kernel);

    fill_blocks(p, 8);
    for (int block = 0; block < 8; block++) {
        enum advice expected = block == 0 ? cases[_i].first : cases[_i].later;

        ck_assert_msg(last[block] == expected, "case %d, block %d: %d, not %d", _i, block,
                      last[block], expected);
    }
    ck_assert_uint_le(calls, 9); /* for all of them, and one system call a block at most */
}
END_TEST

START_TEST(blocks_that_a_run_covers_are_huge_its_end_is_not)
{
    harena_provider *p = make(HARENA_HUGE_AUTO, HRI_OS_2M_ALWAYS);
    harena *arena = arena_of(p, 0);
    size_t first;
    char *run = SUCCEEDS(harena_alloc(arena, 10 * BLOCK + 1));

    first = (size_t)(run - region) / BLOCK;
    for (size_t block = first; block < first + 10; block++)
        ck_assert_int_eq(last[block], FOR);
    ck_assert_int_eq(last[first + 10], AGAINST);
    harena_release(arena);
    ends_clean(p);
}
END_TEST

START_TEST(block_that_went_back_is_advised_anew)
{
    harena_provider *p = make(HARENA_HUGE_AUTO, HRI_OS_2M_ALWAYS);
    harena *arena = arena_of(p, 0);

    (void)SUCCEEDS(harena_alloc(arena, 10 * BLOCK));
    ck_assert_int_eq(last[0], FOR);
    harena_release(arena);
    harena_provider_trim(p, 0);
    (void)SUCCEEDS(harena_chunk_get(p));
    ck_assert_int_eq(last[0], AGAINST); /* a small process again */
}
END_TEST

START_TEST(block_in_use_is_not_advised_again)
{
    harena_provider *p = make(HARENA_HUGE_AUTO, HRI_OS_2M_ALWAYS);
    void *chunk = SUCCEEDS(harena_chunk_get(p));
    unsigned before = calls;

    for (int i = 0; i < 100; i++) {
        harena_chunk_put(p, chunk);
        chunk = SUCCEEDS(harena_chunk_get(p));
        (void)SUCCEEDS(harena_chunk_get(p)); /* cold chunks, too, of four blocks */
    }
    ck_assert_uint_eq(calls, before); /* the others are as all were to be */
}
END_TEST

/* ---- how much is made usable at once ---- */

static unsigned commits;
static size_t committed; /* bytes of the region */
static size_t refused;   /* more at once than so much */

static int count_commit(void *at, size_t bytes)
{
    if (region == NULL || (char *)at < region || (char *)at >= region + GIB)
        return real.commit(at, bytes);
    if (bytes > refused)
        return -ENOMEM;
    commits++;
    committed += bytes;
    return real.commit(at, bytes);
}

START_TEST(the_more_is_in_use_the_more_is_asked_for_at_once)
{
    harena_provider *p = make(HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE);

    refused = SIZE_MAX;
    hri_os.commit = count_commit;
    (void)SUCCEEDS(harena_chunk_get(p));
    ck_assert_uint_eq(committed, 4 * BLOCK); /* a small process */
    fill_blocks(p, 4);
    ck_assert_uint_eq(committed, 8 * BLOCK);
    fill_blocks(p, 60);
    ck_assert_uint_eq(committed, 128 * BLOCK);
    ck_assert_uint_eq(commits, 2 * 6);                            /* each time one, then more */
    ck_assert_uint_eq(stats_of(p).committed, 64 * BLOCK + CHUNK); /* what is held, as ever */
}
END_TEST

/* Another thread: fills what is left of block 6, and a part of block 7. */
static void *take_forty(void *p)
{
    for (int i = 0; i < 40; i++)
        EXPECT(hidden(harena_chunk_get(p)) != 0);
    return NULL;
}

static int refuse_from_8(void *at, size_t bytes)
{
    return (char *)at >= region + 8 * BLOCK ? -ENOMEM : real.commit(at, bytes);
}

START_TEST(who_is_refused_a_block_is_served_from_another)
{
    harena_provider *p = make(HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE);
    pthread_t other;
    char *chunk;

    fill_blocks(p, 6);
    (void)SUCCEEDS(harena_chunk_get(p));
    ck_assert_int_eq(pthread_create(&other, NULL, take_forty, p), 0);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    hri_os.commit = refuse_from_8;
    for (int i = 0; i < 23; i++) {
        chunk = SUCCEEDS(harena_chunk_get(p));
        ck_assert_int_eq((chunk - region) / (ptrdiff_t)BLOCK, 7);
    }
    FAILS(ENOMEM, harena_chunk_get(p));
    hri_os.commit = real.commit;
    chunk = SUCCEEDS(harena_chunk_get(p));
    ck_assert_int_eq((chunk - region) / (ptrdiff_t)BLOCK, 8);
}
END_TEST

START_TEST(what_is_refused_at_once_is_asked_for_by_blocks)
{
    harena_provider *p = make(HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE);
    harena *arena = arena_of(p, 0);

    refused = BLOCK;
    hri_os.commit = count_commit;
    memset(SUCCEEDS(harena_alloc(arena, 40 * BLOCK)), 1, 40 * BLOCK);
    ck_assert_uint_ge(commits, 40);
    ck_assert_uint_eq(committed, commits * BLOCK);
    ck_assert_uint_eq(stats_of(p).failures, 0);
    harena_release(arena);
    ends_clean(p);
}
END_TEST

/* ---- with a hard limit ---- */

/* A process that uses eight chunks of a huge page, and has the first four blocks in use. */
static harena_provider *make_with_a_rest(enum harena_huge_pages policy, size_t limit)
{
    harena_provider *p = make(policy, HRI_OS_2M_MADVISE);

    harena_provider_set_limit(p, limit);
    fill_blocks(p, 4);
    for (int i = 0; i < 8; i++)
        (void)SUCCEEDS(harena_chunk_get(p));
    return p;
}

START_TEST(block_for_which_the_limit_has_no_room_is_small)
{
    enum harena_huge_pages policy = _i == 0 ? HARENA_HUGE_AUTO : HARENA_HUGE_ON;
    enum advice otherwise = policy == HARENA_HUGE_AUTO ? AGAINST : FOR;

    (void)make_with_a_rest(policy, 5 * BLOCK);
    ck_assert_int_eq(last[0], otherwise);
    ck_assert_int_eq(last[4], FOR); /* it fits to the byte */
    (void)make_with_a_rest(policy, 5 * BLOCK - CHUNK);
    ck_assert_int_eq(last[0], otherwise);
    ck_assert_int_eq(last[4], AGAINST);
}
END_TEST

/* Whole blocks bring nothing more than what is committed of them, and what is taken out of the rest is counted once. */
START_TEST(rest_of_a_huge_page_stays_while_the_limit_has_room)
{
    harena_provider *p = make_with_a_rest(HARENA_HUGE_AUTO, 7 * BLOCK);
    harena *arena = arena_of(p, 0);

    (void)SUCCEEDS(harena_alloc(arena, BLOCK));
    (void)SUCCEEDS(harena_alloc(arena, BLOCK));
    for (int i = 0; i < 24; i++)
        (void)SUCCEEDS(harena_chunk_get(p));
    ck_assert_int_eq(last[4], FOR);
    ck_assert_uint_eq(stats_of(p).committed, 7 * BLOCK);
    for (int block = 0; block < 8; block++)
        ck_assert_uint_eq(purged[block], 0);
}
END_TEST

/* Also if there was no limit when it came. */
START_TEST(rest_of_a_huge_page_goes_back_before_others_are_served)
{
    harena_provider *p = make_with_a_rest(HARENA_HUGE_AUTO, _i == 0 ? 6 * BLOCK : 0);
    harena *arena = arena_of(p, 0);

    harena_provider_set_limit(p, 6 * BLOCK);

    (void)SUCCEEDS(harena_alloc(arena, BLOCK));
    ck_assert_uint_eq(purged[4], 0);
    harena_provider_set_limit(p, 6 * BLOCK - CHUNK);
    ck_assert_uint_eq(purged[4], 24 * CHUNK);
    ck_assert_int_eq(at_purge[4], AGAINST);
    ck_assert_uint_eq(stats_of(p).committed, 5 * BLOCK + 8 * CHUNK);
    for (int i = 0; i < 23; i++)
        (void)SUCCEEDS(harena_chunk_get(p));
    FAILS(ENOMEM, harena_chunk_get(p));
    ck_assert_uint_eq(purged[4], 24 * CHUNK);
}
END_TEST

/* A huge page in their place, by khugepaged or by a touch, would bring back what the limit has ceased to count. */
START_TEST(block_that_loses_single_chunks_is_no_longer_huge)
{
    enum { BLOCKS = 8, SINGLES = 2, CHUNKS = BLOCKS * BLOCK / CHUNK };
    harena_provider *p = make(HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE);
    harena *arena = arena_of(p, 0);
    char *apart[SINGLES] = {NULL};

    (void)SUCCEEDS(harena_alloc(arena, 1)); /* has its own first chunk */
    for (size_t i = 1; i < CHUNKS; i++) {
        char *chunk = SUCCEEDS(harena_chunk_get(p));

        for (size_t n = 0; n < SINGLES; n++)
            if (chunk == region + 6 * BLOCK + (2 * n + 1) * CHUNK)
                apart[n] = chunk;
    }
    ck_assert_int_eq(last[6], FOR);
    harena_provider_set_limit(p, BLOCKS * BLOCK);
    for (size_t n = 0; n < SINGLES; n++)
        harena_chunk_put(p, SUCCEEDS(apart[n]));
    (void)SUCCEEDS(harena_alloc(arena, SINGLES * CHUNK - 4096));
    ck_assert_uint_eq(purged[6], SINGLES * CHUNK);
    ck_assert_int_eq(at_purge[6], AGAINST);
    ck_assert_int_eq(last[7], FOR);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commit");
    SRunner *runner = srunner_create(suite);
    TCase *tests = tcase_create("commit");
    int failures;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, blocks_of_chunks_by_policy_and_kernel, 0,
                        (int)(sizeof cases / sizeof *cases));
    tcase_add_test(tests, blocks_that_a_run_covers_are_huge_its_end_is_not);
    tcase_add_test(tests, block_that_went_back_is_advised_anew);
    tcase_add_test(tests, block_in_use_is_not_advised_again);
    tcase_add_test(tests, the_more_is_in_use_the_more_is_asked_for_at_once);
    tcase_add_test(tests, who_is_refused_a_block_is_served_from_another);
    tcase_add_test(tests, what_is_refused_at_once_is_asked_for_by_blocks);
    tcase_add_loop_test(tests, block_for_which_the_limit_has_no_room_is_small, 0, 2);
    tcase_add_test(tests, rest_of_a_huge_page_stays_while_the_limit_has_room);
    tcase_add_loop_test(tests, rest_of_a_huge_page_goes_back_before_others_are_served, 0, 2);
    tcase_add_test(tests, block_that_loses_single_chunks_is_no_longer_huge);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
