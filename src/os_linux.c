/* SPDX-License-Identifier: BSD-2-Clause */
/* The operating system's contract on Linux. Layer 1. */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

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

/* The kernel refuses locked memory (mlock, mlockall) unless it is asked by another name, since Linux 5.18; what is touched
 * again is locked again. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static int linux_purge(void *at, size_t bytes)
{
    if (madvise(at, bytes, MADV_DONTNEED) == 0)
        return 0;
    return errno == EINVAL && madvise(at, bytes, MADV_DONTNEED_LOCKED) == 0 ? 0 : -errno;
}

static int linux_forbid(void *at, size_t bytes)
{
    return mprotect(at, bytes, PROT_NONE) == 0 ? 0 : -errno;
}

static void linux_release(void *at, size_t bytes)
{
    munmap(at, bytes);
}

static int linux_advise_huge(void *at, size_t bytes, bool huge)
{
    return madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0 ? 0 : -errno;
}

static bool linux_is_resident(void *at)
{
    unsigned char page = 0;

    return mincore(at, 1, &page) == 0 && (page & 1) != 0;
}

/* The kernel wants printable ASCII without a few characters, and to be built for it (CONFIG_ANON_VMA_NAME). What is cut
 * out of the mapping later, by mprotect, keeps the name. */
static void linux_name_mapping(void *at, size_t bytes, const char *name)
{
    char allowed[80];
    size_t length = strnlen(name, sizeof(allowed) - 1);
    int saved = errno;

    for (size_t i = 0; i < length; i++)
        allowed[i] =
            name[i] < ' ' || name[i] > '~' || strchr("\\`$[]", name[i]) != NULL ? '_' : name[i];
    allowed[length] = '\0';
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, bytes, allowed);
    errno = saved;
}

/* The word in brackets in one of the kernel's files on huge pages. */
static void read_policy(const char *path, char policy[16])
{
    char text[128], *from, *end;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    policy[0] = '\0';
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return;
    text[length] = '\0';
    from = strchr(text, '[');
    end = from != NULL ? strchr(from, ']') : NULL;
    if (end == NULL || end - from > 15)
        return;
    memcpy(policy, from + 1, (size_t)(end - from - 1));
    policy[end - from - 1] = '\0';
}

static unsigned linux_huge_modes(void)
{
    static const char all[] = "/sys/kernel/mm/transparent_hugepage/enabled";
    static const char *const of_size[] = {
        "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled",
        "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled",
    };
    unsigned modes = 0;
    char policy[16];

    for (unsigned i = 0; i < 2; i++) {
        read_policy(of_size[i], policy);
        /* Kernels before 6.8 know one size and one file. */
        if (strcmp(policy, "inherit") == 0 || (policy[0] == '\0' && i == 0))
            read_policy(all, policy);
        if (strcmp(policy, "always") == 0)
            modes |= HRI_OS_2M_ALWAYS << 2 * i;
        else if (strcmp(policy, "madvise") == 0)
            modes |= HRI_OS_2M_MADVISE << 2 * i;
    }
    return modes;
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

static uint32_t linux_processors(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors > 0 ? (uint32_t)processors : 1;
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
    .forbid = linux_forbid,
    .release = linux_release,
    .advise_huge = linux_advise_huge,
    .is_resident = linux_is_resident,
    .name_mapping = linux_name_mapping,
    .huge_modes = linux_huge_modes,
    .wait = linux_wait,
    .wake = linux_wake,
    .memory = linux_memory,
    .processors = linux_processors,
    .milliseconds = linux_milliseconds,
};
