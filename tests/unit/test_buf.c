/* SPDX-License-Identifier: BSD-2-Clause */
/* Growable bytes: what a bytes.Buffer gives, on an arena, and file descriptors that misbehave. */
#define _GNU_SOURCE 1 /* memfd_create, F_SETPIPE_SZ */
#include "unit.h"
#include <fcntl.h>
#include <harena/buf.h>
#include <signal.h>
#include <sys/mman.h>

static harena_provider *p;
static harena *a;
static harena_buf b;

static void set_up(void)
{
    p = provider_of(GIB, 0, NULL);
    a = arena_of(p, 0);
    harena_buf_init(&b, a);
}

static void tear_down(void)
{
    harena_release(a);
    ends_clean(p);
}

static void holds(const char *text)
{
    ck_assert_uint_eq(harena_buf_len(&b), strlen(text));
    ck_assert_str_eq(SUCCEEDS(harena_buf_string(&b)), text);
    if (*text != '\0') /* where it lies, not a copy */
        ck_assert_ptr_eq(harena_buf_string(&b), harena_buf_bytes(&b));
    ck_assert_uint_eq(harena_buf_len(&b), strlen(text));
}

START_TEST(fresh_buffer_holds_nothing)
{
    size_t size = 10;
    char byte;

    ck_assert_uint_eq(harena_buf_len(&b), 0);
    ck_assert_uint_eq(harena_buf_cap(&b), 0);
    ck_assert_ptr_null(harena_buf_bytes(&b));
    ck_assert_int_eq(harena_buf_read_byte(&b), -1);
    ck_assert_uint_eq(harena_buf_read(&b, &byte, 1), 0);
    ck_assert_ptr_null(harena_buf_next(&b, &size));
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(harena_buf_truncate(&b, 0), 0);
    ck_assert_int_eq(harena_buf_truncate(&b, 1), -EINVAL);
    ck_assert_uint_eq(harena_len(a), 0);
    holds("");
}
END_TEST

START_TEST(writers_append)
{
    QUIETLY(ck_assert_int_eq(harena_buf_write(&b, "ab", 2), 0));
    QUIETLY(ck_assert_int_eq(harena_buf_write_byte(&b, 'c'), 0));
    QUIETLY(ck_assert_int_eq(harena_buf_write_string(&b, "def"), 0));
    QUIETLY(ck_assert_int_eq(harena_buf_printf(&b, "%d-%s", 12, "g"), 0));
    ck_assert_int_eq(harena_buf_write(&b, NULL, 0), 0);
    holds("abcdef12-g");
}
END_TEST

START_TEST(readers_take_from_the_front)
{
    char to[8] = "";
    size_t size = 2;

    harena_buf_write_string(&b, "abcdefgh");
    ck_assert_int_eq(harena_buf_read_byte(&b), 'a');
    ck_assert_uint_eq(harena_buf_read(&b, NULL, 0), 0);
    ck_assert_uint_eq(harena_buf_read(&b, to, 3), 3);
    ck_assert_str_eq(to, "bcd");
    ck_assert_mem_eq(SUCCEEDS(harena_buf_next(&b, &size)), "ef", 2);
    ck_assert_uint_eq(size, 2);
    holds("gh");
    ck_assert_uint_eq(harena_buf_read(&b, to, sizeof to), 2);
    ck_assert_int_eq(harena_buf_read_byte(&b), -1);
    harena_buf_write_byte(&b, 0xff);
    ck_assert_int_eq(harena_buf_read_byte(&b), 255);
}
END_TEST

START_TEST(next_gives_what_there_is)
{
    size_t size = 100;

    harena_buf_write_string(&b, "abc");
    ck_assert_ptr_eq(SUCCEEDS(harena_buf_next(&b, &size)), b.data);
    ck_assert_uint_eq(size, 3);
}
END_TEST

START_TEST(reading_copies_nothing)
{
    char *at;
    size_t size = 10;

    harena_buf_write_string(&b, "0123456789abcdef");
    at = harena_buf_bytes(&b);
    ck_assert_ptr_eq(harena_buf_next(&b, &size), at);
    ck_assert_ptr_eq(harena_buf_bytes(&b), at + 10);
}
END_TEST

