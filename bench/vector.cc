// SPDX-License-Identifier: BSD-2-Clause
// The peer of arrays. Layer 9.
#include "vector.h"

#include <vector>

uint64_t bench_vector_push(uint64_t count)
{
    std::vector<uint64_t> numbers;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < count; i++)
        numbers.push_back(i);
    for (uint64_t number : numbers)
        sum += number;
    return sum;
}
