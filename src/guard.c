/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantine: what guarded arenas give back cannot be touched for a while, and who does is told whose it was. Layer 3.
 *
 * 1. A chunk or run in quarantine stays taken, and its holder is its grave: a record, in one place of a ring. A ticket, by
 *    fetch-add, says which; an exchange puts the grave there and takes out the one before, the oldest. Each grave is put
 *    once and taken out once, by whoever then gives its memory back (PAIR grave-1).
 * 2. Bounded in bytes: who puts takes the oldest ones out until there is no more than may be, or no ticket left. Bounded in
 *    time: the tick takes out what is old, so that a grave does not keep its block from going back for ever.
 * 3. Nobody waits. A thread that is suspended between ticket and exchange leaves a place as it was for one round; one that
 *    is suspended with a grave in hand keeps that memory, as any taker does.
 * 4. The signal handler reads the ring and graves, and nothing else. A grave that it is about to read may be given back
 *    and used anew: it stays a grave (a slab's kind of its own), so the handler may name the wrong arena then, no worse.
 *    Rings stay until their provider goes; a fault elsewhere than in a region that is watched looks at none.
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
    OLD_MS = 10000,      /* then it goes */
    PROVIDERS_MOST = 64, /* whose faults are explained */
};

struct grave {
    char *at;
    size_t bytes;
    const char *how;
    uint32_t chunk;
    uint32_t thread; /* which gave it back */
    uint64_t since;  /* ms; atomic: the tick asks a grave that it does not hold */
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

/* Whose faults are explained. The region is what a fault is compared with: the rest goes with the provider. */
static struct watched {
    struct hri_guard *guard; /* atomic; NULL: the place is free */
    uintptr_t from;          /* atomic; of the region */
    uintptr_t bytes; /* atomic; 0 before the place is given up: never a region that is gone */
} watched[PROVIDERS_MOST];

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
        struct hri_guard *guard = hri_load_acquire(&watched[i].guard); /* PAIR guard-1 */
        uintptr_t from =
            hri_load_relaxed(&watched[i].from); /* relaxed: what is not there yet has no line */

        if (guard == NULL || (uintptr_t)address - from >= hri_load_relaxed(&watched[i].bytes))
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

        if (!hri_cas_release(&watched[i].guard, &none, guard)) /* PAIR guard-1 */
            continue;
        hri_store_relaxed(&watched[i].from, (uintptr_t)guard->provider->region);
        hri_store_relaxed(&watched[i].bytes, guard->provider->region_size);
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
    for (int i = 0; i < PROVIDERS_MOST && p->guard != NULL; i++) {
        if (hri_load_relaxed(&watched[i].guard) != p->guard) /* relaxed: the caller is alone */
            continue;
        hri_store_relaxed(&watched[i].bytes, 0);
        hri_store_release(&watched[i].guard, NULL); /* PAIR guard-1 */
    }
}

/* ---- out of quarantine ---- */

static HRI_COLD void tell_of_refusal(const struct hri_guard *guard, int error)
{
    hri_provider_event(guard->provider, HARENA_EVENT_OS_ERROR, -error, 0, NULL,
                       "the operating system does not change the access to memory in quarantine");
}

/* The OS does not let anybody have it again. Back to some place; else it is lost. */
static HRI_COLD void put_back(struct hri_guard *guard, struct grave *grave)
{
    for (int i = 0; i < GRAVES; i++) {
        struct grave *none = NULL;

        if (hri_cas_release(&guard->graves[i], &none, grave)) /* PAIR grave-1 */
            return;
    }
}

/* Gives back what the caller has taken out. 0, or -errno: it could not. */
static int dig(struct hri_guard *guard, struct grave *grave)
{
    harena_provider *p = guard->provider;
    size_t bytes = grave->bytes;
    uint32_t chunk = grave->chunk;
    int error = hri_os.commit(grave->at, bytes);

    if (error != 0) {
        put_back(guard, grave);
        return error;
    }
    hri_slab_put_kind(&p->slab, HRI_SLAB_GRAVE, grave, sizeof(*grave));
    hri_fetch_sub_relaxed(&guard->bytes, bytes); /* relaxed: a measure */
    hri_name_put(guard->sums, bytes);
    hri_run_put(p, chunk);
    return 0;
}

/* False: no ticket was left, or the OS refuses. */
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
        if (grave != NULL) {
            int error = dig(guard, grave);

            if (error != 0)
                tell_of_refusal(guard, error);
            return error == 0;
        }
        oldest = from + 1;
    }
}

/* All that is in quarantine since then or longer. False: nothing was. What the OS refuses goes to a place that was passed
 * already. */
