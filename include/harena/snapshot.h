/* SPDX-License-Identifier: BSD-2-Clause */
/* A published arena: readers see one root and all that it points to until they leave; publishing
 * retires the one before. Layer 6.
 *
 * Which calls on one snapshot may run at the same time, in different threads:
 *
 *                         publish   enter, read, leave   fini
 *   publish               yes       yes                  X
 *   enter, read, leave    yes       yes                  X
 *   fini                  X         X                    X
 *
 *   X: the caller sees to it that they do not. (Readers inside a section when fini is called go on
 * undisturbed.)
 */
#ifndef HARENA_SNAPSHOT_H
#define HARENA_SNAPSHOT_H
#include <harena/arena.h>
HARENA_BEGIN_DECLS

typedef struct harena_snapshot {
    void *slot; /* ONE word: the arena; its root is a field of the arena's record */
    const struct rcu_flavor_struct *rcu; /* readers' flavour */
    void *reserved[2];
} harena_snapshot;
/* NULL flavour: urcu-bp. */
#define HARENA_SNAPSHOT_INIT                                                                       \
    {                                                                                              \
        0, HARENA_RCU_FLAVOR,                                                                      \
        {                                                                                          \
            0, 0                                                                                   \
        }                                                                                          \
    }

/* Makes `arena` and `root`, which points into it, what readers see from now on; retires the one
 * before. The arena belongs to the snapshot from now on. arena NULL publishes nothing (root must
 * be NULL).
 * Thread: any, as call_rcu demands of the flavour.
 * Fails: 0; -EINVAL, nothing changed: NULL s, fixed arena, `first` memory, lane, root without an
 *     arena, an arena that has been published before; -ENOMEM, nothing changed: the provider has
 *     met more flavours than it can hold (8).
 * Cost: one read-modify-write.
 * Lifetime: until the next publish, and the readers that see it have left. */
HARENA_API int harena_snapshot_publish(harena_snapshot *s, harena *arena, void *root);

/* Enters a read section and returns the root, NULL if nothing is published. Nests.
 * Thread: any that the flavour allows to read.
 * Fails: never.
 * Lifetime of the root: until the matching leave. */
HARENA_API void *harena_snapshot_enter(harena_snapshot *s);
HARENA_API void harena_snapshot_leave(harena_snapshot *s);

/* The root, for a thread that is in a read section of the flavour already.
 * Thread: any in a section.
 * Fails: never; NULL: nothing published.
 * Lifetime: the section's. */
HARENA_API void *harena_snapshot_read(const harena_snapshot *s);

/* Retires the last one; the snapshot is as initialized.
 * Thread: any, alone.
 * Fails: never; NULL: nothing. */
HARENA_API void harena_snapshot_fini(harena_snapshot *s);

HARENA_END_DECLS
#endif
