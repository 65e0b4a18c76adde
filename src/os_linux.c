/* SPDX-License-Identifier: BSD-2-Clause */
/* The operating system's contract on Linux. Layer 1. */
#include "os.h"

#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void *linux_reserve(size_t bytes, size_t align)
{
    size_t asked = bytes + align;
    char *at, *aligned, *end;

    if (asked < bytes)
        return NULL;
    at = mmap(NULL, asked, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    aligned = hri_align_pointer(at, align);
    end = aligned + bytes;
    if (aligned != at)
        munmap(at, (size_t)(aligned - at));
    if (end != at + asked)
        munmap(end, (size_t)(at + asked - end));
    return aligned;
}

static int linux_commit(void *at, size_t bytes)
{
    return mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
}

static int linux_purge(void *at, size_t bytes)
{
    return madvise(at, bytes, MADV_DONTNEED) == 0 ? 0 : -errno;
}

static void linux_release(void *at, size_t bytes)
{
    munmap(at, bytes);
}

static void linux_advise_huge(void *at, size_t bytes, bool huge)
{
    madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

static void linux_wait(uint32_t *word, uint32_t seen, int milliseconds)
{
    struct timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1000000L};

    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, milliseconds < 0 ? NULL : &timeout, NULL, 0);
}

static void linux_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static uint64_t linux_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static uint64_t linux_milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct hri_os hri_os = {
    .reserve = linux_reserve,
    .commit = linux_commit,
    .purge = linux_purge,
    .release = linux_release,
    .advise_huge = linux_advise_huge,
    .wait = linux_wait,
    .wake = linux_wake,
    .memory = linux_memory,
    .milliseconds = linux_milliseconds,
};
