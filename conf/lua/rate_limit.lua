-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- A token bucket per client, shared by all workers. README.md says how to use it.
--
-- A bucket is one number in the dictionary `rate_limit`: when it will be full again by the monotonic clock, which says how many tokens it
-- lacks. Taking a token moves that moment by 1/rate in one atomic `incr`; a bucket that is full has no entry. Workers that meet between the
-- `incr` and the `expire` after it may give or take one token.

local decisions = require "decisions"
local monotonic = require "monotonic"
local request_memory = require "request_memory"

local _M = {}

local ceil, floor, huge, max = math.ceil, math.floor, math.huge, math.max

local expiry_min = 0.001  -- seconds; less is never for a dictionary

local defaults = {
  rate = 10,          -- tokens a second that flow in
  burst = 20,         -- tokens the bucket holds
  cost = 1,           -- tokens a request takes
  key = nil,          -- a text: who shares a bucket; the client's address if absent
  status = 429,
  fail_open = true,   -- whether requests pass when the dictionary has no room
  headers = true,     -- whether RateLimit-* say how things are
}

local function options_of(given)
  return given and setmetatable(given, getmetatable(given) or { __index = defaults }) or defaults
end

-- Raises unless the numbers make a bucket. `policy` and `name` are what the error begins with.
function _M.examine(policy, name, options)
  for _, option in ipairs { "rate", "burst", "cost" } do
    local value = options[option]
    if not (type(value) == "number" and value > 0 and value < huge) then
      error(('%s "%s": %s must be a number above 0, not %s'):format(policy, name, option, tostring(value)), 3)
    end
  end
end

-- Takes `cost` tokens of a bucket. Gives whether they were there, how many are left (or how many seconds until they will be), or nil and an
-- error.
function _M.take(d, key, options)
  local step = options.cost / options.rate
  local depth = options.burst / options.rate
  local now = monotonic.now()
  local full_at, err = d:incr(key, step, now, max(expiry_min, depth))
  if not full_at then return nil, err end
  if full_at - now > (depth + step) * (1 + ngx.worker.count()) then  -- more than it holds: it was one of another rate before a reload
    full_at = now + depth + step
    d:set(key, full_at, depth + step)
  end
  if full_at < now + step then  -- it has been full for a while and the entry is only late to go
    full_at = now + step
    d:set(key, full_at, max(expiry_min, step))
  end
  if full_at - now > depth + 1e-6 then
    d:incr(key, -step)
    return false, full_at - depth - now
  end
  d:expire(key, max(expiry_min, full_at - now))
  return true, (depth - (full_at - now)) * options.rate
end

-- What a client is told: draft-ietf-httpapi-ratelimit-headers as far as servers agree on it.
function _M.tell(options, left, wait_s)
  if options.headers then
    ngx.header["RateLimit-Limit"] = options.burst
    ngx.header["RateLimit-Remaining"] = max(0, floor(left + 1e-6))
    ngx.header["RateLimit-Reset"] = ceil(wait_s > 0 and wait_s or (options.burst - left) / options.rate)
  end
  if wait_s > 0 then ngx.header["Retry-After"] = max(1, ceil(wait_s)) end
end

-- For access_by_lua. `name` tells limits apart: each has buckets of its own. Where an internal redirect leads a request here again, it
-- neither takes tokens again nor is it refused again: what it gets now may be the page that tells of the refusal.
function _M.check(name, options)
  options = options_of(options)
  _M.examine("rate_limit", name, options)
  local d = ngx.shared.rate_limit or error("rate_limit: lua_shared_dict rate_limit is missing", 2)
  local key = name .. "|" .. (options.key or ngx.var.remote_addr)
  local asked = request_memory.of_request("rate_limit")
  if asked[key] then return decisions.tell(asked[key], "rate_limit_decision") end
  local function decide(decision)
    asked[key] = decision
    decisions.note("rate_limit", name, decision, "rate_limit_decision")
  end
  local passes, left = _M.take(d, key, options)
  if passes then
    _M.tell(options, left, 0)
    return decide("passed")
  end
  if passes == false then
    decide("refused")
    _M.tell(options, 0, left)
    return ngx.exit(options.status)
  end
  ngx.log(ngx.ERR, "rate_limit \"", name, "\": ", left)
  if options.fail_open then return decide("failed_open") end
  decide("failed_closed")
  return ngx.exit(503)
end

-- For content_by_lua.
function _M.metrics() decisions.metrics("rate_limit") end

return _M
