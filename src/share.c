/* SPDX-License-Identifier: BSD-2-Clause */
/* The writer of the file that harena-stat reads. Layer 3.
 *
 * A thread of the library's sleeps until somebody asks, then copies the figures of all providers that are shown, at most
 * SHARE_PAUSE_MS apart. So the application's threads do nothing for it, on no path, and the figures are those of the
 * moment also of a process that is idle. The thread takes a lock that else only those take who begin or end to show a
 * provider.
 *
 * fork: the mappings stay with the parent, the child has no thread, and begins anew if it shows a provider. exec: the
 * file stays, but nobody has it mapped; the reader sees that, and the next program of the process replaces it. */
#define _GNU_SOURCE 1 /* secure_getenv */
#include "share.h"

#include "process.h"
#include "provider.h"
#include "share_format.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SHARE_PAUSE_MS = 50, SHARE_STACK = 256 << 10 };

struct shown {
    harena_provider *provider; /* NULL: none */
    struct hri_share_section *section;
};

/* Under `lock`, but the head, which stays where it is once it is there. */
static struct {
    struct hri_share_head *head; /* NULL: no file */
    dev_t device;                /* of the file */
    ino_t inode;
    uint32_t pid;
    bool thread;   /* it runs */
    bool handlers; /* for fork; registered at load, for each provider that goes takes the lock */
    uint32_t sections;
    struct shown shown[HRI_SHARE_SECTIONS];
    struct hri_share_content content;
    char path[256];
} share;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the file ---- */

/* A directory of the user's own, or NULL. */
static const char *runtime_directory(void)
{
    const char *directory = secure_getenv("XDG_RUNTIME_DIR");
    struct stat status;

    if (directory == NULL || directory[0] != '/' || stat(directory, &status) != 0 ||
        !S_ISDIR(status.st_mode) || status.st_uid != geteuid())
        return NULL;
    return directory;
}

/* What a program left that this process ran before: it has the same name. */
static void remove_own(const char *path)
{
    struct stat status;

    if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid())
        unlink(path);
}

static int create_in(const char *directory)
{
    int length = snprintf(share.path, sizeof(share.path), "%s/harena-%u-%llu", directory, share.pid,
                          (unsigned long long)hri_process_start(share.pid));
    int fd;

    if (length < 0 || (size_t)length >= sizeof(share.path))
        return -ENAMETOOLONG;
    remove_own(share.path);
    fd = open(share.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : -errno;
}

/* The next `bytes` of the file, in memory of this process alone: a child of it has them not. NULL and errno. */
static void *map_next(int fd, size_t offset, size_t bytes)
{
    /* First, so that a full file system is an error here and not a signal later. */
    int error;
    void *at;

    do
        error = posix_fallocate(fd, (off_t)offset, (off_t)bytes);
    while (error == EINTR);
    if (error != 0) {
        errno = error;
        return NULL;
    }
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (at == MAP_FAILED)
        return NULL;
    madvise(at, bytes, MADV_DONTFORK);
    return at;
}

static void fill_head(struct hri_share_head *head)
{
    memcpy(head->magic, HRI_SHARE_MAGIC, sizeof(head->magic));
    head->version = HRI_SHARE_VERSION;
    head->pid = share.pid;
    head->start = hri_process_start(share.pid);
    share.head = head;
}

static int make_file(void)
{
    const char *directory = runtime_directory();
    struct stat status;
    int fd = -1, error = 0;
    void *head = NULL;

    share.pid = (uint32_t)getpid();
    if (directory != NULL)
        fd = create_in(directory);
    if (fd < 0)
        fd = create_in("/dev/shm");
    if (fd < 0)
        return fd;
    if (fchmod(fd, 0600) != 0 || fstat(fd, &status) != 0 ||
        (head = map_next(fd, 0, HRI_SHARE_HEAD)) == NULL) {
        error = -errno;
        unlink(share.path);
    } else {
        share.device = status.st_dev;
        share.inode = status.st_ino;
        fill_head(head);
    }
    close(fd);
    return error;
}

/* No descriptor is kept: a program may close all that it does not know. */
static int open_again(void)
{
    int fd = open(share.path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) == 0 && status.st_dev == share.device && status.st_ino == share.inode)
        return fd;
    close(fd);
    return -ENOENT;
}

