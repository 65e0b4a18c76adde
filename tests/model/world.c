/* SPDX-License-Identifier: BSD-2-Clause */
/* The OS, the provider and the owners that the models share. */
#include "world.h"

#include "commit.h"
#include "generation.h"
#include "deferred.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    MOST_BLOCKS = 4,
    MOST_CHUNKS = MOST_BLOCKS * 32,
    MOST_RECORDS = 64,
    MOST_OBJECTS = 8,  /* of a thread */
    SLAB_USED = 16384, /* bytes of the slab that a model may use */
    GROUP_OF_SUMS = 0, /* `committed` and the chunks' states */
    GROUP_OF_STACKS =
        8, /* and the next three; 12 to 15: the slab's model; 16: numbers of threads */
    CLASSES = 4,
};

#define ADDRESSES ((size_t)64 << 20)

harena_provider *world;
void (*world_record_goes)(void *record);
void (*world_after_point)(void);

static char *addresses; /* all that the OS of the models has */
static size_t reserved;
static uint32_t filled; /* chunks that are taken from the start to the end */
static bool has_huge_pages;

/* What the explorer puts back before each run. */
static struct {
    uint8_t owner[MOST_CHUNKS];  /* thread + 1 */
    uint8_t usable[MOST_BLOCKS]; /* committed */
    uint8_t huge[MOST_BLOCKS];   /* advised for huge pages */
    uint8_t held[MOST_CHUNKS];   /* has memory of the OS */
    struct {
        void *record;
        size_t bytes;
        enum hri_slab_kind kind;
        uint8_t in_use;
    } records[MOST_RECORDS];
    int commits_until_failure;
    struct object {
        const char *at;
        size_t size;
    } objects[EXPLORE_THREADS * MOST_OBJECTS]; /* MOST_OBJECTS for each thread */
} shadow HRI_ALIGNED;

/* ---- the OS ---- */

static void *reserve(size_t bytes, size_t align)
{
    size_t at = hri_round_up(reserved, align);

    if (bytes > ADDRESSES - at)
        return NULL;
    reserved = at + bytes;
    return addresses + at;
}

static size_t in_region(const void *at)
{
    return world != NULL ? (size_t)((const char *)at - world->region) : SIZE_MAX;
}

static int commit(void *at, size_t bytes)
{
    size_t offset = in_region(at);

    explore_touch(world != NULL && offset < world->region_size
                      ? (const void *)&world->blocks.table[offset / HRI_BLOCK].extents
                      : at);
    if (shadow.commits_until_failure != 0 && --shadow.commits_until_failure == 0)
        return -12;
    if (world != NULL && offset < world->region_size)
        memset(&shadow.usable[offset / HRI_BLOCK], 1, bytes / HRI_BLOCK);
    return 0;
}

static int purge(void *at, size_t bytes)
{
    uint32_t chunk = (uint32_t)(in_region(at) / HRI_CHUNK);

    explore_touch(&world->blocks.table[chunk / 32].extents);
    for (size_t i = 0; i < bytes / HRI_CHUNK; i++) {
        EXPLORE_CHECK(shadow.owner[chunk + i] == 0 && "memory in use is purged");
        shadow.held[chunk + i] = 0;
    }
    return 0;
}

static void release(void *at, size_t bytes)
{
    (void)at, (void)bytes;
}

static unsigned huge_modes(void)
{
    return has_huge_pages ? HRI_OS_2M_MADVISE : 0;
}

static void name_mapping(void *at, size_t bytes, const char *name)
{
    (void)at, (void)bytes, (void)name;
}

static int advise_huge(void *at, size_t bytes, bool huge)
{
    if (world == NULL) { /* all of the region, before it is used */
        memset(shadow.huge, huge, sizeof(shadow.huge));
        return 0;
    }
    EXPLORE_CHECK(bytes == HRI_BLOCK && "advice for more than a block");
    explore_touch(&world->blocks.table[in_region(at) / HRI_BLOCK].extents);
    shadow.huge[in_region(at) / HRI_BLOCK] = huge;
    return 0;
}

static bool is_resident(void *at)
{
    return shadow.held[in_region(at) / HRI_CHUNK] != 0;
}

