/* SPDX-License-Identifier: BSD-2-Clause */
/* What the models share: a small provider over memory of theirs, an OS that is watched, who owns which chunk and record. */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H
#include "explore.h"
#include "provider.h"

extern harena_provider *world;

/* A provider of so many blocks with a limit in chunks (0: none) whose flavour is the explorer's. */
void world_create(uint32_t blocks, uint32_t limit);

/* The same where the kernel has huge pages, and all blocks are to have them. */
void world_create_huge(uint32_t blocks, uint32_t limit);

/* In setup: the block is a huge page. When all is quiet: what huge pages hold is counted, and within the limit. (At each
 * touch: it is less than a block above.) */
void world_huge(uint32_t block);
void world_huge_pages_hold(void);

/* Chunk by chunk: who has it. Taking what somebody has, giving what one does not have, purging what is in use and
 * using what was not committed are failures. */
void world_took(uint32_t chunk, uint32_t length);
void world_gives(uint32_t chunk, uint32_t length);

/* hri_run_get and hri_run_put with the above. HRI_NO_CHUNK: refused. */
uint32_t world_get(uint32_t length);
void world_put(uint32_t chunk);

/* The stacks of a slab, whose two words are swapped at once; not more than four classes may be used. */
void world_watch_stacks(const struct hri_slab *slab, int first_group);

/* What a thread does behind each point of the library, before the access; NULL: nothing. */
extern void (*world_after_point)(void);

/* In setup: chunks of a block from `from` on are in use for good; a thread has a chunk. */
void world_fill(uint32_t block, uint32_t from);
void world_own(int thread, uint32_t chunk);

/* committed is never above the limit, and never below what is warm; for `step`. */
void world_limit_holds(void);

/* What holds when all is quiet: committed is what is warm, no free chunk is hidden by a summary, the chunks that are taken
 * are those that have an owner. */
void world_quiet(void);

/* The n-th commit of the OS from now on fails (0: none). */
void world_fail_commit(int n);

/* Records of the slab that are in use, and what is asked before one is given back. */
uint32_t world_records(void);
extern void (*world_record_goes)(void *record);
void world_uses_record(const void *record); /* fails if it is not in use */

/* Bytes that this thread was given; world_bytes_apart, when all is quiet: no two have one in common, and each lies in a
 * chunk or run of the generation. */
struct hri_generation;
extern const char world_name[]; /* as long as a name is */
void world_bytes(const void *at, size_t size);
void world_bytes_apart(const struct hri_generation *g);

/* Retires a generation as a reset does that has removed it; world_deferred, when all is quiet and it holds so many bytes:
 * they are deferred. A chunk that is counted at the same moment may be deferred twice, until it is reclaimed. */
void world_retire(struct hri_generation *g);
void world_deferred(const struct hri_generation *g, uint64_t held);

/* The state of src/thread.c, which has no other door. A thread ends: `between` is a destructor of somebody else, which
 * runs after each of ours but the last (NULL: none). */
void world_remember_identities(void);
void world_thread_ends(void (*between)(void));
uint32_t
world_numbers(uint32_t *free_numbers); /* how many there are, and how many of them are free */

/* The process forks, and the caller is in the child: src/thread.c counts it. Begun anew with each world. */
void world_remember_forks(void);
void world_fork(void);

#endif
