-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- What every machine has, those of ngx.run_worker_thread too: the functions of tables that OpenResty's LuaJIT has, ngx.base64.
local ngx = ...

-- LuaJIT has these two as modules only.
local new_tab = require "table.new"
local clear_tab = require "table.clear"
table.new, table.clear = table.new or new_tab, table.clear or clear_tab

local function preload(name, make)
  package.preload[name] = function() return make end
end

-- OpenResty's branch of LuaJIT has these; the stock one gets them here.
local extra = {
  isempty = function(t) return next(t) == nil end,
  isarray = function(t)
    local n = 0
    for k in pairs(t) do
      if type(k) ~= "number" or k <= 0 or k % 1 ~= 0 then return false end
      n = n + 1
    end
    return true
  end,
  nkeys = function(t)
    local n = 0
    for _ in pairs(t) do n = n + 1 end
    return n
  end,
  clone = function(t)
    local copy = {}
    for k, v in pairs(t) do copy[k] = v end
    return copy
  end,
}
for name, f in pairs(extra) do
  local ok, found = pcall(require, "table." .. name)
  if not ok then
    preload("table." .. name, f)
    table[name] = table[name] or f
  else
    table[name] = table[name] or found
  end
end

local base64 = {
  version = "0.1.28",
  encode_base64url = ngx._encode_base64url,
  decode_base64url = ngx._decode_base64url,
  decode_base64mime = ngx._decode_base64mime,
}
ngx.decode_base64mime = base64.decode_base64mime
ngx._encode_base64url, ngx._decode_base64url, ngx._decode_base64mime = nil, nil, nil
preload("ngx.base64", base64)
