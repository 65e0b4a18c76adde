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

/* From now on the provider's figures, as above, can be seen from outside with the program harena-stat, until the
 * provider or the process ends. HARENA_STAT=1 in the environment does so for each provider when it is made.
 *
 * They are in a file of 128 KiB for the first provider and 64 KiB for each further one at once, up to 64:
 * harena-PID-START in $XDG_RUNTIME_DIR if that is a directory of the user's, else in /dev/shm, of mode 0600. It is
 * removed when the process exits by exit() or returns from main. A thread of the library's writes it when
 * harena-stat asks, and sleeps else; it has all signals blocked. The application's threads do nothing for it. The child
 * of a fork shows nothing until it calls this itself.
 *
 * NULL provider: the default one. One that is shown already: nothing.
 * Thread: any, any time.
 * Fails: 0, or -errno: the file cannot be made (-EACCES, -ENOSPC and so on), a 65th provider (-ENOSPC), the
 *     file has been removed (-ENOENT), no thread (-EAGAIN), no memory, no default provider (-ENOMEM).
 * Cost: a lock, a dozen system calls, a thread the first time. */
HARENA_API int harena_stat_share(harena_provider *provider);

HARENA_END_DECLS
#endif
