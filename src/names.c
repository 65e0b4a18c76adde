/* SPDX-License-Identifier: BSD-2-Clause */
/* Sums by arena name: a table that only grows, counters in shards. Layer 3.
 *
 * 1. A slot goes from empty to a record once, by CAS, and keeps it: who has found a record may keep the pointer for the
 *    life of the provider. A search passes the slots in one order and ends at the first empty one, so all that look for
 *    a name meet at one slot, and a name has one record (PAIR name-1).
 * 2. `count` is raised before a slot is tried, so there are never more than HRI_NAMES_MOST records, and half of the
 *    slots stay empty: searches are short, also for a name that is refused. A thread that loses the slot to the same
 *    name lowers it again; another that sees it too high meanwhile counts as "(other)", which is not wrong.
 * 3. A shard is written by the one thread that has its number; the next one with that number acquired what the last one
 *    left (PAIR stack-1), the pointer included. Others read it as figures.
 * 4. Peak. A sum costs a walk over the shards, so it is not made at each change. A thread looks when its own share has
 *    risen by LOOK since its last look, or since the lowest that it was after that; and when its share begins to fall
 *    from where it has not looked. So one thread's peak is exact, and with n threads at most n times LOOK is missed. */
#include "names.h"

#include "thread.h"
#include "utf8.h"

#include <string.h>

enum { LOOK = 1 << 20 }; /* bytes */

static const char other_name[HRI_NAME_SIZE] = "(other)";

static void init_shard(struct hri_name_shard *shard)
{
    *shard = (struct hri_name_shard){.look_at = LOOK};
}

static void init_name(struct hri_name *n, struct hri_slab *slab, const char name[HRI_NAME_SIZE])
{
    memset(n, 0, sizeof(*n));
    memcpy(n->name, name, HRI_NAME_SIZE);
    n->slab = slab;
    init_shard(&n->common);
}

void hri_names_init(struct hri_names *names, struct hri_slab *slab)
{
    names->slab = slab;
    init_name(&names->other, slab, other_name);
}

/* ---- the table ---- */

struct words {
    uint64_t of[HRI_NAME_SIZE / sizeof(uint64_t)];
};

static HRI_COLD void mend(char name[HRI_NAME_SIZE])
{
    size_t length;

    for (char *at = name; *at != '\0'; at += length) {
        length = hri_utf8_length((unsigned char *)at);
        if (length == 0) {
            *at = '?';
            length = 1;
        }
    }
}

/* By words: they are read as such right after, and a core cannot forward a word that was stored in pieces. */
void hri_copy_name(char to[HRI_NAME_SIZE], const char *name, const char *fallback)
{
    const unsigned char *at = (const unsigned char *)(name != NULL ? name : fallback);
    const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    uint32_t left = HRI_NAME_SIZE - 1;
    uint64_t all = 0;

    for (size_t i = 0; i < HRI_NAME_SIZE; i += sizeof(uint64_t)) {
        uint64_t word = 0;

        for (uint32_t bits = 0; bits < 64 && left != 0 && *at != '\0'; bits += 8, left--)
            word |= (uint64_t)*at++ << (little ? bits : 56 - bits);
        memcpy(to + i, &word, sizeof(word));
        all |= word;
    }
    if (HRI_UNLIKELY((all & UINT64_C(0x8080808080808080)) != 0))
        mend(to);
}

static inline struct words words_of(const char name[HRI_NAME_SIZE])
{
    struct words words;

    memcpy(&words, name, sizeof(words));
    return words;
}

static inline uint32_t hash(const char name[HRI_NAME_SIZE])
{
    struct words w = words_of(name);

    return (uint32_t)((w.of[0] * UINT64_C(0x9e3779b97f4a7c15) ^
                       w.of[1] * UINT64_C(0xbf58476d1ce4e5b9) ^
                       w.of[2] * UINT64_C(0x94d049bb133111eb) ^
                       w.of[3] * UINT64_C(0xd6e8feb86659fd93)) >>
                      48);
}

