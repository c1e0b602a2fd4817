-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- The parts of `ngx` that are easier said in Lua than in C++: fields that are computed, tables with any spelling of a name, globals
-- that a request makes by mistake.
local ngx = ...
local rawget, rawset, setmetatable, type = rawget, rawset, setmetatable, type
local lower, gsub = string.lower, string.gsub

local registry = debug.getregistry()

-- ngx.status and the like are looked up each time; what a user adds to ngx stays an ordinary field.
local getters = {
  status = ngx._get_status,
  ctx = ngx._get_ctx,
  headers_sent = ngx._get_headers_sent,
  is_subrequest = ngx._get_is_subrequest,
}
local setters = { status = ngx._set_status, ctx = ngx._set_ctx }
local read_only = { headers_sent = true, is_subrequest = true }
local set_status = ngx._set_status
for _, name in ipairs { "_get_status", "_set_status", "_get_ctx", "_set_ctx", "_get_headers_sent", "_get_is_subrequest" } do
  ngx[name] = nil
end
setmetatable(ngx, {
  __index = function(_, key)
    local get = getters[key]
    if get then return get() end
  end,
  __newindex = function(t, key, value)
    local set = setters[key]
    if set then return set(value) end
    if read_only[key] then error("attempt to write to a read-only field", 2) end
    rawset(t, key, value)
  end,
})
ngx._magic = { getters = getters, setters = setters }  -- resty.core.misc adds to them

-- What get_headers gives: `t.X_Y` and `t["X-Y"]` find "x-y".
registry["fairlead.fields"] = {
  __index = function(t, key)
    if type(key) ~= "string" then return nil end
    return rawget(t, (gsub(lower(key), "_", "-")))
  end,
}

-- A global that a request makes is shared with all others: most likely a `local` was forgotten. The line of the log begins with the name
-- of the chunk that writes it; the original's is what people look for.
local newindex = assert(loadstring([[
local log, get_phase, traceback, rawset, tostring, WARN = ...
local function __newindex(t, key, value)
  rawset(t, key, value)
  local phase = get_phase()
  if phase == "init" or phase == "init_worker" then return end
  log(WARN, "writing a global Lua variable ('", tostring(key), "') which may lead to race conditions between concurrent requests, ",
    "so prefer the use of 'local' variables", traceback("", 2))
end
return __newindex
]], "=_G write guard"))(ngx.log, ngx.get_phase, debug.traceback, rawset, tostring, ngx.WARN)
registry["fairlead.guard_globals"] = function()
  if not getmetatable(_G) then setmetatable(_G, { __newindex = newindex }) end
end

-- coroutine.wrap over our resume, so that what it wraps may wait.
local create, resume = coroutine.create, coroutine.resume
local function rethrow(ok, ...)
  if not ok then error((...), 0) end
  return ...
end
coroutine.wrap = function(f)
  if type(f) ~= "function" then error("bad argument #1 to 'wrap' (Lua function expected)", 2) end
  local co = create(f)
  return function(...) return rethrow(resume(co, ...)) end
end

local function preload(name, make)
  package.preload[name] = function() return make end
end

-- -- modules that come with OpenResty --

local add_response_header = ngx.resp._add_header
ngx.resp._add_header = nil
preload("ngx.resp", {
  version = "0.1",
  add_header = add_response_header,
  get_headers = ngx.resp.get_headers,
  set_status = function(code, reason) set_status(code, reason) end,
})

local add_request_header = ngx.req._add_header
ngx.req._add_header = nil
preload("ngx.req", { version = "0.1", add_header = add_request_header })

preload("ngx.semaphore", ngx._semaphore)
ngx._semaphore.version = "0.1.28"
ngx._semaphore = nil

-- A socket that is connected at once.
local tcp = ngx.socket.tcp
ngx.socket.connect = function(host, port, options)
  local socket, err = tcp()
  if not socket then return nil, err end
  local ok
  ok, err = socket:connect(host, port, options)
  if not ok then return nil, err end
  return socket
end

for _, name in ipairs { "errlog", "pipe", "process", "upstream" } do
  preload("ngx." .. name, ngx["_" .. name])
  ngx["_" .. name].version = "0.1.28"
  ngx["_" .. name] = nil
end

preload("ngx.balancer", ngx._balancer)
ngx._balancer.version = "0.1"
ngx._balancer = nil
