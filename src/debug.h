/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug modes: words of HARENA_DEBUG, for all arenas of the process, and of the options' `debug`, for one. Layer 1. */
#ifndef HRI_DEBUG_H
#define HRI_DEBUG_H
#include "atomics.h"

/* Bits of a set of modes. */
#define HRI_DEBUG_GUARD 1u /* released memory faults, a second release is told of: guard.h */

/* Adds the modes that words name, with commas between them; "" names none. False: one is no mode; *modes is as it was.
 * "help" writes the list of modes to standard error, once in a process. */
bool hri_debug_read(const char *text, uint32_t *modes);

/* Asks the environment, once in the process; a value that makes no sense asks for nothing (who is told of that:
 * environment.c). */
void hri_debug_init(void);

extern uint32_t
    hri_debug_state; /* atomic; 0: the environment has not been asked, else its modes and HRI_DEBUG_ASKED */
#define HRI_DEBUG_ASKED (UINT32_C(1) << 31)

/* The modes of an object whose options say `text` (NULL: nothing), with those of the environment. False: text is none. */
static inline bool hri_debug_modes(const char *text, uint32_t *modes)
{
    if (HRI_UNLIKELY(hri_load_relaxed(&hri_debug_state) == 0)) /* relaxed: all read the same */
        hri_debug_init();
    *modes = hri_load_relaxed(&hri_debug_state);
    return HRI_LIKELY(text == NULL) || hri_debug_read(text, modes);
}

#endif