/* -ENOENT: nobody can find it any more. */
static int check_file(void)
{
    int fd = open_again();

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static int add_section(void)
{
    void *section = NULL;
    int fd, error = 0;

    if (share.sections == HRI_SHARE_SECTIONS)
        return -ENOSPC;
    fd = open_again();
    if (fd < 0)
        return fd;
    section = map_next(fd, HRI_SHARE_HEAD + share.sections * HRI_SHARE_SECTION, HRI_SHARE_SECTION);
    if (section == NULL)
        error = -errno;
    else
        share.shown[share.sections++] = (struct shown){NULL, section};
    close(fd);
    /* Relaxed: the file has grown before; what a section says has an order of its own. */
    hri_store_relaxed(&share.head->sections, share.sections);
    return error;
}

/* ---- figures ---- */

static void fill_names(struct hri_share_content *c, harena_provider *p)
{
    struct hri_name_sums sums;
    uint32_t at = 0;

    c->name_count = 0;
    while (c->name_count < HRI_SHARE_NAMES && hri_names_next(&p->names, &at, &sums)) {
        struct hri_share_name *name = &c->names[c->name_count++];

        hri_copy_name(name->name, sums.name, NULL);
        name->arenas = sums.arenas;
        name->made = sums.made;
        name->bytes = sums.bytes;
        name->peak = sums.peak;
        name->failures = sums.failures;
    }
}

static void publish(const struct shown *shown)
{
    struct hri_share_content *c = &share.content;
    struct hri_figures figures;

    c->used = shown->provider != NULL;
    if (c->used) {
        hri_figures_get(shown->provider, &figures);
        hri_copy_name(c->name, figures.name, NULL);
        memcpy(c->of, figures.of, sizeof(c->of));
        fill_names(c, shown->provider);
    }
    hri_share_write(shown->section, c);
}

static void publish_all(void)
{
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < share.sections; i++)
        if (share.shown[i].provider != NULL)
            publish(&share.shown[i]);
    pthread_mutex_unlock(&lock);
}

static void *answer_for_ever(void *head_of_process)
{
    const struct timespec pause = {0, SHARE_PAUSE_MS * 1000000L};
    struct hri_share_head *head = head_of_process;
    uint32_t answered = 0, asked;

    for (;;) {
        while ((asked = hri_load_acquire(&head->request)) == answered) /* PAIR share-2 */
            hri_process_wait(&head->request, answered, -1);
        publish_all();
        hri_store_relaxed(&head->time, hri_process_time()); /* relaxed: released below */
        hri_store_release(&head->answer, asked);            /* PAIR share-2 */
        hri_process_wake(&head->answer);
        answered = asked;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- begin and end ---- */

static void in_forked_child(void)
{
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    share.head = NULL;
    share.sections = 0;
    share.thread = false;
    memset(share.shown, 0, sizeof(share.shown));
}

__attribute__((constructor)) static void at_load(void)
{
    share.handlers = pthread_atfork(NULL, NULL, in_forked_child) == 0;
}

static int start_thread(void)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    if (share.thread)
        return 0;
    error = pthread_attr_init(&attributes);
    if (error != 0)
        return -error;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, SHARE_STACK);
    sigfillset(&all); /* signals are for the application's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, answer_for_ever, share.head);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error == 0)
        pthread_setname_np(thread, "harena-stat"); /* it never ends */
    share.thread = error == 0;
    return -error;
}

static struct shown *slot_of(const harena_provider *p)
{
    for (uint32_t i = 0; i < share.sections; i++)
        if (share.shown[i].provider == p)
            return &share.shown[i];
    return NULL;
}

static int begin(harena_provider *p)
{
    int error = 0;

    if (!share.handlers)
        return -ENOMEM;
    if (share.head == NULL)
        error = make_file();
    if (error == 0 && slot_of(p) != NULL)
        return 0;
    if (error == 0)
        error = slot_of(NULL) == NULL ? add_section() : check_file();
    if (error == 0)
        error = start_thread();
    if (error == 0) {
        struct shown *shown = slot_of(NULL);

        shown->provider = p;
        publish(shown);
        hri_store_relaxed(&share.head->time, hri_process_time()); /* relaxed: a figure */
    }
    return error;
}

int hri_share(harena_provider *p)
{
    int saved = errno, error, state;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* files are cancellation points */
    pthread_mutex_lock(&lock);
    error = begin(p);
    pthread_mutex_unlock(&lock);
    pthread_setcancelstate(state, NULL);
    HRI_TRACE("share provider=%s file=%s error=%d", p->name, error == 0 ? share.path : "", -error);
    errno = saved;
    return error;
}

void hri_share_if_asked(harena_provider *p)
{
    const char *value = secure_getenv("HARENA_STAT");

    if (value != NULL && strcmp(value, "1") == 0)
        hri_share(p);
}

void hri_share_end(harena_provider *p)
{
    struct shown *shown;

    pthread_mutex_lock(&lock);
    shown = slot_of(p);
    if (shown != NULL) {
        shown->provider = NULL;
        publish(shown);
    }
    pthread_mutex_unlock(&lock);
}

/* The name alone goes: the thread may be in the middle of an answer. */
__attribute__((destructor)) static void at_exit(void)
{
    if (share.head != NULL && share.pid == (uint32_t)getpid())
        unlink(share.path);
}
