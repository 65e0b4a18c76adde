/* SPDX-License-Identifier: BSD-2-Clause */
/* Growable bytes on an arena: written at the end, read from the front. Layer 7.
 *
 * A buffer has one owner, that of its arena. Reading moves an offset and copies nothing but what it returns. An error sticks:
 * write all, and look at `error` once at the end; what was written before it is there. The bytes are the arena's:
 * they are gone at its reset.
 *
 * The inline functions hand a copy of the buffer to those behind them, and its own address goes nowhere: so the compiler
 * can keep a local buffer in registers, in a function that neither calls harena_buf_printf nor hands that address on
 * itself.
 */
#ifndef HARENA_BUF_H
#define HARENA_BUF_H
#include <errno.h>
#include <harena/arena.h>
#include <string.h>
#include <sys/types.h>
HARENA_BEGIN_DECLS

/* Unread bytes: data[off, len). To be read freely, written by the functions below alone. */
typedef struct harena_buf {
    harena *arena;
    char *data;           /* NULL: nothing yet */
    size_t off, len, cap; /* bytes */
    int error;            /* 0, or the positive errno of the first writer that failed */
} harena_buf;

/* An empty buffer on `arena`; no memory until something is written. NULL arena: the first writer fails.
 * Thread: owner.
 * Fails: never.
 * Cost: constant.
 * Lifetime: of its bytes: the arena's next reset or release; no call ends a buffer. */
HARENA_API HARENA_INLINE void harena_buf_init(harena_buf *b, harena *arena)
{
    b->arena = arena;
    b->data = NULL;
    b->off = b->len = b->cap = 0;
    b->error = 0;
}

/* ---- write ---- */

/* What harena_buf_write calls where there is no room: the same.
 * Thread: owner.
 * Fails: as harena_buf_write. */
HARENA_API int harena_buf_write_slow(harena_buf *b, const void *bytes, size_t size);

/* Appends `size` bytes, which may lie in the buffer itself. Size 0: nothing.
 * Thread: owner.
 * Fails: 0; -ENOMEM: nothing was written, and the error sticks; -EINVAL: NULL bytes with a size, no arena; -ESHUTDOWN:
 *     on a lane of a closed view.
 * Cost: a copy; room doubles, in place if the buffer was its arena's last allocation. */
HARENA_API HARENA_INLINE int harena_buf_write(harena_buf *b, const void *bytes, size_t size)
{
    /* from where they go to where they lie: from `size` on, and up to -`size`, there is no overlap */
    size_t apart = (size_t)((uintptr_t)bytes - (uintptr_t)b->data) - b->len;
    harena_buf copy;
    int result;

    if (HARENA_LIKELY((ptrdiff_t)size > 0 && b->len + size <= b->cap && b->error == 0 &&
                      bytes != NULL && apart + (size - 1) >= 2 * size - 1)) {
        memcpy(b->data + b->len, bytes, size);
        b->len += size;
        return 0;
    }
    copy = *b;
    result = harena_buf_write_slow(&copy, bytes, size);
    *b = copy;
    return result;
}

/* Appends one byte.
 * Thread: owner.
 * Fails: as harena_buf_write.
 * Cost: as harena_buf_write. */
HARENA_API HARENA_INLINE int harena_buf_write_byte(harena_buf *b, unsigned char byte)
{
    harena_buf copy;
    int result;

    if (HARENA_LIKELY(b->len != b->cap && b->error == 0)) {
        b->data[b->len++] = (char)byte;
        return 0;
    }
    copy = *b;
    result = harena_buf_write_slow(&copy, &byte, 1);
    *b = copy;
    return result;
}

/* Appends a string without its NUL. It may lie in the buffer itself.
 * Thread: owner.
 * Fails: as harena_buf_write; -EINVAL: NULL string.
 * Cost: as harena_buf_write. */
HARENA_API HARENA_INLINE int harena_buf_write_string(harena_buf *b, const char *string)
{
    return harena_buf_write(b, string, string != NULL ? strlen(string) : 1);
}

/* Appends formatted text, as printf makes it, without its NUL. No argument may lie in the buffer, or change meanwhile.
 * Thread: owner.
 * Fails: as harena_buf_write; -EINVAL: NULL format, or the text became longer than the room made for it, because an
 *     argument changed; else minus what vsnprintf set (EILSEQ, EOVERFLOW).
 * Cost: formats twice only when the room is too small. */
