/* SPDX-License-Identifier: BSD-2-Clause */
/* What threads that a fork cuts off have written, where the child finds it: nodes in a list at the root of a generation,
 * and the objects of private arenas in tables. Each is stamped in all its bytes before it can be found. */
#ifndef TEST_SUPPORT_NODES_H
#define TEST_SUPPORT_NODES_H
#include "stamp.h"
#include <harena/shared.h>
#include <stdatomic.h>

/* A longer list than any test makes: then it is a circle. */
#define TEST_NODES_MOST 200000

/* Any 16 bytes of it that another object is written over betray that: `check` is of size and stamp. */
typedef struct test_node {
    struct test_node *next;
    size_t size; /* of what lies behind this */
    uint64_t stamp, check;
} test_node;

static inline uint64_t test_node_check(size_t size, uint64_t stamp)
{
    return test_mix(stamp ^ test_mix(size));
}

/* A whole node at the head of the view's list; NULL: no memory. */
static inline test_node *test_node_push(harena_view *view, size_t size, uint64_t stamp)
{
    HARENA_ATOMIC_PTR *root = harena_view_root(view);
    test_node *node = root != NULL ? harena_view_alloc(view, sizeof(*node) + size) : NULL;
    void *head;

    if (node == NULL)
        return NULL;
    node->size = size;
    node->stamp = stamp;
    node->check = test_node_check(size, stamp);
    test_stamp_fill(node + 1, size, stamp);
    head = atomic_load_explicit(root, memory_order_relaxed);
    do
        node->next = head;
    while (!atomic_compare_exchange_weak_explicit(root, &head, node, memory_order_release,
                                                  memory_order_relaxed));
    return node;
}

static inline bool test_node_intact(const test_node *node)
{
    return node->check == test_node_check(node->size, node->stamp) &&
           test_stamp_intact(node + 1, node->size, node->stamp);
}

/* Whether the newest `most` nodes of the view's generation are whole. *count: how many there were. */
static inline bool test_nodes_intact(harena_view *view, unsigned most, unsigned *count)
{
    HARENA_ATOMIC_PTR *root = harena_view_root(view);
    const test_node *node = root != NULL ? atomic_load_explicit(root, memory_order_acquire) : NULL;

    for (*count = 0; node != NULL && *count < most; node = node->next, ++*count)
        if (!test_node_intact(node))
            return false;
    return true;
}

/* The objects of one thread's arena since its last reset. */
#define TEST_KEPT_MOST 12
typedef struct test_kept {
    unsigned owner;
    uint64_t serial;
    atomic_uint count; /* objects that are stamped; 0 before the arena is reset */
    struct test_kept_object {
        void *at;
        size_t size;
        uint64_t stamp;
    } objects[TEST_KEPT_MOST];
} test_kept;

/* By the owner, into its table, which is not full. False: no memory. */
static inline bool test_kept_alloc(test_kept *kept, harena *arena, size_t size)
{
    unsigned count = atomic_load_explicit(&kept->count, memory_order_relaxed);
    struct test_kept_object *object = &kept->objects[count];

    object->at = harena_alloc(arena, size);
    if (object->at == NULL)
        return false;
    object->size = size;
    object->stamp = test_stamp(kept->owner + 1000, ++kept->serial); /* no node's */
    test_stamp_fill(object->at, size, object->stamp);
    atomic_store_explicit(&kept->count, count + 1, memory_order_release);
    return true;
}

/* By the owner, or by the child of a fork. */
static inline bool test_kept_intact(const test_kept *kept)
{
    unsigned count = atomic_load_explicit(&kept->count, memory_order_acquire);

    for (unsigned i = 0; i < count; i++)
        if (!test_stamp_intact(kept->objects[i].at, kept->objects[i].size, kept->objects[i].stamp))
            return false;
    return true;
}

static inline bool test_kept_is_full(const test_kept *kept)
{
    return atomic_load_explicit(&kept->count, memory_order_relaxed) == TEST_KEPT_MOST;
}

/* Before the arena is reset. */
static inline void test_kept_forget(test_kept *kept)
{
    atomic_store_explicit(&kept->count, 0, memory_order_release);
}

#endif
