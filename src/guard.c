/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantine: what guarded arenas give back cannot be touched for a while, and who does is told whose it was. Layer 3.
 *
 * 1. A chunk or run in quarantine stays taken, and its holder is its grave: a record, in one place of a ring. A ticket, by
 *    fetch-add, says which; an exchange puts the grave there and takes out the one before, the oldest. Each grave is put
 *    once and taken out once, by whoever then gives its memory back (PAIR grave-1).
 * 2. Bounded in bytes: who puts takes the oldest ones out until there is no more than may be, or no ticket left.
 * 3. Nobody waits. A thread that is suspended between ticket and exchange leaves a place as it was for one round; one that
 *    is suspended with a grave in hand keeps that memory, as any taker does.
 * 4. The signal handler reads the ring and graves, and nothing else. A grave that it is about to read may be given back
 *    and used anew: it stays a grave (a slab's kind of its own), so the handler may name the wrong arena then, no worse.
 *    Rings stay until their provider goes.
 * 5. fork: the child has the quarantine as it was, and the handler. */
#include "guard.h"

#include "fault.h"
#include "os.h"
#include "sanitizer.h"
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    GRAVES = 1024,       /* at once; a power of two */
    MOST = 64 << 20,     /* bytes in quarantine */
    SHARE_OF_LIMIT = 4,  /* and no more than a quarter of a limit, or a chunk */
    PROVIDERS_MOST = 64, /* whose faults are explained */
};

struct grave {
    char *at;
    size_t bytes;
    const char *how;
    uint32_t chunk;
    uint32_t thread; /* which gave it back */
    char name[HRI_NAME_SIZE];
};

/* Places that are filled in turn; what a new entry finds at its place falls out. */
struct kept {
    uint64_t next; /* atomic */
    void *records[HRI_GUARD_KEPT];
};

struct hri_guard {
    harena_provider *provider;
    struct hri_name *sums;             /* what is in quarantine, as if an arena held it */
    struct kept kept[HRI_GUARD_KINDS]; /* atomic */
    uint64_t bytes HRI_ALIGNED;        /* atomic; in quarantine */
    uint64_t oldest; /* atomic; the first ticket that has not been taken out for its age */
    uint64_t next;   /* atomic; the next ticket */
    struct grave *graves[GRAVES]; /* atomic; by ticket */
};

static struct hri_guard *guards[PROVIDERS_MOST]; /* atomic */

/* ---- who touched what ---- */

static void tell(const struct grave *grave, const void *address)
{
    char number[24], thread[24], name[HRI_NAME_SIZE];
    const char *pieces[] = {"harena: use after ",
                            grave->how,
                            ": address ",
                            hri_fault_digits(number, (uintptr_t)address, 16),
                            " was memory of the arena \"",
                            name,
                            "\" (",
                            grave->how,
                            " by thread ",
                            hri_fault_digits(thread, grave->thread, 10),
                            ")",
                            NULL};

    memcpy(name, grave->name, sizeof(name)); /* another thread may be writing there: 4. above */
    name[sizeof(name) - 1] = '\0';
    hri_fault_write(pieces);
}

static void explain(const void *address)
{
    for (int i = 0; i < PROVIDERS_MOST; i++) {
        struct hri_guard *guard = hri_load_acquire(&guards[i]); /* PAIR guard-1 */

        if (guard == NULL || !harena_provider_owns(guard->provider, address))
            continue;
        for (int j = 0; j < GRAVES; j++) {
            const struct grave *grave = hri_load_acquire(&guard->graves[j]); /* PAIR grave-1 */

            if (grave != NULL && (uintptr_t)address - (uintptr_t)grave->at < grave->bytes) {
                tell(grave, address);
                return;
            }
        }
    }
}

/* ---- a provider's guard ---- */

static struct hri_guard *make(harena_provider *p)
{
    static const char name[HRI_NAME_SIZE] = "(quarantine)";
    struct hri_guard *guard = hri_slab_get(&p->slab, sizeof(*guard));