static inline bool has_name(const struct hri_name *n, const char name[HRI_NAME_SIZE])
{
    struct words a = words_of(n->name), b = words_of(name);

    return ((a.of[0] ^ b.of[0]) | (a.of[1] ^ b.of[1]) | (a.of[2] ^ b.of[2]) |
            (a.of[3] ^ b.of[3])) == 0;
}

/* A record that nobody knows yet. NULL: too many, or no memory. */
static struct hri_name *make(struct hri_names *names, const char name[HRI_NAME_SIZE])
{
    uint32_t count = hri_load_relaxed(&names->count);
    struct hri_name *n;

    do {
        if (count >= HRI_NAMES_MOST)
            return NULL;
    } while (
        !hri_cas_relaxed(&names->count, &count, count + 1)); /* relaxed: claims a number alone */
    n = hri_slab_get(names->slab, sizeof(*n));
    if (n == NULL)
        hri_fetch_sub_relaxed(&names->count, 1); /* relaxed: as above */
    else
        init_name(n, names->slab, name);
    return n;
}

static void unmake(struct hri_names *names, struct hri_name *n)
{
    hri_slab_put(names->slab, n, sizeof(*n));
    hri_fetch_sub_relaxed(&names->count, 1); /* relaxed: as in make */
}

/* The name is not in the table up to an empty slot: puts it there, unless another thread was faster. */
static HRI_COLD struct hri_name *insert(struct hri_names *names, uint32_t slot,
                                        const char name[HRI_NAME_SIZE])
{
    struct hri_name *mine = has_name(&names->other, name) ? NULL : make(names, name), *seen;

    if (mine == NULL)
        return &names->other;
    for (;; slot = (slot + 1) % HRI_NAME_SLOTS) {
        seen = NULL;
        if (hri_cas_acq_rel(&names->slots[slot], &seen, mine)) /* PAIR name-1 */
            return mine;
        if (has_name(seen, name)) {
            unmake(names, mine);
            return seen;
        }
    }
}

struct hri_name *hri_names_find(struct hri_names *names, const char name[HRI_NAME_SIZE])
{
    struct hri_name *seen;

    if (names->slab == NULL)
        return NULL;
    for (uint32_t slot = hash(name) % HRI_NAME_SLOTS;; slot = (slot + 1) % HRI_NAME_SLOTS) {
        seen = hri_load_acquire(&names->slots[slot]); /* PAIR name-1: inserted, complete */
        if (seen == NULL)
            return insert(names, slot, name);
        if (has_name(seen, name))
            return seen;
    }
}

/* ---- counters ---- */

static HRI_COLD struct hri_name_shard *make_shard(struct hri_name *n, uint32_t thread)
{
    struct hri_name_shard *shard = hri_slab_get(n->slab, sizeof(*shard));

    if (shard == NULL)
        return NULL;
    init_shard(shard);
    hri_store_release(&n->shards[thread], shard); /* PAIR name-2: acquired by who sums */
    return shard;
}

/* This thread's shard; *alone: nobody else writes it. */
static inline struct hri_name_shard *shard_of_thread(struct hri_name *n, bool *alone)
{
    uint32_t thread = hri_thread_index();
    struct hri_name_shard *shard = NULL;

    if (HRI_LIKELY(thread < HRI_NAME_SHARDS - 1)) {
        shard = hri_load_relaxed(&n->shards[thread]); /* relaxed: this thread's own */
        if (HRI_UNLIKELY(shard == NULL))
            shard = make_shard(n, thread);
    }
    *alone = shard != NULL;
    return HRI_LIKELY(shard != NULL) ? shard : &n->common;
}

/* Adds, and says what the sum is. Relaxed: figures. */
static inline uint64_t count(uint64_t *counter, uint64_t n, bool alone)
{
    uint64_t now;

    if (HRI_UNLIKELY(!alone))
        return hri_fetch_add_relaxed(counter, n) + n;
    now = hri_load_relaxed(counter) + n;
    hri_store_relaxed(counter, now);
    return now;
}

