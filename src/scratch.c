/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread's scratch arenas: two, so that a function whose result goes into one of them can use the other. Layer 5.
 *
 * They are arenas of the default provider that only their thread can find. A frame is a mark; arenas and what they keep
 * warm stay until the thread ends. A destructor of another library may use them after ours has run: then they go with
 * the outermost frame. */
#include "mark.h"
#include "thread.h"

#include <errno.h>

#define SCRATCH_ARENAS 2
#define SCRATCH_RETAIN ((size_t)1 << 20) /* bytes that stay warm, in each */

static __thread harena *scratch[SCRATCH_ARENAS] __attribute__((tls_model("initial-exec")));

static void release(int i)
{
    harena *window = scratch[i];

    if (window == NULL)
        return;
    scratch[i] = NULL;                               /* first: a cleanup may use a scratch arena */
    hri_store_relaxed(&window->ops, &hri_arena_ops); /* as in hri_arena_run_cleanups */
    harena_release(window);
}

/* Again where a cleanup has made one anew; not for ever. */
static void release_all(void)
{
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < SCRATCH_ARENAS; i++)
            release(i);
}

__attribute__((constructor)) static void at_load(void)
{
    hri_thread_at_exit(release_all);
}

static harena *make(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *window;

    options.name = "scratch";
    options.retain = SCRATCH_RETAIN;
    window = harena_create(&options);
    if (window != NULL)
        window->ops = &hri_arena_scratch_ops;
    return window;
}

/* Nobody else would: this thread's end has passed by. */
static void release_if_late(int i)
{
    int saved = errno;

    if (hri_thread_word() == HRI_THREAD_GONE && !hri_mark_has_frame(hri_arena_of(scratch[i])))
        release(i);
    errno = saved;
}

harena *harena_scratch_begin(harena *avoid)
{
    int saved = errno, i = avoid != NULL && scratch[0] == avoid;

    hri_thread_word(); /* so that the thread's end is noticed */
    if (scratch[i] == NULL)
        scratch[i] = make();
    if (scratch[i] == NULL)
        return NULL;
    if (!hri_mark_has_frame(hri_arena_of(scratch[i])))
        harena_clear_failed(scratch[i]); /* a failure is that of the frames which it happened in */
    if (!hri_mark_enter(hri_arena_of(scratch[i]))) {
        release_if_late(i);
        return NULL;
    }
    errno = saved;
    return scratch[i];
}

void harena_scratch_end(harena *window)
{
    harena_provider *p;

    if (window == NULL)
        return;
    for (int i = 0; i < SCRATCH_ARENAS; i++) {
        if (window != scratch[i])
            continue;
        if (hri_mark_leave(hri_arena_of(window))) {
            release_if_late(i);
            return;
        }
    }
    p = harena_provider_default();
    if (p != NULL)
        hri_provider_event(p, HARENA_EVENT_MISUSE, 0, 0, "scratch",
                           "harena_scratch_end: no frame of this thread's is open there");
}
