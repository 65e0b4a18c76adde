/* SPDX-License-Identifier: BSD-2-Clause */
/* What the arenas of one name hold together: sums, never a list of arenas. Layer 3. */
#ifndef HRI_NAMES_H
#define HRI_NAMES_H
#include "slab.h"

#define HRI_NAME_SIZE   32  /* bytes of a name with the zero behind it */
#define HRI_NAMES_MOST  256 /* names of a provider; all further ones count as "(other)" */
#define HRI_NAME_SLOTS  512 /* a power of two */
#define HRI_NAME_SHARDS 64  /* a power of two */

/* One thread's share of a name's figures, in a line of its own. What one thread counts up another may count down, so
 * the figures of one shard may be below zero: the sums alone mean something. All atomic. */
struct hri_name_shard {
    uint64_t made, ended; /* arenas */
    uint64_t bytes;       /* taken less given back */
    uint64_t failures;    /* allocations that were refused */
    int64_t looked;       /* `bytes` when the thread last looked at the sum */
    int64_t look_at;      /* the sum is looked at again when `bytes` has risen to this */
};
_Static_assert(sizeof(struct hri_name_shard) + sizeof(hri_stack_entry) <= HRI_CACHE_LINE,
               "a record of the slab that is one line");

struct hri_name {
    char name[HRI_NAME_SIZE]; /* padded with zeroes */
    struct hri_slab *slab;
    uint64_t peak; /* atomic; the highest sum of `bytes` that was looked at */
    /* Thread number t writes *shards[t] alone, as with struct hri_provider_shard; made when it first counts. */
    struct hri_name_shard *shards[HRI_NAME_SHARDS - 1];
    struct hri_name_shard common HRI_ALIGNED; /* of all other threads: read-modify-writes */
};

/* Copies up to HRI_NAME_SIZE - 1 bytes of a name, or of the fallback for NULL, and pads with zeroes. A byte that is not
 * UTF-8 (a name may be cut within a character) becomes '?': whoever writes names down need not change any, so two that
 * differ stay so. */
void hri_copy_name(char to[HRI_NAME_SIZE], const char *name, const char *fallback);

/* A table that names are only ever put into. */
struct hri_names {
    struct hri_slab *slab;                  /* NULL: nothing is counted */
    uint32_t count;                         /* atomic; names in it, and those about to be */
    struct hri_name *slots[HRI_NAME_SLOTS]; /* atomic */
    struct hri_name other;
};

/* The memory is zero; no other thread uses the table yet. */
void hri_names_init(struct hri_names *names, struct hri_slab *slab);

/* The record of a name (padded with zeroes), made when it is first asked for; "(other)" when there are too many, or no
 * memory. NULL, which every function below takes and ignores, if nothing is counted. Any thread, lock-free. */
struct hri_name *hri_names_find(struct hri_names *names, const char name[HRI_NAME_SIZE]);

/* Any thread; a few ns, no read-modify-write but for threads beyond the shards. */
void hri_name_made(struct hri_name *name);
void hri_name_ended(struct hri_name *name);
void hri_name_failed(struct hri_name *name);
void hri_name_took(struct hri_name *name, uint64_t bytes);
void hri_name_put(struct hri_name *name, uint64_t bytes);

/* A name's figures. Sums of a moment; exact when none of its arenas is at work. */
struct hri_name_sums {
    const char *name;
    uint64_t arenas; /* live */
    uint64_t made, bytes, peak, failures;
};

/* The next name from *at on, which begins with 0; it looks at the sum of bytes for the peak. False: there is none. */
bool hri_names_next(struct hri_names *names, uint32_t *at, struct hri_name_sums *sums);

/* Looks at the sums of all names for their peaks. */
void hri_names_look(struct hri_names *names);

#endif