START_TEST(room_that_was_read_serves_again)
{
    size_t cap;

    for (int i = 0; i < 64; i++)
        harena_buf_write_byte(&b, 'x');
    cap = harena_buf_cap(&b);
    for (int i = 0; i < 100000; i++) { /* a queue of 40 bytes */
        if (harena_buf_len(&b) > 40)
            ck_assert_int_eq(harena_buf_read_byte(&b), 'x');
        ck_assert_int_eq(harena_buf_write_byte(&b, 'x'), 0);
    }
    ck_assert_uint_le(harena_buf_cap(&b), 2 * cap);
}
END_TEST

/* However much is unread, no more is moved than was read. */
START_TEST(a_long_queue_is_moved_seldom)
{
    enum { UNREAD = 64 << 10, ROUNDS = 400000 };
    uint64_t moved = 0;

    ck_assert_ptr_nonnull(harena_buf_reserve(&b, UNREAD));
    harena_buf_commit(&b, UNREAD);
    for (int i = 0; i < ROUNDS; i++) {
        size_t off;

        EXPECT(harena_buf_read_byte(&b) >= 0);
        off = b.off;
        EXPECT(harena_buf_write_byte(&b, 'x') == 0);
        moved += b.off < off ? UNREAD : 0;
    }
    ck_assert_uint_gt(moved, 0);
    ck_assert_uint_le(moved, ROUNDS);
}
END_TEST

START_TEST(queue_keeps_its_order_however_it_moves)
{
    unsigned in = 0, out = 0;
    uint32_t random = 12345;

    while (out < 200000) {
        random = random * 1664525 + 1013904223;
        for (unsigned i = random >> 28; i > 0; i--)
            ck_assert_int_eq(harena_buf_write_byte(&b, (unsigned char)(in++ * 7)), 0);
        for (unsigned i = random >> 24 & 15; i > 0 && out < in; i--)
            EXPECT(harena_buf_read_byte(&b) == (unsigned char)(out++ * 7));
        EXPECT(harena_buf_len(&b) == in - out);
    }
}
END_TEST

START_TEST(own_bytes_may_be_written_again)
{
    size_t size = 5;
    char *read;

    harena_buf_write_string(&b, "salve");
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(harena_buf_write(&b, harena_buf_bytes(&b), harena_buf_len(&b)), 0);
    ck_assert_uint_eq(harena_buf_len(&b), 5 * 1024);
    for (size_t i = 0; i < 5 * 1024; i++)
        EXPECT(harena_buf_bytes(&b)[i] == "salve"[i % 5]);
    for (int i = 0; i < 5000; i++) { /* round and round */
        read = SUCCEEDS(harena_buf_next(&b, &size));
        ck_assert_int_eq(harena_buf_write(&b, read, size), 0);
    }
    ck_assert_uint_eq(harena_buf_len(&b), 5 * 1024);
    for (size_t i = 0; i < 5 * 1024; i++)
        EXPECT(harena_buf_bytes(&b)[i] == "salve"[i % 5]);
}
END_TEST

/* Where bytes come from and where they go overlap in all ways, and in none. */
START_TEST(bytes_of_its_room_may_be_written)
{
    enum { BEFORE = 40, SIZE = 16, ROOM = 100 };

    for (int from = BEFORE - 2 * SIZE; from <= BEFORE + 2 * SIZE; from++) {
        char expected[BEFORE + SIZE], *room;

        harena_buf_reset(&b);
        room = SUCCEEDS(harena_buf_reserve(&b, ROOM));
        for (int i = 0; i < ROOM; i++)
            room[i] = (char)i;
        memcpy(expected, room, BEFORE);
        memcpy(expected + BEFORE, room + from, SIZE);
        harena_buf_commit(&b, BEFORE);
        ck_assert_int_eq(harena_buf_write(&b, room + from, SIZE), 0);
        ck_assert_uint_eq(harena_buf_len(&b), sizeof expected);
        ck_assert_mem_eq(harena_buf_bytes(&b), expected, sizeof expected);
    }
}
END_TEST

START_TEST(reserve_and_commit_write_in_place)
{
    char *room = SUCCEEDS(harena_buf_reserve(&b, 100));

    memset(room, 'r', 100);
    ck_assert_uint_eq(harena_buf_len(&b), 0);
    harena_buf_commit(&b, 3);
    holds("rrr");
    harena_buf_commit(&b, SIZE_MAX); /* no more than there is room for */
    ck_assert_uint_eq(harena_buf_len(&b), harena_buf_cap(&b));
    ck_assert_ptr_nonnull(harena_buf_reserve(&b, 0));
}
END_TEST

