/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the adapters share: a file to work on, an arena, checks. */
#ifndef TEST_ADAPTER_H
#define TEST_ADAPTER_H
#include <harena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The whole file argv[1], with a NUL behind it, in an arena of its own that stays. */
static inline char *file_of(int argc, char **argv, size_t *size)
{
    harena_buf text;
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;

    CHECK(file != NULL);
    harena_buf_init(&text, harena_create(NULL));
    CHECK(harena_buf_read_from(&text, fileno(file)) > 0);
    fclose(file);
    *size = harena_buf_len(&text);
    CHECK(harena_buf_string(&text) != NULL);
    return harena_buf_bytes(&text);
}

/* The work, three times over the same arena; each time it must take its memory from there. */
static inline void three_times(void (*work)(harena *a, const char *text, size_t size),
                               const char *text, size_t size)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *a;

    options.retain = (size_t)64 << 20;
    a = harena_create(&options);
    CHECK(a != NULL);
    for (int i = 0; i < 3; i++) {
        harena_current_set(a);
        work(a, text, size);
        harena_current_set(NULL);
        CHECK(!harena_failed(a) && harena_len(a) > 0);
        harena_reset(a);
    }
    harena_release(a);
}

#endif
