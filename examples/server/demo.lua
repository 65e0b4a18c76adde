-- SPDX-License-Identifier: BSD-2-Clause
-- What wrk asks in the demo: a mix over all endpoints, made of the codes in the data files. Every
-- request is a good one, so any status but 200 is an error. The last argument is the data's directory.

local requests = {}

local function codes_of(path, key)
   local file = assert(io.open(path))
   local text = file:read("*a")
   file:close()
   local codes = {}
   for code in text:gmatch('"' .. key .. '": "([^"]+)"') do
      codes[#codes + 1] = code
   end
   return codes
end

local function annotated(subdivisions, languages)
   local members = {}
   for i = 1, math.random(1, 12) do
      members[i] = string.format('"k%d":["%s",{"code":"%s","n":%d}]', i,
         subdivisions[math.random(#subdivisions)], languages[math.random(#languages)], i)
   end
   return "{" .. table.concat(members, ",") .. "}"
end

local seed = os.time()

-- Each of wrk's threads has its own Lua, and so its own sequence.
function setup(thread)
   seed = seed + 1
   thread:set("seed", seed)
end

function init(args)
   local data = args[1] or "/usr/share/iso-codes/json"
   local subdivisions = codes_of(data .. "/iso_3166-2.json", "code")
   local languages = codes_of(data .. "/iso_639-3.json", "alpha_3")
   local words = { "an", "berg", "saint", "sign", "%C3%A9", "north", "xyzzy", "Old", "o" }
   local json = { ["Content-Type"] = "application/json" }
   math.randomseed(seed)
   -- Made once: to build each request anew would measure wrk.
   for i = 1, 20000 do
      local kind = math.random(100)
      if kind <= 40 then
         requests[i] = wrk.format("GET", "/v1/subdivisions/" .. subdivisions[math.random(#subdivisions)])
      elseif kind <= 70 then
         requests[i] = wrk.format("GET", "/v1/languages/" .. languages[math.random(#languages)])
      elseif kind <= 78 then
         requests[i] = wrk.format("GET", "/v1/search?q=" .. words[math.random(#words)])
      elseif kind <= 94 then
         requests[i] = wrk.format("POST", "/v1/annotate", json, annotated(subdivisions, languages))
      elseif kind <= 96 then
         requests[i] = wrk.format("GET", "/v1/top")
      elseif kind <= 98 then
         requests[i] = wrk.format("GET", "/metrics")
      else
         requests[i] = wrk.format("GET", "/healthz")
      end
   end
end

local at = 0

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format("wrk_requests %d\n", summary.requests))
   io.write(string.format("wrk_seconds %.3f\n", summary.duration / 1e6))
   io.write(string.format("wrk_socket_errors %d\n", errors.connect + errors.read + errors.write + errors.timeout))
   io.write(string.format("wrk_status_errors %d\n", errors.status))
   io.write(string.format("wrk_p50_us %d\n", latency:percentile(50)))
   io.write(string.format("wrk_p99_us %d\n", latency:percentile(99)))
   io.write(string.format("wrk_p999_us %d\n", latency:percentile(99.9)))
end
