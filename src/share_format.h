/* SPDX-License-Identifier: BSD-2-Clause */
/* The file in which a process shows its figures, for harena-stat. Layer 3.
 *
 * A head, then sections of HRI_SHARE_SECTION bytes (whole pages of any size), one for each provider that has ever been shown at once.
 * One thread writes, others read, of any process. All is in words that are accessed atomically.
 *
 * 1. A section is written between two raises of its sequence, which is odd meanwhile. Who reads the same even sequence
 *    before and after has read one version: all words are stored with release and loaded with acquire, so a word of a
 *    later version brings the odd sequence with it, and the second look sees that (PAIR share-1).
 * 2. Who wants fresh figures raises `request` and wakes its waiters; the writer writes all sections, then stores the
 *    request that it has seen to `answer` (PAIR share-2).
 * 3. A process that dies leaves the file as it is, perhaps with an odd sequence. Nobody trusts what the file says of
 *    sizes or names. */
#ifndef HRI_SHARE_FORMAT_H
#define HRI_SHARE_FORMAT_H
#include "atomics.h"
#include "figures.h"

#define HRI_SHARE_MAGIC    "harena\n"
#define HRI_SHARE_VERSION  1u
#define HRI_SHARE_HEAD     ((size_t)65536)
#define HRI_SHARE_SECTION  ((size_t)65536)
#define HRI_SHARE_SECTIONS 64u
#define HRI_SHARE_NAMES    (HRI_NAMES_MOST + 1)

struct hri_share_head {
    char magic[8];
    uint32_t version;
    uint32_t pid;
    uint64_t start;    /* of the process: hri_process_start */
    uint64_t time;     /* atomic; milliseconds since 1970, of the last answer */
    uint32_t request;  /* atomic; raised by readers */
    uint32_t answer;   /* atomic; the last request that was answered */
    uint32_t sections; /* atomic; that the file has */
};

struct hri_share_name {
    char name[HRI_NAME_SIZE];
    uint64_t arenas, made, bytes, peak, failures;
};

/* What a section says. */
struct hri_share_content {
    uint64_t used; /* 0: no provider */
    char name[HRI_NAME_SIZE];
    uint64_t of[HRI_FIGURES];
    uint64_t name_count;
    struct hri_share_name names[HRI_SHARE_NAMES];
};

enum { HRI_SHARE_WORDS = sizeof(struct hri_share_content) / sizeof(uint64_t) };

struct hri_share_section {
    uint64_t sequence; /* atomic; odd: being written */
    uint64_t words[HRI_SHARE_WORDS];
};
_Static_assert(sizeof(struct hri_share_head) <= HRI_SHARE_HEAD, "a page");
_Static_assert(sizeof(struct hri_share_section) <= HRI_SHARE_SECTION, "whole pages");
_Static_assert(sizeof(struct hri_share_content) % sizeof(uint64_t) == 0, "words");

/* One thread writes a section. */
static inline void hri_share_write(struct hri_share_section *section,
                                   const struct hri_share_content *content)
{
    const uint64_t *from = (const uint64_t *)(const void *)content;
    uint64_t sequence = hri_load_relaxed(&section->sequence); /* relaxed: its own */

    hri_store_relaxed(&section->sequence, sequence + 1); /* relaxed: released by what follows */
    for (int i = 0; i < HRI_SHARE_WORDS; i++)
        hri_store_release(&section->words[i], from[i]);  /* PAIR share-1 */
    hri_store_release(&section->sequence, sequence + 2); /* PAIR share-1 */
}

/* False: it was being written, or has changed. */
static inline bool hri_share_read(const struct hri_share_section *section,
                                  struct hri_share_content *content)
{
    uint64_t *to = (uint64_t *)(void *)content,
             sequence = hri_load_acquire(&section->sequence); /* PAIR share-1 */

    if (sequence % 2 != 0)
        return false;
    for (int i = 0; i < HRI_SHARE_WORDS; i++)
        to[i] =
            hri_load_acquire(&section->words[i]); /* PAIR share-1: with the sequence before it */
    return hri_load_relaxed(&section->sequence) == sequence;
}

/* Asks for fresh figures; hri_share_is_answered says when they are there. The caller wakes who waits on the word. */
static inline uint32_t hri_share_ask(struct hri_share_head *head)
{
    return hri_fetch_add_acq_rel(&head->request, 1) + 1; /* PAIR share-2 */
}

static inline bool hri_share_is_answered(const struct hri_share_head *head, uint32_t request)
{
    /* PAIR share-2: the sections were written before */
    return (int32_t)(hri_load_acquire(&head->answer) - request) >= 0;
}

#endif
