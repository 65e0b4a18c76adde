/* SPDX-License-Identifier: BSD-2-Clause */
/* Type-stable records: memory of one size stays memory of that size for as long as the slab lives. Layer 2. */
#ifndef HRI_SLAB_H
#define HRI_SLAB_H
#include "ck.h"

#define HRI_SLAB_CLASSES 32

struct hri_slab_class {
    hri_stack free; /* records given back */
    uint32_t key;   /* atomic; kind << 24 | cache lines of a record, always odd; 0: unused class */
};

struct hri_slab {
    char *base;
    size_t size;      /* bytes of addresses */
    size_t used;      /* atomic; bytes cut into records */
    size_t committed; /* atomic; bytes usable */
    struct hri_slab_class classes[HRI_SLAB_CLASSES];
};

/* `size` bytes of reserved, uncommitted addresses at `base`; no other thread may use the slab yet. */
void hri_slab_init(struct hri_slab *slab, void *base, size_t size);

/* A record of one kind never becomes one of another kind, even if they are of one size. */
enum hri_slab_kind {
    HRI_SLAB_PRIVATE,    /* only who holds it looks at it */
    HRI_SLAB_ARENA,      /* a pool's list may look at its link when it has been given back */
    HRI_SLAB_GENERATION, /* others look at its figures, also when it has been given back */
    HRI_SLAB_GRAVE,      /* a signal handler may look at it when it has been given back */
};

/* A record of at least `bytes` bytes, aligned to a cache line; zero when new, as it was given back when reused. The
 * slab's own link lies behind it, so who looks at a record that was given back still sees what was there. NULL:
 * the slab is full or the OS refuses. Any thread. Lock-free, but for the system call that commits. */
void *hri_slab_get_kind(struct hri_slab *slab, enum hri_slab_kind kind, size_t bytes);

/* Gives a record of `bytes` bytes (as asked for) back. Any thread. Its bytes stay as they are. */
void hri_slab_put_kind(struct hri_slab *slab, enum hri_slab_kind kind, void *record, size_t bytes);

/* The same for private ones. */
static inline void *hri_slab_get(struct hri_slab *slab, size_t bytes)
{
    return hri_slab_get_kind(slab, HRI_SLAB_PRIVATE, bytes);
}

static inline void hri_slab_put(struct hri_slab *slab, void *record, size_t bytes)
{
    hri_slab_put_kind(slab, HRI_SLAB_PRIVATE, record, bytes);
}

#endif
