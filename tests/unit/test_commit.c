/* SPDX-License-Identifier: BSD-2-Clause */
/* Which blocks are advised for or against huge pages, by the provider's policy and the kernel's. */
#include "os.h"
#include "unit.h"

enum advice { NOTHING, FOR, AGAINST };

static struct hri_os real;
static unsigned modes, calls;
static char *region;
static enum advice last[512]; /* by block */

static unsigned test_modes(void)
{
    return modes;
}

static void record_advice(void *at, size_t bytes, bool huge)
{
    size_t block = (size_t)((char *)at - region) / BLOCK;

    EXPECT(bytes == BLOCK && (uintptr_t)at % BLOCK == 0 && block < 512);
    last[block] = huge ? FOR : AGAINST;
    calls++;
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

/* What single chunks find in the first blocks, and in later ones. */
static const struct {
    enum harena_huge_pages policy;
    unsigned kernel;
    enum advice first, later;
} cases[] = {
    {HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE, NOTHING, FOR},
    {HARENA_HUGE_AUTO, HRI_OS_2M_ALWAYS, AGAINST, FOR},
    {HARENA_HUGE_AUTO, 0, NOTHING, NOTHING},
    {HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE | HRI_OS_64K_ALWAYS, NOTHING, FOR},
    {HARENA_HUGE_AUTO, HRI_OS_2M_MADVISE | HRI_OS_64K_MADVISE, NOTHING, FOR},
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
        enum advice expected = block < 4 ? cases[_i].first : cases[_i].later;

        ck_assert_msg(last[block] == expected, "case %d, block %d: %d, not %d", _i, block,
                      last[block], expected);
    }
    ck_assert_uint_le(calls, 8); /* one system call a block at most */
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
    ck_assert_uint_eq(calls, before + 3);
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
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
