/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of cleanups: what the user wants called when memory goes. Layer 5. */
#ifndef HRI_CLEANUP_H
#define HRI_CLEANUP_H
#include <harena/arena.h>

/* Lies in the arena's own memory, so it goes with it. */
struct hri_cleanup {
    struct hri_cleanup *next;
    harena_cleanup_fn fn;
    void *ctx;
};

/* Runs the newest one, which may register more; the list is not empty. One thread. */
void hri_cleanup_run_newest(struct hri_cleanup **list);

/* Runs all, newest first, also those that are registered meanwhile. One thread. */
void hri_cleanup_run(struct hri_cleanup **list);

/* Forgets the newest match. `in_place`: its record stays on the list, because somebody may remember it as a stop; the
 * oldest one's does anyway, as long as there are newer ones. False: there is none. One thread. */
bool hri_cleanup_forget(struct hri_cleanup **list, harena_cleanup_fn fn, void *ctx, bool in_place);

#endif
