-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- Leads a share of the clients, and those that ask for it by a header or cookie, to another upstream. README.md says how to use it.

local decisions = require "decisions"

local _M = {}

local defaults = {
  stable = nil, canary = nil,   -- names of upstreams
  weight = 0,                   -- percent of the clients that the canary gets; set_weight() overrules it
  header = "X-Canary",          -- "always" and "never" decide; a response tells what was decided nowhere
  cookie = nil,                 -- name of a cookie that does the same
  key = nil,                    -- a text: who stays together; the client's address if absent
  variable = "canary_upstream", -- what the decision is written to
}

local function options_of(name, given)
  local options = setmetatable(given, getmetatable(given) or { __index = defaults })
  if not options.stable or not options.canary then error("canary \"" .. name .. "\": stable or canary is not given", 3) end
  return options
end

local function weight_of(name, options)
  local d = ngx.shared.canary
  return d and d:get("weight|" .. name) or options.weight
end

-- A client stays on its side while the weight does, and canaries stay canaries while it grows.
local function is_drawn(name, key, weight)
  return ngx.crc32_long(name .. "|" .. key) % 10000 < weight * 100
end

local function wish_of(options)
  local wish = options.header and ngx.req.get_headers(0)[options.header]
  if wish == nil and options.cookie then wish = ngx.var["cookie_" .. options.cookie] end
  return (wish == "always" or wish == "never") and wish or nil
end

-- For rewrite_by_lua: decides, and sets the variable to the name of the upstream.
function _M.choose(name, options)
  options = options_of(name, options or {})
  local wish = wish_of(options)
  local decision
  if wish == "always" then
    decision = "canary_asked"
  elseif wish == "never" then
    decision = "stable_asked"
  else
    decision = is_drawn(name, options.key or ngx.var.remote_addr, weight_of(name, options)) and "canary" or "stable"
  end
  ngx.var[options.variable] = decision:find("^canary") and options.canary or options.stable
  decisions.note("canary", name, decision, "canary_decision")
end

-- Percent from now on, in all workers, until the server ends; nil: the configured weight again. Needs the dictionary `canary`.
function _M.set_weight(name, percent)
  local d = ngx.shared.canary or error("canary: lua_shared_dict canary is missing", 2)
  if percent ~= nil and not (type(percent) == "number" and percent >= 0 and percent <= 100) then return nil, "want 0 to 100" end
  return d:set("weight|" .. name, percent)
end

-- For content_by_lua: GET shows the weight that overrules, PUT with `?weight=N` sets it, DELETE takes it away.
function _M.admin(name)
  local method = ngx.req.get_method()
  local ok, err = true, nil
  if method == "PUT" then
    local percent = tonumber(ngx.var.arg_weight)
    if percent then
      ok, err = _M.set_weight(name, percent)
    else
      ok, err = nil, "want weight=0 to 100"
    end
  elseif method == "DELETE" then
    ok, err = _M.set_weight(name, nil)
  elseif method ~= "GET" then
    return ngx.exit(405)
  end
  if not ok then ngx.status = 400 end
  ngx.say(err or tostring(ngx.shared.canary and ngx.shared.canary:get("weight|" .. name) or "as configured"))
end

-- For content_by_lua.
function _M.metrics() decisions.metrics("canary") end

return _M