HARENA_API HARENA_PRINTF(2, 3) int harena_buf_printf(harena_buf *b, const char *format, ...);

/* What harena_buf_reserve calls where there is no room: the same.
 * Thread: owner.
 * Fails: as harena_buf_reserve. */
HARENA_API HARENA_NODISCARD void *harena_buf_reserve_slow(harena_buf *b, size_t size);

/* Room for `size` bytes at the end, contents undefined, valid until the next call on the buffer but
 * harena_buf_commit.
 * Thread: owner.
 * Fails: NULL and errno, as harena_buf_write; the error sticks.
 * Cost: as harena_buf_write, without a copy. */
HARENA_API HARENA_INLINE HARENA_NODISCARD void *harena_buf_reserve(harena_buf *b, size_t size)
{
    harena_buf copy;
    void *room;

    if (HARENA_LIKELY(b->len != b->cap && size <= b->cap - b->len && b->error == 0))
        return b->data + b->len;
    copy = *b;
    room = harena_buf_reserve_slow(&copy, size);
    *b = copy;
    return room;
}

/* The first `size` bytes of the room belong to the buffer now; no more than there is room for, and none while an error
 * sticks: so that of harena_buf_reserve need not be looked at before the end.
 * Thread: owner.
 * Fails: never.
 * Cost: constant. */
HARENA_API HARENA_INLINE void harena_buf_commit(harena_buf *b, size_t size)
{
    size_t room = b->error == 0 ? b->cap - b->len : 0;

    b->len += size < room ? size : room;
}

/* ---- read ---- */

/* What harena_buf_read calls for the last bytes: the same.
 * Thread: owner.
 * Fails: never. */
HARENA_API size_t harena_buf_read_slow(harena_buf *b, void *to, size_t size);

/* Copies up to `size` unread bytes out, and returns how many; 0 at the end. Size 0: nothing; `to` may be NULL then.
 * Thread: owner.
 * Fails: never.
 * Cost: the copy. */
HARENA_API HARENA_INLINE size_t harena_buf_read(harena_buf *b, void *to, size_t size)
{
    harena_buf copy;

    if (HARENA_LIKELY((ptrdiff_t)size > 0 && b->off + size < b->len)) {
        memcpy(to, b->data + b->off, size);
        b->off += size;
        return size;
    }
    copy = *b;
    size = harena_buf_read_slow(&copy, to, size);
    *b = copy;
    return size;
}

/* One byte, 0 to 255; -1 at the end.
 * Thread: owner.
 * Fails: never.
 * Cost: constant. */
HARENA_API HARENA_INLINE int harena_buf_read_byte(harena_buf *b)
{
    unsigned char byte;

    return harena_buf_read(b, &byte, 1) != 0 ? byte : -1;
}

/* The next *size unread bytes where they lie, or as many as there are: *size says how many. NULL: none.
 * Thread: owner.
 * Fails: never.
 * Cost: constant.
 * Lifetime: until the next writer. */
HARENA_API HARENA_INLINE void *harena_buf_next(harena_buf *b, size_t *size)
{
    size_t unread = b->len - b->off, wanted = *size;
    char *at = NULL;

    if (HARENA_LIKELY((ptrdiff_t)wanted > 0 && b->off + wanted < b->len)) {
        at = b->data + b->off;
        b->off += wanted;
        return at;
    }
    if (unread != 0 && wanted != 0)
        at = b->data + b->off;
    if (wanted >= unread) {
        *size = unread;
        b->off = b->len =
            0; /* all of the room serves again; the bytes stay until the next writer */
    }
    return at;
}

/* The unread bytes where they lie; NULL if there has never been room. Reads nothing.
 * Thread: owner.
 * Fails: never.
 * Cost: constant.
 * Lifetime: until the next writer. */
HARENA_API HARENA_INLINE char *harena_buf_bytes(const harena_buf *b)
{
    return b->data != NULL ? b->data + b->off : NULL;
}

/* What harena_buf_string calls where there is no room, or nothing unread: the same.
 * Thread: owner.
 * Fails: as harena_buf_string. */
