// SPDX-License-Identifier: BSD-2-Clause
// Containers of the standard library on arenas: AddressSanitizer must find nothing.
#include <cstdio>
#include <harena/cxx.hpp>
#include <map>
#include <memory_resource>
#include <string>
#include <vector>

static bool fill(std::pmr::memory_resource *memory)
{
    std::pmr::map<std::pmr::string, std::pmr::vector<int>> table(memory);

    for (int i = 0; i < 2000; i++)
        table[std::pmr::string("a key that is too long for the string itself ", memory) +
              std::to_string(i % 100).c_str()]
            .push_back(i);
    for (auto &entry : table)
        if (entry.second.size() != 20)
            return false;
    return table.size() == 100;
}

int main()
{
    harenaxx::arena_owner arena = harenaxx::make_arena();
    harenaxx::arena_resource resource(arena.get());
    bool right = true;

    for (int i = 0; i < 3; i++) {
        right = right && fill(&resource);
        harena_reset(arena.get());
    }
    std::puts(right ? "clean" : "wrong");
    return right ? 0 : 1;
}