static inline void count_one(struct hri_name *n, size_t field)
{
    struct hri_name_shard *shard;
    bool alone;

    if (n == NULL)
        return;
    shard = shard_of_thread(n, &alone);
    count((uint64_t *)(void *)((char *)shard + field), 1, alone);
}

void hri_name_made(struct hri_name *n)
{
    count_one(n, offsetof(struct hri_name_shard, made));
}

void hri_name_ended(struct hri_name *n)
{
    count_one(n, offsetof(struct hri_name_shard, ended));
}

void hri_name_failed(struct hri_name *n)
{
    count_one(n, offsetof(struct hri_name_shard, failures));
}

/* ---- sums ---- */

static uint64_t not_below_zero(uint64_t sum)
{
    return (int64_t)sum > 0
               ? sum
               : 0; /* while others count, a share may be seen without its counterpart */
}

static void add_shard(struct hri_name_sums *sums, const struct hri_name_shard *shard)
{
    uint64_t ended = hri_load_relaxed(&shard->ended), made = hri_load_relaxed(&shard->made);

    sums->made += made;
    sums->arenas += made - ended;
    sums->bytes += hri_load_relaxed(&shard->bytes);
    sums->failures += hri_load_relaxed(&shard->failures);
}

static struct hri_name_sums sum(struct hri_name *n)
{
    struct hri_name_sums sums = {.name = n->name};

    for (int i = 0; i < HRI_NAME_SHARDS - 1; i++) {
        const struct hri_name_shard *shard =
            hri_load_acquire(&n->shards[i]); /* PAIR name-2: made by its thread */

        if (shard != NULL)
            add_shard(&sums, shard);
    }
    add_shard(&sums, &n->common);
    sums.arenas = not_below_zero(sums.arenas);
    sums.bytes = not_below_zero(sums.bytes);
    hri_raise_to(&n->peak, sums.bytes);
    sums.peak = hri_load_relaxed(&n->peak);
    return sums;
}

/* Relaxed: `looked` and `look_at` say when to look, nothing else; in the common shard threads may overwrite them. */
static HRI_COLD void look(struct hri_name *n, struct hri_name_shard *shard)
{
    int64_t bytes = (int64_t)hri_load_relaxed(&shard->bytes);

    sum(n);
    hri_store_relaxed(&shard->looked, bytes);
    hri_store_relaxed(&shard->look_at, bytes + LOOK);
}

void hri_name_took(struct hri_name *n, uint64_t bytes)
{
    struct hri_name_shard *shard;
    int64_t now;
    bool alone;

    if (n == NULL)
        return;
    shard = shard_of_thread(n, &alone);
    now = (int64_t)count(&shard->bytes, bytes, alone);
    if (HRI_UNLIKELY(now >= hri_load_relaxed(&shard->look_at)))
        look(n, shard);
}

void hri_name_put(struct hri_name *n, uint64_t bytes)
{
    struct hri_name_shard *shard;
    int64_t now;
    bool alone;

    if (n == NULL)
        return;
    shard = shard_of_thread(n, &alone);
    if (HRI_UNLIKELY((int64_t)hri_load_relaxed(&shard->bytes) > hri_load_relaxed(&shard->looked)))
        look(n, shard);
    now = (int64_t)count(&shard->bytes, -bytes, alone);
    if (now + LOOK < hri_load_relaxed(&shard->look_at))
        hri_store_relaxed(&shard->look_at, now + LOOK);
}

bool hri_names_next(struct hri_names *names, uint32_t *at, struct hri_name_sums *sums)
{
    struct hri_name *n;

    while (*at < HRI_NAME_SLOTS) {
        n = hri_load_acquire(&names->slots[(*at)++]); /* PAIR name-1: inserted, complete */
        if (n != NULL) {
            *sums = sum(n);
            return true;
        }
    }
    if (names->slab == NULL || *at > HRI_NAME_SLOTS)
        return false;
    ++*at;
    *sums = sum(&names->other);
    return sums->made != 0;
}

void hri_names_look(struct hri_names *names)
{
    struct hri_name_sums sums;
    uint32_t at = 0;

    while (hri_names_next(names, &at, &sums))
        continue;
}
