/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives cJSON the thread's current arena. */
#include "json.h"

#include <limits.h>
#include <string.h>

/* Without a current arena the answer is NULL, which harena_alloc gives for a NULL arena: cJSON
 * then reports a failure instead of taking memory that nobody would give back. */
static void *allocate(size_t size)
{
    return harena_alloc(harena_current(), size);
}

/* The arena gives everything back at once, so an object that cJSON frees stays where it is. */
static void nothing(void *object)
{
    (void)object;
}

void json_setup(void)
{
    cJSON_Hooks hooks = {allocate, nothing};
    cJSON_InitHooks(&hooks);
}

/* Whether a string has an escaped NUL, or \u without four digits, which cJSON takes for one: it would end there. */
static bool has_escaped_nul(const char *text)
{
    for (const char *at = strchr(text, '\\'); at != NULL; at = strchr(at, '\\')) {
        at += at[1] != '\0' ? 2 : 1; /* behind the character that is escaped */
        if (at[-1] == 'u' &&
            (strspn(at, "0123456789abcdefABCDEF") < 4 || strncmp(at, "0000", 4) == 0))
            return true;
    }
    return false;
}

cJSON *json_parse(const char *text, size_t length)
{
    /* cJSON skips NUL bytes as if they were white space. */
    if (memchr(text, '\0', length) || has_escaped_nul(text))
        return NULL;
    return cJSON_ParseWithLengthOpts(text, length + 1, NULL, 1);
}

char *json_print(const cJSON *value, size_t expected)
{
    /* With hooks, cJSON grows its buffer by allocating a larger one and copying: a good guess
     * saves that, and in an arena also the memory of the smaller one. */
    if (expected > INT_MAX / 2)
        expected = INT_MAX / 2;
    return cJSON_PrintBuffered(value, (int)expected + 64, 0);
}