HARENA_API const char *harena_buf_string_slow(harena_buf *b);

/* The unread bytes with a NUL behind them, which is not part of the buffer. Reads nothing.
 * Thread: owner.
 * Fails: NULL and errno, as harena_buf_write; the error sticks.
 * Cost: constant, unless there is no room for the NUL.
 * Lifetime: until the next writer. */
HARENA_API HARENA_INLINE const char *harena_buf_string(harena_buf *b)
{
    harena_buf copy;
    const char *string;

    if (HARENA_LIKELY(b->off != b->len && b->len != b->cap && b->error == 0)) {
        b->data[b->len] = '\0';
        return b->data + b->off;
    }
    copy = *b;
    string = harena_buf_string_slow(&copy);
    *b = copy;
    return string;
}

/* Unread bytes.
 * Thread: owner.
 * Fails: never.
 * Cost: constant. */
HARENA_API HARENA_INLINE size_t harena_buf_len(const harena_buf *b)
{
    return b->len - b->off;
}

/* Bytes for which there is room, read and unread ones included.
 * Thread: owner.
 * Fails: never.
 * Cost: constant. */
HARENA_API HARENA_INLINE size_t harena_buf_cap(const harena_buf *b)
{
    return b->cap;
}

/* ---- shorten ---- */

/* Drops all but the first `unread` unread bytes.
 * Thread: owner.
 * Fails: 0; -EINVAL: there are fewer, nothing changed.
 * Cost: constant. */
HARENA_API HARENA_INLINE int harena_buf_truncate(harena_buf *b, size_t unread)
{
    if (unread > b->len - b->off)
        return -EINVAL;
    b->len = b->off + unread;
    return 0;
}

/* Empty again, without an error; the room stays.
 * Thread: owner.
 * Fails: never.
 * Cost: constant. */
HARENA_API HARENA_INLINE void harena_buf_reset(harena_buf *b)
{
    b->off = b->len = 0;
    b->error = 0;
}

/* ---- file descriptors ---- */

/* What the two below call: room for what a descriptor may give, where there are not 512 bytes of it 4 KiB more, or any if
 * that is refused; and write(2) and read(2) that signals do not interrupt.
 * Thread: owner; any.
 * Fails: as harena_buf_write; minus the errno of write or read, and errno is left alone. */
HARENA_API int harena_buf_room_slow(harena_buf *b);
HARENA_API ssize_t harena_fd_write(int fd, const void *bytes, size_t size);
HARENA_API ssize_t harena_fd_read(int fd, void *to, size_t size);

/* Writes all unread bytes to `fd`, however many it takes at a time; a signal that interrupts does not matter.
 * Thread: owner.
 * Fails: the bytes written; else minus the errno of write (-EAGAIN too). Then, and if the thread is cancelled in a call of
 *     write, what earlier ones wrote is gone from the buffer.
 * Cost: the system calls. */
HARENA_API HARENA_INLINE ssize_t harena_buf_write_to(harena_buf *b, int fd)
{
    ssize_t sum = 0, written;

    while (b->off != b->len) {
        written = harena_fd_write(fd, b->data + b->off, b->len - b->off);
        if (written < 0)
            return written;
        b->off += (size_t)written;
        sum += written;
    }
    b->off = b->len = 0;
    return sum;
}

/* Appends what `fd` has to give, until its end; to see that, it takes room for one byte more.
 * Thread: owner.
 * Fails: the bytes read; else minus the errno of read (-EAGAIN too), or as harena_buf_write. Then, and if the thread is
 *     cancelled in a call of read, what earlier ones read is kept.
 * Cost: the system calls; no copy. */
HARENA_API HARENA_INLINE ssize_t harena_buf_read_from(harena_buf *b, int fd)
{
    ssize_t sum = 0, got;
    harena_buf copy;
    int result;

    for (;;) {
        copy = *b;
        result = harena_buf_room_slow(&copy);
        *b = copy;
        if (result != 0)
            return result;
        got = harena_fd_read(fd, b->data + b->len, b->cap - b->len);
        if (got <= 0)
            return got < 0 ? got : sum;
        b->len += (size_t)got;
        sum += got;
    }
}

HARENA_END_DECLS
#endif