    if (guard == NULL)
        return NULL;
    memset(guard, 0, sizeof(*guard));
    guard->provider = p;
    guard->sums = hri_names_find(&p->names, name);
    return guard;
}

/* A provider beyond the places has its quarantine all the same. */
static void enlist(struct hri_guard *guard)
{
    for (int i = 0; i < PROVIDERS_MOST; i++) {
        struct hri_guard *none = NULL;

        if (hri_cas_release(&guards[i], &none, guard)) /* PAIR guard-1 */
            break;
    }
    hri_fault_watch(explain);
}

/* Made when it is first needed, so that the handler comes after those that the application has installed at its start.
 * NULL: there is no record to be had. */
static struct hri_guard *guard_of(harena_provider *p)
{
    struct hri_guard *guard = hri_load_acquire(&p->guard), *mine; /* PAIR guard-1 */

    if (HRI_LIKELY(guard != NULL))
        return guard;
    mine = make(p);
    if (mine == NULL)
        return NULL;
    if (!hri_cas_acq_rel(&p->guard, &guard, mine)) { /* PAIR guard-1 */
        hri_slab_put(&p->slab, mine, sizeof(*mine));
        return guard;
    }
    enlist(mine);
    return mine;
}

void hri_guard_end(harena_provider *p)
{
    for (int i = 0; i < PROVIDERS_MOST; i++) {
        struct hri_guard *guard = p->guard;

        if (guard != NULL)
            hri_cas_relaxed(&guards[i], &guard, NULL); /* relaxed: the caller is alone */
    }
}

/* ---- out of quarantine ---- */

/* The OS does not let anybody have it again. Back to some place; else it is lost. */
static HRI_COLD void refuse(struct hri_guard *guard, struct grave *grave, int error)
{
    hri_provider_event(guard->provider, HARENA_EVENT_OS_ERROR, error, grave->bytes, NULL,
                       "the operating system does not give access to memory in quarantine");
    for (int i = 0; i < GRAVES; i++) {
        struct grave *none = NULL;

        if (hri_cas_release(&guard->graves[i], &none, grave)) /* PAIR grave-1 */
            return;
    }
}

/* Gives back what the caller has taken out. False: it could not. */
static bool dig(struct hri_guard *guard, struct grave *grave)
{
    harena_provider *p = guard->provider;
    size_t bytes = grave->bytes;
    uint32_t chunk = grave->chunk;
    int error = hri_os.commit(grave->at, bytes);

    if (error != 0) {
        refuse(guard, grave, -error);
        return false;
    }
    hri_slab_put_kind(&p->slab, HRI_SLAB_GRAVE, grave, sizeof(*grave));
    hri_fetch_sub_relaxed(&guard->bytes, bytes); /* relaxed: a measure */
    hri_name_put(guard->sums, bytes);
    hri_run_put(p, chunk);
    return true;
}

/* False: no ticket was left. */
static bool dig_oldest(struct hri_guard *guard)
{
    uint64_t oldest = hri_load_relaxed(&guard->oldest); /* relaxed: places, no contents */
    struct grave *grave;

    for (;;) {
        uint64_t next = hri_load_relaxed(&guard->next), from = oldest;

        if (oldest >= next)
            return false;
        if (next - oldest > GRAVES)
            from = next - GRAVES; /* what was before has fallen out */
        if (!hri_cas_relaxed(&guard->oldest, &oldest, from + 1))
            continue;
        grave = hri_exchange_acq_rel(&guard->graves[from % GRAVES], NULL); /* PAIR grave-1 */
        if (grave != NULL)
            return dig(guard, grave);
        oldest = from + 1;
    }
}

bool hri_guard_flush(harena_provider *p)
{
    struct hri_guard *guard = hri_load_acquire(&p->guard); /* PAIR guard-1 */
    bool any = false;
    int saved = errno;

    for (int i = 0; guard != NULL && i < GRAVES; i++) {
        struct grave *grave = hri_exchange_acq_rel(&guard->graves[i], NULL); /* PAIR grave-1 */

        if (grave != NULL && !dig(guard, grave))
            break;
        any = any || grave != NULL;
    }
    errno = saved;
    return any;
}

