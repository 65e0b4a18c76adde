/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer of arrays. Layer 9. */
#ifndef HARENA_BENCH_VECTOR_H
#define HARENA_BENCH_VECTOR_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* Pushes the numbers from 0 to count - 1 to a std::vector and returns their sum. */
uint64_t bench_vector_push(uint64_t count);

#ifdef __cplusplus
}
#endif
#endif
