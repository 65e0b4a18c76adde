/* SPDX-License-Identifier: BSD-2-Clause */
/* The operating system's contract, as Linux keeps it. */
#include "unit.h"

#include "os.h"

#include <inttypes.h>
#include <stdio.h>

START_TEST(reserve_keeps_the_alignment)
{
    for (size_t align = 4096; align <= 8 * MIB; align *= 4) {
        void *at = hri_os.reserve(3 * MIB, align);

        ck_assert_ptr_nonnull(at);
        ck_assert(aligned_to(at, align));
        hri_os.release(at, 3 * MIB);
    }
}
END_TEST

START_TEST(reserve_of_too_much_is_refused)
{
    ck_assert_ptr_null(hri_os.reserve((size_t)1 << 60, 4096));
    ck_assert_ptr_null(hri_os.reserve(SIZE_MAX - 4095, 65536)); /* with its alignment it wraps */
}
END_TEST

/* The access rights at an address, as the kernel tells them: "rw", "--"; "": nothing is there. */
static const char *rights(const void *at)
{
    static char found[3];
    FILE *maps = fopen("/proc/self/maps", "r");
    uintptr_t from, to;
    char line[512], two[3];

    found[0] = '\0';
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %2s", &from, &to, two) == 3 &&
            (uintptr_t)at >= from && (uintptr_t)at < to)
            memcpy(found, two, sizeof found);
    fclose(maps);
    return found;
}

START_TEST(reserved_addresses_are_not_usable_until_commit)
{
    unsigned char *at = hri_os.reserve(4 * MIB, BLOCK);

    ck_assert_str_eq(rights(at), "--");
    ck_assert_str_eq(rights(at + 4 * MIB - 1), "--");
    ck_assert_int_eq(hri_os.commit(at, BLOCK), 0);
    ck_assert_str_eq(rights(at), "rw");
    ck_assert(all_bytes(at, BLOCK, 0));
    memset(at, 1, BLOCK);
    ck_assert_int_eq(hri_os.commit(at, BLOCK), 0); /* idempotent: nothing is lost */
    ck_assert(all_bytes(at, BLOCK, 1));
    ck_assert_str_eq(rights(at + BLOCK), "--");
    hri_os.release(at, 4 * MIB);
    ck_assert_str_eq(rights(at), "");
    ck_assert_str_eq(rights(at + 4 * MIB - 1), "");
}
END_TEST

START_TEST(purged_memory_reads_as_zero)
{
    unsigned char *at = hri_os.reserve(BLOCK, BLOCK);

    ck_assert_int_eq(hri_os.commit(at, BLOCK), 0);
    memset(at, 1, BLOCK);
    ck_assert_int_eq(hri_os.purge(at, BLOCK / 2), 0);
    ck_assert(all_bytes(at, BLOCK / 2, 0));
    ck_assert(all_bytes(at + BLOCK / 2, BLOCK / 2, 1));
    hri_os.advise_huge(at, BLOCK, true);
    hri_os.advise_huge(at, BLOCK, false);
    ck_assert(all_bytes(at + BLOCK / 2, BLOCK / 2, 1));
    hri_os.release(at, BLOCK);
}
END_TEST

START_TEST(what_is_not_reserved_gives_an_error)
{
    char *at = hri_os.reserve(BLOCK, BLOCK);

    hri_os.release(at, BLOCK);
    ck_assert_int_lt(hri_os.commit(at, BLOCK), 0);
    ck_assert_int_lt(hri_os.purge(at, BLOCK), 0);
}
END_TEST

static uint32_t word;

static void *wake_it(void *unused)
{
    (void)unused;
    usleep(20000);
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
    hri_os.wake(&word);
    return NULL;
}

START_TEST(wait_ends_by_wake_by_time_or_at_once)
{
    pthread_t thread;
    uint64_t before = hri_os.milliseconds();

    hri_os.wait(&word, 1, -1); /* it holds another value */
    hri_os.wait(&word, 0, 30);
    ck_assert_uint_ge(hri_os.milliseconds() - before, 10);
    ck_assert_int_eq(pthread_create(&thread, NULL, wake_it, NULL), 0);
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 0)
        hri_os.wait(&word, 0, -1);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(the_machine_has_memory_and_processors)
{
    ck_assert_uint_gt(hri_os.memory(), 16 * MIB);
    ck_assert_uint_eq(hri_os.processors(), (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
}
END_TEST

RUN_TESTS("os_linux", reserve_keeps_the_alignment, reserve_of_too_much_is_refused,
          reserved_addresses_are_not_usable_until_commit, purged_memory_reads_as_zero,
          what_is_not_reserved_gives_an_error, wait_ends_by_wake_by_time_or_at_once,
          the_machine_has_memory_and_processors)