static uint32_t processors(void)
{
    return 1;
}

static uint64_t memory(void)
{
    return (uint64_t)1 << 30;
}

/* ---- the provider ---- */

static void ignore_figures(void)
{
    explore_ignore(&world->peak, sizeof(world->peak));
    explore_ignore(&world->purges, sizeof(world->purges));
    explore_ignore(&world->failures, sizeof(world->failures));
    explore_ignore(&world->live, sizeof(world->live));
    explore_ignore(&world->retired, sizeof(world->retired));
    explore_ignore(&world->reclaimed, sizeof(world->reclaimed));
    for (int i = 0; i < HRI_PROVIDER_SHARDS; i++)
        if (i < EXPLORE_THREADS + 1)
            explore_ignore(&world->shards[i], offsetof(struct hri_provider_shard, home));
}

static void create(uint32_t blocks, uint32_t limit)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    if (addresses == NULL) {
        addresses = mmap(NULL, ADDRESSES + HRI_BLOCK, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (addresses == MAP_FAILED)
            abort();
        addresses = hri_align_pointer(addresses, HRI_BLOCK);
    }
    madvise(addresses, ADDRESSES, MADV_DONTNEED);
    reserved = filled = 0;
    memset(&shadow, 0, sizeof(shadow));
    world = NULL;
    world_record_goes = NULL;
    world_after_point = NULL;
    hri_os = (struct hri_os){
        .reserve = reserve,
        .commit = commit,
        .purge = purge,
        .release = release,
        .advise_huge = advise_huge,
        .is_resident = is_resident,
        .name_mapping = name_mapping,
        .huge_modes = huge_modes,
        .wait = explore_wait,
        .wake = explore_wake,
        .memory = memory,
        .processors = processors,
        .milliseconds = explore_milliseconds,
    };
    options.reserve = blocks * HRI_BLOCK;
    options.limit = limit * HRI_CHUNK;
    options.rcu = &explore_rcu;
    options.huge_pages = has_huge_pages ? HARENA_HUGE_ON : HARENA_HUGE_AUTO;
    world = harena_provider_create(&options);
    if (world == NULL)
        abort();
    world->names.slab = NULL; /* figures decide nothing: no points of theirs among the schedules */
    explore_memory(world, (size_t)((char *)(world->blocks.full_summary + 8) - (char *)world));
    explore_memory(world->slab.base, SLAB_USED);
    explore_memory(&shadow, sizeof(shadow));
    world_remember_forks();
    ignore_figures();
    explore_same(&world->committed, sizeof(world->committed), GROUP_OF_SUMS);
    for (uint32_t i = 0; i < blocks; i++)
        explore_same(&world->blocks.table[i].state, sizeof(uint64_t), GROUP_OF_SUMS);
    world_watch_stacks(&world->slab, GROUP_OF_STACKS);
}

void world_create(uint32_t blocks, uint32_t limit)
{
    has_huge_pages = false;
    create(blocks, limit);
}

void world_create_huge(uint32_t blocks, uint32_t limit)
{
    has_huge_pages = true;
    create(blocks, limit);
}

void world_watch_stacks(const struct hri_slab *slab, int first_group)
{
    for (int i = 0; i < CLASSES; i++)
        explore_same(&slab->classes[i].free, sizeof(hri_stack), first_group + i);
}

void world_fail_commit(int n)
{
    shadow.commits_until_failure = n;
}

/* ---- memory that the OS has given ---- */

static uint32_t held(void)
{
    uint32_t all = 0;

    for (int i = 0; i < MOST_CHUNKS; i++)
        all += shadow.held[i];
    return all;
}

/* A huge page comes at any touch: also where there are small pages, which the kernel may replace by one. */
static void touch(uint32_t chunk)
{
    if (shadow.huge[chunk / 32])
        memset(&shadow.held[chunk / 32 * 32], 1, 32);
    else
        shadow.held[chunk] = 1;
    EXPLORE_CHECK((!has_huge_pages || held() * HRI_CHUNK < world->limit + HRI_BLOCK) &&
                  "huge pages hold a block more than the limit allows");
}

