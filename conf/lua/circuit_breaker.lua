-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- A circuit breaker per upstream, shared by all workers. Closed: requests pass and their outcomes are counted. Open: requests are refused
-- at once. Half-open: after `open_s` a few requests probe the upstream; if they succeed the breaker closes, if one fails it opens again.
-- README.md says how to use it.
--
-- All state lies in the dictionary `circuit_breaker`, in keys that begin with the breaker's name:
-- A request that ended before its upstream said anything (the client left) says nothing about the upstream.

local decisions = require "decisions"

local _M = {}

local floor, ceil, max = math.floor, math.ceil, math.max

local defaults = {
  failures = 5,        -- so many failures one after another open it; 0: that is not looked at
  ratio = 0.5,         -- so does this share of the requests in a window
  requests_min = 20,   -- of which there must be so many
  window_s = 10,
  open_s = 5,          -- how long it refuses before it probes
  probes = 1,          -- requests that probe at once, and that must succeed to close it
  statuses = 500,      -- the least status that counts as a failure
  fallback = nil,      -- a location ("/sorry", "@sorry") that answers instead of 503
}

local function options_of(given)
  return given and setmetatable(given, getmetatable(given) or { __index = defaults }) or defaults
end

local function dict()
  return ngx.shared.circuit_breaker or error("circuit_breaker: lua_shared_dict circuit_breaker is missing", 3)
end

local function decide(name, decision)
  ngx.ctx.circuit_breaker = ngx.ctx.circuit_breaker or {}
  ngx.ctx.circuit_breaker[name] = decision
  decisions.note("circuit_breaker", name, decision, "circuit")
end

local function refuse(name, options, left_s)
  decide(name, "refused")
  ngx.header["Retry-After"] = max(1, ceil(left_s))
  if options.fallback then return ngx.exec(options.fallback) end
  return ngx.exit(503)
end

-- For access_by_lua: lets the request pass, or refuses it.
function _M.check(name, options)
  options = options_of(options)
  local d = dict()
  local till = d:get(name .. "|until")
  if not till then return decide(name, "passed") end
  local left = till - ngx.now()
  if left > 0 then return refuse(name, options, left) end
  -- A probe that is never noted (its worker died) is forgotten with its key.
  local probing = d:incr(name .. "|probes", 1, 0, options.open_s)
  if probing > options.probes then
    d:incr(name .. "|probes", -1)
    return refuse(name, options, 1)
  end
  return decide(name, "probe")
end

local function open(d, name, options, why)
  d:set(name .. "|until", ngx.now() + options.open_s)
  d:delete(name .. "|probes")
  d:delete(name .. "|passed")
  d:delete(name .. "|row")
  decisions.count("circuit_breaker", name, "opened")
  ngx.log(ngx.WARN, "circuit breaker \"", name, "\" opens: ", why)
end

local function close(d, name)
  for _, key in ipairs { "until", "probes", "passed", "row" } do d:delete(name .. "|" .. key) end
  decisions.count("circuit_breaker", name, "closed")
  ngx.log(ngx.NOTICE, "circuit breaker \"", name, "\" closes")
end

-- Whether the upstream failed; nil if it never came to say.
local function has_failed(options)
  local tries = ngx.var.upstream_status or ""
  local status = tonumber(tries:match("(%d+)%s*$"))
  if not status and (tries ~= "" or ngx.status == 0 or ngx.status == 499) then return nil end
  return (status or ngx.status) >= options.statuses
end

local function note_probe(d, name, options, failed)
  if failed then return open(d, name, options, "a probe failed") end
  if failed == false and d:incr(name .. "|passed", 1, 0, max(60, options.open_s)) >= options.probes then return close(d, name) end
  d:incr(name .. "|probes", -1)
end

-- For log_by_lua: counts how the request ended.
function _M.note(name, options)
  options = options_of(options)
  local decision = (ngx.ctx.circuit_breaker or {})[name]
  if not decision or decision == "refused" then return end
  local d = dict()
  local failed = has_failed(options)
  if decision == "probe" then return note_probe(d, name, options, failed) end
  if failed == nil then return end
  if d:get(name .. "|until") then return end  -- it opened meanwhile: older requests say nothing new
  local window = floor(ngx.now() / options.window_s)
  local all = d:incr(name .. "|all|" .. window, 1, 0, 2 * options.window_s)
  if not failed then return d:delete(name .. "|row") end
  local bad = d:incr(name .. "|bad|" .. window, 1, 0, 2 * options.window_s)
  local row = d:incr(name .. "|row", 1, 0)
  if options.failures > 0 and row >= options.failures then
    open(d, name, options, row .. " failures one after another")
  elseif all >= options.requests_min and bad / all >= options.ratio then
    open(d, name, options, bad .. " of " .. all .. " requests failed")
  end
end

-- For content_by_lua: what was decided and which breakers are not closed, as Prometheus reads it.
function _M.metrics()
  local d = dict()
  local lines = { "# TYPE circuit_breaker_open gauge" }
  for _, name in ipairs(decisions.names("circuit_breaker")) do
    lines[#lines + 1] = ("circuit_breaker_open{%s} %d"):format(decisions.label("name", name), d:get(name .. "|until") and 1 or 0)
  end
  decisions.metrics("circuit_breaker", lines)
end

return _M