START_TEST(growth_is_in_place_when_it_can_be)
{
    char *first;

    harena_buf_write_byte(&b, 'x');
    first = harena_buf_bytes(&b);
    for (int i = 0; i < 30000; i++)
        harena_buf_write_byte(&b, 'x');
    ck_assert_ptr_eq(harena_buf_bytes(&b), first);
    ck_assert_uint_le(harena_len(a), 65536);
}
END_TEST

START_TEST(truncate_and_reset_keep_the_room)
{
    size_t cap;

    harena_buf_write_string(&b, "abcdef");
    cap = harena_buf_cap(&b);
    harena_buf_read_byte(&b);
    ck_assert_int_eq(harena_buf_truncate(&b, 6), -EINVAL);
    holds("bcdef");
    ck_assert_int_eq(harena_buf_truncate(&b, 2), 0);
    holds("bc");
    harena_buf_reset(&b);
    holds("");
    ck_assert_uint_eq(harena_buf_cap(&b), cap);
}
END_TEST

START_TEST(long_text_is_formatted_whole)
{
    static char expected[100001];

    memset(expected, 'z', 100000);
    harena_buf_write_string(&b, "<");
    QUIETLY(ck_assert_int_eq(harena_buf_printf(&b, "%s>", expected), 0));
    ck_assert_uint_eq(harena_buf_len(&b), 100002);
    ck_assert_mem_eq(harena_buf_bytes(&b) + 1, expected, 100000);
    ck_assert_int_eq(harena_buf_bytes(&b)[100001], '>');
}
END_TEST

/* An argument that is longer the second time. */
START_TEST(text_that_grows_while_it_is_formatted_is_refused)
{
    signed char text[400];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    text[1] = '\0'; /* until %hhn has counted */
    ck_assert_int_eq(harena_buf_write_string(&b, "kept"), 0);
    ck_assert_int_eq(harena_buf_printf(&b, "%s%*d%hhn", (char *)text, 70, 7, &text[1]), -EINVAL);
    ck_assert_int_eq(text[1], (signed char)(sizeof text - 1 + 70)); /* counted twice */
    ck_assert_int_eq(b.error, EINVAL);
    ck_assert_uint_le(b.len, b.cap);
    ck_assert_uint_eq(harena_buf_len(&b), 4);
    harena_buf_reset(&b);
    ck_assert_int_eq(harena_buf_write_string(&b, "again"), 0);
    holds("again");
}
END_TEST

START_TEST(error_sticks_until_reset)
{
    harena *small = arena_of(p, CHUNK);
    char *room;

    harena_buf_init(&b, small);
    ck_assert_int_eq(harena_buf_write_string(&b, "kept"), 0);
    room = harena_buf_reserve(&b, 10 * MIB);
    ck_assert_ptr_null(room);
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_int_eq(b.error, ENOMEM);
    ck_assert_int_eq(harena_buf_write_byte(&b, 'x'), -ENOMEM);
    ck_assert_int_eq(harena_buf_printf(&b, "x"), -ENOMEM);
    ck_assert_int_eq(harena_buf_write(&b, "", 0), -ENOMEM);
    ck_assert_ptr_null(harena_buf_string(&b));
    ck_assert_uint_eq(harena_buf_len(&b), 4);
    ck_assert_int_eq(harena_buf_read_byte(&b), 'k');
    harena_buf_reset(&b);
    ck_assert_int_eq(harena_buf_write_string(&b, "again"), 0);
    holds("again");
    harena_release(small);
}
END_TEST

START_TEST(no_room_to_double_is_room_for_what_is_needed)
{
    harena *small = arena_of(p, CHUNK);
    size_t written = 0;

    harena_buf_init(&b, small);
    while (harena_buf_write_byte(&b, 'x') == 0)
        written++;
    ck_assert_uint_eq(written, CHUNK);
    harena_release(small);
}
END_TEST