void world_huge(uint32_t block)
{
    uint32_t cold = ~(uint32_t)(world->blocks.table[block].state >> 32);

    world->blocks.table[block].committed = (uint64_t)cold << 32 | HRI_COMMIT_HUGE | HRI_COMMIT_TOLD;
    world->blocks.table[block].advice = HRI_ADVISE_FOR;
    world->beyond += (uint64_t)__builtin_popcount(cold);
    shadow.huge[block] = 1;
    memset(&shadow.held[block * 32], 1, 32);
}

void world_huge_pages_hold(void)
{
    uint64_t bits = 0;

    for (uint32_t i = 0; i < world->blocks.count * 32; i++) {
        const struct hri_block *block = &world->blocks.table[i / 32];
        bool warm = (block->state >> (32 + i % 32) & 1) != 0;
        bool beyond = (block->committed >> (32 + i % 32) & 1) != 0;

        bits += beyond;
        EXPLORE_CHECK((!warm || !beyond) && "a warm chunk is counted twice");
        EXPLORE_CHECK((warm || beyond || !shadow.held[i]) && "memory is held that is not counted");
        EXPLORE_CHECK((warm || beyond || !shadow.huge[i / 32] ||
                       (uint32_t)block->committed < HRI_COMMIT_SMALL) &&
                      "a huge page may bring what is not counted");
    }
    EXPLORE_CHECK(bits == world->beyond && "the sum is not that of the blocks");
    EXPLORE_CHECK(world->committed + world->beyond * HRI_CHUNK <= world->limit &&
                  "more is held than the limit allows");
}

/* ---- owners of chunks ---- */

void world_took(uint32_t chunk, uint32_t length)
{
    explore_touch(&world->blocks.table[chunk / 32].extents);
    for (uint32_t i = chunk; i < chunk + length; i++) {
        EXPLORE_CHECK(shadow.owner[i] == 0 && "a chunk has two owners");
        EXPLORE_CHECK(shadow.usable[i / 32] && "a chunk was handed out before it was committed");
        EXPLORE_CHECK((world->blocks.table[i / 32].state >> (32 + i % 32) & 1) != 0 &&
                      "a chunk was handed out that is not warm");
        shadow.owner[i] = (uint8_t)(explore_self() + 1);
        touch(i);
    }
    explore_note("has, from chunk and so many:", chunk, length);
}

void world_gives(uint32_t chunk, uint32_t length)
{
    explore_touch(&world->blocks.table[chunk / 32].extents);
    for (uint32_t i = chunk; i < chunk + length; i++) {
        EXPLORE_CHECK(shadow.owner[i] == explore_self() + 1 && "a chunk was lost");
        shadow.owner[i] = 0;
    }
    explore_note("gives, from chunk and so many:", chunk, length);
}

uint32_t world_get(uint32_t length)
{
    uint32_t chunk = hri_run_get(world, length, "model");

    if (chunk != HRI_NO_CHUNK)
        world_took(chunk, length);
    else
        explore_note("is refused chunks:", length, 0);
    return chunk;
}

void world_put(uint32_t chunk)
{
    world_gives(chunk, hri_load_relaxed(&hri_provider_extent(world, chunk)->length));
    hri_run_put(world, chunk);
}

void world_fill(uint32_t block, uint32_t from)
{
    uint64_t chunks = HRI_TAKEN_ALL << from & HRI_TAKEN_ALL;

    world->blocks.table[block].state |= chunks | chunks << 32;
    world->blocks.table[block].committed = shadow.usable[block] = 1;
    world->committed += (32 - from) * HRI_CHUNK;
    world->blocks.used = block + 1 > world->blocks.used ? block + 1 : world->blocks.used;
    filled += 32 - from;
}

void world_own(int thread, uint32_t chunk)
{
    uint64_t *state = &world->blocks.table[chunk / 32].state, bit = UINT64_C(1) << chunk % 32;

    if ((*state & bit) != 0)
        filled--;
    else
        world->committed += HRI_CHUNK;
    *state |= bit | bit << 32;
    world->blocks.table[chunk / 32].committed = shadow.usable[chunk / 32] = 1;
    if (world->blocks.used <= chunk / 32)
        world->blocks.used = chunk / 32 + 1;
    hri_provider_extent(world, chunk)->length = 1;
    shadow.owner[chunk] = (uint8_t)(thread + 1);
}

