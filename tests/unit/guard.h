/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of debug modes: what a child process writes to standard error, and what it dies of. */
#ifndef HARENA_TESTS_GUARD_H
#define HARENA_TESTS_GUARD_H
#include "unit.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

static volatile char touched; /* Valgrind leaves out a read that leads to nothing */

/* Reads a byte that sanitizers would not let us read. */
__attribute__((no_sanitize("address", "thread"))) static MAYBE_UNUSED char touch(const void *at)
{
    return touched = *(const volatile char *)hidden(at);
}

/* What a child did. */
struct child {
    int signal;      /* that it died of; 0: it ended */
    int status;      /* that it ended with */
    char text[2048]; /* of standard error */
};

/* Before the first memory is guarded: what comes next is no sanitizer's. */
static MAYBE_UNUSED void faults_are_fatal(void)
{
    signal(SIGSEGV, SIG_DFL);
}

/* Valgrind does not make the stack larger for a signal handler. */
__attribute__((noinline)) static MAYBE_UNUSED void make_the_stack_large(void)
{
    volatile char room[64 * 1024];

    for (size_t i = 0; i < sizeof room; i += 1024)
        room[i] = 0;
}

static MAYBE_UNUSED struct child child_that_does(int (*fn)(void *ctx), void *ctx)
{
    struct child child = {0};
    size_t used = 0;
    ssize_t got;
    char *end;
    int ends[2], status;
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        make_the_stack_large();
        _exit(fn(ctx));
    }
    close(ends[1]);
    while ((got = read(ends[0], child.text + used, sizeof child.text - 1 - used)) > 0)
        used += (size_t)got;
    close(ends[0]);
    end = strstr(child.text,
                 "qemu: uncaught target signal"); /* qemu's own last word, where it runs us */
    if (end != NULL)
        *end = '\0';
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        child.signal = WTERMSIG(status);
    else
        child.status = WEXITSTATUS(status);
    return child;
}

static MAYBE_UNUSED int touch_it(void *at)
{
    (void)touch(at);
    return 0;
}

/* Touching it kills, with the one line that names the arena. */
static MAYBE_UNUSED void faults_as(const void *at, const char *arena, const char *how)
{
    struct child child = child_that_does(touch_it, (void *)(uintptr_t)at);
    char line[256];

    snprintf(line, sizeof line,
             "harena: use after %s: address 0x%" PRIxPTR " was memory of the arena \"%s\" (%s by ",
             how, (uintptr_t)at, arena, how);
    ck_assert_msg(strncmp(child.text, line, strlen(line)) == 0, "\"%s\" is not \"%s...\"",
                  child.text, line);
    ck_assert_ptr_eq(strchr(child.text, '\n'), child.text + strlen(child.text) - 1);
    ck_assert_int_eq(child.signal, SIGSEGV);
}

static MAYBE_UNUSED void is_readable(const void *at)
{
    struct child child = child_that_does(touch_it, (void *)(uintptr_t)at);

    ck_assert_str_eq(child.text, "");
    ck_assert_int_eq(child.signal, 0);
}

/* An arena of a provider with debug modes. */
static MAYBE_UNUSED harena *debugged(harena_provider *provider, const char *name, const char *modes)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = provider;
    options.name = name;
    options.debug = modes;
    return SUCCEEDS(harena_create(&options));
}

static MAYBE_UNUSED harena_shared *debugged_shared(harena_provider *provider, const char *name,
                                                   const char *modes)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = provider;
    options.name = name;
    options.debug = modes;
    return SUCCEEDS(harena_shared_create(&options));
}

#endif
