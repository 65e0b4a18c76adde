/* SPDX-License-Identifier: BSD-2-Clause */
/* How blocks become usable, and whether by huge pages. Layer 3. */
#ifndef HRI_COMMIT_H
#define HRI_COMMIT_H
#include "provider.h"

/* What `committed` of a block says. */
enum {
    HRI_COMMIT_NONE,    /* the OS has not been asked */
    HRI_COMMIT_USABLE,  /* usable; the wish for huge pages is to be told anew: nothing is warm */
    HRI_COMMIT_SETTLED, /* usable, and the wish has been told */
};

/* How blocks of this provider are to be advised, from its options and what the kernel has. */
void hri_commit_init(harena_provider *provider);

/* Makes the blocks of a run usable that the caller has taken. 0 or -errno. Another thread may do the same at the same
 * time: that is idempotent. */
int hri_commit(harena_provider *provider, uint32_t chunk, uint32_t length);

#endif
