/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics of a provider and of its arenas by name, as text, JSON or Prometheus's exposition format.
 * Layer 8.
 *
 * All functions may be called from any thread at any time, at once with each other and with anything
 * else but harena_provider_destroy of the same provider. No read section is needed, nothing is allocated
 * and nobody is stopped.
 */
#ifndef HARENA_STATS_H
#define HARENA_STATS_H
#include <harena/provider.h>
HARENA_BEGIN_DECLS

enum harena_format {
    HARENA_TEXT,      /* for people: may change from version to version */
    HARENA_JSON,      /* one object, in one line */
    HARENA_PROMETHEUS /* text format 0.0.4, with HELP and TYPE */
};

/* Gets the next bytes, which end anywhere and with no zero behind them. 0: go on; anything else stops.
 * It may call the library. */
typedef int (*harena_write_fn)(void *ctx, const char *bytes, size_t size);

/* Writes what harena_provider_stats_get says of a provider, and for each name of arenas and shared
 * arenas: how many live, how many were made, the bytes of chunks and runs that they hold (the
 * retired ones too, until they are reclaimed), the peak of those bytes, and the allocations that were
 * refused. The first 256 names of a provider are kept apart; all others are called "(other)". Arenas in
 * the caller's own memory (harena_create_fixed) are not counted.
 *
 * The peak is the highest sum that was looked at: by this function, by harena_provider_tick, and by
 * each thread when what it has taken for arenas of the name less what it gave back has risen by 1 MiB
 * since its last look (or since the lowest after that), or falls from where it has not looked. So
 * with one thread it is exact; n threads at once may have held up to n MiB more.
 *
 * Names are escaped as the format wants it; UTF-8 passes; bytes that are none are '?'
 * in the name already. The text
 * comes in pieces of up to 512 bytes. NULL provider: the default one.
 * Thread: any, any time. Figures are of a moment each; exact and in accord when no call is under way.
 * Fails: what `write` returned, if that was not 0; -EINVAL: NULL write, no such format; -ENOMEM: no
 *     default provider.
 * Cost: O(blocks ever used + names x threads); less than 2 KiB of stack. */
HARENA_API int harena_stats_write(harena_provider *provider, enum harena_format format,
                                  harena_write_fn write, void *ctx);

HARENA_END_DECLS
#endif
