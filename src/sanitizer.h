/* SPDX-License-Identifier: BSD-2-Clause */
/* What AddressSanitizer is told of memory that holds no object. Layer 0.
 *
 * An application that was built with it has the two functions below. They are found by name when the library is linked
 * or loaded, however the library itself was built. Where they are, all that an arena holds is poisoned but the bytes of
 * its objects, and windows serve nothing inline: what serves an object shows it first. */
#ifndef HRI_SANITIZER_H
#define HRI_SANITIZER_H
#include "base.h"

#include <string.h>

void __asan_poison_memory_region(const volatile void *at, size_t size) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *at, size_t size) __attribute__((weak));

static inline bool hri_sanitizer_is_on(void)
{
    return HRI_UNLIKELY(__asan_poison_memory_region != NULL);
}

static inline void hri_hide(const void *at, size_t size)
{
    if (hri_sanitizer_is_on())
        __asan_poison_memory_region(at, size);
}

static inline void hri_show(const void *at, size_t size)
{
    if (hri_sanitizer_is_on())
        __asan_unpoison_memory_region(at, size);
}

/* The bytes of an object, which was hidden, or was of another size up to `most`. */
static inline void hri_show_object(const char *at, size_t size, size_t most)
{
    hri_show(at, size);
    if (hri_sanitizer_is_on())
        __asan_poison_memory_region(at + size, hri_round_up(most, HRI_ALIGNMENT) - size);
}

/* Clears what stays hidden. */
static inline void hri_clear_hidden(char *at, size_t size)
{
    hri_show(at, size);
    memset(at, 0, size);
    hri_hide(at, size);
}

#endif
