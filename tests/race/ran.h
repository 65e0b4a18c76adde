/* SPDX-License-Identifier: BSD-2-Clause */
/* One line for each test that has passed, as key=value, for those who collect what ran. */
#ifndef TEST_RACE_RAN_H
#define TEST_RACE_RAN_H
#include "../support/rng.h"
#include <string.h>

/* `more`: further pairs, or "". A test's function is called as the test, with "_fn" behind it. */
static inline void race_ran(const char *file, const char *function, int index, unsigned threads,
                            unsigned long rounds, const char *more)
{
    const char *name = strrchr(file, '/') != NULL ? strrchr(file, '/') + 1 : file;

    printf("race=%.*s test=%.*s index=%d threads=%u rounds=%lu%s%s seed=%llu\n",
           (int)strcspn(name, "."), name, (int)(strlen(function) - strlen("_fn")), function, index,
           threads, rounds, *more != '\0' ? " " : "", more, (unsigned long long)test_seed());
    fflush(stdout);
}

/* At the end of a test: how many threads it ran at once, and how often each did its work. */
#define RACE_RAN(threads, rounds) RACE_RAN_MORE(threads, rounds, "")
#define RACE_RAN_MORE(threads, rounds, more)                                                       \
    race_ran(__BASE_FILE__, __func__, _i, (threads), (rounds), (more))

#endif
