/* SPDX-License-Identifier: BSD-2-Clause */
/* expat parsers in the current arena. One thread at a time. Layer 8. */
#ifndef HARENA_ADAPTERS_EXPAT_H
#define HARENA_ADAPTERS_EXPAT_H
#include <expat.h>
#include <harena/adapters/sized.h>

static inline void *harena_expat_alloc(size_t size)
{
    return harena_sized_alloc(harena_current(), size);
}

static inline void *harena_expat_realloc(void *old, size_t size)
{
    return harena_sized_realloc(harena_current(), old, size);
}

static inline void harena_expat_free(void *at)
{
    (void)at;
}

/* As XML_ParserCreate_MM. The arena must be this thread's current one (harena_current_set) in every call on the parser;
 * without one there is no memory. */
static inline XML_Parser harena_expat_parser(const XML_Char *encoding)
{
    static const XML_Memory_Handling_Suite suite = {harena_expat_alloc, harena_expat_realloc,
                                                    harena_expat_free};

    return XML_ParserCreate_MM(encoding, &suite, (const XML_Char *)0);
}

#endif
