/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of the slab: records cut, given, reused; growth. */
#include "models.h"
#include "os.h"
#include "world.h"

#include <errno.h>
#include <string.h>

enum { PAGES = 65536, SMALL = 100, LARGE = 300 };

static struct hri_slab slab;
static char memory[4 * PAGES] __attribute__((aligned(4096)));
static uint8_t usable[4];
static bool fails;

static int commit(void *at, size_t bytes)
{
    size_t from = (size_t)((char *)at - slab.base) / PAGES;

    explore_touch(at);
    if (fails)
        return -ENOMEM;
    memset(&usable[from], 1, bytes / PAGES);
    return 0;
}

/* A fresh slab, or one that has all but so many bytes of its first pages in use. */
static void create(size_t left)
{
    world_create(1, 1);
    hri_os.commit = commit;
    memset(usable, 0, sizeof(usable));
    fails = false;
    hri_slab_init(&slab, memory, sizeof(memory));
    if (left != 0) {
        usable[0] = 1;
        slab.committed = PAGES;
        slab.used = PAGES - left;
    }
    explore_memory(&slab, offsetof(struct hri_slab, classes) + 4 * sizeof(slab.classes[0]));
    world_watch_stacks(&slab, 12);
    explore_memory(usable, sizeof(usable));
    explore_memory(memory, 4096);
}

static void setup_fresh(void)
{
    create(0);
}

static void setup_growing(void)
{
    create(192); /* one small record */
}

static void setup_refused(void)
{
    create(192);
    fails = true;
}

/* Two records have been given back. */
static void setup_reuse(void)
{
    void *a, *b;

    create(0);
    a = hri_slab_get(&slab, SMALL);
    b = hri_slab_get(&slab, SMALL);
    hri_slab_put(&slab, a, SMALL);
    hri_slab_put(&slab, b, SMALL);
}

static void *get(size_t bytes)
{
    char *record = hri_slab_get(&slab, bytes); /* watched in world.c */

    if (record == NULL) {
        EXPLORE_CHECK(fails && "refused");
        return NULL;
    }
    explore_touch(memory + (record + bytes - 1 - memory) / PAGES * PAGES);
    EXPLORE_CHECK(usable[(record - memory) / PAGES] &&
                  usable[(record + bytes - 1 - memory) / PAGES] &&
                  "a record was handed out before its memory was committed");
    world_uses_record(record);
    return record;
}

static void put(void *record, size_t bytes)
{
    if (record == NULL)
        return;
    world_uses_record(record);
    hri_slab_put(&slab, record, bytes);
}

static void get_and_put(void)
{
    put(get(SMALL), SMALL);
}

static void get_only(void)
{
    get(SMALL);
}

static void get_two_and_put(void)
{
    void *a = get(SMALL), *b = get(SMALL);

    put(a, SMALL);
    put(b, SMALL);
}

/* The ABA of a stack without a count: pops two, pushes the first again. */
static void get_two_and_put_one(void)
{
    void *a = get(SMALL);

    get(SMALL);
    put(a, SMALL);
}

static void get_two(void)
{
    get(SMALL);
    get(SMALL);
}

static void get_large_and_put(void)
{
    put(get(LARGE), LARGE);
}

/* Every record is on its class's list or in use. */
static void quiet(void)
{
    uint32_t free_records = 0;
    size_t bytes = 0;

    EXPLORE_CHECK(slab.used <= slab.committed && "records lie in memory that is not committed");
    for (int i = 0; i < 4; i++) {
        const ck_stack_entry_t *entry = slab.classes[i].free.stack.head;

        for (; entry != NULL && free_records < 16; entry = entry->next, free_records++)
            bytes += (slab.classes[i].key & 0xffffff) * HRI_CACHE_LINE;
        for (int j = 0; j < i; j++)
            EXPLORE_CHECK(
                (slab.classes[i].key == 0 || slab.classes[i].key != slab.classes[j].key) &&
                "a size has two classes");
    }
    EXPLORE_CHECK(free_records < 16 && "the list of free records is a ring");
    if (world_records() == 0 && slab.used < PAGES - LARGE)
        EXPLORE_CHECK(bytes == slab.used && "a record was lost");
}

const struct explore_model slab_models[] = {
    {"slab/fresh",
     setup_fresh,
     {get_and_put, get_and_put},
     NULL,
     quiet,
     EXPLORE_ALL,
     6,
     EXPLORE_ALL},
    {"slab/classes",
     setup_fresh,
     {get_large_and_put, get_and_put},
     NULL,
     quiet,
     EXPLORE_ALL,
     6,
     EXPLORE_ALL},
    {"slab/grow", setup_growing, {get_two_and_put, get_only}, NULL, quiet, 3, 6, EXPLORE_ALL},
    {"slab/grow-3", setup_growing, {get_only, get_only, get_only}, NULL, quiet, 2, 3, EXPLORE_ALL},
    {"slab/refused", setup_refused, {get_and_put, get_and_put}, NULL, quiet, 3, 6, EXPLORE_ALL},
    {"slab/reuse", setup_reuse, {get_two_and_put_one, get_two}, NULL, quiet, 4, 5, EXPLORE_ALL},
    {"slab/reuse-3",
     setup_reuse,
     {get_two_and_put_one, get_and_put, get_and_put},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {0},
};