/* ---- sums ---- */

static uint64_t warm_chunks(void)
{
    uint64_t warm = 0;

    for (uint32_t i = 0; i < world->blocks.count; i++)
        warm += (uint64_t)__builtin_popcountll(world->blocks.table[i].state >> 32);
    return warm;
}

void world_limit_holds(void)
{
    EXPLORE_CHECK((world->limit == 0 || world->committed <= world->limit) &&
                  "committed is above the limit");
    EXPLORE_CHECK(warm_chunks() * HRI_CHUNK <= world->committed &&
                  "more is warm than is committed");
}

void world_quiet(void)
{
    uint64_t all = 0, taken = filled;

    EXPLORE_CHECK(warm_chunks() * HRI_CHUNK == world->committed && "committed is not what is warm");
    for (uint32_t i = 0; i < world->blocks.count; i++) {
        uint64_t state = world->blocks.table[i].state;
        bool may_have_warm = (world->blocks.warm_summary[i / 64] >> i % 64 & 1) != 0;
        bool is_full = (world->blocks.full_summary[i / 64] >> i % 64 & 1) != 0;

        all += (uint64_t)__builtin_popcountll(state & HRI_TAKEN_ALL);
        EXPLORE_CHECK(((~state & state >> 32) == 0 || may_have_warm) &&
                      "a free warm chunk is hidden");
        EXPLORE_CHECK((!is_full || (state & HRI_TAKEN_ALL) == HRI_TAKEN_ALL) &&
                      "a free chunk is hidden: its block is said to be full");
    }
    for (int i = 0; i < MOST_CHUNKS; i++)
        taken += shadow.owner[i] != 0;
    EXPLORE_CHECK(all == taken && "another number of chunks is taken than should be");
    EXPLORE_CHECK(world->slab.classes[CLASSES].key == 0 && "the model uses too many classes");
    EXPLORE_CHECK(world->slab.used <= SLAB_USED &&
                  "the model uses more of the slab than is put back");
}

/* ---- points: the linker sends the library's accesses here first ---- */

void __real_hri_model_point(const volatile void *at, bool writes, const char *file, int line);
void __wrap_hri_model_point(const volatile void *at, bool writes, const char *file, int line);

void __wrap_hri_model_point(const volatile void *at, bool writes, const char *file, int line)
{
    __real_hri_model_point(at, writes, file, line);
    if (world_after_point != NULL)
        world_after_point();
}

/* ---- records: calls of the slab from other files come here first ---- */

void *__real_hri_slab_get_kind(struct hri_slab *slab, enum hri_slab_kind kind, size_t bytes);
void __real_hri_slab_put_kind(struct hri_slab *slab, enum hri_slab_kind kind, void *record,
                              size_t bytes);
void *__wrap_hri_slab_get_kind(struct hri_slab *slab, enum hri_slab_kind kind, size_t bytes);
void __wrap_hri_slab_put_kind(struct hri_slab *slab, enum hri_slab_kind kind, void *record,
                              size_t bytes);

static int record_index(void *record)
{
    for (int i = 0; i < MOST_RECORDS; i++) {
        if (shadow.records[i].record == NULL)
            shadow.records[i].record = record;
        if (shadow.records[i].record == record)
            return i;
    }
    abort();
}

void *__wrap_hri_slab_get_kind(struct hri_slab *slab, enum hri_slab_kind kind, size_t bytes)
{
    void *record = __real_hri_slab_get_kind(slab, kind, bytes);
    int i;

    if (record == NULL)
        return NULL;
    explore_touch(record);
    i = record_index(record);
    EXPLORE_CHECK(!shadow.records[i].in_use && "a record has two owners");
    EXPLORE_CHECK((char *)record + bytes <= slab->base + slab->size && "a record is out of bounds");
    EXPLORE_CHECK((shadow.records[i].bytes == 0 ||
                   (shadow.records[i].bytes == bytes && shadow.records[i].kind == kind)) &&
                  "a record has become one of another size or kind");
    shadow.records[i].bytes = bytes;
    shadow.records[i].kind = kind;
    shadow.records[i].in_use = 1;
    explore_note("has record", (uint64_t)(uintptr_t)record, 0);
    return record;
}