START_TEST(bad_arguments_are_errors)
{
    harena_buf none;

    ck_assert_int_eq(harena_buf_write(&b, NULL, 1), -EINVAL);
    harena_buf_reset(&b);
    ck_assert_int_eq(harena_buf_write_string(&b, NULL), -EINVAL);
    harena_buf_reset(&b);
    ck_assert_int_eq(harena_buf_printf(&b, opaque(0) != 0 ? "" : NULL), -EINVAL);
    harena_buf_init(&none, NULL);
    ck_assert_int_eq(harena_buf_write_byte(&none, 'x'), -EINVAL);
    FAILS(EINVAL, harena_buf_reserve(&none, 1));
    harena_buf_reset(&b);
    FAILS(ENOMEM, harena_buf_reserve(&b, opaque(SIZE_MAX)));
}
END_TEST

/* ---- file descriptors ---- */

/* A pattern of `size` bytes in the buffer. */
static void write_pattern(size_t size)
{
    for (size_t i = 0; i < size; i++)
        EXPECT(harena_buf_write_byte(&b, (unsigned char)(i * 31 >> 3)) == 0);
}

static void expect_pattern(size_t from, size_t size)
{
    ck_assert_uint_eq(harena_buf_len(&b), size);
    for (size_t i = 0; i < size; i++)
        EXPECT((unsigned char)harena_buf_bytes(&b)[i] == (unsigned char)((from + i) * 31 >> 3));
}

START_TEST(file_is_written_and_read_whole)
{
    int fd = memfd_create("buf", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    write_pattern(3 * MIB + 17);
    QUIETLY(ck_assert_int_eq(harena_buf_write_to(&b, fd), 3 * MIB + 17));
    ck_assert_uint_eq(harena_buf_len(&b), 0);
    ck_assert_int_eq(harena_buf_write_to(&b, fd), 0); /* there is nothing more */
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    QUIETLY(ck_assert_int_eq(harena_buf_read_from(&b, fd), 3 * MIB + 17));
    expect_pattern(0, 3 * MIB + 17);
    ck_assert_int_eq(harena_buf_read_from(&b, fd), 0);
    /* several in turn: each appends */
    harena_buf_reset(&b);
    ck_assert_int_eq(harena_buf_write_string(&b, "before, "), 0);
    ck_assert_int_eq(pwrite(fd, "in turn", 7, 0), 7);
    ck_assert_int_eq(ftruncate(fd, 7), 0);
    for (int turn = 0; turn < 2; turn++) {
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        ck_assert_int_eq(harena_buf_read_from(&b, fd), 7);
    }
    holds("before, in turnin turn");
    close(fd);
}
END_TEST

static void ignore_signal(int number)
{
    (void)number;
}

struct pipe_end {
    int fd;
    pthread_t main;
    size_t bytes;
};

/* Takes a few bytes at a time, and interrupts the writer in between. */
static void *read_slowly(void *ctx)
{
    struct pipe_end *end = ctx;
    unsigned char some[777];
    ssize_t got;

    while ((got = read(end->fd, some, sizeof some)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            if (some[i] != (unsigned char)((end->bytes + (size_t)i) * 31 >> 3))
                return NULL;
        end->bytes += (size_t)got;
        pthread_kill(end->main, SIGUSR1);
    }
    return ctx;
}

START_TEST(short_and_interrupted_writes_go_on)
{
    struct sigaction action = {.sa_handler = ignore_signal}; /* no SA_RESTART */
    struct pipe_end end;
    int fds[2];
    pthread_t thread;
    void *result;

    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(pipe(fds), 0);
    fcntl(fds[1], F_SETPIPE_SZ, 4096);
    end = (struct pipe_end){fds[0], pthread_self(), 0};
    write_pattern(MIB);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_slowly, &end), 0);
    ck_assert_int_eq(harena_buf_write_to(&b, fds[1]), MIB);
    close(fds[1]);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_nonnull(result);
    ck_assert_uint_eq(end.bytes, MIB);
    close(fds[0]);
}
END_TEST

/* Gives a few bytes at a time, and interrupts the reader in between. */
static void *write_slowly(void *ctx)
{
    struct pipe_end *end = ctx;

    for (size_t done = 0; done < end->bytes;) {
        unsigned char some[777];
        size_t size = end->bytes - done < sizeof some ? end->bytes - done : sizeof some;

        for (size_t i = 0; i < size; i++)
            some[i] = (unsigned char)((done + i) * 31 >> 3);
        if (write(end->fd, some, size) != (ssize_t)size)
            return NULL;
        done += size;
        pthread_kill(end->main, SIGUSR1);
    }
    close(end->fd);
    return ctx;
}