/* ---- into quarantine ---- */

static uint64_t most_bytes(const harena_provider *p)
{
    uint64_t limit = hri_load_relaxed(&p->limit), most = MOST; /* relaxed: a measure */

    if (limit != 0)
        most = hri_min(most, limit / SHARE_OF_LIMIT);
    if (p->soft_limit != 0)
        most = hri_min(most, p->soft_limit / SHARE_OF_LIMIT);
    return hri_max(most, HRI_CHUNK);
}

/* Of a run that is too long for all the quarantine its first part: half of what there may be. Its chunks. */
static uint32_t shorten(harena_provider *p, uint32_t chunk)
{
    uint32_t length = hri_load_relaxed(&hri_provider_extent(p, chunk)->length);
    uint64_t most = most_bytes(p);

    if (length * HRI_CHUNK <= most)
        return length;
    length = (uint32_t)hri_max(most / HRI_CHUNK / 2, 1);
    hri_run_cut(p, chunk, length);
    return length;
}

static struct grave *make_grave(harena_provider *p, uint32_t chunk, uint32_t length,
                                const char *name, const char *how)
{
    struct grave *grave = hri_slab_get_kind(&p->slab, HRI_SLAB_GRAVE, sizeof(*grave));

    if (grave == NULL)
        return NULL;
    grave->at = hri_chunk_address(p, chunk);
    grave->bytes = length * HRI_CHUNK;
    grave->how = how;
    grave->chunk = chunk;
    grave->thread = hri_fault_thread();
    hri_copy_name(grave->name, name, "arena");
    hri_hide(grave->at, grave->bytes);
    if (hri_os.forbid(grave->at, grave->bytes) == 0)
        return grave;
    hri_slab_put_kind(&p->slab, HRI_SLAB_GRAVE, grave, sizeof(*grave));
    return NULL;
}

static void bury(struct hri_guard *guard, struct grave *grave)
{
    uint64_t most = most_bytes(guard->provider), ticket;
    struct grave *before;

    hri_name_took(guard->sums, grave->bytes);
    hri_fetch_add_relaxed(&guard->bytes, grave->bytes); /* relaxed: a measure */
    ticket = hri_fetch_add_relaxed(&guard->next, 1);    /* relaxed: a place, no contents */
    before = hri_exchange_acq_rel(&guard->graves[ticket % GRAVES], grave); /* PAIR grave-1 */
    if (before != NULL)
        dig(guard, before);
    while (hri_load_relaxed(&guard->bytes) > most && dig_oldest(guard))
        continue;
}

void hri_guard_put(harena_provider *p, uint32_t chunk, const char *name, const char *how)
{
    struct hri_guard *guard = guard_of(p);
    struct grave *grave = NULL;
    int saved = errno;

    if (guard != NULL)
        grave = make_grave(p, chunk, shorten(p, chunk), name, how);
    if (grave != NULL)
        bury(guard, grave);
    else
        hri_run_put(p, chunk);
    errno = saved;
}

/* ---- records ---- */

void *hri_guard_keep(harena_provider *p, enum hri_guard_kind kind, void *record)
{
    struct hri_guard *guard = guard_of(p);
    struct kept *kept;

    if (guard == NULL)
        return record;
    kept = &guard->kept[kind];
    return hri_exchange_acq_rel(
        &kept->records[hri_fetch_add_relaxed(&kept->next, 1) % HRI_GUARD_KEPT], /* as a ticket */
        record); /* PAIR grave-1: the record as its last user left it */
}

void hri_guard_misuse(const harena_provider *p, const char *name, const char *call)
{
    char text[96];
    int saved = errno;

    snprintf(text, sizeof(text), "%s: the arena was released already", call);
    if (p != NULL)
        hri_provider_event(p, HARENA_EVENT_MISUSE, 0, 0, name, text);
    hri_fault_write((const char *[]){"harena: ", call, ": the arena \"", name,
                                     "\" was released already", NULL});
    errno = saved;
}
