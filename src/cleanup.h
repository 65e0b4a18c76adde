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

/* Runs all, newest first, also those that are registered meanwhile; the list is empty then. One thread. */
void hri_cleanup_run(struct hri_cleanup **list);

/* Removes the newest match. False: there is none. One thread. */
bool hri_cleanup_forget(struct hri_cleanup **list, harena_cleanup_fn fn, void *ctx);

#endif
