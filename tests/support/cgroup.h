/* SPDX-License-Identifier: BSD-2-Clause */
/* A memory cgroup for one test program: what its processes really hold, huge pages that are half unmapped included, which
 * the resident set does not tell. cgroup v1 or v2, if this user may make one. */
#ifndef TEST_SUPPORT_CGROUP_H
#define TEST_SUPPORT_CGROUP_H
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char test_cgroup_parent[512], test_cgroup_own[600];

/* Writes a number to a file of a cgroup. */
static inline bool test_cgroup_write(const char *directory, const char *name, long value)
{
    char path[700], text[32];
    int fd, length = snprintf(text, sizeof(text), "%ld", value);
    bool written;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    written = write(fd, text, (size_t)length) == length;
    close(fd);
    return written;
}

/* Where this process's memory cgroup is; v2 without the memory controller has no figures. */
static inline bool test_cgroup_find(void)
{
    char line[400], *path;
    FILE *file = fopen("/proc/self/cgroup", "r");
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        path = strstr(line, ":memory:");
        if (path != NULL)
            snprintf(test_cgroup_parent, sizeof(test_cgroup_parent), "/sys/fs/cgroup/memory%s",
                     path + 8);
        else if (strncmp(line, "0::", 3) == 0 &&
                 access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0)
            snprintf(test_cgroup_parent, sizeof(test_cgroup_parent), "/sys/fs/cgroup%s", line + 3);
        else
            continue;
        found = true;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* Bytes that the cgroup's processes hold; -1: not to be had. */
static inline int64_t test_cgroup_bytes(void)
{
    static const char *const names[] = {"memory.usage_in_bytes", "memory.current"};
    long long bytes = -1;

    for (int i = 0; i < 2 && bytes < 0 && test_cgroup_own[0] != '\0'; i++) {
        char path[700];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", test_cgroup_own, names[i]);
        file = fopen(path, "r");
        if (file != NULL && fscanf(file, "%lld", &bytes) != 1)
            bytes = -1;
        if (file != NULL)
            fclose(file);
    }
    return bytes;
}

/* In the runner, before and after its tests: makes the cgroup and takes it away. */
static inline void test_cgroup_make(void)
{
    if (!test_cgroup_find())
        return;
    snprintf(test_cgroup_own, sizeof(test_cgroup_own), "%s/harena-test-%ld", test_cgroup_parent,
             (long)getpid());
    if (mkdir(test_cgroup_own, 0755) != 0)
        test_cgroup_own[0] = '\0';
}

static inline void test_cgroup_remove(void)
{
    if (test_cgroup_own[0] != '\0')
        rmdir(test_cgroup_own);
}

/* In a test's own process: moves into the cgroup. False: there is none to be had. */
static inline bool test_cgroup_enter(void)
{
    return test_cgroup_own[0] != '\0' &&
           test_cgroup_write(test_cgroup_own, "cgroup.procs", (long)getpid()) &&
           test_cgroup_bytes() >= 0;
}

#endif
