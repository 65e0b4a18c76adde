/* SPDX-License-Identifier: BSD-2-Clause */
/* Type-stable records on ConcurrencyKit's stacks. Layer 2.
 *
 * 1. A record never changes its class, which is its kind and its size, and the slab is never unmapped while its
 *    provider lives, so a thread that reads a record after it was given back reads a record of the same kind, not
 *    garbage. The size alone would not do: an arena is as large as a generation with one lane.
 * 2. Records are an odd number of cache lines: neighbours start in different sets of the cache. With chunks of 64 KiB
 *    as their home all of them would share one set.
 * 3. A thread that dies between pop and use, or between growing and use, loses one record and blocks nobody. */
#include "slab.h"

#include "os.h"

enum { GROW = 65536 }; /* bytes made usable at a time */

void hri_slab_init(struct hri_slab *slab, void *base, size_t size)
{
    slab->base = base;
    slab->size = size;
    slab->used = slab->committed = 0;
    for (int i = 0; i < HRI_SLAB_CLASSES; i++) {
        hri_stack_init(&slab->classes[i].free);
        slab->classes[i].key = 0;
    }
}

/* Cache lines of a record with the link behind it. */
static uint32_t lines_of(size_t bytes)
{
    return (uint32_t)((bytes + sizeof(hri_stack_entry) + HRI_CACHE_LINE - 1) / HRI_CACHE_LINE) | 1;
}

/* The link is the last word of the record's last line. */
static hri_stack_entry *link_of(void *record, uint32_t lines)
{
    return (hri_stack_entry *)(void *)((char *)record + (size_t)lines * HRI_CACHE_LINE) - 1;
}

static void *record_of(hri_stack_entry *link, uint32_t lines)
{
    return (char *)(link + 1) - (size_t)lines * HRI_CACHE_LINE;
}

/* The class of a kind and size, made when it is first asked for. NULL: too many of them. */
static struct hri_slab_class *class_of(struct hri_slab *slab, enum hri_slab_kind kind,
                                       uint32_t lines)
{
    uint32_t key = (uint32_t)kind << 24 | lines;

    for (int i = 0; i < HRI_SLAB_CLASSES; i++) {
        struct hri_slab_class *c = &slab->classes[i];
        uint32_t seen =
            hri_load_relaxed(&c->key); /* relaxed: the number is all that is handed over */

        if (seen == 0 && hri_cas_relaxed(&c->key, &seen, key))
            return c;
        if (seen == key)
            return c;
    }
    return NULL;
}

/* Makes the first `bytes` bytes usable. Threads may commit the same pages: that is idempotent. */
static bool commit_up_to(struct hri_slab *slab, size_t bytes)
{
    size_t seen =
        hri_load_acquire(&slab->committed); /* PAIR slab-1: raised below, after the commit */
    size_t upto;

    if (HRI_LIKELY(bytes <= seen))
        return true;
    upto = hri_min(hri_round_up(bytes, GROW), slab->size);
    if (hri_os.commit(slab->base + seen, upto - seen) != 0)
        return false;
    while (seen < upto && !hri_cas_release(&slab->committed, &seen, upto)) /* PAIR slab-1 */
        continue;
    return true;
}

static void *cut(struct hri_slab *slab, size_t bytes)
{
    size_t used = hri_load_relaxed(&slab->used);

    do {
        if (bytes > slab->size - used || !commit_up_to(slab, used + bytes))
            return NULL;
    } while (!hri_cas_relaxed(&slab->used, &used,
                              used + bytes)); /* relaxed: claims addresses, publishes nothing */
    return slab->base + used;
}

void *hri_slab_get_kind(struct hri_slab *slab, enum hri_slab_kind kind, size_t bytes)
{
    uint32_t lines = lines_of(bytes);
    struct hri_slab_class *c = bytes <= slab->size ? class_of(slab, kind, lines) : NULL;
    hri_stack_entry *entry;

    if (c == NULL)
        return NULL;
    entry = hri_stack_pop(&c->free);
    return entry != NULL ? record_of(entry, lines) : cut(slab, (size_t)lines * HRI_CACHE_LINE);
}

void hri_slab_put_kind(struct hri_slab *slab, enum hri_slab_kind kind, void *record, size_t bytes)
{
    uint32_t lines = lines_of(bytes);

    hri_stack_push(&class_of(slab, kind, lines)->free, link_of(record, lines));
}
