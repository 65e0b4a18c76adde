/* SPDX-License-Identifier: BSD-2-Clause */
/* Parks a thread at one particular instruction of the library's code: it runs with the processor's trap flag on, the
 * signal handler counts the instructions that lie in the library, and at the chosen one it does not come back until it
 * is told to. x86-64 and the shared library only. */
#ifndef TEST_PROGRESS_STEP_H
#define TEST_PROGRESS_STEP_H
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <urcu/flavor.h>

#define STEP_FRAMES 24

enum step_state { STEP_RUNNING, STEP_PARKED, STEP_ENDED };

typedef struct step {
    uint64_t target;  /* park at this instruction of the library, from 1; 0: never */
    uint64_t steps;   /* instructions of the library so far */
    uint64_t outside; /* instructions elsewhere since the last one of the library */
    uintptr_t before; /* the last instruction of the library */
    uintptr_t back;   /* where a function that the library has called will return to */
    const struct rcu_flavor_struct *rcu;
    atomic_uint state, resumed, done; /* `state` and `resumed` are waited on */
    bool until_left;                  /* ends by itself when it leaves the library for good */
    bool in_section;                  /* where it is parked, and: */
    int frame_count;
    uintptr_t frames[STEP_FRAMES]; /* addresses in the library, less its base; the first is exact */
} step;

/* The library's code. */
static struct {
    const char *file;
    uintptr_t base, from, end;
} step_text;

static _Thread_local step *stepping;

static inline void step_futex(atomic_uint *word, int operation, unsigned value, int milliseconds)
{
    struct timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1000000L};

    syscall(SYS_futex, word, operation, value, milliseconds < 0 ? NULL : &timeout, NULL, 0);
}

static inline void step_tell(step *s, unsigned state)
{
    atomic_store(&s->state, state);
    step_futex(&s->state, FUTEX_WAKE_PRIVATE, INT32_MAX, 0);
}

/* Parked or ended; STEP_RUNNING: neither in time. */
static inline unsigned step_wait(step *s, int seconds)
{
    time_t end = time(NULL) + seconds;
    unsigned state;

    while ((state = atomic_load(&s->state)) == STEP_RUNNING && time(NULL) < end)
        step_futex(&s->state, FUTEX_WAIT_PRIVATE, STEP_RUNNING, 1000);
    return state;
}

static inline void step_resume(step *s)
{
    atomic_store(&s->resumed, 1);
    step_futex(&s->resumed, FUTEX_WAKE_PRIVATE, 1, 0);
}

static inline bool step_is_inside(uintptr_t address)
{
    return address >= step_text.from && address < step_text.end;
}

/* In the handler: notes where it stands and stays. */
static inline void step_park(step *s, uintptr_t at)
{
    void *frames[STEP_FRAMES * 2];
    int count = backtrace(frames, STEP_FRAMES * 2), i = 0;

    s->in_section = s->rcu->read_ongoing() != 0;
    s->frames[0] = at - step_text.base;
    s->frame_count = 1;
    while (i < count && (uintptr_t)frames[i] != at) /* the handler's own */
        i++;
    for (i++; i < count && s->frame_count < STEP_FRAMES; i++)
        if (step_is_inside((uintptr_t)frames[i])) /* the call is before the address of return */
            s->frames[s->frame_count++] = (uintptr_t)frames[i] - 1 - step_text.base;
    step_tell(s, STEP_PARKED);
    while (!atomic_load(&s->resumed))
        step_futex(&s->resumed, FUTEX_WAIT_PRIVATE, 0, -1);
    atomic_store(&s->done, 1);
}

#define STEP_TRAP_FLAG 0x100

/* What the library calls runs at full speed, also because some of it blocks all signals: its address of return is
 * replaced by that of a breakpoint. */
extern const unsigned char step_breakpoint[] __attribute__((visibility("hidden")));
__asm__(".pushsection .text\n"
        ".hidden step_breakpoint\n"
        "step_breakpoint: int3\n"
        ".popsection\n");

/* The thread has left the library. True: by a call, and it will come back to the breakpoint. */
static inline bool step_over(step *s, greg_t *registers)
{
    const unsigned char *last = (const unsigned char *)s->before;
    uintptr_t *top = (uintptr_t *)registers[REG_RSP];

    if (s->before == 0 || last[0] == 0xc3 || (last[0] == 0xf3 && last[1] == 0xc3) ||
        !step_is_inside(*top))
        return false; /* it has returned, or jumped out of its last function */
    s->back = *top;
    *top = (uintptr_t)step_breakpoint;
    registers[REG_EFL] &= ~(greg_t)STEP_TRAP_FLAG;
    return true;
}

static inline void step_on_trap(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t at = (uintptr_t)registers[REG_RIP];
    int saved = errno;
    step *s = stepping;

    (void)number, (void)info;
    if (s != NULL && at == (uintptr_t)step_breakpoint + 1) {
        at = s->back;
        registers[REG_RIP] = (greg_t)at;
        registers[REG_EFL] |= STEP_TRAP_FLAG;
    }
    if (s != NULL && !atomic_load(&s->done)) {
        if (step_is_inside(at)) {
            s->before = at;
            s->outside = 0;
            if (++s->steps == s->target)
                step_park(s, at);
        } else if (s->outside++ == 0 && step_over(s, registers)) {
            s->outside = 0;
            errno = saved;
            return;
        } else if (s->until_left && s->before != 0) {
            atomic_store(&s->done, 1);
            step_tell(s, STEP_ENDED);
        }
    }
    if (s == NULL || atomic_load(&s->done)) {
        stepping = NULL;
        registers[REG_EFL] &= ~(greg_t)STEP_TRAP_FLAG;
    }
    errno = saved;
}

static inline void step_begin(step *s)
{
    sigset_t trap;

    sigemptyset(&trap);
    sigaddset(&trap, SIGTRAP);
    pthread_sigmask(SIG_UNBLOCK, &trap, NULL);
    stepping = s;
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t" /* not over what the compiler keeps there */
                     "pushfq\n\t"
                     "orq $0x100, (%%rsp)\n\t"
                     "popfq\n\t"
                     "lea 128(%%rsp), %%rsp" ::
                         : "memory", "cc");
}

/* The next trap switches the flag off. */
static inline void step_end(step *s)
{
    atomic_store(&s->done, 1);
    step_tell(s, STEP_ENDED);
}

static inline int step_find_text(struct dl_phdr_info *info, size_t size, void *any)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + segment->p_vaddr;

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0 &&
            (uintptr_t)any - from < segment->p_memsz) {
            step_text.file = info->dlpi_name;
            step_text.base = info->dlpi_addr;
            step_text.from = from;
            step_text.end = from + segment->p_memsz;
            return 1;
        }
    }
    return 0;
}

/* `any` is a function of the library. False: it is not a shared library of its own. */
static inline bool step_init(void *any)
{
    struct sigaction action;
    void *frames[2];

    if (dl_iterate_phdr(step_find_text, any) == 0 || step_is_inside((uintptr_t)step_init))
        return false;
    (void)backtrace(frames, 2); /* loads what it needs, which it could not in a handler */
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = step_on_trap;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    return sigaction(SIGTRAP, &action, NULL) == 0;
}

#endif
