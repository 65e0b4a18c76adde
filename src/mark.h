/* SPDX-License-Identifier: BSD-2-Clause */
/* Places in an arena that one can go back to. Layer 5. */
#ifndef HRI_MARK_H
#define HRI_MARK_H
#include "arena.h"

/* Lies in the arena's own memory. */
struct hri_mark {
    struct hri_state state;
    struct hri_mark *below;
    uint64_t first,
        last;        /* numbers of the marks that it serves and that are good; first > last: none */
    uint32_t frames; /* that begin here */
};
_Static_assert(sizeof(struct hri_mark) == 80,
               "harena_arena(3) says how much of a fixed arena a mark takes");

/* Begins a frame of a scratch arena. False: no memory. */
bool hri_mark_enter(struct hri_arena *a);

/* Back to where the newest frame began, which ends. False: there is none. */
bool hri_mark_leave(struct hri_arena *a);
bool hri_mark_has_frame(const struct hri_arena *a);

#endif
