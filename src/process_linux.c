/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes on Linux: /proc, and futexes that are not private. Layer 1. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { START_FIELD = 22 }; /* of /proc/PID/stat, counted from 1 */

uint64_t hri_process_start(uint32_t pid)
{
    char path[32], text[1024], *at;
    int fd, saved = errno;
    ssize_t length;

    snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    errno = saved;
    if (length <= 0)
        return 0;
    text[length] = '\0';
    at = strrchr(text, ')'); /* the second field may hold anything but ends here */
    for (int field = 2; at != NULL && field < START_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

void hri_process_wait(uint32_t *word, uint32_t seen, int milliseconds)
{
    struct timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1000000L};

    syscall(SYS_futex, word, FUTEX_WAIT, seen, milliseconds < 0 ? NULL : &timeout, NULL, 0);
}

void hri_process_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int hri_process_raise(uint32_t *word)
{
    int saved = errno, error = 0;

    /* Wakes those who wait on the first word, and then no more: none of the second one's. */
    if (syscall(SYS_futex, word, FUTEX_WAKE_OP, INT_MAX, 0L, word,
                FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_LT, 0)) < 0)
        error = -errno;
    errno = saved;
    return error;
}

uint64_t hri_process_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
