-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- A circuit breaker per upstream, shared by all workers. Closed: requests pass and their outcomes are counted. Open: requests are refused
-- at once. Half-open: after `open_s` a few requests probe the upstream; if they succeed the breaker closes, if one fails it opens again.
-- README.md says how to use it.
--
-- All state lies in the dictionary `circuit_breaker`, in keys that begin with the breaker's name:
--   NAME|until    until when (seconds since 1970) requests are refused; present unless closed
--   NAME|row      failures one after another
--   NAME|probes   probes on their way; NAME|passed  probes that succeeded
--   NAME|all|W, NAME|bad|W  requests and failures of window number W
--   NAME|count|DECISION     what metrics() shows

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

local function decide(d, name, decision)
  d:incr(name .. "|count|" .. decision, 1, 0)
  ngx.ctx.circuit_breaker = ngx.ctx.circuit_breaker or {}
  ngx.ctx.circuit_breaker[name] = decision
  if ngx.var.circuit then ngx.var.circuit = decision end
end

local function refuse(d, name, options, left_s)
  decide(d, name, "refused")
  ngx.header["Retry-After"] = max(1, ceil(left_s))
  if options.fallback then return ngx.exec(options.fallback) end
  return ngx.exit(503)
end

-- For access_by_lua: lets the request pass, or refuses it.
function _M.check(name, options)
  options = options_of(options)
  local d = dict()
  local till = d:get(name .. "|until")
  if not till then return decide(d, name, "passed") end
  local left = till - ngx.now()
  if left > 0 then return refuse(d, name, options, left) end
  -- A probe that is never noted (its worker died) is forgotten with its key.
  local probing = d:incr(name .. "|probes", 1, 0, options.open_s)
  if probing > options.probes then return refuse(d, name, options, 1) end
  return decide(d, name, "probe")
end

local function open(d, name, options, why)
  d:set(name .. "|until", ngx.now() + options.open_s)
  d:delete(name .. "|probes")
  d:delete(name .. "|passed")
  d:delete(name .. "|row")
  d:incr(name .. "|count|opened", 1, 0)
  ngx.log(ngx.WARN, "circuit breaker \"", name, "\" opens: ", why)
end

local function close(d, name)
  for _, key in ipairs { "until", "probes", "passed", "row" } do d:delete(name .. "|" .. key) end
  d:incr(name .. "|count|closed", 1, 0)
  ngx.log(ngx.NOTICE, "circuit breaker \"", name, "\" closes")
end

local function has_failed(options)
  local status = tonumber((ngx.var.upstream_status or ""):match("(%d+)%s*$")) or tonumber(ngx.status) or 0
  return status >= options.statuses
end

local function note_probe(d, name, options, failed)
  if failed then return open(d, name, options, "a probe failed") end
  if d:incr(name .. "|passed", 1, 0, max(60, options.open_s)) >= options.probes then return close(d, name) end
  d:incr(name .. "|probes", -1, 1, options.open_s)
end

-- For log_by_lua: counts how the request ended.
function _M.note(name, options)
  options = options_of(options)
  local decision = (ngx.ctx.circuit_breaker or {})[name]
  if not decision or decision == "refused" then return end
  local d = dict()
  local failed = has_failed(options)
  if decision == "probe" then return note_probe(d, name, options, failed) end
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

-- For content_by_lua: what was decided, as Prometheus reads it.
function _M.metrics()
  local d = dict()
  local names, lines = {}, { "# TYPE circuit_breaker_decisions_total counter" }
  for _, key in ipairs(d:get_keys(0)) do
    local name, decision = key:match("^(.*)|count|(%l+)$")
    if name then
      names[name] = true
      lines[#lines + 1] = ('circuit_breaker_decisions_total{name="%s",decision="%s"} %d'):format(name, decision, d:get(key))
    end
  end
  lines[#lines + 1] = "# TYPE circuit_breaker_open gauge"
  for name in pairs(names) do
    lines[#lines + 1] = ('circuit_breaker_open{name="%s"} %d'):format(name, d:get(name .. "|until") and 1 or 0)
  end
  ngx.header.content_type = "text/plain; version=0.0.4"
  ngx.say(table.concat(lines, "\n"))
end

return _M
