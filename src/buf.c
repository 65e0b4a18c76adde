/* SPDX-License-Identifier: BSD-2-Clause */
/* Growable bytes on an arena. Layer 7. */
#include "base.h"

#include <errno.h>
#include <harena/buf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    FIRST = 64,        /* bytes of the first room */
    READ_LEAST = 4096, /* room that a read from a file is given */
};

/* The inline paths, for callers that do not inline. */
extern inline void harena_buf_init(harena_buf *b, harena *arena);
extern inline int harena_buf_write(harena_buf *b, const void *bytes, size_t size);
extern inline int harena_buf_write_byte(harena_buf *b, unsigned char byte);
extern inline int harena_buf_write_string(harena_buf *b, const char *string);
extern inline void *harena_buf_reserve(harena_buf *b, size_t size);
extern inline void harena_buf_commit(harena_buf *b, size_t size);
extern inline size_t harena_buf_read(harena_buf *b, void *to, size_t size);
extern inline int harena_buf_read_byte(harena_buf *b);
extern inline void *harena_buf_next(harena_buf *b, size_t *size);
extern inline char *harena_buf_bytes(const harena_buf *b);
extern inline const char *harena_buf_string(harena_buf *b);
extern inline size_t harena_buf_len(const harena_buf *b);
extern inline size_t harena_buf_cap(const harena_buf *b);
extern inline int harena_buf_truncate(harena_buf *b, size_t unread);
extern inline void harena_buf_reset(harena_buf *b);
extern inline ssize_t harena_buf_write_to(harena_buf *b, int fd);
extern inline ssize_t harena_buf_read_from(harena_buf *b, int fd);

static int fail(harena_buf *b, int error)
{
    if (b->error == 0)
        b->error = error;
    return -error;
}

/* ---- room ---- */

/* Unread bytes to the front: all others were read, so it is paid for by them if they are as many. */
static void slide(harena_buf *b)
{
    memmove(b->data, b->data + b->off, b->len - b->off);
    b->len -= b->off;
    b->off = 0;
}

/* At least `size` bytes more; 0 or -errno. `may_slide`: nobody needs what has been read any more. */
static HRI_COLD int grow(harena_buf *b, size_t size, bool may_slide)
{
    size_t unread = b->len - b->off, cap;
    int saved = errno, error;
    bool had_failed;
    char *data;

    if (b->error != 0)
        return -b->error;
    if (b->arena == NULL)
        return fail(b, EINVAL);
    if (may_slide && b->off != 0 && b->off >= unread) {
        slide(b);
        if (size <= b->cap - b->len)
            return 0;
    }
    if (size > PTRDIFF_MAX - b->len)
        return fail(b, ENOMEM);
    had_failed = harena_failed(b->arena);
    cap = hri_max(hri_round_up(b->len + size, HRI_ALIGNMENT), hri_max(2 * b->cap, FIRST));
    while ((data = harena_realloc(b->arena, b->data, b->cap, cap)) == NULL && cap > b->len + size)
        cap = b->len + size + (cap - b->len - size) / 4; /* less to spare, or none */
    error = errno;
    if (data != NULL && !had_failed)
        harena_clear_failed(b->arena); /* in the end it has not */
    errno = saved;
    if (data == NULL)
        return fail(b, error);
    b->data = data;
    b->cap = cap;
    return 0;
}

static inline int make_room(harena_buf *b, size_t size)
{
    if (HRI_LIKELY(b->error == 0 && size <= b->cap - b->len))
        return 0;
    return grow(b, size, true);
}

void *harena_buf_reserve_slow(harena_buf *b, size_t size)
{
    int result = make_room(b, hri_max(size, 1));

    if (result != 0) {
        errno = -result;
        return NULL;
    }
    return b->data + b->len;
}

/* ---- write ---- */

int harena_buf_write_slow(harena_buf *b, const void *bytes, size_t size)
{
    size_t inside = (size_t)((uintptr_t)bytes - (uintptr_t)b->data);
    bool own = b->data != NULL && inside < b->cap;
    int result = b->error != 0 ? -b->error : 0;

    if (size == 0 || result != 0)
        return result;
    if (bytes == NULL)
        return fail(b, EINVAL);
    if (HRI_UNLIKELY(size > b->cap - b->len))
        result = grow(b, size, !own);
    if (result != 0)
        return result;
    if (HRI_UNLIKELY(own)) /* they may have moved with the rest */
        bytes = b->data + inside;
    memmove(b->data + b->len, bytes, size);
    b->len += size;
    return 0;
}

/* Formats into the room there is; *length is what it takes, without its NUL. */
HARENA_PRINTF(2, 0)
static int format_into(harena_buf *b, const char *format, va_list args, size_t *length)
{
    int result = vsnprintf(b->data + b->len, b->cap - b->len, format, args);

    if (result < 0)
        return fail(b, errno);
    *length = (size_t)result;
    return 0;
}

int harena_buf_printf(harena_buf *b, const char *format, ...)
{
    int result, saved = errno;
    size_t length = 0;
    va_list args;

    if (format == NULL)
        return fail(b, EINVAL);
    result = make_room(b, 1);
    if (result != 0)
        return result;
    va_start(args, format);
    result = format_into(b, format, args, &length);
    va_end(args);
    if (result == 0 && length >= b->cap - b->len) {
        result = make_room(b, length + 1);
        if (result == 0) {
            va_start(args, format);
            result = format_into(b, format, args, &length);
            va_end(args);
        }
    }
    if (result == 0 && length >= b->cap - b->len)
        result = fail(b, EINVAL); /* longer than the first time: the arguments have changed */
    if (result == 0) {
        b->len += length;
        errno = saved;
    }
    return result;
}

/* ---- read ---- */

size_t harena_buf_read_slow(harena_buf *b, void *to, size_t size)
{
    size = hri_min(size, b->len - b->off);
    if (size == 0)
        return 0;
    memcpy(to, b->data + b->off, size);
    b->off += size;
    if (b->off == b->len)
        b->off = b->len = 0; /* all of the room serves again */
    return size;
}

const char *harena_buf_string_slow(harena_buf *b)
{
    int result = b->error != 0 ? -b->error : 0;

    if (result == 0 && b->arena != NULL && b->off == b->len)
        return ""; /* what was read last stays, too */
    if (result == 0 && b->len == b->cap)
        result = grow(b, 1, false); /* what has been read stays where it lies */
    if (result != 0) {
        errno = -result;
        return NULL;
    }
    b->data[b->len] = '\0';
    return b->data + b->off;
}

/* ---- file descriptors ---- */

ssize_t harena_fd_write(int fd, const void *bytes, size_t size)
{
    int saved = errno;
    ssize_t result;

    do
        result = write(fd, bytes, size);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        result = -errno;
    errno = saved;
    return result;
}

ssize_t harena_fd_read(int fd, void *to, size_t size)
{
    int saved = errno;
    ssize_t result;

    do
        result = read(fd, to, size);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        result = -errno;
    errno = saved;
    return result;
}

/* Any will do, if there is not as much. */
int harena_buf_room_slow(harena_buf *b)
{
    bool had_failed;
    int result;

    if (b->error != 0 || b->cap - b->len >= READ_LEAST / 8)
        return -b->error;
    had_failed = harena_failed(b->arena);
    result = make_room(b, READ_LEAST);
    if (result != -ENOMEM)
        return result;
    b->error = 0;
    if (!had_failed)
        harena_clear_failed(b->arena);
    return make_room(b, 1);
}
