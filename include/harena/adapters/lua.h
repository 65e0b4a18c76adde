/* SPDX-License-Identifier: BSD-2-Clause */
/* Lua states in an arena: lua_newstate(harena_lua_alloc, arena). One thread at a time. Layer 8. */
#ifndef HARENA_ADAPTERS_LUA_H
#define HARENA_ADAPTERS_LUA_H
#include <harena/arena.h>

/* A lua_Alloc. What Lua frees comes back when the arena is reset: for scripts that run and are done. */
static inline void *harena_lua_alloc(void *arena, void *old, size_t old_size, size_t new_size)
{
    if (new_size == 0)
        return (void *)0;
    return harena_realloc((harena *)arena, old, old != (void *)0 ? old_size : 0, new_size);
}

#endif