void __wrap_hri_slab_put_kind(struct hri_slab *slab, enum hri_slab_kind kind, void *record,
                              size_t bytes)
{
    explore_touch(record);
    EXPLORE_CHECK(shadow.records[record_index(record)].in_use && "a record is given back twice");
    if (world_record_goes != NULL)
        world_record_goes(record);
    shadow.records[record_index(record)].in_use = 0;
    explore_note("gives record", (uint64_t)(uintptr_t)record, 0);
    __real_hri_slab_put_kind(slab, kind, record, bytes);
}

uint32_t world_records(void)
{
    uint32_t n = 0;

    for (int i = 0; i < MOST_RECORDS; i++)
        n += shadow.records[i].in_use;
    return n;
}

void world_uses_record(const void *record)
{
    explore_touch(record);
    for (int i = 0; i < MOST_RECORDS; i++)
        EXPLORE_CHECK((shadow.records[i].record != record || shadow.records[i].in_use) &&
                      "a record is used that was given back");
}

/* ---- bytes: each thread notes its own, so that noting them orders nothing ---- */

void world_bytes(const void *at, size_t size)
{
    struct object *mine = &shadow.objects[explore_self() * MOST_OBJECTS];

    explore_note("has bytes from and so many:", (uint64_t)(uintptr_t)at, size);
    for (int i = 0; i < MOST_OBJECTS; i++) {
        if (mine[i].at == NULL) {
            mine[i] = (struct object){at, size};
            return;
        }
    }
    abort();
}

static bool in_one_of(uint32_t list, const char *at, const char *last)
{
    for (; list != 0; list = hri_provider_extent(world, list - 1)->next)
        if (hri_run_contains(world, list - 1, at))
            return hri_run_contains(world, list - 1, last);
    return false;
}

/* A lane's own chunk may have become a run. */
static bool in_one_run(const struct hri_generation *g, const char *at, const char *last)
{
    bool found = in_one_of(g->run_list, at, last);

    for (uint32_t i = 0; i < g->view.lanes; i++)
        found = found || in_one_of(g->lanes[i].chunks, at, last);
    return found;
}

const char world_name[HRI_NAME_SIZE] = "model";

void world_bytes_apart(const struct hri_generation *g)
{
    const struct object *all = shadow.objects;

    for (int i = 0; i < EXPLORE_THREADS * MOST_OBJECTS; i++) {
        const char *at = all[i].at, *last;

        if (at == NULL)
            continue;
        last = at + all[i].size - 1;
        EXPLORE_CHECK(hri_generation_contains(g, at) && hri_generation_contains(g, last) &&
                      "bytes lie in no chunk of the generation");
        EXPLORE_CHECK(((size_t)(at - world->region) / HRI_CHUNK ==
                           (size_t)(last - world->region) / HRI_CHUNK ||
                       in_one_run(g, at, last)) &&
                      "bytes cross the end of a chunk");
        for (int j = 0; j < i; j++)
            EXPLORE_CHECK(
                (all[j].at == NULL || last < all[j].at || all[j].at + all[j].size <= at) &&
                "bytes have two owners");
    }
}

void world_retire(struct hri_generation *g)
{
    g->retired.process = hri_thread_forks();
    g->retired.bytes = hri_generation_retire(g);
    hri_deferred_add(&world->deferred, g->retired.bytes);
}

void world_deferred(const struct hri_generation *g, uint64_t held)
{
    uint64_t bytes = g->retired.bytes + g->retired.late;

    EXPLORE_CHECK(bytes >= held && "memory of a retired generation is not counted as deferred");
    EXPLORE_CHECK(bytes <= held + HRI_CHUNK && "more than one chunk is deferred twice");
    EXPLORE_CHECK(hri_deferred_bytes(world->deferred) == bytes && "reclaim would subtract more");
    world->deferred = 0;
}
