/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract with the operating system: all that Harena asks of it. Tests replace the table. Layer 1. */
#ifndef HRI_OS_H
#define HRI_OS_H
#include "base.h"

/* Every call may come from any thread. Sizes and addresses are multiples of the page size. */
struct hri_os {
    /* `bytes` of addresses at a multiple of `align`, not usable yet; NULL: refused. */
    void *(*reserve)(size_t bytes, size_t align);
    /* Makes reserved addresses usable; idempotent; they read as zero at first. 0 or -errno. */
    int (*commit)(void *at, size_t bytes);
    /* Gives the memory behind committed addresses back; they stay usable and read as zero. 0 or -errno. */
    int (*purge)(void *at, size_t bytes);
    /* Makes committed addresses fault; what they hold stays, and is there again after a commit. 0 or -errno. */
    int (*forbid)(void *at, size_t bytes);
    /* Gives the addresses back. */
    void (*release)(void *at, size_t bytes);
    /* Wishes for huge pages, or for none. 0 or -errno: not all of it has been advised. */
    int (*advise_huge)(void *at, size_t bytes, bool huge);
    /* Whether the page that begins at this usable address has memory. */
    bool (*is_resident)(void *at);
    /* Gives reserved addresses a name that others see in /proc/PID/smaps; up to 79 bytes. What the OS answers does not
     * matter. */
    void (*name_mapping)(void *at, size_t bytes, const char *name);
    /* The kernel's policies for huge pages: HRI_OS_2M_ALWAYS and the like, or-ed. */
    unsigned (*huge_modes)(void);
    /* Sleeps while *word holds `seen`, for up to `milliseconds` (-1: no bound). May return early. */
    void (*wait)(uint32_t *word, uint32_t seen, int milliseconds);
    /* Wakes all that wait on the word. */
    void (*wake)(uint32_t *word);
    /* Bytes of memory that the machine has. */
    uint64_t (*memory)(void);
    /* Processors that it has, one at least. */
    uint32_t (*processors)(void);
    /* Milliseconds on a clock that never goes back; coarse. */
    uint64_t (*milliseconds)(void);
};

/* Who gets huge pages, by size: everybody, or who asks by madvise; neither: nobody. */
#define HRI_OS_2M_ALWAYS   1u
#define HRI_OS_2M_MADVISE  2u
#define HRI_OS_64K_ALWAYS  4u
#define HRI_OS_64K_MADVISE 8u

extern struct hri_os hri_os;

#endif
