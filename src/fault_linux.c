/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory faults on Linux. Layer 1. */
#include "fault.h"

#include "atomics.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t installed; /* atomic; 1: somebody has installed the handler, or is about to */
static struct sigaction before;
static void (*explain)(const void *address);

static bool is_function(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static void set_default(void)
{
    struct sigaction none;

    memset(&none, 0, sizeof(none));
    none.sa_handler = SIG_DFL;
    sigaction(SIGSEGV, &none, NULL);
}

/* What would have happened without us. For a default action the signal is raised once more, and comes when we return: the process
 * dies where it should, also if somebody has made the memory accessible meanwhile. (Not with the siginfo that it had:
 * Valgrind would take it for a fault of its own.) */
static void pass_on(int number, siginfo_t *info, void *context)
{
    bool sent = info->si_code <= 0;

    if (!is_function(&before)) {
        if (sent && before.sa_handler == SIG_IGN)
            return;
        set_default(); /* a fault kills also where the signal is ignored */
        raise(number);
        return;
    }
    if ((before.sa_flags & SA_RESETHAND) != 0)
        set_default();
    if ((before.sa_flags & SA_SIGINFO) != 0)
        before.sa_sigaction(number, info, context);
    else
        before.sa_handler(number);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    if (info->si_code == SEGV_ACCERR)
        explain(info->si_addr);
    errno = saved;
    pass_on(number, info, context);
}

void hri_fault_watch(void (*fn)(const void *address))
{
    struct sigaction ours, now;
    uint32_t no = 0;
    int saved = errno;

    if (hri_load_relaxed(&installed) != 0 ||
        !hri_cas_relaxed(&installed, &no, 1)) /* relaxed: the kernel orders what a handler sees */
        return;
    explain = fn;
    memset(&ours, 0, sizeof(ours));
    if (sigaction(SIGSEGV, NULL, &before) == 0) { /* known before the first fault comes to us */
        ours.sa_sigaction = on_fault;
        ours.sa_mask = before.sa_mask;
        ours.sa_flags = SA_SIGINFO | (before.sa_flags & (SA_ONSTACK | SA_NODEFER | SA_RESTART));
        if (!is_function(&before))
            ours.sa_flags |= SA_ONSTACK; /* a stack that has overflown has no room for us */
        if (sigaction(SIGSEGV, &ours, &now) == 0)
            before = now; /* somebody else's, of a moment ago */
    }
    errno = saved;
}

void hri_fault_write(const char *const *pieces)
{
    char line[256];
    size_t used = 0;

    for (; *pieces != NULL; pieces++)
        for (const char *at = *pieces; *at != '\0' && used < sizeof(line) - 1; at++)
            line[used++] = *at;
    hri_mask_controls(line, used);
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0) {
        /* Nobody is there to be told. */
    }
}

const char *hri_fault_digits(char text[24], uint64_t number, unsigned base)
{
    char *at = text + 23;

    *at = '\0';
    do
        *--at = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    if (base == 16) {
        *--at = 'x';
        *--at = '0';
    }
    return at;
}

uint32_t hri_fault_thread(void)
{
    return (uint32_t)syscall(SYS_gettid);
}
