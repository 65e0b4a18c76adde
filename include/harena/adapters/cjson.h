/* SPDX-License-Identifier: BSD-2-Clause */
/* cJSON items in the current arena of the calling thread, and what cJSON_Print returns: never for free(). Layer 8. */
#ifndef HARENA_ADAPTERS_CJSON_H
#define HARENA_ADAPTERS_CJSON_H
#include <cjson/cJSON.h>
#include <harena/arena.h>

static inline void *harena_cjson_alloc(size_t size)
{
    return harena_alloc(harena_current(), size);
}

static inline void harena_cjson_free(void *at)
{
    (void)at;
}

/* For the whole process, once: from then on each thread that uses cJSON needs a current arena (harena_current_set);
 * without one there is no memory. Items are gone at the arena's reset; cJSON_Delete may be left out. */
static inline void harena_cjson_use(void)
{
    cJSON_Hooks hooks = {harena_cjson_alloc, harena_cjson_free};

    cJSON_InitHooks(&hooks);
}

#endif
