/* SPDX-License-Identifier: BSD-2-Clause */
/* The file in which a process shows its figures, for harena-stat. Layer 3.
 *
 * A head, then sections of HRI_SHARE_SECTION bytes (whole pages of any size), one for each provider that has ever been shown at once.
 * One thread writes, others read, of any process. The writer has it mapped, and writes words, atomically. A reader reads
 * the file: who may write it may also cut it short, and then a load from a mapping is SIGBUS, a read is one that is too
 * short. The kernel's loads are in a reader's program order, which fences turn into an order of memory.
 *
 * 1. A section is written between two raises of its sequence, which is odd meanwhile. Who reads the same even sequence
 *    before and after has read one version: all words are stored with release, and a fence stands behind each of the
 *    three reads, so a word of a later version brings the odd sequence with it, and the second look sees that (PAIR
 *    share-1). Nothing is asked of how the kernel copies: any byte of a later version does. The sequence's own eight
 *    bytes may be of two moments, too: then the second look, which sees all of the later one, finds another number.
 * 2. Who wants fresh figures raises `request` and wakes its waiters; the writer writes all sections, then stores the
 *    request that it has seen to `answer` (PAIR share-2).
 * 3. A process that dies leaves the file as it is, perhaps with an odd sequence. Nobody trusts what the file says of
 *    sizes or names. */
#ifndef HRI_SHARE_FORMAT_H
#define HRI_SHARE_FORMAT_H
#include "atomics.h"
#include "figures.h"

#include <unistd.h>

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

/* ThreadSanitizer does not know fences, nor what the kernel reads. */
#if defined(__SANITIZE_THREAD__)
#define HRI_SHARE_FENCE() ((void)0)
#else
#define HRI_SHARE_FENCE() hri_fence_acquire() /* PAIR share-1, PAIR share-2 */
#endif

/* All of the bytes, or false: the file ends before. */
static inline bool hri_share_pread(int fd, void *to, size_t size, size_t at)
{
    bool whole = pread(fd, to, size, (off_t)at) == (ssize_t)size;

    HRI_SHARE_FENCE();
    return whole;
}

enum hri_share_seen {
    HRI_SHARE_WHOLE,
    HRI_SHARE_BUSY, /* it was being written, or has changed */
    HRI_SHARE_SHORT /* the file ends before */
};

static inline enum hri_share_seen hri_share_read(int fd, uint32_t index,
                                                 struct hri_share_content *content)
{
    size_t at = HRI_SHARE_HEAD + index * HRI_SHARE_SECTION;
    uint64_t before, after;

    if (!hri_share_pread(fd, &before, sizeof(before), at)) /* PAIR share-1: one version, whole */
        return HRI_SHARE_SHORT;
    if (before % 2 != 0)
        return HRI_SHARE_BUSY;
    if (!hri_share_pread(fd, content, sizeof(*content),
                         at + offsetof(struct hri_share_section, words)) ||
        !hri_share_pread(fd, &after, sizeof(after), at)) /* PAIR share-1: no word is of a later */
        return HRI_SHARE_SHORT;
    return before == after ? HRI_SHARE_WHOLE : HRI_SHARE_BUSY;
}

/* The head of a moment. Behind it, what its `answer` says has been written is read (PAIR share-2). */
static inline bool hri_share_read_head(int fd, struct hri_share_head *head)
{
    return hri_share_pread(fd, head, sizeof(*head), 0);
}

/* Whether figures are there that are younger than the request. Were the counter's bytes of two moments, which no copying
 * by words allows, older ones could pass for them. */
static inline bool hri_share_is_answered(const struct hri_share_head *head, uint32_t request)
{
    return (int32_t)(head->answer - request) >= 0;
}

#endif