static bool dig_since(harena_provider *p, uint64_t since)
{
    struct hri_guard *guard = hri_load_acquire(&p->guard); /* PAIR guard-1 */
    bool any = false;
    int saved = errno, refused = 0;

    for (int i = 0; guard != NULL && i < GRAVES; i++) {
        struct grave *grave = hri_load_acquire(&guard->graves[i]); /* PAIR grave-1 */
        int error;

        if (grave == NULL || hri_load_relaxed(&grave->since) > since) /* relaxed: a measure */
            continue;
        grave = hri_exchange_acq_rel(&guard->graves[i], NULL); /* PAIR grave-1 */
        if (grave == NULL)
            continue;
        error = dig(guard, grave);
        if (error != 0)
            refused = error;
        any = any || error == 0;
    }
    if (refused != 0)
        tell_of_refusal(guard, refused);
    errno = saved;
    return any;
}

bool hri_guard_flush(harena_provider *p)
{
    return dig_since(p, UINT64_MAX);
}

void hri_guard_age(harena_provider *p)
{
    uint64_t now;

    if (!hri_guard_holds(p))
        return;
    now = hri_os.milliseconds();
    dig_since(p, now > OLD_MS ? now - OLD_MS : 0);
}

bool hri_guard_holds(harena_provider *p)
{
    struct hri_guard *guard = hri_load_acquire(&p->guard); /* PAIR guard-1 */

    return guard != NULL && hri_load_relaxed(&guard->bytes) != 0; /* relaxed: a measure */
}

/* ---- into quarantine ---- */

/* What may be in quarantine. Of a soft limit not what others need: half of what they leave. Relaxed: a measure. */
static uint64_t most_bytes(harena_provider *p)
{
    struct hri_guard *guard = hri_load_acquire(&p->guard); /* PAIR guard-1 */
    uint64_t limit = hri_load_relaxed(&p->limit), committed = hri_load_relaxed(&p->committed);
    uint64_t others = committed - hri_min(committed, hri_load_relaxed(&guard->bytes)), most = MOST;

    if (limit != 0)
        most = hri_min(most, limit / SHARE_OF_LIMIT);
    if (p->soft_limit != 0) {
        most = hri_min(most, p->soft_limit / SHARE_OF_LIMIT);
        most = hri_min(most, p->soft_limit > others ? (p->soft_limit - others) / 2 : 0);
    }
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

/* NULL: it cannot be, and the memory is as it was. */
static struct grave *make_grave(struct hri_guard *guard, uint32_t chunk, uint32_t length,
                                const char *name, const char *how)
{
    harena_provider *p = guard->provider;
    struct grave *grave = hri_slab_get_kind(&p->slab, HRI_SLAB_GRAVE, sizeof(*grave));
    int error;

    if (grave == NULL)
        return NULL;
    grave->at = hri_chunk_address(p, chunk);
    grave->bytes = length * HRI_CHUNK;
    grave->how = how;
    grave->chunk = chunk;
    grave->thread = hri_fault_thread();
    hri_store_relaxed(&grave->since, hri_os.milliseconds());
    hri_copy_name(grave->name, name, "arena");
    hri_hide(grave->at, grave->bytes);
    error = hri_os.forbid(grave->at, grave->bytes);
    if (error == 0)
        return grave;
    tell_of_refusal(guard, error);
    if (hri_os.commit(grave->at, grave->bytes) != 0) /* a part may be forbidden */
        return grave;
    hri_slab_put_kind(&p->slab, HRI_SLAB_GRAVE, grave, sizeof(*grave));
    return NULL;
}

static void bury(struct hri_guard *guard, struct grave *grave)
{
    uint64_t most = most_bytes(guard->provider), ticket;
    struct grave *before;
    int error;

    hri_name_took(guard->sums, grave->bytes);
    hri_fetch_add_relaxed(&guard->bytes, grave->bytes); /* relaxed: a measure */
    ticket = hri_fetch_add_relaxed(&guard->next, 1);    /* relaxed: a place, no contents */
    before = hri_exchange_acq_rel(&guard->graves[ticket % GRAVES], grave); /* PAIR grave-1 */
    error = before != NULL ? dig(guard, before) : 0;
    if (error != 0)
        tell_of_refusal(guard, error);
    while (hri_load_relaxed(&guard->bytes) > most && dig_oldest(guard))
        continue;
}

void hri_guard_put(harena_provider *p, uint32_t chunk, const char *name, const char *how)
{
    struct hri_guard *guard = guard_of(p);
    struct grave *grave = NULL;
    int saved = errno;

    if (guard != NULL)
        grave = make_grave(guard, chunk, shorten(p, chunk), name, how);
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

void hri_guard_misuse(const harena_provider *p, const char *name, const char *call,
                      const char *state, bool is_told)
{
    char text[96];
    int saved = errno;

    snprintf(text, sizeof(text), "%s: the arena %s", call, state);
    if (p != NULL)
        hri_provider_event(p, HARENA_EVENT_MISUSE, 0, 0, name, text);
    if (is_told)
        hri_fault_write(
            (const char *[]){"harena: ", call, ": the arena \"", name, "\" ", state, NULL});
    errno = saved;
}
