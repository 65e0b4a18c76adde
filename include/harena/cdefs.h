/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiler attributes that the public headers use. Layer 0. */
#ifndef HARENA_CDEFS_H
#define HARENA_CDEFS_H

#if !defined(__linux__) || !defined(__LP64__)
#error "Harena supports 64-bit Linux only"
#endif

#include <stdint.h>

/* Marks what the shared library exports. */
#define HARENA_API __attribute__((visibility("default")))

/* An inline function that the library also exports, for callers that do not inline and for other
 * languages. */
#if defined(__GNUC_GNU_INLINE__) && !defined(__cplusplus)
#define HARENA_INLINE extern inline
#else
#define HARENA_INLINE inline
#endif

#define HARENA_NODISCARD          __attribute__((warn_unused_result))
#define HARENA_PRINTF(text, args) __attribute__((format(printf, text, args)))
#define HARENA_LIKELY(condition)  __builtin_expect(!!(condition), 1)

/* A size rounded up to a multiple of 16, for the inline paths. The size, not the cursor, is rounded:
 * so the rounding is not on the way from one cursor to the next. */
#define HARENA_ROUND_UP_16(size) (((size) + 15) & ~(size_t)15)

/* What an allocation returns: fresh memory, 16-byte aligned, of the size that parameter number
 * `size` says. */
#define HARENA_ALLOCATES(size)                                                                     \
    __attribute__((warn_unused_result, malloc, alloc_size(size), assume_aligned(16)))
/* The same, for an array of parameter `count` elements of parameter `size` bytes. */
#define HARENA_ALLOCATES_ARRAY(count, size)                                                        \
    __attribute__((warn_unused_result, malloc, alloc_size(count, size), assume_aligned(16)))
/* A copy of that size: fresh memory, but what the copied pointers point at is not. */
#define HARENA_COPIES(size)                                                                        \
    __attribute__((warn_unused_result, alloc_size(size), assume_aligned(16)))
/* Fresh memory of a size that no parameter tells. */
#define HARENA_ALLOCATES_TEXT __attribute__((warn_unused_result, malloc, assume_aligned(16)))

#ifdef __cplusplus
#define HARENA_ALIGNOF(type) alignof(type)
#define HARENA_BEGIN_DECLS   extern "C" {
#define HARENA_END_DECLS     }
#else
#define HARENA_ALIGNOF(type) _Alignof(type)
#define HARENA_BEGIN_DECLS
#define HARENA_END_DECLS
#endif

#endif
