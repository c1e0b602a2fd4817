-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- A circuit breaker per upstream, shared by all workers. Closed: requests pass and their outcomes are counted. Open: requests are refused
-- at once. Half-open: after `open_s` a few requests probe the upstream; if they succeed the breaker closes, if one fails it opens again.
-- README.md says how to use it.
--
-- All state lies in the dictionary `circuit_breaker`, in keys that begin with the breaker's name; moments are of the monotonic clock. What
-- was decided about a request lies in its memory, since its end may come in another location (error_page). Only what its upstream said
-- counts: a request that was answered here or whose client left says nothing.

local decisions = require "decisions"
local monotonic = require "monotonic"
local request_memory = require "request_memory"

local _M = {}

local floor, ceil, max = math.floor, math.ceil, math.max

local defaults = {
  failures = 5,        -- so many failures one after another open it; 0: that is not looked at
  ratio = 0.5,         -- so does this share of the requests in a window
  requests_min = 20,   -- of which there must be so many
  window_s = 10,
  open_s = 5,          -- how long it refuses before it probes
  probes = 1,          -- requests that probe at once, and that must succeed to close it
  probe_s = 120,       -- how long a probe may take before another one goes in its place
  statuses = 500,      -- the least status that counts as a failure
  fallback = nil,      -- a location ("/sorry", "@sorry") that answers instead of 503
}

local function options_of(given)
  return given and setmetatable(given, getmetatable(given) or { __index = defaults }) or defaults
end

local function dict()
  return ngx.shared.circuit_breaker or error("circuit_breaker: lua_shared_dict circuit_breaker is missing", 3)
end

local function tries() return ngx.var.upstream_status or "" end

-- Notes the decision, and remembers it in `passages` with what note() needs.
local function decide(passages, name, decision, passage)
  passage.decision = decision
  passages[name] = passage
  decisions.note("circuit_breaker", name, decision, "circuit")
end

local function refuse(passages, name, options, left_s)
  decide(passages, name, "refused", {})
  ngx.header["Retry-After"] = max(1, ceil(left_s))
  if options.fallback then return ngx.exec(options.fallback) end
  return ngx.exit(503)
end

-- The key of a free place among those that probe at once, which it takes, or nil. One that is never given back (its worker died) is free
-- after `probe_s`.
local function take_place(d, name, options, owner)
  for place = 1, options.probes do
    local key = name .. "|probe|" .. place
    if d:add(key, owner, options.probe_s) then return key end
  end
end

-- Another probe may have the place by now.
local function give_place_back(d, probe)
  if d:get(probe.place) == probe.owner then d:delete(probe.place) end
end

-- For access_by_lua: lets the request pass, or refuses it. Where an internal redirect leads a request here again, nothing new is decided:
-- it is the same passage, or the page that tells of the refusal.
function _M.check(name, options)
  options = options_of(options)
  local passages = request_memory.of_request("circuit_breaker")
  if passages[name] then return decisions.tell(passages[name].decision, "circuit") end
  local d = dict()
  local passage = { options = options, tries_before = #tries() }
  local till = d:get(name .. "|until")
  if not till then return decide(passages, name, "passed", passage) end
  local left = till - monotonic.now()
  if left > 0 and left <= options.open_s then return refuse(passages, name, options, left) end
  local owner = ngx.var.request_id
  local place = take_place(d, name, options, owner)
  if not place then return refuse(passages, name, options, 1) end
  passage.probe = { place = place, owner = owner, till = till }
  return decide(passages, name, "probe", passage)
end

local function open(d, name, options, why)
  d:set(name .. "|until", monotonic.now() + options.open_s)
  d:delete(name .. "|passed")
  d:delete(name .. "|row")
  decisions.count("circuit_breaker", name, "opened")
  ngx.log(ngx.WARN, "circuit breaker \"", name, "\" opens: ", why)
end

local function close(d, name)
  for _, key in ipairs { "until", "passed", "row" } do d:delete(name .. "|" .. key) end
  decisions.count("circuit_breaker", name, "closed")
  ngx.log(ngx.NOTICE, "circuit breaker \"", name, "\" closes")
end

-- Whether the upstream failed; nil if it never came to say. Of "200, 502 : 404", the tries of a request that was redirected in between,
-- those count that came first after the passage: the others are of what it was redirected to.
local function has_failed(passage)
  local after = tries():sub(passage.tries_before + 1):gsub("^[%s:,]+", "")
  local status = tonumber(after:match("^[^:]*"):match("(%d+)%s*$"))
  return status and status >= passage.options.statuses
end

-- What a probe says counts unless another one has decided meanwhile.
local function note_probe(d, name, options, probe, failed)
  give_place_back(d, probe)
  if failed == nil or d:get(name .. "|until") ~= probe.till then return end
  if failed then return open(d, name, options, "a probe failed") end
  if d:incr(name .. "|passed", 1, 0) >= options.probes then close(d, name) end
end

local function note_passage(d, name, options, failed)
  if failed == nil then return end
  if d:get(name .. "|until") then return end  -- it opened meanwhile: older requests say nothing new
  local window = floor(monotonic.now() / options.window_s)
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

local function note(passages, name)
  local passage = passages[name]
  passages[name] = nil
  if not passage or passage.decision == "refused" then return end
  local failed = has_failed(passage)
  if passage.probe then return note_probe(dict(), name, passage.options, passage.probe, failed) end
  note_passage(dict(), name, passage.options, failed)
end

-- For log_by_lua: counts how the request ended for a breaker, or with nil for all that it passed.
function _M.note(name)
  local passages = not ngx.is_subrequest and request_memory.find("circuit_breaker")
  if not passages then return end
  if name then
    note(passages, name)
  else
    for each in pairs(passages) do note(passages, each) end
  end
  if not next(passages) then request_memory.let_go() end
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
