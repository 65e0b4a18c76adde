/* SPDX-License-Identifier: BSD-2-Clause */
/* The terminal of harena-stat. Layer 9. */
#define _GNU_SOURCE 1
#include "screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct termios before;
static volatile sig_atomic_t ended;
static char picture[128 << 10];
static size_t used;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

bool screen_begin(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART: poll ends */
    struct termios now;

    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    now = before;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    now.c_cc[VMIN] = 0;
    now.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &now);
    fputs("\x1b[?1049h\x1b[?25l", stdout); /* another screen, no cursor */
    return true;
}

void screen_end(void)
{
    signal(SIGINT, SIG_IGN); /* a second Ctrl-C would interrupt the write, and its text be lost */
    fputs("\x1b[?25h\x1b[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

void screen_add(const char *bytes, size_t size)
{
    if (size > sizeof(picture) - used)
        size = sizeof(picture) - used;
    memcpy(picture + used, bytes, size);
    used += size;
}

/* Bytes of the line's first `columns` characters: continuations of UTF-8 take none. */
static size_t fitting(const char *line, size_t length, unsigned columns)
{
    unsigned taken = 0;
    size_t i;

    for (i = 0; i < length; i++)
        if (((unsigned char)line[i] & 0xc0) != 0x80 && ++taken > columns)
            break;
    return i;
}

void screen_show(void)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    const char *at = picture, *end = picture + used, *line_end;

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    fputs("\x1b[H", stdout);
    for (unsigned row = 1; row < size.ws_row && at < end; row++, at = line_end + 1) {
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        fwrite(at, 1, fitting(at, (size_t)(line_end - at), size.ws_col), stdout);
        fputs("\x1b[K\r\n", stdout);
    }
    fputs("\x1b[J", stdout);
    fflush(stdout);
    used = 0;
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

bool screen_wait(int milliseconds)
{
    long long until = now_ms() + milliseconds, left;
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    char key;

    while (!ended && (left = until - now_ms()) > 0) {
        if (poll(&keys, 1, (int)left) <= 0)
            continue;
        if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q')
            return true;
    }
    return ended != 0;
}
