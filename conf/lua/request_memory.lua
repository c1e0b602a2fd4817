-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- What the policies remember of a request until it ends. An internal redirect (error_page, index, ngx.exec, X-Accel-Redirect) begins a new
-- ngx.ctx and leaves this. It is found by the number of the connection and that of the request on it, which no client can choose.
--
-- A memory is held by the ngx.ctx it was last asked for in. After a redirect that is the old one until somebody looks at the new one, so
-- the newest memories are held here, too.

local _M = {
  newest_max = 2048,  -- so many are held here at least, twice as many at most, each of some 400 bytes; init_by_lua may set it
}

local memories = setmetatable({}, { __mode = "v" })
local newer, older, newer_count = {}, {}, 0

local function hold(id, memory)
  if newer_count >= _M.newest_max then newer, older, newer_count = {}, newer, 0 end
  newer[id] = memory
  newer_count = newer_count + 1
end

local function request_id() return ngx.var.connection .. "|" .. ngx.var.connection_requests end

-- The table of a policy for the current request, empty at first.
function _M.of_request(policy)
  local id = request_id()
  local memory = memories[id]
  if not memory then
    memory = {}
    memories[id] = memory
    hold(id, memory)
  end
  ngx.ctx.request_memory = memory
  memory[policy] = memory[policy] or {}
  return memory[policy]
end

-- The same, or nil if the policy asked for none before.
function _M.find(policy)
  local memory = memories[request_id()]
  if not memory then return nil end
  ngx.ctx.request_memory = memory
  return memory[policy]
end

-- Of a request that ends: its memory is no longer held here.
function _M.let_go()
  local id = request_id()
  if newer[id] then newer[id], newer_count = nil, newer_count - 1 end
  older[id] = nil
end

return _M
