/* SPDX-License-Identifier: BSD-2-Clause */
/* What the system says of the resident memory of a server. */
#ifndef EXAMPLES_SERVER_CHECK_RESIDENT_H
#define EXAMPLES_SERVER_CHECK_RESIDENT_H

#include <stddef.h>
#include <sys/types.h>

/* Bytes. */
struct resident {
    size_t region, outside; /* of a provider's region; of the process besides */
};

/* Now. `reserved`: the length of the region. All 0: nothing is known. */
struct resident resident_now(pid_t pid, size_t reserved);

/* The most that the process has had so far, all in all. 0: it is not known. */
size_t resident_highest(pid_t pid);

#endif
