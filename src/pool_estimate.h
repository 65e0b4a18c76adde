/* SPDX-License-Identifier: BSD-2-Clause */
/* What recent users of a key needed. Layer 7.
 *
 * An estimate is in pages of 4 KiB, one chunk at least. A use that needed more raises it to that, but to no more than
 * double; a use that needed less takes an eighth of the difference off, rounded up: steady needs are met exactly, and
 * nothing is written then.
 *
 * The table is bounded: sets of four entries. An entry is one word, so that no lock is needed and none is torn: the
 * key's tag, whether it was used of late, the estimate. All accesses are relaxed: an estimate is a hint. An update that
 * meets another one is lost; keys whose tags are equal share an estimate. A new key takes the place of one that was not
 * used since the last time somebody looked for a place; if there is none it gets no place now, and all in the set have
 * to prove themselves again. What has no place goes by the estimate over all keys, and each change of any key changes
 * that one, too. */
#ifndef HRI_POOL_ESTIMATE_H
#define HRI_POOL_ESTIMATE_H
#include "atomics.h"

enum {
    HRI_POOL_SETS = 32, /* a power of two */
    HRI_POOL_WAYS = 4,
};
#define HRI_POOL_PAGE      ((size_t)4096)
#define HRI_POOL_PAGES_MIN UINT64_C(16) /* a chunk */
#define HRI_POOL_PAGES_MAX UINT64_C(0x7fffffff)
#define HRI_POOL_USED      UINT64_C(0x80000000)
#define HRI_POOL_TAG       UINT64_C(0xffffffff00000000)

struct hri_pool_estimates {
    uint64_t entries[HRI_POOL_SETS]
                    [HRI_POOL_WAYS]; /* atomic; tag << 32 | used << 31 | pages; 0: free */
    uint64_t overall HRI_ALIGNED;    /* atomic; pages */
} HRI_ALIGNED;

/* No other thread may use them yet, but for reads of what they were before. */
void hri_pool_estimates_init(struct hri_pool_estimates *estimates);

/* A new key, or one whose estimate changes. */
uint64_t hri_pool_estimate_admit(struct hri_pool_estimates *estimates, uint64_t hash,
                                 uint64_t pages);
uint64_t hri_pool_estimate_change(struct hri_pool_estimates *estimates, uint64_t *entry,
                                  uint64_t word, uint64_t pages);

/* Its upper half is the key's tag, the bits below name the set. */
static inline uint64_t hri_pool_hash(uint64_t key)
{
    return key * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t *hri_pool_estimate_set(struct hri_pool_estimates *estimates, uint64_t hash)
{
    return estimates->entries[hash >> 27 & (HRI_POOL_SETS - 1)];
}

/* The key's entry and what it holds; NULL: it has none. */
static inline uint64_t *hri_pool_estimate_find(struct hri_pool_estimates *estimates, uint64_t hash,
                                               uint64_t *word)
{
    uint64_t *set = hri_pool_estimate_set(estimates, hash);

    for (int i = 0; i < HRI_POOL_WAYS; i++) {
        *word = hri_load_relaxed(&set[i]);
        if (*word != 0 && ((*word ^ hash) & HRI_POOL_TAG) == 0)
            return &set[i];
    }
    return NULL;
}

/* In bytes. */
static inline uint64_t hri_pool_estimate(struct hri_pool_estimates *estimates, uint64_t hash)
{
    uint64_t word;

    if (HRI_UNLIKELY(hri_pool_estimate_find(estimates, hash, &word) == NULL))
        word = hri_load_relaxed(&estimates->overall);
    return (word & HRI_POOL_PAGES_MAX) * HRI_POOL_PAGE;
}

/* Whether a use of the key that needs a chunk at most would leave everything as it is: the estimate is a chunk. */
static inline bool hri_pool_estimate_is_least(struct hri_pool_estimates *estimates, uint64_t hash)
{
    uint64_t least = (hash & HRI_POOL_TAG) | HRI_POOL_USED | HRI_POOL_PAGES_MIN;
    uint64_t *set = hri_pool_estimate_set(estimates, hash);

    return hri_load_relaxed(&set[0]) == least || hri_load_relaxed(&set[1]) == least ||
           hri_load_relaxed(&set[2]) == least || hri_load_relaxed(&set[3]) == least;
}

/* A use of the key is over that needed so many bytes, a multiple of a page. Returns the estimate from now on, in bytes. */
static inline uint64_t hri_pool_estimate_note(struct hri_pool_estimates *estimates, uint64_t hash,
                                              uint64_t bytes)
{
    uint64_t pages =
        hri_min(hri_max(bytes / HRI_POOL_PAGE, HRI_POOL_PAGES_MIN), HRI_POOL_PAGES_MAX);
    uint64_t word, *entry = hri_pool_estimate_find(estimates, hash, &word);

    if (HRI_UNLIKELY(entry == NULL))
        pages = hri_pool_estimate_admit(estimates, hash, pages);
    else if (HRI_UNLIKELY((word & ~HRI_POOL_TAG) != (HRI_POOL_USED | pages)))
        pages = hri_pool_estimate_change(estimates, entry, word, pages);
    return pages * HRI_POOL_PAGE;
}

#endif
