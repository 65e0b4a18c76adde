/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of another process. Layer 9.
 *
 * It is read, and never through a mapping: its process, or another of its user's, may cut it short at any time.
 *
 * A file is stale if no process has its number, if the process with that number began at another time, or if it does not
 * have the file mapped: then it is another program by now (exec) and knows nothing of it. */
#define _GNU_SOURCE 1
#include "share_file.h"

#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_MS = 50, READ_TRIES = 200 };

static bool no(struct share_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool no(struct share_file *file, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(file->why, sizeof(file->why), format, args);
    va_end(args);
    return false;
}

/* ---- the process ---- */

/* Whether the process has this user, as its real, effective or saved one. */
static bool is_user_of(uint32_t pid, uid_t user)
{
    unsigned real, effective, saved;
    bool found = false;
    char line[256];
    FILE *status;

    snprintf(line, sizeof(line), "/proc/%u/status", pid);
    status = fopen(line, "re");
    while (status != NULL && !found && fgets(line, sizeof(line), status) != NULL)
        found = sscanf(line, "Uid: %u %u %u", &real, &effective, &saved) == 3 &&
                (user == real || user == effective || user == saved);
    if (status != NULL)
        fclose(status);
    return found;
}

/* Whether the process has the file in its memory; also if it cannot be told. */
static bool has_mapped(uint32_t pid, uint64_t inode)
{
    char line[1024];
    uint64_t number;
    bool found = false, readable = false;
    FILE *maps;

    snprintf(line, sizeof(line), "/proc/%u/maps", pid);
    maps = fopen(line, "re");
    if (maps == NULL)
        return errno != ENOENT;
    while (!found && fgets(line, sizeof(line), maps) != NULL) {
        readable = true;
        found = sscanf(line, "%*s %*s %*s %*s %" SCNu64, &number) == 1 && number == inode &&
                strstr(line, "/harena-") != NULL;
    }
    fclose(maps);
    return found || !readable;
}

bool share_file_lives(struct share_file *file)
{
    if (file->fd < 0 || hri_process_start(file->pid) != file->head.start)
        return no(file, "process %u has ended", file->pid);
    if (!has_mapped(file->pid, file->inode))
        return no(file, "process %u runs another program by now; its last one left %s", file->pid,
                  file->path);
    return true;
}

/* ---- find ---- */

/* Looks into one directory for harena-PID-START. True: file->path is it. A file of the same PID and another START is
 * told of in file->why. */
static bool find_in(struct share_file *file, const char *directory, uint64_t start)
{
    char prefix[32], *end;
    DIR *entries = directory != NULL ? opendir(directory) : NULL;
    const struct dirent *entry;
    bool found = false;

    if (entries == NULL)
        return false;
    snprintf(prefix, sizeof(prefix), "harena-%u-", file->pid);
    while (!found && (entry = readdir(entries)) != NULL) {
        uint64_t of_file;

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        of_file = strtoull(entry->d_name + strlen(prefix), &end, 10);
        if (*end != '\0')
            continue;
        found = start != 0 && of_file == start;
        if (found)
            snprintf(file->path, sizeof(file->path), "%s/%s", directory, entry->d_name);
        else
            no(file, "%s/%s is stale: the process that made it has ended", directory,
               entry->d_name);
    }
    closedir(entries);
    return found;
}

static bool find(struct share_file *file)
{
    uint64_t start = hri_process_start(file->pid);
    const char *directory = getenv("XDG_RUNTIME_DIR");
    char of_user[64], of_process[64];
    struct stat status;

    no(file,
       start == 0 ? "there is no process %u"
                  : "process %u shows nothing: it has to run with HARENA_STAT=1 in its "
                    "environment, or call harena_stat_share()",
       file->pid);
    if (find_in(file, directory, start))
        return true;
    snprintf(of_process, sizeof(of_process), "/proc/%u", file->pid);
    snprintf(of_user, sizeof(of_user), "/run/user/%u",
             stat(of_process, &status) == 0 ? status.st_uid : getuid());
    return find_in(file, of_user, start) || find_in(file, "/dev/shm", start);
}

/* ---- open ---- */

static bool is_trusted(struct share_file *file, const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return no(file, "%s is not trusted: no regular file", file->path);
    if ((status->st_mode & 077) != 0)
        return no(file, "%s is not trusted: others than its owner may use it (mode %o)", file->path,
                  status->st_mode & 0777u);
    if (!is_user_of(file->pid, status->st_uid))
        return no(file, "%s is not trusted: its owner is not the user of process %u", file->path,
                  file->pid);
    return true;
}

static bool read_head(struct share_file *file)
{
    return hri_share_read_head(file->fd, &file->head) ||
           no(file, "%s is no file of Harena's: too short", file->path);
}

static bool has_right_head(struct share_file *file, off_t size)
{
    const struct hri_share_head *head = &file->head;

    if (!read_head(file))
        return false;
    if (memcmp(head->magic, HRI_SHARE_MAGIC, sizeof(head->magic)) != 0)
        return no(file, "%s is no file of Harena's", file->path);
    if (head->version != HRI_SHARE_VERSION)
        return no(file, "%s is of another version of Harena (%u, not %u)", file->path,
                  head->version, HRI_SHARE_VERSION);
    if (size > (off_t)(HRI_SHARE_HEAD + HRI_SHARE_SECTIONS * HRI_SHARE_SECTION))
        return no(file, "%s is no file of Harena's: too long", file->path);
    if (head->pid != file->pid)
        return no(file, "%s is of another process (%u)", file->path, head->pid);
    return share_file_lives(file);
}

static bool open_descriptor(struct share_file *file)
{
    struct stat status;
    void *at;

    if (fstat(file->fd, &status) != 0)
        return no(file, "%s: %s", file->path, strerror(errno));
    file->inode = status.st_ino;
    if (!is_trusted(file, &status))
        return false;
    if (status.st_size < (off_t)HRI_SHARE_HEAD)
        return no(file, "%s is no file of Harena's: too short", file->path);
    if (!has_right_head(file, status.st_size))
        return false;
    at = mmap(NULL, HRI_SHARE_HEAD, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    if (at == MAP_FAILED)
        return no(file, "%s: %s", file->path, strerror(errno));
    file->page = at;
    return true;
}

bool share_file_open(struct share_file *file, uint32_t pid)
{
    *file = (struct share_file){.pid = pid, .fd = -1};
    if (!find(file))
        return false;
    /* Neither a link nor a pipe that somebody may have put there leads anywhere. */
    file->fd = open(file->path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file->fd < 0)
        return no(file, "%s: %s", file->path, strerror(errno));
    if (open_descriptor(file))
        return true;
    share_file_close(file);
    return false;
}

void share_file_close(struct share_file *file)
{
    if (file->page != NULL)
        munmap(file->page, HRI_SHARE_HEAD);
    if (file->fd >= 0)
        close(file->fd);
    file->page = NULL;
    file->fd = -1;
}

/* ---- ask and read ---- */

bool share_file_ask(struct share_file *file, int milliseconds)
{
    int error = hri_process_raise(&file->page->request);
    uint32_t request;

    if (!read_head(file))
        return false;
    if (error != 0)
        return no(file, "%s: %s", file->path, strerror(-error));
    request = file->head.request; /* ours, or a later one */
    for (int waited = 0; !hri_share_is_answered(&file->head, request); waited += SLICE_MS) {
        if (waited >= milliseconds)
            return no(file, "process %u does not answer: is it stopped?", file->pid);
        if (!share_file_lives(file))
            return false;
        hri_process_wait(&file->page->answer, file->head.answer, SLICE_MS);
        if (!read_head(file))
            return false;
    }
    return true;
}

static enum hri_share_seen read_section(int fd, uint32_t index, struct hri_share_content *content)
{
    const struct timespec pause = {0, 1000000};
    enum hri_share_seen seen = HRI_SHARE_BUSY;

    for (int tries = 0; tries < READ_TRIES; tries++) {
        seen = hri_share_read(fd, index, content);
        if (seen != HRI_SHARE_BUSY)
            break;
        nanosleep(&pause, NULL);
    }
    return seen;
}

/* What another process wrote is not believed in what memory depends on. */
static void make_safe(struct hri_share_content *content)
{
    content->name[HRI_NAME_SIZE - 1] = '\0';
    if (content->name_count > HRI_SHARE_NAMES)
        content->name_count = HRI_SHARE_NAMES;
    for (uint64_t i = 0; i < content->name_count; i++)
        content->names[i].name[HRI_NAME_SIZE - 1] = '\0';
}

bool share_file_read(struct share_file *file, struct hri_share_content contents[HRI_SHARE_SECTIONS],
                     uint32_t *count)
{
    *count = 0;
    if (!read_head(file))
        return false;
    for (uint32_t i = 0; i < file->head.sections && i < HRI_SHARE_SECTIONS; i++) {
        struct hri_share_content *content = &contents[*count];
        enum hri_share_seen seen = read_section(file->fd, i, content);

        if (seen == HRI_SHARE_SHORT)
            return no(file, "%s is no file of Harena's: too short for the %u providers it tells of",
                      file->path, file->head.sections);
        if (seen != HRI_SHARE_WHOLE || content->used == 0)
            continue;
        make_safe(content);
        ++*count;
    }
    return true;
}
