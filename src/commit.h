/* SPDX-License-Identifier: BSD-2-Clause */
/* How blocks become usable, and whether by huge pages. Layer 3. */
#ifndef HRI_COMMIT_H
#define HRI_COMMIT_H
#include "provider.h"

/* What the low half of a block's `committed` says. The high half has a bit for each chunk that a huge page may hold
 * though it is not warm: what no limit has counted. */
enum {
    HRI_COMMIT_NONE,     /* the OS has not been asked */
    HRI_COMMIT_USABLE,   /* usable, and nothing is warm: whether by huge pages is to be decided */
    HRI_COMMIT_SMALL,    /* no huge page comes any more, until all of the block has gone back */
    HRI_COMMIT_HUGE,     /* a touch may bring all of the block */
    HRI_COMMIT_TOLD = 4, /* with one of the last two: the OS knows */
    HRI_COMMIT_TELLER =
        8, /* so many times: threads that are telling it; somebody is until it is told */
};

/* How blocks of this provider are to be advised, from its options and what the kernel has. */
void hri_commit_init(harena_provider *provider);

/* Makes the blocks of a run usable that the caller has taken and charged. 0 or -errno. Another thread may do the same at
 * the same time: that is idempotent. */
int hri_commit(harena_provider *provider, uint32_t chunk, uint32_t length);

/* From now on the block has small pages; it has been decided whether, and the caller holds a chunk of it. So what single
 * chunks give back stays away: the kernel might make a huge page of what is left, and no limit would have counted that.
 * False: not now, because somebody is telling the OS to make it huge. */
bool hri_commit_small(harena_provider *provider, uint32_t block);

/* The caller has had chunks in hand, and has put them back as they were. Whoever shed meanwhile has passed them over. */
void hri_commit_look(harena_provider *provider);

/* All of the block, which the caller has claimed, has gone back to the OS. */
void hri_commit_purged(harena_provider *provider, uint32_t block);

/* The hard limit has been set: what huge pages hold beyond what is committed is to keep within it, too. */
void hri_commit_limit(harena_provider *provider);

#endif
