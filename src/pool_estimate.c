/* SPDX-License-Identifier: BSD-2-Clause */
/* What recent users of a key needed: the parts that are not on everybody's way. Layer 7. */
#include "pool_estimate.h"

void hri_pool_estimates_init(struct hri_pool_estimates *e)
{
    for (int i = 0; i < HRI_POOL_SETS; i++)
        for (int j = 0; j < HRI_POOL_WAYS; j++)
            hri_store_relaxed(&e->entries[i][j], 0);
    hri_store_relaxed(&e->overall, HRI_POOL_PAGES_MIN);
}

/* The estimate after a use that needed `need`. */
static uint64_t next(uint64_t pages, uint64_t need)
{
    if (need > pages)
        return hri_min(need, 2 * pages);
    return pages - (pages - need + 7) / 8;
}

/* Returns what it is now. */
static uint64_t change_overall(struct hri_pool_estimates *e, uint64_t need)
{
    uint64_t before = hri_load_relaxed(&e->overall), after = next(before, need);

    if (after != before)
        hri_cas_relaxed(&e->overall, &before, after);
    return after;
}

uint64_t hri_pool_estimate_change(struct hri_pool_estimates *e, uint64_t *entry, uint64_t word,
                                  uint64_t need)
{
    uint64_t pages = next(word & HRI_POOL_PAGES_MAX, need);

    hri_cas_relaxed(entry, &word, (word & HRI_POOL_TAG) | HRI_POOL_USED | pages);
    change_overall(e, need);
    return pages;
}

/* A place in the set: a free one, else one whose key was not used of late. Else all get the chance to become so. */
static void place(uint64_t *set, uint64_t entry)
{
    uint64_t words[HRI_POOL_WAYS];

    for (int i = 0; i < HRI_POOL_WAYS; i++) {
        words[i] = hri_load_relaxed(&set[i]);
        if ((words[i] & HRI_POOL_USED) == 0) {
            hri_cas_relaxed(&set[i], &words[i], entry);
            return;
        }
    }
    for (int i = 0; i < HRI_POOL_WAYS; i++)
        hri_cas_relaxed(&set[i], &words[i], words[i] & ~HRI_POOL_USED);
}

uint64_t hri_pool_estimate_admit(struct hri_pool_estimates *e, uint64_t hash, uint64_t need)
{
    uint64_t pages = change_overall(e, need);

    place(hri_pool_estimate_set(e, hash), (hash & HRI_POOL_TAG) | HRI_POOL_USED | pages);
    return pages;
}
