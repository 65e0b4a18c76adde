/* SPDX-License-Identifier: BSD-2-Clause */
/* Typed growable arrays on an arena. Layer 7.
 *
 *   HARENA_ARRAY(int) numbers = {0}; // in C++: = {}
 *
 *   if (!harena_array_push(a, &numbers, 7))
 *       return ENOMEM;
 *   for (size_t i = 0; i < numbers.len; i++)
 *       use(numbers.items[i]);
 *
 * An array has one owner, that of its arena, and grows on one arena only. A fresh one is all zero. It doubles up to 256
 * elements, then grows by a quarter; in place if it was its arena's last allocation. The elements are the arena's: they
 * are gone at its reset, and then the array must be set to zero. The macros evaluate `array` and `count` more than once.
 * Elements are moved by memcpy and never destroyed: in C++ they must be trivially copyable.
 */
#ifndef HARENA_ARRAY_H
#define HARENA_ARRAY_H
#include <harena/arena.h>
#include <stdbool.h>
HARENA_BEGIN_DECLS

/* An array of T: a type of its own at each use, so give it a name by typedef to pass it around. */
#define HARENA_ARRAY(T)                                                                            \
    struct {                                                                                       \
        T *items;                                                                                  \
        size_t len, cap; /* elements */                                                            \
    }

/* Room for `count` more elements: true, or false and an errno, with the array unchanged: ENOMEM; if there is not the room
 * yet, also EINVAL: NULL arena; ESHUTDOWN: lane of a closed view. */
#define harena_array_reserve(a, array, count)                                                      \
    (HARENA_LIKELY((size_t)(count) <= (array)->cap - (array)->len) ||                              \
     harena_array_grow((a), (array), (count), sizeof(*(array)->items),                             \
                       __alignof__(*(array)->items)))

/* One element more; true, or false as above. `value` is evaluated only if there is room, and after it was made: so it must
 * not change the array itself (push the result of a variable, if a function that pushes computes it). */
#define harena_array_push(a, array, value)                                                         \
    (harena_array_reserve((a), (array), 1) &&                                                      \
     ((void)((array)->items[(array)->len] = (value)), (void)(array)->len++, true))

/* `count` elements more, copied from `pointer`, which may lie in the array itself; true, or false as above; EINVAL also: NULL
 * `pointer` with a count, NULL arena in any case. */
#define harena_array_append(a, array, pointer, count)                                              \
    ((void)sizeof((array)->items == (pointer)), /* of one type */                                  \
     harena_array_add((a), (array), (pointer), (count), sizeof(*(array)->items),                   \
                      __alignof__(*(array)->items)))

/* What the macros call: an array of elements of `size` bytes at a multiple of `alignment` gets room for `count` more; and
 * copies of `count` elements.
 * Thread: owner.
 * Fails: false, the array is unchanged; ENOMEM; EINVAL: NULL arena, NULL elements with a count; ESHUTDOWN: lane of a
 *     closed view.
 * Cost: a copy of the array unless it grows in place; over many, a constant number of copies of each element. */
HARENA_API bool harena_array_grow(harena *a, void *array, size_t count, size_t size,
                                  size_t alignment);
HARENA_API bool harena_array_add(harena *a, void *array, const void *elements, size_t count,
                                 size_t size, size_t alignment);

HARENA_END_DECLS
#endif
