/* SPDX-License-Identifier: BSD-2-Clause */
/* Arenas over the application's own memory: a file, here an anonymous one, of huge pages if the system has some. The same
 * serves for hugetlbfs, for memory of one NUMA node (mbind in reserve), for a static buffer. */
#define _GNU_SOURCE 1 /* memfd_create, fallocate */
#include <errno.h>
#include <fcntl.h>
#include <harena.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* The file, and what the library does with it. */
struct file {
    int descriptor;
    size_t size;
    char *mapped;
};

/* Addresses only; no more than the file has. Called once, when the provider is made. */
static void *reserve(void *ctx, size_t bytes, size_t align)
{
    struct file *file = ctx;
    char *at, *aligned;
    size_t before;

    if (bytes > file->size)
        return NULL;
    at = mmap(NULL, bytes + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    before = -(size_t)at & (align - 1);
    aligned = at + before;
    if (before != 0)
        munmap(at, before);
    munmap(aligned + bytes, align - before);
    if (mmap(aligned, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file->descriptor, 0) ==
        MAP_FAILED) {
        munmap(aligned, bytes);
        return NULL;
    }
    file->mapped = aligned;
    return aligned;
}

/* The pages, now: a file without room is an error number here, and a signal later. */
static int commit(void *ctx, void *at, size_t bytes)
{
    struct file *file = ctx;

    return fallocate(file->descriptor, 0, (char *)at - file->mapped, (off_t)bytes) == 0 ? 0
                                                                                        : -errno;
}

static int purge(void *ctx, void *at, size_t bytes)
{
    struct file *file = ctx;
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    return fallocate(file->descriptor, mode, (char *)at - file->mapped, (off_t)bytes) == 0 ? 0
                                                                                           : -errno;
}

static void release(void *ctx, void *at, size_t bytes)
{
    struct file *file = ctx;

    munmap(at, bytes);
    close(file->descriptor);
}

static int open_file(size_t size)
{
    int descriptor = memfd_create("own_memory", MFD_CLOEXEC | MFD_HUGETLB);

    /* A file of huge pages can be made where there are none to be had: ask for them all. */
    if (descriptor >= 0 && fallocate(descriptor, 0, 0, (off_t)size) == 0)
        return descriptor;
    if (descriptor >= 0)
        close(descriptor);
    descriptor = memfd_create("own_memory", MFD_CLOEXEC);
    return descriptor >= 0 && ftruncate(descriptor, (off_t)size) == 0 ? descriptor : -1;
}

int main(void)
{
    struct file file = {.descriptor = open_file(16 * MIB), .size = 16 * MIB};
    harena_page_source source = {.ctx = &file,
                                 .reserve = reserve,
                                 .commit = commit,
                                 .purge = purge,
                                 .release = release,
                                 .zeroed = true};
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_options arena_options = HARENA_OPTIONS_INIT;
    harena_provider *provider;
    size_t objects = 0;
    char *object;
    harena *a;

    options.name = "file";
    options.reserve = file.size;
    options.page_source = &source;
    provider = file.descriptor < 0 ? NULL : harena_provider_create(&options);
    if (provider == NULL)
        return 1;
    arena_options.provider = provider;
    a = harena_create(&arena_options);
    while ((object = harena_alloc(a, MIB / 2 - 64)) != NULL) { /* until the file is full */
        memset(object, 1, MIB / 2 - 64);
        objects++;
    }
    printf("%zu objects of half a MiB in a file of %zu MiB, then %s\n", objects, file.size / MIB,
           strerror(errno));
    harena_release(a);
    printf("%zu MiB given back\n", harena_provider_trim(provider, 0) / MIB);
    return harena_provider_destroy(provider) == 0 ? 0 : 1;
}