START_TEST(short_and_interrupted_reads_go_on)
{
    struct sigaction action = {.sa_handler = ignore_signal};
    struct pipe_end end;
    int fds[2];
    pthread_t thread;
    void *result;

    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(pipe(fds), 0);
    end = (struct pipe_end){fds[1], pthread_self(), MIB};
    ck_assert_int_eq(pthread_create(&thread, NULL, write_slowly, &end), 0);
    ck_assert_int_eq(harena_buf_read_from(&b, fds[0]), MIB);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_nonnull(result);
    expect_pattern(0, MIB);
    close(fds[0]);
}
END_TEST

START_TEST(what_was_written_before_an_error_is_gone)
{
    int fds[2];
    ssize_t room;

    ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
    room = fcntl(fds[1], F_SETPIPE_SZ, 4096);
    write_pattern(100000);
    ck_assert_int_eq(harena_buf_write_to(&b, fds[1]), -EAGAIN);
    expect_pattern((size_t)room, 100000 - (size_t)room);
    ck_assert_int_eq(b.error, 0); /* the descriptor's error, not the buffer's */
    close(fds[0]);
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(harena_buf_write_to(&b, fds[1]), -EPIPE);
    ck_assert_int_eq(harena_buf_write_to(&b, -1), -EBADF);
    expect_pattern((size_t)room, 100000 - (size_t)room);
    close(fds[1]);
}
END_TEST

START_TEST(what_was_read_before_an_error_is_kept)
{
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
    ck_assert_int_eq(write(fds[1], "abc", 3), 3);
    ck_assert_int_eq(harena_buf_read_from(&b, fds[0]), -EAGAIN);
    holds("abc");
    ck_assert_int_eq(harena_buf_read_from(&b, -1), -EBADF);
    holds("abc");
    close(fds[0]);
    close(fds[1]);
}
END_TEST

static void *reserve(void *cancels, size_t bytes, size_t align)
{
    (void)cancels;
    return aligned_alloc(align, bytes);
}

/* Cancels the thread at its next point where it can be: that is a call of read. */
static int commit_and_cancel(void *cancels, void *at, size_t bytes)
{
    (void)at, (void)bytes;
    if (*(bool *)cancels)
        pthread_cancel(pthread_self());
    return 0;
}

static void release(void *cancels, void *at, size_t bytes)
{
    (void)cancels, (void)bytes;
    free(at);
}

static void *read_until_cancelled(void *fd)
{
    harena_buf_read_from(&b, *(int *)fd);
    return fd;
}

START_TEST(what_was_read_before_a_thread_is_cancelled_is_kept)
{
    bool cancels = false;
    harena_page_source source = {&cancels, reserve, commit_and_cancel, NULL, release, false};
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    int fd = memfd_create("long", 0);
    harena_provider *own;
    off_t read_so_far;
    pthread_t thread;
    void *result;
    char six[6];

    options.reserve = 64 * MIB;
    options.page_source = &source;
    own = SUCCEEDS(harena_provider_create(&options));
    harena_buf_init(&b, arena_of(own, 0));
    harena_buf_write_string(&b, "123456abc");
    ck_assert_uint_eq(harena_buf_read(&b, six, sizeof six), sizeof six);
    ck_assert_int_eq(ftruncate(fd, 16 * MIB), 0);
    cancels = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_until_cancelled, &fd), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    read_so_far = lseek(fd, 0, SEEK_CUR);
    ck_assert_int_gt(read_so_far, 0);
    ck_assert_uint_eq(harena_buf_len(&b), 3 + (size_t)read_so_far);
    ck_assert_mem_eq(harena_buf_bytes(&b), "abc\0", 5);
    cancels = false;
    harena_release(b.arena);
    ck_assert_int_eq(harena_provider_destroy(own), 0);
    close(fd);
}
END_TEST

START_TEST(commit_of_room_that_was_refused_is_nothing)
{
    harena_buf_write_string(&b, "old secret, which a later text must not show");
    harena_buf_reset(&b);
    harena_buf_write_string(&b, "head");
    ck_assert_ptr_null(harena_buf_reserve(&b, SIZE_MAX / 2));
    harena_buf_commit(&b, SIZE_MAX / 2);
    ck_assert_int_eq(b.error, ENOMEM);
    ck_assert_uint_eq(harena_buf_len(&b), 4);
}
END_TEST

