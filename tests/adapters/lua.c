/* SPDX-License-Identifier: BSD-2-Clause */
/* A script that builds tables and strings, and collects garbage. Needs: lua5.4. */
#include "adapter.h"
#include <harena/adapters/lua.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static const char script[] = "local words, n = {}, 0\n"
                             "for word in text:gmatch('%a+') do\n"
                             "  words[word] = (words[word] or 0) + 1\n"
                             "  n = n + 1\n"
                             "end\n"
                             "collectgarbage()\n"
                             "local sum = 0\n"
                             "for _, count in pairs(words) do sum = sum + count end\n"
                             "assert(sum == n)\n"
                             "return n\n";

static void work(harena *a, const char *text, size_t size)
{
    lua_State *state = lua_newstate(harena_lua_alloc, a);

    CHECK(state != NULL);
    luaL_openlibs(state);
    lua_pushlstring(state, text, size);
    lua_setglobal(state, "text");
    CHECK(luaL_loadstring(state, script) == LUA_OK && lua_pcall(state, 0, 1, 0) == LUA_OK);
    CHECK(lua_tointeger(state, -1) > 100);
    lua_close(state);
}

/* What a script may hold is the arena's limit: an error of Lua's, and nothing is broken. */
static void refuse(const char *text, size_t size)
{
    harena_options options = HARENA_OPTIONS_INIT;
    lua_State *state;
    harena *a;

    options.limit = (size_t)1 << 20;
    a = harena_create(&options);
    state = lua_newstate(harena_lua_alloc, a);
    CHECK(state != NULL);
    luaL_openlibs(state);
    lua_pushlstring(state, text, size < 1000 ? size : 1000);
    lua_setglobal(state, "text");
    CHECK(luaL_loadstring(state, "local t = {} while true do t[#t + 1] = text .. #t end") ==
          LUA_OK);
    CHECK(lua_pcall(state, 0, 0, 0) == LUA_ERRMEM);
    harena_release(a);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    refuse(text, size);
    return 0;
}