START_TEST(a_closed_lane_is_eshutdown)
{
    harena_shared *s = shared_of(p, 0);
    harena_view *view = SUCCEEDS(harena_shared_enter(s));

    harena_buf_init(&b, harena_view_lane(view));
    harena_buf_write_string(&b, "abc");
    harena_shared_close(s);
    write_pattern(2 * CHUNK); /* entered before */
    harena_shared_leave(s, view);
    view = SUCCEEDS(harena_shared_enter(s));
    harena_buf_init(&b, harena_view_lane(view));
    ck_assert_int_eq(harena_buf_write(&b, "d", 1), -ESHUTDOWN);
    harena_shared_leave(s, view);
    harena_shared_release(s);
}
END_TEST

START_TEST(file_larger_than_the_arena_is_enomem)
{
    int fd = memfd_create("buf", MFD_CLOEXEC);
    harena *small = arena_of(p, CHUNK);

    ck_assert_int_eq(ftruncate(fd, (off_t)MIB), 0);
    harena_buf_init(&b, small);
    ck_assert_int_eq(harena_buf_read_from(&b, fd), -ENOMEM);
    ck_assert_uint_gt(harena_buf_len(&b), CHUNK / 2);
    ck_assert_int_eq(b.error, ENOMEM);
    close(fd);
    harena_release(small);
}
END_TEST

START_TEST(file_that_just_fits_is_read)
{
    int fd = memfd_create("buf", MFD_CLOEXEC);
    harena *small = arena_of(p, CHUNK);

    ck_assert_int_eq(ftruncate(fd, 65100), 0);
    harena_buf_init(&b, small);
    ck_assert_int_eq(harena_buf_read_from(&b, fd), 65100);
    ck_assert_int_eq(b.error, 0);
    ck_assert(!harena_failed(small));
    close(fd);
    harena_release(small);
}
END_TEST

START_TEST(room_that_was_found_in_the_end_is_no_failure)
{
    static char memory[12000];
    harena_stats stats = {.size = sizeof stats};
    harena *fixed = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));

    harena_buf_init(&b, fixed);
    for (int i = 0; i < 9000; i++)
        ck_assert_int_eq(harena_buf_write_byte(&b, 'x'), 0);
    ck_assert(!harena_failed(fixed));
    harena_stats_get(fixed, &stats);
    ck_assert_uint_le(stats.failures, 20); /* not one for each byte */
    harena_release(fixed);
}
END_TEST

START_TEST(string_leaves_what_was_read)
{
    size_t size = 40;
    char *read;

    harena_buf_write(&b, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 40);
    harena_buf_write(&b, "BBBBBBBBBBBBBBBBBBBBBBBB", 24);
    read = SUCCEEDS(harena_buf_next(&b, &size));
    ck_assert_str_eq(harena_buf_string(&b), "BBBBBBBBBBBBBBBBBBBBBBBB");
    ck_assert(all_bytes(read, 40, 'A'));
    size = 24;
    read = SUCCEEDS(harena_buf_next(&b, &size));
    ck_assert_str_eq(harena_buf_string(&b), "");
    ck_assert(all_bytes(read, 24, 'B'));
}
END_TEST

RUN_TESTS_AROUND("buf", set_up, tear_down, fresh_buffer_holds_nothing, writers_append,
                 readers_take_from_the_front, next_gives_what_there_is, reading_copies_nothing,
                 room_that_was_read_serves_again, a_long_queue_is_moved_seldom,
                 queue_keeps_its_order_however_it_moves, own_bytes_may_be_written_again,
                 bytes_of_its_room_may_be_written, reserve_and_commit_write_in_place,
                 growth_is_in_place_when_it_can_be, truncate_and_reset_keep_the_room,
                 long_text_is_formatted_whole, text_that_grows_while_it_is_formatted_is_refused,
                 error_sticks_until_reset, no_room_to_double_is_room_for_what_is_needed,
                 bad_arguments_are_errors, file_is_written_and_read_whole,
                 short_and_interrupted_writes_go_on, short_and_interrupted_reads_go_on,
                 what_was_written_before_an_error_is_gone, what_was_read_before_an_error_is_kept,
                 what_was_read_before_a_thread_is_cancelled_is_kept,
                 commit_of_room_that_was_refused_is_nothing, a_closed_lane_is_eshutdown,
                 file_larger_than_the_arena_is_enomem, file_that_just_fits_is_read,
                 room_that_was_found_in_the_end_is_no_failure, string_leaves_what_was_read)
